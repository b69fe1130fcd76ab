//! Messages in, lines out: from the arguments, else one per line from standard input.
//!
//! A line is answered before the next one is waited for: what was written leaves when there is no
//! more input at hand. So a slow source sees each answer at once and a file costs few writes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::ExitCode;

use super::{Ended, FAILED};

/// What an answer of one line says about the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Sound.
    Good,
    /// Answered with an error.
    Bad,
}

/// Calls `answer` for each message with its line, and prints what it appends, as a line.
pub(super) fn each(
    arguments: &[String],
    mut answer: impl FnMut(&[u8], &mut Vec<u8>) -> Line,
) -> Ended {
    let mut output = io::stdout().lock();
    let mut out = Vec::with_capacity(BUFFER_BYTES * 2);
    let mut failed = false;
    let mut one = |line: &[u8], out: &mut Vec<u8>| {
        if !line.trim_ascii().is_empty() {
            failed |= answer(line, out) == Line::Bad;
            out.push(b'\n');
        }
    };
    if arguments.is_empty() {
        let mut input = BufReader::with_capacity(BUFFER_BYTES, io::stdin().lock());
        let mut line = Vec::new();
        loop {
            match next(&mut input, &mut line)? {
                Next::End => break,
                Next::Line => one(&line, &mut out),
                // Blank lines are skipped, but this is none: let it fail as what it is.
                Next::Endless => one(ENDLESS, &mut out),
            }
            if out.len() >= BUFFER_BYTES || !input.buffer().contains(&b'\n') {
                output.write_all(&out)?;
                output.flush()?;
                out.clear();
            }
        }
    } else {
        for line in arguments {
            one(line.as_bytes(), &mut out);
        }
    }
    output.write_all(&out)?;
    output.flush()?;
    Ok(ExitCode::from(if failed { FAILED } else { 0 }))
}

/// Reads all messages: the arguments, else the lines of standard input.
pub(super) fn all(arguments: &[String]) -> io::Result<Vec<Vec<u8>>> {
    if !arguments.is_empty() {
        return Ok(arguments.iter().map(|line| line.clone().into_bytes()).collect());
    }
    let mut input = BufReader::new(io::stdin().lock());
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    loop {
        match next(&mut input, &mut line)? {
            Next::End => return Ok(lines),
            Next::Line if line.trim_ascii().is_empty() => {}
            Next::Line => lines.push(line.clone()),
            Next::Endless => lines.push(ENDLESS.to_vec()),
        }
    }
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Line,
    /// A line longer than any message; it was skipped.
    Endless,
    End,
}

/// Reads one line, its line feed taken off.
fn next(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Next> {
    let mut endless = false;
    loop {
        line.clear();
        let read = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', line)?;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if read as u64 == LINE_BYTES_MAX {
            endless = true;
            continue;
        } else if read == 0 && !endless {
            return Ok(Next::End);
        }
        return Ok(if endless { Next::Endless } else { Next::Line });
    }
}

const BUFFER_BYTES: usize = 256 * 1024;

/// No message is near as long: the longest frame is 8 KiB of hex.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// What stands for a line that was too long: neither hex nor JSON.
const ENDLESS: &[u8] = b"a line longer than 1 MiB";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_the_line_feed_or_the_end() {
        let mut input = &b"one\n\ntwo"[..];
        let mut line = Vec::new();
        for expected in [&b"one"[..], b"", b"two"] {
            assert_eq!(next(&mut input, &mut line).expect("reads"), Next::Line);
            assert_eq!(line, expected);
        }
        assert_eq!(next(&mut input, &mut line).expect("reads"), Next::End);
    }

    #[test]
    fn a_line_without_end_is_skipped_and_the_next_one_read() {
        let long = io::repeat(b'0').take(5 << 19).chain(&b"\nnext"[..]);
        let mut input = BufReader::new(long);
        let mut line = Vec::new();
        assert_eq!(next(&mut input, &mut line).expect("reads"), Next::Endless);
        assert_eq!(next(&mut input, &mut line).expect("reads"), Next::Line);
        assert_eq!(line, b"next");
    }
}
