//! Floor 2: where a request goes. Facts in, a route or a decline out.
//!
//! What it is not: it sees no bytes, opens no file, knows no link state. Which partner of a route
//! is up is asked by the switch, which walks [`Route::partners`] in order. A table is built once
//! ([`build::build`]) and never changes; a reload builds another one and hands it over whole, so a
//! request sees one version. Places ([`RouteId`], [`NetworkId`]) are those of one table; what is
//! kept for longer than a call is a route's number, which follows its name through all versions
//! ([`RouteTable::follow`]).
//!
//! ```text
//! payment code or PAN -> classify -> network, home region
//! merchant (DE 42)    -> merchants -> region, networks it accepts
//! network x area      -> one cell of a dense array -> route, or a few to choose from
//! ```
//!
//! Every fallback (a part of a region, any region, a wallet riding on another network, any network)
//! is resolved when the table is built, so that deciding is two lookups and one array access. What
//! cannot be resolved (corridor, category, group, kind, time) is asked where a cell says so.

pub mod build;
mod cells;
pub mod classify;
pub mod condition;
mod declined;
pub mod explain;
pub mod merchants;
mod pattern;
pub mod quote;
mod ranges;
pub mod route;
mod rows;
pub mod stand_in;

use std::time::Duration;

use crate::base::authorization::{Authorization, Kind};
use crate::base::codes::ResponseCode;
use crate::base::ids::{LinkId, NetworkId, Region, RouteId, RouteNumber};
use crate::base::map::Map;
use crate::base::time::Wall;
use build::TwinDefault;
use cells::{Cell, Cells};
use classify::Classifier;
use condition::{Case, Refusal};
pub use declined::{Codes, Declined, Why};
use merchants::{Groups, Kind as MerchantKind, Merchant, MerchantTable, NetworkSet};
use quote::Quotes;
pub use route::Route;

/// Where requests go: immutable, one version. The default knows nothing and lets nothing go.
#[derive(Debug, Default)]
pub struct RouteTable {
    /// Which edition of the configuration this is; grows with every reload.
    pub version: u64,
    networks: Vec<Network>,
    classifier: Classifier,
    /// Without one, no region is known and no acceptance is checked.
    merchants: Option<MerchantTable>,
    routes: Vec<Route>,
    /// Numbers that were given to routes so far, in this table and those before it.
    numbered: u32,
    refusals: Vec<Refusal>,
    maintenance: Vec<LinkId>,
    cells: Cells,
    budgets: Vec<Duration>,
    codes: Codes,
    completion_percent: CompletionPercent,
    quotes: Quotes,
}

/// How much completions of one hold may take together, in percent of what was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletionPercent(pub u16);

impl Default for CompletionPercent {
    /// A hotel's bill may be higher than what was held when the guest came.
    fn default() -> Self {
        Self(115)
    }
}

/// A merchant network or wallet scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Network {
    name: String,
    home: Option<Region>,
    /// The networks of which a merchant must accept one: itself, and the one it rides on.
    accepted_as: NetworkSet,
    twin: Option<Twin>,
}

/// Another network whose codes look the same; the merchant tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Twin {
    network: NetworkId,
    default: TwinDefault,
    consult: Option<LinkId>,
    consult_within: Duration,
}

/// What was decided for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// The way it goes.
    pub route: RouteId,
    /// Whose code or card it is, if a rule knows it.
    pub network: Option<NetworkId>,
    /// Where the merchant is.
    pub region: Option<Region>,
    /// Where the wallet is at home.
    pub home: Option<Region>,
    /// Merchant category of the merchant's row, 0 if it gives none.
    pub mcc: u16,
    /// Set if the code may as well belong to another network that the merchant accepts.
    pub doubt: Option<Doubt>,
}

/// Two networks have such codes, the merchant accepts both, and somebody knows whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// The network that was not chosen.
    pub other: NetworkId,
    /// The network whose codes it knows: chosen or not.
    pub own: NetworkId,
    /// Who knows. Without an answer the choice stands.
    pub consult: LinkId,
}

