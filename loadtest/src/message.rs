//! The requests that the load is made of.
//!
//! A pool of complete 0100 frames is built once; a request is a copy of one with its STAN, RRN
//! and amount patched in, so that building costs a copy of 229 bytes. The cards are test numbers
//! with a valid check digit and the chip data is well-formed, because a switch with all its
//! checks on must find nothing to decline. It is not an encoder: no field is ever omitted or
//! moved.

use crate::clock::{Moment, NS_PER_S, wall_ns};
use crate::frame::{self, Form, LENGTH_BYTES, bcd_of_number};

/// Builds requests; one per thread of load.
pub(crate) struct Requests {
    templates: Vec<Template>,
    rrn: [u8; RRN_BYTES],
    second: u64,
}

struct Template {
    frame: Vec<u8>,
    places: Places,
}

/// Where in its frame a template is patched, in bytes from the length prefix.
#[derive(Default)]
struct Places {
    amount: usize,
    sent: usize,
    stan: usize,
    time: usize,
    rrn: usize,
    terminal: usize,
    chip_amount: usize,
    chip_date: usize,
}

impl Requests {
    /// A pool of requests in `form`, dated now. The RRN counts up from the time of day in units
    /// of 200 ns, so that two runs against one switch do not repeat each other's numbers.
    pub(crate) fn new(form: Form) -> Requests {
        let wall_ns = wall_ns();
        let templates = (0..TEMPLATES).map(|index| Template::new(form, index)).collect();
        let mut rrn = [b'0'; RRN_BYTES];
        let mut rest = wall_ns / 200;
        for digit in rrn.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let mut requests = Requests { templates, rrn, second: 0 };
        requests.date(wall_ns);
        requests
    }

    /// Puts the date and time into every template, if the second has changed.
    pub(crate) fn date(&mut self, wall_ns: u64) {
        let second = wall_ns / NS_PER_S;
        if second != self.second {
            self.second = second;
            let moment = Moment::of(second);
            self.templates.iter_mut().for_each(|template| template.date(moment));
        }
    }

    /// Appends one request of the session `fleet` and returns its DE 37. The terminal follows from
    /// session and STAN, so that no two requests of a second have one key; the amount follows from
    /// the STAN, which makes an answer with another request's amount visible.
    #[inline]
    pub(crate) fn append(&mut self, out: &mut Vec<u8>, stan: u32, fleet: Fleet) -> [u8; RRN_BYTES] {
        count_up(&mut self.rrn);
        let template = &self.templates[stan as usize % TEMPLATES];
        let places = &template.places;
        let begin = out.len();
        out.extend_from_slice(&template.frame);
        let frame = &mut out[begin..];
        let digits = bcd_of_number(stan);
        frame[places.stan..][..3].copy_from_slice(&digits);
        frame[places.amount + 3..][..3].copy_from_slice(&digits);
        frame[places.chip_amount + 3..][..3].copy_from_slice(&digits);
        frame[places.rrn..][..RRN_BYTES].copy_from_slice(&self.rrn);
        frame[places.terminal + 1..][..FLEET_BYTES].copy_from_slice(&fleet.0);
        self.rrn
    }

    /// True if `terminal` is DE 41 of the request of this session with this STAN.
    #[inline]
    pub(crate) fn is_terminal(&self, terminal: &[u8], stan: u32, fleet: Fleet) -> bool {
        let template = &self.templates[stan as usize % TEMPLATES];
        let own = &template.frame[template.places.terminal..][..TERMINAL_BYTES];
        terminal.len() == TERMINAL_BYTES
            && terminal[..1] == own[..1]
            && terminal[1..=FLEET_BYTES] == fleet.0
            && terminal[1 + FLEET_BYTES..] == own[1 + FLEET_BYTES..]
    }
}

/// Whose terminals a session carries: the middle of DE 41.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fleet([u8; FLEET_BYTES]);

impl Fleet {
    /// That of the session of this number.
    pub(crate) fn of(session: usize) -> Fleet {
        let mut digits = [b'0'; FLEET_BYTES];
        let mut rest = session;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 36) as u8;
            if *digit > b'9' {
                *digit += b'A' - b'9' - 1;
            }
            rest /= 36;
        }
        Fleet(digits)
    }
}

