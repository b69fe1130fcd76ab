//! What a decision costs: 50,000 code ranges, one million merchants, every answer checked.
//!
//! Codes and merchants are visited in a scattered order, so that the figures contain the cache
//! misses that a table of this size brings; `one merchant` shows the same path without them.

use std::hint::black_box;
use std::time::Duration;

use authswitch::base::authorization::{Authorization, Instrument, Kind};
use authswitch::base::ids::{LinkId, NetworkId, Region};
use authswitch::base::money::Amount;
use authswitch::routing::RouteTable;
use authswitch::routing::build::{NetworkPlan, Plan, RoutePlan, build};
use authswitch::routing::classify::{CodeRule, Lengths};
use authswitch::routing::merchants::{Groups, Merchant, MerchantRows, MerchantTable, NetworkSet};
use criterion::{Criterion, criterion_group, criterion_main};

fn routing(criterion: &mut Criterion) {
    let table = table_with(Some(merchants()));
    let scattered: Vec<Case> = (0..CASES).map(|case| case_of(case * 7_919)).collect();
    let near: Vec<Case> = (0..CASES).map(|case| case_of(case % 64)).collect();
    let mut group = criterion.benchmark_group("routing");
    group.bench_function("decide, 50k ranges, 1M merchants, scattered", |bencher| {
        let mut next = scattered.iter().cycle();
        bencher.iter(|| check(&table, next.next().expect("a cycle")));
    });
    group.bench_function(
        "decide, 50k ranges, 1M merchants, scattered, fetched before",
        |bencher| {
            let ahead = scattered.iter().cycle().skip(AHEAD);
            let mut next = scattered.iter().cycle().zip(ahead);
            bencher.iter(|| {
                let (case, later) = next.next().expect("a cycle");
                table.prefetch(&later.facts.merchant);
                check(&table, case);
            });
        },
    );
    group.bench_function("decide, 50k ranges, 1M merchants, 64 in turn", |bencher| {
        let mut next = near.iter().cycle();
        bencher.iter(|| check(&table, next.next().expect("a cycle")));
    });
    group.bench_function("decide, 50k ranges, no merchants, scattered", |bencher| {
        let table = table_with(None);
        let mut next = scattered.iter().cycle();
        bencher.iter(|| {
            let case = next.next().expect("a cycle");
            let chosen = table.decide(black_box(&case.facts)).expect("a route");
            assert_eq!(chosen.network, Some(case.network));
        });
    });
    group.bench_function("decide, single route", |bencher| {
        let single = RouteTable::single(vec![LinkId(0)], Duration::from_secs(1));
        let mut next = near.iter().cycle();
        bencher.iter(|| {
            let case = next.next().expect("a cycle");
            let chosen = single.decide(black_box(&case.facts)).expect("a route");
            assert_eq!(chosen.network, None);
        });
    });
    group.finish();
}

fn check(table: &RouteTable, case: &Case) {
    let chosen = table.decide(black_box(&case.facts)).expect("a route");
    assert_eq!((chosen.network, chosen.region), (Some(case.network), Some(case.region)));
}

/// A request and what must come out of it.
struct Case {
    facts: Authorization,
    network: NetworkId,
    region: Region,
}

/// Code range `n % RANGES` at merchant `n % MERCHANTS`.
fn case_of(n: usize) -> Case {
    let (range, shop) = (n % RANGES, n % MERCHANTS);
    let code = format!("28{range:05}0{:011}", n % 100_003);
    Case {
        facts: Authorization {
            kind: Kind::Purchase,
            amount: Amount::default(),
            instrument: Instrument::from_digits(code.as_bytes(), true),
            merchant: merchant_id(shop),
            terminal: *b"00000001",
            mcc: 5812,
            entry_mode: 32,
            ..Authorization::default()
        },
        network: NetworkId((range % NETWORKS) as u16),
        region: region_of(shop),
    }
}

fn table_with(merchants: Option<MerchantTable>) -> RouteTable {
    let lengths = Lengths::new(16, 24).expect("lengths");
    let mut networks = vec![NetworkPlan::default(); NETWORKS];
    for range in 0..RANGES {
        let prefix = format!("28{range:05}");
        let rule = CodeRule::prefix(true, &prefix, lengths).expect("a rule");
        networks[range % NETWORKS].rules.push(rule);
    }
    networks[0].rules.push(CodeRule::prefix(true, "28", lengths).expect("a rule"));
    let route = |name: String, areas| RoutePlan {
        name,
        areas,
        partners: vec![LinkId(0)],
        budget: Duration::from_secs(1),
        ..RoutePlan::default()
    };
    let here = |region| route(format!("route-{region}"), vec![region_of(region).into()]);
    let mut routes: Vec<_> = (0..REGIONS).map(here).collect();
    routes.push(route("elsewhere".to_owned(), Vec::new()));
    build(Plan { version: 1, networks, routes, merchants, ..Plan::default() }).expect("a table")
}

fn merchants() -> MerchantTable {
    let mut rows = MerchantRows::default();
    rows.reserve(MERCHANTS);
    for shop in 0..MERCHANTS {
        let merchant = Merchant {
            networks: NetworkSet::ALL,
            area: region_of(shop).into(),
            mcc: 5812,
            groups: Groups::default(),
        };
        rows.add(&merchant_id(shop), merchant).expect("a row");
    }
    let (table, clashes) = rows.build();
    assert!(clashes.is_empty());
    table
}

fn merchant_id(shop: usize) -> [u8; 15] {
    let id = format!("M{shop:014}");
    id.as_bytes().try_into().expect("fifteen characters")
}

fn region_of(shop: usize) -> Region {
    let letter = |n: usize| b'A' + n as u8;
    Region([letter(shop % REGIONS / 26), letter(shop % REGIONS % 26)])
}

/// How many decisions before its own a merchant is asked for: the switch knows DE 42 some 200 ns
/// before it decides.
const AHEAD: usize = 4;

const CASES: usize = 100_000;
const RANGES: usize = 50_000;
const MERCHANTS: usize = 1_000_000;
const NETWORKS: usize = 16;
const REGIONS: usize = 50;

criterion_group!(benches, routing);
criterion_main!(benches);
