//! Closing an exception: a person's act, put on record by whoever writes the journal.
//!
//! A journal has one writer. If no switch runs, the act itself opens the journal for writing, as a
//! start would, appends its record and leaves. If one runs, the act is left as a file in a spool
//! of the journal's folder, whole or not at all, and the switch puts it on record: [`Office`].
//! Its file goes when the record is durable, so a crash in between records it twice, which says
//! nothing new.
//!
//! What a running switch still owes cannot be closed: it would go on sending it. An act from the
//! spool never ends a debt, because the debt may have arisen after the person looked.

#[cfg(test)]
mod tests;

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::exceptions::{Entry, Ledger};
use crate::base::time::Instant;
use crate::journal::{self, Damage, Desk, Folder, Halt, Key, Options, State};
use crate::net::Clock;
use crate::switch::batch::Batch;
use crate::switch::record::{Closed, Record, Records};

/// What a person says about an exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Of which transaction.
    pub id: u64,
    /// Unix seconds.
    pub at_s: u64,
    /// Who says it.
    pub by: String,
    /// Why nobody need look again.
    pub reason: String,
}

/// What became of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// It is on record.
    Recorded,
    /// It is on record, and what was owed is owed no more.
    DebtEnded,
    /// It waits in the spool for a switch that has not taken it in yet.
    Waiting,
}

impl Act {
    /// An act, if both texts can be put on record.
    ///
    /// # Errors
    ///
    /// What is wrong with them, in one sentence.
    pub fn new(id: u64, at_s: u64, by: &str, reason: &str) -> Result<Self, String> {
        for (name, text, most) in [("name", by, BY_BYTES_MAX), ("reason", reason, REASON_BYTES_MAX)]
        {
            if text.trim().is_empty() || text.len() > most || text.chars().any(char::is_control) {
                return Err(format!("the {name} is 1 to {most} bytes of text in one line"));
            }
            if has_account_number(text) {
                return Err(format!("the {name} has so many digits that it may name an account"));
            }
        }
        Ok(Self { id, at_s, by: by.to_owned(), reason: reason.to_owned() })
    }

    fn batch(&self, number: u64, ends_debt: bool) -> Batch {
        let mut records = Records { on: true, ..Records::default() };
        let (by, reason) = (self.by.as_bytes(), self.reason.as_bytes());
        let (id, at_s) = (self.id, self.at_s);
        records.push(&Record::Closed(Closed { id, at_s, ends_debt, by, reason }));
        let Records { clear, secret, urgent, .. } = records;
        Batch { number, clear, secret, urgent }
    }

    fn from_text(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let number = |name: &str| value.get(name)?.as_u64();
        let text = |name: &str| value.get(name)?.as_str();
        Self::new(number("id")?, number("at_s")?, text("by")?, text("reason")?).ok()
    }
}

/// Puts an act on record, or has the running switch do it.
///
/// # Errors
///
/// Why not, in one sentence.
pub fn close(folder: &Path, key: &Key, act: &Act) -> Result<Entered, String> {
    // A folder that is not there must not be made.
    fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let files = Folder::at(folder).map_err(|error| error.to_string())?;
    // The reserve is that of a switch, so that it is left as it is; a segment is short, because
    // the next start begins another one.
    let options = Options { segment_bytes: SEGMENT_BYTES, ..Options::new(1, key.clone()) };
    let mut ledger = Ledger::default();
    let opened = journal::recover(&options, &files, &mut |batch| {
        ledger.read(batch.clear, batch.secret);
    });
    match opened {
        Ok(recovery) => {
            let ends_debt = ledger.entry(act.id)? == Entry::Owed;
            let clock = Clock::start();
            let wall = Arc::new(move || clock.now().wall);
            let (writer, mut desks) = journal::start(&options, Arc::new(files), recovery, wall)
                .map_err(|halt| halt.to_string())?;
            let desk = desks.first_mut().ok_or("a journal has a desk")?;
            append(desk, act, ends_debt)?;
            writer.stop();
            Ok(if ends_debt { Entered::DebtEnded } else { Entered::Recorded })
        }
        Err(Halt { damage: Damage::Locked, .. }) => {
            for batch in journal::read(&files, key).map_err(|halt| halt.to_string())? {
                let batch = batch.map_err(|halt| halt.to_string())?;
                ledger.read(&batch.clear, &batch.secret);
            }
            if ledger.entry(act.id)? == Entry::Owed {
                let id = act.id;
                return Err(format!(
                    "{id} is still owed, and a switch is sending it: stop it first"
                ));
            }
            let path = spool(folder, act).map_err(|error| format!("{SPOOL}: {error}"))?;
            Ok(await_taking(&path))
        }
        Err(halt) => Err(halt.to_string()),
    }
}

