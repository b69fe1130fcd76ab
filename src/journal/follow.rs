//! Reading a journal while it grows: what has been stored since the last look.
//!
//! For what lives off the path and behind: indexes, exports. It checks that each block is sound
//! and that it opens, not that the journal as a whole is: that was done at the start.

use std::io;
use std::sync::Arc;

use super::files::{File, Files};
use super::format::{Block, HEADER_BYTES, SegmentHeader, block_bytes};
use super::halt::{Damage, Halt};
use super::key::Key;
use super::open::{Last, Opener};
use super::recover::{Place, Recovered};
use super::scan::Found;
use super::segment;

/// A reader that stays at the end of a journal.
#[derive(Debug)]
pub struct Follow {
    files: Arc<dyn Files>,
    opener: Opener,
    at: Place,
    open: Option<(SegmentHeader, Box<dyn File>)>,
    bytes: Vec<u8>,
}

impl Follow {
    /// From the block at `place` on; from the oldest segment on if it is gone.
    pub fn new(files: Arc<dyn Files>, key: Key, place: Place) -> Self {
        let offset = place.offset.max(HEADER_BYTES as u64);
        let at = Place { offset, ..place };
        Self { files, opener: Opener::new(&key), at, open: None, bytes: Vec::new() }
    }

    /// Behind the last block that was handed up.
    pub const fn place(&self) -> Place {
        self.at
    }

    /// Hands the batches of the next block up; false if there is none yet.
    pub fn next(&mut self, each: &mut dyn FnMut(Recovered<'_>)) -> Result<bool, Halt> {
        loop {
            if self.open.is_none() && !self.open()? {
                return Ok(false);
            }
            let Some((header, file)) = &self.open else { return Ok(false) };
            let Self { files, opener, at, bytes, .. } = self;
            load(&**file, at.offset, header.crc_start(), bytes)
                .map_err(|error| Halt::io(files.place(&segment::name(at.segment)), READ, error))?;
            let Some(block) = Block::at_front(bytes, header.crc_start()) else {
                return Ok(false);
            };
            let found = Found { header, offset: at.offset, block };
            opener.open(&**files, &found, &mut Last::default(), each)?;
            let (seals, batches) = (block.header.seals, block.header.batches);
            at.offset += block.sound().bytes as u64;
            if seals {
                self.at = Place { segment: self.at.segment + 1, offset: HEADER_BYTES as u64 };
                self.open = None;
            }
            if batches > 0 {
                return Ok(true);
            }
        }
    }

    /// Opens the segment it stands in, or the oldest one if that is gone; false if it is not there
    /// yet.
    fn open(&mut self) -> Result<bool, Halt> {
        let numbers = segment::numbers(&*self.files)?;
        let Some(segment) = numbers.into_iter().find(|number| *number >= self.at.segment) else {
            return Ok(false);
        };
        if segment > self.at.segment {
            self.at = Place { segment, offset: HEADER_BYTES as u64 };
        }
        let name = segment::name(segment);
        let mut head = [0; HEADER_BYTES];
        let file = self.files.open(&name).and_then(|file| {
            file.read_at(0, &mut head)?;
            Ok(file)
        });
        if file.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            // Removed for its age since the folder was read: the next look begins behind it.
            return Ok(false);
        }
        let file = file.map_err(|error| Halt::io(self.files.place(&name), READ, error))?;
        let header = SegmentHeader::decode(&head).map_err(|_| Halt {
            file: self.files.place(&name),
            offset: 0,
            damage: Damage::Header,
        })?;
        self.open = Some((header, file));
        Ok(true)
    }
}

/// The batches of the block at `place`, found earlier by following; none if it is gone.
pub fn read_block(
    files: Arc<dyn Files>,
    key: &Key,
    place: Place,
    each: &mut dyn FnMut(Recovered<'_>),
) -> Result<bool, Halt> {
    let mut follow = Follow::new(files, key.clone(), place);
    let found = follow.open()? && follow.at == place;
    Ok(found && follow.next(each)?)
}

/// Reads what may be a block at `offset`: all of it, if it says how long it is.
fn load(file: &dyn File, offset: u64, crc_start: u32, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.resize(FIRST_BYTES, 0);
    let count = file.read_at(offset, bytes)?;
    bytes.truncate(count);
    let payload = bytes.get(8..12).and_then(|field| field.try_into().ok()).map(u32::from_le_bytes);
    let whole = payload.map_or(0, |payload| block_bytes(payload as usize));
    if whole > count && whole <= WHOLE_BYTES_MAX && Block::at_front(bytes, crc_start).is_none() {
        bytes.resize(whole, 0);
        let count = file.read_at(offset, bytes)?;
        bytes.truncate(count);
    }
    Ok(())
}

/// A block, with its header and what fills its last sector.
const WHOLE_BYTES_MAX: usize = super::BLOCK_BYTES_MAX + 1024;

const READ: &str = "read the file";

/// Most blocks are shorter.
const FIRST_BYTES: usize = 32 << 10;
