//! Merchant (DE 42) -> region and accepted networks.
//!
//! Two kinds of rows: one merchant each, and prefixes for chains and number blocks that nobody
//! wants to list shop by shop (one network counts 49 million shops in China). A row of its own
//! wins over any prefix, a longer prefix over a shorter one, and the empty prefix is the default.

use super::ranges::{Clash, Range, Ranges};
use crate::base::ids::{NetworkId, Region};
use crate::base::map::Map;

/// The rows of one table.
#[derive(Debug)]
pub struct MerchantTable {
    exact: Map<u128, Merchant>,
    prefixes: Ranges<u128>,
    /// What `prefixes` point to.
    prefix_rows: Vec<Merchant>,
}

/// What a row says about its merchants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merchant {
    /// The networks they accept.
    pub networks: NetworkSet,
    /// Where they are.
    pub region: Region,
    /// Merchant category code (ISO 18245), 0 if the row gives none.
    pub mcc: u16,
}

/// Networks by their ids, 0 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NetworkSet(u64);

/// Rows being gathered.
#[derive(Debug, Default)]
pub struct MerchantRows {
    exact: Map<u128, Merchant>,
    prefixes: Vec<Range<u128>>,
    prefix_rows: Vec<Merchant>,
}

/// Why a row cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowError {
    /// Longer than the 15 characters of DE 42.
    Long,
    /// Not printable ASCII, begins or ends with a space, or is empty.
    Text,
    /// The same merchant or prefix has a row already.
    Duplicate,
}

impl MerchantTable {
    /// The row of a merchant: its own, or that of the longest prefix.
    pub fn merchant(&self, id: &[u8; 15]) -> Option<&Merchant> {
        let id = key(id);
        self.exact.get(&id).or_else(|| {
            let place = self.prefixes.find(id)?;
            self.prefix_rows.get(place as usize)
        })
    }

    /// Rows for one merchant each.
    pub fn exact_len(&self) -> usize {
        self.exact.len()
    }

    /// Rows for prefixes, the default row included.
    pub fn prefixes_len(&self) -> usize {
        self.prefix_rows.len()
    }
}

impl MerchantRows {
    /// Room for `rows` more rows for one merchant each.
    pub fn reserve(&mut self, rows: usize) {
        self.exact.reserve(rows);
    }

    /// Adds the row of one merchant, named as in DE 42 without its padding.
    ///
    /// # Errors
    ///
    /// If the id cannot stand in DE 42 or has a row already.
    pub fn add(&mut self, id: &[u8], merchant: Merchant) -> Result<(), RowError> {
        if id.is_empty() || id.ends_with(b" ") {
            return Err(RowError::Text);
        }
        let id = key(&padded(id, b' ')?);
        match self.exact.insert(id, merchant) {
            None => Ok(()),
            Some(earlier) => {
                self.exact.insert(id, earlier);
                Err(RowError::Duplicate)
            }
        }
    }

    /// Adds the row of every merchant whose id begins with `prefix`, which may be empty.
    ///
    /// # Errors
    ///
    /// If the prefix cannot stand in DE 42.
    pub fn add_prefix(&mut self, prefix: &[u8], merchant: Merchant) -> Result<u32, RowError> {
        let low = key(&padded(prefix, 0)?);
        let end = low + (1_u128 << (8 * (15 - prefix.len())));
        let row = self.prefix_rows.len() as u32;
        self.prefixes.push(Range { low, end, breadth: (0, 0), value: row, rule: row });
        self.prefix_rows.push(merchant);
        Ok(row)
    }

    /// The table. Prefixes that have a row twice are noted by the places that
    /// [`MerchantRows::add_prefix`] gave them, the earlier one first.
    pub fn build(self) -> (MerchantTable, Vec<(u32, u32)>) {
        let mut clashes: Vec<Clash> = Vec::new();
        let prefixes = Ranges::flatten(self.prefixes, &mut clashes);
        let table = MerchantTable { exact: self.exact, prefixes, prefix_rows: self.prefix_rows };
        let ordered = |clash: Clash| (clash.first.min(clash.second), clash.first.max(clash.second));
        (table, clashes.into_iter().map(ordered).collect())
    }
}

impl NetworkSet {
    /// Every network, also those that a later table adds.
    pub const ALL: Self = Self(u64::MAX);

    /// The set with `network` in it.
    #[must_use]
    pub const fn with(self, network: NetworkId) -> Self {
        assert!((network.0 as usize) < NETWORKS_MAX);
        Self(self.0 | 1 << network.0)
    }

    /// True if `network` is in the set.
    pub const fn contains(self, network: NetworkId) -> bool {
        (network.0 as usize) < NETWORKS_MAX && self.0 & 1 << network.0 != 0
    }

    /// True if the sets share a network.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// True if no network is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

fn padded(id: &[u8], fill: u8) -> Result<[u8; 15], RowError> {
    let mut whole = [fill; 15];
    let head = whole.get_mut(..id.len()).ok_or(RowError::Long)?;
    if id.starts_with(b" ") || !id.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(RowError::Text);
    }
    head.copy_from_slice(id);
    Ok(whole)
}

/// The id as a number that sorts like its bytes.
fn key(id: &[u8; 15]) -> u128 {
    let mut bytes = [0; 16];
    if let Some(tail) = bytes.last_chunk_mut() {
        *tail = *id;
    }
    u128::from_be_bytes(bytes)
}

/// Networks of one table: the bits of a [`NetworkSet`].
pub const NETWORKS_MAX: usize = 64;

const _: () = assert!(NETWORKS_MAX == u64::BITS as usize);
