//! The one place where time enters the switch.
//!
//! A worker reads both clocks at most once per turn and hands the value down. Nothing else may
//! read a clock (clippy bans it), so the core can be driven by a simulator a thousand times
//! faster than life.

use std::time::{Duration, SystemTime};

use crate::base::time::{Instant, Now, Wall};

/// Both clocks of the process. Copies share the origin, so instants of different workers compare.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// A clock whose monotonic time starts now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock everything else asks")]
    pub fn start() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    /// Reads both clocks.
    #[inline]
    #[expect(clippy::disallowed_methods, reason = "this is the clock everything else asks")]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Now {
            instant: Instant::from_ns(self.origin.elapsed().as_nanos() as u64),
            // A clock set before 1970 is wrong in a way no field can express.
            wall: Wall::from_unix_s(wall.map_or(0, |since| since.as_secs())),
        }
    }

    /// The same moment as the timer of the runtime counts it.
    pub(super) fn timer(&self, instant: Instant) -> tokio::time::Instant {
        // A year ahead is as good as never, and cannot overflow.
        let delay = Duration::from_nanos(instant.ns()).min(NEVER);
        tokio::time::Instant::from_std(self.origin + delay)
    }
}

const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_forward_from_zero() {
        let clock = Clock::start();
        let first = clock.now();
        let second = clock.now();
        assert!(first.instant <= second.instant);
        assert!(first.instant.ns() < 1_000_000_000);
        assert!(first.wall.unix_s() > 1_700_000_000);
    }

    #[test]
    fn the_end_of_time_is_a_timer_too() {
        let clock = Clock::start();
        assert!(clock.timer(Instant::from_ns(u64::MAX)) > clock.timer(Instant::from_ns(0)));
    }
}
