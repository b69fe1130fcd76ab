//! Store and forward: what one worker owes one partner link, until the partner has taken it.
//!
//! A reversal or an advice is an obligation: it is sent, and sent again as a repeat, until the
//! partner gives a final answer. No age and no count ends it. One [`Lane`] per partner link and
//! worker says which is to be sent next; it keeps the order (nothing overtakes an older entry of
//! its transaction or card), the pace (live traffic goes first) and the back-off (each entry its
//! own). A blocked card blocks itself only: who is not first of its chains is on no queue, and
//! what is on a queue may be sent.
//!
//! It builds no message, sends nothing and writes no journal: its caller does, makes what it adds
//! durable first, and tells it what became of each copy. So a lane is filled again from the
//! journal after a crash, with `sent_before` for whatever may have left.
//!
//! Each call is O(1), amortised. Once a lane has been as full before, an entry allocates nothing,
//! up to [`limits::SAF_SPARES_MAX`] messages; the memory of a longer backlog is given back. Only
//! [`Lane::reopen`] walks: past those that were reopened too.

mod backoff;
mod cell;
mod chains;
mod held;
mod late;
mod obligation;
mod pace;
#[cfg(test)]
mod tests;
mod view;
mod wheel;

pub use held::Finding;
pub use obligation::{Kind, Obligation, Send, Settings, Settled, Stats, Verdict};

use crate::base::limits;
use crate::base::map::Map;
use crate::base::time::Instant;
use cell::{AGE, CARD, Cell, Cells, List, NONE, QUEUE, State, TRANSACTION};
use chains::Chains;
use pace::Pace;
use wheel::Wheel;

/// What one worker owes one partner link.
#[derive(Debug)]
pub struct Lane {
    settings: Settings,
    cells: Cells,
    places: Map<u64, u32>,
    transactions: Chains<TRANSACTION>,
    cards: Chains<CARD>,
    /// May be sent, in this order.
    ready: List<QUEUE>,
    waiting: Wheel,
    in_flight: List<QUEUE>,
    /// Until their late windows end.
    provisional: Wheel,
    /// The unfinished by age: those that have been unfinished all along, and the reopened.
    open: List<AGE>,
    reopened: List<AGE>,
    pace: Pace,
    is_up: bool,
    /// The latest moment a caller named.
    now: Instant,
    next_number: u64,
    in_flight_count: usize,
    provisional_count: usize,
    spares: Vec<Vec<u8>>,
    /// No record of what is here stands in a batch before this one.
    noted_from: u64,
    /// Needed no copy, and not told of yet.
    ended: Vec<u64>,
    stats: Stats,
}

/// DE 39: not found.
const NOT_FOUND: u8 = 25;

impl Lane {
    /// An empty lane whose partner is not connected yet.
    pub fn new(settings: Settings) -> Self {
        let window = settings.window.clamp(1, limits::SAF_IN_FLIGHT_MAX);
        Self {
            settings,
            cells: Cells::default(),
            places: Map::default(),
            transactions: Chains::default(),
            cards: Chains::default(),
            ready: List::default(),
            waiting: Wheel::default(),
            in_flight: List::default(),
            provisional: Wheel::default(),
            open: List::default(),
            reopened: List::default(),
            pace: Pace::new(settings.rate, window, settings.live_max),
            is_up: false,
            now: Instant::default(),
            next_number: 0,
            in_flight_count: 0,
            provisional_count: 0,
            spares: Vec::new(),
            noted_from: u64::MAX,
            ended: Vec::new(),
            stats: Stats::default(),
        }
    }

