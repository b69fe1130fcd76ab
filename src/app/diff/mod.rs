//! What one version of the routes says that another does not: for people, before and after.
//!
//! It compares what was said, by names, and not the tables made of it: those number everything
//! anew. Two files that differ in layout, remarks or the order of merchants say the same.

pub(in crate::app) mod items;
pub(in crate::app) mod merchants;
mod replay;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::config::Config;
use items::Item;
pub use replay::Replay;

/// The differences between two versions, by what they are about.
#[derive(Debug)]
pub struct Difference {
    sections: Vec<Section>,
}

/// The differences in one kind of thing.
#[derive(Debug, Default)]
struct Section {
    one: &'static str,
    many: &'static str,
    added: List,
    removed: List,
    changed: List,
}

/// How many there are, and the first of them.
#[derive(Debug, Default)]
struct List {
    count: usize,
    first: Vec<Line>,
}

/// The name of a thing, and what is said of it or what of that has changed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    name: String,
    says: String,
}

impl Difference {
    /// Compares two configurations.
    pub fn between(old: &Config, new: &Config) -> Self {
        let named = |one, many, list: fn(&Config) -> Vec<Item>| Section {
            one,
            many,
            ..compared(list(old), list(new))
        };
        let sections = vec![
            named("network", "networks", items::networks),
            named("form", "forms", items::forms),
            named("route", "routes", items::routes),
            named("refusal", "refusals", items::refusals),
            named("response code", "response codes", items::codes),
            named("quote", "quotes", items::quotes),
            named("partner at rest", "partners at rest", items::maintenance),
            Section { one: "merchant", many: "merchants", ..merchants::compared(old, new) },
        ];
        Self { sections }
    }

    /// True if both say the same.
    pub fn is_empty(&self) -> bool {
        self.sections.iter().all(Section::is_empty)
    }

    /// One line: `+3 routes, ~1 network, -1 merchant`.
    pub fn summary(&self) -> String {
        let mut parts = Vec::new();
        for section in &self.sections {
            for (sign, list) in section.lists() {
                let what = if list.count == 1 { section.one } else { section.many };
                if list.count > 0 {
                    parts.push(format!("{sign}{} {what}", list.count));
                }
            }
        }
        if parts.is_empty() { "no difference".to_owned() } else { parts.join(", ") }
    }
}

impl fmt::Display for Difference {
    /// A table: what is added (`+`), removed (`-`) and changed (`~`), the first of each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = self.sections.iter().flat_map(Section::lists);
        let lines = lists.flat_map(|(_, list)| &list.first);
        let width = lines.map(|line| line.name.chars().count()).max().unwrap_or(0).min(NAME_MAX);
        for section in self.sections.iter().filter(|section| !section.is_empty()) {
            let counts = section.lists().filter(|(_, list)| list.count > 0);
            let counts: Vec<_> =
                counts.map(|(sign, list)| format!("{sign}{}", list.count)).collect();
            writeln!(f, "{} {}", section.many, counts.join(" "))?;
            for (sign, list) in section.lists() {
                for Line { name, says } in &list.first {
                    writeln!(f, "{}", format!("  {sign} {name:<width$}  {says}").trim_end())?;
                }
                if list.count > list.first.len() {
                    writeln!(f, "  {sign} and {} more", list.count - list.first.len())?;
                }
            }
        }
        Ok(())
    }
}

impl Section {
    fn is_empty(&self) -> bool {
        self.lists().all(|(_, list)| list.count == 0)
    }

    fn lists(&self) -> impl Iterator<Item = (char, &List)> {
        [('+', &self.added), ('-', &self.removed), ('~', &self.changed)].into_iter()
    }
}

impl List {
    fn add(&mut self, name: &str, says: String) {
        self.count += 1;
        if self.first.len() < SHOWN_MAX {
            self.first.push(Line { name: name.to_owned(), says });
        }
    }
}

/// Compares two lists by names.
fn compared(old: Vec<Item>, new: Vec<Item>) -> Section {
    let mut section = Section::default();
    let known: BTreeMap<&str, &Item> = old.iter().map(|item| (&*item.name, item)).collect();
    for item in &new {
        match known.get(&*item.name) {
            None => section.added.add(&item.name, item.told()),
            Some(former) if former.says != item.says => {
                section.changed.add(&item.name, item.changes_from(former));
            }
            Some(_) => {}
        }
    }
    let left: BTreeMap<&str, &Item> = new.iter().map(|item| (&*item.name, item)).collect();
    for item in old.iter().filter(|item| !left.contains_key(&*item.name)) {
        section.removed.add(&item.name, item.told());
    }
    // Of those whose conditions hold, the first decides.
    let both = |items: &[Item], others: &BTreeMap<&str, &Item>| -> Vec<String> {
        let ordered = items.iter().filter(|item| item.is_ordered);
        ordered.filter(|i| others.contains_key(&*i.name)).map(|i| i.name.clone()).collect()
    };
    let (before, after) = (both(&old, &left), both(&new, &known));
    if before != after {
        let mut moved = String::new();
        for (name, _) in after.iter().zip(&before).filter(|(one, other)| one != other) {
            let _ = write!(moved, "{}{name}", if moved.is_empty() { "" } else { ", " });
        }
        section.changed.add("their order", moved);
    }
    section
}

/// Lines that are shown of each kind of difference.
const SHOWN_MAX: usize = 20;

/// Longest name that the others are aligned with.
const NAME_MAX: usize = 40;
