//! Configuration: a folder of files in, everything the switch is built from out.
//!
//! ```text
//! switch.toml    threads, limits, acquirers, partners
//! routes.toml    networks with the forms of their codes, routes, response codes
//! risk.toml      what is not wanted: limits, lists; may be left out
//! merchants.csv  merchant -> region, accepted networks
//! dialects/      dialects of one's own, beside those that are shipped
//! ```
//!
//! What it is not: it opens no socket and resolves no host name. Why not a derived `Deserialize`:
//! that stops at the first mistake, and a configuration should be put right in one round. Here
//! every value that cannot be used is noted with its line and left out, and reading goes on; what
//! only follows from an earlier mistake is not reported again.

mod check;
mod codes;
mod conditions;
mod duration;
mod inquiry;
mod merchants;
mod names;
mod networks;
mod quotes;
mod refusals;
mod regions;
mod risk;
mod risk_lists;
mod risk_scope;
mod risk_travel;
mod routes;
mod source;
mod stand_in;
mod switch;
mod table;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use super::dialect_file::Mistake;
pub use check::check;
pub use conditions::moment_of;
pub use duration::{duration, written};
pub use risk_lists::{LIST_BYTES_MAX, list_entry, token};
pub(in crate::app) use routes::BY_LOAD;
pub use switch::durability;

use crate::app::dialect_file::Log;
use crate::base::ids::LinkId;
use crate::base::limits::Bounds;
use crate::iso8583::dialect::Dialect;
use crate::risk::Rules;
use crate::routing::build::{NetworkPlan, RefusalPlan, RoutePlan};
use crate::routing::quote::Quotes;
use crate::routing::route::Mode;
use crate::routing::{Codes, CompletionPercent, RouteTable};
use crate::switch::health::Breaker;
use crate::switch::inquiry::Inquiry;
use source::Source;
use table::Table;

/// A whole configuration that contradicts itself nowhere.
#[derive(Debug)]
pub struct Config {
    /// Where it came from, for people.
    pub origin: String,
    /// Threads, durability, limits.
    pub settings: Settings,
    /// Who asks us. Their links are numbered from 0.
    pub acquirers: Vec<Acquirer>,
    /// Whom we ask. Their links follow those of the acquirers.
    pub partners: Vec<Partner>,
    /// What the routes were made from.
    pub written: Written,
    /// Where requests go, version 1. A reload has it follow another before handing it over.
    pub routes: Arc<RouteTable>,
    /// What is not wanted, if that is said. A reload has it follow another, as the routes.
    pub rules: Option<Arc<Rules>>,
    /// Files that `risk.toml` names.
    pub beside: Vec<PathBuf>,
    /// Eight hexadecimal digits that stand for the content of all files.
    pub hash: String,
}

/// `routes.toml` as written.
#[derive(Debug)]
pub struct Written {
    /// The networks, by [`crate::base::ids::NetworkId`].
    pub networks: Vec<NetworkPlan>,
    /// The routes, by [`crate::base::ids::RouteId`].
    pub routes: Vec<RoutePlan>,
    /// The refusals, in their order.
    pub refusals: Vec<RefusalPlan>,
    /// The names of merchant groups, by their numbers.
    pub groups: Vec<String>,
    /// DE 39 of what goes nowhere.
    pub codes: Codes,
    /// Partners that are asked nothing new.
    pub maintenance: Vec<LinkId>,
    /// How much completions may take of what was held.
    pub completion_percent: CompletionPercent,
    /// What amounts are in other currencies.
    pub quotes: Quotes,
}

/// What holds for the whole switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Worker threads; 0 means one per core.
    pub workers: usize,
    /// Whether each worker is bound to a core of its own.
    pub pin: bool,
    /// How long a worker with nothing to do stays awake before it sleeps.
    pub spin: Duration,
    /// What survives a crash.
    pub durability: Durability,
    /// The folder of the journal, if one is kept.
    pub journal: Option<PathBuf>,
    /// Its key file, if it is named.
    pub journal_key: Option<PathBuf>,
    /// Length of its segments and of its reserve.
    pub journal_segment_bytes: u64,
    /// How long draining may take.
    pub drain_deadline: Duration,
    /// Bounds, each at most that of [`crate::base::limits`].
    pub limits: Bounds,
}

/// What survives a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing. For the lab only.
    None,
    /// What the system has: it survives the end of the process.
    Process,
    /// What the disk has: it survives a power cut.
    Power,
}

