//! Where a dialect file is: a path, a folder of the user's, or the files built into the binary.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use super::mistake::Mistake;
use super::shipped::embedded;

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
    found.map_err(|reason| Mistake {
        file: name_or_path.to_owned(),
        line: 0,
        text: name_or_path.to_owned(),
        reason,
    })
}

/// The parent that `child` names: in `extra_dir`, beside the child, or shipped.
pub(super) fn parent(name: &str, child: &File, extra_dir: Option<&Path>) -> Result<File, String> {
    by_name(name, extra_dir.into_iter().chain(child.folder.as_deref()))
}

fn by_name<'d>(name: &str, mut folders: impl Iterator<Item = &'d Path>) -> Result<File, String> {
    if name.is_empty() || name.contains(['/', '\\']) {
        return Err("a dialect's name is its file's stem, without folder".to_owned());
    }
    let file_name = format!("{name}.toml");
    if let Some(path) =
        folders.find_map(|folder| Some(folder.join(&file_name)).filter(|p| p.is_file()))
    {
        return on_disk(&path);
    }
    match embedded(name) {
        Some(text) => Ok(File {
            shown: format!("dialects/{file_name}"),
            stem: name.to_owned(),
            text: Cow::Borrowed(text),
            folder: None,
        }),
        None => Err(format!("unknown dialect {name:?}")),
    }
}

fn on_disk(path: &Path) -> Result<File, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(File {
        shown: path.display().to_string(),
        stem,
        text: Cow::Owned(text),
        folder: path.parent().map(Path::to_owned),
    })
}
