//! Each rule is proven by breaking it: a clean pair of transcripts, one edit, one rule named.

mod recorded;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Inputs, Report, Terms, audit};

/// A line with a tag to find it by, such as `3.forward`.
#[derive(Debug, Clone)]
struct Entry {
    tag: String,
    side: &'static str,
    value: Value,
}

/// Both transcripts of a few transactions; number N is `TERM000N`, RRN `RRN00000000N`.
#[derive(Debug, Clone, Default)]
struct Script {
    entries: Vec<Entry>,
    now_ms: u64,
}

const MS: u64 = 1_000_000;

/// A second partner.
const OTHER: &str = "other";

impl Script {
    fn line(&mut self, tag: &str, side: &'static str, value: Value) {
        self.now_ms += 50;
        let mut value = value;
        value["at_ns"] = json!(self.now_ms * MS);
        value["side"] = json!(side);
        self.entries.push(Entry { tag: tag.to_owned(), side, value });
    }

    fn message(
        &mut self,
        tag: &str,
        side: &'static str,
        to_switch: bool,
        mti: &str,
        with: &[(u8, &str)],
    ) {
        let number: u32 = tag.split('.').next().and_then(|n| n.parse().ok()).expect("N.name");
        let mut fields = Map::new();
        for (element, value) in
            base(number).into_iter().chain(with.iter().map(|(e, v)| (*e, (*v).to_owned())))
        {
            fields.insert(element.to_string(), json!(value));
        }
        let is_answer = matches!(mti.as_bytes()[2], b'1' | b'3');
        if is_answer {
            fields.remove("2");
        }
        if side != "acquirer" && with.iter().all(|(element, _)| *element != 11) {
            fields.insert("11".into(), json!(format!("{:06}", 100 + number)));
        }
        let direction = if to_switch { "to-switch" } else { "from-switch" };
        let connection = if side == "acquirer" { 1 } else { 2 };
        let value = json!({
            "connection": connection, "direction": direction, "mti": mti, "fields": fields,
        });
        self.line(tag, side, value);
    }

    fn ask(&mut self, number: u32, name: &str, mti: &str, with: &[(u8, &str)]) {
        self.message(&format!("{number}.{name}"), "acquirer", true, mti, with);
    }

    fn tell(&mut self, number: u32, name: &str, mti: &str, with: &[(u8, &str)]) {
        self.message(&format!("{number}.{name}"), "acquirer", false, mti, with);
    }

    fn forward(&mut self, number: u32, name: &str, mti: &str, with: &[(u8, &str)]) {
        self.message(&format!("{number}.{name}"), "partner", false, mti, with);
    }

    fn host(&mut self, number: u32, name: &str, mti: &str, with: &[(u8, &str)]) {
        self.message(&format!("{number}.{name}"), "partner", true, mti, with);
    }

    /// A reversal by the switch and the partner's final answer.
    fn reversed(&mut self, number: u32, mti: &str) {
        let original = origin(mti, 100 + number);
        let stan = format!("{:06}", 200 + number);
        let with = [(11, stan.as_str()), (90, original.as_str())];
        self.forward(number, "0420", "0420", &with);
        self.forward(number, "0421", "0421", &with);
        self.host(number, "0430", "0430", &[(11, &stan), (39, "00")]);
    }

    fn at(&mut self, tag: &str) -> &mut Entry {
        self.entries.iter_mut().find(|entry| entry.tag == tag).unwrap_or_else(|| panic!("{tag}"))
    }

    fn set(&mut self, tag: &str, element: u8, value: &str) -> &mut Self {
        self.at(tag).value["fields"][element.to_string()] = json!(value);
        self
    }

    fn mti(&mut self, tag: &str, mti: &str) -> &mut Self {
        self.at(tag).value["mti"] = json!(mti);
        self
    }

    fn drop(&mut self, tags: &[&str]) -> &mut Self {
        tags.iter().for_each(|tag| assert_eq!(self.at(tag).tag, *tag));
        self.entries.retain(|entry| !tags.contains(&entry.tag.as_str()));
        self
    }

    /// A copy of a line behind another one.
    fn copy(&mut self, tag: &str, new: &str, behind: &str) -> &mut Self {
        let mut copy = self.at(tag).clone();
        copy.tag = new.to_owned();
        copy.value["at_ns"] = self.at(behind).value["at_ns"].clone();
        self.entries.push(copy);
        self.shift(new, 25)
    }

