//! Digit and character checks, eight bytes at a time in a plain `u64`.
//!
//! A decode spends most of its time proving that bytes are what the dialect says. Done byte by
//! byte that is a branch per byte; done on words it is a few operations per eight. No intrinsics:
//! the same arithmetic on every machine, and nothing unsafe.

/// Runs `bad` over `bytes` in words of eight. What is left at the end is looked at again together
/// with bytes before it, so that no byte is looked at alone; bytes of a short slice are put into
/// a word filled with `filler`, which must be good. True if no word was bad.
#[inline(always)]
fn every_word(bytes: &[u8], filler: u8, bad: impl Fn(u64) -> u64) -> bool {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        let mut found = bad(u64::from_le_bytes(*first)) | bad(u64::from_le_bytes(*last));
        if bytes.len() > 16 {
            let (words, _) = bytes.as_chunks::<8>();
            for word in words {
                found |= bad(u64::from_le_bytes(*word));
            }
        }
        return found == 0;
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return bad(u64::from(first) | u64::from(last) << 32) == 0;
    }
    let fill = u64::from_le_bytes([filler; 8]);
    let word = match *bytes {
        [] => return true,
        [a] => fill << 8 | u64::from(a),
        [a, b] => fill << 16 | u64::from(b) << 8 | u64::from(a),
        [a, b, c, ..] => fill << 24 | u64::from(c) << 16 | u64::from(b) << 8 | u64::from(a),
    };
    bad(word) == 0
}

/// True if both are the same. Elements are short: two words that overlap are most of them, and
/// calling out to compare costs more than comparing.
#[inline]
pub fn are_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    if let (Some(first), Some(last)) = (one.first_chunk::<8>(), one.last_chunk::<8>()) {
        let ends = Some(first) == other.first_chunk() && Some(last) == other.last_chunk();
        let (inner, others) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
        return ends && inner.iter().zip(others).skip(1).all(|(one, other)| one == other);
    }
    if let (Some(first), Some(last)) = (one.first_chunk::<4>(), one.last_chunk::<4>()) {
        return Some(first) == other.first_chunk() && Some(last) == other.last_chunk();
    }
    one.iter().zip(other).all(|(one, other)| one == other)
}

/// True if every nibble is a decimal digit.
#[inline]
pub fn are_bcd(bytes: &[u8]) -> bool {
    every_word(bytes, 0, |word| word & (word << 1 | word << 2) & 0x8888_8888_8888_8888)
}

/// True if every nibble is a decimal digit, `D` or `F`: packed track data.
#[inline]
pub fn are_track(bytes: &[u8]) -> bool {
    every_word(bytes, 0, |word| {
        let above_nine = word & (word << 1 | word << 2);
        let is_d_or_f = word << 1 & word << 3;
        above_nine & !is_d_or_f & 0x8888_8888_8888_8888
    })
}

/// The number that up to eight bytes of packed digits are; zero for none, and for more than eight.
/// Each step joins neighbours: digits to pairs, pairs to fours, fours to eights, eights to sixteen.
#[inline]
pub fn packed_number(bytes: &[u8]) -> u64 {
    let word = if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk::<4>()) {
        // The two overlap in bytes that are the same.
        let before = bytes.len().wrapping_sub(4) as u32 * 8;
        u64::from(u32::from_be_bytes(*first)).checked_shl(before).unwrap_or(0)
            | u64::from(u32::from_be_bytes(*last))
    } else {
        match *bytes {
            [a] => u64::from(a),
            [a, b] => u64::from(u16::from_be_bytes([a, b])),
            [a, b, c] => u64::from(u32::from_be_bytes([0, a, b, c])),
            _ => 0,
        }
    };
    let pairs = word.wrapping_sub((word >> 4 & 0x0F0F_0F0F_0F0F_0F0F).wrapping_mul(16 - 10));
    let fours = pairs.wrapping_sub((pairs >> 8 & 0x00FF_00FF_00FF_00FF).wrapping_mul(256 - 100));
    let eights = (fours >> 16 & 0x0000_FFFF_0000_FFFF).wrapping_mul((1 << 16) - 10_000);
    let eights = fours.wrapping_sub(eights);
    eights.wrapping_sub((eights >> 32).wrapping_mul((1 << 32) - 100_000_000))
}

