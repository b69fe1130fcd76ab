//! What becomes of a request at the simulated partner: approved, declined or never answered.
//!
//! The choice is a hash of DE 37 and of nothing else, so that the load generator can check every
//! answer: DE 37 is the one unique field that a switch carries through unchanged (the STAN is
//! replaced on the way). It is not random: the same request always meets the same fate.

use std::str::FromStr;

/// A share of all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Share {
    millionths: u32,
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Share, String> {
        let number = text.strip_suffix('%').unwrap_or(text);
        match number.parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => {
                Ok(Share { millionths: (percent * 10_000.0).round() as u32 })
            }
            _ => Err(format!("'{text}' is not a percentage from 0 to 100")),
        }
    }
}

impl Share {
    /// Every request.
    pub(crate) const ALL: Share = Share { millionths: 1_000_000 };

    /// No request at all.
    #[cfg(test)]
    pub(crate) const NONE: Share = Share { millionths: 0 };

    /// Whether the request with this DE 37 belongs to the share. Choices with different `salt`
    /// are independent of each other.
    #[inline]
    pub(crate) fn takes(self, rrn: &[u8], salt: u64) -> bool {
        self.millionths != 0 && hash(rrn, salt) % 1_000_000 < u64::from(self.millionths)
    }
}

/// A share of declines and the DE 39 they carry, written `5` or `5:51`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decline {
    pub(crate) share: Share,
    pub(crate) code: [u8; 2],
}

impl Default for Decline {
    fn default() -> Decline {
        Decline { share: Share::default(), code: *b"05" }
    }
}

impl FromStr for Decline {
    type Err = String;

    fn from_str(text: &str) -> Result<Decline, String> {
        let (percent, code) = text.split_once(':').unwrap_or((text, "05"));
        let share = percent.parse()?;
        match *code.as_bytes() {
            [a, b] if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric() => {
                Ok(Decline { share, code: [a, b] })
            }
            _ => Err(format!("'{code}' is not a response code of two letters or digits")),
        }
    }
}

/// The behaviour of a partner, as configured there and as expected by the load generator.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fate {
    pub(crate) decline: Decline,
    pub(crate) silence: Share,
}

impl Fate {
    /// The DE 39 for the request with this DE 37, or None if it is never answered.
    #[inline]
    pub(crate) fn code(&self, rrn: &[u8]) -> Option<[u8; 2]> {
        if self.silence.takes(rrn, SALT_SILENCE) {
            None
        } else if self.decline.share.takes(rrn, SALT_DECLINE) {
            Some(self.decline.code)
        } else {
            Some(APPROVED)
        }
    }
}

/// Mixes with a multiplication per 8 bytes and a final avalanche: neighbouring counters must not
/// share a fate.
fn hash(bytes: &[u8], salt: u64) -> u64 {
    let mut mixed = salt;
    for chunk in bytes.chunks(8) {
        let word = chunk.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        mixed = (mixed ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed ^= mixed >> 29;
    }
    mixed = mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^ mixed >> 32
}

/// DE 39 of an approval.
pub(crate) const APPROVED: [u8; 2] = *b"00";
/// Salt for planted faults, so that they fall on approvals and declines alike.
pub(crate) const SALT_FAULT: u64 = 3;
const SALT_SILENCE: u64 = 1;
const SALT_DECLINE: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_the_share_it_says() {
        let share: Share = "5%".parse().unwrap();
        let taken = (0..100_000)
            .filter(|n| share.takes(format!("{n:012}").as_bytes(), SALT_DECLINE))
            .count();
        assert!((4_700..5_300).contains(&taken), "{taken}");
        assert!("101".parse::<Share>().is_err());
        assert!("many".parse::<Share>().is_err());
    }

    #[test]
    fn a_decline_has_a_code() {
        let decline: Decline = "12.5:51".parse().unwrap();
        assert_eq!((decline.share.millionths, decline.code), (125_000, *b"51"));
        assert!("5:511".parse::<Decline>().is_err());
    }

    #[test]
    fn the_same_request_meets_the_same_fate() {
        let fate = Fate { decline: "30:51".parse().unwrap(), silence: "10".parse().unwrap() };
        let codes: Vec<_> = (0..1_000).map(|n| fate.code(format!("{n:012}").as_bytes())).collect();
        assert!(codes.contains(&None) && codes.contains(&Some(*b"51")));
        assert_eq!(fate.code(b"000000000007"), codes[7]);
    }
}
