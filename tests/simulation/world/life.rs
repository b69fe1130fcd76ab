//! The life of a simulated process: it starts, reads back what is on the disk, and ends: by a
//! crash, because its disk failed, or when it has drained.

use authswitch::switch::bug::Bug;
use authswitch::switch::recover::Recovery;

use super::worker::Phase;
use super::*;
use crate::crash::Point;
use crate::disk::Kept;
use crate::faults::{AWAKE_MIN, PAUSE_MAX};

/// From being told to drain to the end, at most.
const DRAIN_DEADLINE: u64 = 10 * SECOND;

impl World {
    pub(super) fn starts(&mut self) {
        if self.process.is_some() {
            return;
        }
        self.life += 1;
        self.oracle.lives(self.life);
        self.trace("starts", 0, b"");
        let setup = Setup { epoch: self.life, ..self.setup.clone() };
        let workers = match self.faults.workers_vary {
            true => self.dice.between(1, 3) as u8,
            false => self.faults.workers,
        };
        self.process = Some(Process::new(&setup, workers, &self.disk));
        if self.has(Bug::NoBarrier) {
            for worker in 0..self.workers() {
                let at = self.now + self.dice.between(0, 60) * MS;
                self.at(at, What::Resumes(self.life, worker));
            }
        } else {
            self.take_up();
        }
        if self.point(Point::Recovered) {
            return;
        }
        for host in 0..self.hosts.len() {
            for place in 0..self.faults.sessions {
                self.expects(host, place);
                let at = self.now + self.dice.between(1, 20) * MS;
                self.at(at, What::Dial(host, place));
            }
        }
    }

    /// What is on the disk is read back, and each worker takes over its part of what the last life
    /// owed, in any order. None begins before all have.
    fn take_up(&mut self) {
        let mut left: Vec<usize> = (0..self.workers()).collect();
        while !left.is_empty() {
            let next = self.dice.below(left.len() as u64) as usize;
            let worker = left.swap_remove(next);
            self.resumes(worker);
        }
    }

    pub(super) fn resumes(&mut self, worker: usize) {
        let mut recovery = Recovery::default();
        for (worker, batch) in &self.disk.log {
            let worker = WorkerId(*worker as u8);
            recovery.read_batch(worker, batch.number, &batch.clear, &batch.secret);
        }
        let now = self.clock();
        let Some(of) = self.worker(worker) else { return };
        of.switch.begin_resuming(now, &std::sync::Arc::new(recovery), &mut of.outbox);
        of.has_resumed = true;
        self.poke(worker);
    }

    /// The process is gone, whatever it was doing.
    pub(crate) fn crash(&mut self, kept: Kept, delivers: bool) {
        if self.process.take().is_none() {
            return;
        }
        self.trace("crash", 0, b"");
        self.ends(kept, delivers);
    }

    fn ends(&mut self, kept: Kept, delivers: bool) {
        self.life += 1;
        self.disk_is_left(kept);
        self.oracle.ends_life(self.now);
        for id in 0..self.connections.len() {
            self.orphan(id, delivers);
        }
        // As often at once as at leisure.
        let longest = if self.dice.chance(500) { 100 } else { 2000 };
        let pause = self.dice.between(5, longest) * MS;
        self.at(self.now + pause, What::Restarts);
    }

    /// The operator wants the process to end: nobody new is let in.
    pub(super) fn terminates(&mut self) {
        let by = self.now + DRAIN_DEADLINE;
        let Some(process) = self.process.as_mut().filter(|p| p.leaves_by.is_none()) else { return };
        process.leaves_by = Some(by);
        self.trace("drains", 0, b"");
        for worker in 0..self.workers() {
            self.input(worker, Input::Drain);
            self.at(by, What::Alarm(self.life, worker));
        }
    }