/// Six packed digits, which decoding has proven to be digits, as a number.
#[inline]
pub fn packed_stan(packed: &[u8; 3]) -> u32 {
    let [high, middle, low] = packed.map(|pair| u32::from(pair) - 6 * u32::from(pair >> 4));
    high * 10_000 + middle * 100 + low
}

/// The first eighteen of an even number of packed digits, filled with zeros on the right.
#[inline]
pub fn packed_head(bytes: &[u8]) -> u64 {
    const TENS: [u64; 10] = {
        let mut tens = [1; 10];
        let mut place = 1;
        while place < 10 {
            tens[place] = tens[place - 1] * 100;
            place += 1;
        }
        tens
    };
    // What most account numbers are.
    if bytes.len() <= 8 {
        return packed_number(bytes).wrapping_mul(TENS[9 - bytes.len()]);
    }
    let (first, rest) = bytes.split_at(1);
    let rest = rest.first_chunk::<8>().map_or(rest, |rest| rest.as_slice());
    let head = packed_number(first).wrapping_mul(TENS[8]);
    head.wrapping_add(packed_number(rest).wrapping_mul(TENS[8 - rest.len()]))
}

/// ASCII digits as four bits each; the last sixteen of more.
pub fn nibbles(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, digit| number << 4 | u64::from(digit & 15))
}

/// True if every byte is an ASCII decimal digit.
#[inline]
pub fn are_ascii_digits(bytes: &[u8]) -> bool {
    every_word(bytes, b'0', |word| {
        let high = word & 0xF0F0_F0F0_F0F0_F0F0 ^ 0x3030_3030_3030_3030;
        // A low nibble above 9 carries into the high one when 6 is added; the sum of two nibbles
        // never leaves its byte once the high nibble is known to be 3.
        let low = (word & 0x0F0F_0F0F_0F0F_0F0F) + 0x0606_0606_0606_0606;
        high | low & 0x1010_1010_1010_1010
    })
}

/// True if every byte is an EBCDIC decimal digit (`F0` to `F9`).
#[inline]
pub fn are_ebcdic_digits(bytes: &[u8]) -> bool {
    every_word(bytes, 0xF0, |word| {
        let high = word & 0xF0F0_F0F0_F0F0_F0F0 ^ 0xF0F0_F0F0_F0F0_F0F0;
        let low = (word & 0x0F0F_0F0F_0F0F_0F0F) + 0x0606_0606_0606_0606;
        high | low & 0x1010_1010_1010_1010
    })
}

/// True if every byte is below 0x80.
#[inline]
pub fn are_7bit(bytes: &[u8]) -> bool {
    every_word(bytes, 0, |word| word & 0x8080_8080_8080_8080)
}

/// True if every byte is a printable ASCII character, 0x20 to 0x7E.
#[inline]
pub fn are_printable(bytes: &[u8]) -> bool {
    every_word(bytes, b' ', |word| {
        let high = word & 0x8080_8080_8080_8080;
        let seven = word & 0x7F7F_7F7F_7F7F_7F7F;
        // Below 0x20 the addition of 0x60 does not reach bit 7; 0x7F + 1 does.
        let low = !(seven + 0x6060_6060_6060_6060) & 0x8080_8080_8080_8080;
        let delete = (seven + 0x0101_0101_0101_0101) & 0x8080_8080_8080_8080;
        high | low | delete
    })
}

/// True if every byte is an ASCII letter, a decimal digit or a space.
#[inline]
pub fn are_alphanumeric(bytes: &[u8]) -> bool {
    /// Bit 7 of each byte that is at least `least`, of bytes below 0x80.
    const fn at_least(word: u64, least: u8) -> u64 {
        word + (0x80 - least as u64) * 0x0101_0101_0101_0101
    }
    every_word(bytes, b' ', |word| {
        let seven = word & 0x7F7F_7F7F_7F7F_7F7F;
        let lower = seven | 0x2020_2020_2020_2020;
        let letter = at_least(lower, b'a') & !at_least(lower, b'z' + 1);
        let digit = at_least(seven, b'0') & !at_least(seven, b'9' + 1);
        let space = at_least(seven, b' ') & !at_least(seven, b' ' + 1);
        (word | !(letter | digit | space)) & 0x8080_8080_8080_8080
    })
}

