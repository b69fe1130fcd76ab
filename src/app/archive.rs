//! The index of a running switch: filled from the journal, asked by its workers.
//!
//! One thread does both, the one that fills the index, so an answer knows how much the index holds:
//! a question is answered when the journal has been read to its end once more after it was asked.
//! Whatever memory has forgotten is durable by then, so what is not found was never there. While
//! the index is being filled for the first time nobody can say that, and the question waits.
//!
//! The index is derived. If it is damaged, or its disk is full, it is begun anew after a while, the
//! operator reads so, and meanwhile who asks is not answered; nothing else depends on it.

use std::fs::{remove_dir_all, remove_file};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use crossbeam::queue::ArrayQueue;

use crate::base::limits;
use crate::base::time::Instant;
use crate::journal::{
    Clerk, Feed, Files, Folder, Index, IndexKey, Key, Place, Recovered, read_block,
};
use crate::net::{self, Clock};
use crate::switch::older::{self, Answer, Dated, Found, Older, Question, Sought};

/// The index of a journal, kept while the switch runs.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    journal: Arc<dyn Files>,
    key: Key,
    exchange: Arc<Exchange>,
    feed: Option<Feed>,
    clock: Clock,
    /// When it is begun anew, if it failed.
    again_at: Option<Instant>,
}

/// Where questions are left and answers taken.
#[derive(Debug)]
struct Exchange {
    windows: Box<[Window]>,
    /// The index has all that the journal had when it was looked at last.
    is_complete: AtomicBool,
}

/// The part of one worker.
struct Window {
    questions: ArrayQueue<Question>,
    answers: ArrayQueue<Answer>,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// The thread that answers: the newest, if it was begun anew.
    thread: ArrayQueue<Thread>,
}

impl Archive {
    /// Keeps the index of the `journal` in `folder` for so many workers.
    pub fn start(folder: &Path, journal: Arc<dyn Files>, key: Key, workers: u8) -> Self {
        let windows = std::iter::repeat_with(Window::default).take(usize::from(workers)).collect();
        let mut archive = Self {
            path: folder.join(INDEX_FILE),
            journal,
            key,
            exchange: Arc::new(Exchange { windows, is_complete: AtomicBool::new(false) }),
            feed: None,
            clock: Clock::start(),
            again_at: None,
        };
        archive.begin();
        archive
    }

    /// Where the workers ask, by worker.
    pub fn desks(&self) -> Vec<Desk> {
        let of = |worker| Desk { exchange: Arc::clone(&self.exchange), worker, thread: None };
        (0..self.exchange.windows.len()).map(of).collect()
    }

    /// Looks after the index now and then, and returns what is to be told the operator.
    pub fn look(&mut self) -> Option<String> {
        let now = self.clock.now().instant;
        match self.again_at {
            Some(at) if now >= at => {
                self.again_at = None;
                self.begin();
                None
            }
            None if self.feed.as_ref().is_none_or(Feed::has_failed) => {
                self.feed = None;
                self.exchange.is_complete.store(false, Ordering::Release);
                self.again_at = Some(now.after(PAUSE));
                Some(format!(
                    "index        {}: cannot be read or written: deleted, and filled again from \
                     the journal",
                    self.path.display()
                ))
            }
            _ => None,
        }
    }

    /// Has it read what was stored last. What takes longer is left to the next start.
    pub fn stop(self) {
        if self.exchange.is_complete.load(Ordering::Acquire) {
            self.feed.into_iter().for_each(Feed::stop);
        }
    }

    fn begin(&mut self) {
        let files = Arc::clone(&self.journal);
        let clerk = Answers {
            files: Arc::clone(&files),
            key: self.key.clone(),
            exchange: Arc::clone(&self.exchange),
            questions: Vec::new(),
        };
        self.feed = Feed::start(self.path.clone(), files, self.key.clone(), Box::new(clerk)).ok();
        let Some(thread) = self.feed.as_ref().and_then(Feed::thread) else { return };
        for window in &self.exchange.windows {
            window.thread.force_push(thread.clone());
        }
    }
}

/// Where one worker asks.
#[derive(Debug)]
pub struct Desk {
    exchange: Arc<Exchange>,
    worker: usize,
    thread: Option<Thread>,
}

impl net::Archive for Desk {
    fn ask(&mut self, question: Question) -> Result<(), Question> {
        let window = &self.exchange.windows[self.worker];
        window.questions.push(question)?;
        if let Some(thread) = window.thread.pop() {
            self.thread = Some(thread);
        }
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
        Ok(())
    }

