//! The rules together: order, scope, what is counted, what is given back.

use std::time::Duration;

use super::key::{Key, Part};
use super::list::{FOR_EVER, Listed};
use super::rule::{Scope, Test, Velocity};
use super::*;
use crate::base::authorization::{Authorization, Instrument, Kind};
use crate::base::ids::Region;
use crate::base::money::{Amount, Currency};
use crate::base::time::{Now, Wall};

mod travel;

const SECRET: u64 = 77;

fn code(number: u8) -> ResponseCode {
    ResponseCode::from_number(number).expect("two digits")
}

fn rule(name: &str, test: Test, number: u8) -> Rule {
    let scope = Scope::default();
    Rule { name: name.into(), scope, test, action: Action::Decline, code: code(number) }
}

fn velocity(parts: &[Part], seconds: u64, limit: u64) -> Velocity {
    let window = Duration::from_secs(seconds);
    Velocity { key: Key::of(parts), window, limit, sums: false, attempts: false }
}

fn counts(name: &str, parts: &[Part], seconds: u64, limit: u64, number: u8) -> Rule {
    rule(name, Test::Velocity(velocity(parts, seconds, limit)), number)
}

fn rules(rules: Vec<Rule>) -> Rules {
    let plan = Plan { rules, secret: SECRET, ..Plan::default() };
    Rules::new(plan, Arc::new(Memory::new(PAGE_BYTES))).expect("the keys find room")
}

fn facts(card: &str, minor: u64) -> Authorization {
    let currency = Currency::from_letters("KRW").expect("listed");
    Authorization {
        kind: Kind::Purchase,
        amount: Amount { minor, currency },
        instrument: Instrument::from_digits(card.as_bytes(), false),
        merchant: *b"SHOP-1         ",
        terminal: *b"POS00001",
        mcc: 5812,
        ..Authorization::default()
    }
}

fn at(seconds: u64) -> Now {
    let instant = Instant::from_ns(seconds * 1_000_000_000);
    Now { instant, wall: Wall::from_unix_s(1_795_313_565 + seconds) }
}

fn asked(facts: &Authorization, seconds: u64) -> Asked<'_> {
    let head = facts.instrument.map_or(0, |instrument| instrument.head());
    Asked {
        region: Region::from_text("CN"),
        home: Region::from_text("KR"),
        instrument: token(SECRET, &head.to_be_bytes()),
        ..Asked::new(facts, at(seconds))
    }
}

fn said(rules: &Rules, facts: &Authorization, seconds: u64) -> u8 {
    match rules.decide(&asked(facts, seconds), &mut Taken::default(), &mut Tally::default()) {
        Verdict::Passed => 0,
        Verdict::Declined { code, .. } => code.number(),
    }
}

#[test]
fn a_double_scan_is_a_limit_of_one() {
    let gate = [Part::Instrument, Part::Terminal];
    let rules = rules(vec![counts("gate", &gate, 2, 1, 94)]);
    let (one, other) = (facts("281006012345678901", 200), facts("281006012345678902", 200));
    assert_eq!(said(&rules, &one, 10), 0);
    assert_eq!(said(&rules, &one, 11), 94);
    assert_eq!(said(&rules, &other, 11), 0);
    let elsewhere = Authorization { terminal: *b"POS00002", ..one };
    assert_eq!(said(&rules, &elsewhere, 11), 0);
    assert_eq!(said(&rules, &one, 13), 0, "what was declined does not count");
    assert_eq!(rules.spoken().collect::<Vec<_>>(), [("gate", 1)]);
}

