//! What `authswitch check` prints: the configuration as it was understood, or every mistake.
//!
//! Written for a terminal of 80 columns, and for whoever has to see that a file says what was
//! meant: routes with their fallbacks, codes with what they win over.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::source::{DIALECTS_MAX, Source};
use super::{Config, Durability, Mistake, written};
use crate::app::dialect_file;
use crate::base::ids::NetworkId;
use crate::base::money::Currency;
use crate::iso8583::transcode::Transcoder;
use crate::routing::build::RoutePlan;
use crate::routing::quote::Converts;

/// Reads a configuration and says what it is.
///
/// # Errors
///
/// Every mistake, as text for people.
pub fn check(dir: Option<&Path>) -> Result<String, String> {
    let (config, mut mistakes) = match Config::load(dir) {
        Ok(config) => (Some(config), Vec::new()),
        Err(mistakes) => (None, mistakes),
    };
    for mistake in Source::new(dir).dialects().map(|dir| in_dialects(&dir)).unwrap_or_default() {
        if !mistakes.contains(&mistake) {
            mistakes.push(mistake);
        }
    }
    config
        .filter(|_| mistakes.is_empty())
        .map(|config| summary(&config))
        .ok_or_else(|| told(&mistakes))
}

/// The mistakes of all dialects in a folder: of those that no link names, too, so that one is known
/// to be sound before a link is moved to it.
fn in_dialects(dir: &Path) -> Vec<Mistake> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort_unstable();
    // Those behind are one mistake already.
    paths.truncate(DIALECTS_MAX);
    let names = paths.iter().filter_map(|path| path.to_str());
    names.filter_map(|name| dialect_file::load(name, Some(dir)).err()).flatten().collect()
}

fn told(mistakes: &[Mistake]) -> String {
    let mut text = String::new();
    for mistake in mistakes {
        let place = match mistake.line {
            0 => mistake.file.clone(),
            line => format!("{}:{line}", mistake.file),
        };
        wrapped(&mut text, &format!("{place}: {}", mistake.reason), "    ");
        if !mistake.text.is_empty() && mistake.line > 0 {
            line(&mut text, format_args!("    | {}", mistake.text));
        }
    }
    let count = mistakes.len();
    line(&mut text, format_args!("{count} mistake{}", if count == 1 { "" } else { "s" }));
    text
}

fn summary(config: &Config) -> String {
    let mut text = format!("{}: no mistakes, hash {}\n\n", config.origin, config.hash);
    settings(&mut text, config);
    let mut rows = vec![row(["ACQUIRER", "LISTEN", "DIALECT", "SIGN-ON"])];
    for acquirer in &config.acquirers {
        let sign_on = if acquirer.sign_on_required { "required" } else { "not required" };
        let listen = acquirer.listen.to_string();
        rows.push(row([&acquirer.name, &listen, acquirer.dialect.name(), sign_on]));
    }
    table(&mut text, &rows);
    partners(&mut text, config);
    networks(&mut text, config);
    routes(&mut text, config);
    refusals(&mut text, config);
    quotes(&mut text, config);
    stand_in(&mut text, config);
    match config.routes.merchants() {
        Some(merchants) => {
            let (rows, prefixes) = (merchants.exact_len(), merchants.prefixes_len());
            line(&mut text, format_args!("merchants  {rows} by name, {prefixes} prefixes"));
        }
        None => line(&mut text, format_args!("merchants  not checked")),
    }
    notes(&mut text, config);
    text
}

fn settings(text: &mut String, config: &Config) {
    let settings = &config.settings;
    let workers = match settings.workers {
        0 => "one per core".to_owned(),
        workers => workers.to_string(),
    };
    let pin = if settings.pin { "pinned" } else { "not pinned" };
    let durability = match settings.durability {
        Durability::None => "none (nothing survives a crash)",
        Durability::Process => "process (survives a crash, not a power cut)",
        Durability::Power => "power (survives a power cut)",
    };
    line(text, format_args!("workers    {workers}, {pin}, spin {}", written(settings.spin)));
    line(text, format_args!("durability {durability}"));
    line(text, format_args!("drain      at most {}", written(settings.drain_deadline)));
    line(text, format_args!(""));
}

fn partners(text: &mut String, config: &Config) {
    let mut rows =
        vec![row(["PARTNER", "CONNECT", "SESSIONS", "DIALECT", "SIGN-ON", "ECHO", "IN FLIGHT"])];
    for partner in &config.partners {
        let echo = match partner.echo_interval {
            interval if interval.is_zero() => "never".to_owned(),
            interval => written(interval),
        };
        rows.push(row([
            &partner.name,
            &partner.connect,
            &partner.sessions.to_string(),
            partner.dialect.name(),
            if partner.sign_on { "yes" } else { "no" },
            &echo,
            &partner.in_flight_max.to_string(),
        ]));
    }
    table(text, &rows);
}

fn networks(text: &mut String, config: &Config) {
    let mut rows = vec![row(["NETWORK", "HOME", "FORMS", "RIDES ON", "TWIN OF"])];
    for plan in &config.written.networks {
        let home = plan.home.map_or_else(String::new, |home| home.to_string());
        let forms = plan.rules.len().to_string();
        let within = plan.within.map_or("", |id| config.routes.network_name(id));
        let twin = plan.twin.map_or("", |id| config.routes.network_name(id));
        rows.push(row([&plan.name, &home, &forms, within, twin]));
    }
    table(text, &rows);
}

