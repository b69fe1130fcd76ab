//! A copy that cannot be taken now: what it heard its original would have heard, which may live.

use std::sync::Arc;

use authswitch::base::ids::WorkerId;
use authswitch::switch::index::TransactionIndex;
use authswitch::switch::older::Found;
use authswitch::switch::{Counter, Event, Setup};

use crate::advices::completion;
use crate::older::{Site, repeat};
use crate::originals::undoing;
use crate::rig::{ACQUIRER, HOST, PARTNER, POS, POS_2, Plain, Rig, answer_to, sale};

/// A session that may have one request in flight.
fn narrow() -> Rig {
    Rig::with("pos-bcd", "pos-bcd", |setup| setup.bounds.session_in_flight = 1)
}

fn codes(rig: &mut Rig) -> Vec<String> {
    rig.at_pos().iter().map(|told| told.code().to_owned()).collect()
}

/// Before, a copy at the bound was refused with 91, and then its original approved.
#[test]
fn at_the_bound_of_a_connection_copies_wait_with_their_original() {
    let mut rig = narrow();
    let seen = rig.sale(1);
    rig.ask(POS, &repeat(1));
    rig.ask(POS, &sale(1));
    assert!(rig.at_pos().is_empty());
    rig.ask(POS, &sale(2));
    assert_eq!(codes(&mut rig), ["91"], "this one is new");
    rig.answer(&seen, "00");
    assert_eq!(codes(&mut rig), ["00"; 3]);
    // Who was refused there is approved nowhere, not even where there is room.
    rig.ask(POS_2, &repeat(2));
    assert_eq!(rig.at(POS_2)[0].code(), "91");
    assert!(rig.at_host().is_empty());
}

#[test]
fn at_the_bound_of_a_connection_what_was_approved_is_still_said() {
    let mut rig = narrow();
    let seen = rig.sale(1);
    rig.answer(&seen, "00");
    rig.at_pos();
    rig.sale(2);
    for copy in [repeat(1), sale(1)] {
        rig.ask(POS, &copy);
        assert_eq!(codes(&mut rig), ["00"]);
    }
}

fn workers(index: &Arc<TransactionIndex>) -> [Rig; 2] {
    [0, 1].map(|worker| {
        let mut rig = Rig::closed("pos-bcd", "pos-bcd", |setup| {
            (setup.worker, setup.workers) = (WorkerId(worker), 2);
            setup.index = Some(Arc::clone(index));
        });
        rig.open(POS, ACQUIRER);
        rig.open(HOST, PARTNER);
        rig
    })
}

#[test]
fn a_copy_that_is_passed_on_a_second_time_hears_nothing() {
    let [mut has, mut other] = workers(&Arc::new(TransactionIndex::new(2, 1024)));
    has.sale(1);
    other.feed(Event::Opened { session: POS_2, link: ACQUIRER, shared: true });
    for copy in [repeat(1), sale(1)] {
        other.ask(POS_2, &copy);
        assert!(other.at(POS_2).is_empty(), "its original may be approved");
    }
    assert_eq!((other.count(Counter::Overloads), other.count(Counter::Dropped)), (2, 0));
}

/// The same, if only the records know who has it.
#[test]
fn what_another_worker_has_by_its_records_is_not_refused_to_its_copy() {
    let second = |setup: &mut Setup| (setup.worker, setup.workers) = (WorkerId(1), 2);
    let mut site = Site::with(second);
    assert_eq!(site.ask(&sale(1).typed("0220"))[0].code(), "00");
    let mut other = Site::with(|setup| setup.workers = 2);
    other.rig.feed(Event::Closed { session: POS });
    other.rig.feed(Event::Opened { session: POS, link: ACQUIRER, shared: true });
    assert!(other.ask(&sale(1).typed("0221")).is_empty());
    let question = other.question();
    assert!(other.answer(question.ticket, site.search(&question.sought)).is_empty());
    assert_eq!(other.rig.count(Counter::Overloads), 1);

    // What undoes it is itself new: it is refused, and stays so.
    let void = undoing(907, 1, "020000");
    let named = void.of(90).expect("there").replacen("0200", "0220", 1);
    let void = void.with(90, &named);
    assert!(other.ask(&void).is_empty());
    let question = other.question();
    let told = other.answer(question.ticket, site.search(&question.sought));
    assert_eq!((told.len(), told[0].code()), (1, "91"));
    for copy in [void.clone(), void.typed("0201")] {
        assert_eq!(other.ask(&copy)[0].code(), "91");
    }
    assert!(other.rig.outbox.questions.is_empty());
}