impl Template {
    fn new(form: Form, index: usize) -> Template {
        let frame = build(form, index);
        let mut places = Places::default();
        frame::walk(&frame, form, |field| {
            let at = field.start;
            match field.de {
                4 => places.amount = at,
                7 => places.sent = at,
                11 => places.stan = at,
                12 => places.time = at,
                37 => places.rrn = at,
                41 => places.terminal = at,
                55 => {
                    places.chip_amount = at + 2 + CHIP_AMOUNT_AT;
                    places.chip_date = at + 2 + CHIP_DATE_AT;
                }
                _ => {}
            }
            true
        })
        .expect("a template is a whole frame");
        Template { frame, places }
    }

    fn date(&mut self, moment: Moment) {
        let [year, month, day] = [moment.year % 100, moment.month, moment.day].map(pair);
        let [hour, minute, second] = [moment.hour, moment.minute, moment.second].map(pair);
        let places = &self.places;
        let mut put = |at: usize, bytes: &[u8]| {
            self.frame[at..at + bytes.len()].copy_from_slice(bytes);
        };
        put(places.sent, &[month, day, hour, minute, second]);
        // DE 12 and DE 13 lie side by side.
        put(places.time, &[hour, minute, second, month, day]);
        put(places.chip_date, &[year, month, day]);
    }
}

/// One 0100 with zeros where the request's own values go: STAN, RRN, date, and the amount, whose
/// low six digits are the STAN.
fn build(form: Form, index: usize) -> Vec<u8> {
    let mut frame = vec![0; LENGTH_BYTES];
    if form == Form::Tpdu {
        frame.extend(TPDU);
    }
    frame.extend([0x01, 0x00]);
    frame.extend(BITMAP);
    frame.push(0x16); // DE 2: 16 digits
    frame.extend(pan(index));
    frame.extend([0x00, 0x00, 0x00]); // DE 3: purchase
    frame.extend([0; 6]); // DE 4
    frame.extend([0; 5]); // DE 7
    frame.extend([0; 3]); // DE 11
    frame.extend([0; 3]); // DE 12
    frame.extend([0; 2]); // DE 13
    frame.extend([0x49, 0x12]); // DE 14: December 2049
    frame.extend([0x54, 0x11]); // DE 18: groceries
    frame.extend(if index.is_multiple_of(4) { [0x00, 0x21] } else { [0x00, 0x51] }); // DE 22
    frame.extend([0x00, 0x01]); // DE 23
    frame.push(0x00); // DE 25
    frame.extend([0x06, 0x10, 0x01, 0x23]); // DE 32: 6 digits
    frame.extend([b'0'; RRN_BYTES]); // DE 37
    frame.extend(format!("T0000{:03}", index + 1).as_bytes()); // DE 41
    frame.extend(format!("MERCHANT{:07}", index / 4 + 1).as_bytes()); // DE 42
    frame.extend(b"156"); // DE 49
    frame.extend([0x01, 0x00]); // DE 55: 100 bytes
    frame.extend(CHIP);
    frame.extend([0x00, 0x26]); // DE 63: 26 characters
    frame.extend(b"LOADTEST 0.1 SALE TERMINAL");
    let size = (frame.len() - LENGTH_BYTES) as u16;
    frame[..LENGTH_BYTES].copy_from_slice(&size.to_be_bytes());
    frame
}

/// A packed 16-digit test card number whose last digit is its Luhn check digit.
fn pan(index: usize) -> [u8; 8] {
    let mut digits = format!("{}{:09}0", BINS[index % BINS.len()], 104_729 * (index + 1));
    digits.truncate(15);
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0') << u32::from(place % 2 == 0);
            value / 10 + value % 10
        })
        .sum();
    digits.push(char::from(b'0' + ((10 - sum % 10) % 10) as u8));
    let mut packed = [0; 8];
    for (byte, two) in packed.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = (two[0] - b'0') << 4 | (two[1] - b'0');
    }
    packed
}

/// Adds one to a number written in ASCII digits.
#[inline]
fn count_up(digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
}

