//! `merchants.csv`: `merchant,region,networks,mcc`, a row a line; where the header says so, also
//! `groups`, and `acquirer` and `terminal` for merchants whose tills differ.
//!
//! Why not a CSV library: a merchant id, a region, names and a number need no quotes, and a file
//! of a million rows is read while somebody waits. A quote is a mistake with a line of its own.

use super::Mistake;
use super::conditions::Vocabulary;
use super::names::unknown;
use super::networks::Networks;
use super::regions::area;
use super::source::Source;
use crate::app::courtesy::Courtesy;
use crate::app::dialect_file::Log;
use crate::base::ids::Area;
use crate::base::map::Map;
use crate::routing::merchants::{
    Groups, KINDS_MAX, Merchant, MerchantRows, MerchantTable, NetworkSet, RowError, Till,
};

/// Reads the file; `None` if it has a mistake.
pub(super) fn read(
    source: &Source<'_>,
    networks: &Networks,
    words: &Vocabulary,
    mistakes: &mut Vec<Mistake>,
) -> Option<MerchantTable> {
    let file = source.file("merchants.csv", mistakes)?;
    let mut log = Log::new(&file.shown, &file.text);
    let table = rows(&file.text, networks, words, &mut log);
    let whole = log.is_empty();
    mistakes.extend(log.into_mistakes());
    whole.then_some(table)
}

fn rows(text: &str, networks: &Networks, words: &Vocabulary, log: &mut Log<'_>) -> MerchantTable {
    let mut lines = text.lines().enumerate();
    let mut header = lines.by_ref().filter(|(_, line)| is_row(line));
    // Rows are read by the header; without one, as if it had no further columns.
    let mut columns = Columns::default();
    let header = header.next().map(|(place, line)| {
        let head = Some(line.trim_end()).filter(|line| line.len() <= LINE_BYTES_MAX);
        let too_long = || format!("longer than {LINE_BYTES_MAX} bytes");
        (place, line, head.ok_or_else(too_long).and_then(Columns::read))
    });
    match header {
        Some((_, _, Ok(read))) => columns = read,
        Some((place, line, Err(reason))) => log.add_at(place + 1, line, reason),
        None => log.add_at(1, "", format!("empty, expected {HEADER:?}")),
    }
    let (regions, sets, said) = (Map::default(), Map::default(), Map::default());
    let mut reader = Reader { networks, words, columns, regions, sets, said };
    let mut rows = MerchantRows::default();
    rows.reserve(text.len() / ROW_BYTES);
    let mut prefix_lines: Vec<usize> = Vec::new();
    let mut courtesy = Courtesy::default();
    let cut = if text.ends_with('\n') { 0 } else { text.lines().count() };
    for (place, line) in lines {
        courtesy.row();
        if place == LINES_MAX {
            log.add_at(place + 1, line, format!("more than {LINES_MAX} lines"));
            break;
        }
        if !is_row(line) {
            continue;
        }
        if log.is_hopeless() {
            break;
        }
        if line.len() > LINE_BYTES_MAX {
            log.add_at(place + 1, line, format!("longer than {LINE_BYTES_MAX} bytes"));
            continue;
        }
        match reader.row(line, &mut rows) {
            // It may still be a row: of a shorter name, of fewer networks.
            Ok(_) if place + 1 == cut => {
                log.add_at(cut, line, "the line has no end: was the file cut off?");
            }
            Ok(true) => prefix_lines.push(place + 1),
            Ok(false) => {}
            Err(reason) => log.add_at(place + 1, line, reason),
        }
    }
    let (table, clashes) = rows.build();
    for (place, (first, second)) in clashes.iter().enumerate() {
        if log.is_full() {
            log.leave_out(clashes.len() - place);
            break;
        }
        let line = |row: u32| prefix_lines.get(row as usize).copied().unwrap_or(0);
        let reason = format!("this prefix has a row in line {} already", line(*first));
        let second = line(*second);
        let offending = text.lines().nth(second.saturating_sub(1)).unwrap_or_default();
        log.add_at(second, offending, reason);
    }
    table
}

/// Where the columns stand that a file need not have.
#[derive(Debug, Clone, Copy, Default)]
struct Columns {
    count: usize,
    groups: Option<usize>,
    acquirer: Option<usize>,
    terminal: Option<usize>,
}

impl Columns {
    fn read(header: &str) -> Result<Self, String> {
        let further =
            header.strip_prefix(HEADER).filter(|rest| rest.is_empty() || rest.starts_with(','));
        let further = further.ok_or_else(|| format!("expected {HEADER:?}"))?;
        let mut columns = Self::default();
        for name in further.split(',').skip(1) {
            let column = match name {
                "groups" => &mut columns.groups,
                "acquirer" => &mut columns.acquirer,
                "terminal" => &mut columns.terminal,
                _ => return Err(unknown("column", name, ["groups", "acquirer", "terminal"])),
            };
            if column.replace(columns.count).is_some() {
                return Err(format!("the column {name:?} is there twice"));
            }
            columns.count += 1;
        }
        Ok(columns)
    }
}

