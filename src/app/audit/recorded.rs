//! Transcripts and journal against each other: I20, I21, I23, I41, I54.
//!
//! What passes a barrier is on record before it is seen, so nothing of it may be missing, however
//! the switch ended: a request that a partner received, an approval, a reversal. A decline may.
//! The other way round, the journal must not say of a partner what the partner does not.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, Cases, Leg};
use super::journal::{Intent, Journal, Life, Owed, holds};
use super::line::{File, Place, Seen};
use super::report::Finding;

/// Elements of a request that its record holds.
const KEPT: [u8; 6] = [4, 7, 11, 37, 41, 42];

/// Answers to a reversal that end it.
const FINAL: [&str; 6] = ["00", "10", "11", "21", "25", "94"];

/// Checks all transactions.
pub(super) fn check(journal: &Journal, cases: &Cases<'_>, out: &mut Vec<Finding>) {
    let mut by_stan = BTreeMap::<u32, Vec<u64>>::new();
    let mut owed_by_stan = BTreeMap::<u32, Vec<(u64, &Owed)>>::new();
    for (id, life) in &journal.lives {
        if let Some(intent) = &life.intent {
            by_stan.entry(intent.stan).or_default().push(*id);
        }
        for owed in life.owed.iter().chain(&life.told) {
            owed_by_stan.entry(owed.stan).or_default().push((*id, owed));
        }
    }
    let mut check = Check { journal, by_stan, owed_by_stan, received: BTreeSet::new(), out };
    for case in cases.list.values() {
        check.case(case);
    }
    let Check { received, out, .. } = check;
    for (id, life) in journal.lives.iter().filter(|(id, _)| !received.contains(id)) {
        unseen(*id, life, out);
    }
}

struct Check<'c, 'o> {
    journal: &'c Journal,
    by_stan: BTreeMap<u32, Vec<u64>>,
    owed_by_stan: BTreeMap<u32, Vec<(u64, &'c Owed)>>,
    /// Transactions whose request a partner received.
    received: BTreeSet<u64>,
    out: &'o mut Vec<Finding>,
}

impl<'c> Check<'c, '_> {
    fn case(&mut self, case: &Case<'_>) {
        let mut lives = Vec::new();
        for leg in &case.legs {
            match self.life_of(&leg.request) {
                Some((id, life)) => {
                    self.received.insert(id);
                    self.leg(case, leg, life);
                    lives.push(life);
                }
                None => {
                    let expected = "a record of the intent";
                    self.out.push(Finding::new("I41", &leg.request, expected, "none", &[]));
                }
            }
        }
        let is_stand_in = case.legs.is_empty() && !case.advices.is_empty();
        for approval in case.answers.iter().filter(|answer| answer.message.approves()) {
            let says = |life: &&Life| {
                life.outcomes.iter().any(|outcome| {
                    let code = approval.message.of(38).trim();
                    outcome.is_approved
                        && outcome.code == approval.message.of(39)
                        && (code.is_empty() || outcome.approval == code)
                })
            };
            if !is_stand_in && !lives.is_empty() && !lives.iter().any(says) {
                let expected = "a record of this approval";
                self.out.push(Finding::new("I41", approval, expected, "none", &[]));
            }
        }
        for leg in case.all_legs() {
            self.reversals(leg);
        }
    }

    /// The transaction whose record holds what the partner received.
    fn life_of(&self, request: &Seen<'_>) -> Option<(u64, &'c Life)> {
        let stan = request.message.of(11).parse().ok()?;
        let named = |intent: &Intent| {
            [37, 41].iter().all(|element| holds(&intent.clear, request.message.of(*element)))
        };
        let lives = self.by_stan.get(&stan)?.iter().filter_map(|id| {
            let life = self.journal.lives.get(id)?;
            Some((*id, life))
        });
        let fits = |life: &Life| life.intent.as_ref().is_some_and(named);
        lives.into_iter().find(|(id, life)| !self.received.contains(id) && fits(life))
    }

