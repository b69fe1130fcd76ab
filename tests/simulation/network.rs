//! Connections: two pipes with room for so many bytes, in which everything takes its time.

use std::collections::VecDeque;

use authswitch::base::ids::{LinkId, SessionId};
use authswitch::switch::{Command, Event};

use crate::crash::Point;
use crate::faults::Fault;
use crate::wire::{self, Message};
use crate::world::{Input, MS, US, What, World};

/// Who is at the far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// This client, by its first or second connection.
    Client(usize, usize),
    /// This host, likewise.
    Host(usize, usize),
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) end: End,
    /// Who owns its socket, and its handle there.
    pub(crate) worker: usize,
    pub(crate) session: SessionId,
    /// The far end has not given it up.
    pub(crate) alive: bool,
    /// It writes no more.
    finished: bool,
    /// The switch has not.
    pub(crate) open: bool,
    /// To the switch, and from it.
    up: Pipe,
    down: Pipe,
    /// The far end reads.
    reads: bool,
    /// The switch closes it when its last byte is written.
    closing: bool,
    stalled_since: Option<u64>,
    /// Since when the switch has something to write to it.
    pub(crate) waits_since: Option<u64>,
    /// Other workers may send through it; those that were passed a request of it, a bit each.
    pub(crate) lent: bool,
    pub(crate) guest_of: u8,
    /// What the switch left of what it read.
    rest: Vec<u8>,
}

#[derive(Debug, Default)]
struct Pipe {
    transit: VecDeque<Piece>,
    last_at: u64,
    arrived: Vec<u8>,
    used: usize,
    /// What has passed of a frame that has not passed whole.
    seen: Vec<u8>,
    /// What passes is no stream of frames any more.
    broken: bool,
}

#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    Fin,
}

impl Connection {
    pub(crate) fn new(end: End, (worker, session): (usize, SessionId), now: u64) -> Self {
        Self {
            end,
            worker,
            session,
            alive: true,
            finished: false,
            open: true,
            up: Pipe { last_at: now, ..Pipe::default() },
            down: Pipe { last_at: now, ..Pipe::default() },
            reads: true,
            closing: false,
            stalled_since: None,
            waits_since: None,
            lent: false,
            guest_of: 0,
            rest: Vec::new(),
        }
    }

    /// Bytes wait for the far end to take some.
    pub(crate) const fn is_stalled(&self) -> bool {
        self.open && self.stalled_since.is_some()
    }

    pub(crate) fn link(&self) -> LinkId {
        match self.end {
            End::Client(..) => LinkId(0),
            End::Host(host, _) => LinkId(1 + host as u16),
        }
    }
}

/// Bytes that fit into a pipe: few, so that readers who stop are felt.
const PIPE_BYTES: usize = 2048;

/// From the kernel taking no byte to the switch giving the connection up.
pub(crate) const WRITE_DEADLINE: u64 = 5000 * MS;

impl World {
    /// The far end writes.
    pub(crate) fn send(&mut self, id: usize, mut bytes: &[u8]) {
        if self.connections[id].finished {
            return;
        }
        self.trace("sends", id, bytes);
        while !bytes.is_empty() {
            let mut count = bytes.len();
            if self.faults.strike(Fault::Sliced, &mut self.dice) {
                count = self.dice.between(1, bytes.len() as u64) as usize;
            }
            let (piece, rest) = bytes.split_at(count);
            bytes = rest;
            self.push_up(id, Piece::Bytes(piece.to_vec()));
        }
    }

    /// The far end will write no more.
    pub(crate) fn send_fin(&mut self, id: usize) {
        self.trace("fin", id, b"");
        self.push_up(id, Piece::Fin);
        self.connections[id].finished = true;
        if let End::Client(client, place) = self.connections[id].end {
            self.client_finishes(client, place, id);
        }
    }

    fn push_up(&mut self, id: usize, piece: Piece) {
        if !self.connections[id].alive {
            return;
        }
        let delay = self.delay();
        let now = self.now;
        let pipe = &mut self.connections[id].up;
        pipe.last_at = pipe.last_at.max(now + delay);
        pipe.transit.push_back(piece);
        let at = pipe.last_at;
        self.at(at, What::ArrivesUp(id));
    }

    fn push_down(&mut self, id: usize, piece: Piece) {
        let delay = self.delay();
        let now = self.now;
        let pipe = &mut self.connections[id].down;
        pipe.last_at = pipe.last_at.max(now + delay);
        pipe.transit.push_back(piece);
        let at = pipe.last_at;
        self.at(at, What::ArrivesDown(id));
    }

    pub(crate) fn delay(&mut self) -> u64 {
        if self.faults.strike(Fault::SlowLink, &mut self.dice) {
            return self.dice.between(1, 900) * MS;
        }
        self.dice.between(20, 300) * US
    }

    pub(crate) fn arrives_up(&mut self, id: usize) {
        let connection = &mut self.connections[id];
        let Some(piece) = connection.up.transit.pop_front() else { return };
        if connection.open {
            self.input_of(
                id,
                match piece {
                    Piece::Bytes(bytes) => Input::Bytes(id, bytes),
                    Piece::Fin => Input::Ended(id),
                },
            );
        }
    }

