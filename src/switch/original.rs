//! What a message names: the transaction that a reversal, completion, void or refund is about.
//!
//! By DE 90, exactly; without it by the STAN of the original, as terminals do; a void, a refund or
//! a completion also by DE 37 and DE 38 of what was approved lately. Always of the same link,
//! terminal and merchant. Whoever is found binds the message to the partner that has the original,
//! and tells how the partner knows it. Nothing is decided here about money.
//!
//! What DE 90 names and nobody remembers is looked up. Without DE 90 only what is remembered is
//! found: a STAN comes round, so over weeks it names another sale, and what names none (a refund
//! without a receipt, a sale approved offline) must not wait for an index.

use crate::base::ids::{LinkId, WorkerId};
use crate::iso8583::dialect::Dialect;
use crate::iso8583::digits;
use crate::iso8583::encode;
use crate::iso8583::message::Message;

use super::bug::Bug;
use super::compose::original_data;
use super::fault::Fault;
use super::index::Place;
use super::lookup::About;
use super::older::{Dated, Sought};
use super::outbox::Outbox;
use super::recent::{Fate, Past};
use super::sound::{Sound, facts};
use super::{Batch, Switch};

/// How a message names its original.
pub(super) struct Named {
    pub(super) stan: u32,
    /// DE 7 of the original, 0 if it is not told.
    pub(super) moment: u64,
    /// DE 7 of the message, where DE 90 does not name another: many terminals repeat that of the
    /// original. 0 if there is none.
    own: u64,
    /// Class and function it may have.
    pub(super) kinds: [Option<u16>; 4],
    /// DE 90 names it.
    pub(super) by_data: bool,
}

impl Named {
    /// True if the transaction of this moment is the one that is named, and no other.
    pub(super) const fn is_exact(&self, moment: u64) -> bool {
        moment != 0 && (moment == self.moment || moment == self.own)
    }
}

/// The partner that has the original, and DE 90 as that partner knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    /// Under which the original is remembered.
    pub(super) number: u64,
    pub(super) partner: LinkId,
    /// DE 49 is not that of the original.
    pub(super) is_other_currency: bool,
    /// The account or payment code is said, and is not that of the original.
    pub(super) is_other_account: bool,
    /// The original holds an amount, and takes none: it is of class 1.
    pub(super) is_hold: bool,
    pub(super) data: [u8; 42],
}

/// Who has the original of a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    /// This worker remembers it.
    Here(Bound),
    /// That one does.
    Elsewhere(WorkerId),
    /// It is being looked up; the message is taken again then.
    Sought,
    /// Nobody, or none is named.
    Unknown,
}

/// From DE 90; without it the message carries its original's STAN.
pub(super) fn named(message: &Message<'_>, sound: &Sound) -> Named {
    let mut buffer = [0; 42];
    let number = |digits: Option<&[u8]>| digits.and_then(digits::ascii_number).unwrap_or(0);
    if message.characters(90, &mut buffer) == Some(42) {
        let mti = number(buffer.get(1..2)) << 4 | number(buffer.get(2..3));
        return Named {
            stan: number(buffer.get(4..10)) as u32,
            moment: digits::nibbles(buffer.get(10..20).unwrap_or(&[])),
            own: 0,
            kinds: [Some(mti as u16), None, None, None],
            by_data: true,
        };
    }
    let kinds = [0x10, 0x20, 0x22, 0x12].map(Some);
    let own = sound.moment;
    Named { stan: sound.stan_number, moment: 0, own, kinds, by_data: false }
}

impl Switch {
    /// The original that is named: of the same link, terminal and merchant. Best is one with the
    /// DE 7 of the message; then the newest of ours, which can be looked at; then another
    /// worker's, in turn, since a STAN alone may lead to the wrong one.
    pub(super) fn original_of(
        &self,
        batch: &Batch<'_>,
        sound: &Sound,
        named: &Named,
    ) -> Option<Place> {
        let of_moment = |moment, is_it: fn(&Past) -> bool| {
            let named = Named { moment, ..*named };
            let places = named.kinds.map(|kind| self.named_as(batch, sound, &named, kind?, is_it));
            let here = places.iter().flatten().filter_map(|place| match place {
                Place::Here(number) => Some(*number),
                Place::Elsewhere(_) => None,
            });
            let others = places.iter().flatten().count().max(1);
            let next = || places.into_iter().flatten().nth(self.recent.turn() as usize % others);
            here.max().map(Place::Here).or_else(next)
        };
        let exact = (named.own != 0).then(|| of_moment(named.own, |_| true)).flatten();
        // What was only ever taken back must not hide what was asked.
        let asked = || {
            of_moment(named.moment, |past| past.partner.is_some())
                .filter(|place| matches!(place, Place::Here(_)))
        };
        exact.or_else(asked).or_else(|| of_moment(named.moment, |_| true))
    }

    /// The original that is named, for whoever looks further back.
    pub(super) fn sought(&self, batch: &Batch<'_>, sound: &Sound, named: &Named) -> Sought {
        let (terminal, merchant) = (&sound.facts.terminal, &sound.facts.merchant);
        let hash = |kind| self.terminal_hash(batch.link_id, terminal, merchant, named.stan, kind);
        let hashes = named.kinds.map(|kind| kind.map(hash));
        Sought { hashes, moment: named.moment, dated: Dated::IfKnown }
    }

