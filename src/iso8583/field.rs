//! One compiled data element: its wire form reduced to two small enums and a few numbers.
//!
//! The decoder's inner loop is a match over [`Shape`] (where does the element end?) and one over
//! [`Content`] (are the bytes what they must be?). Every axis of a dialect file ends up in one of
//! them at load time; nothing about the file is looked up per message.

use super::digits::{self, class};
use super::error::Reason;
use super::spec::{Charset, Class, CodePage, Counts, Extent, FieldSpec, LengthWire, Side, Wire};
use crate::base::pan::Secrecy;

/// A compiled element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Whether it can be proven together with its neighbours.
    pub run: Run,
    /// Where the element ends.
    pub shape: Shape,
    /// What its bytes must be.
    pub content: Content,
    /// Fixed: bytes on the wire. Variable: bytes of the length.
    pub size: u16,
    /// Fixed: units. Variable: most units.
    pub units: u16,
    /// Units that one byte of the body holds, times two: 4 for BCD, 2 for characters and bytes, 1
    /// for hexadecimal.
    pub density: u8,
    /// True if the length counts bytes on the wire instead of units.
    pub counts_bytes: bool,
    /// Filler of an odd BCD element.
    pub side: Side,
    /// The filler written.
    pub filler: u8,
    /// Fillers accepted, as a set of nibbles.
    pub fillers: u16,
    /// 1 + place of the inner structure in its dialect; 0 for none.
    pub inner: u8,
    /// What must not be shown.
    pub secrecy: Secrecy,
    /// Code page of EBCDIC forms.
    pub code_page: CodePage,
}

/// Elements whose bytes obey one rule each by itself: where several of them stand side by side, as
/// they mostly do, all their bytes are proven at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// Not so.
    Alone,
    /// Packed digits. A filler of 0 is a digit too.
    Packed,
    /// Printable ASCII.
    Printable,
    /// ASCII digits.
    Digits,
    /// ASCII letters, digits and space.
    Alphanumeric,
}

/// Where an element ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The dialect has no such element.
    Absent,
    /// Always `size` bytes.
    Fixed,
    /// A length of `size` packed bytes; the top nibble of an odd number of digits is 0.
    LengthBcd,
    /// The same, but the top nibble may be a digit.
    LengthBcdEven,
    /// A length of `size` ASCII digits.
    LengthAscii,
    /// A length of `size` EBCDIC digits.
    LengthEbcdic,
    /// A length of `size` big-endian bytes.
    LengthBinary,
}

/// What the bytes of an element must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Anything.
    Bytes,
    /// Packed digits.
    Bcd,
    /// Packed track data: digits, `D`, `F`.
    TrackBcd,
    /// One sign character, then packed digits.
    SignedBcd,
    /// ASCII digits.
    AsciiDigits,
    /// ASCII below 0x80.
    Ascii,
    /// Printable ASCII.
    Printable,
    /// ASCII of the classes in the table ([`class`]).
    OfClass(u8),
    /// ASCII sign, then ASCII digits.
    SignedAscii,
    /// Any text byte (8-bit charset), shown as ISO 8859-1.
    Latin1,
    /// Any text byte, shown as GBK.
    Gbk,
    /// EBCDIC digits.
    EbcdicDigits,
    /// EBCDIC text.
    Ebcdic,
    /// EBCDIC sign, then EBCDIC digits.
    SignedEbcdic,
    /// Bytes as ASCII hexadecimal.
    Hex,
    /// Bytes as EBCDIC hexadecimal.
    HexEbcdic,
    /// A bitmap that extends the message.
    Bitmap,
}

impl Field {
    /// An element that the dialect does not have.
    pub const ABSENT: Self = Self {
        run: Run::Alone,
        shape: Shape::Absent,
        content: Content::Bytes,
        size: 0,
        units: 0,
        density: 2,
        counts_bytes: false,
        side: Side::Left,
        filler: 0,
        fillers: 1,
        inner: 0,
        secrecy: Secrecy::Open,
        code_page: CodePage::Cp500,
    };

