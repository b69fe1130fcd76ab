//! `authswitch encode`: messages as JSON in, one line of upper-case hex per message out.

use super::lines::{self, Line};
use super::{Ended, dialect};
use crate::app::json::{self, Refusal};
use crate::iso8583::decode::Index;
use crate::iso8583::frame;

/// Encode messages: one line of JSON per message in, hex out.
///
/// The notation is what `decode --reveal` prints; `header` may be left out. The exit code is 1 if
/// any message could not be written.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A shipped dialect (see `dialect list`) or a TOML file.
    #[arg(long, value_name = "NAME|FILE")]
    dialect: String,
    /// Write the frame length and whatever else surrounds a message on the wire.
    #[arg(long)]
    framed: bool,
    /// Messages; without any, one per line from standard input.
    json: Vec<String>,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Ended {
    let dialect = match dialect(&args.dialect) {
        Ok(dialect) => dialect,
        Err(code) => return Ok(code),
    };
    let framing = &dialect.spec.framing;
    let (mut bytes, mut index) = (Vec::new(), Index::default());
    lines::each(&args.json, |line, out| {
        bytes.clear();
        let start = if args.framed { frame::begin(framing, &mut bytes) } else { 0 };
        let result = json::encode(&dialect, line, &mut index, &mut bytes).and_then(|()| {
            if args.framed {
                let sentence = "the message is longer than a frame may be";
                return frame::finish(framing, &mut bytes, start)
                    .map_err(|_| Refusal::of_line(0, sentence.to_owned()));
            }
            Ok(())
        });
        match result {
            Ok(()) => {
                json::write_hex(&bytes, out);
                Line::Good
            }
            Err(refusal) => {
                json::refuse(&refusal, out);
                Line::Bad
            }
        }
    })
}
