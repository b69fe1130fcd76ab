//! Advices of acquirers: taken over, told to whom it concerns, delivered until taken.

use std::sync::Arc;
use std::time::Duration;

use authswitch::base::ids::{LinkId, SessionId, WorkerId};
use authswitch::routing::RouteTable;
use authswitch::switch::event::Storage;
use authswitch::switch::index::TransactionIndex;
use authswitch::switch::recover::Recovery;
use authswitch::switch::{Counter, Event, LinkSetup, Outbox, Setup};

use crate::money::A_COPY_LATER;
use crate::restart::{recorded, restarted, store};
use crate::rig::{ACQUIRER, BUDGET, HOST, PARTNER, POS, POS_2, Plain, Rig, answer_to, plain, sale};

pub(crate) const OTHER: LinkId = LinkId(2);
pub(crate) const OTHER_HOST: SessionId = SessionId { slot: 3, generation: 1 };

/// A completion of what was pre-authorized with `stan`, under a STAN of its own.
pub(crate) fn completion(own: u32, stan: u32) -> Plain {
    let named = format!("0100{stan:06}1122021245{:022}", 0);
    let advice = sale(own).typed("0220").with(90, &named).with(4, "000000000900");
    advice.with(7, "1122040000").with(38, "A1B2C3").with(37, sale(stan).of(37).expect("there"))
}

/// Two partners, of which the second is asked while the first is down.
pub(crate) fn two_partners(setup: &mut Setup) {
    let other = LinkSetup { name: "other".into(), ..setup.links[1].clone() };
    setup.links.push(other);
    setup.routes = Arc::new(RouteTable::single(vec![PARTNER, OTHER], BUDGET));
}

pub(crate) fn at_other(rig: &mut Rig) -> Vec<Plain> {
    let bytes = rig.bytes(OTHER_HOST);
    plain(&rig.partner.clone(), &bytes)
}

#[test]
fn an_advice_is_taken_over_when_durable_and_told_until_it_is_taken() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    rig.ask(POS, &completion(7, 1));
    assert!(rig.at_pos().is_empty() && rig.at_host().is_empty(), "nothing before it is stored");
    store(&mut rig, &mut recovery);
    let told = rig.at_pos();
    assert_eq!((told.len(), &*told[0].mti, told[0].code()), (1, "0230", "00"));
    assert_eq!(told[0].of(11), completion(7, 1).of(11));
    let first = rig.at_host().pop().expect("told");
    assert_eq!(first.mti, "0220");
    for element in [2, 3, 4, 7, 22, 25, 37, 38, 41, 42, 49] {
        assert_eq!(first.of(element), completion(7, 1).of(element), "DE {element}");
    }
    rig.wait(A_COPY_LATER);
    store(&mut rig, &mut recovery);
    assert_eq!(rig.at_host(), [first.clone().typed("0221")], "again, and the same");
    rig.answer(&first.typed("0220"), "00");
    store(&mut rig, &mut recovery);
    rig.wait(Duration::from_secs(900));
    assert!(rig.at_host().is_empty());
    assert_eq!((rig.count(Counter::AdvicesOwed), rig.count(Counter::AdvicesDone)), (1, 1));
}

#[test]
fn a_repeated_advice_gets_the_same_answer_and_is_told_once() {
    let mut rig = Rig::new();
    rig.ask(POS, &completion(7, 1));
    let (told, seen) = (rig.at_pos(), rig.at_host());
    assert_eq!((told.len(), seen.len()), (1, 1));
    for (session, mti) in [(POS, "0221"), (POS_2, "0221"), (POS, "0220")] {
        rig.ask(session, &completion(7, 1).typed(mti));
        assert_eq!(rig.at(session), told);
    }
    rig.ask(POS, &completion(7, 1).with(4, "000000000901"));
    assert_eq!(rig.at_pos()[0].code(), "94", "another under the same name");
    assert!(rig.at_host().is_empty());
}

/// Nobody is there to be told, and more than enough is under way: it is taken over all the same.
#[test]
fn an_advice_is_not_refused_while_its_partner_is_down_or_the_switch_drains() {
    let mut rig = Rig::closed("pos-bcd", "pos-bcd", |_| ());
    rig.open(POS, ACQUIRER);
    rig.feed(Event::Storage(Storage::ObligationsOnly));
    rig.ask(POS, &completion(7, 1));
    rig.feed(Event::Drain);
    rig.ask(POS, &completion(8, 1).typed("0120"));
    let told = rig.at_pos();
    assert_eq!(told.iter().map(|told| &*told.mti).collect::<Vec<_>>(), ["0230", "0130"]);
    assert!(told.iter().all(|told| told.code() == "00"));
    rig.open(HOST, PARTNER);
    rig.wait(Duration::from_millis(10));
    let mut seen = rig.at_host();
    assert_eq!(seen.len(), 1, "one of a card after the other");
    rig.answer(&seen.remove(0), "00");
    assert_eq!(rig.at_host()[0].mti, "0120");
    rig.feed(Event::Storage(Storage::Failed));
    rig.ask(POS, &completion(9, 1));
    assert!(rig.at_pos().is_empty(), "but never on a broken disk");
}

