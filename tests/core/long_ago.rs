//! What names, or repeats, something from before the window: advices, approvals in the place of a
//! partner, and what goes to whoever has its original.

use std::sync::Arc;
use std::time::Duration;

use authswitch::base::codes::ResponseCode;
use authswitch::base::ids::WorkerId;
use authswitch::base::limits;
use authswitch::routing::Codes;
use authswitch::routing::build::{Plan, RoutePlan, build};
use authswitch::switch::index::TransactionIndex;
use authswitch::switch::older::{Answer, Found};
use authswitch::switch::{Counter, Event};

use crate::advices::{OTHER, OTHER_HOST, at_other, completion, two_partners};
use crate::older::{Site, heard};
use crate::originals::undoing;
use crate::rig::{BUDGET, HOST, PARTNER, Plain, answer_to, framed, sale};
use crate::stand_in::standing_in;

/// A pause in which what is owed is sent at its pace.
const PAUSE: Duration = Duration::from_millis(10);

/// The host takes what it is told, one after the other; what it was told.
fn host_takes_all(site: &mut Site) -> Vec<Plain> {
    let mut all = Vec::new();
    for _ in 0..10 {
        site.rig.wait(PAUSE);
        site.store();
        for seen in site.rig.at_host() {
            site.rig.answer(&seen, "00");
            all.push(seen);
        }
    }
    all
}

fn mtis(messages: &[Plain]) -> Vec<&str> {
    messages.iter().map(|message| &*message.mti).collect()
}

/// Sale 1 was approved in the place of its partner, which was down or silent, and forgotten.
fn stood_in(is_silent: bool) -> (Site, Plain, Plain) {
    let mut site = Site::with(standing_in);
    if !is_silent {
        site.rig.feed(Event::Closed { session: HOST });
    }
    let mut told = site.ask(&sale(1));
    if is_silent {
        assert_eq!(mtis(&site.rig.at_host()), ["0200"]);
        site.rig.wait(BUDGET);
        site.store();
        told = site.rig.at_pos();
    } else {
        site.rig.open(HOST, PARTNER);
    }
    heard(&told, "0210", "00");
    let mut seen = host_takes_all(&mut site);
    let expected: &[&str] = if is_silent { &["0420", "0220"] } else { &["0220"] };
    assert_eq!(mtis(&seen), expected);
    site.forget();
    (site, told.remove(0), seen.pop().expect("an advice"))
}

#[test]
fn an_approval_in_the_place_of_its_partner_is_still_one() {
    for is_silent in [false, true] {
        let (mut site, approval, _) = stood_in(is_silent);
        assert!(site.ask(&sale(1).typed("0201")).is_empty(), "it waits");
        assert_eq!(site.look_up(), [approval], "the same, with its DE 38");
        site.host_saw_nothing();
    }
}

#[test]
fn what_was_approved_in_the_place_of_its_partner_is_taken_back_as_it_was_told() {
    for is_silent in [false, true] {
        let (mut site, _, advice) = stood_in(is_silent);
        assert!(site.ask(&sale(1).typed("0400")).is_empty(), "it waits");
        heard(&site.look_up(), "0410", "00");
        let seen = host_takes_all(&mut site);
        assert_eq!(mtis(&seen), ["0420"]);
        let named = format!("0220{}1122021245", advice.of(11).expect("there"));
        assert_eq!(seen[0].of(90).map(|name| &name[..20]), Some(&*named));
        assert_eq!(seen[0].of(38), advice.of(38));
    }
}

/// What takes it back is sent behind it, so by the worker that has it.
#[test]
fn who_has_the_advice_is_the_one_who_answers() {
    let mut site = Site::with(|setup| (setup.worker, setup.workers) = (WorkerId(1), 2));
    heard(&site.ask(&sale(1).typed("0220")), "0230", "00");
    let mut other = Site::with(|setup| setup.workers = 2);
    for message in [sale(1).typed("0221"), sale(1).typed("0400")] {
        assert!(other.ask(&message).is_empty(), "it waits");
        let question = other.question();
        assert!(other.answer(question.ticket, site.search(&question.sought)).is_empty());
        let relay = other.rig.outbox.next_relay().expect("passed on");
        assert_eq!(relay.bytes, framed(&other.rig.acquirer.clone(), &message));
        other.host_saw_nothing();
    }
    assert_eq!(other.rig.count(Counter::Passed), 2);
}

/// Two copies of a reversal, on connections of two workers, are looked up at the same moment.
#[test]
fn what_two_workers_look_up_is_remembered_by_one() {
    let index = Arc::new(TransactionIndex::new(2, 64));
    let [mut site, mut other] = [0, 1].map(|worker| {
        Site::with(|setup| {
            (setup.worker, setup.workers) = (WorkerId(worker), 2);
            setup.index = Some(Arc::clone(&index));
        })
    });
    site.sell(1);
    site.forget();
    let taken_back = sale(1).typed("0400");
    assert!(
        site.ask(&taken_back).is_empty() && other.ask(&taken_back.clone().typed("0401")).is_empty()
    );
    let (first, second) = (site.question(), other.question());
    let found = [first, second].map(|question| site.search(&question.sought));
    let [here, there] = found;
    heard(&site.answer(first.ticket, here), "0410", "00");
    assert!(other.answer(second.ticket, there).is_empty(), "it is the other's to answer");
    let counts = [Counter::Passed, Counter::ReversalsOwed];
    assert_eq!(counts.map(|counter| other.rig.count(counter)), [1, 0]);
    assert_eq!(site.rig.count(Counter::ReversalsOwed), 1);
}

