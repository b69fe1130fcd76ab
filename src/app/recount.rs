//! What limits had counted when the switch ended, counted again from its journal.
//!
//! Each request that a partner was asked counts, and what came to nothing is given back, as the
//! switch does it: a decline, a reversal, a void. What was in doubt at the end stays counted,
//! though it is taken back then, and so does whatever happened longer ago than a worker remembers
//! what a request was counted in. So after a restart a limit is at what it was or nearer, never
//! farther. What paid is on record if it stands in DE 2; a code that came elsewhere is not, and
//! limits that count by it begin at zero. So do attempts that a rule declined.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::export::kept;
use crate::base::authorization::{Authorization, Kind};
use crate::base::map::Map;
use crate::base::time::{Instant, Now, Wall};
use crate::iso8583::decode::Index;
use crate::risk::list::Listed;
use crate::risk::{Asked, Back, Rules, Taken};
use crate::routing::RouteTable;
use crate::switch::number::{self, Role};
use crate::switch::record::{Intent, Record, Side, Weight};
use crate::switch::{LinkSetup, risk, sound};

/// Counts requests on record.
#[derive(Debug)]
pub struct Recount {
    rules: Arc<Rules>,
    routes: Arc<RouteTable>,
    links: Vec<LinkSetup>,
    index: Box<Index>,
    scratch: Vec<u8>,
    /// By transaction, the last ones: what it was counted in.
    held: Map<u64, Held>,
    order: VecDeque<u64>,
    counted: u64,
    given_back: u64,
    /// What was asked before is in a snapshot.
    since: Wall,
    sought: Option<Sought>,
}

/// A request that was counted.
#[derive(Debug)]
struct Held {
    taken: Taken,
    /// The same as a completion, if it may be one.
    completion: Option<Box<Taken>>,
    kind: Kind,
    /// What it undoes once it is approved.
    voids: Option<u64>,
}

