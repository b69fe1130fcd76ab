//! The window as the shared index sees it.

use crate::base::ids::WorkerId;

use super::super::index::{self, Window};
use super::Recent;

/// What the index may ask while it is searched.
pub(super) struct View<'a> {
    pub(super) recent: &'a Recent,
}

impl Window for View<'_> {
    #[inline]
    fn worker(&self) -> WorkerId {
        self.recent.worker
    }

    #[inline]
    fn number_of(&self, low: u32) -> Option<u64> {
        self.recent.number_with(low, index::LOW_BITS)
    }

    fn turn(&self) -> u64 {
        self.recent.turn
    }

    fn first_of(&self, worker: WorkerId) -> u64 {
        self.recent.firsts.get(usize::from(worker.0)).copied().unwrap_or(0)
    }
}
