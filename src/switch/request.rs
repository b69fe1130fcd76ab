//! The request leg: an acquirer's message, read top to bottom as questions.
//!
//! Is it sound? Where does it go? Can it go there now? The first "no" is the answer. Whatever
//! passes is in the partner's lane when this returns, and waits in the ring.

use std::slice;

use crate::base::authorization::Kind;
use crate::base::codes::Edition;
use crate::base::ids::{LinkId, SessionId};
use crate::iso8583::decode::Index;
use crate::iso8583::encode::{self, StanBytes};
use crate::iso8583::kept::Keeping;
use crate::iso8583::message::Message;
use crate::iso8583::transcode::{self, Changes};
use crate::routing::{Chosen, Declined, Route};

use super::bug::Bug;
use super::converted::{self, Conversion};
use super::decision::{self, Outcome};
use super::fault::{self, Effect, Fault};
use super::original::Bound;
use super::outbox::Outbox;
use super::recent::{Claim, Fate, Known, TerminalKey};
use super::returns::{Undoes, may_name_another};
use super::session::State;
use super::setup;
use super::sound::{self, Sound};
use super::stats::Counter;
use super::{Batch, Drain, Storage, Switch, noted, ready, repeat, reply};

/// What a partner is told otherwise than it was asked.
struct Beside<'b> {
    /// What the request undoes or completes, by the name under which the partner knows it.
    bound: Option<&'b Bound>,
    /// Its amount in other currencies.
    converted: Option<Conversion>,
}

impl Switch {
    /// One message of an acquirer. False if the connection is to be read no further.
    #[inline]
    pub(super) fn request(
        &mut self,
        batch: &Batch<'_>,
        frame: &[u8],
        framed: &[u8],
        index: &mut Index,
        outbox: &mut Outbox,
    ) -> bool {
        let dialect = &batch.link.dialect;
        let decoded = dialect.decode(frame, index);
        let message = Message { bytes: frame, index, dialect };
        let edition = dialect.spec.edition.map(Edition::digit);
        let fault = fault::mti_fault(message.mti(), edition);
        let result = match (decoded, fault) {
            (Ok(()), None) if message.mti().is_network_management() => {
                self.network_request(batch, &message, outbox)
            }
            (Ok(()), None) => self.examine(batch, &message, framed, outbox),
            // What may never be answered stays unanswered, however damaged it is.
            (Err(_), Some(fault)) if fault.effect() == Effect::Drop => Err(fault),
            (Err(error), _) => Err(Fault::Damaged(error)),
            (Ok(()), Some(fault)) => Err(fault),
        };
        match result {
            Ok(()) => true,
            Err(fault) => self.refuse(batch, &message, fault, outbox),
        }
    }

    /// Does it make sense?
    #[inline]
    fn examine(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        framed: &[u8],
        outbox: &mut Outbox,
    ) -> Result<(), Fault> {
        let mut sound = Sound::default();
        let places = sound::name(message, &mut self.types, &mut sound)?;
        let hash = self.hash_of(batch.link_id, message, &sound);
        self.recent.prefetch(hash);
        batch.routes.prefetch(&sound.facts.merchant);
        sound::check(message, &places, batch.today, &mut self.types, &mut sound)?;
        let session = self.sessions.of(batch.session).ok_or(Fault::Draining)?;
        let is_full = session.in_flight >= self.setup.bounds.session_in_flight;
        if session.state == State::SignedOff {
            return Err(self.before_sign_on(batch, message, &sound, hash, outbox));
        }
        if message.mti().class() == 4 {
            return self.reversal_request(batch, message, &sound, framed, outbox);
        }
        if is_full && self.setup.has(Bug::RepeatDeclined) {
            return Err(Fault::Overload);
        }
        sound.facts.link = Some(batch.link_id);
        if batch.routes.asks_who_acquires() || self.counts_acquirers() {
            sound.facts.acquirer = sound::acquirer(message);
        }
        let key = self.terminal_key(message, &sound, hash);
        if sound.facts.kind == Kind::Transfer {
            return self.transfer(batch, message, (&key, &mut sound, is_full), framed, outbox);
        }
        let first = self.first_of(batch, message, (&key, &sound), framed, outbox)?;
        let Some(number) = first else { return Ok(()) };
        sound.number = number;
        self.hear(batch, message, (&sound, is_full), framed, outbox)
    }

