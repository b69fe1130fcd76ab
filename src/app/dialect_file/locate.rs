//! Where a dialect file is: a path, a folder of the user's, or the files built into the binary.

use std::borrow::Cow;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::mistake::Mistake;
use super::shipped::embedded;
use crate::app::text_file;

/// A dialect file that was found.
pub(super) struct File {
    /// The name shown in mistakes, unique to the file.
    pub(super) shown: String,
    /// The name without folder and `.toml`.
    pub(super) stem: String,
    /// What stands in it.
    pub(super) text: Cow<'static, str>,
    /// Its folder; `None` if shipped.
    folder: Option<PathBuf>,
}

/// The file of a name or path that the user gave.
pub(super) fn file(name_or_path: &str, extra_dir: Option<&Path>) -> Result<File, Mistake> {
    let found = if name_or_path.contains('/') || name_or_path.ends_with(".toml") {
        on_disk(Path::new(name_or_path))
    } else {
        by_name(name_or_path, extra_dir.into_iter())
    };
    found.map_err(|lost| match lost {
        Lost::Unreadable(mistake) => mistake,
        Lost::Unknown(reason) => {
            let name = name_or_path.to_owned();
            Mistake { file: name.clone(), line: 0, text: name, reason }
        }
    })
}

/// The parent that `child` names: in `extra_dir`, beside the child, or shipped.
pub(super) fn parent(name: &str, child: &File, extra_dir: Option<&Path>) -> Result<File, Lost> {
    by_name(name, extra_dir.into_iter().chain(child.folder.as_deref()))
}

/// Why there is no file.
pub(super) enum Lost {
    /// None has such a name: a sentence on it.
    Unknown(String),
    /// There is one, and it cannot be read.
    Unreadable(Mistake),
}

/// True if `folder` has a dialect of this name, readable or not: whoever put a link there that
/// leads nowhere does not mean the shipped dialect instead.
pub(in crate::app) fn is_in(folder: &Path, name: &str) -> bool {
    let found = fs::symlink_metadata(folder.join(format!("{name}.toml")));
    found.map_or_else(|error| error.kind() != ErrorKind::NotFound, |_| true)
}

fn by_name<'d>(name: &str, mut folders: impl Iterator<Item = &'d Path>) -> Result<File, Lost> {
    if name.is_empty() || name.contains(['/', '\\']) {
        let reason = "a dialect's name is its file's stem, without folder";
        return Err(Lost::Unknown(reason.to_owned()));
    }
    let file_name = format!("{name}.toml");
    if let Some(folder) = folders.find(|folder| is_in(folder, name)) {
        return on_disk(&folder.join(file_name));
    }
    match embedded(name) {
        Some(text) => Ok(File {
            shown: format!("dialects/{file_name}"),
            stem: name.to_owned(),
            text: Cow::Borrowed(text),
            folder: None,
        }),
        None => Err(Lost::Unknown(format!("unknown dialect {name:?}"))),
    }
}

fn on_disk(path: &Path) -> Result<File, Lost> {
    let text = text_file::text(path, DIALECT_BYTES_MAX).map_err(Lost::Unreadable)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(File {
        shown: path.display().to_string(),
        stem,
        text: Cow::Owned(text),
        folder: path.parent().map(Path::to_owned),
    })
}

/// The longest that is shipped has some 10 KiB.
pub(in crate::app) const DIALECT_BYTES_MAX: u64 = 1 << 20;
