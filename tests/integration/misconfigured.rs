//! Files that are no files, or not those that were meant: `authswitch check` tells what is wrong
//! soon, and never goes on with less than what somebody wrote down.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::refused::{self, Checked};
use crate::rig::Folder;

/// The shipped configuration, to be damaged.
fn shipped(name: &str) -> Folder {
    let folder = Folder::new(name, &[]);
    for file in ["switch.toml", "routes.toml", "merchants.csv", "risk.toml"] {
        let from = format!("{}/config/{file}", env!("CARGO_MANIFEST_DIR"));
        fs::copy(from, folder.0.join(file)).expect("shipped");
    }
    fs::create_dir(folder.0.join("dialects")).expect("a folder");
    folder
}

/// The exit code, and what was said, without line breaks and blanks in between.
#[track_caller]
fn check(folder: &Folder) -> (i32, String) {
    let Checked { code, said, .. } = refused::check(folder);
    (code, said.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[track_caller]
fn refused(folder: &Folder, reason: &str) {
    let (code, said) = check(folder);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(reason), "{reason}: {said}");
}

fn append(path: &Path, more: &str) {
    let text = fs::read_to_string(path).unwrap_or_default();
    fs::write(path, text + more).expect("a file");
}

/// Ways to put something else in the place of a file, and why it is not read.
type Damage = (&'static str, fn(&Path), &'static str);
const DAMAGES: [Damage; 5] = [
    ("pipe", pipe, "it is no regular file"),
    ("device", |path| symlink("/dev/zero", path).expect("a link"), "it is no regular file"),
    ("folder", |path| fs::create_dir(path).expect("a folder"), "it is a folder, no file"),
    ("dangling", |path| symlink("/nowhere/at/all", path).expect("a link"), "No such file"),
    ("long", long, "longer than"),
];

fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().expect("mkfifo");
    assert!(made.success());
}

fn long(path: &Path) {
    let file = fs::File::create(path).expect("a file");
    file.set_len(1 << 30).expect("a hole of a gigabyte");
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let names = ["switch.toml", "routes.toml", "merchants.csv", "risk.toml"];
    let names = names.into_iter().chain(["dialects/own.toml", "dialects/pos-bcd.toml"]);
    for name in names.chain(["stopped", "risk.key"]) {
        for (damage, make, reason) in DAMAGES {
            let folder = shipped(&format!("no-file-{damage}"));
            let path = folder.0.join(name);
            append(
                &folder.0.join("risk.toml"),
                match name {
                    "stopped" => "[[rule]]\nname = \"s\"\nlisted = { file = \"stopped\" }\n",
                    "risk.key" => "[[allow]]\ntokens = \"0123456789abcdef\"\n",
                    _ => "",
                },
            );
            if name == "risk.key" {
                let rules = fs::read_to_string(folder.0.join("risk.toml")).expect("shipped");
                let rules = format!("key_file = \"risk.key\"\n{rules}");
                fs::write(folder.0.join("risk.toml"), rules).expect("a file");
            }
            let _ = fs::remove_file(&path);
            make(&path);
            let (code, said) = check(&folder);
            assert_eq!(code, 1, "{name} {damage}: {said}");
            let found = said.contains(name) && said.contains(reason);
            assert!(found, "{name} {damage}: {reason}: {said}");
        }
    }
}

#[test]
fn dialects_that_are_no_folder_are_not_passed_over() {
    let folder = shipped("dialects-lost");
    fs::remove_dir(folder.0.join("dialects")).expect("empty");
    symlink("/nowhere/at/all", folder.0.join("dialects")).expect("a link");
    refused(&folder, "dialects: cannot be read as a folder");
}

/// Dialects that inherit in a row, each the next, and the last one `last`.
fn row(folder: &Folder, count: usize, last: &str) -> PathBuf {
    for place in 0..count {
        let next = format!("own{}", place + 1);
        let parent = if place + 1 < count { &next } else { last };
        let text = format!("name = \"own{place}\"\nabout = \"x\"\ninherits = \"{parent}\"\n");
        fs::write(folder.0.join(format!("dialects/own{place}.toml")), text).expect("a file");
    }
    let path = folder.0.join("switch.toml");
    let text = fs::read_to_string(&path).expect("shipped");
    fs::write(&path, text.replace("\"pos-bcd\"", "\"own0\"")).expect("a file");
    path
}

#[test]
fn dialects_inherit_in_a_row_of_some_length_and_no_more() {
    let folder = shipped("inherited");
    row(&folder, 15, "pos-bcd");
    assert_eq!(check(&folder).0, 0);
    row(&folder, 200, "pos-bcd");
    refused(&folder, ".toml:3: more than 16 dialects inherit in a row");
    row(&folder, 3, "own0");
    refused(&folder, "own2.toml:3: a circle: ");
    row(&folder, 10_000, "pos-bcd");
    refused(&folder, "dialects: more than 320 files");
}

