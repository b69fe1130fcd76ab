//! The comparison: what the terminals believe against what the host has in its books.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::ledger::{Breach, Entry, Name, Rule};
use super::sale::{Outcome, Sale};

/// What the comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) transactions: u64,
    pub(crate) approved: u64,
    pub(crate) declined: u64,
    /// Unknown to the terminal until its reversal was taken over.
    pub(crate) resolved: u64,
    /// Entries of the host that were reversed.
    pub(crate) reversals: u64,
    /// More money moved at the host than the terminal saw approved.
    pub(crate) lost: u64,
    /// Less money moved than the terminal saw approved, with no reversal.
    pub(crate) wrong: u64,
    /// Booked twice, or answered twice.
    pub(crate) duplicate: u64,
    /// Reversed although the terminal saw it approved.
    pub(crate) wrongful: u64,
    /// Never resolved.
    pub(crate) unresolved: u64,
    /// Rules broken beside the sums.
    pub(crate) breaches: u64,
    /// One line for each, naming the transaction.
    pub(crate) findings: Vec<String>,
}

/// Compares sale by sale.
pub(crate) fn compare(sales: &[Sale], entries: &[Entry], breaches: &[&Breach]) -> Verdict {
    let mut verdict = Verdict { transactions: sales.len() as u64, ..Verdict::default() };
    let mut books: BTreeMap<&Name, (u64, u64)> = BTreeMap::new();
    for entry in entries {
        let (approved, reversed) = books.entry(&entry.name).or_default();
        *approved += entry.approved;
        *reversed += entry.reversed;
        verdict.reversals += u64::from(entry.reversed > 0);
    }
    for sale in sales {
        let (approved, reversed) = books.remove(&sale.name).unwrap_or_default();
        verdict.judge(sale, approved, reversed);
    }
    for (name, _) in books.into_iter().filter(|(_, (approved, reversed))| approved != reversed) {
        verdict.lost += 1;
        verdict.find(name, "the host booked what no terminal asked");
    }
    for breach in breaches {
        if matches!(breach.rule, Rule::ForwardedTwice | Rule::AnsweredTwice) {
            verdict.duplicate += 1;
        } else {
            verdict.breaches += 1;
        }
        verdict.find(&breach.name, &format!("{:?}: {}", breach.rule, breach.what));
    }
    verdict
}

impl Verdict {
    fn judge(&mut self, sale: &Sale, approved: u64, reversed: u64) {
        *match sale.outcome {
            Outcome::Approved(_) => &mut self.approved,
            Outcome::Declined => &mut self.declined,
            Outcome::Reversed => &mut self.resolved,
            Outcome::Asking | Outcome::Reversing => &mut self.unresolved,
        } += 1;
        if sale.is_open() {
            self.find(&sale.name, &format!("unresolved: {:?}", sale.outcome));
        }
        let (net, seen) = (approved - reversed, sale.seen());
        let (count, word) = if net > seen {
            (&mut self.lost, "lost")
        } else if net == seen {
            return;
        } else if reversed > 0 {
            (&mut self.wrongful, "wrongful reversal")
        } else {
            (&mut self.wrong, "wrong")
        };
        *count += 1;
        let outcome = &sale.outcome;
        let text = format!("{word}: host {approved} - {reversed}, terminal {seen} ({outcome:?})");
        self.find(&sale.name, &text);
    }

    fn find(&mut self, (terminal, token): &Name, text: &str) {
        self.findings.push(format!("terminal {terminal} RRN {token}: {text}"));
    }

    /// The table, one line each.
    pub(crate) fn table(&self) -> String {
        let rows = [
            ("transactions", self.transactions),
            ("approved", self.approved),
            ("declined", self.declined),
            ("unknown, resolved by POS reversal", self.resolved),
            ("reversals at the host", self.reversals),
            ("lost", self.lost),
            ("wrong", self.wrong),
            ("duplicate", self.duplicate),
            ("wrongful reversals", self.wrongful),
            ("other rules broken", self.breaches),
            ("U (never resolved)", self.unresolved),
        ];
        rows.iter().fold(String::new(), |mut text, (name, count)| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:<36}{count:>10}");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::message::Message;

    fn sale(outcome: Outcome) -> Sale {
        let mut sale = Sale::new(0, Message::new(0x0100).with(37, "R1").with(41, "T1"));
        sale.outcome = outcome;
        sale
    }

    fn entry(approved: u64, reversed: u64) -> Entry {
        let answer = Message::new(0x0110);
        Entry { name: ("T1".into(), "R1".into()), approved, reversed, answer }
    }

    #[test]
    fn sums_that_agree_are_clean() {
        for (outcome, entry) in [
            (Outcome::Approved(5), entry(5, 0)),
            (Outcome::Declined, entry(0, 0)),
            (Outcome::Declined, entry(5, 5)),
            (Outcome::Reversed, entry(5, 5)),
        ] {
            let verdict = compare(&[sale(outcome)], &[entry], &[]);
            assert!(verdict.findings.is_empty(), "{verdict:?}");
        }
    }

    #[test]
    fn each_difference_has_its_name() {
        let count = |outcome, entries: &[Entry], of: fn(&Verdict) -> u64| {
            let verdict = compare(&[sale(outcome)], entries, &[]);
            assert_eq!(verdict.findings.len(), 1, "{verdict:?}");
            of(&verdict)
        };
        assert_eq!(count(Outcome::Declined, &[entry(5, 0)], |v| v.lost), 1);
        assert_eq!(count(Outcome::Approved(5), &[entry(5, 0), entry(5, 0)], |v| v.lost), 1);
        assert_eq!(count(Outcome::Approved(6), &[entry(5, 0)], |v| v.wrong), 1);
        assert_eq!(count(Outcome::Approved(5), &[], |v| v.wrong), 1);
        assert_eq!(count(Outcome::Approved(5), &[entry(5, 5)], |v| v.wrongful), 1);
        assert_eq!(count(Outcome::Reversing, &[], |v| v.unresolved), 1);
    }
}
