//! Why a journal is not opened: what is wrong, where, and what an operator can do about it.

use std::fmt;
use std::io;

/// The journal cannot be trusted, or not be used. Nothing was changed on the disk.
#[derive(Debug)]
pub struct Halt {
    /// The file, as an operator finds it.
    pub file: String,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub damage: Damage,
}

/// What can be wrong with a journal.
#[derive(Debug)]
pub enum Damage {
    /// An operation failed.
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// Another process has the journal open.
    Locked,
    /// The options cannot work.
    Options(&'static str),
    /// The segment header is broken.
    Header,
    /// Written by another version of the format.
    Version(u32),
    /// The header says that it is another segment: a file was renamed or copied.
    Misnamed {
        /// What the header says.
        segment: u64,
    },
    /// Written with a key that we do not have.
    UnknownKey,
    /// A segment is missing.
    Missing,
    /// Something unsound, and after it a sound block: not an end, but a hole.
    Hole {
        /// The file with the sound block.
        file: String,
        /// Where it starts.
        offset: u64,
    },
    /// A sound block that does not follow the one before: something was duplicated, dropped,
    /// moved, or restored from an older copy.
    Misplaced {
        /// The number of the block.
        found: u64,
        /// The one that belongs here.
        expected: u64,
    },
    /// Bytes behind the end of a finished segment.
    Trailing,
    /// The lengths in a sound block do not add up, or batches are out of order.
    Malformed,
    /// The secret part is not what was sealed.
    Unsealed,
}

impl Halt {
    pub(super) fn io(file: String, doing: &'static str, error: io::Error) -> Self {
        Self { file, offset: 0, damage: Damage::Io { doing, error } }
    }
}

impl Damage {
    /// What an operator should do.
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Io { .. } => "check the disk, its free space and its permissions, then start",
            Self::Locked => "stop the other process, or give this one a folder of its own",
            Self::Options(_) => "correct the configuration",
            Self::Version(_) => "start the version that wrote it",
            Self::UnknownKey => "add the key it was written with as a further line of the key file",
            Self::Misnamed { .. } => "give the file its own name back, or restore it from a copy",
            Self::Missing => "put the file back, or restore it from a copy",
            Self::Header
            | Self::Hole { .. }
            | Self::Misplaced { .. }
            | Self::Trailing
            | Self::Malformed
            | Self::Unsealed => {
                "keep the folder as it is, check the disk, and restore this file from a copy. \
                 Without a copy: move the folder away, start with an empty one, and settle by \
                 hand with each partner what was open"
            }
        }
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, damage } = self;
        write!(f, "{file}, offset {offset}: {damage}. What to do: {}.", damage.advice())
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, error } => write!(f, "cannot {doing}: {error}"),
            Self::Locked => f.write_str("another process writes this journal"),
            Self::Options(what) => f.write_str(what),
            Self::Header => f.write_str("the segment header is broken"),
            Self::Version(version) => write!(f, "format version {version} is not known"),
            Self::Misnamed { segment } => write!(f, "the header says that this is {segment}"),
            Self::UnknownKey => f.write_str("written with a key that is not in the key file"),
            Self::Missing => f.write_str("the segment is missing"),
            Self::Hole { file, offset } => {
                write!(f, "damaged; sound data goes on in {file} at offset {offset}")
            }
            Self::Misplaced { found, expected } => write!(
                f,
                "block {found} does not follow what is before it, where {expected} belongs; \
                 duplicated, dropped, moved or from an older copy"
            ),
            Self::Trailing => f.write_str("bytes behind the end of a finished segment"),
            Self::Malformed => f.write_str("the batches of the block make no sense"),
            Self::Unsealed => f.write_str("the secret part cannot be opened"),
        }
    }
}

impl std::error::Error for Halt {}
