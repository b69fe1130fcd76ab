//! Time zones: what the clock on a merchant's wall shows.
//!
//! Rules speak of a shop's Sunday and of its midnight. Zones are named as in the IANA database, but
//! only those of the regions that the switch serves, with the summer time that is in force there:
//! no file of the system is read, so the same moment has the same hour on every machine. Any other
//! place is named by its distance from UTC (`+05:45`).

use super::time::{Civil, Wall};

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Zone {
    /// Minutes east of UTC in winter.
    standard_min: i16,
    summer: Summer,
}

/// When clocks stand an hour ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Summer {
    #[default]
    Never,
    /// Last Sunday of March to last Sunday of October, each at 01:00 UTC (Directive 2000/84/EC; the
    /// United Kingdom and Switzerland do the same).
    Europe,
    /// Second Sunday of March to first Sunday of November, each at 02:00 of the clock that is left
    /// (Energy Policy Act of 2005).
    America,
}

/// Day of the week and time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// 0 is Monday.
    pub weekday: u8,
    /// Minutes since midnight, 0 to 1439.
    pub minute: u16,
}

impl Zone {
    /// UTC.
    pub const UTC: Self = Self { standard_min: 0, summer: Summer::Never };

    /// A zone from its name, or from a distance like `+08:00`.
    pub fn from_name(name: &str) -> Option<Self> {
        if let Some((_, zone)) = ZONES.iter().find(|(other, _)| *other == name) {
            return Some(*zone);
        }
        let (sign, distance) = match name.split_at_checked(1)? {
            ("+", distance) => (1, distance),
            ("-", distance) => (-1, distance),
            _ => return None,
        };
        let (hours, minutes) = distance.split_once(':')?;
        let part = |text: &str| -> Option<i16> {
            let two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| two)
        };
        let (hours, minutes) = (part(hours)?, part(minutes)?);
        let standard_min = sign * (hours * 60 + minutes);
        (hours <= 14 && minutes < 60).then_some(Self { standard_min, summer: Summer::Never })
    }

    /// The names that [`Self::from_name`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ZONES.iter().map(|(name, _)| *name)
    }

    /// Its distance from UTC in winter, with what it does in summer: zones that always show the
    /// same have one text.
    pub fn text(self) -> String {
        let (sign, minutes) =
            (if self.standard_min < 0 { '-' } else { '+' }, self.standard_min.abs());
        let summer = match self.summer {
            Summer::Never => "",
            Summer::Europe => ", summer time of Europe",
            Summer::America => ", summer time of America",
        };
        format!("{sign}{:02}:{:02}{summer}", minutes / 60, minutes % 60)
    }

    /// What a clock of this zone shows at `wall`.
    pub fn local(self, wall: Wall) -> Local {
        let seconds = self.shown(wall.unix_s() as i64);
        let minute = (seconds.rem_euclid(DAY_S) / 60) as u16;
        // 1970-01-01 was a Thursday.
        let weekday = (seconds.div_euclid(DAY_S) + 3).rem_euclid(7) as u8;
        Local { weekday, minute }
    }

    /// When a clock of this zone shows `civil`: the first time if it does so twice; `None` if it
    /// never does, or before 1970.
    pub fn moment(self, civil: &Civil) -> Option<Wall> {
        let shown = civil.unix_s()? as i64;
        let winter = shown - i64::from(self.standard_min) * 60;
        let moments = [winter - 3600, winter];
        let moment = moments.into_iter().find(|moment| self.shown(*moment) == shown)?;
        u64::try_from(moment).ok().map(Wall::from_unix_s)
    }

    /// Seconds since 1970 as a clock of this zone shows them.
    fn shown(self, unix_s: i64) -> i64 {
        let winter = unix_s + i64::from(self.standard_min) * 60;
        if self.is_summer(unix_s) { winter + 3600 } else { winter }
    }

    fn is_summer(self, unix_s: i64) -> bool {
        let Ok(seconds) = u64::try_from(unix_s) else { return false };
        let year = Wall::from_unix_s(seconds).civil().year;
        // Days of the year are the same in UTC: no change is near the turn of a year.
        let at = |month, day, hour| {
            let civil = Civil { year, month, day, hour, minute: 0, second: 0 };
            civil.unix_s().map_or(0, |moment| moment as i64)
        };
        let sunday_before = |moment: i64| {
            let weekday = (moment.div_euclid(DAY_S) + 4).rem_euclid(7);
            moment - weekday * DAY_S
        };
        let winter = i64::from(self.standard_min) * 60;
        let (from, until) = match self.summer {
            Summer::Never => return false,
            Summer::Europe => (sunday_before(at(3, 31, 1)), sunday_before(at(10, 31, 1))),
            Summer::America => {
                let from = sunday_before(at(3, 14, 0)) + 2 * 3600 - winter;
                (from, sunday_before(at(11, 7, 0)) + 3600 - winter)
            }
        };
        (from..until).contains(&unix_s)
    }
}

const fn zone(standard_min: i16, summer: Summer) -> Zone {
    Zone { standard_min, summer }
}

const DAY_S: i64 = 86_400;

