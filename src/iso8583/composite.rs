//! Inner structures of an element: tag-length-value in text, length-tag-value, positions, nested
//! bitmaps; BER-TLV lives in [`super::tlv`].
//!
//! An element with an inner structure is still forwarded as raw bytes: what is unknown stays
//! byte-identical. The structure is checked when the message is decoded and walked on demand.

use super::bitmap::Bitmap;
use super::digits;
use super::error::Reason;
use super::field::Field;
use super::spec::{Charset, CodePage, CompositeSpec, Unknown, Wire};
use super::tlv::{self, TlvRules};

/// A compiled inner structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Composite {
    /// EMV BER-TLV.
    Ber(TlvRules),
    /// Tag and length in text or packed digits, then the value (or length, tag, value).
    Text(TextTlv),
    /// Parts by position: names and bytes.
    Positional(Vec<(String, u16)>),
    /// A bitmap and its fields, in wire form.
    Nested(Box<Nested>),
}

/// Tag-length-value with sizes that a dialect declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextTlv {
    /// Characters of the tag, or its bytes where the wire is BCD or binary.
    pub tag_bytes: u8,
    /// Bytes of the length on the wire.
    pub length_bytes: u8,
    /// How tag and length are written.
    pub wire: Wire,
    /// True for length, tag, value, where the length counts the tag.
    pub length_first: bool,
    /// What to do with tags that are not listed.
    pub unknown: Unknown,
    /// Known tags as on the wire; empty knows every tag.
    pub tags: Vec<Vec<u8>>,
}

/// A nested bitmapped structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nested {
    /// How the bitmap is written.
    pub wire: Wire,
    /// Bits of the bitmap, a multiple of 8, at most 64.
    pub bits: u8,
    /// Fields by bit, place 0 unused.
    pub fields: Vec<Field>,
}

/// One part of an inner structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// The tag as on the wire.
    pub tag: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
    /// Bytes in all.
    pub size: usize,
}

impl Composite {
    /// Compiles what a dialect says.
    pub fn compile(spec: &CompositeSpec, charset: Charset, page: CodePage) -> Self {
        match spec {
            CompositeSpec::BerTlv { depth_max, tags_max, unknown, tags } => Self::Ber(TlvRules {
                depth_max: *depth_max,
                tags_max: *tags_max,
                unknown: *unknown,
                tags: tags.clone(),
            }),
            CompositeSpec::Tlv { tag_size, length_size, wire, unknown, tags } => {
                let tags = tags.iter().map(|tag| tag.as_bytes().to_vec()).collect();
                Self::Text(TextTlv {
                    tag_bytes: *tag_size,
                    length_bytes: length_bytes(*length_size, *wire),
                    wire: *wire,
                    length_first: false,
                    unknown: *unknown,
                    tags,
                })
            }
            CompositeSpec::Ltv { length_size, tag_size, wire, unknown, tags } => {
                let tags = tags.iter().map(|tag| tag.as_bytes().to_vec()).collect();
                Self::Text(TextTlv {
                    tag_bytes: *tag_size,
                    length_bytes: length_bytes(*length_size, *wire),
                    wire: *wire,
                    length_first: true,
                    unknown: *unknown,
                    tags,
                })
            }
            CompositeSpec::Positional { parts } => Self::Positional(parts.clone()),
            CompositeSpec::Bitmap { wire, bits, fields } => {
                let compiled = (0..=*bits)
                    .map(|bit| {
                        fields
                            .get(&bit)
                            .map_or(Field::ABSENT, |f| Field::compile(0, f, charset, page))
                    })
                    .collect();
                Self::Nested(Box::new(Nested { wire: *wire, bits: *bits, fields: compiled }))
            }
        }
    }

    /// Proves that `body` has this structure. True if it is EMV data with account data in it.
    pub fn check(&self, body: &[u8]) -> Result<bool, Reason> {
        match self {
            Self::Ber(rules) => return tlv::check(body, rules),
            Self::Text(rules) => rules.check(body)?,
            Self::Positional(parts) => check_positions(body, parts)?,
            Self::Nested(nested) => nested.check(body)?,
        }
        Ok(false)
    }
}

