//! What was given back of a sale, or taken of what was held: refunds and voids together are never
//! more than the sale, completions never more than was held and what trade allows on top.
//!
//! Each that names its original weighs on it from the moment it is about to be sent until it is
//! declined or taken back. That is put on record beside its intent, so the sum holds across lives,
//! and for originals that were forgotten meanwhile: whoever looks one up reads what weighs on it.
//! What was taken back weighs nothing from the moment its reversal is owed, since a reversal always
//! arrives; its terminal may try again at once.
//!
//! An advice is held to the same: money that a terminal gave back unasked, of a sale that nobody
//! knows or twice over, is its acquirer's, and no partner hears of it. Only of a completion there
//! is one thing less to say: what it completes may be unknown, or not approved as far as is known
//! here; goods left for it, so its partner decides.
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
use super::record::{Record, Side, Weight};
use super::sound::Sound;
use super::{Batch, Switch};
use crate::routing::Declined;

/// What weighs on the transactions that one worker remembers.
#[derive(Debug, Default)]
pub(super) struct Returns {
    /// By original.
    loads: Map<u64, Load>,
    /// By what weighs: its original.
    originals: Map<u64, u64>,
    /// At so many originals those that were forgotten are dropped.
    sweep_at: usize,
}

/// What weighs on one original.
#[derive(Debug)]
struct Load {
    /// Under which it is remembered.
    number: u64,
    each: Vec<Weight>,
}

impl Returns {
    fn of(&self, original: u64) -> &[Weight] {
        self.loads.get(&original).map_or(&[], |load| &load.each)
    }

    /// In minor units.
    fn sum(&self, original: u64, side: Side) -> u64 {
        let of_side = self.of(original).iter().filter(|weight| weight.side == side);
        of_side.fold(0, |sum: u64, weight| sum.saturating_add(weight.amount))
    }

    /// Something weighs on an original that is remembered under `number`.
    fn add(&mut self, number: u64, weight: Weight, recent: &Recent) {
        if self.loads.len() >= self.sweep_at {
            let is_known = |number| recent.past(number).is_some();
            self.loads.retain(|_, load| is_known(load.number));
            self.originals.retain(|_, original| self.loads.contains_key(original));
            self.sweep_at = 2 * self.loads.len() + SWEEP_MIN;
        }
        let load = self.loads.entry(weight.of).or_insert(Load { number, each: Vec::new() });
        load.number = number;
        if load.each.iter().all(|other| other.id != weight.id) {
            load.each.push(weight);
        }
        self.originals.insert(weight.id, weight.of);
    }

    /// Nothing came of it, or it is undone. Anything else weighs nothing anyway.
    #[inline]
    pub(super) fn end(&mut self, id: u64) {
        if !self.originals.is_empty() {
            self.end_known(id);
        }
    }

    #[cold]
    fn end_known(&mut self, id: u64) {
        let Some(original) = self.originals.remove(&id) else { return };
        if let Some(load) = self.loads.get_mut(&original) {
            load.each.retain(|other| other.id != id);
            if load.each.is_empty() {
                self.loads.remove(&original);
            }
        }
    }
}

/// What a message of this kind does to the original that it names.
pub(super) const fn side_of(kind: Kind) -> Option<Side> {
    match kind {
        Kind::Void | Kind::Refund => Some(Side::Back),
        Kind::Completion => Some(Side::Taken),
        _ => None,
    }
}

/// The same, now that it is known: a sale that names what was held completes it, whether DE 25 says
/// so or not.
fn side_to(sound: &Sound, message: &Message<'_>, bound: &Bound) -> Option<Side> {
    let completes = bound.is_hold && message.mti().class() == 2;
    side_of(sound.facts.kind).or_else(|| completes.then_some(Side::Taken))
}

/// True if a request may weigh on another: by its kind, or since DE 90 names an authorization.
#[inline]
pub(super) fn may_name_another(message: &Message<'_>, sound: &Sound) -> bool {
    side_of(sound.facts.kind).is_some() || (message.has(90) && names_authorization(message))
}

#[cold]
fn names_authorization(message: &Message<'_>) -> bool {
    let mut buffer = [0; 42];
    message.characters(90, &mut buffer) == Some(42) && matches!(buffer, [_, b'1', ..])
}

/// What a request undoes, or completes.
#[derive(Debug)]
pub(super) enum Undoes {
    /// Nothing, or what is not known: it goes by its route.
    Nothing,
    /// This, which had that partner, and so much of it.
    This(Bound, Part),
    /// It is not forwarded from here: it was answered, another worker has its original, or it is
    /// looked up first.
    NotHere,
}

