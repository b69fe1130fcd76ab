//! What all workers remember together: one entry for each key and set of windows.
//!
//! One table of cache lines, each a keyed hash and its windows. A key has one page of 64 lines and
//! an order of its own in which it tries them; the page is fetched before it is needed, for all
//! keys of a request at once. Looking and counting are one step under the lock of the page, and
//! nobody ever holds two, so two workers never pass a limit of one twice.
//!
//! Why no `DashMap`: nothing of it can be fetched ahead. A look-up reads the lock, then the byte
//! that stands for the key, then the entry, each waiting for the one before, and the next key
//! waits for all of them. With ten million keys, one of the four of a request far from the cache,
//! that took 3.2 us; this takes 0.5, and 0.8 if all four are far (`benches/risk.rs`, two shared
//! cores). A map also grows by moving all it has, and is swept whole; this table does neither.
//!
//! The room is there from the beginning, and costs memory only where it is used. A page that is
//! full forgets first what is over, then what was longest not seen and is at no limit: a key that
//! was told no is never forgotten while that matters. If there is no room even then, there is
//! none, and the caller refuses. Nobody waits for more than one page to be put in order; what is
//! over elsewhere is swept some pages at a time, between requests.

mod lines;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use prefetch_index::prefetch_index;
use zerocopy::FromZeros;

use super::lock::Lock;
use super::window::{Entry, Take, Took, Window};
use crate::base::time::Instant;
pub use lines::{Kept, LINE_WORDS};

/// What is remembered of keys, within a bound in bytes.
#[derive(Debug)]
pub struct Memory {
    /// The lines, one after the other, from a place on that begins a page of the machine.
    words: Box<[AtomicU64]>,
    first: usize,
    pages: usize,
    /// By the low bits of a page's number.
    guards: Box<[Guard]>,
    /// Which page is swept next.
    next: AtomicUsize,
    /// The time of the memory at the origin of time.
    origin_ms: AtomicU64,
}

/// What is shared by some pages, in a line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Guard {
    lock: Lock,
    /// Keys in its pages.
    len: AtomicUsize,
}

/// The lines of one page, while it is locked.
struct Page<'m> {
    lines: &'m [Line],
    guard: &'m Guard,
}

/// A key, 0 if there is none, and its [`Entry`].
type Line = [AtomicU64; LINE_WORDS];

/// Where a key is, or may be put.
enum Place {
    Has(usize),
    Free(usize),
    Full,
}

impl Memory {
    /// A memory of no more than `bytes`, but of one page at least.
    pub fn new(bytes: usize) -> Self {
        let guards = (bytes / PAGE_BYTES / PAGES_PER_LOCK).next_power_of_two().min(LOCKS_MAX);
        // One page of the machine is lost by beginning at its next.
        let overhead = guards * size_of::<Guard>() + PAGE_BYTES;
        let pages = (bytes.saturating_sub(overhead) / PAGE_BYTES).max(1);
        let words = <[AtomicU64]>::new_box_zeroed_with_elems((pages + 1) * LINES * LINE_WORDS)
            .expect("a memory that does not fit the machine ends the program");
        let first = words.as_ptr().align_offset(PAGE_BYTES).min(LINES * LINE_WORDS);
        let guards = std::iter::repeat_with(Guard::default).take(guards).collect();
        let (next, origin_ms) = (AtomicUsize::new(0), AtomicU64::new(BEFORE_MS));
        Self { words, first, pages, guards, next, origin_ms }
    }

    /// The time of the memory: milliseconds, with room before the origin for what happened in a
    /// former life.
    #[inline]
    pub fn ms(&self, now: Instant) -> u64 {
        now.ns() / 1_000_000 + self.origin_ms.load(Ordering::Relaxed)
    }

    /// Keys that are remembered.
    pub fn len(&self) -> usize {
        self.guards.iter().map(|guard| guard.len.load(Ordering::Relaxed)).sum()
    }

    /// True if nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Most keys that find room.
    pub const fn capacity(&self) -> usize {
        self.pages * LINES
    }

