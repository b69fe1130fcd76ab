//! Where older transactions stand in the journal: keys to places, on the disk.
//!
//! Derived data. It is filled from the journal, behind it and off the path ([`super::feed`]); what
//! it says may be late by a moment, and a place may be gone because its segment is. It is never
//! synced for the sake of a transaction. If it is damaged it is deleted, and filled again from the
//! oldest segment on. It belongs into the folder of its journal, so that neither is moved without
//! the other. What a key is, the caller knows.
//!
//! Keys come in the order of time and are scattered in their own, many are added, and few are ever
//! looked up. So nothing is put in place on the disk: rows gather in memory ([`recent`]), some
//! 262,000 of them become a file in order that is never changed ([`run`]), and eight of these that
//! follow each other become one, a few rows at a time ([`merge`]), until they are so long that they
//! are rather left alone. A look-up asks memory and each file. A file goes as a whole when all it
//! covers is gone from the journal.
//!
//! What is in memory only is lost with the process. [`Index::covered`] is what the files cover
//! after a restart, so the journal is read again from there; rows that are then in two files are
//! found once.

mod merge;
mod page;
mod recent;
mod row;
mod run;

use std::any::Any;
use std::path::Path;
use std::sync::Arc;
use std::{fmt, fs, io};

use super::files::{Files, Folder};
use super::recover::Place;
use merge::Merge;
use recent::Recent;
use row::Row;
use run::{Draft, Extent, Run};

/// What is looked up: a keyed hash, so that it says nothing and cannot be chosen.
pub type IndexKey = [u8; 16];

/// The index. Many may look up at once.
#[derive(Debug)]
pub struct Index {
    files: Arc<dyn Files>,
    /// Rows that become a run.
    run_rows: usize,
    recent: Recent,
    covered: Place,
    /// Each begins where the one before ends.
    runs: Vec<Arc<Run>>,
    /// At most one of a tier.
    merges: [Option<Merge>; TIERS],
    /// The number of the oldest whose rows are about to be added again.
    again: Option<u64>,
    /// The oldest segment that matters.
    oldest: u64,
    is_damaged: bool,
    _lock: Box<dyn Any + Send + Sync>,
}

/// The index cannot be read or written. Nothing is lost: the next start fills it again.
#[derive(Debug)]
pub enum IndexError {
    /// The system said so.
    Io(io::Error),
    /// This file is not as it was written.
    Damaged(String),
    /// No journal has such a place.
    Place(Place),
}

