//! A disk: what it was given is durable some time later, all that waited together. It can be slow,
//! it can be full, and it can fail, once and for all.

use std::collections::{BTreeMap, VecDeque};

use authswitch::switch::Storage;
use authswitch::switch::batch::Batch;

use crate::crash::Point;
use crate::faults::Fault;
use crate::world::{Input, MS, US, What, World};

#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// Given by a worker, and not durable.
    waiting: VecDeque<(usize, Batch)>,
    /// How many of those the sync under way makes durable.
    syncing: usize,
    pub(crate) log: Vec<(usize, Batch)>,
    room: Room,
    /// A write or a sync failed: nothing more becomes durable in this life.
    has_failed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Room {
    #[default]
    Enough,
    /// So many bytes of the reserve are left.
    Reserve(usize),
}

/// How much of what waits is on the disk after the process or the power is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Nothing,
    Everything,
    /// So many batches, from the front on: any number is possible.
    Some(usize),
}

impl Disk {
    /// The number of the worker's last batch.
    pub(crate) fn last_number(&self, worker: usize) -> u64 {
        let last = self.log.iter().rev().find(|(of, _)| *of == worker);
        last.map_or(0, |(_, batch)| batch.number)
    }

    /// What the switch is told.
    pub(crate) fn storage(&self) -> Storage {
        match self.room {
            _ if self.has_failed => Storage::Failed,
            Room::Enough => Storage::Ready,
            Room::Reserve(_) => Storage::ObligationsOnly,
        }
    }

    /// True if something waits for room: the reserve is spent.
    pub(crate) fn refuses(&self) -> bool {
        matches!(self.room, Room::Reserve(_)) && self.syncing == 0 && !self.waiting.is_empty()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many of what waits are durable when the process that drained has ended.
    pub(crate) fn writes_out(&mut self) -> usize {
        match self.room {
            Room::Enough => self.waiting.len(),
            // The reserve was counted when the sync began.
            Room::Reserve(_) => self.syncing + self.writable_behind(self.syncing),
        }
    }

    /// How many of what waits can be written now.
    fn writable(&mut self) -> usize {
        self.writable_behind(0)
    }

    fn writable_behind(&mut self, begun: usize) -> usize {
        let Room::Reserve(left) = &mut self.room else { return self.waiting.len() - begun };
        let mut count = 0;
        for (_, batch) in self.waiting.iter().skip(begun) {
            let bytes = batch.clear.len() + batch.secret.len();
            let Some(rest) = left.checked_sub(bytes) else { break };
            *left = rest;
            count += 1;
        }
        count
    }
}

impl World {
    pub(crate) fn stores(&mut self, worker: usize, batch: Batch) {
        if self.point(Point::Append) {
            return;
        }
        self.trace("stores", worker, &batch.clear);
        // Those of one worker stay in order. Workers are asked in turn.
        let own = self.disk.waiting.iter().rposition(|(of, _)| *of == worker);
        let from = own.map_or(0, |own| own + 1).max(self.disk.syncing);
        let behind = self.disk.waiting.len() - from;
        let place = from + self.dice.below(behind as u64 + 1) as usize;
        self.disk.waiting.insert(place, (worker, batch));
        self.syncs();
        self.point(Point::Appended);
    }

    fn syncs(&mut self) {
        if self.disk.syncing > 0 || self.disk.waiting.is_empty() || self.disk.has_failed {
            return;
        }
        self.disk.syncing = self.disk.writable();
        if self.disk.syncing == 0 {
            return;
        }
        let mut pause = self.dice.between(100, 1500) * US;
        if self.faults.strike(Fault::SlowDisk, &mut self.dice) {
            let longest = [50, 1000, 5000][self.dice.below(3) as usize];
            pause = self.dice.between(1, longest) * MS;
            self.oracle.disk_is_slow(self.now + pause);
        }
        let fails = self.faults.strike(Fault::DiskFails, &mut self.dice);
        self.at_in_life(pause, if fails { What::SyncFails } else { What::Synced });
    }

    pub(crate) fn synced(&mut self) {
        if self.point(Point::Barrier) {
            return;
        }
        let mut moved = BTreeMap::new();
        for _ in 0..std::mem::take(&mut self.disk.syncing) {
            self.survives();
            moved.extend(self.disk.log.last().map(|(worker, batch)| (*worker, batch.number)));
        }
        for (worker, number) in moved {
            self.input(worker, Input::Durable(number));
        }
        if self.point(Point::Durable) {
            return;
        }
        self.syncs();
    }

    /// Nobody knows what of it is on the disk. The workers hear of it, and the process ends soon.
    pub(crate) fn sync_fails(&mut self) {
        self.trace("disk fails", 0, b"");
        self.disk.has_failed = true;
        self.oracle.disk_fails();
        self.poke_all();
        let pause = self.dice.between(0, 120) * MS;
        self.at_in_life(pause, What::Exits);
    }

    /// There is no room any more, but for a reserve.
    pub(crate) fn disk_fills(&mut self) {
        if self.disk.room != Room::Enough {
            return;
        }
        let reserve = [0, 1500, 100_000][self.dice.below(3) as usize];
        self.trace("disk is full", reserve, b"");
        self.disk.room = Room::Reserve(reserve);
        self.poke_all();
        let pause = self.dice.between(50, 6000) * MS;
        self.at(self.now + pause, What::HasSpace);
    }

    pub(crate) fn disk_has_room(&mut self) {
        if self.disk.room == Room::Enough {
            return;
        }
        self.trace("disk has room", 0, b"");
        self.disk.room = Room::Enough;
        self.poke_all();
        self.syncs();
    }

    /// The first of what waits is durable.
    fn survives(&mut self) {
        if let Some(batch) = self.disk.waiting.pop_front() {
            self.oracle.durable(&batch.1.clear, &batch.1.secret);
            self.disk.log.push(batch);
        }
    }

    /// Nobody writes any more: some of what waited is there, from the front on, and what is there
    /// is made durable before the next process trusts it. The rest is gone.
    pub(crate) fn disk_is_left(&mut self, kept: Kept) {
        let count = match kept {
            Kept::Nothing => 0,
            Kept::Everything => self.disk.waiting.len(),
            Kept::Some(count) => count,
        };
        for _ in 0..count {
            self.survives();
        }
        self.disk.waiting.clear();
        self.disk.syncing = 0;
        self.disk.has_failed = false;
    }
}
