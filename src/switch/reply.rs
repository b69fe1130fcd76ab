//! What the switch says itself: declines, format errors, answers to network management.
//!
//! A reply repeats the elements its dialect lists as echo, as the bytes they came in, and adds
//! DE 39. It never repeats account data, and only elements that were sound.

use crate::base::codes::ResponseCode;
use crate::iso8583::dialect::Dialect;
use crate::iso8583::digits;
use crate::iso8583::encode::Composer;
use crate::iso8583::message::{Message, answer_header};
use crate::iso8583::mti::Mti;

/// What an answer says beside DE 39 and what it repeats.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extras {
    /// DE 38.
    pub approval: Option<[u8; 6]>,
    /// DE 4, where it is not the one asked for.
    pub amount: Option<u64>,
}

/// Appends the answer `mti` with `code` to `message`, in the dialect the message came in. False
/// if there is no lane any more.
pub fn write(
    message: &Message<'_>,
    mti: Mti,
    code: ResponseCode,
    lane: Option<&mut Vec<u8>>,
) -> bool {
    let mut digits = [0; 3];
    let code = code_of(message.dialect, code, &mut digits);
    write_as(message, mti, code, &Extras::default(), lane)
}

/// DE 39 as the dialect writes it: two digits, or three.
pub fn code_of<'b>(dialect: &Dialect, code: ResponseCode, buffer: &'b mut [u8; 3]) -> &'b [u8] {
    let [first, second] = code.digits();
    if dialect.field(39).units == 3 {
        *buffer = code.action_code();
        return buffer;
    }
    *buffer = [first, second, b' '];
    &buffer[..2]
}

/// The same, space padded.
pub fn padded_code(dialect: &Dialect, code: ResponseCode) -> [u8; 3] {
    let mut buffer = [0; 3];
    code_of(dialect, code, &mut buffer);
    buffer
}

/// The same, with DE 39 as the dialect writes it.
pub fn write_as(
    message: &Message<'_>,
    mti: Mti,
    code: &[u8],
    extras: &Extras,
    lane: Option<&mut Vec<u8>>,
) -> bool {
    let Some(lane) = lane else { return false };
    let dialect = message.dialect;
    let mut amount = [0; 12];
    if let Some(minor) = extras.amount {
        digits::write_ascii_number(minor, &mut amount);
    }
    let approval = extras.approval.unwrap_or_default();
    let own: [(u8, Option<&[u8]>); 3] = [
        (4, extras.amount.map(|_| &amount[..])),
        (38, extras.approval.map(|_| &approval[..])),
        (39, Some(code)),
    ];
    let mut elements = dialect.rules(message.mti()).echo.and(&message.present());
    for (element, value) in own {
        if element != 4 {
            elements.remove(element);
        }
        if value.is_some() && dialect.has(element) {
            elements.insert(element);
        }
    }
    let header = |out: &mut Vec<u8>| answer_header(dialect, message.header(), out);
    let mut composer = Composer::begin(dialect, lane, header, mti, &elements);
    for element in elements.iter() {
        let value = own.iter().find(|(own, _)| *own == element).and_then(|(_, value)| *value);
        match value {
            None => composer.raw(element, message.raw(element).unwrap_or(&[])),
            Some(value) => {
                if composer.value(element, value).is_err() {
                    composer.abandon();
                    return false;
                }
            }
        }
    }
    composer.finish().is_ok()
}
