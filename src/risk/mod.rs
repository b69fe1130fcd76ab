//! Floor 2: is the request wanted? Facts in, a pass or a decline out, in memory.
//!
//! What it is not: it knows no route, no message and no file, and it remembers no card: keys are
//! hashes, made with a secret that is handed in, as is the time. Rules are immutable, one version
//! ([`Rules`]); what was counted stands apart ([`Memory`]) and is shared by all workers and by all
//! versions.
//!
//! ```text
//! on the list of those that no rule concerns?            -> passes
//! rules that remember nothing, in the order of the file   first decline speaks
//! rules that count, each key asked once for all of its    first decline in the file speaks;
//! windows                                                 what was counted is given back
//! ```
//!
//! Counting and asking are one step for each key, so two workers can never both pass a limit of
//! one. A request with several keys takes one after the other and gives back if a later one
//! declines: for that moment another request may be declined that would have fitted, and never
//! the other way round.

mod asked;
mod counted;
mod explain;
pub mod key;
pub mod list;
mod lock;
mod memory;
mod packing;
mod parts;
pub mod rule;
pub mod travel;
mod window;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::base::codes::ResponseCode;
use crate::base::ids::Region;
use crate::base::map::Map;
use crate::base::time::Instant;
pub use asked::Asked;
use counted::Counts;
pub use counted::{Counted, Tally};
use key::ELEMENTS;
use list::List;
pub use memory::{Kept, LINE_WORDS, Memory, PAGE_BYTES};
use packing::Set;
use rule::{Action, Rule};
use travel::Journey;
use window::Take;

/// All rules, one version.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    /// The rules that remember nothing, by their places.
    plain: Vec<u16>,
    sets: Vec<Set>,
    journeys: Vec<Journey>,
    /// Whom no rule concerns.
    allowed: List,
    elements: Vec<u8>,
    memory: Arc<Memory>,
    /// By rule.
    counts: Box<[Arc<Counts>]>,
    /// How often there was no room to remember a key.
    no_room: AtomicU64,
    secret: u64,
    snapshot_interval: Option<Duration>,
    version: u32,
    asks_who_acquires: bool,
}

/// What rules are made from.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// In the order of the file.
    pub rules: Vec<Rule>,
    /// Whom no rule concerns.
    pub allowed: List,
    /// The elements of [`key::Part::Element`], by their places; at most [`ELEMENTS`].
    pub elements: Vec<u8>,
    /// Keys all hashes.
    pub secret: u64,
    /// How often what was counted goes to the disk, if it does.
    pub snapshot_interval: Option<Duration>,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against it.
    Passed,
    /// It is declined.
    Declined {
        /// Which rule spoke, by its place; `None` if there was no room to remember a key.
        rule: Option<u16>,
        /// DE 39.
        code: ResponseCode,
    },
}

/// What a rule makes of a request in its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It speaks against it.
    Speaks,
    /// It does not.
    Silent,
    /// It counts it, and speaks when there were too many.
    Counts,
    /// The request has not all of what it counts by.
    Keyless,
}

/// What a request that passed was counted in, for when it has to be given back.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken {
    version: u32,
    count: u8,
    at_ms: u64,
    amount: u64,
    /// Where: for journeys.
    region: Option<Region>,
    /// Which set, which of its windows, under which key; behind the sets are journeys.
    keys: [(u8, u8, u64); SETS_MAX],
}

/// Why a request gives back what it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// It was declined by whoever was asked: rules may count that as well.
    Declined,
    /// It is as if it had never been asked: nobody was, or it was taken back.
    Undone,
}

/// Keys with their windows that one version of the rules may ask about.
pub const SETS_MAX: usize = 8;

/// What speaks where there is no room to remember a key.
const NO_ROOM: &str = "no room to count";

/// Rules of one version.
pub const RULES_MAX: usize = 1000;

impl Rules {
    /// Rules over `memory`.
    ///
    /// # Errors
    ///
    /// The place of the first rule whose key finds no room among [`SETS_MAX`].
    pub fn new(plan: Plan, memory: Arc<Memory>) -> Result<Self, usize> {
        let Plan { rules, allowed, elements, secret, snapshot_interval } = plan;
        debug_assert!(rules.len() <= RULES_MAX && elements.len() <= ELEMENTS);
        let sets = packing::pack(&rules, secret)?;
        let journeys = Journey::all(&rules, secret);
        if let Some(journey) = journeys.get(SETS_MAX - sets.len()) {
            return Err(usize::from(journey.rule));
        }
        let is_plain =
            |rule: &Rule| !matches!(rule.test, rule::Test::Velocity(_) | rule::Test::Travel(_));
        let places = rules.iter().enumerate().filter(|(_, rule)| is_plain(rule));
        let plain = places.map(|(place, _)| place as u16).collect();
        let counts = rules.iter().map(|_| Arc::default()).collect();
        let no_room = AtomicU64::new(0);
        let asks_who_acquires = sets.iter().any(|set| set.key.has(key::Part::Acquirer));
        Ok(Self {
            rules,
            plain,
            sets,
            journeys,
            allowed,
            elements,
            memory,
            counts,
            no_room,
            secret,
            snapshot_interval,
            version: 1,
            asks_who_acquires,
        })
    }

