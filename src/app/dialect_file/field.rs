//! One line of `[fields]`: reading it, and checking it against itself.

use super::mistake::Log;
use super::table::{Entry, Table};
use crate::base::pan::Secrecy;
use crate::iso8583::spec::{Class, Counts, Extent, FieldSpec, LengthWire, Pad, Side, Wire};

/// Reads `{ max = 19, wire = "bcd", length = "bcd2", ... }`; what is wrong goes to the log.
pub(super) fn field(entry: &Entry<'_>, log: &mut Log<'_>) -> Option<FieldSpec> {
    let mut table = entry.table(log)?;
    let wire = table.word("wire", "wire form", &WIRES, log);
    if wire.is_none() && table.take("wire").is_none() {
        log.add(&entry.span, "missing wire");
    }
    let extent = extent(&mut table, wire, log);
    let class = class(&mut table, wire, extent, log);
    let pad = pad(&mut table, wire, log);
    let accepts = accepts(&mut table, wire, pad, log);
    let secret = table.word("secret", "secret", &SECRETS, log);
    let inner = table.text("inner", log).map(|(name, _)| name.to_owned());
    table.finish(log);
    let (wire, extent) = (wire?, extent?);
    Some(FieldSpec { wire, extent, class, pad, accepts, secret, inner })
}

/// `size`, or `max` with `length` and `counts`.
fn extent(table: &mut Table<'_>, wire: Option<Wire>, log: &mut Log<'_>) -> Option<Extent> {
    let span = table.span.clone();
    let has_size = table.take("size").is_some();
    let has_max = table.take("max").is_some();
    let size = table.number("size", 1..=SIZE_MAX, log);
    let max = table.number("max", 1..=MAX_MAX, log);
    let length = length(table, log);
    let counts = counts(table, wire, log);
    match (has_size, has_max) {
        (true, true) => log.add(&span, "size and max exclude each other"),
        (false, false) => log.add(&span, "missing size (fixed) or max (variable)"),
        (true, false) => {
            for key in ["length", "counts"] {
                if let Some(entry) = table.take(key) {
                    log.add(&entry.span, format!("{key} goes with max, not with size"));
                }
            }
            return size.map(Extent::Fixed);
        }
        (false, true) => {
            if table.take("length").is_none() {
                log.add(&span, "missing length: how is the length of a variable element written?");
            }
            let (max, (length, size), counts) = (max?, length?, counts?);
            let units = counted(max, wire?, counts);
            let most = length_max(length, size);
            if u64::from(units) > most {
                let reason = format!("max {max} is over what the length can say ({most})");
                log.add(&span, reason);
            }
            return Some(Extent::Variable { max, length, size, counts });
        }
    }
    None
}

/// What the length says for `max` units.
fn counted(max: u32, wire: Wire, counts: Counts) -> u32 {
    match (counts, wire) {
        (Counts::Bytes, Wire::Bcd) => max.div_ceil(2),
        (Counts::Bytes, Wire::Hex | Wire::HexEbcdic) => max.saturating_mul(2),
        _ => max,
    }
}

fn length_max(length: LengthWire, size: u8) -> u64 {
    let base: u64 = if length == LengthWire::Binary { 256 } else { 10 };
    base.pow(u32::from(size)) - 1
}

/// `"bcd2"`: a form and a width.
fn length(table: &mut Table<'_>, log: &mut Log<'_>) -> Option<(LengthWire, u8)> {
    let (text, span) = table.text("length", log)?;
    let form = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let width: Option<u8> = text.get(form.len()..).and_then(|digits| digits.parse().ok());
    let known = LENGTHS.iter().find(|(word, _, _)| *word == form);
    match (known, width) {
        (Some((_, length, most)), Some(width)) if (1..=*most).contains(&width) => {
            Some((*length, width))
        }
        _ => {
            log.add(
                &span,
                "unknown length, expected ascii, ebcdic or bcd with 1 to 6, or binary with 1 to 4",
            );
            None
        }
    }
}

fn counts(table: &mut Table<'_>, wire: Option<Wire>, log: &mut Log<'_>) -> Option<Counts> {
    let Some(entry) = table.take("counts") else { return Some(Counts::Units) };
    let digits = ("digits", (Counts::Units, true));
    let words = [("units", (Counts::Units, false)), digits, ("bytes", (Counts::Bytes, false))];
    let (counts, digits) = table.word("counts", "count", &words, log)?;
    if digits && wire.is_some_and(|wire| wire != Wire::Bcd) {
        log.add(&entry.span, "only bcd has digits to count, expected units or bytes");
    }
    Some(counts)
}

