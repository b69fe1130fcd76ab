//! Quotes: what an amount is in another currency, and until when that holds.
//!
//! A partner may want to be told what a payment is in the currency it settles in, or in that of the
//! wallet, and leave the conversion to the switch. Rates are quoted elsewhere and stand in the
//! configuration, each with the moment from which it is worth nothing; nothing is converted by a
//! quote that has expired. Rates are whole numbers with a place for the point, as on the wire, so a
//! conversion is exact but for the last minor unit, and that one is rounded as the quote says.

use std::fmt;

use crate::base::money::{Amount, Currency};
use crate::base::rate::{Rate, Rounding};
use crate::base::time::Wall;

/// How much of one currency a unit of another is, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// What is converted.
    pub from: Currency,
    /// Into what.
    pub to: Currency,
    /// Major units of `to` for one of `from`.
    pub rate: Rate,
    /// What becomes of parts of a minor unit.
    pub rounding: Rounding,
    /// Not before; `None`: as ever.
    pub since: Option<Wall>,
    /// Not from then on.
    pub until: Wall,
}

/// All quotes of a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quotes {
    /// By pair, then by when they begin.
    rows: Vec<Quote>,
}

/// In which currencies the partners of a route are told what is paid, beside its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Converts {
    /// DE 5, 9 and 50.
    pub settles_in: Option<Currency>,
    /// DE 6, 10 and 51.
    pub bills_in: Option<Currency>,
}

/// An amount, and the rate that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Converted {
    /// In the other currency.
    pub amount: Amount,
    /// From the amount that was asked.
    pub rate: Rate,
}

/// Why an amount cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unquoted {
    /// No quote of the pair holds now.
    Expired,
    /// The result has more than twelve digits.
    Large,
}

impl Quotes {
    /// Puts quotes into order. Of two of one pair that hold at once the one that begins first
    /// counts; see [`conflict`].
    pub fn new(mut rows: Vec<Quote>) -> Self {
        rows.sort_by_key(|quote| (pair(quote), quote.since));
        Self { rows }
    }

    /// What `amount` is in `to` at this time. In its own currency it is what it is.
    ///
    /// # Errors
    ///
    /// If nobody has said so for this time, or it does not fit an amount of twelve digits.
    pub fn convert(&self, amount: Amount, to: Currency, at: Wall) -> Result<Converted, Unquoted> {
        if amount.currency == to {
            return Ok(Converted { amount, rate: Rate::ONE });
        }
        let sought = (amount.currency, to);
        let from = self.rows.partition_point(|quote| pair(quote) < sought);
        let of_pair = self.rows.iter().skip(from).take_while(|quote| pair(quote) == sought);
        let quote = of_pair.into_iter().find(|quote| quote.holds(at)).ok_or(Unquoted::Expired)?;
        let converted = quote.rate.convert(amount, to, quote.rounding);
        let amount = converted.map_err(|_| Unquoted::Large)?;
        Ok(Converted { amount, rate: quote.rate })
    }

    /// True if some quote leads to this currency, now or at another time.
    pub fn lead_to(&self, to: Currency) -> bool {
        self.rows.iter().any(|quote| quote.to == to)
    }

    /// All of them, by pair and time.
    pub fn all(&self) -> &[Quote] {
        &self.rows
    }
}

/// The places of two quotes of one pair that hold at once.
pub fn conflict(rows: &[Quote]) -> Option<(usize, usize)> {
    let mut numbered: Vec<(usize, &Quote)> = rows.iter().enumerate().collect();
    numbered.sort_by_key(|(place, quote)| (pair(quote), quote.since, *place));
    let mut neighbours = numbered.windows(2);
    neighbours.find_map(|neighbours| match neighbours {
        [(first, one), (second, other)] => {
            let overlaps = other.since.is_none_or(|since| since < one.until);
            let of_pair = pair(one) == pair(other);
            (of_pair && overlaps).then_some((*first.min(second), *first.max(second)))
        }
        _ => None,
    })
}

