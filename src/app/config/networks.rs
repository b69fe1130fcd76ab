//! `[[network]]` of `routes.toml`: names, homes, and the forms of codes and card numbers.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::PartnerName;
use super::names::unknown;
use super::regions::region;
use super::table::{Entry, Table};
use crate::app::dialect_file::{Log, Span};
use crate::base::ids::NetworkId;
use crate::routing::build::{Conflict, NetworkPlan, TwinDefault};
use crate::routing::classify::{CodeRule, Lengths, RuleError};
use crate::routing::merchants::NETWORKS_MAX;

/// The networks of a file, with the places where they stand in it.
#[derive(Debug, Default)]
pub(super) struct Networks {
    /// By [`NetworkId`].
    pub(super) plans: Vec<NetworkPlan>,
    spans: Vec<NetworkSpans>,
}

const TWIN_DEFAULTS: [(&str, TwinDefault); 3] =
    [("at home", TwinDefault::AtHome), ("own", TwinDefault::Own), ("other", TwinDefault::Other)];

/// Where a network and its rules stand.
#[derive(Debug, Clone, Default)]
struct NetworkSpans {
    name: Span,
    within: Span,
    twin: Span,
    rules: Vec<Span>,
}

impl Networks {
    /// Reads every `[[network]]`: all names first, for networks name each other.
    pub(super) fn read(
        mut tables: Vec<Table<'_>>,
        partners: Option<&[PartnerName]>,
        log: &mut Log<'_>,
    ) -> Self {
        let mut networks = Self::default();
        for table in &mut tables {
            networks.add_name(table, log);
        }
        for (place, mut table) in tables.into_iter().enumerate() {
            networks.read_one(place, &mut table, partners, log);
            table.finish(log);
        }
        networks
    }

    /// The id of a network, or a sentence on who is known.
    pub(super) fn id(&self, name: &str) -> Result<NetworkId, String> {
        let place = self.plans.iter().position(|plan| plan.name == name);
        place.map(|place| NetworkId(place as u16)).ok_or_else(|| {
            unknown("network", name, self.plans.iter().map(|plan| plan.name.as_str()))
        })
    }

    /// The name of a network.
    pub(super) fn name(&self, id: NetworkId) -> &str {
        self.plans.get(usize::from(id.0)).map_or("unknown", |plan| &plan.name)
    }

    /// Notes a conflict that building found among networks.
    pub(super) fn note(&self, conflict: &Conflict, log: &mut Log<'_>) {
        let span = |place: usize| self.spans.get(place).cloned().unwrap_or_default();
        match *conflict {
            Conflict::Networks => log.add(&span(NETWORKS_MAX).name, conflict.to_string()),
            Conflict::Circle { network } => log.add(&span(network).within, conflict.to_string()),
            Conflict::Twin { network } => log.add(&span(network).twin, conflict.to_string()),
            Conflict::Rules { first, second } => {
                let rule = |(network, rule): (usize, usize)| {
                    span(network).rules.get(rule).cloned().unwrap_or_default()
                };
                let (first, second, owner) = if rule(first).start > rule(second).start {
                    (rule(second), rule(first), second.0)
                } else {
                    (rule(first), rule(second), first.0)
                };
                let name = self.plans.get(owner).map_or("", |plan| &plan.name);
                let line = log.line(&first);
                log.add(&second, format!("{conflict}: {name}, line {line}"));
            }
            _ => {}
        }
    }

    fn add_name(&mut self, table: &mut Table<'_>, log: &mut Log<'_>) {
        let (name, span) = table.text("name", log).unwrap_or(("", table.span.clone()));
        let fit = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
        if !name.bytes().all(fit) {
            log.add(&span, "a network's name is made of capital letters, digits and -");
        }
        let earlier = self.plans.iter().position(|plan| plan.name == name && !name.is_empty());
        if let Some(spans) = earlier.and_then(|place| self.spans.get(place)) {
            let line = log.line(&spans.name);
            log.add(&span, format!("the network {name:?} is defined in line {line} already"));
        }
        self.plans.push(NetworkPlan { name: name.to_owned(), ..NetworkPlan::default() });
        self.spans.push(NetworkSpans { name: span, ..NetworkSpans::default() });
    }

