//! From elements to bytes: a new message written in order, or a received one patched.
//!
//! A switch mostly forwards. So the fast way ([`patch`]) copies the received bytes and overwrites
//! what changed in place; only messages the switch starts itself, and declines, are composed.

use std::ops::Range;

use super::bitmap::Bitmap;
use super::dialect::Dialect;
use super::error::{DecodeError, Reason};
use super::field::{Content, Field};
use super::frame::Broken;
use super::mti::Mti;
use super::spec::{HeaderKind, Wire};
use super::value;

/// Writes one message, framed, at the end of a buffer: elements in ascending order.
#[derive(Debug)]
pub struct Composer<'a> {
    dialect: &'a Dialect,
    out: &'a mut Vec<u8>,
    start: usize,
    last: u8,
}

impl<'a> Composer<'a> {
    /// Begins a framed message that will have exactly the `elements` (data only; bitmap markers
    /// are added). `header` writes what stands before the MTI.
    pub fn begin(
        dialect: &'a Dialect,
        out: &'a mut Vec<u8>,
        header: impl FnOnce(&mut Vec<u8>),
        mti: Mti,
        elements: &Bitmap,
    ) -> Self {
        let start = dialect.begin_frame(out);
        header(out);
        begin_body(dialect, out, mti, elements);
        Self { dialect, out, start, last: 1 }
    }

    /// Appends an element already in this dialect's wire form, length and all.
    pub fn raw(&mut self, element: u8, bytes: &[u8]) {
        self.pass(element);
        self.out.extend_from_slice(bytes);
    }

    /// Appends an element from its neutral form.
    ///
    /// # Errors
    ///
    /// Why the value does not fit; the frame must then be [`Self::abandon`]ed.
    pub fn value(&mut self, element: u8, value: &[u8]) -> Result<(), Reason> {
        self.pass(element);
        value::write(self.dialect.field(element), value, self.out)
    }

    /// Writes the frame's length. Returns where the frame begins in the buffer.
    ///
    /// # Errors
    ///
    /// If the frame became too long; it is then taken out again.
    pub fn finish(self) -> Result<usize, Broken> {
        self.dialect.finish_frame(self.out, self.start)?;
        Ok(self.start)
    }

    /// Takes what was written so far out again.
    pub fn abandon(self) {
        self.out.truncate(self.start);
    }

    fn pass(&mut self, element: u8) {
        debug_assert!(element > self.last, "elements are written in ascending order");
        self.last = element;
    }
}

/// The header a message the switch starts itself begins with.
pub fn template_header(dialect: &Dialect, out: &mut Vec<u8>) {
    let header = &dialect.spec.header;
    if header.kind == HeaderKind::None {
        return;
    }
    let size = usize::from(header.size);
    let given = header.template.len().min(size);
    out.extend_from_slice(header.template.get(..given).unwrap_or(&[]));
    let missing = size - given;
    out.resize(out.len() + missing, 0);
}

/// Writes MTI and bitmaps. The marker of a third bitmap counts as an element: the third
/// bitmap itself stands in its place, and whoever writes the elements writes it.
pub fn begin_body(dialect: &Dialect, out: &mut Vec<u8>, mti: Mti, elements: &Bitmap) {
    write_mti(dialect, out, mti);
    let mut words = elements.words();
    if words[2] != 0 {
        words[1] |= 1 << 63;
    }
    let always = dialect.spec.bitmap.always_128;
    if words[1] != 0 && !always {
        words[0] |= 1 << 63;
    }
    write_bitmap(dialect, out, words[0]);
    if words[1] != 0 || always {
        write_bitmap(dialect, out, words[1]);
    }
}

/// Writes an MTI.
#[inline]
pub(super) fn write_mti(dialect: &Dialect, out: &mut Vec<u8>, mti: Mti) {
    match dialect.spec.mti {
        Wire::Bcd => out.extend_from_slice(&mti.packed().to_be_bytes()),
        Wire::Ebcdic => out.extend(mti.ascii().map(|c| dialect.spec.code_page.from_latin1(c))),
        _ => out.extend_from_slice(&mti.ascii()),
    }
}

