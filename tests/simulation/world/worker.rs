//! A running switch: workers, each with its own core, and what they share: the index of who
//! remembers what, and mail.

use std::collections::{BTreeSet, VecDeque};

use authswitch::switch::bug::Bug;
use authswitch::switch::index::TransactionIndex;
use authswitch::switch::recent::Recent;

use super::mail::Posts;
use super::sharing::Offer;
use super::*;

/// All workers of one life.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) workers: Vec<Worker>,
    pub(super) posts: Posts,
    /// Connections to hosts that are up or about to be.
    pub(super) expected: BTreeSet<(usize, usize)>,
    /// Set once it drains: when it ends at the latest.
    pub(super) leaves_by: Option<u64>,
    /// All workers have finished what they had accepted.
    pub(super) has_finished: bool,
}

/// A worker, as its shell sees it.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(super) switch: Switch,
    pub(crate) outbox: Outbox,
    pub(super) inbox: VecDeque<Input>,
    pub(super) turn_is_due: bool,
    pub(super) alarm_at: u64,
    pub(super) durable: u64,
    pub(super) storage: Storage,
    /// It has taken up its part of what the last life left.
    pub(super) has_resumed: bool,
    pub(super) phase: Phase,
    pub(super) seats: Seats,
    pub(super) offers: Vec<Offer>,
    /// Sessions whose mail found its mailbox full.
    pub(super) unsent: Vec<SessionId>,
}

/// Where a worker is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// It drains, and has nothing more to finish.
    Settled,
    /// Nothing is read or written any more.
    Left,
}

/// The session table of a worker.
#[derive(Debug, Default)]
pub(super) struct Seats {
    generations: Vec<u32>,
    free: Vec<u32>,
    by_slot: BTreeMap<u32, Seat>,
}

/// What a session stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seat {
    /// A connection whose socket is ours.
    Socket(usize),
    /// One of another worker's: of a terminal that was passed on to us, or lent by a partner's
    /// owner.
    Mailbox { owner: usize, theirs: SessionId, is_guest: bool, is_closing: bool },
}

impl Process {
    /// So many workers, none of which has taken up anything yet.
    pub(super) fn new(setup: &Setup, workers: u8, disk: &Disk) -> Self {
        let transactions = Recent::transactions_in(setup.recent_bytes);
        let index = Arc::new(TransactionIndex::new(workers, transactions));
        let worker = |place: u8| {
            let index = Some(Arc::clone(&index));
            let setup = Setup { worker: WorkerId(place), workers, index, ..setup.clone() };
            let last_number = disk.last_number(usize::from(place));
            Worker {
                switch: Switch::new(setup),
                outbox: Outbox::recorded(last_number + 1),
                inbox: VecDeque::new(),
                turn_is_due: false,
                alarm_at: u64::MAX,
                durable: last_number,
                storage: Storage::Ready,
                has_resumed: false,
                phase: Phase::Running,
                seats: Seats::default(),
                offers: Vec::new(),
                unsent: Vec::new(),
            }
        };
        Self {
            workers: (0..workers).map(worker).collect(),
            posts: Posts::default(),
            expected: BTreeSet::new(),
            leaves_by: None,
            has_finished: false,
        }
    }
}

impl Seats {
    pub(super) fn take(&mut self, seat: Seat) -> SessionId {
        let slot = self.free.pop().unwrap_or(self.generations.len() as u32);
        if slot as usize == self.generations.len() {
            self.generations.push(0);
        }
        self.generations[slot as usize] += 1;
        self.by_slot.insert(slot, seat);
        SessionId { slot, generation: self.generations[slot as usize] }
    }

    pub(super) fn free(&mut self, session: SessionId) -> Option<Seat> {
        let seat = self.at(session)?;
        self.by_slot.remove(&session.slot);
        self.free.push(session.slot);
        Some(seat)
    }

    pub(super) fn at(&self, session: SessionId) -> Option<Seat> {
        let is_current = self.generations.get(session.slot as usize) == Some(&session.generation);
        self.by_slot.get(&session.slot).filter(|_| is_current).copied()
    }

