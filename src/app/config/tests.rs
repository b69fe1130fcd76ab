//! The default as the example, and a table of mistakes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{Config, check};
use crate::base::authorization::{Authorization, Instrument, Kind};
use crate::base::ids::LinkId;
use crate::base::money::Amount;

#[test]
fn the_default_reads_as_the_example() {
    let config = Config::load(None).expect("the default");
    assert_eq!(config.acquirers.len(), 1);
    assert_eq!(config.acquirers[0].dialect.name(), "pos-bcd");
    assert_eq!(config.acquirers[0].listen.to_string(), "127.0.0.1:7400");
    let names: Vec<_> = config.partners.iter().map(|partner| partner.name.as_str()).collect();
    assert_eq!(names[..4], ["alipayplus-cn", "alipayplus-kr", "alipayplus-jp", "kakaopay"]);
    assert_eq!(config.link_name(LinkId(0)), "pos");
    assert_eq!(config.link_name(LinkId(1)), "alipayplus-cn");
    assert_eq!(config.partners[0].echo_interval, Duration::from_secs(30));
    assert!(config.partners[0].sign_on);
}

/// Code, merchant, and the route or response code that must come of it.
const DECISIONS: [(&str, &str, &str); 19] = [
    ("281006012345678901234567", "KAKAO-0001", "kakaopay-home"),
    ("281006012345678901234567", "HANGZHOU-00001", "alipayplus-cn"),
    ("281006012345678901234567", "TOKYO-GINZA-1", "alipayplus-jp"),
    ("281006012345678901234567", "TH-SMARTPAY-001", "alipayplus-abroad"),
    ("281011012345678901234567", "SHANGHAI-PVG-7", "alipayplus-cn"),
    ("281011012345678901234567", "JP-M1", "58"),
    ("6212345678901234567", "JP-M1", "unionpay"),
    ("6212345678901234567", "CN-0001", "unionpay"),
    ("28024456785672301", "KAKAO-0001", "alipayplus-kr"),
    ("280244567856723026", "HK-PEAK-0001", "alipayhk-home"),
    ("280244567856723026", "CN-0001", "alipayplus-cn"),
    ("2893612204263667830", "SG-MRT-01", "alipayplus-abroad"),
    ("251001020123456789012345", "ASOS", "alipayplus-abroad"),
    ("134919586213926735", "SHANGHAI-PVG-7", "92"),
    ("134919586213926735", "KAKAO-0001", "58"),
    ("281091012345678901234567", "IN-DELHI-1", "paytm-home"),
    ("281091012345678901234567", "CN-0001", "58"),
    ("999", "CN-0001", "14"),
    ("6212345678901234567", "NOBODY", "03"),
];

#[test]
fn the_default_decides_as_the_corridors_ask() {
    let config = Config::load(None).expect("the default");
    for (code, merchant, expected) in DECISIONS {
        let facts = Authorization {
            kind: Kind::Purchase,
            amount: Amount::default(),
            instrument: Instrument::from_digits(code.as_bytes(), true),
            merchant: format!("{merchant:<15}").as_bytes().try_into().expect("DE 42"),
            terminal: [b' '; 8],
            entry_mode: 32,
            ..Authorization::default()
        };
        let said = match config.routes.decide(&facts) {
            Ok(chosen) => config.routes.route(chosen.route).name.clone(),
            Err(declined) => format!("{:02}", declined.code.number()),
        };
        assert_eq!(said, expected, "{code} at {merchant}");
    }
}

