//! The way of a message: there, back, late, twice, wrong, lost.

use std::time::Duration;

use authswitch::base::ids::SessionId;
use authswitch::switch::{Counter, Event};

use crate::rig::{ACQUIRER, BUDGET, HOST, PARTNER, POS, POS_2, Rig, answer_to, framed, sale};

#[test]
fn a_sale_goes_there_and_its_answer_comes_back() {
    let mut rig = Rig::new();
    let forwarded = rig.sale(42);
    let mut expected = sale(42);
    expected.fields[4].1 = forwarded.of(11).expect("a STAN").to_owned();
    assert_eq!(forwarded, expected, "nothing but the STAN is changed");
    assert_ne!(forwarded.of(11), Some("000042"), "the STAN is ours");
    rig.answer(&forwarded, "00");
    let answers = rig.at_pos();
    assert_eq!(answers, [answer_to(&sale(42), "00")]);
    assert_eq!(rig.switch.in_flight(), 0);
    assert!(rig.closes().is_empty());
}

#[test]
fn between_unlike_dialects_values_survive() {
    for partner in ["iso87-ascii", "iso87-binary", "jpos-iso87ascii", "mastercard-ebcdic"] {
        let mut rig = Rig::with("pos-bcd", partner, |_| ());
        let forwarded = rig.sale(7);
        let mut expected = sale(7);
        expected.fields[4].1 = forwarded.of(11).expect("a STAN").to_owned();
        assert_eq!(forwarded, expected, "{partner}");
        rig.answer(&forwarded, "05");
        assert_eq!(rig.at_pos(), [answer_to(&sale(7), "05")], "{partner}");
    }
}

#[test]
fn an_unanswered_request_is_declined_at_its_deadline_and_a_late_answer_is_eaten() {
    let mut rig = Rig::new();
    let forwarded = rig.sale(1);
    rig.pass(BUDGET - Duration::from_nanos(1));
    assert!(rig.at_pos().is_empty());
    rig.pass(Duration::from_nanos(1));
    let answers = rig.at_pos();
    assert_eq!(answers.len(), 1);
    assert_eq!((answers[0].mti.as_str(), answers[0].of(39)), ("0210", Some("91")));
    for element in [3, 4, 7, 11, 37, 41, 42, 49] {
        assert_eq!(answers[0].of(element), sale(1).of(element), "DE {element} is echoed");
    }
    assert_eq!(answers[0].of(2), None, "no account data in a decline");
    rig.answer(&forwarded, "00");
    assert!(rig.at_pos().is_empty(), "a late approval never reaches a POS");
    assert_eq!(rig.count(Counter::LateAnswers), 1);
}

/// The STAN of a declined sale, and the rest of another's approval.
#[test]
fn an_approval_of_something_else_reverses_nothing() {
    let mut rig = Rig::new();
    let seen = rig.sale(1);
    rig.answer(&seen, "05");
    let other = answer_to(&seen, "10").with(37, "000000000777").with(4, "000000000900");
    rig.say(&other);
    assert!(rig.at_host().is_empty());
    assert_eq!(rig.count(Counter::UnmatchedAnswers), 1);
    rig.answer(&seen, "00");
    assert_eq!(rig.at_host().len(), 1, "its own does");
}

#[test]
fn a_second_answer_is_counted_and_eaten() {
    let mut rig = Rig::new();
    let forwarded = rig.sale(1);
    rig.answer(&forwarded, "05");
    rig.answer(&forwarded, "00");
    assert_eq!(rig.at_pos().len(), 1);
    assert_eq!(rig.count(Counter::DuplicateAnswers), 1);
}

#[test]
fn an_answer_that_is_not_to_this_request_consumes_nothing() {
    let wrong: [(u8, &str); 6] = [
        (7, "1122021246"),
        (37, "000000999999"),
        (41, "TERM0002"),
        (4, "000000009999"),
        (49, "840"),
        (11, "777777"),
    ];
    for (element, value) in wrong {
        let mut rig = Rig::new();
        let forwarded = rig.sale(1);
        let mut altered = forwarded.clone();
        for field in &mut altered.fields {
            if field.0 == element {
                field.1 = value.into();
            }
        }
        rig.answer(&altered, "00");
        assert!(rig.at_pos().is_empty(), "DE {element} differs");
        rig.answer(&forwarded, "00");
        assert_eq!(rig.at_pos().len(), 1, "the right answer still counts");
    }
}

#[test]
fn the_stan_alone_never_matches() {
    let mut rig = Rig::new();
    let forwarded = rig.sale(1);
    let mut bare = forwarded.clone();
    bare.fields.retain(|(element, _)| ![7, 37, 41].contains(element));
    rig.answer(&bare, "00");
    assert!(rig.at_pos().is_empty());
    assert_eq!(rig.count(Counter::UnmatchedAnswers), 1);
}

