//! A mistake in a file of dialects or of the configuration, and the log that gathers them while it
//! is read.
//!
//! Reading goes on after a mistake, so that a file is put right in one round and not in ten.

use std::cell::OnceCell;
use std::fmt;
use std::ops::Range;

/// One thing wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file as the user named it; `dialects/<name>.toml` for a shipped one.
    pub file: String,
    /// Line, from 1; 0 when the file could not be read at all.
    pub line: usize,
    /// The offending text, at most one line of it.
    pub text: String,
    /// What is wrong, as a lower-case fragment.
    pub reason: String,
}

impl Mistake {
    /// What is wrong and where, without repeating what stands there: it may be a card number.
    pub(in crate::app) fn without_text(&self) -> String {
        match self.line {
            0 => format!("{}: {}", self.file, self.reason),
            line => format!("{}:{line}: {}", self.file, self.reason),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.reason),
            line => write!(f, "{}:{line}: {:?}: {}", self.file, self.text, self.reason),
        }
    }
}

/// Bytes of the file, from and to.
pub(in crate::app) type Span = Range<usize>;

/// The text of one file, and what was found wrong in it.
#[derive(Debug)]
pub(in crate::app) struct Log<'t> {
    file: &'t str,
    text: &'t str,
    lines: Lines,
    mistakes: Vec<Mistake>,
    left_out: usize,
}

impl<'t> Log<'t> {
    /// An empty log over `text`.
    pub(in crate::app) fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text, lines: Lines::default(), mistakes: Vec::new(), left_out: 0 }
    }

    /// Notes what is wrong with the bytes at `span`.
    pub(in crate::app) fn add(&mut self, span: &Span, reason: impl Into<String>) {
        if self.is_full() {
            return self.leave_out(1);
        }
        let offending = self.text.get(span.clone()).unwrap_or_default();
        self.add_at(self.line(span), offending, reason);
    }

    /// Notes that the text cannot be read on from `span`: its whole line is shown, for what ends
    /// too soon has nothing else to show.
    pub(in crate::app) fn add_syntax(&mut self, span: &Span, reason: impl Into<String>) {
        self.add(&whole_line(self.text, span.start), reason);
    }

    /// Notes what is wrong in a line that is known already.
    pub(in crate::app) fn add_at(
        &mut self,
        line: usize,
        offending: &str,
        reason: impl Into<String>,
    ) {
        if self.is_full() {
            return self.leave_out(1);
        }
        let (file, text) = (self.file.to_owned(), shown(offending));
        self.mistakes.push(Mistake { file, line, text, reason: reason.into() });
    }

    /// The line of a span, from 1.
    pub(in crate::app) fn line(&self, span: &Span) -> usize {
        self.lines.of(self.text, span.start)
    }

    /// True if further mistakes are only counted: whoever has many need not look for their lines.
    pub(in crate::app) fn is_full(&self) -> bool {
        self.mistakes.len() >= MISTAKES_MAX
    }

    /// True if there are so many that counting them is of no use.
    pub(in crate::app) fn is_hopeless(&self) -> bool {
        self.left_out >= LEFT_OUT_MAX
    }

    /// Counts further mistakes.
    pub(in crate::app) fn leave_out(&mut self, count: usize) {
        self.left_out += count;
    }

    /// True while nothing is wrong.
    pub(in crate::app) fn is_empty(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// Every mistake once, in the order of the lines; none is good news.
    pub(in crate::app) fn into_mistakes(mut self) -> Vec<Mistake> {
        self.mistakes.sort_by_key(|mistake| mistake.line);
        self.mistakes.dedup();
        if self.left_out > 0 {
            let line = self.mistakes.last().map_or(0, |mistake| mistake.line);
            let end = if self.is_hopeless() { ", which was not read to its end" } else { "" };
            let reason = format!("{} more mistakes in this file{end}", self.left_out);
            let (file, text) = (self.file.to_owned(), String::new());
            self.mistakes.push(Mistake { file, line, text, reason });
        }
        self.mistakes
    }
}

/// Where the lines of a text begin; looked for when somebody asks.
#[derive(Debug, Default)]
struct Lines(OnceCell<Vec<usize>>);

impl Lines {
    /// The line, from 1, that byte `at` of `text` is in: of the same text each time.
    fn of(&self, text: &str, at: usize) -> usize {
        let ends = || text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let ends = self.0.get_or_init(|| ends().map(|(end, _)| end).collect());
        ends.partition_point(|end| *end < at) + 1
    }
}

/// Where that line stands.
pub(in crate::app) fn whole_line(text: &str, at: usize) -> Span {
    let before = text.get(..at).unwrap_or(text);
    let from = before.rfind('\n').map_or(0, |end| end + 1);
    let length = text.get(from..).and_then(|rest| rest.lines().next()).map_or(0, str::len);
    from..from + length
}

/// What a mistake repeats of the offending text.
pub(in crate::app) fn shown(offending: &str) -> String {
    let text = offending.lines().next().unwrap_or_default().chars().take(TEXT_MAX);
    // What moves the cursor of a terminal would tell something else than what stands there.
    text.map(|sign| if sign.is_control() && sign != '\t' { '\u{fffd}' } else { sign }).collect()
}

/// Mistakes of one file that are told one by one. A million lines with a word too many are one
/// mistake of a person.
const MISTAKES_MAX: usize = 100;

/// A mistake in each row of a file of a million.
const LEFT_OUT_MAX: usize = 1_000_000;

/// Characters of the offending text that a message repeats.
const TEXT_MAX: usize = 72;
