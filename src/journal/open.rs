//! Opening blocks: from sound bytes to batches, decrypted.
//!
//! Whether a block stands where it belongs was seen before, by the walk that found it. What a batch
//! means is not known here.

use zeroize::Zeroizing;

use super::files::Files;
use super::format::SegmentHeader;
use super::halt::{Damage, Halt};
use super::key::{Key, Seal};
use super::recover::{Place, Recovered};
use super::scan::Found;
use super::segment;

/// Opens one block after the other.
///
/// The seal of a segment is made once: to derive it and to spread its key costs more than to open a
/// short block.
pub(super) struct Opener {
    key: Key,
    /// The seal made last, and of which segment.
    seal: Option<(SegmentHeader, Seal)>,
    /// Memory for what is decrypted.
    secrets: Zeroizing<Vec<u8>>,
}

/// The last batch of each worker.
#[derive(Debug, Default)]
pub(super) struct Last(Vec<u64>);

impl Opener {
    pub(super) fn new(key: &Key) -> Self {
        Self { key: key.clone(), seal: None, secrets: Zeroizing::default() }
    }

    /// Hands the batches of a block up; how many there were.
    pub(super) fn open(
        &mut self,
        files: &dyn Files,
        found: &Found<'_>,
        last: &mut Last,
        each: &mut dyn FnMut(Recovered<'_>),
    ) -> Result<u64, Halt> {
        let Found { header, offset, block } = found;
        let place = Place { segment: header.segment, offset: *offset };
        let halt = |damage| Halt {
            file: files.place(&segment::name(place.segment)),
            offset: place.offset,
            damage,
        };
        let entries = block.entries().ok_or_else(|| halt(Damage::Malformed))?;
        if self.seal.as_ref().is_none_or(|(of, _)| of != *header) {
            let seal = self.key.seal_of(header.key, &header.salt);
            self.seal = seal.map(|seal| ((*header).clone(), seal));
        }
        // A block without secrets needs no key, but one key too few is better known at once.
        let (_, seal) = self.seal.as_ref().ok_or_else(|| halt(Damage::UnknownKey))?;
        block.open(seal, &mut self.secrets).ok_or_else(|| halt(Damage::Unsealed))?;
        for entry in &entries {
            if !last.note(entry.worker, entry.number) {
                return Err(halt(Damage::Malformed));
            }
            let secret = self.secrets.get(entry.secret.clone());
            let secret = secret.ok_or_else(|| halt(Damage::Malformed))?;
            let (worker, number, urgent) = (entry.worker, entry.number, entry.urgent);
            let (clear, written) = (entry.clear, block.header.written);
            each(Recovered { worker, number, urgent, clear, secret, written, place });
        }
        Ok(entries.len() as u64)
    }
}

impl Last {
    /// By worker.
    pub(super) fn of_each(&self) -> &[u64] {
        &self.0
    }

    /// The same of at least so many workers, 0 of those that have none.
    pub(super) fn of_at_least(mut self, workers: usize) -> Vec<u64> {
        self.0.resize(self.0.len().max(workers), 0);
        self.0
    }

    /// Notes a batch; false if it should have come earlier.
    fn note(&mut self, worker: u8, number: u64) -> bool {
        let place = usize::from(worker);
        if self.0.len() <= place {
            self.0.resize(place + 1, 0);
        }
        std::mem::replace(&mut self.0[place], number) < number
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opener")
    }
}
