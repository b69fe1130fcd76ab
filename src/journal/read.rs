//! Reading a journal without opening it for writing: for people, exports and rebuilding indexes.
//!
//! Nothing is changed, nothing is locked. Read next to a running switch, the end may look torn, and
//! what is written meanwhile may be part of it or not.

use std::collections::VecDeque;

use super::files::Files;
use super::format::BLOCK_HEADER_BYTES;
use super::halt::{Damage, Halt};
use super::key::Key;
use super::open::{Last, Opener};
use super::recover::{Place, Recovered};
use super::scan::{Found, Scan};
use super::segment;
use crate::base::time::Wall;

/// A batch as it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where its block starts.
    pub place: Place,
    /// Whose.
    pub worker: u8,
    /// Its number, as handed in.
    pub number: u64,
    /// True if it may use the reserve.
    pub urgent: bool,
    /// When its block was written.
    pub written: Wall,
    /// What is stored in clear.
    pub clear: Vec<u8>,
    /// What is stored encrypted, decrypted.
    pub secret: Vec<u8>,
}

/// All batches of a journal, up to its end or the first damage.
pub struct Records<'f> {
    files: &'f dyn Files,
    opener: Opener,
    scan: Scan<'f>,
    last: Last,
    ready: VecDeque<Record>,
    is_over: bool,
}

/// Reads the journal in `files` from its oldest segment on.
pub fn read<'f>(files: &'f dyn Files, key: &'f Key) -> Result<Records<'f>, Halt> {
    let scan = Scan::new(files)?;
    let (last, ready) = (Last::default(), VecDeque::new());
    let opener = Opener::new(key);
    Ok(Records { files, opener, scan, last, ready, is_over: false })
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Halt>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.is_over {
            let ready = &mut self.ready;
            let mut each = |batch: Recovered<'_>| {
                ready.push_back(Record {
                    place: batch.place,
                    worker: batch.worker,
                    number: batch.number,
                    urgent: batch.urgent,
                    written: batch.written,
                    clear: batch.clear.to_vec(),
                    secret: batch.secret.to_vec(),
                });
            };
            let opened = match self.scan.next() {
                Ok(Some(found)) => self.opener.open(self.files, &found, &mut self.last, &mut each),
                Ok(None) => {
                    self.is_over = true;
                    return None;
                }
                Err(halt) => Err(halt),
            };
            if let Err(halt) = opened {
                self.is_over = true;
                return Some(Err(halt));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

/// What [`verify`] found.
#[derive(Debug)]
pub struct Verified {
    /// Segments with at least one sound block, oldest first.
    pub segments: Vec<VerifiedSegment>,
    /// The end of the last block, if bytes behind it are no block: a torn tail, which the next
    /// start cuts.
    pub torn: Option<Place>,
    /// The first damage. What is behind it was not looked at.
    pub damage: Option<Halt>,
}

/// A segment and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSegment {
    /// Its number.
    pub segment: u64,
    /// The file, as an operator finds it.
    pub file: String,
    /// When it was made.
    pub created: Wall,
    /// When its last block was written.
    pub written: Wall,
    /// Sound blocks.
    pub blocks: u64,
    /// Batches in them.
    pub batches: u64,
    /// Bytes of the blocks, without what fills sectors.
    pub bytes: u64,
    /// True if the next segment follows.
    pub is_finished: bool,
}

/// Checks every block; with a key, also that every secret part can be opened.
pub fn verify(files: &dyn Files, key: Option<&Key>) -> Verified {
    let mut verified = Verified { segments: Vec::new(), torn: None, damage: None };
    verified.damage = verify_into(files, key, &mut verified).err();
    verified
}

fn verify_into(files: &dyn Files, key: Option<&Key>, verified: &mut Verified) -> Result<(), Halt> {
    let mut scan = Scan::new(files)?;
    let mut last = Last::default();
    let mut opener = key.map(Opener::new);
    while let Some(found) = scan.next()? {
        match &mut opener {
            Some(opener) => {
                opener.open(files, &found, &mut last, &mut |_| {})?;
            }
            None if found.block.entries().is_none() => {
                let file = files.place(&segment::name(found.header.segment));
                return Err(Halt { file, offset: found.offset, damage: Damage::Malformed });
            }
            None => {}
        }
        note(files, &found, &mut verified.segments);
    }
    if scan.is_torn() {
        verified.torn = scan.end().map(|end| Place { segment: end.segment, offset: end.offset });
    }
    Ok(())
}

fn note(files: &dyn Files, found: &Found<'_>, segments: &mut Vec<VerifiedSegment>) {
    let Found { header, block, .. } = found;
    if segments.last().is_none_or(|last| last.segment != header.segment) {
        segments.push(VerifiedSegment {
            segment: header.segment,
            file: files.place(&segment::name(header.segment)),
            created: header.created,
            written: block.header.written,
            blocks: 0,
            batches: 0,
            bytes: 0,
            is_finished: false,
        });
    }
    let Some(last) = segments.last_mut() else { return };
    last.blocks += 1;
    last.batches += u64::from(block.header.batches);
    last.bytes += BLOCK_HEADER_BYTES as u64 + u64::from(block.header.payload_bytes);
    last.written = block.header.written;
    last.is_finished = block.header.seals;
}