#[test]
fn the_first_decline_of_the_file_speaks_and_nothing_stays_counted() {
    let sums = Velocity { sums: true, ..velocity(&[Part::Merchant], 60, 1000) };
    let rules = rules(vec![
        counts("card", &[Part::Instrument], 60, 2, 65),
        rule("merchant", Test::Velocity(sums), 61),
        rule("ceiling", Test::Amount { min: 1, max: 900 }, 13),
    ]);
    let (card, other) = (facts("4111111111111111", 400), facts("4222222222222222", 700));
    assert_eq!(said(&rules, &facts("4111111111111111", 901), 1), 13, "asked before what counts");
    assert_eq!([said(&rules, &card, 1), said(&rules, &card, 1)], [0, 0]);
    assert_eq!(said(&rules, &card, 1), 65, "both speak, the first in the file is heard");
    assert_eq!(said(&rules, &other, 1), 61);
    let look = rules.look(&asked(&other, 1));
    assert_eq!(look, [(0, 0, 2), (1, 800, 1000)], "the card of the declined one is free");
    assert_eq!(said(&rules, &facts("4222222222222222", 200), 1), 0);
}

#[test]
fn what_is_undone_is_given_back_and_attempts_are_kept() {
    let attempts = Velocity { attempts: true, ..velocity(&[Part::Instrument], 600, 3) };
    let rules = rules(vec![
        counts("sales", &[Part::Instrument], 600, 1, 65),
        rule("attempts", Test::Velocity(attempts), 59),
    ]);
    let card = facts("4111111111111111", 400);
    let mut taken = Taken::default();
    let mut ask = |back: Option<Back>| {
        let verdict = rules.decide(&asked(&card, 1), &mut taken, &mut Tally::default());
        if let Some(back) = back {
            rules.give_back(&mut taken, back);
            rules.give_back(&mut taken, back);
        }
        matches!(verdict, Verdict::Passed)
    };
    assert!(ask(Some(Back::Undone)), "as if it had never been");
    assert!(ask(Some(Back::Declined)), "an attempt, but no sale");
    assert!(ask(None));
    assert_eq!(rules.look(&asked(&card, 1)), [(0, 1, 1), (1, 2, 3)]);
    assert!(!ask(None));
    assert!(!ask(None));
    let spoken: Vec<u64> = rules.spoken().map(|(_, count)| count).collect();
    assert_eq!(spoken, [2, 1], "the fourth attempt is one too many as well");
}

#[test]
fn a_rule_on_trial_counts_and_lets_pass() {
    let mut trial = counts("trial", &[Part::Instrument], 60, 1, 65);
    trial.action = Action::Shadow;
    let rules = rules(vec![trial]);
    let card = facts("4111111111111111", 400);
    assert_eq!([1, 2, 3].map(|_| said(&rules, &card, 1)), [0, 0, 0]);
    assert_eq!(rules.spoken().map(|(_, count)| count).sum::<u64>(), 2);
}

#[test]
fn scopes_choose_whom_a_rule_is_for() {
    let only = |scope: Scope| {
        let mut only = rule("only", Test::Always, 57);
        only.scope = scope;
        said(&rules(vec![only]), &facts("4111111111111111", 400), 1) == 57
    };
    let region = |text: &str| vec![Region::from_text(text).expect("a region")];
    let none = Scope::default();
    assert!(only(none.clone()));
    assert!(only(Scope { regions: region("CN"), homes: region("KR"), ..none.clone() }));
    assert!(!only(Scope { regions: region("KR"), ..none.clone() }));
    assert!(only(Scope { abroad: true, ..none.clone() }));
    assert!(only(Scope { mccs: vec![(5811, 5814)], ..none.clone() }));
    assert!(!only(Scope { mccs: vec![(5813, 5814)], ..none.clone() }));
    assert!(only(Scope { merchants: vec!["SHOP-1".into()], ..none.clone() }));
    assert!(!only(Scope { merchants: vec!["SHOP-2".into()], ..none.clone() }));
    assert!(!only(Scope { kinds: vec![Kind::Refund], ..none.clone() }));
    assert!(!only(Scope { currencies: vec![Currency::default()], ..none.clone() }));
    assert!(!only(Scope { entry_modes: vec![(30, 39)], ..none }));
}

