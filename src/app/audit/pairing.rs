//! Connection by connection: which answer belongs to which request of an acquirer (I3, I5, I6).
//!
//! An answer that belongs to none is named here and looked at no further, so that a crossed
//! answer is not reported as missing money as well.

use std::collections::{BTreeMap, BTreeSet};

use super::Terms;
use super::line::{Line, Place, Seen, What};
use super::report::{Finding, Named};

/// Elements that an answer must echo where both have them; DE 4 not in a partial approval.
const ECHOED: [u8; 10] = [3, 4, 7, 11, 12, 13, 32, 37, 42, 49];

/// Answers by the place of their request.
pub(super) type Pairs<'t> = BTreeMap<Place, Vec<Seen<'t>>>;

/// Pairs all answers of the acquirers' transcript.
pub(super) fn pair<'t>(lines: &'t [Line], terms: Terms, findings: &mut Vec<Finding>) -> Pairs<'t> {
    let mut asked: BTreeMap<u64, Vec<Seen<'t>>> = BTreeMap::new();
    let mut closed: BTreeMap<u64, u64> = BTreeMap::new();
    let mut pairs = Pairs::new();
    for line in lines {
        match (line.seen(), &line.what) {
            (Some(seen), _) if seen.message.to_switch => {
                asked.entry(line.connection).or_default().push(seen);
            }
            // A link may be asked whether it is there.
            (Some(seen), _) if seen.message.class() == 8 && !seen.message.is_answer() => {}
            (Some(answer), _) => match belongs(&answer, &asked, &pairs) {
                Ok(request) => pairs.entry(request.place).or_default().push(answer),
                Err(finding) => findings.push(*finding),
            },
            (None, What::Close) => {
                closed.insert(line.connection, line.at_ns);
            }
            (None, _) => {}
        }
    }
    let end_ns = lines.last().map_or(0, |line| line.at_ns);
    unanswered(&asked, &pairs, &closed, end_ns, terms, findings);
    pairs
}

/// The request that an answer belongs to, or what is wrong with the answer.
fn belongs<'t>(
    answer: &Seen<'t>,
    asked: &BTreeMap<u64, Vec<Seen<'t>>>,
    pairs: &Pairs<'t>,
) -> Result<Seen<'t>, Box<Finding>> {
    let message = answer.message;
    let here = asked.get(&answer.connection).map_or(&[][..], Vec::as_slice);
    if !message.is_answer() {
        let expected = "nothing unasked goes to an acquirer";
        let seen = format!("an {}", message.mti);
        return Err(Box::new(Finding::new("I6", answer, expected, seen, &[])));
    }
    let named = |request: &&Seen<'t>| {
        !request.message.is_answer()
            && request.message.answer_mti() == message.mti
            && [11, 37, 41].iter().all(|element| agrees(request, answer, *element))
    };
    let candidates: Vec<&Seen<'t>> = here.iter().filter(named).collect();
    let is_free = |request: &&&Seen<'t>| !pairs.contains_key(&request.place);
    let is_echoed = |request: &&&Seen<'t>| unechoed(request, answer).is_none();
    let free = candidates.iter().filter(is_free);
    let best = free.clone().find(is_echoed).or_else(|| free.clone().next());
    match best.or(candidates.last()) {
        None => Err(Box::new(stray(answer, here, asked))),
        Some(request) => match unechoed(request, answer) {
            Some(element) => Err(Box::new(crossed(answer, request, element))),
            None if pairs.contains_key(&request.place) => {
                let expected = "one answer to one request";
                let others = [**request];
                Err(Box::new(Finding::new("I3", answer, expected, "one more answer", &others)))
            }
            None => Ok(**request),
        },
    }
}