    /// Compiles what a dialect says about `element`.
    pub fn compile(element: u8, spec: &FieldSpec, charset: Charset, page: CodePage) -> Self {
        let density = match (spec.wire, spec.class) {
            (Wire::Bcd, _) => 4,
            (Wire::Hex | Wire::HexEbcdic, _) => 1,
            _ => 2,
        };
        let mut field = Self {
            content: content(element, spec, charset),
            density,
            side: spec.pad.side,
            filler: spec.pad.nibble,
            fillers: spec
                .accepts
                .iter()
                .fold(1 << spec.pad.nibble, |set, nibble| set | 1 << nibble),
            secrecy: spec.secret.unwrap_or_else(|| default_secrecy(element)),
            code_page: page,
            ..Self::ABSENT
        };
        field.run = match field.content {
            Content::Bcd => Run::Packed,
            Content::Printable => Run::Printable,
            Content::AsciiDigits => Run::Digits,
            Content::OfClass(ALPHANUMERIC) => Run::Alphanumeric,
            _ => Run::Alone,
        };
        let counts_bytes = matches!(spec.extent, Extent::Variable { counts: Counts::Bytes, .. });
        if counts_bytes || spec.inner.is_some() {
            field.run = Run::Alone;
        }
        match spec.extent {
            Extent::Fixed(units) => {
                field.shape = Shape::Fixed;
                field.units = units;
                field.size = field.bytes_of(units);
            }
            Extent::Variable { max, length, size, counts } => {
                field.units = max.min(u32::from(u16::MAX)) as u16;
                field.counts_bytes = counts == Counts::Bytes;
                (field.shape, field.size) = match length {
                    LengthWire::Bcd if size % 2 == 0 => {
                        (Shape::LengthBcdEven, u16::from(size).div_ceil(2))
                    }
                    LengthWire::Bcd => (Shape::LengthBcd, u16::from(size).div_ceil(2)),
                    LengthWire::Ascii => (Shape::LengthAscii, u16::from(size)),
                    LengthWire::Ebcdic => (Shape::LengthEbcdic, u16::from(size)),
                    LengthWire::Binary => (Shape::LengthBinary, u16::from(size)),
                };
            }
        }
        field
    }

    /// Bytes on the wire of `units` units, without the length.
    #[inline]
    pub const fn bytes_of(&self, units: u16) -> u16 {
        match self.content {
            // The sign is a character of its own in front of the packed digits.
            Content::SignedBcd => 1 + units.saturating_sub(1).div_ceil(2),
            _ => match self.density {
                4 => units.div_ceil(2),
                1 => units.saturating_mul(2),
                _ => units,
            },
        }
    }

    /// True if the element has a length of its own.
    pub const fn is_variable(&self) -> bool {
        !matches!(self.shape, Shape::Fixed | Shape::Absent)
    }

    /// True if both write the same value to the same bytes, so that raw bytes may be copied.
    pub fn same_wire(&self, other: &Self) -> bool {
        self.shape == other.shape
            && self.size == other.size
            && self.density == other.density
            && self.counts_bytes == other.counts_bytes
            && self.code_page_matters(other)
            && self.content.wire() == other.content.wire()
            && (self.units == other.units || (self.is_variable() && self.units <= other.units))
            && (self.density != 4 || (self.side, self.filler) == (other.side, other.filler))
    }

    fn code_page_matters(&self, other: &Self) -> bool {
        !matches!(self.content, Content::Ebcdic) || self.code_page == other.code_page
    }

    /// Reads the length at the front of `bytes` (exactly `size` of them) as units.
    #[inline(always)]
    pub fn length(&self, bytes: &[u8]) -> Result<u16, Reason> {
        let number = match self.shape {
            Shape::LengthBcd | Shape::LengthBcdEven => match *bytes {
                [one] if one >> 4 <= 9 && one & 15 <= 9 => u32::from((one >> 4) * 10 + (one & 15)),
                [high, low] if digits::are_bcd(&[high, low]) => {
                    if self.shape == Shape::LengthBcd && high > 9 {
                        return Err(Reason::LengthDigits);
                    }
                    u32::from((high >> 4) * 10 + (high & 15)) * 100
                        + u32::from((low >> 4) * 10 + (low & 15))
                }
                [_] | [_, _] => return Err(Reason::LengthDigits),
                _ => {
                    digits::bcd_number(bytes).ok_or(Reason::LengthDigits)?.min(u64::from(u32::MAX))
                        as u32
                }
            },
            Shape::LengthAscii => digits::ascii_number(bytes)
                .ok_or(Reason::LengthDigits)?
                .min(u64::from(u32::MAX)) as u32,
            Shape::LengthEbcdic => {
                if !digits::are_ebcdic_digits(bytes) {
                    return Err(Reason::LengthDigits);
                }
                bytes
                    .iter()
                    .fold(0u32, |n, b| n.saturating_mul(10).saturating_add(u32::from(b & 15)))
            }
            Shape::LengthBinary => {
                bytes.iter().fold(0u32, |n, b| n.saturating_mul(256).saturating_add(u32::from(*b)))
            }
            Shape::Fixed | Shape::Absent => u32::from(self.units),
        };
        if self.counts_bytes && self.density == 1 && !number.is_multiple_of(2) {
            return Err(Reason::HexDigit);
        }
        let units = if self.counts_bytes {
            number.saturating_mul(u32::from(self.density)) / 2
        } else {
            number
        };
        // What a 16-bit span cannot hold cannot be in a frame either: truncation tells.
        Ok(units.min(u32::from(u16::MAX)) as u16)
    }

