//! Floor 2: where a request goes. Facts in, a route or a decline out.
//!
//! What it is not: it sees no bytes, opens no file, knows no link state. Which partner of a route
//! is up is asked by the switch, which walks [`Route::partners`] in order. A table is built once
//! ([`build::build`]) and never changes; a reload builds another one and hands it over whole, so a
//! request sees one version.
//!
//! ```text
//! payment code or PAN -> classify -> network, home region
//! merchant (DE 42)    -> merchants -> region, networks it accepts
//! network x region    -> one cell of a dense array -> route
//! ```
//!
//! Every fallback (any region, a wallet riding on another network, any network) is resolved when
//! the table is built, so that deciding is two lookups and one array access.

pub mod build;
pub mod classify;
pub mod merchants;
mod pattern;
mod ranges;
pub mod stand_in;

use std::fmt;
use std::time::Duration;

use crate::base::authorization::Authorization;
use crate::base::codes::ResponseCode;
use crate::base::ids::{LinkId, NetworkId, Region, RouteId};
use classify::Classifier;
use merchants::{Merchant, MerchantTable, NetworkSet};

/// Where requests go: immutable, one version.
#[derive(Debug)]
pub struct RouteTable {
    /// Which edition of the configuration this is; grows with every reload.
    pub version: u64,
    networks: Vec<Network>,
    classifier: Classifier,
    /// Without one, no region is known and no acceptance is checked.
    merchants: Option<MerchantTable>,
    routes: Vec<Route>,
    /// `(networks + 1) x REGION_CELLS` places in `routes`; the last row is for no known network.
    cells: Vec<u16>,
    budgets: Vec<Duration>,
    codes: Codes,
}

/// A way to one or more partners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its name in logs and reports.
    pub name: String,
    /// Whom to ask, in order of preference.
    pub partners: Vec<LinkId>,
    /// From the request's arrival to the answer that the acquirer was promised.
    pub budget: Duration,
    /// Place of `budget` in [`RouteTable::budgets`].
    pub budget_class: u8,
    /// What may be approved while none of the partners can be asked, or answers.
    pub stand_in: Option<Box<stand_in::Policy>>,
}

/// A merchant network or wallet scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Network {
    name: String,
    home: Option<Region>,
    /// The networks of which a merchant must accept one: itself, and the one it rides on.
    accepted_as: NetworkSet,
    /// Another network whose codes look the same; the merchant tells them apart.
    twin: Option<NetworkId>,
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
}

/// A request that goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declined {
    /// DE 39 of the answer.
    pub code: ResponseCode,
    /// The reason, for people.
    pub why: Why,
}

/// Why a request goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// Neither a card number nor a payment code made of digits.
    NoInstrument,
    /// No rule knows the form of the code or card number.
    UnknownCode,
    /// No row names the merchant.
    UnknownMerchant,
    /// The merchant does not accept this network.
    NetworkNotAccepted,
    /// No route for this network in this region.
    NoRoute,
}

/// DE 39 of each reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codes {
    /// For [`Why::NoInstrument`] and [`Why::UnknownCode`].
    pub unknown_code: ResponseCode,
    /// For [`Why::UnknownMerchant`].
    pub unknown_merchant: ResponseCode,
    /// For [`Why::NetworkNotAccepted`].
    pub network_not_accepted: ResponseCode,
    /// For [`Why::NoRoute`].
    pub no_route: ResponseCode,
}

impl RouteTable {
    /// One route to `partners` for whatever decodes: no classification, no merchants.
    pub fn single(partners: Vec<LinkId>, budget: Duration) -> Self {
        let name = "default".to_owned();
        let route = Route { name, partners, budget, budget_class: 0, stand_in: None };
        Self {
            version: 1,
            networks: Vec::new(),
            classifier: Classifier::default(),
            merchants: None,
            routes: vec![route],
            cells: vec![0; REGION_CELLS],
            budgets: vec![budget],
            codes: Codes::default(),
        }
    }

    /// The route of a request, or the reason why it has none.
    ///
    /// # Errors
    ///
    /// A decline, with the response code that this table gives the reason.
    pub fn decide(&self, facts: &Authorization) -> Result<Chosen, Declined> {
        let class = facts.instrument.and_then(|instrument| self.classifier.network(instrument));
        let row = self.merchants.as_ref().map(|table| table.merchant(&facts.merchant));
        let Some(class) = class else { return self.decide_unclassified(facts, row) };
        match row {
            None => self.choose(Some(class), None),
            Some(None) => Err(self.declined(Why::UnknownMerchant)),
            Some(Some(merchant)) => match self.accepted(class, merchant) {
                Some(network) => self.choose(Some(network), Some(merchant.region)),
                None => Err(self.declined(Why::NetworkNotAccepted)),
            },
        }
    }

