//! Requests that wait until an older transaction was looked up.
//!
//! A repeat that no worker remembers, or a reversal, completion, void or refund that names what no
//! worker remembers, may mean something from before the window. [`Switch::look_up`] puts it aside
//! and asks; when the answer is there the transaction is remembered again, and the message is taken
//! once more from the start, by the code that took it the first time. So nothing is decided here. A
//! request that names no other and is asked for the first time never comes here.
//!
//! No answer in time is not the answer "there is none": nothing is forwarded as new, and no
//! terminal is told that its original is unknown. It is told to come again (96). What is found too
//! late is remembered all the same, so that the next copy need not wait, however slow the disk is.
//!
//! A reversal that is not looked up in time is not owed instead. To whom, and of what, only its
//! original knows: the partner, the STAN the partner was sent, what was approved. And 00 would say
//! that the terminal's own transaction is taken back, 25 that there is nothing to take back: both
//! end its repeats, and both may turn out not to be so, with another amount, or another answer on
//! record. 96 promises nothing, and leaves the reversal with who has it stored: the terminal.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::{SessionId, WorkerId};
use crate::base::limits;
use crate::base::time::{Instant, Now, Today};
use crate::iso8583::frame::{self, Cut};

use super::consult::Whose;
use super::fault::Fault;
use super::older::{Found, Older, Question, Sought};
use super::outbox::Outbox;
use super::recent::{Claim, Known, Past};
use super::session::State;
use super::stats::Counter;
use super::{Batch, Switch};

/// What a message may have looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// An earlier copy of itself.
    Itself,
    /// The transaction that it names.
    Original,
    /// The transfer that has spent its reference.
    Reference,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Said {
    /// Nobody was asked.
    #[default]
    No,
    /// There is none.
    Nothing,
    /// There is one, and it is remembered, unless it found no room.
    Found,
    /// There is one, and it must be remembered by that worker.
    Follows(WorkerId),
    /// There may be one: nobody could say.
    Unsaid,
}

/// What is known about older transactions that the message under way may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Looked {
    itself: Said,
    original: Said,
    reference: Said,
    /// How often it was put aside.
    times: u8,
    /// How long asking whose code it is may take, if that was asked: one of the times.
    consult_ms: u16,
    /// What was said to that.
    whose: Whose,
}

impl Looked {
    /// True if what the message names was found, whatever it may be.
    pub(super) fn has_original(self) -> bool {
        self.original == Said::Found
    }

    /// Of one that was put aside so often, and then waited to hear whose code it is.
    pub(super) fn of_consulted(times: u8, consult_ms: u16, whose: Whose) -> Self {
        Self { times: times.saturating_add(1), consult_ms, whose, ..Self::default() }
    }

    /// What was said of whose its code is.
    pub(super) const fn whose(self) -> Whose {
        self.whose
    }

    /// True of one that was taken before, and goes on.
    pub(super) fn goes_on(self) -> bool {
        self.whose != Whose::Unasked
    }

    /// How often it was put aside.
    pub(super) const fn times(self) -> u8 {
        self.times
    }

    const fn of(self, about: About) -> Said {
        match about {
            About::Itself => self.itself,
            About::Original => self.original,
            About::Reference => self.reference,
        }
    }

