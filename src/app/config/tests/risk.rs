//! `risk.toml`: what comes of it, and what is told of mistakes.

use std::fs;

use super::Folder;
use crate::app::config::Config;
use crate::base::ids::Region;
use crate::risk::rule::{Action, Test};

const RULES: &str = r#"memory_mb = 8
[[rule]]
name = "double scan"
kind = "fare"
count = 1
window = "2s"
per = ["instrument", "terminal"]
code = "94"
[[rule]]
name = "a day of a shop"
network = "KAKAOPAY"
currency = "KRW"
sum = 5000000
window = "24h"
per = "merchant"
[[rule]]
name = "ceiling"
currency = "CNY"
max = 100000
action = "shadow"
[[rule]]
name = "stopped"
listed = { merchants = "BAD-1", prefixes = ["62120"] }
[[rule]]
name = "never"
mcc = [6211, "7994-7995"]
entry_mode = ["03x", "012"]
[[rule]]
name = "device"
count = 3
window = "744h"
per = [60, "corridor"]
attempts = true
[[rule]]
name = "nights"
merchant = ["CLUB-*", "BAR-1"]
corridor = ["KR->CN", "CN -> KR"]
hours = "22:00-06:00"
days = ["fri", "sat"]
zone = "Asia/Seoul"
[[rule]]
name = "journeys"
travel = { any = "3h", CN-HK = "15min", "KR-JP" = "70min" }
"#;

#[test]
fn rules_are_read() {
    let folder = Folder::new();
    assert!(Config::load(Some(folder.path())).expect("no mistakes").rules.is_none());
    folder.write("risk.toml", RULES);
    let config = Config::load(Some(folder.path())).expect("no mistakes");
    let rules = config.rules.expect("there are some");
    let said: Vec<_> = rules
        .rules()
        .iter()
        .map(|rule| (&*rule.name, rule.code.number(), rule.action == Action::Decline))
        .collect();
    let expected = [
        ("double scan", 94, true),
        ("a day of a shop", 61, true),
        ("ceiling", 61, false),
        ("stopped", 43, true),
        ("never", 57, true),
        ("device", 65, true),
        ("nights", 57, true),
        ("journeys", 59, true),
    ];
    assert_eq!(said, expected);
    assert_eq!(rules.elements(), [60]);
    let limits = rules.rules().iter().map(|rule| match &rule.test {
        Test::Velocity(velocity) => velocity.limit,
        _ => 0,
    });
    assert_eq!(limits.collect::<Vec<_>>(), [1, 5_000_000, 0, 0, 0, 3, 0, 0]);
    let region = |text| Region::from_text(text).expect("a region");
    let [cn, hk, jp, kr] = ["CN", "HK", "JP", "KR"].map(region);
    let scope = &rules.rules()[6].scope;
    assert_eq!(scope.corridors, [(kr, cn), (cn, kr)]);
    assert_eq!(scope.merchants, ["CLUB-*", "BAR-1"]);
    assert!(scope.window.as_ref().is_some_and(|window| window.hours.len() == 1));
    let Test::Travel(travel) = &rules.rules()[7].test else { panic!("it is one of journeys") };
    let minutes = |from, to| travel.shortest(from, to).as_secs() / 60;
    assert_eq!(
        [minutes(hk, cn), minutes(kr, jp), minutes(kr, cn), minutes(kr, kr)],
        [15, 70, 180, 0]
    );
    let other = fs::read_to_string(folder.path().join("risk.toml")).expect("written");
    let before = Config::load(Some(folder.path())).expect("no mistakes").hash;
    folder.write("risk.toml", &other.replace("5000000", "5000001"));
    assert_ne!(Config::load(Some(folder.path())).expect("no mistakes").hash, before);
}

#[test]
fn the_file_that_ships_has_no_mistake() {
    let folder = Folder::new();
    folder.write("risk.toml", include_str!("../../../../config/risk.toml"));
    let config = Config::load(Some(folder.path())).expect("no mistakes");
    assert_eq!(config.rules.expect("there are some").rules().len(), 2);
}

