//! What became of each request, for those who watch: the demonstration, a sampled tap.
//!
//! Off by default; when off it costs one branch. It carries no account data.

use std::time::Duration;

use crate::base::ids::{LinkId, NetworkId, Region, RouteNumber};
use crate::iso8583::message::Message;
use crate::iso8583::mti::Mti;
use crate::routing::Chosen;

use super::fault::Fault;

/// One request and what became of it.
#[derive(Debug, Clone, Copy)]
pub struct Decision {
    /// The acquirer.
    pub acquirer: LinkId,
    /// The MTI, if one could be read.
    pub mti: Mti,
    /// The acquirer's STAN.
    pub stan: u64,
    /// The network its code or PAN belongs to, by its place in the version of the routes that was
    /// in force.
    pub network: Option<NetworkId>,
    /// Where the merchant is.
    pub region: Option<Region>,
    /// The way it took.
    pub route: Option<RouteNumber>,
    /// Whom it was sent to.
    pub partner: Option<LinkId>,
    /// What became of it.
    pub outcome: Outcome,
    /// From acceptance to this decision.
    pub after: Duration,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Sent to the partner.
    Forwarded,
    /// The partner's answer was handed on; its DE 39, space padded.
    Answered([u8; 3]),
    /// Approved in the place of the partner; DE 39, space padded.
    StoodIn([u8; 3]),
    /// Declined by route or risk.
    Declined([u8; 2]),
    /// Refused, dropped, or given up.
    Failed(Fault),
}

/// A request that was sent to `partner`.
pub(super) fn forwarded(
    acquirer: LinkId,
    message: &Message<'_>,
    (chosen, route): (&Chosen, RouteNumber),
    partner: LinkId,
) -> Decision {
    Decision {
        network: chosen.network,
        region: chosen.region,
        route: Some(route),
        partner: Some(partner),
        ..unrouted(acquirer, message, Outcome::Forwarded)
    }
}

/// A request that was not sent.
pub(super) fn unrouted(acquirer: LinkId, message: &Message<'_>, outcome: Outcome) -> Decision {
    Decision {
        acquirer,
        mti: message.mti(),
        stan: message.number(11).unwrap_or(0),
        network: None,
        region: None,
        route: None,
        partner: None,
        outcome,
        after: Duration::ZERO,
    }
}
