//! One transaction as both transcripts tell it: asked, forwarded, answered, reversed.
//!
//! Both sides are joined by terminal and RRN, the two elements that a switch carries through. A
//! reversal is joined by its DE 90 alone, which has to name exactly one message that the same
//! partner received.

use std::collections::{BTreeMap, BTreeSet};

use super::line::{File, Line, Seen};
use super::pairing::{Pairs, name_of};

/// A transaction.
#[derive(Debug, Default)]
pub(super) struct Case<'t> {
    /// What the acquirer asked, repeats included.
    pub(super) requests: Vec<Seen<'t>>,
    /// Requests under the name of an earlier one with other contents.
    pub(super) conflicts: Vec<(Seen<'t>, Seen<'t>)>,
    /// What the acquirer was told.
    pub(super) answers: Vec<Seen<'t>>,
    /// The acquirer's own reversals.
    pub(super) undos: Vec<Seen<'t>>,
    pub(super) undo_answers: Vec<Seen<'t>>,
    /// Copies that partners received.
    pub(super) legs: Vec<Leg<'t>>,
    /// What the switch approved itself, as told to a partner.
    pub(super) advices: Vec<Leg<'t>>,
    /// Reversals that name nothing their partner received.
    pub(super) stray: Vec<Seen<'t>>,
}

/// Legs by the front of the DE 90 that names them: transaction, place, whether an advice.
type Origins<'t> = BTreeMap<String, Vec<((&'t str, &'t str), usize, bool)>>;

/// A message that a partner received, and all that followed it there.
#[derive(Debug)]
pub(super) struct Leg<'t> {
    pub(super) request: Seen<'t>,
    /// Answers that belong to it.
    pub(super) answers: Vec<Seen<'t>>,
    /// Answers under its STAN that contradict it.
    pub(super) wrong: Vec<Seen<'t>>,
    /// Reversals of it, and their answers.
    pub(super) reversals: Vec<Seen<'t>>,
    pub(super) reversal_answers: Vec<Seen<'t>>,
}

/// All transactions by terminal and RRN, and DE 90s that name several messages.
#[derive(Debug, Default)]
pub(super) struct Cases<'t> {
    pub(super) list: BTreeMap<(&'t str, &'t str), Case<'t>>,
    pub(super) ambiguous: Vec<Seen<'t>>,
    /// Reversals of an acquirer that name a request of another terminal: reversal, request.
    pub(super) foreign: Vec<(Seen<'t>, Seen<'t>)>,
}

impl<'t> Leg<'t> {
    fn new(request: Seen<'t>) -> Self {
        let [answers, wrong, reversals, reversal_answers] = [const { Vec::new() }; 4];
        Self { request, answers, wrong, reversals, reversal_answers }
    }

    /// The first answer that approves.
    pub(super) fn approval(&self) -> Option<Seen<'t>> {
        self.answers.iter().find(|answer| answer.message.approves()).copied()
    }

    /// What the partner approved, in minor units; None if it never said.
    pub(super) fn approved(&self) -> Option<u64> {
        self.answers.first()?;
        let Some(approval) = self.approval() else { return Some(0) };
        let partial = approval.message.of(39) == "10";
        Some(if partial { approval.message.amount() } else { self.request.message.amount() })
    }

    /// Whether a reversal was accepted, or found nothing where nothing was known to be.
    pub(super) fn is_undone(&self) -> bool {
        let code = |wanted: &str| self.reversal_answers.iter().any(|a| a.message.of(39) == wanted);
        code("00") || (self.answers.is_empty() && code("25"))
    }

    /// What is left with the partner, in minor units.
    pub(super) fn net(&self) -> u64 {
        let approved = self.approved().unwrap_or(0);
        if !self.is_undone() {
            return approved;
        }
        let last = self.reversals.last().map_or("", |reversal| reversal.message.of(95));
        let rest = last.get(..12).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        approved.min(rest)
    }
}

impl<'t> Case<'t> {
    /// The first approval the acquirer saw.
    pub(super) fn approval(&self) -> Option<Seen<'t>> {
        self.answers.iter().find(|answer| answer.message.approves()).copied()
    }

    /// What the acquirer saw approved and did not undo, in minor units.
    pub(super) fn seen(&self) -> u64 {
        match self.approval() {
            Some(approval) if self.undos.is_empty() => match approval.message.amount() {
                0 => self.requests.first().map_or(0, |request| request.message.amount()),
                amount => amount,
            },
            _ => 0,
        }
    }

    /// Requests and advices that a partner received.
    pub(super) fn all_legs(&self) -> impl Iterator<Item = &Leg<'t>> {
        self.legs.iter().chain(&self.advices)
    }

    /// What a finding is about: the request, or whatever there is.
    pub(super) fn subject(&self) -> Option<Seen<'t>> {
        let forwarded = self.all_legs().map(|leg| &leg.request);
        self.requests.iter().chain(forwarded).chain(&self.undos).chain(&self.stray).next().copied()
    }
}

