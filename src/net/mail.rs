//! Between workers: a bounded mailbox each, a bell, and nothing else.
//!
//! A worker rings another one's bell at most once per turn, however much it mailed. Buffers that
//! were read go back to where they came from, so mailing allocates nothing once it is warm.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam::queue::ArrayQueue;
use tokio::sync::Notify;

use super::guests::Visit;
use crate::base::ids::{LinkId, SessionId, WorkerId};
use crate::risk::Rules;
use crate::routing::RouteTable;
use crate::switch::outbox::Told;

/// What all workers of a shell can reach.
#[derive(Debug)]
pub(super) struct Commons {
    doors: Box<[Door]>,
    /// What is to be finished before anyone may leave: workers that have something left to do, and
    /// mails that were not read, which may ask for an answer or be one.
    unsettled: AtomicUsize,
    /// Set once nothing was left.
    finished: AtomicBool,
}

/// How a worker is reached by others.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) mail: ArrayQueue<Mail>,
    /// Room for one: the newest table wins.
    pub(super) tables: ArrayQueue<Tables>,
    /// Empty buffers coming home.
    pub(super) spent: ArrayQueue<Vec<u8>>,
    pub(super) bell: Notify,
    /// Acquirer sessions, those on their way included.
    pub(super) acquirers: AtomicUsize,
    pub(super) draining: AtomicBool,
}

/// Routes, and the rules that name their networks.
type Tables = (Arc<RouteTable>, Option<Arc<Rules>>);

/// What workers tell each other.
#[derive(Debug)]
pub(super) enum Mail {
    /// A connection that the acceptor assigned to you.
    Accepted { socket: TcpStream, link: LinkId, peer: SocketAddr },
    /// You may send through my session.
    Lend { owner: WorkerId, session: SessionId, link: LinkId, load: Arc<Load> },
    /// You may not any more.
    Recall { owner: WorkerId, session: SessionId },
    /// Frames to be sent through your session.
    Frames { from: WorkerId, session: SessionId, bytes: Vec<u8> },
    /// A partner's frames that arrived on my session for you; it may be lent to you or not.
    Relay { owner: WorkerId, link: LinkId, bytes: Vec<u8> },
    /// Requests on my connection that you remember.
    Visit { visit: Visit, bytes: Vec<u8> },
    /// Answers for your connection; behind which of their bytes approvals end, and their numbers.
    Answers { from: WorkerId, session: SessionId, bytes: Vec<u8>, approvals: Vec<(usize, u64)> },
    /// What became of an approval of yours.
    Told { told: Told },
    /// The peer of my connection sends no more, or is gone.
    GuestEnds { owner: WorkerId, session: SessionId, gone: bool },
    /// I have nothing more for your connection.
    GuestLeft { worker: WorkerId, session: SessionId },
}

/// Bytes that wait for a lent session: what bounds the workers that send through it.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// In the owner's mailbox.
    mailed: AtomicUsize,
    /// In the owner's lane, as of its last turn.
    queued: AtomicUsize,
}

impl Commons {
    pub(super) fn new(workers: usize) -> Self {
        let doors = std::iter::repeat_with(Door::new).take(workers).collect();
        let finished = AtomicBool::new(false);
        Self { doors, unsettled: AtomicUsize::new(workers), finished }
    }

    pub(super) fn door(&self, worker: WorkerId) -> &Door {
        &self.doors[usize::from(worker.0)]
    }

    pub(super) fn doors(&self) -> &[Door] {
        &self.doors
    }

    pub(super) fn workers(&self) -> impl Iterator<Item = WorkerId> {
        (0..self.doors.len()).map(|place| WorkerId(place as u8))
    }

    /// Mails, unless the mailbox is full.
    pub(super) fn push(&self, to: WorkerId, mail: Mail) -> Result<(), Mail> {
        // It counts before it can be read.
        self.unsettled.fetch_add(1, Ordering::AcqRel);
        self.door(to).mail.push(mail).inspect_err(|_| self.is_done(1))
    }

    /// One more worker has nothing left to finish, or so many mails were read: what they made to
    /// do was done, or counts by now.
    pub(super) fn is_done(&self, count: usize) {
        if count > 0 && self.unsettled.fetch_sub(count, Ordering::AcqRel) == count {
            self.doors.iter().for_each(|door| door.bell.notify_one());
        }
    }

    /// A worker that had nothing left to finish has something again.
    pub(super) fn unsettle(&self) {
        self.unsettled.fetch_add(1, Ordering::AcqRel);
    }

    /// True from the first moment at which nothing was left: what comes later, when some may have
    /// left, is nobody's to finish.
    pub(super) fn has_finished(&self) -> bool {
        if self.unsettled.load(Ordering::Acquire) == 0 {
            self.finished.store(true, Ordering::Release);
        }
        self.finished.load(Ordering::Acquire)
    }
}

impl Door {
    fn new() -> Self {
        Self {
            mail: ArrayQueue::new(MAILS_MAX),
            tables: ArrayQueue::new(1),
            spent: ArrayQueue::new(SPENT_MAX),
            bell: Notify::new(),
            acquirers: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
        }
    }
}

impl Load {
    pub(super) fn bytes(&self) -> usize {
        self.mailed.load(Ordering::Relaxed) + self.queued.load(Ordering::Relaxed)
    }

    pub(super) fn mail(&self, count: usize) {
        self.mailed.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn receive(&self, count: usize) {
        self.mailed.fetch_sub(count, Ordering::Relaxed);
    }

    pub(super) fn queue(&self, count: usize) {
        self.queued.store(count, Ordering::Relaxed);
    }
}

/// Mails waiting for one worker: one per peer worker, session and turn. A worker that is this far
/// behind is not helped by more.
const MAILS_MAX: usize = 1024;

/// Empty buffers on their way home.
const SPENT_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Mail {
        Mail::Told { told: Told { number: 1, handed: true } }
    }

    #[test]
    fn nobody_leaves_while_mail_is_under_way() {
        let commons = Commons::new(2);
        commons.is_done(1);
        // The other one passes something on, and has nothing left to do itself then.
        assert!(commons.push(WorkerId(0), told()).is_ok());
        commons.is_done(1);
        assert!(!commons.has_finished(), "a mail is not read");
        // It makes something to do: that counts before the mail is done with.
        assert!(commons.door(WorkerId(0)).mail.pop().is_some());
        commons.unsettle();
        commons.is_done(1);
        assert!(!commons.has_finished(), "what it asked is not answered");
        commons.is_done(1);
        assert!(commons.has_finished());
        assert!(commons.push(WorkerId(1), told()).is_ok());
        assert!(commons.has_finished(), "some may have left");
    }

    #[test]
    fn what_a_full_mailbox_refuses_is_not_under_way() {
        let commons = Commons::new(1);
        while commons.push(WorkerId(0), told()).is_ok() {}
        commons.is_done(MAILS_MAX + 1);
        assert!(commons.has_finished());
    }
}
