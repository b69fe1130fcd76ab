//! What was asked lately: so that nothing is asked twice, and what was answered can be reversed.
//!
//! A transaction enters when its terminal key is claimed in the [`super::index`], before anybody is
//! asked, and is numbered then; what becomes of it is written into the same place. The oldest make
//! way when the bytes are used up. What is in flight by then, or is an approval that waits for the
//! kernel, is set aside until it is not needed any more: it is never forgotten.
//!
//! It is a window, bounded in bytes: [`Recent::covers`] says how long at the present rate. It knows
//! nothing of connections and decides nothing.

mod claim;
mod fate;
mod restore;
mod view;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::{LinkId, WorkerId};
use crate::base::map::Map;
use crate::base::time::Instant;
use crate::iso8583::kept::{Keeping, Kept};

pub use claim::TerminalKey;
pub(super) use claim::{Claim, Known};
pub use fate::{Fate, Hearing};

use super::index::{Claimed, Place, TransactionIndex};
use view::View;

/// A transaction, in flight or past.
#[derive(Debug, Clone, Copy)]
pub struct Past {
    /// Its identity in the journal.
    pub id: u64,
    /// By what it is known again.
    pub key: TerminalKey,
    /// Who asked.
    pub acquirer: LinkId,
    /// Who was asked; `None` if nobody was.
    pub partner: Option<LinkId>,
    /// The STAN the partner was sent.
    pub stan: u32,
    /// DE 4 of the request.
    pub amount: Option<u64>,
    /// What became of it.
    pub fate: Fate,
    /// How its partner hears of it.
    pub told: Hearing,
    /// DE 39 as it was handed on, space padded.
    pub code: [u8; 3],
    /// DE 38, if there was one.
    pub approval: Option<[u8; 6]>,
    /// DE 4 of a partial approval.
    pub part: Option<u64>,
    /// When it was asked; when it ended, once it has.
    pub at: Instant,
    from: u64,
    bytes: u16,
    pan_from: u16,
    pan_bytes: u16,
    /// Where its reference stands in its bucket of the index.
    reference: u8,
    /// The reference is held: it may not give way.
    held: bool,
}

/// The window of one worker.
#[derive(Debug)]
pub struct Recent {
    index: Arc<TransactionIndex>,
    worker: WorkerId,
    /// Each at the low bits of its number.
    cells: Vec<Past>,
    /// Numbers of the oldest, and of the one behind the newest.
    first: u64,
    next: u64,
    ring: Vec<u8>,
    ring_bytes: u64,
    /// Where the next is written, counted without wrapping.
    end: u64,
    /// What is still needed of what had to make way, with what was kept of it.
    aside: Map<u64, (Past, Box<[u8]>)>,
    /// By worker: its oldest number, when we last looked.
    firsts: Vec<u64>,
    /// When [`Self::first`] is told next.
    tell_at: u64,
    /// How many messages were passed on to other workers.
    turn: u64,
}

impl Recent {
    /// How many transactions are remembered in `bytes` bytes.
    pub fn transactions_in(bytes: usize) -> usize {
        let most = (bytes / PAST_BYTES).clamp(64, 1 << 24);
        1 << most.ilog2()
    }

    /// The window of `worker`, as large as the index was made for.
    pub fn new(worker: WorkerId, index: Arc<TransactionIndex>) -> Self {
        // Powers of two, so that places are found by a mask.
        let cells = index.entries_max().next_power_of_two();
        let ring_bytes = (cells * KEPT_BYTES).max(1 << 14).next_power_of_two();
        Self {
            index,
            worker,
            cells: vec![Past::default(); cells],
            first: 0,
            next: 0,
            ring: vec![0; ring_bytes],
            ring_bytes: ring_bytes as u64,
            end: 0,
            aside: Map::default(),
            firsts: Vec::new(),
            tell_at: TELL_EVERY,
            turn: 0,
        }
    }