#[test]
fn an_answer_without_a_result_or_of_another_class_is_no_answer() {
    let mut rig = Rig::new();
    let forwarded = rig.sale(1);
    let mut answer = answer_to(&forwarded, "00");
    answer.fields.retain(|(element, _)| *element != 39);
    let frame = framed(&rig.partner, &answer);
    rig.send(HOST, &frame);
    let mut other = answer_to(&forwarded, "00");
    other.mti = "0410".into();
    let frame = framed(&rig.partner, &other);
    rig.send(HOST, &frame);
    assert!(rig.at_pos().is_empty());
    assert_eq!((rig.count(Counter::WrongAnswers), rig.count(Counter::UnmatchedAnswers)), (1, 1));
}

#[test]
fn answers_go_to_the_connection_that_asked_whatever_their_order() {
    let mut rig = Rig::new();
    let first = rig.sale(5);
    let mut elsewhere = sale(5);
    elsewhere.fields.iter_mut().find(|(e, _)| *e == 41).expect("there").1 = "TERM0002".into();
    let frame = framed(&rig.acquirer, &elsewhere);
    rig.send(POS_2, &frame);
    let second = rig.at_host().pop().expect("forwarded");
    assert_ne!(first.of(11), second.of(11), "two terminals may use one STAN");
    rig.answer(&second, "51");
    rig.answer(&first, "00");
    assert_eq!(rig.at_pos()[0].of(39), Some("00"));
    let bytes = rig.bytes(POS_2);
    let other = crate::rig::plain(&rig.acquirer, &bytes);
    assert_eq!(other[0].of(39), Some("51"));
}

#[test]
fn a_closed_connections_answer_reaches_nobody_not_even_its_successor() {
    let mut rig = Rig::new();
    let forwarded = rig.sale(1);
    rig.feed(Event::Closed { session: POS });
    let heir = SessionId { slot: POS.slot, generation: POS.generation + 1 };
    rig.open(heir, ACQUIRER);
    rig.answer(&forwarded, "00");
    assert!(rig.bytes(heir).is_empty());
    assert_eq!(rig.count(Counter::Undelivered), 1);
}

#[test]
fn a_lost_partner_connection_is_answered_at_once() {
    let mut rig = Rig::new();
    rig.sale(1);
    rig.sale(2);
    rig.feed(Event::Closed { session: HOST });
    let answers = rig.at_pos();
    assert_eq!(answers.len(), 2);
    assert!(answers.iter().all(|answer| answer.of(39) == Some("91")));
    let frame = framed(&rig.acquirer, &sale(3));
    rig.send(POS, &frame);
    assert_eq!(rig.at_pos()[0].of(39), Some("91"), "no partner is up");
    assert_eq!(rig.count(Counter::PartnersDown), 1);
    let again = SessionId { slot: HOST.slot, generation: 2 };
    rig.open(again, PARTNER);
    let frame = framed(&rig.acquirer, &sale(4));
    rig.send(POS, &frame);
    assert!(!rig.bytes(again).is_empty(), "the new connection carries requests");
}

#[test]
fn a_half_closed_pos_gets_its_answers_and_is_then_closed() {
    let mut rig = Rig::new();
    let first = rig.sale(1);
    let second = rig.sale(2);
    rig.feed(Event::Ended { session: POS });
    rig.answer(&first, "00");
    assert!(rig.closes().is_empty());
    rig.answer(&second, "00");
    assert_eq!(rig.at_pos().len(), 2);
    assert_eq!(rig.closes(), [POS]);
    rig.feed(Event::Ended { session: POS_2 });
    assert_eq!(rig.closes(), [POS_2], "nothing was asked: closed at once");
}

#[test]
fn draining_answers_what_was_accepted_and_refuses_the_rest() {
    let mut rig = Rig::new();
    let forwarded = rig.sale(1);
    rig.feed(Event::Drain);
    assert!(!rig.switch.is_drained());
    let frame = framed(&rig.acquirer, &sale(2));
    rig.send(POS, &frame);
    assert_eq!(rig.at_pos()[0].of(39), Some("91"));
    rig.answer(&forwarded, "00");
    assert_eq!(rig.at_pos()[0].of(39), Some("00"));
    assert!(rig.switch.is_drained());
}

