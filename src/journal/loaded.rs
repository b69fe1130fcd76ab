//! One segment in memory, as far as it was needed.
//!
//! It is read piece by piece: whoever takes in its first blocks need not wait for the last, and of
//! a segment that was made ready and not used only the front is read to know as much. Where a block
//! stands and what follows it is not known here.

use super::files::{File, Files};
use super::format::{
    Block, HEADER_BYTES, HeaderError, SECTOR_BYTES, SegmentHeader, Sound, length_at_front,
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
    memory: Vec<u8>,
    /// How much of it is read, and how long it is.
    read: usize,
    length: usize,
}

impl Loaded {
    /// Opens it, to be read into `memory`, which is used again: fresh memory for each segment would
    /// cost as much as reading it.
    pub(super) fn open(files: &dyn Files, segment: u64, mut memory: Vec<u8>) -> Result<Self, Halt> {
        let name = segment::name(segment);
        let halt = |damage| Halt { file: files.place(&name), offset: 0, damage };
        let opened = files.open(&name).and_then(|file| Ok((file.length()?, file)));
        let (length, file) = opened.map_err(|error| Halt::io(files.place(&name), READ, error))?;
        let mut length = length as usize;
        if memory.capacity() < length {
            memory = Vec::with_capacity(length);
        }
        let mut read = 0;
        let place = files.place(&name);
        load(&*file, &place, &mut memory, HEADER_BYTES, (&mut read, &mut length))?;
        let header = SegmentHeader::decode(&memory[..read]).map_err(|error| match error {
            HeaderError::Broken => halt(Damage::Header),
            HeaderError::Version(version) => halt(Damage::Version(version)),
        })?;
        if header.segment != segment {
            return Err(halt(Damage::Misnamed { segment: header.segment }));
        }
        let (crc_start, offset, sealed) = (header.crc_start(), HEADER_BYTES, false);
        Ok(Self { segment, header, offset, sealed, crc_start, file, place, memory, read, length })
    }

    /// Its memory, to read the next one into.
    pub(super) fn memory(self) -> Vec<u8> {
        self.memory
    }

    /// What was read of it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[..self.read]
    }

    /// All that stands where the next block should, and behind.
    pub(super) fn rest(&mut self) -> Result<&[u8], Halt> {
        self.load(usize::MAX)?;
        Ok(&self.bytes()[self.offset.min(self.read)..])
    }

    /// The sound block that comes next.
    pub(super) fn next_sound(&mut self) -> Result<Option<Sound>, Halt> {
        loop {
            let rest = self.bytes().get(self.offset..).unwrap_or(&[]);
            if let Some(block) = Block::at_front(rest, self.crc_start) {
                return Ok(Some(block.sound()));
            }
            let Some(bytes) = length_at_front(rest) else { return Ok(None) };
            if self.read == self.length || bytes <= rest.len() {
                return Ok(None);
            }
            self.load(self.offset + bytes)?;
        }
    }

    /// A sound block anywhere where the next should be, or behind.
    pub(super) fn search(&mut self) -> Result<Option<usize>, Halt> {
        self.load(usize::MAX)?;
        let is_sound =
            |offset: &usize| Block::at_front(&self.bytes()[*offset..], self.crc_start).is_some();
        Ok((self.offset..self.read).step_by(SECTOR_BYTES).find(is_sound))
    }

    /// Reads at least so many bytes from its start on, if there are as many.
    fn load(&mut self, least: usize) -> Result<(), Halt> {
        let Self { file, place, memory, read, length, .. } = self;
        load(&**file, place, memory, least, (read, length))
    }
}

fn load(
    file: &dyn File,
    place: &str,
    memory: &mut Vec<u8>,
    least: usize,
    (read, length): (&mut usize, &mut usize),
) -> Result<(), Halt> {
    while *read < least.min(*length) {
        let end = (*read + PIECE_BYTES).min(*length);
        if memory.len() < end {
            memory.resize(end, 0);
        }
        let count = file
            .read_at(*read as u64, &mut memory[*read..end])
            .map_err(|error| Halt::io(place.to_owned(), READ, error))?;
        *read += count;
        if *read < end {
            // It was shortened meanwhile.
            *length = *read;
        }
    }
    Ok(())
}

/// What is read at once: a few blocks at least. Tests have short segments.
const PIECE_BYTES: usize = if cfg!(test) { 1 << 10 } else { 1 << 20 };

const READ: &str = "read the file";
