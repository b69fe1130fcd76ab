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

    /// Decimal places of the minor unit: 0 for KRW and JPY, 2 for CNY, 3 for KWD.
    pub fn exponent(self) -> u8 {
        CURRENCIES
            .binary_search_by_key(&self.0, |row| row.0)
            .ok()
            .and_then(|place| CURRENCIES.get(place))
            .map_or(2, |row| row.1)
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

/// ISO 4217 active numbers with the decimal places of their minor unit, by number.
#[rustfmt::skip]
const CURRENCIES: &[(u16, u8)] = &[
    (8, 2), (12, 2), (32, 2), (36, 2), (44, 2), (48, 3), (50, 2), (51, 2), (52, 2), (60, 2),
    (64, 2), (68, 2), (72, 2), (84, 2), (90, 2), (96, 2), (104, 2), (108, 0), (116, 2),
    (124, 2), (132, 2), (136, 2), (144, 2), (152, 0), (156, 2), (170, 2), (174, 0), (188, 2),
    (192, 2), (203, 2), (208, 2), (214, 2), (222, 2), (230, 2), (232, 2), (238, 2), (242, 2),
    (262, 0), (270, 2), (292, 2), (320, 2), (324, 0), (328, 2), (332, 2), (340, 2), (344, 2),
    (348, 2), (352, 0), (356, 2), (360, 2), (364, 2), (368, 3), (376, 2), (388, 2), (392, 0),
    (396, 0), (398, 2), (400, 3), (404, 2), (408, 2), (410, 0), (414, 3), (417, 2), (418, 2),
    (422, 2), (426, 2), (430, 2), (434, 3), (446, 2), (454, 2), (458, 2), (462, 2), (480, 2),
    (484, 2), (496, 2), (498, 2), (504, 2), (512, 3), (516, 2), (524, 2), (532, 2), (533, 2),
    (548, 0), (554, 2), (558, 2), (566, 2), (578, 2), (586, 2), (590, 2), (598, 2), (600, 0),
    (604, 2), (608, 2), (634, 2), (643, 2), (646, 0), (654, 2), (682, 2), (690, 2), (702, 2),
    (704, 0), (706, 2), (710, 2), (728, 2), (748, 2), (752, 2), (756, 2), (760, 2), (764, 2),
    (776, 2), (780, 2), (784, 2), (788, 3), (800, 0), (807, 2), (818, 2), (826, 2), (834, 2),
    (840, 2), (858, 2), (860, 2), (882, 2), (886, 2), (901, 2), (924, 2), (925, 2), (926, 2),
    (927, 4), (928, 2), (929, 2), (930, 2), (933, 2), (934, 2), (936, 2), (938, 2), (940, 0),
    (941, 2), (943, 2), (944, 2), (946, 2), (947, 2), (948, 2), (949, 2), (950, 0), (951, 2),
    (952, 0), (953, 0), (955, 0), (956, 0), (957, 0), (958, 0), (959, 0), (960, 0), (961, 0),
    (962, 0), (964, 0), (965, 0), (967, 2), (968, 2), (969, 2), (970, 2), (971, 2), (972, 2),
    (973, 2), (976, 2), (977, 2), (978, 2), (979, 2), (980, 2), (981, 2), (984, 2), (985, 2),
    (986, 2), (990, 4), (994, 0), (997, 2),
];

#[cfg(test)]
mod tests {
    use super::*;

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