    /// Has what is known under `hash` fetched, for when it is claimed.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// Remembers a request that nobody knows yet; `is_it` says of one with its hash whether it is
    /// the same. It is in flight from now on, at no place.
    #[inline]
    pub(super) fn claim(&mut self, claim: Claim, is_it: impl Fn(&Past) -> bool) -> Known {
        self.make_room();
        let number = self.next;
        let view = View { recent: self };
        let is_it = |number| self.past(number).is_some_and(&is_it);
        match self.index.claim(&claim.key, number, &view, is_it) {
            Claimed::New(reference) => self.begin(&claim, reference),
            Claimed::Known(Place::Here(number)) => Known::Here(number),
            Claimed::Known(Place::Elsewhere(worker)) => Known::Elsewhere(worker),
            Claimed::Full => Known::NoRoom,
        }
    }

    /// Remembers one whatever else is known under its key, here or elsewhere. `None` if there is
    /// no room.
    #[cold]
    pub(super) fn enter(&mut self, claim: &Claim) -> Option<u64> {
        self.make_room();
        let entered = self.index.enter(&claim.key, self.next, &View { recent: self });
        let Claimed::New(reference) = entered else { return None };
        let number = self.next;
        self.begin(claim, reference);
        Some(number)
    }

    #[inline]
    fn begin(&mut self, claim: &Claim, reference: u8) -> Known {
        let number = self.next;
        self.next += 1;
        let from = self.end;
        let place = self.place(number);
        // Written in place: what describes its end is written when it ends.
        let past = &mut self.cells[place];
        (past.id, past.key, past.acquirer, past.at) =
            (claim.id, claim.key, claim.acquirer, claim.at);
        (past.fate, past.partner, past.amount) = (Fate::UNDECIDED, None, None);
        (past.approval, past.part, past.told) = (None, None, Hearing::Asked);
        (past.from, past.bytes) = (from, 0);
        (past.reference, past.held) = (reference, true);
        Known::New(number)
    }

    /// True for the one that was claimed last.
    #[inline]
    pub(super) const fn is_newest(&self, number: u64) -> bool {
        number + 1 == self.next
    }

    /// Keeps what may be kept of the request that was claimed last, which may then be changed.
    pub(super) fn keep(&mut self, number: u64, kept: &Kept) -> Option<&mut Past> {
        let from = self.put(kept.bytes());
        self.kept_at(number, (from, kept.bytes().len()), &kept.pan())
    }

    /// The same, without a copy in between.
    #[inline]
    pub(super) fn keep_from(&mut self, number: u64, keeping: &Keeping<'_>) -> Option<&mut Past> {
        let bytes = keeping.bytes();
        let from = self.room(bytes as u64);
        let at = (from & (self.ring_bytes - 1)) as usize;
        if let Some(room) = self.ring.get_mut(at..at + bytes) {
            keeping.write(room);
        }
        self.kept_at(number, (from, bytes), &keeping.pan())
    }

    #[inline]
    fn kept_at(&mut self, number: u64, at: (u64, usize), pan: &Range<usize>) -> Option<&mut Past> {
        debug_assert_eq!(number + 1, self.next, "kept at once or not at all");
        let past = self.past_mut(number)?;
        (past.from, past.bytes) = (at.0, at.1 as u16);
        (past.pan_from, past.pan_bytes) = (pan.start as u16, pan.len() as u16);
        Some(past)
    }

    /// The newest that is known under `hash` of this moment, if that is not 0; `is_it` says of one
    /// whether it is meant.
    pub(super) fn find(
        &self,
        hash: u64,
        moment: u64,
        is_it: impl Fn(&Past) -> bool,
    ) -> Option<Place> {
        let is_it = |number| self.past(number).is_some_and(&is_it);
        let key = TerminalKey { hash, moment, fingerprint: 0 };
        self.index.find(&key, &View { recent: self }, is_it)
    }

    /// Which of several workers that may remember one is asked, going round.
    pub(super) const fn turn(&self) -> u64 {
        self.turn
    }

    /// A message is passed on to another worker: the next time another one may be asked.
    pub(super) const fn end_turn(&mut self) {
        self.turn += 1;
    }

