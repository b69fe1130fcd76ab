//! Whose code is it? Where two networks have such codes and the merchant takes both, a partner that
//! knows is asked before the request goes its way.
//!
//! The request waits as one in flight does, in the same place: under a STAN of the partner that is
//! asked, with its frame, its copies and a deadline, which is the consult's own and shorter. So a
//! repeat waits with it, and whatever ends the waiting (an answer, the deadline, a lost connection)
//! is heard of once. Then the request goes on where it stood, by the table of that moment, with
//! what is left of its budget. Its terminal may take it back meanwhile: then it goes nowhere.
//!
//! "Yes" (00) and "no" (14, 25) are heeded; anything else, like silence, leaves the choice that the
//! configuration made. A consult moves no money: it is 0100 with DE 3 = 31 and nothing in DE 4, it
//! is not put on record, and nothing is owed for it. A crash finds nothing of the request, which
//! was nowhere.

use std::sync::Arc;
use std::time::Duration;

use crate::base::authorization::Kind;
use crate::base::codes::{Edition, ResponseCode};
use crate::base::ids::LinkId;
use crate::base::time::{Now, Today};
use crate::iso8583::bitmap::Bitmap;
use crate::iso8583::encode;
use crate::iso8583::message::Message;
use crate::iso8583::mti::Mti;
use crate::iso8583::transcode::{self, Changes};
use crate::routing::{Chosen, Doubt};

use super::bug::Bug;
use super::fault::Fault;
use super::lookup::Looked;
use super::outbox::Outbox;
use super::recent::Fate;
use super::repeats::Repeats;
use super::returns::side_of;
use super::setup;
use super::sound::{self, Sound};
use super::stats::Counter;
use super::transaction::Stage;
use super::{Batch, Switch};

/// What was said of whose a code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Whose {
    /// Nobody was asked.
    #[default]
    Unasked,
    /// Nothing of use.
    Unsaid,
    /// Of the network whose partner was asked.
    Own,
    /// Of the other one.
    Other,
}

impl Switch {
    /// The way of a request whose code may be of two networks: as its partner has said, as was
    /// chosen, or none yet, for it is being asked. `None` if nothing more is to be done here.
    #[cold]
    pub(super) fn whose(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
        (chosen, doubt): (Chosen, Doubt),
        outbox: &mut Outbox,
    ) -> Option<Chosen> {
        let other =
            if chosen.network == Some(doubt.own) { Some(doubt.other) } else { chosen.network };
        let network = match batch.looked.whose() {
            Whose::Unasked if self.consult(batch, message, sound, (&chosen, doubt), outbox) => {
                return None;
            }
            Whose::Unasked | Whose::Unsaid => None,
            Whose::Own => Some(doubt.own),
            Whose::Other => other,
        };
        let Some(network) = network else { return Some(chosen) };
        match batch.routes.decide_as(&sound.facts, batch.now.wall, network) {
            Ok(chosen) => Some(chosen),
            Err(declined) => {
                self.remember_refusal(sound.number, declined.code, outbox);
                self.say_declined(batch, message, &declined, outbox);
                None
            }
        }
    }

