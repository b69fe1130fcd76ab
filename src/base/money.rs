//! Money on the wire: an integer of minor units and an ISO 4217 number. Never a float.

/// An amount in minor units (cents, or whole won: KRW and JPY have none).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Amount {
    /// Minor units, at most 12 digits on the wire (DE 4).
    pub minor: u64,
    /// The currency of the amount.
    pub currency: Currency,
}

/// An ISO 4217 currency number, for example 156 (CNY), 410 (KRW), 392 (JPY).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Currency(u16);

impl Amount {
    /// An amount from major units as people and QR codes write them: `88.00`, `88.5`, `1200`. Never
    /// more decimals than the currency has, and at most twelve digits in minor units.
    ///
    /// # Errors
    ///
    /// What is wrong with the text.
    pub fn from_decimal(text: &str, currency: Currency) -> Result<Self, AmountError> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !are_digits(whole) || !are_digits(part) {
            return Err(AmountError::Text);
        }
        let exponent = usize::from(currency.exponent());
        if part.len() > exponent {
            return Err(AmountError::Decimals);
        }
        let digits =
            whole.bytes().chain(part.bytes().chain(std::iter::repeat(b'0')).take(exponent));
        let minor = digits.fold(0_u64, |minor, digit| {
            minor.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
        });
        if minor > AMOUNT_MAX { Err(AmountError::Large) } else { Ok(Self { minor, currency }) }
    }
}

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmountError {
    /// Not digits with at most one point between or behind them.
    Text,
    /// More decimals than the currency has: `500.00` won.
    Decimals,
    /// More than twelve digits in minor units.
    Large,
}

/// Most minor units of an amount: twelve digits of DE 4.
pub const AMOUNT_MAX: u64 = 999_999_999_999;

impl std::fmt::Display for Amount {
    /// Major units and the letters of the currency: `88.00 CNY`, `1200 JPY`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let exponent = usize::from(self.currency.exponent());
        let one = 10_u64.pow(exponent as u32);
        let letters = self.currency.letters();
        match exponent {
            0 => write!(f, "{} {letters}", self.minor),
            _ => write!(f, "{}.{:0exponent$} {letters}", self.minor / one, self.minor % one),
        }
    }
}

impl Currency {
    /// A currency from its number, if ISO 4217 lists it.
    #[inline]
    pub fn from_number(number: u16) -> Option<Self> {
        let word = LISTED.get(usize::from(number >> 6))?;
        (word >> (number & 63) & 1 == 1).then_some(Self(number))
    }

    /// The ISO 4217 number; 0 if the message named none.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// A currency from its three letters, if ISO 4217 lists it: `KRW`.
    pub fn from_letters(letters: &str) -> Option<Self> {
        let row = CURRENCIES.iter().find(|row| row.2 == letters.as_bytes());
        row.map(|row| Self(row.0))
    }

    /// The three letters of ISO 4217; those of no currency if the message named none.
    pub fn letters(self) -> &'static str {
        let letters = self.row().and_then(|row| std::str::from_utf8(&row.2).ok());
        letters.unwrap_or("XXX")
    }

    /// Decimal places of the minor unit: 0 for KRW and JPY, 2 for CNY, 3 for KWD.
    pub fn exponent(self) -> u8 {
        self.row().map_or(2, |row| row.1)
    }

    fn row(self) -> Option<&'static (u16, u8, [u8; 3])> {
        let place = CURRENCIES.binary_search_by_key(&self.0, |row| row.0).ok()?;
        CURRENCIES.get(place)
    }
}

/// The numbers of [`CURRENCIES`] as a set: asked for every request, so not searched.
const LISTED: [u64; 16] = {
    let mut words = [0; 16];
    let mut place = 0;
    while place < CURRENCIES.len() {
        let number = CURRENCIES[place].0;
        words[(number >> 6) as usize] |= 1 << (number & 63);
        place += 1;
    }
    words
};

