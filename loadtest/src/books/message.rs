//! Whole messages as field values in text: what the rig reasons about and what transcripts hold.
//!
//! Digits and text are themselves, bytes are hexadecimal. This is the slow, plain codec beside
//! the fast patching one of the load generator; it knows the same single dialect and validates
//! nothing beyond what it needs to be unambiguous.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::frame::{self, Form, LENGTH_BYTES, MTI_BYTES, TPDU_BYTES, Width, width_of};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// The TPDU, addresses included.
    pub(crate) header: [u8; TPDU_BYTES],
    /// The MTI as four packed digits: 0x0100.
    pub(crate) mti: u16,
    /// Values by element.
    pub(crate) fields: BTreeMap<u8, String>,
}

impl Message {
    /// A message without fields, with the addresses a terminal uses.
    pub(crate) fn new(mti: u16) -> Message {
        Message { header: [0x60, 0, 0, 0, 0], mti, fields: BTreeMap::new() }
    }

    /// Reads a whole frame; None if it ends before its fields do.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Message> {
        Message::decode_in(Form::Tpdu, bytes)
    }

    /// The same in this form.
    pub(crate) fn decode_in(form: Form, bytes: &[u8]) -> Option<Message> {
        let at = form.mti_at();
        let &mti = bytes.get(at..)?.first_chunk::<MTI_BYTES>()?;
        let mut message = Message::new(u16::from_be_bytes(mti));
        if form == Form::Tpdu {
            message.header = *bytes.get(LENGTH_BYTES..)?.first_chunk()?;
        }
        let mut end = at;
        frame::walk(bytes, form, |field| {
            message.fields.insert(field.de, text(field.de, &bytes[field.start..field.end]));
            end = field.end;
            true
        })?;
        (end == bytes.len()).then_some(message)
    }

    /// The frame of this message, length and TPDU included.
    pub(crate) fn encode(&self) -> Vec<u8> {
        self.encode_in(Form::Tpdu)
    }

    /// The same in this form.
    pub(crate) fn encode_in(&self, form: Form) -> Vec<u8> {
        let mut out = vec![0; LENGTH_BYTES];
        if form == Form::Tpdu {
            out.extend(self.header);
        }
        out.extend(self.mti.to_be_bytes());
        for bits in self.bitmaps() {
            out.extend(bits.to_be_bytes());
        }
        for (&de, value) in &self.fields {
            append(de, value, &mut out);
        }
        let size = (out.len() - LENGTH_BYTES) as u16;
        out[..LENGTH_BYTES].copy_from_slice(&size.to_be_bytes());
        out
    }

    /// Which elements there are: one bitmap, or two of which the first says so.
    pub(crate) fn bitmaps(&self) -> Vec<u64> {
        let mut bits = [0_u64; 2];
        for &de in self.fields.keys() {
            let index = usize::from(de - 1);
            bits[index / 64] |= 1 << (63 - index % 64);
        }
        if bits[1] == 0 {
            return vec![bits[0]];
        }
        bits[0] |= 1 << 63;
        bits.to_vec()
    }

    /// The value of an element, empty if it is absent.
    pub(crate) fn of(&self, de: u8) -> &str {
        self.fields.get(&de).map_or("", String::as_str)
    }

    /// Sets an element.
    pub(crate) fn with(mut self, de: u8, value: impl Into<String>) -> Message {
        self.fields.insert(de, value.into());
        self
    }

    /// An element as a number, 0 if it is none.
    pub(crate) fn number(&self, de: u8) -> u64 {
        self.of(de).parse().unwrap_or(0)
    }

    /// Message class: the second digit of the MTI.
    pub(crate) fn class(&self) -> u16 {
        self.mti >> 8 & 15
    }

    /// Whether this answers something.
    pub(crate) fn is_answer(&self) -> bool {
        self.mti & 0x10 != 0
    }

    /// Whether this says of itself that it is a repeat.
    pub(crate) fn is_repeat(&self) -> bool {
        self.mti & 1 != 0
    }

    /// The MTI as four digits.
    pub(crate) fn mti_text(&self) -> String {
        format!("{:04X}", self.mti)
    }

    /// What a host answers: the identifying fields back, card data left out, the TPDU turned
    /// around, and a result.
    pub(crate) fn answer(&self, code: &str) -> Message {
        let [id, to_high, to_low, from_high, from_low] = self.header;
        let kept = |(de, value): (&u8, &String)| ECHOED.contains(de).then(|| (*de, value.clone()));
        Message {
            header: [id, from_high, from_low, to_high, to_low],
            mti: (self.mti & !1) + 0x10,
            fields: self.fields.iter().filter_map(kept).collect(),
        }
        .with(39, code)
    }
}

/// Elements that come back in an answer; 70 for network management.
pub(crate) const ECHOED: [u8; 12] = [3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49, 70];