#[test]
fn a_forgotten_advice_is_not_told_twice() {
    let mut site = Site::with(|_| ());
    assert!(site.ask(&completion(7, 1)).is_empty(), "what it completes is looked up");
    heard(&site.look_up(), "0230", "00");
    assert_eq!(mtis(&host_takes_all(&mut site)), ["0220"]);
    site.forget();
    let again = completion(7, 1).typed("0221");
    assert!(site.ask(&again).is_empty(), "it waits");
    heard(&site.look_up(), "0230", "00");
    assert!(host_takes_all(&mut site).is_empty());
    // Another is told, as ever; it was never heard of.
    assert!(site.ask(&sale(900).typed("0221")).is_empty(), "it waits");
    heard(&site.look_up(), "0230", "00");
    assert_eq!(mtis(&host_takes_all(&mut site)), ["0221"]);
}

#[test]
fn a_forgotten_advice_is_taken_back_as_it_was_told() {
    let mut site = Site::with(|_| ());
    heard(&site.ask(&sale(1).typed("0220")), "0230", "00");
    let advice = host_takes_all(&mut site).remove(0);
    (2..=200).for_each(|stan| site.sell(stan));
    assert!(site.ask(&sale(1).typed("0400").with(7, "1122050000")).is_empty(), "it waits");
    heard(&site.look_up(), "0410", "00");
    let seen = host_takes_all(&mut site);
    assert_eq!(mtis(&seen), ["0420"]);
    let named = format!("0220{}1122021245", advice.of(11).expect("there"));
    assert_eq!(seen[0].of(90).map(|name| &name[..20]), Some(&*named));
}

/// Sale 1 was approved by the second partner, since the first was down, and forgotten. What that
/// partner saw.
fn sold_elsewhere(mti: &str) -> (Site, Plain) {
    let mut site = Site::with(two_partners);
    site.rig.feed(Event::Closed { session: HOST });
    site.rig.open(OTHER_HOST, OTHER);
    assert!(site.ask(&sale(1).typed(mti)).is_empty());
    let asked = at_other(&mut site.rig).pop().expect("the first is down");
    answer_elsewhere(&mut site, &asked);
    assert_eq!(site.rig.at_pos()[0].code(), "00");
    site.rig.open(HOST, PARTNER);
    site.forget();
    (site, asked)
}

fn answer_elsewhere(site: &mut Site, asked: &Plain) {
    let dialect = site.rig.partner.clone();
    site.rig.send(OTHER_HOST, &framed(&dialect, &answer_to(asked, "00").with(38, "ZZ0001")));
    site.store();
}

#[test]
fn what_names_something_forgotten_goes_to_the_partner_that_has_it() {
    let void = |mti| undoing(907, 1, "020000").typed(mti);
    let refund = undoing(907, 1, "200000");
    for (original, message, told) in [
        ("0200", void("0200"), None),
        ("0200", refund, None),
        ("0100", completion(907, 1), Some("0230")),
    ] {
        let (mut site, asked) = sold_elsewhere(original);
        assert!(site.ask(&message).is_empty(), "it waits");
        let answer = site.look_up();
        assert_eq!(answer.first().map(|answer| &*answer.mti), told);
        site.host_saw_nothing();
        let seen = at_other(&mut site.rig).pop().expect("forwarded, or told");
        let name = format!("{original}{}1122021245", asked.of(11).expect("there"));
        assert_eq!(seen.of(90).map(|named| &named[..20]), Some(&*name));
        answer_elsewhere(&mut site, &seen);
        if told.is_none() {
            heard(&site.rig.at_pos(), "0210", "00");
        }
        // Known by now; so is its original, which was given back, or of which too little is left.
        let again = site.ask(&message.with(11, "000908"));
        heard(&again, told.unwrap_or("0210"), "13");
        assert!(site.rig.outbox.questions.is_empty());
    }
}

/// It is no repeat of something known, and its original is forgotten: both are looked up.
#[test]
fn a_repeat_that_names_something_forgotten_asks_twice() {
    for (original, message) in [
        ("0200", undoing(907, 1, "020000").typed("0201")),
        ("0100", completion(907, 1).typed("0221")),
    ] {
        let (mut site, asked) = sold_elsewhere(original);
        assert!(site.ask(&message).is_empty());
        assert!(site.look_up().is_empty(), "it was never heard of");
        site.look_up();
        site.host_saw_nothing();
        let seen = at_other(&mut site.rig).pop().expect("forwarded, or told");
        assert_eq!(seen.of(90).map(|named| &named[4..10]), asked.of(11));
        assert_eq!(site.rig.count(Counter::LookUps), 2);
    }
}

