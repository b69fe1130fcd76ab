//! One pass over a message: from bytes to an index of offsets. No allocation, no copy.
//!
//! The pass proves what the dialect says about every byte it passes. Damage comes in two kinds. If
//! the end of the damaged element is still known (a letter in an amount), the pass notes the first
//! such error and goes on, so that the rest can be echoed in an answer with DE 39 = 30. If the end
//! is not known (a length that is no number), the pass stops. Either way the message is rejected;
//! the index then holds what was sound.

use super::bitmap::Bitmap;
use super::dialect::Dialect;
use super::error::{DecodeError, Reason};
use super::field::{Content, Field, Shape};
use super::kept_form::KeptForm;
use super::mti::Mti;
pub use super::span::Span;
use super::spec::Wire;
pub use super::twin::FormId;
use super::twin::{Key, Twins};

/// Where each element of a message stands. Reused from message to message, and remembers their
/// forms; 250 KiB.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// The MTI.
    pub mti: Mti,
    /// Sound data elements that were passed. Bitmap markers (1, a third bitmap's 65) are not data.
    pub present: Bitmap,
    /// Every data element the bitmaps name, passed or not, sound or not.
    pub named: Bitmap,
    /// First byte behind the bitmaps.
    pub body: u16,
    /// First byte behind the last element passed.
    pub end: u16,
    /// Some element passed is EMV data with account data (tags 57, 5A) in it.
    pub emv_accounts: bool,
    twins: Twins,
}

impl Index {
    /// One that numbers the forms it meets, so that what was worked out about a form can be kept.
    pub fn numbering() -> Self {
        let mut index = Self::default();
        index.twins.number_forms();
        index
    }

    /// The form of the message, if it was met before and this index numbers forms.
    #[inline]
    pub fn form(&self) -> Option<FormId> {
        self.twins.form()
    }

    /// Says nothing about any message.
    fn forget(&mut self) {
        self.mti = Mti::default();
        self.present = Bitmap::default();
        self.named = Bitmap::default();
        (self.body, self.end) = (0, 0);
        self.emv_accounts = false;
        self.twins.forget();
    }

    /// What of the message is kept, if its form was met before.
    #[inline]
    pub(super) fn kept(&self) -> Option<&KeptForm> {
        self.twins.kept()
    }

    /// Where `element` stands, if it is present.
    #[inline]
    pub fn span(&self, element: u8) -> Option<Span> {
        let span = self.twins.spans()[usize::from(element)];
        (span.end != 0).then_some(span)
    }
}

impl Dialect {
    /// Decodes a whole message (header, MTI, bitmaps, elements; no frame length) into `index`.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong. `index` then holds the sound part.
    #[inline]
    pub fn decode(&self, message: &[u8], index: &mut Index) -> Result<(), DecodeError> {
        let head = self.read_head(message);
        let known = head.is_some_and(|head| self.decode_twin(message, head, index).is_some());
        if known { Ok(()) } else { self.decode_stranger(message, head, index) }
    }

    /// Decodes a sound message of a form met before; `None` for any other.
    #[inline(always)]
    fn decode_twin(&self, message: &[u8], head: Head, index: &mut Index) -> Option<()> {
        let Head { mti, words, at } = head;
        let key = self.key_of(message, &head);
        index.emv_accounts = index.twins.find(self, message, at, key)?;
        index.mti = mti;
        (index.body, index.end) = (at as u16, message.len() as u16);
        index.named = Bitmap::from_words(words);
        index.present = index.named;
        Some(())
    }

    #[inline(always)]
    fn key_of(&self, message: &[u8], head: &Head) -> Key {
        let [primary, secondary, _] = head.words;
        let words = [primary, secondary];
        Key { dialect: self.id, words, bytes: message.len(), at: head.at }
    }

