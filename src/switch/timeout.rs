//! A request that gets no answer: declined, or stood in for, once, and taken back.
//!
//! Its deadline has come, its partner's connection is gone, or its terminal does not want it any
//! more. Who takes its slot in the pending ring first decides; here is what follows if it is not
//! the answer ([`super::response`]).

use crate::base::codes::ResponseCode;
use crate::base::time::Now;

use super::bug::Bug;
use super::fault::Fault;
use super::outbox::Outbox;
use super::recent::Fate;
use super::risk::End;
use super::stats::Counter;
use super::transaction::Stage;
use super::{Switch, noted, pending, repeat};

impl Switch {
    /// The partner did not answer in time, or can no longer, or the terminal does not want it any
    /// more: decline, once, and take back what the partner may have done.
    /// True if no byte of the request had left.
    pub(super) fn give_up(
        &mut self,
        now: Now,
        place: u32,
        fault: Fault,
        outbox: &mut Outbox,
    ) -> bool {
        let asked = self.transactions.at(place);
        if asked.is_some_and(|asked| asked.stage != Stage::Asked) {
            self.consult_given_up(now, place, fault, outbox);
            return true;
        }
        self.stats.count(fault.counter());
        let never_left = self.withdraw(place, outbox);
        if fault == Fault::TimedOut
            && !never_left
            && let Some(asked) = self.transactions.at(place)
        {
            self.partner_failed(now, asked.partner, outbox);
        }
        let granted = match fault {
            Fault::TakenBack => None,
            _ => self.grant_given_up(now, place, never_left),
        };
        let in_turn = granted.is_none() || !self.setup.has(Bug::AdviceFirst);
        if !never_left && in_turn {
            self.owe_in_flight(now, place, outbox);
            if fault == Fault::TimedOut {
                self.inquire(now, place, outbox);
            }
        }
        let way = (place, never_left);
        if granted.is_some_and(|granted| self.stand_in_given_up(now, way, &granted, outbox)) {
            self.end(place, outbox);
            outbox.close_full_batch();
            return never_left;
        }
        self.refuse_waiting(now, place, fault, outbox);
        let Some(asked) = self.transactions.at(place) else { return never_left };
        let (partner, stan, number) = (asked.partner, asked.stan, asked.number);
        let taken_back = fault == Fault::TakenBack && !never_left;
        let number = self.recent.end(number);
        if let Some(past) = self.recent.past_mut(number) {
            past.code = repeat::padded(ResponseCode::INOPERATIVE);
            past.at = now.instant;
            past.fate = match fault {
                // There is nothing to take back, now or later.
                _ if never_left => Fate::Declined,
                Fault::TakenBack => Fate::Reversed,
                _ => Fate::Unknown,
            };
            noted::outcome(past, outbox);
            let id = past.id;
            if taken_back {
                self.note_taken_back(id, outbox);
            }
            self.returns.end(id);
            self.limits_end(id, End::Undone);
        }
        self.recent.settle(number);
        let ring = self.pending.get_mut(usize::from(partner.0)).and_then(Option::as_mut);
        let fate = match never_left {
            true => pending::Fate::Free,
            false => pending::Fate::GivenUp(number as u32),
        };
        let settled = ring.is_some_and(|ring| ring.settle(stan, fate));
        debug_assert!(settled, "a live transaction waits in its ring");
        self.end(place, outbox);
        // One moment may be the deadline of more than a journal takes at once.
        outbox.close_full_batch();
        never_left
    }

    /// Keeps a request from leaving, if no byte of it has left yet: its intent is not durable, or
    /// the partner takes nothing. What its partner never saw need not be taken back.
    fn withdraw(&mut self, place: u32, outbox: &mut Outbox) -> bool {
        let Some(asked) = self.transactions.at(place) else { return false };
        let (from, count) = asked.sent_at;
        let never_left = self.setup.has(Bug::SentTakenForUnsent)
            || !self.setup.has(Bug::ForwardedLate)
                && outbox.withdraw(asked.partner_session, from, count);
        if never_left {
            self.stats.count(Counter::Withdrawn);
        }
        never_left && !self.setup.has(Bug::WithdrawnReversed)
    }
}
