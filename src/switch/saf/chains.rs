//! Who stands behind whom: one chain per transaction, one per card, oldest first.
//!
//! A key leads to the two ends of its chain; the chain itself is links in the cells. So a card
//! with ten thousand entries costs the others nothing, and finding its first is one look-up. Key 0
//! means none: such an entry stands behind nobody.

use crate::base::map::Map;

use super::cell::{Cells, List, NONE};

/// The chains by one key of the cells.
#[derive(Debug, Default)]
pub(super) struct Chains<const LINE: usize> {
    ends: Map<u64, List<LINE>>,
}

impl<const LINE: usize> Chains<LINE> {
    /// The newest of all: at the end of its chain.
    pub(super) fn push(&mut self, cells: &mut Cells, key: u64, place: u32) {
        if key != 0 {
            self.ends.entry(key).or_default().push_back(cells, place);
        }
    }

    /// One that had left, back to where its age says. Those before it are only such as had left
    /// and come back too: it was the first when it was sent.
    pub(super) fn put_back(&mut self, cells: &mut Cells, key: u64, place: u32) {
        if key != 0 {
            self.ends.entry(key).or_default().insert_by_age(cells, place);
        }
    }

    /// Takes one out; returns who is first of its chain now, if somebody is.
    pub(super) fn remove(&mut self, cells: &mut Cells, key: u64, place: u32) -> u32 {
        let Some(list) = self.ends.get_mut(&key).filter(|_| key != 0) else { return NONE };
        list.remove(cells, place);
        let first = list.head();
        if first == NONE {
            self.ends.remove(&key);
        }
        first
    }

    /// The newest of a chain, or [`NONE`].
    pub(super) fn newest(&self, key: u64) -> u32 {
        self.ends.get(&key).map_or(NONE, List::tail)
    }
}
