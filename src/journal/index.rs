//! Where older transactions stand in the journal: keys to places, on the disk.
//!
//! Derived data. It is filled from the journal, behind it and off the path, by a thread of its
//! own; what it says may be late by a moment, and a place may be gone because its segment is. It
//! is never synced for the sake of a transaction. If it is damaged it is deleted, and filled again
//! from the oldest segment on. It belongs into the folder of its journal, so that neither is moved
//! without the other. What a key is, the caller knows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;
use std::{fmt, fs, io};

use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
};

use super::files::Files;
use super::follow::Follow;
use super::key::Key;
use super::recover::{Place, Recovered};
use super::segment;

/// What is looked up: a keyed hash, so that it says nothing and cannot be chosen.
pub type IndexKey = [u8; 16];

/// The index. Many may look up at once.
#[derive(Debug)]
pub struct Index {
    database: Database,
}

/// The index cannot be read or written. Nothing is lost: the next start fills it again.
#[derive(Debug)]
pub struct IndexError(Box<redb::Error>);

/// A key, and the segment and offset where its block starts, big-endian: so equal keys stand side
/// by side, oldest first.
type Row = [u8; 32];

const ROWS: TableDefinition<'_, &Row, ()> = TableDefinition::new("places by key");

/// One row: up to where the journal has been read.
const COVERED: TableDefinition<'_, (), (u64, u64)> = TableDefinition::new("covered");

