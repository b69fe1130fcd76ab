//! The load-test tool of the authorization switch.
//!
//! `loadtest run` sends load and judges every answer, `loadtest partner` simulates the host
//! behind the switch, `loadtest floor` is the least that could stand between them, and
//! `loadtest run --vs-floor` measures a switch against that. `loadtest books` plays both sides and
//! compares what each believes about the money. It shares no code with the switch: what is measured
//! must not also hold the ruler.
#![forbid(unsafe_code)]

mod books;
mod cli;
mod clock;
mod failure;
mod fate;
mod floor;
mod frame;
mod message;
mod net;
mod partner;
mod report;
mod run;
mod versus;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("loadtest: {failure}");
            failure.exit_code()
        }
    }
}
