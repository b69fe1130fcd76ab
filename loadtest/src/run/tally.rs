//! What was seen: counters over the whole run, latencies of each phase, and mistakes one by one.
//!
//! Mistakes are counted from the first message to the last, warm-up and drain included, because
//! a wrong answer is wrong at any time. Latency is counted from the intended time of a request,
//! never from the actual one, which would hide the wait in the generator's own queue. A request
//! belongs to the phase in which it was to leave.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::course::{Course, Phase};
use super::session::{Judged, Past, Verdict};
use super::timeline::Timeline;
use crate::clock::NS_PER_S;
use crate::fate::APPROVED;

/// Counters of a run.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    codes: Vec<([u8; 2], u64)>,
    /// By phase, in order.
    pub(crate) phases: Vec<Cell>,
    /// When each phase begins, and when the last one ends, in ns.
    pub(crate) bounds_ns: Vec<u64>,
    /// By network, region and kind, in each measured phase; empty where there is only one.
    pub(crate) groups: Vec<[Vec<Cell>; 3]>,
    pub(crate) timeline: Option<Timeline>,
    /// The first mistakes.
    pub(crate) mistakes: Vec<Mistake>,
    /// The phase that runs.
    running: usize,
    measured: Vec<bool>,
    pub(crate) started_ns: u64,
}

/// What was seen of some of the requests.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) counts: Counts,
    /// Right answers that do not approve.
    pub(crate) declined: u64,
    /// Right answers that came while this phase was running.
    pub(crate) came: u64,
    /// When it ended, in ns; it may be cut short.
    pub(crate) ended_ns: u64,
    pub(crate) latency_ns: Histogram<u64>,
    pub(crate) lag_ns: Histogram<u64>,
}

/// Requests and answers over a whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
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

/// One mistake, so that it can be looked for in the logs of others.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Mistake {
    /// When it was seen, in seconds from the beginning.
    pub(crate) at_s: f64,
    pub(crate) what: String,
    pub(crate) connection: usize,
    /// DE 11 and DE 37 of the request, if it is known.
    pub(crate) stan: Option<u32>,
    pub(crate) rrn: Option<String>,
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

    fn all(&mut self) -> [&mut u64; 9] {
        let Counts { sent, answered, lost, wrong, late, unmatched, duplicated, unsent, broken } =
            self;
        [sent, answered, lost, wrong, late, unmatched, duplicated, unsent, broken]
    }

    /// All mistakes together.
    pub(crate) fn errors(&self) -> u64 {
        self.mistakes().iter().map(|(_, count)| count).sum()
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
    pub(crate) max: f64,
}

impl Percentiles {
    /// Those of a histogram in ns.
    pub(crate) fn of(latency_ns: &Histogram<u64>) -> Percentiles {
        let at = |quantile| latency_ns.value_at_quantile(quantile) as f64 / 1e3;
        let max = latency_ns.max() as f64 / 1e3;
        Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), p99_9: at(0.999), max }
    }
}

impl Cell {
    fn new(digits: u8) -> Cell {
        let histogram = Histogram::new_with_bounds(LATENCY_NS_MIN, LATENCY_NS_MAX, digits)
            .expect("the bounds of the histogram are constants in order");
        Cell {
            counts: Counts::default(),
            declined: 0,
            came: 0,
            ended_ns: 0,
            latency_ns: histogram.clone(),
            lag_ns: histogram,
        }
    }
}

impl Cell {
    /// Adds what was seen of others.
    pub(crate) fn add(&mut self, other: &Cell) {
        let mut new = other.counts;
        for (own, new) in self.counts.all().into_iter().zip(new.all()) {
            *own += *new;
        }
        self.declined += other.declined;
        self.came += other.came;
        // Both were made with the same bounds.
        let _ = self.latency_ns.add(&other.latency_ns);
        let _ = self.lag_ns.add(&other.lag_ns);
    }
}

