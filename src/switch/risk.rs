//! Is the request wanted? Asks the rules, and gives back what came to nothing.
//!
//! Asked once for each request that has a route, before anybody else is: repeats hear what was
//! said to the first. Decisions are [`crate::risk`]'s; here is what a message has that rules want
//! to know, and which ends of a transaction undo its count: a decline, as far as rules do not count
//! those; whatever was not sent, not answered in time or taken back; and its void. A refund does
//! not. What is older than the worker remembers stays counted, which is the strict side, and so
//! does what was counted under rules that were replaced since.

use std::sync::Arc;
use std::time::Duration;

use crate::base::authorization::{Authorization, Kind};
use crate::base::codes::ResponseCode;
use crate::base::map::Map;
use crate::base::time::{Instant, Now};
use crate::iso8583::composite::Composite;
use crate::iso8583::message::Message;
use crate::risk::key::{ELEMENTS, hash_of};
use crate::risk::{Asked, Back, Rules, Taken, Tally, Verdict, token};
use crate::routing::Chosen;

use super::decision::{self, Outcome};
use super::outbox::Outbox;
use super::record::Side;
use super::returns::Undoes;
use super::sound::Sound;
use super::stats::Counter;
use super::{Batch, Storage, Switch, reply, sound};

/// The rules of one worker, and what its transactions were counted in.
#[derive(Debug)]
pub(super) struct Risk {
    rules: Arc<Rules>,
    /// By the low bits of its number: a transaction and what it was counted in.
    taken: Box<[(u64, Taken)]>,
    /// By void: what it undoes once it is approved.
    voids: Map<u64, u64>,
    /// What rules were looked at, since it was added up last.
    tally: Tally,
    added_at: Instant,
    swept_at: Instant,
}

/// How a transaction ended, as far as limits go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Money moved.
    Approved,
    /// Whoever was asked said no.
    Declined,
    /// It is as if it had never been asked.
    Undone,
}

/// The place of the rule, if it was one, and DE 39.
pub(super) type Unwanted = (Option<u16>, ResponseCode);

impl Risk {
    pub(super) fn new(rules: Arc<Rules>) -> Self {
        let taken = vec![(0, Taken::default()); TAKEN_MAX].into_boxed_slice();
        let tally = Tally::of(&rules);
        let (voids, never) = (Map::default(), Instant::default());
        Self { rules, taken, voids, tally, added_at: never, swept_at: never }
    }

    fn slot(&mut self, id: u64) -> Option<&mut (u64, Taken)> {
        self.taken.get_mut(id as usize % TAKEN_MAX)
    }

    fn ended(&mut self, id: u64, end: End) {
        let undone = self.voids.remove(&id).filter(|_| end == End::Approved);
        let back = match end {
            End::Approved => None,
            End::Declined => Some(Back::Declined),
            End::Undone => Some(Back::Undone),
        };
        let ended = back.map(|back| (id, back));
        let voided = undone.map(|sale| (sale, Back::Undone));
        for (id, back) in ended.into_iter().chain(voided) {
            let rules = Arc::clone(&self.rules);
            if let Some((of, taken)) = self.slot(id)
                && *of == id
            {
                rules.give_back(taken, back);
            }
        }
    }
}

impl Drop for Risk {
    fn drop(&mut self) {
        self.rules.add_up(&mut self.tally);
    }
}

impl Switch {
    /// Other rules, or none, from the next request on.
    pub(super) fn take_rules(&mut self, rules: Option<Arc<Rules>>) {
        match (rules, &mut self.risk) {
            (Some(rules), Some(risk)) => {
                risk.rules.add_up(&mut risk.tally);
                risk.tally = Tally::of(&rules);
                risk.rules = rules;
            }
            (Some(rules), risk) => *risk = Some(Box::new(Risk::new(rules))),
            (None, risk) => *risk = None,
        }
    }

    /// True if a rule counts by DE 32.
    #[inline]
    pub(super) fn counts_acquirers(&self) -> bool {
        self.risk.as_ref().is_some_and(|risk| risk.rules.asks_who_acquires())
    }

    /// The rule that speaks against the request, which was claimed and has a way to go, with its
    /// DE 39.
    #[cold]
    #[inline(never)]
    pub(super) fn unwanted(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
        (chosen, undoes): (&Chosen, &Undoes),
    ) -> Option<Unwanted> {
        let id = self.recent.past(sound.number)?.id;
        let risk = self.risk.as_deref_mut()?;
        let rules = &risk.rules;
        let mut asked = asked(rules, message, &sound.facts, (chosen, batch.now));
        // What completes nothing that is known is a sale, by whatever name, and counts as one.
        asked.kinds = asked.kinds.map(|kind| match undoes {
            Undoes::Nothing if kind == Kind::Completion => Kind::Purchase,
            Undoes::This(_, part) if part.side == Side::Taken => Kind::Completion,
            _ => kind,
        });
        let (of, taken) = risk.taken.get_mut(id as usize % TAKEN_MAX)?;
        *of = id;
        let verdict = rules.decide(&asked, taken, &mut risk.tally);
        // Who is alone is told of at once, many together now and then.
        if batch.now.instant.since(risk.added_at) >= SWEEP_INTERVAL {
            risk.added_at = batch.now.instant;
            rules.add_up(&mut risk.tally);
        }
        match verdict {
            Verdict::Passed => None,
            Verdict::Declined { rule, code } => Some((rule, code)),
        }
    }

