//! Which bytes of an answer must be those of its request, worked out once for two forms.
//!
//! An answer is compared with its request in some ten elements. Where both are of known forms, it
//! is known where these stand, and most of them stand side by side in both: a few comparisons of
//! bytes do. Like a twin, this says only yes. What does not fit, or is of no known form, is
//! compared element by element in [`super::response`], which knows what is wrong with it.
//!
//! A form never gets another meaning (its number is never used again), so what was worked out for
//! two of them holds for ever.

use crate::iso8583::decode::FormId;
use crate::iso8583::dialect::WATCHED_MAX;
use crate::iso8583::digits;
use crate::iso8583::message::Message;
use crate::iso8583::mti::Mti;

/// The pairs of forms met lately.
#[derive(Debug)]
pub(super) struct Fits {
    pairs: [Option<Pair>; PAIRS_MAX],
    /// Requests to come whose elements are noted, for answers of no known form.
    doubtful: u8,
}

/// Of which forms request and answer are. What must agree depends on the MTI too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) request: FormId,
    pub(super) answer: FormId,
    pub(super) mti: Mti,
}

#[derive(Debug, Clone, Copy)]
struct Pair {
    key: Key,
    runs: [Run; WATCHED_MAX],
    count: u8,
}

/// Bytes of the request that stand in the answer too.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    asked: u16,
    found: u16,
    bytes: u16,
}

impl Default for Fits {
    fn default() -> Self {
        Self { pairs: [None; PAIRS_MAX], doubtful: 0 }
    }
}

impl Fits {
    /// True if an answer of these forms says what its request said. False says nothing.
    #[inline]
    pub(super) fn agree(&self, key: Key, request: &[u8], answer: &[u8]) -> bool {
        let Some(pair) = &self.pairs[key.place()] else { return false };
        pair.key == key && pair.runs.iter().take(usize::from(pair.count)).all(|run| {
            let bytes = usize::from(run.bytes);
            let (asked, found) = (usize::from(run.asked), usize::from(run.found));
            let asked = request.get(asked..asked + bytes);
            let found = answer.get(found..found + bytes);
            matches!((asked, found), (Some(asked), Some(found)) if digits::are_same(asked, found))
        })
    }

    /// True unless answers of no known form came lately: a request that is answered by one of them
    /// must be read a second time if nothing was noted of it.
    #[inline]
    pub(super) fn is_likely(&mut self) -> bool {
        self.doubtful = self.doubtful.saturating_sub(1);
        self.doubtful == 0
    }

    /// A request had to be read again.
    pub(super) const fn missed(&mut self) {
        self.doubtful = self.doubtful.saturating_add(DOUBT);
    }

    /// Notes where the `watched` elements stand in two messages that were compared and agree.
    #[cold]
    pub(super) fn learn(
        &mut self,
        key: Key,
        watched: impl Iterator<Item = u8>,
        request: &Message<'_>,
        answer: &Message<'_>,
    ) {
        let in_both = watched.filter(|element| answer.has(*element));
        let mut runs = [Run::default(); WATCHED_MAX];
        let mut count = 0;
        for element in in_both {
            let (Some(asked), Some(found)) =
                (request.index.span(element), answer.index.span(element))
            else {
                return;
            };
            // Lengths are form: what is the same in these two is the same in all.
            let with_length = request.bytes.get(span(asked.start, asked.end))
                == answer.bytes.get(span(found.start, found.end));
            let (asked_at, found_at) = match with_length {
                true => (asked.start, found.start),
                false => (asked.value, found.value),
            };
            let Some(run) = runs.get_mut(count) else { return };
            *run = Run { asked: asked_at, found: found_at, bytes: asked.end - asked_at };
            count += 1;
        }
        let runs = runs.get_mut(..count).unwrap_or(&mut []);
        runs.sort_unstable_by_key(|run| run.asked);
        let mut pair = Pair { key, runs: [Run::default(); WATCHED_MAX], count: 0 };
        for run in runs {
            pair.add(*run);
        }
        self.pairs[key.place()] = Some(pair);
    }
}

impl Key {
    #[inline]
    const fn place(&self) -> usize {
        (self.request.number() ^ self.answer.number().rotate_left(2)) as usize % PAIRS_MAX
    }
}

impl Pair {
    /// One more run, which begins behind all others in the request.
    fn add(&mut self, run: Run) {
        let last = usize::from(self.count).checked_sub(1).and_then(|at| self.runs.get_mut(at));
        if let Some(last) = last
            && (last.asked + last.bytes, last.found + last.bytes) == (run.asked, run.found)
        {
            last.bytes += run.bytes;
        } else if let Some(slot) = self.runs.get_mut(usize::from(self.count)) {
            *slot = run;
            self.count += 1;
        }
    }
}

const fn span(from: u16, end: u16) -> std::ops::Range<usize> {
    from as usize..end as usize
}

/// So many requests are noted for one that was not and should have been.
const DOUBT: u8 = 8;

/// Pairs remembered at once: kinds of request times links.
const PAIRS_MAX: usize = 64;

const _: () = assert!(PAIRS_MAX.is_power_of_two());