    fn leg(&mut self, case: &Case<'_>, leg: &Leg<'_>, life: &Life) {
        let Some(intent) = &life.intent else { return };
        let asked = case.requests.first().copied().unwrap_or(leg.request);
        let missing =
            KEPT.iter().find(|element| !holds(&intent.clear, asked.message.of(**element)));
        let account = asked.message.of(2);
        if let Some(element) = missing {
            let expected = format!("a record with its DE {element}");
            self.out.push(Finding::new("I41", &asked, expected, "another", &[leg.request]));
        } else if !holds(&intent.account, account) && !intent.account.is_empty() {
            let expected = "a record with its DE 2";
            self.out.push(Finding::new("I41", &asked, expected, "another", &[leg.request]));
        } else if intent.amount.is_some_and(|amount| amount != asked.message.amount()) {
            let expected = format!("a record of DE 4 = {}", asked.message.amount());
            let seen = format!("{:?}", intent.amount);
            self.out.push(Finding::new("I41", &asked, expected, seen, &[leg.request]));
        }
        if account.len() >= ACCOUNT_DIGITS_MIN && holds(&intent.clear, account) {
            let expected = "no account number in clear";
            self.out.push(Finding::new("I54", &asked, expected, "its DE 2", &[]));
        }
        let is_approved = life.outcomes.iter().any(|outcome| outcome.is_approved);
        if is_approved && leg.approval().is_none() && life.told.is_empty() {
            let expected = "an approval of the partner behind its record";
            self.out.push(Finding::new("I41", &leg.request, expected, "none", &[]));
        }
        let taken_over = case.undo_answers.iter().find(|answer| answer.message.of(39) == "00");
        if let Some(answer) = taken_over
            && leg.approved() != Some(0)
            && life.owed.is_empty()
        {
            let expected = "a record of what is owed, before the 0410";
            self.out.push(Finding::new("I20", answer, expected, "none", &[leg.request]));
        }
        let is_over = life.done || life.given_up;
        // The partner was asked, and says that it declined: nothing is sent.
        if leg.reversals.is_empty() && leg.approved() == Some(0) {
            return;
        }
        if !life.owed.is_empty() && leg.reversals.is_empty() {
            let seen = if life.done { "done, by its record" } else { "nothing" };
            let rule = if life.done { "I41" } else { "I20" };
            if life.done || !is_over {
                let expected = "the reversal that is owed by its record";
                self.out.push(Finding::new(rule, &leg.request, expected, seen, &[]));
            }
        } else if life.done && !is_answered(leg) {
            let others = leg.reversals.clone();
            let seen = "done, by its record";
            let expected = "a final answer to the reversal";
            self.out.push(Finding::new("I21", &leg.request, expected, seen, &others));
        }
    }

    /// Each was on record as it was sent.
    fn reversals(&mut self, leg: &Leg<'_>) {
        let Some(reversal) = leg.reversals.first() else { return };
        let stan = reversal.message.of(11).parse().unwrap_or(u32::MAX);
        let owed = self.owed_by_stan.get(&stan).map_or(&[][..], Vec::as_slice);
        let holds_all = |elements: &[u8], (_, owed): &&(u64, &Owed)| {
            elements.iter().all(|element| holds(&owed.message, reversal.message.of(*element)))
        };
        let Some(named) = owed.iter().find(|owed| holds_all(&[37, 41], owed)) else {
            let expected = "a record of the reversal before it is sent";
            return self.out.push(Finding::new("I41", reversal, expected, "none", &[]));
        };
        for element in [90, 4] {
            if !holds_all(&[element], &named) {
                let expected = format!("DE {element} as on record");
                let seen = format!("DE {element} = {}", reversal.message.of(element));
                self.out.push(Finding::new("I23", reversal, expected, seen, &[leg.request]));
            }
        }
    }
}

fn is_answered(leg: &Leg<'_>) -> bool {
    leg.reversal_answers.iter().any(|answer| FINAL.contains(&answer.message.of(39)))
}

/// A transaction of the journal that no partner has heard of.
fn unseen(id: u64, life: &Life, out: &mut Vec<Finding>) {
    // What is told need not have arrived yet.
    let Some(intent) = life.intent.as_ref().filter(|_| life.told.is_empty()) else { return };
    let is_approved = life.outcomes.iter().any(|outcome| outcome.is_approved);
    let seen = if is_approved {
        "an approval of it is on record"
    } else if life.outcomes.is_empty() && life.owed.is_empty() {
        "nothing says what became of it"
    } else {
        return;
    };
    out.push(Finding {
        rule: "I41",
        terminal: "unknown".to_owned(),
        rrn: format!("unknown (transaction {id})"),
        stan: format!("{:06}", intent.stan),
        pan: String::new(),
        expected: "a partner that received it, or its end".to_owned(),
        seen: seen.to_owned(),
        places: vec![Place { file: File::Journal, line: life.record }],
    });
}

/// Shorter numbers are found in other values by chance.
const ACCOUNT_DIGITS_MIN: usize = 12;
