//! A file imports only from lower floors or from its own folder, and the lower floors are pure.

use super::Findings;
use super::source::Source;

/// The folders of `src`, and the floor each stands on.
const FLOORS: [(&str, u8); 9] = [
    ("base", 0),
    ("iso8583", 1),
    ("routing", 2),
    ("risk", 2),
    ("switch", 3),
    ("net", 4),
    ("journal", 4),
    ("app", 5),
    ("manual", 5),
];

/// The crates the switch depends on, and the folders whose code may name them. `main.rs` may name
/// them all.
pub(crate) const CRATES: [(&str, &[&str]); 16] = [
    ("aes_gcm", &["journal", "app/audit"]),
    ("blake3", &["journal", "app/audit", "app/config"]),
    ("clap", &["app"]),
    ("crc32c", &["journal", "app"]),
    ("crossbeam", &["app", "net", "journal", "risk"]),
    ("encoding_rs", &["app"]),
    ("foldhash", &["base"]),
    ("mimalloc", &[]),
    ("prefetch_index", &["risk", "routing", "switch"]),
    ("rustix", &["net", "journal", "app"]),
    ("serde", &["app"]),
    ("serde_json", &["app"]),
    ("socket2", &["net"]),
    ("tokio", &["net", "app"]),
    ("zerocopy", &["risk"]),
    ("zeroize", &["journal"]),
];

/// One more, with a name that its own keys have too.
pub(crate) const TOML: (&str, &[&str]) = ("toml", &["app"]);

/// What only the shell and the application touch.
const SHELL_FLOOR: u8 = 4;
const IMPURE: [&str; 9] = [
    "std::net",
    "std::fs",
    "std::io",
    "std::thread",
    "std::env",
    "std::process",
    "std::sync::Mutex",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// What judges the switch from outside must not repeat its mistakes: it uses itself, the standard
/// library, one crate that reads lines, and those without which no journal can be opened.
const OUTSIDE: &str = "src/app/audit/";
const OUTSIDE_CRATES: [&str; 4] = ["aes_gcm", "blake3", "crc32c", "serde_json"];

pub(crate) fn check(file: &Source, tree: &[Source], findings: &mut Findings) {
    let Some(inside) = file.path.strip_prefix("src/") else { return };
    let Some((folder, _)) = inside.split_once('/') else { return };
    let Some(floor) = floor_of(folder) else {
        findings.push(format!("{}: src/{folder} stands on no floor; name it here", file.path));
        return;
    };
    let depth = depth(inside);
    for (line, path) in paths(&file.code) {
        // The tests of a pure floor may use what they like; what they test may not.
        if line > file.tests_from() || is_test_module(file, tree) {
            break;
        }
        let shared = file.path.starts_with(OUTSIDE).then(|| shared(depth, &path)).flatten();
        if let Some(why) = shared.or_else(|| forbidden(inside, floor, depth, &path)) {
            findings.push(format!("{}:{line}: {path}: {why}", file.path));
        }
    }
}

fn forbidden(inside: &str, floor: u8, depth: usize, path: &str) -> Option<String> {
    let folder = inside.split('/').next().unwrap_or_default();
    if let Some(other) = within_crate(path, depth) {
        let other = other.split("::").next().unwrap_or_default();
        let theirs = floor_of(other)?;
        return (other != folder && theirs >= floor)
            .then(|| format!("floor {floor} ({folder}) does not know floor {theirs} ({other})"));
    }
    let is = |name: &str| path == name || path.starts_with(&format!("{name}::"));
    if floor < SHELL_FLOOR && IMPURE.iter().any(|name| is(name)) {
        return Some(format!("floor {floor} has no clock, no thread, no file, no socket"));
    }
    let (name, folders) = CRATES.iter().chain([&TOML]).find(|(name, _)| is(name))?;
    let may = |folder: &&str| inside.starts_with(&format!("{folder}/"));
    (!folders.iter().any(may)).then(|| format!("{name} is for {folders:?}"))
}

/// Why the audit may not name this path.
fn shared(depth: usize, path: &str) -> Option<String> {
    let app = within_crate(path, depth - 1).filter(|_| path.starts_with("super::"));
    let inside = within_crate(path, depth).or_else(|| path.strip_prefix("authswitch::"));
    let leaves = app.is_some_and(|rest| !rest.starts_with("super::"))
        || inside.is_some_and(|rest| !rest.starts_with("app::audit::"));
    let is = |name: &str| path.starts_with(&format!("{name}::"));
    let mut crates = CRATES.iter().chain([&TOML]).map(|(name, _)| *name);
    let foreign = crates.find(|name| is(name) && !OUTSIDE_CRATES.contains(name));
    (leaves || foreign.is_some()).then(|| "the audit shares nothing with the switch".to_owned())
}

fn floor_of(folder: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == folder).map(|(_, floor)| *floor)
}

/// How many modules stand above the names of a file: one for `base/mod.rs`, two for `base/a.rs`.
fn depth(inside: &str) -> usize {
    inside.matches('/').count() + usize::from(!inside.ends_with("mod.rs"))
}

/// The rest of a path that leads to the root of the crate.
fn within_crate(path: &str, depth: usize) -> Option<&str> {
    if let Some(rest) = path.strip_prefix("crate::") {
        return Some(rest);
    }
    let mut rest = path;
    for _ in 0..depth {
        rest = rest.strip_prefix("super::")?;
    }
    Some(rest)
}

