//! Killed in the middle: the next process knows from the journal what it may say and what it owes.

use crate::message::{Plain, answer_to, sale};
use crate::rig::{Folder, Host, Line, Serve, connected, kept, ms};

/// A switch with a journal, which a later one finds again, whatever number of workers it has.
struct Lives {
    folder: Folder,
    host: Host,
}

impl Lives {
    fn new(name: &str) -> Self {
        Self { folder: Folder::new(name, &[]), host: Host::new() }
    }

    /// The next life, and its connection to the partner, which sees what is reversed.
    fn next(&self, workers: &str) -> (Serve, Line) {
        let journal = self.folder.path("journal");
        let durable = ["--durability", "process", "--journal", &journal];
        let options = [&durable[..], &["--workers", workers, "--deadline", "5s"]].concat();
        let mut serve = Serve::start(self.host.address, &options);
        let mut partner = self.host.accept();
        partner.takes_reversals = false;
        serve.wait_for_line("connected");
        (serve, partner)
    }
}

/// SIGKILL.
fn kill(serve: Serve) {
    drop(serve);
}

fn repeat() -> Plain {
    Plain { mti: "0201".into(), ..sale(1) }
}

#[test]
fn what_was_in_flight_is_reversed_in_the_next_life() {
    let lives = Lives::new("crash-in-flight");
    let (serve, mut partner) = lives.next("2");
    let mut pos = serve.call();
    pos.send(&sale(1));
    let seen = partner.receive();
    kill(serve);
    let (serve, mut partner) = lives.next("1");
    let first = partner.receive();
    assert_eq!(first.mti, "0420", "{first:?}");
    assert_eq!(first.of(90).map(|named| &named[4..10]), seen.of(11));
    serve.call().ask(&repeat()).answers(&sale(1), "91");
    // Killed again before it was taken: the same, as a repeat.
    kill(serve);
    let (serve, mut partner) = lives.next("3");
    let second = partner.receive();
    assert_eq!(second, Plain { mti: "0421".into(), ..first });
    partner.send(&answer_to(&second, "00"));
    partner.hears_nothing(ms(200));
    kill(serve);
    let (serve, mut partner) = lives.next("2");
    partner.hears_nothing(ms(300));
    serve.call().ask(&repeat()).answers(&sale(1), "91");
}

#[test]
fn what_was_approved_is_approved_again_in_the_next_life() {
    let lives = Lives::new("crash-approved");
    let (serve, mut partner) = lives.next("1");
    let mut pos = serve.call();
    pos.send(&sale(1));
    let seen = partner.receive();
    partner.send(&answer_to(&seen, "00").with(38, "A1B2C3"));
    pos.receive().answers(&sale(1), "00");
    kill(serve);
    let (serve, mut partner) = lives.next("2");
    let mut pos = serve.call();
    let heard = pos.ask(&repeat());
    heard.answers(&sale(1), "00");
    assert_eq!(heard.of(38), Some("A1B2C3"));
    partner.hears_nothing(ms(200));
    // Its terminal takes it back, and a third life still owes that.
    let asked = Plain { mti: "0400".into(), ..sale(1) };
    pos.ask(&asked).answers(&asked, "00");
    let first = partner.receive();
    assert_eq!((first.mti.as_str(), first.of(38)), ("0420", Some("A1B2C3")));
    kill(serve);
    let (serve, mut partner) = lives.next("3");
    assert_eq!(partner.receive(), Plain { mti: "0421".into(), ..first });
    serve.call().ask(&repeat()).answers(&sale(1), "91");
}

#[test]
fn without_a_journal_nothing_is_known() {
    let (serve, host, mut partner) = connected(&["--workers", "1"]);
    let mut pos = serve.call();
    pos.send(&sale(1));
    partner.receive();
    kill(serve);
    let mut serve = Serve::start(host.address, &["--workers", "1"]);
    let mut partner = host.accept();
    serve.wait_for_line("connected");
    partner.hears_nothing(ms(300));
}

#[test]
fn a_journal_is_kept_by_one_worker_per_core() {
    let (folder, host) = (Folder::new("crash-workers", &[]), Host::new());
    let cores = std::thread::available_parallelism().expect("Linux").get().min(64);
    let pair = ["--partner-sessions", "64", "--journal", &folder.path("pair")];
    assert_eq!(Serve::start(host.address, &pair).workers(), cores);
    let configured = kept("crash-configured", host.address, &folder.path("files"), "5s");
    let path = configured.path("switch.toml");
    let text = std::fs::read_to_string(&path).expect("it was written");
    std::fs::write(&path, text.replace("workers = 1\n", "workers = 0\n")).expect("room");
    assert_eq!(Serve::with(&["--config", &configured.path("")]).workers(), cores);
}
