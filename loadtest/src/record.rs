//! A result that can be found again: what was run, when, on which machine, of which commit.
//!
//! A figure without these is a rumour. They go around the result in its JSON file; the result
//! itself does not know them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

use crate::clock::{Moment, NS_PER_S, wall_ns};
use crate::failure::Failure;
use crate::report;

/// Writes `result` to a file, with where it comes from in front.
pub(crate) fn write(path: &Path, result: &impl Serialize) -> Result<(), Failure> {
    let moment = Moment::of(wall_ns() / NS_PER_S);
    let Moment { year, month, day, hour, minute, .. } = moment;
    let origin = Record {
        date: format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}Z"),
        commit: commit(),
        command: command(std::env::args()),
        machine: Machine::this(),
        result,
    };
    report::write_json(path, &origin)
}

#[derive(Serialize)]
struct Record<'r, R> {
    date: String,
    /// None outside of a repository.
    commit: Option<String>,
    command: String,
    machine: Machine,
    #[serde(flatten)]
    result: &'r R,
}

#[derive(Serialize)]
struct Machine {
    processor: String,
    cores: usize,
    memory_mb: u64,
    kernel: String,
}

impl Machine {
    fn this() -> Machine {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let (processors, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let total = value(&memory, "MemTotal").and_then(|text| text.split(' ').next());
        Machine {
            processor: value(&processors, "model name").unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mb: total.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) / 1_024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

/// What stands behind the colon of the first line that begins with `name`.
fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, value) = text.lines().find(|line| line.starts_with(name))?.split_once(':')?;
    Some(value.trim())
}

/// The commit that is checked out where this runs; with a plus if files differ from it.
fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}+") })
}

/// The command line as it would be typed: the program by its name alone.
fn command(mut arguments: impl Iterator<Item = String>) -> String {
    let program = arguments.next().unwrap_or_default();
    let name = Path::new(&program).file_name().map(|name| name.to_string_lossy().into_owned());
    name.into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_told_without_the_place_of_its_program() {
        let words = ["/somewhere/release/loadtest", "run", "--closed"].map(str::to_owned);
        assert_eq!(command(words.into_iter()), "loadtest run --closed");
    }

    #[test]
    fn a_value_stands_behind_its_name() {
        let text = "vendor\t: A\nmodel name\t: B 1\nmodel name\t: C\n";
        assert_eq!(value(text, "model name"), Some("B 1"));
        assert_eq!(value(text, "cache"), None);
    }
}
