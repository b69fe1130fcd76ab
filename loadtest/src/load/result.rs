//! The result of a run, as it is kept: everything that the page, the tables and comparisons show.
//!
//! It is plain data that JSON brings back as it was, so that a page can be made again from a file
//! a year later. Times are in microseconds where nothing else is said, shares from 0 to 1.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::threshold::Finding;
use crate::mix::Traffic;
use crate::run::{Cell, Counts, Mistake, Percentiles, Point, Shape};

/// A run, and where it comes from.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Report {
    pub(crate) title: String,
    pub(crate) row: Option<u64>,
    /// What was sent to, and how.
    pub(crate) target: String,
    pub(crate) connections: usize,
    pub(crate) load: String,
    pub(crate) traffic: Option<Traffic>,
    /// What else there is to know about the run: durability, placement, whatever was noted.
    pub(crate) environment: BTreeMap<String, String>,
    /// Whether every phase came to its end, or why not.
    pub(crate) end: String,
    pub(crate) passed: bool,
    pub(crate) findings: Vec<Finding>,
    /// Why the figures prove nothing; empty if they do.
    pub(crate) invalid: Vec<String>,
    /// The most memory that the switch had resident, in MB; `None` if nobody could look.
    #[serde(default)]
    pub(crate) switch_memory_mb: Option<f64>,
    /// Share of one core that the generator used.
    pub(crate) generator_cpu: f64,
    /// From the first message to the last.
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// Right answers by DE 39.
    pub(crate) codes: BTreeMap<String, u64>,
    /// Length of the measured phases in seconds, and what came within.
    pub(crate) window_s: f64,
    pub(crate) answered_in_window: u64,
    pub(crate) rate_per_s: f64,
    pub(crate) latency_us: Percentiles,
    /// All measured phases together.
    pub(crate) total: Figures,
    pub(crate) curve: Vec<(f64, f64)>,
    pub(crate) phases: Vec<Stretch>,
    /// By network, region and kind, where there is more than one.
    pub(crate) groups: Vec<Group>,
    /// Length of an interval in seconds, and the intervals.
    pub(crate) interval_s: f64,
    pub(crate) timeline: Vec<Point>,
    /// The first mistakes.
    pub(crate) mistakes: Vec<Mistake>,
}

/// One phase.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Stretch {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) measured: bool,
    /// From the beginning of the run, in seconds.
    pub(crate) from_s: f64,
    pub(crate) to_s: f64,
    /// What was asked for, per second.
    pub(crate) rate: (f64, f64),
    pub(crate) figures: Figures,
    /// Quantile and latency.
    pub(crate) curve: Vec<(f64, f64)>,
    /// By network, region and kind, where there is more than one.
    #[serde(default)]
    pub(crate) groups: Vec<Group>,
    /// How long after a spike 99 of 100 requests are approved again, in seconds.
    pub(crate) recovery_s: Option<f64>,
}

/// One network, region or kind.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Group {
    pub(crate) dimension: String,
    pub(crate) name: String,
    /// Of what was sent in measured phases: what it should be, and what it was.
    pub(crate) wanted: f64,
    pub(crate) found: f64,
    pub(crate) figures: Figures,
}

/// What was seen of some of the requests.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Figures {
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) declined: u64,
    /// Right answers per second.
    pub(crate) rate_per_s: f64,
    /// Approved in time, of those that were to leave.
    pub(crate) goodput: f64,
    pub(crate) latency_us: Percentiles,
    pub(crate) p99_99_us: f64,
    pub(crate) mean_us: f64,
    /// By how much the generator itself was late.
    pub(crate) lag_us: Percentiles,
}

impl Default for Stretch {
    fn default() -> Stretch {
        Stretch {
            name: String::new(),
            shape: Shape::Steady,
            measured: true,
            from_s: 0.0,
            to_s: 0.0,
            rate: (0.0, 0.0),
            figures: Figures::default(),
            curve: Vec::new(),
            groups: Vec::new(),
            recovery_s: None,
        }
    }
}

impl Figures {
    /// Those of a cell that was open for so long.
    pub(crate) fn of(cell: &Cell, length_s: f64) -> Figures {
        let counts = cell.counts;
        let due = counts.sent + counts.unsent;
        let approved = counts.answered.saturating_sub(cell.declined);
        Figures {
            counts,
            declined: cell.declined,
            rate_per_s: if length_s > 0.0 { cell.came as f64 / length_s } else { 0.0 },
            goodput: if due > 0 { approved as f64 / due as f64 } else { 0.0 },
            latency_us: Percentiles::of(&cell.latency_ns),
            p99_99_us: cell.latency_ns.value_at_quantile(0.999_9) as f64 / 1e3,
            mean_us: cell.latency_ns.mean() / 1e3,
            lag_us: Percentiles::of(&cell.lag_ns),
        }
    }
}

impl Figures {
    /// The same with the rate of what was answered in so many seconds.
    pub(crate) fn with_rate(mut self, length_s: f64) -> Figures {
        if length_s > 0.0 {
            self.rate_per_s = self.counts.answered as f64 / length_s;
        }
        self
    }
}

