//! The lock of the memory of limits, in every order that the language allows.
//!
//! The very lines of `src/risk/lock.rs`, over atomics that remember what each thread may still see.
//! What the lock guards has no order of its own, as in the memory: if the lock lost one, two
//! workers would both pass a limit of one.

#[path = "../src/risk/lock.rs"]
mod lock;

mod parts {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering, fence};

    /// Nobody spins here: others run.
    pub(super) struct Backoff;

    impl Backoff {
        pub(super) fn new() -> Self {
            Self
        }

        pub(super) fn snooze(&self) {
            loom::thread::yield_now();
        }
    }
}

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

/// A count under a lock.
#[derive(Default)]
struct Entry {
    lock: lock::Lock,
    count: AtomicU64,
}

impl Entry {
    /// Counts one, if there is room under the limit.
    fn passes(&self, limit: u64) -> bool {
        self.lock.take();
        let count = self.count.load(Ordering::Relaxed);
        let passes = count < limit;
        if passes {
            self.count.store(count + 1, Ordering::Relaxed);
        }
        self.lock.leave();
        passes
    }
}

#[test]
fn a_limit_of_n_lets_n_pass_in_every_order() {
    for (limit, tries) in [(1, 1), (3, 2)] {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(move || {
            let entry = Arc::new(Entry::default());
            let ask = |entry: &Entry| (0..tries).filter(|_| entry.passes(limit)).count() as u64;
            let other = Arc::clone(&entry);
            let there =
                thread::spawn(move || (0..tries).filter(|_| other.passes(limit)).count() as u64);
            let here = ask(&entry);
            assert_eq!(here + there.join().expect("no panic"), limit);
        });
    }
}

#[test]
fn who_only_looks_sees_no_half_of_a_change() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let pair = Arc::new((lock::Lock::default(), AtomicU64::new(0), AtomicU64::new(0)));
        let other = Arc::clone(&pair);
        let there = thread::spawn(move || {
            for value in 1..=2 {
                other.0.take();
                other.1.store(value, Ordering::Relaxed);
                other.2.store(value, Ordering::Relaxed);
                other.0.leave();
            }
        });
        let look = || (pair.1.load(Ordering::Relaxed), pair.2.load(Ordering::Relaxed));
        if let Some((first, second)) = pair.0.look(look) {
            assert_eq!(first, second);
        }
        there.join().expect("no panic");
        assert_eq!(pair.0.look(look), Some((2, 2)));
    });
}
