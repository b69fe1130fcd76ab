//! What a merchant shows: EMV QR code, merchant-presented mode, version 1.1.
//!
//! Text of data objects: two digits of tag, two of length, so many characters. The checksum at the
//! end is over all before it, its own tag and length included.

use super::{QrError, QrReason};
use crate::base::money::{Amount, AmountError, Currency};

/// A code that a merchant shows, checked. Texts are parts of the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MerchantCode<'a> {
    /// True if it was made for one payment (tag 01 = 12).
    pub is_dynamic: bool,
    /// The merchant's category (tag 52).
    pub mcc: u16,
    /// The currency (tag 53).
    pub currency: Currency,
    /// What to pay, if the code says so (tag 54).
    pub amount: Option<Amount>,
    /// Country of the merchant, ISO 3166-1 alpha-2 (tag 58).
    pub country: [u8; 2],
    /// Name of the merchant (tag 59).
    pub name: &'a str,
    /// City of the merchant (tag 60).
    pub city: &'a str,
    text: &'a str,
}

/// Whom to pay, and over which network (tags 02 to 51).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account<'a> {
    /// 2 to 25 are given to networks (15 and 16 to UnionPay); from 26 on the network is named in
    /// the value.
    pub tag: u8,
    /// The whole value.
    pub value: &'a str,
    /// Of tags 26 to 51 the network: application, reversed domain, or a number made at random.
    pub network: Option<&'a str>,
}

/// The name of a chip application (ISO/IEC 7816-5), which says whose network it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplicationName {
    bytes: [u8; 16],
    length: u8,
}

/// A data object.
#[derive(Debug, Clone, Copy)]
struct Object<'a> {
    tag: u8,
    value: &'a str,
    at: usize,
}

/// True if a scanned text is a code of this kind. No code without a letter is.
pub fn is_merchant_code(text: &[u8]) -> bool {
    text.starts_with(b"000201") && !text.iter().all(u8::is_ascii_digit)
}

impl<'a> MerchantCode<'a> {
    /// Reads and checks a code.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its place.
    pub fn read(text: &'a str) -> Result<Self, QrError> {
        if text.len() > CODE_BYTES_MAX {
            return Err(QrError::new(QrReason::Long, CODE_BYTES_MAX));
        }
        if !text.starts_with("000201") {
            return Err(QrError::new(QrReason::Start, 0));
        }
        let mut found: [Option<Object<'a>>; 100] = [None; 100];
        let mut rest = Objects { text, at: 0 };
        let mut last = None;
        while let Some(object) = rest.next_object()? {
            if last == Some(CHECKSUM) {
                return Err(QrError::new(QrReason::Order, object.at));
            }
            last = Some(object.tag);
            match found.get_mut(usize::from(object.tag)) {
                Some(place @ None) => *place = Some(object),
                _ => return Err(QrError::new(QrReason::Order, object.at)),
            }
        }
        let of = |tag: u8| found.get(usize::from(tag)).copied().flatten();
        let need = |tag| of(tag).ok_or(QrError::new(QrReason::Missing, text.len()));
        checksum(text, need(CHECKSUM)?)?;
        if !(2..=51).any(|tag| of(tag).is_some()) {
            return Err(QrError::new(QrReason::Missing, text.len()));
        }
        for object in (26..=51).filter_map(of) {
            network_of(object)?;
        }
        let is_dynamic = match of(1) {
            None => false,
            Some(object) => match object.value {
                "11" => false,
                "12" => true,
                _ => return Err(object.wrong()),
            },
        };
        let currency = need(53)?;
        let number = currency.number(3)?;
        let currency = Currency::from_number(number).ok_or(currency.wrong())?;
        let amount = of(54).map(|object| amount(object, currency)).transpose()?;
        let country = need(58)?;
        let letters = <[u8; 2]>::try_from(country.value.as_bytes()).ok();
        let letters = letters.filter(|letters| letters.iter().all(u8::is_ascii_uppercase));
        Ok(Self {
            is_dynamic,
            mcc: need(52)?.number(4)?,
            currency,
            amount,
            country: letters.ok_or(country.wrong())?,
            name: need(59)?.text(25)?,
            city: need(60)?.text(15)?,
            text,
        })
    }

    /// The value of a tag, 0 to 99.
    pub fn value(&self, tag: u8) -> Option<&'a str> {
        self.objects().find(|object| object.tag == tag).map(|object| object.value)
    }

