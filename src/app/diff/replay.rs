//! How recorded requests would have gone: each is decided under both versions, at the moment at
//! which it came.
//!
//! A journal has a request as it came, less what may not be kept, if a partner was asked. What was
//! declined at once is not there to be decided again. What names another transaction (a void, a
//! refund) goes to whoever has that one, whatever routes say; here it is decided by itself.

use std::collections::BTreeMap;
use std::fmt;

use crate::app::config::Config;
use crate::app::export::kept;
use crate::base::authorization::Authorization;
use crate::base::time::{Instant, Now, Wall};
use crate::iso8583::decode::Index;
use crate::iso8583::message::Message;
use crate::risk::{Taken, Tally, Verdict};
use crate::routing::{Chosen, Why};
use crate::switch::record::Intent;
use crate::switch::{risk, sound};

/// What became of recorded requests under two versions.
#[derive(Debug, Default)]
pub struct Replay {
    decided: u64,
    unread: u64,
    /// When the first of them came, in unix seconds.
    began_s: Option<u64>,
    /// What they became under each version, where that differs, and how many did.
    changed: BTreeMap<(String, String), u64>,
    index: Box<Index>,
    scratch: Vec<u8>,
}

impl Replay {
    /// Decides a request under both versions.
    pub fn add(&mut self, intent: &Intent<'_>, old: &Config, new: &Config) {
        let link = old.acquirers.iter().find(|acquirer| acquirer.link == intent.acquirer);
        let parts = [intent.head, intent.pan, intent.tail];
        let message =
            link.and_then(|link| kept(&link.dialect, parts, &mut self.index, &mut self.scratch));
        // What pays may have come in a place that is not kept.
        let asked_by = |facts| Authorization { link: Some(intent.acquirer), ..facts };
        let read = message.map(|message| (asked_by(sound::facts(&message)), message));
        let Some((facts, message)) = read.filter(|(facts, _)| facts.instrument.is_some()) else {
            self.unread += 1;
            return;
        };
        // Rules count on the time of the records, which begins with the first: since 1970 is more
        // milliseconds than a limit has room for.
        let wall = Wall::from_unix_s(intent.at_s);
        let began_s = *self.began_s.get_or_insert(intent.at_s);
        let seconds = intent.at_s.saturating_sub(began_s);
        let instant = Instant::from_ns(seconds.saturating_mul(1_000_000_000));
        let now = Now { instant, wall };
        self.decided += 1;
        let (before, after) =
            (became(old, &message, &facts, now), became(new, &message, &facts, now));
        if before != after {
            *self.changed.entry((before, after)).or_default() += 1;
        }
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { decided, unread, changed, .. } = self;
        let moved: u64 = changed.values().sum();
        writeln!(f, "recorded requests {decided}, of which {moved} would have gone another way")?;
        if *unread > 0 {
            writeln!(f, "not decided {unread}: what is on record does not say what paid")?;
        }
        let mut rows: Vec<_> = changed.iter().collect();
        rows.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let width = rows.iter().map(|((before, _), _)| before.chars().count()).max().unwrap_or(0);
        for ((before, after), count) in rows {
            writeln!(f, "{count:>10}  {before:<width$}  ->  {after}")?;
        }
        Ok(())
    }
}

/// In words that compare: the network, the route and whom it asks first, or the reason it has none.
fn became(config: &Config, message: &Message<'_>, facts: &Authorization, now: Now) -> String {
    match config.routes.decide_at(facts, now.wall) {
        Ok(chosen) => {
            if let Some(said) = unwanted(config, message, facts, (&chosen, now)) {
                return said;
            }
            let route = config.routes.route(chosen.route);
            let partners = route.partners.iter().map(|link| config.link_name(*link));
            let partners = partners.collect::<Vec<_>>().join(", ");
            let network = chosen.network.map_or("any", |id| config.routes.network_name(id));
            format!("{network} by {}: {partners}", route.name)
        }
        Err(declined) => {
            let code = declined.code.number();
            match declined.why {
                Why::Refused(place) => {
                    format!("{code:02}: refused by {}", config.routes.refusal_name(place))
                }
                why => format!("{code:02}: {why}"),
            }
        }
    }
}

/// What a rule says to the request, if one declines it. Each version has counted what it let pass.
fn unwanted(
    config: &Config,
    message: &Message<'_>,
    facts: &Authorization,
    way: (&Chosen, Now),
) -> Option<String> {
    let rules = config.rules.as_ref()?;
    let asked = risk::asked(rules, message, facts, way);
    let Verdict::Declined { rule, code } =
        rules.decide(&asked, &mut Taken::default(), &mut Tally::default())
    else {
        return None;
    };
    let name = rules.name(rule);
    Some(format!("{:02}: not wanted by {name}", code.number()))
}
