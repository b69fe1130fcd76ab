//! Voids and refunds: they go to whoever has what they undo.

use crate::advices::{OTHER, OTHER_HOST, at_other, two_partners};
use authswitch::switch::stats::Counter;

use crate::rig::{ACQUIRER, HOST, PARTNER, POS, Plain, Rig, answer_to, framed, sale};

/// A void or refund of the sale with `stan`, under a STAN of its own.
pub(crate) fn undoing(own: u32, stan: u32, kind: &str) -> Plain {
    let named = format!("0200{stan:06}1122021245{:022}", 0);
    let undoing = sale(own).with(3, kind).with(7, "1122040000").with(90, &named);
    undoing.with(37, sale(stan).of(37).expect("there"))
}

/// A sale that the second partner approved, since the first was down; now both are up.
fn sold_elsewhere(partner: &str) -> (Rig, Plain) {
    let mut rig = Rig::closed("pos-bcd", partner, two_partners);
    rig.open(POS, ACQUIRER);
    rig.open(OTHER_HOST, OTHER);
    rig.ask(POS, &sale(1));
    let asked = at_other(&mut rig).pop().expect("the first is down");
    let answer = answer_to(&asked, "00").with(38, "ZZ0001");
    rig.send(OTHER_HOST, &framed(&rig.partner.clone(), &answer));
    assert_eq!(rig.at_pos().pop().expect("answered").code(), "00");
    rig.open(HOST, PARTNER);
    (rig, asked)
}

#[test]
fn what_undoes_a_sale_goes_to_the_partner_that_has_it() {
    for partner in ["pos-bcd", "iso87-ascii"] {
        for kind in ["020000", "200000"] {
            let (mut rig, asked) = sold_elsewhere(partner);
            rig.ask(POS, &undoing(7, 1, kind));
            assert!(rig.at_host().is_empty(), "not by its route");
            let seen = at_other(&mut rig).pop().expect("forwarded");
            assert_eq!((&*seen.mti, seen.of(3)), ("0200", Some(kind)));
            assert_ne!(seen.of(11), Some("000007"), "under a STAN of ours");
            let name = seen.of(90).expect("named as this partner knows it");
            assert_eq!(&name[..20], format!("0200{}1122021245", asked.of(11).expect("there")));
            for element in [2, 4, 7, 37, 41, 42, 49] {
                assert_eq!(seen.of(element), undoing(7, 1, kind).of(element), "DE {element}");
            }
            let answer = framed(&rig.partner.clone(), &answer_to(&seen, "00"));
            rig.send(OTHER_HOST, &answer);
            let told = rig.at_pos().pop().expect("answered");
            assert_eq!((told.code(), told.of(11)), ("00", Some("000007")));
        }
    }
}

/// As terminals do that have no DE 90: RRN and approval code of the original.
#[test]
fn an_original_is_known_by_its_reference_and_approval_code() {
    let (mut rig, _) = sold_elsewhere("pos-bcd");
    let by_reference = undoing(7, 1, "020000").without(90).with(38, "ZZ0001");
    rig.ask(POS, &by_reference);
    assert_eq!(at_other(&mut rig).len(), 1);
    for (stan, change) in [
        (8, by_reference.clone().with(38, "ZZ0002")),
        (9, by_reference.clone().with(37, "000000999999")),
        (10, by_reference.clone().with(42, "MERCHANT0000002")),
        (11, by_reference.clone().without(38)),
    ] {
        rig.ask(POS, &change.with(11, &format!("{stan:06}")));
        assert_eq!(rig.at_host().len(), 1, "another's, by its route: {stan}");
    }
}

#[test]
fn what_undoes_something_unknown_goes_by_its_route_as_it_came() {
    let (mut rig, _) = sold_elsewhere("pos-bcd");
    let unknown = undoing(7, 99, "200000");
    rig.ask(POS, &unknown);
    let seen = rig.at_host().pop().expect("forwarded");
    assert_eq!(seen.of(90), unknown.of(90));
    let foreign = undoing(8, 1, "200000").with(41, "TERM0002");
    rig.ask(POS, &foreign);
    let seen = rig.at_host().pop().expect("another terminal's original binds nothing");
    assert_eq!(seen.of(90), foreign.of(90));
}

