//! Runs against each other: what changed, and what is only noise.
//!
//! The intervals of a phase are samples of it. Their median is compared, and its noise is estimated
//! from how far the intervals lie from it (median absolute deviation), so that one bad moment of
//! the machine neither makes a change nor hides one. A change counts if it is more than three
//! times the noise of both together and above two percent.

use serde::{Deserialize, Serialize};

use super::Kept;
use super::result::Stretch;
use crate::goal::median;
use crate::report::{grouped, say};
use crate::run::Point;

/// One figure of one phase, in the first run and in another.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Change {
    /// Which run is held against the first: B, C, ...
    pub(crate) run: String,
    pub(crate) phase: String,
    /// rate, or a percentile in microseconds.
    pub(crate) figure: String,
    pub(crate) before: f64,
    pub(crate) after: f64,
    pub(crate) percent: f64,
    pub(crate) noise_percent: f64,
    pub(crate) changed: bool,
    pub(crate) better: bool,
}

/// What changed from the first run to each of the others.
pub(crate) fn changes(runs: &[Kept]) -> Vec<Change> {
    let Some((first, others)) = runs.split_first() else { return Vec::new() };
    let mut changes = Vec::new();
    for (other, letter) in others.iter().zip('B'..='Z') {
        for phase in first.report.phases.iter().filter(|phase| phase.measured) {
            let same = |it: &&Stretch| it.name == phase.name && it.measured;
            let Some(theirs) = other.report.phases.iter().find(same) else { continue };
            for (figure, value) in FIGURES {
                let before = samples(first, phase, value);
                let after = samples(other, theirs, value);
                changes.extend(change(before, after).map(|change| Change {
                    run: letter.to_string(),
                    phase: phase.name.clone(),
                    figure: figure.to_owned(),
                    better: (change.percent > 0.0) == (figure == "rate"),
                    ..change
                }));
            }
        }
    }
    changes
}

/// Prints what changed.
pub(crate) fn print(runs: &[Kept], changes: &[Change]) {
    for (run, letter) in runs.iter().zip('A'..='Z') {
        let (report, origin) = (&run.report, &run.origin);
        let commit = origin.commit.as_deref().unwrap_or("-");
        say(&format!("{letter}  {}, {}, commit {commit}", report.title, origin.date));
    }
    say("\n     phase             figure        before         after   change    noise");
    for change in changes {
        let Change { run, phase, figure, before, after, percent, noise_percent, .. } = change;
        let unit = if figure == "rate" { "/s" } else { "us" };
        let shown = |value: &f64| format!("{} {unit}", grouped(value.round() as u64));
        let verdict = match (change.changed, change.better) {
            (false, _) => "",
            (true, true) => "better",
            (true, false) => "WORSE",
        };
        let phase: String = phase.chars().take(16).collect();
        say(&format!(
            "  {run}  {phase:<17} {figure:<7}{:>13} {:>13} {percent:>+7.1}% {noise_percent:>7.1}% \
             {verdict}",
            shown(before),
            shown(after)
        ));
    }
    if changes.is_empty() {
        say("  no phases of the same name with enough intervals");
    }
}

/// A figure of each interval of a phase, but for the first and last, which are cut.
fn samples(run: &Kept, phase: &Stretch, value: fn(&Point) -> f64) -> Vec<f64> {
    let interval_s = run.report.interval_s;
    let begins = |place: usize| place as f64 * interval_s;
    let points = run.report.timeline.iter().enumerate();
    let inside = points.filter(|(place, _)| {
        begins(*place) >= phase.from_s - 1e-9 && begins(*place + 1) <= phase.to_s + 1e-9
    });
    let scale = if interval_s > 0.0 { 1.0 / interval_s } else { 0.0 };
    let is_rate = std::ptr::fn_addr_eq(value, FIGURES[0].1);
    let values = inside.filter(|(_, point)| point.answered > 0).map(|(_, point)| value(point));
    values.map(|value| if is_rate { value * scale } else { value }).collect()
}

