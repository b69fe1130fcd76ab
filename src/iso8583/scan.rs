//! Where a scanned payment code stands in a message, and which messages carry one.
//!
//! Fleets disagree: terminals of Chinese make write it as a part of DE 59, those of Thai banks
//! into DE 35 in place of a track, others into DE 2 or a private element; and what DE 22 says of it
//! is 03x for most and something else for some. So both are said by the dialect. What it is not: it
//! does not look into the code (see [`super::qr`]) nor decide whose it is.

use super::composite::Composite;
use super::dialect::Dialect;
use super::field::Content;
use super::message::Message;
use super::spec::{CompositeSpec, ScanSpec, Spec};

/// What a dialect says about scanned codes, compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// A bit for each first two digits of DE 22.
    entry_modes: u128,
    places: Vec<Place>,
}

/// A code that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// The element it stands in.
    pub element: u8,
    /// The code, never empty.
    pub text: &'a [u8],
}

/// One place to look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    element: u8,
    within: Within,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Within {
    /// The whole element; of track data what stands in front of the separator.
    Whole,
    /// The value of a tag.
    Tag(Vec<u8>),
    /// A part by position: its first byte and its size. Spaces fill it up.
    Part(u16, u16),
}

impl Scan {
    /// Compiles what `spec` says. Places that it has no element for are left out.
    pub(super) fn compile(spec: &Spec) -> Self {
        let ScanSpec { entry_modes, places } = &spec.scan;
        let modes = entry_modes.iter().filter(|mode| **mode < 100);
        Self {
            entry_modes: modes.fold(0, |set, mode| set | 1 << mode),
            places: places
                .iter()
                .filter_map(|(element, part)| place(spec, *element, part.as_deref()))
                .collect(),
        }
    }

    /// True if a DE 22 says that a code was scanned.
    pub const fn is_meant(&self, entry_mode: u16) -> bool {
        entry_mode < 1000 && self.entry_modes & 1 << (entry_mode / 10) != 0
    }

    /// The code, in the first of the places that has one. `buffer` takes digits that are packed.
    pub fn find<'m: 'b, 'b>(
        &self,
        message: &Message<'m>,
        buffer: &'b mut [u8; 40],
    ) -> Option<Found<'b>> {
        let place = self.places.iter().find(|place| place.is_there(message))?;
        let (element, value) = (place.element, message.value(place.element));
        let text = match &place.within {
            Within::Whole if is_plain(message.dialect.field(element).content) => value?,
            Within::Whole => {
                let count = message.characters(element, buffer)?;
                buffer.get(..count)?
            }
            Within::Tag(tag) => tagged(message.dialect, element, value?, tag)?,
            Within::Part(from, size) => part(value?, *from, *size)?,
        };
        let is_separator = |byte: &u8| matches!(byte, b'=' | b'D');
        let end = text.iter().position(is_separator).filter(|_| matches!(element, 35 | 36));
        let text = text.get(..end.unwrap_or(text.len()))?;
        Some(Found { element, text }).filter(|found| !found.text.is_empty())
    }

    /// True if the code of `message` is all that DE 35 holds: there is no track in it.
    pub fn is_instead_of_track(&self, message: &Message<'_>) -> bool {
        let place = self.places.iter().find(|place| place.is_there(message));
        place.is_some_and(|place| place.element == 35 && place.within == Within::Whole)
    }
}

impl Place {
    fn is_there(&self, message: &Message<'_>) -> bool {
        let Some(value) = message.value(self.element).filter(|value| !value.is_empty()) else {
            return false;
        };
        match &self.within {
            Within::Whole => true,
            Within::Tag(tag) => tagged(message.dialect, self.element, value, tag).is_some(),
            Within::Part(from, size) => part(value, *from, *size).is_some(),
        }
    }
}

fn tagged<'a>(dialect: &Dialect, element: u8, value: &'a [u8], tag: &[u8]) -> Option<&'a [u8]> {
    let Some(Composite::Text(rules)) = dialect.composite(element) else { return None };
    rules.find(value, tag).filter(|code| !code.is_empty())
}

fn part(value: &[u8], from: u16, size: u16) -> Option<&[u8]> {
    let (from, size) = (usize::from(from), usize::from(size));
    Some(value.get(from..from + size)?.trim_ascii_end()).filter(|code| !code.is_empty())
}

/// True if the characters of a value are its bytes.
const fn is_plain(content: Content) -> bool {
    !matches!(
        content,
        Content::Bcd
            | Content::TrackBcd
            | Content::SignedBcd
            | Content::Ebcdic
            | Content::EbcdicDigits
            | Content::SignedEbcdic
    )
}

fn place(spec: &Spec, element: u8, part: Option<&str>) -> Option<Place> {
    let field = spec.fields.get(&element)?;
    let Some(part) = part else { return Some(Place { element, within: Within::Whole }) };
    let within = match spec.composites.get(field.inner.as_ref()?)? {
        CompositeSpec::Tlv { .. } | CompositeSpec::Ltv { .. } => {
            Within::Tag(part.as_bytes().to_vec())
        }
        CompositeSpec::Positional { parts } => {
            let at = parts.iter().position(|(name, _)| name == part)?;
            let from = parts.iter().take(at).map(|(_, size)| size).sum();
            Within::Part(from, parts.get(at)?.1)
        }
        CompositeSpec::BerTlv { .. } | CompositeSpec::Bitmap { .. } => return None,
    };
    Some(Place { element, within })
}
