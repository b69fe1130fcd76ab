//! `[[quote]]` of `routes.toml`: rates, and until when they hold.

use super::conditions;
use super::names::unknown;
use super::table::{Entry, Table};
use crate::app::dialect_file::{Log, Span};
use crate::base::money::Currency;
use crate::base::rate::{Rate, Rounding};
use crate::routing::quote::{Quote, Quotes, conflict};

/// The quotes of a file.
pub(super) fn read(tables: Vec<Table<'_>>, log: &mut Log<'_>) -> Quotes {
    let (mut quotes, mut spans): (Vec<Quote>, Vec<Span>) = (Vec::new(), Vec::new());
    for mut table in tables {
        let span = table.span.clone();
        quotes.extend(quote(&mut table, log));
        spans.resize(quotes.len(), span);
        table.finish(log);
    }
    if let Some((first, second)) = conflict(&quotes) {
        let span = |place: usize| spans.get(place).cloned().unwrap_or_default();
        let line = log.line(&span(first));
        let reason = format!("the quote of line {line} is of the same pair and the same time");
        log.add(&span(second), reason);
    }
    Quotes::new(quotes)
}

/// The currency of three letters.
pub(super) fn currency(letters: &str) -> Result<Currency, String> {
    let found = Currency::from_letters(letters);
    found
        .ok_or_else(|| format!("{letters:?} is no currency of ISO 4217; expected one like \"CNY\""))
}

fn quote(table: &mut Table<'_>, log: &mut Log<'_>) -> Option<Quote> {
    let pair = table.need("pair", log).and_then(|entry| pair(&entry, log));
    let rate = table.need("rate", log).and_then(|entry| {
        let rate = rate(entry.text(log)?);
        if rate.is_none() {
            log.add(&entry.span, RATE);
        }
        rate
    });
    let rounding = conditions::texts(table, "rounding", log, rounding);
    let since = conditions::moment_at("since", table, log);
    let is_said = table.need("until", log);
    let until = is_said.and_then(|entry| conditions::moment_in(&entry, log));
    if let (Some((span, until)), Some((_, since))) = (&until, &since)
        && until <= since
    {
        log.add(span, "it ends before it begins");
    }
    let (from, to) = pair?;
    Some(Quote {
        from,
        to,
        rate: rate?,
        rounding: rounding.last().copied().unwrap_or(Rounding::HalfUp),
        since: since.map(|(_, since)| since),
        until: until?.1,
    })
}

/// `"KRW/CNY"`: so much CNY for one KRW.
fn pair(entry: &Entry<'_>, log: &mut Log<'_>) -> Option<(Currency, Currency)> {
    let text = entry.text(log)?;
    let Some((from, to)) = text.split_once('/') else {
        log.add(&entry.span, "expected two currencies like \"KRW/CNY\"");
        return None;
    };
    let mut one = |letters| currency(letters).map_err(|reason| log.add(&entry.span, reason)).ok();
    let (from, to) = (one(from), one(to));
    if from.is_some() && from == to {
        log.add(&entry.span, "both currencies are the same");
    }
    Some((from?, to?))
}

/// A decimal number as ISO 8583 can write it.
fn rate(text: &str) -> Option<Rate> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = !whole.is_empty() && are_digits(whole) && are_digits(part);
    let digits: u64 = format!("{whole}{part}").parse().ok().filter(|_| is_number)?;
    if part.len() > 9 || digits > 9_999_999 {
        return None;
    }
    Rate::from_number(part.len() as u32 * 10_000_000 + digits as u32)
}

fn rounding(name: &str) -> Result<Rounding, String> {
    const KNOWN: [(&str, Rounding); 3] =
        [("half-up", Rounding::HalfUp), ("down", Rounding::Down), ("up", Rounding::Up)];
    let found = KNOWN.iter().find(|(known, _)| *known == name).map(|(_, rounding)| *rounding);
    found.ok_or_else(|| unknown("rounding", name, KNOWN.map(|(known, _)| known)))
}

const RATE: &str =
    "expected a rate like \"0.0052310\": not 0, at most seven digits and nine decimals";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_seven_digits_and_the_place_of_the_point() {
        for (text, number) in [
            ("0.0052310", 70_052_310),
            ("191.168", 30_191_168),
            ("7", 7),
            ("9999999", 9_999_999),
            ("0.000000001", 90_000_001),
            ("1.50", 20_000_150),
        ] {
            let rate = rate(text).expect("a rate");
            assert_eq!((rate.number(), rate.to_string().as_str()), (number, text));
        }
        for text in ["", ".", "0", "0.00", "1e3", "-1", "1,5", "12345678", "0.0000000001", "1.2.3"]
        {
            assert_eq!(rate(text), None, "{text}");
        }
    }
}
