//! The growing end of the journal: one segment, block after block, no thread and no queue.
//!
//! Nothing is tried twice. After a failed write or sync the log is not used again, because what
//! the disk holds is not known any more, and a second sync that succeeds proves nothing.

use std::io;

use super::Durability;
use super::files::Files;
use super::format::{
    self, BLOCK_OVERHEAD_BYTES, BlockHeader, Chain, HEADER_BYTES, SECTOR_BYTES, block_bytes,
};
use super::key::Key;
use super::recover::{Kept, Next};
use super::segment::{self, Segment};
use crate::base::time::Wall;
use crate::switch::batch::Batch;

/// The segment that is written, and where it ends.
#[derive(Debug)]
pub(super) struct Log {
    segment: Segment,
    end: u64,
    number: u64,
    chain: Chain,
    oldest: u64,
    written: Wall,
    durability: Durability,
    /// The block that is being written.
    block: Vec<u8>,
}

/// The first operation that failed; there is no second one.
#[derive(Debug)]
pub struct Failure {
    /// The file, as an operator finds it.
    pub file: String,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What was tried.
    pub doing: &'static str,
    /// What the system said.
    pub error: io::Error,
}

impl Log {
    /// Goes on where the journal was read to, in a segment of its own.
    pub(super) fn new(next: &Next, segment: Segment, durability: Durability, now: Wall) -> Self {
        Self {
            segment,
            end: HEADER_BYTES as u64,
            number: next.number,
            chain: next.chain,
            oldest: next.oldest,
            written: now,
            durability,
            block: Vec::new(),
        }
    }

    /// Bytes of batches that the next block can hold in this segment.
    pub(super) fn room(&self) -> usize {
        // The block that finishes the segment needs its sector.
        let left = self.segment.bytes.saturating_sub(self.end + SECTOR_BYTES as u64);
        let left = usize::try_from(left).unwrap_or(usize::MAX) / SECTOR_BYTES * SECTOR_BYTES;
        left.saturating_sub(BLOCK_OVERHEAD_BYTES)
    }

    /// True if less than a quarter of the segment is left.
    pub(super) const fn is_low(&self) -> bool {
        self.segment.bytes - self.end < self.segment.bytes / 4
    }

    /// The segment that is being written.
    pub(super) const fn segment(&self) -> u64 {
        self.segment.number
    }

    /// Segments before this one are given up.
    pub(super) const fn oldest(&self) -> u64 {
        self.oldest
    }

    /// Segments before this one may be removed as soon as the next block is durable.
    pub(super) const fn give_up_before(&mut self, oldest: u64) {
        self.oldest = oldest;
    }

    /// Stores `batches` as one block; when this returns, they are as durable as they get.
    pub(super) fn store(
        &mut self,
        files: &dyn Files,
        batches: &[(u8, Batch)],
        now: Wall,
    ) -> Result<(), Failure> {
        self.append(files, batches, false, now)
    }

    /// Finishes the segment and goes on in `segment`, which follows it. Whose last batch is in it
    /// is not known here.
    pub(super) fn rotate(
        &mut self,
        files: &dyn Files,
        segment: Segment,
        now: Wall,
    ) -> Result<Kept, Failure> {
        debug_assert_eq!(segment.number, self.segment.number + 1, "segments follow each other");
        self.append(files, &[], true, now)?;
        let kept = Kept { segment: self.segment.number, written: now, last: Box::default() };
        self.segment = segment;
        self.end = HEADER_BYTES as u64;
        Ok(kept)
    }

    fn append(
        &mut self,
        files: &dyn Files,
        batches: &[(u8, Batch)],
        seals: bool,
        now: Wall,
    ) -> Result<(), Failure> {
        // A clock that was set back must not make a segment look older than the one before.
        self.written = self.written.max(now);
        let header = BlockHeader {
            payload_bytes: 0,
            batches: 0,
            seals,
            number: self.number,
            segment: self.segment.number,
            oldest: self.oldest,
            written: self.written,
            previous: self.chain,
        };
        let Segment { seal, crc_start, file, .. } = &self.segment;
        let chain = format::write_block(header, batches, seal, *crc_start, &mut self.block);
        debug_assert!(
            self.end + self.block.len() as u64 <= self.segment.bytes,
            "a block is only begun if it has room"
        );
        let (offset, number) = (self.end, self.segment.number);
        let failure = |doing, error| Failure {
            file: files.place(&segment::name(number)),
            offset,
            doing,
            error,
        };
        file.write_all_at(offset, &self.block).map_err(|error| failure("write a block", error))?;
        if self.durability == Durability::Power {
            file.sync().map_err(|error| failure("sync a block", error))?;
        }
        self.end += self.block.len() as u64;
        self.number += 1;
        self.chain = chain;
        Ok(())
    }
}

/// Finishes the segment in which the run before ended, now that there is one that follows it.
pub(super) fn seal_last(
    files: &dyn Files,
    key: &Key,
    next: &mut Next,
    now: Wall,
) -> io::Result<()> {
    let Some(end) = next.end.filter(|end| !end.sealed) else { return Ok(()) };
    let file = files.open(&segment::name(end.segment))?;
    let mut head = [0; HEADER_BYTES];
    file.read_at(0, &mut head)?;
    let header = format::SegmentHeader::decode(&head)
        .map_err(|_| io::Error::other("the segment header has changed"))?;
    // No secret is sealed with it: a finishing block has no batch.
    let seal = key.seal(&header.salt);
    let block = BlockHeader {
        payload_bytes: 0,
        batches: 0,
        seals: true,
        number: next.number,
        segment: end.segment,
        oldest: next.oldest,
        written: end.written.max(now),
        previous: next.chain,
    };
    let mut bytes = Vec::new();
    let chain = format::write_block(block, &[], &seal, header.crc_start(), &mut bytes);
    file.write_all_at(end.offset, &bytes)?;
    file.sync()?;
    // What it did not use of the disk is given back.
    file.shorten(end.offset + block_bytes(0) as u64)?;
    next.number += 1;
    next.chain = chain;
    next.end = None;
    Ok(())
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, offset, doing, error } = self;
        write!(f, "{file}, offset {offset}: cannot {doing}: {error}. Nothing is stored any more")
    }
}

impl std::error::Error for Failure {}
