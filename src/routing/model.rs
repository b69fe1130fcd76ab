//! The flattened classifier against a naive scan over the text of codes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::classify::{Classifier, CodeRule, Lengths};
use crate::base::authorization::Instrument;
use crate::base::ids::NetworkId;

/// A rule as a file would write it. Its network is its place.
#[derive(Debug, Clone)]
struct Written {
    first: String,
    last: String,
    shortest: u8,
    longest: u8,
}

proptest! {
    #[test]
    fn two_rules_clash_unless_disjoint_or_nested(one in written(), other in written()) {
        let mut clashes = Vec::new();
        Classifier::new(&numbered(&[one.clone(), other.clone()]), &mut clashes);
        prop_assert_eq!(clashes.is_empty(), agree(&one, &other));
    }

    #[test]
    fn the_most_specific_rule_wins(
        candidates in vec(written(), 0..40),
        codes in vec("[0-3]{1,8}", 100),
    ) {
        let mut rules: Vec<Written> = Vec::new();
        for rule in candidates {
            if rules.iter().all(|other| agree(&rule, other)) {
                rules.push(rule);
            }
        }
        let mut clashes = Vec::new();
        let classifier = Classifier::new(&numbered(&rules), &mut clashes);
        prop_assert!(clashes.is_empty());
        for code in codes {
            let instrument = Instrument::from_digits(code.as_bytes(), true).expect("digits");
            prop_assert_eq!(classifier.network(instrument), scan(&rules, &code), "{}", code);
        }
    }
}

fn scan(rules: &[Written], code: &str) -> Option<NetworkId> {
    let fits = |rule: &Written| {
        let digits = rule.first.len();
        let length = code.len() as u8;
        (rule.shortest..=rule.longest).contains(&length)
            && (rule.first.as_str()..=rule.last.as_str()).contains(&&code[..digits])
    };
    let fitting = rules.iter().enumerate().filter(|(_, rule)| fits(rule));
    let best = fitting.min_by_key(|(_, rule)| (width(rule), rule.longest - rule.shortest));
    best.map(|(place, _)| NetworkId(place as u16))
}

fn agree(one: &Written, other: &Written) -> bool {
    let apart = one.longest < other.shortest || other.longest < one.shortest;
    let ((a, b), (c, d)) = (bounds(one), bounds(other));
    if apart || b < c || d < a {
        return true;
    }
    if (a, b) == (c, d) {
        return one.longest - one.shortest != other.longest - other.shortest;
    }
    a <= c && d <= b || c <= a && b <= d
}

/// First and last code of eight digits.
fn bounds(rule: &Written) -> (u32, u32) {
    let fill = |digits: &str, with: &str| {
        (digits.to_owned() + &with.repeat(8 - digits.len())).parse().expect("digits")
    };
    (fill(&rule.first, "0"), fill(&rule.last, "9"))
}

fn width(rule: &Written) -> u32 {
    let (low, high) = bounds(rule);
    high - low
}

fn numbered(rules: &[Written]) -> Vec<(NetworkId, CodeRule)> {
    let rule = |(place, rule): (usize, &Written)| {
        let lengths = Lengths::new(rule.shortest, rule.longest).expect("lengths");
        let rule = CodeRule::range(true, &rule.first, &rule.last, lengths).expect("a rule");
        (NetworkId(place as u16), rule)
    };
    rules.iter().enumerate().map(rule).collect()
}

/// Few digits and few lengths, so that rules meet.
fn written() -> impl Strategy<Value = Written> {
    (1_usize..=4)
        .prop_flat_map(|digits| {
            let text = vec(0_u8..4, digits);
            (text.clone(), text, 4_u8..=8, 4_u8..=8)
        })
        .prop_map(|(one, other, a, b)| Written {
            first: text(one.as_slice().min(other.as_slice())),
            last: text(one.as_slice().max(other.as_slice())),
            shortest: a.min(b),
            longest: a.max(b),
        })
}

fn text(digits: &[u8]) -> String {
    digits.iter().map(|digit| char::from(b'0' + digit)).collect()
}
