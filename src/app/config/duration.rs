//! Durations in files: `"250us"`, `"1500ms"`, `"3s"`, `"15min"`, `"1h"`.

use std::time::Duration;

/// A duration from a whole number and a unit; `None` if it is anything else.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let (_, us) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_micros(number.checked_mul(*us)?))
}

/// A duration as it would be written in a file, in the longest unit that is exact.
pub fn written(duration: Duration) -> String {
    let us = duration.as_micros();
    let exact = UNITS.iter().rev().find(|(_, unit)| us.is_multiple_of(u128::from(*unit)));
    match exact {
        Some((name, unit)) if us > 0 => format!("{}{name}", us / u128::from(*unit)),
        _ => "0s".to_owned(),
    }
}

/// Units with their microseconds, shortest first.
const UNITS: [(&str, u64); 5] =
    [("us", 1), ("ms", 1_000), ("s", 1_000_000), ("min", 60_000_000), ("h", 3_600_000_000)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, us) in [
            ("0s", 0),
            ("250us", 250),
            ("1500ms", 1_500_000),
            ("15min", 900_000_000),
            ("2h", 7_200_000_000),
        ] {
            let duration = duration(text).expect("a duration");
            assert_eq!(duration, Duration::from_micros(us));
            assert_eq!(written(duration), text);
        }
        assert_eq!(written(Duration::from_millis(3000)), "3s");
        for text in ["", "3", "s", "1.5s", "-1s", "3 s", "99999999999999999999s", "3d"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