    /// Makes these the rules behind `former`: they count on from what it has counted. To be called
    /// before they are handed over.
    pub fn follow(&mut self, former: &Self) {
        self.version = former.version + 1;
        self.memory = Arc::clone(&former.memory);
        self.no_room = AtomicU64::new(former.no_room());
        let names = former.rules.iter().map(|rule| &*rule.name);
        let known: Map<&str, &Arc<Counts>> = names.zip(&former.counts).collect();
        for (rule, counts) in self.rules.iter().zip(&mut self.counts) {
            if let Some(former) = known.get(&*rule.name) {
                // One count: who has not taken the new version yet counts in it as well.
                *counts = Arc::clone(former);
            }
        }
    }

    /// What the rules say to a request; `taken` is what it was counted in if it passed, `tally`
    /// which rules were looked at.
    #[inline]
    pub fn decide(&self, asked: &Asked<'_>, taken: &mut Taken, tally: &mut Tally) -> Verdict {
        taken.count = 0;
        if self.is_exempt(asked) {
            return Verdict::Passed;
        }
        for place in &self.plain {
            let rule = &self.rules[usize::from(*place)];
            if !rule.scope.holds(asked) {
                continue;
            }
            tally.look(*place);
            if rule.test.speaks(asked) {
                self.count(*place);
                if rule.action == Action::Decline {
                    return Verdict::Declined { rule: Some(*place), code: rule.code };
                }
            }
        }
        self.count_in_all(asked, taken, tally)
    }

    /// Counts a request of a former life again, so long ago before the origin of time, whatever
    /// limits say: it was let pass. What it was counted in is `taken`, for when it came to nothing.
    pub fn count_again(&self, asked: &Asked<'_>, ago: Duration, taken: &mut Taken) {
        let ago_ms = ago.as_millis() as u64;
        *taken = Taken::default();
        taken.begin(self.version, self.memory.ms(Instant::default()).saturating_sub(ago_ms), asked);
        let sets = self.sets.iter().enumerate().filter(|(_, set)| ago_ms <= set.longest_ms);
        for (place, set) in sets {
            let windows = set.concerned(&self.rules, asked);
            let Some(key) = set.key.hash(set.seed, asked).filter(|_| windows != 0) else {
                continue;
            };
            let (now_ms, amount) = (taken.at_ms, taken.amount);
            let take = Take { now_ms, amount, windows, acting: 0, attempts: 0 };
            match self.memory.take(key, &set.windows, set.longest_ms, &take) {
                Some(took) => taken.add(place, took.into, key),
                None => _ = self.no_room.fetch_add(1, Ordering::Relaxed),
            }
        }
        let journeys = self.journeys.iter().enumerate();
        for (place, journey) in journeys.filter(|(_, journey)| journey.reaches(ago_ms)) {
            if let Some((key, there)) = journey.traveller(&self.rules, asked).zip(asked.region) {
                journey.was_there(&self.memory, key, there, taken.at_ms);
                taken.add(self.sets.len() + place, self.goes_with_decline(journey), key);
            }
        }
    }

    /// True if no rule concerns whoever asks.
    pub fn is_exempt(&self, asked: &Asked<'_>) -> bool {
        !self.allowed.is_empty() && self.allowed.has(asked)
    }

    /// Gives back what a request was counted in; false if that was nothing, or was given back.
    pub fn give_back(&self, taken: &mut Taken, why: Back) -> bool {
        let count = std::mem::take(&mut taken.count);
        // The windows of another version are others.
        if taken.version != self.version || count == 0 {
            return false;
        }
        for (set, into, key) in taken.keys.into_iter().take(usize::from(count)) {
            let Some(set) = self.sets.get(usize::from(set)) else {
                if let Some(there) = taken.region.filter(|_| why == Back::Undone || into != 0) {
                    self.memory.change_known(key, |entry| entry.leave(there, taken.at_ms));
                }
                continue;
            };
            let into = match why {
                Back::Declined => into & !set.attempts,
                Back::Undone => into,
            };
            let at = (taken.at_ms, into);
            self.memory.give_back(key, &set.windows, at, taken.amount);
        }
        true
    }

    /// True if some rule asks where a card was.
    pub fn asks_journeys(&self) -> bool {
        !self.journeys.is_empty()
    }

    /// True if some rule counts by DE 32, which is then to be read.
    pub const fn asks_who_acquires(&self) -> bool {
        self.asks_who_acquires
    }

    /// The elements that rules name.
    pub fn elements(&self) -> &[u8] {
        &self.elements
    }

    /// Every rule, in the order of the file.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// How often there was no room to remember a key.
    pub fn no_room(&self) -> u64 {
        self.no_room.load(Ordering::Relaxed)
    }

    /// For how long a request may count under the rule of this place, if it counts at all.
    pub fn reach(&self, place: u16) -> Option<Duration> {
        let windows = self.sets.iter().flat_map(|set| set.rules.iter().zip(&set.windows));
        let (_, window) = windows.into_iter().find(|(rule, _)| **rule == place)?;
        Some(Duration::from_millis(window.longest_ms()))
    }

