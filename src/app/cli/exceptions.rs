//! `authswitch exceptions`: what a person must look at, from the journal.
//!
//! Two kinds: what a partner will never take or said two things about, and approvals of which
//! nobody knows whether their terminal has seen them (U). It reads and decides nothing; closing an
//! entry is not its business.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::Ended;
use super::journal::{each_record, key_of};
use crate::base::time::Wall;
use crate::switch::record::Record;

/// List what a person must look at: rejected reversals, contradictions, approvals of unknown fate.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of the journal
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The key file; without one, journal.key in the folder
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Ended {
    let key = match key_of(&args.folder, args.key.as_deref()) {
        Ok(key) => key,
        Err(code) => return Ok(code),
    };
    let mut lives = BTreeMap::new();
    let ended = each_record(&args.folder, &key, &mut |_, record| {
        note(&mut lives, record);
        Ok(())
    })?;
    if ended == ExitCode::SUCCESS {
        std::io::stdout().lock().write_all(table(&lives).as_bytes())?;
    }
    Ok(ended)
}

/// What the records say of one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Life {
    at_s: u64,
    stan: u32,
    partner: u16,
    amount: Option<u64>,
    approved: bool,
    handed: bool,
    taken_back: bool,
    exception: Option<u8>,
}

impl Life {
    /// Why a person must look, if so.
    fn why(&self) -> Option<String> {
        if let Some(code) = self.exception {
            return Some(format!("the partner said {code:02}"));
        }
        let unknown = self.approved && !self.handed && !self.taken_back;
        unknown.then(|| "U: approved, seen?".to_owned())
    }
}

fn note(lives: &mut BTreeMap<u64, Life>, record: &Record<'_>) {
    match record {
        Record::Intent(intent) => {
            let life = lives.entry(intent.id).or_default();
            (life.at_s, life.stan) = (intent.at_s, intent.stan);
            (life.partner, life.amount) = (intent.partner.0, intent.amount);
        }
        Record::Outcome(outcome) => {
            lives.entry(outcome.id).or_default().approved = outcome.approved;
        }
        Record::Handed(id) => lives.entry(*id).or_default().handed = true,
        Record::TakenBack(id) => lives.entry(*id).or_default().taken_back = true,
        Record::Owed(owed) => lives.entry(owed.id).or_default().taken_back = true,
        Record::Exception(id, code) => lives.entry(*id).or_default().exception = Some(*code),
        Record::Refused(_) | Record::Sent(_) | Record::Done(_) => {}
    }
}

fn table(lives: &BTreeMap<u64, Life>) -> String {
    let mut text = "transaction      when (UTC)        to   STAN       amount  why\n".to_owned();
    let mut count = 0;
    for (id, life) in lives {
        let Some(why) = life.why() else { continue };
        let at = Wall::from_unix_s(life.at_s).civil();
        let amount = life.amount.map_or("-".to_owned(), |amount| amount.to_string());
        text += &format!(
            "{id:<16} {:04}-{:02}-{:02} {:02}:{:02} {:>3} {:06} {amount:>12}  {why}\n",
            at.year, at.month, at.day, at.hour, at.minute, life.partner, life.stan
        );
        count += 1;
    }
    let plural = if count == 1 { "" } else { "s" };
    text + &format!("{count} exception{plural} in {} transactions\n", lives.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::record::Outcome;

    #[test]
    fn what_nobody_can_know_and_what_was_refused_is_listed_and_nothing_else() {
        let outcome =
            |id| Outcome { id, approved: true, code: *b"00 ", approval: None, part: None };
        let mut lives = BTreeMap::new();
        let records = [
            Record::Outcome(outcome(1)),
            Record::Handed(1),
            Record::Outcome(outcome(2)),
            Record::Outcome(outcome(3)),
            Record::TakenBack(3),
            Record::Outcome(Outcome { approved: false, ..outcome(4) }),
            Record::Exception(5, 30),
        ];
        records.iter().for_each(|record| note(&mut lives, record));
        let listed: Vec<u64> =
            lives.iter().filter(|(_, life)| life.why().is_some()).map(|(id, _)| *id).collect();
        assert_eq!(listed, [2, 5]);
        let text = table(&lives);
        assert!(text.contains("U: approved") && text.contains("the partner said 30"), "{text}");
        assert!(text.ends_with("2 exceptions in 5 transactions\n"), "{text}");
    }
}
