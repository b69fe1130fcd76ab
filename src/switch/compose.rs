//! The messages the switch writes for what it owes: reversals and advices, from what was kept of
//! the original, in the partner's dialect.
//!
//! DE 90 names the original as the partner saw it. Everything else is what the original said, but
//! for the STAN; of a reversal also the date and, of a partial approval, the amount; of an advice
//! what was approved. An advice keeps the date of the sale.

use crate::base::codes::{Edition, ResponseCode};
use crate::base::ids::LinkId;
use crate::base::time::Now;
use crate::iso8583::bitmap::Bitmap;
use crate::iso8583::dialect::Dialect;
use crate::iso8583::digits;
use crate::iso8583::encode;
use crate::iso8583::frame::{self, Cut};
use crate::iso8583::message::Message;
use crate::iso8583::mti::Mti;
use crate::iso8583::transcode::{self, Changes};

use super::bug::Bug;
use super::recent::Hearing;
use super::{Switch, reply, setup, sound};

/// What a reversal has to say about its original, beside what was kept of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Original {
    pub(super) id: u64,
    pub(super) acquirer: LinkId,
    pub(super) partner: LinkId,
    /// The STAN the partner was sent.
    pub(super) stan: u32,
    pub(super) approval: Option<[u8; 6]>,
    /// What of the amount was approved, if not all.
    pub(super) part: Option<u64>,
    /// How the partner heard of it.
    pub(super) told: Hearing,
}

/// What an advice has to say, beside what was kept of what it tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Advice {
    pub(super) acquirer: LinkId,
    pub(super) partner: LinkId,
    /// DE 38, if it was the switch that approved.
    pub(super) approval: Option<[u8; 6]>,
    /// DE 90, if it completes something that the partner knows under another name.
    pub(super) original: Option<[u8; 42]>,
}

impl Switch {
    /// Writes the 0420 as it will be sent, framed.
    pub(super) fn write_reversal(
        &mut self,
        now: Now,
        original: &Original,
        kept: &[u8],
        stan: u32,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> bool {
        let acquirers_stan = self.setup.has(Bug::AcquirersStan);
        let ways = (original.acquirer, original.partner);
        self.write_from_kept(ways, kept, scratch, out, |kept, to, texts| {
            let mut named = original.stan;
            if acquirers_stan {
                named = kept.stan().unwrap_or(0);
            }
            texts.stan(to, stan);
            texts.put(7, &now.wall.civil().de7());
            texts.put_amount(original.part);
            texts.put(38, original.approval.as_ref().map_or(&[], |code| code));
            texts.put(90, &original_data(kept, named, original.told, to));
            Mti::from_packed(0x0420)
        })
    }

    /// Writes the question what became of `original`, framed. False if the partner's dialect has
    /// no element that names it.
    pub(super) fn write_inquiry(
        &mut self,
        now: Now,
        original: &Original,
        kept: &[u8],
        mti: Mti,
        (scratch, out): (&mut Vec<u8>, &mut Vec<u8>),
    ) -> bool {
        let ways = (original.acquirer, original.partner);
        let mut is_named = false;
        let written = self.write_from_kept(ways, kept, scratch, out, |kept, to, texts| {
            is_named = to.has(90) || kept.has(37) && to.has(37);
            texts.stan(to, original.stan);
            let mut processing = [b'0'; 6];
            kept.characters(3, &mut processing);
            processing[..2].copy_from_slice(b"31");
            texts.put(3, &processing);
            // Whoever takes it for a purchase has nothing to book.
            texts.put_amount(kept.has(4).then_some(0));
            texts.put(7, &now.wall.civil().de7());
            texts.put(90, &original_data(kept, original.stan, original.told, to));
            Some(mti)
        });
        written && is_named
    }

    /// Writes an 0120 or 0220 as it will be sent, framed.
    pub(super) fn write_advice(
        &mut self,
        advice: &Advice,
        kept: &[u8],
        stan: u32,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> bool {
        let ways = (advice.acquirer, advice.partner);
        self.write_from_kept(ways, kept, scratch, out, |kept, to, texts| {
            texts.stan(to, stan);
            if let Some(approval) = &advice.approval {
                texts.put(38, approval);
                let mut code = [0; 3];
                texts.put(39, reply::code_of(to, ResponseCode::APPROVED, &mut code));
            }
            texts.put(90, advice.original.as_ref().map_or(&[], |data| data));
            Some(kept.mti().advice())
        })
    }

    /// Carries what was kept to the partner's dialect, with the texts and the MTI that `change`
    /// says. False if it cannot be written there; `out` is then as it was.
    fn write_from_kept(
        &mut self,
        (acquirer, partner): (LinkId, LinkId),
        kept: &[u8],
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
        change: impl FnOnce(&Message<'_>, &Dialect, &mut Texts) -> Option<Mti>,
    ) -> bool {
        let setup = std::sync::Arc::clone(&self.setup);
        let path = setup::path(&self.paths, setup.links.len(), acquirer, partner);
        let (Some(path), Some(from), Some(to)) = (path, setup.link(acquirer), setup.link(partner))
        else {
            return false;
        };
        let (from, to) = (&*from.dialect, &*to.dialect);
        scratch.clear();
        encode::template_header(from, scratch);
        scratch.extend_from_slice(kept);
        let mut index = self.refusal_index.take().unwrap_or_default();
        let sound = from.decode(scratch, &mut index).is_ok();
        let written = sound && {
            let message = Message { bytes: scratch, index: &index, dialect: from };
            let mut texts = Texts::default();
            let mti = change(&message, to, &mut texts);
            let (values, count) = texts.said(to);
            let edition = to.spec.edition.map_or(0, Edition::digit);
            let changes = Changes {
                mti: mti.map(|mti| transcode::mti_in_edition(mti, edition)),
                replaced: values.get(..count).unwrap_or(&[]),
                without: left_out(&message, mti),
            };
            let header = |out: &mut Vec<u8>| encode::template_header(to, out);
            path.there.carry(&message, to, header, &changes, &mut self.scratch, out).is_ok()
        };
        self.refusal_index = Some(index);
        written
    }
}

/// What a reversal does not repeat of an advice that it takes back.
fn left_out(kept: &Message<'_>, mti: Option<Mti>) -> Bitmap {
    if mti.is_some_and(Mti::is_advice) {
        return Bitmap::default();
    }
    let mut left_out = kept.present().without(&kept.dialect.kept);
    left_out.remove(38);
    left_out
}

/// The values of a message that differ from its original's.
#[derive(Default)]
struct Texts {
    values: [(u8, Text); 6],
    count: usize,
}

/// Up to 42 characters, as many as DE 90 has.
#[derive(Clone, Copy)]
struct Text {
    bytes: [u8; 42],
    length: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; 42], length: 0 }
    }
}