/// Somebody of whom it is to be said what is counted.
#[derive(Debug)]
struct Sought {
    who: Listed,
    /// Under which rules and keys it counted.
    keys: BTreeSet<(u16, u64)>,
    requests: u64,
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
            held: Map::default(),
            order: VecDeque::new(),
            counted: 0,
            given_back: 0,
            since: Wall::default(),
            sought: None,
        }
    }

    /// Also notes where this card, merchant or terminal counts.
    #[must_use]
    pub fn seeking(self, who: Listed) -> Self {
        Self { sought: Some(Sought { who, keys: BTreeSet::new(), requests: 0 }), ..self }
    }

    /// What was asked before this has been counted.
    #[must_use]
    pub fn since(self, since: Wall) -> Self {
        Self { since, ..self }
    }

    /// Takes what is on record into account, at this time.
    pub fn add(&mut self, record: &Record<'_>, now: Wall) {
        match *record {
            Record::Intent(intent) => self.asked(&intent, now),
            Record::Outcome(outcome) if outcome.approved => {
                let voided = self.held.get(&outcome.id).and_then(|held| held.voids);
                voided.into_iter().for_each(|sale| self.give_back(sale, Back::Undone));
            }
            Record::Outcome(outcome) => self.give_back(outcome.id, Back::Declined),
            Record::TakenBack(id) => self.give_back(id, Back::Undone),
            Record::Owed(owed) if number::role_of(owed.id) == Role::Reversal => {
                self.give_back(number::transaction_of(owed.id), Back::Undone);
            }
            Record::Weight(Weight { id, of, side: Side::Back, .. }) => {
                if let Some(held) = self.held.get_mut(&id).filter(|held| held.kind == Kind::Void) {
                    held.voids = Some(of);
                }
            }
            Record::Weight(Weight { id, side: Side::Taken, .. }) => self.was_no_sale(id),
            _ => {}
        }
    }

    /// What was done, for the operator.
    pub fn report(&self) -> String {
        let Self { counted, given_back, .. } = self;
        format!("limits       {counted} requests on record counted again, {given_back} given back")
    }

    /// How many requests of whoever is sought are on record, and for each rule that counts them:
    /// its place, what it has counted under a key now, and its limit.
    pub fn found(&self) -> (u64, Vec<(u16, u64, u64)>) {
        let Some(Sought { keys, requests, .. }) = &self.sought else { return (0, Vec::new()) };
        let counted = |(rule, key): &(u16, u64)| {
            let (total, limit) = self.rules.counted_under(*rule, *key, Instant::default())?;
            Some((*rule, total, limit))
        };
        (*requests, keys.iter().filter_map(counted).collect())
    }

    /// Counts a request, if it has a way to go.
    fn asked(&mut self, intent: &Intent<'_>, now: Wall) {
        // What matters longer than its segment is there twice.
        if self.held.contains_key(&intent.id) {
            return;
        }
        let is_known = intent.at_s < self.since.unix_s();
        if is_known && self.sought.is_none() {
            return;
        }
        // Records know seconds: rather too short ago than too long.
        let ago = Duration::from_secs(now.unix_s().saturating_sub(intent.at_s).saturating_sub(1));
        let Some(link) = self.links.get(usize::from(intent.acquirer.0)) else { return };
        let parts = [intent.head, intent.pan, intent.tail];
        let message = kept(&link.dialect, parts, &mut self.index, &mut self.scratch);
        // Who only tells of what has happened is not asked whether it is wanted.
        let Some(message) = message.filter(|message| message.mti().function() != ADVICE) else {
            return;
        };
        let facts = Authorization { link: Some(intent.acquirer), ..sound::facts(&message) };
        let then = Now { instant: Instant::default(), wall: Wall::from_unix_s(intent.at_s) };
        let Ok(chosen) = self.routes.decide_at(&facts, then.wall) else { return };
        let asked = risk::asked(&self.rules, &message, &facts, (&chosen, then));
        if self.rules.is_exempt(&asked) {
            return;
        }
        if let Some(sought) = self.sought.as_mut().filter(|sought| asked.is_by(&sought.who)) {
            sought.requests += 1;
            sought.keys.extend(self.rules.keys(&asked));
        }
        if is_known {
            return;
        }
        // What may complete another counts as both, until it is on record that it does.
        let is_open = facts.kind == Kind::Completion || message.has(ORIGINAL_DATA);
        let (taken, completion) = if is_open {
            let kinds = |kind| as_if(kind, asked.kinds);
            let (sale, completion) = (kinds(Kind::Purchase), kinds(Kind::Completion));
            let sale = self.count(&Asked { kinds: sale, ..asked }, ago);
            let completion = self.count(&Asked { kinds: completion, ..asked }, ago);
            (sale, Some(Box::new(completion)))
        } else {
            (self.count(&asked, ago), None)
        };
        let held = Held { taken, completion, kind: facts.kind, voids: None };
        self.counted += 1;
        self.held.insert(intent.id, held);
        self.order.push_back(intent.id);
        if self.order.len() > HELD_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.held.remove(&oldest);
        }
    }

    fn count(&self, asked: &Asked<'_>, ago: Duration) -> Taken {
        let mut taken = Taken::default();
        self.rules.count_again(asked, ago, &mut taken);
        taken
    }

    fn give_back(&mut self, id: u64, why: Back) {
        let Some(held) = self.held.get_mut(&id) else { return };
        let mut is_back = self.rules.give_back(&mut held.taken, why);
        if let Some(completion) = &mut held.completion {
            is_back |= self.rules.give_back(completion, why);
        }
        self.given_back += u64::from(is_back);
    }

    /// It took what another held: only completions count it.
    fn was_no_sale(&mut self, id: u64) {
        if let Some(held) = self.held.get_mut(&id) {
            self.rules.give_back(&mut held.taken, Back::Undone);
        }
    }
}

/// Sales and completions are this.
fn as_if(kind: Kind, kinds: [Kind; 2]) -> [Kind; 2] {
    kinds.map(|said| match said {
        Kind::Completion | Kind::Purchase => kind,
        _ => said,
    })
}

/// DE 90: what it takes back, undoes or completes.
const ORIGINAL_DATA: u8 = 90;

/// Third digit of the MTI: it has happened.
const ADVICE: u8 = 2;

/// Requests whose count can be given back, of all workers: some 60 MB while a journal is read.
const HELD_MAX: usize = 1 << 18;
