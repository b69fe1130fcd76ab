//! What the shell has to say about connections: never about messages.
//!
//! A notice is pushed without waiting. A reader that does not keep up loses notices, which are
//! counted, instead of holding up a worker.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use crate::base::ids::{LinkId, SessionId, WorkerId};
use crate::switch::event::Storage;
use crate::switch::outbox::CloseCause;

/// Something an operator may want to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// A listener accepts connections.
    Listening {
        /// Whose.
        link: LinkId,
        /// Where.
        address: SocketAddr,
    },
    /// A connection was accepted or dialled.
    Connected {
        /// On which worker.
        worker: WorkerId,
        /// Of which link.
        link: LinkId,
        /// Its handle on that worker.
        session: SessionId,
    },
    /// A connection ended by no doing of ours.
    Lost {
        /// On which worker.
        worker: WorkerId,
        /// Of which link.
        link: LinkId,
        /// Its handle on that worker.
        session: SessionId,
        /// What the socket said.
        error: io::ErrorKind,
    },
    /// We closed a connection.
    Closed {
        /// On which worker.
        worker: WorkerId,
        /// Of which link.
        link: LinkId,
        /// Its handle on that worker.
        session: SessionId,
        /// Why.
        cause: CloseCause,
    },
    /// A connection was not taken: too many sessions.
    Refused {
        /// At which listener.
        link: LinkId,
        /// Who called.
        peer: SocketAddr,
    },
    /// Accepting failed (no file descriptors, as a rule); it is tried again after a pause.
    AcceptFailed {
        /// At which listener.
        link: LinkId,
        /// What the socket said.
        error: io::ErrorKind,
    },
    /// A partner could not be reached; it is tried again after `retry_ms`.
    Unreachable {
        /// Which link.
        link: LinkId,
        /// Where it was sought.
        address: SocketAddr,
        /// What the socket said.
        error: io::ErrorKind,
        /// Pause until the next attempt.
        retry_ms: u64,
    },
    /// Answers for another worker were dropped because its mailbox stayed full.
    MailDropped {
        /// Who did not empty its mailbox.
        worker: WorkerId,
    },
    /// What can be put on record has changed.
    Storage {
        /// On which worker.
        worker: WorkerId,
        /// To what.
        storage: Storage,
    },
    /// A partner is left alone because it does not answer, or asked again.
    Health {
        /// By which worker.
        worker: WorkerId,
        /// Which partner.
        link: LinkId,
        /// True if it is asked again.
        is_asked: bool,
    },
    /// A worker has finished draining.
    Drained {
        /// Which worker.
        worker: WorkerId,
        /// False if the drain deadline cut it short.
        complete: bool,
    },
}

/// The sending end, one copy per worker.
#[derive(Debug, Clone)]
pub(super) struct Notices {
    sender: SyncSender<Notice>,
    dropped: Arc<AtomicU64>,
}

impl Notices {
    pub(super) fn new(sender: SyncSender<Notice>) -> Self {
        Self { sender, dropped: Arc::default() }
    }

    pub(super) fn push(&self, notice: Notice) {
        if self.sender.try_send(notice).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_sink_counts_and_does_not_wait() {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let notices = Notices::new(sender);
        let notice = Notice::Drained { worker: WorkerId(0), complete: true };
        notices.push(notice);
        notices.push(notice);
        assert_eq!(notices.dropped(), 1);
        assert_eq!(receiver.try_recv(), Ok(notice));
    }
}
