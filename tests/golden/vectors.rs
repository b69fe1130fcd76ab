//! Every vector decodes to what is known of it and encodes to the same bytes, through the same
//! functions as the command line.

use authswitch::app::json::{self, Shown};
use authswitch::iso8583::decode::Index;
use serde_json::Value;

use crate::{all_vectors, bytes, dialect, sound_vectors};

#[test]
fn vectors_decode_to_what_is_known_and_encode_to_the_same_bytes() {
    let vectors = sound_vectors();
    assert!(vectors.len() >= 31, "{} vectors", vectors.len());
    for (vector, message, dialect) in vectors {
        let (mut index, mut line) = (Index::default(), Vec::new());
        json::decode(&dialect, &message, 0, Shown::Clear, &mut index, &mut line)
            .unwrap_or_else(|error| panic!("{}: {error}", vector.id));
        let read: Value = serde_json::from_slice(&line).expect("one line of JSON");
        let known = vector.decoded.expect("decoded");
        assert_eq!(read["mti"], known.mti, "{}", vector.id);
        let header = read.get("header").map_or("", |header| header.as_str().expect("hex"));
        assert_eq!(header, known.header_hex.to_uppercase(), "{}", vector.id);
        let fields = read["fields"].as_object().expect("fields");
        for (element, value) in &known.fields {
            assert_eq!(
                fields.get(element),
                Some(&Value::from(&**value)),
                "{} {element}",
                vector.id
            );
        }
        assert_eq!(fields.len(), known.fields.len(), "{}", vector.id);
        let numbers: Vec<u8> = fields.keys().map(|key| key.parse().expect("number")).collect();
        assert!(numbers.is_sorted(), "{}", vector.id);
        let mut again = Vec::new();
        json::encode(&dialect, &line, &mut index, &mut again)
            .unwrap_or_else(|refusal| panic!("{}: {refusal:?}", vector.id));
        assert_eq!(again, message, "{}", vector.id);
    }
}

#[test]
fn damaged_vectors_are_rejected_where_they_are_damaged() {
    for vector in all_vectors().iter().filter(|vector| vector.expect_error) {
        let error = dialect(&vector.dialect)
            .decode(&bytes(&vector.raw_hex), &mut Index::default())
            .expect_err("rejected");
        if vector.id == "jreactive-issue65" {
            let found = (error.field, error.offset, error.need, error.have);
            assert_eq!(found, (70, 60, 3, 1));
        }
    }
}

#[test]
fn nothing_secret_is_shown_unless_asked_for() {
    for (vector, message, dialect) in sound_vectors() {
        let (mut index, mut line) = (Index::default(), Vec::new());
        json::decode(&dialect, &message, 0, Shown::Masked, &mut index, &mut line)
            .unwrap_or_else(|error| panic!("{}: {error}", vector.id));
        let line = String::from_utf8(line).expect("text");
        let fields = vector.decoded.expect("decoded").fields;
        let account = fields.get("2").filter(|pan| pan.len() >= 12);
        let others = ["35", "36", "45", "52"].into_iter().filter_map(|e| fields.get(e));
        for secret in account.into_iter().chain(others) {
            assert!(!line.contains(&format!("\"{secret}\"")), "{}", vector.id);
        }
        if account.is_some() {
            let refused = json::encode(&dialect, line.as_bytes(), &mut index, &mut Vec::new());
            let refusal = refused.expect_err("masked");
            assert!(refusal.sentence.contains("masked"), "{}: {refusal:?}", vector.id);
        }
    }
}
