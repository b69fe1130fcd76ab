//! Is the core free of allocation? After warm-up, no message of any kind may allocate.
//!
//! A transaction is run many times the same way; what is counted is everything between an event
//! and the empty outbox behind it. Memory of a worker then grows with sessions and requests in
//! flight, which have bounds, and never with traffic.

#[path = "alloc/kept.rs"]
mod kept;
#[path = "core/rig.rs"]
#[expect(dead_code, reason = "shared with the tests of the core, which use the rest of it")]
mod rig;

use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use authswitch::base::ids::{SessionId, WorkerId};
use authswitch::routing::build::{self, Plan};
use authswitch::switch::{Counter, Event, Outbox, Setup};
use kept::Journal;
use rig::{BUDGET, HOST, POS, Plain, Rig, answer_to, framed, plain, sale};

/// Rounds that may allocate: buffers grow to their size, cells and slots are used for the first
/// time. More than there are rounds in flight anywhere.
const WARM_UP: u32 = 20;

/// Rounds that may not.
const MEASURED: u32 = 200;

/// A core, and the allocations of what it was asked to do.
struct Meter {
    rig: Rig,
    counted: bool,
    allocations: u64,
    /// What the switch last wrote, to whom.
    written: Vec<(SessionId, Vec<u8>)>,
    /// Where its records go, if it keeps any.
    journal: Option<Journal>,
}

impl Meter {
    fn new(acquirer: &str, partner: &str, change: impl FnOnce(&mut Setup)) -> Self {
        let rig = Rig::with(acquirer, partner, change);
        let written = [HOST, POS].map(|session| (session, Vec::with_capacity(1 << 16))).into();
        Self { rig, counted: false, allocations: 0, written, journal: None }
    }

    /// Feeds an event and empties the outbox as the shell does.
    fn feed(&mut self, event: Event<'_>) {
        let Self { rig, written, journal, .. } = self;
        let info = measure(|| {
            rig.switch.handle(rig.now, event, &mut rig.outbox);
            if let Some(journal) = journal {
                journal.store(&mut rig.outbox);
            }
            empty(&mut rig.outbox, written);
        });
        if self.counted {
            self.allocations += info.count_total;
        }
    }

    fn receive(&mut self, session: SessionId, bytes: &[u8]) {
        self.feed(Event::Received { session, bytes });
    }

    /// What was last written to the acquirer.
    fn at_pos(&self) -> Vec<Plain> {
        plain(&self.rig.acquirer, &self.written[1].1)
    }

    /// A request is sent and forwarded; what the partner saw of it.
    fn ask(&mut self, request: &Plain) -> Plain {
        let frame = framed(&self.rig.acquirer, request);
        self.receive(POS, &frame);
        plain(&self.rig.partner, &self.written[0].1).pop().expect("forwarded")
    }

    /// The partner takes the reversal it was just sent.
    fn take_reversal(&mut self) {
        let reversal = plain(&self.rig.partner, &self.written[0].1).pop().expect("a reversal");
        assert!(reversal.mti.starts_with("042") || reversal.mti.starts_with("142"));
        self.answer(&answer_to(&reversal, "00"));
    }

    fn answer(&mut self, answer: &Plain) {
        let frame = framed(&self.rig.partner, answer);
        self.receive(HOST, &frame);
    }

    fn pass(&mut self, time: Duration) {
        self.rig.now.instant = self.rig.now.instant.after(time);
        if self.rig.switch.next_deadline().is_some_and(|at| at <= self.rig.now.instant) {
            self.feed(Event::Deadline);
        }
    }

    /// Runs `round` until it is warm, then counts.
    fn run(mut self, mut round: impl FnMut(&mut Self, u32)) -> Self {
        for number in 1..=WARM_UP + MEASURED {
            self.counted = number > WARM_UP;
            round(&mut self, number);
            self.pass(Duration::from_micros(50));
        }
        self
    }

    fn check(self, counter: Counter, each: u64) {
        let rounds = u64::from(WARM_UP + MEASURED);
        assert_eq!(self.rig.count(counter), rounds * each, "{}: it did happen", counter.name());
        assert_eq!(self.allocations, 0, "{}: allocations in {MEASURED} rounds", counter.name());
    }
}

/// One write per dirty lane, as at the end of a turn.
fn empty(outbox: &mut Outbox, written: &mut [(SessionId, Vec<u8>)]) {
    written.iter_mut().for_each(|(_, bytes)| bytes.clear());
    while let Some(session) = outbox.next_dirty() {
        let bytes = outbox.unwritten(session);
        let count = bytes.len();
        if let Some((_, copy)) = written.iter_mut().find(|(other, _)| *other == session) {
            copy.extend_from_slice(bytes);
        }
        outbox.wrote(session, count);
    }
    while let Some(relay) = outbox.next_relay() {
        outbox.give_back(relay.bytes);
    }
    outbox.commands.clear();
    outbox.decisions.clear();
}

