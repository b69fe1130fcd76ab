//! From a configuration to a running switch: links numbered, dialects shared, workers started.
//!
//! It decides nothing about a transaction and reads no file. [`Blueprint`] is the one form in
//! which `serve` (with a folder or with a few options) and `demo` describe what is to run.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use super::archive::Archive;
use super::closing::Office;
use super::config::{self, Config};
use super::journal::{self, JournalPlan};
use super::recount::Recount;
use super::snapshot::{self, Restored, Snapshots};
use crate::base::ids::{LinkId, WorkerId};
use crate::base::limits::{self, Bounds};
use crate::base::map;
use crate::base::time::Wall;
use crate::iso8583::dialect::Dialect;
use crate::journal::{Durability, Writer};
use crate::net::{Clock, Dial, Listen, Notice, Plan, Shell};
use crate::risk::Rules;
use crate::routing::RouteTable;
use crate::switch::index::TransactionIndex;
use crate::switch::recent::Recent;
use crate::switch::{LinkSetup, Role, Setup, Stats, Switch};

/// A switch, ready to be started.
#[derive(Debug)]
pub struct Blueprint {
    /// Threads and sockets.
    pub plan: Plan,
    /// The links, by [`LinkId`].
    pub links: Vec<LinkSetup>,
    /// Where requests go.
    pub routes: Arc<RouteTable>,
    /// What is not wanted, if that is said.
    pub rules: Option<Arc<Rules>>,
    /// Where the journal is, if one is kept.
    pub journal: Option<JournalPlan>,
}

/// A switch that runs.
#[derive(Debug)]
pub struct Running {
    /// Its workers.
    pub shell: Shell<Stats>,
    /// Its journal's writer, if one is kept.
    pub writer: Option<Writer>,
    /// Where it takes in what persons do, if a journal is kept.
    pub office: Option<Office>,
    /// The index of its journal, if one is kept.
    pub archive: Option<Archive>,
    /// What puts the counts of limits on the disk, if that is done.
    pub snapshots: Option<Snapshots>,
    /// What the journal had to say when it was opened.
    pub report: Vec<String>,
}

/// One listener, one partner, one route: what `serve` runs without a configuration.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Where acquirers call.
    pub acquirer: SocketAddr,
    /// The partner.
    pub partner: SocketAddr,
    /// How the acquirers write.
    pub acquirer_dialect: Arc<Dialect>,
    /// How the partner writes.
    pub partner_dialect: Arc<Dialect>,
    /// Connections to the partner.
    pub partner_sessions: usize,
    /// Answer deadline of the one route.
    pub deadline: Duration,
    /// True if the partner wants 0800 sign-on and echo.
    pub sign_on: bool,
    /// Worker threads; 0 chooses.
    pub workers: usize,
}

impl Blueprint {
    /// What a configuration describes.
    ///
    /// # Errors
    ///
    /// One sentence, if a partner's host name cannot be resolved.
    pub fn from_config(config: &Config) -> Result<Self, String> {
        let links = links(config);
        let (mut listeners, mut dials) = (Vec::new(), Vec::new());
        for acquirer in &config.acquirers {
            listeners.push(Listen { address: acquirer.listen, link: acquirer.link });
        }
        for partner in &config.partners {
            let address = resolve(&partner.connect)?;
            dials.push(Dial { address, link: partner.link, sessions: partner.sessions });
        }
        let settings = config.settings.clone();
        let durability = match settings.durability {
            config::Durability::None => None,
            config::Durability::Process => Some(Durability::Process),
            config::Durability::Power => Some(Durability::Power),
        };
        let folder = settings.journal;
        let journal = durability.zip(folder).map(|(durability, folder)| JournalPlan {
            durability,
            folder,
            key: settings.journal_key,
            segment_bytes: settings.journal_segment_bytes,
        });
        let plan = Plan {
            workers: match settings.workers {
                0 => cores(),
                workers => workers,
            },
            listeners,
            dials,
            spin: settings.spin,
            pin: settings.pin,
            bounds: settings.limits,
            drain_deadline: settings.drain_deadline,
            tap: None,
        };
        let (routes, rules) = (Arc::clone(&config.routes), config.rules.clone());
        Ok(Self { plan, links, routes, rules, journal })
    }

    /// What a few options describe: whatever decodes is forwarded.
    pub fn from_pair(pair: Pair) -> Self {
        let (acquirer, partner) = (LinkId(0), LinkId(1));
        let links = vec![
            LinkSetup {
                name: "acquirer".into(),
                role: Role::Acquirer,
                dialect: pair.acquirer_dialect,
                ..LinkSetup::default()
            },
            LinkSetup {
                name: "partner".into(),
                role: Role::Partner,
                dialect: pair.partner_dialect,
                sign_on: pair.sign_on,
                echo_interval: pair.sign_on.then_some(ECHO_INTERVAL),
                ..LinkSetup::default()
            },
        ];
        // A worker without a partner session of its own pays a wake of another core per batch, so
        // more workers than sessions only cost.
        let chosen = cores().min(pair.partner_sessions.max(1));
        let plan = Plan {
            workers: if pair.workers == 0 { chosen } else { pair.workers },
            listeners: vec![Listen { address: pair.acquirer, link: acquirer }],
            dials: vec![Dial {
                address: pair.partner,
                link: partner,
                sessions: pair.partner_sessions,
            }],
            spin: Duration::ZERO,
            pin: false,
            bounds: Bounds::default(),
            drain_deadline: DRAIN_DEADLINE.max(pair.deadline + Duration::from_secs(1)),
            tap: None,
        };
        let routes = Arc::new(RouteTable::single(vec![partner], pair.deadline));
        Self { plan, links, routes, rules: None, journal: None }
    }

