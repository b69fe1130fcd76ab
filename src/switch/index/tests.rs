//! Two workers at one table.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::base::time::Instant;
use crate::iso8583::kept::Kept;
use crate::switch::recent::{Claim, Fate, Known, Past, Recent, TerminalKey};

fn claim(recent: &mut Recent, id: u64, hash: u64) -> Known {
    claim_at(recent, id, hash, 1)
}

fn claim_at(recent: &mut Recent, id: u64, hash: u64, moment: u64) -> Known {
    let key = TerminalKey { hash, moment, fingerprint: 2 };
    let acquirer = crate::base::ids::LinkId(0);
    let claim = Claim { id, key, acquirer, at: Instant::from_ns(id) };
    recent.claim(claim, |other| other.key.hash == hash && other.key.moment == moment)
}

fn settle(recent: &mut Recent, number: u64) {
    recent.past_mut(number).expect("just claimed").fate = Fate::Declined;
    recent.settle(number);
}

/// A part of a hash may be the same by chance. Whoever asks again is led to another each time.
#[test]
fn of_several_others_each_has_its_turn() {
    let index = Arc::new(TransactionIndex::new(4, 64));
    let mut workers = [0, 1, 2, 3].map(|worker| Recent::new(WorkerId(worker), Arc::clone(&index)));
    for (worker, recent) in workers.iter_mut().enumerate().skip(1) {
        // They differ in bits that no reference has.
        let hash = spread(1) ^ (worker as u64) << 60;
        let moment = 100 + worker as u64;
        assert!(matches!(claim_at(recent, 1, hash, moment), Known::New(_)), "another's");
    }
    let [one, ..] = &mut workers;
    let mut led_to = [0; 4];
    for _ in 0..12 {
        match one.find(spread(1), 0, |_| true) {
            Some(Place::Elsewhere(worker)) => led_to[usize::from(worker.0)] += 1,
            other => panic!("{other:?}"),
        }
        one.end_turn();
    }
    assert!(led_to[0] == 0 && led_to[1..].iter().all(|times| *times > 0), "{led_to:?}");
    for worker in 1..4 {
        let place = one.find(spread(1), 100 + worker, |_| true);
        assert_eq!(place, Some(Place::Elsewhere(WorkerId(worker as u8))), "by its moment");
    }
}

fn spread(id: u64) -> u64 {
    (id + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17)
}

#[test]
fn what_one_worker_was_asked_the_other_is_told() {
    let index = Arc::new(TransactionIndex::new(2, 64));
    let mut one = Recent::new(WorkerId(0), Arc::clone(&index));
    let mut other = Recent::new(WorkerId(1), index);
    let Known::New(number) = claim(&mut one, 1, spread(1)) else { panic!("new") };
    assert_eq!(claim(&mut other, 2, spread(1)), Known::Elsewhere(WorkerId(0)));
    settle(&mut one, number);
    assert_eq!(claim(&mut other, 2, spread(1)), Known::Elsewhere(WorkerId(0)), "past, and known");
    assert_eq!(claim(&mut one, 2, spread(1)), Known::Here(number));
}

/// A terminal that begins its STANs anew, and whose connection is another worker's by now.
#[test]
fn a_stan_of_another_day_is_another() {
    let index = Arc::new(TransactionIndex::new(2, 64));
    let mut one = Recent::new(WorkerId(0), Arc::clone(&index));
    let mut other = Recent::new(WorkerId(1), index);
    let Known::New(number) = claim_at(&mut one, 1, spread(1), 1) else { panic!("new") };
    settle(&mut one, number);
    let Known::New(number) = claim_at(&mut other, 2, spread(1), 2) else { panic!("another") };
    settle(&mut other, number);
    assert_eq!(claim_at(&mut one, 3, spread(1), 2), Known::Elsewhere(WorkerId(1)));
    assert_eq!(claim_at(&mut other, 3, spread(1), 1), Known::Elsewhere(WorkerId(0)));
    // Without a date it is whichever is there.
    let place = one.find(spread(1), 0, |other| other.key.hash == spread(1));
    assert_eq!(place, Some(Place::Here(0)));
}

/// Under one STAN of one terminal, in the same minute or without a date.
#[test]
fn what_is_restored_is_known_whatever_another_worker_knows() {
    let index = Arc::new(TransactionIndex::new(2, 64));
    let mut windows = [0, 1].map(|worker| Recent::new(WorkerId(worker), Arc::clone(&index)));
    for (id, recent) in windows.iter_mut().enumerate() {
        let mut past = Past::default();
        (past.id, past.fate) = (id as u64, Fate::Declined);
        past.key = TerminalKey { hash: spread(1), moment: 0, fingerprint: id as u64 };
        recent.restore(past, &Kept::default());
    }
    for (id, recent) in windows.iter().enumerate() {
        let is_it = |past: &Past| past.key.fingerprint == id as u64;
        assert_eq!(recent.find(spread(1), 0, is_it), Some(Place::Here(0)), "by worker {id}");
    }
}

