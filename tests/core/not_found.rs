//! Reversals that the partner did not find: asked again when their late window ends, whatever
//! became of the process meanwhile, and then for the last time.

use std::time::Duration;

use authswitch::base::time::Wall;
use authswitch::switch::recover::Recovery;
use authswitch::switch::saf::Settings;
use authswitch::switch::{Counter, Outbox};

use crate::money::{given_up, one_reversal};
use crate::restart::{asked, open, recorded, store};
use crate::rig::{BUDGET, POS, Plain, Rig, sale};

pub(crate) const LATE_WINDOW: Duration = Duration::from_secs(600);

/// A late window may end so much later.
pub(crate) const TICK: Duration = Duration::from_millis(68);

/// By then a request is given up.
const A_BUDGET_LATER: Duration = Duration::from_secs(2);

/// The next copy of this reversal, and nothing else.
#[track_caller]
pub(crate) fn asked_again(rig: &mut Rig, reversal: &Plain) -> Plain {
    let again = rig.at_host();
    assert_eq!(again, [reversal.clone().typed("0421")]);
    again[0].clone()
}

/// The next life, from what is durable. The clock on the wall says what it likes.
fn restarted((life, day): (u32, i64), recovery: &Recovery) -> Rig {
    let mut rig = Rig::closed("pos-bcd", "pos-bcd", |setup| setup.epoch = life);
    rig.outbox = Outbox::recorded(1);
    let wall = rig.now.wall.unix_s().saturating_add_signed(86_400 * day);
    rig.now.wall = Wall::from_unix_s(wall);
    let now = rig.now;
    rig.switch.resume(now, recovery, &mut rig.outbox);
    open(&mut rig);
    rig
}

/// The approval may have been lost with its connection: it is asked again when the window ends, and
/// what it says then holds.
#[test]
fn not_found_is_asked_again_when_the_late_window_ends() {
    for (code, done, exceptions) in [("25", 1, 0), ("00", 1, 0), ("30", 0, 1)] {
        let mut rig = Rig::new();
        let (_, reversal) = given_up(&mut rig, 1);
        rig.answer(&reversal, "25");
        rig.wait(LATE_WINDOW - Duration::from_secs(1));
        assert!(rig.at_host().is_empty(), "not before");
        assert_eq!(rig.count(Counter::ReversalsDone), 0);
        rig.wait(Duration::from_secs(1) + TICK);
        let again = asked_again(&mut rig, &reversal);
        rig.answer(&again, code);
        let counted = (rig.count(Counter::ReversalsDone), rig.count(Counter::Exceptions));
        assert_eq!(counted, (done, exceptions), "{code}");
        rig.wait(Duration::from_secs(3600));
        assert!(rig.at_host().is_empty(), "{code}");
    }
}

/// A sale whose reversal is not found, on record; returns the reversal.
fn not_found(rig: &mut Rig, stan: u32, recovery: &mut Recovery) -> Plain {
    rig.ask(POS, &sale(stan));
    store(rig, recovery);
    assert_eq!(rig.at_host().len(), 1, "forwarded once it is on record");
    rig.wait(A_BUDGET_LATER);
    store(rig, recovery);
    let reversal = one_reversal(rig);
    rig.answer(&reversal, "25");
    store(rig, recovery);
    reversal
}

/// A window goes on through any number of lives, as far as they are on record: none of them asks
/// before it ends, and no clock on the wall ends it.
#[test]
fn what_was_not_found_is_not_asked_again_by_each_life() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    let first = not_found(&mut rig, 1, &mut recovery);
    for (life, day) in (2..).zip([0, 1, -1, 0, 2]) {
        let mut next = restarted((life, day), &recovery);
        next.wait(LATE_WINDOW / 6 - A_BUDGET_LATER);
        assert!(next.at_host().is_empty(), "life {life}");
        // Another one, which tells how long this life was.
        not_found(&mut next, life, &mut recovery);
        assert_eq!(recovery.counts().1, life as usize, "all are owed");
    }
    let mut next = restarted((9, 0), &recovery);
    next.wait(LATE_WINDOW / 6 - Duration::from_secs(10));
    store(&mut next, &mut recovery);
    assert!(next.at_host().is_empty(), "it is not over");
    // The record tells whole seconds.
    let again = (0..20).find_map(|_| {
        next.wait(Duration::from_secs(1));
        store(&mut next, &mut recovery);
        next.at_host().pop()
    });
    let again = again.expect("it is over");
    assert_eq!(again, first.typed("0421"));
    next.answer(&again, "25");
    assert_eq!(next.count(Counter::ReversalsDone), 1, "said again, and the window has passed");
    store(&mut next, &mut recovery);
    assert_eq!(recovery.counts().1, 5, "no life owes it any more");
}

/// A life asks at the end of the window and dies before it hears the answer: the next asks at once,
/// and knows that the window is over.
#[test]
fn a_late_window_that_has_passed_has_passed_for_all_lives() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    let first = not_found(&mut rig, 1, &mut recovery);
    rig.wait(LATE_WINDOW + TICK);
    store(&mut rig, &mut recovery);
    asked_again(&mut rig, &first);
    not_found(&mut rig, 2, &mut recovery);
    for _ in 0..3 {
        let mut next = restarted((9, 0), &recovery);
        store(&mut next, &mut recovery);
        asked_again(&mut next, &first);
    }
    let mut next = restarted((9, 0), &recovery);
    store(&mut next, &mut recovery);
    let again = asked_again(&mut next, &first);
    next.answer(&again, "25");
    assert_eq!(next.count(Counter::ReversalsDone), 1);
}

/// The approval went to the connection of the life that was killed.
#[test]
fn an_approval_that_was_lost_with_a_life_is_reversed_when_the_late_window_ends() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    let first = not_found(&mut rig, 1, &mut recovery);
    let mut next = restarted((9, 1), &recovery);
    next.wait(LATE_WINDOW + TICK);
    store(&mut next, &mut recovery);
    let again = asked_again(&mut next, &first);
    next.answer(&again, "00");
    assert_eq!(next.count(Counter::ReversalsDone), 1);
}

/// Approved late, and sent again: the next life does not take it for one that was not found.
#[test]
fn what_was_approved_late_is_asked_again_at_once_by_the_next_life() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    let seen = asked(&mut rig, &mut recovery);
    rig.wait(BUDGET);
    store(&mut rig, &mut recovery);
    let reversal = one_reversal(&mut rig);
    rig.answer(&reversal, "25");
    rig.answer(&seen, "00");
    store(&mut rig, &mut recovery);
    asked_again(&mut rig, &reversal);
    let mut next = restarted((9, 0), &recovery);
    store(&mut next, &mut recovery);
    asked_again(&mut next, &reversal);
}

#[test]
fn the_late_window_is_what_these_tests_take_it_for() {
    assert_eq!(Settings::default().late_window, LATE_WINDOW);
}
