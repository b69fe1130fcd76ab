//! A TOML table that remembers which keys were asked for, so that the rest can be called unknown.
//!
//! Why not a derived `Deserialize`: it stops at the first mistake. Here every value that cannot be
//! used is noted with its line and left out, and reading goes on.

use std::fmt::Display;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Log, Span};

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
    /// The key.
    pub(super) key: &'t str,
    /// Key and value together.
    pub(super) span: Span,
    /// The value.
    pub(super) value: &'t DeValue<'t>,
}

impl<'t> Table<'t> {
    /// A reader over `entries`.
    pub(super) fn new(entries: &'t DeTable<'t>, span: Span) -> Self {
        Self { entries, span, known: Vec::new() }
    }

    /// Every entry, for tables whose keys are data.
    pub(super) fn entries(&self) -> Vec<Entry<'t>> {
        self.entries.iter().map(|(key, value)| entry(key, value)).collect()
    }

    /// The entry of `key`, which counts as known from now on.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Entry<'t>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.entries.get_key_value(key).map(|(key, value)| entry(key, value))
    }

    /// Text.
    pub(super) fn text(&mut self, key: &'static str, log: &mut Log<'_>) -> Option<(&'t str, Span)> {
        let entry = self.take(key)?;
        Some((entry.text(log)?, entry.span))
    }

    /// True or false; false if absent.
    pub(super) fn flag(&mut self, key: &'static str, log: &mut Log<'_>) -> bool {
        let Some(entry) = self.take(key) else { return false };
        entry.value.as_bool().unwrap_or_else(|| {
            log.add(&entry.span, format!("expected true or false, found {}", kind(entry.value)));
            false
        })
    }

    /// A whole number within `range`.
    pub(super) fn number<N: TryFrom<i64> + Into<i64> + Copy + Display>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<N>,
        log: &mut Log<'_>,
    ) -> Option<N> {
        self.take(key)?.number(range, log)
    }

    /// One of a list of words.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        what: &str,
        words: &[(&str, T)],
        log: &mut Log<'_>,
    ) -> Option<T> {
        let (text, span) = self.text(key, log)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let list: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            log.add(&span, format!("unknown {what}, expected one of {}", list.join(", ")));
        }
        found
    }

    /// Bytes as hexadecimal digits; none if absent.
    pub(super) fn hex(&mut self, key: &'static str, log: &mut Log<'_>) -> Vec<u8> {
        let Some((text, span)) = self.text(key, log) else { return Vec::new() };
        bytes_of_hex(text).unwrap_or_else(|| {
            log.add(&span, "expected pairs of hexadecimal digits");
            Vec::new()
        })
    }

    /// A table inside this one.
    pub(super) fn table(&mut self, key: &'static str, log: &mut Log<'_>) -> Option<Table<'t>> {
        self.take(key)?.table(log)
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(self, log: &mut Log<'_>) {
        for entry in self.entries() {
            if !self.known.contains(&entry.key) {
                let list = self.known.join(", ");
                log.add(&entry.span, format!("unknown key, expected one of {list}"));
            }
        }
    }
}

impl<'t> Entry<'t> {
    /// The value as text.
    pub(super) fn text(&self, log: &mut Log<'_>) -> Option<&'t str> {
        self.expect(self.value.as_str(), "text", log)
    }

    /// The value as a table.
    pub(super) fn table(&self, log: &mut Log<'_>) -> Option<Table<'t>> {
        let entries = self.expect(self.value.as_table(), "a table", log)?;
        Some(Table::new(entries, self.span.clone()))
    }

    /// The value as a whole number within `range`.
    pub(super) fn number<N: TryFrom<i64> + Into<i64> + Copy + Display>(
        &self,
        range: RangeInclusive<N>,
        log: &mut Log<'_>,
    ) -> Option<N> {
        let number = self.expect(whole(self.value), "a whole number", log)?;
        let (low, high) = (*range.start(), *range.end());
        if !(low.into()..=high.into()).contains(&number) {
            log.add(&self.span, format!("{number} is not within {low} to {high}"));
            return None;
        }
        N::try_from(number).ok()
    }

    /// The values of an array, each as an entry of its own under the same key.
    pub(super) fn items(&self, log: &mut Log<'_>) -> Vec<Entry<'t>> {
        let Some(array) = self.expect(self.value.as_array(), "a list", log) else {
            return Vec::new();
        };
        let item = |value: &'t Spanned<DeValue<'t>>| Entry {
            key: self.key,
            span: value.span(),
            value: value.get_ref(),
        };
        array.iter().map(item).collect()
    }

    /// A list of element numbers, each once.
    pub(super) fn elements(&self, log: &mut Log<'_>) -> Vec<u8> {
        let mut elements = Vec::new();
        for item in self.items(log) {
            let Some(element) = item.number(ELEMENT_MIN..=ELEMENT_MAX, log) else { continue };
            if elements.contains(&element) {
                log.add(&self.span, format!("element {element} is listed twice"));
            } else {
                elements.push(element);
            }
        }
        elements
    }

    fn expect<T>(&self, value: Option<T>, wanted: &str, log: &mut Log<'_>) -> Option<T> {
        if value.is_none() {
            log.add(&self.span, format!("expected {wanted}, found {}", kind(self.value)));
        }
        value
    }
}

/// Bytes from pairs of hexadecimal digits.
pub(super) fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pair = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}

fn entry<'t>(
    key: &'t Spanned<toml::de::DeString<'t>>,
    value: &'t Spanned<DeValue<'t>>,
) -> Entry<'t> {
    let (from, to) = (key.span(), value.span());
    // A value that stands before its key is the table of a `[header]`: the key is what to show.
    let end = if to.start < from.start { from.end } else { to.end };
    Entry { key: key.get_ref(), span: from.start..end, value: value.get_ref() }
}

fn whole(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Lowest data element; 1 is the bitmap.
pub(super) const ELEMENT_MIN: u8 = 2;
/// Highest data element, with a third bitmap.
pub(super) const ELEMENT_MAX: u8 = 192;
