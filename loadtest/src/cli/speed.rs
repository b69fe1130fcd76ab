//! What is asked of the measurements that start a switch of their own: against the floor, draining,
//! restarting.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{duration, form};
use crate::drain::Drain;
use crate::failure::Failure;
use crate::restart::{Fill, Restart};
use crate::run::Terms;
use crate::serve::Durability;
use crate::versus::{Placement, Program, Shape, Versus};

#[derive(Args)]
#[command(next_help_heading = "Against the floor")]
pub(super) struct VersusArgs {
    /// Measure a switch and the floor in turns, with a partner of its own, and compare
    #[arg(long)]
    pub(super) vs_floor: bool,
    /// The authswitch program; by default the one beside this program
    #[arg(long, value_name = "PATH")]
    pub(super) switch: Option<PathBuf>,
    /// Durability the switch is started with
    #[arg(long, value_name = "MODE", default_value = "none", requires = "vs_floor")]
    durability: Durability,
    /// Folder below which the journal is made, and removed; by default that of this program
    #[arg(long, value_name = "DIR", requires = "vs_floor")]
    journal: Option<PathBuf>,
    /// Worker threads of the switch; by default it chooses
    #[arg(long, value_name = "N", requires = "vs_floor")]
    workers: Option<usize>,
    /// What to measure: none (load straight to the partner), floor, switch
    #[arg(long, value_delimiter = ',', default_value = "none,floor,switch")]
    #[arg(value_name = "LIST", requires = "vs_floor")]
    programs: Vec<Program>,
    /// Closed loops, as connections x in flight [default: 64x16,64x1,8x64; with power 64x16,1x1]
    #[arg(long, value_delimiter = ',', value_name = "LIST", requires = "vs_floor")]
    shapes: Option<Vec<Shape>>,
    /// Open loops, in requests per second over 64 connections; 0 for none [default: 20000,50000;
    /// with power 20000,65000]
    #[arg(long, value_delimiter = ',', value_name = "LIST", requires = "vs_floor")]
    rates: Option<Vec<u64>>,
    /// Times every measurement is repeated
    #[arg(long, default_value_t = 3, value_name = "N", requires = "vs_floor")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Length of each measurement in seconds
    #[arg(long, default_value_t = 3.0, value_name = "SECONDS", requires = "vs_floor")]
    seconds: f64,
    /// Where things run: pinned (program on one core, load and partner on another), one-core, free
    /// [default: pinned; with power free]
    #[arg(long, value_name = "WHERE", requires = "vs_floor")]
    placement: Option<Placement>,
    /// Partner connections of the floor and of the switch
    #[arg(long, default_value_t = 4, value_name = "N", requires = "vs_floor")]
    partner_sessions: usize,
    /// Fail (exit code 99) if a goal is missed
    #[arg(long, requires = "vs_floor")]
    check: bool,
}

impl VersusArgs {
    pub(super) fn plan(self, terms: Terms, json: Option<PathBuf>) -> Result<Versus, Failure> {
        if !(0.05..=3_600.0).contains(&self.seconds) {
            let text = format!("--seconds {} is not between 0.05 and 3600", self.seconds);
            return Err(Failure::Usage(text));
        }
        let power = self.durability == Durability::Power;
        let shapes = if power { "64x16,1x1" } else { "64x16,64x1,8x64" };
        let shapes = || shapes.split(',').filter_map(|shape| shape.parse().ok()).collect();
        let rates = if power { [20_000, 65_000] } else { [20_000, 50_000] };
        let rates = self.rates.unwrap_or(rates.into());
        // The writer of a journal that waits for the disk is a thread beside the worker.
        let placement = if power { Placement::Free } else { Placement::Pinned };
        Ok(Versus {
            switch: self.switch,
            durability: self.durability,
            journal: self.journal,
            workers: self.workers,
            programs: self.programs,
            shapes: self.shapes.unwrap_or_else(shapes),
            rates: rates.into_iter().filter(|&rate| rate > 0).collect(),
            rounds: self.rounds as usize,
            duration: Duration::from_secs_f64(self.seconds),
            placement: self.placement.unwrap_or(placement),
            partner_sessions: self.partner_sessions,
            terms,
            json,
            check: self.check,
        })
    }
}

/// What every measurement with a journal is told.
#[derive(Args)]
struct JournalArgs {
    /// The authswitch program; by default the one beside this program
    #[arg(long, value_name = "PATH")]
    switch: Option<PathBuf>,
    /// What must survive: process or power
    #[arg(long, value_name = "MODE", default_value = "power")]
    durability: Durability,
    /// Folder below which the journal is made, and removed; by default that of this program
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
    /// Messages carry no TPDU
    #[arg(long)]
    no_tpdu: bool,
    /// Write the report as JSON as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fail (exit code 99) if a goal is missed
    #[arg(long)]
    check: bool,
}

impl JournalArgs {
    fn check_durability(&self) -> Result<(), Failure> {
        if self.durability == Durability::None {
            let text = "--durability none: nothing is owed where nothing is kept";
            return Err(Failure::Usage(text.into()));
        }
        Ok(())
    }
}

#[derive(Args)]
pub(super) struct DrainArgs {
    /// Reversals that pile up while the partner is silent
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=250_000))]
    reversals: u64,
    /// Requests per second while they pile up
    #[arg(long, default_value_t = 20_000, value_name = "PER_SECOND")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000))]
    queue_rate: u64,
    /// Live requests per second, before, while it drains, and after
    #[arg(long, default_value_t = 10_000, value_name = "PER_SECOND")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// Length of each slice of live traffic, of which each has a p99
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = duration)]
    slice: Duration,
    /// Slices before, and after
    #[arg(long, default_value_t = 8, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    slices: u32,
    #[command(flatten)]
    journal: JournalArgs,
}

impl DrainArgs {
    pub(super) fn plan(self) -> Result<Drain, Failure> {
        let journal = self.journal;
        journal.check_durability()?;
        Ok(Drain {
            switch: journal.switch,
            durability: journal.durability,
            journal: journal.journal,
            form: form(journal.no_tpdu),
            reversals: self.reversals,
            queue_rate_per_s: self.queue_rate,
            rate_per_s: self.rate,
            slice: self.slice,
            slices: self.slices as usize,
            json: journal.json,
            check: journal.check,
        })
    }
}

#[derive(Args)]
pub(super) struct RestartArgs {
    /// Records that are open when the switch is killed
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    open: u64,
    /// How they come to be open: owed (the partner is silent, each is a reversal that is owed) or
    /// approved (each was handed to a terminal, which may still take it back)
    #[arg(long, default_value = "owed", value_name = "HOW")]
    fill: Fill,
    /// Requests per second while the journal fills
    #[arg(long, default_value_t = 20_000, value_name = "PER_SECOND")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=200_000))]
    rate: u64,
    /// Times it is started, each time on a copy of the same journal
    #[arg(long, default_value_t = 5, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    starts: u32,
    #[command(flatten)]
    journal: JournalArgs,
}

impl RestartArgs {
    pub(super) fn plan(self) -> Result<Restart, Failure> {
        let journal = self.journal;
        journal.check_durability()?;
        Ok(Restart {
            switch: journal.switch,
            durability: journal.durability,
            journal: journal.journal,
            form: form(journal.no_tpdu),
            open: self.open,
            fill: self.fill,
            rate_per_s: self.rate,
            starts: self.starts as usize,
            json: journal.json,
            check: journal.check,
        })
    }
}
