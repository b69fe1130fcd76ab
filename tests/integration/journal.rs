//! The operator's view of a journal: exceptions, their closing, the export.

use std::io::Read;
use std::process::Stdio;

use crate::message::{Plain, answer_to, sale};
use crate::rig::{Folder, Host, Line, Serve, ms, pause, switch};

/// Runs a command on the journal: exit code, standard output, standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = switch(arguments).stdin(Stdio::null()).output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}

/// A switch with a journal, and its partner.
fn start(host: &Host, journal: &str) -> (Serve, Line) {
    let kept = ["--durability", "process", "--journal", journal, "--deadline", "300ms"];
    let mut serve = Serve::start(host.address, &kept);
    let mut partner = host.accept();
    partner.takes_reversals = false;
    serve.wait_for_line("connected");
    (serve, partner)
}

/// A sale that nobody answers; its reversal.
fn reversed(serve: &Serve, partner: &mut Line, stan: u32) -> Plain {
    let mut pos = serve.call();
    pos.send(&sale(stan));
    assert_eq!(partner.receive().mti, "0200");
    pos.receive().answers(&sale(stan), "91");
    let reversal = partner.receive();
    assert_eq!(reversal.mti, "0420");
    reversal
}

/// The transaction that the listing gives `why` for.
fn listed(journal: &str, why: &str) -> String {
    for _ in 0..100 {
        let (code, out, errors) = run(&["exceptions", journal, "--all"]);
        assert_eq!(code, 0, "{errors}");
        if let Some(line) = out.lines().find(|line| line.contains(why)) {
            return line.split(' ').next().expect("a number").to_owned();
        }
        pause(ms(50));
    }
    panic!("never listed: {why}");
}

#[test]
fn a_person_closes_exceptions_beside_the_switch_and_debts_without_it() {
    let (folder, host) = (Folder::new("closing", &[]), Host::new());
    let journal = folder.path("journal");
    let (serve, mut partner) = start(&host, &journal);
    let refused = reversed(&serve, &mut partner, 1);
    partner.send(&answer_to(&refused, "30"));
    reversed(&serve, &mut partner, 2);
    let exception = listed(&journal, "the partner said 30");
    let owed = listed(&journal, "still owed");
    let close = |id: &str| {
        run(&["exceptions", &journal, "close", id, "--reason", "settled, by post", "--by", "rb"])
    };
    let (code, _, errors) = close(&owed);
    assert_eq!((code, errors.contains("stop it first")), (1, true), "{errors}");
    let (code, out, errors) = close(&exception);
    assert_eq!((code, out.contains("is closed by rb")), (0, true), "{out}{errors}");
    let (code, out, _) = run(&["exceptions", &journal]);
    assert_eq!((code, out.lines().count()), (0, 2), "{out}");
    assert!(out.ends_with("0 exceptions in 2 transactions, 1 more closed\n"), "{out}");
    let (code, _, errors) = close(&exception);
    assert_eq!((code, errors.contains("was closed by rb")), (1, true), "{errors}");

    // Killed, and what is owed is closed: the next life does not send it.
    drop((serve, partner));
    let (code, out, errors) = close(&owed);
    assert_eq!((code, out.contains("not sent again")), (0, true), "{out}{errors}");
    let (serve, mut partner) = start(&host, &journal);
    partner.hears_nothing(ms(300));
    serve.call().ask(&Plain { mti: "0201".into(), ..sale(2) }).answers(&sale(2), "91");
    let (_, out, _) = run(&["exceptions", &journal, "--all"]);
    assert_eq!(out.matches("by rb: settled, by post").count(), 2, "{out}");
}

#[test]
fn a_journal_is_exported_while_it_is_written() {
    let (folder, host) = (Folder::new("export", &[]), Host::new());
    let journal = folder.path("journal");
    let (serve, mut partner) = start(&host, &journal);
    let refused = reversed(&serve, &mut partner, 1);
    partner.send(&answer_to(&refused, "30"));
    listed(&journal, "the partner said 30");
    let csv = ["journal", "export", "--format", "csv", "--dialect", "pos-bcd", &journal];
    let (code, out, errors) = run(&csv);
    assert_eq!(code, 0, "{errors}");
    let head = out.lines().next().expect("names");
    let columns = head.split(',').count();
    assert!(out.lines().all(|line| line.split(',').count() == columns), "{out}");
    for kind in ["intent", "outcome", "owed", "sent", "exception"] {
        assert!(out.contains(&format!("Z,{kind},")), "{kind}: {out}");
    }
    assert!(out.contains(",1250,156,476134******0019,") && !out.contains("4761340000000019"));
    let file = folder.path("rows.ndjson");
    let (code, shown, errors) =
        run(&["journal", "export", "--format", "ndjson", &journal, "-o", &file]);
    assert_eq!((code, shown.as_str()), (0, ""), "{errors}");
    let rows = std::fs::read_to_string(&file).expect("written");
    assert!(rows.lines().count() >= out.lines().count() - 1, "{rows}");
    assert!(rows.lines().all(|line| line.starts_with("{\"segment\":")), "{rows}");
    let (code, out, _) = run(&[&csv[..], &["--from", "2026-11-22", "--to", "2026-11-22"]].concat());
    assert_eq!((code, out.lines().count()), (0, 1), "no moment is in between: {out}");
    for wrong in [["--from", "soon"], ["--format", "xml"], ["--dialect", "klingon"]] {
        let (code, _, errors) = run(&[&["journal", "export", &journal], &wrong[..]].concat());
        assert_eq!(code, 2, "{errors}");
    }
    let (code, _, errors) = run(&["journal", "export", "--format", "csv", "/nowhere"]);
    assert_eq!((code, errors.contains("/nowhere")), (2, true), "{errors}");
    drop(serve);
}

/// `| head`: a reader that goes away ends it quietly.
#[test]
fn a_reader_of_an_export_that_goes_away_is_no_failure() {
    let (folder, host) = (Folder::new("export-head", &[]), Host::new());
    let journal = folder.path("journal");
    let (serve, mut partner) = start(&host, &journal);
    for stan in 1..=20 {
        let mut pos = serve.call();
        pos.send(&sale(stan));
        let seen = partner.receive();
        partner.send(&answer_to(&seen, "00"));
        pos.receive();
    }
    let mut child = switch(&["journal", "export", "--format", "ndjson", &journal])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let mut errors = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut errors).expect("UTF-8");
    let status = child.wait().expect("it ends");
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
}
