//! `authswitch serve`: the switch, on a folder of configuration or on a few options.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::{Ended, FAILED, USAGE, dialect};
use crate::app::config::{self, Config, Mistake};
use crate::app::journal::JournalPlan;
use crate::app::reload::Origin;
use crate::app::serve::{self, Finished};
use crate::app::wiring::{Blueprint, Pair};
use crate::base::limits;
use crate::journal::Durability;

/// Run the switch: on a folder of configuration, on the built-in default, or as a pair of one
/// acquirer listener and one partner, where whatever decodes is forwarded.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder with switch.toml, routes.toml and merchants.csv; routes and merchants are read
    /// again on SIGHUP, and when they change
    #[arg(long, value_name = "DIR", conflicts_with_all = ["acquirer", "partner"])]
    config: Option<PathBuf>,
    /// Where acquirers call, for example 127.0.0.1:7400; port 0 lets the system choose
    #[arg(long, value_name = "ADDR", requires = "partner")]
    acquirer: Option<String>,
    /// The partner to call
    #[arg(long, value_name = "ADDR", requires = "acquirer")]
    partner: Option<String>,
    /// Connections to the partner
    #[arg(long, value_name = "N", default_value_t = 1, requires = "partner")]
    partner_sessions: usize,
    /// How acquirers write: a shipped dialect or a file
    #[arg(long, value_name = "NAME|FILE", default_value = "pos-bcd", requires = "acquirer")]
    dialect: String,
    /// How the partner writes, if not like the acquirers
    #[arg(long, value_name = "NAME|FILE", requires = "acquirer")]
    partner_dialect: Option<String>,
    /// What the acquirer was promised: an answer by then
    #[arg(long, value_name = "TIME", default_value = "1500ms", requires = "acquirer")]
    deadline: String,
    /// Sign on to the partner (0800, DE 70 = 001) and send it echoes
    #[arg(long, requires = "acquirer")]
    sign_on: bool,
    /// What survives a crash: none, process or power
    #[arg(long, value_name = "KIND")]
    durability: Option<String>,
    /// Where the journal is kept; durability is then power, unless said otherwise
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
    /// The key of the journal: a file of 64 hexadecimal digits that nobody else can read
    #[arg(long, value_name = "FILE", requires = "journal")]
    journal_key: Option<PathBuf>,
    /// Worker threads; 0 chooses
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Bind each worker to a core
    #[arg(long)]
    pin: bool,
    /// How long a worker with nothing to do stays awake before it sleeps
    #[arg(long, value_name = "TIME")]
    spin: Option<String>,
}

/// What is to run, a line about it, and where its routes can be read again.
type Described = (Blueprint, String, Option<Origin>);

pub(super) fn run(args: &Args) -> Ended {
    let (blueprint, about, origin) = match described(args) {
        Ok(described) => described,
        Err(code) => return Ok(code),
    };
    match serve::run(blueprint, &about, origin) {
        Ok(Finished::Drained) => Ok(ExitCode::SUCCESS),
        Ok(Finished::StorageFailed) => Ok(ExitCode::from(STORAGE_FAILED)),
        Err(error) => {
            eprintln!("authswitch: {error}");
            Ok(ExitCode::from(FAILED))
        }
    }
}

/// What is to run, or the exit code after saying on standard error why nothing is.
fn described(args: &Args) -> Result<Described, ExitCode> {
    let (mut blueprint, about, origin) = match (&args.acquirer, &args.partner) {
        (Some(acquirer), Some(partner)) => pair(args, acquirer, partner)?,
        _ => configured(args)?,
    };
    if let Some(workers) = args.workers.filter(|workers| *workers > 0) {
        if workers > limits::WORKERS_MAX {
            let most = limits::WORKERS_MAX;
            return Err(refuse(&format!("--workers {workers}: at most {most} workers")));
        }
        blueprint.plan.workers = workers;
    }
    blueprint.plan.pin |= args.pin;
    if let Some(journal) = journal(args)? {
        blueprint.journal = journal;
    }
    if let Some(spin) = &args.spin {
        blueprint.plan.spin = time("--spin", spin)?;
    }
    Ok((blueprint, about, origin))
}

