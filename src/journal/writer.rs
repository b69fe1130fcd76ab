//! The writer thread: gather, store, publish, again.
//!
//! It alone touches the segment that is written. It sleeps when no desk holds anything; while it
//! waits for the disk, batches gather and become the next block.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use super::desk::{Common, Desk, Slot, State, Wake};
use super::files::Files;
use super::halt::Halt;
use super::log::{self, Failure, Log};
use super::recover::{Kept, Next, Recovery};
use super::segment::{self, Segment};
use super::stock::{Delivery, Order, Stock, is_full};
use super::{BLOCK_BYTES_MAX, Options, format};
use crate::base::time::Wall;
use crate::switch::batch::Batch;

/// What time it is.
pub type Clock = Arc<dyn Fn() -> Wall + Send + Sync>;

/// The running journal. Dropped, it stops without waiting.
#[derive(Debug)]
pub struct Writer {
    common: Arc<Common>,
    statistics: Arc<Statistics>,
    threads: Vec<JoinHandle<()>>,
}

/// What the writer has done since the start.
#[derive(Debug, Default)]
pub struct Statistics {
    /// Blocks stored.
    pub blocks: AtomicU64,
    /// Batches in them.
    pub batches: AtomicU64,
    /// Segments begun.
    pub segments: AtomicU64,
}

/// Starts writing behind what was recovered: a new segment, the threads, and a desk per worker.
pub fn start(
    options: &Options,
    files: Arc<dyn Files>,
    recovery: Recovery,
    clock: Clock,
) -> Result<(Writer, Vec<Desk>), Halt> {
    let Recovery { mut next, last, kept, lock, .. } = recovery;
    let (segment, is_full) = first_segment(options, &*files, &clock, &next)
        .and_then(|(segment, is_full)| {
            log::seal_last(&*files, &options.key, &mut next, clock())?;
            Ok((segment, is_full))
        })
        .map_err(|error| {
            let place = files.place(&segment::name(next.segment));
            Halt::io(place, "make a segment ready", error)
        })?;
    let common = Arc::new(Common::new(&last));
    let statistics = Arc::new(Statistics::default());
    let (order, orders) = channel();
    let stock = Stock {
        options: options.clone(),
        files: Arc::clone(&files),
        clock: Arc::clone(&clock),
        orders,
        common: Arc::clone(&common),
    };
    let mut duty = Duty {
        log: Log::new(&next, segment, options.durability, clock()),
        files,
        clock,
        retention_s: options.retention.as_secs(),
        desks: usize::from(options.workers),
        asked_in: 0,
        kept,
        gathered: Vec::new(),
        held: None,
        turn: 0,
        spare: Spare::None,
        full: is_full,
        wakes: last.iter().map(|_| None).collect(),
        orders: order,
        common: Arc::clone(&common),
        statistics: Arc::clone(&statistics),
        _lock: lock,
    };
    duty.order_next();
    let threads =
        vec![spawn("journal-stock", move || stock.run())?, spawn("journal", move || duty.run())?];
    let most = options.batch_bytes_max();
    let desks = (0..usize::from(options.workers)).map(|worker| Desk::new(&common, worker, most));
    let desks = desks.collect();
    Ok((Writer { common, statistics, threads }, desks))
}

/// The segment that is written first; true if it had to come out of the reserve.
fn first_segment(
    options: &Options,
    files: &dyn Files,
    clock: &Clock,
    next: &Next,
) -> io::Result<(Segment, bool)> {
    let Options { key, reserve_bytes, .. } = options;
    let number = next.segment;
    // Behind a finished segment there must always be one.
    let may_be_away = next.end.is_some_and(|end| !end.sealed);
    if may_be_away
        && segment::has_reserve(files, *reserve_bytes)?
        && let Some(segment) = segment::prepare_unused(files, options, number, clock())?
    {
        return Ok((segment, false));
    }
    let prepared = segment::prepare_reserve(files, *reserve_bytes)
        .and_then(|()| segment::prepare(files, options, number, clock()));
    match prepared {
        Ok(segment) => Ok((segment, false)),
        Err(error) if is_full(&error) && segment::has_reserve(files, *reserve_bytes)? => {
            Ok((segment::prepare_from_reserve(files, key, number, clock())?, true))
        }
        Err(error) => Err(error),
    }
}

fn spawn(name: &'static str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Halt> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(|error| Halt::io(name.to_owned(), "start a thread", error))
}

impl Writer {
    /// What failed, if something did.
    pub fn failure(&self) -> Option<&Failure> {
        self.common.failure.get()
    }

