//! What routes and refusals ask of a request beside its network and region: `home`, `mcc`, `group`,
//! `kind`, `asked_by`, and the window: `from`, `until`, `days`, `hours`, `zone`.

use super::names::unknown;
use super::regions::region;
use super::table::{Entry, Table};
use crate::app::dialect_file::{Log, Span};
use crate::base::authorization::Kind;
use crate::base::ids::LinkId;
use crate::base::time::{Civil, Wall};
use crate::base::window::{Days, Hours, Window};
use crate::base::zone::Zone;
use crate::routing::condition::{Condition, Kinds};
use crate::routing::merchants::{GROUPS_MAX, Groups};

/// Names that conditions use: those of merchant groups and of merchant categories.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    groups: Vec<String>,
    categories: Vec<(String, Vec<(u16, u16)>)>,
    /// Acquirers; `None` if nobody knows who they are.
    acquirers: Option<Vec<(String, LinkId)>>,
}

impl Vocabulary {
    /// Reads `groups` and `[categories]`; who asks stands in another file.
    pub(super) fn read(
        root: &mut Table<'_>,
        acquirers: Option<Vec<(String, LinkId)>>,
        log: &mut Log<'_>,
    ) -> Self {
        let mut words = Self { acquirers, ..Self::default() };
        let groups = root.take("groups").map(|entry| entry.items(log)).unwrap_or_default();
        for item in groups {
            let Some(name) = item.text(log) else { continue };
            if name.is_empty() || name.contains(['|', ',', '*', ' ']) {
                log.add(&item.span, "a group's name has no blank and none of | , *");
            } else if words.groups.iter().any(|other| other == name) {
                log.add(&item.span, format!("the group {name:?} is listed twice"));
            } else if words.groups.len() == GROUPS_MAX {
                log.add(&item.span, format!("more than {GROUPS_MAX} groups"));
                break;
            } else {
                words.groups.push(name.to_owned());
            }
        }
        let table = root.take("categories").and_then(|entry| entry.table(log));
        for (name, entry) in table.iter().flat_map(Table::entries) {
            let ranges = entry.one_or_more(log);
            let ranges = words.categories(&ranges, log);
            words.categories.push((name.to_owned(), ranges));
        }
        words
    }

    /// The names of groups, by their numbers.
    pub(super) fn groups(&self) -> &[String] {
        &self.groups
    }

    /// The group of a name, or a sentence on who is known.
    pub(super) fn group(&self, name: &str) -> Result<Groups, String> {
        let place = self.groups.iter().position(|other| other == name);
        let place =
            place.ok_or_else(|| unknown("group", name, self.groups.iter().map(String::as_str)))?;
        Ok(Groups::default().with(place as u8))
    }

    /// Categories in ascending order, each once: names may name names, and each of them twice what
    /// the one before it does.
    pub(super) fn categories(&self, items: &[Entry<'_>], log: &mut Log<'_>) -> Vec<(u16, u16)> {
        let mut named = [false; CATEGORIES];
        for item in items {
            for (first, last) in self.category(item, log) {
                let range = named.get_mut(usize::from(first)..=usize::from(last));
                range.unwrap_or_default().fill(true);
            }
        }
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for number in (0..).zip(named).filter_map(|(number, named)| named.then_some(number)) {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == number => *last = number,
                _ => ranges.push((number, number)),
            }
        }
        ranges
    }

    /// A category, `"3501-3999"`, or a name for several; none after a mistake.
    fn category(&self, item: &Entry<'_>, log: &mut Log<'_>) -> Vec<(u16, u16)> {
        if item.is_number() {
            let number = item.number(1..=9999, log);
            return number.map(|number| (number, number)).into_iter().collect();
        }
        let Some(text) = item.text(log) else { return Vec::new() };
        if let Some((_, ranges)) = self.categories.iter().find(|(name, _)| name == text) {
            return ranges.clone();
        }
        let number = |text: &str| -> Option<u16> {
            let four = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|number| four && *number > 0)
        };
        let range = text.split_once('-').and_then(|(first, last)| number(first).zip(number(last)));
        match range {
            Some((first, last)) if first <= last => return vec![(first, last)],
            Some(_) => log.add(&item.span, "the first category is above the last"),
            None => {
                let known = self.categories.iter().map(|(name, _)| name.as_str());
                log.add(&item.span, unknown("category", text, known));
            }
        }
        Vec::new()
    }

    /// The condition of a route or refusal.
    pub(super) fn condition(&self, table: &mut Table<'_>, log: &mut Log<'_>) -> Condition {
        let homes = texts(table, "home", log, region);
        let mccs = table.take("mcc").map(|entry| entry.one_or_more(log)).unwrap_or_default();
        let mccs = self.categories(&mccs, log);
        let groups = texts(table, "group", log, |name| self.group(name));
        let groups = groups.into_iter().fold(Groups::default(), Groups::and);
        let kinds = texts(table, "kind", log, kind);
        let kinds = kinds.into_iter().fold(Kinds::default(), Kinds::with);
        let window = window(table, log);
        let asked_by = texts(table, "asked_by", log, |name| self.acquirer(name));
        let asked_by = asked_by.into_iter().flatten().collect();
        Condition { homes, mccs, groups, kinds, window, asked_by }
    }

    /// The link of an acquirer, if it is known who there is.
    fn acquirer(&self, name: &str) -> Result<Option<LinkId>, String> {
        let Some(acquirers) = &self.acquirers else { return Ok(None) };
        let found = acquirers.iter().find(|(other, _)| other == name);
        let names = || unknown("acquirer", name, acquirers.iter().map(|(name, _)| name.as_str()));
        found.map(|(_, link)| Some(*link)).ok_or_else(names)
    }
}