    /// What a hexadecimal character of this element stands for; 0 if it is none.
    pub(super) fn hex_digit(&self, character: u8) -> u8 {
        let ebcdic = self.content == Content::HexEbcdic;
        let ascii = if ebcdic { self.code_page.to_latin1(character) } else { character };
        char::from(ascii).to_digit(16).unwrap_or(0) as u8
    }

    /// Where the length counts bytes, an odd number of packed digits shows only in its filler: 1 if
    /// there is one, which a decimal digit never is.
    pub(super) fn filler_units(&self, body: &[u8]) -> u16 {
        let filler = match self.side {
            Side::Left => body.first().map(|byte| byte >> 4),
            Side::Right => body.last().map(|byte| byte & 15),
        };
        let seen = |nibble| nibble > 9 && self.fillers >> nibble & 1 == 1;
        u16::from(self.density == 4 && filler.is_some_and(seen))
    }

    /// Checks the bytes of a value of `units` units.
    #[inline(always)]
    pub fn check(&self, body: &[u8], units: u16) -> Result<(), Reason> {
        let ok = match self.content {
            Content::Bytes | Content::Latin1 | Content::Gbk | Content::Ebcdic | Content::Bitmap => {
                return Ok(());
            }
            Content::Bcd => return self.check_packed(body, units, digits::are_bcd),
            Content::Printable => digits::are_printable(body),
            Content::Ascii => digits::are_7bit(body),
            Content::OfClass(ALPHANUMERIC) => digits::are_alphanumeric(body),
            Content::OfClass(classes) => digits::are_of(body, classes),
            Content::AsciiDigits => {
                return if digits::are_ascii_digits(body) { Ok(()) } else { Err(Reason::Digit) };
            }
            Content::TrackBcd => return self.check_packed(body, units, digits::are_track),
            _ => return self.check_rare(body, units),
        };
        if ok { Ok(()) } else { Err(Reason::Character) }
    }

    /// Packed digits: all nibbles but the filler are good by `are_good`.
    #[inline(always)]
    fn check_packed(
        &self,
        body: &[u8],
        units: u16,
        are_good: impl Fn(&[u8]) -> bool,
    ) -> Result<(), Reason> {
        if units.is_multiple_of(2) {
            return if are_good(body) { Ok(()) } else { Err(Reason::Nibble) };
        }
        let (filler, digit, rest) = match self.side {
            Side::Left => match body.split_first() {
                Some((first, rest)) => (first >> 4, first & 15, rest),
                None => return Ok(()),
            },
            Side::Right => match body.split_last() {
                Some((last, rest)) => (last & 15, last >> 4, rest),
                None => return Ok(()),
            },
        };
        if self.fillers >> filler & 1 == 0 {
            return Err(Reason::Filler);
        }
        if are_good(&[digit]) && are_good(rest) { Ok(()) } else { Err(Reason::Nibble) }
    }