    fn read_one(
        &mut self,
        place: usize,
        table: &mut Table<'_>,
        partners: Option<&[PartnerName]>,
        log: &mut Log<'_>,
    ) {
        let mut spans = NetworkSpans::default();
        let mut other = |key, table: &mut Table<'_>, span: &mut Span| {
            let entry = table.take(key)?;
            span.clone_from(&entry.span);
            let id = self.id(entry.text(log)?);
            id.map_err(|reason| log.add(&entry.span, reason)).ok()
        };
        let within = other("within", table, &mut spans.within);
        let twin = other("twin", table, &mut spans.twin);
        let twin_default = table.take("twin_default").and_then(|entry| {
            let named = TWIN_DEFAULTS.iter().find(|(name, _)| entry.text(log) == Some(name));
            if named.is_none() {
                log.add(&entry.span, "expected \"at home\", \"own\" or \"other\"");
            }
            named.map(|(_, default)| *default)
        });
        let consult = table.take("consult").and_then(|entry| {
            let name = entry.text(log)?;
            let found = partners?.iter().find(|(other, ..)| other == name);
            if found.is_none() {
                let known = partners?.iter().map(|(name, ..)| name.as_str());
                log.add(&entry.span, unknown("partner", name, known));
            }
            found.map(|(_, link, _)| *link)
        });
        let consult_within = table.duration("consult_within", CONSULT_TIMES, CONSULT_TIME, log);
        let home = table.take("home").and_then(|entry| {
            region(entry.text(log)?).map_err(|reason| log.add(&entry.span, reason)).ok()
        });
        let mut rules = Vec::new();
        for (key, scanned) in [("codes", true), ("pans", false)] {
            let items = table.take(key).map(|entry| entry.items(log)).unwrap_or_default();
            for item in items {
                if let Some(rule) = rule(&item, scanned, log) {
                    rules.push(rule);
                    spans.rules.push(item.span);
                }
            }
        }
        let items = table.take("applications").map(|entry| entry.items(log)).unwrap_or_default();
        for item in items {
            let Some(rule) = item.text(log).map(application) else { continue };
            match rule {
                Some(rule) => {
                    rules.push(rule);
                    spans.rules.push(item.span);
                }
                None => log.add(&item.span, "expected 10 to 14 hexadecimal digits, in pairs"),
            }
        }
        if let (Some(plan), Some(place)) = (self.plans.get_mut(place), self.spans.get_mut(place)) {
            (plan.home, plan.within, plan.twin, plan.rules) = (home, within, twin, rules);
            (plan.twin_default, plan.consult) = (twin_default.unwrap_or_default(), consult);
            plan.consult_within = consult_within;
            spans.name.clone_from(&place.name);
            *place = spans;
        }
    }
}

/// How long a partner may take to say whose code it is; half the budget of a route at most.
const CONSULT_TIME: Duration = Duration::from_millis(300);
const CONSULT_TIMES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(10);

/// The first 5 to 7 bytes of an application's name.
fn application(name: &str) -> Option<CodeRule> {
    let pairs = name.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok().filter(|_| !pair.starts_with('+'))
    });
    CodeRule::application(&pairs.collect::<Option<Vec<u8>>>()?).ok()
}

/// `{ prefix = "281006", length = 24 }`, `{ from = "25", to = "30", length = [16, 24] }`, or
/// `{ pattern = "289..........6....." }`.
fn rule(item: &Entry<'_>, scanned: bool, log: &mut Log<'_>) -> Option<CodeRule> {
    let mut table = item.table(log)?;
    let mut digits = |key, table: &mut Table<'_>| Some(table.take(key)?.text(log)?.to_owned());
    let prefix = digits("prefix", &mut table);
    let from = digits("from", &mut table);
    let to = digits("to", &mut table);
    if let Some(pattern) = digits("pattern", &mut table) {
        table.finish(log);
        let rule = CodeRule::pattern(scanned, &pattern).ok();
        if rule.is_none() {
            log.add(&item.span, "expected 1 to 24 of digits, dots and [..], after 18 only dots");
        } else if prefix.is_some() || from.is_some() || to.is_some() {
            log.add(&item.span, "a pattern says all, there is no prefix, from or to beside it");
        }
        return rule;
    }
    let lengths = table.need("length", log).and_then(|entry| lengths(&entry, log));
    table.finish(log);
    let (first, last) = match (prefix, from, to) {
        (Some(prefix), None, None) => (prefix.clone(), prefix),
        (None, Some(from), Some(to)) => (from, to),
        _ => {
            log.add(&item.span, "expected either prefix, or both from and to, or pattern");
            return None;
        }
    };
    let reason = match CodeRule::range(scanned, &first, &last, lengths?) {
        Ok(rule) => return Some(rule),
        Err(RuleError::Order) => "from and to must have as many digits, the smaller one first",
        Err(RuleError::Short) => "a code of this length is shorter than its first digits",
        Err(_) => "expected 1 to 18 digits",
    };
    log.add(&item.span, reason);
    None
}

/// `24`, or `[16, 24]` for 16 to 24.
fn lengths(entry: &Entry<'_>, log: &mut Log<'_>) -> Option<Lengths> {
    let items = entry.one_or_more(log);
    let bounds: Option<Vec<u8>> = items.iter().map(|item| item.number(1..=24, log)).collect();
    let lengths = match bounds?.as_slice() {
        [length] => Lengths::new(*length, *length),
        [first, last] => Lengths::new(*first, *last),
        _ => None,
    };
    if lengths.is_none() {
        log.add(&entry.span, "expected a length, or the shortest and the longest like [16, 24]");
    }
    lengths
}
