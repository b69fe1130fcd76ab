//! `merchants.csv`: `merchant,region,networks,mcc`, a row a line.
//!
//! Why not a CSV library: a merchant id, a region, names and a number need no quotes, and a file
//! of a million rows is read while somebody waits. A quote is a mistake with a line of its own.

use super::Mistake;
use super::log::Log;
use super::networks::Networks;
use super::regions::region;
use super::source::Source;
use crate::base::ids::Region;
use crate::base::map::Map;
use crate::routing::merchants::{Merchant, MerchantRows, MerchantTable, NetworkSet, RowError};

/// Reads the file; `None` if it has a mistake.
pub(super) fn read(
    source: &Source<'_>,
    networks: &Networks,
    mistakes: &mut Vec<Mistake>,
) -> Option<MerchantTable> {
    let file = source.file("merchants.csv", mistakes)?;
    let mut log = Log::new(&file.shown, &file.text);
    let table = rows(&file.text, networks, &mut log);
    let whole = log.is_empty();
    log.finish(mistakes);
    whole.then_some(table)
}

fn rows(text: &str, networks: &Networks, log: &mut Log<'_>) -> MerchantTable {
    let mut lines = text.lines().enumerate();
    let mut header = lines.by_ref().filter(|(_, line)| is_row(line));
    match header.next() {
        Some((_, line)) if line.trim_end() == HEADER => {}
        Some((place, line)) => log.add_at(place + 1, line, format!("expected {HEADER:?}")),
        None => log.add_at(1, "", format!("empty, expected {HEADER:?}")),
    }
    let mut reader = Reader { networks, regions: Map::default(), sets: Map::default() };
    let mut rows = MerchantRows::default();
    rows.reserve(text.len() / ROW_BYTES);
    let mut prefix_lines: Vec<usize> = Vec::new();
    for (place, line) in lines {
        if !is_row(line) {
            continue;
        }
        match reader.row(line, &mut rows) {
            Ok(true) => prefix_lines.push(place + 1),
            Ok(false) => {}
            Err(reason) => log.add_at(place + 1, line, reason),
        }
    }
    let (table, clashes) = rows.build();
    for (first, second) in clashes {
        let line = |row: u32| prefix_lines.get(row as usize).copied().unwrap_or(0);
        let reason = format!("this prefix has a row in line {} already", line(first));
        let second = line(second);
        let offending = text.lines().nth(second.saturating_sub(1)).unwrap_or_default();
        log.add_at(second, offending, reason);
    }
    table
}

/// Reads rows, and remembers what columns meant: few differ.
struct Reader<'r, 't> {
    networks: &'r Networks,
    regions: Map<&'t str, Region>,
    sets: Map<&'t str, NetworkSet>,
}

impl<'t> Reader<'_, 't> {
    /// Adds a row; true if it is one for a prefix.
    fn row(&mut self, line: &'t str, rows: &mut MerchantRows) -> Result<bool, String> {
        let mut columns = line.trim_end().split(',');
        let (Some(id), Some(region), Some(networks), Some(mcc), None) =
            (columns.next(), columns.next(), columns.next(), columns.next(), columns.next())
        else {
            let found = line.split(',').count();
            return Err(format!("expected 4 columns, {HEADER}, found {found}"));
        };
        if line.contains('"') {
            return Err("quotes are not known here, no column may contain a comma".to_owned());
        }
        let networks = self.set(networks)?;
        let merchant = Merchant { region: self.region(region)?, networks, mcc: category(mcc)? };
        let added = match id.strip_suffix('*') {
            Some(prefix) => rows.add_prefix(prefix.as_bytes(), merchant).map(|_| true),
            None => rows.add(id.as_bytes(), merchant).map(|()| false),
        };
        added.map_err(|error| match error {
            RowError::Long => format!("{id:?} is longer than the 15 characters of DE 42"),
            RowError::Text => format!("{id:?} cannot stand in DE 42: printable ASCII, no blanks"),
            RowError::Duplicate => format!("the merchant {id:?} has a row already"),
        })
    }

    fn region(&mut self, code: &'t str) -> Result<Region, String> {
        if let Some(known) = self.regions.get(code) {
            return Ok(*known);
        }
        let read = region(code)?;
        self.regions.insert(code, read);
        Ok(read)
    }

    fn set(&mut self, names: &'t str) -> Result<NetworkSet, String> {
        if let Some(known) = self.sets.get(names) {
            return Ok(*known);
        }
        let mut set = NetworkSet::default();
        if names == "*" {
            set = NetworkSet::ALL;
        } else {
            for name in names.split('|') {
                let id = self.networks.id(name)?;
                if set.contains(id) {
                    return Err(format!("the network {name:?} is listed twice"));
                }
                set = set.with(id);
            }
        }
        self.sets.insert(names, set);
        Ok(set)
    }
}

/// Four digits of ISO 18245, or nothing.
fn category(mcc: &str) -> Result<u16, String> {
    match mcc.len() {
        0 => Ok(0),
        4 if mcc.bytes().all(|byte| byte.is_ascii_digit()) => {
            mcc.parse().map_err(|_| "expected a category of four digits".to_owned())
        }
        _ => Err(format!("{mcc:?} is no merchant category, expected four digits or nothing")),
    }
}

fn is_row(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#') && !line.trim().is_empty()
}

const HEADER: &str = "merchant,region,networks,mcc";

/// A row in most files, bytes: room is made for that many rows at once.
const ROW_BYTES: usize = 32;
