//! Reading a journal while it grows: what has been stored since the last look.
//!
//! For what lives off the path and behind: indexes, exports. It checks that each block is sound
//! and that it opens, not that the journal as a whole is: that was done at the start.

use std::io;
use std::sync::Arc;

use super::files::{File, Files};
use super::format::{Block, HEADER_BYTES, SegmentHeader, Sound, length_at_front};
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
    piece: Piece,
}

/// What was read of the open segment last.
#[derive(Debug, Default)]
struct Piece {
    bytes: Vec<u8>,
    /// Where it begins in the segment.
    from: u64,
    /// How much is read next: more, where more was found.
    next_bytes: usize,
}

impl Follow {
    /// From the block at `place` on; from the oldest segment on if it is gone.
    pub fn new(files: Arc<dyn Files>, key: Key, place: Place) -> Self {
        let offset = place.offset.max(HEADER_BYTES as u64);
        let at = Place { offset, ..place };
        Self { files, opener: Opener::new(&key), at, open: None, piece: Piece::default() }
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
            let Self { files, opener, at, piece, .. } = self;
            let block = piece
                .block(&**file, at.offset, header.crc_start())
                .map_err(|error| Halt::io(files.place(&segment::name(at.segment)), READ, error))?;
            let Some(block) = block else { return Ok(false) };
            let found = Found { header, offset: at.offset, block };
            opener.open(&**files, &found, &mut Last::default(), each)?;
            let (seals, batches) = (block.header.seals, block.header.batches);
            at.offset += block.sound().bytes as u64;
            if seals {
                self.piece.bytes.clear();
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

impl Piece {
    /// The block at `offset`, if there is one by now.
    fn block(
        &mut self,
        file: &dyn File,
        offset: u64,
        crc_start: u32,
    ) -> io::Result<Option<Block<'_>>> {
        // Checked once: the check reads every byte.
        let sound = match self.sound(offset, crc_start) {
            None => self.load(file, offset, crc_start)?,
            sound => sound,
        };
        let block =
            sound.and_then(|sound| Some(sound.over(self.behind(offset).get(..sound.bytes)?)));
        Ok(block)
    }

    fn sound(&self, offset: u64, crc_start: u32) -> Option<Sound> {
        Block::at_front(self.behind(offset), crc_start).map(|block| block.sound())
    }

    fn behind(&self, offset: u64) -> &[u8] {
        let at = offset.checked_sub(self.from).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.bytes.get(at..)).unwrap_or(&[])
    }

    /// Reads what may be a block at `offset`, and some of what is behind it; all of the block, if
    /// it says how long it is.
    fn load(&mut self, file: &dyn File, offset: u64, crc_start: u32) -> io::Result<Option<Sound>> {
        self.read(file, offset, self.next_bytes.max(FIRST_BYTES))?;
        let whole = length_at_front(&self.bytes).unwrap_or(0);
        let sound = self.sound(offset, crc_start);
        self.next_bytes = sound.map_or(0, |_| (2 * self.bytes.len()).min(PIECE_BYTES));
        if sound.is_some() || whole <= self.bytes.len() || whole > WHOLE_BYTES_MAX {
            return Ok(sound);
        }
        self.read(file, offset, whole)?;
        Ok(self.sound(offset, crc_start))
    }

    fn read(&mut self, file: &dyn File, offset: u64, bytes: usize) -> io::Result<()> {
        self.bytes.resize(bytes, 0);
        self.from = offset;
        let count = file.read_at(offset, &mut self.bytes)?;
        self.bytes.truncate(count);
        Ok(())
    }
}

/// A block, with its header and what fills its last sector.
const WHOLE_BYTES_MAX: usize = super::BLOCK_BYTES_MAX + 1024;

const READ: &str = "read the file";

/// Where nothing new is known to be: most blocks are shorter.
const FIRST_BYTES: usize = 32 << 10;

/// The most that is read at once, if no block is longer.
const PIECE_BYTES: usize = 256 << 10;
