//! The pages of a run: 4 KiB, checked by themselves.
//!
//! A page holds up to [`PAGE_ROWS`] rows in order. On level 0 these are rows of the index; above,
//! each names a page of the level below, with its first key, so that the pages of a run are a tree
//! and a key is found with one page of each level.
//!
//! ```text
//! 0   crc32c of all that follows   u32
//! 4   level                        u8
//! 5   rows                         u8
//! 6   zero                         u16
//! 8   number of the page           u64
//! 16  rows: key 8 + 8, place 8
//! ```
//!
//! Numbers are little-endian.

use super::row::Row;

/// Bytes of a page.
pub(super) const PAGE_BYTES: usize = 4096;

/// Rows that fit into a page.
pub(super) const PAGE_ROWS: usize = (PAGE_BYTES - HEAD_BYTES) / ROW_BYTES;

/// Writes the page `number` to the end of `bytes`; there are at most [`PAGE_ROWS`] rows.
pub(super) fn write(level: u8, number: u64, rows: &[Row], bytes: &mut Vec<u8>) {
    debug_assert!(rows.len() <= PAGE_ROWS);
    let start = bytes.len();
    bytes.extend([0, 0, 0, 0, level, rows.len() as u8, 0, 0]);
    bytes.extend(number.to_le_bytes());
    for row in rows {
        let mut each = [0; ROW_BYTES];
        each[..8].copy_from_slice(&row.key.0.to_le_bytes());
        each[8..16].copy_from_slice(&row.key.1.to_le_bytes());
        each[16..].copy_from_slice(&row.place.to_le_bytes());
        bytes.extend_from_slice(&each);
    }
    bytes.resize(start + PAGE_BYTES, 0);
    seal(&mut bytes[start..]);
}

/// A sound page.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    pub(super) level: u8,
    rows: &'a [u8],
}

impl<'a> Page<'a> {
    /// `None` if `bytes` are not the page of this number.
    pub(super) fn read(bytes: &'a [u8], number: u64) -> Option<Self> {
        let rows = usize::from(*bytes.get(5)?) * ROW_BYTES;
        let rows = bytes.get(HEAD_BYTES..HEAD_BYTES + rows)?;
        let is_sound = is_sealed(bytes) && u64_at(bytes, 8) == number;
        is_sound.then_some(Self { level: bytes[4], rows })
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len() / ROW_BYTES
    }

    /// The row at `at`, of those that there are.
    pub(super) fn row(&self, at: usize) -> Row {
        let row = &self.rows[at * ROW_BYTES..(at + 1) * ROW_BYTES];
        Row { key: (u64_at(row, 0), u64_at(row, 8)), place: u64_at(row, 16) }
    }

    /// How many rows stand before the first of this key or a greater one.
    pub(super) fn before(&self, key: (u64, u64)) -> usize {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            if self.row(middle).key < key {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }
}

/// Puts the check of a page into its front.
pub(super) fn seal(page: &mut [u8]) {
    let crc = crc32c::crc32c(&page[4..]);
    page[..4].copy_from_slice(&crc.to_le_bytes());
}

/// True if a page is as it was sealed.
pub(super) fn is_sealed(page: &[u8]) -> bool {
    page.len() == PAGE_BYTES && crc32c::crc32c(&page[4..]).to_le_bytes() == page[..4]
}

/// The number at `at`, of bytes that are there.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

const HEAD_BYTES: usize = 16;
const ROW_BYTES: usize = 24;