    /// Every account of the merchant, in the order of the code.
    pub fn accounts(&self) -> impl Iterator<Item = Account<'a>> {
        let accounts = self.objects().filter(|object| (2..=51).contains(&object.tag));
        accounts.map(|object| {
            let network = network_of(object).ok().flatten();
            Account { tag: object.tag, value: object.value, network }
        })
    }

    /// The first network of its accounts that has an application: by its tag, or named in it.
    /// Reversed domains and numbers made at random name none.
    pub fn application(&self) -> Option<ApplicationName> {
        self.accounts().find_map(|account| match account.network {
            Some(name) => ApplicationName::from_hex(name),
            None => ApplicationName::of_tag(account.tag),
        })
    }

    /// True if a tip or a fee comes on top of the amount (tags 55 to 57).
    pub fn adds(&self) -> bool {
        (55..=57).any(|tag| self.value(tag).is_some())
    }

    fn objects(&self) -> impl Iterator<Item = Object<'a>> {
        let mut rest = Objects { text: self.text, at: 0 };
        std::iter::from_fn(move || rest.next_object().ok().flatten())
    }
}

impl ApplicationName {
    /// The name, 5 to 16 bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }

    /// The registered provider of a network that has a tag of its own (EMV QR, table 4.4).
    fn of_tag(tag: u8) -> Option<Self> {
        Self::from_hex(match tag {
            2 | 3 => "A000000003",
            4 | 5 => "A000000004",
            9 | 10 => "A000000152",
            11 | 12 => "A000000025",
            13 | 14 => "A000000065",
            15 | 16 => "A000000333",
            _ => return None,
        })
    }

    fn from_hex(text: &str) -> Option<Self> {
        let digit = |digit: &u8| char::from(*digit).to_digit(16);
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let [high, low] = pair else { return None };
            *byte = (digit(high)? << 4 | digit(low)?) as u8;
        }
        let length = text.len() / 2;
        // A number made at random may have 32 digits as well. Providers that are registered, in the
        // world or in a country, begin with A and with D.
        let is_registered = matches!(bytes.first().map(|byte| byte >> 4), Some(0xA | 0xD));
        (matches!(length, 5..=16) && is_registered).then_some(Self { bytes, length: length as u8 })
    }
}

/// CRC-16 with polynomial 1021 and initial value FFFF, most significant bit first.
pub fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
        })
    })
}

/// A walk over data objects.
#[derive(Debug, Clone, Copy)]
struct Objects<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Objects<'a> {
    fn next_object(&mut self) -> Result<Option<Object<'a>>, QrError> {
        let at = self.at;
        if at == self.text.len() {
            return Ok(None);
        }
        let wrong = QrError::new(QrReason::Length, at);
        let pair = |from: usize| -> Option<u8> {
            match *self.text.as_bytes().get(from..from + 2)? {
                [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some((a - b'0') * 10 + b - b'0'),
                _ => None,
            }
        };
        let (tag, length) = pair(at).zip(pair(at + 2)).ok_or(wrong)?;
        let value = at + 4;
        // Lengths count characters; tag 64 may hold other than ASCII.
        let rest = self.text.get(value..).ok_or(wrong)?;
        let mut ends = rest.char_indices().map(|(end, _)| end).chain([rest.len()]);
        let end = ends.nth(usize::from(length)).ok_or(wrong)?;
        if length == 0 {
            return Err(wrong);
        }
        self.at = value + end;
        Ok(Some(Object { tag, value: rest.get(..end).ok_or(wrong)?, at }))
    }
}

