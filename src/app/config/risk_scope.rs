//! For whom a rule of `risk.toml` is: `network`, `region`, `home`, `abroad`, `corridor`, `mcc`,
//! `merchant`, `currency`, `entry_mode`, `kind`, and the window as routes have it.

use super::conditions::{Vocabulary, kind, texts, window};
use super::regions::region;
use super::risk::Words;
use super::table::{Entry, Table};
use crate::app::dialect_file::Log;
use crate::base::ids::Region;
use crate::base::money::Currency;
use crate::base::window::Window;
use crate::risk::rule::Scope;

/// The scope of a rule.
pub(super) fn read(table: &mut Table<'_>, words: Words<'_>, log: &mut Log<'_>) -> Scope {
    let networks = texts(table, "network", log, |name| match words {
        Some((networks, _)) => networks.id(name).map(Some),
        None => Ok(None),
    });
    let mccs = table.take("mcc").map(|entry| entry.one_or_more(log)).unwrap_or_default();
    let usual = Vocabulary::default();
    let vocabulary = words.map_or(&usual, |(_, words)| words);
    let is_known = |item: &Entry<'_>| words.is_some() || item.is_number();
    let mccs: Vec<_> = mccs.into_iter().filter(is_known).collect();
    Scope {
        networks: networks.into_iter().flatten().collect(),
        regions: texts(table, "region", log, region),
        homes: texts(table, "home", log, region),
        abroad: table.flag("abroad", false, log),
        mccs: vocabulary.categories(&mccs, log),
        corridors: texts(table, "corridor", log, corridor),
        merchants: texts(table, "merchant", log, merchant),
        currencies: texts(table, "currency", log, currency),
        entry_modes: texts(table, "entry_mode", log, entry_mode),
        kinds: texts(table, "kind", log, kind),
        window: possible(table, log),
    }
}

fn possible(table: &mut Table<'_>, log: &mut Log<'_>) -> Option<Window> {
    let span = table.take("until").map(|entry| entry.span);
    let window = window(table, log)?;
    if !window.is_possible() {
        log.add(&span.unwrap_or_default(), "it ends before it begins");
    }
    Some(window)
}

/// `"KR->CN"`: from the home of the wallet to where the merchant is.
fn corridor(text: &str) -> Result<(Region, Region), String> {
    match text.split_once("->") {
        Some((home, there)) => Ok((region(home.trim())?, region(there.trim())?)),
        None => Err(format!("{text:?} is no corridor, expected one like \"KR->CN\"")),
    }
}

/// DE 42, or its beginning and a star.
fn merchant(text: &str) -> Result<String, String> {
    match text.strip_suffix('*').unwrap_or(text).len() {
        0 | 16.. => Err(format!("{text:?} is no merchant: 1 to 15 characters, or some and a *")),
        _ => Ok(text.to_owned()),
    }
}

fn currency(letters: &str) -> Result<Currency, String> {
    let wrong = || format!("{letters:?} is no currency of ISO 4217, expected one like \"KRW\"");
    Currency::from_letters(letters).ok_or_else(wrong)
}

/// `"031"` or `"03x"`: three digits of DE 22, the last of which may be any.
fn entry_mode(text: &str) -> Result<(u16, u16), String> {
    let wrong = || "expected DE 22 like \"031\", or \"03x\" for any of them".to_owned();
    let (digits, is_any) = match text.strip_suffix('x') {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let number: u16 = digits.parse().map_err(|_| wrong())?;
    match (is_any, digits.len()) {
        (true, 2) => Ok((number * 10, number * 10 + 9)),
        (false, 3) => Ok((number, number)),
        _ => Err(wrong()),
    }
}
