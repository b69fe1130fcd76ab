//! A mistake in a dialect file, and the log that gathers them while a file is read.
//!
//! Reading goes on after a mistake, so that a file is put right in one round and not in ten.

use std::cell::OnceCell;
use std::fmt;
use std::ops::Range;

/// One thing wrong in a dialect file.
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
        if self.mistakes.len() >= MISTAKES_MAX {
            self.left_out += 1;
            return;
        }
        let line = self.lines.of(self.text, span.start);
        let text = shown(self.text.get(span.clone()).unwrap_or_default());
        let file = self.file.to_owned();
        self.mistakes.push(Mistake { file, line, text, reason: reason.into() });
    }

    /// Notes that the text cannot be read on from `span`: its whole line is shown, for what ends
    /// too soon has nothing else to show.
    pub(super) fn add_syntax(&mut self, span: &Span, reason: impl Into<String>) {
        self.add(&whole_line(self.text, span.start), reason);
    }

    /// Every mistake once, in the order of the lines; none is good news.
    pub(super) fn into_mistakes(mut self) -> Vec<Mistake> {
        self.mistakes.sort_by_key(|mistake| mistake.line);
        self.mistakes.dedup();
        if self.left_out > 0 {
            let line = self.mistakes.last().map_or(0, |mistake| mistake.line);
            let reason = format!("{} more mistakes in this file", self.left_out);
            let (file, text) = (self.file.to_owned(), String::new());
            self.mistakes.push(Mistake { file, line, text, reason });
        }
        self.mistakes
    }
}

/// Where the lines of a text begin; looked for when somebody asks.
#[derive(Debug, Default)]
pub(in crate::app) struct Lines(OnceCell<Vec<usize>>);

impl Lines {
    /// The line, from 1, that byte `at` of `text` is in: of the same text each time.
    pub(in crate::app) fn of(&self, text: &str, at: usize) -> usize {
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
pub(in crate::app) const MISTAKES_MAX: usize = 100;

/// Characters of the offending text that a message repeats.
const TEXT_MAX: usize = 72;
