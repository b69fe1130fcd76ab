//! A worker takes up its part of what records say.
//!
//! Here is decided what the former life left open, once: whatever is decided is put on record. What
//! is merely owed goes the way of [`super::backlog`].

use std::sync::Arc;
use std::time::Duration;

use crate::base::time::Now;
use crate::iso8583::kept::Kept;

use super::{Approved, COUNTED_S, FormerFate, Known, Recovery};
use crate::switch::Switch;
use crate::switch::bug::Bug;
use crate::switch::compose::Original;
use crate::switch::noted::{self, Lived};
use crate::switch::number;
use crate::switch::outbox::Outbox;
use crate::switch::recent::{Fate, Hearing, Past};
use crate::switch::record::{Record, StoodIn};

impl Switch {
    /// Takes this worker's part of what a former life left, before its first session opens. All
    /// that is owed is in its lanes then.
    pub fn resume(&mut self, now: Now, recovery: &Recovery, outbox: &mut Outbox) {
        self.take_up(now, recovery, outbox);
        self.hand_over_from(now, recovery, outbox);
    }

    /// The same, but most of what is owed reaches its lanes at later deadlines. Requests can be
    /// taken at once.
    pub fn begin_resuming(&mut self, now: Now, recovery: &Arc<Recovery>, outbox: &mut Outbox) {
        self.take_up(now, recovery, outbox);
        self.hand_over_later(now, recovery);
    }

    fn take_up(&mut self, now: Now, recovery: &Recovery, outbox: &mut Outbox) {
        self.now = now;
        self.go_on_numbering(recovery);
        self.lanes = Arc::new(self.lanes_of(recovery));
        let before = Duration::from_secs(recovery.ran_s);
        for owed in self.owed.iter_mut().flatten() {
            owed.lived = Lived { before, began: now.instant };
        }
        self.carry_on(now, recovery, outbox);
        self.resume_stood_in(now, recovery, outbox);
        self.resume_transactions(now, recovery, outbox);
    }

    fn go_on_numbering(&mut self, recovery: &Recovery) {
        for (partner, stan) in &recovery.numbers {
            let partner = usize::from(partner.0);
            if let Some(ring) = self.pending.get_mut(partner).and_then(Option::as_mut) {
                ring.number_behind(*stan);
            }
            if let Some(owed) = self.owed.get_mut(partner).and_then(Option::as_mut) {
                owed.number_behind(*stan);
            }
        }
    }

    /// Limits hold across lives. Where there are as many workers as there were, each counts what it
    /// approved; else each counts everything.
    fn resume_stood_in(&mut self, now: Now, recovery: &Recovery, outbox: &mut Outbox) {
        if self.setup.has(Bug::StandInForgotten) {
            return;
        }
        let (worker, workers) = (self.setup.worker.0, self.setup.workers);
        for (&id, approved) in &recovery.stood_in {
            let Approved { at_s, workers: then, amount, card, merchant, ref route } = *approved;
            let is_ours = then != workers || number::worker_of(id) == worker;
            if !is_ours || at_s + COUNTED_S < now.wall.unix_s() {
                continue;
            }
            let stood_in = StoodIn { id, at_s, workers: then, amount, card, merchant, route };
            self.count_stood_in(now, &stood_in);
            outbox.records.push(&Record::StoodIn(stood_in));
            outbox.close_full_batch();
        }
    }

