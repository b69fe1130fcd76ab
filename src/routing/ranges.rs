//! Nested ranges, flattened: the innermost range of a key by arithmetic and a comparison or two.
//!
//! Rules such as "28" and "281006" lie inside each other. Flattening cuts them into neighbouring
//! pieces once, when a table is built, so that a lookup never compares rules. Ranges that cross
//! (neither inside the other) have no innermost one and are refused.

use std::ops::{Shr, Sub};

/// Pieces of a line, each with the value of its innermost range.
#[derive(Debug, Clone)]
pub(super) struct Ranges<K> {
    /// Where each piece begins, ascending, and what it means; [`NOTHING`] in a gap. Side by side,
    /// so that a lookup has both when it has one.
    pieces: Vec<(K, u32)>,
    /// Where in `pieces` those of each bucket begin, and at the end how many there are. A
    /// bucket is `1 << shift` keys wide; there are about as many buckets as pieces, so that a
    /// lookup compares with one or two starts, and never with more than a binary search would.
    buckets: Vec<u32>,
    shift: u32,
}

/// One range before flattening.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range<K> {
    /// First key.
    pub(super) low: K,
    /// One past the last key.
    pub(super) end: K,
    /// Among equal ranges the smaller breadth lies inside.
    pub(super) breadth: (u8, u64),
    /// What a key in it means.
    pub(super) value: u32,
    /// Which rule it came from.
    pub(super) rule: u32,
}

/// Two rules of which neither lies inside the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clash {
    /// The rule that came first on the line.
    pub(super) first: u32,
    /// The rule that was left out.
    pub(super) second: u32,
}

impl<K: Key> Ranges<K> {
    /// Flattens `ranges`; each clash is noted and its second rule left out.
    pub(super) fn flatten(ranges: Vec<Range<K>>, clashes: &mut Vec<Clash>) -> Self {
        let same = |one: &Range<K>, other: &Range<K>| one.breadth == other.breadth;
        Self::flatten_by(ranges, clashes, same, |_, _| {})
    }

    /// Flattens `ranges`. `clash` says whether two of the same keys contradict each other, the
    /// first being the broader or older one; `inside` is told of each range that is taken, and of
    /// the one around it.
    pub(super) fn flatten_by(
        mut ranges: Vec<Range<K>>,
        clashes: &mut Vec<Clash>,
        clash: impl Fn(&Range<K>, &Range<K>) -> bool,
        mut inside: impl FnMut(&Range<K>, Option<&Range<K>>),
    ) -> Self {
        ranges.sort_by(|a, b| {
            a.low.cmp(&b.low).then(b.end.cmp(&a.end)).then(b.breadth.cmp(&a.breadth))
        });
        let mut flat = Self::default();
        let mut open: Vec<Range<K>> = Vec::new();
        for range in ranges {
            flat.close_before(range.low, &mut open);
            let same = |outer: &&Range<K>| outer.low == range.low && outer.end == range.end;
            let crossed = open.last().filter(|outer| range.end > outer.end);
            let other = open.iter().rev().take_while(same).find(|other| clash(other, &range));
            if let Some(outer) = crossed.or(other) {
                clashes.push(Clash { first: outer.rule, second: range.rule });
                continue;
            }
            inside(&range, open.last());
            flat.begin(range.low, range.value);
            open.push(range);
        }
        while let Some(range) = open.pop() {
            flat.begin(range.end, open.last().map_or(NOTHING, |outer| outer.value));
        }
        flat.fill_buckets();
        debug_assert!(flat.pieces.is_sorted_by_key(|piece| piece.0));
        flat
    }

    /// The value of the innermost range around `key`.
    pub(super) fn find(&self, key: K) -> Option<u32> {
        let low = self.pieces.first().map(|piece| piece.0).filter(|low| *low <= key)?;
        let bucket = ((key - low) >> self.shift).try_into().unwrap_or(usize::MAX);
        let bucket = bucket.min(self.buckets.len().checked_sub(2)?);
        let [first, end] = self.buckets.get(bucket..)?.first_chunk()?;
        let pieces = self.pieces.get(*first as usize..*end as usize)?;
        let after = *first as usize + pieces.partition_point(|piece| piece.0 <= key);
        debug_assert!(after > 0, "the first piece begins at or before the key");
        let value = self.pieces.get(after - 1)?.1;
        (value != NOTHING).then_some(value)
    }

    fn fill_buckets(&mut self) {
        let (Some(&(low, _)), Some(&(high, _))) = (self.pieces.first(), self.pieces.last()) else {
            return;
        };
        let buckets_max = self.pieces.len().next_power_of_two();
        let bucket = |key: K, shift: u32| ((key - low) >> shift).try_into().unwrap_or(usize::MAX);
        while bucket(high, self.shift) >= buckets_max {
            self.shift += 1;
        }
        let count = bucket(high, self.shift) + 1;
        self.buckets = vec![0; count + 1];
        for (start, _) in &self.pieces {
            if let Some(slot) = self.buckets.get_mut(bucket(*start, self.shift) + 1) {
                *slot += 1;
            }
        }
        let mut before = 0;
        for slot in &mut self.buckets {
            before += *slot;
            *slot = before;
        }
        debug_assert_eq!(before as usize, self.pieces.len());
    }

    /// Ends every open range that ends at or before `low`.
    fn close_before(&mut self, low: K, open: &mut Vec<Range<K>>) {
        while let Some(range) = open.pop_if(|range| range.end <= low) {
            self.begin(range.end, open.last().map_or(NOTHING, |outer| outer.value));
        }
    }

    fn begin(&mut self, start: K, value: u32) {
        self.pieces.pop_if(|last| last.0 == start);
        if self.pieces.last().is_none_or(|last| last.1 != value) {
            self.pieces.push((start, value));
        }
    }
}

/// Unsigned numbers.
pub(super) trait Key:
    Copy + Ord + Sub<Output = Self> + Shr<u32, Output = Self> + TryInto<usize>
{
}

impl Key for u64 {}
impl Key for u128 {}

impl<K> Default for Ranges<K> {
    fn default() -> Self {
        Self { pieces: Vec::new(), buckets: Vec::new(), shift: 0 }
    }
}

/// The value of a gap.
const NOTHING: u32 = u32::MAX;
