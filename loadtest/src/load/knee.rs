//! The knee: the highest rate that still keeps the thresholds, and the curve on the way to it.
//!
//! Rates double until one is not kept; then the gap is halved, on a scale of factors, until it is
//! as narrow as asked. Each rate is tried several times and kept if most tries keep it, since one
//! hiccup of the machine says nothing. The result is a gap, not a number: the highest rate that was
//! kept, and the lowest that was not. Where the generator was too slow the search ends, and says
//! that the limit is its own.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::figures;
use super::result::Report;
use super::sheet::Sheet;
use crate::clock::pause;
use crate::failure::Failure;
use crate::record::Origin;
use crate::report::{Progress, grouped, say, write_json};
use crate::run::{Phase, Shape, follow};

/// What to search, and how.
#[derive(Debug)]
pub(crate) struct Search {
    /// Traffic, thresholds and target; its phases make room for those of the tries.
    pub(crate) sheet: Sheet,
    pub(crate) switch: Option<PathBuf>,
    /// Requests per second: the first that is tried, and the last.
    pub(crate) rates: (f64, f64),
    /// By how much the two ends may be apart, as a share.
    pub(crate) precision: f64,
    pub(crate) tries: usize,
    pub(crate) warm_up: Duration,
    pub(crate) length: Duration,
    pub(crate) json: Option<PathBuf>,
}

/// A rate, and what came of it.
#[derive(Clone, Debug, Serialize)]
struct Point {
    rate: f64,
    tries: usize,
    kept: usize,
    /// Right answers per second, p50, p99 and lag of the generator at p99: medians of the tries.
    answered_per_s: f64,
    p50_us: f64,
    p99_us: f64,
    lag_p99_us: f64,
    /// The best and the worst p99.
    p99_least_us: f64,
    p99_most_us: f64,
    /// Why it was not kept, the first time.
    missed: Option<String>,
    /// The generator was the bottleneck.
    is_invalid: bool,
}

/// Both ends of the gap, if they were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct Gap {
    kept: Option<f64>,
    missed: Option<f64>,
}

#[derive(Serialize)]
struct Outcome {
    #[serde(flatten)]
    origin: Origin,
    title: String,
    thresholds: Vec<String>,
    #[serde(flatten)]
    gap: Gap,
    curve: Vec<Point>,
}

/// Searches, prints the curve, and fails if not even the first rate is kept.
pub(crate) fn knee(search: &Search) -> Result<(), Failure> {
    let mut sheet = search.sheet.clone();
    let set = match &sheet.stage {
        Some(stage) => Some(stage.start(search.switch.as_deref(), &sheet.course)?),
        None => None,
    };
    if let Some(set) = &set {
        sheet.course.target = set.target;
    }
    sheet.course.interval = None;
    let mut progress = Progress::of_steps(steps(search) * search.tries);
    let mut curve: Vec<Point> = Vec::new();
    let gap = bisect(search.rates, search.precision, |rate| {
        let mut reports = Vec::new();
        for _ in 0..search.tries {
            progress.step(format!("{}/s", grouped(rate.round() as u64)));
            reports.push(once(&mut sheet, search, rate)?);
            progress.advance();
        }
        let point = Point::of(rate, &reports);
        let is_kept = point.is_kept();
        curve.push(point);
        Ok(is_kept)
    })?;
    progress.finish();
    curve.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    print(&curve, gap, search);
    let thresholds = sheet.thresholds.iter().map(|it| it.text().to_owned()).collect();
    let (origin, title) = (Origin::now(), sheet.title);
    if let Some(path) = &search.json {
        write_json(path, &Outcome { origin, title, thresholds, gap, curve })?;
    }
    match gap.kept {
        Some(_) => Ok(()),
        None => Err(Failure::Threshold("thresholds missed: at the first rate already".into())),
    }
}

/// Closes in on the rate between one that holds and one that does not.
fn bisect(
    (from, to): (f64, f64),
    precision: f64,
    mut holds: impl FnMut(f64) -> Result<bool, Failure>,
) -> Result<Gap, Failure> {
    let mut gap = Gap::default();
    let mut rate = from;
    loop {
        match holds(rate)? {
            true => gap.kept = Some(rate),
            false => gap.missed = Some(rate),
        }
        rate = match gap {
            Gap { kept: Some(kept), missed: Some(missed) } if missed > kept * (1.0 + precision) => {
                (kept * missed).sqrt()
            }
            Gap { kept: Some(kept), missed: None } if kept < to => (2.0 * kept).min(to),
            _ => return Ok(gap),
        };
    }
}

/// How many rates there may be.
fn steps(search: &Search) -> usize {
    let (from, to) = search.rates;
    let up = (to / from).log2().ceil().max(0.0);
    let down = (1.0 / (1.0 + search.precision).log2()).log2().ceil().max(0.0);
    (1.0 + up + down) as usize
}

