//! GBK text to Unicode and back, without loss.
//!
//! A whole-text conversion would put one replacement character for whatever it does not know, and
//! the message could not be written again. Here each character stands only if it comes back as the
//! same bytes; any other byte becomes one character of a private range that GBK has no use for.

use encoding_rs::GBK;

/// The characters of `bytes`.
pub(super) fn characters(bytes: &[u8]) -> impl Iterator<Item = char> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (character, size) = first(rest)?;
        rest = rest.get(size..).unwrap_or(&[]);
        Some(character)
    })
}

/// The bytes of `text`; `None` if GBK has no such character.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match u32::from(character) {
            code @ 0..=0x7F => bytes.push(code as u8),
            code @ LONE_FIRST..=LONE_LAST => bytes.push((code - LONE_FIRST) as u8 | 0x80),
            _ => {
                let mut buffer = [0; 4];
                let (encoded, _, lossy) = GBK.encode(character.encode_utf8(&mut buffer));
                if lossy {
                    return None;
                }
                bytes.extend_from_slice(&encoded);
            }
        }
    }
    Some(bytes)
}

fn first(bytes: &[u8]) -> Option<(char, usize)> {
    let lead = *bytes.first()?;
    if lead < 0x80 {
        return Some((char::from(lead), 1));
    }
    let pair = bytes.get(..2).and_then(|pair| Some((character(pair)?, 2)));
    pair.or_else(|| Some((char::from_u32(LONE_FIRST + u32::from(lead & 0x7F))?, 1)))
}

/// The character of two bytes, if it is one and comes back as the same two.
fn character(pair: &[u8]) -> Option<char> {
    let text = GBK.decode_without_bom_handling_and_without_replacement(pair)?;
    let mut characters = text.chars();
    let (Some(character), None) = (characters.next(), characters.next()) else { return None };
    let (back, _, lossy) = GBK.encode(&text);
    (!lossy && *back == *pair).then_some(character)
}

const LONE_FIRST: u32 = 0xEF80;
const LONE_LAST: u32 = 0xEFFF;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_bytes_comes_back() {
        for lead in 0..=255u8 {
            for trail in 0..=255u8 {
                let pair = [lead, trail, 0x41];
                let text: String = characters(&pair).collect();
                assert_eq!(bytes(&text).as_deref(), Some(&pair[..]), "{text:?}");
            }
        }
    }

    #[test]
    fn merchant_names_are_readable_and_foreign_characters_are_refused() {
        let text: String = characters(&[0xD6, 0xD0, 0xB9, 0xFA, 0x20, 0xD6]).collect();
        assert_eq!(text, "\u{4e2d}\u{56fd} \u{efd6}");
        assert_eq!(bytes("\u{1F600}"), None);
    }
}
