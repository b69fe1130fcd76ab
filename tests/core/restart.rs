//! A crash: the next life knows from its records what it may say and what it owes.

use std::sync::Arc;
use std::time::Duration;

use authswitch::base::ids::WorkerId;
use authswitch::switch::event::Storage;
use authswitch::switch::record::{self, Closed, Record, Records};
use authswitch::switch::recover::Recovery;
use authswitch::switch::{Counter, Event, Outbox};

use crate::money::one_reversal;
use crate::originals::undoing;
use crate::rig::{ACQUIRER, BUDGET, HOST, PARTNER, POS, POS_2, Plain, Rig, answer_to, sale};

/// A switch that keeps records; what needs them leaves at once.
pub(crate) fn recorded() -> Rig {
    let mut rig = Rig::closed("pos-bcd", "pos-bcd", |_| ());
    rig.outbox = Outbox::recorded(1);
    open(&mut rig);
    rig
}

pub(crate) fn open(rig: &mut Rig) {
    rig.open(POS, ACQUIRER);
    rig.open(HOST, PARTNER);
    rig.open(POS_2, ACQUIRER);
}

/// Makes everything on record durable.
pub(crate) fn store(rig: &mut Rig, recovery: &mut Recovery) {
    while let Some(batch) = rig.outbox.seal() {
        recovery.read(&batch.clear, &batch.secret);
    }
    rig.outbox.durable(u64::MAX);
}

/// The next life, from what is durable.
pub(crate) fn restarted(recovery: &Recovery) -> Rig {
    let mut rig = Rig::closed("pos-bcd", "pos-bcd", |setup| setup.epoch = 1);
    let now = rig.now;
    rig.switch.resume(now, recovery, &mut rig.outbox);
    open(&mut rig);
    rig
}

/// What becomes of a sale, told by its terminal's repeat after the crash.
#[track_caller]
fn repeat_hears(rig: &mut Rig, code: &str) {
    rig.ask(POS, &sale(1).typed("0201"));
    let told = rig.at_pos();
    assert_eq!((told.len(), told[0].code()), (1, code));
    assert!(rig.at_host().iter().all(|seen| seen.mti != "0200" && seen.mti != "0201"));
}

pub(crate) fn asked(rig: &mut Rig, recovery: &mut Recovery) -> Plain {
    rig.ask(POS, &sale(1));
    store(rig, recovery);
    rig.at_host().pop().expect("forwarded once it is on record")
}

#[test]
fn what_was_in_flight_is_reversed_and_its_repeat_declined() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    let seen = asked(&mut rig, &mut recovery);
    let mut next = restarted(&recovery);
    let reversal = one_reversal(&mut next);
    assert_eq!(reversal.of(90).map(|named| &named[4..10]), seen.of(11));
    repeat_hears(&mut next, "91");
}

#[test]
fn what_was_approved_is_approved_again_and_not_reversed() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    let seen = asked(&mut rig, &mut recovery);
    rig.say(&answer_to(&seen, "00").with(38, "A1B2C3"));
    store(&mut rig, &mut recovery);
    assert_eq!(rig.at_pos()[0].code(), "00");
    let mut next = restarted(&recovery);
    assert!(next.at_host().is_empty());
    repeat_hears(&mut next, "00");
}

/// The terminal hung up before the approval was handed over: reversed, and known to be.
#[test]
fn what_was_approved_and_reversed_is_not_approved_again() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    let seen = asked(&mut rig, &mut recovery);
    rig.answer(&seen, "00");
    store(&mut rig, &mut recovery);
    rig.feed(Event::Closed { session: POS });
    store(&mut rig, &mut recovery);
    let first = one_reversal(&mut rig);
    let mut next = restarted(&recovery);
    assert_eq!(next.at_host(), [first.typed("0421")], "it may have been sent");
    repeat_hears(&mut next, "91");
}

/// Reversed and taken by the partner: nothing is owed any more.
#[test]
fn what_was_taken_is_not_sent_again() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    asked(&mut rig, &mut recovery);
    rig.wait(BUDGET);
    store(&mut rig, &mut recovery);
    let reversal = one_reversal(&mut rig);
    rig.answer(&reversal, "00");
    store(&mut rig, &mut recovery);
    let mut next = restarted(&recovery);
    assert!(next.at_host().is_empty());
    repeat_hears(&mut next, "91");
}