/// What tells requests apart: terminal, merchant, acquirer, STAN, DE 7, class.
pub(super) fn key<'t>(seen: &Seen<'t>) -> [&'t str; 6] {
    let class = seen.message.mti.get(..2).unwrap_or_default();
    let [a, b, c, d, e] = [41, 42, 32, 11, 7].map(|element| seen.message.of(element));
    [a, b, c, d, e, class]
}

/// What two requests under one name must have in common.
fn contents<'t>(seen: &Seen<'t>) -> [&'t str; 4] {
    [2, 3, 4, 49].map(|element| seen.message.of(element))
}

/// Joins both sides.
pub(super) fn join<'t>(
    acquirer: &'t [Line],
    partners: &'t [Vec<Line>],
    pairs: &Pairs<'t>,
) -> Cases<'t> {
    let mut cases = Cases::default();
    cases.take_requests(acquirer, pairs);
    cases.take_undos(acquirer, pairs);
    for lines in partners {
        cases.take_partner(lines);
    }
    cases
}

impl<'t> Cases<'t> {
    fn take_requests(&mut self, lines: &'t [Line], pairs: &Pairs<'t>) {
        let mut firsts: BTreeMap<[&str; 6], Seen<'t>> = BTreeMap::new();
        let asked = lines.iter().filter_map(Line::seen);
        for request in asked.filter(|seen| seen.message.to_switch && seen.message.is_sale()) {
            let first = *firsts.entry(key(&request)).or_insert(request);
            let case = self.list.entry(name_of(&request)).or_default();
            if contents(&first) != contents(&request) {
                case.conflicts.push((request, first));
                continue;
            }
            case.requests.push(request);
            case.answers.extend(pairs.get(&request.place).into_iter().flatten());
        }
        for case in self.list.values_mut() {
            case.answers.sort_by_key(|answer| answer.place);
        }
    }

