//! `authswitch journal export`: every record as a row, for tools.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::journal::{each_record, key_of};
use super::{Ended, USAGE, dialect};
use crate::app::config::Config;
use crate::app::export::{Export, Format, Links, id, moment};
use crate::base::time::Wall;
use crate::journal::Key;

/// Write every record as a row of CSV or a line of JSON; account numbers are masked.
///
/// What a message says of currency, account, terminal, merchant and RRN is shown if it is known
/// how its link writes: from a configuration, or from dialects.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of the journal
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// How rows are written
    #[arg(long, value_name = "FORMAT")]
    format: Format,
    /// The key file; without one, journal.key in the folder
    #[arg(long, visible_alias = "journal-key", value_name = "FILE")]
    key: Option<PathBuf>,
    /// The configuration that the switch was run with: names and dialects of its links
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dialect", "partner_dialect"])]
    config: Option<PathBuf>,
    /// How acquirers write: a shipped dialect or a file
    #[arg(long, value_name = "NAME|FILE")]
    dialect: Option<String>,
    /// How partners write, if not like the acquirers
    #[arg(long, value_name = "NAME|FILE", requires = "dialect")]
    partner_dialect: Option<String>,
    /// Only records written at this moment or later: 2026-11-22 or 2026-11-22T08:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only records written before this moment
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only records of this transaction
    #[arg(long, value_name = "NUMBER")]
    only: Option<u64>,
    /// Write to this file, which only its owner can read, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Ended {
    let prepared = || {
        let (from, to) = (time("--from", &args.from)?, time("--to", &args.to)?);
        Ok((key_of(&args.folder, args.key.as_deref())?, links(args)?, from, to))
    };
    let (key, links, from, to) = match prepared() {
        Ok(prepared) => prepared,
        Err(code) => return Ok(code),
    };
    let selects = |at: Wall, of: u64| {
        from.is_none_or(|from| at >= from)
            && to.is_none_or(|to| at < to)
            && args.only.is_none_or(|only| only == of)
    };
    match &args.output {
        None => export(args, &key, links, selects, io::stdout().lock()),
        Some(path) => {
            // A folder that is not there must not cost a file that is.
            std::fs::read_dir(&args.folder)?;
            export(args, &key, links, selects, file(path)?)
        }
    }
}

fn export(
    args: &Args,
    key: &Key,
    links: Links,
    selects: impl Fn(Wall, u64) -> bool,
    out: impl Write,
) -> Ended {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, out);
    let mut export = Export::new(args.format, links, key);
    out.write_all(export.head())?;
    let ended = each_record(&args.folder, key, &mut |batch, record| {
        if selects(batch.written, id(record)) {
            out.write_all(export.row(batch, record))?;
        }
        Ok(())
    });
    out.flush()?;
    ended
}

fn file(path: &Path) -> io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    opened.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn links(args: &Args) -> Result<Links, ExitCode> {
    if let Some(folder) = &args.config {
        let config = Config::load(Some(folder)).map_err(|mistakes| {
            mistakes.iter().for_each(|mistake| eprintln!("authswitch: {mistake}"));
            ExitCode::from(USAGE)
        })?;
        let acquirers = config.acquirers.into_iter().map(|link| (link.name, link.dialect));
        let partners = config.partners.into_iter().map(|link| (link.name, link.dialect));
        return Ok(Links { named: acquirers.chain(partners).collect(), ..Links::default() });
    }
    let acquirers = args.dialect.as_deref().map(dialect).transpose()?;
    let partners = args.partner_dialect.as_deref().map(dialect).transpose()?;
    let partners = partners.or_else(|| acquirers.clone());
    Ok(Links { named: Vec::new(), acquirers, partners })
}

fn time(option: &str, text: &Option<String>) -> Result<Option<Wall>, ExitCode> {
    let Some(text) = text else { return Ok(None) };
    moment(text).map(Some).ok_or_else(|| {
        eprintln!("authswitch: {option} {text:?}: a date or a time in UTC, 2026-11-22T08:00:00Z");
        ExitCode::from(USAGE)
    })
}

const BUFFER_BYTES: usize = 256 << 10;
