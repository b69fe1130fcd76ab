//! Corridors, windows, categories, groups, tills, parts of regions: what a table says to each.

use std::time::Duration;

use super::{code_rule, set};
use crate::base::authorization::{Authorization, Instrument, Kind};
use crate::base::codes::ResponseCode;
use crate::base::ids::{Area, LinkId, NetworkId, Region};
use crate::base::time::Wall;
use crate::base::window::Window;
use crate::base::zone::Zone;
use crate::routing::build::{Conflict, NetworkPlan, Plan, RefusalPlan, RoutePlan, TwinDefault};
use crate::routing::build::{REFUSALS_MAX, build};
use crate::routing::condition::{Condition, Kinds};
use crate::routing::merchants::{Groups, Merchant, MerchantRows, NetworkSet, RowError, Till};
use crate::routing::route::Capabilities;
use crate::routing::{Chosen, Declined, Doubt, RouteTable, Why};

const PLUS: NetworkId = NetworkId(0);
const HONGKONG: NetworkId = NetworkId(1);
const KAKAO: NetworkId = NetworkId(2);
const UNION: NetworkId = NetworkId(3);

const PLUS_CODE: &str = "280244567856723026";
const KAKAO_CODE: &str = "281006012345678901234567";
const UNION_CODE: &str = "6212345678901234567";

/// 2023-09-23 00:00 and 2023-10-09 00:00, both +08:00.
const GAMES: (u64, u64) = (1_695_398_400, 1_696_780_800);

#[test]
fn a_part_of_a_region_falls_back_to_the_region() {
    let mut plan = plan();
    plan.routes = vec![route("zj", &[PLUS], &["CN-ZJ"]), route("cn", &[PLUS], &["CN"])];
    let table = table(plan, &[("ZJ", "CN-ZJ"), ("GD", "CN-GD"), ("CN", "CN"), ("JP", "JP-13")]);
    let name = |merchant| said(&table, PLUS_CODE, merchant);
    assert_eq!([name("ZJ"), name("GD"), name("CN"), name("JP")], ["zj", "cn", "cn", "92"]);
    let chosen = decide(&table, KAKAO_CODE, "GD").expect("a route");
    assert_eq!((chosen.network, chosen.region), (Some(KAKAO), Region::from_text("CN")));
}

#[test]
fn the_first_route_whose_conditions_hold_is_taken() {
    let mut plan = plan();
    let asks = |name, condition| RoutePlan { condition, ..route(name, &[PLUS], &["CN"]) };
    let hotels = Condition { mccs: vec![(3501, 3999), (7011, 7011)], ..Condition::default() };
    let corridor = Condition { homes: vec![Region(*b"KR")], ..Condition::default() };
    plan.routes = vec![
        asks("hotels", hotels),
        asks("from-korea", corridor),
        route("all", &[PLUS], &["CN"]),
        route("anywhere", &[PLUS], &[]),
    ];
    let table = table(plan, &[("CN", "CN"), ("JP", "JP")]);
    let mut facts = facts(KAKAO_CODE, "CN");
    assert_eq!(name(&table, &facts, 0), "from-korea");
    facts.mcc = 3504;
    assert_eq!(name(&table, &facts, 0), "hotels");
    facts.instrument = Instrument::from_digits(PLUS_CODE.as_bytes(), true);
    assert_eq!(name(&table, &facts, 0), "hotels");
    facts.mcc = 7012;
    assert_eq!(name(&table, &facts, 0), "all");
    facts.merchant = *b"JP             ";
    assert_eq!(name(&table, &facts, 0), "anywhere");
}

#[test]
fn a_route_with_a_start_falls_back_until_then() {
    let mut plan = plan();
    let window = Some(Window { from: Some(Wall::from_unix_s(1000)), ..Window::default() });
    let condition = Condition { window, ..Condition::default() };
    plan.routes = vec![RoutePlan { condition, ..route("japan", &[PLUS], &["JP"]) }];
    let alone = table(Plan { ..plan }, &[("JP", "JP")]);
    let facts = facts(PLUS_CODE, "JP");
    assert_eq!([name(&alone, &facts, 999), name(&alone, &facts, 1000)], ["92", "japan"]);
    let mut plan = super::rules::plan();
    let window = Some(Window { from: Some(Wall::from_unix_s(1000)), ..Window::default() });
    let condition = Condition { window, ..Condition::default() };
    let late = RoutePlan { condition, ..route("japan", &[PLUS], &["JP"]) };
    plan.routes = vec![route("rest", &[], &[]), late];
    let fallback = table(plan, &[("JP", "JP")]);
    assert_eq!([name(&fallback, &facts, 999), name(&fallback, &facts, 1000)], ["rest", "japan"]);
}

