//! A decoded message, borrowed: the bytes, where each element stands, and the dialect.
//!
//! Nothing is parsed until asked for, and what is asked for is small: a number, a few characters.

use super::bitmap::Bitmap;
use super::decode::Index;
use super::dialect::Dialect;
use super::digits;
use super::field::{Content, Field};
use super::mti::Mti;
use super::spec::{HeaderKind, Side};
use super::value;
use crate::base::pan::{Pan, Secrecy, Secret};

/// A view of one message.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// Header and message, without frame length.
    pub bytes: &'a [u8],
    /// Where the elements stand.
    pub index: &'a Index,
    /// How they are written.
    pub dialect: &'a Dialect,
}

impl<'a> Message<'a> {
    /// The MTI.
    pub const fn mti(&self) -> Mti {
        self.index.mti
    }

    /// The bytes in front of the MTI.
    pub fn header(&self) -> &'a [u8] {
        self.bytes.get(..self.dialect.header_bytes).unwrap_or(&[])
    }

    /// The elements that are there.
    pub const fn present(&self) -> Bitmap {
        self.index.present
    }

    /// True if `element` is there.
    pub const fn has(&self, element: u8) -> bool {
        self.index.present.has(element)
    }

    /// The element as on the wire, with its length.
    #[inline]
    pub fn raw(&self, element: u8) -> Option<&'a [u8]> {
        let span = self.index.span(element)?;
        self.bytes.get(usize::from(span.start)..usize::from(span.end))
    }

    /// The value as on the wire, without its length.
    #[inline]
    pub fn value(&self, element: u8) -> Option<&'a [u8]> {
        let span = self.index.span(element)?;
        self.bytes.get(usize::from(span.value)..usize::from(span.end))
    }

    /// The value of a secret element: cannot be printed.
    pub fn secret(&self, element: u8) -> Option<Secret<'a>> {
        Some(Secret::new(self.dialect.field(element).secrecy, self.value(element)?))
    }

    /// The value as a number; `None` if absent, not digits, or above 64 bits.
    #[inline]
    pub fn number(&self, element: u8) -> Option<u64> {
        let span = self.index.span(element)?;
        let body = self.bytes.get(usize::from(span.value)..usize::from(span.end))?;
        number(self.dialect.field(element), body, span.units)
    }

    /// DE 11 as a number; `None` if absent or not digits.
    #[inline]
    pub fn stan(&self) -> Option<u32> {
        let span = self.index.span(11)?;
        let body = self.bytes.get(usize::from(span.value)..usize::from(span.end))?;
        let field = self.dialect.field(11);
        match <&[u8; 3]>::try_from(body) {
            Ok(packed) if field.content == Content::Bcd && span.units == 6 => {
                Some(digits::packed_stan(packed))
            }
            _ => number(field, body, span.units).and_then(|stan| u32::try_from(stan).ok()),
        }
    }

    /// The first `N` characters of a text, the rest filled with spaces; EBCDIC becomes ASCII.
    #[inline]
    pub fn text<const N: usize>(&self, element: u8) -> Option<[u8; N]> {
        let body = self.value(element)?;
        let field = self.dialect.field(element);
        if let (false, Ok(whole)) = (is_translated(field.content), <[u8; N]>::try_from(body)) {
            return Some(whole);
        }
        let mut text = [b' '; N];
        match field.content {
            Content::Ebcdic | Content::EbcdicDigits => {
                let table = field.code_page.table();
                for (slot, byte) in text.iter_mut().zip(body) {
                    *slot = table[usize::from(*byte)];
                }
            }
            Content::Bcd => {
                let units = self.index.span(element)?.units;
                for (place, slot) in text.iter_mut().take(usize::from(units)).enumerate() {
                    *slot = b'0' + digit(field, body, units, place)?;
                }
            }
            _ => {
                for (slot, byte) in text.iter_mut().zip(body) {
                    *slot = *byte;
                }
            }
        }
        Some(text)
    }

    /// Writes the first `N` characters of a text to `text`, the rest filled with spaces; leaves
    /// it as it is if the element is absent.
    #[inline]
    pub fn text_into<const N: usize>(&self, element: u8, text: &mut [u8; N]) {
        let Some(body) = self.value(element) else { return };
        if body.len() == N && !is_translated(self.dialect.field(element).content) {
            text.copy_from_slice(body);
        } else if let Some(translated) = self.text(element) {
            *text = translated;
        }
    }

    /// The PAN of DE 2, else of the track data in DE 35; `None` if neither holds one.
    pub fn pan(&self) -> Option<Pan> {
        let mut buffer = [0; 40];
        if let Some(count) = self.characters(2, &mut buffer) {
            return Pan::from_ascii(buffer.get(..count)?);
        }
        let count = self.characters(35, &mut buffer)?;
        let track = buffer.get(..count)?;
        let end = track.iter().position(|c| matches!(c, b'=' | b'D'))?;
        Pan::from_ascii(track.get(..end)?)
    }

    /// The value's characters in neutral form, at most `N` of them; returns how many. `None` if
    /// the element is absent or longer.
    #[inline]
    pub fn characters<const N: usize>(&self, element: u8, buffer: &mut [u8; N]) -> Option<usize> {
        let span = self.index.span(element)?;
        let units = usize::from(span.units);
        let field = self.dialect.field(element);
        let body = self.bytes.get(usize::from(span.value)..usize::from(span.end))?;
        let target = buffer.get_mut(..units)?;
        match field.content {
            Content::Bcd if span.units.is_multiple_of(2) => {
                for (pair, byte) in target.as_chunks_mut::<2>().0.iter_mut().zip(body) {
                    *pair = [b'0' | byte >> 4, b'0' | byte & 15];
                }
            }
            Content::Bcd | Content::TrackBcd => {
                for (place, slot) in target.iter_mut().enumerate() {
                    let nibble = digit(field, body, span.units, place)?;
                    *slot = match nibble {
                        0..=9 => b'0' + nibble,
                        0xD => b'=',
                        _ => b'A' + nibble - 10,
                    };
                }
            }
            Content::Ebcdic | Content::EbcdicDigits => {
                let table = field.code_page.table();
                for (slot, byte) in target.iter_mut().zip(body) {
                    *slot = table[usize::from(*byte)];
                }
            }
            _ => {
                for (slot, byte) in target.iter_mut().zip(body) {
                    *slot = *byte;
                }
            }
        }
        Some(units)
    }

    /// The packed digits of an element, if that is how it is written and their count is even.
    #[inline]
    pub fn packed_digits(&self, element: u8) -> Option<&'a [u8]> {
        let span = self.index.span(element)?;
        let packed = self.dialect.field(element).content == Content::Bcd;
        (packed && span.units.is_multiple_of(2)).then_some(self.value(element)?)
    }

    /// Where so many packed digits stand, if that is how the element is written; `count` is even.
    pub fn place_of_digits(&self, element: u8, count: u16) -> Option<u16> {
        debug_assert!(count.is_multiple_of(2), "whole bytes");
        let span = self.index.span(element)?;
        let packed = self.dialect.field(element).content == Content::Bcd;
        (packed && span.units == count).then_some(span.value)
    }

    /// Where so many characters stand, if the bytes on the wire are the characters.
    pub fn place_of_text(&self, element: u8, count: u16) -> Option<u16> {
        let span = self.index.span(element)?;
        let whole = span.end - span.value == count;
        (whole && !is_translated(self.dialect.field(element).content)).then_some(span.value)
    }

    /// A 64-bit key of the value, equal for equal values in whatever wire form; 0 if absent.
    #[inline]
    pub fn key(&self, element: u8) -> u64 {
        let Some(span) = self.index.span(element) else { return 0 };
        let field = self.dialect.field(element);
        let body = self.bytes.get(usize::from(span.value)..usize::from(span.end)).unwrap_or(&[]);
        key(field, body, span.units)
    }

    /// The header an answer to this message begins with: TPDU addresses swapped, the rest
    /// repeated.
    pub fn answer_header(&self, out: &mut Vec<u8>) {
        answer_header(self.dialect, self.header(), out);
    }
}

