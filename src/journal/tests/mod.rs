//! The journal against disks that tear, fail and fill up.

mod beside;
mod crash;
mod damage;
mod disk;
mod full;
mod index;
mod real;
mod runs;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::base::time::Wall;
use crate::switch::batch::Batch;
use disk::Disk;

/// A key for tests.
fn key() -> Key {
    Key::from_text(&"0123456789abcdef".repeat(4)).expect("a key")
}

/// Small segments, so that a few batches fill several.
fn options() -> Options {
    let mut options = Options::new(2, key());
    options.segment_bytes = 8192;
    options.reserve_bytes = 8192;
    options
}

/// What a batch was made of, and what is found again.
type Stored = (u8, u64, Vec<u8>, Vec<u8>);

/// The batch `number` of `worker`: a little of both parts, different for each.
fn batch(worker: u8, number: u64) -> Batch {
    let length = (number * 37 + u64::from(worker) * 11) % 500;
    let clear = (0..length).map(|at| (at * number + u64::from(worker)) as u8).collect();
    let secret = format!("4242424242{number:06}").repeat(number as usize % 3).into_bytes();
    Batch { number, clear, secret, urgent: number.is_multiple_of(5) }
}

fn stored(worker: u8, batch: &Batch) -> Stored {
    (worker, batch.number, batch.clear.clone(), batch.secret.clone())
}

fn recovered(disk: &Disk, options: &Options) -> Result<(Recovery, Vec<Stored>), Halt> {
    let mut found = Vec::new();
    let recovery = recover(options, disk, &mut |batch| {
        found.push((batch.worker, batch.number, batch.clear.to_vec(), batch.secret.to_vec()));
    })?;
    Ok((recovery, found))
}

fn clock() -> Clock {
    Arc::new(|| Wall::from_unix_s(1_700_000_000))
}

/// Opens the journal and starts it.
fn open(disk: &Disk, options: &Options) -> Result<(Writer, Vec<Desk>, Vec<Stored>), Halt> {
    let (recovery, found) = recovered(disk, options)?;
    let (writer, desks) = start(options, Arc::new(disk.clone()), recovery, clock())?;
    Ok((writer, desks, found))
}

/// Waits for something that another thread does.
fn wait(what: &str, mut is_done: impl FnMut() -> bool) {
    for _ in 0..20_000 {
        if is_done() {
            return;
        }
        std::thread::park_timeout(Duration::from_micros(200));
    }
    panic!("waited too long: {what}");
}

/// Hands the next batch of a desk in and waits until it is durable; false if the journal failed.
fn put(desk: &mut Desk, worker: u8) -> bool {
    let number = desk.next_number();
    if desk.hand_in(batch(worker, number)).is_err() {
        return false;
    }
    wait("a batch", || desk.durable() >= number || desk.state() == State::Failed);
    desk.durable() >= number
}

/// A disk with a journal of `count` batches, one per block, closed in order.
fn journal(count: u64) -> (Disk, Vec<Stored>) {
    let disk = Disk::new();
    let (writer, mut desks, _) = open(&disk, &options()).expect("an empty disk");
    let mut all = Vec::new();
    for _ in 0..count {
        for (worker, desk) in desks.iter_mut().enumerate() {
            let worker = worker as u8;
            all.push(stored(worker, &batch(worker, desk.next_number())));
            assert!(put(desk, worker), "stored");
        }
    }
    writer.stop();
    (disk, all)
}

#[test]
fn what_was_stored_comes_back_in_order() {
    let (disk, all) = journal(30);
    let (recovery, found) = recovered(&disk, &options()).expect("a sound journal");
    assert_eq!(found, all);
    assert_eq!(recovery.last, [30, 30]);
    assert!(recovery.cut.is_none() && recovery.next.segment > 3, "{recovery:?}");
    let key = key();
    let records: Vec<Record> =
        read(&disk, &key).expect("readable").map(|record| record.expect("sound")).collect();
    assert_eq!(records.len(), all.len());
    let verified = verify(&disk, None);
    assert!(verified.damage.is_none() && verified.torn.is_none(), "{verified:?}");
    assert_eq!(verified.segments.iter().map(|segment| segment.batches).sum::<u64>(), 60);
}

