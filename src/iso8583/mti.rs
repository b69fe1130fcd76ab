//! The message type indicator and its algebra.

use crate::base::codes::Edition;

/// Four digits: edition, class, function, origin. Kept packed, `0x0200` for "0200".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mti(u16);

impl Mti {
    /// An MTI from packed digits, `0x0100`. `None` if a nibble is not a digit.
    pub const fn from_packed(packed: u16) -> Option<Self> {
        let above_nine = packed & ((packed << 1) | (packed << 2)) & 0x8888;
        if above_nine == 0 { Some(Self(packed)) } else { None }
    }

    /// An MTI from four ASCII digits.
    pub fn from_ascii(text: &[u8]) -> Option<Self> {
        let digits: [u8; 4] = text.try_into().ok()?;
        let mut packed = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            packed = packed << 4 | u16::from(digit - b'0');
        }
        Some(Self(packed))
    }

    /// Packed digits.
    pub const fn packed(self) -> u16 {
        self.0
    }

    /// Four ASCII digits.
    pub const fn ascii(self) -> [u8; 4] {
        [
            b'0' + (self.0 >> 12) as u8,
            b'0' + (self.0 >> 8 & 15) as u8,
            b'0' + (self.0 >> 4 & 15) as u8,
            b'0' + (self.0 & 15) as u8,
        ]
    }

    /// First digit: 0 for 1987, 1 for 1993, 2 for 2003.
    pub const fn edition_digit(self) -> u8 {
        (self.0 >> 12) as u8
    }

    /// True if the first digit is that of `edition`.
    pub const fn is_of(self, edition: Edition) -> bool {
        self.edition_digit() == edition.digit()
    }

    /// Second digit: 1 authorization, 2 financial, 4 reversal, 8 network management ...
    pub const fn class(self) -> u8 {
        (self.0 >> 8 & 15) as u8
    }

    /// Third digit: 0 request, 1 its response, 2 advice, 3 its response, 4 notification ...
    pub const fn function(self) -> u8 {
        (self.0 >> 4 & 15) as u8
    }

    /// Fourth digit: 0 acquirer, 1 acquirer repeat, 2 issuer, 3 issuer repeat, 4 other ...
    pub const fn origin(self) -> u8 {
        (self.0 & 15) as u8
    }

    /// True if the message answers another one: an odd third digit. A response is never answered.
    pub const fn is_response(self) -> bool {
        self.function() % 2 == 1
    }

    /// True if the message is a repeat: an odd fourth digit.
    pub const fn is_repeat(self) -> bool {
        self.origin() % 2 == 1
    }

    /// True for 08xx.
    pub const fn is_network_management(self) -> bool {
        self.class() == 8
    }

    /// True for 012x and 022x: who sends it has done it, and tells.
    #[inline]
    pub const fn is_advice(self) -> bool {
        self.function() == 2 && matches!(self.class(), 1 | 2)
    }

    /// The advice of the class of this request: 0120 for 0100.
    #[must_use]
    pub const fn advice(self) -> Self {
        Self(self.0 & 0xFF0F | 0x20)
    }

    /// The MTI that answers this request or advice: third digit + 1, repeat flag cleared (0101 is
    /// answered with 0110, 0421 with 0430). `None` for a response, and for functions 8 and 9.
    pub const fn response(self) -> Option<Self> {
        if self.is_response() || self.function() >= 8 {
            None
        } else {
            Some(Self((self.0 & 0xFFFE) + 0x10))
        }
    }

    /// This request with the repeat flag cleared.
    #[must_use]
    pub const fn original(self) -> Self {
        Self(self.0 & 0xFFFE)
    }
}

impl std::fmt::Debug for Mti {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

impl std::fmt::Display for Mti {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_follow_the_pairs_of_the_standard() {
        for (request, response) in [
            (0x0100, 0x0110),
            (0x0101, 0x0110),
            (0x0120, 0x0130),
            (0x0121, 0x0130),
            (0x0200, 0x0210),
            (0x0401, 0x0410),
            (0x0420, 0x0430),
            (0x0421, 0x0430),
            (0x0800, 0x0810),
            (0x0820, 0x0830),
            (0x1804, 0x1814),
        ] {
            let request = Mti::from_packed(request).expect("digits");
            assert_eq!(request.response().map(Mti::packed), Some(response));
        }
    }

    #[test]
    fn a_response_is_never_answered() {
        for response in [0x0110, 0x0210, 0x0430, 0x0810, 0x1814, 0x0130] {
            assert_eq!(Mti::from_packed(response).expect("digits").response(), None);
        }
    }

    #[test]
    fn an_advice_is_of_the_class_of_its_request() {
        for (request, advice) in [(0x0100, 0x0120), (0x1200, 0x1220), (0x0221, 0x0221)] {
            let request = Mti::from_packed(request).expect("digits");
            assert_eq!(request.advice().packed(), advice);
            assert!(request.advice().is_advice());
        }
        for other in [0x0100, 0x0230, 0x0420, 0x0820] {
            assert!(!Mti::from_packed(other).expect("digits").is_advice());
        }
    }

    #[test]
    fn digits_only() {
        assert_eq!(Mti::from_packed(0x01A0), None);
        assert_eq!(Mti::from_packed(0xF100), None);
        assert_eq!(Mti::from_ascii(b"02X0"), None);
        assert_eq!(Mti::from_ascii(b"0200").map(Mti::packed), Some(0x0200));
        assert_eq!(&Mti::from_packed(0x0421).expect("digits").ascii(), b"0421");
    }
}