fn class(
    table: &mut Table<'_>,
    wire: Option<Wire>,
    extent: Option<Extent>,
    log: &mut Log<'_>,
) -> Option<Class> {
    let entry = table.take("class")?;
    let class = table.word("class", "class", &CLASSES, log)?;
    let name = entry.value.as_str().unwrap_or_default();
    let bytes = matches!(wire?, Wire::Binary | Wire::Hex | Wire::HexEbcdic);
    let fits = match class {
        None | Some(Class::Bitmap) => bytes,
        Some(Class::N | Class::Z | Class::XN) => !bytes,
        Some(Class::A | Class::An | Class::Ans) => !bytes && wire != Some(Wire::Bcd),
    };
    if !fits {
        log.add(&entry.span, format!("this wire form cannot carry class {name}"));
    }
    if class == Some(Class::Bitmap) && extent != Some(Extent::Fixed(8)) {
        log.add(&entry.span, "a bitmap has size 8");
    }
    if class == Some(Class::XN) && !matches!(extent?, Extent::Fixed(2..)) {
        log.add(&entry.span, "x+n has a fixed size, sign and digits together");
    }
    class
}

/// `"left-0"`: a side and a nibble as a hexadecimal digit.
fn pad(table: &mut Table<'_>, wire: Option<Wire>, log: &mut Log<'_>) -> Pad {
    let Some((text, span)) = table.text("pad", log) else { return Pad::default() };
    let parsed = text.split_once('-').and_then(|(side, nibble)| {
        let side = match side {
            "left" => Side::Left,
            "right" => Side::Right,
            _ => return None,
        };
        Some(Pad { side, nibble: nibble_of(nibble)? })
    });
    if parsed.is_none() {
        log.add(&span, "unknown pad, expected left or right, a hyphen and a hexadecimal digit");
    }
    if wire.is_some_and(|wire| wire != Wire::Bcd) {
        log.add(&span, "pad without wire = \"bcd\": only packed digits have a filler");
    }
    parsed.unwrap_or_default()
}

/// `"F"`: filler nibbles taken beside the one written, each a hexadecimal digit.
fn accepts(table: &mut Table<'_>, wire: Option<Wire>, pad: Pad, log: &mut Log<'_>) -> Vec<u8> {
    let Some((text, span)) = table.text("accepts", log) else { return Vec::new() };
    if wire.is_some_and(|wire| wire != Wire::Bcd) {
        log.add(&span, "accepts without wire = \"bcd\": only packed digits have a filler");
    }
    let mut buffer = [0; 4];
    let nibbles: Option<Vec<u8>> =
        text.chars().map(|digit| nibble_of(digit.encode_utf8(&mut buffer))).collect();
    let nibbles = nibbles.unwrap_or_default();
    if nibbles.is_empty() {
        log.add(&span, "expected hexadecimal digits, one for each filler");
    }
    if nibbles.contains(&pad.nibble) {
        log.add(&span, "the filler that is written is accepted anyway");
    }
    nibbles
}

fn nibble_of(digit: &str) -> Option<u8> {
    let mut chars = digit.chars();
    match (chars.next(), chars.next()) {
        (Some(digit), None) => digit.to_digit(16).and_then(|nibble| u8::try_from(nibble).ok()),
        _ => None,
    }
}

/// Wire forms by name.
pub(super) const WIRES: [(&str, Wire); 6] = [
    ("ascii", Wire::Ascii),
    ("ebcdic", Wire::Ebcdic),
    ("bcd", Wire::Bcd),
    ("binary", Wire::Binary),
    ("hex", Wire::Hex),
    ("hex-ebcdic", Wire::HexEbcdic),
];

const CLASSES: [(&str, Option<Class>); 8] = [
    ("n", Some(Class::N)),
    ("a", Some(Class::A)),
    ("an", Some(Class::An)),
    ("ans", Some(Class::Ans)),
    ("z", Some(Class::Z)),
    ("x+n", Some(Class::XN)),
    ("b", None),
    ("bitmap", Some(Class::Bitmap)),
];

const LENGTHS: [(&str, LengthWire, u8); 4] = [
    ("ascii", LengthWire::Ascii, 6),
    ("ebcdic", LengthWire::Ebcdic, 6),
    ("bcd", LengthWire::Bcd, 6),
    ("binary", LengthWire::Binary, 4),
];

const SECRETS: [(&str, Secrecy); 6] = [
    ("open", Secrecy::Open),
    ("pan", Secrecy::Pan),
    ("track", Secrecy::Track),
    ("pin", Secrecy::Pin),
    ("code", Secrecy::Code),
    ("emv", Secrecy::Emv),
];

/// Most units of a fixed element. A frame is smaller still: that is for the frame to say.
const SIZE_MAX: u16 = 9_999;
/// Most units of a variable element: what six digits of length can say.
const MAX_MAX: u32 = 999_999;
