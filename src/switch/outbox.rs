//! What the core wants done: bytes per session, and commands.
//!
//! A lane collects the bytes of one session; the shell writes each dirty lane once per batch. The
//! lane is a FIFO of whole frames and one writer empties it, so half a frame is never followed by
//! another frame. Buffers are lent from a pool: an idle session holds none, and after warm-up
//! nothing is allocated.

use std::collections::VecDeque;

use crate::base::ids::{LinkId, SessionId, WorkerId};

use super::batch::Batch;
pub use super::cause::CloseCause;
use super::decision::Decision;
use super::lane::Lane;
use super::older::Question;
use super::record::Records;
pub use super::told::Told;
use super::told::foreign;

/// Lanes, commands and decisions of one worker.
#[derive(Debug)]
pub struct Outbox {
    lanes: Vec<Lane>,
    dirty: Vec<SessionId>,
    spare: Vec<Vec<u8>>,
    relays: Vec<Relay>,
    /// What is to be looked up; each is answered by [`super::Event::Looked`]. The shell drains it.
    pub questions: Vec<Question>,
    /// What else is to be done, in order. The shell drains it after each batch.
    pub commands: Vec<Command>,
    /// What must survive, of the turn under way.
    pub records: Records,
    /// The batch that what is recorded now will be part of.
    batch: u64,
    /// Batches of this turn that are complete.
    sealed: VecDeque<Batch>,
    /// Lanes with bytes that wait for this batch, and for any.
    gated: Vec<SessionId>,
    held: Vec<SessionId>,
    /// Nothing leaves any more.
    stopped: bool,
    /// Numbers of approvals that the kernel has taken whole since the core last looked.
    pub(super) handed: Vec<u64>,
    /// The same of approvals that other workers remember.
    pub(super) told: Vec<(WorkerId, Told)>,
    /// What became of each request, if the tap is on. The shell drains it after each batch.
    pub decisions: Vec<Decision>,
}

/// Something to do that is not bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Close the session once its lane is written (or at its write deadline).
    Close {
        /// Which session.
        session: SessionId,
        /// Why, for counters and the log.
        cause: CloseCause,
    },
    /// The partner session is signed on (or no longer): tell the workers that share it.
    Share {
        /// Which session.
        session: SessionId,
        /// True if requests may be sent on it.
        up: bool,
    },
    /// The partner is left alone because it does not answer, or asked again: tell the operator.
    Note {
        /// Which partner.
        link: LinkId,
        /// True if it is asked again.
        is_asked: bool,
    },
}

/// Frames that arrived here but belong to another worker.
#[derive(Debug)]
pub struct Relay {
    /// The partner session they arrived on.
    pub session: SessionId,
    /// The worker whose STAN they carry.
    pub worker: WorkerId,
    /// Whole frames, as received.
    pub bytes: Vec<u8>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            lanes: Vec::new(),
            dirty: Vec::new(),
            spare: Vec::new(),
            relays: Vec::new(),
            questions: Vec::new(),
            commands: Vec::new(),
            records: Records::default(),
            batch: 1,
            sealed: VecDeque::new(),
            gated: Vec::new(),
            held: Vec::new(),
            stopped: false,
            handed: Vec::new(),
            told: Vec::new(),
            decisions: Vec::new(),
        }
    }
}

impl Outbox {
    /// An outbox whose records are kept; `batch` is the number of the first batch.
    pub fn recorded(batch: u64) -> Self {
        let records = Records { on: true, ..Records::default() };
        Self { records, batch, ..Self::default() }
    }

    /// Makes room for `session` and forgets what a former tenant of its slot left.
    pub fn open(&mut self, session: SessionId) {
        let slot = session.slot as usize;
        if slot >= self.lanes.len() {
            self.lanes.resize_with(slot + 1, Lane::default);
        }
        if let Some(lane) = self.lanes.get_mut(slot) {
            let old =
                std::mem::replace(lane, Lane { generation: session.generation, ..Lane::default() });
            self.give_back(old.bytes);
        }
    }

    /// Forgets the bytes of a session that is gone.
    pub fn close(&mut self, session: SessionId) {
        if let Some(lane) = self.lane_mut(session) {
            let bytes = std::mem::take(&mut lane.bytes);
            let generation = lane.generation.wrapping_add(1);
            *lane = Lane { generation, ..Lane::default() };
            self.give_back(bytes);
        }
    }

