//! The stand-in policy of a route: what the switch may approve while its partners cannot be asked.
//!
//! Limits and exclusions, nothing else. What was approved is counted where approvals are made, and
//! the rules that no policy can change (only purchases, never with a PIN, never after an answer)
//! are kept there too. A route without a policy has no stand-in.

use crate::base::money::Currency;

/// What may be approved. The default approves nothing: it names no currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The currencies in which stand-in is allowed at all.
    pub currencies: Vec<CurrencyLimits>,
    /// Approvals per card in 24 hours.
    pub card_count: u32,
    /// Approvals per merchant in 24 hours.
    pub merchant_count: u32,
    /// Merchant category codes that are never approved. If there are any, a request without a
    /// code is not approved either.
    pub excluded_mccs: Vec<u16>,
}

/// Limits in one currency, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrencyLimits {
    /// Which.
    pub currency: Currency,
    /// Of one transaction.
    pub floor: u64,
    /// Of one card in 24 hours.
    pub card: u64,
    /// Of one merchant in 24 hours.
    pub merchant: u64,
    /// Of all together in 24 hours: what the partner is exposed to.
    pub total: u64,
}
