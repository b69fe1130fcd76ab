//! A load run from beginning to end: scenario or flags in, figures, files and a verdict out.
//!
//! The sending itself is `run`'s. Here phases are named and thresholds held against what was seen,
//! while it runs where that is asked for, and afterwards for the report. A run is declared invalid
//! when the generator was the bottleneck: then its figures are those of the generator.

mod compare;
mod figures;
mod knee;
mod result;
mod sheet;
mod stage;
mod table;
mod threshold;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use self::compare::Change;
pub(crate) use self::knee::{Search, knee};
pub(crate) use self::result::{Figures, Report};
pub(crate) use self::sheet::{Sheet, interval, read};
pub(crate) use self::threshold::Threshold;

use crate::child::cpu_ns;
use crate::clock::now_ns;
use crate::failure::Failure;
use crate::live::{Moment, Plan, View};
use crate::page;
use crate::record::Origin;
use crate::report::{say, write_json, write_text};
use crate::run::{Cell, End, Event, Tally, follow};

/// What to run, and what to keep of it.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) sheet: Sheet,
    /// The switch that a scenario starts, if not the one beside this program.
    pub(crate) switch: Option<PathBuf>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) hgrm: Option<PathBuf>,
    pub(crate) html: Option<PathBuf>,
    /// Whether a terminal shows how it goes.
    pub(crate) has_screen: bool,
    /// What else there is to know about the run.
    pub(crate) notes: Vec<(String, String)>,
}

/// A report with where it comes from: what a JSON file holds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Kept {
    #[serde(flatten)]
    pub(crate) origin: Origin,
    #[serde(flatten)]
    pub(crate) report: Report,
}

/// Runs it, prints a table, writes the files, and fails if a threshold is missed.
pub(crate) fn run(order: &Order) -> Result<(), Failure> {
    let mut sheet = order.sheet.clone();
    let mut environment: BTreeMap<String, String> = order.notes.iter().cloned().collect();
    let set = match &sheet.stage {
        Some(stage) => Some(stage.start(order.switch.as_deref(), &sheet.course)?),
        None => None,
    };
    if let Some(set) = &set {
        sheet.course.target = set.target;
        environment.insert("durability".into(), set.durability.into());
    }
    let switch_ns = set.as_ref().map(|set| set.switch.cpu_ns()).transpose()?;
    let (begun_ns, own_ns) = (now_ns(), cpu_ns("self")?);
    let (tally, end) = send(&sheet, order.has_screen)?;
    let elapsed_ns = (now_ns() - begun_ns).max(1) as f64;
    let generator_cpu = (cpu_ns("self")? - own_ns) as f64 / elapsed_ns;
    if let (Some(set), Some(before_ns)) = (&set, switch_ns) {
        let used_ns = set.switch.cpu_ns()?.saturating_sub(before_ns) as f64;
        let per_message = used_ns / 1e3 / tally.counts.answered.max(1) as f64;
        environment.insert("CPU of the switch per answer".into(), format!("{per_message:.2} us"));
    }
    let merged = figures::merged(&sheet.course, &tally);
    let memory_mb = set.as_ref().map(|set| set.switch.memory_mb()).transpose()?;
    if let Some(memory_mb) = memory_mb {
        environment.insert("memory of the switch at most".into(), format!("{memory_mb:.0} MB"));
    }
    let mut report = figures::report(&sheet, (&tally, &merged), end, memory_mb);
    (report.environment, report.generator_cpu) = (environment, generator_cpu);
    let kept = Kept { origin: Origin::now(), report };
    table::print(&kept.report);
    keep(order, &kept, &merged)?;
    verdict(&kept.report)
}

