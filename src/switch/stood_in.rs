//! Standing in: from the decision to the answer, and to the advice that tells the partner.
//!
//! Asked only where a request would be declined because its partner is down or has not answered,
//! and only where the route has a policy. The answer leaves when everything about it is on record:
//! that it was approved here, for whom it counts, and the advice that is owed for it. Where the
//! request may have left, its reversal is owed first; both are of one transaction, so the lane
//! keeps that order. What the terminal takes back, or was not handed, is taken back behind the
//! advice.

use std::sync::Arc;

use crate::base::authorization::Kind;
use crate::base::codes::ResponseCode;
use crate::base::ids::{RouteNumber, SessionId};
use crate::base::money::Amount;
use crate::base::time::{Now, Wall};
use crate::iso8583::digits;
use crate::iso8583::message::Message;
use crate::routing::{Route, RouteTable};

use super::bug::Bug;
use super::compose::Advice;
use super::decision::{self, Outcome};
use super::number;
use super::outbox::Outbox;
use super::pending;
use super::recent::{Fate, Hearing, Past};
use super::record::{Record, StoodIn};
use super::reply::Extras;
use super::sound::{self, Sound};
use super::standin::{self, Facts, Part, StandIn};
use super::stats::Counter;
use super::{Batch, Storage, Switch, noted, repeat, reply};

/// What was approved by each route that has a policy.
#[derive(Debug, Default)]
pub(super) struct StandIns {
    /// By name: a route table that is loaded anew has other places, but its limits hold on.
    by_route: Vec<(String, StandIn)>,
}

/// An approval that may be given, and is counted.
#[derive(Debug, Clone)]
pub(super) struct Granted {
    route: String,
    amount: Amount,
    card: u64,
    merchant: u64,
}

impl StandIns {
    fn of(&mut self, route: &str) -> &mut StandIn {
        let place = self.by_route.iter().position(|(name, _)| name == route);
        let place = place.unwrap_or_else(|| {
            self.by_route.push((route.to_owned(), StandIn::default()));
            self.by_route.len() - 1
        });
        &mut self.by_route[place].1
    }
}

impl Switch {
    /// Nobody could be asked. True if the request was approved all the same.
    #[cold]
    pub(super) fn stand_in_unsent(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
        route: &Route,
        outbox: &mut Outbox,
    ) -> bool {
        let partner = route.partners.iter().find(|partner| !self.owes_too_much(**partner));
        let Some(&partner) = partner else { return false };
        let fate = standin::Fate::NotSent;
        let Some(granted) = self.grant(batch.now, message, sound, route, fate) else {
            return false;
        };
        let number = sound.number;
        let Some(id) = self.recent.past(number).map(|past| past.id) else { return false };
        let approval = approval_of(id);
        let advice =
            Advice { acquirer: batch.link_id, partner, approval: Some(approval), original: None };
        let mut kept = std::mem::take(&mut self.kept);
        kept.fill(message);
        let stan = self.owe_stand_in(batch.now, id, &advice, kept.bytes(), outbox);
        // Asked first whose code it is, it was kept then.
        if stan.is_some() && self.recent.is_newest(number) {
            self.recent.keep(number, &kept);
        }
        let told = stan.and_then(|stan| {
            let past = self.recent.past_mut(number)?;
            past.code = reply::padded_code(message.dialect, ResponseCode::APPROVED);
            (past.partner, past.stan, past.amount) = (Some(partner), stan, sound.amount);
            (past.approval, past.told) = (Some(approval), Hearing::Advised);
            past.fate = Fate::Approved { waiting: 1, handed: false };
            noted::told(batch.now, past, &kept, outbox);
            Some(*past)
        });
        self.kept = kept;
        let Some(past) = told else { return false };
        self.note_stood_in(batch.now, id, &granted, outbox);
        noted::outcome(&past, outbox);
        if self.say_stood_in(message, batch.session, &past, number, outbox) == 0 {
            self.reverse_unhanded(batch.now, number, outbox);
        }
        self.tap_stood_in(batch, message, &past, outbox);
        true
    }

