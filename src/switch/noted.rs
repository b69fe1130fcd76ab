//! What of a transaction's life is put on record, in one place.

use std::time::Duration;

use crate::base::ids::LinkId;
use crate::base::time::{Instant, Now};
use crate::iso8583::kept::Kept;

use super::bug::Bug;
use super::outbox::Outbox;
use super::owed::Owed;
use super::recent::Past;
use super::record::{self, Intent, Outcome, Record, Refused};
use super::saf::Obligation;
use super::{Fate, Storage, Switch};

/// A request is about to be sent: durable before its first byte is.
#[inline]
pub(super) fn intent(
    now: Now,
    past: &Past,
    partner: LinkId,
    [head, pan, tail]: [&[u8]; 3],
    outbox: &mut Outbox,
) {
    outbox.records.push(&Record::Intent(Intent {
        id: past.id,
        at_s: now.wall.unix_s(),
        acquirer: past.acquirer,
        partner,
        stan: past.stan,
        key: past.key,
        amount: past.amount,
        head,
        tail,
        pan,
    }));
}

/// A message that only tells was taken over; what is told can be taken back.
pub(super) fn told(now: Now, past: &Past, kept: &Kept, outbox: &mut Outbox) {
    if let Some(partner) = past.partner {
        intent(now, past, partner, kept.parts(), outbox);
    }
}

/// What became of it: an approval is durable before its first byte leaves.
#[inline]
pub(super) fn outcome(past: &Past, outbox: &mut Outbox) {
    if !outbox.records.on {
        return;
    }
    outbox.records.push(&Record::Outcome(Outcome {
        id: past.id,
        approved: matches!(past.fate, Fate::Approved { .. }),
        code: past.code,
        approval: past.approval,
        part: past.part,
    }));
}

/// A terminal was refused, and nobody was asked; by the rule of this name, if it has one.
pub(super) fn refused(past: &Past, rule: &[u8], outbox: &mut Outbox) {
    outbox.records.push(&Record::Refused(Refused {
        id: past.id,
        acquirer: past.acquirer,
        key: past.key,
        code: past.code,
        rule,
    }));
}

/// A terminal took back what it never asked.
pub(super) fn never_asked(past: &Past, outbox: &mut Outbox) {
    refused(past, b"", outbox);
    outbox.records.push(&Record::TakenBack(past.id));
}

/// For how long this installation has run, all its lives together: what late windows are told by
/// on record. It never runs faster than time, and stands still while no switch runs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lived {
    /// Former lives, as far as is on record.
    pub(super) before: Duration,
    /// When this one began.
    pub(super) began: Instant,
}

impl Lived {
    /// A copy of what is owed is about to be sent, or was not found. `late_until`: if it was not
    /// found, now or before, the end of that late window.
    pub(super) fn note_copy(
        self,
        now: Now,
        id: u64,
        late_until: Option<Instant>,
        late_window: Duration,
        outbox: &mut Outbox,
    ) {
        let record = late_until.map_or(Record::Sent(id), |until| {
            let passed = now.instant.after(late_window).since(until);
            let ran = self.before + now.instant.since(self.began);
            Record::NotFound { id, ran_s: ran.saturating_sub(passed).as_secs() }
        });
        outbox.records.push(&record);
    }
}

impl Owed {
    /// See [`Lived::note_copy`].
    pub(super) fn note_copy(
        &self,
        now: Now,
        id: u64,
        late_until: Option<Instant>,
        outbox: &mut Outbox,
    ) {
        self.lived.note_copy(now, id, late_until, self.lane.late_window(), outbox);
    }
}

impl Switch {
    /// What can be put on record has changed.
    pub(super) fn stores(&mut self, storage: Storage, outbox: &mut Outbox) -> usize {
        self.storage = storage;
        match storage {
            Storage::Failed if self.setup.has(Bug::ApprovedUnrecorded) => {
                outbox.records.on = false;
            }
            Storage::Failed => outbox.stop(),
            Storage::Ready | Storage::ObligationsOnly => {}
        }
        0
    }

    pub(super) fn note_owed(
        &self,
        owed: &Obligation,
        partner: LinkId,
        stan: u32,
        outbox: &mut Outbox,
    ) {
        let is_full = self.storage == Storage::ObligationsOnly;
        if self.setup.has(Bug::DebtNotRecorded) || is_full && self.setup.has(Bug::FullDiskForgets) {
            return;
        }
        let Obligation { id, kind, message, .. } = owed;
        let owed = record::Owed { id: *id, partner, stan, kind: *kind, message };
        outbox.records.push(&Record::Owed(owed));
    }

    /// Puts what is owed on record again, if its record stands in a batch up to this one: as many
    /// batches as it takes.
    #[cold]
    pub(super) fn note_debts_again(&mut self, now: Now, batch: u64, outbox: &mut Outbox) {
        self.hand_over(now, usize::MAX, outbox);
        let setup = std::sync::Arc::clone(&self.setup);
        for link in 0..self.owed.len() {
            let partner = LinkId(link as u16);
            let Some(dialect) = setup.link(partner).map(|link| &*link.dialect) else { continue };
            let Some(mut owed) = self.take_owed(partner) else { continue };
            let (lived, late_window) = (owed.lived, owed.lane.late_window());
            owed.lane.note_again(batch, |debt| {
                let stan = self.stan_of(dialect, Some(debt.message)).unwrap_or(0);
                let (id, kind, message) = (debt.id, debt.kind, debt.message);
                outbox.records.push(&Record::Owed(record::Owed {
                    id,
                    partner,
                    stan,
                    kind,
                    message,
                }));
                if debt.repeat {
                    lived.note_copy(now, id, debt.late_until, late_window, outbox);
                }
                let noted = outbox.batch();
                outbox.close_full_batch();
                noted
            });
            self.put_owed(partner, owed);
        }
    }

    pub(super) fn note_done(&self, id: u64, outbox: &mut Outbox) {
        if self.setup.has(Bug::DoneNotRecorded) {
            return;
        }
        outbox.records.push(&Record::Done(id));
    }

    pub(super) fn note_exception(&self, id: u64, code: u8, outbox: &mut Outbox) {
        outbox.records.push(&Record::Exception(id, code));
    }

    pub(super) fn note_taken_back(&self, id: u64, outbox: &mut Outbox) {
        outbox.records.push(&Record::TakenBack(id));
        outbox.records.urgent = true;
    }

    #[inline]
    pub(super) fn note_handed_record(&self, id: u64, outbox: &mut Outbox) {
        outbox.records.push(&Record::Handed(id));
    }
}
