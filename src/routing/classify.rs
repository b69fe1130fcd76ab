//! Payment code, PAN or chip application -> network.
//!
//! A rule is a range of leading digits with the lengths it holds for, and may ask for certain
//! digits farther back. The narrowest range wins; among equal ranges the one for fewer lengths,
//! then the one that asks for more digits. That order is forced by the codes themselves: a Kakao
//! Pay code (281006, 24 digits) also has the form of any Alipay+ code (25 to 30, 24 digits) and of
//! any Alipay code (25 to 30, 16 to 24 digits), and only the sixth digit from the end tells an
//! Alipay+ code of 19 digits from that of another wallet.
//!
//! What it is not: it does not tell codes apart that look the same (Alipay and AlipayHK); that
//! needs the merchant, see [`super::build::NetworkPlan::twin`].

use std::fmt;

use super::pattern::Pattern;
use super::ranges::{Clash, Range, Ranges};
use crate::base::authorization::{Form, Instrument};
use crate::base::ids::NetworkId;

/// The network of a code by its form, length and first digits.
#[derive(Debug, Clone, Default)]
pub struct Classifier {
    /// One per form and length: `form x 25 + length`. A value is a network, or [`ASKS`] and a place
    /// in `asking`.
    by_form: Vec<Ranges<u64>>,
    asking: Vec<Asking>,
}

/// First digits and lengths that belong to one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeRule {
    form: Form,
    low: u64,
    end: u64,
    lengths: Lengths,
    pattern: Pattern,
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
    /// A pattern with other characters than digits, dots and sets, of more than 24 digits, or that
    /// asks for a digit behind the 18th.
    Pattern,
    /// The name of an application of less than 5 or more than 7 bytes.
    Application,
}

/// A rule that asks for digits behind its range.
#[derive(Debug, Clone)]
struct Asking {
    pattern: Pattern,
    network: u32,
    /// The value of the range around it, for codes with other digits.
    otherwise: Option<u32>,
}

impl Classifier {
    /// A classifier of `rules`, each with the network it belongs to. Rules that clash are noted by
    /// their places.
    pub(super) fn new(rules: &[(NetworkId, CodeRule)], clashes: &mut Vec<(u32, u32)>) -> Self {
        let mut asking: Vec<Asking> = Vec::new();
        let mut by_form: Vec<Vec<Range<u64>>> = vec![Vec::new(); 3 * FORMS];
        for (place, (network, rule)) in rules.iter().enumerate() {
            for length in rule.lengths.iter() {
                let Some(ranges) = by_form.get_mut(form(rule.form, length)) else { continue };
                let mut value = u32::from(network.0);
                if !rule.pattern.is_any() {
                    let (pattern, network) = (rule.pattern, value);
                    value = ASKS | asking.len() as u32;
                    asking.push(Asking { pattern, network, otherwise: None });
                }
                let breadth = (rule.lengths.count(), rule.pattern.breadth());
                let rule = (rule.low, rule.end, place as u32);
                ranges.push(Range { low: rule.0, end: rule.1, breadth, value, rule: rule.2 });
            }
        }
        let pattern = |range: &Range<u64>| {
            rules.get(range.rule as usize).map_or(Pattern::ANY, |(_, rule)| rule.pattern)
        };
        let clash = |outer: &Range<u64>, inner: &Range<u64>| {
            outer.breadth.0 == inner.breadth.0 && pattern(outer).clashes(&pattern(inner))
        };
        let inside = |range: &Range<u64>, outer: Option<&Range<u64>>| {
            let place = (range.value & !ASKS) as usize;
            if let Some(asking) = asking.get_mut(place).filter(|_| range.value & ASKS != 0) {
                asking.otherwise = outer.map(|outer| outer.value);
            }
        };
        let mut found: Vec<Clash> = Vec::new();
        let mut inside = inside;
        let flatten = |form| Ranges::flatten_by(form, &mut found, clash, &mut inside);
        let by_form = by_form.into_iter().map(flatten).collect();
        clashes.extend(found.into_iter().map(|clash| (clash.first, clash.second)));
        clashes.sort_unstable();
        clashes.dedup();
        Self { by_form, asking }
    }

    /// The network whose rule fits best.
    pub fn network(&self, instrument: Instrument) -> Option<NetworkId> {
        let form = form(instrument.form(), instrument.length());
        let mut value = self.by_form.get(form)?.find(instrument.head())?;
        // Each step leads to a broader rule.
        while value & ASKS != 0 {
            let asking = self.asking.get((value & !ASKS) as usize)?;
            value = if asking.pattern.holds(instrument.head()) {
                asking.network
            } else {
                asking.otherwise?
            };
        }
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
        let form = if scanned { Form::Code } else { Form::Pan };
        let end = high + 10_u64.pow((Instrument::HEAD_DIGITS - digits) as u32);
        Ok(Self { form, low, end, lengths, pattern: Pattern::ANY })
    }

