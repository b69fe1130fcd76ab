//! Impossible travel: the same card or wallet in two regions within a time that no journey takes.
//!
//! What is remembered of a key are the places where it was last, each a region and a moment, in an
//! entry of the same memory, so its bounds are those of limits. A place is as old as its request,
//! and goes again when that comes to nothing. A request that is declined for being too far away is
//! no place: whoever has the card in hand goes on paying.
//!
//! Gates and shops that are nowhere are not asked: a fare is often told hours later, and who pays
//! over the network is not where the merchant is. Neither are merchants without a row.

use std::time::Duration;

use super::Asked;
use super::key::{Key, hash_of, mix};
use super::memory::Memory;
use super::rule::{Action, Rule, Test};
use super::window::{Entry, WORDS};
use crate::base::authorization::Kind;
use crate::base::ids::Region;

/// How far regions are from each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Travel {
    /// Who travels.
    pub key: Key,
    /// The shortest journey between two regions that are not listed.
    pub usual: Duration,
    /// The shortest between two that are, whichever comes first; nothing is a walk.
    pub between: Vec<(Region, Region, Duration)>,
    /// True if what its partner declined is a place too.
    pub attempts: bool,
}

/// A rule on journeys, and under which hashes it remembers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Journey {
    /// The rule, by its place.
    pub(super) rule: u16,
    key: Key,
    seed: u64,
    longest_ms: u64,
}

impl Travel {
    /// The shortest journey from one region to another.
    pub fn shortest(&self, from: Region, to: Region) -> Duration {
        let mut listed = self.between.iter();
        let found =
            listed.find(|(one, other, _)| [(from, to), (to, from)].contains(&(*one, *other)));
        match found {
            _ if from == to => Duration::ZERO,
            Some((.., shortest)) => *shortest,
            None => self.usual,
        }
    }

    /// The longest of them: what is older does not matter.
    pub fn longest(&self) -> Duration {
        self.between.iter().fold(self.usual, |longest, (.., time)| longest.max(*time))
    }
}

impl Journey {
    /// The rules on journeys among these.
    pub(super) fn all(rules: &[Rule], secret: u64) -> Vec<Self> {
        let travels = (0..).zip(rules).filter_map(|(rule, written)| match &written.test {
            Test::Travel(travel) => Some(Self {
                rule,
                key: travel.key,
                seed: [hash_of(secret, written.name.as_bytes()), longest_ms(travel), JOURNEYS]
                    .into_iter()
                    .fold(mix(secret, travel.key.number()), mix),
                longest_ms: longest_ms(travel),
            }),
            _ => None,
        });
        travels.collect()
    }

    /// Who travels, if the rule is asked at all.
    #[inline]
    pub(super) fn traveller(&self, rules: &[Rule], asked: &Asked<'_>) -> Option<u64> {
        asked.region?;
        let is_asked = !asked.is_online
            && !asked.kinds.contains(&Kind::Fare)
            && rules[usize::from(self.rule)].scope.holds(asked);
        if is_asked { self.key.hash(self.seed, asked) } else { None }
    }

    /// True if `key` was too far away too lately; `None` if there is no room to remember it. Where
    /// it is now is remembered, unless the request is declined for it.
    pub(super) fn is_too_far(
        &self,
        rules: &[Rule],
        memory: &Memory,
        (key, here, now_ms): (u64, Region, u64),
    ) -> Option<bool> {
        let rule = &rules[usize::from(self.rule)];
        let Test::Travel(travel) = &rule.test else { return Some(false) };
        let shortest_ms = |from: Region| travel.shortest(from, here).as_millis() as u64;
        memory.change(key, (now_ms, self.longest_ms), |entry| {
            let too_far = entry.was_elsewhere(now_ms, shortest_ms);
            if !too_far || rule.action != Action::Decline {
                entry.go_to(here, now_ms);
            }
            entry.keep_for(if too_far { self.longest_ms } else { 0 });
            too_far
        })
    }

    /// Remembers where `key` was in a former life.
    pub(super) fn was_there(&self, memory: &Memory, key: u64, there: Region, at_ms: u64) {
        memory.change(key, (at_ms, self.longest_ms), |entry| entry.go_to(there, at_ms));
    }

    /// True if what is this old matters.
    pub(super) const fn reaches(&self, ago_ms: u64) -> bool {
        ago_ms <= self.longest_ms
    }
}

/// An entry whose words are places: when (48 bits) and in which region (16 bits), the newest first;
/// 0 is none.
impl Entry {
    /// True if it was in a region from which nobody could be here by now.
    fn was_elsewhere(&self, now_ms: u64, shortest_ms: impl Fn(Region) -> u64) -> bool {
        self.words.iter().filter(|word| **word != 0).any(|word| {
            let (at_ms, region) = (word >> REGION_BITS, Region((*word as u16).to_le_bytes()));
            now_ms.saturating_sub(at_ms) < shortest_ms(region)
        })
    }

    fn go_to(&mut self, region: Region, at_ms: u64) {
        let place = place(region, at_ms);
        // Some older ones stay: the newest may turn out to be none.
        self.words.copy_within(..WORDS - 1, 1);
        self.words[0] = place;
        self.advance(&[], at_ms);
    }

    /// It has not been there after all.
    pub(super) fn leave(&mut self, region: Region, at_ms: u64) {
        let place = place(region, at_ms);
        if let Some(found) = self.words.iter().position(|word| *word == place) {
            self.words.copy_within(found + 1.., found);
            self.words[WORDS - 1] = 0;
        }
    }
}

fn longest_ms(travel: &Travel) -> u64 {
    travel.longest().as_millis() as u64
}

const fn place(region: Region, at_ms: u64) -> u64 {
    at_ms << REGION_BITS | u16::from_le_bytes(region.0) as u64
}

const REGION_BITS: u32 = 16;

/// Tells the entries of journeys from those of limits.
const JOURNEYS: u64 = 0x4A4F_5552;
