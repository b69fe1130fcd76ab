//! A connection: the task that waits for its socket, and how bytes get in and out.
//!
//! The task holds nothing but a handle; socket and rest of a frame stand in the session table.
//! Reading hands everything there is to the core at once. Writing is done by the end of the turn;
//! only when the kernel takes no more does this task wait for room and go on. Both go through
//! [`Worker::write`], on one thread, from the front of one lane, and neither is ever cancelled: no
//! half frame is followed by another frame.

use std::cell::RefCell;
use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::Core;
use super::sessions::{Inflow, Origin, Wire};
use super::worker::{CARRY_BYTES_MAX, Loss, Worker};
use crate::base::ids::SessionId;
use crate::switch::event::Event;
use crate::switch::outbox::CloseCause;

/// Completes when the session is gone.
#[derive(Debug)]
pub(super) struct Connection<C> {
    worker: Rc<RefCell<Worker<C>>>,
    session: SessionId,
}

impl<C> Connection<C> {
    pub(super) fn new(worker: Rc<RefCell<Worker<C>>>, session: SessionId) -> Self {
        Self { worker, session }
    }
}

impl<C: Core> Future for Connection<C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.worker.borrow_mut().poll_session(self.session, cx)
    }
}

impl<C: Core> Worker<C> {
    /// Goes on writing if the lane is stuck, and reads what is there.
    fn poll_session(&mut self, id: SessionId, cx: &mut Context<'_>) -> Poll<()> {
        let Some(session) = self.sessions.at(id) else { return Poll::Ready(()) };
        if session.waker.is_none() {
            session.waker = Some(cx.waker().clone());
        }
        if session.stalled_by.is_some() {
            self.write(id);
        }
        loop {
            match ready!(self.poll_read(id, cx)) {
                Reading::More => {}
                Reading::Later => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Reading::Gone => return Poll::Ready(()),
            }
        }
    }

    /// Reads once and hands over what came. Waits if there is nothing or nothing is wanted.
    fn poll_read(&mut self, id: SessionId, cx: &mut Context<'_>) -> Poll<Reading> {
        let Some(session) = self.sessions.at(id) else { return Poll::Ready(Reading::Gone) };
        if !matches!(session.inflow, Inflow::Open | Inflow::Discarded) {
            return Poll::Pending;
        }
        let discarded = session.inflow == Inflow::Discarded;
        if session.origin == Origin::Accepted
            && self.outbox.backlog_bytes(id) > self.parts.bounds.outbox_bytes / PAUSE_SHARE
        {
            session.inflow = Inflow::Paused;
            return Poll::Pending;
        }
        let Wire::Socket(stream) = &mut session.wire else { return Poll::Pending };
        let mut room = ReadBuf::new(&mut self.buffer[CARRY_BYTES_MAX..]);
        let outcome = ready!(Pin::new(stream).poll_read(cx, &mut room));
        let (count, full) = (room.filled().len(), room.remaining() == 0);
        match outcome {
            Ok(()) if discarded && count > 0 => {}
            Ok(()) if discarded => self.lose(id, Loss::Closed(CloseCause::Drained)),
            Ok(()) if count > 0 => self.receive(id, count),
            Ok(()) => self.end(id),
            Err(error) => self.lose(id, Loss::Error(error.kind())),
        }
        // A full buffer means that there is more; others get their turn first.
        Poll::Ready(if full { Reading::Later } else { Reading::More })
    }

    /// Hands the `count` bytes just read to the core, behind the rest of what was read before.
    pub(super) fn receive(&mut self, id: SessionId, count: usize) {
        let now = self.now();
        let Some(session) = self.sessions.at(id) else { return };
        let from = CARRY_BYTES_MAX - session.carry.len();
        let to = CARRY_BYTES_MAX + count;
        self.buffer[from..CARRY_BYTES_MAX].copy_from_slice(&session.carry);
        session.carry.clear();
        let bytes = &self.buffer[from..to];
        let taken = self.core.handle(now, Event::Received { session: id, bytes }, &mut self.outbox);
        debug_assert!(taken <= bytes.len(), "no more is taken than there was");
        let rest = bytes.get(taken..).unwrap_or_default();
        if rest.is_empty() {
            if session.carry.capacity() > 0 {
                let carry = std::mem::take(&mut session.carry);
                self.give_carry_back(carry);
            }
        } else if rest.len() <= CARRY_BYTES_MAX {
            if session.carry.capacity() == 0 {
                session.carry = self.carries.pop().unwrap_or_default();
            }
            session.carry.extend_from_slice(rest);
        } else {
            // The core gave the stream up and says so by a command; nothing more is read.
            session.inflow = Inflow::Shut;
        }
    }

    /// The peer sends no more. What it began and did not finish is forgotten.
    pub(super) fn end(&mut self, id: SessionId) {
        let Some(session) = self.sessions.at(id) else { return };
        session.inflow = Inflow::Ended;
        let carry = std::mem::take(&mut session.carry);
        self.give_carry_back(carry);
        self.tell_guests(id, false);
        self.feed(Event::Ended { session: id });
    }

    /// Writes as much of the lane as the kernel takes. If that is not all, the task of the
    /// connection is woken when there is room again.
    pub(super) fn write(&mut self, id: SessionId) {
        let now = self.now().instant;
        let Some(session) = self.sessions.at(id) else { return };
        let Wire::Socket(stream) = &session.wire else { return self.post_frames(id) };
        let mut progress = session.stalled_by.is_none();
        loop {
            let bytes = self.outbox.unwritten(id);
            if bytes.is_empty() {
                session.stalled_by = None;
                return self.written(id);
            }
            match stream.try_write(bytes) {
                Ok(0) => return self.lose(id, Loss::Error(ErrorKind::WriteZero)),
                Ok(count) => {
                    self.outbox.wrote(id, count);
                    progress = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // A session without a task is new: its task will come by.
                    let Some(waker) = &session.waker else { break };
                    if stream.poll_write_ready(&mut Context::from_waker(waker)).is_pending() {
                        break;
                    }
                }
                Err(error) => return self.lose(id, Loss::Error(error.kind())),
            }
        }
        if progress {
            let by = now.after(self.parts.bounds.write_deadline);
            session.stalled_by = Some(by);
            self.watch(id, by);
        }
        self.relieve(id);
    }

    /// Nothing more may be written now. If the lane is empty, a session that waited for that is
    /// closed.
    fn written(&mut self, id: SessionId) {
        let Some(session) = self.sessions.at(id) else { return };
        if let Some((cause, _)) = session.closing
            && self.outbox.backlog_bytes(id) == 0
        {
            return self.close_written(id, cause);
        }
        self.relieve(id);
    }

    /// The lane is shorter: reads again from a peer that has taken enough of its answers, and
    /// tells the workers that send through the session.
    fn relieve(&mut self, id: SessionId) {
        let Some(session) = self.sessions.at(id) else { return };
        if let Some(load) = &session.load {
            load.queue(self.outbox.backlog_bytes(id));
        }
        let few = self.parts.bounds.outbox_bytes / PAUSE_SHARE / 2;
        if session.inflow == Inflow::Paused && self.outbox.backlog_bytes(id) < few {
            session.inflow = Inflow::Open;
            session.wake();
        }
    }
}

/// What reading once has shown.
enum Reading {
    /// There may be more.
    More,
    /// There is more, and others wait.
    Later,
    /// The session is gone.
    Gone,
}

/// The share of a full lane at which we stop reading what an acquirer asks; at half of it we read
/// on.
const PAUSE_SHARE: usize = 4;
