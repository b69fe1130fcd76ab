//! Stand-in: may the switch approve in the place of a partner that gives no answer?
//!
//! The policy is the route's; here is what was approved by it in the last day, and the decision. It
//! decides over facts and counts; it sends nothing and keeps no journal: after a restart its
//! caller counts again what the journal has, by [`StandIn::count`].
//!
//! A day is 24 hours of the monotonic clock, so a step of the date resets nothing. Counters live
//! in two generations of a day each, and a limit is held over both: in no 24 hours is more
//! approved than the limit, and a sale weighs on its card for one to two days. A counter that
//! finds no room is a refusal: bounded memory costs approvals, never a limit. What is taken back
//! weighs on: its terminal may have seen it approved.
//!
//! It counts what its worker approved. Where several workers approve for one partner, each holds
//! its [`Part`] of the limits, so that they hold for all together without a word between them.

use std::time::Duration;

use crate::base::authorization::Kind;
use crate::base::limits;
use crate::base::map::Map;
use crate::base::money::{Amount, Currency};
use crate::base::time::Instant;
use crate::routing::stand_in::Policy;

/// What was approved by the policy of one route.
#[derive(Debug, Default)]
pub struct StandIn {
    /// Which day since the origin `today` counts.
    day: u64,
    today: Map<Bucket, Sum>,
    yesterday: Map<Bucket, Sum>,
}

/// The part of each limit that one worker holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which worker.
    pub worker: u8,
    /// Of so many; 0 is taken for 1.
    pub workers: u8,
}

impl Part {
    /// All of it: there is one worker.
    pub const WHOLE: Self = Self { worker: 0, workers: 1 };

    /// Its part of `limit`; those of all workers add up to it.
    pub const fn of(self, limit: u64) -> u64 {
        let workers = if self.workers == 0 { 1 } else { self.workers as u64 };
        limit / workers + ((self.worker as u64) < limit % workers) as u64
    }
}

/// What a decision needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// What is asked.
    pub kind: Kind,
    /// DE 4 and DE 49.
    pub amount: Amount,
    /// DE 18, 0 if absent.
    pub mcc: u16,
    /// Keyed hash of the card or payment code, 0 if there is none.
    pub card: u64,
    /// Keyed hash of the merchant, 0 if there is none.
    pub merchant: u64,
    /// What became of the request at the partner.
    pub fate: Fate,
    /// A PIN came with it (DE 52), or it is of a dialect in which one would.
    pub has_pin: bool,
    /// Expired, on a negative list, or its message authentication failed.
    pub is_barred: bool,
}

/// What became of a request at the partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// No byte of it left.
    NotSent,
    /// It may have arrived.
    Sent,
    /// The partner said something: that is final.
    Answered,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The partner answered.
    Answered,
    /// A refund, cash, a transfer: only purchases are approved.
    Kind,
    /// PIN-verified.
    Pin,
    /// Expired, listed or not authentic.
    Barred,
    /// No card or no merchant to count for.
    Unknown,
    /// The category is excluded.
    Category,
    /// No stand-in in this currency, or none at all.
    Currency,
    /// Nothing, or above the floor limit.
    Floor,
    /// The card had its count or amount.
    Card,
    /// The merchant had its count or amount.
    Merchant,
    /// The partner's exposure is reached.
    Total,
    /// No room to count.
    Room,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Bucket {
    Card(u64),
    CardIn(u64, Currency),
    Merchant(u64),
    MerchantIn(u64, Currency),
    Total(Currency),
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    count: u32,
    amount: u64,
}

const DAY: Duration = Duration::from_secs(86_400);

/// Counters that one approval may need.
const BUCKETS: usize = 5;

impl StandIn {
    /// Approves and counts, or says why not.
    ///
    /// # Errors
    ///
    /// The first rule or limit that forbids it.
    pub fn decide(
        &mut self,
        policy: &Policy,
        part: Part,
        facts: &Facts,
        now: Instant,
    ) -> Result<(), Reason> {
        self.pass(now);
        self.may(policy, part, facts)?;
        self.add(facts.amount, facts.card, facts.merchant);
        Ok(())
    }

    /// Counts what was approved in a former life, whatever the limits say today.
    pub fn count(&mut self, amount: Amount, card: u64, merchant: u64, now: Instant) {
        self.pass(now);
        self.add(amount, card, merchant);
    }

