//! A partner is told what is paid in other currencies.

use std::sync::Arc;
use std::time::Duration;

use authswitch::base::money::Currency;
use authswitch::base::rate::{Rate, Rounding};
use authswitch::base::time::Wall;
use authswitch::routing::build::{Plan, RoutePlan, build};
use authswitch::routing::quote::{Converts, Quote, Quotes};
use authswitch::switch::Counter;

use crate::originals::undoing;
use crate::rig::{BUDGET, PARTNER, POS, Plain, Rig, answer_to, sale};

/// When the quotes of the rig end: an hour after it begins.
const END_S: u64 = 1_795_313_565 + 3600;

fn currency(letters: &str) -> Currency {
    Currency::from_letters(letters).expect("listed")
}

fn rig(partner: &str, settles_in: Option<&str>, bills_in: Option<&str>) -> Rig {
    let quote = |to: &str, number| Quote {
        from: currency("CNY"),
        to: currency(to),
        rate: Rate::from_number(number).expect("a rate"),
        rounding: Rounding::HalfUp,
        since: None,
        until: Wall::from_unix_s(END_S),
    };
    let quotes = Quotes::new(vec![quote("USD", 70_140_512), quote("KRW", 41_911_680)]);
    let route = RoutePlan {
        name: "abroad".into(),
        partners: vec![PARTNER],
        budget: BUDGET,
        converts: Converts {
            settles_in: settles_in.map(currency),
            bills_in: bills_in.map(currency),
        },
        ..RoutePlan::default()
    };
    let plan = Plan { version: 1, routes: vec![route], quotes, ..Plan::default() };
    let routes = Arc::new(build(plan).expect("no contradiction"));
    Rig::with("pos-bcd", partner, |setup| setup.routes = routes)
}

/// What the partner is told of settlement, and of the bill.
fn told(message: &Plain) -> [[Option<&str>; 3]; 2] {
    [[5, 9, 50], [6, 10, 51]].map(|elements| elements.map(|element| message.of(element)))
}

const USD: [Option<&str>; 3] = [Some("000000000018"), Some("70140512"), Some("840")];
const KRW: [Option<&str>; 3] = [Some("000000002390"), Some("41911680"), Some("410")];
const NONE: [Option<&str>; 3] = [None; 3];

/// CNY 12.50 are USD 0.18 and KRW 2,390.
#[test]
fn amounts_are_told_in_the_currencies_of_settlement_and_bill() {
    for partner in ["pos-bcd", "iso87-ascii"] {
        for (settles_in, bills_in, expected) in [
            (Some("USD"), Some("KRW"), [USD, KRW]),
            (Some("USD"), None, [USD, NONE]),
            (None, Some("KRW"), [NONE, KRW]),
            (None, Some("CNY"), [NONE, [Some("000000001250"), Some("00000001"), Some("156")]]),
        ] {
            let mut rig = rig(partner, settles_in, bills_in);
            let seen = rig.sale(1);
            assert_eq!(told(&seen), expected, "{partner}");
            for element in [2, 3, 4, 7, 22, 37, 41, 42, 49] {
                assert_eq!(seen.of(element), sale(1).of(element), "DE {element}");
            }
            rig.answer(&seen, "00");
            let answer = rig.at_pos().pop().expect("answered");
            assert_eq!((answer.code(), answer.of(4)), ("00", Some("000000001250")));
            assert_eq!(told(&answer), expected, "what the partner says of it is handed on");
        }
    }
}

/// An acquirer that has a quote of its own is not corrected.
#[test]
fn what_the_request_says_itself_stays() {
    let mut rig = rig("pos-bcd", Some("USD"), Some("KRW"));
    let own = [Some("000000009999"), Some("60000001"), Some("392")];
    let request = sale(1).with(6, "000000009999").with(10, "60000001").with(51, "392");
    rig.ask(POS, &request);
    let seen = rig.at_host().pop().expect("asked");
    assert_eq!(told(&seen), [USD, own]);
}

#[test]
fn nothing_is_converted_by_a_quote_that_has_expired() {
    let mut rig = rig("pos-bcd", Some("USD"), None);
    rig.now.wall = Wall::from_unix_s(END_S - 1);
    rig.sale(1);
    rig.now.wall = Wall::from_unix_s(END_S);
    for (request, code) in
        [(sale(2), "96"), (sale(3).with(49, "392"), "96"), (sale(4).without(49), "30")]
    {
        rig.ask(POS, &request);
        assert_eq!(rig.at_pos().pop().expect("answered").code(), code);
        assert!(rig.at_host().is_empty());
    }
    assert_eq!(rig.count(Counter::Unquoted), 2);
}

/// Their amount is that of the sale, which the partner has converted.
#[test]
fn what_gives_back_is_not_converted() {
    let mut rig = rig("pos-bcd", Some("USD"), Some("KRW"));
    let seen = rig.sale(1);
    rig.answer(&seen, "00");
    rig.at_pos();
    for (own, kind) in [(7, "200000"), (8, "020000")] {
        let part = undoing(own, 1, kind).with(4, "000000000100");
        rig.ask(POS, &part);
        let seen = rig.at_host().pop().expect("asked");
        assert_eq!(told(&seen), [NONE, NONE], "{kind}");
        rig.say(&answer_to(&seen, "00"));
        rig.at_pos();
    }
    // Nor is what takes a sale back because it was not answered.
    rig.sale(20);
    rig.wait(BUDGET + Duration::from_secs(1));
    let reversal = rig.at_host().pop().expect("taken back");
    assert_eq!((&*reversal.mti, told(&reversal)), ("0420", [NONE, NONE]));
}