#[test]
fn numbers_go_on_after_a_restart() {
    let (disk, mut all) = journal(5);
    for _ in 0..3 {
        let (writer, mut desks, found) = open(&disk, &options()).expect("a sound journal");
        assert_eq!(found, all);
        let number = desks[1].next_number();
        assert_eq!(desks[1].durable() + 1, number);
        assert!(put(&mut desks[1], 1));
        all.push(stored(1, &batch(1, number)));
        writer.stop();
    }
    assert_eq!(recovered(&disk, &options()).expect("a sound journal").1, all);
}

#[test]
fn secrets_are_nowhere_in_clear_and_need_their_key() {
    let (disk, _) = journal(20);
    for (name, bytes) in disk.files() {
        assert!(!bytes.windows(10).any(|bytes| bytes == b"4242424242"), "{name}");
    }
    let mut other = options();
    other.key = Key::from_text(&"ff".repeat(32)).expect("a key");
    let halt = recovered(&disk, &other).expect_err("another key");
    assert!(matches!(halt.damage, Damage::UnknownKey), "{halt}");
    let text = format!("{}\n{}\n", "ff".repeat(32), "0123456789abcdef".repeat(4));
    other.key = Key::from_text(&text).expect("two keys");
    let (writer, mut desks, found) = open(&disk, &other).expect("the older key is known");
    assert_eq!(found.len(), 40);
    assert!(put(&mut desks[0], 0));
    writer.stop();
    assert_eq!(recovered(&disk, &other).expect("both keys").1.len(), 41);
}

#[test]
fn no_two_texts_are_sealed_alike() {
    let (disk, _) = journal(0);
    let mut seen = Vec::new();
    for _ in 0..4 {
        // The same block again and again, because each time it is torn.
        let (writer, mut desks, found) = open(&disk, &options()).expect("a torn tail");
        assert!(found.is_empty());
        let (clear, secret) = (vec![], b"4242424242424242".to_vec());
        desks[0].hand_in(Batch { number: 1, clear, secret, urgent: false }).expect("taken");
        wait("a batch", || desks[0].durable() == 1);
        writer.stop();
        let name = segment::name(1);
        let bytes = disk.files()[&name].clone();
        let sealed = bytes[512 + 64 + 24..][..16].to_vec();
        assert!(sealed != [0; 16] && !seen.contains(&sealed), "{sealed:?}");
        // Another byte than the one that is there.
        let torn = [!sealed[0]];
        seen.push(sealed);
        disk.open(&name).expect("the segment").write_all_at(600, &torn).expect("torn");
    }
}

#[test]
fn buffers_come_back() {
    let disk = Disk::new();
    let (writer, mut desks, _) = open(&disk, &options()).expect("an empty disk");
    for _ in 0..3 {
        assert!(put(&mut desks[0], 0));
    }
    let (mut clear_bytes, mut count) = (0, 0);
    wait("the buffers", || {
        while let Some((clear, secret)) = desks[0].spare() {
            assert!(clear.is_empty() && secret.is_empty());
            clear_bytes += clear.capacity();
            count += 1;
        }
        count == 3
    });
    assert!(clear_bytes > 0, "they are the ones that were handed in");
    writer.stop();
}

#[test]
fn a_desk_is_woken() {
    let disk = Disk::new();
    let (writer, mut desks, _) = open(&disk, &options()).expect("an empty disk");
    let count = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = Arc::clone(&count);
    desks[0].on_progress(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    });
    for woken in 1..=3 {
        assert!(put(&mut desks[0], 0));
        wait("the call", || count.load(std::sync::atomic::Ordering::SeqCst) == woken);
    }
    assert!(put(&mut desks[1], 1), "another desk's progress");
    writer.stop();
    let calls = count.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(calls, 4, "three batches, and the end");
}
