//! `authswitch exceptions`: what a person must look at, from the journal, and the closing of it.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::journal::{each_record, key_of};
use super::{Ended, FAILED, USAGE};
use crate::app::closing::{self, Act, Entered};
use crate::app::exceptions::Ledger;
use crate::net::Clock;

/// List what a person must look at: rejected reversals, contradictions, approvals of unknown fate.
///
/// What a person has settled is closed with a reason, which the journal keeps.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = false)]
pub(super) struct Args {
    /// The folder of the journal
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The key file; without one, journal.key in the folder
    #[arg(long, visible_alias = "journal-key", value_name = "FILE", global = true)]
    key: Option<PathBuf>,
    /// Also what was closed, and what is still owed
    #[arg(long)]
    all: bool,
    #[command(subcommand)]
    act: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Close an entry: nobody need look at it again, and what is owed for it is owed no more
    Close {
        /// The transaction, as it is listed
        #[arg(value_name = "ID")]
        id: u64,
        /// What was done about it
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Who closes it; without it, the user
        #[arg(long, value_name = "WHO")]
        by: Option<String>,
    },
}

pub(super) fn run(args: &Args) -> Ended {
    let key = match key_of(&args.folder, args.key.as_deref()) {
        Ok(key) => key,
        Err(code) => return Ok(code),
    };
    if let Some(Command::Close { id, reason, by }) = &args.act {
        let by = by.clone().unwrap_or_else(user);
        let act = match Act::new(*id, Clock::start().now().wall.unix_s(), &by, reason) {
            Ok(act) => act,
            Err(why) => return Ok(refuse(&why, USAGE)),
        };
        return match closing::close(&args.folder, &key, &act) {
            Ok(entered) => tell(&act, entered),
            Err(why) => Ok(refuse(&why, FAILED)),
        };
    }
    let mut ledger = Ledger::default();
    let ended = each_record(&args.folder, &key, &mut |_, record| {
        ledger.note(record);
        Ok(())
    })?;
    if ended == ExitCode::SUCCESS {
        std::io::stdout().lock().write_all(ledger.table(args.all).as_bytes())?;
    }
    Ok(ended)
}

fn tell(act: &Act, entered: Entered) -> Ended {
    let (id, by) = (act.id, &act.by);
    let line = match entered {
        Entered::Recorded => format!("{id} is closed by {by}\n"),
        Entered::DebtEnded => format!("{id} is closed by {by}; what was owed is not sent again\n"),
        Entered::Waiting => {
            let why = "the running switch has not taken it in; it does when it can, or the next";
            return Ok(refuse(why, FAILED));
        }
    };
    std::io::stdout().lock().write_all(line.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn refuse(why: &str, code: u8) -> ExitCode {
    eprintln!("authswitch: {why}");
    ExitCode::from(code)
}

/// Who runs this, by name if the environment has one.
fn user() -> String {
    let name = std::env::var("USER").ok().filter(|name| !name.is_empty());
    name.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}
