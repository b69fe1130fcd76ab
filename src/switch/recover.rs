//! After a crash: from records to the state that owes what it owed.
//!
//! Records are read in the order in which they became durable, those of all workers. Then each
//! worker resumes its part. What was about to be sent and has no outcome may have been approved:
//! it is reversed. An approval whose hand-over is not on record may have been seen: its terminal
//! decides. What is decided here is put on record again, so that a second crash decides the same,
//! and nothing depends on the records of a former life any more.

use std::collections::{BTreeMap, VecDeque};

use crate::base::codes::ResponseCode;
use crate::base::ids::{LinkId, WorkerId};
use crate::base::map::Map;
use crate::base::money::Amount;
use crate::base::time::Now;
use crate::iso8583::kept::Kept;

use super::bug::Bug;
use super::compose::Original;
use super::number::{self, Role};
use super::outbox::Outbox;
use super::pending::Share;
use super::recent::{Fate, Hearing, Past};
use super::record::{self, Closed, Intent, Outcome, Record, Refused, StoodIn};
use super::{Switch, noted, repeat};

/// What records say, so far.
#[derive(Debug, Default)]
pub struct Recovery {
    known: Map<u64, Known>,
    /// In the order in which they were first heard of.
    order: VecDeque<u64>,
    owed: Map<u64, Debt>,
    owed_order: Vec<u64>,
    /// By transaction: what was approved in the place of a partner.
    stood_in: BTreeMap<u64, Approved>,
    /// The last numbers used towards each partner, oldest first: one for each share there can be.
    numbers: Vec<(LinkId, u32)>,
    last_number: Option<(LinkId, u32)>,
}

/// A transaction of a former life.
#[derive(Debug)]
struct Known {
    acquirer: LinkId,
    partner: Option<LinkId>,
    stan: u32,
    key: super::recent::TerminalKey,
    amount: Option<u64>,
    kept: Kept,
    fate: FormerFate,
    code: [u8; 3],
    approval: Option<[u8; 6]>,
    part: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FormerFate {
    InDoubt,
    Approved,
    Declined,
    TakenBack,
}

/// A record of an approval in the place of a partner, without what it borrows.
#[derive(Debug)]
struct Approved {
    at_s: u64,
    workers: u8,
    amount: Amount,
    card: u64,
    merchant: u64,
    route: Vec<u8>,
}

/// A message that is owed.
#[derive(Debug)]
struct Debt {
    partner: LinkId,
    stan: u32,
    message: Vec<u8>,
    sent: bool,
    settled: bool,
}

impl Recovery {
    /// Reads the records of one batch; batches come in the order in which they became durable.
    pub fn read(&mut self, clear: &[u8], secret: &[u8]) {
        for record in record::read(clear, secret) {
            match record {
                Record::Intent(intent) => self.intent(&intent),
                Record::Outcome(outcome) => self.outcome(&outcome),
                // Handed or not: an approval that is on record is its terminal's to take back.
                Record::Handed(_) => {}
                Record::TakenBack(id) => {
                    self.change(id, |known| known.fate = FormerFate::TakenBack)
                }
                Record::Refused(refused) => self.refused(&refused),
                Record::Owed(owed) => {
                    let record::Owed { id, partner, stan, message, .. } = owed;
                    let message = message.to_vec();
                    let debt = Debt { partner, stan, message, sent: false, settled: false };
                    // On record again after a crash: what is known of it already stays.
                    if !self.owed.contains_key(&id) {
                        self.number(partner, stan);
                        self.owed.insert(id, debt);
                        self.owed_order.push(id);
                    }
                }
                Record::Sent(id) => {
                    if let Some(debt) = self.owed.get_mut(&id) {
                        debt.sent = true;
                    }
                }
                Record::StoodIn(stood_in) => self.stood_in(&stood_in),
                Record::Done(id) | Record::Exception(id, _) => self.settle(id),
                // A person closes a transaction, and with it whatever is owed for it.
                Record::Closed(Closed { id, ends_debt: true, .. }) => {
                    Role::ALL.iter().for_each(|role| self.settle(number::owed(id, *role)));
                }
                Record::Closed(_) => {}
            }
        }
    }

    fn settle(&mut self, id: u64) {
        if let Some(debt) = self.owed.get_mut(&id) {
            debt.settled = true;
            debt.message = Vec::new();
        }
    }

