//! In whose lane stands what a former life owed.
//!
//! The worker in whose share of the STANs its STAN is reads its answer, so it sends it, too. With
//! another number of workers the shares are others, and that would part what has an order: an
//! advice and what takes it back, one worker each, and nothing keeps the second behind the first.
//! So what has an order goes to one worker, that of the first: all that is owed for a transaction
//! that has an advice, and all advices of one card. What has left its share is known to every
//! worker, which leads its answers to that lane.
//!
//! It keeps its STAN there, and nothing of this is put on record: who decides anew after a crash
//! in the middle, for whatever number of workers, has the same debts and finds each of them whole.
//! A new STAN would do for what was never sent only, and of two that were sent before a third must
//! follow both.

use super::{Debt, Recovery};
use crate::base::ids::{LinkId, WorkerId};
use crate::base::limits;
use crate::base::map::Map;
use crate::switch::Switch;
use crate::switch::bug::Bug;
use crate::switch::number::{self, Role};
use crate::switch::pending::Share;

/// What is owed by others than the worker whose share its STAN is in.
#[derive(Debug, Default)]
pub(in crate::switch) struct Lanes {
    /// By transaction: who owes what is owed for it.
    moved: Map<u64, WorkerId>,
    /// By STAN: a bit for each worker that may wait for an answer to it.
    waiting: Map<(LinkId, u32), u64>,
}

const _: () = assert!(limits::WORKERS_MAX <= u64::BITS as usize);

impl Lanes {
    /// Who owes what is owed for `transaction` with this STAN.
    pub(in crate::switch) fn owner(
        &self,
        transaction: u64,
        stan: u32,
        workers: u8,
    ) -> Option<WorkerId> {
        let moved = self.moved.get(&transaction).copied();
        moved.or_else(|| Share::owner(stan, workers))
    }

    /// True if something that was moved has this STAN: nothing new takes it.
    pub(in crate::switch) fn has(&self, partner: LinkId, stan: u32) -> bool {
        !self.waiting.is_empty() && self.waiting.contains_key(&(partner, stan))
    }

    /// Those who may wait for an answer with this STAN because something was moved.
    pub(in crate::switch) fn waiting(
        &self,
        partner: LinkId,
        stan: u32,
    ) -> impl Iterator<Item = WorkerId> + use<> {
        let waiting = match self.waiting.is_empty() {
            true => 0,
            false => self.waiting.get(&(partner, stan)).copied().unwrap_or(0),
        };
        (0..limits::WORKERS_MAX as u8).filter(move |of| waiting >> of & 1 == 1).map(WorkerId)
    }

    /// Who owes it.
    pub(super) fn owner_of(&self, debt: &Debt, workers: u8) -> WorkerId {
        let owner = self.owner(number::transaction_of(debt.id), debt.stan, workers);
        owner.unwrap_or(WorkerId(0))
    }
}

impl Switch {
    /// What must leave the share of its STAN. The same for each worker.
    pub(super) fn lanes_of(&mut self, recovery: &Recovery) -> Lanes {
        let workers = self.setup.workers;
        if workers <= 1 || self.setup.has(Bug::OrderedDebtsParted) {
            return Lanes::default();
        }
        recovery.lanes(workers, |partner, message| self.card_of(partner, message))
    }
}

impl Recovery {
    /// For so many workers. `card_of` says of which card an advice is, 0 if of none.
    fn lanes(&self, workers: u8, card_of: impl FnMut(LinkId, &[u8]) -> u64) -> Lanes {
        let mut lanes = Lanes::default();
        let ordered = self.in_order(workers, card_of);
        let unsettled = || self.owed.iter().filter(|debt| !debt.settled);
        for debt in unsettled() {
            let by_stan = Share::owner(debt.stan, workers);
            let transaction = number::transaction_of(debt.id);
            let owner = ordered.get(&transaction).copied().or(by_stan).unwrap_or(WorkerId(0));
            if Some(owner) != by_stan {
                lanes.moved.insert(transaction, owner);
                lanes.waiting.insert((debt.partner, debt.stan), 0);
            }
        }
        if lanes.waiting.is_empty() {
            return lanes;
        }
        // Numbers come round: of two debts with one STAN perhaps only one was moved.
        for debt in unsettled() {
            let owner = lanes.owner_of(debt, workers);
            if let Some(waiting) = lanes.waiting.get_mut(&(debt.partner, debt.stan)) {
                *waiting |= 1 << owner.0;
            }
        }
        lanes
    }

