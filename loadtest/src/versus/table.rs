//! The comparison: medians per program, ratios to the floor, and the goals.
//!
//! A ratio is the median of the ratios of the rounds, not the ratio of the medians: what slows
//! the machine for a minute then slows both sides of the same fraction.

use serde::Serialize;

use crate::failure::Failure;
use crate::report::{grouped, say};
use crate::versus::machine::Elsewhere;
use crate::versus::{Case, Measurement, Placement, Program, Versus};

/// Everything a comparison found.
#[derive(Serialize)]
pub(crate) struct Comparison {
    placement: Placement,
    rounds: usize,
    seconds: f64,
    elsewhere: Option<Elsewhere>,
    cases: Vec<CaseSummary>,
    goals: Vec<Verdict>,
    measurements: Vec<Measurement>,
}

/// One load.
#[derive(Serialize)]
struct CaseSummary {
    case: String,
    programs: Vec<Summary>,
    /// Switch over floor.
    ratio: Option<Ratio>,
}

/// One program under one load: medians of the rounds, sums of mistakes.
#[derive(Serialize)]
struct Summary {
    program: Program,
    rate_per_s: f64,
    cpu_us: Option<f64>,
    p50_us: f64,
    p99_us: f64,
    mistakes: u64,
}

/// Switch over floor, each the median of the rounds' ratios.
#[derive(Clone, Copy, Serialize)]
struct Ratio {
    rate: f64,
    cpu: f64,
    p50: f64,
    p99: f64,
}

/// A goal, and whether it was reached.
#[derive(Serialize)]
struct Verdict {
    goal: String,
    found: f64,
    most: f64,
    pass: bool,
}

impl Comparison {
    /// Sums up the measurements of a run.
    pub(crate) fn new(
        versus: &Versus,
        cases: &[Case],
        measurements: Vec<Measurement>,
        elsewhere: Option<Elsewhere>,
    ) -> Self {
        let cases: Vec<CaseSummary> = cases
            .iter()
            .map(|case| summarize(case.name(), &versus.programs, &measurements))
            .collect();
        let goals = verdicts(&cases);
        Comparison {
            placement: versus.placement,
            rounds: versus.rounds,
            seconds: versus.duration.as_secs_f64(),
            elsewhere,
            cases,
            goals,
            measurements,
        }
    }

    /// Prints the tables.
    pub(crate) fn print(&self) {
        say(match self.placement {
            Placement::Pinned => "pinned: program on one core, load and partner on another",
            Placement::OneCore => "program, load and partner on one core",
            Placement::Free => "placement left to the kernel",
        });
        let (rounds, seconds) = (self.rounds, self.seconds);
        say(&format!("{rounds} rounds of {seconds} s, medians; ratios within rounds\n"));
        for case in &self.cases {
            case.print();
        }
        if let Some(elsewhere) = self.elsewhere.filter(Elsewhere::is_much) {
            let Elsewhere { others, stolen } = elsewhere;
            let (others, stolen) = (100.0 * others, 100.0 * stolen);
            say(&format!("the machine was not quiet: {others:.0} % of it went to other programs,"));
            say(&format!("{stolen:.0} % to other guests; measure again before believing this\n"));
        }
        if self.goals.is_empty() {
            return;
        }
        say(&format!("{:<48}{:>10}{:>10}", "goals, switch / floor", "found", "at most"));
        for Verdict { goal, found, most, pass } in &self.goals {
            let verdict = if *pass { "pass" } else { "MISS" };
            say(&format!("  {goal:<46}{found:>10.2}{most:>10.2}    {verdict}"));
        }
    }

    /// Fails if a goal was missed, or if there was a mistake anywhere.
    pub(crate) fn judge(&self) -> Result<(), Failure> {
        let mut missed: Vec<&str> =
            self.goals.iter().filter(|goal| !goal.pass).map(|goal| goal.goal.as_str()).collect();
        let mut programs = self.cases.iter().flat_map(|case| &case.programs);
        if programs.any(|summary| summary.mistakes > 0 && summary.program != Program::Switch) {
            missed.push("mistakes without the switch");
        }
        if missed.is_empty() {
            return Ok(());
        }
        Err(Failure::Threshold(format!("goals missed: {}", missed.join(", "))))
    }
}

impl CaseSummary {
    fn print(&self) {
        say(&format!(
            "{:<16}{:>14}{:>12}{:>12}{:>12}{:>12}",
            self.case, "msg/s", "CPU us/msg", "p50 us", "p99 us", "mistakes"
        ));
        for summary in &self.programs {
            let cpu = summary.cpu_us.map_or("-".to_string(), |cpu| format!("{cpu:.3}"));
            say(&format!(
                "  {:<14}{:>14}{cpu:>12}{:>12.1}{:>12.1}{:>12}",
                summary.program.name(),
                grouped(summary.rate_per_s.round() as u64),
                summary.p50_us,
                summary.p99_us,
                grouped(summary.mistakes),
            ));
        }
        if let Some(Ratio { rate, cpu, p50, p99 }) = self.ratio {
            let name = "switch / floor";
            say(&format!("  {name:<14}{rate:>14.2}{cpu:>12.2}{p50:>12.2}{p99:>12.2}"));
        }
        say("");
    }
}

