//! Reversals as partners see them: I21 to I24, I39.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, Leg};
use super::line::Seen;
use super::report::Finding;

/// Checks one transaction.
pub(super) fn check(case: &Case<'_>, out: &mut Vec<Finding>) {
    let received =
        |seen: &&Seen<'_>| case.all_legs().any(|leg| leg.request.place.file == seen.place.file);
    let mut named = BTreeSet::new();
    for reversal in case.stray.iter().filter(received) {
        // Its repeats break no other rule than it does.
        if !named.insert(reversal.message.of(90)) {
            continue;
        }
        let seen = format!("DE 90 = {}", reversal.message.of(90));
        let expected = "DE 90 names what the partner received";
        let legs: Vec<Seen<'_>> = case.all_legs().map(|leg| leg.request).collect();
        out.push(Finding::new("I23", reversal, expected, seen, &legs));
    }
    for leg in case.all_legs() {
        amounts(leg, out);
        repeats(&leg.reversals, out);
    }
    let mut groups: BTreeMap<&str, Vec<Seen<'_>>> = BTreeMap::new();
    for reversal in &case.stray {
        groups.entry(reversal.message.of(90)).or_default().push(*reversal);
    }
    groups.values().for_each(|group| repeats(group, out));
    for leg in &case.advices {
        let early = leg.reversals.iter().find(|reversal| reversal.at_ns < leg.request.at_ns);
        if let Some(early) = early {
            let expected = "the advice before its reversal";
            out.push(Finding::new("I39", early, expected, "the reversal first", &[leg.request]));
        }
    }
}

/// A DE 90 that names more than one message (I23).
pub(super) fn ambiguous(reversals: &[Seen<'_>], out: &mut Vec<Finding>) {
    for reversal in reversals {
        let expected = "DE 90 names one message";
        out.push(Finding::new("I23", reversal, expected, "it names several", &[]));
    }
}

/// I23: DE 4 is what was approved, DE 95 less than that.
fn amounts(leg: &Leg<'_>, out: &mut Vec<Finding>) {
    let Some(reversal) = leg.reversals.first() else { return };
    let asked = leg.request.message.amount();
    let approved = leg.approved().filter(|amount| *amount > 0).unwrap_or(asked);
    let amount = reversal.message.amount();
    if amount != approved {
        let (expected, seen) = (format!("DE 4 = {approved}"), format!("DE 4 = {amount}"));
        out.push(Finding::new("I23", reversal, expected, seen, &[leg.request]));
    }
    let rest: Option<u64> =
        reversal.message.of(95).get(..12).and_then(|digits| digits.parse().ok());
    if let Some(rest) = rest.filter(|rest| *rest >= amount) {
        let (expected, seen) = (format!("DE 95 below {amount}"), format!("DE 95 = {rest}"));
        out.push(Finding::new("I23", reversal, expected, seen, &[leg.request]));
    }
}

/// I21, I22, I24: one reversal, then repeats of it that say so.
fn repeats(reversals: &[Seen<'_>], out: &mut Vec<Finding>) {
    let Some((first, rest)) = reversals.split_first() else { return };
    let of = |seen: &Seen<'_>, element: u8| seen.message.of(element).to_owned();
    for again in rest {
        if of(again, 11) != of(first, 11) {
            let expected = format!("one reversal, with STAN {}", of(first, 11));
            let seen = format!("another one, with STAN {}", of(again, 11));
            return out.push(Finding::new("I24", again, expected, seen, &[*first]));
        }
        if !again.message.is_repeat() {
            let seen = again.message.mti.clone();
            return out.push(Finding::new("I22", again, "a repeat says so", seen, &[*first]));
        }
        let elements = || first.message.fields.keys().chain(again.message.fields.keys());
        if let Some(element) = elements().find(|e| of(first, **e) != of(again, **e)) {
            let (expected, seen) = (of(first, *element), of(again, *element));
            let name = |value| format!("DE {element} = {value}");
            return out.push(Finding::new("I21", again, name(expected), name(seen), &[*first]));
        }
    }
}
