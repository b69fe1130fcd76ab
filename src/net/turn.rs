//! The end of a turn: what the core wants done is done, once for everything that was ready.
//!
//! A turn begins with the first event and ends here, behind all tasks that were ready with it:
//! mail, deadlines, one write per dirty lane, commands, mail out, timer. The order matters:
//! deadlines come after reads, so an answer that has arrived beats its deadline.

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use super::Core;
use super::accept;
use super::notice::Notice;
use super::sessions::Origin;
use super::worker::{Loss, Phase, Worker};
use crate::base::ids::SessionId;
use crate::base::time::Instant;
use crate::switch::event::{Event, Storage};
use crate::switch::older::{Answer, Found, Question};
use crate::switch::outbox::{CloseCause, Command};

/// Ends turns until the worker has left.
#[derive(Debug)]
pub(super) struct Turns<C> {
    worker: Rc<RefCell<Worker<C>>>,
    timer: Pin<Box<Sleep>>,
    armed: Option<Instant>,
    /// Deadlines of the open turn wait until the sockets were asked once more.
    asked_again: bool,
}

impl<C: Core> Turns<C> {
    pub(super) fn new(worker: Rc<RefCell<Worker<C>>>) -> Self {
        let start = worker.borrow().parts.clock.timer(Instant::from_ns(0));
        Self {
            worker,
            timer: Box::pin(tokio::time::sleep_until(start)),
            armed: None,
            asked_again: false,
        }
    }

    /// True if the turn must go on because a deadline has been missed by far. Then the process
    /// stood still, and the first thing that it is woken by may be its timer, before the sockets
    /// say what has arrived meanwhile (a wait for them that is interrupted returns nothing).
    fn asks_again(&mut self, is_late: bool, cx: &mut Context<'_>) -> bool {
        self.asked_again = is_late && !self.asked_again;
        // What yields is woken behind everything that is ready then.
        self.asked_again && pin!(tokio::task::yield_now()).poll(cx).is_pending()
    }

    /// Sets the one timer of the worker, if it would ring too late or has rung.
    ///
    /// The timer counts whole milliseconds and rings late. So it is set a millisecond early, and
    /// again if that was too early; whether a deadline has passed is decided by the clock.
    fn arm(&mut self, worker: &Worker<C>, now: Instant, cx: &mut Context<'_>) {
        let Some(next) = worker.next_deadline() else { return };
        if self.armed.is_some_and(|armed| armed > now && armed <= next) {
            return;
        }
        let ahead = next.since(now);
        let ring = if ahead > EARLY { now.after(ahead - EARLY) } else { next };
        self.timer.as_mut().reset(worker.parts.clock.timer(ring));
        self.armed = Some(ring);
        if self.timer.as_mut().poll(cx).is_ready() {
            self.armed = None;
            cx.waker().wake_by_ref();
        }
    }
}

