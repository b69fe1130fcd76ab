//! What a person must look at, from the records of a journal.
//!
//! Two kinds: what a partner will never take or said two things about, and approvals of which
//! nobody knows whether their terminal has seen them (U). What a person has closed is not shown
//! again, unless something happened to it since. Nothing is read from the disk or decided here.

use std::collections::BTreeMap;

use crate::base::time::Wall;
use crate::switch::number::{self, Role};
use crate::switch::record::{self, Closed, Record};

/// All transactions of a journal, each with what is known of it.
#[derive(Debug, Default)]
pub struct Ledger {
    lives: BTreeMap<u64, Life>,
}

/// What the records say of one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Life {
    at_s: u64,
    stan: u32,
    partner: u16,
    amount: Option<u64>,
    approved: bool,
    handed: bool,
    taken_back: bool,
    /// Which messages are owed for it: a bit for each role.
    owed: u8,
    /// Which were owed and are not any more.
    settled: u8,
    /// It was approved here: somebody must see the answer.
    stood_in: bool,
    exception: Option<u8>,
    /// What the partner said it said to the advice.
    of_advice: bool,
    closed: Option<Box<Closing>>,
}

/// A person's act.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Closing {
    at_s: u64,
    by: String,
    reason: String,
}

/// What can be closed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Something to look at.
    Listed,
    /// A message that is still owed; closing it ends that.
    Owed,
}

impl Ledger {
    /// Reads the records of one batch, in the order in which they were stored.
    pub fn read(&mut self, clear: &[u8], secret: &[u8]) {
        for record in record::read(clear, secret) {
            self.note(&record);
        }
    }

    /// Notes one record.
    pub fn note(&mut self, record: &Record<'_>) {
        match *record {
            Record::Intent(intent) => {
                let life = self.life(intent.id);
                (life.at_s, life.stan) = (intent.at_s, intent.stan);
                (life.partner, life.amount) = (intent.partner.0, intent.amount);
            }
            Record::Outcome(outcome) => self.life(outcome.id).approved = outcome.approved,
            Record::Handed(id) => self.life(id).handed = true,
            Record::TakenBack(id) => self.life(id).taken_back = true,
            Record::Owed(owed) => {
                let life = self.life(number::transaction_of(owed.id));
                let role = number::role_of(owed.id);
                // On record again after a crash: what is known of it already stays.
                if !life.was_owed(role) {
                    (life.owed, life.closed) = (life.owed | bit(role), None);
                }
            }
            Record::Done(id) => {
                self.life(number::transaction_of(id)).settle(bit(number::role_of(id)));
            }
            Record::Exception(id, code) => {
                let (life, role) = (self.life(number::transaction_of(id)), number::role_of(id));
                life.settle(bit(role));
                (life.exception, life.closed) = (Some(code), None);
                life.of_advice = role == Role::Advice;
            }
            Record::StoodIn(stood_in) => self.life(stood_in.id).stood_in = true,
            Record::Closed(closed) => self.life(closed.id).close(&closed),
            Record::Refused(_) | Record::Sent(_) | Record::NotFound { .. } | Record::Weight(_) => {}
        }
    }

    fn life(&mut self, id: u64) -> &mut Life {
        self.lives.entry(id).or_default()
    }

    /// What `id` is, if it can be closed.
    ///
    /// # Errors
    ///
    /// Why not, in one sentence.
    pub fn entry(&self, id: u64) -> Result<Entry, String> {
        let Some(life) = self.lives.get(&id) else {
            return Err(format!("this journal knows no transaction {id}"));
        };
        match (&life.closed, life.why()) {
            _ if life.owed != 0 => Ok(Entry::Owed),
            (Some(closing), _) => Err(format!("{id} was closed by {}", closing.by)),
            (None, Some(_)) => Ok(Entry::Listed),
            (None, None) => Err(format!("{id} is no exception and nothing is owed for it")),
        }
    }