    /// A line goes behind another one.
    fn put(&mut self, tag: &str, behind: &str) -> &mut Self {
        self.at(tag).value["at_ns"] = self.at(behind).value["at_ns"].clone();
        self.shift(tag, 25)
    }

    fn shift(&mut self, tag: &str, ms: u64) -> &mut Self {
        let at_ns = self.at(tag).value["at_ns"].as_u64().expect("a number");
        self.at(tag).value["at_ns"] = json!(at_ns + ms * MS);
        self
    }

    fn connection(&mut self, tag: &str, connection: u64) -> &mut Self {
        self.at(tag).value["connection"] = json!(connection);
        self
    }

    fn move_to(&mut self, tag: &str, side: &'static str) -> &mut Self {
        self.at(tag).side = side;
        self
    }

    fn text(&self, side: &str) -> String {
        let mut lines: Vec<&Entry> =
            self.entries.iter().filter(|entry| entry.side == side).collect();
        lines.sort_by_key(|entry| entry.value["at_ns"].as_u64());
        lines.iter().map(|entry| format!("{}\n", entry.value)).collect()
    }

    fn audit(&self, records: Option<String>) -> Report {
        let mut partners = vec![self.text("partner")];
        partners.extend(Some(self.text(OTHER)).filter(|text| !text.is_empty()));
        let inputs = Inputs { acquirer: self.text("acquirer"), partners, records, journal: None };
        audit(&inputs, Terms { budget_ns: 1_000 * MS, slack_ns: 10 * MS }).expect("lines are sound")
    }
}

fn base(number: u32) -> Vec<(u8, String)> {
    vec![
        (2, "4761340000000019".into()),
        (3, "000000".into()),
        (4, format!("{:012}", 1_000 + number)),
        (7, "1122021245".into()),
        (11, format!("{number:06}")),
        (32, "12345".into()),
        (37, format!("RRN{number:09}")),
        (41, format!("TERM{number:04}")),
        (42, "MERCHANT0000001".into()),
        (49, "156".into()),
    ]
}

fn origin(mti: &str, stan: u32) -> String {
    format!("{mti}{stan:06}1122021245{:0>11}{:011}", "12345", 0)
}

/// One transaction of each kind, all rules kept.
fn clean() -> Script {
    let mut script = Script::default();
    script.line("open", "acquirer", json!({ "connection": 1, "event": "open" }));
    approved(&mut script);
    late(&mut script);
    undone(&mut script);
    odd(&mut script);
    script.now_ms += 1_200;
    script.ask(1, "last", "0800", &[(11, "900000"), (37, "")]);
    script.tell(1, "pong", "0810", &[(11, "900000"), (37, ""), (39, "00")]);
    script
}

/// 1: approved. 2: declined. 5: repeated, approved.
fn approved(script: &mut Script) {
    script.ask(1, "ask", "0100", &[]);
    script.forward(1, "forward", "0100", &[]);
    script.host(1, "host", "0110", &[(38, "A00001"), (39, "00")]);
    script.tell(1, "tell", "0110", &[(38, "A00001"), (39, "00")]);
    script.ask(2, "ask", "0100", &[]);
    script.forward(2, "forward", "0100", &[]);
    script.host(2, "host", "0110", &[(39, "05")]);
    script.tell(2, "tell", "0110", &[(39, "05")]);
    script.ask(5, "ask", "0200", &[]);
    script.ask(5, "again", "0201", &[]);
    script.forward(5, "forward", "0200", &[]);
    script.host(5, "host", "0210", &[(38, "A00005"), (39, "00")]);
    script.tell(5, "tell", "0210", &[(38, "A00005"), (39, "00")]);
    script.tell(5, "retell", "0210", &[(38, "A00005"), (39, "00")]);
}

/// 3: the partner approves too late; refused and reversed. 9: it never answers. 10: it declines,
/// then approves. 11: its answer is wrong.
fn late(script: &mut Script) {
    for number in [3, 9, 10, 11] {
        script.ask(number, "ask", "0100", &[]);
        script.forward(number, "forward", "0100", &[]);
        match number {
            10 => script.host(10, "decline", "0110", &[(39, "05")]),
            11 => script.host(11, "wrong", "0110", &[(4, "000000000001"), (39, "00")]),
            _ => {}
        }
        script.tell(number, "tell", "0110", &[(39, "91")]);
        if matches!(number, 3 | 10) {
            script.host(number, "host", "0110", &[(38, "A00003"), (39, "00")]);
        }
        script.reversed(number, "0100");
    }
}