    /// What was claimed is asked, or told.
    #[inline]
    pub(super) fn hear(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        (sound, is_full): (&Sound, bool),
        framed: &[u8],
        outbox: &mut Outbox,
    ) -> Result<(), Fault> {
        if message.mti().is_advice() {
            let is_repeat = message.mti().is_repeat();
            let heard = self.advice_request(batch, message, sound, framed, outbox);
            // It is forgotten: an earlier copy that comes behind it may be taken over.
            return heard.map_err(|fault| if is_repeat { fault.unsaid() } else { fault });
        }
        // However much is in flight: what was asked before is answered, what is taken back makes
        // it less, and an advice waits for nobody.
        let admitted = match is_full {
            true => Err(Fault::Overload),
            false => self.admit(batch, message, sound, framed, outbox),
        };
        if let Err(fault) = admitted {
            match fault.effect() {
                Effect::Reply(code) => self.remember_refusal(sound.number, code, outbox),
                _ => self.recent.forget(sound.number),
            }
        }
        admitted
    }

    /// Its number, if it was not asked before: it is remembered from now on, so that whatever is
    /// said to it is said to all its copies. Otherwise it is answered, or left to whoever knows.
    #[inline]
    pub(super) fn first_of(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        (key, sound): (&TerminalKey, &Sound),
        framed: &[u8],
        outbox: &mut Outbox,
    ) -> Result<Option<u64>, Fault> {
        let is_repeat = message.mti().is_repeat();
        if is_repeat && self.waits_for_original(batch, key, framed, outbox)? {
            return Ok(None);
        }
        match self.claim(batch, *key) {
            Known::New(number) => return Ok(Some(number)),
            Known::Here(number) if batch.looked.goes_on() => return Ok(Some(number)),
            Known::Here(number) => self.asked_again(batch, message, key, number, outbox)?,
            Known::Elsewhere(_) if !is_repeat && self.was_sent_here(batch, message, sound) => {
                return Err(self.refuse_sent_here(batch, key, outbox));
            }
            // Whatever its MTI says, it is a repeat.
            Known::Elsewhere(worker) => {
                self.pass(batch, worker, framed, outbox).map_err(Fault::unsaid)?;
            }
            Known::NoRoom if is_repeat => return Err(Fault::Overload.unsaid()),
            Known::NoRoom => return Err(Fault::Overload),
        }
        Ok(None)
    }

    /// Remembers the request, unless it is known.
    #[inline]
    pub(super) fn claim(&mut self, batch: &Batch<'_>, key: TerminalKey) -> Known {
        let (id, now) = (self.next_id(), batch.now.instant);
        let claim = Claim { id, key, acquirer: batch.link_id, at: now };
        let again = !self.setup.has(Bug::RepeatForwarded);
        self.recent.claim(claim, |other| again && repeat::is_same_request(other, &key, now))
    }

    /// Where does it go, and can it go there now?
    #[inline]
    fn admit(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
        framed: &[u8],
        outbox: &mut Outbox,
    ) -> Result<(), Fault> {
        if self.drain != Drain::No && !batch.looked.goes_on() {
            return Err(Fault::Draining);
        }
        let takes_it = self.setup.has(Bug::ReserveSpent) && self.storage != Storage::Failed;
        if self.storage != Storage::Ready && !takes_it {
            return Err(Fault::NotRecorded);
        }
        if sound.clock_is_off {
            self.stats.count(Counter::ClockSkews);
        }
        match batch.routes.decide_at(&sound.facts, batch.now.wall) {
            Ok(mut chosen) => {
                // What undoes another goes to whoever has that one, or nowhere.
                let undoes = match may_name_another(message, sound) {
                    true => self.undoes(batch, message, sound, framed, outbox)?,
                    false => Undoes::Nothing,
                };
                let bound = match &undoes {
                    Undoes::Nothing => None,
                    Undoes::This(bound, _) => Some(bound),
                    Undoes::NotHere => return Ok(()),
                };
                if let Some(doubt) = chosen.doubt.filter(|_| bound.is_none()) {
                    let way = self.whose(batch, message, sound, (chosen, doubt), outbox);
                    let Some(way) = way else { return Ok(()) };
                    chosen = way;
                }
                if self.risk.is_some()
                    && let Some(said) = self.unwanted(batch, message, sound, (&chosen, &undoes))
                {
                    self.say_unwanted(batch, message, (sound.number, said), outbox);
                    return Ok(());
                }
                let route = batch.routes.route(chosen.route);
                let sent = self.forward(batch, message, sound, &chosen, bound, outbox);
                if sent == Err(Fault::NoPartner)
                    && route.stand_in.is_some()
                    && bound.is_none()
                    && self.stand_in_unsent(batch, message, sound, route, outbox)
                {
                    self.stats.count(Counter::PartnersDown);
                    return Ok(());
                }
                if self.risk.is_some() {
                    self.limits_sent(sound, &undoes, sent.is_ok());
                }
                let partner = sent?;
                self.returning(sound.number, &undoes, outbox);
                self.stats.count(Counter::Forwarded);
                if batch.setup.tap {
                    let way = (&chosen, route.number);
                    let noted = decision::forwarded(batch.link_id, message, way, partner);
                    outbox.record(noted);
                }
                Ok(())
            }
            Err(declined) => {
                self.remember_refusal(sound.number, declined.code, outbox);
                self.say_declined(batch, message, &declined, outbox);
                Ok(())
            }
        }
    }