    /// The exceptions as a table; with `all`, also those that were closed, and what is owed still.
    pub fn table(&self, all: bool) -> String {
        let header = "transaction      when (UTC)        to   STAN       amount  why\n";
        let (mut text, mut count, mut closed_count) = (header.to_owned(), 0, 0);
        for (id, life) in &self.lives {
            let (is_closed, why) = (life.closed.is_some(), life.why());
            count += usize::from(why.is_some() && !is_closed);
            closed_count += usize::from(is_closed);
            let shown = match (&life.closed, why) {
                (Some(closing), _) if all => closing.to_string(),
                (None, Some(why)) => why,
                (None, None) if all && life.owed != 0 => "still owed to the partner".to_owned(),
                _ => continue,
            };
            let at = Wall::from_unix_s(life.at_s).civil();
            let amount = life.amount.map_or("-".to_owned(), |amount| amount.to_string());
            text += &format!(
                "{id:<16} {:04}-{:02}-{:02} {:02}:{:02} {:>3} {:06} {amount:>12}  {shown}\n",
                at.year, at.month, at.day, at.hour, at.minute, life.partner, life.stan
            );
        }
        let plural = if count == 1 { "" } else { "s" };
        text += &format!("{count} exception{plural} in {} transactions", self.lives.len());
        if closed_count > 0 {
            text += &format!(", {closed_count} more closed");
        }
        text + "\n"
    }
}

impl Life {
    /// Why a person must look, or had to.
    fn why(&self) -> Option<String> {
        if let Some(code) = self.exception {
            let to = if self.of_advice { " to the advice" } else { "" };
            return Some(format!("the partner said {code:02}{to}"));
        }
        // What its acquirer told was done, whether anybody sees the answer or not.
        let is_seen = self.handed || self.was_owed(Role::Advice) && !self.stood_in;
        let unknown = self.approved && !is_seen && !self.is_taken_back();
        unknown.then(|| "U: approved, seen?".to_owned())
    }

    const fn is_taken_back(&self) -> bool {
        // What was sent before it was approved here is reversed, the approval is not.
        self.taken_back
            || self.was_owed(Role::Reversal) && !self.stood_in
            || self.was_owed(Role::AdviceReversal)
    }

    const fn was_owed(&self, role: Role) -> bool {
        (self.owed | self.settled) & bit(role) != 0
    }

    const fn settle(&mut self, which: u8) {
        self.settled |= self.owed & which;
        self.owed &= !which;
    }

    fn close(&mut self, closed: &Closed<'_>) {
        if closed.ends_debt {
            self.settle(u8::MAX);
        }
        let (by, reason) = (shown(closed.by), shown(closed.reason));
        self.closed = Some(Box::new(Closing { at_s: closed.at_s, by, reason }));
    }
}

impl std::fmt::Display for Closing {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = Wall::from_unix_s(self.at_s).civil();
        let (hour, minute, by) = (at.hour, at.minute, &self.by);
        write!(out, "closed {:04}-{:02}-{:02} ", at.year, at.month, at.day)?;
        write!(out, "{hour:02}:{minute:02} by {by}: {}", self.reason)
    }
}

const fn bit(role: Role) -> u8 {
    1 << role as u8
}

