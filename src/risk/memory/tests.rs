//! The table alone: races, room, what is forgotten and what never is.

use std::sync::{Arc, Barrier};
use std::thread;

use proptest::prelude::*;

use super::*;

fn once(now_ms: u64) -> Take {
    Take { now_ms, amount: 1, windows: 1, acting: 1, attempts: 0 }
}

const MEMORY_BYTES: usize = 128 * PAGE_BYTES;

const KEY: u64 = 0x9E37_79B9_7F4A_7C15;

#[test]
fn a_limit_of_n_lets_exactly_n_pass_whoever_races() {
    for limit in [1, 2, 7, 64] {
        let memory = Arc::new(Memory::new(MEMORY_BYTES));
        let windows = [Window::new(60_000, limit, false, 0, 6)];
        let keys: Vec<u64> = (1..5000).map(|n: u64| n.wrapping_mul(KEY)).collect();
        let start = Arc::new(Barrier::new(4));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (memory, keys) = (Arc::clone(&memory), keys.clone());
                let start = Arc::clone(&start);
                thread::spawn(move || {
                    start.wait();
                    let pass = |key: &u64| -> u64 {
                        let ask = || memory.take(*key, &windows, 60_000, &once(5));
                        (0..limit).filter(|_| ask().is_some_and(|took| took.over == 0)).count()
                            as u64
                    };
                    keys.iter().map(pass).collect::<Vec<u64>>()
                })
            })
            .collect();
        let mut passed = vec![0; keys.len()];
        for thread in threads {
            let counts = thread.join().expect("no panic");
            passed.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        assert!(passed.iter().all(|count| *count == limit), "{limit}: {passed:?}");
        assert_eq!(memory.len(), keys.len());
    }
}

#[test]
fn what_is_full_forgets_the_oldest_and_never_who_is_at_the_limit() {
    let memory = Memory::new(MEMORY_BYTES);
    let windows = [Window::new(3_600_000, 2, false, 0, 6)];
    let key = |n: u64| (n + 1).wrapping_mul(KEY);
    let at_limit = 1000;
    for n in 0..at_limit {
        memory.take(key(n), &windows, 3_600_000, &once(n)).expect("room");
        memory.take(key(n), &windows, 3_600_000, &once(n)).expect("room");
    }
    let many = 4 * memory.capacity() as u64;
    for n in at_limit..many {
        assert!(memory.take(key(n), &windows, 3_600_000, &once(n)).is_some());
        assert!(memory.len() <= memory.capacity());
    }
    for n in 0..at_limit {
        let took = memory.take(key(n), &windows, 3_600_000, &once(many)).expect("known");
        assert_eq!(took.over, 1, "key {n} was told no");
    }
    let newest = memory.look(key(many - 1), &windows, many);
    assert_eq!(newest, Some(vec![1]), "what came last is still there");
    assert_eq!(memory.look(key(at_limit), &windows, many), None, "what came first is not");
}

#[test]
fn no_room_is_no_room() {
    let memory = Memory::new(2 * PAGE_BYTES);
    let windows = [Window::new(60_000, 1, false, 0, 6)];
    let ask = |n: u64| memory.take((n + 1).wrapping_mul(KEY), &windows, 60_000, &once(7));
    let found = (0..1000).filter(|n| ask(*n).is_some()).count();
    assert_eq!(found, memory.capacity(), "each is at its limit and stays");
    assert!(memory.take(KEY.wrapping_mul(5000), &windows, 60_000, &once(900_000)).is_some());
}

#[test]
fn what_is_over_is_swept_away() {
    let memory = Memory::new(3 * MEMORY_BYTES);
    let windows = [Window::new(1000, 5, false, 0, 6)];
    for n in 0..10_000u64 {
        memory.take((n + 1).wrapping_mul(KEY), &windows, 1100, &once(n)).expect("room");
    }
    assert_eq!(memory.len(), 10_000);
    for _ in 0..memory.pages.div_ceil(SWEEP_PAGES) {
        memory.sweep(200_000);
    }
    assert_eq!(memory.len(), 0);
}

