//! What limits have counted, on the disk from time to time, so that a restart has it without
//! reading a month of records, and when the records are gone.
//!
//! A snapshot is taken page by page while workers count on. It holds at least what was counted
//! when it began; whatever was asked after that, and a little before, is counted again from the
//! journal ([`super::recount`]). So some requests count twice after a restart, and none not at all.
//! Time goes on too: the memory of the next life begins where the clock on the wall says.
//!
//! It stands beside the journal as `limits.snapshot`. It names nobody: keys are hashes, and
//! without the secret of the rules they lead nowhere. A snapshot that is damaged, or was taken
//! under another secret, is left alone: then all records are counted again.
//!
//! ```text
//! magic, version, check of the secret, when it began, since when requests are to be counted
//!     again (seconds), the clock on the wall less the time of the memory (ms), CRC-32C
//! then blocks: lines, CRC-32C, lines of 64 bytes; the last has none, and says how many there were
//! ```

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::base::time::{Now, Wall};
use crate::journal::{File, Files, Folder};
use crate::net::Clock;
use crate::risk::{Kept, LINE_WORDS, Memory, PAGE_BYTES, Rules, token};

/// A thread that takes snapshots.
#[derive(Debug)]
pub struct Snapshots {
    thread: JoinHandle<()>,
    stop: Sender<()>,
    said: Receiver<String>,
}

/// What a snapshot gave back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// When it began.
    pub began: Wall,
    /// From when on requests are to be counted again.
    pub since: Wall,
    /// Keys that are remembered again.
    pub keys: u64,
    /// Keys for which there was no room.
    pub lost: u64,
}

/// Puts back what was counted, and sets the time of the memory, in which nothing may have been
/// counted yet. `None` if there is no snapshot.
///
/// # Errors
///
/// One sentence, if there is one that cannot be used. Nothing is put back then.
pub fn restore(folder: &Path, rules: &Rules, now: Wall) -> Result<Option<Restored>, String> {
    let path = folder.join(NAME);
    if !path.exists() {
        return Ok(None);
    }
    let told = |error: io::Error| format!("{}: {error}", path.display());
    let file = Folder::at(folder).and_then(|folder| folder.open(NAME)).map_err(told)?;
    let head = head(&*file, check_of(rules)).map_err(told)?;
    // All of it is looked at before any of it is believed.
    lines(&*file, &mut |_| {}).map_err(told)?;
    let memory = rules.memory();
    let origin_ms = (now.unix_s() * 1000).saturating_sub(head.offset_ms);
    memory.begin_at(origin_ms);
    let mut restored = Restored { began: head.began, since: head.since, keys: 0, lost: 0 };
    let put_back = &mut |line: &Kept| match memory.put_back(line, origin_ms) {
        true => restored.keys += 1,
        false => restored.lost += 1,
    };
    lines(&*file, put_back).map_err(told)?;
    Ok(Some(restored))
}

/// Sets the time of a memory that begins with nothing.
pub fn begin(rules: &Rules, now: Wall) {
    rules.memory().begin_at((now.unix_s() * 1000).saturating_sub(EPOCH_MS));
}

impl Snapshots {
    /// Takes a snapshot every `interval` and at the end. To be called when the workers have their
    /// clock: its own begins later, which is the strict side.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started or the folder not be opened.
    pub fn start(folder: &Path, rules: &Rules, interval: Duration) -> io::Result<Self> {
        let files = Folder::at(folder)?;
        let (memory, check) = (Arc::clone(rules.memory()), check_of(rules));
        let ((stop, stopped), (say, said)) = (channel(), channel());
        let clock = Clock::start();
        let take = move |is_last: bool| {
            let began = clock.now();
            match write(&files, &memory, check, began, is_last) {
                Ok(keys) if is_last => format!("limits       {keys} keys kept for the next life"),
                Ok(_) => String::new(),
                Err(error) => format!("limits       not kept: {}: {error}", files.place(NAME)),
            }
        };
        let mut failed = false;
        let mut tell = move |line: String| {
            // A disk that is full is told of once.
            let is_news = !line.is_empty() && !failed;
            failed = line.contains("not kept");
            if is_news {
                let _ = say.send(line);
            }
        };
        let thread = std::thread::Builder::new().name("limits".into()).spawn(move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                tell(take(false));
            }
            tell(take(true));
        })?;
        Ok(Self { thread, stop, said })
    }

    /// What there is to be told.
    pub fn look(&self) -> impl Iterator<Item = String> {
        self.said.try_iter()
    }

    /// Takes the last one. To be called when no worker counts any more.
    pub fn finish(self) -> Vec<String> {
        drop(self.stop);
        let _ = self.thread.join();
        self.said.try_iter().collect()
    }
}

struct Head {
    began: Wall,
    since: Wall,
    offset_ms: u64,
}

