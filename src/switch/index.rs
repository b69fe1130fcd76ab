//! Which worker remembers a request: the one table that all workers share.
//!
//! A terminal that loses its connection asks again on another one, which may be another worker's;
//! so before a request is forwarded its terminal key is claimed here, and one worker wins. The
//! table says who remembers and under which number, nothing else: what is remembered stands in the
//! [`super::recent`] window of that worker.
//!
//! A bucket is one cache line: seven references and a turn. Looking takes no lock; claiming takes
//! the turn of one bucket for the time of one store, so two workers that claim the same key at the
//! same moment are told apart, and claims of other keys never meet. A map with locked shards, as
//! `DashMap` has them, costs a second cache line and two locked instructions more for each request.
//! References to what is forgotten are not taken out, they are seen to be stale.

use std::sync::atomic::{AtomicU64, Ordering};

use prefetch_index::prefetch_index;

use crate::base::ids::WorkerId;
use crate::base::limits;

use super::recent::TerminalKey;

/// The transaction index. One for all workers of a switch.
#[derive(Debug)]
pub struct TransactionIndex {
    buckets: Box<[Bucket]>,
    /// By worker: the number of the oldest transaction it remembers, or an earlier one.
    firsts: Box<[First]>,
    entries_max: usize,
}

/// A worker as it looks into the index.
pub(super) trait Window {
    /// Which worker it is.
    fn worker(&self) -> WorkerId;

    /// The whole number of which `low` are the low bits, if it is still remembered.
    fn number_of(&self, low: u32) -> Option<u64>;

    /// Which of several others is taken, if no more is known of them.
    fn turn(&self) -> u64;

    /// What is known of another worker's oldest number.
    fn first_of(&self, worker: WorkerId) -> u64;
}

/// Who remembers a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The worker that asked, under this number.
    Here(u64),
    /// Another one.
    Elsewhere(WorkerId),
}

/// What came of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claimed {
    /// It is the worker's now; where the reference stands in its bucket.
    New(u8),
    /// Somebody remembers it.
    Known(Place),
    /// Everything in its bucket and in all that it may spill into is needed.
    Full,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Bucket {
    /// Whether somebody is claiming (1 bit), how many buckets behind this one the farthest stands
    /// that has references of it (5), and how many claims were made.
    turn: AtomicU64,
    references: [AtomicU64; REFERENCES],
}

/// Each in cache lines of its own: it is written by one worker and read by all.
#[derive(Debug, Default)]
#[repr(align(128))]
struct First(AtomicU64);

/// A reference: whether it is one (1 bit), whether it is needed and may not give way (1), whose it
/// is (6), a part of the hash (16), a hash of the moment that tells one day's STAN from another's
/// (14, 0 if it has none), and the low bits of its number (26). Zero is none, so that a table costs
/// memory only where it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reference(u64);

impl Reference {
    const USED: u64 = 1 << 63;
    const NEEDED: u64 = 1 << 62;
    const TAG: u64 = Self::USED | 0xFFFF << 40;
    const MOMENT: u64 = 0x3FFF << LOW_BITS;

    const fn new(key: &TerminalKey, worker: WorkerId, number: u64) -> Self {
        let whose = (worker.0 as u64) << 56;
        Self(Self::NEEDED | whose | Self::tag(key) | number & LOW)
    }

    /// What a reference to `key` has of the hash and the moment.
    #[inline]
    const fn tag(key: &TerminalKey) -> u64 {
        let mixed = key.moment.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 24 & Self::MOMENT;
        let moment = match (key.moment, mixed) {
            (0, _) => 0,
            (_, 0) => 1 << LOW_BITS,
            (_, mixed) => mixed,
        };
        Self::USED | key.hash & Self::TAG | moment
    }

    /// True if it may refer to the key with this tag: what has no moment may be of any.
    #[inline]
    const fn may_be(reference: u64, tag: u64) -> bool {
        let (moment, other) = (reference & Self::MOMENT, tag & Self::MOMENT);
        (reference ^ tag) & Self::TAG == 0 && (moment == other || moment == 0 || other == 0)
    }

    const fn is_needed(self) -> bool {
        self.0 & Self::NEEDED != 0
    }