/// One try.
fn once(sheet: &mut Sheet, search: &Search, rate: f64) -> Result<Report, Failure> {
    let phase = |name: &str, shape, length| {
        let name = name.to_owned();
        Phase { name, shape, length, rate: (rate, rate) }
    };
    sheet.course.phases = vec![
        phase("warm-up", Shape::WarmUp, search.warm_up),
        phase("steady", Shape::Steady, search.length),
    ];
    let (tally, end) = follow(&sheet.course, &mut |_| std::ops::ControlFlow::Continue(()))?;
    if end == crate::run::End::Interrupted {
        return Err(Failure::Run("interrupted".into()));
    }
    let merged = figures::merged(&sheet.course, &tally);
    let report = figures::report(sheet, (&tally, &merged), end, None);
    // What the last try left behind is not the next one's.
    pause(REST);
    Ok(report)
}

impl Point {
    fn of(rate: f64, reports: &[Report]) -> Point {
        let values = |of: fn(&Report) -> f64| {
            let mut values: Vec<f64> = reports.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let median = |of| {
            let values = values(of);
            values.get(values.len() / 2).copied().unwrap_or(0.0)
        };
        let p99s = values(|report| report.total.latency_us.p99);
        let missed = reports.iter().find(|report| !report.passed).map(|report| {
            let miss = report.findings.iter().find(|finding| !finding.pass);
            miss.map_or_else(|| report.invalid.join(", "), |finding| finding.miss.clone())
        });
        let invalid = reports.iter().filter(|report| !report.invalid.is_empty()).count();
        Point {
            rate,
            tries: reports.len(),
            kept: reports.iter().filter(|report| report.passed).count(),
            answered_per_s: median(|report| report.rate_per_s),
            p50_us: median(|report| report.total.latency_us.p50),
            p99_us: median(|report| report.total.latency_us.p99),
            lag_p99_us: median(|report| report.total.lag_us.p99),
            p99_least_us: p99s.first().copied().unwrap_or(0.0),
            p99_most_us: p99s.last().copied().unwrap_or(0.0),
            missed,
            is_invalid: invalid * 2 > reports.len(),
        }
    }

    fn is_kept(&self) -> bool {
        self.kept * 2 > self.tries
    }
}

fn print(curve: &[Point], gap: Gap, search: &Search) {
    let texts: Vec<&str> = search.sheet.thresholds.iter().map(|it| it.text()).collect();
    say(&format!("{}\n", texts.join(", ")));
    say("        /s   answered  kept     p50 us     p99 us      least       most     lag us");
    for point in curve {
        let Point { kept, tries, p50_us, p99_us, p99_least_us, p99_most_us, lag_p99_us, .. } =
            point;
        say(&format!(
            "{:>10}{:>11}{:>6}{p50_us:>11.1}{p99_us:>11.1}{p99_least_us:>11.1}{p99_most_us:>11.1}\
             {lag_p99_us:>9.1}",
            grouped(point.rate.round() as u64),
            grouped(point.answered_per_s.round() as u64),
            format!("{kept}/{tries}"),
        ));
    }
    let at = |rate: f64| grouped(rate.round() as u64);
    let point = |rate| curve.iter().find(|point| point.rate == rate);
    match gap {
        Gap { kept: Some(kept), missed: None } => {
            say(&format!("\nkept up to {}/s; nothing higher was asked for", at(kept)));
        }
        Gap { kept: None, .. } => say("\nnot even the first rate is kept"),
        Gap { kept: Some(kept), missed: Some(missed) } => {
            say(&format!("\nthe knee is between {} and {}/s", at(kept), at(missed)));
        }
    }
    if let Some(point) = gap.missed.and_then(point) {
        let why = point.missed.as_deref().unwrap_or_default();
        say(&format!("at {}/s: {why}", at(point.rate)));
        if point.is_invalid {
            say("that is the limit of the generator, not of what it was sent to");
        }
    }
}

const REST: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    fn found(knee: f64, precision: f64) -> (Gap, usize) {
        let mut tried = 0;
        let gap = bisect((1_000.0, 64_000.0), precision, |rate| {
            tried += 1;
            Ok(rate <= knee)
        });
        (gap.unwrap(), tried)
    }

    #[test]
    fn the_gap_closes_around_the_knee() {
        for knee in [1_000.0, 7_777.0, 31_000.0, 63_999.0] {
            let (gap, tried) = found(knee, 0.05);
            let (kept, missed) = (gap.kept.unwrap(), gap.missed.unwrap());
            assert!(kept <= knee && knee < missed && missed <= kept * 1.05, "{gap:?}");
            assert!(tried <= 13, "{tried}");
        }
    }

    #[test]
    fn a_knee_beyond_what_was_asked_for_is_not_invented() {
        assert_eq!(found(1e9, 0.05).0, Gap { kept: Some(64_000.0), missed: None });
        assert_eq!(found(10.0, 0.05).0, Gap { kept: None, missed: Some(1_000.0) });
    }

    #[test]
    fn most_tries_decide() {
        let report = |passed, p99| {
            let mut report = Report { passed, ..Report::default() };
            report.total.latency_us.p99 = p99;
            report
        };
        let point = Point::of(5.0, &[report(true, 3.0), report(false, 9.0), report(true, 1.0)]);
        assert!(point.is_kept() && point.kept == 2);
        assert_eq!((point.p99_us, point.p99_least_us, point.p99_most_us), (3.0, 1.0, 9.0));
        assert!(!Point::of(5.0, &[report(true, 1.0), report(false, 1.0)]).is_kept());
    }
}
