//! Which connection of a partner a message leaves on: one that is up and keeps up, in turn.
//!
//! Not whether the partner may be asked at all: that is the route's to say, and the ring's.

use crate::base::authorization::Instrument;
use crate::base::ids::{LinkId, RouteId, SessionId};
use crate::base::time::{Instant, Now};

use super::Switch;
use super::health::Health;
use super::outbox::{Command, Outbox};
use super::pending::Pending;
use super::setup::Setup;
use super::stats::Counter;
use crate::routing::Route;

/// Sessions of a partner link that are up.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) sessions: Vec<SessionId>,
    pub(super) turn: usize,
    moved_at: Instant,
    health: Health,
    /// As one who is consulted: that it says nothing about codes is no reason not to pay there.
    consults: Health,
}

impl Ready {
    fn move_on(&mut self) {
        self.turn = if self.turn + 1 < self.sessions.len() { self.turn + 1 } else { 0 };
    }
}

impl Switch {
    /// True if the partner is not left alone because it did not answer ([`super::health`]).
    #[inline]
    pub(super) fn may_be_asked(&mut self, now: Now, partner: LinkId) -> bool {
        let place = usize::from(partner.0);
        let Some(ready) = self.ready.get_mut(place) else { return false };
        if ready.health.is_sound() {
            return true;
        }
        let ring = self.pending.get(place).and_then(Option::as_ref);
        ready.health.may_be_asked(now.instant, ring.map_or(0, Pending::waiting))
    }

    /// True if it may be asked whose a code is: it is asked for payments as ever, and has not left
    /// such questions unanswered lately.
    pub(super) fn may_be_consulted(&mut self, now: Now, partner: LinkId) -> bool {
        let ready = self.ready.get_mut(usize::from(partner.0));
        // Few questions are out at a time, and none keeps a shopper waiting for long.
        ready.is_some_and(|r| r.health.is_sound() && r.consults.may_be_asked(now.instant, 0))
    }

    /// It has said whose a code is, or has not.
    pub(super) fn was_consulted(&mut self, now: Now, partner: LinkId, has_answered: bool) {
        let breaker = self.setup.link(partner).and_then(|link| link.breaker);
        let Some(ready) = self.ready.get_mut(usize::from(partner.0)) else { return };
        if has_answered {
            ready.consults.answered();
        } else {
            ready.consults.failed(now.instant, breaker, false);
        }
    }

    /// True if nothing speaks against asking it more than it must be asked.
    pub(super) fn is_sound(&self, partner: LinkId) -> bool {
        self.ready.get(usize::from(partner.0)).is_some_and(|ready| ready.health.is_sound())
    }

    /// Partners that are worked on rest, as the routes in force say, and no others.
    pub(super) fn rest_partners(&mut self) {
        let resting = self.routes.maintenance();
        for (link, ready) in (0..).zip(&mut self.ready) {
            ready.health.rest(resting.contains(&LinkId(link)));
        }
    }

    /// It has answered an 0800.
    pub(super) fn partner_hears(&mut self, partner: LinkId) {
        if let Some(ready) = self.ready.get_mut(usize::from(partner.0)) {
            ready.health.hears();
        }
    }

    /// When a partner that is left alone is next to be knocked for, and which one.
    pub(super) fn next_knock(&self) -> Option<(Instant, LinkId)> {
        let knock = |(link, ready): (u16, &Ready)| Some((ready.health.knocks_at()?, LinkId(link)));
        (0..).zip(&self.ready).filter_map(knock).min_by_key(|(at, _)| *at)
    }

    /// It was sent an 0800, since it is to be tried again, or has no connection at all; over
    /// connections of other workers only it is tried without.
    pub(super) fn knocks(&mut self, partner: LinkId, is_sent: bool, again: Instant) {
        let Some(ready) = self.ready.get_mut(usize::from(partner.0)) else { return };
        if is_sent || ready.sessions.is_empty() {
            ready.health.knocked(again);
        } else {
            ready.health.is_back();
        }
    }

    /// It has answered a request.
    #[inline]
    pub(super) fn partner_answered(&mut self, partner: LinkId, outbox: &mut Outbox) {
        let Some(ready) = self.ready.get_mut(usize::from(partner.0)) else { return };
        if ready.health.answered() {
            outbox.commands.push(Command::Note { link: partner, is_asked: true });
        }
    }

    /// It has left a request without an answer, or a connection with requests on it was lost.
    #[cold]
    pub(super) fn partner_failed(&mut self, now: Now, partner: LinkId, outbox: &mut Outbox) {
        let link = self.setup.link(partner);
        let breaker = link.and_then(|link| link.breaker);
        let knocks = link.is_some_and(|link| link.echo_interval.is_some());
        let Some(ready) = self.ready.get_mut(usize::from(partner.0)) else { return };
        if ready.health.failed(now.instant, breaker, knocks) {
            self.stats.count(Counter::LeftAlone);
            outbox.commands.push(Command::Note { link: partner, is_asked: false });
        }
    }

