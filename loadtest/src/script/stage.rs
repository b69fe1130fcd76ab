//! Everybody around the switch: partners that listen, connections of acquirers, and what they hear.
//!
//! Each connection has a thread that cuts frames and passes them on; one thread, the player's,
//! decides and writes. So nothing is shared, and what happened is a list in one order.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::scenario::{Act, Conduct};
use super::switch::Peer;
use super::tongue::Tongue;
use crate::books::message::Message;
use crate::clock::now_ns;
use crate::frame::whole;

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// The switch called a partner.
    Called {
        partner: usize,
        stream: TcpStream,
    },
    /// A whole frame came in.
    Frame {
        connection: usize,
        bytes: Vec<u8>,
    },
    /// The switch closed a connection.
    Closed {
        connection: usize,
    },
    /// A line of the switch's standard output, and of its standard error.
    Said(String),
    Complained(String),
}

/// Everybody but the switch.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) events: Sender<Event>,
    happened: Receiver<Event>,
    /// Partners, then acquirers.
    pub(crate) parties: Vec<Party>,
    connections: Vec<Connection>,
    /// Answers of partners that wait for their time, by it and a number.
    due: BTreeMap<(u64, u64), Due>,
    counted: u64,
    /// Requests that came, and answers, until they are taken.
    pub(crate) reached: Vec<Reached>,
    pub(crate) heard: Vec<Heard>,
    /// What the switch said.
    pub(crate) said: Vec<String>,
    pub(crate) complaints: Vec<String>,
}

/// A partner or an acquirer of the configuration.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) name: String,
    pub(crate) is_partner: bool,
    pub(crate) tongue: Tongue,
    pub(crate) sessions: usize,
    sign_on: bool,
    /// Connections that the switch made, or on which it signed on if it does that, since it last
    /// listened.
    pub(crate) up: usize,
    pub(crate) address: SocketAddr,
    listener: Option<TcpListener>,
    /// What it does with what comes now.
    pub(crate) conduct: Conduct,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    party: usize,
    is_open: bool,
}

#[derive(Debug)]
struct Due {
    connection: usize,
    bytes: Vec<u8>,
    act: Act,
}

/// A request that reached a partner, or an acquirer.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    pub(crate) party: usize,
    pub(crate) message: Message,
}

/// An answer that came to whoever asks; no message if an acquirer's connection was closed or what
/// came cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) connection: usize,
    pub(crate) at_ns: u64,
    pub(crate) message: Option<Message>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Threads that read or accept end with what they wait for.
        self.parties.iter_mut().for_each(Party::hang_up);
        for connection in &self.connections {
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }
}

impl Stage {
    /// Partners that listen on free ports, and acquirers.
    pub(crate) fn new(peers: &[Peer]) -> Result<Stage, String> {
        let (events, happened) = channel();
        let mut stage = Stage {
            events,
            happened,
            parties: Vec::new(),
            connections: Vec::new(),
            due: BTreeMap::new(),
            counted: 0,
            reached: Vec::new(),
            heard: Vec::new(),
            said: Vec::new(),
            complaints: Vec::new(),
        };
        let (partners, acquirers) = (peers.iter().filter(|it| it.is_partner), peers.iter());
        for peer in partners.chain(acquirers.filter(|it| !it.is_partner)) {
            stage.parties.push(Party {
                name: peer.name.clone(),
                is_partner: peer.is_partner,
                tongue: peer.tongue,
                sessions: peer.sessions,
                sign_on: peer.sign_on,
                up: 0,
                address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                listener: None,
                conduct: Conduct::default(),
            });
            if peer.is_partner {
                stage.open(stage.parties.len() - 1)?;
            }
        }
        Ok(stage)
    }

    /// Who is called this.
    pub(crate) fn party(&self, name: &str) -> Result<usize, String> {
        let place = self.parties.iter().position(|party| party.name == name);
        place.ok_or_else(|| format!("nobody in the configuration is called {name:?}"))
    }

    /// All partners.
    pub(crate) fn partners(&self) -> impl Iterator<Item = &Party> {
        self.parties.iter().filter(|party| party.is_partner)
    }