impl Index {
    /// Opens the index in the folder `path`, or begins an empty one if there is none or it is
    /// damaged, or a file of this name: that was made by an earlier version.
    ///
    /// # Errors
    ///
    /// Also if it is open elsewhere: [`IndexError::is_locked`].
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        if path.is_file() {
            fs::remove_file(path)?;
        }
        Self::open_in(Arc::new(Folder::at(path)?.direct()), RUN_ROWS)
    }

    pub(super) fn open_in(files: Arc<dyn Files>, run_rows: usize) -> Result<Self, IndexError> {
        let lock = files.lock()?;
        let runs = match load(&*files) {
            Ok(runs) => runs,
            Err(_) => {
                remove_all(&*files)?;
                Vec::new()
            }
        };
        let mut index = Self {
            files,
            run_rows,
            recent: Recent::default(),
            covered: START,
            runs,
            merges: [const { None }; TIERS],
            again: None,
            oldest: 0,
            is_damaged: false,
            _lock: lock,
        };
        index.covered = index.kept();
        Ok(index)
    }

    /// The places of a key, oldest first. Reads the disk if they are not in memory.
    ///
    /// # Errors
    ///
    /// If a file is damaged or cannot be read.
    pub fn find(&mut self, key: &IndexKey) -> Result<Vec<Place>, IndexError> {
        let found = self.find_between(key, key)?;
        Ok(found.into_iter().map(|(_, place)| place).collect())
    }

    /// The places of all keys from the first to the last, in the order of the keys.
    ///
    /// # Errors
    ///
    /// If a file is damaged or cannot be read.
    pub fn find_between(
        &mut self,
        first: &IndexKey,
        last: &IndexKey,
    ) -> Result<Vec<(IndexKey, Place)>, IndexError> {
        let (first, last) = (row::halves(first), row::halves(last));
        let mut rows = Vec::new();
        for run in &self.runs {
            let found = run.find(first, last, &mut rows);
            self.is_damaged |= !matches!(found, Ok(Some(())));
            if found?.is_none() {
                return Err(IndexError::Damaged(self.files.place(&run.extent.name())));
            }
        }
        self.recent.find(first, last, &mut rows);
        rows.sort_unstable();
        rows.dedup();
        Ok(rows.iter().map(|row| (row.index_key(), row.journal_place())).collect())
    }

    /// How many rows there are. What was read from the journal twice may be counted twice.
    pub fn count(&self) -> u64 {
        self.runs.iter().map(|run| run.rows).sum::<u64>() + self.recent.len() as u64
    }

    /// Bytes on the disk, without what is under way.
    pub fn bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.bytes()).sum()
    }

    /// Up to where the journal is in the index.
    pub const fn covered(&self) -> Place {
        self.covered
    }

    /// Adds keys that were found up to `covered`. They are found from now on, and survive a crash
    /// once enough of them came together, or [`Index::keep`] was called.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written, or a place cannot be.
    pub fn add(&mut self, entries: &[(IndexKey, Place)], covered: Place) -> Result<(), IndexError> {
        for (key, place) in entries {
            self.recent.push(Row::new(key, *place)?);
        }
        self.covered = covered;
        if self.recent.len() < self.run_rows { Ok(()) } else { self.keep() }
    }

    /// Makes durable what is in memory.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written.
    pub fn keep(&mut self) -> Result<(), IndexError> {
        if self.recent.is_empty() {
            return Ok(());
        }
        let last = self.runs.last().map_or(1, |run| run.extent.last + 1);
        let again = self.again.take();
        let again = self.runs.iter().find(|run| Some(run.extent.first) == again);
        let (first, from) = match again {
            Some(run) => (run.extent.first, run.extent.from),
            None => (last, self.kept()),
        };
        let extent = Extent { first, last, from, covered: self.covered };
        let mut draft = Draft::new(&*self.files, extent.name())?;
        let mut before = None;
        for row in self.recent.in_order() {
            if row.segment() >= self.oldest && before != Some(*row) {
                before = Some(*row);
                draft.push(*row)?;
            }
        }
        let run = draft.finish(&*self.files, extent)?;
        self.recent.clear();
        self.replace(run)
    }

    /// Forgets what leads only to segments before `oldest`: at once if it is a whole file, else
    /// when its file becomes part of another.
    ///
    /// # Errors
    ///
    /// If a file cannot be removed.
    pub fn forget_before(&mut self, oldest: u64) -> Result<(), IndexError> {
        self.oldest = self.oldest.max(oldest);
        while let Some(run) = self.runs.first()
            && run.extent.covered.segment < self.oldest
            && !self.is_busy(run)
        {
            self.files.remove(&run.extent.name())?;
            self.runs.remove(0);
        }
        Ok(())
    }

    /// Says that everything from the front of `segment` on will be added again. What of it has
    /// files of its own is found until then, and gives way to the next file.
    pub(super) fn read_again(&mut self, segment: u64) {
        let mut again = self.runs.iter().filter(|run| run.extent.from.segment >= segment);
        self.again = again.next().map(|run| run.extent.first);
    }

    /// Moves up to `rows` rows of each tier into longer files. Twice as many as are added keep the
    /// files few.
    ///
    /// # Errors
    ///
    /// If the disk cannot be read or written, or a file is damaged.
    pub fn tend(&mut self, rows: usize) -> Result<(), IndexError> {
        for tier in 0..TIERS {
            if self.merges[tier].is_none()
                && let Some(from) = self.crowd(tier)
            {
                let runs = &self.runs[from..from + CROWD];
                self.merges[tier] = Merge::new(&*self.files, runs)?;
            }
            let Some(mut merge) = self.merges[tier].take() else { continue };
            if merge.step(&*self.files, rows, self.oldest)? {
                self.replace(merge.finish(&*self.files)?)?;
            } else {
                self.merges[tier] = Some(merge);
            }
        }
        Ok(())
    }

    /// Puts a run into the place of those that it has the rows of, if there are any.
    fn replace(&mut self, run: Run) -> Result<(), IndexError> {
        let numbers = run.extent.first..=run.extent.last;
        let is_part = |part: &Arc<Run>| numbers.contains(&part.extent.first);
        let from = self.runs.iter().position(is_part).unwrap_or(self.runs.len());
        let count = self.runs.iter().filter(|part| is_part(part)).count();
        let parts: Vec<_> = self.runs.splice(from..from + count, [Arc::new(run)]).collect();
        for part in parts {
            self.files.remove(&part.extent.name())?;
        }
        Ok(())
    }

    /// Where the oldest files of a tier start that are to become one.
    fn crowd(&self, tier: usize) -> Option<usize> {
        // A short one among longer ones counts as one of them: its neighbours are those.
        let (mut highest, mut count, mut found) = (0, 0, None);
        for (at, run) in self.runs.iter().enumerate().rev() {
            highest = highest.max(self.tier(run));
            count = if highest == tier && !self.is_busy(run) { count + 1 } else { 0 };
            if count >= CROWD {
                found = Some(at);
            }
        }
        found
    }

    /// 0 for what came out of memory at once; eight times as long, one more.
    fn tier(&self, run: &Run) -> usize {
        // Twice, because it comes out of memory a little later than when there is enough.
        let bound = |tier: &usize| 2 * self.run_rows as u64 * (CROWD as u64).pow(*tier as u32);
        (0..TIERS).find(|tier| run.rows <= bound(tier)).unwrap_or(TIERS)
    }

    /// True if something else is about to take its place.
    fn is_busy(&self, run: &Run) -> bool {
        let number = run.extent.first;
        let numbers = |merge: &Merge| merge.extent.first..=merge.extent.last;
        self.again.is_some_and(|first| first <= number)
            || self.merges.iter().flatten().any(|merge| numbers(merge).contains(&number))
    }

    /// Up to where the files cover the journal.
    fn kept(&self) -> Place {
        self.runs.last().map_or(START, |run| run.extent.covered)
    }

    /// True if it has what the journal has between its oldest segment and [`Index::covered`].
    pub(super) fn reaches_back_to(&self, oldest: u64) -> bool {
        let from = self.runs.first().map_or(START, |run| run.extent.from);
        from <= Place { segment: oldest, offset: 0 } || from == START
    }

    /// True if a look-up found that it is damaged or cannot be read.
    pub(super) const fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// Empties it.
    pub(super) fn clear(&mut self) -> Result<(), IndexError> {
        self.merges = [const { None }; TIERS];
        self.runs.clear();
        self.recent.clear();
        (self.covered, self.again) = (START, None);
        remove_all(&*self.files)
    }
}

