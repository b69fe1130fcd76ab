//! A partner that does not answer is left alone; weights deal requests out.

use std::sync::Arc;
use std::time::Duration;

use authswitch::base::ids::{LinkId, RouteId};
use authswitch::routing::build::{Plan, RoutePlan, build};
use authswitch::routing::{Route, RouteTable};
use authswitch::switch::health::Breaker;
use authswitch::switch::{Command, Counter, Event, Setup};

use crate::advices::{OTHER, OTHER_HOST, at_other, completion, two_partners};
use crate::rig::{BUDGET, HOST, PARTNER, POS, Plain, Rig, sale};

const PAUSE: Duration = Duration::from_secs(5);
const FAILURES: u16 = 4;

fn with_breaker(setup: &mut Setup) {
    setup.links[1].breaker = Some(Breaker { failures: FAILURES, pause: PAUSE });
    two_partners(setup);
}

fn rig() -> Rig {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", with_breaker);
    rig.open(OTHER_HOST, OTHER);
    rig
}

/// Asks and says whom it reached.
fn asked(rig: &mut Rig, stan: u32) -> Option<LinkId> {
    rig.ask(POS, &sale(stan));
    // What is owed goes on meanwhile.
    let is_request = |message: &Plain| message.mti == "0200";
    let first = rig.at_host().into_iter().filter(is_request).count();
    let other = at_other(rig).into_iter().filter(is_request).count();
    match (first, other) {
        (1, 0) => Some(PARTNER),
        (0, 1) => Some(OTHER),
        (0, 0) => None,
        _ => panic!("it reached both"),
    }
}

/// What the operator was told of partners.
fn notes(rig: &mut Rig) -> Vec<(LinkId, bool)> {
    let note = |command| match command {
        Command::Note { link, is_asked } => Some((link, is_asked)),
        Command::Close { .. } | Command::Share { .. } => None,
    };
    rig.outbox.commands.drain(..).filter_map(note).collect()
}

/// The partner says nothing to so many requests.
fn silent(rig: &mut Rig, stans: std::ops::Range<u32>) {
    for stan in stans {
        assert_eq!(asked(rig, stan), Some(PARTNER));
    }
    rig.wait(BUDGET);
    assert!(rig.at_pos().iter().all(|answer| answer.code() == "91"));
}

#[test]
fn a_silent_partner_is_left_alone_and_tried_again() {
    let mut rig = rig();
    silent(&mut rig, 1..4);
    assert_eq!(asked(&mut rig, 10), Some(PARTNER), "three are not enough");
    rig.wait(BUDGET);
    assert_eq!(notes(&mut rig).last(), Some(&(PARTNER, false)));
    assert_eq!(rig.count(Counter::LeftAlone), 1);
    assert_eq!(asked(&mut rig, 11), Some(OTHER), "at once, and to the next");
    // One request at a time finds out.
    rig.wait(PAUSE);
    rig.at_host();
    rig.ask(POS, &sale(12));
    let probe = rig.at_host().pop().expect("it is tried");
    assert_eq!(asked(&mut rig, 13), Some(OTHER));
    rig.answer(&probe, "51");
    for stan in 14..18 {
        rig.ask(POS, &sale(stan));
        let probe = rig.at_host().pop().expect("it answers");
        assert_eq!(asked(&mut rig, stan + 100), Some(OTHER));
        rig.answer(&probe, "00");
    }
    assert_eq!(notes(&mut rig), [(PARTNER, true)]);
    assert_eq!(asked(&mut rig, 20), Some(PARTNER));
    assert_eq!(asked(&mut rig, 21), Some(PARTNER), "as ever");
}

#[test]
fn who_is_the_only_one_is_declined_at_once() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| {
        setup.links[1].breaker = Some(Breaker { failures: FAILURES, pause: PAUSE });
    });
    silent(&mut rig, 1..5);
    rig.ask(POS, &sale(9));
    assert_eq!(rig.at_pos()[0].code(), "91", "without a wait");
    assert!(rig.at_host().iter().all(|message| message.mti != "0200"));
    assert_eq!(rig.count(Counter::PartnersDown), 1);
}

#[test]
fn what_partners_decline_is_no_failure() {
    let mut rig = rig();
    for stan in 1..40 {
        let request = rig.sale(stan);
        rig.answer(&request, ["05", "91", "96", "68"][stan as usize % 4]);
    }
    assert_eq!(rig.count(Counter::LeftAlone), 0);
    assert_eq!(asked(&mut rig, 999), Some(PARTNER));
}

