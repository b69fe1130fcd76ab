//! Plan in, route table out: resolves every fallback once and finds what contradicts itself.
//!
//! A plan speaks in places (the third rule of the second network), so that whoever wrote it, a
//! file or a test, can say where the mistake stands.

use std::fmt;
use std::time::Duration;

pub use super::cells::ROUTES_MAX;
use super::cells::{CELL_ROUTES_MAX, Cells, PARTS_MAX};
use super::classify::{Classifier, CodeRule};
use super::condition::{Condition, Refusal};
use super::merchants::{MerchantTable, NETWORKS_MAX, NetworkSet};
use super::quote::{Converts, Quotes};
use super::route::{self, Capabilities, Mode, Route, TURNS_MAX};
use super::stand_in::Policy;
use super::{Codes, CompletionPercent, Network, RouteTable, Twin};
use crate::base::codes::ResponseCode;
use crate::base::ids::{Area, LinkId, NetworkId, Region, RouteNumber};

/// Everything a route table is made of.
#[derive(Debug, Default)]
pub struct Plan {
    /// Which edition of the configuration this is.
    pub version: u64,
    /// The networks; their places are their ids.
    pub networks: Vec<NetworkPlan>,
    /// The routes; their places are their ids.
    pub routes: Vec<RoutePlan>,
    /// What is refused whatever routes say.
    pub refusals: Vec<RefusalPlan>,
    /// Partners that are asked nothing new for the time being.
    pub maintenance: Vec<LinkId>,
    /// The merchants; without them no region is known and no acceptance is checked.
    pub merchants: Option<MerchantTable>,
    /// DE 39 of each reason to decline.
    pub codes: Codes,
    /// How much completions may take of what was held.
    pub completion_percent: CompletionPercent,
    /// What amounts are in other currencies.
    pub quotes: Quotes,
}

/// A network before building.
#[derive(Debug, Clone, Default)]
pub struct NetworkPlan {
    /// Its name.
    pub name: String,
    /// Where its wallet is at home.
    pub home: Option<Region>,
    /// The network it rides on: merchants that accept that one accept this one, and its routes
    /// serve where this one has none of its own.
    pub within: Option<NetworkId>,
    /// The network whose codes look the same. Where a merchant accepts only one of the two, that
    /// one is meant; where it accepts both, see `twin_default`.
    pub twin: Option<NetworkId>,
    /// Which of the twins is meant where a merchant accepts both and nobody is asked or answers.
    pub twin_default: TwinDefault,
    /// Who knows whose code it is.
    pub consult: Option<LinkId>,
    /// How long it may take to say so.
    pub consult_within: Duration,
    /// The forms of its codes and card numbers.
    pub rules: Vec<CodeRule>,
}

/// Which of two networks a code belongs to where the merchant accepts both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TwinDefault {
    /// The one that names the other, in its home region; else the other.
    #[default]
    AtHome,
    /// The one that names the other.
    Own,
    /// The other.
    Other,
}

/// A rule that refuses, before building. It is about the networks named, their riders included, at
/// merchants in the areas named, both but for the exceptions.
#[derive(Debug, Clone)]
pub struct RefusalPlan {
    /// Its name.
    pub name: String,
    /// DE 39 of the answer.
    pub code: ResponseCode,
    /// The networks it is about; empty means any.
    pub networks: Vec<NetworkId>,
    /// Networks it is not about.
    pub except_networks: Vec<NetworkId>,
    /// The merchant areas it is about; empty means any.
    pub areas: Vec<Area>,
    /// Areas it is not about.
    pub except_areas: Vec<Area>,
    /// What else must hold.
    pub condition: Condition,
}

