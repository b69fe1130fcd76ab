//! The way back: a partner's message, matched to the request that waits for it, or to nothing.
//!
//! An answer that matches no request in every part of the match key, or contradicts it in amount
//! or currency, is no answer: it is counted, it consumes nobody's slot, and it never reaches a
//! POS. The same holds for one that comes late or twice.

use crate::base::codes::ResponseCode;
use crate::base::ids::{LinkId, SessionId, WorkerId};
use crate::base::time::Now;
use crate::iso8583::decode::Index;
use crate::iso8583::encode;
use crate::iso8583::message::{Message, answer_header};
use crate::iso8583::transcode::{self, Changes};

use super::bug::Bug;
use super::decision::{self, Outcome};
use super::fault::Fault;
use super::matching::{is_partial, says_partial};
use super::outbox::Outbox;
use super::pending::{Fate, Share};
use super::recent;
use super::risk::End;
use super::session::Session;
use super::setup::{self, LinkSetup, Path};
use super::stats::Counter;
use super::transaction::{Stage, Transaction};
use super::{Batch, Decision, Role, Switch, noted, repeat, reply, sound};

impl Switch {
    /// One message of a partner. False if the connection is to be read no further.
    #[inline]
    pub(super) fn partner_message(
        &mut self,
        batch: &Batch<'_>,
        bytes: &[u8],
        framed: &[u8],
        index: &mut Index,
        outbox: &mut Outbox,
    ) -> bool {
        let dialect = &batch.link.dialect;
        if dialect.decode(bytes, index).is_err() {
            // No answer: what waits for it meets its deadline. The frame was whole, so the stream
            // can be trusted; closing it would decline everybody else's requests.
            self.stats.count(Counter::AnswersDamaged);
            return true;
        }
        let message = Message { bytes, index, dialect };
        if !message.mti().is_response() {
            return self.partner_request(batch, &message, outbox);
        }
        if message.mti().is_network_management() {
            return self.network_answer(batch, &message, outbox);
        }
        let stan = message.stan().unwrap_or(0);
        let is_of_owed = message.mti().class() == 4 || message.mti().function() == 3;
        if is_of_owed && self.answer_to_owed(batch, &message, (stan, framed), outbox) {
            return true;
        }
        let ring = self.pending.get(usize::from(batch.link_id.0)).and_then(Option::as_ref);
        if ring.is_some_and(|ring| ring.assigns(stan)) {
            self.answer(batch, &message, stan, outbox);
            return true;
        }
        match Share::owner(stan, batch.setup.workers) {
            Some(owner) if owner != batch.setup.worker => {
                self.relay(batch, owner, framed, outbox);
            }
            _ => self.inquiry_answer(batch, &message, stan),
        }
        true
    }

    /// An answer to a reversal or advice goes to all that may wait for one with its STAN: this
    /// worker, and those that took up what a former life owed. False if there is none.
    #[cold]
    fn answer_to_owed(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        (stan, framed): (u32, &[u8]),
        outbox: &mut Outbox,
    ) -> bool {
        let others = self.lanes.waiting(batch.link_id, stan);
        let others = others.filter(|worker| *worker != batch.setup.worker);
        let mut is_anothers = false;
        for worker in others.filter(|_| !batch.setup.has(Bug::MovedAnswersByShare)) {
            self.relay(batch, worker, framed, outbox);
            is_anothers = true;
        }
        let owed = self.owed.get(usize::from(batch.link_id.0)).and_then(Option::as_ref);
        if owed.is_some_and(|owed| owed.waits_for(stan)) {
            self.owed_answer(batch, message, stan, outbox);
            return true;
        }
        is_anothers
    }

    /// The session they came on is another worker's: what is not a request of ours has nobody here.
    pub(super) fn relayed(
        &mut self,
        now: Now,
        link: LinkId,
        bytes: &[u8],
        outbox: &mut Outbox,
    ) -> usize {
        let of_partner = self.setup.link(link).is_some_and(|link| link.role == Role::Partner);
        debug_assert!(of_partner, "requests are passed on, with their session");
        if !of_partner {
            return bytes.len();
        }
        let elsewhere = SessionId { slot: u32::MAX, generation: 0 };
        self.read(now, (elsewhere, link), bytes, outbox)
    }

