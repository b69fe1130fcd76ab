//! Floor 4: the shell. Sockets, threads and clocks around a pure core.
//!
//! It knows bytes, sessions and time, and nothing about messages: it hands what arrives to the
//! [`Core`] of a worker and does what its outbox says. It neither frames, parses, routes nor
//! decides; the only thing it knows about a transaction is that its answer fits a buffer.
//!
//! ```text
//!   acceptor --> session table --> read all there is --> Core::handle(now, event, outbox)
//!   dialler  -->      |                                           |
//!                     +---- one write per dirty lane <--- end of the turn --> other workers
//! ```
//!
//! A worker is a thread with a current-thread runtime, and owns its sockets. A turn begins with
//! the first event and ends behind everything that was ready with it: reads are gathered, then
//! each dirty session is written once. There is no task, channel, timer, lock, clock reading or
//! system call per message; a task and a write per message cost ten times as much here.

mod accept;
mod archive;
mod clock;
mod connection;
mod dial;
mod drain;
mod guests;
mod mail;
mod notice;
mod sessions;
mod sharing;
mod shell;
mod socket;
mod spin;
mod store;
mod turn;
mod worker;

#[cfg(test)]
mod tests;

pub use archive::Archive;
pub use clock::Clock;
pub use notice::Notice;
pub use shell::{Dial, Listen, Make, Plan, Publisher, Shell};
pub use store::Store;

use crate::base::time::{Instant, Now};
use crate::switch::Switch;
use crate::switch::event::Event;
use crate::switch::outbox::Outbox;
use crate::switch::stats::Stats;

/// What a worker drives: the switch, or in a test something simpler.
pub trait Core: 'static {
    /// What it counts.
    type Stats: Clone + Default + Send + 'static;

    /// Takes one event in. For [`Event::Received`] the bytes of whole frames it took, else 0.
    fn handle(&mut self, now: Now, event: Event<'_>, outbox: &mut Outbox) -> usize;

    /// The earliest moment at which it wants [`Event::Deadline`].
    fn next_deadline(&self) -> Option<Instant>;

    /// After [`Event::Drain`]: nothing it accepted is left unanswered.
    fn is_drained(&self) -> bool;

    /// What it has counted so far.
    fn stats(&self) -> &Self::Stats;
}

impl Core for Switch {
    type Stats = Stats;

    #[inline]
    fn handle(&mut self, now: Now, event: Event<'_>, outbox: &mut Outbox) -> usize {
        Switch::handle(self, now, event, outbox)
    }

    #[inline]
    fn next_deadline(&self) -> Option<Instant> {
        Switch::next_deadline(self)
    }

    fn is_drained(&self) -> bool {
        Switch::is_drained(self)
    }

    fn stats(&self) -> &Stats {
        Switch::stats(self)
    }
}
