//! Response codes (DE 39) and processing codes (DE 3).
//!
//! The switch thinks in the two-digit codes of ISO 8583:1987. Links that speak 1993 or 2003 get
//! the action code of the same meaning; the mapping lives here and nowhere else.

/// Which edition of ISO 8583 a link speaks: the first digit of its MTIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Edition {
    /// ISO 8583:1987, MTI 0xxx.
    #[default]
    Y1987,
    /// ISO 8583:1993, MTI 1xxx.
    Y1993,
    /// ISO 8583:2003, MTI 2xxx.
    Y2003,
}

impl Edition {
    /// The first MTI digit.
    pub const fn digit(self) -> u8 {
        self as u8
    }
}

/// A response code: the two digits of ISO 8583:1987 DE 39 as a number, 0 to 99.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseCode(u8);

impl ResponseCode {
    /// Approved.
    pub const APPROVED: Self = Self(0);
    /// Approved for a part of the amount.
    pub const PARTIAL: Self = Self(10);
    /// The transaction is not known or not supported.
    pub const INVALID_TRANSACTION: Self = Self(12);
    /// The amount is not acceptable.
    pub const INVALID_AMOUNT: Self = Self(13);
    /// The card number or payment code is of no known form.
    pub const INVALID_CARD: Self = Self(14);
    /// There is no such original.
    pub const NOT_FOUND: Self = Self(25);
    /// The amount is not that of the original.
    pub const ORIGINAL_AMOUNT: Self = Self(64);
    /// The message breaks the format of the link.
    pub const FORMAT_ERROR: Self = Self(30);
    /// Not permitted to this cardholder or wallet.
    pub const NOT_PERMITTED_CARDHOLDER: Self = Self(57);
    /// Not permitted to this terminal or merchant.
    pub const NOT_PERMITTED_TERMINAL: Self = Self(58);
    /// Issuer or switch inoperative: partner down, overload, or no answer in time.
    pub const INOPERATIVE: Self = Self(91);
    /// No route.
    pub const NO_ROUTE: Self = Self(92);
    /// The same key with other content, or a double scan.
    pub const DUPLICATE: Self = Self(94);
    /// The switch itself failed.
    pub const MALFUNCTION: Self = Self(96);

    /// A code from its number; `None` above 99.
    pub const fn from_number(number: u8) -> Option<Self> {
        if number > 99 { None } else { Some(Self(number)) }
    }

    /// The number, 0 to 99.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// DE 39 of ISO 8583:1987: two ASCII digits.
    pub const fn digits(self) -> [u8; 2] {
        [b'0' + self.0 / 10, b'0' + self.0 % 10]
    }

    /// DE 39 of ISO 8583:1993: the three-digit action code of the same meaning. Codes without a
    /// counterpart become 909, system malfunction.
    pub const fn action_code(self) -> [u8; 3] {
        let code: u16 = match self.0 {
            0 => 0,
            10 => 2,
            5 => 100,
            12 => 902,
            13 => 110,
            14 => 111,
            25 => 914,
            30 => 904,
            54 => 101,
            57 => 119,
            58 => 120,
            59 => 102,
            61 => 121,
            64 => 110,
            65 => 123,
            91 => 907,
            92 => 908,
            94 => 913,
            _ => 909,
        };
        [b'0' + (code / 100) as u8, b'0' + (code / 10 % 10) as u8, b'0' + (code % 10) as u8]
    }

    /// True if `de39` approves, in whole or in part: 00, 10 and 11 of 1987, 0xx of 1993.
    pub fn approves(de39: &[u8]) -> bool {
        matches!(de39, b"00" | b"10" | b"11" | [b'0', _, _])
    }
}

/// Transaction type: the first two digits of DE 3 (ISO 8583:1987 and network practice).
/// 90 to 99 are private; POS fleets use them for logon and parameter download.
pub fn processing_code_is_known(kind: u8) -> bool {
    matches!(kind, 0..=3 | 9 | 17..=22 | 26 | 28 | 30 | 31 | 38 | 40 | 50 | 90..=99)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_in_the_form_of_the_edition() {
        assert_eq!(&ResponseCode::FORMAT_ERROR.digits(), b"30");
        assert_eq!(&ResponseCode::APPROVED.action_code(), b"000");
        assert_eq!(&ResponseCode::FORMAT_ERROR.action_code(), b"904");
        assert_eq!(&ResponseCode::MALFUNCTION.action_code(), b"909");
        assert_eq!(ResponseCode::from_number(100), None);
    }

    #[test]
    fn approvals() {
        for code in [&b"00"[..], b"10", b"11", b"000", b"002"] {
            assert!(ResponseCode::approves(code));
        }
        for code in [&b"05"[..], b"100", b"91", b"", b"0"] {
            assert!(!ResponseCode::approves(code));
        }
    }
}
