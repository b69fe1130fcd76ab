//! Money: nothing is asked twice, and what nobody saw approved is taken back until it is.

use std::time::Duration;

use authswitch::base::ids::SessionId;
use authswitch::base::limits;
use authswitch::switch::{Counter, Event};

use crate::not_found::{LATE_WINDOW, TICK, asked_again};
use crate::rig::{
    ACQUIRER, BUDGET, HOST, PARTNER, POS, POS_2, Plain, Rig, answer_to, framed, plain, sale,
};

/// Longer than any copy waits for its answer and any second copy for its time.
pub(crate) const A_COPY_LATER: Duration = Duration::from_secs(8);

/// The next connection of the partner.
const HOST_2: SessionId = SessionId { slot: 1, generation: 2 };

/// Makes a moment of it: what the core does for its own sake is done with the next event.
fn turn(rig: &mut Rig) {
    rig.feed(Event::Deadline);
}

/// The one reversal the partner got, and nothing else.
#[track_caller]
pub(crate) fn one_reversal(rig: &mut Rig) -> Plain {
    let seen = rig.at_host();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].mti, "0420", "{seen:?}");
    seen[0].clone()
}

/// A sale that was given up, and its reversal, both as the partner saw them.
pub(crate) fn given_up(rig: &mut Rig, stan: u32) -> (Plain, Plain) {
    let seen = rig.sale(stan);
    rig.wait(BUDGET);
    let told = rig.at_pos();
    assert_eq!((told.len(), told[0].code()), (1, "91"));
    (seen, one_reversal(rig))
}

#[test]
fn a_repeat_of_what_was_answered_gets_the_same_answer_and_is_not_forwarded() {
    let cases = [
        ("00", "000000001250", Some("A1B2C3")),
        ("10", "000000000500", Some("A1B2C3")),
        ("05", "000000001250", None),
        ("Z3", "000000001250", None),
    ];
    for (code, amount, approval) in cases {
        let mut rig = Rig::new();
        let seen = rig.sale(1);
        let mut answer = answer_to(&seen, code).with(4, amount);
        if let Some(approval) = approval {
            answer = answer.with(38, approval);
        }
        rig.say(&answer);
        let first = rig.at_pos().pop().expect("answered");
        for (session, mti) in [(POS, "0201"), (POS, "0200"), (POS_2, "0201")] {
            rig.ask(session, &sale(1).typed(mti));
            let again = rig.at(session);
            assert_eq!(again.len(), 1, "{code} {mti}");
            for element in [3, 4, 7, 11, 37, 38, 39, 41, 42] {
                assert_eq!(again[0].of(element), first.of(element), "{code}: DE {element}");
            }
            assert_eq!(again[0].mti, "0210");
        }
        assert!(rig.at_host().is_empty());
        assert_eq!(rig.count(Counter::Repeats), 3);
    }
}

#[test]
fn a_repeat_of_what_is_in_flight_waits_for_the_same_answer() {
    let mut rig = Rig::new();
    let seen = rig.sale(1);
    rig.ask(POS_2, &sale(1).typed("0201"));
    rig.ask(POS, &sale(1));
    assert!(rig.at_host().is_empty() && rig.at_pos().is_empty() && rig.at(POS_2).is_empty());
    rig.say(&answer_to(&seen, "00").with(38, "A1B2C3"));
    let (first, other) = (rig.at_pos(), rig.at(POS_2));
    assert_eq!((first.len(), other.len()), (2, 1), "one for each that was asked");
    for told in first.iter().chain(&other) {
        assert_eq!((told.code(), told.of(38)), ("00", Some("A1B2C3")));
        assert_eq!((told.of(11), told.of(37)), (sale(1).of(11), sale(1).of(37)));
    }
}

#[test]
fn a_repeat_that_waits_is_declined_with_its_original() {
    let mut rig = Rig::new();
    rig.sale(1);
    rig.ask(POS_2, &sale(1).typed("0201"));
    rig.wait(BUDGET);
    for told in [rig.at_pos(), rig.at(POS_2)] {
        assert_eq!((told.len(), told[0].code()), (1, "91"));
    }
    one_reversal(&mut rig);
    rig.ask(POS_2, &sale(1).typed("0201"));
    assert_eq!(rig.at(POS_2)[0].code(), "91", "and stays so");
    assert!(rig.at_host().is_empty());
}