/// A link to somebody who asks us.
#[derive(Debug, Clone)]
pub struct Acquirer {
    /// Its handle.
    pub link: LinkId,
    /// Its name.
    pub name: String,
    /// Where it calls.
    pub listen: SocketAddr,
    /// How it writes ISO 8583.
    pub dialect: Arc<Dialect>,
    /// Whether it must sign on (0800, DE 70 = 001) before its first request.
    pub sign_on_required: bool,
}

/// A link to somebody whom we ask.
#[derive(Debug, Clone)]
pub struct Partner {
    /// Its handle.
    pub link: LinkId,
    /// Its name.
    pub name: String,
    /// Where we call: `host:port`, with the host still to be resolved.
    pub connect: String,
    /// How many connections it is to have, over all workers.
    pub sessions: usize,
    /// How it writes ISO 8583.
    pub dialect: Arc<Dialect>,
    /// When it is left alone because it does not answer; `None` never.
    pub breaker: Option<Breaker>,
    /// Whether we sign on (0800, DE 70 = 001) before the first request.
    pub sign_on: bool,
    /// How often we send an echo (0800, DE 70 = 301) on an idle session; zero means never.
    pub echo_interval: Duration,
    /// Requests in flight per worker.
    pub in_flight_max: usize,
    /// How it is asked what became of a request, on routes with the capability.
    pub inquiry: Inquiry,
}

/// A partner as routes name it.
type PartnerName = (String, LinkId, Mode);

/// `mode = "test"`, of a partner or of a route: a simulator, and the way to it.
fn mode(table: &mut Table<'_>, log: &mut Log<'_>) -> Mode {
    let modes = conditions::texts(table, "mode", log, |name| match name {
        "live" => Ok(Mode::Live),
        "test" => Ok(Mode::Test),
        _ => Err(names::unknown("mode", name, ["live", "test"])),
    });
    modes.last().copied().unwrap_or_default()
}

impl Durability {
    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Process => "process",
            Self::Power => "power",
        }
    }
}

impl Config {
    /// Reads the configuration in `dir`; without one, the default that is built in.
    ///
    /// # Errors
    ///
    /// Every mistake of every file.
    pub fn load(dir: Option<&Path>) -> Result<Self, Vec<Mistake>> {
        load(&Source::new(dir))
    }

    /// Which version of the routes this is, for people.
    pub fn version(&self) -> String {
        format!("version {} ({})", self.routes.version, self.hash)
    }

    /// The name of a link.
    pub fn link_name(&self, link: LinkId) -> &str {
        let acquirer = self.acquirers.iter().find(|acquirer| acquirer.link == link);
        let partner = self.partners.iter().find(|partner| partner.link == link);
        let name = acquirer.map(|acquirer| &acquirer.name);
        name.or(partner.map(|partner| &partner.name)).map_or("unknown", String::as_str)
    }
}

/// The configuration in `dir` with the rules of another file, or with none.
///
/// # Errors
///
/// Every mistake of every file.
pub fn with_rules(dir: Option<&Path>, rules: Option<&Path>) -> Result<Config, Vec<Mistake>> {
    let source = Source::new(dir);
    let mut mistakes = Vec::new();
    let mut config = load(&source)?;
    config.rules = None;
    let Some(path) = rules else { return Ok(config) };
    let file = Source::new(path.parent())
        .file(&path.file_name().unwrap_or_default().to_string_lossy(), &mut mistakes);
    let links = switch::read(&source, &mut mistakes);
    let routes = routes::read(&source, links.as_ref(), &mut mistakes);
    let words = routes.as_ref().map(|file| (&file.networks, &file.words));
    let beside = risk::Beside::new(path.parent());
    let read = file.and_then(|file| risk::read_file(&file, words, &beside, &mut mistakes));
    config.rules = read.map(Arc::new);
    if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
}

fn load(source: &Source<'_>) -> Result<Config, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    source.check_dialects(&mut mistakes);
    let links = switch::read(source, &mut mistakes);
    let routes = routes::read(source, links.as_ref(), &mut mistakes);
    let words = routes.as_ref().map(|file| (&file.networks, &file.words));
    let beside = risk::Beside::new(source.dir());
    let rules = risk::read(source, words, &beside, &mut mistakes);
    let beside = beside.read();
    match (links, routes) {
        (Some(file), Some(routes)) if mistakes.is_empty() => Ok(Config {
            origin: source.origin(),
            settings: file.settings,
            acquirers: file.acquirers,
            partners: file.partners,
            written: routes.written,
            routes: Arc::new(routes.table),
            rules: rules.map(Arc::new),
            hash: source.hash(&beside),
            beside,
        }),
        _ => {
            debug_assert!(!mistakes.is_empty());
            Err(mistakes)
        }
    }
}
