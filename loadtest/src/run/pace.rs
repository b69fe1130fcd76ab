//! The schedule of an open loop: when each request is due, whatever became of those before.

use crate::clock::NS_PER_S;

/// A constant rate from a starting time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    start_ns: u64,
    rate_per_s: u64,
    issued: u64,
}

impl Pace {
    /// `rate_per_s` requests a second, the first at `start_ns`.
    pub(crate) fn new(start_ns: u64, rate_per_s: u64) -> Pace {
        debug_assert!(rate_per_s > 0, "an open loop has a rate");
        Pace { start_ns, rate_per_s, issued: 0 }
    }

    /// When the next request is due, in ns. Computed from the start each time, so that rounding
    /// never adds up to a drift.
    pub(crate) fn next_ns(&self) -> u64 {
        let elapsed = u128::from(self.issued) * u128::from(NS_PER_S) / u128::from(self.rate_per_s);
        self.start_ns + elapsed as u64
    }

    /// The next request's number and due time, if it is due by now.
    pub(crate) fn take(&mut self, now_ns: u64) -> Option<(u64, u64)> {
        let due_ns = self.next_ns();
        (due_ns <= now_ns).then(|| {
            self.issued += 1;
            (self.issued - 1, due_ns)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_neither_drifts_nor_forgets() {
        let mut pace = Pace::new(1_000, 30_000);
        let mut taken = Vec::new();
        while let Some(due) = pace.take(1_000 + NS_PER_S) {
            taken.push(due);
        }
        assert_eq!(taken.len(), 30_001);
        assert_eq!(taken[..3], [(0, 1_000), (1, 34_333), (2, 67_666)]);
        assert_eq!(taken[30_000], (30_000, 1_000 + NS_PER_S));
        assert_eq!(pace.take(1_000 + NS_PER_S), None);
    }
}
