//! Cut and damaged messages: never a panic, and what is accepted all the same is written again as
//! it came, unless the dialect says that it may be written in more than one way.

use authswitch::app::dialects;
use authswitch::iso8583::bitmap::Bitmap;
use authswitch::iso8583::decode::Index;
use authswitch::iso8583::dialect::Dialect;
use authswitch::iso8583::field::Content;
use authswitch::iso8583::message::Message;
use authswitch::iso8583::spec::Wire;

use crate::sound_vectors;

#[test]
fn every_prefix_is_rejected() {
    let mut index = Index::default();
    for (vector, message, dialect) in sound_vectors() {
        for end in 0..message.len() {
            let error = dialect.decode(&message[..end], &mut index).expect_err(&vector.id);
            assert!(error.offset as usize <= end, "{} cut at {end}: {error}", vector.id);
            for element in index.present.iter() {
                let span = index.span(element).expect("present");
                assert!(span.start <= span.value && span.value <= span.end, "{}", vector.id);
                assert!(usize::from(span.end) <= end, "{} cut at {end}", vector.id);
            }
        }
    }
}

#[test]
fn a_longer_message_is_rejected() {
    for (vector, mut message, dialect) in sound_vectors() {
        message.push(0);
        let error = dialect.decode(&message, &mut Index::default()).expect_err(&vector.id);
        assert_eq!((error.offset as usize, error.have), (message.len() - 1, 1), "{}", vector.id);
    }
}

#[test]
fn one_damaged_byte_is_rejected_or_written_again() {
    for (vector, message, dialect) in sound_vectors() {
        let mut damaged = message.clone();
        let step = if message.len() <= SHORT_BYTES { 1 } else { 7 };
        for place in 0..message.len() {
            for value in (0..=255u8).skip(place % step).step_by(step) {
                damaged[place] = value;
                if let Err(why) = accepted_is_written_again(&dialect, &damaged) {
                    panic!("{} with {value:#04x} at {place}: {why}", vector.id);
                }
            }
            damaged[place] = message[place];
        }
    }
}

/// Every byte of every message taken out, doubled, or swapped with the next.
#[test]
fn shifted_messages_are_rejected_or_written_again() {
    for (vector, message, dialect) in sound_vectors() {
        for place in 0..message.len() {
            let mut shorter = message.clone();
            shorter.remove(place);
            let mut longer = message.clone();
            longer.insert(place, message[place]);
            let mut swapped = message.clone();
            swapped.swap(place, (place + 1) % message.len());
            for damaged in [shorter, longer, swapped] {
                if let Err(why) = accepted_is_written_again(&dialect, &damaged) {
                    panic!("{} at {place}: {why}", vector.id);
                }
            }
        }
    }
}

/// Messages below this size meet all values of every byte, longer ones each seventh.
const SHORT_BYTES: usize = 128;

fn accepted_is_written_again(dialect: &Dialect, bytes: &[u8]) -> Result<(), String> {
    let mut index = Index::default();
    if dialect.decode(bytes, &mut index).is_err() {
        return Ok(());
    }
    let message = Message { bytes, index: &index, dialect };
    let again = dialects::again(&message).map_err(|error| error.to_string())?;
    if again == bytes || same_but_for_freedom(&message, &again) {
        return Ok(());
    }
    Err(format!("accepted, but written as {again:02x?}"))
}

/// What a dialect may accept beside what it writes: the case of hexadecimal digits, another filler
/// nibble, and a secondary bitmap that names nothing.
fn same_but_for_freedom(message: &Message<'_>, again: &[u8]) -> bool {
    let mut index = Index::default();
    let dialect = message.dialect;
    if dialect.decode(again, &mut index).is_err() || index.present != message.present() {
        return false;
    }
    let other = Message { bytes: again, index: &index, dialect };
    let head = dialect.header_bytes + dialect.mti_bytes;
    let empty_secondary = message.present().words()[1..] == [0, 0];
    let hex_bitmap = dialect.spec.bitmap.wire != Wire::Binary;
    let body = usize::from(message.index.body);
    if message.bytes[..head] != again[..head]
        || !(message.bytes[head..body].eq_ignore_ascii_case(&again[head..usize::from(index.body)])
            && hex_bitmap
            || message.bytes[head..body] == again[head..usize::from(index.body)]
            || empty_secondary)
    {
        return false;
    }
    let alike = |element| {
        let field = dialect.field(element);
        let (a, b) = (message.raw(element).unwrap_or(&[]), other.raw(element).unwrap_or(&[]));
        let hex = matches!(field.content, Content::Hex) && a.eq_ignore_ascii_case(b);
        let hex_ebcdic = field.content == Content::HexEbcdic && a.len() == b.len();
        let filler = field.density == 4 && field.fillers.count_ones() > 1 && a.len() == b.len();
        a == b || hex || hex_ebcdic || filler
    };
    let elements: Bitmap = message.present();
    elements.iter().all(alike)
}
