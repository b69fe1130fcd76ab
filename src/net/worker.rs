//! A worker: one thread's switch, its outbox and its sessions.
//!
//! Everything that happens to the core passes through here. The first event of a turn reads the
//! clock and schedules the end of the turn, which is queued behind whatever is ready already; so a
//! turn costs one clock reading and one write per dirty session, however many messages it holds.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::task::Waker;

use tokio::task::AbortHandle;

use super::Core;
use super::archive::Archive;
use super::clock::Clock;
use super::mail::{Commons, Door, Mail};
use super::notice::{Notice, Notices};
use super::sessions::{Inflow, Origin, Session, Sessions, Wire};
use super::sharing::Offers;
use super::shell::Make;
use super::store::Store;
use crate::base::ids::{LinkId, SessionId, WorkerId};
use crate::base::limits::{self, Bounds};
use crate::base::map::Map;
use crate::base::time::{Instant, Now};
use crate::switch::batch::Batch;
use crate::switch::decision::Decision;
use crate::switch::event::{Event, Storage};
use crate::switch::outbox::{CloseCause, Outbox};

/// What a worker is made of, apart from its switch.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) id: WorkerId,
    pub(super) clock: Clock,
    pub(super) commons: Arc<Commons>,
    pub(super) notices: Notices,
    pub(super) bounds: Bounds,
    pub(super) drain_deadline: std::time::Duration,
    pub(super) tap: Option<SyncSender<Decision>>,
}

/// The state of a worker thread. Tasks borrow it for as long as they run, never across a wait.
#[derive(Debug)]
pub(super) struct Worker<C> {
    pub(super) parts: Parts,
    pub(super) core: C,
    pub(super) outbox: Outbox,
    pub(super) sessions: Sessions,
    pub(super) offers: Offers,
    /// Sessions without a socket, for connections of other workers.
    pub(super) guests: Map<(WorkerId, SessionId), SessionId>,
    pub(super) phase: Phase,
    /// One for all sessions: what is read is handled before the next session is read.
    pub(super) buffer: Box<[u8]>,
    /// Buffers for the beginnings of frames.
    pub(super) carries: Vec<Vec<u8>>,
    /// Set while a turn is open.
    pub(super) now: Option<Now>,
    /// Wakes the end of the turn.
    pub(super) turn: Option<Waker>,
    /// Wakes the task that keeps the worker awake.
    pub(super) spinner: Option<Waker>,
    /// Acquirers to be written to at the end of the turn, kept for its room.
    pub(super) acquirers_dirty: Vec<SessionId>,
    /// Turns ended so far.
    pub(super) turns: u64,
    /// Sessions whose peer takes nothing at present (and some that no longer belong here).
    pub(super) stalled: Vec<SessionId>,
    /// Earliest moment at which a stalled session is to be closed.
    pub(super) stalled_by: Option<Instant>,
    /// Mail that found its mailbox full, per worker, and sessions that wait for such a mailbox.
    pub(super) unposted: Vec<VecDeque<Mail>>,
    pub(super) unsent: Vec<SessionId>,
    pub(super) retry_at: Option<Instant>,
    /// Mails read in the turn that is open.
    pub(super) mails_read: usize,
    /// Workers to be rung up when the turn ends: a bit each.
    pub(super) rings: u64,
    /// Where records go, what it takes, and batches that it did not take yet.
    pub(super) store: Option<Box<dyn Store>>,
    pub(super) storage: Storage,
    pub(super) unstored: VecDeque<Batch>,
    /// What matters of old batches was put on record again, and that is not handed in yet.
    pub(super) noting: bool,
    /// Who looks older transactions up.
    pub(super) archive: Option<Box<dyn Archive>>,
    /// Tasks that let new connections in.
    pub(super) doormen: Vec<AbortHandle>,
}

/// Where a worker is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// At work.
    Running,
    /// Finishing what was accepted, at most until `by`; `settled` once nothing is left.
    Draining { by: Instant, settled: bool },
    /// Waiting for peers to see the end of their connection.
    Leaving { by: Instant },
    /// Nothing more to do.
    Left,
}

/// Why a session ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Loss {
    /// By something that happened to the connection.
    Error(std::io::ErrorKind),
    /// By our decision.
    Closed(CloseCause),
}