#[test]
fn lost_connections_count_once_each() {
    let mut rig = rig();
    for stan in 1..=u32::from(FAILURES) {
        for request in 0..10 {
            assert_eq!(asked(&mut rig, stan * 100 + request), Some(PARTNER));
        }
        rig.feed(Event::Closed { session: HOST });
        assert_eq!(rig.count(Counter::LeftAlone), u64::from(stan == u32::from(FAILURES)));
        rig.open(HOST, PARTNER);
    }
    assert_eq!(asked(&mut rig, 1), Some(PARTNER), "it has come back: it is tried at once");
    assert_eq!(asked(&mut rig, 2), Some(OTHER), "by one request");
}

#[test]
fn what_never_left_is_no_failure_of_the_partner() {
    let mut rig = rig();
    for stan in 1..=u32::from(FAILURES) + 2 {
        // Nobody takes the bytes of this one.
        rig.ask(POS, &sale(stan));
        rig.feed(Event::Closed { session: HOST });
        rig.open(HOST, PARTNER);
    }
    assert_eq!(rig.count(Counter::LeftAlone), 0);
    assert_eq!(rig.count(Counter::Withdrawn), u64::from(FAILURES) + 2);
}

#[test]
fn weights_deal_cards_out_and_the_others_step_in() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| {
        two_partners(setup);
        let table = RouteTable::single(vec![PARTNER, OTHER], BUDGET);
        let route = Route { turns: vec![0, 1, 0, 0], ..table.route(RouteId(0)).clone() };
        setup.routes = Arc::new(RouteTable::of_route(route));
    });
    rig.open(OTHER_HOST, OTHER);
    let card = |number: u32| format!("476134{number:010}");
    let to = |rig: &mut Rig, stan: u32, number: u32| {
        rig.ask(POS, &sale(stan).with(2, &card(number)));
        match (rig.at_host().len(), at_other(rig).len()) {
            (1, 0) => PARTNER,
            (0, 1) => OTHER,
            found => panic!("{found:?}"),
        }
    };
    let dealt: Vec<LinkId> = (1..=400).map(|number| to(&mut rig, number, number)).collect();
    let others = dealt.iter().filter(|link| **link == OTHER).count();
    assert!((70..=130).contains(&others), "a quarter, about: {others} of 400");
    let again: Vec<LinkId> = (1..=400).map(|number| to(&mut rig, 400 + number, number)).collect();
    assert_eq!(again, dealt, "each card has its partner");
    // What completes a sale that nobody remembers goes where the sale went.
    let far = dealt.iter().position(|link| *link == OTHER).expect("one") as u32 + 1;
    rig.ask(POS, &completion(900, 899).without(90).with(2, &card(far)));
    assert_eq!(at_other(&mut rig).len(), 1);
    rig.feed(Event::Closed { session: HOST });
    rig.at_pos();
    assert!((1..=20).all(|number| to(&mut rig, 1000 + number, number) == OTHER), "none is lost");
}

/// One partner has 10 requests under way and answers nothing; the other answers at once.
#[test]
fn who_has_the_fewest_requests_under_way_is_asked_first() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| {
        two_partners(setup);
        let table = RouteTable::single(vec![PARTNER, OTHER], BUDGET);
        let route = Route { by_load: true, ..table.route(RouteId(0)).clone() };
        setup.routes = Arc::new(RouteTable::of_route(route));
    });
    rig.open(OTHER_HOST, OTHER);
    let quiet: Vec<_> = (1..=20).map(|stan| asked(&mut rig, stan)).collect();
    let firsts = quiet.iter().filter(|link| **link == Some(PARTNER)).count();
    assert_eq!(firsts, 10, "nobody answers: evenly");
    let mut at = Vec::new();
    for stan in 21..=60 {
        rig.ask(POS, &sale(stan));
        for request in rig.at_host() {
            rig.answer(&request, "00");
            at.push(PARTNER);
        }
        at.extend(at_other(&mut rig).iter().map(|_| OTHER));
    }
    assert_eq!(at.len(), 40);
    let slow = at.iter().filter(|link| **link == OTHER).count();
    assert!(slow <= 1, "who answers gets the rest: {at:?}");
    // Who is down is stepped over.
    rig.feed(Event::Closed { session: HOST });
    rig.at_pos();
    assert_eq!(asked(&mut rig, 61), Some(OTHER));
}