#[test]
fn lists_stop_and_allow() {
    let card = facts("4111111111111111", 400);
    let hot = |listed: Listed, until: Wall| {
        let list = List::new(SECRET, [(listed, until)]);
        said(&rules(vec![rule("hot", Test::Listed(list), 43)]), &card, 1)
    };
    let seen = asked(&card, 1).instrument;
    assert_eq!(hot(Listed::Token(seen), FOR_EVER), 43);
    assert_eq!(hot(Listed::Token(seen), at(2).wall), 43);
    assert_eq!(hot(Listed::Token(seen), at(1).wall), 0, "it has ended");
    assert_eq!(hot(Listed::Token(seen ^ 1), FOR_EVER), 0);
    assert_eq!(hot(Listed::Prefix("4111".into()), FOR_EVER), 43);
    assert_eq!(hot(Listed::Prefix("4112".into()), FOR_EVER), 0);
    assert_eq!(hot(Listed::Merchant("SHOP-1".into()), FOR_EVER), 43);
    assert_eq!(hot(Listed::Terminal("SHOP-1".into()), FOR_EVER), 0);
    assert_eq!(hot(Listed::Terminal("POS00001".into()), FOR_EVER), 43);
    let allowed = List::new(SECRET, [(Listed::Terminal("POS00001".into()), FOR_EVER)]);
    let plan = Plan { rules: vec![rule("all", Test::Always, 57)], allowed, ..Plan::default() };
    let rules = Rules::new(plan, Arc::new(Memory::new(PAGE_BYTES))).expect("no keys");
    assert_eq!(said(&rules, &card, 1), 0);
}

#[test]
fn the_next_version_counts_on() {
    let limit = |limit| vec![counts("card", &[Part::Instrument], 60, limit, 65)];
    let first = rules(limit(1));
    let card = facts("4111111111111111", 400);
    assert_eq!([said(&first, &card, 1), said(&first, &card, 1)], [0, 65]);
    let mut second = rules(limit(2));
    second.follow(&first);
    assert_eq!([said(&second, &card, 1), said(&second, &card, 1)], [0, 65]);
    assert_eq!(second.spoken().collect::<Vec<_>>(), [("card", 2)]);
}

#[test]
fn what_a_former_life_counted_counts_on() {
    let limits = rules(vec![counts("card", &[Part::Instrument], 60, 2, 65)]);
    let card = facts("4111111111111111", 400);
    for ago in [200, 50, 40] {
        limits.count_again(&asked(&card, 0), Duration::from_secs(ago), &mut Taken::default());
    }
    assert_eq!([said(&limits, &card, 5), said(&limits, &card, 9)], [65, 65]);
    assert_eq!([said(&limits, &card, 14), said(&limits, &card, 14)], [0, 65]);
}

#[test]
fn a_key_too_many_is_told() {
    let parts = [Part::Instrument, Part::Merchant, Part::Terminal, Part::Mcc];
    let key = |n: usize| -> Vec<Part> {
        parts.iter().enumerate().filter(|(bit, _)| n >> bit & 1 == 1).map(|(_, p)| *p).collect()
    };
    let list = (1..=9).map(|n| counts(&n.to_string(), &key(n), 60, 1, 65)).collect();
    let plan = Plan { rules: list, ..Plan::default() };
    assert_eq!(Rules::new(plan, Arc::new(Memory::new(PAGE_BYTES))).err(), Some(8));
}

