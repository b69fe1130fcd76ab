//! The lock of the memory of limits, in every order that the language allows.
//!
//! The very lines of `src/risk/lock.rs`, over atomics that remember what each thread may still see.
//! What the lock guards has no order of its own, as in the memory: if the lock lost one, two
//! workers would both pass a limit of one.

#[path = "../src/risk/lock.rs"]
mod lock;

mod parts {
    pub(super) use loom::sync::atomic::Ordering;

    /// A swap that finds what it puts there writes nothing here: else each turn of a spin would be
    /// another order to be tried.
    #[derive(Debug, Default)]
    pub(super) struct AtomicBool(loom::sync::atomic::AtomicBool);

    impl AtomicBool {
        pub(super) fn load(&self, order: Ordering) -> bool {
            self.0.load(order)
        }

        pub(super) fn swap(&self, value: bool, order: Ordering) -> bool {
            let swapped = self.0.compare_exchange(!value, value, order, Ordering::Relaxed);
            swapped.unwrap_or_else(|found| found)
        }

        pub(super) fn store(&self, value: bool, order: Ordering) {
            self.0.store(value, order);
        }
    }

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