/// Writes a snapshot beside the one there is and then puts it in its place.
fn write(
    files: &Folder,
    memory: &Memory,
    check: u64,
    began: Now,
    is_last: bool,
) -> io::Result<u64> {
    let now_ms = memory.ms(began.instant);
    let began_s = began.wall.unix_s();
    // A worker that reads the clock just before may count just after; the last one has all.
    let since_s = if is_last { began_s + 1 } else { began_s.saturating_sub(OVERLAP_S) };
    // Rounded up: the next life thinks rather that less time went by.
    let offset_ms = ((began_s + 1) * 1000).saturating_sub(now_ms);
    let file = files.create(FRESH)?;
    let mut head = bytes_of(&[MAGIC, VERSION, check, began_s, since_s, offset_ms]);
    head.extend(u64::from(crc32c::crc32c(&head)).to_le_bytes());
    file.write_all_at(0, &head)?;
    let (mut offset, mut unsynced, mut total) = (head.len() as u64, 0, 0);
    let mut kept: Vec<Kept> = Vec::new();
    for page in 0..=memory.pages() {
        memory.copy_page(page, now_ms, &mut kept);
        let is_end = page == memory.pages();
        if kept.is_empty() || kept.len() < BLOCK_LINES && !is_end {
            continue;
        }
        total += kept.len() as u64;
        let block = block(&kept);
        file.write_all_at(offset, &block)?;
        offset += block.len() as u64;
        unsynced += block.len();
        kept.clear();
        // Little by little: the journal waits for the same disk.
        if unsynced >= SYNC_BYTES && !is_last {
            file.sync()?;
            unsynced = 0;
            std::thread::park_timeout(PAUSE);
        }
    }
    let mut end = vec![0; 4];
    end.extend(crc32c::crc32c(&total.to_le_bytes()).to_le_bytes());
    end.extend(total.to_le_bytes());
    file.write_all_at(offset, &end)?;
    file.sync()?;
    files.rename(FRESH, NAME)?;
    files.sync_names()?;
    Ok(total)
}

fn block(lines: &[Kept]) -> Vec<u8> {
    let bytes = bytes_of(lines.as_flattened());
    let mut block = Vec::with_capacity(8 + bytes.len());
    block.extend((lines.len() as u32).to_le_bytes());
    block.extend(crc32c::crc32c(&bytes).to_le_bytes());
    block.extend(bytes);
    block
}

fn head(file: &dyn File, check: u64) -> io::Result<Head> {
    let mut bytes = [0; HEAD_WORDS * 8];
    read(file, 0, &mut bytes)?;
    let mut words = [0; HEAD_WORDS];
    words.iter_mut().zip(words_of(&bytes)).for_each(|(word, value)| *word = value);
    let [magic, version, secret, began_s, since_s, offset_ms, crc] = words;
    let crc_now = crc32c::crc32c(bytes.get(..HEAD_WORDS * 8 - 8).unwrap_or(&[]));
    if magic != MAGIC || crc != u64::from(crc_now) {
        return Err(damaged("it does not begin like a snapshot"));
    }
    match (version, secret) {
        (VERSION, secret) if secret == check => {}
        (VERSION, _) => return Err(damaged("taken under another key_file")),
        (version, _) => return Err(damaged(&format!("version {version} is not known"))),
    }
    let [began, since] = [began_s, since_s].map(Wall::from_unix_s);
    Ok(Head { began, since, offset_ms })
}

/// Hands out every line.
fn lines(file: &dyn File, take: &mut dyn FnMut(&Kept)) -> io::Result<()> {
    let (mut offset, mut total) = (HEAD_WORDS as u64 * 8, 0);
    let mut block = Vec::new();
    loop {
        let mut front = [0; 8];
        read(file, offset, &mut front)?;
        let [a, b, c, d, e, f, g, h] = front;
        let (count, crc) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        if count as usize > BLOCK_LINES_MAX {
            return Err(damaged(&format!("damaged at offset {offset}")));
        }
        let length = if count == 0 { 8 } else { count as usize * LINE_BYTES };
        block.resize(length, 0);
        read(file, offset + 8, &mut block)?;
        if crc32c::crc32c(&block) != crc || count == 0 && words_of(&block).next() != Some(total) {
            return Err(damaged(&format!("damaged at offset {offset}")));
        }
        if count == 0 {
            return Ok(());
        }
        for line in block.as_chunks::<LINE_BYTES>().0 {
            let mut words: Kept = [0; LINE_WORDS];
            words.iter_mut().zip(words_of(line)).for_each(|(word, value)| *word = value);
            take(&words);
        }
        total += u64::from(count);
        offset += 8 + length as u64;
    }
}

fn read(file: &dyn File, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
    match file.read_at(offset, bytes)? {
        length if length == bytes.len() => Ok(()),
        _ => Err(damaged("it ends too soon")),
    }
}

fn words_of(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word))
}

