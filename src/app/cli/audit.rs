//! `authswitch audit`: the money rules, checked from the transcripts of both sides.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::journal::key_of;
use super::{Ended, FAILED, USAGE};
use crate::app::audit::{self, Inputs, Journal, Terms};
use crate::app::config;
use crate::app::journal::KEY_FILE;

/// Check the money rules from the transcripts of acquirers and partners.
///
/// Names each transaction that breaks a rule: which rule, what was expected, what was seen, in
/// which lines. The exit code is 1 if there is one.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What the acquirers sent and received, as lines of JSON
    #[arg(long, value_name = "FILE")]
    acquirer: PathBuf,
    /// What a partner sent and received; once per partner
    #[arg(long, value_name = "FILE", required = true)]
    partner: Vec<PathBuf>,
    /// Records of the journal as lines of JSON
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// The folder of the journal, at rest: it is read and held against the transcripts
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
    /// The key file of the journal; without one, journal.key in its folder
    #[arg(long, value_name = "FILE", requires = "journal")]
    journal_key: Option<PathBuf>,
    /// What acquirers were promised, with what the way takes
    #[arg(long, value_name = "TIME", default_value = "2s")]
    budget: String,
}

pub(super) fn run(args: &Args) -> Ended {
    let read = |path: &Path| {
        fs::read_to_string(path).map_err(|error| {
            eprintln!("authswitch: {}: {error}", path.display());
            ExitCode::from(USAGE)
        })
    };
    let Some(budget) = config::duration(&args.budget) else {
        eprintln!("authswitch: --budget {:?}: a whole number and a unit (ms, s)", args.budget);
        return Ok(ExitCode::from(USAGE));
    };
    let inputs = || -> Result<Inputs, ExitCode> {
        Ok(Inputs {
            acquirer: read(&args.acquirer)?,
            partners: args.partner.iter().map(|path| read(path)).collect::<Result<_, _>>()?,
            records: args.records.as_deref().map(read).transpose()?,
            journal: args.journal.as_deref().map(|folder| journal(args, folder)).transpose()?,
        })
    };
    let inputs = match inputs() {
        Ok(inputs) => inputs,
        Err(code) => return Ok(code),
    };
    let terms = Terms { budget_ns: budget.as_nanos() as u64, slack_ns: SLACK_NS };
    let report = match audit::audit(&inputs, terms) {
        Ok(report) => report,
        Err(mistake) => {
            eprintln!("authswitch: {mistake}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    std::io::stdout().lock().write_all(report.to_string().as_bytes())?;
    Ok(ExitCode::from(if report.findings.is_empty() { 0 } else { FAILED }))
}

fn journal(args: &Args, folder: &Path) -> Result<Journal, ExitCode> {
    let wrong = |why: String| {
        eprintln!("authswitch: {why}");
        ExitCode::from(USAGE)
    };
    let key = args.journal_key.clone().unwrap_or_else(|| folder.join(KEY_FILE));
    // Whether others can read it is looked at too.
    key_of(folder, Some(&key))?;
    let keys = fs::read_to_string(&key).map_err(|e| wrong(format!("{}: {e}", key.display())))?;
    Journal::read(folder, &keys).map_err(wrong)
}

/// Messages of two connections that are this close may have been read in the wrong order.
const SLACK_NS: u64 = 20_000_000;