    /// The buffer to append whole frames for `session` to; marks it dirty. `None` if the session
    /// is gone.
    #[inline]
    pub fn lane(&mut self, session: SessionId) -> Option<&mut Vec<u8>> {
        let lane = self.lanes.get_mut(session.slot as usize)?;
        if lane.generation != session.generation {
            return None;
        }
        if !lane.dirty {
            lane.dirty = true;
            self.dirty.push(session);
        }
        if lane.bytes.capacity() == 0 {
            lane.bytes = self.spare.pop().unwrap_or_default();
        }
        Some(&mut lane.bytes)
    }

    /// The one or the other.
    #[inline]
    pub(super) fn lane_gated(&mut self, session: SessionId, gated: bool) -> Option<&mut Vec<u8>> {
        if gated { self.lane_when_durable(session) } else { self.lane(session) }
    }

    /// The same, for bytes that may leave only when what was recorded with them is durable.
    #[inline]
    pub fn lane_when_durable(&mut self, session: SessionId) -> Option<&mut Vec<u8>> {
        if self.records.on {
            self.gate(session);
        }
        self.lane(session)
    }

    fn gate(&mut self, session: SessionId) {
        let batch = self.batch;
        let Some(lane) = self.lane_mut(session) else { return };
        if lane.gates.back().is_some_and(|(_, waits_for)| *waits_for == batch) {
            return;
        }
        let is_first = lane.gates.is_empty();
        lane.gates.push_back((lane.bytes.len(), batch));
        self.gated.push(session);
        if is_first {
            self.held.push(session);
        }
    }

    /// Shell, at the end of a turn, until `None`: what was recorded in it. Bytes that depend on it
    /// leave when [`Self::durable`] names its number, or that of the last one if nothing was
    /// recorded.
    pub fn seal(&mut self) -> Option<Batch> {
        if let Some(batch) = self.sealed.pop_front() {
            return Some(batch);
        }
        if !self.records.clear.is_empty() {
            return Some(self.close_batch());
        }
        let last = self.batch - 1;
        while let Some(session) = self.gated.pop() {
            let gate = self.lane_mut(session).and_then(|lane| lane.gates.back_mut());
            if let Some((_, waits_for)) = gate {
                *waits_for = (*waits_for).min(last);
            }
        }
        None
    }

    /// The batch that what is recorded now will be part of.
    pub(super) const fn batch(&self) -> u64 {
        self.batch
    }

    /// Begins another batch if what was recorded so far is enough for one.
    pub(super) fn close_full_batch(&mut self) {
        if self.records.clear.len() + self.records.secret.len() > BATCH_BYTES {
            let batch = self.close_batch();
            self.sealed.push_back(batch);
        }
    }

    fn close_batch(&mut self) -> Batch {
        self.gated.clear();
        let (clear, secret) = (self.spare(), self.spare());
        let batch = Batch {
            number: self.batch,
            clear: std::mem::replace(&mut self.records.clear, clear),
            secret: std::mem::replace(&mut self.records.secret, secret),
            urgent: std::mem::take(&mut self.records.urgent),
        };
        self.batch += 1;
        batch
    }

    /// Shell: batches up to `number` are durable; what waited for them may leave.
    pub fn durable(&mut self, number: u64) {
        let mut held = std::mem::take(&mut self.held);
        held.retain(|session| {
            let Some(lane) = self.lane_mut(*session) else { return false };
            let mut released = false;
            while lane.gates.front().is_some_and(|(_, waits_for)| *waits_for <= number) {
                lane.gates.pop_front();
                released = true;
            }
            let still = !lane.gates.is_empty();
            if released && !std::mem::replace(&mut lane.dirty, true) {
                self.dirty.push(*session);
            }
            still
        });
        self.held = held;
    }

