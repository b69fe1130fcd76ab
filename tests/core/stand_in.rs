//! Standing in for a partner that is down or silent: within limits, told afterwards, taken back in
//! order.

use std::sync::Arc;
use std::time::Duration;

use authswitch::base::money::Currency;
use authswitch::routing::build::{Plan, RoutePlan, build};
use authswitch::routing::stand_in::{CurrencyLimits, Policy};
use authswitch::switch::event::Storage;
use authswitch::switch::recover::Recovery;
use authswitch::switch::{Counter, Event, Outbox, Setup};

use crate::money::{A_COPY_LATER, one_reversal};
use crate::restart::store;
use crate::rig::{ACQUIRER, BUDGET, HOST, PARTNER, POS, POS_2, Plain, Rig, answer_to, sale};

/// One route, with three approvals per card and 30.00 per merchant.
pub(crate) fn standing_in(setup: &mut Setup) {
    let currency = Currency::from_number(156).expect("listed");
    let limits =
        CurrencyLimits { currency, floor: 1250, card: 5000, merchant: 4000, total: 10_000 };
    let policy = Policy {
        currencies: vec![limits],
        card_count: 3,
        merchant_count: 100,
        excluded_mccs: Vec::new(),
    };
    let route = RoutePlan {
        name: "default".into(),
        partners: vec![PARTNER],
        budget: BUDGET,
        stand_in: Some(policy),
        ..RoutePlan::default()
    };
    setup.routes =
        Arc::new(build(Plan { routes: vec![route], ..Plan::default() }).expect("no conflict"));
}

/// A switch that keeps records, and whose partner is not there.
fn without_partner() -> Rig {
    let mut rig = Rig::closed("pos-bcd", "pos-bcd", standing_in);
    rig.outbox = Outbox::recorded(1);
    rig.open(POS, ACQUIRER);
    rig.open(POS_2, ACQUIRER);
    rig
}

fn restarted(recovery: &Recovery) -> Rig {
    let mut rig = Rig::closed("pos-bcd", "pos-bcd", |setup| {
        standing_in(setup);
        setup.epoch = 1;
    });
    rig.outbox = Outbox::recorded(1);
    let now = rig.now;
    rig.switch.resume(now, recovery, &mut rig.outbox);
    rig.open(POS, ACQUIRER);
    rig
}

/// What the POS hears, when everything on record is durable.
fn told(rig: &mut Rig, recovery: &mut Recovery) -> Vec<Plain> {
    store(rig, recovery);
    rig.at_pos()
}

#[track_caller]
fn one(mut messages: Vec<Plain>, mti: &str) -> Plain {
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(messages[0].mti, mti);
    messages.remove(0)
}

#[test]
fn while_the_partner_is_down_the_switch_approves_and_tells_it_later() {
    for (asked, answered, advised) in [("0200", "0210", "0220"), ("0100", "0110", "0120")] {
        let (mut rig, mut recovery) = (without_partner(), Recovery::default());
        rig.ask(POS, &sale(1).typed(asked));
        assert!(rig.at_pos().is_empty(), "nothing before it is on record");
        let approval = one(told(&mut rig, &mut recovery), answered);
        assert_eq!(approval.code(), "00");
        let code = approval.of(38).expect("a code of our own").to_owned();
        rig.open(HOST, PARTNER);
        rig.wait(Duration::from_millis(10));
        store(&mut rig, &mut recovery);
        let advice = one(rig.at_host(), advised);
        for element in [2, 3, 4, 7, 22, 25, 37, 41, 42, 49] {
            assert_eq!(advice.of(element), sale(1).of(element), "DE {element}");
        }
        assert_eq!((advice.of(38), advice.of(39)), (Some(&*code), Some("00")));
        rig.wait(A_COPY_LATER);
        store(&mut rig, &mut recovery);
        let repeat = advised.replace("20", "21");
        assert_eq!(one(rig.at_host(), &repeat), advice.clone().typed(&repeat));
        rig.answer(&advice.typed(advised), "00");
        rig.wait(Duration::from_secs(600));
        assert!(rig.at_host().is_empty());
        let counts = [Counter::StoodIn, Counter::AdvicesDone, Counter::ReversalsOwed];
        assert_eq!(counts.map(|counter| rig.count(counter)), [1, 1, 0]);
    }
}

