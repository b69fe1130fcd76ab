//! The currency that a region pays in, for requests that do not say theirs.
//!
//! A country is no currency, and never stands for one where DE 49 is there. Regions where shops
//! take two of them, or which have changed theirs lately, are left out: there it is not known.

use std::sync::LazyLock;

use super::ids::Region;
use super::money::Currency;

/// The one currency of a region, if it has one.
pub fn tender(region: Region) -> Option<Currency> {
    let currency = *TABLE.get(place(region)?)?;
    (currency != Currency::default()).then_some(currency)
}

fn place(region: Region) -> Option<usize> {
    let [first, second] = region.0.map(|letter| usize::from(letter.wrapping_sub(b'A')));
    (first < LETTERS && second < LETTERS).then_some(first * LETTERS + second)
}

/// Asked on the way of a message: looked up, not searched for.
static TABLE: LazyLock<[Currency; LETTERS * LETTERS]> = LazyLock::new(|| {
    let mut table = [Currency::default(); LETTERS * LETTERS];
    for (letters, regions) in TENDERS {
        let currency = Currency::from_letters(letters).unwrap_or_default();
        for region in regions.split(' ').filter_map(Region::from_text) {
            if let Some(of) = place(region).and_then(|place| table.get_mut(place)) {
                *of = currency;
            }
        }
    }
    table
});

const LETTERS: usize = 26;

/// Currencies of several regions, and those of one. As of 2026.
#[rustfmt::skip]
const TENDERS: &[(&str, &str)] = &[
    ("EUR", "AD AT AX BE BL CY DE EE ES FI FR GF GP GR HR IE IT LT LU LV MC ME MF MQ MT NL PM PT \
             RE SI SK SM TF VA YT"),
    ("USD", "AS BQ EC FM GU IO MH MP PR PW TC TL UM US VG VI"),
    ("XOF", "BF BJ CI GW ML NE SN TG"), ("XAF", "CF CG CM GA GQ TD"), ("XPF", "NC PF WF"),
    ("XCD", "AG AI DM GD KN LC MS VC"), ("AUD", "AU CC CX HM KI NF NR TV"),
    ("NZD", "CK NU NZ PN TK"), ("GBP", "GB GG IM JE"), ("DKK", "DK FO GL"), ("NOK", "NO SJ"),
    ("CHF", "CH LI"), ("MAD", "EH MA"),
    ("AED", "AE"), ("AFN", "AF"), ("ALL", "AL"), ("AMD", "AM"), ("AOA", "AO"), ("ARS", "AR"),
    ("AWG", "AW"), ("AZN", "AZ"), ("BAM", "BA"), ("BBD", "BB"), ("BDT", "BD"), ("BHD", "BH"),
    ("BIF", "BI"), ("BMD", "BM"), ("BND", "BN"), ("BOB", "BO"), ("BRL", "BR"), ("BSD", "BS"),
    ("BWP", "BW"), ("BYN", "BY"), ("BZD", "BZ"), ("CAD", "CA"), ("CDF", "CD"), ("CLP", "CL"),
    ("CNY", "CN"), ("COP", "CO"), ("CRC", "CR"), ("CVE", "CV"), ("CZK", "CZ"), ("DJF", "DJ"),
    ("DOP", "DO"), ("DZD", "DZ"), ("EGP", "EG"), ("ERN", "ER"), ("ETB", "ET"), ("FJD", "FJ"),
    ("FKP", "FK"), ("GEL", "GE"), ("GHS", "GH"), ("GIP", "GI"), ("GMD", "GM"), ("GNF", "GN"),
    ("GTQ", "GT"), ("GYD", "GY"), ("HKD", "HK"), ("HNL", "HN"), ("HUF", "HU"), ("IDR", "ID"),
    ("ILS", "IL"), ("INR", "IN"), ("IQD", "IQ"), ("IRR", "IR"), ("ISK", "IS"), ("JMD", "JM"),
    ("JOD", "JO"), ("JPY", "JP"), ("KES", "KE"), ("KGS", "KG"), ("KMF", "KM"), ("KPW", "KP"),
    ("KRW", "KR"), ("KWD", "KW"), ("KYD", "KY"), ("KZT", "KZ"), ("LAK", "LA"), ("LKR", "LK"),
    ("LYD", "LY"), ("MDL", "MD"), ("MGA", "MG"), ("MKD", "MK"), ("MMK", "MM"), ("MNT", "MN"),
    ("MOP", "MO"), ("MRU", "MR"), ("MUR", "MU"), ("MVR", "MV"), ("MWK", "MW"), ("MXN", "MX"),
    ("MYR", "MY"), ("MZN", "MZ"), ("NGN", "NG"), ("NIO", "NI"), ("NPR", "NP"), ("OMR", "OM"),
    ("PEN", "PE"), ("PGK", "PG"), ("PHP", "PH"), ("PKR", "PK"), ("PLN", "PL"), ("PYG", "PY"),
    ("QAR", "QA"), ("RON", "RO"), ("RSD", "RS"), ("RUB", "RU"), ("RWF", "RW"), ("SAR", "SA"),
    ("SBD", "SB"), ("SCR", "SC"), ("SDG", "SD"), ("SEK", "SE"), ("SGD", "SG"), ("SHP", "SH"),
    ("SOS", "SO"), ("SRD", "SR"), ("SSP", "SS"), ("STN", "ST"), ("SYP", "SY"), ("THB", "TH"),
    ("TJS", "TJ"), ("TMT", "TM"), ("TND", "TN"), ("TOP", "TO"), ("TRY", "TR"), ("TTD", "TT"),
    ("TWD", "TW"), ("TZS", "TZ"), ("UAH", "UA"), ("UGX", "UG"), ("UYU", "UY"), ("UZS", "UZ"),
    ("VES", "VE"), ("VND", "VN"), ("VUV", "VU"), ("WST", "WS"), ("YER", "YE"), ("ZAR", "ZA"),
    ("ZMW", "ZM"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_one_currency_or_none_that_is_known() {
        let mut seen = Vec::new();
        for (letters, regions) in TENDERS {
            let currency = Currency::from_letters(letters);
            assert!(currency.is_some(), "ISO 4217 lists {letters}");
            for text in regions.split(' ') {
                let region = Region::from_text(text).expect("two letters");
                assert!(!seen.contains(&region), "{text} is there twice");
                assert_eq!(tender(region), currency, "{text}");
                seen.push(region);
            }
        }
        for unknown in [*b"PA", *b"LS", *b"ZZ", *b"kr", [0, 0]] {
            assert_eq!(tender(Region(unknown)), None, "{unknown:?}");
        }
    }
}
