//! `routes.toml`: networks, routes, refusals, response codes. Reads the merchants on the way, whose
//! rows name networks, and builds the table.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::conditions::Vocabulary;
use super::names::unknown;
use super::networks::Networks;
use super::regions::area;
use super::source::Source;
use super::switch::SwitchFile;
use super::table::{Entry, Table};
use super::{
    Mistake, Partner, PartnerName, Written, codes, merchants, mode, quotes, refusals, stand_in,
};
use crate::app::dialect_file::{Log, Span};
use crate::app::toml_text;
use crate::base::ids::LinkId;
use crate::base::money::Currency;
use crate::routing::build::{
    BUDGET_MAX, Conflict, Plan, REFUSALS_MAX, ROUTES_MAX, RoutePlan, build,
};
use crate::routing::merchants::{MerchantTable, NETWORKS_MAX};
use crate::routing::quote::{Converts, Quotes};
use crate::routing::route::{Capabilities, Mode};
use crate::routing::{CompletionPercent, RouteTable};
use crate::switch::converted::{BILLED, SETTLED};

/// What `routes.toml` says, and the table it makes.
pub(super) struct RoutesFile {
    /// As written.
    pub(super) written: Written,
    /// With the merchants, if they are checked.
    pub(super) table: RouteTable,
    /// The networks, by their names.
    pub(super) networks: Networks,
    /// Names of groups and categories.
    pub(super) words: Vocabulary,
}

/// Reads the file and the merchants; `None` after a mistake in either. `links` is `None` if nobody
/// knows who asks and who is asked.
pub(super) fn read(
    source: &Source<'_>,
    links: Option<&SwitchFile>,
    mistakes: &mut Vec<Mistake>,
) -> Option<RoutesFile> {
    let partners = links.map(|file| file.partner_names.as_slice());
    let acquirers = links.map(|file| {
        file.acquirers.iter().map(|acquirer| (acquirer.name.clone(), acquirer.link)).collect()
    });
    let file = source.file("routes.toml", mistakes)?;
    let mut log = Log::new(&file.shown, &file.text);
    let (root, errors) = toml_text::parsed(&file.text);
    for error in &errors {
        log.add_syntax(&error.span().unwrap_or_default(), error.message());
    }
    if !errors.is_empty() {
        mistakes.extend(log.into_mistakes());
        return None;
    }
    let mut root = Table::new(root.get_ref(), 0..0);
    let check_merchants = root.flag("check_merchants", true, &mut log);
    let codes = root.take("codes").and_then(|entry| entry.table(&mut log));
    let codes = codes.map(|table| codes::read(table, &mut log)).unwrap_or_default();
    let maintenance = maintenance(&mut root, partners, &mut log);
    let completion_percent = completion_percent(&mut root, &mut log);
    let words = Vocabulary::read(&mut root, acquirers, &mut log);
    let networks = root.tables("network", &mut log);
    let refusals = root.tables("refuse", &mut log);
    let quotes = root.tables("quote", &mut log);
    let tables = root.tables("route", &mut log);
    // Not read at all: each of them would be compared with all the others.
    let too_many = [
        is_over(&networks, NETWORKS_MAX, Conflict::Networks, &mut log),
        is_over(&refusals, REFUSALS_MAX, Conflict::Refusals, &mut log),
        is_over(&tables, ROUTES_MAX, Conflict::Routes, &mut log),
    ];
    if too_many.contains(&true) {
        mistakes.extend(log.into_mistakes());
        return None;
    }
    let networks = Networks::read(networks, partners, &mut log);
    let (refusals, refusal_spans) = refusals::read(refusals, &networks, &words, &mut log);
    let quotes = quotes::read(quotes, &mut log);
    let mut reader = Reader::new(&networks, &words, links, &quotes);
    if tables.is_empty() {
        log.add(&root.span, "no [[route]]: no request could go anywhere");
    }
    let routes: Vec<_> =
        tables.into_iter().filter_map(|table| reader.route(table, &mut log)).collect();
    let spans = Spans { routes: reader.spans, refusals: refusal_spans };
    root.finish(&mut log);
    let mut merchant_mistakes = Vec::new();
    let merchants = if check_merchants && networks.plans.len() <= NETWORKS_MAX {
        merchants::read(source, &networks, &words, &mut merchant_mistakes)
    } else {
        None
    };
    let groups = words.groups().to_vec();
    let plans = networks.plans.clone();
    let written = Written {
        networks: plans,
        routes,
        refusals,
        groups,
        codes,
        maintenance,
        completion_percent,
        quotes,
    };
    let table = table(plan(&written, merchants), &networks, &spans, &mut log);
    mistakes.extend(log.into_mistakes());
    mistakes.append(&mut merchant_mistakes);
    Some(RoutesFile { written, table: table?, networks, words })
}