/// A file that its parent declares behind `#[cfg(test)]`, or one below such a file.
fn is_test_module(file: &Source, tree: &[Source]) -> bool {
    let stem = file.path.trim_end_matches("/mod.rs").trim_end_matches(".rs");
    let Some((folder, name)) = stem.rsplit_once('/') else { return false };
    let declaration = format!("#[cfg(test)]\nmod {name};");
    let parents = [format!("{folder}/mod.rs"), format!("{folder}.rs")];
    tree.iter().filter(|other| parents.contains(&other.path)).any(|parent| {
        parent.text.contains(&declaration)
            || (parent.path != file.path && is_test_module(parent, tree))
    })
}

/// Every path of two names and more, with its line; the branches of a `use` tree one by one.
fn paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find(|c: char| c.is_alphabetic() || c == '_') {
        rest = &rest[at..];
        rest = path_from(rest, "", code, &mut found);
    }
    found
}

/// Reads a path at the front of `rest`, whose front is a name; what stands behind it.
fn path_from<'c>(
    mut rest: &'c str,
    prefix: &str,
    code: &'c str,
    found: &mut Vec<(usize, String)>,
) -> &'c str {
    let line = code[..code.len() - rest.len()].matches('\n').count() + 1;
    let mut path = prefix.to_owned();
    loop {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        path.push_str(&rest[..end]);
        rest = &rest[end..];
        let Some(behind) = rest.strip_prefix("::") else { break };
        rest = behind;
        path.push_str("::");
        if let Some(mut branch) = rest.strip_prefix('{') {
            loop {
                branch = branch.trim_start_matches([',', ' ', '\n', '*']);
                if !branch.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                    return branch.strip_prefix('}').unwrap_or(branch);
                }
                branch = path_from(branch, &path, code, found);
                // What is between a branch and the next is its other name.
                branch = branch.trim_start_matches(|c: char| c != ',' && c != '}');
            }
        }
        if !rest.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            break;
        }
    }
    if path.contains("::") {
        found.push((line, path));
    }
    rest
}

#[test]
fn use_trees_are_read_branch_by_branch() {
    let code = "use crate::base::{ids::{A, B as C}, time};\nuse std::fmt;\nlet a = x::<u8>::y(b);";
    let found: Vec<String> = paths(code).into_iter().map(|(_, path)| path).collect();
    let expected = ["crate::base::ids::A", "crate::base::ids::B", "crate::base::time", "std::fmt"];
    assert_eq!(found[..4], expected);
    assert!(
        paths(code).iter().all(|(line, path)| (path == "std::fmt") == (*line == 2) || *line == 3),
        "lines are counted"
    );
}

#[test]
fn a_planted_import_is_found() {
    let alone = |file: &Source, findings: &mut Findings| check(file, &[], findings);
    let planted = |path: &str, text: &str, words: &str| super::planted(alone, path, text, words);
    planted("src/base/a.rs", "use crate::iso8583::mti::Mti;", "does not know");
    planted("src/iso8583/a.rs", "fn a() { crate::switch::b() }", "does not know");
    planted("src/iso8583/mod.rs", "use super::routing::Route;", "does not know");
    planted("src/iso8583/a/b.rs", "use super::super::super::net::Clock;", "does not know");
    planted("src/routing/a.rs", "use crate::{base::ids, risk::Velocity};", "does not know");
    planted("src/switch/a.rs", "use crate::net::Clock;", "does not know");
    planted("src/net/a.rs", "use crate::app::config;", "does not know");
    planted("src/net/a.rs", "use crate::journal::Writer;", "does not know");
    for path in IMPURE {
        planted("src/switch/a.rs", &format!("use {path};"), "no clock");
    }
    planted("src/base/a.rs", "use std::{fmt, time::{Duration, Instant}};", "no clock");
    planted("src/iso8583/a.rs", "use toml::Value;", "is for");
    planted("src/iso8583/a.rs", "#[derive(serde::Deserialize)] struct A;", "is for");
    planted("src/switch/a.rs", "use tokio::sync::mpsc;", "is for");
    planted("src/net/a.rs", "use clap::Parser;", "is for");
    planted("src/app/a.rs", "use blake3::Hash;", "is for");
    planted("src/tools/a.rs", "fn a() {}", "no floor");
    for path in [
        "crate::iso8583::mti::Mti",
        "crate::routing::Route",
        "crate::switch::Switch",
        "crate::net::Clock",
        "crate::journal::Record",
        "crate::app::json::read",
        "super::super::json::read",
        "super::super::super::iso8583::mti::Mti",
        "authswitch::iso8583::mti::Mti",
        "tokio::fs",
    ] {
        planted("src/app/audit/a.rs", &format!("use {path};"), "shares nothing");
    }
    planted("src/app/audit/mod.rs", "use super::json::read;", "shares nothing");
    planted("src/app/audit/mod.rs", "use super::super::switch::Event;", "shares nothing");
}

#[test]
fn lower_floors_and_ones_own_are_allowed() {
    for (path, text) in [
        ("src/net/a.rs", "use crate::switch::Event; use super::Clock; use std::time::Instant;"),
        (
            "src/switch/a.rs",
            "use crate::{base::time::Instant, switch::b}; use std::time::Duration;",
        ),
        ("src/switch/a.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n use std::fs; }"),
        (
            "src/app/audit/a.rs",
            "use super::line::Line; use crate::app::audit::Report; use std::fs;",
        ),
        ("src/app/audit/mod.rs", "use line::Line; use serde_json::Value; use blake3::Hash;"),
        ("src/main.rs", "use tokio::runtime; fn a() { authswitch::app::run() }"),
    ] {
        let mut findings = Findings::new();
        check(&Source::new(path, text), &[], &mut findings);
        assert!(findings.is_empty(), "{findings:?}");
    }
}