#[test]
fn a_venue_takes_one_network_while_the_games_last() {
    let mut plan = plan();
    plan.routes = vec![route("union", &[UNION], &[]), route("plus", &[PLUS], &[])];
    let zone = Zone::from_name("Asia/Shanghai").expect("a zone");
    let (from, until) = (Some(Wall::from_unix_s(GAMES.0)), Some(Wall::from_unix_s(GAMES.1)));
    let window = Some(Window { from, until, zone, ..Window::default() });
    let groups = Groups::default().with(0);
    let condition = Condition { groups, window, ..Condition::default() };
    let except_networks = vec![PLUS];
    plan.refusals = vec![RefusalPlan { except_networks, condition, ..refusal("games", 58) }];
    let table = table(plan, &[("VENUE*", "CN-ZJ"), ("SHOP", "CN-ZJ")]);
    let at = |code, merchant, unix_s| name(&table, &facts(code, merchant), unix_s);
    for (unix_s, union) in
        [(GAMES.0 - 1, "union"), (GAMES.0, "58"), (GAMES.1 - 1, "58"), (GAMES.1, "union")]
    {
        assert_eq!(at(UNION_CODE, "VENUE", unix_s), union);
        assert_eq!(at(UNION_CODE, "SHOP", unix_s), "union");
        assert_eq!(at(PLUS_CODE, "VENUE", unix_s), "plus");
        assert_eq!(at(KAKAO_CODE, "VENUE", unix_s), "plus", "it rides on what is let in");
    }
    let refused = table.decide_at(&facts(UNION_CODE, "VENUE"), Wall::from_unix_s(GAMES.0));
    let Err(Declined { why: Why::Refused(place), .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(table.refusal_name(place), "games");
}

#[test]
fn refunds_are_let_through_where_they_are_listed() {
    let mut plan = plan();
    plan.routes = vec![route("all", &[], &[])];
    let regions = ["FR", "DE", "GB", "IT", "ES", "CH", "NL", "KR"];
    let kinds = Kinds::default().with(Kind::Refund);
    plan.refusals = vec![RefusalPlan {
        except_areas: regions.iter().filter_map(|region| Area::from_text(region)).collect(),
        condition: Condition { kinds, ..Condition::default() },
        ..refusal("refunds", 57)
    }];
    let rows: Vec<_> = regions.iter().map(|region| (*region, *region)).collect();
    let table = table(plan, &[rows.as_slice(), &[("BE", "BE"), ("SEOUL", "KR-11")]].concat());
    let refund = |merchant| {
        let facts = Authorization { kind: Kind::Refund, ..facts(PLUS_CODE, merchant) };
        name(&table, &facts, 0)
    };
    for region in regions {
        assert_eq!(refund(region), "all", "{region}");
    }
    assert_eq!((refund("SEOUL"), refund("BE")), ("all".into(), "57".into()));
    assert_eq!(said(&table, PLUS_CODE, "BE"), "all");
}

#[test]
fn a_corridor_is_closed_until_it_is_opened() {
    let mut plan = plan();
    plan.routes = vec![route("all", &[], &[])];
    let abroad = RefusalPlan {
        networks: vec![HONGKONG],
        except_areas: vec![Area::from(Region(*b"HK"))],
        ..refusal("abroad", 57)
    };
    let category = Condition { mccs: vec![(6211, 6211)], ..Condition::default() };
    let funds = RefusalPlan { condition: category, ..refusal("funds", 58) };
    plan.refusals = vec![abroad, funds];
    let table = table(plan, &[("HK", "HK"), ("TH", "TH")]);
    let said = |network, merchant| {
        let decided = table.decide_as(&facts(PLUS_CODE, merchant), Wall::default(), network);
        decided.map_or_else(|declined| declined.code.number(), |_| 0)
    };
    assert_eq!((said(HONGKONG, "HK"), said(HONGKONG, "TH"), said(PLUS, "TH")), (0, 57, 0));
    let mut fund = facts(PLUS_CODE, "TH");
    fund.mcc = 6211;
    assert_eq!(name(&table, &fund, 0), "58");
}

#[test]
fn a_doubt_names_who_knows_and_the_default_stands_without() {
    let code = facts(PLUS_CODE, "HK");
    for (default, network, other) in [
        (TwinDefault::AtHome, HONGKONG, PLUS),
        (TwinDefault::Own, HONGKONG, PLUS),
        (TwinDefault::Other, PLUS, HONGKONG),
    ] {
        let mut plan = plan();
        plan.routes = vec![route("plus", &[PLUS], &[]), route("hk", &[HONGKONG], &[])];
        plan.networks[1].twin_default = default;
        plan.networks[1].consult = Some(LinkId(9));
        plan.networks[1].consult_within = Duration::from_millis(250);
        let table = table(plan, &[("HK", "HK"), ("TH", "TH")]);
        let chosen = table.decide(&code).expect("a route");
        let doubt = Some(Doubt { other, own: HONGKONG, consult: LinkId(9) });
        assert_eq!((chosen.network, chosen.doubt), (Some(network), doubt));
        assert_eq!(table.time_to_consult(HONGKONG), Duration::from_millis(250));
        let told = table.decide_as(&code, Wall::default(), other).expect("a route");
        assert_eq!((told.network, told.doubt), (Some(other), None));
        assert_eq!(decide(&table, KAKAO_CODE, "HK").expect("a route").doubt, None);
    }
}

#[test]
fn a_row_may_name_a_till() {
    let mut rows = MerchantRows::default();
    let merchant = |region: &str| Merchant {
        networks: set(&[PLUS]),
        area: Area::from_text(region).expect("an area"),
        mcc: 0,
        groups: Groups::default(),
    };
    let till = |acquirer, terminal: &str| {
        let mut till = Till { acquirer, terminal: [0; 8] };
        if !terminal.is_empty() {
            till.terminal = format!("{terminal:<8}").as_bytes().try_into().expect("eight");
        }
        till
    };
    rows.add_till(b"CHAIN", till(77, ""), merchant("JP")).expect("a row");
    rows.add(b"CHAIN", merchant("KR")).expect("a row of its own, after one of its tills");
    rows.add_till(b"CHAIN", till(0, "T1"), merchant("CN")).expect("a row");
    rows.add_till(b"CHAIN", till(77, "T1"), merchant("TH")).expect("a row");
    rows.add_till(b"TILLS", till(0, "T1"), merchant("SG")).expect("a row");
    rows.add_prefix(b"TI", merchant("GB")).expect("a row");
    let again = rows.add_till(b"CHAIN", till(77, ""), merchant("KR"));
    assert_eq!(again, Err(RowError::Duplicate));
    assert_eq!(rows.add(b"CHAIN", merchant("KR")), Err(RowError::Duplicate));
    let (table, clashes) = rows.build();
    assert_eq!((clashes.len(), table.exact_len(), table.prefixes_len()), (0, 6, 1));
    for (merchant, acquirer, terminal, region) in [
        ("CHAIN", 0, "", "KR"),
        ("CHAIN", 0, "T2", "KR"),
        ("CHAIN", 77, "T2", "JP"),
        ("CHAIN", 78, "T1", "CN"),
        ("CHAIN", 77, "T1", "TH"),
        ("TILLS", 77, "T1", "SG"),
        ("TILLS", 77, "T2", "GB"),
    ] {
        let terminal = till(0, terminal).terminal;
        let facts = Authorization { acquirer, terminal, ..facts(PLUS_CODE, merchant) };
        let found = table.merchant(&facts).expect("a row").area.to_string();
        assert_eq!(found, region, "{merchant} {acquirer} {terminal:?}");
    }
}

/// Nobody is no merchant: not the first one of the table.
#[test]
fn who_names_no_merchant_has_no_row() {
    let merchant = Merchant {
        networks: NetworkSet::ALL,
        area: Area::from(Region(*b"KR")),
        mcc: 5812,
        groups: Groups::default(),
    };
    let mut rows = MerchantRows::default();
    rows.add(b"FIRST", merchant).expect("a row");
    let table = rows.build().0;
    let nobody = Authorization { merchant: [0; 15], ..facts(PLUS_CODE, "") };
    assert_eq!(table.merchant(&nobody), None);
    assert_eq!(table.named(&nobody), None);
    let blank = Authorization { merchant: [b' '; 15], ..nobody };
    assert_eq!(table.merchant(&blank), None);
    assert!(table.merchant(&facts(PLUS_CODE, "FIRST")).is_some());
}

#[test]
fn what_partners_cannot_do_is_not_asked_of_them() {
    let mut plan = plan();
    let capabilities = Capabilities { void: false, ..Capabilities::default() };
    plan.routes = vec![RoutePlan { capabilities, ..route("no-void", &[], &[]) }];
    let table = table(plan, &[("HK", "HK")]);
    let void = Authorization { kind: Kind::Void, ..facts(PLUS_CODE, "HK") };
    let declined = table.decide(&void).expect_err("a decline");
    assert_eq!((declined.code.number(), declined.why), (57, Why::NotServed));
    assert_eq!(said(&table, PLUS_CODE, "HK"), "no-void");
}

#[test]
fn what_no_request_reaches_and_what_never_holds_is_refused() {
    let mut plan = plan();
    let moments = (Some(Wall::from_unix_s(10)), Some(Wall::from_unix_s(10)));
    let window = Some(Window { from: moments.0, until: moments.1, ..Window::default() });
    let never = Condition { window, ..Condition::default() };
    let category = Condition { mccs: vec![(4111, 4111)], ..Condition::default() };
    let asks = |name, condition: &Condition| RoutePlan {
        condition: condition.clone(),
        ..route(name, &[PLUS], &["CN"])
    };
    let weighed = RoutePlan { weights: vec![1, 2], ..route("weighed", &[PLUS], &["JP"]) };
    plan.routes = vec![
        asks("one", &category),
        asks("same", &category),
        asks("all", &Condition::default()),
        asks("behind", &never),
        weighed,
    ];
    plan.refusals = vec![RefusalPlan { condition: never, ..refusal("never", 58) }];
    let area = Area::from_text("CN");
    let same = |first, second| Conflict::SameRoute { first, second, network: Some(PLUS), area };
    let expected = [
        Conflict::RouteWindow { route: 3 },
        Conflict::Weights { route: 4 },
        Conflict::RefusalWindow { refusal: 0 },
        same(0, 1),
        same(2, 3),
    ];
    assert_eq!(build(plan).expect_err("conflicts"), expected);
    let refusals = vec![refusal("x", 58); REFUSALS_MAX + 1];
    let many = build(Plan { refusals, ..Plan::default() });
    assert_eq!(many.expect_err("conflicts"), [Conflict::Refusals]);
}

#[test]
fn one_wallet_has_a_link_in_each_region() {
    let mut plan = plan();
    let regions = ["KR", "JP", "GB", "US"];
    plan.routes = regions.map(|region| route(region, &[PLUS], &[region])).to_vec();
    let table = table(plan, &regions.map(|region| (region, region)));
    for region in regions {
        assert_eq!(said(&table, PLUS_CODE, region), region);
    }
}

fn said(table: &RouteTable, code: &str, merchant: &str) -> String {
    name(table, &facts(code, merchant), 0)
}

fn decide(table: &RouteTable, code: &str, merchant: &str) -> Result<Chosen, Declined> {
    table.decide(&facts(code, merchant))
}

/// The route, or DE 39.
fn name(table: &RouteTable, facts: &Authorization, unix_s: u64) -> String {
    match table.decide_at(facts, Wall::from_unix_s(unix_s)) {
        Ok(chosen) => table.route(chosen.route).name.clone(),
        Err(declined) => format!("{:02}", declined.code.number()),
    }
}

fn facts(code: &str, merchant: &str) -> Authorization {
    Authorization {
        kind: Kind::Purchase,
        instrument: Instrument::from_digits(code.as_bytes(), true),
        merchant: format!("{merchant:<15}").as_bytes().try_into().expect("DE 42"),
        ..Authorization::default()
    }
}

/// Networks, and nothing else yet.
fn plan() -> Plan {
    let network = |name: &str, home: &str, rules| NetworkPlan {
        name: name.to_owned(),
        home: Region::from_text(home),
        rules,
        ..NetworkPlan::default()
    };
    let rule = |row| vec![code_rule(row)];
    let mut networks = vec![
        network("PLUS", "", rule(("25", "30", 16, 24))),
        network("HONGKONG", "HK", Vec::new()),
        network("KAKAO", "KR", rule(("281006", "281006", 24, 24))),
        network("UNION", "CN", rule(("62", "62", 19, 19))),
    ];
    networks[1].twin = Some(PLUS);
    networks[2].within = Some(PLUS);
    Plan { networks, ..Plan::default() }
}

/// The table of a plan with merchants that accept all; `*` marks those of group 0.
fn table(plan: Plan, merchants: &[(&str, &str)]) -> RouteTable {
    let mut rows = MerchantRows::default();
    for (id, area) in merchants {
        let groups = if id.ends_with('*') { Groups::default().with(0) } else { Groups::default() };
        let area = Area::from_text(area).expect("an area");
        let networks = set(&[PLUS, HONGKONG, KAKAO, UNION]);
        let merchant = Merchant { networks, area, mcc: 0, groups };
        rows.add(id.trim_end_matches('*').as_bytes(), merchant).expect("a row");
    }
    let merchants = Some(rows.build().0);
    build(Plan { merchants, ..plan }).expect("no conflict")
}

fn route(name: &str, networks: &[NetworkId], areas: &[&str]) -> RoutePlan {
    RoutePlan {
        name: name.to_owned(),
        networks: networks.to_vec(),
        areas: areas.iter().filter_map(|area| Area::from_text(area)).collect(),
        partners: vec![LinkId(0)],
        budget: Duration::from_secs(1),
        ..RoutePlan::default()
    }
}

pub(super) fn refusal(name: &str, code: u8) -> RefusalPlan {
    RefusalPlan {
        name: name.to_owned(),
        code: ResponseCode::from_number(code).expect("a code"),
        networks: Vec::new(),
        except_networks: Vec::new(),
        areas: Vec::new(),
        except_areas: Vec::new(),
        condition: Condition::default(),
    }
}
