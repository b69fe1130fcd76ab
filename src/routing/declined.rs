//! Requests that go nowhere: why, and what their terminals are told.

use std::fmt;

use crate::base::codes::ResponseCode;

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
    /// A rule refuses it: its place, see [`refusal_name`](super::RouteTable::refusal_name).
    Refused(u16),
    /// The partners of the route cannot do what is asked.
    NotServed,
    /// It gives back what nobody knows.
    UnknownOriginal,
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
    /// For [`Why::NotServed`].
    pub not_served: ResponseCode,
    /// For [`Why::UnknownOriginal`]; `None`: such a void or refund goes by its route.
    pub unknown_original: Option<ResponseCode>,
}

impl Default for Codes {
    fn default() -> Self {
        Self {
            unknown_code: ResponseCode::INVALID_CARD,
            unknown_merchant: INVALID_MERCHANT,
            network_not_accepted: ResponseCode::NOT_PERMITTED_TERMINAL,
            no_route: ResponseCode::NO_ROUTE,
            not_served: ResponseCode::NOT_PERMITTED_CARDHOLDER,
            unknown_original: Some(ResponseCode::NOT_FOUND),
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
            Self::Refused(_) => "refused by a rule",
            Self::NotServed => "the partners of the route cannot do what is asked",
            Self::UnknownOriginal => "it names an original that nobody knows",
        })
    }
}

/// ISO 8583:1987 DE 39 = 03, invalid merchant.
const INVALID_MERCHANT: ResponseCode = match ResponseCode::from_number(3) {
    Some(code) => code,
    None => ResponseCode::NO_ROUTE,
};
