//! How often each rule was looked at, and how often it spoke.
//!
//! Rules are looked at all the time, by all workers: each counts for itself in a [`Tally`], which
//! is added to the numbers of all now and then. To speak is rare, and counted at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::rule::{Action, Rule};
use super::{NO_ROOM, Rules};

/// The numbers of one rule, the same in all versions that have it.
#[derive(Debug, Default)]
pub(super) struct Counts {
    looked: AtomicU64,
    acted: AtomicU64,
    on_trial: AtomicU64,
}

/// What a rule did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Requests in its scope that it was asked about.
    pub looked: u64,
    /// How often it declined or flagged one.
    pub acted: u64,
    /// How often it would have, while it was on trial.
    pub on_trial: u64,
}

/// What one worker looked at since it was added up last, by the place of the rule. The default
/// counts nothing.
#[derive(Debug, Default)]
pub struct Tally(Box<[u32]>);

impl Tally {
    /// For these rules.
    pub fn of(rules: &Rules) -> Self {
        Self(vec![0; rules.rules.len()].into())
    }

    #[inline]
    pub(super) fn look(&mut self, rule: u16) {
        if let Some(count) = self.0.get_mut(usize::from(rule)) {
            *count = count.saturating_add(1);
        }
    }
}

impl Rules {
    /// Adds what a worker counted under this version; its tally is empty then.
    pub fn add_up(&self, tally: &mut Tally) {
        for (looked, counts) in tally.0.iter_mut().zip(&self.counts) {
            if *looked != 0 {
                counts.looked.fetch_add(u64::from(std::mem::take(looked)), Ordering::Relaxed);
            }
        }
    }

    /// What each rule did so far.
    pub fn counted(&self) -> impl Iterator<Item = (&Rule, Counted)> {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        self.rules.iter().zip(&self.counts).map(move |(rule, counts)| {
            let Counts { looked, acted, on_trial } = &**counts;
            let counted =
                Counted { looked: read(looked), acted: read(acted), on_trial: read(on_trial) };
            (rule, counted)
        })
    }

    /// The name of each rule and how often it spoke.
    pub fn spoken(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counted().map(|(rule, counted)| (&*rule.name, counted.acted + counted.on_trial))
    }

    /// The name of the rule behind [`super::Verdict::Declined`].
    pub fn name(&self, rule: Option<u16>) -> &str {
        let rule = rule.and_then(|rule| self.rules.get(usize::from(rule)));
        rule.map_or(NO_ROOM, |rule| &rule.name)
    }

    pub(super) fn count(&self, rule: u16) {
        let counts: &Arc<Counts> = &self.counts[usize::from(rule)];
        let count = match self.rules[usize::from(rule)].action {
            Action::Shadow => &counts.on_trial,
            Action::Decline | Action::Flag => &counts.acted,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}
