//! Reversals: those acquirers ask for (0400, 0420), and those the switch decides on itself.
//!
//! An 0410 says that the switch owns the reversal now, not that the partner has done it: so it is
//! given when the obligation is durable. A terminal can take back what it asked itself, and
//! nothing else. The switch takes back of its own accord what may have been approved and cannot
//! have been seen approved: unanswered in time, connection lost, answer not handed over.

use crate::base::codes::ResponseCode;
use crate::base::ids::SessionId;
use crate::base::time::Now;
use crate::iso8583::digits;
use crate::iso8583::message::Message;

use super::bug::Bug;
use super::compose::Original;
use super::fault::Fault;
use super::index::Place;
use super::lookup::About;
use super::original::{Named, named};
use super::outbox::{Outbox, Told};
use super::recent::{Claim, Fate, Past, TerminalKey};
use super::repeat;
use super::risk::End;
use super::sound::Sound;
use super::stats::Counter;
use super::{Batch, Storage, Switch, noted, reply};

impl Switch {
    /// A terminal takes back what it asked.
    #[cold]
    pub(super) fn reversal_request(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
        framed: &[u8],
        outbox: &mut Outbox,
    ) -> Result<(), Fault> {
        if takes_back_a_part(message) {
            return Err(Fault::Amount);
        }
        let named = named(message, sound);
        let mut found = self.original_of(batch, sound, &named);
        if batch.setup.has(Bug::ElsewhereNotFound) {
            found = found.filter(|place| matches!(place, Place::Here(_)));
        }
        if found.is_none() {
            let sought = self.sought(batch, sound, &named);
            if self.look_up(batch, framed, (About::Original, sought), outbox)? {
                return Ok(());
            }
        }
        match found {
            // Whoever is told "not found" asks no more, so that must be on record: later, then.
            None if self.storage != Storage::Ready && !batch.setup.has(Bug::NotFoundForgotten) => {
                return Err(Fault::NotRecorded);
            }
            None => {
                self.remember_taken_back(batch, message, sound, &named, outbox);
                return Err(Fault::UnknownOriginal);
            }
            Some(Place::Elsewhere(worker)) => return self.pass(batch, worker, framed, outbox),
            Some(Place::Here(number)) => {
                self.is_its_original(batch, message, number, &named)?;
                self.take_back(batch.now, number, sound.amount, outbox)?;
            }
        }
        self.stats.count(Counter::AcquirerReversals);
        let mti = message.mti().response().unwrap_or_default();
        let lane = outbox.lane_gated(batch.session, !batch.setup.has(Bug::TakenBackUngated));
        reply::write(message, mti, ResponseCode::APPROVED, lane);
        Ok(())
    }

    /// What a reversal says of its original must be so: the currency, and the account. Who names no
    /// account and no moment has nothing but a STAN and DE 37, so these must agree. The amount is
    /// looked at later: it may be a part.
    fn is_its_original(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        number: u64,
        named: &Named,
    ) -> Result<(), Fault> {
        let by_stan = !named.is_exact(self.recent.past(number).map_or(0, |past| past.key.moment));
        let found = self.with_kept(number, &batch.link.dialect, |original| {
            let differs = |element| match (original.raw(element), message.raw(element)) {
                (Some(original), Some(said)) => !digits::are_same(original, said),
                _ => false,
            };
            let is_another = match (original.pan(), message.pan()) {
                (Some(original), Some(said)) => original.reveal() != said.reveal(),
                _ => by_stan && differs(37),
            };
            match (is_another, differs(49)) {
                (true, _) => Err(Fault::UnknownOriginal),
                (false, true) => Err(Fault::OriginalAmount),
                (false, false) => Ok(()),
            }
        });
        // Of what was refused nothing is kept, and nothing is owed for it.
        found.unwrap_or(Ok(()))
    }

    /// Reverses a transaction at its terminal's word.
    fn take_back(
        &mut self,
        now: Now,
        number: u64,
        amount: Option<u64>,
        outbox: &mut Outbox,
    ) -> Result<(), Fault> {
        let Some(past) = self.recent.past_mut(number) else { return Ok(()) };
        if let Fate::InFlight(place) = past.fate {
            if amount.is_some() && amount != past.amount {
                return Err(Fault::OriginalAmount);
            }
            self.give_up(now, place, Fault::TakenBack, outbox);
            return Ok(());
        }
        match (past.partner, past.fate) {
            // Nobody was asked: it was refused, or known only by an earlier copy of this. A full
            // disk keeps no refusals, but what is said now must hold in the next life.
            (None, Fate::Declined) => {
                noted::refused(past, b"", outbox);
                return Ok(());
            }
            (None, Fate::Reversed) => return Err(Fault::UnknownOriginal),
            _ => {}
        }
        let (id, is_approved) = (past.id, matches!(past.fate, Fate::Approved { .. }));
        let agrees = amount.is_none() || amount == past.amount || amount == past.part;
        if !agrees && !self.setup.has(Bug::AnyReversalAmount) {
            return Err(Fault::OriginalAmount);
        }
        // Its terminal has given back some of it since, so it knows that it was approved.
        if is_approved && self.is_returned(id) {
            return Err(Fault::OriginalAmount);
        }
        let Some(past) = self.recent.past_mut(number) else { return Ok(()) };
        // It stays declined: should its partner approve it yet, that is taken back then.
        if past.fate == Fate::Declined && !self.setup.has(Bug::DeclineNotKept) {
            return Ok(());
        }
        let was = std::mem::replace(&mut past.fate, Fate::Reversed);
        if self.setup.has(Bug::TakenBackApproved) {
            past.fate = was;
        }
        let past = *past;
        if matches!(was, Fate::Approved { .. }) && !self.setup.has(Bug::TakenBackNotOwed) {
            self.owe_past(now, number, &past, outbox);
        }
        self.note_taken_back(past.id, outbox);
        self.limits_end(past.id, End::Undone);
        self.recent.settle(number);
        Ok(())
    }

