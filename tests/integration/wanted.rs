//! Rules on what is wanted while the process runs: what they did, and lists that change.

use std::io::Write;
use std::process::Stdio;

use crate::message::{Plain, answer_to, probe};
use crate::rig::{Folder, Host, Line, Serve, ms, pause, switch};

const ROUTES: &str = "[[network]]\nname = \"CARD\"\npans = [{ prefix = \"4\", length = 16 }]\n\
     [[route]]\nname = \"card\"\nnetwork = \"CARD\"\nregion = \"*\"\n\
     partners = [\"bank\"]\nbudget = \"1500ms\"\n";

/// A switch with these rules, and the two ends of it.
fn with_rules(name: &str, rules: &str) -> (Folder, Serve, Line, Line) {
    with_rules_and(name, rules, &[])
}

fn with_rules_and(name: &str, rules: &str, beside: &[(&str, &str)]) -> (Folder, Serve, Line, Line) {
    let bank = Host::new();
    let folder = site(name, &bank, rules, beside);
    let (serve, pos, line) = start(&folder, &bank, &[]);
    (folder, serve, pos, line)
}

fn site(name: &str, bank: &Host, rules: &str, beside: &[(&str, &str)]) -> Folder {
    let links = format!(
        "workers = 1\n[[acquirer]]\nname = \"pos\"\nlisten = \"127.0.0.1:0\"\n\
         dialect = \"pos-bcd\"\n[[partner]]\nname = \"bank\"\nconnect = \"{}\"\n\
         sessions = 1\ndialect = \"pos-bcd\"\nsign_on = false\necho_interval = \"0s\"\n",
        bank.address
    );
    let merchants = "merchant,region,networks,mcc\n*,CN,*,\n";
    let files = [
        ("switch.toml", links.as_str()),
        ("routes.toml", ROUTES),
        ("merchants.csv", merchants),
        ("risk.toml", rules),
    ];
    Folder::new(name, &[&files, beside].concat())
}

