//! Floor 4: the durable journal. Batches of bytes in, watermarks out; no idea what they mean.
//!
//! Workers hand batches in at a [`Desk`] and never wait: one writer thread takes what all desks
//! hold, writes it as one block, syncs once, and publishes per worker the highest number that is
//! durable ([`Desk::durable`]). While it syncs, the next block gathers by itself. A second thread
//! makes the next segment ready and removes old ones, so that neither holds a block up.
//!
//! # What it promises
//!
//! * **What is reported durable comes back**, whole, in order, once, after a crash
//!   ([`Durability::Process`]) and after a power cut ([`Durability::Power`]).
//! * **No wrong record.** [`recover`] checks every block of every segment. A torn tail is cut;
//!   anything else halts with file, offset and what to do ([`Halt`]).
//! * **The first failed write or sync is final** ([`State::Failed`], [`Failure`]).
//! * **A full disk stops ordinary batches first.** Room is taken before it is needed, so the
//!   journal knows one segment ahead; from then on only urgent batches are taken
//!   ([`State::Full`]), and they go into a reserve. What was taken is never refused later.
//!
//! # What it does not
//!
//! It cannot tell a last block that was damaged later from one that was never finished, nor a
//! whole folder that was restored from yesterday: both need a second copy elsewhere. After a power
//! cut under [`Durability::Process`] it may well find holes, and halts.
//!
//! It relies on two things: writing a sector does not damage its neighbours, and what was allocated
//! can be written. A filesystem that copies on write may break the second; then a full disk is a
//! failed write, which is final, and the reserve is of no use.

mod ahead;
mod desk;
mod direct;
mod feed;
mod files;
mod follow;
mod format;
mod halt;
mod index;
mod key;
mod loaded;
mod log;
mod open;
mod read;
mod recover;
mod scan;
mod segment;
mod stock;
mod writer;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::base::limits;

pub use desk::{Desk, GivingUp, State};
pub use feed::{Clerk, Feed};
pub use files::{File, Files, Folder};
pub use follow::{Follow, read_block};
pub use halt::{Damage, Halt};
pub use index::{Index, IndexError, IndexKey};
pub use key::{Key, KeyError};
pub use log::Failure;
pub use read::{Record, Records, Verified, VerifiedSegment, read, verify};
pub use recover::{Place, Recovered, Recovery, recover};
pub use writer::{Clock, Statistics, Writer, start};

/// When a batch counts as durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When the system has it: it survives the end of the process, not a power cut.
    Process,
    /// When the disk has it.
    Power,
}

/// How a journal is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// When a batch counts as durable.
    pub durability: Durability,
    /// Length of a segment.
    pub segment_bytes: u64,
    /// Kept free for urgent batches.
    pub reserve_bytes: u64,
    /// How long a segment is kept after its last block was written, at least. It is kept on until
    /// every desk has said that nothing in it matters any more ([`Desk::giving_up`]).
    pub retention: Duration,
    /// How many desks there are.
    pub workers: u8,
    /// What secret parts are sealed with.
    pub key: Key,
}

impl Options {
    /// Power, segments and a reserve of 64 MiB, kept for 90 days.
    pub fn new(workers: u8, key: Key) -> Self {
        Self {
            durability: Durability::Power,
            segment_bytes: limits::SEGMENT_BYTES,
            reserve_bytes: limits::SEGMENT_BYTES,
            retention: Duration::from_secs(90 * 86_400),
            workers,
            key,
        }
    }

    /// The largest batch, both parts together, that a desk takes.
    pub fn batch_bytes_max(&self) -> usize {
        let segment = usize::try_from(self.segment_bytes.min(self.reserve_bytes)).unwrap_or(0);
        let overhead =
            2 * format::SECTOR_BYTES + format::ENTRY_BYTES + format::BLOCK_OVERHEAD_BYTES;
        BLOCK_BYTES_MAX.min(segment / format::SECTOR_BYTES * format::SECTOR_BYTES) - overhead
    }

    fn check(&self) -> Result<(), Halt> {
        let bounds = segment::SEGMENT_BYTES_MIN..=limits::SEGMENT_BYTES_MAX;
        let wrong = if !bounds.contains(&self.segment_bytes) {
            Some("a segment has 4 KiB to 1 GiB")
        } else if !bounds.contains(&self.reserve_bytes) {
            Some("the reserve has 4 KiB to 1 GiB")
        } else if self.workers == 0 {
            Some("there is at least one worker")
        } else {
            None
        };
        wrong.map_or(Ok(()), |what| {
            Err(Halt { file: "options".to_owned(), offset: 0, damage: Damage::Options(what) })
        })
    }
}

/// A block is one write, and waits for the disk as a whole.
const BLOCK_BYTES_MAX: usize = 4 << 20;
