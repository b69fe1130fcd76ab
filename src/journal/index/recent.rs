//! The rows that are in no run yet.

use super::row::Row;

/// Rows in memory. Few are ever looked up, so they are put in order when somebody looks, or all at
/// once at the end: in a few pieces then, each much longer than the next.
#[derive(Debug, Default)]
pub(super) struct Recent {
    rows: Vec<Row>,
    /// Where each piece ends. What is behind the last of them is in no order.
    ends: Vec<usize>,
    /// Room for all rows, to be used again.
    spare: Vec<Row>,
}

impl Recent {
    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Puts what was added in order.
    fn settle(&mut self) {
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
    pub(super) fn find(&mut self, first: (u64, u64), last: (u64, u64), found: &mut Vec<Row>) {
        self.settle();
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
        self.deal();
        self.ends.clear();
        self.ends.push(self.rows.len());
        &self.rows
    }

    /// Puts all rows in order by way of their first byte. Most keys are hashes, and of these each
    /// pile fits the nearest cache; numbers in a row share a pile, and are in long pieces already.
    fn deal(&mut self) {
        let pile = |row: &Row| (row.key.0 >> (u64::BITS - 8)) as usize;
        let mut next = [0; 257];
        self.rows.iter().for_each(|row| next[pile(row) + 1] += 1);
        (1..next.len()).for_each(|at| next[at] += next[at - 1]);
        let ends = next;
        self.spare.resize(self.rows.len(), Row::default());
        for row in &self.rows {
            let place = &mut next[pile(row)];
            self.spare[*place] = *row;
            *place += 1;
        }
        std::mem::swap(&mut self.rows, &mut self.spare);
        for bounds in ends.windows(2) {
            let rows = &mut self.rows[bounds[0]..bounds[1]];
            if rows.len() <= PILE_ROWS { rows.sort_unstable() } else { rows.sort() }
        }
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.ends.clear();
    }
}

/// A longer pile is not one of hashes; the stable sort makes use of pieces that are in order.
const PILE_ROWS: usize = 8192;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Some hashes, some numbers in a row, as the index of a journal has them.
    fn row() -> impl Strategy<Value = Row> {
        let key = prop_oneof![any::<u64>(), 0..40_u64, (7 << 50)..(7_u64 << 50) + 9000];
        (key, 0..3_u64, 0..5_u64)
            .prop_map(|(first, second, place)| Row { key: (first, second), place })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn rows_come_out_in_order_whether_or_not_somebody_looked(
            rounds in prop::collection::vec(
                (prop::collection::vec(row(), 0..500), any::<bool>()), 1..12),
            numbers in prop_oneof![Just(0_u64), Just(20_000)],
        ) {
            let (mut recent, mut model) = (Recent::default(), Vec::new());
            // More than one pile of hashes has.
            let numbered = (0..numbers).map(|number| Row { key: (number / 2, 0), place: number });
            for row in numbered {
                recent.push(row);
                model.push(row);
            }
            for (rows, looks) in rounds {
                rows.iter().for_each(|row| recent.push(*row));
                model.extend(rows);
                if looks {
                    let mut found = Vec::new();
                    recent.find((5, 0), (1 << 60, u64::MAX), &mut found);
                    found.sort_unstable();
                    let is_meant = |row: &&Row| (5..=1 << 60).contains(&row.key.0);
                    let mut meant: Vec<Row> = model.iter().filter(is_meant).copied().collect();
                    meant.sort_unstable();
                    prop_assert_eq!(found, meant);
                }
            }
            model.sort_unstable();
            prop_assert_eq!(recent.in_order(), &*model);
            recent.clear();
            prop_assert!(recent.in_order().is_empty());
        }
    }
}
