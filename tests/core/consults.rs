//! Whose code is it? Asked of who knows, before the request goes its way.

use std::sync::Arc;
use std::time::Duration;

use authswitch::base::ids::{Area, LinkId, NetworkId, Region, SessionId};
use authswitch::routing::RouteTable;
use authswitch::routing::build::{NetworkPlan, Plan, RoutePlan, TwinDefault, build};
use authswitch::routing::classify::{CodeRule, Lengths};
use authswitch::routing::merchants::{Groups, Merchant, MerchantRows, NetworkSet};
use authswitch::switch::event::Storage;
use authswitch::switch::health::Breaker;
use authswitch::switch::recover::Recovery;
use authswitch::switch::{Counter, Event, LinkSetup, Outbox, Setup};

use crate::restart::{open, restarted, store};
use crate::rig::{BUDGET, HOST, PARTNER, POS, POS_2, Plain, Rig, answer_to, framed, plain, sale};

/// Knows the codes of the wallet in Hong Kong, and takes its payments.
const KNOWS: LinkId = LinkId(2);
const KNOWING: SessionId = SessionId { slot: 3, generation: 1 };

const WITHIN: Duration = Duration::from_millis(300);

/// Two wallets with such numbers; by default it is the one of [`PARTNER`].
fn routes() -> RouteTable {
    routes_with(TwinDefault::Other)
}

fn routes_with(twin_default: TwinDefault) -> RouteTable {
    let (mainland, hongkong) = (NetworkId(0), NetworkId(1));
    let numbers = Lengths::new(16, 16).expect("lengths");
    let networks = vec![
        NetworkPlan {
            name: "MAINLAND".into(),
            rules: vec![CodeRule::prefix(false, "4761", numbers).expect("a rule")],
            ..NetworkPlan::default()
        },
        NetworkPlan {
            name: "HONGKONG".into(),
            twin: Some(mainland),
            twin_default,
            consult: Some(KNOWS),
            consult_within: WITHIN,
            ..NetworkPlan::default()
        },
    ];
    let route = |name: &str, network, partner| RoutePlan {
        name: name.into(),
        networks: vec![network],
        partners: vec![partner],
        budget: BUDGET,
        ..RoutePlan::default()
    };
    let routes = vec![route("mainland", mainland, PARTNER), route("hongkong", hongkong, KNOWS)];
    let mut rows = MerchantRows::default();
    let networks_taken = NetworkSet::default().with(mainland).with(hongkong);
    let area = Area::from(Region(*b"HK"));
    let merchant = Merchant { networks: networks_taken, area, mcc: 0, groups: Groups::default() };
    rows.add_prefix(b"MERCHANT", merchant).expect("a row");
    let merchants = Some(rows.build().0);
    let plan = Plan { version: 1, networks, routes, merchants, ..Plan::default() };
    build(plan).expect("no contradiction")
}

fn with_knowing(setup: &mut Setup) {
    setup.routes = Arc::new(routes());
    let knows = LinkSetup { name: "knows".into(), ..setup.links[1].clone() };
    setup.links.push(knows);
}

fn rig() -> Rig {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", with_knowing);
    rig.open(KNOWING, KNOWS);
    rig
}

/// What came to who knows.
fn at_knowing(rig: &mut Rig) -> Vec<Plain> {
    let bytes = rig.bytes(KNOWING);
    plain(&rig.partner.clone(), &bytes)
}

fn says(rig: &mut Rig, message: &Plain) {
    let frame = framed(&rig.partner.clone(), message);
    assert_eq!(rig.send(KNOWING, &frame), frame.len());
}

/// A sale of which is asked whose it is; answers the question.
#[track_caller]
fn asked(rig: &mut Rig, stan: u32) -> Plain {
    rig.ask(POS, &sale(stan).with(52, "0123456789ABCDEF"));
    let seen = at_knowing(rig);
    assert_eq!((seen.len(), rig.at_host().len()), (1, 0), "{seen:?}");
    seen[0].clone()
}

#[test]
fn a_consult_has_the_code_and_moves_no_money() {
    let mut rig = rig();
    let question = asked(&mut rig, 1);
    assert_eq!(question.mti, "0100");
    assert_eq!((question.of(3), question.of(4)), (Some("310000"), Some("000000000000")));
    assert_eq!((question.of(2), question.of(52)), (sale(1).of(2), None));
    assert_ne!(question.of(11), sale(1).of(11), "a STAN of its own");
}

