//! Opening a journal: read all of it, hand every batch up, cut a torn tail.
//!
//! The last segment is written once more, as it was read, and synced. If the run before ended
//! with a failed sync, the system may show bytes that are not on the disk, and would never write
//! them; what was just handed up must not vanish later. It is done in place, needs no room, and
//! may be killed anywhere: each byte that belongs to the journal is replaced by itself.

use std::any::Any;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use super::Options;
use super::ahead::read_ahead;
use super::files::{File, Files};
use super::format::{CHAIN_START, Chain};
use super::halt::{Damage, Halt};
use super::open::{Last, Opener};
use super::scan::{End, Scan};
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
    pub(super) lock: Box<dyn Any + Send + Sync>,
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
    let read = read_ahead(|each| read(options, files, lock, each), each);
    read.map_err(|error| Halt::io(files.place(""), "start a thread", error))?
}

/// The same, here and now.
fn read(
    options: &Options,
    files: &dyn Files,
    lock: Box<dyn Any + Send + Sync>,
    each: &mut dyn FnMut(Recovered<'_>),
) -> Result<Recovery, Halt> {
    let mut scan = Scan::new(files)?;
    let (mut blocks, mut batches) = (0, 0);
    let (mut opener, mut last) = (Opener::new(&options.key), Last::default());
    let mut kept: VecDeque<Kept> = VecDeque::new();
    while let Some(found) = scan.next()? {
        blocks += 1;
        let (segment, written) = (found.header.segment, found.block.header.written);
        match kept.back_mut() {
            Some(kept) if kept.segment == segment => kept.written = written,
            before => {
                before.into_iter().for_each(|kept| kept.last = last.of_each().into());
                kept.push_back(Kept { segment, written, last: Box::default() });
            }
        }
        batches += opener.open(files, &found, &mut last, each)?;
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
    kept.back_mut().into_iter().for_each(|kept| kept.last = last.of_each().into());
    let last = last.of_at_least(usize::from(options.workers));
    Ok(Recovery { blocks, batches, cut, last, next, kept, lock })
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
