//! Where a worker hands batches in, and what it shares with the writer: two bounded queues, one
//! watermark, one bell. Nothing here waits, locks or allocates.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

use crossbeam::queue::{ArrayQueue, SegQueue};

use super::log::Failure;
use super::recover::Kept;
use super::stock::Delivery;
use crate::switch::batch::Batch;

/// The worker's end of the journal.
#[derive(Debug)]
pub struct Desk {
    common: Arc<Common>,
    worker: usize,
    next: u64,
    batch_bytes_max: usize,
}

/// What the journal takes at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Everything.
    Writing,
    /// Urgent batches only: the disk is full. It recovers by itself when there is room.
    Full,
    /// Nothing: the disk is full and so is the reserve. It recovers by itself too.
    Spent,
    /// Nothing any more: a write or a sync failed, or the journal was stopped.
    Failed,
}

/// What is about to be removed for its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivingUp {
    segment: u64,
    /// The last batch of this desk that stands in it.
    pub batch: u64,
}

impl Desk {
    pub(super) fn new(common: &Arc<Common>, worker: usize, batch_bytes_max: usize) -> Self {
        let next = common.slots[worker].durable.load(Ordering::Acquire) + 1;
        Self { common: Arc::clone(common), worker, next, batch_bytes_max }
    }

    /// The number that the next batch must have.
    pub const fn next_number(&self) -> u64 {
        self.next
    }

    /// Hands a batch in. It comes back if it is not taken: because of the [`state`](Self::state),
    /// or because the queue is full and the next [`durable`](Self::durable) must be awaited, or
    /// because it has the wrong number or more bytes than
    /// [`batch_bytes_max`](super::Options::batch_bytes_max). What is taken is not refused later;
    /// what came back has not used its number.
    pub fn hand_in(&mut self, batch: Batch) -> Result<(), Batch> {
        let takes = match self.state() {
            State::Writing => true,
            State::Full => batch.urgent,
            State::Spent | State::Failed => false,
        };
        let bytes = batch.clear.len().saturating_add(batch.secret.len());
        debug_assert!(
            bytes <= self.batch_bytes_max,
            "a batch has {bytes} bytes, which is too much"
        );
        debug_assert_eq!(batch.number, self.next, "batches are numbered without a gap");
        if !takes || bytes > self.batch_bytes_max || batch.number != self.next {
            return Err(batch);
        }
        self.common.slots[self.worker].queue.push(batch)?;
        self.next += 1;
        self.common.bell.ring();
        Ok(())
    }

    /// The highest number of this worker's batches that is durable; all lower ones are too.
    pub fn durable(&self) -> u64 {
        self.common.slots[self.worker].durable.load(Ordering::Acquire)
    }

    /// Buffers of a batch that was stored, empty: the clear one and the secret one.
    pub fn spare(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        self.common.slots[self.worker].spare.pop()
    }

    /// What the journal takes.
    pub fn state(&self) -> State {
        self.common.state()
    }

    /// What failed, if the state is [`State::Failed`] for that reason.
    pub fn failure(&self) -> Option<&Failure> {
        self.common.failure.get()
    }

    /// Asked before old segments are removed; nothing is removed before every desk has answered
    /// ([`noted_again`](Self::noted_again)).
    pub fn giving_up(&self) -> Option<GivingUp> {
        let slot = &self.common.slots[self.worker];
        let segment = slot.asked.load(Ordering::Acquire);
        // It was stored first: it is that of this segment or a later one.
        let batch = slot.asked_batch.load(Ordering::Acquire);
        let is_open = segment > slot.answered.load(Ordering::Relaxed);
        is_open.then_some(GivingUp { segment, batch })
    }

    /// What matters of the batches that are given up has been handed in again by now: when that is
    /// durable they may go.
    pub fn noted_again(&mut self, asked: GivingUp) {
        let slot = &self.common.slots[self.worker];
        slot.answered_by.store(self.next - 1, Ordering::Release);
        slot.answered.store(asked.segment, Ordering::Release);
        self.common.bell.ring();
    }

