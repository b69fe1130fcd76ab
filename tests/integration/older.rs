//! Transactions from before the window: found in the index of the journal.

use crate::message::{Plain, answer_to, sale};
use crate::rig::{Folder, Host, Line, Serve, ms, pause, switch};

/// A switch that remembers 64 transactions and keeps a journal.
struct Site {
    folder: Folder,
    host: Host,
}

impl Site {
    fn new(name: &str) -> Self {
        let host = Host::new();
        let journal = std::env::temp_dir()
            .join(format!("authswitch-{}-{name}", std::process::id()))
            .join("journal");
        let journal = journal.to_str().expect("UTF-8");
        let settings = format!(
            "journal = {journal:?}\ndurability = \"process\"\njournal_segment_bytes = 4194304\n\
             [limits]\nrecent_bytes = 32768\n"
        );
        let folder = crate::rig::configured(name, host.address, &settings, "1500ms");
        Self { folder, host }
    }

    fn next(&self) -> (Serve, Line) {
        let config = self.folder.path("");
        let mut serve = Serve::with(&["--config", &config]);
        let mut partner = self.host.accept();
        partner.takes_reversals = false;
        serve.wait_for_line("connected");
        (serve, partner)
    }

    fn index(&self) -> (i32, String) {
        let journal = self.folder.path("journal");
        let output = switch(&["journal", "index", &journal]).output().expect("it starts");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().expect("no signal"), String::from_utf8(text).expect("UTF-8"))
    }
}

/// Sales that are approved, with their number as DE 38.
fn sell(serve: &Serve, partner: &mut Line, stans: std::ops::RangeInclusive<u32>) {
    let mut pos = serve.call();
    for stan in stans {
        pos.send(&sale(stan));
        let seen = partner.receive();
        partner.send(&answer_to(&seen, "00").with(38, &format!("{stan:06}")));
        pos.receive().answers(&sale(stan), "00");
    }
}

/// Asks until it was looked up: the index may be busy being filled.
#[track_caller]
fn told(serve: &Serve, message: &Plain) -> Plain {
    for _ in 0..50 {
        let answer = serve.call().ask(message);
        if answer.of(39) != Some("96") {
            return answer;
        }
        pause(ms(100));
    }
    panic!("never looked up");
}

fn repeat(stan: u32) -> Plain {
    Plain { mti: "0201".into(), ..sale(stan) }
}

fn reversal(stan: u32) -> Plain {
    Plain { mti: "0400".into(), ..sale(stan) }
}

#[test]
fn what_is_older_than_the_window_is_answered_and_taken_back() {
    let site = Site::new("older");
    let (serve, mut partner) = site.next();
    // An authorization, and later a sale with its STAN.
    let authorization = Plain { mti: "0100".into(), ..sale(5) };
    let mut pos = serve.call();
    pos.send(&authorization);
    let seen = partner.receive();
    partner.send(&answer_to(&seen, "00").with(38, "AUTH05"));
    pos.receive().answers(&authorization, "00");
    sell(&serve, &mut partner, 1..=150);
    // Forgotten in this life, and found.
    let answer = told(&serve, &repeat(1));
    answer.answers(&sale(1), "00");
    assert_eq!(answer.of(38), Some("000001"));
    told(&serve, &reversal(2)).answers(&reversal(2), "00");
    let seen = partner.receive();
    assert_eq!((seen.mti.as_str(), seen.of(38)), ("0420", Some("000002")));
    partner.send(&answer_to(&seen, "00"));
    told(&serve, &reversal(5)).answers(&reversal(5), "00");
    let seen = partner.receive();
    assert_eq!((seen.mti.as_str(), seen.of(38)), ("0420", Some("000005")), "the newest");
    partner.send(&answer_to(&seen, "00"));
    told(&serve, &reversal(900)).answers(&reversal(900), "25");
    let (code, text) = site.index();
    assert_eq!((code, text.contains("a switch is running")), (1, true), "{text}");
    drop((serve, partner));

    // Killed; the next life finds the index as it was, or as a command has made it again.
    let (code, text) = site.index();
    assert_eq!((code, text.contains("look-up")), (0, true), "{text}");
    let (serve, mut partner) = site.next();
    told(&serve, &repeat(3)).answers(&sale(3), "00");
    told(&serve, &repeat(2)).answers(&sale(2), "91");
    partner.hears_nothing(ms(100));
}

#[test]
fn a_damaged_index_is_filled_again() {
    let site = Site::new("older-damaged");
    let (serve, mut partner) = site.next();
    sell(&serve, &mut partner, 1..=150);
    drop((serve, partner));
    // As an earlier version left it.
    let index = site.folder.path("journal/index");
    std::fs::remove_dir_all(&index).expect("a folder");
    std::fs::write(&index, b"no index").expect("written");
    let (serve, mut partner) = site.next();
    told(&serve, &repeat(1)).answers(&sale(1), "00");
    partner.hears_nothing(ms(100));
    drop((serve, partner));

    let (code, text) = site.index();
    assert_eq!(code, 0, "{text}");
    let run = format!("{index}/000000000001-000000000001.run");
    let mut bytes = std::fs::read(&run).expect("a run");
    bytes.iter_mut().for_each(|byte| *byte ^= 1);
    std::fs::write(&run, bytes).expect("written");
    let (serve, mut partner) = site.next();
    told(&serve, &repeat(1)).answers(&sale(1), "00");
    partner.hears_nothing(ms(100));
}