#[test]
fn a_limit_of_one_holds_while_others_come_and_go() {
    let memory = Arc::new(Memory::new(8 * PAGE_BYTES));
    let windows = [Window::new(60_000, 1, false, 0, 6)];
    let many = [Window::new(60_000, 1000, false, 0, 6)];
    let crowd = |from: u64| {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            for n in 0..20_000 {
                memory.take((from + n).wrapping_mul(KEY), &many, 60_000, &once(5));
                memory.sweep(5);
            }
            0
        })
    };
    let racer = || {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let mut passed = 0;
            for n in (1..100_u64).cycle().take(20_000) {
                let took = memory.take(n.wrapping_mul(KEY), &windows, 60_000, &once(5));
                passed += u64::from(took.is_some_and(|took| took.over == 0));
            }
            passed
        })
    };
    let threads = [crowd(1 << 20), racer(), crowd(1 << 21), racer(), racer()];
    let passed: u64 = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
    assert_eq!(passed, 99);
    assert!(memory.len() <= memory.capacity());
}

/// What a key did, exactly: when it was let pass.
type Exact = std::collections::BTreeMap<u64, Vec<u64>>;

proptest! {
    /// Against lists of all that passed, under a cap that holds a third of the keys: who is at the
    /// limit hears so, and only who is not may have been forgotten.
    #[test]
    fn under_the_cap_nobody_at_the_limit_is_forgotten(
        limit in 1u64..4,
        window_ms in 1u64..200_000,
        steps in prop::collection::vec((1u64..400, 0u64..600, any::<bool>()), 1..3000),
    ) {
        let memory = Memory::new(PAGE_BYTES);
        let window = Window::new(window_ms, limit, false, 0, 6);
        let mut exact = Exact::new();
        let mut now_ms = 0;
        for (key, wait, sweeps) in steps {
            now_ms += wait;
            if sweeps {
                memory.sweep(now_ms);
            }
            let hash = key.wrapping_mul(KEY);
            let passed = exact.entry(key).or_default();
            passed.retain(|at| now_ms - at < window_ms);
            let is_full = passed.len() as u64 >= limit;
            if memory.look(hash, &[window], now_ms).is_none() {
                prop_assert!(!is_full, "{key} was at its limit and is forgotten");
                passed.clear();
            }
            let took = memory.take(hash, &[window], window.longest_ms(), &once(now_ms));
            let passes = took.is_some_and(|took| took.over == 0);
            prop_assert!(!(is_full && passes), "{key} was at its limit and passed");
            if passes {
                passed.push(now_ms);
            }
            let found = exact.keys().filter(|key| {
                memory.look(key.wrapping_mul(KEY), &[window], now_ms).is_some()
            });
            prop_assert_eq!(found.count(), memory.len());
        }
    }
}

#[test]
fn a_memory_is_no_larger_than_its_cap_and_what_is_over_makes_room() {
    for bytes in [4, 64, 1000, 4096].map(|pages| pages * PAGE_BYTES + 77) {
        let memory = Memory::new(bytes);
        let taken = size_of_val(&*memory.words) + size_of_val(&*memory.guards);
        assert!(taken <= bytes && taken > bytes * 3 / 4 - PAGE_BYTES, "{taken} of {bytes}");
    }
    let memory = Memory::new(64 * PAGE_BYTES);
    let window = Window::new(1000, 1, false, 0, 6);
    for n in 0..10 * memory.capacity() as u64 {
        // Each is at its limit, and over before the next comes.
        let took = memory.take((n + 1).wrapping_mul(KEY), &[window], 1000, &once(n * 70_000));
        assert_eq!(took.map(|took| took.over), Some(0));
    }
    assert!(memory.len() <= memory.capacity());
}