/// A life of it.
fn start(folder: &Folder, bank: &Host, options: &[&str]) -> (Serve, Line, Line) {
    let mut serve = Serve::with(&[&["--config", &folder.path("")], options].concat());
    serve.wait_for_line("connected");
    let pos = serve.call();
    (serve, pos, bank.accept())
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

/// A card, by its number on standard input; a merchant, by name. The switch takes up both.
#[test]
fn lists_are_changed_by_command_while_it_runs() {
    let rules = "key_file = \"risk.key\"\n[[rule]]\nname = \"stopped\"\n\
         listed = { file = \"stopped\" }\n";
    let (folder, mut serve, mut pos, mut bank) =
        with_rules_and("wanted-list", rules, &[("risk.key", KEY), ("stopped", "# none yet\n")]);
    let (list, key) = (folder.path("stopped"), folder.path("risk.key"));
    approved(&mut pos, &mut bank);
    for entry in [&["--key-file", &key][..], &["merchant MERCHANT0000001"]] {
        let args = |act| [&["risk", "list", act, &list], entry].concat();
        assert_eq!(told(&args("add"), CARD), (0, String::new()));
        assert_eq!(told(&args("add"), CARD).0, 1, "it is on the list");
        serve.wait_for_line("routes");
        let request = probe();
        pos.ask(&request).answers(&request, "43");
        let (_, shown) = told(&["risk", "list", "show", &list], "");
        assert!(shown.lines().count() == 1 && !shown.contains("4761"), "{shown}");
        assert_eq!(told(&args("remove"), CARD).0, 0);
        serve.wait_for_line("routes");
        approved(&mut pos, &mut bank);
    }
}

/// One life is declined and takes back, the next sells: only that counts in the last one.
#[test]
fn what_came_to_nothing_does_not_count_in_the_next_life() {
    let rules = "[[rule]]\nname = \"one\"\ncount = 1\nwindow = \"1h\"\nper = \"instrument\"\n";
    let bank = Host::new();
    let folder = site("wanted-lives", &bank, rules, &[]);
    let journal = folder.path("journal");
    let durable = ["--durability", "process", "--journal", &journal];
    let life = |each: &dyn Fn(&mut Line, &mut Line)| {
        let (mut serve, mut pos, mut line) = start(&folder, &bank, &durable);
        each(&mut pos, &mut line);
        serve.signal("TERM");
        assert!(serve.ends().success());
    };
    life(&|pos, bank| {
        let declined = probe();
        pos.send(&declined);
        let seen = bank.receive();
        bank.send(&answer_to(&seen, "51"));
        pos.receive().answers(&declined, "51");
        let sold = probe();
        pos.send(&sold);
        let seen = bank.receive();
        bank.send(&answer_to(&seen, "00"));
        pos.receive().answers(&sold, "00");
        let reversal = Plain { mti: "0400".into(), ..sold.clone() };
        pos.send(&reversal);
        assert_eq!(pos.receive().code(), "00");
    });
    life(&|pos, bank| approved(pos, bank));
    life(&|pos, _| {
        let request = probe();
        pos.ask(&request).answers(&request, "65");
    });
    let config = folder.path("");
    let shown = |who: &str, input: &str| {
        told(&["risk", "show", who, "--config", &config, "--journal", &journal], input)
    };
    // What other rules would have done counts by the time of the records.
    let two = folder.path("two.toml");
    std::fs::write(&two, rules.replace("one", "two").replace("= 1\n", "= 2\n")).expect("a file");
    let other = ["risk", "replay", "--rules", &two, "--config", &config, "--journal", &journal];
    let (code, text) = told(&other, "");
    assert!(code == 1 && text.starts_with("recorded requests 3, of which 1 would"), "{text}");
    assert!(text.ends_with("         1  two\n"), "{text}");
    let expected = "3 requests on record\n           1 of 1 in 1h  one (decline)\n";
    assert_eq!(shown("-", CARD), (0, expected.to_owned()));
    assert_eq!(shown("merchant MERCHANT0000001", ""), (0, expected.to_owned()));
    assert_eq!(shown("terminal NOBODY", ""), (1, "0 requests on record\n".to_owned()));
}

/// What took of a hold is no sale in the next life either.
#[test]
fn a_completion_counts_as_one_in_the_next_life() {
    let limit = |name, kind| {
        format!(
            "[[rule]]\nname = \"{name}\"\nkind = [\"{kind}\"]\ncount = 1\nwindow = \"1h\"\n\
             per = \"instrument\"\n"
        )
    };
    let rules = limit("sold", "purchase") + &limit("taken", "completion");
    let bank = Host::new();
    let folder = site("wanted-completions", &bank, &rules, &[]);
    let journal = folder.path("journal");
    let hold = Plain { mti: "0100".into(), ..probe().with(25, "06") };
    let stan = hold.of(11).expect("there");
    let named = format!("0100{stan}1122021245{:022}", 0);
    let part = || probe().with(25, "06").with(4, "000000000600").with(90, &named);
    let taking = || part().with(37, hold.of(37).expect("there"));
    let life = |each: &dyn Fn(&mut Line, &mut Line)| {
        let options = ["--durability", "process", "--journal", &journal];
        let (mut serve, mut pos, mut line) = start(&folder, &bank, &options);
        each(&mut pos, &mut line);
        serve.signal("TERM");
        assert!(serve.ends().success());
    };
    let ask = |pos: &mut Line, bank: &mut Line, request: &Plain| {
        pos.send(request);
        let seen = bank.receive();
        bank.send(&answer_to(&seen, "00"));
        pos.receive().answers(request, "00");
    };
    life(&|pos, bank| {
        ask(pos, bank, &hold);
        ask(pos, bank, &taking());
    });
    life(&|pos, bank| {
        let second = taking();
        pos.ask(&second).answers(&second, "65");
        ask(pos, bank, &probe());
    });
    life(&|pos, _| {
        let request = probe();
        pos.ask(&request).answers(&request, "65");
    });
}

/// With a key the counts themselves survive; what is on record is read again only behind them.
#[test]
fn counts_are_kept_for_the_next_life() {
    let rules = "key_file = \"risk.key\"\nsnapshot = \"1s\"\n[[rule]]\nname = \"two\"\n\
                 count = 2\nwindow = \"1h\"\nper = \"instrument\"\n";
    let bank = Host::new();
    let key = ("risk.key", "0123456789abcdef0123456789abcdef");
    let folder = site("wanted-kept", &bank, rules, &[key]);
    let journal = folder.path("journal");
    let config = folder.path("");
    let options = ["--durability", "process", "--journal", &journal, "--config", &config];
    let life = |expected: &[&str]| {
        let mut serve = Serve::telling(&options, expected);
        serve.wait_for_line("connected");
        let pos = serve.call();
        (serve, pos, bank.accept())
    };
    let declined = |pos: &mut Line| {
        let request = probe();
        pos.ask(&request).answers(&request, "65");
    };

    let (mut serve, mut pos, mut line) = life(&["limits       0 requests"]);
    approved(&mut pos, &mut line);
    serve.signal("TERM");
    serve.wait_for_line("limits       1 keys kept for the next life");
    assert!(serve.ends().success());

    let told = ["limits       1 keys kept at ", "limits       0 requests on record counted again"];
    let (mut serve, mut pos, mut line) = life(&told);
    approved(&mut pos, &mut line);
    declined(&mut pos);
    serve.signal("TERM");
    assert!(serve.ends().success());
    let shown = ["risk", "show", "-", "--config", &config, "--journal", &journal];
    let expected = "2 requests on record\n           2 of 2 in 1h  two (decline)\n";
    assert_eq!(self::told(&shown, CARD), (0, expected.to_owned()));

    // Killed: the last one that was taken counts.
    let (mut serve, ..) = life(&told[..1]);
    pause(ms(1300));
    serve.signal("KILL");
    assert!(!serve.ends().success());
    let (mut serve, mut pos, _line) = life(&told[..1]);
    declined(&mut pos);
    serve.signal("TERM");
    assert!(serve.ends().success());

    let path = folder.path("journal/limits.snapshot");
    let mut bytes = std::fs::read(&path).expect("a snapshot");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("room");
    let (serve, mut pos, _line) = life(&["limits       ", "limits       2 requests on record"]);
    declined(&mut pos);
    drop(serve);
}

/// The card of every sale.
const CARD: &str = "4761340000000019\n";

/// Exit code and standard output of a command that reads `input`.
fn told(args: &[&str], input: &str) -> (i32, String) {
    let mut command = switch(args);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let written = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    assert!(written.is_ok() || !input.is_empty());
    (output.status.code().expect("no signal"), String::from_utf8(output.stdout).expect("UTF-8"))
}

const KEY: &str = "0123456789abcdef0123456789abcdef";