/// What is replaced by what, and the mistake that comes of it.
#[rustfmt::skip]
const MISTAKES: &[(&str, &str, &str)] = &[
    ("memory_mb = 8", "memory_mb = 0", "risk.toml:1: 0 is not within 1 to 1048576"),
    ("memory_mb", "memory",
        "risk.toml:1: unknown key \"memory\", expected one of memory_mb, snapshot, rule, key_file, \
         allow"),
    ("memory_mb = 8", "memory_mb = 8\nsnapshot = \"1min\"",
        "risk.toml:2: a snapshot is read again under the same key: say key_file"),
    ("\"a day of a shop\"", "\"double scan\"",
        "risk.toml:10: the rule of line 3 has the same name"),
    ("kind = \"fare\"", "kind = \"fair\"",
        "risk.toml:4: unknown kind \"fair\", did you mean \"fare\"?"),
    ("\"terminal\"", "\"terminus\"",
        "risk.toml:7: unknown key \"terminus\", did you mean \"terminal\"?"),
    ("window = \"2s\"", "window = \"745h\"", "risk.toml:6: 745h is not within 1ms to 744h"),
    ("window = \"2s\"\n", "", "risk.toml:2: window is missing"),
    ("code = \"94\"", "code = \"00\"", "risk.toml:8: this code approves; a decline is wanted"),
    ("network = \"KAKAOPAY\"", "network = \"KAKAO\"",
        "risk.toml:11: unknown network \"KAKAO\", expected one of KAKAOPAY, UNIONPAY"),
    ("currency = \"KRW\"\n", "", "risk.toml:9: amounts are of one currency: say which"),
    ("currency = \"KRW\"", "currency = \"WON\"",
        "risk.toml:12: \"WON\" is no currency of ISO 4217, expected one like \"KRW\""),
    ("max = 100000", "max = 100000\nmin = 100001", "risk.toml:16: min is above max"),
    ("max = 100000", "max = 100000\ncount = 1",
        "risk.toml:16: one question a rule: count, sum, min and max, listed, or travel"),
    ("\"shadow\"", "\"shade\"",
        "risk.toml:20: unknown action \"shade\", did you mean \"shadow\"?"),
    ("\"62120\"", "\"621234567890\"", "risk.toml:23: a prefix has 1 to 11 digits"),
    ("merchants = \"BAD-1\"", "tokens = \"0123456789abcdef\"",
        "risk.toml:23: tokens need a key_file: without it they mean nothing"),
    ("mcc = [6211, \"7994-7995\"]\nentry_mode = [\"03x\", \"012\"]\n", "",
        "risk.toml:24: it is for every request: say for whom, or how much is too much"),
    ("\"03x\"", "\"3x\"", "risk.toml:27: expected DE 22 like \"031\", or \"03x\" for any of them"),
    ("KR->CN", "KR-CN", "risk.toml:37: \"KR-CN\" is no corridor, expected one like \"KR->CN\""),
    ("CLUB-*", "*", "risk.toml:36: \"*\" is no merchant: 1 to 15 characters, or some and a *"),
    ("zone = \"Asia/Seoul\"", "until = 2020-01-01\nfrom = 2020-01-02\nzone = \"Asia/Seoul\"",
        "risk.toml:40: it ends before it begins"),
    ("22:00-06:00", "22-6",
        "risk.toml:38: expected hours like \"09:00-18:30\" or \"22:00-02:00\""),
    ("CN-HK", "CN-CN", "risk.toml:43: \"CN-CN\" is no journey"),
    ("\"KR-JP\"", "HK-CN", "risk.toml:43: HK-CN is there the other way round already"),
    ("\"15min\"", "\"49h\"", "risk.toml:43: 49h is not within 0s to 48h"),
    ("[60, \"corridor\"]", "[60, 61, 62, 63, 48]", "risk.toml:32: more than 4 elements"),
];

#[test]
fn every_mistake_is_told_with_its_line() {
    for (from, to, expected) in MISTAKES {
        let folder = Folder::new();
        assert!(RULES.contains(from), "{from} is there");
        folder.write("risk.toml", &RULES.replacen(from, to, 1));
        assert_eq!(folder.mistakes(), [*expected], "{from} -> {to}");
    }
}

#[test]
fn a_list_in_a_file_names_cards_by_their_tokens() {
    let folder = Folder::new();
    folder.write("risk.key", "0123456789abcdef0123456789abcdef");
    folder.write("stopped", "# since today\n00112233445566aa\nmerchant BAD-1\nprefix 62\n");
    let head = "key_file = \"risk.key\"\n[[rule]]\nname = \"stopped\"\n";
    let rule = format!("{head}listed = {{ file = \"stopped\" }}\n");
    folder.write("risk.toml", &rule);
    assert!(Config::load(Some(folder.path())).is_ok());
    folder.write("stopped", "4111111111111111x\nshop BAD-1\n");
    let told = folder.mistakes();
    assert_eq!(told.len(), 2);
    assert!(told[0].ends_with("stopped:1: no token: 16 hexadecimal digits"), "{told:?}");
    assert!(!told[0].contains("4111"), "what may be a card number is not repeated");
}
