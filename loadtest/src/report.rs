//! What every measurement shows: a progress bar while it lasts, lines, a JSON file.
//!
//! Tables are for a person at 80 columns, JSON for everything else. Output that cannot be written
//! (a closed pipe) is not an error of the test.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::failure::Failure;

/// A progress bar on standard error, if that is a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar that fills with the time of the run.
    pub(crate) fn of_time(total: Duration) -> Progress {
        Progress::new(total.as_millis() as u64, "{wide_bar} {percent:>3}%  {msg}")
    }

    /// A bar that fills with the number of measurements done.
    pub(crate) fn of_steps(steps: usize) -> Progress {
        Progress::new(steps as u64, "{wide_bar} {pos}/{len}  {msg}")
    }

    fn new(length: u64, template: &str) -> Progress {
        // The bar's own target is standard error, hidden unless that is a terminal.
        let bar = ProgressBar::new(length);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar }
    }

    /// Follows a run.
    pub(crate) fn show(&mut self, elapsed: Duration, answered: u64) {
        self.bar.set_position(elapsed.as_millis() as u64);
        self.bar.set_message(format!("{} answered", grouped(answered)));
    }

    /// Names the measurement that begins.
    pub(crate) fn step(&mut self, name: String) {
        self.bar.set_message(name);
    }

    /// Counts a measurement as done.
    pub(crate) fn advance(&mut self) {
        self.bar.inc(1);
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Writes a report to a file.
pub(crate) fn write_json(path: &Path, report: &impl Serialize) -> Result<(), Failure> {
    let attempt = format!("write {}", path.display());
    let text =
        serde_json::to_string_pretty(report).map_err(|error| Failure::of(&attempt, error))?;
    write_text(path, &(text + "\n"))
}

/// Writes a file.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), Failure> {
    let attempt = format!("write {}", path.display());
    std::fs::write(path, text).map_err(|error| Failure::of(&attempt, error))
}

/// Prints one line.
pub(crate) fn say(line: &str) {
    // A reader that closed the pipe has seen enough.
    let _ = writeln!(io::stdout(), "{line}");
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }
}
