//! The schedule of an open loop: when each request is due, whatever became of those before.
//!
//! Each phase has a rate that is constant or goes in a straight line from one to another. The
//! schedule counts how much of the integral of the rate has been used: a request is due after each
//! whole unit, or, with Poisson arrivals, after an exponential share of it. Due times follow from
//! the beginning of their phase each time, so that rounding never adds up to a drift.

use super::course::{Arrivals, Phase};
use crate::clock::NS_PER_S;
use crate::mix::Dice;

/// When requests are due.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    legs: Vec<Leg>,
    leg: usize,
    arrivals: Arrivals,
    dice: Dice,
    /// Where the next request lies in the integral of the rate of its leg.
    mass: f64,
    next_ns: u64,
    issued: u64,
}

/// A stretch of time with a rate of its own.
#[derive(Clone, Copy, Debug)]
struct Leg {
    begin_ns: u64,
    length_s: f64,
    rate: f64,
    /// By how much the rate grows in a second.
    slope: f64,
}

impl Leg {
    /// How many requests are due in all of it.
    fn mass(&self) -> f64 {
        self.length_s * (self.rate + self.slope * self.length_s / 2.0)
    }

    /// When this much of the integral has been used.
    fn at_ns(&self, mass: f64) -> u64 {
        let after_ns = if self.slope == 0.0 {
            mass * NS_PER_S as f64 / self.rate
        } else {
            let root = (self.rate * self.rate + 2.0 * self.slope * mass).max(0.0).sqrt();
            // This form of the solution loses nothing where the slope is small.
            2.0 * mass / (self.rate + root) * NS_PER_S as f64
        };
        self.begin_ns + after_ns as u64
    }
}

impl Pace {
    /// The schedule of these phases, the first of which begins at `start_ns`.
    pub(crate) fn new(start_ns: u64, phases: &[Phase], arrivals: Arrivals, seed: u64) -> Pace {
        let mut begin_ns = start_ns;
        let mut legs = Vec::with_capacity(phases.len());
        for phase in phases {
            let length_s = phase.length.as_secs_f64();
            let (from, to) = phase.rate;
            let slope = if length_s > 0.0 { (to - from) / length_s } else { 0.0 };
            legs.push(Leg { begin_ns, length_s, rate: from, slope });
            begin_ns += phase.length.as_nanos() as u64;
        }
        let dice = Dice::new(seed);
        let mut pace = Pace { legs, leg: 0, arrivals, dice, mass: 0.0, next_ns: 0, issued: 0 };
        if arrivals == Arrivals::Poisson {
            pace.mass = pace.dice.exponential();
        }
        pace.settle();
        pace
    }

    /// When the next request is due, in ns; never, if the schedule is over.
    pub(crate) fn next_ns(&self) -> u64 {
        self.next_ns
    }

    /// The next request's number and due time, if it is due by now.
    #[inline]
    pub(crate) fn take(&mut self, now_ns: u64) -> Option<(u64, u64)> {
        let due_ns = self.next_ns;
        (due_ns <= now_ns).then(|| {
            self.issued += 1;
            self.mass += match self.arrivals {
                Arrivals::Constant => 1.0,
                Arrivals::Poisson => self.dice.exponential(),
            };
            self.settle();
            (self.issued - 1, due_ns)
        })
    }

    /// Finds the leg in which the next request lies; what a leg has left over goes to the next.
    fn settle(&mut self) {
        while let Some(leg) = self.legs.get(self.leg) {
            let whole = leg.mass();
            if self.mass < whole {
                self.next_ns = leg.at_ns(self.mass);
                return;
            }
            self.mass -= whole;
            self.leg += 1;
        }
        self.next_ns = u64::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::course::Shape;
    use std::time::Duration;

    fn phase(length_ms: u64, from: f64, to: f64) -> Phase {
        let length = Duration::from_millis(length_ms);
        Phase { name: String::new(), shape: Shape::Steady, length, rate: (from, to) }
    }

    fn due(phases: &[Phase], arrivals: Arrivals, seed: u64) -> Vec<u64> {
        let mut pace = Pace::new(1_000, phases, arrivals, seed);
        let mut taken = Vec::new();
        while let Some((number, due_ns)) = pace.take(u64::MAX - 1) {
            assert_eq!(number, taken.len() as u64);
            taken.push(due_ns - 1_000);
        }
        taken
    }

    #[test]
    fn a_pace_neither_drifts_nor_forgets() {
        let taken = due(&[phase(2_000, 30_000.0, 30_000.0)], Arrivals::Constant, 0);
        assert_eq!(taken.len(), 60_000);
        assert_eq!(taken[..3], [0, 33_333, 66_666]);
        assert_eq!(taken[30_000], NS_PER_S);
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let mut pace = Pace::new(5_000, &[phase(1_000, 1e6, 1e6)], Arrivals::Constant, 0);
        assert_eq!((pace.take(4_999), pace.next_ns()), (None, 5_000));
        assert_eq!(pace.take(5_999), Some((0, 5_000)));
        assert_eq!(pace.take(5_999), None);
    }

    /// Against the integral of the rate, which is counted in small steps.
    #[test]
    fn a_ramp_and_steps_have_their_rates_at_every_moment() {
        let phases = [phase(1_000, 0.0, 2_000.0), phase(500, 0.0, 0.0), phase(500, 400.0, 200.0)];
        let taken = due(&phases, Arrivals::Constant, 0);
        assert!((1_149..=1_151).contains(&taken.len()), "{}", taken.len());
        assert!(taken.is_sorted());
        let until = |ms: u64| taken.iter().filter(|due| **due < ms * 1_000_000).count() as i64;
        for (ms, expected) in
            [(100, 10), (500, 250), (1_000, 1_000), (1_500, 1_000), (2_000, 1_150)]
        {
            assert!((until(ms) - expected).abs() <= 1, "{ms}: {}", until(ms));
        }
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread_of_their_law() {
        let taken = due(&[phase(10_000, 10_000.0, 10_000.0)], Arrivals::Poisson, 3);
        assert!((99_000..101_000).contains(&taken.len()), "{}", taken.len());
        // In each of a thousand windows of 10 ms: 100 expected, with a variance of as many.
        let mut counts = [0.0_f64; 1_000];
        taken.iter().for_each(|due| counts[(due / 10_000_000) as usize] += 1.0);
        let variance = counts.iter().map(|count| (count - 100.0).powi(2)).sum::<f64>() / 1e3;
        assert!((85.0..115.0).contains(&variance), "{variance}");
        assert_ne!(taken, due(&[phase(10_000, 1e4, 1e4)], Arrivals::Poisson, 4));
    }
}
