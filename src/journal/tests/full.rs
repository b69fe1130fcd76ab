//! A disk that fills up, and one on which old segments make room.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// Hands the next batch in; true if it was taken. Waits until it is stored if it was.
fn offer(desk: &mut Desk, urgent: bool, all: &mut Vec<Stored>) -> bool {
    let number = desk.next_number();
    let batch = Batch { number, clear: vec![number as u8; 700], secret: vec![1], urgent };
    let copy = stored(0, &batch);
    if desk.hand_in(batch).is_err() {
        return false;
    }
    all.push(copy);
    let refuses = if urgent { State::Spent } else { State::Full };
    wait("a batch", || desk.durable() >= number || desk.state() == refuses);
    true
}

#[test]
fn a_full_disk_takes_urgent_batches_until_there_is_room_again() {
    let disk = Disk::new();
    let (writer, mut desks, _) = open(&disk, &options()).expect("an empty disk");
    let desk = &mut desks[0];
    let mut all = Vec::new();
    assert!(offer(desk, false, &mut all));
    // One segment more than there is, and not one byte.
    wait("the next segment", || disk.used() == 3 * 8192);
    disk.set_room(Some(3 * 8192));
    wait("a full disk", || !offer(desk, false, &mut all));
    assert_eq!(desk.state(), State::Full);
    wait("the rest", || desk.durable() + 1 == desk.next_number());
    let ordinary = all.len();
    while offer(desk, true, &mut all) {
        assert!(all.len() < 100, "the reserve has an end");
        assert!(desk.state() != State::Writing, "nobody made room");
    }
    assert!(all.len() >= ordinary + 8, "the reserve was used: {ordinary} of {}", all.len());
    assert_eq!(desk.state(), State::Spent);
    assert!(desk.failure().is_none());

    disk.set_room(None);
    wait("room", || desk.state() == State::Writing);
    assert!(offer(desk, false, &mut all));
    wait("all of it", || desk.durable() == all.len() as u64);
    writer.stop();
    assert_eq!(recovered(&disk, &options()).expect("sound").1, all);
    assert!(disk.files().contains_key("reserve"), "it is there again");
}

#[test]
fn a_start_on_a_full_disk_takes_urgent_batches() {
    let (disk, mut all) = journal(10);
    disk.set_room(Some(disk.used()));
    let (writer, mut desks, _) = open(&disk, &options()).expect("the reserve is enough");
    wait("the state", || desks[0].state() == State::Full);
    let number = desks[0].next_number();
    let batch = |urgent| Batch { number, clear: vec![7], secret: vec![], urgent };
    assert!(desks[0].hand_in(batch(false)).is_err());
    desks[0].hand_in(batch(true)).expect("urgent");
    wait("a batch", || desks[0].durable() == number);
    writer.stop();
    all.push(stored(0, &batch(true)));
    assert_eq!(recovered(&disk, &options()).expect("sound").1, all);
}

#[test]
fn old_segments_are_removed_and_their_absence_is_no_damage() {
    let disk = Disk::new();
    let mut options = options();
    options.retention = Duration::from_secs(100);
    let now = Arc::new(AtomicU64::new(1_700_000_000));
    let clock: Clock = {
        let now = Arc::clone(&now);
        Arc::new(move || Wall::from_unix_s(now.load(Ordering::SeqCst)))
    };
    let (recovery, _) = recovered(&disk, &options).expect("an empty disk");
    let disks = Arc::new(disk.clone());
    let (writer, mut desks, _) = start(&options, disks, recovery, clock)
        .map(|(writer, desks)| (writer, desks, ()))
        .expect("an empty disk");
    let mut all = Vec::new();
    let first = segment::name(1);
    wait("the first segment is removed", || {
        now.fetch_add(10, Ordering::SeqCst);
        assert!(offer(&mut desks[0], false, &mut all));
        !disk.files().contains_key(&first)
    });
    writer.stop();
    let (recovery, found) = recovered(&disk, &options).expect("sound");
    assert!(found.len() < all.len() && !found.is_empty());
    assert_eq!(found, all[all.len() - found.len()..]);
    assert_eq!(recovery.last[0], all.len() as u64);
    // One more is missing than was given up.
    let oldest = segment::numbers(&disk).expect("segments")[0];
    disk.remove(&segment::name(oldest)).expect("removed");
    let halt = recovered(&disk, &options).expect_err("missing");
    assert!(matches!(halt.damage, Damage::Missing), "{halt}");
}
