//! The dense array of cells against a walk over the plan, step by step as the manual tells it.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::rules::refusal;
use super::{route, set};
use crate::base::authorization::{Authorization, Instrument, Kind};
use crate::base::ids::{Area, NetworkId};
use crate::routing::Why;
use crate::routing::build::{Conflict, NetworkPlan, Plan, RefusalPlan, RoutePlan, build};
use crate::routing::classify::{CodeRule, Lengths};
use crate::routing::condition::{Condition, Kinds};
use crate::routing::merchants::{Groups, Merchant, MerchantRows};

const AREAS: [&str; 5] = ["CN", "CN-ZJ", "CN-GD", "JP", "JP-13"];
const NETWORKS: usize = 4;

proptest! {
    #[test]
    fn cells_hold_what_the_plan_says(
        within in vec(option::of(0_usize..NETWORKS), NETWORKS),
        routes in vec((names(), areas(), 0_usize..4), 0..14),
        refusals in vec((names(), names(), areas(), areas(), 0_usize..4), 0..5),
    ) {
        let networks: Vec<_> = within.iter().enumerate().map(network).collect();
        let mut routes: Vec<_> = routes.into_iter().enumerate().map(route_plan).collect();
        let refusals: Vec<_> = refusals.into_iter().enumerate().map(refusal_plan).collect();
        let table = loop {
            let plan = Plan {
                networks: networks.clone(),
                routes: routes.clone(),
                refusals: refusals.clone(),
                merchants: Some(merchants()),
                ..Plan::default()
            };
            match build(plan) {
                Ok(table) => break table,
                Err(conflicts) => {
                    let Conflict::SameRoute { first, second, .. } = conflicts[0] else {
                        panic!("{conflicts:?}");
                    };
                    let hides = routes[first].condition == Condition::default();
                    prop_assert!(hides || routes[first].condition == routes[second].condition);
                    routes.remove(second);
                }
            }
        };
        for (network, area, kind, mcc) in cases() {
            let facts = facts(network, area, kind, mcc);
            let said = match table.decide(&facts) {
                Ok(chosen) => Some(table.route(chosen.route).name.clone()),
                Err(declined) => match declined.why {
                    Why::Refused(place) => Some(table.refusal_name(place).to_owned()),
                    _ => None,
                },
            };
            let way = way(&within, network);
            let holds = |condition: &Condition| {
                (condition.kinds.is_empty() || condition.kinds.contains(kind))
                    && (condition.mccs.is_empty() || mcc == 4111)
            };
            let expected = refused(&refusals, &way, area, &holds)
                .or_else(|| routed(&routes, &way, area, &holds));
            prop_assert_eq!(said, expected, "{:?} in {} {:?} {}", network, area, kind, mcc);
        }
    }
}

fn routed(
    routes: &[RoutePlan],
    way: &[NetworkId],
    area: &str,
    holds: &impl Fn(&Condition) -> bool,
) -> Option<String> {
    let here = Area::from_text(area).expect("an area");
    let networks = way.iter().copied().map(Some).chain([None]);
    for network in networks {
        for area in [Some(here), Some(Area::from(here.region)), None] {
            let serves = |route: &&RoutePlan| {
                let by_network = match network {
                    Some(network) => route.networks.contains(&network),
                    None => route.networks.is_empty(),
                };
                let by_area = match area {
                    Some(area) => route.areas.contains(&area),
                    None => route.areas.is_empty(),
                };
                by_network && by_area && holds(&route.condition)
            };
            if let Some(route) = routes.iter().find(serves) {
                return Some(route.name.clone());
            }
        }
    }
    None
}

fn refused(
    refusals: &[RefusalPlan],
    way: &[NetworkId],
    area: &str,
    holds: &impl Fn(&Condition) -> bool,
) -> Option<String> {
    let here = Area::from_text(area).expect("an area");
    let lists = |areas: &[Area]| areas.contains(&here) || areas.contains(&here.region.into());
    let names = |networks: &[NetworkId]| way.iter().any(|id| networks.contains(id));
    let refuses = |refusal: &&RefusalPlan| {
        (refusal.networks.is_empty() || names(&refusal.networks))
            && !names(&refusal.except_networks)
            && (refusal.areas.is_empty() || lists(&refusal.areas))
            && !lists(&refusal.except_areas)
            && holds(&refusal.condition)
    };
    refusals.iter().find(refuses).map(|refusal| refusal.name.clone())
}

