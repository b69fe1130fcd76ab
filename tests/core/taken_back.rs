//! Reversals that terminals ask for: of what they asked themselves, once, and never of another's.

use std::time::Duration;

use authswitch::base::ids::SessionId;
use authswitch::switch::{Counter, Event};

use crate::money::{A_COPY_LATER, one_reversal};
use crate::rig::{ACQUIRER, BUDGET, HOST, PARTNER, POS, POS_2, Plain, Rig, answer_to, sale};

/// The reversal of `sale(stan)` as its terminal asks for it, with a STAN of its own.
fn reversal(stan: u32) -> Plain {
    sale(stan)
        .typed("0400")
        .with(7, "1122021300")
        .with(11, &format!("{:06}", stan + 5000))
        .with(90, &format!("0200{stan:06}1122021245{:022}", 0))
}

/// The same from a terminal that does not say DE 90 but uses its STAN again.
fn bare_reversal(stan: u32) -> Plain {
    sale(stan).typed("0400").with(7, "1122021300")
}

/// Checks that all the POS heard was this, in this order.
#[track_caller]
fn hears(rig: &mut Rig, expected: &[(&str, &str)]) {
    let told = rig.at_pos();
    let told: Vec<(&str, &str)> =
        told.iter().map(|told| (told.mti.as_str(), told.code())).collect();
    assert_eq!(told, expected);
}

type Asked = fn(u32) -> Plain;
const BOTH: [Asked; 2] = [reversal, bare_reversal];

/// Of two that its STAN names a reversal without DE 90 means the one whose DE 7 it has, else the
/// newest.
#[test]
fn a_stan_that_came_round_is_told_by_its_moment() {
    for (moment, expected) in [
        ("1122021245", "01001122021245"),
        ("1122021250", "02001122021250"),
        ("1122021255", "02001122021250"),
    ] {
        let mut rig = Rig::new();
        for (mti, asked_at) in [("0100", "1122021245"), ("0200", "1122021250")] {
            rig.ask(POS, &sale(1).typed(mti).with(7, asked_at));
            let seen = rig.at_host().pop().expect("forwarded");
            rig.say(&answer_to(&seen, "00"));
            rig.at_pos();
        }
        rig.ask(POS, &sale(1).typed("0400").with(7, moment));
        hears(&mut rig, &[("0410", "00")]);
        let owed = one_reversal(&mut rig);
        let named = owed.of(90).expect("there");
        assert_eq!([&named[..4], &named[10..20]].concat(), expected);
    }
}

fn approved(rig: &mut Rig) {
    let seen = rig.sale(1);
    rig.say(&answer_to(&seen, "00"));
    hears(rig, &[("0210", "00")]);
}

/// Not what was asked for: it is owed as before.
#[test]
fn an_answer_to_a_reversal_may_contradict_it_in_nothing() {
    let mut rig = Rig::new();
    approved(&mut rig);
    rig.ask(POS, &reversal(1));
    hears(&mut rig, &[("0410", "00")]);
    let owed = one_reversal(&mut rig);
    let right = answer_to(&owed, "00");
    let bare = [4, 3, 7, 37, 41, 42, 49, 90].into_iter().fold(right.clone(), Plain::without);
    let wrong = [
        right.clone().with(2, "4761340000000027"),
        right.clone().with(4, "000000001251"),
        right.clone().with(49, "840"),
        bare,
    ];
    for (count, wrong) in (1..).zip(wrong) {
        rig.say(&wrong);
        assert_eq!(rig.count(Counter::UnmatchedAnswers), count, "{wrong:?}");
    }
    rig.say(&right);
    assert_eq!(rig.count(Counter::UnmatchedAnswers), 4);
}

