//! How long an entry waits after its n-th copy.
//!
//! Doubling from a second: most time-outs are one lost answer or a partner that restarts, and the
//! second copy should not wait long; a partner that is ill for hours is asked once in five minutes
//! for each entry, and told by its return when it is well. The jitter, a quarter to either side,
//! spreads what failed in the same moment over half the delay. It is a keyed hash of the entry,
//! so that a replay waits as long and nobody outside can line entries up.

use std::time::Duration;

use crate::base::limits;
use crate::base::map::mixed;

/// The delay after `attempts` copies.
pub(super) fn delay(key: u64, id: u64, attempts: u32) -> Duration {
    let (shortest, longest) = (limits::SAF_BACKOFF_MIN, limits::SAF_BACKOFF_MAX);
    let doublings = attempts.saturating_sub(1).min(16);
    let middle = shortest.saturating_mul(1 << doublings).min(longest);
    let ns = middle.as_nanos() as u64;
    let spread = u64::from(u16::MAX) + 1;
    let part = mixed(mixed(key ^ id.rotate_left(32) ^ u64::from(attempts))) % spread;
    Duration::from_nanos(ns / 4 * 3 + ns / 2 / spread * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_from_a_second_to_five_minutes_and_strays_by_a_quarter() {
        let middles = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300];
        for (attempts, middle) in (1..).zip(middles) {
            let middle = Duration::from_secs(middle);
            let delays = (0..1000).map(|id| delay(7, id, attempts));
            let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
            for delay in delays {
                (least, most) = (least.min(delay), most.max(delay));
            }
            assert!(least >= middle * 3 / 4 && least < middle * 76 / 100, "{least:?}");
            assert!(most <= middle * 5 / 4 && most > middle * 124 / 100, "{most:?}");
        }
        assert!(delay(7, 1, u32::MAX) <= limits::SAF_BACKOFF_MAX * 5 / 4);
        assert_ne!(delay(7, 1, 1), delay(8, 1, 1), "keyed");
        assert_ne!(delay(7, 1, 10), delay(7, 1, 11), "not the same stray each time");
    }
}