fn bytes_of(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// What a secret is known by: nothing of it can be told from this.
fn check_of(rules: &Rules) -> u64 {
    token(rules.secret(), b"authswitch limits")
}

/// Its name, and that of the one that is being taken.
const NAME: &str = "limits.snapshot";
const FRESH: &str = "limits.snapshot.new";

const MAGIC: u64 = u64::from_le_bytes(*b"ASLIMITS");
const VERSION: u64 = 1;
const HEAD_WORDS: usize = 7;
const LINE_BYTES: usize = LINE_WORDS * 8;

/// 2020-01-01: the time of a memory counts from there, so that it fits the bits it has.
const EPOCH_MS: u64 = 1_577_836_800_000;

/// Longer than a worker takes to count what it has read the clock for.
const OVERLAP_S: u64 = 10;

/// A block is written when it has so many lines; the last page may bring some more.
const BLOCK_LINES: usize = 1 << 14;
const BLOCK_LINES_MAX: usize = BLOCK_LINES + PAGE_BYTES / LINE_BYTES;

/// How much is written before the disk and the workers get a pause: 200 MB/s at most.
const SYNC_BYTES: usize = 1 << 20;
const PAUSE: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Instant;
    use crate::risk::Plan;

    const BEGAN: Wall = Wall::from_unix_s(1_795_000_000);

    fn rules(secret: u64, megabytes: usize) -> Rules {
        let plan = Plan { secret, ..Plan::default() };
        let rules = Rules::new(plan, Arc::new(Memory::new(megabytes << 20))).expect("no keys");
        begin(&rules, BEGAN);
        rules
    }

    fn now(s: u64) -> Now {
        let wall = Wall::from_unix_s(BEGAN.unix_s() + s);
        Now { instant: Instant::from_ns(s * 1_000_000_000), wall }
    }

    /// A line of an entry that matters for an hour: 57 spans of 64 seconds.
    fn line(key: u64, at_ms: u64) -> Kept {
        [key.wrapping_mul(0x9E37_79B9_7F4A_7C15), at_ms | 57 << 40, key, 0, 0, 0, 0, 0]
    }

    fn folder(name: &str) -> (std::path::PathBuf, Folder) {
        let path = std::env::temp_dir().join(format!("authswitch-{}-{name}", std::process::id()));
        let folder = Folder::at(&path).expect("a folder");
        (path, folder)
    }

    fn kept(memory: &Memory, now_ms: u64) -> Vec<Kept> {
        let mut kept = Vec::new();
        (0..memory.pages()).for_each(|page| memory.copy_page(page, now_ms, &mut kept));
        kept.sort_unstable();
        kept
    }

    #[test]
    fn what_was_counted_is_there_in_the_next_life_and_what_is_over_is_not() {
        let (path, files) = folder("snapshot");
        let first = rules(7, 4);
        let memory = first.memory();
        let at_ms = memory.ms(now(100).instant);
        let lines: Vec<Kept> = (1..=40_000).map(|key| line(key, at_ms)).collect();
        assert!(lines.iter().all(|line| memory.put_back(line, at_ms)));
        memory.put_back(&line(50_000, at_ms - 3_000_000), at_ms);
        assert_eq!(write(&files, memory, check_of(&first), now(200), false).expect("room"), 40_001);

        // The next life has more room, and other clocks.
        let next = rules(7, 16);
        let restored = restore(&path, &next, now(1_000).wall).expect("whole").expect("there");
        assert_eq!((restored.keys, restored.lost), (40_001, 0));
        assert_eq!((restored.began, restored.since), (now(200).wall, now(190).wall));
        let origin_ms = next.memory().ms(Instant::default());
        // Rather too little time than too much has gone by since.
        assert!((898_000..=900_000).contains(&(origin_ms - at_ms)), "{}", origin_ms - at_ms);
        let mut expected = lines;
        expected.sort_unstable();
        assert_eq!(kept(next.memory(), origin_ms), expected);
        let later = restore(&path, &rules(7, 16), now(9_000).wall).expect("whole").expect("there");
        assert_eq!(later.keys, 40_001, "what is over is no loss");
        assert!(restore(&path, &rules(8, 1), now(1_000).wall).is_err_and(|told| {
            told.ends_with("limits.snapshot: taken under another key_file")
        }));
        let small = rules(7, 1);
        let restored = restore(&path, &small, now(1_000).wall).expect("whole").expect("there");
        assert!(restored.lost == 0 && small.memory().len() <= small.memory().capacity());
        std::fs::remove_dir_all(path).expect("ours");
    }

    #[test]
    fn a_damaged_one_gives_back_nothing() {
        let (path, files) = folder("snapshot-damaged");
        let first = rules(7, 1);
        let at_ms = first.memory().ms(now(0).instant);
        assert!((1..=500).all(|key| first.memory().put_back(&line(key, at_ms), at_ms)));
        write(&files, first.memory(), check_of(&first), now(1), true).expect("room");
        let whole = std::fs::read(path.join(NAME)).expect("there");
        let tries = (0..whole.len()).step_by(97).chain(whole.len() - 16..whole.len());
        for at in tries {
            let mut torn = whole.clone();
            torn[at] ^= 0x10;
            for bytes in [torn.as_slice(), &whole[..at]] {
                std::fs::write(path.join(NAME), bytes).expect("room");
                let next = rules(7, 1);
                assert!(restore(&path, &next, now(2).wall).is_err(), "{at}");
                assert!(next.memory().is_empty());
            }
        }
        std::fs::remove_dir_all(path).expect("ours");
    }
}