    const fn worker(self) -> WorkerId {
        WorkerId((self.0 >> 56) as u8 & 0x3F)
    }

    const fn low(self) -> u32 {
        (self.0 & LOW) as u32
    }
}

impl TransactionIndex {
    /// An index for `workers` workers that remember up to `entries` transactions each.
    pub fn new(workers: u8, entries: usize) -> Self {
        let workers = usize::from(workers.max(1));
        let buckets = (workers * entries / LOAD).next_power_of_two();
        let empty = |count| std::iter::repeat_with(Bucket::default).take(count).collect();
        Self {
            buckets: empty(buckets),
            firsts: std::iter::repeat_with(First::default).take(workers).collect(),
            entries_max: entries,
        }
    }

    /// How many transactions of one worker it was made for.
    pub(super) const fn entries_max(&self) -> usize {
        self.entries_max
    }

    /// Has what is known under `hash` fetched: the table rarely is in the nearest cache, so whoever
    /// asks early does not wait when it matters.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch_index(&self.buckets, self.place(hash));
    }

    /// Who remembers `key`, the newest first; `is_it` says of one of our own whether it is meant.
    pub(super) fn find(
        &self,
        key: &TerminalKey,
        window: &impl Window,
        is_it: impl Fn(u64) -> bool,
    ) -> Option<Place> {
        self.look(key, self.bucket(key.hash).turn.load(Ordering::Acquire), window, is_it)
    }

    /// Claims `key` for transaction `number` of this worker, unless it is known.
    #[inline]
    pub(super) fn claim(
        &self,
        key: &TerminalKey,
        number: u64,
        window: &impl Window,
        is_it: impl Fn(u64) -> bool,
    ) -> Claimed {
        let bucket = self.bucket(key.hash);
        loop {
            let turn = bucket.turn.load(Ordering::Acquire);
            if let Some(place) = self.look(key, turn, window, &is_it) {
                return Claimed::Known(place);
            }
            if !self.is_shared() || bucket.begin(turn) {
                return self.put(key, number, turn, window);
            }
            std::hint::spin_loop();
        }
    }

    /// The same, whoever else knows it.
    #[cold]
    pub(super) fn enter(&self, key: &TerminalKey, number: u64, window: &impl Window) -> Claimed {
        let bucket = self.bucket(key.hash);
        let mut turn = bucket.turn.load(Ordering::Acquire);
        while self.is_shared() && !bucket.begin(turn) {
            std::hint::spin_loop();
            turn = bucket.turn.load(Ordering::Acquire);
        }
        self.put(key, number, turn, window)
    }

    /// Stores a reference; the bucket's turn was taken at `turn`.
    #[inline]
    fn put(&self, key: &TerminalKey, number: u64, turn: u64, window: &impl Window) -> Claimed {
        let reference = Reference::new(key, window.worker(), number);
        let bucket = self.bucket(key.hash);
        let (mut turn, mut claimed) = (turn, Claimed::Full);
        if let Some(at) = bucket.vacancy(window) {
            bucket.references[at].store(reference.0, Ordering::Relaxed);
            claimed = Claimed::New(at as u8);
        } else if let Some((at, spill)) = self.spill(key.hash, reference, window) {
            turn = turn & !(SPILL_MAX << 1) | (turn >> 1 & SPILL_MAX).max(spill) << 1;
            claimed = Claimed::New(at);
        }
        bucket.end(turn);
        claimed
    }

    #[inline]
    fn look(
        &self,
        key: &TerminalKey,
        turn: u64,
        window: &impl Window,
        is_it: impl Fn(u64) -> bool,
    ) -> Option<Place> {
        let found = self.bucket(key.hash).find(Reference::tag(key), window, &is_it);
        match turn >> 1 & SPILL_MAX {
            0 => found,
            spill => found.or_else(|| self.look_behind(key, spill, window, is_it)),
        }
    }

    #[cold]
    fn look_behind(
        &self,
        key: &TerminalKey,
        spill: u64,
        window: &impl Window,
        is_it: impl Fn(u64) -> bool,
    ) -> Option<Place> {
        let buckets = (1..=spill).map(|spill| self.behind(key.hash, spill));
        buckets.into_iter().find_map(|bucket| bucket.find(Reference::tag(key), window, &is_it))
    }

    /// All that the bucket refers to is needed: the nearest one behind it with a vacancy takes the
    /// reference. Returns where it stands, and how far behind. Turns are taken one after the other
    /// while the first is held, always of later buckets; a ring of claims that wait for each other
    /// would have to go round the whole table.
    #[cold]
    fn spill(&self, hash: u64, reference: Reference, window: &impl Window) -> Option<(u8, u64)> {
        for spill in 1..=SPILL_MAX.min(self.buckets.len() as u64 - 1) {
            let bucket = self.behind(hash, spill);
            let mut turn = bucket.turn.load(Ordering::Acquire);
            while self.is_shared() && !bucket.begin(turn) {
                std::hint::spin_loop();
                turn = bucket.turn.load(Ordering::Acquire);
            }
            let vacancy = bucket.vacancy(window);
            if let Some(at) = vacancy {
                bucket.references[at].store(reference.0, Ordering::Relaxed);
            }
            bucket.end(turn);
            if let Some(at) = vacancy {
                return Some(((at + spill as usize * REFERENCES) as u8, spill));
            }
        }
        None
    }

    /// The transaction whose reference stands at `at` is remembered under another number now.
    pub(super) fn renumber(&self, key: &TerminalKey, at: u8, worker: WorkerId, number: u64) {
        // What is needed is its owner's alone.
        self.store(key.hash, at, Reference::new(key, worker, number));
    }

    /// The reference at `at` may give way to others when it is old.
    #[inline]
    pub(super) fn release(&self, key: &TerminalKey, at: u8, worker: WorkerId, number: u64) {
        let needed = Reference::new(key, worker, number);
        self.store(key.hash, at, Reference(needed.0 & !Reference::NEEDED));
    }

    /// Nothing is remembered under it any more.
    #[cold]
    pub(super) fn forget(&self, hash: u64, at: u8) {
        self.store(hash, at, Reference(0));
    }

    #[inline]
    fn store(&self, hash: u64, at: u8, reference: Reference) {
        let at = usize::from(at);
        let slot = match at.checked_sub(REFERENCES) {
            None => self.bucket(hash).references.get(at),
            Some(_) => {
                let (spill, at) = (at / REFERENCES, at % REFERENCES);
                self.behind(hash, spill as u64).references.get(at)
            }
        };
        if let Some(slot) = slot {
            debug_assert!(
                Reference(slot.load(Ordering::Relaxed)).is_needed(),
                "what is not needed may be another worker's by now"
            );
            slot.store(reference.0, Ordering::Release);
        }
    }

    /// Tells the others what this worker has forgotten.
    pub(super) fn set_first(&self, worker: WorkerId, first: u64) {
        if let Some(place) = self.firsts.get(usize::from(worker.0)) {
            place.0.store(first, Ordering::Release);
        }
    }

    /// What each worker has forgotten, as far as it told.
    pub(super) fn read_firsts(&self, into: &mut Vec<u64>) {
        into.clear();
        into.extend(self.firsts.iter().map(|first| first.0.load(Ordering::Acquire)));
    }

    /// True if more than one worker looks into it.
    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        self.firsts.len() > 1
    }

    #[inline]
    fn place(&self, hash: u64) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    #[inline]
    fn bucket(&self, hash: u64) -> &Bucket {
        &self.buckets[self.place(hash)]
    }

    fn behind(&self, hash: u64, spill: u64) -> &Bucket {
        &self.buckets[self.place(hash.wrapping_add(spill))]
    }
}