    /// Takes what must be delivered. It is never refused: whoever is about to make more asks
    /// [`Self::is_full`] first. An id that is here already is not taken again.
    pub fn add(&mut self, obligation: Obligation) {
        let Obligation { id, kind, transaction, card, .. } = obligation;
        if self.places.contains_key(&id) {
            self.spare(obligation.message);
            return;
        }
        let mut cell = Cell::new(id, kind, transaction, card);
        cell.message = obligation.message;
        cell.number = self.next_number;
        cell.added_at = self.now;
        cell.due = obligation.not_before;
        cell.may_be_sent = obligation.sent_before;
        cell.noted = obligation.noted;
        cell.late_until = obligation.late_until;
        self.noted_from = self.noted_from.min(obligation.noted);
        self.next_number += 1;
        let place = self.cells.take(cell);
        self.places.insert(id, place);
        self.stats.added += 1;
        match obligation.late_until {
            Some(until) if until > obligation.not_before => self.keep_until(place, until),
            _ => self.join(place),
        }
    }

    /// The newest of all: behind what stands for its transaction and its card.
    fn join(&mut self, place: u32) {
        let Cell { transaction, card, .. } = *self.cells.of(place);
        self.transactions.push(&mut self.cells, transaction, place);
        self.cards.push(&mut self.cells, card, place);
        self.open.push_back(&mut self.cells, place);
        // The moment is not known here: whether it is due is seen when it is to be sent.
        if self.cells.is_first(place) {
            self.cells.of_mut(place).state = State::Ready;
            self.ready.push_back(&mut self.cells, place);
        }
    }