/// So much of an original.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// In minor units.
    amount: u64,
    pub(super) side: Side,
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
                let part = self.may_weigh(batch, message, &bound, sound)?;
                return Ok(part.map_or(Undoes::Nothing, |part| Undoes::This(bound, part)));
            }
            Origin::Unknown => {
                let Some(declined) = unknown_original(batch, message, sound) else {
                    return Ok(Undoes::Nothing);
                };
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

    /// True for what undoes or completes another and was passed on to us, since that is here.
    #[cold]
    pub(super) fn was_sent_here(
        &self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
    ) -> bool {
        let is_passed = self.sessions.of(batch.session).is_some_and(|session| session.shared);
        is_passed && may_name_another(message, sound)
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

    /// May so much of it be given back, or taken? Its amount, which is what is left if it names
    /// none; nothing if the message does neither.
    pub(super) fn may_weigh(
        &self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        bound: &Bound,
        sound: &Sound,
    ) -> Result<Option<Part>, Fault> {
        let original = self.recent.past(bound.number).ok_or(Fault::UnknownOriginal)?;
        let Some(side) = side_to(sound, message, bound) else { return Ok(None) };
        let said = Part { amount: sound.amount.unwrap_or(0), side };
        // Money goes back to where it came from, and is taken from where it is held.
        if bound.is_other_account && !self.setup.has(Bug::RefundedToAnother) {
            return Err(Fault::UnknownOriginal);
        }
        // What its terminal never heard approved is not sold.
        if !matches!(original.fate, Fate::Approved { .. }) {
            let is_told = side == Side::Taken && message.mti().is_advice();
            return if is_told { Ok(Some(said)) } else { Err(Fault::UnknownOriginal) };
        }
        let Some(first) = original.part.or(original.amount) else { return Ok(Some(said)) };
        let most = match side {
            Side::Back => first,
            Side::Taken => percent_of(first, batch.routes.completion_percent()),
        };
        let given = self.returns.sum(original.id, side);
        let left = most.saturating_sub(given);
        // Who names no amount means the rest, not what is allowed on top.
        let asked = sound.amount.unwrap_or(first.saturating_sub(given));
        let too_many = self.returns.of(original.id).len() >= limits::REFUNDS_MAX;
        let is_other_money = message.has(49) && bound.is_other_currency;
        let too_much = asked > left && !self.setup.has(Bug::RefundsNotSummed);
        match too_much || too_many || is_other_money {
            true => Err(Fault::RefundExceeds),
            false => Ok(Some(Part { amount: asked, side })),
        }
    }

    /// The request that was claimed as `number` is about to be sent.
    #[inline]
    pub(super) fn returning(&mut self, number: u64, undoes: &Undoes, outbox: &mut Outbox) {
        if let Undoes::This(bound, part) = undoes {
            self.weighs(number, bound, part, outbox);
        }
    }

    /// The request or advice that was claimed as `number` gives so much back, or takes it.
    #[cold]
    pub(super) fn weighs(&mut self, number: u64, bound: &Bound, part: &Part, outbox: &mut Outbox) {
        let id_of = |number| self.recent.past(number).map(|past| past.id);
        let (Some(id), Some(of)) = (id_of(number), id_of(bound.number)) else { return };
        let weight = Weight { id, of, amount: part.amount, side: part.side };
        outbox.records.push(&Record::Weight(weight));
        self.returns.add(bound.number, weight, &self.recent);
    }

    /// What records say weighs on a transaction that is remembered again, under `number`.
    pub(super) fn weighed(&mut self, number: u64, each: &[Weight]) {
        if !self.setup.has(Bug::RefundsForgotten) {
            each.iter().for_each(|weight| self.returns.add(number, *weight, &self.recent));
        }
    }

    /// True if some of transaction `id` was given back, or of what it holds taken: it is not taken
    /// back any more.
    pub(super) fn is_returned(&self, id: u64) -> bool {
        self.returns.of(id).iter().any(|weight| weight.amount > 0)
    }
}

/// What is said to a void or refund that names, by DE 90, what nobody knows; `None` if it goes by
/// its route, as whatever else does.
pub(super) fn unknown_original(
    batch: &Batch<'_>,
    message: &Message<'_>,
    sound: &Sound,
) -> Option<Declined> {
    let gives_back = side_of(sound.facts.kind) == Some(Side::Back);
    batch.routes.unknown_original().filter(|_| gives_back && named(message, sound).by_data)
}

/// Rounded down.
fn percent_of(amount: u64, percent: u16) -> u64 {
    u64::try_from(u128::from(amount) * u128::from(percent) / 100).unwrap_or(u64::MAX)
}

/// Sales that are kept before it is looked whether they are remembered.
const SWEEP_MIN: usize = 1024;
