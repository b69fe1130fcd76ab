//! What is shown of a secret value: by its kind, so that a new element cannot be forgotten.
//!
//! Elements that a dialect leaves open may carry account data all the same. Account identifications
//! (DE 102, 103) are shown like a PAN. In those for private and reserved use whatever reads as a
//! PAN is: 12 to 19 digits with a right check digit, between other characters or behind their
//! length in two digits. What is written in another way (cut in pieces, in another code) is not
//! seen: a dialect that knows better says `secret` of the element.

use std::ops::RangeInclusive;

use crate::app::json::write_hex;
use crate::base::limits;
use crate::base::pan::{self, Pan, Secrecy};
use crate::iso8583::field::Field;
use crate::iso8583::tlv;
use crate::iso8583::value::{self, Form};

/// The masked notation of a value in neutral form; `None` if it may be shown.
pub(super) fn masked(element: u8, field: &Field, neutral: &[u8]) -> Option<String> {
    let text = || match value::form(field.content) {
        Form::Bytes => hex(neutral),
        Form::Text => neutral.iter().map(|byte| char::from(*byte)).collect(),
    };
    match field.secrecy {
        Secrecy::Open if is_account(element) => Some(pan::masked(&text())),
        Secrecy::Open if is_private(element) => with_pans_masked(&text()),
        Secrecy::Open => None,
        Secrecy::Emv if value::form(field.content) == Form::Bytes => {
            let mut shown = String::new();
            if !objects(neutral, 1, &mut shown) {
                shown = hidden(&hex(neutral));
            }
            Some(shown)
        }
        kind => Some(masked_text(kind, &text())),
    }
}

/// True if `text` is what masking makes of a value: to be refused where a value is needed.
pub(super) fn is_masked(element: u8, field: &Field, text: &str) -> bool {
    if !text.contains('*') {
        return false;
    }
    if field.secrecy == Secrecy::Open {
        let is_account = is_account(element) && pan::masked(text) == text;
        return is_account || is_private(element) && has_masked_pan(text);
    }
    value::form(field.content) == Form::Bytes || masked_text(field.secrecy, text) == text
}

/// Account identification 1 and 2.
const fn is_account(element: u8) -> bool {
    matches!(element, 102 | 103)
}

/// For private use, national use, or reserved for either.
const fn is_private(element: u8) -> bool {
    matches!(element, 46..=48 | 56..=63 | 104..=127)
}

/// The text with each PAN in it masked; `None` if it has none.
fn with_pans_masked(text: &str) -> Option<String> {
    let mut shown: Vec<char> = text.chars().collect();
    let mut is_changed = false;
    let mut from = 0;
    while from < shown.len() {
        let run = shown[from..].iter().take_while(|c| c.is_ascii_digit()).count();
        is_changed |= mask_pans(&mut shown[from..from + run]);
        from += run + 1;
    }
    is_changed.then(|| shown.into_iter().collect())
}

/// Masks the PAN that a run of digits is, or those in it that stand behind their length.
fn mask_pans(run: &mut [char]) -> bool {
    if mask_pan(run) {
        return true;
    }
    let mut is_changed = false;
    for at in 0..run.len() {
        let length: String = run[at..].iter().take(2).collect();
        let length: usize = length.parse().unwrap_or(0);
        is_changed |= run[at..].get_mut(2..2 + length).is_some_and(mask_pan);
    }
    is_changed
}

fn mask_pan(digits: &mut [char]) -> bool {
    let text: String = digits.iter().collect();
    let pan = Pan::from_ascii(text.as_bytes()).filter(|_| PAN_DIGITS.contains(&text.len()));
    // Twelve zeros or a run of blanks written as zeros is no account.
    if !pan.is_some_and(|pan| pan.luhn_holds() && !text.starts_with("000000")) {
        return false;
    }
    for (digit, shown) in digits.iter_mut().zip(pan::masked(&text).chars()) {
        *digit = shown;
    }
    true
}

/// True if some part of the text is what [`mask_pan`] leaves.
fn has_masked_pan(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    bytes.chunk_by(|one, other| (*one == b'*') == (*other == b'*')).any(|run| {
        let from = run.as_ptr() as usize - bytes.as_ptr() as usize;
        let is_ends = (1..=6).all(|n| digit(from.checked_sub(n)))
            && (0..4).all(|n| digit(Some(from + run.len() + n)));
        run.first() == Some(&b'*')
            && (run.len() == *PAN_DIGITS.start()
                || is_ends && run.len() > 2 && PAN_DIGITS.contains(&(run.len() + 10)))
    })
}

