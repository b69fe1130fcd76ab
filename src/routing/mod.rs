//! Floor 2: where a request goes.

/// The route table (placeholder of the interface).
#[derive(Debug)]
pub struct RouteTable;
