//! The second thread: makes segments ready before they are needed, and removes old ones.
//!
//! Both take the disk longer than a block may wait. It does one order after the other and tells
//! the writer how each ended. It is here that a full disk is noticed: one segment early.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::Options;
use super::desk::Common;
use super::files::Files;
use super::log::Failure;
use super::segment::{self, Segment};
use super::writer::Clock;

/// What the writer wants.
#[derive(Debug)]
pub(super) enum Order {
    /// This segment, and the reserve before it; tried again until there is room.
    Prepare(u64),
    /// This segment, out of the reserve.
    UseReserve(u64),
    /// No segment before this one any more.
    RemoveBefore(u64),
}

/// How it ended.
#[derive(Debug)]
pub(super) enum Delivery {
    /// The segment that was ordered.
    Ready {
        /// Under its name, with its room.
        segment: Segment,
        /// True if it took the reserve.
        from_reserve: bool,
    },
    /// The disk is full. The order stands.
    NoRoom,
    /// The reserve is used up. The order to prepare a segment stands.
    NoReserve,
    /// Something else went wrong, and that is final.
    Broken(Failure),
}

/// The thread, until the writer hangs up.
pub(super) struct Stock {
    pub(super) options: Options,
    pub(super) files: Arc<dyn Files>,
    pub(super) clock: Clock,
    pub(super) orders: Receiver<Order>,
    pub(super) common: Arc<Common>,
}

impl Stock {
    pub(super) fn run(self) {
        let mut wanted = None;
        loop {
            let order = if wanted.is_some() {
                self.orders.recv_timeout(RETRY)
            } else {
                self.orders.recv().map_err(RecvTimeoutError::from)
            };
            match order {
                Ok(Order::Prepare(number)) => wanted = self.prepare(number, true),
                // If there was room in the meantime, that segment is on its way already.
                Ok(Order::UseReserve(number)) if wanted == Some(number) => {
                    if self.use_reserve(number) {
                        wanted = None;
                    }
                }
                Ok(Order::UseReserve(_)) => {}
                Ok(Order::RemoveBefore(number)) => self.remove_before(number),
                Err(RecvTimeoutError::Timeout) => {
                    wanted = wanted.and_then(|number| self.prepare(number, false));
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Returns the number if there is no room yet.
    fn prepare(&self, number: u64, says_so: bool) -> Option<u64> {
        let (files, options) = (&*self.files, &self.options);
        let prepared = segment::prepare_reserve(files, options.reserve_bytes)
            .and_then(|()| segment::prepare(files, options, number, (self.clock)()));
        match prepared {
            Ok(segment) => self.deliver(Delivery::Ready { segment, from_reserve: false }),
            Err(error) if is_full(&error) => {
                if says_so {
                    self.deliver(Delivery::NoRoom);
                }
                return Some(number);
            }
            Err(error) => self.broken(number, error),
        }
        None
    }

    /// Returns false if there is no reserve.
    fn use_reserve(&self, number: u64) -> bool {
        let files = &*self.files;
        let prepared = segment::has_reserve(files, self.options.reserve_bytes).and_then(|has| {
            let key = &self.options.key;
            has.then(|| segment::prepare_from_reserve(files, key, number, (self.clock)()))
                .transpose()
        });
        match prepared {
            Ok(Some(segment)) => self.deliver(Delivery::Ready { segment, from_reserve: true }),
            Ok(None) => {
                self.deliver(Delivery::NoReserve);
                return false;
            }
            Err(error) => self.broken(number, error),
        }
        true
    }

    /// What cannot be removed now is removed at the next start.
    fn remove_before(&self, oldest: u64) {
        let Ok(numbers) = segment::numbers(&*self.files) else { return };
        for number in numbers.into_iter().filter(|number| *number < oldest) {
            if self.files.remove(&segment::name(number)).is_err() {
                return;
            }
        }
    }

    fn broken(&self, number: u64, error: io::Error) {
        let file = self.files.place(&segment::name(number));
        let doing = "make a segment ready";
        self.deliver(Delivery::Broken(Failure { file, offset: 0, doing, error }));
    }

    fn deliver(&self, delivery: Delivery) {
        self.common.deliveries.push(delivery);
        self.common.bell.ring();
    }
}

/// The disk, or our share of it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Pause before room is looked for again.
const RETRY: Duration = Duration::from_millis(500);