impl Quote {
    fn holds(&self, at: Wall) -> bool {
        self.since.is_none_or(|since| since <= at) && at < self.until
    }
}

impl fmt::Display for Quote {
    /// `KRW/CNY 0.0052310`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.from.letters(), self.to.letters(), self.rate)
    }
}

const fn pair(quote: &Quote) -> (Currency, Currency) {
    (quote.from, quote.to)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(letters: &str) -> Currency {
        Currency::from_letters(letters).expect("listed")
    }

    fn quote(from: &str, to: &str, number: u32, since: Option<u64>, until: u64) -> Quote {
        Quote {
            from: currency(from),
            to: currency(to),
            rate: Rate::from_number(number).expect("a rate"),
            rounding: Rounding::HalfUp,
            since: since.map(Wall::from_unix_s),
            until: Wall::from_unix_s(until),
        }
    }

    #[test]
    fn a_quote_holds_from_its_first_second_to_its_last() {
        let quotes = Quotes::new(vec![
            quote("KRW", "CNY", 70_052_310, Some(200), 300),
            quote("KRW", "CNY", 70_050_000, Some(100), 200),
            quote("CNY", "KRW", 41_911_680, None, 300),
        ]);
        let won = Amount { minor: 50_000, currency: currency("KRW") };
        let at = |s| quotes.convert(won, currency("CNY"), Wall::from_unix_s(s));
        let minor = |s| at(s).map(|converted| converted.amount.minor);
        assert_eq!(minor(99), Err(Unquoted::Expired));
        assert_eq!((minor(100), minor(199)), (Ok(25_000), Ok(25_000)));
        assert_eq!((minor(200), minor(299)), (Ok(26_155), Ok(26_155)));
        assert_eq!(minor(300), Err(Unquoted::Expired));
        assert_eq!(at(200).expect("it holds").rate.number(), 70_052_310);
        let yen = quotes.convert(won, currency("JPY"), Wall::from_unix_s(200));
        assert_eq!(yen, Err(Unquoted::Expired), "of another pair");
        let same = quotes.convert(won, currency("KRW"), Wall::from_unix_s(999)).expect("itself");
        assert_eq!((same.amount, same.rate.number()), (won, 1));
        let much = Amount { minor: 999_999_999_999, currency: currency("CNY") };
        let much = quotes.convert(much, currency("KRW"), Wall::from_unix_s(1));
        assert_eq!(much, Err(Unquoted::Large));
    }

    #[test]
    fn two_quotes_of_one_pair_do_not_hold_at_once() {
        let first = quote("KRW", "CNY", 1, Some(100), 200);
        for (since, until, is_fine) in
            [(Some(200), 300, true), (Some(199), 300, false), (None, 300, false), (None, 100, true)]
        {
            let other = quote("KRW", "CNY", 2, since, until);
            let expected = (!is_fine).then_some((0, 1));
            assert_eq!(conflict(&[first, other]), expected, "{since:?} {until}");
        }
        let other = quote("CNY", "KRW", 2, None, 300);
        assert_eq!(conflict(&[first, other]), None, "another pair");
    }

    proptest! {
        /// Against looking through all of them.
        #[test]
        fn the_one_that_holds_is_found(
            ends in prop::collection::vec((1_u64..50, 1_u32..100), 0..8),
            at in 0_u64..300,
        ) {
            let mut from = 0;
            let rows: Vec<Quote> = ends.iter().map(|(length, number)| {
                from += length;
                quote("KRW", "CNY", *number, Some(from - length), from)
            }).collect();
            let wall = Wall::from_unix_s(at);
            let expected = rows.iter().find(|row| row.holds(wall)).map(|row| row.rate);
            prop_assert_eq!(conflict(&rows), None);
            let quotes = Quotes::new(rows.into_iter().rev().collect());
            let won = Amount { minor: 7, currency: currency("KRW") };
            let found = quotes.convert(won, currency("CNY"), wall).ok().map(|found| found.rate);
            prop_assert_eq!(found, expected);
        }
    }
}
