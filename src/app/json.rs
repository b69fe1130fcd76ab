//! The notation people and tools see: one message as one line of JSON, and back.
//!
//! Text stands as text, whatever its wire form (EBCDIC, GBK and 8-bit characters become Unicode),
//! packed digits as digits, bytes as upper-case hex, track 2 with `=`. Bytes of a GBK text that are
//! no character stand as U+EF80 to U+EFFF, so that every message comes back byte for byte. Card
//! data is masked unless asked for in clear; what is masked cannot be encoded again.
//!
//! ```text
//! {"mti":"0100","header":"6000030000","fields":{"3":"000000","4":"000000001000"}}
//! {"error":{"field":4,"offset":12,"need":6,"have":2,"reason":"..."},"mti":"0100","fields":{..}}
//! ```
//!
//! This is not how the switch carries messages: those stay in wire form from end to end.

mod gbk;
mod mask;
mod read;

use crate::iso8583::decode::Index;
use crate::iso8583::dialect::Dialect;
use crate::iso8583::error::DecodeError;
use crate::iso8583::field::{Content, Field};
use crate::iso8583::message::Message;
use crate::iso8583::mti::Mti;
use crate::iso8583::spec::HeaderKind;
use crate::iso8583::value::{self, Form};

pub use read::{Refusal, encode};

/// How much of the card data is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shown {
    /// First six and last four digits of account numbers; nothing of the rest.
    #[default]
    Masked,
    /// All of it.
    Clear,
}

/// Decodes `message` and appends its line, without line feed, to `out`. Both buffers are reused
/// from line to line. `before` is how many bytes stood in front of the message, for offsets.
///
/// # Errors
///
/// What is wrong with the message; the line then says so.
pub fn decode(
    dialect: &Dialect,
    message: &[u8],
    before: usize,
    shown: Shown,
    index: &mut Index,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let result = dialect.decode(message, index);
    let view = Message { bytes: message, index, dialect };
    out.push(b'{');
    if let Err(error) = &result {
        let error = DecodeError { offset: error.offset + before as u32, ..*error };
        write_error(&error, error.reason.text(), out);
        out.push(b',');
    }
    // The MTI stands in front of everything that has a number.
    let mti =
        if matches!(result, Err(error) if error.field == 0) { None } else { Some(view.mti()) };
    write_message(&view, mti, shown, out);
    out.push(b'}');
    result
}

/// Appends a line for something that is no message at all.
pub fn refuse(refusal: &Refusal, out: &mut Vec<u8>) {
    out.push(b'{');
    write_error(&refusal.error, &refusal.sentence, out);
    out.push(b',');
    write_mti(refusal.mti, out);
    out.extend_from_slice(b",\"fields\":{}}");
}

/// Every element of a message that was decoded, in its notation: a JSON string each.
pub fn elements(message: &Message<'_>, shown: Shown) -> Vec<(u8, String)> {
    let mut out = Vec::new();
    let mut neutral = Vec::new();
    let elements = message.present().iter().map(|element| {
        out.clear();
        write_element(message, element, shown, &mut neutral, &mut out);
        (element, String::from_utf8_lossy(&out).into_owned())
    });
    elements.collect()
}

fn write_error(error: &DecodeError, reason: &str, out: &mut Vec<u8>) {
    let DecodeError { field, offset, need, have, .. } = error;
    let place = format!("\"error\":{{\"field\":{field},\"offset\":{offset},");
    let sizes = format!("\"need\":{need},\"have\":{have},\"reason\":");
    out.extend_from_slice(place.as_bytes());
    out.extend_from_slice(sizes.as_bytes());
    write_text(reason.chars(), out);
    out.push(b'}');
}

fn write_mti(mti: Option<Mti>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"mti\":");
    match mti {
        Some(mti) => {
            out.push(b'"');
            out.extend_from_slice(&mti.ascii());
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

fn write_message(message: &Message<'_>, mti: Option<Mti>, shown: Shown, out: &mut Vec<u8>) {
    write_mti(mti, out);
    if message.dialect.spec.header.kind != HeaderKind::None {
        out.extend_from_slice(b",\"header\":");
        if message.bytes.len() < message.dialect.header_bytes {
            out.extend_from_slice(b"null");
        } else {
            out.push(b'"');
            write_hex(message.header(), out);
            out.push(b'"');
        }
    }
    out.extend_from_slice(b",\"fields\":{");
    let mut neutral = Vec::new();
    for (place, element) in message.present().iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(element.to_string().as_bytes());
        out.extend_from_slice(b"\":");
        write_element(message, element, shown, &mut neutral, out);
    }
    out.push(b'}');
}

fn write_element(
    message: &Message<'_>,
    element: u8,
    shown: Shown,
    neutral: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    let units = message.index.span(element).map_or(0, |span| span.units);
    neutral.clear();
    let field = message.dialect.field(element);
    value::read(field, message.value(element).unwrap_or(&[]), units, neutral);
    write_value(element, field, neutral, shown, out);
}

/// Appends the neutral form of a value as a JSON string.
fn write_value(element: u8, field: &Field, neutral: &[u8], shown: Shown, out: &mut Vec<u8>) {
    if shown == Shown::Masked
        && let Some(text) = mask::masked(element, field, neutral)
    {
        return write_text(text.chars(), out);
    }
    match (value::form(field.content), field.content) {
        (Form::Bytes, _) => {
            out.push(b'"');
            write_hex(neutral, out);
            out.push(b'"');
        }
        (Form::Text, Content::Gbk) if !neutral.is_ascii() => {
            write_text(gbk::characters(neutral), out);
        }
        (Form::Text, _) => write_text(neutral.iter().map(|byte| char::from(*byte)), out),
    }
}

/// Appends bytes as upper-case hex.
pub fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    for byte in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// Reads hex of either case, blanks ignored, to the end of `out`.
///
/// # Errors
///
/// The character that is not hexadecimal, counted from 1, or one behind the last if a digit is
/// missing.
pub fn read_hex(text: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
    let mut high = None;
    for (place, character) in text.iter().enumerate() {
        if character.is_ascii_whitespace() {
            continue;
        }
        let digit = char::from(*character).to_digit(16).ok_or(place + 1)? as u8;
        match high.take() {
            None => high = Some(digit),
            Some(first) => out.push(first << 4 | digit),
        }
    }
    if high.is_some() { Err(text.len() + 1) } else { Ok(()) }
}

fn write_text(text: impl Iterator<Item = char>, out: &mut Vec<u8>) {
    out.push(b'"');
    for character in text {
        match character {
            '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
            ' '..='~' => out.push(character as u8),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
            }
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_in_either_case_with_blanks_and_its_errors_have_a_place() {
        let mut bytes = Vec::new();
        assert_eq!(read_hex(b" 0a FF\t1\t2 ", &mut bytes), Ok(()));
        assert_eq!(bytes, [0x0A, 0xFF, 0x12]);
        assert_eq!(read_hex(b"00 0x", &mut bytes), Err(5));
        assert_eq!(read_hex(b"000", &mut bytes), Err(4));
    }

    #[test]
    fn text_is_escaped() {
        let mut out = Vec::new();
        write_text("a\"\\\u{1}\u{85}\u{e9}".chars(), &mut out);
        assert_eq!(String::from_utf8(out).expect("text"), "\"a\\\"\\\\\\u0001\\u0085\u{e9}\"");
    }
}
