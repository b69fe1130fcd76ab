//! The shell of a simulated switch: turns, one write per lane, what is commanded done.

use authswitch::switch::bug::Bug;

use super::worker::Phase;
use super::*;
use crate::network::Connection;

impl World {
    /// A new connection; a worker of the switch has accepted or dialled it.
    pub(crate) fn connect(&mut self, end: End) -> usize {
        let id = self.connections.len();
        let now = self.now;
        let place = match end {
            // Who goes elsewhere in a small world is to find another worker there.
            End::Client(_, which) if self.crashes.is_some() => which % self.workers(),
            End::Client(..) => self.dice.below(self.workers() as u64) as usize,
            End::Host(host, place) => self.dials_on(host, place),
        };
        let worker = self.worker(place).expect("who is down accepts nobody");
        let session = worker.seats.take(Seat::Socket(id));
        worker.outbox.open(session);
        self.connections.push(Connection::new(end, (place, session), now));
        self.trace("connects", id, b"");
        self.input(place, Input::Opened(id));
        id
    }

    pub(crate) fn input(&mut self, worker: usize, input: Input) {
        if let Some(of) = self.worker(worker) {
            of.inbox.push_back(input);
            self.poke(worker);
        }
    }

    /// Something for the worker that owns the connection.
    pub(crate) fn input_of(&mut self, id: usize, input: Input) {
        // A worker of a later life does not know it.
        if self.connections[id].open {
            self.input(self.connections[id].worker, input);
        }
    }

    pub(crate) fn poke_all(&mut self) {
        (0..self.workers()).for_each(|worker| self.poke(worker));
    }

    pub(crate) fn poke(&mut self, worker: usize) {
        let Some(of) = self.worker(worker) else { return };
        if std::mem::replace(&mut of.turn_is_due, true) {
            return;
        }
        let mut pause = self.dice.between(1, 60) * US;
        if self.faults.strike(Fault::SlowTurn, &mut self.dice) {
            pause = self.dice.between(1, 400) * MS;
        }
        let at = (self.now + pause).max(self.paused_until);
        self.at(at, What::Turn(self.life, worker));
    }

    pub(super) fn clock(&self) -> Now {
        let wall = 1_795_313_565 + (self.now / SECOND) as i64 + self.wall_step;
        Now { instant: Instant::from_ns(self.now), wall: Wall::from_unix_s(wall as u64) }
    }

    /// One turn of a worker, as the shell does it: what came, deadlines, records to the disk, one
    /// write per lane, commands, mail, the timer.
    pub(super) fn turn(&mut self, worker: usize) {
        let (now, life, paused_until) = (self.now, self.life, self.paused_until);
        let Some(of) = self.worker(worker) else { return };
        if now < paused_until {
            return self.at(paused_until, What::Turn(life, worker));
        }
        of.turn_is_due = false;
        if !of.has_resumed || of.phase == Phase::Left {
            return;
        }
        let inbox = std::mem::take(&mut of.inbox);
        let mails = inbox.iter().filter(|input| matches!(input, Input::Mail(..))).count();
        for input in inbox {
            self.takes(worker, input);
        }
        if self.next_deadline(worker).is_some_and(|at| at <= self.now) {
            if self.point(Point::Timer) {
                return;
            }
            self.feed(worker, Event::Deadline);
            if self.point(Point::Met) {
                return;
            }
        }
        self.posts_again(worker);
        for _ in 0..8 {
            if !self.flush(worker) {
                break;
            }
        }
        self.guests_go(worker);
        self.looks_what_waits(worker);
        self.has_read_mail(mails);
        self.steps_drain(worker);
        let next = self.next_deadline(worker).unwrap_or(u64::MAX).max(now + 1);
        let Some(of) = self.worker(worker) else { return };
        if of.alarm_at <= now || next < of.alarm_at {
            of.alarm_at = next;
            if next < u64::MAX {
                self.at(next, What::Alarm(life, worker));
            }
        }
    }

    fn next_deadline(&mut self, worker: usize) -> Option<u64> {
        self.worker(worker).and_then(|worker| worker.switch.next_deadline()).map(Instant::ns)
    }

