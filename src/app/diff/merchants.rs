//! Merchants of two versions, row by row: there may be millions, so only counts and the first few
//! are kept, and a row is found in the other table as a request would find it.

use std::collections::BTreeSet;

use super::items::groups;
use super::{Line, List, SHOWN_MAX, Section};
use crate::app::config::Config;
use crate::app::courtesy::Courtesy;
use crate::base::ids::{Area, NetworkId};
use crate::routing::merchants::{Merchant, MerchantTable, NetworkSet, RowName};

/// The rows of one version that the other does not have, or in which it says something else.
pub(super) fn compared(old: &Config, new: &Config) -> Section {
    let mut section = Section::default();
    let (before, after) = match (old.routes.merchants(), new.routes.merchants()) {
        (None, None) => return section,
        (Some(before), Some(after)) => (before, after),
        (before, after) => {
            let rows = |table: Option<&MerchantTable>| {
                table.map_or_else(|| "not checked".to_owned(), |table| count(table).to_string())
            };
            section.changed.add("all", format!("{} -> {}", rows(before), rows(after)));
            return section;
        }
    };
    let numbering = Numbering::new(old, new);
    let (mut added, mut changed, mut removed) = Default::default();
    let mut courtesy = Courtesy::default();
    for (name, merchant) in after.rows() {
        courtesy.row();
        match before.row(&name) {
            None => keep(&mut section.added, &mut added, name),
            Some(former) if !numbering.is_same(former, merchant) => {
                keep(&mut section.changed, &mut changed, name);
            }
            Some(_) => {}
        }
    }
    for (name, _) in before.rows() {
        courtesy.row();
        if after.row(&name).is_none() {
            keep(&mut section.removed, &mut removed, name);
        }
    }
    let told = |table: &MerchantTable, config: &Config, name: &RowName| {
        table.row(name).map_or_else(String::new, |merchant| told(merchant, config))
    };
    show(&mut section.added, added, |name| told(after, new, name));
    show(&mut section.removed, removed, |name| told(before, old, name));
    show(&mut section.changed, changed, |name| {
        format!("{} -> {}", told(before, old, name), told(after, new, name))
    });
    section
}

fn count(table: &MerchantTable) -> usize {
    table.exact_len() + table.prefixes_len()
}

/// Counts a row, and keeps its name if it is among the first in order.
fn keep(list: &mut List, names: &mut BTreeSet<RowName>, name: RowName) {
    list.count += 1;
    if names.len() < SHOWN_MAX {
        names.insert(name);
    } else if names.last().is_some_and(|last| name < *last) {
        names.insert(name);
        names.pop_last();
    }
}

fn show(list: &mut List, names: BTreeSet<RowName>, told: impl Fn(&RowName) -> String) {
    let lines = names.iter().map(|name| Line { name: name.to_string(), says: told(name) });
    list.first = lines.collect();
}

/// What a row says, as in a file.
pub(in crate::app) fn told(merchant: &Merchant, config: &Config) -> String {
    let mut text = format!("{} ", merchant.area);
    if merchant.networks == NetworkSet::ALL {
        text.push('*');
    } else {
        let places = 0..config.routes.networks_len() as u16;
        let ids = places.map(NetworkId).filter(|id| merchant.networks.contains(*id));
        let names: Vec<&str> = ids.map(|id| config.routes.network_name(id)).collect();
        text.push_str(&names.join("|"));
    }
    if merchant.mcc != 0 {
        text.push_str(&format!(" {:04}", merchant.mcc));
    }
    if !merchant.groups.is_empty() {
        text.push_str(&format!(" ({})", groups(merchant.groups, config)));
    }
    text
}

/// Networks and groups of both versions under one numbering: each numbers its own.
struct Numbering {
    /// By number in the old version.
    networks: Vec<u32>,
    groups: Vec<u32>,
}

impl Numbering {
    fn new(old: &Config, new: &Config) -> Self {
        let networks = |config: &Config| -> Vec<String> {
            config.written.networks.iter().map(|plan| plan.name.clone()).collect()
        };
        Self {
            networks: translation(&networks(old), &networks(new), u64::BITS),
            groups: translation(&old.written.groups, &new.written.groups, u32::BITS),
        }
    }

    fn is_same(&self, old: &Merchant, new: &Merchant) -> bool {
        let area: (Area, u16) = (old.area, old.mcc);
        let (one, other) = (old.networks.bits(), new.networks.bits());
        let all = NetworkSet::ALL;
        area == (new.area, new.mcc)
            && (old.networks == all) == (new.networks == all)
            && (old.networks == all || translated(one, &self.networks) == u128::from(other))
            && translated(old.groups.bits().into(), &self.groups) == new.groups.bits().into()
    }
}

/// The number in `new` of each name in `old`; behind all of them for what is gone.
fn translation(old: &[String], new: &[String], behind: u32) -> Vec<u32> {
    let place = |name: &String| new.iter().position(|other| other == name);
    let gone = |number: usize| behind + number as u32;
    old.iter()
        .enumerate()
        .map(|(number, name)| place(name).map_or(gone(number), |place| place as u32))
        .collect()
}

fn translated(mut bits: u64, numbers: &[u32]) -> u128 {
    let mut set = 0;
    while bits != 0 {
        let number = numbers.get(bits.trailing_zeros() as usize).copied().unwrap_or(127);
        set |= 1_u128 << number;
        bits &= bits - 1;
    }
    set
}