    /// Shell: true if some bytes wait for a batch to be durable.
    pub fn is_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// An empty buffer of the pool, to be given back.
    pub(super) fn spare(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Notes that the frame just appended for `session` is the approval of this number.
    #[inline]
    pub fn mark(&mut self, session: SessionId, number: u64) {
        if let Some(lane) = self.lane_mut(session) {
            lane.marks.push_back((lane.bytes.len(), number));
        }
    }

    /// The approvals for `session` that the kernel has not taken whole.
    pub fn unhanded(&mut self, session: SessionId) -> Vec<u64> {
        let Some(lane) = self.lane_mut(session) else { return Vec::new() };
        let mut unhanded: Vec<u64> = lane.marks.drain(..).map(|(_, number)| number).collect();
        unhanded.retain(|mark| match foreign(*mark) {
            Some((worker, number)) => {
                self.told.push((worker, Told { number, handed: false }));
                false
            }
            None => true,
        });
        unhanded
    }

    /// Bytes of `session` that the kernel has not taken.
    #[inline]
    pub fn backlog_bytes(&self, session: SessionId) -> usize {
        self.lanes
            .get(session.slot as usize)
            .filter(|lane| lane.generation == session.generation)
            .map_or(0, |lane| lane.bytes.len() - lane.written)
    }

    /// Where the next byte for `session` will stand, counted from the first it was ever given.
    #[inline]
    pub fn end_of(&self, session: SessionId) -> u64 {
        let lane = self.lanes.get(session.slot as usize);
        lane.map_or(0, |lane| lane.passed + lane.bytes.len() as u64)
    }

    /// Takes the `count` bytes from place `from` on back, so that they never leave. False if the
    /// kernel, or another worker, has taken one of them.
    #[cold]
    pub fn withdraw(&mut self, session: SessionId, from: u64, count: u32) -> bool {
        let Some(lane) = self.lane_mut(session) else { return false };
        let was_taken = !lane.withdraw(from, count as usize);
        if lane.is_spent() {
            let bytes = lane.restart();
            self.give_back(bytes);
        }
        !was_taken
    }

    /// Appends a frame for another worker: it arrived on our `session` but answers a request of
    /// `worker`.
    pub fn relay(&mut self, session: SessionId, worker: WorkerId, frame: &[u8]) {
        let open =
            self.relays.iter_mut().find(|relay| relay.session == session && relay.worker == worker);
        if let Some(relay) = open {
            relay.bytes.extend_from_slice(frame);
        } else {
            let mut bytes = self.spare.pop().unwrap_or_default();
            bytes.extend_from_slice(frame);
            self.relays.push(Relay { session, worker, bytes });
        }
    }

    /// Notes what became of a request, if somebody watches; what nobody collects is forgotten.
    pub(super) fn record(&mut self, decision: Decision) {
        if self.decisions.len() < DECISIONS_MAX {
            self.decisions.push(decision);
        }
    }

    /// Nothing can be put on record any more, so nothing more is said, by any session.
    #[cold]
    pub(super) const fn stop(&mut self) {
        self.stopped = true;
    }

    /// Shell: the next session with bytes to write, once per batch each.
    pub fn next_dirty(&mut self) -> Option<SessionId> {
        if self.stopped {
            return None;
        }
        while let Some(session) = self.dirty.pop() {
            if let Some(lane) = self.lane_mut(session) {
                lane.dirty = false;
                if lane.released() > lane.written {
                    return Some(session);
                }
            }
        }
        None
    }

    /// Shell: true if some lane was appended to since it was last written.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty() && !self.stopped
            || !self.relays.is_empty()
            || !self.questions.is_empty()
            || !self.commands.is_empty()
    }

    /// Shell: what is to be written to `session`.
    pub fn unwritten(&self, session: SessionId) -> &[u8] {
        self.lanes
            .get(session.slot as usize)
            .filter(|lane| lane.generation == session.generation && !self.stopped)
            .and_then(|lane| lane.bytes.get(lane.written..lane.released()))
            .unwrap_or(&[])
    }

    /// Shell: the kernel took `count` bytes of `session`. An emptied buffer goes back to the pool.
    pub fn wrote(&mut self, session: SessionId, count: usize) {
        let Self { lanes, handed, told, .. } = self;
        let lane = lanes.get_mut(session.slot as usize);
        let Some(lane) = lane.filter(|lane| lane.generation == session.generation) else { return };
        lane.written += count;
        debug_assert!(count == 0 || lane.written <= lane.released(), "no more than was there");
        while let Some(&(end, number)) = lane.marks.front() {
            if end > lane.written {
                break;
            }
            lane.marks.pop_front();
            match foreign(number) {
                None => handed.push(number),
                Some((worker, number)) => told.push((worker, Told { number, handed: true })),
            }
        }
        lane.skip_withdrawn();
        if lane.is_spent() {
            let bytes = lane.restart();
            self.give_back(bytes);
        }
    }

