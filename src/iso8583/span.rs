//! Where one element of a message stands.

/// Where one element stands, in bytes from the first byte of the header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte of the length, or of the value where there is no length.
    pub start: u16,
    /// First byte of the value.
    pub value: u16,
    /// First byte behind the value.
    pub end: u16,
    /// Units of the value: digits, characters or bytes.
    pub units: u16,
}

/// Where each element of a message stands, by its number; as many places as a byte has values, so
/// that none has to be checked.
pub(super) type Spans = [Span; 256];
