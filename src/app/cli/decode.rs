//! `authswitch decode`: messages as hex in, one line of JSON per message out.

use super::lines::{self, Line};
use super::{Ended, dialect};
use crate::app::json::{self, Refusal, Shown};
use crate::iso8583::decode::Index;
use crate::iso8583::dialect::Dialect;
use crate::iso8583::frame::{self, Broken, Cut};

/// Decode messages: hex in, one line of JSON per message out.
///
/// Card data is masked, and what reads as a card number in private elements. The exit code is 1
/// if any message was damaged.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A shipped dialect (see `dialect list`) or a TOML file.
    #[arg(long, value_name = "NAME|FILE")]
    dialect: String,
    /// Show card data in clear.
    #[arg(long)]
    reveal: bool,
    /// Expect the frame length and whatever else surrounds a message on the wire.
    #[arg(long)]
    framed: bool,
    /// Messages; without any, one per line from standard input.
    hex: Vec<String>,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Ended {
    let dialect = match dialect(&args.dialect) {
        Ok(dialect) => dialect,
        Err(code) => return Ok(code),
    };
    let shown = if args.reveal { Shown::Clear } else { Shown::Masked };
    let (mut bytes, mut index) = (Vec::new(), Index::default());
    lines::each(&args.hex, |line, out| {
        let result = message(&dialect, line, args.framed, &mut bytes).map(|(start, end)| {
            let message = bytes.get(start..end).unwrap_or(&[]);
            json::decode(&dialect, message, start, shown, &mut index, out).is_ok()
        });
        match result {
            Ok(true) => Line::Good,
            Ok(false) => Line::Bad,
            Err(refusal) => {
                json::refuse(&refusal, out);
                Line::Bad
            }
        }
    })
}

/// Reads the hex of one line; returns where in `bytes` the message stands.
fn message(
    dialect: &Dialect,
    line: &[u8],
    framed: bool,
    bytes: &mut Vec<u8>,
) -> Result<(usize, usize), Refusal> {
    bytes.clear();
    json::read_hex(line, bytes).map_err(|place| {
        let sentence = if place > line.len() {
            "an odd number of hexadecimal digits: one is missing at the end".to_owned()
        } else {
            format!("character {place} is not hexadecimal")
        };
        Refusal::of_line(bytes.len(), sentence)
    })?;
    if !framed {
        return Ok((0, bytes.len()));
    }
    match frame::cut(&dialect.spec.framing, bytes) {
        Cut::Frame { start, end, next } if next == bytes.len() => Ok((start, end)),
        Cut::Frame { next, .. } => {
            Err(Refusal::of_line(next, "bytes are left behind the frame".to_owned()))
        }
        Cut::KeepAlive { .. } => Err(Refusal::of_line(0, "a keep-alive, not a message".to_owned())),
        Cut::Partial => {
            Err(Refusal::of_line(bytes.len(), "the frame is longer than what is there".to_owned()))
        }
        Cut::Broken(broken) => Err(Refusal::of_line(0, sentence(broken).to_owned())),
    }
}

const fn sentence(broken: Broken) -> &'static str {
    match broken {
        Broken::TooShort => "the frame length is below the shortest message",
        Broken::TooLong => "the frame length is above the longest message",
        Broken::Malformed => "the frame is not written as the dialect says",
        Broken::TlsHello => "a TLS hello, not a frame",
    }
}
