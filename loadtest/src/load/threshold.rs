//! Thresholds: `p99 < 2ms`, `lost == 0`, `spike: goodput >= 90%`.
//!
//! A threshold names a figure, a comparison and a bound, and maybe a phase. Without a phase it is
//! about all measured phases together, but for mistakes, which count from the first message to the
//! last. `during/JP: p99 <= 1.10 x before` is about a network, region or kind within a phase, and
//! holds it against another phase. A figure that could not be taken keeps no threshold.

use super::result::{Figures, Report, Stretch};
use crate::partner::duration_ns;
use crate::run::Phase;

/// One threshold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Threshold {
    text: String,
    phase: Option<String>,
    /// A network, region or kind within the phase.
    group: Option<String>,
    figure: Figure,
    relation: Relation,
    bound: f64,
    /// The phase of whose figure the bound is so many times.
    times: Option<String>,
    /// Whether the run ends as soon as it is missed.
    pub(crate) abort: bool,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Figure {
    /// A latency in microseconds.
    Time(Time),
    Lost,
    Wrong,
    Late,
    Unmatched,
    Duplicated,
    Unsent,
    Broken,
    /// All mistakes together.
    Errors,
    Sent,
    Answered,
    Declined,
    /// Right answers per second.
    Rate,
    /// Approved of those that were to leave, in percent.
    Goodput,
    /// How far the share of any part of the traffic is from what it should be, in percent points.
    Mix,
    /// Seconds from the end of a spike until goodput is back.
    Recovery,
    /// The most memory that the switch of the scenario had resident, in MB.
    Memory,
}

/// Which latency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Time {
    P50,
    P90,
    P99,
    P999,
    P9999,
    Max,
    Mean,
    LagP99,
    LagMax,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Relation {
    Below,
    AtMost,
    Equal,
    AtLeast,
    Above,
}

impl Relation {
    fn holds(self, found: f64, bound: f64) -> bool {
        match self {
            Relation::Below => found < bound,
            Relation::AtMost => found <= bound,
            Relation::Equal => found == bound,
            Relation::AtLeast => found >= bound,
            Relation::Above => found > bound,
        }
    }
}

/// What came of a threshold.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
pub(crate) struct Finding {
    pub(crate) threshold: String,
    pub(crate) found: String,
    pub(crate) pass: bool,
    /// What to say if it is missed.
    pub(crate) miss: String,
}

