//! The command line: what can be asked for, and whether it makes sense.
//!
//! Arguments are turned into the plain plans of the modules here, so that no other module knows
//! the command line exists.

mod knee;
mod run;
mod speed;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use self::knee::KneeArgs;
use self::run::{CompareArgs, ReportArgs, RunArgs};
use self::speed::{DrainArgs, RestartArgs};
use crate::books::{self, Books, Faults, Span};
use crate::failure::Failure;
use crate::fate::{Decline, Fate, Share};
use crate::floor::{self, Floor};
use crate::frame::Form;
use crate::load::{self, Order};
use crate::partner::{self, Fault, Freeze, Latency, Partner, Rules, duration_ns};
use crate::{child, drain, restart, script};

/// Parses the command line and does what it says.
pub(crate) fn run() -> Result<(), Failure> {
    match Cli::parse().command {
        Command::Partner(args) => args.run(),
        Command::Floor(args) => args.run(),
        Command::Books(args) => books::run(&args.plan()?),
        Command::Run(args) => args.run(),
        Command::Knee(args) => args.run(),
        Command::Report(args) => args.run(),
        Command::Compare(args) => args.run(),
        Command::Drain(args) => drain::run(&args.plan()?),
        Command::Restart(args) => restart::run(&args.plan()?),
        Command::Script(args) => args.run(),
    }
}

/// Load generator, partner simulator and reference forwarder for the authorization switch.
#[derive(Parser)]
#[command(name = "loadtest", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send load, judge every answer, and report rates and latencies
    Run(Box<RunArgs>),
    /// Search the highest rate that keeps thresholds
    Knee(Box<KneeArgs>),
    /// Make the page of a run again from its JSON
    Report(ReportArgs),
    /// Hold runs against the first of them: what changed beyond noise
    Compare(CompareArgs),
    /// Simulate the host that authorizes
    Partner(PartnerArgs),
    /// Forward between acquirer and partner with the least work possible: the yardstick
    Floor(FloorArgs),
    /// Play terminals and host around a switch, and compare what both believe about the money
    Books(Box<BooksArgs>),
    /// Let reversals pile up, and measure how fast they drain beside live traffic
    Drain(DrainArgs),
    /// Let a journal fill, and measure how soon a switch that is started on it approves
    Restart(RestartArgs),
    /// Play acquirers and partners around a switch from files, and check all that comes of it
    Script(ScriptArgs),
}

#[derive(Args)]
struct ScriptArgs {
    /// Scenarios, and folders of scenarios
    #[arg(value_name = "FILE", default_value = "loadtest/scenarios/corridors")]
    files: Vec<PathBuf>,
    /// Only the scenario of this row; may be given more than once
    #[arg(long = "row", value_name = "N")]
    rows: Vec<u64>,
    /// The switch; without it the program authswitch beside this one
    #[arg(long, value_name = "PATH")]
    switch: Option<PathBuf>,
    /// Scenarios at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    jobs: usize,
    /// Show every step, as for a single scenario
    #[arg(long)]
    steps: bool,
}

impl ScriptArgs {
    /// A row that is about many messages is a load, and run as one.
    fn run(self) -> Result<(), Failure> {
        let ScriptArgs { files, mut rows, switch, jobs, steps } = self;
        let mut loads = Vec::new();
        rows.retain(|row| match load_of(*row) {
            Some(load) => {
                loads.push(load);
                false
            }
            None => true,
        });
        for path in &loads {
            let sheet = load::read(path, None)?;
            let (json, hgrm, html) = (None, None, None);
            let switch = switch.clone();
            let (has_screen, notes) = (false, Vec::new());
            load::run(&Order { sheet, switch, json, hgrm, html, has_screen, notes })?;
        }
        if !loads.is_empty() && rows.is_empty() {
            return Ok(());
        }
        script::run(&script::Plan { files, rows, switch, jobs, steps })
    }
}

/// The load scenario of a row.
fn load_of(row: u64) -> Option<PathBuf> {
    let prefix = format!("{row:02}-");
    let files = std::fs::read_dir(LOADS).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_of_row = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(&prefix) && name.ends_with(".toml"))
    };
    files.into_iter().find(is_of_row)
}