#[test]
fn a_silent_partner_gets_the_reversal_and_then_the_advice() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", standing_in);
    let seen = rig.sale(1);
    rig.ask(POS_2, &sale(1).typed("0201"));
    rig.wait(BUDGET);
    let approval = one(rig.at_pos(), "0210");
    assert_eq!(approval.code(), "00");
    let other = one(rig.at(POS_2), "0210");
    assert_eq!((other.code(), other.of(38)), ("00", approval.of(38)), "all who wait are told");
    let reversal = one_reversal(&mut rig);
    assert_eq!(reversal.of(90).map(|named| &named[4..10]), seen.of(11));
    rig.answer(&reversal, "00");
    let advice = one(rig.at_host(), "0220");
    assert_eq!((advice.of(4), advice.of(38)), (sale(1).of(4), approval.of(38)));
    assert_ne!(advice.of(11), seen.of(11));
    rig.answer(&advice, "00");
    // What it says now comes too late, for the terminal and for the books.
    rig.say(&answer_to(&seen, "00").with(38, "A1B2C3"));
    rig.wait(Duration::from_secs(600));
    assert!(rig.at_host().is_empty() && rig.at_pos().is_empty());
    rig.ask(POS, &sale(1).typed("0201"));
    assert_eq!(one(rig.at_pos(), "0210").of(38), approval.of(38));
}

/// The reversal overtook its original: the approval behind it has it sent again.
#[test]
fn a_late_approval_behind_not_found_is_reversed_again() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", standing_in);
    let seen = rig.sale(1);
    rig.wait(BUDGET);
    let reversal = one_reversal(&mut rig);
    rig.answer(&reversal, "25");
    let advice = one(rig.at_host(), "0220");
    rig.answer(&advice, "00");
    rig.answer(&seen, "00");
    rig.wait(Duration::from_millis(10));
    assert_eq!(one(rig.at_host(), "0421"), reversal.typed("0421"));
}

/// The intent becomes durable behind the deadline.
#[test]
fn what_never_left_is_stood_in_for_and_not_reversed() {
    let (mut rig, mut recovery) = (without_partner(), Recovery::default());
    rig.open(HOST, PARTNER);
    rig.ask(POS, &sale(1));
    rig.wait(BUDGET);
    assert_eq!(rig.count(Counter::Withdrawn), 1);
    assert!(rig.at_pos().is_empty(), "it is not on record");
    assert_eq!(one(told(&mut rig, &mut recovery), "0210").code(), "00");
    let advice = one(rig.at_host(), "0220");
    assert_eq!(rig.count(Counter::ReversalsOwed), 0);
    assert_eq!(restarted(&recovery).count(Counter::ReversalsOwed), 0);
    rig.answer(&advice, "00");
    rig.wait(Duration::from_secs(600));
    assert!(rig.at_host().is_empty());
}

#[test]
fn a_lost_connection_is_stood_in_for_too() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", standing_in);
    rig.sale(1);
    rig.feed(Event::Closed { session: HOST });
    assert_eq!(one(rig.at_pos(), "0210").code(), "00");
}

#[test]
fn what_the_partner_answered_is_final() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", standing_in);
    let seen = rig.sale(1);
    rig.answer(&seen, "05");
    assert_eq!(one(rig.at_pos(), "0210").code(), "05");
    rig.wait(BUDGET);
    assert!(rig.at_pos().is_empty() && rig.at_host().is_empty());
}

#[test]
fn what_the_policy_or_the_rules_forbid_is_declined() {
    let cases = [
        ("above the floor", sale(1).with(4, "000000001251")),
        ("another currency", sale(1).with(49, "840")),
        ("a refund", sale(1).with(3, "200000")),
        ("cash", sale(1).with(3, "010000")),
        ("a purchase with cash", sale(1).with(3, "090000")),
        ("a PIN", sale(1).with(52, "0123456789ABCDEF")),
        ("expired", sale(1).with(14, "2610")),
        ("no merchant", sale(1).without(42)),
        ("no card", sale(1).without(2)),
        ("a repeat of what we never heard", sale(1).typed("0201")),
    ];
    for (what, request) in cases {
        let (mut rig, mut recovery) = (without_partner(), Recovery::default());
        rig.ask(POS, &request);
        let heard = told(&mut rig, &mut recovery);
        assert_eq!(heard.first().map(Plain::code), Some("91"), "{what}");
        assert_eq!((rig.count(Counter::StoodIn), rig.count(Counter::AdvicesOwed)), (0, 0));
        rig.open(HOST, PARTNER);
        rig.ask(POS_2, &request.clone().with(11, "000002"));
        store(&mut rig, &mut recovery);
        assert_eq!(rig.at_host().len(), 1, "{what}: it is asked");
        rig.wait(BUDGET);
        store(&mut rig, &mut recovery);
        assert_eq!(rig.at(POS_2).first().map(Plain::code), Some("91"), "{what}: and silent");
    }
}

#[test]
fn what_cannot_be_put_on_record_is_not_approved() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", standing_in);
    rig.sale(1);
    rig.feed(Event::Storage(Storage::ObligationsOnly));
    rig.wait(BUDGET);
    assert_eq!(one(rig.at_pos(), "0210").code(), "91");
    one_reversal(&mut rig);
}

