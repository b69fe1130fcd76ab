//! Network management: 0800 sign-on, sign-off and echo, in both directions.
//!
//! DE 70 says what is meant (001, 002, 301); links of the 1993 edition say it in DE 24 (801, 802,
//! 831). The codes are those of ISO 8583:1987 and common practice; networks with codes of their
//! own (071, 061) are answered alike.

use crate::base::codes::ResponseCode;
use crate::base::ids::{LinkId, SessionId};
use crate::base::time::{Instant, Now};
use crate::iso8583::bitmap::Bitmap;
use crate::iso8583::dialect::Dialect;
use crate::iso8583::encode::{self, Composer};
use crate::iso8583::message::Message;
use crate::iso8583::mti::Mti;

use super::fault::Fault;
use super::outbox::{CloseCause, Outbox};
use super::session::{NETWORK_ANSWER_DEADLINE, State};
use super::setup::{LinkSetup, Role};
use super::stats::Counter;
use super::{Batch, Switch, reply, sound};

/// What a network management message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    SignOn,
    SignOff,
    Echo,
}

impl Purpose {
    /// From DE 70 of 1987.
    const fn from_1987(code: u64) -> Option<Self> {
        match code {
            1 | 61 | 71 => Some(Self::SignOn),
            2 | 62 | 72 => Some(Self::SignOff),
            270 | 301 => Some(Self::Echo),
            _ => None,
        }
    }

    /// From DE 24 of 1993.
    const fn from_1993(code: u64) -> Option<Self> {
        match code {
            801 => Some(Self::SignOn),
            802 => Some(Self::SignOff),
            831 => Some(Self::Echo),
            _ => None,
        }
    }

    const fn code_1987(self) -> &'static [u8] {
        match self {
            Self::SignOn => b"001",
            Self::SignOff => b"002",
            Self::Echo => b"301",
        }
    }

    const fn code_1993(self) -> &'static [u8] {
        match self {
            Self::SignOn => b"801",
            Self::SignOff => b"802",
            Self::Echo => b"831",
        }
    }
}

impl Switch {
    /// An 0800 of the other side: answered here, at once.
    #[cold]
    pub(super) fn network_request(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        outbox: &mut Outbox,
    ) -> Result<(), Fault> {
        let id = batch.session;
        let session = self.sessions.of_mut(id).ok_or(Fault::Draining)?;
        if session.exceeds(batch.setup.bounds.echo_rate, batch.now.instant) {
            return Err(Fault::EchoStorm);
        }
        sound::stan(message)?;
        sound::presence(message)?;
        let purpose = purpose(message)?;
        let (link_id, shared) = (session.link, session.shared);
        let was = session.state;
        session.state = match (purpose, was) {
            (Purpose::SignOn, State::SignedOff) => State::Up,
            (Purpose::SignOff, State::Up | State::Echoing { .. }) => State::SignedOff,
            (_, state) => state,
        };
        let now_up = session.state.is_up();
        if batch.link.role == Role::Partner && was.is_up() != now_up {
            if now_up {
                self.came_up(id, link_id, shared, outbox);
            } else {
                self.went_down(id, link_id, shared, outbox);
            }
        }
        self.stats.count(Counter::NetworkManagement);
        let mti = message.mti().response().unwrap_or_default();
        reply::write(message, mti, ResponseCode::APPROVED, outbox.lane(id));
        Ok(())
    }

    /// An 0810 of a partner: is it the answer we wait for?
    #[cold]
    pub(super) fn network_answer(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        outbox: &mut Outbox,
    ) -> bool {
        let id = batch.session;
        let stan = message.stan().unwrap_or(0);
        let Some(session) = self.sessions.of_mut(id) else { return false };
        let was = session.state;
        if was.answered(stan) == was {
            // The answer to our sign-off changes nothing any more.
            if was != State::Draining {
                self.stats.count(Counter::UnmatchedAnswers);
            }
            return true;
        }
        let accepted =
            message.text::<3>(39).is_some_and(|code| matches!(&code, b"00 " | b"000" | b"800"));
        if !accepted {
            self.close(id, CloseCause::NoEcho, outbox);
            return false;
        }
        session.state = was.answered(stan);
        let (link, shared) = (session.link, session.shared);
        if matches!(was, State::SigningOn { .. }) {
            self.came_up(id, link, shared, outbox);
        }
        self.partner_hears(link);
        true
    }

    /// Sends our sign-on; the session is up when it is answered.
    pub(super) fn sign_on(
        &mut self,
        now: Now,
        id: SessionId,
        link_id: LinkId,
        link: &LinkSetup,
        outbox: &mut Outbox,
    ) -> State {
        let stan = self.send(now, id, link_id, link, Purpose::SignOn, outbox);
        State::SigningOn { stan, deadline: now.instant.after(NETWORK_ANSWER_DEADLINE) }
    }

