//! `authswitch routes diff`: what one version of the routes says that another does not.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::journal::{each_record, key_of};
use super::{Ended, FAILED, USAGE};
use crate::app::config::Config;
use crate::app::diff::{Difference, Replay};
use crate::app::reload;
use crate::switch::record::Record;

/// Look at versions of the routes, before they are in force.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List what is added (+), removed (-) and changed (~): networks, forms of codes, routes,
    /// refusals, response codes, merchants; and what a running switch cannot take over.
    ///
    /// Exit code 0: no difference, 1: some, 2: a configuration, the journal or its key cannot be
    /// read.
    Diff(Args),
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of the version that is in force
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The folder of the version that is to follow it
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Also decide under both versions what this journal has on record, and list what would have
    /// gone another way. Requests that nobody was asked about are not on record as they came
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
    /// The key file of the journal; without one, journal.key in its folder
    #[arg(long, visible_alias = "journal-key", value_name = "FILE", requires = "journal")]
    key: Option<PathBuf>,
}

pub(super) fn run(command: &Command) -> Ended {
    let Command::Diff(args) = command;
    let (old, new) = match (load(&args.old), load(&args.new)) {
        (Ok(old), Ok(new)) => (old, new),
        _ => return Ok(ExitCode::from(USAGE)),
    };
    let replay = match &args.journal {
        None => None,
        Some(folder) => match replay(folder, args.key.as_deref(), &old, &new) {
            Ok(replay) => Some(replay),
            Err(code) => return Ok(code),
        },
    };
    let (difference, fixed) = (Difference::between(&old, &new), reload::fixed(&old, &new));
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} ({}) -> {} ({})", old.origin, old.hash, new.origin, new.hash)?;
    writeln!(out, "{}", difference.summary())?;
    write!(out, "{difference}")?;
    for change in &fixed {
        writeln!(out, "needs a restart: {change}")?;
    }
    replay.iter().try_for_each(|replay| write!(out, "{replay}"))?;
    let is_same = difference.is_empty() && fixed.is_empty();
    Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// The configuration; every mistake is told on standard error.
fn load(folder: &Path) -> Result<Config, ()> {
    Config::load(Some(folder)).map_err(|mistakes| {
        mistakes.iter().for_each(|mistake| eprintln!("authswitch: {mistake}"));
    })
}

/// What the requests of a journal would have become.
pub(super) fn replay(
    folder: &Path,
    key: Option<&Path>,
    old: &Config,
    new: &Config,
) -> Result<Replay, ExitCode> {
    let key = key_of(folder, key)?;
    let mut replay = Replay::default();
    let ended = each_record(folder, &key, &mut |_, record| {
        if let Record::Intent(intent) = record {
            replay.add(intent, old, new);
        }
        Ok(())
    });
    match ended {
        Ok(code) if code == ExitCode::SUCCESS => Ok(replay),
        Ok(_) => Err(ExitCode::from(USAGE)),
        Err(error) => {
            eprintln!("authswitch: {}: {error}", folder.display());
            Err(ExitCode::from(USAGE))
        }
    }
}
