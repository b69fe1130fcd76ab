//! `authswitch demo`: the switch between simulated terminals and simulated partners.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use super::{Ended, FAILED};
use crate::app::demo;

/// Show the switch at work: real sockets on this machine, sample payments of several wallets and
/// regions, and what becomes of each. Takes a few seconds and needs nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: &Args) -> Ended {
    let mut out = io::stdout();
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let coloured = out.is_terminal() && !plain;
    let as_expected = demo::run(&mut out, coloured)?;
    Ok(if as_expected { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
