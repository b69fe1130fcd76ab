//! The parts of an explanation, in the order in which a request goes through them.

use super::sent::Done;
use super::{Request, say};
use crate::app::config::{Config, written};
use crate::app::diff::{items, merchants};
use crate::app::json::{self, Shown};
use crate::base::authorization::{Authorization, Form};
use crate::base::ids::NetworkId;
use crate::base::time::{Instant, Now};
use crate::iso8583::decode::Index;
use crate::iso8583::dialect::Dialect;
use crate::iso8583::frame::{self, Cut};
use crate::iso8583::message::Message;
use crate::iso8583::names;
use crate::risk::Said;
use crate::risk::rule::{Action, Test, Velocity};
use crate::routing::Why;
use crate::routing::condition::Unmet;
use crate::routing::explain::{Considered, Explained};
use crate::switch::fault::{Effect, Fault};
use crate::switch::{Outcome, risk};

/// Whose it is, how it is written, when it comes.
pub(super) fn came(text: &mut String, request: &Request<'_>) {
    let (acquirer, bytes) = (request.acquirer, request.bytes.len());
    let dialect = acquirer.dialect.name();
    say(text, "from", &format!("{}, in {dialect}, {bytes} bytes", acquirer.name));
    say(text, "at", &request.wall.to_string());
}

/// Every element, card data masked unless it is to be shown.
pub(super) fn elements(text: &mut String, message: &Message<'_>, shown: Shown) {
    say(text, "message", &format!("{}", message.mti()));
    for (element, value) in json::elements(message, shown) {
        let name: String = names::name(element).chars().take(32).collect();
        let head = format!("  {element:>3}  {name:<32}  ");
        let room = 80 - head.len();
        let mut characters = value.chars().peekable();
        let mut before = head;
        while characters.peek().is_some() {
            let piece: String = characters.by_ref().take(room).collect();
            text.push_str(&before);
            text.push_str(piece.trim_end());
            text.push('\n');
            before = " ".repeat(80 - room);
        }
    }
    text.push('\n');
}

/// What it asks for.
pub(super) fn asked(text: &mut String, message: &Message<'_>, facts: &Authorization) {
    let amount = match message.has(4) {
        true => facts.amount.to_string(),
        false => "no amount".to_owned(),
    };
    let mcc = match facts.mcc {
        0 => "no category in DE 18".to_owned(),
        mcc => format!("category {mcc:04}"),
    };
    say(text, "asked", &format!("{}, {amount}, {mcc}", facts.kind.name()));
}

/// What pays, and the rules that its form fits, the narrowest first.
pub(super) fn code(
    text: &mut String,
    request: &Request<'_>,
    message: &Message<'_>,
    facts: &Authorization,
    explained: &Explained<'_>,
) {
    let scanned = message.dialect.scan.is_meant(facts.entry_mode);
    let mode = format!("DE 22 = {:03}", facts.entry_mode);
    let Some(instrument) = facts.instrument else {
        let sought = if scanned { "no payment code" } else { "no card number" };
        return say(text, "code", &format!("{sought} was found ({mode})"));
    };
    let length = instrument.length();
    let form = match instrument.form() {
        Form::Pan => format!("card number of {length} digits"),
        Form::Code => format!("payment code of {length} digits"),
        Form::Application => format!("EMV code, application name of {length} bytes"),
    };
    let mut buffer = [0; 40];
    let found = message.dialect.scan.find(message, &mut buffer).filter(|_| scanned);
    let place = found.map_or(String::new(), |found| format!(" in DE {}", found.element));
    say(text, "code", &format!("{form}{place} ({mode})"));
    let plans = request.config.written.networks.iter().zip(0..);
    let rules = plans.flat_map(|(plan, id)| plan.rules.iter().map(move |rule| (id, rule)));
    let mut fitting: Vec<_> = rules.filter(|(_, rule)| rule.holds(instrument)).collect();
    fitting.sort_by_key(|(_, rule)| rule.breadth());
    for (place, (id, rule)) in fitting.iter().enumerate() {
        let name = request.config.routes.network_name(NetworkId(*id));
        let taken = place == 0 && explained.class == Some(NetworkId(*id));
        let why = if taken { "the narrowest form" } else { "fits as well, is broader" };
        say(text, "", &format!("{name}: {rule}: {why}"));
    }
    if fitting.is_empty() {
        say(text, "", "fits no form of any network");
    }
}

/// The merchant's row, and which of the networks it takes.
pub(super) fn merchant(
    text: &mut String,
    config: &Config,
    facts: &Authorization,
    explained: &Explained<'_>,
) {
    let id = String::from_utf8_lossy(&facts.merchant);
    let name = |id: NetworkId| config.routes.network_name(id).to_owned();
    match &explained.row {
        Some((row, merchant)) => {
            let told = merchants::told(merchant, config);
            say(text, "merchant", &format!("{}: row {row}: {told}", id.trim_end()));
        }
        None if config.routes.merchants().is_none() => say(text, "merchant", "not checked"),
        None => say(text, "merchant", &format!("{}: no row", id.trim_end())),
    }
    if let Some((twin, consult)) = explained.twin {
        let told = consult.map_or(String::new(), |link| {
            format!(", {} could be asked whose it is", config.link_name(link))
        });
        say(
            text,
            "",
            &format!("codes of {} look the same: the merchant decides{told}", name(twin)),
        );
    }
    let network = match (explained.class, explained.network) {
        (Some(_), Some(id)) => name(id),
        (Some(id), None) => format!("{}, which the merchant does not accept", name(id)),
        (None, _) => "none that is known".to_owned(),
    };
    say(text, "network", &network);
}

