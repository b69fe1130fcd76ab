//! What is kept of a run: the figures as JSON, and the text that a person saw, side by side.
//!
//! A claim of "nothing lost" is worth what can be told of how it was found: date, machine, commit
//! and the whole command line are part of it, and so is what the checkers said that ran afterwards.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Serialize;

use super::process::Tally;
use super::rig::Outcome;
use super::verdict::Verdict;
use crate::clock::{Moment, NS_PER_S, wall_ns};
use crate::failure::Failure;
use crate::record::{Machine, checkout, command};
use crate::report::write_json;

/// A run and its circumstances.
#[derive(Debug, Serialize)]
pub(crate) struct Record {
    date: String,
    commit: String,
    machine: String,
    command: String,
    seed: u64,
    pub(crate) passed: bool,
    /// The host came to rest and every terminal knows.
    rested: bool,
    seconds: f64,
    #[serde(flatten)]
    verdict: Verdict,
    /// The verdict has the first of them.
    findings_in_all: usize,
    unsent: u64,
    #[serde(flatten)]
    tally: Tally,
    pub(crate) checks: Vec<Check>,
}

/// A command that ran after the switch had ended.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    command: String,
    exit_code: Option<i32>,
    output: String,
}

impl Record {
    /// Of a run that has come to its end.
    pub(crate) fn new(seed: u64, outcome: Outcome, checks: Vec<Check>) -> Record {
        let Outcome { mut verdict, unsent, rested, played_ns, tally } = outcome;
        let clean = rested && verdict.transactions > 0 && verdict.findings.is_empty();
        let passed = clean && checks.iter().all(|check| check.exit_code == Some(0));
        let findings_in_all = verdict.findings.len();
        verdict.findings.truncate(FINDINGS_MAX);
        let [command, commit] = [command(std::env::args()), commit()];
        let machine = Machine::this().to_string();
        let seconds = played_ns as f64 / NS_PER_S as f64;
        Record {
            date: date(),
            commit,
            machine,
            command,
            seed,
            passed,
            rested,
            seconds,
            verdict,
            findings_in_all,
            unsent,
            tally,
            checks,
        }
    }

    /// The text for a person.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("books of seed {}:\n{}", self.seed, self.verdict.table());
        let mut row = |name: &str, count: u64| text += &format!("  {name:<36}{count:>10}\n");
        row("sales no terminal could make", self.unsent);
        let tally = &self.tally;
        for (name, count) in [
            ("kills", tally.kills),
            ("of these before the first approval", tally.early),
            ("of these by power cut", tally.power_cuts),
            ("of these noticed by the switch", tally.halts),
            ("freezes", tally.freezes),
        ] {
            if count > 0 {
                row(name, count);
            }
        }
        if tally.kills > 0 {
            let (p50, max) = middle_and_max(tally.recoveries_ns.clone());
            text += &format!("  restart to first approval: p50 {p50:.0} ms, max {max:.0} ms\n");
        }
        for finding in &self.verdict.findings {
            text += &format!("{finding}\n");
        }
        for check in &self.checks {
            text += &format!("\n$ {}\n{}", check.command, check.output);
            text += &format!("exit code {}\n", check.exit_code.unwrap_or(-1));
        }
        text
    }

    /// Writes `NAME.json` and `NAME.txt`, the name with the date before it.
    pub(crate) fn write(&self, name: &Path) -> Result<(), Failure> {
        let file = name.file_name().map(|file| file.to_string_lossy().into_owned());
        let file = file.ok_or_else(|| Failure::Usage("--record names no file".into()))?;
        let day = self.date.get(..10).unwrap_or_default();
        let path = |ending: &str| name.with_file_name(format!("{day}-{file}.{ending}"));
        if let Some(folder) = name.parent() {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|error| Failure::of("make the folder of the record", error))?;
        }
        write_json(&path("json"), self)?;
        let Record { date, commit, machine, command, .. } = self;
        let verdict = if self.passed { "passed" } else { "FAILED" };
        let head = format!("{date}, commit {commit}, {machine}\n$ {command}\n\n");
        let text = format!("{head}{}\n{verdict} after {:.0} s\n", self.text(), self.seconds);
        std::fs::write(path("txt"), text).map_err(|error| Failure::of("write the record", error))
    }

    /// One sentence if it did not pass.
    pub(crate) fn judge(&self) -> Result<(), Failure> {
        let failed = self.checks.iter().find(|check| check.exit_code != Some(0));
        let sentence = match (self.findings_in_all, failed) {
            _ if !self.rested => "it did not come to rest in time".to_owned(),
            _ if self.verdict.transactions == 0 => "no sale could be made".to_owned(),
            (0, None) => return Ok(()),
            (0, Some(check)) => format!("{} failed", check.command),
            (count, _) => format!("{count} findings"),
        };
        Err(Failure::Run(sentence))
    }
}

