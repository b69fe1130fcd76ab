//! Time as the core sees it: a value handed in, never read.
//!
//! Deadlines use [`Instant`], which is monotonic and has no date. Dates on the wire (DE 7) use
//! [`Wall`], which may step. Keeping them apart is what makes a clock step harmless (no timer
//! moves, nothing expires) and lets a simulator run a day in a second.

use std::fmt;
use std::time::Duration;

/// Nanoseconds since the process chose its origin. Monotonic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// An instant `ns` nanoseconds after the origin.
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the origin.
    pub const fn ns(self) -> u64 {
        self.0
    }

    /// This instant moved forward; saturates at the end of time (584 years).
    #[must_use]
    pub const fn after(self, delay: Duration) -> Self {
        let ns = delay.as_nanos();
        Self(self.0.saturating_add(if ns > u64::MAX as u128 { u64::MAX } else { ns as u64 }))
    }

    /// Time passed since `earlier`, zero if `earlier` lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Seconds since 1970-01-01 00:00 UTC. May step in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Wall(u64);

impl Wall {
    /// A wall-clock time from Unix seconds.
    pub const fn from_unix_s(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Unix seconds.
    pub const fn unix_s(self) -> u64 {
        self.0
    }

    /// The UTC calendar date and time of day.
    pub fn civil(self) -> Civil {
        let (days, second_of_day) = (self.0 / 86_400, (self.0 % 86_400) as u32);
        let (year, month, day) = date_of(days);
        Civil {
            year,
            month,
            day,
            hour: (second_of_day / 3600) as u8,
            minute: (second_of_day / 60 % 60) as u8,
            second: (second_of_day % 60) as u8,
        }
    }
}

/// Both clocks, read together, once per batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// For deadlines.
    pub instant: Instant,
    /// For dates in messages.
    pub wall: Wall,
}

/// A UTC calendar date and time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year, for example 2026.
    pub year: u32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59; a leap second is not representable in Unix time.
    pub second: u8,
}

/// Date and time in UTC, to the second (RFC 3339).
impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second } = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl Civil {
    /// Seconds since 1970-01-01 00:00, both in the same zone; `None` if there is no such date or
    /// time, or before 1970.
    pub fn unix_s(&self) -> Option<u64> {
        let &Self { year, month, day, hour, minute, second } = self;
        let most = DAYS_IN_MONTH.get(usize::from(month).wrapping_sub(1))?;
        let most = *most + u8::from(month == 2 && is_leap(year));
        let exists = (1..=most).contains(&day) && hour < 24 && minute < 60 && second < 60;
        if !exists || !(1970..=YEAR_MAX).contains(&year) {
            return None;
        }
        let before = u64::from(year) - 1;
        let leap_days = before / 4 - before / 100 + before / 400;
        let days = before * 365 + leap_days - DAYS_BEFORE_1970;
        let days = days + u64::from(day_of_year(month, day, is_leap(year))) - 1;
        let minutes = u64::from(hour) * 60 + u64::from(minute);
        Some(days * 86_400 + minutes * 60 + u64::from(second))
    }

    /// DE 7, transmission date and time: ten digits `MMDDhhmmss` (ISO 8583:1987).
    pub fn de7(&self) -> [u8; 10] {
        let mut digits = [0; 10];
        let parts = [self.month, self.day, self.hour, self.minute, self.second];
        for (pair, part) in digits.chunks_exact_mut(2).zip(parts) {
            pair.copy_from_slice(&[b'0' + part / 10, b'0' + part % 10]);
        }
        digits
    }
}

/// What checks of dates need to know of today; worked out once a day, not once a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Today {
    /// Days since 1970-01-01.
    pub day: u64,
    /// True if the year has a 29 February.
    pub is_leap_year: bool,
    /// Days since 1 January.
    pub day_of_year: u32,
    /// Month and day as packed digits.
    pub packed: [u8; 2],
}

impl Today {
    /// The UTC day of `wall`.
    pub fn of(wall: Wall) -> Self {
        let civil = wall.civil();
        let is_leap_year = is_leap(civil.year);
        let day_of_year = day_of_year(civil.month, civil.day, is_leap_year);
        let packed = [civil.month, civil.day].map(|part| part / 10 * 16 + part % 10);
        Self { day: wall.unix_s() / 86_400, is_leap_year, day_of_year, packed }
    }

    /// True if month and day, as packed digits, are those of today: the common case.
    #[inline]
    pub const fn is_today(&self, month: u8, day: u8) -> bool {
        self.packed[0] == month && self.packed[1] == day
    }

    /// True if `wall` is on this day.
    #[inline]
    pub const fn is(&self, wall: Wall) -> bool {
        wall.unix_s() / 86_400 == self.day
    }

    /// Days from today to the day of a valid `MMDDhhmmss`, in whichever direction is shorter.
    pub fn days_to(&self, de7: u64) -> u32 {
        let (month, day) = (de7 / 100_000_000 % 100, de7 / 1_000_000 % 100);
        let other = day_of_year(month as u8, day as u8, self.is_leap_year);
        let apart = self.day_of_year.abs_diff(other);
        apart.min(365u32.saturating_sub(apart))
    }
}

