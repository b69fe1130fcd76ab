//! A switch against the floor, in one run.
//!
//! Absolute figures of a shared machine move by a tenth from one hour to the next, so nothing is
//! compared across runs: every round measures each program with each load, one right after the
//! other, and the ratios are taken within the round. All programs face the same partner and stay
//! up for the whole run; an idle one costs nothing.

mod goals;
mod table;

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use rustix::thread::CpuSet;
use serde::Serialize;

use self::table::Comparison;
use crate::child::{Running, affinity, cpu_ns, free_address, one_core, set_affinity};
use crate::disk::{Commit, Scratch, group_commit};
use crate::failure::Failure;
use crate::frame::Form;
use crate::machine::{Elsewhere, Usage};
use crate::record;
use crate::report::{Progress, say};
use crate::run::{self, Load, Outcome, Plan, Stage, Terms};
use crate::serve::{self, Durability, Serve};

/// What to compare, and how.
#[derive(Clone, Debug)]
pub(crate) struct Versus {
    pub(crate) switch: Option<PathBuf>,
    pub(crate) durability: Durability,
    /// Below which folder the journal is made.
    pub(crate) journal: Option<PathBuf>,
    pub(crate) workers: Option<usize>,
    pub(crate) programs: Vec<Program>,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) rates: Vec<u64>,
    pub(crate) rounds: usize,
    pub(crate) duration: Duration,
    pub(crate) placement: Placement,
    pub(crate) partner_sessions: usize,
    pub(crate) terms: Terms,
    pub(crate) json: Option<PathBuf>,
    pub(crate) check: bool,
}

/// What stands between load and partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Program {
    /// Nothing: the limit of load and partner themselves.
    None,
    /// The minimal forwarder.
    Floor,
    /// The switch.
    Switch,
}

impl Program {
    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Program::None => "none",
            Program::Floor => "floor",
            Program::Switch => "switch",
        }
    }
}

/// Which cores things run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Placement {
    /// The program on one core, load and partner on another.
    Pinned,
    /// Everything on one core: no wake-ups across cores.
    OneCore,
    /// Wherever the kernel likes.
    Free,
}

/// A closed loop, written `64x16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Shape, String> {
        let number = |text: &str| text.parse().ok().filter(|n| (1..=60_000).contains(n));
        text.split_once('x')
            .and_then(|(connections, in_flight)| {
                let (connections, in_flight) = (number(connections)?, number(in_flight)?);
                Some(Shape { connections, in_flight })
            })
            .ok_or_else(|| format!("'{text}' is not CONNECTIONSxIN_FLIGHT, such as 64x16"))
    }
}

/// One load that every program is measured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) connections: usize,
    pub(crate) load: Load,
}

/// One program under one load in one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measurement {
    pub(crate) round: usize,
    pub(crate) case: String,
    pub(crate) program: Program,
    /// CPU time of the program per answered message, in microseconds.
    pub(crate) cpu_us: Option<f64>,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// The disk under a journal: its filesystem, and a group commit in each round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Disk {
    pub(crate) filesystem: String,
    pub(crate) commits: Vec<Commit>,
}

/// Runs the comparison, prints it, and with `--check` fails if a goal is missed.
pub(crate) fn run(versus: &Versus) -> Result<(), Failure> {
    let cases = versus.cases();
    let mut field = Field::start(versus)?;
    let (usage, own_ns) = (Usage::now(), field.cpu_ns()?);
    let mut measurements = Vec::new();
    let mut commits = Vec::new();
    let mut progress = Progress::of_steps(versus.rounds * cases.len() * field.programs.len());
    for round in 1..=versus.rounds {
        commits.extend(field.group_commit()?);
        for case in &cases {
            // Whoever comes first finds the machine differently: take turns at it.
            let turn = (round - 1) % field.programs.len();
            for index in 0..field.programs.len() {
                let index = (index + turn) % field.programs.len();
                let program = field.programs[index].0;
                progress.step(format!("round {round}: {} {}", case.name(), program.name()));
                measurements.push(field.measure(versus, round, case, index)?);
                progress.advance();
            }
        }
    }
    progress.finish();
    let own_ns = field.cpu_ns()? - own_ns;
    let elsewhere: Option<Elsewhere> =
        usage.zip(Usage::now()).map(|(before, now)| now.elsewhere_since(&before, own_ns));
    let disk = field.scratch.as_ref();
    let disk = disk.map(|scratch| Disk { filesystem: scratch.filesystem(), commits });
    drop(field);
    let comparison = Comparison::new(versus, &cases, measurements, disk, elsewhere);
    comparison.print();
    if let Some(path) = &versus.json {
        record::write(path, &comparison)?;
    }
    if versus.check { comparison.judge() } else { Ok(()) }
}

impl Versus {
    fn cases(&self) -> Vec<Case> {
        let closed = self.shapes.iter().map(|shape| Case {
            connections: shape.connections,
            load: Load::Closed { in_flight: shape.in_flight },
        });
        let open = self.rates.iter().map(|&rate_per_s| Case {
            connections: OPEN_CONNECTIONS,
            load: Load::Open { rate_per_s },
        });
        closed.chain(open).collect()
    }

    fn warm_up(&self) -> Duration {
        (self.duration / 4).clamp(WARM_UP_MIN, WARM_UP_MAX)
    }
}