/// An answer that names no request of its connection.
fn stray<'t>(
    answer: &Seen<'t>,
    here: &[Seen<'t>],
    asked: &BTreeMap<u64, Vec<Seen<'t>>>,
) -> Finding {
    let message = answer.message;
    let same = |request: &&Seen<'t>, element: u8| {
        !message.of(element).is_empty() && request.message.of(element) == message.of(element)
    };
    let response = here.iter().rev().find(|seen| seen.message.is_answer() && same(seen, 11));
    if let Some(response) = response {
        let expected = "nothing answers an answer";
        return Finding::new("I6", answer, expected, format!("an {}", message.mti), &[*response]);
    }
    let asks = |request: &&Seen<'t>| {
        request.message.answer_mti() == message.mti
            && [11, 37, 41].iter().all(|element| same(request, *element))
    };
    let elsewhere = asked.values().flatten().find(asks);
    if let Some(request) = elsewhere {
        let expected = format!("the answer on connection {}", request.connection);
        let seen = format!("it went to connection {}", answer.connection);
        return Finding::new("I3", answer, expected, seen, &[*request]);
    }
    match here.iter().rev().find(|request| same(request, 37) || same(request, 11)) {
        Some(request) => {
            let element = unechoed(request, answer).unwrap_or(41);
            crossed(answer, request, element)
        }
        None => Finding::new("I5", answer, "an answer to what was asked", "nothing like it", &[]),
    }
}

fn crossed(answer: &Seen<'_>, request: &Seen<'_>, element: u8) -> Finding {
    let expected = format!("DE {element} = {} as asked", request.message.of(element));
    let seen = format!("DE {element} = {}", answer.message.of(element));
    Finding::new("I5", answer, expected, seen, &[*request])
}

fn agrees(request: &Seen<'_>, answer: &Seen<'_>, element: u8) -> bool {
    let (asked, said) = (request.message.of(element), answer.message.of(element));
    asked.is_empty() || said.is_empty() || asked == said
}

fn unechoed(request: &Seen<'_>, answer: &Seen<'_>) -> Option<u8> {
    let partial = answer.message.of(39) == "10";
    let mut elements = ECHOED.into_iter().filter(|element| !(partial && *element == 4));
    elements.find(|element| !agrees(request, answer, *element))
}

/// No answer is only right if the connection ended, or if the acquirer took the request back.
fn unanswered<'t>(
    asked: &BTreeMap<u64, Vec<Seen<'t>>>,
    pairs: &Pairs<'t>,
    closed: &BTreeMap<u64, u64>,
    end_ns: u64,
    terms: Terms,
    findings: &mut Vec<Finding>,
) {
    let all = || asked.values().flatten();
    let undone = all().filter(|request| request.message.class() == 4);
    let undone = undone.filter(|request| pairs.contains_key(&request.place));
    let undone: BTreeSet<_> = undone.map(|request| name_of(request)).collect();
    // A crossed answer was meant for its request: it is not missing as well.
    let crossed = Named::by(findings);
    for request in all().filter(|request| !request.message.is_answer()) {
        let due_ns = request.at_ns + terms.budget_ns;
        let ended = closed.get(&request.connection).is_some_and(|at_ns| *at_ns <= due_ns);
        let answers = pairs.get(&request.place);
        let late = answers.and_then(|answers| answers.first()).filter(|a| a.at_ns > due_ns);
        if let Some(answer) = late.filter(|answer| !answer.message.approves()) {
            let (expected, seen) = ("an answer within the budget", "a late answer");
            findings.push(Finding::new("I3", request, expected, seen, &[*answer]));
        }
        let is_undone = request.message.class() != 4 && undone.contains(&name_of(request));
        let (terminal, rrn) = name_of(request);
        let is_crossed = crossed.has(terminal, rrn);
        let is_open = !ended && !is_undone && !is_crossed && due_ns < end_ns;
        if answers.is_none() && is_open {
            let expected = "an answer, or the end of the connection";
            findings.push(Finding::new("I3", request, expected, "neither", &[]));
        }
    }
}

/// DE 41 and DE 37.
pub(super) fn name_of<'t>(seen: &Seen<'t>) -> (&'t str, &'t str) {
    (seen.message.of(41), seen.message.of(37))
}
