//! The default as the example, and a table of mistakes.

mod mistakes;
mod risk;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{Config, check};
use crate::base::authorization::{Authorization, Instrument, Kind};
use crate::base::ids::LinkId;
use crate::base::money::{Amount, Currency};
use crate::base::time::Wall;
use mistakes::{MISTAKES, STAND_IN};

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
const DECISIONS: [(&str, &str, &str); 23] = [
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
    ("251001020123456789012345", "ASOS", "alipayplus-europe"),
    ("134919586213926735", "SHANGHAI-PVG-7", "92"),
    ("134919586213926735", "KAKAO-0001", "58"),
    ("281091012345678901234567", "IN-DELHI-1", "paytm-home"),
    ("281091012345678901234567", "CN-0001", "58"),
    ("281006012345678901234567", "HZ-GAMES-01", "alipayplus-cn"),
    ("6212345678901234567", "HZ-GAMES-01", "unionpay"),
    ("2893612204263567830", "SG-MRT-01", "alipayplus-abroad"),
    ("281007000000000000000000", "RAKUTEN-GLOBAL", "alipayplus-jp"),
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
    assert_eq!(config.written.routes[1].partners, [LinkId(2), LinkId(1)]);
}

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

const QUOTES: &str = r#"
[[quote]]
pair = "CNY/KRW"
rate = "191.168"
since = 2026-11-22
until = 2026-11-23T00:00:00+08:00
rounding = "down"
[[quote]]
pair = "CNY/USD"
rate = "0.140512"
until = "2026-12-01"
"#;

#[test]
fn quotes_are_read_and_told() {
    let folder = Folder::new();
    let routes =
        SMALL[1].1.replace("\"5s\"\n", "\"5s\"\nsettles_in = \"USD\"\nbills_in = \"KRW\"\n");
    folder.write("routes.toml", &(routes.clone() + QUOTES));
    let config = Config::load(Some(folder.path())).expect("no mistake");
    let converts = config.routes.routes()[1].converts.as_deref().expect("as written");
    let letters = |currency: Option<Currency>| currency.map(Currency::letters);
    assert_eq!(letters(converts.settles_in).zip(letters(converts.bills_in)), Some(("USD", "KRW")));
    assert!(config.routes.routes()[0].converts.is_none());
    let told = check(Some(folder.path())).expect("no mistake");
    for line in [
        "CNY/KRW 191.168   2026-11-22T00:00:00Z  2026-11-22T16:00:00Z",
        "CNY/USD 0.140512                        2026-12-01T00:00:00Z",
        "rest   USD         KRW",
    ] {
        assert!(told.lines().any(|said| said.trim_end() == line), "{line}\n{told}");
    }
    for (from, to, mistake) in [
        ("CNY/KRW", "CNYKRW", "routes.toml:26: expected two currencies like \"KRW/CNY\""),
        ("CNY/KRW", "CNY/CNY", "routes.toml:26: both currencies are the same"),
        ("191.168", "0.0", "routes.toml:27: expected a rate like \"0.0052310\": not 0"),
        ("2026-11-23T", "2026-11-21T", "routes.toml:29: it ends before it begins"),
        ("\"down\"", "\"floor\"", "routes.toml:30: unknown rounding \"floor\""),
        ("CNY/USD", "CNY/KRW", "routes.toml:31: the quote of line 25 is of the same pair"),
        ("until = \"2026-12-01\"\n", "", "routes.toml:31: until is missing"),
    ] {
        folder.write("routes.toml", &(routes.clone() + &QUOTES.replace(from, to)));
        let told = folder.mistakes();
        assert!(told.iter().any(|said| said.starts_with(mistake)), "{mistake}\n{told:?}");
    }
}

/// A partner whose dialect has no place for it is not promised it.
#[test]
fn a_partner_that_cannot_be_told_an_amount_is_a_mistake() {
    let folder = Folder::new();
    folder.write("switch.toml", &SMALL[0].1.replacen("iso87-ascii", "cup-pos", 1));
    let routes = SMALL[1].1.replace("\"3s\"\n", "\"3s\"\nbills_in = \"KRW\"\n");
    folder.write("routes.toml", &(routes + QUOTES));
    let told = folder.mistakes();
    assert_eq!(told, ["routes.toml:16: kakaopay cannot be told: cup-pos has no DE 6"]);
}

