//! Connections of both sides: one task each, bytes out by command, whole frames in as events.
//!
//! No rule of the protocol lives here. A task ends with its connection and says so; what arrives
//! after the rig itself has closed a connection is never looked at, as a terminal that hung up
//! sees nothing more.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::spawn_local;

use super::action::Side;
use super::process::Down;
use crate::failure::Failure;
use crate::frame::whole;

/// What happened on the wire.
#[derive(Debug)]
pub(crate) enum Event {
    /// The switch called the host.
    Accepted(TcpStream),
    /// A terminal's connection is there, or could not be made.
    Connected { slot: usize, stream: Option<TcpStream> },
    /// A whole frame.
    Frame { side: Side, connection: u64, bytes: Vec<u8> },
    /// The other end has closed.
    Closed { side: Side, connection: u64 },
    /// The switch was taken down and may be started again.
    Down(Result<Down, Failure>),
}

/// What a connection is told.
#[derive(Debug)]
enum Order {
    Write(Vec<u8>),
    /// Write with what is written next.
    Hold(Vec<u8>),
    /// Wait until all is written, and then a moment.
    Pause,
    Close,
    Reset,
}

/// A connection's writing end.
#[derive(Debug)]
pub(crate) struct Wire(UnboundedSender<Order>);

impl Wire {
    /// Takes a connection over; its events carry `side` and `connection`.
    pub(crate) fn new(
        stream: TcpStream,
        side: Side,
        connection: u64,
        events: UnboundedSender<Event>,
    ) -> Wire {
        let (orders, receiver) = unbounded_channel();
        spawn_local(async move {
            // Small frames that wait for each other would be measured as the switch's delay.
            let _ = stream.set_nodelay(true);
            let _ = live(&stream, side, connection, receiver, &events).await;
            drop(stream);
            let _ = events.send(Event::Closed { side, connection });
        });
        Wire(orders)
    }

    /// Sends these bytes at once.
    pub(crate) fn write(&self, bytes: Vec<u8>) {
        self.order(Order::Write(bytes));
    }

    /// Sends these bytes with the next ones.
    pub(crate) fn hold(&self, bytes: Vec<u8>) {
        self.order(Order::Hold(bytes));
    }

    /// Sends these bytes in two pieces.
    pub(crate) fn write_in_pieces(&self, mut bytes: Vec<u8>) {
        let rest = bytes.split_off(bytes.len() / 2);
        self.write(bytes);
        self.order(Order::Pause);
        self.write(rest);
    }

    /// Sends half of these bytes, then resets.
    pub(crate) fn write_half(&self, mut bytes: Vec<u8>) {
        bytes.truncate(bytes.len() / 2);
        self.write(bytes);
        self.order(Order::Pause);
        self.reset();
    }

    /// Closes with FIN, after what was written.
    pub(crate) fn close(&self) {
        self.order(Order::Close);
    }

    /// Closes with RST, whatever was written.
    pub(crate) fn reset(&self) {
        self.order(Order::Reset);
    }

    /// An order to a connection that has ended is void.
    fn order(&self, order: Order) {
        let _ = self.0.send(order);
    }
}

/// The life of a connection, until either end closes it.
async fn live(
    stream: &TcpStream,
    side: Side,
    connection: u64,
    mut orders: UnboundedReceiver<Order>,
    events: &UnboundedSender<Event>,
) -> std::io::Result<()> {
    let (mut input, mut output, mut held) = (Vec::new(), Vec::new(), Vec::new());
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        tokio::select! {
            ready = stream.readable() => {
                ready?;
                match stream.try_read(&mut chunk) {
                    Ok(0) => return Ok(()),
                    Ok(read) => input.extend_from_slice(&chunk[..read]),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
                let mut at = 0;
                while let Some(size) = whole(&input, at) {
                    let bytes = input[at..at + size].to_vec();
                    let _ = events.send(Event::Frame { side, connection, bytes });
                    at += size;
                }
                input.drain(..at);
            }
            order = orders.recv() => match order {
                Some(Order::Hold(bytes)) => held.extend(bytes),
                Some(Order::Write(bytes)) => {
                    output.append(&mut held);
                    output.extend(bytes);
                }
                Some(Order::Pause) => {
                    flush(stream, &mut output).await?;
                    tokio::time::sleep(PAUSE).await;
                }
                Some(Order::Reset) => return stream.set_zero_linger(),
                Some(Order::Close) | None => return flush(stream, &mut output).await,
            },
            ready = stream.writable(), if !output.is_empty() => {
                ready?;
                write(stream, &mut output)?;
            }
        }
    }
}

async fn flush(stream: &TcpStream, output: &mut Vec<u8>) -> std::io::Result<()> {
    while !output.is_empty() {
        stream.writable().await?;
        write(stream, output)?;
    }
    Ok(())
}

fn write(stream: &TcpStream, output: &mut Vec<u8>) -> std::io::Result<()> {
    match stream.try_write(output) {
        Ok(written) => {
            output.drain(..written);
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

/// Accepts the switch's calls for ever.
pub(crate) async fn accept(listener: TcpListener, events: UnboundedSender<Event>) {
    while let Ok((stream, _)) = listener.accept().await {
        if events.send(Event::Accepted(stream)).is_err() {
            return;
        }
    }
}

/// Calls the switch once.
pub(crate) fn connect(address: SocketAddr, slot: usize, events: UnboundedSender<Event>) {
    spawn_local(async move {
        let stream = TcpStream::connect(address).await.ok();
        let _ = events.send(Event::Connected { slot, stream });
    });
}

const CHUNK_BYTES: usize = 16 * 1024;
const PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc::unbounded_channel;
    use tokio::task::LocalSet;

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_held_goes_with_the_next_or_not_at_all() {
        let all = async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            for (goes, expected) in [(true, &b"onetwo"[..]), (false, b"")] {
                let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
                let (stream, _) = listener.accept().await.unwrap();
                let (events, _inbox) = unbounded_channel();
                let wire = Wire::new(stream, Side::Partner, 1, events);
                wire.hold(b"one".to_vec());
                if goes {
                    wire.write(b"two".to_vec());
                }
                wire.close();
                let mut heard = Vec::new();
                peer.read_to_end(&mut heard).await.unwrap();
                assert_eq!(heard, expected);
            }
        };
        LocalSet::new().run_until(all).await;
    }
}
