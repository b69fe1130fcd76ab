//! Who waits for which STAN: the pending ring of one partner link on one worker.
//!
//! Towards a partner the switch assigns DE 11 itself, so an answer finds its request without a
//! hash: the STAN, masked, is the slot. Six digits wrap within seconds under load, so a slot only
//! says where to look; whether the answer belongs to the request is decided by the rest of the
//! match key, which the transaction keeps. A slot keeps what became of its last tenant, so that a
//! late answer, a second answer and an answer to nothing are told apart.
//!
//! Each worker numbers from its own share of the STANs, so the worker that reads an answer knows
//! whose it is without asking.

use crate::base::ids::WorkerId;
use crate::base::limits;

/// The pending ring of one partner link on one worker.
#[derive(Debug)]
pub struct Pending {
    slots: Vec<Slot>,
    share: Share,
    next: u32,
    waiting: usize,
    waiting_max: usize,
}

/// The STANs of one worker: `count` of them from `first` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    first: u32,
    count: u32,
}

/// What became of the STAN a slot was last used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Waits; the transaction's place.
    Waiting(u32),
    /// Nobody's: nothing was sent under it.
    Free,
    /// Was answered; the low bits of its number among the past.
    Answered(u32),
    /// Was given up at its deadline, or when its connection was lost; the same.
    GivenUp(u32),
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    stan: u32,
    fate: Fate,
}

impl Share {
    /// The share of `worker` among `workers`.
    pub const fn of(worker: WorkerId, workers: u8) -> Self {
        let workers = if workers == 0 { 1 } else { workers as u32 };
        let count = limits::STAN_MAX / workers;
        Self { first: 1 + worker.0 as u32 * count, count }
    }

    /// The part for requests.
    #[must_use]
    pub const fn live(self) -> Self {
        Self { first: self.first, count: self.count - self.count / OWED_SHARE }
    }

    /// The part for what is stored and forwarded: its numbers are kept until it is delivered.
    #[must_use]
    pub const fn owed(self) -> Self {
        let count = self.count / OWED_SHARE;
        Self { first: self.first + self.count - count, count }
    }

    /// How many there are.
    pub const fn count(self) -> u32 {
        self.count
    }

    /// The place of `stan`, if it is of this share.
    pub const fn place_of(self, stan: u32) -> Option<u32> {
        let place = stan.wrapping_sub(self.first);
        if place < self.count { Some(place) } else { None }
    }

    /// The number at `place`, going round.
    pub const fn number(self, place: u32) -> u32 {
        self.first + place % self.count
    }

    /// True if `stan` is in this share: what nearly every answer is asked, without a division.
    #[inline]
    pub const fn has(&self, stan: u32) -> bool {
        stan.wrapping_sub(self.first) < self.count
    }

    /// The worker whose share `stan` is in; `None` for STANs that nobody assigns.
    #[inline]
    pub const fn owner(stan: u32, workers: u8) -> Option<WorkerId> {
        let workers = if workers == 0 { 1 } else { workers as u32 };
        if stan == 0 {
            return None;
        }
        let owner = (stan - 1) / (limits::STAN_MAX / workers);
        if owner < workers { Some(WorkerId(owner as u8)) } else { None }
    }
}

impl Pending {
    /// A ring for at most `waiting_max` requests in flight.
    pub fn new(share: Share, waiting_max: usize) -> Self {
        let waiting_max = waiting_max.clamp(1, limits::IN_FLIGHT_MAX);
        // Twice as many slots as requests: a slow few do not stand in the way of the next STANs.
        let mut count = (waiting_max * 2).next_power_of_two();
        while count > share.count as usize {
            count /= 2;
        }
        let slots = vec![Slot { stan: 0, fate: Fate::Free }; count];
        Self { slots, share, next: 0, waiting: 0, waiting_max: waiting_max.min(count) }
    }

    /// Reserves the next STAN for the transaction at `place`. `None` if too much is in flight.
    #[inline(always)]
    pub fn reserve(&mut self, place: u32) -> Option<u32> {
        if self.waiting >= self.waiting_max {
            return None;
        }
        for _ in 0..PROBES_MAX {
            let stan = self.number();
            let slot = self.slot_mut(stan);
            if !matches!(slot.fate, Fate::Waiting(_)) {
                *slot = Slot { stan, fate: Fate::Waiting(place) };
                self.waiting += 1;
                return Some(stan);
            }
        }
        None
    }