impl Case {
    /// Its name in tables and in JSON.
    pub(crate) fn name(&self) -> String {
        match self.load {
            Load::Closed { in_flight } => format!("{}x{in_flight}", self.connections),
            Load::Open { rate_per_s } => format!("{rate_per_s}/s"),
        }
    }
}

/// The partner and the programs, running. Dropped in this order: programs first, the folder of the
/// journal last.
struct Field {
    programs: Vec<(Program, Option<Running>)>,
    partner: Running,
    scratch: Option<Scratch>,
}

impl Field {
    fn start(versus: &Versus) -> Result<Field, Failure> {
        let (program_cores, load_cores) = cores(versus.placement)?;
        set_affinity(&load_cores)?;
        let form = versus.terms.form;
        let scratch = match versus.durability {
            Durability::None => None,
            _ => Some(Scratch::below(versus.journal.as_deref())?),
        };
        if let Some(scratch) = &scratch {
            let folder = scratch.path().display();
            say(&format!("the journal is kept in {folder}, which goes away"));
        }
        let this = env::current_exe().map_err(|error| Failure::of("find this program", error))?;
        let address = free_address()?;
        let command = serve::partner(form, address, &[])?;
        let partner = Running::start("partner", command, &load_cores, address, form)?;
        let mut programs = Vec::new();
        for &program in &versus.programs {
            let address = free_address()?;
            let mut command = match program {
                Program::None => {
                    programs.push((program, None));
                    continue;
                }
                Program::Floor => {
                    let mut command = Command::new(&this);
                    command.args(["floor", "--leashed"]);
                    add_form(&mut command, form);
                    command
                }
                Program::Switch => switch(versus, scratch.as_ref())?,
            };
            command.args(["--acquirer", &address.to_string()]);
            command.args(["--partner", &partner.address.to_string()]);
            command.args(["--partner-sessions", &versus.partner_sessions.to_string()]);
            let running = Running::start(program.name(), command, &program_cores, address, form)?;
            programs.push((program, Some(running)));
        }
        Ok(Field { programs, partner, scratch })
    }

    /// What a group commit costs at the moment, if there is a journal.
    fn group_commit(&self) -> Result<Option<Commit>, Failure> {
        self.scratch.as_ref().map(|scratch| group_commit(scratch.path())).transpose()
    }

    /// CPU time used so far by the programs, the partner and the load together, in ns.
    fn cpu_ns(&self) -> Result<u64, Failure> {
        let programs = self.programs.iter().filter_map(|(_, running)| running.as_ref());
        programs.chain([&self.partner]).try_fold(cpu_ns("self")?, |sum_ns, running| {
            running.cpu_ns().map(|cpu_ns| sum_ns + cpu_ns)
        })
    }

    fn measure(
        &mut self,
        versus: &Versus,
        round: usize,
        case: &Case,
        index: usize,
    ) -> Result<Measurement, Failure> {
        let (program, running) = &self.programs[index];
        let plan = Plan {
            target: running.as_ref().map_or(self.partner.address, |running| running.address),
            load: case.load,
            connections: case.connections,
            warm_up: versus.warm_up(),
            duration: versus.duration,
            terms: versus.terms,
        };
        let mut cpu_ns = Vec::new();
        let outcome = run::measure(&plan, &mut |stage| {
            if let (Stage::Begin | Stage::End, Some(running)) = (stage, running) {
                cpu_ns.push(running.cpu_ns());
            }
        })?;
        let cpu_ns = cpu_ns.into_iter().collect::<Result<Vec<u64>, Failure>>()?;
        let cpu_us = match cpu_ns[..] {
            [begin, end] if outcome.answered_in_window > 0 => {
                Some((end - begin) as f64 / 1e3 / outcome.answered_in_window as f64)
            }
            _ => None,
        };
        Ok(Measurement { round, case: case.name(), program: *program, cpu_us, outcome })
    }
}

/// The command that starts the switch, but for its addresses.
fn switch(versus: &Versus, scratch: Option<&Scratch>) -> Result<Command, Failure> {
    let journal = scratch.map(|scratch| scratch.path().join("journal"));
    let serve = Serve {
        program: versus.switch.as_deref(),
        form: versus.terms.form,
        durability: versus.durability,
        journal: journal.as_deref(),
        workers: versus.workers,
        deadline: DEADLINE,
    };
    serve.command()
}

fn add_form(command: &mut Command, form: Form) {
    if form == Form::Bare {
        command.arg("--no-tpdu");
    }
}

/// The cores of the program, and those of load and partner.
fn cores(placement: Placement) -> Result<(CpuSet, CpuSet), Failure> {
    let allowed = affinity()?;
    let mut each = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
    match (placement, each.next(), each.next()) {
        (Placement::Free, _, _) => Ok((allowed, allowed)),
        (Placement::OneCore, Some(core), _) => Ok((one_core(core)?, one_core(core)?)),
        (Placement::Pinned, Some(first), Some(second)) => Ok((one_core(first)?, one_core(second)?)),
        _ => Err(Failure::Usage("--placement pinned needs two cores".into())),
    }
}

/// What the switch promises.
const DEADLINE: Duration = Duration::from_millis(1_500);
const OPEN_CONNECTIONS: usize = 64;
const WARM_UP_MIN: Duration = Duration::from_millis(100);
const WARM_UP_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_as_written() {
        assert_eq!("64x16".parse(), Ok(Shape { connections: 64, in_flight: 16 }));
        for wrong in ["64", "x", "0x1", "64x", "axb"] {
            assert!(wrong.parse::<Shape>().is_err(), "{wrong}");
        }
    }
}
