//! Configurations made to hurt: each is refused with its mistakes at their lines, soon, and in
//! memory that follows from the size of the files.

use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::process::Stdio;
use std::thread::park_timeout;
use std::time::Duration;

use crate::rig::{Folder, switch};

/// What `authswitch check` said of a folder, and the most memory it took.
pub(crate) struct Checked {
    pub(crate) code: i32,
    pub(crate) said: String,
    peak_bytes: usize,
}

/// Checks the shipped configuration with other files.
fn checked(name: &str, files: &[(&str, String)]) -> Checked {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/");
    let whole = ["switch.toml", "routes.toml", "merchants.csv"].map(|file| {
        let other = files.iter().find(|(name, _)| *name == file).map(|(_, text)| text.clone());
        let text = other
            .unwrap_or_else(|| fs::read_to_string(format!("{shipped}{file}")).expect("shipped"));
        (file, text)
    });
    let folder = Folder::new(name, &whole.each_ref().map(|(file, text)| (*file, text.as_str())));
    check(&folder)
}

/// Checks the configuration in a folder.
#[track_caller]
pub(crate) fn check(folder: &Folder) -> Checked {
    let path = folder.0.to_str().expect("UTF-8");
    let mut child = switch(&["check", "--config", path])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the switch starts");
    // The mark only rises, and nothing large is asked for at the very end.
    let status = format!("/proc/{}/status", child.id());
    let (mut peak_bytes, mut steps) = (0, 0);
    let code = loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let mark = mark.and_then(|mark| mark.trim().strip_suffix(" kB")?.parse::<usize>().ok());
        peak_bytes = peak_bytes.max(mark.unwrap_or(0) << 10);
        match child.try_wait().expect("a child") {
            Some(status) => break status.code().expect("no signal"),
            None if steps == STEPS_MAX => {
                child.kill().expect("a child");
                panic!("no word after {STEPS_MAX} steps of {STEP:?}");
            }
            None => park_timeout(STEP),
        }
        steps += 1;
    };
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("UTF-8");
    Checked { code, said, peak_bytes }
}

