//! What became of it? Asked of a partner that can say, before a reversal is sent.

use std::sync::Arc;
use std::time::Duration;

use authswitch::base::ids::SessionId;
use authswitch::routing::build::{Plan, RoutePlan, build};
use authswitch::routing::route::Capabilities;
use authswitch::switch::health::Breaker;
use authswitch::switch::{Counter, Event, Setup};

use crate::rig::{BUDGET, HOST, PARTNER, Plain, Rig, answer_to, sale};

/// From one copy to the next, as it is by default.
const EVERY: Duration = Duration::from_secs(3);

/// How late a reversal that was held back may be.
const TICK: Duration = Duration::from_millis(100);

const LATE_WINDOW: Duration = Duration::from_secs(600);

fn can_say(setup: &mut Setup) {
    let route = RoutePlan {
        name: "default".into(),
        partners: vec![PARTNER],
        budget: BUDGET,
        capabilities: Capabilities { inquiry: true, ..Capabilities::default() },
        ..RoutePlan::default()
    };
    let plan = Plan { routes: vec![route], ..Plan::default() };
    setup.routes = Arc::new(build(plan).expect("no contradiction"));
}

fn rig() -> Rig {
    Rig::with("pos-bcd", "pos-bcd", can_say)
}

/// The one message the partner got.
#[track_caller]
fn one(rig: &mut Rig, mti: &str) -> Plain {
    let seen = rig.at_host();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].mti, mti, "{seen:?}");
    seen[0].clone()
}

/// A sale that was not answered, and the question what became of it.
#[track_caller]
fn asked_about(rig: &mut Rig) -> (Plain, Plain) {
    let seen = rig.sale(1);
    rig.wait(BUDGET);
    let told = rig.at_pos();
    assert_eq!((told.len(), told[0].code()), (1, "91"), "at the deadline, not later");
    (seen, one(rig, "0100"))
}

#[test]
fn an_inquiry_names_the_request_and_moves_no_money() {
    let pairs = [("pos-bcd", "pos-bcd"), ("pos-bcd", "iso87-ascii"), ("iso87-ascii", "pos-bcd")];
    for (acquirer, partner) in pairs {
        let mut rig = Rig::with(acquirer, partner, can_say);
        rig.ask(crate::rig::POS, &sale(1).with(3, "001000").with(52, "0123456789ABCDEF"));
        let seen = rig.at_host().pop().expect("forwarded");
        rig.wait(BUDGET);
        let inquiry = one(&mut rig, "0100");
        let stan = seen.of(11).expect("a STAN");
        let named = format!("0200{stan}1122021245{}", "0".repeat(22));
        assert_eq!(inquiry.of(90), Some(named.as_str()), "{partner}");
        assert_eq!(inquiry.of(3), Some("311000"), "{partner}");
        assert_eq!(inquiry.of(4), Some("000000000000"), "{partner}");
        assert_eq!(inquiry.of(52), None, "no PIN");
        for element in [2, 37, 41, 42] {
            assert_eq!(inquiry.of(element), seen.of(element), "DE {element} to {partner}");
        }
        assert_ne!(inquiry.of(11), Some(stan), "a STAN of its own");
    }
}

#[test]
fn what_was_approved_is_reversed_at_once() {
    for code in ["00", "10"] {
        let mut rig = rig();
        let (seen, inquiry) = asked_about(&mut rig);
        rig.say(&answer_to(&inquiry, code).with(4, "000000001250"));
        let reversal = one(&mut rig, "0420");
        assert_eq!(reversal.of(90).map(|name| &name[4..10]), seen.of(11));
        rig.answer(&reversal, "00");
        assert_eq!((rig.count(Counter::ReversalsOwed), rig.count(Counter::ReversalsDone)), (1, 1));
        rig.wait(LATE_WINDOW);
        assert!(rig.at_host().is_empty());
    }
}

#[test]
fn what_was_declined_is_not_reversed() {
    let mut rig = rig();
    let (_, inquiry) = asked_about(&mut rig);
    rig.answer(&inquiry, "51");
    rig.wait(LATE_WINDOW + LATE_WINDOW);
    assert!(rig.at_host().is_empty(), "nothing is owed");
    assert_eq!((rig.count(Counter::NothingOwed), rig.count(Counter::ReversalsDone)), (1, 1));
}

#[test]
fn what_was_declined_and_is_approved_after_all_is_reversed() {
    let mut rig = rig();
    let (seen, inquiry) = asked_about(&mut rig);
    rig.answer(&inquiry, "51");
    rig.wait(LATE_WINDOW / 2);
    rig.answer(&seen, "00");
    let reversal = one(&mut rig, "0420");
    rig.answer(&reversal, "00");
    rig.wait(LATE_WINDOW);
    assert!(rig.at_host().is_empty());
}