    fn may(&self, policy: &Policy, part: Part, facts: &Facts) -> Result<(), Reason> {
        let unless = |bad: bool, reason| if bad { Err(reason) } else { Ok(()) };
        unless(facts.fate == Fate::Answered, Reason::Answered)?;
        unless(!matches!(facts.kind, Kind::Purchase | Kind::Fare), Reason::Kind)?;
        unless(facts.has_pin, Reason::Pin)?;
        unless(facts.is_barred, Reason::Barred)?;
        unless(facts.card == 0 || facts.merchant == 0, Reason::Unknown)?;
        let excluded = &policy.excluded_mccs;
        let is_excluded = |mcc| mcc == 0 || excluded.contains(&mcc);
        unless(!excluded.is_empty() && is_excluded(facts.mcc), Reason::Category)?;
        let Amount { minor, currency } = facts.amount;
        let limits = policy.currencies.iter().find(|limits| limits.currency == currency);
        let limits = limits.ok_or(Reason::Currency)?;
        unless(minor == 0 || minor > limits.floor, Reason::Floor)?;
        let counted = |bucket, most| u64::from(self.sum(bucket).count) >= part.of(most);
        let spent = |bucket, most| self.sum(bucket).amount.saturating_add(minor) > part.of(most);
        let (card, merchant) = (facts.card, facts.merchant);
        let (cards, merchants) = (policy.card_count.into(), policy.merchant_count.into());
        unless(counted(Bucket::Card(card), cards), Reason::Card)?;
        unless(spent(Bucket::CardIn(card, currency), limits.card), Reason::Card)?;
        unless(counted(Bucket::Merchant(merchant), merchants), Reason::Merchant)?;
        unless(spent(Bucket::MerchantIn(merchant, currency), limits.merchant), Reason::Merchant)?;
        unless(spent(Bucket::Total(currency), limits.total), Reason::Total)?;
        unless(self.today.len() + BUCKETS > limits::STAND_IN_COUNTERS_MAX, Reason::Room)
    }

    fn sum(&self, bucket: Bucket) -> Sum {
        let of = |sums: &Map<Bucket, Sum>| sums.get(&bucket).copied().unwrap_or_default();
        let (one, two) = (of(&self.today), of(&self.yesterday));
        Sum {
            count: one.count.saturating_add(two.count),
            amount: one.amount.saturating_add(two.amount),
        }
    }

    fn add(&mut self, amount: Amount, card: u64, merchant: u64) {
        let Amount { minor, currency } = amount;
        let buckets: [Bucket; BUCKETS] = [
            Bucket::Card(card),
            Bucket::CardIn(card, currency),
            Bucket::Merchant(merchant),
            Bucket::MerchantIn(merchant, currency),
            Bucket::Total(currency),
        ];
        for bucket in buckets {
            let sum = self.today.entry(bucket).or_default();
            sum.count = sum.count.saturating_add(1);
            sum.amount = sum.amount.saturating_add(minor);
        }
    }

