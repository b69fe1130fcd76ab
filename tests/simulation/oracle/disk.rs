//! What a disk excuses: full, slow or broken, it keeps less than was said.

use super::Oracle;
use crate::world::MS;

impl Oracle {
    /// The process of the next life begins: what the last one read and did not put on record in
    /// time is nobody's to know.
    pub(crate) fn lives(&mut self, life: u32) {
        self.life = life;
        self.mailed.clear();
        let failed_at = self.disk_failed_at.take();
        (self.full_since, self.is_full) = (None, false);
        for (number, sale) in &mut self.sales {
            sale.approval_read &= self.records.owed.contains(number);
            sale.accepted_at = sale.accepted_at.filter(|_| sale.told);
            let is_recorded = self.records.intents.contains(number) || sale.refused_at.is_some();
            // In time comes before on record, for what is not approved: the disk may hang.
            // So does what it was given just before it broke.
            let is_broken = |at| failed_at.is_some_and(|failed_at| at + 2 * MS >= failed_at);
            let is_lost = (self.ended_at < sale.undurable_until
                || sale.refused_at.is_some_and(is_broken))
                && !self.records.intents.contains(number);
            if sale.unrecorded || !is_recorded || is_lost {
                // A full disk keeps no refusals, and what was read only is nowhere: whoever asks
                // again asks for the first time.
                (sale.original, sale.refused_at) = (None, None);
            }
        }
    }

    /// What the disk has is durable at `until`.
    pub(crate) fn disk_is_slow(&mut self, until: u64) {
        // What it is given meanwhile waits for the next time.
        self.slow_until = until + 2 * MS;
    }

    /// The process is gone.
    pub(crate) fn ends_life(&mut self, now: u64) {
        self.ended_at = now;
    }

    /// Nothing that is given to the disk from now on is durable.
    pub(crate) fn disk_fails(&mut self) {
        self.disk_failed_at.get_or_insert(self.now);
    }

    /// The switch hears whether the disk has room for something new: all of it, some of it.
    pub(crate) fn disk_takes(&mut self, anything: bool, something: bool) {
        self.is_full = !anything;
        let since = self.full_since.unwrap_or(self.now);
        self.full_since = (!something).then_some(since);
    }
}
