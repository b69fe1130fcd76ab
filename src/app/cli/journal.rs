//! `authswitch journal`: what stands in a journal, for people.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Ended, FAILED, USAGE, export};
use crate::app::archive;
use crate::app::journal::KEY_FILE;
use crate::journal::{self, Folder, Key, Verified};
use crate::switch::number::{self, Role};
use crate::switch::record::{self, Record, Side, Weight};

/// Look into the journal of a switch; nothing that it says is changed.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check every block, and say where the first damage is and what to do about it.
    Verify {
        /// The folder of the journal
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// The key file; with it, it is also checked that every secret part can be opened
        #[arg(long, visible_alias = "journal-key", value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Write every record, one line each; account data is never shown
    Show {
        /// The folder of the journal
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// The key file; without one, journal.key in the folder
        #[arg(long, visible_alias = "journal-key", value_name = "FILE")]
        key: Option<PathBuf>,
        /// Only records of this transaction
        #[arg(long, value_name = "NUMBER")]
        only: Option<u64>,
    },
    Export(export::Args),
    /// Make the index of older transactions anew, and say how long it and a look-up take. The
    /// switch keeps it itself while it runs.
    Index {
        /// The folder of the journal
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// The key file; without one, journal.key in the folder
        #[arg(long, visible_alias = "journal-key", value_name = "FILE")]
        key: Option<PathBuf>,
    },
}