/// The partner that has the sale is down: nobody else can undo it.
#[test]
fn what_is_bound_to_a_partner_that_is_down_is_declined() {
    let (mut rig, _) = sold_elsewhere("pos-bcd");
    rig.feed(authswitch::switch::Event::Closed { session: OTHER_HOST });
    rig.ask(POS, &undoing(7, 1, "020000"));
    assert_eq!(rig.at_pos().pop().expect("answered").code(), "91");
    assert!(rig.at_host().is_empty());
}

/// A refund of so much of the sale with `stan`.
fn part_of(own: u32, stan: u32, amount: u64) -> Plain {
    undoing(own, stan, "200000").with(4, &format!("{amount:012}"))
}

/// What the terminal hears, and whether the partner was asked.
fn refunded(rig: &mut Rig, refund: &Plain, code: &str) -> (String, bool) {
    rig.ask(POS, refund);
    let seen = at_other(rig).pop();
    if let Some(seen) = &seen {
        let answer = framed(&rig.partner.clone(), &answer_to(seen, code));
        rig.send(OTHER_HOST, &answer);
    }
    let told = rig.at_pos().pop().expect("answered");
    (told.code().to_owned(), seen.is_some())
}

fn asked(code: &str) -> (String, bool) {
    (code.to_owned(), true)
}

fn refused(code: &str) -> (String, bool) {
    (code.to_owned(), false)
}

/// The sale is 1,250.
#[test]
fn refunds_of_a_sale_are_no_more_than_the_sale() {
    let (mut rig, _) = sold_elsewhere("pos-bcd");
    assert_eq!(refunded(&mut rig, &part_of(7, 1, 1251), "00"), refused("13"));
    assert_eq!(refunded(&mut rig, &part_of(8, 1, 500), "00"), asked("00"));
    assert_eq!(refunded(&mut rig, &part_of(8, 1, 500), "00"), refused("00"), "the same again");
    assert_eq!(refunded(&mut rig, &part_of(9, 1, 751), "00"), refused("13"));
    assert_eq!(refunded(&mut rig, &part_of(10, 1, 750), "05"), asked("05"));
    // What was declined weighs nothing; what was given back does, in whatever way.
    assert_eq!(refunded(&mut rig, &part_of(11, 1, 750), "00"), asked("00"));
    assert_eq!(refunded(&mut rig, &part_of(12, 1, 1), "00"), refused("13"));
    assert_eq!(refunded(&mut rig, &undoing(13, 1, "020000"), "00"), refused("13"), "a void");
    assert_eq!(rig.count(Counter::RefundsExceeding), 4);
}

/// Who tells what was given back, instead of asking, is held to the same.
#[test]
fn refunds_that_are_told_are_no_more_than_the_sale_either() {
    for kind in ["200000", "220000", "020000"] {
        let (mut rig, _) = sold_elsewhere("pos-bcd");
        let told = |own, amount: u64| {
            let part = part_of(own, 1, amount).with(3, kind);
            part.typed("0220")
        };
        assert_eq!(refunded(&mut rig, &told(7, 1251), "00"), refused("13"));
        assert_eq!(refunded(&mut rig, &told(8, 1000), "00"), asked("00"));
        assert_eq!(refunded(&mut rig, &told(8, 1000), "00"), refused("00"), "the same again");
        assert_eq!(refunded(&mut rig, &told(9, 251), "00"), refused("13"));
        assert_eq!(refunded(&mut rig, &part_of(10, 1, 251), "00"), refused("13"), "asked");
        assert_eq!(refunded(&mut rig, &told(11, 250), "00"), asked("00"));
    }
}

