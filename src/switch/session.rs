//! The sessions of one worker, and the states a session goes through.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::ids::{LinkId, SessionId};
use crate::base::limits;
use crate::base::time::Instant;

/// What the core knows of one connection.
#[derive(Debug, Clone)]
pub struct Session {
    /// Which tenant of the slot this is.
    pub generation: u32,
    /// Whose connection it is.
    pub link: LinkId,
    /// Where it stands.
    pub state: State,
    /// True if another worker owns the socket.
    pub shared: bool,
    /// Requests of this session that are not answered yet.
    pub in_flight: u32,
    /// Messages that could not be answered.
    pub drops: u8,
    /// When the last byte came.
    pub heard_at: Instant,
    /// When the first byte of an unfinished frame came.
    pub partial_since: Option<Instant>,
    in_frame_queue: bool,
    rate: Rate,
}

/// Where a session stands.
///
/// ```text
/// acquirer:  Up ----------------------------------------> Ended (FIN) -> closed
///            SignedOff --0800/001--> Up --0800/002--> SignedOff
/// partner:   SigningOn --0810/00--> Up --echo--> Echoing --0810--> Up
///                |                   |--0800/002 from the partner--> SignedOff
///                +-- no answer in time: closed           Draining -> closed
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Partner: our 0800 sign-on is under way.
    SigningOn {
        /// STAN of the 0800.
        stan: u32,
        /// No answer by then: close.
        deadline: Instant,
    },
    /// Carries requests.
    Up,
    /// Partner: up, and our 0800 echo is under way.
    Echoing {
        /// STAN of the 0800.
        stan: u32,
        /// No answer by then: close.
        deadline: Instant,
    },
    /// Not signed on (acquirer), or signed off by the other side (partner).
    SignedOff,
    /// Our sign-off is sent; only answers are still taken.
    Draining,
    /// The acquirer sent FIN: what it asked is still answered.
    Ended,
    /// A close has been commanded: nothing more is read or written.
    Closing,
}

impl State {
    /// True if requests may be sent on the session.
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Up | Self::Echoing { .. })
    }

    /// The state after the other side answered our 0800 with `stan`.
    #[must_use]
    pub fn answered(self, stan: u32) -> Self {
        match self {
            Self::SigningOn { stan: ours, .. } | Self::Echoing { stan: ours, .. }
                if ours == stan =>
            {
                Self::Up
            }
            other => other,
        }
    }

    /// When something must have happened.
    pub const fn deadline(self) -> Option<Instant> {
        match self {
            Self::SigningOn { deadline, .. } | Self::Echoing { deadline, .. } => Some(deadline),
            _ => None,
        }
    }
}

/// A count per second.
#[derive(Debug, Clone, Copy, Default)]
struct Rate {
    second: u64,
    count: u32,
}

impl Session {
    /// True if one more message of a kind limited to `most` per second is too many.
    pub fn exceeds(&mut self, most: u32, now: Instant) -> bool {
        let second = now.ns() / 1_000_000_000;
        if self.rate.second != second {
            self.rate = Rate { second, count: 0 };
        }
        self.rate.count = self.rate.count.saturating_add(1);
        self.rate.count > most
    }
}

/// The session table, with the two queues of deadlines that depend on hearing from the peer.
#[derive(Debug, Default)]
pub struct Sessions {
    table: Vec<Option<Session>>,
    /// Sessions with an unfinished frame, in the order in which the frames began. At most one
    /// entry a session: if its frame is a later one when the entry is due, it is queued again.
    frames: VecDeque<(SessionId, Instant)>,
    /// Acquirer sessions in the order in which they may become idle; likewise one entry each.
    idle: VecDeque<(SessionId, Instant)>,
    count: usize,
}

impl Sessions {
    /// Adds a session.
    pub fn open(&mut self, id: SessionId, link: LinkId, state: State, shared: bool, now: Instant) {
        let slot = id.slot as usize;
        if slot >= self.table.len() {
            self.table.resize(slot + 1, None);
        }
        self.table[slot] = Some(Session {
            generation: id.generation,
            link,
            state,
            shared,
            in_flight: 0,
            drops: 0,
            heard_at: now,
            partial_since: None,
            in_frame_queue: false,
            rate: Rate::default(),
        });
        self.count += 1;
    }

    /// Forgets a session; returns what it was.
    pub fn close(&mut self, id: SessionId) -> Option<Session> {
        self.of(id)?;
        self.count -= 1;
        self.table.get_mut(id.slot as usize)?.take()
    }

    /// The session, if it is still this tenant of its slot.
    #[inline]
    pub fn of(&self, id: SessionId) -> Option<&Session> {
        self.table
            .get(id.slot as usize)?
            .as_ref()
            .filter(|session| session.generation == id.generation)
    }

