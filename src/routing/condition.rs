//! What a request must be like for a route to serve it, or for a rule to refuse it, beside its
//! network and its region: those two are resolved when the table is built, this is asked each time.
//!
//! All that is said must hold, and what is not said holds. Time is the clock of the venue, to the
//! second: a window begins with its first second and ends before its last.

use crate::base::authorization::Kind;
use crate::base::codes::ResponseCode;
use crate::base::ids::{LinkId, Region};
use crate::base::time::Wall;
use crate::base::zone::Zone;

use super::merchants::Groups;

/// What must hold. The default is always true.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// Where the wallet may be at home, that is where the corridor begins; empty is anywhere.
    pub homes: Vec<Region>,
    /// Merchant categories, first and last; empty is any. DE 18 or the merchant's row must be among
    /// them.
    pub mccs: Vec<(u16, u16)>,
    /// Groups of which the merchant must be in one; empty is any merchant.
    pub groups: Groups,
    /// What may be asked; empty is anything.
    pub kinds: Kinds,
    /// When; `None` is always.
    pub window: Option<Window>,
    /// Who may ask: acquirer links; empty is anybody.
    pub asked_by: Vec<LinkId>,
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds(u16);

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

/// A rule that refuses what a route would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its name in logs and reports.
    pub name: String,
    /// DE 39 of the answer.
    pub code: ResponseCode,
    /// Beside its networks and regions.
    pub condition: Condition,
}

/// What of a condition does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmet {
    /// Another thing is asked.
    Kind,
    /// The merchant is in none of its groups.
    Group,
    /// The wallet is at home elsewhere.
    Home,
    /// Neither DE 18 nor the merchant's row has one of its categories.
    Category,
    /// Somebody else asks.
    Asker,
    /// It is not the time.
    Window,
}

/// What conditions ask about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) home: Option<Region>,
    /// DE 18, and that of the merchant's row; 0 if there is none.
    pub(super) mccs: [u16; 2],
    pub(super) groups: Groups,
    pub(super) kind: Kind,
    pub(super) wall: Wall,
    /// Who asks; `None` if nobody in particular.
    pub(super) link: Option<LinkId>,
}

impl Condition {
    /// True if nothing is asked.
    pub fn is_always(&self) -> bool {
        *self == Self::default()
    }

    #[inline]
    pub(super) fn holds(&self, case: &Case) -> bool {
        self.unmet(case).is_none()
    }

    /// The first thing that is asked and does not hold.
    #[inline]
    pub(super) fn unmet(&self, case: &Case) -> Option<Unmet> {
        let is_home = |home: Region| self.homes.contains(&home);
        let is_listed = |mcc: &u16| {
            *mcc != 0 && self.mccs.iter().any(|(first, last)| (first..=last).contains(&mcc))
        };
        if !self.kinds.is_empty() && !self.kinds.contains(case.kind) {
            Some(Unmet::Kind)
        } else if !self.groups.is_empty() && !self.groups.intersects(case.groups) {
            Some(Unmet::Group)
        } else if !self.homes.is_empty() && !case.home.is_some_and(is_home) {
            Some(Unmet::Home)
        } else if !self.mccs.is_empty() && !case.mccs.iter().any(is_listed) {
            Some(Unmet::Category)
        } else if !self.asked_by.is_empty()
            && !case.link.is_some_and(|link| self.asked_by.contains(&link))
        {
            Some(Unmet::Asker)
        } else if self.window.as_ref().is_some_and(|window| !window.holds(case.wall)) {
            Some(Unmet::Window)
        } else {
            None
        }
    }
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

impl Kinds {
    /// The set with `kind` in it.
    #[must_use]
    pub const fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u16)
    }

    /// True if `kind` is in the set.
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u16 != 0
    }

    /// True if no kind is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
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

const _: () = assert!(Kind::ALL.len() <= u16::BITS as usize);

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

    #[test]
    fn all_that_is_said_must_hold() {
        let kr = Region(*b"KR");
        let case = Case {
            home: Some(kr),
            mccs: [0, 5812],
            groups: Groups::default().with(3),
            kind: Kind::Refund,
            wall: seoul(22, 12, 0),
            link: Some(LinkId(3)),
        };
        let condition = Condition {
            asked_by: vec![LinkId(1), LinkId(3)],
            homes: vec![Region(*b"CN"), kr],
            mccs: vec![(4000, 4999), (5812, 5812)],
            groups: Groups::default().with(3).with(4),
            kinds: Kinds::default().with(Kind::Refund),
            window: Some(Window { from: Some(seoul(22, 0, 0)), ..Window::default() }),
        };
        assert!(condition.holds(&case) && !condition.is_always());
        assert!(Condition::default().holds(&case) && Condition::default().is_always());
        for other in [
            Case { home: None, ..case },
            Case { home: Some(Region(*b"JP")), ..case },
            Case { mccs: [0, 0], ..case },
            Case { mccs: [5000, 5811], ..case },
            Case { groups: Groups::default().with(5), ..case },
            Case { kind: Kind::Void, ..case },
            Case { wall: seoul(21, 23, 59), ..case },
            Case { link: Some(LinkId(2)), ..case },
            Case { link: None, ..case },
        ] {
            assert!(!condition.holds(&other), "{other:?}");
        }
        assert!(condition.holds(&Case { mccs: [4000, 0], ..case }), "either category");
    }
}
