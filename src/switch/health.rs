//! Whether a partner is asked at all: a breaker for each partner, on each worker.
//!
//! A partner that lets requests run into their deadlines makes every shopper wait for as long, and
//! is given work it cannot do. After enough of that it is left alone for a while: requests go to
//! the next partner of their route, or are declined at once. Then it is knocked for, with an 0800,
//! where it is sent any: no shopper should have to find out that nobody is there. Once that is
//! answered, one request at a time finds out whether the partner answers those too.
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
    /// It is not asked until then; nor then, if it is knocked for first.
    Alone { until: Instant, pause: Duration, knocks: bool },
    /// It was sent an 0800, and is sent another then if it has not answered.
    Knocking { again: Instant, pause: Duration },
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
            Self::Knocking { .. } => false,
            Self::Alone { until, knocks, .. } if now < until || knocks => false,
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
            Self::Alone { pause, .. } | Self::Knocking { pause, .. } => open(pause),
            Self::Resting => Self::Resting,
            Self::Probation { answers, .. } if answers + 1 >= PROBATION_ANSWERS => SOUND,
            Self::Probation { answers, pause } => Self::Probation { answers: answers + 1, pause },
        };
        !was_sound && self.is_sound()
    }

    /// It has come back: it may be tried at once.
    pub(super) fn is_back(&mut self) {
        if let Self::Alone { pause, .. } | Self::Knocking { pause, .. } = *self {
            *self = open(pause);
        }
    }

    /// When it is to be knocked for, if it is.
    pub(super) const fn knocks_at(&self) -> Option<Instant> {
        match *self {
            Self::Alone { until, knocks: true, .. } => Some(until),
            Self::Knocking { again, .. } => Some(again),
            _ => None,
        }
    }

    /// It was sent an 0800.
    pub(super) const fn knocked(&mut self, again: Instant) {
        if let Self::Alone { pause, .. } | Self::Knocking { pause, .. } = *self {
            *self = Self::Knocking { again, pause };
        }
    }

    /// It has answered an 0800; that counts if it was knocked for.
    pub(super) fn hears(&mut self) {
        if let Self::Knocking { pause, .. } = *self {
            *self = open(pause);
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

    /// It has failed. True if it is left alone from now on; `knocks`: until it answers an 0800.
    #[cold]
    pub(super) fn failed(&mut self, now: Instant, breaker: Option<Breaker>, knocks: bool) -> bool {
        let Some(breaker) = breaker else { return false };
        let pause = match *self {
            Self::Sound { failures } if failures + 1 < breaker.failures => {
                *self = Self::Sound { failures: failures + 1 };
                return false;
            }
            // Asked before: that it fails is no news.
            Self::Alone { .. } | Self::Knocking { .. } | Self::Resting => return false,
            Self::Sound { .. } => breaker.pause,
            Self::Probation { pause, .. } => (2 * pause).min(PAUSE_MAX.max(breaker.pause)),
        };
        *self = Self::Alone { until: now.after(pause), pause, knocks };
        true
    }
}

impl Default for Health {
    fn default() -> Self {
        SOUND
    }
}

/// It may be tried, when nothing is on its way to it any more.
const fn open(pause: Duration) -> Health {
    Health::Alone { until: Instant::from_ns(0), pause, knocks: false }
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
            assert_eq!(health.failed(at(0), Some(BREAKER), false), time == 3, "{time}");
        }
        health
    }

    #[test]
    fn failures_count_against_answers() {
        let mut health = failing(2);
        health.answered();
        assert!(!health.failed(at(0), Some(BREAKER), false));
        assert!(health.may_be_asked(at(0), 1_000));
        assert!(health.failed(at(0), Some(BREAKER), false));
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
            assert!(health.failed(at(now), Some(BREAKER), false));
        }
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn what_was_asked_before_decides_nothing() {
        let mut health = failing(3);
        assert!(!health.failed(at(1), Some(BREAKER), false));
        assert!(!health.may_be_asked(at(9), 1), "it is not tried before that is over");
        for _ in 0..20 {
            assert!(!health.failed(at(9), Some(BREAKER), false), "nor left alone for longer");
            assert!(!health.answered(), "nor trusted");
            assert!(!health.may_be_asked(at(9), 1));
        }
        assert!(health.may_be_asked(at(9), 0));
        assert!(health.failed(at(9), Some(BREAKER), false));
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
        assert!(sound.failed(at(1), Some(BREAKER), false), "two and one");
    }

    #[test]
    fn who_rests_is_not_asked_whatever_comes_of_what_was_asked_before() {
        for mut health in [Health::default(), failing(2), failing(3)] {
            health.rest(true);
            health.rest(true);
            assert!(
                (0..20).all(|_| !health.answered() && !health.failed(at(0), Some(BREAKER), false))
            );
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
        assert!((0..100_000).all(|_| !health.failed(at(0), None, false)));
        assert_eq!(health, SOUND);
    }

    /// Nobody's money finds out whether somebody is there.
    #[test]
    fn who_is_sent_0800_is_knocked_for_first() {
        let mut health = failing(2);
        assert!(health.failed(at(0), Some(BREAKER), true));
        assert_eq!(health.knocks_at(), Some(at(5)));
        health.hears();
        assert!(!health.may_be_asked(at(9), 0), "that was no answer to a knock");
        health.knocked(at(14));
        assert_eq!((health.may_be_asked(at(15), 0), health.knocks_at()), (false, Some(at(14))));
        health.hears();
        assert_eq!(health.knocks_at(), None);
        assert!(health.may_be_asked(at(15), 0));
        assert!(health.failed(at(16), Some(BREAKER), true));
        assert_eq!(health.knocks_at(), Some(at(26)), "twice as long");
        health.is_back();
        assert!(health.may_be_asked(at(17), 0), "a connection came up");
    }
}
