//! The journal on a real disk: from handing a batch in to its being durable, and how much fits
//! through when batches follow each other. What the writer costs a core is printed too.
//!
//! The folder is made below the system's folder for temporary files; a figure means something only
//! if that is on the disk in question.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use authswitch::base::time::Wall;
use authswitch::journal::{
    Desk, Durability, Folder, Index, IndexKey, Key, Options, Place, Writer, recover, start,
};
use authswitch::switch::batch::Batch;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const RECORDS: usize = 64;
const RECORD_BYTES: usize = 300;
/// Of each record, an account number.
const SECRET_BYTES: usize = 16;

/// A journal in a folder of its own, which goes away with it.
struct Journal {
    writer: Option<Writer>,
    desk: Desk,
    folder: PathBuf,
}

impl Journal {
    fn new(durability: Durability) -> Self {
        let name = format!("authswitch-bench-journal-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&folder));
        let key = Key::from_text(&"5a".repeat(32)).expect("a key");
        let mut options = Options::new(1, key);
        options.durability = durability;
        options.retention = Duration::ZERO;
        let files = Folder::at(&folder).expect("a folder");
        let recovery = recover(&options, &files, &mut |_| {}).expect("an empty journal");
        // Each reading is later than the one before, so that segments are given up at once.
        let second = std::sync::atomic::AtomicU64::new(1_700_000_000);
        let clock = Arc::new(move || {
            Wall::from_unix_s(second.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        });
        let (writer, mut desks) =
            start(&options, Arc::new(files), recovery, clock).expect("started");
        let mut desk = desks.remove(0);
        let worker = std::thread::current();
        desk.on_progress(move || worker.unpark());
        Self { writer: Some(writer), desk, folder }
    }

    /// Hands a batch in, in buffers that came back.
    fn hand_in(&mut self) {
        let (mut clear, mut secret) = self.desk.spare().unwrap_or_default();
        clear.resize(RECORDS * (RECORD_BYTES - SECRET_BYTES), 7);
        secret.resize(RECORDS * SECRET_BYTES, 8);
        let number = self.desk.next_number();
        let batch = Batch { number, clear, secret, urgent: false };
        self.desk.hand_in(batch).expect("there is room");
    }

    fn wait(&self, number: u64) {
        while self.desk.durable() < number {
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// One batch at a time; the time of each.
    fn one_by_one(&mut self, count: u64) -> Vec<Duration> {
        let one = |_| {
            let from = now();
            self.hand_in();
            self.wait(self.desk.next_number() - 1);
            from.elapsed()
        };
        (0..count).map(one).collect()
    }

    /// Never fewer than half of `ahead` batches under way; the time of all.
    fn in_a_row(&mut self, count: u64, ahead: u64) -> Duration {
        let from = now();
        for _ in 0..count {
            self.wait((self.desk.next_number() - 1).saturating_sub(ahead));
            self.hand_in();
        }
        self.wait(self.desk.next_number() - 1);
        from.elapsed()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.stop();
        }
        drop(fs::remove_dir_all(&self.folder));
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures")]
fn now() -> Instant {
    Instant::now()
}

/// Processor time of the thread called `journal`.
fn writer_time() -> Option<Duration> {
    for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
        if fs::read_to_string(task.path().join("comm")).ok()?.trim() == "journal" {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            return text.split(' ').next()?.parse().ok().map(Duration::from_nanos);
        }
    }
    None
}

fn report(name: &str, durability: Durability) {
    let count = if std::env::args().any(|argument| argument == "--bench") { 4000 } else { 50 };
    let mut journal = Journal::new(durability);
    journal.in_a_row(count / 4, 32);
    let mut times = journal.one_by_one(count);
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
    println!("{name}: one batch, hand-in to durable: p50 {p50:?}, p99 {p99:?}, p99.9 {p999:?}");
    let before = writer_time();
    let taken = journal.in_a_row(count, 32).as_secs_f64();
    let records = (count as usize * RECORDS) as f64;
    let (rate, bytes) = (records / taken, records * RECORD_BYTES as f64 / taken / 1e6);
    println!("{name}: batches in a row: {rate:.0} records/s, {bytes:.0} MB/s");
    if let (Some(before), Some(after)) = (before, writer_time()) {
        let ns = (after - before).as_nanos() as f64 / records;
        println!("{name}: the writer thread takes {ns:.0} ns per record");
    }
}

fn journal(criterion: &mut Criterion) {
    for (name, durability) in [("process", Durability::Process), ("power", Durability::Power)] {
        report(name, durability);
        let mut group = criterion.benchmark_group(format!("journal/{name}"));
        group.throughput(Throughput::Elements(RECORDS as u64)).sample_size(20);
        group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300));
        let mut journal = Journal::new(durability);
        group.bench_function("one batch", |bencher| {
            bencher.iter_custom(|count| journal.one_by_one(count).iter().sum());
        });
        group.bench_function("batches in a row", |bencher| {
            bencher.iter_custom(|count| journal.in_a_row(count, 32));
        });
        group.finish();
    }
}

/// Looking a key up among a million, of which the least part is in memory.
fn index(criterion: &mut Criterion) {
    let is_measured = std::env::args().any(|argument| argument == "--bench");
    let count: u64 = if is_measured { 1_000_000 } else { 1000 };
    let folder =
        std::env::temp_dir().join(format!("authswitch-bench-index-{}", std::process::id()));
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).expect("a folder");
    let mut index = Index::open(&folder.join("index")).expect("an index");
    let from = now();
    let mut entries = Vec::new();
    for number in 0..count {
        let place = Place { segment: 1 + number / 10_000, offset: number % 10_000 * 512 };
        entries.push((scattered(number), place));
        if entries.len() == 4096 || number + 1 == count {
            index.add(&entries, place).expect("added");
            index.tend(4 * entries.len()).expect("tended");
            entries.clear();
        }
    }
    index.keep().expect("kept");
    let (taken, megabytes) = (from.elapsed(), index.bytes() / 1_000_000);
    println!("index: {count} keys added in {taken:?}, {megabytes} MB");
    let mut number = 0;
    let mut group = criterion.benchmark_group("journal/index");
    group.bench_function("a key that is there", |bencher| {
        bencher.iter(|| {
            number = (number + 7919) % count;
            assert_eq!(index.find(&scattered(number)).expect("readable").len(), 1);
        });
    });
    group.bench_function("a key that is not", |bencher| {
        bencher.iter(|| {
            number += 1;
            assert!(index.find(&scattered(count + number)).expect("readable").is_empty());
        });
    });
    group.finish();
    drop(index);
    drop(fs::remove_dir_all(&folder));
}

/// A key that looks like a hash.
fn scattered(number: u64) -> IndexKey {
    let mixed = u128::from(number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_0C75_8A2C_1D3B);
    (mixed ^ mixed >> 67).to_le_bytes()
}

criterion_group!(benches, journal, index);
criterion_main!(benches);
