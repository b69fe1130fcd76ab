//! What pays: a card number, or the code of a wallet, which is scanned in many forms.
//!
//! Digits are a key for look-ups as they are. An EMV code names the application of a network: what
//! a wallet shows, the one it prefers; what a merchant shows, one that the merchant can be paid
//! over, and with it the currency and often the amount, which must be those of the message. What
//! it is not: it does not know any network.

use crate::base::authorization::Instrument;
use crate::iso8583::digits;
use crate::iso8583::message::Message;
use crate::iso8583::qr::consumer::{self, ConsumerCode};
use crate::iso8583::qr::merchant::{self, MerchantCode};
use crate::iso8583::scan::Found;

use super::fault::Fault;

/// What pays in a sound message; `None` if nothing that is of a known kind.
///
/// # Errors
///
/// If DE 2 is there and empty, or a scanned EMV code is damaged or contradicts the message.
#[inline]
pub(super) fn instrument(
    message: &Message<'_>,
    scanned: bool,
) -> Result<Option<Instrument>, Fault> {
    if message.index.span(2).is_some_and(|span| span.units == 0) {
        return Err(Fault::Value(2));
    }
    if scanned { code(message) } else { Ok(card(message)) }
}

/// The PAN of DE 2, else of the track in DE 35.
fn card(message: &Message<'_>) -> Option<Instrument> {
    if let Some(packed) = message.packed_digits(2) {
        return Instrument::from_head(digits::packed_head(packed), packed.len() * 2, false);
    }
    Instrument::from_digits(message.pan()?.reveal(), false)
}

fn code(message: &Message<'_>) -> Result<Option<Instrument>, Fault> {
    let mut buffer = [0; 40];
    let Some(found) = message.dialect.scan.find(message, &mut buffer) else { return Ok(None) };
    let Found { element, text } = found;
    let damaged = |_| Fault::Value(element);
    if consumer::is_consumer_code(text) {
        let code = ConsumerCode::read(text).map_err(damaged)?;
        let preferred = code.applications().next();
        Ok(preferred.and_then(|application| Instrument::from_application(application.name())))
    } else if merchant::is_merchant_code(text) {
        let text = std::str::from_utf8(text).map_err(|_| Fault::Value(element))?;
        let code = MerchantCode::read(text).map_err(damaged)?;
        if is_contradicted(&code, message) {
            return Err(Fault::Contradiction(element));
        }
        // Whom to pay is in the code; who pays may stand beside it.
        let application = code.application();
        let application = application.and_then(|name| Instrument::from_application(name.bytes()));
        Ok(card(message).or(application))
    } else {
        Ok(Instrument::from_digits(text, true))
    }
}

/// True if the message says another currency than the code, or another amount. What a shopper adds
/// as a tip, or the shop as a fee, is in the message only.
fn is_contradicted(code: &MerchantCode<'_>, message: &Message<'_>) -> bool {
    let currency = message.number(49);
    if currency.is_some_and(|number| number != u64::from(code.currency.number())) {
        return true;
    }
    let (Some(asked), Some(shown)) = (message.number(4), code.amount) else { return false };
    if code.adds() { asked < shown.minor } else { asked != shown.minor }
}
