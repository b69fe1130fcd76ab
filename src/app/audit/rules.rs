//! What the acquirer was told, and what was forwarded: I7, I8, I14 to I16, I18, I19, I27 to I29.

use super::Terms;
use super::case::{Case, Cases, partner};
use super::line::Seen;
use super::pairing::Pairs;
use super::report::Finding;

/// Elements that reach the partner as they came.
const UNALTERED: [u8; 13] = [2, 3, 4, 5, 6, 14, 22, 23, 25, 35, 49, 54, 55];

/// Codes that say "not now": another one may follow.
const RETRY: [&str; 4] = ["68", "91", "96", "09"];

/// Checks one transaction.
pub(super) fn check(case: &Case<'_>, pairs: &Pairs<'_>, terms: Terms, out: &mut Vec<Finding>) {
    told(case, terms, out);
    conflicts(case, pairs, out);
    forwarded(case, terms, out);
    undone(case, terms, out);
}

/// I7, I8, I15: no approval after a no, and no two different answers.
fn told(case: &Case<'_>, terms: Terms, out: &mut Vec<Finding>) {
    let after = |later: &Seen<'_>, earlier: &Seen<'_>| {
        let slack_ns = if later.connection == earlier.connection { 0 } else { terms.slack_ns };
        later.at_ns > earlier.at_ns + slack_ns
    };
    let taken_over = case.undo_answers.iter().find(|answer| is_final(answer));
    let approvals = || case.answers.iter().filter(|answer| answer.message.approves());
    if let Some(undo) = taken_over
        && let Some(late) = approvals().find(|answer| after(answer, undo))
    {
        let expected = "no approval once its reversal is taken over";
        return out.push(Finding::new("I7", late, expected, "an approval", &[*undo]));
    }
    let Some(first) = case.answers.first() else { return };
    if first.message.approves() {
        let other = case
            .answers
            .iter()
            .find(|answer| [38, 39].iter().any(|e| answer.message.of(*e) != first.message.of(*e)));
        if let Some(other) = other {
            let of = |seen: &Seen<'_>| {
                format!("DE 39/38 = {}/{}", seen.message.of(39), seen.message.of(38))
            };
            out.push(Finding::new("I15", other, of(first), of(other), &[*first]));
        }
    } else if let Some(late) = approvals().find(|answer| after(answer, first)) {
        let seen = format!("an approval after DE 39 = {}", first.message.of(39));
        out.push(Finding::new("I8", late, "no approval after a refusal", seen, &[*first]));
    }
}

/// I16: the name of a request is not used for another one.
fn conflicts(case: &Case<'_>, pairs: &Pairs<'_>, out: &mut Vec<Finding>) {
    for (request, first) in &case.conflicts {
        let answers = pairs.get(&request.place).map_or(&[][..], Vec::as_slice);
        let wrong = answers.iter().find(|answer| !matches!(answer.message.of(39), "94" | "30"));
        let expected = "DE 39 = 94 or 30, and nothing forwarded";
        if let Some(answer) = wrong {
            let seen = format!("DE 39 = {}", answer.message.of(39));
            out.push(Finding::new("I16", request, expected, seen, &[*first, *answer]));
        } else if let Some(leg) = case.legs.iter().find(|leg| is_copy(&leg.request, request, first))
        {
            out.push(Finding::new("I16", request, expected, "forwarded", &[*first, leg.request]));
        }
    }
}

/// Whether a partner received the second of two requests that share a name.
fn is_copy(leg: &Seen<'_>, second: &Seen<'_>, first: &Seen<'_>) -> bool {
    let same = |other: &Seen<'_>| [2, 4].iter().all(|e| leg.message.of(*e) == other.message.of(*e));
    same(second) && !same(first)
}

