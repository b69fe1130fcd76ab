//! The loop that gives host and fleet their sockets, their clock and their end.
//!
//! One loop takes events and timers one at a time, so what is written to the transcripts has one
//! order, and nothing is decided by which of two threads was faster.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::action::{Action, Manner, Side, Wake};
use super::dice::Dice;
use super::disk::Disk;
use super::fleet::{Fleet, Terms};
use super::host::Host;
use super::message::Message;
use super::process::{Down, Process, Tally, taken_down};
use super::transcript::{Direction, Transcripts};
use super::verdict::{Verdict, compare};
use super::wire::{self, Event, Wire};
use super::{Books, Span};
use crate::clock::{NS_PER_S, now_ns, wall_ns};
use crate::failure::Failure;
use crate::report::say;

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) unsent: u64,
    /// Every terminal finished and the host came to rest.
    pub(crate) rested: bool,
    pub(crate) played_ns: u64,
    /// What was done to the switch, if it was started here.
    pub(crate) tally: Tally,
}

/// Plays both sides until everything has come to rest, and compares. The switch keeps what it
/// keeps on `disk`, if there is one.
pub(crate) async fn play(books: &Books, disk: Option<Arc<Disk>>) -> Result<Outcome, Failure> {
    let (events, mut inbox) = unbounded_channel();
    let listener = TcpListener::bind(books.partner).await;
    let listener =
        listener.map_err(|error| Failure::of(&format!("listen on {}", books.partner), error))?;
    spawn_local(wire::accept(listener, events.clone()));
    let mut rig = Rig::new(books, disk, events)?;
    rig.begin();
    let mut rested = true;
    loop {
        let now_ns = now_ns();
        if now_ns >= rig.ends_at_ns {
            rig.heal();
            if rig.rests(now_ns) {
                break;
            }
            if now_ns >= rig.ends_at_ns + books.quiesce.as_nanos() as u64 {
                rested = false;
                break;
            }
        }
        rig.timers(now_ns)?;
        let due_ns = rig.due_ns().min(now_ns + LOOK_NS);
        tokio::select! {
            biased;
            event = inbox.recv() => match event {
                Some(event) => rig.event(event)?,
                None => pending().await,
            },
            () = sleep(Duration::from_nanos(due_ns.saturating_sub(now_ns))) => {}
        }
    }
    rig.finish(rested)
}

struct Rig<'b> {
    books: &'b Books,
    host: Host,
    fleet: Fleet,
    wires: BTreeMap<(bool, u64), Wire>,
    connections: u64,
    /// By time, then by order of asking.
    timers: BinaryHeap<Reverse<(u64, u64)>>,
    wakes: BTreeMap<u64, Wake>,
    asked: u64,
    transcripts: Transcripts,
    process: Option<Process>,
    disk: Option<Arc<Disk>>,
    /// Counts the plans to kill it.
    plans: u64,
    dice: Dice,
    events: UnboundedSender<Event>,
    ends_at_ns: u64,
    healed_at_ns: Option<u64>,
    sales: u64,
    begun_ns: u64,
}

