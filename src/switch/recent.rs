//! What was asked lately: so that nothing is asked twice, and what was answered can be reversed.
//!
//! A request is known by its terminal key: link, terminal, merchant, STAN, class of MTI. A bucket
//! of references is one cache line; a reference leads to a transaction in flight, or to a
//! past one in a ring that forgets the oldest when its bytes are used up. References to what is
//! forgotten are not taken out, they are seen to be stale.
//!
//! It is a window, bounded in bytes: [`Recent::covers`] says how long at the present rate. What is
//! in flight is never forgotten. It knows nothing of connections and decides nothing.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::ids::LinkId;
use crate::base::time::Instant;
use crate::iso8583::kept::Kept;

/// By what a request is known again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TerminalKey {
    /// Keyed hash of link, DE 41, DE 42, DE 11 and class of MTI.
    pub hash: u64,
    /// DE 7, else DE 12; 0 if absent. A terminal that starts its STANs anew each day differs here.
    pub moment: u64,
    /// Keyed hash of what is asked: who pays, how much, in which currency, what for.
    pub fingerprint: u64,
}

/// A transaction that is not in flight any more.
#[derive(Debug, Clone, Copy)]
pub struct Past {
    /// Its identity in the journal.
    pub id: u64,
    /// By what it is known again.
    pub key: TerminalKey,
    /// Who asked.
    pub acquirer: LinkId,
    /// Who was asked; `None` if nobody was.
    pub partner: Option<LinkId>,
    /// The STAN the partner was sent.
    pub stan: u32,
    /// DE 4 of the request.
    pub amount: Option<u64>,
    /// What became of it.
    pub fate: Fate,
    /// DE 39 as it was handed on, space padded.
    pub code: [u8; 3],
    /// DE 38, if there was one.
    pub approval: Option<[u8; 6]>,
    /// DE 4 of a partial approval.
    pub part: Option<u64>,
    /// When it ended.
    pub at: Instant,
    from: u64,
    bytes: u16,
    pan_from: u16,
    pan_bytes: u16,
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Approved. Copies of the approval that wait to be taken by the kernel, and whether one was.
    Approved {
        /// Not taken yet.
        waiting: u8,
        /// At least one was: the terminal may have seen it.
        handed: bool,
    },
    /// Declined, by the partner or by us.
    Declined,
    /// Nobody knows what the partner did; a reversal is owed.
    Unknown,
    /// Reversed.
    Reversed,
}

/// References that may be of one hash.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    hash: u64,
    bucket: [u32; BUCKET],
}

/// What a terminal key leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// In flight, at this place.
    InFlight(u32),
    /// Past, under this number.
    Past(u64),
}

/// The window of one worker.
#[derive(Debug)]
pub struct Recent {
    buckets: Vec<[u32; BUCKET]>,
    past: VecDeque<Past>,
    /// Number of the first of `past`.
    first: u64,
    ring: Vec<u8>,
    ring_bytes: u64,
    /// Where the next is written, counted without wrapping.
    end: u64,
    past_max: usize,
}

/// A reference: whether it is to a transaction in flight (1 bit), whether it is one at all (1), a
/// part of the hash (8), and its place or the low bits of its number (22). Zero is none, so that a
/// table costs memory only where it is used. It is as small as that because looking into the table
/// is a cache miss where the table does not fit the cache.
#[derive(Debug, Clone, Copy)]
struct Slot(u32);

impl Slot {
    const IN_FLIGHT: u32 = 1 << 31;
    const USED: u32 = 1 << 30;
    const LOW: u32 = (1 << 22) - 1;
    const TAG: u32 = !(Self::IN_FLIGHT | Self::LOW);

    const fn in_flight(hash: u64, place: u32) -> u32 {
        Self::IN_FLIGHT | Self::tag(hash) | place & Self::LOW
    }

    const fn past(hash: u64, number: u64) -> u32 {
        Self::tag(hash) | number as u32 & Self::LOW
    }

    const fn tag(hash: u64) -> u32 {
        (hash >> 32) as u32 & Self::TAG | Self::USED
    }

    const fn is_in_flight(self) -> bool {
        self.0 & Self::IN_FLIGHT != 0
    }