fn routes(text: &mut String, config: &Config) {
    let mut rows = vec![row(["ROUTE", "NETWORK", "REGION", "BUDGET", "PARTNERS"])];
    for plan in &config.written.routes {
        let networks = plan.networks.iter().map(|id| config.routes.network_name(*id).to_owned());
        let regions = plan.areas.iter().map(ToString::to_string);
        let partners = plan.partners.iter().map(|link| config.link_name(*link));
        rows.push(row([
            &plan.name,
            &or_star(networks.collect()),
            &or_star(regions.collect()),
            &written(plan.budget),
            &partners.collect::<Vec<_>>().join(", "),
        ]));
    }
    table(text, &rows);
}

/// Rules that refuse, with DE 39 of their answers.
fn refusals(text: &mut String, config: &Config) {
    let mut rows = vec![row(["REFUSAL", "DE 39"])];
    for refusal in config.routes.refusals() {
        rows.push(row([&refusal.name, &format!("{:02}", refusal.code.number())]));
    }
    if rows.len() > 1 {
        table(text, &rows);
    }
}

/// Rates, and the routes whose partners are told amounts by them.
fn quotes(text: &mut String, config: &Config) {
    let mut rows = vec![row(["QUOTE", "SINCE", "UNTIL"])];
    for quote in config.written.quotes.all() {
        let since = quote.since.map_or_else(String::new, |since| since.to_string());
        rows.push(row([&quote.to_string(), &since, &quote.until.to_string()]));
    }
    if rows.len() > 1 {
        table(text, &rows);
    }
    let mut rows = vec![row(["ROUTE", "SETTLES IN", "BILLS IN"])];
    for plan in config.written.routes.iter().filter(|plan| plan.converts != Converts::default()) {
        let Converts { settles_in, bills_in } = plan.converts;
        let letters = |currency: Option<Currency>| currency.map_or("", Currency::letters);
        rows.push(row([&plan.name, letters(settles_in), letters(bills_in)]));
    }
    if rows.len() > 1 {
        table(text, &rows);
    }
}

/// Routes whose requests may be approved in the place of their partners, amounts in minor units.
fn stand_in(text: &mut String, config: &Config) {
    let columns = ["STAND-IN", "CURRENCY", "FLOOR", "CARD", "MERCHANT", "TOTAL"];
    let mut rows = vec![row(columns)];
    for plan in &config.written.routes {
        let Some(policy) = &plan.stand_in else { continue };
        for limits in &policy.currencies {
            rows.push(row([
                &plan.name,
                &format!("{:03}", limits.currency.number()),
                &limits.floor.to_string(),
                &format!("{} in {}", limits.card, policy.card_count),
                &format!("{} in {}", limits.merchant, policy.merchant_count),
                &limits.total.to_string(),
            ]));
        }
    }
    if rows.len() > 1 {
        table(text, &rows);
    }
}

/// What is no mistake but may surprise.
fn notes(text: &mut String, config: &Config) {
    let stands_in = config.written.routes.iter().any(|plan| plan.stand_in.is_some());
    if stands_in && config.settings.durability == Durability::None {
        let note = "note: stand-in without a journal: a crash forgets its limits and its advices";
        wrapped(text, note, "      ");
    }
    for partner in &config.partners {
        let asks = |plan: &RoutePlan| plan.partners.contains(&partner.link);
        if !config.written.routes.iter().any(asks) {
            line(text, format_args!("note: no route asks {}", partner.name));
        }
    }
    for (place, plan) in config.written.networks.iter().enumerate() {
        if !config.routes.serves(NetworkId(place as u16)) {
            line(text, format_args!("note: {} has no route, its requests are declined", plan.name));
        }
    }
    let mut pairs = Vec::new();
    for acquirer in &config.acquirers {
        for partner in &config.partners {
            let pair = (acquirer.dialect.name(), partner.dialect.name());
            if pairs.contains(&pair) {
                continue;
            }
            pairs.push(pair);
            let losses = Transcoder::compile(&acquirer.dialect, &partner.dialect).losses;
            let always: Vec<_> = losses.iter().filter(|loss| loss.always).collect();
            let listed: Vec<_> = always.iter().map(|loss| loss.element.to_string()).collect();
            if !listed.is_empty() {
                let (from, to) = pair;
                let note = format!("note: {from} to {to} drops DE {}", listed.join(", "));
                wrapped(text, &note, "      ");
            }
        }
    }
}

fn or_star(names: Vec<String>) -> String {
    if names.is_empty() { "*".to_owned() } else { names.join(" ") }
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// Columns as wide as their widest cell, two blanks between them, and an empty line. A last cell
/// that does not fit goes on below itself.
fn table(text: &mut String, rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).filter_map(width).collect();
    let before: usize = widths.iter().rev().skip(1).map(|width| width + 2).sum();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}  "));
        let whole: String = cells.collect();
        let indent = " ".repeat(before);
        match whole.trim_end() {
            fitting if fitting.chars().count() <= COLUMNS => line(text, format_args!("{fitting}")),
            long => wrapped(text, long, &indent),
        }
    }
    line(text, format_args!(""));
}

/// Words in lines of at most 80 columns, all but the first indented.
fn wrapped(text: &mut String, words: &str, indent: &str) {
    let mut column = 0;
    for word in words.split(' ') {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > COLUMNS {
            text.push('\n');
            text.push_str(indent);
            column = indent.len();
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    text.push('\n');
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{arguments}");
}

const COLUMNS: usize = 80;