    fn answer(&mut self) -> Option<Answer> {
        let answers = &self.exchange.windows[self.worker].answers;
        // Asking first is cheap; taking from an empty queue orders all memory.
        if answers.is_empty() { None } else { answers.pop() }
    }

    fn on_answer(&mut self, wake: Box<dyn Fn() + Send + Sync>) {
        let is_first = self.exchange.windows[self.worker].wake.set(wake).is_ok();
        debug_assert!(is_first, "a worker has one desk");
    }
}

/// Answers what was asked before the journal was read to its end.
struct Answers {
    files: Arc<dyn Files>,
    key: Key,
    exchange: Arc<Exchange>,
    /// Asked before the round under way began, and by which worker.
    questions: Vec<(usize, Question)>,
}

impl Clerk for Answers {
    fn keys(&mut self, batch: &Recovered<'_>, keys: &mut Vec<IndexKey>) {
        older::keys(batch.clear, batch.secret, &mut |key| keys.push(key));
    }

    fn round_begins(&mut self) {
        for (worker, window) in self.exchange.windows.iter().enumerate() {
            while self.questions.len() < limits::LOOK_UPS_MAX
                && let Some(question) = window.questions.pop()
            {
                self.questions.push((worker, question));
            }
        }
    }

    fn round_ends(&mut self, index: &mut Index, is_complete: bool) {
        self.exchange.is_complete.store(is_complete, Ordering::Release);
        if !is_complete {
            // Who has waited for too long by then is not there any more.
            return;
        }
        for (worker, Question { ticket, sought }) in self.questions.drain(..) {
            let found = search(index, &self.files, &self.key, &sought);
            let window = &self.exchange.windows[worker];
            // There is room: a worker waits for no more answers than that.
            drop(window.answers.push(Answer { ticket, found }));
            window.wake.get().into_iter().for_each(|wake| wake());
        }
    }
}

/// Finds a transaction by its terminal key, and what became of it.
pub fn search(index: &mut Index, files: &Arc<dyn Files>, key: &Key, sought: &Sought) -> Found {
    match (Library { index, files, key }).newest(sought) {
        Ok(Some(older)) => Found::Older(Box::new(older)),
        Ok(None) => Found::Nothing,
        Err(Unreadable) => Found::Unsaid,
    }
}

/// Makes the index of a journal anew while no switch runs. What came of it, for people.
///
/// # Errors
///
/// Why not, in one sentence.
pub fn rebuild(folder: &Path, key: Key) -> Result<String, String> {
    let path = folder.join(INDEX_FILE);
    let files = Folder::at(folder).map_err(|error| error.to_string())?;
    let lock = files.lock().map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => "a switch is running on this journal, and keeps its index".into(),
        _ => format!("{}: {error}", folder.display()),
    })?;
    // An earlier version had one file.
    let removed = if path.is_dir() { remove_dir_all(&path) } else { remove_file(&path) };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(format!("{}: {error}", path.display()));
        }
        _ => {}
    }
    let (files, clock): (Arc<dyn Files>, _) = (Arc::new(files), Clock::start());
    let survey = Arc::new(Survey::default());
    let surveyor = Surveyor { survey: Arc::clone(&survey), requests: 0 };
    Feed::start(path.clone(), Arc::clone(&files), key.clone(), Box::new(surveyor))
        .map_err(|error| error.to_string())?
        .stop();
    let unreadable = || format!("{}: cannot be made: is the journal sound?", path.display());
    if !survey.is_complete.load(Ordering::Acquire) {
        return Err(unreadable());
    }
    let spent_ns = clock.now().instant.ns().max(1);
    let mut index = Index::open(&path).map_err(|error| error.to_string())?;
    let rows = index.count();
    let mut times_ns = Vec::new();
    while let Some(key_of_request) = survey.samples.pop() {
        let begun = clock.now().instant;
        let (hash, moment) = older::parts_of(&key_of_request);
        let hashes = [Some(hash), None, None, None];
        let sought = Sought { hashes, moment, dated: Dated::Exactly };
        match search(&mut index, &files, &key, &sought) {
            Found::Older(_) => times_ns.push(clock.now().instant.ns() - begun.ns()),
            Found::Nothing | Found::Unsaid => return Err(unreadable()),
        }
    }
    drop(lock);
    times_ns.sort_unstable();
    let at = |share: usize| times_ns.get(times_ns.len() * share / 100).map_or(0, |ns| ns / 1000);
    Ok(format!(
        "index: {} keys in {} ms, {} keys/s, {} bytes\nlook-up: p50 {} us, p99 {} us, of {}\n",
        rows,
        spent_ns / 1_000_000,
        u128::from(rows) * 1_000_000_000 / u128::from(spent_ns),
        index.bytes(),
        at(50),
        at(99),
        times_ns.len(),
    ))
}