#[test]
fn a_request_goes_where_its_code_belongs() {
    for (code, is_own, unsaid) in
        [("00", true, 0), ("14", false, 0), ("25", false, 0), ("96", false, 1), ("05", false, 1)]
    {
        let mut rig = rig();
        let question = asked(&mut rig, 1);
        says(&mut rig, &answer_to(&question, code));
        let (host, knowing) = (rig.at_host(), at_knowing(&mut rig));
        assert_eq!((host.len(), knowing.len()), if is_own { (0, 1) } else { (1, 0) }, "{code}");
        let seen = host.iter().chain(&knowing).next().expect("one of them").clone();
        assert_eq!(seen.mti, "0200");
        for element in [2, 3, 4, 7, 37, 41, 42, 49, 52] {
            assert_eq!(seen.of(element), sale(1).with(52, "0123456789ABCDEF").of(element));
        }
        let answer = answer_to(&seen, "00").with(38, "A1B2C3");
        if is_own {
            says(&mut rig, &answer)
        } else {
            rig.say(&answer)
        }
        let told = rig.at_pos();
        assert_eq!((told.len(), told[0].code(), told[0].of(38)), (1, "00", Some("A1B2C3")));
        assert_eq!(told[0].of(11), sale(1).of(11));
        let counts = [Counter::Consults, Counter::ConsultsUnsaid, Counter::Forwarded];
        assert_eq!(counts.map(|counter| rig.count(counter)), [1, unsaid, 1]);
        assert_eq!(rig.switch.in_flight(), 0);
    }
}

#[test]
fn silence_leaves_the_default_and_the_budget_holds() {
    let mut rig = rig();
    let question = asked(&mut rig, 1);
    rig.wait(WITHIN - Duration::from_millis(1));
    assert!(rig.at_host().is_empty());
    rig.wait(Duration::from_millis(1));
    assert_eq!(rig.at_host().len(), 1);
    // Too late to say.
    says(&mut rig, &answer_to(&question, "00"));
    assert!(at_knowing(&mut rig).is_empty());
    assert_eq!(rig.count(Counter::UnmatchedAnswers), 1);
    rig.wait(BUDGET - WITHIN - Duration::from_millis(1));
    assert!(rig.at_pos().is_empty());
    rig.wait(Duration::from_millis(1));
    let told = rig.at_pos();
    assert_eq!((told.len(), told[0].code()), (1, "91"), "when it was promised");
    let reversal = rig.at_host();
    assert_eq!((reversal.len(), &*reversal[0].mti), (1, "0420"), "of the request, which left");
    assert!(at_knowing(&mut rig).is_empty(), "nothing is owed for a question");
}

#[test]
fn an_answer_to_another_question_is_none() {
    let mut rig = rig();
    let question = asked(&mut rig, 1);
    says(&mut rig, &answer_to(&question, "00").with(41, "TERM0002"));
    says(&mut rig, &answer_to(&question, "00").with(37, "000000000007"));
    says(&mut rig, &answer_to(&question, "00").typed("0210"));
    assert_eq!(rig.count(Counter::UnmatchedAnswers), 3);
    assert!(rig.at_host().is_empty() && at_knowing(&mut rig).is_empty(), "it waits");
}

#[test]
fn who_is_down_left_alone_or_full_is_not_asked() {
    let down = |rig: &mut Rig| {
        rig.feed(Event::Closed { session: KNOWING });
    };
    let left_alone = |rig: &mut Rig| {
        asked(rig, 7);
        rig.wait(WITHIN);
        rig.at_host();
    };
    let full = |rig: &mut Rig| drop(asked(rig, 7));
    for before in [&down as &dyn Fn(&mut Rig), &left_alone, &full] {
        let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| {
            with_knowing(setup);
            let pause = Duration::from_secs(5);
            setup.links[2].breaker = Some(Breaker { failures: 1, pause });
            setup.links[2].in_flight_max = 1;
        });
        rig.open(KNOWING, KNOWS);
        before(&mut rig);
        rig.ask(POS, &sale(1));
        assert_eq!(rig.at_host().len(), 1, "the default, at once");
    }
}

/// A wallet may take payments and know nothing of such questions.
#[test]
fn who_does_not_say_whose_a_code_is_still_gets_payments() {
    let pause = Duration::from_secs(5);
    let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| {
        with_knowing(setup);
        // The default is who knows, here.
        let mut routes = routes_with(TwinDefault::Own);
        routes.follow(&setup.routes);
        setup.routes = Arc::new(routes);
        setup.links[2].breaker = Some(Breaker { failures: 2, pause });
    });
    rig.open(KNOWING, KNOWS);
    let pays_there = |rig: &mut Rig, stan| {
        let seen = at_knowing(rig).pop().expect("a payment");
        assert_eq!((&*seen.mti, seen.of(4)), ("0200", sale(stan).of(4)));
        says(rig, &answer_to(&seen, "00"));
        assert_eq!(rig.at_pos()[0].code(), "00");
    };
    for stan in 1..=2 {
        asked(&mut rig, stan);
        rig.wait(WITHIN);
        pays_there(&mut rig, stan);
    }
    for stan in 3..=5 {
        rig.ask(POS, &sale(stan));
        pays_there(&mut rig, stan);
    }
    rig.wait(pause);
    let question = asked(&mut rig, 6);
    says(&mut rig, &answer_to(&question, "00"));
    pays_there(&mut rig, 6);
    assert_eq!(rig.count(Counter::LeftAlone), 0);
}