/// As the routes say: nothing new is asked, what was asked is answered, what is owed goes.
#[test]
fn who_is_worked_on_is_asked_nothing_new() {
    let version = |maintenance: &[LinkId], former: &RouteTable| {
        let route = RoutePlan {
            name: "default".into(),
            partners: vec![PARTNER, OTHER],
            budget: BUDGET,
            ..RoutePlan::default()
        };
        let maintenance = maintenance.to_vec();
        let plan = Plan { routes: vec![route], maintenance, ..Plan::default() };
        let mut table = build(plan).expect("no contradiction");
        table.follow(former);
        Arc::new(table)
    };
    let mut rig = rig();
    assert_eq!(asked(&mut rig, 1), Some(PARTNER));
    rig.ask(POS, &sale(2));
    let seen = rig.at_host().pop().expect("forwarded");
    rig.feed(Event::Routes(version(&[PARTNER], rig.switch.routes())));
    rig.answer(&seen, "00");
    assert_eq!(rig.at_pos()[0].code(), "00");
    assert_eq!(asked(&mut rig, 3), Some(OTHER));
    rig.wait(BUDGET);
    let reversals = rig.at_host();
    assert_eq!((reversals.len(), &*reversals[0].mti), (1, "0420"), "of the first");
    rig.feed(Event::Routes(version(&[PARTNER, OTHER], rig.switch.routes())));
    rig.at_pos();
    assert_eq!(asked(&mut rig, 4), None);
    assert_eq!(rig.at_pos()[0].code(), "91");
    rig.feed(Event::Routes(version(&[], rig.switch.routes())));
    assert_eq!(asked(&mut rig, 5), Some(PARTNER));
}

/// Where 0800 are sent, no shopper finds out that nobody is there.
#[test]
fn a_partner_is_knocked_for_before_it_is_asked_again() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| {
        with_breaker(setup);
        setup.links[1].echo_interval = Some(Duration::from_secs(600));
    });
    rig.open(OTHER_HOST, OTHER);
    silent(&mut rig, 1..5);
    rig.at_host();
    rig.wait(PAUSE);
    let is_echo = |message: &Plain| message.mti == "0800";
    let knocks: Vec<Plain> = rig.at_host().into_iter().filter(is_echo).collect();
    let [knock] = &knocks[..] else { panic!("one 0800 was due: {knocks:?}") };
    assert_eq!(asked(&mut rig, 10), Some(OTHER), "not before it has answered");
    rig.answer(knock, "00");
    rig.ask(POS, &sale(11));
    let probe = rig.at_host().into_iter().find(|message| message.mti == "0200");
    rig.answer(&probe.expect("it is tried"), "00");
    // Silent to requests only: left alone for longer, and knocked for once more.
    assert_eq!(asked(&mut rig, 12), Some(PARTNER));
    rig.wait(BUDGET);
    assert_eq!(asked(&mut rig, 13), Some(OTHER));
    rig.wait(2 * PAUSE);
    assert_eq!(rig.at_host().iter().filter(|message| is_echo(message)).count(), 1);
}

/// Its connection is closed for that; what comes up is knocked for too, as nothing was heard yet.
#[test]
fn who_does_not_answer_a_knock_is_called_again_and_knocked_for() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| {
        with_breaker(setup);
        setup.links[1].echo_interval = Some(Duration::from_secs(600));
    });
    rig.open(OTHER_HOST, OTHER);
    silent(&mut rig, 1..5);
    rig.wait(PAUSE + Duration::from_secs(10));
    assert_eq!(rig.closes(), [HOST]);
    rig.feed(Event::Closed { session: HOST });
    rig.bytes(HOST);
    let again = authswitch::base::ids::SessionId { generation: 2, ..HOST };
    rig.open(again, PARTNER);
    assert_eq!(asked(&mut rig, 20), Some(OTHER));
    rig.wait(Duration::from_millis(1));
    let partner = rig.partner.clone();
    let bytes = rig.bytes(again);
    let knock = crate::rig::plain(&partner, &bytes).into_iter().find(|m| m.mti == "0800");
    let answer = crate::rig::answer_to(&knock.expect("it is knocked for"), "00");
    rig.send(again, &crate::rig::framed(&partner, &answer));
    rig.ask(POS, &sale(21));
    let bytes = rig.bytes(again);
    assert!(crate::rig::plain(&partner, &bytes).iter().any(|message| message.mti == "0200"));
}
