//! Does a well-formed request make sense? Its values against the standard and each other.
//!
//! The dialect has proven the form. What is checked here holds in every dialect, also in those
//! that declare no content classes: dates that exist, amounts that are numbers, currencies that
//! ISO 4217 lists, account data that agrees with itself. No check digit: test cards and wallets
//! have none, and a wrong PAN is the issuer's to decline.

use crate::base::authorization::{Asked, Authorization, Instrument, Kind};
use crate::base::codes;
use crate::base::money::Currency;
use crate::base::time::{self, Today};
use crate::iso8583::decode::{FormId, Span};
use crate::iso8583::digits;
use crate::iso8583::field::{Content, Field};
use crate::iso8583::message::Message;
use crate::iso8583::mti::Mti;

use super::accounts::accounts;
use super::fault::Fault;
use super::form::{Forms, Places, Typed};
use super::payer::instrument;

/// A request that makes sense.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sound {
    /// What decisions need.
    pub facts: Authorization,
    /// DE 4, if the request has one.
    pub amount: Option<u64>,
    /// Where DE 11 stands.
    pub stan: Span,
    /// DE 11 as a number.
    pub stan_number: u32,
    /// Its number in the window of recent transactions; set when it is found new.
    pub number: u64,
    /// DE 7, else DE 13 and 12, as the digits they are made of, four bits each; 0 if there is none.
    pub moment: u64,
    /// DE 7 is more than a day away from our clock: accepted, counted.
    pub clock_is_off: bool,
}

/// Names and checks a request in one.
///
/// # Errors
///
/// The first thing that makes no sense.
pub(super) fn read(
    message: &Message<'_>,
    today: Today,
    types: &mut Types,
    sound: &mut Sound,
) -> Result<(), Fault> {
    let places = name(message, types, sound)?;
    check(message, &places, today, types, sound)
}

/// Reads by what a request is named: STAN, terminal, merchant. Says where the rest stands.
///
/// # Errors
///
/// If there is no STAN to answer by.
#[inline(always)]
pub(super) fn name(
    message: &Message<'_>,
    types: &mut Types,
    sound: &mut Sound,
) -> Result<Places, Fault> {
    let places = types.forms.places(message);
    name_at(message, &places, sound)?;
    Ok(places)
}

#[inline(always)]
fn name_at(message: &Message<'_>, places: &Places, sound: &mut Sound) -> Result<(), Fault> {
    let bytes = message.bytes;
    sound.stan = message.index.span(11).ok_or(Fault::NoStan)?;
    sound.stan_number = match places.stan.read(bytes).map(digits::packed_stan) {
        Some(0) => return Err(Fault::ZeroStan),
        Some(stan) => stan,
        None => stan(message)?.1,
    };
    match places.merchant.read(bytes) {
        Some(merchant) => sound.facts.merchant = *merchant,
        None => message.text_into(42, &mut sound.facts.merchant),
    }
    match places.terminal.read(bytes) {
        Some(terminal) => sound.facts.terminal = *terminal,
        None => message.text_into(41, &mut sound.facts.terminal),
    }
    Ok(())
}

/// Checks a decoded request that was named and is not network management, and writes what it says
/// to `sound`, in place: returned by value it was copied three times, in pieces that do not line
/// up.
///
/// # Errors
///
/// The first thing that makes no sense; `sound` is then of no use.
#[inline(always)]
pub(super) fn check(
    message: &Message<'_>,
    places: &Places,
    today: Today,
    types: &mut Types,
    sound: &mut Sound,
) -> Result<(), Fault> {
    let of_type = types.of(message)?;
    check_at(message, places, today, of_type, sound)?;
    debug_assert!(is_as_read_with_care(message, today, sound), "a form says what its dialect says");
    Ok(())
}

/// True if the request says the same with nothing known of its form.
fn is_as_read_with_care(message: &Message<'_>, today: Today, sound: &Sound) -> bool {
    let (nowhere, mut read) =
        (Places::default(), Sound { number: sound.number, ..Sound::default() });
    name_at(message, &nowhere, &mut read).is_ok()
        && Type::of(message)
            .is_ok_and(|of_type| check_at(message, &nowhere, today, of_type, &mut read).is_ok())
        && read == *sound
}

