//! A disk: what it was given is durable some time later, all that waited together.

use std::collections::VecDeque;

use authswitch::switch::batch::Batch;

use crate::faults::Fault;
use crate::world::{Input, MS, US, What, World};

#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// Given, and not durable.
    waiting: VecDeque<Batch>,
    /// How many of those the sync under way makes durable.
    syncing: usize,
    pub(crate) log: Vec<Batch>,
}

impl Disk {
    pub(crate) fn last_number(&self) -> u64 {
        self.log.last().map_or(0, |batch| batch.number)
    }
}

impl World {
    pub(crate) fn stores(&mut self, batch: Batch) {
        self.trace("stores", 0, &batch.clear);
        self.disk.waiting.push_back(batch);
        self.syncs();
    }

    fn syncs(&mut self) {
        if self.disk.syncing > 0 || self.disk.waiting.is_empty() {
            return;
        }
        self.disk.syncing = self.disk.waiting.len();
        let mut pause = self.dice.between(100, 1500) * US;
        if self.faults.strike(Fault::SlowDisk, &mut self.dice) {
            pause = self.dice.between(1, 3000) * MS;
        }
        self.at_in_life(pause, What::Synced);
    }

    pub(crate) fn synced(&mut self) {
        for _ in 0..std::mem::take(&mut self.disk.syncing) {
            self.survives();
        }
        let number = self.disk.last_number();
        self.input(Input::Durable(number));
        self.syncs();
    }

    /// The first of what waits is durable.
    fn survives(&mut self) {
        if let Some(batch) = self.disk.waiting.pop_front() {
            self.oracle.durable(&batch.clear, &batch.secret);
            self.disk.log.push(batch);
        }
    }

    /// The power is cut: some of what waited is there, from the front on, and the rest is not.
    pub(crate) fn power_is_cut(&mut self) {
        for _ in 0..self.dice.below(self.disk.waiting.len() as u64 + 1) {
            self.survives();
        }
        self.disk.waiting.clear();
        self.disk.syncing = 0;
    }
}