fn write_bitmap(dialect: &Dialect, out: &mut Vec<u8>, word: u64) {
    let spec = &dialect.spec;
    match spec.bitmap.wire {
        Wire::Binary => out.extend_from_slice(&word.to_be_bytes()),
        wire => {
            for place in (0..16).rev() {
                let digit = b"0123456789ABCDEF"[(word >> (place * 4) & 15) as usize];
                let ebcdic = wire == Wire::HexEbcdic;
                out.push(if ebcdic { spec.code_page.from_latin1(digit) } else { digit });
            }
        }
    }
}

/// Encodes a message without frame from `header`, `mti` and neutral values in ascending order.
///
/// # Errors
///
/// The first element that cannot be written; its offset is where it would have stood.
pub fn encode(
    dialect: &Dialect,
    header: &[u8],
    mti: Mti,
    values: &[(u8, Vec<u8>)],
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let elements: Bitmap = values.iter().map(|(element, _)| *element).collect();
    out.extend_from_slice(header);
    begin_body(dialect, out, mti, &elements);
    let third = elements.words()[2];
    let mut third_written = third == 0;
    for (element, neutral) in values {
        if !third_written && *element > THIRD_BITMAP_MARKER {
            out.extend_from_slice(&third.to_be_bytes());
            third_written = true;
        }
        let have = neutral.len() as u32;
        let error = |reason, need| DecodeError {
            field: *element,
            offset: out.len() as u32,
            need,
            have,
            reason,
        };
        let field = dialect.field(*element);
        if !dialect.has(*element) {
            return Err(error(Reason::UnknownField, 0));
        }
        if third != 0 && dialect.field(THIRD_BITMAP_MARKER).content != Content::Bitmap {
            return Err(error(Reason::UnknownField, 0));
        }
        let need = u32::from(field.units);
        value::write(field, neutral, out).map_err(|reason| DecodeError {
            field: *element,
            offset: out.len() as u32,
            need: if matches!(reason, Reason::Size | Reason::TooLong) { need } else { 0 },
            have,
            reason,
        })?;
    }
    Ok(())
}

/// The element that marks a third bitmap where a dialect has one.
pub const THIRD_BITMAP_MARKER: u8 = 65;

/// Forwards a received message to a dialect that looks the same behind the header: appends
/// `message` (what `header` does not write) to `out`, framed, behind what `header` writes, with the
/// bytes at `place` of `message` overwritten.
///
/// # Errors
///
/// If the frame would be too long; nothing is then appended.
#[inline]
pub fn patch(
    dialect: &Dialect,
    header: impl FnOnce(&mut Vec<u8>),
    message: &[u8],
    place: Range<usize>,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Broken> {
    let start = dialect.begin_frame(out);
    header(out);
    let mti = out.len();
    out.extend_from_slice(message);
    debug_assert_eq!(place.len(), bytes.len(), "a patch keeps the size of the element");
    if let Some(slot) = out.get_mut(mti + place.start..mti + place.end)
        && slot.len() == bytes.len()
    {
        // Three bytes are most STANs, and no call.
        match (&mut *slot, bytes) {
            ([a, b, c], &[x, y, z]) => (*a, *b, *c) = (x, y, z),
            _ => slot.copy_from_slice(bytes),
        }
    }
    dialect.finish_frame(out, start)
}

/// A STAN in the wire form of DE 11: at most 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StanBytes {
    bytes: [u8; 12],
    length: u8,
}

impl StanBytes {
    /// Writes `stan` as `field` wants it; `None` if the field cannot hold a STAN.
    #[inline]
    pub fn new(field: &Field, stan: u32) -> Option<Self> {
        let mut bytes = [0; 12];
        if field.content == Content::Bcd && field.units == 6 && !field.is_variable() {
            let [a, b, c] = super::digits::stan_bcd(stan);
            (bytes[0], bytes[1], bytes[2]) = (a, b, c);
            return Some(Self { bytes, length: 3 });
        }
        Self::of_any(field, stan)
    }

    fn of_any(field: &Field, stan: u32) -> Option<Self> {
        let mut digits = [b'0'; 12];
        let count = usize::from(field.units);
        if field.is_variable() || !(6..=12).contains(&count) {
            return None;
        }
        super::digits::write_ascii_number(u64::from(stan), digits.get_mut(..count)?);
        let mut written = Vec::with_capacity(12);
        value::write(field, digits.get(..count)?, &mut written).ok()?;
        let mut bytes = [0; 12];
        bytes.get_mut(..written.len())?.copy_from_slice(&written);
        Some(Self { bytes, length: written.len() as u8 })
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }
}