/// Three per card; and the fourth is refused in the next life too.
#[test]
fn limits_hold_across_a_crash() {
    let (mut rig, mut recovery) = (without_partner(), Recovery::default());
    for stan in 1..=2 {
        rig.ask(POS, &sale(stan));
        assert_eq!(one(told(&mut rig, &mut recovery), "0210").code(), "00");
    }
    for _ in 0..2 {
        let mut next = restarted(&recovery);
        next.ask(POS, &sale(3));
        let mut heard = Recovery::default();
        assert_eq!(one(told(&mut next, &mut heard), "0210").code(), "00");
        next.ask(POS, &sale(4));
        assert_eq!(one(told(&mut next, &mut heard), "0210").code(), "91", "the card had three");
        let other = sale(5).with(2, "4761340000000027");
        next.ask(POS, &other);
        assert_eq!(one(told(&mut next, &mut heard), "0210").code(), "91", "the merchant had 37.50");
    }
}

/// The advice and the answer are known again, and the advice is owed until it is taken.
#[test]
fn a_crash_forgets_neither_the_answer_nor_the_advice() {
    let (mut rig, mut recovery) = (without_partner(), Recovery::default());
    rig.ask(POS, &sale(1));
    let approval = one(told(&mut rig, &mut recovery), "0210");
    let mut next = restarted(&recovery);
    next.ask(POS, &sale(1).typed("0201"));
    let again = one(told(&mut next, &mut recovery), "0210");
    assert_eq!((again.code(), again.of(38)), ("00", approval.of(38)));
    next.open(HOST, PARTNER);
    next.wait(Duration::from_millis(10));
    store(&mut next, &mut recovery);
    let advice = one(next.at_host(), "0220");
    assert_eq!(advice.of(38), approval.of(38));
}

#[test]
fn what_is_taken_back_before_it_was_told_is_not_told() {
    let (mut rig, mut recovery) = (without_partner(), Recovery::default());
    rig.ask(POS, &sale(1));
    one(told(&mut rig, &mut recovery), "0210");
    rig.ask(POS, &sale(1).typed("0400").with(7, "1122050000"));
    assert_eq!(one(told(&mut rig, &mut recovery), "0410").code(), "00");
    let next = restarted(&recovery);
    for mut rig in [rig, next] {
        rig.open(HOST, PARTNER);
        rig.wait(Duration::from_secs(600));
        store(&mut rig, &mut recovery);
        assert!(rig.at_host().is_empty());
        rig.ask(POS, &sale(1).typed("0201"));
        assert_eq!(one(told(&mut rig, &mut recovery), "0210").code(), "91");
    }
}

#[test]
fn what_is_taken_back_after_it_was_told_is_reversed_behind_it() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", standing_in);
    rig.sale(1);
    rig.wait(BUDGET);
    rig.at_pos();
    let first = one_reversal(&mut rig);
    rig.answer(&first, "00");
    let advice = one(rig.at_host(), "0220");
    rig.ask(POS, &sale(1).typed("0400").with(7, "1122050000"));
    assert_eq!(one(rig.at_pos(), "0410").code(), "00");
    assert!(rig.at_host().is_empty(), "the advice has no answer yet");
    rig.answer(&advice, "00");
    let second = one_reversal(&mut rig);
    let name = second.of(90).expect("named");
    assert_eq!(&name[..10], format!("0220{}", advice.of(11).expect("there")));
    assert_eq!((second.of(4), second.of(38)), (advice.of(4), advice.of(38)));
    rig.answer(&second, "00");
    rig.wait(Duration::from_secs(600));
    assert!(rig.at_host().is_empty());
}

/// Nobody can have seen it approved: nothing but the reversal of what was sent is left.
#[test]
fn what_was_not_handed_over_is_not_told() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", standing_in);
    rig.sale(1);
    rig.wait(BUDGET);
    rig.feed(Event::Closed { session: POS });
    let reversal = one_reversal(&mut rig);
    rig.answer(&reversal, "00");
    rig.wait(Duration::from_secs(600));
    assert!(rig.at_host().is_empty());
    let mut rig = Rig::with("pos-bcd", "pos-bcd", standing_in);
    rig.sale(1);
    rig.feed(Event::Closed { session: POS });
    rig.wait(BUDGET);
    assert_eq!(rig.count(Counter::StoodIn), 0, "nobody waits for it");
    one_reversal(&mut rig);
}

#[test]
fn an_advice_that_is_rejected_is_for_a_person() {
    let mut rig = Rig::closed("pos-bcd", "pos-bcd", standing_in);
    rig.open(POS, ACQUIRER);
    rig.ask(POS, &sale(1));
    rig.at_pos();
    rig.open(HOST, PARTNER);
    rig.wait(Duration::from_millis(10));
    let advice = one(rig.at_host(), "0220");
    rig.answer(&advice, "30");
    assert_eq!(rig.count(Counter::Exceptions), 1);
    rig.wait(Duration::from_secs(600));
    assert!(rig.at_host().is_empty());
}
