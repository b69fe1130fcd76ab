//! Sizes, headers and words: what one file must look like.

use super::Findings;
use super::source::Source;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;

pub(crate) fn check(file: &Source, findings: &mut Findings) {
    columns(file, findings);
    if !file.is_rust() {
        return;
    }
    let path = &file.path;
    let count = file.text.lines().count();
    if count > FILE_LINES_MAX {
        findings.push(format!("{path}: {count} lines; cut it in two, {FILE_LINES_MAX} at most"));
    }
    if !file.text.starts_with("//!") {
        findings.push(format!("{path}:1: no module header: what it is, what it is not, why so"));
    }
    functions(file, findings);
    words(file, findings);
    names(file, findings);
}

/// Tables and long hex strings of prose and data cannot be wrapped.
fn columns(file: &Source, findings: &mut Findings) {
    let kinds = [".rs", ".md", ".toml", ".csv", ".ci/run"];
    if !kinds.iter().any(|kind| file.path.ends_with(kind)) {
        return;
    }
    for (line, text) in numbered(&file.text) {
        let columns = text.chars().count();
        let is_table = file.path.ends_with(".md") && text.starts_with('|');
        if columns > COLUMNS_MAX && !is_table {
            let path = &file.path;
            findings.push(format!("{path}:{line}: {columns} columns, {COLUMNS_MAX} at most"));
        }
    }
}

/// The body of a function, from the line behind `{` to the line before `}`; a signature with one
/// argument a line does not make a function long.
fn functions(file: &Source, findings: &mut Findings) {
    let lines: Vec<&str> = file.code.lines().collect();
    let indent = |text: &str| text.len() - text.trim_start().len();
    for (at, text) in lines.iter().enumerate() {
        let is_function = declared(text).iter().any(|(keyword, _)| *keyword == "fn");
        if !is_function || text.trim_end().ends_with('}') {
            continue;
        }
        let signature = |line: &&str| line.ends_with('{') || line.ends_with(';');
        let Some(open) = lines[at..].iter().position(signature).map(|place| at + place) else {
            continue;
        };
        let closes = |line: &&str| line.trim() == "}" && indent(line) == indent(text);
        let Some(body) = lines[open..].iter().position(closes) else { continue };
        if lines[open].ends_with('{') && body - 1 > FUNCTION_LINES_MAX {
            let (path, line, body) = (&file.path, at + 1, body - 1);
            let most = FUNCTION_LINES_MAX;
            findings.push(format!("{path}:{line}: a function of {body} lines, {most} at most"));
        }
    }
}

fn words(file: &Source, findings: &mut Findings) {
    let path = &file.path;
    let unfinished = ["TODO", "FIXME", "XXX"];
    for (line, text) in numbered(&file.comments) {
        if let Some(word) = unfinished.iter().find(|word| text.contains(**word)) {
            findings.push(format!("{path}:{line}: {word}; do it, or write an issue"));
        }
    }
    let banned = [
        ("todo!", "write it"),
        ("unimplemented!", "write it"),
        ("dbg!", "take it out"),
        ("#[allow", "#[expect(lint, reason = \"...\")] goes away when it is not needed any more"),
        ("#![allow", "#[expect(lint, reason = \"...\")] where it is needed"),
    ];
    for (line, text) in numbered(&file.code) {
        for (word, instead) in banned {
            if text.contains(word) {
                findings.push(format!("{path}:{line}: {word}; {instead}"));
            }
        }
    }
    if is_test(path) {
        return;
    }
    for (line, text) in numbered(&file.code).take(file.tests_from()) {
        if text.contains(".unwrap()") {
            findings
                .push(format!("{path}:{line}: unwrap; expect(\"the invariant\"), or handle it"));
        }
    }
}

/// Names that say nothing about what a thing is.
fn names(file: &Source, findings: &mut Findings) {
    let (path, stem) = (&file.path, file.path.rsplit('/').next().unwrap_or_default());
    let stem = (0, stem.trim_end_matches(".rs"));
    let named = numbered(&file.code)
        .flat_map(|(line, text)| declared(text).into_iter().map(move |(_, name)| (line, name)));
    for (line, name) in named.chain([stem]) {
        if let Some(word) = empty_word(name) {
            findings
                .push(format!("{path}:{line}: {name}: \"{word}\" says nothing; name the thing"));
        }
    }
}

