//! Conversion rates as ISO 8583 writes them (DE 9, DE 10), and exact conversion of amounts.
//!
//! A rate is eight digits: the first says how many of the other seven stand behind the point. So it
//! is an integer and a power of ten, and a conversion is one division of integers; what is rounded
//! away is known. What it is not: a source of rates. They are quoted by partners.

use super::money::{AMOUNT_MAX, Amount, Currency};

/// How much of one currency a unit of another is, both in major units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// At most seven digits, not zero.
    digits: u32,
    /// How many of them are behind the point, 0 to 9.
    decimals: u8,
}

/// What to do with parts of a minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest; halves away from zero, as statements of cards do.
    HalfUp,
    /// Down: the payer's advantage.
    Down,
    /// Up: nobody is left with a part.
    Up,
}

/// Why an amount cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateError {
    /// The result has more than twelve digits.
    Large,
}

impl Rate {
    /// One for one.
    pub const ONE: Self = Self { digits: 1, decimals: 0 };

    /// A rate from the number in DE 9 or DE 10; `None` if it has more than eight digits or is zero.
    pub const fn from_number(number: u32) -> Option<Self> {
        let (decimals, digits) = (number / DIGITS, number % DIGITS);
        if decimals > 9 || digits == 0 {
            return None;
        }
        Some(Self { digits, decimals: decimals as u8 })
    }

    /// The number in DE 9 or DE 10: eight digits.
    pub const fn number(self) -> u32 {
        self.decimals as u32 * DIGITS + self.digits
    }

    /// `amount` in another currency.
    ///
    /// # Errors
    ///
    /// If the result does not fit DE 4.
    pub fn convert(
        self,
        amount: Amount,
        currency: Currency,
        rounding: Rounding,
    ) -> Result<Amount, RateError> {
        // At most 20, 7 and 4 digits: 128 bits hold 38.
        let up = 10_u128.pow(u32::from(currency.exponent()));
        let numerator = u128::from(amount.minor) * u128::from(self.digits) * up;
        let down = u32::from(self.decimals) + u32::from(amount.currency.exponent());
        let denominator = 10_u128.pow(down);
        let (whole, rest) = (numerator / denominator, numerator % denominator);
        let up = match rounding {
            Rounding::HalfUp => 2 * rest >= denominator,
            Rounding::Down => false,
            Rounding::Up => rest > 0,
        };
        match u64::try_from(whole + u128::from(up)) {
            Ok(minor) if minor <= AMOUNT_MAX => Ok(Amount { minor, currency }),
            _ => Err(RateError::Large),
        }
    }

    /// True if `to` is what this rate makes of `from`, give or take one minor unit: whoever
    /// converted may have rounded otherwise.
    pub fn agrees(self, from: Amount, to: Amount) -> bool {
        let down = self.convert(from, to.currency, Rounding::Down);
        down.is_ok_and(|down| to.minor.abs_diff(down.minor) <= 1)
    }
}

impl std::fmt::Display for Rate {
    /// As a decimal number, with every decimal that is known: `0.0052310`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (decimals, one) = (usize::from(self.decimals), 10_u64.pow(self.decimals.into()));
        let digits = u64::from(self.digits);
        match decimals {
            0 => write!(f, "{digits}"),
            _ => write!(f, "{}.{:0decimals$}", digits / one, digits % one),
        }
    }
}

/// One more than the seven digits of a rate hold.
const DIGITS: u32 = 10_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn amount(text: &str, letters: &str) -> Amount {
        Amount::from_decimal(text, currency(letters)).expect("an amount")
    }

    fn currency(letters: &str) -> Currency {
        Currency::from_letters(letters).expect("listed")
    }

    #[test]
    fn the_first_digit_is_the_place_of_the_point() {
        let rate = Rate::from_number(70_052_310).expect("a rate");
        assert_eq!((rate.digits, rate.decimals), (52_310, 7));
        assert_eq!(rate.number(), 70_052_310);
        let won = amount("50000", "KRW");
        let yuan = rate.convert(won, currency("CNY"), Rounding::HalfUp).expect("an amount");
        assert_eq!(yuan, amount("261.55", "CNY"));
        assert_eq!(Rate::from_number(10_000_000), None, "zero");
        assert_eq!(Rate::from_number(100_000_000), None, "nine digits");
    }

    #[test]
    fn currencies_without_decimals_are_whole() {
        let won_per_yuan = Rate::from_number(41_911_680).expect("191.168");
        let converted = |text, rounding| {
            won_per_yuan.convert(amount(text, "CNY"), currency("KRW"), rounding).expect("an amount")
        };
        assert_eq!(converted("100.00", Rounding::HalfUp), amount("19117", "KRW"));
        assert_eq!(converted("100.00", Rounding::Down), amount("19116", "KRW"));
        assert_eq!(converted("0.01", Rounding::Up), amount("2", "KRW"));
        let half = Rate::from_number(10_000_005).expect("0.5");
        let one = |rounding| half.convert(amount("1", "JPY"), currency("KRW"), rounding);
        assert_eq!(one(Rounding::HalfUp), Ok(amount("1", "KRW")));
        assert_eq!(one(Rounding::Down), Ok(amount("0", "KRW")));
        assert!(won_per_yuan.agrees(amount("100.00", "CNY"), amount("19117", "KRW")));
        assert!(won_per_yuan.agrees(amount("100.00", "CNY"), amount("19116", "KRW")));
        assert!(!won_per_yuan.agrees(amount("100.00", "CNY"), amount("1911680", "KRW")));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let rate = Rate::from_number(9_999_999).expect("a rate");
        let much = Amount { minor: AMOUNT_MAX, currency: currency("CNY") };
        assert_eq!(rate.convert(much, currency("KWD"), Rounding::Down), Err(RateError::Large));
        let most = Amount { minor: u64::MAX, currency: currency("KRW") };
        assert_eq!(rate.convert(most, currency("KWD"), Rounding::Up), Err(RateError::Large));
    }

    proptest! {
        #[test]
        fn conversion_is_exact_but_for_the_last_place(
            minor in 0..=AMOUNT_MAX,
            number in 0_u32..100_000_000,
            from in prop::sample::select(vec!["KRW", "CNY", "KWD"]),
            to in prop::sample::select(vec!["KRW", "CNY", "KWD"]),
        ) {
            let Some(rate) = Rate::from_number(number) else { return Ok(()) };
            prop_assert_eq!(rate.number(), number);
            let (from, to) = (currency(from), currency(to));
            let amount = Amount { minor, currency: from };
            let [down, half, up] = [Rounding::Down, Rounding::HalfUp, Rounding::Up]
                .map(|rounding| rate.convert(amount, to, rounding));
            let (Ok(down), Ok(half), Ok(up)) = (down, half, up) else { return Ok(()) };
            prop_assert!(down <= half && half <= up && up.minor - down.minor <= 1);
            // minor x digits x 10^to against result x 10^(decimals + from), without division.
            let left = u128::from(minor)
                * u128::from(number % DIGITS)
                * 10_u128.pow(u32::from(to.exponent()));
            let scale = 10_u128.pow(number / DIGITS + u32::from(from.exponent()));
            let right = |amount: Amount| u128::from(amount.minor) * scale;
            prop_assert!(right(down) <= left && left <= right(up));
            prop_assert!(left.abs_diff(right(half)) * 2 <= scale);
            prop_assert!(rate.agrees(amount, half));
        }
    }
}