/// Reads rows, and remembers what columns meant: few differ.
struct Reader<'r, 't> {
    networks: &'r Networks,
    words: &'r Vocabulary,
    columns: Columns,
    regions: Map<&'t str, Area>,
    sets: Map<&'t str, NetworkSet>,
    /// All that stood behind an id, as long as it was no till.
    said: Map<&'t str, Merchant>,
}

impl<'t> Reader<'_, 't> {
    /// Adds a row; true if it is one for a prefix.
    fn row(&mut self, line: &'t str, rows: &mut MerchantRows) -> Result<bool, String> {
        let line = line.trim_end();
        let (id, said) = line.split_once(',').unwrap_or((line, ""));
        if let Some(merchant) = self.said.get(said).filter(|_| !id.contains('"')) {
            return add(rows, id, Till::default(), *merchant);
        }
        let mut columns = line.split(',');
        let (Some(_), Some(region), Some(networks), Some(mcc)) =
            (columns.next(), columns.next(), columns.next(), columns.next())
        else {
            return Err(self.wrong_count(line));
        };
        let mut further = [""; FURTHER];
        for place in further.iter_mut().take(self.columns.count) {
            *place = columns.next().ok_or_else(|| self.wrong_count(line))?;
        }
        if columns.next().is_some() {
            return Err(self.wrong_count(line));
        }
        if line.contains('"') {
            return Err("quotes are not known here, no column may contain a comma".to_owned());
        }
        let further = |column: Option<usize>| {
            column.and_then(|place| further.get(place)).copied().filter(|text| !text.is_empty())
        };
        let networks = self.set(networks)?;
        let groups = further(self.columns.groups).map(|names| self.groups(names)).transpose()?;
        let (area, mcc) = (self.region(region)?, category(mcc)?);
        let merchant = Merchant { area, networks, mcc, groups: groups.unwrap_or_default() };
        let till = till(further(self.columns.acquirer), further(self.columns.terminal))?;
        if till == Till::default() && self.said.len() < SAID_MAX {
            self.said.insert(said, merchant);
        }
        add(rows, id, till, merchant)
    }

    fn wrong_count(&self, line: &str) -> String {
        let (expected, found) = (4 + self.columns.count, line.split(',').count());
        let like = if self.columns.count == 0 { HEADER } else { "as in the header" };
        format!("expected {expected} columns, {like}, found {found}")
    }

    fn region(&mut self, code: &'t str) -> Result<Area, String> {
        if let Some(known) = self.regions.get(code) {
            return Ok(*known);
        }
        let read = area(code)?;
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

    fn groups(&self, names: &str) -> Result<Groups, String> {
        names
            .split('|')
            .try_fold(Groups::default(), |set, name| Ok(set.and(self.words.group(name)?)))
    }
}

/// Adds a row; true if it is one for a prefix.
fn add(rows: &mut MerchantRows, id: &str, till: Till, merchant: Merchant) -> Result<bool, String> {
    let added = match id.strip_suffix('*') {
        Some(_) if till != Till::default() => {
            return Err("a prefix has neither acquirer nor terminal".to_owned());
        }
        Some(prefix) => rows.add_prefix(prefix.as_bytes(), merchant).map(|_| true),
        None => rows.add_till(id.as_bytes(), till, merchant).map(|()| false),
    };
    added.map_err(|error| match error {
        RowError::Long => format!("{id:?} is longer than the 15 characters of DE 42"),
        RowError::Text => format!("{id:?} cannot stand in DE 42: printable ASCII, no blanks"),
        RowError::Duplicate => format!("the merchant {id:?} has a row already"),
        RowError::Kinds => format!("more than {KINDS_MAX} rows that say different things"),
    })
}

/// DE 32 and DE 41, each if the row names it.
fn till(acquirer: Option<&str>, terminal: Option<&str>) -> Result<Till, String> {
    let mut till = Till::default();
    if let Some(acquirer) = acquirer {
        let fits = acquirer.len() <= 11 && acquirer.bytes().all(|byte| byte.is_ascii_digit());
        let number = acquirer.parse().ok().filter(|number| fits && *number > 0);
        till.acquirer = number.ok_or_else(|| {
            format!("{acquirer:?} cannot stand in DE 32: 1 to 11 digits, not all zero")
        })?;
    }
    if let Some(terminal) = terminal {
        till.terminal = [b' '; 8];
        let head = till.terminal.get_mut(..terminal.len()).filter(|_| is_text(terminal));
        let wrong = || format!("{terminal:?} cannot stand in DE 41: 1 to 8 characters, no blanks");
        head.ok_or_else(wrong)?.copy_from_slice(terminal.as_bytes());
    }
    Ok(till)
}

fn is_text(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
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

/// What every file has; then, in any order, `groups`, `acquirer`, `terminal`.
const HEADER: &str = "merchant,region,networks,mcc";

/// Rows of which is remembered what they said.
const SAID_MAX: usize = 1 << 16;

/// Columns behind [`HEADER`] at most.
const FURTHER: usize = 3;

/// More than the longest file has rows of a usual length; a file of nothing but line ends is read
/// for seconds, not for a minute.
const LINES_MAX: usize = 20_000_000;

/// A row that names all networks and all groups has less.
const LINE_BYTES_MAX: usize = 8 << 10;

/// A row in most files, bytes: room is made for that many rows at once.
const ROW_BYTES: usize = 32;
