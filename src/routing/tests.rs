//! Decisions over a small table, and what `build` refuses.

use std::time::Duration;

use super::build::{Conflict, NetworkPlan, Plan, RoutePlan, build};
use super::classify::{CodeRule, Lengths};
use super::merchants::{Merchant, MerchantRows, NetworkSet, RowError};
use super::{Declined, RouteTable, Why};
use crate::base::authorization::{Authorization, Instrument, Kind};
use crate::base::ids::{LinkId, NetworkId, Region};
use crate::base::money::Amount;

const ALIPAYPLUS: NetworkId = NetworkId(0);
const ALIPAY: NetworkId = NetworkId(1);
const ALIPAYHK: NetworkId = NetworkId(2);
const KAKAOPAY: NetworkId = NetworkId(3);
const UNIONPAY: NetworkId = NetworkId(4);
const WECHATPAY: NetworkId = NetworkId(5);

#[test]
fn the_forms_of_payment_codes() {
    let table = table();
    let network = |code: &str| {
        let region = decide(&table, code, "CN-ALL").expect("a route");
        table.network_name(region.network.expect("a network")).to_owned()
    };
    assert_eq!(network("281006012345678901234567"), "KAKAOPAY");
    assert_eq!(network("251001020123456789012345"), "ALIPAYPLUS");
    assert_eq!(network("281010897274821897274821"), "ALIPAYPLUS");
    assert_eq!(network("2893612204263667830"), "ALIPAYPLUS");
    assert_eq!(network("28024456785672301"), "ALIPAY");
    assert_eq!(network("280244567856723026"), "ALIPAY");
    assert_eq!(network("6212345678901234567"), "UNIONPAY");
}

#[test]
fn a_wallet_without_a_route_of_its_own_takes_that_of_the_network_it_rides_on() {
    let table = table();
    let kakao = "281006012345678901234567";
    let abroad = decide(&table, kakao, "CN-ALL").expect("a route");
    assert_eq!(table.route(abroad.route).name, "alipayplus");
    assert_eq!((abroad.network, abroad.home), (Some(KAKAOPAY), Region::from_text("KR")));
    assert_eq!(abroad.region, Region::from_text("CN"));
    let at_home = decide(&table, kakao, "KR-0001").expect("a route");
    assert_eq!(table.route(at_home.route).name, "kakaopay");
}

#[test]
fn the_merchant_tells_twins_apart() {
    let table = table();
    let code = "280244567856723026";
    let network = |merchant| decide(&table, code, merchant).expect("a route").network;
    assert_eq!(network("HK-BOTH"), Some(ALIPAYHK));
    assert_eq!(network("HK-ONLY"), Some(ALIPAYHK));
    assert_eq!(network("HK-CN"), Some(ALIPAY));
    assert_eq!(network("CN-ALL"), Some(ALIPAY));
}

#[test]
fn declines_name_their_reason() {
    let table = table();
    let refused = |code, merchant| {
        let Declined { code, why } = decide(&table, code, merchant).expect_err("a decline");
        (code.number(), why)
    };
    let kakao = "281006012345678901234567";
    assert_eq!(refused("99", "CN-ALL"), (14, Why::UnknownCode));
    assert_eq!(refused("", "CN-ALL"), (14, Why::NoInstrument));
    assert_eq!(refused(kakao, "NOBODY"), (3, Why::UnknownMerchant));
    assert_eq!(refused(kakao, "JP-M1"), (58, Why::NetworkNotAccepted));
    assert_eq!(refused("134919586213926735", "CN-ALL"), (92, Why::NoRoute));
}

#[test]
fn prefixes_serve_whoever_has_no_row() {
    let table = table();
    let union = "6212345678901234567";
    let region = |merchant| decide(&table, union, merchant).expect("a route").region;
    assert_eq!(region("JP-M1"), Region::from_text("JP"));
    assert_eq!(region("JP-M2"), Region::from_text("JP"));
    assert_eq!(region("JP-OKINAWA-7"), Region::from_text("US"));
}

#[test]
fn a_single_route_takes_whatever_decodes() {
    let table = RouteTable::single(vec![LinkId(7)], Duration::from_millis(1500));
    for code in ["", "99", "281006012345678901234567"] {
        let chosen = decide(&table, code, "ANY").expect("a route");
        assert_eq!(table.route(chosen.route).partners, [LinkId(7)]);
        assert_eq!((chosen.network, chosen.region), (None, None));
    }
    assert_eq!(table.budgets(), [Duration::from_millis(1500)]);
}

