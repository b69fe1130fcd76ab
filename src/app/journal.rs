//! The journal of a running switch: opened, read back, and given to the workers.
//!
//! Here what floor 4 keeps (batches of bytes) and what floor 3 means by it (records) meet.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use crossbeam::queue::ArrayQueue;

use super::archive::{self, Archive};
use super::closing::Office;
use super::recount::Recount;
use crate::base::ids::WorkerId;
use crate::base::time::{Instant, Now};
use crate::journal::{
    self, Desk, Durability, Files, Folder, GivingUp, Key, Options, State, Writer,
};
use crate::net::{self, Clock, Make, Store};
use crate::switch::batch::Batch;
use crate::switch::record;
use crate::switch::recover::Recovery;
use crate::switch::{Outbox, Storage, Switch};

/// Where a journal is and how it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalPlan {
    /// When something counts as durable.
    pub durability: Durability,
    /// Its folder.
    pub folder: PathBuf,
    /// Its key file; without one the environment's key, else a file in the folder.
    pub key: Option<PathBuf>,
    /// Length of its segments, and of the reserve.
    pub segment_bytes: u64,
}

/// What a journal that was read back has for the workers.
#[derive(Debug)]
pub struct Desks {
    /// By worker: its desk, and what was found, until they are taken.
    desks: Vec<ArrayQueue<(Desk, Arc<Recovery>)>>,
    /// Where the acts of persons are taken in, until it is taken.
    pub office: Option<Office>,
    /// The index, and where workers ask it, by worker, until it is taken.
    pub archive: Option<Archive>,
    clerks: Vec<ArrayQueue<archive::Desk>>,
    /// Where workers wait until all have taken up their part.
    resumed: Barrier,
    /// Secret from which terminal keys are hashed.
    pub secret: u64,
    /// Which life of the installation this is.
    pub epoch: u32,
    /// What was found and done, for the operator.
    pub report: Vec<String>,
}

/// Opens the journal for so many workers, which remember so many transactions between them.
///
/// # Errors
///
/// One sentence on what is wrong and what to do.
pub fn open(
    plan: &JournalPlan,
    workers: u8,
    transactions: usize,
    mut limits: Option<Recount>,
) -> Result<(Writer, Desks), String> {
    let mut report = Vec::new();
    let began = Clock::start().now().wall;
    let files = Folder::at(&plan.folder)
        .map_err(|error| format!("journal folder {}: {error}", plan.folder.display()))?;
    let files = match plan.durability {
        Durability::Power => files.direct(),
        // What survives a crash is what the system has in its cache.
        Durability::Process => files,
    };
    let key = key(plan, &mut report)?;
    let options = Options {
        durability: plan.durability,
        segment_bytes: plan.segment_bytes,
        reserve_bytes: plan.segment_bytes,
        // One desk more, for what persons do.
        ..Options::new(workers + 1, key.clone())
    };
    let mut recovery = Recovery::of_newest(transactions);
    let found = journal::recover(&options, &files, &mut |batch| {
        recovery.read_batch(WorkerId(batch.worker), batch.number, batch.clear, batch.secret);
        if let Some(limits) = &mut limits {
            for record in record::read(batch.clear, batch.secret) {
                limits.add(&record, began);
            }
        }
    })
    .map_err(|halt| halt.to_string())?;
    let (transactions, owed) = recovery.counts();
    report.push(format!(
        "journal      {}: {} batches, {transactions} transactions, {owed} owed",
        plan.folder.display(),
        found.batches
    ));
    report.extend(limits.as_ref().map(Recount::report));
    if let Some(place) = &found.cut {
        report.push(format!(
            "journal      cut behind offset {} of segment {}: torn by a crash",
            place.offset, place.segment
        ));
    }
    let epoch = found.life() as u32;
    let clock = Clock::start();
    let wall = move || clock.now().wall;
    let files: Arc<dyn Files> = Arc::new(files);
    let (writer, mut desks) = journal::start(&options, Arc::clone(&files), found, Arc::new(wall))
        .map_err(|halt| halt.to_string())?;
    let office = desks.pop().map(|desk| Office::new(desk, &plan.folder));
    let archive = Archive::start(&plan.folder, files, key.clone(), workers);
    let clerks = archive.desks().into_iter().map(to_take).collect();
    let recovery = Arc::new(recovery);
    forget_at_last(Arc::clone(&recovery));
    let desks = desks.into_iter().map(|desk| to_take((desk, Arc::clone(&recovery)))).collect();
    let secret = key.derived("authswitch terminal keys");
    let archive = Some(archive);
    let resumed = Barrier::new(usize::from(workers));
    Ok((writer, Desks { desks, office, archive, clerks, resumed, secret, epoch, report }))
}

/// Gives back the memory of what was found, once no worker needs it any more: hundreds of
/// megabytes, maybe, and the worker that is the last should not keep requests waiting for that.
fn forget_at_last(found: Arc<Recovery>) {
    let forget = move || {
        while Arc::strong_count(&found) > 1 {
            std::thread::park_timeout(FORGET_EVERY);
        }
    };
    // Without a thread the last worker does it.
    drop(std::thread::Builder::new().name("journal-found".into()).spawn(forget));
}