impl<'b> Rig<'b> {
    fn new(
        books: &'b Books,
        disk: Option<Arc<Disk>>,
        events: UnboundedSender<Event>,
    ) -> Result<Rig<'b>, Failure> {
        let deadline_ns = books.deadline.as_nanos() as u64;
        let terms = Terms {
            terminals: books.terminals,
            connections: books.connections,
            timer_ns: deadline_ns * 2 + NS_PER_S / 2,
            faults: books.faults.clone(),
            seed: books.seed,
        };
        let transcripts = Transcripts::create(books.transcript_dir.as_deref())?;
        let serve = books.serve.as_deref();
        let start = |command| Process::start(command, books.transcript_dir.as_deref());
        let process = serve.map(start).transpose()?;
        let begun_ns = now_ns();
        Ok(Rig {
            books,
            host: Host::new(books.faults.clone(), books.seed, deadline_ns),
            fleet: Fleet::new(terms),
            wires: BTreeMap::new(),
            connections: 0,
            timers: BinaryHeap::new(),
            wakes: BTreeMap::new(),
            asked: 0,
            transcripts,
            process,
            disk,
            plans: 0,
            dice: Dice::new(books.seed ^ 1),
            events,
            ends_at_ns: match books.span {
                Span::Time(length) => begun_ns + WARM_UP_NS + length.as_nanos() as u64,
                Span::Kills(_) => u64::MAX,
            },
            healed_at_ns: None,
            sales: 0,
            begun_ns,
        })
    }

    /// Connects; the first sale waits until the switch has found the host.
    fn begin(&mut self) {
        for slot in 0..self.books.connections {
            self.act(Action::Connect { slot });
        }
        let at_ns = self.begun_ns + WARM_UP_NS;
        self.act(Action::Wake { at_ns, wake: Wake::Sale });
        self.plan_kill(at_ns);
        self.plan_freeze(at_ns);
    }

    /// The switch approves: from now on the time to the next kill counts, or to the end.
    fn plan_kill(&mut self, now_ns: u64) {
        if let Some(every) = self.books.kill_every {
            let every_ns = every.as_nanos() as u64;
            if self.is_killed_enough() {
                self.ends_at_ns = self.ends_at_ns.min(now_ns + every_ns);
                return;
            }
            let at_ns = now_ns + every_ns / 2 + self.dice.below(every_ns);
            self.kill_at(at_ns);
        }
    }

    fn is_killed_enough(&self) -> bool {
        let kills = self.process.as_ref().map_or(0, |process| process.tally.kills);
        matches!(self.books.span, Span::Kills(most) if kills >= most)
    }

    fn kill_at(&mut self, at_ns: u64) {
        self.plans += 1;
        self.act(Action::Wake { at_ns, wake: Wake::Kill { plan: self.plans } });
    }

    fn plan_freeze(&mut self, now_ns: u64) {
        if let Some(every) = self.books.freeze_every {
            let every_ns = every.as_nanos() as u64;
            let at_ns = now_ns + every_ns / 2 + self.dice.below(every_ns);
            self.act(Action::Wake { at_ns, wake: Wake::Freeze });
        }
    }

    /// Takes the switch down; an event says when it may be started again.
    fn kill(&mut self) {
        let Some(life) = self.process.as_mut().and_then(Process::give_up) else { return };
        // Every other time it has none.
        let grace = Duration::from_nanos(self.dice.below(2) * self.dice.below(GRACE_NS));
        let (disk, events) = (self.disk.clone(), self.events.clone());
        spawn_local(async move {
            let down = taken_down(life, disk, grace).await;
            let _ = events.send(Event::Down(down));
        });
    }

    fn revive(&mut self, now_ns: u64, down: Down) -> Result<(), Failure> {
        let Some(process) = &mut self.process else { return Ok(()) };
        process.restart(down)?;
        let kills = process.tally.kills;
        if kills.is_multiple_of(TOLD_KILLS) {
            say(&format!("{kills} kills, {} sales", self.sales));
        }
        if self.is_killed_enough() {
            self.ends_at_ns = now_ns + PATIENCE_NS;
        } else if self.dice.below(8) == 0 {
            // It may still be reading its journal.
            let early_ns = self.dice.below(EARLY_NS);
            self.kill_at(now_ns + early_ns);
        } else {
            self.kill_at(now_ns + PATIENCE_NS);
        }
        Ok(())
    }

    fn freeze(&mut self, now_ns: u64) {
        if let Some(process) = &mut self.process {
            process.freeze();
        }
        let at_ns = now_ns + NS_PER_S + self.dice.below(FREEZE_NS_MAX - NS_PER_S);
        self.act(Action::Wake { at_ns, wake: Wake::Thaw });
    }

    fn thaw(&mut self, now_ns: u64) {
        if let Some(process) = &self.process {
            process.thaw();
        }
        self.plan_freeze(now_ns);
    }

    /// No more sales, kills and faults.
    fn heal(&mut self) {
        self.healed_at_ns.get_or_insert_with(now_ns);
        (self.host.healed, self.fleet.healed) = (true, true);
    }

    /// Whether all terminals know, and the host has seen no reversal for a while.
    fn rests(&self, now_ns: u64) -> bool {
        let quiet_since_ns = self.host.reversal_at_ns.max(self.healed_at_ns.unwrap_or(now_ns));
        self.fleet.open() == 0 && now_ns >= quiet_since_ns + self.books.rest.as_nanos() as u64
    }

    fn due_ns(&self) -> u64 {
        self.timers.peek().map_or(u64::MAX, |Reverse((at_ns, _))| *at_ns)
    }

    /// Everything that is due.
    fn timers(&mut self, now_ns: u64) -> Result<(), Failure> {
        if let Some(failure) = self.process.as_mut().and_then(Process::ended) {
            return Err(failure);
        }
        while self.due_ns() <= now_ns {
            let Some(Reverse((_, number))) = self.timers.pop() else { break };
            if let Some(wake) = self.wakes.remove(&number) {
                self.wake(now_ns, wake)?;
            }
        }
        Ok(())
    }

    fn wake(&mut self, now_ns: u64, wake: Wake) -> Result<(), Failure> {
        let mut out = Vec::new();
        match wake {
            Wake::Answer { connection, message, manner } => {
                let side = Side::Partner;
                out.push(Action::Send { side, connection, message, manner });
            }
            // What a host had put aside for a connection is forgotten with it.
            Wake::Book { connection, request } => {
                if self.wires.contains_key(&(true, connection)) {
                    self.host.book(connection, &request, &mut out);
                }
            }
            Wake::Terminal { sale, step } => self.fleet.timer(now_ns, sale, step, &mut out),
            Wake::Connect { slot } => out.push(Action::Connect { slot }),
            Wake::Sale if now_ns < self.ends_at_ns => {
                self.fleet.sell(now_ns, wall_ns(), &mut out);
                self.sales += 1;
                let at_ns = self.begun_ns
                    + WARM_UP_NS
                    + (self.sales as u128 * u128::from(NS_PER_S)
                        / u128::from(self.books.rate_per_s)) as u64;
                out.push(Action::Wake { at_ns, wake: Wake::Sale });
            }
            Wake::Kill { plan } if now_ns < self.ends_at_ns && plan == self.plans => self.kill(),
            Wake::Freeze if now_ns < self.ends_at_ns => self.freeze(now_ns),
            Wake::Thaw => self.thaw(now_ns),
            Wake::Sale | Wake::Kill { .. } | Wake::Freeze => {}
        }
        self.act_all(out);
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<(), Failure> {
        let now_ns = now_ns();
        let mut out = Vec::new();
        match event {
            Event::Accepted(stream) => {
                self.open(stream, Side::Partner);
            }
            Event::Connected { slot, stream: Some(stream) } => {
                let connection = self.open(stream, Side::Acquirer);
                self.fleet.connected(slot, connection);
            }
            Event::Connected { slot, stream: None } => {
                let at_ns = now_ns + RECONNECT_NS;
                out.push(Action::Wake { at_ns, wake: Wake::Connect { slot } });
            }
            Event::Frame { side, connection, bytes } => {
                self.frame(now_ns, side, connection, &bytes, &mut out);
            }
            Event::Closed { side, connection } => {
                if self.forget(side, connection).is_some() && side == Side::Acquirer {
                    self.fleet.closed(now_ns, connection, &mut out);
                }
            }
            Event::Down(down) => self.revive(now_ns, down?)?,
        }
        self.act_all(out);
        Ok(())
    }

    fn frame(
        &mut self,
        now_ns: u64,
        side: Side,
        connection: u64,
        bytes: &[u8],
        out: &mut Vec<Action>,
    ) {
        // What arrives after we have hung up is seen by nobody.
        if !self.wires.contains_key(&(side == Side::Partner, connection)) {
            return;
        }
        let Some(message) = Message::decode(bytes) else {
            return out.push(Action::Reset { side, connection });
        };
        self.transcripts.message(side, connection, Direction::FromSwitch, &message);
        match side {
            Side::Partner => self.host.message(now_ns, connection, message, out),
            Side::Acquirer => {
                let approved = self.fleet.message(connection, &message);
                if let Some(process) = self.process.as_mut().filter(|_| approved)
                    && process.approved(now_ns)
                {
                    self.plan_kill(now_ns);
                }
            }
        }
    }

    fn open(&mut self, stream: tokio::net::TcpStream, side: Side) -> u64 {
        self.connections += 1;
        let connection = self.connections;
        let wire = Wire::new(stream, side, connection, self.events.clone());
        self.wires.insert((side == Side::Partner, connection), wire);
        self.transcripts.open(side, connection);
        connection
    }

    /// Nothing more is read from or written to this connection.
    fn forget(&mut self, side: Side, connection: u64) -> Option<Wire> {
        let wire = self.wires.remove(&(side == Side::Partner, connection))?;
        self.transcripts.close(side, connection);
        Some(wire)
    }

    fn act_all(&mut self, actions: Vec<Action>) {
        actions.into_iter().for_each(|action| self.act(action));
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Send { side, connection, message, manner } => {
                self.send(side, connection, &message, manner);
            }
            Action::Close { side, connection } => {
                if let Some(wire) = self.forget(side, connection) {
                    wire.close();
                }
            }
            Action::Reset { side, connection } => {
                if let Some(wire) = self.forget(side, connection) {
                    wire.reset();
                }
            }
            Action::Connect { slot } => {
                wire::connect(self.books.acquirer, slot, self.events.clone());
            }
            Action::Wake { at_ns, wake } => {
                self.asked += 1;
                self.timers.push(Reverse((at_ns, self.asked)));
                self.wakes.insert(self.asked, wake);
            }
        }
    }

    fn send(&mut self, side: Side, connection: u64, message: &Message, manner: Manner) {
        let Some(wire) = self.wires.get(&(side == Side::Partner, connection)) else { return };
        let bytes = message.encode();
        match manner {
            Manner::Whole => wire.write(bytes),
            Manner::WithNext => wire.hold(bytes),
            Manner::Pieces => wire.write_in_pieces(bytes),
            Manner::HalfThenReset => {
                wire.write_half(bytes);
                self.forget(side, connection);
                return;
            }
        }
        self.transcripts.message(side, connection, Direction::ToSwitch, message);
    }

    fn finish(self, rested: bool) -> Result<Outcome, Failure> {
        self.transcripts.finish()?;
        let breaches: Vec<_> =
            self.fleet.breaches.iter().chain(&self.host.ledger.breaches).collect();
        let verdict = compare(&self.fleet.sales, &self.host.ledger.entries, &breaches);
        let tally = self.process.map(|process| process.tally.clone()).unwrap_or_default();
        let (unsent, played_ns) = (self.fleet.unsent, now_ns() - self.begun_ns);
        Ok(Outcome { verdict, unsent, rested, played_ns, tally })
    }
}

/// The switch may take so long to find the host.
const WARM_UP_NS: u64 = NS_PER_S;
/// A refused connection is tried again after this.
const RECONNECT_NS: u64 = 10_000_000;
/// After a power cut the switch has up to this long to notice it before it is killed.
const GRACE_NS: u64 = 40_000_000;
/// It is frozen for one second, or up to this.
const FREEZE_NS_MAX: u64 = 5 * NS_PER_S;
/// A restart takes about so long.
const EARLY_NS: u64 = 300_000_000;
/// A switch that has approved nothing for so long after its restart is killed all the same.
const PATIENCE_NS: u64 = 30 * NS_PER_S;
/// So many kills are worth a line.
const TOLD_KILLS: u64 = 50;
/// The end is looked for this often.
const LOOK_NS: u64 = 10_000_000;
