//! The same question with a journal: what is put on record, stored, owed and sent again.
//!
//! The journal is a real one in a folder of its own. Its writer is another thread, whose memory is
//! not counted here; what is, is all that a worker does: the core, the outbox, the desk. A round
//! waits until its batches are stored and their buffers are back, as a worker would find them.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use authswitch::base::time::Wall;
use authswitch::journal::{Desk, Durability, Folder, Key, Options, Writer, recover, start};
use authswitch::switch::{Counter, Outbox};

use super::rig::{BUDGET, HOST, POS, answer_to, framed, plain, sale};
use super::{MEASURED, Meter, PAIRS};

/// A journal, and the worker's end of it.
pub(super) struct Journal {
    desk: Desk,
    writer: Option<Writer>,
    folder: PathBuf,
    /// A planted mistake: buffers do not come back.
    keeps_buffers: bool,
}

impl Journal {
    fn new() -> Self {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("authswitch-alloc-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let key = Key::from_text(&"5a".repeat(32)).expect("64 digits");
        let mut options = Options::new(1, key);
        options.durability = Durability::Process;
        options.segment_bytes = 4 << 20;
        options.reserve_bytes = 4 << 20;
        let files = Folder::at(&folder).expect("a folder");
        let recovery = recover(&options, &files, &mut |_| ()).expect("nothing to recover");
        let clock = Arc::new(|| Wall::from_unix_s(1_795_313_565));
        let (writer, mut desks) =
            start(&options, Arc::new(files), recovery, clock).expect("it starts");
        Self { desk: desks.remove(0), writer: Some(writer), folder, keeps_buffers: false }
    }

    /// Stores what was recorded, as the shell does at the end of a turn, and waits for it.
    pub(super) fn store(&mut self, outbox: &mut Outbox) {
        let mut under_way = 0;
        while let Some(batch) = outbox.seal() {
            self.desk.hand_in(batch).expect("there is room");
            under_way += 1;
        }
        while under_way > 0 {
            match self.desk.spare() {
                Some(_) if self.keeps_buffers => under_way -= 1,
                Some((clear, secret)) => {
                    outbox.give_back(clear);
                    outbox.give_back(secret);
                    under_way -= 1;
                }
                None => std::thread::yield_now(),
            }
        }
        outbox.durable(self.desk.durable());
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.stop();
        }
        // What is left lies in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Meters that keep a journal, for each pair of dialects.
fn kept() -> impl Iterator<Item = Meter> {
    PAIRS.iter().map(|(acquirer, partner)| {
        let mut meter = Meter::new(acquirer, partner, |_| ());
        let journal = Journal::new();
        meter.rig.outbox = Outbox::recorded(journal.desk.next_number());
        meter.rig.outbox.open(POS);
        meter.rig.outbox.open(HOST);
        // What is lent is not always the same buffer: all are as large as a busy turn made them.
        (0..BUFFERS).for_each(|_| meter.rig.outbox.give_back(Vec::with_capacity(1 << 14)));
        meter.journal = Some(journal);
        meter
    })
}

/// With and without a journal.
fn both() -> impl Iterator<Item = Meter> {
    kept().chain(super::meters())
}

/// More than a round uses at once.
const BUFFERS: usize = 16;

/// Longer than the pace of reversals.
const PAUSE: Duration = Duration::from_millis(1);

#[test]
fn a_transaction_on_record() {
    for meter in kept() {
        let done = meter.run(|meter, number| {
            let forwarded = meter.ask(&sale(number));
            let code = if number % 2 == 0 { "00" } else { "51" };
            meter.answer(&answer_to(&forwarded, code));
            assert_eq!(meter.at_pos(), [answer_to(&sale(number), code)]);
        });
        let stored = done.journal.as_ref().map(|journal| journal.desk.durable());
        assert!(stored >= Some(u64::from(2 * MEASURED)), "{stored:?}");
        done.check(Counter::Answered, 1);
    }
}

#[test]
fn a_repeat_of_what_was_answered() {
    for meter in both() {
        let done = meter.run(|meter, number| {
            let forwarded = meter.ask(&sale(number));
            meter.answer(&answer_to(&forwarded, "00"));
            let frame = framed(&meter.rig.acquirer, &sale(number).typed("0201"));
            meter.receive(POS, &frame);
            assert_eq!(meter.at_pos()[0].code(), "00");
            assert!(meter.written[0].1.is_empty(), "nobody is asked again");
        });
        done.check(Counter::Answered, 1);
    }
}

/// The partner answers all copies at once, or is silent and all are declined.
#[test]
fn a_repeat_that_waits_for_the_answer_to_the_first_copy() {
    for meter in both() {
        let done = meter.run(|meter, number| {
            let forwarded = meter.ask(&sale(number));
            let frame = framed(&meter.rig.acquirer, &sale(number).typed("0201"));
            (0..2).for_each(|_| meter.receive(POS, &frame));
            assert!(meter.at_pos().is_empty() && meter.written[0].1.is_empty(), "they wait");
            if number % 2 == 0 {
                meter.answer(&answer_to(&forwarded, "00"));
            } else {
                meter.pass(BUDGET);
            }
            let code = if number % 2 == 0 { "00" } else { "91" };
            let told: Vec<_> = meter.at_pos().iter().map(|told| told.code().to_owned()).collect();
            assert_eq!(told, [code; 3]);
            if number % 2 == 1 {
                meter.take_reversal();
            }
        });
        done.check(Counter::Repeats, 2);
    }
}

#[test]
fn a_sale_that_its_terminal_takes_back() {
    for meter in both() {
        let done = meter.run(|meter, number| {
            let forwarded = meter.ask(&sale(number));
            meter.answer(&answer_to(&forwarded, "00"));
            meter.pass(PAUSE);
            let taken_back = sale(number).typed("0400").with(7, "1122021300");
            let frame = framed(&meter.rig.acquirer, &taken_back);
            meter.receive(POS, &frame);
            assert_eq!((meter.at_pos()[0].mti.as_str(), meter.at_pos()[0].code()), ("0410", "00"));
            meter.take_reversal();
        });
        done.check(Counter::ReversalsDone, 1);
    }
}

/// Through the lane of store and forward: a first copy that is not answered, and one that is. Half
/// an hour passes meanwhile, so what happens once in a while may happen.
#[test]
fn a_reversal_that_is_sent_again() {
    for meter in both() {
        let done = meter.run(|meter, number| {
            meter.ask(&sale(number));
            meter.pass(BUDGET);
            assert_eq!(meter.at_pos()[0].code(), "91");
            assert_eq!(reversals(meter).len(), 1);
            while reversals(meter).is_empty() || reversals(meter)[0].ends_with('0') {
                meter.pass(Duration::from_millis(200));
            }
            meter.take_reversal();
        });
        assert!(done.rig.count(Counter::ReversalsDone) >= u64::from(MEASURED));
        assert!(done.allocations <= 2, "{} in {MEASURED} rounds", done.allocations);
    }
}

/// MTIs of the reversals that the partner was sent last.
fn reversals(meter: &Meter) -> Vec<String> {
    let sent = plain(&meter.rig.partner, &meter.written[0].1);
    sent.into_iter().map(|message| message.mti).collect()
}

/// The partner goes away with reversals owed, and comes back: what piles up and drains again needs
/// no memory that was not there before.
#[test]
fn a_backlog_that_was_as_long_before() {
    for meter in kept() {
        let done = meter.run(|meter, number| {
            for sale_number in 0..4 {
                meter.ask(&sale(4 * number + sale_number));
            }
            meter.pass(BUDGET);
            for _ in 0..8 {
                let sent = plain(&meter.rig.partner, &meter.written[0].1);
                for reversal in sent {
                    meter.answer(&answer_to(&reversal, "00"));
                }
                meter.pass(PAUSE);
            }
        });
        done.check(Counter::ReversalsDone, 4);
    }
}

/// The proof that an allocation on the way to the journal would be seen.
#[test]
fn buffers_that_do_not_come_back_are_counted() {
    let mut meter = kept().next().expect("one of the pairs");
    meter.journal.iter_mut().for_each(|journal| journal.keeps_buffers = true);
    let done = meter.run(|meter, number| {
        let forwarded = meter.ask(&sale(number));
        meter.answer(&answer_to(&forwarded, "00"));
    });
    assert!(done.allocations >= u64::from(MEASURED), "{}", done.allocations);
}