/// 4: the acquirer hangs up and reverses. 8: it reverses before anything is forwarded. 6: the
/// switch approves itself, and the acquirer undoes it.
fn undone(script: &mut Script) {
    let own = |number: u32| format!("0100{number:06}1122021245{:0>11}{:011}", "12345", 0);
    script.ask(4, "ask", "0100", &[]);
    script.connection("4.ask", 3);
    script.line("4.close", "acquirer", json!({ "connection": 3, "event": "close" }));
    script.forward(4, "forward", "0100", &[]);
    script.host(4, "host", "0110", &[(38, "A00004"), (39, "00")]);
    for (ask, mti, tell) in [("undo", "0400", "undone"), ("reundo", "0401", "reundone")] {
        script.ask(4, ask, mti, &[(11, "000504"), (90, &own(4))]);
        script.tell(4, tell, "0410", &[(11, "000504"), (39, "00")]);
    }
    script.reversed(4, "0100");
    script.ask(8, "ask", "0100", &[]);
    script.ask(8, "undo", "0400", &[(11, "000508"), (90, &own(8))]);
    script.tell(8, "undone", "0410", &[(11, "000508"), (39, "00")]);
    script.ask(6, "ask", "0100", &[]);
    script.tell(6, "tell", "0110", &[(38, "S00006"), (39, "00")]);
    script.forward(6, "advice", "0120", &[(38, "S00006"), (39, "00")]);
    script.host(6, "noted", "0130", &[(39, "00")]);
    script.ask(6, "undo", "0400", &[(11, "000506"), (90, &own(6))]);
    script.tell(6, "undone", "0410", &[(11, "000506"), (39, "00")]);
    script.reversed(6, "0120");
}

/// 7: a name is used again for another amount. 12: an answer comes from an acquirer.
fn odd(script: &mut Script) {
    script.ask(7, "ask", "0100", &[]);
    script.forward(7, "forward", "0100", &[]);
    script.host(7, "host", "0110", &[(38, "A00007"), (39, "00")]);
    script.tell(7, "tell", "0110", &[(38, "A00007"), (39, "00")]);
    script.ask(7, "other", "0100", &[(4, "000000009999")]);
    script.tell(7, "refused", "0110", &[(4, "000000009999"), (39, "94")]);
    script.ask(12, "response", "0110", &[(39, "00")]);
}

#[test]
fn a_clean_pair_is_clean() {
    let report = clean().audit(None);
    assert_eq!(report.findings, [], "{report}");
    assert_eq!((report.transactions, report.approved, report.reversals), (11, 3, 6));
    assert_eq!((report.seen_minor, report.booked_minor), (3_013, 3_013));
}

#[test]
fn a_stan_used_again_on_another_connection_takes_no_answer() {
    let mut script = clean();
    script.put("2.ask", "1.ask").put("2.forward", "1.forward");
    for tag in ["2.forward", "2.host"] {
        script.set(tag, 11, "000101").connection(tag, 9);
    }
    let report = script.audit(None);
    assert_eq!(report.findings, [], "{report}");
}

type Edit = fn(&mut Script) -> &mut Script;