impl Tally {
    /// Nothing counted, nothing measured yet; the first phase begins at `started_ns`.
    pub(crate) fn new(course: &Course, started_ns: u64) -> Tally {
        let mut bounds_ns = vec![started_ns];
        for phase in &course.phases {
            let end_ns = bounds_ns[bounds_ns.len() - 1] + phase.length.as_nanos() as u64;
            bounds_ns.push(end_ns);
        }
        let groups = course.traffic.as_ref().map_or([0; 3], |(traffic, _)| {
            [traffic.networks.len(), traffic.regions.len(), traffic.kinds.len()]
        });
        let (length_ns, timeout_ns) = (course.length().as_nanos() as u64, course.terms.timeout_ns);
        let timeline = course.interval.map(|interval| {
            Timeline::new(started_ns, interval.as_nanos() as u64, length_ns, timeout_ns)
        });
        Tally {
            counts: Counts::default(),
            codes: Vec::new(),
            phases: course.phases.iter().map(|_| Cell::new(DIGITS)).collect(),
            bounds_ns,
            groups: course.phases.iter().map(|phase| cells_of(phase, groups)).collect(),
            timeline,
            mistakes: Vec::with_capacity(MISTAKES_MAX),
            running: 0,
            measured: course.phases.iter().map(|phase| phase.is_measured()).collect(),
            started_ns,
        }
    }

    /// Begins a phase.
    pub(crate) fn enter(&mut self, phase: usize) {
        self.running = phase;
    }

    /// Ends a phase. Answers to its requests are still measured as they arrive.
    pub(crate) fn leave(&mut self, phase: usize, now_ns: u64) {
        self.phases[phase].ended_ns = now_ns;
    }

    /// Which phase runs; behind the last one none does.
    pub(crate) fn running(&self) -> usize {
        self.running
    }

    /// No phase runs any more: answers that come belong to their phases, but to no rate.
    pub(crate) fn over(&mut self) {
        self.running = self.phases.len();
    }

    #[inline]
    fn phase_of(&self, intended_ns: u64) -> usize {
        let later = self.bounds_ns.partition_point(|bound| *bound <= intended_ns);
        later.clamp(1, self.phases.len()) - 1
    }

    /// Shows the counters of all that a request belongs to.
    #[inline]
    fn cells(&mut self, intended_ns: u64, dimensions: [usize; 3], mut each: impl FnMut(&mut Cell)) {
        let phase = self.phase_of(intended_ns);
        each(&mut self.phases[phase]);
        if self.measured[phase] {
            for (group, place) in self.groups[phase].iter_mut().zip(dimensions) {
                if let Some(cell) = group.get_mut(place) {
                    each(cell);
                }
            }
        }
    }

    /// Counts a request that was handed to a connection.
    #[inline]
    pub(crate) fn sent(&mut self, intended_ns: u64, dimensions: [usize; 3]) {
        self.counts.sent += 1;
        self.cells(intended_ns, dimensions, |cell| cell.counts.sent += 1);
        if let Some(timeline) = &mut self.timeline {
            timeline.at(intended_ns).due += 1;
        }
    }

    /// Counts a request that no connection could take.
    #[inline]
    pub(crate) fn unsent(&mut self, intended_ns: u64) {
        self.counts.unsent += 1;
        let phase = self.phase_of(intended_ns);
        self.phases[phase].counts.unsent += 1;
        if let Some(timeline) = &mut self.timeline {
            let point = timeline.at(intended_ns);
            (point.due, point.errors) = (point.due + 1, point.errors + 1);
        }
    }

    /// Counts by how much a request left later than it was to.
    #[inline]
    pub(crate) fn lag(&mut self, intended_ns: u64, now_ns: u64) {
        let lag_ns = now_ns.saturating_sub(intended_ns);
        let phase = self.phase_of(intended_ns);
        self.phases[phase].lag_ns.saturating_record(lag_ns);
        if let Some(timeline) = &mut self.timeline {
            let point = timeline.at(intended_ns);
            point.lag_max = point.lag_max.max(lag_ns as f64 / 1e3);
        }
    }

    /// Counts an answer.
    #[inline]
    pub(crate) fn judge(
        &mut self,
        judged: &Judged,
        dimensions: [usize; 3],
        connection: usize,
        now_ns: u64,
    ) {
        let Judged { verdict, past, was_lost } = *judged;
        let intended_ns = past.map_or(now_ns, |past| past.intended_ns);
        if was_lost {
            self.counts.lost -= 1;
            self.cells(intended_ns, dimensions, |cell| cell.counts.lost -= 1);
            if let Some(timeline) = &mut self.timeline {
                timeline.at(intended_ns).errors -= 1;
            }
        }
        if let Verdict::Right(code) = verdict {
            self.right(code, intended_ns, dimensions, now_ns);
            return;
        }
        fn counter(counts: &mut Counts, verdict: Verdict) -> &mut u64 {
            match verdict {
                Verdict::Late => &mut counts.late,
                Verdict::Duplicated => &mut counts.duplicated,
                Verdict::Unmatched => &mut counts.unmatched,
                Verdict::Wrong | Verdict::Garbled | Verdict::Right(_) => &mut counts.wrong,
            }
        }
        *counter(&mut self.counts, verdict) += 1;
        self.cells(intended_ns, dimensions, |cell| *counter(&mut cell.counts, verdict) += 1);
        if let Some(timeline) = &mut self.timeline {
            timeline.at(intended_ns).errors += 1;
        }
        self.note(verdict.name(), connection, past, now_ns);
    }