impl Texts {
    /// Says `value` of an element; nothing if it is empty.
    fn put(&mut self, element: u8, value: &[u8]) {
        let Some((slot, text)) = self.values.get_mut(self.count).filter(|_| !value.is_empty())
        else {
            return;
        };
        *slot = element;
        text.length = value.len().min(text.bytes.len());
        text.bytes[..text.length].copy_from_slice(&value[..text.length]);
        self.count += 1;
    }

    fn put_amount(&mut self, amount: Option<u64>) {
        let mut digits = [0; 12];
        if let Some(minor) = amount {
            digits::write_ascii_number(minor, &mut digits);
            self.put(4, &digits);
        }
    }

    fn stan(&mut self, to: &Dialect, stan: u32) {
        let mut buffer = [0; 12];
        if let Some(digits) = sound::stan_digits(to.field(11), stan, &mut buffer) {
            self.put(11, digits);
        }
    }

    /// What the dialect `to` has of them, and how many that is.
    fn said(&self, to: &Dialect) -> ([(u8, &[u8]); 6], usize) {
        let mut said: [(u8, &[u8]); 6] = [(0, &[]); 6];
        let mut count = 0;
        for (element, text) in self.values.iter().take(self.count) {
            if to.has(*element) {
                said[count] = (*element, &text.bytes[..text.length]);
                count += 1;
            }
        }
        (said, count)
    }
}

/// DE 90: MTI 4, STAN 6, DE 7 10, DE 32 and DE 33 right-justified in 11 each.
pub(super) fn original_data(
    kept: &Message<'_>,
    stan: u32,
    told: Hearing,
    to: &Dialect,
) -> [u8; 42] {
    let mut data = [b'0'; 42];
    let mti = match told {
        Hearing::Asked => kept.mti(),
        Hearing::Advised => kept.mti().advice(),
    };
    let edition = to.spec.edition;
    let mti = edition.map_or(mti, |edition| transcode::mti_in_edition(mti, edition.digit()));
    data[..4].copy_from_slice(&mti.ascii());
    digits::write_ascii_number(u64::from(stan), &mut data[4..10]);
    digits::write_ascii_number(kept.number(7).unwrap_or(0), &mut data[10..20]);
    for (element, place) in [(32, 20..31), (33, 31..42)] {
        let mut buffer = [0; 11];
        if let Some(count) = kept.characters(element, &mut buffer) {
            let end = place.end;
            data[end - count..end].copy_from_slice(&buffer[..count]);
        }
    }
    data
}

/// The message in a whole frame: header and all, without length.
pub(super) fn body_of<'f>(dialect: &Dialect, bytes: &'f [u8]) -> Option<&'f [u8]> {
    match frame::cut(&dialect.spec.framing, bytes) {
        Cut::Frame { start, end, .. } => bytes.get(start..end),
        _ => None,
    }
}

/// Makes a copy a repeat: the last digit of the MTI is odd, whatever its wire form.
pub(super) fn mark_repeat(dialect: &Dialect, copy: &mut [u8]) {
    let Cut::Frame { start, .. } = frame::cut(&dialect.spec.framing, copy) else { return };
    let last = start + dialect.header_bytes + dialect.mti_bytes - 1;
    if let Some(byte) = copy.get_mut(last) {
        *byte |= 1;
    }
}