/// A route, a refusal and merchants that use every key there is.
const RULES: (&str, &str) = (
    r#"groups = ["venues", "gates"]
[categories]
hotels = ["3501-3999", 7011]
lodging = ["hotels", 7012]
[[refuse]]
name = "games"
code = "58"
group = "venues"
except_network = "KAKAOPAY"
region = ["CN", "JP-13"]
except_region = "CN-TW"
from = 2023-09-23
until = "2023-10-09T00:00:00+08:00"
zone = "Asia/Shanghai"
[[route]]
name = "beds"
network = "KAKAOPAY"
region = "CN-ZJ"
home = "KR"
mcc = ["lodging", 4111]
kind = ["purchase", "pre-authorization"]
days = ["sat", "sun"]
hours = ["09:00-18:00", "22:00-02:00"]
zone = "Asia/Shanghai"
partners = ["kakaopay", "unionpay"]
weights = [3, 1]
capabilities = ["inquiry"]
budget = "3s"
"#,
    "merchant,region,networks,mcc,terminal,groups,acquirer
HOTEL,CN-ZJ,*,7011,,venues|gates,
HOTEL,JP,*,,00000001,,
HOTEL,TH,*,,,gates,00000000077
H*,CN,*,,,,
",
);

#[test]
fn rules_of_every_kind_are_read() {
    let folder = Folder::new();
    let routes = SMALL[1].1.replacen("[codes]\n", "", 1).replacen("no_route = \"92\"\n", "", 1);
    folder.write("routes.toml", &format!("{}{routes}", RULES.0));
    folder.write("merchants.csv", RULES.1);
    let config = Config::load(Some(folder.path())).expect("no mistake");
    let table = &config.routes;
    let facts = |terminal: &str, acquirer| Authorization {
        kind: Kind::Purchase,
        instrument: Instrument::from_digits(b"281006012345678901234567", true),
        merchant: *b"HOTEL          ",
        terminal: format!("{terminal:<8}").as_bytes().try_into().expect("DE 41"),
        acquirer,
        ..Authorization::default()
    };
    let name =
        |facts: &Authorization, unix_s| match table.decide_at(facts, Wall::from_unix_s(unix_s)) {
            Ok(chosen) => table.route(chosen.route).name.clone(),
            Err(declined) => format!("{:02}", declined.code.number()),
        };
    // A Saturday, 22:00 in Shanghai, and the Monday behind it.
    let (saturday, monday) = (1_700_316_000, 1_700_488_800);
    assert_eq!(name(&facts("", 0), saturday), "beds");
    assert_eq!(name(&facts("", 0), monday), "rest");
    let refund = Authorization { kind: Kind::Refund, ..facts("", 0) };
    assert_eq!(name(&refund, saturday), "rest");
    assert_eq!(name(&facts("00000001", 0), saturday), "rest", "the till is in Japan");
    assert_eq!(name(&facts("", 77), saturday), "92", "those of the acquirer in Thailand");
    let card = Authorization {
        instrument: Instrument::from_digits(b"6212345678901234", false),
        ..facts("", 0)
    };
    let games = 1_695_398_400;
    let said = [games - 1, games, 1_696_780_799, 1_696_780_800].map(|unix_s| name(&card, unix_s));
    assert_eq!(said, ["rest", "58", "58", "rest"]);
    let beds = &table.routes()[0];
    assert_eq!((beds.turns.len(), beds.first(0), beds.first(2)), (4, 0, 1));
    assert!(beds.capabilities.inquiry && !beds.capabilities.void);
    let told = check(Some(folder.path())).expect("no mistake");
    assert!(told.contains("games    58"), "{told}");
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

/// Whoever is to mend a line is shown it.
#[test]
fn what_stands_in_the_way_is_shown() {
    let folder = Folder::new();
    for (file, bytes, line, text) in [
        ("switch.toml", &b"# ours\nworkers = \n"[..], 2, "workers ="),
        ("switch.toml", b"workers = 2\n[[acquirer\n", 2, "[[acquirer"),
        ("merchants.csv", b"merchant,region,networks\nCAF\xC9,CN,CARD\n", 2, "CAF\u{fffd},CN,CARD"),
    ] {
        let kept = fs::read(folder.path().join(file)).expect("there");
        fs::write(folder.path().join(file), bytes).expect("written");
        let mistakes = Config::load(Some(folder.path())).expect_err("a mistake");
        let found = mistakes.iter().find(|mistake| mistake.file.ends_with(file));
        let found = found.expect("it is named");
        assert_eq!((found.line, found.text.trim_end()), (line, text), "{mistakes:?}");
        fs::write(folder.path().join(file), kept).expect("written");
    }
}

#[test]
fn a_dialect_that_no_link_names_is_checked_too() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("dialects")).expect("a folder");
    let own = "name = \"later\"\nabout = \"Ours.\"\ninherits = \"iso87-ascii\"\n";
    folder.write("dialects/later.toml", own);
    folder.write("dialects/notes.txt", "no dialect");
    assert!(check(Some(folder.path())).is_ok());
    folder.write("dialects/later.toml", &format!("{own}colour = 1\n"));
    let told = check(Some(folder.path())).expect_err("a mistake");
    assert!(told.contains("dialects/later.toml:4: unknown key"), "{told}");
    assert!(told.ends_with("1 mistake\n"), "{told}");
    assert!(Config::load(Some(folder.path())).is_ok(), "it stands in nobody's way");
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
