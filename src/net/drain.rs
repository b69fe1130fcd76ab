//! Draining: what was accepted is answered, nothing new is taken, then the worker leaves.
//!
//! What has arrived when draining begins counts as accepted, so it is read at once; what arrives
//! later is read too, for the core to refuse. A worker that is done waits for the others, who may
//! still use its sessions, and for all mail, which may ask for an answer or be one. Connections are
//! ended with a FIN and read to their end, because closing a socket that holds unread bytes resets
//! it, and a reset can overtake the last answers.

use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::SockRef;

use super::Core;
use super::notice::Notice;
use super::sessions::{Inflow, Origin, Wire};
use super::worker::{CARRY_BYTES_MAX, Loss, Phase, Worker};
use crate::base::ids::SessionId;
use crate::base::time::Instant;
use crate::switch::event::Event;
use crate::switch::outbox::CloseCause;

impl<C: Core> Worker<C> {
    /// Begins to drain if the shell said so.
    pub(super) fn begin_drain_if_told(&mut self) {
        if self.phase != Phase::Running || !self.door().draining.load(Ordering::Acquire) {
            return;
        }
        self.doormen.drain(..).for_each(|doorman| doorman.abort());
        for id in self.sessions.of(Origin::Accepted) {
            self.read_last(id);
        }
        let by = self.now().instant.after(self.parts.drain_deadline);
        self.phase = Phase::Draining { by, settled: false };
        self.feed(Event::Drain);
    }

    /// Reads what has arrived, whether or not the runtime has heard of it.
    fn read_last(&mut self, id: SessionId) {
        for _ in 0..LAST_READS_MAX {
            let Some(session) = self.sessions.at(id) else { return };
            let Wire::Socket(stream) = &session.wire else { return };
            if session.inflow != Inflow::Open {
                return;
            }
            let socket = SockRef::from(stream);
            match (&*socket).read(&mut self.buffer[CARRY_BYTES_MAX..]) {
                Ok(0) => return self.end(id),
                Ok(count) => self.receive(id, count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => return self.lose(id, Loss::Error(error.kind())),
            }
        }
    }

    /// Goes on to the next phase if it is time.
    pub(super) fn step_drain(&mut self, now: Instant) {
        let commons = Arc::clone(&self.parts.commons);
        if let Phase::Draining { by, settled } = self.phase {
            // What was mailed to a worker that had finished makes it begin again.
            let done = self.core.is_drained() && self.is_written();
            match (settled, done) {
                (false, true) => commons.is_done(1),
                (true, false) => commons.unsettle(),
                (true, true) | (false, false) => {}
            }
            self.phase = Phase::Draining { by, settled: done };
        }
        commons.is_done(std::mem::take(&mut self.mails_read));
        match self.phase {
            Phase::Draining { by, settled } => {
                let complete = settled && commons.has_finished();
                if complete || by <= now {
                    self.take_leave(now, complete);
                }
            }
            Phase::Leaving { by } => {
                let rest = self.sessions.sockets();
                if by <= now || rest.is_empty() {
                    rest.into_iter()
                        .for_each(|id| self.lose(id, Loss::Closed(CloseCause::Drained)));
                    self.phase = Phase::Left;
                }
            }
            Phase::Running | Phase::Left => {}
        }
    }

    fn take_leave(&mut self, now: Instant, complete: bool) {
        let worker = self.parts.id;
        self.parts.notices.push(Notice::Drained { worker, complete });
        // Not before: other workers may have asked partners through our sessions until now.
        self.feed(Event::Leave);
        self.flush();
        self.phase = Phase::Leaving { by: now.after(FAREWELL) };
        self.sessions.sockets().into_iter().for_each(|id| self.see_out(id));
        // With no session there is nobody to wait for.
        self.step_drain(now);
    }

    /// Ends our side of a connection; the session ends when the peer has ended its own.
    pub(super) fn see_out(&mut self, id: SessionId) {
        let Some(session) = self.sessions.at(id) else { return };
        if let Wire::Socket(stream) = &session.wire
            && session.inflow != Inflow::Ended
            && SockRef::from(stream).shutdown(Shutdown::Write).is_ok()
        {
            session.inflow = Inflow::Discarded;
            return session.wake();
        }
        self.lose(id, Loss::Closed(CloseCause::Drained));
    }
}

/// Reads of one session when draining begins: more cannot have been waiting in its socket.
const LAST_READS_MAX: usize = 32;

/// How long peers have to answer our FIN.
const FAREWELL: Duration = Duration::from_millis(500);