/// Terminals that begin their STANs anew, and sell at fixed prices, name other sales by chance.
#[test]
fn a_reversal_of_another_account_or_currency_takes_nothing_back() {
    for asked in BOTH {
        for (element, other, code) in [(2, "4761340000000027", "25"), (49, "840", "64")] {
            let mut rig = Rig::new();
            approved(&mut rig);
            rig.ask(POS, &asked(1).with(element, other));
            hears(&mut rig, &[("0410", code)]);
            assert!(rig.at_host().is_empty(), "DE {element}");
            rig.ask(POS, &asked(1).typed("0401"));
            hears(&mut rig, &[("0410", "00")]);
            one_reversal(&mut rig);
        }
    }
    // By a STAN and no account: then the reference must be the same.
    let mut rig = Rig::new();
    approved(&mut rig);
    rig.ask(POS, &bare_reversal(1).without(2).with(37, "999999999999"));
    hears(&mut rig, &[("0410", "25")]);
    rig.ask(POS, &bare_reversal(1).without(2));
    hears(&mut rig, &[("0410", "00")]);
}

/// A wrong DE 90 is told "not found", and remembered; the sale is found all the same.
#[test]
fn what_was_never_asked_does_not_hide_a_sale_with_its_stan() {
    let mut rig = Rig::new();
    approved(&mut rig);
    let wrong = format!("02000000011122021246{:022}", 0);
    rig.ask(POS, &reversal(1).with(90, &wrong));
    hears(&mut rig, &[("0410", "25")]);
    rig.ask(POS, &bare_reversal(1));
    hears(&mut rig, &[("0410", "00")]);
    one_reversal(&mut rig);
}

/// The original gets no approval, not even when the partner gives one.
#[test]
fn what_is_in_flight_is_given_up_and_reversed() {
    for asked in BOTH {
        let mut rig = Rig::new();
        let seen = rig.sale(1);
        rig.ask(POS, &asked(1));
        hears(&mut rig, &[("0210", "91"), ("0410", "00")]);
        let owed = one_reversal(&mut rig);
        assert_eq!(owed.of(90).map(|named| &named[4..10]), seen.of(11));
        rig.answer(&seen, "00");
        hears(&mut rig, &[]);
        rig.ask(POS, &sale(1).typed("0201"));
        hears(&mut rig, &[("0210", "91")]);
        rig.answer(&owed, "00");
        rig.wait(BUDGET + A_COPY_LATER);
        assert!(rig.at_host().is_empty());
        assert_eq!(rig.count(Counter::AcquirerReversals), 1);
    }
}

#[test]
fn what_was_approved_is_reversed_once_however_often_it_is_asked() {
    for asked in BOTH {
        let mut rig = Rig::new();
        let seen = rig.sale(1);
        rig.say(&answer_to(&seen, "00").with(38, "A1B2C3"));
        hears(&mut rig, &[("0210", "00")]);
        rig.ask(POS, &asked(1));
        hears(&mut rig, &[("0410", "00")]);
        let owed = one_reversal(&mut rig);
        assert_eq!((owed.of(4), owed.of(38)), (sale(1).of(4), Some("A1B2C3")));
        rig.answer(&owed, "00");
        for mti in ["0401", "0400", "0421"] {
            rig.ask(POS, &asked(1).typed(mti));
            let mti = if mti == "0421" { "0430" } else { "0410" };
            hears(&mut rig, &[(mti, "00")]);
        }
        rig.wait(Duration::from_secs(60));
        assert!(rig.at_host().is_empty(), "one reversal");
        assert_eq!(rig.count(Counter::ReversalsOwed), 1);
        // What was taken back is not approved again.
        rig.ask(POS, &sale(1).typed("0201"));
        hears(&mut rig, &[("0210", "91")]);
    }
}

#[test]
fn the_part_that_was_approved_may_be_named_or_the_whole() {
    for amount in ["000000000500", "000000001250"] {
        let mut rig = Rig::new();
        let seen = rig.sale(1);
        rig.say(&answer_to(&seen, "10").with(4, "000000000500"));
        hears(&mut rig, &[("0210", "10")]);
        rig.ask(POS, &reversal(1).with(4, amount));
        hears(&mut rig, &[("0410", "00")]);
        assert_eq!(one_reversal(&mut rig).of(4), Some("000000000500"));
    }
}