    /// It goes nowhere.
    pub(super) fn say_declined(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        declined: &Declined,
        outbox: &mut Outbox,
    ) {
        self.stats.count(Counter::Declined);
        let mti = message.mti().response().unwrap_or_default();
        reply::write(message, mti, declined.code, outbox.lane(batch.session));
        if batch.setup.tap {
            let outcome = Outcome::Declined(declined.code.digits());
            outbox.record(decision::unrouted(batch.link_id, message, outcome));
        }
    }

    /// Sends the request to the partner of the route whose turn it is, or the first of the others
    /// that can take it now; or to the one it is bound to. After the first byte is in a partner's
    /// lane there is no second choice.
    #[inline]
    fn forward(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
        chosen: &Chosen,
        bound: Option<&Bound>,
        outbox: &mut Outbox,
    ) -> Result<LinkId, Fault> {
        let mut fault = Fault::NoPartner;
        let route = batch.routes.route(chosen.route);
        let partners = bound.map_or(&*route.partners, |bound| slice::from_ref(&bound.partner));
        let first = match bound {
            None => self.whose_turn(batch.now, chosen.route, route, sound.facts.instrument),
            Some(_) => 0,
        };
        let converted = match route.converts.as_deref().filter(|_| bound.is_none()) {
            Some(converts) => converted::converted(batch, message, sound, (route, converts))?,
            None => None,
        };
        let beside = Beside { bound, converted };
        let steps = 0..partners.len();
        for partner in steps.map_while(|step| ready::at_step(partners, first, step)) {
            if !self.may_be_asked(batch.now, partner) {
                continue;
            }
            if self.owes_too_much(partner) {
                fault = Fault::Overload;
                continue;
            }
            let asker = Some(batch.session);
            let session = self.session_for(batch.now, batch.setup, partner, asker, outbox);
            let Some(session) = session else { continue };
            let place = self.transactions.next_place();
            let ring = self.pending.get_mut(usize::from(partner.0)).and_then(Option::as_mut);
            let Some(stan) = ring.and_then(|ring| ring.reserve(place)) else {
                fault = Fault::Overload;
                continue;
            };
            let (from, way) = (outbox.end_of(session), (partner, session, stan));
            let written = self.write(batch, message, way, &beside, outbox);
            if let Err(fault) = written {
                self.unreserve(partner, stan);
                return Err(fault);
            }
            self.wait(batch, message, sound, route, way);
            if let Some(asked) = self.transactions.at_mut(place) {
                asked.sent_at = (from, (outbox.end_of(session) - from) as u32);
            }
            self.begin(batch, message, sound, (partner, stan, place), outbox);
            return Ok(partner);
        }
        Err(fault)
    }

    /// Appends the request to the partner session's lane, with our STAN.
    #[inline]
    fn write(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        (partner, session, stan): (LinkId, SessionId, u32),
        beside: &Beside<'_>,
        outbox: &mut Outbox,
    ) -> Result<(), Fault> {
        let links = batch.setup.links.len();
        let path =
            setup::path(&self.paths, links, batch.link_id, partner).ok_or(Fault::NoPartner)?;
        let to = &batch.setup.link(partner).ok_or(Fault::NoPartner)?.dialect;
        let gated = !batch.setup.has(Bug::IntentUngated);
        let lane = outbox.lane_gated(session, gated).ok_or(Fault::NoPartner)?;
        let is_same_header = to.spec.header.kind == message.dialect.spec.header.kind
            && to.header_bytes == message.dialect.header_bytes;
        let header = |out: &mut Vec<u8>| match is_same_header {
            true => out.extend_from_slice(message.header()),
            false => encode::template_header(to, out),
        };
        // The name of an original is longer than a STAN: it is not patched in.
        let renamed = beside.bound.filter(|_| message.has(90));
        if path.alike && renamed.is_none() && beside.converted.is_none() {
            let span = message.index.span(11).ok_or(Fault::NoStan)?;
            let ours = StanBytes::new(to.field(11), stan).ok_or(Fault::Untranslatable(11))?;
            let at = usize::from(span.value)..usize::from(span.end);
            let patched = if is_same_header {
                encode::patch(to, |_| (), message.bytes, at, ours.as_slice(), lane)
            } else {
                let skip = message.dialect.header_bytes;
                let body = message.bytes.get(skip..).unwrap_or(&[]);
                let at = at.start - skip..at.end - skip;
                encode::patch(to, header, body, at, ours.as_slice(), lane)
            };
            return patched.map_err(|_| Fault::Untranslatable(0));
        }
        let mut digits = [0; 12];
        let ours =
            sound::stan_digits(to.field(11), stan, &mut digits).ok_or(Fault::Untranslatable(11))?;
        let edition = to.spec.edition;
        let mut replaced: [(u8, &[u8]); 2 + converted::ADDED_MAX] = [(0, &[]); _];
        let name = renamed.filter(|_| to.has(90)).map(|bound| (90, &bound.data[..]));
        let added = beside.converted.iter().flat_map(Conversion::values);
        let values = [(11, ours)].into_iter().chain(name).chain(added);
        let count = replaced.iter_mut().zip(values).map(|(slot, value)| *slot = value).count();
        let changes = Changes {
            mti: edition.map(|e| transcode::mti_in_edition(message.mti(), e.digit())),
            replaced: replaced.get(..count).unwrap_or(&[]),
            ..Changes::default()
        };
        path.there
            .carry(message, to, header, &changes, &mut self.scratch, lane)
            .map_err(|error| Fault::Untranslatable(error.element))
    }