/// The rule, the transaction, and the edit that breaks it.
const PLANTED: &[(&str, u32, Edit)] = &[
    ("I1", 3, |s| {
        let rest = format!("{:012}{:030}", 500, 0);
        s.set("3.0420", 95, &rest).set("3.0421", 95, &rest)
    }),
    ("I2", 1, |s| s.drop(&["1.forward", "1.host"])),
    ("I2", 1, |s| s.put("1.host", "1.tell")),
    ("I3", 1, |s| s.copy("1.tell", "1.more", "1.tell")),
    ("I3", 1, |s| s.connection("1.tell", 7)),
    ("I3", 2, |s| s.drop(&["2.tell"])),
    ("I3", 2, |s| s.shift("2.tell", 1_100)),
    ("I5", 1, |s| s.set("1.tell", 4, "000000001002")),
    ("I5", 1, |s| s.set("1.tell", 11, "000099")),
    ("I5", 1, |s| s.set("1.tell", 42, "MERCHANT0000002")),
    ("I6", 12, |s| {
        s.copy("12.response", "12.back", "12.response").mti("12.back", "0120").back("12.back")
    }),
    ("I6", 12, |s| {
        s.copy("12.response", "12.back", "12.response").mti("12.back", "0130").back("12.back")
    }),
    ("I7", 4, |s| {
        s.copy("4.ask", "4.repeat", "4.ask")
            .connection("4.repeat", 1)
            .copy("4.host", "4.tell", "4.undone")
            .move_to("4.tell", "acquirer")
            .set("4.tell", 11, "000004")
            .back("4.tell")
            .connection("4.tell", 1)
    }),
    ("I8", 2, |s| {
        s.set("2.host", 39, "00")
            .copy("2.ask", "2.again", "2.tell")
            .copy("2.tell", "2.retell", "2.again")
            .set("2.retell", 39, "00")
    }),
    ("I9", 1, |s| s.set("1.tell", 38, "A00009")),
    ("I9", 2, |s| s.set("2.tell", 39, "00")),
    ("I11", 4, |s| {
        s.drop(&["4.undo", "4.undone", "4.reundo", "4.reundone", "4.0420", "4.0421", "4.0430"])
    }),
    ("I12", 1, |s| s.reverse(1)),
    ("I13", 1, |s| {
        s.copy("1.forward", "1.second", "1.forward")
            .move_to("1.second", OTHER)
            .copy("1.host", "1.approved", "1.second")
            .move_to("1.approved", OTHER)
    }),
    ("I14", 1, |s| s.copy("1.forward", "1.second", "1.forward").set("1.second", 11, "000999")),
    ("I14", 5, |s| {
        s.copy("5.forward", "5.second", "5.forward")
            .mti("5.second", "0201")
            .set("5.second", 11, "000999")
    }),
    ("I15", 5, |s| s.set("5.retell", 38, "A00009")),
    ("I15", 5, |s| s.set("5.retell", 39, "05")),
    ("I16", 7, |s| s.set("7.refused", 39, "00")),
    ("I16", 7, |s| {
        s.copy("7.forward", "7.second", "7.other")
            .set("7.second", 4, "000000009999")
            .set("7.second", 11, "000999")
    }),
    ("I18", 2, |s| s.put("2.forward", "2.tell").put("2.host", "2.forward")),
    ("I18", 9, |s| {
        s.shift("9.forward", 1_100)
            .shift("9.tell", 900)
            .shift("9.0420", 1_100)
            .shift("9.0421", 1_100)
            .shift("9.0430", 1_100)
    }),
    ("I19", 2, |s| s.set("2.forward", 22, "051")),
    ("I19", 2, |s| s.set("2.forward", 2, "4761340000000027")),
    ("I20", 4, |s| s.drop(&["4.0420", "4.0421", "4.0430"])),
    ("I21", 3, |s| s.drop(&["3.0430"])),
    ("I21", 3, |s| s.set("3.0430", 39, "96")),
    ("I21", 3, |s| s.set("3.0421", 7, "1122021246")),
    ("I22", 3, |s| s.mti("3.0421", "0420")),
    ("I23", 3, |s| s.original("3", 998)),
    ("I23", 3, |s| {
        s.set("3.0420", 4, "000000001000").set("3.0421", 4, "000000001000").set(
            "3.0430",
            4,
            "000000001000",
        )
    }),
    ("I23", 3, |s| {
        let rest = format!("{:012}{:030}", 1_003, 0);
        s.set("3.0420", 95, &rest).set("3.0421", 95, &rest)
    }),
    ("I24", 3, |s| s.set("3.0421", 11, "000299").set("3.0430", 11, "000299")),
    ("I27", 4, |s| s.put("4.forward", "4.undone").put("4.host", "4.forward")),
    ("I28", 4, |s| s.set("4.reundone", 39, "25")),
    ("I29", 8, |s| s.set("8.undo", 90, &origin("0100", 1))),
    ("I29", 4, |s| s.set("4.undo", 4, "000000000900").set("4.undone", 4, "000000000900")),
    ("I32", 3, |s| s.drop(&["3.0420", "3.0421", "3.0430"])),
    ("I32", 1, |s| s.shift("1.tell", 1_200)),
    ("I33", 10, |s| s.put("10.host", "10.decline").drop(&["10.0420", "10.0421", "10.0430"])),
    ("I33", 1, |s| s.copy("1.host", "1.later", "1.tell").set("1.later", 39, "05").reverse(1)),
    ("I34", 9, |s| s.drop(&["9.0420", "9.0421", "9.0430"])),
    ("I34", 11, |s| s.drop(&["11.0420", "11.0421", "11.0430"])),
    ("I34", 11, |s| s.set("11.tell", 39, "00").drop(&["11.0420", "11.0421", "11.0430"])),
    ("I39", 6, |s| s.put("6.advice", "6.0430").put("6.noted", "6.advice")),
];

