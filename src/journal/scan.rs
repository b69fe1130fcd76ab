//! Reading a journal from its oldest segment to its end, and knowing an end from a hole.
//!
//! Where no sound block follows the last one, there is either the end of what was written, with
//! or without a torn block, or damage. It is the end only if no sound block stands anywhere
//! behind it, in this segment or a later one. Zeros prove nothing.

use super::files::Files;
use super::format::{Block, CHAIN_START, Chain, SegmentHeader};
use super::halt::{Damage, Halt};
use super::loaded::Loaded;
use super::segment;
use crate::base::time::Wall;

/// A walk over all blocks.
pub(super) struct Scan<'f> {
    files: &'f dyn Files,
    /// Segments that are still to be read, the next one at the end.
    ahead: Vec<u64>,
    loaded: Option<Loaded>,
    /// Memory of a segment that was left.
    spare: Vec<u8>,
    /// The number the next block must have, and what it follows; unknown at the front of a
    /// journal whose first segments were given up.
    expected: Option<(u64, Chain)>,
    end: Option<End>,
    oldest: u64,
    is_torn: bool,
}

/// The end of the last block that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) sealed: bool,
    pub(super) number: u64,
    pub(super) chain: Chain,
    pub(super) written: Wall,
}

/// A block in its place.
pub(super) struct Found<'s> {
    pub(super) header: &'s SegmentHeader,
    pub(super) offset: u64,
    pub(super) block: Block<'s>,
}

impl<'f> Scan<'f> {
    pub(super) fn new(files: &'f dyn Files) -> Result<Self, Halt> {
        let mut ahead = segment::numbers(files)?;
        let mut spare = Vec::new();
        let oldest = oldest(files, &ahead, &mut spare)?;
        // What was given up but not removed yet is not part of the journal any more.
        ahead.retain(|segment| *segment >= oldest);
        let first = ahead.first().copied().unwrap_or(oldest);
        let gap = ahead.iter().zip(first..).find(|(is, should)| *is != should);
        let missing = match gap {
            _ if first != oldest => Some(oldest),
            Some((_, should)) => Some(should),
            None => None,
        };
        if let Some(missing) = missing {
            return Err(missing_segment(files, missing));
        }
        ahead.reverse();
        let expected = (oldest == 1).then_some((1, CHAIN_START));
        let (loaded, end, is_torn) = (None, None, false);
        Ok(Self { files, ahead, loaded, spare, expected, end, oldest, is_torn })
    }

    /// The next block, or nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<Found<'_>>, Halt> {
        loop {
            let Some(mut loaded) = self.loaded.take() else {
                let Some(segment) = self.ahead.pop().or(self.later()?) else {
                    return self.finish();
                };
                let spare = std::mem::take(&mut self.spare);
                self.loaded = Some(Loaded::open(self.files, segment, spare)?);
                continue;
            };
            if loaded.sealed {
                self.leave(&mut loaded)?;
                self.spare = loaded.memory();
                continue;
            }
            let Some(sound) = loaded.next_sound()? else {
                let ahead = self.ahead.clone();
                let Err(hole) = self.end_or_hole(&mut loaded) else { return Ok(None) };
                // A block that is written while its segment is read may be missing in front of one
                // that is not.
                let mut again = Loaded::open(self.files, loaded.segment, Vec::new())?;
                again.offset = loaded.offset;
                if again.next_sound()?.is_none() {
                    return Err(hole);
                }
                (self.ahead, self.is_torn) = (ahead, false);
                self.loaded = Some(again);
                continue;
            };
            let offset = loaded.offset;
            loaded.offset += sound.bytes;
            loaded.sealed = sound.header.seals;
            let loaded = self.loaded.insert(loaded);
            let block = sound.over(loaded.bytes(offset, sound.bytes));
            let header = block.header;
            let (number, previous) = self.expected.unwrap_or((header.number, header.previous));
            let fits = header.segment == loaded.segment && header.number == number;
            if !fits || header.previous != previous {
                let damage = Damage::Misplaced { found: header.number, expected: number };
                let file = self.files.place(&segment::name(loaded.segment));
                return Err(Halt { file, offset: offset as u64, damage });
            }
            self.expected = Some((number + 1, block.chain));
            self.end = Some(End {
                segment: loaded.segment,
                offset: loaded.offset as u64,
                sealed: loaded.sealed,
                number,
                chain: block.chain,
                written: header.written,
            });
            return Ok(Some(Found { header: &loaded.header, offset: offset as u64, block }));
        }
    }

    /// After the last block: where it ended, if there is any.
    pub(super) const fn end(&self) -> Option<End> {
        self.end
    }

    /// Segments before this one are no part of the journal.
    pub(super) const fn oldest(&self) -> u64 {
        self.oldest
    }

    /// After the last block: true if there were bytes behind it that are no block.
    pub(super) const fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// A finished segment has nothing behind its last block.
    fn leave(&self, loaded: &mut Loaded) -> Result<(), Halt> {
        loaded.trailing()?.map_or(Ok(()), |at| {
            let file = self.files.place(&segment::name(loaded.segment));
            Err(Halt { file, offset: at as u64, damage: Damage::Trailing })
        })
    }

    /// The segment behind the last one, if it was begun since the segments were listed.
    fn later(&self) -> Result<Option<u64>, Halt> {
        let Some(end) = self.end.filter(|end| end.sealed && !self.is_torn) else {
            return Ok(None);
        };
        let numbers = segment::numbers(self.files)?;
        Ok(numbers.into_iter().find(|number| *number == end.segment + 1))
    }

    /// All segments were read and finished: then there is one more, which was made before the
    /// last one was finished.
    fn finish(&self) -> Result<Option<Found<'_>>, Halt> {
        match self.end {
            Some(end) if end.sealed && !self.is_torn => {
                Err(missing_segment(self.files, end.segment + 1))
            }
            _ => Ok(None),
        }
    }

    fn end_or_hole(&mut self, loaded: &mut Loaded) -> Result<(), Halt> {
        let at = loaded.offset;
        self.is_torn = loaded.trailing()?.is_some();
        // Where all is zero there is no block.
        let found = if self.is_torn { loaded.search()? } else { None };
        let mut sound = found.map(|offset| (loaded.segment, offset));
        while let Some(segment) = self.ahead.pop().filter(|_| sound.is_none()) {
            let spare = std::mem::take(&mut self.spare);
            let mut later = Loaded::open(self.files, segment, spare)?;
            sound = later.search()?.map(|offset| (segment, offset));
            self.spare = later.memory();
        }
        let Some((segment, offset)) = sound else { return Ok(()) };
        let place = |segment: u64| self.files.place(&segment::name(segment));
        let damage = Damage::Hole { file: place(segment), offset: offset as u64 };
        Err(Halt { file: place(loaded.segment), offset: at as u64, damage })
    }
}

/// The oldest segment that is kept, according to the last block there is.
fn oldest(files: &dyn Files, segments: &[u64], spare: &mut Vec<u8>) -> Result<u64, Halt> {
    for segment in segments.iter().rev() {
        let mut loaded = Loaded::open(files, *segment, std::mem::take(spare))?;
        let mut oldest = None;
        while let Some(sound) = loaded.next_sound()? {
            oldest = Some(sound.header.oldest);
            loaded.offset += sound.bytes;
        }
        *spare = loaded.memory();
        if let Some(oldest) = oldest {
            return Ok(oldest);
        }
    }
    Ok(1)
}

fn missing_segment(files: &dyn Files, segment: u64) -> Halt {
    Halt { file: files.place(&segment::name(segment)), offset: 0, damage: Damage::Missing }
}