impl Bucket {
    /// Takes the turn, if it is still this one and nobody has it.
    #[inline]
    fn begin(&self, turn: u64) -> bool {
        let order = (Ordering::Acquire, Ordering::Relaxed);
        turn & BUSY == 0 && self.turn.compare_exchange(turn, turn | BUSY, order.0, order.1).is_ok()
    }

    /// Gives the turn that was taken at `turn` to the next.
    #[inline]
    fn end(&self, turn: u64) {
        self.turn.store(turn + CLAIM, Ordering::Release);
    }

    #[inline]
    fn find(&self, tag: u64, window: &impl Window, is_it: impl Fn(u64) -> bool) -> Option<Place> {
        let mut hits = 0u32;
        for (at, slot) in self.references.iter().enumerate() {
            let is_hit = Reference::may_be(slot.load(Ordering::Acquire), tag);
            hits |= u32::from(is_hit) << at;
        }
        if hits == 0 { None } else { self.newest(hits, tag, window, is_it) }
    }

    #[cold]
    fn newest(
        &self,
        hits: u32,
        tag: u64,
        window: &impl Window,
        is_it: impl Fn(u64) -> bool,
    ) -> Option<Place> {
        let hits = self.references.iter().enumerate().filter(|(at, _)| hits >> at & 1 == 1);
        let (mut here, mut elsewhere) = (None, None);
        let (mut others, mut known_exactly) = (0, false);
        for (_, slot) in hits {
            let reference = Reference(slot.load(Ordering::Acquire));
            if reference.worker() == window.worker() {
                let number = window.number_of(reference.low());
                here = here.max(number.filter(|number| is_it(*number)));
            } else if !is_stale(reference, window) {
                let is_exact = (reference.0 ^ tag) & Reference::MOMENT == 0;
                others += 1;
                let is_next = !known_exactly && window.turn().is_multiple_of(others);
                if is_exact || is_next {
                    elsewhere = Some(reference.worker());
                    known_exactly = is_exact;
                }
            }
        }
        // As a rule one of the two: what is known elsewhere is claimed here only after a restart.
        here.map(Place::Here).or(elsewhere.map(Place::Elsewhere))
    }