/// It may have been on its way: so it is reversed when it must have come, or has.
#[test]
fn what_was_not_found_is_reversed_when_its_late_window_ends() {
    for is_approved_late in [false, true] {
        let mut rig = rig();
        let (seen, inquiry) = asked_about(&mut rig);
        rig.answer(&inquiry, "25");
        rig.wait(LATE_WINDOW / 2);
        assert!(rig.at_host().is_empty());
        if is_approved_late {
            rig.answer(&seen, "00");
        } else {
            rig.wait(LATE_WINDOW / 2 + TICK);
        }
        let reversal = one(&mut rig, "0420");
        rig.answer(&reversal, "25");
        assert_eq!(rig.count(Counter::ReversalsDone), u64::from(!is_approved_late));
    }
}

#[test]
fn what_is_silent_or_unclear_is_reversed_after_so_many_copies() {
    for code in [None, Some("96"), Some("05"), Some("12"), Some("94")] {
        let mut rig = rig();
        let (_, first) = asked_about(&mut rig);
        code.into_iter().for_each(|code| rig.answer(&first, code));
        rig.wait(EVERY - TICK);
        assert!(rig.at_host().is_empty(), "{code:?}: one at a time");
        rig.wait(TICK);
        let second = one(&mut rig, "0100");
        assert_ne!(second.of(11), first.of(11), "no copy passes for another");
        assert_eq!(second.of(90), first.of(90));
        code.into_iter().for_each(|code| rig.answer(&second, code));
        rig.wait(if code.is_none() { EVERY + TICK } else { TICK });
        let reversal = one(&mut rig, "0420");
        rig.answer(&reversal, "00");
        // Too late to say.
        rig.answer(&second, "51");
        rig.wait(LATE_WINDOW);
        assert!(rig.at_host().is_empty());
        assert_eq!((rig.count(Counter::Inquiries), rig.count(Counter::ReversalsDone)), (2, 1));
    }
}

#[test]
fn what_answers_another_is_no_answer() {
    let mut rig = rig();
    let (_, inquiry) = asked_about(&mut rig);
    let wrong = [
        answer_to(&inquiry, "51").with(41, "TERM0002"),
        answer_to(&inquiry, "51").with(37, "000000000001"),
        answer_to(&inquiry, "51").with(11, "249999"),
        answer_to(&inquiry, "51").typed("0210"),
    ];
    wrong.iter().for_each(|answer| rig.say(answer));
    assert_eq!((rig.count(Counter::NothingOwed), rig.count(Counter::UnmatchedAnswers)), (0, 4));
    rig.answer(&inquiry, "00");
    one(&mut rig, "0420");
}

#[test]
fn a_lost_connection_ends_the_asking() {
    let mut rig = rig();
    asked_about(&mut rig);
    rig.feed(Event::Closed { session: HOST });
    rig.feed(Event::Opened {
        session: SessionId { slot: 1, generation: 2 },
        link: PARTNER,
        shared: false,
    });
    let sent = rig.bytes(SessionId { slot: 1, generation: 2 });
    let seen = crate::rig::plain(&rig.partner.clone(), &sent);
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].mti, "0420");
    rig.wait(EVERY + EVERY);
    assert_eq!(rig.count(Counter::Inquiries), 1);
}

#[test]
fn a_late_approval_ends_the_asking() {
    let mut rig = rig();
    let (seen, inquiry) = asked_about(&mut rig);
    rig.answer(&seen, "00");
    let reversal = one(&mut rig, "0420");
    rig.answer(&inquiry, "51");
    rig.answer(&reversal, "00");
    assert_eq!(rig.count(Counter::ReversalsDone), 1);
    rig.wait(LATE_WINDOW);
    assert!(rig.at_host().is_empty());
}

#[test]
fn who_is_left_alone_or_cannot_say_is_not_asked() {
    let breaker = Breaker { failures: 1, pause: Duration::from_secs(5) };
    let left_alone = |setup: &mut Setup| {
        can_say(setup);
        setup.links[1].breaker = Some(breaker);
    };
    let never = |setup: &mut Setup| {
        can_say(setup);
        setup.links[1].inquiry.tries = 0;
    };
    let cannot = |_: &mut Setup| ();
    for change in [&left_alone as &dyn Fn(&mut Setup), &never, &cannot] {
        let mut rig = Rig::with("pos-bcd", "pos-bcd", change);
        rig.sale(1);
        rig.wait(BUDGET);
        one(&mut rig, "0420");
        assert_eq!(rig.count(Counter::Inquiries), 0);
    }
}

#[test]
fn what_the_terminal_takes_back_meanwhile_is_told_at_once_and_reversed_in_the_end() {
    let mut rig = rig();
    let (_, inquiry) = asked_about(&mut rig);
    rig.ask(crate::rig::POS, &sale(1).typed("0400").without(22).without(25));
    let told = rig.at_pos();
    assert_eq!((told.len(), told[0].code()), (1, "00"));
    rig.answer(&inquiry, "00");
    one(&mut rig, "0420");
}
