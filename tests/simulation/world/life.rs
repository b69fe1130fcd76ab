//! The life of a simulated process: it starts, reads back what is on the disk, and ends: by a
//! crash, because its disk failed, or when it has drained.

use super::*;
use crate::crash::Point;
use crate::disk::Kept;

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
        self.process = Some(Process {
            switch: Switch::new(setup),
            outbox: Outbox::recorded(self.disk.last_number() + 1),
            inbox: VecDeque::new(),
            turn_is_due: false,
            alarm_at: u64::MAX,
            durable: self.disk.last_number(),
            storage: Storage::Ready,
            leaves_by: None,
            generations: Vec::new(),
            free: Vec::new(),
            by_slot: BTreeMap::new(),
        });
        self.recovers();
        if self.point(Point::Recovered) {
            return;
        }
        for host in 0..self.hosts.len() {
            for place in 0..2 {
                let at = self.now + self.dice.between(1, 20) * MS;
                self.at(at, What::Dial(host, place));
            }
        }
    }

    /// What is on the disk is read back, and the new switch takes over what the old one owed.
    fn recovers(&mut self) {
        let mut recovery = Recovery::default();
        for batch in &self.disk.log {
            recovery.read_batch(WorkerId(0), batch.number, &batch.clear, &batch.secret);
        }
        let now = self.clock();
        if let Some(process) = &mut self.process {
            process.switch.begin_resuming(now, &std::sync::Arc::new(recovery), &mut process.outbox);
        }
        self.poke();
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
        self.input(Input::Drain);
        self.at_in_life(DRAIN_DEADLINE, What::Alarm);
    }

    /// Ends the process if it has drained, or has taken too long over it.
    pub(super) fn steps_drain(&mut self) {
        let Some(process) = &self.process else { return };
        let Some(by) = process.leaves_by else { return };
        let is_stalled = |connection: &Connection| connection.is_stalled();
        let is_written = !process.outbox.is_dirty()
            && !process.outbox.is_held()
            && !self.disk.refuses()
            && !self.connections.iter().any(is_stalled);
        let complete = process.switch.is_drained() && is_written;
        if !complete && by > self.now {
            return;
        }
        if complete {
            let connections = &self.connections;
            self.oracle.drains(|id| connections[id].alive);
        }
        self.feed(Event::Leave);
        self.flush();
        if self.process.take().is_none() {
            return;
        }
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
        self.paused_until = self.now + self.dice.between(100, 20_000) * MS;
        self.trace("pauses", 0, b"");
    }

    pub(super) fn dial(&mut self, host: usize, place: usize) {
        let end = End::Host(host, place);
        if self.now < self.down_until && !self.healed {
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
            let pause = self.dice.between(100, 60_000) * MS;
            return self.at(self.now + pause, What::Dial(host, place));
        }
        let id = self.connect(end);
        self.hosts[host].connections[place] = Some(id);
        if self.faults.strike(Fault::HostHangsUp, &mut self.dice) {
            self.reset(id);
        }
    }
}
