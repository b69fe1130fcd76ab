//! Defects that others' codecs had, each as a test of ours.

use authswitch::app::json::{self, Refusal};
use authswitch::iso8583::decode::Index;
use authswitch::iso8583::error::{DecodeError, Reason};
use authswitch::iso8583::frame::{self, Broken, Cut};
use authswitch::iso8583::message::Message;
use authswitch::iso8583::spec::{FrameLength, Framing};

use crate::{bytes, dialect};

fn encode(name: &str, line: &str) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    json::encode(&dialect(name), line.as_bytes(), &mut Index::default(), &mut out)?;
    Ok(out)
}

fn decode(name: &str, hex: &str) -> Result<(), DecodeError> {
    dialect(name).decode(&bytes(hex), &mut Index::default())
}

/// A codec always wrote 128 bits of bitmap.
#[test]
fn sixty_four_bits_of_bitmap_are_written_where_they_suffice() {
    let written = encode("jpos-iso87binary", r#"{"mti":"0800","fields":{"11":"000001"}}"#);
    assert_eq!(written.expect("fits"), bytes("0800 0020000000000000 000001"));
    let written = encode("jpos-iso87binary", r#"{"mti":"0800","fields":{"70":"301"}}"#);
    assert_eq!(written.expect("fits"), bytes("0800 8000000000000000 0400000000000000 0301"));
}

/// "EFGH" became 5678 in packed digits.
#[test]
fn letters_are_not_packed_as_digits() {
    for value in ["EFGH00", "12:456", "-12345", "12345\\u0130"] {
        let line = format!(r#"{{"mti":"0800","fields":{{"11":"{value}"}}}}"#);
        let refusal = encode("jpos-iso87binary", &line).expect_err("no digits");
        assert_eq!(refusal.error.field, 11, "{value}");
        assert!(matches!(refusal.error.reason, Reason::Digit | Reason::Character), "{value}");
    }
    let error = decode("jpos-iso87binary", "0800 0020000000000000 0000A1").expect_err("no digit");
    assert_eq!((error.field, error.offset, error.reason), (11, 10, Reason::Nibble));
}

/// A hexadecimal frame length was computed modulo 65535.
#[test]
fn frame_lengths_are_not_taken_modulo() {
    let framing = Framing { length: FrameLength::Hex, size: 4, ..Framing::default() };
    assert_eq!(frame::cut(&framing, b"FFFF0200"), Cut::Broken(Broken::TooLong));
    let framing = Framing { size: 4, ..Framing::default() };
    assert_eq!(frame::cut(&framing, &[0, 1, 0, 12, 0]), Cut::Broken(Broken::TooLong));
}

/// Crafted lengths crashed decoders: in BER-TLV, and "-3" as a length in digits.
#[test]
fn crafted_lengths_are_errors() {
    let error =
        decode("ascii87-hexbitmap", &hex("08000000000000010000-3ab")).expect_err("no digits");
    assert_eq!((error.field, error.reason), (48, Reason::LengthDigits));
    for tlv in ["9F", "9F26", "9F2684FFFFFFFF", "5F2A83FFFFFF", "9F2680", "DF8181810100", "5A7F41"]
    {
        let length = tlv.len() / 2;
        let message = format!("0100 0000000000000200 {length:04} {tlv}");
        let result = decode("pos-bcd", &format!("6000000000{message}"));
        let error = result.expect_err(tlv);
        assert_eq!(error.field, 55, "{tlv}: {error}");
    }
}

/// An inner structure is one of bytes, also where those are written as hexadecimal characters.
#[test]
fn chip_data_in_hexadecimal_is_read_through_its_characters() {
    let line = r#"{"mti":"0100","fields":{"55":"9F2608A1B2C3D4E5F607089F36020042"}}"#;
    let written = encode("iso87-ascii", line).expect("sound");
    assert!(written.ends_with(b"0329F2608A1B2C3D4E5F607089F36020042"));
    let cut = r#"{"mti":"0100","fields":{"55":"9F2608A1B2C3D4E5F607"}}"#;
    assert_eq!(encode("iso87-ascii", cut).expect_err("cut").error.reason, Reason::InnerLength);
}

/// Leading zeros of a number were lost.
#[test]
fn leading_zeros_stay() {
    for name in ["jpos-iso87binary", "jpos-iso87ascii", "mastercard-ebcdic", "jpos-iso93binary"] {
        let line = r#"{"mti":"0800","fields":{"3":"000000","4":"000000000042","11":"000007"}}"#;
        let written = encode(name, line).expect("fits");
        let (dialect, mut index) = (dialect(name), Index::default());
        dialect.decode(&written, &mut index).expect("decodes");
        let message = Message { bytes: &written, index: &index, dialect: &dialect };
        let mut digits = [0; 12];
        let count = message.characters(4, &mut digits);
        assert_eq!((count, &digits), (Some(12), b"000000000042"), "{name}");
    }
}

/// x+n 8 was read as 8 characters instead of 9.
#[test]
fn signed_amounts_have_their_sign_beside_the_digits() {
    let line = r#"{"mti":"0200","fields":{"28":"C00000042"}}"#;
    let written = encode("jpos-iso87ascii", line).expect("fits");
    assert_eq!(written, b"02000000001000000000C00000042");
    let written = encode("jpos-iso87binary", line).expect("fits");
    assert_eq!(written, bytes("0200 0000001000000000 43 00000042"));
    let short = r#"{"mti":"0200","fields":{"28":"C0000042"}}"#;
    assert_eq!(encode("jpos-iso87ascii", short).expect_err("short").error.reason, Reason::Size);
}

/// An 0810 was answered with an 0820.
#[test]
fn a_response_is_never_answered() {
    use authswitch::iso8583::mti::Mti;
    for packed in 0..=0x9999 {
        let Some(mti) = Mti::from_packed(packed) else { continue };
        match mti.response() {
            Some(answer) => assert!(!mti.is_response() && answer.is_response(), "{mti}"),
            None => assert!(mti.is_response() || mti.function() >= 8, "{mti}"),
        }
    }
}

/// Several messages in one read: only the first was seen.
#[test]
fn every_message_of_a_read_is_seen() {
    let framing = Framing::default();
    let mut stream = Vec::new();
    for length in [12, 100, 13] {
        let start = frame::begin(&framing, &mut stream);
        stream.resize(stream.len() + length, 0x30);
        frame::finish(&framing, &mut stream, start).expect("fits");
    }
    let (mut rest, mut seen) = (&stream[..], Vec::new());
    while let Cut::Frame { start, end, next } = frame::cut(&framing, rest) {
        seen.push(end - start);
        rest = &rest[next..];
    }
    assert_eq!((seen, rest.len()), (vec![12, 100, 13], 0));
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
