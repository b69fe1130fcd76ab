//! What the caller says of connections and of what is owed, in the words of the list.

use super::*;

impl Model {
    pub(super) fn reopen(&mut self, nth: usize) {
        let is_provisional = |entry: &Entry| matches!(entry.stand, Stand::Provisional(..));
        let some = self.nth(nth, is_provisional).filter(|_| !nth.is_multiple_of(4));
        let Some(at) = some.or_else(|| self.nth(nth, |_| true)) else { return };
        let entry = &mut self.entries[at];
        assert_eq!(self.lane.reopen(entry.id, self.now), entry.stand != Stand::Gone);
        (entry.approved_late, entry.declined, entry.late_until) = (true, false, None);
        if is_provisional(entry) {
            entry.stand = Stand::Waits(self.now, self.now);
        } else if entry.is_unsent() {
            self.goes(at);
        }
    }

    pub(super) fn hold(&mut self, nth: usize, until: Instant) {
        let some = self.nth(nth, |entry| entry.is_unsent() && entry.kind == Kind::Reversal);
        let Some(at) = some.or_else(|| self.nth(nth, |_| true)) else { return };
        let entry = &mut self.entries[at];
        let is_held = until > self.now
            && entry.is_unsent()
            && entry.kind == Kind::Reversal
            && !entry.approved_late;
        assert_eq!(self.lane.hold_back(entry.id, until, self.now), is_held, "{entry:?}");
        if is_held {
            entry.stand = Stand::Waits(until, ticked(until));
        }
        let is_early = |from| entry.is_unsent() && from > self.now;
        let is_held = matches!(entry.stand, Stand::Waits(from, _) if is_early(from));
        assert_eq!(self.lane.is_held(entry.id), is_held);
    }

    /// One of which no copy was sent is due, if it was not.
    pub(super) fn goes(&mut self, at: usize) {
        if let Stand::Waits(from, by) = self.entries[at].stand {
            let by = if from > self.now { self.now } else { by };
            self.entries[at].stand = Stand::Waits(from.min(self.now), by);
        }
    }

    pub(super) fn found(&mut self, nth: usize, finding: Finding) {
        let some = self.nth(nth, Entry::is_unsent).filter(|_| !nth.is_multiple_of(4));
        let Some(at) = some.or_else(|| self.nth(nth, |_| true)) else { return };
        self.lane.found(self.entries[at].id, self.now, finding);
        let age = self.next_age();
        let entry = &mut self.entries[at];
        if !entry.is_unsent() {
            return;
        }
        if finding == Finding::Approved || entry.approved_late {
            return self.goes(at);
        }
        entry.declined = finding == Finding::Declined;
        let until = self.now.after(LATE_WINDOW);
        (entry.stand, entry.late_until) = (Stand::Provisional(until, age), Some(until));
    }

    pub(super) fn down(&mut self) {
        self.lane.connection_lost(self.now);
        self.is_up = false;
        for entry in self.entries.iter_mut().filter(|entry| entry.stand == Stand::Flies) {
            entry.stand = Stand::Waits(self.now, self.now);
        }
    }

    pub(super) fn up(&mut self) {
        self.lane.connection_up(self.now);
        self.is_up = true;
        for at in 0..self.entries.len() {
            // One that stands behind an older one keeps its back-off.
            if self.entries[at].attempts > 0
                && let Stand::Waits(from, by) = self.entries[at].stand
            {
                let by = if self.is_first(at) { by.min(self.now) } else { by };
                self.entries[at].stand = Stand::Waits(from.min(self.now), by);
            }
        }
    }

    pub(super) fn cancel(&mut self, transaction: u64) {
        let of = |at: &usize| {
            let entry = &self.entries[*at];
            transaction != 0 && entry.transaction == transaction && entry.is_open()
        };
        let mut chain: Vec<usize> = (0..self.entries.len()).filter(of).collect();
        chain.sort_by_key(|at| self.entries[*at].age);
        let is_unsent =
            |at: usize, kind| self.entries[at].kind == kind && !self.entries[at].may_be_sent;
        let expected = match chain[..] {
            [.., one, two] if is_unsent(one, Kind::Advice) && is_unsent(two, Kind::Reversal) => {
                Some([one, two])
            }
            _ => None,
        };
        let ids = expected.map(|pair| pair.map(|at| self.entries[at].id));
        assert_eq!(self.lane.cancel_unsent(transaction), ids);
        for at in expected.into_iter().flatten() {
            self.entries[at].stand = Stand::Gone;
        }
    }
}
