//! Chance by seed: even numbers, shares, and Zipf's law.
//!
//! The generator is splitmix64: fast, and good enough to choose who pays. Zipf numbers come of
//! rejection from the integral of the law (Hörmann and Derflinger 1996), which needs no table, so
//! a range of a thousand million cards costs as much as one of ten.

/// Numbers by seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The sequence of this seed.
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut value = self.0;
        value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ value >> 31
    }

    /// Evenly below `bound`, which is not 0.
    #[inline]
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        debug_assert!(bound > 0, "a range has a number in it");
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Evenly in 0..1.
    #[inline]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The distance to the next event of a Poisson process of rate 1.
    #[inline]
    pub(crate) fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }
}

/// A choice among a few by their shares.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    /// Where each share ends, in parts of 2^64; the last one ends at the end.
    ends: Vec<u64>,
}

impl Shares {
    /// These shares of their sum, which is above 0.
    pub(super) fn new(shares: impl Iterator<Item = f64>) -> Shares {
        let shares: Vec<f64> = shares.collect();
        let whole: f64 = shares.iter().sum();
        let mut sum = 0.0;
        let mut ends = Vec::with_capacity(shares.len());
        for share in &shares {
            sum += share;
            ends.push((sum / whole * u64::MAX as f64) as u64);
        }
        if let Some(last) = ends.last_mut() {
            *last = u64::MAX;
        }
        Shares { ends }
    }

    #[inline]
    pub(super) fn draw(&self, dice: &mut Dice) -> usize {
        if self.ends.len() == 1 {
            return 0;
        }
        let at = dice.next();
        self.ends.iter().position(|end| at <= *end).unwrap_or(0)
    }
}

/// Numbers from 0 of which the one at place k comes as often as 1/(k+1)^exponent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zipf {
    count: f64,
    exponent: f64,
    /// The integral at both ends of the range, and how near to a number a draw is taken unasked.
    at_first: f64,
    at_last: f64,
    near: f64,
}

impl Zipf {
    /// Of `count` numbers, at least 1; the exponent is above 0.
    pub(super) fn new(count: u64, exponent: f64) -> Zipf {
        let mut zipf =
            Zipf { count: count as f64, exponent, at_first: 0.0, at_last: 0.0, near: 0.0 };
        zipf.at_first = zipf.integral(1.5) - 1.0;
        zipf.at_last = zipf.integral(zipf.count + 0.5);
        zipf.near = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.density(2.0));
        zipf
    }

    #[inline]
    pub(super) fn draw(&self, dice: &mut Dice) -> u64 {
        loop {
            let at = self.at_last + dice.unit() * (self.at_first - self.at_last);
            let place = self.inverse(at);
            let number = place.round().clamp(1.0, self.count);
            if number - place <= self.near
                || at >= self.integral(number + 0.5) - self.density(number)
            {
                return number as u64 - 1;
            }
        }
    }

    fn density(&self, at: f64) -> f64 {
        (-self.exponent * at.ln()).exp()
    }

    /// Of the density from 1, by a form that also holds for an exponent of 1.
    fn integral(&self, at: f64) -> f64 {
        let log = at.ln();
        let scaled = (1.0 - self.exponent) * log;
        let ratio = if scaled.abs() > 1e-8 { scaled.exp_m1() / scaled } else { 1.0 + scaled / 2.0 };
        ratio * log
    }

    fn inverse(&self, value: f64) -> f64 {
        let scaled = (value * (1.0 - self.exponent)).max(-1.0);
        let ratio = if scaled.abs() > 1e-8 { scaled.ln_1p() / scaled } else { 1.0 - scaled / 2.0 };
        (ratio * value).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the law itself, summed up term by term.
    #[test]
    fn zipf_numbers_come_as_often_as_the_law_says() {
        for exponent in [0.7, 1.0, 1.3] {
            let zipf = Zipf::new(100, exponent);
            let mut dice = Dice::new(3);
            let mut found = [0_u32; 100];
            for _ in 0..400_000 {
                found[zipf.draw(&mut dice) as usize] += 1;
            }
            let term = |place: usize| (place as f64 + 1.0).powf(-exponent);
            let whole: f64 = (0..100).map(term).sum();
            for place in [0, 1, 2, 9, 50, 99] {
                let expected = 400_000.0 * term(place) / whole;
                let off = (f64::from(found[place]) - expected).abs();
                assert!(off < 5.0 * expected.sqrt(), "{exponent} {place}: {off} of {expected}");
            }
        }
    }

    #[test]
    fn a_range_of_one_is_always_the_same() {
        let mut dice = Dice::new(1);
        assert!((0..100).all(|_| Zipf::new(1, 1.1).draw(&mut dice) == 0));
        assert!((0..100).all(|_| dice.below(1) == 0));
    }

    #[test]
    fn events_of_a_poisson_process_are_one_apart_on_average() {
        let mut dice = Dice::new(5);
        let sum: f64 = (0..100_000).map(|_| dice.exponential()).sum();
        assert!((99_000.0..101_000.0).contains(&sum), "{sum}");
    }
}
