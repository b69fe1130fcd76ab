//! Reading a journal beside a switch that goes on writing it.

use std::any::Any;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

#[test]
fn segments_that_are_begun_while_it_is_read_are_part_of_it() {
    let disk = Disk::new();
    let (writer, mut desks, _) = open(&disk, &options()).expect("an empty disk");
    assert!(put(&mut desks[0], 0));
    let key = key();
    let records = read(&disk, &key).expect("readable");
    let before = segment::numbers(&disk).expect("segments");
    while segment::numbers(&disk).expect("segments").len() < before.len() + 3 {
        assert!(put(&mut desks[0], 0));
    }
    let count = desks[0].durable();
    let read = records.collect::<Result<Vec<_>, _>>().expect("sound").len();
    writer.stop();
    assert_eq!(read as u64, count);
}

/// The n-th look at a file shows it without its first block, whose write is under way.
#[derive(Debug)]
struct Slow {
    disk: Disk,
    looks: AtomicU64,
    stale: u64,
}

impl Files for Slow {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        if self.looks.fetch_add(1, Ordering::SeqCst) < self.stale {
            let mut files = self.disk.files();
            let bytes = files.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
            bytes[512..1024].fill(0);
            return Disk::with(&files).open(name);
        }
        self.disk.open(name)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        self.disk.create(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.disk.sync_names()
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send + Sync>> {
        self.disk.lock()
    }

    fn place(&self, name: &str) -> String {
        self.disk.place(name)
    }
}

#[test]
fn a_block_that_was_being_written_is_no_hole_and_one_that_is_missing_is() {
    let (disk, all) = journal(1);
    let key = key();
    let slow = |stale| Slow { disk: disk.clone(), looks: AtomicU64::new(0), stale };
    let found = |files: &Slow| -> Result<usize, Halt> {
        read(files, &key)?.try_fold(0, |count, record| record.map(|_| count + 1))
    };
    let looks = slow(0);
    assert_eq!(found(&looks).expect("sound"), all.len());
    let files = looks.looks.load(Ordering::SeqCst);
    // The last of these is the second look at the block.
    for stale in 1..files {
        assert_eq!(found(&slow(stale)).expect("sound"), all.len(), "{stale} looks");
    }
    let halt = found(&slow(u64::MAX)).expect_err("it stays missing");
    assert!(matches!(halt.damage, Damage::Hole { .. }), "{halt}");
}
