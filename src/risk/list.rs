//! Lists: cards and codes, merchants, terminals that are stopped, or that no rule concerns.
//!
//! Whole, immutable, one version: looking takes no lock. Cards and codes stand in it as keyed
//! hashes or as ranges of leading digits, never in clear. An entry may have an end.

use crate::base::map::Map;
use crate::base::time::Wall;

use super::Asked;
use super::key::{hash_of_text, mix};

/// A list.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// By keyed hash: until when it is on the list.
    exact: Map<u64, Wall>,
    /// First and last head, see [`crate::base::authorization::Instrument::head`]; in order.
    ranges: Vec<(u64, u64, Wall)>,
    secret: u64,
}

/// What is on a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// A card or code by its token, see [`super::token`].
    Token(u64),
    /// All cards and codes that begin with these digits, at most 18.
    Prefix(String),
    /// DE 42.
    Merchant(String),
    /// DE 41.
    Terminal(String),
}

/// On a list for ever.
pub const FOR_EVER: Wall = Wall::from_unix_s(u64::MAX);

impl List {
    /// A list of these, each with the moment from which it is not on it any more. Whatever is a
    /// prefix of nothing is left out.
    pub fn new(secret: u64, listed: impl IntoIterator<Item = (Listed, Wall)>) -> Self {
        let mut list = Self { secret, ..Self::default() };
        for (what, until) in listed {
            match what {
                Listed::Token(token) => list.add(mix(token, TOKEN), until),
                Listed::Merchant(text) => list.add_text(MERCHANT, &text, until),
                Listed::Terminal(text) => list.add_text(TERMINAL, &text, until),
                Listed::Prefix(digits) => {
                    if let Some((first, last)) = range(&digits) {
                        list.ranges.push((first, last, until));
                    }
                }
            }
        }
        list.ranges.sort_unstable();
        list
    }

    /// How many are on it.
    pub fn len(&self) -> usize {
        self.exact.len() + self.ranges.len()
    }

    /// True if nobody is on it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if the card or code, the merchant or the terminal is on it now.
    pub(super) fn has(&self, asked: &Asked<'_>) -> bool {
        let wall = asked.now.wall;
        let is_on = |hash| self.exact.get(&hash).is_some_and(|until| wall < *until);
        let text = |seed, text: &[u8]| hash_of_text(mix(self.secret, seed), text);
        !self.exact.is_empty()
            && (asked.instrument != 0 && is_on(mix(asked.instrument, TOKEN))
                || is_on(text(MERCHANT, &asked.facts.merchant))
                || is_on(text(TERMINAL, &asked.facts.terminal)))
            || self.has_range(asked)
    }

    fn has_range(&self, asked: &Asked<'_>) -> bool {
        let Some(head) = asked.facts.instrument.map(|instrument| instrument.head()) else {
            return false;
        };
        let mut ranges = self.ranges.iter().take_while(|(first, ..)| *first <= head);
        ranges.any(|(_, last, until)| head <= *last && asked.now.wall < *until)
    }

    fn add_text(&mut self, seed: u64, text: &str, until: Wall) {
        self.add(hash_of_text(mix(self.secret, seed), text.as_bytes()), until);
    }

    fn add(&mut self, hash: u64, until: Wall) {
        let kept = self.exact.entry(hash).or_insert(until);
        *kept = (*kept).max(until);
    }
}

/// The heads that begin with `digits`.
fn range(digits: &str) -> Option<(u64, u64)> {
    let free = 18_u32.checked_sub(u32::try_from(digits.len()).ok()?)?;
    let first: u64 = digits.parse().ok()?;
    let one = 10_u64.pow(free);
    Some((first * one, first * one + (one - 1)))
}

const TOKEN: u64 = 1;
const MERCHANT: u64 = 2;
const TERMINAL: u64 = 3;
