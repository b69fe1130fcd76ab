//! What files look like from outside: has anything been written since?

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The files of a configuration folder: each with its place on the disk, its length and the time of
/// its last change. A file that is written again differs in the time, one that is renamed over
/// another in the place; the time of the change of the place itself (ctime) sees both, and whoever
/// sets back the time of writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Seen>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    path: PathBuf,
    place: (u64, u64),
    bytes: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// How the files of `dir` and those `beside` them look now. Those that are not there are left
    /// out.
    pub(super) fn of(dir: &Path, beside: &[PathBuf]) -> Self {
        let mut paths: Vec<PathBuf> = FILES.iter().map(|name| dir.join(name)).collect();
        let dialects = fs::read_dir(dir.join("dialects")).into_iter().flatten().flatten();
        let is_dialect = |path: &PathBuf| path.extension().is_some_and(|end| end == "toml");
        paths.extend(dialects.map(|entry| entry.path()).filter(is_dialect));
        paths.extend_from_slice(beside);
        let mut seen: Vec<Seen> = paths.into_iter().filter_map(Seen::of).collect();
        seen.sort_unstable();
        Self(seen)
    }
}

impl Seen {
    fn of(path: PathBuf) -> Option<Self> {
        // Through links: what they lead to is what is read.
        let about = fs::metadata(&path).ok()?;
        Some(Self {
            path,
            place: (about.dev(), about.ino()),
            bytes: about.len(),
            written: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        })
    }
}

/// The files of a folder beside its dialects.
const FILES: [&str; 4] = ["switch.toml", "routes.toml", "risk.toml", "merchants.csv"];

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_way_to_write_is_seen() {
        let name = format!("authswitch-stamp-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(dir.join("dialects")).expect("a folder");
        let mut last = Stamp::of(&dir, &[]);
        let mut differs = |what: &str, act: &dyn Fn()| {
            // Times of files advance in steps.
            std::thread::park_timeout(Duration::from_millis(20));
            act();
            let now = Stamp::of(&dir, &[]);
            assert_ne!(now, last, "{what}");
            assert_eq!(now, Stamp::of(&dir, &[]), "{what}: nothing since");
            last = now;
        };
        let routes = dir.join("routes.toml");
        let aside = dir.join("routes.toml.new");
        let write = |path: &Path, text: &str| fs::write(path, text).expect("a file");
        differs("a new file", &|| write(&routes, "a = 1"));
        differs("as long as before", &|| write(&routes, "a = 2"));
        differs("renamed over it", &|| {
            write(&aside, "a = 3");
            fs::rename(&aside, &routes).expect("a rename");
        });
        differs("the time set back", &|| {
            write(&routes, "a = 4");
            let file = fs::File::options().write(true).open(&routes).expect("a file");
            file.set_modified(std::time::UNIX_EPOCH).expect("a time");
        });
        differs("a dialect", &|| write(&dir.join("dialects/own.toml"), ""));
        differs("removed", &|| fs::remove_file(&routes).expect("a file"));
        write(&dir.join("dialects/notes.txt"), "");
        write(&dir.join("routes.toml~"), "");
        assert_eq!(Stamp::of(&dir, &[]), last, "nobody reads these");
        fs::remove_dir_all(&dir).expect("a folder");
    }
}