    /// Sweeps the next pages: what is over is forgotten.
    pub fn sweep(&self, now_ms: u64) {
        let first = self.next.fetch_add(SWEEP_PAGES, Ordering::Relaxed);
        for page in first..first + SWEEP_PAGES.min(self.pages) {
            self.lock(page % self.pages).sweep(now_ms);
        }
    }

    /// Asks the processor for the line where `key` is looked for first.
    #[inline]
    pub(super) fn fetch(&self, key: u64) {
        prefetch_index(self.lines(), self.page(key) * LINES + nth(key, 0));
    }

    /// Counts the event for `key`; `None` if there is no room for a new key. An event in it
    /// matters for `longest_ms`.
    #[inline]
    pub(super) fn take(
        &self,
        key: u64,
        windows: &[Window],
        longest_ms: u64,
        take: &Take,
    ) -> Option<Took> {
        self.change(key, (take.now_ms, longest_ms), |entry| entry.take(windows, take))
    }

    /// Changes the entry of `key`, a new one if there is none and room for it. What happens in it
    /// now matters for `longest_ms`.
    #[inline]
    pub(super) fn change<T>(
        &self,
        key: u64,
        (now_ms, longest_ms): (u64, u64),
        change: impl FnOnce(&mut Entry) -> T,
    ) -> Option<T> {
        let page = self.lock(self.page(key));
        let (place, mut entry) = match page.seek(key) {
            Place::Has(place) => (place, page.entry(place)),
            Place::Free(_) | Place::Full => {
                let place = page.room(key, now_ms)?;
                (place, Entry::new(now_ms, longest_ms))
            }
        };
        let changed = change(&mut entry);
        page.put(place, key, &entry);
        Some(changed)
    }

    /// Changes the entry of `key` if there is one.
    pub(super) fn change_known(&self, key: u64, change: impl FnOnce(&mut Entry)) {
        let page = self.lock(self.page(key));
        if let Place::Has(place) = page.seek(key) {
            let mut entry = page.entry(place);
            change(&mut entry);
            page.put(place, key, &entry);
        }
    }

    /// Takes out again what was put in for `key`.
    pub(super) fn give_back(
        &self,
        key: u64,
        windows: &[Window],
        (at_ms, into): (u64, u8),
        amount: u64,
    ) {
        self.change_known(key, |entry| entry.give_back(windows, at_ms, into, amount));
    }

    /// What each window of `key` has now, if anything is remembered of it.
    pub(super) fn look(&self, key: u64, windows: &[Window], now_ms: u64) -> Option<Vec<u64>> {
        let page = self.lock(self.page(key));
        let Place::Has(place) = page.seek(key) else { return None };
        let mut entry = page.entry(place);
        drop(page);
        entry.advance(windows, now_ms);
        Some(windows.iter().map(|window| entry.total(window)).collect())
    }

    /// The high bits choose the page: the low ones say where in it.
    #[inline]
    const fn page(&self, key: u64) -> usize {
        (((key >> 32) * self.pages as u64) >> 32) as usize
    }

    #[inline]
    fn lines(&self) -> &[Line] {
        self.words.get(self.first..).unwrap_or(&[]).as_chunks().0
    }

    #[inline]
    fn lock(&self, page: usize) -> Page<'_> {
        let guard = self.guard(page);
        guard.lock.take();
        Page { lines: &self.lines()[page * LINES..][..LINES], guard }
    }

    #[inline]
    fn guard(&self, page: usize) -> &Guard {
        &self.guards[page & (self.guards.len() - 1)]
    }
}

