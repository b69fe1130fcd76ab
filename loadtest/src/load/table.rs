//! The report as a table for a person at 80 columns.

use super::result::{Figures, Report};
use crate::report::{grouped, say};
use crate::run::Percentiles;

/// Prints everything that was found.
pub(super) fn print(report: &Report) {
    let measured = report.phases.iter().filter(|phase| phase.measured).count();
    let warm_up: f64 =
        report.phases.iter().filter(|it| !it.measured).map(|it| it.to_s - it.from_s).sum();
    let window_s = report.window_s;
    say(&format!("{}, {window_s:.1} s after {warm_up:.1} s of warm-up\n", report.load));
    let left = [
        ("sent", grouped(report.counts.sent)),
        ("answered", grouped(report.counts.answered)),
        ("rate /s", grouped(report.rate_per_s.round() as u64)),
    ];
    for (index, (name, count)) in report.counts.mistakes().iter().enumerate() {
        let (left_name, left_value) = match left.get(index) {
            Some((name, value)) => (*name, value.as_str()),
            None => ("", ""),
        };
        let count = grouped(*count);
        say(&format!("  {left_name:<10}{left_value:>18}      {name:<20}{count:>16}"));
    }
    let codes: Vec<String> =
        report.codes.iter().map(|(code, count)| format!("{code}: {}", grouped(*count))).collect();
    say(&format!("\n  DE 39 of the answers   {}\n", codes.join("   ")));
    say("  latency us         p50         p90         p99       p99.9         max");
    say(&row("", &report.latency_us));
    if report.total.lag_us.max > 0.0 {
        say(&row("send lag", &report.total.lag_us));
    }
    if measured > 1 {
        phases(report);
    }
    groups(report);
    findings(report);
}

fn row(name: &str, latency: &Percentiles) -> String {
    let Percentiles { p50, p90, p99, p99_9, max } = latency;
    format!("  {name:<10}{p50:>12.1}{p90:>12.1}{p99:>12.1}{p99_9:>12.1}{max:>12.1}")
}

fn phases(report: &Report) {
    say("\n  phase                  /s     sent  errors  good %     p50 us     p99 us");
    for phase in &report.phases {
        say(&line(&phase.name, &phase.figures));
        if let Some(seconds) = phase.recovery_s {
            say(&format!("    99 % of requests approved again {seconds:.2} s after its end"));
        }
        // Each group in each phase would be most of the table where there are many.
        if phase.groups.len() <= GROUPS_SHOWN {
            phase.groups.iter().for_each(|it| say(&line(&format!("  {}", it.name), &it.figures)));
        }
    }
}

fn line(name: &str, figures: &Figures) -> String {
    let Figures { counts, rate_per_s, goodput, latency_us, .. } = figures;
    let name: String = name.chars().take(18).collect();
    format!(
        "  {name:<18}{:>8}{:>9}{:>8}{:>8.2}{:>11.1}{:>11.1}",
        grouped(rate_per_s.round() as u64),
        grouped(counts.sent),
        grouped(counts.errors()),
        goodput * 100.0,
        latency_us.p50,
        latency_us.p99,
    )
}

fn groups(report: &Report) {
    let mut dimension = "";
    for group in &report.groups {
        if group.dimension != dimension {
            dimension = &group.dimension;
            say(&format!(
                "\n  {dimension:<18}     sent  share %  wanted  errors     p50 us     p99 us"
            ));
        }
        let Figures { counts, latency_us, .. } = &group.figures;
        let name: String = group.name.chars().take(18).collect();
        say(&format!(
            "  {name:<18}{:>9}{:>9.2}{:>8.2}{:>8}{:>11.1}{:>11.1}",
            grouped(counts.sent),
            group.found * 100.0,
            group.wanted * 100.0,
            grouped(counts.errors()),
            latency_us.p50,
            latency_us.p99,
        ));
    }
}

fn findings(report: &Report) {
    if report.findings.iter().any(|it| !it.pass) || report.findings.len() > 8 {
        say("");
    }
    for finding in &report.findings {
        let verdict = if finding.pass { "pass" } else { "MISS" };
        say(&format!("  {:<40}{:>26}    {verdict}", finding.threshold, finding.found));
    }
    report.invalid.iter().for_each(|reason| say(&format!("  {reason}")));
    if report.end != "all phases" {
        say(&format!("  {}", report.end));
    }
}

const GROUPS_SHOWN: usize = 4;
