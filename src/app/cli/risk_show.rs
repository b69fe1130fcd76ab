//! `authswitch risk show`: what limits have counted for one card, merchant or terminal.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::journal::{each_record, key_of};
use super::{Ended, FAILED, USAGE};
use crate::app::config::{Config, list_entry, written};
use crate::app::recount::Recount;
use crate::app::snapshot::restore;
use crate::app::wiring::links;
use crate::base::time::Wall;
use crate::net::Clock;
use crate::risk::list::Listed;
use crate::risk::rule::Test;
use crate::risk::{Rules, token};

/// Say what limits have counted for somebody by now, from the requests on record: under each rule,
/// for each key that the requests counted under. Declines and reversals are given back as the
/// switch does it. Exit code 0: something is on record, 1: nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A token, "merchant SHOP-1" or "terminal POS1"; "-" reads a card number or code from standard
    /// input
    #[arg(value_name = "KEY")]
    who: String,
    /// The folder whose rules and routes are meant
    #[arg(long, value_name = "DIR")]
    config: PathBuf,
    /// The journal
    #[arg(long, value_name = "DIR")]
    journal: PathBuf,
    /// The key file of the journal; without one, journal.key in its folder
    #[arg(long, visible_alias = "journal-key", value_name = "FILE")]
    key: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Ended {
    let config = match Config::load(Some(&args.config)) {
        Ok(config) => config,
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| eprintln!("authswitch: {mistake}"));
            return Ok(ExitCode::from(USAGE));
        }
    };
    let Some(rules) = &config.rules else { return wrong("there are no rules") };
    let who = match who(args, rules)? {
        Ok(who) => who,
        Err(why) => return wrong(&why),
    };
    let key = match key_of(&args.journal, args.key.as_deref()) {
        Ok(key) => key,
        Err(code) => return Ok(code),
    };
    let now = Clock::start().now().wall;
    // What the switch would say of a snapshot that it cannot use is not asked here.
    let kept = rules.snapshot_interval().map(|_| restore(&args.journal, rules, now));
    let kept = kept.transpose().unwrap_or_default().flatten();
    let recount = Recount::new(rules, &config.routes, &links(&config)).seeking(who);
    let mut recount = recount.since(kept.map_or(Wall::default(), |kept| kept.since));
    let ended = each_record(&args.journal, &key, &mut |_, record| {
        recount.add(record, now);
        Ok(())
    })?;
    if ended != ExitCode::SUCCESS {
        return Ok(ended);
    }
    told(&recount, rules)
}

fn who(args: &Args, rules: &Arc<Rules>) -> std::io::Result<Result<Listed, String>> {
    if args.who != "-" {
        return Ok(match list_entry(&args.who, true) {
            Ok(Some(Listed::Prefix(_)) | None) => Err("a prefix is no key of a limit".to_owned()),
            Ok(Some(who)) => Ok(who),
            Err(why) => Err(why),
        });
    }
    let mut digits = String::new();
    std::io::stdin().read_line(&mut digits)?;
    let digits = digits.trim();
    let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let token = || Listed::Token(token(rules.secret(), digits.as_bytes()));
    Ok(are_digits.then(token).ok_or_else(|| "expected digits on standard input".to_owned()))
}

fn told(recount: &Recount, rules: &Rules) -> Ended {
    let mut out = std::io::stdout().lock();
    let (requests, counted) = recount.found();
    writeln!(out, "{requests} requests on record")?;
    for (place, total, limit) in counted {
        let Some(rule) = rules.rules().get(usize::from(place)) else { continue };
        let Test::Velocity(velocity) = &rule.test else { continue };
        let window = written(velocity.window);
        writeln!(
            out,
            "{total:>12} of {limit} in {window}  {} ({})",
            rule.name,
            rule.action.name()
        )?;
    }
    Ok(if requests > 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn wrong(why: &str) -> Ended {
    eprintln!("authswitch: {why}");
    Ok(ExitCode::from(USAGE))
}
