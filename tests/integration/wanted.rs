//! Rules on what is wanted while the process runs: what they did, and lists that change.

use crate::message::{answer_to, probe};
use crate::rig::{Folder, Host, Line, Serve, ms, pause};

const ROUTES: &str = "[[network]]\nname = \"CARD\"\npans = [{ prefix = \"4\", length = 16 }]\n\
     [[route]]\nname = \"card\"\nnetwork = \"CARD\"\nregion = \"*\"\n\
     partners = [\"bank\"]\nbudget = \"1500ms\"\n";

/// A switch with these rules, and the two ends of it.
fn with_rules(name: &str, rules: &str) -> (Folder, Serve, Line, Line) {
    let bank = Host::new();
    let switch = format!(
        "workers = 1\n[[acquirer]]\nname = \"pos\"\nlisten = \"127.0.0.1:0\"\n\
         dialect = \"pos-bcd\"\n[[partner]]\nname = \"bank\"\nconnect = \"{}\"\n\
         sessions = 1\ndialect = \"pos-bcd\"\nsign_on = false\necho_interval = \"0s\"\n",
        bank.address
    );
    let merchants = "merchant,region,networks,mcc\n*,CN,*,\n";
    let files = [
        ("switch.toml", switch.as_str()),
        ("routes.toml", ROUTES),
        ("merchants.csv", merchants),
        ("risk.toml", rules),
    ];
    let folder = Folder::new(name, &files);
    let mut serve = Serve::with(&["--config", &folder.path("")]);
    serve.wait_for_line("connected");
    let (pos, bank) = (serve.call(), bank.accept());
    (folder, serve, pos, bank)
}

/// Asks; the partner approves whatever it sees.
#[track_caller]
fn approved(pos: &mut Line, bank: &mut Line) {
    let request = probe();
    pos.send(&request);
    let seen = bank.receive();
    bank.send(&answer_to(&seen, "00"));
    pos.receive().answers(&request, "00");
}

#[test]
fn what_each_rule_did_is_told_on_sigusr1() {
    let rules = "[[rule]]\nname = \"on trial\"\nregion = \"CN\"\naction = \"shadow\"\n\
         [[rule]]\nname = \"two\"\ncount = 2\nwindow = \"1h\"\nper = \"instrument\"\n";
    let (_folder, mut serve, mut pos, mut bank) = with_rules("wanted-counts", rules);
    for _ in 0..2 {
        approved(&mut pos, &mut bank);
        // Looks are added up every ten milliseconds.
        pause(ms(30));
    }
    let request = probe();
    pos.ask(&request).answers(&request, "65");
    let counts = |line: &str| -> Vec<u64> {
        line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    serve.signal("USR1");
    serve.wait_for_line("rules");
    assert_eq!(counts(&serve.wait_for_line("  on trial")), [3, 0, 3]);
    assert_eq!(counts(&serve.wait_for_line("  two")), [3, 1, 0]);
}