    /// A rule spoke against it.
    #[cold]
    pub(super) fn say_unwanted(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        (number, (rule, code)): (u64, Unwanted),
        outbox: &mut Outbox,
    ) {
        self.stats.count(Counter::Declined);
        self.stats.count(Counter::Unwanted);
        let rules = self.risk.as_ref().map(|risk| Arc::clone(&risk.rules));
        let name = rules.as_ref().map_or("", |rules| rules.name(rule)).as_bytes();
        let name = name.get(..RULE_BYTES_MAX).unwrap_or(name);
        self.settle_refused(number, (code, name), self.storage == Storage::Ready, outbox);
        let mti = message.mti().response().unwrap_or_default();
        reply::write(message, mti, code, outbox.lane(batch.session));
        if batch.setup.tap {
            let outcome = Outcome::Declined(code.digits());
            outbox.record(decision::unrouted(batch.link_id, message, outcome));
        }
    }

    /// Transaction `id` is over, or has been undone since.
    #[inline]
    pub(super) fn limits_end(&mut self, id: u64, end: End) {
        if let Some(risk) = &mut self.risk {
            risk.ended(id, end);
        }
    }

    /// The request, which passed, was sent, or goes nowhere after all.
    #[cold]
    pub(super) fn limits_sent(&mut self, sound: &Sound, undoes: &Undoes, is_sent: bool) {
        let id_of = |number| self.recent.past(number).map(|past| past.id);
        let Some(id) = id_of(sound.number) else { return };
        let sale = match undoes {
            Undoes::This(bound, _) if sound.facts.kind == Kind::Void => id_of(bound.number),
            _ => None,
        };
        let Some(risk) = &mut self.risk else { return };
        match sale {
            _ if !is_sent => risk.ended(id, End::Undone),
            Some(sale) if risk.voids.len() < VOIDS_MAX => {
                risk.voids.insert(id, sale);
            }
            _ => {}
        }
    }

    /// Some pages of the memory, now and then: between requests.
    #[inline]
    pub(super) fn sweep_limits(&mut self, now: Now) {
        if let Some(risk) = &mut self.risk
            && now.instant.since(risk.swept_at) >= SWEEP_INTERVAL
        {
            risk.swept_at = now.instant;
            risk.rules.sweep(now.instant);
            risk.rules.add_up(&mut risk.tally);
        }
    }
}

/// What rules want to know of a message with these facts, which goes this way at this time.
pub fn asked<'f>(
    rules: &Rules,
    message: &Message<'_>,
    facts: &'f Authorization,
    (chosen, now): (&Chosen, Now),
) -> Asked<'f> {
    let mut elements = [0; ELEMENTS];
    for (hash, element) in elements.iter_mut().zip(rules.elements()) {
        *hash = message.key(*element);
    }
    let mcc = if facts.mcc == 0 { chosen.mcc } else { facts.mcc };
    let mccs = [mcc, if chosen.mcc == 0 { mcc } else { chosen.mcc }];
    let kind = |mcc| match facts.mcc == mcc {
        true => facts.kind,
        false => sound::kind_at(message, facts, mcc),
    };
    Asked {
        facts,
        network: chosen.network,
        region: chosen.region,
        home: chosen.home,
        mccs,
        kinds: mccs.map(kind),
        is_online: rules.asks_journeys() && is_online(message, facts),
        instrument: instrument(rules.secret(), message, facts),
        elements,
        now,
    }
}

/// DE 22 says so: paid on a page, or with what a merchant has kept; or the number was typed in and
/// DE 25 says that nobody stands there.
fn is_online(message: &Message<'_>, facts: &Authorization) -> bool {
    match facts.entry_mode / 10 {
        81 | 10 => true,
        1 => matches!(message.number(25), Some(8 | 59)),
        _ => false,
    }
}

/// The token of the card or code that pays, 0 if there is none.
fn instrument(secret: u64, message: &Message<'_>, facts: &Authorization) -> u64 {
    let Some(who) = facts.instrument else { return 0 };
    let is_scanned = facts.entry_mode / 10 == 3;
    if is_scanned
        && let Some(Composite::Text(rules)) = message.dialect.composite(59)
        && let Some(code) = message.value(59).and_then(|value| rules.find(value, b"A3"))
    {
        return token(secret, code);
    }
    let mut buffer = [0; 24];
    if let Some(count) = message.characters(2, &mut buffer) {
        return token(secret, buffer.get(..count).unwrap_or(&[]));
    }
    if let Some(pan) = message.pan() {
        return token(secret, pan.reveal());
    }
    // What its key says of it: more is not known of it anywhere.
    hash_of(secret ^ u64::from(who.length()), &who.head().to_be_bytes())
}

/// Transactions of a worker whose count can be given back: what is older stays counted. 10 MiB.
const TAKEN_MAX: usize = 1 << 16;

/// Voids in flight whose sales are known; more only leave their sales counted.
const VOIDS_MAX: usize = 1 << 16;

/// Bytes of a rule's name that are kept on record.
const RULE_BYTES_MAX: usize = 255;

/// How often a worker sweeps some pages of the memory: a gibibyte in some eighty seconds.
const SWEEP_INTERVAL: Duration = Duration::from_millis(10);