#[test]
fn what_was_declined_is_taken_back_without_asking_the_partner() {
    for asked in BOTH {
        let mut rig = Rig::new();
        let seen = rig.sale(1);
        rig.answer(&seen, "05");
        rig.ask(POS, &asked(1));
        rig.ask(POS, &asked(1).typed("0401"));
        hears(&mut rig, &[("0210", "05"), ("0410", "00"), ("0410", "00")]);
        assert!(rig.at_host().is_empty());
    }
}

/// What the switch refused itself was asked too: its terminal may take it back, as often as it
/// likes.
#[test]
fn what_was_refused_is_taken_back_without_asking_the_partner() {
    for asked in BOTH {
        let mut rig = Rig::closed("pos-bcd", "pos-bcd", |_| ());
        rig.open(POS, ACQUIRER);
        rig.ask(POS, &sale(1));
        rig.ask(POS, &asked(1));
        rig.ask(POS, &asked(1).typed("0401"));
        hears(&mut rig, &[("0210", "91"), ("0410", "00"), ("0410", "00")]);
        rig.open(HOST, PARTNER);
        rig.ask(POS, &sale(1).typed("0201"));
        hears(&mut rig, &[("0210", "91")]);
        assert!(rig.at_host().is_empty());
    }
}

/// What timed out is reversed by the switch; that its terminal wants it too changes nothing.
#[test]
fn what_was_given_up_is_not_reversed_twice() {
    let mut rig = Rig::new();
    rig.sale(1);
    rig.wait(BUDGET);
    let owed = one_reversal(&mut rig);
    rig.ask(POS, &reversal(1));
    rig.ask(POS, &reversal(1).typed("0401"));
    hears(&mut rig, &[("0210", "91"), ("0410", "00"), ("0410", "00")]);
    rig.answer(&owed, "00");
    rig.wait(Duration::from_secs(60));
    assert!(rig.at_host().is_empty());
}

#[test]
fn what_is_another_terminals_is_not_touched() {
    for asked in BOTH {
        for (element, value) in [(41, "TERM0002"), (42, "MERCHANT0000002")] {
            let mut rig = Rig::new();
            let seen = rig.sale(1);
            rig.ask(POS_2, &asked(1).with(element, value));
            assert_eq!(rig.at(POS_2)[0].code(), "25", "DE {element}");
            assert!(rig.at_host().is_empty());
            assert_eq!(rig.count(Counter::UnknownOriginals), 1);
            rig.answer(&seen, "00");
            hears(&mut rig, &[("0210", "00")]);
            rig.ask(POS_2, &asked(1).with(element, value));
            assert_eq!(rig.at(POS_2)[0].code(), "25", "DE {element}");
            assert!(rig.at_host().is_empty(), "approved stays approved");
        }
    }
}

#[test]
fn another_amount_than_asked_is_64_and_changes_nothing() {
    for answered in [false, true] {
        let mut rig = Rig::new();
        let seen = rig.sale(1);
        if answered {
            rig.answer(&seen, "00");
        }
        rig.at_pos();
        rig.ask(POS, &reversal(1).with(4, "000000001249"));
        hears(&mut rig, &[("0410", "64")]);
        assert!(rig.at_host().is_empty());
        assert_eq!(rig.count(Counter::SecurityEvents), 1);
        if !answered {
            rig.answer(&seen, "00");
            hears(&mut rig, &[("0210", "00")]);
        }
        rig.ask(POS, &reversal(1));
        hears(&mut rig, &[("0410", "00")]);
        one_reversal(&mut rig);
    }
}

