//! What is printed: a line a scenario, what it shows, and its steps where they are asked for or
//! something is amiss. No line is wider than 80 columns.

use std::time::Duration;

use super::play::Played;
use super::scenario::Scenario;
use crate::failure::Failure;

/// The head of the table.
pub(crate) fn head() {
    println!("row  {:<57} {:<7} {:>8}", "scenario, and what it shows", "result", "time");
}

/// One scenario; true if all was as expected.
pub(crate) fn scenario(
    scenario: &Scenario,
    played: &Result<Vec<Played>, Failure>,
    took: Duration,
    steps: bool,
) -> bool {
    let passed = played.as_ref().is_ok_and(|steps| steps.iter().all(|it| it.misses.is_empty()));
    let row = if scenario.row == 0 { "-".to_owned() } else { scenario.row.to_string() };
    let title: String = scenario.title.chars().take(57).collect();
    let result = if passed { "passed" } else { "MISSED" };
    println!("{row:>3}  {title:<57} {result:<7} {:>8}", seconds(took));
    wrapped("     ", &scenario.shows);
    match played {
        Err(failure) => wrapped("     ! ", &failure.to_string()),
        Ok(played) => played.iter().for_each(|it| step(it, steps)),
    }
    passed
}

fn step(played: &Played, steps: bool) {
    let missed = !played.misses.is_empty();
    if !steps && !missed {
        return;
    }
    let mark = if missed { "!" } else { "-" };
    let what: String = played.what.chars().take(55).collect();
    let result = if missed { "MISSED" } else { "ok" };
    println!("     {mark} {what:<55} {result:<7} {:>8}", seconds(played.took));
    for miss in &played.misses {
        wrapped("         ", &format!("line {}: {miss}", played.line));
    }
}

/// The last line.
pub(crate) fn foot(scenarios: usize, missed: usize, took: Duration) {
    let passed = scenarios - missed;
    println!("{passed} of {scenarios} scenarios passed in {}", seconds(took));
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Words in lines of at most 80 columns; a word that is longer has a line of its own.
fn wrapped(indent: &str, text: &str) {
    lines(80 - indent.len(), text).iter().for_each(|line| println!("{indent}{line}"));
}

fn lines(columns: usize, text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > 0 && last + 1 + word.chars().count() > columns {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(lines(9, "one two three"), ["one two", "three"]);
        assert_eq!(lines(3, "longer it"), ["longer", "it"]);
    }
}