/// What is built into a table.
fn plan(written: &Written, merchants: Option<MerchantTable>) -> Plan {
    Plan {
        version: 1,
        networks: written.networks.clone(),
        routes: written.routes.clone(),
        refusals: written.refusals.clone(),
        maintenance: written.maintenance.clone(),
        merchants,
        codes: written.codes,
        completion_percent: written.completion_percent,
        quotes: written.quotes.clone(),
    }
}

/// Partners that are asked nothing new for the time being.
fn maintenance(
    root: &mut Table<'_>,
    partners: Option<&[PartnerName]>,
    log: &mut Log<'_>,
) -> Vec<LinkId> {
    let named = root.take("maintenance").map(|entry| entry.one_or_more(log));
    let mut links = Vec::new();
    for entry in named.unwrap_or_default() {
        let (Some(name), Some(partners)) = (entry.text(log), partners) else { continue };
        match partners.iter().find(|(other, ..)| other == name) {
            Some((_, link, _)) => links.push(*link),
            None => {
                let known = partners.iter().map(|(name, ..)| name.as_str());
                log.add(&entry.span, unknown("partner", name, known));
            }
        }
    }
    links
}

/// How much completions may take together of what was held.
fn completion_percent(root: &mut Table<'_>, log: &mut Log<'_>) -> CompletionPercent {
    let CompletionPercent(usual) = CompletionPercent::default();
    CompletionPercent(root.number("completion_percent", COMPLETION_PERCENT, usual, log))
}

/// Whole and ten times over: what is beyond these is a mistake.
const COMPLETION_PERCENT: RangeInclusive<u16> = 100..=1000;

/// Notes the first table that is too many.
fn is_over(tables: &[Table<'_>], most: usize, conflict: Conflict, log: &mut Log<'_>) -> bool {
    let first = tables.get(most);
    if let Some(table) = first {
        log.add(&table.span, conflict.to_string());
    }
    first.is_some()
}

/// The table; `None` if the file or its parts contradict each other.
fn table(plan: Plan, networks: &Networks, spans: &Spans, log: &mut Log<'_>) -> Option<RouteTable> {
    let conflicts = match build(plan) {
        Ok(table) => return log.is_empty().then_some(table),
        Err(conflicts) => conflicts,
    };
    let mut told = BTreeSet::new();
    for (place, conflict) in conflicts.iter().copied().enumerate() {
        if log.is_full() {
            log.leave_out(conflicts.len() - place);
            break;
        }
        let span = |place: usize| spans.routes.get(place).cloned().unwrap_or_default();
        match conflict {
            // Noted where it stands already, with the value that was not understood.
            Conflict::Partners { .. } | Conflict::Budget { .. } => {}
            Conflict::Budgets { route } => log.add(&span(route).budget, conflict.to_string()),
            Conflict::Routes | Conflict::Parts | Conflict::Patterns | Conflict::Refusals => {
                log.add(&(0..0), conflict.to_string());
            }
            Conflict::Crowded { route } => log.add(&span(route).name, conflict.to_string()),
            Conflict::Weights { route } => log.add(&span(route).weights, conflict.to_string()),
            Conflict::RouteWindow { route } => log.add(&span(route).name, conflict.to_string()),
            Conflict::RefusalWindow { refusal } => {
                let span = spans.refusals.get(refusal).cloned().unwrap_or_default();
                log.add(&span, conflict.to_string());
            }
            Conflict::SameRoute { first, second, network, area } => {
                if !told.insert((first, second)) {
                    continue;
                }
                let line = log.line(&span(first).name);
                let network = network.map_or("any network", |id| networks.name(id));
                let area = area.map_or("any region".to_owned(), |area| area.to_string());
                let reason = format!("{network} in {area} has the route of line {line} already");
                log.add(&span(second).name, reason);
            }
            _ => networks.note(&conflict, log),
        }
    }
    None
}

/// Where routes and refusals stand.
struct Spans {
    routes: Vec<RouteSpans>,
    refusals: Vec<Span>,
}

/// Where the parts of a route stand.
#[derive(Debug, Clone, Default)]
struct RouteSpans {
    name: Span,
    budget: Span,
    weights: Span,
}

/// Reads routes against the names they use.
struct Reader<'r> {
    networks: &'r Networks,
    words: &'r Vocabulary,
    partners: Option<&'r [PartnerName]>,
    /// How they write, as far as that was understood.
    links: &'r [Partner],
    quotes: &'r Quotes,
    spans: Vec<RouteSpans>,
    names: BTreeMap<String, usize>,
}

