//! Gathers the mistakes of one file while it is read.

use std::ops::Range;

use super::Mistake;

/// Bytes of the file, from and to.
pub(super) type Span = Range<usize>;

/// The text of one file, and what was found wrong in it.
#[derive(Debug)]
pub(super) struct Log<'t> {
    file: &'t str,
    text: &'t str,
    mistakes: Vec<Mistake>,
    left_out: usize,
}

impl<'t> Log<'t> {
    /// An empty log over `text`.
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text, mistakes: Vec::new(), left_out: 0 }
    }

    /// Notes what is wrong with the bytes at `span`.
    pub(super) fn add(&mut self, span: &Span, reason: impl Into<String>) {
        let offending = self.text.get(span.clone()).unwrap_or_default();
        self.add_at(self.line(span), offending, reason);
    }

    /// Notes that the text cannot be read on from `span`: its whole line is shown, for what ends
    /// too soon has nothing else to show.
    pub(super) fn add_syntax(&mut self, span: &Span, reason: impl Into<String>) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let from = before.rfind('\n').map_or(0, |end| end + 1);
        let length = self.text.get(from..).and_then(|rest| rest.lines().next()).map_or(0, str::len);
        self.add(&(from..from + length), reason);
    }

    /// Notes what is wrong in a line that is known already.
    pub(super) fn add_at(&mut self, line: usize, offending: &str, reason: impl Into<String>) {
        if self.mistakes.len() >= MISTAKES_MAX {
            self.left_out += 1;
            return;
        }
        let text = offending.lines().next().unwrap_or_default().chars().take(TEXT_MAX).collect();
        let file = self.file.to_owned();
        self.mistakes.push(Mistake { file, line, text, reason: reason.into() });
    }

    /// The line of a span, from 1.
    pub(super) fn line(&self, span: &Span) -> usize {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        before.matches('\n').count() + 1
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
            let reason = format!("{} more mistakes in this file", self.left_out);
            mistakes.push(Mistake { file, line: last, text, reason });
        }
    }
}

/// Characters of the offending text that a mistake repeats.
const TEXT_MAX: usize = 72;

/// Mistakes of one file that are told one by one. A million merchants with a column too many are
/// one mistake of a person.
const MISTAKES_MAX: usize = 100;
