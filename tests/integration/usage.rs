//! Bad usage and bad files: one clear sentence, never a panic.

use std::net::TcpListener;
use std::process::{Output, Stdio};

use crate::rig::{Folder, switch};

fn run(arguments: &[&str]) -> (i32, String) {
    let output: Output =
        switch(arguments).stdin(Stdio::null()).output().expect("the switch starts");
    let errors = String::from_utf8(output.stderr).expect("UTF-8");
    for word in ["panicked", "backtrace", "src/", "Error {", "Os {"] {
        assert!(!errors.contains(word), "{arguments:?}: {errors}");
    }
    (output.status.code().expect("no signal"), errors)
}

/// Checks that the switch does not start, and says why in one line that has all of `words`.
#[track_caller]
fn refuses(options: &[&str], code: i32, words: &[&str]) {
    let (exit, errors) = run(&[&["serve"], options].concat());
    assert_eq!(exit, code, "{options:?}: {errors}");
    let sentence = errors.lines().next().unwrap_or_default();
    for word in words {
        assert!(sentence.contains(word), "{options:?}: no {word:?} in: {errors}");
    }
}

#[track_caller]
fn refuses_in_one_line(options: &[&str], code: i32, words: &[&str]) {
    refuses(options, code, words);
    let (_, errors) = run(&[&["serve"], options].concat());
    assert_eq!(errors.lines().count(), 1, "{options:?}: {errors}");
}

const PAIR: [&str; 4] = ["--acquirer", "127.0.0.1:0", "--partner", "127.0.0.1:1"];

#[test]
fn options_that_cannot_be_served() {
    let pair = |options: &[&'static str]| [&PAIR[..], options].concat();
    refuses_in_one_line(&pair(&["--dialect", "klingon"]), 2, &["klingon"]);
    refuses_in_one_line(&pair(&["--partner-dialect", "klingon"]), 2, &["klingon"]);
    refuses_in_one_line(&pair(&["--dialect", "/nowhere/a.toml"]), 2, &["/nowhere/a.toml"]);
    refuses_in_one_line(&pair(&["--durability", "power"]), 2, &["durability", "journal"]);
    refuses_in_one_line(&pair(&["--durability", "process"]), 2, &["durability", "journal"]);
    refuses_in_one_line(&pair(&["--durability", "sometimes"]), 2, &["sometimes"]);
    let both = pair(&["--durability", "none", "--journal", "/dev/null/journal"]);
    refuses_in_one_line(&both, 2, &["none", "journal"]);
    refuses(&pair(&["--journal-key", "/dev/null/key"]), 2, &["required"]);
    refuses_in_one_line(&pair(&["--journal", "/dev/null/journal"]), 1, &["/dev/null/journal"]);
    refuses_in_one_line(&pair(&["--deadline", "soon"]), 2, &["--deadline", "soon"]);
    refuses_in_one_line(&pair(&["--deadline", "0ms"]), 2, &["--deadline", "at most 60s"]);
    for long in ["1h", "90min"] {
        refuses_in_one_line(&pair(&["--deadline", long]), 2, &["--deadline", long, "at most 60s"]);
    }
    refuses_in_one_line(&pair(&["--partner-sessions", "0"]), 2, &["--partner-sessions"]);
    refuses_in_one_line(&pair(&["--workers", "100000"]), 2, &["--workers"]);
    refuses(&pair(&["--workers", "many"]), 2, &["--workers", "many"]);
    refuses(&pair(&["--colour", "red"]), 2, &["--colour"]);
    let nowhere = ["--acquirer", "nowhere", "--partner", "127.0.0.1:1"];
    refuses_in_one_line(&nowhere, 2, &["--acquirer", "nowhere"]);
    let nowhere = ["--acquirer", "127.0.0.1:0", "--partner", "127.0.0.1"];
    refuses_in_one_line(&nowhere, 2, &["--partner", "127.0.0.1"]);
    refuses(&["--acquirer", "127.0.0.1:0"], 2, &["required"]);
    refuses(&["--partner", "127.0.0.1:1"], 2, &["required"]);
    refuses(&["--config", "/nowhere"], 78, &["/nowhere/switch.toml: "]);
}

#[test]
fn durability_none_may_be_said() {
    let _serve = crate::rig::approving(&["--durability", "none"]);
}

#[test]
fn a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = taken.local_addr().expect("bound").to_string();
    let options = ["--acquirer", &address, "--partner", "127.0.0.1:1"];
    refuses_in_one_line(&options, 1, &[&address]);
}

#[test]
fn a_dialect_file_with_a_mistake() {
    let file = "name = \"own\"\nabout = \"x\"\ninherits = \"pos-bcd\"\n[fields]\n4 = { size = 1";
    let folder = Folder::new("bad-dialect", &[("own.toml", file)]);
    let path = folder.path("own.toml");
    let line = format!("{path}:5");
    refuses_in_one_line(&[&PAIR[..], &["--dialect", &path]].concat(), 2, &[&line]);
}

#[test]
fn check_names_every_mistake_with_file_and_line() {
    let switch = "workers = \"two\"\n\n[[acquirer]]\nname = \"pos\"\nlisten = \"127.0.0.1:0\"\n\
                  dialect = \"klingon\"\n\n[[partner]]\nname = \"bank\"\n\
                  connect = \"127.0.0.1:1\"\nsessions = 0\ndialect = \"pos-bcd\"\n";
    let routes = "check_merchants = false\n\n[[network]]\nname = \"CARD\"\n\
                  pans = [{ prefix = \"4x\", length = 16 }]\n\n[[route]]\nname = \"card\"\n\
                  network = \"CARD\"\nregion = \"*\"\npartners = [\"bnak\"]\nbudget = \"soon\"\n";
    let files = [("switch.toml", switch), ("routes.toml", routes)];
    let folder = Folder::new("broken", &files);
    let (exit, errors) = run(&["check", "--config", folder.0.to_str().expect("UTF-8")]);
    assert_eq!(exit, 1, "{errors}");
    let places = [
        ("switch.toml:1", "two"),
        ("switch.toml:6", "klingon"),
        ("switch.toml:11", "sessions"),
        ("routes.toml:5", "4x"),
        ("routes.toml:11", "bnak"),
        ("routes.toml:12", "soon"),
    ];
    for (place, word) in places {
        // What was found there goes on until the next place.
        let from = errors.split(&format!("{place}: ")).nth(1);
        let said = from.and_then(|rest| rest.split(".toml:").next());
        assert!(said.is_some_and(|said| said.contains(word)), "{place}, {word:?}:\n{errors}");
    }
    let folder = folder.0.to_str().expect("UTF-8");
    let (exit, errors) = run(&["serve", "--config", folder]);
    assert_eq!(exit, 78, "{errors}");
    assert!(errors.contains("switch.toml:6:"), "{errors}");
}

#[test]
fn check_finds_nothing_wrong_with_what_is_shipped() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
    assert_eq!(run(&["check", "--config", shipped]), (0, String::new()));
    assert_eq!(run(&["check"]), (0, String::new()));
}
