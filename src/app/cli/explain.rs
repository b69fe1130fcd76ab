//! `authswitch dialect explain`: a dialect as a table for people, 80 columns wide.

use std::io::{self, Write};
use std::process::ExitCode;

use super::{Ended, USAGE};
use crate::base::pan::Secrecy;
use crate::iso8583::dialect::Dialect;
use crate::iso8583::field::Field;
use crate::iso8583::names;
use crate::iso8583::spec::{
    Class, CompositeSpec, Counts, Extent, FieldSpec, FrameLength, Framing, HeaderKind, HeaderSpec,
    LengthWire, Side, Spec, Wire,
};

/// Prints the whole dialect, or one element of it.
pub(super) fn run(dialect: &Dialect, element: Option<u8>) -> Ended {
    let mut out = io::stdout().lock();
    if let Some(element) = element {
        return match dialect.spec.fields.get(&element) {
            Some(field) => one(&mut out, dialect, element, field).map(|()| ExitCode::SUCCESS),
            None => {
                eprintln!("authswitch: {} has no DE {element}", dialect.name());
                Ok(ExitCode::from(USAGE))
            }
        };
    }
    let spec = &dialect.spec;
    writeln!(out, "{}: {}", spec.name, spec.about)?;
    writeln!(out, "frame  {}", framing(&spec.framing))?;
    writeln!(out, "header {}", header(&spec.header))?;
    writeln!(out, "MTI    {}, bitmap {}", wire(spec.mti), bitmap(spec))?;
    writeln!(out, "codes  {}", scanned(spec))?;
    writeln!(out)?;
    writeln!(
        out,
        "{:>3}  {:<26.26} {:<6} {:<13} {:<5} {:<3} {:<6} inner",
        "DE", "name", "wire", "length", "class", "pad", "secret"
    )?;
    for (element, field) in &spec.fields {
        let compiled = dialect.field(*element);
        let row = format!(
            "{element:>3}  {:<26.26} {:<6} {:<13} {:<5} {:<3} {:<6} {}",
            names::name(*element),
            wire(field.wire),
            length(field),
            class(field.class),
            pad(field),
            secrecy(compiled),
            field.inner.as_deref().unwrap_or("")
        );
        writeln!(out, "{}", row.trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn one(out: &mut impl Write, dialect: &Dialect, element: u8, field: &FieldSpec) -> io::Result<()> {
    writeln!(out, "DE {element}, {}, in {}", names::name(element), dialect.name())?;
    writeln!(out, "wire    {}", wire(field.wire))?;
    writeln!(out, "length  {}", length(field))?;
    let class = class(field.class);
    writeln!(out, "class   {}", if class.is_empty() { "any" } else { class })?;
    if !pad(field).is_empty() {
        let accepts: Vec<String> = field.accepts.iter().map(|n| format!("{n:X}")).collect();
        let also = if accepts.is_empty() { "" } else { ", accepts also " };
        writeln!(out, "pad     {}{also}{}", pad(field), accepts.join(" "))?;
    }
    let secret = secrecy(dialect.field(element));
    writeln!(out, "secret  {}", if secret.is_empty() { "no" } else { secret })?;
    for (name, rules) in &dialect.spec.presence {
        for (list, word) in [
            (&rules.mandatory, "mandatory"),
            (&rules.conditional, "conditional"),
            (&rules.optional, "optional"),
            (&rules.forbidden, "forbidden"),
        ] {
            if list.contains(&element) {
                writeln!(out, "{name:<7} {word}")?;
            }
        }
    }
    let Some(name) = &field.inner else { return Ok(()) };
    let Some(composite) = dialect.spec.composites.get(name) else { return Ok(()) };
    writeln!(out, "inner   {name}: {}", inner(composite))?;
    match composite {
        CompositeSpec::Positional { parts } => {
            for (part, size) in parts {
                writeln!(out, "        {part}, {size} bytes")?;
            }
        }
        CompositeSpec::Bitmap { fields, .. } => {
            for (bit, field) in fields {
                writeln!(out, "        {bit:>3} {} {}", wire(field.wire), length(field))?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// What the compact notation of an element leaves out.
pub(super) fn rest(dialect: &Dialect, element: u8) -> String {
    let Some(field) = dialect.spec.fields.get(&element) else { return "-".to_owned() };
    let inner = field.inner.as_deref().unwrap_or("no inner");
    let secrecy = dialect.field(element).secrecy;
    let accepts: Vec<String> = field.accepts.iter().map(|n| format!("{n:X}")).collect();
    format!("{}, {secrecy:?}, {inner}, fillers {}", class(field.class), accepts.join(""))
}

/// How a header looks.
pub(super) fn header(header: &HeaderSpec) -> String {
    match header.kind {
        HeaderKind::None => "none".to_owned(),
        HeaderKind::Tpdu => format!("TPDU, {} bytes, addresses swapped in answers", header.size),
        HeaderKind::Opaque => format!("{} bytes, repeated in answers", header.size),
    }
}

/// How a frame looks.
pub(super) fn framing(framing: &Framing) -> String {
    let mut parts = Vec::new();
    let constant = |bytes: &[u8]| -> String {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        hex.join(" ")
    };
    if !framing.before.is_empty() {
        parts.push(constant(&framing.before));
    }
    let size = framing.size;
    parts.push(match framing.length {
        FrameLength::Binary => format!("{size} bytes of length, big-endian"),
        FrameLength::Bcd => format!("{size} bytes of length, packed digits"),
        FrameLength::Ascii => format!("{size} digits of length"),
        FrameLength::Hex => format!("{size} hexadecimal digits of length"),
        FrameLength::None => "no length".to_owned(),
    });
    if framing.counts_itself {
        parts.push("counting itself".to_owned());
    }
    if !framing.after.is_empty() {
        parts.push(format!("then {}", constant(&framing.after)));
    }
    if !framing.trailer.is_empty() {
        parts.push(format!("ending in {}", constant(&framing.trailer)));
    }
    parts.join(", ")
}

/// How the bitmap is written.
pub(super) fn bitmap(spec: &Spec) -> String {
    let always = if spec.bitmap.always_128 { ", always 128 bits" } else { "" };
    format!("{}{always}", wire(spec.bitmap.wire))
}

/// Where scanned payment codes stand, as far as the dialect has such elements.
pub(super) fn scanned(spec: &Spec) -> String {
    let modes: Vec<String> =
        spec.scan.entry_modes.iter().map(|mode| format!("{mode:02}x")).collect();
    let places = spec.scan.places.iter().filter(|(element, part)| {
        spec.fields.get(element).is_some_and(|field| part.is_none() || field.inner.is_some())
    });
    let places: Vec<String> = places
        .map(|(element, part)| match part {
            None => format!("DE {element}"),
            Some(part) => format!("{part} of DE {element}"),
        })
        .collect();
    match places.is_empty() || modes.is_empty() {
        true => "none".to_owned(),
        false => format!("DE 22 = {}, in {}", modes.join(" "), places.join(", else ")),
    }
}

/// A wire form in a word.
pub(super) const fn wire(wire: Wire) -> &'static str {
    match wire {
        Wire::Ascii => "ascii",
        Wire::Ebcdic => "ebcdic",
        Wire::Bcd => "bcd",
        Wire::Binary => "binary",
        Wire::Hex => "hex",
        Wire::HexEbcdic => "hexebc",
    }
}

/// Fixed size, or most units with the digits or bytes of the length: `..19 LL bcd`.
fn length(field: &FieldSpec) -> String {
    match field.extent {
        Extent::Fixed(size) => size.to_string(),
        Extent::Variable { max, length, size, counts } => {
            let letters = "L".repeat(usize::from(size));
            let form = match length {
                LengthWire::Ascii => "",
                LengthWire::Ebcdic => " ebc",
                LengthWire::Bcd => " bcd",
                LengthWire::Binary => " bin",
            };
            let bytes = if counts == Counts::Bytes { "*" } else { "" };
            format!("..{max} {letters}{form}{bytes}")
        }
    }
}

fn class(class: Option<Class>) -> &'static str {
    match class {
        None => "",
        Some(Class::N) => "n",
        Some(Class::A) => "a",
        Some(Class::An) => "an",
        Some(Class::Ans) => "ans",
        Some(Class::Z) => "z",
        Some(Class::XN) => "x+n",
        Some(Class::Bitmap) => "map",
    }
}

/// Side and nibble of the filler, where there can be one.
fn pad(field: &FieldSpec) -> String {
    let odd = !matches!(field.extent, Extent::Fixed(size) if size.is_multiple_of(2));
    if field.wire != Wire::Bcd || !odd {
        return String::new();
    }
    let side = if field.pad.side == Side::Left { 'L' } else { 'R' };
    format!("{side}{:X}", field.pad.nibble)
}

const fn secrecy(field: &Field) -> &'static str {
    match field.secrecy {
        Secrecy::Open => "",
        Secrecy::Pan => "PAN",
        Secrecy::Track => "track",
        Secrecy::Pin => "PIN",
        Secrecy::Code => "code",
        Secrecy::Emv => "EMV",
    }
}

fn inner(composite: &CompositeSpec) -> String {
    match composite {
        CompositeSpec::BerTlv { depth_max, tags_max, .. } => {
            format!("BER-TLV, at most {tags_max} tags, {depth_max} deep")
        }
        CompositeSpec::Tlv { tag_size, length_size, wire: form, .. } => {
            format!("tag {tag_size} + length {length_size}, {}", wire(*form))
        }
        CompositeSpec::Ltv { tag_size, length_size, wire: form, .. } => {
            format!("length {length_size} + tag {tag_size}, {}", wire(*form))
        }
        CompositeSpec::Positional { parts } => format!("{} parts by position", parts.len()),
        CompositeSpec::Bitmap { bits, .. } => format!("a bitmap of {bits} bits and its fields"),
    }
}
