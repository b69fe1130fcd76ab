//! From the start of a switch with a full journal to its first approval.
//!
//! The journal is filled by the switch itself, under load, so that it has what a crash leaves:
//! either reversals that are owed, because the partner takes every request and answers none, or
//! approvals that their terminals may still take back. Then the switch is killed. The disk is
//! spared meanwhile (durability `process`): what is written is the same. Each start has a copy of
//! that journal, on the disk and in the page cache, and a partner that answers; the time runs from
//! the start of the process to the first approval, over a connection that is tried every
//! millisecond.
//!
//! What may be owed to one partner is bounded, so there are several, one after the other on one
//! route, and one more that is owed nothing yet: a switch whose partners are all owed too much
//! declines by design, and there would be nothing to measure.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Serialize;

use crate::child::{Running, affinity, free_address};
use crate::clock::now_ns;
use crate::disk::Scratch;
use crate::failure::Failure;
use crate::fate::Fate;
use crate::frame::Form;
use crate::goal::{self, Goal, median};
use crate::record;
use crate::report::{Progress, grouped, say};
use crate::run::{self, Load, Plan, Terms};
use crate::serve::{self, Durability};

/// What to fill a journal with, and how often to start on it.
#[derive(Clone, Debug)]
pub(crate) struct Restart {
    pub(crate) switch: Option<PathBuf>,
    pub(crate) durability: Durability,
    pub(crate) journal: Option<PathBuf>,
    pub(crate) form: Form,
    pub(crate) open: u64,
    pub(crate) fill: Fill,
    pub(crate) rate_per_s: u64,
    pub(crate) starts: usize,
    pub(crate) json: Option<PathBuf>,
    pub(crate) check: bool,
}

/// How records come to be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fill {
    /// Each is a reversal that is owed.
    Owed,
    /// Each is an approval that its terminal may take back.
    Approved,
}

/// Runs the measurement, prints it, and with `--check` fails if a goal is missed.
pub(crate) fn run(restart: &Restart) -> Result<(), Failure> {
    let scratch = Scratch::below(restart.journal.as_deref())?;
    say(&format!("the journal is kept in {}, which goes away", scratch.path().display()));
    let site = Site::build(restart, scratch.path())?;
    let mut progress = Progress::of_steps(restart.starts + 1);
    progress.step("the journal fills".into());
    site.fill(restart)?;
    progress.advance();
    site.configure(restart, restart.durability)?;
    let mut starts = Vec::new();
    for number in 1..=restart.starts {
        progress.step(format!("start {number}"));
        starts.push(site.start(restart)?);
        progress.advance();
    }
    progress.finish();
    let report = Report::new(restart, &scratch, &site, starts)?;
    report.print();
    if let Some(path) = &restart.json {
        record::write(path, &report)?;
    }
    if restart.check { goal::judge(&report.goals) } else { Ok(()) }
}

/// Folders and addresses of all lives of the switch.
struct Site {
    program: PathBuf,
    config: PathBuf,
    /// Where the journal is filled, and where a copy of it is used; each has a folder `journal`.
    filled: PathBuf,
    used: PathBuf,
    acquirer: SocketAddr,
    partner: SocketAddr,
}

impl Site {
    fn build(restart: &Restart, folder: &Path) -> Result<Site, Failure> {
        let site = Site {
            program: serve::program(restart.switch.as_deref())?.canonicalize().map_err(of_files)?,
            config: folder.join("config"),
            filled: folder.join("filled"),
            used: folder.join("used"),
            acquirer: free_address()?,
            partner: free_address()?,
        };
        fs::create_dir_all(&site.config).map_err(of_files)?;
        fs::create_dir_all(&site.filled).map_err(of_files)?;
        let partners = partners(restart.open);
        fs::write(site.config.join("routes.toml"), routes_toml(partners)).map_err(of_files)?;
        site.configure(restart, Durability::Process)?;
        Ok(site)
    }

    /// Writes the configuration: for a journal with this durability.
    fn configure(&self, restart: &Restart, durability: Durability) -> Result<(), Failure> {
        let partners = partners(restart.open);
        let text = switch_toml(self, durability, serve::dialect(restart.form), partners);
        fs::write(self.config.join("switch.toml"), text).map_err(of_files)
    }

    /// The command that starts the switch on the journal in `folder`.
    fn command(&self, folder: &Path) -> Result<Command, Failure> {
        let output = fs::File::create(folder.join(OUTPUT)).map_err(of_files)?;
        let mut command = Command::new(&self.program);
        command.arg("serve").arg("--config").arg(&self.config).current_dir(folder).stdout(output);
        Ok(command)
    }

