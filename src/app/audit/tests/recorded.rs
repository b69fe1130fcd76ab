//! Each check of the journal is proven by breaking it: a sound journal of the clean pair, one edit.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::app::audit::journal::{Journal, holds};
use crate::base::ids::LinkId;
use crate::base::time::Wall;
use crate::journal::{self, Folder, Key, Options};
use crate::switch::batch::Batch;
use crate::switch::recent::TerminalKey;
use crate::switch::record::{Closed, Intent, Outcome, Owed, Record, Records};
use crate::switch::saf::Kind;

const ACCOUNT: &[u8] = b"\x104761340000000019";
const PARTNER: LinkId = LinkId(1);

/// A record with a tag to find it by, such as `3.intent`.
type Written = (String, Records);

/// What a switch that kept the rules has on record of the clean pair.
fn sound() -> Vec<Written> {
    let mut written = Vec::new();
    for number in [1, 2, 3, 4, 5, 6, 7, 9, 10, 11] {
        if number != 6 {
            intent(&mut written, number, "");
        }
        match number {
            1 | 4 | 5 | 7 => outcome(&mut written, number, Some(*b"A00001")),
            6 => {}
            _ => outcome(&mut written, number, None),
        }
        if matches!(number, 3 | 4 | 6 | 9 | 10 | 11) {
            let mti = if number == 6 { "0120" } else { "0100" };
            owed(&mut written, number, &origin(mti, 100 + number), 1_000 + number);
            write(&mut written, number, "sent", &Record::Sent(number.into()));
            write(&mut written, number, "done", &Record::Done(number.into()));
        }
    }
    written
}

fn write(written: &mut Vec<Written>, number: u32, name: &str, record: &Record<'_>) {
    let mut records = Records { on: true, ..Records::default() };
    records.push(record);
    written.push((format!("{number}.{name}"), records));
}

/// The values of a request as its record has them, and `more`.
fn intent(written: &mut Vec<Written>, number: u32, more: &str) {
    let values = base(number).into_iter().filter(|(element, _)| *element != 2);
    let head: String = values.map(|(_, value)| value).chain([more.to_owned()]).collect();
    let intent = Intent {
        id: number.into(),
        at_s: 0,
        acquirer: LinkId(0),
        partner: PARTNER,
        stan: 100 + number,
        key: TerminalKey::default(),
        amount: Some(1_000 + u64::from(number)),
        head: head.as_bytes(),
        tail: b"",
        pan: ACCOUNT,
    };
    write(written, number, "intent", &Record::Intent(intent));
}

fn outcome(written: &mut Vec<Written>, number: u32, approval: Option<[u8; 6]>) {
    let approval = approval.map(|_| *format!("A{number:05}").as_bytes().first_chunk().expect("6"));
    let (approved, code) = (approval.is_some(), if approval.is_some() { *b"00 " } else { *b"91 " });
    let outcome = Outcome { id: number.into(), approved, code, approval, part: None };
    write(written, number, "outcome", &Record::Outcome(outcome));
}

fn owed(written: &mut Vec<Written>, number: u32, original: &str, amount: u32) {
    let message = format!("0420{amount:012}RRN{number:09}TERM{number:04}{original}");
    let (id, kind, message) = (number.into(), Kind::Reversal, message.as_bytes());
    let owed = Owed { id, partner: PARTNER, stan: 200 + number, kind, message };
    write(written, number, "owed", &Record::Owed(owed));
}

fn journal(written: &[Written]) -> Journal {
    let parts = |(_, records): &Written| (records.clear.clone(), records.secret.clone());
    Journal::of(&written.iter().map(parts).collect::<Vec<_>>()).expect("sound")
}

fn report(script: &Script, written: &[Written]) -> Report {
    let inputs = Inputs {
        acquirer: script.text("acquirer"),
        partners: vec![script.text("partner")],
        journal: Some(journal(written)),
        ..Inputs::default()
    };
    audit(&inputs, Terms { budget_ns: 1_000 * MS, slack_ns: 10 * MS }).expect("lines are sound")
}

fn without(tags: &[&str]) -> Vec<Written> {
    let mut written = sound();
    let before = written.len();
    written.retain(|(tag, _)| !tags.contains(&tag.as_str()));
    assert_eq!(written.len() + tags.len(), before, "{tags:?} are there");
    written
}

fn with(tags: &[&str], change: impl FnOnce(&mut Vec<Written>)) -> Vec<Written> {
    let mut written = without(tags);
    change(&mut written);
    written
}