    /// A worker leaves if all have finished, or have taken too long over it; the process ends when
    /// the last one has left.
    pub(super) fn steps_drain(&mut self, worker: usize) {
        let Some(by) = self.process.as_ref().and_then(|process| process.leaves_by) else { return };
        let (is_written, no_mail) = (self.is_written(worker), self.has(Bug::MailNotDrained));
        let Some(of) = self.worker(worker) else { return };
        let is_settled = of.switch.is_drained() && is_written;
        let phase = if is_settled { Phase::Settled } else { Phase::Running };
        if std::mem::replace(&mut of.phase, phase) != phase {
            self.poke_all();
        }
        let Some(process) = &mut self.process else { return };
        let settled = process.workers.iter().all(|of| of.phase == Phase::Settled);
        // Mail is something to finish, too: it may ask for an answer, or be one.
        let is_read = process.posts.busy_since().is_none();
        let finished = settled && (is_read || no_mail);
        if finished && !std::mem::replace(&mut process.has_finished, true) {
            let connections = &self.connections;
            self.oracle.drains(|id| connections[id].alive);
            self.poke_all();
        }
        let Some(process) = &self.process else { return };
        let complete = process.has_finished && is_settled;
        if !complete && by > self.now {
            return;
        }
        self.feed(worker, Event::Leave);
        self.flush(worker);
        let Some(process) = &mut self.process else { return };
        process.workers[worker].phase = Phase::Left;
        if process.workers.iter().all(|of| of.phase == Phase::Left) {
            self.leaves();
        }
    }

    /// True if no byte of a worker waits to be written anywhere.
    fn is_written(&self, worker: usize) -> bool {
        let Some(of) = self.process.as_ref().map(|process| &process.workers[worker]) else {
            return true;
        };
        let is_stalled =
            |connection: &Connection| connection.worker == worker && connection.is_stalled();
        !of.outbox.is_dirty()
            && !of.outbox.is_held()
            && !self.disk.refuses()
            && of.unsent.is_empty()
            && !self.connections.iter().any(is_stalled)
    }

    fn leaves(&mut self) {
        self.process = None;
        self.trace("leaves", 0, b"");
        let kept = if self.disk.storage() == Storage::Failed {
            Kept::Some(self.dice.below(self.disk.waiting() as u64 + 1) as usize)
        } else {
            // The journal stores what it was given before the process ends, if there is room.
            Kept::Some(self.disk.writes_out())
        };
        self.ends(kept, true);
    }

    /// A process that stands still: what comes waits for it, and so do its own deadlines.
    pub(super) fn pauses(&mut self) {
        self.paused_until = self.now + self.dice.between(100, PAUSE_MAX / MS) * MS;
        self.trace("pauses", 0, b"");
    }

    pub(super) const fn has_been_awake(&self) -> bool {
        self.paused_until == 0 || self.now > self.paused_until + AWAKE_MIN
    }

    pub(super) fn dial(&mut self, host: usize, place: usize) {
        let end = End::Host(host, place);
        if self.now < self.down_until && !self.healed {
            self.misses(host, place);
            return self.at(self.down_until, What::Dial(host, place));
        }
        let taken = self.connections.iter().any(|other| other.end == end && other.open);
        if taken && self.hosts[host].connections[place].is_none() {
            // The switch has not heard yet that the old one is gone.
            return self.at(self.now + 100 * MS, What::Dial(host, place));
        }
        if taken || self.process.is_none() {
            return;
        }
        if self.faults.strike(Fault::HostAway, &mut self.dice) {
            // Nobody is there, for a moment or for a minute.
            self.misses(host, place);
            let pause = self.dice.between(100, 60_000) * MS;
            return self.at(self.now + pause, What::Dial(host, place));
        }
        self.expects(host, place);
        let id = self.connect(end);
        self.hosts[host].connections[place] = Some(id);
        if self.faults.strike(Fault::HostHangsUp, &mut self.dice) {
            self.reset(id);
        }
    }
}