/// The runs in a folder, oldest first; removes what did not become one, and what became part of
/// another.
fn load(files: &dyn Files) -> Result<Vec<Arc<Run>>, IndexError> {
    let names = files.list()?;
    for name in names.iter().filter(|name| name.ends_with(run::FRESH)) {
        files.remove(name)?;
    }
    let mut named: Vec<_> = names.iter().filter_map(|name| run::numbers_of(name)).collect();
    // Of those that start with one number the longest first: it is made of the others.
    named.sort_unstable_by_key(|(first, last)| (*first, std::cmp::Reverse(*last)));
    let (mut runs, mut parts): (Vec<Arc<Run>>, Vec<String>) = (Vec::new(), Vec::new());
    for (first, last) in named {
        let name = run::name(first, last);
        match runs.last().map(|run| run.extent) {
            Some(before) if last <= before.last => parts.push(name),
            before => {
                let run = Run::open(files, &name)?;
                let follows = before.is_none_or(|before| {
                    first == before.last + 1 && run.extent.from == before.covered
                });
                if !follows {
                    return Err(IndexError::Damaged(files.place(&name)));
                }
                runs.push(Arc::new(run));
            }
        }
    }
    for name in parts {
        files.remove(&name)?;
    }
    Ok(runs)
}

fn remove_all(files: &dyn Files) -> Result<(), IndexError> {
    let mut names = files.list()?;
    // The newest first: what is left, if not all can be removed, says that it ends early.
    names.sort_unstable_by(|one, other| other.cmp(one));
    for name in names {
        if name.ends_with(run::FRESH) || run::numbers_of(&name).is_some() {
            files.remove(&name)?;
        }
    }
    Ok(())
}

/// What an empty index covers.
const START: Place = Place { segment: 1, offset: 0 };

/// Rows that become a file: 6 MB of memory, and what is read from the journal again after a crash.
const RUN_ROWS: usize = 1 << 18;

/// Files that become one.
const CROWD: usize = 8;

/// How often a row is moved. The longest files have 134 million rows, 3.2 GB.
const TIERS: usize = 3;

impl IndexError {
    /// True if the index is open elsewhere.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the index of the journal: {error}"),
            Self::Damaged(file) => write!(f, "the index of the journal: {file} is damaged"),
            Self::Place(Place { segment, offset }) => {
                write!(f, "the index of the journal: no segment {segment} has {offset} bytes")
            }
        }
    }
}

impl std::error::Error for IndexError {}

impl From<io::Error> for IndexError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