#[test]
fn a_sound_journal_of_a_clean_pair_is_clean() {
    let report = report(&clean(), &sound());
    assert_eq!(report.findings, [], "{report}");
}

/// A decline is no barrier, and what a person closed need not be done.
#[test]
fn what_may_be_missing_may_be_missing() {
    for tags in [&["2.outcome"][..], &["9.sent"], &["3.done"], &["8.none"][..0]] {
        let report = report(&clean(), &without(tags));
        assert_eq!(report.findings, [], "{tags:?}: {report}");
    }
    let mut script = clean();
    script.drop(&["4.0420", "4.0421", "4.0430"]);
    let (by, reason) = (&b"rb"[..], &b"settled"[..]);
    let closed = Closed { id: 4, at_s: 0, ends_debt: true, by, reason };
    let written = with(&["4.done"], |all| write(all, 4, "closed", &Record::Closed(closed)));
    let rules: Vec<_> = report(&script, &written).findings.iter().map(|f| f.rule).collect();
    assert_eq!(rules, ["I20"], "the transcripts' own; nothing is added to it");
}

type Edit = fn(&mut Script) -> &mut Script;

fn names(planted: &str, (rule, number): (&str, u32), edit: Edit, written: &[Written]) {
    let mut script = clean();
    edit(&mut script);
    let before = script.audit(None);
    let report = report(&script, written);
    let new = report.findings.iter().filter(|finding| !before.findings.contains(finding));
    let named: BTreeSet<_> = new.map(|f| (f.rule, f.terminal.clone())).collect();
    let terminal = match number {
        0 => "unknown".to_owned(),
        number => format!("TERM{number:04}"),
    };
    assert_eq!(named, BTreeSet::from([(rule, terminal)]), "{planted}:\n{report}");
}

#[test]
fn each_planted_hole_is_named_and_nothing_else() {
    let as_is: Edit = |script| script;
    names("no intent", ("I41", 1), as_is, &without(&["1.intent"]));
    names("no intent of a decline", ("I41", 2), as_is, &without(&["2.intent", "2.outcome"]));
    names("no outcome", ("I41", 1), as_is, &without(&["1.outcome"]));
    let other = with(&["1.outcome"], |all| {
        let (approval, code) = (Some(*b"A00009"), *b"00 ");
        let outcome = Outcome { id: 1, approved: true, code, approval, part: None };
        write(all, 1, "outcome", &Record::Outcome(outcome));
    });
    names("another DE 38", ("I41", 1), as_is, &other);
    let declined = with(&["1.outcome"], |all| outcome(all, 1, None));
    names("declined, by its record", ("I41", 1), as_is, &declined);
    let approved = with(&["2.outcome"], |all| outcome(all, 2, Some(*b"A00002")));
    names("approved, by its record", ("I41", 2), as_is, &approved);
    names("no debt", ("I41", 3), as_is, &without(&["3.owed"]));
    let debt = ["4.owed", "4.done"];
    names(
        "0410 without a debt",
        ("I20", 4),
        |s| s.drop(&["4.0420", "4.0421", "4.0430"]),
        &without(&debt),
    );
    let owed_only = without(&["9.done"]);
    names("owed, never sent", ("I20", 9), |s| s.drop(&["9.0420", "9.0421", "9.0430"]), &owed_only);
    names("done, never sent", ("I41", 9), |s| s.drop(&["9.0420", "9.0421", "9.0430"]), &sound());
    names("done, never answered", ("I21", 3), |s| s.drop(&["3.0430"]), &sound());
    names("done, by a 96", ("I21", 3), |s| s.set("3.0430", 39, "96"), &sound());
    let wrong = with(&["3.owed"], |all| owed(all, 3, &origin("0100", 999), 1_003));
    names("another DE 90", ("I23", 3), as_is, &wrong);
    let wrong = with(&["3.owed"], |all| owed(all, 3, &origin("0100", 103), 1_000));
    names("another amount", ("I23", 3), as_is, &wrong);
    let clear = with(&["1.intent"], |all| intent(all, 1, "4761340000000019"));
    names("an account in clear", ("I54", 1), as_is, &clear);
    let twice = with(&[], |all| {
        intent(all, 1, "");
        let last = all.last_mut().expect("it was written");
        // Another transaction of the same name.
        last.1.clear[3] = 99;
    });
    names("asked twice", ("I41", 0), as_is, &twice);
    let unheard = with(&[], |all| {
        intent(all, 13, "");
        outcome(all, 13, Some(*b"A00013"));
    });
    names("approved by nobody", ("I41", 0), as_is, &unheard);
}

