//! Where configuration files are: in a folder, or built into the binary.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use super::Mistake;

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
        match fs::read_to_string(&path) {
            Ok(text) => Some(File { shown, text: Cow::Owned(text) }),
            Err(error) => {
                let reason = format!("cannot be read: {error}");
                mistakes.push(Mistake { file: shown, line: 0, text: name.to_owned(), reason });
                None
            }
        }
    }

    /// Where dialects of one's own are.
    pub(super) fn dialects(&self) -> Option<PathBuf> {
        self.dir.map(|dir| dir.join("dialects"))
    }
}

const EMBEDDED: [(&str, &str); 3] = [
    ("switch.toml", include_str!("../../../config/switch.toml")),
    ("routes.toml", include_str!("../../../config/routes.toml")),
    ("merchants.csv", include_str!("../../../config/merchants.csv")),
];
