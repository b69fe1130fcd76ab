//! One row in two formats: CSV (RFC 4180, lines end with a line feed) and lines of JSON.
//!
//! Cells are written in the order of the columns and not again; what has no value is empty in CSV
//! and absent in JSON.

use std::io::Write;

use crate::base::time::Wall;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::app) enum Format {
    /// Comma-separated values, with a line of names
    Csv,
    /// One JSON object per line
    Ndjson,
}

/// The columns, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::app) enum Column {
    Segment,
    Offset,
    Worker,
    WrittenAt,
    Record,
    Id,
    What,
    ActedAt,
    Acquirer,
    Partner,
    Mti,
    Stan,
    AmountMinor,
    Currency,
    Pan,
    Card,
    Terminal,
    Merchant,
    Rrn,
    Code,
    Approval,
    By,
    Reason,
}

/// Their names.
pub(super) const NAMES: [&str; Column::Reason as usize + 1] = [
    "segment",
    "offset",
    "worker",
    "written_at",
    "record",
    "id",
    "what",
    "at",
    "acquirer",
    "partner",
    "mti",
    "stan",
    "amount_minor",
    "currency",
    "pan",
    "card",
    "terminal",
    "merchant",
    "rrn",
    "code",
    "approval",
    "by",
    "reason",
];

/// A row that is being written.
#[derive(Debug)]
pub(in crate::app) struct Row {
    format: Format,
    line: Vec<u8>,
    /// Columns that are behind us.
    passed: usize,
    /// The last moment and its text: records of one second come in a row.
    moment: (Wall, String),
}

impl Row {
    pub(super) fn new(format: Format) -> Self {
        let moment = (Wall::default(), Wall::default().to_string());
        Self { format, line: Vec::new(), passed: 0, moment }
    }

    pub(super) fn head(&mut self) -> &[u8] {
        self.line.clear();
        if self.format == Format::Csv {
            self.line.extend_from_slice(NAMES.join(",").as_bytes());
            self.line.push(b'\n');
        }
        &self.line
    }

    pub(super) fn begin(&mut self) {
        self.line.clear();
        self.passed = 0;
        if self.format == Format::Ndjson {
            self.line.push(b'{');
        }
    }

    /// The line, with its end.
    pub(super) fn end(&mut self) -> &[u8] {
        match self.format {
            Format::Csv => {
                self.line.resize(self.line.len() + NAMES.len() - self.passed.max(1), b',');
            }
            Format::Ndjson => self.line.push(b'}'),
        }
        self.line.push(b'\n');
        &self.line
    }

    /// Whatever is needed in front of the value of `column`.
    fn cell(&mut self, column: Column) {
        let place = column as usize;
        debug_assert!(self.passed <= place, "cells are written in order");
        match self.format {
            Format::Csv => {
                let commas = place - self.passed + usize::from(self.passed > 0);
                self.line.resize(self.line.len() + commas, b',');
            }
            Format::Ndjson => {
                if self.passed > 0 {
                    self.line.push(b',');
                }
                self.line.push(b'"');
                self.line.extend_from_slice(NAMES[place].as_bytes());
                self.line.extend_from_slice(b"\":");
            }
        }
        self.passed = place + 1;
    }

    /// A number that can be counted with.
    pub(super) fn number(&mut self, column: Column, value: u64) {
        self.cell(column);
        write!(self.line, "{value}").expect("a vector takes what is written");
    }

    /// A number that is a name: text in JSON, whose readers round long numbers.
    pub(super) fn digits(&mut self, column: Column, value: u64) {
        self.cell(column);
        self.quote(self.format == Format::Ndjson);
        let width = if column == Column::Stan { 6 } else { 0 };
        write!(self.line, "{value:0width$}").expect("a vector takes what is written");
        self.quote(self.format == Format::Ndjson);
    }

    /// Sixteen hexadecimal digits.
    pub(super) fn token(&mut self, column: Column, value: u64) {
        self.cell(column);
        self.quote(self.format == Format::Ndjson);
        write!(self.line, "{value:016x}").expect("a vector takes what is written");
        self.quote(self.format == Format::Ndjson);
    }

    /// A word of ours: letters, blanks and dashes.
    pub(super) fn word(&mut self, column: Column, word: &str) {
        self.cell(column);
        self.quote(self.format == Format::Ndjson);
        self.line.extend_from_slice(word.as_bytes());
        self.quote(self.format == Format::Ndjson);
    }

    /// A moment in UTC, to the second (RFC 3339).
    pub(super) fn moment(&mut self, column: Column, at: Wall) {
        if self.moment.0 != at {
            self.moment = (at, at.to_string());
        }
        self.cell(column);
        self.quote(self.format == Format::Ndjson);
        self.line.extend_from_slice(self.moment.1.as_bytes());
        self.quote(self.format == Format::Ndjson);
    }

    /// Text of others, blanks at its ends taken off; nothing if nothing is left.
    pub(super) fn text(&mut self, column: Column, text: &[u8]) {
        let text = String::from_utf8_lossy(text.trim_ascii());
        if text.is_empty() {
            return;
        }
        self.cell(column);
        match self.format {
            Format::Csv => {
                let is_plain = !text.contains([',', '"', '\r', '\n']);
                self.quote(!is_plain);
                if is_plain {
                    self.line.extend_from_slice(text.as_bytes());
                } else {
                    self.line.extend_from_slice(text.replace('"', "\"\"").as_bytes());
                }
                self.quote(!is_plain);
            }
            Format::Ndjson => {
                serde_json::to_writer(&mut self.line, &text).expect("text is JSON");
            }
        }
    }

    fn quote(&mut self, is_quoted: bool) {
        if is_quoted {
            self.line.push(b'"');
        }
    }
}

/// The moment that a date (its first second) or a date and time in UTC names.
pub(in crate::app) fn moment(text: &str) -> Option<Wall> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, time.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let numbers = |text: &str, between: char| -> Option<[u64; 3]> {
        let digits = |part: &str| part.bytes().all(|digit| digit.is_ascii_digit());
        let mut parts = text.split(between).map(|part| part.parse().ok().filter(|_| digits(part)));
        let three = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then_some(three)
    };
    let ([year, month, day], [hour, minute, second]) = (numbers(date, '-')?, numbers(time, ':')?);
    let years = year.checked_sub(1970).filter(|years| *years < 1000)?;
    let of_day = hour * 3600 + minute * 60 + second;
    // The calendar is asked until it shows that day: it is not far from where the year begins.
    let first = years * 365 + years / 4;
    let days = (first.saturating_sub(30)..first + 400).find(|days| {
        let civil = Wall::from_unix_s(days * 86_400).civil();
        (u64::from(civil.year), u64::from(civil.month), u64::from(civil.day)) == (year, month, day)
    })?;
    (hour < 24 && minute < 60 && second < 60).then(|| Wall::from_unix_s(days * 86_400 + of_day))
}
