//! What a wallet shows: EMV QR code, consumer-presented mode, version 1.1.
//!
//! Base64 of BER-TLV: tag 85 with `CPV01`, then a template 61 for each application, the preferred
//! one first, each with its name in tag 4F. In base64 the beginning reads `hQVDUFY`; what follows
//! depends on the next tag, so no more than that may be asked of a code.

use super::{QrError, QrReason};
use crate::base::pan::Pan;
use crate::iso8583::tlv::{self, Tlv};

/// A code that a wallet shows, checked; its bytes stand here. Cannot be printed.
#[derive(Clone, Copy)]
pub struct ConsumerCode {
    bytes: [u8; BYTES_MAX],
    length: u16,
}

/// One application of a wallet.
#[derive(Clone, Copy)]
pub struct Application<'a> {
    template: &'a [u8],
}

/// True if a scanned text is a code of this kind.
pub fn is_consumer_code(text: &[u8]) -> bool {
    text.starts_with(b"hQVDUFY")
}

impl ConsumerCode {
    /// Reads and checks a code.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its place: of a character, in the text; of a tag, in the
    /// bytes that it stands for.
    pub fn read(text: &[u8]) -> Result<Self, QrError> {
        if !is_consumer_code(text) {
            return Err(QrError::new(QrReason::Start, 0));
        }
        let mut code = Self { bytes: [0; BYTES_MAX], length: 0 };
        code.length = base64(text, &mut code.bytes)? as u16;
        let bytes = code.bytes();
        let first = tlv::next(bytes).and_then(Result::ok);
        if first.is_none_or(|first| first.tag != 0x85 || first.value != b"CPV01") {
            return Err(QrError::new(QrReason::Start, 0));
        }
        code.walk()?;
        if code.applications().next().is_none() {
            return Err(QrError::new(QrReason::Missing, bytes.len()));
        }
        Ok(code)
    }

    /// Its applications, the preferred one first.
    pub fn applications(&self) -> impl Iterator<Item = Application<'_>> {
        let templates =
            Objects { bytes: self.bytes(), at: 0 }.filter(|(_, object)| object.tag == 0x61);
        templates.map(|(_, object)| Application { template: object.value })
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }

    /// Every object fits, and every application has a name.
    fn walk(&self) -> Result<(), QrError> {
        let bytes = self.bytes();
        whole(bytes, 0)?;
        for (at, object) in (Objects { bytes, at: 0 }) {
            if !matches!(object.tag, 0x61 | 0x62) {
                continue;
            }
            let inside = at + object.size - object.value.len();
            whole(object.value, inside)?;
            let application = Application { template: object.value };
            match application.value(0x4F).map(<[u8]>::len) {
                Some(5..=16) => {}
                Some(_) => return Err(QrError::new(QrReason::Value, at)),
                None if object.tag == 0x62 => {}
                None => return Err(QrError::new(QrReason::Missing, at)),
            }
        }
        Ok(())
    }
}

impl<'a> Application<'a> {
    /// Its name (tag 4F), 5 to 16 bytes: which network it belongs to.
    pub fn name(&self) -> &'a [u8] {
        self.value(0x4F).unwrap_or(&[])
    }

    /// The account, from tag 5A or the front of tag 57 (track 2).
    pub fn pan(&self) -> Option<Pan> {
        let packed = self.value(0x5A).or_else(|| self.value(0x57))?;
        let mut digits = [0; 19];
        let nibbles = packed.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let mut count = 0;
        for nibble in nibbles.take_while(|nibble| *nibble < 10) {
            *digits.get_mut(count)? = b'0' + nibble;
            count += 1;
        }
        Pan::from_ascii(digits.get(..count)?)
    }

    /// The value of a tag, also of one inside the template of card data (63).
    pub fn value(&self, tag: u32) -> Option<&'a [u8]> {
        let outside = tlv::find(self.template, tag);
        outside.or_else(|| tlv::find(tlv::find(self.template, 0x63)?, tag))
    }
}

/// Objects with their places, up to the first that is none.
#[derive(Debug, Clone, Copy)]
struct Objects<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Objects<'a> {
    type Item = (usize, Tlv<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let object = tlv::next(self.bytes.get(at..)?)?.ok()?;
        self.at += object.size;
        Some((at, object))
    }
}

/// Objects up to the last byte.
fn whole(bytes: &[u8], offset: usize) -> Result<(), QrError> {
    let end = Objects { bytes, at: 0 }.last().map_or(0, |(at, object)| at + object.size);
    if end == bytes.len() { Ok(()) } else { Err(QrError::new(QrReason::Length, offset + end)) }
}

/// Writes what `text` stands for; how many bytes. Padding may be left out, as some wallets do.
fn base64(text: &[u8], out: &mut [u8; BYTES_MAX]) -> Result<usize, QrError> {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = text.get(..text.len() - padding).unwrap_or(&[]);
    let padded = text.len().is_multiple_of(4) && padding <= 2;
    if digits.len() % 4 == 1 || padding > 0 && !padded {
        return Err(QrError::new(QrReason::Length, digits.len()));
    }
    let (mut bits, mut count, mut length) = (0_u32, 0, 0);
    for (at, byte) in digits.iter().enumerate() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return Err(QrError::new(QrReason::Character, at)),
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            let place = out.get_mut(length).ok_or(QrError::new(QrReason::Long, at))?;
            *place = (bits >> count) as u8;
            bits &= (1 << count) - 1;
            length += 1;
        }
    }
    // Bits behind the last byte mean nothing: another text for the same code.
    if bits == 0 { Ok(length) } else { Err(QrError::new(QrReason::Character, digits.len() - 1)) }
}

