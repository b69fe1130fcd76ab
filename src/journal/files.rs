//! The few operations on files that the journal needs, so that tests can make each of them fail.
//!
//! [`Folder`] is the real one. It forgives nothing: an error is handed up as it came, except an
//! interrupted call, which is made again. Whether an error can be lived with is not decided here.

use std::any::Any;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use super::direct::Direct;

/// One flat folder of files.
pub trait Files: fmt::Debug + Send + Sync {
    /// The names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// Creates an empty file, readable and writable by its owner only; what had the name is gone.
    fn create(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// Gives a file another name, at once; what had that name is gone.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes names durable: what was created, renamed and removed.
    fn sync_names(&self) -> io::Result<()>;

    /// Keeps any other process from writing here, until the guard is dropped.
    fn lock(&self) -> io::Result<Box<dyn Any + Send + Sync>>;

    /// How an operator finds `name`.
    fn place(&self, name: &str) -> String;
}

/// An open file.
pub trait File: fmt::Debug + Send + Sync {
    /// Its length in bytes.
    fn length(&self) -> io::Result<u64>;

    /// Fills `bytes` from `offset`; fewer than that only at the end of the file.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`.
    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes the content durable.
    fn sync(&self) -> io::Result<()>;

    /// Makes the file `bytes` long, with zeros that have their room on the disk.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Writes and syncs `bytes` of zeros from the front on.
    fn fill(&self, bytes: u64) -> io::Result<()>;

    /// Gives up what is behind `bytes`.
    fn shorten(&self, bytes: u64) -> io::Result<()>;
}

/// A folder of the operating system.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    is_direct: bool,
}

impl Folder {
    /// The folder at `path`, which is created if it is missing, for its owner only.
    pub fn at(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            use std::os::unix::fs::DirBuilderExt;
            fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        }
        Ok(Self { path: path.to_owned(), is_direct: false })
    }

    /// The same, with files that are written past the cache of the system, where that can be done:
    /// for what is synced at once and hardly read again.
    pub fn direct(self) -> Self {
        Self { is_direct: true, ..self }
    }

    /// The file, opened in this way.
    fn file(&self, name: &str, options: &OpenOptions) -> io::Result<Box<dyn File>> {
        let path = self.path.join(name);
        let file = options.open(&path)?;
        let direct = self.is_direct.then(|| Direct::open(&path)).flatten();
        Ok(Box::new(OsFile { file, direct }))
    }
}

impl Files for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is not text is none of ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        self.file(name, OpenOptions::new().read(true).write(true))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        self.file(name, &options)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        fs::File::open(&self.path)?.sync_all()
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send + Sync>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(self.path.join(LOCK))?;
        file.try_lock()?;
        Ok(Box::new(file))
    }

    fn place(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }
}

/// The file whose lock says that the journal has a writer. It is empty.
const LOCK: &str = "lock";

#[derive(Debug)]
struct OsFile {
    file: fs::File,
    direct: Option<Direct>,
}

impl File for OsFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        if let Some(direct) = &self.direct
            && bytes.len() >= DIRECT_READ_BYTES_MIN
            && direct.read_at(offset, bytes)?
        {
            return Ok(bytes.len());
        }
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match &self.direct {
            Some(direct) if direct.write_all_at(offset, bytes)? => Ok(()),
            _ => self.file.write_all_at(bytes, offset),
        }
    }

    fn sync(&self) -> io::Result<()> {
        rustix::fs::fdatasync(&self.file).map_err(io::Error::from)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
            // A filesystem that cannot promise room has it taken.
            Err(rustix::io::Errno::OPNOTSUPP) => self.fill(bytes),
            other => other.map_err(io::Error::from),
        }
    }

    fn shorten(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    /// In pieces that are synced one by one: a block that wants to be synced meanwhile waits for
    /// one of them, not for the whole file.
    fn fill(&self, bytes: u64) -> io::Result<()> {
        let zeros = vec![0; FILL_BYTES];
        let mut at = 0;
        while at < bytes {
            let count = (bytes - at).min(zeros.len() as u64);
            self.write_all_at(at, &zeros[..count as usize])?;
            self.sync()?;
            at += count;
        }
        Ok(())
    }
}

/// Zeros that are written and synced at once: they take a disk about as long as a large block.
const FILL_BYTES: usize = 256 << 10;

/// Shorter reads look things up, and what is looked up once is often looked up again: these go
/// through the cache.
const DIRECT_READ_BYTES_MIN: usize = 32 << 10;