    /// The same, of this class and function.
    fn named_as(
        &self,
        batch: &Batch<'_>,
        sound: &Sound,
        named: &Named,
        kind: u16,
        is_it: fn(&Past) -> bool,
    ) -> Option<Place> {
        let (terminal, merchant) = (&sound.facts.terminal, &sound.facts.merchant);
        let hash = self.terminal_hash(batch.link_id, terminal, merchant, named.stan, kind);
        self.recent.find(hash, named.moment, |past| {
            let other = &past.key;
            let any = named.moment == 0 || other.moment == 0;
            // The message itself is there already, undecided.
            other.hash == hash
                && (any || other.moment == named.moment)
                && past.fate != Fate::UNDECIDED
                && is_it(past)
        })
    }

    /// Whom a completion, void or refund is bound to, if its original is known.
    #[cold]
    pub(super) fn origin(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
        framed: &[u8],
        outbox: &mut Outbox,
    ) -> Result<Origin, Fault> {
        if batch.setup.has(Bug::OriginalIgnored) {
            return Ok(Origin::Unknown);
        }
        let named = named(message, sound);
        let origin = self.remembered_origin(batch, message, sound, &named);
        // What was found and binds to nobody was refused, or is another.
        let is_settled = !named.by_data || batch.looked.has_original();
        if !matches!(origin, Origin::Unknown) || is_settled {
            return Ok(origin);
        }
        let sought = self.sought(batch, sound, &named);
        let waits = self.look_up(batch, framed, (About::Original, sought), outbox)?;
        Ok(if waits { Origin::Sought } else { Origin::Unknown })
    }

    fn remembered_origin(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        sound: &Sound,
        named: &Named,
    ) -> Origin {
        let is_exact = named.moment != 0;
        let mut elsewhere = None;
        for kind in named.kinds.into_iter().flatten() {
            match self.named_as(batch, sound, named, kind, |_| true) {
                Some(Place::Here(number)) => {
                    if let Some(bound) = self.bound_to(batch, message, number, is_exact) {
                        return Origin::Here(bound);
                    }
                }
                Some(Place::Elsewhere(worker)) => elsewhere = elsewhere.or(Some(worker)),
                None => {}
            }
        }
        if !is_exact && let Some(bound) = self.approved_as(batch, message) {
            return Origin::Here(bound);
        }
        // What was passed on to us is not sent from door to door.
        let is_passed = self.sessions.of(batch.session).is_none_or(|session| session.shared);
        elsewhere.filter(|_| !is_passed).map_or(Origin::Unknown, Origin::Elsewhere)
    }

    /// Newest first, what was approved with the DE 38 that the message repeats, of the terminal or
    /// merchant and with the DE 37 that it repeats too. Only what this worker remembers.
    fn approved_as(&mut self, batch: &Batch<'_>, message: &Message<'_>) -> Option<Bound> {
        let approval = message.text::<6>(38).filter(|code| *code != *b"      ")?;
        message.text::<12>(37)?;
        let is_it = |(number, past): (u64, &Past)| {
            let is_it = past.approval == Some(approval) && past.acquirer == batch.link_id;
            is_it.then_some(number)
        };
        let candidates = self.recent.newest(REFERRED_MAX).filter_map(is_it);
        let candidates: Vec<u64> = candidates.take(CANDIDATES_MAX).collect();
        candidates.into_iter().find_map(|number| self.bound_to(batch, message, number, false))
    }

    /// Whom transaction `number` binds to; `None` if nobody was asked, or if it is another by its
    /// DE 37, DE 41 or DE 42, which only an exact name makes up for.
    fn bound_to(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        number: u64,
        is_exact: bool,
    ) -> Option<Bound> {
        let past = self.recent.past(number)?;
        let (partner, stan, told) = (past.partner?, past.stan, past.told);
        let to = &batch.setup.link(partner)?.dialect;
        let bound = |original: &Message<'_>| {
            let same = |element| match (original.value(element), message.value(element)) {
                (Some(original), Some(named)) => digits::are_same(original, named),
                _ => true,
            };
            let (is_other_currency, is_other_account) =
                (!same(49), is_other_account(original, message));
            let is_it = || !is_other_account && [37, 41, 42].into_iter().all(same);
            (is_exact || is_it()).then(|| Bound {
                number,
                partner,
                is_other_currency,
                is_other_account,
                is_hold: original.mti().class() == 1,
                data: original_data(original, stan, told, to),
            })
        };
        self.with_kept(number, &batch.link.dialect, bound)?
    }

    /// What `read` finds in what was kept of transaction `number`, which came in `dialect`; `None`
    /// if nothing that can be read was kept.
    #[cold]
    pub(super) fn with_kept<T>(
        &mut self,
        number: u64,
        dialect: &Dialect,
        read: impl FnOnce(&Message<'_>) -> T,
    ) -> Option<T> {
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        encode::template_header(dialect, &mut bytes);
        self.recent.kept(number).iter().for_each(|part| bytes.extend_from_slice(part));
        let mut index = self.refusal_index.take().unwrap_or_default();
        let decoded = dialect.decode(&bytes, &mut index);
        let found =
            decoded.is_ok().then(|| read(&Message { bytes: &bytes, index: &index, dialect }));
        self.refusal_index = Some(index);
        self.scratch = bytes;
        found
    }
}

/// True if both say what pays, and not the same. What of a track is kept is its account number.
fn is_other_account(original: &Message<'_>, message: &Message<'_>) -> bool {
    if let (Some(original), Some(said)) = (original.pan(), message.pan()) {
        return original.reveal() != said.reveal();
    }
    let (original, said) = (facts(original).instrument, facts(message).instrument);
    matches!((original, said), (Some(original), Some(said)) if original != said)
}

/// Past transactions that are looked through for a DE 38: a tenth of a millisecond.
const REFERRED_MAX: u64 = 4096;

/// Of these, how many may have it by chance.
const CANDIDATES_MAX: usize = 8;
