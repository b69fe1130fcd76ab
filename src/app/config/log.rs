//! Gathers the mistakes of one file while it is read.

pub(super) use crate::app::dialect_file::Span;
use crate::app::dialect_file::{self, Lines, MISTAKES_MAX};

use super::Mistake;

/// The text of one file, and what was found wrong in it.
#[derive(Debug)]
pub(super) struct Log<'t> {
    file: &'t str,
    text: &'t str,
    lines: Lines,
    mistakes: Vec<Mistake>,
    left_out: usize,
}

impl<'t> Log<'t> {
    /// An empty log over `text`.
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text, lines: Lines::default(), mistakes: Vec::new(), left_out: 0 }
    }

    /// Notes what is wrong with the bytes at `span`.
    pub(super) fn add(&mut self, span: &Span, reason: impl Into<String>) {
        if self.is_full() {
            return self.leave_out(1);
        }
        let offending = self.text.get(span.clone()).unwrap_or_default();
        self.add_at(self.line(span), offending, reason);
    }

    /// Notes that the text cannot be read on from `span`: its whole line is shown, for what ends
    /// too soon has nothing else to show.
    pub(super) fn add_syntax(&mut self, span: &Span, reason: impl Into<String>) {
        self.add(&dialect_file::whole_line(self.text, span.start), reason);
    }

    /// Notes what is wrong in a line that is known already.
    pub(super) fn add_at(&mut self, line: usize, offending: &str, reason: impl Into<String>) {
        if self.is_full() {
            return self.leave_out(1);
        }
        let text = dialect_file::shown(offending);
        let file = self.file.to_owned();
        self.mistakes.push(Mistake { file, line, text, reason: reason.into() });
    }

    /// The line of a span, from 1.
    pub(super) fn line(&self, span: &Span) -> usize {
        self.lines.of(self.text, span.start)
    }

    /// True if further mistakes are only counted: whoever has many need not look for their lines.
    pub(super) fn is_full(&self) -> bool {
        self.mistakes.len() >= MISTAKES_MAX
    }

    /// True if there are so many that counting them is of no use.
    pub(super) fn is_hopeless(&self) -> bool {
        self.left_out >= LEFT_OUT_MAX
    }

    /// Counts further mistakes.
    pub(super) fn leave_out(&mut self, count: usize) {
        self.left_out += count;
    }

    /// True while nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// Hands over every mistake once, in the order of the lines.
    pub(super) fn finish(mut self, mistakes: &mut Vec<Mistake>) {
        self.mistakes.sort_by_key(|mistake| mistake.line);
        self.mistakes.dedup();
        let last = self.mistakes.last().map_or(0, |mistake| mistake.line);
        mistakes.append(&mut self.mistakes);
        if self.left_out > 0 {
            let (file, text) = (self.file.to_owned(), String::new());
            let end = if self.is_hopeless() { ", which was not read to its end" } else { "" };
            let reason = format!("{} more mistakes in this file{end}", self.left_out);
            mistakes.push(Mistake { file, line: last, text, reason });
        }
    }
}

/// A mistake in each row of a file of a million.
const LEFT_OUT_MAX: usize = 1_000_000;