/// The journal that the options ask for; `None` if they say nothing about it.
fn journal(args: &Args) -> Result<Option<Option<JournalPlan>>, ExitCode> {
    let kind = args.durability.as_deref().map(config::durability).transpose();
    let kind = kind.map_err(|reason| refuse(&format!("--durability: {reason}")))?;
    let durability = match (kind, &args.journal) {
        (None, None) => return Ok(None),
        (Some(config::Durability::None), None) => return Ok(Some(None)),
        (Some(config::Durability::None), Some(_)) => {
            return Err(refuse("--durability none keeps no journal: leave --journal out"));
        }
        (Some(_), None) => return Err(refuse("--durability: say where with --journal DIR")),
        (Some(config::Durability::Process), Some(_)) => Durability::Process,
        (None | Some(config::Durability::Power), Some(_)) => Durability::Power,
    };
    let folder = args.journal.clone().unwrap_or_default();
    let (key, segment_bytes) = (args.journal_key.clone(), limits::SEGMENT_BYTES);
    Ok(Some(Some(JournalPlan { durability, folder, key, segment_bytes })))
}

fn configured(args: &Args) -> Result<Described, ExitCode> {
    let told = |mistakes: Vec<Mistake>| {
        for mistake in &mistakes {
            eprintln!("authswitch: {mistake}");
        }
        ExitCode::from(BAD_CONFIGURATION)
    };
    let described = |config: &Config| {
        let about = format!("authswitch   {}, {}", config.origin, config.version());
        let blueprint = Blueprint::from_config(config).map_err(|reason| {
            eprintln!("authswitch: {reason}");
            ExitCode::from(BAD_CONFIGURATION)
        })?;
        Ok::<_, ExitCode>((blueprint, about))
    };
    let Some(dir) = &args.config else {
        let (blueprint, about) = described(&Config::load(None).map_err(told)?)?;
        return Ok((blueprint, about, None));
    };
    let origin = Origin::load(dir).map_err(told)?;
    let (blueprint, about) = described(origin.config())?;
    Ok((blueprint, about, Some(origin)))
}

fn pair(args: &Args, acquirer: &str, partner: &str) -> Result<Described, ExitCode> {
    let most = limits::SESSIONS_MAX / 64;
    if !(1..=most).contains(&args.partner_sessions) {
        let asked = args.partner_sessions;
        return Err(refuse(&format!("--partner-sessions {asked}: 1 to {most}")));
    }
    let deadline = time("--deadline", &args.deadline)?;
    if deadline.is_zero() || deadline > DEADLINE_MAX {
        let text = &args.deadline;
        return Err(refuse(&format!("--deadline {text:?}: expected more than 0s, at most 60s")));
    }
    let acquirer_dialect = dialect(&args.dialect)?;
    let partner_dialect = match &args.partner_dialect {
        Some(name) => dialect(name)?,
        None => acquirer_dialect.clone(),
    };
    let about = "authswitch   one acquirer, one partner: whatever decodes is forwarded".to_owned();
    let pair = Pair {
        acquirer: address("--acquirer", acquirer)?,
        partner: address("--partner", partner)?,
        acquirer_dialect,
        partner_dialect,
        partner_sessions: args.partner_sessions,
        deadline,
        sign_on: args.sign_on,
        workers: args.workers.unwrap_or(0),
    };
    Ok((Blueprint::from_pair(pair), about, None))
}

fn address(option: &str, text: &str) -> Result<SocketAddr, ExitCode> {
    let wrong = |why: String| refuse(&format!("{option} {text:?}: {why}"));
    text.to_socket_addrs()
        .map_err(|error| wrong(format!("not host:port ({error})")))?
        .next()
        .ok_or_else(|| wrong("no such host".into()))
}

fn time(option: &str, text: &str) -> Result<Duration, ExitCode> {
    config::duration(text).ok_or_else(|| {
        refuse(&format!(
            "{option} {text:?}: expected a whole number and a unit (us, ms, s, min, h)"
        ))
    })
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("authswitch: {why}");
    ExitCode::from(USAGE)
}

/// Exit code: the configuration cannot be used (`EX_CONFIG` of sysexits).
const BAD_CONFIGURATION: u8 = 78;

/// Exit code: the disk failed (`EX_IOERR` of sysexits).
const STORAGE_FAILED: u8 = 74;

/// Longest answer deadline.
const DEADLINE_MAX: Duration = Duration::from_secs(60);