#[inline(always)]
fn check_at(
    message: &Message<'_>,
    places: &Places,
    today: Today,
    of_type: Type,
    sound: &mut Sound,
) -> Result<(), Fault> {
    let Type { kind, is_purchase, currency, entry_mode, is_scanned, mcc, texts: unproven } =
        of_type;
    sound.amount = match places.amount.read(message.bytes) {
        Some(packed) => Some(digits::packed_number(packed)),
        None => optional_number(message, 4)?,
    };
    if sound.amount == Some(0) && is_purchase {
        return Err(Fault::Amount);
    }
    let facts = &mut sound.facts;
    facts.kind = kind;
    facts.amount.minor = sound.amount.unwrap_or(0);
    facts.amount.currency = currency;
    match places.moment.read(message.bytes).filter(|moment| is_of_today(moment, today)) {
        Some(moment) => (sound.moment, sound.clock_is_off) = (packed_moment(moment), false),
        None => (sound.moment, sound.clock_is_off) = (moment_of(message), date(message, today)?),
    }
    if unproven {
        texts(message)?;
    }
    facts.entry_mode = entry_mode;
    facts.mcc = mcc;
    facts.instrument = match places.account.read(message.bytes) {
        Some(packed) if !is_scanned => {
            Instrument::from_head(digits::packed_head(packed), 2 * packed.len(), false)
        }
        _ => instrument(message, is_scanned)?,
    };
    if !places.is_without_track || message.index.emv_accounts {
        accounts(message, is_scanned && message.dialect.scan.is_instead_of_track(message))?;
    }
    original(message)
}

/// What decisions need, as far as a message says it that was found sound before, and of which only
/// a part is left.
pub fn facts(message: &Message<'_>) -> Authorization {
    let (mcc, entry_mode) = (category(message), entry_mode(message));
    let mut facts = Authorization {
        kind: match processing_code(message) {
            Ok(Some(code)) => kind(message, code, mcc, entry_mode),
            _ => Kind::Other,
        },
        instrument: instrument(message, message.dialect.scan.is_meant(entry_mode)).ok().flatten(),
        acquirer: acquirer(message),
        mcc,
        entry_mode,
        ..Authorization::default()
    };
    facts.amount.minor = message.number(4).unwrap_or(0);
    facts.amount.currency = currency(message).unwrap_or_default();
    message.text_into(42, &mut facts.merchant);
    message.text_into(41, &mut facts.terminal);
    facts
}

/// What requests of one type have in common: what their MTI, the elements they have, and DE 3, 18,
/// 22, 25 and 49 say.
#[derive(Debug, Clone, Copy, Default)]
struct Type {
    kind: Kind,
    is_purchase: bool,
    currency: Currency,
    entry_mode: u16,
    /// By DE 22 a payment code was scanned.
    is_scanned: bool,
    mcc: u16,
    /// Some identifier is of no class: decoding has not proven it.
    texts: bool,
}

/// The types of request met lately. A fleet sends few of them, over and over; to see that one is
/// the same again costs a fraction of reading it.
#[derive(Debug)]
pub(super) struct Types {
    forms: Forms,
    met: [Option<(TypeKey, Type)>; TYPES_MAX],
}

/// All that a [`Type`] depends on: a form is of one dialect, and has the same elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TypeKey {
    form: FormId,
    mti: Mti,
    typed: Typed,
}

/// Types remembered at once.
const TYPES_MAX: usize = 64;

impl Default for Types {
    fn default() -> Self {
        Self { forms: Forms::default(), met: [None; TYPES_MAX] }
    }
}

impl Types {
    #[inline(always)]
    fn of(&mut self, message: &Message<'_>) -> Result<Type, Fault> {
        let Some((form, typed)) = self.forms.typed(message) else { return Type::of(message) };
        let key = TypeKey { form, mti: message.mti(), typed };
        let met = &mut self.met[key.place()];
        if let Some((of, known)) = met
            && *of == key
        {
            return Ok(*known);
        }
        let read = Type::of(message)?;
        *met = Some((key, read));
        Ok(read)
    }
}

