//! What is given up before it left never leaves: the disk is slow, or the partner takes nothing.

use std::time::Duration;

use authswitch::switch::recover::Recovery;
use authswitch::switch::{Counter, Event};

use crate::restart::{recorded, restarted, store};
use crate::rig::{BUDGET, HOST, POS, Rig, sale};

fn told(rig: &mut Rig) -> Vec<(String, String)> {
    let told = rig.at_pos();
    told.iter().map(|answer| (answer.mti.clone(), answer.code().to_owned())).collect()
}

fn answers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(mti, code)| ((*mti).to_owned(), (*code).to_owned())).collect()
}

/// The intent becomes durable behind the deadline.
#[test]
fn a_request_does_not_leave_behind_its_deadline_and_is_not_reversed() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    rig.ask(POS, &sale(1));
    rig.wait(BUDGET - Duration::from_millis(500));
    rig.ask(POS, &sale(2));
    rig.wait(Duration::from_millis(500));
    assert_eq!(told(&mut rig), answers(&[("0210", "91")]));
    store(&mut rig, &mut recovery);
    let seen = rig.at_host();
    assert_eq!(seen.len(), 1, "the second only: {seen:?}");
    assert_eq!(seen[0].of(37), sale(2).of(37));
    assert_eq!(rig.count(Counter::ReversalsOwed), 0);
    assert_eq!(rig.count(Counter::Withdrawn), 1);
    rig.answer(&seen[0], "00");
    store(&mut rig, &mut recovery);
    assert_eq!(told(&mut rig), answers(&[("0210", "00")]));
    rig.ask(POS, &sale(1).typed("0201"));
    assert_eq!(told(&mut rig), answers(&[("0210", "91")]), "its repeat hears the same");
    assert!(rig.at_host().is_empty());
}

#[test]
fn what_is_taken_back_before_it_left_leaves_no_trace() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    rig.ask(POS, &sale(1));
    rig.ask(POS, &sale(1).typed("0400").with(7, "1122021300"));
    rig.ask(POS, &sale(1).typed("0401").with(7, "1122021300"));
    store(&mut rig, &mut recovery);
    let expected = answers(&[("0210", "91"), ("0410", "00"), ("0410", "00")]);
    assert_eq!(told(&mut rig), expected);
    assert!(rig.at_host().is_empty());
    let mut next = restarted(&recovery);
    assert!(next.at_host().is_empty(), "nor does the next life know of a debt");
    next.ask(POS, &sale(1).typed("0401").with(7, "1122021300"));
    next.ask(POS, &sale(1).typed("0201"));
    next.outbox.durable(u64::MAX);
    store(&mut next, &mut recovery);
    assert_eq!(told(&mut next), answers(&[("0410", "00"), ("0210", "91")]));
    assert!(next.at_host().is_empty());
}

/// Connection gone: of two requests in its lane the first had begun to leave.
#[test]
fn what_the_kernel_took_a_byte_of_may_have_arrived() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    rig.ask(POS, &sale(1));
    rig.ask(POS, &sale(2));
    store(&mut rig, &mut recovery);
    rig.outbox.wrote(HOST, 1);
    rig.feed(Event::Closed { session: HOST });
    store(&mut rig, &mut recovery);
    assert_eq!(told(&mut rig), answers(&[("0210", "91"), ("0210", "91")]));
    assert_eq!(rig.count(Counter::ReversalsOwed), 1);
    assert_eq!(recovery.counts(), (2, 1));
}
