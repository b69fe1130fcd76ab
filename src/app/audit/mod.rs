//! Are the money rules kept? Decided from the transcripts of both sides, from outside.
//!
//! It reads what acquirers and partners wrote down and judges the switch by that alone. Nothing of
//! floors 1 to 4 is used, so that a mistake of the switch is not repeated by its auditor; a test
//! enforces it. The journal is read by a decoder of its own. Form of the transcripts, rules and
//! limits: [`crate::manual::audit`].

mod case;
mod journal;
mod line;
mod money;
mod pairing;
mod recorded;
mod records;
mod report;
mod reversals;
mod rules;
mod segments;
#[cfg(test)]
mod tests;

use case::{Case, Leg};
pub use journal::Journal;
use line::Line;
pub use line::{File, Place};
use report::Named;
pub use report::{Finding, Report};

/// What is held against the transcripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// What acquirers were promised, with what the way takes, in ns.
    pub budget_ns: u64,
    /// Two connections are read one after the other: what is closer than this has no order. In ns.
    pub slack_ns: u64,
}

/// The texts of the files.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// The acquirers' transcript.
    pub acquirer: String,
    /// One transcript per partner.
    pub partners: Vec<String>,
    /// The journal's records, if they are to be held against the transcripts.
    pub records: Option<String>,
    /// The journal itself, likewise.
    pub journal: Option<Journal>,
}

/// Judges the transcripts.
///
/// # Errors
///
/// The first line that cannot be read, with its place and what is wrong.
pub fn audit(inputs: &Inputs, terms: Terms) -> Result<Report, String> {
    let acquirer = read(&inputs.acquirer, File::Acquirer)?;
    let partners = inputs.partners.iter().enumerate();
    let partners: Vec<Vec<Line>> = partners
        .map(|(number, text)| read(text, File::Partner(number)))
        .collect::<Result<_, _>>()?;
    let mut report = Report::default();
    let findings = &mut report.findings;
    let pairs = pairing::pair(&acquirer, terms, findings);
    let cases = case::join(&acquirer, &partners, &pairs);
    rules::foreign(&cases, &pairs, findings);
    reversals::ambiguous(&cases.ambiguous, findings);
    let crossed = Named::by(findings);
    for ((terminal, rrn), case) in &cases.list {
        let before = findings.len();
        rules::check(case, &pairs, terms, findings);
        reversals::check(case, findings);
        let is_named = findings.len() > before || crossed.has(terminal, rrn);
        money::check(case, is_named, terms, findings);
    }
    if let Some(text) = &inputs.records {
        records::check(text, &cases, findings)?;
    }
    if let Some(journal) = &inputs.journal {
        recorded::check(journal, &cases, findings);
    }
    for finding in findings.iter_mut() {
        let case = cases.list.get(&(finding.terminal.as_str(), finding.rrn.as_str()));
        let request = case.and_then(|case| case.requests.first());
        if let Some((stan, pan)) = request.map(Finding::identity) {
            (finding.stan, finding.pan) = (stan, pan);
        }
    }
    report.findings.sort_by_key(|finding| {
        (finding.rule.get(1..).and_then(|n| n.parse::<u32>().ok()), finding.places.clone())
    });
    for case in cases.list.values() {
        report.count(case);
    }
    Ok(report)
}

fn read(text: &str, file: File) -> Result<Vec<Line>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let place = Place { file, line: number + 1 };
            Line::read(place, line).map_err(|reason| format!("{place}: {reason}"))
        })
        .collect()
}

impl Report {
    fn count(&mut self, case: &Case<'_>) {
        self.transactions += usize::from(!case.requests.is_empty());
        let seen = case.seen();
        self.approved += usize::from(seen > 0);
        self.seen_minor += seen;
        self.booked_minor += case.all_legs().map(|leg| i128::from(leg.net())).sum::<i128>();
        self.advices += case.advices.len();
        let reversed = |leg: &&Leg<'_>| !leg.reversals.is_empty();
        self.reversals += case.all_legs().filter(reversed).count();
    }
}
