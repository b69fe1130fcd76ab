//! One segment, a piece of it in memory.
//!
//! It is read piece by piece: whoever takes in its first blocks need not wait for the last, and of
//! a segment that was made ready and not used only the front is read to know as much. A piece
//! replaces the one before, in memory that is in the caches by then: to take a whole segment in
//! would cost more than to read it. Where a block stands and what follows it is not known here.

use super::files::{File, Files};
use super::format::{
    self, Block, HEADER_BYTES, HeaderError, SECTOR_BYTES, SegmentHeader, Sound, length_at_front,
};
use super::halt::{Damage, Halt};
use super::segment;

/// A segment and how far it was walked.
pub(super) struct Loaded {
    pub(super) segment: u64,
    pub(super) header: SegmentHeader,
    /// Where the next block starts.
    pub(super) offset: usize,
    /// The walk has passed the block that finishes it.
    pub(super) sealed: bool,
    crc_start: u32,
    file: Box<dyn File>,
    place: String,
    length: usize,
    /// What was read of it last, from here on.
    piece: Vec<u8>,
    from: usize,
}

impl Loaded {
    /// Opens it, to be read into `memory`, which is used again.
    pub(super) fn open(files: &dyn Files, segment: u64, mut memory: Vec<u8>) -> Result<Self, Halt> {
        let name = segment::name(segment);
        let halt = |damage| Halt { file: files.place(&name), offset: 0, damage };
        let opened = files.open(&name).and_then(|file| {
            let mut head = [0; HEADER_BYTES];
            let count = file.read_at(0, &mut head)?;
            Ok((file.length()?, SegmentHeader::decode(&head[..count]), file))
        });
        let (length, header, file) =
            opened.map_err(|error| Halt::io(files.place(&name), READ, error))?;
        let header = header.map_err(|error| match error {
            HeaderError::Broken => halt(Damage::Header),
            HeaderError::Version(version) => halt(Damage::Version(version)),
        })?;
        if header.segment != segment {
            return Err(halt(Damage::Misnamed { segment: header.segment }));
        }
        memory.clear();
        let (crc_start, offset, sealed) = (header.crc_start(), HEADER_BYTES, false);
        let (place, length) = (files.place(&name), length as usize);
        let (piece, from) = (memory, offset);
        Ok(Self { segment, header, offset, sealed, crc_start, file, place, length, piece, from })
    }

    /// Its memory, to read the next one into.
    pub(super) fn memory(self) -> Vec<u8> {
        self.piece
    }

    /// The block found last, which began at `offset`.
    pub(super) fn bytes(&self, offset: usize, bytes: usize) -> &[u8] {
        self.read_from(offset).get(..bytes).unwrap_or(&[])
    }

    /// Where something that is not zero stands, from where the next block should on.
    pub(super) fn trailing(&mut self) -> Result<Option<usize>, Halt> {
        let mut at = self.offset;
        loop {
            self.load(at, 1)?;
            let piece = self.read_from(at);
            if piece.is_empty() {
                return Ok(None);
            }
            if let Some(found) = format::not_zero(piece) {
                return Ok(Some(at + found));
            }
            at += piece.len();
        }
    }

    /// The sound block that comes next.
    pub(super) fn next_sound(&mut self) -> Result<Option<Sound>, Halt> {
        self.sound_at(self.offset)
    }

    /// A sound block anywhere where the next should be, or behind.
    pub(super) fn search(&mut self) -> Result<Option<usize>, Halt> {
        let mut at = self.offset;
        while at < self.length {
            if self.sound_at(at)?.is_some() {
                return Ok(Some(at));
            }
            at += SECTOR_BYTES;
        }
        Ok(None)
    }

    fn sound_at(&mut self, offset: usize) -> Result<Option<Sound>, Halt> {
        loop {
            let rest = self.read_from(offset);
            if let Some(block) = Block::at_front(rest, self.crc_start) {
                return Ok(Some(block.sound()));
            }
            let Some(bytes) = length_at_front(rest) else { return Ok(None) };
            let read = offset + rest.len();
            if read >= self.length || bytes <= rest.len() {
                return Ok(None);
            }
            self.load(offset, bytes)?;
        }
    }

    /// What is in memory from `offset` on.
    fn read_from(&self, offset: usize) -> &[u8] {
        let at = offset.checked_sub(self.from);
        at.and_then(|at| self.piece.get(at..)).unwrap_or(&[])
    }

    /// Has at least so many bytes from `offset` on in memory, if there are as many.
    fn load(&mut self, offset: usize, bytes: usize) -> Result<(), Halt> {
        let kept = self.read_from(offset).len();
        let end = offset.saturating_add(bytes).min(self.length);
        if offset + kept >= end {
            return Ok(());
        }
        let gone = self.piece.len() - kept;
        self.piece.copy_within(gone.., 0);
        self.from = offset;
        let wanted = end.max(offset + kept + PIECE_BYTES).min(self.length) - offset;
        self.piece.resize(wanted, 0);
        let rest = &mut self.piece[kept..];
        let count = self
            .file
            .read_at((offset + kept) as u64, rest)
            .map_err(|error| Halt::io(self.place.clone(), READ, error))?;
        if count < rest.len() {
            // It was shortened meanwhile.
            self.length = offset + kept + count;
            self.piece.truncate(kept + count);
        }
        Ok(())
    }
}

/// What is read at once: a few blocks at least. Tests have short segments.
const PIECE_BYTES: usize = if cfg!(test) { 1 << 10 } else { 256 << 10 };

const READ: &str = "read the file";
