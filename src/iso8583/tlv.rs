//! BER-TLV as EMV uses it (DE 55), walked in place.
//!
//! Lengths of others' crafting have crashed several ISO 8583 libraries, so the walker is bounded
//! in every direction: tags of at most three bytes, lengths of at most two, depth, count, and
//! nothing indefinite. `00` bytes between objects carry no meaning (EMV Book 3, annex B).

use super::error::Reason;
use super::spec::Unknown;
use crate::base::limits;

/// Bounds of one BER-TLV element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlvRules {
    /// Deepest nesting.
    pub depth_max: u8,
    /// Most tags.
    pub tags_max: u8,
    /// What to do with a tag that `tags` does not list.
    pub unknown: Unknown,
    /// Known tags; empty knows every tag.
    pub tags: Vec<u32>,
}

impl Default for TlvRules {
    fn default() -> Self {
        Self {
            depth_max: limits::TLV_DEPTH_MAX,
            tags_max: limits::TLV_TAGS_MAX,
            unknown: Unknown::Keep,
            tags: Vec::new(),
        }
    }
}

/// One data object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The tag as a number, for example `0x9F26`.
    pub tag: u32,
    /// Its value.
    pub value: &'a [u8],
    /// Bytes from the tag's first to the value's last.
    pub size: usize,
}

impl Tlv<'_> {
    /// True for a template: the value is data objects again.
    pub const fn is_constructed(&self) -> bool {
        let first = match self.tag {
            0..=0xFF => self.tag,
            0x100..=0xFFFF => self.tag >> 8,
            _ => self.tag >> 16,
        };
        first & 0x20 != 0
    }
}

/// The first object of `bytes`; `None` at the end.
#[inline]
pub fn next(bytes: &[u8]) -> Option<Result<Tlv<'_>, Reason>> {
    let first = *bytes.first()?;
    Some(object(bytes, first))
}

#[inline]
fn object(bytes: &[u8], first: u8) -> Result<Tlv<'_>, Reason> {
    let (tag, length) = tag_at(bytes, 0, first)?;
    let (value, size) = value_at(bytes, length)?;
    Ok(Tlv { tag, value: bytes.get(value..size).unwrap_or(&[]), size })
}

/// Proves that `bytes` is well-formed within `rules`: every length fits, no tag comes twice in one
/// template, and an application cryptogram (9F26) is not empty. True if tag 57 or 5A, which hold
/// account data, stands in it.
pub fn check(bytes: &[u8], rules: &TlvRules) -> Result<bool, Reason> {
    let mut count = 0;
    check_level(bytes, rules, 1, &mut count)
}

fn check_level(bytes: &[u8], rules: &TlvRules, depth: u8, count: &mut u8) -> Result<bool, Reason> {
    let listed = rules.unknown == Unknown::Reject && !rules.tags.is_empty();
    // Two bits per tag: the tags before are looked at again only where both are set already.
    let (mut seen, mut seen_too) = (0u64, 0u64);
    let mut accounts = false;
    let mut at = 0;
    // By position and not by ever shorter slices: this loop runs some fifteen times a message.
    while let Some(&first) = bytes.get(at) {
        if first == 0 {
            at += 1;
            continue;
        }
        let (tag, value, end) = match short_object(bytes, at) {
            Some(object) => object,
            None => {
                let (tag, length) = tag_at(bytes, at, first)?;
                let (value, end) = value_at(bytes, length)?;
                (tag, value, end)
            }
        };
        *count = count.wrapping_add(1);
        if *count > rules.tags_max {
            return Err(Reason::InnerCount);
        }
        let hash = tag.wrapping_mul(0x9E37_79B1);
        let (bit, bit_too) = (1u64 << (hash >> 26), 1u64 << (hash >> 20 & 63));
        let again = seen & bit != 0 && seen_too & bit_too != 0;
        (seen, seen_too) = (seen | bit, seen_too | bit_too);
        if (again && find(bytes.get(..at).unwrap_or(&[]), tag).is_some())
            || (listed && !rules.tags.contains(&tag))
        {
            return Err(Reason::InnerTag);
        }
        accounts |= tag == 0x57 || tag == 0x5A;
        if value == end && tag == 0x9F26 {
            return Err(Reason::InnerLength);
        }
        if first & 0x20 != 0 {
            if depth >= rules.depth_max {
                return Err(Reason::InnerDepth);
            }
            let inner = bytes.get(value..end).unwrap_or(&[]);
            accounts |= check_level(inner, rules, depth + 1, count)?;
        }
        at = end;
    }
    Ok(accounts)
}

/// The object at `at`, if its head is at most three bytes and lies in a word that can be read at
/// once, as it nearly always is: tag, where its value begins, where it ends.
#[inline(always)]
fn short_object(bytes: &[u8], at: usize) -> Option<(u32, usize, usize)> {
    let word = u32::from_le_bytes(*bytes.get(at..)?.first_chunk::<4>()?);
    let (tag, head, length) = if word & 0x1F != 0x1F {
        (word & 0xFF, 2, word >> 8 & 0xFF)
    } else if word & 0x8000 == 0 {
        ((word & 0xFF) << 8 | word >> 8 & 0xFF, 3, word >> 16 & 0xFF)
    } else {
        return None;
    };
    let value = at.wrapping_add(head);
    let end = value.wrapping_add(length as usize);
    (length < 0x80 && end <= bytes.len()).then_some((tag, value, end))
}

