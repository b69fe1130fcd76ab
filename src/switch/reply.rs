//! What the switch says itself: declines, format errors, answers to network management.
//!
//! A reply repeats the elements its dialect lists as echo, as the bytes they came in, and adds
//! DE 39. It never repeats account data, and only elements that were sound.

use crate::base::codes::ResponseCode;
use crate::iso8583::encode::Composer;
use crate::iso8583::message::{Message, answer_header};
use crate::iso8583::mti::Mti;

/// Appends the answer `mti` with `code` to `message`, in the dialect the message came in. False
/// if there is no lane any more.
pub fn write(
    message: &Message<'_>,
    mti: Mti,
    code: ResponseCode,
    lane: Option<&mut Vec<u8>>,
) -> bool {
    let Some(lane) = lane else { return false };
    let dialect = message.dialect;
    let mut elements = dialect.rules(message.mti()).echo.and(&message.present());
    elements.remove(39);
    let result = dialect.has(39);
    if result {
        elements.insert(39);
    }
    let header = |out: &mut Vec<u8>| answer_header(dialect, message.header(), out);
    let mut composer = Composer::begin(dialect, lane, header, mti, &elements);
    for element in elements.iter() {
        if element != 39 {
            composer.raw(element, message.raw(element).unwrap_or(&[]));
            continue;
        }
        let field = dialect.field(39);
        let (two, three) = (code.digits(), code.action_code());
        let digits: &[u8] = if field.units == 3 { &three } else { &two };
        if composer.value(39, digits).is_err() {
            composer.abandon();
            return false;
        }
    }
    composer.finish().is_ok()
}
