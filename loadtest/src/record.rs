//! A result that can be found again: what was run, when, on which machine, of which commit.
//!
//! A figure without these is a rumour. They go around the result in its JSON file; the result
//! itself does not know them.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::clock::{Moment, NS_PER_S, wall_ns};
use crate::failure::Failure;
use crate::report;

/// Writes `result` to a file, with where it comes from in front.
pub(crate) fn write(path: &Path, result: &impl Serialize) -> Result<(), Failure> {
    report::write_json(path, &Record { origin: Origin::now(), result })
}

#[derive(Serialize)]
struct Record<'r, R> {
    #[serde(flatten)]
    origin: Origin,
    #[serde(flatten)]
    result: &'r R,
}

/// Where a result comes from.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Origin {
    pub(crate) date: String,
    /// None outside of a repository.
    pub(crate) commit: Option<String>,
    pub(crate) command: String,
    pub(crate) machine: Machine,
}

impl Origin {
    /// Here and now.
    pub(crate) fn now() -> Origin {
        let moment = Moment::of(wall_ns() / NS_PER_S);
        let Moment { year, month, day, hour, minute, .. } = moment;
        Origin {
            date: format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}Z"),
            commit: checkout("--short=12")
                .map(|(commit, changed)| if changed { format!("{commit}+") } else { commit }),
            command: command(std::env::args()),
            machine: Machine::this(),
        }
    }
}

/// What it ran on.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    memory_mb: u64,
    kernel: String,
}

impl Machine {
    pub(crate) fn this() -> Machine {
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

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { processor, cores, memory_mb, kernel } = self;
        write!(f, "{processor}, {cores} cores, {} GiB, Linux {kernel}", (memory_mb + 512) / 1_024)
    }
}

/// What stands behind the colon of the first line that begins with `name`.
fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, value) = text.lines().find(|line| line.starts_with(name))?.split_once(':')?;
    Some(value.trim())
}

/// The commit that is checked out where this runs, and whether files differ from it.
pub(crate) fn checkout(short: &str) -> Option<(String, bool)> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).stdin(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", short, "HEAD"])?;
    let changes = git(&["status", "--porcelain", "--untracked-files=no"]);
    Some((commit, changes.is_none_or(|changes| !changes.is_empty())))
}

/// The command line as it would be typed: the program by its name alone, and what has spaces in
/// quotes.
pub(crate) fn command(arguments: impl Iterator<Item = String>) -> String {
    let mut words = arguments.map(|word| match word.split_whitespace().count() {
        1 => word,
        _ => format!("'{}'", word.split_whitespace().collect::<Vec<&str>>().join(" ")),
    });
    let program = words.next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default().to_owned();
    std::iter::once(name).chain(words).collect::<Vec<String>>().join(" ")
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