/// Longest code in bytes: what every reader has to take, as 684 characters.
pub const BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// The first example of the specification.
    const EXAMPLE: &[u8] = b"hQVDUFYwMWEaTwegAAAAVVVVVw8SNFZ4kBI0WNGRIgESNF8=";

    fn encoded(bytes: &[u8]) -> Vec<u8> {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = Vec::new();
        for chunk in bytes.chunks(3) {
            let bits = (0..3).fold(0_u32, |bits, place| {
                bits << 8 | u32::from(chunk.get(place).copied().unwrap_or(0))
            });
            for place in 0..4 {
                let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
                text.push(if place <= chunk.len() { digit } else { b'=' });
            }
        }
        text
    }

    fn code(rest: &[u8]) -> Vec<u8> {
        encoded(&[b"\x85\x05CPV01", rest].concat())
    }

    fn refused(text: &[u8]) -> (QrReason, usize) {
        match ConsumerCode::read(text) {
            Err(error) => (error.reason, error.at),
            Ok(_) => panic!("no mistake"),
        }
    }

    #[test]
    fn the_example_of_the_specification() {
        let code = ConsumerCode::read(EXAMPLE).unwrap_or_else(|error| panic!("{error}"));
        let application = code.applications().next().expect("an application");
        assert_eq!(application.name(), [0xA0, 0, 0, 0, 0x55, 0x55, 0x55]);
        assert_eq!(application.pan().expect("track 2").reveal(), b"1234567890123458");
        assert_eq!(application.value(0x50), None);
        assert_eq!(code.applications().count(), 1);
        let unpadded = EXAMPLE.strip_suffix(b"=").expect("padding");
        assert!(ConsumerCode::read(unpadded).is_ok());
    }

    #[test]
    fn seven_characters_tell_such_a_code() {
        assert!(is_consumer_code(EXAMPLE));
        assert!(!EXAMPLE.starts_with(b"hQVDUFYwMQ"), "that is a code with nothing in it");
        assert_eq!(encoded(b"\x85\x05CPV01"), b"hQVDUFYwMQ==");
        for text in [&b""[..], b"hQVDUF", b"281006012345678901234567", b"HQVDUFY"] {
            assert!(!is_consumer_code(text));
            assert_eq!(refused(text), (QrReason::Start, 0));
        }
    }

    #[test]
    fn applications_keep_their_order() {
        let two =
            b"\x61\x09\x4F\x07\xA0\0\0\x03\x33\x01\x01\x61\x0A\x4F\x05\xA0\0\0\0\x04\x50\x01X";
        let text = code(two);
        let code = ConsumerCode::read(&text).unwrap_or_else(|error| panic!("{error}"));
        let names: Vec<_> = code.applications().map(|application| application.name()).collect();
        assert_eq!(names, [&b"\xA0\0\0\x03\x33\x01\x01"[..], b"\xA0\0\0\0\x04"]);
        let second = code.applications().nth(1).expect("two");
        assert_eq!((second.value(0x50), second.pan()), (Some(&b"X"[..]), None));
    }

    #[test]
    fn mistakes_have_a_place() {
        assert_eq!(refused(b"hQVDUFYwMQ=="), (QrReason::Missing, 7));
        assert_eq!(refused(&code(b"\x61\x02\x50\0")), (QrReason::Missing, 7));
        assert_eq!(refused(&code(b"\x61\x05\x4F\x03\xA0\0\0")), (QrReason::Value, 7));
        assert_eq!(refused(&code(b"\x61\x20\x4F\x05\xA0\0\0\0\x04")), (QrReason::Length, 7));
        assert_eq!(refused(&code(b"\x61\x07\x4F\x06\xA0\0\0\0\x04")), (QrReason::Length, 9));
        let mut text = EXAMPLE.to_vec();
        text[20] = b'!';
        assert_eq!(refused(&text), (QrReason::Character, 20));
        assert_eq!(refused(&EXAMPLE[..45]), (QrReason::Length, 45));
        assert_eq!(refused(b"hQVDUFYwMW==="), (QrReason::Length, 10));
        assert_eq!(refused(b"hQVDUFYwMR=="), (QrReason::Character, 9));
        let long = code(&[0x61; 600]);
        assert_eq!(refused(&long).0, QrReason::Long);
        assert_eq!(refused(&encoded(b"\x85\x05CPV02\x61\x02\x50\0")), (QrReason::Start, 0));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_much(bytes in vec(any::<u8>(), 0..80), text in "[ -~]{0,60}") {
            let _ = ConsumerCode::read(&code(&bytes));
            let _ = ConsumerCode::read(format!("hQVDUFYwMW{text}").as_bytes());
            let template = [&[0x61, bytes.len() as u8][..], &bytes].concat();
            if let Ok(code) = ConsumerCode::read(&code(&template)) {
                for application in code.applications() {
                    prop_assert!((5..=16).contains(&application.name().len()));
                    let _ = application.pan();
                }
            }
        }

        #[test]
        fn base64_is_read_as_it_is_written(bytes in vec(any::<u8>(), 0..=BYTES_MAX)) {
            let mut out = [0; BYTES_MAX];
            let length = base64(&encoded(&bytes), &mut out).expect("base64");
            prop_assert_eq!(&out[..length], bytes.as_slice());
        }
    }
}
