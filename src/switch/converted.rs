//! What a partner is told of an amount in other currencies: DE 5, 9 and 50 in the one it settles
//! in, DE 6, 10 and 51 in that of the wallet.
//!
//! Only where its route says so and the request does not say it itself, and only of what is paid:
//! what undoes or completes another names that, and its amount is that one's. Advices and reversals
//! of the switch say what the terminal said. Nothing is converted by a quote that has expired: then
//! the request goes nowhere, since a wallet would be billed what nobody has promised.

use crate::base::authorization::Kind;
use crate::iso8583::digits;
use crate::iso8583::message::Message;
use crate::routing::Route;
use crate::routing::quote::{Converted, Converts, Unquoted};

use super::Batch;
use super::fault::Fault;
use super::sound::Sound;

/// Neutral values of elements that the request does not have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conversion {
    each: [Option<Told>; 2],
}

/// An amount, its rate and its currency: where they stand, and their digits.
#[derive(Debug, Clone, Copy)]
struct Told {
    elements: [u8; 3],
    amount: [u8; 12],
    rate: [u8; 8],
    currency: [u8; 3],
}

/// What the partners of the route are told beside what the request says.
///
/// # Errors
///
/// If nobody has quoted it for now, or it does not fit an amount.
#[cold]
pub(super) fn converted(
    batch: &Batch<'_>,
    message: &Message<'_>,
    sound: &Sound,
    (route, converts): (&Route, &Converts),
) -> Result<Option<Conversion>, Fault> {
    let is_paid = matches!(
        sound.facts.kind,
        Kind::Purchase | Kind::PreAuthorization | Kind::Fare | Kind::Transfer
    );
    if !is_paid || !message.has(4) {
        return Ok(None);
    }
    debug_assert!(route.converts.is_some(), "else nobody asks");
    let asked = [(SETTLED, converts.settles_in), (BILLED, converts.bills_in)];
    let mut each = [None; 2];
    for (told, (elements, currency)) in each.iter_mut().zip(asked) {
        let [amount, ..] = elements;
        let Some(currency) = currency.filter(|_| !message.has(amount)) else { continue };
        if !message.has(49) {
            return Err(Fault::Missing(49));
        }
        let quotes = batch.routes.quotes();
        let converted = quotes.convert(sound.facts.amount, currency, batch.now.wall);
        *told = Some(Told::of(elements, &converted.map_err(fault)?));
    }
    Ok(each.iter().any(Option::is_some).then_some(Conversion { each }))
}

impl Conversion {
    /// Element and neutral value of each.
    pub(super) fn values(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.each.iter().flatten().flat_map(|told| {
            let values = [&told.amount[..], &told.rate[..], &told.currency[..]];
            told.elements.into_iter().zip(values)
        })
    }
}

impl Told {
    fn of(elements: [u8; 3], converted: &Converted) -> Self {
        let mut told = Self { elements, amount: [b'0'; 12], rate: [b'0'; 8], currency: [b'0'; 3] };
        digits::write_ascii_number(converted.amount.minor, &mut told.amount);
        digits::write_ascii_number(converted.rate.number().into(), &mut told.rate);
        let currency = converted.amount.currency.number();
        digits::write_ascii_number(currency.into(), &mut told.currency);
        told
    }
}

const fn fault(unquoted: Unquoted) -> Fault {
    match unquoted {
        Unquoted::Expired => Fault::Unquoted,
        Unquoted::Large => Fault::Amount,
    }
}

/// Most elements that a conversion adds.
pub(super) const ADDED_MAX: usize = 6;

/// Amount, rate and currency of settlement.
pub const SETTLED: [u8; 3] = [5, 9, 50];

/// The same of the wallet's bill.
pub const BILLED: [u8; 3] = [6, 10, 51];