#[test]
fn a_lost_connection_leaves_the_default() {
    let mut rig = rig();
    asked(&mut rig, 1);
    rig.feed(Event::Closed { session: KNOWING });
    let seen = rig.at_host();
    assert_eq!(seen.len(), 1);
    rig.answer(&seen[0], "00");
    assert_eq!(rig.at_pos()[0].code(), "00");
}

#[test]
fn a_repeat_waits_with_it_and_hears_the_same() {
    for is_forwarded in [true, false] {
        let mut rig = rig();
        let question = asked(&mut rig, 1);
        rig.ask(POS_2, &sale(1).typed("0201").with(52, "0123456789ABCDEF"));
        assert!(at_knowing(&mut rig).is_empty() && rig.at_host().is_empty(), "asked once");
        if !is_forwarded {
            rig.feed(Event::Closed { session: HOST });
        }
        says(&mut rig, &answer_to(&question, "14"));
        if is_forwarded {
            let seen = rig.at_host().pop().expect("forwarded");
            rig.answer(&seen, "00");
        }
        let code = if is_forwarded { "00" } else { "91" };
        for told in [rig.at_pos(), rig.at(POS_2)] {
            assert_eq!((told.len(), told[0].code()), (1, code));
        }
        // Both connections may be closed: nothing waits on them.
        rig.feed(Event::Ended { session: POS_2 });
        assert_eq!(rig.closes(), [POS_2]);
    }
}

#[test]
fn what_is_taken_back_meanwhile_goes_nowhere() {
    let mut rig = rig();
    let question = asked(&mut rig, 1);
    rig.ask(POS, &sale(1).typed("0400").with(4, "000000000999"));
    assert_eq!(rig.at_pos()[0].code(), "64", "it is about another amount");
    rig.ask(POS_2, &sale(1).typed("0400"));
    let (told, taken_back) = (rig.at_pos(), rig.at(POS_2));
    assert_eq!((told.len(), told[0].code()), (1, "91"));
    assert_eq!((taken_back.len(), taken_back[0].code()), (1, "00"));
    says(&mut rig, &answer_to(&question, "14"));
    rig.wait(BUDGET);
    assert!(rig.at_host().is_empty() && at_knowing(&mut rig).is_empty());
    rig.ask(POS, &sale(1).typed("0201").with(52, "0123456789ABCDEF"));
    assert_eq!(rig.at_pos()[0].code(), "91", "and stays so");
    assert_eq!(rig.count(Counter::ReversalsOwed), 0);
}

/// Who is told that it is taken back asks no more: so it is in the next life, full disk or not.
#[test]
fn what_is_taken_back_meanwhile_on_a_full_disk_stays_so() {
    let mut recovery = Recovery::default();
    let mut rig = Rig::closed("pos-bcd", "pos-bcd", with_knowing);
    rig.outbox = Outbox::recorded(1);
    open(&mut rig);
    rig.open(KNOWING, KNOWS);
    asked(&mut rig, 1);
    rig.feed(Event::Storage(Storage::ObligationsOnly));
    rig.ask(POS_2, &sale(1).typed("0400"));
    store(&mut rig, &mut recovery);
    assert_eq!(rig.at(POS_2)[0].code(), "00");
    let mut next = restarted(&recovery);
    next.feed(Event::Storage(Storage::ObligationsOnly));
    next.ask(POS, &sale(1).typed("0401"));
    assert_eq!(next.at_pos()[0].code(), "00");
}

#[test]
fn what_nobody_waits_for_goes_nowhere() {
    let mut rig = rig();
    let question = asked(&mut rig, 1);
    rig.feed(Event::Closed { session: POS });
    says(&mut rig, &answer_to(&question, "14"));
    assert!(rig.at_host().is_empty());
    assert_eq!(rig.switch.in_flight(), 0);
    rig.ask(POS_2, &sale(1).typed("0201").with(52, "0123456789ABCDEF"));
    assert_eq!(rig.at(POS_2)[0].code(), "91");
}

#[test]
fn the_way_is_that_of_the_moment() {
    let mut rig = rig();
    let question = asked(&mut rig, 1);
    let mut table = RouteTable::single(vec![KNOWS], BUDGET);
    table.follow(rig.switch.routes());
    rig.feed(Event::Routes(Arc::new(table)));
    says(&mut rig, &answer_to(&question, "14"));
    assert_eq!((rig.at_host().len(), at_knowing(&mut rig).len()), (0, 1));
}

#[test]
fn a_drain_waits_for_the_answer() {
    let mut rig = rig();
    let question = asked(&mut rig, 1);
    rig.feed(Event::Drain);
    assert!(!rig.switch.is_drained());
    says(&mut rig, &answer_to(&question, "14"));
    let seen = rig.at_host().pop().expect("it was accepted");
    assert!(!rig.switch.is_drained());
    rig.answer(&seen, "00");
    assert_eq!(rig.at_pos()[0].code(), "00");
    assert!(rig.switch.is_drained());
}
