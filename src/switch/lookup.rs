//! Requests that wait until an older transaction was looked up.
//!
//! A repeat, or a reversal, that names what no worker remembers may mean something from before the
//! window. [`Switch::look_up`] puts it aside and asks; when the answer is there the transaction is
//! remembered again, and the message is taken once more from the start, by the code that took it
//! the first time. So nothing is decided here. A request that is asked for the first time never
//! comes here.
//!
//! No answer in time is not the answer "there is none": nothing is forwarded as new, and no
//! terminal is told that its original is unknown. It is told to come again, and is looked up again
//! then.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::SessionId;
use crate::base::limits;
use crate::base::time::{Instant, Now, Today};
use crate::iso8583::frame::{self, Cut};

use super::fault::Fault;
use super::older::{Found, Question, Sought};
use super::outbox::Outbox;
use super::session::State;
use super::stats::Counter;
use super::{Batch, Switch};

/// What is known about an older transaction that the message under way may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looked {
    /// Nobody was asked.
    No,
    /// There is none.
    Nothing,
    /// There may be one that is not remembered: nobody could say, or it found no room.
    Unsaid,
}

/// Messages that wait, in the order in which they were put aside.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// Those that were answered leave a hole, until they are the first.
    waits: VecDeque<Option<Wait>>,
    /// The ticket of the first.
    first: u64,
}

#[derive(Debug)]
struct Wait {
    session: SessionId,
    /// The message, framed.
    frame: Vec<u8>,
    /// No answer by then: it goes on without.
    by: Instant,
}

impl Waits {
    /// True if nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waits.is_empty()
    }

    /// When the first has waited long enough.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.waits.front().and_then(Option::as_ref).map(|wait| wait.by)
    }

    fn add(&mut self, wait: Wait) -> Option<u64> {
        if self.waits.len() >= limits::LOOK_UPS_MAX {
            return None;
        }
        self.waits.push_back(Some(wait));
        Some(self.first + self.waits.len() as u64 - 1)
    }

    fn take(&mut self, ticket: u64) -> Option<Wait> {
        let place = usize::try_from(ticket.checked_sub(self.first)?).ok()?;
        let wait = self.waits.get_mut(place)?.take();
        while self.waits.pop_front_if(|wait| wait.is_none()).is_some() {
            self.first += 1;
        }
        wait
    }
}

impl Switch {
    /// The message under way names a transaction that nobody remembers. True if it was put aside
    /// to look it up, and will be taken again; false if there is none.
    #[cold]
    pub(super) fn look_up(
        &mut self,
        batch: &Batch<'_>,
        framed: &[u8],
        sought: Sought,
        outbox: &mut Outbox,
    ) -> Result<bool, Fault> {
        match batch.looked {
            Looked::No if batch.setup.has_archive => {}
            Looked::No | Looked::Nothing => return Ok(false),
            Looked::Unsaid => return Err(Fault::NotLookedUp),
        }
        let session = self.sessions.of_mut(batch.session).ok_or(Fault::Draining)?;
        let by = batch.now.instant.after(LOOK_UP_MAX);
        let wait = Wait { session: batch.session, frame: framed.to_vec(), by };
        let ticket = self.waits.add(wait).ok_or(Fault::NotLookedUp)?;
        session.in_flight += 1;
        self.stats.count(Counter::LookUps);
        outbox.questions.push(Question { ticket, sought });
        Ok(true)
    }

    /// The answer to a question; it may come too late.
    #[cold]
    pub(super) fn looked(&mut self, now: Now, ticket: u64, found: Found, outbox: &mut Outbox) {
        let Some(wait) = self.waits.take(ticket) else { return };
        let looked = match found {
            Found::Nothing => Looked::Nothing,
            Found::Unsaid => Looked::Unsaid,
            Found::Older(mut older) => {
                self.stats.count(Counter::FoundOlder);
                older.past.at = now.instant;
                self.recent.restore(older.past, &older.kept);
                // Should it not be remembered after all, that is no reason to ask it anew.
                Looked::Unsaid
            }
        };
        self.take_again(now, &wait, looked, outbox);
    }

    /// Whoever has waited long enough goes on without an answer.
    pub(super) fn end_look_ups(&mut self, now: Now, outbox: &mut Outbox) {
        while self.waits.next_deadline().is_some_and(|by| by <= now.instant) {
            let Some(wait) = self.waits.take(self.waits.first) else { return };
            self.take_again(now, &wait, Looked::Unsaid, outbox);
        }
    }

    /// Takes a message from the start. Its terminal may be gone; then nothing was said to anybody,
    /// and it asks again.
    fn take_again(&mut self, now: Now, wait: &Wait, looked: Looked, outbox: &mut Outbox) {
        let id = wait.session;
        let Some(session) = self.sessions.of(id) else { return };
        let (link_id, is_closing) = (session.link, session.state == State::Closing);
        let (setup, routes) = (Arc::clone(&self.setup), Arc::clone(&self.routes));
        if let Some(link) = setup.link(link_id).filter(|_| !is_closing) {
            if !self.today.is(now.wall) {
                self.today = Today::of(now.wall);
            }
            let today = self.today;
            let (setup, routes) = (&*setup, &*routes);
            let batch = Batch { now, today, setup, routes, session: id, link_id, link, looked };
            let framing = &link.dialect.spec.framing;
            let cut = frame::cut_within(framing, &wait.frame, limits::FRAME_BYTES_MAX);
            debug_assert!(matches!(cut, Cut::Frame { .. }), "it was cut before");
            if let Cut::Frame { start, end, .. } = cut {
                let message = wait.frame.get(start..end).unwrap_or(&[]);
                let mut index = self.index.take().unwrap_or_default();
                self.request(&batch, message, &wait.frame, &mut index, outbox);
                self.index = Some(index);
            }
        }
        self.one_less(id, outbox);
    }
}

impl Batch<'_> {
    /// What is left of a budget: who was looked up has spent up to the time that may take. It is
    /// the same for all of them, so that they expire in the order in which they were forwarded.
    #[inline]
    pub(super) fn left_of(&self, budget: Duration) -> Duration {
        match self.looked {
            Looked::No => budget,
            _ => budget.saturating_sub(LOOK_UP_MAX).max(budget / 2),
        }
    }
}

/// How long a message may wait for an answer. Looking up takes milliseconds, more while a disk is
/// busy with something else.
const LOOK_UP_MAX: Duration = limits::LOOK_UP_DEADLINE;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a map: taken once, by its ticket, whatever the order.
        #[test]
        fn each_is_taken_once(steps in prop::collection::vec(0u64..40, 1..120)) {
            let (mut waits, mut model) = (Waits::default(), std::collections::BTreeMap::new());
            for (at, step) in steps.into_iter().enumerate() {
                let at = at as u64;
                if step % 2 == 0 {
                    let session = SessionId { slot: at as u32, generation: 1 };
                    let by = Instant::from_ns(at);
                    let ticket = waits.add(Wait { session, frame: Vec::new(), by }).expect("room");
                    prop_assert!(model.insert(ticket, at).is_none(), "no ticket is used twice");
                } else {
                    let taken = waits.take(step).map(|wait| u64::from(wait.session.slot));
                    prop_assert_eq!(taken, model.remove(&step));
                }
                let earliest = model.values().min().map(|at| Instant::from_ns(*at));
                prop_assert_eq!(waits.next_deadline(), earliest);
                prop_assert_eq!(waits.is_empty(), model.is_empty());
            }
        }
    }
}