impl<C: Core> Future for Turns<C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let shared = Rc::clone(&this.worker);
        let mut worker = shared.borrow_mut();
        if worker.turn.is_none() {
            worker.turn = Some(cx.waker().clone());
        }
        // Set directly: this is the end of the turn, it need not be scheduled again.
        let now = worker.now.unwrap_or_else(|| worker.parts.clock.now());
        worker.now = Some(now);
        let late = worker.next_deadline().map(|due| now.instant.since(due));
        if this.asks_again(late.is_some_and(|late| late > LATE), cx) {
            return Poll::Pending;
        }
        accept::read_mail(&mut worker, &shared);
        let now = worker.end_turn();
        this.arm(&worker, now, cx);
        if worker.phase == Phase::Left { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<C: Core> Worker<C> {
    fn end_turn(&mut self) -> Instant {
        let now = self.now();
        self.begin_drain_if_told();
        self.take_tables();
        self.meet_deadlines(now.instant);
        for _ in 0..ROUNDS_MAX {
            self.flush();
            if !self.outbox.is_dirty() {
                break;
            }
        }
        self.step_drain(now.instant);
        self.ring();
        self.turns += 1;
        if let Some(spinner) = self.spinner.take() {
            spinner.wake();
        }
        self.now = None;
        if self.outbox.is_dirty() || self.core.next_deadline().is_some_and(|at| at <= now.instant) {
            self.now();
        }
        now.instant
    }

    /// Writes each dirty lane once and does what was commanded. What is lost on the way makes work
    /// for the next round.
    pub(super) fn flush(&mut self) {
        self.consult_archive();
        self.store_records();
        self.flush_lanes();
        let mut commands = std::mem::take(&mut self.outbox.commands);
        for command in commands.drain(..) {
            match command {
                Command::Close { session, cause } => self.close(session, cause),
                Command::Note { link, is_asked } => {
                    let worker = self.parts.id;
                    self.parts.notices.push(Notice::Health { worker, link, is_asked });
                }
                Command::Share { session, up: true } => self.lend(session),
                // Other workers may still wait for answers on it; they settle before it closes.
                Command::Share { up: false, .. } if self.phase != Phase::Running => {}
                Command::Share { session, up: false } => self.recall(session),
            }
        }
        // Closing may have commanded more; the emptied list is kept for its room.
        std::mem::swap(&mut commands, &mut self.outbox.commands);
        self.outbox.commands.append(&mut commands);
        self.post_relays();
        self.post_told();
        self.report_decisions();
    }

    /// Partners first: a request waits for them, and writing to many acquirers takes a while. What
    /// becomes durable meanwhile need not wait for the next turn.
    fn flush_lanes(&mut self) {
        let mut acquirers = std::mem::take(&mut self.acquirers_dirty);
        self.flush_partners(&mut acquirers);
        let mut next = 0;
        while let Some(session) = acquirers.get(next) {
            self.flush_lane(*session);
            next += 1;
            if next.is_multiple_of(LOOK_UP_EVERY)
                && let Some(store) = &self.store
            {
                self.outbox.durable(store.durable());
                self.flush_partners(&mut acquirers);
            }
        }
        acquirers.clear();
        self.acquirers_dirty = acquirers;
    }

    /// Writes the dirty lanes of partners, and notes those of acquirers.
    fn flush_partners(&mut self, acquirers: &mut Vec<SessionId>) {
        while let Some(id) = self.outbox.next_dirty() {
            let origin = self.sessions.get(id).map(|session| session.origin);
            match origin {
                Some(Origin::Accepted) => acquirers.push(id),
                _ => self.flush_lane(id),
            }
        }
    }

    /// Hands what was put on record to the store, and lets go what waited for it.
    fn store_records(&mut self) {
        let Some(mut store) = self.store.take() else { return };
        let storage = store.storage();
        if storage != self.storage {
            self.storage = storage;
            self.feed(Event::Storage(storage));
            self.parts.notices.push(Notice::Storage { worker: self.parts.id, storage });
        }
        if !self.noting
            && let Some(batch) = store.giving_up()
        {
            self.noting = true;
            self.feed(Event::Forgetting(batch));
        }
        while let Some(batch) = self.outbox.seal() {
            self.unstored.push_back(batch);
        }
        while let Some(mut batch) = self.unstored.pop_front() {
            // Bytes wait for it already: it goes into the reserve, and it is the last that does.
            batch.urgent |= storage == Storage::ObligationsOnly;
            if let Err(refused) = store.hand_in(batch) {
                self.unstored.push_front(refused);
                break;
            }
        }
        if self.noting && self.unstored.is_empty() {
            self.noting = false;
            store.noted_again();
        }
        while let Some((clear, secret)) = store.spare() {
            self.outbox.give_back(clear);
            self.outbox.give_back(secret);
        }
        self.outbox.durable(store.durable());
        self.store = Some(store);
    }

    /// Takes answers in and hands questions out; who cannot be asked has nothing to say.
    fn consult_archive(&mut self) {
        let mut archive = self.archive.take();
        while let Some(answer) = archive.as_mut().and_then(|archive| archive.answer()) {
            self.feed(Event::Looked(answer));
        }
        for question in std::mem::take(&mut self.outbox.questions) {
            let taken = archive.as_mut().map_or(Err(question), |archive| archive.ask(question));
            if let Err(Question { ticket, .. }) = taken {
                self.feed(Event::Looked(Answer { ticket, found: Found::Unsaid }));
            }
        }
        self.archive = archive;
    }

    fn report_decisions(&mut self) {
        for decision in self.outbox.decisions.drain(..) {
            if let Some(tap) = &self.parts.tap {
                // Who watches and does not keep up misses some.
                let _ = tap.try_send(decision);
            }
        }
    }

    fn flush_lane(&mut self, id: SessionId) {
        let Some(session) = self.sessions.at(id) else { return };
        // A stalled lane has a writer: its own task.
        if session.stalled_by.is_none() {
            self.write(id);
        }
    }

    fn take_tables(&mut self) {
        // Asking first is cheap; taking from an empty queue orders all memory.
        if self.door().tables.is_empty() {
            return;
        }
        if let Some((routes, rules)) = self.door().tables.pop() {
            // Both before the next message: rules name networks by their places in the routes.
            self.feed(Event::Routes(routes));
            self.feed(Event::Rules(rules));
        }
    }

    fn meet_deadlines(&mut self, now: Instant) {
        if self.core.next_deadline().is_some_and(|at| at <= now) {
            self.feed(Event::Deadline);
        }
        if self.stalled_by.is_some_and(|at| at <= now) {
            self.close_stalled(now);
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.post_again();
        }
    }

    /// Closes the sessions whose peer took no byte in time, or not all of its last ones.
    fn close_stalled(&mut self, now: Instant) {
        self.stalled_by = None;
        for id in std::mem::take(&mut self.stalled) {
            let Some(session) = self.sessions.at(id) else { continue };
            session.watched = false;
            let closing_by = session.closing.map(|(_, by)| by);
            let Some(by) = session.stalled_by.into_iter().chain(closing_by).min() else { continue };
            if by > now {
                self.watch(id, by);
                continue;
            }
            let cause = session.closing.map_or(CloseCause::WriteStall, |(cause, _)| cause);
            self.lose(id, Loss::Closed(cause));
        }
    }

    /// The earliest moment at which this worker has something to do of its own accord.
    fn next_deadline(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Running | Phase::Left => None,
            Phase::Draining { by, .. } | Phase::Leaving { by } => Some(by),
        };
        let all = [self.core.next_deadline(), self.stalled_by, self.retry_at, phase];
        all.into_iter().flatten().min()
    }

    /// True if no byte waits to be written anywhere.
    pub(super) fn is_written(&self) -> bool {
        let is_stalled =
            |id: &SessionId| self.sessions.get(*id).is_some_and(|s| s.stalled_by.is_some());
        !self.outbox.is_dirty()
            && !self.outbox.is_held()
            && self.unstored.is_empty()
            && self.unsent.is_empty()
            && self.unposted.iter().all(|mail| mail.is_empty())
            && !self.stalled.iter().any(is_stalled)
    }
}

/// Acquirers that are written to before it is asked again what is durable.
const LOOK_UP_EVERY: usize = 8;

/// Events made by a flush (a peer found dead while writing to it) are flushed in the same turn, up
/// to this many times.
const ROUNDS_MAX: usize = 8;

/// Timers ring later than asked for by less than this, even on a busy machine.
const LATE: Duration = Duration::from_millis(5);

/// How much earlier than its deadline the timer is set.
const EARLY: Duration = Duration::from_millis(1);
