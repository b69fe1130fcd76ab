//! Moments relative to the start of a scenario, so that windows open and close while it is played.
//!
//! `{now+2s}` in a file stands for the time of day two seconds after the scenario's zero, and
//! `at = "2s"` in a step for the same moment on the player's clock. Zero is the next whole second
//! after the configuration was written: the switch reads windows to the second. Real time passes;
//! nobody's clock is turned.

use std::time::Duration;

use crate::clock::{Moment, NS_PER_S, now_ns, wall_ns};

/// When a scenario began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Zero {
    /// By the wall clock, in seconds since 1970.
    wall_s: u64,
    /// By the monotonic clock.
    ns: u64,
}

impl Zero {
    /// The next whole second.
    pub(crate) fn next() -> Zero {
        let (wall, now) = (wall_ns(), now_ns());
        let wall_s = wall / NS_PER_S + 1;
        Zero { wall_s, ns: now + wall_s * NS_PER_S - wall }
    }

    /// The moment that is this far from zero, by the monotonic clock.
    pub(crate) fn after(self, time: Duration) -> u64 {
        self.ns + time.as_nanos() as u64
    }

    /// `text` with its moments filled in, or what cannot be understood.
    pub(crate) fn fill(self, text: &str) -> Result<String, String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("{now") {
            let Some((said, after)) = behind.split_once('}') else {
                return Err("{now without }".to_owned());
            };
            filled.push_str(before);
            let wrong = || {
                format!(
                    "{{now{said}}} is no moment: write {{now+2s}}, {{now-1h}}, {{now+2s@+08:00}}"
                )
            };
            filled.push_str(&self.written(said).ok_or_else(wrong)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// `+2s` in UTC, `+2s@+08:00` by the clock of a zone.
    fn written(self, said: &str) -> Option<String> {
        let (distance, zone) = said.split_once('@').unwrap_or((said, "Z"));
        let wall_s = self.wall_s.checked_add_signed(seconds(distance)?)?;
        let shift = match zone {
            "Z" => 0,
            _ => {
                let (hours, minutes) = zone.split_once(':')?;
                let sign = if hours.starts_with('-') { -60 } else { 60 };
                hours.parse::<i64>().ok()? * 3_600 + minutes.parse::<i64>().ok()? * sign
            }
        };
        let moment = Moment::of(wall_s.checked_add_signed(shift)?);
        let Moment { year, month, day, hour, minute, second } = moment;
        let mark = if zone == "Z" { "Z" } else { "" };
        Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{mark}"))
    }
}

fn seconds(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    if !number.starts_with(['+', '-']) {
        return None;
    }
    number.parse::<i64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_clocks_show_them() {
        let zero = Zero { wall_s: 1_709_251_198, ns: 0 };
        let fill = |text: &str| zero.fill(text).unwrap();
        assert_eq!(fill("from = {now}, x"), "from = 2024-02-29T23:59:58Z, x");
        assert_eq!(fill("{now+2s} {now-1d}"), "2024-03-01T00:00:00Z 2024-02-28T23:59:58Z");
        assert_eq!(fill("{now+2s@+08:00}"), "2024-03-01T08:00:00");
        assert_eq!(fill("{now+2s@-05:30}"), "2024-02-29T18:30:00");
        for wrong in ["{now 2s}", "{now+2}", "{now", "{now+2s@Seoul}", "{now+xs}"] {
            assert!(zero.fill(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn zero_is_a_whole_second_on_both_clocks() {
        let zero = Zero::next();
        let off_ns = (zero.wall_s * NS_PER_S).abs_diff(wall_ns() + zero.ns - now_ns());
        assert!(off_ns < 100_000_000, "{off_ns}");
        assert_eq!(zero.after(Duration::from_secs(2)), zero.ns + 2 * NS_PER_S);
    }
}