fn summarize(case: String, programs: &[Program], measurements: &[Measurement]) -> CaseSummary {
    let of = |program: Program| -> Vec<&Measurement> {
        let mine = |one: &&Measurement| one.program == program && one.case == case;
        measurements.iter().filter(mine).collect()
    };
    let summaries = programs
        .iter()
        .map(|&program| {
            let mine = of(program);
            let middle = |value: &dyn Fn(&Measurement) -> f64| {
                median(mine.iter().map(|one| value(one)).collect())
            };
            let cpus: Option<Vec<f64>> = mine.iter().map(|one| one.cpu_us).collect();
            Summary {
                program,
                rate_per_s: middle(&|one| one.outcome.rate_per_s),
                cpu_us: cpus.map(median),
                p50_us: middle(&|one| one.outcome.latency_us.p50),
                p99_us: middle(&|one| one.outcome.latency_us.p99),
                mistakes: mine.iter().map(|one| mistakes(one)).sum(),
            }
        })
        .collect();
    let pairs: Vec<_> = of(Program::Switch).into_iter().zip(of(Program::Floor)).collect();
    let ratio = |value: &dyn Fn(&Measurement) -> f64| {
        median(pairs.iter().map(|(switch, floor)| value(switch) / value(floor)).collect())
    };
    let ratio = (!pairs.is_empty()).then(|| Ratio {
        rate: ratio(&|one| one.outcome.rate_per_s),
        cpu: ratio(&|one| one.cpu_us.unwrap_or(f64::NAN)),
        p50: ratio(&|one| one.outcome.latency_us.p50),
        p99: ratio(&|one| one.outcome.latency_us.p99),
    });
    CaseSummary { case, programs: summaries, ratio }
}

fn verdicts(cases: &[CaseSummary]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut add = |goal: String, found: f64, most: f64| {
        // A ratio that could not be taken (NaN) is not below anything, and so a miss.
        verdicts.push(Verdict { goal, found, most, pass: found <= most });
    };
    for case in cases {
        let Some(ratio) = case.ratio else { continue };
        let name = &case.case;
        for &(wanted, most) in &CPU_GOALS {
            if name == wanted {
                add(format!("CPU per message at {name}"), ratio.cpu, most);
            }
        }
        if LATENCY_GOALS.contains(&name.as_str()) {
            add(format!("p50 at {name}"), ratio.p50, P50_GOAL);
            add(format!("p99 at {name}"), ratio.p99, P99_GOAL);
        }
    }
    let mut switches = cases
        .iter()
        .flat_map(|case| &case.programs)
        .filter(|summary| summary.program == Program::Switch)
        .map(|summary| summary.mistakes)
        .peekable();
    if switches.peek().is_some() {
        add("answers lost, wrong, late or crossed".into(), switches.sum::<u64>() as f64, 0.0);
    }
    verdicts
}

fn mistakes(measurement: &Measurement) -> u64 {
    measurement.outcome.counts.mistakes().iter().map(|(_, count)| count).sum()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => (values[even / 2 - 1] + values[even / 2]) / 2.0,
    }
}

/// Loads for which CPU per message has a goal, as a multiple of the floor's.
const CPU_GOALS: [(&str, f64); 2] = [("64x16", 1.6), ("64x1", 1.4)];
/// Loads for which latency has a goal.
const LATENCY_GOALS: [&str; 2] = ["20000/s", "50000/s"];
const P50_GOAL: f64 = 1.15;
const P99_GOAL: f64 = 1.3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Counts, Outcome, Percentiles};

    fn measurement(round: usize, program: Program, cpu_us: f64, lost: u64) -> Measurement {
        let outcome = Outcome {
            counts: Counts { lost, ..Counts::default() },
            codes: Default::default(),
            window_s: 1.0,
            answered_in_window: 1,
            rate_per_s: 1.0,
            latency_us: Percentiles { p50: 1.0, p99: 2.0, ..Percentiles::default() },
        };
        Measurement { round, case: "64x16".into(), program, cpu_us: Some(cpu_us), outcome }
    }

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let programs = [Program::Floor, Program::Switch];
        // The machine was twice as slow in the second round, for both.
        let measurements: Vec<Measurement> = [(1, 1.0), (2, 2.0), (3, 1.0)]
            .into_iter()
            .flat_map(|(round, slow)| {
                let switch = measurement(round, Program::Switch, 1.5 * slow, 0);
                [measurement(round, Program::Floor, slow, 0), switch]
            })
            .collect();
        let case = summarize("64x16".into(), &programs, &measurements);
        assert_eq!(case.ratio.map(|ratio| ratio.cpu), Some(1.5));
        let verdicts = verdicts(&[case]);
        assert!(verdicts.iter().all(|verdict| verdict.pass));
        assert_eq!(verdicts.len(), 2);
    }

    #[test]
    fn a_lost_answer_is_a_missed_goal() {
        let measurements =
            [measurement(1, Program::Floor, 1.0, 0), measurement(1, Program::Switch, 1.0, 1)];
        let programs = [Program::Floor, Program::Switch];
        let case = summarize("64x16".into(), &programs, &measurements);
        assert!(verdicts(&[case]).iter().any(|verdict| !verdict.pass));
    }
}
