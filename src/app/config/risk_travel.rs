//! `travel` of a rule: how long the shortest journey between two regions takes.

use std::time::Duration;

use super::regions::region;
use super::table::Entry;
use crate::app::dialect_file::Log;
use crate::base::ids::Region;
use crate::risk::key::Key;
use crate::risk::travel::Travel;

/// The table of journeys: `any`, and pairs of regions like `CN-HK`.
pub(super) fn read(
    entry: &Entry<'_>,
    key: Key,
    attempts: bool,
    log: &mut Log<'_>,
) -> Option<Travel> {
    let table = entry.table(log)?;
    let mut travel = Travel { key, usual: USUAL, between: Vec::new(), attempts };
    for (name, entry) in table.entries() {
        let pair = if name == "any" { Ok(None) } else { pair(name).map(Some) };
        let time = entry.duration(Duration::ZERO..=LONGEST, log);
        match (pair, time) {
            (Err(reason), _) => log.add(&entry.span, reason),
            (_, None) => {}
            (Ok(None), Some(time)) => travel.usual = time,
            (Ok(Some((one, other))), Some(time)) => {
                let is_known = |(a, b, _): &(Region, Region, Duration)| {
                    [(one, other), (other, one)].contains(&(*a, *b))
                };
                if travel.between.iter().any(is_known) {
                    log.add(&entry.span, format!("{name} is there the other way round already"));
                }
                travel.between.push((one, other, time));
            }
        }
    }
    if travel.longest().is_zero() {
        log.add(&entry.span, "every journey takes no time: it never speaks");
    }
    Some(travel)
}

fn pair(name: &str) -> Result<(Region, Region), String> {
    match name.split_once('-') {
        Some((one, other)) if one == other => Err(format!("{name:?} is no journey")),
        Some((one, other)) => Ok((region(one)?, region(other)?)),
        None => Err(format!("{name:?}: expected any, or two regions like CN-HK")),
    }
}

/// The shortest journey, if it is not said: a short flight and the way to it.
const USUAL: Duration = Duration::from_secs(2 * 3600);

const LONGEST: Duration = Duration::from_secs(48 * 3600);