/// Money goes back to where it came from.
#[test]
fn a_refund_to_another_account_is_refused() {
    for mti in ["0200", "0220"] {
        let (mut rig, _) = sold_elsewhere("pos-bcd");
        let other = part_of(7, 1, 10).typed(mti).with(2, "4761340000000027");
        assert_eq!(refunded(&mut rig, &other, "00"), refused("25"), "{mti}");
        let unsaid = part_of(8, 1, 10).typed(mti).without(2).with(35, "4761340000000019D2912");
        assert_eq!(refunded(&mut rig, &unsaid, "00"), asked("00"), "{mti}");
    }
}

#[test]
fn a_refund_in_another_currency_cannot_be_summed() {
    let (mut rig, _) = sold_elsewhere("pos-bcd");
    let refund = part_of(7, 1, 10).with(49, "840");
    assert_eq!(refunded(&mut rig, &refund, "00"), refused("13"));
}

/// Two refunds in flight at once, and one that times out and is taken back.
#[test]
fn a_refund_weighs_while_it_is_in_flight_and_no_more_once_it_is_taken_back() {
    let (mut rig, _) = sold_elsewhere("pos-bcd");
    rig.ask(POS, &part_of(7, 1, 1000));
    assert_eq!(at_other(&mut rig).len(), 1);
    assert_eq!(refunded(&mut rig, &part_of(8, 1, 1000), "00"), refused("13"));
    rig.wait(std::time::Duration::from_secs(60));
    assert_eq!(rig.at_pos().pop().expect("answered").code(), "91");
    let seen = at_other(&mut rig);
    assert!(seen.iter().any(|message| message.mti.starts_with("042")), "it is taken back");
    assert_eq!(refunded(&mut rig, &part_of(9, 1, 1000), "00"), asked("00"));
    assert_eq!(refunded(&mut rig, &part_of(10, 1, 1000), "00"), refused("13"));
}

/// Its terminal takes a refund back, and gives the money back again.
#[test]
fn a_refund_that_its_terminal_takes_back_can_be_made_again() {
    let (mut rig, _) = sold_elsewhere("pos-bcd");
    let refund = part_of(7, 1, 1250);
    assert_eq!(refunded(&mut rig, &refund, "00"), asked("00"));
    let named = format!("02000000071122040000{:022}", 0);
    let reversal = refund.clone().typed("0400").with(11, "000020").with(90, &named);
    rig.ask(POS, &reversal);
    assert_eq!(rig.at_pos().pop().expect("answered").code(), "00");
    at_other(&mut rig);
    assert_eq!(refunded(&mut rig, &part_of(8, 1, 1250), "00"), asked("00"));
}

/// A sale of which something was given back was approved, whatever its terminal says later.
#[test]
fn a_sale_that_was_given_back_is_not_taken_back_too() {
    let (mut rig, _) = sold_elsewhere("pos-bcd");
    assert_eq!(refunded(&mut rig, &part_of(7, 1, 100), "00"), asked("00"));
    let named = format!("02000000011122021245{:022}", 0);
    let reversal = sale(1).typed("0400").with(11, "000020").with(90, &named);
    rig.ask(POS, &reversal);
    assert_eq!(rig.at_pos().pop().expect("answered").code(), "64");
    assert!(at_other(&mut rig).is_empty());
}

#[test]
fn what_was_never_sold_is_not_given_back() {
    let (mut rig, _) = sold_elsewhere("pos-bcd");
    rig.ask(POS, &sale(2));
    let seen = rig.at_host().pop().expect("asked");
    rig.answer(&seen, "05");
    assert_eq!(rig.at_pos().pop().expect("answered").code(), "05");
    for kind in ["200000", "020000"] {
        let own = if kind == "200000" { 7 } else { 8 };
        rig.ask(POS, &undoing(own, 2, kind));
        assert!(rig.at_host().is_empty());
        assert_eq!(rig.at_pos().pop().expect("answered").code(), "25");
    }
}