impl RouteTable {
    /// One route to `partners` for whatever decodes: no classification, no merchants.
    pub fn single(partners: Vec<LinkId>, budget: Duration) -> Self {
        let name = "default".to_owned();
        let route = Route {
            name,
            number: RouteNumber::default(),
            partners,
            turns: Vec::new(),
            by_load: false,
            budget,
            budget_class: 0,
            stand_in: None,
            condition: None,
            capabilities: Default::default(),
            mode: Default::default(),
            converts: None,
        };
        Self::of_route(route)
    }

    /// This route for whatever decodes.
    pub fn of_route(route: Route) -> Self {
        let budget = route.budget;
        Self {
            version: 1,
            networks: Vec::new(),
            classifier: Classifier::default(),
            merchants: None,
            routes: vec![route],
            numbered: 1,
            refusals: Vec::new(),
            maintenance: Vec::new(),
            cells: Cells::single(),
            budgets: vec![budget],
            codes: Codes { unknown_original: None, ..Codes::default() },
            completion_percent: CompletionPercent::default(),
            quotes: Quotes::default(),
        }
    }

    /// Makes this the version behind `former`: routes of the same name keep their numbers, others
    /// get numbers that no route had before. To be called before the table is handed over.
    pub fn follow(&mut self, former: &Self) {
        self.version = former.version + 1;
        self.numbered = former.numbered;
        let known: Map<&str, RouteNumber> =
            former.routes.iter().map(|route| (&*route.name, route.number)).collect();
        for route in &mut self.routes {
            route.number = known.get(&*route.name).copied().unwrap_or_else(|| {
                self.numbered += 1;
                RouteNumber(self.numbered - 1)
            });
        }
    }

    /// [`Self::decide_at`] the beginning of 1970: for tables in which no time matters.
    ///
    /// # Errors
    ///
    /// A decline, with the response code that this table gives the reason.
    pub fn decide(&self, facts: &Authorization) -> Result<Chosen, Declined> {
        self.decide_at(facts, Wall::default())
    }

    /// True if some merchant is another one at another acquirer: then DE 32 is to be read.
    #[inline]
    pub fn asks_who_acquires(&self) -> bool {
        self.merchants.as_ref().is_some_and(MerchantTable::names_acquirers)
    }

    /// The route of a request that came at `wall`, or the reason why it has none.
    ///
    /// # Errors
    ///
    /// A decline, with the response code that this table gives the reason.
    pub fn decide_at(&self, facts: &Authorization, wall: Wall) -> Result<Chosen, Declined> {
        let sought = self.merchants.as_ref().map(|table| (table, table.seek(&facts.merchant)));
        let class = facts.instrument.and_then(|instrument| self.classifier.network(instrument));
        let row = sought.map(|(table, sought)| table.kind(sought, facts));
        let asked = Question { facts, wall, row: row.flatten() };
        let Some(class) = class else {
            if row.is_some_and(|row| row.is_none()) {
                return Err(self.declined(why_unclassified(facts)));
            }
            return self.choose(&asked, None).map_err(|declined| match declined.why {
                // A route for any network would take it; without one the code is what is wrong, not
                // the way.
                Why::NoRoute => self.declined(why_unclassified(facts)),
                _ => declined,
            });
        };
        match row {
            None => self.choose(&asked, Some((class, None))),
            Some(None) => Err(self.declined(Why::UnknownMerchant)),
            Some(Some(kind)) => match self.accepted(class, &kind.merchant) {
                Some(network) => self.choose(&asked, Some(network)),
                None => Err(self.declined(Why::NetworkNotAccepted)),
            },
        }
    }

