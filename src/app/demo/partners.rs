//! Simulated partner networks: real sockets, each in the dialect its configuration names.
//!
//! They judge nothing. They answer network management, and give every request the answer that is
//! on the script for it, after the time that is on the script. For each request they report how
//! long they held it, so that this time can be told from the switch's own. All of them live on one
//! thread: the messages come one at a time.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::traffic::Reaction;
use super::trouble;
use crate::base::codes::ResponseCode;
use crate::iso8583::decode::Index;
use crate::iso8583::dialect::Dialect;
use crate::iso8583::encode::Composer;
use crate::iso8583::frame::{self, Cut};
use crate::iso8583::message::{Message, answer_header};
use crate::net::Clock;
use crate::switch::reply;

/// The running partners.
#[derive(Debug)]
pub(super) struct Partners {
    /// Where each listens, in the order of their dialects.
    pub(super) addresses: Vec<SocketAddr>,
    /// What they saw.
    pub(super) seen: Receiver<Seen>,
    script: Arc<Script>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// A request as a partner saw it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// DE 37: the STAN is the switch's own here.
    pub(super) rrn: u64,
    /// From its last byte to the first byte of the answer.
    pub(super) held: Duration,
    /// Its MTI as bytes.
    pub(super) mti: Vec<u8>,
    /// Its size with its frame.
    pub(super) bytes: usize,
}

impl Partners {
    /// Binds a port of the loopback for each dialect and begins to answer.
    pub(super) fn start(dialects: Vec<Arc<Dialect>>, clock: Clock) -> io::Result<Self> {
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for dialect in dialects {
            let no_port = trouble("a simulated partner cannot listen");
            let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(&no_port)?;
            listener.set_nonblocking(true).map_err(&no_port)?;
            addresses.push(listener.local_addr().map_err(&no_port)?);
            listeners.push((listener, dialect));
        }
        let no_thread = trouble("the simulated partners cannot start");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(&no_thread)?;
        let (sender, seen) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let script = Arc::new(Script::default());
        let desk = Desk { clock, script: Arc::clone(&script), seen: sender };
        let thread = std::thread::Builder::new()
            .name("partners".into())
            .spawn(move || {
                runtime.block_on(async {
                    for (listener, dialect) in listeners {
                        tokio::spawn(accept(listener, dialect, desk.clone()));
                    }
                    drop(stopped.await);
                });
            })
            .map_err(&no_thread)?;
        Ok(Self { addresses, seen, script, stop, thread })
    }

    /// What is to be done with the requests that come from now on.
    pub(super) fn play(&self, reaction: Reaction) {
        self.script.write(reaction);
    }

    /// Hangs up on everybody.
    pub(super) fn stop(self) {
        drop(self.stop);
        drop(self.thread.join());
    }
}

/// The reaction to whatever comes next: the code, and below it the time to hold, in microseconds.
#[derive(Debug, Default)]
struct Script(AtomicU64);

impl Script {
    fn write(&self, reaction: Reaction) {
        let hold_us = reaction.hold.as_micros() as u64;
        debug_assert!(hold_us < 1 << 32, "nobody thinks for an hour");
        self.0.store(u64::from(reaction.code) << 32 | hold_us, Ordering::Release);
    }

    fn read(&self) -> Reaction {
        let both = self.0.load(Ordering::Acquire);
        let hold = Duration::from_micros(both & u64::from(u32::MAX));
        Reaction { code: (both >> 32) as u8, hold }
    }
}

/// What every connection shares.
#[derive(Debug, Clone)]
struct Desk {
    clock: Clock,
    script: Arc<Script>,
    seen: Sender<Seen>,
}

async fn accept(listener: TcpListener, dialect: Arc<Dialect>, desk: Desk) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let (dialect, desk) = (Arc::clone(&dialect), desk.clone());
        // A connection that fails is one that the switch reports; nothing is left to say here.
        tokio::spawn(async move { drop(serve(stream, &dialect, &desk).await) });
    }
}

async fn serve(mut stream: TcpStream, dialect: &Dialect, desk: &Desk) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::new();
    let mut index = Index::default();
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        let read_at = desk.clock.now().instant;
        while let Cut::Frame { start, end, next } = frame::cut(&dialect.spec.framing, &bytes) {
            let body = bytes.get(start..end).unwrap_or(&[]);
            if dialect.decode(body, &mut index).is_err() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let message = Message { bytes: body, index: &index, dialect };
            let reaction = desk.script.read();
            let answer = answer(&message, reaction.code);
            if !message.mti().is_network_management() {
                if !reaction.hold.is_zero() {
                    tokio::time::sleep(reaction.hold).await;
                }
                let header = dialect.header_bytes;
                let mti = body.get(header..header + dialect.mti_bytes).unwrap_or(&[]).to_vec();
                let rrn = message.number(37).unwrap_or(0);
                let held = desk.clock.now().instant.since(read_at);
                // Nobody listens any more once the demonstration is over.
                let _ = desk.seen.send(Seen { rrn, held, mti, bytes: next });
            }
            stream.write_all(&answer).await?;
            bytes.drain(..next);
        }
    }
}

/// The framed answer to `message`: what its dialect says an answer repeats, DE 39, and DE 38 with
/// an approval.
fn answer(message: &Message<'_>, code: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mti = message.mti().response().unwrap_or_default();
    let code = ResponseCode::from_number(code).unwrap_or(ResponseCode::MALFUNCTION);
    if message.mti().is_network_management() || code != ResponseCode::APPROVED {
        let code =
            if message.mti().is_network_management() { ResponseCode::APPROVED } else { code };
        reply::write(message, mti, code, Some(&mut out));
        return out;
    }
    let dialect = message.dialect;
    let mut elements = dialect.rules(message.mti()).echo.and(&message.present());
    elements.insert(38);
    elements.insert(39);
    let header = |out: &mut Vec<u8>| answer_header(dialect, message.header(), out);
    let mut composer = Composer::begin(dialect, &mut out, header, mti, &elements);
    for element in elements.iter() {
        let written = match element {
            38 => composer.value(38, APPROVAL),
            39 => composer.value(39, &code.digits()),
            _ => {
                composer.raw(element, message.raw(element).unwrap_or(&[]));
                Ok(())
            }
        };
        debug_assert!(written.is_ok(), "DE 38 and 39 of the default dialects hold text");
    }
    // An answer is shorter than its request, so it fits a frame.
    let _ = composer.finish();
    out
}

/// DE 38 of every approval.
const APPROVAL: &[u8] = b"A1B2C3";
