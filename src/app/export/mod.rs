//! A journal as a table: one row per record, for accountants and their tools.
//!
//! Account numbers are masked or are a token, never in clear; nothing of what a message carries
//! besides is shown unless it has a column. A message can only be read by the dialect of its link:
//! without it, or with one that does not fit, its columns stay empty. The columns are described in
//! [`crate::manual::journal`].

mod message;
mod row;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(super) use message::kept;
use row::Column;
use row::Row;
pub(super) use row::{Format, moment};

use crate::base::ids::LinkId;
use crate::base::time::Wall;
use crate::iso8583::decode::Index;
use crate::iso8583::dialect::Dialect;
use crate::journal::{self, Key};
use crate::switch::number::{self, Role};
use crate::switch::record::{Intent, Owed, Record, Side, Weight};

/// Who is behind the numbers of the links.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// By link: its name and how it writes.
    pub(super) named: Vec<(String, Arc<Dialect>)>,
    /// How acquirers and partners write that have no name here.
    pub(super) acquirers: Option<Arc<Dialect>>,
    pub(super) partners: Option<Arc<Dialect>>,
}

impl Links {
    fn named(&self, link: LinkId) -> Option<&(String, Arc<Dialect>)> {
        self.named.get(usize::from(link.0))
    }

    fn dialect<'l>(&'l self, link: LinkId, other: Option<&'l Arc<Dialect>>) -> Option<&'l Dialect> {
        self.named(link).map(|(_, dialect)| dialect).or(other).map(Arc::as_ref)
    }
}

/// Writes rows, one after the other.
pub(super) struct Export<'e> {
    links: Links,
    key: &'e Key,
    row: Row,
    index: Box<Index>,
    scratch: Vec<u8>,
}

impl<'e> Export<'e> {
    pub(super) fn new(format: Format, links: Links, key: &'e Key) -> Self {
        let (row, index, scratch) = (Row::new(format), Box::default(), Vec::new());
        Self { links, key, row, index, scratch }
    }

    /// The line above the rows, if the format has one.
    pub(super) fn head(&mut self) -> &[u8] {
        self.row.head()
    }

    /// The row of one record, with its line feed.
    pub(super) fn row(&mut self, batch: &journal::Record, record: &Record<'_>) -> &[u8] {
        self.row.begin();
        self.row.number(Column::Segment, batch.place.segment);
        self.row.number(Column::Offset, batch.place.offset);
        self.row.number(Column::Worker, u64::from(batch.worker));
        self.row.moment(Column::WrittenAt, batch.written);
        self.row.word(Column::Record, kind(record));
        self.row.digits(Column::Id, id(record));
        self.rest(record);
        self.row.end()
    }

    fn rest(&mut self, record: &Record<'_>) {
        let row = &mut self.row;
        match record {
            Record::Intent(intent) => self.intent(intent),
            Record::Outcome(outcome) => {
                row.word(Column::What, if outcome.approved { "approved" } else { "declined" });
                outcome.part.iter().for_each(|part| row.number(Column::AmountMinor, *part));
                row.text(Column::Code, &outcome.code);
                outcome.approval.iter().for_each(|code| row.text(Column::Approval, code));
            }
            Record::Refused(refused) => {
                self.link(Column::Acquirer, refused.acquirer);
                self.row.text(Column::Code, &refused.code);
                if !refused.rule.is_empty() {
                    self.row.text(Column::Reason, refused.rule);
                }
            }
            Record::Owed(owed) => self.owed(owed),
            Record::Exception(_, code) => row.text(Column::Code, format!("{code:02}").as_bytes()),
            Record::Closed(closed) => {
                row.word(Column::What, if closed.ends_debt { "debt ended" } else { "looked at" });
                row.moment(Column::ActedAt, Wall::from_unix_s(closed.at_s));
                row.text(Column::By, closed.by);
                row.text(Column::Reason, closed.reason);
            }
            Record::StoodIn(stood_in) => {
                row.text(Column::What, stood_in.route);
                row.moment(Column::ActedAt, Wall::from_unix_s(stood_in.at_s));
                row.number(Column::AmountMinor, stood_in.amount.minor);
                let currency = stood_in.amount.currency.number();
                row.text(Column::Currency, format!("{currency:03}").as_bytes());
            }
            Record::Weight(weight) => {
                row.text(Column::What, format!("of {}", weight.of).as_bytes());
                row.number(Column::AmountMinor, weight.amount);
            }
            Record::Handed(_)
            | Record::TakenBack(_)
            | Record::Sent(_)
            | Record::NotFound { .. }
            | Record::Done(_) => {}
        }
    }