impl<'a> Object<'a> {
    const fn wrong(self) -> QrError {
        QrError::new(QrReason::Value, self.at)
    }

    /// A number of so many digits.
    fn number(self, digits: usize) -> Result<u16, QrError> {
        let fits = self.value.len() == digits && self.value.bytes().all(|b| b.is_ascii_digit());
        self.value.parse().ok().filter(|_| fits).ok_or(self.wrong())
    }

    fn text(self, characters_max: usize) -> Result<&'a str, QrError> {
        let fits = self.value.chars().count() <= characters_max;
        fits.then_some(self.value).ok_or(self.wrong())
    }
}

fn checksum(text: &str, object: Object<'_>) -> Result<(), QrError> {
    // Everything in front of the four digits, and nothing behind them.
    let digits = object.at + 4;
    let covered = text.as_bytes().get(..digits).unwrap_or(&[]);
    let is_upper = object.value.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    if object.value.len() != 4 || !is_upper {
        return Err(object.wrong());
    }
    match u16::from_str_radix(object.value, 16) {
        Ok(said) if digits + 4 != text.len() || said == crc(covered) => Ok(()),
        _ => Err(QrError::new(QrReason::Checksum, object.at)),
    }
}

/// The network of an account template: its first object, tag 00.
fn network_of(object: Object<'_>) -> Result<Option<&str>, QrError> {
    if object.tag < 26 {
        return Ok(None);
    }
    let inside = |error: QrError| QrError::new(error.reason, object.at + 4 + error.at);
    let mut rest = Objects { text: object.value, at: 0 };
    let mut network = None;
    while let Some(part) = rest.next_object().map_err(inside)? {
        if part.tag == 0 {
            network = Some(part.text(32).map_err(inside)?);
        }
    }
    match network {
        Some(network) => Ok(Some(network)),
        None => Err(QrError::new(QrReason::Missing, object.at)),
    }
}

fn amount(object: Object<'_>, currency: Currency) -> Result<Amount, QrError> {
    if object.value.len() > 13 {
        return Err(object.wrong());
    }
    match Amount::from_decimal(object.value, currency) {
        Ok(amount) if amount.minor > 0 => Ok(amount),
        Ok(_) | Err(AmountError::Text | AmountError::Decimals | AmountError::Large) => {
            Err(object.wrong())
        }
    }
}

/// Tag of the checksum, the last of every code.
const CHECKSUM: u8 = 63;