#[test]
fn the_summary_fits_a_terminal() {
    let text = check(None).expect("the default");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

/// A folder with a small configuration, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "authswitch-config-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0).expect("a folder");
        for (file, text) in SMALL {
            folder.write(file, text);
        }
        folder
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).expect("a file");
    }

    fn mistakes(&self) -> Vec<String> {
        let shown = format!("{}/", self.0.display());
        let mistakes = Config::load(Some(&self.0)).expect_err("mistakes");
        let told = mistakes.iter().map(|mistake| {
            let file = mistake.file.replace(&shown, "");
            format!("{file}:{}: {}", mistake.line, mistake.reason)
        });
        told.collect()
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const SMALL: [(&str, &str); 3] = [
    (
        "switch.toml",
        r#"workers = 2
durability = "none"
[limits]
sessions = 100
[[acquirer]]
name = "pos"
listen = "127.0.0.1:7400"
dialect = "pos-bcd"
[[partner]]
name = "kakaopay"
connect = "host.example:7500"
dialect = "iso87-ascii"
echo_interval = "10s"
[[partner]]
name = "unionpay"
connect = "[::1]:7501"
dialect = "iso87-ascii"
"#,
    ),
    (
        "routes.toml",
        r#"[codes]
no_route = "92"
[[network]]
name = "KAKAOPAY"
home = "KR"
codes = [{ prefix = "281006", length = 24 }]
[[network]]
name = "UNIONPAY"
pans = [{ prefix = "62", length = [16, 19] }]
[[route]]
name = "kakao"
network = "KAKAOPAY"
region = "KR"
partners = ["kakaopay"]
budget = "3s"
[[route]]
name = "rest"
network = "*"
region = ["CN", "JP"]
partners = ["unionpay", "kakaopay"]
budget = "5s"
"#,
    ),
    (
        "merchants.csv",
        "merchant,region,networks,mcc\nA,KR,KAKAOPAY,5812\nB*,CN,*,\n*,JP,UNIONPAY|KAKAOPAY,0742\n",
    ),
];

#[test]
fn the_small_configuration_has_no_mistake() {
    let folder = Folder::new();
    let config = Config::load(Some(folder.path())).expect("no mistake");
    assert_eq!((config.settings.workers, config.settings.limits.sessions), (2, 100));
    assert_eq!(config.routes.merchants().map(|table| table.prefixes_len()), Some(2));
    assert_eq!(config.route_plans[1].partners, [LinkId(2), LinkId(1)]);
}

/// In which file what is replaced by what, and the one mistake that comes of it.
#[rustfmt::skip]
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    ("switch.toml", "workers = 2", "workers = 65", "switch.toml:1: 65 is not within 0 to 64"),
    ("switch.toml", "workers = 2", "workers = \"2\"",
        "switch.toml:1: expected a whole number, found text"),
    ("switch.toml", "workers", "worker",
        "switch.toml:1: unknown key \"worker\", did you mean \"workers\"?"),
    ("switch.toml", "\"none\"", "\"power\"",
        "switch.toml:2: durability \"power\" needs a journal folder"),
    ("switch.toml", "durability = \"none\"", "journal = \"j\"\ndurability = \"none\"",
        "switch.toml:3: durability \"none\" keeps no journal"),
    ("switch.toml", "durability = \"none\"", "journal = \"j\"\njournal_segment_bytes = 4096",
        "switch.toml:3: 4096 is not within 4194304 to 1073741824"),
    ("switch.toml", "\"none\"", "\"non\"",
        "switch.toml:2: unknown durability \"non\", did you mean \"none\"?"),
    ("switch.toml", "sessions = 100", "sessions = 65537",
        "switch.toml:4: 65537 is not within 1 to 65536"),
    ("switch.toml", "sessions = 100", "idle_deadline = \"16min\"",
        "switch.toml:4: 16min is not within 1ms to 15min"),
    ("switch.toml", "sessions = 100", "idle_deadline = \"90\"",
        "switch.toml:4: expected a whole number and a unit, like \"1500ms\" or \"3s\""),
    ("switch.toml", "name = \"pos\"\n", "", "switch.toml:5: name is missing"),
    ("switch.toml", "\"pos\"", "\"unionpay\"",
        "switch.toml:15: the link \"unionpay\" of line 6 has the same name"),
    ("switch.toml", "127.0.0.1:7400", "localhost",
        "switch.toml:7: expected an address and a port, like \"127.0.0.1:7400\""),
    ("switch.toml", "pos-bcd", "pos-bdc",
        "switch.toml:8: unknown dialect \"pos-bdc\", did you mean \"pos-bcd\"?"),
    ("switch.toml", "pos-bcd", "../pos-bcd",
        "switch.toml:8: expected a name: dialects of one's own are in dialects/ beside this"),
    ("switch.toml", "host.example:7500", "host.example",
        "switch.toml:11: expected a host and a port, like \"10.1.2.3:7500\""),
    ("switch.toml", "\"10s\"", "\"10ms\"",
        "switch.toml:13: an echo more than once a second; \"0s\" sends none"),
    ("routes.toml", "\"92\"", "\"00\"",
        "routes.toml:2: this code approves; a decline is wanted"),
    ("routes.toml", "\"92\"", "\"9\"",
        "routes.toml:2: expected two digits of DE 39, like \"92\""),
    ("routes.toml", "home = \"KR\"", "home = \"UK\"",
        "routes.toml:5: unknown region \"UK\", did you mean \"GB\"?"),
    ("routes.toml", "home = \"KR\"", "within = \"KAKAOPAY\"",
        "routes.toml:5: a network cannot ride on itself"),
    ("routes.toml", "home = \"KR\"", "twin = \"KAKAOPAY\"",
        "routes.toml:5: a network has at most one twin, and never itself"),
    ("routes.toml", "\"281006\"", "\"28100x\"", "routes.toml:6: expected 1 to 18 digits"),
    ("routes.toml", "prefix = \"281006\"", "from = \"28\"",
        "routes.toml:6: expected either prefix, or both from and to, or pattern"),
    ("routes.toml", "prefix = \"281006\", length = 24", "pattern = \"28100x\"",
        "routes.toml:6: expected 1 to 24 of digits, dots and [..], after 18 only dots"),
    ("routes.toml", "prefix = \"281006\", length = 24", "pattern = \"28\", prefix = \"28\"",
        "routes.toml:6: a pattern says all, there is no prefix, from or to beside it"),
    ("routes.toml", "pans = [", "applications = [\"A00000033\"]\npans = [",
        "routes.toml:9: expected 10 to 14 hexadecimal digits, in pairs"),
    ("routes.toml", "pans = [", "codes = [{ pattern = \"281006..................\" }]\npans = [",
        "routes.toml:9: fits the same codes, and neither is more specific: KAKAOPAY, line 6"),
    ("routes.toml", "prefix = \"281006\"", "from = \"28\", to = \"300\"",
        "routes.toml:6: from and to must have as many digits, the smaller one first"),
    ("routes.toml", "length = 24", "length = 5",
        "routes.toml:6: a code of this length is shorter than its first digits"),
    ("routes.toml", "length = 24", "length = [24, 16]",
        "routes.toml:6: expected a length, or the shortest and the longest like [16, 24]"),
    ("routes.toml", "length = 24", "length = 25", "routes.toml:6: 25 is not within 1 to 24"),
    ("routes.toml", "pans = [", "codes = [{ prefix = \"281006\", length = 24 }]\npans = [",
        "routes.toml:9: fits the same codes, and neither is more specific: KAKAOPAY, line 6"),
    ("routes.toml", "network = \"KAKAOPAY\"", "network = \"KAKAO\"",
        "routes.toml:12: unknown network \"KAKAO\", expected one of KAKAOPAY, UNIONPAY"),
    ("routes.toml", "partners = [\"kakaopay\"]", "partners = [\"kakopay\"]",
        "routes.toml:14: unknown partner \"kakopay\", did you mean \"kakaopay\"?"),
    ("routes.toml", "partners = [\"kakaopay\"]", "partners = []",
        "routes.toml:14: a route needs at least one partner"),
    ("routes.toml", "\"unionpay\", \"kakaopay\"", "\"unionpay\", \"unionpay\"",
        "routes.toml:20: the partner \"unionpay\" is listed twice"),
    ("routes.toml", "\"3s\"", "\"0s\"", "routes.toml:15: 0s is not within 1ms to 1min"),
    ("routes.toml", "\"3s\"", "\"61s\"", "routes.toml:15: 61s is not within 1ms to 1min"),
    ("routes.toml", "network = \"*\"\nregion = [\"CN\", \"JP\"]",
        "network = [\"UNIONPAY\", \"KAKAOPAY\"]\nregion = [\"JP\", \"KR\"]",
        "routes.toml:17: KAKAOPAY in KR has the route of line 11 already"),
    ("routes.toml", "[\"CN\", \"JP\"]", "[\"CN\", \"*\"]",
        "routes.toml:19: \"*\" is any region and stands alone"),
    ("routes.toml", "region = \"KR\"", "regions = \"KR\"\nregion = \"KR\"",
        "routes.toml:13: unknown key \"regions\", did you mean \"region\"?"),
    ("routes.toml", "\"5s\"\n", "\"5s\"\nstand_in = 1\n",
        "routes.toml:22: expected a table, found a number"),
    ("routes.toml", "\"5s\"\n", STAND_IN_WITHOUT_COUNT, "routes.toml:22: card_count is missing"),
    ("routes.toml", "\"5s\"\n", STAND_IN_WITHOUT_LIMITS,
        "routes.toml:22: no limits: nothing could be approved in any currency"),
    ("routes.toml", "\"5s\"\n", STAND_IN_IN_NOTHING,
        "routes.toml:25: 155 is no currency of ISO 4217"),
    ("routes.toml", "\"5s\"\n", STAND_IN_MIXED_UP, "routes.toml:25: floor is above card"),
    ("routes.toml", "\"5s\"\n", STAND_IN_TWICE,
        "routes.toml:26: this currency has limits already"),
    ("merchants.csv", ",mcc\n", "\n",
        "merchants.csv:1: expected \"merchant,region,networks,mcc\""),
    ("merchants.csv", "5812", "581",
        "merchants.csv:2: \"581\" is no merchant category, expected four digits or nothing"),
    ("merchants.csv", "A,KR", "A,UK",
        "merchants.csv:2: unknown region \"UK\", did you mean \"GB\"?"),
    ("merchants.csv", "A,KR,KAKAOPAY", "A,KR,KAKAPAY",
        "merchants.csv:2: unknown network \"KAKAPAY\", did you mean \"KAKAOPAY\"?"),
    ("merchants.csv", "UNIONPAY|KAKAOPAY", "UNIONPAY|UNIONPAY",
        "merchants.csv:4: the network \"UNIONPAY\" is listed twice"),
    ("merchants.csv", "A,KR,KAKAOPAY,5812", "A,KR,KAKAOPAY",
        "merchants.csv:2: expected 4 columns, merchant,region,networks,mcc, found 3"),
    ("merchants.csv", "A,KR", "\"A\",KR",
        "merchants.csv:2: quotes are not known here, no column may contain a comma"),
    ("merchants.csv", "B*", "A", "merchants.csv:3: the merchant \"A\" has a row already"),
    ("merchants.csv", "B*", "*", "merchants.csv:4: this prefix has a row in line 3 already"),
    ("merchants.csv", "A,KR", "1234567890123456,KR",
        "merchants.csv:2: \"1234567890123456\" is longer than the 15 characters of DE 42"),
    ("merchants.csv", "A,KR", ",KR",
        "merchants.csv:2: \"\" cannot stand in DE 42: printable ASCII, no blanks"),
];

