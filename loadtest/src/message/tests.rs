//! Requests byte by byte, and what is drawn.

use super::*;

/// 2026-11-22 02:23:18 UTC.
const WALL_NS: u64 = 1_795_314_198 * NS_PER_S;

#[test]
fn a_request_is_these_bytes() {
    let mut requests = Requests::new(Form::Tpdu);
    requests.rrn = *b"632602000009";
    requests.date(WALL_NS);
    let mut out = Vec::new();
    let Asked { rrn, amount, .. } = requests.append(&mut out, 123_457, Fleet::of(37));
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
    assert_eq!(amount, [0, 0, 0, 0x12, 0x34, 0x57]);
    assert!(requests.is_terminal(b"T0011002", 123_457, Fleet::of(37)));
    assert!(!requests.is_terminal(b"T0011002", 123_458, Fleet::of(37)));
    assert!(!requests.is_terminal(b"T0011002", 123_457, Fleet::of(36)));
}

#[test]
fn without_a_tpdu_only_the_tpdu_is_missing() {
    let frame = |form| Template::new(form, 5).frame;
    let (with, without) = (frame(Form::Tpdu), frame(Form::Bare));
    assert_eq!(with[7..], without[2..]);
    assert_eq!(without[..2], 222u16.to_be_bytes());
}

#[test]
fn every_card_passes_luhn() {
    for index in 0..TEMPLATES {
        assert_eq!(luhn(&hex(&pan(index))) % 10, 0, "card {index}");
    }
}

#[test]
fn an_rrn_counts_in_decimal() {
    let mut digits = *b"000000000999";
    count_up(&mut digits);
    assert_eq!(&digits, b"000000001000");
}

#[test]
fn a_mixed_request_is_what_was_drawn() {
    let traffic: Traffic = toml::from_str(
        r#"
        network = [{ name = "A", share = 1, code = "2810", digits = 17 },
                   { name = "B", share = 1, card = "622424", accounts = 9 }]
        region = [{ name = "KR", share = 1, merchant = "KR-*", merchants = 500,
                    currency = "410", category = 4121 }]
        kind = [{ name = "refund", share = 1, mti = "0200", processing = "200000" }]
        amount = [{ share = 1, from = 123456789012, to = 123456789012 }]
        "#,
    )
    .unwrap();
    let traffic = traffic.checked().unwrap();
    let mut requests = Requests::mixed(Form::Bare, &traffic, 1);
    let mut seen = [0; 2];
    for stan in 1..=50 {
        let mut out = Vec::new();
        let asked = requests.append(&mut out, stan, Fleet::of(5));
        let mut values = std::collections::BTreeMap::new();
        let read = frame::walk(&out, Form::Bare, |field| {
            values.insert(field.de, out[field.start..field.end].to_vec());
            true
        });
        assert_eq!((read, out[2..4].to_vec()), (Some(()), vec![0x02, 0x00]));
        assert_eq!((hex(&values[&4]), &values[&37]), ("123456789012".into(), &asked.rrn.into()));
        assert_eq!((hex(&values[&3]), hex(&values[&18])), ("200000".into(), "4121".into()));
        assert_eq!(values[&49], b"410");
        assert!(values[&42].starts_with(b"KR-") && values[&42].ends_with(b"         "));
        assert!(requests.is_terminal(&values[&41], stan, Fleet::of(5)));
        let network = requests.dimensions(asked.template)[0];
        seen[network] += 1;
        if network == 0 {
            let code = String::from_utf8(values[&59][2..].to_vec()).unwrap();
            assert!(code.starts_with("A30172810") && code.len() == 22, "{code}");
            assert!(!values.contains_key(&2) && !values.contains_key(&55));
        } else {
            let pan = hex(&values[&2]);
            assert!(pan.starts_with("1662242400000000") && pan.len() == 18, "{pan}");
            assert_eq!(luhn(&pan[2..]) % 10, 0, "{pan}");
            assert_eq!(hex(&values[&55][61..67]), "123456789012");
        }
        assert_eq!(requests.answer_mti(asked.template), [0x02, 0x10]);
    }
    assert!(seen.iter().all(|count| *count > 5), "{seen:?}");
}

fn luhn(digits: &str) -> u32 {
    let values = digits.bytes().rev().enumerate().map(|(place, digit)| {
        let value = u32::from(digit - b'0') * (1 + place as u32 % 2);
        if value > 9 { value - 9 } else { value }
    });
    values.sum()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
