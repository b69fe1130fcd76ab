//! The wire: where a frame ends, and where the fields of its message lie.
//!
//! This is a walk over a table of field widths and nothing more. It does not validate content
//! and knows no other dialect than packed BCD with a binary bitmap: the load test shares no code
//! with the switch it measures, so a mistake in one is seen by the other.
//!
//! ```text
//! | length: 2 bytes | TPDU: 5 bytes, optional | MTI: 2 | bitmap: 8 or 16 | fields ... |
//!   counts the rest   60 destination source
//! ```

/// What stands between the length prefix and the MTI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A 5-byte TPDU whose two addresses are swapped in the answer.
    Tpdu,
    /// Nothing: the MTI follows the length.
    Bare,
}

impl Form {
    /// Where the MTI begins in a frame, in bytes from its length prefix.
    pub(crate) fn mti_at(self) -> usize {
        match self {
            Form::Tpdu => LENGTH_BYTES + TPDU_BYTES,
            Form::Bare => LENGTH_BYTES,
        }
    }
}

/// The whole size in bytes of the frame that begins at `at`, once all of it is there.
#[inline]
pub(crate) fn whole(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let &[high, low] = rest.first_chunk::<LENGTH_BYTES>()?;
    let size = usize::from(u16::from_be_bytes([high, low])) + LENGTH_BYTES;
    (size <= rest.len()).then_some(size)
}

/// A field as it lies in its frame: number, first byte (of the length, if it has one), end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) de: u8,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Shows every present field to `visit` in order until it returns false. None if the frame ends
/// before its fields do.
#[inline]
pub(crate) fn walk(frame: &[u8], form: Form, mut visit: impl FnMut(Field) -> bool) -> Option<()> {
    let mut at = form.mti_at() + MTI_BYTES;
    let first = bitmap(frame, at)?;
    at += BITMAP_BYTES;
    let mut second = 0;
    if first & TOP_BIT != 0 {
        second = bitmap(frame, at)?;
        at += BITMAP_BYTES;
    }
    for (base, half) in [(0, first & !TOP_BIT), (64, second)] {
        let mut bits = half;
        while bits != 0 {
            let lead = bits.leading_zeros();
            bits &= !(TOP_BIT >> lead);
            let index = base + lead as usize;
            let end = at + width(frame, at, WIDTHS[index & 127])?;
            if end > frame.len() {
                return None;
            }
            if !visit(Field { de: index as u8 + 1, start: at, end }) {
                return Some(());
            }
            at = end;
        }
    }
    Some(())
}

/// How the size of a field is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// So many bytes, always.
    Fixed(usize),
    /// Two digits of length (one byte) that count digits.
    LlDigits,
    /// Two digits of length (one byte) that count bytes.
    LlBytes,
    /// Three digits of length (two bytes) that count bytes.
    LllBytes,
}

/// How the size of this field is known.
pub(crate) fn width_of(de: u8) -> Width {
    match WIDTHS[usize::from(de.wrapping_sub(1)) & 127] {
        LL_DIGITS => Width::LlDigits,
        LL_BYTES => Width::LlBytes,
        LLL_BYTES => Width::LllBytes,
        fixed => Width::Fixed(usize::from(fixed)),
    }
}

/// The digits of a STAN (or any other 3-byte packed field) as a number.
#[inline]
pub(crate) fn number_of_bcd(bytes: [u8; 3]) -> u32 {
    bytes.iter().fold(0, |sum, &pair| sum * 100 + bcd_pair(pair) as u32)
}

/// A number below 1,000,000 as 3 bytes of packed digits.
#[inline]
pub(crate) fn bcd_of_number(number: u32) -> [u8; 3] {
    let pair = |value: u32| (((value / 10) << 4) | (value % 10)) as u8;
    [pair(number / 10_000 % 100), pair(number / 100 % 100), pair(number % 100)]
}

#[inline]
fn width(frame: &[u8], at: usize, width: u8) -> Option<usize> {
    let digits_to_bytes = |digits: usize| digits.div_ceil(2);
    Some(match width {
        LL_DIGITS => 1 + digits_to_bytes(bcd_pair(*frame.get(at)?)),
        LL_BYTES => 1 + bcd_pair(*frame.get(at)?),
        LLL_BYTES => 2 + bcd_pair(*frame.get(at)?) * 100 + bcd_pair(*frame.get(at + 1)?),
        fixed => usize::from(fixed),
    })
}

