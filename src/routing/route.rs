//! A way to one or more partners, and whose turn it is.

use std::time::Duration;

use super::condition::Condition;
use super::quote::Converts;
use super::stand_in::Policy;
use crate::base::authorization::{Form, Instrument};
use crate::base::ids::{LinkId, RouteNumber};
use crate::base::map::mixed;

/// A way to one or more partners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its name in logs and reports.
    pub name: String,
    /// What stands for the name, in this table and in those that follow it.
    pub number: RouteNumber,
    /// Whom to ask, in order of preference.
    pub partners: Vec<LinkId>,
    /// Places in `partners`, each as often as its weight: whose turn it is to be asked first.
    /// Empty without weights.
    pub turns: Vec<u8>,
    /// The one with the fewest requests under way is asked first; there are no weights then.
    pub by_load: bool,
    /// From the request's arrival to the answer that the acquirer was promised.
    pub budget: Duration,
    /// Place of `budget` in [`super::RouteTable::budgets`].
    pub budget_class: u8,
    /// What may be approved while none of the partners can be asked, or answers.
    pub stand_in: Option<Box<Policy>>,
    /// What requests it serves, of those in its networks and regions; `None` is all.
    pub condition: Option<Box<Condition>>,
    /// What its partners can do beside purchases.
    pub capabilities: Capabilities,
    /// Whether it is in earnest.
    pub mode: Mode,
    /// In which other currencies its partners are told what is paid, if in any.
    pub converts: Option<Box<Converts>>,
}

/// What partners can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Tell what became of a request.
    pub inquiry: bool,
    /// Take a purchase back by a void.
    pub void: bool,
    /// Take a part of it back by a reversal (DE 95).
    pub partial_reversal: bool,
}

/// Whether money moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It does.
    #[default]
    Live,
    /// Certification: only partners that are simulators are asked.
    Test,
}

impl Route {
    /// The place in `partners` of the one to ask first for a card or code: always the same one, so
    /// that what undoes a payment goes where it went even if nobody remembers it. `None` if the
    /// instrument does not tell payers apart.
    pub fn first_for(&self, instrument: Instrument) -> Option<usize> {
        // Neighbouring numbers must not be neighbours any more.
        let turn = mixed(instrument.head());
        (instrument.form() != Form::Application).then(|| self.first(turn))
    }

    /// The place in `partners` of the one to ask first. `turn` grows by one from request to
    /// request; over as many turns as the weights add up to, each partner has its share, evenly
    /// spread.
    pub fn first(&self, turn: u64) -> usize {
        let count = self.turns.len().max(1) as u64;
        self.turns.get((turn % count) as usize).copied().map_or(0, usize::from)
    }
}

impl Mode {
    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self { inquiry: false, void: true, partial_reversal: true }
    }
}

/// Places as often as their weights, spread evenly: each turn the place that lags most. `None` if
/// all are zero, or together too many.
pub(super) fn turns(weights: &[u16]) -> Option<Vec<u8>> {
    if weights.is_empty() {
        return Some(Vec::new());
    }
    let divisor = weights.iter().fold(0, |divisor, weight| common(divisor, *weight));
    let weights: Vec<i32> =
        weights.iter().map(|weight| i32::from(weight.checked_div(divisor).unwrap_or(0))).collect();
    let whole: i32 = weights.iter().sum();
    if !(1..=TURNS_MAX as i32).contains(&whole) || weights.len() > TURNS_MAX {
        return None;
    }
    let mut lags = vec![0; weights.len()];
    let mut turns = Vec::with_capacity(whole as usize);
    for _ in 0..whole {
        for (lag, weight) in lags.iter_mut().zip(&weights) {
            *lag += weight;
        }
        // The first of those that lag most.
        let place = (0..lags.len()).rev().max_by_key(|place| lags.get(*place).copied())?;
        if let Some(lag) = lags.get_mut(place) {
            *lag -= whole;
        }
        turns.push(place as u8);
    }
    Some(turns)
}

/// Greatest common divisor.
const fn common(mut one: u16, mut other: u16) -> u16 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

/// Most turns of a route: weights add up to no more when their common divisor is taken out.
pub const TURNS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn turns_are_spread() {
        assert_eq!(turns(&[]), Some(vec![]));
        assert_eq!(turns(&[7]), Some(vec![0]));
        assert_eq!(turns(&[50, 50]), Some(vec![0, 1]));
        assert_eq!(turns(&[5, 1, 1]), Some(vec![0, 0, 1, 0, 2, 0, 0]));
        assert_eq!(turns(&[3, 0]), Some(vec![0]));
        assert_eq!(turns(&[0, 0]), None);
        assert_eq!(turns(&[257, 1]), None);
        assert_eq!(turns(&[60_000, 30_000]), Some(vec![0, 1, 0]));
    }

    proptest! {
        #[test]
        fn everyone_has_their_share_at_any_time(weights in vec(0_u16..20, 1..12)) {
            let Some(turns) = turns(&weights) else {
                prop_assert!(weights.iter().all(|weight| *weight == 0));
                return Ok(());
            };
            let whole: u16 = weights.iter().sum();
            for (place, weight) in weights.iter().enumerate() {
                let mut had = 0.0;
                for (turn, other) in turns.iter().enumerate() {
                    had += f64::from(u8::from(usize::from(*other) == place));
                    let due = f64::from(*weight) / f64::from(whole) * (turn + 1) as f64;
                    let far = (had - due).abs();
                    prop_assert!(far < weights.len() as f64 / 2.0 + 0.5, "{} of {}", had, due);
                }
                let share = f64::from(*weight) / f64::from(whole) * turns.len() as f64;
                prop_assert!((had - share).abs() < 1e-9);
            }
        }
    }
}
