//! What a rule counts apart, and the keyed hash under which that is remembered.
//!
//! No card number, code or token is kept: only hashes of 64 bits, keyed with the secret of the
//! installation, so that nobody outside can aim at one place, or tell who is behind it. Two keys
//! that meet in one hash would be counted together, to the strict side; among ten million that
//! happens once in 370,000 years of new ones every day.

use super::{Asked, rule::trimmed};

/// A set of [`Part`]s: what is the same in all of them is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Key(u32);

/// A part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The card number or the scanned code.
    Instrument,
    /// Its first six digits: who issued it.
    Issuer,
    /// DE 42.
    Merchant,
    /// DE 41.
    Terminal,
    /// DE 32.
    Acquirer,
    /// DE 18, else the category of the merchant's row.
    Mcc,
    /// DE 4.
    Amount,
    /// DE 49, else the currency of where the merchant is.
    Currency,
    /// The merchant network.
    Network,
    /// Where the merchant is.
    Region,
    /// Where the wallet is at home.
    Home,
    /// One of the elements that rules name, by its place among them: a device, a user's token.
    Element(u8),
}

/// Elements that rules may name beside the usual ones.
pub const ELEMENTS: usize = 4;

impl Key {
    /// A key of these parts.
    pub fn of(parts: &[Part]) -> Self {
        Self(parts.iter().fold(0, |bits, part| bits | part.bit()))
    }

    /// True if there is nothing in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// A number for it that is the same in all versions of the rules.
    pub(super) const fn number(self) -> u64 {
        self.0 as u64
    }

    /// True if the part is in it.
    pub const fn has(self, part: Part) -> bool {
        self.0 & part.bit() != 0
    }

    /// The hash of what `asked` has for each part; `None` if it does not have one of them.
    #[inline]
    pub(super) fn hash(self, seed: u64, asked: &Asked<'_>) -> Option<u64> {
        let (mut hash, mut bits) = (seed, self.0);
        while bits != 0 {
            hash = match bits.trailing_zeros() {
                0 => mix(hash, some(asked.instrument)?),
                1 => mix(hash, asked.facts.instrument?.head() / 10_u64.pow(12) + 1),
                2 => text(hash, &asked.facts.merchant)?,
                3 => mix(hash, some(u64::from_le_bytes(asked.facts.terminal))?),
                4 => mix(hash, some(asked.facts.acquirer)?),
                5 => mix(hash, some(u64::from(asked.mccs[0]))?),
                6 => mix(hash, asked.facts.amount.minor),
                7 => mix(hash, asked.currency().map_or(0, |known| u64::from(known.number()))),
                8 => mix(hash, u64::from(asked.network?.0)),
                9 => mix(hash, u64::from(u16::from_le_bytes(asked.region?.0))),
                10 => mix(hash, u64::from(u16::from_le_bytes(asked.home?.0))),
                place => mix(hash, some(*asked.elements.get(place as usize - FIRST_ELEMENT)?)?),
            };
            bits &= bits - 1;
        }
        Some(mix(hash, self.number()))
    }
}

impl Part {
    const fn bit(self) -> u32 {
        match self {
            Self::Instrument => 1,
            Self::Issuer => 1 << 1,
            Self::Merchant => 1 << 2,
            Self::Terminal => 1 << 3,
            Self::Acquirer => 1 << 4,
            Self::Mcc => 1 << 5,
            Self::Amount => 1 << 6,
            Self::Currency => 1 << 7,
            Self::Network => 1 << 8,
            Self::Region => 1 << 9,
            Self::Home => 1 << 10,
            Self::Element(place) => 1 << (FIRST_ELEMENT as u32 + place as u32),
        }
    }
}

/// The keyed hash of some bytes, never 0.
pub fn hash_of(secret: u64, bytes: &[u8]) -> u64 {
    let start = mix(secret, bytes.len() as u64);
    let hash = bytes.chunks(8).fold(start, |hash, chunk| {
        mix(hash, chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)))
    });
    hash.max(1)
}

/// The same for text, padding left out.
pub(super) fn hash_of_text(secret: u64, bytes: &[u8]) -> u64 {
    hash_of(secret, trimmed(bytes))
}

fn text(hash: u64, merchant: &[u8; 15]) -> Option<u64> {
    let word = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let (first, last) = (word(merchant.first_chunk()), word(merchant.last_chunk()));
    some(first)?;
    Some(mix(mix(hash, first), last))
}

const fn some(word: u64) -> Option<u64> {
    if word == 0 { None } else { Some(word) }
}

/// Two products, so that each bit of the result hangs on each bit of both.
#[inline]
pub(super) const fn mix(hash: u64, word: u64) -> u64 {
    let product = (hash ^ word ^ 0x2545_F491_4F6C_DD1D) as u128 * 0x9E37_79B9_7F4A_7C15;
    let once = product as u64 ^ (product >> 64) as u64;
    let product = (once ^ hash) as u128 * 0xD6E8_FEB8_6659_FD93;
    product as u64 ^ (product >> 64) as u64
}

const FIRST_ELEMENT: usize = 11;

const _: () = assert!(FIRST_ELEMENT + ELEMENTS <= 32);