impl Report {
    /// How far the share of any part of the traffic is from what it should be, in percent points.
    pub(crate) fn mix_off(&self) -> f64 {
        let off = self.groups.iter().map(|group| (group.found - group.wanted).abs() * 100.0);
        off.fold(0.0, f64::max)
    }
}

/// Quantiles and their latencies in microseconds, the denser the nearer to 1.
pub(crate) fn curve(latency_ns: &Histogram<u64>) -> Vec<(f64, f64)> {
    let points = latency_ns
        .iter_quantiles(CURVE_TICKS)
        .map(|point| (point.quantile_iterated_to(), point.value_iterated_to() as f64 / 1e3));
    points.collect()
}

/// The same as HdrHistogram's own tools write it, in microseconds.
pub(crate) fn hgrm(latency_ns: &Histogram<u64>) -> String {
    let mut text = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut sum = 0;
    for point in latency_ns.iter_quantiles(HGRM_TICKS) {
        sum += point.count_since_last_iteration();
        let (value, quantile) =
            (point.value_iterated_to() as f64 / 1e3, point.quantile_iterated_to());
        text.push_str(&format!("{value:12.3} {quantile:2.12} {sum:10}"));
        if quantile < 1.0 {
            text.push_str(&format!(" {:14.2}", 1.0 / (1.0 - quantile)));
        }
        text.push('\n');
    }
    let (mean, deviation) = (latency_ns.mean() / 1e3, latency_ns.stdev() / 1e3);
    let (max, total) = (latency_ns.max() as f64 / 1e3, latency_ns.len());
    text.push_str(&format!("#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]\n"));
    text.push_str(&format!("#[Max     = {max:12.3}, Total count    = {total:12}]\n"));
    let (buckets, sub) = (latency_ns.buckets(), latency_ns.distinct_values());
    text.push_str(&format!("#[Buckets = {buckets:12}, SubBuckets     = {sub:12}]\n"));
    text
}

/// Seconds from the end of a spike until 99 of 100 requests are approved and stay so for the next
/// second, or to the end of what there is.
pub(crate) fn recovery_s(timeline: &[Point], interval_s: f64, spike_end_s: f64) -> Option<f64> {
    let first = (spike_end_s / interval_s).round() as usize;
    let span = ((1.0 / interval_s).round() as usize).max(1);
    let good = |point: &Point| point.approved as f64 >= RECOVERED * point.due as f64;
    let rest = timeline.get(first..)?;
    let back = (0..rest.len()).find(|from| rest.iter().skip(*from).take(span).all(good))?;
    rest[back..].iter().any(|point| point.due > 0).then_some(back as f64 * interval_s)
}

const CURVE_TICKS: u32 = 10;
const HGRM_TICKS: u32 = 5;
const RECOVERED: f64 = 0.99;

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram() -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(100, 1_000_000_000, 3).unwrap();
        (1..=1_000).for_each(|us| histogram.record(us * 1_000).unwrap());
        histogram
    }

    #[test]
    fn a_curve_rises_to_the_maximum() {
        let curve = curve(&histogram());
        assert!(curve.is_sorted_by(|(p, us), (q, more)| p <= q && us <= more), "{curve:?}");
        let (quantile, us) = curve[curve.len() - 1];
        assert!(quantile == 1.0 && (999.0..1_002.0).contains(&us));
        // Values from 1 to 1,000 us: each quantile is its own value.
        let off = curve.iter().map(|(quantile, us)| (quantile * 1_000.0 - us).abs());
        assert!(off.fold(0.0, f64::max) < 2.0, "{curve:?}");
    }

    #[test]
    fn an_hgrm_file_has_all_values() {
        let text = hgrm(&histogram());
        let last = text.lines().rfind(|line| !line.starts_with('#')).unwrap();
        let words: Vec<&str> = last.split_whitespace().collect();
        assert_eq!(words[1..], ["1.000000000000", "1000"]);
        assert!(text.contains("Total count    =         1000]"), "{text}");
        assert!(text.contains("[Mean    =      500."), "{text}");
    }

    #[test]
    fn recovery_is_when_goodput_is_back_for_a_second() {
        let point = |due, approved| Point { due, approved, ..Point::default() };
        let mut timeline = vec![point(100, 20); 10];
        assert_eq!(recovery_s(&timeline, 0.5, 2.0), None);
        timeline[5] = point(100, 100);
        timeline[7..].fill(point(100, 99));
        assert_eq!(recovery_s(&timeline, 0.5, 2.0), Some(1.5));
        assert_eq!(recovery_s(&timeline, 0.5, 50.0), None);
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let report = Report {
            title: "A".into(),
            counts: Counts { sent: 7, ..Counts::default() },
            phases: vec![Stretch { recovery_s: Some(0.5), ..Stretch::default() }],
            groups: vec![Group { wanted: 0.79, found: 0.8, ..Group::default() }],
            curve: vec![(0.5, 1.25)],
            ..Report::default()
        };
        let text = serde_json::to_string(&report).unwrap();
        let read: Report = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert!((read.mix_off() - 1.0).abs() < 1e-9);
        assert!(text.contains("\"sent\":7"), "{text}");
    }
}