impl std::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Message");
        debug.field("mti", &self.mti());
        for element in self.present().iter() {
            let field = self.dialect.field(element);
            let span = self.index.span(element).unwrap_or_default();
            if field.secrecy == Secrecy::Open && value::form(field.content) == value::Form::Text {
                let mut text = Vec::new();
                value::read(field, self.value(element).unwrap_or(&[]), span.units, &mut text);
                debug.field(&format!("de{element}"), &String::from_utf8_lossy(&text));
            } else {
                debug.field(&format!("de{element}"), &self.secret(element));
            }
        }
        debug.finish()
    }
}

/// Appends the header of an answer to a message that came with `header`.
pub fn answer_header(dialect: &Dialect, header: &[u8], out: &mut Vec<u8>) {
    match (dialect.spec.header.kind, header) {
        (HeaderKind::Tpdu, [id, to_high, to_low, from_high, from_low, rest @ ..]) => {
            out.extend_from_slice(&[*id, *from_high, *from_low, *to_high, *to_low]);
            if !rest.is_empty() {
                out.extend_from_slice(rest);
            }
        }
        _ => out.extend_from_slice(header),
    }
}

#[inline]
fn number(field: &Field, body: &[u8], units: u16) -> Option<u64> {
    // What most numbers are.
    if field.content == Content::Bcd && units.is_multiple_of(2) && body.len() <= 8 {
        return Some(digits::packed_number(body));
    }
    number_of_any(field, body, units)
}

