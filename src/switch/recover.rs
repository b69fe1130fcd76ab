//! After a crash: from records to the state that owes what it owed.
//!
//! Records are read in the order in which they became durable, those of all workers. Then each
//! worker resumes its part. What was about to be sent and has no outcome may have been approved:
//! it is reversed. An approval whose hand-over is not on record may have been seen: its terminal
//! decides. What is decided here is put on record, so that a second crash decides the same. What is
//! merely carried on is not: its record stays where it is, in a batch of this worker's, until that
//! is given up for its age; a million records written again would keep the first approval waiting.
//! For the same reason it reaches its lane by and by ([`super::Switch::begin_resuming`]); what is
//! known of a terminal's requests, and what must be reversed, is settled before the first request.

mod arena;
mod backlog;
mod lanes;
mod numbered;
mod resume;

use std::collections::{BTreeMap, VecDeque};

use crate::base::codes::ResponseCode;
use crate::base::ids::{LinkId, WorkerId};
use crate::base::map::Map;
use crate::base::money::Amount;

use super::number::{self, Role};
use super::record::{self, Closed, Intent, Outcome, Record, Refused, StoodIn, Weight};
use super::repeat;
use arena::{Arena, Place};
pub(super) use backlog::Backlog;
pub(super) use lanes::Lanes;
use numbered::Numbered;

/// What records say, so far.
#[derive(Debug)]
pub struct Recovery {
    /// So many transactions that are done with are remembered.
    room: usize,
    heard_of: usize,
    /// Transactions, and where each stands, counted from the first that was ever heard of. Only so
    /// many are known that the count may begin anew.
    known: VecDeque<Known>,
    first: u32,
    places: Numbered,
    /// What was kept of them.
    kept: Arena,
    /// In the order in which they were first heard of, and where each stands.
    owed: Vec<Debt>,
    debts: Numbered,
    /// By transaction: where its advice stands, owed or taken.
    advices: Numbered,
    /// What is owed, as it is sent.
    messages: Arena,
    /// Batches in which debts stand, and who put them on record.
    batches: Vec<(WorkerId, u64)>,
    /// By transaction: what was approved in the place of a partner.
    stood_in: BTreeMap<u64, Approved>,
    /// By transaction that is remembered: what gives it back, or takes what it holds.
    weights: Map<u64, Vec<Weight>>,
    /// The last numbers used towards each partner, oldest first: one for each share there can be.
    numbers: Vec<(LinkId, u32)>,
    last_number: Option<(LinkId, u32)>,
    /// For how long former lives ran, as far as is on record: the latest that a record tells.
    ran_s: u64,
}

/// A transaction of a former life.
#[derive(Debug, Clone, Copy)]
struct Known {
    id: u64,
    acquirer: LinkId,
    partner: Option<LinkId>,
    stan: u32,
    key: super::recent::TerminalKey,
    amount: Option<u64>,
    /// Nothing of what was refused.
    kept: Option<Place>,
    /// Bytes before the account number, and of it.
    pan: (u16, u16),
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
#[derive(Debug, Clone, Copy)]
struct Debt {
    id: u64,
    partner: LinkId,
    stan: u32,
    message: Place,
    sent: bool,
    /// When the partner first said that it does not know what it takes back: seconds that the
    /// installation had run, and one more. 0 if it did not.
    not_found_s: u64,
    settled: bool,
    /// The batch in which it is on record: one of those that are listed, or [`NOWHERE`].
    noted: u32,
}

impl Recovery {
    /// For workers that remember so many transactions between them. What they have no room for is
    /// forgotten here as well, so that a long journal is read in the memory of a short one: unless
    /// something is to be decided about it.
    pub fn of_newest(transactions: usize) -> Self {
        Self {
            room: transactions,
            heard_of: 0,
            // All the room it has is used in turn: no more than is needed.
            known: VecDeque::with_capacity(transactions.saturating_add(3)),
            first: 0,
            places: Numbered::default(),
            kept: Arena::default(),
            owed: Vec::new(),
            debts: Numbered::default(),
            advices: Numbered::default(),
            messages: Arena::default(),
            batches: Vec::new(),
            stood_in: BTreeMap::new(),
            weights: Map::default(),
            numbers: Vec::new(),
            last_number: None,
            ran_s: 0,
        }
    }

    /// Reads the records of one batch; batches come in the order in which they became durable.
    /// Where it stands is not known: what is owed by it is put on record again.
    pub fn read(&mut self, clear: &[u8], secret: &[u8]) {
        self.read_records(None, clear, secret);
    }

    /// The same of the batch with this number of the worker that wrote it. It stays where it is
    /// until that worker has put on record again what matters of it ([`Event::Forgetting`]).
    ///
    /// [`Event::Forgetting`]: super::Event::Forgetting
    pub fn read_batch(&mut self, worker: WorkerId, number: u64, clear: &[u8], secret: &[u8]) {
        self.read_records(Some((worker, number)), clear, secret);
    }

