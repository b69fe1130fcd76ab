//! The simulated terminals: each has a connection of its own and asks one thing at a time.
//!
//! They block, as a terminal does, and check what a terminal checks: that the answer is to what
//! was asked.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::traffic::{Case, Damage, Pays};
use super::trouble;
use crate::base::time::Instant;
use crate::iso8583::bitmap::Bitmap;
use crate::iso8583::decode::Index;
use crate::iso8583::dialect::Dialect;
use crate::iso8583::encode::{Composer, template_header};
use crate::iso8583::frame::{self, Cut};
use crate::iso8583::message::Message;
use crate::iso8583::mti::Mti;
use crate::net::Clock;

/// One terminal and its connection.
#[derive(Debug)]
pub(super) struct Terminal {
    stream: TcpStream,
    dialect: Arc<Dialect>,
    clock: Clock,
    number: usize,
    index: Box<Index>,
}

/// What was sent, and what came back.
#[derive(Debug, Clone)]
pub(super) struct Trip {
    /// What the terminal heard.
    pub(super) heard: Heard,
    /// From the first byte sent to the last byte received.
    pub(super) took: Duration,
    /// Size of the request with its frame.
    pub(super) bytes: usize,
    /// MTI of the request as bytes.
    pub(super) mti: Vec<u8>,
}

/// What a terminal heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// An answer to its request, with this DE 39.
    Code(String),
    /// Something that is no answer to its request.
    Nonsense(&'static str),
    /// The connection was closed.
    Closed,
    /// Nothing for as long as it waits.
    Nothing,
}

impl Terminal {
    /// Connects terminal `number`.
    pub(super) fn connect(
        address: SocketAddr,
        dialect: Arc<Dialect>,
        clock: Clock,
        number: usize,
    ) -> io::Result<Self> {
        let no_line = trouble("a simulated terminal cannot connect");
        let stream = TcpStream::connect(address).map_err(&no_line)?;
        stream.set_nodelay(true).map_err(&no_line)?;
        Ok(Self { stream, dialect, clock, number, index: Box::default() })
    }

    /// Sends `case` as message `serial` and waits for what comes of it.
    pub(super) fn ask(&mut self, case: &Case, serial: u32) -> io::Result<Trip> {
        let failed = trouble("a simulated terminal lost its line");
        let frame = self.frame(case, serial).map_err(io::Error::other)?;
        let header = self.dialect.header_bytes + FRAME_LENGTH_BYTES;
        let mti = frame.get(header..header + self.dialect.mti_bytes).unwrap_or(&[]).to_vec();
        self.stream.set_read_timeout(Some(PATIENCE)).map_err(&failed)?;
        let asked_at = self.clock.now().instant;
        self.stream.write_all(&frame).map_err(&failed)?;
        let (answer, heard_at) = self.receive();
        let heard = match answer {
            Ok(bytes) => self.judge(case, serial, &bytes),
            Err(heard) => heard,
        };
        Ok(Trip { heard, took: heard_at.since(asked_at), bytes: frame.len(), mti })
    }

    /// True if nothing more comes within `wait`.
    pub(super) fn hears_nothing(&mut self, wait: Duration) -> bool {
        let set = self.stream.set_read_timeout(Some(wait));
        set.is_ok() && matches!(self.receive().0, Err(Heard::Nothing))
    }

