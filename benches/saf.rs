//! The store-and-forward lane: 100,000 entries queued, then drained, and an entry on its own.
//!
//! What is counted is the lane alone: the pace is set so high that it never brakes.

use std::hint::black_box;
use std::time::Duration;

use authswitch::base::time::Instant;
use authswitch::switch::saf::{Kind, Lane, Obligation, Settings, Settled, Verdict};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ENTRIES: u64 = 100_000;

/// A 0420 of 200 bytes.
const MESSAGE: [u8; 200] = [0x42; 200];

fn lane() -> Lane {
    let mut lane = Lane::new(Settings { rate: u32::MAX, ..Settings::default() });
    lane.connection_up(Instant::from_ns(1));
    lane
}

/// One of four entries has the card of another.
fn add(lane: &mut Lane, id: u64) {
    let mut message = lane.buffer();
    message.extend_from_slice(&MESSAGE);
    lane.add(Obligation {
        id,
        kind: Kind::Reversal,
        transaction: id,
        card: (id & !3).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 | (id & 3).min(2) << 1,
        message,
        sent_before: false,
        not_before: Instant::from_ns(1),
        late_until: None,
        noted: 0,
    });
}

/// Sends and answers until nothing is left, as many as fit into the window at a time.
fn drain(lane: &mut Lane, flight: &mut Vec<(u32, u64)>, now: &mut Instant) -> u64 {
    let mut done = 0;
    while !lane.is_empty() {
        *now = now.after(Duration::from_micros(100));
        while let Some(copy) = lane.next(*now, 0) {
            black_box(copy.message);
            flight.push((copy.place, copy.id));
        }
        for (place, id) in flight.drain(..) {
            assert_eq!(lane.answered(place, id, *now, Verdict::Final), Some(Settled::Done(id)));
            done += 1;
        }
    }
    done
}

fn backlog(c: &mut Criterion) {
    let mut group = c.benchmark_group("saf");
    group.throughput(Throughput::Elements(ENTRIES)).sample_size(20);
    let (mut lane, mut flight, mut now) = (lane(), Vec::new(), Instant::from_ns(1));
    let mut next_id = 1;
    group.bench_function("backlog/add+next+answered", |b| {
        b.iter(|| {
            for id in next_id..next_id + ENTRIES {
                add(&mut lane, id);
            }
            next_id += ENTRIES;
            assert_eq!(drain(&mut lane, &mut flight, &mut now), ENTRIES);
        });
    });
    group.finish();
}

fn steady(c: &mut Criterion) {
    let (mut lane, mut flight, mut now) = (lane(), Vec::new(), Instant::from_ns(1));
    let mut id = 0;
    c.bench_function("saf/one add+next+answered", |b| {
        b.iter(|| {
            id += 1;
            add(&mut lane, id);
            assert_eq!(drain(&mut lane, &mut flight, &mut now), 1);
            black_box(lane.next_deadline())
        });
    });
}

/// What a time-out costs among 100,000 that wait: into the wheel, out of it, sent again.
fn retry(c: &mut Criterion) {
    let (mut lane, mut now) = (lane(), Instant::from_ns(1));
    for id in 1..=ENTRIES {
        add(&mut lane, id);
    }
    let mut sent = 0u64;
    c.bench_function("saf/next+timed_out of 100,000", |b| {
        b.iter(|| {
            let copy = loop {
                if let Some(copy) = lane.next(now, 0) {
                    break (copy.place, copy.id);
                }
                now = lane.next_deadline().expect("none is forgotten").max(now);
            };
            sent += 1;
            lane.timed_out(copy.0, copy.1, now);
        });
    });
    assert_eq!(lane.stats().sent, sent);
    assert_eq!(lane.len(), ENTRIES as usize);
}

criterion_group!(benches, backlog, steady, retry);
criterion_main!(benches);
