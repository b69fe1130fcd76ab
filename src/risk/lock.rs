//! The lock of some pages of a memory: taken by one worker at a time, for a few loads and stores.
//!
//! It spins a little and then lets others run: it is held for less than it takes to put a thread to
//! sleep. It guards nothing by itself; whoever holds it may read and write what it stands for with
//! no order of their own. What it is made of comes from the module around it, so that the same
//! lines are tried in every order that the language allows (`tests/loom.rs`).

use super::parts::{AtomicBool, Backoff, Ordering};

/// Taken or not.
#[derive(Debug, Default)]
pub(super) struct Lock {
    is_taken: AtomicBool,
}

impl Lock {
    /// Returns when it is ours, with all that was done by whoever had it before.
    #[inline]
    pub(super) fn take(&self) {
        let is_taken = |lock: &Self| lock.is_taken.swap(true, Ordering::Acquire);
        if is_taken(self) {
            let backoff = Backoff::new();
            while self.is_taken.load(Ordering::Relaxed) || is_taken(self) {
                backoff.snooze();
            }
        }
    }

    /// Hands it on, to be called once for each time that it was taken.
    #[inline]
    pub(super) fn leave(&self) {
        self.is_taken.store(false, Ordering::Release);
    }
}