#[test]
fn what_the_row_says_is_heard_beside_the_request() {
    let only = |scope: Scope, asked: &Asked<'_>| {
        let mut only = rule("only", Test::Always, 57);
        only.scope = scope;
        let verdict = rules(vec![only]).decide(asked, &mut Taken::default(), &mut Tally::default());
        verdict != Verdict::Passed
    };
    let card = facts("4111111111111111", 400);
    let kinds = [Kind::Purchase, Kind::Fare];
    let asked = Asked { mccs: [5812, 4111], kinds, ..asked(&card, 1) };
    for (mcc, holds) in [(5812, true), (4111, true), (4112, false), (0, false)] {
        let scope = Scope { mccs: vec![(mcc, mcc)], ..Scope::default() };
        assert_eq!(only(scope, &asked), holds, "{mcc}");
    }
    for (kind, holds) in [(Kind::Purchase, true), (Kind::Fare, true), (Kind::Refund, false)] {
        let scope = Scope { kinds: vec![kind], ..Scope::default() };
        assert_eq!(only(scope, &asked), holds, "{kind:?}");
    }
}

#[test]
fn who_names_no_currency_escapes_no_ceiling() {
    let ceiling = |letters: &str, region: Option<&str>| {
        let mut ceiling = rule("ceiling", Test::Amount { min: 0, max: 900 }, 61);
        ceiling.scope.currencies = Currency::from_letters(letters).into_iter().collect();
        let mut card = facts("4111111111111111", 901);
        card.amount.currency = Currency::default();
        let asked = Asked { region: region.and_then(Region::from_text), ..asked(&card, 1) };
        rules(vec![ceiling]).decide(&asked, &mut Taken::default(), &mut Tally::default())
            != Verdict::Passed
    };
    assert!(ceiling("CNY", Some("CN")), "what is paid there");
    assert!(!ceiling("KRW", Some("CN")), "is not paid there");
    assert!(ceiling("CNY", None) && ceiling("KRW", None), "may be any");
    assert!(ceiling("USD", Some("PA")) && ceiling("PAB", Some("PA")), "two are paid there");
    let sums = Velocity { sums: true, ..velocity(&[Part::Instrument], 60, 900) };
    let mut sum = rule("sum", Test::Velocity(sums), 61);
    sum.scope.currencies = Currency::from_letters("CNY").into_iter().collect();
    let mut card = facts("4111111111111111", 800);
    (card.amount.currency, sum.name) = (Currency::default(), "sum".into());
    let rules = rules(vec![sum]);
    assert_eq!([said(&rules, &card, 1), said(&rules, &card, 1)], [0, 61]);
}

#[test]
fn each_rule_says_how_often_it_was_looked_at_and_spoke() {
    let mut trial = rule("trial", Test::Amount { min: 0, max: 300 }, 61);
    trial.action = Action::Shadow;
    let mut elsewhere = rule("elsewhere", Test::Always, 57);
    elsewhere.scope.regions = vec![Region(*b"JP")];
    let limit = counts("limit", &[Part::Instrument], 60, 1, 65);
    let first = rules(vec![trial.clone(), elsewhere, limit.clone()]);
    let card = facts("4111111111111111", 400);
    let mut tally = Tally::of(&first);
    for _ in 0..3 {
        first.decide(&asked(&card, 1), &mut Taken::default(), &mut tally);
    }
    let told = |rules: &Rules| -> Vec<[u64; 3]> {
        let all = rules.counted();
        all.map(|(_, Counted { looked, acted, on_trial })| [looked, acted, on_trial]).collect()
    };
    assert_eq!(told(&first), [[0, 0, 3], [0, 0, 0], [0, 2, 0]], "looks are added up later");
    first.add_up(&mut tally);
    first.add_up(&mut tally);
    assert_eq!(told(&first), [[3, 0, 3], [0, 0, 0], [3, 2, 0]]);
    trial.action = Action::Decline;
    let mut second = rules(vec![limit, trial]);
    second.follow(&first);
    let mut tally = Tally::of(&second);
    second.decide(&asked(&card, 1), &mut Taken::default(), &mut tally);
    second.add_up(&mut tally);
    assert_eq!(told(&second), [[3, 2, 0], [4, 1, 3]], "on trial apart, and the first ends it");
}
