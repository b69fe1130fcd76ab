//! Payment code or PAN -> network.
//!
//! A rule is a range of leading digits with the lengths it holds for. The narrowest range wins;
//! among equal ranges the one for fewer lengths. That order is forced by the codes themselves: a
//! Kakao Pay code (281006, 24 digits) also has the form of any Alipay+ code (25 to 30, 24 digits)
//! and of any Alipay code (25 to 30, 16 to 24 digits).
//!
//! What it is not: it does not tell codes apart that look the same (Alipay and AlipayHK); that
//! needs the merchant, see [`super::build::NetworkPlan::twin`].

use super::ranges::{Clash, Range, Ranges};
use crate::base::authorization::Instrument;
use crate::base::ids::NetworkId;

/// The network of a code by its kind, length and leading digits.
#[derive(Debug, Clone, Default)]
pub struct Classifier {
    /// One per kind and length: `scanned x 25 + length`.
    by_form: Vec<Ranges<u64>>,
}

/// Leading digits and lengths that belong to one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeRule {
    scanned: bool,
    low: u64,
    end: u64,
    lengths: Lengths,
}

/// A set of lengths, 1 to 24 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths(u32);

/// Why digits and lengths make no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleError {
    /// No digits, more than 18, or something else than digits.
    Digits,
    /// The first and the last value of a range have different lengths, or are the wrong way round.
    Order,
    /// A code of a listed length would be shorter than the digits it begins with.
    Short,
}

impl Classifier {
    /// A classifier of `rules`, each with the network it belongs to. Rules that clash are noted by
    /// their places.
    pub(super) fn new(rules: &[(NetworkId, CodeRule)], clashes: &mut Vec<(u32, u32)>) -> Self {
        let mut by_form: Vec<Vec<Range<u64>>> = vec![Vec::new(); 2 * FORMS];
        for (place, (network, rule)) in rules.iter().enumerate() {
            for length in rule.lengths.iter() {
                if let Some(form) = by_form.get_mut(form(rule.scanned, length)) {
                    form.push(Range {
                        low: rule.low,
                        end: rule.end,
                        breadth: rule.lengths.count(),
                        value: u32::from(network.0),
                        rule: place as u32,
                    });
                }
            }
        }
        let mut found: Vec<Clash> = Vec::new();
        let by_form = by_form.into_iter().map(|form| Ranges::flatten(form, &mut found)).collect();
        clashes.extend(found.into_iter().map(|clash| (clash.first, clash.second)));
        clashes.sort_unstable();
        clashes.dedup();
        Self { by_form }
    }

    /// The network whose rule fits best.
    pub fn network(&self, instrument: Instrument) -> Option<NetworkId> {
        let form = form(instrument.scanned(), instrument.length());
        let value = self.by_form.get(form)?.find(instrument.head())?;
        Some(NetworkId(value as u16))
    }
}

impl CodeRule {
    /// Everything that begins with `prefix`.
    ///
    /// # Errors
    ///
    /// If the digits cannot be a prefix of codes of those lengths.
    pub fn prefix(scanned: bool, prefix: &str, lengths: Lengths) -> Result<Self, RuleError> {
        Self::range(scanned, prefix, prefix, lengths)
    }

    /// Everything whose leading digits lie between `first` and `last`, both included.
    ///
    /// # Errors
    ///
    /// If the digits cannot begin codes of those lengths, or are no range.
    pub fn range(
        scanned: bool,
        first: &str,
        last: &str,
        lengths: Lengths,
    ) -> Result<Self, RuleError> {
        let digits = first.len();
        if first.len() != last.len() {
            return Err(RuleError::Order);
        }
        let (low, high) = (head(first)?, head(last)?);
        if low > high {
            return Err(RuleError::Order);
        }
        if lengths.iter().any(|length| usize::from(length) < digits) {
            return Err(RuleError::Short);
        }
        let step = 10_u64.pow((Instrument::HEAD_DIGITS - digits) as u32);
        Ok(Self { scanned, low, end: high + step, lengths })
    }

    /// True if the rule holds for `instrument`, whatever other rules say.
    pub fn holds(&self, instrument: Instrument) -> bool {
        self.scanned == instrument.scanned()
            && self.lengths.contains(instrument.length())
            && (self.low..self.end).contains(&instrument.head())
    }

    /// How much the rule covers: range first, then number of lengths. The smaller wins.
    pub fn breadth(&self) -> (u64, u8) {
        (self.end - self.low, self.lengths.count())
    }
}

impl Lengths {
    /// Lengths `first` to `last`; `None` unless 1 <= first <= last <= 24.
    pub fn new(first: u8, last: u8) -> Option<Self> {
        if first == 0 || first > last || last > LENGTH_MAX {
            return None;
        }
        Some((first..=last).fold(Self(0), |set, length| Self(set.0 | 1 << length)))
    }

    /// True if `length` is in the set.
    pub const fn contains(self, length: u8) -> bool {
        length <= LENGTH_MAX && self.0 & 1 << length != 0
    }

    /// How many lengths.
    pub const fn count(self) -> u8 {
        self.0.count_ones() as u8
    }

    /// The lengths, shortest first.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (1..=LENGTH_MAX).filter(move |length| self.contains(*length))
    }
}

/// Digits as the start of an [`Instrument::head`].
fn head(digits: &str) -> Result<u64, RuleError> {
    if digits.len() > Instrument::HEAD_DIGITS {
        return Err(RuleError::Digits);
    }
    Instrument::from_digits(digits.as_bytes(), true).map(Instrument::head).ok_or(RuleError::Digits)
}

fn form(scanned: bool, length: u8) -> usize {
    usize::from(scanned) * FORMS + usize::from(length)
}

/// Longest code of digits, see [`Instrument::from_digits`].
const LENGTH_MAX: u8 = 24;

/// Lengths 0 to 24.
const FORMS: usize = LENGTH_MAX as usize + 1;
