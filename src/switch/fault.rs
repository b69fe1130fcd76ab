//! What can be wrong with a request, whose fault it is, and what happens: all in one table.
//!
//! A decline by route or risk is not a fault but a verdict: the message was fine. Both end in a
//! reply, and both are decided before a byte goes to a partner.

use crate::base::codes::ResponseCode;
use crate::iso8583::error::{DecodeError, Reason};
use crate::iso8583::mti::Mti;

use super::cause::CloseCause;
use super::stats::Counter;

/// Why a request was not forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The message breaks its dialect.
    Damaged(DecodeError),
    /// A response came from an acquirer. Nothing ever answers a response.
    Response,
    /// Fourth MTI digit 6 to 9: reserved.
    ReservedOrigin,
    /// Fourth MTI digit 2 to 5: an issuer's message from an acquirer.
    ForeignOrigin,
    /// The MTI is of another edition than the link's.
    Edition,
    /// A message class that the switch does not carry.
    UnknownClass,
    /// No STAN, or one that is no number: an answer could not be matched.
    NoStan,
    /// STAN 000000.
    ZeroStan,
    /// An element the dialect demands is absent.
    Missing(u8),
    /// An element the dialect forbids is there.
    Forbidden(u8),
    /// An element's value makes no sense.
    Value(u8),
    /// The account data of one element contradicts another.
    Contradiction(u8),
    /// DE 3 names no known transaction.
    UnknownTransaction,
    /// A purchase of nothing, or a replacement above the original.
    Amount,
    /// Too many network management messages.
    EchoStorm,
    /// The acquirer has not signed on.
    NotSignedOn,
    /// Unknown network management code.
    UnknownNetworkCode,
    /// No partner of the route can take the request now.
    NoPartner,
    /// Too much is in flight.
    Overload,
    /// The switch is shutting down.
    Draining,
    /// The message cannot be written in the partner's dialect.
    Untranslatable(u8),
    /// The partner did not answer in time.
    TimedOut,
    /// The partner's connection was lost before it answered.
    PartnerLost,
    /// What is asked cannot be put on record, so nobody may be asked.
    NotRecorded,
    /// What it names could not be looked up: not now.
    NotLookedUp,
    /// A copy that cannot be taken now, for want of what is counted here, and is not remembered
    /// as refused. What is said to a copy is said to its original, which may be approved, or be
    /// read from another connection in a moment: so nothing is said, and the terminal asks again
    /// or takes back.
    Unsaid(Counter),
    /// Its terminal took it back before it was answered.
    TakenBack,
    /// The key of a former request with other content.
    Conflict,
    /// A reversal of something its terminal never asked for.
    UnknownOriginal,
    /// A reversal whose amount is not that of its original.
    OriginalAmount,
    /// More would be given back than the original took.
    RefundExceeds,
    /// Its partner is to be told an amount in another currency, and nobody has quoted that for now.
    Unquoted,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Who asked.
    Acquirer,
    /// Whom we asked.
    Partner,
    /// Ourselves.
    Switch,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Answer with this code.
    Reply(ResponseCode),
    /// Say nothing; after `limits::DROPS_MAX` of these the connection is closed.
    Drop,
    /// Say nothing, and do not hold it against the connection.
    Ignore,
    /// Close the connection.
    Close(CloseCause),
}

impl Fault {
    /// Whose fault it is.
    pub const fn blame(self) -> Blame {
        match self {
            Self::NoPartner | Self::TimedOut | Self::PartnerLost => Blame::Partner,
            Self::Overload
            | Self::Draining
            | Self::NotRecorded
            | Self::NotLookedUp
            | Self::Unsaid(_)
            | Self::Unquoted
            | Self::Untranslatable(_) => Blame::Switch,
            _ => Blame::Acquirer,
        }
    }

