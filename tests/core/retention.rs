//! A life longer than the retention: what is still owed outlives the segment it was noted in.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use authswitch::base::ids::WorkerId;
use authswitch::base::time::Wall;
use authswitch::journal::{self, Desk, Folder, Key, Options, Writer};
use authswitch::switch::batch::Batch;
use authswitch::switch::record::{self, Owed, Record, Records};
use authswitch::switch::recover::Recovery;
use authswitch::switch::{Event, Outbox};

use crate::money::one_reversal;
use crate::rig::{ACQUIRER, BUDGET, HOST, PARTNER, POS, Rig, sale};

/// A journal of small segments that are old after 100 s.
struct Kept {
    folder: PathBuf,
    now: Arc<AtomicU64>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

impl Kept {
    fn new(of: &str) -> Self {
        let name = format!("authswitch-retention-{of}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        drop(std::fs::remove_dir_all(&folder));
        Self { folder, now: Arc::new(AtomicU64::new(1_795_313_565)) }
    }

    /// Opens it: the writer, the desk of the one worker, and what was found.
    fn open(&self) -> (Writer, Desk, Recovery) {
        let key = Key::from_text(&"5a".repeat(32)).expect("a key");
        let mut options = Options::new(1, key);
        (options.segment_bytes, options.reserve_bytes) = (16 << 10, 16 << 10);
        options.retention = Duration::from_secs(100);
        let files = Folder::at(&self.folder).expect("a folder");
        let mut found = Recovery::default();
        let recovery = journal::recover(&options, &files, &mut |batch| {
            found.read_batch(WorkerId(batch.worker), batch.number, batch.clear, batch.secret);
        });
        let now = Arc::clone(&self.now);
        let clock = Arc::new(move || Wall::from_unix_s(now.load(Ordering::SeqCst)));
        let recovery = recovery.expect("sound");
        let (writer, mut desks) =
            journal::start(&options, Arc::new(files), recovery, clock).expect("started");
        (writer, desks.pop().expect("a desk"), found)
    }

    fn has_first_segment(&self) -> bool {
        self.folder.join("000000000001.segment").exists()
    }
}

/// What the shell does at the end of a turn; waits until all is durable.
fn turn(rig: &mut Rig, desk: &mut Desk) {
    let asked = desk.giving_up();
    if let Some(asked) = asked {
        rig.feed(Event::Forgetting(asked.batch));
    }
    while let Some(batch) = rig.outbox.seal() {
        desk.hand_in(batch).expect("taken");
    }
    asked.into_iter().for_each(|asked| desk.noted_again(asked));
    while desk.durable() + 1 < desk.next_number() {
        std::thread::park_timeout(Duration::from_micros(100));
    }
    rig.outbox.durable(desk.durable());
}

fn outlive_first_segment(kept: &Kept, rig: &mut Rig, desk: &mut Desk) {
    let mut rounds = 0;
    while kept.has_first_segment() {
        kept.now.fetch_add(10, Ordering::SeqCst);
        (0..50).for_each(|_| rig.outbox.records.push(&Record::Handed(1)));
        turn(rig, desk);
        rounds += 1;
        assert!(rounds < 10_000, "it is never removed");
    }
}

/// The next life, behind what was found.
fn next_life(desk: &Desk, epoch: u32, recovery: Recovery) -> Rig {
    let mut next = Rig::closed("pos-bcd", "pos-bcd", |setup| setup.epoch = epoch);
    next.outbox = Outbox::recorded(desk.next_number());
    next.switch.begin_resuming(next.now, &Arc::new(recovery), &mut next.outbox);
    next.wait(Duration::ZERO);
    next
}

/// A start does not write what it finds, so that it is short; still nothing is lost with its
/// segment, in whichever life that is given up.
#[test]
fn what_is_carried_on_is_not_noted_again_and_outlives_its_segment() {
    let kept = Kept::new("carried");
    let (writer, mut desk, _) = kept.open();
    let mut rig = Rig::closed("pos-bcd", "pos-bcd", |_| ());
    rig.outbox = Outbox::recorded(desk.next_number());
    rig.open(POS, ACQUIRER);
    rig.open(HOST, PARTNER);
    rig.ask(POS, &sale(1));
    turn(&mut rig, &mut desk);
    rig.at_host();
    rig.wait(BUDGET);
    turn(&mut rig, &mut desk);
    let sent = one_reversal(&mut rig).typed("0421");
    writer.stop();
    for epoch in 1..4 {
        let (writer, mut desk, recovery) = kept.open();
        assert_eq!(recovery.counts().1, 1, "life {epoch}");
        let mut next = next_life(&desk, epoch, recovery);
        assert!(next.outbox.seal().is_none(), "nothing is written");
        if epoch == 2 {
            outlive_first_segment(&kept, &mut next, &mut desk);
        }
        next.open(HOST, PARTNER);
        turn(&mut next, &mut desk);
        assert_eq!(next.at_host(), std::slice::from_ref(&sent));
        writer.stop();
    }
}

/// The partner is silent for longer than anything is kept.
#[test]
fn what_is_owed_outlives_the_segment_it_was_noted_in() {
    let kept = Kept::new("noted");
    let (writer, mut desk, _) = kept.open();
    let mut rig = Rig::closed("pos-bcd", "pos-bcd", |_| ());
    rig.outbox = Outbox::recorded(desk.next_number());
    rig.open(POS, ACQUIRER);
    rig.open(HOST, PARTNER);
    // One is sent and never answered; of the other no copy was ever sent.
    rig.ask(POS, &sale(1));
    turn(&mut rig, &mut desk);
    rig.at_host();
    rig.wait(BUDGET);
    turn(&mut rig, &mut desk);
    let sent = one_reversal(&mut rig);
    rig.ask(POS, &sale(2));
    turn(&mut rig, &mut desk);
    assert_eq!(rig.at_host().len(), 1, "it has left");
    rig.feed(Event::Closed { session: HOST });
    turn(&mut rig, &mut desk);
    // Nothing else happens, but other workers fill the journal.
    outlive_first_segment(&kept, &mut rig, &mut desk);
    writer.stop();
    let (writer, mut desk, recovery) = kept.open();
    assert_eq!(recovery.counts(), (0, 2), "what was asked is forgotten, not what is owed");
    let mut next = Rig::closed("pos-bcd", "pos-bcd", |setup| setup.epoch = 1);
    next.outbox = Outbox::recorded(desk.next_number());
    let now = next.now;
    next.switch.resume(now, &recovery, &mut next.outbox);
    next.open(POS, ACQUIRER);
    next.open(HOST, PARTNER);
    turn(&mut next, &mut desk);
    let mut owed = next.at_host();
    owed.sort_by_key(|message| message.mti.clone());
    assert_eq!((owed.len(), owed[0].mti.as_str()), (2, "0420"), "{owed:?}");
    assert_eq!(owed[1], sent.typed("0421"), "a copy may have been sent");
    writer.stop();
}

/// A backlog that is read back is more than a journal takes at once.
#[test]
fn a_long_backlog_is_noted_again_in_batches_that_a_journal_takes() {
    let backlog = owed(0..COUNT);
    let mut recovery = Recovery::default();
    recovery.read(&backlog.clear, &backlog.secret);
    let mut carried = Recovery::default();
    carried.read_batch(WorkerId(0), 7, &backlog.clear, &backlog.secret);

    let mut next = Rig::closed("pos-bcd", "pos-bcd", |setup| setup.epoch = 1);
    next.outbox = Outbox::recorded(1);
    let now = next.now;
    next.switch.resume(now, &recovery, &mut next.outbox);
    check_backlog(&mut next);
    next.feed(Event::Forgetting(0));
    assert!(next.outbox.seal().is_none(), "what is young is left alone");
    next.feed(Event::Forgetting(1 << 20));
    check_backlog(&mut next);

    // Most of it is in no lane yet.
    let mut next = Rig::closed("pos-bcd", "pos-bcd", |setup| setup.epoch = 1);
    next.outbox = Outbox::recorded(8);
    next.switch.begin_resuming(next.now, &Arc::new(carried), &mut next.outbox);
    next.feed(Event::Forgetting(6));
    assert!(next.outbox.seal().is_none(), "what is young is left alone");
    next.feed(Event::Forgetting(7));
    check_backlog(&mut next);
}

/// Records of reversals with these numbers.
fn owed(ids: std::ops::Range<u64>) -> Records {
    let mut rig = Rig::closed("pos-bcd", "pos-bcd", |_| ());
    rig.outbox = Outbox::recorded(1);
    rig.open(POS, ACQUIRER);
    rig.open(HOST, PARTNER);
    rig.ask(POS, &sale(1));
    let mut batches: Vec<Batch> = std::iter::from_fn(|| rig.outbox.seal()).collect();
    rig.outbox.durable(u64::MAX);
    assert_eq!(rig.at_host().len(), 1, "it has left");
    rig.wait(BUDGET);
    batches.extend(std::iter::from_fn(|| rig.outbox.seal()));
    let records = batches.iter().flat_map(|batch| record::read(&batch.clear, &batch.secret));
    let owed = records.filter_map(|record| match record {
        Record::Owed(owed) => Some(owed),
        _ => None,
    });
    let owed = owed.last().expect("a reversal");
    let mut backlog = Records { on: true, ..Records::default() };
    ids.for_each(|id| {
        backlog.push(&Record::Owed(Owed { id, stan: 750_001 + id as u32, ..owed }));
    });
    backlog
}

/// The numbers of what is put on record.
fn noted(rig: &mut Rig) -> Vec<u64> {
    let mut ids = Vec::new();
    while let Some(batch) = rig.outbox.seal() {
        ids.extend(record::read(&batch.clear, &batch.secret).filter_map(|record| match record {
            Record::Owed(owed) => Some(owed.id),
            _ => None,
        }));
    }
    ids.sort_unstable();
    ids
}

/// Of several workers there is one left. What others put on record it puts on record itself, at
/// once; what is its own when the batch is given up in which that stands last.
#[test]
fn what_is_carried_on_is_noted_again_with_its_own_batch() {
    let mut recovery = Recovery::default();
    let batches = [(0, 7, 0..2), (1, 7, 2..4), (0, 8, 4..6), (1, 8, 6..8), (0, 9, 1..2)];
    for (worker, number, ids) in batches {
        let records = owed(ids);
        recovery.read_batch(WorkerId(worker), number, &records.clear, &records.secret);
    }
    let mut next = Rig::closed("pos-bcd", "pos-bcd", |setup| setup.epoch = 1);
    next.outbox = Outbox::recorded(10);
    next.switch.begin_resuming(next.now, &Arc::new(recovery), &mut next.outbox);
    assert_eq!(noted(&mut next), [2, 3, 6, 7], "of the worker that is gone");
    for (given_up, again) in [(6, &[][..]), (7, &[0]), (8, &[4, 5]), (9, &[1])] {
        next.feed(Event::Forgetting(given_up));
        assert_eq!(noted(&mut next), again, "batch {given_up}");
    }
}

/// What was noted is all there, in several batches of a size that is taken.
fn check_backlog(rig: &mut Rig) {
    let (mut again, mut longest, mut count) = (Recovery::default(), 0, 0);
    while let Some(batch) = rig.outbox.seal() {
        longest = longest.max(batch.clear.len() + batch.secret.len());
        count += 1;
        again.read(&batch.clear, &batch.secret);
    }
    assert!(count > 1 && longest < 1 << 20, "{count} batches, {longest} bytes");
    assert_eq!(again.counts().1, COUNT as usize);
}

const COUNT: u64 = 6000;
