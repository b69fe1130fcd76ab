//! The shell of a simulated switch: turns, one write per lane, what is commanded done.

use super::*;

impl World {
    /// A new connection; the switch has accepted or dialled it.
    pub(crate) fn connect(&mut self, end: End) -> usize {
        let id = self.connections.len();
        let now = self.now;
        let process = self.process.as_mut().expect("who is down accepts nobody");
        let session = process.seat(id);
        self.connections.push(Connection::new(end, session, now));
        self.trace("connects", id, b"");
        self.input(Input::Opened(id));
        id
    }

    pub(crate) fn input(&mut self, input: Input) {
        if let Some(process) = &mut self.process {
            process.inbox.push_back(input);
            self.poke();
        }
    }

    pub(crate) fn poke(&mut self) {
        let Some(process) = &mut self.process else { return };
        if std::mem::replace(&mut process.turn_is_due, true) {
            return;
        }
        let mut pause = self.dice.between(1, 60) * US;
        if self.faults.strike(Fault::SlowTurn, &mut self.dice) {
            pause = self.dice.between(1, 400) * MS;
        }
        let at = (self.now + pause).max(self.paused_until);
        self.at(at, What::Turn(self.life));
    }

    pub(crate) fn feed(&mut self, event: Event<'_>) -> usize {
        let now = self.clock();
        let Some(process) = &mut self.process else { return 0 };
        process.switch.handle(now, event, &mut process.outbox)
    }

    pub(super) fn clock(&self) -> Now {
        let wall = 1_795_313_565 + (self.now / SECOND) as i64 + self.wall_step;
        Now { instant: Instant::from_ns(self.now), wall: Wall::from_unix_s(wall as u64) }
    }

    /// One turn of the worker, as the shell does it: what came, deadlines, records to the disk,
    /// one write per lane, commands, the timer.
    pub(super) fn turn(&mut self) {
        let paused_until = self.paused_until;
        let Some(process) = &mut self.process else { return };
        if self.now < paused_until {
            return self.at(paused_until, What::Turn(self.life));
        }
        process.turn_is_due = false;
        for input in std::mem::take(&mut process.inbox) {
            self.takes(input);
        }
        if self.next_deadline().is_some_and(|at| at <= self.now) {
            if self.point(Point::Timer) {
                return;
            }
            self.feed(Event::Deadline);
            if self.point(Point::Met) {
                return;
            }
        }
        for _ in 0..8 {
            if !self.flush() {
                break;
            }
        }
        self.steps_drain();
        let (now, life) = (self.now, self.life);
        let next = self.next_deadline().unwrap_or(u64::MAX).max(now + 1);
        let Some(process) = &mut self.process else { return };
        if process.alarm_at <= now || next < process.alarm_at {
            process.alarm_at = next;
            if next < u64::MAX {
                self.at(next, What::Alarm(life));
            }
        }
    }

    fn next_deadline(&self) -> Option<u64> {
        self.process.as_ref().and_then(|process| process.switch.next_deadline()).map(Instant::ns)
    }

    fn takes(&mut self, input: Input) {
        match input {
            Input::Opened(id) => {
                let (session, link) = (self.connections[id].session, self.connections[id].link());
                self.feed(Event::Opened { session, link, shared: false });
            }
            Input::Bytes(id, bytes) => self.receive(id, &bytes),
            Input::Ended(id) => self.end(id),
            Input::Lost(id) => self.lose(id),
            Input::Writable(id) => self.write(id),
            Input::Durable(number) => {
                if let Some(process) = &mut self.process {
                    process.durable = number;
                }
            }
            Input::Drain => {
                self.feed(Event::Drain);
            }
        }
    }

    /// True if something was done that may have made more to do.
    pub(super) fn flush(&mut self) -> bool {
        self.tells_of_disk();
        while let Some(batch) = self.process.as_mut().and_then(|p| p.outbox.seal()) {
            self.stores(batch);
        }
        let Some(process) = &mut self.process else { return false };
        process.outbox.durable(process.durable);
        let mut did = false;
        while let Some(session) = self.process.as_mut().and_then(|p| p.outbox.next_dirty()) {
            if let Some(id) = self.process.as_ref().and_then(|p| p.at(session)) {
                self.write(id);
                did = true;
            }
        }
        let commands = self.process.as_mut().map(|p| std::mem::take(&mut p.outbox.commands));
        for command in commands.unwrap_or_default() {
            if let Command::Close { session, cause } = command
                && let Some(id) = self.process.as_ref().and_then(|p| p.at(session))
            {
                let harmless = matches!(cause, CloseCause::Idle | CloseCause::Finished);
                if self.undisturbed && !harmless {
                    self.oracle.closes(cause.text());
                }
                self.close(id);
                did = true;
            }
        }
        did
    }
}

impl World {
    fn tells_of_disk(&mut self) {
        let storage = self.disk.storage();
        let Some(process) = &mut self.process else { return };
        if std::mem::replace(&mut process.storage, storage) != storage {
            self.feed(Event::Storage(storage));
            self.oracle.disk_takes(storage == Storage::Ready);
        }
    }

    /// True if somebody new is let in.
    pub(crate) fn listens(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.leaves_by.is_none())
    }
}

impl Process {
    /// A session for the connection.
    fn seat(&mut self, id: usize) -> SessionId {
        let slot = self.free.pop().unwrap_or(self.generations.len() as u32);
        if slot as usize == self.generations.len() {
            self.generations.push(0);
        }
        self.generations[slot as usize] += 1;
        self.by_slot.insert(slot, id);
        SessionId { slot, generation: self.generations[slot as usize] }
    }

    pub(crate) fn free(&mut self, session: SessionId) {
        self.by_slot.remove(&session.slot);
        self.free.push(session.slot);
    }

    fn at(&self, session: SessionId) -> Option<usize> {
        let is_current = self.generations[session.slot as usize] == session.generation;
        self.by_slot.get(&session.slot).filter(|_| is_current).copied()
    }
}
