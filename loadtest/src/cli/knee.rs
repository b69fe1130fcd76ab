//! What is asked of the search for the highest rate.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{address, duration, form};
use crate::failure::Failure;
use crate::fate::Fate;
use crate::load::{self, Search, Sheet, Threshold};
use crate::run::{Course, Load, Plan, Terms};

#[derive(Args)]
pub(super) struct KneeArgs {
    /// A load scenario, for its traffic, target and thresholds; its phases are not used
    #[arg(value_name = "SCENARIO")]
    scenario: Option<PathBuf>,
    /// Address to send to
    #[arg(long, value_name = "ADDR", value_parser = address, required_unless_present = "scenario")]
    target: Option<SocketAddr>,
    /// What must hold, as in a scenario; may be given more than once
    #[arg(long, value_name = "THRESHOLD", required_unless_present = "scenario")]
    threshold: Vec<String>,
    /// The first rate, per second
    #[arg(long, value_name = "PER_SECOND", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    from: u64,
    /// The highest rate that is tried
    #[arg(long, value_name = "PER_SECOND", default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    to: u64,
    /// By how much the ends of the gap may be apart
    #[arg(long, value_name = "PERCENT", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100))]
    precision: u64,
    /// How often each rate is tried; it is kept if most tries keep it
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=99))]
    tries: u64,
    /// How long to measure each time
    #[arg(long, default_value = "3s", value_name = "TIME", value_parser = duration)]
    duration: Duration,
    /// How long to send before
    #[arg(long, default_value = "500ms", value_name = "TIME", value_parser = duration)]
    warm_up: Duration,
    /// Connections to open
    #[arg(long, default_value_t = 64, value_name = "N", conflicts_with = "scenario")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=60_000))]
    connections: u32,
    /// Messages carry no TPDU
    #[arg(long, conflicts_with = "scenario")]
    no_tpdu: bool,
    /// The rate proves nothing if the generator sent later than this, at p99
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1ms")]
    max_send_lag: Duration,
    /// The switch that a scenario starts; without it the program authswitch beside this one
    #[arg(long, value_name = "PATH")]
    switch: Option<PathBuf>,
    /// Write the curve as JSON as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl KneeArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        if self.from > self.to {
            return Err(Failure::Usage("--from is above --to".into()));
        }
        let mut sheet = match &self.scenario {
            Some(path) => load::read(path, self.target)?,
            None => self.sheet()?,
        };
        // A threshold of a phase is about one that there is not.
        sheet.thresholds.retain(|threshold| threshold.check(&[]).is_ok());
        for text in &self.threshold {
            let threshold = Threshold::read(text, None, false).map_err(Failure::Usage)?;
            threshold.check(&[]).map_err(Failure::Usage)?;
            sheet.thresholds.push(threshold);
        }
        sheet.lag_max = Some(self.max_send_lag);
        load::knee(&Search {
            sheet,
            switch: self.switch,
            rates: (self.from as f64, self.to as f64),
            precision: self.precision as f64 / 100.0,
            tries: self.tries as usize,
            warm_up: self.warm_up,
            length: self.duration,
            json: self.json,
        })
    }

    fn sheet(&self) -> Result<Sheet, Failure> {
        let target = self.target.ok_or_else(|| Failure::Usage("--target is missing".into()))?;
        let course = Course::of(&Plan {
            target,
            load: Load::Open { rate_per_s: self.from },
            connections: self.connections as usize,
            warm_up: self.warm_up,
            duration: self.duration,
            terms: Terms::new(form(self.no_tpdu), Fate::default(), TIMEOUT_NS),
        });
        let (title, thresholds) = ("loadtest knee".to_owned(), Threshold::no_mistakes());
        Ok(Sheet { title, row: None, course, thresholds, lag_max: None, stage: None })
    }
}

const TIMEOUT_NS: u64 = 5_000_000_000;
