//! What a request is, and whose till it comes from, as routes see it.

use std::sync::Arc;

use authswitch::base::authorization::Kind;
use authswitch::base::ids::{Area, Region};
use authswitch::routing::build::{Plan, RoutePlan, build};
use authswitch::routing::condition::{Condition, Kinds};
use authswitch::routing::merchants::{Groups, Merchant, MerchantRows, NetworkSet, Till};

use crate::rig::{BUDGET, PARTNER, POS, Plain, Rig, framed, sale};

/// One route, and only for this kind.
fn rig(kind: Kind) -> Rig {
    let condition = Condition { kinds: Kinds::default().with(kind), ..Condition::default() };
    with(Plan { routes: vec![RoutePlan { condition, ..route() }], ..Plan::default() })
}

fn with(plan: Plan) -> Rig {
    let routes = Arc::new(build(Plan { version: 1, ..plan }).expect("no contradiction"));
    Rig::with("pos-bcd", "pos-bcd", |setup| setup.routes = routes)
}

fn route() -> RoutePlan {
    RoutePlan {
        name: "only".into(),
        partners: vec![PARTNER],
        budget: BUDGET,
        ..RoutePlan::default()
    }
}

/// True if the partner is asked; else the request was declined.
fn goes(mut rig: Rig, request: &Plain) -> bool {
    rig.send(POS, &framed(&rig.acquirer.clone(), request));
    let answers = rig.at_pos();
    let is_asked = !rig.at_host().is_empty();
    assert_eq!(is_asked, answers.is_empty(), "{answers:?}");
    is_asked
}

#[test]
fn routes_tell_kinds_apart() {
    let gate = sale(1).without(2).with(22, "031").with(18, "4111").with(35, "28804567890123456");
    let hotel = sale(2).with(18, "7011").typed("0100");
    let held = sale(3).with(3, "030000").with(25, "06").typed("0100");
    let taken = sale(4).with(25, "06").with(38, "123456").typed("0220");
    for (request, kind) in [
        (&sale(5), Kind::Purchase),
        (&gate, Kind::Fare),
        (&hotel, Kind::PreAuthorization),
        (&held, Kind::PreAuthorization),
        (&sale(6).with(3, "020000"), Kind::Void),
        (&sale(7).with(3, "200000"), Kind::Refund),
        (&sale(8).with(3, "310000"), Kind::Inquiry),
        (&sale(9).with(3, "400000"), Kind::Transfer),
    ] {
        for only in Kind::ALL {
            assert_eq!(goes(rig(only), request), only == kind, "{kind:?}, a route for {only:?}");
        }
    }
    let mut rig = rig(Kind::Completion);
    rig.send(POS, &framed(&rig.acquirer.clone(), &taken));
    assert_eq!(rig.at_host().len(), 1, "the advice of a completion");
}

#[test]
fn one_merchant_is_another_at_another_acquirer() {
    let merchant = |region: &[u8; 2]| Merchant {
        networks: NetworkSet::ALL,
        area: Area::from(Region(*region)),
        mcc: 0,
        groups: Groups::default(),
    };
    let plan = || {
        let mut rows = MerchantRows::default();
        rows.add_prefix(b"", merchant(b"KR")).expect("a row");
        let till = Till { acquirer: 12_345, ..Till::default() };
        rows.add_till(b"MERCHANT0000001", till, merchant(b"JP")).expect("a row");
        let routes = vec![RoutePlan { areas: vec![Area::from(Region(*b"JP"))], ..route() }];
        Plan { routes, merchants: Some(rows.build().0), ..Plan::default() }
    };
    assert!(goes(with(plan()), &sale(1).with(32, "12345")));
    assert!(!goes(with(plan()), &sale(1).with(32, "12346")));
    assert!(!goes(with(plan()), &sale(1)));
}
