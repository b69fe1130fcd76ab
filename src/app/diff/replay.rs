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
use crate::base::time::Wall;
use crate::iso8583::decode::Index;
use crate::routing::Why;
use crate::switch::record::Intent;
use crate::switch::sound;

/// What became of recorded requests under two versions.
#[derive(Debug, Default)]
pub struct Replay {
    decided: u64,
    unread: u64,
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
        let facts = message.as_ref().map(sound::facts);
        // What pays may have come in a place that is not kept.
        let Some(facts) = facts.filter(|facts| facts.instrument.is_some()) else {
            self.unread += 1;
            return;
        };
        let wall = Wall::from_unix_s(intent.at_s);
        self.decided += 1;
        let (before, after) = (became(old, &facts, wall), became(new, &facts, wall));
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
fn became(config: &Config, facts: &Authorization, wall: Wall) -> String {
    match config.routes.decide_at(facts, wall) {
        Ok(chosen) => {
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
