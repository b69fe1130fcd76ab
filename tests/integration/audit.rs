//! `authswitch audit` as people call it: transcripts in, findings out, an exit code.

use std::process::Stdio;

use serde_json::json;

use crate::message::{Plain, answer_to, sale};
use crate::rig::{Folder, Host, Serve, switch};

const ASKED: &str = concat!(
    r#"{"at_ns":1,"connection":1,"direction":"to-switch","mti":"0100","fields":"#,
    r#"{"2":"4761340000000019","4":"000000001250","7":"1122021245","11":"000001","#,
    r#""37":"RRN000000001","41":"TERM0001"}}"#,
    "\n",
    r#"{"at_ns":4,"connection":1,"direction":"from-switch","mti":"0110","fields":"#,
    r#"{"4":"000000001250","7":"1122021245","11":"000001","#,
    r#""37":"RRN000000001","39":"00","41":"TERM0001"}}"#,
    "\n",
);

/// Audits this pair: the exit code and what was printed.
fn audited(name: &str, acquirer: &str, partner: &str, options: &[&str]) -> (i32, String, String) {
    let files = [("acquirer.ndjson", acquirer), ("partner.ndjson", partner)];
    let folder = Folder::new(name, &files);
    let [a, p] = ["acquirer.ndjson", "partner.ndjson"].map(|file| folder.path(file));
    let arguments = [&["audit", "--acquirer", &a, "--partner", &p], options].concat();
    let output = switch(&arguments).stdin(Stdio::null()).output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}

#[test]
fn the_exit_code_says_whether_a_rule_is_broken() {
    let forwarded = ASKED.lines().next().expect("two lines").replace("\"to-s", "\"from-s");
    let approved = ASKED.lines().last().expect("two lines").replace("\"from-s", "\"to-s");
    let partner = format!("{forwarded}\n{approved}\n").replace("\"at_ns\":4", "\"at_ns\":3");
    let (code, out, _) = audited("audit-clean", ASKED, &partner, &[]);
    assert_eq!((code, out.lines().last()), (0, Some("rules broken: none")), "{out}");
    let (code, out, _) = audited("audit-unbacked", ASKED, "", &[]);
    assert_eq!((code, out.lines().last()), (1, Some("rules broken: I2 x 1")), "{out}");
    assert!(out.contains("terminal TERM0001 RRN RRN000000001 STAN 000001 PAN 476134******0019"));
    assert!(out.contains("lines    acquirer:2") && !out.contains("4761340000000019"), "{out}");
}

#[test]
fn what_cannot_be_read_is_bad_usage() {
    let (code, _, errors) = audited("audit-damaged", "{}", "", &[]);
    assert_eq!((code, errors.lines().count()), (2, 1), "{errors}");
    assert!(errors.contains("acquirer:1"), "{errors}");
    let (code, _, errors) = audited("audit-budget", "", "", &["--budget", "soon"]);
    assert_eq!((code, errors.contains("--budget")), (2, true), "{errors}");
    let (code, _, errors) = audited("audit-records", "", "", &["--records", "/nowhere"]);
    assert_eq!((code, errors.contains("/nowhere")), (2, true), "{errors}");
}

/// A line of a transcript.
fn line(at_ns: u64, direction: &str, message: &Plain) -> String {
    let fields: serde_json::Map<_, _> =
        message.fields.iter().map(|(element, value)| (element.to_string(), json!(value))).collect();
    let Plain { mti, .. } = message;
    let line = json!({
        "at_ns": at_ns, "connection": 1, "direction": direction, "mti": mti, "fields": fields,
    });
    format!("{line}\n")
}

/// What a real switch puts on record is what both sides saw, and a journal of other things is not.
#[test]
fn a_journal_is_held_against_what_both_sides_saw() {
    let (folder, host) = (Folder::new("audit-kept", &[]), Host::new());
    let journal = folder.path("journal");
    let kept = ["--durability", "process", "--journal", &journal, "--deadline", "300ms"];
    let mut serve = Serve::start(host.address, &kept);
    let mut partner = host.accept();
    partner.takes_reversals = false;
    serve.wait_for_line("connected");
    let mut pos = serve.call();
    pos.send(&sale(1));
    let forwarded = partner.receive();
    let approval = answer_to(&forwarded, "00").with(38, "A1B2C3");
    partner.send(&approval);
    let told = pos.receive();
    // The second is not answered, and reversed.
    pos.send(&sale(2));
    let silent = partner.receive();
    let refused = pos.receive();
    let reversal = partner.receive();
    let taken = answer_to(&reversal, "00");
    partner.send(&taken);
    serve.signal("TERM");
    assert!(serve.ends().success());
    let acquirer = [
        line(1, "to-switch", &sale(1)),
        line(4, "from-switch", &told),
        line(5, "to-switch", &sale(2)),
        line(7, "from-switch", &refused),
    ];
    let seen = [
        line(2, "from-switch", &forwarded),
        line(3, "to-switch", &approval),
        line(6, "from-switch", &silent),
        line(8, "from-switch", &reversal),
        line(9, "to-switch", &taken),
    ];
    let options = ["--journal", &journal];
    let run = |name: &str, seen: &str| audited(name, &acquirer.concat(), seen, &options);
    let (code, out, errors) = run("audit-kept-clean", &seen.concat());
    assert_eq!((code, out.lines().last()), (0, Some("rules broken: none")), "{out}{errors}");
    // The partner was asked under another STAN than the journal has.
    let stan = forwarded.of(11).expect("DE 11");
    let other = seen.concat().replace(&format!("\"11\":\"{stan}\""), "\"11\":\"123456\"");
    let (code, out, _) = run("audit-kept-other", &other);
    assert!(code == 1 && out.contains("I41") && out.contains("journal:"), "{out}");
    let key = folder.path("nowhere");
    let options = [&options[..], &["--journal-key", &key]].concat();
    let (code, _, errors) = audited("audit-kept-key", "", "", &options);
    assert_eq!((code, errors.contains("nowhere")), (2, true), "{errors}");
}