    /// The place, or the low bits of the number.
    const fn low(self) -> u32 {
        self.0 & Self::LOW
    }
}

impl Recent {
    /// A window of at most `bytes` bytes.
    pub fn new(bytes: usize) -> Self {
        let past_max = (bytes / PAST_BYTES).clamp(64, Slot::LOW as usize / 2);
        let buckets = (past_max * 2 / BUCKET).next_power_of_two();
        // A power of two, so that places in it are found by a mask.
        let ring_bytes = (past_max * KEPT_BYTES).max(1 << 14).next_power_of_two();
        Self {
            buckets: vec![[0; BUCKET]; buckets],
            past: VecDeque::with_capacity(past_max + 1),
            first: 0,
            ring: vec![0; ring_bytes],
            ring_bytes: ring_bytes as u64,
            end: 0,
            past_max,
        }
    }

    /// Asks for what is known under `hash`. The answer takes its time, since the table rarely is in
    /// the nearest cache: whoever asks early has it when it is needed.
    #[inline]
    pub fn ask(&self, hash: u64) -> Asked {
        Asked { hash, bucket: self.buckets[self.bucket(hash)] }
    }

    /// What is known under the hash that was asked for, the newest first; `is_it` says of one
    /// whether it is meant.
    #[inline]
    pub fn find(&self, asked: &Asked, is_it: impl Fn(Found) -> bool) -> Option<Found> {
        let mut best: Option<(u64, Found)> = None;
        let tag = Slot::tag(asked.hash);
        let hits =
            asked.bucket.iter().enumerate().fold(0u32, |hits, (place, slot)| {
                hits | u32::from(slot & Slot::TAG == tag) << place
            });
        let mut rest = hits;
        while rest != 0 {
            let place = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let slot = Slot(asked.bucket[place]);
            let (age, found) = match slot.is_in_flight() {
                true => (u64::MAX, Found::InFlight(slot.low())),
                false => match self.number_of_low(slot) {
                    Some(number) => (number, Found::Past(number)),
                    None => continue,
                },
            };
            if best.is_none_or(|(other, _)| age > other) && is_it(found) {
                best = Some((age, found));
            }
        }
        best.map(|(_, found)| found)
    }