/// The connection that asked is gone; the one that asked again is told, so nothing is reversed.
#[test]
fn a_repeat_on_another_connection_saves_the_approval() {
    let mut rig = Rig::new();
    let seen = rig.sale(1);
    rig.feed(Event::Closed { session: POS });
    rig.ask(POS_2, &sale(1).typed("0201"));
    rig.answer(&seen, "00");
    assert_eq!(rig.at(POS_2)[0].code(), "00");
    turn(&mut rig);
    assert!(rig.at_host().is_empty());
}

#[test]
fn the_key_of_another_request_with_other_content_is_94() {
    let changes = [(4, "000000001251"), (2, "4761340000000027"), (49, "840"), (3, "200000")];
    for (element, value) in changes {
        for answered in [false, true] {
            let mut rig = Rig::new();
            let seen = rig.sale(1);
            if answered {
                rig.answer(&seen, "00");
                rig.at_pos();
            }
            rig.ask(POS, &sale(1).with(element, value));
            let told = rig.at_pos();
            assert_eq!((told.len(), told[0].code()), (1, "94"), "DE {element}");
            assert!(rig.at_host().is_empty());
            assert_eq!(rig.count(Counter::Conflicts), 1);
        }
    }
}

#[test]
fn another_terminal_merchant_moment_or_class_is_another_request() {
    let others = [
        sale(1).with(41, "TERM0002"),
        sale(1).with(42, "MERCHANT0000002"),
        sale(1).with(7, "1122021246"),
        sale(1).with(11, "000002"),
        sale(1).typed("0100"),
    ];
    for other in others {
        let mut rig = Rig::new();
        rig.sale(1);
        rig.ask(POS, &other);
        assert_eq!(rig.at_host().len(), 1, "{other:?}");
    }
}

#[test]
fn what_was_refused_stays_refused() {
    let mut rig = Rig::closed("pos-bcd", "pos-bcd", |_| ());
    rig.open(POS, ACQUIRER);
    rig.ask(POS, &sale(1));
    assert_eq!(rig.at_pos()[0].code(), "91");
    rig.open(HOST, PARTNER);
    rig.ask(POS, &sale(1).typed("0201"));
    assert_eq!(rig.at_pos()[0].code(), "91");
    assert!(rig.at_host().is_empty());
    // The next one goes through.
    rig.sale(2);
}

#[test]
fn what_is_silent_is_reversed_by_the_name_the_partner_knows() {
    let pairs = [
        ("pos-bcd", "pos-bcd"),
        ("pos-bcd", "iso87-ascii"),
        ("iso87-ascii", "pos-bcd"),
        ("pos-bcd", "mastercard-ebcdic"),
    ];
    for (acquirer, partner) in pairs {
        let mut rig = Rig::with(acquirer, partner, |_| ());
        let request = sale(1).with(32, "123456").with(33, "98765432109");
        rig.ask(POS, &request);
        let seen = rig.at_host().pop().expect("forwarded");
        rig.wait(BUDGET);
        assert_eq!(rig.at_pos()[0].code(), "91");
        let reversal = one_reversal(&mut rig);
        let stan = seen.of(11).expect("a STAN");
        let named = format!("0200{stan}1122021245{:0>11}{}", "123456", "98765432109");
        assert_eq!(reversal.of(90), Some(named.as_str()), "{acquirer} to {partner}");
        for element in [2, 3, 4, 32, 33, 37, 41, 42, 49] {
            assert_eq!(reversal.of(element), request.of(element), "DE {element} to {partner}");
        }
        assert_ne!(reversal.of(11), Some(stan), "a STAN of its own");
        assert_eq!(rig.count(Counter::ReversalsOwed), 1);
        rig.answer(&reversal, "00");
        assert_eq!(rig.count(Counter::ReversalsDone), 1);
        rig.wait(Duration::from_secs(3600));
        assert!(rig.at_host().is_empty(), "taken is taken");
    }
}

