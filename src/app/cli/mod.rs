//! The command line: one module per command, and what they share.
//!
//! A command returns how it ended; what it prints goes to standard output, what was wrong with the
//! call to standard error in one sentence. Exit code 1: something in the input failed. 2: the call
//! itself was wrong. A reader that goes away (`| head`) ends a command quietly.

mod audit;
mod check;
mod decision;
mod decode;
mod demo;
mod dialect;
mod encode;
mod exceptions;
mod explain;
mod export;
mod guess;
mod infer;
mod journal;
mod lines;
mod risk;
mod risk_list;
mod risk_show;
mod routes;
mod serve;

use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use super::dialects;
use crate::iso8583::dialect::Dialect;

/// A low-latency authorization switch for binary ISO 8583 traffic.
#[derive(Debug, Parser)]
#[command(name = "authswitch", version, arg_required_else_help = true)]
enum Cli {
    Demo(demo::Args),
    Serve(serve::Args),
    Check(check::Args),
    Explain(decision::Args),
    Audit(audit::Args),
    Decode(decode::Args),
    Encode(encode::Args),
    #[command(subcommand)]
    Dialect(dialect::Command),
    #[command(subcommand)]
    Journal(journal::Command),
    Exceptions(exceptions::Args),
    #[command(subcommand)]
    Risk(risk::Command),
    #[command(subcommand)]
    Routes(routes::Command),
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, on standard output.
            let printed = error.print();
            let is_wrong = error.use_stderr() || printed.is_err();
            return ExitCode::from(if is_wrong { USAGE } else { 0 });
        }
    };
    let result = match cli {
        Cli::Demo(args) => demo::run(&args),
        Cli::Serve(args) => serve::run(&args),
        Cli::Check(args) => check::run(&args),
        Cli::Explain(args) => decision::run(&args),
        Cli::Audit(args) => audit::run(&args),
        Cli::Decode(args) => decode::run(&args),
        Cli::Encode(args) => encode::run(&args),
        Cli::Dialect(command) => dialect::run(&command),
        Cli::Journal(command) => journal::run(&command),
        Cli::Exceptions(args) => exceptions::run(&args),
        Cli::Risk(command) => risk::run(&command),
        Cli::Routes(command) => routes::run(&command),
    };
    match result {
        Ok(code) => code,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("authswitch: {error}");
            ExitCode::from(FAILED)
        }
    }
}

/// Exit code: something in the input failed.
const FAILED: u8 = 1;

/// Exit code: the call itself was wrong.
const USAGE: u8 = 2;

/// The dialect of an option, or the exit code after saying on standard error why there is none.
fn dialect(name_or_path: &str) -> Result<Arc<Dialect>, ExitCode> {
    dialects::load(name_or_path).map_err(|mistakes| {
        for mistake in mistakes {
            eprintln!("authswitch: {mistake}");
        }
        ExitCode::from(USAGE)
    })
}

/// What a command returns: an error is one of reading or writing, not of what was read.
type Ended = io::Result<ExitCode>;
