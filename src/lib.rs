//! A low-latency authorization switch for binary ISO 8583 traffic.
