//! Merchant (DE 42) -> where it is, which networks it accepts, what it sells.
//!
//! Two kinds of rows: one merchant each, and prefixes for chains and number blocks that nobody
//! wants to list shop by shop (one network counts 49 million shops in China). A row of its own
//! wins over any prefix, a longer prefix over a shorter one, and the empty prefix is the default.
//! Where one merchant id means several shops, rows may also name the terminal (DE 41), the acquirer
//! (DE 32) or both; only for such merchants is more than DE 42 asked.
//!
//! Rows that say the same share one [`Merchant`]: a million rows say a few thousand things.

use std::fmt;

use super::ranges::{Clash, Range, Ranges};
use super::rows::{Id, NUMBER_MAX, Place, Rows};
use crate::base::authorization::Authorization;
use crate::base::ids::{Area, NetworkId};
use crate::base::map::Map;

/// The rows of one table.
#[derive(Debug)]
pub struct MerchantTable {
    /// A number is a place in `kinds` or [`NOBODY`], with [`REFINED`] if `refined` knows more.
    exact: Rows,
    refined: Map<(Id, Till), u32>,
    prefixes: Ranges<u128>,
    /// The prefixes as written, sorted: first key, end, place in `kinds`.
    written: Vec<(u128, u128, u32)>,
    kinds: Vec<Kind>,
    names_acquirers: bool,
}

/// What names a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowName(Named);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    /// First key and end.
    Prefix(u128, u128),
    Merchant(Id, Till),
}

/// What a row says about its merchants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Merchant {
    /// The networks they accept.
    pub networks: NetworkSet,
    /// Where they are.
    pub area: Area,
    /// Merchant category code (ISO 18245), 0 if the row gives none.
    pub mcc: u16,
    /// The groups they belong to.
    pub groups: Groups,
}

/// Networks by their ids, 0 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NetworkSet(u64);

/// Groups of merchants by their numbers, 0 to 31.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Groups(u32);

/// One till of a merchant; what is 0 is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Till {
    /// DE 32 as a number.
    pub acquirer: u64,
    /// DE 41, space padded.
    pub terminal: [u8; 8],
}

/// Rows being gathered.
#[derive(Debug, Default)]
pub struct MerchantRows {
    exact: Rows,
    refined: Map<(Id, Till), u32>,
    prefixes: Vec<Range<u128>>,
    kinds: Vec<Kind>,
    places: Map<Merchant, u32>,
}

/// Why a row cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowError {
    /// Longer than the 15 characters of DE 42.
    Long,
    /// Not printable ASCII, begins or ends with a space, or is empty.
    Text,
    /// The same merchant, till or prefix has a row already.
    Duplicate,
    /// More than [`KINDS_MAX`] rows of which no two say the same.
    Kinds,
}

/// What rows say, and the column of the route table that they lead to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) merchant: Merchant,
    pub(super) column: u16,
}

/// A merchant that is being looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sought(Option<Place>);

impl MerchantTable {
    /// The row of whoever sent `facts`: that of the till, else of the merchant, else of the longest
    /// prefix.
    pub fn merchant(&self, facts: &Authorization) -> Option<&Merchant> {
        self.kind(self.seek(&facts.merchant), facts).map(|kind| &kind.merchant)
    }

    /// The same with the row's name: who else stands in it.
    pub fn named(&self, facts: &Authorization) -> Option<(RowName, &Merchant)> {
        let found = self.merchant(facts)?;
        let id = Id::new(&facts.merchant);
        let exact = id.into_iter().flat_map(|id| {
            let tills = tills(facts).into_iter().chain([Till::default()]);
            tills.map(move |till| RowName(Named::Merchant(id, till)))
        });
        let key = key(&facts.merchant);
        let around = self.written.iter().filter(|(low, end, _)| (*low..*end).contains(&key));
        let mut prefixes: Vec<_> = around.map(|(low, end, _)| (*low, *end)).collect();
        prefixes.sort_unstable_by_key(|(low, end)| end - low);
        let prefixes = prefixes.into_iter().map(|(low, end)| RowName(Named::Prefix(low, end)));
        let named = exact.chain(prefixes).find_map(|name| Some((name, self.row(&name)?)));
        debug_assert!(named.is_some_and(|(_, row)| row == found), "the name of the row found");
        named
    }

    /// True if some row is for one acquirer only.
    #[inline]
    pub const fn names_acquirers(&self) -> bool {
        self.names_acquirers
    }

    /// Rows for one merchant or till each.
    pub fn exact_len(&self) -> usize {
        self.exact.len() + self.refined.len()
    }

    /// Rows for prefixes, the default row included.
    pub fn prefixes_len(&self) -> usize {
        self.written.len()
    }

