//! Advices of acquirers (0120, 0220): told, not asked.
//!
//! Who sends an advice has done it already (completed a pre-authorization, approved offline), so it
//! is not refused for want of money: the switch takes it over, says so when that is durable, and
//! delivers it until the partner has taken it. What gives back more than was sold, or takes more
//! than was held, is refused all the same ([`super::returns`]). It goes to the partner that has the
//! original, if one is named and known, else the way a request would; if another worker has the
//! original, it is passed on to that worker. What cannot be taken over (no route, no room, nothing
//! to put it on record with) is refused and not remembered, so that it can be told again.

use crate::base::codes::ResponseCode;
use crate::base::ids::{LinkId, WorkerId};
use crate::base::limits;
use crate::iso8583::message::Message;
use crate::routing::Declined;

use super::bug::Bug;
use super::compose::Advice;
use super::fault::Fault;
use super::original::{Bound, Origin};
use super::outbox::Outbox;
use super::recent::{Fate, Hearing};
use super::record::Side;
use super::returns::{Part, side_of, unknown_original};
use super::sound::Sound;
use super::{Batch, Storage, Switch, noted, reply};

/// What becomes of an advice that is not refused for a fault.
enum Heard {
    TakenOver,
    /// It goes nowhere, and was told so.
    Declined,
    /// That worker has its original.
    Elsewhere(WorkerId),
    /// Its original is being looked up.
    Later,
}

impl Switch {
    /// An acquirer tells what was done, for the first time: its key is claimed.
    #[cold]
    pub(super) fn advice_request(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
        framed: &[u8],
        outbox: &mut Outbox,
    ) -> Result<(), Fault> {
        let heard = self.hear_advice(batch, message, sound, framed, outbox);
        if !matches!(heard, Ok(Heard::TakenOver)) {
            self.recent.forget(sound.number);
        }
        match heard? {
            Heard::TakenOver | Heard::Declined | Heard::Later => Ok(()),
            Heard::Elsewhere(worker) => self.pass(batch, worker, framed, outbox),
        }
    }

    fn hear_advice(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
        framed: &[u8],
        outbox: &mut Outbox,
    ) -> Result<Heard, Fault> {
        if self.storage == Storage::Failed {
            return Err(Fault::NotRecorded);
        }
        let (side, is_checked) =
            (side_of(sound.facts.kind), !batch.setup.has(Bug::AdviceNotSummed));
        // What gives money back is held to what is refused, as a request is.
        if side == Some(Side::Back)
            && is_checked
            && let Err(declined) = batch.routes.decide_at(&sound.facts, batch.now.wall)
        {
            self.say_declined(batch, message, &declined, outbox);
            return Ok(Heard::Declined);
        }
        let (partner, original) = match self.origin(batch, message, sound, framed, outbox)? {
            Origin::Here(bound) => {
                let part = match is_checked {
                    true => self.may_weigh(batch, message, &bound, sound)?,
                    false => None,
                };
                (bound.partner, Some((bound, part)))
            }
            Origin::Elsewhere(worker) => return Ok(Heard::Elsewhere(worker)),
            Origin::Sought => return Ok(Heard::Later),
            Origin::Unknown => match self.way_of(batch, message, sound) {
                Ok(partner) => (partner.ok_or(Fault::NoPartner)?, None),
                Err(declined) => {
                    self.say_declined(batch, message, &declined, outbox);
                    return Ok(Heard::Declined);
                }
            },
        };
        self.take_over(batch, message, sound, (partner, original), outbox)?;
        Ok(Heard::TakenOver)
    }

    /// Who is told of what names nothing that is known; `None` if nobody can be.
    fn way_of(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
    ) -> Result<Option<LinkId>, Declined> {
        if let Some(declined) = unknown_original(batch, message, sound) {
            return Err(declined);
        }
        let chosen = batch.routes.decide_at(&sound.facts, batch.now.wall)?;
        let route = batch.routes.route(chosen.route);
        let payer = sound.facts.instrument;
        let first = self.whose_turn(batch.now, chosen.route, route, payer);
        Ok(self.preferred(&route.partners, first))
    }

    /// Stores the advice, and says that the switch owns it now.
    fn take_over(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
        (partner, original): (LinkId, Option<(Bound, Option<Part>)>),
        outbox: &mut Outbox,
    ) -> Result<(), Fault> {
        if self.owes(partner) >= limits::SAF_ADVICES_MAX {
            return Err(Fault::Overload);
        }
        let number = sound.number;
        let id = self.recent.past(number).map(|past| past.id).ok_or(Fault::Overload)?;
        let mut kept = std::mem::take(&mut self.kept);
        kept.fill_advice(message);
        let data = original.as_ref().map(|(bound, _)| bound.data);
        let advice = Advice { acquirer: batch.link_id, partner, approval: None, original: data };
        let stan = self.owe_advice(batch.now, id, &advice, kept.bytes(), outbox);
        if stan.is_some() {
            self.recent.keep(number, &kept);
        }
        if let (Some(stan), Some(past)) = (stan, self.recent.past_mut(number)) {
            past.code = reply::padded_code(&batch.link.dialect, ResponseCode::APPROVED);
            (past.partner, past.stan, past.amount) = (Some(partner), stan, sound.amount);
            past.told = Hearing::Advised;
            // Whether its terminal sees the answer or not, what it tells was done.
            past.fate = Fate::Approved { waiting: 1, handed: true };
            noted::told(batch.now, past, &kept, outbox);
            noted::outcome(past, outbox);
            if let Some((bound, Some(part))) = &original {
                self.weighs(number, bound, part, outbox);
            }
        }
        self.kept = kept;
        stan.ok_or(Fault::Untranslatable(0))?;
        let mti = message.mti().response().unwrap_or_default();
        let lane = outbox.lane_gated(batch.session, !batch.setup.has(Bug::AdviceUngated));
        reply::write(message, mti, ResponseCode::APPROVED, lane);
        outbox.mark(batch.session, number);
        Ok(())
    }
}
