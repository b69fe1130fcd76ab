//! What limits had counted when the switch ended, counted again from its journal.
//!
//! Each request that a partner was asked counts, whatever was said to it: a decline or a reversal
//! that would give it back may be on record, but nobody waits for that here. So after a restart a
//! limit is at what it was or nearer, never farther. What paid is on record if it stands in DE 2; a
//! code that came elsewhere is not, and limits that count by it begin at zero.

use std::sync::Arc;
use std::time::Duration;

use super::export::kept;
use crate::base::authorization::Authorization;
use crate::base::time::{Instant, Now, Wall};
use crate::iso8583::decode::Index;
use crate::risk::Rules;
use crate::routing::RouteTable;
use crate::switch::record::Intent;
use crate::switch::{LinkSetup, risk, sound};

/// Counts requests on record.
#[derive(Debug)]
pub struct Recount {
    rules: Arc<Rules>,
    routes: Arc<RouteTable>,
    links: Vec<LinkSetup>,
    index: Box<Index>,
    scratch: Vec<u8>,
    counted: u64,
}

impl Recount {
    /// For these rules; requests go by these routes and came from these links.
    pub fn new(rules: &Arc<Rules>, routes: &Arc<RouteTable>, links: &[LinkSetup]) -> Self {
        Self {
            rules: Arc::clone(rules),
            routes: Arc::clone(routes),
            links: links.to_vec(),
            index: Box::default(),
            scratch: Vec::new(),
            counted: 0,
        }
    }

    /// Counts one, if it has a way to go.
    pub fn add(&mut self, intent: &Intent<'_>, now: Wall) {
        let ago = Duration::from_secs(now.unix_s().saturating_sub(intent.at_s));
        let Some(link) = self.links.get(usize::from(intent.acquirer.0)) else { return };
        let parts = [intent.head, intent.pan, intent.tail];
        let message = kept(&link.dialect, parts, &mut self.index, &mut self.scratch);
        let Some(message) = message else { return };
        let facts = Authorization { link: Some(intent.acquirer), ..sound::facts(&message) };
        let then = Now { instant: Instant::default(), wall: Wall::from_unix_s(intent.at_s) };
        let Ok(chosen) = self.routes.decide_at(&facts, then.wall) else { return };
        let asked = risk::asked(&self.rules, &message, &facts, (&chosen, then));
        self.rules.count_again(&asked, ago);
        self.counted += 1;
    }

    /// What was done, for the operator.
    pub fn report(&self) -> String {
        format!("limits       {} requests on record counted again", self.counted)
    }
}