#[test]
fn what_one_worker_forgot_is_the_others_to_take() {
    let index = Arc::new(TransactionIndex::new(2, 64));
    let mut one = Recent::new(WorkerId(0), Arc::clone(&index));
    let mut other = Recent::new(WorkerId(1), index);
    for id in 0..5000 {
        let Known::New(number) = claim(&mut one, id, spread(id)) else { panic!("new") };
        settle(&mut one, number);
    }
    for id in 5000..8000 {
        let Known::New(number) = claim(&mut other, id, spread(id)) else { panic!("new") };
        settle(&mut other, number);
    }
    assert!(matches!(claim(&mut other, 1, spread(1)), Known::New(_)), "told often enough");
    assert_eq!(claim(&mut other, 1, spread(4999)), Known::Elsewhere(WorkerId(0)));
}

#[test]
fn a_bucket_full_of_what_is_needed_spills_into_those_behind() {
    let index = Arc::new(TransactionIndex::new(1, 512));
    let mut recent = Recent::new(WorkerId(0), index);
    // Same bucket, other tags.
    let hash = |id: u64| id << 40 | 5;
    let mut numbers = Vec::new();
    let all = (1 + SPILL_MAX) * REFERENCES as u64;
    for id in 0..all {
        let Known::New(number) = claim(&mut recent, id, hash(id)) else { panic!("room") };
        numbers.push(number);
    }
    assert_eq!(claim(&mut recent, all, hash(all)), Known::NoRoom);
    for (id, number) in numbers.iter().enumerate() {
        assert_eq!(claim(&mut recent, 0, hash(id as u64)), Known::Here(*number));
    }
    settle(&mut recent, numbers[3]);
    assert!(matches!(claim(&mut recent, all, hash(all)), Known::New(_)));
    assert_eq!(claim(&mut recent, 0, hash(13)), Known::Here(numbers[13]), "the spilled stay known");
}

/// A partner that answers nobody for a while: most of what is remembered is needed.
#[test]
fn there_is_room_as_long_as_there_is_any() {
    let index = Arc::new(TransactionIndex::new(1, 4096));
    let room = index.buckets.len() * REFERENCES;
    let mut recent = Recent::new(WorkerId(0), index);
    let needed = room as u64 * 9 / 10;
    for id in 0..needed {
        assert!(matches!(claim(&mut recent, id, spread(id)), Known::New(_)), "{id} of {room}");
    }
    for id in 0..needed {
        assert!(matches!(claim(&mut recent, 0, spread(id)), Known::Here(_)), "{id} is known");
    }
}

/// Each key is asked of both workers at about the same time: one takes it, the other hears so.
#[test]
fn a_key_is_claimed_by_one_worker_only() {
    const KEYS: u64 = 200_000;
    let index = Arc::new(TransactionIndex::new(2, 4096));
    let taken = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let at: [AtomicU64; 2] = Default::default();
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (index, taken, at) = (Arc::clone(&index), &taken, &at);
            scope.spawn(move || {
                let mut recent = Recent::new(WorkerId(worker as u8), index);
                for id in 0..KEYS {
                    at[worker].store(id, Ordering::Release);
                    // At the same moment, as nearly as can be.
                    let mut waited = 0u32;
                    while id > at[1 - worker].load(Ordering::Acquire) {
                        waited += 1;
                        if waited.is_multiple_of(4096) {
                            std::thread::yield_now();
                        }
                    }
                    match claim(&mut recent, id, spread(id)) {
                        Known::New(number) => {
                            taken[worker].fetch_add(1, Ordering::Relaxed);
                            settle(&mut recent, number);
                        }
                        Known::Elsewhere(WorkerId(other)) => {
                            assert_eq!(usize::from(other), 1 - worker);
                        }
                        // Not a panic: the other one would wait for ever.
                        Known::Here(_) | Known::NoRoom => {
                            taken[worker].fetch_add(KEYS as usize, Ordering::Relaxed);
                        }
                    }
                }
                at[worker].store(KEYS, Ordering::Release);
            });
        }
    });
    let [one, other] = taken.map(AtomicUsize::into_inner);
    assert_eq!(one + other, KEYS as usize, "{one} and {other}");
}
