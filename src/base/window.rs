//! When something holds: from one moment to another, on some days of the week, in some hours.
//!
//! Time is the clock of the venue, to the second: a window begins with its first second and ends
//! before its last. Routes and rules have the same windows.

use super::time::Wall;
use super::zone::Zone;

/// Times at which something holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// From this second on.
    pub from: Option<Wall>,
    /// Before this second.
    pub until: Option<Wall>,
    /// On these days; empty is every day.
    pub days: Days,
    /// In these hours; empty is all day.
    pub hours: Vec<Hours>,
    /// By whose clock days and hours are meant.
    pub zone: Zone,
}

/// A set of days of the week.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Days(u8);

/// Part of a day, in minutes since midnight. Where it ends before it begins it goes on after
/// midnight, and belongs to the day on which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// First minute, 0 to 1439.
    pub from: u16,
    /// First minute that is not in it any more, 1 to 1440.
    pub until: u16,
}

impl Window {
    /// True if `wall` is in the window.
    pub fn holds(&self, wall: Wall) -> bool {
        if self.from.is_some_and(|from| wall < from) || self.until.is_some_and(|end| wall >= end) {
            return false;
        }
        if self.days == Days::default() && self.hours.is_empty() {
            return true;
        }
        let local = self.zone.local(wall);
        let (today, yesterday) = (local.weekday, (local.weekday + 6) % 7);
        let on = |day: u8| self.days == Days::default() || self.days.contains(day);
        if self.hours.is_empty() {
            return on(today);
        }
        self.hours.iter().any(|hours| {
            let (begun, ended) = (local.minute >= hours.from, local.minute >= hours.until);
            if hours.from < hours.until {
                begun && !ended && on(today)
            } else {
                begun && on(today) || !ended && on(yesterday)
            }
        })
    }

    /// True if it can hold at some time.
    pub fn is_possible(&self) -> bool {
        !matches!((self.from, self.until), (Some(from), Some(until)) if from >= until)
    }
}

impl Days {
    /// The set with a day in it; 0 is Monday.
    #[must_use]
    pub const fn with(self, weekday: u8) -> Self {
        Self(self.0 | 1 << (weekday % 7))
    }

    /// True if the day is in the set.
    pub const fn contains(self, weekday: u8) -> bool {
        self.0 & 1 << (weekday % 7) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Civil;

    /// 2026-11-22, a Sunday in Seoul.
    fn seoul(day: u8, hour: u8, minute: u8) -> Wall {
        let civil = Civil { year: 2026, month: 11, day, hour, minute, second: 0 };
        zone().moment(&civil).expect("a moment")
    }

    fn zone() -> Zone {
        Zone::from_name("Asia/Seoul").expect("a zone")
    }

    #[test]
    fn a_window_begins_with_its_first_second_and_ends_before_its_last() {
        let (from, until) = (Some(seoul(22, 0, 0)), Some(seoul(23, 0, 0)));
        let window = Window { from, until, ..Window::default() };
        let at = |second: i64| {
            let unix_s = seoul(22, 0, 0).unix_s().checked_add_signed(second).expect("a second");
            window.holds(Wall::from_unix_s(unix_s))
        };
        assert_eq!([at(-1), at(0), at(86_399), at(86_400)], [false, true, true, false]);
        assert!(window.is_possible());
        assert!(!Window { from: until, until: from, ..window }.is_possible());
    }

    #[test]
    fn hours_after_midnight_belong_to_the_day_on_which_they_begin() {
        let hours = vec![Hours { from: 540, until: 720 }, Hours { from: 1320, until: 120 }];
        let days = Days::default().with(5);
        let saturday = Window { hours, days, zone: zone(), ..Window::default() };
        for (day, hour, minute, expected) in [
            (21, 8, 59, false),
            (21, 9, 0, true),
            (21, 11, 59, true),
            (21, 12, 0, false),
            (21, 1, 0, false),
            (21, 22, 0, true),
            (22, 1, 59, true),
            (22, 2, 0, false),
            (22, 10, 0, false),
            (22, 22, 0, false),
        ] {
            assert_eq!(saturday.holds(seoul(day, hour, minute)), expected, "{day} {hour}:{minute}");
        }
        let any_day = Window { days: Days::default(), ..saturday.clone() };
        assert!(any_day.holds(seoul(20, 23, 0)) && any_day.holds(seoul(20, 1, 0)));
        let whole = Window { hours: Vec::new(), ..saturday };
        assert!(whole.holds(seoul(21, 0, 0)) && !whole.holds(seoul(22, 0, 0)));
    }
}