    /// The same for a code whose network has been told: the answer to a [`Doubt`].
    ///
    /// # Errors
    ///
    /// As before; also if the merchant does not accept that network.
    pub fn decide_as(
        &self,
        facts: &Authorization,
        wall: Wall,
        network: NetworkId,
    ) -> Result<Chosen, Declined> {
        let sought = self.merchants.as_ref().map(|table| (table, table.seek(&facts.merchant)));
        let row = sought.map(|(table, sought)| table.kind(sought, facts));
        let known = self.networks.get(usize::from(network.0));
        match row {
            Some(None) => return Err(self.declined(Why::UnknownMerchant)),
            Some(Some(kind)) if !known.is_some_and(|known| known.is_accepted(&kind.merchant)) => {
                return Err(self.declined(Why::NetworkNotAccepted));
            }
            _ => {}
        }
        self.choose(&Question { facts, wall, row: row.flatten() }, Some((network, None)))
    }

    /// How long it may take to hear whether a code is of the network `own` of a [`Doubt`].
    pub fn time_to_consult(&self, own: NetworkId) -> Duration {
        let twins = self.networks.iter().filter_map(|network| network.twin);
        let of_own = twins.filter(|twin| twin.network == own);
        of_own.map(|twin| twin.consult_within).max().unwrap_or_default()
    }

    /// The route behind a handle that this table gave out.
    pub fn route(&self, id: RouteId) -> &Route {
        &self.routes[usize::from(id.0)]
    }

    /// The route of this number, if this version has it. It is searched for: not for every message.
    pub fn numbered(&self, number: RouteNumber) -> Option<&Route> {
        self.routes.iter().find(|route| route.number == number)
    }

    /// Every route, in the order of their ids.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Partners that are asked nothing new, whatever routes name them.
    pub fn maintenance(&self) -> &[LinkId] {
        &self.maintenance
    }

    /// The name of a network of this table.
    pub fn network_name(&self, id: NetworkId) -> &str {
        self.networks.get(usize::from(id.0)).map_or("unknown", |network| &network.name)
    }

    /// How many networks the table knows.
    pub fn networks_len(&self) -> usize {
        self.networks.len()
    }

    /// True if requests of the network have a route in some region.
    pub fn serves(&self, id: NetworkId) -> bool {
        self.cells.serves(usize::from(id.0))
    }

    /// Every rule that refuses, in the order of their places.
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// The name of the rule behind [`Why::Refused`].
    pub fn refusal_name(&self, place: u16) -> &str {
        self.refusals.get(usize::from(place)).map_or("unknown", |refusal| &refusal.name)
    }

    /// Begins to bring the row of a merchant near; whoever knows DE 42 some time before the rest of
    /// a request saves most of what a look-up takes.
    pub fn prefetch(&self, merchant: &[u8; 15]) {
        if let Some(table) = &self.merchants {
            table.seek(merchant);
        }
    }

    /// The merchant rows, if the table has any.
    pub fn merchants(&self) -> Option<&MerchantTable> {
        self.merchants.as_ref()
    }

    /// The distinct budgets of all routes, shortest first.
    pub fn budgets(&self) -> &[Duration] {
        &self.budgets
    }

    /// Which of the networks that the code may belong to the merchant accepts.
    fn accepted(
        &self,
        class: NetworkId,
        merchant: &Merchant,
    ) -> Option<(NetworkId, Option<Doubt>)> {
        let network = self.networks.get(usize::from(class.0))?;
        let own = network.is_accepted(merchant).then_some((class, None));
        let Some(twin) = network.twin else { return own };
        let other = self.networks.get(usize::from(twin.network.0))?;
        match (own, other.is_accepted(merchant)) {
            (own, false) => own,
            (None, true) => Some((twin.network, None)),
            (Some(_), true) => {
                let is_twin = match twin.default {
                    TwinDefault::AtHome => other.home == Some(merchant.area.region),
                    TwinDefault::Own => true,
                    TwinDefault::Other => false,
                };
                let (network, other) =
                    if is_twin { (twin.network, class) } else { (class, twin.network) };
                let own = twin.network;
                Some((network, twin.consult.map(|consult| Doubt { other, own, consult })))
            }
        }
    }

