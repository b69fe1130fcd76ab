//! What traffic is made of: networks, regions, kinds and amounts with their shares, accounts and
//! merchants by range.
//!
//! Each share is drawn on its own, so that `alipay = 79` means 79 of 100 whatever the regions are.
//! A draw is a handful of numbers; the bytes are `message`'s business. Nothing is allocated per
//! draw, and the same seed draws the same traffic. It does not know what a switch makes of a
//! network in a region: a share that is declined is a share all the same.

mod dice;
mod traffic;

pub(crate) use self::dice::Dice;
pub(crate) use self::traffic::{Account, Kind, Network, Region, Traffic};

use self::dice::{Shares, Zipf};

/// Draws requests of a traffic.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    dice: Dice,
    networks: Shares,
    regions: Shares,
    kinds: Shares,
    amounts: Shares,
    accounts: Vec<Range>,
    merchants: Vec<Range>,
    bounds: Vec<(u64, u64)>,
    /// Where it stands in accounts that are used once.
    fresh: u64,
}

/// One request, as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Draw {
    pub(crate) network: usize,
    pub(crate) region: usize,
    pub(crate) kind: usize,
    /// The number of the account among those of its network, from 0.
    pub(crate) account: u64,
    /// The number of the merchant among those of its region, from 0.
    pub(crate) merchant: u64,
    /// In the smallest unit of the currency.
    pub(crate) amount: u64,
}

impl Mix {
    /// A mix of this traffic. Accounts that are used once begin at `fresh`.
    pub(crate) fn new(traffic: &Traffic, seed: u64, fresh: u64) -> Mix {
        let range = |count: Option<u64>, zipf: Option<f64>| match (count, zipf) {
            (None, _) => Range::Fresh,
            (Some(count), None) => Range::Even(count),
            (Some(count), Some(exponent)) => Range::Zipf(Zipf::new(count, exponent)),
        };
        let networks = &traffic.networks;
        let regions = &traffic.regions;
        Mix {
            dice: Dice::new(seed),
            networks: Shares::new(networks.iter().map(|network| network.share)),
            regions: Shares::new(regions.iter().map(|region| region.share)),
            kinds: Shares::new(traffic.kinds.iter().map(|kind| kind.share)),
            amounts: Shares::new(traffic.amounts.iter().map(|amount| amount.share)),
            accounts: networks.iter().map(|it| range(it.accounts, it.zipf)).collect(),
            merchants: regions.iter().map(|it| range(Some(it.merchants), it.zipf)).collect(),
            bounds: traffic.amounts.iter().map(|amount| (amount.from, amount.to)).collect(),
            fresh,
        }
    }

    /// The next request.
    #[inline]
    pub(crate) fn draw(&mut self) -> Draw {
        let dice = &mut self.dice;
        let network = self.networks.draw(dice);
        let region = self.regions.draw(dice);
        let kind = self.kinds.draw(dice);
        let (least, most) = self.bounds[self.amounts.draw(dice)];
        let amount = least + dice.below(most - least + 1);
        let account = match &self.accounts[network] {
            Range::Fresh => {
                self.fresh += 1;
                self.fresh
            }
            range => range.draw(dice),
        };
        let merchant = self.merchants[region].draw(dice);
        Draw { network, region, kind, account, merchant, amount }
    }
}

/// How a number of a range is chosen.
#[derive(Clone, Debug)]
enum Range {
    /// Each is used once.
    Fresh,
    /// All alike.
    Even(u64),
    /// A few often, most hardly ever.
    Zipf(Zipf),
}

impl Range {
    #[inline]
    fn draw(&self, dice: &mut Dice) -> u64 {
        match self {
            Range::Fresh => 0,
            Range::Even(count) => dice.below(*count),
            Range::Zipf(zipf) => zipf.draw(dice),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic() -> Traffic {
        toml::from_str(
            r#"
            network = [
                { name = "ALIPAY", share = 79, code = "28", digits = 17 },
                { name = "OTHER", share = 21, card = "622424", accounts = 1000, zipf = 1.1 },
            ]
            region = [{ name = "CN", share = 3, merchant = "CN-*", merchants = 50 },
                      { name = "KR", share = 1 }]
            kind = [{ name = "purchase", share = 9 }, { name = "refund", share = 1 }]
            amount = [{ share = 1, from = 100, to = 199 }, { share = 3, from = 200, to = 299 }]
            "#,
        )
        .unwrap()
    }

    /// Row 26 of the corridors: 79 of 100 within half of one in a hundred, of a million.
    #[test]
    fn shares_are_those_that_were_asked_for() {
        let mut mix = Mix::new(&traffic(), 7, 0);
        let mut found = [0_u64; 4];
        for _ in 0..1_000_000 {
            let draw = mix.draw();
            let cheap = (100..200).contains(&draw.amount);
            assert!(cheap || (200..300).contains(&draw.amount));
            for (count, counts) in
                found.iter_mut().zip([draw.network == 0, draw.region == 0, draw.kind == 0, cheap])
            {
                *count += u64::from(counts);
            }
        }
        for (found, share) in found.iter().zip([0.79, 0.75, 0.9, 0.25]) {
            let found = *found as f64 / 1e6;
            assert!((found - share).abs() < 0.005, "{found} for {share}");
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_and_codes_are_used_once() {
        let draws = |seed| {
            let mut mix = Mix::new(&traffic(), seed, 500);
            (0..1_000).map(|_| mix.draw()).collect::<Vec<Draw>>()
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
        let codes = draws(1).into_iter().filter(|it| it.network == 0).map(|it| it.account);
        let codes: Vec<u64> = codes.collect();
        assert_eq!(codes[0], 501);
        assert!(codes.is_sorted_by(|one, next| next == &(one + 1)));
        assert!(draws(1).iter().all(|it| it.network == 0 || it.account < 1_000));
        assert!(draws(1).iter().all(|it| it.merchant < 50));
    }
}