    /// Has `wake` called, on the writer's thread, whenever [`durable`](Self::durable) has moved,
    /// batches are to be given up, or the state has changed. It must not wait. Only the last one
    /// given is called.
    pub fn on_progress(&mut self, wake: impl Fn() + Send + 'static) {
        self.common.slots[self.worker].wake.force_push(Wake(Box::new(wake)));
        self.common.bell.ring();
    }
}

/// What desks and writer share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) slots: Box<[Slot]>,
    state: AtomicU8,
    pub(super) failure: OnceLock<Failure>,
    pub(super) stop: AtomicBool,
    pub(super) bell: Bell,
    /// From the other thread to the writer: one per order, so it does not grow.
    pub(super) deliveries: SegQueue<Delivery>,
}

/// What one desk and the writer share.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) queue: ArrayQueue<Batch>,
    pub(super) spare: ArrayQueue<(Vec<u8>, Vec<u8>)>,
    pub(super) durable: AtomicU64,
    /// Segments up to this one are to be given up, and the last batch of this desk in them.
    pub(super) asked: AtomicU64,
    pub(super) asked_batch: AtomicU64,
    /// Nothing in segments up to this one matters any more once that batch is durable.
    pub(super) answered: AtomicU64,
    pub(super) answered_by: AtomicU64,
    /// On its way to the writer, which keeps it.
    pub(super) wake: ArrayQueue<Wake>,
}

/// What a worker wants to have called.
pub(super) struct Wake(pub(super) Box<dyn Fn() + Send>);

impl Common {
    /// Desks of workers whose last durable batches are `last`.
    pub(super) fn new(last: &[u64]) -> Self {
        let slot = |last: &u64| Slot {
            queue: ArrayQueue::new(BATCHES_MAX),
            spare: ArrayQueue::new(BATCHES_MAX),
            durable: AtomicU64::new(*last),
            asked: AtomicU64::new(0),
            asked_batch: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            answered_by: AtomicU64::new(0),
            wake: ArrayQueue::new(1),
        };
        Self {
            slots: last.iter().map(slot).collect(),
            state: AtomicU8::new(State::Writing as u8),
            failure: OnceLock::new(),
            stop: AtomicBool::new(false),
            bell: Bell::default(),
            deliveries: SegQueue::new(),
        }
    }

    /// Has the first `desks` note again what matters of segments up to that of `kept`.
    pub(super) fn ask(&self, desks: usize, kept: &Kept) {
        for (worker, slot) in self.slots.iter().enumerate().take(desks) {
            let batch = kept.last.get(worker).copied().unwrap_or(0);
            slot.asked_batch.store(batch, Ordering::Release);
            slot.asked.store(kept.segment, Ordering::Release);
        }
    }

    /// True if nothing in segments up to `segment` matters any more to the first `desks`.
    pub(super) fn may_give_up(&self, desks: usize, segment: u64) -> bool {
        self.slots.iter().take(desks).all(|slot| {
            // The answer first: what it waits for was stored before it.
            slot.answered.load(Ordering::Acquire) >= segment
                && slot.durable.load(Ordering::Acquire) >= slot.answered_by.load(Ordering::Acquire)
        })
    }

    pub(super) fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Writing,
            1 => State::Full,
            2 => State::Spent,
            _ => State::Failed,
        }
    }

    pub(super) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }
}

/// Wakes the writer if it sleeps. A bell that is rung while it works costs no system call.
#[derive(Debug, Default)]
pub(super) struct Bell {
    sleeping: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Bell {
    /// The writer says who it is.
    pub(super) fn hang_up(&self) {
        let is_first = self.thread.set(std::thread::current()).is_ok();
        debug_assert!(is_first, "there is one writer");
    }

    /// After something was left for the writer.
    pub(super) fn ring(&self) {
        // Either we see that it is about to sleep, or it sees what was left: both sides write
        // first and read second.
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed)
            && self.sleeping.swap(false, Ordering::AcqRel)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Sleeps until the bell rings, unless `is_idle` finds something to do.
    pub(super) fn sleep(&self, is_idle: impl FnOnce() -> bool) {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if is_idle() {
            while self.sleeping.load(Ordering::Acquire) {
                std::thread::park();
            }
        }
        self.sleeping.store(false, Ordering::Relaxed);
    }
}

/// Batches of one worker that may wait for the writer.
pub(super) const BATCHES_MAX: usize = 256;

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wake")
    }
}