/// Digits of a PAN in free text.
const PAN_DIGITS: RangeInclusive<usize> = 12..=19;

fn masked_text(kind: Secrecy, text: &str) -> String {
    match kind {
        Secrecy::Open => text.to_owned(),
        Secrecy::Pan | Secrecy::Code => pan::masked(text),
        Secrecy::Track => masked_track(text),
        Secrecy::Pin | Secrecy::Emv => hidden(text),
    }
}

/// The account number masked, the separators kept, the rest hidden.
fn masked_track(text: &str) -> String {
    let is_separator = |c: char| matches!(c, '=' | 'D' | '^');
    let Some(end) = text.find(is_separator) else { return hidden(text) };
    let (account, rest) = text.split_at(end);
    let rest = rest.chars().map(|c| if is_separator(c) { c } else { '*' });
    pan::masked(account).chars().chain(rest).collect()
}

fn hidden(text: &str) -> String {
    text.chars().map(|_| '*').collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    write_hex(bytes, &mut out);
    out.into_iter().map(char::from).collect()
}

/// Appends BER-TLV objects as hex, values of card data hidden. False if `bytes` is something else.
fn objects(bytes: &[u8], depth: u8, out: &mut String) -> bool {
    let mut rest = bytes;
    while let Some(first) = rest.first() {
        if *first == 0 {
            out.push_str("00");
            rest = rest.get(1..).unwrap_or(&[]);
            continue;
        }
        let Some(Ok(object)) = tlv::next(rest) else { return false };
        let head = rest.get(..object.size - object.value.len()).unwrap_or(&[]);
        out.push_str(&hex(head));
        if SECRET_TAGS.contains(&object.tag) {
            out.push_str(&hidden(&hex(object.value)));
        } else if !object.is_constructed() {
            out.push_str(&hex(object.value));
        } else if depth >= limits::TLV_DEPTH_MAX || !objects(object.value, depth + 1, out) {
            return false;
        }
        rest = rest.get(object.size..).unwrap_or(&[]);
    }
    true
}

/// Track 1 and 2 data, cardholder name, PAN, discretionary data (EMV Book 3, annex A; 56 and 9F6B
/// are those of contactless magnetic-stripe mode).
const SECRET_TAGS: [u32; 8] = [0x56, 0x57, 0x5A, 0x5F20, 0x9F0B, 0x9F1F, 0x9F20, 0x9F6B];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_show_the_ends_of_the_account_number_only() {
        let track = "4111111111111111=29121010000";
        assert_eq!(masked_track(track), "411111******1111=***********");
        assert_eq!(masked_track("B4111111111111111^A/B^29"), "B41111*******1111^***^**");
        assert_eq!(masked_track("4111111111111111"), "****************");
    }

    #[test]
    fn tags_of_card_data_are_hidden_inside_templates_too() {
        let bytes = [0x70, 0x08, 0x5A, 0x02, 0x41, 0x11, 0x9F, 0x1A, 0x01, 0x09];
        let mut out = String::new();
        assert!(objects(&bytes, 1, &mut out));
        assert_eq!(out, "70085A02****9F1A0109");
        assert!(!objects(&[0x5A, 0x05, 0x41], 1, &mut String::new()));
    }

    #[test]
    fn account_numbers_in_private_elements_are_masked_and_nothing_else() {
        let shown = |text: &str| with_pans_masked(text).unwrap_or_else(|| text.to_owned());
        let cases = [
            ("PAN=4761340000000019;X", "PAN=476134******0019;X"),
            ("4761340000000019", "476134******0019"),
            ("0100164761340000000019020212", "010016476134******0019020212"),
            ("4761340000000018", "4761340000000018"),
            ("000000000000", "000000000000"),
            ("20261122100000", "20261122100000"),
            ("476134000001 tail", "************ tail"),
            ("", ""),
            ("\u{e9}4761340000000019\u{e9}", "\u{e9}476134******0019\u{e9}"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected);
            assert_eq!(has_masked_pan(expected), text != expected, "{expected}");
        }
        for legal in ["***", "a*b", "12345*6789", "476134**0019", "*************"] {
            assert!(!has_masked_pan(legal), "{legal}");
        }
    }

    #[test]
    fn masking_what_is_masked_changes_nothing() {
        for kind in [Secrecy::Pan, Secrecy::Track, Secrecy::Pin, Secrecy::Code] {
            for text in ["4111111111111111=29121010000", "12345", "4111111111111111"] {
                let once = masked_text(kind, text);
                assert_eq!(masked_text(kind, &once), once);
            }
        }
    }
}