/// From where the wallet is at home to where the merchant is.
pub(super) fn corridor(text: &mut String, request: &Request<'_>, explained: &Explained<'_>) {
    let unknown = || "unknown".to_owned();
    let home = explained.home.map_or_else(unknown, |home| home.to_string());
    let area = explained.row.map_or_else(unknown, |(_, merchant)| merchant.area.to_string());
    let version = request.config.routes.version;
    say(text, "corridor", &format!("{home} -> {area}, routes of version {version}"));
}

/// Rules and routes for this network and area, and why each was taken or left.
pub(super) fn candidates(text: &mut String, config: &Config, explained: &Explained<'_>) {
    let mut label = "refusals";
    let mut is_over = false;
    for Considered { place, unmet } in &explained.refusals {
        let Some(refusal) = config.routes.refusals().get(usize::from(*place)) else { continue };
        let why = why(*unmet, is_over, "refuses it");
        let said = items::said(&refusal.condition, config);
        say(text, label, &format!("{}: {why} ({said})", refusal.name));
        (label, is_over) = ("", is_over || unmet.is_none());
    }
    label = "routes";
    for Considered { place, unmet } in &explained.routes {
        let Some(route) = config.routes.routes().get(usize::from(*place)) else { continue };
        let why = why(*unmet, is_over, "taken");
        let condition = route.condition.as_deref();
        let said = condition.map_or("any".to_owned(), |asked| items::said(asked, config));
        say(text, label, &format!("{}: {why} ({said})", route.name));
        (label, is_over) = ("", is_over || unmet.is_none());
    }
    if explained.routes.is_empty() {
        say(text, label, "none for this network and area");
    }
}

fn why(unmet: Option<Unmet>, is_over: bool, holds: &str) -> String {
    let left = match unmet {
        _ if is_over => return "not reached".to_owned(),
        None => return holds.to_owned(),
        Some(Unmet::Kind) => "for other kinds",
        Some(Unmet::Group) => "for other merchants",
        Some(Unmet::Home) => "for wallets at home elsewhere",
        Some(Unmet::Category) => "for other categories",
        Some(Unmet::Asker) => "for other acquirers",
        Some(Unmet::Window) => "not at this time",
    };
    format!("left, {left}")
}

/// The rules on what is wanted, as far as the request is in their scope.
pub(super) fn limits(
    text: &mut String,
    request: &Request<'_>,
    message: &Message<'_>,
    facts: &Authorization,
    explained: &Explained<'_>,
) {
    let (Some(rules), Ok(chosen)) = (&request.config.rules, &explained.decided) else { return };
    let now = Now { instant: Instant::default(), wall: request.wall };
    let asked = risk::asked(rules, message, facts, (chosen, now));
    let Some(said) = rules.explain(&asked) else {
        return say(text, "limits", "none: it is on the list of allowed ones");
    };
    for (number, (place, said)) in said.iter().enumerate() {
        let Some(rule) = rules.rules().get(usize::from(*place)) else { continue };
        let code = rule.code.number();
        let would = match rule.action {
            Action::Decline => format!("declines it with {code:02}"),
            Action::Flag => "flags it".to_owned(),
            Action::Shadow => format!("would decline it with {code:02}, on trial"),
        };
        let what = match (said, &rule.test) {
            (Said::Speaks, _) => would,
            (Said::Silent, _) => "has nothing against it".to_owned(),
            (Said::Keyless, _) => "not counted: it does not say by what".to_owned(),
            (Said::Counts, Test::Velocity(Velocity { limit, window, sums, .. })) => {
                let what = if *sums { "minor units" } else { "requests" };
                let window = written(*window);
                format!("counts it; above {limit} {what} in {window} {would}")
            }
            (Said::Counts, Test::Travel(travel)) => {
                let usual = written(travel.usual);
                format!("remembers where it is; elsewhere within {usual}, or as listed, {would}")
            }
            (Said::Counts, _) => "counts it".to_owned(),
        };
        let label = if number == 0 { "limits" } else { "" };
        say(text, label, &format!("{}: {what}", rule.name));
    }
    if said.is_empty() {
        say(text, "limits", "none of the rules concerns it");
    }
}

