//! Both transcripts as files, in the form that the module above describes.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use super::action::Side;
use super::message::Message;
use crate::clock::now_ns;
use crate::failure::Failure;

/// Both files, or none if nobody asked for them.
#[derive(Debug, Default)]
pub(crate) struct Transcripts {
    files: Option<[BufWriter<File>; 2]>,
    error: Option<std::io::Error>,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ToSwitch,
    FromSwitch,
}

impl Transcripts {
    /// `acquirer.ndjson` and `partner.ndjson` in a folder, which is made.
    pub(crate) fn create(folder: Option<&Path>) -> Result<Transcripts, Failure> {
        let Some(folder) = folder else { return Ok(Transcripts::default()) };
        let file = |side: Side| {
            let path = folder.join(format!("{}.ndjson", side.name()));
            let made = fs::create_dir_all(folder).and_then(|()| File::create(&path));
            let of = |error| Failure::of(&format!("write {}", path.display()), error);
            made.map(BufWriter::new).map_err(of)
        };
        let files = Some([file(Side::Acquirer)?, file(Side::Partner)?]);
        Ok(Transcripts { files, error: None })
    }

    /// A complete message.
    pub(crate) fn message(
        &mut self,
        side: Side,
        connection: u64,
        direction: Direction,
        message: &Message,
    ) {
        let direction = match direction {
            Direction::ToSwitch => "to-switch",
            Direction::FromSwitch => "from-switch",
        };
        let (mti, fields) = (message.mti_text(), serde_json::json!(message.fields));
        let rest = format!("\"direction\":\"{direction}\",\"mti\":\"{mti}\",\"fields\":{fields}");
        self.line(side, connection, &rest);
    }

    /// A connection is there.
    pub(crate) fn open(&mut self, side: Side, connection: u64) {
        self.line(side, connection, "\"event\":\"open\"");
    }

    /// A connection is gone.
    pub(crate) fn close(&mut self, side: Side, connection: u64) {
        self.line(side, connection, "\"event\":\"close\"");
    }

    /// Writes out what is buffered.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        for file in self.files.iter_mut().flatten() {
            file.flush().map_err(|error| Failure::of("write a transcript", error))?;
        }
        self.error.map_or(Ok(()), |error| Err(Failure::of("write a transcript", error)))
    }

    fn line(&mut self, side: Side, connection: u64, rest: &str) {
        let Some(files) = &mut self.files else { return };
        let (at_ns, name) = (now_ns(), side.name());
        let head = format!("\"at_ns\":{at_ns},\"side\":\"{name}\",\"connection\":{connection}");
        let written = writeln!(files[side as usize], "{{{head},{rest}}}");
        self.error = self.error.take().or(written.err());
    }
}