/// The shipped file with something behind it.
fn with(file: &str, more: &str) -> (String, usize) {
    let path = format!("{}/config/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).expect("shipped");
    let line = text.lines().count() + 1;
    (format!("{text}{more}"), line)
}

#[track_caller]
fn refused(checked: &Checked, places: &[(String, &str)]) {
    assert_eq!(checked.code, 1, "{}", checked.said);
    // Mistakes are told in lines of 80 columns.
    let said = checked.said.split_whitespace().collect::<Vec<_>>().join(" ");
    for (place, reason) in places {
        let found = said.split(&format!("{place}: ")).nth(1);
        assert!(found.is_some_and(|rest| rest.starts_with(reason)), "{place}: {reason}\n{said}");
    }
    let count = format!("{} mistake", places.len());
    assert!(said.contains(&count), "{count}\n{said}");
}

#[test]
fn what_contradicts_itself_is_told_line_by_line() {
    let (routes, from) = with(
        "routes.toml",
        "[[network]]\nname = \"A\"\nwithin = \"B\"\n\
         codes = [\n{ from = \"450\", to = \"470\", length = 18 },\n\
         { from = \"460\", to = \"480\", length = 18 },\n]\n\
         [[network]]\nname = \"B\"\nwithin = \"A\"\n\
         [[network]]\nname = \"C\"\nwithin = \"NOBODY\"\n\
         [[route]]\nname = \"c\"\nnetwork = \"C\"\nregion = \"XK1\"\npartners = [\"gone\"]\n\
         budget = \"1s\"\nfrom = 2026-01-01\nzone = \"Asia/Shangai\"\n",
    );
    let at = |line: usize| format!("routes.toml:{}", from + line - 1);
    let found = checked("contradictions", &[("routes.toml", routes)]);
    refused(
        &found,
        &[
            (at(3), "a network cannot ride on itself"),
            (at(6), "fits the same codes, and neither is more specific: A, line"),
            (at(10), "a network cannot ride on itself"),
            (at(13), "unknown network \"NOBODY\""),
            (at(17), "unknown region \"XK1\""),
            (at(18), "unknown partner \"gone\""),
            (at(21), "unknown zone \"Asia/Shangai\""),
        ],
    );
}

#[test]
fn a_file_that_ends_too_soon_is_told_where() {
    let (routes, lines) = with("routes.toml", "[[route]]\nname = \"x\"\npartners = [\"alip");
    let found = checked("truncated", &[("routes.toml", routes)]);
    assert_eq!(found.code, 1);
    assert!(found.said.contains(&format!("routes.toml:{}: ", lines + 2)), "{}", found.said);
    let (rows, lines) = with("merchants.csv", "SHOP-1,KR,KAKAO");
    let found = checked("truncated-rows", &[("merchants.csv", rows)]);
    refused(&found, &[(format!("merchants.csv:{lines}"), "expected 5 columns")]);
}

#[test]
fn a_million_bad_rows_are_one_page_and_little_memory() {
    let mut rows = String::new();
    for shop in 0..1_000_000 {
        writeln!(rows, "M{shop:014},KR,NOBODY,5812,").expect("text");
    }
    let (rows, lines) = with("merchants.csv", &rows);
    let bytes = rows.len();
    let found = checked("rows", &[("merchants.csv", rows)]);
    assert_eq!(found.code, 1);
    for line in [lines, lines + 1, lines + 99] {
        assert!(found.said.contains(&format!("merchants.csv:{line}: ")), "{}", found.said);
    }
    assert!(found.said.contains("999900 more mistakes in this file"), "{}", found.said);
    assert!(found.peak_bytes > bytes, "the mark was read: {}", found.peak_bytes);
    assert!(found.peak_bytes < 4 * bytes + BASE_BYTES, "{} for {bytes}", found.peak_bytes);
}

#[test]
fn many_of_anything_are_refused_soon_and_in_bounded_memory() {
    let many = |one: &dyn Fn(usize) -> String| (0..10_000).map(one).collect::<String>();
    let network = |n: usize| format!("[[network]]\nname = \"N{n}\"\nwithin = \"N{}\"\n", n + 1);
    let route = |n: usize| {
        format!(
            "[[route]]\nname = \"R{n}\"\nnetwork = \"PAYTM\"\nregion = \"KR\"\nmcc = {n}\n\
             partners = [\"paytm\"]\nbudget = \"1s\"\n"
        )
    };
    let code = |n: usize| format!("{{ prefix = \"4444{}\", length = 16 }},\n", n % 7);
    let codes = format!("[[network]]\nname = \"X\"\ncodes = [\n{}]\n", many(&code));
    let pattern = |n: usize| format!("{{ pattern = \"44..{n:05}...........\" }},\n");
    let patterns = format!("[[network]]\nname = \"X\"\ncodes = [\n{}]\n", many(&pattern));
    let cases = [
        ("networks", many(&network), "more than 64 networks"),
        ("routes", many(&route), "more mistakes in this file"),
        ("codes", codes, "9893 more mistakes in this file"),
        ("patterns", patterns, "more than 1024 patterns"),
        ("syntax", many(&|n| format!("k{n} = = {n}\n")), "more mistakes in this file"),
        ("long", "#".repeat(9 << 20), "longer than 8 MiB"),
    ];
    for (name, more, reason) in cases {
        let (routes, _) = with("routes.toml", &more);
        let bytes = routes.len();
        let found = checked(name, &[("routes.toml", routes)]);
        assert_eq!(found.code, 1, "{name}");
        let said = found.said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(reason), "{name}: {said}");
        assert!(found.peak_bytes < 100 * bytes + BASE_BYTES, "{name}: {}", found.peak_bytes);
    }
}

/// What the program takes for itself, and for the files that are as shipped.
const BASE_BYTES: usize = 64 << 20;

/// A refusal takes seconds at most; steps are counted, for a step takes longer on a busy machine.
const STEPS_MAX: u32 = 30_000;
const STEP: Duration = Duration::from_millis(1);
