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
    /// Workers that were passed a request of this session: a bit each.
    pub guest_of: u64,
    /// Requests of this session that are not answered yet.
    pub in_flight: u32,
    /// Messages in a row that could not be answered.
    pub drops: u8,
    /// When the last byte came.
    pub heard_at: Instant,
    /// When the first byte of an unfinished frame came.
    pub partial_since: Option<Instant>,
    /// Neighbours in the list of unfinished frames; slots.
    frame_before: Option<u32>,
    frame_behind: Option<u32>,
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
    /// True once a session that only waits for its answers has them all, from every worker.
    #[inline]
    pub fn is_settled(&self) -> bool {
        self.state == State::Ended && self.in_flight == 0 && self.guest_of == 0
    }

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
    /// Ends of the list of sessions with an unfinished frame, threaded through the sessions in the
    /// order in which the frames began: first and last slot.
    frames: Option<(u32, u32)>,
    /// Acquirer sessions, and when each was last looked at for idleness. Looked at again after a
    /// share of the limit, so the queue stays in order and nothing is done when bytes arrive.
    idle: VecDeque<(SessionId, Instant)>,
    count: usize,
}

/// What a terminal or a small shop has in flight at most; a concentrator may have thousands.
const LITTLE_IN_FLIGHT: u32 = 64;

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
            guest_of: 0,
            in_flight: 0,
            drops: 0,
            heard_at: now,
            partial_since: None,
            frame_before: None,
            frame_behind: None,
            rate: Rate::default(),
        });
        self.count += 1;
    }

    /// True if few requests of `id` wait for their answers. Nobody asks much.
    #[cold]
    pub fn asks_little(&self, id: Option<SessionId>) -> bool {
        let session = id.and_then(|id| self.of(id));
        session.is_some_and(|session| session.in_flight <= LITTLE_IN_FLIGHT)
    }

    /// Forgets a session; returns what it was.
    pub fn close(&mut self, id: SessionId) -> Option<Session> {
        self.of(id)?;
        self.forget_frame(id);
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

    /// Notes what a batch left unread: whether a frame has begun, and since when. `progressed` if
    /// frames before it were finished.
    #[inline]
    pub fn note_partial(&mut self, id: SessionId, partial: bool, progressed: bool, now: Instant) {
        let Some(session) = self.of(id) else { return };
        if partial && session.partial_since.is_some() && !progressed {
            return;
        }
        if session.partial_since.is_some() {
            self.forget_frame(id);
        }
        if partial {
            self.begin_frame(id, now);
        }
    }

    /// Appends the session to the list of unfinished frames: `now` is not before any in it.
    fn begin_frame(&mut self, id: SessionId, now: Instant) {
        let last = self.frames.map(|(_, last)| last);
        let Some(session) = self.of_mut(id) else { return };
        session.partial_since = Some(now);
        (session.frame_before, session.frame_behind) = (last, None);
        if let Some(before) = last.and_then(|slot| self.at_slot(slot)) {
            before.frame_behind = Some(id.slot);
        }
        self.frames = Some((self.frames.map_or(id.slot, |(first, _)| first), id.slot));
    }

    /// Takes the session out of the list of unfinished frames, if it is in it.
    pub fn forget_frame(&mut self, id: SessionId) {
        let Some(session) = self.of_mut(id) else { return };
        if session.partial_since.take().is_none() {
            return;
        }
        let (before, behind) = (session.frame_before.take(), session.frame_behind.take());
        if let Some(neighbour) = before.and_then(|slot| self.at_slot(slot)) {
            neighbour.frame_behind = behind;
        }
        if let Some(neighbour) = behind.and_then(|slot| self.at_slot(slot)) {
            neighbour.frame_before = before;
        }
        self.frames = self.frames.and_then(|(first, last)| {
            let first = if before.is_none() { behind } else { Some(first) };
            let last = if behind.is_none() { before } else { Some(last) };
            first.zip(last)
        });
    }

    /// A session whose frame has been unfinished for `limit`; it is told once.
    pub fn overdue_frame(&mut self, limit: Duration, now: Instant) -> Option<SessionId> {
        let (slot, since) = self.oldest_frame()?;
        if since.after(limit) > now {
            return None;
        }
        let generation = self.at_slot(slot)?.generation;
        let id = SessionId { slot, generation };
        self.forget_frame(id);
        Some(id)
    }

    fn oldest_frame(&self) -> Option<(u32, Instant)> {
        let (slot, _) = self.frames?;
        let session = self.table.get(slot as usize)?.as_ref()?;
        Some((slot, session.partial_since?))
    }

    fn at_slot(&mut self, slot: u32) -> Option<&mut Session> {
        self.table.get_mut(slot as usize)?.as_mut()
    }

    /// Watches an acquirer session for idleness.
    pub fn watch_idle(&mut self, id: SessionId, now: Instant) {
        self.idle.push_back((id, now));
    }

    /// A watched session that has been silent for `limit`, or at most an eighth longer, with
    /// nothing in flight.
    pub fn overdue_idle(&mut self, limit: Duration, now: Instant) -> Option<SessionId> {
        while let Some((id, looked_at)) = self.idle.front().copied() {
            if looked_at.after(limit / IDLE_LOOKS) > now {
                return None;
            }
            self.idle.pop_front();
            let Some(session) = self.of(id) else { continue };
            if session.in_flight == 0 && session.heard_at.after(limit) <= now {
                return Some(id);
            }
            self.idle.push_back((id, now));
        }
        None
    }

    /// When one of the two must next be looked at.
    #[inline]
    pub fn next_deadline(&self, frame: Duration, idle: Duration) -> Option<Instant> {
        let frame = self.oldest_frame().map(|(_, since)| since.after(frame));
        let idle = self.idle.front().map(|(_, looked_at)| looked_at.after(idle / IDLE_LOOKS));
        match (frame, idle) {
            (Some(frame), Some(idle)) => Some(frame.min(idle)),
            (one, other) => one.or(other),
        }
    }
}