/// Sends until the course is over, somebody interrupts, or a threshold that may not be missed is.
fn send(sheet: &Sheet, has_screen: bool) -> Result<(Tally, End), Failure> {
    let course = &sheet.course;
    let (begun_ns, mut ended) = (now_ns(), None);
    let plan = Plan {
        title: sheet.title.clone(),
        target: course.target.to_string(),
        phases: course.phases.iter().map(|phase| phase.name.clone()).collect(),
        length: course.length(),
    };
    let mut view = View::new(plan, has_screen);
    let followed = follow(course, &mut |event| {
        if let Event::Tick(tally) = event {
            view.show(moment(tally, begun_ns));
            if let Some(threshold) = missed(sheet, tally) {
                ended = Some(threshold);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    view.finish();
    if let Some(threshold) = ended {
        say(&format!("ended early: {threshold}"));
    }
    followed
}

fn moment(tally: &Tally, begun_ns: u64) -> Moment {
    let now_ns = now_ns();
    Moment {
        elapsed: Duration::from_nanos(now_ns - begun_ns),
        phase: tally.running(),
        counts: tally.counts,
        declined: tally.phases.iter().map(|cell| cell.declined).sum(),
        latency_us: tally.timeline.as_ref().map_or_else(Default::default, |it| it.latest(now_ns)),
    }
}

/// A threshold that ends the run and is missed for good.
fn missed(sheet: &Sheet, tally: &Tally) -> Option<String> {
    let mut aborting = sheet.thresholds.iter().filter(|threshold| threshold.abort).peekable();
    aborting.peek()?;
    for threshold in aborting {
        for (phase, cell) in sheet.course.phases.iter().zip(&tally.phases) {
            let is_about = phase.is_measured() && threshold.is_about(&phase.name);
            let found = Figures::of(cell, 0.0);
            if is_about && threshold.is_missed_by(&found, cell.counts.sent) {
                let name = &phase.name;
                return Some(format!("{} in {name}", threshold.text()));
            }
        }
    }
    None
}

fn keep(order: &Order, kept: &Kept, merged: &Cell) -> Result<(), Failure> {
    if let Some(path) = &order.json {
        write_json(path, kept)?;
    }
    if let Some(path) = &order.hgrm {
        write_text(path, &result::hgrm(&merged.latency_ns))?;
    }
    if let Some(path) = &order.html {
        write_text(path, &page::html(std::slice::from_ref(kept), &[]))?;
    }
    Ok(())
}

/// What a run is worth: its thresholds, and whether it was one.
fn verdict(report: &Report) -> Result<(), Failure> {
    let missed = report.findings.iter().filter(|finding| !finding.pass);
    let mut missed: Vec<&str> = missed.map(|finding| finding.miss.as_str()).collect();
    missed.extend(report.invalid.iter().map(String::as_str));
    if missed.is_empty() {
        return match report.end.as_str() {
            figures::INTERRUPTED => Err(Failure::Run("interrupted".into())),
            _ => Ok(()),
        };
    }
    Err(Failure::Threshold(format!("thresholds missed: {}", missed.join(", "))))
}

/// Makes the page of a run again from what was kept of it, and prints its table.
pub(crate) fn rebuild(json: &Path, html: Option<&Path>) -> Result<(), Failure> {
    let kept = read_kept(json)?;
    table::print(&kept.report);
    let html = html.map_or_else(|| json.with_extension("html"), Path::to_owned);
    write_text(&html, &page::html(&[kept], &[]))
}

/// Holds runs against the first of them.
pub(crate) fn compare(files: &[PathBuf], html: Option<&Path>) -> Result<(), Failure> {
    let runs = files.iter().map(|path| read_kept(path)).collect::<Result<Vec<Kept>, Failure>>()?;
    let changes = compare::changes(&runs);
    compare::print(&runs, &changes);
    match html {
        Some(path) => write_text(path, &page::html(&runs, &changes)),
        None => Ok(()),
    }
}

/// Reads what was kept of a run.
fn read_kept(path: &Path) -> Result<Kept, Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::Usage(format!("{}: no report of a run: {error}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    serde_json::from_str(&text).map_err(|error| wrong(&error))
}
