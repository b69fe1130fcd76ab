//! What can be asked of a lane, without changing what it does.

use std::time::Duration;

use super::cell::NONE;
use super::{Lane, Stats};
use crate::base::limits;
use crate::base::time::Instant;

impl Lane {
    /// The message of what lives at `place`, as given to [`Self::add`].
    pub fn message(&self, place: u32, id: u64) -> Option<&[u8]> {
        self.cells.at(place, id).map(|cell| &*cell.message)
    }

    /// An empty buffer to write the next message into.
    pub fn buffer(&mut self) -> Vec<u8> {
        self.spares.pop().unwrap_or_default()
    }

    /// Obligations not delivered yet. Provisional ones are not counted.
    pub fn len(&self) -> usize {
        self.places.len() - self.provisional_count
    }

    /// True if everything is delivered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if nothing is kept here: what was not found is settled neither.
    pub fn is_settled(&self) -> bool {
        self.places.is_empty()
    }

    /// True if no new request should be sent that may end as one more obligation.
    pub fn is_full(&self) -> bool {
        self.places.len() >= limits::SAF_ENTRIES_MAX
    }

    /// Copies in flight.
    pub const fn in_flight(&self) -> usize {
        self.in_flight_count
    }

    /// Obligations that were not found, until their late windows end.
    pub const fn provisional(&self) -> usize {
        self.provisional_count
    }

    /// For how long the oldest one that is not delivered has been here.
    pub fn oldest_age(&self, now: Instant) -> Option<Duration> {
        let heads = [self.open.head(), self.reopened.head()];
        let places = heads.into_iter().filter(|place| *place != NONE);
        places.map(|place| now.since(self.cells.of(place).added_at)).max()
    }

    /// The counts.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }
}