    /// Bytes of the rows for one merchant each.
    pub fn exact_bytes(&self) -> usize {
        self.exact.bytes()
    }

    /// Every row with its name, in no order.
    pub fn rows(&self) -> impl Iterator<Item = (RowName, &Merchant)> {
        let kind = |number: u32| self.kinds.get(number as usize).map(|kind| &kind.merchant);
        let exact = self.exact.iter().filter(|(_, number)| number & !REFINED != NOBODY);
        let exact = exact.map(|(id, number)| (id, Till::default(), number & !REFINED));
        let refined = self.refined.iter().map(|((id, till), number)| (*id, *till, *number));
        let merchants = exact
            .chain(refined)
            .map(|(id, till, number)| (RowName(Named::Merchant(id, till)), number));
        let prefixes = self.written.iter();
        let prefixes =
            prefixes.map(|(low, end, number)| (RowName(Named::Prefix(*low, *end)), *number));
        merchants.chain(prefixes).filter_map(move |(name, number)| Some((name, kind(number)?)))
    }

    /// What the row of this name says, if there is one. Rows that would apply in its place do not
    /// count.
    pub fn row(&self, name: &RowName) -> Option<&Merchant> {
        let number = match name.0 {
            Named::Merchant(id, till) if till == Till::default() => {
                let number = self.exact.find(self.exact.place(id))? & !REFINED;
                Some(number).filter(|number| *number != NOBODY)
            }
            Named::Merchant(id, till) => self.refined.get(&(id, till)).copied(),
            Named::Prefix(low, end) => {
                let at = self.written.binary_search_by_key(&(low, end), |row| (row.0, row.1));
                self.written.get(at.ok()?).map(|row| row.2)
            }
        };
        self.kinds.get(number? as usize).map(|kind| &kind.merchant)
    }

    /// Begins a look-up, so that its memory is near when it is needed.
    #[inline]
    pub(super) fn seek(&self, id: &[u8; 15]) -> Sought {
        Sought(Id::new(id).map(|id| self.exact.place(id)))
    }

    /// Ends a look-up for the merchant of `facts`.
    #[inline]
    pub(super) fn kind(&self, sought: Sought, facts: &Authorization) -> Option<&Kind> {
        let number = match sought.0.and_then(|place| self.exact.find(place)) {
            Some(number) if number & REFINED != 0 => self.refined(number, facts),
            number => number,
        };
        let number = number.filter(|number| *number != NOBODY);
        let number = number.or_else(|| self.prefixes.find(key(&facts.merchant)))?;
        self.kinds.get(number as usize)
    }

    /// Every kind of merchant, to be given its column.
    pub(super) fn kinds_mut(&mut self) -> impl Iterator<Item = &mut Kind> {
        self.kinds.iter_mut()
    }

    #[cold]
    fn refined(&self, number: u32, facts: &Authorization) -> Option<u32> {
        let id = Id::new(&facts.merchant)?;
        let mut tills = tills(facts).into_iter();
        let own = tills.find_map(|till| self.refined.get(&(id, till)).copied());
        own.or(Some(number & !REFINED))
    }
}

impl MerchantRows {
    /// Room for `rows` rows of one merchant each.
    pub fn reserve(&mut self, rows: usize) {
        self.exact.reserve(rows);
    }

    /// Adds the row of one merchant, named as in DE 42 without its padding.
    ///
    /// # Errors
    ///
    /// If the id cannot stand in DE 42 or has a row already.
    pub fn add(&mut self, id: &[u8], merchant: Merchant) -> Result<(), RowError> {
        let id = exact_id(id)?;
        let number = self.number(merchant)?;
        match self.exact.add(id, number) {
            Ok(()) => Ok(()),
            // So far only its tills were known.
            Err(known) if known == NOBODY | REFINED => {
                self.exact.change(id, number | REFINED);
                Ok(())
            }
            Err(_) => Err(RowError::Duplicate),
        }
    }

    /// Adds the row of one till of a merchant.
    ///
    /// # Errors
    ///
    /// If the id cannot stand in DE 42 or the till has a row already.
    pub fn add_till(&mut self, id: &[u8], till: Till, merchant: Merchant) -> Result<(), RowError> {
        if till == Till::default() {
            return self.add(id, merchant);
        }
        let id = exact_id(id)?;
        if self.refined.contains_key(&(id, till)) {
            return Err(RowError::Duplicate);
        }
        let number = self.number(merchant)?;
        self.refined.insert((id, till), number);
        if let Err(known) = self.exact.add(id, NOBODY | REFINED) {
            self.exact.change(id, known | REFINED);
        }
        Ok(())
    }