/// Where load scenarios are.
const LOADS: &str = "loadtest/scenarios/load";

#[derive(Args)]
struct PartnerArgs {
    /// Address to listen on; port 0 takes a free one and prints it
    #[arg(long, value_name = "ADDR", value_parser = address)]
    listen: SocketAddr,
    /// How long an answer takes: 0us, 5ms, uniform:1ms-3ms, exp:5ms, normal:5ms,1ms,
    /// log-normal:5ms,0.5
    #[arg(long, default_value = "0us", value_name = "SPEC")]
    latency: Latency,
    /// Share of requests declined, and the DE 39 they get: 5 or 5:51
    #[arg(long, default_value = "0", value_name = "PERCENT[:CODE]")]
    decline: Decline,
    /// Share of requests never answered
    #[arg(long, default_value = "0", value_name = "PERCENT")]
    silence: Share,
    /// A fault, KIND WHEN [for LENGTH]: "wrong-stan 0.1%", "reset every 1000", "stall at 10s for
    /// 2s"; may be given more than once, and another word for the kind names all kinds
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<Fault>,
    /// Faults begin, and begin again, with SIGHUP
    #[arg(long)]
    faults_on_hangup: bool,
    /// Stand still for so long, every so often: 100ms/1s
    #[arg(long, value_name = "LENGTH/EVERY")]
    freeze: Option<Freeze>,
    /// Messages carry no TPDU
    #[arg(long)]
    no_tpdu: bool,
    /// Threads that answer
    #[arg(long, default_value_t = 1, value_name = "N")]
    threads: usize,
    /// Print how many different reversals were answered, whenever there are more
    #[arg(long)]
    count_reversals: bool,
    /// End together with the process that started this one
    #[arg(long, hide = true)]
    leashed: bool,
}

#[derive(Args)]
struct FloorArgs {
    /// Address to listen on for acquirers; port 0 takes a free one and prints it
    #[arg(long, value_name = "ADDR", value_parser = address)]
    acquirer: SocketAddr,
    /// Address of the partner
    #[arg(long, value_name = "ADDR", value_parser = address)]
    partner: SocketAddr,
    /// Connections to the partner
    #[arg(long, default_value_t = 4, value_name = "N")]
    partner_sessions: usize,
    /// Messages carry no TPDU
    #[arg(long)]
    no_tpdu: bool,
    /// End together with the process that started this one
    #[arg(long, hide = true)]
    leashed: bool,
}

#[derive(Args)]
struct BooksArgs {
    /// Where the switch listens for acquirers
    #[arg(long, value_name = "ADDR", value_parser = address)]
    acquirer: SocketAddr,
    /// Address to listen on as the partner that the switch calls
    #[arg(long, value_name = "ADDR", value_parser = address)]
    partner: SocketAddr,
    /// Sales per second
    #[arg(long, default_value_t = 300, value_name = "PER_SECOND")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: u64,
    /// How long to sell; 10 if nothing else is said
    #[arg(long, value_name = "SECONDS", conflicts_with = "kills")]
    seconds: Option<f64>,
    /// How long everything may take to come to rest afterwards, without faults
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = duration)]
    quiesce: Duration,
    /// The host is at rest if no reversal has come for so long
    #[arg(long, default_value = "3s", value_name = "TIME", value_parser = duration)]
    rest: Duration,
    /// What the switch promises; terminals wait twice as long and half a second more
    #[arg(long, default_value = "500ms", value_name = "TIME", value_parser = duration)]
    deadline: Duration,
    /// Connections of the terminals
    #[arg(long, default_value_t = 8, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Terminals, each with one sale at a time
    #[arg(long, default_value_t = 4_000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    terminals: u32,
    /// Chooses sales and faults
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// Faults: all, none, or names with a percentage if not their own: late:2.5,silent
    #[arg(long, default_value = "all", value_name = "LIST")]
    faults: Faults,
    /// Folder for acquirer.ndjson and partner.ndjson
    #[arg(long, value_name = "DIR")]
    transcript_dir: Option<PathBuf>,
    /// Start the switch with this command, and end it afterwards
    #[arg(long, value_name = "COMMAND")]
    serve: Option<String>,
    /// Kill the switch about this often and start it again
    #[arg(long, value_name = "SECONDS", requires = "serve")]
    kill_every: Option<f64>,
    /// Sell until the switch has been killed so often
    #[arg(long, value_name = "N", requires = "kill_every")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000))]
    kills: Option<u64>,
    /// Before each kill, cut the power of a disk that is made for this and stands for {disk} in
    /// --serve; exit code 77 if that cannot be done here
    #[arg(long, requires = "kill_every")]
    power_cut: bool,
    /// Freeze the switch (SIGSTOP) about this often, for one to five seconds
    #[arg(long, value_name = "SECONDS", requires = "serve")]
    freeze_every: Option<f64>,
    /// Run this when the switch has ended, and fail if it does; {books} is the transcript folder
    #[arg(long, value_name = "COMMAND")]
    then: Vec<String>,
    /// Keep the outcome as DATE-NAME.json and DATE-NAME.txt
    #[arg(long, value_name = "[DIR/]NAME")]
    record: Option<PathBuf>,
}

