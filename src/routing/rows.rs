//! Merchant ids with a small number each: sixteen bytes a row, one cache line a look-up.
//!
//! A million merchants do not fit into the near caches, so a look-up costs as many misses as it
//! touches lines. An id has fifteen characters of seven bits, which leaves 23 bits of a row for the
//! number, and four rows make a line. The line follows from a hash that nobody outside can guess;
//! where it is full, the next one is used.
//!
//! What it is not: a map of anything else. What does not fit (bytes beyond ASCII) is not in it.

use prefetch_index::prefetch_index;

use crate::base::map;

/// Ids and their numbers.
#[derive(Debug)]
pub(super) struct Rows {
    /// Never full, so that a search ends.
    lines: Vec<Line>,
    len: usize,
    seeds: [u64; 2],
}

/// Four rows: an id in the upper 105 bits, its number in the lower 23; zero is no row. Aligned, so
/// that a line is one line of the cache.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Line([u128; 4]);

/// A merchant id as it stands in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id(u128);

/// Where an id stands, if it is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    id: Id,
    line: usize,
}

impl Rows {
    /// The place of an id; the memory behind it is on its way from now on.
    #[inline]
    pub(super) fn place(&self, id: Id) -> Place {
        let line = self.line(id);
        prefetch_index(&self.lines, line);
        Place { id, line }
    }

    /// The number of the id at `place`.
    #[inline]
    pub(super) fn find(&self, place: Place) -> Option<u32> {
        let mut line = place.line;
        loop {
            for row in self.lines.get(line)?.0 {
                if row >> NUMBER_BITS == place.id.0 {
                    return Some((row & NUMBER_MASK) as u32);
                }
                if row == 0 {
                    return None;
                }
            }
            line = self.after(line);
        }
    }

    /// Adds an id; gives its number back if it is there already.
    pub(super) fn add(&mut self, id: Id, number: u32) -> Result<(), u32> {
        debug_assert!(number <= NUMBER_MAX);
        if let Some(number) = self.find(self.place(id)) {
            return Err(number);
        }
        if self.lines.len() < lines_for(self.len + 1) {
            self.resize(2 * self.len + 1);
        }
        self.put(id.0 << NUMBER_BITS | u128::from(number));
        self.len += 1;
        Ok(())
    }

    /// Gives an id that is there another number.
    pub(super) fn change(&mut self, id: Id, number: u32) {
        debug_assert!(number <= NUMBER_MAX);
        let mut line = self.line(id);
        while let Some(rows) = self.lines.get_mut(line) {
            if let Some(row) = rows.0.iter_mut().find(|row| **row >> NUMBER_BITS == id.0) {
                *row = id.0 << NUMBER_BITS | u128::from(number);
                return;
            }
            if rows.0.contains(&0) {
                return;
            }
            line = self.after(line);
        }
    }

    /// Makes room for as many rows in all.
    pub(super) fn reserve(&mut self, rows: usize) {
        if self.lines.len() < lines_for(rows) {
            self.resize(rows);
        }
    }

    /// Gives back the room that no row needs.
    pub(super) fn fit(&mut self) {
        if self.lines.len() > lines_for(self.len) {
            self.resize(self.len);
        }
    }

    /// Every id with its number, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, u32)> {
        let rows = self.lines.iter().flat_map(|line| line.0).filter(|row| *row != 0);
        rows.map(|row| (Id(row >> NUMBER_BITS), (row & NUMBER_MASK) as u32))
    }

    /// How many ids there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.lines.len() * size_of::<Line>()
    }

    fn resize(&mut self, rows: usize) {
        debug_assert!(rows >= self.len);
        let lines = vec![Line::default(); lines_for(rows)];
        let before = std::mem::replace(&mut self.lines, lines);
        for row in before.iter().flat_map(|line| line.0).filter(|row| *row != 0) {
            self.put(row);
        }
    }

    /// Writes a row of an id that is not there.
    fn put(&mut self, row: u128) {
        let mut line = self.line(Id(row >> NUMBER_BITS));
        while let Some(rows) = self.lines.get_mut(line) {
            if let Some(free) = rows.0.iter_mut().find(|row| **row == 0) {
                *free = row;
                return;
            }
            line = self.after(line);
        }
    }

    /// Folds both halves of an id into one number and that into a line, by two multiplications.
    fn line(&self, id: Id) -> usize {
        let [first, second] = self.seeds;
        let (low, high) = (id.0 as u64 ^ first, (id.0 >> 64) as u64 ^ second);
        let product = u128::from(low) * u128::from(high);
        let hash = product as u64 ^ (product >> 64) as u64;
        ((u128::from(hash) * self.lines.len() as u128) >> 64) as usize
    }

    fn after(&self, line: usize) -> usize {
        if line + 1 < self.lines.len() { line + 1 } else { 0 }
    }
}

impl Default for Rows {
    fn default() -> Self {
        Self { lines: vec![Line::default(); 1], len: 0, seeds: [map::random(), map::random()] }
    }
}

