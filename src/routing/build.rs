//! Plan in, route table out: resolves every fallback once and finds what contradicts itself.
//!
//! A plan speaks in places (the third rule of the second network), so that whoever wrote it, a
//! file or a test, can say where the mistake stands.

use std::fmt;
use std::time::Duration;

use super::classify::{Classifier, CodeRule};
use super::merchants::{MerchantTable, NETWORKS_MAX, NetworkSet};
use super::stand_in::Policy;
use super::{Codes, NO_ROUTE, Network, REGION_CELLS, Route, RouteTable, region_cell};
use crate::base::ids::{LinkId, NetworkId, Region};

/// Everything a route table is made of.
#[derive(Debug, Default)]
pub struct Plan {
    /// Which edition of the configuration this is.
    pub version: u64,
    /// The networks; their places are their ids.
    pub networks: Vec<NetworkPlan>,
    /// The routes; their places are their ids.
    pub routes: Vec<RoutePlan>,
    /// The merchants; without them no region is known and no acceptance is checked.
    pub merchants: Option<MerchantTable>,
    /// DE 39 of each reason to decline.
    pub codes: Codes,
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
    /// one is meant; where it accepts both, this one in its home region and else the other.
    pub twin: Option<NetworkId>,
    /// The forms of its codes and card numbers.
    pub rules: Vec<CodeRule>,
}

/// A route before building.
#[derive(Debug, Clone)]
pub struct RoutePlan {
    /// Its name.
    pub name: String,
    /// The networks it serves; empty means any.
    pub networks: Vec<NetworkId>,
    /// The merchant regions it serves; empty means any.
    pub regions: Vec<Region>,
    /// Whom to ask, in order of preference.
    pub partners: Vec<LinkId>,
    /// How long the answer may take.
    pub budget: Duration,
    /// What may be approved in the place of the partners, if anything.
    pub stand_in: Option<Policy>,
}

/// What contradicts itself in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// More networks than a set has bits.
    Networks,
    /// More routes than a cell can name.
    Routes,
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
    /// Two routes serve the same network in the same region.
    SameRoute {
        /// Place of the earlier route.
        first: usize,
        /// Place of the later route.
        second: usize,
        /// The network; `None` is any.
        network: Option<NetworkId>,
        /// The region; `None` is any.
        region: Option<Region>,
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
    if plan.routes.len() >= usize::from(NO_ROUTE) {
        return Err(vec![Conflict::Routes]);
    }
    let networks = networks(&plan.networks, &mut conflicts);
    let classifier = classifier(&plan.networks, &mut conflicts);
    let budgets = budgets(&plan.routes, &mut conflicts);
    let cells = cells(&plan.networks, &plan.routes, &mut conflicts);
    if !conflicts.is_empty() {
        return Err(conflicts);
    }
    let class = |budget: Duration| budgets.iter().position(|other| *other == budget).unwrap_or(0);
    let route = |route: RoutePlan| Route {
        budget_class: class(route.budget) as u8,
        name: route.name,
        partners: route.partners,
        budget: route.budget,
        stand_in: route.stand_in.map(Box::new),
    };
    let routes = plan.routes.into_iter().map(route).collect();
    Ok(RouteTable {
        version: plan.version,
        networks,
        classifier,
        merchants: plan.merchants,
        routes,
        cells,
        budgets,
        codes: plan.codes,
    })
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
                other.twin = Some(NetworkId(place as u16));
            }
            _ => conflicts.push(Conflict::Twin { network: place }),
        }
    }
    networks
}

/// A network and those it rides on, nearest first; longer than all networks if it is a circle.
fn way(plans: &[NetworkPlan], place: usize) -> Vec<NetworkId> {
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

/// The dense array: first what routes say themselves, then every fallback.
fn cells(
    networks: &[NetworkPlan],
    routes: &[RoutePlan],
    conflicts: &mut Vec<Conflict>,
) -> Vec<u16> {
    let rows = networks.len() + 1;
    // One column more than the table has: what holds for any region.
    let mut said =
        Grid { columns: REGION_CELLS + 1, cells: vec![NO_ROUTE; rows * (REGION_CELLS + 1)] };
    for (place, route) in routes.iter().enumerate() {
        for network in or_any(&route.networks) {
            for region in or_any(&route.regions) {
                let row = network.map_or(rows - 1, |id| usize::from(id.0));
                let column = region.map_or(REGION_CELLS, |region| region_cell(Some(region)));
                let Some(cell) = said.cell(row, column) else { continue };
                if *cell == NO_ROUTE {
                    *cell = place as u16;
                } else {
                    let first = usize::from(*cell);
                    conflicts.push(Conflict::SameRoute { first, second: place, network, region });
                }
            }
        }
    }
    let mut cells = Vec::with_capacity(rows * REGION_CELLS);
    for row in 0..rows {
        let mut way: Vec<usize> = if row < networks.len() {
            way(networks, row).iter().map(|id| usize::from(id.0)).collect()
        } else {
            Vec::new()
        };
        way.push(rows - 1);
        for column in 0..REGION_CELLS {
            let mut places = way.iter().flat_map(|row| [(*row, column), (*row, REGION_CELLS)]);
            let found = places.find_map(|(row, column)| said.route(row, column));
            cells.push(found.unwrap_or(NO_ROUTE));
        }
    }
    cells
}

/// What routes say themselves, before any fallback.
struct Grid {
    columns: usize,
    cells: Vec<u16>,
}

impl Grid {
    fn cell(&mut self, row: usize, column: usize) -> Option<&mut u16> {
        self.cells.get_mut(row * self.columns + column)
    }

    fn route(&self, row: usize, column: usize) -> Option<u16> {
        self.cells.get(row * self.columns + column).copied().filter(|place| *place != NO_ROUTE)
    }
}

fn or_any<T: Copy>(listed: &[T]) -> Vec<Option<T>> {
    if listed.is_empty() { vec![None] } else { listed.iter().copied().map(Some).collect() }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Networks => write!(f, "more than {NETWORKS_MAX} networks"),
            Self::Routes => write!(f, "more than {} routes", NO_ROUTE - 1),
            Self::Budgets { .. } => write!(f, "more than {BUDGET_CLASSES_MAX} different budgets"),
            Self::Budget { .. } => {
                write!(f, "a budget must be longer than 0 and at most {} s", BUDGET_MAX.as_secs())
            }
            Self::Partners { .. } => f.write_str("a route needs at least one partner"),
            Self::Circle { .. } => f.write_str("a network cannot ride on itself"),
            Self::Twin { .. } => f.write_str("a network has at most one twin, and never itself"),
            Self::Rules { .. } => f.write_str("fits the same codes, and neither is more specific"),
            Self::SameRoute { .. } => f.write_str("the same network and region have a route"),
        }
    }
}

/// Longest budget of a route. Card networks answer within 25 s; behind that nobody stands at the
/// till any more.
pub const BUDGET_MAX: Duration = Duration::from_secs(60);

/// Distinct budgets: the switch keeps one queue of deadlines for each.
pub const BUDGET_CLASSES_MAX: usize = 16;

const _: () = assert!(BUDGET_CLASSES_MAX <= u8::MAX as usize);
