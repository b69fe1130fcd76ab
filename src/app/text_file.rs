//! A file that somebody names, read whole: a regular one, within a bound, as text.
//!
//! What it is not: it knows nothing of what stands in the file. Why not `fs::read_to_string`: a
//! name may lead to a pipe that nobody writes, to a device without an end, or to a file of many
//! gigabytes. Whoever reads those waits for ever or runs out of memory, and a running switch does
//! that in the middle of a reload. So the file is opened without waiting, looked at before its
//! first byte is read, and never read past its bound, even if it grows meanwhile.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::dialect_file::{Mistake, shown};

/// The text of a file of at most `bytes_max` bytes. A byte order mark at its beginning, as some
/// editors write, is no part of it.
///
/// # Errors
///
/// Why it cannot be read; at its line, if it is not UTF-8.
pub(super) fn text(path: &Path, bytes_max: u64) -> Result<String, Mistake> {
    let file = path.display().to_string();
    let bytes = match bytes(path, bytes_max) {
        Ok(bytes) => bytes,
        Err(reason) => {
            let reason = format!("cannot be read: {reason}");
            return Err(Mistake { file, line: 0, text: String::new(), reason });
        }
    };
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let wrong = error.utf8_error().valid_up_to();
        not_utf8(file, error.as_bytes(), wrong)
    })?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len_utf8());
    }
    Ok(text)
}

/// The bytes of a regular file, if there are at most `bytes_max`.
///
/// # Errors
///
/// A sentence on why it cannot be read.
pub(super) fn bytes(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| error.to_string())?;
    let about = file.metadata().map_err(|error| error.to_string())?;
    if about.is_dir() {
        return Err("it is a folder, no file".to_owned());
    }
    if !about.is_file() {
        return Err("it is no regular file, but a device, a pipe or a socket".to_owned());
    }
    let longer = || format!("longer than {}", of_bytes(bytes_max));
    if about.len() > bytes_max {
        return Err(longer());
    }
    let mut bytes = Vec::with_capacity(about.len() as usize + 1);
    let read = file.take(bytes_max + 1).read_to_end(&mut bytes);
    if read.map_err(|error| error.to_string())? as u64 > bytes_max {
        return Err(longer());
    }
    Ok(bytes)
}

/// Names the first line that is not UTF-8, and the place in it.
fn not_utf8(file: String, bytes: &[u8], wrong: usize) -> Mistake {
    let before = bytes.get(..wrong).unwrap_or(bytes);
    let from = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let rest = bytes.get(from..).unwrap_or(&[]);
    let text = rest.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
    let head = text.get(..LINE_HEAD).unwrap_or(text);
    let text = shown(String::from_utf8_lossy(head).trim_end());
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let reason = format!("not UTF-8 at byte {} of the line", wrong - from + 1);
    Mistake { file, line, text, reason }
}

fn of_bytes(bytes: u64) -> String {
    if bytes >> 20 > 0 { format!("{} MiB", bytes >> 20) } else { format!("{bytes} bytes") }
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Bytes of a line that are looked at to show it.
const LINE_HEAD: usize = 512;
