//! Versions of the routes: what each says, and how it comes to the workers.

use authswitch::base::authorization::Kind;
use authswitch::base::ids::{Area, NetworkId};
use authswitch::base::money::Currency;
use authswitch::routing::build::{NetworkPlan, Plan, RoutePlan, TwinDefault, build};
use authswitch::routing::classify::{CodeRule, Lengths};
use authswitch::routing::condition::{Condition, Kinds};
use authswitch::routing::merchants::{Groups, Merchant, MerchantRows, NetworkSet};
use authswitch::routing::route::Capabilities;
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
            capabilities: can(&self.faults),
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
        let mut table = build(plan(routes, &self.faults)).expect("no contradiction");
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

/// The route of all requests, as this world has it.
pub(super) fn first(faults: &Faults) -> RouteTable {
    let route = RoutePlan {
        name: "default".into(),
        partners: vec![LinkId(1), LinkId(2)],
        budget: Duration::from_nanos(BUDGET),
        stand_in: faults.stand_in.then(|| policy(1)),
        capabilities: can(faults),
        ..RoutePlan::default()
    };
    build(plan(vec![route], faults)).expect("nothing contradicts itself")
}

/// These routes, and in some worlds a second network whose cards look like those of the first.
fn plan(mut routes: Vec<RoutePlan>, faults: &Faults) -> Plan {
    if !faults.consults {
        return Plan { routes, ..Plan::default() };
    }
    let numbers = Lengths::new(16, 16).expect("lengths");
    let first = NetworkPlan {
        name: "FIRST".into(),
        rules: vec![CodeRule::prefix(false, "4761", numbers).expect("a rule")],
        ..NetworkPlan::default()
    };
    let second = NetworkPlan {
        name: "SECOND".into(),
        twin: Some(NetworkId(0)),
        twin_default: TwinDefault::Other,
        consult: Some(LinkId(2)),
        consult_within: Duration::from_millis(400),
        ..NetworkPlan::default()
    };
    routes.push(RoutePlan {
        name: "second".into(),
        networks: vec![NetworkId(1)],
        partners: vec![LinkId(2), LinkId(1)],
        budget: Duration::from_nanos(BUDGET),
        capabilities: can(faults),
        ..RoutePlan::default()
    });
    let networks = NetworkSet::default().with(NetworkId(0)).with(NetworkId(1));
    let area = Area::from_text("HK").expect("an area");
    let merchant = Merchant { networks, area, mcc: 0, groups: Groups::default() };
    let mut rows = MerchantRows::default();
    rows.add_prefix(b"MERCHANT", merchant).expect("a row");
    let merchants = Some(rows.build().0);
    Plan { networks: vec![first, second], routes, merchants, ..Plan::default() }
}

/// What partners can do.
fn can(faults: &Faults) -> Capabilities {
    Capabilities { inquiry: faults.inquires, ..Capabilities::default() }
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
