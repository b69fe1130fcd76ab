//! Was this asked before? Repeats get the answer there is, or wait for it; nothing is asked twice.
//!
//! A request whose terminal key is known is never forwarded: with the same content it is a repeat
//! (whatever its MTI says), with other content a conflict. What was refused is known too, so that
//! no approval follows a decline the terminal has seen.

use std::time::Duration;

use crate::base::codes::ResponseCode;
use crate::base::ids::{LinkId, WorkerId};
use crate::base::time::Instant;
use crate::iso8583::message::Message;
use crate::iso8583::mti::Mti;
use crate::iso8583::tlv;

use super::bug::Bug;
use super::fault::Fault;
use super::lookup::About;
use super::older::{Dated, Sought};
use super::outbox::Outbox;
use super::recent::{Fate, Known, Past, TerminalKey};
use super::sound::Sound;
use super::stats::Counter;
use super::transaction::Transaction;
use super::{Batch, Storage, Switch, noted, reply};

impl Switch {
    /// By what the request would be known again; its hash was made before.
    #[inline]
    pub(super) fn terminal_key(
        &self,
        message: &Message<'_>,
        sound: &Sound,
        hash: u64,
    ) -> TerminalKey {
        let facts = &sound.facts;
        let payer = facts.instrument.map_or_else(
            || payer_in_tracks(self.setup.key, message),
            |who| who.head() ^ u64::from(who.length()) << 58,
        );
        let asked = u64::from(facts.amount.currency.number()) << 48 | facts.kind as u64;
        let fingerprint = mix(mix(self.setup.key ^ payer, facts.amount.minor), asked);
        TerminalKey { hash, moment: sound.moment, fingerprint }
    }

    /// The hash of a request of which STAN, terminal and merchant were read.
    #[inline]
    pub(super) fn hash_of(&self, link: LinkId, message: &Message<'_>, sound: &Sound) -> u64 {
        let facts = &sound.facts;
        let kind = kind_of(message.mti());
        self.terminal_hash(link, &facts.terminal, &facts.merchant, sound.stan_number, kind)
    }

    #[inline]
    pub(super) fn terminal_hash(
        &self,
        link: LinkId,
        terminal: &[u8; 8],
        merchant: &[u8; 15],
        stan: u32,
        kind: u16,
    ) -> u64 {
        let word = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let terminal = match self.setup.has(Bug::TerminalNotInKey) {
            false => u64::from_le_bytes(*terminal),
            true => 0,
        };
        let number = u64::from(stan) | u64::from(kind) << 32 | u64::from(link.0) << 48;
        let hash = mix(self.setup.key ^ terminal, number);
        mix(mix(hash, word(merchant.first_chunk())), word(merchant.last_chunk()))
    }

    /// The request was asked before.
    #[cold]
    pub(super) fn asked_again(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        key: &TerminalKey,
        number: u64,
        outbox: &mut Outbox,
    ) -> Result<(), Fault> {
        let anything = batch.setup.has(Bug::ConflictAnswered);
        let same = |other: &TerminalKey| anything || other.fingerprint == key.fingerprint;
        let Some(past) = self.recent.past_mut(number) else { return Ok(()) };
        if !same(&past.key) {
            return Err(Fault::Conflict);
        }
        match &mut past.fate {
            Fate::InFlight(place) => {
                let Some(asked) = self.transactions.at_mut(*place) else { return Ok(()) };
                if asked.repeats.len() < REPEATS_MAX && !batch.setup.has(Bug::RepeatForgotten) {
                    asked.repeats.push(batch.session, message.header());
                    if let Some(session) = self.sessions.of_mut(batch.session) {
                        session.in_flight += 1;
                    }
                }
            }
            _ => self.tell_again(batch, message, number, outbox),
        }
        self.stats.count(Counter::Repeats);
        Ok(())
    }