    fn takes(&mut self, worker: usize, input: Input) {
        match input {
            Input::Opened(id) => {
                let (session, link) = (self.connections[id].session, self.connections[id].link());
                self.feed(worker, Event::Opened { session, link, shared: false });
            }
            Input::Bytes(id, bytes) => self.receive(id, &bytes),
            Input::Ended(id) => self.end(id),
            Input::Lost(id) => self.lose(id),
            Input::Writable(id) => self.write(id),
            Input::Durable(number) => {
                if let Some(of) = self.worker(worker) {
                    of.durable = number;
                }
            }
            Input::Mail(from, mail) => self.reads_mail(worker, from, mail),
            Input::Drain => {
                self.feed(worker, Event::Drain);
            }
            Input::Routes(routes) => {
                self.feed(worker, Event::Routes(routes));
            }
        }
    }

    /// True if something was done that may have made more to do.
    pub(super) fn flush(&mut self, worker: usize) -> bool {
        self.tells_of_disk(worker);
        while let Some(batch) = self.worker(worker).and_then(|of| of.outbox.seal()) {
            self.stores(worker, batch);
        }
        let durables = self.process.iter().flat_map(|process| &process.workers);
        let highest = durables.map(|of| of.durable).max().unwrap_or(0);
        let any = self.has(Bug::WatermarkShared);
        let Some(of) = self.worker(worker) else { return false };
        of.outbox.durable(if any { highest } else { of.durable });
        let mut did = false;
        while let Some(session) = self.worker(worker).and_then(|of| of.outbox.next_dirty()) {
            match self.worker(worker).and_then(|of| of.seats.at(session)) {
                Some(Seat::Socket(id)) => self.write(id),
                Some(Seat::Mailbox { .. }) => self.posts_lane(worker, session),
                None => continue,
            }
            did = true;
        }
        let commands = self.worker(worker).map(|of| std::mem::take(&mut of.outbox.commands));
        for command in commands.unwrap_or_default() {
            did |= self.does(worker, command);
        }
        self.posts_out(worker);
        did
    }

    fn does(&mut self, worker: usize, command: Command) -> bool {
        let (session, cause) = match command {
            Command::Close { session, cause } => (session, cause),
            Command::Note { .. } => return false,
            Command::Share { session, up } => {
                // Others may still wait for answers on it; they settle before it closes.
                let drains = self.process.as_ref().is_some_and(|p| p.leaves_by.is_some());
                if up || !drains {
                    self.shares(worker, session, up);
                }
                return false;
            }
        };
        match self.worker(worker).and_then(|of| of.seats.at(session)) {
            Some(Seat::Socket(id)) => {
                let harmless = matches!(cause, CloseCause::Idle | CloseCause::Finished);
                if self.undisturbed && !harmless {
                    self.oracle.closes(cause.text());
                }
                self.close(id);
            }
            Some(Seat::Mailbox { .. }) => self.close_mailbox(worker, session),
            None => return false,
        }
        true
    }

    /// The session of a connection that is gone.
    pub(crate) fn forgets(&mut self, id: usize) {
        let Connection { worker, session, end, .. } = self.connections[id];
        self.shares(worker, session, false);
        self.feed(worker, Event::Closed { session });
        if let Some(of) = self.worker(worker) {
            of.outbox.close(session);
            of.seats.free(session);
        }
        if let End::Host(host, place) = end {
            self.misses(host, place);
        }
    }

    fn tells_of_disk(&mut self, worker: usize) {
        let storage = self.disk.storage();
        let Some(of) = self.worker(worker) else { return };
        if std::mem::replace(&mut of.storage, storage) != storage {
            self.feed(worker, Event::Storage(storage));
            let Some(process) = &self.process else { return };
            let takes = |of: &worker::Worker| of.storage == Storage::Ready;
            let all = process.workers.iter().all(takes);
            self.oracle.disk_takes(all, process.workers.iter().any(takes));
        }
    }

    /// True if somebody new is let in.
    pub(crate) fn listens(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.leaves_by.is_none())
    }
}
