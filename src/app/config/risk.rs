//! `risk.toml`: what is not wanted. Read behind `routes.toml`, whose networks and categories it may
//! name; a folder without it has no rules.

use std::fs;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::Mistake;
use super::codes::decline;
use super::conditions::{Vocabulary, texts};
use super::names::unknown;
use super::networks::Networks;
use super::risk_lists as lists;
pub(super) use super::risk_lists::Beside;
use super::risk_scope as scope;
use super::risk_travel as travel;
use super::source::{File, Source};
use super::table::{Entry, Table};
use crate::app::dialect_file::{Log, Span};
use crate::app::toml_text;
use crate::base::codes::ResponseCode;
use crate::base::map;
use crate::risk::key::{ELEMENTS, Key, Part};
use crate::risk::list::List;
use crate::risk::rule::{Action, Rule, Scope, Test, Velocity};
use crate::risk::travel::Travel;
use crate::risk::{Memory, Plan, RULES_MAX, Rules, SETS_MAX};

/// The names that `routes.toml` gives, if it could be read.
pub(super) type Words<'w> = Option<(&'w Networks, &'w Vocabulary)>;

/// Reads the file; `None` if there is none, or after a mistake.
pub(super) fn read(
    source: &Source<'_>,
    words: Words<'_>,
    beside: &Beside<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Option<Rules> {
    let file = source.file_if_there(NAME, mistakes)?;
    read_file(&file, words, beside, mistakes)
}

/// Reads a file of rules, whatever its name.
pub(super) fn read_file(
    file: &File,
    words: Words<'_>,
    beside: &Beside<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Option<Rules> {
    let mut log = Log::new(&file.shown, &file.text);
    let (root, errors) = toml_text::parsed(&file.text);
    for error in &errors {
        log.add_syntax(&error.span().unwrap_or_default(), error.message());
    }
    let rules = match errors.is_empty() {
        true => rules(Table::new(root.get_ref(), 0..0), words, beside, &mut log),
        false => None,
    };
    mistakes.extend(log.into_mistakes());
    rules
}

/// The name of the file.
pub(super) const NAME: &str = "risk.toml";

fn rules(
    mut root: Table<'_>,
    words: Words<'_>,
    beside: &Beside<'_>,
    log: &mut Log<'_>,
) -> Option<Rules> {
    let megabytes = megabytes(&mut root, log);
    let snapshot = root.take("snapshot");
    let tables = root.tables("rule", log);
    // Not read at all: each of them would be compared with all the others.
    if let Some(table) = tables.get(RULES_MAX) {
        log.add(&table.span, format!("more than {RULES_MAX} rules"));
        return None;
    }
    let key = root.take("key_file").and_then(|entry| Some((entry.text(log)?, entry.span)));
    let key = key.map(|(name, span)| {
        beside.secret(name).unwrap_or_else(|reason| {
            log.add(&span, reason);
            0
        })
    });
    let snapshot_interval = match (snapshot, key) {
        (Some(entry), Some(_)) => entry.duration(SNAPSHOT_MIN..=SNAPSHOT_MAX, log),
        (Some(entry), None) => {
            log.add(&entry.span, "a snapshot is read again under the same key: say key_file");
            None
        }
        (None, key) => key.map(|_| SNAPSHOT),
    };
    let secret = key.unwrap_or_else(of_this_process);
    let lists = lists::Reader { secret, has_key: key.is_some(), beside };
    let allowed = root.tables("allow", log);
    let allowed = allowed.into_iter().flat_map(|mut table| {
        let listed = lists.read(&mut table, log);
        table.finish(log);
        listed
    });
    let allowed = List::new(secret, allowed.collect::<Vec<_>>());
    let mut reader =
        Reader { words, lists, elements: Vec::new(), spans: Vec::new(), names: Vec::new() };
    let rules: Vec<Rule> = tables.into_iter().filter_map(|table| reader.rule(table, log)).collect();
    root.finish(log);
    let Reader { elements, spans, .. } = reader;
    if !log.is_empty() {
        return None;
    }
    let memory = Arc::new(Memory::new(megabytes << 20));
    let rules = Rules::new(Plan { rules, allowed, elements, secret, snapshot_interval }, memory);
    let noted = |place: usize| {
        let span = spans.get(place).cloned().unwrap_or_default();
        log.add(&span, format!("one key too many: rules may count by {SETS_MAX}"));
    };
    rules.map_err(noted).ok()
}

/// `memory_mb`: never more than there is, for that would end the process that reads it.
fn megabytes(root: &mut Table<'_>, log: &mut Log<'_>) -> usize {
    let entry = root.take("memory_mb");
    let said = entry.and_then(|entry| Some((entry.number(1..=MEGABYTES_MAX, log)?, entry.span)));
    let Some((megabytes, span)) = said else { return MEGABYTES };
    let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = machine.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let total = total.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    if let Some(total) = total.map(|kilobytes| kilobytes >> 10)
        && megabytes > total
    {
        log.add(&span, format!("{megabytes} MB, and this machine has {total}"));
    }
    megabytes
}

struct Reader<'r> {
    words: Words<'r>,
    lists: lists::Reader<'r>,
    elements: Vec<u8>,
    spans: Vec<Span>,
    names: Vec<(String, usize)>,
}

impl Reader<'_> {
    /// A rule; `None` if it is not clear what it asks.
    fn rule(&mut self, mut table: Table<'_>, log: &mut Log<'_>) -> Option<Rule> {
        let (name, span) = table.text("name", log).unwrap_or(("", table.span.clone()));
        if let Some((_, line)) = self.names.iter().find(|(other, _)| other == name) {
            log.add(&span, format!("the rule of line {line} has the same name"));
        }
        self.names.push((name.to_owned(), log.line(&span)));
        let scope = scope::read(&mut table, self.words, log);
        let test = self.test(&mut table, log);
        let actions = texts(&mut table, "action", log, action);
        let code = table.take("code").map(|entry| decline(&entry, log));
        let whole = table.span.clone();
        table.finish(log);
        let (test, usual) = test?;
        if matches!(test, Test::Always) && scope == Scope::default() {
            log.add(&whole, "it is for every request: say for whom, or how much is too much");
        }
        self.spans.push(span);
        Some(Rule {
            name: name.to_owned(),
            scope,
            test,
            action: actions.last().copied().unwrap_or(Action::Decline),
            code: code.flatten().unwrap_or(usual),
        })
    }

    /// What it asks, and the code of its kind.
    fn test(&mut self, table: &mut Table<'_>, log: &mut Log<'_>) -> Option<(Test, ResponseCode)> {
        let [count, sum, min, max, listed, travel] =
            ["count", "sum", "min", "max", "listed", "travel"].map(|key| table.take(key));
        let amounts = min.as_ref().or(max.as_ref());
        let said = [&count, &sum, &amounts.cloned(), &listed, &travel];
        if said.iter().filter(|said| said.is_some()).count() > 1 {
            log.add(&table.span, "one question a rule: count, sum, min and max, listed, or travel");
            return None;
        }
        if let Some(entry) = travel {
            return Some((Test::Travel(self.travel(table, &entry, log)?), code(59)));
        }
        let currencies = table.take("currency").map_or(0, |entry| entry.one_or_more(log).len());
        if (sum.is_some() || min.is_some() || max.is_some()) && currencies != 1 {
            log.add(&table.span, "amounts are of one currency: say which");
        }
        if let Some(limit) = count.as_ref().or(sum.as_ref()) {
            let sums = sum.is_some();
            let limit = limit.number(0..=LIMIT_MAX, log);
            let velocity = self.velocity(table, sums, log);
            let velocity = Velocity { limit: limit?, ..velocity? };
            return Some((Test::Velocity(velocity), if sums { code(61) } else { code(65) }));
        }
        if min.is_some() || max.is_some() {
            let number = |entry: Option<Entry<'_>>, absent, log: &mut Log<'_>| {
                entry.map_or(Some(absent), |entry| entry.number(0..=LIMIT_MAX, log))
            };
            let (min, max) = (number(min, 0, log)?, number(max, LIMIT_MAX, log)?);
            if min > max {
                log.add(&table.span, "min is above max");
            }
            return Some((Test::Amount { min, max }, code(if max < LIMIT_MAX { 61 } else { 13 })));
        }
        if let Some(mut table) = listed.map(|entry| entry.table(log)) {
            let listed = table.as_mut().map(|table| self.lists.read(table, log));
            if let Some(table) = table {
                table.finish(log);
            }
            return Some((Test::Listed(List::new(self.lists.secret, listed?)), code(43)));
        }
        Some((Test::Always, code(57)))
    }

    fn velocity(
        &mut self,
        table: &mut Table<'_>,
        sums: bool,
        log: &mut Log<'_>,
    ) -> Option<Velocity> {
        let window = table.need("window", log);
        let window = window.and_then(|entry| entry.duration(WINDOW_MIN..=WINDOW_MAX, log));
        let per = table.need("per", log)?;
        let attempts = table.flag("attempts", false, log);
        Some(Velocity { key: self.key(&per, log), window: window?, limit: 0, sums, attempts })
    }

    fn travel(
        &mut self,
        table: &mut Table<'_>,
        entry: &Entry<'_>,
        log: &mut Log<'_>,
    ) -> Option<Travel> {
        let per = table.take("per");
        let key = per.map_or(Key::of(&[Part::Instrument]), |per| self.key(&per, log));
        let attempts = table.flag("attempts", false, log);
        travel::read(entry, key, attempts, log)
    }

    /// What is counted apart.
    fn key(&mut self, per: &Entry<'_>, log: &mut Log<'_>) -> Key {
        let mut parts = Vec::new();
        for item in per.one_or_more(log) {
            if item.is_number() {
                let Some(element) = item.number(2..=192_u8, log) else { continue };
                match self.element(element) {
                    Some(place) => parts.push(Part::Element(place)),
                    None => log.add(&item.span, format!("more than {ELEMENTS} elements")),
                }
                continue;
            }
            let Some(name) = item.text(log) else { continue };
            match PARTS.iter().find(|(other, _)| *other == name) {
                Some((_, named)) => parts.extend_from_slice(named),
                None => log.add(&item.span, unknown("key", name, PARTS.map(|(name, _)| name))),
            }
        }
        if parts.is_empty() && log.is_empty() {
            log.add(&per.span, "empty; what is to be counted apart?");
        }
        Key::of(&parts)
    }

    /// The place of an element among those that rules name.
    fn element(&mut self, element: u8) -> Option<u8> {
        let place = self.elements.iter().position(|other| *other == element);
        if place.is_none() && self.elements.len() < ELEMENTS {
            self.elements.push(element);
        }
        let place = self.elements.iter().position(|other| *other == element)?;
        Some(place as u8)
    }
}