    #[inline]
    fn right(&mut self, code: [u8; 2], intended_ns: u64, dimensions: [usize; 3], now_ns: u64) {
        self.counts.answered += 1;
        match self.codes.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += 1,
            None => self.codes.push((code, 1)),
        }
        if let Some(cell) = self.phases.get_mut(self.running) {
            cell.came += 1;
        }
        let latency_ns = now_ns - intended_ns;
        let declined = u64::from(code != APPROVED);
        self.cells(intended_ns, dimensions, |cell| {
            cell.counts.answered += 1;
            cell.declined += declined;
            cell.latency_ns.saturating_record(latency_ns);
        });
        if let Some(timeline) = &mut self.timeline {
            timeline.latency(intended_ns, latency_ns);
            timeline.at(now_ns).answered += 1;
            let point = timeline.at(intended_ns);
            point.approved += 1 - declined;
            point.declined += declined;
        }
    }

    /// Counts a request that was given up.
    pub(crate) fn lost(
        &mut self,
        past: Past,
        dimensions: [usize; 3],
        connection: usize,
        now_ns: u64,
    ) {
        self.counts.lost += 1;
        self.cells(past.intended_ns, dimensions, |cell| cell.counts.lost += 1);
        if let Some(timeline) = &mut self.timeline {
            timeline.at(past.intended_ns).errors += 1;
        }
        self.note("lost", connection, Some(past), now_ns);
    }

    /// Counts a connection that the other side closed.
    pub(crate) fn broken(&mut self, connection: usize, now_ns: u64) {
        self.counts.broken += 1;
        let phase = self.phase_of(now_ns);
        self.phases[phase].counts.broken += 1;
        self.note("broken connection", connection, None, now_ns);
    }

    fn note(&mut self, what: &str, connection: usize, past: Option<Past>, now_ns: u64) {
        if self.mistakes.len() < MISTAKES_MAX {
            self.mistakes.push(Mistake {
                at_s: now_ns.saturating_sub(self.started_ns) as f64 / NS_PER_S as f64,
                what: what.to_owned(),
                connection,
                stan: past.map(|past| past.stan),
                rrn: past.map(|past| String::from_utf8_lossy(&past.rrn).into_owned()),
            });
        }
    }

    /// Right answers by DE 39.
    pub(crate) fn codes(&self) -> BTreeMap<String, u64> {
        let codes = self.codes.iter().map(|&(code, count)| {
            (code.iter().map(|&byte| char::from(byte)).collect::<String>(), count)
        });
        codes.collect()
    }

    /// How long a phase lasted, in seconds; 0 if it did not begin.
    pub(crate) fn length_s(&self, phase: usize) -> f64 {
        let ended_ns = self.phases[phase].ended_ns;
        ended_ns.saturating_sub(self.bounds_ns[phase]) as f64 / NS_PER_S as f64
    }

    /// The result of a run with a warm-up and one more phase.
    pub(crate) fn outcome(&self) -> Outcome {
        let window_s = self.length_s(1);
        let cell = &self.phases[1];
        Outcome {
            counts: self.counts,
            codes: self.codes(),
            window_s,
            answered_in_window: cell.came,
            rate_per_s: if window_s > 0.0 { cell.came as f64 / window_s } else { 0.0 },
            latency_us: Percentiles::of(&cell.latency_ns),
        }
    }
}

/// Nothing is asked of the groups of a phase that is not measured, so they are not there.
fn cells_of(phase: &Phase, groups: [usize; 3]) -> [Vec<Cell>; 3] {
    let groups = if phase.is_measured() { groups } else { [0; 3] };
    groups.map(|count| (0..count).map(|_| Cell::new(DIGITS_OF_GROUPS)).collect())
}

pub(super) const LATENCY_NS_MIN: u64 = 100;
pub(super) const LATENCY_NS_MAX: u64 = 120 * NS_PER_S;
const DIGITS: u8 = 3;
/// There may be many groups, and each has its histograms.
const DIGITS_OF_GROUPS: u8 = 2;
const MISTAKES_MAX: usize = 100;
