//! The index finds what the journal holds, and can always be made again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::real::Scratch;
use super::*;

/// A key of each batch, and one that many share. Tells the newest batch that is found.
#[derive(Default)]
struct Numbers {
    newest: u64,
    found: Arc<AtomicU64>,
}

impl Clerk for Numbers {
    fn keys(&mut self, batch: &Recovered<'_>, keys: &mut Vec<IndexKey>) {
        keys.extend([own(batch.worker, batch.number), shared(batch.number)]);
        self.newest = if batch.worker == 0 { batch.number } else { self.newest };
    }

    fn round_ends(&mut self, index: &mut Index, is_complete: bool) {
        let found = index.find(&own(0, self.newest));
        if is_complete && found.is_ok_and(|places| places.len() == 1) {
            self.found.store(self.newest, Ordering::SeqCst);
        }
    }
}

fn own(worker: u8, number: u64) -> IndexKey {
    (u128::from(number) << 64 | u128::from(worker) << 1 | 1).to_le_bytes()
}

fn shared(number: u64) -> IndexKey {
    (u128::from(number % 7) << 1).to_le_bytes()
}

/// Feeds the index at `path` all of the journal on `disk`.
fn fed(path: &Path, disk: &Disk) -> Index {
    let feed = Feed::start(path.into(), Arc::new(disk.clone()), key(), Box::<Numbers>::default());
    feed.expect("a thread").stop();
    Index::open(path).expect("an index")
}

/// Checks that the index leads to each batch that is there.
fn check(index: &mut Index, disk: &Disk, all: &[Stored]) {
    for (worker, number, clear, secret) in all {
        let places = index.find(&own(*worker, *number)).expect("readable");
        assert_eq!(places.len(), 1, "{worker}:{number}");
        let mut found = Vec::new();
        let is_there = read_block(Arc::new(disk.clone()), &key(), places[0], &mut |batch| {
            found.push((batch.worker, batch.number, batch.clear.to_vec(), batch.secret.to_vec()));
        });
        assert!(is_there.expect("readable"));
        assert!(found.contains(&(*worker, *number, clear.clone(), secret.clone())));
    }
    assert!(index.find(&[0xAA; 16]).expect("readable").is_empty());
}

#[test]
fn what_is_stored_is_found_and_a_damaged_index_made_again() {
    let scratch = Scratch::new("index");
    let path = scratch.0.join("index");
    let (disk, mut all) = journal(20);
    let mut index = fed(&path, &disk);
    check(&mut index, &disk, &all);
    let sharing = all.iter().filter(|stored| stored.1 % 7 == 3).count();
    assert_eq!(index.find(&shared(3)).expect("readable").len(), sharing);
    let covered = index.covered();
    drop(index);

    // Where it stands is kept; fed again, nothing is found twice.
    for _ in 0..20 {
        let mut index = fed(&path, &disk);
        assert_eq!(index.covered(), covered);
        check(&mut index, &disk, &all);
    }
    let files = std::fs::read_dir(&path).expect("a folder").count();
    assert!(files < 5, "{files} files after some starts");
    let damage = |name: &str, at: usize| {
        let path = path.join(name);
        let mut bytes = std::fs::read(&path).expect("a run");
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).expect("written");
    };
    for entry in std::fs::read_dir(&path).expect("a folder") {
        let name = entry.expect("a file").file_name().into_string().expect("a name");
        if name.ends_with(".run") {
            damage(&name, 9);
        }
    }
    check(&mut fed(&path, &disk), &disk, &all);

    // An earlier version had a file there.
    std::fs::remove_dir_all(&path).expect("removed");
    std::fs::write(&path, b"no index").expect("written");
    check(&mut fed(&path, &disk), &disk, &all);

    // Its older part is missing.
    let (writer, mut desks, _) = open(&disk, &options()).expect("a sound journal");
    for _ in 0..9 {
        all.push(stored(0, &batch(0, desks[0].next_number())));
        assert!(put(&mut desks[0], 0));
    }
    writer.stop();
    check(&mut fed(&path, &disk), &disk, &all);
    assert!(path.join("000000000002-000000000002.run").is_file());
    std::fs::remove_file(path.join(FIRST)).expect("removed");
    check(&mut fed(&path, &disk), &disk, &all);

    // The journal was begun anew: what the index says of the old one is of no use.
    let (disk, all) = journal(1);
    let mut index = fed(&path, &disk);
    check(&mut index, &disk, &all);
    assert!(index.find(&own(0, 20)).expect("readable").is_empty());
}

/// Keeps a copy of the index as a kill would leave it, soon after it has caught up.
struct Killed {
    numbers: Numbers,
    path: PathBuf,
    rounds: u32,
    is_copied: Arc<AtomicBool>,
}

