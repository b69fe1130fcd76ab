//! What a decision was made of: for people, after the fact.
//!
//! It decides nothing. The look-ups and the conditions are those of [`RouteTable::decide_at`],
//! asked again one by one, and what was decided is what that says.

use super::condition::Unmet;
use super::merchants::{Merchant, RowName};
use super::{Chosen, Declined, Question, RouteTable};
use crate::base::authorization::Authorization;
use crate::base::ids::{LinkId, NetworkId, Region};
use crate::base::time::Wall;

/// A decision with what it was made of.
#[derive(Debug)]
pub struct Explained<'a> {
    /// Whose code or card it is by its form.
    pub class: Option<NetworkId>,
    /// Another network with codes of the same form, and who could tell.
    pub twin: Option<(NetworkId, Option<LinkId>)>,
    /// The merchant's row. `None` if there is none, and where merchants are not checked.
    pub row: Option<(RowName, &'a Merchant)>,
    /// Whose it is after the merchant has been asked; `None` also if the merchant takes it not.
    pub network: Option<NetworkId>,
    /// Where that wallet is at home.
    pub home: Option<Region>,
    /// Rules about this network and area, in their order, by [`RouteTable::refusals`].
    pub refusals: Vec<Considered>,
    /// Routes for this network and area, in the order in which they are asked, by
    /// [`RouteTable::routes`].
    pub routes: Vec<Considered>,
    /// What was decided.
    pub decided: Result<Chosen, Declined>,
}

/// A rule or route that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Considered {
    /// Its place.
    pub place: u16,
    /// What of its condition does not hold; `None` if all does.
    pub unmet: Option<Unmet>,
}

impl RouteTable {
    /// Decides, and says what the decision was made of.
    pub fn explain(&self, facts: &Authorization, wall: Wall) -> Explained<'_> {
        let decided = self.decide_at(facts, wall);
        let class = facts.instrument.and_then(|instrument| self.classifier.network(instrument));
        let twin = class.and_then(|class| self.networks.get(usize::from(class.0))?.twin);
        let sought = self.merchants.as_ref().map(|table| (table, table.seek(&facts.merchant)));
        let kind = sought.and_then(|(table, sought)| table.kind(sought, facts));
        let network = match (class, kind) {
            (Some(class), Some(kind)) => self.accepted(class, &kind.merchant).map(|(id, _)| id),
            (class, _) => class,
        };
        let mut explained = Explained {
            class,
            twin: twin.map(|twin| (twin.network, twin.consult)),
            row: self.merchants.as_ref().and_then(|table| table.named(facts)),
            network,
            home: self.home(network),
            refusals: Vec::new(),
            routes: Vec::new(),
            decided,
        };
        let is_unknown = self.merchants.is_some() && kind.is_none();
        let is_refused = class.is_some() && network.is_none();
        let asked = Question { facts, wall, row: kind };
        let Some(cell) = self.cell(&asked, network).filter(|_| !is_unknown && !is_refused) else {
            return explained;
        };
        let case = self.case(&asked, network);
        let (refusals, routes) = self.cells.listed(cell);
        let considered = |place: &u16, unmet: Option<Unmet>| Considered { place: *place, unmet };
        explained.refusals.extend(refusals.iter().filter_map(|place| {
            let refusal = self.refusals.get(usize::from(*place))?;
            Some(considered(place, refusal.condition.unmet(&case)))
        }));
        explained.routes.extend(routes.iter().filter_map(|place| {
            let condition = self.routes.get(usize::from(*place))?.condition.as_deref();
            Some(considered(place, condition.and_then(|condition| condition.unmet(&case))))
        }));
        explained
    }
}
