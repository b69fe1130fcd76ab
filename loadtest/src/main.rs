//! The load-test tool.
fn main() {}