    /// One frame, and the moment at which it was complete.
    fn receive(&mut self) -> (Result<Vec<u8>, Heard>, Instant) {
        let mut bytes = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            let read = self.stream.read(&mut buffer);
            let now = self.clock.now().instant;
            match read {
                Ok(0) => return (Err(Heard::Closed), now),
                Ok(count) => bytes.extend_from_slice(buffer.get(..count).unwrap_or(&[])),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                        return (Err(Heard::Nothing), now);
                    }
                    _ => return (Err(Heard::Closed), now),
                },
            }
            match frame::cut(&self.dialect.spec.framing, &bytes) {
                Cut::Partial => {}
                Cut::Frame { start, end, next } if next == bytes.len() => {
                    return (Ok(bytes.get(start..end).unwrap_or(&[]).to_vec()), now);
                }
                _ => return (Err(Heard::Nonsense("more or less than one frame")), now),
            }
        }
    }

    /// Is this the answer to message `serial`?
    fn judge(&mut self, case: &Case, serial: u32, bytes: &[u8]) -> Heard {
        let dialect = &self.dialect;
        if dialect.decode(bytes, &mut self.index).is_err() {
            return Heard::Nonsense("an answer that breaks the dialect");
        }
        let message = Message { bytes, index: &self.index, dialect };
        let asked = Mti::from_ascii(case.mti.as_bytes()).and_then(Mti::response);
        if Some(message.mti()) != asked {
            return Heard::Nonsense("an answer of another type");
        }
        if message.number(11) != Some(u64::from(serial))
            || message.number(37) != Some(rrn(serial))
            || message.text::<8>(41).as_ref().map(<[u8; 8]>::as_slice)
                != Some(terminal_id(self.number).as_bytes())
        {
            return Heard::Nonsense("the answer to another request");
        }
        match message.text::<2>(39) {
            Some(code) => Heard::Code(String::from_utf8_lossy(&code).into_owned()),
            None => Heard::Nonsense("an answer without DE 39"),
        }
    }

    /// The request, framed, damaged as the case wants it.
    fn frame(&mut self, case: &Case, serial: u32) -> Result<Vec<u8>, String> {
        let dialect = &self.dialect;
        let values = self.values(case, serial);
        let elements: Bitmap = values.iter().map(|(element, _)| *element).collect();
        let mti = Mti::from_ascii(case.mti.as_bytes()).unwrap_or_default();
        let mut out = Vec::new();
        let header = |out: &mut Vec<u8>| template_header(dialect, out);
        let mut composer = Composer::begin(dialect, &mut out, header, mti, &elements);
        for (element, value) in &values {
            composer.value(*element, value.as_bytes()).map_err(|reason| {
                format!("DE {element} of the sample traffic: {}", reason.text())
            })?;
        }
        composer.finish().map_err(|_| "a message of the sample traffic is too long".to_owned())?;
        match case.damage {
            Damage::None => {}
            Damage::Amount => self.damage_amount(&mut out),
            Damage::Length => out.iter_mut().take(FRAME_LENGTH_BYTES).for_each(|byte| *byte = 0xFF),
        }
        Ok(out)
    }

    fn values(&self, case: &Case, serial: u32) -> Vec<(u8, String)> {
        let sent_at = self.clock.now().wall.civil().de7();
        let mut values = vec![
            (3, case.processing.to_owned()),
            (4, format!("{:012}", case.minor)),
            (7, String::from_utf8_lossy(&sent_at).into_owned()),
            (11, format!("{serial:06}")),
            (25, "00".to_owned()),
            (37, format!("{:012}", rrn(serial))),
            (41, terminal_id(self.number)),
            (42, format!("{:<15}", case.merchant)),
            (49, format!("{:03}", case.currency.0)),
        ];
        match case.pays {
            Pays::Code(code) => {
                values.push((22, "031".to_owned()));
                values.push((59, format!("A3{:03}{code}", code.len())));
            }
            Pays::Card(pan) => {
                values.push((2, pan.to_owned()));
                values.push((14, "3012".to_owned()));
                values.push((22, "071".to_owned()));
            }
        }
        values.sort_unstable_by_key(|(element, _)| *element);
        values
    }

    /// Puts a nibble that is no digit in front of DE 4.
    fn damage_amount(&mut self, frame: &mut [u8]) {
        let body = frame.get(FRAME_LENGTH_BYTES..).unwrap_or(&[]);
        let decoded = self.dialect.decode(body, &mut self.index);
        debug_assert!(decoded.is_ok(), "it was sound until now");
        let Some(span) = self.index.span(4) else { return };
        if let Some(byte) = frame.get_mut(FRAME_LENGTH_BYTES + usize::from(span.value)) {
            *byte |= 0xA0;
        }
    }
}

/// DE 37 of message `serial`.
pub(super) fn rrn(serial: u32) -> u64 {
    632_600_000_000 + u64::from(serial)
}

/// DE 41 of terminal `number`.
fn terminal_id(number: usize) -> String {
    format!("DEMO{number:04}")
}

/// The frame length of the default acquirer dialect.
const FRAME_LENGTH_BYTES: usize = 2;

/// How long a terminal waits for an answer: longer than the promise of any route it is used on.
const PATIENCE: Duration = Duration::from_secs(3);