    /// The newest `count` at most, the last one first, with their numbers.
    pub(super) fn newest(&self, count: u64) -> impl Iterator<Item = (u64, &Past)> {
        let from = self.first.max(self.next.saturating_sub(count));
        (from..self.next).rev().map(|number| (number, &self.cells[self.place(number)]))
    }

    /// The transaction of this number, if it is remembered.
    #[inline]
    pub fn past(&self, number: u64) -> Option<&Past> {
        if self.has(number) {
            return self.cells.get(self.place(number));
        }
        self.aside.get(&number).map(|(past, _)| past)
    }

    /// The same, to change what is known of it; see `settle`.
    #[inline]
    pub fn past_mut(&mut self, number: u64) -> Option<&mut Past> {
        if self.has(number) {
            let place = self.place(number);
            return self.cells.get_mut(place);
        }
        self.aside.get_mut(&number).map(|(past, _)| past)
    }

    #[inline]
    const fn has(&self, number: u64) -> bool {
        number.wrapping_sub(self.first) < self.next - self.first
    }

    #[inline]
    fn place(&self, number: u64) -> usize {
        number as usize & (self.cells.len() - 1)
    }

    /// The whole number whose low 32 bits are `low`, if it is still remembered.
    #[inline]
    pub fn number_of(&self, low: u32) -> Option<u64> {
        self.number_with(low, u32::BITS)
    }

    /// The same, of so many low bits.
    #[inline]
    fn number_with(&self, low: u32, bits: u32) -> Option<u64> {
        let mask = u32::MAX >> (u32::BITS - bits);
        let behind = low.wrapping_sub(self.first as u32) & mask;
        if u64::from(behind) < self.next - self.first {
            return Some(self.first + u64::from(behind));
        }
        let ahead = (self.first as u32).wrapping_sub(low) & mask;
        let before = self.first.checked_sub(u64::from(ahead))?;
        (!self.aside.is_empty() && self.aside.contains_key(&before)).then_some(before)
    }

    /// What was kept of it: what stands before the account number, the account number, the rest.
    pub fn kept(&self, number: u64) -> [&[u8]; 3] {
        let Some(past) = self.past(number) else { return [&[]; 3] };
        let whole = match self.has(number) {
            true => self.in_ring(past),
            false => self.aside.get(&number).map_or(&[][..], |(_, bytes)| bytes),
        };
        let (head, rest) = whole.split_at_checked(usize::from(past.pan_from)).unwrap_or((&[], &[]));
        let (pan, tail) = rest.split_at_checked(usize::from(past.pan_bytes)).unwrap_or((&[], &[]));
        [head, pan, tail]
    }

    /// One that ends: under this number it is remembered from now on. It is its own, unless it was
    /// set aside; then it is among the newest again.
    #[inline]
    pub(super) fn end(&mut self, number: u64) -> u64 {
        if number >= self.first { number } else { self.end_aside(number) }
    }

    #[cold]
    fn end_aside(&mut self, number: u64) -> u64 {
        let Some((past, bytes)) = self.aside.remove(&number) else { return number };
        self.make_room();
        let from = self.put(&bytes);
        let number = self.next;
        self.next += 1;
        self.index.renumber(&past.key, past.reference, self.worker, number);
        let place = self.place(number);
        self.cells[place] = Past { from, ..past };
        number
    }

    /// The kernel has taken a copy of its approval. Returns its identity.
    #[inline]
    pub(super) fn handed(&mut self, number: u64) -> Option<u64> {
        let past = self.past_mut(number)?;
        let Fate::Approved { waiting, handed } = &mut past.fate else { return None };
        *waiting = waiting.saturating_sub(1);
        *handed = true;
        let (id, is_last) = (past.id, *waiting == 0);
        if is_last {
            self.settle(number);
        }
        Some(id)
    }

