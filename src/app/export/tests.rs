//! Rows against records whose every value is known.

use std::sync::Arc;

use super::row::{NAMES, moment};
use super::*;
use crate::app::dialects;
use crate::base::time::Wall;
use crate::iso8583::kept::Kept;
use crate::iso8583::message::Message;
use crate::journal::Place;
use crate::switch::recent::TerminalKey;
use crate::switch::record::{Closed, Outcome};
use crate::switch::saf::Kind;

const ACCOUNT: &str = "4761340000000019";

fn batch() -> journal::Record {
    journal::Record {
        place: Place { segment: 3, offset: 512 },
        worker: 1,
        number: 9,
        urgent: false,
        written: Wall::from_unix_s(1_795_313_565),
        clear: Vec::new(),
        secret: Vec::new(),
    }
}

fn exported(format: Format, links: Links, record: &Record<'_>) -> String {
    let key = Key::from_text(&"5a".repeat(32)).expect("a key");
    let mut export = Export::new(format, links, &key);
    String::from_utf8(export.row(&batch(), record).to_vec()).expect("UTF-8")
}

/// Reads CSV as others would, quoted cells and all.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut rest = line.strip_suffix('\n').expect("a line").chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => cell.extend(rest.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            c => cell.push(c),
        }
    }
    cells.push(cell);
    cells
}

fn dialect(name: &str) -> Arc<Dialect> {
    dialects::load(name).expect("shipped")
}

/// What is kept of a sale, in the notation of `pos-bcd`.
fn sale() -> Kept {
    let text = format!(
        r#"{{"mti":"0200","fields":{{"2":"{ACCOUNT}","3":"000000","4":"000000001250",
        "7":"1122021245","11":"000017","22":"051","25":"00","37":"RRN000000001",
        "41":"TERM0001","42":"MERCHANT0000001","49":"156"}}}}"#
    );
    let dialect = dialect("pos-bcd");
    let mut bytes = Vec::new();
    crate::app::json::encode(&dialect, text.as_bytes(), &mut Index::default(), &mut bytes)
        .expect("a message");
    let mut index = Index::default();
    dialect.decode(&bytes, &mut index).expect("sound");
    let mut kept = Kept::default();
    kept.fill(&Message { bytes: &bytes, index: &index, dialect: &dialect });
    kept
}

fn intent(kept: &Kept) -> Record<'_> {
    let [head, pan, tail] = kept.parts();
    Record::Intent(Intent {
        id: 1 << 60,
        at_s: 1_795_313_560,
        acquirer: LinkId(0),
        partner: LinkId(1),
        stan: 42,
        key: TerminalKey::default(),
        amount: Some(1250),
        head,
        tail,
        pan,
    })
}

fn known() -> Links {
    let named = [("pos", "pos-bcd"), ("host", "pos-bcd")];
    let named = named.map(|(name, written)| (name.to_owned(), dialect(written)));
    Links { named: named.into(), ..Links::default() }
}

#[test]
fn a_request_has_its_columns_and_its_account_is_masked() {
    let kept = sale();
    let row = exported(Format::Csv, known(), &intent(&kept));
    assert!(!row.contains(ACCOUNT) && row.contains(",476134******0019,"), "{row}");
    let cells = cells(&row);
    assert_eq!(cells.len(), NAMES.len());
    let of = |column: Column| cells[column as usize].as_str();
    for (column, expected) in [
        (Column::WrittenAt, "2026-11-22T02:12:45Z"),
        (Column::ActedAt, "2026-11-22T02:12:40Z"),
        (Column::Id, "1152921504606846976"),
        (Column::Acquirer, "pos"),
        (Column::Partner, "host"),
        (Column::Mti, "0200"),
        (Column::Stan, "000042"),
        (Column::AmountMinor, "1250"),
        (Column::Currency, "156"),
        (Column::Terminal, "TERM0001"),
        (Column::Merchant, "MERCHANT0000001"),
        (Column::Rrn, "RRN000000001"),
        (Column::Code, ""),
        (Column::Reason, ""),
    ] {
        assert_eq!(of(column), expected, "{column:?}");
    }
    assert_eq!(of(Column::Card).len(), 16);
}