    /// Lets the switch fill its journal, and kills it.
    fn fill(&self, restart: &Restart) -> Result<(), Failure> {
        let (form, cores) = (restart.form, affinity()?);
        let (fate, manner): (Fate, &[&str]) = match restart.fill {
            Fill::Owed => (serve::inoperative(), &serve::SILENT),
            Fill::Approved => (Fate::default(), &[]),
        };
        let mut command = serve::partner(form, self.partner, manner)?;
        command.stdout(std::process::Stdio::null());
        let partner = Running::spawn("partner", command, &cores, self.partner)?;
        let command = self.command(&self.filled)?;
        let mut switch = Running::spawn("switch", command, &cores, self.acquirer)?;
        match restart.fill {
            Fill::Owed => drop(serve::await_silence(&switch, form, BUDGET)?),
            Fill::Approved => switch.wait_ready(form, READY_EVERY)?,
        }
        let seconds = restart.open as f64 / restart.rate_per_s as f64 + MARGIN_S;
        let plan = Plan {
            target: self.acquirer,
            load: Load::Open { rate_per_s: restart.rate_per_s },
            connections: CONNECTIONS,
            warm_up: Duration::ZERO,
            duration: Duration::from_secs_f64(seconds),
            terms: Terms::new(form, fate, TIMEOUT.as_nanos() as u64),
        };
        let outcome = run::measure(&plan, &mut |_| ())?;
        let mistakes: u64 = outcome.counts.mistakes().iter().map(|(_, count)| count).sum();
        drop(switch);
        drop(partner);
        if mistakes > 0 || outcome.counts.answered < restart.open {
            let (answered, open) = (outcome.counts.answered, restart.open);
            return Err(Failure::Run(format!(
                "the journal did not fill: {answered} of {open} answered, {mistakes} mistakes"
            )));
        }
        Ok(())
    }

    /// One start on a copy of the journal.
    fn start(&self, restart: &Restart) -> Result<Start, Failure> {
        // It is not there before the first start.
        let _ = fs::remove_dir_all(&self.used);
        copy(&self.filled.join(JOURNAL), &self.used.join(JOURNAL)).map_err(of_files)?;
        let (form, cores) = (restart.form, affinity()?);
        let command = serve::partner(form, self.partner, &[])?;
        let _partner = Running::start("partner", command, &cores, self.partner, form)?;
        let command = self.command(&self.used)?;
        let started_at_ns = now_ns();
        let mut switch = Running::spawn("switch", command, &cores, self.acquirer)?;
        switch.wait_ready(form, READY_EVERY)?;
        let approved_after_ms = (now_ns() - started_at_ns) as f64 / 1e6;
        let cpu_ms = switch.cpu_ns()? as f64 / 1e6;
        drop(switch);
        let output = fs::read_to_string(self.used.join(OUTPUT)).map_err(of_files)?;
        let (transactions, owed) = found(&output).ok_or_else(|| {
            Failure::Run("the switch does not say what it found in its journal".into())
        })?;
        Ok(Start { approved_after_ms, cpu_ms, transactions, owed })
    }
}

/// One start.
#[derive(Debug, Serialize)]
struct Start {
    approved_after_ms: f64,
    /// CPU time of the switch up to then.
    cpu_ms: f64,
    /// What it says it found.
    transactions: u64,
    owed: u64,
}

/// All starts.
#[derive(Serialize)]
struct Report {
    durability: Durability,
    filesystem: String,
    fill: Fill,
    open: u64,
    journal_mb: u64,
    p50_ms: f64,
    max_ms: f64,
    starts: Vec<Start>,
    goals: Vec<Goal>,
}

impl Report {
    fn new(
        restart: &Restart,
        scratch: &Scratch,
        site: &Site,
        starts: Vec<Start>,
    ) -> Result<Report, Failure> {
        let times_ms = || starts.iter().map(|start| start.approved_after_ms);
        let max_ms = times_ms().fold(0.0, f64::max);
        let found = starts.iter().map(|start| match restart.fill {
            Fill::Owed => start.owed,
            Fill::Approved => start.transactions,
        });
        let found = found.min().unwrap_or(0);
        let goals = vec![
            Goal::at_least("records found open", found as f64, restart.open as f64),
            Goal::at_most("start to first approval, ms, the slowest", max_ms, GOAL_MS),
        ];
        let bytes = size(&site.filled.join(JOURNAL)).map_err(of_files)?;
        Ok(Report {
            durability: restart.durability,
            filesystem: scratch.filesystem(),
            fill: restart.fill,
            open: restart.open,
            journal_mb: bytes / 1_000_000,
            p50_ms: median(times_ms().collect()),
            max_ms,
            starts,
            goals,
        })
    }