fn number_of_any(field: &Field, body: &[u8], units: u16) -> Option<u64> {
    match field.content {
        Content::Bcd if body.len() <= 9 => Some(packed_number(field, body, units)),
        Content::Bcd if units.is_multiple_of(2) => digits::bcd_number(body),
        Content::Bcd => (0..usize::from(units)).try_fold(0u64, |number, place| {
            let digit = u64::from(digit(field, body, units, place)?);
            number.checked_mul(10)?.checked_add(digit)
        }),
        Content::EbcdicDigits | Content::Ebcdic => {
            if !digits::are_ebcdic_digits(body) {
                return None;
            }
            body.iter().try_fold(0u64, |number, byte| {
                number.checked_mul(10)?.checked_add(u64::from(byte & 15))
            })
        }
        Content::AsciiDigits
        | Content::Ascii
        | Content::Printable
        | Content::OfClass(_)
        | Content::Latin1
        | Content::Gbk => digits::ascii_number(body),
        _ => None,
    }
}

/// At most nine bytes of packed digits, which decoding has proven to be digits.
#[inline]
fn packed_number(field: &Field, body: &[u8], units: u16) -> u64 {
    let number = match body.split_last_chunk::<8>() {
        Some(([first], rest)) => {
            let ahead = digits::packed_number(&[*first]).wrapping_mul(10u64.pow(16));
            ahead.wrapping_add(digits::packed_number(rest))
        }
        _ => digits::packed_number(body),
    };
    if units.is_multiple_of(2) {
        return number;
    }
    // The filler is one nibble too many; on the left it may be F, which is worth fifteen.
    match field.side {
        Side::Right => body.last().map_or(0, |last| {
            let filler = u64::from(last & 15);
            number.wrapping_sub(filler) / 10
        }),
        Side::Left => {
            let filler = body.first().map_or(0, |first| u64::from(first >> 4));
            number.wrapping_sub(filler.wrapping_mul(10u64.pow(u32::from(units))))
        }
    }
}

/// The nibble at `place` of a packed value, its filler not counted.
#[inline]
fn digit(field: &Field, body: &[u8], units: u16, place: usize) -> Option<u8> {
    let place = place + usize::from(units % 2 == 1 && field.side == Side::Left);
    let byte = body.get(place / 2)?;
    Some(if place.is_multiple_of(2) { byte >> 4 } else { byte & 15 })
}

/// See [`Message::key`]. Digits become their number, whatever the wire; other text is folded.
#[inline]
fn key(field: &Field, body: &[u8], units: u16) -> u64 {
    let ebcdic = matches!(field.content, Content::Ebcdic | Content::EbcdicDigits);
    let body = match field.content {
        Content::Bcd | Content::TrackBcd | Content::SignedBcd => body,
        _ => trim(body, if ebcdic { 0x40 } else { b' ' }),
    };
    if units <= 18
        && let Some(number) = number(field, body, units)
    {
        return number.wrapping_add(1);
    }
    let mut hash = 0x9E37_79B9_7F4A_7C15u64;
    for chunk in body.chunks(8) {
        let word = chunk.iter().fold(0, |word, byte| {
            let character = if ebcdic { field.code_page.to_latin1(*byte) } else { *byte };
            word << 8 | u64::from(character)
        });
        hash = (hash ^ word).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        hash ^= hash >> 32;
    }
    hash | 1 << 63
}

/// True if the bytes on the wire are not the characters themselves.
const fn is_translated(content: Content) -> bool {
    matches!(content, Content::Ebcdic | Content::EbcdicDigits | Content::Bcd)
}

/// Fixed text is filled with spaces to different sizes in different dialects.
#[inline]
fn trim(body: &[u8], space: u8) -> &[u8] {
    if body.last().is_some_and(|last| *last != space) {
        return body;
    }
    let end = body.iter().rposition(|byte| *byte != space).map_or(0, |place| place + 1);
    body.get(..end).unwrap_or(body)
}