    /// Adds the row of every merchant whose id begins with `prefix`, which may be empty.
    ///
    /// # Errors
    ///
    /// If the prefix cannot stand in DE 42.
    pub fn add_prefix(&mut self, prefix: &[u8], merchant: Merchant) -> Result<u32, RowError> {
        let low = key(&padded(prefix, 0)?);
        let end = low + (1_u128 << (8 * (15 - prefix.len())));
        let (rule, value) = (self.prefixes.len() as u32, self.number(merchant)?);
        self.prefixes.push(Range { low, end, breadth: (0, 0), value, rule });
        Ok(rule)
    }

    /// The table, and the prefixes that came twice: pairs of what [`Self::add_prefix`] gave out.
    pub fn build(mut self) -> (MerchantTable, Vec<(u32, u32)>) {
        let mut clashes = Vec::new();
        let written = self.prefixes.iter().map(|range| (range.low, range.end, range.value));
        let mut written: Vec<_> = written.collect();
        written.sort_unstable();
        let prefixes = Ranges::flatten(self.prefixes, &mut clashes);
        self.exact.fit();
        let (exact, refined, kinds) = (self.exact, self.refined, self.kinds);
        let names_acquirers = refined.keys().any(|(_, till)| till.acquirer != 0);
        let table = MerchantTable { exact, refined, prefixes, written, kinds, names_acquirers };
        let ordered = |clash: Clash| (clash.first.min(clash.second), clash.first.max(clash.second));
        (table, clashes.into_iter().map(ordered).collect())
    }

    fn number(&mut self, merchant: Merchant) -> Result<u32, RowError> {
        if let Some(number) = self.places.get(&merchant) {
            return Ok(*number);
        }
        if self.kinds.len() == KINDS_MAX {
            return Err(RowError::Kinds);
        }
        let number = self.kinds.len() as u32;
        self.kinds.push(Kind { merchant, column: 0 });
        self.places.insert(merchant, number);
        Ok(number)
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

    /// A bit for each network, that of network 0 lowest.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl Groups {
    /// A bit for each group, that of group 0 lowest.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The set with the group of a number in it.
    #[must_use]
    pub const fn with(self, group: u8) -> Self {
        assert!((group as usize) < GROUPS_MAX);
        Self(self.0 | 1 << group)
    }

    /// The groups of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if the sets share a group.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// True if no group is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for RowName {
    /// As in a file: the merchant, with a star behind a prefix; for a till what names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |f: &mut fmt::Formatter<'_>, bytes: &[u8]| {
            let end = bytes.iter().rposition(|byte| !matches!(byte, 0 | b' '));
            let shown = bytes.get(..end.map_or(0, |end| end + 1)).unwrap_or(bytes);
            shown.iter().try_for_each(|byte| write!(f, "{}", char::from(*byte)))
        };
        match self.0 {
            Named::Prefix(low, end) => {
                let free = (end - low).trailing_zeros() as usize / 8;
                let key = low.to_be_bytes();
                text(f, key.get(1..16 - free.min(15)).unwrap_or(&[]))?;
                f.write_str("*")
            }
            Named::Merchant(id, till) => {
                text(f, &id.bytes())?;
                if till.acquirer != 0 {
                    write!(f, " acquirer {}", till.acquirer)?;
                }
                if till.terminal != [0; 8] {
                    f.write_str(" terminal ")?;
                    text(f, &till.terminal)?;
                }
                Ok(())
            }
        }
    }
}

/// The tills that a request may be of, most specific first.
fn tills(facts: &Authorization) -> [Till; 3] {
    let (acquirer, terminal) = (facts.acquirer, facts.terminal);
    [
        Till { acquirer, terminal },
        Till { acquirer: 0, terminal },
        Till { acquirer, terminal: [0; 8] },
    ]
}

fn exact_id(id: &[u8]) -> Result<Id, RowError> {
    if id.is_empty() || id.ends_with(b" ") {
        return Err(RowError::Text);
    }
    Id::new(&padded(id, b' ')?).ok_or(RowError::Text)
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

/// Groups of merchants: the bits of [`Groups`].
pub const GROUPS_MAX: usize = 32;

/// Different things that the rows of one table can say.
pub const KINDS_MAX: usize = 1 << 20;

/// Marks a number: there are rows for tills of this merchant.
const REFINED: u32 = 1 << 22;

/// The number of a merchant of whom only tills are known.
const NOBODY: u32 = REFINED - 1;

const _: () = assert!(NETWORKS_MAX == u64::BITS as usize);
const _: () = assert!(GROUPS_MAX == u32::BITS as usize);
const _: () = assert!(KINDS_MAX < NOBODY as usize && REFINED + NOBODY <= NUMBER_MAX);
