//! Voids and refunds: they go to whoever has what they undo.

use crate::advices::{OTHER, OTHER_HOST, at_other, two_partners};
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
