//! A rule: for whom it is, what it asks, what it does.

use std::time::Duration;

use crate::base::authorization::Kind;
use crate::base::codes::ResponseCode;
use crate::base::ids::{NetworkId, Region};
use crate::base::money::Currency;
use crate::base::window::Window;

use super::list::List;
use super::travel::Travel;
use super::{Asked, key::Key};

/// A rule as it is written.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name in counters and reports: no other rule has it.
    pub name: String,
    /// For whom it is.
    pub scope: Scope,
    /// What makes it speak.
    pub test: Test,
    /// What happens then.
    pub action: Action,
    /// DE 39 of a decline.
    pub code: ResponseCode,
}

/// What makes a rule speak.
#[derive(Debug, Clone)]
pub enum Test {
    /// Its scope alone: whatever is in it is not permitted.
    Always,
    /// An amount outside of these minor units, both ends included.
    Amount {
        /// Least.
        min: u64,
        /// Most.
        max: u64,
    },
    /// The card or code, the merchant or the terminal is on a list.
    Listed(List),
    /// More than so much for one key within a window.
    Velocity(Velocity),
    /// The card or wallet was too far away too lately.
    Travel(Travel),
}

/// A limit for each key within a sliding window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Velocity {
    /// What is counted apart.
    pub key: Key,
    /// How long what was asked counts, one millisecond to 31 days.
    pub window: Duration,
    /// Most requests, or most minor units, in that time.
    pub limit: u64,
    /// True if amounts are added up, of the one currency of the scope.
    pub sums: bool,
    /// True if what was declined counts as well.
    pub attempts: bool,
}

/// What happens if a rule speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The request is declined.
    Decline,
    /// It goes on, and is counted as one to be looked at.
    Flag,
    /// It goes on: the rule is on trial, and counts what it would have done.
    Shadow,
}

/// For whom a rule is. All that is said must hold, and what is not said holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Whose code or card it is; empty is anybody's.
    pub networks: Vec<NetworkId>,
    /// Where the merchant is; empty is anywhere.
    pub regions: Vec<Region>,
    /// Where the wallet is at home; empty is anywhere.
    pub homes: Vec<Region>,
    /// True if the wallet must be abroad: at home elsewhere than the merchant.
    pub abroad: bool,
    /// Merchant categories, first and last; empty is any. DE 18 or the merchant's row must be
    /// among them.
    pub mccs: Vec<(u16, u16)>,
    /// From where to where: home and the merchant's region; empty is any.
    pub corridors: Vec<(Region, Region)>,
    /// DE 42 without padding, or its beginning and a star; empty is any merchant.
    pub merchants: Vec<String>,
    /// DE 49, or what is paid in where the merchant is; empty is any currency.
    pub currencies: Vec<Currency>,
    /// DE 22, first and last; empty is any.
    pub entry_modes: Vec<(u16, u16)>,
    /// What is asked, by the category of DE 18 or by that of the merchant's row; empty is whatever
    /// takes money.
    pub kinds: Vec<Kind>,
    /// When; `None` is always.
    pub window: Option<Window>,
}

impl Action {
    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decline => "decline",
            Self::Flag => "flag",
            Self::Shadow => "shadow",
        }
    }
}

impl Scope {
    /// True if the rule is for this request.
    #[inline]
    pub(super) fn holds(&self, asked: &Asked<'_>) -> bool {
        let facts = asked.facts;
        let kind_fits = asked.kinds.iter().any(|kind| match &*self.kinds {
            [] => takes_money(*kind),
            kinds => kinds.contains(kind),
        });
        let among = |list: &[(u16, u16)], number| {
            list.is_empty() || list.iter().any(|(first, last)| (*first..=*last).contains(&number))
        };
        kind_fits
            && self.is_currency(asked)
            && has(&self.regions, asked.region)
            && has(&self.homes, asked.home)
            && has(&self.corridors, asked.home.zip(asked.region))
            && has(&self.networks, asked.network)
            && (!self.abroad || asked.home.is_some_and(|home| asked.region != Some(home)))
            && asked.mccs.iter().any(|mcc| among(&self.mccs, *mcc))
            && among(&self.entry_modes, facts.entry_mode)
            && (self.merchants.is_empty() || self.is_merchant(&facts.merchant))
            && self.window.as_ref().is_none_or(|window| window.holds(asked.now.wall))
    }

    /// A currency that is not known may be this one.
    fn is_currency(&self, asked: &Asked<'_>) -> bool {
        self.currencies.is_empty()
            || asked.currency().is_none_or(|currency| self.currencies.contains(&currency))
    }

    fn is_merchant(&self, merchant: &[u8; 15]) -> bool {
        let merchant = trimmed(merchant);
        self.merchants.iter().any(|name| match name.strip_suffix('*') {
            Some(beginning) => merchant.starts_with(beginning.as_bytes()),
            None => name.as_bytes() == merchant,
        })
    }
}

impl Test {
    /// True if a rule that remembers nothing speaks of this request, which is in its scope.
    #[inline]
    pub(super) fn speaks(&self, asked: &Asked<'_>) -> bool {
        match self {
            Self::Always => true,
            Self::Amount { min, max } => !(*min..=*max).contains(&asked.facts.amount.minor),
            Self::Listed(list) => list.has(asked),
            Self::Velocity(_) | Self::Travel(_) => false,
        }
    }
}

/// What is undone or only asked moves no limit.
const fn takes_money(kind: Kind) -> bool {
    match kind {
        Kind::Purchase | Kind::PreAuthorization | Kind::Fare | Kind::Transfer | Kind::Other => true,
        Kind::Completion | Kind::Void | Kind::Refund | Kind::Inquiry => false,
    }
}

fn has<T: PartialEq>(list: &[T], value: Option<T>) -> bool {
    list.is_empty() || value.is_some_and(|value| list.contains(&value))
}

/// Text without its padding.
pub(super) fn trimmed(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !matches!(byte, 0 | b' ')).map_or(0, |last| last + 1);
    text.get(..end).unwrap_or(&[])
}
