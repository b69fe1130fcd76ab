//! Transfers are known by their reference: money that is sent twice does not come back by itself.
//!
//! A terminal repeats what it asked under the same STAN, and [`super::repeat`] knows it again. Who
//! orders a transfer may ask again hours later, from another machine, under a new STAN; the DE 37
//! it gave stays. So each transfer that is sent spends the reference of its merchant, once: what
//! comes with it later is refused (94), whatever became of the first. What was never sent has spent
//! nothing.
//!
//! A spent reference is kept as the refusal that it is, under a key of its own, in memory, on
//! record and in the index on the disk. For a transfer alone, and always, the disk is asked: it may
//! take its time.

use crate::base::codes::ResponseCode;
use crate::base::ids::LinkId;
use crate::iso8583::message::Message;

use super::fault::Fault;
use super::lookup::About;
use super::older::{Dated, Sought};
use super::outbox::Outbox;
use super::recent::{Claim, Fate, Known, TerminalKey};
use super::sound::Sound;
use super::{Batch, Switch, noted, repeat};

/// What a transfer may do with its reference.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reference {
    /// The transfer itself is known.
    Known,
    /// It is its own, under this number, until it is known whether it was sent.
    Claimed(u64),
    /// Whether it was spent is looked up; the message is taken again then.
    Sought,
}

impl Switch {
    /// A transfer that nobody has taken back: it is asked, or told, if its reference is its own.
    #[cold]
    pub(super) fn transfer(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        (key, sound, is_full): (&TerminalKey, &mut Sound, bool),
        framed: &[u8],
        outbox: &mut Outbox,
    ) -> Result<(), Fault> {
        let reference = match self.reference(batch, message, (key, sound), framed, outbox)? {
            Reference::Known => None,
            Reference::Claimed(reference) => Some(reference),
            Reference::Sought => return Ok(()),
        };
        let first = self.first_of(batch, message, (key, sound), framed, outbox);
        let number = first.as_ref().ok().copied().flatten();
        let heard = match number {
            Some(number) => {
                sound.number = number;
                self.hear(batch, message, (sound, is_full), framed, outbox)
            }
            None => first.map(|_| ()),
        };
        reference.into_iter().for_each(|it| self.end_reference(it, number, outbox));
        heard
    }

    /// Claims the reference of a transfer that nobody knows by `key`.
    ///
    /// # Errors
    ///
    /// [`Fault::Conflict`] if another transfer has spent it; [`Fault::Missing`] if there is none.
    #[cold]
    pub(super) fn reference(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        (key, sound): (&TerminalKey, &Sound),
        framed: &[u8],
        outbox: &mut Outbox,
    ) -> Result<Reference, Fault> {
        let merchant = &sound.facts.merchant;
        let hash = self.reference_hash(batch.link_id, message, merchant);
        // Nothing would guard it.
        let hash = hash.ok_or(Fault::Missing(37))?;
        let is_repeat = message.mti().is_repeat();
        if is_repeat && self.waits_for_original(batch, key, framed, outbox)? {
            return Ok(Reference::Sought);
        }
        let now = batch.now.instant;
        let is_it = |other: &_| repeat::is_same_request(other, key, now);
        if self.recent.find(key.hash, key.moment, is_it).is_some() {
            return Ok(Reference::Known);
        }
        let reference = TerminalKey { hash, moment: 0, fingerprint: 0 };
        let claim = Claim { id: self.next_id(), key: reference, acquirer: batch.link_id, at: now };
        match self.recent.claim(claim, |other| other.key.hash == hash) {
            Known::New(number) => {
                let hashes = [Some(hash), None, None, None];
                let sought = Sought { hashes, moment: 0, dated: Dated::Exactly };
                match self.look_up(batch, framed, (About::Reference, sought), outbox) {
                    Ok(false) => Ok(Reference::Claimed(number)),
                    waits => {
                        self.recent.forget(number);
                        waits.map(|_| Reference::Sought)
                    }
                }
            }
            Known::Here(_) | Known::Elsewhere(_) => Err(Fault::Conflict),
            Known::NoRoom => Err(Fault::Overload),
        }
    }

    /// The transfer that was claimed as `number`, if it was, has gone as far as it goes: if it was
    /// sent, or is told, its reference is spent.
    #[cold]
    pub(super) fn end_reference(
        &mut self,
        reference: u64,
        number: Option<u64>,
        outbox: &mut Outbox,
    ) {
        let transfer = number.and_then(|number| self.recent.past(number));
        if transfer.is_none_or(|transfer| transfer.partner.is_none()) {
            return self.recent.forget(reference);
        }
        let Some(spent) = self.recent.past_mut(reference) else { return };
        (spent.fate, spent.code) = (Fate::Declined, repeat::padded(ResponseCode::DUPLICATE));
        noted::refused(spent, b"", outbox);
        self.recent.settle(reference);
    }

    /// Of DE 37 and who gave it; nothing where there is none, or where it is blank.
    fn reference_hash(
        &self,
        link: LinkId,
        message: &Message<'_>,
        merchant: &[u8; 15],
    ) -> Option<u64> {
        let reference = message.text::<12>(37).filter(|text| text.iter().any(is_said))?;
        let key = self.setup.key ^ (u64::from(link.0) << 48 | REFERENCES);
        Some(repeat::hash_of_text(repeat::hash_of_text(key, merchant), &reference))
    }
}

const fn is_said(byte: &u8) -> bool {
    !matches!(byte, b' ' | b'0')
}

/// Keeps their keys apart from those of terminals.
const REFERENCES: u64 = 0x5245_4645;
