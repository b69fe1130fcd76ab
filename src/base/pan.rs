//! Card data that cannot be printed: PAN, track, PIN block, payment code.
//!
//! Redaction is by type, not by a filter behind the log: a filter sees only what passes it, in the
//! order somebody configured, and has leaked in systems that trusted it. These types have no
//! `Display`; their `Debug` shows a mask. The digits come out through `reveal`, a word that a
//! reviewer can search for. PCI DSS 3.4.1 allows the first six and the last four digits at most.

use std::fmt;

/// A primary account number: 1 to 19 digits (ISO 8583 DE 2, ISO/IEC 7812).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pan {
    digits: [u8; 19],
    length: u8,
}

impl Pan {
    /// A PAN from ASCII digits; `None` if empty, longer than 19, or not digits.
    pub fn from_ascii(text: &[u8]) -> Option<Self> {
        if text.is_empty() || text.len() > 19 || !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let mut digits = [b'0'; 19];
        for (slot, digit) in digits.iter_mut().zip(text) {
            *slot = *digit;
        }
        Some(Self { digits, length: text.len() as u8 })
    }

    /// The digits in clear, as ASCII.
    pub fn reveal(&self) -> &[u8] {
        self.digits.get(..usize::from(self.length)).unwrap_or(&[])
    }

    /// True if the check digit is right (Luhn, ISO/IEC 7812-1 annex B).
    pub fn luhn_holds(&self) -> bool {
        let sum: u32 = self
            .reveal()
            .iter()
            .rev()
            .enumerate()
            .map(|(place, digit)| {
                let value = u32::from(digit - b'0') << (place % 2);
                if value > 9 { value - 9 } else { value }
            })
            .sum();
        sum.is_multiple_of(10)
    }
}

impl fmt::Debug for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(&String::from_utf8_lossy(self.reveal())))
    }
}

/// Bytes of a secret element, borrowed from a message: cannot be printed in clear.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret<'a> {
    kind: Secrecy,
    bytes: &'a [u8],
}

impl<'a> Secret<'a> {
    /// Wraps the raw bytes of an element that `kind` protects.
    pub const fn new(kind: Secrecy, bytes: &'a [u8]) -> Self {
        Self { kind, bytes }
    }

    /// The bytes in clear.
    pub const fn reveal(&self) -> &'a [u8] {
        self.bytes
    }

    /// What kind of secret this is.
    pub const fn kind(&self) -> Secrecy {
        self.kind
    }
}

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{:?}, {} bytes>", self.kind, self.bytes.len())
    }
}

/// What must not be shown of an element, and how much of it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Secrecy {
    /// May be shown.
    #[default]
    Open,
    /// First six and last four digits may be shown.
    Pan,
    /// Track 1, 2 or 3: the PAN part is masked, the rest hidden.
    Track,
    /// PIN block, PIN data, card verification value: nothing is shown.
    Pin,
    /// Payment code scanned from a wallet: masked like a PAN.
    Code,
    /// EMV data: tags 57, 5A and their like are hidden, the rest may be shown.
    Emv,
}

/// A mask for account-like text: first six and last four stay if at least 13 characters remain to
/// hide something; shorter text is hidden whole. The length is kept.
pub fn masked(text: &str) -> String {
    let count = text.chars().count();
    text.chars()
        .enumerate()
        .map(|(place, c)| {
            let shown = count >= 13 && (place < 6 || place + 4 >= count);
            if shown { c } else { '*' }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pan_prints_masked() {
        let pan = Pan::from_ascii(b"4111111111111111").expect("digits");
        assert_eq!(format!("{pan:?}"), "411111******1111");
        assert_eq!(pan.reveal(), b"4111111111111111");
        assert!(pan.luhn_holds());
        assert!(!Pan::from_ascii(b"4111111111111112").expect("digits").luhn_holds());
    }

    #[test]
    fn what_is_no_pan_is_refused() {
        for text in [&b""[..], b"12345678901234567890", b"41111x"] {
            assert_eq!(Pan::from_ascii(text), None);
        }
    }

    #[test]
    fn short_text_is_hidden_whole() {
        assert_eq!(masked("123456789012"), "************");
        assert_eq!(masked("1234567890123"), "123456***0123");
    }

    #[test]
    fn a_secret_prints_its_size_only() {
        let secret = Secret::new(Secrecy::Track, b"4111111111111111=2912");
        assert_eq!(format!("{secret:?}"), "<Track, 21 bytes>");
    }
}
