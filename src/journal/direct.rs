//! Files past the cache of the system: what is written goes from memory to the disk.
//!
//! A journal that is synced after each block gains nothing from the cache. It pays for it: a page
//! is found or made for each 4 KiB, copied into, marked and written back, and a machine whose
//! memory is lent page by page pays for each page that was never used before. Written directly, a
//! block of 20 KiB takes the processor 32 us instead of 57 and is durable after 99 us instead of
//! 122; of 64 KiB, 43 instead of 73 and 134 instead of 152 (medians, ext4). Durability is not
//! decided here: the disk has a cache of its own, and a sync is due as ever.
//!
//! The system asks for memory, places and lengths that are whole sectors. The blocks of the journal
//! are, and so are the pages of its index; what is not, and what a filesystem does not want, goes
//! through the cache. Both ways lead to the same bytes, in any order.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam::queue::ArrayQueue;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::format::SECTOR_BYTES;

/// A second way into a file.
#[derive(Debug)]
pub(super) struct Direct {
    file: File,
    /// Room for one: a file has one thread that works on it. A second one makes its own.
    memory: ArrayQueue<Aligned>,
    /// The filesystem wanted longer sectors.
    is_refused: AtomicBool,
}

impl Direct {
    /// The file at `path`, if its filesystem offers this at all.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let flags = OFlags::DIRECT.bits().cast_signed();
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).ok()?;
        let (memory, is_refused) = (ArrayQueue::new(1), AtomicBool::new(false));
        Some(Self { file, memory, is_refused })
    }

    /// Writes all of `bytes`; false if all of that must be done in the other way.
    pub(super) fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<bool> {
        let takes = self.takes(offset, bytes.len());
        Ok(takes && self.with_memory(|memory| self.write(offset, bytes, memory))?)
    }

    /// Fills `bytes`; false if that must be done in the other way, as at the end of the file.
    pub(super) fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<bool> {
        let takes = self.takes(offset, bytes.len());
        Ok(takes && self.with_memory(|memory| self.read(offset, bytes, memory))?)
    }

    fn with_memory<T>(&self, run: impl FnOnce(&mut Aligned) -> T) -> T {
        let mut memory = self.memory.pop().unwrap_or_default();
        let done = run(&mut memory);
        drop(self.memory.push(memory));
        done
    }

    fn write(&self, offset: u64, bytes: &[u8], memory: &mut Aligned) -> io::Result<bool> {
        let mut at = offset;
        for piece in bytes.chunks(PIECE_BYTES) {
            let room = memory.room(piece.len());
            room.copy_from_slice(piece);
            match self.file.write_all_at(room, at) {
                Err(error) if self.is_refusal(&error) && at == offset => return Ok(false),
                other => other?,
            }
            at += piece.len() as u64;
        }
        Ok(true)
    }

    fn read(&self, offset: u64, bytes: &mut [u8], memory: &mut Aligned) -> io::Result<bool> {
        let mut at = offset;
        for piece in bytes.chunks_mut(PIECE_BYTES) {
            let room = memory.room(piece.len());
            match self.file.read_at(room, at) {
                Ok(count) if count == piece.len() => piece.copy_from_slice(room),
                Err(error) if !self.is_refusal(&error) && !is_interrupted(&error) => {
                    return Err(error);
                }
                // Refused, or the end of the file, whose rest may begin anywhere.
                _ => return Ok(false),
            }
            at += piece.len() as u64;
        }
        Ok(true)
    }

    fn takes(&self, offset: u64, bytes: usize) -> bool {
        let is_whole =
            offset.is_multiple_of(SECTOR_BYTES as u64) && bytes.is_multiple_of(SECTOR_BYTES);
        is_whole && !self.is_refused.load(Ordering::Relaxed)
    }

    /// True if the system did not even try, because a place or length is not to its liking.
    fn is_refusal(&self, error: &io::Error) -> bool {
        let is_refusal = error.raw_os_error() == Some(Errno::INVAL.raw_os_error());
        self.is_refused.fetch_or(is_refusal, Ordering::Relaxed);
        is_refusal
    }
}

fn is_interrupted(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
}

/// Memory that begins where the system wants it to.
#[derive(Debug, Default)]
struct Aligned {
    memory: Vec<u8>,
    from: usize,
}

impl Aligned {
    fn room(&mut self, bytes: usize) -> &mut [u8] {
        if self.memory.len() < bytes + ALIGN_BYTES {
            self.memory = vec![0; bytes + ALIGN_BYTES];
            self.from = self.memory.as_ptr().align_offset(ALIGN_BYTES);
        }
        &mut self.memory[self.from..self.from + bytes]
    }
}

/// A page, which is enough everywhere.
const ALIGN_BYTES: usize = 4096;

/// Bytes that are moved at once.
const PIECE_BYTES: usize = 1 << 20;
