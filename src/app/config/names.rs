//! Names that nobody knows, and what was probably meant.

use crate::app::dialect_file;

/// A sentence on `name`, which is none of `known`: the nearest one, or all of them.
pub(super) fn unknown<'k>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let near = |other: &&&str| name.len().abs_diff(other.len()) <= LENGTHS_MAX;
    let nearest = known.iter().filter(near).map(|other| (distance(name, other), *other)).min();
    let name = dialect_file::shown(name);
    match nearest {
        _ if known.is_empty() => format!("unknown {what} {name:?}, none is defined"),
        Some((steps, other)) if steps <= STEPS_MAX && steps < other.len() => {
            format!("unknown {what} {name:?}, did you mean {other:?}?")
        }
        _ if known.len() <= LIST_MAX => {
            format!("unknown {what} {name:?}, expected one of {}", known.join(", "))
        }
        _ => format!("unknown {what} {name:?}, none of the {} is like it", known.len()),
    }
}

/// Insertions, deletions and exchanges of one character that lead from one name to the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, left) in one.to_lowercase().chars().enumerate() {
        let mut next = vec![line + 1];
        for ((right, above), pair) in other.iter().zip(row.iter().skip(1)).zip(row.windows(2)) {
            let kept = pair.first().unwrap_or(above) + usize::from(left != *right);
            let beside = next.last().map_or(0, |beside| beside + 1);
            next.push(kept.min(above + 1).min(beside));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// Names farther away than this are no likely slip of the hand.
const STEPS_MAX: usize = 2;

/// Names whose lengths in bytes differ by more are farther away, whatever stands in them.
const LENGTHS_MAX: usize = 3 * STEPS_MAX;

/// A longer list helps nobody.
const LIST_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered() {
        let known = ["kakaopay", "naverpay"];
        let said = unknown("partner", "kakopay", known);
        assert_eq!(said, r#"unknown partner "kakopay", did you mean "kakaopay"?"#);
        let said = unknown("partner", "visa", known);
        assert_eq!(said, r#"unknown partner "visa", expected one of kakaopay, naverpay"#);
        assert_eq!(unknown("partner", "x", []), r#"unknown partner "x", none is defined"#);
    }

    #[test]
    fn distances() {
        for (one, other, steps) in
            [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("KAKAO", "kakao", 0)]
        {
            assert_eq!(distance(one, other), steps, "{one} {other}");
        }
    }
}