    pub(crate) fn arrives_down(&mut self, id: usize) {
        let connection = &mut self.connections[id];
        let Some(piece) = connection.down.transit.pop_front() else { return };
        if !connection.alive {
            return;
        }
        match piece {
            Piece::Bytes(bytes) => {
                connection.down.arrived.extend(bytes);
                self.far_end_reads(id);
            }
            Piece::Fin => self.far_end_lost(id),
        }
    }

    /// The far end takes what has arrived, unless it does not read at present.
    fn far_end_reads(&mut self, id: usize) {
        let connection = &mut self.connections[id];
        if !connection.reads {
            return;
        }
        let pipe = &mut connection.down;
        let mut messages = Vec::new();
        let mut taken = 0;
        while let Ok(Some((message, bytes))) = Message::decode(&pipe.arrived[taken..]) {
            messages.push(message);
            taken += bytes;
        }
        pipe.arrived.drain(..taken);
        // The beginning of a frame is in the reader's own memory.
        let room = pipe.used - pipe.transit.iter().map(Piece::bytes).sum::<usize>();
        pipe.used -= room;
        if room > 0 && connection.stalled_since.is_some() {
            self.input_of(id, Input::Writable(id));
        }
        let end = self.connections[id].end;
        for message in messages {
            if !self.connections[id].alive {
                return;
            }
            match end {
                End::Client(client, _) => self.client_reads(client, id, &message),
                End::Host(host, _) => self.host_reads(host, id, message),
            }
        }
    }

    pub(crate) fn stops_reading(&mut self, id: usize) {
        self.connections[id].reads = false;
        let pause = self.dice.between(100, 8000) * MS;
        self.at(self.now + pause, What::ReadsOn(id));
    }

    pub(crate) fn reads_on(&mut self, id: usize) {
        let connection = &mut self.connections[id];
        connection.reads = true;
        if connection.alive {
            self.far_end_reads(id);
        }
    }

    /// The connection breaks: what is under way may be lost, the switch hears of it later.
    pub(crate) fn reset(&mut self, id: usize) {
        if !self.connections[id].alive {
            return;
        }
        self.trace("reset", id, b"");
        let (loses, delay) = (self.dice.chance(500), self.delay());
        let now = self.now;
        let connection = &mut self.connections[id];
        if loses {
            connection.up.transit.clear();
        }
        let at = connection.up.last_at.max(now + delay);
        self.at(at, What::Gone(id));
        self.far_end_lost(id);
    }

    /// The process is gone: its kernel delivers what it has taken, or does not.
    pub(crate) fn orphan(&mut self, id: usize, delivers: bool) {
        let connection = &mut self.connections[id];
        if !std::mem::replace(&mut connection.open, false) {
            return;
        }
        connection.up.transit.clear();
        self.oracle.ends(id);
        if delivers {
            self.push_down(id, Piece::Fin);
        } else {
            self.far_end_lost(id);
        }
    }

    fn far_end_lost(&mut self, id: usize) {
        let connection = &mut self.connections[id];
        if std::mem::replace(&mut connection.alive, false) {
            connection.down.transit.clear();
            match connection.end {
                End::Client(client, place) => self.client_lost(client, place, id),
                End::Host(host, place) => self.host_lost(host, place, id),
            }
        }
    }

    /// Hands what came to the switch.
    pub(crate) fn receive(&mut self, id: usize, bytes: &[u8]) {
        let connection = &mut self.connections[id];
        if !connection.open || connection.closing {
            return;
        }
        let is_host = matches!(connection.end, End::Host(..));
        let (worker, session) = (connection.worker, connection.session);
        let mut all = std::mem::take(&mut connection.rest);
        all.extend_from_slice(bytes);
        let messages = connection.up.pass(bytes);
        // What comes behind what it is closed for is not read.
        let is_close = |command: &Command| match command {
            Command::Close { session: closed, .. } => *closed == session,
            Command::Share { .. } | Command::Note { .. } => false,
        };
        let closes = self.outbox_of(id).is_some_and(|outbox| outbox.commands.iter().any(is_close));
        for message in messages.iter().filter(|_| !closes) {
            if is_host {
                self.oracle.read_answer(message);
            } else {
                self.oracle.read_request(id, message);
            }
        }
        let taken = self.feed(worker, Event::Received { session, bytes: &all });
        all.drain(..taken);
        self.connections[id].rest = all;
    }

    pub(crate) fn end(&mut self, id: usize) {
        if self.connections[id].open && !self.connections[id].closing {
            self.tell_guests(id, false);
            let Connection { worker, session, .. } = self.connections[id];
            self.feed(worker, Event::Ended { session });
        }
    }

