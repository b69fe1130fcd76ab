//! What is held back while its partner is asked what became of the original.
//!
//! A reversal that is held is owed like any other: only its first copy waits, for a time that its
//! caller names and that needs nobody to end it. So whatever is lost of the asking (an answer, a
//! connection, the process with all it knew) ends in the reversal. What the partner says can only
//! change when, or that the original was declined: then nothing is sent. Even that is kept for the
//! late window, since who declines and then approves after all must be taken back from.

use super::cell::State;
use super::{Kind, Lane};
use crate::base::time::Instant;

/// What a partner says became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It was approved: it must be taken back, now.
    Approved,
    /// It never came, or has not come yet: as if a reversal had been answered so.
    NotFound,
    /// It was declined, finally: there is nothing to take back.
    Declined,
}

impl Lane {
    /// Keeps a reversal of which no copy was sent from being sent before `until`. False if there
    /// is none.
    pub fn hold_back(&mut self, id: u64, until: Instant, now: Instant) -> bool {
        self.pass(now);
        let Some(place) = self.unsent(id).filter(|_| until > now) else { return false };
        let cell = self.cells.of_mut(place);
        if cell.kind != Kind::Reversal || cell.approved_late {
            return false;
        }
        cell.due = until;
        match cell.state {
            State::Ready => self.ready.remove(&mut self.cells, place),
            State::Waiting(slot) => self.waiting.remove(&mut self.cells, place, slot),
            // Put where it belongs when it is the first of its chains.
            _ => return true,
        }
        self.wait(place);
        true
    }

    /// True if the entry waits for its first copy, and for nothing but that.
    pub fn is_held(&self, id: u64) -> bool {
        let place = self.unsent(id);
        place.is_some_and(|place| self.cells.of(place).due > self.now)
    }

    /// It is held back no longer.
    pub fn let_go(&mut self, id: u64, now: Instant) {
        self.pass(now);
        if let Some(place) = self.unsent(id) {
            self.send_soon(place);
        }
    }

    /// The partner has said what became of the original of an entry that is held. Once a copy was
    /// sent it is too late to say: what is said to that copy counts.
    pub fn found(&mut self, id: u64, now: Instant, finding: Finding) {
        self.pass(now);
        let Some(place) = self.unsent(id) else { return };
        let cell = self.cells.of_mut(place);
        if cell.approved_late || finding == Finding::Approved {
            return self.send_soon(place);
        }
        cell.declined = finding == Finding::Declined;
        self.close_provisionally(place);
    }

    /// Takes what ended since it was last asked, without a copy: declined, and not approved in the
    /// late window either.
    pub fn ended(&mut self) -> Option<u64> {
        self.ended.pop()
    }

    /// A declined one whose late window has passed: it is on no list any more.
    pub(super) fn end_declined(&mut self, place: u32) {
        let id = self.cells.of(place).id;
        self.places.remove(&id);
        let message = self.cells.free(place);
        self.spare(message);
        self.stats.done += 1;
        self.ended.push(id);
    }

    /// One of which no copy was sent is due.
    pub(super) fn send_soon(&mut self, place: u32) {
        let cell = self.cells.of_mut(place);
        if cell.may_be_sent || cell.due <= self.now {
            return;
        }
        cell.due = self.now;
        if let State::Waiting(slot) = cell.state {
            self.waiting.remove(&mut self.cells, place, slot);
            self.cells.of_mut(place).state = State::Behind;
            self.queue(place);
        }
    }

    /// Where an entry is of which no copy was sent, and nothing was found.
    fn unsent(&self, id: u64) -> Option<u32> {
        let place = *self.places.get(&id)?;
        let cell = self.cells.of(place);
        (!cell.may_be_sent && cell.late_until.is_none()).then_some(place)
    }
}
