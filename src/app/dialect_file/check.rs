//! What can be judged only when the elements of all parents are known: names of inner structures,
//! and the third bitmap.
//!
//! A line that came from a parent has no line in this file: what is wrong with it here is shown
//! where the file names its parent.

use super::mistake::{Log, Span};
use super::table::Table;
use crate::iso8583::spec::{Class, CompositeSpec, Spec, Wire};

/// Notes elements that name no inner structure, or one they cannot carry, or cannot be reached.
pub(super) fn fields(root: &mut Table<'_>, spec: &Spec, log: &mut Log<'_>) {
    let home = root.take("inherits").map_or(root.span.clone(), |entry| entry.span);
    let own = root.take("fields").and_then(|entry| entry.value.as_table());
    let own = own.map(|fields| Table::new(fields, home.clone()).entries()).unwrap_or_default();
    let place = |element: u8| -> Span {
        let line = own.iter().find(|entry| entry.key.parse() == Ok(element));
        line.map_or(home.clone(), |entry| entry.span.clone())
    };
    let third_bitmap = spec.fields.get(&65).is_some_and(|field| field.class == Some(Class::Bitmap));
    for (element, field) in &spec.fields {
        if field.class == Some(Class::Bitmap) && *element != 65 {
            log.add(&place(*element), "only element 65 extends the message");
        }
        if *element > 128 && !third_bitmap {
            let reason = "needs a third bitmap: element 65 with class = \"bitmap\"";
            log.add(&place(*element), format!("element {element} {reason}"));
        }
        let Some(inner) = &field.inner else { continue };
        let bytes = matches!(field.wire, Wire::Binary | Wire::Hex | Wire::HexEbcdic);
        match spec.composites.get(inner) {
            None => {
                let reason = format!("unknown inner structure {inner:?}, no [composite.{inner}]");
                log.add(&place(*element), reason);
            }
            Some(CompositeSpec::BerTlv { .. }) if !bytes => {
                log.add(&place(*element), "ber-tlv is bytes: expected wire binary or hex");
            }
            Some(_) => {}
        }
    }
}
