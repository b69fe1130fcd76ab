//! A row: a key, and the place it leads to, in 24 bytes that are compared as numbers.

use super::{IndexError, IndexKey, Place};
use crate::base::limits;

/// A key, in two halves, and its place: so equal keys stand side by side, oldest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) key: (u64, u64),
    /// In a file also the number of a page: see [`super::page`].
    pub(super) place: u64,
}

impl Row {
    /// # Errors
    ///
    /// If the place cannot be in any journal.
    pub(super) fn new(key: &IndexKey, place: Place) -> Result<Self, IndexError> {
        if place.segment > SEGMENT_MAX || place.offset > OFFSET_MAX {
            return Err(IndexError::Place(place));
        }
        Ok(Self { key: halves(key), place: place.segment << OFFSET_BITS | place.offset })
    }

    pub(super) fn index_key(&self) -> IndexKey {
        (u128::from(self.key.0) << 64 | u128::from(self.key.1)).to_be_bytes()
    }

    pub(super) const fn segment(&self) -> u64 {
        self.place >> OFFSET_BITS
    }

    pub(super) const fn journal_place(&self) -> Place {
        Place { segment: self.segment(), offset: self.place & OFFSET_MAX }
    }
}

/// A key as it is compared.
pub(super) fn halves(key: &IndexKey) -> (u64, u64) {
    let both = u128::from_be_bytes(*key);
    ((both >> 64) as u64, both as u64)
}

/// Enough for every offset in a segment.
const OFFSET_BITS: u32 = limits::SEGMENT_BYTES_MAX.trailing_zeros();
const OFFSET_MAX: u64 = (1 << OFFSET_BITS) - 1;
/// One segment a second reaches it after 500 years.
const SEGMENT_MAX: u64 = u64::MAX >> OFFSET_BITS;

const _: () = assert!(limits::SEGMENT_BYTES_MAX.is_power_of_two());