/// Character classes as bits of a table, for the checks that words cannot do.
pub mod class {
    /// Letter.
    pub const ALPHA: u8 = 1;
    /// Decimal digit.
    pub const DIGIT: u8 = 2;
    /// Space.
    pub const SPACE: u8 = 4;
    /// Hexadecimal digit, either case.
    pub const HEX: u8 = 8;
    /// Track separators and fillers: `=`, `D`, `^`, `F`, `?`, `;`.
    pub const TRACK: u8 = 16;

    const fn table() -> [u8; 256] {
        let mut table = [0; 256];
        let mut byte = 0usize;
        while byte < 256 {
            let c = byte as u8;
            let mut bits = 0;
            if c.is_ascii_alphabetic() {
                bits |= ALPHA;
            }
            if c.is_ascii_digit() {
                bits |= DIGIT;
            }
            if c == b' ' {
                bits |= SPACE;
            }
            if c.is_ascii_hexdigit() {
                bits |= HEX;
            }
            if matches!(c, b'=' | b'D' | b'^' | b'F' | b'?' | b';') {
                bits |= TRACK;
            }
            table[byte] = bits;
            byte += 1;
        }
        table
    }

    /// Classes by ASCII byte.
    pub static TABLE: [u8; 256] = table();
}

/// True if every byte has at least one of the `classes`.
#[inline]
pub fn are_of(bytes: &[u8], classes: u8) -> bool {
    // No early end: without one the loads do not wait for each other.
    let other = |byte: &u8| class::TABLE[usize::from(*byte)] & classes == 0;
    !bytes.iter().fold(false, |found, byte| found | other(byte))
}

/// The number in packed digits; `None` if a nibble is not a digit or the number needs more than
/// 18 digits besides leading zeros.
#[inline]
pub fn bcd_number(bytes: &[u8]) -> Option<u64> {
    if !are_bcd(bytes) {
        return None;
    }
    let rest = significant(bytes, 9, 0)?;
    // Nine bytes hold eighteen digits: nothing below can overflow.
    Some(rest.iter().fold(0u64, |number, byte| {
        let (high, low) = (u64::from(byte >> 4), u64::from(byte & 15));
        number.wrapping_mul(100).wrapping_add(high.wrapping_mul(10)).wrapping_add(low)
    }))
}

/// The number in ASCII digits; `None` if a byte is not a digit or the number needs more than 18
/// digits besides leading zeros.
#[inline]
pub fn ascii_number(bytes: &[u8]) -> Option<u64> {
    if !are_ascii_digits(bytes) {
        return None;
    }
    let rest = significant(bytes, 18, b'0')?;
    Some(
        rest.iter()
            .fold(0u64, |number, byte| number.wrapping_mul(10).wrapping_add(u64::from(byte & 15))),
    )
}

/// The last `most` bytes, if those before are all `zero`.
#[inline]
fn significant(bytes: &[u8], most: usize, zero: u8) -> Option<&[u8]> {
    if bytes.len() <= most {
        return Some(bytes);
    }
    let (before, rest) = bytes.split_at_checked(bytes.len() - most)?;
    before.iter().all(|byte| *byte == zero).then_some(rest)
}

/// Writes `number` as `digits.len()` ASCII digits, zero-filled on the left. Digits that do not fit
/// are lost: callers hold numbers below the power of ten they write.
pub fn write_ascii_number(mut number: u64, digits: &mut [u8]) {
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (number % 10) as u8;
        number /= 10;
    }
    debug_assert_eq!(number, 0, "the number fits the digits");
}