/// A route before building.
#[derive(Debug, Clone, Default)]
pub struct RoutePlan {
    /// Its name.
    pub name: String,
    /// The networks it serves; empty means any.
    pub networks: Vec<NetworkId>,
    /// The merchant areas it serves; empty means any.
    pub areas: Vec<Area>,
    /// What else must hold.
    pub condition: Condition,
    /// Whom to ask, in order of preference.
    pub partners: Vec<LinkId>,
    /// How often each of them is asked first; empty means always the first.
    pub weights: Vec<u16>,
    /// The one with the fewest requests under way is asked first, instead.
    pub by_load: bool,
    /// How long the answer may take.
    pub budget: Duration,
    /// What may be approved in the place of the partners, if anything.
    pub stand_in: Option<Policy>,
    /// What its partners can do beside purchases.
    pub capabilities: Capabilities,
    /// Whether it is in earnest.
    pub mode: Mode,
    /// In which other currencies its partners are told what is paid.
    pub converts: Converts,
}

/// What contradicts itself in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// More networks than a set has bits.
    Networks,
    /// More routes, or combinations of them, than a cell can name.
    Routes,
    /// More refusals, or combinations of them, than a cell can name.
    Refusals,
    /// More routes for one network and area than are asked one by one.
    Crowded {
        /// Place of the first route too many.
        route: usize,
    },
    /// More patterns than are asked one by one.
    Patterns,
    /// More parts of regions than there are columns.
    Parts,
    /// More distinct budgets than there are budget classes; the first route too many.
    Budgets {
        /// Place of the route.
        route: usize,
    },
    /// A budget of nothing, or of more than [`BUDGET_MAX`].
    Budget {
        /// Place of the route.
        route: usize,
    },
    /// A route that asks nobody.
    Partners {
        /// Place of the route.
        route: usize,
    },
    /// Weights that are none: not one for each partner, all zero, or too large together.
    Weights {
        /// Place of the route.
        route: usize,
    },
    /// A window that is over before it begins.
    RouteWindow {
        /// Place of the route.
        route: usize,
    },
    /// The same, of a refusal.
    RefusalWindow {
        /// Place of the refusal.
        refusal: usize,
    },
    /// A network that rides on itself, directly or through others.
    Circle {
        /// Place of the network.
        network: usize,
    },
    /// Two networks claim the same twin, or a network is its own.
    Twin {
        /// Place of the network.
        network: usize,
    },
    /// Two rules fit the same codes and neither is more specific.
    Rules {
        /// Network and place of the one rule.
        first: (usize, usize),
        /// Network and place of the other.
        second: (usize, usize),
    },
    /// Two routes serve the same network in the same area, and nothing comes past the earlier one.
    SameRoute {
        /// Place of the earlier route.
        first: usize,
        /// Place of the later route.
        second: usize,
        /// The network; `None` is any.
        network: Option<NetworkId>,
        /// The area; `None` is any.
        area: Option<Area>,
    },
}