    /// Tells every partner that signed us on that no more will come.
    pub(super) fn sign_off_partners(&mut self, now: Now, outbox: &mut Outbox) {
        let setup = std::sync::Arc::clone(&self.setup);
        let partners: Vec<(SessionId, LinkId)> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.state.is_up() && !session.shared)
            .map(|(id, session)| (id, session.link))
            .collect();
        for (id, link_id) in partners {
            let Some(link) = setup.link(link_id) else { continue };
            if link.role != Role::Partner || !link.sign_on {
                continue;
            }
            self.send(now, id, link_id, link, Purpose::SignOff, outbox);
            if let Some(session) = self.sessions.of_mut(id) {
                session.state = State::Draining;
            }
            self.went_down(id, link_id, false, outbox);
        }
    }

    /// Sends echoes on silent partner sessions, and closes those that left one unanswered.
    pub(super) fn network_deadlines(&mut self, now: Now, outbox: &mut Outbox) {
        let setup = std::sync::Arc::clone(&self.setup);
        let due: Vec<(SessionId, LinkId, bool)> = self
            .partner_sessions
            .iter()
            .filter_map(|id| {
                let session = self.sessions.of(*id)?;
                let (moment, unanswered) = network_moment(session, setup.link(session.link)?)?;
                (moment <= now.instant).then_some((*id, session.link, unanswered))
            })
            .collect();
        for (id, link_id, unanswered) in due {
            if unanswered {
                self.close(id, CloseCause::NoEcho, outbox);
                continue;
            }
            self.echo(now, id, link_id, outbox);
        }
        while let Some((at, partner)) = self.next_knock() {
            if at > now.instant {
                break;
            }
            self.knock(now, partner, outbox);
        }
    }

    /// When a partner session next needs an echo, or has left one unanswered for too long; or when
    /// a partner that is left alone is knocked for.
    pub(super) fn next_network_deadline(&self) -> Option<Instant> {
        let of_sessions = self.partner_sessions.iter().filter_map(|id| {
            let session = self.sessions.of(*id)?;
            let link = self.setup.link(session.link)?;
            network_moment(session, link).map(|(moment, _)| moment)
        });
        of_sessions.chain(self.next_knock().map(|(at, _)| at)).min()
    }

    /// Sends an echo on each connection of ours to a partner that is to be tried again: one of
    /// them may be dead, and is closed then. Each is waited for as long as ever.
    #[cold]
    fn knock(&mut self, now: Now, partner: LinkId, outbox: &mut Outbox) {
        let is_ours = |id: &SessionId| {
            let session = self.sessions.of(*id);
            session.filter(|session| session.link == partner && !session.shared)
        };
        let states = self.partner_sessions.iter().filter_map(|id| Some((*id, is_ours(id)?.state)));
        let states: Vec<(SessionId, State)> = states.collect();
        for (id, state) in &states {
            if *state == State::Up {
                self.echo(now, *id, partner, outbox);
            }
        }
        let again = now.instant.after(NETWORK_ANSWER_DEADLINE);
        let is_sent = states.iter().any(|(_, state)| state.is_up());
        self.knocks(partner, is_sent, again);
    }

    /// Asks the other side of a connection whether it is there.
    fn echo(&mut self, now: Now, id: SessionId, link_id: LinkId, outbox: &mut Outbox) {
        let setup = std::sync::Arc::clone(&self.setup);
        let Some(link) = setup.link(link_id) else { return };
        let stan = self.send(now, id, link_id, link, Purpose::Echo, outbox);
        if let Some(session) = self.sessions.of_mut(id) {
            let deadline = now.instant.after(NETWORK_ANSWER_DEADLINE);
            session.state = State::Echoing { stan, deadline };
        }
    }

    /// Writes an 0800 (1804 in the 1993 edition). Returns its STAN.
    fn send(
        &mut self,
        now: Now,
        id: SessionId,
        link_id: LinkId,
        link: &LinkSetup,
        purpose: Purpose,
        outbox: &mut Outbox,
    ) -> u32 {
        let ring = self.pending.get_mut(usize::from(link_id.0)).and_then(Option::as_mut);
        let stan = ring.map_or(1, super::pending::Pending::number);
        if let Some(lane) = outbox.lane(id) {
            compose(&link.dialect, now, stan, purpose, lane);
        }
        stan
    }
}

/// When something is due on a partner session, and whether it is an answer that did not come.
fn network_moment(session: &super::session::Session, link: &LinkSetup) -> Option<(Instant, bool)> {
    if let Some(deadline) = session.state.deadline() {
        return Some((deadline, true));
    }
    let interval = link.echo_interval.filter(|_| session.state == State::Up && !session.shared)?;
    Some((session.heard_at.after(interval), false))
}

fn purpose(message: &Message<'_>) -> Result<Purpose, Fault> {
    let named = if message.mti().edition_digit() == 0 {
        message.number(70).map(Purpose::from_1987)
    } else {
        message.number(24).map(Purpose::from_1993)
    };
    match named {
        Some(purpose) => purpose.ok_or(Fault::UnknownNetworkCode),
        // Terminals that log on with DE 3 alone are told that somebody is there.
        None => Ok(Purpose::Echo),
    }
}

/// Appends an 0800: DE 7, 11 and what it is about.
fn compose(dialect: &Dialect, now: Now, stan: u32, purpose: Purpose, lane: &mut Vec<u8>) {
    let edition = dialect.spec.edition.map_or(0, crate::base::codes::Edition::digit);
    // ISO 8583:1993 counts network management among the messages of "other" origin.
    let packed = if edition == 0 { 0x0800 } else { 0x0804 | u16::from(edition) << 12 };
    let Some(mti) = Mti::from_packed(packed) else { return };
    let about: (u8, &[u8]) =
        if edition == 0 { (70, purpose.code_1987()) } else { (24, purpose.code_1993()) };
    let mut digits = [0; 12];
    let Some(stan) = sound::stan_digits(dialect.field(11), stan, &mut digits) else { return };
    let date = now.wall.civil().de7();
    let mut values: [(u8, &[u8]); 3] = [(7, &date), (11, stan), about];
    values.sort_unstable_by_key(|(element, _)| *element);
    let written = || values.iter().filter(|(element, _)| dialect.has(*element));
    let elements: Bitmap = written().map(|(element, _)| *element).collect();
    let header = |out: &mut Vec<u8>| encode::template_header(dialect, out);
    let mut composer = Composer::begin(dialect, lane, header, mti, &elements);
    for (element, value) in written() {
        if composer.value(*element, value).is_err() {
            return composer.abandon();
        }
    }
    let _ = composer.finish();
}