    fn read_records(&mut self, noted: Option<(WorkerId, u64)>, clear: &[u8], secret: &[u8]) {
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
                Record::Owed(owed) => self.owed(&owed, noted),
                Record::Sent(id) => {
                    if let Some(debt) = self.debt_mut(id) {
                        (debt.sent, debt.not_found_s) = (true, 0);
                    }
                }
                Record::NotFound { id, ran_s } => {
                    self.ran_s = self.ran_s.max(ran_s);
                    if let Some(debt) = self.debt_mut(id) {
                        (debt.sent, debt.not_found_s) = (true, ran_s + 1);
                    }
                }
                Record::StoodIn(stood_in) => self.stood_in(&stood_in),
                Record::Done(id) | Record::Exception(id, _) => self.settle(id),
                // A person closes a transaction, and with it whatever is owed for it.
                Record::Closed(Closed { id, ends_debt: true, .. }) => {
                    Role::ALL.iter().for_each(|role| self.settle(number::owed(id, *role)));
                }
                Record::Closed(_) => {}
                // Whoever looks up what is not remembered finds what weighs on it with it.
                Record::Weight(weight) => {
                    if self.places.get(weight.of).is_some() {
                        self.weights.entry(weight.of).or_default().push(weight);
                    }
                }
            }
        }
    }

    /// Transactions, those that were forgotten again too, and messages still owed.
    pub fn counts(&self) -> (usize, usize) {
        (self.heard_of, self.owed.iter().filter(|debt| !debt.settled).count())
    }

    fn owed(&mut self, owed: &record::Owed<'_>, noted: Option<(WorkerId, u64)>) {
        let record::Owed { id, partner, stan, message, .. } = *owed;
        let noted = noted.map_or(NOWHERE, |batch| self.batch(batch));
        if let Some(debt) = self.debt_mut(id) {
            // On record again: what is known of it already stays.
            debt.noted = noted;
            return;
        }
        let place = self.owed.len() as u32;
        self.debts.insert(id, place);
        self.number(partner, stan);
        let debts = self.owed.len();
        if debts >= MANY && debts == self.owed.capacity() {
            // Memory that is not used costs nothing; moving what is there does.
            self.owed.reserve_exact(7 * debts);
        }
        if number::role_of(id) == Role::Advice {
            self.advices.insert(number::transaction_of(id), place);
        }
        let message = self.messages.keep(&[message]);
        let (sent, not_found_s, settled) = (false, 0, false);
        self.owed.push(Debt { id, partner, stan, message, sent, not_found_s, settled, noted });
    }

    /// Where a batch is listed. What is owed by one batch comes in a row.
    fn batch(&mut self, batch: (WorkerId, u64)) -> u32 {
        if self.batches.last() != Some(&batch) {
            self.batches.push(batch);
        }
        self.batches.len() as u32 - 1
    }

    /// Who put a debt on record last, in which batch.
    fn noted(&self, debt: &Debt) -> Option<(WorkerId, u64)> {
        self.batches.get(debt.noted as usize).copied()
    }

    fn settle(&mut self, id: u64) {
        let Some(debt) = self.debt_mut(id) else { return };
        if !std::mem::replace(&mut debt.settled, true) {
            let message = debt.message;
            self.messages.free(message);
        }
    }

    fn debt_mut(&mut self, id: u64) -> Option<&mut Debt> {
        let place = self.debts.get(id)?;
        self.owed.get_mut(place as usize)
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
        let kept = self.kept.keep(&[intent.head, intent.pan, intent.tail]);
        self.insert(Known {
            id: intent.id,
            acquirer: intent.acquirer,
            partner: Some(intent.partner),
            stan: intent.stan,
            key: intent.key,
            amount: intent.amount,
            kept: Some(kept),
            pan: (intent.head.len() as u16, intent.pan.len() as u16),
            fate: FormerFate::InDoubt,
            code: repeat::padded(ResponseCode::INOPERATIVE),
            approval: None,
            part: None,
        });
    }

    fn refused(&mut self, refused: &Refused<'_>) {
        self.insert(Known {
            id: refused.id,
            acquirer: refused.acquirer,
            partner: None,
            stan: 0,
            key: refused.key,
            amount: None,
            kept: None,
            pan: (0, 0),
            fate: FormerFate::Declined,
            code: refused.code,
            approval: None,
            part: None,
        });
    }

    fn insert(&mut self, known: Known) {
        if let Some(place) = self.places.get(known.id) {
            let place = place.wrapping_sub(self.first);
            if let Some(former) = self.known.get_mut(place as usize) {
                let former = std::mem::replace(former, known);
                former.kept.into_iter().for_each(|kept| self.kept.free(kept));
            }
            return;
        }
        self.heard_of += 1;
        self.push(known);
        // Two at most for one that came: all may be in doubt.
        for _ in (self.room..self.known.len()).take(2) {
            let Some(oldest) = self.known.pop_front() else { return };
            self.first = self.first.wrapping_add(1);
            if self.is_open(&oldest) {
                self.push(oldest);
            } else {
                self.places.remove(oldest.id);
                self.weights.remove(&oldest.id);
                oldest.kept.into_iter().for_each(|kept| self.kept.free(kept));
            }
        }
    }

    /// True if something is to be decided about it, as far as is known.
    fn is_open(&self, known: &Known) -> bool {
        match known.fate {
            FormerFate::InDoubt => true,
            FormerFate::TakenBack => {
                let is_on_record =
                    || self.debts.contains(known.id) || self.advices.contains(known.id);
                known.partner.is_some() && !is_on_record()
            }
            FormerFate::Approved | FormerFate::Declined => false,
        }
    }

    fn push(&mut self, known: Known) {
        self.places.insert(known.id, self.first.wrapping_add(self.known.len() as u32));
        self.known.push_back(known);
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
        let Some(place) = self.places.get(id) else { return };
        if let Some(known) = self.known.get_mut(place.wrapping_sub(self.first) as usize) {
            change(known);
        }
    }

    /// What weighs on a transaction: refunds and completions that were not declined, and are not
    /// to be taken back.
    fn weights_of(&self, id: u64) -> Vec<Weight> {
        let weighs = |weight: &&Weight| match self.fate_of(weight.id) {
            Some(FormerFate::Approved) | None => !self.debts.contains(weight.id),
            Some(FormerFate::InDoubt | FormerFate::Declined | FormerFate::TakenBack) => false,
        };
        self.weights.get(&id).into_iter().flatten().filter(weighs).copied().collect()
    }

    fn fate_of(&self, id: u64) -> Option<FormerFate> {
        let place = self.places.get(id)?.wrapping_sub(self.first);
        self.known.get(place as usize).map(|known| known.fate)
    }

    /// What was kept of a transaction.
    fn kept_of(&self, known: &Known) -> [&[u8]; 3] {
        let whole = known.kept.map_or(&[][..], |kept| self.kept.at(kept));
        let (head, rest) = whole.split_at_checked(usize::from(known.pan.0)).unwrap_or((&[], &[]));
        let (pan, tail) = rest.split_at_checked(usize::from(known.pan.1)).unwrap_or((&[], &[]));
        [head, pan, tail]
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
    fn owner_of(&self, id: u64, workers: u8, lanes: &Lanes) -> WorkerId {
        let advice = self.advice_of(id).and_then(|debt| lanes.owner(id, debt.stan, workers));
        advice.unwrap_or(WorkerId((id % u64::from(workers.max(1))) as u8))
    }

    fn advice_of(&self, id: u64) -> Option<&Debt> {
        self.advices.get(id).and_then(|place| self.owed.get(place as usize))
    }
}