fn way(within: &[Option<usize>], network: Option<usize>) -> Vec<NetworkId> {
    let mut way = Vec::new();
    let mut next = network;
    while let Some(place) = next {
        way.push(NetworkId(place as u16));
        next = within[place].filter(|other| *other < place);
    }
    way
}

fn cases() -> impl Iterator<Item = (Option<usize>, &'static str, Kind, u16)> {
    let networks = (0..NETWORKS).map(Some).chain([None]);
    let asked = [(Kind::Purchase, 0), (Kind::Refund, 0), (Kind::Purchase, 4111)];
    networks.flat_map(move |network| {
        AREAS.iter().flat_map(move |area| asked.map(|(kind, mcc)| (network, *area, kind, mcc)))
    })
}

fn facts(network: Option<usize>, area: &str, kind: Kind, mcc: u16) -> Authorization {
    let code = format!("{}000", network.map_or(9, |place| place));
    Authorization {
        kind,
        mcc,
        instrument: Instrument::from_digits(code.as_bytes(), true),
        merchant: format!("{area:<15}").as_bytes().try_into().expect("fifteen"),
        ..Authorization::default()
    }
}

/// A network rides on an earlier one or on none, so that there is no circle.
fn network((place, within): (usize, &Option<usize>)) -> NetworkPlan {
    let lengths = Lengths::new(4, 4).expect("lengths");
    NetworkPlan {
        name: format!("N{place}"),
        within: within.filter(|other| *other < place).map(|other| NetworkId(other as u16)),
        rules: vec![CodeRule::prefix(true, &place.to_string(), lengths).expect("a rule")],
        ..NetworkPlan::default()
    }
}

fn merchants() -> crate::routing::merchants::MerchantTable {
    let mut rows = MerchantRows::default();
    let networks = set(&[0, 1, 2, 3].map(NetworkId));
    for id in AREAS {
        let area = Area::from_text(id).expect("an area");
        let merchant = Merchant { networks, area, mcc: 0, groups: Groups::default() };
        rows.add(id.as_bytes(), merchant).expect("a row");
    }
    rows.build().0
}

fn condition(number: usize) -> Condition {
    match number {
        0 | 1 => Condition::default(),
        2 => Condition { kinds: Kinds::default().with(Kind::Refund), ..Condition::default() },
        _ => Condition { mccs: vec![(4111, 4111)], ..Condition::default() },
    }
}

type Named = (Vec<NetworkId>, Vec<Area>, usize);

fn route_plan((place, (networks, areas, number)): (usize, Named)) -> RoutePlan {
    let route = route(&format!("route-{place}"), &networks, &[], 1000);
    RoutePlan { areas, condition: condition(number), ..route }
}

type Refused = (Vec<NetworkId>, Vec<NetworkId>, Vec<Area>, Vec<Area>, usize);

fn refusal_plan((place, refused): (usize, Refused)) -> RefusalPlan {
    let (networks, except_networks, areas, except_areas, number) = refused;
    let condition = condition(number);
    let plan = refusal(&format!("refusal-{place}"), 58);
    RefusalPlan { networks, except_networks, areas, except_areas, condition, ..plan }
}

fn names() -> impl Strategy<Value = Vec<NetworkId>> {
    vec((0..NETWORKS as u16).prop_map(NetworkId), 0..3).prop_map(distinct)
}

fn areas() -> impl Strategy<Value = Vec<Area>> {
    let area = (0..AREAS.len()).prop_map(|place| Area::from_text(AREAS[place]).expect("an area"));
    vec(area, 0..3).prop_map(distinct)
}

fn distinct<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort();
    values.dedup();
    values
}
