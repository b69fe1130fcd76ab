//! What was held is taken: by whom it is held, no more than that, and once.

use authswitch::switch::recover::Recovery;
use authswitch::switch::{Counter, Event};

use crate::older::{Site, heard};
use crate::restart::{recorded, restarted, store};
use crate::rig::{HOST, POS, Plain, Rig, sale};

/// 12.50 are held under STAN 1.
fn held(rig: &mut Rig) -> Plain {
    rig.ask(POS, &hold());
    let asked = rig.at_host().pop().expect("asked");
    rig.answer(&asked, "00");
    assert_eq!(rig.at_pos().pop().expect("answered").code(), "00");
    asked
}

fn hold() -> Plain {
    sale(1).typed("0100").with(25, "06")
}

/// So much of it is taken, by a request or an advice.
fn taking(mti: &str, own: u32, amount: u64) -> Plain {
    let named = format!("01000000011122021245{:022}", 0);
    let taking = sale(own).typed(mti).with(4, &format!("{amount:012}")).with(90, &named);
    taking.with(7, "1122040000").with(37, sale(1).of(37).expect("there"))
}

/// What the terminal hears; the partner has approved what reached it.
fn taken(rig: &mut Rig, taking: &Plain) -> (String, bool) {
    rig.ask(POS, taking);
    let seen = rig.at_host().pop();
    if let Some(seen) = seen.as_ref() {
        rig.answer(seen, "00");
    }
    (rig.at_pos().pop().expect("answered").code().to_owned(), seen.is_some())
}

fn is(code: &str, is_asked: bool) -> (String, bool) {
    (code.to_owned(), is_asked)
}

/// By DE 25 and by whom it names: each tells that it completes.
#[test]
fn completions_take_no_more_than_was_held_and_a_little() {
    for (mti, condition) in [("0220", "06"), ("0220", "00"), ("0200", "06"), ("0200", "00")] {
        let mut rig = Rig::new();
        held(&mut rig);
        let mut take = |own, amount| taken(&mut rig, &taking(mti, own, amount).with(25, condition));
        // 1,250 were held, 115 % of that are 1,437.
        assert_eq!(take(7, 1438), is("13", false), "{mti} {condition}");
        assert_eq!(take(8, 1000), is("00", true), "{mti} {condition}");
        assert_eq!(take(9, 438), is("13", false), "{mti} {condition}");
        assert_eq!(take(10, 437), is("00", true), "{mti} {condition}");
        assert_eq!(take(11, 1), is("13", false), "{mti} {condition}");
        assert_eq!(rig.count(Counter::RefundsExceeding), 3);
    }
}

#[test]
fn a_completion_that_asks_goes_to_whoever_holds_and_names_it_as_it_is_known_there() {
    let mut rig = Rig::new();
    let asked = held(&mut rig);
    rig.ask(POS, &taking("0200", 7, 1250));
    let seen = rig.at_host().pop().expect("asked");
    let name = seen.of(90).expect("named as the partner knows it");
    assert_eq!(&name[..20], format!("0100{}1122021245", asked.of(11).expect("there")));
}

#[test]
fn a_completion_of_another_account_takes_nothing() {
    for mti in ["0200", "0220"] {
        let mut rig = Rig::new();
        held(&mut rig);
        let other = taking(mti, 7, 100).with(2, "4761340000000027");
        assert_eq!(taken(&mut rig, &other), is("25", false), "{mti}");
        assert_eq!(taken(&mut rig, &taking(mti, 8, 100)), is("00", true), "{mti}");
    }
}

/// The partner knows better than we do whether it holds what we think it does not.
#[test]
fn a_completion_of_what_was_declined_is_told_but_not_asked() {
    let mut rig = Rig::new();
    rig.ask(POS, &hold());
    let seen = rig.at_host().pop().expect("asked");
    rig.answer(&seen, "51");
    rig.at_pos();
    assert_eq!(taken(&mut rig, &taking("0200", 7, 100)), is("25", false));
    assert_eq!(taken(&mut rig, &taking("0220", 8, 100)), is("00", true));
}

/// Money was taken: the hold is not given up behind it.
#[test]
fn what_was_completed_is_not_taken_back_by_its_hold() {
    let mut rig = Rig::new();
    held(&mut rig);
    assert_eq!(taken(&mut rig, &taking("0220", 7, 1250)), is("00", true));
    rig.ask(POS, &hold().typed("0400"));
    assert_eq!(rig.at_pos().pop().expect("answered").code(), "64");
    assert!(rig.at_host().is_empty());
}

#[test]
fn a_completion_that_is_taken_back_can_be_made_again() {
    let mut rig = Rig::new();
    held(&mut rig);
    let first = taking("0220", 7, 1400);
    assert_eq!(taken(&mut rig, &first), is("00", true));
    let named = format!("02200000071122040000{:022}", 0);
    rig.ask(POS, &first.typed("0400").with(11, "000020").with(90, &named));
    assert_eq!(rig.at_pos().pop().expect("answered").code(), "00");
    rig.at_host();
    // Told when its partner has taken the reversal, which stands before it.
    assert_eq!(taken(&mut rig, &taking("0220", 8, 1400)), is("00", false));
}

#[test]
fn what_was_taken_weighs_in_the_next_life() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    rig.ask(POS, &hold());
    store(&mut rig, &mut recovery);
    let asked = rig.at_host().pop().expect("asked");
    rig.answer(&asked, "00");
    rig.ask(POS, &taking("0220", 7, 1400));
    store(&mut rig, &mut recovery);
    let codes: Vec<_> = rig.at_pos().iter().map(|told| told.code().to_owned()).collect();
    assert_eq!(codes, ["00", "00"]);
    let mut rig = restarted(&recovery);
    rig.at_host();
    for mti in ["0220", "0200"] {
        assert_eq!(taken(&mut rig, &taking(mti, 8, 38)), is("13", false));
    }
}

/// Months later it is looked up, with what was taken of it.
#[test]
fn what_was_taken_of_what_is_looked_up_weighs() {
    let mut site = Site::with(|_| ());
    assert!(site.ask(&hold()).is_empty());
    let seen = site.rig.at_host().pop().expect("asked");
    site.rig.answer(&seen, "00");
    site.store();
    heard(&site.rig.at_pos(), "0110", "00");
    heard(&site.ask(&taking("0220", 701, 1400)), "0230", "00");
    site.rig.at_host();
    site.forget();
    assert!(site.ask(&taking("0220", 702, 38)).is_empty(), "it waits");
    heard(&site.look_up(), "0230", "13");
    site.host_saw_nothing();
}

/// Its partner is down: nobody else completes it, and nobody stands in.
#[test]
fn a_completion_whose_partner_is_down_is_not_sold_elsewhere() {
    let mut rig = Rig::new();
    held(&mut rig);
    rig.feed(Event::Closed { session: HOST });
    assert_eq!(taken(&mut rig, &taking("0200", 7, 100)), is("91", false));
}