    /// The switch's kernel takes what it takes.
    pub(crate) fn write(&mut self, id: usize) {
        let connection = &self.connections[id];
        if !connection.open {
            return;
        }
        let session = connection.session;
        let room = PIPE_BYTES.saturating_sub(connection.down.used);
        let Some(outbox) = self.outbox_of(id) else { return };
        let bytes = outbox.unwritten(session);
        if bytes.is_empty() {
            if outbox.backlog_bytes(session) == 0 {
                self.written(id);
            }
            return;
        }
        let mut count = bytes.len().min(room);
        if count > 0 && self.point(Point::Send) {
            return;
        }
        let cut = count > 0 && self.faults.strike(Fault::ShortWrite, &mut self.dice);
        let breaks = count > 0 && self.faults.strike(Fault::ResetInFrame, &mut self.dice);
        if cut || breaks {
            count = self.dice.below(count as u64) as usize;
        }
        let Some(outbox) = self.outbox_of(id) else { return };
        let bytes = outbox.unwritten(session);
        let (all, taken) = (bytes.to_vec(), bytes[..count].to_vec());
        self.watch(id, &all, count);
        self.trace("writes", id, &taken);
        let Some(outbox) = self.outbox_of(id) else { return };
        outbox.wrote(session, count);
        let is_empty = outbox.backlog_bytes(session) == 0;
        let connection = &mut self.connections[id];
        if connection.alive && count > 0 {
            connection.down.used += count;
            self.push_down(id, Piece::Bytes(taken));
        }
        if count > 0 && self.point(Point::Sent) {
            return;
        }
        if breaks {
            self.reset(id);
        } else if is_empty {
            self.written(id);
        } else if count < all.len() {
            self.stalls(id, cut);
        }
    }

    fn written(&mut self, id: usize) {
        let connection = &mut self.connections[id];
        connection.stalled_since = None;
        if connection.closing {
            self.lose(id);
        }
    }

    fn stalls(&mut self, id: usize, cut: bool) {
        let now = self.now;
        if cut {
            let soon = now + self.dice.between(1, 2000) * US;
            self.at(soon, What::HasRoom(id));
        }
        self.connections[id].stalled_since = Some(now);
        self.at(now + WRITE_DEADLINE, What::Stalled(id, now));
    }

    pub(crate) fn stalled(&mut self, id: usize, since: u64) {
        if self.connections[id].stalled_since == Some(since) && self.connections[id].open {
            self.input_of(id, Input::Lost(id));
        }
    }

    /// Shows the judge which frames begin and end in the first `count` of the bytes to be written.
    fn watch(&mut self, id: usize, all: &[u8], count: usize) {
        let since = self.inside_since(id);
        let connection = &mut self.connections[id];
        let end = connection.end;
        let mut bytes = std::mem::take(&mut connection.down.seen);
        let (mut begun, mut at) = (!bytes.is_empty(), 0);
        let passed = bytes.len() + count;
        bytes.extend_from_slice(all);
        while at < passed {
            let Some(length) = wire::frame_bytes(&bytes[at..]) else { break };
            let message = match Message::decode(&bytes[at..]) {
                Ok(Some((message, _))) => message,
                other => panic!("the switch writes what nobody reads: {other:?}"),
            };
            match end {
                End::Client(..) if !begun => self.oracle.begins_answer(&message),
                End::Host(host, _) if !begun => {
                    let frame = &bytes[at..at + length];
                    self.oracle.begins_request(host, &message, frame, since);
                }
                _ => {}
            }
            if at + length > passed {
                break;
            }
            if matches!(end, End::Client(..)) {
                self.oracle.hands(id, &message, since);
            }
            (begun, at) = (false, at + length);
        }
        bytes.truncate(passed);
        bytes.drain(..at);
        self.connections[id].down.seen = bytes;
    }

    /// The switch wants it closed when all is written.
    pub(crate) fn close(&mut self, id: usize) {
        self.connections[id].closing = true;
        let session = self.connections[id].session;
        let backlog = self.outbox_of(id).map_or(0, |outbox| outbox.backlog_bytes(session));
        if backlog == 0 {
            self.lose(id);
        } else {
            self.connections[id].stalled_since = Some(self.now);
            self.at(self.now + WRITE_DEADLINE, What::Stalled(id, self.now));
        }
    }

    /// The switch's side is gone.
    pub(crate) fn lose(&mut self, id: usize) {
        if !self.connections[id].open {
            return;
        }
        self.tell_guests(id, true);
        self.connections[id].open = false;
        self.trace("gone", id, b"");
        self.oracle.ends(id);
        self.forgets(id);
        self.connections[id].up.transit.clear();
        if self.connections[id].alive {
            self.push_down(id, Piece::Fin);
        }
    }
}

impl Piece {
    fn bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Fin => 0,
        }
    }
}

impl Pipe {
    /// Whole messages that end in `bytes`; what makes no sense is passed over.
    fn pass(&mut self, bytes: &[u8]) -> Vec<Message> {
        let mut messages = Vec::new();
        if self.broken {
            return messages;
        }
        self.seen.extend_from_slice(bytes);
        while let Some(length) = wire::frame_bytes(&self.seen) {
            if length < 14 {
                self.broken = true;
                break;
            }
            if let Ok(Some((message, _))) = Message::decode(&self.seen) {
                messages.push(message);
            }
            self.seen.drain(..length);
        }
        messages
    }
}