#[test]
fn what_names_something_unknown_goes_by_its_route_and_what_names_nothing_asks_nobody() {
    let (mut site, _) = sold_elsewhere("0200");
    for (own, message) in [(907, undoing(907, 950, "200000")), (908, completion(908, 950))] {
        assert!(site.ask(&message).is_empty(), "it waits");
        site.look_up();
        let seen = site.rig.at_host().pop().expect("by its route");
        assert_eq!(seen.of(90), message.of(90), "{own}: as it was named");
        site.rig.answer(&seen, "00");
        site.store();
        site.rig.at_pos();
    }
    site.ask(&undoing(910, 1, "200000").without(90));
    assert!(site.rig.outbox.questions.is_empty());
    assert_eq!(site.rig.at_host().len(), 1);
}

/// Nobody can say who has the original: that is no licence to send it to another.
#[test]
fn what_cannot_be_looked_up_goes_nowhere() {
    let (mut site, _) = sold_elsewhere("0200");
    let void = undoing(907, 1, "020000");
    assert!(site.ask(&void).is_empty());
    let question = site.question();
    heard(&site.answer(question.ticket, Found::Unsaid), "0210", "96");
    heard(&site.ask(&void), "0210", "96");
    assert!(site.rig.outbox.questions.is_empty(), "a refusal stays one");
    // An advice is not refused for good: it tells what was done.
    let advice = completion(908, 1).with(90, void.of(90).expect("there"));
    assert!(site.ask(&advice).is_empty());
    site.rig.wait(limits::LOOK_UP_DEADLINE);
    heard(&site.rig.at_pos(), "0230", "96");
    assert!(site.ask(&advice.typed("0221")).is_empty());
    let question = std::mem::take(&mut site.rig.outbox.questions).pop().expect("asked");
    site.rig.feed(Event::Looked(Answer { ticket: question.ticket, found: Found::Nothing }));
    heard(&site.look_up(), "0230", "00");
    site.host_saw_nothing();
    assert_eq!(at_other(&mut site.rig).len(), 1);
    // A new one may go, now that its original is known again.
    site.ask(&void.with(11, "000909"));
    assert_eq!(at_other(&mut site.rig).len(), 1);
}

fn refund(own: u32, amount: u64) -> Plain {
    undoing(own, 1, "200000").with(4, &format!("{amount:012}"))
}

/// The sale is 1,250; between its refunds it is forgotten, with whatever they were.
#[test]
fn what_was_given_back_long_ago_counts() {
    let mut site = Site::with(|_| ());
    site.sell(1);
    for (own, amount, code) in
        [(901, 500, "00"), (902, 751, "13"), (903, 250, "05"), (904, 500, "00"), (905, 251, "13")]
    {
        site.forget();
        assert!(site.ask(&refund(own, amount)).is_empty(), "it waits");
        let told = site.look_up();
        if code == "13" {
            heard(&told, "0210", "13");
            site.host_saw_nothing();
            continue;
        }
        let seen = site.rig.at_host().pop().expect("forwarded");
        site.rig.answer(&seen, code);
        site.store();
        heard(&site.rig.at_pos(), "0210", code);
    }
    // What is in doubt is taken back, and may be given back again.
    site.forget();
    assert!(site.ask(&refund(906, 250)).is_empty(), "it waits");
    site.look_up();
    assert_eq!(site.rig.at_host().len(), 1);
    site.rig.wait(BUDGET);
    site.store();
    heard(&site.rig.at_pos(), "0210", "91");
    assert_eq!(mtis(&host_takes_all(&mut site)), ["0420"]);
    site.forget();
    assert!(site.ask(&refund(907, 250)).is_empty(), "it waits");
    site.look_up();
    assert_eq!(site.rig.at_host().len(), 1);
}

#[test]
fn what_names_an_original_that_nobody_knows_is_refused_where_routes_say_so() {
    let mut site = Site::with(|setup| {
        let codes = Codes { unknown_original: Some(ResponseCode::NOT_FOUND), ..Codes::default() };
        let partners = vec![PARTNER];
        let routes = vec![RoutePlan { partners, budget: BUDGET, ..RoutePlan::default() }];
        setup.routes = Arc::new(build(Plan { codes, routes, ..Plan::default() }).expect("built"));
    });
    for (own, kind) in [(901, "200000"), (902, "020000")] {
        assert!(site.ask(&undoing(own, 1, kind)).is_empty(), "it waits");
        heard(&site.look_up(), "0210", "25");
        heard(&site.ask(&undoing(own, 1, kind).typed("0201")), "0210", "25");
        site.host_saw_nothing();
    }
    // What names nothing goes by its route.
    site.ask(&undoing(903, 1, "200000").without(90));
    assert_eq!(site.rig.at_host().len(), 1);
}