/// A STAN, 0 to 999999, as three bytes of packed digits.
#[inline]
pub const fn stan_bcd(stan: u32) -> [u8; 3] {
    const fn pair(two: u32) -> u8 {
        (two + two / 10 * 6) as u8
    }
    let (high, rest) = (stan / 10_000 % 100, stan % 10_000);
    [pair(high), pair(rest / 100), pair(rest % 100)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stan_is_read_as_it_was_written() {
        for stan in (0..1_000_000).step_by(7).chain(999_990..1_000_000) {
            let packed = stan_bcd(stan);
            assert_eq!(packed.map(|pair| format!("{pair:02x}")).concat(), format!("{stan:06}"));
            assert_eq!(packed_stan(&packed), stan);
        }
    }

    fn each_by_definition(good: impl Fn(u8) -> bool, check: impl Fn(&[u8]) -> bool, fill: u8) {
        for byte in 0..=255u8 {
            for length in 1..20 {
                for place in [0, length / 2, length - 1] {
                    let mut bytes = vec![fill; length];
                    bytes[place] = byte;
                    assert_eq!(check(&bytes), good(byte), "{byte:#x} at {place} of {length}");
                }
            }
        }
        assert!(check(&[]));
    }

    #[test]
    fn word_checks_equal_their_definition_for_every_byte_at_every_place() {
        each_by_definition(|b| b >> 4 <= 9 && b & 15 <= 9, are_bcd, 0x99);
        let track = |nibble: u8| matches!(nibble, 0..=9 | 0xD | 0xF);
        each_by_definition(|b| track(b >> 4) && track(b & 15), are_track, 0xDF);
        each_by_definition(|b| b.is_ascii_digit(), are_ascii_digits, b'9');
        each_by_definition(|b| (0xF0..=0xF9).contains(&b), are_ebcdic_digits, 0xF9);
        each_by_definition(|b| b < 0x80, are_7bit, 0x7F);
        each_by_definition(|b| (0x20..0x7F).contains(&b), are_printable, b'~');
        let alphanumeric = |b: u8| b.is_ascii_alphanumeric() || b == b' ';
        each_by_definition(alphanumeric, are_alphanumeric, b'Z');
    }

    proptest::proptest! {
        #[test]
        fn packed_numbers_equal_their_digits(
            number in 0u64..10_000_000_000_000_000,
            bytes in 0usize..=8,
            digits in proptest::collection::vec(0u8..10, 0..25),
        ) {
            let number = number % 10u64.pow(bytes as u32 * 2);
            let text = format!("{number:0width$}", width = bytes * 2);
            let pack = |digits: &[u8]| -> Vec<u8> {
                digits.as_chunks::<2>().0.iter().map(|[a, b]| (a & 15) << 4 | b & 15).collect()
            };
            let packed = if bytes == 0 { Vec::new() } else { pack(text.as_bytes()) };
            proptest::prop_assert_eq!(packed_number(&packed), number);
            let head = (0..18).fold(0, |head, place| {
                let digit = digits.get(place).filter(|_| place < digits.len() / 2 * 2);
                head * 10 + u64::from(*digit.unwrap_or(&0))
            });
            proptest::prop_assert_eq!(packed_head(&pack(&digits)), head);
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(bcd_number(&[0x12, 0x34]), Some(1234));
        assert_eq!(bcd_number(&[0x1A]), None);
        assert_eq!(bcd_number(&[0x99; 10]), None);
        assert_eq!(bcd_number(&[0x99; 9]), Some(999_999_999_999_999_999));
        assert_eq!(
            bcd_number(&[0, 0x99, 0x99, 0, 0, 0, 0, 0, 0, 1]),
            Some(999_900_000_000_000_001)
        );
        assert_eq!(ascii_number(&[b'9'; 19]), None);
        assert_eq!(ascii_number(b"000420"), Some(420));
        assert_eq!(ascii_number(b"-3"), None);
        let mut digits = [0; 6];
        write_ascii_number(42, &mut digits);
        assert_eq!(&digits, b"000042");
        assert_eq!(stan_bcd(123_456), [0x12, 0x34, 0x56]);
        assert_eq!(stan_bcd(7), [0, 0, 7]);
    }
}