    /// The past transaction of this number, if it is still in the window.
    #[inline]
    pub fn past(&self, number: u64) -> Option<&Past> {
        self.past.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The same, to change what is known of it.
    #[inline]
    pub fn past_mut(&mut self, number: u64) -> Option<&mut Past> {
        self.past.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The number that the next one to end will have.
    #[inline]
    pub fn next_number(&self) -> u64 {
        self.first + self.past.len() as u64
    }

    /// The whole number whose low 32 bits are `low`, if it is still in the window.
    pub fn number_of(&self, low: u32) -> Option<u64> {
        let behind = low.wrapping_sub(self.first as u32);
        ((behind as usize) < self.past.len()).then(|| self.first + u64::from(behind))
    }

    /// The number that a reference stands for, if it is still in the window.
    #[inline]
    fn number_of_low(&self, slot: Slot) -> Option<u64> {
        let behind = slot.low().wrapping_sub(self.first as u32) & Slot::LOW;
        ((behind as usize) < self.past.len()).then(|| self.first + u64::from(behind))
    }

    /// What was kept of it: what stands before the account number, the account number, the rest.
    pub fn kept(&self, past: &Past) -> [&[u8]; 3] {
        let from = (past.from & (self.ring_bytes - 1)) as usize;
        let whole = self.ring.get(from..from + usize::from(past.bytes)).unwrap_or(&[]);
        let (head, rest) = whole.split_at_checked(usize::from(past.pan_from)).unwrap_or((&[], &[]));
        let (pan, tail) = rest.split_at_checked(usize::from(past.pan_bytes)).unwrap_or((&[], &[]));
        [head, pan, tail]
    }

    /// Notes that the transaction at `place` is in flight.
    #[inline]
    pub fn begin(&mut self, hash: u64, place: u32) {
        *self.vacancy(hash) = Slot::in_flight(hash, place);
    }

    /// Takes a transaction that was in flight at `place`, or never was, into the past. Returns its
    /// number.
    #[inline]
    pub fn end(&mut self, place: Option<u32>, kept: Option<&Kept>, mut past: Past) -> u64 {
        let bytes = kept.map_or(&[][..], Kept::bytes);
        let pan = kept.map_or(0..0, Kept::pan);
        past.bytes = bytes.len().min(usize::from(u16::MAX)) as u16;
        (past.pan_from, past.pan_bytes) = (pan.start as u16, pan.len() as u16);
        past.from = self.room(u64::from(past.bytes));
        let from = (past.from & (self.ring_bytes - 1)) as usize;
        if let Some(room) = self.ring.get_mut(from..from + bytes.len()) {
            room.copy_from_slice(bytes);
        }
        let number = self.next_number();
        let hash = past.key.hash;
        self.past.push_back(past);
        let asked = place.map(|place| Slot::in_flight(hash, place));
        let at = self.bucket(hash);
        let slot = match self.buckets[at].iter_mut().find(|slot| Some(**slot) == asked) {
            Some(slot) => slot,
            None => self.vacancy(hash),
        };
        *slot = Slot::past(hash, number);
        number
    }

    /// For how long the window reaches back at the present rate; `None` until something had to be
    /// forgotten.
    pub fn covers(&self, now: Instant) -> Option<Duration> {
        (self.first > 0).then(|| now.since(self.past.front().map_or(now, |past| past.at)))
    }

    /// Past transactions in the window.
    pub fn len(&self) -> usize {
        self.past.len()
    }

    /// True if nothing was asked yet.
    pub fn is_empty(&self) -> bool {
        self.past.is_empty()
    }

    /// Room for `bytes` in one piece; the oldest make way.
    #[inline]
    fn room(&mut self, bytes: u64) -> u64 {
        let left = self.ring_bytes - (self.end & (self.ring_bytes - 1));
        let from = if left < bytes { self.end + left } else { self.end };
        self.end = from + bytes;
        while self.past.len() >= self.past_max
            || self.past.front().is_some_and(|past| past.from + self.ring_bytes < self.end)
        {
            self.past.pop_front();
            self.first += 1;
        }
        from
    }

    #[inline]
    fn bucket(&self, hash: u64) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    /// A slot for one more under `hash`: a free or stale one, else that of the oldest past one. If
    /// the whole bucket is in flight the first gives way, which [`BUCKET`] and the keyed hash make
    /// as good as impossible.
    #[inline]
    fn vacancy(&mut self, hash: u64) -> &mut u32 {
        let at = self.bucket(hash);
        let (first, len) = (self.first as u32, self.past.len() as u32);
        // How old each is: those in flight are the youngest, what is stale or none is the oldest.
        let age = |slot: u32| {
            let behind = slot.wrapping_sub(first) & Slot::LOW;
            let is_past = slot & Slot::USED != 0 && behind < len;
            let age = if is_past { len - behind } else { u32::MAX };
            if slot & Slot::IN_FLIGHT != 0 { 0 } else { age }
        };
        let (mut best, mut best_age) = (0, 0);
        for (place, slot) in self.buckets[at].iter().enumerate() {
            let age = age(*slot);
            if age > best_age {
                (best, best_age) = (place, age);
            }
        }
        &mut self.buckets[at][best]
    }
}

impl Past {
    /// What is known of a transaction that asked for `key` and ended with `code`.
    pub fn new(id: u64, key: TerminalKey, acquirer: LinkId, code: [u8; 3], at: Instant) -> Self {
        Self {
            id,
            key,
            acquirer,
            partner: None,
            stan: 0,
            amount: None,
            fate: Fate::Declined,
            code,
            approval: None,
            part: None,
            at,
            from: 0,
            bytes: 0,
            pan_from: 0,
            pan_bytes: 0,
        }
    }
}

/// References in a bucket: a cache line. With twice as many references as past transactions a
/// bucket holds eight on average, and one bucket in two hundred is full.
const BUCKET: usize = 16;

/// Memory of one past transaction: itself, what is kept of it, and its share of the buckets.
const PAST_BYTES: usize = size_of::<Past>() + KEPT_BYTES + 2 * size_of::<u32>();

/// What is kept of a request, on average: 16 elements.
const KEPT_BYTES: usize = 176;

const _: () = assert!(crate::base::limits::IN_FLIGHT_MAX < Slot::LOW as usize);
