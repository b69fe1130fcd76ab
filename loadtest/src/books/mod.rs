//! `loadtest books`: both sides of a running switch, and whether they agree about the money.
//!
//! It plays the host, which keeps books, and the terminals, which follow the POS protocol to its
//! end; in between are the faults of both, drawn by seed. When the faults are over and nobody
//! waits for anything, each transaction is compared: the host's net amount must be what the
//! terminal saw approved. It measures no speed, knows nothing of how the switch works, and shares
//! no code with it.
//!
//! # Transcripts
//!
//! With `--transcript-dir`, `acquirer.ndjson` and `partner.ndjson` hold one JSON object a line, in
//! the order in which the rig saw or did things. Both files have one monotonic clock.
//!
//! ```text
//! {"at_ns":81,"side":"acquirer","connection":3,"event":"open"}
//! {"at_ns":95,"side":"acquirer","connection":3,"direction":"to-switch","mti":"0100",
//!  "fields":{"2":"4761340000000019","4":"000000001250","11":"000001"}}      (on one line)
//! {"at_ns":99,"side":"acquirer","connection":3,"event":"close"}
//! ```
//!
//! `direction` is seen from the rig. Each line is one complete message; half of one is none. A
//! number of a connection is used once per file. Digits and text are themselves, with lengths and
//! fillers taken off; bytes (DE 52, 55, 64) are hexadecimal. Card numbers are test cards, in clear.

mod action;
mod dice;
mod fleet;
#[cfg(test)]
mod honest;
mod host;
mod ledger;
mod message;
mod process;
mod rig;
mod sale;
mod transcript;
mod verdict;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

pub(crate) use dice::Faults;

use crate::failure::Failure;
use crate::net::runtime;

/// What to play, against whom, for how long.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    /// Where the switch listens for terminals.
    pub(crate) acquirer: SocketAddr,
    /// Where the host listens for the switch.
    pub(crate) partner: SocketAddr,
    pub(crate) rate_per_s: u64,
    pub(crate) duration: Duration,
    /// How long everything may take to come to rest afterwards.
    pub(crate) quiesce: Duration,
    /// The host is at rest if no reversal has come for so long.
    pub(crate) rest: Duration,
    /// What the switch has promised; terminals wait longer, late answers come later.
    pub(crate) deadline: Duration,
    pub(crate) connections: usize,
    pub(crate) terminals: usize,
    pub(crate) seed: u64,
    pub(crate) faults: Faults,
    pub(crate) transcript_dir: Option<PathBuf>,
    /// Start the switch with this command.
    pub(crate) serve: Option<String>,
    /// Kill it about this often.
    pub(crate) kill_every: Option<Duration>,
}

/// Plays, compares, and prints what came of it; fails if a transaction breaks a rule.
pub(crate) fn run(books: &Books) -> Result<(), Failure> {
    let runtime = runtime().map_err(|error| Failure::of("start an event loop", error))?;
    let outcome = runtime.block_on(async {
        let of = |error| Failure::of("listen for signals", error);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(of)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(of)?;
        // A switch that was started here is killed with the future that owns it.
        tokio::select! {
            outcome = rig::play(books) => outcome,
            _ = interrupt.recv() => Err(Failure::Run("interrupted".into())),
            _ = terminate.recv() => Err(Failure::Run("terminated".into())),
        }
    })?;
    println!("books of seed {}:", books.seed);
    print!("{}", outcome.verdict.table());
    println!("  {:<36}{:>10}", "sales no terminal could make", outcome.unsent);
    if outcome.kills > 0 {
        let (p50, max) = middle_and_max(outcome.recoveries_ns);
        println!("  {:<36}{:>10}", "kills", outcome.kills);
        println!("  restart to first approval: p50 {p50:.0} ms, max {max:.0} ms");
    }
    for finding in &outcome.verdict.findings {
        println!("{finding}");
    }
    let sentence = match outcome.verdict.findings.len() {
        _ if !outcome.rested => "it did not come to rest in time".to_owned(),
        _ if outcome.verdict.transactions == 0 => "no sale could be made".to_owned(),
        0 => return Ok(()),
        count => format!("{count} findings"),
    };
    Err(Failure::Run(sentence))
}

/// The median and the longest of durations in ns, in ms.
fn middle_and_max(mut durations_ns: Vec<u64>) -> (f64, f64) {
    durations_ns.sort_unstable();
    let ms = |ns: Option<&u64>| ns.map_or(f64::NAN, |&ns| ns as f64 / 1e6);
    (ms(durations_ns.get(durations_ns.len() / 2)), ms(durations_ns.last()))
}
