//! How fast: so that what is owed gets through, and what is asked live does not wait for it.
//!
//! Three brakes. A rate, as one moment before which nothing is sent (a token bucket without a
//! bucket to fill); the more live requests are in flight the further that moment moves, down to a
//! sixteenth of the rate, never to nothing. A window of copies in flight, which the
//! caller's bound sets. And what the partner has shown it can take: the window opens by one for
//! each answer and halves when copies time out, so a partner that has just come back, or that takes
//! messages and answers none, is asked a few and not thousands.
//!
//! It halves once for all that was under way together. What was sent before it narrowed and times
//! out later says nothing that is not known. Were each of those to count, the window of a partner
//! that leaves one copy in five unanswered would hardly open, and what it has would be filled with
//! these, each of which keeps its place until it is given up.

use std::time::Duration;

use crate::base::time::Instant;

/// How far sending may run ahead of the rate. Timers are late by 1.1 ms, and a turn of a busy
/// worker takes as long again: with 4 ms the rate is reached, and a burst at 12,000/s is 49
/// messages, some 50 us for a live one behind it.
pub(super) const AHEAD: Duration = Duration::from_millis(4);

/// Copies in flight to a partner that has not yet shown that it answers. Below this it does not
/// fall: some ways must stay open past entries that this partner never answers.
pub(super) const WINDOW_START: usize = 16;

/// The part of the rate that stays however busy live traffic is. Obligations are money: at
/// 12,000/s, 750/s still clear 100,000 in little more than two minutes.
const SHARES: u64 = 16;

/// The brakes of a lane.
#[derive(Debug)]
pub(super) struct Pace {
    interval_ns: u64,
    live_max: u64,
    window_max: usize,
    window: usize,
    /// When it was halved last.
    narrowed_at: Instant,
    next_at: Instant,
}

impl Pace {
    pub(super) fn new(rate: u32, window_max: usize, live_max: usize) -> Self {
        let window_max = window_max.max(1);
        Self {
            interval_ns: 1_000_000_000 / u64::from(rate.max(1)),
            live_max: (live_max as u64).max(1),
            window_max,
            window: window_max.min(WINDOW_START),
            narrowed_at: Instant::default(),
            next_at: Instant::default(),
        }
    }

    /// Copies that may be in flight.
    pub(super) const fn window(&self) -> usize {
        self.window
    }

    /// From when on the next may be sent.
    pub(super) const fn opens_at(&self) -> Instant {
        Instant::from_ns(self.next_at.ns().saturating_sub(AHEAD.as_nanos() as u64))
    }

    /// One is sent.
    pub(super) fn sent(&mut self, now: Instant, live_in_flight: usize) {
        let live = live_in_flight as u64;
        let taken = (live.saturating_mul(SHARES) / self.live_max).min(SHARES - 1);
        let interval_ns = self.interval_ns * SHARES / (SHARES - taken);
        self.next_at = self.next_at.max(now).after(Duration::from_nanos(interval_ns));
    }

    /// The partner answered.
    pub(super) fn answered(&mut self) {
        self.window = self.window_max.min(self.window + 1);
    }

    /// The partner did not answer what was sent at that moment, or said that it cannot.
    pub(super) fn failed(&mut self, sent_at: Instant, now: Instant) {
        if sent_at >= self.narrowed_at {
            self.window = (self.window / 2).max(WINDOW_START).min(self.window_max);
            self.narrowed_at = now;
        }
    }

    /// The connection was lost: what comes back must show again what it can take.
    pub(super) fn lost(&mut self) {
        self.window = WINDOW_START.min(self.window_max);
    }
}
