//! How many different reversals came, told as they come.
//!
//! Who measures a drain wants to know when the last of so many arrived. A reversal is known by
//! DE 41 and DE 90; its copies count once. Without delays an answer leaves with the batch its
//! request came in, so what came is what was answered.

use std::collections::BTreeSet;
use std::io::{self, Write};

use crate::clock::now_ns;
use crate::frame::{Form, walk};

/// Reversals seen so far.
#[derive(Debug, Default)]
pub(super) struct Reversals {
    seen: BTreeSet<Vec<u8>>,
    copies: u64,
    /// Copies whose time is known, and the time of the last of them.
    timed: u64,
    last_at_ns: u64,
    told: u64,
    told_at_ns: u64,
}

/// One line of the tale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    /// Different reversals so far.
    pub(crate) reversals: u64,
    /// Messages they came in.
    pub(crate) copies: u64,
    /// When the last of them came, on the monotonic clock, in ns.
    pub(crate) at_ns: u64,
}

impl Reversals {
    /// Looks at one message.
    #[inline]
    pub(super) fn note(&mut self, message: &[u8], form: Form) {
        let is_reversal = message
            .get(form.mti_at()..)
            .is_some_and(|rest| matches!(rest, [0x04, function, ..] if function & 0x10 == 0));
        if !is_reversal {
            return;
        }
        let mut original = Vec::new();
        // What cannot be read to its end names no original.
        let _ = walk(message, form, |field| {
            if matches!(field.de, 41 | 90) {
                original.extend_from_slice(&message[field.start..field.end]);
            }
            true
        });
        self.copies += 1;
        self.seen.insert(original);
    }

    /// At the end of a batch: tells what is new, but not oftener than every few milliseconds;
    /// what is left untold then is told with a later batch.
    #[inline]
    pub(super) fn tell(&mut self) {
        if self.copies == self.told {
            return;
        }
        let now_ns = now_ns();
        if self.copies > self.timed {
            (self.timed, self.last_at_ns) = (self.copies, now_ns);
        }
        if self.told > 0 && now_ns < self.told_at_ns + TELL_EVERY_NS {
            return;
        }
        (self.told, self.told_at_ns) = (self.copies, now_ns);
        let (reversals, at_ns) = (self.seen.len() as u64, self.last_at_ns);
        let count = Count { reversals, copies: self.copies, at_ns };
        // Who does not listen misses it.
        let _ = writeln!(io::stdout(), "{}", count.line());
    }
}

impl Count {
    fn line(&self) -> String {
        format!("reversals {} {} {}", self.reversals, self.copies, self.at_ns)
    }

    /// Reads a line back; None if it says something else.
    pub(crate) fn read(line: &str) -> Option<Count> {
        let mut words = line.strip_prefix("reversals ")?.split(' ').map(str::parse);
        let mut next = || words.next()?.ok();
        Some(Count { reversals: next()?, copies: next()?, at_ns: next()? })
    }
}

const TELL_EVERY_NS: u64 = 2_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A reversal of the original with this STAN, with nothing but what is looked at.
    fn reversal(function: u8, stan: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, 0x04, function];
        frame.extend([0x80, 0, 0, 0, 0, 0x80, 0, 0]);
        frame.extend([0, 0, 0, 0x40, 0, 0, 0, 0]);
        frame.extend(b"T0000001");
        frame.extend([0x01, 0x00, 0x00, 0x00, stan]);
        frame.extend([0; 16]);
        frame
    }

    #[test]
    fn copies_count_once_and_answers_not_at_all() {
        let mut reversals = Reversals::default();
        for (function, stan) in [(0x20, 1), (0x21, 1), (0x20, 2), (0x30, 3)] {
            reversals.note(&reversal(function, stan), Form::Bare);
        }
        reversals.note(&[0, 0, 0x01, 0x00], Form::Bare);
        assert_eq!((reversals.seen.len(), reversals.copies), (2, 3));
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let count = Count { reversals: 7, copies: 9, at_ns: 1 << 40 };
        assert_eq!(Count::read(&count.line()), Some(count));
        assert_eq!(Count::read("partner listening on 1"), None);
        assert_eq!(Count::read("reversals 1 2"), None);
    }
}