fn append(desk: &mut Desk, act: &Act, ends_debt: bool) -> Result<(), String> {
    let number = desk.next_number();
    let refused = || "the journal takes nothing: the disk is full or failed".to_owned();
    desk.hand_in(act.batch(number, ends_debt)).map_err(|_| refused())?;
    while desk.durable() < number {
        if desk.state() == State::Failed {
            return Err(desk.failure().map_or_else(refused, ToString::to_string));
        }
        std::thread::park_timeout(PAUSE);
    }
    Ok(())
}

/// Leaves an act for the running switch: under its name only when all of it is durable.
fn spool(folder: &Path, act: &Act) -> io::Result<PathBuf> {
    let spool = folder.join(SPOOL);
    match fs::DirBuilder::new().mode(0o700).create(&spool) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let path = spool.join(format!("{}-{}-{}{ACT}", act.id, act.at_s, std::process::id()));
    let fresh = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    let Act { id, at_s, by, reason } = act;
    let text = json!({ "id": id, "at_s": at_s, "by": by, "reason": reason }).to_string();
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, &path)?;
    fs::File::open(&spool)?.sync_all()?;
    Ok(path)
}

fn await_taking(path: &Path) -> Entered {
    let clock = Clock::start();
    while path.exists() {
        if clock.now().instant > Instant::default().after(PATIENCE) {
            return Entered::Waiting;
        }
        std::thread::park_timeout(PAUSE);
    }
    Entered::Recorded
}

/// Where a running switch takes in what persons do.
#[derive(Debug)]
pub struct Office {
    desk: Desk,
    spool: PathBuf,
    clock: Clock,
    looks_at: Instant,
    /// Handed in and not durable yet: batch, act, file.
    under_way: Vec<(u64, Act, PathBuf)>,
}

impl Office {
    /// The office of the journal in `folder`, with a desk of its own.
    pub fn new(desk: Desk, folder: &Path) -> Self {
        let (clock, looks_at) = (Clock::start(), Instant::default());
        Self { desk, spool: folder.join(SPOOL), clock, looks_at, under_way: Vec::new() }
    }

    /// Takes in what has come, now and then, and returns what is to be told the operator.
    pub fn look(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        // An act matters for no longer than what it is about.
        if let Some(asked) = self.desk.giving_up() {
            self.desk.noted_again(asked);
        }
        let durable = self.desk.durable();
        self.under_way.retain(|(number, act, path)| {
            if *number <= durable {
                // A file that stays is taken in again by the next life.
                drop(fs::remove_file(path));
                told.push(format!("closed       {} by {}: {}", act.id, act.by, act.reason));
            }
            *number > durable
        });
        let now = self.clock.now().instant;
        if now >= self.looks_at {
            self.looks_at = now.after(LOOK);
            self.take_in(&mut told);
        }
        told
    }

    fn take_in(&mut self, told: &mut Vec<String>) {
        for entry in fs::read_dir(&self.spool).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_act = path.to_string_lossy().ends_with(ACT);
            if !is_act || self.under_way.iter().any(|(_, _, other)| *other == path) {
                continue;
            }
            let Some(act) = fs::read_to_string(&path).ok().and_then(|text| Act::from_text(&text))
            else {
                drop(fs::rename(&path, path.with_extension("refused")));
                told.push(format!("refused      {}: this closes nothing", path.display()));
                continue;
            };
            let number = self.desk.next_number();
            // Otherwise it is tried again at the next look.
            if self.desk.hand_in(act.batch(number, false)).is_ok() {
                self.under_way.push((number, act, path));
            }
        }
    }
}

/// Digits in a row, blanks and dashes between them not counted, as account numbers have.
fn has_account_number(text: &str) -> bool {
    let mut digits = 0;
    text.chars().any(|c| {
        digits = match c {
            '0'..='9' => digits + 1,
            ' ' | '-' => digits,
            _ => 0,
        };
        digits >= ACCOUNT_DIGITS_MIN
    })
}

/// The folder in that of the journal.
const SPOOL: &str = "closings";

/// How the name of an act ends.
const ACT: &str = ".act";

/// Shorter numbers are not those of accounts; the RRN has twelve digits.
const ACCOUNT_DIGITS_MIN: u32 = 13;

const BY_BYTES_MAX: usize = 64;
const REASON_BYTES_MAX: usize = 512;

/// Room for the act, and for what a segment needs besides.
const SEGMENT_BYTES: u64 = 64 << 10;

/// How often the spool is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How long the running switch may take.
const PATIENCE: Duration = Duration::from_secs(5);

const PAUSE: Duration = Duration::from_millis(1);
