//! Scenarios: both sides of a switch played from files, every expectation checked.
//!
//! A scenario starts the real program on a configuration of its own, is its acquirers and its
//! partners over loopback sockets, and says of each step what must come of it ([`read`] has the
//! form). It is not a load test: the few scenarios that send many messages ask whether each of them
//! is right, not how fast they are.

mod compose;
mod judge;
mod moment;
mod play;
mod read;
mod scenario;
mod show;
mod stage;
mod switch;
mod table;
mod tongue;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

pub(crate) use self::moment::Zero;
pub(crate) use self::scenario::{Change, Edit};
pub(crate) use self::switch::Site;

use crate::clock::now_ns;
use crate::failure::Failure;
use crate::serve;

/// What is to be played.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Files, and folders of files.
    pub(crate) files: Vec<PathBuf>,
    /// Only those of these rows; all if there is none.
    pub(crate) rows: Vec<u64>,
    /// The switch, if not the one beside this program.
    pub(crate) switch: Option<PathBuf>,
    /// Scenarios at once.
    pub(crate) jobs: usize,
    /// Whether steps are shown even if all is well.
    pub(crate) steps: bool,
}

/// Plays everything and prints a table; a failure if anything is not as expected.
pub(crate) fn run(plan: &Plan) -> Result<(), Failure> {
    let program = serve::program(plan.switch.as_deref())?;
    let files = files(&plan.files)?;
    let mut scenarios = Vec::new();
    let mut mistakes = Vec::new();
    for file in &files {
        let checked =
            read::read(file).and_then(|scenario| play::check(&scenario).map(|()| scenario));
        match checked {
            Ok(scenario) => scenarios.push(scenario),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if !mistakes.is_empty() {
        return Err(Failure::Usage(mistakes.join("\n")));
    }
    scenarios.retain(|it| plan.rows.is_empty() || plan.rows.contains(&it.row));
    if scenarios.is_empty() {
        return Err(Failure::Usage("no scenario is of that row".to_owned()));
    }
    let steps = plan.steps || scenarios.len() == 1;
    let from_ns = now_ns();
    let next = AtomicUsize::new(0);
    let (sender, results) = channel();
    show::head();
    let missed = thread::scope(|scope| {
        for _ in 0..plan.jobs.clamp(1, scenarios.len()) {
            let (sender, next, scenarios, program) = (sender.clone(), &next, &scenarios, &program);
            scope.spawn(move || {
                while let Some(place) = Some(next.fetch_add(1, Ordering::Relaxed))
                    && let Some(scenario) = scenarios.get(place)
                {
                    let from_ns = now_ns();
                    let played = play::play(scenario, program);
                    let took = Duration::from_nanos(now_ns() - from_ns);
                    let _ = sender.send((place, played, took));
                }
            });
        }
        drop(sender);
        let mut waiting = std::collections::BTreeMap::new();
        let (mut shown, mut missed) = (0, Vec::new());
        for (place, played, took) in results {
            waiting.insert(place, (played, took));
            // In the order of the files, as soon as all before are there.
            while let Some((played, took)) = waiting.remove(&shown) {
                if !show::scenario(&scenarios[shown], &played, took, steps) {
                    missed.push(scenarios[shown].file.display().to_string());
                }
                shown += 1;
            }
        }
        missed
    });
    show::foot(scenarios.len(), missed.len(), Duration::from_nanos(now_ns() - from_ns));
    match missed.is_empty() {
        true => Ok(()),
        false => Err(Failure::Run(format!("not as expected: {}", missed.join(", ")))),
    }
}

/// All files that are meant, those of a folder by their names.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let failed = |error| Failure::Usage(format!("{}: {error}", path.display()));
        let entries = fs::read_dir(path).map_err(failed)?;
        let is_scenario = |path: &PathBuf| path.extension().is_some_and(|end| end == "toml");
        let entries = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut found: Vec<PathBuf> = entries.filter(is_scenario).collect();
        found.sort();
        if found.is_empty() {
            let path = Path::display(path);
            return Err(Failure::Usage(format!("{path}: no scenario is in this folder")));
        }
        files.append(&mut found);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether they hold is seen by playing them; that they can be played, here.
    #[test]
    fn every_corridor_can_be_played_and_has_its_number() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/corridors");
        let mut rows = Vec::new();
        for file in files(&[folder]).expect("a folder") {
            let scenario = read::read(&file).expect("a scenario");
            assert_eq!(play::check(&scenario), Ok(()));
            let name = file.file_name().and_then(|name| name.to_str()).expect("plain characters");
            assert!(name.starts_with(&format!("{:02}-", scenario.row)), "{name}");
            assert!(scenario.title.chars().count() <= 57, "{name}: its title fits the table");
            let whats = scenario.steps.iter().map(|step| step.what.chars().count());
            assert!(whats.max() <= Some(55), "{name}: each step fits the table");
            rows.push(scenario.row);
        }
        let all = rows.len();
        rows.dedup();
        assert_eq!(rows.len(), all, "one scenario for each row");
    }
}