/// The values of an optional key that is one text or a list of them.
pub(super) fn texts<T>(
    table: &mut Table<'_>,
    key: &'static str,
    log: &mut Log<'_>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let Some(entry) = table.take(key) else { return Vec::new() };
    let items = entry.one_or_more(log);
    if items.is_empty() {
        log.add(&entry.span, format!("empty; without {key} it is any"));
    }
    let mut values = Vec::new();
    for item in items {
        match item.text(log).map(&read) {
            Some(Ok(value)) => values.push(value),
            Some(Err(reason)) => log.add(&item.span, reason),
            None => {}
        }
    }
    values
}

/// The kind of a name.
pub(super) fn kind(name: &str) -> Result<Kind, String> {
    let known = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    known.ok_or_else(|| unknown("kind", name, Kind::ALL.map(Kind::name)))
}

/// The moment of a key that may be there, with its place: a date of UTC, if no distance from it is
/// said.
pub(super) fn moment_at(
    key: &'static str,
    table: &mut Table<'_>,
    log: &mut Log<'_>,
) -> Option<(Span, Wall)> {
    table.take(key).and_then(|entry| moment_in(&entry, log))
}

/// The same of an entry.
pub(super) fn moment_in(entry: &Entry<'_>, log: &mut Log<'_>) -> Option<(Span, Wall)> {
    let text = entry.moment(log)?;
    let moment = moment(&text, Some(Zone::UTC));
    Some((entry.span.clone(), moment.map_err(|reason| log.add(&entry.span, reason)).ok()?))
}

/// `until` alone: a date of UTC, if no distance from it is said.
pub(super) fn until(table: &mut Table<'_>, log: &mut Log<'_>) -> Option<Wall> {
    moment_at("until", table, log).map(|(_, until)| until)
}

/// The window of a table, if it has one: `from`, `until`, `days`, `hours`, `zone`.
pub(super) fn window(table: &mut Table<'_>, log: &mut Log<'_>) -> Option<Window> {
    let zone = table.take("zone");
    let zone = zone.and_then(|entry| {
        let name = entry.text(log)?;
        let zone = Zone::from_name(name);
        if zone.is_none() {
            let known = unknown("zone", name, Zone::names());
            log.add(&entry.span, format!("{known}; a distance from UTC is like \"+08:00\""));
        }
        Some(zone)
    });
    // A zone that was not understood is no second mistake wherever it would be used.
    let known = zone.map(Option::unwrap_or_default);
    let moment = |key, table: &mut Table<'_>, log: &mut Log<'_>| {
        let entry = table.take(key)?;
        let text = entry.moment(log)?;
        moment(&text, known).map_err(|reason| log.add(&entry.span, reason)).ok()
    };
    let (from, until) = (moment("from", table, log), moment("until", table, log));
    let days = table.take("days").map(|entry| (entry.span.clone(), entry.one_or_more(log)));
    let hours = table.take("hours").map(|entry| (entry.span.clone(), entry.one_or_more(log)));
    for (span, _) in days.iter().chain(&hours) {
        if known.is_none() {
            log.add(span, NO_ZONE);
        }
    }
    let mut window = Window { from, until, zone: known.unwrap_or_default(), ..Window::default() };
    for item in days.iter().flat_map(|(_, items)| items) {
        let Some(name) = item.text(log) else { continue };
        match DAYS.iter().position(|day| *day == name) {
            Some(day) => window.days = window.days.with(day as u8),
            None => log.add(&item.span, unknown("day", name, DAYS)),
        }
    }
    for item in hours.iter().flat_map(|(_, items)| items) {
        let Some(text) = item.text(log) else { continue };
        match hours_of(text) {
            Some(hours) => window.hours.push(hours),
            None => log.add(&item.span, "expected hours like \"09:00-18:30\" or \"22:00-02:00\""),
        }
    }
    let says = from.is_some() || until.is_some() || !window.hours.is_empty();
    (says || window.days != Days::default()).then_some(window)
}

