//! What a lane and its caller say to each other.

use std::time::Duration;

use crate::base::limits;
use crate::base::time::Instant;

/// How a lane behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Copies per second at most, while no live traffic is in flight.
    pub rate: u32,
    /// Copies in flight at most; [`limits::SAF_IN_FLIGHT_MAX`] bounds it.
    pub window: usize,
    /// From so many live requests in flight on, a sixteenth of the rate remains.
    pub live_max: usize,
    /// How long after a "not found" the original may still arrive.
    pub late_window: Duration,
    /// What makes the jitter of this process its own.
    pub key: u64,
}

impl Default for Settings {
    /// 12,000/s clears an hour's backlog of 100,000 in ten seconds even if timers are late and live
    /// traffic takes its part; 10,000/s was measured as 9,800/s. 4,096 live requests are
    /// 10,000/s at 400 ms: a partner as busy as that has little room left. Ten minutes is a
    /// hundred times the seconds in which a request is answered; a partner that promises less or
    /// needs more is configured so.
    fn default() -> Self {
        Self {
            rate: 12_000,
            window: limits::SAF_IN_FLIGHT_MAX,
            live_max: 4096,
            late_window: Duration::from_secs(600),
            key: 0,
        }
    }
}

/// What must be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obligation {
    /// Its identity in the journal, unique for ever.
    pub id: u64,
    /// What it is.
    pub kind: Kind,
    /// Whose it is: the advice of a stand-in and its reversal share this. 0: nobody's.
    pub transaction: u64,
    /// Keyed hash of the card or payment code. 0: none.
    pub card: u64,
    /// The frame body as it is sent the first time (0420, 0120, 0220), opaque here. Take the
    /// buffer from [`super::Lane::buffer`].
    pub message: Vec<u8>,
    /// It may have been sent in a former life: the next copy is a repeat (x1).
    pub sent_before: bool,
    /// Not to be sent before: lets the original arrive first, if it is on another connection.
    pub not_before: Instant,
    /// In a former life the partner did not find it: when its late window ends, and it is asked
    /// again. See [`super::Lane::late_window`].
    pub late_until: Option<Instant>,
    /// The batch its record is part of.
    pub noted: u64,
}

/// What an obligation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 0420: takes back.
    Reversal,
    /// 0120, 0220: tells what was done.
    Advice,
}

/// One copy to be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Send<'l> {
    /// Where it is kept; to be handed back with its id.
    pub place: u32,
    /// Its identity.
    pub id: u64,
    /// What it is.
    pub kind: Kind,
    /// True if an earlier copy may have been sent: x1 instead of x0.
    pub repeat: bool,
    /// As given to [`super::Lane::add`].
    pub message: &'l [u8],
    /// Copies sent in this life, this one included.
    pub attempt: u32,
    /// The partner did not find it before: the end of that late window.
    pub late_until: Option<Instant>,
}

/// What the partner's answer (0430, 0130, 0230) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Taken.
    Final,
    /// 25: there is no such original, or not yet.
    NotFound,
    /// It will not take this one (30 and the like): DE 39.
    Rejected(u8),
    /// It cannot now (91, 96).
    TryAgain,
}

/// An obligation that is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Delivered, or not found at the end of its late window either.
    Done(u64),
    /// Not found; kept until then, in case the original arrives late, and then sent again.
    Provisional(u64, Instant),
    /// Rejected with this DE 39: a person must look. No longer kept here.
    Exception(u64, u8),
}

/// What happened in a lane since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Obligations added.
    pub added: u64,
    /// Copies sent.
    pub sent: u64,
    /// Of these, repeats.
    pub repeats: u64,
    /// Copies that were not answered in time.
    pub timed_out: u64,
    /// Copies whose connection was lost.
    pub lost: u64,
    /// Obligations delivered, or never found.
    pub done: u64,
    /// Obligations rejected.
    pub exceptions: u64,
    /// Obligations that vanished unsent, in pairs.
    pub cancelled: u64,
    /// Obligations closed provisionally.
    pub provisional: u64,
    /// Of these, opened again because their original was approved late.
    pub reopened: u64,
}
