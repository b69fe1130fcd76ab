//! Opening a journal: read all of it, hand every batch up, cut a torn tail.
//!
//! The last segment is written once more, as it was read, and synced. If the run before ended
//! with a failed sync, the system may show bytes that are not on the disk, and would never write
//! them; what was just handed up must not vanish later. It is done in place, needs no room, and
//! may be killed anywhere: each byte that belongs to the journal is replaced by itself.

use std::any::Any;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use zeroize::Zeroizing;

use super::Options;
use super::files::{File, Files};
use super::format::{CHAIN_START, Chain};
use super::halt::{Damage, Halt};
use super::key::Key;
use super::scan::{End, Found, Scan};
use super::segment;
use crate::base::time::Wall;

/// A batch that was found in the journal.
#[derive(Debug)]
pub struct Recovered<'a> {
    /// Whose.
    pub worker: u8,
    /// Its number, as handed in.
    pub number: u64,
    /// True if it may use the reserve.
    pub urgent: bool,
    /// What is stored in clear.
    pub clear: &'a [u8],
    /// What is stored encrypted, decrypted.
    pub secret: &'a [u8],
    /// When its block was written.
    pub written: Wall,
    /// Where it is.
    pub place: Place,
}

/// Where a block starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The number of its segment.
    pub segment: u64,
    /// Where in it, in bytes.
    pub offset: u64,
}

/// A journal that was read to its end and may be written.
#[derive(Debug)]
pub struct Recovery {
    /// Blocks that were read.
    pub blocks: u64,
    /// Batches that were handed up.
    pub batches: u64,
    /// Where the journal was torn, if it was: at the end of its last block, and what was behind
    /// it is gone.
    pub cut: Option<Place>,
    /// The last batch of each worker, 0 if there is none.
    pub last: Vec<u64>,
    pub(super) next: Next,
    pub(super) kept: VecDeque<Kept>,
    pub(super) lock: Box<dyn Any + Send>,
}

impl Recovery {
    /// Which start of this journal this is going to be: higher each time.
    pub const fn life(&self) -> u64 {
        self.next.segment
    }
}

/// Where writing goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    pub(super) end: Option<End>,
    pub(super) segment: u64,
    pub(super) number: u64,
    pub(super) chain: Chain,
    pub(super) oldest: u64,
}

/// A segment that may be given up some day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) segment: u64,
    /// When its last block was written.
    pub(super) written: Wall,
    /// The last batch of each worker up to its end.
    pub(super) last: Box<[u64]>,
}

/// Reads the journal in `files` and calls `each` for every batch, in the order in which they were
/// stored. If this fails, what was handed up is not to be used.
pub fn recover(
    options: &Options,
    files: &dyn Files,
    each: &mut dyn FnMut(Recovered<'_>),
) -> Result<Recovery, Halt> {
    options.check()?;
    let lock = files.lock().map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => Halt { file: files.place(""), offset: 0, damage: Damage::Locked },
        _ => Halt::io(files.place(""), "lock the folder", error),
    })?;
    let mut scan = Scan::new(files)?;
    let (mut blocks, mut batches) = (0, 0);
    let mut last = Last::default();
    let mut kept: VecDeque<Kept> = VecDeque::new();
    while let Some(found) = scan.next()? {
        blocks += 1;
        let (segment, written) = (found.header.segment, found.block.header.written);
        match kept.back_mut() {
            Some(kept) if kept.segment == segment => kept.written = written,
            before => {
                before.into_iter().for_each(|kept| kept.last = last.0.as_slice().into());
                kept.push_back(Kept { segment, written, last: Box::default() });
            }
        }
        batches += open(&options.key, files, &found, &mut last, each)?;
    }
    let end = scan.end();
    let cut = scan.is_torn().then(|| Place {
        segment: end.map_or(1, |end| end.segment + u64::from(end.sealed)),
        offset: end.filter(|end| !end.sealed).map_or(0, |end| end.offset),
    });
    let next = Next {
        end,
        segment: end.map_or(1, |end| end.segment + 1),
        number: end.map_or(1, |end| end.number + 1),
        chain: end.map_or(CHAIN_START, |end| end.chain),
        oldest: scan.oldest(),
    };
    mend(files, &next)?;
    kept.back_mut().into_iter().for_each(|kept| kept.last = last.0.as_slice().into());
    last.0.resize(last.0.len().max(usize::from(options.workers)), 0);
    Ok(Recovery { blocks, batches, cut, last: last.0, next, kept, lock })
}

