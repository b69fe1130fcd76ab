//! From what was counted to what is reported.

use super::result::{Figures, Group, Report, Stretch, curve, recovery_s};
use super::sheet::Sheet;
use crate::clock::NS_PER_S;
use crate::mix::Traffic;
use crate::report::grouped;
use crate::run::{Arrivals, Cause, Cell, Course, End, Percentiles, Shape, Tally};

/// All measured phases together.
pub(super) fn merged(course: &Course, tally: &Tally) -> Cell {
    let cells = course.phases.iter().zip(&tally.phases);
    let mut measured = cells.filter(|(phase, _)| phase.is_measured()).map(|(_, cell)| cell);
    let mut merged = measured.next().unwrap_or(&tally.phases[0]).clone();
    for cell in measured {
        merged.add(cell);
    }
    merged
}

/// The report of a run; where it ran is for others to fill in.
pub(super) fn report(
    sheet: &Sheet,
    (tally, merged): (&Tally, &Cell),
    end: End,
    switch_memory_mb: Option<f64>,
) -> Report {
    let course = &sheet.course;
    let interval_s = course.interval.map_or(0.0, |interval| interval.as_secs_f64());
    let ended_ns = tally.phases.iter().map(|cell| cell.ended_ns).max().unwrap_or(0);
    let timeline = tally.timeline.clone().map(|timeline| timeline.finish(ended_ns));
    let timeline = timeline.unwrap_or_default();
    let seconds = |ns: u64| ns.saturating_sub(tally.started_ns) as f64 / NS_PER_S as f64;
    let mut phases = Vec::new();
    for (number, (phase, cell)) in course.phases.iter().zip(&tally.phases).enumerate() {
        if cell.ended_ns == 0 {
            break;
        }
        let to_s = seconds(cell.ended_ns);
        let spike = phase.shape == Shape::Spike;
        phases.push(Stretch {
            name: phase.name.clone(),
            shape: phase.shape,
            measured: phase.is_measured(),
            from_s: seconds(tally.bounds_ns[number]),
            to_s,
            rate: phase.rate,
            figures: Figures::of(cell, tally.length_s(number)),
            curve: curve(&cell.latency_ns),
            groups: groups(course, &tally.groups[number..=number], tally.length_s(number)),
            recovery_s: spike.then(|| recovery_s(&timeline, interval_s, to_s)).flatten(),
        });
    }
    let measured = phases.iter().filter(|phase| phase.measured);
    let window_s: f64 = measured.map(|phase| phase.to_s - phase.from_s).sum();
    let total = Figures::of(merged, window_s);
    let mut report = Report {
        title: sheet.title.clone(),
        row: sheet.row,
        target: course.target.to_string(),
        connections: course.connections,
        load: load(course),
        traffic: course.traffic.as_ref().map(|(traffic, _)| traffic.clone()),
        end: ending(end).to_owned(),
        counts: tally.counts,
        codes: tally.codes(),
        window_s,
        answered_in_window: merged.came,
        rate_per_s: total.rate_per_s,
        latency_us: Percentiles::of(&merged.latency_ns),
        total,
        curve: curve(&merged.latency_ns),
        phases,
        groups: groups(course, &tally.groups, window_s),
        interval_s,
        timeline,
        mistakes: tally.mistakes.clone(),
        switch_memory_mb,
        ..Report::default()
    };
    report.invalid = invalid(sheet, &report);
    report.findings = sheet.thresholds.iter().map(|it| it.judge(&report)).collect();
    report.passed = report.invalid.is_empty() && report.findings.iter().all(|it| it.pass);
    report
}

/// Why the figures are those of the generator.
fn invalid(sheet: &Sheet, report: &Report) -> Vec<String> {
    let Some(most) = sheet.lag_max else { return Vec::new() };
    let most_us = most.as_nanos() as f64 / 1e3;
    let late: Vec<String> = report
        .phases
        .iter()
        .filter(|phase| phase.measured && phase.figures.lag_us.p99 > most_us)
        .map(|phase| format!("{} {:.1} us", phase.name, phase.figures.lag_us.p99))
        .collect();
    if late.is_empty() {
        return Vec::new();
    }
    let late = late.join(", ");
    vec![format!(
        "invalid, the generator was the bottleneck: it sent late by more than {most_us:.1} \
                  us at p99: {late}"
    )]
}

fn load(course: &Course) -> String {
    match course.cause {
        Cause::Answers { in_flight } => {
            format!("closed loop, {} connections x {in_flight} in flight", course.connections)
        }
        Cause::Schedule { arrivals, .. } => {
            let rate = match course.phases.iter().filter(|phase| phase.is_measured()).count() {
                1 => format!("{}/s", grouped(course.rate_max().round() as u64)),
                _ => format!("up to {}/s", grouped(course.rate_max().round() as u64)),
            };
            let poisson = if arrivals == Arrivals::Poisson { ", Poisson arrivals" } else { "" };
            format!("open loop, {rate} over {} connections{poisson}", course.connections)
        }
    }
}

fn ending(end: End) -> &'static str {
    match end {
        End::Reached => "all phases",
        End::Stopped => "ended early by a threshold",
        End::Interrupted => INTERRUPTED,
    }
}

/// Networks, regions and kinds, where there is more than one of them, in these phases together.
fn groups(course: &Course, phases: &[[Vec<Cell>; 3]], window_s: f64) -> Vec<Group> {
    let Some((traffic, _)) = &course.traffic else { return Vec::new() };
    let mut groups = Vec::new();
    for (place, (dimension, parts)) in parts(traffic).into_iter().enumerate() {
        let mut measured = phases.iter().map(|cells| &cells[place]).filter(|it| !it.is_empty());
        let Some(mut cells) = measured.next().filter(|_| parts.len() > 1).cloned() else {
            continue;
        };
        for more in measured {
            cells.iter_mut().zip(more).for_each(|(cell, more)| cell.add(more));
        }
        let whole: f64 = parts.iter().map(|(_, share)| share).sum();
        let sent: u64 = cells.iter().map(|cell| cell.counts.sent).sum();
        for ((name, share), cell) in parts.into_iter().zip(&cells) {
            groups.push(Group {
                dimension: dimension.to_owned(),
                name,
                wanted: share / whole,
                found: cell.counts.sent as f64 / sent.max(1) as f64,
                figures: Figures::of(cell, window_s).with_rate(window_s),
            });
        }
    }
    groups
}

fn parts(traffic: &Traffic) -> [(&'static str, Vec<(String, f64)>); 3] {
    [
        ("network", traffic.networks.iter().map(|it| (it.name.clone(), it.share)).collect()),
        ("region", traffic.regions.iter().map(|it| (it.name.clone(), it.share)).collect()),
        ("kind", traffic.kinds.iter().map(|it| (it.name.clone(), it.share)).collect()),
    ]
}

/// How a run ended that a signal ended.
pub(super) const INTERRUPTED: &str = "interrupted";