/// Builds the table of a plan.
///
/// # Errors
///
/// Every conflict of the plan.
pub fn build(plan: Plan) -> Result<RouteTable, Vec<Conflict>> {
    let mut conflicts = Vec::new();
    if plan.networks.len() > NETWORKS_MAX {
        return Err(vec![Conflict::Networks]);
    }
    if plan.routes.len() > ROUTES_MAX {
        return Err(vec![Conflict::Routes]);
    }
    if plan.refusals.len() > REFUSALS_MAX {
        return Err(vec![Conflict::Refusals]);
    }
    let networks = networks(&plan.networks, &mut conflicts);
    let classifier = classifier(&plan.networks, &mut conflicts);
    let budgets = budgets(&plan.routes, &mut conflicts);
    windows(&plan, &mut conflicts);
    let cells = Cells::build(&plan.networks, &plan.routes, &plan.refusals, &mut conflicts);
    if !conflicts.is_empty() {
        return Err(conflicts);
    }
    let class = |budget: Duration| budgets.iter().position(|other| *other == budget).unwrap_or(0);
    let route = |(place, route): (usize, RoutePlan)| Route {
        turns: route::turns(&route.weights).unwrap_or_default(),
        by_load: route.by_load,
        budget_class: class(route.budget) as u8,
        number: RouteNumber(place as u32),
        name: route.name,
        partners: route.partners,
        budget: route.budget,
        stand_in: route.stand_in.map(Box::new),
        condition: (!route.condition.is_always()).then(|| Box::new(route.condition)),
        capabilities: route.capabilities,
        mode: route.mode,
        converts: (route.converts != Converts::default()).then(|| Box::new(route.converts)),
    };
    let routes: Vec<Route> = plan.routes.into_iter().enumerate().map(route).collect();
    let refusal = |RefusalPlan { name, code, condition, .. }| Refusal { name, code, condition };
    let refusals = plan.refusals.into_iter().map(refusal).collect();
    let mut merchants = plan.merchants;
    for kind in merchants.iter_mut().flat_map(MerchantTable::kinds_mut) {
        kind.column = cells.column(Some(kind.merchant.area));
    }
    Ok(RouteTable {
        version: plan.version,
        networks,
        classifier,
        merchants,
        numbered: routes.len() as u32,
        routes,
        refusals,
        maintenance: plan.maintenance,
        cells,
        budgets,
        codes: plan.codes,
        completion_percent: plan.completion_percent,
        quotes: plan.quotes,
    })
}

/// What weights and windows contradict themselves.
fn windows(plan: &Plan, conflicts: &mut Vec<Conflict>) {
    let is_over = |condition: &Condition| {
        condition.window.as_ref().is_some_and(|window| !window.is_possible())
    };
    for (place, route) in plan.routes.iter().enumerate() {
        let count = route.weights.len();
        if count != 0 && count != route.partners.len() || route::turns(&route.weights).is_none() {
            conflicts.push(Conflict::Weights { route: place });
        }
        if is_over(&route.condition) {
            conflicts.push(Conflict::RouteWindow { route: place });
        }
    }
    for (place, refusal) in plan.refusals.iter().enumerate() {
        if is_over(&refusal.condition) {
            conflicts.push(Conflict::RefusalWindow { refusal: place });
        }
    }
}

fn networks(plans: &[NetworkPlan], conflicts: &mut Vec<Conflict>) -> Vec<Network> {
    let mut networks: Vec<Network> = Vec::with_capacity(plans.len());
    for (place, plan) in plans.iter().enumerate() {
        let way = way(plans, place);
        if way.len() > plans.len() {
            conflicts.push(Conflict::Circle { network: place });
        }
        let accepted_as = way.iter().take(plans.len());
        let accepted_as = accepted_as.fold(NetworkSet::default(), |set, id| set.with(*id));
        networks.push(Network {
            name: plan.name.clone(),
            home: plan.home,
            accepted_as,
            twin: None,
        });
    }
    for (place, plan) in plans.iter().enumerate() {
        let Some(twin) = plan.twin else { continue };
        // The code is classified as the other network, which therefore has to know its twin.
        match networks.get_mut(usize::from(twin.0)) {
            Some(other) if usize::from(twin.0) != place && other.twin.is_none() => {
                let (network, default) = (NetworkId(place as u16), plan.twin_default);
                let (consult, consult_within) = (plan.consult, plan.consult_within);
                other.twin = Some(Twin { network, default, consult, consult_within });
            }
            _ => conflicts.push(Conflict::Twin { network: place }),
        }
    }
    networks
}

/// A network and those it rides on, nearest first; longer than all networks if it is a circle.
pub(super) fn way(plans: &[NetworkPlan], place: usize) -> Vec<NetworkId> {
    let mut way = vec![NetworkId(place as u16)];
    let mut next = plans.get(place).and_then(|plan| plan.within);
    while let Some(id) = next
        && way.len() <= plans.len()
    {
        way.push(id);
        next = plans.get(usize::from(id.0)).and_then(|plan| plan.within);
    }
    way
}

