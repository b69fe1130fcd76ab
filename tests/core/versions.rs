//! A new version of the routes in the middle of everything.

use std::sync::Arc;
use std::time::Duration;

use authswitch::base::authorization::Kind;
use authswitch::base::ids::LinkId;
use authswitch::base::money::Currency;
use authswitch::routing::RouteTable;
use authswitch::routing::build::{Plan, RoutePlan, build};
use authswitch::routing::condition::{Condition, Kinds};
use authswitch::routing::stand_in::{CurrencyLimits, Policy};
use authswitch::switch::{Counter, Event};

use crate::money::one_reversal;
use crate::rig::{BUDGET, HOST, PARTNER, POS, Rig, sale};

/// A route for sales, behind one that no sale takes.
fn routes(other: Option<Policy>, own: Option<(&str, Option<Policy>)>) -> RouteTable {
    let transfers =
        Condition { kinds: Kinds::default().with(Kind::Transfer), ..Condition::default() };
    let route = |name: &str, condition, stand_in| RoutePlan {
        name: name.into(),
        partners: vec![PARTNER],
        budget: BUDGET,
        condition,
        stand_in,
        ..RoutePlan::default()
    };
    let own = own.map(|(name, policy)| route(name, Condition::default(), policy));
    let routes = std::iter::once(route("other", transfers, other)).chain(own).collect();
    build(Plan { version: 1, routes, ..Plan::default() }).expect("no conflict")
}

fn policy() -> Option<Policy> {
    let currency = Currency::from_number(156).expect("listed");
    let limits =
        CurrencyLimits { currency, floor: 1250, card: 5000, merchant: 4000, total: 10_000 };
    Some(Policy {
        currencies: vec![limits],
        card_count: 9,
        merchant_count: 9,
        excluded_mccs: Vec::new(),
    })
}

/// One route for everything, and a sale under way on it.
fn asked(stand_in: Option<Policy>) -> (Rig, RouteTable) {
    let plan = || RoutePlan {
        name: "sales".into(),
        partners: vec![PARTNER],
        budget: BUDGET,
        stand_in: stand_in.clone(),
        ..RoutePlan::default()
    };
    let first = || build(Plan { version: 1, routes: vec![plan()], ..Plan::default() });
    let table = first().expect("no conflict");
    let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| setup.routes = Arc::new(table));
    rig.sale(1);
    (rig, first().expect("no conflict"))
}

fn publish(rig: &mut Rig, former: &RouteTable, mut table: RouteTable) {
    table.follow(former);
    rig.feed(Event::Routes(Arc::new(table)));
}

/// What the POS hears when the partner stays silent.
fn given_up(rig: &mut Rig) -> String {
    rig.wait(BUDGET);
    let answer = rig.at_pos().pop().expect("an answer");
    answer.code().to_owned()
}

#[test]
fn another_route_in_its_place_does_not_stand_in_for_it() {
    for own in [None, Some(("new", policy())), Some(("sales", None))] {
        let (mut rig, former) = asked(None);
        publish(&mut rig, &former, routes(policy(), own.clone()));
        assert_eq!(given_up(&mut rig), "91", "{own:?}");
        one_reversal(&mut rig);
        assert_eq!(rig.count(Counter::StoodIn), 0);
    }
}

#[test]
fn the_policy_of_the_version_in_force_counts() {
    let (mut rig, former) = asked(None);
    publish(&mut rig, &former, routes(None, Some(("sales", policy()))));
    assert_eq!(given_up(&mut rig), "00");
    let (mut rig, former) = asked(policy());
    publish(&mut rig, &former, routes(policy(), Some(("sales", None))));
    assert_eq!(given_up(&mut rig), "91");
    // A partner that the route has no more is not stood in for.
    let (mut rig, former) = asked(policy());
    let elsewhere = RoutePlan {
        name: "sales".into(),
        partners: vec![LinkId(7)],
        budget: BUDGET,
        stand_in: policy(),
        ..RoutePlan::default()
    };
    let plan = Plan { version: 1, routes: vec![elsewhere], ..Plan::default() };
    publish(&mut rig, &former, build(plan).expect("no conflict"));
    assert_eq!(given_up(&mut rig), "91");
}

#[test]
fn an_answer_needs_no_route() {
    let (mut rig, former) = asked(None);
    let seen = rig.sale(2);
    publish(&mut rig, &former, routes(None, None));
    rig.answer(&seen, "00");
    assert_eq!(rig.at_pos().pop().expect("an answer").code(), "00");
    rig.ask(POS, &sale(3));
    assert_eq!(rig.at_pos().pop().expect("an answer").code(), "14");
    assert!(rig.at_host().is_empty());
    // A connection that is lost under the new version ends what began under the old one.
    rig.feed(Event::Closed { session: HOST });
    assert_eq!(rig.at_pos().pop().expect("an answer").code(), "91");
}

#[test]
fn deadlines_hold_whatever_budgets_came_and_went() {
    let mut rig = Rig::new();
    let mut former = Arc::new(RouteTable::single(vec![PARTNER], BUDGET));
    rig.feed(Event::Routes(Arc::clone(&former)));
    for version in 0..300 {
        let budget = Duration::from_millis(100 + version);
        let plan = RoutePlan {
            name: "sales".into(),
            partners: vec![PARTNER],
            budget,
            ..RoutePlan::default()
        };
        let mut table =
            build(Plan { version: 1, routes: vec![plan], ..Plan::default() }).expect("no conflict");
        table.follow(&former);
        let table = Arc::new(table);
        rig.feed(Event::Routes(Arc::clone(&table)));
        assert_eq!(rig.switch.routes().version, version + 2);
        rig.sale(version as u32 + 1);
        rig.wait(budget - Duration::from_nanos(1));
        assert!(rig.at_pos().is_empty(), "{budget:?}: too early");
        rig.wait(Duration::from_nanos(1));
        assert_eq!(rig.at_pos().pop().expect("in time").code(), "91", "{budget:?}");
        let reversal = rig.at_host().pop().expect("a reversal");
        rig.answer(&reversal, "00");
        rig.at_host();
        assert_eq!(Arc::strong_count(&former), 1, "the switch has let go of it");
        former = table;
    }
}