impl TypeKey {
    #[inline(always)]
    fn place(&self) -> usize {
        let typed = self.typed.iter().fold(0, |all: u64, value| all.rotate_left(13) ^ value);
        let all = typed ^ u64::from(self.mti.packed()) << 48 ^ self.form.number();
        (all.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - TYPES_MAX.ilog2())) as usize
    }
}

impl Type {
    #[inline(never)]
    fn of(message: &Message<'_>) -> Result<Self, Fault> {
        presence(message)?;
        let code = processing_code(message)?;
        let (mcc, entry_mode) = (category(message), entry_mode(message));
        Ok(Self {
            kind: code.map_or(Kind::Other, |code| kind(message, code, mcc, entry_mode)),
            is_purchase: is_purchase(message, code),
            currency: currency(message)?,
            entry_mode,
            is_scanned: message.dialect.scan.is_meant(entry_mode),
            mcc,
            texts: IDENTIFIERS.into_iter().any(|element| is_unproven(message, element)),
        })
    }
}

/// A STAN as the digits DE 11 of a dialect holds.
pub fn stan_digits<'a>(field: &Field, stan: u32, buffer: &'a mut [u8; 12]) -> Option<&'a [u8]> {
    let count = usize::from(field.units);
    if field.is_variable() || count < 6 {
        return None;
    }
    let digits = buffer.get_mut(..count)?;
    digits::write_ascii_number(u64::from(stan), digits);
    Some(digits)
}

#[inline]
pub(super) fn stan(message: &Message<'_>) -> Result<(Span, u32), Fault> {
    let span = message.index.span(11).ok_or(Fault::NoStan)?;
    match message.stan() {
        None => Err(Fault::NoStan),
        Some(0) => Err(Fault::ZeroStan),
        Some(stan) => Ok((span, stan)),
    }
}

#[inline]
pub(super) fn presence(message: &Message<'_>) -> Result<(), Fault> {
    let mti = message.mti();
    let rules = message.dialect.rules(mti);
    let present = message.present();
    if let Some(missing) = rules.mandatory.without(&present).first() {
        return Err(Fault::Missing(missing));
    }
    if let Some(forbidden) = rules.forbidden.and(&present).first() {
        return Err(Fault::Forbidden(forbidden));
    }
    // Reversals may say in DE 39 why they reverse; a request has no result yet.
    if present.has(39) && matches!(mti.class(), 1 | 2 | 8) && mti.function() == 0 {
        return Err(Fault::Forbidden(39));
    }
    Ok(())
}

/// The first two digits of DE 3.
#[inline]
fn processing_code(message: &Message<'_>) -> Result<Option<u8>, Fault> {
    let Some(code) = optional_number(message, 3)? else { return Ok(None) };
    let code = (code / 10_000).min(255) as u8;
    if !codes::processing_code_is_known(code) {
        return Err(Fault::UnknownTransaction);
    }
    Ok(Some(code))
}

/// The kind of a request with these facts, were this its category.
pub(super) fn kind_at(message: &Message<'_>, facts: &Authorization, mcc: u16) -> Kind {
    match processing_code(message) {
        Ok(Some(code)) => kind(message, code, mcc, facts.entry_mode),
        _ => facts.kind,
    }
}

fn kind(message: &Message<'_>, processing_code: u8, mcc: u16, entry_mode: u16) -> Kind {
    let mti = message.mti();
    Kind::of(&Asked {
        class: mti.class(),
        advice: mti.function() == 2,
        processing_code,
        condition: message.number(25).unwrap_or(0).min(99) as u8,
        mcc,
        entry_mode,
    })
}

/// DE 32; read only where a table asks for it.
pub(super) fn acquirer(message: &Message<'_>) -> u64 {
    message.number(32).unwrap_or(0)
}

fn category(message: &Message<'_>) -> u16 {
    message.number(18).unwrap_or(0).min(9999) as u16
}

fn entry_mode(message: &Message<'_>) -> u16 {
    message.number(22).unwrap_or(0).min(9999) as u16
}

/// An account verification (DE 25 = 51) is a purchase of nothing by design.
fn is_purchase(message: &Message<'_>, code: Option<u8>) -> bool {
    matches!(message.mti().class(), 1 | 2)
        && message.mti().function() == 0
        && matches!(code, Some(0 | 9))
        && message.number(25) != Some(51)
}