/// Parts from the end may be missing, but a part may not be cut and nothing may follow the last.
fn check_positions(body: &[u8], parts: &[(String, u16)]) -> Result<(), Reason> {
    let mut end = 0;
    for (_, size) in parts {
        if end == body.len() {
            return Ok(());
        }
        end += usize::from(*size);
        if end > body.len() {
            return Err(Reason::InnerLength);
        }
    }
    if end == body.len() { Ok(()) } else { Err(Reason::InnerLength) }
}

impl TextTlv {
    /// The first part of `bytes`; `None` at the end.
    pub fn next<'a>(&self, bytes: &'a [u8]) -> Option<Result<Part<'a>, Reason>> {
        if bytes.is_empty() { None } else { Some(self.part(bytes)) }
    }

    /// The value of `tag`.
    pub fn find<'a>(&self, bytes: &'a [u8], tag: &[u8]) -> Option<&'a [u8]> {
        let mut rest = bytes;
        while let Some(Ok(part)) = self.next(rest) {
            if part.tag == tag {
                return Some(part.value);
            }
            rest = rest.get(part.size..)?;
        }
        None
    }

    fn part<'a>(&self, bytes: &'a [u8]) -> Result<Part<'a>, Reason> {
        let (tag_bytes, length_bytes) =
            (usize::from(self.tag_bytes), usize::from(self.length_bytes));
        let head = tag_bytes + length_bytes;
        if bytes.len() < head {
            return Err(Reason::InnerLength);
        }
        let (tag_at, length_at) =
            if self.length_first { (length_bytes, 0) } else { (0, tag_bytes) };
        let tag = bytes.get(tag_at..tag_at + tag_bytes).ok_or(Reason::InnerLength)?;
        let length = bytes.get(length_at..length_at + length_bytes).ok_or(Reason::InnerLength)?;
        let mut length = self.length(length)?;
        if self.length_first {
            length = length.checked_sub(tag_bytes).ok_or(Reason::InnerLength)?;
        }
        let value = bytes.get(head..head + length).ok_or(Reason::InnerLength)?;
        Ok(Part { tag, value, size: head + length })
    }

    fn length(&self, bytes: &[u8]) -> Result<usize, Reason> {
        let number = match self.wire {
            Wire::Bcd => digits::bcd_number(bytes),
            Wire::Ebcdic if digits::are_ebcdic_digits(bytes) => {
                Some(bytes.iter().fold(0, |n, byte| n * 10 + u64::from(byte & 15)))
            }
            Wire::Ascii => digits::ascii_number(bytes),
            Wire::Binary => Some(bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte))),
            _ => None,
        };
        number.and_then(|n| usize::try_from(n).ok()).ok_or(Reason::InnerLength)
    }

    fn check(&self, body: &[u8]) -> Result<(), Reason> {
        let mut rest = body;
        let mut count = 0;
        while let Some(part) = self.next(rest) {
            let part = part?;
            count += 1;
            if count > crate::base::limits::TLV_TAGS_MAX {
                return Err(Reason::InnerCount);
            }
            let known = self.tags.is_empty() || self.tags.iter().any(|tag| tag == part.tag);
            if !known && self.unknown == Unknown::Reject {
                return Err(Reason::InnerTag);
            }
            rest = rest.get(part.size..).unwrap_or(&[]);
        }
        Ok(())
    }
}

impl Nested {
    /// The bits that are set, and how many bytes the bitmap takes.
    pub fn bitmap(&self, body: &[u8]) -> Result<(Bitmap, usize), Reason> {
        let bytes = usize::from(self.bits / 8);
        let mut word = 0u64;
        let size = match self.wire {
            Wire::Binary => {
                let raw = body.get(..bytes).ok_or(Reason::InnerLength)?;
                word = raw.iter().fold(word, |word, byte| word << 8 | u64::from(*byte));
                bytes
            }
            _ => {
                let text = body.get(..bytes * 2).ok_or(Reason::InnerLength)?;
                let text = std::str::from_utf8(text).map_err(|_| Reason::HexDigit)?;
                word |= u64::from_str_radix(text, 16).map_err(|_| Reason::HexDigit)?;
                bytes * 2
            }
        };
        let shifted = if self.bits == 0 { 0 } else { word << (64 - u32::from(self.bits.min(64))) };
        Ok((Bitmap::from_words([shifted, 0, 0]), size))
    }

