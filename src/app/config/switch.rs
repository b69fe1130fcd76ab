//! `switch.toml`: threads, limits, acquirers, partners.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::inquiry::inquiry;
use super::names::unknown;
use super::source::Source;
use super::table::{Entry, Table};
use super::{Acquirer, Durability, Mistake, Partner, PartnerName, Settings, mode};
use crate::app::dialect_file::{Log, Span};
use crate::app::{dialect_file, toml_text};
use crate::base::ids::LinkId;
use crate::base::limits::{self, Bounds};
use crate::iso8583::dialect::Dialect;
use crate::switch::health::Breaker;

/// What `switch.toml` says.
#[derive(Debug)]
pub(super) struct SwitchFile {
    /// Threads, durability, limits.
    pub(super) settings: Settings,
    /// Who asks us.
    pub(super) acquirers: Vec<Acquirer>,
    /// Whom we ask; those with a mistake are left out.
    pub(super) partners: Vec<Partner>,
    /// Every partner that the file names, so that a mistake in one is not told again by routes.
    pub(super) partner_names: Vec<PartnerName>,
}

/// Reads the file; `None` if it is no TOML at all.
pub(super) fn read(source: &Source<'_>, mistakes: &mut Vec<Mistake>) -> Option<SwitchFile> {
    let file = source.file("switch.toml", mistakes)?;
    let mut log = Log::new(&file.shown, &file.text);
    let (root, errors) = toml_text::parsed(&file.text);
    if !errors.is_empty() {
        for error in errors {
            log.add_syntax(&error.span().unwrap_or_default(), error.message());
        }
        mistakes.extend(log.into_mistakes());
        return None;
    }
    let mut root = Table::new(root.get_ref(), 0..0);
    let settings = settings(&mut root, &mut log);
    let mut links = Links::new(source.dialects());
    let acquirers = root.tables("acquirer", &mut log);
    let partners = root.tables("partner", &mut log);
    if let Some(table) = acquirers.iter().chain(&partners).nth(LINKS_MAX) {
        log.add(&table.span, format!("more than {LINKS_MAX} acquirers and partners"));
    }
    for table in acquirers.into_iter().take(LINKS_MAX) {
        links.acquirer(table, &mut log);
    }
    for table in partners.into_iter().take(LINKS_MAX) {
        links.partner(table, &mut log);
    }
    if links.acquirers_len == 0 {
        log.add(&root.span, "no [[acquirer]]: nobody could ask");
    }
    if links.partner_names.is_empty() {
        log.add(&root.span, "no [[partner]]: nobody could be asked");
    }
    root.finish(&mut log);
    mistakes.extend(log.into_mistakes());
    mistakes.append(&mut links.dialect_mistakes);
    Some(SwitchFile {
        settings,
        acquirers: links.acquirers,
        partners: links.partners,
        partner_names: links.partner_names,
    })
}

/// What `durability` may be.
///
/// # Errors
///
/// A sentence on why it cannot be that.
pub fn durability(text: &str) -> Result<Durability, String> {
    match text {
        "none" => Ok(Durability::None),
        "process" => Ok(Durability::Process),
        "power" => Ok(Durability::Power),
        _ => Err(unknown("durability", text, ["none", "process", "power"])),
    }
}

fn settings(root: &mut Table<'_>, log: &mut Log<'_>) -> Settings {
    let workers = root.number("workers", 0..=limits::WORKERS_MAX, 0, log);
    let pin = root.flag("pin", false, log);
    let spin = root.duration("spin", Duration::ZERO..=SPIN_MAX, Duration::ZERO, log);
    let said = root.take("durability");
    let (journal, journal_key) = (path(root, "journal", log), path(root, "journal_key", log));
    let lengths = limits::SEGMENT_BYTES_MIN..=limits::SEGMENT_BYTES_MAX;
    let absent = limits::SEGMENT_BYTES;
    let journal_segment_bytes = root.number("journal_segment_bytes", lengths, absent, log);
    let mut chosen = if journal.is_some() { Durability::Power } else { Durability::None };
    if let Some((entry, text)) = said.and_then(|entry| Some((entry.clone(), entry.text(log)?))) {
        match durability(text) {
            Ok(durability) => {
                chosen = durability;
                match (durability, &journal) {
                    (Durability::None, Some(_)) => {
                        log.add(&entry.span, "durability \"none\" keeps no journal");
                    }
                    (Durability::Process | Durability::Power, None) => {
                        log.add(&entry.span, format!("durability {text:?} needs a journal folder"));
                    }
                    _ => {}
                }
            }
            Err(reason) => log.add(&entry.span, reason),
        }
    }
    let drain_deadline = root.duration("drain_deadline", TICK..=DRAIN_MAX, DRAIN, log);
    let table = root.take("limits").and_then(|entry| entry.table(log));
    let limits = bounds(table, log);
    Settings {
        workers,
        pin,
        spin,
        durability: chosen,
        journal,
        journal_key,
        journal_segment_bytes,
        drain_deadline,
        limits,
    }
}

