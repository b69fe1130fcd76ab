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
mod disk;
mod fleet;
#[cfg(test)]
mod honest;
mod host;
mod ledger;
pub(crate) mod message;
mod process;
mod record;
mod rig;
mod sale;
mod transcript;
mod verdict;
mod wire;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

pub(crate) use dice::Faults;

use crate::failure::Failure;
use crate::net::runtime;
use crate::report::say;
use disk::Disk;
use record::Record;

/// What to play, against whom, for how long.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    /// Where the switch listens for terminals.
    pub(crate) acquirer: SocketAddr,
    /// Where the host listens for the switch.
    pub(crate) partner: SocketAddr,
    pub(crate) rate_per_s: u64,
    pub(crate) span: Span,
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
    /// Kill it about this often, and start it again.
    pub(crate) kill_every: Option<Duration>,
    /// Kill it by cutting the power of the disk that stands for `{disk}` in the commands.
    pub(crate) power_cut: bool,
    /// Freeze it about this often, for one to five seconds.
    pub(crate) freeze_every: Option<Duration>,
    /// What to run when the switch has ended; `{disk}` and `{books}` (the transcripts) are known.
    pub(crate) then: Vec<String>,
    /// Where to keep what came of it, without date and ending.
    pub(crate) record: Option<PathBuf>,
}

/// How long to sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    Time(Duration),
    /// Until the switch has been killed so often.
    Kills(u64),
}

/// Plays, compares, and prints what came of it; fails if a transaction breaks a rule.
pub(crate) fn run(books: &Books) -> Result<(), Failure> {
    let disk = if books.power_cut { Some(Arc::new(Disk::prepare()?)) } else { None };
    let folders = books.folders(disk.as_deref());
    let folders: Vec<(&str, &str)> = folders.iter().map(|(name, path)| (*name, &**path)).collect();
    let books = &books.placed(&folders)?;
    let runtime = runtime().map_err(|error| Failure::of("start an event loop", error))?;
    let outcome = runtime.block_on(async {
        let of = |error| Failure::of("listen for signals", error);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(of)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(of)?;
        // A switch that was started here is killed with the future that owns it.
        tokio::select! {
            outcome = rig::play(books, disk.clone()) => outcome,
            _ = interrupt.recv() => Err(Failure::Run("interrupted".into())),
            _ = terminate.recv() => Err(Failure::Run("terminated".into())),
        }
    })?;
    // It waits for what its threads still do with the disk.
    drop(runtime);
    let check = |command: &String| record::check(command, &folders);
    let checks: Result<_, _> = books.then.iter().map(check).collect();
    let record = Record::new(books.seed, outcome, checks?);
    say(record.text().trim_end());
    if let Some(name) = &books.record {
        record.write(name)?;
    }
    record.judge()
}

impl Books {
    /// The folders that commands may name.
    fn folders(&self, disk: Option<&Disk>) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let disk = disk.map(|disk| (DISK, text(disk.mount_point())));
        let books = self.transcript_dir.as_deref().map(|folder| ("{books}", text(folder)));
        disk.into_iter().chain(books).collect()
    }

    /// The same with the folders in its commands filled in.
    fn placed(&self, folders: &[(&str, &str)]) -> Result<Books, Failure> {
        let mut books = self.clone();
        for command in books.serve.iter_mut().chain(&mut books.then) {
            for (name, folder) in folders {
                *command = command.replace(name, folder);
            }
            if command.contains('{') {
                let text = format!("what is in braces stands for nothing here: {command}");
                return Err(Failure::Usage(text));
            }
        }
        let disk_is_used = self.serve.as_ref().is_some_and(|serve| serve.contains(DISK));
        if self.power_cut && !disk_is_used {
            return Err(Failure::Usage(format!("--power-cut: {DISK} is not in --serve")));
        }
        Ok(books)
    }
}

/// What stands for the disk in a command.
const DISK: &str = "{disk}";