    /// Shell: takes what may leave of a shared session, to be mailed to the worker that owns the
    /// socket.
    pub fn take(&mut self, session: SessionId) -> Vec<u8> {
        let spare = self.spare();
        match self.lane_mut(session) {
            Some(lane) => lane.take(spare),
            None => spare,
        }
    }

    /// Shell: frames for other workers.
    pub fn next_relay(&mut self) -> Option<Relay> {
        self.relays.pop()
    }

    /// Shell: a used buffer for the pool.
    pub fn give_back(&mut self, mut bytes: Vec<u8>) {
        if bytes.capacity() > 0 && bytes.capacity() <= BUFFER_BYTES_KEPT && self.spare.len() < 1024
        {
            bytes.clear();
            self.spare.push(bytes);
        }
    }

    pub(super) fn lane_mut(&mut self, session: SessionId) -> Option<&mut Lane> {
        self.lanes
            .get_mut(session.slot as usize)
            .filter(|lane| lane.generation == session.generation)
    }
}

/// Records of so many bytes are a batch. What one read can cause is far below what a journal takes
/// at once.
const BATCH_BYTES: usize = 512 * 1024;

/// Decisions kept between two batches.
const DECISIONS_MAX: usize = 4096;

/// Buffers that grew beyond this are freed, so that one burst does not hold memory for ever.
const BUFFER_BYTES_KEPT: usize = 512 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn session(slot: u32, generation: u32) -> SessionId {
        SessionId { slot, generation }
    }

    #[test]
    fn bytes_leave_in_order_and_once() {
        let mut outbox = Outbox::default();
        outbox.open(session(3, 1));
        outbox.lane(session(3, 1)).expect("open").extend_from_slice(b"one");
        outbox.lane(session(3, 1)).expect("open").extend_from_slice(b"two");
        assert_eq!(outbox.next_dirty(), Some(session(3, 1)));
        assert_eq!(outbox.next_dirty(), None);
        assert_eq!(outbox.unwritten(session(3, 1)), b"onetwo");
        outbox.wrote(session(3, 1), 4);
        assert_eq!(outbox.unwritten(session(3, 1)), b"wo");
        assert_eq!(outbox.backlog_bytes(session(3, 1)), 2);
        outbox.wrote(session(3, 1), 2);
        assert_eq!(outbox.backlog_bytes(session(3, 1)), 0);
    }

    #[test]
    fn a_slots_next_tenant_gets_nothing_of_its_predecessor() {
        let mut outbox = Outbox::default();
        outbox.open(session(0, 1));
        outbox.lane(session(0, 1)).expect("open").extend_from_slice(b"secret");
        outbox.open(session(0, 2));
        assert!(outbox.lane(session(0, 1)).is_none());
        assert_eq!(outbox.unwritten(session(0, 2)), b"");
        assert_eq!(outbox.next_dirty(), None);
        outbox.close(session(0, 2));
        assert!(outbox.lane(session(0, 2)).is_none());
    }

    #[test]
    fn buffers_are_reused() {
        let mut outbox = Outbox::default();
        outbox.open(session(0, 1));
        outbox.lane(session(0, 1)).expect("open").extend_from_slice(&[7; 300]);
        let address = outbox.unwritten(session(0, 1)).as_ptr();
        outbox.wrote(session(0, 1), 300);
        outbox.lane(session(0, 1)).expect("open").extend_from_slice(&[8; 300]);
        assert_eq!(outbox.unwritten(session(0, 1)).as_ptr(), address);
    }

    #[test]
    fn relays_are_collected_per_session_and_worker() {
        let mut outbox = Outbox::default();
        outbox.relay(session(1, 0), WorkerId(1), b"ab");
        outbox.relay(session(1, 0), WorkerId(1), b"cd");
        outbox.relay(session(1, 0), WorkerId(2), b"ef");
        let mut relays: Vec<_> = std::iter::from_fn(|| outbox.next_relay())
            .map(|relay| (relay.worker.0, relay.bytes))
            .collect();
        relays.sort();
        assert_eq!(relays, [(1, b"abcd".to_vec()), (2, b"ef".to_vec())]);
    }
}