impl<C: Core> Worker<C> {
    pub(super) fn new(parts: Parts, made: Make<C>) -> Self {
        let Make { core, outbox, mut store, mut archive } = made;
        if let Some(store) = &mut store {
            let (commons, id) = (Arc::clone(&parts.commons), parts.id);
            store.on_progress(Box::new(move || commons.door(id).bell.notify_one()));
        }
        if let Some(archive) = &mut archive {
            let (commons, id) = (Arc::clone(&parts.commons), parts.id);
            archive.on_answer(Box::new(move || commons.door(id).bell.notify_one()));
        }
        let workers = parts.commons.doors().len();
        Self {
            core,
            outbox,
            store,
            archive,
            storage: Storage::default(),
            unstored: VecDeque::new(),
            noting: false,
            sessions: Sessions::default(),
            offers: Offers::default(),
            guests: Map::default(),
            phase: Phase::Running,
            buffer: vec![0; CARRY_BYTES_MAX + limits::READ_BYTES].into_boxed_slice(),
            carries: Vec::new(),
            now: None,
            turn: None,
            spinner: None,
            acquirers_dirty: Vec::new(),
            turns: 0,
            stalled: Vec::new(),
            stalled_by: None,
            unposted: std::iter::repeat_with(VecDeque::new).take(workers).collect(),
            unsent: Vec::new(),
            retry_at: None,
            mails_read: 0,
            rings: 0,
            doormen: Vec::new(),
            parts,
        }
    }

    /// Opens a turn, if none is open, and tells its time.
    #[inline]
    pub(super) fn now(&mut self) -> Now {
        if let Some(now) = self.now {
            return now;
        }
        let now = self.parts.clock.now();
        self.now = Some(now);
        if let Some(turn) = &self.turn {
            turn.wake_by_ref();
        }
        now
    }

    /// Hands an event that carries no bytes to the core.
    pub(super) fn feed(&mut self, event: Event<'_>) {
        let now = self.now();
        self.core.handle(now, event, &mut self.outbox);
    }

    /// Takes a session on. The core may write to it at once.
    pub(super) fn open(&mut self, link: LinkId, wire: Wire, origin: Origin) -> SessionId {
        let session = self.sessions.insert(Session::new(link, wire, origin));
        self.outbox.open(session);
        let shared = origin == Origin::Shared;
        if !shared {
            let worker = self.parts.id;
            self.parts.notices.push(Notice::Connected { worker, link, session });
        }
        self.feed(Event::Opened { session, link, shared });
        session
    }

    /// Ends a session, whatever is still in its lane.
    pub(super) fn lose(&mut self, id: SessionId, loss: Loss) {
        self.tell_guests(id, true);
        let Some(mut session) = self.sessions.remove(id) else { return };
        session.wake();
        self.give_carry_back(std::mem::take(&mut session.carry));
        if session.origin != Origin::Shared {
            self.notify_loss(id, session.link, loss);
        }
        if session.origin == Origin::Accepted {
            self.door().acquirers.fetch_sub(1, Ordering::Relaxed);
        }
        if session.lent {
            self.recall(id);
        }
        self.offers.returned(id);
        self.guest_left(&session.wire);
        self.feed(Event::Closed { session: id });
        self.outbox.close(id);
    }

    fn notify_loss(&self, session: SessionId, link: LinkId, loss: Loss) {
        let worker = self.parts.id;
        self.parts.notices.push(match loss {
            Loss::Error(error) => Notice::Lost { worker, link, session, error },
            Loss::Closed(cause) => Notice::Closed { worker, link, session, cause },
        });
    }

    /// Ends a session as soon as its lane is written.
    pub(super) fn close(&mut self, id: SessionId, cause: CloseCause) {
        let by = self.now().instant.after(self.parts.bounds.write_deadline);
        let Some(session) = self.sessions.at(id) else { return };
        session.closing = Some((cause, by));
        session.inflow = Inflow::Shut;
        if self.outbox.backlog_bytes(id) == 0 {
            self.close_written(id, cause);
        } else {
            self.watch(id, by);
        }
    }

    /// Ends a session whose lane is empty.
    pub(super) fn close_written(&mut self, id: SessionId, cause: CloseCause) {
        if cause == CloseCause::Drained {
            self.see_out(id);
        } else {
            self.lose(id, Loss::Closed(cause));
        }
    }

    /// Puts a session on the list of those that have until `by` to take bytes.
    pub(super) fn watch(&mut self, id: SessionId, by: Instant) {
        let Some(session) = self.sessions.at(id) else { return };
        if !std::mem::replace(&mut session.watched, true) {
            self.stalled.push(id);
        }
        self.stalled_by = Some(self.stalled_by.map_or(by, |earliest| earliest.min(by)));
    }

    pub(super) fn door(&self) -> &Door {
        self.parts.commons.door(self.parts.id)
    }

    pub(super) fn give_carry_back(&mut self, mut carry: Vec<u8>) {
        if carry.capacity() > 0 && self.carries.len() < CARRIES_MAX {
            carry.clear();
            self.carries.push(carry);
        }
    }
}

/// Room in front of what is read for the beginning of a frame read before: twice the longest.
pub(super) const CARRY_BYTES_MAX: usize = 2 * limits::FRAME_BYTES_MAX;

/// Spare buffers for beginnings of frames: 2 MiB at most.
const CARRIES_MAX: usize = 256;
