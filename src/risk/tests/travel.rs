//! The same card in two places: who is asked, what a place is, how long it matters.

use super::*;
use crate::base::window::{Days, Hours, Window};
use crate::base::zone::Zone;
use crate::risk::travel::Travel;

fn region(text: &str) -> Region {
    Region::from_text(text).expect("a region")
}

/// Two hours anywhere, none between Hong Kong and China, five to America.
fn travel(attempts: bool) -> Rule {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let between =
        vec![(region("CN"), region("HK"), Duration::ZERO), (region("US"), region("CN"), hours(5))];
    let key = Key::of(&[Part::Instrument]);
    rule("travel", Test::Travel(Travel { key, usual: hours(2), between, attempts }), 59)
}

fn at_place<'f>(facts: &'f Authorization, place: &str, minutes: u64) -> Asked<'f> {
    Asked { region: Region::from_text(place), ..asked(facts, minutes * 60) }
}

fn goes(rules: &Rules, asked: &Asked<'_>) -> bool {
    rules.decide(asked, &mut Taken::default(), &mut Tally::default()) == Verdict::Passed
}

#[test]
fn nobody_is_in_two_regions_within_a_journey() {
    let rules = rules(vec![travel(false)]);
    let (card, other) = (facts("4111111111111111", 400), facts("4222222222222222", 400));
    assert!(goes(&rules, &at_place(&card, "CN", 0)));
    assert!(goes(&rules, &at_place(&card, "CN", 1)), "the same region");
    assert!(goes(&rules, &at_place(&card, "HK", 1)), "one walks there");
    assert!(!goes(&rules, &at_place(&card, "KR", 2)));
    assert!(goes(&rules, &at_place(&other, "KR", 2)), "another card");
    assert!(goes(&rules, &at_place(&card, "CN", 3)), "what was declined is no place");
    assert!(!goes(&rules, &at_place(&card, "KR", 122)));
    assert!(goes(&rules, &at_place(&card, "KR", 123)), "two hours later");
    assert!(!goes(&rules, &at_place(&card, "US", 243)), "from Korea yes, but China was not left");
    assert!(goes(&rules, &at_place(&card, "US", 303)));
    let verdict =
        rules.decide(&at_place(&card, "CN", 602), &mut Taken::default(), &mut Tally::default());
    assert_eq!(verdict, Verdict::Declined { rule: Some(0), code: code(59) });
    assert!(goes(&rules, &at_place(&card, "CN", 603)));
}

#[test]
fn gates_the_network_and_merchants_without_a_row_are_not_asked() {
    let rules = rules(vec![travel(false)]);
    let card = facts("4111111111111111", 400);
    assert!(goes(&rules, &at_place(&card, "CN", 0)));
    let there = at_place(&card, "KR", 1);
    for kinds in [[Kind::Fare; 2], [Kind::Purchase, Kind::Fare]] {
        assert!(goes(&rules, &Asked { kinds, ..there }));
    }
    assert!(goes(&rules, &Asked { is_online: true, ..there }));
    assert!(goes(&rules, &Asked { region: None, ..there }));
    let refund = Asked { kinds: [Kind::Refund; 2], ..there };
    assert!(goes(&rules, &refund), "takes no money");
    assert!(!goes(&rules, &there), "and none of these was a place");
    assert!(goes(&rules, &at_place(&card, "CN", 1)));
}

