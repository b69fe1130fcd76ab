//! The operator's view of a journal: exceptions, their closing, the export.

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