/// Something that is taken once.
fn to_take<T>(one: T) -> ArrayQueue<T> {
    let place = ArrayQueue::new(1);
    let _ = place.push(one);
    place
}

impl Desks {
    /// Has a worker's switch take its part of what was left, and gives it its desk. Returns when
    /// all workers have: until then one may be asked about what another one is to remember, and
    /// would say that it was never asked.
    pub fn equip(&self, worker: WorkerId, mut core: Switch) -> Make<Switch> {
        let desk = self.desks.get(usize::from(worker.0)).and_then(ArrayQueue::pop);
        let Some((desk, recovery)) = desk else { return core.into() };
        let mut outbox = Outbox::recorded(desk.next_number());
        let wall = Clock::start().now().wall;
        let now = Now { instant: Instant::from_ns(0), wall };
        core.begin_resuming(now, &recovery, &mut outbox);
        self.resumed.wait();
        let clerk = self.clerks.get(usize::from(worker.0)).and_then(ArrayQueue::pop);
        let archive = clerk.map(|clerk| Box::new(clerk) as Box<dyn net::Archive>);
        Make { core, outbox, store: Some(Box::new(Records { desk, asked: None })), archive }
    }
}

/// The key: of the file that is named, of the environment, or of a file in the folder, which is
/// made if there is none yet.
fn key(plan: &JournalPlan, report: &mut Vec<String>) -> Result<Key, String> {
    if let Some(path) = &plan.key {
        return from_file(path);
    }
    if let Ok(text) = std::env::var(KEY_VARIABLE) {
        return Key::from_text(&text).map_err(|error| format!("{KEY_VARIABLE}: {error}"));
    }
    let path = plan.folder.join(KEY_FILE);
    if !path.exists() {
        let is_new = !has_segments(&plan.folder);
        if !is_new {
            return Err(format!(
                "journal {}: no key: name its file with --journal-key or put the key into \
                 {KEY_VARIABLE}",
                plan.folder.display()
            ));
        }
        Key::create(&path).map_err(|error| format!("key file {}: {error}", path.display()))?;
        report.push(format!(
            "journal      new key in {}: keep it elsewhere (--journal-key) in production",
            path.display()
        ));
    }
    from_file(&path)
}

fn from_file(path: &Path) -> Result<Key, String> {
    Key::from_file(path).map_err(|error| format!("key file {}: {error}", path.display()))
}

fn has_segments(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".segment"))
}

/// A desk of the journal, as a worker sees it.
#[derive(Debug)]
struct Records {
    desk: Desk,
    /// What was asked last and is not answered.
    asked: Option<GivingUp>,
}

impl Store for Records {
    fn hand_in(&mut self, batch: Batch) -> Result<(), Batch> {
        self.desk.hand_in(batch)
    }

    fn durable(&self) -> u64 {
        self.desk.durable()
    }

    fn spare(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        self.desk.spare()
    }

    fn storage(&self) -> Storage {
        match self.desk.state() {
            State::Writing => Storage::Ready,
            State::Full | State::Spent => Storage::ObligationsOnly,
            State::Failed => Storage::Failed,
        }
    }

    fn giving_up(&mut self) -> Option<u64> {
        self.asked = self.desk.giving_up();
        self.asked.map(|asked| asked.batch)
    }

    fn noted_again(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.desk.noted_again(asked);
        }
    }

    fn on_progress(&mut self, wake: Box<dyn Fn() + Send>) {
        self.desk.on_progress(wake);
    }
}

/// How often it is looked whether what was found is still needed.
const FORGET_EVERY: Duration = Duration::from_millis(50);

/// The variable of the environment that may hold the key.
const KEY_VARIABLE: &str = "AUTHSWITCH_JOURNAL_KEY";

/// The key file of a journal that was given none.
pub const KEY_FILE: &str = "journal.key";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::RouteTable;
    use crate::switch::Setup;

    fn core() -> Switch {
        let routes = RouteTable::single(Vec::new(), Duration::from_secs(1));
        Switch::new(Setup::new(Arc::new(routes)))
    }

    /// The first worker has taken up its part, the second has not yet.
    #[test]
    fn no_worker_begins_before_all_remember() {
        let folder = std::env::temp_dir().join(format!("authswitch-desks-{}", std::process::id()));
        let plan = JournalPlan {
            durability: Durability::Process,
            folder: folder.clone(),
            key: None,
            segment_bytes: 4 << 20,
        };
        let (writer, desks) = open(&plan, 2, 64, None).expect("a new journal");
        std::thread::scope(|scope| {
            let first = scope.spawn(|| drop(desks.equip(WorkerId(0), core())));
            std::thread::park_timeout(Duration::from_millis(200));
            let began = first.is_finished();
            drop(desks.equip(WorkerId(1), core()));
            assert!(!began, "it would answer for what the second one is to remember");
        });
        writer.stop();
        drop(std::fs::remove_dir_all(folder));
    }
}
