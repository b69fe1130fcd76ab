//! `authswitch explain`: what would become of a request, and why.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::{Ended, FAILED, USAGE, lines};
use crate::app::config::{self, Config};
use crate::app::explain::{Request, explain};
use crate::app::json::{self, Shown};
use crate::net::Clock;

/// Explain what would become of a request, and why: whose code it is, where the merchant is, which
/// rules and routes were looked at, whom it goes to, and what is sent.
///
/// Nothing is sent by this. The partners are taken as there, and nothing as having happened before.
/// Card data is masked. The exit code is 1 if the request goes to no partner.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder with switch.toml, routes.toml and merchants.csv; without it, the built-in default
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Who sends it; without it, the first acquirer of the configuration
    #[arg(long, value_name = "NAME")]
    acquirer: Option<String>,
    /// When it comes, like 2023-09-30T12:00:00+08:00; without it, now
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Show card data in clear, and the bytes that are sent
    #[arg(long)]
    reveal: bool,
    /// The message as hex, without its frame; without it, one per line from standard input
    #[arg(value_name = "HEX")]
    hex: Vec<String>,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Ended {
    let config = match Config::load(args.config.as_deref()) {
        Ok(config) => config,
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| eprintln!("authswitch: {mistake}"));
            return Ok(ExitCode::from(USAGE));
        }
    };
    let acquirer = match &args.acquirer {
        None => config.acquirers.first(),
        Some(name) => config.acquirers.iter().find(|acquirer| acquirer.name == *name),
    };
    let Some(acquirer) = acquirer else {
        let names: Vec<_> = config.acquirers.iter().map(|acquirer| &*acquirer.name).collect();
        eprintln!("authswitch: no such acquirer, expected one of {}", names.join(", "));
        return Ok(ExitCode::from(USAGE));
    };
    let wall = match args.at.as_deref().map(config::moment_of) {
        None => Clock::start().now().wall,
        Some(Ok(wall)) => wall,
        Some(Err(reason)) => {
            eprintln!("authswitch: --at: {reason}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    let shown = if args.reveal { Shown::Clear } else { Shown::Masked };
    let mut out = std::io::stdout().lock();
    let mut are_sent = true;
    for (place, line) in lines::all(&args.hex)?.iter().enumerate() {
        let mut bytes = Vec::new();
        if let Err(at) = json::read_hex(line, &mut bytes) {
            eprintln!("authswitch: character {at} is not hexadecimal, or one is missing");
            return Ok(ExitCode::from(USAGE));
        }
        let request = Request { config: &config, acquirer, bytes: &bytes, wall, shown };
        let explanation = explain(&request);
        are_sent &= explanation.is_sent;
        let gap = if place > 0 { "\n" } else { "" };
        write!(out, "{gap}{}", explanation.text)?;
    }
    Ok(if are_sent { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