    /// Transactions, and messages still owed.
    pub fn counts(&self) -> (usize, usize) {
        (self.known.len(), self.owed.values().filter(|debt| !debt.settled).count())
    }

    fn number(&mut self, partner: LinkId, stan: u32) {
        // What is told is on record twice, one behind the other: as owed, and as a transaction.
        if self.last_number.replace((partner, stan)) == Some((partner, stan)) {
            return;
        }
        // Numbers grow within a share: the last one of each run is enough.
        match self.numbers.iter_mut().find(|(of, last)| *of == partner && *last + 1 == stan) {
            Some((_, last)) => *last = stan,
            None => self.numbers.push((partner, stan)),
        }
        if self.numbers.len() > NUMBERS_MAX {
            self.numbers.remove(0);
        }
    }

    fn intent(&mut self, intent: &Intent<'_>) {
        self.number(intent.partner, intent.stan);
        let mut kept = Kept::default();
        let clear = [intent.head, intent.tail].concat();
        kept.join(&clear, intent.head.len(), intent.pan);
        self.insert(
            intent.id,
            Known {
                acquirer: intent.acquirer,
                partner: Some(intent.partner),
                stan: intent.stan,
                key: intent.key,
                amount: intent.amount,
                kept,
                fate: FormerFate::InDoubt,
                code: repeat::padded(ResponseCode::INOPERATIVE),
                approval: None,
                part: None,
            },
        );
    }

    fn refused(&mut self, refused: &Refused) {
        self.insert(
            refused.id,
            Known {
                acquirer: refused.acquirer,
                partner: None,
                stan: 0,
                key: refused.key,
                amount: None,
                kept: Kept::default(),
                fate: FormerFate::Declined,
                code: refused.code,
                approval: None,
                part: None,
            },
        );
    }

    fn insert(&mut self, id: u64, known: Known) {
        if self.known.insert(id, known).is_none() {
            self.order.push_back(id);
        }
        for _ in TRANSACTIONS_MAX..self.order.len() {
            let Some(oldest) = self.order.pop_front() else { return };
            let in_doubt = |known: &Known| known.fate == FormerFate::InDoubt;
            if self.known.get(&oldest).is_some_and(in_doubt) {
                self.order.push_back(oldest);
            } else {
                self.known.remove(&oldest);
            }
        }
    }

    fn outcome(&mut self, outcome: &Outcome) {
        self.change(outcome.id, |known| {
            known.fate = match outcome.approved {
                true => FormerFate::Approved,
                false => FormerFate::Declined,
            };
            known.code = outcome.code;
            known.approval = outcome.approval;
            known.part = outcome.part;
        });
    }

    fn change(&mut self, id: u64, change: impl FnOnce(&mut Known)) {
        if let Some(known) = self.known.get_mut(&id) {
            change(known);
        }
    }

    fn stood_in(&mut self, stood_in: &StoodIn<'_>) {
        let StoodIn { id, at_s, workers, amount, card, merchant, route } = *stood_in;
        let route = route.to_vec();
        self.stood_in.insert(id, Approved { at_s, workers, amount, card, merchant, route });
        // Numbers grow with time, but for those of other workers and what is noted again.
        let is_old = |approved: &Approved| approved.at_s + COUNTED_S < at_s;
        while let Some(first) = self.stood_in.first_entry()
            && is_old(first.get())
        {
            first.remove();
        }
    }

    /// The worker, of so many, that resumes a transaction. What takes an advice back follows it in
    /// one lane, so that worker is the one that has the advice.
    fn owner_of(&self, id: u64, workers: u8) -> WorkerId {
        let advice = self.advice_of(id).and_then(|debt| Share::owner(debt.stan, workers));
        advice.unwrap_or(WorkerId((id % u64::from(workers.max(1))) as u8))
    }