    /// The place of the partner whose turn it is to be asked first, by the weights of the route or
    /// by what is under way.
    #[inline]
    pub(super) fn whose_turn(
        &mut self,
        now: Now,
        id: RouteId,
        route: &Route,
        instrument: Option<Instrument>,
    ) -> usize {
        if route.turns.is_empty() {
            return if route.by_load { self.least_asked(now, id, route) } else { 0 };
        }
        if let Some(first) = instrument.and_then(|instrument| route.first_for(instrument)) {
            return first;
        }
        route.first(self.deal(id))
    }

    /// The place of the partner with the fewest requests of this worker under way, of those that
    /// may be asked; of equals the next one in turn, so that a quiet route asks all of them.
    fn least_asked(&mut self, now: Now, id: RouteId, route: &Route) -> usize {
        let count = route.partners.len();
        let from = (self.deal(id) % count.max(1) as u64) as usize;
        let mut least = (usize::MAX, 0);
        for place in (from..count).chain(0..from) {
            let Some(partner) = route.partners.get(place).copied() else { continue };
            let link = usize::from(partner.0);
            let is_up = self.ready.get(link).is_some_and(|ready| !ready.sessions.is_empty());
            let ring = self.pending.get(link).and_then(Option::as_ref);
            let waiting = ring.map_or(0, Pending::waiting);
            if waiting < least.0 && is_up && self.may_be_asked(now, partner) {
                least = (waiting, place);
            }
        }
        least.1
    }

    /// How many requests of the route were dealt out before this one.
    #[inline]
    fn deal(&mut self, id: RouteId) -> u64 {
        let place = usize::from(id.0);
        if place >= self.dealt.len() {
            self.dealt.resize(place + 1, 0);
        }
        self.dealt.get_mut(place).map_or(0, |dealt| {
            *dealt += 1;
            *dealt - 1
        })
    }

    /// Of `partners` the one at `first`, or the next that is up if it is not: for what need not
    /// leave at once.
    pub(super) fn preferred(&self, partners: &[LinkId], first: usize) -> Option<LinkId> {
        let ready = |partner: &LinkId| self.ready.get(usize::from(partner.0));
        let up = |partner: &LinkId| ready(partner).is_some_and(|r| !r.sessions.is_empty());
        let mut steps = (0..partners.len()).map_while(|step| at_step(partners, first, step));
        steps.find(up).or(partners.get(first).copied())
    }

    /// A connection of the partner has come up: what was thought of it may be old. A kernel takes
    /// calls for a program that hangs, so who has not signed on is knocked for.
    pub(super) fn partner_is_back(&mut self, partner: LinkId) {
        let signs_on = self.setup.link(partner).is_some_and(|link| link.sign_on);
        let Some(ready) = self.ready.get_mut(usize::from(partner.0)) else { return };
        if signs_on || ready.health.knocks_at().is_none() {
            ready.health.is_back();
        } else {
            ready.health.knocked(self.now.instant);
        }
        ready.consults.is_back();
    }

    /// The partner session whose turn it is, among those that are up and keep up. All requests of
    /// one turn of the shell, which share one reading of the clock, go out on one session: one
    /// write instead of one per session. The next turn takes the next session. The second half of
    /// what may wait for a session is there for who asks little: one acquirer that floods us, or
    /// what is owed (`asker` is nobody), cannot take the partner away from all others.
    #[inline]
    pub(super) fn session_for(
        &mut self,
        now: Now,
        setup: &Setup,
        partner: LinkId,
        asker: Option<SessionId>,
        outbox: &Outbox,
    ) -> Option<SessionId> {
        let bytes_max = setup.bounds.outbox_bytes;
        let ready = self.ready.get_mut(usize::from(partner.0))?;
        if ready.moved_at != now.instant {
            ready.moved_at = now.instant;
            ready.move_on();
        }
        for _ in 0..ready.sessions.len() {
            let session = *ready.sessions.get(ready.turn).or(ready.sessions.first())?;
            let backlog_bytes = outbox.backlog_bytes(session);
            let open = backlog_bytes < bytes_max / 2
                || backlog_bytes < bytes_max && self.sessions.asks_little(asker);
            if open {
                return Some(session);
            }
            ready.move_on();
        }
        None
    }
}

/// The one at the place `first` at step 0, then the others in their order.
#[inline]
pub(super) fn at_step(partners: &[LinkId], first: usize, step: usize) -> Option<LinkId> {
    let place = match step {
        0 => first,
        _ if step <= first => step - 1,
        _ => step,
    };
    partners.get(place).copied()
}
