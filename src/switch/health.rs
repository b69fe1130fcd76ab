//! Whether a partner is asked at all: a breaker for each partner, on each worker.
//!
//! A partner that lets requests run into their deadlines makes every shopper wait for as long, and
//! is given work it cannot do. After enough of that it is left alone for a while: requests go to
//! the next partner of their route, or are declined at once. Then one request at a time finds out
//! whether it answers again.
//!
//! Only what the partner does to us counts: a request that ran into its deadline after it had left,
//! a connection that was lost with such requests on it. Declines do not, whoever says them, nor
//! what we did not send. An answer to a request is a good sign, whatever it says, and so is a
//! connection that comes up. Each worker judges for itself, by what it sees; nothing is shared, so
//! nothing is locked. What is owed to a partner has its own pace and goes on.

use std::time::Duration;

use crate::base::time::Instant;

/// When a partner is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// It is, when it has failed so many times more than it has answered. Not 0.
    pub failures: u16,
    /// How long at first; twice as long each time it fails again at once.
    pub pause: Duration,
}

/// What a worker thinks of a partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It is asked. So many failures more than answers lately.
    Sound { failures: u16 },
    /// It is not asked until then.
    Alone { until: Instant, pause: Duration },
    /// It is asked one request at a time, and has answered so many.
    Probation { answers: u8, pause: Duration },
    /// It is worked on, and asked nothing new until the routes say otherwise.
    Resting,
}

impl Health {
    /// True if there is nothing to look at.
    #[inline]
    pub(super) const fn is_sound(&self) -> bool {
        matches!(self, Self::Sound { .. })
    }

    /// True if it may be asked now, `waiting` requests being on their way to it.
    #[inline]
    pub(super) fn may_be_asked(&mut self, now: Instant, waiting: usize) -> bool {
        match *self {
            Self::Sound { .. } => true,
            Self::Resting => false,
            // What is still out was asked before: it must not pass for the request that finds out.
            _ if waiting > 0 => false,
            Self::Alone { until, .. } if now < until => false,
            Self::Alone { pause, .. } => {
                *self = Self::Probation { answers: 0, pause };
                true
            }
            Self::Probation { .. } => true,
        }
    }

    /// It has answered. True if it is asked as ever from now on.
    #[inline]
    pub(super) fn answered(&mut self) -> bool {
        *self != SOUND && self.recovers()
    }

    #[cold]
    fn recovers(&mut self) -> bool {
        let was_sound = self.is_sound();
        *self = match *self {
            Self::Sound { failures } => Self::Sound { failures: failures.saturating_sub(1) },
            // To something that was asked before: it may be tried when that is over.
            Self::Alone { pause, .. } => Self::Alone { until: Instant::from_ns(0), pause },
            Self::Resting => Self::Resting,
            Self::Probation { answers, .. } if answers + 1 >= PROBATION_ANSWERS => SOUND,
            Self::Probation { answers, pause } => Self::Probation { answers: answers + 1, pause },
        };
        !was_sound && self.is_sound()
    }

    /// It has come back: it may be tried at once.
    pub(super) fn is_back(&mut self) {
        if let Self::Alone { pause, .. } = *self {
            *self = Self::Alone { until: Instant::from_ns(0), pause };
        }
    }

    /// The routes say whether it is worked on. Afterwards it is asked as if nothing had been.
    pub(super) fn rest(&mut self, rests: bool) {
        *self = match (rests, *self) {
            (true, _) => Self::Resting,
            (false, Self::Resting) => SOUND,
            (false, health) => health,
        };
    }

    /// It has failed. True if it is left alone from now on.
    #[cold]
    pub(super) fn failed(&mut self, now: Instant, breaker: Option<Breaker>) -> bool {
        let Some(breaker) = breaker else { return false };
        let pause = match *self {
            Self::Sound { failures } if failures + 1 < breaker.failures => {
                *self = Self::Sound { failures: failures + 1 };
                return false;
            }
            // Asked before: that it fails is no news.
            Self::Alone { .. } | Self::Resting => return false,
            Self::Sound { .. } => breaker.pause,
            Self::Probation { pause, .. } => (2 * pause).min(PAUSE_MAX.max(breaker.pause)),
        };
        *self = Self::Alone { until: now.after(pause), pause };
        true
    }
}

