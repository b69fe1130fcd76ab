//! What was given back of a sale: its refunds and its void together are never more than the sale.
//!
//! Each refund that names its sale weighs on it from the moment it is about to be sent until it is
//! declined or taken back. That is put on record beside its intent, so the sum holds across lives,
//! and for sales that were forgotten meanwhile: whoever looks such a sale up reads its refunds with
//! it. What was taken back weighs nothing from the moment its reversal is owed, since a reversal
//! always arrives; its terminal may try again at once.
//!
//! A refund that names nothing is not looked at here: it goes by its route, if routes let it. Only
//! the worker that remembers a sale lets it be given back, so two workers never spend it twice.

use crate::base::authorization::Kind;
use crate::base::codes::ResponseCode;
use crate::base::limits;
use crate::base::map::Map;
use crate::iso8583::message::Message;

use super::bug::Bug;
use super::fault::Fault;
use super::original::{Bound, Origin, named};
use super::outbox::Outbox;
use super::recent::{Claim, Fate, Recent, TerminalKey};
use super::record::{Record, Refund};
use super::sound::Sound;
use super::{Batch, Switch};

/// What was given back of the sales that one worker remembers.
#[derive(Debug, Default)]
pub(super) struct Returns {
    /// By sale.
    given: Map<u64, Given>,
    /// By refund: its sale.
    sales: Map<u64, u64>,
    /// At so many sales those that were forgotten are dropped.
    sweep_at: usize,
}

/// What was given back of one sale.
#[derive(Debug)]
struct Given {
    /// Under which the sale is remembered.
    number: u64,
    /// Each refund, with its amount.
    each: Vec<(u64, u64)>,
}

impl Returns {
    /// In minor units.
    fn given(&self, sale: u64) -> u64 {
        let each = self.given.get(&sale).map_or(&[][..], |given| &given.each);
        each.iter().fold(0, |sum: u64, (_, amount)| sum.saturating_add(*amount))
    }

    fn count(&self, sale: u64) -> usize {
        self.given.get(&sale).map_or(0, |given| given.each.len())
    }

    /// A refund of `sale`, which is remembered under `number`.
    fn add(&mut self, (sale, number): (u64, u64), refund: u64, amount: u64, recent: &Recent) {
        if self.given.len() >= self.sweep_at {
            let is_known = |number| recent.past(number).is_some();
            self.given.retain(|_, given| is_known(given.number));
            self.sales.retain(|_, sale| self.given.contains_key(sale));
            self.sweep_at = 2 * self.given.len() + SWEEP_MIN;
        }
        let given = self.given.entry(sale).or_insert(Given { number, each: Vec::new() });
        given.number = number;
        if given.each.iter().all(|(other, _)| *other != refund) {
            given.each.push((refund, amount));
        }
        self.sales.insert(refund, sale);
    }

    /// Nothing came of the refund, or it is undone. Anything else weighs nothing anyway.
    #[inline]
    pub(super) fn end(&mut self, refund: u64) {
        if !self.sales.is_empty() {
            self.end_known(refund);
        }
    }

    #[cold]
    fn end_known(&mut self, refund: u64) {
        let Some(sale) = self.sales.remove(&refund) else { return };
        if let Some(given) = self.given.get_mut(&sale) {
            given.each.retain(|(other, _)| *other != refund);
            if given.each.is_empty() {
                self.given.remove(&sale);
            }
        }
    }
}

/// What a request undoes.
#[derive(Debug)]
pub(super) enum Undoes {
    /// Nothing, or what is not known: it goes by its route.
    Nothing,
    /// This, which had that partner, and so much of it.
    This(Bound, u64),
    /// It is not forwarded from here: it was answered, another worker has its original, or it is
    /// looked up first.
    NotHere,
}