/// Like dialects, and unlike ones: patched in place, and rewritten element by element.
const PAIRS: [(&str, &str); 4] = [
    ("pos-bcd", "pos-bcd"),
    ("pos-bcd", "iso87-ascii"),
    ("iso87-ascii", "iso87-binary"),
    ("pos-bcd", "mastercard-ebcdic"),
];

fn meters() -> impl Iterator<Item = Meter> {
    PAIRS.iter().flat_map(|(acquirer, partner)| {
        [false, true].map(|tap| Meter::new(acquirer, partner, |setup| setup.tap = tap))
    })
}

#[test]
fn a_transaction_approved_or_declined_by_the_partner() {
    for meter in meters() {
        let done = meter.run(|meter, number| {
            let forwarded = meter.ask(&sale(number));
            let code = if number % 2 == 0 { "00" } else { "51" };
            meter.answer(&answer_to(&forwarded, code));
            assert_eq!(meter.at_pos(), [answer_to(&sale(number), code)]);
        });
        done.check(Counter::Answered, 1);
    }
}

#[test]
fn a_batch_cut_anywhere() {
    for meter in meters() {
        let done = meter.run(|meter, number| {
            let stan = number * 16;
            let dialect = Arc::clone(&meter.rig.acquirer);
            let stream: Vec<u8> =
                (stan..stan + 16).flat_map(|stan| framed(&dialect, &sale(stan))).collect();
            // The beginning of a frame stays with the shell, in front of what comes next.
            let whole = framed(&dialect, &sale(stan)).len();
            let cut = whole * 7 + number as usize % whole;
            meter.receive(POS, &stream[..cut]);
            let mut seen = plain(&meter.rig.partner, &meter.written[0].1);
            meter.receive(POS, &stream[whole * 7..]);
            seen.extend(plain(&meter.rig.partner, &meter.written[0].1));
            assert_eq!(seen.len(), 16);
            let partner = Arc::clone(&meter.rig.partner);
            let answers: Vec<u8> = seen
                .iter()
                .flat_map(|request| framed(&partner, &answer_to(request, "00")))
                .collect();
            meter.receive(HOST, &answers);
            assert_eq!(meter.at_pos().len(), 16);
        });
        done.check(Counter::Answered, 16);
    }
}

#[test]
fn a_request_refused_for_what_it_says() {
    for meter in meters() {
        let done = meter.run(|meter, number| {
            let mut request = sale(number);
            request.fields[1].1 = "770000".into();
            let frame = framed(&meter.rig.acquirer, &request);
            meter.receive(POS, &frame);
            assert_eq!(meter.at_pos()[0].of(39), Some("12"));
        });
        done.check(Counter::RequestsRefused, 1);
    }
}

#[test]
fn a_damaged_request() {
    for meter in meters() {
        let done = meter.run(|meter, number| {
            let mut frame = framed(&meter.rig.acquirer, &sale(number));
            // DE 49, the last element, is made of bytes that are digits in no dialect.
            let last = frame.len() - 1;
            frame[last] = 0xFF;
            meter.receive(POS, &frame);
            assert_eq!(meter.at_pos()[0].of(39), Some("30"));
        });
        done.check(Counter::RequestsDamaged, 1);
    }
}

#[test]
fn a_request_without_a_route() {
    let nowhere = build::build(Plan { version: 1, ..Plan::default() }).expect("no conflict");
    let nowhere = Arc::new(nowhere);
    for (acquirer, partner) in PAIRS {
        let change = |setup: &mut Setup| setup.routes = Arc::clone(&nowhere);
        let done = Meter::new(acquirer, partner, change).run(|meter, number| {
            let frame = framed(&meter.rig.acquirer, &sale(number));
            meter.receive(POS, &frame);
            assert_eq!(meter.at_pos()[0].of(39), Some("14"));
        });
        done.check(Counter::Declined, 1);
    }
}

#[test]
fn a_silent_partner_and_its_late_answer() {
    for meter in meters() {
        let done = meter.run(|meter, number| {
            let forwarded = meter.ask(&sale(number));
            meter.pass(BUDGET);
            assert_eq!(meter.at_pos()[0].of(39), Some("91"));
            meter.take_reversal();
            meter.answer(&answer_to(&forwarded, "00"));
            assert!(meter.at_pos().is_empty());
        });
        let late = done.rig.count(Counter::LateAnswers);
        assert_eq!(late, u64::from(WARM_UP + MEASURED));
        done.check(Counter::TimeOuts, 1);
    }
}

