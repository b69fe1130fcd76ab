//! Any order of events, against a list that is searched in full each time.
//!
//! The list does not say which entry comes next; it says which may, and when one must.

use std::time::Duration;

use proptest::prelude::*;

use super::super::{backoff, pace};
use super::*;

mod said;

const RATE: u32 = 1000;
/// Less than a lane starts with, so that it is reached.
const WINDOW: usize = 4;
const LIVE_MAX: usize = 64;
const KEY: u64 = 99;

#[derive(Debug, Clone)]
enum Step {
    Add {
        kind: Kind,
        transaction: u64,
        card: u64,
        sent_before: bool,
        settle_ms: u64,
        /// A former life heard "not found": what is left of the late window.
        late_ms: Option<u64>,
    },
    Next {
        live: usize,
    },
    Answered {
        nth: usize,
        verdict: Verdict,
    },
    /// An answer to an old copy, or to none.
    Stray {
        nth: usize,
        verdict: Verdict,
    },
    TimedOut {
        nth: usize,
    },
    Lost {
        nth: usize,
    },
    Down,
    Up,
    Reopen {
        nth: usize,
    },
    Hold {
        nth: usize,
        ms: u64,
    },
    LetGo {
        nth: usize,
    },
    Found {
        nth: usize,
        finding: Finding,
    },
    Cancel {
        transaction: u64,
    },
    Pass {
        ms: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stand {
    /// Not before the first moment; by the second it may be sent for certain.
    Waits(Instant, Instant),
    Flies,
    /// Until then, and which of all that were put aside it is.
    Provisional(Instant, u64),
    Gone,
}

#[derive(Debug, Clone)]
struct Entry {
    id: u64,
    /// The lower the older.
    age: u64,
    kind: Kind,
    transaction: u64,
    card: u64,
    stand: Stand,
    may_be_sent: bool,
    attempts: u32,
    approved_late: bool,
    not_found: u8,
    late_until: Option<Instant>,
    /// A copy was sent since its late window ended.
    asked_again: bool,
    /// Before a copy was sent: nothing is, unless it is approved late.
    declined: bool,
    place: u32,
}

impl Entry {
    /// Nothing was sent of it, and nothing was found out.
    fn is_unsent(&self) -> bool {
        !self.may_be_sent && self.is_open() && self.late_until.is_none()
    }

    fn is_open(&self) -> bool {
        matches!(self.stand, Stand::Waits(..) | Stand::Flies)
    }

    fn shares(&self, other: &Self) -> bool {
        (self.transaction != 0 && self.transaction == other.transaction)
            || (self.card != 0 && self.card == other.card)
    }
}

struct Model {
    lane: Lane,
    /// By id, from 1.
    entries: Vec<Entry>,
    sent: Vec<Instant>,
    /// Ages given, and places in the order of late windows.
    ages: u64,
    is_up: bool,
    now: Instant,
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        3 => Just(Verdict::Final),
        2 => Just(Verdict::NotFound),
        1 => Just(Verdict::Rejected(30)),
        1 => Just(Verdict::TryAgain),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![Just(Kind::Reversal), Just(Kind::Advice)];
    let settle_ms = prop_oneof![4 => Just(0u64), 1 => 0u64..2000, 1 => Just(700_000)];
    let late_ms = prop::option::weighted(0.1, 0u64..70_000);
    let sent_before = prop::bool::weighted(0.2);
    let add = (kind, 0u64..12, 0u64..6, sent_before, settle_ms, late_ms);
    let add =
        add.prop_map(|(kind, transaction, card, sent_before, settle_ms, late_ms)| Step::Add {
            kind,
            transaction,
            card,
            sent_before: sent_before || late_ms.is_some(),
            settle_ms,
            late_ms,
        });
    let ms = prop_oneof![8 => 0u64..5, 3 => 0u64..2000, 1 => 59_000u64..61_000, 1 => 0u64..900_000];
    let finding =
        prop_oneof![Just(Finding::Approved), Just(Finding::NotFound), Just(Finding::Declined)];
    let live = prop_oneof![4 => Just(0usize), 1 => 0usize..100];
    let step = prop_oneof![
        8 => add,
        14 => live.prop_map(|live| Step::Next { live }),
        8 => (0usize..64, verdict()).prop_map(|(nth, verdict)| Step::Answered { nth, verdict }),
        2 => (0usize..64, verdict()).prop_map(|(nth, verdict)| Step::Stray { nth, verdict }),
        2 => (0usize..64).prop_map(|nth| Step::TimedOut { nth }),
        1 => (0usize..64).prop_map(|nth| Step::Lost { nth }),
        1 => Just(Step::Down),
        2 => Just(Step::Up),
        3 => (0usize..64).prop_map(|nth| Step::Reopen { nth }),
        3 => (0usize..64, 0u64..9000).prop_map(|(nth, ms)| Step::Hold { nth, ms }),
        1 => (0usize..64).prop_map(|nth| Step::LetGo { nth }),
        2 => (0usize..64, finding).prop_map(|(nth, finding)| Step::Found { nth, finding }),
        2 => (0u64..12).prop_map(|transaction| Step::Cancel { transaction }),
        6 => ms.prop_map(|ms| Step::Pass { ms }),
    ];
    prop::collection::vec(step, 1..300)
}

proptest! {
    #[test]
    fn behaves_like_a_list(steps in steps()) {
        let settings = Settings {
            rate: RATE,
            window: WINDOW,
            live_max: LIVE_MAX,
            late_window: LATE_WINDOW,
            key: KEY,
        };
        let mut model = Model {
            lane: Lane::new(settings),
            entries: Vec::new(),
            sent: Vec::new(),
            ages: 0,
            is_up: false,
            now: at(0),
        };
        for step in steps {
            model.take(step);
            model.check();
        }
        model.deliver_all();
    }
}

impl Model {
    fn take(&mut self, step: Step) {
        match step {
            Step::Add { kind, transaction, card, sent_before, settle_ms, late_ms } => {
                let ms = |ms| self.now.after(Duration::from_millis(ms));
                let (not_before, late_until) = (ms(settle_ms), late_ms.map(ms));
                let obligation = obligation(0, kind, transaction, card);
                self.add(Obligation { sent_before, not_before, late_until, ..obligation });
            }
            Step::Next { live } => self.next(live),
            Step::Answered { nth, verdict } => {
                if let Some(at) = self.nth(nth, |entry| entry.stand == Stand::Flies) {
                    self.answered(at, verdict);
                }
            }
            Step::Stray { nth, verdict } => {
                if let Some(at) = self.nth(nth, |_| true) {
                    self.answered(at, verdict);
                }
            }
            Step::TimedOut { nth } => {
                if let Some(at) = self.nth(nth, |_| true) {
                    self.lane.timed_out(self.entries[at].place, self.entries[at].id, self.now);
                    self.fell(at);
                }
            }
            Step::Lost { nth } => {
                if let Some(at) = self.nth(nth, |_| true) {
                    self.lane.lost(self.entries[at].place, self.entries[at].id, self.now);
                    if self.entries[at].stand == Stand::Flies {
                        self.entries[at].stand = Stand::Waits(self.now, self.now);
                    }
                }
            }
            Step::Down => self.down(),
            Step::Up => self.up(),
            Step::Reopen { nth } => self.reopen(nth),
            Step::Hold { nth, ms } => self.hold(nth, self.now.after(Duration::from_millis(ms))),
            Step::LetGo { nth } => {
                if let Some(at) = self.nth(nth, |_| true) {
                    self.lane.let_go(self.entries[at].id, self.now);
                    if self.entries[at].is_unsent() {
                        self.goes(at);
                    }
                }
            }
            Step::Found { nth, finding } => self.found(nth, finding),
            Step::Cancel { transaction } => self.cancel(transaction),
            Step::Pass { ms } => self.pass(self.now.after(Duration::from_millis(ms))),
        }
    }

    fn nth(&self, nth: usize, is: impl Fn(&Entry) -> bool) -> Option<usize> {
        let found: Vec<usize> =
            (0..self.entries.len()).filter(|at| is(&self.entries[*at])).collect();
        (!found.is_empty()).then(|| found[nth % found.len()])
    }

    fn add(&mut self, obligation: Obligation) {
        let id = self.entries.len() as u64 + 1;
        let age = self.next_age();
        let Obligation { kind, transaction, card, sent_before, late_until, .. } = obligation;
        let due = obligation.not_before;
        let message = id.to_be_bytes().to_vec();
        self.lane.add(Obligation { id, message, ..obligation });
        let by = if due <= self.now { due } else { ticked(due) };
        self.entries.push(Entry {
            id,
            age,
            kind,
            transaction,
            card,
            stand: match late_until {
                Some(until) if until > due => Stand::Provisional(until, age),
                _ => Stand::Waits(due, by),
            },
            may_be_sent: sent_before,
            attempts: 0,
            approved_late: false,
            not_found: 0,
            late_until,
            asked_again: false,
            declined: false,
            place: u32::MAX,
        });
    }

    fn is_first(&self, at: usize) -> bool {
        let entry = &self.entries[at];
        let is_older = |other: &Entry| other.age < entry.age && other.is_open();
        !self.entries.iter().any(|other| is_older(other) && other.shares(entry))
    }

    fn flying(&self) -> usize {
        self.entries.iter().filter(|entry| entry.stand == Stand::Flies).count()
    }

    fn next(&mut self, live: usize) {
        let now = self.now;
        let flying = self.flying();
        let Some(copy) = self.lane.next(now, live) else { return self.nothing_was_due(flying) };
        let (place, id, kind, repeat, attempt) =
            (copy.place, copy.id, copy.kind, copy.repeat, copy.attempt);
        let late_until = copy.late_until;
        assert_eq!(copy.message, id.to_be_bytes());
        let at = id as usize - 1;
        assert!(self.is_up, "nothing is sent into nowhere");
        assert!(flying < WINDOW, "the window");
        assert!(self.is_first(at), "an older one of its transaction or card is unfinished");
        let entry = &mut self.entries[at];
        let Stand::Waits(from, _) = entry.stand else { panic!("{:?} is sent", entry.stand) };
        assert!(now >= from, "too early");
        assert_eq!((kind, repeat), (entry.kind, entry.may_be_sent), "x1 after any possible copy");
        assert_eq!(late_until, entry.late_until);
        entry.attempts += 1;
        entry.asked_again = entry.late_until.is_some();
        assert_eq!(attempt, entry.attempts);
        (entry.stand, entry.may_be_sent, entry.place) = (Stand::Flies, true, place);
        self.sent.push(now);
        for (count, since) in (1..).zip(self.sent.iter().rev()) {
            let most = (now.since(*since) + pace::AHEAD).as_nanos() * u128::from(RATE);
            assert!(count <= most / 1_000_000_000 + 1, "the rate");
        }
    }

    /// Nothing came: nothing had to.
    fn nothing_was_due(&self, flying: usize) {
        let slowest = Duration::from_secs(1) * 16 / RATE;
        let paced = self.sent.last().is_some_and(|last| self.now < last.after(slowest));
        if paced || !self.is_up || flying >= WINDOW {
            return;
        }
        for (at, entry) in self.entries.iter().enumerate() {
            if let Stand::Waits(_, by) = entry.stand {
                assert!(by > self.now || !self.is_first(at), "{entry:?} is due at {:?}", self.now);
            }
        }
    }

    fn answered(&mut self, at: usize, verdict: Verdict) {
        let now = self.now;
        let (place, id) = (self.entries[at].place, self.entries[at].id);
        let settled = self.lane.answered(place, id, now, verdict);
        let age = self.next_age();
        let entry = &mut self.entries[at];
        let flew = entry.stand == Stand::Flies;
        let was_sent = entry.attempts > 0 && entry.stand != Stand::Gone;
        let was_open = entry.is_open();
        let rejected = match verdict {
            Verdict::Rejected(code) => Some(code),
            Verdict::NotFound if entry.kind == Kind::Advice => Some(25),
            Verdict::NotFound if entry.approved_late && was_open && was_sent => {
                entry.not_found += 1;
                (entry.not_found == 3).then_some(25)
            }
            _ => None,
        };
        let expected = match verdict {
            _ if !was_sent => None,
            Verdict::Final => {
                entry.stand = Stand::Gone;
                Some(Settled::Done(id))
            }
            _ if !was_open => None,
            Verdict::TryAgain => None,
            _ if rejected.is_some() => {
                entry.stand = Stand::Gone;
                rejected.map(|code| Settled::Exception(id, code))
            }
            _ if entry.approved_late => None,
            _ if entry.late_until.is_some() && !entry.asked_again => None,
            _ if entry.late_until.is_some() => {
                entry.stand = Stand::Gone;
                Some(Settled::Done(id))
            }
            _ => {
                let until = now.after(LATE_WINDOW);
                (entry.stand, entry.late_until) = (Stand::Provisional(until, age), Some(until));
                Some(Settled::Provisional(id, until))
            }
        };
        assert_eq!(settled, expected, "{entry:?}");
        if flew && expected.is_none() {
            self.fell(at);
        }
    }

    /// A copy in flight came to nothing.
    fn fell(&mut self, at: usize) {
        let now = self.now;
        let entry = &mut self.entries[at];
        if entry.stand == Stand::Flies {
            let due = now.after(backoff::delay(KEY, entry.id, entry.attempts));
            entry.stand = Stand::Waits(due, ticked(due));
        }
    }

    /// Late windows end, as soon as the lane is told the time: what was not found is to be sent
    /// once more, as the newest.
    fn end_late_windows(&mut self) {
        let is_over = |entry: &Entry, now| match entry.stand {
            Stand::Provisional(until, place) if ticked(until) <= now => {
                Some((ticked(until), place))
            }
            _ => None,
        };
        let mut over: Vec<(Instant, u64, usize)> = (0..)
            .zip(&self.entries)
            .filter_map(|(at, entry)| {
                is_over(entry, self.now).map(|(tick, place)| (tick, place, at))
            })
            .collect();
        over.sort_unstable();
        let mut declined = Vec::new();
        for (.., at) in over {
            if self.entries[at].declined {
                self.entries[at].stand = Stand::Gone;
                declined.push(self.entries[at].id);
                continue;
            }
            let age = self.next_age();
            self.entries[at].age = age;
            self.entries[at].stand = Stand::Waits(self.now, self.now);
        }
        let mut ended: Vec<u64> = std::iter::from_fn(|| self.lane.ended()).collect();
        ended.sort_unstable();
        declined.sort_unstable();
        assert_eq!(ended, declined);
    }

    fn pass(&mut self, now: Instant) {
        self.now = self.now.max(now);
        // Of nobody: it is told the time.
        self.lane.timed_out(u32::MAX, 0, self.now);
        self.end_late_windows();
    }

    const fn next_age(&mut self) -> u64 {
        self.ages += 1;
        self.ages
    }

    /// Nothing is lost, and the numbers agree.
    fn check(&self) {
        let count = |is: &dyn Fn(&Entry) -> bool| self.entries.iter().filter(|e| is(e)).count();
        assert_eq!(self.lane.len(), count(&Entry::is_open));
        assert_eq!(self.lane.in_flight(), self.flying());
        let is_provisional = |entry: &Entry| matches!(entry.stand, Stand::Provisional(..));
        assert_eq!(self.lane.provisional(), count(&is_provisional));
        let stats = self.lane.stats();
        let gone = (stats.done + stats.exceptions + stats.cancelled) as usize;
        assert_eq!(gone, count(&|entry| entry.stand == Stand::Gone));
        assert_eq!(stats.added as usize, self.entries.len());
        assert_eq!(stats.sent as usize, self.sent.len());
    }

    /// From any state on, a partner that takes everything gets everything, as long as the caller
    /// comes back at each deadline.
    fn deliver_all(&mut self) {
        self.up();
        for at in 0..self.entries.len() {
            if self.entries[at].stand == Stand::Flies {
                self.answered(at, Verdict::Final);
            }
        }
        while let Some(deadline) = self.lane.next_deadline() {
            self.pass(deadline);
            let before = self.sent.len();
            self.next(0);
            if self.sent.len() > before {
                let at = self.nth(0, |entry| entry.stand == Stand::Flies).expect("just sent");
                self.answered(at, Verdict::Final);
            }
            self.check();
        }
        assert!(self.entries.iter().all(|entry| entry.stand == Stand::Gone));
        assert!(self.lane.is_empty());
    }
}