const STAND_IN: &str = r#""5s"
[route.stand_in]
card_count = 3
merchant_count = 20
limits = [{ currency = 156, floor = 100, card = 200, merchant = 300, total = 400 }]
"#;
const STAND_IN_WITHOUT_COUNT: &str = r#""5s"
stand_in = { merchant_count = 20, limits = [
    { currency = 156, floor = 100, card = 200, merchant = 300, total = 400 },
] }
"#;
const STAND_IN_WITHOUT_LIMITS: &str = r#""5s"
stand_in = { card_count = 3, merchant_count = 20 }
"#;
const STAND_IN_IN_NOTHING: &str = r#""5s"
[route.stand_in]
card_count = 3
merchant_count = 20
limits = [{ currency = 155, floor = 100, card = 200, merchant = 300, total = 400 }]
"#;
const STAND_IN_MIXED_UP: &str = r#""5s"
[route.stand_in]
card_count = 3
merchant_count = 20
limits = [{ currency = 156, floor = 100, card = 20, merchant = 300, total = 400 }]
"#;
const STAND_IN_TWICE: &str = r#""5s"
stand_in = { card_count = 3, merchant_count = 20, excluded_mccs = [7995], limits = [
    { currency = 156, floor = 100, card = 200, merchant = 300, total = 400 },
    { currency = 392, floor = 100, card = 200, merchant = 300, total = 400 },

    { currency = 156, floor = 100, card = 200, merchant = 300, total = 400 },
] }
"#;