    /// The next copy to be sent now, if order, window, pace and connection allow one; it counts
    /// as sent. `live_in_flight`: live requests that wait for this partner.
    pub fn next(&mut self, now: Instant, live_in_flight: usize) -> Option<Send<'_>> {
        self.pass(now);
        if self.pace.opens_at() > now {
            return None;
        }
        let place = self.first_due()?;
        self.in_flight.push_back(&mut self.cells, place);
        self.in_flight_count += 1;
        self.pace.sent(now, live_in_flight);
        let cell = self.cells.of_mut(place);
        let repeat = cell.may_be_sent;
        (cell.state, cell.due) = (State::InFlight, now);
        cell.may_be_sent = true;
        cell.attempts = cell.attempts.saturating_add(1);
        cell.asked_again = cell.late_until.is_some();
        self.stats.sent += 1;
        self.stats.repeats += u64::from(repeat);
        Some(cell.copy(place, repeat))
    }

    /// What the partner said to a copy, be it late. `None`: nothing is settled by it; the entry is
    /// tried again, or is not here, or what lives at `place` is another.
    pub fn answered(
        &mut self,
        place: u32,
        id: u64,
        now: Instant,
        verdict: Verdict,
    ) -> Option<Settled> {
        self.pass(now);
        let cell = self.cells.at(place, id).filter(|cell| cell.may_be_sent)?;
        let (state, kind) = (cell.state, cell.kind);
        let was_in_flight = state == State::InFlight;
        if was_in_flight && verdict != Verdict::TryAgain {
            self.pace.answered();
        }
        match verdict {
            Verdict::Final => Some(self.done(place)),
            // What was provisional had its answer; only a better one counts.
            _ if matches!(state, State::Provisional(_)) => None,
            Verdict::Rejected(code) => Some(self.exception(place, code)),
            Verdict::NotFound if kind == Kind::Advice => Some(self.exception(place, NOT_FOUND)),
            Verdict::NotFound if cell.approved_late => self.contradicted(place),
            Verdict::NotFound if cell.late_until.is_some() => {
                // What answers an older copy only now is not the partner's last word.
                cell.asked_again.then(|| self.done(place))
            }
            Verdict::NotFound => Some(self.close_provisionally(place)),
            Verdict::TryAgain => {
                if was_in_flight {
                    self.failed(place);
                }
                None
            }
        }
    }

    /// A copy was not answered in time: whether it arrived is unknown.
    pub fn timed_out(&mut self, place: u32, id: u64, now: Instant) {
        self.pass(now);
        if self.is_in_flight(place, id) {
            self.stats.timed_out += 1;
            self.failed(place);
        }
    }

    /// The connection a copy was sent on is lost, but the partner has others: whether it arrived
    /// is unknown, and it is due again at once.
    pub fn lost(&mut self, place: u32, id: u64, now: Instant) {
        self.pass(now);
        if self.is_in_flight(place, id) {
            self.stats.lost += 1;
            self.land(place);
            self.cells.of_mut(place).due = now;
            // In front: it is older than whatever waits for its first copy.
            if self.cells.is_first(place) {
                self.cells.of_mut(place).state = State::Ready;
                self.ready.push_front(&mut self.cells, place);
            }
        }
    }

    /// The last connection is lost: all copies in flight are unknown, and none is sent from here
    /// on.
    pub fn connection_lost(&mut self, now: Instant) {
        self.pass(now);
        self.is_up = false;
        self.pace.lost();
        // From the last to the first: each goes in front of those that were sent after it.
        while !self.in_flight.is_empty() {
            let place = self.in_flight.tail();
            self.lost(place, self.cells.of(place).id, now);
        }
    }

    /// A connection carries messages: whatever backed off is due at once, as fast as the pace
    /// allows. The window opens with the partner's answers.
    pub fn connection_up(&mut self, now: Instant) {
        self.pass(now);
        self.is_up = true;
        self.waiting.release(&mut self.cells, now, &mut self.ready);
    }

    /// If the newest two of a transaction are an advice and its reversal, and neither was ever
    /// sent, both vanish. Returns their ids, the advice first.
    pub fn cancel_unsent(&mut self, transaction: u64) -> Option<[u64; 2]> {
        let reversal = self.transactions.newest(transaction);
        if reversal == NONE {
            return None;
        }
        let advice = self.cells.before::<TRANSACTION>(reversal);
        if advice == NONE {
            return None;
        }
        let is_unsent = |place, kind| {
            let cell = self.cells.of(place);
            cell.kind == kind && !cell.may_be_sent
        };
        if !is_unsent(advice, Kind::Advice) || !is_unsent(reversal, Kind::Reversal) {
            return None;
        }
        self.stats.cancelled += 2;
        let ids = [self.cells.of(advice).id, self.cells.of(reversal).id];
        // The reversal first, so that it is not let go for a moment.
        self.leave(reversal);
        self.leave(advice);
        Some(ids)
    }

    /// Hands up all whose record stands in a batch up to `up_to`, the provisional ones too, with
    /// [`Send::repeat`] as the next copy will have it. `note` returns the batch of the new record.
    /// Walks past all that is here, but only if something may be that old.
    pub fn note_again(&mut self, up_to: u64, mut note: impl FnMut(Send<'_>) -> u64) {
        if self.noted_from > up_to {
            return;
        }
        self.noted_from = u64::MAX;
        for (place, cell) in self.cells.all_mut() {
            if cell.noted <= up_to {
                cell.noted = note(cell.copy(place, cell.may_be_sent));
            }
            self.noted_from = self.noted_from.min(cell.noted);
        }
    }

    /// When [`Self::next`] has something to do again, unless an answer or a time-out comes first.
    pub fn next_deadline(&self) -> Option<Instant> {
        let wheels = [&self.waiting, &self.provisional].map(Wheel::next_deadline);
        let waiting = wheels.into_iter().flatten().min().filter(|_| self.is_up);
        let ready = self.may_send().then(|| self.pace.opens_at());
        [waiting, ready].into_iter().flatten().min()
    }

    fn may_send(&self) -> bool {
        self.is_up && !self.ready.is_empty() && self.in_flight_count < self.pace.window()
    }

    /// Takes the first of the ready, if one may be sent; those new ones that are not due go where
    /// they wait.
    fn first_due(&mut self) -> Option<u32> {
        while self.may_send() {
            let place = self.ready.head();
            self.ready.remove(&mut self.cells, place);
            if self.cells.of(place).due <= self.now {
                return Some(place);
            }
            self.wait(place);
        }
        None
    }

    fn is_in_flight(&self, place: u32, id: u64) -> bool {
        self.cells.at(place, id).is_some_and(|cell| cell.state == State::InFlight)
    }

    /// Time passes: what waited for it may be sent.
    fn pass(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while let Some(place) = self.waiting.pop(&mut self.cells, self.now) {
            self.cells.of_mut(place).state = State::Behind;
            self.queue(place);
        }
        while let Some(place) = self.provisional.pop(&mut self.cells, self.now) {
            self.provisional_count -= 1;
            self.ask_again(place);
        }
    }

    /// Puts one that is on no queue where it belongs.
    fn queue(&mut self, place: u32) {
        debug_assert_eq!(self.cells.of(place).state, State::Behind);
        if !self.cells.is_first(place) {
            return;
        }
        if self.cells.of(place).due > self.now {
            self.wait(place);
        } else {
            self.cells.of_mut(place).state = State::Ready;
            self.ready.push_back(&mut self.cells, place);
        }
    }

    fn wait(&mut self, place: u32) {
        let slot = self.waiting.insert(&mut self.cells, place);
        self.cells.of_mut(place).state = State::Waiting(slot);
    }

    /// An older one has come back in front of `place`. A copy that is under way stays so.
    fn hold(&mut self, place: u32) {
        if place == NONE {
            return;
        }
        match self.cells.of(place).state {
            State::Ready => self.ready.remove(&mut self.cells, place),
            State::Waiting(slot) => self.waiting.remove(&mut self.cells, place, slot),
            _ => return,
        }
        self.cells.of_mut(place).state = State::Behind;
    }

    /// A copy is not in flight any more.
    fn land(&mut self, place: u32) {
        self.in_flight.remove(&mut self.cells, place);
        self.in_flight_count -= 1;
        self.cells.of_mut(place).state = State::Behind;
    }

    /// A copy came to nothing, and perhaps others that are under way will.
    fn failed(&mut self, place: u32) {
        self.pace.failed(self.cells.of(place).due, self.now);
        self.back_off(place);
    }

    fn back_off(&mut self, place: u32) {
        self.land(place);
        let cell = self.cells.of_mut(place);
        cell.due = self.now.after(backoff::delay(self.settings.key, cell.id, cell.attempts));
        self.queue(place);
    }

    fn done(&mut self, place: u32) -> Settled {
        self.stats.done += 1;
        Settled::Done(self.leave(place))
    }

    fn exception(&mut self, place: u32, code: u8) -> Settled {
        self.stats.exceptions += 1;
        Settled::Exception(self.leave(place), code)
    }

    /// Ends an obligation; returns its id.
    fn leave(&mut self, place: u32) -> u64 {
        if let State::Provisional(slot) = self.cells.of(place).state {
            self.provisional.remove(&mut self.cells, place, slot);
            self.provisional_count -= 1;
        } else {
            self.withdraw(place);
        }
        let id = self.cells.of(place).id;
        self.places.remove(&id);
        let message = self.cells.free(place);
        self.spare(message);
        id
    }

    /// Takes an unfinished one off its queue and out of its chains, and lets go who stood behind
    /// it.
    fn withdraw(&mut self, place: u32) {
        match self.cells.of(place).state {
            State::InFlight => self.land(place),
            _ => self.hold(place),
        }
        let cell = self.cells.of(place);
        let (transaction, card, reopened) = (cell.transaction, cell.card, cell.reopened);
        let ages = if reopened { &mut self.reopened } else { &mut self.open };
        ages.remove(&mut self.cells, place);
        let of_transaction = self.transactions.remove(&mut self.cells, transaction, place);
        let of_card = self.cards.remove(&mut self.cells, card, place);
        for first in [of_transaction, of_card] {
            if first != NONE && self.cells.of(first).state == State::Behind {
                self.queue(first);
            }
        }
    }

    fn spare(&mut self, mut message: Vec<u8>) {
        if self.spares.len() < limits::SAF_SPARES_MAX {
            message.clear();
            self.spares.push(message);
        }
    }
}
