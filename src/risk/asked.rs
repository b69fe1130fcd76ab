//! A request, as rules see it.
//!
//! What a request does not say is taken from the merchant's row, and where both say something,
//! rules hear both: whoever leaves an element out, or puts another one in, escapes no rule by it.

use super::key::ELEMENTS;
use super::list::Listed;
use super::rule::trimmed;
use crate::base::authorization::{Authorization, Kind};
use crate::base::ids::{NetworkId, Region};
use crate::base::money::Currency;
use crate::base::tender::tender;
use crate::base::time::Now;

/// A request, as rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What it says.
    pub facts: &'a Authorization,
    /// Whose code or card it is, if that is known.
    pub network: Option<NetworkId>,
    /// Where the merchant is, if that is known.
    pub region: Option<Region>,
    /// Where the wallet is at home, if that is known.
    pub home: Option<Region>,
    /// Merchant categories: that of DE 18, or of the merchant's row where it has none; and that of
    /// the row. 0 is none.
    pub mccs: [u16; 2],
    /// What it asks for under each of [`Self::mccs`].
    pub kinds: [Kind; 2],
    /// True if it is paid over the network, and not where the merchant is.
    pub is_online: bool,
    /// The [`super::token`] of the card or code, 0 if there is none.
    pub instrument: u64,
    /// Hashes of the elements that rules name, 0 where there is none.
    pub elements: [u64; ELEMENTS],
    /// When.
    pub now: Now,
}

impl<'a> Asked<'a> {
    /// A request of which no more is known than what it says.
    pub fn new(facts: &'a Authorization, now: Now) -> Self {
        Self {
            facts,
            network: None,
            region: None,
            home: None,
            mccs: [facts.mcc; 2],
            kinds: [facts.kind; 2],
            is_online: false,
            instrument: 0,
            elements: [0; ELEMENTS],
            now,
        }
    }

    /// True if the card or code, the merchant or the terminal is this one.
    pub fn is_by(&self, who: &Listed) -> bool {
        match who {
            Listed::Token(token) => self.instrument == *token,
            Listed::Merchant(name) => trimmed(&self.facts.merchant) == name.as_bytes(),
            Listed::Terminal(name) => trimmed(&self.facts.terminal) == name.as_bytes(),
            Listed::Prefix(_) => false,
        }
    }

    /// DE 49, or the currency of the region where that is not there. `None` if neither is known: it
    /// may be any.
    #[inline]
    pub(super) fn currency(&self) -> Option<Currency> {
        match self.facts.amount.currency {
            said if said != Currency::default() => Some(said),
            _ => self.region.and_then(tender),
        }
    }
}
