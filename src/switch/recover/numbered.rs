//! What is found by the number of a transaction. Numbers rise, so those that come one behind the
//! other stand side by side: where a hash map would have each of a million at a place of its own,
//! and wait for memory at each, one page serves many.
//!
//! Few and far between they cost more than in a hash map, a hundred bytes each.

use crate::base::map::Map;

/// Places by number.
#[derive(Debug)]
pub(super) struct Numbered {
    pages: Vec<Page>,
    by_number: Map<u64, u32>,
    /// Pages in which nothing stands any more.
    spares: Vec<u32>,
    /// Some of the pages begun last, each with its number: most of what is asked for is in them.
    latest: Box<[(u64, u32); LATEST]>,
}

/// Numbers that differ in their last bits only.
#[derive(Debug, Clone, Copy)]
struct Page {
    /// A bit for each that is there.
    there: u32,
    places: [u32; PAGE_NUMBERS],
}

impl Numbered {
    /// Where `number` stands.
    pub(super) fn get(&self, number: u64) -> Option<u32> {
        let page = self.pages.get(self.page_of(number)? as usize)?;
        let at = at(number);
        (page.there & 1 << at != 0).then(|| page.places[at])
    }

    /// True if it stands anywhere.
    pub(super) fn contains(&self, number: u64) -> bool {
        self.get(number).is_some()
    }

    /// `number` stands at `place` from now on.
    pub(super) fn insert(&mut self, number: u64, place: u32) {
        let page = self.page_of(number).unwrap_or_else(|| self.begin_page(number));
        let at = at(number);
        if let Some(page) = self.pages.get_mut(page as usize) {
            page.there |= 1 << at;
            page.places[at] = place;
        }
    }

    /// `number` stands nowhere.
    pub(super) fn remove(&mut self, number: u64) {
        let Some(place) = self.page_of(number) else { return };
        let Some(page) = self.pages.get_mut(place as usize) else { return };
        page.there &= !(1 << at(number));
        if page.there == 0 {
            let number = number / PAGE_NUMBERS as u64;
            self.by_number.remove(&number);
            let latest = &mut self.latest[slot(number)];
            if latest.0 == number {
                *latest = NONE;
            }
            self.spares.push(place);
        }
    }

    fn page_of(&self, number: u64) -> Option<u32> {
        let number = number / PAGE_NUMBERS as u64;
        let (latest, page) = self.latest[slot(number)];
        if latest == number { Some(page) } else { self.by_number.get(&number).copied() }
    }

    fn begin_page(&mut self, number: u64) -> u32 {
        let number = number / PAGE_NUMBERS as u64;
        let page = self.spares.pop().unwrap_or_else(|| {
            self.pages.push(Page { there: 0, places: [0; PAGE_NUMBERS] });
            self.pages.len() as u32 - 1
        });
        self.by_number.insert(number, page);
        self.latest[slot(number)] = (number, page);
        page
    }
}

impl Default for Numbered {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            by_number: Map::default(),
            spares: Vec::new(),
            latest: Box::new([NONE; LATEST]),
        }
    }
}

/// Which of its page a number is.
const fn at(number: u64) -> usize {
    number as usize % PAGE_NUMBERS
}

/// Workers count alike; what tells them apart stands high in a number. It becomes the upper half of
/// this one, two bits for what is owed and three for the worker: what they count stays apart.
const fn slot(page: u64) -> usize {
    (page ^ page >> 28) as usize % LATEST
}

/// As many as a page has bits.
const PAGE_NUMBERS: usize = 32;

/// Pages that are found without a search: some thousand numbers of each of eight workers.
const LATEST: usize = 1024;

/// No page has this number.
const NONE: (u64, u32) = (u64::MAX, 0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::number::{self, Role};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn workers_that_count_alike_do_not_displace_each_other() {
        let mut numbered = Numbered::default();
        let number =
            |worker, role, count| number::owed(number::transaction(1, worker, count), role);
        let roles = [Role::Reversal, Role::Advice];
        let all = || (0..8).flat_map(|worker| roles.map(|role| (worker, role)));
        for count in 5000..5900 {
            all().for_each(|(worker, role)| numbered.insert(number(worker, role, count), 0));
        }
        for (worker, role) in all() {
            let page = number(worker, role, 5899) / PAGE_NUMBERS as u64;
            assert_eq!(numbered.latest[slot(page)].0, page, "worker {worker}, {role:?}");
        }
    }

    proptest! {
        #[test]
        fn it_is_a_map(
            acts in prop::collection::vec((0..3u64, 0..4u64, 0..300u64, 0..4u8), 1..600)
        ) {
            let mut numbered = Numbered::default();
            let mut model = BTreeMap::new();
            for (place, (high, middle, low, act)) in acts.into_iter().enumerate() {
                // Pages of different workers and counts, some of which share a slot.
                let number = high << 40 | middle << 15 | low;
                if act == 0 {
                    numbered.remove(number);
                    model.remove(&number);
                } else {
                    numbered.insert(number, place as u32);
                    model.insert(number, place as u32);
                }
                prop_assert_eq!(numbered.get(number), model.get(&number).copied());
                prop_assert_eq!(numbered.contains(number ^ 1), model.contains_key(&(number ^ 1)));
            }
            for (number, place) in &model {
                prop_assert_eq!(numbered.get(*number), Some(*place));
            }
            let mut pages: Vec<u64> = model.keys().map(|number| number / 32).collect();
            pages.dedup();
            let used = numbered.pages.len() - numbered.spares.len();
            prop_assert_eq!(used, pages.len(), "a page that is empty is used again");
        }
    }
}
