//! Every shipped dialect against the collected dialect tables, where those are at hand.
//!
//! The tables were written down from public sources, independently of the files; agreement element
//! by element says that a file means what its source means. They are not part of this repository:
//! without them the comparison is skipped, and says so.

use std::fs;

use authswitch::app::dialect_file::{Mistake, load, notation};
use authswitch::iso8583::spec::{CodePage, Spec, Wire};
use serde_json::Value;

#[test]
fn shipped_files_equal_the_collected_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/iso8583/vectors.json");
    let Ok(text) = fs::read_to_string(path) else {
        eprintln!("skipped: no collected tables beside the repository");
        return;
    };
    let collected: Value = serde_json::from_str(&text).unwrap();
    let tables = collected["dialects"].as_object().unwrap();
    assert_eq!(tables.len(), 28);
    let wrong: Vec<String> = tables.iter().flat_map(|(name, table)| differ(name, table)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_planted_difference_is_seen() {
    let table = serde_json::json!({
        "mti": "asc", "bitmap": "hexasc", "header": 5, "cp": "cp037",
        "fields": { "3": "fix:bcd:5", "4": "fix:bcd:12:L0", "11": "fix:bcd:6" },
    });
    let wrong = differ("pos-bcd-tpdu", &table).join("\n");
    assert!(wrong.contains("pos-bcd-tpdu: mti Bcd, the table says asc"), "{wrong}");
    assert!(wrong.contains("pos-bcd-tpdu: bitmap Binary, the table says hexasc"), "{wrong}");
    assert!(wrong.contains("pos-bcd-tpdu: code page Cp500, the table says cp037"), "{wrong}");
    assert!(wrong.contains("pos-bcd-tpdu 3: fix:bcd:6, the table says fix:bcd:5:L0"), "{wrong}");
    assert!(wrong.contains("pos-bcd-tpdu 2: not in the table"), "{wrong}");
    assert!(!wrong.contains("pos-bcd-tpdu 4:") && !wrong.contains("header"), "{wrong}");
}

#[test]
fn vectors_of_the_files_are_the_golden_ones() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/vectors.json");
    let golden: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    for vector in golden.as_array().unwrap() {
        let (dialect, id) = (vector["dialect"].as_str().unwrap(), vector["id"].as_str().unwrap());
        let spec = load(dialect, None).unwrap_or_else(|mistakes| panic!("{}", listed(&mistakes)));
        let own = spec.vectors.iter().find(|own| own.id == id);
        let own = own.unwrap_or_else(|| panic!("{dialect} has no vector {id}"));
        assert_eq!(own.hex, vector["raw_hex"].as_str().unwrap().to_lowercase(), "{id}");
        assert_eq!(own.license, vector["license"].as_str().unwrap(), "{id}");
    }
}

/// What the shipped file and the table say differently.
fn differ(name: &str, table: &Value) -> Vec<String> {
    let spec = match load(name, None) {
        Ok(spec) => spec,
        Err(mistakes) => return vec![listed(&mistakes)],
    };
    let mut wrong = differ_outside_fields(&spec, table);
    let fields = table["fields"].as_object().expect("a table has fields");
    for (element, said) in fields {
        let said = with_needed_pad(said.as_str().expect("a notation is text"));
        let own = spec.fields.get(&element.parse().expect("a number")).map(notation);
        let own = own.unwrap_or_else(|| "absent".to_owned());
        if own != said {
            wrong.push(format!("{name} {element}: {own}, the table says {said}"));
        }
    }
    for element in spec.fields.keys().filter(|element| !fields.contains_key(&element.to_string())) {
        wrong.push(format!("{name} {element}: not in the table"));
    }
    wrong
}

fn differ_outside_fields(spec: &Spec, table: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut compare = |what: &str, own: String, same: bool, said: &Value| {
        if !same {
            let said = said.as_str().map_or(said.to_string(), str::to_owned);
            wrong.push(format!("{}: {what} {own}, the table says {said}", spec.name));
        }
    };
    let mti = match spec.mti {
        Wire::Bcd => "bcd",
        Wire::Ascii => "asc",
        _ => "ebc",
    };
    compare("mti", format!("{:?}", spec.mti), table["mti"] == mti, &table["mti"]);
    let bitmap = match (spec.bitmap.wire, spec.bitmap.always_128) {
        (Wire::Binary, false) => "bin",
        (Wire::Hex, false) => "hexasc",
        (Wire::Hex, true) => "hexasc128",
        _ => "other",
    };
    let own = format!("{:?}", spec.bitmap.wire);
    compare("bitmap", own, table["bitmap"] == bitmap, &table["bitmap"]);
    let size = table["header"].as_u64().unwrap_or(0);
    let same = u64::from(spec.header.size) == size;
    compare("header", spec.header.size.to_string(), same, &table["header"]);
    let page = match spec.code_page {
        CodePage::Cp500 => "cp500",
        CodePage::Cp037 => "cp037",
        CodePage::Cp1047 => "cp1047",
    };
    let same = table["cp"].is_null() || table["cp"] == page;
    compare("code page", format!("{:?}", spec.code_page), same, &table["cp"]);
    wrong
}

/// The table's notation with the pad that packed digits of fixed size need, and no other: an even
/// number of digits has no filler, and without a word an odd one has a zero on the left.
fn with_needed_pad(said: &str) -> String {
    let mut parts: Vec<&str> = said.split(':').collect();
    let Some(digits) = said.strip_prefix("fix:bcd:") else { return said.to_owned() };
    let digits = digits.split(':').next().unwrap_or_default();
    let odd = digits.parse::<u16>().expect("a number") % 2 == 1;
    match (odd, parts.len()) {
        (true, 3) => parts.push("L0"),
        (false, _) => parts.truncate(3),
        _ => {}
    }
    parts.join(":")
}

fn listed(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