impl<'r> Reader<'r> {
    fn new(
        networks: &'r Networks,
        words: &'r Vocabulary,
        links: Option<&'r SwitchFile>,
        quotes: &'r Quotes,
    ) -> Self {
        let partners = links.map(|file| file.partner_names.as_slice());
        let links = links.map_or(&[][..], |file| &file.partners);
        let (spans, names) = (Vec::new(), BTreeMap::new());
        Self { networks, words, partners, links, quotes, spans, names }
    }

    /// A route; `None` if it is not clear what it serves.
    fn route(&mut self, mut table: Table<'_>, log: &mut Log<'_>) -> Option<RoutePlan> {
        let (name, span) = table.text("name", log).unwrap_or(("", table.span.clone()));
        match self.names.get(name) {
            Some(line) => log.add(&span, format!("the route of line {line} has the same name")),
            None => _ = self.names.insert(name.to_owned(), log.line(&span)),
        }
        let networks = listed(&mut table, "network", log, |name| self.networks.id(name));
        let areas = listed(&mut table, "region", log, area);
        let mode = mode(&mut table, log);
        let partners = table.need("partners", log);
        let partners = partners.map(|entry| self.partners(&entry, mode, log)).unwrap_or_default();
        let budget = table.need("budget", log);
        let budget_span = budget.as_ref().map_or(span.clone(), |entry| entry.span.clone());
        let budget = budget.and_then(|entry| entry.duration(BUDGET_MIN..=BUDGET_MAX, log));
        let stand_in = table.take("stand_in").and_then(|entry| stand_in::policy(&entry, log));
        let condition = self.words.condition(&mut table, log);
        let (weights, by_load, weights_span) = weights(&mut table, log);
        let capabilities = capabilities(&mut table, log);
        let settles_in = self.currency("settles_in", SETTLED, &partners, &mut table, log);
        let bills_in = self.currency("bills_in", BILLED, &partners, &mut table, log);
        table.finish(log);
        let (networks, areas) = (networks?, areas?);
        self.spans.push(RouteSpans { name: span, budget: budget_span, weights: weights_span });
        Some(RoutePlan {
            name: name.to_owned(),
            networks,
            areas,
            condition,
            partners,
            weights,
            by_load,
            budget: budget.unwrap_or(BUDGET_MAX),
            stand_in,
            capabilities,
            mode,
            converts: Converts { settles_in, bills_in },
        })
    }

    /// The currency in which the partners are told `elements`: a quote leads to it, and they can be
    /// told.
    fn currency(
        &self,
        key: &'static str,
        elements: [u8; 3],
        partners: &[LinkId],
        table: &mut Table<'_>,
        log: &mut Log<'_>,
    ) -> Option<Currency> {
        let entry = table.take(key)?;
        let currency = entry.text(log).map(quotes::currency)?;
        let currency = currency.map_err(|reason| log.add(&entry.span, reason)).ok()?;
        if !self.quotes.lead_to(currency) {
            let letters = currency.letters();
            log.add(&entry.span, format!("no [[quote]] leads to {letters}"));
        }
        let asked = self.links.iter().filter(|link| partners.contains(&link.link));
        for partner in asked {
            let missing = elements.into_iter().find(|element| !partner.dialect.has(*element));
            if let Some(element) = missing {
                let (name, dialect) = (&partner.name, partner.dialect.name());
                let reason = format!("{name} cannot be told: {dialect} has no DE {element}");
                log.add(&entry.span, reason);
            }
        }
        Some(currency)
    }