fn classifier(plans: &[NetworkPlan], conflicts: &mut Vec<Conflict>) -> Classifier {
    let mut rules = Vec::new();
    let mut places = Vec::new();
    for (network, plan) in plans.iter().enumerate() {
        for (place, rule) in plan.rules.iter().enumerate() {
            rules.push((NetworkId(network as u16), *rule));
            places.push((network, place));
        }
    }
    let patterns = rules.iter().filter(|(_, rule)| rule.asks()).count();
    if patterns > PATTERNS_MAX {
        conflicts.push(Conflict::Patterns);
        return Classifier::default();
    }
    let mut clashes = Vec::new();
    let classifier = Classifier::new(&rules, &mut clashes);
    for (first, second) in clashes {
        if let (Some(&first), Some(&second)) =
            (places.get(first as usize), places.get(second as usize))
        {
            conflicts.push(Conflict::Rules { first, second });
        }
    }
    classifier
}

fn budgets(routes: &[RoutePlan], conflicts: &mut Vec<Conflict>) -> Vec<Duration> {
    let mut budgets: Vec<Duration> = Vec::new();
    for (place, route) in routes.iter().enumerate() {
        if route.budget.is_zero() || route.budget > BUDGET_MAX {
            conflicts.push(Conflict::Budget { route: place });
        } else if !budgets.contains(&route.budget) {
            if budgets.len() == BUDGET_CLASSES_MAX {
                conflicts.push(Conflict::Budgets { route: place });
            }
            budgets.push(route.budget);
        }
        if route.partners.is_empty() {
            conflicts.push(Conflict::Partners { route: place });
        }
    }
    budgets.sort_unstable();
    budgets
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Networks => write!(f, "more than {NETWORKS_MAX} networks"),
            Self::Routes => write!(f, "more than {ROUTES_MAX} routes or combinations of them"),
            Self::Refusals => {
                write!(f, "more than {REFUSALS_MAX} refusals, or too many combinations of them")
            }
            Self::Crowded { .. } => {
                write!(f, "more than {CELL_ROUTES_MAX} routes for one network and region")
            }
            Self::Patterns => write!(f, "more than {PATTERNS_MAX} patterns"),
            Self::Parts => write!(f, "more than {PARTS_MAX} parts of regions"),
            Self::Weights { .. } => {
                write!(f, "expected a weight for each partner, {TURNS_MAX} together at most")
            }
            Self::RouteWindow { .. } | Self::RefusalWindow { .. } => {
                f.write_str("the window is over before it begins")
            }
            Self::Budgets { .. } => write!(f, "more than {BUDGET_CLASSES_MAX} different budgets"),
            Self::Budget { .. } => {
                write!(f, "a budget must be longer than 0 and at most {} s", BUDGET_MAX.as_secs())
            }
            Self::Partners { .. } => f.write_str("a route needs at least one partner"),
            Self::Circle { .. } => f.write_str("a network cannot ride on itself"),
            Self::Twin { .. } => f.write_str("a network has at most one twin, and never itself"),
            Self::Rules { .. } => f.write_str("fits the same codes, and neither is more specific"),
            Self::SameRoute { .. } => f.write_str("the same network and area have a route"),
        }
    }
}

/// Longest budget of a route. Card networks answer within 25 s; behind that nobody stands at the
/// till any more.
pub const BUDGET_MAX: Duration = Duration::from_secs(60);

/// Distinct budgets: the switch keeps one queue of deadlines for each.
pub const BUDGET_CLASSES_MAX: usize = 16;

/// Forms of codes that ask for digits behind their first ones: such are asked one after the other.
pub const PATTERNS_MAX: usize = 1024;

/// Rules that refuse.
pub const REFUSALS_MAX: usize = 256;

const _: () = assert!(BUDGET_CLASSES_MAX <= u8::MAX as usize);
