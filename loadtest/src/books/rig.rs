//! The loop that gives host and fleet their sockets, their clock and their end.
//!
//! One loop takes events and timers one at a time, so what is written to the transcripts has one
//! order, and nothing is decided by which of two threads was faster.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::pending;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::Books;
use super::action::{Action, Manner, Side, Wake};
use super::dice::Dice;
use super::fleet::{Fleet, Terms};
use super::host::Host;
use super::message::Message;
use super::process::{Process, next_kill_ns};
use super::transcript::{Direction, Transcripts};
use super::verdict::{Verdict, compare};
use super::wire::{self, Event, Wire};
use crate::clock::{NS_PER_S, now_ns, wall_ns};
use crate::failure::Failure;

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) unsent: u64,
    /// Every terminal finished and the host came to rest.
    pub(crate) rested: bool,
    pub(crate) kills: u64,
    pub(crate) recoveries_ns: Vec<u64>,
}

/// Plays both sides until everything has come to rest, and compares.
pub(crate) async fn play(books: &Books) -> Result<Outcome, Failure> {
    let (events, mut inbox) = unbounded_channel();
    let listener = TcpListener::bind(books.partner).await;
    let listener =
        listener.map_err(|error| Failure::of(&format!("listen on {}", books.partner), error))?;
    spawn_local(wire::accept(listener, events.clone()));
    let mut rig = Rig::new(books, events)?;
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
                Some(event) => rig.event(event),
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
    dice: Dice,
    events: UnboundedSender<Event>,
    ends_at_ns: u64,
    healed_at_ns: Option<u64>,
    sales: u64,
    begun_ns: u64,
}

impl<'b> Rig<'b> {
    fn new(books: &'b Books, events: UnboundedSender<Event>) -> Result<Rig<'b>, Failure> {
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
            dice: Dice::new(books.seed ^ 1),
            events,
            ends_at_ns: begun_ns + WARM_UP_NS + books.duration.as_nanos() as u64,
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
    }

    fn plan_kill(&mut self, now_ns: u64) {
        if let (Some(every), Some(_)) = (self.books.kill_every, &self.process) {
            let at_ns = next_kill_ns(now_ns, every.as_nanos() as u64, &mut self.dice);
            self.act(Action::Wake { at_ns, wake: Wake::Kill });
        }
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
            Wake::Kill if now_ns < self.ends_at_ns => {
                if let Some(process) = &mut self.process {
                    process.restart()?;
                }
                self.plan_kill(now_ns);
            }
            Wake::Sale | Wake::Kill => {}
        }
        self.act_all(out);
        Ok(())
    }

    fn event(&mut self, event: Event) {
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
        }
        self.act_all(out);
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
                if let Some(process) = self.process.as_mut().filter(|_| approved) {
                    process.approved(now_ns);
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
        let (kills, recoveries_ns) = self
            .process
            .as_ref()
            .map_or((0, Vec::new()), |process| (process.kills, process.recoveries_ns.clone()));
        Ok(Outcome { verdict, unsent: self.fleet.unsent, rested, kills, recoveries_ns })
    }
}

/// The switch may take so long to find the host.
const WARM_UP_NS: u64 = NS_PER_S;
/// A refused connection is tried again after this.
const RECONNECT_NS: u64 = 10_000_000;
/// The end is looked for this often.
const LOOK_NS: u64 = 10_000_000;