    /// Room for one more: what is none or stale, else the oldest of our own, else any that is not
    /// needed.
    #[inline]
    fn vacancy(&self, window: &impl Window) -> Option<usize> {
        self.references
            .iter()
            .position(|slot| is_stale(Reference(slot.load(Ordering::Relaxed)), window))
            .or_else(|| self.oldest(window))
    }

    #[cold]
    fn oldest(&self, window: &impl Window) -> Option<usize> {
        let slots = self.references.iter().map(|slot| Reference(slot.load(Ordering::Relaxed)));
        let may_go = slots.enumerate().filter(|(_, reference)| !reference.is_needed());
        let age = |reference: Reference| match reference.worker() == window.worker() {
            true => window.number_of(reference.low()).unwrap_or(0),
            false => u64::MAX,
        };
        may_go.min_by_key(|(_, reference)| age(*reference)).map(|(at, _)| at)
    }
}

/// True if what it refers to is forgotten, or if it refers to nothing.
#[inline]
fn is_stale(reference: Reference, window: &impl Window) -> bool {
    if reference.is_needed() {
        return false;
    }
    if reference.worker() == window.worker() {
        return reference.0 == 0 || window.number_of(reference.low()).is_none();
    }
    // Behind the oldest it remembers by less than half of what the low bits count.
    let first = window.first_of(reference.worker()) as u32;
    let ahead = reference.low().wrapping_sub(first) << (32 - LOW_BITS);
    reference.0 == 0 || (ahead as i32) < 0
}

/// Low bits of a number in a reference: four times the transactions that a worker can remember,
/// so that of two that differ in nothing else one is surely forgotten.
pub(super) const LOW_BITS: u32 = 26;
const LOW: u64 = (1 << LOW_BITS) - 1;

const BUSY: u64 = 1;
const CLAIM: u64 = 64;

/// As many buckets behind its own as a reference may stand. With half of all references needed, one
/// claim in 50,000 would find no room in two buckets.
const SPILL_MAX: u64 = 31;

/// References in a bucket: with the turn, a cache line.
const REFERENCES: usize = 7;

/// References in a bucket on average, at most: one in twenty is full then, and the oldest in it
/// gives way a little early.
const LOAD: usize = 4;

const _: () = assert!(size_of::<Bucket>() == 64 && limits::WORKERS_MAX <= 64);
const _: () = assert!((SPILL_MAX as usize + 1) * REFERENCES <= 256, "a place fits a byte");

#[cfg(test)]
mod tests;
