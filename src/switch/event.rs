//! What can happen to a worker's switch: the only way anything enters the core.
//!
//! Sessions are numbered by the shell. A session may be a socket of this worker or, where a
//! partner has fewer connections than there are workers, the far end of a mailbox that leads to
//! the worker that owns the socket; the core does not tell them apart.

use std::sync::Arc;

use crate::base::ids::{LinkId, SessionId, WorkerId};
use crate::risk::Rules;
use crate::routing::RouteTable;

use super::older::Answer;
use super::outbox::Told;

/// Something happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A connection of `link` is established (accepted, dialled, or shared by another worker).
    Opened {
        /// The new session.
        session: SessionId,
        /// Whose it is.
        link: LinkId,
        /// True if another worker owns the socket; no sign-on is sent on it from here.
        shared: bool,
    },
    /// Bytes arrived. [`super::Switch::handle`] returns how many it took; the shell keeps the
    /// rest (less than one frame) and hands it in again in front of the next bytes.
    Received {
        /// Where from.
        session: SessionId,
        /// Everything unread of this session so far.
        bytes: &'a [u8],
    },
    /// Answers to requests of ours arrived on another worker's connection, which may not be lent
    /// to us: whole frames, taken whatever sessions of that partner we have, even none.
    Relayed {
        /// The partner.
        link: LinkId,
        /// The frames.
        bytes: &'a [u8],
    },
    /// The peer will send nothing more (FIN) but may still read: what it asked is answered, then
    /// the session is closed by a command.
    Ended {
        /// Which session.
        session: SessionId,
    },
    /// The session is gone. Bytes still in its lane were not taken by the kernel.
    Closed {
        /// Which session.
        session: SessionId,
    },
    /// What became of an approval that left through another worker.
    Told(Told),
    /// Another worker has nothing more to answer on this session.
    GuestLeft {
        /// Which session.
        session: SessionId,
        /// Which worker.
        worker: WorkerId,
    },
    /// [`super::Switch::next_deadline`] has been reached.
    Deadline,
    /// A new route table; every request from here on sees it, whole.
    Routes(Arc<RouteTable>),
    /// Other rules on what is wanted, or none any more; every request from here on sees them.
    Rules(Option<Arc<Rules>>),
    /// What can be put on record has changed.
    Storage(Storage),
    /// The records of this worker's batches up to this one are about to be removed for their age:
    /// what is still open in them is put on record again.
    Forgetting(u64),
    /// The answer to one of [`super::Outbox::questions`].
    Looked(Answer),
    /// Finish what was accepted, take nothing new on. Done when [`super::Switch::is_drained`].
    Drain,
    /// No worker has anything under way any more: sign off. What comes now is not read.
    Leave,
}

/// What can be put on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// Everything.
    #[default]
    Ready,
    /// Only what is owed already: no new request is taken.
    ObligationsOnly,
    /// Nothing, for good: nothing more is said to anybody.
    Failed,
}
