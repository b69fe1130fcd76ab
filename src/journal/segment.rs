//! Segment files: their names, and how one comes to be.
//!
//! A segment gets its name only when it has its room on the disk and a durable header. So a file
//! with the name of a segment always has a header, and no write to it ever needs room.

use std::io;

use rustix::rand::GetRandomFlags;

use super::files::{File, Files};
use super::format::{self, HEADER_BYTES, SegmentHeader};
use super::halt::Halt;
use super::key::{Key, Seal};
use super::{Durability, Options};
use crate::base::time::Wall;

/// A segment that is ready to be written.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) file: Box<dyn File>,
    /// How long the file is.
    pub(super) bytes: u64,
    pub(super) crc_start: u32,
    pub(super) seal: Seal,
}

/// Makes segment `number` ready, in the place of an unused one of that number.
///
/// Where each block is synced, the zeros are really written, not only their room taken: a sync has
/// then the block to write, and not also the note that its place is in use. That halves its time
/// (120 us instead of 205 for 20 KB, ext4).
pub(super) fn prepare(
    files: &dyn Files,
    options: &Options,
    number: u64,
    now: Wall,
) -> io::Result<Segment> {
    let fresh = format!("{}{FRESH}", name(number));
    let file = create(files, &fresh, options.segment_bytes)?;
    if options.durability == Durability::Power {
        file.fill(options.segment_bytes)?;
    }
    finish(files, &options.key, (&fresh, file), number, now)
}

/// Takes what the run before had made ready as segment `number` and did not use, if there is such a
/// file: the room of a new one would have to be written first, and the first request waits for it.
///
/// It gets another header, since a block that was lost may have been sealed with the salt of the
/// old one. Meanwhile it has no name of a segment, so nothing may demand that it is there.
pub(super) fn prepare_unused(
    files: &dyn Files,
    options: &Options,
    number: u64,
    now: Wall,
) -> io::Result<Option<Segment>> {
    let named = name(number);
    if !files.list()?.contains(&named) {
        return Ok(None);
    }
    let file = files.open(&named)?;
    if file.length()? != options.segment_bytes || !is_unused(&*file)? {
        return Ok(None);
    }
    let fresh = format!("{named}{FRESH}");
    files.rename(&named, &fresh)?;
    finish(files, &options.key, (&fresh, file), number, now).map(Some)
}

/// True if there are only zeros behind the header.
fn is_unused(file: &dyn File) -> io::Result<bool> {
    let mut bytes = vec![0; 1 << 18];
    let mut at = HEADER_BYTES as u64;
    loop {
        let count = file.read_at(at, &mut bytes)?;
        if count == 0 {
            return Ok(true);
        }
        if format::not_zero(&bytes[..count]).is_some() {
            return Ok(false);
        }
        at += count as u64;
    }
}

/// A file with its room on the disk, or none.
fn create(files: &dyn Files, name: &str, bytes: u64) -> io::Result<Box<dyn File>> {
    let file = files.create(name)?;
    if let Err(error) = file.allocate(bytes) {
        // What it could get of the disk is given back.
        drop(file);
        files.remove(name)?;
        return Err(error);
    }
    Ok(file)
}

/// Makes segment `number` ready out of the reserve, which needs no room on the disk.
pub(super) fn prepare_from_reserve(
    files: &dyn Files,
    key: &Key,
    number: u64,
    now: Wall,
) -> io::Result<Segment> {
    let file = files.open(RESERVE)?;
    finish(files, key, (RESERVE, file), number, now)
}

fn finish(
    files: &dyn Files,
    key: &Key,
    (from, file): (&str, Box<dyn File>),
    number: u64,
    now: Wall,
) -> io::Result<Segment> {
    let mut salt = [0; 32];
    let mut filled = 0;
    while filled < salt.len() {
        filled += rustix::rand::getrandom(&mut salt[filled..], GetRandomFlags::empty())?;
    }
    let header = SegmentHeader { segment: number, created: now, key: key.id(), salt };
    file.write_all_at(0, &header.encode())?;
    file.sync()?;
    files.rename(from, &name(number))?;
    files.sync_names()?;
    let bytes = file.length()?;
    Ok(Segment { number, bytes, crc_start: header.crc_start(), seal: key.seal(&salt), file })
}

/// Makes sure that there is a reserve of `bytes`.
pub(super) fn prepare_reserve(files: &dyn Files, bytes: u64) -> io::Result<()> {
    if has_reserve(files, bytes)? {
        return Ok(());
    }
    let fresh = format!("{RESERVE}{FRESH}");
    create(files, &fresh, bytes)?.sync()?;
    files.rename(&fresh, RESERVE)?;
    files.sync_names()
}

/// Is there a reserve of `bytes`?
pub(super) fn has_reserve(files: &dyn Files, bytes: u64) -> io::Result<bool> {
    if !files.list()?.iter().any(|name| name == RESERVE) {
        return Ok(false);
    }
    Ok(files.open(RESERVE)?.length()? == bytes)
}

/// Removes what was begun and not finished.
pub(super) fn remove_unfinished(files: &dyn Files) -> io::Result<()> {
    for name in files.list()?.iter().filter(|name| name.ends_with(FRESH)) {
        files.remove(name)?;
    }
    Ok(())
}

/// The segments there are, in ascending order.
pub(super) fn numbers(files: &dyn Files) -> Result<Vec<u64>, Halt> {
    let names = files.list().map_err(|error| Halt::io(files.place(""), "list the files", error))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The name of a segment file.
pub(super) fn name(number: u64) -> String {
    format!("{number:012}{SUFFIX}")
}

fn number_of(file: &str) -> Option<u64> {
    let number = file.strip_suffix(SUFFIX)?.parse().ok()?;
    (name(number) == file).then_some(number)
}

/// The shortest segment that is any use.
pub(super) const SEGMENT_BYTES_MIN: u64 = 8 * HEADER_BYTES as u64;

const SUFFIX: &str = ".segment";

/// What a file is called until it is whole.
const FRESH: &str = ".new";

/// Room for what must be stored though the disk is full.
const RESERVE: &str = "reserve";