/// What the content of an element is, beside how long it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Packed digits, this many; 0 if the length says how many.
    Digits(usize),
    Text,
    /// As hexadecimal digits.
    Bytes,
}

/// What the content of this element is.
pub(crate) fn content(de: u8) -> Content {
    match de {
        2 | 32 | 33 | 35 | 99 | 100 => Content::Digits(0),
        19..=24 | 68..=70 => Content::Digits(3),
        27 | 66 | 91 => Content::Digits(1),
        28..=31 | 36 | 52 | 55 | 64 | 96 | 97 | 128 => Content::Bytes,
        34 | 37..=51 | 54 | 56..=63 | 92..=95 | 98 | 101..=127 => Content::Text,
        _ => match width_of(de) {
            Width::Fixed(bytes) => Content::Digits(bytes * 2),
            _ => Content::Text,
        },
    }
}

fn text(de: u8, bytes: &[u8]) -> String {
    let (head, units) = match width_of(de) {
        Width::Fixed(_) => (0, 0),
        Width::LlDigits | Width::LlBytes => (1, pair(bytes[0])),
        Width::LllBytes => (2, pair(bytes[0]) * 100 + pair(bytes[1])),
    };
    let value = &bytes[head..];
    match content(de) {
        Content::Text => value.iter().map(|&byte| char::from(byte)).collect(),
        Content::Bytes => hex(value),
        Content::Digits(0) => {
            let mut digits = hex(value);
            digits.truncate(units);
            digits
        }
        Content::Digits(count) => {
            let digits = hex(value);
            digits[digits.len() - count..].to_owned()
        }
    }
}

fn append(de: u8, value: &str, out: &mut Vec<u8>) {
    let packed = |digits: &str| -> Vec<u8> {
        let nibble = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
        digits.as_bytes().chunks(2).map(|two| nibble(two[0]) << 4 | nibble(two[1])).collect()
    };
    let bytes = match content(de) {
        Content::Text => value.bytes().collect(),
        Content::Bytes => packed(value),
        Content::Digits(0) => packed(&format!("{value}{}", &"0"[..value.len() % 2])),
        Content::Digits(_) => {
            let Width::Fixed(width) = width_of(de) else {
                unreachable!("counted digits are fixed")
            };
            packed(&format!("{value:0>0$}", width * 2))
        }
    };
    let bcd = |number: usize| (((number / 10 % 10) << 4) | (number % 10)) as u8;
    match width_of(de) {
        Width::Fixed(width) => debug_assert_eq!(bytes.len(), width, "DE {de} is fixed: {value}"),
        Width::LlDigits => out.push(bcd(value.len())),
        Width::LlBytes => out.push(bcd(bytes.len())),
        Width::LllBytes => out.extend([bcd(bytes.len() / 100), bcd(bytes.len())]),
    }
    out.extend(bytes);
}

fn pair(byte: u8) -> usize {
    usize::from(byte >> 4) * 10 + usize::from(byte & 15)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Fleet, Requests};

    #[test]
    fn what_is_encoded_is_decoded() {
        let message = Message::new(0x0420)
            .with(2, "4761340000000019")
            .with(4, "000000001250")
            .with(11, "000017")
            .with(22, "051")
            .with(32, "12345")
            .with(37, "ABCDEF000017")
            .with(41, "TERM0001")
            .with(55, "9F0206000000001250")
            .with(63, "a note")
            .with(90, "010000001711221234560000012345600000000000");
        assert_eq!(Message::decode(&message.encode()), Some(message));
    }

    #[test]
    fn the_frames_of_the_load_generator_come_back_byte_for_byte() {
        let mut bytes = Vec::new();
        Requests::new(Form::Tpdu).append(&mut bytes, 123_456, Fleet::of(1));
        let message = Message::decode(&bytes).unwrap();
        assert_eq!((message.of(11), message.number(4)), ("123456", 123_456));
        assert_eq!(message.encode(), bytes);
    }

    #[test]
    fn a_torn_or_overfull_frame_is_no_message() {
        let bytes = Message::new(0x0800).with(11, "000001").with(70, "301").encode();
        assert!(Message::decode(&bytes).is_some());
        assert_eq!(Message::decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Message::decode(&[&bytes[..], &[0]].concat()), None);
    }

    #[test]
    fn an_answer_has_no_card_data_and_goes_back() {
        let mut request = Message::new(0x0201).with(2, "4761340000000019").with(11, "000001");
        request.header = [0x60, 1, 2, 3, 4];
        let answer = request.answer("00");
        assert_eq!((answer.mti, answer.header), (0x0210, [0x60, 3, 4, 1, 2]));
        assert_eq!((answer.of(2), answer.of(11), answer.of(39)), ("", "000001", "00"));
    }
}