impl Default for Health {
    fn default() -> Self {
        SOUND
    }
}

const SOUND: Health = Health::Sound { failures: 0 };

/// Requests answered one after the other before a partner is asked as ever.
const PROBATION_ANSWERS: u8 = 5;

/// A partner that fails again and again is tried this often at least.
const PAUSE_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKER: Breaker = Breaker { failures: 3, pause: Duration::from_secs(5) };

    fn at(s: u64) -> Instant {
        Instant::from_ns(s * 1_000_000_000)
    }

    fn failing(times: usize) -> Health {
        let mut health = Health::default();
        for time in 1..=times {
            assert_eq!(health.failed(at(0), Some(BREAKER)), time == 3, "{time}");
        }
        health
    }

    #[test]
    fn failures_count_against_answers() {
        let mut health = failing(2);
        health.answered();
        assert!(!health.failed(at(0), Some(BREAKER)));
        assert!(health.may_be_asked(at(0), 1_000));
        assert!(health.failed(at(0), Some(BREAKER)));
        assert!(!health.may_be_asked(at(4), 0));
    }

    #[test]
    fn one_request_at_a_time_finds_out() {
        let mut health = failing(3);
        assert!(!health.may_be_asked(at(5), 1), "what was asked before is still out");
        assert!(health.may_be_asked(at(5), 0));
        for answer in 1..=PROBATION_ANSWERS {
            assert!(!health.may_be_asked(at(6), 1));
            assert_eq!(health.answered(), answer == PROBATION_ANSWERS);
        }
        assert_eq!(health, SOUND);
        assert!(health.may_be_asked(at(6), 7));
    }

    #[test]
    fn who_fails_again_is_left_alone_for_longer() {
        let mut health = failing(3);
        let (mut now, mut pauses) = (0, Vec::new());
        for _ in 0..6 {
            let from = now;
            while !health.may_be_asked(at(now), 0) {
                now += 1;
            }
            pauses.push(now - from);
            assert!(health.failed(at(now), Some(BREAKER)));
        }
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn what_was_asked_before_decides_nothing() {
        let mut health = failing(3);
        assert!(!health.failed(at(1), Some(BREAKER)));
        assert!(!health.may_be_asked(at(9), 1), "it is not tried before that is over");
        for _ in 0..20 {
            assert!(!health.failed(at(9), Some(BREAKER)), "nor left alone for longer");
            assert!(!health.answered(), "nor trusted");
            assert!(!health.may_be_asked(at(9), 1));
        }
        assert!(health.may_be_asked(at(9), 0));
        assert!(health.failed(at(9), Some(BREAKER)));
        assert!(!health.may_be_asked(at(18), 0), "ten seconds now");
        assert!(health.may_be_asked(at(19), 0));
    }

    #[test]
    fn a_sign_of_life_ends_the_pause() {
        let mut health = failing(3);
        assert!(!health.may_be_asked(at(1), 0));
        health.answered();
        assert!(health.may_be_asked(at(1), 0));
        let mut health = failing(3);
        health.is_back();
        assert!(!health.may_be_asked(at(1), 2));
        assert!(health.may_be_asked(at(1), 0));
        let mut sound = failing(2);
        sound.is_back();
        assert!(sound.failed(at(1), Some(BREAKER)), "two and one");
    }

    #[test]
    fn who_rests_is_not_asked_whatever_comes_of_what_was_asked_before() {
        for mut health in [Health::default(), failing(2), failing(3)] {
            health.rest(true);
            health.rest(true);
            assert!((0..20).all(|_| !health.answered() && !health.failed(at(0), Some(BREAKER))));
            health.is_back();
            assert!(!health.may_be_asked(at(1_000), 0));
            health.rest(false);
            assert!(health.may_be_asked(at(0), 1_000));
        }
        let mut alone = failing(3);
        alone.rest(false);
        assert!(!alone.may_be_asked(at(1), 0), "who does not rest is left alone");
    }

    #[test]
    fn without_a_breaker_nobody_is_left_alone() {
        let mut health = Health::default();
        assert!((0..100_000).all(|_| !health.failed(at(0), None)));
        assert_eq!(health, SOUND);
    }
}
