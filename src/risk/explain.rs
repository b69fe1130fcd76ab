//! What rules make of a request: for people. Nothing is counted, and nothing decided.

use super::rule::{Rule, Test};
use super::{Asked, Rules, Said};
use crate::base::time::Instant;

impl Rules {
    /// For each rule that counts: its place, what it has counted for this request's key, and its
    /// limit.
    pub fn look(&self, asked: &Asked<'_>) -> Vec<(u16, u64, u64)> {
        let now_ms = self.memory.ms(asked.now.instant);
        let mut seen = Vec::new();
        for set in &self.sets {
            let key = set.key.hash(set.seed, asked);
            let totals = key.and_then(|key| self.memory.look(key, &set.windows, now_ms));
            let totals = totals.unwrap_or_else(|| vec![0; set.windows.len()]);
            let windows = set.rules.iter().zip(&set.windows).zip(totals);
            seen.extend(windows.map(|((rule, window), total)| (*rule, total, window.limit)));
        }
        seen.sort_unstable();
        seen
    }

    /// Where this request counts, if rules concern it: the place of each rule, and the hash of the
    /// key.
    pub fn keys(&self, asked: &Asked<'_>) -> Vec<(u16, u64)> {
        let in_scope = |rule: u16| self.rules[usize::from(rule)].scope.holds(asked);
        let keys = self.sets.iter().flat_map(|set| {
            let key = set.key.hash(set.seed, asked);
            let rules = set.rules.iter().filter(|rule| in_scope(**rule));
            key.into_iter().flat_map(move |key| rules.clone().map(move |rule| (*rule, key)))
        });
        keys.collect()
    }

    /// What the rule has counted under a key, and its limit.
    pub fn counted_under(&self, rule: u16, key: u64, now: Instant) -> Option<(u64, u64)> {
        let set = self.sets.iter().find(|set| set.rules.contains(&rule))?;
        let window = set.rules.iter().position(|other| *other == rule)?;
        let totals = self.memory.look(key, &set.windows, self.memory.ms(now));
        let total = totals.and_then(|totals| totals.get(window).copied()).unwrap_or(0);
        Some((total, set.windows.get(window)?.limit))
    }

    /// What each rule makes of the request, by its place, nothing counted; `None` if no rule
    /// concerns it. Those that it is outside the scope of are left out.
    pub fn explain(&self, asked: &Asked<'_>) -> Option<Vec<(u16, Said)>> {
        if self.allowed.has(asked) {
            return None;
        }
        let concerned = (0..).zip(&self.rules).filter(|(_, rule)| rule.scope.holds(asked));
        let said = |rule: &Rule| match &rule.test {
            Test::Velocity(velocity) => match velocity.key.hash(self.secret, asked) {
                Some(_) => Said::Counts,
                None => Said::Keyless,
            },
            Test::Travel(travel) => match travel.key.hash(self.secret, asked).zip(asked.region) {
                Some(_) => Said::Counts,
                None => Said::Keyless,
            },
            test if test.speaks(asked) => Said::Speaks,
            _ => Said::Silent,
        };
        Some(concerned.map(|(place, rule)| (place, said(rule))).collect())
    }
}