    /// What became of it is written: if it is not needed any more, it may be forgotten in its time.
    #[inline]
    pub(super) fn settle(&mut self, number: u64) {
        let Some(past) = self.past_mut(number) else { return };
        if past.fate.is_needed() || !std::mem::take(&mut past.held) {
            return;
        }
        let (key, reference) = (past.key, past.reference);
        self.index.release(&key, reference, self.worker, number);
        if number < self.first {
            self.aside.remove(&number);
        }
    }

    /// Nothing came of it, and nobody was told: as if it had never been asked.
    #[cold]
    pub(super) fn forget(&mut self, number: u64) {
        let Some(past) = self.past_mut(number) else { return };
        past.fate = Fate::Declined;
        if std::mem::take(&mut past.held) {
            let (hash, reference) = (past.key.hash, past.reference);
            self.index.forget(hash, reference);
        }
        self.aside.remove(&number);
    }

    /// How far the window reaches back at the present rate; `None` until something was forgotten.
    pub fn covers(&self, now: Instant) -> Option<Duration> {
        (self.first > 0).then(|| now.since(self.past(self.first).map_or(now, |past| past.at)))
    }

    /// Transactions in the window.
    pub const fn len(&self) -> usize {
        (self.next - self.first) as usize
    }

    /// True if nothing was asked yet.
    pub const fn is_empty(&self) -> bool {
        self.next == self.first
    }

    fn in_ring(&self, past: &Past) -> &[u8] {
        let from = (past.from & (self.ring_bytes - 1)) as usize;
        self.ring.get(from..from + usize::from(past.bytes)).unwrap_or(&[])
    }

    /// Room for one more.
    #[inline]
    fn make_room(&mut self) {
        if self.len() == self.cells.len() {
            self.make_way();
        }
        if self.next >= self.tell_at {
            self.tell();
        }
    }

    /// Puts `bytes` into the ring in one piece; says where.
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> u64 {
        let from = self.room(bytes.len() as u64);
        let at = (from & (self.ring_bytes - 1)) as usize;
        if let Some(room) = self.ring.get_mut(at..at + bytes.len()) {
            room.copy_from_slice(bytes);
        }
        from
    }

    /// Room for `bytes` in one piece; the oldest make way.
    #[inline]
    fn room(&mut self, bytes: u64) -> u64 {
        let left = self.ring_bytes - (self.end & (self.ring_bytes - 1));
        let from = if left < bytes { self.end + left } else { self.end };
        self.end = from + bytes;
        while self.len() > 1 && self.cells[self.place(self.first)].from + self.ring_bytes < self.end
        {
            self.make_way();
        }
        from
    }

    /// The oldest makes way; what is needed of it is set aside.
    #[inline]
    fn make_way(&mut self) {
        let past = &self.cells[self.place(self.first)];
        if past.fate.is_needed() {
            let kept = self.in_ring(past).into();
            self.aside.insert(self.first, (*past, kept));
        }
        self.first += 1;
    }

    /// Tells the other workers what was forgotten, and hears the same: a cache line each time.
    #[cold]
    fn tell(&mut self) {
        self.tell_at = self.next + TELL_EVERY;
        if self.index.is_shared() {
            self.index.set_first(self.worker, self.first);
            self.index.read_firsts(&mut self.firsts);
        }
    }
}

impl Default for Past {
    fn default() -> Self {
        Self {
            id: 0,
            key: TerminalKey::default(),
            acquirer: LinkId(0),
            partner: None,
            stan: 0,
            amount: None,
            fate: Fate::Declined,
            told: Hearing::Asked,
            code: [b' '; 3],
            approval: None,
            part: None,
            at: Instant::default(),
            from: 0,
            bytes: 0,
            pan_from: 0,
            pan_bytes: 0,
            reference: 0,
            held: false,
        }
    }
}

/// Memory of one transaction: itself, what is kept of it, and its share of the index.
const PAST_BYTES: usize = size_of::<Past>() + KEPT_BYTES + 32;

/// What is kept of a request, on average: 16 elements.
const KEPT_BYTES: usize = 176;

/// How many are claimed before workers tell each other again what they have forgotten.
const TELL_EVERY: u64 = 1024;

#[cfg(test)]
mod tests;