    /// Another worker remembers the request: it is that worker's to answer.
    #[cold]
    pub(super) fn pass(
        &mut self,
        batch: &Batch<'_>,
        worker: WorkerId,
        framed: &[u8],
        outbox: &mut Outbox,
    ) -> Result<(), Fault> {
        let session = self.sessions.of_mut(batch.session).ok_or(Fault::Draining)?;
        if session.shared {
            // It was passed on to us: nobody is sent from door to door.
            return Err(Fault::Overload);
        }
        session.guest_of |= 1 << worker.0;
        self.stats.count(Counter::Passed);
        self.recent.end_turn();
        outbox.relay(batch.session, worker, framed);
        Ok(())
    }

    /// Answers a copy as the transaction of this number was answered.
    pub(super) fn tell_again(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        number: u64,
        outbox: &mut Outbox,
    ) {
        let Some(past) = self.recent.past_mut(number) else { return };
        if let Fate::Approved { waiting, .. } = &mut past.fate {
            *waiting = waiting.saturating_add(1);
        }
        answer_again(batch, message, past, number, outbox);
    }

    /// Nobody waits any more for the answer to the transaction at `place`.
    #[cold]
    pub(super) fn end_repeats(&mut self, place: u32, outbox: &mut Outbox) {
        let next = |asked: &mut Transaction| asked.repeats.pop();
        while let Some(session) = self.transactions.at_mut(place).and_then(next) {
            self.one_less(session, outbox);
        }
    }

    /// True if the original of a repeat has to be looked up first: nobody remembers it.
    #[cold]
    pub(super) fn waits_for_original(
        &mut self,
        batch: &Batch<'_>,
        key: &TerminalKey,
        framed: &[u8],
        outbox: &mut Outbox,
    ) -> Result<bool, Fault> {
        let now = batch.now.instant;
        let is_it = |other: &Past| is_same_request(other, key, now);
        let known = self.recent.find(key.hash, key.moment, is_it);
        if known.is_some() {
            return Ok(false);
        }
        let hashes = [Some(key.hash), None, None, None];
        let sought = Sought { hashes, moment: key.moment, dated: Dated::Exactly };
        self.look_up(batch, framed, (About::Itself, sought), outbox).map_err(Fault::unsaid)
    }

    /// Its link demands a sign-on first. Whoever hears that must not be approved elsewhere.
    #[cold]
    pub(super) fn before_sign_on(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
        hash: u64,
        outbox: &mut Outbox,
    ) -> Fault {
        let fault = Fault::NotSignedOn;
        let mti = message.mti();
        if mti.is_repeat() {
            return fault.unsaid();
        }
        if mti.class() == 4 || mti.is_advice() {
            return fault;
        }
        let is_declined = |past: &Past| past.fate == Fate::Declined;
        match self.claim(batch, self.terminal_key(message, sound, hash)) {
            Known::New(number) => {
                self.remember_refusal(number, ResponseCode::INOPERATIVE, outbox);
                fault
            }
            Known::Here(number) if self.recent.past(number).is_some_and(is_declined) => fault,
            Known::Here(_) | Known::Elsewhere(_) => fault.unsaid(),
            Known::NoRoom => fault,
        }
    }

    /// Remembers that the terminal was refused: no approval may follow.
    #[cold]
    pub(super) fn remember_refusal(
        &mut self,
        number: u64,
        code: ResponseCode,
        outbox: &mut Outbox,
    ) {
        // When the disk is full each record is one reversal fewer that the reserve has room for.
        self.settle_refused(number, (code, b""), self.storage == Storage::Ready, outbox);
    }

    /// The same by the rule of this name, on record or not.
    #[cold]
    pub(super) fn settle_refused(
        &mut self,
        number: u64,
        (code, rule): (ResponseCode, &[u8]),
        on_record: bool,
        outbox: &mut Outbox,
    ) {
        if self.setup.has(Bug::RefusalForgotten) {
            return self.recent.forget(number);
        }
        let Some(past) = self.recent.past_mut(number) else { return };
        past.fate = Fate::Declined;
        past.code = padded(code);
        if on_record {
            noted::refused(past, rule, outbox);
        }
        self.recent.settle(number);
    }
}

