//! What moved against what was seen: I1, I2, I9, I11 to I13, I20, I32 to I34.
//!
//! An approval that stays with a partner though nobody saw it is one fault with many causes; the
//! rule named is that of the cause, found from the most telling sign to the least.

use std::collections::BTreeSet;

use super::Terms;
use super::case::{Case, Leg, partner};
use super::line::Seen;
use super::report::Finding;
use super::rules::is_final;

/// Checks one transaction; `named` if a rule has named it already.
pub(super) fn check(case: &Case<'_>, named: bool, terms: Terms, out: &mut Vec<Finding>) {
    let before = out.len();
    if let Some(approval) = case.approval() {
        backed(case, &approval, terms, out);
    }
    let live: Vec<&Leg<'_>> = case.legs.iter().filter(|leg| leg.net() > 0).collect();
    if live.iter().map(|leg| partner(leg)).collect::<BTreeSet<_>>().len() > 1 {
        let others: Vec<Seen<'_>> = live.iter().map(|leg| leg.request).collect();
        if let Some(first) = others.first() {
            let seen = format!("{} at once", live.len());
            out.push(Finding::new("I13", first, "one live authorization", seen, &others));
        }
    }
    let seen = case.seen();
    for leg in case.all_legs() {
        if named || out.len() > before {
            break;
        }
        if seen == 0 && !leg.is_undone() && leg.approved() != Some(0) {
            out.extend(left(case, leg));
        } else if seen > 0 && leg.is_undone() && leg.approval().is_some() {
            out.push(wrongful(leg, &case.approval().unwrap_or(leg.request)));
        }
    }
    let net: u64 = case.all_legs().map(Leg::net).sum();
    if net != seen
        && out.len() == before
        && !named
        && let Some(subject) = case.subject()
    {
        let others: Vec<Seen<'_>> = case.all_legs().flat_map(|leg| &leg.answers).copied().collect();
        let (expected, seen) = (format!("{seen} at the partner"), format!("{net}"));
        out.push(Finding::new("I1", &subject, expected, seen, &others));
    }
}

/// I2, I9, I32, I34: an approval that was handed over has one behind it.
fn backed(case: &Case<'_>, approval: &Seen<'_>, terms: Terms, out: &mut Vec<Finding>) {
    let asked = case.requests.iter().rev().find(|request| {
        request.connection == approval.connection && request.at_ns <= approval.at_ns
    });
    if let Some(request) = asked.filter(|r| approval.at_ns > r.at_ns + terms.budget_ns) {
        let expected = "no approval after the budget";
        out.push(Finding::new("I32", approval, expected, "an approval", &[*request]));
        return;
    }
    let host = case.legs.iter().filter_map(Leg::approval).min_by_key(|answer| answer.at_ns);
    let stood_in = case.advices.first().map(|advice| advice.request);
    let Some(source) = host.or(stood_in) else {
        let wrong = case.legs.iter().flat_map(|leg| &leg.wrong).next();
        let refused = case.legs.iter().flat_map(|leg| &leg.answers).next();
        let expected = "an approval of a partner, or an advice";
        out.push(match (wrong, refused) {
            (Some(wrong), _) => {
                let seen = "an answer that contradicts its request";
                Finding::new("I34", approval, expected, seen, &[*wrong])
            }
            (None, Some(refused)) => {
                let seen = format!("DE 39 = {}", refused.message.of(39));
                Finding::new("I9", approval, expected, seen, &[*refused])
            }
            (None, None) => Finding::new("I2", approval, expected, "none", &[]),
        });
        return;
    };
    if host.is_some() && source.at_ns > approval.at_ns {
        let expected = "the partner's approval first";
        out.push(Finding::new("I2", approval, expected, "handed over before it", &[source]));
        return;
    }
    let elements: &[u8] = if host.is_some() { &[4, 38, 39] } else { &[4, 38] };
    let said = |element: &u8| source.message.of(*element);
    let given = |element: &u8| approval.message.of(*element);
    let differs = |element: &&u8| !said(element).is_empty() && said(element) != given(element);
    if let Some(element) = elements.iter().find(differs) {
        let expected = format!("DE {element} = {}", said(element));
        let seen = format!("DE {element} = {}", given(element));
        out.push(Finding::new("I9", approval, expected, seen, &[source]));
    }
}

/// Money that stays with a partner though the acquirer did not see it, or might.
fn left(case: &Case<'_>, leg: &Leg<'_>) -> Option<Finding> {
    let subject = case.subject()?;
    let approval = leg.approval();
    let mut others = vec![leg.request];
    others.extend(approval);
    others.extend(&leg.reversals);
    let taken_over = case.undo_answers.iter().find(|answer| is_final(answer));
    let refused = leg.answers.first().filter(|answer| !answer.message.approves());
    let told = case.answers.iter().find(|answer| !answer.message.approves());
    let (rule, seen) = match approval {
        _ if !leg.reversals.is_empty() => ("I21", "given up without a final answer"),
        _ if taken_over.is_some() => ("I20", "taken over from the acquirer and not sent"),
        None => ("I34", "no reversal of a request without a good answer"),
        Some(_) if refused.is_some() => ("I33", "no reversal of an approval after a decline"),
        Some(approval) if told.is_some_and(|told| told.at_ns < approval.at_ns) => {
            ("I32", "no reversal of a late approval")
        }
        Some(_) => ("I11", "no reversal of an approval nobody saw"),
    };
    others.extend(taken_over.or(told));
    Some(Finding::new(rule, &subject, "a reversal that the partner accepts", seen, &others))
}

/// Reversed though the acquirer saw it approved and did not ask for it.
fn wrongful(leg: &Leg<'_>, approval: &Seen<'_>) -> Finding {
    let is_decline = |answer: &&Seen<'_>| !answer.message.approves();
    let contradicted = leg.answers.iter().skip(1).any(|answer| is_decline(&answer));
    let rule = if contradicted { "I33" } else { "I12" };
    let mut others = leg.reversals.clone();
    others.push(leg.request);
    Finding::new(rule, approval, "no reversal of what was seen approved", "a reversal", &others)
}