    /// The transaction at `place` is given up, perhaps before it left: may it be approved all the
    /// same?
    #[cold]
    pub(super) fn grant_given_up(
        &mut self,
        now: Now,
        place: u32,
        never_left: bool,
    ) -> Option<Granted> {
        let routes = Arc::clone(&self.routes);
        let asked = self.transactions.at(place)?;
        let by_place = self.setup.has(Bug::RouteByPlace);
        let in_its_place = routes.routes().get(asked.route.0 as usize).filter(|_| by_place);
        let route = in_its_place.or_else(|| policy_route(&routes, asked.route))?;
        if !route.partners.contains(&asked.partner)
            || self.owes_too_much(asked.partner)
            || self.storage != Storage::Ready
        {
            return None;
        }
        let waits = |session: SessionId| self.sessions.of(session).is_some();
        let repeats = asked.repeats.iter().map(|(session, _)| session);
        if !std::iter::once(asked.session).chain(repeats).any(waits) {
            return None;
        }
        let link = self.setup.link(asked.acquirer)?;
        let (dialect, frame) = (Arc::clone(&link.dialect), asked.frame.clone());
        let mut index = self.refusal_index.take().unwrap_or_default();
        let mut sound = Sound::default();
        let decoded = dialect.decode(&frame, &mut index).is_ok();
        let message = Message { bytes: &frame, index: &index, dialect: &dialect };
        let is_sound =
            decoded && sound::read(&message, self.today, &mut self.types, &mut sound).is_ok();
        let fate = if never_left { standin::Fate::NotSent } else { standin::Fate::Sent };
        let granted = if is_sound { self.grant(now, &message, &sound, route, fate) } else { None };
        self.refusal_index = Some(index);
        granted
    }

    /// Approves the transaction at `place`; if it left, its reversal is owed. False if it cannot be
    /// told to the partner; then nothing has happened.
    #[cold]
    pub(super) fn stand_in_given_up(
        &mut self,
        now: Now,
        (place, never_left): (u32, bool),
        granted: &Granted,
        outbox: &mut Outbox,
    ) -> bool {
        let Some(asked) = self.transactions.at(place) else { return false };
        let (acquirer, partner, number) = (asked.acquirer, asked.partner, asked.number);
        let Some(asked) = self.recent.past(number).copied() else { return false };
        let (id, approval) = (asked.id, approval_of(asked.id));
        let advice = Advice { acquirer, partner, approval: Some(approval), original: None };
        let mut kept = std::mem::take(&mut self.kept);
        kept.gather(self.recent.kept(number));
        let stan = self.owe_stand_in(now, id, &advice, kept.bytes(), outbox);
        self.kept = kept;
        if !never_left && self.setup.has(Bug::AdviceFirst) {
            self.owe_in_flight(now, place, outbox);
        }
        let Some(stan) = stan else { return false };
        let code = self.setup.link(acquirer).map(|link| &*link.dialect);
        let code = code.map(|dialect| reply::padded_code(dialect, ResponseCode::APPROVED));
        // It may have been set aside while it was in flight.
        let number = self.recent.end(number);
        let Some(past) = self.recent.past_mut(number) else { return false };
        past.code = code.unwrap_or_else(|| repeat::padded(ResponseCode::APPROVED));
        (past.stan, past.approval, past.told) = (stan, Some(approval), Hearing::Advised);
        past.at = now.instant;
        past.fate = Fate::Approved { waiting: 0, handed: false };
        let mut past = *past;
        let waiting = self.say_to_all(place, &past, number, outbox);
        past.fate = Fate::Approved { waiting, handed: false };
        if let Some(known) = self.recent.past_mut(number) {
            known.fate = past.fate;
        }
        self.note_stood_in(now, id, granted, outbox);
        noted::outcome(&past, outbox);
        let ring = self.pending.get_mut(usize::from(partner.0)).and_then(Option::as_mut);
        let fate = match never_left {
            true => pending::Fate::Free,
            false => pending::Fate::GivenUp(number as u32),
        };
        let settled = ring.is_some_and(|ring| ring.settle(asked.stan, fate));
        debug_assert!(settled, "a live transaction waits in its ring");
        if waiting == 0 {
            self.reverse_unhanded(now, number, outbox);
        }
        true
    }

    /// What a former life approved.
    pub(super) fn count_stood_in(&mut self, now: Now, stood_in: &StoodIn<'_>) {
        let StoodIn { amount, card, merchant, route, .. } = *stood_in;
        let route = String::from_utf8_lossy(route);
        self.stand_ins.of(&route).count(amount, card, merchant, now.instant);
    }

    /// Asks the policy of the route; what it grants is counted.
    fn grant(
        &mut self,
        now: Now,
        message: &Message<'_>,
        sound: &Sound,
        route: &Route,
        fate: standin::Fate,
    ) -> Option<Granted> {
        let policy = route.stand_in.as_ref()?;
        let facts = self.stand_in_facts(now, message, sound, fate);
        let part = Part { worker: self.setup.worker.0, workers: self.setup.workers };
        let decided = self.stand_ins.of(&route.name).decide(policy, part, &facts, now.instant);
        if decided.is_err() && !self.setup.has(Bug::StandInUnlimited) {
            return None;
        }
        self.stats.count(Counter::StoodIn);
        let Facts { amount, card, merchant, .. } = facts;
        Some(Granted { route: route.name.clone(), amount, card, merchant })
    }