    fn pass(&mut self, now: Instant) {
        let day = now.ns() / DAY.as_nanos() as u64;
        if day > self.day {
            std::mem::swap(&mut self.today, &mut self.yesterday);
            self.today.clear();
            if day > self.day + 1 {
                self.yesterday.clear();
            }
            self.day = day;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::stand_in::CurrencyLimits;
    use proptest::prelude::*;

    fn amount(minor: u64) -> Amount {
        Amount { minor, currency: Currency::from_number(156).expect("listed") }
    }

    fn policy() -> Policy {
        let currency = amount(0).currency;
        let limits = CurrencyLimits { currency, floor: 100, card: 250, merchant: 400, total: 900 };
        let (card_count, merchant_count) = (4, 7);
        Policy { currencies: vec![limits], card_count, merchant_count, excluded_mccs: vec![7995] }
    }

    fn facts() -> Facts {
        Facts {
            kind: Kind::Purchase,
            amount: amount(50),
            mcc: 5411,
            card: 1,
            merchant: 1,
            fate: Fate::NotSent,
            has_pin: false,
            is_barred: false,
        }
    }

    #[test]
    fn no_stand_in_where_the_policy_forbids() {
        let now = Instant::default();
        let none = StandIn::default().decide(&Policy::default(), Part::WHOLE, &facts(), now);
        assert_eq!(none, Err(Reason::Currency), "off by default");
        let cases = [
            (Facts { fate: Fate::Answered, ..facts() }, Reason::Answered),
            (Facts { kind: Kind::Refund, ..facts() }, Reason::Kind),
            (Facts { kind: Kind::Other, ..facts() }, Reason::Kind),
            (Facts { kind: Kind::PreAuthorization, ..facts() }, Reason::Kind),
            (Facts { has_pin: true, ..facts() }, Reason::Pin),
            (Facts { is_barred: true, ..facts() }, Reason::Barred),
            (Facts { card: 0, ..facts() }, Reason::Unknown),
            (Facts { mcc: 7995, ..facts() }, Reason::Category),
            (Facts { mcc: 0, ..facts() }, Reason::Category),
            (Facts { amount: amount(101), ..facts() }, Reason::Floor),
            (Facts { amount: amount(0), ..facts() }, Reason::Floor),
        ];
        let mut stand_in = StandIn::default();
        for (facts, reason) in cases {
            assert_eq!(stand_in.decide(&policy(), Part::WHOLE, &facts, now), Err(reason));
        }
        assert!(stand_in.today.is_empty(), "a refusal counts nothing");
        let sent = Facts { fate: Fate::Sent, ..facts() };
        assert_eq!(stand_in.decide(&policy(), Part::WHOLE, &sent, now), Ok(()));
        let fare = Facts { kind: Kind::Fare, card: 8, merchant: 8, ..facts() };
        assert_eq!(StandIn::default().decide(&policy(), Part::WHOLE, &fare, now), Ok(()));
    }

    #[test]
    fn what_all_workers_hold_is_the_limit() {
        for workers in 1..=64 {
            let parts = (0..workers).map(|worker| Part { worker, workers });
            for limit in [0, 1, 7, 63, 64, 65, 1000] {
                assert_eq!(parts.clone().map(|part| part.of(limit)).sum::<u64>(), limit);
            }
        }
    }

    /// What a former life approved weighs, even above the limit.
    #[test]
    fn what_is_counted_again_weighs() {
        let (mut stand_in, now) = (StandIn::default(), Instant::default());
        stand_in.count(amount(1000), 2, 1, now);
        let decided = stand_in.decide(&policy(), Part::WHOLE, &facts(), now);
        assert_eq!(decided, Err(Reason::Merchant));
        let elsewhere = Facts { merchant: 9, ..facts() };
        let decided = stand_in.decide(&policy(), Part::WHOLE, &elsewhere, now);
        assert_eq!(decided, Err(Reason::Total));
    }

    /// Amount, card, merchant, second.
    type Sale = (u64, u64, u64, u64);

    /// Amount, card, merchant, seconds that pass.
    type Step = (u64, u64, u64, u64);

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = (1u64..110, 1u64..5, 1u64..4, 0u64..20_000);
        prop::collection::vec(step, 1..150)
    }

    proptest! {
        /// Against a list of approvals: none over a limit in any 24 hours, none refused that is
        /// below it in 48.
        #[test]
        fn no_limit_is_passed_in_any_day(steps in steps()) {
            let mut stand_in = StandIn::default();
            let mut list: Vec<Sale> = Vec::new();
            let mut now_s = 0;
            for (minor, card, merchant, pass_s) in steps {
                now_s += pass_s;
                let facts = Facts { amount: amount(minor), card, merchant, ..facts() };
                let now = Instant::from_ns(now_s * 1_000_000_000);
                let decided = stand_in.decide(&policy(), Part::WHOLE, &facts, now);
                let this = (minor, card, merchant, now_s);
                let fits = |list: &[Sale], span_s: u64| {
                    let recent = list.iter().filter(|sale| sale.3 + span_s > now_s);
                    let recent: Vec<_> = recent.chain([&this]).collect();
                    let sum = |is: &dyn Fn(&Sale) -> bool| {
                        let sales = recent.iter().filter(|sale| is(sale));
                        sales.fold((0, 0), |(count, sum), sale| (count + 1, sum + sale.0))
                    };
                    let of_card = sum(&|sale| sale.1 == card);
                    let of_merchant = sum(&|sale| sale.2 == merchant);
                    of_card.0 <= 4 && of_card.1 <= 250 && of_merchant.0 <= 7
                        && of_merchant.1 <= 400 && sum(&|_| true).1 <= 900 && minor <= 100
                };
                match decided {
                    Ok(()) => {
                        prop_assert!(fits(&list, 86_400));
                        list.push((minor, card, merchant, now_s));
                    }
                    Err(_) => prop_assert!(!fits(&list, 2 * 86_400)),
                }
            }
        }
    }
}
