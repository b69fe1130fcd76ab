//! Stand-in: may the switch approve in the place of a partner that gives no answer?
//!
//! A policy per route, off unless configured, and what was approved by it in the last day. It
//! decides over facts and counts; it sends nothing and keeps no journal: after a restart its
//! caller counts again what the journal has, by [`StandIn::count`].
//!
//! A day is 24 hours of the monotonic clock, so a step of the date resets nothing. Counters live
//! in two generations of a day each, and a limit is held over both: in no 24 hours is more
//! approved than the limit, and a sale weighs on its card for one to two days. A counter that
//! finds no room is a refusal: bounded memory costs approvals, never a limit.
//!
//! It counts what it approved itself. Where several workers approve for one partner, each is given
//! its share of the limits, so that they hold for all together without a word between them.

use std::time::Duration;

use crate::base::authorization::Kind;
use crate::base::limits;
use crate::base::map::Map;
use crate::base::money::{Amount, Currency};
use crate::base::time::Instant;

/// The policy of one route, and what was approved by it.
#[derive(Debug)]
pub struct StandIn {
    policy: Policy,
    /// Which day since the origin `today` counts.
    day: u64,
    today: Map<Bucket, Sum>,
    yesterday: Map<Bucket, Sum>,
}

/// What may be approved. The default approves nothing: it names no currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The currencies in which stand-in is allowed at all.
    pub currencies: Vec<CurrencyLimits>,
    /// Approvals per card in 24 hours.
    pub card_count: u32,
    /// Approvals per merchant in 24 hours.
    pub merchant_count: u32,
    /// Merchant category codes that are never approved. If there are any, a request without a
    /// code is not approved either.
    pub excluded_mccs: Vec<u16>,
}

/// Limits in one currency, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrencyLimits {
    /// Which.
    pub currency: Currency,
    /// Of one transaction.
    pub floor: u64,
    /// Of one card in 24 hours.
    pub card: u64,
    /// Of one merchant in 24 hours.
    pub merchant: u64,
    /// Of all together in 24 hours: what the partner is exposed to.
    pub total: u64,
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

