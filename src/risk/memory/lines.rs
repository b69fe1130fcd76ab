//! A memory line by line: for whoever takes it to the disk and back.
//!
//! A line means the same in every life that has the same secret and the same clock: its key names
//! the set of windows as well, and its time is that of the memory, which [`Memory::begin_at`] sets
//! so that it goes on where it stopped. What is over is neither taken nor put back.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Entry, LINES, Memory};

/// One key and what is remembered of it.
pub type Kept = [u64; LINE_WORDS];

/// Words of a line.
pub const LINE_WORDS: usize = 8;

impl Memory {
    /// How many pages there are.
    pub const fn pages(&self) -> usize {
        self.pages
    }

    /// Puts the lines of a page that matter at `now_ms` behind `kept`. Nobody waits for that: the
    /// page is locked only if somebody changes it whenever it is read.
    pub fn copy_page(&self, page: usize, now_ms: u64, kept: &mut Vec<Kept>) {
        let known = kept.len();
        let guard = self.guard(page);
        if page >= self.pages || guard.len.load(Ordering::Relaxed) == 0 {
            return;
        }
        let stays = |line: &Kept| line[0] != 0 && !entry(line).is_over(now_ms);
        let lines = &self.lines()[page * LINES..][..LINES];
        let mut copy = || {
            kept.truncate(known);
            kept.extend(lines.iter().map(words).filter(stays));
        };
        let is_whole = (0..LOOKS).any(|_| guard.lock.look(&mut copy).is_some());
        if !is_whole {
            let _page = self.lock(page);
            copy();
        }
    }

    /// Remembers a line again; false if there is no room for it. Nothing is counted yet.
    pub fn put_back(&self, line: &Kept, now_ms: u64) -> bool {
        let (key, entry) = (line[0], entry(line));
        if key == 0 || entry.is_over(now_ms) {
            return true;
        }
        let page = self.lock(self.page(key));
        let place = page.room(key, now_ms);
        if let Some(place) = place {
            page.put(place, key, &entry);
        }
        place.is_some()
    }

    /// The origin of time is this moment in the time of the memory. To be called before anything
    /// is counted.
    pub fn begin_at(&self, ms: u64) {
        self.origin_ms.store(ms, Ordering::Relaxed);
    }
}

/// How often a page is read before it is locked for that.
const LOOKS: usize = 64;

fn words(line: &[AtomicU64; LINE_WORDS]) -> Kept {
    line.each_ref().map(|word| word.load(Ordering::Relaxed))
}

fn entry(line: &Kept) -> Entry {
    let [_, words @ ..] = *line;
    Entry::from_words(words)
}
