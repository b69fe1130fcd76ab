//! The goals of a comparison, by durability.
//!
//! Without a journal, and with one that survives a crash, what counts is CPU per message against
//! the floor. With one that survives a power cut it is the rate, the open loop that must be held,
//! and what is added to the median, told in group commits of the same disk in the same round.
//! A message is one request with its answer, as in every figure of this tool.

use super::table::CaseSummary;
use super::{Measurement, Program};
use crate::disk::Commit;
use crate::goal::{Goal, median};
use crate::run::Outcome;
use crate::serve::Durability;

/// What the switch must reach in these cases. Cases that were not measured have no goal.
pub(super) fn goals(
    durability: Durability,
    cases: &[CaseSummary],
    measurements: &[Measurement],
    commits: &[Commit],
) -> Vec<Goal> {
    let mut goals = Vec::new();
    for case in cases {
        match durability {
            Durability::None => against_floor(case, &CPU_GOALS, &mut goals),
            Durability::Process => against_floor(case, &CPU_GOALS_KEPT, &mut goals),
            Durability::Power => with_power(case, measurements, commits, &mut goals),
        }
    }
    let mut switches = cases
        .iter()
        .flat_map(|case| &case.programs)
        .filter(|summary| summary.program == Program::Switch)
        .map(|summary| summary.mistakes)
        .peekable();
    if switches.peek().is_some() {
        let mistakes = switches.sum::<u64>() as f64;
        goals.push(Goal::at_most("answers lost, wrong, late or crossed", mistakes, 0.0));
    }
    goals
}

fn against_floor(case: &CaseSummary, cpu_goals: &[(&str, f64)], goals: &mut Vec<Goal>) {
    let Some(ratio) = case.ratio else { return };
    let name = case.case.as_str();
    for &(_, most) in cpu_goals.iter().filter(|(wanted, _)| *wanted == name) {
        goals.push(Goal::at_most(format!("CPU per message at {name} / floor"), ratio.cpu, most));
    }
    if LATENCY_GOALS.contains(&name) && *cpu_goals == CPU_GOALS {
        goals.push(Goal::at_most(format!("p50 at {name} / floor"), ratio.p50, P50_GOAL));
        goals.push(Goal::at_most(format!("p99 at {name} / floor"), ratio.p99, P99_GOAL));
    }
}

fn with_power(
    case: &CaseSummary,
    measurements: &[Measurement],
    commits: &[Commit],
    goals: &mut Vec<Goal>,
) {
    let name = case.case.as_str();
    let switch = case.programs.iter().find(|summary| summary.program == Program::Switch);
    let Some(switch) = switch else { return };
    if name == RATE_CASE {
        let goal = format!("messages/s at {name}");
        goals.push(Goal::at_least(goal, switch.rate_per_s, RATE_GOAL));
        return;
    }
    if name == HELD_CASE {
        let goal = format!("messages/s held at {name}");
        goals.push(Goal::at_least(goal, switch.rate_per_s, HELD_GOAL));
        let added = added_us(name, measurements, |outcome| outcome.latency_us.p99);
        let added_ms = median(added.iter().map(|(_, added_us)| added_us / 1e3).collect());
        goals.push(Goal::at_most(format!("p99 added at {name}, ms"), added_ms, P99_ADDED_MS));
    }
    let added = added_us(name, measurements, |outcome| outcome.latency_us.p50);
    let in_commits = added.iter().filter_map(|(round, added_us)| {
        let commit = commits.get(round - 1)?;
        Some(added_us / commit.p50_us)
    });
    let in_commits = median(in_commits.collect());
    let goal = format!("p50 added at {name}, group commits");
    goals.push(Goal::at_most(goal, in_commits, COMMITS_ADDED));
}

/// By round, what the switch adds to the floor, in us.
fn added_us(
    case: &str,
    measurements: &[Measurement],
    value: impl Fn(&Outcome) -> f64,
) -> Vec<(usize, f64)> {
    let of = |program: Program| {
        let mine = move |one: &&Measurement| one.program == program && one.case == case;
        measurements.iter().filter(mine)
    };
    let pairs = of(Program::Switch).zip(of(Program::Floor));
    pairs
        .map(|(switch, floor)| (switch.round, value(&switch.outcome) - value(&floor.outcome)))
        .collect()
}

/// Loads for which CPU per message has a goal, as a multiple of the floor's.
const CPU_GOALS: [(&str, f64); 2] = [("64x16", 1.6), ("64x1", 1.4)];
/// The same with a journal that survives a crash.
const CPU_GOALS_KEPT: [(&str, f64); 1] = [("64x16", 2.0)];
/// Loads for which latency has a goal.
const LATENCY_GOALS: [&str; 2] = ["20000/s", "50000/s"];
const P50_GOAL: f64 = 1.15;
const P99_GOAL: f64 = 1.3;

/// The most orders a second on record anywhere: Double 11 of 2020.
const RATE_GOAL: f64 = 583_000.0;
const RATE_CASE: &str = "64x16";
/// What VisaNet is quoted to be able to take; a window may end in the middle of a batch.
const HELD_CASE: &str = "65000/s";
const HELD_GOAL: f64 = 64_900.0;
const P99_ADDED_MS: f64 = 2.0;
/// One for the intent, one for the approval.
const COMMITS_ADDED: f64 = 2.0;