#[test]
fn a_route_with_stand_in_is_read_and_told() {
    let folder = Folder::new();
    folder.write("routes.toml", &SMALL[1].1.replace("\"5s\"\n", STAND_IN));
    let config = Config::load(Some(folder.path())).expect("no mistake");
    let policies: Vec<_> = config.routes.routes().iter().map(|route| &route.stand_in).collect();
    assert!(policies[0].is_none(), "off unless it is there");
    let policy = policies[1].as_deref().expect("as written");
    assert_eq!((policy.card_count, policy.merchant_count), (3, 20));
    let limits = policy.currencies[0];
    assert_eq!((limits.currency.number(), limits.floor, limits.total), (156, 100, 400));
    let told = check(Some(folder.path())).expect("no mistake");
    assert!(told.contains("rest      156       100    200 in 3  300 in 20  400"), "{told}");
    assert!(told.contains("note: stand-in without a journal"), "{told}");
}

#[test]
fn each_mistake_is_told_once_with_its_line() {
    for (file, from, to, expected) in MISTAKES {
        let folder = Folder::new();
        let text = SMALL.iter().find(|(name, _)| name == file).expect("a file").1;
        assert!(text.contains(from), "{from} is in {file}");
        folder.write(file, &text.replacen(from, to, 1));
        assert_eq!(folder.mistakes(), [*expected], "{from} -> {to}");
    }
}

