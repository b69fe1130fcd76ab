//! What all workers remember together: one entry for each key and set of windows.
//!
//! `DashMap`s under a keyed hash, every access one look-up under one guard, so that two workers
//! that race on a key are told apart and no guard is ever held across another access. Looking and
//! counting are one step: a limit of one is never passed twice.
//!
//! Why many maps and not one: a map can only be swept whole, and it grows by moving all it has.
//! Each part here has the room it will ever have from the beginning, which costs memory only where
//! it is used, and is swept in one go of some tens of microseconds. A worker sweeps one part now
//! and then, between requests; only who finds a part full sweeps it for a request.
//!
//! What is forgotten first is over. If that is not enough, it is what was longest not seen and
//! is at no limit: a key that was told no is never forgotten while that matters. If there is no
//! room even then, there is none, and the caller refuses.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

use super::window::{Entry, Take, Took, Window};

/// What is remembered of keys, within a bound in bytes.
#[derive(Debug)]
pub struct Memory {
    parts: Box<[Part]>,
    /// Entries of one part.
    entries_max: usize,
    /// Which part is swept next.
    next: AtomicUsize,
}

#[derive(Debug)]
struct Part {
    entries: DashMap<u64, Entry, AsIs>,
    len: AtomicUsize,
}

impl Memory {
    /// A memory that never takes more than `bytes`, except for one part of [`PART_BYTES`].
    pub fn new(bytes: usize) -> Self {
        let parts = (bytes / PART_BYTES).max(1);
        let entries_max = PART_ENTRIES.min(bytes / SLOT_BYTES * 7 / 8).max(1);
        let part = || Part {
            entries: DashMap::with_capacity_and_hasher_and_shard_amount(
                PART_SLOTS.min(bytes / SLOT_BYTES).max(2) * 7 / 8,
                AsIs(0),
                SHARDS,
            ),
            len: AtomicUsize::new(0),
        };
        let parts = std::iter::repeat_with(part).take(parts).collect();
        Self { parts, entries_max, next: AtomicUsize::new(0) }
    }

    /// Keys that are remembered.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len.load(Ordering::Relaxed)).sum()
    }

    /// True if nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Most keys that find room.
    pub fn capacity(&self) -> usize {
        self.parts.len() * self.entries_max
    }

    /// Sweeps the next part: what is over is forgotten, and where a part is nearly full also what
    /// was not seen for long.
    pub fn sweep(&self, now_ms: u64) {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.parts.len();
        if let Some(part) = self.parts.get(next) {
            part.sweep(now_ms, self.entries_max);
        }
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
        let part = self.part(key);
        if let Some(mut entry) = part.entries.get_mut(&key) {
            return Some(entry.take(windows, take));
        }
        if part.len.load(Ordering::Relaxed) >= self.entries_max {
            part.sweep(take.now_ms, self.entries_max);
            if part.len.load(Ordering::Relaxed) >= self.entries_max {
                return None;
            }
        }
        let mut entry = part.entries.entry(key).or_insert_with(|| {
            part.len.fetch_add(1, Ordering::Relaxed);
            Entry::new(take.now_ms, longest_ms)
        });
        Some(entry.take(windows, take))
    }

    /// Takes out again what was put in for `key`.
    pub(super) fn give_back(
        &self,
        key: u64,
        windows: &[Window],
        (at_ms, into): (u64, u8),
        amount: u64,
    ) {
        if let Some(mut entry) = self.part(key).entries.get_mut(&key) {
            entry.give_back(windows, at_ms, into, amount);
        }
    }

    /// What each window of `key` has now, if anything is remembered of it.
    pub(super) fn look(&self, key: u64, windows: &[Window], now_ms: u64) -> Option<Vec<u64>> {
        let mut entry = *self.part(key).entries.get(&key)?;
        entry.advance(windows, now_ms);
        Some(windows.iter().map(|window| entry.total(window)).collect())
    }

    /// The middle bits choose the part: the map uses those at both ends.
    #[inline]
    fn part(&self, key: u64) -> &Part {
        let middle = key >> 20 & 0xFFFF_FFFF;
        &self.parts[((middle * self.parts.len() as u64) >> 32) as usize]
    }
}

impl Part {
    #[cold]
    fn sweep(&self, now_ms: u64, entries_max: usize) {
        let (mut oldest_ms, mut count) = (now_ms, 0_usize);
        self.retain(|entry| {
            let is_over = entry.is_over(now_ms);
            if !is_over {
                oldest_ms = oldest_ms.min(entry.newest_ms());
                count += 1;
            }
            !is_over
        });
        // A part that is full at once would be swept for each request.
        let enough = entries_max - entries_max / 8;
        for _ in 0..ROUNDS_MAX {
            if count <= enough {
                return;
            }
            let middle_ms = oldest_ms + (now_ms - oldest_ms).div_ceil(4);
            count = 0;
            self.retain(|entry| {
                let stays = entry.is_at_limit() || entry.newest_ms() > middle_ms;
                count += usize::from(stays);
                stays
            });
            oldest_ms = middle_ms;
        }
        if count > enough {
            // All came at the same moment.
            let mut spare = count - enough;
            self.retain(|entry| {
                let goes = spare > 0 && !entry.is_at_limit();
                spare -= usize::from(goes);
                !goes
            });
        }
    }

