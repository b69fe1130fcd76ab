//! Versions of the routes: what each says, and how it comes to the workers.

use authswitch::base::authorization::Kind;
use authswitch::base::money::Currency;
use authswitch::routing::build::{Plan, RoutePlan, build};
use authswitch::routing::condition::{Condition, Kinds};
use authswitch::routing::stand_in::{CurrencyLimits, Policy};

use super::*;

/// What the switch may approve itself: little enough that a run reaches it.
pub(crate) const FLOOR: u64 = 60_000;
pub(crate) const CARD_COUNT: u32 = 4;
pub(crate) const CARD: u64 = 150_000;
pub(crate) const MERCHANT_COUNT: u32 = 12;
pub(crate) const MERCHANT: u64 = 300_000;
pub(crate) const TOTAL: u64 = 400_000;

/// Chance of its own: what else happens in a world does not hang on it.
#[derive(Debug)]
pub(super) struct Versions {
    pub(super) dice: Dice,
}

impl Versions {
    pub(super) fn new(seed: u64) -> Self {
        Self { dice: Dice::new(mixed(seed)) }
    }
}

impl World {
    /// A new version, for each worker when it comes to it; the next process begins with it.
    pub(super) fn publishes(&mut self) {
        let dice = &mut self.versions.dice;
        let partners = match dice.below(4) {
            0 => vec![LinkId(1)],
            1 => vec![LinkId(2), LinkId(1)],
            _ => vec![LinkId(1), LinkId(2)],
        };
        let is_renamed = dice.chance(200);
        let own = RoutePlan {
            name: if is_renamed { "renamed" } else { "default" }.into(),
            partners,
            budget: Duration::from_nanos(BUDGET),
            // Limits go with the name of a route.
            stand_in: (self.faults.stand_in && !is_renamed).then(|| policy(1)),
            ..RoutePlan::default()
        };
        // Before it, in its place, routes that nothing takes, and that would approve anything.
        let others = (0..dice.below(UNASKED.len() as u64 + 1)).map(|place| RoutePlan {
            name: format!("other-{}", dice.below(4) * 4 + place),
            partners: vec![LinkId(1), LinkId(2)],
            budget: Duration::from_nanos(BUDGET),
            condition: Condition {
                kinds: Kinds::default().with(UNASKED[place as usize]),
                ..Condition::default()
            },
            stand_in: Some(policy(1000)),
            ..RoutePlan::default()
        });
        let routes: Vec<RoutePlan> = others.collect();
        let routes = routes.into_iter().chain([own]).collect();
        let mut table = build(Plan { routes, ..Plan::default() }).expect("no contradiction");
        table.follow(&self.setup.routes);
        let table = Arc::new(table);
        self.trace("routes", 0, &table.version.to_be_bytes());
        for worker in 0..self.workers() {
            self.input(worker, Input::Routes(Arc::clone(&table)));
        }
        self.setup.routes = table;
    }
}

/// What no terminal asks.
const UNASKED: [Kind; 2] = [Kind::Transfer, Kind::Inquiry];

/// The route of all requests, with a stand-in policy.
pub(super) fn standing_in() -> RouteTable {
    let route = RoutePlan {
        name: "default".into(),
        partners: vec![LinkId(1), LinkId(2)],
        budget: Duration::from_nanos(BUDGET),
        stand_in: Some(policy(1)),
        ..RoutePlan::default()
    };
    build(Plan { routes: vec![route], ..Plan::default() }).expect("nothing contradicts itself")
}

/// So many times what may be approved.
fn policy(times: u32) -> Policy {
    let currency = Currency::from_number(156).expect("listed");
    let limit = |limit: u64| limit * u64::from(times);
    let limits = CurrencyLimits {
        currency,
        floor: limit(FLOOR),
        card: limit(CARD),
        merchant: limit(MERCHANT),
        total: limit(TOTAL),
    };
    Policy {
        currencies: vec![limits],
        card_count: CARD_COUNT * times,
        merchant_count: MERCHANT_COUNT * times,
        excluded_mccs: Vec::new(),
    }
}