/// The request comes after its reversal, delayed on another connection: it is not asked.
#[test]
fn what_was_never_asked_is_25_each_time_and_refused_should_it_come() {
    for asked in BOTH {
        let mut rig = Rig::new();
        rig.ask(POS, &asked(1));
        rig.ask(POS, &asked(1).typed("0401"));
        hears(&mut rig, &[("0410", "25"), ("0410", "25")]);
        rig.ask(POS_2, &sale(1));
        let told = rig.at(POS_2);
        assert_eq!(told.len(), 1);
        assert_ne!(told[0].code(), "00");
        assert!(rig.at_host().is_empty(), "not forwarded");
        assert_eq!(rig.count(Counter::UnknownOriginals), 2);
        // The terminal's next sale is another one.
        rig.sale(2);
    }
}

/// A terminal that starts its STANs anew is not held to what it took back the day before.
#[test]
fn what_was_never_asked_does_not_stand_in_the_way_for_ever() {
    let mut rig = Rig::new();
    rig.ask(POS, &bare_reversal(1));
    hears(&mut rig, &[("0410", "25")]);
    rig.feed(Event::Closed { session: POS });
    rig.wait(Duration::from_secs(86_400));
    let next = SessionId { slot: 0, generation: 2 };
    rig.open(next, ACQUIRER);
    rig.ask(next, &sale(1).with(7, "1123021245"));
    assert_eq!(rig.at_host().len(), 1);
}

/// DE 95 asks for less than all to be taken back: that is not carried, so it is not promised.
#[test]
fn a_reversal_of_a_part_is_refused() {
    let mut rig = Rig::new();
    let seen = rig.sale(1);
    rig.answer(&seen, "00");
    rig.at_pos();
    let part = format!("{:0>12}{:0>30}", 500, 0);
    rig.ask(POS, &reversal(1).with(95, &part));
    hears(&mut rig, &[("0410", "13")]);
    assert!(rig.at_host().is_empty());
    rig.ask(POS, &reversal(1).with(95, &format!("{:042}", 0)));
    hears(&mut rig, &[("0410", "00")]);
    one_reversal(&mut rig);
}

/// Between unlike dialects the partner is told in its own.
#[test]
fn what_is_taken_back_is_reversed_in_the_partners_dialect() {
    for partner in ["iso87-ascii", "mastercard-ebcdic"] {
        let mut rig = Rig::with("pos-bcd", partner, |_| ());
        let seen = rig.sale(1);
        rig.answer(&seen, "00");
        rig.ask(POS, &reversal(1));
        hears(&mut rig, &[("0210", "00"), ("0410", "00")]);
        let owed = one_reversal(&mut rig);
        let stan = seen.of(11).expect("a STAN");
        let named = format!("0200{stan}1122021245{:022}", 0);
        assert_eq!(owed.of(90), Some(named.as_str()), "{partner}");
    }
}

/// Two copies of one approval in one lane: the terminal has the first when the kernel took that.
#[test]
fn an_approval_that_was_handed_once_is_not_reversed_for_its_second_copy() {
    let mut rig = Rig::new();
    let seen = rig.sale(1);
    rig.ask(POS, &sale(1).typed("0201"));
    rig.say(&answer_to(&seen, "00"));
    assert_eq!(rig.outbox.next_dirty(), Some(POS));
    let both = rig.outbox.unwritten(POS).len();
    rig.outbox.wrote(POS, both / 2);
    rig.feed(Event::Closed { session: POS });
    rig.feed(Event::Deadline);
    assert!(rig.at_host().is_empty(), "the terminal has seen it approved");

    let mut rig = Rig::new();
    let seen = rig.sale(1);
    rig.ask(POS, &sale(1).typed("0201"));
    rig.say(&answer_to(&seen, "00"));
    assert_eq!(rig.outbox.next_dirty(), Some(POS));
    rig.outbox.wrote(POS, both / 2 - 1);
    rig.feed(Event::Closed { session: POS });
    rig.feed(Event::Deadline);
    assert_eq!(rig.at_host().len(), 1, "it has seen neither whole");
}