/// Longest code: what the specification recommends not to exceed.
pub const CODE_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A code of these objects, with its checksum.
    fn code(objects: &[(u8, &str)]) -> String {
        let object =
            |(tag, value): &(u8, &str)| format!("{tag:02}{:02}{value}", value.chars().count());
        let text: String = objects.iter().map(object).collect();
        let text = format!("{text}6304");
        format!("{text}{:04X}", crc(text.as_bytes()))
    }

    const SHOP: [(u8, &str); 8] = [
        (0, "01"),
        (1, "12"),
        (26, "0019com.example.alipays0105M-001"),
        (52, "5812"),
        (53, "156"),
        (54, "88.00"),
        (58, "CN"),
        (59, "Tea House"),
    ];

    fn shop(change: &[(u8, &str)]) -> String {
        let mut objects = [&SHOP[..], &[(60, "Hangzhou")]].concat();
        for (tag, value) in change {
            match objects.iter_mut().find(|(other, _)| other == tag) {
                Some(object) => object.1 = value,
                None => objects.push((*tag, value)),
            }
        }
        objects.retain(|(_, value)| !value.is_empty());
        code(&objects)
    }

    fn refused(text: &str) -> (QrReason, usize) {
        let error = MerchantCode::read(text).expect_err("a mistake");
        (error.reason, error.at)
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc(b"123456789"), 0x29B1);
        assert_eq!(crc(b""), 0xFFFF);
    }

    #[test]
    fn a_code_says_whom_to_pay_what() {
        let text = shop(&[(15, "31260156"), (62, "0105B-001")]);
        let code = MerchantCode::read(&text).expect("a code");
        assert!(code.is_dynamic);
        assert_eq!((code.mcc, code.currency.number(), code.country), (5812, 156, *b"CN"));
        assert_eq!(code.amount.map(|amount| amount.minor), Some(8800));
        assert_eq!((code.name, code.city), ("Tea House", "Hangzhou"));
        assert_eq!(code.value(62), Some("0105B-001"));
        let accounts: Vec<_> =
            code.accounts().map(|account| (account.tag, account.network)).collect();
        assert_eq!(accounts, [(26, Some("com.example.alipays")), (15, None)]);
        let won = shop(&[(53, "410"), (54, "50000"), (1, "11")]);
        let code = MerchantCode::read(&won).expect("a code");
        assert_eq!(
            (code.is_dynamic, code.amount.map(|amount| amount.minor)),
            (false, Some(50_000))
        );
        let open = shop(&[(54, ""), (1, "")]);
        assert_eq!(MerchantCode::read(&open).expect("a code").amount, None);
    }

    #[test]
    fn lengths_count_characters() {
        let text = shop(&[(64, "0002ZH0102\u{8336}\u{9986}"), (59, "Caf\u{e9} Z\u{fc}rich")]);
        let code = MerchantCode::read(&text).expect("a code");
        assert_eq!(code.name, "Caf\u{e9} Z\u{fc}rich");
        assert_eq!(code.value(64), Some("0002ZH0102\u{8336}\u{9986}"));
    }

    #[test]
    fn mistakes_have_a_place() {
        let good = shop(&[]);
        let end = good.len();
        let bad = good.replace("Tea", "Tee");
        assert_eq!(refused(&bad), (QrReason::Checksum, end - 8));
        assert_eq!(refused(&good.to_lowercase()).0, QrReason::Value, "FFFF, not ffff");
        assert_eq!(refused(&good[..end - 1]), (QrReason::Length, end - 8));
        assert_eq!(refused(&format!("{good}9901")), (QrReason::Length, end));
        assert_eq!(refused(&format!("{good}99019")), (QrReason::Order, end));
        assert_eq!(refused(""), (QrReason::Start, 0));
        assert_eq!(refused("010212000201"), (QrReason::Start, 0));
        assert_eq!(refused(&"000201".repeat(100)), (QrReason::Long, CODE_BYTES_MAX));
        assert_eq!(refused("000201000201"), (QrReason::Order, 6));
        for (tag, value, reason, at) in [
            (1, "13", QrReason::Value, 6),
            (26, "0105M-001", QrReason::Missing, 12),
            (26, "00xxcom", QrReason::Length, 16),
            (52, "581", QrReason::Value, 48),
            (53, "158", QrReason::Value, 56),
            (53, "410", QrReason::Value, 63),
            (54, "88.001", QrReason::Value, 63),
            (54, "0.00", QrReason::Value, 63),
            (54, "88,00", QrReason::Value, 63),
            (58, "cn", QrReason::Value, 72),
        ] {
            assert_eq!(refused(&shop(&[(tag, value)])), (reason, at), "{tag} {value}");
        }
        for tag in [26, 52, 53, 58, 59, 60] {
            assert_eq!(refused(&shop(&[(tag, "")])).0, QrReason::Missing, "{tag}");
        }
        let name = "N".repeat(26);
        assert_eq!(refused(&shop(&[(59, &name)])), (QrReason::Value, 78));
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "\\PC{0,80}") {
            let _ = MerchantCode::read(&text);
            let _ = MerchantCode::read(&format!("000201{text}"));
            let _ = MerchantCode::read(&code(&[(0, "01"), (26, &text)]));
        }

        #[test]
        fn one_changed_character_is_seen(at in 6_usize..90, to in "[ -~]") {
            let good = shop(&[]);
            let at = at.min(good.len() - 1);
            let mut bad = good.clone();
            bad.replace_range(at..=at, &to);
            prop_assert_eq!(MerchantCode::read(&bad).is_ok(), bad == good);
        }
    }
}
