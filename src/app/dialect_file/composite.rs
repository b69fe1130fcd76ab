//! One `[composite.<name>]`: the inner structure of an element.

use std::collections::BTreeMap;

use super::field::{WIRES, field};
use super::mistake::Log;
use super::table::{Entry, Table, bytes_of_hex};
use crate::base::limits::{TLV_DEPTH_MAX, TLV_TAGS_MAX};
use crate::iso8583::spec::{CompositeSpec, Unknown, Wire};

/// Reads one composite; what is wrong goes to the log.
pub(super) fn composite(entry: &Entry<'_>, log: &mut Log<'_>) -> Option<CompositeSpec> {
    let mut table = entry.table(log)?;
    if table.take("kind").is_none() {
        log.add(&entry.span, "missing kind");
        return None;
    }
    let composite = match table.word("kind", "kind of composite", &KINDS, log)? {
        Kind::BerTlv => ber_tlv(&mut table, log),
        Kind::Tlv => tlv(&mut table, log),
        Kind::Ltv => ltv(&mut table, log),
        Kind::Positional => positional(&mut table, log),
        Kind::Bitmap => bitmap(&mut table, log),
    };
    table.finish(log);
    composite
}

fn ber_tlv(table: &mut Table<'_>, log: &mut Log<'_>) -> Option<CompositeSpec> {
    let depth_max = table.number("depth_max", 1..=TLV_DEPTH_MAX, log).unwrap_or(TLV_DEPTH_MAX);
    let tags_max = table.number("tags_max", 1..=TLV_TAGS_MAX, log).unwrap_or(TLV_TAGS_MAX);
    let unknown = unknown(table, log);
    let mut tags = Vec::new();
    for item in table.take("tags").map(|entry| entry.items(log)).unwrap_or_default() {
        let Some(text) = item.text(log) else { continue };
        match bytes_of_hex(text).filter(|bytes| (1..=4).contains(&bytes.len())) {
            Some(bytes) => tags.push(bytes.iter().fold(0, |tag, byte| tag << 8 | u32::from(*byte))),
            None => log.add(&item.span, "expected a tag of 1 to 4 bytes in hexadecimal"),
        }
    }
    Some(CompositeSpec::BerTlv { depth_max, tags_max, unknown, tags })
}

fn tlv(table: &mut Table<'_>, log: &mut Log<'_>) -> Option<CompositeSpec> {
    let (tag_size, length_size) = sizes(table, log);
    let wire = wire(table, log, &[Wire::Ascii, Wire::Ebcdic, Wire::Bcd]);
    let unknown = unknown(table, log);
    let tags = text_tags(table, tag_size, log);
    let (tag_size, length_size, wire) = (tag_size?, length_size?, wire?);
    Some(CompositeSpec::Tlv { tag_size, length_size, wire, unknown, tags })
}

fn ltv(table: &mut Table<'_>, log: &mut Log<'_>) -> Option<CompositeSpec> {
    let (tag_size, length_size) = sizes(table, log);
    let wire = wire(table, log, &[Wire::Ascii, Wire::Bcd, Wire::Binary]);
    let unknown = unknown(table, log);
    let tags = text_tags(table, None, log);
    let (tag_size, length_size, wire) = (tag_size?, length_size?, wire?);
    Some(CompositeSpec::Ltv { length_size, tag_size, wire, unknown, tags })
}

fn positional(table: &mut Table<'_>, log: &mut Log<'_>) -> Option<CompositeSpec> {
    let mut parts: Vec<(String, u16)> = Vec::new();
    let items = table.take("parts").map(|entry| entry.items(log)).unwrap_or_default();
    for item in &items {
        let Some(mut part) = item.table(log) else { continue };
        let name = part.text("name", log);
        let size = part.number("size", 1..=999_u16, log);
        part.finish(log);
        match (name, size) {
            (Some((name, span)), _) if parts.iter().any(|(other, _)| other == name) => {
                log.add(&span, "two parts of one name");
            }
            (Some((name, _)), Some(size)) => parts.push((name.to_owned(), size)),
            _ => log.add(&item.span, "a part has a name and a size"),
        }
    }
    if items.is_empty() {
        log.add(&table.span, "missing parts");
        return None;
    }
    Some(CompositeSpec::Positional { parts })
}

fn bitmap(table: &mut Table<'_>, log: &mut Log<'_>) -> Option<CompositeSpec> {
    let wire = wire(table, log, &[Wire::Binary, Wire::Hex, Wire::HexEbcdic]);
    let span = table.span.clone();
    let bits = table.number("bits", 8..=128_u8, log);
    match bits {
        None if table.take("bits").is_none() => log.add(&span, "missing bits"),
        Some(bits) if !bits.is_multiple_of(8) => log.add(&span, "bits is no multiple of 8"),
        _ => {}
    }
    let mut fields = BTreeMap::new();
    let entries = table.table("fields", log).map(|table| table.entries()).unwrap_or_default();
    for entry in &entries {
        let bit = entry.key.parse().ok().filter(|bit| (1..=bits.unwrap_or(128)).contains(bit));
        let spec = field(entry, log);
        match (bit, spec) {
            (None, _) => log.add(&entry.span, format!("{} is no bit of the bitmap", entry.key)),
            (Some(bit), Some(spec)) => {
                fields.insert(bit, spec);
            }
            (Some(_), None) => {}
        }
    }
    Some(CompositeSpec::Bitmap { wire: wire?, bits: bits?, fields })
}

fn sizes(table: &mut Table<'_>, log: &mut Log<'_>) -> (Option<u8>, Option<u8>) {
    for key in ["tag_size", "length_size"] {
        if table.take(key).is_none() {
            log.add(&table.span.clone(), format!("missing {key}"));
        }
    }
    (table.number("tag_size", 1..=8, log), table.number("length_size", 1..=6, log))
}

fn wire(table: &mut Table<'_>, log: &mut Log<'_>, allowed: &[Wire]) -> Option<Wire> {
    let words: Vec<_> = WIRES.into_iter().filter(|(_, wire)| allowed.contains(wire)).collect();
    if table.take("wire").is_none() {
        log.add(&table.span.clone(), "missing wire");
    }
    table.word("wire", "wire form", &words, log)
}

fn unknown(table: &mut Table<'_>, log: &mut Log<'_>) -> Unknown {
    let words = [("keep", Unknown::Keep), ("drop", Unknown::Drop), ("reject", Unknown::Reject)];
    table.word("unknown", "treatment", &words, log).unwrap_or_default()
}

fn text_tags(table: &mut Table<'_>, size: Option<u8>, log: &mut Log<'_>) -> Vec<String> {
    let mut tags = Vec::new();
    for item in table.take("tags").map(|entry| entry.items(log)).unwrap_or_default() {
        let Some(tag) = item.text(log) else { continue };
        if size.is_some_and(|size| tag.len() != usize::from(size)) {
            log.add(&item.span, "this tag is not as long as tag_size says");
        }
        tags.push(tag.to_owned());
    }
    tags
}

#[derive(Clone, Copy)]
enum Kind {
    BerTlv,
    Tlv,
    Ltv,
    Positional,
    Bitmap,
}

const KINDS: [(&str, Kind); 5] = [
    ("ber-tlv", Kind::BerTlv),
    ("tlv", Kind::Tlv),
    ("ltv", Kind::Ltv),
    ("positional", Kind::Positional),
    ("bitmap", Kind::Bitmap),
];
