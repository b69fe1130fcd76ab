//! What an audit found, in words: rule, transaction, what was expected, what was seen, and where.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use super::line::{Place, Seen};

/// A rule that a transaction breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name, such as `I11`.
    pub rule: &'static str,
    /// DE 41.
    pub terminal: String,
    /// DE 37.
    pub rrn: String,
    /// DE 11 as the acquirer wrote it; if it asked nothing, as in the line it is about.
    pub stan: String,
    /// DE 2, masked; empty if no line has it.
    pub pan: String,
    /// What the rule demands.
    pub expected: String,
    /// What happened instead.
    pub seen: String,
    /// The lines that show it.
    pub places: Vec<Place>,
}

/// Which transactions findings are about, by terminal and RRN. Not a list: a switch that was slow
/// may be found late a hundred thousand times.
pub(super) struct Named(BTreeMap<String, BTreeSet<String>>);

impl Named {
    pub(super) fn by(findings: &[Finding]) -> Self {
        let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for finding in findings {
            named.entry(finding.terminal.clone()).or_default().insert(finding.rrn.clone());
        }
        Self(named)
    }

    pub(super) fn has(&self, terminal: &str, rrn: &str) -> bool {
        self.0.get(terminal).is_some_and(|rrns| rrns.contains(rrn))
    }
}

impl Finding {
    /// A finding about the transaction of `subject`, shown by `subject` and `others`.
    pub(super) fn new(
        rule: &'static str,
        subject: &Seen<'_>,
        expected: impl Into<String>,
        seen: impl Into<String>,
        others: &[Seen<'_>],
    ) -> Self {
        let of = |element: u8| subject.message.of(element).to_owned();
        let mut places: Vec<Place> = others.iter().map(|other| other.place).collect();
        places.push(subject.place);
        places.sort_unstable();
        places.dedup();
        Self {
            rule,
            terminal: of(41),
            rrn: of(37),
            stan: of(11),
            pan: masked(subject.message.of(2)),
            expected: expected.into(),
            seen: seen.into(),
            places,
        }
    }
}

impl Finding {
    /// STAN and masked PAN of an acquirer's own request.
    pub(super) fn identity(request: &Seen<'_>) -> (String, String) {
        (request.message.of(11).to_owned(), masked(request.message.of(2)))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, terminal, rrn, stan, pan, .. } = self;
        writeln!(out, "{rule:<4} terminal {terminal} RRN {rrn} STAN {stan} PAN {pan}")?;
        writeln!(out, "     expected {}", self.expected)?;
        writeln!(out, "     seen     {}", self.seen)?;
        let places: Vec<String> = self.places.iter().map(Place::to_string).collect();
        writeln!(out, "     lines    {}", places.join(", "))
    }
}

/// The first six digits and the last four.
fn masked(pan: &str) -> String {
    let hidden = pan.chars().count().saturating_sub(10);
    let keeps = |at: usize| hidden > 0 && (at < 6 || at >= 6 + hidden);
    pan.chars().enumerate().map(|(at, digit)| if keeps(at) { digit } else { '*' }).collect()
}

/// The whole of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Each broken rule of each transaction, in the order of the rules.
    pub findings: Vec<Finding>,
    /// Transactions that acquirers asked for.
    pub transactions: usize,
    /// Those the acquirers saw approved and did not undo.
    pub approved: usize,
    /// Their sum, in minor units.
    pub seen_minor: u64,
    /// Approved minus reversed at the partners, by their answers; in minor units.
    pub booked_minor: i128,
    /// Reversals in the partners' transcripts, without repeats.
    pub reversals: usize,
    /// Advices in the partners' transcripts, without repeats.
    pub advices: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            write!(out, "{finding}")?;
        }
        let rows = [
            ("transactions", self.transactions.to_string()),
            ("approved and kept", self.approved.to_string()),
            ("their sum at the acquirers", self.seen_minor.to_string()),
            ("net sum at the partners", self.booked_minor.to_string()),
            ("reversals", self.reversals.to_string()),
            ("advices", self.advices.to_string()),
        ];
        for (name, value) in rows {
            writeln!(out, "{name:<28}{value:>16}")?;
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in &self.findings {
            *counts.entry(finding.rule).or_default() += 1;
        }
        let mut broken = String::new();
        for (rule, count) in counts {
            write!(broken, " {rule} x {count}")?;
        }
        if broken.is_empty() {
            broken.push_str(" none");
        }
        writeln!(out, "rules broken:{broken}")
    }
}