#[test]
fn budgets_are_classes() {
    let table = table();
    assert_eq!(table.budgets(), [Duration::from_millis(800), Duration::from_millis(1500)]);
    for route in table.routes() {
        assert_eq!(table.budgets()[usize::from(route.budget_class)], route.budget);
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    let rule = |first, last| {
        CodeRule::range(true, first, last, Lengths::new(18, 18).expect("lengths")).expect("a rule")
    };
    let mut plan = Plan::default();
    plan.networks.push(NetworkPlan { rules: vec![rule("10", "15")], ..NetworkPlan::default() });
    plan.networks.push(NetworkPlan {
        rules: vec![rule("150", "159"), rule("14", "16"), rule("10", "15")],
        within: Some(NetworkId(1)),
        twin: Some(NetworkId(1)),
        ..NetworkPlan::default()
    });
    plan.routes.push(route("a", &[], &[], 0));
    plan.routes.push(route("b", &[], &[], 70_000));
    plan.routes[1].partners.clear();
    let conflicts = build(plan).expect_err("conflicts");
    let expected = [
        Conflict::Circle { network: 1 },
        Conflict::Twin { network: 1 },
        Conflict::Rules { first: (0, 0), second: (1, 1) },
        Conflict::Rules { first: (0, 0), second: (1, 2) },
        Conflict::Budget { route: 0 },
        Conflict::Budget { route: 1 },
        Conflict::Partners { route: 1 },
        Conflict::SameRoute { first: 0, second: 1, network: None, region: None },
    ];
    assert_eq!(conflicts, expected);
}

#[test]
fn a_merchant_has_one_row() {
    let mut rows = MerchantRows::default();
    let merchant = merchant("KR", NetworkSet::ALL);
    assert_eq!(rows.add(b"A", merchant), Ok(()));
    assert_eq!(rows.add(b"A", merchant), Err(RowError::Duplicate));
    assert_eq!(rows.add(b"1234567890123456", merchant), Err(RowError::Long));
    assert_eq!(rows.add(b"", merchant), Err(RowError::Text));
    assert_eq!(rows.add("\u{20a9}".as_bytes(), merchant), Err(RowError::Text));
    let first = rows.add_prefix(b"AB", merchant).expect("a prefix");
    rows.add_prefix(b"", merchant).expect("a prefix");
    let again = rows.add_prefix(b"AB", merchant).expect("a prefix");
    let (table, clashes) = rows.build();
    assert_eq!(clashes, [(first, again)]);
    assert_eq!((table.exact_len(), table.prefixes_len()), (1, 3));
}

fn decide(table: &RouteTable, code: &str, merchant: &str) -> Result<super::Chosen, Declined> {
    let mut padded = [b' '; 15];
    padded[..merchant.len()].copy_from_slice(merchant.as_bytes());
    table.decide(&Authorization {
        kind: Kind::Purchase,
        amount: Amount::default(),
        instrument: Instrument::from_digits(code.as_bytes(), true),
        merchant: padded,
        terminal: [b' '; 8],
        mcc: 0,
        entry_mode: 32,
    })
}

fn table() -> RouteTable {
    let kr = Region::from_text("KR");
    let network = |name: &str, home, rules: &[(&str, &str, u8, u8)]| NetworkPlan {
        name: name.to_owned(),
        home,
        rules: rules.iter().map(|row| code_rule(*row)).collect(),
        ..NetworkPlan::default()
    };
    let cn = Region::from_text("CN");
    let mut networks = vec![
        network("ALIPAYPLUS", None, &[("25", "30", 24, 24), ("289", "289", 19, 19)]),
        network("ALIPAY", cn, &[("25", "30", 16, 24)]),
        network("ALIPAYHK", Region::from_text("HK"), &[]),
        network("KAKAOPAY", kr, &[("281006", "281006", 24, 24)]),
        network("UNIONPAY", cn, &[("62", "62", 19, 19)]),
        network("WECHATPAY", cn, &[("10", "15", 18, 18)]),
    ];
    networks[1].within = Some(ALIPAYPLUS);
    networks[2].twin = Some(ALIPAY);
    networks[3].within = Some(ALIPAYPLUS);
    let mut rows = MerchantRows::default();
    let set = |networks: &[NetworkId]| {
        networks.iter().fold(NetworkSet::default(), |set, network| set.with(*network))
    };
    let all = set(&[ALIPAYPLUS, UNIONPAY, WECHATPAY]);
    rows.add(b"CN-ALL", merchant("CN", all)).expect("a row");
    rows.add(b"KR-0001", merchant("KR", set(&[KAKAOPAY]))).expect("a row");
    rows.add(b"HK-BOTH", merchant("HK", set(&[ALIPAY, ALIPAYHK]))).expect("a row");
    rows.add(b"HK-ONLY", merchant("HK", set(&[ALIPAYHK]))).expect("a row");
    rows.add(b"HK-CN", merchant("HK", set(&[ALIPAYPLUS]))).expect("a row");
    rows.add(b"JP-M1", merchant("JP", set(&[UNIONPAY]))).expect("a row");
    rows.add_prefix(b"JP-", merchant("JP", set(&[UNIONPAY]))).expect("a row");
    rows.add_prefix(b"JP-OKINAWA", merchant("US", set(&[UNIONPAY]))).expect("a row");
    let (merchants, clashes) = rows.build();
    assert_eq!(clashes, []);
    let routes = vec![
        route("kakaopay", &[KAKAOPAY], &["KR"], 800),
        route("alipayplus", &[ALIPAYPLUS], &[], 1500),
        route("alipayhk", &[ALIPAYHK], &["HK"], 1500),
        route("unionpay", &[UNIONPAY], &["JP", "CN", "US"], 1500),
    ];
    let merchants = Some(merchants);
    build(Plan { version: 1, networks, routes, merchants, ..Plan::default() }).expect("a table")
}

fn code_rule((first, last, shortest, longest): (&str, &str, u8, u8)) -> CodeRule {
    let lengths = Lengths::new(shortest, longest).expect("lengths");
    CodeRule::range(true, first, last, lengths).expect("a rule")
}

fn route(name: &str, networks: &[NetworkId], regions: &[&str], budget_ms: u64) -> RoutePlan {
    RoutePlan {
        name: name.to_owned(),
        networks: networks.to_vec(),
        regions: regions.iter().filter_map(|region| Region::from_text(region)).collect(),
        partners: vec![LinkId(0)],
        budget: Duration::from_millis(budget_ms),
        stand_in: None,
    }
}

fn merchant(region: &str, networks: NetworkSet) -> Merchant {
    Merchant { networks, region: Region::from_text(region).expect("a region"), mcc: 5812 }
}
