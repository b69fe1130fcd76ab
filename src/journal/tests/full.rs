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
    // Seven fit into it, one more is taken and waits. If it was slow to be known that there is no
    // next segment, an ordinary one that was taken before has one of those places.
    assert!(all.len() >= ordinary + 7, "the reserve was used: {ordinary} of {}", all.len());
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
    disk.remove(&unused(&disk)).expect("it was made ready");
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

/// The segment that the last run made ready and did not use.
fn unused(disk: &Disk) -> String {
    let name = segment::name(recovered(disk, &options()).expect("sound").0.next.segment);
    assert!(disk.files().contains_key(&name), "{name} was made ready");
    name
}

/// It has its room already; its header is another, or a block that was lost and the one that takes
/// its number would be sealed alike.
#[test]
fn a_start_goes_on_in_the_segment_that_was_made_ready() {
    let (disk, mut all) = journal(10);
    let name = unused(&disk);
    let before = disk.files()[&name].clone();
    disk.set_room(Some(disk.used()));
    let (writer, mut desks, _) = open(&disk, &options()).expect("no room is needed");
    assert!(offer(&mut desks[0], false, &mut all), "an ordinary one");
    writer.stop();
    let after = disk.files()[&name].clone();
    assert_eq!(before[16..40], after[16..40], "number, time and key");
    assert_ne!(before[40..72], after[40..72], "the salt");
    assert_eq!(recovered(&disk, &options()).expect("sound").1, all);
}

/// Something stands in it that is no block: it is not trusted.
#[test]
fn a_segment_that_is_not_all_zeros_is_made_anew() {
    let (disk, mut all) = journal(10);
    let name = unused(&disk);
    let mut files = disk.files();
    files.get_mut(&name).expect("it is there")[8000] = 1;
    let disk = Disk::with(&files);
    let (writer, mut desks, _) = open(&disk, &options()).expect("sound");
    assert_eq!(disk.files()[&name][8000], 0);
    assert!(offer(&mut desks[0], false, &mut all));
    writer.stop();
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
    let is_kept = || disk.files().contains_key(&first);
    // Both desks are asked. Only one answers, however old the segment is by now.
    for _ in 0..100 {
        now.fetch_add(10, Ordering::SeqCst);
        assert!(offer(&mut desks[0], false, &mut all));
        answer(&mut desks[1]);
    }
    let asked = desks[0].giving_up().expect("asked long ago");
    assert!(is_kept() && asked.batch > 1, "{asked:?}");
    let mut given_up = 0;
    wait("the first segment is removed", || {
        now.fetch_add(10, Ordering::SeqCst);
        given_up = answer(&mut desks[0]).unwrap_or(given_up);
        answer(&mut desks[1]);
        assert!(offer(&mut desks[0], false, &mut all));
        !is_kept()
    });
    writer.stop();
    let (recovery, found) = recovered(&disk, &options).expect("sound");
    assert!(found.len() < all.len() && !found.is_empty());
    assert!(found[0].1 <= given_up + 1, "no more is gone than was said");
    assert_eq!(found, all[all.len() - found.len()..]);
    assert_eq!(recovery.last[0], all.len() as u64);
    // One more is missing than was given up.
    let oldest = segment::numbers(&disk).expect("segments")[0];
    disk.remove(&segment::name(oldest)).expect("removed");
    let halt = recovered(&disk, &options).expect_err("missing");
    assert!(matches!(halt.damage, Damage::Missing), "{halt}");
}

/// Nothing matters to this desk; returns up to which batch it was asked for.
fn answer(desk: &mut Desk) -> Option<u64> {
    let asked = desk.giving_up()?;
    desk.noted_again(asked);
    Some(asked.batch)
}

/// What the desk notes again must be durable first, and a desk of a former life is not waited for.
#[test]
fn a_segment_stays_until_what_matters_of_it_is_durable_elsewhere() {
    let (disk, _) = journal(6);
    let mut options = options();
    (options.workers, options.retention) = (1, Duration::ZERO);
    let now = Arc::new(AtomicU64::new(1_800_000_000));
    let clock: Clock = Arc::new(move || Wall::from_unix_s(now.fetch_add(1, Ordering::SeqCst)));
    let (recovery, _) = recovered(&disk, &options).expect("sound");
    assert_eq!(recovery.kept.back().map(|kept| kept.last.to_vec()), Some(vec![6, 6]));
    assert!(recovery.kept.iter().map(|kept| kept.last.first()).is_sorted());
    let (writer, mut desks) =
        start(&options, Arc::new(disk.clone()), recovery, clock).expect("started");
    let desk = &mut desks[0];
    let first = segment::name(1);
    while desk.giving_up().is_none() {
        assert!(put(desk, 0));
    }
    // The answer depends on a batch that is handed in before it.
    let asked = desk.giving_up().expect("asked");
    assert!(asked.batch >= 6 && disk.files().contains_key(&first));
    let (mut again, number) = (batch(0, desk.next_number()), desk.next_number());
    again.clear = b"noted again".to_vec();
    desk.hand_in(again).expect("taken");
    desk.noted_again(asked);
    assert_eq!(desk.giving_up(), None);
    while disk.files().contains_key(&first) {
        assert!(put(desk, 0));
    }
    assert!(desk.durable() >= number);
    writer.stop();
    let (_, found) = recovered(&disk, &options).expect("sound");
    assert!(found.iter().any(|(_, _, clear, _)| clear == b"noted again"));
}

#[test]
fn an_answer_counts_when_what_was_handed_in_before_it_is_durable() {
    let common = Arc::new(desk::Common::new(&[5, 9]));
    let mut desk = Desk::new(&common, 0, 1 << 20);
    let (written, last) = (Wall::from_unix_s(0), [4, 9].into());
    assert_eq!(desk.giving_up(), None);
    common.ask(1, &recover::Kept { segment: 3, written, last });
    let asked = desk.giving_up().expect("asked");
    assert!(asked.batch == 4 && !common.may_give_up(1, 3), "it has not answered");
    desk.hand_in(batch(0, 6)).expect("taken");
    desk.noted_again(asked);
    assert!(!common.may_give_up(1, 3), "batch 6 is not durable");
    common.slots[0].durable.store(6, Ordering::Release);
    assert!(common.may_give_up(1, 3) && !common.may_give_up(1, 4));
    assert!(!common.may_give_up(2, 3), "the other desk was not asked");
}