/// Is that the request of this key, asked before?
#[inline]
pub(super) fn is_same_request(other: &Past, key: &TerminalKey, now: Instant) -> bool {
    other.key.hash == key.hash && (other.key.moment == key.moment || is_under_way(other, now))
}

/// True if all that is known of it is that its terminal took it back, without a date: what it
/// asked for may be under way.
fn is_under_way(past: &Past, now: Instant) -> bool {
    past.key.moment == 0
        && past.partner.is_none()
        && past.fate == Fate::Reversed
        && now.since(past.at) < UNDER_WAY_MAX
}

/// Answers a repeat as its original was answered.
fn answer_again(
    batch: &Batch<'_>,
    message: &Message<'_>,
    past: &Past,
    number: u64,
    outbox: &mut Outbox,
) {
    let mti = message.mti().response().unwrap_or_default();
    let approved = matches!(past.fate, Fate::Approved { .. });
    // What was taken back, or may be, is never approved again.
    let code = match past.fate {
        Fate::InFlight(_) | Fate::Unknown | Fate::Reversed => padded(ResponseCode::INOPERATIVE),
        Fate::Approved { .. } | Fate::Declined => past.code,
    };
    let extras = reply::Extras {
        approval: past.approval.filter(|_| approved && !batch.setup.has(Bug::MemoryWithoutCode)),
        amount: past.part.filter(|_| approved),
    };
    let gated = approved && !batch.setup.has(Bug::MemoryUngated);
    let lane = outbox.lane_gated(batch.session, gated);
    reply::write_as(message, mti, trimmed(&code), &extras, lane);
    if approved {
        outbox.mark(batch.session, number);
    }
}

/// Who pays, where neither DE 2 nor DE 35 nor a code says so: tracks 1 and 3, and the account data
/// of the chip.
#[cold]
fn payer_in_tracks(key: u64, message: &Message<'_>) -> u64 {
    let tracks = [45, 36].into_iter().filter_map(|element| message.value(element));
    let mut payer = tracks.fold(0, |payer, track| payer ^ hash_of_text(key, track));
    tlv::each(message.value(55).unwrap_or(&[]), &mut |tag, value| {
        if matches!(tag, 0x57 | 0x5A) {
            payer ^= hash_of_text(key, value).rotate_left(tag & 63);
        }
    });
    payer
}

/// Class and function: a repeat is looked up like its original, an advice is another message.
pub(super) const fn kind_of(mti: Mti) -> u16 {
    mti.packed() >> 4 & 0xFF
}

pub(super) const fn padded(code: ResponseCode) -> [u8; 3] {
    let [first, second] = code.digits();
    [first, second, b' ']
}

/// DE 39 without its padding.
pub(super) fn trimmed(code: &[u8; 3]) -> &[u8] {
    if code[2] == b' ' { &code[..2] } else { code }
}

/// Keyed hash of a text, never 0.
pub(super) fn hash_of_text(key: u64, text: &[u8]) -> u64 {
    let hash = text.chunks(8).fold(mix(key, text.len() as u64), |hash, chunk| {
        mix(hash, chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)))
    });
    hash.max(1)
}

#[inline]
const fn mix(hash: u64, word: u64) -> u64 {
    let product = (hash ^ word) as u128 * 0x9E37_79B9_7F4A_7C15;
    product as u64 ^ (product >> 64) as u64
}

/// For how long a request may be under way to us; the next with its STAN is another.
const UNDER_WAY_MAX: Duration = Duration::from_secs(600);

/// Repeats that wait for one answer. A terminal that sends more than these hears from the first.
const REPEATS_MAX: usize = 8;
