//! What a former life owed and no lane has yet. It is handed over by and by while requests are
//! taken, so that a long backlog keeps no terminal waiting.
//!
//! What stands here is on record and counts as owed, but it is not sent, so no answer to it can
//! come; nothing is decided about it before it is in its lane. It is all handed over at once before
//! old batches are given up: a lane knows what must be put on record again, this does not.
//!
//! Nothing new may overtake it: a message for a card, or one of several for a transaction, is never
//! here but in its lane from the start. What is left are reversals of what was asked. Each is the
//! only message of its transaction, and what is owed later has another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Debt, Lanes, Recovery};
use crate::base::ids::{LinkId, WorkerId};
use crate::base::limits;
use crate::base::time::{Instant, Now};
use crate::switch::Switch;
use crate::switch::bug::Bug;
use crate::switch::number::{self, Role};
use crate::switch::outbox::Outbox;

/// Debts that wait for their lanes.
#[derive(Debug, Default)]
pub(in crate::switch) struct Backlog {
    /// Where they stand, and how many of all that is owed were looked at.
    found: Option<Arc<Recovery>>,
    seen: usize,
    /// Transactions that are not among them: what is owed for these has an order.
    ordered: BTreeSet<u64>,
    /// By partner link: how many of them.
    left: Vec<usize>,
    /// When the next are handed over.
    due: Option<Instant>,
}

impl Backlog {
    /// When [`Switch::hand_over`] has something to do.
    pub(in crate::switch) const fn next_deadline(&self) -> Option<Instant> {
        self.due
    }

    /// What waits for the lane of `partner`.
    pub(in crate::switch) fn left(&self, partner: LinkId) -> usize {
        self.left.get(usize::from(partner.0)).copied().unwrap_or(0)
    }

    /// True if a debt of this worker's is one of these.
    fn is_of(&self, debt: &Debt, found: &Recovery, worker: WorkerId) -> bool {
        // What another worker put on record goes when nothing matters to that worker.
        found.noted(debt).is_some_and(|(by, _)| by == worker)
            && !self.ordered.contains(&number::transaction_of(debt.id))
    }
}

impl Debt {
    fn is_owed_by(&self, worker: WorkerId, workers: u8, lanes: &Lanes) -> bool {
        !self.settled && lanes.owner_of(self, workers) == worker
    }
}

impl Recovery {
    /// What `worker` owes.
    fn debts_of(
        &self,
        worker: WorkerId,
        workers: u8,
        lanes: &Lanes,
    ) -> impl Iterator<Item = &Debt> {
        self.owed.iter().filter(move |debt| debt.is_owed_by(worker, workers, lanes))
    }
}

impl Switch {
    /// Carries on what a former life owed: what must be in its order now. The rest is the backlog.
    pub(super) fn carry_on(&mut self, now: Now, recovery: &Recovery, outbox: &mut Outbox) {
        let (worker, workers) = (self.setup.worker, self.setup.workers);
        let lanes = Arc::clone(&self.lanes);
        let debts = || recovery.debts_of(worker, workers, &lanes);
        let is_ordered = |debt: &&Debt| number::role_of(debt.id) != Role::Reversal;
        let ordered = debts().filter(is_ordered).map(|debt| number::transaction_of(debt.id));
        let mut backlog = Backlog { ordered: ordered.collect(), ..Backlog::default() };
        for debt in debts() {
            if backlog.is_of(debt, recovery, worker) {
                let partner = usize::from(debt.partner.0);
                backlog.left.resize(backlog.left.len().max(partner + 1), 0);
                backlog.left[partner] += 1;
            } else {
                self.resume_debt(now, debt, recovery, outbox);
                outbox.close_full_batch();
            }
        }
        self.backlog = backlog;
    }

    /// The backlog is handed over at later deadlines.
    pub(super) fn hand_over_later(&mut self, now: Now, found: &Arc<Recovery>) {
        if self.backlog.left.is_empty() {
            self.backlog = Backlog::default();
        } else {
            self.backlog.found = Some(Arc::clone(found));
            self.backlog.due = Some(now.instant);
        }
    }

    /// Hands all of the backlog over.
    pub(super) fn hand_over_from(&mut self, now: Now, found: &Recovery, outbox: &mut Outbox) {
        let backlog = std::mem::take(&mut self.backlog);
        let (worker, workers) = (self.setup.worker, self.setup.workers);
        let lanes = Arc::clone(&self.lanes);
        let is_of = |debt: &&Debt| backlog.is_of(debt, found, worker);
        for debt in found.debts_of(worker, workers, &lanes).filter(is_of) {
            self.resume_debt(now, debt, found, outbox);
        }
    }

    /// Hands to their lanes those of the backlog that are among the next so many of all debts.
    pub(in crate::switch) fn hand_over(&mut self, now: Now, most: usize, outbox: &mut Outbox) {
        let Some(found) = self.backlog.found.clone() else { return };
        let (worker, workers) = (self.setup.worker, self.setup.workers);
        let lanes = Arc::clone(&self.lanes);
        let rest = found.owed.get(self.backlog.seen..).unwrap_or(&[]);
        let slice = rest.get(..most).unwrap_or(rest);
        self.backlog.seen += slice.len();
        for debt in slice {
            let is_mine = debt.is_owed_by(worker, workers, &lanes)
                && self.backlog.is_of(debt, &found, worker);
            if !is_mine {
                continue;
            }
            if let Some(left) = self.backlog.left.get_mut(usize::from(debt.partner.0)) {
                *left -= 1;
            }
            self.resume_debt(now, debt, &found, outbox);
        }
        if slice.len() == rest.len() {
            self.backlog = Backlog::default();
        } else {
            self.backlog.due = Some(now.instant.after(PAUSE));
        }
    }

    /// The next of them, if it is time.
    pub(in crate::switch) fn hand_over_due(&mut self, now: Now, outbox: &mut Outbox) {
        if self.backlog.due.is_some_and(|due| due <= now.instant) {
            self.hand_over(now, AT_ONCE, outbox);
        }
    }

    fn resume_debt(&mut self, now: Now, debt: &Debt, found: &Recovery, outbox: &mut Outbox) {
        if self.setup.has(Bug::DebtForgotten) {
            return;
        }
        let message = found.messages.at(debt.message).to_vec();
        let mut obligation = self.obligation(now, debt.partner, debt.id, message, outbox);
        obligation.sent_before = debt.sent && !self.setup.has(Bug::ResentAsFirst);
        let noted = found.noted(debt).filter(|(by, _)| *by == self.setup.worker);
        if noted.is_none() {
            // Also if nobody can be told now: whoever starts with that partner again finds it.
            self.note_owed(&obligation, debt.partner, debt.stan, outbox);
        }
        let Some(mut owed) = self.take_owed(debt.partner) else { return };
        obligation.late_until = (debt.not_found_s > 0).then(|| {
            let passed = Duration::from_secs(found.ran_s.saturating_sub(debt.not_found_s - 1));
            now.instant.after(owed.lane.late_window().saturating_sub(passed))
        });
        match noted {
            Some((_, batch)) => obligation.noted = batch,
            None if debt.sent => owed.note_copy(now, debt.id, obligation.late_until, outbox),
            None => {}
        }
        owed.lane.add(obligation);
        self.put_owed(debt.partner, owed);
    }
}

/// How many are handed over in one go: about a millisecond's work.
const AT_ONCE: usize = 2048;

/// How long requests have the worker to themselves between two goes.
const PAUSE: Duration = Duration::from_millis(1);

const _: () = assert!(AT_ONCE < limits::SAF_ENTRIES_MAX);