    /// The session, to change it.
    #[inline]
    pub fn of_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.table
            .get_mut(id.slot as usize)?
            .as_mut()
            .filter(|session| session.generation == id.generation)
    }

    /// All sessions.
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.table.iter().enumerate().filter_map(|(slot, session)| {
            let session = session.as_ref()?;
            Some((SessionId { slot: slot as u32, generation: session.generation }, session))
        })
    }

    /// How many sessions are open.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// True if none is open.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Notes what a batch left unread: whether a frame has begun, and since when.
    #[inline]
    pub fn note_partial(&mut self, id: SessionId, partial: bool, progressed: bool, now: Instant) {
        let Some(session) = self.of_mut(id) else { return };
        if !partial {
            session.partial_since = None;
            return;
        }
        if progressed || session.partial_since.is_none() {
            session.partial_since = Some(now);
            if !session.in_frame_queue {
                session.in_frame_queue = true;
                self.frames.push_back((id, now));
            }
        }
    }

    /// A session whose frame has been unfinished for `limit`.
    pub fn overdue_frame(&mut self, limit: Duration, now: Instant) -> Option<SessionId> {
        while let Some((id, since)) = self.frames.front().copied() {
            if since.after(limit) > now {
                return None;
            }
            self.frames.pop_front();
            let Some(session) = self.of_mut(id) else { continue };
            session.in_frame_queue = false;
            match session.partial_since {
                Some(began) if began.after(limit) <= now => return Some(id),
                Some(began) => {
                    session.in_frame_queue = true;
                    self.frames.push_back((id, began));
                }
                None => {}
            }
        }
        None
    }

    /// Watches an acquirer session for idleness.
    pub fn watch_idle(&mut self, id: SessionId, now: Instant) {
        self.idle.push_back((id, now));
    }

    /// A watched session that has been silent for `limit`, with nothing in flight.
    pub fn overdue_idle(&mut self, limit: Duration, now: Instant) -> Option<SessionId> {
        while let Some((id, since)) = self.idle.front().copied() {
            if since.after(limit) > now {
                return None;
            }
            self.idle.pop_front();
            let Some(session) = self.of(id) else { continue };
            if session.in_flight == 0 && session.heard_at.after(limit) <= now {
                return Some(id);
            }
            let from = if session.in_flight > 0 { now } else { session.heard_at };
            self.idle.push_back((id, from));
        }
        None
    }

    /// When one of the two queues must next be looked at.
    #[inline]
    pub fn next_deadline(&self, frame: Duration, idle: Duration) -> Option<Instant> {
        let frame = self.frames.front().map(|(_, since)| since.after(frame));
        let idle = self.idle.front().map(|(_, since)| since.after(idle));
        match (frame, idle) {
            (Some(frame), Some(idle)) => Some(frame.min(idle)),
            (one, other) => one.or(other),
        }
    }
}

/// How long the other side may take to answer an 0800.
pub const NETWORK_ANSWER_DEADLINE: Duration = Duration::from_secs(10);

const _: () = assert!(limits::SESSIONS_MAX <= u32::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);

    fn at(ms: u64) -> Instant {
        Instant::from_ns(ms * 1_000_000)
    }

    fn opened(count: u32) -> Sessions {
        let mut sessions = Sessions::default();
        for slot in 0..count {
            sessions.open(id(slot), LinkId(0), State::Up, false, at(0));
        }
        sessions
    }

    const fn id(slot: u32) -> SessionId {
        SessionId { slot, generation: 1 }
    }

    #[test]
    fn a_frame_is_overdue_from_its_first_byte_not_its_last() {
        let mut sessions = opened(2);
        sessions.note_partial(id(0), true, false, at(10));
        sessions.note_partial(id(0), true, false, at(90));
        sessions.note_partial(id(1), true, false, at(50));
        assert_eq!(sessions.next_deadline(LIMIT, LIMIT), Some(at(110)));
        assert_eq!(sessions.overdue_frame(LIMIT, at(109)), None);
        assert_eq!(sessions.overdue_frame(LIMIT, at(110)), Some(id(0)));
        assert_eq!(sessions.overdue_frame(LIMIT, at(110)), None);
        sessions.note_partial(id(1), false, true, at(120));
        assert_eq!(sessions.overdue_frame(LIMIT, at(1000)), None);
    }

    #[test]
    fn a_finished_frame_followed_by_the_next_ones_start_is_counted_anew() {
        let mut sessions = opened(1);
        sessions.note_partial(id(0), true, false, at(0));
        sessions.note_partial(id(0), true, true, at(80));
        assert_eq!(sessions.overdue_frame(LIMIT, at(100)), None);
        assert_eq!(sessions.overdue_frame(LIMIT, at(180)), Some(id(0)));
    }

    #[test]
    fn idleness_counts_from_the_last_byte_and_spares_those_who_wait() {
        let mut sessions = opened(3);
        for slot in 0..3 {
            sessions.watch_idle(id(slot), at(0));
        }
        sessions.of_mut(id(1)).expect("open").heard_at = at(60);
        sessions.of_mut(id(2)).expect("open").in_flight = 1;
        assert_eq!(sessions.overdue_idle(LIMIT, at(100)), Some(id(0)));
        assert_eq!(sessions.overdue_idle(LIMIT, at(100)), None);
        assert_eq!(sessions.overdue_idle(LIMIT, at(160)), Some(id(1)));
        assert_eq!(sessions.overdue_idle(LIMIT, at(200)), None);
    }

    #[test]
    fn a_slots_next_tenant_is_not_its_predecessor() {
        let mut sessions = opened(1);
        assert!(sessions.close(id(0)).is_some());
        assert!(sessions.of(id(0)).is_none());
        sessions.open(SessionId { slot: 0, generation: 2 }, LinkId(0), State::Up, false, at(1));
        assert!(sessions.of(id(0)).is_none());
        assert_eq!(sessions.len(), 1);
    }
}
