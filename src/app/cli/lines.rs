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
        while next(&mut input, &mut line)? {
            one(&line, &mut out);
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
    while next(&mut input, &mut line)? {
        if !line.trim_ascii().is_empty() {
            lines.push(line.clone());
        }
    }
    Ok(lines)
}

/// Reads one line, its line feed taken off; false at the end of the input.
fn next(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if read as u64 == LINE_BYTES_MAX {
        let sentence = format!("a line is longer than {LINE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, sentence));
    }
    Ok(read > 0)
}

const BUFFER_BYTES: usize = 256 * 1024;

/// No message is near as long: the longest frame is 8 KiB of hex.
const LINE_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_the_line_feed_or_the_end() {
        let mut input = &b"one\n\ntwo"[..];
        let mut line = Vec::new();
        for expected in [&b"one"[..], b"", b"two"] {
            assert!(next(&mut input, &mut line).expect("reads"));
            assert_eq!(line, expected);
        }
        assert!(!next(&mut input, &mut line).expect("reads"));
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut input = io::repeat(b'0').take(2 << 20);
        let mut input = BufReader::new(&mut input);
        assert!(next(&mut input, &mut Vec::new()).is_err());
    }
}
