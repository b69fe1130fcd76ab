//! The session table of a worker: slot to socket, guarded by a generation.
//!
//! Sockets live in the table and not in the tasks that wait for them, so that one flush can write
//! every dirty lane of a turn.

use std::sync::Arc;
use std::task::Waker;

use tokio::net::TcpStream;

use super::mail::Load;
use crate::base::ids::{LinkId, SessionId, WorkerId};
use crate::base::time::Instant;
use crate::switch::outbox::CloseCause;

/// All sessions of a worker.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

/// One connection, or the far end of another worker's.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) link: LinkId,
    pub(super) wire: Wire,
    pub(super) origin: Origin,
    pub(super) inflow: Inflow,
    /// Begin of a frame whose rest has not arrived. No buffer while there is none.
    pub(super) carry: Vec<u8>,
    /// Wakes the task of the connection.
    pub(super) waker: Option<Waker>,
    /// Set while the kernel takes no more bytes: by when it must have taken one.
    pub(super) stalled_by: Option<Instant>,
    /// True while the session is in the worker's list of stalled sessions.
    pub(super) watched: bool,
    /// Set when the session is to be closed once its lane is written: why and by when.
    pub(super) closing: Option<(CloseCause, Instant)>,
    /// True while other workers may send through this session.
    pub(super) lent: bool,
    /// Workers that were passed a request of it: a bit each.
    pub(super) guest_of: u64,
    /// Set from when it was first lent: what waits here, as those workers see it.
    pub(super) load: Option<Arc<Load>>,
}

/// Where the bytes of a session go.
#[derive(Debug)]
pub(super) enum Wire {
    /// To a socket of this worker.
    Socket(TcpStream),
    /// To the worker that owns the socket.
    Mailbox {
        /// That worker.
        owner: WorkerId,
        /// Its handle of the session.
        session: SessionId,
        /// How much waits there.
        load: Arc<Load>,
    },
}

/// How a session came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The peer called: an acquirer.
    Accepted,
    /// We called: a partner.
    Dialled,
    /// Another worker called.
    Shared,
}

/// What is done with bytes that arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inflow {
    /// They are read.
    Open,
    /// They stay in the kernel until the peer has taken its answers.
    Paused,
    /// They stay in the kernel.
    Shut,
    /// There will be none.
    Ended,
    /// They are thrown away: only the end of the connection is waited for.
    Discarded,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    session: Option<Session>,
}

impl Session {
    pub(super) fn new(link: LinkId, wire: Wire, origin: Origin) -> Self {
        Self {
            link,
            wire,
            origin,
            inflow: Inflow::Open,
            carry: Vec::new(),
            waker: None,
            stalled_by: None,
            watched: false,
            closing: None,
            lent: false,
            guest_of: 0,
            load: None,
        }
    }

    /// Has the task of the connection look again.
    pub(super) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

impl Sessions {
    pub(super) fn insert(&mut self, session: Session) -> SessionId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let place = &mut self.slots[slot as usize];
        debug_assert!(place.session.is_none(), "a free slot is empty");
        place.generation = place.generation.wrapping_add(1);
        place.session = Some(session);
        SessionId { slot, generation: place.generation }
    }

    #[inline]
    pub(super) fn at(&mut self, id: SessionId) -> Option<&mut Session> {
        let place = self.slots.get_mut(id.slot as usize)?;
        if place.generation == id.generation { place.session.as_mut() } else { None }
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Session> {
        let place = self.slots.get(id.slot as usize)?;
        if place.generation == id.generation { place.session.as_ref() } else { None }
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Session> {
        let place = self.slots.get_mut(id.slot as usize)?;
        if place.generation != id.generation {
            return None;
        }
        let session = place.session.take()?;
        self.free.push(id.slot);
        Some(session)
    }

    /// The handles of all sessions of `origin`.
    pub(super) fn of(&self, origin: Origin) -> Vec<SessionId> {
        let slots = self.slots.iter().zip(0..);
        slots
            .filter(|(place, _)| place.session.as_ref().is_some_and(|s| s.origin == origin))
            .map(|(place, slot)| SessionId { slot, generation: place.generation })
            .collect()
    }

    /// The handles of all sessions that have a socket.
    pub(super) fn sockets(&self) -> Vec<SessionId> {
        let mut sockets = self.of(Origin::Accepted);
        sockets.append(&mut self.of(Origin::Dialled));
        sockets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(link: u16) -> Session {
        let session = SessionId { slot: 0, generation: 0 };
        let wire = Wire::Mailbox { owner: WorkerId(0), session, load: Arc::default() };
        Session::new(LinkId(link), wire, Origin::Shared)
    }

    #[test]
    fn a_handle_does_not_reach_the_next_tenant() {
        let mut sessions = Sessions::default();
        let first = sessions.insert(shared(1));
        assert!(sessions.remove(first).is_some());
        let second = sessions.insert(shared(2));
        assert_eq!(first.slot, second.slot);
        assert!(sessions.at(first).is_none() && sessions.remove(first).is_none());
        assert_eq!(sessions.at(second).map(|session| session.link), Some(LinkId(2)));
        assert_eq!(sessions.of(Origin::Shared), [second]);
        assert!(sessions.sockets().is_empty());
    }
}
