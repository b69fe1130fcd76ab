//! Decisions over a small table, and what `build` refuses.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;

use super::build::{Conflict, NetworkPlan, Plan, RoutePlan, build};
use super::classify::{CodeRule, Lengths, RuleError};
use super::condition::{Condition, Kinds};
use super::merchants::{Groups, Merchant, MerchantRows, NetworkSet, RowError};
use super::{Declined, RouteTable, Why};
use crate::base::authorization::{Authorization, Instrument, Kind};
use crate::base::ids::{Area, LinkId, NetworkId, Region, RouteNumber};
use crate::base::money::Amount;

mod model;
mod rules;

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

/// What is known of the forms of codes, each form a network of its own, in no helpful order.
const FORMS: [(&str, &[&str]); 12] = [
    ("ALIPAY", &["25-30/16-24"]),
    ("ALIPAYPLUS24", &["25-30/24"]),
    ("ALIPAYPLUS19", &["289..........6....."]),
    ("OTHER19", &["289..........[0-57-9].....", "28[0-8]................"]),
    ("KAKAOPAY", &["281006.................."]),
    ("NAVERPAY", &["281011.................."]),
    ("WECHATPAY", &["10-15/18"]),
    ("UNIONPAY", &["62................."]),
    ("ZEROPAY", &["800088.................."]),
    ("PAYCO", &["...............95...", "...............95...."]),
    ("WEBANK", &["5678..............."]),
    ("LAKALA", &["8[12]0................", "8[12]2................"]),
];

/// Codes that were published, or made up where only the form was, and whose they are.
const CODES: [(&str, &str); 29] = [
    ("281006012345678901234567", "KAKAOPAY"),
    ("281006000000000000000000", "KAKAOPAY"),
    ("281011012345678901234567", "NAVERPAY"),
    ("281005999999999999999999", "ALIPAYPLUS24"),
    ("281007000000000000000000", "ALIPAYPLUS24"),
    ("251001020123456789012345", "ALIPAYPLUS24"),
    ("281010897274821897274821", "ALIPAYPLUS24"),
    ("300001020123456789012345", "ALIPAYPLUS24"),
    ("2893612204263667830", "ALIPAYPLUS19"),
    ("2893612204263567830", "OTHER19"),
    ("2883612204263667830", "OTHER19"),
    ("2593612204263667830", "ALIPAY"),
    ("2800000000000000", "ALIPAY"),
    ("28024456785672301", "ALIPAY"),
    ("280244567856723026", "ALIPAY"),
    ("28024456785672302600", "ALIPAY"),
    ("30024456785672302612345", "ALIPAY"),
    ("28100601234567890123456", "ALIPAY"),
    ("134919586213926735", "WECHATPAY"),
    ("100000000000000000", "WECHATPAY"),
    ("159999999999999999", "WECHATPAY"),
    ("6212345678901234567", "UNIONPAY"),
    ("800088012345678901234567", "ZEROPAY"),
    ("12345678901234595123", "PAYCO"),
    ("123456789012345951234", "PAYCO"),
    ("5678123456789012345", "WEBANK"),
    ("8101234567890123456", "LAKALA"),
    ("8221234567890123456", "LAKALA"),
    ("8121234567890123456", "LAKALA"),
];

#[test]
fn every_published_form_of_a_code_is_told_from_the_others() {
    for rotation in 0..FORMS.len() {
        let mut forms = FORMS;
        forms.rotate_left(rotation);
        let network = |(name, rules): &(&str, &[&str])| NetworkPlan {
            name: (*name).to_owned(),
            rules: rules.iter().map(|rule| form(rule)).collect(),
            ..NetworkPlan::default()
        };
        let networks = forms.iter().map(network).collect();
        let routes = vec![route("all", &[], &[], 1000)];
        let table = build(Plan { networks, routes, ..Plan::default() }).expect("no conflict");
        for (code, expected) in CODES {
            let network = decide(&table, code, "").expect("a route").network.expect("a network");
            assert_eq!(table.network_name(network), expected, "{code}");
        }
        for code in ["160000000000000000", "13491958621392673", "62123456789012345678", "99", "24"]
        {
            let chosen = decide(&table, code, "").expect("a route");
            assert_eq!(chosen.network, None, "{code}");
        }
    }
}

/// `25-30/16-24`, `25-30/24`, or a pattern.
fn form(text: &str) -> CodeRule {
    let Some((range, lengths)) = text.split_once('/') else {
        return CodeRule::pattern(true, text).expect("a pattern");
    };
    let (from, to) = range.split_once('-').expect("a range");
    let (shortest, longest) = lengths.split_once('-').unwrap_or((lengths, lengths));
    let number = |text: &str| text.parse().expect("a length");
    let lengths = Lengths::new(number(shortest), number(longest)).expect("lengths");
    CodeRule::range(true, from, to, lengths).expect("a rule")
}

