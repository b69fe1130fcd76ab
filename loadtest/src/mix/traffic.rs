//! Traffic as a scenario file writes it, and whether that makes sense.
//!
//! Keys that nobody knows are refused, so that a slip of the pen does not become other traffic
//! than was meant.

use serde::{Deserialize, Serialize};

/// What requests are made of.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Traffic {
    #[serde(rename = "network", default)]
    pub(crate) networks: Vec<Network>,
    #[serde(rename = "region", default)]
    pub(crate) regions: Vec<Region>,
    #[serde(rename = "kind", default)]
    pub(crate) kinds: Vec<Kind>,
    #[serde(rename = "amount", default)]
    pub(crate) amounts: Vec<Amount>,
}

/// A network or wallet, and its accounts.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Network {
    pub(crate) name: String,
    pub(crate) share: f64,
    /// The first digits of its payment codes (DE 59) ...
    pub(crate) code: Option<String>,
    /// ... or of its card numbers (DE 2).
    pub(crate) card: Option<String>,
    /// How many digits a code or card number has, its first ones and the check digit included.
    #[serde(default = "digits")]
    pub(crate) digits: usize,
    /// How many different ones there are; without it each is used once.
    pub(crate) accounts: Option<u64>,
    /// Some come more often than others, with this exponent.
    pub(crate) zipf: Option<f64>,
}

/// Where merchants are.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Region {
    pub(crate) name: String,
    pub(crate) share: f64,
    /// DE 42; a `*` at its end stands for the number of the merchant.
    #[serde(default = "merchant")]
    pub(crate) merchant: String,
    #[serde(default = "one")]
    pub(crate) merchants: u64,
    pub(crate) zipf: Option<f64>,
    /// DE 49, three digits.
    #[serde(default = "currency")]
    pub(crate) currency: String,
    /// DE 18.
    #[serde(default = "category")]
    pub(crate) category: u16,
}

/// What is asked for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kind {
    pub(crate) name: String,
    pub(crate) share: f64,
    #[serde(default = "mti")]
    pub(crate) mti: String,
    /// DE 3.
    #[serde(default = "processing")]
    pub(crate) processing: String,
}

/// How much, evenly from the least to the most, in the smallest unit of the currency.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Amount {
    pub(crate) share: f64,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// What the first digits of an account are those of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// A card number: the digits before the check digit, and before the number of the account.
    Card(String),
    /// A payment code.
    Code(String),
}

impl Network {
    /// What its accounts look like.
    pub(crate) fn account(&self) -> Account {
        match (&self.code, &self.card) {
            (Some(code), _) => Account::Code(code.clone()),
            (None, card) => Account::Card(card.clone().unwrap_or_default()),
        }
    }
}

impl Region {
    /// The fixed part of DE 42, and how many digits are counted behind it.
    pub(crate) fn name_and_digits(&self) -> (&str, usize) {
        match self.merchant.strip_suffix('*') {
            Some(name) => (name, (self.merchants - 1).max(1).ilog10() as usize + 1),
            None => (&self.merchant, 0),
        }
    }
}

impl Kind {
    /// MTI and DE 3 as packed digits.
    pub(crate) fn packed(&self) -> ([u8; 2], [u8; 3]) {
        let number = |text: &str| u32::from_str_radix(text, 16).unwrap_or(0).to_be_bytes();
        let ([_, _, a, b], [_, c, d, e]) = (number(&self.mti), number(&self.processing));
        ([a, b], [c, d, e])
    }
}

impl Traffic {
    /// The same, with one of each where nothing is said; or what is wrong with it.
    pub(crate) fn checked(mut self) -> Result<Traffic, String> {
        self.fill();
        let shares = [
            ("network", self.networks.iter().map(|it| it.share).collect::<Vec<f64>>()),
            ("region", self.regions.iter().map(|it| it.share).collect()),
            ("kind", self.kinds.iter().map(|it| it.share).collect()),
            ("amount", self.amounts.iter().map(|it| it.share).collect()),
        ];
        for (name, shares) in &shares {
            let right = shares.iter().all(|share| share.is_finite() && *share >= 0.0);
            if !right || shares.iter().sum::<f64>() <= 0.0 {
                return Err(format!("the shares of {name} are not numbers above 0"));
            }
        }
        let combinations = self.networks.len() * self.regions.len() * self.kinds.len();
        if combinations > COMBINATIONS_MAX {
            return Err(format!("{combinations} combinations, {COMBINATIONS_MAX} at most"));
        }
        self.networks.iter().try_for_each(check_network)?;
        self.regions.iter().try_for_each(check_region)?;
        self.kinds.iter().try_for_each(check_kind)?;
        for Amount { from, to, .. } in &self.amounts {
            if from > to || *to >= AMOUNT_END {
                return Err(format!("amounts from {from} to {to} are no range of 12 digits"));
            }
        }
        Ok(self)
    }

