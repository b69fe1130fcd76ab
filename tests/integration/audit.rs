//! `authswitch audit` as people call it: transcripts in, findings out, an exit code.

use std::process::Stdio;

use crate::rig::{Folder, switch};

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
