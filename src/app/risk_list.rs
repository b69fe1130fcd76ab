//! A list in a file, changed while whoever uses it runs.
//!
//! The file is written anew beside itself and renamed into its place, so nobody ever reads half of
//! it, and a crash leaves the old one or the new one. The new file has one name: while it is there,
//! nobody else changes the list, and no change is lost to another. Remarks and the order of lines
//! stay. The switch takes the file up by itself, as it does with all that `risk.toml` names.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::config::{LIST_BYTES_MAX, list_entry};
use super::text_file;
use crate::risk::list::Listed;

/// A list as it stands in its file.
#[derive(Debug)]
pub struct ListFile {
    path: PathBuf,
    lines: Vec<Line>,
}

/// A line, and whom it lists.
#[derive(Debug)]
struct Line {
    text: String,
    listed: Option<Listed>,
}

impl ListFile {
    /// Reads the list; one that is not there yet is empty.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, or with its first line that lists nobody.
    pub fn read(path: &Path) -> Result<Self, String> {
        let mut list = Self { path: path.to_owned(), lines: Vec::new() };
        if !path.try_exists().map_err(|error| format!("{}: {error}", path.display()))? {
            return Ok(list);
        }
        let text =
            text_file::text(path, LIST_BYTES_MAX).map_err(|mistake| mistake.without_text())?;
        for (number, text) in text.lines().enumerate() {
            let listed = list_entry(text, true)
                .map_err(|why| format!("{}:{}: {why}", path.display(), number + 1))?;
            list.lines.push(Line { text: text.to_owned(), listed });
        }
        Ok(list)
    }

    /// Whoever is listed, as it is written.
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        let listing = self.lines.iter().filter(|line| line.listed.is_some());
        listing.map(|line| line.text.trim())
    }

    /// Lists an entry; false if it was listed already.
    ///
    /// # Errors
    ///
    /// What is wrong with the entry.
    pub fn add(&mut self, text: &str) -> Result<bool, String> {
        let listed = Some(entry(text)?);
        let is_new = self.lines.iter().all(|line| line.listed != listed);
        if is_new {
            let text = text.trim();
            let text = text.strip_prefix("token ").unwrap_or(text).trim().to_owned();
            self.lines.push(Line { text, listed });
        }
        Ok(is_new)
    }

    /// Takes an entry off the list; false if it was not on it.
    ///
    /// # Errors
    ///
    /// What is wrong with the entry.
    pub fn remove(&mut self, text: &str) -> Result<bool, String> {
        let listed = Some(entry(text)?);
        let count = self.lines.len();
        self.lines.retain(|line| line.listed != listed);
        Ok(self.lines.len() < count)
    }
}

/// Changes a list, if `change` says that anything changed, and puts it in the place of the old one.
/// Nobody else changes it meanwhile.
///
/// # Errors
///
/// What is wrong with the list or a change of it, or what the operating system said.
pub fn change(
    path: &Path,
    change: impl FnOnce(&mut ListFile) -> Result<bool, String>,
) -> Result<bool, String> {
    let aside = aside(path);
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).open(&aside).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AlreadyExists => {
                ": somebody else changes the list; if nobody does, remove this file"
            }
            _ => "",
        };
        format!("{}: {error}{hint}", aside.display())
    })?;
    let changed = ListFile::read(path).and_then(|mut list| match change(&mut list)? {
        true => list.write(file, &aside).map(|()| true).map_err(|error| error.to_string()),
        false => Ok(false),
    });
    if changed != Ok(true) {
        drop(fs::remove_file(&aside));
    }
    changed
}

impl ListFile {
    fn write(&self, file: File, aside: &Path) -> io::Result<()> {
        if let Ok(about) = fs::metadata(&self.path) {
            file.set_permissions(about.permissions())?;
        }
        let mut out = BufWriter::new(&file);
        self.lines.iter().try_for_each(|line| writeln!(out, "{}", line.text))?;
        out.flush()?;
        drop(out);
        file.sync_all()?;
        fs::rename(aside, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// Whom the words of a command list.
fn entry(text: &str) -> Result<Listed, String> {
    if text.len() > 11 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Such a token is one in two thousand; a card number in the list of processes is worse.
        return Err("only digits: hand card numbers in on standard input (--key-file)".to_owned());
    }
    list_entry(text, true)?.ok_or_else(|| "an empty entry lists nobody".to_owned())
}

/// Where the new file is written, beside the old one.
fn aside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_changed_whole_or_not_at_all() {
        let name = format!("authswitch-list-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("stopped");
        let add = |text: &str| change(&path, |list| list.add(text));
        let remove = |text: &str| change(&path, |list| list.remove(text));
        let read = || fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(add("merchant SHOP-1"), Ok(true));
        assert_eq!(add("merchant  SHOP-1"), Ok(false), "it is there");
        assert_eq!(add("00112233445566aa"), Ok(true));
        fs::write(&path, format!("# since today\n{}", read())).expect("written");
        assert_eq!(add("prefix 62"), Ok(true));
        assert_eq!(read(), "# since today\nmerchant SHOP-1\n00112233445566aa\nprefix 62\n");
        assert_eq!(remove("00112233445566AA"), Ok(true));
        assert_eq!(remove("00112233445566aa"), Ok(false));
        assert_eq!(read(), "# since today\nmerchant SHOP-1\nprefix 62\n");
        for wrong in ["", "# a remark", "4111111111111111", "shop X", "prefix 123456789012"] {
            assert!(add(wrong).is_err(), "{wrong}");
        }
        let list = ListFile::read(&path).expect("a list");
        assert_eq!(list.entries().collect::<Vec<_>>(), ["merchant SHOP-1", "prefix 62"]);
        fs::write(folder.join("stopped.new"), "").expect("written");
        let told = add("terminal T1").expect_err("somebody else is at it");
        assert!(told.contains("somebody else"), "{told}");
        fs::remove_file(folder.join("stopped.new")).expect("removed");
        fs::write(&path, "4111 1111\n").expect("written");
        let told = add("terminal T1").expect_err("a line lists nobody");
        assert!(told.contains("stopped:1: ") && !told.contains("4111"), "{told}");
        assert!(!folder.join("stopped.new").exists(), "nothing is left behind");
        fs::remove_dir_all(&folder).expect("removed");
    }
}
