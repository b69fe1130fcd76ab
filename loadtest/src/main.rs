//! The load-test tool of the authorization switch.
//!
//! `loadtest run` sends load, by flags or by a scenario, and judges every answer; `loadtest report`
//! and `loadtest compare` show what was kept of runs, `loadtest knee` searches the highest rate,
//! `loadtest partner` simulates the host behind the switch, `loadtest floor` is the least that
//! could stand between them, and `loadtest run --vs-floor` measures a switch against that.
//! `loadtest books` plays both sides and compares what each believes about the money.
//! `loadtest script` plays both sides from files that say what must come of every step.
//! `loadtest drain` and `loadtest restart` measure what comes after a failure. It shares no code
//! with the switch: what is measured must not also hold the ruler.
#![forbid(unsafe_code)]

mod books;
mod child;
mod cli;
mod clock;
mod disk;
mod drain;
mod failure;
mod fate;
mod floor;
mod frame;
mod goal;
mod live;
mod load;
mod machine;
mod message;
mod mix;
mod net;
mod page;
mod partner;
mod record;
mod report;
mod restart;
mod run;
mod script;
mod serve;
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