    /// Goes on numbering behind `stan`, if it is of this share: numbers of a former life stay
    /// unique for as long as DE 7 tells them apart.
    pub fn number_behind(&mut self, stan: u32) {
        if let Some(place) = self.share.place_of(stan) {
            self.next = (place + 1) % self.share.count;
        }
    }

    /// A STAN for a message that does not wait in the ring (network management).
    pub fn number(&mut self) -> u32 {
        let stan = self.share.first + self.next;
        self.next += 1;
        if self.next == self.share.count {
            self.next = 0;
        }
        stan
    }

    /// What became of `stan`; `None` if it was never assigned, or so long ago that its slot has
    /// had another tenant since.
    #[inline]
    pub fn fate(&self, stan: u32) -> Option<Fate> {
        let slot = self.slots.get(self.place(stan))?;
        (slot.stan == stan && stan != 0).then_some(slot.fate)
    }

    /// The one decision about a request: it waits no longer. True if it was still waiting.
    #[inline]
    pub fn settle(&mut self, stan: u32, fate: Fate) -> bool {
        debug_assert!(!matches!(fate, Fate::Waiting(_)), "a settled request does not wait");
        let slot = self.slot_mut(stan);
        if slot.stan != stan || !matches!(slot.fate, Fate::Waiting(_)) {
            return false;
        }
        slot.fate = fate;
        self.waiting -= 1;
        true
    }

    /// True if `stan` is one that this ring may assign.
    #[inline]
    pub const fn assigns(&self, stan: u32) -> bool {
        self.share.has(stan)
    }

    /// Requests in flight.
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    #[inline]
    fn place(&self, stan: u32) -> usize {
        stan as usize & (self.slots.len() - 1)
    }

    #[inline]
    fn slot_mut(&mut self, stan: u32) -> &mut Slot {
        let place = self.place(stan);
        &mut self.slots[place]
    }
}

/// One STAN in four is for what is stored and forwarded.
const OWED_SHARE: u32 = 4;

/// How many STANs are skipped because a slow request still holds their slot.
const PROBES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_disjoint_and_owners_agree() {
        for workers in 1..=8u8 {
            for worker in 0..workers {
                let share = Share::of(WorkerId(worker), workers);
                for stan in [share.first, share.first + share.count - 1] {
                    assert_eq!(Share::owner(stan, workers), Some(WorkerId(worker)));
                }
                assert!(share.has(share.first) && !share.has(share.first + share.count));
                assert!(share.first >= 1 && share.first + share.count - 1 <= limits::STAN_MAX);
            }
        }
        assert_eq!(Share::owner(0, 4), None);
        assert_eq!(Share::owner(999_999, 8), None);
    }

    #[test]
    fn fates_are_told_apart() {
        let mut pending = Pending::new(Share::of(WorkerId(0), 1), 4);
        let first = pending.reserve(7).expect("free");
        let second = pending.reserve(8).expect("free");
        assert_eq!(pending.fate(first), Some(Fate::Waiting(7)));
        assert!(pending.settle(first, Fate::Answered(7)));
        assert!(!pending.settle(first, Fate::GivenUp(8)), "settled once only");
        assert!(pending.settle(second, Fate::GivenUp(8)));
        assert_eq!(pending.fate(first), Some(Fate::Answered(7)));
        assert_eq!(pending.fate(second), Some(Fate::GivenUp(8)));
        assert_eq!(pending.fate(999), None);
        assert_eq!(pending.fate(0), None);
        assert_eq!(pending.waiting(), 0);
    }

    #[test]
    fn in_flight_is_bounded_and_a_slow_one_is_stepped_over() {
        let mut pending = Pending::new(Share::of(WorkerId(1), 2), 4);
        let slow = pending.reserve(0).expect("free");
        for round in 1..1_000_000u32 {
            let stan = pending.reserve(round).expect("free");
            assert_ne!(stan, slow, "a waiting STAN is never given twice");
            assert!(pending.settle(stan, Fate::Answered(7)));
        }
        assert_eq!(pending.fate(slow), Some(Fate::Waiting(0)));
        for place in 0..3 {
            assert!(pending.reserve(place).is_some());
        }
        assert_eq!(pending.reserve(9), None, "four at most");
    }
}