fn empty_word(name: &str) -> Option<&'static str> {
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_uppercase() {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
    }
    let banned = ["manager", "helper", "helpers", "util", "utils", "handler"];
    let parts: Vec<&str> = snake.split('_').filter(|part| !part.is_empty()).collect();
    if parts.len() > 1 && parts[0] == "get" {
        return Some("get_");
    }
    banned.into_iter().find(|word| parts.contains(word))
}

/// What a line of code declares: keyword and name.
fn declared(text: &str) -> Vec<(&str, &str)> {
    const KEYWORDS: [&str; 9] =
        ["fn", "struct", "enum", "trait", "mod", "type", "const", "static", "let"];
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let words: Vec<&str> = text.split(|c: char| !is_word(c)).filter(|w| !w.is_empty()).collect();
    let pairs = words.windows(2).filter(|pair| KEYWORDS.contains(&pair[0]));
    pairs.map(|pair| (pair[0], pair[1])).filter(|(_, name)| !KEYWORDS.contains(name)).collect()
}

fn is_test(path: &str) -> bool {
    let in_folder = |name: &str| path.starts_with(name) || path.contains(&format!("/{name}"));
    in_folder("tests/") || in_folder("benches/") || path.ends_with("/tests.rs")
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(place, text)| (place + 1, text))
}

#[test]
fn a_planted_violation_of_each_rule_is_found() {
    let planted = |path: &str, text: &str, words: &str| super::planted(check, path, text, words);
    let long = "x".repeat(101);
    planted("src/base/a.rs", &format!("//! {}", &long[4..].repeat(2)), "columns");
    planted("config/a.toml", &format!("# {long}"), "columns");
    planted("README.md", &long, "columns");
    planted("src/base/a.rs", &format!("//! A.\n{}", "\n".repeat(500)), "501 lines");
    planted("src/base/a.rs", "fn a() {}\n", "header");
    let body = "    b();\n".repeat(71);
    planted("src/base/a.rs", &format!("//! A.\nfn a(\n) {{\n{body}}}\n"), "71 lines");
    planted("src/base/a.rs", "//! A.\n// TODO: later\n", "TODO");
    planted("src/base/a.rs", "//! A. FIXME\n", "FIXME");
    for word in ["todo!", "unimplemented!", "dbg!"] {
        planted("tests/a.rs", &format!("//! A.\nfn a() {{ {word}() }}\n"), word);
    }
    planted("src/base/a.rs", "//! A.\n#[allow(dead_code)]\nfn a() {}\n", "expect");
    planted("src/base/a.rs", "//! A.\nfn a() { b().unwrap() }\n", "unwrap");
    for name in ["get_a", "a_helper", "util"] {
        planted("src/base/a.rs", &format!("//! A.\nfn {name}() {{}}\n"), "says nothing");
    }
    planted("src/base/a.rs", "//! A.\nstruct RouteManager;\n", "says nothing");
    planted("src/base/handler.rs", "//! A.\n", "says nothing");
}

#[test]
fn what_is_allowed_is_not_found() {
    let table = format!("impl B {{\n{}    fn b() {{\n    }}\n}}\n", "    x!();\n".repeat(100));
    let allowed = [
        ("src/base/a.rs", "//! A.\nfn a() { b.get_mut(0); c(\"TODO dbg! x.unwrap()\") }\n"),
        ("src/base/a.rs", "//! A.\n#[cfg(test)]\nmod tests {\n    fn a() { b.unwrap() }\n}\n"),
        ("src/net/tests/a.rs", "//! A.\nfn a() { b.unwrap() }\n"),
        ("src/base/a.rs", &format!("//! A.\nimpl A {{\n    fn a() {{}}\n}}\n{table}")),
        ("README.md", &format!("| {} |", "x".repeat(200))),
    ];
    for (path, text) in allowed {
        let mut findings = Findings::new();
        check(&Source::new(path, text), &mut findings);
        assert!(findings.is_empty(), "{findings:?}");
    }
}