    /// Asks whose the code is. False if nobody can be asked now: the choice stands.
    fn consult(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
        (chosen, doubt): (&Chosen, Doubt),
        outbox: &mut Outbox,
    ) -> bool {
        // What undoes another goes by what is known of that one; a transfer has its reference.
        if sound.facts.kind == Kind::Transfer || side_of(sound.facts.kind).is_some() {
            return false;
        }
        let partner = doubt.consult;
        let Some(link) = batch.setup.link(partner) else { return false };
        let budget = batch.left_of(batch.routes.route(chosen.route).budget);
        let within = batch.routes.time_to_consult(doubt.own).min(budget / 2);
        let within_ms = within.as_millis().min(u16::MAX.into()) as u16;
        let within = Duration::from_millis(within_ms.into());
        let session =
            self.session_for(batch.now, batch.setup, partner, Some(batch.session), outbox);
        let Some(session) = session.filter(|_| self.may_be_consulted(batch.now, partner)) else {
            return false;
        };
        let place = self.transactions.next_place();
        let ring = self.pending.get_mut(usize::from(partner.0)).and_then(Option::as_mut);
        let Some(stan) = ring.and_then(|ring| ring.reserve(place)) else { return false };
        if !self.write_consult(batch, message, (partner, stan), outbox.lane(session)) {
            self.unreserve(partner, stan);
            return false;
        }
        let dialect = &link.dialect;
        let edition = dialect.spec.edition.map_or(0, Edition::digit);
        let answer = MTI.and_then(Mti::response).unwrap_or_default();
        let header = message.dialect.header_bytes as u16;
        let rules = dialect.rules(message.mti());
        let path = setup::path(&self.paths, batch.setup.links.len(), batch.link_id, partner);
        let alike = path.is_some_and(|path| path.alike);
        self.transactions.add(within, batch.now.instant, |asked| {
            asked.stage = Stage::Consulting { looked: batch.looked.times(), within_ms };
            (asked.acquirer, asked.session) = (batch.link_id, batch.session);
            (asked.partner, asked.partner_session, asked.stan) = (partner, session, stan);
            asked.answer_mti = transcode::mti_in_edition(answer, edition);
            asked.route = batch.routes.route(chosen.route).number;
            (asked.alike, asked.form) = (alike, None);
            asked.watch(message, rules);
            // The question has another DE 3 and no amount: its name is what counts.
            asked.watched_count = asked.matched_count;
            (asked.amount, asked.number) = (sound.amount, sound.number);
            asked.acquirer_stan = sound.stan_number;
            asked.stan_at = (sound.stan.value - header, sound.stan.end - header);
            asked.frame.clear();
            asked.frame.extend_from_slice(message.bytes);
        });
        // Now, while it is the newest: what is kept stands in the order of the claims.
        if self.recent.is_newest(sound.number) {
            self.keep_request(message, sound.number);
        }
        if let Some(past) = self.recent.past_mut(sound.number) {
            (past.fate, past.amount) = (Fate::InFlight(place), sound.amount);
        }
        if let Some(session) = self.sessions.of_mut(batch.session) {
            session.drops = 0;
            session.in_flight += 1;
        }
        self.stats.count(Counter::Consults);
        true
    }

    /// Appends the question. False if it cannot be written for the partner.
    fn write_consult(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        (partner, stan): (LinkId, u32),
        lane: Option<&mut Vec<u8>>,
    ) -> bool {
        let path = setup::path(&self.paths, batch.setup.links.len(), batch.link_id, partner);
        let (Some(path), Some(link), Some(lane)) = (path, batch.setup.link(partner), lane) else {
            return false;
        };
        let to = &*link.dialect;
        let mut digits = [0; 12];
        let Some(stan) = sound::stan_digits(to.field(11), stan, &mut digits) else { return false };
        let mut processing = [b'0'; 6];
        message.characters(3, &mut processing);
        processing[..2].copy_from_slice(b"31");
        let all: [(u8, &[u8]); 3] = [(11, stan), (3, &processing), (4, &[b'0'; 12])];
        // Whoever takes it for a purchase has nothing to book.
        let count = if message.has(4) && to.has(4) { 3 } else { 2 };
        let edition = to.spec.edition.map_or(0, Edition::digit);
        let changes = Changes {
            mti: MTI.map(|mti| transcode::mti_in_edition(mti, edition)),
            replaced: all.get(..count).unwrap_or(&[]),
            without: WITHOUT.into_iter().collect::<Bitmap>(),
        };
        let header = |out: &mut Vec<u8>| encode::template_header(to, out);
        path.there.carry(message, to, header, &changes, &mut self.scratch, lane).is_ok()
    }

    /// The partner that was asked has answered.
    #[cold]
    pub(super) fn consulted(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        place: u32,
        outbox: &mut Outbox,
    ) {
        self.was_consulted(batch.now, batch.link_id, true);
        let whose = match &message.text::<3>(39).unwrap_or_default() {
            b"00 " | b"000" => Whose::Own,
            b"14 " | b"25 " | b"111" | b"914" => Whose::Other,
            _ => Whose::Unsaid,
        };
        self.go_on(batch.now, place, whose, outbox);
    }

    /// The request at `place`, which is consulted about, gets no answer to that.
    #[cold]
    pub(super) fn consult_given_up(
        &mut self,
        now: Now,
        place: u32,
        fault: Fault,
        outbox: &mut Outbox,
    ) {
        if fault == Fault::TimedOut
            && let Some(asked) = self.transactions.at(place)
        {
            self.was_consulted(now, asked.partner, false);
        }
        if fault != Fault::TakenBack || self.setup.has(Bug::ConsultedTakenBack) {
            return self.go_on(now, place, Whose::Unsaid, outbox);
        }
        self.stats.count(fault.counter());
        self.refuse_waiting(now, place, fault, outbox);
        let Some(asked) = self.transactions.at(place) else { return };
        let (partner, stan, number) = (asked.partner, asked.stan, asked.number);
        let number = self.recent.end(number);
        // A full disk keeps no refusals, but what its terminal is told now must hold in the next
        // life.
        self.settle_refused(number, (ResponseCode::INOPERATIVE, b""), true, outbox);
        self.unreserve(partner, stan);
        if let Some(asked) = self.transactions.at_mut(place) {
            asked.stage = Stage::Asked;
        }
        self.end(place, outbox);
    }