impl Id {
    /// An id of fifteen characters; `None` if one of them is not ASCII, or if there is none: that
    /// is what free room looks like.
    #[inline]
    pub(super) fn new(id: &[u8; 15]) -> Option<Self> {
        let (mut front, mut back) = ([0; 8], [0; 8]);
        let (head, tail) = id.split_at(8);
        front.copy_from_slice(head);
        back.get_mut(1..)?.copy_from_slice(tail);
        let (front, back) = (u64::from_be_bytes(front), u64::from_be_bytes(back));
        let is_ascii = (front | back) & 0x8080_8080_8080_8080 == 0;
        let is_named = front | back != 0;
        (is_ascii && is_named)
            .then(|| Self(u128::from(packed(front)) << 49 | u128::from(packed(back))))
    }
}

impl Id {
    /// Its fifteen characters.
    pub(super) fn bytes(self) -> [u8; 15] {
        std::array::from_fn(|place| (self.0 >> (7 * (14 - place)) & 0x7F) as u8)
    }
}

/// Eight bytes of seven bits as 56 bits: neighbours are pushed together in three steps.
const fn packed(bytes: u64) -> u64 {
    let pairs = bytes & 0x007F_007F_007F_007F | (bytes & 0x7F00_7F00_7F00_7F00) >> 1;
    let fours = pairs & 0x0000_3FFF_0000_3FFF | (pairs & 0x3FFF_0000_3FFF_0000) >> 2;
    fours & 0x0FFF_FFFF | (fours & 0x0FFF_FFFF_0000_0000) >> 4
}

/// As many lines as leave half of the room free, and one row at least: 32 bytes a row, and one
/// look-up of ten sees a second line.
const fn lines_for(rows: usize) -> usize {
    rows / 2 + 1
}

const NUMBER_BITS: u32 = 23;
const NUMBER_MASK: u128 = (1 << NUMBER_BITS) - 1;

/// Largest number of a row.
pub(super) const NUMBER_MAX: u32 = NUMBER_MASK as u32;

const _: () = assert!(15 * 7 + NUMBER_BITS == u128::BITS);
const _: () = assert!(size_of::<Line>() == 64);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_are_a_map(
            operations in vec((0_u8..4, 0_u32..300, 0..=NUMBER_MAX), 0..600),
            reserved in 0_usize..500,
        ) {
            let (mut rows, mut model) = (Rows::default(), BTreeMap::new());
            rows.reserve(reserved);
            for (operation, shop, number) in operations {
                let id = id(shop);
                match operation {
                    0 | 1 => {
                        let known = model.get(&shop).copied();
                        prop_assert_eq!(rows.add(id, number).err(), known);
                        model.entry(shop).or_insert(number);
                    }
                    2 => {
                        rows.change(id, number);
                        model.entry(shop).and_modify(|other| *other = number);
                    }
                    _ => rows.fit(),
                }
                prop_assert_eq!(rows.len(), model.len());
            }
            let found: BTreeMap<Id, u32> = rows.iter().collect();
            let expected: BTreeMap<Id, u32> =
                model.iter().map(|(shop, number)| (id(*shop), *number)).collect();
            prop_assert_eq!(found, expected);
            for shop in 0..300 {
                prop_assert_eq!(rows.find(rows.place(id(shop))), model.get(&shop).copied());
            }
        }

        #[test]
        fn an_id_is_its_characters(one in "[ -~]{15}", other in "[ -~]{15}", at in 0_usize..15) {
            let id = |text: &str| Id::new(text.as_bytes().try_into().expect("fifteen"));
            prop_assert_eq!(id(&one) == id(&other), one == other);
            prop_assert_eq!(id(&one) < id(&other), one < other);
            prop_assert_eq!(id(&one).expect("ASCII").bytes(), one.as_bytes());
            let mut changed = one.clone().into_bytes();
            changed[at] ^= 1;
            let changed: [u8; 15] = changed.try_into().expect("fifteen");
            prop_assert!(Id::new(&changed) != id(&one));
        }
    }

    #[test]
    fn what_is_no_ascii_is_no_id() {
        for place in 0..15 {
            let mut id = [b'A'; 15];
            id[place] = 0x80;
            assert_eq!(Id::new(&id), None);
        }
    }

    #[test]
    fn a_row_takes_little_and_stays_near() {
        let mut rows = Rows::default();
        for shop in 0..100_000 {
            rows.add(id(shop), 0).expect("a new id");
        }
        rows.fit();
        assert!(rows.bytes() <= 33 * 100_000, "{} bytes", rows.bytes());
        let far = |shop: &u32| {
            let place = rows.place(id(*shop));
            let here = rows.lines[place.line].0.iter();
            !here.clone().any(|row| row >> NUMBER_BITS == place.id.0)
        };
        let far = (0..100_000).filter(far).count();
        assert!(far < 15_000, "{far} of 100000 are not in their own line");
    }

    fn id(shop: u32) -> Id {
        let text = format!("M{shop:014}");
        Id::new(text.as_bytes().try_into().expect("fifteen")).expect("ASCII")
    }
}
