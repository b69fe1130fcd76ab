//! A TOML table of a scenario, read key by key; the first mistake ends it, with its place.
//!
//! Why not a derived `Deserialize`: elements are keys beside words, and a mistake in a value (a
//! partner that does not exist, a duration without a unit) is to be shown where it stands.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::partner::duration_ns;

/// What cannot be used, and where it stands, in bytes from the begin of the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) at: Range<usize>,
    pub(crate) text: String,
}

pub(crate) type Read<T> = Result<T, Mistake>;

/// A table whose keys are taken one by one; what nobody took is unknown.
pub(crate) struct Table<'t> {
    entries: Vec<(&'t str, Entry<'t>)>,
    known: Vec<&'static str>,
    pub(crate) at: Range<usize>,
}

/// A value and where it stands.
#[derive(Clone)]
pub(crate) struct Entry<'t> {
    pub(crate) at: Range<usize>,
    pub(crate) value: &'t DeValue<'t>,
}

impl<'t> Table<'t> {
    pub(crate) fn new(table: &'t DeTable<'t>, at: Range<usize>) -> Table<'t> {
        let entry = |(key, value): (&'t Spanned<_>, &'t Spanned<DeValue<'t>>)| {
            let key: &'t Spanned<toml::de::DeString<'t>> = key;
            // The table of a `[header]` stands before its key, which is what to show.
            let (from, to) = (key.span(), value.span());
            let end = if to.start < from.start { from.end } else { to.end };
            (&**key.get_ref(), Entry { at: from.start..end, value: value.get_ref() })
        };
        Table { entries: table.iter().map(entry).collect(), known: Vec::new(), at }
    }

    pub(crate) fn take(&mut self, key: &'static str) -> Option<Entry<'t>> {
        self.known.push(key);
        let place = self.entries.iter().position(|(name, _)| *name == key)?;
        Some(self.entries.remove(place).1)
    }

    pub(crate) fn need(&mut self, key: &'static str) -> Read<Entry<'t>> {
        let at = self.at.clone();
        self.take(key).ok_or_else(|| Mistake { at, text: format!("{key} is missing") })
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Read<Option<&'t str>> {
        self.take(key).map(|entry| entry.text()).transpose()
    }

    pub(crate) fn number(
        &mut self,
        key: &'static str,
        range: Range<u64>,
        absent: u64,
    ) -> Read<u64> {
        self.take(key).map_or(Ok(absent), |entry| entry.number(range))
    }

    pub(crate) fn flag(&mut self, key: &'static str) -> Read<bool> {
        let Some(entry) = self.take(key) else { return Ok(false) };
        entry.value.as_bool().ok_or_else(|| entry.mistake("expected true or false"))
    }

    pub(crate) fn time(&mut self, key: &'static str) -> Read<Option<Duration>> {
        self.take(key).map(|entry| entry.time()).transpose()
    }

    /// One text, or a list of them.
    pub(crate) fn texts(&mut self, key: &'static str) -> Read<Vec<&'t str>> {
        let entries = self.take(key).map_or(Ok(Vec::new()), |entry| entry.one_or_more())?;
        entries.iter().map(Entry::text).collect()
    }

    /// One table, or a list of them.
    pub(crate) fn tables(&mut self, key: &'static str) -> Read<Vec<Table<'t>>> {
        let entries = self.take(key).map_or(Ok(Vec::new()), |entry| entry.one_or_more())?;
        entries.iter().map(Entry::table).collect()
    }

    /// Whatever is left, by its key.
    pub(crate) fn rest(self) -> Vec<(&'t str, Entry<'t>)> {
        self.entries
    }

    /// Nothing may be left.
    pub(crate) fn finish(self) -> Read<()> {
        match self.entries.first() {
            None => Ok(()),
            Some((key, entry)) => {
                let known = self.known.join(", ");
                Err(entry.mistake(format!("unknown key {key:?}, expected one of {known}")))
            }
        }
    }
}

impl<'t> Entry<'t> {
    pub(crate) fn mistake(&self, text: impl Into<String>) -> Mistake {
        Mistake { at: self.at.clone(), text: text.into() }
    }

    pub(crate) fn text(&self) -> Read<&'t str> {
        self.value.as_str().ok_or_else(|| self.mistake("expected text in quotes"))
    }

    pub(crate) fn number(&self, range: Range<u64>) -> Read<u64> {
        let number = self.value.as_integer().and_then(|number| number.as_str().parse().ok());
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            let most = range.end - 1;
            self.mistake(format!("expected a whole number from {} to {most}", range.start))
        })
    }

    pub(crate) fn time(&self) -> Read<Duration> {
        let ns = duration_ns(self.text()?).map_err(|text| self.mistake(text))?;
        Ok(Duration::from_nanos(ns))
    }

    pub(crate) fn table(&self) -> Read<Table<'t>> {
        let table = self.value.as_table().ok_or_else(|| self.mistake("expected a table"))?;
        Ok(Table::new(table, self.at.clone()))
    }

    pub(crate) fn one_or_more(&self) -> Read<Vec<Entry<'t>>> {
        let Some(list) = self.value.as_array() else { return Ok(vec![self.clone()]) };
        Ok(list.iter().map(|item| Entry { at: item.span(), value: item.get_ref() }).collect())
    }
}