    fn fill(&mut self) {
        if self.networks.is_empty() {
            let card = Some("622424".to_owned());
            let (name, digits) = ("CARD".to_owned(), digits());
            let (code, accounts, zipf) = (None, Some(1_000_000), None);
            self.networks.push(Network { name, share: 1.0, code, card, digits, accounts, zipf });
        }
        if self.regions.is_empty() {
            self.regions.push(Region {
                name: "CN".to_owned(),
                share: 1.0,
                merchant: merchant(),
                merchants: 1_000,
                zipf: None,
                currency: currency(),
                category: category(),
            });
        }
        if self.kinds.is_empty() {
            let (name, mti, processing) = ("purchase".to_owned(), mti(), processing());
            self.kinds.push(Kind { name, share: 1.0, mti, processing });
        }
        if self.amounts.is_empty() {
            self.amounts.push(Amount { share: 1.0, from: 100, to: 99_999 });
        }
    }
}

fn check_network(network: &Network) -> Result<(), String> {
    let Network { name, code, card, digits, accounts, zipf, .. } = network;
    let wrong = |text: String| Err(format!("network {name}: {text}"));
    let (first, most, check) = match (code, card) {
        (Some(code), None) => (code, 32, 0),
        (None, Some(card)) if *digits == 16 => (card, 16, 1),
        (None, Some(_)) => return wrong("card numbers have 16 digits here".into()),
        _ => return wrong("either code or card says what its accounts begin with".into()),
    };
    let counted = digits.saturating_sub(first.len() + check);
    if !is_digits(first) || *digits > most || counted == 0 {
        return wrong(format!("{first:?} does not begin {digits} digits, {most} at most"));
    }
    let room = 10_u64.saturating_pow(counted as u32);
    if accounts.is_some_and(|count| count == 0 || count > room) {
        return wrong(format!("{counted} digits are left for the number of an account"));
    }
    if zipf.is_some() && accounts.is_none() {
        return wrong("zipf needs accounts".into());
    }
    check_zipf(*zipf).or_else(wrong)
}

fn check_region(region: &Region) -> Result<(), String> {
    let wrong = |text: String| Err(format!("region {}: {text}", region.name));
    if region.merchants == 0 || region.merchants > 1_000_000_000 {
        return wrong("merchants are 1 to 1000000000".into());
    }
    let (name, digits) = region.name_and_digits();
    if digits == 0 && region.merchants > 1 {
        return wrong("many merchants need a * at the end of merchant".into());
    }
    if name.len() + digits > 15 || !name.is_ascii() || name.contains('*') {
        return wrong(format!("{:?} is no name of 15 characters", region.merchant));
    }
    if !is_digits(&region.currency) || region.currency.len() != 3 || region.category > 9_999 {
        return wrong("currency has three digits, category four".into());
    }
    check_zipf(region.zipf).or_else(wrong)
}

fn check_kind(kind: &Kind) -> Result<(), String> {
    let Kind { name, mti, processing, .. } = kind;
    let asks = matches!(mti.as_bytes(), [b'0', b'1' | b'2', _, b'0']);
    if !asks || !is_digits(mti) || !is_digits(processing) || processing.len() != 6 {
        return Err(format!("kind {name}: mti is 01x0 or 02x0, processing has six digits"));
    }
    Ok(())
}

fn check_zipf(zipf: Option<f64>) -> Result<(), String> {
    let right = zipf.is_none_or(|exponent| (0.01..=10.0).contains(&exponent));
    if right { Ok(()) } else { Err("zipf is an exponent from 0.01 to 10".into()) }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn digits() -> usize {
    16
}

fn merchant() -> String {
    "MERCHANT*".to_owned()
}

fn one() -> u64 {
    1
}

fn currency() -> String {
    "156".to_owned()
}

fn category() -> u16 {
    5_411
}

fn mti() -> String {
    "0100".to_owned()
}

fn processing() -> String {
    "000000".to_owned()
}

/// Each has a template, and each part of it histograms of its own.
const COMBINATIONS_MAX: usize = 1_024;
const AMOUNT_END: u64 = 1_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<Traffic, String> {
        toml::from_str::<Traffic>(text).map_err(|error| error.to_string())?.checked()
    }

    #[test]
    fn nothing_said_is_one_of_each() {
        let traffic = checked("").unwrap();
        let counts = [traffic.networks.len(), traffic.regions.len(), traffic.kinds.len()];
        assert_eq!((counts, traffic.amounts.len()), ([1, 1, 1], 1));
        assert_eq!(traffic.regions[0].name_and_digits(), ("MERCHANT", 3));
        assert_eq!(traffic.kinds[0].packed(), ([0x01, 0x00], [0, 0, 0]));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, words) in [
            ("network = [{ name = 'A', share = 1 }]", "either code or card"),
            ("network = [{ name = 'A', share = -1, card = '62' }]", "shares of network"),
            ("network = [{ name = 'A', share = 1, card = '62', colour = 1 }]", "colour"),
            ("network = [{ name = 'A', share = 1, card = '6x' }]", "does not begin"),
            ("network = [{ name = 'A', share = 1, code = '28', digits = 2 }]", "does not begin"),
            ("network = [{ name = 'A', share = 1, code = '28', zipf = 1 }]", "needs accounts"),
            ("network = [{ name = 'A', share = 1, card = '622424622424622', accounts = 9 }]", "16"),
            ("region = [{ name = 'KR', share = 1, merchants = 9, merchant = 'X' }]", "a * at"),
            ("region = [{ name = 'KR', share = 1, currency = '15' }]", "three digits"),
            ("kind = [{ name = 'echo', share = 1, mti = '0800' }]", "01x0"),
            ("amount = [{ share = 1, from = 2, to = 1 }]", "no range"),
        ] {
            let error = checked(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