    /// The STAN is of another worker's share: the frame is that worker's.
    fn relay(&mut self, batch: &Batch<'_>, owner: WorkerId, framed: &[u8], outbox: &mut Outbox) {
        let shared = self.sessions.of(batch.session).is_none_or(|session| session.shared);
        if shared || self.setup.has(Bug::RelayDropped) {
            // It was relayed to us once; nobody is asked twice.
            self.stats.count(Counter::UnmatchedAnswers);
        } else {
            self.stats.count(Counter::Relayed);
            outbox.relay(batch.session, owner, framed);
        }
    }

    #[inline]
    fn answer(&mut self, batch: &Batch<'_>, message: &Message<'_>, stan: u32, outbox: &mut Outbox) {
        let ring = self.pending.get(usize::from(batch.link_id.0)).and_then(Option::as_ref);
        let Some(ring) = ring else { return };
        let place = match ring.fate(stan) {
            Some(Fate::Waiting(place)) => place,
            Some(Fate::Answered(low)) => {
                return self.answered_twice(batch, message, low, outbox);
            }
            Some(Fate::GivenUp(low)) => {
                self.stats.count(Counter::LateAnswers);
                return self.answered_late(batch, message, low);
            }
            Some(Fate::Free) | None => return self.stats.count(Counter::UnmatchedAnswers),
        };
        let Some(asked) = self.transactions.at(place) else { return };
        let code = message.text(39).unwrap_or(*b"   ");
        let (amount, asked_number, partial) = (asked.amount, asked.number, says_partial(&code));
        let fits = !partial && self.fits(asked, message);
        if !fits {
            if let Err(counter) = self.compare(batch, place, message, partial)
                && !batch.setup.has(Bug::StanAlone)
                && !(batch.setup.has(Bug::AmountUnchecked) && counter == Counter::WrongAnswers)
            {
                return self.stats.count(counter);
            }
            // What waits to hear whose code it is has no form.
            if self.transactions.at(place).is_some_and(|asked| asked.stage != Stage::Asked) {
                return self.consulted(batch, message, place, outbox);
            }
        }
        let approved = ResponseCode::approves(repeat::trimmed(&code));
        let approval = if approved { message.text(38) } else { None };
        // Any other approval has the amount that was asked for, or none.
        let part = if approved && partial { message.number(4) } else { None };
        let part = part.filter(|part| Some(*part) != amount);
        let number = self.recent.end(asked_number);
        let delivered = self.deliver(batch, message, (place, number), approved, outbox);
        if batch.setup.tap {
            self.note_answer(batch, message, place, outbox);
        }
        if let Some(past) = self.recent.past_mut(number) {
            (past.code, past.approval, past.part) = (code, approval, part);
            past.at = batch.now.instant;
            past.fate = match (approved, delivered) {
                (false, _) => recent::Fate::Declined,
                (true, 0) => recent::Fate::Unknown,
                (true, waiting) => recent::Fate::Approved { waiting, handed: false },
            };
            if !batch.setup.has(Bug::OutcomeNotRecorded) {
                noted::outcome(past, outbox);
            }
            let id = past.id;
            match (approved, delivered) {
                (false, _) => {
                    self.returns.end(id);
                    self.limits_end(id, End::Declined);
                }
                (true, 0) => self.untold(batch.now, number, outbox),
                (true, _) => self.limits_end(id, End::Approved),
            }
        }
        // An approval is needed until it is handed over.
        if !approved || delivered == 0 {
            self.recent.settle(number);
        }
        let ring = self.pending.get_mut(usize::from(batch.link_id.0)).and_then(Option::as_mut);
        let settled = ring.is_some_and(|ring| ring.settle(stan, Fate::Answered(number as u32)));
        debug_assert!(settled, "the ring said it waits");
        self.partner_answered(batch.link_id, outbox);
        self.end(place, outbox);
    }

    /// An approval that nobody can be told of is taken back.
    #[cold]
    fn untold(&mut self, now: Now, number: u64, outbox: &mut Outbox) {
        let Some(past) = self.recent.past(number).copied() else { return };
        self.owe_past(now, number, &past, outbox);
        self.limits_end(past.id, End::Undone);
    }

