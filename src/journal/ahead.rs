//! Reading ahead: one thread reads, checks and decrypts, another takes in what is found.
//!
//! Each takes about as long for a long journal, and the first request waits for both. Batches are
//! passed on by the hundred, in memory that is used again; their order stays. It knows nothing of
//! files: what is read, and how, its caller says.

use std::io;
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use zeroize::Zeroizing;

use super::recover::Recovered;

/// Has `read` run on a thread of its own and passes the batches it finds on to `each`. Returns what
/// `read` does, when `each` has had them all.
///
/// # Errors
///
/// If a thread cannot be started.
pub(super) fn read_ahead<T: Send>(
    read: impl FnOnce(&mut dyn FnMut(Recovered<'_>)) -> T + Send,
    each: &mut dyn FnMut(Recovered<'_>),
) -> io::Result<T> {
    let (full, chunks) = sync_channel::<Chunk>(CHUNKS_AHEAD);
    let (empty, spares) = channel::<Chunk>();
    thread::scope(|scope| {
        let reader = thread::Builder::new().name("journal-read".into());
        let reader = reader.spawn_scoped(scope, move || {
            let mut chunk = Chunk::default();
            let done = read(&mut |batch| {
                chunk.add(&batch);
                if chunk.is_full() {
                    let next = spares.try_recv().unwrap_or_default();
                    // It fails if the other thread panicked, and then nobody cares.
                    drop(full.send(std::mem::replace(&mut chunk, next)));
                }
            });
            drop(full.send(chunk));
            done
        })?;
        for mut chunk in chunks {
            chunk.batches().for_each(&mut *each);
            chunk.clear();
            // It fails if all was read.
            drop(empty.send(chunk));
        }
        Ok(reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Batches in a row.
#[derive(Default)]
struct Chunk {
    entries: Vec<Entry>,
    clear: Vec<u8>,
    secret: Zeroizing<Vec<u8>>,
}

/// A batch whose parts stand behind those of the one before, up to here.
struct Entry {
    batch: Recovered<'static>,
    clear_end: usize,
    secret_end: usize,
}

impl Chunk {
    fn add(&mut self, batch: &Recovered<'_>) {
        self.clear.extend_from_slice(batch.clear);
        self.secret.extend_from_slice(batch.secret);
        let Recovered { worker, number, urgent, written, place, .. } = *batch;
        let (clear, secret): (&[u8], &[u8]) = (&[], &[]);
        self.entries.push(Entry {
            batch: Recovered { worker, number, urgent, clear, secret, written, place },
            clear_end: self.clear.len(),
            secret_end: self.secret.len(),
        });
    }

    fn is_full(&self) -> bool {
        self.clear.len() + self.secret.len() >= CHUNK_BYTES || self.entries.len() >= BATCHES_MAX
    }

    fn batches(&self) -> impl Iterator<Item = Recovered<'_>> {
        let (mut clear, mut secret) = (&*self.clear, &**self.secret);
        let (mut clear_at, mut secret_at) = (0, 0);
        self.entries.iter().map(move |entry| {
            let parts = (
                clear.split_at(entry.clear_end - clear_at),
                secret.split_at(entry.secret_end - secret_at),
            );
            let ((own_clear, rest_clear), (own_secret, rest_secret)) = parts;
            (clear, secret) = (rest_clear, rest_secret);
            (clear_at, secret_at) = (entry.clear_end, entry.secret_end);
            Recovered { clear: own_clear, secret: own_secret, ..entry.batch }
        })
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.clear.clear();
        self.secret.clear();
    }
}

/// Bytes that are passed on at once: they are still in the nearer caches when they are taken in.
/// Tests have few.
const CHUNK_BYTES: usize = if cfg!(test) { 1 << 10 } else { 256 << 10 };

/// Batches that are passed on at once, if they are short.
const BATCHES_MAX: usize = 2048;

/// How many are read ahead.
const CHUNKS_AHEAD: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::time::Wall;
    use crate::journal::recover::Place;

    type Parts = (Vec<u8>, Vec<u8>);

    fn batch(number: u64, parts: &Parts) -> Recovered<'_> {
        let place = Place { segment: number / 10, offset: number };
        let written = Wall::from_unix_s(number);
        let (worker, urgent) = (number as u8 % 3, number.is_multiple_of(2));
        Recovered { worker, number, urgent, clear: &parts.0, secret: &parts.1, written, place }
    }

    fn part() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_read_arrives_whole_and_in_order(
            parts in prop::collection::vec((part(), part()), 0..300)
        ) {
            let all = || (1..).zip(&parts).map(|(number, parts)| batch(number, parts));
            let mut heard = Vec::new();
            let read = read_ahead(
                |each| all().map(each).count(),
                &mut |batch| heard.push(format!("{batch:?}")),
            );
            prop_assert_eq!(read.expect("a thread"), parts.len());
            let told = all().map(|batch| format!("{batch:?}"));
            prop_assert_eq!(heard, told.collect::<Vec<_>>());
        }
    }
}
