//! `authswitch check`: is a configuration one that the switch would run with?

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::{Ended, FAILED};
use crate::app::config;

/// Read a configuration, say how it was understood, or every mistake in it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder with switch.toml, routes.toml, merchants.csv and, if there are rules, risk.toml;
    /// without it, the built-in default
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Ended {
    match config::check(args.config.as_deref()) {
        Ok(summary) => {
            std::io::stdout().lock().write_all(summary.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(mistakes) => {
            std::io::stderr().lock().write_all(mistakes.as_bytes())?;
            Ok(ExitCode::from(FAILED))
        }
    }
}