/// ISO 4217 active currencies: number, decimal places of the minor unit, letters; by number.
#[rustfmt::skip]
const CURRENCIES: &[(u16, u8, [u8; 3])] = &[
    (8, 2, *b"ALL"), (12, 2, *b"DZD"), (32, 2, *b"ARS"), (36, 2, *b"AUD"), (44, 2, *b"BSD"),
    (48, 3, *b"BHD"), (50, 2, *b"BDT"), (51, 2, *b"AMD"), (52, 2, *b"BBD"), (60, 2, *b"BMD"),
    (64, 2, *b"BTN"), (68, 2, *b"BOB"), (72, 2, *b"BWP"), (84, 2, *b"BZD"), (90, 2, *b"SBD"),
    (96, 2, *b"BND"), (104, 2, *b"MMK"), (108, 0, *b"BIF"), (116, 2, *b"KHR"), (124, 2, *b"CAD"),
    (132, 2, *b"CVE"), (136, 2, *b"KYD"), (144, 2, *b"LKR"), (152, 0, *b"CLP"), (156, 2, *b"CNY"),
    (170, 2, *b"COP"), (174, 0, *b"KMF"), (188, 2, *b"CRC"), (192, 2, *b"CUP"), (203, 2, *b"CZK"),
    (208, 2, *b"DKK"), (214, 2, *b"DOP"), (222, 2, *b"SVC"), (230, 2, *b"ETB"), (232, 2, *b"ERN"),
    (238, 2, *b"FKP"), (242, 2, *b"FJD"), (262, 0, *b"DJF"), (270, 2, *b"GMD"), (292, 2, *b"GIP"),
    (320, 2, *b"GTQ"), (324, 0, *b"GNF"), (328, 2, *b"GYD"), (332, 2, *b"HTG"), (340, 2, *b"HNL"),
    (344, 2, *b"HKD"), (348, 2, *b"HUF"), (352, 0, *b"ISK"), (356, 2, *b"INR"), (360, 2, *b"IDR"),
    (364, 2, *b"IRR"), (368, 3, *b"IQD"), (376, 2, *b"ILS"), (388, 2, *b"JMD"), (392, 0, *b"JPY"),
    (396, 0, *b"XAD"), (398, 2, *b"KZT"), (400, 3, *b"JOD"), (404, 2, *b"KES"), (408, 2, *b"KPW"),
    (410, 0, *b"KRW"), (414, 3, *b"KWD"), (417, 2, *b"KGS"), (418, 2, *b"LAK"), (422, 2, *b"LBP"),
    (426, 2, *b"LSL"), (430, 2, *b"LRD"), (434, 3, *b"LYD"), (446, 2, *b"MOP"), (454, 2, *b"MWK"),
    (458, 2, *b"MYR"), (462, 2, *b"MVR"), (480, 2, *b"MUR"), (484, 2, *b"MXN"), (496, 2, *b"MNT"),
    (498, 2, *b"MDL"), (504, 2, *b"MAD"), (512, 3, *b"OMR"), (516, 2, *b"NAD"), (524, 2, *b"NPR"),
    (532, 2, *b"XCG"), (533, 2, *b"AWG"), (548, 0, *b"VUV"), (554, 2, *b"NZD"), (558, 2, *b"NIO"),
    (566, 2, *b"NGN"), (578, 2, *b"NOK"), (586, 2, *b"PKR"), (590, 2, *b"PAB"), (598, 2, *b"PGK"),
    (600, 0, *b"PYG"), (604, 2, *b"PEN"), (608, 2, *b"PHP"), (634, 2, *b"QAR"), (643, 2, *b"RUB"),
    (646, 0, *b"RWF"), (654, 2, *b"SHP"), (682, 2, *b"SAR"), (690, 2, *b"SCR"), (702, 2, *b"SGD"),
    (704, 0, *b"VND"), (706, 2, *b"SOS"), (710, 2, *b"ZAR"), (728, 2, *b"SSP"), (748, 2, *b"SZL"),
    (752, 2, *b"SEK"), (756, 2, *b"CHF"), (760, 2, *b"SYP"), (764, 2, *b"THB"), (776, 2, *b"TOP"),
    (780, 2, *b"TTD"), (784, 2, *b"AED"), (788, 3, *b"TND"), (800, 0, *b"UGX"), (807, 2, *b"MKD"),
    (818, 2, *b"EGP"), (826, 2, *b"GBP"), (834, 2, *b"TZS"), (840, 2, *b"USD"), (858, 2, *b"UYU"),
    (860, 2, *b"UZS"), (882, 2, *b"WST"), (886, 2, *b"YER"), (901, 2, *b"TWD"), (924, 2, *b"ZWG"),
    (925, 2, *b"SLE"), (926, 2, *b"VED"), (927, 4, *b"UYW"), (928, 2, *b"VES"), (929, 2, *b"MRU"),
    (930, 2, *b"STN"), (933, 2, *b"BYN"), (934, 2, *b"TMT"), (936, 2, *b"GHS"), (938, 2, *b"SDG"),
    (940, 0, *b"UYI"), (941, 2, *b"RSD"), (943, 2, *b"MZN"), (944, 2, *b"AZN"), (946, 2, *b"RON"),
    (947, 2, *b"CHE"), (948, 2, *b"CHW"), (949, 2, *b"TRY"), (950, 0, *b"XAF"), (951, 2, *b"XCD"),
    (952, 0, *b"XOF"), (953, 0, *b"XPF"), (955, 0, *b"XBA"), (956, 0, *b"XBB"), (957, 0, *b"XBC"),
    (958, 0, *b"XBD"), (959, 0, *b"XAU"), (960, 0, *b"XDR"), (961, 0, *b"XAG"), (962, 0, *b"XPT"),
    (964, 0, *b"XPD"), (965, 0, *b"XUA"), (967, 2, *b"ZMW"), (968, 2, *b"SRD"), (969, 2, *b"MGA"),
    (970, 2, *b"COU"), (971, 2, *b"AFN"), (972, 2, *b"TJS"), (973, 2, *b"AOA"), (976, 2, *b"CDF"),
    (977, 2, *b"BAM"), (978, 2, *b"EUR"), (979, 2, *b"MXV"), (980, 2, *b"UAH"), (981, 2, *b"GEL"),
    (984, 2, *b"BOV"), (985, 2, *b"PLN"), (986, 2, *b"BRL"), (990, 4, *b"CLF"), (994, 0, *b"XSU"),
    (997, 2, *b"USN"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        let amount = |text, letters| {
            Amount::from_decimal(text, Currency::from_letters(letters).expect("listed"))
        };
        for (text, letters, minor, shown) in [
            ("88.00", "CNY", 8800, "88.00 CNY"),
            ("88.", "CNY", 8800, "88.00 CNY"),
            ("0.5", "USD", 50, "0.50 USD"),
            ("1200", "JPY", 1200, "1200 JPY"),
            ("50000", "KRW", 50_000, "50000 KRW"),
            ("1.005", "KWD", 1005, "1.005 KWD"),
            ("9999999999.99", "EUR", AMOUNT_MAX, "9999999999.99 EUR"),
            ("999999999999", "KRW", AMOUNT_MAX, "999999999999 KRW"),
        ] {
            let amount = amount(text, letters).expect("an amount");
            assert_eq!((amount.minor, amount.to_string().as_str()), (minor, shown));
        }
        for (text, letters, error) in [
            ("500.00", "KRW", AmountError::Decimals),
            ("1.234", "CNY", AmountError::Decimals),
            ("10000000000", "EUR", AmountError::Large),
            ("1000000000000", "KRW", AmountError::Large),
            ("99999999999999999999999999", "KRW", AmountError::Large),
            ("", "CNY", AmountError::Text),
            (".5", "CNY", AmountError::Text),
            ("1,5", "CNY", AmountError::Text),
            ("-1", "CNY", AmountError::Text),
            ("1.2.3", "CNY", AmountError::Text),
        ] {
            assert_eq!(amount(text, letters), Err(error), "{text} {letters}");
        }
    }

    #[test]
    fn currencies_are_not_countries() {
        for (letters, number, exponent) in [
            ("CNY", 156, 2),
            ("KRW", 410, 0),
            ("JPY", 392, 0),
            ("HKD", 344, 2),
            ("MOP", 446, 2),
            ("TWD", 901, 2),
            ("SGD", 702, 2),
            ("THB", 764, 2),
            ("INR", 356, 2),
            ("USD", 840, 2),
            ("GBP", 826, 2),
            ("EUR", 978, 2),
            ("CHF", 756, 2),
            ("MYR", 458, 2),
            ("IDR", 360, 2),
            ("PHP", 608, 2),
            ("VND", 704, 0),
        ] {
            let currency = Currency::from_letters(letters).expect("listed");
            assert_eq!((currency.number(), currency.exponent()), (number, exponent), "{letters}");
            assert_eq!(currency.letters(), letters);
        }
        // Taiwan and Germany as countries.
        assert_eq!(Currency::from_number(158), None);
        assert_eq!(Currency::from_number(276), None);
        assert_eq!(Currency::from_letters("krw"), None);
        assert_eq!(Currency::default().letters(), "XXX");
    }

    #[test]
    fn table_is_sorted_and_knows_the_currencies_of_the_corridors() {
        assert!(CURRENCIES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (number, exponent) in
            [(156, 2), (410, 0), (392, 0), (344, 2), (901, 2), (840, 2), (978, 2), (414, 3)]
        {
            let currency = Currency::from_number(number).expect("listed");
            assert_eq!(currency.exponent(), exponent, "currency {number}");
        }
        assert_eq!(Currency::from_number(158), None, "158 is the country Taiwan, not its currency");
        assert_eq!(Currency::from_number(0), None);
        for number in 0..=u16::MAX {
            let listed = CURRENCIES.iter().any(|row| row.0 == number);
            assert_eq!(Currency::from_number(number).is_some(), listed, "{number}");
        }
    }
}
