//! The thread that fills the index from the journal, behind it and off the path.
//!
//! It reads what was stored since its last look, adds the keys of that, has the files of the index
//! tended for as long as that takes little, and lets its [`Clerk`] look things up. It is one thread
//! for all of it, so an answer knows how much the index holds.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use super::files::Files;
use super::follow::Follow;
use super::index::{Index, IndexError, IndexKey};
use super::key::Key;
use super::recover::{Place, Recovered};
use super::segment;

/// What the thread that fills the index does besides, at its own pace.
pub trait Clerk: Send {
    /// Finds the keys of a batch.
    fn keys(&mut self, batch: &Recovered<'_>, keys: &mut Vec<IndexKey>);

    /// The journal is about to be read from where the index ends.
    fn round_begins(&mut self) {}

    /// It was read; `is_complete` if the index has all that was durable when the round began.
    fn round_ends(&mut self, _index: &mut Index, _is_complete: bool) {}
}

/// The thread that fills the index. Dropped, it stops without waiting.
#[derive(Debug)]
pub struct Feed {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Fills the index at `path` from where it stands, and goes on as the journal in `files` grows.
    /// Ends by itself, and empties the index, if either cannot be read.
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
                let Some(mut index) = open(&path, &stops) else { return };
                if feed(&mut index, &files, key, &mut *clerk, &stops).is_err() {
                    drop(index.clear());
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

/// Opens the index when nobody else has it: one that was dropped may be about to end.
fn open(path: &Path, stop: &AtomicBool) -> Option<Index> {
    loop {
        match Index::open(path) {
            Err(error) if error.is_locked() && !stop.load(Ordering::Acquire) => {
                std::thread::park_timeout(PAUSE);
            }
            opened => return opened.ok(),
        }
    }
}

/// Why the index is not filled any further.
struct Behind;

fn feed(
    index: &mut Index,
    files: &Arc<dyn Files>,
    key: Key,
    clerk: &mut dyn Clerk,
    stop: &AtomicBool,
) -> Result<(), Behind> {
    let numbers = segment::numbers(&**files)?;
    let (oldest, newest) = (first_of(&numbers), numbers.last().copied().unwrap_or(1));
    if index.covered().segment > newest || !index.reaches_back_to(oldest) {
        // It belongs to another journal, or a part of it was lost.
        index.clear()?;
    }
    // What it read last may have been torn before it was durable: it reads that segment again.
    let from = Place { offset: 0, ..index.covered() };
    index.read_again(from.segment);
    let mut follow = Follow::new(Arc::clone(files), key, from);
    let (mut entries, mut found) = (Vec::new(), Vec::new());
    // Rounds since it was last made durable, until it has caught up.
    let mut catching_up = Some(0);
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
        let added = entries.len();
        if added > 0 {
            index.forget_before(first_of(&segment::numbers(&**files)?))?;
            index.add(&entries, follow.place())?;
            entries.clear();
        }
        // Were that lost, a switch that is killed every few seconds would never be done with it.
        catching_up = match catching_up {
            Some(rounds) if is_behind && rounds < ROUNDS_MAX => Some(rounds + 1),
            Some(_) => {
                index.keep()?;
                is_behind.then_some(0)
            }
            None => None,
        };
        index.tend(2 * added + TEND_ROWS)?;
        clerk.round_ends(index, !is_behind);
        if index.is_damaged() {
            return Err(Behind);
        }
        if stops && added == 0 && !is_behind {
            return Ok(index.keep()?);
        }
        if !is_behind && !stops {
            std::thread::park_timeout(PAUSE);
        }
    }
}

/// The oldest of the segments that there are.
fn first_of(numbers: &[u64]) -> u64 {
    numbers.first().copied().unwrap_or(1)
}

/// Rows that are added at once.
const ADD_ROWS: usize = 4096;

/// Rows that are moved into longer files in a round, besides two for each that is added.
const TEND_ROWS: usize = 4 * ADD_ROWS;

/// Rounds after which it is made durable while it catches up: a fraction of a second.
const ROUNDS_MAX: u32 = 16;

/// How far behind all others its thread stands: as far as possible.
const NICE: i32 = 19;

/// Between two looks at a journal that does not grow.
const PAUSE: Duration = Duration::from_millis(50);

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