    #[inline(never)]
    fn decode_stranger(
        &self,
        message: &[u8],
        head: Option<Head>,
        index: &mut Index,
    ) -> Result<(), DecodeError> {
        self.decode_with_care(message, index)?;
        if let Some(head) = head {
            index.twins.learn(self, message, head.at, self.key_of(message, &head));
        }
        Ok(())
    }

    /// Reads MTI and bitmaps; `None` if anything is wrong with them.
    #[inline(always)]
    fn read_head(&self, message: &[u8]) -> Option<Head> {
        if message.len() > usize::from(u16::MAX) {
            return None;
        }
        if self.begins_packed {
            return self.read_packed_head(message);
        }
        let mti = self.read_mti(message).ok()?;
        let mut words = [0u64; 3];
        let at = self.header_bytes + self.mti_bytes;
        let at = self.read_bitmaps(message, at, &mut words).ok()?;
        Some(Head { mti, words, at })
    }

    /// Reads a packed MTI and binary bitmaps, the commonest head; `None` if anything is wrong.
    #[inline(always)]
    fn read_packed_head(&self, message: &[u8]) -> Option<Head> {
        let begins = &self.spec.header.begins;
        if begins.first() != message.get(..begins.len())?.first() {
            return None;
        }
        let rest = message.get(self.header_bytes..)?;
        let (mti, rest) = rest.split_first_chunk::<2>()?;
        let mti = Mti::from_packed(u16::from_be_bytes(*mti))?;
        let (primary, rest) = rest.split_first_chunk::<8>()?;
        let primary = u64::from_be_bytes(*primary);
        let at = self.header_bytes.wrapping_add(10);
        if primary >> 63 == 0 {
            return Some(Head { mti, words: [primary, 0, 0], at });
        }
        let secondary = u64::from_be_bytes(*rest.first_chunk::<8>()?);
        let words = [primary & (u64::MAX >> 1), secondary, 0];
        Some(Head { mti, words, at: at.wrapping_add(8) })
    }

    /// The same, element by element: finds what is wrong and where, and reads third bitmaps.
    /// [`Self::decode`] comes here with shapes it has not met, and with whatever is not sound.
    ///
    /// # Errors
    ///
    /// As [`Self::decode`].
    pub fn decode_with_care(&self, message: &[u8], index: &mut Index) -> Result<(), DecodeError> {
        let fault = self.walk(message, index, u8::MAX)?;
        if usize::from(index.end) < message.len() && fault.is_none() {
            return Err(DecodeError {
                field: index.present.last().unwrap_or(1),
                offset: u32::from(index.end),
                need: 0,
                have: message.len() as u32 - u32::from(index.end),
                reason: Reason::Trailing,
            });
        }
        fault.map_or(Ok(()), Err)
    }

    /// Decodes up to and including `element`, and nothing behind it: enough to route by.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong up to there.
    #[inline]
    pub fn scan_until(
        &self,
        message: &[u8],
        element: u8,
        index: &mut Index,
    ) -> Result<(), DecodeError> {
        self.walk(message, index, element)?.map_or(Ok(()), Err)
    }

