//! `[partner.inquiry]` of `switch.toml`: how a partner is asked what became of a request.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::table::Table;
use crate::app::dialect_file::Log;
use crate::switch::inquiry::Inquiry;

/// Reads it; what is not said holds by default.
pub(super) fn inquiry(partner: &mut Table<'_>, log: &mut Log<'_>) -> Inquiry {
    let mut inquiry = Inquiry::default();
    let table = partner.take("inquiry").and_then(|entry| entry.table(log));
    let Some(mut table) = table else { return inquiry };
    inquiry.tries = table.number("tries", 0..=TRIES_MAX, inquiry.tries, log);
    inquiry.every = table.duration("every", EVERY, inquiry.every, log);
    if let Some(entry) = table.take("mti") {
        match entry.text(log) {
            Some("0100") => inquiry.is_financial = false,
            Some("0200") => inquiry.is_financial = true,
            Some(_) => log.add(&entry.span, "expected \"0100\" or \"0200\""),
            None => {}
        }
    }
    let mut known: Vec<String> = Vec::new();
    for (key, codes) in [
        ("approved", &mut inquiry.approved),
        ("not_found", &mut inquiry.not_found),
        ("declined", &mut inquiry.declined),
    ] {
        if let Some(entry) = table.take(key) {
            codes.clear();
            for item in entry.items(log) {
                let Some(code) = item.text(log) else { continue };
                if !is_code(code) {
                    log.add(&item.span, "expected two or three letters or digits, as DE 39 has");
                }
                codes.push(code.to_owned());
            }
            let twice = codes.iter().find(|code| known.contains(code));
            if let Some(code) = twice {
                log.add(&entry.span, format!("{code:?} cannot mean two things"));
            }
        }
        known.extend_from_slice(codes);
    }
    table.finish(log);
    inquiry
}

fn is_code(code: &str) -> bool {
    (2..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whoever asks more often than that might as well take it back.
const TRIES_MAX: u8 = 5;

const EVERY: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