    #[inline(never)]
    fn check_rare(&self, body: &[u8], units: u16) -> Result<(), Reason> {
        match self.content {
            Content::EbcdicDigits if !digits::are_ebcdic_digits(body) => Err(Reason::Digit),
            Content::Hex if !digits::are_of(body, class::HEX) => Err(Reason::HexDigit),
            Content::HexEbcdic => {
                let hex = |byte: &u8| {
                    class::TABLE[usize::from(self.code_page.to_latin1(*byte))] & class::HEX != 0
                };
                if body.iter().all(hex) { Ok(()) } else { Err(Reason::HexDigit) }
            }
            Content::SignedAscii | Content::SignedBcd | Content::SignedEbcdic => {
                let Some((sign, number)) = body.split_first() else { return Err(Reason::Sign) };
                let ebcdic = self.content == Content::SignedEbcdic;
                let sign = if ebcdic { self.code_page.to_latin1(*sign) } else { *sign };
                if !matches!(sign, b'C' | b'D' | b'0' | b'+' | b'-' | b' ') {
                    return Err(Reason::Sign);
                }
                match self.content {
                    Content::SignedBcd => {
                        let left = Self { side: Side::Left, ..*self };
                        left.check_packed(number, units.saturating_sub(1), digits::are_bcd)
                    }
                    Content::SignedEbcdic if digits::are_ebcdic_digits(number) => Ok(()),
                    Content::SignedAscii if digits::are_ascii_digits(number) => Ok(()),
                    _ => Err(Reason::Digit),
                }
            }
            _ => Ok(()),
        }
    }
}

impl Run {
    /// True if `bytes` obey the rule.
    #[inline(always)]
    pub(super) fn holds(self, bytes: &[u8]) -> bool {
        match self {
            Self::Alone => true,
            Self::Packed => digits::are_bcd(bytes),
            Self::Printable => digits::are_printable(bytes),
            Self::Digits => digits::are_ascii_digits(bytes),
            Self::Alphanumeric => digits::are_alphanumeric(bytes),
        }
    }
}

impl Content {
    /// The content with its class forgotten: what matters for copying raw bytes.
    const fn wire(self) -> Self {
        match self {
            Self::AsciiDigits
            | Self::Printable
            | Self::OfClass(_)
            | Self::SignedAscii
            | Self::Latin1
            | Self::Gbk => Self::Ascii,
            Self::EbcdicDigits | Self::SignedEbcdic => Self::Ebcdic,
            Self::TrackBcd => Self::Bcd,
            other => other,
        }
    }

    /// True if the value is decimal digits only.
    pub const fn is_numeric(self) -> bool {
        matches!(self, Self::Bcd | Self::AsciiDigits | Self::EbcdicDigits)
    }
}

/// The class `an`.
const ALPHANUMERIC: u8 = class::ALPHA | class::DIGIT | class::SPACE;

fn content(element: u8, spec: &FieldSpec, charset: Charset) -> Content {
    let track = matches!(element, 35 | 36) && spec.class.is_none_or(|class| class == Class::Z);
    match (spec.wire, spec.class) {
        (_, Some(Class::Bitmap)) => Content::Bitmap,
        (Wire::Bcd, Some(Class::XN)) => Content::SignedBcd,
        (Wire::Bcd, _) if track => Content::TrackBcd,
        (Wire::Bcd, _) => Content::Bcd,
        (Wire::Binary, _) => Content::Bytes,
        (Wire::Hex, _) => Content::Hex,
        (Wire::HexEbcdic, _) => Content::HexEbcdic,
        (Wire::Ascii, Some(Class::N)) => Content::AsciiDigits,
        (Wire::Ascii, Some(Class::A)) => Content::OfClass(class::ALPHA | class::SPACE),
        (Wire::Ascii, Some(Class::An)) => Content::OfClass(ALPHANUMERIC),
        (Wire::Ascii, Some(Class::Z)) => Content::OfClass(class::DIGIT | class::TRACK),
        (Wire::Ascii, Some(Class::XN)) => Content::SignedAscii,
        (Wire::Ascii, class) => match (charset, class) {
            (Charset::Latin1, _) => Content::Latin1,
            (Charset::Gbk, _) => Content::Gbk,
            (Charset::Ascii, Some(_)) => Content::Printable,
            (Charset::Ascii, None) => Content::Ascii,
        },
        (Wire::Ebcdic, Some(Class::N)) => Content::EbcdicDigits,
        (Wire::Ebcdic, Some(Class::XN)) => Content::SignedEbcdic,
        (Wire::Ebcdic, _) => Content::Ebcdic,
    }
}

/// What the standard's elements hide (PCI DSS 3.3, 3.4), unless a dialect says otherwise.
const fn default_secrecy(element: u8) -> Secrecy {
    match element {
        2 | 34 => Secrecy::Pan,
        35 | 36 | 45 => Secrecy::Track,
        52 => Secrecy::Pin,
        55 => Secrecy::Emv,
        _ => Secrecy::Open,
    }
}
