//! What the demonstration looks like: 80 columns of text, painted only on a terminal.
//!
//! Account data is masked here as everywhere.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use super::fleet::Heard;
use super::summary::{Row, Summary};
use super::traffic::{Case, Damage, Expected, Pays};
use super::{Act, SERIES, Stage, WARM_UPS};
use crate::app::config::written;
use crate::base::money::Currency;
use crate::base::pan::masked;
use crate::switch::decision::Outcome;
use crate::switch::fault::Fault;
use crate::switch::{Counter, Stats};

/// Whether colours may be used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// True on a terminal that does not mind.
    pub(super) coloured: bool,
}

impl Look {
    fn paint(self, code: &'static str, text: String) -> String {
        if self.coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text }
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text.to_owned())
    }

    fn dim(self, text: String) -> String {
        self.paint("2", text)
    }

    fn result(self, code: &str, text: String) -> String {
        self.paint(if code == "00" { "32" } else { "33" }, text)
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "DE 39 = {code}"),
            Self::Nonsense(what) => f.write_str(what),
            Self::Closed => f.write_str("a closed connection"),
            Self::Nothing => f.write_str("no answer"),
        }
    }
}

/// Says what runs.
pub(super) fn opening(out: &mut impl Write, look: Look, stage: &Stage) -> io::Result<()> {
    let (address, workers) = (stage.shell.addresses().first(), stage.workers);
    let plural = if workers == 1 { "" } else { "s" };
    let pos = stage.dialects.first().map_or("", |dialect| dialect.name());
    let mut spoken: Vec<(&str, usize)> = Vec::new();
    for dialect in stage.dialects.iter().skip(1) {
        match spoken.iter_mut().find(|(name, _)| *name == dialect.name()) {
            Some((_, count)) => *count += 1,
            None => spoken.push((dialect.name(), 1)),
        }
    }
    let spoken: Vec<String> =
        spoken.iter().map(|(name, count)| format!("{count} speak {name}")).collect();
    let partners = stage.partners.addresses.len();
    writeln!(out, "{}", look.bold(TITLE))?;
    writeln!(out, "  terminals  each on its own connection, in {pos}")?;
    if let Some(address) = address {
        writeln!(out, "  switch     at {address}, {workers} worker{plural}")?;
    }
    writeln!(out, "  partners   {partners} simulated networks: {}", spoken.join(", "))?;
    writeln!(out)?;
    out.flush()
}

/// The heads of the columns.
pub(super) fn head(out: &mut impl Write, look: Look) -> io::Result<()> {
    let line = format!(
        "{:>2}  {:<31}{:>13}  {:<4}  {:<16} {:>7}",
        "#", "payment", "amount", "MTI", "DE 39", "us *"
    );
    writeln!(out, "{}", look.bold(&line))?;
    writeln!(
        out,
        "{}",
        look.dim(format!("    {:<24}  network -> route -> partner, or why not", "code or PAN"))
    )
}

/// One message: what was asked and what came of it; below, the way it took.
pub(super) fn act(
    out: &mut impl Write,
    look: Look,
    number: usize,
    case: &Case,
    act: &Act,
    stage: &Stage,
) -> io::Result<()> {
    let (code, result) = match &act.trip.heard {
        Heard::Code(code) => (code.as_str(), format!("{code} {}", meaning(code))),
        Heard::Closed => ("", "closed".to_owned()),
        other => ("", other.to_string()),
    };
    let is_text = case.damage != Damage::Length;
    let amount = if is_text { amount(case) } else { String::new() };
    let mti = if is_text { case.mti } else { "" };
    writeln!(
        out,
        "{number:>2}  {:<31}{amount:>13}  {mti:<4}  {} {:>7}",
        case.what,
        look.result(code, format!("{result:<16}")),
        grouped(act.added().as_micros()),
    )?;
    let (Pays::Code(account) | Pays::Card(account)) = case.pays;
    let account = if is_text { masked(account) } else { String::new() };
    let way = way(case, act);
    writeln!(out, "{}", look.dim(format!("    {account:<24}  {way}")))?;
    if let (Some(way), Some(seen)) = (&act.way, &act.seen)
        && seen.mti != act.trip.mti
    {
        let pos = stage.dialects.first().map_or("", |dialect| dialect.name());
        let (from, to) = (hex(&act.trip.mti), hex(&seen.mti));
        let (before, after, dialect) = (act.trip.bytes, seen.bytes, &way.dialect);
        let (from, to) = (format!("{pos} {from}.."), format!("{dialect} {to}.."));
        let line = format!("    transcoded: {from} {before} bytes -> {to} {after} bytes");
        writeln!(out, "{}", look.dim(line))?;
    }
    out.flush()
}

/// Where the request went, or why it went nowhere.
fn way(case: &Case, act: &Act) -> String {
    match (&act.way, act.outcome, case.expected) {
        (Some(way), _, _) => {
            let late = act.timed_out().then(|| format!(" ({})", written(way.budget)));
            let late = late.unwrap_or_default();
            format!("{} -> {} -> {}{late}", way.network, way.route, way.partner)
        }
        (None, Some(Outcome::Failed(Fault::Damaged(error))), _) => error.to_string(),
        (None, _, Expected::Refused { why, .. } | Expected::Closed { why }) => why.to_owned(),
        (None, _, Expected::Sent { .. }) => "not sent".to_owned(),
    }
}

