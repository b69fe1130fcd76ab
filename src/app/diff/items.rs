//! What a configuration says, in words: a name, and what is said under it.

use crate::app::config::{BY_LOAD, Config, written};
use crate::base::authorization::Kind;
use crate::base::codes::ResponseCode;
use crate::base::ids::{Area, LinkId, NetworkId, Region};
use crate::base::money::Currency;
use crate::base::time::Wall;
use crate::base::window::{Days, Hours, Window};
use crate::routing::CompletionPercent;
use crate::routing::build::{RoutePlan, TwinDefault};
use crate::routing::condition::Condition;
use crate::routing::merchants::Groups;
use crate::routing::stand_in::Policy;

/// A thing with a name.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub(super) name: String,
    /// Keys and values, the same keys for all of a kind; an empty value is one that is not said.
    pub(super) says: Vec<(&'static str, String)>,
    /// Its place among the others matters.
    pub(super) is_ordered: bool,
}

impl Item {
    /// Everything that is said of it.
    pub(super) fn told(&self) -> String {
        let said = self.says.iter().filter(|(_, value)| !value.is_empty());
        said.map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", ")
    }

    /// What is said of it that was not said of `former`.
    pub(super) fn changes_from(&self, former: &Self) -> String {
        let shown = |value: &str| if value.is_empty() { "none" } else { value }.to_owned();
        let pairs = self.says.iter().zip(&former.says).filter(|(one, other)| one != other);
        let told = pairs.map(|((key, value), (_, before))| {
            format!("{key} {} -> {}", shown(before), shown(value))
        });
        told.collect::<Vec<_>>().join(", ")
    }
}

/// The networks, without the forms of their codes.
pub(super) fn networks(config: &Config) -> Vec<Item> {
    let network = |id: Option<NetworkId>| id.map_or_else(String::new, |id| named(config, id));
    let plans = config.written.networks.iter();
    let items = plans.map(|plan| Item {
        name: plan.name.clone(),
        says: vec![
            ("home", plan.home.map_or_else(String::new, |home| home.to_string())),
            ("within", network(plan.within)),
            ("twin", network(plan.twin)),
            (
                "twin_default",
                match plan.twin_default {
                    TwinDefault::AtHome => String::new(),
                    TwinDefault::Own => "own".to_owned(),
                    TwinDefault::Other => "other".to_owned(),
                },
            ),
            ("consult", plan.consult.map_or("", |link| config.link_name(link)).to_owned()),
            ("consult_within", written(plan.consult_within)),
        ],
        is_ordered: false,
    });
    items.collect()
}

/// Each form of a code, named by itself and its network.
pub(super) fn forms(config: &Config) -> Vec<Item> {
    let plans = config.written.networks.iter();
    let forms = plans.flat_map(|plan| plan.rules.iter().map(move |rule| (plan, rule)));
    let items =
        forms.map(|(plan, rule)| Item { name: format!("{} {rule}", plan.name), ..Item::default() });
    items.collect()
}

/// The routes.
pub(super) fn routes(config: &Config) -> Vec<Item> {
    let plans = config.written.routes.iter();
    let items = plans.map(|plan| {
        let mut says = vec![
            ("network", joined(plan.networks.iter().map(|id| named(config, *id)), "*")),
            ("region", joined(plan.areas.iter().map(Area::to_string), "*")),
        ];
        condition(&plan.condition, config, &mut says);
        says.extend([
            ("partners", partners(plan, config)),
            ("budget", written(plan.budget)),
            ("capabilities", capabilities(plan)),
            ("mode", plan.mode.name().to_owned()),
            ("stand-in", plan.stand_in.as_ref().map_or_else(String::new, policy)),
            ("settles_in", letters(plan.converts.settles_in)),
            ("bills_in", letters(plan.converts.bills_in)),
        ]);
        Item { name: plan.name.clone(), says, is_ordered: true }
    });
    items.collect()
}

fn letters(currency: Option<Currency>) -> String {
    currency.map_or("", Currency::letters).to_owned()
}

/// The quotes, each named by its pair and when it begins.
pub(super) fn quotes(config: &Config) -> Vec<Item> {
    let items = config.written.quotes.all().iter().map(|quote| {
        let (from, to) = (quote.from.letters(), quote.to.letters());
        let since = quote.since.map_or_else(String::new, |since| format!(" since {since}"));
        let says = vec![
            ("rate", quote.rate.to_string()),
            ("rounding", format!("{:?}", quote.rounding).to_lowercase()),
            ("until", quote.until.to_string()),
        ];
        Item { name: format!("{from}/{to}{since}"), says, is_ordered: false }
    });
    items.collect()
}

/// The rules that refuse.
pub(super) fn refusals(config: &Config) -> Vec<Item> {
    let networks = |ids: &[NetworkId]| joined(ids.iter().map(|id| named(config, *id)), "");
    let areas = |areas: &[Area]| joined(areas.iter().map(Area::to_string), "");
    let items = config.written.refusals.iter().map(|plan| {
        let mut says = vec![
            ("code", format!("{:02}", plan.code.number())),
            ("network", networks(&plan.networks)),
            ("except_network", networks(&plan.except_networks)),
            ("region", areas(&plan.areas)),
            ("except_region", areas(&plan.except_areas)),
        ];
        condition(&plan.condition, config, &mut says);
        Item { name: plan.name.clone(), says, is_ordered: true }
    });
    items.collect()
}

