//! What limits cost: eight velocity rules over four keys, ten million live keys, every verdict
//! checked.
//!
//! Keys are visited in a scattered order, so that the figures contain the misses of the cache that
//! a memory of this size brings: of all four keys of a request, or of its card alone; `few keys`
//! shows the same path without them. `new keys in a full memory` forgets somebody for each. Before
//! that, the memory is filled beyond what it holds while another thread takes snapshots of it: what
//! it takes of the machine is printed, and the longest that one request and one sweep have taken.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use authswitch::base::authorization::{Authorization, Instrument, Kind};
use authswitch::base::codes::ResponseCode;
use authswitch::base::ids::Region;
use authswitch::base::money::{Amount, Currency};
use authswitch::base::time::{Instant, Now, Wall};
use authswitch::risk::key::{ELEMENTS, Key, Part};
use authswitch::risk::rule::{Action, Rule, Scope, Test, Velocity};
use authswitch::risk::{Asked, Memory, Plan, Rules, Taken, Tally, Verdict};
use criterion::{Criterion, criterion_group, criterion_main};
use mimalloc::MiMalloc;

/// As in the program.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn risk(criterion: &mut Criterion) {
    // Small enough for a smoke run, which only proves that all of this works.
    let is_smoke = std::env::args().any(|argument| argument == "--test");
    // What one memory took, the allocator has for the next.
    let (keys, bytes) = if is_smoke { (KEYS / 100, CAP / 100) } else { (KEYS, CAP) };
    // Four cold keys: 2.5 million of each. One: ten million cards, the rest few.
    live(criterion, "four cold keys", bytes, &Range { cards: keys / 4, others: keys / 4 });
    live(criterion, "one cold key", bytes, &Range { cards: keys, others: 5_000 });
    full(criterion, bytes);
}

/// How many there are.
struct Range {
    cards: u64,
    /// Terminals, merchants, devices, each.
    others: u64,
}

impl Range {
    /// A request of a card and of three others, all by chance; the first ones visit all.
    fn request(&self, step: u64) -> Request {
        let other = |seed: u64| scattered(step, seed) % self.others;
        let card = if step < self.cards { step } else { scattered(step, 1) % self.cards };
        if step < self.others {
            return Request { card, others: [step; 3] };
        }
        Request { card, others: [other(2), other(3), other(4)] }
    }
}

struct Request {
    card: u64,
    others: [u64; 3],
}

fn live(criterion: &mut Criterion, name: &str, bytes: usize, range: &Range) {
    let mut group = criterion.benchmark_group("risk, 8 rules, 4 keys, 10M live");
    let rules = rules(bytes);
    let made = resident();
    let mut taken = (Taken::default(), Tally::of(&rules));
    for step in 0..range.cards {
        assert!(passes(&rules, &range.request(step), 1, &mut taken));
    }
    let remembered = rules.memory().len();
    let resident = resident();
    println!(
        "{name}: {remembered} keys, room for {}; {resident} bytes of this process are \
         resident, {made} before the first: \
         {:.1} a key, {:.2} each that finds room",
        rules.memory().capacity(),
        resident as f64 / remembered as f64,
        resident as f64 / rules.memory().capacity() as f64,
    );
    // What is behind the first memory is the program and what criterion keeps.
    assert!(resident.saturating_sub(made) <= bytes as u64, "the memory alone is within the cap");
    assert!(resident <= bytes as u64 + PROGRAM, "above the cap");
    let mut step = range.cards;
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            step += 1;
            assert!(passes(&rules, &range.request(step), 2, &mut taken));
        });
    });
    group.bench_function("few keys", |bencher| {
        bencher.iter(|| {
            step += 1;
            // Time passes, or a count would be full.
            assert!(passes(&rules, &range.request(step % 64), step / 20_000, &mut taken));
        });
    });
    group.bench_function("the request alone", |bencher| {
        bencher.iter(|| {
            step += 1;
            let request = range.request(step);
            black_box(asked(&facts(&request), &request, 2));
        });
    });
    group.bench_function("sweep", |bencher| {
        bencher.iter(|| rules.sweep(Instant::from_ns(3_000_000_000)));
    });
    group.finish();
}