    /// Takes the request from the start, by the code that took it the first time.
    fn go_on(&mut self, now: Now, place: u32, whose: Whose, outbox: &mut Outbox) {
        let (setup, routes) = (Arc::clone(&self.setup), Arc::clone(&self.routes));
        if whose == Whose::Unsaid {
            self.stats.count(Counter::ConsultsUnsaid);
        }
        if !self.today.is(now.wall) {
            self.today = Today::of(now.wall);
        }
        let Some(asked) = self.transactions.at_mut(place) else { return };
        let frame = std::mem::take(&mut asked.frame);
        let repeats = std::mem::take(&mut asked.repeats);
        let (session, link_id) = (asked.session, asked.acquirer);
        let (partner, stan, id) = (asked.partner, asked.stan, asked.number);
        let looked = std::mem::take(&mut asked.stage).looked(whose);
        self.unreserve(partner, stan);
        // Set aside meanwhile, it must be among the recent again to be kept.
        let number = self.recent.end(id);
        let Some(link) = setup.link(link_id) else { return };
        let (today, setup, routes) = (self.today, &*setup, &*routes);
        let batch = Batch { now, today, setup, routes, session, link_id, link, looked };
        // It does not stand in its own way, and what it waited on stays while it is here.
        self.count_in_flight(session, u32::wrapping_sub);
        let mut index = self.consult_index.take().unwrap_or_default();
        self.request(&batch, &frame, &[], &mut index, outbox);
        self.count_in_flight(session, u32::wrapping_add);
        if self.recent.past(number).is_some_and(|past| past.fate == Fate::InFlight(place)) {
            // Nobody is there to be told, or to take it up.
            self.remember_refusal(number, ResponseCode::INOPERATIVE, outbox);
        }
        if !repeats.is_empty() && link.dialect.decode(&frame, &mut index).is_ok() {
            let message = Message { bytes: &frame, index: &index, dialect: &link.dialect };
            self.hand_repeats_on(&batch, &message, number, repeats, outbox);
        }
        self.consult_index = Some(index);
        if let Some(asked) = self.transactions.at_mut(place) {
            asked.frame = frame;
        }
        self.end(place, outbox);
        outbox.close_full_batch();
    }

    /// Copies that waited with it wait on, or are told what it was told.
    fn hand_repeats_on(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        number: u64,
        mut repeats: Repeats,
        outbox: &mut Outbox,
    ) {
        if self.setup.has(Bug::ConsultForgetsCopies) {
            return;
        }
        let place = match self.recent.past(number).map(|past| past.fate) {
            Some(Fate::InFlight(place)) => Some(place),
            _ => None,
        };
        if let Some(asked) = place.and_then(|place| self.transactions.at_mut(place)) {
            asked.repeats = repeats;
            return;
        }
        let mut bytes = Vec::new();
        for (session, header) in repeats.iter() {
            bytes.clear();
            bytes.extend_from_slice(header);
            bytes.extend_from_slice(message.bytes.get(header.len()..).unwrap_or(&[]));
            let repeat = Message { bytes: &bytes, ..*message };
            let batch = Batch { session, ..*batch };
            if self.sessions.of(session).is_some() {
                self.tell_again(&batch, &repeat, number, outbox);
            }
        }
        while let Some(session) = repeats.pop() {
            self.one_less(session, outbox);
        }
    }
}

impl Stage {
    /// What is told of it to whoever goes on with it.
    fn looked(self, whose: Whose) -> Looked {
        match self {
            Self::Asked => Looked::default(),
            Self::Consulting { looked, within_ms } => {
                Looked::of_consulted(looked, within_ms, whose)
            }
        }
    }
}

/// 0100: of the class that moves no money by itself.
const MTI: Option<Mti> = Mti::from_packed(0x0100);

/// What whoever only has to know a code need not see: cards' secrets, other tracks, names of other
/// messages, and what vouches for the bytes of this one.
const WITHOUT: [u8; 13] = [14, 23, 36, 38, 39, 45, 52, 53, 54, 55, 64, 90, 128];