    /// Walks the fields: calls `visit` with the bit, its field, its body and its units.
    pub fn walk<'a>(
        &self,
        body: &'a [u8],
        mut visit: impl FnMut(u8, &Field, &'a [u8], u16),
    ) -> Result<(), Reason> {
        let (bitmap, mut at) = self.bitmap(body)?;
        for bit in bitmap.iter() {
            let field = self.fields.get(usize::from(bit)).unwrap_or(&Field::ABSENT);
            if field.shape == super::field::Shape::Absent {
                return Err(Reason::InnerTag);
            }
            let mut units = field.units;
            if field.is_variable() {
                let end = at + usize::from(field.size);
                let length = body.get(at..end).ok_or(Reason::InnerLength)?;
                units = field.length(length)?;
                if units > field.units {
                    return Err(Reason::InnerLength);
                }
                at = end;
            }
            let end = at + usize::from(field.bytes_of(units));
            let value = body.get(at..end).ok_or(Reason::InnerLength)?;
            field.check(value, units)?;
            visit(bit, field, value, units);
            at = end;
        }
        if at == body.len() { Ok(()) } else { Err(Reason::InnerLength) }
    }

    fn check(&self, body: &[u8]) -> Result<(), Reason> {
        self.walk(body, |_, _, _, _| ())
    }
}

const fn length_bytes(size: u8, wire: Wire) -> u8 {
    if matches!(wire, Wire::Bcd) { size.div_ceil(2) } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cup_de59(unknown: Unknown) -> Composite {
        let spec = CompositeSpec::Tlv {
            tag_size: 2,
            length_size: 3,
            wire: Wire::Ascii,
            unknown,
            tags: vec!["A3".into()],
        };
        Composite::compile(&spec, Charset::Ascii, CodePage::Cp500)
    }

    #[test]
    fn text_tags_are_found_and_lengths_are_checked() {
        let Composite::Text(rules) = cup_de59(Unknown::Keep) else { panic!("text") };
        let body = b"A3005hello98002xy";
        assert_eq!(rules.find(body, b"A3"), Some(&b"hello"[..]));
        assert_eq!(rules.find(body, b"98"), Some(&b"xy"[..]));
        assert_eq!(cup_de59(Unknown::Keep).check(body), Ok(false));
        assert_eq!(cup_de59(Unknown::Reject).check(body), Err(Reason::InnerTag));
        for bad in [&b"A3006hello"[..], b"A3-05hello", b"A3", b"A3005hell"] {
            assert_eq!(cup_de59(Unknown::Keep).check(bad), Err(Reason::InnerLength));
        }
    }

    #[test]
    fn length_first_counts_the_tag() {
        let spec = CompositeSpec::Ltv {
            length_size: 4,
            tag_size: 1,
            wire: Wire::Bcd,
            unknown: Unknown::Keep,
            tags: vec![],
        };
        let composite = Composite::compile(&spec, Charset::Ascii, CodePage::Cp500);
        assert_eq!(composite.check(&[0, 3, 0x42, 1, 2, 0, 1, 0x43]), Ok(false));
        assert_eq!(composite.check(&[0, 0, 0x42]), Err(Reason::InnerLength));
        assert_eq!(composite.check(&[0, 4, 0x42, 1, 2]), Err(Reason::InnerLength));
    }

    #[test]
    fn positions_may_end_early_but_not_inside_a_part() {
        let parts = vec![("type".into(), 2), ("batch".into(), 6), ("code".into(), 3)];
        let composite = Composite::Positional(parts);
        for (length, good) in [(0, true), (2, true), (5, false), (8, true), (11, true), (12, false)]
        {
            assert_eq!(composite.check(&vec![b'0'; length]).is_ok(), good, "{length}");
        }
    }
}
