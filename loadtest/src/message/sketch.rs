//! A whole request with zeros where its own values go.
//!
//! Elements are laid down one by one and the bitmap follows from them. The cards are test numbers
//! with a valid check digit and the chip data is well-formed, because a switch with all its checks
//! on must find nothing to decline.

use crate::frame::{BITMAP_BYTES, Form, LENGTH_BYTES};

use super::RRN_BYTES;

/// What the requests of one template have in common.
#[derive(Clone, Debug)]
pub(super) struct Sketch<'s> {
    pub(super) mti: [u8; 2],
    pub(super) account: Account<'s>,
    /// DE 3, packed.
    pub(super) processing: [u8; 3],
    /// DE 18, packed.
    pub(super) category: [u8; 2],
    /// DE 22, packed.
    pub(super) entry: [u8; 2],
    /// The digits at the end of DE 41.
    pub(super) terminal: [u8; 3],
    /// DE 42, 15 characters.
    pub(super) merchant: &'s str,
    /// DE 49.
    pub(super) currency: &'s str,
}

/// Who pays.
#[derive(Clone, Debug)]
pub(super) enum Account<'s> {
    /// A packed card number, with chip data.
    Card([u8; 8]),
    /// A payment code that was scanned.
    Code(&'s str),
}

/// The frame of a sketch: zeros for DE 4, 7, 11, 12, 13 and in what depends on them.
pub(super) fn build(form: Form, sketch: &Sketch<'_>) -> Vec<u8> {
    let mut elements: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut put = |de: u8, parts: &[&[u8]]| elements.push((de, parts.concat()));
    let chip = match sketch.account {
        Account::Card(pan) => {
            put(2, &[&[0x16], &pan]);
            true
        }
        Account::Code(_) => false,
    };
    put(3, &[&sketch.processing]);
    put(4, &[&[0; 6]]);
    put(7, &[&[0; 5]]);
    put(11, &[&[0; 3]]);
    put(12, &[&[0; 3]]);
    put(13, &[&[0; 2]]);
    if chip {
        put(14, &[&[0x49, 0x12]]); // December 2049
    }
    put(18, &[&sketch.category]);
    put(22, &[&sketch.entry]);
    if chip {
        put(23, &[&[0x00, 0x01]]);
    }
    put(25, &[&[0x00]]);
    put(32, &[&[0x06, 0x10, 0x01, 0x23]]); // 6 digits
    put(37, &[&[b'0'; RRN_BYTES]]);
    put(41, &[b"T0000", &sketch.terminal]);
    put(42, &[format!("{:<15}", sketch.merchant).as_bytes()]);
    put(49, &[sketch.currency.as_bytes()]);
    if chip {
        put(55, &[&[0x01, 0x00], &CHIP]); // 100 bytes
    }
    if let Account::Code(code) = sketch.account {
        let value = format!("A3{:03}{code}", code.len());
        put(59, &[&length(value.len()), value.as_bytes()]);
    }
    put(63, &[&length(LABEL.len()), LABEL]);
    let bits = elements.iter().fold(0_u64, |bits, (de, _)| bits | 1 << (64 - de));
    let mut frame = vec![0; LENGTH_BYTES];
    if form == Form::Tpdu {
        frame.extend(TPDU);
    }
    frame.extend(sketch.mti);
    frame.extend::<[u8; BITMAP_BYTES]>(bits.to_be_bytes());
    elements.iter().for_each(|(_, bytes)| frame.extend(bytes));
    let size = (frame.len() - LENGTH_BYTES) as u16;
    frame[..LENGTH_BYTES].copy_from_slice(&size.to_be_bytes());
    frame
}

/// A packed 16-digit test card number whose last digit is its Luhn check digit.
pub(super) fn pan(index: usize) -> [u8; 8] {
    let mut digits = format!("{}{:09}0", BINS[index % BINS.len()], 104_729 * (index + 1));
    digits.truncate(15);
    let mut own = [0; 15];
    own.copy_from_slice(digits.as_bytes());
    checked(own)
}

/// Fifteen digits as characters, with their check digit behind them, packed.
#[inline]
pub(super) fn checked(digits: [u8; 15]) -> [u8; 8] {
    let mut sum = 0;
    for (place, digit) in digits.iter().rev().enumerate() {
        let value = u32::from(digit - b'0') << u32::from(place % 2 == 0);
        sum += value / 10 + value % 10;
    }
    let mut packed = [0; 8];
    for (byte, two) in packed.iter_mut().zip(digits.chunks(2)) {
        let low = two.get(1).map_or((10 - sum % 10) % 10, |digit| u32::from(digit - b'0'));
        *byte = (two[0] - b'0') << 4 | low as u8;
    }
    packed
}

/// Two bytes of packed digits in front of an element of variable length.
fn length(size: usize) -> [u8; 2] {
    let pair = |value: usize| (((value / 10) << 4) | (value % 10)) as u8;
    [pair(size / 100), pair(size % 100)]
}

const BINS: [&str; 3] = ["622424", "411111", "520474"];
const TPDU: [u8; 5] = [0x60, 0x00, 0x03, 0x00, 0x00];
const LABEL: &[u8] = b"LOADTEST 0.1 SALE TERMINAL";

/// DE 55 as a terminal sends it: no tag that a switch must not keep (57, 5A).
#[rustfmt::skip]
pub(super) const CHIP: [u8; 100] = [
    0x9F, 0x26, 0x08, 0x3A, 0x51, 0x7C, 0xE2, 0x90, 0x4B, 0x1D, 0xF8, // cryptogram
    0x9F, 0x27, 0x01, 0x80, // its kind: online
    0x9F, 0x10, 0x0B, 0x07, 0x01, 0x01, 0x03, 0xA0, 0xA8, 0x04, 0x01, 0x0A, 0x01, 0x00, // issuer
    0x9F, 0x37, 0x04, 0x6B, 0x2E, 0x90, 0x11, // unpredictable number
    0x9F, 0x36, 0x02, 0x01, 0x5C, // transaction counter
    0x95, 0x05, 0x00, 0x00, 0x00, 0x80, 0x00, // verification results
    0x9A, 0x03, 0x00, 0x00, 0x00, // date
    0x9C, 0x01, 0x00, // purchase
    0x9F, 0x02, 0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // amount
    0x5F, 0x2A, 0x02, 0x01, 0x56, // currency
    0x82, 0x02, 0x7C, 0x00, // interchange profile
    0x9F, 0x1A, 0x02, 0x01, 0x56, // country
    0x9F, 0x03, 0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // other amount
    0x9F, 0x33, 0x03, 0xE0, 0xF8, 0xC8, // capabilities
    0x9F, 0x34, 0x03, 0x42, 0x03, 0x00, // cardholder verification
];