    fn advice_of(&self, id: u64) -> Option<&Debt> {
        self.owed.get(&number::owed(id, Role::Advice))
    }
}

impl Switch {
    /// Takes this worker's part of what a former life left, before its first session opens.
    pub fn resume(&mut self, now: Now, recovery: &Recovery, outbox: &mut Outbox) {
        self.now = now;
        let on = outbox.records.on;
        let (worker, workers) = (self.setup.worker, self.setup.workers);
        for (partner, stan) in &recovery.numbers {
            let partner = usize::from(partner.0);
            if let Some(ring) = self.pending.get_mut(partner).and_then(Option::as_mut) {
                ring.number_behind(*stan);
            }
            if let Some(owed) = self.owed.get_mut(partner).and_then(Option::as_mut) {
                owed.number_behind(*stan);
            }
        }
        for id in &recovery.owed_order {
            let Some(debt) = recovery.owed.get(id).filter(|debt| !debt.settled) else { continue };
            // Whose number it is reads its answer.
            if Share::owner(debt.stan, workers).unwrap_or(WorkerId(0)) == worker {
                self.resume_debt(now, *id, debt, outbox);
                outbox.close_full_batch();
            }
        }
        self.resume_stood_in(now, recovery, outbox);
        for id in &recovery.order {
            if let Some(known) = recovery.known.get(id)
                && recovery.owner_of(*id, workers) == worker
            {
                self.resume_transaction(now, *id, known, recovery, outbox);
                outbox.close_full_batch();
            }
        }
        outbox.records.on = on;
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

    fn resume_debt(&mut self, now: Now, id: u64, debt: &Debt, outbox: &mut Outbox) {
        if self.setup.has(Bug::DebtForgotten) {
            return;
        }
        let message = debt.message.clone();
        let mut obligation = self.obligation(now, debt.partner, id, message, outbox);
        obligation.sent_before = debt.sent && !self.setup.has(Bug::ResentAsFirst);
        self.note_owed(&obligation, debt.partner, debt.stan, outbox);
        if debt.sent {
            self.note_sent(id, outbox);
        }
        if let Some(mut owed) = self.take_owed(debt.partner) {
            owed.lane.add(obligation);
            self.put_owed(debt.partner, owed);
        }
    }

    fn resume_transaction(
        &mut self,
        now: Now,
        id: u64,
        known: &Known,
        recovery: &Recovery,
        outbox: &mut Outbox,
    ) {
        let is_owed = recovery.owed.contains_key(&id) && !self.setup.has(Bug::OwedAgain);
        let advice = recovery.advice_of(id);
        if self.setup.has(Bug::PastForgotten) && known.fate != FormerFate::InDoubt {
            return;
        }
        let mut past = Past::default();
        (past.id, past.key, past.acquirer) = (id, known.key, known.acquirer);
        (past.partner, past.stan, past.amount) = (known.partner, known.stan, known.amount);
        (past.code, past.approval, past.part) = (known.code, known.approval, known.part);
        past.at = now.instant;
        if let Some(advice) = advice {
            past.told = Hearing::Advised;
            past.stan = advice.stan;
        }
        past.fate = match known.fate {
            _ if is_owed && advice.is_none() => Fate::Reversed,
            FormerFate::InDoubt => Fate::Unknown,
            FormerFate::Approved => Fate::Approved { waiting: 0, handed: true },
            FormerFate::Declined => Fate::Declined,
            FormerFate::TakenBack => Fate::Reversed,
        };
        self.recent.restore(past, &known.kept);
        let needs_reversal = match known.fate {
            FormerFate::InDoubt => !self.setup.has(Bug::DoubtStands),
            // Taken back on record, the debt not yet: the two are of one batch or this is it.
            FormerFate::TakenBack => known.partner.is_some(),
            FormerFate::Approved => self.setup.has(Bug::ApprovedReversed),
            FormerFate::Declined => false,
        };
        // What is owed for an advice is of one batch with it.
        let is_settled = is_owed || advice.is_some();
        if let (true, false, Some(partner)) = (needs_reversal, is_settled, known.partner) {
            outbox.records.on &= !self.setup.has(Bug::ResumedUnrecorded);
            let original = Original {
                id,
                acquirer: known.acquirer,
                partner,
                stan: known.stan,
                approval: known.approval,
                part: known.part,
                told: Hearing::Asked,
            };
            self.owe_reversal(now, &original, known.kept.bytes(), outbox);
        }
        if known.fate == FormerFate::InDoubt {
            noted::outcome(&past, outbox);
        }
    }
}

/// Past transactions remembered from former lives: as many as four workers hold. Those in doubt are
/// kept whatever their number.
const TRANSACTIONS_MAX: usize = 1 << 20;

/// For how long an approval in the place of a partner is counted again, by the wall clock: the two
/// days for which it may weigh, and one by which the clock may have been wrong.
const COUNTED_S: u64 = 3 * 86_400;

/// Runs of numbers kept apart: those of all workers towards all partners, several times over.
const NUMBERS_MAX: usize = 4096;
