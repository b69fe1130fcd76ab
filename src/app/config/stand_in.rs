//! `stand_in` of a route: what the switch may approve while the partners cannot be asked.
//!
//! Every limit must be said: an omission that approves is no default.

use super::table::{Entry, Table};
use crate::app::dialect_file::Log;
use crate::base::money::Currency;
use crate::routing::stand_in::{CurrencyLimits, Policy};

/// The policy; `None` if it is not whole.
pub(super) fn policy(entry: &Entry<'_>, log: &mut Log<'_>) -> Option<Policy> {
    let mut table = entry.table(log)?;
    let card_count = need(&mut table, "card_count", 1..=COUNT_MAX, log);
    let merchant_count = need(&mut table, "merchant_count", 1..=COUNT_MAX, log);
    let excluded = table.take("excluded_mccs").map(|entry| mccs(&entry, log)).unwrap_or_default();
    let limits = table.tables("limits", log);
    if limits.is_empty() {
        log.add(&table.span, "no limits: nothing could be approved in any currency");
    }
    let mut currencies: Vec<CurrencyLimits> = Vec::new();
    for table in limits {
        let span = table.span.clone();
        let Some(limits) = currency_limits(table, log) else { continue };
        if currencies.iter().any(|other| other.currency == limits.currency) {
            log.add(&span, "this currency has limits already");
        }
        currencies.push(limits);
    }
    table.finish(log);
    let (card_count, merchant_count) = (card_count? as u32, merchant_count? as u32);
    Some(Policy { currencies, card_count, merchant_count, excluded_mccs: excluded })
}

fn mccs(entry: &Entry<'_>, log: &mut Log<'_>) -> Vec<u16> {
    entry.items(log).iter().filter_map(|item| item.number(1..=9999, log)).collect()
}

fn currency_limits(mut table: Table<'_>, log: &mut Log<'_>) -> Option<CurrencyLimits> {
    let entry = table.need("currency", log);
    let currency = entry.and_then(|entry| {
        let number = entry.number(1..=999_u16, log)?;
        let currency = Currency::from_number(number);
        if currency.is_none() {
            log.add(&entry.span, format!("{number} is no currency of ISO 4217"));
        }
        currency
    });
    let amounts = ["floor", "card", "merchant", "total"]
        .map(|key| (key, need(&mut table, key, 1..=AMOUNT_MAX, log)));
    // Whoever allows more of a part than of the whole has mixed up two of them.
    for pair in amounts.windows(2) {
        if let [(small, Some(one)), (large, Some(other))] = pair
            && one > other
        {
            log.add(&table.span, format!("{small} is above {large}"));
        }
    }
    table.finish(log);
    let [floor, card, merchant, total] = amounts.map(|(_, amount)| amount);
    Some(CurrencyLimits {
        currency: currency?,
        floor: floor?,
        card: card?,
        merchant: merchant?,
        total: total?,
    })
}

/// A number that must be there.
fn need(
    table: &mut Table<'_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u64>,
    log: &mut Log<'_>,
) -> Option<u64> {
    let entry = table.need(key, log)?;
    entry.number(range, log)
}

/// Most approvals of a card or merchant in a day that a limit can mean.
const COUNT_MAX: u64 = 1_000_000;

/// Twelve digits, as DE 4 has.
const AMOUNT_MAX: u64 = 999_999_999_999;
