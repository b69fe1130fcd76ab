//! The journal's records against the transcripts, joined by terminal and RRN (I41, I42).
//!
//! Lines are `{"record":"intent","terminal":"..","rrn":".."}` with `"at_ns"` if the clock is that
//! of the transcripts, and `"code"` (DE 39) for an outcome. What is not an intent, an outcome or
//! a reversal is read and not used.

use std::collections::BTreeMap;

use serde_json::Value;

use super::case::Cases;
use super::line::{File, Place, Seen};
use super::report::Finding;

/// When each kind of record was written, by kind, terminal and RRN; 0 if it does not say.
type Written = BTreeMap<(String, String, String), u64>;

/// Checks that what was done has its record, and the record came first.
///
/// # Errors
///
/// The first line that cannot be read.
pub(super) fn check(text: &str, cases: &Cases<'_>, out: &mut Vec<Finding>) -> Result<(), String> {
    let written = read(text)?;
    for case in cases.list.values() {
        for leg in &case.legs {
            demand("intent", &leg.request, "before it is forwarded", &written, out);
        }
        for approval in case.answers.iter().filter(|answer| answer.message.approves()) {
            demand("outcome", approval, "before it is handed over", &written, out);
        }
        for leg in case.all_legs() {
            if let Some(reversal) = leg.reversals.first() {
                demand("reversal", reversal, "before it is sent", &written, out);
            }
        }
    }
    Ok(())
}

fn demand(kind: &str, done: &Seen<'_>, when: &str, written: &Written, out: &mut Vec<Finding>) {
    let name = |element: u8| done.message.of(element).to_owned();
    let expected = format!("a record of the {kind} {when}");
    match written.get(&(kind.to_owned(), name(41), name(37))) {
        None => out.push(Finding::new("I41", done, expected, "none", &[])),
        Some(at_ns) if *at_ns > done.at_ns => {
            let seen = format!("{} ns after it", at_ns - done.at_ns);
            out.push(Finding::new("I42", done, expected, seen, &[]));
        }
        Some(_) => {}
    }
}

fn read(text: &str) -> Result<Written, String> {
    let mut written = Written::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = Place { file: File::Records, line: number + 1 };
        let value: Value = serde_json::from_str(line).map_err(|e| format!("{place}: {e}"))?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let kind = text("record");
        if kind.is_empty() {
            return Err(format!("{place}: record: no text"));
        }
        // The outcome that matters is the one that lets an approval go.
        if kind == "outcome" && !matches!(text("code"), "00" | "10") {
            continue;
        }
        let at_ns = value.get("at_ns").and_then(Value::as_u64).unwrap_or(0);
        let name = (kind.to_owned(), text("terminal").to_owned(), text("rrn").to_owned());
        written.entry(name).and_modify(|first| *first = at_ns.min(*first)).or_insert(at_ns);
    }
    Ok(written)
}
