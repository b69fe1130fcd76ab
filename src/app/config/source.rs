//! Where configuration files are: in a folder, or built into the binary.

use std::borrow::Cow;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Mistake, risk};
use crate::app::dialect_file::DIALECT_BYTES_MAX;
use crate::app::text_file;

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
        match text_file::text(&path, most(name)) {
            Ok(text) => Some(File { shown: path.display().to_string(), text: Cow::Owned(text) }),
            Err(mistake) => {
                mistakes.push(mistake);
                None
            }
        }
    }

    /// The same, if there is such a file in the folder; the default that is built in has none. A
    /// link that leads nowhere is there: whoever made it did not mean to go without.
    pub(super) fn file_if_there(&self, name: &str, mistakes: &mut Vec<Mistake>) -> Option<File> {
        let found = fs::symlink_metadata(self.dir?.join(name));
        let is_missing = found.is_err_and(|error| error.kind() == ErrorKind::NotFound);
        if is_missing { None } else { self.file(name, mistakes) }
    }

    /// The folder, if it is one.
    pub(super) fn dir(&self) -> Option<&'d Path> {
        self.dir
    }

    /// Eight hexadecimal digits that stand for all that the files say, those `beside` them
    /// included: the same where the same is said, on any machine.
    pub(super) fn hash(&self, beside: &[PathBuf]) -> String {
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
            let read = |dir: &Path| text_file::bytes(&dir.join(name), most(name));
            let read = self.dir.map(|dir| read(dir).unwrap_or_default());
            add(name, read.as_deref().unwrap_or(embedded.as_bytes()));
        }
        let rules = self.dir.map(|dir| text_file::bytes(&dir.join(risk::NAME), FILE_BYTES_MAX));
        if let Some(Ok(rules)) = rules {
            add(risk::NAME, &rules);
        }
        let dialects = self.dialects().and_then(|dir| fs::read_dir(dir).ok());
        let mut paths: Vec<PathBuf> =
            dialects.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "toml"));
        paths.sort_unstable();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            add(&name, &text_file::bytes(&path, DIALECT_BYTES_MAX).unwrap_or_default());
        }
        for path in beside {
            let read = text_file::bytes(path, MERCHANTS_BYTES_MAX).unwrap_or_default();
            add("", &read);
        }
        hasher.finalize().to_hex().chars().take(HASH_DIGITS).collect()
    }

    /// Notes a `dialects` that is there and no folder, or one with too much in it: those that are
    /// shipped would be taken for dialects of one's own, or reading would take minutes.
    pub(super) fn check_dialects(&self, mistakes: &mut Vec<Mistake>) {
        let Some(dir) = self.dialects().filter(|dir| fs::symlink_metadata(dir).is_ok()) else {
            return;
        };
        let reason = match fs::read_dir(&dir).map(Iterator::count) {
            Err(error) => format!("cannot be read as a folder: {error}"),
            Ok(count) if count > DIALECTS_MAX => {
                format!("more than {DIALECTS_MAX} files")
            }
            Ok(_) => return,
        };
        let (file, text) = (dir.display().to_string(), String::new());
        mistakes.push(Mistake { file, line: 0, text, reason });
    }

    /// Where dialects of one's own are.
    pub(super) fn dialects(&self) -> Option<PathBuf> {
        self.dir.map(|dir| dir.join("dialects"))
    }
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

/// Ten times as many as are shipped. Each may be read with all that it inherits from.
pub(super) const DIALECTS_MAX: usize = 320;

/// Bytes that a file of this name may have.
fn most(name: &str) -> u64 {
    if name.ends_with(".csv") { MERCHANTS_BYTES_MAX } else { FILE_BYTES_MAX }
}

/// A file of routes with 50,000 forms of codes has 2 MiB; as a tree of values it takes some sixty
/// times as much as on the disk.
pub(super) const FILE_BYTES_MAX: u64 = 8 << 20;

/// Fifteen million merchants.
const MERCHANTS_BYTES_MAX: u64 = 512 << 20;