    /// Walks the elements up to `last`. `Ok(Some(_))` is the first damage that the walk survived.
    #[inline]
    fn walk(
        &self,
        message: &[u8],
        index: &mut Index,
        last: u8,
    ) -> Result<Option<DecodeError>, DecodeError> {
        index.forget();
        if message.len() > usize::from(u16::MAX) {
            let have = message.len() as u32;
            return Err(error(0, 0, u32::from(u16::MAX), have, Reason::Size));
        }
        index.mti = self.read_mti(message)?;
        let spans = index.twins.scratch();
        let mut at = self.header_bytes + self.mti_bytes;
        let mut words = [0u64; 3];
        at = self.read_bitmaps(message, at, &mut words)?;
        index.named = Bitmap::from_words(words);
        index.body = at as u16;
        index.end = at as u16;
        let mut present = [0u64; 3];
        let mut fault = None;
        let mut word = 0;
        while word < 3 {
            let mut bits = words[word];
            let mut sound = 0u64;
            while bits != 0 {
                let place = bits.leading_zeros();
                let bit = 1u64 << 63 >> place;
                bits ^= bit;
                let element = word as u8 * 64 + place as u8 + 1;
                if element > last {
                    present[word] = sound;
                    index.present = Bitmap::from_words(present);
                    return Ok(fault);
                }
                let field = &self.fields[usize::from(element)];
                let span = match read_element(message, at, field) {
                    Ok(span) => span,
                    Err(found) => {
                        present[word] = sound;
                        index.present = Bitmap::from_words(present);
                        return Err(fault.unwrap_or(DecodeError { field: element, ..found }));
                    }
                };
                at = usize::from(span.end);
                index.end = span.end;
                match self.check(message, field, span) {
                    Ok(_) if field.content == Content::Bitmap => {
                        words[2] = third_bitmap(message, span);
                        index.named = Bitmap::from_words(words);
                        index.named.remove(element);
                        if words[2] == 0 {
                            let found = error(1, u32::from(span.value), 0, 8, Reason::BitmapEmpty);
                            fault = fault.or(Some(found));
                        }
                    }
                    Ok(accounts) => {
                        spans[usize::from(element)] = span;
                        sound |= bit;
                        index.emv_accounts |= accounts;
                    }
                    Err(reason) => {
                        let have = u32::from(span.end.wrapping_sub(span.value));
                        let found = error(element, u32::from(span.value), 0, have, reason);
                        fault = fault.or(Some(found));
                    }
                }
            }
            present[word] = sound;
            word += 1;
        }
        index.present = Bitmap::from_words(present);
        Ok(fault)
    }

    #[inline(always)]
    fn check(&self, message: &[u8], field: &Field, span: Span) -> Result<bool, Reason> {
        if span.units > field.units {
            return Err(Reason::TooLong);
        }
        let value = message.get(usize::from(span.value)..usize::from(span.end)).unwrap_or(&[]);
        field.check(value, span.units)?;
        if field.inner == 0 { Ok(false) } else { self.check_inner(field, value) }
    }

    #[inline]
    fn read_mti(&self, message: &[u8]) -> Result<Mti, DecodeError> {
        let begins = &self.spec.header.begins;
        if !begins.is_empty() && !message.starts_with(begins) {
            return Err(error(0, 0, begins.len() as u32, message.len() as u32, Reason::Header));
        }
        let at = self.header_bytes;
        if message.len() < at {
            return Err(error(0, 0, at as u32, message.len() as u32, Reason::Truncated));
        }
        let Some(bytes) = message.get(at..at + self.mti_bytes) else {
            let have = message.len().saturating_sub(at) as u32;
            return Err(error(0, at as u32, self.mti_bytes as u32, have, Reason::Truncated));
        };
        let mti = match *bytes {
            [high, low] => Mti::from_packed(u16::from(high) << 8 | u16::from(low)),
            [a, b, c, d] if self.spec.mti == Wire::Ebcdic => {
                let page = self.spec.code_page;
                Mti::from_ascii(&[a, b, c, d].map(|byte| page.to_latin1(byte)))
            }
            _ => Mti::from_ascii(bytes),
        };
        mti.ok_or_else(|| error(0, at as u32, 0, self.mti_bytes as u32, Reason::Mti))
    }