/// Nothing that may not be kept is in a reversal, however it is written.
#[test]
fn a_reversal_has_no_track_pin_or_chip_data() {
    for partner in ["pos-bcd", "iso87-ascii"] {
        let mut rig = Rig::with("pos-bcd", partner, |_| ());
        let request = sale(1)
            .with(35, "4761340000000019=2912201543211234")
            .with(52, "0123456789ABCDEF")
            .with(55, "9F2608A1B2C3D4E5F6070857114761340000000019D2912201543211234F");
        rig.ask(POS, &request);
        assert!(rig.at_host()[0].of(35).is_some(), "the request had it");
        rig.wait(BUDGET);
        let sent = rig.bytes(HOST);
        let reversal = plain(&rig.partner.clone(), &sent).pop().expect("a reversal");
        assert_eq!(reversal.mti, "0420");
        for element in [35, 36, 45, 52, 53, 55] {
            assert_eq!(reversal.of(element), None, "DE {element}");
        }
        let hex: String = sent.iter().map(|byte| format!("{byte:02X}")).collect();
        let text = String::from_utf8_lossy(&sent);
        let secrets = ["543211234", "2912201", "0123456789ABCDEF", "A1B2C3D4E5F60708"];
        for secret in secrets {
            assert!(!hex.contains(secret) && !text.contains(secret), "{secret} to {partner}");
        }
        assert_eq!(reversal.of(2), Some("4761340000000019"), "the card it is");
    }
}

#[test]
fn a_second_copy_is_the_first_but_for_its_type() {
    for partner in ["pos-bcd", "iso87-ascii", "mastercard-ebcdic"] {
        let mut rig = Rig::with("pos-bcd", partner, |_| ());
        rig.sale(1);
        rig.wait(BUDGET);
        let first = rig.bytes(HOST);
        rig.wait(limits::SAF_ANSWER_DEADLINE);
        assert!(rig.bytes(HOST).is_empty(), "not before its time is out, and the back-off");
        for copy in 2..6 {
            rig.now.wall = authswitch::base::time::Wall::from_unix_s(1_795_400_000 + copy);
            rig.wait(Duration::from_secs(400));
            let next = rig.bytes(HOST);
            let messages = plain(&rig.partner.clone(), &next);
            assert!(!messages.is_empty(), "copy {copy}");
            assert!(messages.iter().all(|message| message.mti == "0421"), "{messages:?}");
            let next = &next[..first.len()];
            let differ: Vec<usize> =
                (0..first.len()).filter(|at| first[*at] != next[*at]).collect();
            assert_eq!(differ.len(), 1, "copy {copy}: bytes {differ:?}");
        }
    }
}

#[test]
fn an_answer_to_another_reversal_settles_nothing() {
    let wrong = [(11, "000123"), (37, "000000999999"), (41, "TERM0002"), (7, "0101010101")];
    for (element, value) in wrong {
        let mut rig = Rig::new();
        let (_, reversal) = given_up(&mut rig, 1);
        rig.say(&answer_to(&reversal, "00").with(element, value));
        assert_eq!(rig.count(Counter::ReversalsDone), 0, "DE {element}");
        assert_eq!(rig.count(Counter::UnmatchedAnswers), 1, "DE {element}");
        rig.wait(A_COPY_LATER);
        let again = rig.at_host();
        assert_eq!((again.len(), again[0].mti.as_str()), (1, "0421"), "DE {element}");
        rig.answer(&again[0], "00");
        assert_eq!(rig.count(Counter::ReversalsDone), 1);
    }
}

#[test]
fn each_of_two_reversals_is_settled_by_its_own_answer() {
    let mut rig = Rig::new();
    rig.sale(1);
    rig.sale(2);
    rig.wait(BUDGET);
    let both = rig.at_host();
    assert_eq!(both.len(), 2);
    rig.answer(&both[1], "00");
    rig.wait(A_COPY_LATER);
    let again = rig.at_host();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].of(90), both[0].of(90), "the one that was not answered");
}

/// Its answer takes longer than a copy waits: it counts all the same.
#[test]
fn a_late_answer_to_a_reversal_settles_it() {
    for code in ["00", "25"] {
        let mut rig = Rig::new();
        let (_, reversal) = given_up(&mut rig, 1);
        rig.wait(limits::SAF_ANSWER_DEADLINE + Duration::from_millis(1));
        assert!(rig.at_host().is_empty(), "it backs off");
        rig.answer(&reversal, code);
        if code == "25" {
            rig.wait(LATE_WINDOW + TICK);
            let again = asked_again(&mut rig, &reversal);
            rig.answer(&again, code);
        }
        rig.wait(Duration::from_secs(3600));
        assert!(rig.at_host().is_empty(), "{code}: nothing is sent any more");
        assert_eq!(rig.count(Counter::ReversalsDone), 1);
        assert_eq!(rig.count(Counter::UnmatchedAnswers), 0);
    }
}