    fn retain(&self, mut stays: impl FnMut(&Entry) -> bool) {
        let mut gone = 0;
        self.entries.retain(|_, entry| {
            let stays = stays(entry);
            gone += usize::from(!stays);
            stays
        });
        self.len.fetch_sub(gone, Ordering::Relaxed);
    }
}

/// Keys are hashes already.
#[derive(Debug, Clone, Copy)]
struct AsIs(u64);

impl BuildHasher for AsIs {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |word, byte| word << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}

/// Locks of one part, as few as a `DashMap` may have.
const SHARDS: usize = 2;

/// An entry with its key, and the byte by which the map finds it.
const SLOT_BYTES: usize = 64 + 1;

/// Slots of one part: what is swept in one go.
const PART_SLOTS: usize = 2 * 4096;

/// Entries of one part. A map fills seven eighths of its slots; its two halves are never quite
/// equal, so that it never has to grow there is room for six deviations more in each.
const PART_ENTRIES: usize = PART_SLOTS * 7 / 8 - 2 * 6 * 60;

/// Bytes of one part.
pub const PART_BYTES: usize = PART_SLOTS * SLOT_BYTES;

/// How often what was not seen for longest is looked for among what is left.
const ROUNDS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    fn once(now_ms: u64) -> Take {
        Take { now_ms, amount: 1, windows: 1, acting: 1, attempts: 0 }
    }

    const KEY: u64 = 0x9E37_79B9_7F4A_7C15;

    #[test]
    fn a_limit_of_n_lets_exactly_n_pass_whoever_races() {
        for limit in [1, 2, 7, 64] {
            let memory = Arc::new(Memory::new(PART_BYTES));
            let windows = [Window::new(60_000, limit, false, 0, 6)];
            let keys: Vec<u64> = (1..200).map(|n: u64| n.wrapping_mul(KEY)).collect();
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let (memory, keys) = (Arc::clone(&memory), keys.clone());
                    thread::spawn(move || {
                        let pass = |key: &u64| -> u64 {
                            let ask = || memory.take(*key, &windows, 60_000, &once(5));
                            (0..limit).filter(|_| ask().is_some_and(|took| took.over == 0)).count()
                                as u64
                        };
                        keys.iter().map(pass).collect::<Vec<u64>>()
                    })
                })
                .collect();
            let mut passed = vec![0; keys.len()];
            for thread in threads {
                let counts = thread.join().expect("no panic");
                passed.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
            assert!(passed.iter().all(|count| *count == limit), "{limit}: {passed:?}");
            assert_eq!(memory.len(), keys.len());
        }
    }

    #[test]
    fn what_is_full_forgets_the_oldest_and_never_who_is_at_the_limit() {
        let memory = Memory::new(PART_BYTES);
        let windows = [Window::new(3_600_000, 2, false, 0, 6)];
        let key = |n: u64| (n + 1).wrapping_mul(KEY);
        let at_limit = 1000;
        for n in 0..at_limit {
            memory.take(key(n), &windows, 3_600_000, &once(n)).expect("room");
            memory.take(key(n), &windows, 3_600_000, &once(n)).expect("room");
        }
        let many = 4 * memory.capacity() as u64;
        for n in at_limit..many {
            assert!(memory.take(key(n), &windows, 3_600_000, &once(n)).is_some());
            assert!(memory.len() <= memory.capacity());
        }
        for n in 0..at_limit {
            let took = memory.take(key(n), &windows, 3_600_000, &once(many)).expect("known");
            assert_eq!(took.over, 1, "key {n} was told no");
        }
        let newest = memory.look(key(many - 1), &windows, many);
        assert_eq!(newest, Some(vec![1]), "what came last is still there");
        assert_eq!(memory.look(key(at_limit), &windows, many), None, "what came first is not");
    }

    #[test]
    fn no_room_is_no_room() {
        let memory = Memory::new(100 * SLOT_BYTES);
        let windows = [Window::new(60_000, 1, false, 0, 6)];
        let ask = |n: u64| memory.take((n + 1).wrapping_mul(KEY), &windows, 60_000, &once(7));
        let found = (0..1000).filter(|n| ask(*n).is_some()).count();
        assert_eq!(found, memory.capacity(), "each is at its limit and stays");
        assert!(memory.take(KEY.wrapping_mul(5000), &windows, 60_000, &once(900_000)).is_some());
    }

    #[test]
    fn what_is_over_is_swept_away() {
        let memory = Memory::new(3 * PART_BYTES);
        let windows = [Window::new(1000, 5, false, 0, 6)];
        for n in 0..10_000u64 {
            memory.take((n + 1).wrapping_mul(KEY), &windows, 1100, &once(n)).expect("room");
        }
        assert_eq!(memory.len(), 10_000);
        for _ in 0..3 {
            memory.sweep(200_000);
        }
        assert_eq!(memory.len(), 0);
    }
}