#[inline]
fn bcd_pair(byte: u8) -> usize {
    usize::from(byte >> 4) * 10 + usize::from(byte & 0x0F)
}

#[inline]
fn bitmap(frame: &[u8], at: usize) -> Option<u64> {
    frame.get(at..)?.first_chunk().map(|&bytes| u64::from_be_bytes(bytes))
}

/// Size of the length prefix in bytes.
pub(crate) const LENGTH_BYTES: usize = 2;
/// Size of a TPDU in bytes.
pub(crate) const TPDU_BYTES: usize = 5;
/// Size of a message type indicator in bytes.
pub(crate) const MTI_BYTES: usize = 2;
/// Size of one bitmap in bytes.
pub(crate) const BITMAP_BYTES: usize = 8;
/// The largest frame the length prefix can announce, in bytes.
pub(crate) const FRAME_BYTES_MAX: usize = LENGTH_BYTES + u16::MAX as usize;

const TOP_BIT: u64 = 1 << 63;
const LL_DIGITS: u8 = 0xF1;
const LL_BYTES: u8 = 0xF2;
const LLL_BYTES: u8 = 0xF3;

/// Width of every field, DE 1 first: bytes if fixed, else one of the three marks above.
#[rustfmt::skip]
const WIDTHS: [u8; 128] = [
    8, LL_DIGITS, 3, 6, 6, 6, 5, 4, 4, 4, 3, 3, 2, 2, 2, 2, // 1 to 16
    2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 5, 5, 5, 5, LL_DIGITS, // 17 to 32
    LL_DIGITS, LL_BYTES, LL_DIGITS, LLL_BYTES, 12, 6, 2, 3, 8, 15, 40, // 33 to 43
    LL_BYTES, LL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES, 3, 3, 3, 8, 8, // 44 to 53
    LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES,
    LLL_BYTES, LLL_BYTES, 8, // 54 to 64
    1, 1, 1, 2, 2, 2, 2, 2, 3, 5, 5, 5, 5, 5, 5, 5, // 65 to 80
    5, 6, 6, 6, 6, 8, 8, 8, 8, 21, 1, 2, 5, 7, 42, 8, // 81 to 96
    9, 25, LL_DIGITS, LL_DIGITS, LL_BYTES, LL_BYTES, LL_BYTES, LLL_BYTES, // 97 to 104
    LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES,
    LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES,
    LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES, LLL_BYTES, 8, // 105 to 128
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_whole_only_with_its_last_byte() {
        let bytes = [0, 3, 1, 2, 3, 0];
        assert_eq!(whole(&bytes, 0), Some(5));
        assert_eq!(whole(&bytes[..4], 0), None);
        assert_eq!(whole(&bytes, 5), None);
    }

    #[test]
    fn a_walk_sees_each_field_where_it_lies() {
        // 0800 with a second bitmap: DE 7, 11, 41 and 70.
        let mut frame = vec![0, 0, 0x08, 0x00, 0x82, 0x20, 0, 0, 0, 0x80, 0, 0];
        frame.extend([0x04, 0, 0, 0, 0, 0, 0, 0]);
        frame.extend([0x11, 0x22, 0x02, 0x23, 0x00, 0x00, 0x01, 0x23]);
        frame.extend(*b"TERMINAL");
        frame.extend([0x03, 0x01]);
        let mut seen = Vec::new();
        let done = walk(&frame, Form::Bare, |field| {
            seen.push((field.de, field.start, field.end));
            true
        });
        assert_eq!(done, Some(()));
        assert_eq!(seen, [(7, 20, 25), (11, 25, 28), (41, 28, 36), (70, 36, 38)]);
        assert_eq!(walk(&frame[..37], Form::Bare, |_| true), None);
    }

    #[test]
    fn packed_digits_are_numbers() {
        assert_eq!(bcd_of_number(12_345), [0x01, 0x23, 0x45]);
        for number in [0, 1, 99, 100, 999_999, 500_017] {
            assert_eq!(number_of_bcd(bcd_of_number(number)), number);
        }
    }
}