#[test]
fn a_repeat_for_which_there_is_no_room_hears_nothing() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| setup.recent_bytes = 1);
    let mut refused = 0;
    for stan in 1..=500 {
        rig.ask(POS, &sale(stan));
        refused = if codes(&mut rig).is_empty() { refused } else { stan };
    }
    assert!(refused > 0, "everything that is remembered is in flight");
    rig.at_host();
    rig.ask(POS, &repeat(refused));
    assert!(rig.at_pos().is_empty() && rig.at_host().is_empty());
}

#[test]
fn before_a_sign_on_only_what_is_new_is_refused_and_stays_so() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| setup.links[0].sign_on = true);
    let sign_on = |stan: &str, code: &str| {
        let fields = [(7, "1122021245"), (11, stan), (70, code)];
        let fields = fields.map(|(element, value)| (element, value.to_owned())).to_vec();
        Plain { mti: "0800".into(), fields }
    };
    rig.ask(POS_2, &sign_on("000700", "001"));
    rig.at(POS_2);
    rig.ask(POS_2, &sale(1));
    let seen = rig.at_host().pop().expect("forwarded");
    for copy in [repeat(1), sale(1), repeat(2)] {
        rig.ask(POS, &copy);
        assert!(rig.at_pos().is_empty(), "its original may be approved");
    }
    rig.answer(&seen, "00");
    rig.at(POS_2);
    rig.ask(POS, &sale(1));
    assert!(rig.at_pos().is_empty(), "it is approved");
    for session in [POS, POS, POS_2] {
        rig.ask(session, &sale(3));
        assert_eq!(rig.at(session)[0].code(), "91");
    }
    rig.ask(POS, &sign_on("000701", "001"));
    rig.at_pos();
    rig.ask(POS, &repeat(1));
    assert_eq!(codes(&mut rig), ["00"]);
    assert!(rig.at_host().is_empty());
}

/// An advice that is refused is forgotten: a copy of it that comes behind is taken over.
#[test]
fn a_repeated_advice_is_not_refused_for_want_of_means() {
    let mut site = Site::with(|_| ());
    let named = undoing(7, 1, "000000");
    let advice = completion(7, 1).with(90, named.of(90).expect("there"));
    for (mti, expected) in [("0221", None), ("0220", Some("96"))] {
        assert!(site.ask(&advice.clone().typed(mti)).is_empty(), "it waits");
        if mti == "0221" {
            assert!(site.look_up().is_empty(), "it is not known; its original is asked for");
        }
        let question = site.question();
        let told = site.answer(question.ticket, Found::Unsaid);
        assert_eq!(told.first().map(Plain::code), expected);
    }
}

/// The account may be in a track or in the chip alone, and the day in DE 13 alone.
#[test]
fn another_account_or_day_is_told_wherever_it_stands() {
    let track = |card: &str| sale(1).without(2).with(45, &format!("B{card}^A/B^30122010000000"));
    let mut rig = Rig::new();
    rig.ask(POS, &track("4761340000000019"));
    let seen = rig.at_host().pop().expect("forwarded");
    rig.say(&answer_to(&seen, "00").without(45));
    assert_eq!(rig.at_pos()[0].code(), "00");
    rig.ask(POS, &track("4761340000000027"));
    assert_eq!(rig.at_pos()[0].code(), "94");
    rig.ask(POS, &track("4761340000000019"));
    assert_eq!(rig.at_pos()[0].code(), "00");

    let mut rig = Rig::new();
    for day in ["1122", "1123"] {
        rig.ask(POS, &sale(1).without(7).with(12, "021245").with(13, day));
        let seen = rig.at_host().pop().expect("another day, another sale");
        rig.say(&answer_to(&seen, "00"));
        assert_eq!(rig.at_pos()[0].code(), "00");
    }
}