/// I14, I18, I19: forwarded once, in time, unaltered.
fn forwarded(case: &Case<'_>, terms: Terms, out: &mut Vec<Finding>) {
    let is_conflict =
        |leg: &Seen<'_>| case.conflicts.iter().any(|(second, first)| is_copy(leg, second, first));
    let legs: Vec<_> = case.legs.iter().filter(|leg| !is_conflict(&leg.request)).collect();
    let most = Cases::keys_of(case);
    for (place, leg) in legs.iter().enumerate() {
        let before = legs.iter().take(place).filter(|other| partner(other) == partner(leg));
        if before.clone().count() >= most {
            let others: Vec<Seen<'_>> = before.map(|other| other.request).collect();
            let expected = format!("forwarded {most} times at most");
            out.push(Finding::new("I14", &leg.request, expected, "once more", &others));
        }
        let Some(request) = case.requests.first() else { continue };
        let last = case.requests.iter().rev().find(|other| other.at_ns <= leg.request.at_ns);
        let asked_at_ns = last.unwrap_or(request).at_ns;
        let answer = case.answers.first().filter(|a| a.at_ns + terms.slack_ns < leg.request.at_ns);
        if leg.request.at_ns > asked_at_ns + terms.budget_ns {
            let expected = "forwarded within the budget or not at all";
            out.push(Finding::new("I18", request, expected, "forwarded later", &[leg.request]));
        } else if let Some(answer) = answer {
            let expected = "nothing forwarded after the answer";
            let others = [leg.request, *answer];
            out.push(Finding::new("I18", request, expected, "forwarded later", &others));
        }
        let altered =
            |element: &&u8| leg.request.message.of(**element) != request.message.of(**element);
        if let Some(element) = UNALTERED.iter().find(altered) {
            let shown = |seen: &Seen<'_>| match element {
                2 | 35 | 55 => {
                    format!("DE {element} of {} characters", seen.message.of(*element).len())
                }
                _ => format!("DE {element} = {}", seen.message.of(*element)),
            };
            let (expected, seen) = (shown(request), shown(&leg.request));
            out.push(Finding::new("I19", request, expected, seen, &[leg.request]));
        }
    }
}

/// I27 to I29: the acquirer's own reversals.
fn undone(case: &Case<'_>, terms: Terms, out: &mut Vec<Finding>) {
    let finals: Vec<&Seen<'_>> =
        case.undo_answers.iter().filter(|answer| !RETRY.contains(&answer.message.of(39))).collect();
    let taken_over = case.undo_answers.iter().find(|answer| answer.message.of(39) == "00");
    if let Some(answer) = taken_over {
        let later = |at_ns: u64| at_ns > answer.at_ns + terms.slack_ns;
        if let Some(leg) = case.legs.iter().find(|leg| later(leg.request.at_ns)) {
            let expected = "nothing forwarded once it is cancelled";
            let others = [*answer, leg.request];
            out.push(Finding::new("I27", &leg.request, expected, "forwarded", &others));
        }
        if let (Some(request), Some(undo)) = (case.requests.first(), case.undos.first()) {
            let (asked, undone) = (request.message.amount(), undo.message.amount());
            if undone > asked || (undone < asked && undo.message.of(95).is_empty()) {
                let expected = format!("DE 4 of the reversal = {asked}, or a refusal");
                let seen = format!("{undone}, accepted");
                out.push(Finding::new("I29", undo, expected, seen, &[*request, *answer]));
            }
        }
    }
    if let Some(first) = finals.first()
        && let Some(other) = finals.iter().find(|a| a.message.of(39) != first.message.of(39))
    {
        let of = |seen: &Seen<'_>| format!("DE 39 = {}", seen.message.of(39));
        out.push(Finding::new("I28", other, of(first), of(other), &[**first]));
    }
}

/// I29: a terminal that reverses what is not its own.
pub(super) fn foreign(cases: &Cases<'_>, pairs: &Pairs<'_>, out: &mut Vec<Finding>) {
    for (undo, request) in &cases.foreign {
        let answers = pairs.get(&undo.place).map_or(&[][..], Vec::as_slice);
        if let Some(answer) = answers.iter().find(|answer| answer.message.of(39) == "00") {
            let expected = "a refusal: another terminal's transaction";
            out.push(Finding::new("I29", undo, expected, "DE 39 = 00", &[*request, *answer]));
        }
    }
}

/// Whether an 0410 says that the reversal is the switch's business from now on.
pub(super) fn is_final(answer: &Seen<'_>) -> bool {
    matches!(answer.message.of(39), "00" | "25")
}