#[test]
fn mistakes_of_all_files_are_told_at_once() {
    let folder = Folder::new();
    for (file, text) in SMALL {
        let text = text.replace("\"10s\"", "10").replace("\"3s\"", "3").replace("5812", "x");
        folder.write(file, &text);
    }
    let expected = [
        "switch.toml:13: expected text, found a number",
        "routes.toml:15: expected text, found a number",
        "merchants.csv:2: \"x\" is no merchant category, expected four digits or nothing",
    ];
    assert_eq!(folder.mistakes(), expected);
    let told = check(Some(folder.path())).expect_err("mistakes");
    assert!(told.ends_with("3 mistakes\n"), "{told}");
}

#[test]
fn files_that_are_missing_or_no_toml_are_told() {
    let folder = Folder::new();
    fs::remove_file(folder.path().join("merchants.csv")).expect("a file");
    let mistakes = folder.mistakes();
    assert_eq!(mistakes.len(), 1);
    assert!(mistakes[0].starts_with("merchants.csv:0: cannot be read: "), "{mistakes:?}");
    let routes = SMALL[1].1;
    folder.write("routes.toml", &format!("check_merchants = false\n{routes}"));
    assert!(Config::load(Some(folder.path())).expect("no mistake").routes.merchants().is_none());
    folder.write("switch.toml", "workers = \n");
    let mistakes = folder.mistakes();
    assert!(mistakes[0].starts_with("switch.toml:1: "), "{mistakes:?}");
    assert_eq!(mistakes.len(), 1, "partners are unknown now, and nobody says so: {mistakes:?}");
}

#[test]
fn a_dialect_of_ones_own_is_found_and_its_mistakes_are_told() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("dialects")).expect("a folder");
    folder.write("switch.toml", &SMALL[0].1.replace("iso87-ascii", "own"));
    let own = "name = \"own\"\nabout = \"Ours.\"\ninherits = \"iso87-ascii\"\n";
    folder.write("dialects/own.toml", own);
    let config = Config::load(Some(folder.path())).expect("no mistake");
    assert_eq!(config.partners[1].dialect.name(), "own");
    folder.write("dialects/own.toml", &format!("{own}colour = 1\n"));
    let mistakes = folder.mistakes();
    assert_eq!(mistakes.len(), 1);
    assert!(mistakes[0].starts_with("dialects/own.toml:4: unknown key"), "{mistakes:?}");
}

#[test]
fn a_million_mistakes_are_one_page() {
    let folder = Folder::new();
    let rows = "A,KR,KAKAOPAY,5812,x\n".repeat(1000);
    folder.write("merchants.csv", &format!("merchant,region,networks,mcc\n{rows}"));
    let mistakes = folder.mistakes();
    assert_eq!(mistakes.len(), 101);
    assert_eq!(mistakes[100], "merchants.csv:101: 900 more mistakes in this file");
}