    /// Reverses past transactions whose approval the terminal cannot have seen.
    pub(super) fn reverse_unhanded(&mut self, now: Now, number: u64, outbox: &mut Outbox) {
        let Some(past) = self.recent.past_mut(number) else { return };
        let Fate::Approved { waiting, handed } = &mut past.fate else { return };
        *waiting = waiting.saturating_sub(1);
        if self.setup.has(Bug::UnhandedStands)
            || !self.setup.has(Bug::HandedReversed) && (*waiting > 0 || *handed)
        {
            return self.recent.settle(number);
        }
        past.fate = Fate::Unknown;
        let past = *past;
        self.owe_past(now, number, &past, outbox);
        self.limits_end(past.id, End::Undone);
        // It was recorded as approved: after a crash a repeat must not hear so.
        self.note_taken_back(past.id, outbox);
        self.recent.settle(number);
    }

    /// Owes the reversal of transaction `number`; `past` is what is known of it.
    pub(super) fn owe_past(&mut self, now: Now, number: u64, past: &Past, outbox: &mut Outbox) {
        let Some(original) = self.original_as_past(past) else { return };
        let mut kept = std::mem::take(&mut self.kept);
        kept.gather(self.recent.kept(number));
        self.owe_reversal(now, &original, kept.bytes(), outbox);
        self.kept = kept;
        self.returns.end(past.id);
    }

    /// What a message that names a transaction has to say of it; `None` if nobody was asked.
    pub(super) fn original_as_past(&self, past: &Past) -> Option<Original> {
        Some(Original {
            id: past.id,
            acquirer: past.acquirer,
            partner: past.partner?,
            stan: past.stan,
            approval: past.approval,
            part: past.part.filter(|_| !self.setup.has(Bug::PartReversedWhole)),
            told: past.told,
        })
    }

    /// Owes the reversal of a transaction in flight: nobody knows what its partner did, or will.
    #[cold]
    pub(super) fn owe_in_flight(&mut self, now: Now, place: u32, outbox: &mut Outbox) {
        if self.setup.has(Bug::TimeOutStands) {
            return;
        }
        let Some(number) = self.transactions.at(place).map(|asked| asked.number) else { return };
        let Some(past) = self.recent.past(number).copied() else { return };
        self.owe_past(now, number, &past, outbox);
    }

    /// What was never asked is remembered as taken back: should the request come yet, delayed on
    /// another connection, it is not forwarded.
    fn remember_taken_back(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
        named: &Named,
        outbox: &mut Outbox,
    ) {
        if batch.setup.has(Bug::TakenBackForgotten) {
            return;
        }
        let facts = &sound.facts;
        let (terminal, merchant) = (&facts.terminal, &facts.merchant);
        let fingerprint = self.terminal_key(message, sound, 0).fingerprint;
        let code = repeat::padded(ResponseCode::INOPERATIVE);
        for kind in named.kinds.iter().flatten() {
            let hash = self.terminal_hash(batch.link_id, terminal, merchant, named.stan, *kind);
            let key = TerminalKey { hash, moment: named.moment, fingerprint };
            let id = self.next_id();
            let claim = Claim { id, key, acquirer: batch.link_id, at: batch.now.instant };
            let Some(number) = self.recent.enter(&claim) else { continue };
            let Some(past) = self.recent.past_mut(number) else { continue };
            (past.code, past.fate) = (code, Fate::Reversed);
            if self.storage == Storage::Ready {
                noted::never_asked(past, outbox);
            }
            self.recent.settle(number);
        }
    }

    /// What the kernel has taken since the last event: those approvals may have been seen.
    #[inline]
    pub(super) fn note_handed(&mut self, outbox: &mut Outbox) {
        let mut handed = std::mem::take(&mut outbox.handed);
        for number in handed.drain(..) {
            if let Some(id) = self.recent.handed(number) {
                self.note_handed_record(id, outbox);
            }
        }
        outbox.handed = handed;
    }

    /// What became of an approval that left through another worker.
    pub(super) fn told(&mut self, now: Now, told: Told, outbox: &mut Outbox) -> usize {
        if !told.handed && self.setup.has(Bug::UntakenNotHeard) {
            return 0;
        }
        if !told.handed {
            self.stats.count(Counter::Undelivered);
            self.reverse_unhanded(now, told.number, outbox);
        } else if let Some(id) = self.recent.handed(told.number) {
            self.note_handed_record(id, outbox);
        }
        0
    }

    /// Approvals in the lane of a session that is gone: what was not taken by the kernel whole was
    /// not seen by anybody.
    pub(super) fn reverse_undelivered(&mut self, now: Now, id: SessionId, outbox: &mut Outbox) {
        for number in outbox.unhanded(id) {
            self.stats.count(Counter::Undelivered);
            self.reverse_unhanded(now, number, outbox);
            outbox.close_full_batch();
        }
    }
}

/// DE 95 says what the amount should have been. Only the whole can be taken back; to say yes to a
/// part and take the whole would cost the merchant the rest.
fn takes_back_a_part(message: &Message<'_>) -> bool {
    let mut amounts = [0; 42];
    let count = message.characters(95, &mut amounts).unwrap_or(0).min(12);
    let amount = amounts.get(..count).and_then(digits::ascii_number);
    amount.is_some_and(|amount| amount > 0)
}
