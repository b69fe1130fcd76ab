//! Versions that differ in one thing each, and what is told of it.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Difference;
use crate::app::config::Config;

/// What `config/` says, with some of it replaced.
fn version(changes: &[(&str, &str, &str)]) -> Config {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = format!("authswitch-diff-{}-{number}", std::process::id());
    let dir: PathBuf = std::env::temp_dir().join(dir);
    fs::create_dir_all(&dir).expect("a folder");
    for (file, text) in SMALL {
        let mut text = text.to_owned();
        for (_, from, to) in changes.iter().filter(|(changed, ..)| *changed == file) {
            assert!(text.contains(from), "{file} has no {from:?}");
            text = text.replacen(from, to, 1);
        }
        fs::write(dir.join(file), text).expect("a file");
    }
    let loaded = Config::load(Some(&dir));
    fs::remove_dir_all(&dir).expect("a folder");
    loaded.expect("no mistake")
}

const SMALL: [(&str, &str); 3] = [
    (
        "switch.toml",
        r#"
[[acquirer]]
name = "pos"
listen = "127.0.0.1:0"
dialect = "pos-bcd"
[[partner]]
name = "kakaopay"
connect = "127.0.0.1:7500"
dialect = "iso87-ascii"
[[partner]]
name = "unionpay"
connect = "127.0.0.1:7501"
dialect = "iso87-ascii"
"#,
    ),
    (
        "routes.toml",
        r#"
groups = ["hall", "shop"]
[[network]]
name = "KAKAOPAY"
home = "KR"
codes = [{ prefix = "281006", length = 24 }]
[[network]]
name = "UNIONPAY"
codes = [{ prefix = "62", length = 19 }]
[[refuse]]
name = "closed"
code = "57"
network = "KAKAOPAY"
region = "JP"
[[route]]
name = "evening"
network = "KAKAOPAY"
region = "KR"
hours = "18:00-22:00"
zone = "Asia/Seoul"
partners = ["kakaopay"]
budget = "2s"
[[route]]
name = "fares"
network = "KAKAOPAY"
region = "KR"
mcc = 4111
partners = ["kakaopay"]
budget = "300ms"
[[route]]
name = "kakao"
network = "KAKAOPAY"
region = "KR"
partners = ["kakaopay", "unionpay"]
budget = "3s"
[[route]]
name = "union"
network = "UNIONPAY"
region = "*"
partners = ["unionpay"]
budget = "3s"
"#,
    ),
    (
        "merchants.csv",
        "merchant,region,networks,mcc,groups,acquirer,terminal
SHOP-1,KR,KAKAOPAY|UNIONPAY,5411,,,
SHOP-2,KR,KAKAOPAY,5411,shop,,
SHOP-2,JP,UNIONPAY,5411,shop,,TILL-9
KR-*,KR,*,,hall,,
",
    ),
];

/// A file, what stands in it, and what is to stand there.
type Change = (&'static str, &'static str, &'static str);

/// What changes, the summary, and lines of the table.
type Case = (&'static [Change], &'static str, &'static [&'static str]);