impl Clerk for Killed {
    fn keys(&mut self, batch: &Recovered<'_>, keys: &mut Vec<IndexKey>) {
        self.numbers.keys(batch, keys);
    }

    fn round_ends(&mut self, _: &mut Index, is_complete: bool) {
        self.rounds += u32::from(is_complete);
        if self.rounds == 2 {
            let killed = self.path.with_extension("killed");
            std::fs::create_dir(&killed).expect("a folder");
            for entry in std::fs::read_dir(&self.path).expect("a folder") {
                let entry = entry.expect("a file");
                std::fs::copy(entry.path(), killed.join(entry.file_name())).expect("copied");
            }
            self.is_copied.store(true, Ordering::SeqCst);
        }
    }
}

#[test]
fn what_was_caught_up_with_survives_a_kill_soon_after() {
    let scratch = Scratch::new("killed");
    let path = scratch.0.join("index");
    let (disk, all) = journal(20);
    let is_copied = Arc::new(AtomicBool::new(false));
    let (numbers, rounds) = (Numbers::default(), 0);
    let clerk = Killed { numbers, path: path.clone(), rounds, is_copied: Arc::clone(&is_copied) };
    let feed = Feed::start(path.clone(), Arc::new(disk.clone()), key(), Box::new(clerk));
    wait("the copy", || is_copied.load(Ordering::SeqCst));
    feed.expect("a thread").stop();
    let killed = path.with_extension("killed");
    check(&mut Index::open(&killed).expect("an index"), &disk, &all);
}

#[test]
fn damage_that_a_look_up_finds_empties_the_index() {
    let scratch = Scratch::new("damaged");
    let path = scratch.0.join("index");
    let (disk, all) = journal(100);
    check(&mut fed(&path, &disk), &disk, &all);
    let name = path.join(FIRST);
    let mut bytes = std::fs::read(&name).expect("a run");
    assert!(bytes.len() > 4 * 4096, "more than its root");
    // What the clerk looks up is on one of these pages.
    for page in bytes[..2 * 4096].chunks_mut(4096) {
        page[1000] ^= 1;
    }
    std::fs::write(&name, bytes).expect("written");
    let index = fed(&path, &disk);
    assert_eq!((index.covered(), index.count()), (Place { segment: 1, offset: 0 }, 0));
    drop(index);
    check(&mut fed(&path, &disk), &disk, &all);
}

#[test]
fn an_index_is_open_once() {
    let scratch = Scratch::new("once");
    let path = scratch.0.join("index");
    let (disk, all) = journal(3);
    let index = Index::open(&path).expect("an index");
    assert!(Index::open(&path).expect_err("it is open").is_locked());
    // Who fills it waits for it.
    let clerk = Numbers::default();
    let found = Arc::clone(&clerk.found);
    let feed = Feed::start(path.clone(), Arc::new(disk.clone()), key(), Box::new(clerk));
    let feed = feed.expect("a thread");
    std::thread::park_timeout(Duration::from_millis(5));
    drop(index);
    wait("the index", || found.load(Ordering::SeqCst) == 3);
    feed.stop();
    check(&mut Index::open(&path).expect("an index"), &disk, &all);
}

#[test]
fn it_follows_a_journal_that_grows_and_forgets_what_was_removed() {
    let scratch = Scratch::new("follow");
    let disk = Disk::new();
    let mut options = options();
    options.retention = Duration::ZERO;
    let now = Arc::new(AtomicU64::new(1_700_000_000));
    let clock: Clock = Arc::new(move || Wall::from_unix_s(now.fetch_add(1, Ordering::SeqCst)));
    let (recovery, _) = recovered(&disk, &options).expect("an empty disk");
    let (writer, mut desks) =
        start(&options, Arc::new(disk.clone()), recovery, clock).expect("started");
    let path = scratch.0.join("index");
    let clerk = Numbers::default();
    let found = Arc::clone(&clerk.found);
    let feed = Feed::start(path.clone(), Arc::new(disk.clone()), key(), Box::new(clerk))
        .expect("a thread");
    for number in 1..=60 {
        assert!(put(&mut desks[0], 0));
        for desk in &mut desks {
            desk.giving_up().into_iter().for_each(|asked| desk.noted_again(asked));
        }
        if number % 20 == 0 {
            wait("the index", || found.load(Ordering::SeqCst) == number);
        }
    }
    writer.stop();
    feed.stop();
    let mut index = Index::open(&path).expect("an index");
    let oldest = segment::numbers(&disk).expect("segments")[0];
    assert!(oldest > 3, "segments were removed");
    // The newest row that was added swept all rows, of which there are few.
    let left = (1..=60).filter(|number| !index.find(&own(0, *number)).expect("ok").is_empty());
    assert!(left.count() < 40, "what is gone is forgotten");
}

/// The first run of an index.
const FIRST: &str = "000000000001-000000000001.run";