#[inline]
fn optional_number(message: &Message<'_>, element: u8) -> Result<Option<u64>, Fault> {
    if !message.has(element) {
        return Ok(None);
    }
    message.number(element).map(Some).ok_or(Fault::Value(element))
}

#[inline]
fn currency(message: &Message<'_>) -> Result<Currency, Fault> {
    let Some(number) = optional_number(message, 49)? else { return Ok(Currency::default()) };
    u16::try_from(number).ok().and_then(Currency::from_number).ok_or(Fault::Value(49))
}

/// A valid DE 7 of this day: the common case.
#[inline]
fn is_of_today(moment: &[u8; 5], today: Today) -> bool {
    let [month, day, hour, minute, second] = *moment;
    today.is_today(month, day) && hour < 0x24 && minute < 0x60 && second < 0x60
}

/// DE 7, else DE 13 and 12, as the digits they are made of, four bits each; 0 if there is none.
pub(super) fn moment_of(message: &Message<'_>) -> u64 {
    if let Some(moment) = message.packed_digits(7).and_then(|packed| packed.try_into().ok()) {
        return packed_moment(moment);
    }
    let mut buffer = [0; 12];
    let mut read = |element| {
        let count = message.characters(element, &mut buffer).unwrap_or(0);
        digits::nibbles(buffer.get(..count).unwrap_or(&[]))
    };
    match read(7) {
        0 => read(13) << 24 | read(12),
        moment => moment,
    }
}

#[inline]
const fn packed_moment(moment: &[u8; 5]) -> u64 {
    let [month, day, hour, minute, second] = *moment;
    u64::from_be_bytes([0, 0, 0, month, day, hour, minute, second])
}

/// DE 7 names a moment that exists. True if it is more than a day away from our clock.
#[inline]
fn date(message: &Message<'_>, today: Today) -> Result<bool, Fault> {
    if let Some(moment) = message.packed_digits(7).and_then(|packed| packed.try_into().ok())
        && is_of_today(moment, today)
    {
        return Ok(false);
    }
    let Some(value) = optional_number(message, 7)? else { return Ok(false) };
    if !time::de7_is_valid(value, today.is_leap_year) {
        return Err(Fault::Value(7));
    }
    Ok(today.days_to(value) > 1)
}

/// Identifiers that reach logs, receipts and other systems hold printable characters. Where the
/// dialect has a class for them this was proven while decoding.
#[inline]
fn texts(message: &Message<'_>) -> Result<(), Fault> {
    for element in IDENTIFIERS {
        if is_unproven(message, element)
            && message.value(element).is_some_and(|value| !digits::are_printable(value))
        {
            return Err(Fault::Value(element));
        }
    }
    Ok(())
}

/// See [`texts`].
const IDENTIFIERS: [u8; 4] = [37, 41, 42, 43];

fn is_unproven(message: &Message<'_>, element: u8) -> bool {
    message.dialect.field(element).content == Content::Ascii
}

/// DE 90 names an original: a request or advice of class 1 or 2, with a STAN. DE 95 replaces an
/// amount by a smaller one.
fn original(message: &Message<'_>) -> Result<(), Fault> {
    if message.mti().class() != 4 {
        return Ok(());
    }
    let mut buffer = [0; 42];
    if message.has(90) {
        let count = message.characters(90, &mut buffer).ok_or(Fault::Value(90))?;
        let digits = buffer.get(..count).unwrap_or(&[]);
        let named = match digits {
            [_, class @ b'1'..=b'2', function, _, ..] => {
                let _ = class;
                (function - b'0').is_multiple_of(2)
            }
            _ => false,
        };
        if count != 42 || !digits::are_ascii_digits(digits) || !named {
            return Err(Fault::Value(90));
        }
    }
    if let Some(count) = message.characters(95, &mut buffer) {
        let replacement = digits::ascii_number(buffer.get(..count.min(12)).unwrap_or(&[]))
            .ok_or(Fault::Value(95))?;
        if message.number(4).is_some_and(|amount| replacement > amount) {
            return Err(Fault::Amount);
        }
    }
    Ok(())
}
