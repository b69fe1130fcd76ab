//! Those that wait for their time: a wheel of slots, each a list.
//!
//! Delays run from a settle delay of some milliseconds to a back-off of six minutes, each with
//! its own jitter: no queue is in order, and a heap would compare seventeen times per entry at
//! 100,000. A slot is a range of time; putting in and taking out are O(1), and a bitmap finds the
//! next filled slot. The price is that an entry may be late by one tick, never early.

use crate::base::time::Instant;

use super::cell::{Cells, List, NONE, QUEUE, State};

/// One tick is 67 ms: a fifteenth of the shortest back-off, and less than its jitter.
pub(super) const TICK_NS: u64 = 1 << 26;

/// 8,192 ticks are 550 s: longer than the longest back-off with its jitter, 375 s. What lies
/// further ahead is looked at once per turn of the wheel.
const SLOTS: u64 = 8192;

/// Ends of 8,192 lists: 64 KiB per lane.
#[derive(Debug)]
pub(super) struct Wheel {
    slots: Vec<List<QUEUE>>,
    filled: Vec<u64>,
    /// Every tick up to this one has been taken out.
    taken: u64,
    /// The first tick with something in it, `u64::MAX` if there is none.
    next: u64,
}

impl Default for Wheel {
    fn default() -> Self {
        Self {
            slots: vec![List::default(); SLOTS as usize],
            filled: vec![0; SLOTS as usize / 64],
            taken: 0,
            next: u64::MAX,
        }
    }
}

impl Wheel {
    /// Puts `place` to wait until it is due; returns the slot it waits in.
    pub(super) fn insert(&mut self, cells: &mut Cells, place: u32) -> u16 {
        let tick = cells.of(place).due.ns().div_ceil(TICK_NS);
        let tick = tick.clamp(self.taken + 1, self.taken + SLOTS - 1);
        let slot = (tick % SLOTS) as usize;
        self.slots[slot].push_back(cells, place);
        self.filled[slot / 64] |= 1 << (slot % 64);
        self.next = self.next.min(tick);
        slot as u16
    }

    /// Takes out one that waits in `slot`.
    pub(super) fn remove(&mut self, cells: &mut Cells, place: u32, slot: u16) {
        let slot = usize::from(slot);
        self.slots[slot].remove(cells, place);
        if self.slots[slot].is_empty() {
            self.filled[slot / 64] &= !(1 << (slot % 64));
            if self.next % SLOTS == slot as u64 {
                self.next = self.first_from(self.taken + 1);
            }
        }
    }

    /// Takes out one whose slot has come. It may lie further ahead still, if it was put in more
    /// than a turn of the wheel before its time.
    pub(super) fn pop(&mut self, cells: &mut Cells, now: Instant) -> Option<u32> {
        let tick = now.ns() / TICK_NS;
        if self.next > tick {
            self.taken = self.taken.max(tick);
            return None;
        }
        self.taken = self.next - 1;
        let slot = (self.next % SLOTS) as u16;
        let place = self.slots[usize::from(slot)].head();
        debug_assert!(place != NONE, "the next slot is filled");
        self.remove(cells, place, slot);
        Some(place)
    }

    /// When the next slot comes.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        (self.next != u64::MAX).then(|| Instant::from_ns(self.next.saturating_mul(TICK_NS)))
    }

    /// Moves all that back off into `ready`, soonest first. What waits for its first copy stays.
    pub(super) fn release(&mut self, cells: &mut Cells, now: Instant, ready: &mut List<QUEUE>) {
        let mut tick = self.next;
        while tick != u64::MAX {
            let slot = (tick % SLOTS) as u16;
            let mut place = self.slots[usize::from(slot)].head();
            while place != NONE {
                let next = cells.behind::<QUEUE>(place);
                if cells.of(place).attempts > 0 {
                    self.remove(cells, place, slot);
                    ready.push_back(cells, place);
                    let cell = cells.of_mut(place);
                    (cell.state, cell.due) = (State::Ready, now);
                }
                place = next;
            }
            tick = self.first_from(tick + 1);
        }
    }

    /// The first filled slot from `tick` on, as a tick, up to the end of this turn of the wheel.
    fn first_from(&self, tick: u64) -> u64 {
        let end = self.taken + SLOTS;
        let mut tick = tick;
        while tick < end {
            let slot = (tick % SLOTS) as usize;
            let word = self.filled[slot / 64] >> (slot % 64);
            if word != 0 {
                let found = tick + u64::from(word.trailing_zeros());
                return if found < end { found } else { u64::MAX };
            }
            tick += 64 - slot as u64 % 64;
        }
        u64::MAX
    }
}
