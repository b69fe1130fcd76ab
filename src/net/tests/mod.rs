//! The shell on real sockets of the loopback, with small cores in place of the switch.

mod connections;
mod cores;
mod draining;
mod partners;
mod storing;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use self::cores::Counts;
use super::{Core, Dial, Listen, Notice, Plan, Shell};
use crate::base::ids::{LinkId, WorkerId};
use crate::base::limits::Bounds;

const ACQUIRER: LinkId = LinkId(0);
const PARTNER: LinkId = LinkId(1);
const PATIENCE: Duration = Duration::from_secs(10);

/// A running shell with one listener.
struct Rig {
    shell: Shell<Counts>,
    notices: Receiver<Notice>,
}

impl Rig {
    fn start<C: Core<Stats = Counts>>(
        plan: &Plan,
        make: impl Fn(WorkerId) -> C + Send + Sync + 'static,
    ) -> Self {
        let (sender, notices) = sync_channel(10_000);
        let made = move |worker| make(worker).into();
        let shell = Shell::start(plan, made, sender).expect("loopback");
        Self { shell, notices }
    }

    fn call(&self) -> TcpStream {
        let stream = TcpStream::connect(self.shell.addresses()[0]).expect("the rig listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout is no zero");
        stream.set_nodelay(true).expect("TCP");
        stream
    }

    /// Waits until the shell reports what `wanted` looks for.
    fn wait(&self, wanted: impl Fn(&Notice) -> bool) -> Notice {
        loop {
            let notice = self.notices.recv_timeout(PATIENCE).expect("the notice comes");
            if wanted(&notice) {
                return notice;
            }
        }
    }

    fn wait_for_partners(&self, count: usize) {
        for _ in 0..count {
            self.wait(|notice| matches!(notice, Notice::Connected { link: PARTNER, .. }));
        }
    }

    /// Drains and returns what the workers counted.
    fn leave(self) -> Vec<Counts> {
        self.shell.drain();
        self.shell.join()
    }
}

fn plan(workers: usize) -> Plan {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Plan {
        workers,
        listeners: vec![Listen { address, link: ACQUIRER }],
        dials: Vec::new(),
        spin: Duration::ZERO,
        pin: false,
        bounds: Bounds { sessions: 1000, ..Bounds::default() },
        drain_deadline: Duration::from_secs(5),
        tap: None,
    }
}

fn plan_with_partner(workers: usize, sessions: usize) -> (Plan, TcpListener) {
    let partner = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    let address = partner.local_addr().expect("bound");
    (Plan { dials: vec![Dial { address, link: PARTNER, sessions }], ..plan(workers) }, partner)
}

/// A frame: two bytes of length, then `body`.
fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = (body.len() as u16).to_be_bytes().to_vec();
    frame.extend_from_slice(body);
    frame
}

fn send(stream: &mut TcpStream, body: &[u8]) {
    stream.write_all(&frame(body)).expect("the peer reads");
}

/// The body of the next frame; `None` at the end of the stream.
fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    match stream.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return None,
        Err(error) => panic!("no answer: {error}"),
    }
    let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut body).expect("a frame is whole");
    Some(body)
}

/// Answers every frame with itself until the other side ends the connection.
fn echo(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("TCP");
    while let Some(body) = receive(&mut stream) {
        send(&mut stream, &body);
    }
}

/// Waits, where there is nothing to wait for.
fn pause(duration: Duration) {
    let (_sender, receiver) = sync_channel::<()>(0);
    assert!(receiver.recv_timeout(duration).is_err());
}