    /// What happens.
    pub const fn effect(self) -> Effect {
        match self {
            Self::Damaged(error) => match error.reason {
                Reason::Header
                | Reason::Mti
                | Reason::BitmapDigits
                | Reason::BitmapEmpty
                | Reason::BitmapExtension => Effect::Drop,
                Reason::Truncated if error.field <= 1 => Effect::Drop,
                _ => Effect::Reply(ResponseCode::FORMAT_ERROR),
            },
            Self::Response | Self::ReservedOrigin | Self::NoStan => Effect::Drop,
            Self::EchoStorm | Self::Unsaid(_) => Effect::Ignore,
            Self::Edition
            | Self::ZeroStan
            | Self::Missing(_)
            | Self::Forbidden(_)
            | Self::Value(_)
            | Self::Contradiction(_)
            | Self::Untranslatable(_) => Effect::Reply(ResponseCode::FORMAT_ERROR),
            Self::ForeignOrigin
            | Self::UnknownClass
            | Self::UnknownTransaction
            | Self::UnknownNetworkCode => Effect::Reply(ResponseCode::INVALID_TRANSACTION),
            Self::Amount | Self::RefundExceeds => Effect::Reply(ResponseCode::INVALID_AMOUNT),
            Self::NotRecorded | Self::NotLookedUp | Self::Unquoted => {
                Effect::Reply(ResponseCode::MALFUNCTION)
            }
            Self::Conflict => Effect::Reply(ResponseCode::DUPLICATE),
            Self::UnknownOriginal => Effect::Reply(ResponseCode::NOT_FOUND),
            Self::OriginalAmount => Effect::Reply(ResponseCode::ORIGINAL_AMOUNT),
            Self::TakenBack
            | Self::NotSignedOn
            | Self::NoPartner
            | Self::Overload
            | Self::Draining
            | Self::TimedOut
            | Self::PartnerLost => Effect::Reply(ResponseCode::INOPERATIVE),
        }
    }

    /// What a copy is told that is not remembered as refused: nothing, unless the reason lies in
    /// the message itself, so that its original was refused for it too.
    pub const fn unsaid(self) -> Self {
        match self {
            Self::NotSignedOn
            | Self::NoPartner
            | Self::Overload
            | Self::Draining
            | Self::NotRecorded
            | Self::NotLookedUp => Self::Unsaid(self.counter()),
            other => other,
        }
    }

    /// What is counted.
    pub const fn counter(self) -> Counter {
        match self {
            Self::Damaged(_) => Counter::RequestsDamaged,
            Self::Response => Counter::ResponsesFromAcquirers,
            Self::EchoStorm => Counter::EchoStorms,
            Self::NoPartner => Counter::PartnersDown,
            Self::Overload => Counter::Overloads,
            Self::Draining => Counter::RefusedDraining,
            Self::TimedOut => Counter::TimeOuts,
            Self::PartnerLost => Counter::PartnersLost,
            Self::Contradiction(_) | Self::OriginalAmount => Counter::SecurityEvents,
            Self::NotRecorded => Counter::NotRecorded,
            Self::NotLookedUp => Counter::NotLookedUp,
            Self::Unsaid(counter) => counter,
            Self::Conflict => Counter::Conflicts,
            Self::UnknownOriginal => Counter::UnknownOriginals,
            Self::RefundExceeds => Counter::RefundsExceeding,
            Self::Unquoted => Counter::Unquoted,
            _ => Counter::RequestsRefused,
        }
    }
}

/// What the MTI alone forbids of a message from an acquirer whose link speaks the edition with
/// first digit `edition`, if it is bound to one.
pub(super) fn mti_fault(mti: Mti, edition: Option<u8>) -> Option<Fault> {
    if mti.is_response() || mti.function() >= 8 {
        return Some(Fault::Response);
    }
    if mti.origin() >= 6 {
        return Some(Fault::ReservedOrigin);
    }
    if edition.is_some_and(|digit| digit != mti.edition_digit()) {
        return Some(Fault::Edition);
    }
    match mti.class() {
        1..=6 if mti.origin() >= 2 => Some(Fault::ForeignOrigin),
        1..=6 | 8 => None,
        _ => Some(Fault::UnknownClass),
    }
}