fn change(before: Vec<f64>, after: Vec<f64>) -> Option<Change> {
    if before.len() < SAMPLES_MIN || after.len() < SAMPLES_MIN {
        return None;
    }
    let (noise_before, noise_after) = (noise(&before), noise(&after));
    let (before, after) = (median(before), median(after));
    if before <= 0.0 {
        return None;
    }
    let noise = noise_before.hypot(noise_after);
    let percent = (after - before) / before * 100.0;
    let noise_percent = noise / before * 100.0;
    let changed = (after - before).abs() > NOISES * noise && percent.abs() > PERCENT_MIN;
    let (run, phase, figure) = (String::new(), String::new(), String::new());
    Some(Change {
        run,
        phase,
        figure,
        before,
        after,
        percent,
        noise_percent,
        changed,
        better: false,
    })
}

/// The standard error of a median, by the median absolute deviation.
fn noise(values: &[f64]) -> f64 {
    let middle = median(values.to_vec());
    let deviation = median(values.iter().map(|value| (value - middle).abs()).collect());
    // 1.4826 makes a deviation of it, 1.2533 the error of a median of one of a mean.
    1.4826 * deviation * 1.2533 / (values.len() as f64).sqrt()
}

/// A figure of an interval, by name.
type Figure = (&'static str, fn(&Point) -> f64);

const FIGURES: [Figure; 4] = [
    ("rate", |point| point.answered as f64),
    ("p50", |point| point.p50),
    ("p90", |point| point.p90),
    ("p99", |point| point.p99),
];
const SAMPLES_MIN: usize = 5;
const NOISES: f64 = 3.0;
const PERCENT_MIN: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::Dice;

    fn run(seed: u64, p99: f64, spread: f64) -> Kept {
        let mut dice = Dice::new(seed);
        let mut kept = Kept::default();
        kept.report.interval_s = 0.1;
        for _ in 0..40 {
            let p99 = p99 * (1.0 + spread * (dice.unit() - 0.5));
            let point = Point { answered: 100, p50: 50.0, p90: 60.0, p99, ..Point::default() };
            kept.report.timeline.push(point);
        }
        let name = "steady".to_owned();
        kept.report.phases.push(Stretch { name, to_s: 4.0, ..Stretch::default() });
        kept
    }

    fn p99(runs: &[Kept]) -> Change {
        changes(runs).into_iter().find(|it| it.figure == "p99").unwrap()
    }

    #[test]
    fn a_change_is_more_than_noise() {
        let worse = p99(&[run(1, 1_000.0, 0.2), run(2, 1_200.0, 0.2)]);
        assert!(worse.changed && !worse.better, "{worse:?}");
        assert!((15.0..25.0).contains(&worse.percent), "{worse:?}");
        let better = p99(&[run(1, 1_000.0, 0.2), run(2, 800.0, 0.2)]);
        assert!(better.changed && better.better, "{better:?}");
    }

    #[test]
    fn the_same_twice_is_no_change_and_neither_is_a_small_one_in_much_noise() {
        let others = (2..50).map(|seed| p99(&[run(1, 1_000.0, 0.3), run(seed, 1_000.0, 0.3)]));
        let wrong = others.filter(|change| change.changed).count();
        assert!(wrong <= 2, "{wrong} of 48");
        assert!(!p99(&[run(1, 1_000.0, 2.0), run(2, 1_050.0, 2.0)]).changed);
    }

    #[test]
    fn one_bad_moment_is_no_change() {
        let mut other = run(2, 1_000.0, 0.2);
        other.report.timeline[7].p99 = 1e6;
        assert!(!p99(&[run(1, 1_000.0, 0.2), other]).changed);
    }

    #[test]
    fn rates_are_per_second_and_other_phases_are_left_out() {
        let rate = &changes(&[run(1, 1.0, 0.0), run(2, 1.0, 0.0)])[0];
        assert_eq!((rate.figure.as_str(), rate.before, rate.changed), ("rate", 1_000.0, false));
        let mut other = run(2, 1.0, 0.0);
        other.report.phases[0].name = "soak".to_owned();
        assert_eq!(changes(&[run(1, 1.0, 0.0), other]), []);
    }
}
