//! The commands as a process: what they print, where, and how they end.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

const ECHO: &str = "0800822000000000000004000000000000001122031500000042301";

fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_authswitch"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("writes");
    child.wait_with_output().expect("ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

fn hex(ascii: &str) -> String {
    ascii.bytes().map(|byte| format!("{byte:02X}")).collect()
}

#[test]
fn each_line_is_answered_and_one_bad_line_fails_the_run() {
    let echo = hex(ECHO);
    let input = format!("{echo}\n\n  \nxyz\n{}\r\n{echo}00\n", echo.to_lowercase());
    let output = run(&["decode", "--dialect", "iso87-ascii"], &input);
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    let good = r#"{"mti":"0800","fields":{"7":"1122031500","11":"000042","70":"301"}}"#;
    assert_eq!((lines[0], lines[2], lines.len()), (good, good, 4));
    let bad = r#"{"error":{"field":0,"offset":0,"need":0,"have":0,"reason":"#;
    assert!(lines[1].starts_with(bad) && lines[1].contains("character 1"), "{}", lines[1]);
    assert!(lines[3].contains(r#""field":70,"offset":55,"need":0,"have":1"#), "{}", lines[3]);
    assert!(lines[3].ends_with(&good[1..]), "{}", lines[3]);
    assert_eq!(output.status.code(), Some(1));
}

/// The parser would quote the line, and the line holds an account number.
#[test]
fn a_refused_line_is_not_quoted() {
    for line in [
        r#"{"mti":"0200","fields":{"2":6212345678901232}}"#,
        r#""6212345678901232""#,
        r#"{"6212345678901232":1}"#,
        r#"{"mti":"0200","fields":{"6212345678901232":"1"}}"#,
        r#"{"mti":"0200","fields":{"52":6212345678901232.5}}"#,
    ] {
        let output = run(&["encode", "--dialect", "pos-bcd", line], "");
        assert_eq!(output.status.code(), Some(1));
        let said = [text(&output.stdout), text(&output.stderr)].concat();
        assert!(said.contains("\"error\"") && !said.contains("62123456"), "{said}");
    }
}

#[test]
fn framed_messages_go_there_and_back() {
    let line = r#"{"mti":"0800","fields":{"70":"301","7":"1122031500","11":"000042"}}"#;
    let output = run(&["encode", "--framed", "--dialect", "iso87-ascii", line], "");
    assert_eq!(text(&output.stdout), format!("0037{}\n", hex(ECHO)));
    let framed = text(&output.stdout).trim().to_owned();
    let output = run(&["decode", "--framed", "--dialect", "iso87-ascii", &framed], "");
    assert!(output.status.success(), "{output:?}");
    let cut = &framed[..framed.len() - 2];
    let output = run(&["decode", "--framed", "--dialect", "iso87-ascii", cut], "");
    assert!(text(&output.stdout).contains("longer than what is there"), "{output:?}");
}

#[test]
fn an_answer_does_not_wait_for_the_next_line() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_authswitch"))
        .args(["decode", "--dialect", "iso87-ascii"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut input = child.stdin.take().expect("piped");
    let mut answers = BufReader::new(child.stdout.take().expect("piped"));
    for _ in 0..3 {
        writeln!(input, "{}", hex(ECHO)).expect("writes");
        let mut answer = String::new();
        answers.read_line(&mut answer).expect("reads");
        assert!(answer.starts_with(r#"{"mti":"0800""#), "{answer}");
    }
    drop(input);
    assert!(child.wait().expect("ends").success());
}

#[test]
fn a_wrong_call_is_one_sentence_and_exit_code_two() {
    let output = run(&["decode", "--dialect", "iso87-asci", "00"], "");
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("nearest known are iso87-ascii") && said.lines().count() == 1, "{said}");
    assert_eq!(run(&["decode"], "").status.code(), Some(2));
    assert_eq!(run(&["dialect", "explain", "cup-pos", "7"], "").status.code(), Some(2));
}

#[test]
fn a_dialect_that_does_not_carry_its_vectors_is_refused_with_file_and_line() {
    let path = format!("{}/twisted.toml", env!("CARGO_TARGET_TMPDIR"));
    let lower = hex("080000200000000000a0000042").replace("6130", "6120");
    let body = format!(
        "name = \"twisted\"\nabout = \"A vector that cannot be.\"\ninherits = \"iso87-ascii\"\n\n\
         [[vector]]\nid = \"not-ours\"\nsource = \"here\"\nlicense = \"MIT\"\nhex = \"{lower}\"\n"
    );
    fs::write(&path, body).expect("writes");
    let output = run(&["dialect", "lint", &path], "");
    let said = text(&output.stdout);
    assert!(said.contains("twisted.toml:6:") && said.contains("vector not-ours"), "{said}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(run(&["decode", "--dialect", &path, "00"], "").status.code(), Some(2));
}

#[test]
fn a_dialect_is_inferred_with_its_frame() {
    let output = run(&["dialect", "infer"], &format!("0037{}\n", hex(ECHO)));
    let said = text(&output.stdout);
    assert!(said.starts_with("1. iso87-ascii:") && said.contains("2 bytes of length"), "{said}");
    assert!(output.status.success());
    assert_eq!(run(&["dialect", "infer", "00"], "").status.code(), Some(1));
}

#[test]
fn tables_fit_eighty_columns() {
    for name in ["pos-bcd", "cup-pos", "postilion-post", "mixed-rkbalgi"] {
        let output = run(&["dialect", "explain", name], "");
        for line in text(&output.stdout).lines().skip(1) {
            assert!(line.chars().count() <= 80, "{name}: {line}");
        }
    }
}
