//! Which digits a code may have in each of its first places.
//!
//! What it is not: a regular expression. A pattern has one length and no alternatives, so that it
//! can be said of any two whether one lies inside the other.

use super::classify::LENGTH_MAX;
use crate::base::authorization::Instrument;

/// One set of digits per place, of those that a lookup sees; a bit per digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pattern([u16; Instrument::HEAD_DIGITS]);

impl Pattern {
    /// Any digits at all.
    pub(super) const ANY: Self = Self([ANY; Instrument::HEAD_DIGITS]);

    /// A pattern and the length of its codes.
    pub(super) fn read(text: &str) -> Option<(Self, u8)> {
        let (mut pattern, mut length) = (Self::ANY, 0);
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            let digits = match byte {
                b'.' => ANY,
                b'0'..=b'9' => 1 << (byte - b'0'),
                b'[' => set(&mut rest)?,
                _ => return None,
            };
            match pattern.0.get_mut(usize::from(length)) {
                Some(place) => *place = digits,
                None if digits == ANY => {}
                None => return None,
            }
            length += 1;
            if length > LENGTH_MAX {
                return None;
            }
        }
        (length > 0).then_some((pattern, length))
    }

    /// The digits that it fixes in front, as the start of an [`Instrument::head`]; how many heads
    /// begin so; and what it asks behind them.
    pub(super) fn without_prefix(mut self) -> (u64, u64, Self) {
        let (mut low, mut size) = (0, WHOLE);
        for digits in &mut self.0 {
            if digits.count_ones() != 1 {
                break;
            }
            size /= 10;
            low += u64::from(digits.trailing_zeros()) * size;
            *digits = ANY;
        }
        (low, size, self)
    }

    /// The pattern of codes of this length that begin with `prefix`, as [`Self::read`] takes it.
    pub(super) fn text(&self, prefix: &str, length: u8) -> String {
        let mut text = prefix.to_owned();
        for place in prefix.len()..usize::from(length) {
            let digits = self.0.get(place).copied().unwrap_or(ANY);
            let listed = (b'0'..=b'9').filter(|digit| digits >> (digit - b'0') & 1 == 1);
            let listed: String = listed.map(char::from).collect();
            match listed.len() {
                10 => text.push('.'),
                1 => text.push_str(&listed),
                _ => text.extend(["[", &listed, "]"]),
            }
        }
        text
    }

    /// True if it asks for nothing.
    pub(super) fn is_any(&self) -> bool {
        *self == Self::ANY
    }

    /// True if the digits of `head` are among those asked for.
    pub(super) fn holds(&self, head: u64) -> bool {
        let mut power = WHOLE;
        self.0.iter().all(|digits| {
            power /= 10;
            *digits == ANY || digits >> (head / power % 10) & 1 == 1
        })
    }

    /// How many heads have such digits. What lies inside another has fewer.
    pub(super) fn breadth(&self) -> u64 {
        self.0.iter().map(|digits| u64::from(digits.count_ones())).product()
    }

    /// True if some code fits both and neither lies inside the other.
    pub(super) fn clashes(&self, other: &Self) -> bool {
        let pairs = || self.0.iter().zip(&other.0);
        let apart = pairs().any(|(one, other)| one & other == 0);
        let within = pairs().all(|(one, other)| one & other == *one);
        let around = pairs().all(|(one, other)| one & other == *other);
        !apart && (within == around)
    }
}

/// The rest of `[0-57-9]`, behind its first bracket.
fn set(rest: &mut impl Iterator<Item = u8>) -> Option<u16> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| byte - b'0');
    let (mut digits, mut last) = (0_u16, None);
    loop {
        match rest.next()? {
            b']' => return (digits != 0).then_some(digits),
            b'-' => {
                let (from, to) = (last.take()?, digit(rest.next()?)?);
                for between in from..=to {
                    digits |= 1 << between;
                }
                if from > to {
                    return None;
                }
            }
            byte => {
                last = Some(digit(byte)?);
                digits |= 1 << digit(byte)?;
            }
        }
    }
}

/// All ten digits.
const ANY: u16 = 0x3FF;

/// How many heads there are.
const WHOLE: u64 = 10_u64.pow(Instrument::HEAD_DIGITS as u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_digits_dots_and_sets() {
        let (pattern, length) = Pattern::read("8[0-57-9].2").expect("a pattern");
        assert_eq!(length, 4);
        assert_eq!((pattern.0[0], pattern.0[1]), (1 << 8, 0x3FF & !(1 << 6)));
        assert_eq!((pattern.0[2], pattern.0[3], pattern.0[4]), (ANY, 1 << 2, ANY));
        assert!(pattern.holds(8352 * 10_u64.pow(14)));
        assert!(!pattern.holds(8652 * 10_u64.pow(14)));
        let (low, size, rest) = pattern.without_prefix();
        assert_eq!((low, size), (8 * 10_u64.pow(17), 10_u64.pow(17)));
        assert!(rest.holds(9052 * 10_u64.pow(14)));
        let whole = Pattern::read("123456789012345678......").expect("a pattern").0;
        assert_eq!(whole.without_prefix(), (123_456_789_012_345_678, 1, Pattern::ANY));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "x", "[", "[]", "[5-", "[5-3]", "[-3]", "[3-", "3]", "[a]", "[1-2-3]"] {
            assert_eq!(Pattern::read(text), None, "{text}");
        }
        assert_eq!(Pattern::read(&".".repeat(25)), None);
        assert_eq!(Pattern::read(&format!("{}1", ".".repeat(18))), None, "behind what is seen");
    }

    #[test]
    fn patterns_clash_unless_apart_or_nested() {
        let read = |text| Pattern::read(text).expect("a pattern").0;
        for (one, other, clash) in [
            ("..6", "..7", false),
            ("..6", "...", false),
            ("..6", "..[67]", false),
            ("..6", "..6", true),
            ("..[67]", "..[78]", true),
            (".6.", "..6", true),
        ] {
            assert_eq!(read(one).clashes(&read(other)), clash, "{one} {other}");
            assert_eq!(read(other).clashes(&read(one)), clash, "{other} {one}");
        }
    }
}