#[test]
fn an_answer_that_comes_twice() {
    for meter in meters() {
        let done = meter.run(|meter, number| {
            let forwarded = meter.ask(&sale(number));
            meter.answer(&answer_to(&forwarded, "00"));
            meter.answer(&answer_to(&forwarded, "00"));
            assert!(meter.at_pos().is_empty());
        });
        done.check(Counter::DuplicateAnswers, 1);
    }
}

#[test]
fn answers_that_belong_to_no_request_or_contradict_it() {
    for (element, value, counter) in [
        (37, "000000999999", Counter::UnmatchedAnswers),
        (4, "000000009999", Counter::WrongAnswers),
    ] {
        for meter in meters() {
            let done = meter.run(|meter, number| {
                let forwarded = meter.ask(&sale(number));
                let mut wrong = answer_to(&forwarded, "00");
                wrong.fields.iter_mut().find(|(e, _)| *e == element).expect("there").1 =
                    value.into();
                meter.answer(&wrong);
                assert!(meter.at_pos().is_empty());
                meter.answer(&answer_to(&forwarded, "00"));
                assert_eq!(meter.at_pos().len(), 1);
            });
            done.check(counter, 1);
        }
    }
}

#[test]
fn an_answer_that_the_acquirers_dialect_cannot_say() {
    let meter = Meter::new("pos-bcd", "ascii87-binbitmap", |_| ());
    let done = meter.run(|meter, number| {
        let forwarded = meter.ask(&sale(number));
        let mut answer = answer_to(&forwarded, "00");
        // Letters, which this partner allows and packed digits cannot hold.
        answer.fields.retain(|(element, _)| *element != 12);
        answer.fields.push((12, "ABCDEF".into()));
        answer.fields.sort_by_key(|(element, _)| *element);
        meter.answer(&answer);
        assert_eq!(meter.at_pos()[0].of(39), Some("30"));
        meter.take_reversal();
        // Slower than reversals are paced.
        meter.pass(Duration::from_millis(1));
    });
    assert_eq!(done.allocations, 0);
}

#[test]
fn an_answer_for_another_worker() {
    for (acquirer, partner) in PAIRS {
        let change = |setup: &mut Setup| {
            setup.workers = 2;
            setup.worker = WorkerId(1);
        };
        let done = Meter::new(acquirer, partner, change).run(|meter, number| {
            let mut answer = answer_to(&sale(number), "00");
            answer.fields.iter_mut().find(|(e, _)| *e == 11).expect("there").1 = "000001".into();
            meter.answer(&answer);
        });
        done.check(Counter::Relayed, 1);
    }
}

#[test]
fn an_overload_and_a_partner_that_is_down() {
    for (acquirer, partner) in PAIRS {
        let full = Meter::new(acquirer, partner, |setup| setup.links[1].in_flight_max = 1);
        let done = full.run(|meter, number| {
            let forwarded = meter.ask(&sale(number));
            let frame = framed(&meter.rig.acquirer, &sale(500_000 + number));
            meter.receive(POS, &frame);
            assert_eq!(meter.at_pos()[0].of(39), Some("91"));
            meter.answer(&answer_to(&forwarded, "00"));
        });
        done.check(Counter::Overloads, 1);
        let mut down = Meter::new(acquirer, partner, |_| ());
        down.feed(Event::Closed { session: HOST });
        let done = down.run(|meter, number| {
            let frame = framed(&meter.rig.acquirer, &sale(number));
            meter.receive(POS, &frame);
            assert_eq!(meter.at_pos()[0].of(39), Some("91"));
        });
        done.check(Counter::PartnersDown, 1);
    }
}

#[test]
fn an_echo_of_the_acquirer() {
    let echo = |stan: u32| Plain {
        mti: "0800".into(),
        fields: vec![(7, "1122021245".into()), (11, format!("{stan:06}")), (70, "301".into())],
    };
    let done = Meter::new("pos-bcd", "pos-bcd", |_| ()).run(|meter, number| {
        let frame = framed(&meter.rig.acquirer, &echo(number));
        meter.receive(POS, &frame);
        assert_eq!(meter.at_pos()[0].of(39), Some("00"));
        meter.pass(Duration::from_secs(1));
    });
    done.check(Counter::NetworkManagement, 1);
}

/// The proof that an allocation would be seen.
#[test]
fn a_planted_allocation_is_counted() {
    let meter = Meter::new("pos-bcd", "pos-bcd", |_| ()).run(|meter, number| {
        let forwarded = meter.ask(&sale(number));
        meter.answer(&answer_to(&forwarded, "00"));
        // An outbox that forgets its buffers must allocate new ones in the next round.
        meter.rig.outbox = Outbox::default();
        meter.rig.outbox.open(POS);
        meter.rig.outbox.open(HOST);
    });
    assert!(meter.allocations >= u64::from(MEASURED), "{}", meter.allocations);
}