impl Script {
    /// A line goes the other way.
    fn back(&mut self, tag: &str) -> &mut Self {
        self.at(tag).value["direction"] = json!("from-switch");
        self
    }

    /// The reversals of a transaction name another STAN.
    fn original(&mut self, number: &str, stan: u32) -> &mut Self {
        let original = origin("0100", stan);
        for mti in ["0420", "0421"] {
            self.set(&format!("{number}.{mti}"), 90, &original);
        }
        self
    }

    /// The switch reverses, at the end.
    fn reverse(&mut self, number: u32) -> &mut Self {
        self.reversed(number, "0100");
        self
    }
}

#[test]
fn each_planted_violation_is_named_and_nothing_else() {
    let mut missed = String::new();
    for (place, (rule, number, edit)) in PLANTED.iter().enumerate() {
        let mut script = clean();
        edit(&mut script);
        let report = script.audit(None);
        let named: BTreeSet<_> =
            report.findings.iter().map(|f| (f.rule, f.terminal.clone())).collect();
        if named != BTreeSet::from([(*rule, format!("TERM{number:04}"))]) {
            missed += &format!("planted {place}, {rule} in {number}:\n{report}\n");
        }
    }
    assert!(missed.is_empty(), "{missed}");
    let broken: BTreeSet<&str> = PLANTED.iter().map(|(rule, ..)| *rule).collect();
    let page = include_str!("../../manual/audit.md");
    let cells = page.lines().filter_map(|line| line.strip_prefix("| I")?.split('|').next());
    let rules: BTreeSet<String> = cells
        .flat_map(|cell| cell.trim().split(", I"))
        .map(|number| format!("I{number}"))
        .filter(|rule| !matches!(rule.as_str(), "I41" | "I42" | "I54"))
        .collect();
    assert!(rules.iter().all(|rule| broken.contains(rule.as_str())), "{rules:?} {broken:?}");
    assert_eq!(rules.len(), broken.len(), "each rule of the manual is broken: {broken:?}");
}

#[test]
fn what_was_done_has_its_record_and_the_record_came_first() {
    let record = |kind: &str, number: u32, at_ms: u64| {
        let (terminal, rrn) = (format!("TERM{number:04}"), format!("RRN{number:09}"));
        let line = json!({
            "record": kind, "terminal": terminal, "rrn": rrn, "code": "00", "at_ns": at_ms * MS,
        });
        format!("{line}\n")
    };
    let mut script = Script::default();
    approved(&mut script);
    script.drop(&["2.ask", "2.forward", "2.host", "2.tell"]).reverse(5);
    script.drop(&["5.0420", "5.0421", "5.0430"]);
    let all = [
        record("intent", 1, 0),
        record("outcome", 1, 0),
        record("intent", 5, 0),
        record("outcome", 5, 0),
        record("handed", 5, 0),
    ];
    let rules = |records: String| -> Vec<&'static str> {
        script.audit(Some(records)).findings.iter().map(|finding| finding.rule).collect()
    };
    assert_eq!(rules(all.concat()), [""; 0]);
    assert_eq!(rules(all[1..].concat()), ["I41"]);
    assert_eq!(rules([&all[..1], &all[2..]].concat().concat()), ["I41"]);
    assert_eq!(rules(format!("{}{}", record("intent", 1, 60_000), all[1..].concat())), ["I42"]);
    let declined = all[1].replace("\"00\"", "\"05\"");
    assert_eq!(rules(format!("{}{declined}{}", all[0], all[2..].concat())), ["I41"]);
}

#[test]
fn a_line_that_cannot_be_read_is_said_with_its_place() {
    let terms = Terms { budget_ns: MS, slack_ns: 0 };
    for (line, words) in [
        ("{", "acquirer:2"),
        ("{\"at_ns\":1,\"connection\":1,\"event\":\"lost\"}", "neither"),
        ("{\"at_ns\":1,\"connection\":1,\"direction\":\"up\"}", "direction"),
        ("{\"at_ns\":1,\"connection\":1,\"direction\":\"to-switch\",\"mti\":\"01\"}", "mti"),
    ] {
        let inputs = Inputs { acquirer: format!("\n{line}\n"), ..Inputs::default() };
        let mistake = audit(&inputs, terms).expect_err("no sound line");
        assert!(mistake.contains(words), "{mistake}");
    }
}