/// Text of a person, without what a terminal would obey.
fn shown(text: &[u8]) -> String {
    let shown = |c: char| if c.is_control() { '?' } else { c };
    String::from_utf8_lossy(text).chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::LinkId;
    use crate::base::money::Amount;
    use crate::switch::record::{Outcome, Owed, StoodIn};
    use crate::switch::saf::Kind;

    fn ledger(records: &[Record<'_>]) -> Ledger {
        let mut ledger = Ledger::default();
        records.iter().for_each(|record| ledger.note(record));
        ledger
    }

    fn approved(id: u64) -> Record<'static> {
        let (code, approval, part) = (*b"00 ", None, None);
        Record::Outcome(Outcome { id, approved: true, code, approval, part })
    }

    fn owed(id: u64) -> Record<'static> {
        let (partner, kind) = (LinkId(1), Kind::Reversal);
        Record::Owed(Owed { id, partner, stan: 1, kind, message: b"" })
    }

    fn advised(id: u64) -> Record<'static> {
        let (id, partner) = (number::owed(id, Role::Advice), LinkId(1));
        Record::Owed(Owed { id, partner, stan: 1, kind: Kind::Advice, message: b"" })
    }

    fn stood_in(id: u64) -> Record<'static> {
        let (amount, route) = (Amount::default(), b"default");
        let (at_s, workers, card, merchant) = (0, 1, 1, 1);
        Record::StoodIn(StoodIn { id, at_s, workers, amount, card, merchant, route })
    }

    fn closed(id: u64, ends_debt: bool) -> Record<'static> {
        Record::Closed(Closed { id, at_s: 60, ends_debt, by: b"rb", reason: b"paid\x1b out" })
    }

    #[test]
    fn what_nobody_can_know_and_what_was_refused_is_listed_and_nothing_else() {
        let (code, approval, part) = (*b"05 ", None, None);
        let declined = Outcome { id: 4, approved: false, code, approval, part };
        let ledger = ledger(&[
            approved(1),
            Record::Handed(1),
            approved(2),
            approved(3),
            Record::TakenBack(3),
            Record::Outcome(declined),
            Record::Exception(5, 30),
            owed(6),
            approved(8),
            advised(8),
            Record::Done(number::owed(8, Role::Advice)),
            approved(9),
            advised(9),
            Record::Exception(number::owed(9, Role::Advice), 12),
            owed(10),
            advised(10),
            stood_in(10),
            approved(10),
            owed(11),
            advised(11),
            stood_in(11),
            approved(11),
            Record::Handed(11),
        ]);
        let listed: Vec<u64> = ledger
            .lives
            .iter()
            .filter(|(_, life)| life.why().is_some())
            .map(|(id, _)| *id)
            .collect();
        assert_eq!(listed, [2, 5, 9, 10]);
        let text = ledger.table(false);
        assert!(text.contains("U: approved") && text.contains("the partner said 30"), "{text}");
        assert!(text.contains("the partner said 12 to the advice"), "{text}");
        assert!(text.ends_with("4 exceptions in 10 transactions\n"), "{text}");
        assert!(!text.contains("owed") && ledger.table(true).contains("still owed"), "{text}");
        let entries = [2, 5, 6].map(|id| ledger.entry(id));
        assert_eq!(entries, [Ok(Entry::Listed), Ok(Entry::Listed), Ok(Entry::Owed)]);
        for (id, why) in [(1, "no exception"), (4, "no exception"), (7, "knows no")] {
            assert!(ledger.entry(id).is_err_and(|text| text.contains(why)), "{id}");
        }
    }

    #[test]
    fn what_was_closed_is_listed_only_if_asked_for() {
        let ledger =
            ledger(&[Record::Exception(5, 30), closed(5, false), Record::Exception(6, 30)]);
        let text = ledger.table(false);
        assert!(!text.contains("\n5 ") && text.contains("\n6 "), "{text}");
        assert!(text.ends_with("1 exception in 2 transactions, 1 more closed\n"), "{text}");
        let text = ledger.table(true);
        assert!(text.contains("closed 1970-01-01 00:01 by rb: paid? out\n"), "{text}");
        assert!(ledger.entry(5).is_err_and(|text| text.contains("closed by rb")));
    }

    /// A terminal took it back, or the partner refused it, behind the person's back.
    #[test]
    fn what_happens_after_the_closing_is_news() {
        for news in [Record::Exception(2, 30), owed(2)] {
            let ledger = ledger(&[approved(2), closed(2, false), news]);
            assert!(ledger.entry(2).is_ok(), "{news:?}");
        }
        let raced = ledger(&[approved(2), owed(2), closed(2, false)]);
        assert!(raced.lives[&2].owed != 0, "what is owed stays so");
        let meant = ledger(&[advised(2), owed(2), closed(2, true)]);
        assert_eq!(meant.lives[&2].owed, 0, "unless it was meant");
    }
}