/// Some of the keys that were found, spread over the journal.
struct Survey {
    samples: ArrayQueue<IndexKey>,
    is_complete: AtomicBool,
}

impl Default for Survey {
    fn default() -> Self {
        Self { samples: ArrayQueue::new(SAMPLES_MAX), is_complete: AtomicBool::new(false) }
    }
}

struct Surveyor {
    survey: Arc<Survey>,
    requests: u64,
}

impl Clerk for Surveyor {
    fn keys(&mut self, batch: &Recovered<'_>, keys: &mut Vec<IndexKey>) {
        older::keys(batch.clear, batch.secret, &mut |key| {
            keys.push(key);
            if older::is_of_request(&key) {
                self.requests += 1;
                // All at first, then ever fewer: old and new ones.
                if self.requests.is_multiple_of(1 + self.requests / SAMPLES_MAX as u64) {
                    self.survey.samples.force_push(key);
                }
            }
        });
    }

    fn round_ends(&mut self, _: &mut Index, is_complete: bool) {
        self.survey.is_complete.store(is_complete, Ordering::Release);
    }
}

struct Library<'a> {
    index: &'a mut Index,
    files: &'a Arc<dyn Files>,
    key: &'a Key,
}

/// The index or the journal cannot be read.
struct Unreadable;

impl Library<'_> {
    /// The newest of all that may be meant: a STAN comes round, and was another kind's before.
    fn newest(&mut self, sought: &Sought) -> Result<Option<Older>, Unreadable> {
        let mut rows = Vec::new();
        for hash in sought.hashes.into_iter().flatten() {
            let exactly = [older::of_request(hash, sought.moment); 2];
            match (sought.dated, sought.moment) {
                (Dated::IfKnown, 0) => rows.append(&mut self.rows(older::of_requests(hash))?),
                (Dated::Exactly, _) => rows.append(&mut self.rows(exactly)?),
                (Dated::IfKnown, _) => {
                    rows.append(&mut self.rows(exactly)?);
                    rows.append(&mut self.rows([older::of_request(hash, 0); 2])?);
                }
            }
        }
        rows.sort_unstable_by_key(|(_, place)| *place);
        // What is too old is removed from the journal first, and then from the index.
        while let Some((key, place)) = rows.pop() {
            let (hash, moment) = older::parts_of(&key);
            let mut found = None;
            self.block(place, &mut |batch| {
                found = Older::find(hash, moment, batch.clear, batch.secret).or(found.take());
            })?;
            if let Some(mut older) = found {
                self.complete(&mut older)?;
                return Ok(Some(older));
            }
        }
        Ok(None)
    }

    /// Reads what became of it, and of what gave it back.
    fn complete(&mut self, older: &mut Older) -> Result<(), Unreadable> {
        for place in self.places_of(older.id())? {
            self.block(place, &mut |batch| older.read(batch.clear, batch.secret))?;
        }
        for weight in older.weights() {
            for place in self.places_of(weight)? {
                self.block(place, &mut |batch| {
                    older.read_weight(weight, batch.clear, batch.secret);
                })?;
            }
        }
        Ok(())
    }

    /// Where what became of a transaction stands, in the order in which it did.
    fn places_of(&mut self, id: u64) -> Result<Vec<Place>, Unreadable> {
        let rows = self.rows([older::of_transaction(id); 2])?;
        let mut places: Vec<Place> = rows.into_iter().map(|(_, place)| place).collect();
        places.sort_unstable();
        Ok(places)
    }

    fn rows(&mut self, [first, last]: [IndexKey; 2]) -> Result<Vec<(IndexKey, Place)>, Unreadable> {
        self.index.find_between(&first, &last).map_err(|_| Unreadable)
    }

    fn block(&self, place: Place, each: &mut dyn FnMut(Recovered<'_>)) -> Result<bool, Unreadable> {
        read_block(Arc::clone(self.files), self.key, place, each).map_err(|_| Unreadable)
    }
}

impl Default for Window {
    fn default() -> Self {
        Self {
            questions: ArrayQueue::new(limits::LOOK_UPS_MAX),
            answers: ArrayQueue::new(limits::LOOK_UPS_MAX),
            wake: OnceLock::new(),
            thread: ArrayQueue::new(1),
        }
    }
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} questions, {} answers", self.questions.len(), self.answers.len())
    }
}

/// The index, in the folder of its journal.
pub const INDEX_FILE: &str = "index";

/// Look-ups that are timed.
const SAMPLES_MAX: usize = 2000;

/// Before an index that failed is begun anew.
const PAUSE: Duration = Duration::from_secs(10);