/// The last batch of each worker.
#[derive(Debug, Default)]
pub(super) struct Last(Vec<u64>);

impl Last {
    /// Notes a batch; false if it should have come earlier.
    fn note(&mut self, worker: u8, number: u64) -> bool {
        let place = usize::from(worker);
        if self.0.len() <= place {
            self.0.resize(place + 1, 0);
        }
        std::mem::replace(&mut self.0[place], number) < number
    }
}

/// Hands the batches of a block up; how many there were.
pub(super) fn open(
    key: &Key,
    files: &dyn Files,
    found: &Found<'_>,
    last: &mut Last,
    each: &mut dyn FnMut(Recovered<'_>),
) -> Result<u64, Halt> {
    let Found { header, offset, block } = found;
    let place = Place { segment: header.segment, offset: *offset };
    let halt = |damage| Halt {
        file: files.place(&segment::name(place.segment)),
        offset: place.offset,
        damage,
    };
    let entries = block.entries().ok_or_else(|| halt(Damage::Malformed))?;
    // A block without secrets needs no key, but one key too few is better known at once.
    let seal = key.seal_of(header.key, &header.salt).ok_or_else(|| halt(Damage::UnknownKey))?;
    let secrets = block.open(&seal).ok_or_else(|| halt(Damage::Unsealed))?;
    let secrets = Zeroizing::new(secrets);
    for entry in &entries {
        if !last.note(entry.worker, entry.number) {
            return Err(halt(Damage::Malformed));
        }
        let secret = secrets.get(entry.secret.clone()).ok_or_else(|| halt(Damage::Malformed))?;
        let (worker, number, urgent) = (entry.worker, entry.number, entry.urgent);
        let (clear, written) = (entry.clear, block.header.written);
        each(Recovered { worker, number, urgent, clear, secret, written, place });
    }
    Ok(entries.len() as u64)
}

/// Writes what stands before `end` again, and zeros over whatever stands behind it.
fn mend_up_to(file: &dyn File, end: u64) -> io::Result<()> {
    let mut bytes = vec![0; PIECE_BYTES];
    let mut at = 0;
    loop {
        let count = file.read_at(at, &mut bytes)?;
        let piece = &mut bytes[..count];
        let used = usize::try_from(end.saturating_sub(at)).unwrap_or(count).min(count);
        let torn = piece.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        piece[used..].fill(0);
        let written = torn.max(used);
        if written > 0 {
            file.write_all_at(at, &piece[..written])?;
        }
        if count < PIECE_BYTES {
            return Ok(());
        }
        at += count as u64;
    }
}

/// What is read and written at once.
const PIECE_BYTES: usize = 1 << 20;

/// Makes the disk agree with what was read: the last segment is written again, with zeros behind
/// its last block, and what was given up or not finished is removed.
fn mend(files: &dyn Files, next: &Next) -> Result<(), Halt> {
    let tidy = || {
        segment::remove_unfinished(files)?;
        if let Some(end) = next.end {
            let name = segment::name(end.segment);
            let file = files.open(&name)?;
            mend_up_to(&*file, end.offset)?;
            file.sync()?;
        }
        files.sync_names()
    };
    tidy().map_err(|error| Halt::io(files.place(""), "mend the last segment", error))?;
    for segment in segment::numbers(files)?.into_iter().filter(|number| *number < next.oldest) {
        let name = segment::name(segment);
        files
            .remove(&name)
            .map_err(|error| Halt::io(files.place(&name), "remove a segment", error))?;
    }
    Ok(())
}
