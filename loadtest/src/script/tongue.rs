//! The dialects in which scenarios speak: those of the default configuration.
//!
//! Packed BCD is what the books know; ASCII with a hexadecimal bitmap is written here from the same
//! table of widths. Neither shares a line with the switch, so that a mistake in one is seen by the
//! other. A switch whose peers speak yet another dialect cannot be played against.

use std::collections::BTreeMap;

use crate::books::message::{Content, Message, content};
use crate::frame::{Form, LENGTH_BYTES, Width, width_of};

/// How a peer writes ISO 8583:1987.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tongue {
    /// `pos-bcd`, `iso87-binary`.
    Packed(Form),
    /// `iso87-ascii`.
    Ascii,
}

impl Tongue {
    /// By the name of the dialect.
    pub(crate) fn of(dialect: &str) -> Option<Tongue> {
        match dialect {
            "pos-bcd" => Some(Tongue::Packed(Form::Tpdu)),
            "iso87-binary" => Some(Tongue::Packed(Form::Bare)),
            "iso87-ascii" => Some(Tongue::Ascii),
            _ => None,
        }
    }

    /// The frame of a message, length included.
    pub(crate) fn encode(self, message: &Message) -> Vec<u8> {
        match self {
            Tongue::Packed(form) => message.encode_in(form),
            Tongue::Ascii => encode(message),
        }
    }

    /// Reads a whole frame; None if it is no message.
    pub(crate) fn decode(self, bytes: &[u8]) -> Option<Message> {
        match self {
            Tongue::Packed(form) => Message::decode_in(form, bytes),
            Tongue::Ascii => decode(bytes),
        }
    }
}

/// How many characters an element has in ASCII, and how that is known.
enum Room {
    Fixed(usize),
    /// So many digits of length, each unit this many characters.
    Counted(usize, usize),
}

fn room(de: u8) -> Room {
    let hex = if content(de) == Content::Bytes { 2 } else { 1 };
    match (width_of(de), content(de)) {
        // A letter and digits: in packed form the letter alone is a whole byte.
        (Width::Fixed(bytes), Content::Bytes) if matches!(de, 28..=31 | 97) => {
            Room::Fixed(2 * bytes - 1)
        }
        (Width::Fixed(bytes), Content::Bytes) => Room::Fixed(2 * bytes),
        (Width::Fixed(_), Content::Digits(digits)) => Room::Fixed(digits),
        (Width::Fixed(bytes), Content::Text) => Room::Fixed(bytes),
        (Width::LlDigits | Width::LlBytes, _) => Room::Counted(2, hex),
        (Width::LllBytes, _) => Room::Counted(3, hex),
    }
}

fn encode(message: &Message) -> Vec<u8> {
    let mut text = message.mti_text();
    for bits in message.bitmaps() {
        text.push_str(&format!("{bits:016X}"));
    }
    for (&de, value) in &message.fields {
        match room(de) {
            Room::Fixed(size) if matches!(content(de), Content::Digits(_)) => {
                text.push_str(&format!("{value:0>size$}"));
            }
            Room::Fixed(size) => text.push_str(&format!("{value:<size$}")),
            Room::Counted(digits, unit) => {
                text.push_str(&format!("{:0digits$}{value}", value.chars().count() / unit));
            }
        }
    }
    let mut out = ((text.len()) as u16).to_be_bytes().to_vec();
    // One byte a character, as it was read.
    out.extend(text.chars().map(|character| character as u8));
    out
}

fn decode(bytes: &[u8]) -> Option<Message> {
    let text: Vec<char> = bytes.get(LENGTH_BYTES..)?.iter().map(|&byte| char::from(byte)).collect();
    let mut at = 0;
    let mut take = |count: usize| -> Option<String> {
        let part = text.get(at..at + count)?.iter().collect();
        at += count;
        Some(part)
    };
    let mti = u16::from_str_radix(&take(4)?, 16).ok()?;
    let first = u64::from_str_radix(&take(16)?, 16).ok()?;
    let has_second = first >> 63 == 1;
    let second = if has_second { u64::from_str_radix(&take(16)?, 16).ok()? } else { 0 };
    let bits = u128::from(first) << 64 | u128::from(second);
    let mut fields = BTreeMap::new();
    for de in (2..=128_u8).filter(|de| bits >> (128 - de) & 1 == 1) {
        let size = match room(de) {
            Room::Fixed(size) => size,
            Room::Counted(digits, unit) => take(digits)?.parse::<usize>().ok()? * unit,
        };
        fields.insert(de, take(size)?);
    }
    let whole = at == text.len();
    whole.then(|| Message { fields, ..Message::new(mti) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale() -> Message {
        Message::new(0x0200)
            .with(2, "6212345678901265")
            .with(4, "000000001250")
            .with(22, "031")
            .with(37, "ABCDEF000017")
            .with(41, "TERM0001")
            .with(42, "KAKAO-0001     ")
            .with(52, "0123456789ABCDEF")
            .with(55, "9F0206000000001250")
            .with(59, "A3024281006012345678901234567")
            .with(90, "010000001711221234560000012345600000000000")
    }

    #[test]
    fn what_is_encoded_is_decoded_in_every_tongue() {
        for name in ["pos-bcd", "iso87-binary", "iso87-ascii"] {
            let tongue = Tongue::of(name).unwrap();
            let bytes = tongue.encode(&sale());
            let read = tongue.decode(&bytes).unwrap();
            assert_eq!((read.mti, &read.fields), (0x0200, &sale().fields), "{name}");
            assert_eq!(tongue.decode(&bytes[..bytes.len() - 1]), None, "{name}");
            assert_eq!(tongue.decode(&[&bytes[..], b"0"].concat()), None, "{name}");
        }
        assert_eq!(Tongue::of("klingon"), None);
    }

    /// Written by hand from the standard.
    #[test]
    fn ascii_is_what_the_standard_says() {
        let message = Message::new(0x0800).with(7, "1122021245").with(11, "17").with(70, "301");
        let frame = Tongue::Ascii.encode(&message);
        let body = b"0800822000000000000004000000000000001122021245000017301";
        assert_eq!(frame[..2], (body.len() as u16).to_be_bytes());
        assert_eq!(frame[2..], body[..]);
    }
}
