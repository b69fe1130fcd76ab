//! What a run shows: a progress bar while it lasts, a table, a JSON file, a verdict.
//!
//! The table is for a person at 80 columns, the JSON for everything else; both come from the
//! same outcome. Output that cannot be written (a closed pipe) is not an error of the test.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::failure::Failure;
use crate::run::{Load, Outcome, Plan, Stage};

/// A progress bar on standard error, if that is a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar that fills with the time of the run.
    pub(crate) fn of_run(plan: &Plan) -> Progress {
        let total = plan.warm_up + plan.duration;
        Progress::new(total.as_millis() as u64, "{wide_bar} {percent:>3}%  {msg}")
    }

    /// A bar that fills with the number of measurements done.
    pub(crate) fn of_steps(steps: usize) -> Progress {
        Progress::new(steps as u64, "{wide_bar} {pos}/{len}  {msg}")
    }

    fn new(length: u64, template: &str) -> Progress {
        // The bar's own target is standard error, hidden unless that is a terminal.
        let bar = ProgressBar::new(length);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar }
    }

    /// Follows a run.
    pub(crate) fn show(&mut self, stage: Stage) {
        if let Stage::Tick { elapsed, answered } = stage {
            self.bar.set_position(elapsed.as_millis() as u64);
            self.bar.set_message(format!("{} answered", grouped(answered)));
        }
    }

    /// Names the measurement that begins.
    pub(crate) fn step(&mut self, name: String) {
        self.bar.set_message(name);
    }

    /// Counts a measurement as done.
    pub(crate) fn advance(&mut self) {
        self.bar.inc(1);
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Prints the table of one run.
pub(crate) fn print_run(plan: &Plan, outcome: &Outcome) {
    let counts = &outcome.counts;
    let load = match plan.load {
        Load::Closed { in_flight } => {
            format!("closed loop, {} connections x {in_flight} in flight", plan.connections)
        }
        Load::Open { rate_per_s } => {
            let rate = grouped(rate_per_s);
            format!("open loop, {rate}/s over {} connections", plan.connections)
        }
    };
    let (warm_up, window) = (plan.warm_up.as_secs_f64(), outcome.window_s);
    say(&format!("{load}, {window:.1} s after {warm_up:.1} s of warm-up\n"));
    let left = [
        ("sent", grouped(counts.sent)),
        ("answered", grouped(counts.answered)),
        ("rate /s", grouped(outcome.rate_per_s.round() as u64)),
    ];
    let right = counts.mistakes();
    for (index, (name, count)) in right.iter().enumerate() {
        let (left_name, left_value) = match left.get(index) {
            Some((name, value)) => (*name, value.as_str()),
            None => ("", ""),
        };
        let count = grouped(*count);
        say(&format!("  {left_name:<10}{left_value:>18}      {name:<20}{count:>16}"));
    }
    let codes: Vec<String> =
        outcome.codes.iter().map(|(code, count)| format!("{code}: {}", grouped(*count))).collect();
    say(&format!("\n  DE 39 of the answers   {}\n", codes.join("   ")));
    say("  latency us         p50         p90         p99       p99.9         max");
    let latency = &outcome.latency_us;
    say(&format!(
        "            {:>12.1}{:>12.1}{:>12.1}{:>12.1}{:>12.1}",
        latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max
    ));
}

/// Whether a run kept its thresholds: no mistakes, and the p99 asked for.
pub(crate) fn judge_run(outcome: &Outcome, p99_max: Option<Duration>) -> Result<(), Failure> {
    let mut missed: Vec<String> = outcome
        .counts
        .mistakes()
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    if outcome.counts.answered == 0 {
        missed.push("nothing answered".into());
    }
    if let Some(p99_max) = p99_max {
        let (p99_us, max_us) = (outcome.latency_us.p99, p99_max.as_nanos() as f64 / 1e3);
        if p99_us > max_us {
            missed.push(format!("p99 {p99_us:.1} us above {max_us:.1} us"));
        }
    }
    if missed.is_empty() {
        return Ok(());
    }
    Err(Failure::Threshold(format!("thresholds missed: {}", missed.join(", "))))
}

/// Writes a report to a file.
pub(crate) fn write_json(path: &Path, report: &impl Serialize) -> Result<(), Failure> {
    let attempt = format!("write {}", path.display());
    let text =
        serde_json::to_string_pretty(report).map_err(|error| Failure::of(&attempt, error))?;
    std::fs::write(path, text + "\n").map_err(|error| Failure::of(&attempt, error))
}

/// Prints one line.
pub(crate) fn say(line: &str) {
    // A reader that closed the pipe has seen enough.
    let _ = writeln!(io::stdout(), "{line}");
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Counts, Percentiles};

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn any_mistake_and_a_slow_p99_miss_the_threshold() {
        let mut outcome = Outcome {
            counts: Counts { sent: 5, answered: 5, ..Counts::default() },
            codes: [("00".to_string(), 5)].into(),
            window_s: 1.0,
            answered_in_window: 5,
            rate_per_s: 5.0,
            latency_us: Percentiles { p99: 300.1, ..Percentiles::default() },
        };
        let limit = |us| Some(Duration::from_micros(us));
        assert!(judge_run(&outcome, None).is_ok());
        assert!(judge_run(&outcome, limit(301)).is_ok());
        assert!(matches!(judge_run(&outcome, limit(300)), Err(Failure::Threshold(_))));
        outcome.counts.unmatched = 1;
        assert!(matches!(judge_run(&outcome, None), Err(Failure::Threshold(_))));
    }
}