    fn resume_transactions(&mut self, now: Now, recovery: &Recovery, outbox: &mut Outbox) {
        let on = outbox.records.on;
        let (worker, workers) = (self.setup.worker, self.setup.workers);
        let lanes = Arc::clone(&self.lanes);
        let is_gone_forgotten = self.setup.has(Bug::GoneWorkerForgotten);
        let is_mine = |known: &&Known| match is_gone_forgotten {
            false => recovery.owner_of(known.id, workers, &lanes) == worker,
            true => number::worker_of(known.id) == worker.0,
        };
        // Whatever the window has no room for would be forgotten again at once.
        let mine = recovery.known.iter().filter(is_mine).count();
        let too_many = mine.saturating_sub(self.recent.capacity());
        let mut kept = Kept::default();
        for (place, known) in recovery.known.iter().filter(is_mine).enumerate() {
            let is_remembered = place >= too_many;
            let is_in_doubt = known.fate == FormerFate::InDoubt;
            let is_forgotten = self.setup.has(Bug::PastForgotten) && !is_in_doubt;
            if is_forgotten || !is_remembered && !self.may_be_reversed(known) {
                continue;
            }
            let past = self.past_of(now, known, recovery);
            kept.gather(recovery.kept_of(known));
            let once = self.setup.has(Bug::StanRestoredOnce)
                && self.recent.find(known.key.hash, 0, |_| false).is_some();
            if is_remembered && !once {
                let number = self.recent.restore(past, &kept);
                let weights = recovery.weights_of(known.id);
                if let Some(number) = number.filter(|_| !weights.is_empty()) {
                    self.weighed(number, &weights);
                }
            }
            self.resume_transaction(now, (known, &past), &kept, recovery, outbox);
            outbox.close_full_batch();
        }
        outbox.records.on = on;
    }

    /// What is remembered of it.
    fn past_of(&self, now: Now, known: &Known, recovery: &Recovery) -> Past {
        let mut past = Past::default();
        (past.id, past.key, past.acquirer) = (known.id, known.key, known.acquirer);
        (past.partner, past.stan, past.amount) = (known.partner, known.stan, known.amount);
        (past.code, past.approval, past.part) = (known.code, known.approval, known.part);
        past.at = now.instant;
        let advice = recovery.advice_of(known.id);
        if let Some(advice) = advice {
            past.told = Hearing::Advised;
            past.stan = advice.stan;
        }
        past.fate = match known.fate {
            _ if advice.is_none() && self.is_owed(known, recovery) => Fate::Reversed,
            FormerFate::InDoubt => Fate::Unknown,
            FormerFate::Approved => Fate::Approved { waiting: 0, handed: true },
            FormerFate::Declined => Fate::Declined,
            FormerFate::TakenBack => Fate::Reversed,
        };
        past
    }

    /// Its reversal is on record: owed, or done with.
    fn is_owed(&self, known: &Known, recovery: &Recovery) -> bool {
        recovery.debts.contains(known.id) && !self.setup.has(Bug::OwedAgain)
    }

    /// True if what the former life left open of it may be a reversal.
    fn may_be_reversed(&self, known: &Known) -> bool {
        match known.fate {
            FormerFate::InDoubt => !self.setup.has(Bug::DoubtStands),
            // Taken back on record, the debt not yet: the two are of one batch or this is it.
            FormerFate::TakenBack => known.partner.is_some(),
            FormerFate::Approved => self.setup.has(Bug::ApprovedReversed),
            FormerFate::Declined => false,
        }
    }

    /// Decides what the former life left open of it.
    fn resume_transaction(
        &mut self,
        now: Now,
        (known, past): (&Known, &Past),
        kept: &Kept,
        recovery: &Recovery,
        outbox: &mut Outbox,
    ) {
        // What is owed for an advice is of one batch with it.
        let is_settled = || recovery.advice_of(known.id).is_some() || self.is_owed(known, recovery);
        if let Some(partner) = known.partner
            && self.may_be_reversed(known)
            && !is_settled()
        {
            outbox.records.on &= !self.setup.has(Bug::ResumedUnrecorded);
            let original = Original {
                id: known.id,
                acquirer: known.acquirer,
                partner,
                stan: known.stan,
                approval: known.approval,
                part: known.part,
                told: Hearing::Asked,
            };
            self.owe_reversal(now, &original, kept.bytes(), outbox);
        }
        if known.fate == FormerFate::InDoubt {
            noted::outcome(past, outbox);
        }
    }
}
