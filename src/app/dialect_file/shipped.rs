//! The dialect files built into the binary.

/// The text of the shipped dialect `name`.
pub fn embedded(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(other, _)| *other == name).map(|(_, text)| *text)
}

/// The names of the shipped dialects, in alphabetical order.
pub fn shipped_names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

const SHIPPED: [(&str, &str); 0] = [];
