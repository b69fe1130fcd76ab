//! A folder for a journal, and what a group commit costs on the disk it is on.
//!
//! The yardstick is as plain as can be: a file that has its place, blocks behind one another, a
//! sync after each. No journal can do better with one sync at a time, so what a switch adds to a
//! transaction is told in multiples of it. It is measured in the same run, because disks of
//! shared machines change by the hour.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::clock::{NS_PER_S, now_ns};
use crate::failure::Failure;

/// A folder of this process, which goes away with it.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is found by its name.
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Scratch {
    /// A new folder below `parent`; by default beside this program, so on the disk that holds what
    /// was built.
    pub(crate) fn below(parent: Option<&Path>) -> Result<Scratch, Failure> {
        let parent = match parent {
            Some(parent) => parent.to_owned(),
            None => std::env::current_exe()
                .map_err(|error| Failure::of("find this program", error))?
                .parent()
                .map_or_else(std::env::temp_dir, Path::to_owned),
        };
        let path = parent.join(format!("loadtest-journal-{}", std::process::id()));
        let attempt = format!("create the folder {}", path.display());
        fs::create_dir_all(&path).map_err(|error| Failure::of(&attempt, error))?;
        let path = path.canonicalize().map_err(|error| Failure::of(&attempt, error))?;
        Ok(Scratch { path })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The kind of filesystem it is on, such as ext4.
    pub(crate) fn filesystem(&self) -> String {
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        filesystem_of(&self.path, &mounts).unwrap_or("unknown").to_owned()
    }
}

/// Write and sync of one block, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Commit {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// Measures group commits in a file of its own in `folder`.
pub(crate) fn group_commit(folder: &Path) -> Result<Commit, Failure> {
    let path = folder.join("group-commit");
    let measured = commits(&path);
    // It lies in a folder that goes away.
    let _ = fs::remove_file(&path);
    let times_ns = measured.map_err(|error| Failure::of("measure a group commit", error))?;
    let at = |quantile| times_ns.value_at_quantile(quantile) as f64 / 1e3;
    Ok(Commit { p50_us: at(0.5), p99_us: at(0.99) })
}

fn commits(path: &Path) -> io::Result<Histogram<u64>> {
    let file: File = OpenOptions::new().write(true).create_new(true).open(path)?;
    // Zeros that are really written: a sync then has the block to write and no note on its place.
    file.write_all_at(&vec![0; BLOCK_BYTES * (WARM_UP + BLOCKS)], 0)?;
    file.sync_all()?;
    let block = vec![0x5A; BLOCK_BYTES];
    let times_ns = Histogram::new_with_bounds(TIME_NS_MIN, TIME_NS_MAX, DIGITS);
    let mut times_ns = times_ns.map_err(io::Error::other)?;
    for number in 0..WARM_UP + BLOCKS {
        let from_ns = now_ns();
        file.write_all_at(&block, (number * BLOCK_BYTES) as u64)?;
        file.sync_data()?;
        if number >= WARM_UP {
            times_ns.saturating_record(now_ns() - from_ns);
        }
    }
    Ok(times_ns)
}

/// The filesystem of the longest mount point that `path` is below.
fn filesystem_of<'m>(path: &Path, mounts: &'m str) -> Option<&'m str> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let above = mounts.filter(|(mount, _)| path.starts_with(mount));
    above.max_by_key(|(mount, _)| mount.len()).map(|(_, kind)| kind)
}

/// 64 records of 300 bytes, in whole sectors of 512.
const BLOCK_BYTES: usize = 38 * 512;
const BLOCKS: usize = 400;
const WARM_UP: usize = 40;
const TIME_NS_MIN: u64 = 100;
const TIME_NS_MAX: u64 = 60 * NS_PER_S;
const DIGITS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_above_a_path_is_its_own() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\nb /run/c xfs rw 0 0\n";
        let of = |path: &str| filesystem_of(Path::new(path), mounts);
        assert_eq!(of("/home/x"), Some("ext4"));
        assert_eq!(of("/run/x"), Some("tmpfs"));
        assert_eq!(of("/run/c/x"), Some("xfs"));
        assert_eq!(of("/runner"), Some("ext4"));
        assert_eq!(filesystem_of(Path::new("/x"), ""), None);
    }

    #[test]
    fn a_folder_goes_away_with_what_was_measured_in_it() {
        let scratch = Scratch::below(Some(&std::env::temp_dir())).unwrap();
        let path = scratch.path().to_owned();
        let commit = group_commit(&path).unwrap();
        // A system call alone takes a microsecond.
        assert!(commit.p50_us > 1.0 && commit.p99_us >= commit.p50_us, "{commit:?}");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        drop(scratch);
        assert!(!path.exists());
    }
}
