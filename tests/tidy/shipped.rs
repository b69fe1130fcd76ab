//! Nothing is dead and nothing is unmentioned: dialects, folders, dependencies.

use super::Findings;
use super::floors::{CRATES, TOML};
use super::source::Source;

const EMBEDDING: &str = "src/app/dialect_file/shipped.rs";

pub(crate) fn check(tree: &[Source], findings: &mut Findings) {
    dialects(tree, findings);
    folders(tree, findings);
    dependencies(tree, findings);
}

/// A dialect file that is not built into the binary can be neither named nor tested.
fn dialects(tree: &[Source], findings: &mut Findings) {
    let embedding = text_of(tree, EMBEDDING);
    for file in tree.iter().filter(|file| file.path.starts_with("dialects/")) {
        if !embedding.contains(&format!("{}\"", file.path)) {
            findings.push(format!("{}: not embedded by {EMBEDDING}", file.path));
        }
    }
}

/// The map in the README has a line for each folder: those at the top, and the floors of `src`.
fn folders(tree: &[Source], findings: &mut Findings) {
    let readme = text_of(tree, "README.md");
    let mut folders: Vec<&str> = tree.iter().filter_map(|file| folder_of(&file.path)).collect();
    folders.sort_unstable();
    folders.dedup();
    for folder in folders {
        if !readme.lines().any(|line| line.starts_with(&format!("| `{folder}/`"))) {
            findings.push(format!("README.md: no line for the folder {folder}/"));
        }
    }
}

fn folder_of(path: &str) -> Option<&str> {
    let deep = path.starts_with("src/") && path.matches('/').count() > 1;
    let slash = path.match_indices('/').map(|(at, _)| at).nth(usize::from(deep))?;
    let folder = &path[..slash];
    (!folder.starts_with('.')).then_some(folder)
}

/// Each dependency of the switch has a floor, and a line in the README that says what it is for.
fn dependencies(tree: &[Source], findings: &mut Findings) {
    let readme = text_of(tree, "README.md");
    for manifest in ["Cargo.toml", "loadtest/Cargo.toml"] {
        for name in dependencies_of(text_of(tree, manifest)) {
            if !readme.lines().any(|line| line.starts_with('|') && names(line, name)) {
                findings.push(format!("README.md: no line for the dependency {name}"));
            }
            let code_name = name.replace('-', "_");
            let known = CRATES.iter().chain([&TOML]).any(|(other, _)| *other == code_name.as_str());
            if manifest != "Cargo.toml" {
                continue;
            }
            let uses =
                |file: &&Source| file.path.starts_with("src/") && file.code.contains(&code_name);
            if !tree.iter().any(|file| uses(&file)) {
                findings.push(format!("{manifest}: {name} is used nowhere"));
            }
            if !known {
                findings.push(format!("{manifest}: {name} has no floor; see tests/tidy/floors.rs"));
            }
        }
    }
}

fn names(line: &str, name: &str) -> bool {
    line.contains(&format!("`{name}`"))
}

fn dependencies_of(manifest: &str) -> impl Iterator<Item = &str> {
    let section = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let lines = section.take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| name.starts_with(|first: char| first.is_ascii_alphabetic()))
}

fn text_of<'t>(tree: &'t [Source], path: &str) -> &'t str {
    tree.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str())
}

#[test]
fn what_is_dead_or_unmentioned_is_found() {
    let readme = "| `dialects/` | x |\n| `src/` | x |\n| `src/base/` | x |\n| `src/app/` | x |\n\
                  | `tokio` | x |\n| `src/b/` | x |\n";
    let tree = |path: &str, text: &str| {
        vec![
            Source::new("README.md", readme),
            Source::new("Cargo.toml", "[dependencies]\ntokio.workspace = true\n\n[lints]\na = 1\n"),
            Source::new(EMBEDDING, "include_str!(\"../../../dialects/a.toml\")"),
            Source::new("src/base/a.rs", "use tokio::runtime; use clap::Parser;"),
            Source::new("dialects/a.toml", ""),
            Source::new(path, text),
        ]
    };
    let findings_of = |path: &str, text: &str| {
        let mut findings = Findings::new();
        let mut tree = tree(path, text);
        // The planted file stands for the one of the same path.
        let first = tree.iter().position(|file| file.path == path);
        if let Some(first) = first.filter(|first| first + 1 < tree.len()) {
            tree.swap_remove(first);
        }
        check(&tree, &mut findings);
        findings
    };
    assert_eq!(findings_of("src/b/c.rs", ""), Findings::new());
    for (path, text, words) in [
        ("dialects/dead.toml", "", "not embedded"),
        ("tools/a.rs", "", "folder tools/"),
        ("src/risk/a.rs", "", "folder src/risk/"),
        ("loadtest/Cargo.toml", "", "folder loadtest/"),
    ] {
        let findings = findings_of(path, text);
        assert!(findings.len() == 1 && findings[0].contains(words), "{path}: {findings:?}");
    }
    for (dependency, words) in [
        ("leftpad", ["no line for the dependency leftpad", "used nowhere", "has no floor"]),
        ("toml", ["no line for the dependency toml", "used nowhere", ""]),
        ("clap", ["no line for the dependency clap", "", ""]),
    ] {
        let manifest = format!("[dependencies]\n{dependency} = \"1\"\n");
        let findings = findings_of("Cargo.toml", &manifest);
        let expected: Vec<_> = words.iter().filter(|word| !word.is_empty()).collect();
        assert_eq!(findings.len(), expected.len(), "{findings:?}");
        assert!(findings.iter().zip(expected).all(|(found, word)| found.contains(word)));
    }
}