fn pair(value: u32) -> u8 {
    (((value / 10) << 4) | (value % 10)) as u8
}

/// Size of DE 37 in bytes.
pub(crate) const RRN_BYTES: usize = 12;
/// Size of DE 41 in bytes.
const TERMINAL_BYTES: usize = 8;

/// Characters of DE 41 that say whose terminal it is: 36^4 sessions.
const FLEET_BYTES: usize = 4;

/// Different terminals and cards of a session.
const TEMPLATES: usize = 64;
const BINS: [&str; 3] = ["622424", "411111", "520474"];
const TPDU: [u8; 5] = [0x60, 0x00, 0x03, 0x00, 0x00];
/// DE 2, 3, 4, 7, 11, 12, 13, 14, 18, 22, 23, 25, 32, 37, 41, 42, 49, 55, 63.
const BITMAP: [u8; 8] = [0x72, 0x3C, 0x46, 0x81, 0x08, 0xC0, 0x82, 0x02];

const CHIP_DATE_AT: usize = 50;
const CHIP_AMOUNT_AT: usize = 59;
/// DE 55 as a terminal sends it: no tag that a switch must not keep (57, 5A).
#[rustfmt::skip]
const CHIP: [u8; 100] = [
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

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22 02:23:18 UTC.
    const WALL_NS: u64 = 1_795_314_198 * NS_PER_S;

    #[test]
    fn a_request_is_these_bytes() {
        let mut requests = Requests::new(Form::Tpdu);
        requests.rrn = *b"632602000009";
        requests.date(WALL_NS);
        let mut out = Vec::new();
        let rrn = requests.append(&mut out, 123_457, Fleet::of(37));
        let expected = [
            "00E3",
            "6000030000",
            "0100",
            "723C468108C08202",
            "16 4111 1100 0209 4584",
            "000000",
            "000000123457",
            "1122022318",
            "123457",
            "022318",
            "1122",
            "4912",
            "5411",
            "0051",
            "0001",
            "00",
            "06100123",
            "363332363032303030303130",
            "5430303131303032",
            "4D45524348414E5430303030303031",
            "313536",
            "0100",
            "9F26083A517CE2904B1DF8",
            "9F270180",
            "9F100B07010103A0A804010A0100",
            "9F37046B2E9011",
            "9F3602015C",
            "95050000008000",
            "9A03261122",
            "9C0100",
            "9F0206000000123457",
            "5F2A020156",
            "82027C00",
            "9F1A020156",
            "9F0306000000000000",
            "9F3303E0F8C8",
            "9F3403420300",
            "0026",
            "4C4F41445445535420302E312053414C45205445524D494E414C",
        ];
        assert_eq!(hex(&out), expected.concat().replace(' ', ""));
        assert_eq!(out.len(), 229);
        assert_eq!(&rrn, b"632602000010");
        assert!(requests.is_terminal(b"T0011002", 123_457, Fleet::of(37)));
        assert!(!requests.is_terminal(b"T0011002", 123_458, Fleet::of(37)));
        assert!(!requests.is_terminal(b"T0011002", 123_457, Fleet::of(36)));
    }

    #[test]
    fn without_a_tpdu_only_the_tpdu_is_missing() {
        let (with, without) = (build(Form::Tpdu, 5), build(Form::Bare, 5));
        assert_eq!(with[7..], without[2..]);
        assert_eq!(without[..2], 222u16.to_be_bytes());
    }

    #[test]
    fn every_card_passes_luhn() {
        for index in 0..TEMPLATES {
            let sum: u32 = hex(&pan(index))
                .bytes()
                .rev()
                .enumerate()
                .map(|(place, digit)| {
                    let value = u32::from(digit - b'0') * (1 + place as u32 % 2);
                    if value > 9 { value - 9 } else { value }
                })
                .sum();
            assert_eq!(sum % 10, 0, "card {index}");
        }
    }

    #[test]
    fn an_rrn_counts_in_decimal() {
        let mut digits = *b"000000000999";
        count_up(&mut digits);
        assert_eq!(&digits, b"000000001000");
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02X}")).collect()
    }
}
