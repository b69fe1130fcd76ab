//! A run: a file of rows in order, written once, in one pass, and never changed.
//!
//! Its pages are a tree, each behind those it names ([`super::page`]), so that writing needs one
//! page a level in memory; the last of them is the root. The page behind that says what the run is.
//! A run gets its name when all of it is durable. So a file with such a name is whole, or was
//! damaged later, and the check of a page tells.
//!
//! ```text
//! 0   crc32c of all that follows   u32
//! 4   "runs"
//! 8   version                      u64
//! 16  pages before this one        u64
//! 24  rows                         u64
//! 32  first and last number        u64, u64
//! 48  read from: segment, offset   u64, u64
//! 64  covered: segment, offset     u64, u64
//! ```

use std::io;
use std::sync::Arc;

use super::page::{self, PAGE_BYTES, PAGE_ROWS, Page, is_sealed, u64_at};
use super::row::Row;
use super::{IndexError, Place};
use crate::journal::files::{File, Files};

/// What a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Runs are numbered in the order of the journal; one that was merged bears the numbers of all
    /// that went into it.
    pub(super) first: u64,
    pub(super) last: u64,
    /// It has the keys of the journal from here ...
    pub(super) from: Place,
    /// ... to here.
    pub(super) covered: Place,
}

impl Extent {
    /// The name of its file.
    pub(super) fn name(&self) -> String {
        name(self.first, self.last)
    }
}

/// The name of the run with these numbers.
pub(super) fn name(first: u64, last: u64) -> String {
    format!("{first:012}-{last:012}{SUFFIX}")
}

/// First and last number of the run in a file, by its name.
pub(super) fn numbers_of(file: &str) -> Option<(u64, u64)> {
    let (first, last) = file.strip_suffix(SUFFIX)?.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && name(first, last) == file).then_some((first, last))
}

/// A run that can be searched.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) extent: Extent,
    pub(super) rows: u64,
    pages: u64,
    file: Box<dyn File>,
    /// The last page.
    root: Box<[u8; PAGE_BYTES]>,
}

impl Run {
    /// Opens the run in the file of this name.
    pub(super) fn open(files: &dyn Files, name: &str) -> Result<Self, IndexError> {
        let damaged = || IndexError::Damaged(files.place(name));
        let file = files.open(name)?;
        let (mut end, mut root) = ([0; PAGE_BYTES], Box::new([0; PAGE_BYTES]));
        let length = file.length()?;
        let pages = (length / PAGE_BYTES as u64).checked_sub(1).ok_or_else(damaged)?;
        read_page(&*file, pages, &mut end)?;
        if !is_sealed(&end) || end[4..8] != *MAGIC || u64_at(&end, 8) != VERSION {
            return Err(damaged());
        }
        let place = |at| Place { segment: u64_at(&end, at), offset: u64_at(&end, at + 8) };
        let extent = Extent {
            first: u64_at(&end, 32),
            last: u64_at(&end, 40),
            from: place(48),
            covered: place(64),
        };
        let is_whole = u64_at(&end, 16) == pages && length == (pages + 1) * PAGE_BYTES as u64;
        let last = pages.checked_sub(1).filter(|_| is_whole && extent.name() == name);
        let last = last.ok_or_else(damaged)?;
        read_page(&*file, last, &mut root)?;
        Page::read(&*root, last).ok_or_else(damaged)?;
        Ok(Self { extent, rows: u64_at(&end, 24), pages, file, root })
    }

    /// Bytes on the disk.
    pub(super) const fn bytes(&self) -> u64 {
        (self.pages + 1) * PAGE_BYTES as u64
    }

    /// Adds the rows with keys from `first` to `last` to `found`; `None` if it is damaged.
    pub(super) fn find(
        &self,
        first: (u64, u64),
        last: (u64, u64),
        found: &mut Vec<Row>,
    ) -> io::Result<Option<()>> {
        let mut bytes = *self.root;
        let mut number = self.pages - 1;
        // Down to the first page that may have the key.
        loop {
            let Some(page) = Page::read(&bytes, number) else { return Ok(None) };
            if page.level == 0 {
                break;
            }
            let below = page.row(page.before(first).saturating_sub(1)).place;
            if below >= number {
                return Ok(None);
            }
            number = below;
            read_page(&*self.file, number, &mut bytes)?;
        }
        // And on from there: what stands between two pages of a level is one of those above.
        loop {
            let Some(page) = Page::read(&bytes, number) else { return Ok(None) };
            let from = if page.level == 0 { page.before(first) } else { page.len() };
            for at in from..page.len() {
                let row = page.row(at);
                if row.key > last {
                    return Ok(Some(()));
                }
                found.push(row);
            }
            number += 1;
            if number == self.pages {
                return Ok(Some(()));
            }
            read_page(&*self.file, number, &mut bytes)?;
        }
    }
}

/// Reads the page `number`; what is not there is zero, which no page is.
fn read_page(file: &dyn File, number: u64, bytes: &mut [u8; PAGE_BYTES]) -> io::Result<()> {
    let count = file.read_at(number * PAGE_BYTES as u64, bytes)?;
    bytes[count..].fill(0);
    Ok(())
}

/// Reads all rows of a run, in order.
#[derive(Debug)]
pub(super) struct Scan {
    run: Arc<Run>,
    /// Some pages, from `number` on.
    bytes: Vec<u8>,
    number: u64,
    /// Where the next row is in the page at the front.
    at: usize,
    page: Vec<Row>,
}