    fn partners(&self, entry: &Entry<'_>, mode: Mode, log: &mut Log<'_>) -> Vec<LinkId> {
        let mut links = Vec::new();
        let items = entry.items(log);
        if items.is_empty() {
            log.add(&entry.span, "a route needs at least one partner");
        }
        for item in items {
            let (Some(name), Some(partners)) = (item.text(log), self.partners) else { continue };
            match partners.iter().find(|(other, ..)| other == name) {
                Some((_, link, _)) if links.contains(link) => {
                    log.add(&item.span, format!("the partner {name:?} is listed twice"));
                }
                Some((_, link, theirs)) => {
                    links.push(*link);
                    // Neither may money move in a test, nor a sale end in a simulator.
                    if *theirs != mode {
                        let (ours, theirs) = (mode.name(), theirs.name());
                        let reason = format!("a {theirs} partner has no place in a {ours} route");
                        log.add(&item.span, reason);
                    }
                }
                None => {
                    let known = partners.iter().map(|(name, ..)| name.as_str());
                    let known = known.filter(|name| !name.is_empty());
                    log.add(&item.span, unknown("partner", name, known));
                }
            }
        }
        links
    }
}

/// `weights = [3, 1]`, one for each partner, or `weights = "least-in-flight"`: true.
fn weights(table: &mut Table<'_>, log: &mut Log<'_>) -> (Vec<u16>, bool, Span) {
    let Some(entry) = table.take("weights") else { return (Vec::new(), false, 0..0) };
    if entry.is_text() {
        let name = entry.text(log).unwrap_or_default();
        if name != BY_LOAD {
            log.add(&entry.span, unknown("choice", name, [BY_LOAD]));
        }
        return (Vec::new(), true, entry.span);
    }
    let items = entry.items(log);
    let weights: Vec<u16> =
        items.iter().filter_map(|item| item.number(0..=WEIGHT_MAX, log)).collect();
    // A weight that was not understood is mistake enough.
    let whole = weights.len() == items.len();
    if items.is_empty() {
        log.add(&entry.span, "empty; without weights the first partner is always asked first");
    }
    (if whole { weights } else { Vec::new() }, false, entry.span)
}

/// Whoever has the fewest requests under way is asked first.
pub(in crate::app) const BY_LOAD: &str = "least-in-flight";

fn capabilities(table: &mut Table<'_>, log: &mut Log<'_>) -> Capabilities {
    const KNOWN: [&str; 3] = ["inquiry", "void", "partial-reversal"];
    let Some(entry) = table.take("capabilities") else { return Capabilities::default() };
    let mut can = [false; KNOWN.len()];
    for item in entry.items(log) {
        let Some(name) = item.text(log) else { continue };
        match KNOWN.iter().zip(&mut can).find(|(known, _)| **known == name) {
            Some((_, can)) => *can = true,
            None => log.add(&item.span, unknown("capability", name, KNOWN)),
        }
    }
    let [inquiry, void, partial_reversal] = can;
    Capabilities { inquiry, void, partial_reversal }
}

/// One name, a list of names, or `"*"` for any, which is the empty list. `None` after a mistake.
fn listed<T: PartialEq>(
    table: &mut Table<'_>,
    key: &'static str,
    log: &mut Log<'_>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    let entry = table.need(key, log)?;
    let items = entry.one_or_more(log);
    let mut values = Vec::new();
    let mut whole = !items.is_empty();
    if items.is_empty() {
        log.add(&entry.span, format!("empty; \"*\" is any {key}"));
    }
    let alone = items.len() == 1;
    for item in items {
        let read = match item.text(log) {
            Some("*") if alone => continue,
            Some("*") => Err(format!("\"*\" is any {key} and stands alone")),
            Some(name) => read(name),
            None => return None,
        };
        match read {
            Ok(value) if values.contains(&value) => {
                log.add(&item.span, format!("this {key} is listed twice"));
            }
            Ok(value) => values.push(value),
            Err(reason) => {
                log.add(&item.span, reason);
                whole = false;
            }
        }
    }
    whole.then_some(values)
}

/// Shortest budget that means anything on a network.
const BUDGET_MIN: std::time::Duration = std::time::Duration::from_millis(1);

/// Largest weight that a file may name.
const WEIGHT_MAX: u16 = 10_000;
