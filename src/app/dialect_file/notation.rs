//! The compact notation of one element, as the collected dialect tables write it:
//! `fix:<enc>:<n>[:pad]`, `var:<enc>:<digits><lenenc>:<max>[:nib][:pad]`, `xn:<enc>:<n>`,
//! `bitmap3`.
//!
//! It says everything about the wire and nothing about content, so that two dialects can be
//! compared element by element, whoever wrote them down.

use crate::iso8583::spec::{Class, Counts, Extent, FieldSpec, LengthWire, Pad, Side, Wire};

/// The notation of `field`. An even number of packed digits has no filler, so none is named.
pub fn notation(field: &FieldSpec) -> String {
    let wire = wire(field.wire);
    match (field.class, field.extent) {
        (Some(Class::Bitmap), _) => "bitmap3".to_owned(),
        (Some(Class::XN), Extent::Fixed(size)) => format!("xn:{wire}:{size}"),
        (_, Extent::Fixed(size)) => {
            let odd = field.wire == Wire::Bcd && !size.is_multiple_of(2);
            let pad = if odd { pad(field.pad) } else { String::new() };
            format!("fix:{wire}:{size}{pad}")
        }
        (_, Extent::Variable { max, length, size, counts }) => {
            let bcd = field.wire == Wire::Bcd;
            let nib = if bcd && counts == Counts::Units { ":nib" } else { "" };
            let pad = if bcd { pad(field.pad) } else { String::new() };
            let length = match length {
                LengthWire::Ascii => "asc",
                LengthWire::Ebcdic => "ebc",
                LengthWire::Bcd => "bcd",
                LengthWire::Binary => "bin",
            };
            format!("var:{wire}:{size}{length}:{max}{nib}{pad}")
        }
    }
}

fn wire(wire: Wire) -> &'static str {
    match wire {
        Wire::Ascii => "asc",
        Wire::Ebcdic => "ebc",
        Wire::Bcd => "bcd",
        Wire::Binary => "bin",
        Wire::Hex => "hexasc",
        Wire::HexEbcdic => "hexebc",
    }
}

fn pad(pad: Pad) -> String {
    let side = if pad.side == Side::Left { 'L' } else { 'R' };
    format!(":{side}{:X}", pad.nibble)
}