impl Scan {
    pub(super) const fn new(run: Arc<Run>) -> Self {
        Self { run, bytes: Vec::new(), number: 0, at: 0, page: Vec::new() }
    }

    /// The next row; none at the end.
    pub(super) fn next(&mut self, files: &dyn Files) -> Result<Option<Row>, IndexError> {
        loop {
            if let Some(row) = self.page.get(self.at) {
                self.at += 1;
                return Ok(Some(*row));
            }
            if self.number == self.run.pages {
                return Ok(None);
            }
            self.turn(files)?;
        }
    }

    /// Turns to the next page.
    fn turn(&mut self, files: &dyn Files) -> Result<(), IndexError> {
        let in_bytes = (self.number % AHEAD_PAGES) as usize * PAGE_BYTES;
        if in_bytes == 0 {
            let pages = AHEAD_PAGES.min(self.run.pages - self.number) as usize;
            self.bytes.resize(pages * PAGE_BYTES, 0);
            let count = self.run.file.read_at(self.number * PAGE_BYTES as u64, &mut self.bytes)?;
            self.bytes[count..].fill(0);
        }
        let bytes = &self.bytes[in_bytes..in_bytes + PAGE_BYTES];
        let page = Page::read(bytes, self.number)
            .ok_or_else(|| IndexError::Damaged(files.place(&self.run.extent.name())))?;
        (self.number, self.at) = (self.number + 1, 0);
        self.page.clear();
        if page.level == 0 {
            self.page.extend((0..page.len()).map(|at| page.row(at)));
        }
        Ok(())
    }
}

/// Writes a run, row by row.
#[derive(Debug)]
pub(super) struct Draft {
    name: String,
    file: Box<dyn File>,
    rows: u64,
    /// The page that is being filled, of each level.
    levels: Vec<Vec<Row>>,
    /// Full pages that are not in the file yet.
    bytes: Vec<u8>,
    /// The number of the next page.
    pages: u64,
    /// Bytes in the file.
    written: u64,
    synced: u64,
}

impl Draft {
    /// Begins a file that `name` tells from the others under way.
    pub(super) fn new(files: &dyn Files, name: String) -> io::Result<Self> {
        let name = format!("{name}{FRESH}");
        let file = files.create(&name)?;
        let (levels, bytes) = (vec![Vec::new()], Vec::new());
        Ok(Self { name, file, rows: 0, levels, bytes, pages: 0, written: 0, synced: 0 })
    }

    /// Adds a row, greater than all before.
    pub(super) fn push(&mut self, row: Row) -> io::Result<()> {
        self.rows += 1;
        self.levels[0].push(row);
        if self.levels[0].len() == PAGE_ROWS { self.close(0) } else { Ok(()) }
    }

    /// Makes it durable and gives it its name.
    pub(super) fn finish(mut self, files: &dyn Files, extent: Extent) -> Result<Run, IndexError> {
        let mut level = 0;
        // An empty run has one page, so that there is a root.
        while level + 1 < self.levels.len() || self.levels[level].len() != 1 || level == 0 {
            if !self.levels[level].is_empty() || self.rows == 0 {
                self.close(level)?;
            }
            level += 1;
        }
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        self.bytes.extend(MAGIC);
        let Extent { first, last, from, covered } = extent;
        let places = [from.segment, from.offset, covered.segment, covered.offset];
        for number in [VERSION, self.pages, self.rows, first, last].into_iter().chain(places) {
            self.bytes.extend(number.to_le_bytes());
        }
        self.bytes.resize(start + PAGE_BYTES, 0);
        page::seal(&mut self.bytes[start..]);
        self.write()?;
        self.file.sync()?;
        files.rename(&self.name, &extent.name())?;
        files.sync_names()?;
        Run::open(files, &extent.name())
    }

    /// Ends the page under way on a level, and names it on the one above.
    fn close(&mut self, level: usize) -> io::Result<()> {
        let first = self.levels[level].first().copied().unwrap_or_default();
        page::write(level as u8, self.pages, &self.levels[level], &mut self.bytes);
        self.levels[level].clear();
        if self.levels.len() == level + 1 {
            self.levels.push(Vec::with_capacity(PAGE_ROWS));
        }
        self.levels[level + 1].push(Row { place: self.pages, ..first });
        self.pages += 1;
        if self.bytes.len() >= WRITE_BYTES {
            self.write()?;
        }
        if self.levels[level + 1].len() == PAGE_ROWS { self.close(level + 1) } else { Ok(()) }
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.write_all_at(self.written, &self.bytes)?;
        self.written += self.bytes.len() as u64;
        self.bytes.clear();
        // In pieces: a block of the journal that is synced meanwhile waits for one of them.
        if self.written - self.synced >= SYNC_BYTES {
            self.file.sync()?;
            self.synced = self.written;
        }
        Ok(())
    }
}

/// The end of the name of a run.
const SUFFIX: &str = ".run";

/// The end of the name of what is not a run yet.
pub(super) const FRESH: &str = ".new";

const MAGIC: &[u8; 4] = b"runs";
const VERSION: u64 = 1;

/// Pages that are read at once where all are read.
const AHEAD_PAGES: u64 = 16;

/// Bytes that are written at once.
const WRITE_BYTES: usize = 256 << 10;

/// Bytes that may wait for being synced.
const SYNC_BYTES: u64 = 8 << 20;
