//! The files of the repository, with code, comments and strings told apart.

use std::fs;
use std::path::Path;

/// One text file.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and the insides of literals blanked; lines stay where they are.
    pub(crate) code: String,
    /// The comments alone, likewise.
    pub(crate) comments: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (code, comments) =
            if path.ends_with(".rs") { split(text) } else { (text.to_owned(), String::new()) };
        Self { path: path.to_owned(), text: text.to_owned(), code, comments }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The first line of the tests at the end of the file, counted from 0.
    pub(crate) fn tests_from(&self) -> usize {
        let lines: Vec<&str> = self.code.lines().collect();
        let is_module = |pair: &[&str]| {
            pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
        };
        lines.windows(2).position(is_module).unwrap_or(lines.len())
    }
}

/// Every file that people write, in the order of their paths.
pub(crate) fn tree() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    walk(root, "", &mut files);
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let entry = entry.expect("an entry of it");
        let name = entry.file_name().into_string().expect("names are ASCII");
        let path = format!("{prefix}{name}");
        if entry.file_type().expect("its type").is_dir() {
            let is_built = entry.path().join("CACHEDIR.TAG").exists();
            if !is_built && (!name.starts_with('.') || name == ".ci") {
                walk(&entry.path(), &format!("{path}/"), files);
            }
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            files.push(Source::new(&path, &text));
        }
    }
}

/// Where the reader of Rust text stands.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Code,
    LineComment,
    BlockComment,
    /// A string; with so many `#`, or none and escapes.
    Text {
        raw: Option<usize>,
    },
}

/// Code without comments and literals, and comments without code.
fn split(text: &str) -> (String, String) {
    let characters: Vec<char> = text.chars().collect();
    let (mut code, mut comments) = (String::new(), String::new());
    let mut inside = Inside::Code;
    let mut at = 0;
    let next_is = |at: usize, word: &str| {
        word.chars().enumerate().all(|(place, c)| characters.get(at + place) == Some(&c))
    };
    while at < characters.len() {
        let mut taken = 1;
        let (mut is_code, mut is_comment) = (false, false);
        match inside {
            Inside::Code if next_is(at, "//") => {
                inside = Inside::LineComment;
                is_comment = true;
            }
            Inside::Code if next_is(at, "/*") => inside = Inside::BlockComment,
            Inside::Code => {
                is_code = true;
                match opening(&characters, at) {
                    Some((length, Some(opened))) => {
                        taken = length;
                        inside = opened;
                    }
                    Some((length, None)) => {
                        taken = length;
                        is_code = false;
                    }
                    None => {}
                }
            }
            Inside::LineComment => {
                is_comment = true;
                if characters[at] == '\n' {
                    inside = Inside::Code;
                }
            }
            Inside::BlockComment => {
                is_comment = true;
                if next_is(at, "*/") {
                    taken = 2;
                    inside = Inside::Code;
                }
            }
            Inside::Text { raw: None } if characters[at] == '\\' => taken = 2,
            Inside::Text { raw } => {
                let end = format!("\"{}", "#".repeat(raw.unwrap_or(0)));
                if next_is(at, &end) {
                    taken = end.len();
                    is_code = true;
                    inside = Inside::Code;
                }
            }
        }
        for &character in characters.iter().skip(at).take(taken) {
            let blank = if character == '\n' { '\n' } else { ' ' };
            code.push(if is_code { character } else { blank });
            comments.push(if is_comment { character } else { blank });
        }
        at += taken;
    }
    (code, comments)
}

/// A literal that opens at `at`: the length of its opening and what is inside; or the length of a
/// whole character literal, inside of which nothing is.
fn opening(characters: &[char], at: usize) -> Option<(usize, Option<Inside>)> {
    let behind_a_word =
        at > 0 && (characters[at - 1].is_alphanumeric() || characters[at - 1] == '_');
    match characters[at] {
        '"' => Some((1, Some(Inside::Text { raw: None }))),
        'r' | 'b' if !behind_a_word => {
            let mut length = 1;
            if characters[at] == 'b' && characters.get(at + 1) == Some(&'r') {
                length = 2;
            }
            let raw = characters[at + length - 1] == 'r';
            let hashes = characters[at + length..].iter().take_while(|&&c| raw && c == '#').count();
            let opens = characters.get(at + length + hashes) == Some(&'"');
            let raw = raw.then_some(hashes);
            opens.then_some((length + hashes + 1, Some(Inside::Text { raw })))
        }
        '\'' if characters.get(at + 1) == Some(&'\\') => {
            let length = characters[at + 3..].iter().position(|&c| c == '\'')?;
            Some((length + 4, None))
        }
        '\'' if characters.get(at + 2) == Some(&'\'') => Some((3, None)),
        _ => None,
    }
}

#[test]
fn code_and_comments_are_told_apart() {
    let text = r##"let a = "// no"; // yes "still"
let b = r#"x " y"#; let c = '"'; let d = b"\"z"; let e = '\''; f::<'a>() /* g */ + 1"##;
    let (code, comments) = split(text);
    for word in ["no", "yes", "still", "x", "z", "g"] {
        assert!(!code.split(|c: char| !c.is_alphanumeric()).any(|w| w == word), "{word}: {code}");
    }
    for word in ["let a", "let b", "let c", "let d", "let e", "f::<'a>()", "+ 1"] {
        assert!(code.contains(word), "{word}: {code}");
    }
    assert_eq!(comments.split_whitespace().collect::<Vec<_>>()[..3], ["//", "yes", "\"still\""]);
    assert_eq!(code.lines().count(), text.lines().count());
}