    /// By transaction for which an advice is owed, or the reversal of one: who owes all for it.
    fn in_order(
        &self,
        workers: u8,
        mut card_of: impl FnMut(LinkId, &[u8]) -> u64,
    ) -> Map<u64, WorkerId> {
        let (mut transactions, mut cards) = (Map::default(), Map::default());
        let is_ordered = |debt: &&Debt| !debt.settled && number::role_of(debt.id) != Role::Reversal;
        for debt in self.owed.iter().filter(is_ordered) {
            let transaction = number::transaction_of(debt.id);
            let card = (debt.partner, card_of(debt.partner, self.messages.at(debt.message)));
            let beside = transactions.get(&transaction).or_else(|| cards.get(&card)).copied();
            let owner = beside.or_else(|| Share::owner(debt.stan, workers)).unwrap_or(WorkerId(0));
            transactions.insert(transaction, owner);
            if card.1 != 0 {
                cards.entry(card).or_insert(owner);
            }
        }
        transactions
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::switch::owed::Owed;
    use crate::switch::record::{self, Record, Records};

    const PARTNER: LinkId = LinkId(1);

    /// A transaction, which of its messages, under which STAN, of which card.
    type Message = (u64, Role, u32, u8);

    /// What is owed; those named are settled.
    fn owed(messages: &[Message], settled: &[(u64, Role)]) -> Recovery {
        let mut records = Records { on: true, ..Records::default() };
        for &(transaction, role, stan, card) in messages {
            let (id, kind, message) = (number::owed(transaction, role), role.kind(), &[card][..]);
            let owed = record::Owed { id, partner: PARTNER, stan, kind, message };
            records.push(&Record::Owed(owed));
        }
        for &(transaction, role) in settled {
            records.push(&Record::Done(number::owed(transaction, role)));
        }
        let mut recovery = Recovery::default();
        recovery.read(&records.clear, &records.secret);
        recovery
    }

    fn lanes(recovery: &Recovery, workers: u8) -> Lanes {
        recovery.lanes(workers, |_, message| u64::from(message[0]))
    }

    fn waiting(lanes: &Lanes, stan: u32) -> Vec<u8> {
        lanes.waiting(PARTNER, stan).map(|worker| worker.0).collect()
    }

    fn owners(lanes: &Lanes, recovery: &Recovery, workers: u8) -> Vec<u8> {
        recovery.owed.iter().map(|debt| lanes.owner_of(debt, workers).0).collect()
    }

    #[test]
    fn what_has_an_order_goes_where_the_first_advice_is() {
        let (mine, others) = (400_000, 900_000);
        let (reversal, advice) = (Role::Reversal, Role::Advice);
        let recovery = owed(
            &[
                (1, reversal, others, 7),
                (1, advice, mine, 7),
                (1, Role::AdviceReversal, others + 1, 7),
                (2, advice, others + 2, 8),
                // Alone, and what is under its STAN is not.
                (3, reversal, others + 1, 7),
                (4, advice, others + 3, 7),
            ],
            &[],
        );
        let lanes = lanes(&recovery, 2);
        assert_eq!(owners(&lanes, &recovery, 2), [0, 0, 0, 1, 1, 0]);
        assert_eq!(waiting(&lanes, others), [0]);
        assert_eq!(waiting(&lanes, others + 1), [0, 1], "either may be meant");
        assert!(waiting(&lanes, mine).is_empty() && waiting(&lanes, others + 2).is_empty());
        assert_eq!(lanes.owner(1, others, 2), Some(WorkerId(0)));
        assert_eq!(lanes.owner(9, others, 2), Some(WorkerId(1)));
    }

    /// Its answer would go to whoever took up the old one, too.
    #[test]
    fn no_number_is_given_that_something_has_that_was_moved() {
        let mut owed = Owed::new(Share::of(WorkerId(0), 2), 2, 0);
        let first = owed.number(|_| false);
        assert_eq!(owed.number(|stan| stan < first + 10), first + 10);
        owed.number(|_| true);
        assert_ne!(owed.number(|stan| stan == first), first, "there is always one");
    }

    proptest! {
        /// Whatever is owed, and for however many workers.
        #[test]
        fn nothing_is_parted_and_each_answer_finds_its_debt(
            messages in prop::collection::vec(
                (0..6u64, 0..3usize, 1..=limits::STAN_MAX, any::<bool>()), 1..20),
            come_round in any::<bool>(),
            workers in 1..=8u8,
        ) {
            let stan = |stan: u32| if come_round { 1 + stan % 4 * 249_999 } else { stan };
            let of = |&(transaction, role, number, _): &(u64, usize, u32, bool)| {
                (transaction, Role::ALL[role], stan(number), card(transaction))
            };
            let all: Vec<Message> = messages.iter().map(of).collect();
            let settled = messages.iter().filter(|(.., is_settled)| *is_settled);
            let settled: Vec<_> = settled.map(|of| (of.0, Role::ALL[of.1])).collect();
            let recovery = owed(&all, &settled);
            let lanes = lanes(&recovery, workers);
            let unsettled = || recovery.owed.iter().filter(|debt| !debt.settled);
            let is_advice = |debt: &&Debt| number::role_of(debt.id) != Role::Reversal;
            let ordered: BTreeSet<u64> =
                unsettled().filter(is_advice).map(|debt| number::transaction_of(debt.id)).collect();
            let (mut transactions, mut cards) = (BTreeMap::new(), BTreeMap::new());
            for debt in unsettled() {
                let owner = lanes.owner_of(debt, workers);
                let is_home = Share::owner(debt.stan, workers) == Some(owner);
                let named = waiting(&lanes, debt.stan);
                prop_assert!(named.contains(&owner.0) || is_home && named.is_empty());
                let transaction = number::transaction_of(debt.id);
                if ordered.contains(&transaction) {
                    prop_assert_eq!(*transactions.entry(transaction).or_insert(owner), owner);
                    if card(transaction) != 0 {
                        let card = card(transaction);
                        prop_assert_eq!(*cards.entry(card).or_insert(owner), owner);
                    }
                } else {
                    prop_assert!(is_home || Share::owner(debt.stan, workers).is_none());
                }
            }
        }
    }

    /// None, or one of two.
    fn card(transaction: u64) -> u8 {
        (transaction % 3) as u8
    }
}