    fn intent(&mut self, intent: &Intent<'_>) {
        let Intent { at_s, acquirer, partner, stan, amount, head, tail, pan, .. } = *intent;
        self.row.moment(Column::ActedAt, Wall::from_unix_s(at_s));
        self.link(Column::Acquirer, acquirer);
        self.link(Column::Partner, partner);
        let dialect = self.links.dialect(acquirer, self.links.acquirers.as_ref());
        let (index, scratch) = (&mut self.index, &mut self.scratch);
        let message =
            dialect.and_then(|dialect| message::kept(dialect, [head, pan, tail], index, scratch));
        message.iter().for_each(|message| message::mti(message, &mut self.row));
        self.row.digits(Column::Stan, u64::from(stan));
        amount.iter().for_each(|amount| self.row.number(Column::AmountMinor, *amount));
        let token = (!pan.is_empty()).then(|| self.key.token(pan));
        message::columns(message.as_ref(), token, &mut self.row);
    }

    fn owed(&mut self, owed: &Owed<'_>) {
        let Owed { id, partner, stan, message, .. } = *owed;
        let what = match number::role_of(id) {
            Role::Reversal => "reversal",
            Role::Advice => "advice",
            Role::AdviceReversal => "reversal of advice",
        };
        self.row.word(Column::What, what);
        self.link(Column::Partner, partner);
        let dialect = self.links.dialect(partner, self.links.partners.as_ref());
        let index = &mut self.index;
        let decoded = dialect.and_then(|dialect| message::framed(dialect, message, stan, index));
        decoded.iter().for_each(|message| message::mti(message, &mut self.row));
        self.row.digits(Column::Stan, u64::from(stan));
        let amount = decoded.as_ref().and_then(|message| message.number(4));
        amount.iter().for_each(|amount| self.row.number(Column::AmountMinor, *amount));
        message::columns(decoded.as_ref(), None, &mut self.row);
    }

    /// A link by its name, or its number if it has none here.
    fn link(&mut self, column: Column, link: LinkId) {
        match self.links.named(link) {
            Some((name, _)) => self.row.text(column, name.as_bytes()),
            None => self.row.digits(column, u64::from(link.0)),
        }
    }
}

/// What a record is called.
pub(super) const fn kind(record: &Record<'_>) -> &'static str {
    match record {
        Record::Intent(_) => "intent",
        Record::Outcome(_) => "outcome",
        Record::Handed(_) => "handed",
        Record::TakenBack(_) => "taken-back",
        Record::Refused(_) => "refused",
        Record::Owed(_) => "owed",
        Record::Sent(_) => "sent",
        Record::NotFound { .. } => "not-found",
        Record::Done(_) => "done",
        Record::Exception(..) => "exception",
        Record::StoodIn(_) => "stood-in",
        Record::Closed(_) => "closed",
        Record::Weight(Weight { side: Side::Back, .. }) => "refund",
        Record::Weight(Weight { side: Side::Taken, .. }) => "completion",
    }
}

/// Of which transaction it is.
pub(super) const fn id(record: &Record<'_>) -> u64 {
    match record {
        Record::Intent(intent) => intent.id,
        Record::Outcome(outcome) => outcome.id,
        Record::Refused(refused) => refused.id,
        Record::Owed(owed) => number::transaction_of(owed.id),
        Record::StoodIn(stood_in) => stood_in.id,
        Record::Closed(closed) => closed.id,
        Record::Weight(weight) => weight.id,
        Record::Handed(id) | Record::TakenBack(id) => *id,
        Record::Sent(id)
        | Record::NotFound { id, .. }
        | Record::Done(id)
        | Record::Exception(id, _) => number::transaction_of(*id),
    }
}
