//! Acts on a journal in a real folder, with and without somebody who writes it.

use super::*;
use crate::base::ids::LinkId;
use crate::base::time::Wall;
use crate::journal::Writer;
use crate::switch::record::Owed;
use crate::switch::saf::Kind;

/// A folder that goes when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("authswitch-closing-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&path));
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn key() -> Key {
    Key::from_text(&"5a".repeat(32)).expect("a key")
}

fn options() -> Options {
    Options { segment_bytes: 1 << 16, ..Options::new(1, key()) }
}

/// Opens the journal as a switch would.
fn opened(folder: &Path) -> (Writer, Desk) {
    let files = Folder::at(folder).expect("a folder");
    let recovery = journal::recover(&options(), &files, &mut |_| {}).expect("sound");
    let clock = Arc::new(|| Wall::from_unix_s(1_700_000_000));
    let (writer, mut desks) =
        journal::start(&options(), Arc::new(files), recovery, clock).expect("started");
    (writer, desks.pop().expect("a desk"))
}

/// Transaction 5 is an exception, 6 is owed.
fn write(desk: &mut Desk) {
    let mut records = Records { on: true, ..Records::default() };
    let (partner, kind) = (LinkId(1), Kind::Reversal);
    let owed = |id| Owed { id, partner, stan: id as u32, kind, message: b"0420" };
    for record in [Record::Owed(owed(5)), Record::Owed(owed(6)), Record::Exception(5, 30)] {
        records.push(&record);
    }
    let Records { clear, secret, urgent, .. } = records;
    let number = desk.next_number();
    desk.hand_in(Batch { number, clear, secret, urgent }).expect("taken");
    while desk.durable() < number {
        std::thread::park_timeout(PAUSE);
    }
}

fn act(id: u64) -> Act {
    Act::new(id, 1_700_000_000, "rb", "settled by telephone").expect("an act")
}

fn ledger(folder: &Path) -> Ledger {
    let (files, key) = (Folder::at(folder).expect("a folder"), key());
    let mut ledger = Ledger::default();
    for batch in journal::read(&files, &key).expect("readable") {
        let batch = batch.expect("sound");
        ledger.read(&batch.clear, &batch.secret);
    }
    ledger
}

#[test]
fn without_a_switch_the_act_is_on_record_at_once() {
    let scratch = Scratch::new("alone");
    let (writer, mut desk) = opened(&scratch.0);
    write(&mut desk);
    writer.stop();
    assert_eq!(close(&scratch.0, &key(), &act(5)), Ok(Entered::Recorded));
    assert_eq!(close(&scratch.0, &key(), &act(6)), Ok(Entered::DebtEnded));
    for (id, why) in [(5, "closed by rb"), (6, "closed by rb"), (7, "knows no")] {
        let refused = close(&scratch.0, &key(), &act(id)).expect_err("nothing to close");
        assert!(refused.contains(why), "{refused}");
    }
    let text = ledger(&scratch.0).table(true);
    assert!(text.contains("0 exceptions in 2 transactions, 2 more closed"), "{text}");
    // What was appended is part of a journal that goes on.
    let (writer, mut desk) = opened(&scratch.0);
    write(&mut desk);
    writer.stop();
    assert!(!scratch.0.join(SPOOL).exists(), "nothing was left for anybody");
}

#[test]
fn with_a_switch_the_act_is_taken_in_by_it() {
    let scratch = Scratch::new("beside");
    let (writer, mut desk) = opened(&scratch.0);
    write(&mut desk);
    let mut office = Office::new(desk, &scratch.0);
    assert_eq!(office.look(), Vec::<String>::new());
    let refused = close(&scratch.0, &key(), &act(6)).expect_err("it is being sent");
    assert!(refused.contains("still owed"), "{refused}");
    let folder = scratch.0.clone();
    let person = std::thread::spawn(move || close(&folder, &key(), &act(5)));
    let mut told = Vec::new();
    while !person.is_finished() {
        told.extend(office.look());
        std::thread::park_timeout(PAUSE);
    }
    assert_eq!(person.join().expect("no panic"), Ok(Entered::Recorded));
    assert_eq!(told, ["closed       5 by rb: settled by telephone"]);
    assert!(ledger(&scratch.0).entry(5).is_err_and(|why| why.contains("closed by rb")));
    assert_eq!(ledger(&scratch.0).entry(6), Ok(Entry::Owed));
    writer.stop();
}

/// The switch dies between the record and the removal of the file: once more says nothing new.
#[test]
fn an_act_that_waits_is_taken_in_by_the_next_life() {
    let scratch = Scratch::new("waits");
    let (writer, mut desk) = opened(&scratch.0);
    write(&mut desk);
    writer.stop();
    let path = spool(&scratch.0, &act(5)).expect("spooled");
    // It came to be owed after the person looked.
    let raced = spool(&scratch.0, &act(6)).expect("spooled");
    let wrong = path.with_file_name(format!("wrong{ACT}"));
    fs::write(&wrong, "{\"id\":5}").expect("written");
    fs::write(path.with_extension("new"), "{\"id\":").expect("written");
    for _ in 0..2 {
        let copy = fs::read(&path).expect("it waits");
        let (writer, desk) = opened(&scratch.0);
        let mut office = Office::new(desk, &scratch.0);
        while path.exists() || raced.exists() {
            office.look();
            std::thread::park_timeout(PAUSE);
        }
        writer.stop();
        fs::write(&path, copy).expect("written again");
    }
    assert!(!wrong.exists() && wrong.with_extension("refused").exists());
    let text = ledger(&scratch.0).table(false);
    assert!(text.contains("0 exceptions in 2 transactions, 2 more closed"), "{text}");
    assert_eq!(ledger(&scratch.0).entry(6), Ok(Entry::Owed), "an act from the spool ends no debt");
}

#[test]
fn texts_that_do_not_belong_on_record_are_refused() {
    let long = "a".repeat(REASON_BYTES_MAX + 1);
    for (by, reason) in [
        ("", "settled"),
        ("rb", " "),
        ("rb", "two\nlines"),
        ("rb", &long),
        ("rb", "card 4761 3400-0000 0019"),
        ("4761340000000019", "settled"),
    ] {
        assert!(Act::new(5, 0, by, reason).is_err(), "{by:?} {reason:?}");
    }
    assert!(Act::new(5, 0, "rb", "RRN 612345678901, 12.50, see ticket 4711").is_ok());
}
