//! The comparison: medians per program, ratios to the floor, and the goals.
//!
//! A ratio is the median of the ratios of the rounds, not the ratio of the medians: what slows
//! the machine for a minute then slows both sides of the same fraction.

use serde::Serialize;

use crate::failure::Failure;
use crate::goal::{self, Goal, median};
use crate::machine::Elsewhere;
use crate::report::{grouped, say};
use crate::serve::Durability;
use crate::versus::goals::goals;
use crate::versus::{Case, Disk, Measurement, Placement, Program, Versus};

/// Everything a comparison found.
#[derive(Serialize)]
pub(crate) struct Comparison {
    placement: Placement,
    durability: Durability,
    /// By default one where a journal is kept.
    workers: Option<usize>,
    rounds: usize,
    seconds: f64,
    disk: Option<Disk>,
    elsewhere: Option<Elsewhere>,
    cases: Vec<CaseSummary>,
    goals: Vec<Goal>,
    measurements: Vec<Measurement>,
}

/// One load.
#[derive(Serialize)]
pub(super) struct CaseSummary {
    pub(super) case: String,
    pub(super) programs: Vec<Summary>,
    /// Switch over floor.
    pub(super) ratio: Option<Ratio>,
}

/// One program under one load: medians of the rounds, sums of mistakes.
#[derive(Serialize)]
pub(super) struct Summary {
    pub(super) program: Program,
    pub(super) rate_per_s: f64,
    pub(super) cpu_us: Option<f64>,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) mistakes: u64,
}

/// Switch over floor, each the median of the rounds' ratios.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Ratio {
    pub(super) rate: f64,
    pub(super) cpu: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
}

impl Comparison {
    /// Sums up the measurements of a run.
    pub(crate) fn new(
        versus: &Versus,
        cases: &[Case],
        measurements: Vec<Measurement>,
        disk: Option<Disk>,
        elsewhere: Option<Elsewhere>,
    ) -> Self {
        let cases: Vec<CaseSummary> = cases
            .iter()
            .map(|case| summarize(case.name(), &versus.programs, &measurements))
            .collect();
        let commits = disk.as_ref().map_or(&[][..], |disk| &disk.commits);
        let goals = goals(versus.durability, &cases, &measurements, commits);
        Comparison {
            placement: versus.placement,
            durability: versus.durability,
            workers: versus.workers,
            disk,
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
        say(&format!("{rounds} rounds of {seconds} s, medians; ratios within rounds"));
        if let Some(disk) = &self.disk {
            let Disk { filesystem, commits } = disk;
            let p50 = median(commits.iter().map(|commit| commit.p50_us).collect());
            let p99 = median(commits.iter().map(|commit| commit.p99_us).collect());
            let durability = self.durability.name();
            say(&format!(
                "durability {durability}, journal on {filesystem}; group commit of 19 KiB:"
            ));
            say(&format!("p50 {p50:.1} us, p99 {p99:.1} us"));
        }
        say("");
        for case in &self.cases {
            case.print();
        }
        if let Some(elsewhere) = self.elsewhere.filter(Elsewhere::is_much) {
            let Elsewhere { others, stolen } = elsewhere;
            let (others, stolen) = (100.0 * others, 100.0 * stolen);
            say(&format!("the machine was not quiet: {others:.0} % of it went to other programs,"));
            say(&format!("{stolen:.0} % to other guests; measure again before believing this\n"));
        }
        goal::print(&self.goals);
    }

    /// Fails if a goal was missed, or if there was a mistake anywhere.
    pub(crate) fn judge(&self) -> Result<(), Failure> {
        let mut programs = self.cases.iter().flat_map(|case| &case.programs);
        if programs.any(|summary| summary.mistakes > 0 && summary.program != Program::Switch) {
            return Err(Failure::Threshold("mistakes without the switch".into()));
        }
        goal::judge(&self.goals)
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

fn mistakes(measurement: &Measurement) -> u64 {
    measurement.outcome.counts.mistakes().iter().map(|(_, count)| count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Commit;
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
        let verdicts = goals(Durability::None, &[case], &[], &[]);
        assert!(verdicts.iter().all(|verdict| verdict.pass));
        assert_eq!(verdicts.len(), 2);
    }

    #[test]
    fn a_lost_answer_is_a_missed_goal() {
        let measurements =
            [measurement(1, Program::Floor, 1.0, 0), measurement(1, Program::Switch, 1.0, 1)];
        let programs = [Program::Floor, Program::Switch];
        let case = summarize("64x16".into(), &programs, &measurements);
        assert!(goals(Durability::None, &[case], &[], &[]).iter().any(|verdict| !verdict.pass));
    }

    #[test]
    fn what_is_added_is_told_in_group_commits_of_its_round() {
        let at = |round, program, p50| {
            let mut one = measurement(round, program, 1.0, 0);
            one.case = "20000/s".into();
            one.outcome.latency_us.p50 = p50;
            one
        };
        // The disk was twice as slow in the second round, and so was the switch.
        let measurements = [
            at(1, Program::Floor, 100.0),
            at(1, Program::Switch, 400.0),
            at(2, Program::Floor, 100.0),
            at(2, Program::Switch, 700.0),
        ];
        let commit = |p50_us| Commit { p50_us, p99_us: p50_us };
        let commits = [commit(150.0), commit(300.0)];
        let programs = [Program::Floor, Program::Switch];
        let judged = |commits: &[Commit]| {
            let case = summarize("20000/s".into(), &programs, &measurements);
            let goals = goals(Durability::Power, &[case], &measurements, commits);
            goals.iter().map(|goal| goal.pass).collect::<Vec<_>>()
        };
        assert_eq!(judged(&commits), [true, true]);
        assert_eq!(judged(&[commit(140.0), commit(300.0)]), [false, true]);
        assert_eq!(judged(&[]), [false, true]);
    }
}
