//! Dialects by name or file, ready for use: read, compiled, and proven on their own vectors.
//!
//! A dialect that cannot carry the messages it claims to carry is refused when it is loaded, not
//! found out in traffic: each vector must decode and encode to the same bytes.

use std::path::Path;
use std::sync::Arc;

use super::dialect_file::{self, Mistake, shipped_names};
use super::json::read_hex;
use crate::iso8583::decode::Index;
use crate::iso8583::dialect::Dialect;
use crate::iso8583::encode;
use crate::iso8583::error::DecodeError;
use crate::iso8583::message::Message;
use crate::iso8583::value;

/// Loads the shipped dialect `name_or_path`, or a file if it has a slash or ends in `.toml`.
///
/// # Errors
///
/// Every mistake of the file: what it says wrongly, else the vectors it does not carry.
pub fn load(name_or_path: &str) -> Result<Arc<Dialect>, Vec<Mistake>> {
    load_from(name_or_path, None)
}

/// The same; a name is looked for in `folder` first.
///
/// # Errors
///
/// As [`load`].
pub fn load_from(name_or_path: &str, folder: Option<&Path>) -> Result<Arc<Dialect>, Vec<Mistake>> {
    let spec = dialect_file::load(name_or_path, folder).map_err(|mut mistakes| {
        if let [Mistake { line: 0, reason, .. }] = &mut mistakes[..]
            && reason.starts_with("unknown dialect")
        {
            reason.push_str(&nearest(name_or_path));
        }
        mistakes
    })?;
    let dialect = Dialect::compile(spec);
    let mut mistakes = Vec::new();
    for vector in &dialect.spec.vectors {
        if let Err(reason) = round_trip(&dialect, &vector.hex) {
            let reason = format!("vector {}: {reason}", vector.id);
            mistakes.push(dialect_file::blame(name_or_path, folder, &vector.id, reason));
        }
    }
    if mistakes.is_empty() { Ok(Arc::new(dialect)) } else { Err(mistakes) }
}

/// Decodes `hex` and encodes what was read.
fn round_trip(dialect: &Dialect, hex: &str) -> Result<(), String> {
    let mut bytes = Vec::new();
    read_hex(hex.as_bytes(), &mut bytes)
        .map_err(|place| format!("not hexadecimal at character {place}"))?;
    let mut index = Index::default();
    dialect.decode(&bytes, &mut index).map_err(|error| error.to_string())?;
    let again = again(&Message { bytes: &bytes, index: &index, dialect })
        .map_err(|error| format!("cannot be encoded again: {error}"))?;
    match bytes.iter().zip(&again).position(|(a, b)| a != b) {
        None if bytes.len() == again.len() => Ok(()),
        None => Err(format!("is encoded to {} bytes, not {}", again.len(), bytes.len())),
        Some(place) => Err(format!("is encoded to other bytes, from byte {place} on")),
    }
}

/// Encodes `message` from its values, as if it had never been bytes.
///
/// # Errors
///
/// The first element that cannot be written.
pub fn again(message: &Message<'_>) -> Result<Vec<u8>, DecodeError> {
    let values = values(message);
    let mut out = Vec::with_capacity(message.bytes.len());
    encode::encode(message.dialect, message.header(), message.mti(), &values, &mut out)?;
    Ok(out)
}

/// The elements of `message` in neutral form, in ascending order.
pub fn values(message: &Message<'_>) -> Vec<(u8, Vec<u8>)> {
    let value = |element| {
        let units = message.index.span(element).map_or(0, |span| span.units);
        let mut neutral = Vec::new();
        let body = message.value(element).unwrap_or(&[]);
        value::read(message.dialect.field(element), body, units, &mut neutral);
        (element, neutral)
    };
    message.present().iter().map(value).collect()
}

/// The shipped names that look most like `name`, as the end of a sentence.
fn nearest(name: &str) -> String {
    let mut names: Vec<(usize, &str)> =
        shipped_names().map(|known| (distance(name, known), known)).collect();
    names.sort_unstable();
    let close: Vec<&str> = names.iter().take(NEAREST_MAX).map(|(_, known)| *known).collect();
    format!("; the nearest known are {}", close.join(", "))
}

/// Edits from one name to the other (Levenshtein); a name that contains the other is near.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (slot, b) in row.iter_mut().skip(1).zip(other.bytes()) {
            let above = *slot;
            let best = (corner + usize::from(a != b)).min(above + 1).min(left + 1);
            (corner, left, *slot) = (above, best, best);
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    let contained = other.contains(one) || one.contains(other);
    row.last().copied().unwrap_or(0).saturating_sub(if contained { CONTAINED } else { 0 })
}

const NEAREST_MAX: usize = 3;
const CONTAINED: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_dialect_loads_with_its_vectors() {
        for name in shipped_names() {
            if let Err(mistakes) = load(name) {
                let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                panic!("{}", lines.join("\n"));
            }
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let mistakes = load("pos-bdc").expect_err("unknown");
        assert!(mistakes[0].reason.contains("nearest known are pos-bcd"), "{}", mistakes[0]);
    }
}