/// What the switch keeps is what was asked, value by value.
#[test]
fn a_record_of_other_values_is_named() {
    for element in [4, 7, 11, 42] {
        let mut written = without(&["1.intent"]);
        intent(&mut written, 1, "");
        let (_, record) = written.last_mut().expect("it was written");
        let value = base(1).into_iter().find(|(e, _)| *e == element).expect("there").1;
        // It may stand in another value too, which is another value then.
        let mut places = record.clear.windows(value.len());
        let place = places.position(|part| part == value.as_bytes()).expect("it is kept");
        record.clear[place] = b'?';
        names("another value", ("I41", 1), |script| script, &written);
    }
}

#[test]
fn values_are_found_in_any_notation() {
    for bytes in
        [&b"..000017."[..], b"\xF0\xF0\xF0\xF0\xF1\xF7", b"\x00\x00\x17", b"\xA0\x00\x01\x7B"]
    {
        assert!(holds(bytes, "000017"), "{bytes:02X?}");
        assert!(!holds(bytes, "000018"), "{bytes:02X?}");
    }
    assert!(holds(b"\xE3\xC5\xD9\xD4\xF0", "TERM0") && !holds(b"TERM1", "TERM0"));
}

/// A journal on the disk, as the switch writes it.
struct OnDisk {
    folder: PathBuf,
    key: String,
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

impl OnDisk {
    fn new(name: &str, written: &[Written]) -> Self {
        let name = format!("authswitch-audit-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        drop(std::fs::remove_dir_all(&folder));
        let disk = Self { folder, key: "5a".repeat(32) };
        for life in written.chunks(written.len() / 3 + 1) {
            disk.append(life);
        }
        disk
    }

    fn append(&self, written: &[Written]) {
        let key = Key::from_text(&self.key).expect("a key");
        let mut options = Options::new(1, key);
        (options.segment_bytes, options.reserve_bytes) = (8 << 10, 8 << 10);
        let files = Folder::at(&self.folder).expect("a folder");
        let recovery = journal::recover(&options, &files, &mut |_| {}).expect("sound");
        let clock = Arc::new(|| Wall::from_unix_s(1_700_000_000));
        let (writer, mut desks) =
            journal::start(&options, Arc::new(files), recovery, clock).expect("started");
        for (_, records) in written {
            let number = desks[0].next_number();
            let (clear, secret) = (records.clear.clone(), records.secret.clone());
            desks[0].hand_in(Batch { number, clear, secret, urgent: false }).expect("taken");
        }
        writer.stop();
    }

    fn read(&self) -> Result<Journal, String> {
        Journal::read(&self.folder, &self.key)
    }

    fn segment(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{number:012}.segment"))
    }
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).expect("a segment");
    change(&mut bytes);
    std::fs::write(path, bytes).expect("written");
}

/// Over several segments, blocks and lives, sealed secrets and all.
#[test]
fn what_the_switch_writes_is_read() {
    let written = sound();
    let disk = OnDisk::new("sound", &written);
    assert!(disk.segment(3).exists());
    assert_eq!(disk.read().expect("sound"), journal(&written));
    let wrong = Journal::read(&disk.folder, &"5b".repeat(32)).expect_err("another key");
    assert!(wrong.contains("key"), "{wrong}");
    // A block that was never finished is the end of it.
    let last = (1..9).rev().find(|number| {
        std::fs::read(disk.segment(*number)).is_ok_and(|bytes| bytes[512..516] == *b"BLK1")
    });
    let last = disk.segment(last.expect("a segment with blocks"));
    let end = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != 0).expect("written");
    change(&last, |bytes| {
        let at = end(bytes);
        bytes[at] ^= 1;
    });
    let torn = disk.read().expect("torn is sound");
    assert!(torn.lives.len() <= journal(&written).lives.len() && torn != journal(&written));
}

#[test]
fn a_journal_that_is_not_sound_proves_nothing() {
    let disk = OnDisk::new("damaged", &sound());
    change(&disk.segment(1), |bytes| bytes[600] ^= 1);
    let wrong = disk.read().expect_err("a hole");
    assert!(wrong.contains("000000000001.segment: offset 512"), "{wrong}");
    change(&disk.segment(1), |bytes| bytes[600] ^= 1);
    disk.read().expect("mended");
    std::fs::remove_file(disk.segment(2)).expect("there");
    assert!(disk.read().is_err_and(|why| why.contains("does not follow")));
}
