//! The rows that are in no run yet.

use super::row::Row;

/// Rows in memory, in a few pieces that are in order, each much longer than the next.
#[derive(Debug, Default)]
pub(super) struct Recent {
    rows: Vec<Row>,
    /// Where each piece ends.
    ends: Vec<usize>,
}

impl Recent {
    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a row, which is found when [`Recent::settle`] was called.
    pub(super) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Puts what was added in order.
    pub(super) fn settle(&mut self) {
        let mut from = self.ends.last().copied().unwrap_or(0);
        if from == self.rows.len() {
            return;
        }
        self.rows[from..].sort_unstable();
        // Each row is moved a few times: its piece is at least half as long again afterwards.
        while let Some(end) = self.ends.pop() {
            let before = self.ends.last().copied().unwrap_or(0);
            if end - before > 2 * (self.rows.len() - from) {
                self.ends.push(end);
                break;
            }
            from = before;
            // The stable one makes use of pieces that are in order.
            self.rows[from..].sort();
        }
        self.ends.push(self.rows.len());
    }

    /// Adds the rows with keys from `first` to `last` to `found`.
    pub(super) fn find(&self, first: (u64, u64), last: (u64, u64), found: &mut Vec<Row>) {
        let mut from = 0;
        for end in &self.ends {
            let piece = &self.rows[from..*end];
            let piece = &piece[piece.partition_point(|row| row.key < first)..];
            found.extend(piece.iter().take_while(|row| row.key <= last));
            from = *end;
        }
    }

    /// All rows, in order.
    pub(super) fn in_order(&mut self) -> &[Row] {
        self.rows.sort();
        self.ends.clear();
        self.ends.push(self.rows.len());
        &self.rows
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.ends.clear();
    }
}
