//! Floor 5: what surrounds the switch. Files, configuration, command line.

pub mod archive;
pub mod audit;
pub mod cli;
pub mod closing;
pub mod config;
mod courtesy;
pub mod demo;
pub mod dialect_file;
pub mod dialects;
pub mod diff;
pub mod exceptions;
pub mod explain;
mod export;
pub mod journal;
pub mod json;
pub mod recount;
pub mod reload;
pub mod risk_list;
pub mod serve;
pub mod snapshot;
mod text_file;
mod toml_text;
pub mod wiring;