/// The pre-authorization went to the second partner because the first was down.
#[test]
fn a_completion_goes_to_the_partner_that_has_the_original() {
    let named = completion(7, 1);
    let by_stan = completion(1, 1).without(90);
    let by_approval = completion(7, 1).without(90).with(38, "ZZ0001");
    for advice in [named, by_stan, by_approval] {
        let mut rig = Rig::closed("pos-bcd", "pos-bcd", two_partners);
        rig.open(POS, ACQUIRER);
        rig.open(OTHER_HOST, OTHER);
        rig.ask(POS, &sale(1).typed("0100"));
        let asked = at_other(&mut rig).pop().expect("the first is down");
        let answer = answer_to(&asked, "00").with(38, "ZZ0001");
        rig.send(OTHER_HOST, &crate::rig::framed(&rig.partner.clone(), &answer));
        rig.open(HOST, PARTNER);
        rig.ask(POS, &advice);
        assert_eq!(rig.at_pos().pop().expect("answered").mti, "0230");
        assert!(rig.at_host().is_empty(), "not by its route");
        let told = at_other(&mut rig).pop().expect("told");
        let name = told.of(90).expect("named as this partner knows it");
        assert_eq!(&name[..20], format!("0100{}1122021245", asked.of(11).expect("there")));
    }
}

/// Another terminal's original binds nothing.
#[test]
fn a_completion_of_what_is_not_known_goes_by_its_route() {
    let mut rig = Rig::closed("pos-bcd", "pos-bcd", two_partners);
    rig.open(POS, ACQUIRER);
    rig.open(OTHER_HOST, OTHER);
    rig.ask(POS, &sale(1).typed("0100"));
    at_other(&mut rig);
    rig.open(HOST, PARTNER);
    for advice in [
        completion(7, 2),
        completion(8, 1).with(41, "TERM0002"),
        completion(1, 1).without(90).with(37, "000000999999"),
    ] {
        rig.ask(POS, &advice);
        let told = rig.at_host().pop().expect("told");
        assert_eq!(told.of(90), advice.of(90), "as it was named");
        rig.answer(&told, "00");
    }
}

#[test]
fn an_advice_that_is_taken_back_before_it_was_told_is_not_told() {
    let mut rig = Rig::closed("pos-bcd", "pos-bcd", |_| ());
    rig.open(POS, ACQUIRER);
    rig.ask(POS, &sale(7).typed("0220"));
    rig.ask(POS, &sale(7).typed("0400").with(7, "1122050000"));
    let told = rig.at_pos();
    assert_eq!((told.len(), &*told[1].mti, told[1].code()), (2, "0410", "00"));
    rig.open(HOST, PARTNER);
    rig.wait(Duration::from_secs(800));
    assert!(rig.at_host().is_empty());
    rig.ask(POS, &sale(7).typed("0221"));
    assert_eq!(rig.at_pos()[0].code(), "91", "taken back is taken back");
}

#[test]
fn an_advice_that_was_told_is_reversed_behind_it() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    rig.ask(POS, &sale(7).typed("0220").with(38, "A1B2C3"));
    store(&mut rig, &mut recovery);
    let told = rig.at_host().pop().expect("told");
    rig.ask(POS, &sale(7).typed("0400").with(7, "1122050000"));
    store(&mut rig, &mut recovery);
    assert!(rig.at_host().is_empty(), "not before the advice is taken");
    let mut next = restarted(&recovery);
    assert_eq!(next.at_host(), [told.clone().typed("0221")], "nor in the next life");
    for rig in [&mut rig, &mut next] {
        rig.answer(&told, "00");
        while rig.outbox.seal().is_some() {}
        rig.outbox.durable(u64::MAX);
        let reversal = rig.at_host().pop().expect("now");
        assert_eq!(reversal.mti, "0420");
        assert_eq!(reversal.of(38), Some("A1B2C3"));
        let name = reversal.of(90).expect("named");
        assert_eq!(&name[..20], format!("0220{}1122021245", told.of(11).expect("there")));
        rig.answer(&reversal, "00");
        rig.wait(Duration::from_secs(900));
        assert!(rig.at_host().is_empty());
    }
}