impl Page<'_> {
    #[inline]
    fn seek(&self, key: u64) -> Place {
        for n in 0..LINES {
            let place = nth(key, n);
            match self.key(place) {
                0 => return Place::Free(place),
                other if other == key => return Place::Has(place),
                _ => {}
            }
        }
        Place::Full
    }

    /// A free line for a key that has none.
    fn room(&self, key: u64, now_ms: u64) -> Option<usize> {
        let place = match self.seek(key) {
            Place::Full => {
                self.make_room(now_ms);
                self.seek(key)
            }
            place => place,
        };
        let Place::Free(place) = place else { return None };
        self.count(|len| len + 1);
        Some(place)
    }

    fn sweep(&self, now_ms: u64) {
        let is_over = |place: &usize| self.key(*place) != 0 && self.entry(*place).is_over(now_ms);
        if (0..LINES).any(|place| is_over(&place)) {
            self.keep(|entry| !entry.is_over(now_ms));
        }
    }

    /// Forgets what is over; if that is not enough, what was longest not seen.
    #[cold]
    fn make_room(&self, now_ms: u64) {
        let mut ages = [u64::MAX; LINES];
        let mut staying = 0;
        for (place, age) in ages.iter_mut().enumerate() {
            let entry = self.entry(place);
            staying += usize::from(!entry.is_over(now_ms));
            if !entry.is_at_limit(now_ms) {
                *age = entry.newest_ms();
            }
        }
        if staying <= LINES_KEPT {
            return self.keep(|entry| !entry.is_over(now_ms));
        }
        ages.sort_unstable();
        // Some at once, so that not every new key has a page to put in order.
        let oldest_ms = ages[LINES - LINES_KEPT - 1];
        let mut spare = LINES - LINES_KEPT;
        self.keep(|entry| {
            let is_old = entry.newest_ms() <= oldest_ms && !entry.is_at_limit(now_ms);
            let goes = spare > 0 && is_old;
            spare -= usize::from(goes);
            !goes
        });
    }

    /// Forgets the others, and puts those that stay where they are found before any free line.
    fn keep(&self, mut stays: impl FnMut(&Entry) -> bool) {
        let mut kept = [(0, Entry::new(0, 0)); LINES];
        let mut count = 0;
        for place in 0..LINES {
            let (key, entry) = (self.key(place), self.entry(place));
            if key == 0 {
                continue;
            }
            if stays(&entry) {
                kept[count] = (key, entry);
                count += 1;
            } else {
                self.count(|len| len - 1);
            }
            self.lines[place][0].store(0, Ordering::Relaxed);
        }
        for (key, entry) in &kept[..count] {
            if let Place::Free(place) = self.seek(*key) {
                self.put(place, *key, entry);
            }
        }
    }

    #[inline]
    fn key(&self, place: usize) -> u64 {
        self.lines[place][0].load(Ordering::Relaxed)
    }

    #[inline]
    fn entry(&self, place: usize) -> Entry {
        let [_, words @ ..] = &self.lines[place];
        let [head, a, b, c, d, e, f] = words;
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        Entry::from_words([load(head), load(a), load(b), load(c), load(d), load(e), load(f)])
    }

    #[inline]
    fn put(&self, place: usize, key: u64, entry: &Entry) {
        let [first, words @ ..] = &self.lines[place];
        first.store(key, Ordering::Relaxed);
        for (word, value) in words.iter().zip(entry.words()) {
            word.store(value, Ordering::Relaxed);
        }
    }

    fn count(&self, change: impl Fn(usize) -> usize) {
        let len = &self.guard.len;
        len.store(change(len.load(Ordering::Relaxed)), Ordering::Relaxed);
    }
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        self.guard.lock.leave();
    }
}

/// The line of its page that `key` tries so late: two neighbours, which the processor fetches
/// together, then two elsewhere.
#[inline]
const fn nth(key: u64, n: usize) -> usize {
    let (first, stride) = (key as usize % LINES, (key as usize / LINES % LINES) | 1);
    let pair = (first / 2 + stride * (n / 2)) % (LINES / 2);
    pair * 2 + (first + n) % 2
}

/// More than the longest window counts.
const BEFORE_MS: u64 = 48 * 86_400_000;

/// Lines of a page.
const LINES: usize = 64;

/// How many of them stay when a page is full.
const LINES_KEPT: usize = LINES - LINES / 8;

/// Bytes of a page, the unit of a memory: as many as a page of the machine has.
pub const PAGE_BYTES: usize = LINES * LINE_WORDS * size_of::<u64>();

/// A lock is shared by so many pages, or more if that would be more locks than a cache holds.
const PAGES_PER_LOCK: usize = 4;
const LOCKS_MAX: usize = 4096;

/// Pages that are swept at once: some tens of microseconds.
const SWEEP_PAGES: usize = 32;

#[cfg(test)]
mod tests;