/// How often a session is looked at in the time it may be silent.
const IDLE_LOOKS: u32 = 8;

/// How long the other side may take to answer an 0800.
pub const NETWORK_ANSWER_DEADLINE: Duration = Duration::from_secs(10);

const _: () = assert!(limits::SESSIONS_MAX <= u32::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        assert_eq!(sessions.next_deadline(LIMIT, LIMIT), Some(at(150)));
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
    fn a_later_frame_of_another_session_hides_nobody() {
        let mut sessions = opened(2);
        sessions.note_partial(id(0), true, false, at(0));
        sessions.note_partial(id(0), true, true, at(10));
        sessions.note_partial(id(1), true, false, at(95));
        assert_eq!(sessions.overdue_frame(LIMIT, at(100)), None);
        assert_eq!(sessions.overdue_frame(LIMIT, at(110)), Some(id(0)));
        assert_eq!(sessions.overdue_frame(LIMIT, at(195)), Some(id(1)));
    }

    proptest! {
        /// Against a table that is searched in full each time.
        #[test]
        fn frames_expire_like_a_table_of_first_bytes(
            steps in prop::collection::vec((0u32..6, 0u8..5, 0u64..60), 1..120)
        ) {
            let mut sessions = opened(6);
            let mut model: Vec<Option<u64>> = vec![None; 6];
            let mut now = 0;
            for (slot, step, passed) in steps {
                now += passed;
                let place = slot as usize;
                let known = sessions.of(id(slot)).is_some();
                match step {
                    0 | 1 => {
                        sessions.note_partial(id(slot), true, step == 1, at(now));
                        if known && (step == 1 || model[place].is_none()) {
                            model[place] = Some(now);
                        }
                    }
                    2 => {
                        sessions.note_partial(id(slot), false, true, at(now));
                        model[place] = None;
                    }
                    3 => {
                        sessions.close(id(slot));
                        model[place] = None;
                    }
                    _ => {}
                }
                let mut overdue = Vec::new();
                while let Some(id) = sessions.overdue_frame(LIMIT, at(now)) {
                    overdue.push(id.slot as usize);
                }
                overdue.sort_unstable();
                let mut expected: Vec<usize> = (0..6)
                    .filter(|place| model[*place].is_some_and(|since| since + 100 <= now))
                    .collect();
                expected.iter().for_each(|place| model[*place] = None);
                expected.sort_unstable();
                prop_assert_eq!(overdue, expected);
                let oldest = model.iter().flatten().min().map(|since| at(since + 100));
                prop_assert_eq!(sessions.next_deadline(LIMIT, LIMIT), oldest);
            }
        }
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
        assert_eq!(sessions.overdue_idle(LIMIT, at(173)), Some(id(1)));
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