    /// Every code written like `pattern`: a digit stands for itself, a dot for any digit,
    /// `[0-57-9]` for one of those. `289..........6.....` is 19 digits long, begins with 289 and
    /// has a 6 in the sixth place from the end.
    ///
    /// # Errors
    ///
    /// If it is no pattern, or asks for what a lookup does not see.
    pub fn pattern(scanned: bool, pattern: &str) -> Result<Self, RuleError> {
        let (pattern, length) = Pattern::read(pattern).ok_or(RuleError::Pattern)?;
        let lengths = Lengths::new(length, length).ok_or(RuleError::Pattern)?;
        let (low, size, pattern) = pattern.without_prefix();
        let form = if scanned { Form::Code } else { Form::Pan };
        Ok(Self { form, low, end: low + size, lengths, pattern })
    }

    /// Every chip application whose name begins with `name`.
    ///
    /// # Errors
    ///
    /// If the name is shorter than a provider's number or longer than a lookup sees.
    pub fn application(name: &[u8]) -> Result<Self, RuleError> {
        let bytes = name.len();
        let low = Instrument::from_application(name).filter(|_| bytes <= Instrument::HEAD_BYTES);
        let low = low.ok_or(RuleError::Application)?.head();
        let end = low + (1 << (8 * (Instrument::HEAD_BYTES - bytes)));
        let lengths = Lengths::new(bytes as u8, 16).ok_or(RuleError::Application)?;
        Ok(Self { form: Form::Application, low, end, lengths, pattern: Pattern::ANY })
    }

    /// True if the rule holds for `instrument`, whatever other rules say.
    pub fn holds(&self, instrument: Instrument) -> bool {
        self.form == instrument.form()
            && self.lengths.contains(instrument.length())
            && (self.low..self.end).contains(&instrument.head())
            && self.pattern.holds(instrument.head())
    }

    /// True if it asks for digits behind its range.
    pub(super) fn asks(&self) -> bool {
        !self.pattern.is_any()
    }

    /// How much the rule covers: range first, then number of lengths, then what its pattern admits.
    /// The smaller wins.
    pub fn breadth(&self) -> (u64, u8, u64) {
        (self.end - self.low, self.lengths.count(), self.pattern.breadth())
    }
}

impl fmt::Display for CodeRule {
    /// `code 281006, length 24`, `PAN 51-55, length 16`, `code 289..........6.....`, `application
    /// A000000333`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.end - self.low;
        let name = match self.form {
            Form::Application => {
                let digits = 2 * (Instrument::HEAD_BYTES - size.trailing_zeros() as usize / 8);
                let head = format!("{:014X}", self.low);
                return write!(f, "application {}", head.get(..digits).unwrap_or(&head));
            }
            Form::Code => "code",
            Form::Pan => "PAN",
        };
        let unit = |digits: usize| 10_u64.pow((Instrument::HEAD_DIGITS - digits) as u32);
        let fits = |digits: &usize| {
            self.low.is_multiple_of(unit(*digits)) && self.end.is_multiple_of(unit(*digits))
        };
        let digits = (0..Instrument::HEAD_DIGITS).find(fits).unwrap_or(Instrument::HEAD_DIGITS);
        let shown = |head: u64| match digits {
            0 => String::new(),
            digits => format!("{:0digits$}", head / unit(digits)),
        };
        let (first, last) = (shown(self.low), shown(self.end - 1));
        let longest = self.lengths.iter().last().unwrap_or(0);
        if !self.pattern.is_any() {
            return write!(f, "{name} {}", self.pattern.text(&first, longest));
        }
        let shortest = self.lengths.iter().next().unwrap_or(0);
        let range = if first == last { first } else { format!("{first}-{last}") };
        match shortest == longest {
            true => write!(f, "{name} {range}, length {longest}"),
            false => write!(f, "{name} {range}, length {shortest} to {longest}"),
        }
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

fn form(form: Form, length: u8) -> usize {
    form as usize * FORMS + usize::from(length)
}

/// Longest code of digits, see [`Instrument::from_digits`].
pub(super) const LENGTH_MAX: u8 = 24;

/// Lengths 0 to 24.
const FORMS: usize = LENGTH_MAX as usize + 1;

/// Marks a value as a place in the list of rules that ask for more digits. No network has it: there
/// are 64 at most.
const ASKS: u32 = 1 << 31;