    fn print(&self) {
        let (durability, filesystem) = (self.durability.name(), &self.filesystem);
        let what = match self.fill {
            Fill::Owed => "reversals owed",
            Fill::Approved => "approvals that may be taken back",
        };
        say(&format!("durability {durability}, journal on {filesystem}, filled by the switch:"));
        say(&format!("{} {what}, {} MB\n", grouped(self.open), self.journal_mb));
        say(&format!(
            "{:<8}{:>20}{:>12}{:>18}{:>18}",
            "start", "first approval ms", "CPU ms", "transactions", "owed"
        ));
        for (number, start) in (1..).zip(&self.starts) {
            let Start { approved_after_ms, cpu_ms, transactions, owed } = start;
            let (transactions, owed) = (grouped(*transactions), grouped(*owed));
            say(&format!(
                "  {number:<6}{approved_after_ms:>20.0}{cpu_ms:>12.0}{transactions:>18}{owed:>18}"
            ));
        }
        say(&format!("\np50 {:.0} ms, max {:.0} ms\n", self.p50_ms, self.max_ms));
        goal::print(&self.goals);
    }
}

fn of_files(error: std::io::Error) -> Failure {
    Failure::of("prepare the files of the measurement", error)
}

/// Transactions and debts, out of what a switch prints at its start.
fn found(output: &str) -> Option<(u64, u64)> {
    let line =
        output.lines().find(|line| line.starts_with("journal ") && line.contains(" owed"))?;
    let number = |name: &str| {
        let part = line.split([':', ',']).find(|part| part.trim_end().ends_with(name))?;
        part.split_whitespace().next()?.parse().ok()
    };
    Some((number(" transactions")?, number(" owed")?))
}

/// Copies a journal, onto the disk: a start after a crash finds it there, and a first sync of the
/// switch that wrote all of the copy out would be counted against it.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let copied = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &copied)?;
            continue;
        }
        fs::copy(entry.path(), &copied)?;
        fs::File::open(&copied)?.sync_all()?;
    }
    fs::File::open(to)?.sync_all()
}

fn size(folder: &Path) -> std::io::Result<u64> {
    fs::read_dir(folder)?.try_fold(0, |sum, entry| Ok(sum + entry?.metadata()?.len()))
}

/// How many partners it takes to owe so much, and one more.
fn partners(open: u64) -> u64 {
    open / OWED_TO_ONE_MAX + 2
}

fn switch_toml(site: &Site, durability: Durability, dialect: &str, partners: u64) -> String {
    let (acquirer, partner, durability) = (site.acquirer, site.partner, durability.name());
    let mut text = format!(
        "durability = \"{durability}\"\njournal = \"{JOURNAL}\"\n\n[[acquirer]]\nname = \"pos\"\n\
         listen = \"{acquirer}\"\ndialect = \"{dialect}\"\n"
    );
    for number in 1..=partners {
        text += &format!(
            "\n[[partner]]\nname = \"partner-{number}\"\nconnect = \"{partner}\"\nsessions = 4\n\
             breaker_failures = 0\n\
             dialect = \"{dialect}\"\n"
        );
    }
    text
}

fn routes_toml(partners: u64) -> String {
    let names: Vec<String> = (1..=partners).map(|number| format!("\"partner-{number}\"")).collect();
    let budget = BUDGET.as_millis();
    format!(
        "check_merchants = false\n\n[[network]]\nname = \"ANY\"\npans = [\n    \
         {{ from = \"4\", to = \"6\", length = 16 }},\n]\n\n[[route]]\nname = \"any\"\n\
         network = \"ANY\"\nregion = \"*\"\npartners = [{}]\nbudget = \"{budget}ms\"\n",
        names.join(", ")
    )
}

/// Below what a switch lets pile up for one partner (262,144) before it asks the next.
const OWED_TO_ONE_MAX: u64 = 262_144;
/// How much longer than it should take the journal is filled, in seconds.
const MARGIN_S: f64 = 0.2;
const BUDGET: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(20);
const READY_EVERY: Duration = Duration::from_millis(1);
const CONNECTIONS: usize = 64;
const JOURNAL: &str = "journal";
const OUTPUT: &str = "switch.log";
const GOAL_MS: f64 = 1_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_read_from_the_output() {
        let output = "durability   power\njournal      new key in x\n\
                      journal   journal: 9 batches, 1048576 transactions, 1000040 owed\nready\n";
        assert_eq!(found(output), Some((1_048_576, 1_000_040)));
        assert_eq!(found("ready\n"), None);
    }
}
