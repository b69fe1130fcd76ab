//! Which windows stand together in one entry: those of rules with the same key, as many as fit.
//!
//! A key is asked once for all rules of a set, for one miss of the cache. Words that are left over
//! make the windows finer, sums first, whose cells are few.

use super::key::{Key, hash_of, mix};
use super::rule::{Action, Rule, Test, Velocity};
use super::window::{WINDOWS_MAX, WORDS, Window};
use super::{Asked, SETS_MAX};

/// Rules that share a key and an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) key: Key,
    /// Tells its entries from those of other sets, and of other layouts.
    pub(super) seed: u64,
    pub(super) windows: Vec<Window>,
    /// The rule of each window.
    pub(super) rules: Vec<u16>,
    /// Windows whose rules are for the same requests, each with one of these rules.
    scopes: Vec<(u16, u8)>,
    /// The windows whose rules decline.
    pub(super) acting: u8,
    /// The windows that count what is declined.
    pub(super) attempts: u8,
    /// How long an event matters.
    pub(super) longest_ms: u64,
}

impl Set {
    /// The windows whose rules are for this request.
    #[inline]
    pub(super) fn concerned(&self, rules: &[Rule], asked: &Asked<'_>) -> u8 {
        let held = |rule: u16| rules[usize::from(rule)].scope.holds(asked);
        self.scopes.iter().filter(|(rule, _)| held(*rule)).fold(0, |all, (_, bits)| all | bits)
    }
}

/// The sets of all rules that count.
///
/// # Errors
///
/// The place of the first rule that needs one set too many.
pub(super) fn pack(rules: &[Rule], secret: u64) -> Result<Vec<Set>, usize> {
    let mut groups: Vec<(Key, Vec<usize>)> = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        let Test::Velocity(velocity) = &rule.test else { continue };
        let fits = |group: &(Key, Vec<usize>)| {
            let words: u8 = group.1.iter().map(|other| words_min(&rules[*other])).sum();
            group.0 == velocity.key
                && group.1.len() < WINDOWS_MAX
                && usize::from(words + words_min(rule)) <= WORDS
        };
        match groups.iter().position(fits) {
            Some(found) => groups[found].1.push(place),
            None if groups.len() == SETS_MAX => return Err(place),
            None => groups.push((velocity.key, vec![place])),
        }
    }
    Ok(groups.iter().map(|(key, places)| set(*key, places, rules, secret)).collect())
}

fn set(key: Key, places: &[usize], rules: &[Rule], secret: u64) -> Set {
    let mut words: Vec<u8> = places.iter().map(|place| words_min(&rules[*place])).collect();
    let spare = WORDS as u8 - words.iter().sum::<u8>();
    let sums = |place: &usize| velocity(&rules[*place]).is_some_and(|velocity| velocity.sums);
    let finer = places.iter().position(sums).unwrap_or(0);
    if let Some(words) = words.get_mut(finer) {
        *words += spare;
    }
    let (mut windows, mut at) = (Vec::new(), 0);
    let mut seed = mix(secret, key.number());
    let (mut acting, mut attempts) = (0, 0);
    let mut scopes: Vec<(u16, u8)> = Vec::new();
    for (bit, (place, words)) in places.iter().zip(words).enumerate() {
        let Some(velocity) = velocity(&rules[*place]) else { continue };
        let window_ms = velocity.window.as_millis() as u64;
        let window = Window::new(window_ms, velocity.limit, velocity.sums, at, words);
        let layout = (u64::from(at) << 8 | u64::from(words)) << 1 | u64::from(window.is_wide());
        windows.push(window);
        at += words;
        let name = hash_of(secret, rules[*place].name.as_bytes());
        seed = mix(mix(seed, name), window_ms << 16 | layout << 1 | u64::from(velocity.sums));
        let same =
            |(rule, _): &&mut (u16, u8)| rules[usize::from(*rule)].scope == rules[*place].scope;
        match scopes.iter_mut().find(same) {
            Some((_, bits)) => *bits |= 1 << bit,
            None => scopes.push((*place as u16, 1 << bit)),
        }
        acting |= u8::from(rules[*place].action == Action::Decline) << bit;
        attempts |= u8::from(velocity.attempts) << bit;
    }
    let longest_ms = windows.iter().map(Window::longest_ms).max().unwrap_or(0);
    let rules = places.iter().map(|place| *place as u16).collect();
    Set { key, seed, windows, rules, scopes, acting, attempts, longest_ms }
}

fn words_min(rule: &Rule) -> u8 {
    velocity(rule).map_or(0, |velocity| Window::words_min(velocity.limit, velocity.sums))
}

fn velocity(rule: &Rule) -> Option<&Velocity> {
    match &rule.test {
        Test::Velocity(velocity) => Some(velocity),
        _ => None,
    }
}