#[test]
fn over_the_in_flight_bound_requests_are_shed() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| setup.links[1].in_flight_max = 2);
    let first = rig.sale(1);
    rig.sale(2);
    let frame = framed(&rig.acquirer, &sale(3));
    rig.send(POS, &frame);
    assert_eq!(rig.at_pos()[0].of(39), Some("91"));
    assert_eq!(rig.count(Counter::Overloads), 1);
    rig.answer(&first, "00");
    rig.at_pos();
    rig.sale(4);
}

/// The partner takes nothing for a while, and one terminal asks all the time.
#[test]
fn who_floods_a_slow_partner_leaves_room_for_others() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| setup.bounds.outbox_bytes = 64 << 10);
    rig.open(POS_2, ACQUIRER);
    for stan in 1..=2000 {
        rig.ask(POS, &sale(stan));
    }
    let refused = rig.at_pos();
    assert!(refused.len() > 1000, "{} of 2000", refused.len());
    for stan in 3001..=3050 {
        rig.ask(POS_2, &sale(stan).with(41, "TERM0002"));
    }
    assert!(rig.at(POS_2).is_empty(), "it asked little");
    assert_eq!(rig.at_host().len(), 2000 - refused.len() + 50);
    for stan in 4001..=4200 {
        rig.ask(POS, &sale(stan));
    }
    assert!(rig.at_pos().is_empty(), "there is room again");
}

#[test]
fn an_answer_may_not_contradict_what_was_asked() {
    for (element, value) in
        [(2, "4000000000000002"), (3, "200000"), (42, "ANOTHER MERCHANT"), (32, "999999")]
    {
        let mut rig = Rig::new();
        let mut request = sale(1);
        request.fields.push((32, "123456".into()));
        request.fields.sort_by_key(|(element, _)| *element);
        let frame = framed(&rig.acquirer, &request);
        rig.send(POS, &frame);
        let forwarded = rig.at_host().pop().expect("forwarded");
        let mut answer = answer_to(&forwarded, "00");
        answer.fields.retain(|(e, _)| *e != element);
        let value: String = value.chars().take(if element == 42 { 15 } else { 16 }).collect();
        answer.fields.push((element, value));
        answer.fields.sort_by_key(|(element, _)| *element);
        let frame = framed(&rig.partner, &answer);
        rig.send(HOST, &frame);
        assert!(rig.at_pos().is_empty(), "DE {element}");
        assert_eq!(rig.count(Counter::WrongAnswers), 1, "DE {element}");
    }
}

#[test]
fn a_partial_approval_stays_below_what_was_asked() {
    for (amount, handed) in [("000000000900", 1), ("000000009999", 0)] {
        let mut rig = Rig::new();
        let forwarded = rig.sale(1);
        let mut answer = answer_to(&forwarded, "10");
        for field in &mut answer.fields {
            if field.0 == 4 {
                field.1 = amount.into();
            }
        }
        let frame = framed(&rig.partner, &answer);
        rig.send(HOST, &frame);
        assert_eq!(rig.at_pos().len(), handed, "{amount}");
    }
}

/// An honest answer to the longest request is longer than the longest request.
#[test]
fn the_longest_request_does_not_break_the_partners_stream() {
    let mut rig = Rig::new();
    let bystander = rig.sale(2);
    let mut longest = sale(1);
    for element in [46, 47, 60, 62] {
        let length = if element == 62 { 999 } else { 998 };
        longest.fields.push((element, "x".repeat(length)));
    }
    longest.fields.sort_by_key(|(element, _)| *element);
    let frame = framed(&rig.acquirer, &longest);
    assert!((4080..=4098).contains(&frame.len()), "{}", frame.len());
    rig.send(POS, &frame);
    let forwarded = rig.at_host().pop().expect("forwarded");
    let mut answer = answer_to(&forwarded, "00");
    answer.fields.push((44, "y".repeat(25)));
    answer.fields.push((54, "z".repeat(120)));
    answer.fields.sort_by_key(|(element, _)| *element);
    let frame = framed(&rig.partner, &answer);
    rig.send(HOST, &frame);
    rig.answer(&bystander, "00");
    assert!(rig.closes().is_empty());
    assert_eq!(rig.at_pos().len(), 2);
}

#[test]
fn damaged_answers_never_close_a_partner() {
    let mut rig = Rig::new();
    let forwarded = rig.sale(1);
    let mut frame = framed(&rig.partner, &answer_to(&forwarded, "00"));
    frame.push(0);
    frame[1] += 1;
    for _ in 0..10 {
        rig.send(HOST, &frame);
    }
    assert!(rig.closes().is_empty());
    rig.answer(&forwarded, "00");
    assert_eq!(rig.at_pos().len(), 1);
    assert_eq!(rig.count(Counter::AnswersDamaged), 10);
}