/// A moment with its distance from UTC: `2023-09-30T12:00:00+08:00`.
///
/// # Errors
///
/// What is wrong with it.
pub fn moment_of(text: &str) -> Result<Wall, String> {
    moment(text, None)
}

/// `2023-09-23`, `2023-09-23T10:00` or `2023-09-23T10:00:00`, by the clock of the zone, or with a
/// distance from UTC behind it.
fn moment(text: &str, zone: Option<Zone>) -> Result<Wall, String> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let offset = time.find(['+', '-', 'Z']).map(|at| time.split_at(at));
    let (time, zone) = match offset {
        Some((time, "Z")) => (time, Some(Zone::UTC)),
        Some((time, offset)) => (time, Some(Zone::from_name(offset).ok_or_else(no_date)?)),
        None => (time, zone),
    };
    let civil = civil(date, time).filter(|civil| civil.unix_s().is_some()).ok_or_else(no_date)?;
    let zone = zone.ok_or_else(|| NO_ZONE.to_owned())?;
    zone.moment(&civil).ok_or_else(|| "no clock of that zone ever shows this".to_owned())
}

fn civil(date: &str, time: &str) -> Option<Civil> {
    let number = |text: &str, digits: usize| -> Option<u32> {
        let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| fits)
    };
    let mut date = date.split('-');
    let (year, month, day) = (date.next()?, date.next()?, date.next()?);
    let mut time = time.split(':');
    let (hour, minute, second) = (time.next()?, time.next()?, time.next().unwrap_or("00"));
    if date.next().is_some() || time.next().is_some() {
        return None;
    }
    let two = |text: &str| number(text, 2).map(|number| number as u8);
    let (year, month, day) = (number(year, 4)?, two(month)?, two(day)?);
    Some(Civil { year, month, day, hour: two(hour)?, minute: two(minute)?, second: two(second)? })
}

/// `09:00-18:30`; the end may be `24:00`, or lie before the beginning for hours over midnight.
fn hours_of(text: &str) -> Option<Hours> {
    let minute = |text: &str| -> Option<u16> {
        let (hour, minute) = text.split_once(':')?;
        let part = |text: &str| -> Option<u16> {
            let two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| two)
        };
        let (hour, minute) = (part(hour)?, part(minute)?);
        (minute < 60).then_some(hour * 60 + minute)
    };
    let (from, until) = text.split_once('-')?;
    let (from, until) = (minute(from)?, minute(until)?);
    (from < 1440 && (1..=1440).contains(&until) && from != until).then_some(Hours { from, until })
}

fn no_date() -> String {
    "expected a date, like 2023-09-23, 2023-09-23T10:00:00 or 2023-09-23T10:00:00+08:00".to_owned()
}

/// Numbers of four digits.
const CATEGORIES: usize = 10_000;

const NO_ZONE: &str = "needs a zone, like zone = \"Asia/Seoul\"";

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let shanghai = Zone::from_name("Asia/Shanghai");
        let midnight = Ok(Wall::from_unix_s(1_696_780_800));
        for (text, zone) in [
            ("2023-10-09", shanghai),
            ("2023-10-09T00:00", shanghai),
            ("2023-10-09 00:00:00", shanghai),
            ("2023-10-09T00:00:00+08:00", None),
            ("2023-10-08T16:00:00Z", None),
            ("2023-10-08T13:00:00-03:00", shanghai),
        ] {
            assert_eq!(moment(text, zone), midnight, "{text}");
        }
        for wrong in ["", "2023", "2023-02-29", "2023-10-09T24:00", "23-10-09", "2023-10-09T0:00"] {
            assert_eq!(moment(wrong, shanghai), Err(no_date()), "{wrong}");
        }
        for wrong in ["2023-10-09T00:00:00.5Z", "2023-10-09T00:00:00+8", "2023-10-09-01"] {
            assert_eq!(moment(wrong, shanghai), Err(no_date()), "{wrong}");
        }
        assert_eq!(moment("2023-10-09", None), Err(NO_ZONE.to_owned()));
        let skipped = moment("2023-03-26T01:30", Zone::from_name("Europe/London"));
        assert!(skipped.is_err_and(|reason| reason.starts_with("no clock")));
    }

    #[test]
    fn hours() {
        assert_eq!(hours_of("09:00-18:30"), Some(Hours { from: 540, until: 1110 }));
        assert_eq!(hours_of("22:00-02:00"), Some(Hours { from: 1320, until: 120 }));
        assert_eq!(hours_of("00:00-24:00"), Some(Hours { from: 0, until: 1440 }));
        for wrong in ["", "9-18", "09:00", "09:00-09:00", "24:00-02:00", "09:60-10:00", "a:b-c:d"] {
            assert_eq!(hours_of(wrong), None, "{wrong}");
        }
        assert_eq!(hours_of("09:00-24:01"), None);
    }
}