#[test]
fn what_the_answer_to_a_reversal_says_is_done() {
    // Code, done at once, exceptions, tried again.
    let cases = [
        ("00", 1, 0, false),
        ("21", 1, 0, false),
        ("94", 1, 0, false),
        ("25", 0, 0, false),
        ("30", 0, 1, false),
        ("12", 0, 1, false),
        ("91", 0, 0, true),
        ("96", 0, 0, true),
    ];
    for (code, done, exceptions, again) in cases {
        let mut rig = Rig::new();
        let (_, reversal) = given_up(&mut rig, 1);
        rig.answer(&reversal, code);
        let counted = (rig.count(Counter::ReversalsDone), rig.count(Counter::Exceptions));
        assert_eq!(counted, (done, exceptions), "{code}");
        rig.wait(Duration::from_secs(4));
        let seen = rig.at_host();
        assert_eq!(!seen.is_empty(), again, "{code}: {seen:?}");
        assert!(seen.iter().all(|message| message.mti == "0421"));
    }
}

/// "Not found" may be said by who has not yet read the request.
#[test]
fn not_found_and_then_approved_is_sent_again() {
    let mut rig = Rig::new();
    let (seen, reversal) = given_up(&mut rig, 1);
    rig.answer(&reversal, "25");
    rig.wait(Duration::from_secs(30));
    assert!(rig.at_host().is_empty());
    rig.answer(&seen, "00");
    assert!(rig.at_pos().is_empty(), "a late approval is nobody's");
    let again = rig.at_host();
    assert_eq!((again.len(), again[0].mti.as_str()), (1, "0421"));
    assert_eq!(again[0].clone().typed("0420"), reversal);
    rig.answer(&again[0], "00");
    assert_eq!(rig.count(Counter::ReversalsDone), 1);
}

/// A partner answers on which of its connections it likes: on another worker's, that may be.
#[test]
fn what_comes_on_another_workers_connection_counts_as_if_it_came_on_ours() {
    let mut rig = Rig::new();
    let asked = rig.sale(1);
    rig.relayed(&answer_to(&asked, "00"));
    assert_eq!(rig.at_pos()[0].code(), "00");
    let (seen, reversal) = given_up(&mut rig, 2);
    rig.relayed(&answer_to(&reversal, "25"));
    rig.feed(Event::Closed { session: HOST });
    rig.wait(Duration::from_secs(30));
    rig.relayed(&answer_to(&seen, "00"));
    rig.open(HOST, PARTNER);
    let again = rig.at_host();
    assert_eq!(again.len(), 1, "it was heard though we had no connection: {again:?}");
    assert_eq!(again[0].clone().typed("0420"), reversal);
}

#[test]
fn what_was_in_flight_on_a_lost_connection_is_reversed_on_the_next() {
    let mut rig = Rig::new();
    let seen: Vec<Plain> = (1..=20).map(|stan| rig.sale(stan)).collect();
    rig.feed(Event::Closed { session: HOST });
    assert!(rig.at_pos().iter().all(|told| told.code() == "91"));
    rig.wait(Duration::from_secs(60));
    rig.open(HOST_2, PARTNER);
    let mut reversals = Vec::new();
    while reversals.len() < 20 {
        let bytes = rig.bytes(HOST_2);
        let some = plain(&rig.partner.clone(), &bytes);
        assert!(!some.is_empty(), "only {} of 20", reversals.len());
        for reversal in &some {
            let frame = framed(&rig.partner, &answer_to(reversal, "00"));
            rig.send(HOST_2, &frame);
        }
        reversals.extend(some);
        rig.wait(Duration::from_millis(5));
    }
    for (seen, reversal) in seen.iter().zip(&reversals) {
        assert_eq!(reversal.mti, "0420");
        assert_eq!(reversal.of(90).map(|named| &named[4..10]), seen.of(11));
    }
    assert_eq!(rig.count(Counter::ReversalsDone), 20);
    rig.wait(Duration::from_secs(3600));
    assert!(rig.bytes(HOST_2).is_empty());
}