impl Switch {
    /// What does the request undo, whose key is claimed? It goes to whoever has that, or nowhere.
    #[cold]
    pub(super) fn undoes(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
        framed: &[u8],
        outbox: &mut Outbox,
    ) -> Result<Undoes, Fault> {
        match self.origin(batch, message, sound, framed, outbox)? {
            Origin::Here(bound) => {
                let amount = self.may_return(message, &bound, sound.amount)?;
                return Ok(Undoes::This(bound, amount));
            }
            Origin::Unknown => {
                let is_named = named(message, sound).by_data;
                let declined = batch.routes.unknown_original().filter(|_| is_named);
                let Some(declined) = declined else { return Ok(Undoes::Nothing) };
                self.remember_refusal(sound.number, declined.code, outbox);
                self.say_declined(batch, message, &declined, outbox);
                return Ok(Undoes::NotHere);
            }
            Origin::Elsewhere(worker) => self.pass(batch, worker, framed, outbox)?,
            Origin::Sought => {}
        }
        // Had it been refused, it would be remembered.
        self.recent.forget(sound.number);
        Ok(Undoes::NotHere)
    }

    /// True for a void or refund that was passed on to us, since the original is here.
    #[cold]
    pub(super) fn was_sent_here(&self, batch: &Batch<'_>, kind: Kind) -> bool {
        let is_passed = self.sessions.of(batch.session).is_some_and(|session| session.shared);
        is_passed && matches!(kind, Kind::Void | Kind::Refund)
    }

    /// Whoever passed it on has been told since that its terminal takes it back, and could not
    /// know of what. It is refused here, where all copies of it come.
    #[cold]
    pub(super) fn refuse_sent_here(
        &mut self,
        batch: &Batch<'_>,
        key: &TerminalKey,
        outbox: &mut Outbox,
    ) -> Fault {
        let (id, at) = (self.next_id(), batch.now.instant);
        let claim = Claim { id, key: *key, acquirer: batch.link_id, at };
        let Some(number) = self.recent.enter(&claim) else { return Fault::Overload.unsaid() };
        self.remember_refusal(number, ResponseCode::INOPERATIVE, outbox);
        Fault::TakenBack
    }

    /// May this be given back? Its amount, which is what is left if it names none.
    fn may_return(
        &self,
        message: &Message<'_>,
        bound: &Bound,
        amount: Option<u64>,
    ) -> Result<u64, Fault> {
        let sale = self.recent.past(bound.number).ok_or(Fault::UnknownOriginal)?;
        // What its terminal never heard approved is not sold.
        if !matches!(sale.fate, Fate::Approved { .. }) {
            return Err(Fault::UnknownOriginal);
        }
        let Some(sold) = sale.part.or(sale.amount) else { return Ok(amount.unwrap_or(0)) };
        let left = sold.saturating_sub(self.returns.given(sale.id));
        let asked = amount.unwrap_or(left);
        let too_many = self.returns.count(sale.id) >= limits::REFUNDS_MAX;
        let is_other_money = message.has(49) && bound.is_other_currency;
        let too_much = asked > left && !self.setup.has(Bug::RefundsNotSummed);
        match too_much || too_many || is_other_money {
            true => Err(Fault::RefundExceeds),
            false => Ok(asked),
        }
    }

    /// The request that was claimed as `number` is about to be sent.
    #[inline]
    pub(super) fn returning(&mut self, number: u64, undoes: &Undoes, outbox: &mut Outbox) {
        if let Undoes::This(bound, amount) = undoes {
            self.weighs(number, bound, *amount, outbox);
        }
    }

    /// The request or advice that was claimed as `number` gives so much back.
    #[cold]
    pub(super) fn weighs(&mut self, number: u64, bound: &Bound, amount: u64, outbox: &mut Outbox) {
        let id_of = |number| self.recent.past(number).map(|past| past.id);
        let (Some(id), Some(of)) = (id_of(number), id_of(bound.number)) else { return };
        outbox.records.push(&Record::Refund(Refund { id, of, amount }));
        self.returns.add((of, bound.number), id, amount, &self.recent);
    }

    /// What records say was given back of a sale that is remembered again, under `number`.
    pub(super) fn returned(&mut self, (sale, number): (u64, u64), each: &[(u64, u64)]) {
        if self.setup.has(Bug::RefundsForgotten) {
            return;
        }
        for (refund, amount) in each {
            self.returns.add((sale, number), *refund, *amount, &self.recent);
        }
    }

    /// True if some of transaction `id` was given back: it is not taken back any more.
    pub(super) fn is_returned(&self, id: u64) -> bool {
        self.returns.given(id) > 0
    }
}

/// Sales that are kept before it is looked whether they are remembered.
const SWEEP_MIN: usize = 1024;
