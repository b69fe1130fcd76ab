//! Reversals that pile up while a partner is silent, and drain when it is back.
//!
//! One switch, one partner, one disk. Live traffic is measured in slices, each with a p99 of its
//! own: some before, as many as it takes while the reversals drain, some after; the goal compares
//! the medians, so that one bad moment of the machine decides nothing. Between them the partner
//! takes every request and answers none until enough reversals are owed, then goes away, and comes
//! back as one that answers. How fast the queue drains is what that partner counts itself.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::child::{Running, affinity, free_address};
use crate::clock::{now_ns, pause};
use crate::disk::Scratch;
use crate::failure::Failure;
use crate::fate::Fate;
use crate::frame::Form;
use crate::goal::{self, Goal, median};
use crate::partner::Count;
use crate::record;
use crate::report::{Progress, grouped, say};
use crate::run::{self, Load, Outcome, Plan, Stage, Terms};
use crate::serve::{self, Durability, Serve};

/// What to let pile up, and beside which traffic it drains.
#[derive(Clone, Debug)]
pub(crate) struct Drain {
    pub(crate) switch: Option<PathBuf>,
    pub(crate) durability: Durability,
    pub(crate) journal: Option<PathBuf>,
    pub(crate) form: Form,
    pub(crate) reversals: u64,
    pub(crate) queue_rate_per_s: u64,
    pub(crate) rate_per_s: u64,
    pub(crate) slice: Duration,
    pub(crate) slices: usize,
    pub(crate) json: Option<PathBuf>,
    pub(crate) check: bool,
}

/// Runs the measurement, prints it, and with `--check` fails if a goal is missed.
pub(crate) fn run(drain: &Drain) -> Result<(), Failure> {
    let mut field = Field::start(drain)?;
    let mut progress = Progress::of_steps(2 * drain.slices + 2);
    let slices = |field: &Field, name: &str, progress: &mut Progress| {
        (0..drain.slices)
            .map(|_| {
                progress.step(name.into());
                let slice = field.slice(drain);
                progress.advance();
                slice
            })
            .collect::<Result<Vec<Slice>, Failure>>()
    };
    let before = slices(&field, "before", &mut progress)?;
    progress.step("reversals pile up".into());
    let owed = field.pile_up(drain)?;
    progress.advance();
    progress.step("reversals drain".into());
    let (counts, back_at_ns) = field.come_back(drain)?;
    let (during, told) = field.slices_until_drained(drain, owed, &counts)?;
    progress.advance();
    let after = slices(&field, "after", &mut progress)?;
    progress.finish();
    let filesystem = field.scratch.filesystem();
    drop(field);
    let report = Report::new(drain, filesystem, owed, back_at_ns, &told, [before, during, after]);
    report.print(drain);
    if let Some(path) = &drain.json {
        record::write(path, &report)?;
    }
    if drain.check { goal::judge(&report.goals) } else { Ok(()) }
}

/// Live traffic for a moment.
#[derive(Debug, Serialize)]
struct Slice {
    begin_ns: u64,
    end_ns: u64,
    #[serde(flatten)]
    outcome: Outcome,
}

/// Switch and partner, running; dropped in this order, and last the folder of the journal.
struct Field {
    switch: Running,
    partner: Option<Running>,
    partner_address: SocketAddr,
    scratch: Scratch,
}

impl Field {
    fn start(drain: &Drain) -> Result<Field, Failure> {
        let scratch = Scratch::below(drain.journal.as_deref())?;
        say(&format!("the journal is kept in {}, which goes away", scratch.path().display()));
        let cores = affinity()?;
        let partner_address = free_address()?;
        let command = serve::partner(drain.form, partner_address, &[])?;
        let partner = Running::start("partner", command, &cores, partner_address, drain.form)?;
        let journal = scratch.path().join("journal");
        let serve = Serve {
            program: drain.switch.as_deref(),
            form: drain.form,
            durability: drain.durability,
            journal: Some(&journal),
            workers: None,
            deadline: DEADLINE,
        };
        let address = free_address()?;
        let mut command = serve.command()?;
        command.args(["--acquirer", &address.to_string()]);
        command.args(["--partner", &partner_address.to_string()]);
        command.args(["--partner-sessions", PARTNER_SESSIONS]);
        let switch = Running::start("switch", command, &cores, address, drain.form)?;
        Ok(Field { switch, partner: Some(partner), partner_address, scratch })
    }

