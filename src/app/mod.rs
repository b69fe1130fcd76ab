//! Floor 5: what surrounds the switch. Files, configuration, command line.

pub mod config;
pub mod dialect_file;
pub mod serve;
pub mod wiring;