#[test]
fn categories_that_double_take_no_more_room_than_there_are_categories() {
    let folder = shipped("doubled");
    let path = folder.0.join("routes.toml");
    let text = fs::read_to_string(&path).expect("shipped");
    let doubles = (1..64).map(|n| format!("c{n} = [\"c{}\", \"c{}\"]\n", n - 1, n - 1));
    let doubles: String = doubles.collect();
    let head = "[categories]\nc0 = [\"1000-1999\", \"1500-2999\", 4111]\n";
    let more = "[[refuse]]\nname = \"d\"\ncode = \"57\"\nmcc = [\"c63\", \"c62\"]\n";
    let text = text.replace("\n[categories]\n", &format!("\n{head}{doubles}"));
    fs::write(&path, text + more).expect("a file");
    let (code, said) = check(&folder);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn names_and_rules_without_end_are_refused_soon() {
    let folder = shipped("endless");
    let path = folder.0.join("risk.toml");
    append(&path, &"[[rule]]\nname = \"r\"\nmcc = 1\n".repeat(200_000));
    refused(&folder, "more than 1000 rules");
    let folder = shipped("endless-names");
    let long = format!("\"{}\", ", "n".repeat(70_000)).repeat(100);
    let route = "[[route]]\nname = \"q\"\nnetwork = \"PAYTM\"\nregion = \"KR\"\nbudget = \"1s\"\n";
    append(&folder.0.join("routes.toml"), &format!("{route}partners = [{long}]\n"));
    refused(&folder, "unknown partner \"nnnn");
    let folder = shipped("endless-line");
    append(&folder.0.join("merchants.csv"), &format!("SHOP,KR,{},,\n", "PAYTM|".repeat(5_000)));
    refused(&folder, "longer than 8192 bytes");
    let folder = shipped("endless-mistakes");
    append(&folder.0.join("merchants.csv"), &"x\n".repeat(20_000_000));
    refused(&folder, "1000000 more mistakes in this file, which was not read to its end");
    let folder = shipped("endless-lines");
    append(&folder.0.join("merchants.csv"), &"\n".repeat(20_000_001));
    refused(&folder, "merchants.csv:20000001: more than 20000000 lines");
    let folder = shipped("endless-syntax");
    fs::write(folder.0.join("routes.toml"), "= = =\n".repeat(1_300_000)).expect("a file");
    refused(&folder, "routes.toml:1: ");
}

#[test]
fn a_row_that_was_cut_off_is_not_taken_for_a_shorter_one() {
    let folder = shipped("cut");
    append(&folder.0.join("merchants.csv"), "SHOP-1,KR,KAKAOPAY,5812,");
    refused(&folder, "the line has no end: was the file cut off?");
    let folder = shipped("cut-list");
    let rule = "[[rule]]\nname = \"s\"\nlisted = { file = \"stopped\" }\n";
    append(&folder.0.join("risk.toml"), rule);
    append(&folder.0.join("stopped"), "merchant BAD-12\nmerchant BAD-1");
    refused(&folder, "stopped:2: the line has no end: was the file cut off?");
}

#[test]
fn what_others_write_before_and_between_lines_is_understood() {
    let folder = shipped("marked");
    for file in ["switch.toml", "routes.toml", "merchants.csv", "risk.toml"] {
        let path = folder.0.join(file);
        let text = fs::read_to_string(&path).expect("shipped").replace('\n', "\r\n");
        fs::write(&path, format!("\u{feff}{text}")).expect("a file");
    }
    assert_eq!(check(&folder), (0, String::new()));
}

#[test]
fn nothing_that_moves_a_cursor_is_repeated() {
    let folder = shipped("escapes");
    append(&folder.0.join("merchants.csv"), "\u{1b}[2J\u{0}\u{7}SHOP,KR,KAKAOPAY,5812,\n");
    let (code, said) = check(&folder);
    assert_eq!(code, 1, "{said}");
    assert!(!said.contains(|sign: char| sign.is_control()), "{said:?}");
}

#[test]
fn numbers_past_every_bound_are_told_as_such() {
    for (number, reason) in [
        ("9223372036854775808", "this number is not within 0 to 64"),
        ("-1", "-1 is not within 0 to 64"),
        ("1e400", "expected a whole number, found a fraction"),
    ] {
        let folder = shipped("numbers");
        let path = folder.0.join("switch.toml");
        let text = fs::read_to_string(&path).expect("shipped");
        fs::write(&path, text.replace("workers = 0", &format!("workers = {number}"))).expect("one");
        refused(&folder, reason);
    }
    let folder = shipped("memory");
    let path = folder.0.join("risk.toml");
    let text = fs::read_to_string(&path).expect("shipped");
    fs::write(&path, text.replace("memory_mb = 64", "memory_mb = 1048576")).expect("a file");
    let before = text.split("\nmemory_mb = 64").next().expect("a part");
    let line = before.lines().count() + 1;
    refused(&folder, &format!("risk.toml:{line}: 1048576 MB, and this machine has "));
}

#[test]
fn wherever_a_file_ends_no_line_behind_its_end_is_named() {
    let folder = shipped("truncated-anywhere");
    for file in ["switch.toml", "routes.toml", "merchants.csv", "risk.toml"] {
        let path = folder.0.join(file);
        let whole = fs::read(&path).expect("shipped");
        // A prime: cuts fall anywhere in lines.
        for end in (0..whole.len()).step_by(STEP_BYTES) {
            let cut = whole.get(..end).expect("within");
            fs::write(&path, cut).expect("a file");
            let lines = cut.iter().filter(|byte| **byte == b'\n').count() + 1;
            let (code, said) = check(&folder);
            assert!(code == 0 || code == 1, "{file} to {end}: {said}");
            assert_eq!(code == 1, said.contains(" mistake"), "{file} to {end}: {said}");
            for rest in said.split(&format!("{file}:")).skip(1) {
                let line = rest.split(':').next().and_then(|line| line.parse::<usize>().ok());
                assert!(line.is_some_and(|line| line <= lines), "{file} to {end}: {said}");
            }
        }
        fs::write(&path, whole).expect("a file");
    }
}

/// Some 40 cuts of the longest file.
const STEP_BYTES: usize = 397;