#[test]
fn what_comes_to_nothing_is_no_place() {
    let card = facts("4111111111111111", 400);
    for (attempts, why, is_place) in [
        (false, Back::Undone, false),
        (false, Back::Declined, false),
        (true, Back::Undone, false),
        (true, Back::Declined, true),
    ] {
        let rules = rules(vec![travel(attempts)]);
        assert!(goes(&rules, &at_place(&card, "CN", 0)));
        let mut taken = Taken::default();
        let late = at_place(&card, "KR", 200);
        assert_eq!(rules.decide(&late, &mut taken, &mut Tally::default()), Verdict::Passed);
        rules.give_back(&mut taken, why);
        assert_eq!(!goes(&rules, &at_place(&card, "CN", 201)), is_place, "{attempts} {why:?}");
    }
    let ceiling = rule("ceiling", Test::Amount { min: 0, max: 900 }, 61);
    let limit = counts("limit", &[Part::Instrument], 60, 1, 65);
    let rules = rules(vec![ceiling, travel(false), limit]);
    assert!(!goes(&rules, &at_place(&facts("4111111111111111", 901), "KR", 0)));
    assert!(goes(&rules, &at_place(&card, "CN", 1)));
    assert!(!goes(&rules, &at_place(&card, "CN", 1)), "once a minute");
    assert!(!goes(&rules, &at_place(&card, "KR", 2)));
    assert_eq!(rules.spoken().map(|(_, count)| count).collect::<Vec<_>>(), [1, 1, 2]);
}

#[test]
fn on_trial_it_lets_pass_and_a_former_life_counts() {
    let mut trial = travel(false);
    trial.action = Action::Shadow;
    let card = facts("4111111111111111", 400);
    let shadow = rules(vec![trial]);
    assert!(goes(&shadow, &at_place(&card, "CN", 0)) && goes(&shadow, &at_place(&card, "KR", 1)));
    assert_eq!(shadow.spoken().map(|(_, count)| count).sum::<u64>(), 1);
    let later = rules(vec![travel(false)]);
    let hour = Duration::from_secs(3600);
    later.count_again(&at_place(&card, "CN", 0), hour, &mut Taken::default());
    assert!(!goes(&later, &at_place(&card, "KR", 59)));
    assert!(goes(&later, &at_place(&card, "KR", 60)));
}

#[test]
fn two_at_once_are_never_both_let_pass() {
    let rules = rules(vec![travel(false)]);
    let cards: Vec<_> = (0..40).map(|n| facts(&format!("41111111111111{n:02}"), 400)).collect();
    let passed = |place: &'static str| {
        let (rules, cards) = (&rules, &cards);
        move || cards.iter().map(|card| goes(rules, &at_place(card, place, 1))).collect::<Vec<_>>()
    };
    let both = std::thread::scope(|scope| {
        let there = scope.spawn(passed("KR"));
        let here = passed("CN")();
        here.into_iter().zip(there.join().expect("no panic")).collect::<Vec<_>>()
    });
    assert!(both.iter().all(|(here, there)| here != there), "{both:?}");
}

#[test]
fn corridors_chains_and_hours_are_scopes() {
    let only = |scope: Scope, seconds: u64| {
        let mut only = rule("only", Test::Always, 57);
        only.scope = scope;
        said(&rules(vec![only]), &facts("4111111111111111", 400), seconds) == 57
    };
    let none = Scope::default();
    let corridors = |pairs: &[(&str, &str)]| Scope {
        corridors: pairs.iter().map(|(from, to)| (region(from), region(to))).collect(),
        ..Scope::default()
    };
    assert!(only(corridors(&[("CN", "KR"), ("KR", "CN")]), 1));
    assert!(!only(corridors(&[("CN", "KR"), ("KR", "JP")]), 1));
    assert!(only(Scope { merchants: vec!["X".into(), "SHOP-*".into()], ..none.clone() }, 1));
    assert!(!only(Scope { merchants: vec!["SHOPS*".into()], ..none.clone() }, 1));
    // The origin of these tests is 2026-11-22, a Sunday, 11:12:45 in Seoul.
    let zone = Zone::from_name("Asia/Seoul").expect("a zone");
    let hours = vec![Hours { from: 11 * 60, until: 12 * 60 }];
    let window = Window { hours, days: Days::default().with(6), zone, ..Window::default() };
    let scope = Scope { window: Some(window), ..none };
    let at = [0, 47 * 60, 48 * 60, 86_400].map(|seconds| only(scope.clone(), seconds));
    assert_eq!(at, [true, true, false, false]);
}