/// A person settled it with the partner while the switch was down.
#[test]
fn what_a_person_closed_is_not_sent_again() {
    for ends_debt in [true, false] {
        let (mut rig, mut recovery) = (recorded(), Recovery::default());
        asked(&mut rig, &mut recovery);
        rig.wait(BUDGET);
        let mut batches = Vec::new();
        while let Some(batch) = rig.outbox.seal() {
            recovery.read(&batch.clear, &batch.secret);
            batches.push((batch.clear, batch.secret));
        }
        let owed = batches.iter().flat_map(|(clear, secret)| record::read(clear, secret));
        let id = owed.filter_map(|record| match record {
            Record::Owed(owed) => Some(owed.id),
            _ => None,
        });
        let id = id.last().expect("it is owed");
        let mut records = Records { on: true, ..Records::default() };
        let (by, reason) = (&b"rb"[..], &b"settled by telephone"[..]);
        records.push(&Record::Closed(Closed { id, at_s: 1, ends_debt, by, reason }));
        recovery.read(&records.clear, &records.secret);
        assert_eq!(recovery.counts().1, usize::from(!ends_debt));
        let mut next = restarted(&recovery);
        assert_eq!(next.at_host().len(), usize::from(!ends_debt), "an act that ends no debt");
        repeat_hears(&mut next, "91");
    }
}

/// A terminal took back what was never asked; the request comes in the next life.
#[test]
fn what_was_taken_back_before_it_was_asked_is_refused_after_a_crash() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    rig.ask(POS, &sale(1).typed("0400").with(7, "1122021300"));
    store(&mut rig, &mut recovery);
    assert_eq!(rig.at_pos()[0].code(), "25");
    let mut next = restarted(&recovery);
    repeat_hears(&mut next, "91");
    assert!(next.at_host().is_empty(), "nor is it reversed");
}

/// What room there is on a full disk is for what is owed.
#[test]
fn what_is_refused_on_a_full_disk_uses_none_of_the_reserve() {
    let mut rig = recorded();
    rig.ask(POS, &sale(1));
    while rig.outbox.seal().is_some() {}
    rig.outbox.durable(u64::MAX);
    assert_eq!(rig.at_host().len(), 1, "it has left");
    rig.feed(Event::Storage(Storage::ObligationsOnly));
    rig.ask(POS, &sale(2));
    rig.ask(POS, &sale(3).typed("0400"));
    let told = rig.at_pos();
    assert_eq!((told[0].code(), told[1].code()), ("96", "96"), "it is to ask again");
    assert!(rig.outbox.seal().is_none(), "nothing is put on record");
    rig.wait(BUDGET);
    let batch = rig.outbox.seal().expect("the first is reversed");
    let mut recovery = Recovery::default();
    recovery.read(&batch.clear, &batch.secret);
    assert_eq!(recovery.counts().1, 1);
}

/// Who repeats after the restart has read no answer, and gets one. Who was told that nothing is to
/// be taken back asks no more, so that holds.
#[test]
fn a_refusal_on_a_full_disk_is_forgotten_with_its_life_and_what_was_taken_back_is_not() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    rig.feed(Event::Storage(Storage::ObligationsOnly));
    for stan in [1, 2] {
        rig.ask(POS, &sale(stan));
        rig.ask(POS, &sale(stan).typed("0201"));
        let told = rig.at_pos();
        assert_eq!((told[0].code(), told[1].code()), ("96", "96"));
    }
    rig.ask(POS, &sale(2).typed("0400").with(7, "1122021300"));
    store(&mut rig, &mut recovery);
    assert_eq!(rig.at_pos()[0].code(), "00");
    let mut next = restarted(&recovery);
    next.ask(POS, &sale(2).typed("0201"));
    assert_eq!(next.at_pos()[0].code(), "96");
    next.ask(POS, &sale(1).typed("0201"));
    let seen = next.at_host();
    assert_eq!((seen.len(), &*seen[0].mti), (1, "0201"), "one of the two, as a repeat");
    next.answer(&seen[0], "00");
    assert_eq!(next.at_pos()[0].code(), "00");
}

/// A journal refuses a batch that is too large, and everything would wait for it for ever.
#[test]
fn what_ends_or_resumes_at_one_moment_is_recorded_in_batches_a_journal_takes() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    let sales = 6000;
    for stan in 1..=sales {
        rig.ask(POS, &sale(stan));
    }
    store(&mut rig, &mut recovery);
    assert_eq!(rig.at_host().len(), sales as usize, "all have left");
    rig.wait(BUDGET);
    assert_batches(&mut rig.outbox, &mut recovery);
    assert_eq!(recovery.counts().1, sales as usize);
    let mut next = Outbox::recorded(1);
    let mut switch = Rig::closed("pos-bcd", "pos-bcd", |setup| setup.epoch = 1).switch;
    switch.resume(rig.now, &recovery, &mut next);
    assert_batches(&mut next, &mut Recovery::default());
}

/// The memory of a start is bounded, but what must be decided is not forgotten for that.
#[test]
fn what_is_in_doubt_is_reversed_however_much_came_after_it() {
    let (mut rig, mut recovery) = (recorded(), Recovery::of_newest(2));
    let first = asked(&mut rig, &mut recovery);
    for stan in 2..=9 {
        rig.ask(POS, &sale(stan));
        store(&mut rig, &mut recovery);
        let seen = rig.at_host().pop().expect("forwarded once it is on record");
        rig.say(&answer_to(&seen, "00").with(38, "A1B2C3"));
        store(&mut rig, &mut recovery);
    }
    let mut next = restarted(&recovery);
    let reversal = one_reversal(&mut next);
    assert_eq!(reversal.of(90).map(|named| &named[4..10]), first.of(11));
    rig.at_pos();
    next.ask(POS, &sale(9).typed("0201"));
    assert_eq!(next.at_pos()[0].code(), "00", "the newest is remembered");
}