/// Ten million codes and more, each once, in a memory that does not hold them.
fn full(criterion: &mut Criterion, bytes: usize) {
    let rules = rules(bytes);
    let mut taken = (Taken::default(), Tally::of(&rules));
    let new = |step: u64| Request { card: step, others: [step; 3] };
    let capacity = rules.memory().capacity() as u64;
    let (mut asking, mut sweeping) = (Longest::default(), Longest::default());
    let requests = capacity / 2;
    let is_over = AtomicBool::new(false);
    let snapshots = std::thread::scope(|scope| {
        // As whoever takes them to the disk does, but without a pause.
        let snapshots = scope.spawn(|| {
            let (mut count, mut kept) = (0, Vec::new());
            while !is_over.load(Ordering::Relaxed) {
                let memory = rules.memory();
                (0..memory.pages()).for_each(|page| {
                    kept.clear();
                    memory.copy_page(page, 0, &mut kept);
                });
                count += 1;
            }
            count
        });
        for step in 0..requests {
            let passed = || passes(&rules, &new(step), 1 + step / 100_000, &mut taken);
            assert!(asking.of(passed));
            if step % 1000 == 0 {
                sweeping.of(|| rules.sweep(Instant::from_ns(step * 10_000)));
            }
        }
        is_over.store(true, Ordering::Relaxed);
        snapshots.join().expect("no panic")
    });
    let resident = resident();
    println!(
        "full: {} new keys, room for {capacity}; {resident} bytes of this process are resident, \
         cap {bytes}; beside {snapshots} snapshots: requests {asking}; sweeps {sweeping}",
        requests * 4,
    );
    assert!(resident <= bytes as u64 + PROGRAM, "above the cap");
    let mut group = criterion.benchmark_group("risk, 8 rules, 4 keys");
    let mut step = requests;
    group.bench_function("four new keys in a full memory", |bencher| {
        bencher.iter(|| {
            step += 1;
            assert!(passes(&rules, &new(step), 1 + step / 100_000, &mut taken));
        });
    });
    group.finish();
}

/// How long something took at most: by the clock, which runs on while the thread stands still for
/// others, and of the processor.
#[derive(Default)]
struct Longest {
    wall: Duration,
    own: Duration,
    over: (u64, u64),
}

impl Longest {
    fn of<T>(&mut self, what: impl FnOnce() -> T) -> T {
        let (begun, own_begun) = (clock(), own_time());
        let result = what();
        let (own, wall) = (own_time() - own_begun, begun.elapsed());
        (self.wall, self.own) = (self.wall.max(wall), self.own.max(own));
        self.over.0 += u64::from(wall > Duration::from_millis(1));
        self.over.1 += u64::from(own > Duration::from_millis(1));
        result
    }
}

impl std::fmt::Display for Longest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { wall, own, over } = self;
        write!(f, "{wall:?} at most, {} over 1 ms; of the processor {own:?}, {}", over.0, over.1)
    }
}

fn passes(rules: &Rules, request: &Request, seconds: u64, taken: &mut Kept) -> bool {
    let facts = facts(request);
    rules.decide(black_box(&asked(&facts, request, seconds)), &mut taken.0, &mut taken.1)
        == Verdict::Passed
}

/// What a worker keeps beside the rules.
type Kept = (Taken, Tally);

/// Two for each of card, terminal, merchant and device.
fn rules(bytes: usize) -> Rules {
    let keys = [Part::Instrument, Part::Terminal, Part::Merchant, Part::Element(0)];
    let rules = keys.iter().enumerate().flat_map(|(place, part)| {
        [false, true].map(|sums| Rule {
            name: format!("{place} {sums}"),
            scope: Scope { currencies: currency().into_iter().collect(), ..Scope::default() },
            test: Test::Velocity(Velocity {
                key: Key::of(&[*part]),
                window: Duration::from_secs(if sums { 86_400 } else { 60 }),
                limit: if sums { u64::MAX / 2 } else { 60_000 },
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

fn facts(request: &Request) -> Authorization {
    let [terminal, merchant, _] = request.others;
    let mut shop = *b"SHOP-00000     ";
    shop[5..10].copy_from_slice(&(merchant + (1 << 40)).to_le_bytes()[..5]);
    Authorization {
        kind: Kind::Purchase,
        amount: Amount { minor: 1250, currency: currency().unwrap_or_default() },
        instrument: Instrument::from_head(411_111_000_000_000_000 + request.card, 18, false),
        merchant: shop,
        terminal: (terminal | u64::from_le_bytes(*b"\0\0\0\0POST")).to_le_bytes(),
        mcc: 5812,
        ..Authorization::default()
    }
}

fn asked<'f>(facts: &'f Authorization, request: &Request, seconds: u64) -> Asked<'f> {
    let mut elements = [0; ELEMENTS];
    elements[0] = scattered(request.others[2], 5);
    let now = Now {
        instant: Instant::from_ns(seconds * 1_000_000_000),
        wall: Wall::from_unix_s(1_795_313_565),
    };
    Asked {
        region: Some(Region(*b"CN")),
        home: Some(Region(*b"KR")),
        instrument: scattered(request.card, 6),
        elements,
        ..Asked::new(facts, now)
    }
}

/// A number by chance, never 0.
fn scattered(step: u64, seed: u64) -> u64 {
    authswitch::base::map::mixed(step ^ seed << 56).max(1)
}

#[expect(clippy::disallowed_methods, reason = "criterion says nothing of the longest")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}

/// Time of the processor that this thread has had.
fn own_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).map_or(0, |n| n * 4096)
}

const KEYS: u64 = 10_000_000;

/// Bytes of the program without the memory, at most.
const PROGRAM: u64 = 64 << 20;

/// Bytes of the memory.
const CAP: usize = 832 << 20;

criterion_group!(benches, risk);
criterion_main!(benches);
