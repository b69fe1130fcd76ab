//! A low-latency authorization switch for binary ISO 8583 traffic.

pub mod app;
pub mod base;
pub mod iso8583;
pub mod net;
pub mod routing;
pub mod switch;