/// The partners that are asked nothing new.
pub(super) fn maintenance(config: &Config) -> Vec<Item> {
    let item = |link: &LinkId| Item {
        name: config.link_name(*link).to_owned(),
        says: Vec::new(),
        is_ordered: false,
    };
    config.written.maintenance.iter().map(item).collect()
}

/// DE 39 of each reason.
pub(super) fn codes(config: &Config) -> Vec<Item> {
    let codes = config.written.codes;
    let all = [
        ("unknown_code", codes.unknown_code),
        ("unknown_merchant", codes.unknown_merchant),
        ("network_not_accepted", codes.network_not_accepted),
        ("no_route", codes.no_route),
        ("not_served", codes.not_served),
    ];
    let item = |(name, code): (&str, Option<ResponseCode>)| Item {
        name: name.to_owned(),
        says: vec![(
            "code",
            code.map_or("forward".to_owned(), |code| format!("{:02}", code.number())),
        )],
        is_ordered: false,
    };
    let all = all.map(|(name, code)| (name, Some(code)));
    let all = all.into_iter().chain([("unknown_original", codes.unknown_original)]).map(item);
    let CompletionPercent(percent) = config.written.completion_percent;
    let percent = vec![("percent", percent.to_string())];
    let completions =
        Item { name: "completion_percent".to_owned(), says: percent, is_ordered: false };
    all.chain([completions]).collect()
}

fn named(config: &Config, id: NetworkId) -> String {
    config.routes.network_name(id).to_owned()
}

/// The names of the groups in a set.
pub(in crate::app) fn groups(set: Groups, config: &Config) -> String {
    let names = config.written.groups.iter().zip(0..);
    let names = names.filter(|(_, number)| set.intersects(Groups::default().with(*number)));
    joined(names.map(|(name, _)| name.clone()), "")
}

/// What a condition asks, in words; `any` if nothing.
pub(in crate::app) fn said(asked: &Condition, config: &Config) -> String {
    let mut says = Vec::new();
    condition(asked, config, &mut says);
    let item = Item { says, ..Item::default() };
    Some(item.told()).filter(|told| !told.is_empty()).unwrap_or("any".to_owned())
}

fn condition(asked: &Condition, config: &Config, says: &mut Vec<(&'static str, String)>) {
    let category = |(first, last): &(u16, u16)| match first == last {
        true => format!("{first:04}"),
        false => format!("{first:04}-{last:04}"),
    };
    let kinds = Kind::ALL.into_iter().filter(|kind| asked.kinds.contains(*kind));
    let window = asked.window.clone().unwrap_or_default();
    let Window { from, until, days, hours, zone } = window;
    // Moments are the same in any zone; days and hours are not.
    let is_local = days != Days::default() || !hours.is_empty();
    let moment = |wall: Option<Wall>| wall.map_or_else(String::new, |wall| wall.to_string());
    says.extend([
        ("home", joined(asked.homes.iter().map(Region::to_string), "")),
        ("mcc", joined(asked.mccs.iter().map(category), "")),
        ("group", groups(asked.groups, config)),
        ("kind", joined(kinds.map(|kind| kind.name().to_owned()), "")),
        (
            "asked_by",
            joined(asked.asked_by.iter().map(|link| config.link_name(*link).to_owned()), ""),
        ),
        ("from", moment(from)),
        ("until", moment(until)),
        ("days", joined((0..7).filter(|day| days.contains(*day)).map(day), "")),
        ("hours", joined(hours.iter().map(span), "")),
        ("zone", if is_local { zone.text() } else { String::new() }),
    ]);
}

fn partners(plan: &RoutePlan, config: &Config) -> String {
    let name = |(place, link): (usize, &LinkId)| match plan.weights.get(place) {
        Some(weight) => format!("{} x {weight}", config.link_name(*link)),
        None => config.link_name(*link).to_owned(),
    };
    let choice = plan.by_load.then(|| format!("({BY_LOAD})"));
    joined(plan.partners.iter().enumerate().map(name).chain(choice), "")
}

fn capabilities(plan: &RoutePlan) -> String {
    let can = plan.capabilities;
    let all =
        [("inquiry", can.inquiry), ("void", can.void), ("partial-reversal", can.partial_reversal)];
    joined(all.iter().filter(|(_, can)| *can).map(|(name, _)| (*name).to_owned()), "none")
}

fn policy(policy: &Policy) -> String {
    let currencies = policy.currencies.iter().map(|limits| {
        let (currency, floor) = (limits.currency.number(), limits.floor);
        let (card, merchant, total) = (limits.card, limits.merchant, limits.total);
        format!("{currency:03} up to {floor} (card {card}, merchant {merchant}, all {total})")
    });
    let excluded = policy.excluded_mccs.iter().map(|mcc| format!("{mcc:04}"));
    let (cards, merchants) = (policy.card_count, policy.merchant_count);
    let counts = format!("{cards} a card and {merchants} a merchant");
    match joined(excluded, "") {
        none if none.is_empty() => format!("{}, {counts}", joined(currencies, "")),
        listed => format!("{}, {counts}, not {listed}", joined(currencies, "")),
    }
}

fn day(day: u8) -> String {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    NAMES.get(usize::from(day)).copied().unwrap_or_default().to_owned()
}

fn span(hours: &Hours) -> String {
    let Hours { from, until } = hours;
    format!("{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
}

/// The names with blanks between, or `none`.
fn joined(names: impl Iterator<Item = String>, none: &str) -> String {
    let names: Vec<String> = names.collect();
    if names.is_empty() { none.to_owned() } else { names.join(" ") }
}