/// What is owed reaches its lane by and by; meanwhile requests are taken, and in the end none is
/// missing.
#[test]
fn a_long_backlog_keeps_no_request_waiting_and_is_sent_to_its_end() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    let sales = 6000;
    for stan in 1..=sales {
        rig.ask(POS, &sale(stan));
    }
    store(&mut rig, &mut Recovery::default());
    assert_eq!(rig.at_host().len(), sales as usize, "all have left");
    rig.wait(BUDGET);
    while let Some(batch) = rig.outbox.seal() {
        recovery.read_batch(WorkerId(0), batch.number, &batch.clear, &batch.secret);
    }
    assert_eq!(recovery.counts().1, sales as usize);
    let mut next = Rig::closed("pos-bcd", "pos-bcd", |setup| setup.epoch = 1);
    next.switch.begin_resuming(next.now, &Arc::new(recovery), &mut next.outbox);
    open(&mut next);
    next.ask(POS, &sale(sales + 1));
    let mut seen = next.at_host();
    assert!(seen.iter().any(|seen| seen.mti == "0200"), "taken at once");
    let mut rounds = 0;
    while next.switch.stats().of(Counter::ReversalsDone) < u64::from(sales) {
        seen.iter().for_each(|seen| next.answer(seen, "00"));
        next.wait(Duration::from_millis(10));
        seen = next.at_host();
        rounds += 1;
        let done = next.switch.stats().of(Counter::ReversalsDone);
        assert!(rounds < 5000, "{done} of {sales} reached the partner, {} seen", seen.len());
    }
}

/// Several batches, none of them large.
#[track_caller]
fn assert_batches(outbox: &mut Outbox, recovery: &mut Recovery) {
    let mut sizes = Vec::new();
    while let Some(batch) = outbox.seal() {
        sizes.push(batch.clear.len() + batch.secret.len());
        recovery.read(&batch.clear, &batch.secret);
    }
    let (sum, most) = (sizes.iter().sum::<usize>(), sizes.iter().max().copied());
    assert!(sum > 3 << 18 && most < Some(5 << 17), "{sizes:?}");
}

/// The record is not durable yet, so nobody has seen anything of it.
#[test]
fn nothing_leaves_before_its_record_is_durable() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    rig.ask(POS, &sale(1));
    assert!(rig.at_host().is_empty(), "the request waits");
    store(&mut rig, &mut recovery);
    let seen = rig.at_host().pop().expect("forwarded");
    rig.answer(&seen, "00");
    assert!(rig.at_pos().is_empty(), "so does the approval");
    store(&mut rig, &mut recovery);
    assert_eq!(rig.at_pos()[0].code(), "00");
    rig.ask(POS, &sale(1).typed("0400").with(7, "1122021300"));
    assert!(rig.at_pos().is_empty(), "and that a reversal is taken over");
    store(&mut rig, &mut recovery);
    assert_eq!(rig.at_pos()[0].mti, "0410");
    one_reversal(&mut rig);
}

/// The process ends: what it says now, the next life could not know.
#[test]
fn nothing_leaves_when_nothing_can_be_put_on_record_any_more() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    asked(&mut rig, &mut recovery);
    rig.outbox.commands.clear();
    rig.feed(Event::Storage(Storage::Failed));
    rig.ask(POS, &sale(2));
    rig.wait(BUDGET);
    store(&mut rig, &mut recovery);
    assert!(rig.at_pos().is_empty() && rig.at_host().is_empty());
    assert!(!rig.outbox.is_dirty(), "nor does the shell wait to write it");
}

/// A sale of 1,250, of which 500 were given back before the crash, 250 more refused, and 100 are in
/// doubt, which are taken back.
#[test]
fn what_was_given_back_before_a_crash_counts_behind_it() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    let refund =
        |own: u32, amount: u64| undoing(own, 1, "200000").with(4, &format!("{amount:012}"));
    let asked = asked(&mut rig, &mut recovery);
    rig.answer(&asked, "00");
    for (refund, code) in [(refund(7, 500), "00"), (refund(8, 250), "05"), (refund(9, 100), "")] {
        rig.ask(POS, &refund);
        store(&mut rig, &mut recovery);
        let seen = rig.at_host().pop().expect("forwarded");
        if !code.is_empty() {
            rig.answer(&seen, code);
            store(&mut rig, &mut recovery);
        }
    }
    let mut rig = restarted(&recovery);
    rig.at_host();
    rig.ask(POS, &refund(10, 751));
    assert_eq!(rig.at_pos().pop().expect("answered").code(), "13");
    rig.ask(POS, &refund(11, 750));
    assert_eq!(rig.at_host().len(), 1);
}