/// Runs a command, words separated by blanks, and keeps what it says. The folders of this run,
/// each with the name it has in commands, are shown by their names.
pub(crate) fn check(command: &str, folders: &[(&str, &str)]) -> Result<Check, Failure> {
    let mut words = command.split_whitespace();
    let program = words.next().ok_or_else(|| Failure::Usage("--then names no program".into()))?;
    let output = Command::new(program).args(words).stdin(Stdio::null()).output();
    let output = output.map_err(|error| Failure::of(&format!("start {program}"), error))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let named =
        |text: String| folders.iter().fold(text, |text, (name, folder)| text.replace(folder, name));
    let lines: Vec<String> = named(said).lines().map(str::to_owned).collect();
    let output_text = lines.iter().enumerate().fold(String::new(), |text, (at, line)| match at {
        // The first lines say most of what was found, the last ones what it comes to.
        _ if at < FINDINGS_MAX || at + LAST_LINES >= lines.len() => text + line + "\n",
        FINDINGS_MAX => text + "...\n",
        _ => text,
    });
    let command = named(command.split_whitespace().collect::<Vec<&str>>().join(" "));
    Ok(Check { command, exit_code: output.status.code(), output: output_text })
}

/// The median and the longest of durations in ns, in ms.
fn middle_and_max(mut durations_ns: Vec<u64>) -> (f64, f64) {
    durations_ns.sort_unstable();
    let ms = |ns: Option<&u64>| ns.map_or(f64::NAN, |&ns| ns as f64 / 1e6);
    (ms(durations_ns.get(durations_ns.len() / 2)), ms(durations_ns.last()))
}

fn date() -> String {
    let Moment { year, month, day, hour, minute, .. } = Moment::of(wall_ns() / NS_PER_S);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

fn commit() -> String {
    match checkout("--short") {
        None => "unknown".into(),
        Some((commit, false)) => commit,
        Some((commit, true)) => format!("{commit} with changes"),
    }
}

/// Lines kept of what was found.
const FINDINGS_MAX: usize = 40;
/// Lines kept of the end of what was said.
const LAST_LINES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        let verdict = Verdict { transactions: 7, approved: 7, ..Verdict::default() };
        let tally =
            Tally { kills: 2, recoveries_ns: vec![5_000_000, 9_000_000], ..Tally::default() };
        Outcome { verdict, unsent: 0, rested: true, played_ns: NS_PER_S, tally }
    }

    #[test]
    fn a_record_is_dated_and_tells_its_circumstances() {
        let folder = std::env::temp_dir().join(format!("loadtest-record-{}", std::process::id()));
        let record = Record::new(
            7,
            outcome(),
            vec![check("echo /a/b clean", &[("{disk}", "/a/b")]).unwrap()],
        );
        record.judge().unwrap();
        record.write(&folder.join("kill")).unwrap();
        let mut names: Vec<String> = Vec::new();
        for entry in std::fs::read_dir(&folder).unwrap() {
            names.push(entry.unwrap().file_name().into_string().unwrap());
        }
        names.sort();
        let day = &record.date[..10];
        assert_eq!(names, [format!("{day}-kill.json"), format!("{day}-kill.txt")]);
        let text = std::fs::read_to_string(folder.join(&names[1])).unwrap();
        assert!(
            text.contains("cores") && text.contains("$ echo {disk} clean\n{disk} clean\n"),
            "{text}"
        );
        assert!(text.contains("kills                                        2\n"), "{text}");
        assert!(text.contains("p50 9 ms, max 9 ms") && text.ends_with("passed after 1 s\n"));
        let json = std::fs::read_to_string(folder.join(&names[0])).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&json["transactions"], &json["kills"], &json["lost"]),
            (&7.into(), &2.into(), &0.into())
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_a_check_finds_fails_the_run() {
        let record = Record::new(7, outcome(), vec![check("false", &[]).unwrap()]);
        assert!(!record.passed);
        assert!(record.judge().unwrap_err().to_string().contains("false failed"));
    }
}