/// A copy may have arrived before its connection was lost: the next is a repeat.
#[test]
fn a_reversal_whose_connection_is_lost_is_repeated_on_the_next() {
    let mut rig = Rig::new();
    let (_, reversal) = given_up(&mut rig, 1);
    rig.feed(Event::Closed { session: HOST });
    rig.wait(Duration::from_millis(100));
    rig.open(HOST_2, PARTNER);
    let bytes = rig.bytes(HOST_2);
    let again = plain(&rig.partner.clone(), &bytes);
    assert_eq!(again, [reversal.typed("0421")]);
}

/// Approved, or a part of it, and the terminal has hung up: as much is taken back.
#[test]
fn an_approval_that_nobody_can_be_told_is_reversed() {
    for (code, amount) in [("00", "000000001250"), ("10", "000000000500")] {
        let mut rig = Rig::new();
        let seen = rig.sale(1);
        rig.feed(Event::Closed { session: POS });
        rig.say(&answer_to(&seen, code).with(4, amount).with(38, "A1B2C3"));
        let reversal = one_reversal(&mut rig);
        assert_eq!((reversal.of(4), reversal.of(38)), (Some(amount), Some("A1B2C3")));
        assert_eq!(rig.count(Counter::Undelivered), 1);
        assert!(rig.at(POS_2).is_empty());
        rig.ask(POS_2, &sale(1).typed("0201"));
        assert_eq!(rig.at(POS_2)[0].code(), "91", "never approved again");
    }
}

#[test]
fn a_decline_that_nobody_can_be_told_is_not_reversed() {
    let mut rig = Rig::new();
    let seen = rig.sale(1);
    rig.feed(Event::Closed { session: POS });
    rig.answer(&seen, "05");
    turn(&mut rig);
    assert!(rig.at_host().is_empty());
    assert_eq!(rig.count(Counter::ReversalsOwed), 0);
}

/// Whether the kernel took the whole approval decides: what it took may have been seen.
#[test]
fn an_approval_is_reversed_if_the_kernel_did_not_take_it_whole() {
    for missing in [0, 1, 50] {
        let mut rig = Rig::new();
        let seen = rig.sale(1);
        rig.answer(&seen, "00");
        let ready = rig.outbox.unwritten(POS).len();
        rig.outbox.wrote(POS, ready - missing);
        rig.feed(Event::Closed { session: POS });
        if missing == 0 {
            assert!(rig.at_host().is_empty());
        } else {
            one_reversal(&mut rig);
        }
    }
}

#[test]
fn a_decline_that_becomes_an_approval_is_reversed_once() {
    let mut rig = Rig::new();
    let seen = rig.sale(1);
    rig.answer(&seen, "05");
    assert_eq!(rig.at_pos()[0].code(), "05");
    rig.answer(&seen, "00");
    one_reversal(&mut rig);
    rig.answer(&seen, "00");
    assert!(rig.at_host().is_empty() && rig.at_pos().is_empty());
    rig.ask(POS, &sale(1).typed("0201"));
    assert_ne!(rig.at_pos()[0].code(), "00");
}

#[test]
fn a_decline_that_becomes_a_partial_approval_is_reversed_in_part() {
    let mut rig = Rig::new();
    let seen = rig.sale(1);
    rig.answer(&seen, "05");
    rig.say(&answer_to(&seen, "10").with(4, "000000000500"));
    assert_eq!(one_reversal(&mut rig).of(4), Some("000000000500"));
}

#[test]
fn an_approval_that_becomes_a_decline_is_an_exception_and_not_reversed() {
    let mut rig = Rig::new();
    let seen = rig.sale(1);
    rig.answer(&seen, "00");
    assert_eq!(rig.at_pos()[0].code(), "00");
    rig.answer(&seen, "05");
    turn(&mut rig);
    assert!(rig.at_host().is_empty() && rig.at_pos().is_empty());
    assert_eq!(rig.count(Counter::Exceptions), 1);
}

/// The answer can be read but not written in the terminal's dialect.
#[test]
fn an_approval_that_cannot_be_written_for_the_terminal_is_reversed() {
    let mut rig = Rig::with("pos-bcd", "mastercard-ebcdic", |_| ());
    let seen = rig.sale(1);
    rig.say(&answer_to(&seen, "00").with(38, "A-B C."));
    let told = rig.at_pos();
    assert_eq!(told.len(), 1);
    assert_ne!(told[0].code(), "00");
    one_reversal(&mut rig);
}
