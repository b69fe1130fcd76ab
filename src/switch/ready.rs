//! Which connection of a partner a message leaves on: one that is up and keeps up, in turn.
//!
//! Not whether the partner may be asked at all: that is the route's to say, and the ring's.

use crate::base::ids::{LinkId, SessionId};
use crate::base::time::{Instant, Now};

use super::Switch;
use super::outbox::Outbox;
use super::setup::Setup;

/// Sessions of a partner link that are up.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) sessions: Vec<SessionId>,
    pub(super) turn: usize,
    moved_at: Instant,
}

impl Ready {
    fn move_on(&mut self) {
        self.turn = if self.turn + 1 < self.sessions.len() { self.turn + 1 } else { 0 };
    }
}

impl Switch {
    /// The first of `partners` that is up, else the first: for what need not leave at once.
    pub(super) fn preferred(&self, partners: &[LinkId]) -> Option<LinkId> {
        let ready = |partner: &&LinkId| self.ready.get(usize::from(partner.0));
        let up = |partner: &&LinkId| ready(partner).is_some_and(|r| !r.sessions.is_empty());
        partners.iter().find(up).or(partners.first()).copied()
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
