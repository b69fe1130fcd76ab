//! Values apart from their wire form: digits and text as characters, binary as bytes.
//!
//! This is where unlike dialects meet: a value is read from one wire form into this neutral one
//! and written to the other. It is also the notation people see: track 2 has `=` whatever the
//! wire says, packed digits are digits, an x+n amount is a sign and digits.

use super::error::Reason;
use super::field::{Content, Field, Shape};
use super::spec::Side;

/// The neutral form of an element's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// ISO 8859-1 characters (or the bytes of an 8-bit charset).
    Text,
    /// Bytes.
    Bytes,
}

/// The neutral form of what `content` carries.
pub const fn form(content: Content) -> Form {
    match content {
        Content::Bytes | Content::Hex | Content::HexEbcdic | Content::Bitmap => Form::Bytes,
        _ => Form::Text,
    }
}

/// Appends the neutral form of a sound value to `out`.
pub fn read(field: &Field, body: &[u8], units: u16, out: &mut Vec<u8>) {
    match field.content {
        Content::Bcd | Content::TrackBcd => read_nibbles(field, body, units, out),
        Content::SignedBcd => {
            if let Some((sign, packed)) = body.split_first() {
                out.push(*sign);
                let left = Field { side: Side::Left, ..*field };
                read_nibbles(&left, packed, units.saturating_sub(1), out);
            }
        }
        Content::Ebcdic | Content::EbcdicDigits | Content::SignedEbcdic => {
            let table = field.code_page.table();
            out.extend(body.iter().map(|byte| table[usize::from(*byte)]));
        }
        Content::Hex | Content::HexEbcdic => {
            for pair in body.chunks_exact(2) {
                let byte = pair.iter().fold(0, |byte, c| byte << 4 | field.hex_digit(*c));
                out.push(byte);
            }
        }
        _ => out.extend_from_slice(body),
    }
}

fn read_nibbles(field: &Field, body: &[u8], units: u16, out: &mut Vec<u8>) {
    let skip = usize::from(units % 2 == 1 && field.side == Side::Left);
    for place in skip..skip + usize::from(units) {
        let Some(byte) = body.get(place / 2) else { return };
        let nibble = if place % 2 == 0 { byte >> 4 } else { byte & 15 };
        out.push(match nibble {
            0..=9 => b'0' + nibble,
            0xD => b'=',
            _ => b'A' + nibble - 10,
        });
    }
}