    /// The route of a network at the merchant; no network is one that no rule knows.
    fn choose(
        &self,
        asked: &Question<'_>,
        network: Option<(NetworkId, Option<Doubt>)>,
    ) -> Result<Chosen, Declined> {
        let (network, doubt) = network.map_or((None, None), |(id, doubt)| (Some(id), doubt));
        let cell = self.cell(asked, network).ok_or_else(|| self.declined(Why::NoRoute))?;
        // Most cells have one route and no condition: nothing is put together for them.
        let case = || self.case(asked, network);
        if let Some(place) = self.cells.refusal(cell, &self.refusals, case) {
            return Err(self.declined(Why::Refused(place)));
        }
        let place = self.cells.route(cell, &self.routes, case);
        let route = place.and_then(|place| self.routes.get(usize::from(place)));
        let (Some(place), Some(route)) = (place, route) else {
            return Err(self.declined(Why::NoRoute));
        };
        if asked.facts.kind == Kind::Void && !route.capabilities.void {
            return Err(self.declined(Why::NotServed));
        }
        let merchant = asked.row.map(|kind| &kind.merchant);
        let region = merchant.map(|merchant| merchant.area.region);
        let home = self.home(network);
        let mcc = merchant.map_or(0, |merchant| merchant.mcc);
        Ok(Chosen { route: RouteId(place), network, region, home, mcc, doubt })
    }

    /// What holds for a network at the merchant.
    #[inline]
    fn cell(&self, asked: &Question<'_>, network: Option<NetworkId>) -> Option<Cell> {
        let row = network.map_or(self.networks.len(), |id| usize::from(id.0));
        let column = asked.row.map_or_else(|| self.cells.column(None), |kind| kind.column);
        self.cells.cell(row, column)
    }

    /// What conditions ask about.
    #[inline]
    fn case(&self, asked: &Question<'_>, network: Option<NetworkId>) -> Case {
        let merchant = asked.row.map(|kind| &kind.merchant);
        Case {
            home: self.home(network),
            mccs: [asked.facts.mcc, merchant.map_or(0, |merchant| merchant.mcc)],
            groups: merchant.map_or(Groups::default(), |merchant| merchant.groups),
            kind: asked.facts.kind,
            wall: asked.wall,
            link: asked.facts.link,
        }
    }

    #[inline]
    fn home(&self, network: Option<NetworkId>) -> Option<Region> {
        self.networks.get(usize::from(network?.0))?.home
    }

    /// What a void or refund is told that names an original which nobody knows, in DE 90; `None`
    /// if it goes by its route all the same.
    pub fn unknown_original(&self) -> Option<Declined> {
        self.codes.unknown_original.map(|_| self.declined(Why::UnknownOriginal))
    }

    /// What amounts are in other currencies.
    pub const fn quotes(&self) -> &Quotes {
        &self.quotes
    }

    /// How much completions of one hold may take together, in percent of what was held.
    pub const fn completion_percent(&self) -> u16 {
        self.completion_percent.0
    }

    fn declined(&self, why: Why) -> Declined {
        let code = match why {
            Why::NoInstrument | Why::UnknownCode => self.codes.unknown_code,
            Why::UnknownMerchant => self.codes.unknown_merchant,
            Why::NetworkNotAccepted => self.codes.network_not_accepted,
            Why::NoRoute => self.codes.no_route,
            Why::NotServed => self.codes.not_served,
            Why::UnknownOriginal => self.codes.unknown_original.unwrap_or(ResponseCode::NOT_FOUND),
            Why::Refused(place) => {
                let refusal = self.refusals.get(usize::from(place));
                refusal.map_or(self.codes.no_route, |refusal| refusal.code)
            }
        };
        Declined { code, why }
    }
}

/// A request, and what is known of its merchant.
#[derive(Clone, Copy)]
struct Question<'a> {
    facts: &'a Authorization,
    wall: Wall,
    row: Option<&'a MerchantKind>,
}

impl Network {
    fn is_accepted(&self, merchant: &Merchant) -> bool {
        merchant.networks.intersects(self.accepted_as)
    }
}

fn why_unclassified(facts: &Authorization) -> Why {
    if facts.instrument.is_some() { Why::UnknownCode } else { Why::NoInstrument }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
