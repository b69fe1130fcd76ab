//! Why the tool stops, and the exit code that says so.
//!
//! One sentence for a person, one number for a script. It carries no source chain: each place
//! that fails knows what was attempted and says it in full.

use std::fmt;
use std::process::ExitCode;

/// The end of a command that did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line asks for something impossible.
    Usage(String),
    /// The command could not do its work: an address in use, a child that does not start.
    Run(String),
    /// The load test ran and a threshold was missed.
    Threshold(String),
    /// What was asked for cannot be tried on this machine; nothing was tested.
    Skipped(String),
}

impl Failure {
    /// The exit code of this failure: 2, 1, 99 or 77.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Usage(_) => 2,
            Failure::Run(_) => 1,
            Failure::Threshold(_) => 99,
            Failure::Skipped(_) => 77,
        })
    }

    /// A failure of `attempt` for the reason the operating system gave.
    pub(crate) fn of(attempt: &str, error: impl fmt::Display) -> Failure {
        Failure::Run(format!("cannot {attempt}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) | Failure::Run(text) | Failure::Threshold(text) => {
                out.write_str(text)
            }
            Failure::Skipped(text) => write!(out, "skipped: {text}"),
        }
    }
}