    /// Reads the primary bitmap and, if bit 1 says so, the secondary; leaves data elements only.
    #[inline]
    fn read_bitmaps(
        &self,
        message: &[u8],
        at: usize,
        words: &mut [u64; 3],
    ) -> Result<usize, DecodeError> {
        let size = if self.spec.bitmap.wire == Wire::Binary { 8 } else { 16 };
        words[0] = self.read_bitmap(message, at, size)?;
        let mut end = at + size;
        let extends = words[0] >> 63 == 1;
        if self.spec.bitmap.always_128 && extends {
            return Err(error(1, at as u32, 0, size as u32, Reason::BitmapExtension));
        }
        if extends || self.spec.bitmap.always_128 {
            words[1] = self.read_bitmap(message, end, size)?;
            end += size;
        }
        words[0] &= !(1 << 63);
        if words[0] | words[1] == 0 {
            return Err(error(1, at as u32, 0, (end - at) as u32, Reason::BitmapEmpty));
        }
        Ok(end)
    }

    #[inline]
    fn read_bitmap(&self, message: &[u8], at: usize, size: usize) -> Result<u64, DecodeError> {
        let Some(bytes) = message.get(at..at + size) else {
            let have = message.len().saturating_sub(at) as u32;
            return Err(error(1, at as u32, size as u32, have, Reason::Truncated));
        };
        if let Ok(raw) = <[u8; 8]>::try_from(bytes) {
            return Ok(u64::from_be_bytes(raw));
        }
        let mut word = 0;
        for byte in bytes {
            let character = if self.spec.bitmap.wire == Wire::HexEbcdic {
                self.spec.code_page.to_latin1(*byte)
            } else {
                *byte
            };
            let Some(digit) = char::from(character).to_digit(16) else {
                return Err(error(1, at as u32, 0, size as u32, Reason::BitmapDigits));
            };
            word = word << 4 | u64::from(digit);
        }
        Ok(word)
    }
}

/// What stands in front of the elements.
#[derive(Clone, Copy)]
struct Head {
    mti: Mti,
    words: [u64; 3],
    /// First byte behind the bitmaps.
    at: usize,
}

/// Finds the end of the element that begins at `at`.
#[inline(always)]
fn read_element(message: &[u8], at: usize, field: &Field) -> Result<Span, DecodeError> {
    let mut value = at;
    let mut units = field.units;
    if field.shape == Shape::Fixed {
        let end = at + usize::from(field.size);
        if end > message.len() {
            return Err(truncated(message, at, usize::from(field.size)));
        }
        return Ok(Span { start: at as u16, value: at as u16, end: end as u16, units });
    }
    if field.shape == Shape::Absent {
        return Err(error(0, at as u32, 0, 0, Reason::UnknownField));
    }
    value += usize::from(field.size);
    let Some(length) = message.get(at..value) else {
        return Err(truncated(message, at, usize::from(field.size)));
    };
    match field.length(length) {
        Ok(read) => units = read,
        Err(reason) => return Err(error(0, at as u32, 0, length.len() as u32, reason)),
    }
    let bytes = usize::from(field.bytes_of(units));
    let end = value + bytes;
    if field.counts_bytes {
        units -= field.filler_units(message.get(value..end).unwrap_or(&[]));
    }
    if end > message.len() {
        // A length above the maximum that also runs out of the message is first of all too long.
        if units > field.units {
            let have = message.len().saturating_sub(value) as u32;
            return Err(error(0, at as u32, bytes as u32, have, Reason::TooLong));
        }
        return Err(truncated(message, value, bytes));
    }
    Ok(Span { start: at as u16, value: value as u16, end: end as u16, units })
}

fn third_bitmap(message: &[u8], span: Span) -> u64 {
    message
        .get(usize::from(span.value)..usize::from(span.end))
        .and_then(|bytes| <[u8; 8]>::try_from(bytes).ok())
        .map_or(0, u64::from_be_bytes)
}

#[cold]
fn truncated(message: &[u8], at: usize, need: usize) -> DecodeError {
    let have = message.len().saturating_sub(at) as u32;
    error(0, at as u32, need as u32, have, Reason::Truncated)
}

#[cold]
const fn error(field: u8, offset: u32, need: u32, have: u32, reason: Reason) -> DecodeError {
    DecodeError { field, offset, need, have, reason }
}