/// The zones of the regions that wallets and merchants of the corridors are in.
const ZONES: [(&str, Zone); 27] = [
    ("UTC", Zone::UTC),
    ("Asia/Shanghai", zone(480, Summer::Never)),
    ("Asia/Seoul", zone(540, Summer::Never)),
    ("Asia/Tokyo", zone(540, Summer::Never)),
    ("Asia/Hong_Kong", zone(480, Summer::Never)),
    ("Asia/Macau", zone(480, Summer::Never)),
    ("Asia/Taipei", zone(480, Summer::Never)),
    ("Asia/Singapore", zone(480, Summer::Never)),
    ("Asia/Kuala_Lumpur", zone(480, Summer::Never)),
    ("Asia/Manila", zone(480, Summer::Never)),
    ("Asia/Bangkok", zone(420, Summer::Never)),
    ("Asia/Jakarta", zone(420, Summer::Never)),
    ("Asia/Ho_Chi_Minh", zone(420, Summer::Never)),
    ("Asia/Kolkata", zone(330, Summer::Never)),
    ("Europe/London", zone(0, Summer::Europe)),
    ("Europe/Paris", zone(60, Summer::Europe)),
    ("Europe/Berlin", zone(60, Summer::Europe)),
    ("Europe/Rome", zone(60, Summer::Europe)),
    ("Europe/Madrid", zone(60, Summer::Europe)),
    ("Europe/Zurich", zone(60, Summer::Europe)),
    ("Europe/Amsterdam", zone(60, Summer::Europe)),
    ("Europe/Brussels", zone(60, Summer::Europe)),
    ("America/New_York", zone(-300, Summer::America)),
    ("America/Chicago", zone(-360, Summer::America)),
    ("America/Denver", zone(-420, Summer::America)),
    ("America/Phoenix", zone(-420, Summer::Never)),
    ("America/Los_Angeles", zone(-480, Summer::America)),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn zone_of(name: &str) -> Zone {
        Zone::from_name(name).expect("a zone")
    }

    fn at(year: u32, month: u8, day: u8, hour: u8, minute: u8) -> Civil {
        Civil { year, month, day, hour, minute, second: 0 }
    }

    #[test]
    fn clocks_of_the_corridors() {
        // 2026-11-22 02:12:45 UTC, a Sunday.
        let wall = Wall::from_unix_s(1_795_313_565);
        for (name, weekday, minute) in [
            ("UTC", 6, 132),
            ("Asia/Shanghai", 6, 132 + 480),
            ("Asia/Kolkata", 6, 132 + 330),
            ("America/Los_Angeles", 5, 1440 + 132 - 480),
            ("+05:45", 6, 132 + 345),
            ("-03:00", 5, 1440 + 132 - 180),
        ] {
            assert_eq!(zone_of(name).local(wall), Local { weekday, minute }, "{name}");
        }
    }

    #[test]
    fn summer_begins_and_ends_to_the_second() {
        for (name, year, unix_s, before, after) in [
            ("Europe/London", 2023, 1_679_792_400_u64, 59, 120),
            ("Europe/London", 2023, 1_698_541_200, 119, 60),
            ("Europe/Berlin", 2026, 1_774_746_000, 119, 180),
            ("Europe/Berlin", 2026, 1_792_890_000, 179, 120),
            ("America/New_York", 2024, 1_710_054_000, 119, 180),
            ("America/New_York", 2024, 1_730_613_600, 119, 60),
            ("America/Los_Angeles", 2026, 1_772_964_000, 119, 180),
            ("America/Los_Angeles", 2026, 1_793_523_600, 119, 60),
        ] {
            let minute = |unix_s| zone_of(name).local(Wall::from_unix_s(unix_s)).minute;
            assert_eq!((minute(unix_s - 1), minute(unix_s)), (before, after), "{name} {year}");
        }
    }

    #[test]
    fn a_moment_is_found_by_what_the_clock_shows() {
        let seoul = zone_of("Asia/Seoul");
        assert_eq!(seoul.moment(&at(1970, 1, 1, 9, 0)), Some(Wall::from_unix_s(0)));
        assert_eq!(seoul.moment(&at(1970, 1, 1, 8, 59)), None);
        let london = zone_of("Europe/London");
        assert_eq!(london.moment(&at(2023, 3, 26, 1, 30)), None, "skipped");
        let twice = london.moment(&at(2023, 10, 29, 1, 30)).expect("a moment");
        assert_eq!(twice, Wall::from_unix_s(1_698_541_200 - 1800), "the first of two");
        for unix_s in (86_400..4_000_000_000_u64).step_by(1_234_577) {
            let wall = Wall::from_unix_s(unix_s);
            for zone in ["Asia/Kolkata", "America/Denver", "Europe/Zurich"].map(zone_of) {
                let shown = Wall::from_unix_s(zone.shown(unix_s as i64).max(0) as u64).civil();
                let found = zone.moment(&shown).map_or(0, Wall::unix_s);
                assert!(found == unix_s || found + 3600 == unix_s);
                assert_eq!(zone.local(Wall::from_unix_s(found)).minute, zone.local(wall).minute);
            }
        }
    }

    #[test]
    fn unknown_zones() {
        for name in ["", "KST", "Asia/seoul", "+8", "+15:00", "+08:60", "08:00", "+-8:00"] {
            assert_eq!(Zone::from_name(name), None, "{name}");
        }
        assert!(Zone::names().all(|name| Zone::from_name(name).is_some()));
    }
}