/// The route, its budget, and whom it asks in which order.
pub(super) fn partners(
    text: &mut String,
    config: &Config,
    facts: &Authorization,
    (explained, done): (&Explained<'_>, &Done),
) {
    let chosen = match &explained.decided {
        Ok(chosen) => chosen,
        Err(declined) => {
            let code = declined.code.number();
            let why = match declined.why {
                Why::Refused(place) => {
                    format!("refused by {}", config.routes.refusal_name(place))
                }
                why => why.to_string(),
            };
            return say(text, "decision", &format!("declined with {code:02}: {why}"));
        }
    };
    let route = config.routes.route(chosen.route);
    if let Some(doubt) = chosen.doubt {
        let (other, link) = (config.routes.network_name(doubt.other), doubt.consult);
        say(text, "doubt", &format!("{other}, if {} says so", config.link_name(link)));
    }
    let mode = route.mode.name();
    say(
        text,
        "decision",
        &format!("route {}, {mode}, budget {}", route.name, written(route.budget)),
    );
    let first = facts.instrument.and_then(|instrument| route.first_for(instrument)).unwrap_or(0);
    let count = route.partners.len();
    let order = (0..count).filter_map(|turn| route.partners.get((first + turn) % count));
    for (place, link) in order.enumerate() {
        let name = config.link_name(*link);
        let role = match place {
            _ if config.routes.maintenance().contains(link) => "left, it is worked on",
            _ if done.sent.is_empty() => "not asked, for what is said below",
            0 => "asked",
            _ if done.sent.iter().any(|(asked, _)| asked == link) => "asked",
            _ => "if none before it can be asked",
        };
        say(text, if place == 0 { "partners" } else { "" }, &format!("{name}: {role}"));
    }
    let stand_in = if route.stand_in.is_some() { "by its limits" } else { "never" };
    say(text, "stand-in", stand_in);
}

/// What the switch does, and the bytes of it.
pub(super) fn done(text: &mut String, request: &Request<'_>, done: &Done) {
    let config = request.config;
    if done.unfit {
        return say(text, "done", "nothing: it is longer or shorter than any frame may be");
    }
    if let Some(Outcome::Failed(fault)) = done.decision.map(|decision| decision.outcome) {
        say(text, "fault", &told(fault));
    }
    text.push('\n');
    for (link, bytes) in &done.sent {
        let partner = config.partners.iter().find(|partner| partner.link == *link);
        let Some(partner) = partner else { continue };
        let what = format!("{}, in {}", partner.name, partner.dialect.name());
        frames(text, "sent to", &what, &partner.dialect, bytes, request.shown);
    }
    if !done.answered.is_empty() {
        let acquirer = request.acquirer;
        let what = format!("{}, in {}", acquirer.name, acquirer.dialect.name());
        frames(text, "answer to", &what, &acquirer.dialect, &done.answered, request.shown);
    }
    if done.sent.is_empty() && done.answered.is_empty() {
        say(text, "done", "nothing is sent, and nothing answered");
    }
}

/// Each frame as elements, and as bytes if card data may be seen.
fn frames(
    text: &mut String,
    label: &str,
    what: &str,
    dialect: &Dialect,
    mut bytes: &[u8],
    shown: Shown,
) {
    let mut index = Index::default();
    while let Cut::Frame { start, end, next } = frame::cut(&dialect.spec.framing, bytes) {
        say(text, label, &format!("{what}, {next} bytes with the frame"));
        let body = bytes.get(start..end).unwrap_or(&[]);
        if dialect.decode(body, &mut index).is_ok() {
            elements(text, &Message { bytes: body, index: &index, dialect }, shown);
        }
        if shown == Shown::Clear {
            let mut hex = Vec::new();
            json::write_hex(bytes.get(..next).unwrap_or(&[]), &mut hex);
            for line in hex.chunks(64) {
                text.push_str(&format!("  {}\n", String::from_utf8_lossy(line)));
            }
            text.push('\n');
        }
        bytes = bytes.get(next..).unwrap_or(&[]);
    }
}

fn told(fault: Fault) -> String {
    let what = match fault {
        Fault::Damaged(error) => error.to_string(),
        Fault::Missing(element) => format!("DE {element} must be there"),
        Fault::Forbidden(element) => format!("DE {element} must not be there"),
        Fault::Value(element) => format!("DE {element} makes no sense"),
        Fault::Contradiction(element) => format!("DE {element} contradicts the message"),
        Fault::Untranslatable(element) => {
            format!("DE {element} cannot be written in the partner's dialect")
        }
        Fault::NoStan => "there is no STAN (DE 11)".to_owned(),
        Fault::UnknownTransaction => "DE 3 names no transaction".to_owned(),
        Fault::Amount => "a purchase of nothing, or more than there was".to_owned(),
        Fault::UnknownOriginal => "it names an original that nobody knows".to_owned(),
        Fault::RefundExceeds => "more than is left of its original".to_owned(),
        Fault::Unquoted => "no quote for its currency holds now".to_owned(),
        Fault::NoPartner => "no partner of the route is asked now".to_owned(),
        other => format!("{other:?}"),
    };
    match fault.effect() {
        Effect::Reply(code) => format!("{what}: answered with {:02}", code.number()),
        Effect::Drop | Effect::Ignore => format!("{what}: nothing is said"),
        Effect::Close(_) => format!("{what}: the connection is closed"),
    }
}
