//! Where configuration files are: in a folder, or built into the binary.

use std::borrow::Cow;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use super::{Mistake, risk};
use crate::app::dialect_file;

/// A folder, or the built-in default.
#[derive(Debug)]
pub(super) struct Source<'d> {
    dir: Option<&'d Path>,
}

/// One file of a source.
#[derive(Debug)]
pub(super) struct File {
    /// Its name in mistakes.
    pub(super) shown: String,
    /// What stands in it.
    pub(super) text: Cow<'static, str>,
}

impl<'d> Source<'d> {
    /// The folder `dir`, or the built-in default.
    pub(super) fn new(dir: Option<&'d Path>) -> Self {
        Self { dir }
    }

    /// The name of the source.
    pub(super) fn origin(&self) -> String {
        self.dir.map_or_else(|| "built-in default".to_owned(), |dir| dir.display().to_string())
    }

    /// The file `name`; a mistake if it cannot be read.
    pub(super) fn file(&self, name: &str, mistakes: &mut Vec<Mistake>) -> Option<File> {
        let Some(dir) = self.dir else {
            let text = EMBEDDED.iter().find(|(other, _)| *other == name).map(|(_, text)| *text)?;
            return Some(File { shown: format!("config/{name}"), text: Cow::Borrowed(text) });
        };
        let path = dir.join(name);
        let shown = path.display().to_string();
        let mistake = match read_within(&path, most(name)).map(String::from_utf8) {
            Ok(Ok(text)) => return Some(File { shown, text: Cow::Owned(text) }),
            Ok(Err(error)) => not_utf8(shown, &error),
            Err(error) => {
                let reason = format!("cannot be read: {error}");
                Mistake { file: shown, line: 0, text: name.to_owned(), reason }
            }
        };
        mistakes.push(mistake);
        None
    }

    /// The same, if there is such a file in the folder; the default that is built in has none.
    pub(super) fn file_if_there(&self, name: &str, mistakes: &mut Vec<Mistake>) -> Option<File> {
        let is_there = self.dir?.join(name).try_exists().unwrap_or(true);
        if is_there { self.file(name, mistakes) } else { None }
    }

    /// The folder, if it is one.
    pub(super) fn dir(&self) -> Option<&'d Path> {
        self.dir
    }

    /// Eight hexadecimal digits that stand for all that the files say: the same where the same is
    /// said, on any machine.
    pub(super) fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut add = |name: &str, bytes: &[u8]| {
            // With lengths: what moves from one file to the next makes another hash.
            for part in [name.as_bytes(), bytes] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                for piece in part.chunks(HASH_PIECE) {
                    hasher.update(piece);
                    std::thread::yield_now();
                }
            }
        };
        for (name, embedded) in EMBEDDED {
            let read = self.dir.map(|dir| fs::read(dir.join(name)).unwrap_or_default());
            add(name, read.as_deref().unwrap_or(embedded.as_bytes()));
        }
        if let Some(rules) = self.dir.and_then(|dir| fs::read(dir.join(risk::NAME)).ok()) {
            add(risk::NAME, &rules);
        }
        let dialects = self.dialects().and_then(|dir| fs::read_dir(dir).ok());
        let mut paths: Vec<PathBuf> =
            dialects.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "toml"));
        paths.sort_unstable();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            add(&name, &fs::read(&path).unwrap_or_default());
        }
        hasher.finalize().to_hex().chars().take(HASH_DIGITS).collect()
    }

    /// Where dialects of one's own are.
    pub(super) fn dialects(&self) -> Option<PathBuf> {
        self.dir.map(|dir| dir.join("dialects"))
    }
}

/// Names the first line of a file that is not UTF-8, and the place in it.
fn not_utf8(file: String, error: &FromUtf8Error) -> Mistake {
    let bytes = error.as_bytes();
    let wrong = error.utf8_error().valid_up_to();
    let before = bytes.get(..wrong).unwrap_or(bytes);
    let from = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let rest = bytes.get(from..).unwrap_or(&[]);
    let text = rest.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
    let text = dialect_file::shown(String::from_utf8_lossy(text).trim_end());
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let reason = format!("not UTF-8 at byte {} of the line", wrong - from + 1);
    Mistake { file, line, text, reason }
}

/// Hashed in one go, some tens of microseconds.
const HASH_PIECE: usize = 64 << 10;

/// Enough that two versions of one folder do not have the same.
const HASH_DIGITS: usize = 8;

const EMBEDDED: [(&str, &str); 3] = [
    ("switch.toml", include_str!("../../../config/switch.toml")),
    ("routes.toml", include_str!("../../../config/routes.toml")),
    ("merchants.csv", include_str!("../../../config/merchants.csv")),
];

/// A whole file, if it is no longer than `most` bytes.
fn read_within(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if read as u64 > most {
        return Err(io::Error::other(format!("longer than {} MiB", most >> 20)));
    }
    Ok(bytes)
}

/// Bytes that a file of this name may have.
fn most(name: &str) -> u64 {
    if name.ends_with(".csv") { MERCHANTS_BYTES_MAX } else { FILE_BYTES_MAX }
}

/// A file of routes with 50,000 forms of codes has 2 MiB; as a tree of values it takes some sixty
/// times as much as on the disk.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// Fifteen million merchants.
const MERCHANTS_BYTES_MAX: u64 = 512 << 20;