impl Threshold {
    /// Reads a threshold, about this phase if one is given.
    pub(crate) fn read(text: &str, phase: Option<&str>, abort: bool) -> Result<Threshold, String> {
        let wrong = || format!("{text:?} is no threshold such as \"p99 < 2ms\" or \"lost == 0\"");
        let (named, rest) = match text.split_once(": ") {
            Some((named, rest)) => (Some(named.trim()), rest),
            None => (None, text),
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        let (name, relation, bound, times) = match words[..] {
            [name, relation, bound] => (name, relation, bound, None),
            [name, relation, factor, "x", ref other @ ..] if !other.is_empty() => {
                (name, relation, factor, Some(other.join(" ")))
            }
            _ => return Err(wrong()),
        };
        let relation = RELATIONS.iter().find(|(sign, _)| *sign == relation).ok_or_else(wrong)?.1;
        let figure = FIGURES.iter().find(|(known, _)| *known == name);
        let Some((_, figure)) = figure else {
            let names: Vec<&str> = FIGURES.iter().map(|(name, _)| *name).collect();
            return Err(format!("{name:?} is none of {}", names.join(", ")));
        };
        let bound = match figure {
            _ if times.is_some() => bound.parse().map_err(|_| wrong())?,
            Figure::Time(_) => duration_ns(bound)? as f64 / 1e3,
            Figure::Recovery => duration_ns(bound)? as f64 / 1e9,
            Figure::Memory => {
                bound.strip_suffix("MB").and_then(|mb| mb.parse().ok()).ok_or_else(wrong)?
            }
            _ => bound.strip_suffix('%').unwrap_or(bound).parse().map_err(|_| wrong())?,
        };
        let named = named.or(phase);
        // A step has a rate in its name: "steps 200/s".
        let parts = named.and_then(|named| named.rsplit_once('/')).filter(|parts| parts.1 != "s");
        let (phase, group) = match parts {
            Some((phase, group)) => (Some(phase), Some(group.to_owned())),
            None => (named, None),
        };
        let phase = phase.map(str::to_owned);
        let (text, figure) = (text.to_owned(), *figure);
        Ok(Threshold { text, phase, group, figure, relation, bound, times, abort })
    }

    /// No mistakes, and something answered: what holds if nothing else is said.
    pub(crate) fn no_mistakes() -> Vec<Threshold> {
        let all = ["lost", "wrong", "late", "unmatched", "duplicated", "unsent", "broken"];
        let mut texts: Vec<String> = all.iter().map(|name| format!("{name} == 0")).collect();
        texts.push("answered > 0".to_owned());
        texts.iter().filter_map(|text| Threshold::read(text, None, false).ok()).collect()
    }

    /// Whether there is what it is about.
    pub(crate) fn check(&self, phases: &[Phase]) -> Result<(), String> {
        let Some(name) = &self.phase else {
            return match self.figure {
                _ if self.times.is_some() => {
                    Err(format!("{:?} holds a phase against another; name it", self.text))
                }
                Figure::Recovery => Err(format!("{:?} is about a spike; name it", self.text)),
                _ => Ok(()),
            };
        };
        let is_there = |name: &String| phases.iter().any(|phase| is_of(&phase.name, name));
        match is_there(name) && self.times.as_ref().is_none_or(is_there) {
            true => Ok(()),
            false => Err(format!("{:?} is about no phase that there is", self.text)),
        }
    }

    /// Holds it against a report.
    pub(crate) fn judge(&self, report: &Report) -> Finding {
        let found: Vec<Option<f64>> = match &self.phase {
            None => vec![self.overall(report)],
            Some(name) => {
                let phases = report.phases.iter().filter(|phase| is_of(&phase.name, name));
                phases.map(|phase| self.of_phase(phase, report)).collect()
            }
        };
        let bound = self.bound_in(report);
        let keeps = |found: &Option<f64>| match (found, bound) {
            (Some(found), Some(bound)) => self.relation.holds(*found, bound),
            _ => false,
        };
        let shown = found.iter().find(|found| !keeps(found)).or(found.first());
        let pass = !found.is_empty() && found.iter().all(keeps);
        let shown = shown.copied().flatten();
        let mut found = shown.map_or("nothing".to_owned(), |found| self.show(found));
        if let (Some(_), Some(bound), Some(shown)) = (&self.times, bound, shown) {
            found = format!("{found}, {:.2} x", shown / bound * self.bound);
        }
        let threshold = match &self.phase {
            Some(phase) if !self.text.contains(": ") => format!("{phase}: {}", self.text),
            _ => self.text.clone(),
        };
        let name = self.name();
        let miss = match (self.relation, self.figure) {
            (Relation::Equal, _) if self.bound == 0.0 => format!("{found} {name}"),
            (Relation::Below | Relation::AtMost, _) => match bound {
                Some(bound) => format!("{name} {found} above {}", self.show(bound)),
                None => format!("{name} {found}, and nothing to hold it against"),
            },
            _ => format!("{name} {found}, not {threshold}"),
        };
        Finding { threshold, found, pass, miss }
    }

    /// Whether what was seen until now already misses it for good.
    pub(crate) fn is_missed_by(&self, found: &Figures, sent: u64) -> bool {
        if self.group.is_some() || self.times.is_some() {
            return false;
        }
        let grows = matches!(self.relation, Relation::Below | Relation::AtMost | Relation::Equal);
        let settled = match self.figure {
            // A percentile of a few requests says nothing.
            Figure::Time(_) => sent >= SETTLED,
            figure => is_count(figure),
        };
        let value = self.of_figures(found);
        grows
            && settled
            && value
                .is_some_and(|value| !self.relation.holds(value, self.bound) && value > self.bound)
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Which phases it is about; None for all together.
    pub(crate) fn is_about(&self, phase: &str) -> bool {
        self.phase.as_ref().is_none_or(|name| is_of(phase, name))
    }

    fn overall(&self, report: &Report) -> Option<f64> {
        match self.figure {
            Figure::Mix => Some(report.mix_off()),
            Figure::Memory => report.switch_memory_mb,
            Figure::Recovery => None,
            figure if is_count(figure) => count(figure, &report.counts),
            _ => self.of_figures(&report.total),
        }
    }

    fn of_phase(&self, phase: &Stretch, report: &Report) -> Option<f64> {
        match self.figure {
            Figure::Mix => Some(report.mix_off()),
            Figure::Memory => report.switch_memory_mb,
            Figure::Recovery => phase.recovery_s,
            _ => self.of_figures(match &self.group {
                None => &phase.figures,
                Some(name) => &phase.groups.iter().find(|group| group.name == *name)?.figures,
            }),
        }
    }

    /// What it is held against: a number, or what was found in another phase.
    fn bound_in(&self, report: &Report) -> Option<f64> {
        let Some(other) = &self.times else { return Some(self.bound) };
        let other = report.phases.iter().find(|phase| is_of(&phase.name, other))?;
        Some(self.bound * self.of_phase(other, report)?)
    }

    fn of_figures(&self, figures: &Figures) -> Option<f64> {
        let Figures { latency_us, lag_us, .. } = figures;
        let taken = figures.counts.answered > 0;
        let time = |time| match time {
            Time::P50 => latency_us.p50,
            Time::P90 => latency_us.p90,
            Time::P99 => latency_us.p99,
            Time::P999 => latency_us.p99_9,
            Time::P9999 => figures.p99_99_us,
            Time::Max => latency_us.max,
            Time::Mean => figures.mean_us,
            Time::LagP99 => lag_us.p99,
            Time::LagMax => lag_us.max,
        };
        match self.figure {
            Figure::Time(which) => taken.then(|| time(which)),
            Figure::Declined => Some(figures.declined as f64),
            Figure::Rate => Some(figures.rate_per_s),
            Figure::Goodput => Some(figures.goodput * 100.0),
            Figure::Mix | Figure::Recovery | Figure::Memory => None,
            figure => count(figure, &figures.counts),
        }
    }

    fn name(&self) -> &'static str {
        FIGURES.iter().find(|(_, figure)| *figure == self.figure).map_or("", |(name, _)| name)
    }

    fn show(&self, value: f64) -> String {
        match self.figure {
            Figure::Time(_) => format!("{value:.1} us"),
            Figure::Recovery => format!("{value:.2} s"),
            Figure::Goodput | Figure::Mix => format!("{value:.2}%"),
            Figure::Rate => format!("{value:.1}/s"),
            Figure::Memory => format!("{value:.0} MB"),
            _ => format!("{value:.0}"),
        }
    }
}

fn is_of(phase: &str, name: &str) -> bool {
    phase.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

fn is_count(figure: Figure) -> bool {
    count(figure, &crate::run::Counts::default()).is_some()
}

fn count(figure: Figure, counts: &crate::run::Counts) -> Option<f64> {
    let count = match figure {
        Figure::Lost => counts.lost,
        Figure::Wrong => counts.wrong,
        Figure::Late => counts.late,
        Figure::Unmatched => counts.unmatched,
        Figure::Duplicated => counts.duplicated,
        Figure::Unsent => counts.unsent,
        Figure::Broken => counts.broken,
        Figure::Errors => counts.errors(),
        Figure::Sent => counts.sent,
        Figure::Answered => counts.answered,
        _ => return None,
    };
    Some(count as f64)
}

const RELATIONS: [(&str, Relation); 5] = [
    ("<", Relation::Below),
    ("<=", Relation::AtMost),
    ("==", Relation::Equal),
    (">=", Relation::AtLeast),
    (">", Relation::Above),
];

const FIGURES: [(&str, Figure); 25] = [
    ("p50", Figure::Time(Time::P50)),
    ("p90", Figure::Time(Time::P90)),
    ("p99", Figure::Time(Time::P99)),
    ("p99.9", Figure::Time(Time::P999)),
    ("p99.99", Figure::Time(Time::P9999)),
    ("max", Figure::Time(Time::Max)),
    ("mean", Figure::Time(Time::Mean)),
    ("lag.p99", Figure::Time(Time::LagP99)),
    ("lag.max", Figure::Time(Time::LagMax)),
    ("lost", Figure::Lost),
    ("wrong", Figure::Wrong),
    ("late", Figure::Late),
    ("unmatched", Figure::Unmatched),
    ("duplicated", Figure::Duplicated),
    ("unsent", Figure::Unsent),
    ("broken", Figure::Broken),
    ("errors", Figure::Errors),
    ("sent", Figure::Sent),
    ("answered", Figure::Answered),
    ("declined", Figure::Declined),
    ("rate", Figure::Rate),
    ("goodput", Figure::Goodput),
    ("mix", Figure::Mix),
    ("recovery", Figure::Recovery),
    ("memory", Figure::Memory),
];

/// So many requests must have been sent before a percentile may end a run.
const SETTLED: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::super::result::Group;
    use super::*;
    use crate::run::{Counts, Percentiles};

    fn figures() -> Figures {
        Figures {
            counts: Counts { sent: 2_000, answered: 1_999, lost: 1, ..Counts::default() },
            latency_us: Percentiles { p99: 2_000.0, ..Percentiles::default() },
            goodput: 0.995,
            ..Figures::default()
        }
    }

    fn judged(text: &str) -> Finding {
        let mut report = Report::default();
        (report.total, report.counts) = (figures(), figures().counts);
        report.switch_memory_mb = Some(400.0);
        for (name, recovery_s) in
            [("steps 100/s", None), ("steps 200/s", None), ("spike", Some(1.5))]
        {
            let name = name.to_owned();
            let figures = Figures { rate_per_s: 99.0, ..figures() };
            report.phases.push(Stretch { name, recovery_s, figures, ..Stretch::default() });
        }
        report.phases[1].figures.latency_us.p99 = 5_000.0;
        let mut figures = figures();
        figures.latency_us.p99 = 3_000.0;
        report.phases[2].groups.push(Group { name: "JP".into(), figures, ..Group::default() });
        Threshold::read(text, None, false).unwrap().judge(&report)
    }

    #[test]
    fn each_relation_holds_on_its_side() {
        for (text, pass) in [
            ("p99 < 2ms", false),
            ("p99 <= 2ms", true),
            ("p99 < 2.1ms", true),
            ("lost == 0", false),
            ("lost == 1", true),
            ("errors <= 1", true),
            ("goodput >= 99.5%", true),
            ("goodput > 99.5%", false),
            ("answered >= 2000", false),
            ("steps: p99 <= 2ms", false),
            ("steps 100/s: p99 <= 2ms", true),
            ("step: p99 <= 2ms", false),
            ("spike: recovery < 2s", true),
            ("spike: recovery < 1.5s", false),
            ("steps: recovery < 9s", false),
            ("memory <= 400MB", true),
            ("memory < 400MB", false),
            ("steps 200/s: p99 <= 2.5 x steps 100/s", true),
            ("steps 200/s: p99 < 2.5 x steps 100/s", false),
            ("spike/JP: p99 <= 4ms", true),
            ("spike/JP: p99 <= 2 x steps 100/s", false),
            ("spike/KR: p99 <= 4ms", false),
        ] {
            assert_eq!(judged(text).pass, pass, "{text}: {:?}", judged(text));
        }
        assert_eq!(judged("lost == 0").miss, "1 lost");
        assert_eq!(judged("p99 < 2ms").miss, "p99 2000.0 us above 2000.0 us");
        assert_eq!(judged("steps: p99 <= 2ms").found, "5000.0 us");
    }

    #[test]
    fn only_what_cannot_get_better_ends_a_run() {
        let missed = |text: &str, sent| {
            Threshold::read(text, None, true).unwrap().is_missed_by(&figures(), sent)
        };
        assert!(missed("lost == 0", 1) && missed("p99 < 1ms", 2_000));
        assert!(!missed("p99 < 1ms", 999) && !missed("lost <= 1", 2_000));
        assert!(!missed("answered >= 5000", 2_000) && !missed("goodput >= 100", 2_000));
    }

    #[test]
    fn slips_of_the_pen_are_told() {
        for text in [
            "p99 < 2",
            "p98 < 2ms",
            "p99<2ms",
            "lost == none",
            "lost = 0",
            "lost == 0 0",
            "memory < 9",
            "p99 < 2ms x before",
            "p99 < 2 x",
        ] {
            assert!(Threshold::read(text, None, false).is_err(), "{text}");
        }
        assert!(Threshold::no_mistakes().len() == 8);
    }
}
