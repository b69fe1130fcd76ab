//! The lock of some pages of a memory: taken by one worker at a time, for a few loads and stores.
//!
//! It spins a little and then lets others run: it is held for less than it takes to put a thread to
//! sleep. It guards nothing by itself; whoever holds it may read and write what it stands for with
//! no order of their own. It counts its turns, so that whoever only wants to look needs not take it
//! and keeps nobody waiting: what was seen is whole if no turn was taken meanwhile. What it is made
//! of comes from the module around it, so that the same lines are tried in every order that the
//! language allows (`tests/loom.rs`).

use super::parts::{AtomicU64, Backoff, Ordering, fence};

/// How often it was taken and handed on: odd while it is taken.
#[derive(Debug, Default)]
pub(super) struct Lock {
    turns: AtomicU64,
}

impl Lock {
    /// Returns when it is ours, with all that was done by whoever had it before.
    #[inline]
    pub(super) fn take(&self) {
        let mut turns = self.turns.load(Ordering::Relaxed);
        if turns % 2 == 1 || !self.is_ours(turns) {
            let backoff = Backoff::new();
            loop {
                backoff.snooze();
                turns = self.turns.load(Ordering::Relaxed);
                if turns.is_multiple_of(2) && self.is_ours(turns) {
                    break;
                }
            }
        }
        // Nobody sees what is changed now and not that it is taken.
        fence(Ordering::Release);
    }

    /// Hands it on, to be called once for each time that it was taken.
    #[inline]
    pub(super) fn leave(&self) {
        self.turns.store(self.turns.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// What `read` makes of what it stands for, if nobody had it meanwhile.
    pub(super) fn look<T>(&self, read: impl FnOnce() -> T) -> Option<T> {
        let turns = self.turns.load(Ordering::Acquire);
        if turns % 2 == 1 {
            return None;
        }
        let seen = read();
        fence(Ordering::Acquire);
        (self.turns.load(Ordering::Relaxed) == turns).then_some(seen)
    }

    #[inline]
    fn is_ours(&self, turns: u64) -> bool {
        let taken = turns + 1;
        let exchanged =
            self.turns.compare_exchange(turns, taken, Ordering::Acquire, Ordering::Relaxed);
        exchanged.is_ok()
    }
}
