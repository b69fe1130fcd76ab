//! What was seen: counters over the whole run, and latencies of the measured window.
//!
//! Mistakes are counted from the first message to the last, warm-up and drain included, because
//! a wrong answer is wrong at any time. Latency is counted from the intended time of a request,
//! never from the actual one, which would hide the wait in the generator's own queue.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::clock::NS_PER_S;

/// Counters of a run in progress.
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    codes: Vec<([u8; 2], u64)>,
    latency_ns: Histogram<u64>,
    /// Requests intended in this span of the monotonic clock (ns) are measured.
    window: (u64, u64),
    answered_before: u64,
    answered_within: u64,
}

/// Requests and answers over a whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Requests handed to a connection.
    pub(crate) sent: u64,
    /// Right answers within the time-out.
    pub(crate) answered: u64,
    /// Requests never answered.
    pub(crate) lost: u64,
    /// Answers that are not what was asked for.
    pub(crate) wrong: u64,
    /// Right answers after the time-out.
    pub(crate) late: u64,
    /// Answers to nothing that was asked on their connection.
    pub(crate) unmatched: u64,
    /// Second answers.
    pub(crate) duplicated: u64,
    /// Requests due in an open loop that found no free STAN.
    pub(crate) unsent: u64,
    /// Connections that the other side closed.
    pub(crate) broken: u64,
}

impl Counts {
    /// What must be 0 in a good run, by name.
    pub(crate) fn mistakes(&self) -> [(&'static str, u64); 7] {
        [
            ("lost", self.lost),
            ("wrong", self.wrong),
            ("late", self.late),
            ("unmatched", self.unmatched),
            ("duplicated", self.duplicated),
            ("unsent", self.unsent),
            ("broken connections", self.broken),
        ]
    }
}

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    /// Counters over the whole run.
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// Right answers by DE 39.
    pub(crate) codes: BTreeMap<String, u64>,
    /// Length of the measured window in seconds.
    pub(crate) window_s: f64,
    /// Right answers that arrived within the measured window.
    pub(crate) answered_in_window: u64,
    /// Right answers per second of the window.
    pub(crate) rate_per_s: f64,
    /// Latency of the requests intended within the window, in microseconds.
    pub(crate) latency_us: Percentiles,
}

/// Latency percentiles in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
    pub(crate) max: f64,
}

impl Tally {
    /// Nothing counted, nothing measured yet.
    pub(crate) fn new() -> Tally {
        let latency_ns = Histogram::new_with_bounds(LATENCY_NS_MIN, LATENCY_NS_MAX, DIGITS)
            .expect("the bounds of the histogram are constants in order");
        Tally {
            counts: Counts::default(),
            codes: Vec::new(),
            latency_ns,
            window: (u64::MAX, u64::MAX),
            answered_before: 0,
            answered_within: 0,
        }
    }

    /// Begins the measured window.
    pub(crate) fn open_window(&mut self, now_ns: u64) {
        self.window = (now_ns, u64::MAX);
        self.answered_before = self.counts.answered;
    }

    /// Ends the measured window. Answers to its requests are still measured as they arrive.
    pub(crate) fn close_window(&mut self, now_ns: u64) {
        self.window.1 = now_ns;
        self.answered_within = self.counts.answered - self.answered_before;
    }

    /// Counts a right answer.
    #[inline]
    pub(crate) fn answer(&mut self, code: [u8; 2], intended_ns: u64, now_ns: u64) {
        match self.codes.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += 1,
            None => self.codes.push((code, 1)),
        }
        if (self.window.0..self.window.1).contains(&intended_ns) {
            self.latency_ns.saturating_record(now_ns - intended_ns);
        }
    }

    /// The result, once the run is over.
    pub(crate) fn outcome(&self) -> Outcome {
        let window_s = self.window.1.saturating_sub(self.window.0) as f64 / NS_PER_S as f64;
        let codes = self.codes.iter().map(|&(code, count)| {
            (code.iter().map(|&byte| char::from(byte)).collect::<String>(), count)
        });
        let at = |quantile| self.latency_ns.value_at_quantile(quantile) as f64 / 1e3;
        Outcome {
            counts: self.counts,
            codes: codes.collect(),
            window_s,
            answered_in_window: self.answered_within,
            rate_per_s: if window_s > 0.0 { self.answered_within as f64 / window_s } else { 0.0 },
            latency_us: Percentiles {
                p50: at(0.5),
                p90: at(0.9),
                p99: at(0.99),
                p99_9: at(0.999),
                max: self.latency_ns.max() as f64 / 1e3,
            },
        }
    }
}

const LATENCY_NS_MIN: u64 = 100;
const LATENCY_NS_MAX: u64 = 120 * NS_PER_S;
const DIGITS: u8 = 3;
