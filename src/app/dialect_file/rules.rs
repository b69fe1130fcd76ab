//! The sections that say how messages belong together: match keys, echo, presence, original, MAC,
//! scanned codes, and the test vectors. Every element they name must be one the dialect defines.

use super::mistake::{Log, Span};
use super::table::{ELEMENT_MAX, ELEMENT_MIN, Entry, Table, bytes_of_hex};
use crate::iso8583::spec::{
    CompositeSpec, Extent, OriginalSpec, Presence, ScanSpec, Spec, VectorSpec,
};

/// Reads the sections into `spec`; one that is given replaces the parent's whole.
pub(super) fn read(root: &mut Table<'_>, spec: &mut Spec, log: &mut Log<'_>) {
    if root.take("match").is_some() {
        spec.match_keys.clear();
    }
    for entry in lines(root, "match", log) {
        let elements = entry.elements(log);
        spec.match_keys.insert(entry.key.to_owned(), elements);
    }
    if root.take("echo").is_some() {
        spec.echo.clear();
    }
    for entry in lines(root, "echo", log) {
        let elements = entry.elements(log);
        for element in elements.iter().filter(|element| NEVER_ECHOED.contains(element)) {
            let reason =
                format!("element {element} holds card secrets: an answer never repeats it");
            log.add(&entry.span, reason);
        }
        spec.echo.insert(entry.key.to_owned(), elements);
    }
    if root.take("presence").is_some() {
        spec.presence.clear();
    }
    for entry in lines(root, "presence", log) {
        if let Some(presence) = presence(&entry, log) {
            spec.presence.insert(entry.key.to_owned(), presence);
        }
    }
    if let Some(mut table) = root.table("original", log) {
        if let Some(original) = original(&mut table, log) {
            spec.original = original;
        }
        table.finish(log);
    }
    if let Some(mut table) = root.table("scan", log) {
        spec.scan = scan(&mut table, log);
        table.finish(log);
    }
    if let Some(entry) = root.take("mac") {
        spec.mac = entry.elements(log);
    }
    spec.vectors = vectors(root, log);
}

/// Notes every element that a rule names and no field defines.
///
/// Done when the fields of all parents are known. A rule that came from a parent has no line in
/// this file: such a mistake is shown where the file names its parent.
pub(super) fn check(root: &mut Table<'_>, spec: &Spec, log: &mut Log<'_>) {
    let home = root.take("inherits").map_or(root.span.clone(), |entry| entry.span);
    let mut place = |section: &'static str, key: &str| -> Span {
        let entries = root.take(section).and_then(|entry| entry.value.as_table());
        let found = entries.map(|entries| Table::new(entries, home.clone()).entries());
        let found = found.unwrap_or_default().into_iter().find(|entry| entry.key == key);
        found.map_or(home.clone(), |entry| entry.span)
    };
    let mut named: Vec<(Span, u8)> = Vec::new();
    for (section, lists) in [("match", &spec.match_keys), ("echo", &spec.echo)] {
        for (key, elements) in lists {
            let span = place(section, key);
            named.extend(elements.iter().map(|element| (span.clone(), *element)));
        }
    }
    for (key, presence) in &spec.presence {
        let span = place("presence", key);
        let lists = [&presence.mandatory, &presence.conditional, &presence.optional];
        named.extend(lists.into_iter().flatten().map(|element| (span.clone(), *element)));
    }
    let span = root.take("mac").map_or(home, |entry| entry.span);
    named.extend(spec.mac.iter().map(|element| (span.clone(), *element)));
    for (span, element) in named {
        if !spec.fields.contains_key(&element) {
            log.add(&span, format!("element {element} is not defined in [fields]"));
        }
    }
    check_original(root, spec, log);
    check_scan(root, spec, log);
}

/// Codes stand in elements that there are. What no file says is left out where it does not fit.
fn check_scan(root: &mut Table<'_>, spec: &Spec, log: &mut Log<'_>) {
    let Some(entry) = root.take("scan") else { return };
    if entry.value.as_table().is_none_or(|table| !table.contains_key("places")) {
        return;
    }
    for (element, part) in &spec.scan.places {
        let Some(field) = spec.fields.get(element) else {
            log.add(&entry.span, format!("element {element} is not defined in [fields]"));
            continue;
        };
        let inner = field.inner.as_ref().and_then(|inner| spec.composites.get(inner));
        let reason = match (part, inner) {
            (None, _) | (Some(_), Some(CompositeSpec::Tlv { .. } | CompositeSpec::Ltv { .. })) => {
                continue;
            }
            (Some(part), Some(CompositeSpec::Positional { parts }))
                if parts.iter().any(|(name, _)| name == part) =>
            {
                continue;
            }
            (Some(part), Some(CompositeSpec::Positional { .. })) => {
                format!("element {element} has no part {part:?}")
            }
            (Some(_), _) => format!("element {element} has no tags and no parts"),
        };
        log.add(&entry.span, reason);
    }
}

