//! Connections as the core sees them: they open, come up, go down, end and close.
//!
//! What a connection leaves behind is settled here: requests that wait for a partner that is gone,
//! approvals that nobody took.

use std::sync::Arc;

use crate::base::ids::{LinkId, SessionId, WorkerId};
use crate::base::limits;
use crate::base::time::Now;
use crate::iso8583::frame::Broken;

use super::fault::Fault;
use super::outbox::{CloseCause, Command, Outbox};
use super::session::State;
use super::stats::Counter;
use super::{Batch, Role, Switch};

impl Switch {
    pub(super) fn opened(
        &mut self,
        now: Now,
        id: SessionId,
        link_id: LinkId,
        shared: bool,
        outbox: &mut Outbox,
    ) -> usize {
        let setup = Arc::clone(&self.setup);
        outbox.open(id);
        self.stats.count(Counter::SessionsOpened);
        let Some(link) = setup.link(link_id) else { return 0 };
        let state = match link.role {
            // Who passes requests on has seen the sign-on.
            Role::Acquirer if link.sign_on && !shared => State::SignedOff,
            Role::Partner if link.sign_on && !shared => {
                self.sign_on(now, id, link_id, link, outbox)
            }
            _ => State::Up,
        };
        self.sessions.open(id, link_id, state, shared, now.instant);
        match link.role {
            Role::Acquirer => self.sessions.watch_idle(id, now.instant),
            Role::Partner => {
                self.partner_sessions.push(id);
                if state.is_up() {
                    self.came_up(id, link_id, shared, outbox);
                }
            }
        }
        0
    }

    /// A partner session may carry requests from now on.
    pub(super) fn came_up(
        &mut self,
        id: SessionId,
        link: LinkId,
        shared: bool,
        outbox: &mut Outbox,
    ) {
        if let Some(ready) = self.ready.get_mut(usize::from(link.0))
            && !ready.sessions.contains(&id)
        {
            ready.sessions.push(id);
        }
        if let Some(owed) = self.owed.get_mut(usize::from(link.0)).and_then(Option::as_mut) {
            owed.lane.connection_up(self.now.instant);
        }
        if !shared {
            self.partner_is_back(link);
            outbox.commands.push(Command::Share { session: id, up: true });
        }
    }

    /// A partner session may carry no more requests.
    pub(super) fn went_down(
        &mut self,
        id: SessionId,
        link: LinkId,
        shared: bool,
        outbox: &mut Outbox,
    ) {
        let Some(ready) = self.ready.get_mut(usize::from(link.0)) else { return };
        let before = ready.sessions.len();
        ready.sessions.retain(|session| *session != id);
        let none_is_left = ready.sessions.is_empty();
        if ready.sessions.len() < before && none_is_left {
            self.owed_link_down(link);
        }
        let Some(ready) = self.ready.get_mut(usize::from(link.0)) else { return };
        if ready.sessions.len() < before && !shared {
            outbox.commands.push(Command::Share { session: id, up: false });
        }
    }

    /// FIN is no cancellation: what was asked is answered first.
    pub(super) fn ended(&mut self, id: SessionId, outbox: &mut Outbox) -> usize {
        self.sessions.forget_frame(id);
        let Some(session) = self.sessions.of_mut(id) else { return 0 };
        let (link, shared) = (session.link, session.shared);
        let is_acquirer = self.setup.link(link).is_some_and(|link| link.role == Role::Acquirer);
        if is_acquirer && (session.in_flight > 0 || session.guest_of != 0) {
            session.state = State::Ended;
        } else {
            self.went_down(id, link, shared, outbox);
            self.close(id, CloseCause::Finished, outbox);
        }
        0
    }

    pub(super) fn closed(&mut self, now: Now, id: SessionId, outbox: &mut Outbox) -> usize {
        let Some(session) = self.sessions.close(id) else { return 0 };
        self.reverse_undelivered(now, id, outbox);
        self.partner_sessions.retain(|other| *other != id);
        self.went_down(id, session.link, session.shared, outbox);
        let is_partner =
            self.setup.link(session.link).is_some_and(|link| link.role == Role::Partner);
        let (mut from, mut any_left) = (0, false);
        while let Some(place) = self.transactions.on_session(id, from).filter(|_| is_partner) {
            any_left |= !self.give_up(now, place, Fault::PartnerLost, outbox);
            from = place + 1;
        }
        // A session that was lent may be recalled in good order.
        if any_left && !session.shared {
            self.partner_failed(now, session.link, outbox);
        }
        if is_partner {
            self.owed_session_lost(session.link, id, now.instant);
        }
        // Not before: what stands in its lane has not left.
        outbox.close(id);
        0
    }

    /// A request of `id` has its answer; a session that only waited for it can be closed.
    #[inline]
    pub(super) fn one_less(&mut self, id: SessionId, outbox: &mut Outbox) {
        let Some(session) = self.sessions.of_mut(id) else { return };
        debug_assert!(session.in_flight > 0, "an answer has its request");
        session.in_flight = session.in_flight.saturating_sub(1);
        if session.is_settled() {
            self.close(id, CloseCause::Finished, outbox);
        }
    }

    /// Counts a request of `id` out, or in again, without more.
    pub(super) fn count_in_flight(&mut self, id: SessionId, count: fn(u32, u32) -> u32) {
        if let Some(session) = self.sessions.of_mut(id) {
            session.in_flight = count(session.in_flight, 1);
        }
    }

    /// Another worker has nothing more to answer on the session.
    pub(super) fn guest_left(
        &mut self,
        id: SessionId,
        worker: WorkerId,
        outbox: &mut Outbox,
    ) -> usize {
        let Some(session) = self.sessions.of_mut(id) else { return 0 };
        session.guest_of &= !(1 << worker.0);
        if session.is_settled() {
            self.close(id, CloseCause::Finished, outbox);
        }
        0
    }

    /// A frame of length 0. False if there are too many: nothing more is read then.
    pub(super) fn keep_alive(&mut self, batch: &Batch<'_>, outbox: &mut Outbox) -> bool {
        self.stats.count(Counter::KeepAlives);
        let most = limits::KEEPALIVE_RATE_MAX;
        let session = self.sessions.of_mut(batch.session);
        if session.is_some_and(|session| session.exceeds(most, batch.now.instant)) {
            self.close(batch.session, CloseCause::Framing, outbox);
            return false;
        }
        true
    }

    /// What came on it is no frame.
    pub(super) fn broken(&mut self, id: SessionId, broken: Broken, outbox: &mut Outbox) {
        self.stats.count(Counter::FramingErrors);
        let cause = if broken == Broken::TlsHello {
            self.stats.count(Counter::TlsOnPlain);
            CloseCause::TlsOnPlain
        } else {
            CloseCause::Framing
        };
        self.close(id, cause, outbox);
    }

    pub(super) fn close(&mut self, id: SessionId, cause: CloseCause, outbox: &mut Outbox) {
        let Some(session) = self.sessions.of_mut(id) else { return };
        if session.state == State::Closing {
            return;
        }
        session.state = State::Closing;
        let (link, shared) = (session.link, session.shared);
        self.went_down(id, link, shared, outbox);
        self.stats.count(Counter::SessionsClosed);
        outbox.commands.push(Command::Close { session: id, cause });
    }
}