/// Both formats say the same.
#[test]
fn lines_of_json_have_the_cells_that_are_not_empty() {
    let kept = sale();
    let cells = cells(&exported(Format::Csv, known(), &intent(&kept)));
    let line = exported(Format::Ndjson, known(), &intent(&kept));
    let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    for (name, cell) in NAMES.iter().zip(cells) {
        let said = match &value[name] {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        assert_eq!(said, cell, "{name}");
    }
    assert!(value["id"].is_string() && value["amount_minor"].is_number(), "{line}");
}

#[test]
fn without_its_dialect_a_message_shows_nothing_and_with_a_wrong_one_neither() {
    let kept = sale();
    let wrong = |name| Links { acquirers: Some(dialect(name)), ..Links::default() };
    let mut tokens = Vec::new();
    for links in [Links::default(), wrong("iso87-ascii"), wrong("mastercard-ebcdic")] {
        let row = exported(Format::Csv, links, &intent(&kept));
        let cells = cells(&row);
        for column in [Column::Mti, Column::Currency, Column::Pan, Column::Terminal, Column::Rrn] {
            assert_eq!(cells[column as usize], "", "{row}");
        }
        assert_eq!(cells[Column::AmountMinor as usize], "1250");
        tokens.push(cells[Column::Card as usize].clone());
    }
    assert!(tokens.iter().all(|token| *token == tokens[0] && token.len() == 16), "{tokens:?}");
    // An account number that stands elsewhere than the record says is nobody's to show.
    let [head, pan, tail] = kept.parts();
    let front = [head, pan.get(..1).expect("a length")].concat();
    let Record::Intent(moved) = intent(&kept) else { unreachable!("it is one") };
    let moved = Intent { head: &front, pan: pan.get(1..).expect("digits"), tail, ..moved };
    let row = exported(Format::Csv, known(), &Record::Intent(moved));
    assert_eq!(cells(&row)[Column::Pan as usize], "", "{row}");
}

#[test]
fn what_is_owed_is_read_in_the_dialect_of_the_partner() {
    let text = format!(
        r#"{{"mti":"0420","fields":{{"2":"{ACCOUNT}","3":"000000","4":"000000001250",
        "7":"1122021245","11":"750001","37":"RRN000000001","41":"TERM0001",
        "42":"MERCHANT0000001","49":"156",
        "90":"020000004211220212450000000000000000000000"}}}}"#
    );
    let mut body = Vec::new();
    let written = dialect("pos-bcd");
    crate::app::json::encode(&written, text.as_bytes(), &mut Index::default(), &mut body)
        .expect("a message");
    let mut message = (body.len() as u16).to_be_bytes().to_vec();
    message.extend(body);
    let owed = |stan| {
        let (id, partner, kind) = (7, LinkId(1), Kind::Reversal);
        Record::Owed(Owed { id, partner, stan, kind, message: &message })
    };
    let row = exported(Format::Csv, known(), &owed(750_001));
    assert!(
        row.contains(",owed,7,reversal,,,host,0420,750001,1250,156,476134******0019,"),
        "{row}"
    );
    assert!(!row.contains(ACCOUNT), "{row}");
    let row = exported(Format::Csv, known(), &owed(750_002));
    assert!(row.contains(",owed,7,reversal,,,host,,750002,,,,"), "another message: {row}");
}

#[test]
fn text_of_others_is_quoted() {
    let (by, reason) = (&b"r,b"[..], &b"said \"paid\",\nand left"[..]);
    let closed = Record::Closed(Closed { id: 7, at_s: 0, ends_debt: false, by, reason });
    let row = exported(Format::Csv, known(), &closed);
    assert!(row.ends_with(",\"r,b\",\"said \"\"paid\"\",\nand left\"\n"), "{row}");
    let cells = cells(&row);
    assert_eq!((cells.len(), cells[NAMES.len() - 1].as_bytes()), (NAMES.len(), reason));
    let line = exported(Format::Ndjson, known(), &closed);
    let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(value["reason"].as_str().map(str::as_bytes), Some(reason));
}

#[test]
fn every_row_has_all_columns() {
    let (code, approval) = (*b"10 ", Some(*b"A1B2C3"));
    let outcome = Outcome { id: 7, approved: true, code, approval, part: Some(5) };
    for record in [Record::Handed(7), Record::Exception(7, 3), Record::Outcome(outcome)] {
        let row = exported(Format::Csv, Links::default(), &record);
        assert_eq!(cells(&row).len(), NAMES.len(), "{row}");
    }
    let row = exported(Format::Csv, Links::default(), &Record::Outcome(outcome));
    assert!(row.contains(",outcome,7,approved,,,,,,5,") && row.contains(",10,A1B2C3,"), "{row}");
}

#[test]
fn moments_are_read_as_they_are_written() {
    for (text, expected) in [
        ("1970-01-01", Some(0)),
        ("2026-11-22", Some(1_795_305_600)),
        ("2026-11-22T02:12:45Z", Some(1_795_313_565)),
        ("2000-02-29", Some(951_782_400)),
        ("2001-02-29", None),
        ("2026-11-22T02:12:45", None),
        ("2026-11-22T24:00:00Z", None),
        ("2026-13-01", None),
        ("+026-11-22", None),
        ("2026-11", None),
        ("yesterday", None),
    ] {
        assert_eq!(moment(text).map(Wall::unix_s), expected, "{text}");
    }
}
