//! A TOML table that remembers which keys were asked for, so that the rest can be called unknown.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::duration::{duration, written};
use super::names::unknown;
use crate::app::dialect_file::{Log, Span};

/// A table being read.
pub(super) struct Table<'t> {
    entries: &'t DeTable<'t>,
    /// Where the table stands.
    pub(super) span: Span,
    known: Vec<&'static str>,
}

/// One key with its value.
#[derive(Clone)]
pub(super) struct Entry<'t> {
    /// Key and value together.
    pub(super) span: Span,
    value: &'t DeValue<'t>,
}

impl<'t> Table<'t> {
    /// A reader over `entries`.
    pub(super) fn new(entries: &'t DeTable<'t>, span: Span) -> Self {
        Self { entries, span, known: Vec::new() }
    }

    /// The entry of `key`, which counts as known from now on.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Entry<'t>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.entries.get_key_value(key).map(|(key, value)| entry(key, value))
    }

    /// The entry of `key`, which must be there.
    pub(super) fn need(&mut self, key: &'static str, log: &mut Log<'_>) -> Option<Entry<'t>> {
        let entry = self.take(key);
        if entry.is_none() {
            log.add(&self.span, format!("{key} is missing"));
        }
        entry
    }

    /// Text that must be there and not be empty.
    pub(super) fn text(&mut self, key: &'static str, log: &mut Log<'_>) -> Option<(&'t str, Span)> {
        let entry = self.need(key, log)?;
        let text = entry.text(log)?;
        if text.trim().is_empty() {
            log.add(&entry.span, "empty");
            return None;
        }
        Some((text, entry.span))
    }

    /// True or false; `absent` if it is not said.
    pub(super) fn flag(&mut self, key: &'static str, absent: bool, log: &mut Log<'_>) -> bool {
        let Some(entry) = self.take(key) else { return absent };
        entry.expect(entry.value.as_bool(), "true or false", log).unwrap_or(absent)
    }

    /// A whole number within `range`; `absent` if it is not said.
    pub(super) fn number<N: TryFrom<i64> + Display + PartialOrd + Copy>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<N>,
        absent: N,
        log: &mut Log<'_>,
    ) -> N {
        self.take(key).and_then(|entry| entry.number(range, log)).unwrap_or(absent)
    }

    /// A duration within `range`; `absent` if it is not said.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
        absent: Duration,
        log: &mut Log<'_>,
    ) -> Duration {
        self.take(key).and_then(|entry| entry.duration(range, log)).unwrap_or(absent)
    }

    /// Every entry by its key, all of which count as known.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'t str, Entry<'t>)> {
        self.entries.iter().map(|(key, value)| (&**key.get_ref(), entry(key, value)))
    }

    /// The tables of `[[key]]`, none if there is no such header.
    pub(super) fn tables(&mut self, key: &'static str, log: &mut Log<'_>) -> Vec<Table<'t>> {
        let Some(entry) = self.take(key) else { return Vec::new() };
        entry.items(log).into_iter().filter_map(|item| item.table(log)).collect()
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(self, log: &mut Log<'_>) {
        for (key, value) in self.entries {
            let name: &str = key.get_ref();
            if !self.known.contains(&name) {
                let known = self.known.iter().copied();
                log.add(&entry(key, value).span, unknown("key", name, known));
            }
        }
    }
}

impl<'t> Entry<'t> {
    /// The value as text.
    pub(super) fn text(&self, log: &mut Log<'_>) -> Option<&'t str> {
        self.expect(self.value.as_str(), "text", log)
    }

    /// True for this text.
    pub(super) fn is(&self, text: &str) -> bool {
        self.value.as_str() == Some(text)
    }

    /// True for a text.
    pub(super) fn is_text(&self) -> bool {
        self.value.is_str()
    }

    /// True for a number, whole or not.
    pub(super) fn is_number(&self) -> bool {
        matches!(self.value, DeValue::Integer(_) | DeValue::Float(_))
    }

    /// The value as a date, with or without quotes, as it is written.
    pub(super) fn moment(&self, log: &mut Log<'_>) -> Option<String> {
        match self.value {
            DeValue::Datetime(moment) => Some(moment.to_string()),
            DeValue::String(text) => Some(text.to_string()),
            _ => self.expect(None, "a date", log),
        }
    }

    /// The value as a table.
    pub(super) fn table(&self, log: &mut Log<'_>) -> Option<Table<'t>> {
        let entries = self.expect(self.value.as_table(), "a table", log)?;
        Some(Table::new(entries, self.span.clone()))
    }

    /// The value as a whole number within `range`.
    pub(super) fn number<N: TryFrom<i64> + Display + PartialOrd + Copy>(
        &self,
        range: RangeInclusive<N>,
        log: &mut Log<'_>,
    ) -> Option<N> {
        if self.value.is_integer() && whole(self.value).is_none() {
            let (low, high) = (range.start(), range.end());
            log.add(&self.span, format!("this number is not within {low} to {high}"));
            return None;
        }
        let number = self.expect(whole(self.value), "a whole number", log)?;
        let fitting = N::try_from(number).ok().filter(|number| range.contains(number));
        if fitting.is_none() {
            let (low, high) = (range.start(), range.end());
            log.add(&self.span, format!("{number} is not within {low} to {high}"));
        }
        fitting
    }

    /// The value as a duration within `range`.
    pub(super) fn duration(
        &self,
        range: RangeInclusive<Duration>,
        log: &mut Log<'_>,
    ) -> Option<Duration> {
        let text = self.text(log)?;
        let Some(duration) = duration(text) else {
            log.add(&self.span, "expected a whole number and a unit, like \"1500ms\" or \"3s\"");
            return None;
        };
        if !range.contains(&duration) {
            let (low, high) = (written(*range.start()), written(*range.end()));
            log.add(&self.span, format!("{text} is not within {low} to {high}"));
            return None;
        }
        Some(duration)
    }

    /// The values of a list, each as an entry of its own.
    pub(super) fn items(&self, log: &mut Log<'_>) -> Vec<Entry<'t>> {
        let Some(array) = self.expect(self.value.as_array(), "a list", log) else {
            return Vec::new();
        };
        let item =
            |value: &'t Spanned<DeValue<'t>>| Entry { span: value.span(), value: value.get_ref() };
        array.iter().map(item).collect()
    }

    /// The values of a list, or the one value that stands for itself.
    pub(super) fn one_or_more(&self, log: &mut Log<'_>) -> Vec<Entry<'t>> {
        if self.value.is_array() { self.items(log) } else { vec![self.clone()] }
    }

    fn expect<T>(&self, value: Option<T>, wanted: &str, log: &mut Log<'_>) -> Option<T> {
        if value.is_none() {
            log.add(&self.span, format!("expected {wanted}, found {}", kind(self.value)));
        }
        value
    }
}

fn entry<'t>(
    key: &'t Spanned<toml::de::DeString<'t>>,
    value: &'t Spanned<DeValue<'t>>,
) -> Entry<'t> {
    let (from, to) = (key.span(), value.span());
    // A value that stands before its key is the table of a `[header]`: the key is what to show.
    let end = if to.start < from.start { from.end } else { to.end };
    Entry { span: from.start..end, value: value.get_ref() }
}

fn whole(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