    pub(super) fn at_mut(&mut self, session: SessionId) -> Option<&mut Seat> {
        self.at(session)?;
        self.by_slot.get_mut(&session.slot)
    }

    /// The session that has the slot now.
    pub(super) fn next_tenant(&self, session: SessionId) -> SessionId {
        let generation = self.generations.get(session.slot as usize).copied().unwrap_or(0);
        SessionId { generation, ..session }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (SessionId, Seat)> {
        let session = |slot: u32| SessionId { slot, generation: self.generations[slot as usize] };
        self.by_slot.iter().map(move |(slot, seat)| (session(*slot), *seat))
    }

    /// Our session for that of another worker.
    pub(super) fn mailbox_of(&self, owner: usize, theirs: SessionId) -> Option<SessionId> {
        let is_it = |seat: Seat| {
            matches!(seat, Seat::Mailbox { owner: of, theirs: their, .. }
                if (of, their) == (owner, theirs))
        };
        self.all().find(|(_, seat)| is_it(*seat)).map(|(session, _)| session)
    }
}

impl World {
    pub(crate) fn worker(&mut self, worker: usize) -> Option<&mut Worker> {
        self.process.as_mut()?.workers.get_mut(worker)
    }

    /// True if this mistake is planted.
    #[cfg(feature = "planted-bugs")]
    pub(super) fn has(&self, bug: Bug) -> bool {
        self.setup.bug == Some(bug)
    }

    #[cfg(not(feature = "planted-bugs"))]
    pub(super) const fn has(&self, _: Bug) -> bool {
        false
    }

    pub(super) fn workers(&self) -> usize {
        self.process.as_ref().map_or(0, |process| process.workers.len())
    }

    /// What the owner of the connection has to say.
    pub(crate) fn outbox_of(&mut self, id: usize) -> Option<&mut Outbox> {
        let worker = self.connections[id].worker;
        self.worker(worker).map(|worker| &mut worker.outbox)
    }

    pub(crate) fn feed(&mut self, worker: usize, event: Event<'_>) -> usize {
        let now = self.clock();
        let Some(worker) = self.worker(worker) else { return 0 };
        worker.switch.handle(now, event, &mut worker.outbox)
    }

    /// Since when what leaves on the connection may have been made, at the earliest: since it or
    /// anything else inside the switch was on its way out.
    pub(crate) fn inside_since(&self, id: usize) -> u64 {
        let mailed = self.process.as_ref().and_then(|process| process.posts.busy_since());
        let waits = self.connections[id].waits_since;
        [Some(self.now), waits, mailed].into_iter().flatten().min().unwrap_or(self.now)
    }

    /// Something may wait for connections of this worker from now on, or nothing any more.
    pub(super) fn looks_what_waits(&mut self, worker: usize) {
        let Some(process) = &self.process else { return };
        let connection = |(_, seat)| match seat {
            Seat::Socket(id) => Some(id),
            Seat::Mailbox { owner, theirs, .. } => match process.workers[owner].seats.at(theirs) {
                Some(Seat::Socket(id)) => Some(id),
                _ => None,
            },
        };
        let ids: Vec<usize> = process.workers[worker].seats.all().filter_map(connection).collect();
        // What waited may be in the mail now; what waits now may be what was.
        let mailed = process.posts.busy_since();
        for id in ids {
            let waits = self.waits(id);
            let connection = &mut self.connections[id];
            if waits {
                connection.waits_since.get_or_insert(mailed.unwrap_or(self.now));
            } else if mailed.is_none() {
                connection.waits_since = None;
            }
        }
    }

    /// True if any worker has something for the connection.
    fn waits(&self, id: usize) -> bool {
        let Connection { worker: owner, session: theirs, .. } = self.connections[id];
        let Some(process) = &self.process else { return false };
        process.workers.iter().enumerate().any(|(place, worker)| {
            let session = match place == owner {
                true => Some(theirs),
                false => worker.seats.mailbox_of(owner, theirs),
            };
            session.is_some_and(|session| worker.outbox.backlog_bytes(session) > 0)
        })
    }
}
