//! What a former life remembered is remembered again.

use super::{Claim, Past, Recent};
use crate::iso8583::kept::Kept;

impl Recent {
    /// How many transactions it remembers at most.
    pub(in crate::switch) const fn capacity(&self) -> usize {
        self.cells.len()
    }

    /// Remembers one of a former life, whatever else is known. Its number, if there is room.
    pub(in crate::switch) fn restore(&mut self, past: Past, kept: &Kept) -> Option<u64> {
        let Past { id, key, acquirer, at, .. } = past;
        let number = self.enter(&Claim { id, key, acquirer, at })?;
        self.fill(number, past, kept);
        Some(number)
    }

    /// What is known of one that was claimed just now, and has ended.
    pub(in crate::switch) fn fill(&mut self, number: u64, past: Past, kept: &Kept) {
        if let Some(cell) = self.past_mut(number) {
            let Past { from, reference, held, .. } = *cell;
            *cell = Past { from, reference, held, bytes: 0, ..past };
        }
        self.keep(number, kept);
        self.settle(number);
    }
}
