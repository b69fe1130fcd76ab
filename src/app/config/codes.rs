//! `[codes]` of `routes.toml`: DE 39 of requests that go nowhere.

use super::table::{Entry, Table};
use crate::app::dialect_file::Log;
use crate::base::codes::ResponseCode;
use crate::routing::Codes;

/// The codes; what is not said is as usual.
pub(super) fn read(mut table: Table<'_>, log: &mut Log<'_>) -> Codes {
    let mut codes = Codes::default();
    for (key, code) in [
        ("unknown_code", &mut codes.unknown_code),
        ("unknown_merchant", &mut codes.unknown_merchant),
        ("network_not_accepted", &mut codes.network_not_accepted),
        ("no_route", &mut codes.no_route),
        ("not_served", &mut codes.not_served),
    ] {
        let said = table.take(key).and_then(|entry| decline(&entry, log));
        *code = said.unwrap_or(*code);
    }
    codes.unknown_original = match table.take("unknown_original") {
        None => codes.unknown_original,
        Some(entry) if entry.is("forward") => None,
        Some(entry) => decline(&entry, log).or(codes.unknown_original),
    };
    table.finish(log);
    codes
}

/// Two digits that do not approve.
pub(super) fn decline(entry: &Entry<'_>, log: &mut Log<'_>) -> Option<ResponseCode> {
    let said = entry.text(log).map(|text| match text.as_bytes() {
        [b'0'..=b'9', b'0'..=b'9'] => text.parse().ok().and_then(ResponseCode::from_number),
        _ => None,
    });
    match said? {
        Some(said) if !ResponseCode::approves(&said.digits()) => return Some(said),
        Some(_) => log.add(&entry.span, "this code approves; a decline is wanted"),
        None => log.add(&entry.span, "expected two digits of DE 39, like \"92\""),
    }
    None
}