    /// The route behind a handle that this table gave out.
    pub fn route(&self, id: RouteId) -> &Route {
        &self.routes[usize::from(id.0)]
    }

    /// Every route, in the order of their ids.
    pub fn routes(&self) -> &[Route] {
        &self.routes
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
        let row = self.cells.chunks_exact(REGION_CELLS).nth(usize::from(id.0));
        row.is_some_and(|cells| cells.iter().any(|place| *place != NO_ROUTE))
    }

    /// The merchant rows, if the table has any.
    pub fn merchants(&self) -> Option<&MerchantTable> {
        self.merchants.as_ref()
    }

    /// The distinct budgets of all routes, shortest first.
    pub fn budgets(&self) -> &[Duration] {
        &self.budgets
    }

    /// No rule knows the code. A route for any network still takes it; without one the code is
    /// what is wrong, not the way.
    fn decide_unclassified(
        &self,
        facts: &Authorization,
        merchant: Option<Option<&Merchant>>,
    ) -> Result<Chosen, Declined> {
        let region = match merchant {
            None => None,
            Some(Some(merchant)) => Some(merchant.region),
            Some(None) => return Err(self.declined(self.why_unclassified(facts))),
        };
        self.choose(None, region).map_err(|_| self.declined(self.why_unclassified(facts)))
    }

    fn why_unclassified(&self, facts: &Authorization) -> Why {
        if facts.instrument.is_some() { Why::UnknownCode } else { Why::NoInstrument }
    }

    /// Which of the networks that the code may belong to the merchant accepts. Between twins that
    /// are both accepted, the one at home where the merchant is.
    fn accepted(&self, class: NetworkId, merchant: &Merchant) -> Option<NetworkId> {
        let network = self.networks.get(usize::from(class.0))?;
        let own = merchant.networks.intersects(network.accepted_as).then_some(class);
        let Some(twin) = network.twin else { return own };
        let other = self.networks.get(usize::from(twin.0))?;
        let at_home = other.home == Some(merchant.region);
        if merchant.networks.intersects(other.accepted_as) && (at_home || own.is_none()) {
            return Some(twin);
        }
        own
    }

    fn choose(
        &self,
        network: Option<NetworkId>,
        region: Option<Region>,
    ) -> Result<Chosen, Declined> {
        let row = network.map_or(self.networks.len(), |id| usize::from(id.0));
        match self.cells.get(row * REGION_CELLS + region_cell(region)) {
            Some(&place) if place != NO_ROUTE => {
                debug_assert!(usize::from(place) < self.routes.len());
                let known = network.and_then(|id| self.networks.get(usize::from(id.0)));
                let home = known.and_then(|network| network.home);
                Ok(Chosen { route: RouteId(place), network, region, home })
            }
            _ => Err(self.declined(Why::NoRoute)),
        }
    }

    fn declined(&self, why: Why) -> Declined {
        let code = match why {
            Why::NoInstrument | Why::UnknownCode => self.codes.unknown_code,
            Why::UnknownMerchant => self.codes.unknown_merchant,
            Why::NetworkNotAccepted => self.codes.network_not_accepted,
            Why::NoRoute => self.codes.no_route,
        };
        Declined { code, why }
    }
}

impl Default for Codes {
    fn default() -> Self {
        Self {
            unknown_code: ResponseCode::INVALID_CARD,
            unknown_merchant: INVALID_MERCHANT,
            network_not_accepted: ResponseCode::NOT_PERMITTED_TERMINAL,
            no_route: ResponseCode::NO_ROUTE,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoInstrument => "no card number and no payment code",
            Self::UnknownCode => "payment code or card number of no known form",
            Self::UnknownMerchant => "unknown merchant",
            Self::NetworkNotAccepted => "merchant does not accept this network",
            Self::NoRoute => "no route for this network in this region",
        })
    }
}

/// The column of a region: AA is 0, ZZ is 675, no region is the last.
fn region_cell(region: Option<Region>) -> usize {
    match region {
        Some(Region([first @ b'A'..=b'Z', second @ b'A'..=b'Z'])) => {
            usize::from(first - b'A') * 26 + usize::from(second - b'A')
        }
        _ => REGION_CELLS - 1,
    }
}

/// Columns of a network's row: every pair of letters, and none. A row is 1.3 KiB, of which a
/// running switch touches the few regions it has merchants in.
const REGION_CELLS: usize = 26 * 26 + 1;

/// An empty cell.
const NO_ROUTE: u16 = u16::MAX;

/// ISO 8583:1987 DE 39 = 03, invalid merchant.
const INVALID_MERCHANT: ResponseCode = match ResponseCode::from_number(3) {
    Some(code) => code,
    None => ResponseCode::NO_ROUTE,
};

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