#[test]
fn an_advice_survives_a_crash_and_so_does_its_answer() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    rig.ask(POS, &completion(7, 1));
    store(&mut rig, &mut recovery);
    let told = rig.at_host().pop().expect("told");
    let mut next = restarted(&recovery);
    assert_eq!(next.at_host(), [told.clone().typed("0221")]);
    next.ask(POS, &completion(7, 1).typed("0221"));
    let again = next.at_pos();
    assert_eq!((again.len(), &*again[0].mti, again[0].code()), (1, "0230", "00"));
    next.answer(&told, "30");
    assert_eq!(next.count(Counter::Exceptions), 1, "a person must look");
    next.wait(Duration::from_secs(900));
    assert!(next.at_host().is_empty());
}

/// No number is used twice, whatever was owed in which order before a crash.
#[test]
fn advices_and_reversals_of_all_lives_have_numbers_of_their_own() {
    let (mut rig, mut recovery) = (recorded(), Recovery::default());
    let mut stans = Vec::new();
    for life in 0..5 {
        for own in 0..3 {
            let stan = 10 * life + own + 1;
            if own > 0 {
                rig.ask(POS, &sale(stan));
                store(&mut rig, &mut recovery);
                assert_eq!(rig.at_host().pop().map(|seen| seen.mti), Some("0200".into()));
                rig.wait(BUDGET);
            } else {
                let advice = sale(stan).typed("0220");
                rig.ask(POS, &advice.with(2, &format!("47613400000000{stan:02}")));
            }
            store(&mut rig, &mut recovery);
            let seen = rig.at_host();
            let owed = seen.iter().filter(|seen| matches!(&*seen.mti, "0220" | "0420"));
            stans.extend(owed.filter_map(|seen| seen.of(11).map(str::to_owned)));
        }
        rig = Rig::closed("pos-bcd", "pos-bcd", |setup| setup.epoch = life + 1);
        rig.outbox = Outbox::recorded(1);
        let now = rig.now;
        rig.switch.resume(now, &recovery, &mut rig.outbox);
        rig.open(POS, ACQUIRER);
        rig.open(HOST, PARTNER);
    }
    assert_eq!(stans.len(), 15);
    stans.sort_unstable();
    stans.dedup();
    assert_eq!(stans.len(), 15, "{stans:?}");
}

/// The pre-authorization came on a connection of another worker.
#[test]
fn an_advice_is_passed_on_to_the_worker_that_has_the_original() {
    let index = Arc::new(TransactionIndex::new(2, 1024));
    let worker = |worker| {
        let mut rig = Rig::closed("pos-bcd", "pos-bcd", |setup| {
            (setup.worker, setup.workers) = (WorkerId(worker), 2);
            setup.index = Some(Arc::clone(&index));
        });
        rig.open(POS, ACQUIRER);
        rig.open(HOST, PARTNER);
        rig
    };
    let (mut has, mut other) = (worker(0), worker(1));
    has.ask(POS, &sale(1).typed("0100"));
    let seen = has.at_host().remove(0);
    has.answer(&seen, "00");
    other.ask(POS, &completion(7, 1));
    assert_eq!((has.at_pos().len(), other.count(Counter::Passed)), (1, 1));
    assert!(other.at_pos().is_empty() && other.at_host().is_empty());
    // It is not claimed by the one that passed it on.
    has.feed(Event::Opened { session: POS_2, link: ACQUIRER, shared: true });
    has.ask(POS_2, &completion(7, 1));
    assert_eq!(has.at(POS_2)[0].code(), "00");
    assert_eq!(has.at_host()[0].of(90).map(|named| &named[4..10]), seen.of(11));
    // Nobody is sent from door to door.
    other.feed(Event::Opened { session: POS_2, link: ACQUIRER, shared: true });
    other.ask(POS_2, &completion(8, 1));
    assert_eq!(other.at(POS_2)[0].code(), "00");
    assert_eq!((other.at_host().len(), other.count(Counter::Passed)), (1, 1));
}

/// The answer to an advice is lost with its connection: nothing is taken back for that.
#[test]
fn an_advice_whose_answer_is_lost_stands() {
    let mut rig = Rig::new();
    rig.ask(POS, &completion(7, 1));
    let told = rig.at_host().pop().expect("told");
    rig.feed(Event::Closed { session: POS });
    rig.answer(&told, "00");
    rig.wait(Duration::from_secs(900));
    assert!(rig.at_host().is_empty());
}

/// What must not be stored is not told either.
#[test]
fn an_advice_is_told_without_what_must_not_be_stored() {
    let mut rig = Rig::new();
    let secret = completion(7, 1).with(35, "4761340000000019=29121010000000000").with(14, "2912");
    rig.ask(POS, &secret);
    let told = rig.at_host().pop().expect("told");
    assert_eq!((told.of(35), told.of(14)), (None, Some("2912")));
}