const CASES: [Case; 16] = [
    (&[], "no difference", &[]),
    (
        &[
            ("routes.toml", "groups", "# a remark\ngroups"),
            ("merchants.csv", "SHOP-2,KR,KAKAOPAY,5411,shop,,\n", ""),
            ("merchants.csv", "KR-*", "SHOP-2,KR,KAKAOPAY,5411,shop,,\nKR-*"),
        ],
        "no difference",
        &[],
    ),
    (&[("routes.toml", "home = \"KR\"\n", "")], "~1 network", &["~ KAKAOPAY", "home KR -> none"]),
    (
        &[("routes.toml", "prefix = \"62\", length = 19", "prefix = \"62\", length = [16, 19]")],
        "+1 form, -1 form",
        &["+ UNIONPAY code 62, length 16 to 19", "- UNIONPAY code 62, length 19"],
    ),
    (
        &[("routes.toml", "budget = \"2s\"", "budget = \"2500ms\"\nmode = \"live\"")],
        "~1 route",
        &["~ evening", "  budget 2s -> 2500ms\n"],
    ),
    (
        &[("routes.toml", "18:00-22:00", "18:00-23:30"), ("routes.toml", "Seoul", "Shanghai")],
        "~1 route",
        &["hours 18:00-22:00 -> 18:00-23:30, zone +09:00 -> +08:00"],
    ),
    // Both show the same.
    (&[("routes.toml", "Seoul", "Tokyo")], "no difference", &[]),
    (
        &[("routes.toml", "partners = [\"kakaopay\", \"unionpay\"]", "partners = [\"unionpay\"]")],
        "~1 route",
        &["partners kakaopay unionpay -> unionpay"],
    ),
    (
        &[("routes.toml", "name = \"fares\"", "name = \"gates\"")],
        "+1 route, -1 route",
        &["+ gates", "network KAKAOPAY, region KR, mcc 4111, partners kakaopay, budget 300ms"],
    ),
    (
        &[
            ("routes.toml", "name = \"fares\"", "name = \"x\""),
            ("routes.toml", "mcc = 4111", "hours = \"18:00-22:00\"\nzone = \"Asia/Seoul\""),
            ("routes.toml", "budget = \"300ms\"", "budget = \"2s\""),
            ("routes.toml", "name = \"evening\"", "name = \"fares\""),
            ("routes.toml", "hours = \"18:00-22:00\"\nzone = \"Asia/Seoul\"\n", "mcc = 4111\n"),
            ("routes.toml", "budget = \"2s\"", "budget = \"300ms\""),
            ("routes.toml", "name = \"x\"", "name = \"evening\""),
        ],
        "~1 route",
        &["~ their order  fares, evening\n"],
    ),
    (
        &[("routes.toml", "region = \"JP\"", "except_region = \"JP\"")],
        "~1 refusal",
        &["~ closed", "region JP -> none, except_region none -> JP"],
    ),
    (
        &[("routes.toml", "[[refuse]]", "[codes]\nno_route = \"58\"\n[[refuse]]")],
        "~1 response code",
        &["~ no_route", "code 92 -> 58"],
    ),
    (
        &[("merchants.csv", "SHOP-1,KR,KAKAOPAY|UNIONPAY", "SHOP-1,KR,UNIONPAY")],
        "~1 merchant",
        &["~ SHOP-1", "KR KAKAOPAY|UNIONPAY 5411 -> KR UNIONPAY 5411"],
    ),
    (
        &[("merchants.csv", "SHOP-2,JP,UNIONPAY,5411,shop,,TILL-9\n", "SHOP-20,KR,*,,hall,,\n")],
        "+1 merchant, -1 merchant",
        &["+ SHOP-20", "  KR * (hall)", "- SHOP-2 terminal TILL-9  JP UNIONPAY 5411 (shop)"],
    ),
    (
        &[("merchants.csv", "KR-*", "KRX*")],
        "+1 merchant, -1 merchant",
        &["+ KRX*", "- KR-*  KR * (hall)"],
    ),
    (
        &[("routes.toml", "groups", "check_merchants = false\ngroups")],
        "~1 merchant",
        &["~ all  4 -> not checked"],
    ),
];

#[test]
fn what_differs_is_told_and_nothing_else() {
    for (changes, summary, told) in CASES {
        let (old, new) = (version(&[]), version(changes));
        let difference = Difference::between(&old, &new);
        assert_eq!(difference.summary(), summary, "{changes:?}");
        assert_eq!(difference.is_empty(), told.is_empty());
        let text = difference.to_string();
        for line in told {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        // The other way round as much is added as was removed.
        let back = Difference::between(&new, &old);
        let counts = |difference: &Difference| -> Vec<[usize; 3]> {
            let counts = difference.sections.iter();
            counts.map(|s| [s.added.count, s.removed.count, s.changed.count]).collect()
        };
        let turned = counts(&back).into_iter().map(|[added, removed, same]| [removed, added, same]);
        assert_eq!(counts(&difference), turned.collect::<Vec<_>>(), "{changes:?}");
    }
}

#[test]
fn numbers_of_networks_and_groups_are_not_compared() {
    let union = "[[network]]\nname = \"UNIONPAY\"\ncodes = [{ prefix = \"62\", length = 19 }]\n";
    let moved = version(&[
        ("routes.toml", union, ""),
        ("routes.toml", "[[network]]", &format!("{union}[[network]]")),
        ("routes.toml", "[\"hall\", \"shop\"]", "[\"shop\", \"hall\"]"),
    ]);
    assert_eq!(Difference::between(&version(&[]), &moved).summary(), "no difference");
}

#[test]
fn the_first_of_many_are_told() {
    let rows: String = (0..1000).rev().map(|shop| format!("M{shop:03},KR,*,,,,\n")).collect();
    let more = version(&[("merchants.csv", "KR-*", &format!("{rows}KR-*"))]);
    let difference = Difference::between(&version(&[]), &more);
    assert_eq!(difference.summary(), "+1000 merchants");
    let text = difference.to_string();
    for shop in 0..20 {
        assert!(text.contains(&format!("+ M{shop:03}  KR *\n")), "{text}");
    }
    assert!(!text.contains("M020") && text.contains("+ and 980 more\n"), "{text}");
}