/// The tables at the end.
pub(super) fn closing(
    out: &mut impl Write,
    look: Look,
    summary: &Summary,
    stats: &Stats,
) -> io::Result<()> {
    writeln!(out)?;
    for line in FOOTNOTE {
        writeln!(out, "{line}")?;
    }
    writeln!(out)?;
    let heads = ["sent", "approved", "declined", "no answer", "p50 us *", "max us *"];
    let heads: String = heads.iter().map(|head| format!("{head:>10}")).collect();
    writeln!(out, "{}", look.bold(&format!("{:<18}{heads}", "route")))?;
    for row in summary.rows.iter().filter(|row| row.sent > 0) {
        let Row { name, sent, approved, declined, timed_out, .. } = row;
        let (median, worst) = (shown(row.median()), shown(row.worst()));
        write!(out, "{name:<18}{sent:>10}{approved:>10}{declined:>10}{timed_out:>10}")?;
        writeln!(out, "{median:>10}{worst:>10}")?;
    }
    writeln!(out, "{}", look.dim(format!("The messages above and {SERIES} more on each route.")))?;
    writeln!(out)?;
    writeln!(out, "{}", look.bold("counters of the switch"))?;
    let counted = Counter::ALL.into_iter().filter(|counter| stats.of(*counter) > 0);
    let cells: Vec<String> =
        counted.map(|counter| format!("{:<18}{:>6}", counter.name(), stats.of(counter))).collect();
    for cells in cells.chunks(3) {
        writeln!(out, "  {}", cells.join("   "))?;
    }
    let warm_ups = format!("With {WARM_UPS} messages of each terminal to warm up, not shown.");
    writeln!(out, "{}", look.dim(warm_ups))?;
    writeln!(out)
}

/// Whether all was as it must be, and what to try next.
pub(super) fn verdict(
    out: &mut impl Write,
    look: Look,
    messages: usize,
    mistakes: &[String],
) -> io::Result<()> {
    if mistakes.is_empty() {
        let line = format!("All {messages} messages ended as they must.");
        writeln!(out, "{}", look.result("00", line))?;
    }
    for mistake in mistakes.iter().take(MISTAKES_SHOWN) {
        writeln!(out, "{}", look.paint("31", format!("WRONG  {mistake}")))?;
    }
    if mistakes.len() > MISTAKES_SHOWN {
        writeln!(out, "WRONG  and {} more", mistakes.len() - MISTAKES_SHOWN)?;
    }
    for line in NEXT {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

fn meaning(code: &str) -> &'static str {
    match code {
        "00" => "approved",
        "03" => "no such shop",
        "14" => "unknown code",
        "30" => "format error",
        "51" => "no funds",
        "58" => "not accepted",
        "91" => "no answer",
        "92" => "no route",
        "96" => "malfunction",
        _ => "",
    }
}

/// The amount with its currency, with as many decimals as that has.
fn amount(case: &Case) -> String {
    let (number, letters) = case.currency;
    let exponent = Currency::from_number(number).unwrap_or_default().exponent();
    let unit = 10u64.pow(u32::from(exponent));
    let whole = grouped(u128::from(case.minor / unit));
    match exponent {
        0 => format!("{letters} {whole}"),
        _ => format!("{letters} {whole}.{:0width$}", case.minor % unit, width = exponent.into()),
    }
}

/// A number with a comma between each three digits.
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn shown(duration: Option<Duration>) -> String {
    duration.map_or_else(|| "-".to_owned(), |duration| grouped(duration.as_micros()))
}

fn hex(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.concat()
}

const TITLE: &str = "authswitch demo: default configuration, simulated terminals and partners";

const FOOTNOTE: [&str; 5] = [
    "* Microseconds that the switch added: the round trip as the terminal saw it,",
    "  minus the time the partner held the request, both measured here, so with the",
    "  sockets on both sides. For what the switch answers itself it is the whole",
    "  round trip, and for the time-out what came on top of the budget of the route.",
    "  Single messages vary with whatever else the machine does.",
];

const NEXT: [&str; 3] = [
    "Next:  loadtest partner --listen 127.0.0.1:7501      and, in two more terminals,",
    "       authswitch serve --acquirer 127.0.0.1:7400 --partner 127.0.0.1:7501",
    "       loadtest run --target 127.0.0.1:7400 --closed",
];

/// More than these would only push the first out of sight.
const MISTAKES_SHOWN: usize = 10;

#[cfg(test)]
mod tests {
    use super::super::traffic::CASES;
    use super::*;

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        let of = |minor, currency| amount(&Case { minor, currency, ..CASES[0] });
        assert_eq!(of(1_299_900, (156, "CNY")), "CNY 12,999.00");
        assert_eq!(of(189_000, (410, "KRW")), "KRW 189,000");
        assert_eq!(of(7, (702, "SGD")), "SGD 0.07");
    }

    #[test]
    fn nothing_is_wider_than_a_terminal() {
        assert!(FOOTNOTE.iter().chain(&NEXT).all(|line| line.len() <= 80));
        assert!(CASES.iter().all(|case| case.what.len() <= 31 && amount(case).len() <= 13));
    }
}