/// A path; relative ones are from where the switch is started.
fn path(root: &mut Table<'_>, key: &'static str, log: &mut Log<'_>) -> Option<PathBuf> {
    let entry = root.take(key)?;
    entry.text(log).map(PathBuf::from)
}

fn bounds(table: Option<Table<'_>>, log: &mut Log<'_>) -> Bounds {
    let mut bounds = Bounds::default();
    let Some(mut table) = table else { return bounds };
    bounds.sessions = table.number("sessions", 1..=bounds.sessions, bounds.sessions, log);
    // An outbox must hold what one read may cause.
    let outbox = limits::READ_BYTES..=bounds.outbox_bytes;
    bounds.outbox_bytes = table.number("outbox_bytes", outbox, bounds.outbox_bytes, log);
    let recent = limits::RECENT_BYTES_MIN..=bounds.recent_bytes;
    bounds.recent_bytes = table.number("recent_bytes", recent, bounds.recent_bytes, log);
    bounds.echo_rate = table.number("echo_rate", 1..=bounds.echo_rate, bounds.echo_rate, log);
    for (key, deadline) in [
        ("frame_deadline", &mut bounds.frame_deadline),
        ("write_deadline", &mut bounds.write_deadline),
        ("idle_deadline", &mut bounds.idle_deadline),
    ] {
        *deadline = table.duration(key, TICK..=*deadline, *deadline, log);
    }
    table.finish(log);
    bounds
}

/// Links being gathered.
struct Links {
    dialects_dir: Option<PathBuf>,
    /// Dialects by the names they were asked for; `None` if one has mistakes.
    dialects: BTreeMap<String, Option<Arc<Dialect>>>,
    dialect_mistakes: Vec<Mistake>,
    /// Names with the lines they stand in.
    names: Vec<(String, usize)>,
    listens: Vec<(SocketAddr, usize)>,
    acquirers: Vec<Acquirer>,
    acquirers_len: u16,
    partners: Vec<Partner>,
    partner_names: Vec<PartnerName>,
}

impl Links {
    fn new(dialects_dir: Option<PathBuf>) -> Self {
        Self {
            dialects_dir,
            dialects: BTreeMap::new(),
            dialect_mistakes: Vec::new(),
            names: Vec::new(),
            listens: Vec::new(),
            acquirers: Vec::new(),
            acquirers_len: 0,
            partners: Vec::new(),
            partner_names: Vec::new(),
        }
    }

    fn acquirer(&mut self, mut table: Table<'_>, log: &mut Log<'_>) {
        let link = LinkId(self.acquirers_len);
        self.acquirers_len += 1;
        let name = self.name(&mut table, log);
        let listen = self.listen(&mut table, log);
        let dialect = self.dialect(&mut table, log);
        let sign_on_required = table.flag("sign_on_required", false, log);
        table.finish(log);
        if let (Some(name), Some(listen), Some(dialect)) = (name, listen, dialect) {
            self.acquirers.push(Acquirer { link, name, listen, dialect, sign_on_required });
        }
    }

    fn partner(&mut self, mut table: Table<'_>, log: &mut Log<'_>) {
        let link = LinkId(self.acquirers_len + self.partner_names.len() as u16);
        let name = self.name(&mut table, log);
        let mode = mode(&mut table, log);
        self.partner_names.push((name.clone().unwrap_or_default(), link, mode));
        let connect = table.need("connect", log).and_then(|entry| connect(&entry, log));
        let dialect = self.dialect(&mut table, log);
        let sessions = table.number("sessions", 1..=PARTNER_SESSIONS_MAX, 1, log);
        let sign_on = table.flag("sign_on", true, log);
        let in_flight = 1..=limits::IN_FLIGHT_MAX;
        let in_flight_max = table.number("in_flight_max", in_flight, limits::IN_FLIGHT_MAX, log);
        let echo = table.take("echo_interval").and_then(|entry| entry.duration(ECHO_RANGE, log));
        if let Some(interval) = echo
            && !interval.is_zero()
            && interval < ECHO_MIN
            && let Some(entry) = table.take("echo_interval")
        {
            log.add(&entry.span, "an echo more than once a second; \"0s\" sends none");
        }
        let echo_interval = echo.unwrap_or(ECHO);
        let breaker = breaker(&mut table, log);
        let inquiry = inquiry(&mut table, log);
        table.finish(log);
        if let (Some(name), Some(connect), Some(dialect)) = (name, connect, dialect) {
            self.partners.push(Partner {
                breaker,
                inquiry,
                link,
                name,
                connect,
                sessions,
                dialect,
                sign_on,
                echo_interval,
                in_flight_max,
            });
        }
    }