    fn slice(&self, drain: &Drain) -> Result<Slice, Failure> {
        let load = Load::Open { rate_per_s: drain.rate_per_s };
        let plan = self.plan(drain, load, drain.slice, Fate::default());
        let mut times_ns = Vec::new();
        let outcome = run::measure(&plan, &mut |stage| {
            if matches!(stage, Stage::Begin | Stage::End) {
                times_ns.push(now_ns());
            }
        })?;
        let [begin_ns, end_ns] = times_ns[..] else {
            return Err(Failure::Run("a slice of live traffic had no end".into()));
        };
        Ok(Slice { begin_ns, end_ns, outcome })
    }

    fn plan(&self, drain: &Drain, load: Load, duration: Duration, fate: Fate) -> Plan {
        Plan {
            target: self.switch.address,
            load,
            connections: CONNECTIONS,
            warm_up: WARM_UP,
            duration,
            terms: Terms::new(drain.form, fate, TIMEOUT.as_nanos() as u64),
        }
    }

    /// The partner falls silent, and goes away once enough is owed: how many reversals.
    fn pile_up(&mut self, drain: &Drain) -> Result<u64, Failure> {
        self.partner = None;
        let command = serve::partner(drain.form, self.partner_address, &serve::SILENT)?;
        let silent = Running::spawn("partner", quiet(command), &affinity()?, self.partner_address);
        self.partner = Some(silent?);
        let probes = serve::await_silence(&self.switch, drain.form, DEADLINE)?;
        let rate_per_s = drain.queue_rate_per_s;
        let seconds = drain.reversals as f64 / rate_per_s as f64;
        let length = Duration::from_secs_f64(seconds).saturating_sub(WARM_UP);
        let load = Load::Open { rate_per_s };
        let outcome =
            run::measure(&self.plan(drain, load, length, serve::inoperative()), &mut |_| ())?;
        let mistakes: u64 = outcome.counts.mistakes().iter().map(|(_, count)| count).sum();
        if mistakes > 0 {
            let text =
                format!("{mistakes} requests were not declined while the partner was silent");
            return Err(Failure::Run(text));
        }
        self.partner = None;
        pause(DOWN);
        Ok(outcome.counts.answered + probes)
    }

    /// The partner is back and answers; its counts, and when it was up.
    fn come_back(&mut self, drain: &Drain) -> Result<(Receiver<Count>, u64), Failure> {
        let address = self.partner_address;
        let mut command = serve::partner(drain.form, address, &["--count-reversals"])?;
        command.stdout(Stdio::piped());
        let back_at_ns = now_ns();
        let mut partner = Running::spawn("partner", command, &affinity()?, address)?;
        let (give, counts) = channel();
        if let Some(stdout) = partner.stdout() {
            let read = move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if Count::read(&line).is_some_and(|count| give.send(count).is_err()) {
                        return;
                    }
                }
            };
            let spawned = thread::Builder::new().name("counts".into()).spawn(read);
            spawned.map_err(|error| Failure::of("start a thread", error))?;
        }
        self.partner = Some(partner);
        self.switch.wait_ready(drain.form, READY_EVERY)?;
        Ok((counts, back_at_ns))
    }

    /// Live traffic until everything owed has come, or nothing comes any more.
    fn slices_until_drained(
        &self,
        drain: &Drain,
        owed: u64,
        counts: &Receiver<Count>,
    ) -> Result<(Vec<Slice>, Vec<Count>), Failure> {
        let mut told: Vec<Count> = Vec::new();
        let mut slices = Vec::new();
        loop {
            slices.push(self.slice(drain)?);
            let before = told.last().map_or(0, |count| count.reversals);
            told.extend(counts.try_iter());
            let now = told.last().map_or(0, |count| count.reversals);
            if now >= owed || (now == before && slices.len() > SLICES_WITHOUT_PROGRESS) {
                return Ok((slices, told));
            }
        }
    }
}

fn quiet(mut command: std::process::Command) -> std::process::Command {
    command.stdout(Stdio::null());
    command
}

/// What a drain found.
#[derive(Serialize)]
struct Report {
    durability: Durability,
    filesystem: String,
    /// Reversals that had to come, that came, and the messages they came in.
    owed: u64,
    drained: u64,
    copies: u64,
    /// From the start of the partner to the first reversal.
    first_after_ms: f64,
    drain_s: f64,
    drained_per_s: f64,
    before: Phase,
    during: Phase,
    after: Phase,
    goals: Vec<Goal>,
}

