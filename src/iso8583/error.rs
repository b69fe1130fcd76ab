//! What is wrong with a message: the element, the place, what was needed and what was there.
//!
//! An error never carries message bytes, so that no card data can leave through it.

use std::fmt;

/// A message that breaks its dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    /// The data element; 0 for header and MTI, 1 for bitmaps.
    pub field: u8,
    /// Where, in bytes from the first byte of the header (or of the MTI if there is none).
    pub offset: u32,
    /// Bytes needed there; 0 if the number of bytes is not the matter.
    pub need: u32,
    /// Bytes that were there.
    pub have: u32,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The message ends inside the element.
    Truncated,
    /// Bytes are left behind the last element.
    Trailing,
    /// The header does not begin as the dialect says.
    Header,
    /// The MTI is not four digits.
    Mti,
    /// A bitmap in hexadecimal has another character.
    BitmapDigits,
    /// The bitmap names no element at all.
    BitmapEmpty,
    /// Bit 1 is set in a dialect that always writes 128 bits with bit 1 clear.
    BitmapExtension,
    /// The dialect has no such element, so its length cannot be known.
    UnknownField,
    /// The length is not written in digits.
    LengthDigits,
    /// The length is above the element's maximum.
    TooLong,
    /// A nibble is not a decimal digit.
    Nibble,
    /// The filler nibble is not the one the dialect accepts.
    Filler,
    /// A character is not a decimal digit.
    Digit,
    /// A character is not of the element's class.
    Character,
    /// A character is not hexadecimal.
    HexDigit,
    /// An x+n amount does not begin with a sign.
    Sign,
    /// The inner structure is damaged: a length runs out of the element.
    InnerLength,
    /// The inner structure is nested too deeply.
    InnerDepth,
    /// The inner structure has too many tags.
    InnerCount,
    /// The inner structure has a tag that is malformed or not allowed.
    InnerTag,
    /// The value is longer or shorter than the element can carry.
    Size,
}

impl Reason {
    /// What is wrong, as a lower-case fragment.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Truncated => "the message ends inside this element",
            Self::Trailing => "bytes are left behind the last element",
            Self::Header => "the header does not begin as the dialect says",
            Self::Mti => "the MTI is not four digits",
            Self::BitmapDigits => "the bitmap is not hexadecimal",
            Self::BitmapEmpty => "the bitmap names no element",
            Self::BitmapExtension => "bit 1 is set, but this dialect never sets it",
            Self::UnknownField => "the dialect has no such element",
            Self::LengthDigits => "the length is not written in digits",
            Self::TooLong => "the length is above the element's maximum",
            Self::Nibble => "a nibble is not a decimal digit",
            Self::Filler => "the filler nibble is not the one the dialect accepts",
            Self::Digit => "a character is not a decimal digit",
            Self::Character => "a character is not of the element's class",
            Self::HexDigit => "a character is not hexadecimal",
            Self::Sign => "the amount does not begin with a sign",
            Self::InnerLength => "an inner length runs out of the element",
            Self::InnerDepth => "the inner structure is nested too deeply",
            Self::InnerCount => "the inner structure has too many tags",
            Self::InnerTag => "an inner tag is malformed or not allowed",
            Self::Size => "the value does not fit the element",
        }
    }

    /// True if the element's end is known all the same, so that decoding can go on behind it and
    /// the message can be answered with DE 39 = 30 instead of silence.
    pub const fn is_content(self) -> bool {
        matches!(
            self,
            Self::Nibble
                | Self::Filler
                | Self::Digit
                | Self::Character
                | Self::HexDigit
                | Self::Sign
                | Self::TooLong
                | Self::InnerLength
                | Self::InnerDepth
                | Self::InnerCount
                | Self::InnerTag
                | Self::Trailing
        )
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            0 => write!(f, "header or MTI")?,
            1 => write!(f, "bitmap")?,
            field => write!(f, "DE {field}")?,
        }
        write!(f, " at byte {}: {}", self.offset, self.reason.text())?;
        if self.need > 0 {
            write!(f, " (need {}, have {})", self.need, self.have)?;
        }
        Ok(())
    }
}

impl std::error::Error for DecodeError {}
