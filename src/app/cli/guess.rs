//! What `dialect infer` tries around a message, and what makes it doubt a fit that is formally one.

use crate::iso8583::dialect::Dialect;
use crate::iso8583::field::Content;
use crate::iso8583::message::Message;
use crate::iso8583::spec::{FrameLength, Framing, HeaderKind, HeaderSpec};
use crate::iso8583::value;

/// Frames in use between acquirers, switches and networks; the first is none at all.
pub(super) fn framings() -> Vec<Option<Framing>> {
    let base = Framing::default();
    let digits = |length, size| Framing { length, size, ..base.clone() };
    let forms = [
        base.clone(),
        digits(FrameLength::Ascii, 4),
        digits(FrameLength::Bcd, 2),
        digits(FrameLength::Hex, 4),
        digits(FrameLength::Binary, 4),
        digits(FrameLength::Binary, 3),
    ];
    let mut all = vec![None];
    for form in forms {
        all.push(Some(Framing { counts_itself: true, ..form.clone() }));
        all.push(Some(form));
    }
    all.push(Some(Framing { after: vec![0, 0], ..base.clone() }));
    all.push(Some(Framing { trailer: vec![3], ..base.clone() }));
    all.push(Some(Framing {
        length: FrameLength::None,
        size: 0,
        trailer: vec![3],
        ..base.clone()
    }));
    all
}

/// Headers that are put in front of messages of any dialect.
pub(super) fn headers() -> Vec<HeaderSpec> {
    let header = |kind, size, begins: &[u8]| HeaderSpec {
        kind,
        size,
        begins: begins.to_vec(),
        template: Vec::new(),
    };
    vec![
        HeaderSpec::default(),
        header(HeaderKind::Tpdu, 5, &[0x60]),
        header(HeaderKind::Tpdu, 7, &[0x60]),
        header(HeaderKind::Tpdu, 11, &[0x60]),
        header(HeaderKind::Opaque, 12, b"ISO"),
        header(HeaderKind::Opaque, 8, &[]),
        header(HeaderKind::Opaque, 22, &[]),
    ]
}

/// What speaks against a message that decodes: values that its elements should not have.
pub(super) fn doubts(message: &Message<'_>, doubts: &mut Vec<String>) {
    let mti = message.mti();
    let strange = mti.edition_digit() > 2 || matches!(mti.class(), 0 | 9) || mti.origin() > 5;
    if strange {
        doubts.push(format!("MTI {mti} is not in use"));
    }
    if let Some(edition) = message.dialect.spec.edition
        && !mti.is_of(edition)
    {
        doubts.push(format!("MTI {mti} is of another edition"));
    }
    for element in TEXTS {
        if message.has(element) && !is_printable(message, element) {
            doubts.push(format!("DE {element} is not readable text"));
        }
    }
    if message.has(2) {
        match message.pan() {
            Some(pan) if pan.reveal().len() >= 12 && pan.luhn_holds() => {}
            Some(_) => doubts.push("DE 2 fails its check digit".to_owned()),
            None => doubts.push("DE 2 is no account number".to_owned()),
        }
    }
    for (element, units, is_date) in DATES {
        let Some(span) = message.index.span(element) else { continue };
        let Some(number) = message.number(element) else { continue };
        if span.units == units && !is_date(number) {
            doubts.push(format!("DE {element} is no date or time"));
        }
    }
}

fn is_printable(message: &Message<'_>, element: u8) -> bool {
    let field = message.dialect.field(element);
    let mut text = Vec::new();
    let units = message.index.span(element).map_or(0, |span| span.units);
    value::read(field, message.value(element).unwrap_or(&[]), units, &mut text);
    let eight_bit = matches!(field.content, Content::Gbk | Content::Latin1);
    value::form(field.content) == value::Form::Bytes
        || text.iter().all(|c| matches!(c, b' '..=b'~') || (eight_bit && *c >= 0xA0))
}

/// Two dialects that a message fits may differ in strictness: the share of messages with one byte
/// damaged that each rejects, in percent.
pub(super) fn strictness(dialect: &Dialect, messages: &[&[u8]]) -> usize {
    let mut index = crate::iso8583::decode::Index::default();
    let (mut tried, mut rejected) = (0, 0);
    let bytes: usize = messages.iter().map(|message| message.len()).sum();
    let step = bytes.div_ceil(PLACES_MAX).max(1);
    for message in messages {
        let mut damaged = message.to_vec();
        for place in (dialect.header_bytes..message.len()).step_by(step) {
            for flip in [0x01, 0x0F, 0x40, 0x80, 0xFF] {
                if let Some(byte) = damaged.get_mut(place) {
                    *byte ^= flip;
                }
                tried += 1;
                rejected += usize::from(dialect.decode(&damaged, &mut index).is_err());
                if let Some(byte) = damaged.get_mut(place) {
                    *byte ^= flip;
                }
            }
        }
    }
    rejected * 100 / tried.max(1)
}

const PLACES_MAX: usize = 500;

/// Elements that are text whatever the dialect.
const TEXTS: [u8; 6] = [37, 38, 39, 41, 42, 43];

/// Element, digits, and what they must be.
type Date = (u8, u16, fn(u64) -> bool);

const DATES: [Date; 4] = [
    (7, 10, |n| is_month_day(n / 1_000_000) && is_time(n % 1_000_000)),
    (12, 6, is_time),
    (13, 4, is_month_day),
    (14, 4, |n| (1..=12).contains(&(n % 100))),
];

fn is_month_day(number: u64) -> bool {
    (1..=12).contains(&(number / 100)) && (1..=31).contains(&(number % 100))
}

fn is_time(number: u64) -> bool {
    number / 10_000 < 24 && number / 100 % 100 < 60 && number % 100 < 60
}
