//! What was seen when: figures of short intervals, one after the other.
//!
//! A request belongs to the interval in which it was to leave, and so does its latency: a second
//! in which everything stood still is a bad second, not an empty one. An interval is closed once
//! nothing of it can come any more, so only the last few need a histogram. Everything is made
//! before the run begins; nothing grows while it lasts.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::tally::{LATENCY_NS_MAX, LATENCY_NS_MIN, Percentiles};

/// The intervals of a run.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    start_ns: u64,
    interval_ns: u64,
    points: Vec<Point>,
    /// Histograms of the intervals that are not closed, in turn.
    open: Vec<Histogram<u64>>,
    closed: usize,
    /// How long after its end something of an interval may come, in ns.
    patience_ns: u64,
}

/// One interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Point {
    /// Requests that were to leave.
    pub(crate) due: u64,
    /// Right answers that came.
    pub(crate) answered: u64,
    /// Requests of this interval that were approved in time.
    pub(crate) approved: u64,
    /// Requests of this interval that were declined in time, as they may be.
    pub(crate) declined: u64,
    /// Requests of this interval that were lost, unsent, or answered wrong, late or twice.
    pub(crate) errors: u64,
    /// Latency of the requests of this interval, in microseconds; 0 if none was answered.
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
    pub(crate) max: f64,
    /// By how much the generator itself was late at most, in microseconds.
    pub(crate) lag_max: f64,
}

impl Timeline {
    /// Intervals of this length for a run of `length_ns`, whose requests are given up after
    /// `timeout_ns`.
    pub(crate) fn new(start_ns: u64, interval_ns: u64, length_ns: u64, timeout_ns: u64) -> Self {
        let patience_ns = timeout_ns + SLACK_NS;
        let count = (length_ns + patience_ns) / interval_ns + 2;
        let open = patience_ns / interval_ns + 3;
        let histogram = Histogram::new_with_bounds(LATENCY_NS_MIN, LATENCY_NS_MAX, DIGITS)
            .expect("the bounds of the histogram are constants in order");
        Timeline {
            start_ns,
            interval_ns,
            points: vec![Point::default(); count as usize],
            open: vec![histogram; open.min(count) as usize],
            closed: 0,
            patience_ns,
        }
    }

    /// The interval of this moment.
    #[inline]
    pub(crate) fn at(&mut self, ns: u64) -> &mut Point {
        let place = self.place(ns);
        &mut self.points[place]
    }

    #[inline]
    pub(crate) fn latency(&mut self, intended_ns: u64, latency_ns: u64) {
        let place = self.place(intended_ns);
        if place >= self.closed {
            let turn = place % self.open.len();
            self.open[turn].saturating_record(latency_ns);
        }
    }

    #[inline]
    fn place(&self, ns: u64) -> usize {
        let place = (ns.saturating_sub(self.start_ns) / self.interval_ns) as usize;
        place.min(self.points.len() - 1)
    }

    /// Latencies of the last interval that is over, as far as they are known.
    pub(crate) fn latest(&self, now_ns: u64) -> Percentiles {
        match self.place(now_ns).checked_sub(1) {
            Some(place) if place >= self.closed => {
                Percentiles::of(&self.open[place % self.open.len()])
            }
            _ => Percentiles::default(),
        }
    }

    /// Closes the intervals of which nothing more can come.
    pub(crate) fn close_before(&mut self, now_ns: u64) {
        let over_ns = now_ns.saturating_sub(self.start_ns).saturating_sub(self.patience_ns);
        let over = ((over_ns / self.interval_ns) as usize).min(self.points.len());
        while self.closed < over {
            self.close_next();
        }
    }

    /// All intervals that begin before `end_ns`, closed.
    pub(crate) fn finish(mut self, end_ns: u64) -> Vec<Point> {
        let span_ns = end_ns.saturating_sub(self.start_ns);
        let count = (span_ns.div_ceil(self.interval_ns) as usize).min(self.points.len());
        while self.closed < count {
            self.close_next();
        }
        self.points.truncate(count);
        self.points
    }

    fn close_next(&mut self) {
        let turn = self.closed % self.open.len();
        write(&mut self.points[self.closed], &self.open[turn]);
        self.open[turn].reset();
        self.closed += 1;
    }
}

fn write(point: &mut Point, latency_ns: &Histogram<u64>) {
    if latency_ns.is_empty() {
        return;
    }
    let at = |quantile| latency_ns.value_at_quantile(quantile) as f64 / 1e3;
    (point.p50, point.p90, point.p99) = (at(0.5), at(0.9), at(0.99));
    (point.p99_9, point.max) = (at(0.999), latency_ns.max() as f64 / 1e3);
}

/// Answers are looked at a little after they came.
const SLACK_NS: u64 = 200_000_000;
/// One part in a hundred is enough for a line on a chart.
const DIGITS: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_belongs_to_the_interval_of_its_request_however_late_it_comes() {
        let mut timeline = Timeline::new(1_000, 100_000_000, 1_000_000_000, 500_000_000);
        timeline.latency(1_000 + 50_000_000, 1_000_000);
        timeline.latency(1_000 + 150_000_000, 400_000_000);
        timeline.at(1_000 + 150_000_000).due += 1;
        timeline.close_before(1_000 + 700_000_000);
        assert_eq!(timeline.closed, 0);
        let latest = timeline.latest(1_000 + 250_000_000);
        assert!((396_000.0..404_000.0).contains(&latest.p99), "{latest:?}");
        assert_eq!(timeline.latest(1_000 + 50_000_000).max, 0.0);
        timeline.close_before(1_000 + 800_000_000);
        assert_eq!(timeline.closed, 1);
        // The histogram of the first serves a later one, which must not see what was in it.
        timeline.latency(1_000 + 50_000_000, 9_000_000);
        let points = timeline.finish(1_000 + 1_000_000_000);
        assert_eq!(points.len(), 10);
        assert!((990.0..1_010.0).contains(&points[0].p99), "{:?}", points[0]);
        assert!((396_000.0..404_000.0).contains(&points[1].p50), "{:?}", points[1]);
        assert_eq!((points[1].due, points[2].p50), (1, 0.0));
        assert!(points[2..].iter().all(|point| point.max == 0.0));
    }

    #[test]
    fn what_comes_after_everything_is_over_is_put_into_the_last() {
        let mut timeline = Timeline::new(0, 1_000_000_000, 1_000_000_000, 0);
        let last = timeline.points.len() - 1;
        timeline.at(u64::MAX).answered += 1;
        assert_eq!(timeline.points[last].answered, 1);
        timeline.close_before(u64::MAX);
        timeline.latency(u64::MAX, 5);
        assert_eq!(timeline.closed, last + 1);
    }
}
