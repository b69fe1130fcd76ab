//! The scenario player as its users run it, against the real switch.
//!
//! What must be found: a wrong expectation of every kind, and a file that makes no sense. The
//! switch is the one that a build of the whole workspace puts beside the tool.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A scenario that holds; the planted mistakes are changes to it.
const GOOD: &str = r#"
row = 7
title = "Kakao Pay at a cafe"
shows = "it is approved"

[message.sale]
code = "281006012345678901234567"
4 = "000000004500"
42 = "KAKAO-0001"
49 = "410"

[[step]]
what = "a cafe"
partner.kakaopay = { do = "approve", 38 = "A1B2C3" }
send = { like = "sale", as = "first" }
answer = { 39 = "00", 38 = "A1B2C3", 55 = false }
reaches = { partner = "kakaopay", code = "281006012345678901234567", 4 = "000000004500" }

[[step]]
what = "again"
send = { again = "first", mti = "0201" }
answer = { same_as = "first" }

[[step]]
what = "a partner asks whether anybody is there"
send = { mti = "0800", partner = "alipayplus-kr", 70 = "301" }
answer = { mti = "0810", 70 = "301", 39 = ["00"] }
"#;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("script-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a place for files");
        Folder(folder)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a file");
        path
    }
}

fn script(arguments: &[&str], file: &Path) -> Output {
    let tool = Path::new(env!("CARGO_BIN_EXE_loadtest"));
    let switch = tool.with_file_name("authswitch");
    assert!(switch.is_file(), "{} is built by cargo build --workspace", switch.display());
    Command::new(tool).arg("script").args(arguments).arg(file).output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_scenario_that_holds_passes_and_is_shown() {
    let folder = Folder::new("good");
    let output = script(&[], &folder.write("good.toml", GOOD));
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{table}{}", text(&output.stderr));
    assert!(table.contains("  7  Kakao Pay at a cafe"), "{table}");
    assert!(table.contains("it is approved") && table.contains("- again"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    let other = script(&["--row", "8"], &folder.0);
    assert_eq!(other.status.code(), Some(2), "no such row: {}", text(&other.stderr));
}

/// Each expectation, wrong in turn, is found with what was expected and what came.
#[test]
fn planted_mistakes_are_found() {
    let folder = Folder::new("planted");
    let planted = [
        (r#"39 = "00","#, r#"39 = "05","#, "expected DE 39 in the answer to be 05, it is 00"),
        (r#"38 = "A1B2C3", 55"#, "38 = false, 55", "DE 38 in the answer to be absent, it is A1B2"),
        ("55 = false", "55 = true", "DE 55 in the answer to be present, it is absent"),
        (
            r#"code = "281006012345678901234567", 4"#,
            r#"code = "281006012345678901234568", 4"#,
            "the payment code at kakaopay to be 281006**************4568, it is 281006*******",
        ),
        (r#"partner = "kakaopay""#, r#"partner = "paytm""#, "nothing more was to reach kakaopay"),
        (r#"partner = "kakaopay""#, r#"partner = "paytm""#, "expected 1 at paytm, 0 came"),
        (r#"{ partner = "kakaopay", code"#, r#"{ partner = "kakaopay", count = 2, code"#, "1 came"),
        (
            r#"answer = { 39 = "00", 38 = "A1B2C3", 55 = false }"#,
            "quiet = \"1s\"",
            "expected no answer, and 0210",
        ),
        (r#"same_as = "first""#, r#"same_as = "first", 39 = "91""#, "to be 91, it is 00"),
        (r#"do = "approve","#, r#"do = "silent","#, "to be 00, it is 91"),
        (r#"do = "approve","#, r#"do = "close","#, "to be 00, it is 91"),
        (r#"do = "approve","#, r#"do = "half","#, "to be 00, it is 91"),
        (r#"do = "approve","#, r#"do = "late:1800ms","#, "to be 00, it is 91"),
        (r#"do = "approve","#, r#"do = "decline:51","#, "to be 00, it is 51"),
        (r#"send = { again = "first", mti = "0201" }"#, r#"send = { like = "sale" }"#, "did"),
        ("\nshows", "\nswitch.down = [\"kakaopay\", \"alipayplus-kr\"]\nshows", "it is 91"),
        (r#"39 = ["00"]"#, r#"39 = ["91", "96"]"#, "DE 39 in the answer to be 91 or 96, it is 00"),
        (r#"39 = "00","#, r#"39 = "00", after = "1s","#, "in 1000 to 8000 ms"),
        ("= \"again\"\n", "= \"again\"\nreload.refused = true\n", "to be refused, came"),
        (
            "= \"again\"\n",
            "= \"again\"\nreload.change = { file = \"routes.toml\", append = \"x\" }\n",
            "to be in force, came \"refused",
        ),
        (
            "= \"again\"\n",
            "= \"again\"\nreload.refused = true\n\
             reload.change = { file = \"merchants.csv\", append = \"NEW,KR,*,,\" }\n",
            "to be refused, came \"routes",
        ),
        (r#"38 = "A1B2C3", 55"#, r#"codes = { 91 = 1 }, 55"#, "expected 1 to 1 answers 91, 0 came"),
        (
            r#"send = { like = "sale", as"#,
            r#"send = { like = "sale", 42 = "NOBODY", as"#,
            "DE 39 in the answer to be 00, it is 03",
        ),
        (
            r#"send = { like = "sale", as"#,
            r#"send = { like = "sale", 4 = "{x.4}", as"#,
            "refers to nothing that was sent",
        ),
        (
            "what = \"a cafe\"",
            "what = \"a cafe\"\nwait = \"1100ms\"\nby = \"0s\"",
            "it took too long",
        ),
    ];
    for (place, (good, wrong, _)) in planted.into_iter().enumerate() {
        assert_eq!(GOOD.matches(good).count(), 1, "{good}");
        folder.write(&format!("{place:02}.toml"), &GOOD.replacen(good, wrong, 1));
    }
    let output = script(&["--jobs", "8", "--steps"], &folder.0);
    let table = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{table}{}", text(&output.stderr));
    for (_, wrong, words) in planted {
        assert!(table.contains(words), "{wrong}: no {words:?} in {table}");
    }
    assert!(table.contains("0 of 25 scenarios passed"), "each of them is found: {table}");
    assert!(!table.contains("0123456789"), "account data in clear: {table}");
}

#[test]
fn a_file_that_makes_no_sense_is_refused_at_its_line() {
    let folder = Folder::new("refused");
    for (good, wrong, line, words) in [
        ("row = 7", "row = \"7\"", 2, "a whole number"),
        ("row = 7", "row 7", 2, ""),
        ("title", "titel", 1, "title is missing"),
        ("42 = ", "140 = ", 9, "no element of a message"),
        ("what = \"a cafe\"", "waht = \"a cafe\"", 12, "what is missing"),
        ("what = \"again\"", "what = \"again\"\nwho = 1", 21, "unknown key \"who\""),
        ("like = \"sale\"", "like = \"sail\"", 15, "no [message.sail] stands above"),
        ("again = \"first\"", "again = \"third\"", 21, "nothing was sent as \"third\""),
        ("\"0201\"", "\"201\"", 21, "is no MTI"),
        ("\"approve\"", "\"aprove\"", 14, "none of approve, decline:51"),
        ("38 = \"A1B2C3\" }", "38 = \"A1B2C3\", delay = \"5\" }", 14, "is not a duration"),
        ("\nshows", "\nswitch.change = [{ file = \"a.toml\" }]\nshows", 4, "none of switch.toml"),
        ("{ partner = \"kakaopay\"", "{ partner = \"kakao\"", 12, "is called \"kakao\""),
        (
            ", as = \"first\" }",
            ", as = \"first\", acquirer = \"atm\" }",
            12,
            "no partner or acquirer",
        ),
    ] {
        assert_eq!(GOOD.matches(good).count(), 1, "{good}");
        let file = folder.write("wrong.toml", &GOOD.replacen(good, wrong, 1));
        let output = script(&[], &file);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{wrong}: {errors}");
        assert!(errors.contains(&format!("wrong.toml:{line}: ")), "{wrong}: {errors}");
        assert!(errors.contains(words), "{wrong}: {errors}");
    }
    let absent = script(&[], &folder.0.join("absent.toml"));
    assert_eq!(absent.status.code(), Some(2), "{}", text(&absent.stderr));
}