/// Appends `value` in the element's wire form, length and all.
///
/// # Errors
///
/// [`Reason::Size`] if it has not the size the element needs, else what the check of the content
/// finds. `out` is then as it was.
pub fn write(field: &Field, value: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    let start = out.len();
    let result = write_unchecked(field, value, out).and_then(|()| {
        let length = if field.is_variable() { usize::from(field.size) } else { 0 };
        let body = out.get(start + length..).unwrap_or(&[]);
        field.check(body, value.len() as u16)
    });
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn write_unchecked(field: &Field, value: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    let units = u16::try_from(value.len()).map_err(|_| Reason::Size)?;
    match field.shape {
        Shape::Absent => return Err(Reason::UnknownField),
        Shape::Fixed if units != field.units => return Err(Reason::Size),
        _ if units > field.units => return Err(Reason::TooLong),
        _ => {}
    }
    if field.is_variable() {
        let bytes = field.bytes_of(units);
        // A length in bytes cannot tell a decimal filler from a digit.
        if field.counts_bytes && field.density == 4 && units % 2 == 1 && field.filler <= 9 {
            return Err(Reason::Size);
        }
        write_length(field, if field.counts_bytes { bytes } else { units }, out)?;
    }
    match field.content {
        Content::Bcd | Content::TrackBcd => write_nibbles(field, value, out)?,
        Content::SignedBcd => {
            let (sign, number) = value.split_first().ok_or(Reason::Sign)?;
            out.push(*sign);
            write_nibbles(&Field { side: Side::Left, ..*field }, number, out)?;
        }
        Content::Ebcdic | Content::EbcdicDigits | Content::SignedEbcdic => {
            let table = field.code_page.inverse();
            out.extend(value.iter().map(|character| table[usize::from(*character)]));
        }
        Content::Hex | Content::HexEbcdic => {
            for byte in value {
                for nibble in [byte >> 4, byte & 15] {
                    let digit = b"0123456789ABCDEF"[usize::from(nibble)];
                    out.push(if field.content == Content::HexEbcdic {
                        field.code_page.from_latin1(digit)
                    } else {
                        digit
                    });
                }
            }
        }
        _ => out.extend_from_slice(value),
    }
    Ok(())
}

/// Writes a length, refusing what its digits cannot say.
pub fn write_length(field: &Field, number: u16, out: &mut Vec<u8>) -> Result<(), Reason> {
    let start = out.len();
    let size = usize::from(field.size);
    out.resize(start + size, 0);
    let mut rest = u32::from(number);
    for slot in out.get_mut(start..).unwrap_or(&mut []).iter_mut().rev() {
        let (value, radix) = match field.shape {
            Shape::LengthBcd | Shape::LengthBcdEven => {
                ((rest / 10 % 10 * 16 + rest % 10) as u8, 100)
            }
            Shape::LengthAscii => (b'0' + (rest % 10) as u8, 10),
            Shape::LengthEbcdic => (0xF0 + (rest % 10) as u8, 10),
            _ => (rest as u8, 256),
        };
        *slot = value;
        rest /= radix;
    }
    let top = out.get(start).copied().unwrap_or(0);
    if rest > 0 || (field.shape == Shape::LengthBcd && top > 9) {
        return Err(Reason::TooLong);
    }
    Ok(())
}

fn write_nibbles(field: &Field, value: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    let nibble = |character: u8| match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'=' | b'D' if field.content == Content::TrackBcd => Ok(0xD),
        b'F' if field.content == Content::TrackBcd => Ok(0xF),
        _ => Err(Reason::Digit),
    };
    let mut rest = value;
    if value.len() % 2 == 1 && field.side == Side::Left {
        let (first, others) = value.split_first().ok_or(Reason::Size)?;
        out.push(field.filler << 4 | nibble(*first)?);
        rest = others;
    }
    let mut pairs = rest.chunks_exact(2);
    for pair in &mut pairs {
        let (high, low) = (nibble(pair[0])?, nibble(pair[1])?);
        out.push(high << 4 | low);
    }
    if let [last] = pairs.remainder() {
        out.push(nibble(*last)? << 4 | field.filler);
    }
    Ok(())
}

