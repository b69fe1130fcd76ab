//! What a partner did not find: its original may still be on the way, or its approval.
//!
//! "Not found" may be said by who has not read the request yet. So a reversal that hears it is put
//! aside for the late window, out of the way of what stands behind it. An approval that comes in
//! that time opens it again at once. Nothing that does not come proves anything: it may have been
//! lost with a connection, or with a former life of this process. So at the end of its window a
//! reversal is sent once more, and only what the partner says then is final.

use std::time::Duration;

use super::cell::{CARD, State, TRANSACTION};
use super::{Lane, NOT_FOUND, Settled};
use crate::base::time::Instant;

/// How often a reversal of something that was approved late may be "not found". The answer to an
/// old copy can look like the answer to the last (all carry one STAN), hence not once; whatever is
/// said three times is a contradiction that only a person can clear up.
const NOT_FOUND_MAX: u8 = 3;

impl Lane {
    /// For how long a partner that did not find an original may still receive it.
    pub const fn late_window(&self) -> Duration {
        self.settings.late_window
    }

    /// The original of a reversal was approved late: "not found" was said too early, or will be.
    /// False if the obligation is not here any more; then there must be another.
    pub fn reopen(&mut self, id: u64, now: Instant) -> bool {
        self.pass(now);
        let Some(&place) = self.places.get(&id) else { return false };
        let cell = self.cells.of_mut(place);
        (cell.approved_late, cell.declined, cell.late_until) = (true, false, None);
        let State::Provisional(slot) = cell.state else {
            self.send_soon(place);
            return true;
        };
        cell.due = now;
        cell.reopened = true;
        cell.state = State::Behind;
        let (transaction, card) = (cell.transaction, cell.card);
        self.provisional.remove(&mut self.cells, place, slot);
        self.provisional_count -= 1;
        self.stats.reopened += 1;
        self.reopened.insert_by_age(&mut self.cells, place);
        self.transactions.put_back(&mut self.cells, transaction, place);
        self.cards.put_back(&mut self.cells, card, place);
        let behind = self.cells.behind::<TRANSACTION>(place);
        self.hold(behind);
        let behind = self.cells.behind::<CARD>(place);
        self.hold(behind);
        self.queue(place);
        true
    }

    /// It says "not found" of what it has approved.
    pub(super) fn contradicted(&mut self, place: u32) -> Option<Settled> {
        let cell = self.cells.of_mut(place);
        cell.not_found += 1;
        if cell.not_found >= NOT_FOUND_MAX {
            return Some(self.exception(place, NOT_FOUND));
        }
        if cell.state == State::InFlight {
            self.back_off(place);
        }
        None
    }

    pub(super) fn close_provisionally(&mut self, place: u32) -> Settled {
        self.withdraw(place);
        let until = self.now.after(self.settings.late_window);
        self.keep_until(place, until);
        self.stats.provisional += 1;
        Settled::Provisional(self.cells.of(place).id, until)
    }

    /// Puts one that is in no chain aside until its late window ends.
    pub(super) fn keep_until(&mut self, place: u32, until: Instant) {
        let cell = self.cells.of_mut(place);
        (cell.due, cell.late_until) = (until, Some(until));
        let slot = self.provisional.insert(&mut self.cells, place);
        self.cells.of_mut(place).state = State::Provisional(slot);
        self.provisional_count += 1;
    }

    /// A late window may have passed. What would have told of a late approval may have been lost
    /// with a connection or a process: so it is not closed but sent once more, as one that has
    /// just come, and the partner's next word is its last.
    pub(super) fn ask_again(&mut self, place: u32) {
        let cell = self.cells.of_mut(place);
        cell.state = State::Behind;
        cell.asked_again = false;
        match cell.late_until.filter(|until| *until > self.now) {
            Some(until) => self.keep_until(place, until),
            None if cell.declined => self.end_declined(place),
            None => {
                (cell.number, cell.added_at) = (self.next_number, self.now);
                self.next_number += 1;
                self.join(place);
            }
        }
    }
}
