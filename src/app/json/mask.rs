//! What is shown of a secret value: by its kind, so that a new element cannot be forgotten.

use crate::app::json::write_hex;
use crate::base::limits;
use crate::base::pan::{self, Secrecy};
use crate::iso8583::field::Field;
use crate::iso8583::tlv;
use crate::iso8583::value::{self, Form};

/// The masked notation of a value in neutral form; `None` if it may be shown.
pub(super) fn masked(field: &Field, neutral: &[u8]) -> Option<String> {
    let text = || match value::form(field.content) {
        Form::Bytes => hex(neutral),
        Form::Text => neutral.iter().map(|byte| char::from(*byte)).collect(),
    };
    match field.secrecy {
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
pub(super) fn is_masked(field: &Field, text: &str) -> bool {
    if field.secrecy == Secrecy::Open || !text.contains('*') {
        return false;
    }
    value::form(field.content) == Form::Bytes || masked_text(field.secrecy, text) == text
}

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
    fn masking_what_is_masked_changes_nothing() {
        for kind in [Secrecy::Pan, Secrecy::Track, Secrecy::Pin, Secrecy::Code] {
            for text in ["4111111111111111=29121010000", "12345", "4111111111111111"] {
                let once = masked_text(kind, text);
                assert_eq!(masked_text(kind, &once), once);
            }
        }
    }
}
