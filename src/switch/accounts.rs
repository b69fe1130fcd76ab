//! Account data that comes twice must agree with itself.
//!
//! A message may name its account in DE 2, in the track and in the data of the chip. What the
//! issuer sees first is up to the issuer: two accounts in one message are never forwarded. No check
//! digit is computed; that is the issuer's.

use crate::iso8583::message::Message;
use crate::iso8583::tlv;

use super::fault::Fault;

/// Account data that comes twice must agree: DE 35 and EMV tags 57 and 5A with DE 2. In place of a
/// track DE 35 may hold a payment code.
#[inline]
pub(super) fn accounts(message: &Message<'_>, is_code: bool) -> Result<(), Fault> {
    if !message.has(35) && !message.index.emv_accounts {
        return Ok(());
    }
    let mut buffer = [0; 19];
    let pan = message.characters(2, &mut buffer).and_then(|count| buffer.get(..count));
    track(message, pan, is_code)?;
    if !message.index.emv_accounts {
        return Ok(());
    }
    let known = message.pan();
    let mut same = true;
    let mut first: Option<&[u8]> = None;
    tlv::each(message.value(55).unwrap_or(&[]), &mut |tag, value| {
        if !matches!(tag, 0x57 | 0x5A) {
            return;
        }
        same &= match (&known, first) {
            (Some(pan), _) => packed_begins_with(value, pan.reveal()),
            (None, Some(other)) => packed_agree(value, other),
            (None, None) => true,
        };
        first = first.or(Some(value));
    });
    if same { Ok(()) } else { Err(Fault::Contradiction(55)) }
}

/// Track 2: one separator, and in front of it the PAN of DE 2.
fn track(message: &Message<'_>, pan: Option<&[u8]>, is_code: bool) -> Result<(), Fault> {
    if !message.has(35) {
        return Ok(());
    }
    let mut buffer = [0; 40];
    let count = message.characters(35, &mut buffer).ok_or(Fault::Value(35))?;
    let track = buffer.get(..count).unwrap_or(&[]);
    let is_separator = |character: &u8| matches!(character, b'=' | b'D');
    let mut separators = (0..count).filter(|at| track.get(*at).is_some_and(is_separator));
    let first = match (separators.next(), separators.next()) {
        (Some(first), None) => first,
        (None, _) if is_code => return Ok(()),
        _ => return Err(Fault::Value(35)),
    };
    match pan {
        Some(pan) if track.get(..first) != Some(pan) => Err(Fault::Contradiction(35)),
        _ => Ok(()),
    }
}

/// True if both begin with the same account number.
fn packed_agree(one: &[u8], other: &[u8]) -> bool {
    let digits = |packed: &[u8]| -> usize {
        let nibbles = packed.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        nibbles.take_while(|nibble| *nibble < 10).count()
    };
    let count = digits(one);
    let nibble = |packed: &[u8], place: usize| {
        packed.get(place / 2).map(|byte| byte >> (4 * (1 - place % 2)) & 15)
    };
    count == digits(other) && (0..count).all(|place| nibble(one, place) == nibble(other, place))
}

/// True if packed digits begin with `digits`, followed by the end, a filler or a separator.
fn packed_begins_with(packed: &[u8], digits: &[u8]) -> bool {
    let nibble = |place: usize| {
        packed
            .get(place / 2)
            .map(|byte| if place.is_multiple_of(2) { byte >> 4 } else { byte & 15 })
    };
    let same = digits
        .iter()
        .enumerate()
        .all(|(place, digit)| nibble(place) == Some(digit.wrapping_sub(b'0')));
    same && nibble(digits.len()).is_none_or(|next| next > 9)
}