    /// Notes who waits for the answer.
    #[inline]
    fn wait(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
        route: &Route,
        (partner, partner_session, stan): (LinkId, SessionId, u32),
    ) {
        let path = setup::path(&self.paths, batch.setup.links.len(), batch.link_id, partner);
        let alike = path.is_some_and(|path| path.alike);
        let mut answer_mti = message.mti().response().unwrap_or_default();
        let Some(link) = batch.setup.link(partner) else { return };
        let rules = link.dialect.rules(message.mti());
        if let Some(edition) = link.dialect.spec.edition {
            answer_mti = transcode::mti_in_edition(answer_mti, edition.digit());
        }
        let header = message.dialect.header_bytes as u16;
        let form = message.index.form().filter(|_| alike && self.fits.is_likely());
        let budget = batch.left_of(route.budget);
        self.transactions.add(budget, batch.now.instant, |transaction| {
            transaction.acquirer = batch.link_id;
            transaction.session = batch.session;
            transaction.partner = partner;
            transaction.partner_session = partner_session;
            transaction.stan = stan;
            transaction.answer_mti = answer_mti;
            transaction.route = route.number;
            transaction.alike = alike;
            transaction.form = form;
            if transaction.form.is_none() {
                transaction.watch(message, rules);
            }
            transaction.amount = sound.amount;
            transaction.number = sound.number;
            transaction.acquirer_stan = sound.stan_number;
            transaction.stan_at = (sound.stan.value - header, sound.stan.end - header);
            transaction.frame.clear();
            transaction.frame.extend_from_slice(message.bytes);
        });
        if let Some(session) = self.sessions.of_mut(batch.session) {
            // Who speaks our dialect may stumble now and then: only drops in a row count.
            session.drops = 0;
            session.in_flight += 1;
        }
    }

    /// Puts on record that the partner is about to be asked.
    #[inline]
    fn begin(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
        (partner, stan, place): (LinkId, u32, u32),
        outbox: &mut Outbox,
    ) {
        // Who asked first whose code it is kept it then: others stand behind it by now.
        if self.recent.is_newest(sound.number) {
            self.keep_request(message, sound.number);
        }
        let Some(past) = self.recent.past_mut(sound.number) else { return };
        past.fate = Fate::InFlight(place);
        past.partner = Some(partner);
        past.stan = stan;
        past.amount = sound.amount;
        if outbox.records.on && !batch.setup.has(Bug::IntentNotRecorded) {
            let (past, kept) = (*past, self.recent.kept(sound.number));
            noted::intent(batch.now, &past, partner, kept, outbox);
        }
    }

    /// Keeps what may be kept of the request that was claimed last.
    #[inline]
    pub(super) fn keep_request(&mut self, message: &Message<'_>, number: u64) {
        if let Some(keeping) = Keeping::of(message) {
            self.recent.keep_from(number, &keeping);
        } else {
            self.kept.fill_with_care(message);
            self.recent.keep(number, &self.kept);
        }
    }

    /// Nothing was sent under this STAN after all.
    #[cold]
    pub(super) fn unreserve(&mut self, partner: LinkId, stan: u32) {
        let ring = self.pending.get_mut(usize::from(partner.0)).and_then(Option::as_mut);
        if let Some(ring) = ring {
            ring.settle(stan, super::pending::Fate::Free);
        }
    }
}
