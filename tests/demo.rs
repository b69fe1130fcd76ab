//! The demonstration as a process: it ends well and shows what it is there to show.

use std::process::{Command, Output};

fn demo() -> Output {
    Command::new(env!("CARGO_BIN_EXE_authswitch")).arg("demo").output().expect("starts")
}

#[test]
fn every_kind_of_outcome_is_shown_and_as_it_must_be() {
    let output = demo();
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
    let outcomes = [
        "00 approved",
        "51 no funds",
        "92 no route",
        "58 not accepted",
        "14 unknown code",
        "30 format error",
        "91 no answer",
        "closed",
    ];
    for outcome in outcomes {
        assert!(text.contains(outcome), "no {outcome:?} in\n{text}");
    }
    for way in [
        "KAKAOPAY -> kakaopay-home -> kakaopay",
        "KAKAOPAY -> alipayplus-cn -> alipayplus-cn",
        "ALIPAYPLUS -> alipayplus-abroad -> alipayplus-cn",
        "transcoded: pos-bcd 0200.. ",
        "KRW 4,500",
        "CNY 128.50",
    ] {
        assert!(text.contains(way), "no {way:?} in\n{text}");
    }
    let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "wider than 80 columns: {wide:#?}");
    assert!(!text.contains('\u{1b}'), "painted though this is no terminal");
    let shown = text.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
    assert!(shown < Some(13), "an account number in clear");
}