    fn stand_in_facts(
        &self,
        now: Now,
        message: &Message<'_>,
        sound: &Sound,
        fate: standin::Fate,
    ) -> Facts {
        let key = self.setup.key;
        let facts = &sound.facts;
        let card = facts.instrument.map_or(0, |who| {
            let digits = who.head().to_be_bytes();
            repeat::hash_of_text(key ^ u64::from(who.length()), &digits)
        });
        let merchant = facts.merchant;
        let is_named = merchant.iter().any(|byte| !matches!(byte, 0 | b' '));
        // 09 is a purchase with cash.
        let with_cash = message.number(3).is_some_and(|code| code / 10_000 == 9);
        Facts {
            kind: if with_cash { Kind::Other } else { facts.kind },
            amount: facts.amount,
            mcc: facts.mcc,
            card,
            merchant: if is_named { repeat::hash_of_text(key, &merchant) } else { 0 },
            fate,
            has_pin: message.has(52),
            // Somebody else may know the answer to a repeat of what we never heard.
            is_barred: message.mti().is_repeat() || is_expired(message, now.wall),
        }
    }

    fn owe_stand_in(
        &mut self,
        now: Now,
        id: u64,
        advice: &Advice,
        kept: &[u8],
        outbox: &mut Outbox,
    ) -> Option<u32> {
        if self.setup.has(Bug::StandInUntold) {
            return Some(1);
        }
        self.owe_advice(now, id, advice, kept, outbox)
    }

    fn note_stood_in(&self, now: Now, id: u64, granted: &Granted, outbox: &mut Outbox) {
        let Granted { route, amount, card, merchant } = granted;
        outbox.records.push(&Record::StoodIn(StoodIn {
            id,
            at_s: now.wall.unix_s(),
            workers: self.setup.workers,
            amount: *amount,
            card: *card,
            merchant: *merchant,
            route: route.as_bytes(),
        }));
    }

    /// Tells everybody who waits for the transaction at `place`; says to how many.
    fn say_to_all(&mut self, place: u32, past: &Past, number: u64, outbox: &mut Outbox) -> u8 {
        let mut index = self.refusal_index.take().unwrap_or_default();
        let mut bytes = std::mem::take(&mut self.scratch);
        let mut told = 0;
        if let Some(asked) = self.transactions.at(place)
            && let Some(link) = self.setup.link(asked.acquirer)
            && link.dialect.decode(&asked.frame, &mut index).is_ok()
        {
            let dialect = &*link.dialect;
            let (own, body) = asked.frame.split_at(dialect.header_bytes);
            let copies = std::iter::once((asked.session, own)).chain(asked.repeats.iter());
            for (session, header) in copies {
                bytes.clear();
                bytes.extend_from_slice(header);
                bytes.extend_from_slice(body);
                let message = Message { bytes: &bytes, index: &index, dialect };
                told += self.say_stood_in(&message, session, past, number, outbox);
            }
        }
        (self.refusal_index, self.scratch) = (Some(index), bytes);
        told
    }

    /// Answers with the approval; 1 if that could be said.
    fn say_stood_in(
        &self,
        message: &Message<'_>,
        session: SessionId,
        past: &Past,
        number: u64,
        outbox: &mut Outbox,
    ) -> u8 {
        let mti = message.mti().response().unwrap_or_default();
        let extras = Extras { approval: past.approval, amount: None };
        let lane = outbox.lane_gated(session, !self.setup.has(Bug::StandInUngated));
        let is_said = reply::write_as(message, mti, repeat::trimmed(&past.code), &extras, lane);
        if is_said {
            outbox.mark(session, number);
        }
        u8::from(is_said)
    }

    fn tap_stood_in(
        &self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        past: &Past,
        outbox: &mut Outbox,
    ) {
        if self.setup.tap {
            let outcome = Outcome::StoodIn(past.code);
            let noted = decision::unrouted(batch.link_id, message, outcome);
            outbox.record(decision::Decision { partner: past.partner, ..noted });
        }
    }
}

/// The route of this number, if it has a policy: the policy of the version in force, for what is
/// approved now is approved by today's limits. A route that is gone approves nothing.
fn policy_route(routes: &RouteTable, number: RouteNumber) -> Option<&Route> {
    routes.numbered(number).filter(|route| route.stand_in.is_some())
}

/// DE 38 of what the switch approves itself: six digits of the transaction's number.
fn approval_of(id: u64) -> [u8; 6] {
    let mut approval = [0; 6];
    digits::write_ascii_number(number::count_of(id) % 1_000_000, &mut approval);
    approval
}

/// The month in DE 14, else in the track, has passed.
fn is_expired(message: &Message<'_>, wall: Wall) -> bool {
    let mut buffer = [0; 40];
    let track = message.characters(35, &mut buffer).and_then(|count| buffer.get(..count));
    let in_track = track.and_then(|track| {
        let separator = track.iter().position(|byte| matches!(byte, b'=' | b'D'))?;
        digits::ascii_number(track.get(separator + 1..separator + 5)?)
    });
    let Some(month) = message.number(14).or(in_track) else { return false };
    let today = wall.civil();
    month < u64::from(today.year % 100) * 100 + u64::from(today.month)
}