const PARTS: [(&str, &[Part]); 12] = [
    ("instrument", &[Part::Instrument]),
    ("issuer", &[Part::Issuer]),
    ("merchant", &[Part::Merchant]),
    ("terminal", &[Part::Terminal]),
    ("acquirer", &[Part::Acquirer]),
    ("mcc", &[Part::Mcc]),
    ("amount", &[Part::Amount, Part::Currency]),
    ("currency", &[Part::Currency]),
    ("network", &[Part::Network]),
    ("region", &[Part::Region]),
    ("home", &[Part::Home]),
    ("corridor", &[Part::Home, Part::Region]),
];

fn action(name: &str) -> Result<Action, String> {
    let all = [Action::Decline, Action::Flag, Action::Shadow];
    let known = all.into_iter().find(|action| action.name() == name);
    known.ok_or_else(|| unknown("action", name, all.map(Action::name)))
}

fn code(number: u8) -> ResponseCode {
    ResponseCode::from_number(number).unwrap_or(ResponseCode::NOT_PERMITTED_CARDHOLDER)
}

/// What keys hashes where no file does: the same for all versions that one process reads, so that
/// they count on.
fn of_this_process() -> u64 {
    static SECRET: OnceLock<u64> = OnceLock::new();
    *SECRET.get_or_init(map::random)
}

/// Memory for what is counted, if it is not said.
const MEGABYTES: usize = 64;

/// Most of it.
const MEGABYTES_MAX: usize = 1 << 20;

/// How often what was counted goes to the disk, if it is not said.
const SNAPSHOT: Duration = Duration::from_secs(300);
const SNAPSHOT_MIN: Duration = Duration::from_secs(1);
const SNAPSHOT_MAX: Duration = Duration::from_secs(86_400);

/// Twelve digits, as DE 4 has, times a million.
const LIMIT_MAX: u64 = 999_999_999_999_000_000;

const WINDOW_MIN: Duration = Duration::from_millis(1);
const WINDOW_MAX: Duration = Duration::from_secs(31 * 86_400);