    /// Lets a partner listen, where it did before.
    pub(crate) fn open(&mut self, partner: usize) -> Result<(), String> {
        let it = &mut self.parties[partner];
        let (name, address) = (it.name.clone(), it.address);
        let failed = |error| format!("{name} cannot listen at {address}: {error}");
        let listener = TcpListener::bind(it.address).map_err(failed)?;
        it.address = listener.local_addr().map_err(failed)?;
        let (own, events) = (listener.try_clone().map_err(failed)?, self.events.clone());
        it.listener = Some(own);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if events.send(Event::Called { partner, stream }).is_err() {
                    return;
                }
            }
        });
        Ok(())
    }

    /// Lets a partner close everything and refuse what comes.
    pub(crate) fn close(&mut self, partner: usize) {
        self.parties[partner].hang_up();
        let mine = self.connections.iter_mut().filter(|it| it.party == partner);
        for connection in mine {
            connection.is_open = false;
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }

    /// A new connection of an acquirer.
    pub(crate) fn call(&mut self, acquirer: usize) -> Result<usize, String> {
        let address = self.parties[acquirer].address;
        let stream = TcpStream::connect(address)
            .map_err(|error| format!("the switch is not at {address}: {error}"))?;
        self.add(stream, acquirer)
    }

    /// The connection that the switch made to a partner last.
    pub(crate) fn last_of(&self, partner: usize) -> Option<usize> {
        self.connections.iter().rposition(|it| it.party == partner && it.is_open)
    }

    fn add(&mut self, stream: TcpStream, party: usize) -> Result<usize, String> {
        let failed = |error| format!("a connection cannot be used: {error}");
        stream.set_nodelay(true).map_err(failed)?;
        let (mut input, events) = (stream.try_clone().map_err(failed)?, self.events.clone());
        let connection = self.connections.len();
        self.connections.push(Connection { stream, party, is_open: true });
        thread::spawn(move || {
            let (mut bytes, mut chunk) = (Vec::new(), vec![0; CHUNK_BYTES]);
            while let Ok(read @ 1..) = input.read(&mut chunk) {
                bytes.extend_from_slice(&chunk[..read]);
                let mut at = 0;
                while let Some(size) = whole(&bytes, at) {
                    let frame = bytes[at..at + size].to_vec();
                    let _ = events.send(Event::Frame { connection, bytes: frame });
                    at += size;
                }
                bytes.drain(..at);
            }
            let _ = events.send(Event::Closed { connection });
        });
        Ok(connection)
    }

    /// Sends bytes over a connection; what it does with them shows in what is heard.
    pub(crate) fn write(&mut self, connection: usize, bytes: &[u8]) {
        // A connection that the switch has closed says so as an event.
        let _ = self.connections[connection].stream.write_all(bytes);
    }

    /// Lets things happen until `done` says so or the time has come; true in the first case.
    pub(crate) fn run(&mut self, until_ns: u64, mut done: impl FnMut(&Stage) -> bool) -> bool {
        loop {
            let now = now_ns();
            self.answer_due(now);
            if done(self) {
                return true;
            }
            if now >= until_ns {
                return false;
            }
            let next = self.due.keys().next().map_or(until_ns, |(at_ns, _)| *at_ns);
            let time = Duration::from_nanos(next.min(until_ns).saturating_sub(now)).min(LOOK_EVERY);
            match self.happened.recv_timeout(time) {
                Ok(event) => self.take(event),
                // The stage itself holds a sender.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            while let Ok(event) = self.happened.try_recv() {
                self.take(event);
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Called { partner, stream } => {
                let it = &mut self.parties[partner];
                if it.listener.is_some() {
                    it.up += usize::from(!it.sign_on);
                    // One that cannot be used is as good as one that was refused.
                    let _ = self.add(stream, partner);
                }
            }
            Event::Frame { connection, bytes } => self.frame(connection, &bytes),
            Event::Closed { connection } => {
                let it = &mut self.connections[connection];
                let was_open = std::mem::take(&mut it.is_open);
                if was_open && !self.parties[it.party].is_partner {
                    self.heard.push(Heard { connection, at_ns: now_ns(), message: None });
                }
            }
            Event::Said(line) => self.said.push(line),
            Event::Complained(line) => self.complaints.push(line),
        }
    }

    fn frame(&mut self, connection: usize, bytes: &[u8]) {
        let party = self.connections[connection].party;
        let it = &self.parties[party];
        match it.tongue.decode(bytes) {
            Some(message) if !message.is_answer() => self.reach(party, connection, message),
            None if it.is_partner => {
                // It counts as a message nobody expects.
                self.reached.push(Reached { party, message: Message::new(0) });
            }
            message => self.heard.push(Heard { connection, at_ns: now_ns(), message }),
        }
    }

    /// What somebody does with a request: what they are told, but network management and reversals
    /// are accepted always.
    fn reach(&mut self, party: usize, connection: usize, message: Message) {
        let it = &mut self.parties[party];
        it.up += usize::from(message.class() == 8 && message.of(70) == "001");
        let (conduct, tongue) = (&it.conduct, it.tongue);
        let (act, delay, more) = match message.class() {
            1 | 2 => (conduct.act.clone(), conduct.delay, Some(&conduct.more)),
            _ => (Act::Answer("00".to_owned()), Duration::ZERO, None),
        };
        let mut answer = message.answer(if let Act::Answer(code) = &act { code } else { "00" });
        answer.fields.extend(more.into_iter().flatten().map(|(de, value)| (*de, value.clone())));
        let bytes = tongue.encode(&answer);
        if message.class() != 8 {
            self.reached.push(Reached { party, message });
        }
        self.counted += 1;
        let at = (now_ns() + delay.as_nanos() as u64, self.counted);
        self.due.insert(at, Due { connection, bytes, act });
    }

    fn answer_due(&mut self, now: u64) {
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= now) {
            let Due { connection, bytes, act } = entry.remove();
            let stream = &mut self.connections[connection].stream;
            // A connection that has gone takes no answer.
            let _ = match act {
                Act::Answer(_) => stream.write_all(&bytes),
                Act::Silent => Ok(()),
                Act::Close => stream.shutdown(Shutdown::Both),
                Act::Half => stream
                    .write_all(&bytes[..bytes.len() / 2])
                    .and_then(|()| stream.shutdown(Shutdown::Both)),
            };
        }
    }
}

impl Party {
    fn hang_up(&mut self) {
        self.up = 0;
        if let Some(listener) = self.listener.take() {
            // Wakes the thread that accepts, which then lets go of the port.
            let _ = SockRef::from(&listener).shutdown(Shutdown::Both);
        }
    }
}

/// A process that ends is no event: whoever waits for it looks this often.
const LOOK_EVERY: Duration = Duration::from_millis(50);

const CHUNK_BYTES: usize = 64 * 1024;