    const fn with(mut self, about: About, said: Said) -> Self {
        match about {
            About::Itself => self.itself = said,
            About::Original => self.original = said,
            About::Reference => self.reference = said,
        }
        self.times += 1;
        self
    }
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
    about: About,
    /// What was looked up before.
    looked: Looked,
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
    /// The message under way is a copy of, or names, a transaction that nobody remembers. True if
    /// it was put aside to look that up, and will be taken again, or is another worker's; false if
    /// there is none.
    #[cold]
    pub(super) fn look_up(
        &mut self,
        batch: &Batch<'_>,
        framed: &[u8],
        (about, sought): (About, Sought),
        outbox: &mut Outbox,
    ) -> Result<bool, Fault> {
        match batch.looked.of(about) {
            Said::No if batch.setup.has_archive => {}
            Said::No | Said::Nothing => return Ok(false),
            // Should it not be remembered after all, that is no reason to ask it anew.
            Said::Found | Said::Unsaid => return Err(Fault::NotLookedUp),
            Said::Follows(worker) => {
                return self.pass(batch, worker, framed, outbox).map(|()| true);
            }
        }
        let session = self.sessions.of_mut(batch.session).ok_or(Fault::Draining)?;
        let by = batch.now.instant.after(LOOK_UP_MAX);
        let (frame, looked) = (framed.to_vec(), batch.looked);
        let wait = Wait { session: batch.session, frame, by, about, looked };
        let ticket = self.waits.add(wait).ok_or(Fault::NotLookedUp)?;
        session.in_flight += 1;
        self.stats.count(Counter::LookUps);
        outbox.questions.push(Question { ticket, sought });
        Ok(true)
    }

    /// The answer to a question; it may come too late.
    #[cold]
    pub(super) fn looked(&mut self, now: Now, ticket: u64, found: Found, outbox: &mut Outbox) {
        let said = match found {
            Found::Nothing => Said::Nothing,
            Found::Unsaid => Said::Unsaid,
            Found::Older(older) => self.remember_older(now, *older),
        };
        if let Some(wait) = self.waits.take(ticket) {
            self.take_again(now, &wait, said, outbox);
        }
    }

    /// Once, by one worker: what one of two copies that wait together did to it must not be undone
    /// by the other. So it is claimed, as a request is.
    fn remember_older(&mut self, now: Now, mut older: Older) -> Said {
        self.stats.count(Counter::FoundOlder);
        let (worker, workers) = (self.setup.worker, self.setup.workers);
        let follows = older.follows(workers, &self.lanes);
        if let Some(other) = follows.filter(|other| *other != worker) {
            return Said::Follows(other);
        }
        older.past.at = now.instant;
        let Past { id, key, acquirer, at, .. } = older.past;
        let claimed = self.recent.claim(Claim { id, key, acquirer, at }, |past| past.id == id);
        if let Known::New(number) = claimed {
            self.recent.fill(number, older.past, &older.kept);
            self.weighed(number, &older.weights);
        }
        Said::Found
    }

    /// Whoever has waited long enough goes on without an answer.
    pub(super) fn end_look_ups(&mut self, now: Now, outbox: &mut Outbox) {
        while self.waits.next_deadline().is_some_and(|by| by <= now.instant) {
            let Some(wait) = self.waits.take(self.waits.first) else { return };
            self.take_again(now, &wait, Said::Unsaid, outbox);
        }
    }

    /// Takes a message from the start. Its terminal may be gone; then nothing was said to anybody,
    /// and it asks again.
    fn take_again(&mut self, now: Now, wait: &Wait, said: Said, outbox: &mut Outbox) {
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
            let looked = wait.looked.with(wait.about, said);
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
    /// What is left of a budget: who was put aside has spent up to the time that may take. It is
    /// the same for all of them, so that they expire in the order in which they were forwarded.
    #[inline]
    pub(super) fn left_of(&self, budget: Duration) -> Duration {
        if self.looked.times == 0 { budget } else { self.rest_of(budget) }
    }

    #[cold]
    fn rest_of(&self, budget: Duration) -> Duration {
        let times = u32::from(self.looked.times);
        let consult = Duration::from_millis(self.looked.consult_ms.into());
        let look_ups = times - u32::from(!consult.is_zero());
        let spent = LOOK_UP_MAX * look_ups + consult;
        budget.saturating_sub(spent).max(budget / (2 * times))
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
                    let (frame, looked) = (Vec::new(), Looked::default());
                    let wait = Wait { session, frame, by, about: About::Itself, looked };
                    let ticket = waits.add(wait).expect("room");
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
