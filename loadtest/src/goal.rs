//! What a measurement must reach, what it reached, and whether that is enough.
//!
//! Goals are few and absolute or ratios of figures of the same run; where they come from is said
//! where they stand. A figure that could not be taken (NaN) reaches no goal.

use serde::Serialize;

use crate::failure::Failure;
use crate::report::{grouped, say};

/// One goal, measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Goal {
    pub(crate) goal: String,
    found: f64,
    #[serde(flatten)]
    bound: Bound,
    pub(crate) pass: bool,
}

/// On which side of the figure a goal lies.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Bound {
    Most(f64),
    Least(f64),
}

impl Goal {
    /// `found` must not be above `most`.
    pub(crate) fn at_most(goal: impl Into<String>, found: f64, most: f64) -> Goal {
        Goal { goal: goal.into(), found, bound: Bound::Most(most), pass: found <= most }
    }

    /// `found` must not be below `least`.
    pub(crate) fn at_least(goal: impl Into<String>, found: f64, least: f64) -> Goal {
        Goal { goal: goal.into(), found, bound: Bound::Least(least), pass: found >= least }
    }
}

/// Prints a table of goals, if there are any.
pub(crate) fn print(goals: &[Goal]) {
    if goals.is_empty() {
        return;
    }
    say(&format!("{:<46}{:>12}{:>13}", "goals", "found", "goal"));
    for Goal { goal, found, bound, pass } in goals {
        let bound = match bound {
            Bound::Most(most) => format!("<= {}", figure(*most)),
            Bound::Least(least) => format!(">= {}", figure(*least)),
        };
        let verdict = if *pass { "pass" } else { "MISS" };
        say(&format!("  {goal:<44}{:>12}{bound:>13}    {verdict}", figure(*found)));
    }
}

/// Fails if a goal was missed.
pub(crate) fn judge(goals: &[Goal]) -> Result<(), Failure> {
    let missed: Vec<&str> =
        goals.iter().filter(|goal| !goal.pass).map(|goal| goal.goal.as_str()).collect();
    if missed.is_empty() {
        return Ok(());
    }
    Err(Failure::Threshold(format!("goals missed: {}", missed.join(", "))))
}

/// The middle value, or the mean of the two; NaN of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => (values[even / 2 - 1] + values[even / 2]) / 2.0,
    }
}

/// Ratios with two places, counts with their thousands apart.
fn figure(value: f64) -> String {
    if value >= 1_000.0 { grouped(value.round() as u64) } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn a_goal_is_reached_on_its_side_and_at_its_bound() {
        for (goal, pass) in [
            (Goal::at_most("a", 2.0, 2.0), true),
            (Goal::at_most("a", 2.1, 2.0), false),
            (Goal::at_least("a", 2.0, 2.0), true),
            (Goal::at_least("a", 1.9, 2.0), false),
            (Goal::at_most("a", f64::NAN, 2.0), false),
            (Goal::at_least("a", f64::NAN, 2.0), false),
        ] {
            assert_eq!(goal.pass, pass, "{goal:?}");
            assert_eq!(judge(&[goal]).is_ok(), pass);
        }
    }

    #[test]
    fn figures_are_ratios_or_counts() {
        assert_eq!([1.0, 999.994, 583_000.4].map(figure), ["1.00", "999.99", "583,000"]);
    }
}