    /// Hands the answer to everybody who waits for it; says to how many. Who cannot be told in
    /// its dialect is declined.
    #[inline]
    fn deliver(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        (place, number): (u32, u64),
        approved: bool,
        outbox: &mut Outbox,
    ) -> u8 {
        let Some(asked) = self.transactions.at(place) else { return 0 };
        let path = setup::path(&self.paths, batch.setup.links.len(), asked.acquirer, batch.link_id);
        let acquirer = batch.setup.link(asked.acquirer);
        let (Some(path), Some(acquirer)) = (path, acquirer) else { return 0 };
        let own = asked.frame.get(..acquirer.dialect.header_bytes).unwrap_or(&[]);
        let repeats = asked.repeats.iter();
        let (mut delivered, mut untranslatable) = (0, false);
        for (session, header) in std::iter::once((asked.session, own)).chain(repeats) {
            let session = self.crossed(session, asked.id);
            let lane = match approved {
                true => outbox.lane_gated(session, !batch.setup.has(Bug::ApprovalUngated)),
                false => outbox.lane(session),
            };
            let Some(lane) = lane else {
                self.stats.count(Counter::Undelivered);
                continue;
            };
            let from = lane.len();
            if hand_over(path, acquirer, asked, header, message, &mut self.scratch, lane) {
                self.stats.count(Counter::Answered);
                delivered += 1;
                if approved && batch.setup.has(Bug::AnsweredTwice) {
                    lane.extend_from_within(from..);
                }
                // Behind each copy at once: two of them can be in one lane.
                if approved {
                    outbox.mark(session, number);
                }
            } else {
                untranslatable = true;
            }
        }
        if untranslatable {
            self.refuse_waiting(batch.now, place, Fault::Untranslatable(0), outbox);
        }
        delivered
    }

    /// The connection an answer goes to: that of its request.
    #[inline]
    fn crossed(&self, session: SessionId, id: u64) -> SessionId {
        if !self.setup.has(Bug::AnswersCrossed) || !id.is_multiple_of(16) {
            return session;
        }
        let is_other =
            |(other, state): &(SessionId, &Session)| *other != session && state.link.0 == 0;
        self.sessions.iter().find(is_other).map_or(session, |(other, _)| other)
    }

    /// The partner approves what was given up: a reversal that it did not find is sent again.
    #[cold]
    fn answered_late(&mut self, batch: &Batch<'_>, message: &Message<'_>, low: u32) {
        let past = self.recent.number_of(low).and_then(|number| self.recent.past(number));
        let Some(past) = past.filter(|_| approves(message)) else { return };
        let (id, partner) = (past.id, past.partner);
        if let Some(mut owed) = partner.and_then(|partner| self.take_owed(partner)) {
            owed.lane.reopen(id, batch.now.instant);
            self.put_owed(batch.link_id, owed);
        }
    }

    /// The partner answers again. If it approves what it declined before, that is taken back; if
    /// it declines what it approved, somebody must ask it why.
    #[cold]
    fn answered_twice(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        low: u32,
        outbox: &mut Outbox,
    ) {
        let number = self.recent.number_of(low);
        let past = number.and_then(|number| self.recent.past(number)).copied();
        let (Some(number), Some(past)) = (number, past) else {
            return self.stats.count(Counter::UnmatchedAnswers);
        };
        if batch.setup.has(Bug::SecondAnswerIgnored) {
            return;
        }
        if !self.answers_past(batch, message, number, past.acquirer)
            && !batch.setup.has(Bug::StanAlone)
        {
            return self.stats.count(Counter::UnmatchedAnswers);
        }
        self.stats.count(Counter::DuplicateAnswers);
        match (past.fate, approves(message)) {
            (recent::Fate::Declined, true) => {
                let mut reversed = past;
                reversed.approval = message.text(38);
                reversed.part = message.number(4).filter(|_| is_partial(message));
                self.owe_past(batch.now, number, &reversed, outbox);
                if let Some(past) = self.recent.past_mut(number) {
                    past.fate = recent::Fate::Reversed;
                }
                self.note_taken_back(past.id, outbox);
            }
            (recent::Fate::Approved { .. }, false) => {
                if batch.setup.has(Bug::DeclineReverses) {
                    self.owe_past(batch.now, number, &past, outbox);
                }
                self.stats.count(Counter::Exceptions);
                let code = message.number(39).unwrap_or(0).min(99) as u8;
                self.note_exception(past.id, code, outbox);
            }
            _ => {}
        }
    }