/// Fits a neutral value into the size `field` has: numbers gain or lose zeros on the left, text
/// gains or loses spaces on the right. Nothing else is ever lost.
///
/// # Errors
///
/// [`Reason::Size`] if a digit or character would be lost.
pub fn fit(field: &Field, value: &mut Vec<u8>) -> Result<(), Reason> {
    let units = usize::from(field.units);
    let numeric = field.content.is_numeric();
    if field.shape == Shape::Fixed && value.len() < units && form(field.content) == Form::Text {
        let missing = units - value.len();
        if numeric {
            value.splice(0..0, std::iter::repeat_n(b'0', missing));
        } else {
            value.resize(units, b' ');
        }
    }
    while value.len() > units {
        match (numeric, value.first(), value.last()) {
            (true, Some(b'0'), _) => {
                value.remove(0);
            }
            (false, _, Some(b' ')) => {
                value.pop();
            }
            _ => return Err(Reason::Size),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iso8583::spec::{Charset, CodePage, Extent, FieldSpec, LengthWire, Pad, Wire};

    fn field(spec: &FieldSpec) -> Field {
        Field::compile(60, spec, Charset::Ascii, CodePage::Cp500)
    }

    fn variable(wire: Wire, max: u32, length: LengthWire, size: u8) -> FieldSpec {
        let extent =
            Extent::Variable { max, length, size, counts: crate::iso8583::spec::Counts::Units };
        FieldSpec { wire, extent, ..FieldSpec::default() }
    }

    #[test]
    fn non_digits_are_not_packed() {
        let bcd =
            field(&FieldSpec { wire: Wire::Bcd, extent: Extent::Fixed(4), ..FieldSpec::default() });
        let mut out = vec![9];
        assert_eq!(write(&bcd, b"EFGH", &mut out), Err(Reason::Digit));
        assert_eq!(out, [9]);
    }

    #[test]
    fn leading_zeros_survive() {
        let bcd = field(&FieldSpec {
            wire: Wire::Bcd,
            extent: Extent::Fixed(5),
            pad: Pad { side: Side::Right, nibble: 0xF },
            ..FieldSpec::default()
        });
        let mut out = Vec::new();
        write(&bcd, b"00042", &mut out).expect("fits");
        assert_eq!(out, [0x00, 0x04, 0x2F]);
        let mut value = Vec::new();
        read(&bcd, &out, 5, &mut value);
        assert_eq!(value, b"00042");
    }

    #[test]
    fn lengths_that_their_digits_cannot_say_are_refused() {
        let text = field(&variable(Wire::Ascii, 999, LengthWire::Bcd, 2));
        let mut out = Vec::new();
        assert_eq!(write(&text, &[b'a'; 100], &mut out), Err(Reason::TooLong));
        assert!(out.is_empty());
        write(&text, &[b'a'; 99], &mut out).expect("fits");
        assert_eq!((out[0], out.len()), (0x99, 100));
        let three = field(&variable(Wire::Binary, 999, LengthWire::Bcd, 3));
        out.clear();
        write(&three, &[0; 999], &mut out).expect("fits");
        assert_eq!(out[..2], [0x09, 0x99]);
    }

    #[test]
    fn lengths_in_bytes_tell_odd_digits_by_their_filler() {
        let extent = Extent::Variable {
            max: 19,
            length: LengthWire::Bcd,
            size: 2,
            counts: crate::iso8583::spec::Counts::Bytes,
        };
        let pad = Pad { side: Side::Right, nibble: 0xF };
        let spec = FieldSpec { wire: Wire::Bcd, extent, pad, ..FieldSpec::default() };
        let f = field(&spec);
        let mut out = Vec::new();
        write(&f, b"123", &mut out).expect("fits");
        assert_eq!(out, [0x02, 0x12, 0x3F]);
        assert_eq!((f.length(&[0x02]), f.filler_units(&[0x12, 0x3F])), (Ok(4), 1));
        assert_eq!(f.filler_units(&[0x12, 0x34]), 0);
        let zero = field(&FieldSpec { pad: Pad::default(), ..spec });
        assert_eq!(write(&zero, b"123", &mut out), Err(Reason::Size));
        let hex = Extent::Variable {
            max: 40,
            length: LengthWire::Binary,
            size: 4,
            counts: crate::iso8583::spec::Counts::Bytes,
        };
        let hex = field(&FieldSpec { wire: Wire::Hex, extent: hex, ..FieldSpec::default() });
        assert_eq!(hex.length(&[0, 0, 0, 4]), Ok(2));
        assert_eq!(hex.length(&[0, 0, 0, 5]), Err(Reason::HexDigit));
        let wide = Field { density: 4, ..hex };
        assert_eq!(wide.length(&[0xFF; 4]), Ok(u16::MAX));
    }

    #[test]
    fn fitting_loses_nothing_but_fill() {
        let number =
            field(&FieldSpec { wire: Wire::Bcd, extent: Extent::Fixed(4), ..FieldSpec::default() });
        let mut value = b"021".to_vec();
        fit(&number, &mut value).expect("fits");
        assert_eq!(value, b"0021");
        let mut value = b"00021".to_vec();
        fit(&number, &mut value).expect("fits");
        assert_eq!(value, b"0021");
        assert_eq!(fit(&number, &mut b"12345".to_vec()), Err(Reason::Size));
    }
}