    /// What is remembered.
    pub const fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Forgets what is over in some pages of the memory: some tens of microseconds.
    pub fn sweep(&self, now: Instant) {
        self.memory.sweep(self.memory.ms(now));
    }

    /// Keys the hashes of [`Asked::elements`] and [`token`].
    pub const fn secret(&self) -> u64 {
        self.secret
    }

    /// How often what was counted is to be put on the disk; `None` if the next life, which has
    /// another secret, could not read it.
    pub const fn snapshot_interval(&self) -> Option<Duration> {
        self.snapshot_interval
    }

    fn count_in_all(&self, asked: &Asked<'_>, taken: &mut Taken, tally: &mut Tally) -> Verdict {
        taken.begin(self.version, self.memory.ms(asked.now.instant), asked);
        let mut first: Option<u16> = None;
        let mut no_room = false;
        // Every key is asked for before the first is looked at: their misses overlap.
        let mut keys = [(0, 0); SETS_MAX];
        for (set, (key, windows)) in self.sets.iter().zip(&mut keys) {
            let concerned = set.concerned(&self.rules, asked);
            if concerned != 0
                && let Some(hash) = set.key.hash(set.seed, asked)
            {
                self.memory.fetch(hash);
                (*key, *windows) = (hash, concerned);
            }
        }
        let keys = self.sets.iter().zip(keys).enumerate();
        for (place, (set, (key, windows))) in keys.filter(|(_, (_, (_, windows)))| *windows != 0) {
            let take = Take {
                now_ms: taken.at_ms,
                amount: taken.amount,
                windows,
                acting: set.acting,
                attempts: set.attempts,
            };
            let Some(took) = self.memory.take(key, &set.windows, set.longest_ms, &take) else {
                no_room = true;
                continue;
            };
            taken.add(place, took.into, key);
            set.rules.iter().enumerate().for_each(|(bit, rule)| {
                if windows >> bit & 1 == 1 {
                    tally.look(*rule);
                }
            });
            if took.over == 0 {
                continue;
            }
            for (bit, rule) in set.rules.iter().enumerate() {
                if took.over >> bit & 1 == 1 {
                    self.count(*rule);
                    if set.acting >> bit & 1 == 1 {
                        first = Some(first.map_or(*rule, |first| first.min(*rule)));
                    }
                }
            }
        }
        no_room |= self.travel_in_all(asked, taken, (&mut first, tally));
        if first.is_none() && !no_room {
            return Verdict::Passed;
        }
        self.give_back(taken, Back::Declined);
        let code = match first {
            Some(rule) => self.rules[usize::from(rule)].code,
            None => {
                self.no_room.fetch_add(1, Ordering::Relaxed);
                ResponseCode::INOPERATIVE
            }
        };
        Verdict::Declined { rule: first, code }
    }

    /// 1 if what is declined by whoever was asked is no place of a journey, else 0.
    fn goes_with_decline(&self, journey: &Journey) -> u8 {
        let test = &self.rules[usize::from(journey.rule)].test;
        u8::from(!matches!(test, rule::Test::Travel(travel) if travel.attempts))
    }

    /// Asks the rules on journeys; true if there was no room to remember one.
    #[inline]
    fn travel_in_all(
        &self,
        asked: &Asked<'_>,
        taken: &mut Taken,
        (first, tally): (&mut Option<u16>, &mut Tally),
    ) -> bool {
        let mut no_room = false;
        for (place, journey) in self.journeys.iter().enumerate() {
            let traveller = journey.traveller(&self.rules, asked);
            let Some((key, here)) = traveller.zip(asked.region) else { continue };
            tally.look(journey.rule);
            let event = (key, here, taken.at_ms);
            let Some(is_too_far) = journey.is_too_far(&self.rules, &self.memory, event) else {
                no_room = true;
                continue;
            };
            let rule = &self.rules[usize::from(journey.rule)];
            let declines = is_too_far && rule.action == Action::Decline;
            if is_too_far {
                self.count(journey.rule);
            }
            if declines {
                *first = Some(first.map_or(journey.rule, |first| first.min(journey.rule)));
            } else {
                taken.add(self.sets.len() + place, self.goes_with_decline(journey), key);
            }
        }
        no_room
    }
}

impl Taken {
    fn begin(&mut self, version: u32, at_ms: u64, asked: &Asked<'_>) {
        (self.version, self.at_ms) = (version, at_ms);
        (self.amount, self.region) = (asked.facts.amount.minor, asked.region);
    }

    fn add(&mut self, set: usize, into: u8, key: u64) {
        if let Some(slot) = self.keys.get_mut(usize::from(self.count)) {
            *slot = (set as u8, into, key);
            self.count += 1;
        }
    }
}

/// What stands for a card or code in lists and in memory: a keyed hash of its digits.
pub fn token(secret: u64, digits: &[u8]) -> u64 {
    key::hash_of(secret, digits)
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Declined { code, .. } => {
                let [tens, ones] = code.digits().map(char::from);
                write!(f, "declined with {tens}{ones}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
