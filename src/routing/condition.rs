//! What a request must be like for a route to serve it, or for a rule to refuse it, beside its
//! network and its region: those two are resolved when the table is built, this is asked each time.
//!
//! All that is said must hold, and what is not said holds.

use crate::base::authorization::Kind;
use crate::base::codes::ResponseCode;
use crate::base::ids::{LinkId, Region};
use crate::base::time::Wall;
use crate::base::window::Window;

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

const _: () = assert!(Kind::ALL.len() <= u16::BITS as usize);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Civil;
    use crate::base::zone::Zone;

    /// 2026-11-22, a Sunday in Seoul.
    fn seoul(day: u8, hour: u8, minute: u8) -> Wall {
        let civil = Civil { year: 2026, month: 11, day, hour, minute, second: 0 };
        zone().moment(&civil).expect("a moment")
    }

    fn zone() -> Zone {
        Zone::from_name("Asia/Seoul").expect("a zone")
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