    fn take_undos(&mut self, lines: &'t [Line], pairs: &Pairs<'t>) {
        let asked = |seen: &Seen<'t>| seen.message.to_switch && !seen.message.is_answer();
        let seen = || lines.iter().filter_map(Line::seen).filter(asked);
        let mut originals: BTreeMap<[&str; 3], Vec<Seen<'t>>> = BTreeMap::new();
        for request in seen().filter(|seen| seen.message.is_sale()) {
            let [mti, stan, sent] =
                [request.message.mti.as_str(), request.message.of(11), request.message.of(7)];
            originals.entry([mti, stan, sent]).or_default().push(request);
        }
        for undo in seen().filter(|seen| seen.message.class() == 4) {
            let de90 = undo.message.of(90);
            let part = |from, to| de90.get(from..to).unwrap_or_default();
            let named = originals.get(&[part(0, 4), part(4, 10), part(10, 20)]);
            let named = named.map_or(&[][..], Vec::as_slice);
            let own = |request: &&Seen<'t>| {
                [41, 42].iter().all(|e| request.message.of(*e) == undo.message.of(*e))
            };
            let case = match (named.iter().find(own), named.first()) {
                (Some(request), _) => name_of(request),
                (None, Some(request)) => {
                    self.foreign.push((undo, *request));
                    continue;
                }
                (None, None) => name_of(&undo),
            };
            let case = self.list.entry(case).or_default();
            case.undos.push(undo);
            case.undo_answers.extend(pairs.get(&undo.place).into_iter().flatten());
        }
    }

    fn take_partner(&mut self, lines: &'t [Line]) {
        let mut origins = Origins::new();
        let seen = || lines.iter().filter_map(Line::seen);
        let received = |seen: &Seen<'t>| !seen.message.to_switch && !seen.message.is_answer();
        for request in seen().filter(received) {
            let is_advice = request.message.is_advice();
            if !is_advice && !request.message.is_sale() {
                continue;
            }
            let case = self.list.entry(name_of(&request)).or_default();
            // The switch asks what became of it, or whose code it is: no money moves.
            if is_inquiry(&request) && !case.requests.iter().any(is_inquiry) {
                continue;
            }
            let legs = if is_advice { &mut case.advices } else { &mut case.legs };
            // Repeats of an advice are the same advice.
            let known = legs
                .iter()
                .any(|leg| is_advice && leg.request.message.of(11) == request.message.of(11));
            if !known {
                let named = origins.entry(origin(&request)).or_default();
                named.push((name_of(&request), legs.len(), is_advice));
                legs.push(Leg::new(request));
            }
        }
        self.take_reversals(lines, &origins);
        self.take_answers(lines);
    }

    fn take_reversals(&mut self, lines: &'t [Line], origins: &Origins<'t>) {
        let seen = lines.iter().filter_map(Line::seen);
        let is_reversal = |seen: &Seen<'t>| {
            !seen.message.to_switch && !seen.message.is_answer() && seen.message.class() == 4
        };
        for reversal in seen.filter(is_reversal) {
            let named = reversal.message.of(90).get(..31).and_then(|origin| origins.get(origin));
            match named.map_or(&[][..], Vec::as_slice) {
                [(name, place, is_advice)] => {
                    let Some(case) = self.list.get_mut(name) else { continue };
                    let legs = if *is_advice { &mut case.advices } else { &mut case.legs };
                    if let Some(leg) = legs.get_mut(*place) {
                        leg.reversals.push(reversal);
                    }
                }
                [] => self.list.entry(name_of(&reversal)).or_default().stray.push(reversal),
                _ => self.ambiguous.push(reversal),
            }
        }
    }

    /// A partner's answer belongs to the last message with its STAN before it, if it agrees.
    fn take_answers(&mut self, lines: &'t [Line]) {
        // A STAN may be used again on another connection, and an answer may take another one.
        let mut by_stan: BTreeMap<(Option<u64>, u8, &str), Seen<'t>> = BTreeMap::new();
        let mut reversed: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
        for (name, case) in &self.list {
            for leg in case.all_legs() {
                reversed.extend(leg.reversals.iter().map(|r| (r.message.of(90), *name)));
            }
        }
        for seen in lines.iter().filter_map(Line::seen) {
            let stan = (seen.message.class(), seen.message.of(11));
            if !seen.message.to_switch && !seen.message.is_answer() {
                by_stan.insert((Some(seen.connection), stan.0, stan.1), seen);
                by_stan.insert((None, stan.0, stan.1), seen);
                continue;
            }
            let here = by_stan.get(&(Some(seen.connection), stan.0, stan.1));
            let request = here.or_else(|| by_stan.get(&(None, stan.0, stan.1)));
            let Some(request) = request.filter(|_| seen.message.to_switch).copied() else {
                continue;
            };
            let agrees = [4, 37, 41, 49].iter().all(|element| {
                let (asked, said) = (request.message.of(*element), seen.message.of(*element));
                said.is_empty() || asked == said || (*element == 4 && seen.message.of(39) == "10")
            });
            let name = match stan.0 {
                4 => reversed.get(request.message.of(90)).copied(),
                _ => Some(name_of(&request)),
            };
            let Some(case) = name.and_then(|name| self.list.get_mut(&name)) else { continue };
            for leg in case.legs.iter_mut().chain(&mut case.advices) {
                let is_its_own = leg.request.message.of(11) == stan.1;
                match stan.0 {
                    4 if leg.reversals.iter().any(|r| r.place == request.place) && agrees => {
                        leg.reversal_answers.push(seen);
                    }
                    1 | 2 if is_its_own && same_file(leg, &seen) && agrees => {
                        leg.answers.push(seen);
                    }
                    1 | 2 if is_about(&request, leg) && declines(&seen) => {
                        leg.answers.push(seen);
                    }
                    1 | 2 if is_its_own && same_file(leg, &seen) => leg.wrong.push(seen),
                    _ => {}
                }
            }
        }
    }

    /// All requests of the acquirers under one name, by how many keys they have.
    pub(super) fn keys_of(case: &Case<'t>) -> usize {
        case.requests.iter().map(key).collect::<BTreeSet<_>>().len()
    }
}

/// A balance, whose a code is, or what became of a request.
fn is_inquiry(seen: &Seen<'_>) -> bool {
    seen.message.of(3).starts_with("31")
}

/// The switch asks what became of this one.
fn is_about(inquiry: &Seen<'_>, leg: &Leg<'_>) -> bool {
    let named = inquiry.message.of(90).get(..31);
    let is_named = named.is_some_and(|named| named == origin(&leg.request));
    is_inquiry(inquiry) && is_named && same_file(leg, inquiry)
}

/// An inquiry is told that its request was declined: not that it is unknown, nor anything else
/// that ends in a reversal.
fn declines(answer: &Seen<'_>) -> bool {
    let code = answer.message.of(39);
    !answer.message.approves() && !matches!(code, "" | "25" | "914" | "91" | "96" | "68" | "12")
}

fn same_file(leg: &Leg<'_>, seen: &Seen<'_>) -> bool {
    leg.request.place.file == seen.place.file
}

/// The front of the DE 90 that names this message: MTI, STAN, DE 7, DE 32.
fn origin(request: &Seen<'_>) -> String {
    let [stan, sent, acquirer] = [11, 7, 32].map(|element| request.message.of(element));
    format!("{}{stan:0>6}{sent:0>10}{acquirer:0>11}", request.message.mti)
}

/// The partner of a leg, by its transcript.
pub(super) fn partner(leg: &Leg<'_>) -> File {
    leg.request.place.file
}
