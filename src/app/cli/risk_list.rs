//! `authswitch risk list`: lists that the running switch takes up.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Ended, FAILED, USAGE};
use crate::app::config::token;
use crate::app::risk_list::{ListFile, change};

/// Look at a list of risk.toml (its `file`), or change it; a running switch takes up what changes.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Put somebody on the list. Exit code 0: the list has changed, 1: all of them were on it.
    Add(Change),
    /// Take somebody off the list. Exit code 0: the list has changed, 1: none of them was on it.
    Remove(Change),
    /// Print whoever is on the list, one a line; cards and codes as their tokens
    Show {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Change {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// As in the file: a token, "merchant SHOP-1", "terminal POS1", "prefix 6212"
    #[arg(value_name = "ENTRY", required_unless_present = "key_file")]
    entries: Vec<String>,
    /// Read card numbers or codes from standard input, one a line, and list their tokens under the
    /// key in this file, which is the one that risk.toml names
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

pub(super) fn run(command: &Command) -> Ended {
    match command {
        Command::Add(args) => changed(args, ListFile::add),
        Command::Remove(args) => changed(args, ListFile::remove),
        Command::Show { file } => show(file),
    }
}

fn changed(args: &Change, each: fn(&mut ListFile, &str) -> Result<bool, String>) -> Ended {
    let mut entries = args.entries.clone();
    if let Some(key_file) = &args.key_file {
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            let digits = line.trim();
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return wrong("expected digits on standard input");
            }
            match token(key_file, digits.as_bytes()) {
                // In two words: what stands alone and has only digits is taken for a card.
                Ok(token) => entries.push(format!("token {token:016x}")),
                Err(why) => return wrong(&why),
            }
        }
    }
    let all = |list: &mut ListFile| {
        let each = entries.iter().map(|entry| each(list, entry));
        each.collect::<Result<Vec<_>, _>>().map(|changed| changed.contains(&true))
    };
    match change(&args.file, all) {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Ok(ExitCode::from(FAILED)),
        Err(why) => wrong(&why),
    }
}

fn show(file: &Path) -> Ended {
    let list = match ListFile::read(file) {
        Ok(list) => list,
        Err(why) => return wrong(&why),
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    list.entries().try_for_each(|entry| writeln!(out, "{entry}"))?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn wrong(why: &str) -> Ended {
    eprintln!("authswitch: {why}");
    Ok(ExitCode::from(USAGE))
}
