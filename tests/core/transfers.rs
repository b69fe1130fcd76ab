//! Transfers (DE 3 = 26): one for each reference, whatever STAN it comes under.

use authswitch::switch::{Counter, Event};

use crate::older::{Site, heard};
use crate::restart::{recorded, restarted, store};
use crate::rig::{BUDGET, HOST, PARTNER, POS, Plain, Rig, sale};

use authswitch::switch::recover::Recovery;

/// A transfer under this STAN, with the reference of transfer 1.
fn transfer(stan: u32) -> Plain {
    sale(stan).with(3, "260000").with(37, "MT2026112201")
}

#[test]
fn a_reference_is_spent_once() {
    let mut rig = Rig::new();
    rig.ask(POS, &transfer(1));
    let seen = rig.at_host().pop().expect("forwarded");
    // In flight, answered, and whatever is asked with it.
    for (stan, message) in [(2, transfer(2)), (3, transfer(3).with(4, "000000000001"))] {
        rig.ask(POS, &message);
        assert_eq!(rig.at_pos().pop().expect("answered").code(), "94", "{stan}");
    }
    rig.answer(&seen, "00");
    assert_eq!(rig.at_pos().pop().expect("answered").code(), "00");
    rig.ask(POS, &transfer(4));
    rig.ask(POS, &transfer(4).typed("0201"));
    assert_eq!(rig.at_pos().iter().map(Plain::code).collect::<Vec<_>>(), ["94", "94"]);
    // The same again hears the same, flagged or not; others are others.
    rig.ask(POS, &transfer(1));
    rig.ask(POS, &transfer(1).typed("0201"));
    assert_eq!(rig.at_pos().iter().map(Plain::code).collect::<Vec<_>>(), ["00", "00"]);
    assert!(rig.at_host().is_empty());
    rig.ask(POS, &transfer(5).with(37, "MT2026112202"));
    rig.ask(POS, &transfer(6).with(42, "MERCHANT0000002"));
    rig.ask(POS, &transfer(7).with(3, "000000"));
    assert_eq!(rig.at_host().len(), 3);
    assert_eq!(rig.count(Counter::Conflicts), 4);
}

/// Nothing would tell a second one from the first.
#[test]
fn a_transfer_without_a_reference_is_not_sent() {
    let mut rig = Rig::new();
    for (stan, message) in [
        (1, transfer(1).without(37)),
        (2, transfer(2).with(37, "            ")),
        (3, transfer(3).with(37, "000000000000")),
        (4, transfer(4).without(37).typed("0220")),
    ] {
        rig.ask(POS, &message);
        assert_eq!(rig.at_pos().pop().expect("answered").code(), "30", "{stan}");
        assert!(rig.at_host().is_empty(), "{stan}");
    }
}

#[test]
fn what_was_never_sent_has_spent_nothing() {
    let mut rig = Rig::new();
    rig.feed(Event::Closed { session: HOST });
    rig.ask(POS, &transfer(1));
    assert_eq!(rig.at_pos().pop().expect("answered").code(), "91");
    rig.open(HOST, PARTNER);
    rig.ask(POS, &transfer(2));
    assert_eq!(rig.at_host().len(), 1);
    // What was sent and not answered has: nobody knows what came of it.
    rig.wait(BUDGET);
    assert_eq!(rig.at_pos().pop().expect("answered").code(), "91");
    rig.at_host();
    rig.ask(POS, &transfer(3));
    assert_eq!(rig.at_pos().pop().expect("answered").code(), "94");
}

#[test]
fn a_reference_is_spent_for_as_long_as_there_are_records() {
    let mut site = Site::with(|_| ());
    assert!(site.ask(&transfer(901)).is_empty(), "it waits");
    assert!(site.look_up().is_empty(), "it was never spent");
    let seen = site.rig.at_host().pop().expect("forwarded");
    site.rig.answer(&seen, "00");
    site.store();
    heard(&site.rig.at_pos(), "0210", "00");
    site.forget();
    assert!(site.ask(&transfer(902)).is_empty(), "it waits");
    heard(&site.look_up(), "0210", "94");
    // Its own repeat is told what came of it.
    site.forget();
    assert!(site.ask(&transfer(901).typed("0201")).is_empty(), "it waits");
    heard(&site.look_up(), "0210", "00");
    site.host_saw_nothing();
}

#[test]
fn a_crash_gives_no_reference_back() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    rig.ask(POS, &transfer(1));
    store(&mut rig, &mut recovery);
    assert_eq!(rig.at_host().len(), 1);
    let mut rig = restarted(&recovery);
    rig.at_host();
    rig.ask(POS, &transfer(2));
    assert_eq!(rig.at_pos().pop().expect("answered").code(), "94");
}