fn check_original(root: &mut Table<'_>, spec: &Spec, log: &mut Log<'_>) {
    let Some(entry) = root.take("original") else { return };
    let OriginalSpec { element, parts } = &spec.original;
    let digits: u32 = parts.iter().map(|(_, digits)| u32::from(*digits)).sum();
    match spec.fields.get(element).map(|field| field.extent) {
        None => log.add(&entry.span, format!("element {element} is not defined in [fields]")),
        Some(Extent::Fixed(size)) if u32::from(size) != digits => {
            log.add(&entry.span, format!("parts have {digits} digits, element {element} {size}"));
        }
        Some(Extent::Variable { max, .. }) if digits > max => {
            log.add(&entry.span, format!("parts have {digits} digits, element {element} {max}"));
        }
        Some(_) => {}
    }
}

/// The lines of a section whose keys are "default" or the MTI of a request.
fn lines<'t>(root: &mut Table<'t>, section: &'static str, log: &mut Log<'_>) -> Vec<Entry<'t>> {
    let entries = root.table(section, log).map(|table| table.entries()).unwrap_or_default();
    for entry in &entries {
        let request = match entry.key.as_bytes() {
            b"default" => true,
            mti @ [_, _, function, _] => {
                mti.iter().all(u8::is_ascii_digit) && (function - b'0').is_multiple_of(2)
            }
            _ => false,
        };
        if !request {
            log.add(&entry.span, "expected \"default\" or the four digits of a request's MTI");
        }
    }
    entries
}

fn presence(entry: &Entry<'_>, log: &mut Log<'_>) -> Option<Presence> {
    let mut table = entry.table(log)?;
    let mut list = |key| table.take(key).map(|entry| entry.elements(log)).unwrap_or_default();
    let presence = Presence {
        mandatory: list("mandatory"),
        conditional: list("conditional"),
        optional: list("optional"),
        forbidden: list("forbidden"),
    };
    for element in &presence.forbidden {
        let lists = [&presence.mandatory, &presence.conditional, &presence.optional];
        if lists.into_iter().flatten().any(|other| other == element) {
            log.add(&entry.span, format!("element {element} is both allowed and forbidden"));
        }
    }
    table.finish(log);
    Some(presence)
}

fn original(table: &mut Table<'_>, log: &mut Log<'_>) -> Option<OriginalSpec> {
    let span = table.span.clone();
    let element = table.number("element", ELEMENT_MIN..=ELEMENT_MAX, log);
    let mut parts = Vec::new();
    for item in table.take("parts").map(|entry| entry.items(log)).unwrap_or_default() {
        let pair = item.items(log);
        let [source, digits] = pair.as_slice() else {
            log.add(&item.span, "expected [element, digits], element 0 for the MTI");
            continue;
        };
        let source = source.number(0..=ELEMENT_MAX, log);
        let digits = digits.number(1..=99, log);
        parts.extend(source.zip(digits));
    }
    if element.is_none() || parts.is_empty() {
        log.add(&span, "an original has an element and parts");
        return None;
    }
    Some(OriginalSpec { element: element?, parts })
}

/// `entry_modes = ["03"]`, `places = ["59.A3", "35"]`.
fn scan(table: &mut Table<'_>, log: &mut Log<'_>) -> ScanSpec {
    let mut scan = ScanSpec::default();
    if let Some(entry) = table.take("entry_modes") {
        scan.entry_modes.clear();
        for item in entry.items(log) {
            let Some(text) = item.text(log) else { continue };
            match text.parse() {
                Ok(mode) if text.len() == 2 => scan.entry_modes.push(mode),
                _ => log.add(&item.span, "expected the first two digits of DE 22"),
            }
        }
    }
    if let Some(entry) = table.take("places") {
        scan.places.clear();
        for item in entry.items(log) {
            let Some(text) = item.text(log) else { continue };
            let (element, part) =
                text.split_once('.').map_or((text, None), |(element, part)| (element, Some(part)));
            match element.parse() {
                Ok(element @ ELEMENT_MIN..=ELEMENT_MAX) if part != Some("") => {
                    scan.places.push((element, part.map(str::to_owned)));
                }
                _ => log.add(&item.span, "expected an element, or one and a tag: \"59.A3\""),
            }
        }
    }
    scan
}

fn vectors(root: &mut Table<'_>, log: &mut Log<'_>) -> Vec<VectorSpec> {
    let mut vectors: Vec<VectorSpec> = Vec::new();
    for item in root.take("vector").map(|entry| entry.items(log)).unwrap_or_default() {
        let Some(mut table) = item.table(log) else { continue };
        let mut text = |key| {
            let found = table.text(key, log);
            match &found {
                None => log.add(&item.span, format!("a vector without {key}")),
                Some(("", span)) => log.add(span, "empty"),
                Some((text, span)) if key == "hex" && bytes_of_hex(text).is_none() => {
                    log.add(span, "expected pairs of hexadecimal digits");
                }
                Some(_) => {}
            }
            found.map(|(text, _)| text.to_owned()).unwrap_or_default()
        };
        let vector = VectorSpec {
            id: text("id"),
            source: text("source"),
            license: text("license"),
            hex: text("hex"),
        };
        table.finish(log);
        if vectors.iter().any(|other| other.id == vector.id) {
            log.add(&item.span, format!("two vectors are called {:?}", vector.id));
        }
        vectors.push(vector);
    }
    vectors
}

/// Tracks, PIN data, EMV data: an answer made by the switch has no use for them (PCI DSS 3.3.1).
const NEVER_ECHOED: [u8; 5] = [35, 36, 45, 52, 55];