impl PartnerArgs {
    fn run(self) -> Result<(), Failure> {
        if self.leashed {
            child::leash()?;
        }
        let fate = Fate { decline: self.decline, silence: self.silence };
        partner::run(Partner {
            listen: self.listen,
            rules: Rules { form: form(self.no_tpdu), fate },
            faults: self.faults,
            faults_on_hangup: self.faults_on_hangup,
            latency: self.latency,
            threads: self.threads,
            counts_reversals: self.count_reversals,
            freeze: self.freeze,
        })
    }
}

impl FloorArgs {
    fn run(self) -> Result<(), Failure> {
        if self.leashed {
            child::leash()?;
        }
        floor::run(Floor {
            acquirer: self.acquirer,
            partner: self.partner,
            partner_sessions: self.partner_sessions,
            form: form(self.no_tpdu),
        })
    }
}

impl BooksArgs {
    fn plan(self) -> Result<Books, Failure> {
        let time = |name: &str, seconds: f64| {
            if (0.05..=86_400.0).contains(&seconds) {
                return Ok(Duration::from_secs_f64(seconds));
            }
            Err(Failure::Usage(format!("{name} {seconds} is not between 0.05 and 86400")))
        };
        let every = |name: &str, seconds: Option<f64>| {
            seconds.map(|seconds| time(name, seconds)).transpose()
        };
        let span = match self.kills {
            Some(kills) => Span::Kills(kills),
            None => Span::Time(time("--seconds", self.seconds.unwrap_or(SECONDS))?),
        };
        Ok(Books {
            acquirer: self.acquirer,
            partner: self.partner,
            rate_per_s: self.rate,
            span,
            quiesce: self.quiesce,
            rest: self.rest,
            deadline: self.deadline,
            connections: self.connections as usize,
            terminals: self.terminals as usize,
            seed: self.seed,
            faults: self.faults,
            transcript_dir: self.transcript_dir,
            serve: self.serve,
            kill_every: every("--kill-every", self.kill_every)?,
            power_cut: self.power_cut,
            freeze_every: every("--freeze-every", self.freeze_every)?,
            then: self.then,
            record: self.record,
        })
    }
}

fn form(no_tpdu: bool) -> Form {
    if no_tpdu { Form::Bare } else { Form::Tpdu }
}

fn duration(text: &str) -> Result<Duration, String> {
    duration_ns(text).map(Duration::from_nanos)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(|| format!("'{text}' is not an address such as 127.0.0.1:8583"))
}

/// How long books are kept unless told otherwise.
const SECONDS: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_run_says_whether_its_loop_is_open_or_closed() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).is_ok();
        assert!(parse("loadtest run --target 127.0.0.1:1 --closed"));
        assert!(parse("loadtest run --target 127.0.0.1:1 --rate 1000"));
        assert!(parse("loadtest run --vs-floor"));
        assert!(!parse("loadtest run --target 127.0.0.1:1"));
        assert!(!parse("loadtest run --target 127.0.0.1:1 --closed --rate 5"));
        assert!(!parse("loadtest run --target nowhere --closed"));
        assert!(!parse("loadtest run --closed"));
    }
}