    /// Declines a request that waits, from the copy that was kept.
    pub(super) fn refuse_waiting(
        &mut self,
        now: Now,
        place: u32,
        fault: Fault,
        outbox: &mut Outbox,
    ) {
        let Some(transaction) = self.transactions.at(place) else { return };
        let Some(acquirer) = self.setup.link(transaction.acquirer) else { return };
        let mut index = self.refusal_index.take().unwrap_or_default();
        let decoded = acquirer.dialect.decode(&transaction.frame, &mut index);
        debug_assert!(decoded.is_ok(), "what waits was sound");
        let message =
            Message { bytes: &transaction.frame, index: &index, dialect: &acquirer.dialect };
        if let (super::fault::Effect::Reply(code), Some(mti)) =
            (fault.effect(), message.mti().response())
        {
            if !reply::write(&message, mti, code, outbox.lane(transaction.session)) {
                self.stats.count(Counter::Undelivered);
            }
            for (session, header) in transaction.repeats.iter() {
                let body = transaction.frame.get(header.len()..).unwrap_or(&[]);
                self.scratch.clear();
                self.scratch.extend_from_slice(header);
                self.scratch.extend_from_slice(body);
                let repeat = Message { bytes: &self.scratch, ..message };
                reply::write(&repeat, mti, code, outbox.lane(session));
            }
        }
        if self.setup.tap {
            let noted = Decision {
                route: Some(transaction.route),
                partner: Some(transaction.partner),
                after: now.instant.since(transaction.asked_at),
                ..decision::unrouted(transaction.acquirer, &message, Outcome::Failed(fault))
            };
            outbox.record(noted);
        }
        self.refusal_index = Some(index);
    }

    fn note_answer(
        &self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        place: u32,
        outbox: &mut Outbox,
    ) {
        let Some(transaction) = self.transactions.at(place) else { return };
        let code = message.text(39).unwrap_or([b' '; 3]);
        let noted = Decision {
            stan: u64::from(transaction.acquirer_stan),
            route: Some(transaction.route),
            partner: Some(transaction.partner),
            after: batch.now.instant.since(transaction.asked_at),
            ..decision::unrouted(transaction.acquirer, message, Outcome::Answered(code))
        };
        outbox.record(noted);
    }

    /// Partners ask nothing of us but network management.
    #[cold]
    fn partner_request(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        outbox: &mut Outbox,
    ) -> bool {
        if message.mti().is_network_management() {
            return match self.network_request(batch, message, outbox) {
                Ok(()) => true,
                Err(fault) => {
                    self.stats.count(fault.counter());
                    match (fault.effect(), message.mti().response()) {
                        (super::fault::Effect::Reply(code), Some(mti)) => {
                            reply::write(message, mti, code, outbox.lane(batch.session))
                        }
                        (super::fault::Effect::Ignore, _) => true,
                        _ => {
                            self.stats.count(Counter::Dropped);
                            true
                        }
                    }
                }
            };
        }
        self.stats.count(Counter::PartnerRequests);
        if let Some(mti) = message.mti().response() {
            let code = ResponseCode::INVALID_TRANSACTION;
            reply::write(message, mti, code, outbox.lane(batch.session));
        }
        true
    }
}

/// Appends the partner's answer to the acquirer's lane, with the acquirer's STAN and header. False
/// if it cannot be written in the acquirer's dialect.
#[inline]
fn hand_over(
    path: &Path,
    acquirer: &LinkSetup,
    transaction: &Transaction,
    header: &[u8],
    message: &Message<'_>,
    scratch: &mut Vec<u8>,
    lane: &mut Vec<u8>,
) -> bool {
    let to = &*acquirer.dialect;
    let request = transaction.frame.get(to.header_bytes..).unwrap_or(&[]);
    let header = |out: &mut Vec<u8>| answer_header(to, header, out);
    if path.alike {
        let (from, end) = transaction.stan_at;
        let theirs = request.get(usize::from(from)..usize::from(end)).unwrap_or(&[]);
        let skip = message.dialect.header_bytes;
        let Some(span) = message.index.span(11) else { return false };
        let body = message.bytes.get(skip..).unwrap_or(&[]);
        let at = usize::from(span.value) - skip..usize::from(span.end) - skip;
        return encode::patch(to, header, body, at, theirs, lane).is_ok();
    }
    let mut digits = [0; 12];
    let stan = sound::stan_digits(to.field(11), transaction.acquirer_stan, &mut digits);
    let Some(stan) = stan else { return false };
    let edition = to.spec.edition;
    let changes = Changes {
        mti: edition.map(|edition| transcode::mti_in_edition(message.mti(), edition.digit())),
        replaced: &[(11, stan)],
        ..Changes::default()
    };
    path.back.carry(message, to, header, &changes, scratch, lane).is_ok()
}

fn approves(message: &Message<'_>) -> bool {
    message.text::<3>(39).is_some_and(|code| ResponseCode::approves(repeat::trimmed(&code)))
}
