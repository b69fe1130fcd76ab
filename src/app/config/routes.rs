//! `routes.toml`: networks, routes, response codes. Reads the merchants on the way, whose rows
//! name networks, and builds the table.

use toml::de::DeTable;

use super::log::{Log, Span};
use super::names::unknown;
use super::networks::Networks;
use super::regions::region;
use super::source::Source;
use super::table::{Entry, Table};
use super::{Mistake, merchants, stand_in};
use crate::base::codes::ResponseCode;
use crate::base::ids::LinkId;
use crate::routing::build::{BUDGET_MAX, Conflict, NetworkPlan, Plan, RoutePlan, build};
use crate::routing::merchants::{MerchantTable, NETWORKS_MAX};
use crate::routing::{Codes, RouteTable};

/// Networks and routes as written, and the table they make.
type Routes = (Vec<NetworkPlan>, Vec<RoutePlan>, RouteTable);

/// Reads the file and the merchants; `None` after a mistake in either. `partners` is `None` if
/// nobody knows who the partners are.
pub(super) fn read(
    source: &Source<'_>,
    partners: Option<&[(String, LinkId)]>,
    mistakes: &mut Vec<Mistake>,
) -> Option<Routes> {
    let file = source.file("routes.toml", mistakes)?;
    let mut log = Log::new(&file.shown, &file.text);
    let (root, errors) = DeTable::parse_recoverable(&file.text);
    for error in &errors {
        log.add(&error.span().unwrap_or_default(), error.message());
    }
    if !errors.is_empty() {
        log.finish(mistakes);
        return None;
    }
    let mut root = Table::new(root.get_ref(), 0..0);
    let check_merchants = root.flag("check_merchants", true, &mut log);
    let codes = root.take("codes").and_then(|entry| entry.table(&mut log));
    let codes = codes.map(|table| codes_of(table, &mut log)).unwrap_or_default();
    let networks = Networks::read(root.tables("network", &mut log), &mut log);
    let mut reader = Reader { networks: &networks, partners, spans: Vec::new(), names: Vec::new() };
    let tables = root.tables("route", &mut log);
    if tables.is_empty() {
        log.add(&root.span, "no [[route]]: no request could go anywhere");
    }
    let routes: Vec<_> =
        tables.into_iter().filter_map(|table| reader.route(table, &mut log)).collect();
    let spans = reader.spans;
    root.finish(&mut log);
    let mut merchant_mistakes = Vec::new();
    let merchants = if check_merchants && networks.plans.len() <= NETWORKS_MAX {
        merchants::read(source, &networks, &mut merchant_mistakes)
    } else {
        None
    };
    let table = table(&networks, routes.clone(), &spans, merchants, codes, &mut log);
    log.finish(mistakes);
    mistakes.append(&mut merchant_mistakes);
    Some((networks.plans, routes, table?))
}

/// The table; `None` if the file or its parts contradict each other.
fn table(
    networks: &Networks,
    routes: Vec<RoutePlan>,
    spans: &[RouteSpans],
    merchants: Option<MerchantTable>,
    codes: Codes,
    log: &mut Log<'_>,
) -> Option<RouteTable> {
    let plan = Plan { version: 1, networks: networks.plans.clone(), routes, merchants, codes };
    let conflicts = match build(plan) {
        Ok(table) => return log.is_empty().then_some(table),
        Err(conflicts) => conflicts,
    };
    let mut told = Vec::new();
    for conflict in conflicts {
        let span = |place: usize| spans.get(place).cloned().unwrap_or_default();
        match conflict {
            // Noted where it stands already, with the value that was not understood.
            Conflict::Partners { .. } | Conflict::Budget { .. } => {}
            Conflict::Budgets { route } => log.add(&span(route).budget, conflict.to_string()),
            Conflict::Routes => log.add(&(0..0), conflict.to_string()),
            Conflict::SameRoute { first, second, network, region } => {
                if told.contains(&(first, second)) {
                    continue;
                }
                told.push((first, second));
                let line = log.line(&span(first).name);
                let network = network.map_or("any network", |id| networks.name(id));
                let region = region.map_or("any region".to_owned(), |region| region.to_string());
                let reason = format!("{network} in {region} has the route of line {line} already");
                log.add(&span(second).name, reason);
            }
            _ => networks.note(&conflict, log),
        }
    }
    None
}