/// An approval in the place of the partner; already counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approved {
    /// The original may be at the partner: its reversal comes first, the advice behind it.
    pub reverse_first: bool,
    amount: Amount,
    card: u64,
    merchant: u64,
    day: u64,
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
    /// Nothing approved yet.
    pub fn new(policy: Policy) -> Self {
        Self { policy, day: 0, today: Map::default(), yesterday: Map::default() }
    }

    /// Approves and counts, or says why not.
    pub fn decide(&mut self, facts: &Facts, now: Instant) -> Result<Approved, Reason> {
        self.pass(now);
        self.may(facts)?;
        let Facts { amount, card, merchant, fate, .. } = *facts;
        let reverse_first = fate == Fate::Sent;
        let approved = Approved { reverse_first, amount, card, merchant, day: self.day };
        self.add(&approved);
        Ok(approved)
    }

    /// Counts what was approved in a former life, whatever the limits say today.
    pub fn count(&mut self, amount: Amount, card: u64, merchant: u64, now: Instant) {
        self.pass(now);
        self.add(&Approved { reverse_first: false, amount, card, merchant, day: self.day });
    }

    /// It was not handed over, or was taken back: it weighs no more.
    pub fn undo(&mut self, approved: Approved) {
        let sums = match self.day.saturating_sub(approved.day) {
            0 => &mut self.today,
            1 => &mut self.yesterday,
            _ => return,
        };
        for bucket in approved.buckets() {
            if let Some(sum) = sums.get_mut(&bucket) {
                sum.count = sum.count.saturating_sub(1);
                sum.amount = sum.amount.saturating_sub(approved.amount.minor);
            }
        }
    }

    fn may(&self, facts: &Facts) -> Result<(), Reason> {
        let unless = |bad: bool, reason| if bad { Err(reason) } else { Ok(()) };
        unless(facts.fate == Fate::Answered, Reason::Answered)?;
        unless(facts.kind != Kind::Purchase, Reason::Kind)?;
        unless(facts.has_pin, Reason::Pin)?;
        unless(facts.is_barred, Reason::Barred)?;
        unless(facts.card == 0 || facts.merchant == 0, Reason::Unknown)?;
        let excluded = &self.policy.excluded_mccs;
        let is_excluded = |mcc| mcc == 0 || excluded.contains(&mcc);
        unless(!excluded.is_empty() && is_excluded(facts.mcc), Reason::Category)?;
        let Amount { minor, currency } = facts.amount;
        let limits = self.policy.currencies.iter().find(|limits| limits.currency == currency);
        let limits = limits.ok_or(Reason::Currency)?;
        unless(minor == 0 || minor > limits.floor, Reason::Floor)?;
        let counted = |bucket, most| self.sum(bucket).count >= most;
        let spent = |bucket, most| self.sum(bucket).amount.saturating_add(minor) > most;
        let (card, merchant) = (facts.card, facts.merchant);
        unless(counted(Bucket::Card(card), self.policy.card_count), Reason::Card)?;
        unless(spent(Bucket::CardIn(card, currency), limits.card), Reason::Card)?;
        unless(counted(Bucket::Merchant(merchant), self.policy.merchant_count), Reason::Merchant)?;
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

    fn add(&mut self, approved: &Approved) {
        for bucket in approved.buckets() {
            let sum = self.today.entry(bucket).or_default();
            sum.count = sum.count.saturating_add(1);
            sum.amount = sum.amount.saturating_add(approved.amount.minor);
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

impl Approved {
    fn buckets(&self) -> [Bucket; BUCKETS] {
        let currency = self.amount.currency;
        [
            Bucket::Card(self.card),
            Bucket::CardIn(self.card, currency),
            Bucket::Merchant(self.merchant),
            Bucket::MerchantIn(self.merchant, currency),
            Bucket::Total(currency),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let none = StandIn::new(Policy::default()).decide(&facts(), Instant::default());
        assert_eq!(none, Err(Reason::Currency), "off by default");
        let cases = [
            (Facts { fate: Fate::Answered, ..facts() }, Reason::Answered),
            (Facts { kind: Kind::Refund, ..facts() }, Reason::Kind),
            (Facts { kind: Kind::Other, ..facts() }, Reason::Kind),
            (Facts { has_pin: true, ..facts() }, Reason::Pin),
            (Facts { is_barred: true, ..facts() }, Reason::Barred),
            (Facts { card: 0, ..facts() }, Reason::Unknown),
            (Facts { mcc: 7995, ..facts() }, Reason::Category),
            (Facts { mcc: 0, ..facts() }, Reason::Category),
            (Facts { amount: amount(101), ..facts() }, Reason::Floor),
            (Facts { amount: amount(0), ..facts() }, Reason::Floor),
        ];
        let mut stand_in = StandIn::new(policy());
        for (facts, reason) in cases {
            assert_eq!(stand_in.decide(&facts, Instant::default()), Err(reason));
        }
        assert!(stand_in.today.is_empty(), "a refusal counts nothing");
        let sent = Facts { fate: Fate::Sent, ..facts() };
        let approved = stand_in.decide(&sent, Instant::default()).expect("allowed");
        assert!(approved.reverse_first, "the original may be there");
    }

    /// Amount, card, merchant, second.
    type Sale = (u64, u64, u64, u64);

    /// Amount, card, merchant, seconds that pass, undone.
    type Step = (u64, u64, u64, u64, bool);

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = (1u64..110, 1u64..5, 1u64..4, 0u64..20_000, prop::bool::weighted(0.2));
        prop::collection::vec(step, 1..150)
    }

    proptest! {
        /// Against a list of approvals: none over a limit in any 24 hours, none refused that is
        /// below it in 48, and what is undone does not weigh.
        #[test]
        fn no_limit_is_passed_in_any_day(steps in steps()) {
            let mut stand_in = StandIn::new(policy());
            let mut list: Vec<Sale> = Vec::new();
            let mut now_s = 0;
            for (minor, card, merchant, pass_s, undo) in steps {
                now_s += pass_s;
                let facts = Facts { amount: amount(minor), card, merchant, ..facts() };
                let decided = stand_in.decide(&facts, Instant::from_ns(now_s * 1_000_000_000));
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
                    Ok(approved) => {
                        prop_assert!(fits(&list, 86_400));
                        if undo {
                            stand_in.undo(approved);
                        } else {
                            list.push((minor, card, merchant, now_s));
                        }
                    }
                    Err(_) => prop_assert!(!fits(&list, 2 * 86_400)),
                }
            }
        }
    }
}