#[test]
fn an_application_belongs_to_the_network_that_registered_it() {
    let rule = |name: &[u8]| CodeRule::application(name).expect("a rule");
    let network = |rules| NetworkPlan { rules, ..NetworkPlan::default() };
    let debit = [0xA0, 0, 0, 3, 0x33, 1, 1];
    let networks = vec![network(vec![rule(&debit[..5])]), network(vec![rule(&debit)])];
    let routes = vec![route("all", &[], &[], 1000)];
    let table = build(Plan { networks, routes, ..Plan::default() }).expect("no conflict");
    let network = |name: &[u8]| {
        let facts = Authorization {
            instrument: Instrument::from_application(name),
            ..Authorization::default()
        };
        table.decide(&facts).expect("a route").network
    };
    assert_eq!(network(&[0xA0, 0, 0, 3, 0x33]), Some(NetworkId(0)));
    assert_eq!(network(&[0xA0, 0, 0, 3, 0x33, 1, 2]), Some(NetworkId(0)));
    assert_eq!(network(&[0xA0, 0, 0, 3, 0x33, 1, 1, 6]), Some(NetworkId(1)));
    assert_eq!(network(&[0xA0, 0, 0, 3, 0x34, 1, 1]), None);
    assert_eq!(CodeRule::application(&debit[..4]), Err(RuleError::Application));
    assert_eq!(CodeRule::application(&[0; 8]), Err(RuleError::Application));
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
        Conflict::SameRoute { first: 0, second: 1, network: None, area: None },
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
        entry_mode: 32,
        ..Authorization::default()
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

fn set(networks: &[NetworkId]) -> NetworkSet {
    networks.iter().fold(NetworkSet::default(), |set, network| set.with(*network))
}

fn code_rule((first, last, shortest, longest): (&str, &str, u8, u8)) -> CodeRule {
    let lengths = Lengths::new(shortest, longest).expect("lengths");
    CodeRule::range(true, first, last, lengths).expect("a rule")
}

fn route(name: &str, networks: &[NetworkId], regions: &[&str], budget_ms: u64) -> RoutePlan {
    RoutePlan {
        name: name.to_owned(),
        networks: networks.to_vec(),
        areas: regions.iter().filter_map(|area| Area::from_text(area)).collect(),
        partners: vec![LinkId(0)],
        budget: Duration::from_millis(budget_ms),
        ..RoutePlan::default()
    }
}

fn merchant(region: &str, networks: NetworkSet) -> Merchant {
    let area = Area::from_text(region).expect("an area");
    Merchant { networks, area, mcc: 5812, groups: Groups::default() }
}

proptest! {
    /// Whatever routes come and go: a number stands for one name for ever, and no two names share
    /// one.
    #[test]
    fn a_number_follows_its_name(
        versions in vec(subsequence(NAMES.to_vec(), 1..NAMES.len()), 1..9),
    ) {
        let mut owners: BTreeMap<RouteNumber, &str> = BTreeMap::new();
        let mut former = RouteTable::default();
        for (place, names) in versions.into_iter().enumerate() {
            let route = |(kind, name): (usize, &&str)| RoutePlan {
                condition: only(Kind::ALL[kind]),
                ..route(name, &[], &["CN"], 1000)
            };
            // In another order each time.
            let mut routes: Vec<_> = names.iter().enumerate().map(route).collect();
            routes.rotate_left(place % names.len());
            let mut table = build(Plan { routes, ..Plan::default() }).expect("no conflict");
            table.follow(&former);
            prop_assert_eq!(table.version, place as u64 + 1);
            for route in table.routes() {
                let owner = owners.entry(route.number).or_insert(
                    NAMES.iter().find(|name| **name == route.name).expect("one of them"),
                );
                prop_assert_eq!(*owner, &route.name);
                prop_assert_eq!(table.numbered(route.number), Some(route));
                let known = former.routes().iter().find(|other| other.name == route.name);
                prop_assert!(known.is_none_or(|other| other.number == route.number));
            }
            former = table;
        }
    }
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn only(kind: Kind) -> Condition {
    Condition { kinds: Kinds::default().with(kind), ..Condition::default() }
}

#[test]
fn a_form_is_told_as_it_is_written() {
    for text in ["289..........[0-57-9].....", "...............95....", "8[12]2..."] {
        let rule = CodeRule::pattern(true, text).expect("a rule");
        let told = rule.to_string();
        let again = told.strip_prefix("code ").and_then(|text| CodeRule::pattern(true, text).ok());
        assert_eq!(again, Some(rule), "{told}");
    }
    let lengths = |first, last| Lengths::new(first, last).expect("lengths");
    for (rule, told) in [
        (CodeRule::prefix(true, "281006", lengths(24, 24)), "code 281006, length 24"),
        (CodeRule::range(true, "25", "30", lengths(16, 24)), "code 25-30, length 16 to 24"),
        (CodeRule::range(false, "0510", "0559", lengths(16, 16)), "PAN 051-055, length 16"),
        (CodeRule::prefix(false, "4", lengths(16, 16)), "PAN 4, length 16"),
        (CodeRule::pattern(true, "5678..."), "code 5678, length 7"),
        (CodeRule::application(&[0xA0, 0, 0, 3, 0x33]), "application A000000333"),
    ] {
        assert_eq!(rule.expect("a rule").to_string(), told);
    }
}
