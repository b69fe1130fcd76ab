//! What limits cost: eight velocity rules over four keys, ten million live keys, every verdict
//! checked.
//!
//! Cards are visited in a scattered order, so that the figures contain the cache misses that a
//! memory of this size brings; `few keys` shows the same path without them. `sweep` is one part of
//! the memory, the longest that a worker is away between two requests.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use authswitch::base::authorization::{Authorization, Instrument, Kind};
use authswitch::base::codes::ResponseCode;
use authswitch::base::ids::Region;
use authswitch::base::money::{Amount, Currency};
use authswitch::base::time::{Instant, Now, Wall};
use authswitch::risk::key::{ELEMENTS, Key, Part};
use authswitch::risk::rule::{Action, Rule, Scope, Test, Velocity};
use authswitch::risk::{Asked, Memory, Plan, Rules, Taken, Verdict};
use criterion::{Criterion, criterion_group, criterion_main};

fn risk(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("risk");
    // Small enough for a smoke run, which only proves that all of this works.
    let is_smoke = std::env::args().any(|argument| argument == "--test");
    let cards = if is_smoke { CARDS / 100 } else { CARDS };
    let rules = rules(1 << 30);
    let mut taken = Taken::default();
    for card in 0..cards {
        let verdict = rules.decide(&asked(&facts(card), card, 1), &mut taken);
        assert_eq!(verdict, Verdict::Passed);
    }
    let remembered = rules.memory().len();
    assert!(remembered as u64 >= cards, "{remembered}");
    println!("{remembered} keys, room for {}", rules.memory().capacity());
    let mut step = 0_u64;
    group.bench_function("8 rules, 4 keys, 10M live keys, scattered", |bencher| {
        bencher.iter(|| {
            step += 1;
            let card = step.wrapping_mul(7_919_993) % cards;
            let facts = facts(card);
            let verdict = rules.decide(black_box(&asked(&facts, card, 2)), &mut taken);
            assert_eq!(verdict, Verdict::Passed);
        });
    });
    group.bench_function("8 rules, 4 keys, few keys", |bencher| {
        bencher.iter(|| {
            step += 1;
            let card = step % 64;
            let facts = facts(card);
            let verdict = rules.decide(black_box(&asked(&facts, card, 2)), &mut taken);
            assert_eq!(verdict, Verdict::Passed);
        });
    });
    group.bench_function("sweep of a full part", |bencher| {
        bencher.iter(|| rules.sweep(Instant::from_ns(3_000_000_000)));
    });
    assert_eq!(rules.memory().len(), remembered, "nothing is over");
    group.finish();
}

/// Two for each of card, terminal, merchant with card, and corridor with issuer.
fn rules(bytes: usize) -> Rules {
    let keys: [&[Part]; 4] = [
        &[Part::Instrument],
        &[Part::Terminal],
        &[Part::Merchant, Part::Mcc],
        &[Part::Home, Part::Region, Part::Issuer],
    ];
    let rules = keys.iter().enumerate().flat_map(|(place, parts)| {
        [false, true].map(|sums| Rule {
            name: format!("{place} {sums}"),
            scope: Scope { currencies: currency().into_iter().collect(), ..Scope::default() },
            test: Test::Velocity(Velocity {
                key: Key::of(parts),
                window: Duration::from_secs(if sums { 86_400 } else { 60 }),
                limit: (u64::MAX / 2) >> if sums { 0 } else { 8 },
                sums,
                attempts: false,
            }),
            action: Action::Decline,
            code: ResponseCode::NOT_PERMITTED_TERMINAL,
        })
    });
    let plan = Plan { rules: rules.collect(), secret: 0x5EED, ..Plan::default() };
    Rules::new(plan, Arc::new(Memory::new(bytes))).expect("four keys")
}

fn currency() -> Option<Currency> {
    Currency::from_letters("CNY")
}

fn facts(card: u64) -> Authorization {
    let mut terminal = *b"T0000000";
    terminal[4..].copy_from_slice(&((card % 50_000) as u32).to_le_bytes());
    let mut merchant = *b"SHOP-000       ";
    merchant[5..7].copy_from_slice(&((card % 5_000) as u16).to_le_bytes());
    Authorization {
        kind: Kind::Purchase,
        amount: Amount { minor: 1250, currency: currency().unwrap_or_default() },
        instrument: Instrument::from_head(411_111_000_000_000_000 + card, 18, false),
        merchant,
        terminal,
        mcc: 5812,
        ..Authorization::default()
    }
}

fn asked(facts: &Authorization, card: u64, seconds: u64) -> Asked<'_> {
    Asked {
        facts,
        network: None,
        region: Some(Region(*b"CN")),
        home: Some(Region(*b"KR")),
        instrument: (card + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
        elements: [0; ELEMENTS],
        now: Now {
            instant: Instant::from_ns(seconds * 1_000_000_000),
            wall: Wall::from_unix_s(1_795_313_565),
        },
    }
}

const CARDS: u64 = 10_000_000;

criterion_group!(benches, risk);
criterion_main!(benches);
