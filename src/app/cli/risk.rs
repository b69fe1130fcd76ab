//! `authswitch risk`: rules on what is wanted, before they are in force.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::routes::replay;
use super::{Ended, FAILED, USAGE, risk_list, risk_show};
use crate::app::config::{Config, token, with_rules, written};
use crate::risk::Rules;
use crate::risk::rule::{Rule, Test};

/// Look at rules before they are in force.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Say how a file of rules is understood: what each counts, how far back a window reaches, and
    /// which rules can never speak. Exit code 0: sound, 1: mistakes, or rules that never speak.
    Check(Check),
    /// List what rules would have done to recorded requests. Requests that nobody was asked about
    /// are not on record as they came. Exit code 0: nothing else, 1: some would have been declined.
    Replay(Replay),
    #[command(subcommand)]
    List(risk_list::Command),
    Show(risk_show::Args),
    /// Print the token of a card number or code that is read from standard input.
    Token(Token),
}

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The folder whose networks it names; without it, the built-in default
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Replay {
    /// The file
    #[arg(long, value_name = "FILE")]
    rules: PathBuf,
    /// The folder under which the journal was written; without it, the built-in default
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// The journal
    #[arg(long, value_name = "DIR")]
    journal: PathBuf,
    /// The key file of the journal; without one, journal.key in its folder
    #[arg(long, visible_alias = "journal-key", value_name = "FILE")]
    key: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Token {
    /// The key file that risk.toml names
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
}

pub(super) fn run(command: &Command) -> Ended {
    match command {
        Command::Check(args) => check(args),
        Command::Replay(args) => replayed(args),
        Command::Show(args) => risk_show::run(args),
        Command::List(command) => risk_list::run(command),
        Command::Token(args) => print_token(args),
    }
}

fn check(args: &Check) -> Ended {
    let Ok(config) = load(args.config.as_deref(), Some(&args.file)) else {
        return Ok(ExitCode::from(FAILED));
    };
    let Some(rules) = &config.rules else { return Ok(ExitCode::from(FAILED)) };
    let mut out = std::io::stdout().lock();
    for (place, rule) in rules.rules().iter().enumerate() {
        let [tens, ones] = rule.code.digits().map(char::from);
        write!(out, "{:<8} {tens}{ones}  {}", rule.action.name(), rule.name)?;
        if let Test::Velocity(velocity) = &rule.test {
            let reach = rules.reach(place as u16).unwrap_or_default();
            let window = written(velocity.window);
            write!(out, ": {} in {window}, counted over at most {reach:.1?}", velocity.limit)?;
        }
        if let Test::Travel(travel) = &rule.test {
            let (usual, pairs) = (written(travel.usual), travel.between.len());
            write!(out, ": no two regions within {usual}, other times for {pairs} pairs")?;
        }
        writeln!(out)?;
    }
    let idle = idle(rules);
    for (rule, why) in &idle {
        writeln!(out, "never speaks: {rule}: {why}")?;
    }
    Ok(if idle.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// Rules that can never speak, since another one always spoke before.
fn idle(rules: &Rules) -> Vec<(&str, String)> {
    let list = rules.rules();
    let found = list.iter().enumerate().filter_map(|(place, rule)| {
        let mut others = list.iter().enumerate();
        let (_, by) = others.find(|(other, by)| hides(by, rule, *other < place))?;
        Some((&*rule.name, format!("{} speaks at the latest then", by.name)))
    });
    found.collect()
}

/// True if `by` declines whatever `rule` would.
fn hides(by: &Rule, rule: &Rule, is_before: bool) -> bool {
    if std::ptr::eq(by, rule)
        || by.scope != rule.scope
        || by.action != crate::risk::rule::Action::Decline
    {
        return false;
    }
    match (&by.test, &rule.test) {
        (Test::Always, _) => is_before || matches!(rule.test, Test::Velocity(_)),
        (Test::Velocity(by), Test::Velocity(rule)) => {
            let is_same = by.key == rule.key && by.sums == rule.sums;
            let is_harder = by.limit < rule.limit || by.limit == rule.limit && is_before;
            is_same && is_harder && by.window >= rule.window && by.attempts >= rule.attempts
        }
        (Test::Amount { min, max }, Test::Amount { min: low, max: high }) => {
            is_before && min >= low && max <= high
        }
        _ => false,
    }
}

fn replayed(args: &Replay) -> Ended {
    let dir = args.config.as_deref();
    let (Ok(old), Ok(new)) = (load(dir, None), load(dir, Some(&args.rules))) else {
        return Ok(ExitCode::from(USAGE));
    };
    let replay = match replay(&args.journal, args.key.as_deref(), &old, &new) {
        Ok(replay) => replay,
        Err(code) => return Ok(code),
    };
    let mut out = std::io::stdout().lock();
    write!(out, "{replay}")?;
    let rules = new.rules.as_ref().map(|rules| rules.spoken()).into_iter().flatten();
    let mut spoke = false;
    for (name, count) in rules.filter(|(_, count)| *count > 0) {
        writeln!(out, "{count:>10}  {name}")?;
        spoke = true;
    }
    Ok(if spoke { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

fn print_token(args: &Token) -> Ended {
    // Not an argument: those are in the list of processes and in the history of the shell.
    let mut digits = String::new();
    std::io::stdin().read_line(&mut digits)?;
    let digits = digits.trim();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        eprintln!("authswitch: expected digits on standard input");
        return Ok(ExitCode::from(USAGE));
    }
    match token(&args.key_file, digits.as_bytes()) {
        Ok(token) => {
            writeln!(std::io::stdout().lock(), "{token:016x}")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(why) => {
            eprintln!("authswitch: {why}");
            Ok(ExitCode::from(USAGE))
        }
    }
}

fn load(dir: Option<&Path>, rules: Option<&Path>) -> Result<Config, ()> {
    with_rules(dir, rules).map_err(|mistakes| {
        mistakes.iter().for_each(|mistake| eprintln!("authswitch: {mistake}"));
    })
}