impl Default for Recovery {
    fn default() -> Self {
        Self::of_newest(TRANSACTIONS)
    }
}

/// Past transactions remembered if nothing else is said.
const TRANSACTIONS: usize = 1 << 16;

/// Of a debt of which no batch is known.
const NOWHERE: u32 = u32::MAX;

/// From so many debts on it is likely that there are many more.
const MANY: usize = 4096;

/// For how long an approval in the place of a partner is counted again, by the wall clock: the two
/// days for which it may weigh, and one by which the clock may have been wrong.
const COUNTED_S: u64 = 3 * 86_400;

/// Runs of numbers kept apart: those of all workers towards all partners, several times over.
const NUMBERS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::recent::TerminalKey;

    /// What is remembered, of which each fifth is never heard of again.
    fn left(first: u32) -> Vec<(u64, FormerFate)> {
        let mut recovery = Recovery { first, ..Recovery::of_newest(4) };
        for id in 0..40 {
            let (acquirer, code) = (LinkId(0), repeat::padded(ResponseCode::INOPERATIVE));
            recovery.refused(&Refused {
                id,
                acquirer,
                key: TerminalKey::default(),
                code,
                rule: b"",
            });
            recovery.change(id, |known| known.fate = FormerFate::InDoubt);
            if id >= 3 && (id - 3) % 5 != 0 {
                recovery.change(id - 3, |known| known.fate = FormerFate::Approved);
            }
        }
        recovery.known.iter().map(|known| (known.id, known.fate)).collect()
    }

    #[test]
    fn places_are_found_when_their_count_begins_anew() {
        let found = left(u32::MAX - 9);
        assert_eq!(found, left(0));
        let in_doubt = |id: &u64| found.contains(&(*id, FormerFate::InDoubt));
        assert!((0..40).step_by(5).all(|id| in_doubt(&id)), "{found:?}");
        assert_eq!((0..37).filter(in_doubt).count(), 8, "{found:?}");
    }
}