    /// Reads the journal back, binds the listeners and starts the workers.
    ///
    /// # Errors
    ///
    /// What the operating system said, or what is wrong with the journal.
    pub fn start(self, notices: SyncSender<Notice>) -> io::Result<Running> {
        let workers = self.plan.workers.clamp(1, limits::WORKERS_MAX) as u8;
        let (links, routes, rules) = (self.links, self.routes, self.rules);
        let (bounds, tap) = (self.plan.bounds.clone(), self.plan.tap.is_some());
        let recent_bytes = match &self.journal {
            Some(_) => self.plan.bounds.recent_bytes,
            None => self.plan.bounds.recent_bytes.min(limits::RECENT_BYTES_UNKEPT),
        };
        let transactions = Recent::transactions_in(recent_bytes);
        let remembered = usize::from(workers) * transactions;
        let mut report = Vec::new();
        let limits = rules.as_ref().map(|rules| {
            let folder = self.journal.as_ref().map(|plan| plan.folder.as_path());
            let since = counted_before(rules, folder, &mut report);
            Recount::new(rules, &routes, &links).since(since)
        });
        let to_keep = rules.clone().zip(self.journal.as_ref().map(|plan| plan.folder.clone()));
        let journal = self.journal.map(|plan| journal::open(&plan, workers, remembered, limits));
        let journal = journal.transpose().map_err(io::Error::other)?;
        let (key, epoch) = match &journal {
            Some((_, journal)) => (journal.secret, journal.epoch),
            None => (map::random(), 0),
        };
        let index = Arc::new(TransactionIndex::new(workers, transactions));
        let (writer, mut desks) = journal.unzip();
        let office = desks.as_mut().and_then(|desks| desks.office.take());
        let archive = desks.as_mut().and_then(|desks| desks.archive.take());
        let has_archive = archive.is_some();
        report.extend(desks.iter().flat_map(|desks| desks.report.clone()));
        let make = move |worker: WorkerId| {
            let core = Switch::new(Setup {
                worker,
                workers,
                links: links.clone(),
                bounds: bounds.clone(),
                tap,
                key,
                epoch,
                recent_bytes,
                index: Some(Arc::clone(&index)),
                has_archive,
                rules: rules.clone(),
                ..Setup::new(Arc::clone(&routes))
            });
            match &desks {
                Some(desks) => desks.equip(worker, core),
                None => core.into(),
            }
        };
        let shell = Shell::start(&self.plan, make, notices)?;
        let snapshots = to_keep.and_then(|(rules, folder)| {
            let interval = rules.snapshot_interval()?;
            Some(Snapshots::start(&folder, &rules, interval))
        });
        Ok(Running { shell, writer, office, archive, snapshots: snapshots.transpose()?, report })
    }
}

/// Has limits go on with what a snapshot has; says since when requests are to be counted again.
fn counted_before(rules: &Rules, folder: Option<&Path>, report: &mut Vec<String>) -> Wall {
    let now = Clock::start().now().wall;
    snapshot::begin(rules, now);
    let folder = folder.filter(|_| rules.snapshot_interval().is_some());
    match folder.map_or(Ok(None), |folder| snapshot::restore(folder, rules, now)) {
        Ok(None) => Wall::default(),
        Ok(Some(Restored { began, since, keys, lost })) => {
            let rest = if lost == 0 { String::new() } else { format!(", no room for {lost}") };
            report.push(format!("limits       {keys} keys kept at {began}{rest}"));
            since
        }
        Err(why) => {
            report.push(format!("limits       {why}; what is on record is counted again"));
            Wall::default()
        }
    }
}

/// The links of a configuration, by [`LinkId`].
pub fn links(config: &Config) -> Vec<LinkSetup> {
    let acquirers = config.acquirers.iter().map(|acquirer| LinkSetup {
        name: acquirer.name.clone(),
        role: Role::Acquirer,
        dialect: Arc::clone(&acquirer.dialect),
        sign_on: acquirer.sign_on_required,
        ..LinkSetup::default()
    });
    let partners = config.partners.iter().map(|partner| {
        let silent = partner.echo_interval.is_zero();
        LinkSetup {
            name: partner.name.clone(),
            role: Role::Partner,
            dialect: Arc::clone(&partner.dialect),
            sign_on: partner.sign_on,
            echo_interval: (!silent).then_some(partner.echo_interval),
            in_flight_max: partner.in_flight_max,
            breaker: partner.breaker,
            inquiry: partner.inquiry.clone(),
        }
    });
    acquirers.chain(partners).collect()
}

fn resolve(host_and_port: &str) -> Result<SocketAddr, String> {
    host_and_port
        .to_socket_addrs()
        .map_err(|error| format!("partner address {host_and_port:?}: {error}"))?
        .next()
        .ok_or_else(|| format!("partner address {host_and_port:?} names no host"))
}

/// Cores this process may run on.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(limits::WORKERS_MAX)
}

/// How often a silent partner that wants sign-on is asked whether it is there.
const ECHO_INTERVAL: Duration = Duration::from_secs(30);

/// How long accepted requests may take to be answered after SIGTERM.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
