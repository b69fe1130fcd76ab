//! What is asked of a load run: a scenario file, or flags that say the same in short.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::speed::VersusArgs;
use super::{address, duration, form};
use crate::child;
use crate::failure::Failure;
use crate::fate::{Decline, Fate, Share};
use crate::load::{self, Order, Sheet, Threshold};
use crate::run::{Arrivals, Course, Load, Plan, Terms};
use crate::versus;

#[derive(Args)]
pub(super) struct RunArgs {
    /// A load scenario; its form is told in loadtest/scenarios/load/README.md
    #[arg(value_name = "SCENARIO")]
    #[arg(conflicts_with_all = ["vs_floor", "rate", "closed", "expect_decline", "max_p99"])]
    scenario: Option<PathBuf>,
    /// Address to send to
    #[arg(long, value_name = "ADDR", value_parser = address)]
    #[arg(required_unless_present_any = ["vs_floor", "scenario"], conflicts_with = "vs_floor")]
    target: Option<SocketAddr>,
    /// Open loop: requests per second over all connections, whatever is answered
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "closed")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    #[arg(required_unless_present_any = ["closed", "vs_floor", "scenario"])]
    rate: Option<u64>,
    /// Closed loop: keep --in-flight requests under way on every connection
    #[arg(long)]
    closed: bool,
    /// Connections to open
    #[arg(long, default_value_t = 64, value_name = "N", conflicts_with = "scenario")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=60_000))]
    connections: u32,
    /// Requests under way per connection in a closed loop
    #[arg(long, default_value_t = 16, value_name = "N", conflicts_with = "scenario")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    in_flight: u32,
    /// How long to measure
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = duration)]
    #[arg(conflicts_with = "scenario")]
    duration: Duration,
    /// How long to send before measuring; answers are judged all the same
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = duration)]
    #[arg(conflicts_with = "scenario")]
    warm_up: Duration,
    /// When a request without an answer counts as lost, and an answer as late
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = duration)]
    #[arg(conflicts_with = "scenario")]
    timeout: Duration,
    /// Requests come as independent people do: now and then many at once
    #[arg(long, requires = "rate")]
    poisson: bool,
    /// The partner's --decline: its answers are then required to be exactly these
    #[arg(long, default_value = "0", value_name = "PERCENT[:CODE]")]
    expect_decline: Decline,
    /// Messages carry no TPDU
    #[arg(long, conflicts_with = "scenario")]
    no_tpdu: bool,
    /// Core to run on
    #[arg(long, value_name = "CORE", conflicts_with = "vs_floor")]
    pin: Option<usize>,
    /// Fail (exit code 99) if the p99 latency is above this
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "vs_floor")]
    max_p99: Option<Duration>,
    /// Fail (exit code 99) if the generator itself sent later than this, at p99
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "vs_floor")]
    max_send_lag: Option<Duration>,
    /// Fail (exit code 99) unless this holds, as in a scenario: "p99.9 < 5ms", "rate >= 990"
    #[arg(long, value_name = "THRESHOLD", conflicts_with = "vs_floor")]
    threshold: Vec<String>,
    /// Write the report as JSON as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write all percentiles as HdrHistogram's tools do, in microseconds
    #[arg(long, value_name = "FILE", conflicts_with = "vs_floor")]
    hgrm: Option<PathBuf>,
    /// Write a page with charts, one file that needs nothing else
    #[arg(long, value_name = "FILE", conflicts_with = "vs_floor")]
    html: Option<PathBuf>,
    /// Show no screen, even at a terminal
    #[arg(long)]
    no_tui: bool,
    /// What else there is to know about the run, for its report
    #[arg(long, value_name = "NAME=VALUE", value_parser = note, conflicts_with = "vs_floor")]
    note: Vec<(String, String)>,
    #[command(flatten)]
    versus: VersusArgs,
}

impl RunArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        if self.versus.vs_floor {
            let (terms, json) = (self.terms(), self.json);
            return versus::run(&self.versus.plan(terms, json)?);
        }
        if let Some(core) = self.pin {
            child::pin(core)?;
        }
        let mut sheet = match &self.scenario {
            Some(path) => load::read(path, self.target)?,
            None => self.sheet()?,
        };
        for text in &self.threshold {
            let threshold = Threshold::read(text, None, false).map_err(Failure::Usage)?;
            threshold.check(&sheet.course.phases).map_err(Failure::Usage)?;
            sheet.thresholds.push(threshold);
        }
        sheet.lag_max = self.max_send_lag.or(sheet.lag_max);
        let RunArgs { json, hgrm, html, note: notes, versus, .. } = self;
        let (switch, has_screen) = (versus.switch, !self.no_tui);
        load::run(&Order { sheet, switch, json, hgrm, html, has_screen, notes })
    }

    /// The sheet that the flags say.
    fn sheet(&self) -> Result<Sheet, Failure> {
        let target = self.target.ok_or_else(|| Failure::Usage("--target is missing".into()))?;
        let load = match self.rate {
            Some(rate_per_s) => Load::Open { rate_per_s },
            None => Load::Closed { in_flight: self.in_flight as usize },
        };
        let plan = Plan {
            target,
            load,
            connections: self.connections as usize,
            warm_up: self.warm_up,
            duration: self.duration,
            terms: self.terms(),
        };
        let mut course = Course::of(&plan);
        if self.poisson {
            course.arrive(Arrivals::Poisson);
        }
        course.interval = Some(load::interval(course.length()));
        let mut thresholds = Threshold::no_mistakes();
        if let Some(p99_max) = self.max_p99 {
            let text = format!("p99 <= {}ns", p99_max.as_nanos());
            thresholds.extend(Threshold::read(&text, None, false));
        }
        let title = "loadtest run".to_owned();
        Ok(Sheet { title, row: None, course, thresholds, lag_max: None, stage: None })
    }

    fn terms(&self) -> Terms {
        let fate = Fate { decline: self.expect_decline, silence: Share::default() };
        let timeout_ns = self.timeout.as_nanos() as u64;
        Terms::new(form(self.no_tpdu), fate, timeout_ns)
    }
}

#[derive(Args)]
pub(super) struct ReportArgs {
    /// What --json of a run has written
    #[arg(value_name = "JSON")]
    json: PathBuf,
    /// Where the page goes; beside the JSON file unless said
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl ReportArgs {
    pub(super) fn run(&self) -> Result<(), Failure> {
        load::rebuild(&self.json, self.html.as_deref())
    }
}

#[derive(Args)]
pub(super) struct CompareArgs {
    /// What --json of runs has written; all are held against the first
    #[arg(value_name = "JSON", required = true, num_args = 2..=12)]
    json: Vec<PathBuf>,
    /// Write a page with all of them on the same charts
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl CompareArgs {
    pub(super) fn run(&self) -> Result<(), Failure> {
        load::compare(&self.json, self.html.as_deref())
    }
}

fn note(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