    /// A name that no other link has.
    fn name(&mut self, table: &mut Table<'_>, log: &mut Log<'_>) -> Option<String> {
        let (name, span) = table.text("name", log)?;
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            log.add(&span, "a link's name is made of letters, digits, - _ and .");
        }
        if let Some((_, line)) = self.names.iter().find(|(other, _)| other == name) {
            log.add(&span, format!("the link {name:?} of line {line} has the same name"));
        }
        self.names.push((name.to_owned(), log.line(&span)));
        Some(name.to_owned())
    }

    fn listen(&mut self, table: &mut Table<'_>, log: &mut Log<'_>) -> Option<SocketAddr> {
        let (text, span) = table.text("listen", log)?;
        let Ok(address) = text.parse::<SocketAddr>() else {
            log.add(&span, "expected an address and a port, like \"127.0.0.1:7400\"");
            return None;
        };
        let taken = self.listens.iter().find(|(other, _)| *other == address);
        if let Some((_, line)) = taken.filter(|_| address.port() != 0) {
            log.add(&span, format!("the acquirer of line {line} listens at {address} already"));
        }
        self.listens.push((address, log.line(&span)));
        Some(address)
    }

    /// The dialect that `dialect` names, read once for all links.
    fn dialect(&mut self, table: &mut Table<'_>, log: &mut Log<'_>) -> Option<Arc<Dialect>> {
        let (name, span) = table.text("dialect", log)?;
        if !self.dialects.contains_key(name) {
            let dialect = self.load(name, &span, log);
            self.dialects.insert(name.to_owned(), dialect);
        } else if !self.knows(name) {
            log.add(&span, unknown("dialect", name, dialect_file::shipped_names()));
        }
        self.dialects.get(name).cloned().flatten()
    }

    fn load(&mut self, name: &str, span: &Span, log: &mut Log<'_>) -> Option<Arc<Dialect>> {
        if name.contains(['/', '\\']) {
            log.add(span, "expected a name: dialects of one's own are in dialects/ beside this");
            return None;
        }
        if !self.knows(name) {
            log.add(span, unknown("dialect", name, dialect_file::shipped_names()));
            return None;
        }
        match dialect_file::load(name, self.dialects_dir.as_deref()) {
            Ok(spec) => Some(Arc::new(Dialect::compile(spec))),
            Err(mut more) => {
                self.dialect_mistakes.append(&mut more);
                None
            }
        }
    }

    fn knows(&self, name: &str) -> bool {
        let folder = self.dialects_dir.as_deref();
        dialect_file::embedded(name).is_some()
            || folder.is_some_and(|folder| dialect_file::is_in(folder, name))
    }
}

/// After how many failures a partner is left alone, and for how long.
fn breaker(table: &mut Table<'_>, log: &mut Log<'_>) -> Option<Breaker> {
    let failures = table.number("breaker_failures", 0..=u16::MAX, BREAKER.failures, log);
    let pause = table.duration("breaker_pause", BREAKER_PAUSES, BREAKER.pause, log);
    (failures > 0).then_some(Breaker { failures, pause })
}

/// `host:port`. The host is looked up when the partner is called, and again after it was lost.
fn connect(entry: &Entry<'_>, log: &mut Log<'_>) -> Option<String> {
    let text = entry.text(log)?;
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let host_is_fit = !host.is_empty()
        && !host.contains(|c: char| c.is_whitespace() || c == '/')
        && (bracketed || !host.contains(':'));
    if !host_is_fit || !port.parse::<u16>().is_ok_and(|port| port > 0) {
        log.add(&entry.span, "expected a host and a port, like \"10.1.2.3:7500\"");
        return None;
    }
    Some(text.to_owned())
}

/// Acquirers and partners together. Each costs tables on every worker.
const LINKS_MAX: usize = 1024;

const _: () = assert!(2 * LINKS_MAX <= u16::MAX as usize);

/// Real partners allow 1 to 8 connections; one per worker is as many as can be of use.
const PARTNER_SESSIONS_MAX: usize = limits::WORKERS_MAX;

/// A worker that is awake this long without work is better called pinned and polling.
const SPIN_MAX: Duration = Duration::from_millis(10);

/// Shortest deadline.
const TICK: Duration = Duration::from_millis(1);

const DRAIN: Duration = Duration::from_secs(10);
const DRAIN_MAX: Duration = Duration::from_secs(600);

const ECHO: Duration = Duration::from_secs(30);
const ECHO_MIN: Duration = Duration::from_secs(1);
const BREAKER_PAUSES: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(600);

/// Few enough to be noticed within a second of a silent partner's budget, more than one bad moment.
const BREAKER: Breaker = Breaker { failures: 20, pause: Duration::from_secs(5) };

const ECHO_RANGE: std::ops::RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);