impl Index {
    /// Opens the index at `path`, or begins an empty one if there is none or it is damaged.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let database = match Self::checked(path) {
            Ok(database) => database,
            Err(_) => {
                drop(fs::remove_file(path));
                Self::checked(path)?
            }
        };
        Ok(Self { database })
    }

    fn checked(path: &Path) -> Result<Database, IndexError> {
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
        let transaction = database.begin_read()?;
        if transaction.open_table(ROWS).is_ok() && transaction.open_table(COVERED).is_ok() {
            return Ok(database);
        }
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        transaction.open_table(ROWS)?;
        transaction.open_table(COVERED)?;
        transaction.commit()?;
        Ok(database)
    }

    /// The places of a key, oldest first. Reads the disk if they are not in memory.
    pub fn find(&self, key: &IndexKey) -> Result<Vec<Place>, IndexError> {
        let found = self.find_between(key, key)?;
        Ok(found.into_iter().map(|(_, place)| place).collect())
    }

    /// The places of all keys from the first to the last, in the order of the keys.
    pub fn find_between(
        &self,
        first: &IndexKey,
        last: &IndexKey,
    ) -> Result<Vec<(IndexKey, Place)>, IndexError> {
        let transaction = self.database.begin_read()?;
        let rows = transaction.open_table(ROWS)?;
        let (first, last) = (row(first, 0, 0), row(last, u64::MAX, u64::MAX));
        let mut found = Vec::new();
        for entry in rows.range::<&Row>(&first..=&last)? {
            let (row, _) = entry?;
            let row = row.value();
            let mut key = [0; 16];
            key.copy_from_slice(&row[..16]);
            found.push((key, place_of(row)));
        }
        Ok(found)
    }

    /// How many keys lead somewhere.
    pub fn count(&self) -> Result<u64, IndexError> {
        Ok(self.database.begin_read()?.open_table(ROWS)?.len()?)
    }

    /// Up to where the journal is in the index.
    pub fn covered(&self) -> Result<Place, IndexError> {
        let transaction = self.database.begin_read()?;
        let covered = transaction.open_table(COVERED)?.get(())?.map(|entry| entry.value());
        let (segment, offset) = covered.unwrap_or((1, 0));
        Ok(Place { segment, offset })
    }

    /// Adds keys that were found up to `covered`. Survives a crash only if `is_durable`, together
    /// with everything added before.
    pub fn add(
        &self,
        entries: &[(IndexKey, Place)],
        covered: Place,
        is_durable: bool,
    ) -> Result<(), IndexError> {
        let mut transaction = self.database.begin_write()?;
        if is_durable {
            // So that it is not searched as a whole when it was not closed.
            transaction.set_quick_repair(true);
        } else {
            transaction.set_durability(Durability::None)?;
        }
        {
            let mut rows = transaction.open_table(ROWS)?;
            for (key, place) in entries {
                rows.insert(&row(key, place.segment, place.offset), ())?;
            }
            transaction.open_table(COVERED)?.insert((), (covered.segment, covered.offset))?;
        }
        Ok(transaction.commit()?)
    }

    /// Forgets places in segments before `oldest`, among the few rows behind `cursor`, which moves
    /// on, and at the end to the front again.
    fn sweep(&self, oldest: u64, cursor: &mut Row) -> Result<(), IndexError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::None)?;
        {
            let mut rows = transaction.open_table(ROWS)?;
            let (mut gone, mut seen) = (Vec::new(), 0);
            let from = *cursor;
            *cursor = [0; 32];
            for entry in rows.range::<&Row>(&from..)? {
                let row = *entry?.0.value();
                if seen == SWEEP_ROWS {
                    *cursor = row;
                    break;
                }
                seen += 1;
                if place_of(&row).segment < oldest {
                    gone.push(row);
                }
            }
            for row in &gone {
                rows.remove(row)?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Empties it: it belongs to another journal.
    fn clear(&self) -> Result<(), IndexError> {
        let transaction = self.database.begin_write()?;
        transaction.delete_table(ROWS)?;
        transaction.delete_table(COVERED)?;
        transaction.open_table(ROWS)?;
        transaction.open_table(COVERED)?;
        Ok(transaction.commit()?)
    }
}

/// What the thread that fills the index does besides, at its own pace.
pub trait Clerk: Send {
    /// Finds the keys of a batch.
    fn keys(&mut self, batch: &Recovered<'_>, keys: &mut Vec<IndexKey>);

    /// The journal is about to be read from where the index ends.
    fn round_begins(&mut self) {}

    /// It was read; `is_complete` if the index has all that was durable when the round began.
    fn round_ends(&mut self, _index: &Index, _is_complete: bool) {}
}

/// The thread that fills the index. Dropped, it stops without waiting.
#[derive(Debug)]
pub struct Feed {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Fills the index at `path` from where it stands, and goes on as the journal in `files` grows.
    /// Ends by itself, and deletes the index, if either cannot be read.
    pub fn start(
        path: PathBuf,
        files: Arc<dyn Files>,
        key: Key,
        mut clerk: Box<dyn Clerk>,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stops = Arc::clone(&stop);
        let thread =
            std::thread::Builder::new().name("journal-index".to_owned()).spawn(move || {
                yield_to_others();
                let fed = Index::open(&path)
                    .map_err(Behind::from)
                    .and_then(|index| feed(&index, &files, key, &mut *clerk, &stops));
                if fed.is_err() {
                    drop(fs::remove_file(&path));
                }
            })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Its thread: unparked, it begins the next round at once.
    pub fn thread(&self) -> Option<&Thread> {
        self.thread.as_ref().map(JoinHandle::thread)
    }

    /// True if it has ended by itself.
    pub fn has_failed(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Reads what has been stored so far, and ends.
    pub fn stop(mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by then.
            drop(thread.join());
        }
    }

    fn end(&self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread() {
            thread.unpark();
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whoever handles transactions goes first.
fn yield_to_others() {
    // Where it may not say so, it is as good as all others.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
}

/// Why the index is not filled any further.
struct Behind;

fn feed(
    index: &Index,
    files: &Arc<dyn Files>,
    key: Key,
    clerk: &mut dyn Clerk,
    stop: &AtomicBool,
) -> Result<(), Behind> {
    let newest = segment::numbers(&**files)?.last().copied().unwrap_or(1);
    if index.covered()?.segment > newest {
        index.clear()?;
    }
    // What it read last may have been torn before it was durable: it reads that segment again.
    let from = Place { offset: 0, ..index.covered()? };
    let mut follow = Follow::new(Arc::clone(files), key, from);
    let (mut entries, mut found, mut cursor) = (Vec::new(), Vec::new(), [0; 32]);
    // Rounds since it was last made durable, if it has grown.
    let (mut rounds, mut is_dirty) = (0, false);
    let mut has_caught_up = false;
    loop {
        let stops = stop.load(Ordering::Acquire);
        clerk.round_begins();
        let mut is_behind = true;
        while is_behind && entries.len() < ADD_ROWS {
            is_behind = follow.next(&mut |batch| {
                clerk.keys(&batch, &mut found);
                entries.extend(found.drain(..).map(|key| (key, batch.place)));
            })?;
        }
        let (is_new, is_idle) = (!entries.is_empty(), entries.is_empty() && !is_behind);
        rounds += u32::from(is_dirty);
        // Syncing holds the journal up: now and then, and at the end. Sooner while it catches up:
        // were that lost, a switch that is killed every few seconds would never be done with it.
        let rounds_max = match (has_caught_up, is_behind) {
            (true, _) => ROUNDS_MAX,
            (false, true) => ROUNDS_BEHIND_MAX,
            (false, false) => 0,
        };
        let is_durable = rounds > rounds_max || stops && is_idle;
        if is_new || is_durable && is_dirty {
            index.add(&entries, follow.place(), is_durable)?;
            is_dirty = !is_durable;
            rounds = if is_durable { 0 } else { rounds };
            entries.clear();
        }
        has_caught_up |= !is_behind && !is_dirty;
        let oldest = segment::numbers(&**files)?.first().copied().unwrap_or(1);
        if oldest > 1 && is_new {
            index.sweep(oldest, &mut cursor)?;
        }
        clerk.round_ends(index, !is_behind);
        if stops && is_idle && !is_dirty {
            return Ok(());
        }
        if !is_behind && !stops {
            std::thread::park_timeout(PAUSE);
        }
    }
}

fn row(key: &IndexKey, segment: u64, offset: u64) -> Row {
    let mut row = [0; 32];
    row[..16].copy_from_slice(key);
    row[16..24].copy_from_slice(&segment.to_be_bytes());
    row[24..].copy_from_slice(&offset.to_be_bytes());
    row
}

fn place_of(row: &Row) -> Place {
    let number = |at: usize| {
        row[at..at + 8].iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
    };
    Place { segment: number(16), offset: number(24) }
}

/// Memory for what was read of it lately.
const CACHE_BYTES: usize = 64 << 20;

/// Rows that are added at once.
const ADD_ROWS: usize = 4096;

/// Rows that are looked at once, for being out of date: as many as are added, so that it ends.
const SWEEP_ROWS: usize = 2 * ADD_ROWS;

/// Rounds after which it is made durable: some seconds. What was added since is added again after a
/// crash.
const ROUNDS_MAX: u32 = 100;

/// The same while it catches up: a fraction of a second.
const ROUNDS_BEHIND_MAX: u32 = 16;

/// How far behind all others its thread stands: as far as possible.
const NICE: i32 = 19;

/// Between two looks at a journal that does not grow.
const PAUSE: Duration = Duration::from_millis(50);

impl<E: Into<redb::Error>> From<E> for IndexError {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the index of the journal: {}", self.0)
    }
}

impl std::error::Error for IndexError {}

impl From<IndexError> for Behind {
    fn from(_: IndexError) -> Self {
        Self
    }
}

impl From<super::Halt> for Behind {
    fn from(_: super::Halt) -> Self {
        Self
    }
}
