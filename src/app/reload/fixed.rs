//! What a running switch cannot change: threads, bounds, the journal, links and how they write.
//!
//! A worker is built around these. Links are told apart by their places, in what waits, what is
//! owed and what is on record, so their order is as fixed as they are.

use std::path::PathBuf;

use crate::app::config::{Acquirer, Config, Partner, Settings, written};
use crate::iso8583::dialect::Dialect;
use crate::switch::inquiry::Inquiry;

/// Every difference that needs a restart, a line each.
pub fn changes(old: &Config, new: &Config) -> Vec<String> {
    let mut changes = Vec::new();
    settings(old, new, &mut changes);
    let one: Vec<Link<'_>> = links(old);
    let other: Vec<Link<'_>> = links(new);
    let named = |links: &[Link<'_>], name: &str| links.iter().position(|link| link.name == name);
    for link in one.iter().filter(|link| named(&other, link.name).is_none()) {
        changes.push(format!("{} {} is gone", link.role, link.name));
    }
    for link in &other {
        let Some(former) = named(&one, link.name).and_then(|place| one.get(place)) else {
            changes.push(format!("{} {} is new", link.role, link.name));
            continue;
        };
        for ((what, before), (_, after)) in former.says.iter().zip(&link.says) {
            if before != after {
                let (role, name) = (link.role, link.name);
                changes.push(format!("{what} of {role} {name}: {before} -> {after}"));
            }
        }
        if former.dialect.spec != link.dialect.spec && former.dialect.name() == link.dialect.name()
        {
            let (name, dialect) = (link.name, link.dialect.name());
            changes.push(format!("the dialect {dialect} of {} {name} has changed", link.role));
        }
    }
    let names = |links: &[Link<'_>]| links.iter().map(|link| link.name.to_owned()).collect();
    let (one, other): (Vec<String>, Vec<String>) = (names(&one), names(&other));
    if changes.is_empty() && one != other {
        changes.push("the order of links: they are told apart by their places".to_owned());
    }
    changes
}

/// A link with what is said of it, in the same order for all of a role.
struct Link<'c> {
    role: &'static str,
    name: &'c str,
    dialect: &'c Dialect,
    says: Vec<(&'static str, String)>,
}

fn links(config: &Config) -> Vec<Link<'_>> {
    let acquirers = config.acquirers.iter().map(|acquirer| {
        let Acquirer { name, listen, dialect, sign_on_required, .. } = acquirer;
        let says = vec![
            ("role", "acquirer".to_owned()),
            ("dialect", dialect.name().to_owned()),
            ("listen", listen.to_string()),
            ("sign_on_required", sign_on_required.to_string()),
        ];
        Link { role: "acquirer", name, dialect, says }
    });
    let partners = config.partners.iter().map(|partner| {
        let Partner { name, connect, sessions, dialect, sign_on, .. } = partner;
        let breaker = partner.breaker.map_or_else(
            || ("0".to_owned(), "none".to_owned()),
            |breaker| (breaker.failures.to_string(), written(breaker.pause)),
        );
        let says = vec![
            ("role", "partner".to_owned()),
            ("dialect", dialect.name().to_owned()),
            ("connect", connect.clone()),
            ("sessions", sessions.to_string()),
            ("sign_on", sign_on.to_string()),
            ("echo_interval", written(partner.echo_interval)),
            ("in_flight_max", partner.in_flight_max.to_string()),
            ("breaker_failures", breaker.0),
            ("breaker_pause", breaker.1),
            ("inquiry", inquiry(&partner.inquiry)),
        ];
        Link { role: "partner", name, dialect, says }
    });
    acquirers.chain(partners).collect()
}

fn inquiry(said: &Inquiry) -> String {
    let mti = if said.is_financial { "0200" } else { "0100" };
    let [approved, not_found, declined] =
        [&said.approved, &said.not_found, &said.declined].map(|codes| codes.join(" "));
    format!(
        "{} by {mti} every {}: approved {approved}, not found {not_found}, declined {declined}",
        said.tries,
        written(said.every)
    )
}

fn settings(old: &Config, new: &Config, changes: &mut Vec<String>) {
    let (one, other) = (&old.settings, &new.settings);
    let mut differ = |what: &str, before: String, after: String| {
        if before != after {
            changes.push(format!("{what}: {before} -> {after}"));
        }
    };
    differ("workers", one.workers.to_string(), other.workers.to_string());
    differ("pin", one.pin.to_string(), other.pin.to_string());
    differ("spin", written(one.spin), written(other.spin));
    let durability = |settings: &Settings| settings.durability.name().to_owned();
    differ("durability", durability(one), durability(other));
    let path = |path: &Option<PathBuf>| {
        path.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string())
    };
    differ("journal", path(&one.journal), path(&other.journal));
    differ("journal_key", path(&one.journal_key), path(&other.journal_key));
    let (before, after) = (one.journal_segment_bytes, other.journal_segment_bytes);
    differ("journal_segment_bytes", before.to_string(), after.to_string());
    differ("drain_deadline", written(one.drain_deadline), written(other.drain_deadline));
    if one.limits != other.limits {
        changes.push("[limits]".to_owned());
    }
    debug_assert!(one == other || !changes.is_empty(), "every setting is compared");
}