/// The tag at `at`, and where its length stands.
#[inline(always)]
fn tag_at(bytes: &[u8], at: usize, first: u8) -> Result<(u32, usize), Reason> {
    if first & 0x1F != 0x1F {
        return Ok((u32::from(first), at + 1));
    }
    let second = *bytes.get(at + 1).ok_or(Reason::InnerTag)?;
    let tag = u32::from(first) << 8 | u32::from(second);
    if second & 0x80 == 0 {
        return Ok((tag, at + 2));
    }
    let third = *bytes.get(at + 2).ok_or(Reason::InnerTag)?;
    if third & 0x80 != 0 {
        return Err(Reason::InnerTag);
    }
    Ok((tag << 8 | u32::from(third), at + 3))
}

/// Where the value begins and ends whose length stands at `at`.
#[inline(always)]
fn value_at(bytes: &[u8], at: usize) -> Result<(usize, usize), Reason> {
    let short = *bytes.get(at).ok_or(Reason::InnerLength)?;
    let (value, length) = match short {
        0..=0x7F => (at + 1, usize::from(short)),
        0x81 => (at + 2, usize::from(*bytes.get(at + 1).ok_or(Reason::InnerLength)?)),
        0x82 => {
            let high = *bytes.get(at + 1).ok_or(Reason::InnerLength)?;
            let low = *bytes.get(at + 2).ok_or(Reason::InnerLength)?;
            (at + 3, usize::from(high) << 8 | usize::from(low))
        }
        _ => return Err(Reason::InnerLength),
    };
    let end = value + length;
    if end > bytes.len() { Err(Reason::InnerLength) } else { Ok((value, end)) }
}

/// Calls `visit` with each tag and value, those inside templates included.
pub fn each<'a>(bytes: &'a [u8], visit: &mut impl FnMut(u32, &'a [u8])) {
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        if first == 0 {
            rest = rest.get(1..).unwrap_or(&[]);
            continue;
        }
        let Ok(tlv) = object(rest, first) else { return };
        visit(tlv.tag, tlv.value);
        if tlv.is_constructed() {
            each(tlv.value, visit);
        }
        rest = rest.get(tlv.size..).unwrap_or(&[]);
    }
}

/// The value of `tag` on the top level of `bytes`.
pub fn find(bytes: &[u8], tag: u32) -> Option<&[u8]> {
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        if first == 0 {
            rest = rest.get(1..)?;
            continue;
        }
        let tlv = object(rest, first).ok()?;
        if tlv.tag == tag {
            return Some(tlv.value);
        }
        rest = rest.get(tlv.size..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_hex(hex: &str) -> Result<(), Reason> {
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex"))
            .collect();
        check(&bytes, &TlvRules::default()).map(|_| ())
    }

    #[test]
    fn well_formed() {
        for good in [
            "",
            "9F2608112233445566778895050000000000",
            "82023900DF812904AABBCCDD",
            "00009A03210720000000",
            "7006DF0101019C00",
            "5F2A8102084082820001FF",
        ] {
            assert_eq!(check_hex(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn crafted_lengths_and_tags_are_refused() {
        for (bad, reason) in [
            ("9F26081122", Reason::InnerLength),
            ("9F2680112233", Reason::InnerLength),
            ("9F2684FFFFFFFF", Reason::InnerLength),
            ("9F26", Reason::InnerLength),
            ("9F", Reason::InnerTag),
            ("1F8181818101AA", Reason::InnerTag),
            ("9F2600", Reason::InnerLength),
            ("9A03210720950100" /* fine */, Reason::Size),
            ("9A032107209A03210720", Reason::InnerTag),
        ] {
            if reason == Reason::Size {
                assert_eq!(check_hex(bad), Ok(()));
            } else {
                assert_eq!(check_hex(bad), Err(reason), "{bad}");
            }
        }
    }

    #[test]
    fn depth_and_count_are_bounded() {
        let mut nested = vec![0x9C, 1, 0];
        for _ in 0..200 {
            let mut outer = vec![0x70, 0x82, (nested.len() >> 8) as u8, nested.len() as u8];
            outer.append(&mut nested);
            nested = outer;
        }
        assert_eq!(check(&nested, &TlvRules::default()), Err(Reason::InnerDepth));
        let many: Vec<u8> = (1..=65u8).flat_map(|n| [0xDF, n, 0]).collect();
        assert_eq!(check(&many, &TlvRules::default()), Err(Reason::InnerCount));
    }

    #[test]
    fn find_sees_the_top_level_only() {
        let bytes = [0x70, 3, 0x9C, 1, 7, 0x9A, 1, 5];
        assert_eq!(find(&bytes, 0x9A), Some(&[5][..]));
        assert_eq!(find(&bytes, 0x9C), None);
    }
}