fn day_of_year(month: u8, day: u8, is_leap_year: bool) -> u32 {
    let before = DAYS_BEFORE_MONTH.get(usize::from(month).wrapping_sub(1)).copied().unwrap_or(0);
    u32::from(before) + u32::from(day) + u32::from(is_leap_year && month > 2)
}

const DAYS_BEFORE_MONTH: [u16; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/// True if `MMDDhhmmss` names a moment that exists. The year is not on the wire: 29 February
/// passes only in a leap year of ours.
#[inline]
pub fn de7_is_valid(value: u64, is_leap_year: bool) -> bool {
    let part = |divisor: u64| value / divisor % 100;
    let (month, day) = (part(100_000_000), part(1_000_000));
    let (hour, minute, second) = (part(10_000), part(100), part(1));
    let Some(days) = DAYS_IN_MONTH.get((month as usize).wrapping_sub(1)) else { return false };
    let leap_day = month == 2 && day == 29 && is_leap_year;
    let day_exists = day >= 1 && day <= u64::from(*days);
    (day_exists || leap_day) && hour < 24 && minute < 60 && second < 60 && value < 10_000_000_000
}

const DAYS_IN_MONTH: [u8; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Days from 0001-01-01 to 1970-01-01.
const DAYS_BEFORE_1970: u64 = 719_162;

/// What is written with four digits.
const YEAR_MAX: u32 = 9999;

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// The proleptic Gregorian date of a day number. Counting from 1 March makes the leap day the last
/// of its year, so that month lengths follow one linear formula.
fn date_of(days_since_1970: u64) -> (u32, u8, u8) {
    let days = days_since_1970 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * march_month + 2) / 5 + 1) as u8;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 } as u8;
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year as u32, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        let civil = Wall::from_unix_s(1_795_313_565).civil();
        assert_eq!((civil.year, civil.month, civil.day), (2026, 11, 22));
        assert_eq!(&civil.de7(), b"1122021245");
        let leap = Wall::from_unix_s(951_782_400).civil();
        assert_eq!((leap.year, leap.month, leap.day), (2000, 2, 29));
    }

    #[test]
    fn every_day_follows_its_predecessor() {
        let mut last = date_of(0);
        assert_eq!(last, (1970, 1, 1));
        for days in 1..200_000 {
            let (year, month, day) = date_of(days);
            let length = if last.1 == 2 && is_leap(last.0) {
                29
            } else {
                DAYS_IN_MONTH[usize::from(last.1) - 1]
            };
            let expected = match (last.1, last.2 == length) {
                (12, true) => (last.0 + 1, 1, 1),
                (_, true) => (last.0, last.1 + 1, 1),
                _ => (last.0, last.1, last.2 + 1),
            };
            assert_eq!((year, month, day), expected);
            let civil = Civil { year, month, day, hour: 1, minute: 2, second: 3 };
            assert_eq!(civil.unix_s(), Some(days * 86_400 + 3723));
            last = expected;
        }
    }

    #[test]
    fn dates_that_do_not_exist_are_no_moments() {
        let civil = Civil { year: 2023, month: 2, day: 28, hour: 23, minute: 59, second: 59 };
        assert!(civil.unix_s().is_some());
        for wrong in [
            Civil { day: 29, ..civil },
            Civil { day: 0, ..civil },
            Civil { month: 13, ..civil },
            Civil { month: 0, ..civil },
            Civil { hour: 24, ..civil },
            Civil { minute: 60, ..civil },
            Civil { second: 60, ..civil },
            Civil { year: 1969, ..civil },
            Civil { year: 10_000, ..civil },
        ] {
            assert_eq!(wrong.unix_s(), None, "{wrong:?}");
        }
    }

    #[test]
    fn de7_rejects_moments_that_do_not_exist() {
        assert!(de7_is_valid(1_122_235_959, false));
        assert!(!de7_is_valid(229_000_000, false));
        assert!(de7_is_valid(229_000_000, true));
        for wrong in [231_256_199, 1_301_000_000, 1_131_000_000, 1_122_240_000, 22_000_000] {
            assert!(!de7_is_valid(wrong, false), "{wrong:010}");
        }
    }

    #[test]
    fn days_apart_are_counted_across_the_year_end() {
        let today = Today::of(Wall::from_unix_s(1_795_313_565));
        assert_eq!(today.days_to(1_122_235_959), 0);
        assert_eq!(today.days_to(1_121_000_000), 1);
        assert_eq!(today.days_to(1_201_000_000), 9);
        let eve = Today::of(Wall::from_unix_s(1_798_675_200));
        assert_eq!(eve.days_to(101_000_000), 1);
        assert!(eve.is(Wall::from_unix_s(1_798_675_200 + 86_399)));
        assert!(!eve.is(Wall::from_unix_s(1_798_675_200 + 86_400)));
    }
}