/// Where the parts of a route stand.
#[derive(Debug, Clone, Default)]
struct RouteSpans {
    name: Span,
    budget: Span,
}

/// Reads routes against the names they use.
struct Reader<'r> {
    networks: &'r Networks,
    partners: Option<&'r [(String, LinkId)]>,
    spans: Vec<RouteSpans>,
    names: Vec<(String, usize)>,
}

impl Reader<'_> {
    /// A route; `None` if it is not clear what it serves.
    fn route(&mut self, mut table: Table<'_>, log: &mut Log<'_>) -> Option<RoutePlan> {
        let (name, span) = table.text("name", log).unwrap_or(("", table.span.clone()));
        if let Some((_, line)) = self.names.iter().find(|(other, _)| other == name) {
            log.add(&span, format!("the route of line {line} has the same name"));
        }
        self.names.push((name.to_owned(), log.line(&span)));
        let networks = listed(&mut table, "network", log, |name| self.networks.id(name));
        let regions = listed(&mut table, "region", log, region);
        let partners = table.need("partners", log);
        let partners = partners.map(|entry| self.partners(&entry, log)).unwrap_or_default();
        let budget = table.need("budget", log);
        let budget_span = budget.as_ref().map_or(span.clone(), |entry| entry.span.clone());
        let budget = budget.and_then(|entry| entry.duration(BUDGET_MIN..=BUDGET_MAX, log));
        let stand_in = table.take("stand_in").and_then(|entry| stand_in::policy(&entry, log));
        table.finish(log);
        let (networks, regions) = (networks?, regions?);
        self.spans.push(RouteSpans { name: span, budget: budget_span });
        let budget = budget.unwrap_or(BUDGET_MAX);
        Some(RoutePlan { name: name.to_owned(), networks, regions, partners, budget, stand_in })
    }

    fn partners(&self, entry: &Entry<'_>, log: &mut Log<'_>) -> Vec<LinkId> {
        let mut links = Vec::new();
        let items = entry.items(log);
        if items.is_empty() {
            log.add(&entry.span, "a route needs at least one partner");
        }
        for item in items {
            let (Some(name), Some(partners)) = (item.text(log), self.partners) else { continue };
            match partners.iter().find(|(other, _)| other == name) {
                Some((_, link)) if links.contains(link) => {
                    log.add(&item.span, format!("the partner {name:?} is listed twice"));
                }
                Some((_, link)) => links.push(*link),
                None => {
                    let known = partners.iter().map(|(name, _)| name.as_str());
                    let known = known.filter(|name| !name.is_empty());
                    log.add(&item.span, unknown("partner", name, known));
                }
            }
        }
        links
    }
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

fn codes_of(mut table: Table<'_>, log: &mut Log<'_>) -> Codes {
    let mut codes = Codes::default();
    for (key, code) in [
        ("unknown_code", &mut codes.unknown_code),
        ("unknown_merchant", &mut codes.unknown_merchant),
        ("network_not_accepted", &mut codes.network_not_accepted),
        ("no_route", &mut codes.no_route),
    ] {
        let Some(entry) = table.take(key) else { continue };
        let said = entry.text(log).map(|text| match text.as_bytes() {
            [b'0'..=b'9', b'0'..=b'9'] => text.parse().ok().and_then(ResponseCode::from_number),
            _ => None,
        });
        match said {
            None => {}
            Some(Some(said)) if !ResponseCode::approves(&said.digits()) => *code = said,
            Some(Some(_)) => log.add(&entry.span, "this code approves; a decline is wanted"),
            Some(None) => log.add(&entry.span, "expected two digits of DE 39, like \"92\""),
        }
    }
    table.finish(log);
    codes
}

/// Shortest budget that means anything on a network.
const BUDGET_MIN: std::time::Duration = std::time::Duration::from_millis(1);
