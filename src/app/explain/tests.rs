//! Requests under the default configuration, and what is said of them.

use std::path::Path;

use super::*;
use crate::app::config::moment_of;
use crate::app::json;

/// The explanation of a sale of CNY 12.50, or with other elements.
fn explained(elements: &[(u8, &str)], at: &str, shown: Shown) -> Explanation {
    let config = shipped();
    let acquirer = &config.acquirers[0];
    let mut fields = vec![
        (3, "000000"),
        (4, "000000001250"),
        (7, "1122021245"),
        (11, "000001"),
        (22, "031"),
        (37, "000000600001"),
        (41, "TERM0001"),
        (49, "156"),
    ];
    fields.extend_from_slice(elements);
    let fields: Vec<_> =
        fields.iter().map(|(element, value)| format!("\"{element}\":\"{value}\"")).collect();
    let line = format!(
        "{{\"mti\":\"0200\",\"header\":\"6000030000\",\"fields\":{{{}}}}}",
        fields.join(",")
    );
    let mut bytes = Vec::new();
    let mut index = Index::default();
    json::encode(&acquirer.dialect, line.as_bytes(), &mut index, &mut bytes).expect("a message");
    let wall = moment_of(at).expect("a moment");
    explain(&Request { config: &config, acquirer, bytes: &bytes, wall, shown })
}

fn masked(elements: &[(u8, &str)]) -> Explanation {
    explained(elements, "2026-11-22T02:12:45Z", Shown::Masked)
}

#[track_caller]
fn says(explanation: &Explanation, lines: &[&str]) {
    for line in lines {
        let found = explanation.text.lines().any(|said| said.trim() == *line);
        assert!(found, "{line:?} is not in\n{}", explanation.text);
    }
}

/// With its rules, which nobody has who names no folder.
fn shipped() -> Config {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
    Config::load(Some(Path::new(folder))).expect("no mistake")
}

#[test]
fn every_step_of_a_request_that_is_sent() {
    let shop = "KAKAO-0001     ";
    let kakao = masked(&[(42, shop), (59, "A3024281006012345678901234567")]);
    assert!(kakao.is_sent);
    says(
        &kakao,
        &[
            "from        pos, in pos-bcd, 103 bytes",
            "at          2026-11-22T02:12:45Z",
            "asked       purchase, 12.50 CNY, no category in DE 18",
            "code        payment code of 24 digits in DE 59 (DE 22 = 031)",
            "KAKAOPAY: code 281006, length 24: the narrowest form",
            "ALIPAY: code 25-30, length 16 to 24: fits as well, is broader",
            "merchant    KAKAO-0001: row KAKAO-0001: KR ALIPAYPLUS|KAKAOPAY|NAVERPAY 5812",
            "network     KAKAOPAY",
            "corridor    KR -> KR, routes of version 1",
            "refusals    asset-management: left, for other categories (mcc 6211)",
            "routes      kakaopay-home: taken (any)",
            "limits      none of the rules concerns it",
            "decision    route kakaopay-home, live, budget 1500ms",
            "partners    kakaopay: asked",
            "alipayplus-kr: if none before it can be asked",
            "sent to     kakaopay, in iso87-binary, 100 bytes with the frame",
        ],
    );
    assert!(kakao.text.lines().all(|line| line.chars().count() <= COLUMNS), "{}", kakao.text);
}

#[test]
fn why_a_request_goes_nowhere() {
    let code = (59, "A30196212345678901234567");
    let games = [(42, "HZ-GAMES-1     "), code];
    let closed = explained(&games, "2023-09-30T12:00:00+08:00", Shown::Masked);
    assert!(!closed.is_sent);
    says(
        &closed,
        &[
            "corridor    CN -> CN-ZJ, routes of version 1",
            "refusals    asian-games-2023: refuses it (group asian-games-2023, from",
            "routes      unionpay: not reached (any)",
            "decision    declined with 58: refused by asian-games-2023",
            "39  response code                     \"58\"",
        ],
    );
    let over = explained(&games, "2023-10-09T00:00:00+08:00", Shown::Masked);
    assert!(over.is_sent);
    says(&over, &["decision    route unionpay, live, budget 5s"]);
    let nobody = masked(&[(42, "NOBODY         "), code]);
    says(
        &nobody,
        &[
            "merchant    NOBODY: no row",
            "routes      none for this network and area",
            "decision    declined with 03: unknown merchant",
        ],
    );
    let tourist = masked(&[(42, "CN-SHOP-1      "), (59, "A3024281006012345678901234567")]);
    says(
        &tourist,
        &["limits      corridor KR-CN: counts it; above 5 requests in 1min would decline it"],
    );
    let taxi = masked(&[(42, "KR-TAXI-1      "), code]);
    says(&taxi, &["network     UNIONPAY, which the merchant does not accept"]);
    let form = masked(&[(42, "CN-SHOP-1      "), (59, "A30169912345678901234")]);
    says(&form, &["fits no form of any network", "network     none that is known"]);
}

#[test]
fn what_is_wrong_with_a_message() {
    let track = masked(&[(42, "CN-SHOP-1      "), (35, "62123456789=1=2")]);
    assert!(!track.is_sent);
    says(&track, &["fault       DE 35 makes no sense: answered with 30"]);
    let config = Config::load(None).expect("the default");
    let (acquirer, wall) = (&config.acquirers[0], Wall::default());
    let bytes = [0x60, 0, 0, 0, 0, 2, 0, 0x80];
    let half =
        explain(&Request { config: &config, acquirer, bytes: &bytes, wall, shown: Shown::Masked });
    assert!(!half.is_sent && half.text.contains("\ndamaged     "), "{}", half.text);
}

#[test]
fn card_data_is_seen_by_those_who_ask_for_it() {
    let digits = "28804567890123456";
    for elements in [
        [(42, "CN-SHOP-1      "), (35, digits)],
        [(42, "CN-SHOP-1      "), (59, "A301728804567890123456")],
    ] {
        let shown = masked(&elements);
        assert!(shown.is_sent && !shown.text.contains("4567890"), "{}", shown.text);
        let clear = explained(&elements, "2026-11-22T02:12:45Z", Shown::Clear);
        assert!(clear.text.matches(digits).count() >= 2, "{}", clear.text);
    }
}