/// Slices of live traffic that belong together.
#[derive(Serialize)]
struct Phase {
    /// Medians of the slices.
    p50_us: f64,
    p99_us: f64,
    mistakes: u64,
    slices: Vec<Slice>,
}

impl Phase {
    fn new(slices: Vec<Slice>) -> Phase {
        let middle = |value: &dyn Fn(&Slice) -> f64| median(slices.iter().map(value).collect());
        let mistakes = slices.iter().flat_map(|slice| slice.outcome.counts.mistakes());
        Phase {
            p50_us: middle(&|slice| slice.outcome.latency_us.p50),
            p99_us: middle(&|slice| slice.outcome.latency_us.p99),
            mistakes: mistakes.map(|(_, count)| count).sum(),
            slices,
        }
    }
}

impl Report {
    fn new(
        drain: &Drain,
        filesystem: String,
        owed: u64,
        back_at_ns: u64,
        told: &[Count],
        [before, mut during, after]: [Vec<Slice>; 3],
    ) -> Report {
        let first = told.first().copied().unwrap_or(Count { reversals: 0, copies: 0, at_ns: 0 });
        let last = told.last().copied().unwrap_or(first);
        // The last slice may be live traffic alone for the most part.
        let is_full = |slice: &Slice| slice.end_ns <= last.at_ns;
        if during.iter().any(is_full) {
            during.retain(is_full);
        }
        let drain_s = last.at_ns.saturating_sub(first.at_ns) as f64 / 1e9;
        let drained_per_s = (last.reversals - first.reversals) as f64 / drain_s;
        let [before, during, after] = [before, during, after].map(Phase::new);
        let quiet_us = median(
            [&before, &after]
                .iter()
                .flat_map(|phase| &phase.slices)
                .map(|slice| slice.outcome.latency_us.p99)
                .collect(),
        );
        let mistakes = before.mistakes + during.mistakes + after.mistakes;
        let goals = vec![
            Goal::at_least("reversals that came", last.reversals as f64, owed as f64),
            Goal::at_least("reversals drained per second", drained_per_s, RATE_GOAL),
            Goal::at_most(
                "live p99, while it drains / before, after",
                during.p99_us / quiet_us,
                P99_GOAL,
            ),
            Goal::at_most("live answers lost, wrong, late or crossed", mistakes as f64, 0.0),
        ];
        Report {
            durability: drain.durability,
            filesystem,
            owed,
            drained: last.reversals,
            copies: last.copies,
            first_after_ms: first.at_ns.saturating_sub(back_at_ns) as f64 / 1e6,
            drain_s,
            drained_per_s,
            before,
            during,
            after,
            goals,
        }
    }

    fn print(&self, drain: &Drain) {
        let (owed, durability) = (grouped(self.owed), self.durability.name());
        let rate = grouped(drain.rate_per_s);
        say(&format!("durability {durability}, journal on {}", self.filesystem));
        say(&format!("{owed} reversals owed, live traffic of {rate}/s; medians of slices\n"));
        say(&format!(
            "{:<16}{:>12}{:>16}{:>16}{:>18}",
            "live traffic", "slices", "p50 us", "p99 us", "mistakes"
        ));
        for (name, phase) in
            [("before", &self.before), ("while it drains", &self.during), ("after", &self.after)]
        {
            let Phase { p50_us, p99_us, mistakes, slices } = phase;
            let slices = slices.len();
            say(&format!("  {name:<16}{slices:>10}{p50_us:>16.1}{p99_us:>16.1}{mistakes:>18}"));
        }
        let (drained, copies) = (grouped(self.drained), grouped(self.copies));
        let (first_ms, drain_s) = (self.first_after_ms, self.drain_s);
        say(&format!("\n{drained} reversals in {copies} messages, {drain_s:.2} s, the first"));
        say(&format!("{first_ms:.0} ms after the start of the partner\n"));
        goal::print(&self.goals);
    }
}

/// What the switch promises: long enough for a slow disk, and soon over when the partner is silent.
const DEADLINE: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 64;
const PARTNER_SESSIONS: &str = "4";
const WARM_UP: Duration = Duration::from_millis(200);
/// How long the partner is not there at all.
const DOWN: Duration = Duration::from_millis(500);
const READY_EVERY: Duration = Duration::from_millis(2);
/// Reversals wait a while after a loss before they come again.
const SLICES_WITHOUT_PROGRESS: usize = 10;
const RATE_GOAL: f64 = 10_000.0;
const P99_GOAL: f64 = 1.1;