pub(super) fn run(command: &Command) -> Ended {
    let (folder, named) = match command {
        Command::Show { folder, key, only } => {
            return match key_of(folder, key.as_deref()) {
                Ok(key) => show(folder, &key, *only),
                Err(code) => Ok(code),
            };
        }
        Command::Export(args) => return export::run(args),
        Command::Index { folder, key } => {
            return match key_of(folder, key.as_deref()) {
                Ok(key) => index(folder, key),
                Err(code) => Ok(code),
            };
        }
        Command::Verify { folder, key } => (folder, key.as_deref()),
    };
    let key = match named.map(|path| key_of(folder, Some(path))).transpose() {
        Ok(key) => key,
        Err(code) => return Ok(code),
    };
    let (text, is_sound) = verify(folder, key.as_ref())?;
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// Writes the records; ends with the first damage.
fn show(folder: &Path, key: &Key, only: Option<u64>) -> Ended {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let ended = each_record(folder, key, &mut |batch, record| {
        let (kind, id, rest) = line(record);
        if only.is_none_or(|only| only == id) {
            let (segment, offset) = (batch.place.segment, batch.place.offset);
            writeln!(out, "{segment}:{offset:<9} w{} {kind:<10} {id:<16} {rest}", batch.worker)?;
        }
        Ok(())
    });
    out.flush()?;
    ended
}

/// Makes the index anew, and prints what came of it.
fn index(folder: &Path, key: Key) -> Ended {
    // A folder that is not there must not look like an empty journal, nor be made.
    std::fs::read_dir(folder)?;
    match archive::rebuild(folder, key) {
        Ok(text) => {
            std::io::stdout().lock().write_all(text.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(why) => {
            eprintln!("authswitch: {why}");
            Ok(ExitCode::from(FAILED))
        }
    }
}

/// Hands over each record of a journal. Damage ends it, with a sentence on standard error.
pub(super) fn each_record(
    folder: &Path,
    key: &Key,
    each: &mut dyn FnMut(&journal::Record, &Record<'_>) -> std::io::Result<()>,
) -> Ended {
    // A folder that is not there must not look like an empty journal, nor be made.
    std::fs::read_dir(folder)?;
    let files = Folder::at(folder)?;
    let damaged = |halt: journal::Halt| {
        eprintln!("authswitch: {halt}");
        Ok(ExitCode::from(FAILED))
    };
    let batches = match journal::read(&files, key) {
        Ok(batches) => batches,
        Err(halt) => return damaged(halt),
    };
    for batch in batches {
        let batch = match batch {
            Ok(batch) => batch,
            Err(halt) => return damaged(halt),
        };
        for record in record::read(&batch.clear, &batch.secret) {
            each(&batch, &record)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The key of a journal: of the file that is named, else of the one in its folder.
pub(super) fn key_of(folder: &Path, named: Option<&Path>) -> Result<Key, ExitCode> {
    let path = named.map_or_else(|| folder.join(KEY_FILE), Path::to_owned);
    Key::from_file(&path).map_err(|error| {
        eprintln!("authswitch: key file {}: {error}", path.display());
        ExitCode::from(USAGE)
    })
}

/// A record in words: kind, transaction, the rest. No account data.
fn line(record: &Record<'_>) -> (&'static str, u64, String) {
    let text = |code: &[u8]| String::from_utf8_lossy(code).trim().to_owned();
    match record {
        Record::Intent(intent) => (
            "intent",
            intent.id,
            format!(
                "link {} to {} STAN {:06} amount {}",
                intent.acquirer.0,
                intent.partner.0,
                intent.stan,
                intent.amount.map_or("-".to_owned(), |amount| amount.to_string())
            ),
        ),
        Record::Outcome(outcome) => {
            let what = if outcome.approved { "approved" } else { "not approved" };
            let part = outcome.part.map_or(String::new(), |part| format!(", {part} of it"));
            ("outcome", outcome.id, format!("{what}, {}{part}", text(&outcome.code)))
        }
        Record::Handed(id) => ("handed", *id, String::new()),
        Record::TakenBack(id) => ("taken-back", *id, String::new()),
        Record::Refused(refused) => {
            let rule = if refused.rule.is_empty() { "" } else { ", not wanted by " };
            ("refused", refused.id, text(&refused.code) + rule + &text(refused.rule))
        }
        Record::Owed(owed) => {
            let bytes = owed.message.len();
            let to = owed.partner.0;
            let what = match number::role_of(owed.id) {
                Role::Advice => "the advice ",
                Role::Reversal => "",
                Role::AdviceReversal => "the reversal of the advice ",
            };
            let words = format!("{what}to {to} STAN {:06}, {bytes} bytes", owed.stan);
            ("owed", number::transaction_of(owed.id), words)
        }
        Record::Sent(id) => ("sent", number::transaction_of(*id), String::new()),
        Record::NotFound { id, .. } => ("not-found", number::transaction_of(*id), String::new()),
        Record::Done(id) => ("done", number::transaction_of(*id), String::new()),
        Record::StoodIn(stood_in) => {
            let (minor, currency) = (stood_in.amount.minor, stood_in.amount.currency.number());
            let words = format!("amount {minor} currency {currency:03}, route ");
            ("stood-in", stood_in.id, words + &text(stood_in.route))
        }
        Record::Exception(id, code) => {
            ("exception", number::transaction_of(*id), format!("{code:02}"))
        }
        Record::Closed(closed) => {
            ("closed", closed.id, format!("by {}: {}", text(closed.by), text(closed.reason)))
        }
        Record::Weight(Weight { id, of, amount, side }) => {
            let name = if *side == Side::Back { "refund" } else { "completion" };
            (name, *id, format!("{amount} of transaction {of}"))
        }
    }
}

/// What is said about a journal, and whether it is sound.
fn verify(folder: &Path, key: Option<&Key>) -> std::io::Result<(String, bool)> {
    // A folder that is not there must not look like an empty journal, nor be made.
    std::fs::read_dir(folder).map_err(|error| {
        std::io::Error::new(error.kind(), format!("{}: {error}", folder.display()))
    })?;
    let verified = journal::verify(&Folder::at(folder)?, key);
    Ok((describe(&verified), verified.damage.is_none()))
}

fn describe(verified: &Verified) -> String {
    let mut text = String::new();
    let (mut blocks, mut batches) = (0, 0);
    for segment in &verified.segments {
        let (from, to) = (segment.created.civil(), segment.written.civil());
        let end = if segment.is_finished { "finished" } else { "open" };
        text += &format!(
            "{}  {:04}-{:02}-{:02} {:02}:{:02} to {:02}-{:02} {:02}:{:02}  {} blocks  \
             {} batches  {} bytes  {end}\n",
            segment.file,
            from.year,
            from.month,
            from.day,
            from.hour,
            from.minute,
            to.month,
            to.day,
            to.hour,
            to.minute,
            segment.blocks,
            segment.batches,
            segment.bytes,
        );
        (blocks, batches) = (blocks + segment.blocks, batches + segment.batches);
    }
    if let Some(torn) = verified.torn {
        let offset = torn.offset;
        text += &format!(
            "torn: what is behind offset {offset} of segment {} was never finished; \
             the next start cuts it\n",
            torn.segment
        );
    }
    let count = verified.segments.len();
    text += &match &verified.damage {
        Some(halt) => format!("DAMAGED: {halt}\n"),
        None => format!("sound: {count} segments, {blocks} blocks, {batches} batches\n"),
    };
    text
}

#[cfg(test)]
mod tests {
    use crate::base::time::Wall;
    use std::sync::Arc;

    use super::*;
    use crate::journal::Options;
    use crate::switch::batch::Batch;

    #[test]
    fn a_sound_journal_is_listed_and_a_damaged_one_located() {
        let name = format!("authswitch-cli-journal-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        drop(std::fs::remove_dir_all(&folder));
        assert!(verify(&folder, None).is_err(), "there is no such folder");
        let key = Key::from_text(&"5a".repeat(32)).expect("a key");
        let mut options = Options::new(1, key.clone());
        (options.segment_bytes, options.reserve_bytes) = (1 << 16, 1 << 16);
        let files = Folder::at(&folder).expect("a folder");
        let recovery = journal::recover(&options, &files, &mut |_| {}).expect("empty");
        let clock = Arc::new(|| Wall::from_unix_s(1_700_000_000));
        let (writer, mut desks) =
            journal::start(&options, Arc::new(files), recovery, clock).expect("started");
        for number in 1..=200 {
            let (clear, secret) = (vec![1; 700], vec![2; 16]);
            desks[0].hand_in(Batch { number, clear, secret, urgent: false }).expect("taken");
        }
        writer.stop();

        let (text, is_sound) = verify(&folder, Some(&key)).expect("readable");
        assert!(is_sound && text.contains("  2023-11-14 22:13 to 11-14 22:13  "), "{text}");
        assert!(text.contains("200 batches\n") && text.contains("finished\n"), "{text}");

        let path = folder.join("000000000001.segment");
        let mut bytes = std::fs::read(&path).expect("the first segment");
        bytes[600] ^= 1;
        std::fs::write(&path, bytes).expect("written");
        let (text, is_sound) = verify(&folder, None).expect("readable");
        std::fs::remove_dir_all(&folder).expect("removed");
        assert!(!is_sound && text.contains("DAMAGED: "), "{text}");
        assert!(text.contains("000000000001.segment, offset 512: damaged"), "{text}");
        assert!(text.contains("What to do: "), "{text}");
    }
}