    /// What was done.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Stores what was handed in, and ends. Nothing is taken from now on.
    pub fn stop(mut self) {
        self.end();
        for thread in self.threads.drain(..) {
            // A panic of the writer has been reported by then.
            drop(thread.join());
        }
    }

    fn end(&self) {
        self.common.stop.store(true, Ordering::Release);
        self.common.bell.ring();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

/// The next segment.
#[derive(Debug)]
enum Spare {
    None,
    /// Being made.
    Ordered,
    Ready(Segment),
    /// There is no room for it; it is tried again and again.
    NoRoom,
    /// Being made out of the reserve.
    OrderedFromReserve,
    /// Not even that.
    NoReserve,
}

/// All that the writer thread has.
struct Duty {
    log: Log,
    files: Arc<dyn Files>,
    clock: Clock,
    retention_s: u64,
    /// Desks that are asked before a segment is given up, and the last one it was done in.
    desks: usize,
    asked_in: u64,
    /// Segments that are finished, oldest first.
    kept: VecDeque<Kept>,
    gathered: Vec<(u8, Batch)>,
    /// Taken from its desk, but there was no room for it in the last block.
    held: Option<(u8, Batch)>,
    /// The desk that is asked first.
    turn: usize,
    spare: Spare,
    /// True while the reserve is in use, or about to be.
    full: bool,
    wakes: Vec<Option<Wake>>,
    orders: Sender<Order>,
    common: Arc<Common>,
    statistics: Arc<Statistics>,
    _lock: Box<dyn std::any::Any + Send>,
}

impl Duty {
    fn run(mut self) {
        self.common.bell.hang_up();
        let ended = self.work();
        if let Err(failure) = ended {
            let is_first = self.common.failure.set(failure).is_ok();
            debug_assert!(is_first, "the first failure ends it all");
        }
        self.common.set_state(State::Failed);
        self.take_wakes();
        self.wakes.iter().flatten().for_each(|wake| (wake.0)());
    }

    fn work(&mut self) -> Result<(), Failure> {
        loop {
            // Read before gathering: what was handed in before the stop is stored.
            let stops = self.common.stop.load(Ordering::Acquire);
            self.take_wakes();
            self.take_deliveries()?;
            self.show_state();
            self.ask();
            self.gather();
            if !self.gathered.is_empty() {
                self.store()?;
            } else if self.held.is_some() {
                if !self.rotate()? {
                    if stops && matches!(self.spare, Spare::NoReserve) {
                        return Ok(());
                    }
                    self.sleep(stops, false);
                }
            } else if stops {
                return Ok(());
            } else {
                self.sleep(stops, true);
            }
        }
    }

    /// Takes from the desks what one block can hold.
    fn gather(&mut self) {
        let mut room = self.log.room().min(BLOCK_BYTES_MAX);
        if let Some((worker, batch)) = self.held.take() {
            if !fits(&batch, &mut room) {
                self.held = Some((worker, batch));
                return;
            }
            self.gathered.push((worker, batch));
        }
        let desks = self.common.slots.len();
        self.turn = (self.turn + 1) % desks;
        for worker in (self.turn..desks).chain(0..self.turn) {
            while let Some(batch) = self.common.slots[worker].queue.pop() {
                let worker = worker as u8;
                if self.gathered.len() >= BLOCK_BATCHES_MAX || !fits(&batch, &mut room) {
                    self.held = Some((worker, batch));
                    return;
                }
                self.gathered.push((worker, batch));
            }
        }
    }

    fn store(&mut self) -> Result<(), Failure> {
        let now = (self.clock)();
        self.log.store(&*self.files, &self.gathered, now)?;
        self.statistics.blocks.fetch_add(1, Ordering::Relaxed);
        self.statistics.batches.fetch_add(self.gathered.len() as u64, Ordering::Relaxed);
        let mut moved = [false; 256];
        for (worker, batch) in self.gathered.drain(..) {
            let slot = &self.common.slots[usize::from(worker)];
            slot.durable.store(batch.number, Ordering::Release);
            moved[usize::from(worker)] = true;
            let Batch { mut clear, mut secret, .. } = batch;
            clear.clear();
            secret.clear();
            // A desk that does not fetch them has enough.
            drop(slot.spare.push((clear, secret)));
        }
        let wakes = self.wakes.iter().zip(moved);
        wakes.filter(|(_, moved)| *moved).filter_map(|(wake, _)| wake.as_ref()).for_each(|wake| {
            (wake.0)();
        });
        Ok(())
    }

    /// Goes on in the next segment; false if it is not there yet.
    fn rotate(&mut self) -> Result<bool, Failure> {
        match std::mem::replace(&mut self.spare, Spare::None) {
            Spare::Ready(segment) => {
                let now = (self.clock)();
                let oldest = self.retire(now);
                let mut finished = self.log.rotate(&*self.files, segment, now)?;
                let durable = |slot: &Slot| slot.durable.load(Ordering::Acquire);
                finished.last = self.common.slots.iter().map(durable).collect();
                self.statistics.segments.fetch_add(1, Ordering::Relaxed);
                self.kept.push_back(finished);
                self.order(Order::RemoveBefore(oldest));
                self.order_next();
                Ok(true)
            }
            Spare::NoRoom => {
                self.full = true;
                self.spare = Spare::OrderedFromReserve;
                self.order(Order::UseReserve(self.log.segment() + 1));
                Ok(false)
            }
            other => {
                self.spare = other;
                Ok(false)
            }
        }
    }

    /// Has desks note again what matters of segments that are old enough, well before the next
    /// segment begins, so that they can go then.
    fn ask(&mut self) {
        if self.asked_in == self.log.segment() || !self.log.is_low() {
            return;
        }
        self.asked_in = self.log.segment();
        let limit = self.limit((self.clock)());
        let old = self.kept.iter().take_while(|kept| kept.written.unix_s() < limit).last();
        if let Some(kept) = old {
            self.common.ask(self.desks, kept);
            self.wakes.iter().flatten().for_each(|wake| (wake.0)());
        }
    }

    /// Segments written before this, in Unix seconds, are old enough.
    fn limit(&self, now: Wall) -> u64 {
        now.unix_s().saturating_sub(self.retention_s)
    }

    /// Gives up segments that are old enough and matter to nobody. The block that finishes a
    /// segment says so, and only when it is stored may they be removed. Returns the oldest segment
    /// that is kept.
    fn retire(&mut self, now: Wall) -> u64 {
        let limit = self.limit(now);
        let (common, desks) = (Arc::clone(&self.common), self.desks);
        let may_go =
            |kept: &&Kept| kept.written.unix_s() < limit && common.may_give_up(desks, kept.segment);
        while let Some(kept) = self.kept.front().filter(may_go) {
            self.log.give_up_before(kept.segment + 1);
            self.kept.pop_front();
        }
        self.log.oldest()
    }

    fn order_next(&mut self) {
        self.spare = Spare::Ordered;
        self.order(Order::Prepare(self.log.segment() + 1));
    }

    fn order(&self, order: Order) {
        // The other thread ends after this one.
        drop(self.orders.send(order));
    }

    fn take_deliveries(&mut self) -> Result<(), Failure> {
        while let Some(delivery) = self.common.deliveries.pop() {
            match delivery {
                Delivery::Ready { segment, from_reserve } => {
                    self.full = from_reserve;
                    self.spare = Spare::Ready(segment);
                }
                Delivery::NoRoom => self.spare = Spare::NoRoom,
                Delivery::NoReserve => self.spare = Spare::NoReserve,
                Delivery::Broken(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Tells the desks what is taken.
    fn show_state(&mut self) {
        let has_no_room = matches!(self.spare, Spare::NoRoom);
        self.full |= has_no_room && self.log.is_low();
        let state = match self.spare {
            Spare::NoReserve if self.held.is_some() => State::Spent,
            _ if self.full => State::Full,
            _ => State::Writing,
        };
        if self.common.state() != state {
            self.common.set_state(state);
            self.wakes.iter().flatten().for_each(|wake| (wake.0)());
        }
    }

    fn take_wakes(&mut self) {
        for (slot, wake) in self.common.slots.iter().zip(&mut self.wakes) {
            if let Some(newer) = slot.wake.pop() {
                *wake = Some(newer);
            }
        }
    }

    /// Until the bell rings. Not at all if something has changed since it was looked at: whether
    /// to stop, and, with `and_desks`, what they hold.
    fn sleep(&self, stops: bool, and_desks: bool) {
        let common = &self.common;
        common.bell.sleep(|| {
            let is_quiet = |slot: &Slot| slot.wake.is_empty() && slot.queue.is_empty();
            common.stop.load(Ordering::Acquire) == stops
                && common.deliveries.is_empty()
                && (!and_desks || common.slots.iter().all(is_quiet))
        });
    }
}

/// Takes the room of a batch, if there is enough of it.
fn fits(batch: &Batch, room: &mut usize) -> bool {
    let bytes = format::batch_bytes(batch);
    match room.checked_sub(bytes) {
        Some(left) => {
            *room = left;
            true
        }
        None => false,
    }
}

/// Batches of one block, whose count has 16 bits.
const BLOCK_BATCHES_MAX: usize = u16::MAX as usize;
