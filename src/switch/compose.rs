//! The reversals the switch writes: from what was kept of the original, to the partner's dialect.
//!
//! DE 90 names the original as the partner saw it. Everything else is what the original said, but
//! for the STAN, the date and, of a partial approval, the amount.

use crate::base::codes::Edition;
use crate::base::ids::LinkId;
use crate::base::time::Now;
use crate::iso8583::dialect::Dialect;
use crate::iso8583::digits;
use crate::iso8583::encode;
use crate::iso8583::frame::{self, Cut};
use crate::iso8583::message::Message;
use crate::iso8583::mti::Mti;
use crate::iso8583::transcode::Changes;

use super::bug::Bug;
use super::{Switch, setup, sound};

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
        let setup = std::sync::Arc::clone(&self.setup);
        let path = setup::path(&self.paths, setup.links.len(), original.acquirer, original.partner);
        let (Some(path), Some(from), Some(to)) =
            (path, setup.link(original.acquirer), setup.link(original.partner))
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
            let mut texts = Texts::new();
            let mut named = *original;
            if setup.has(Bug::AcquirersStan) {
                named.stan = message.number(11).unwrap_or(0) as u32;
            }
            let (values, count) = texts.fill(now, &named, &message, to, stan);
            let edition = to.spec.edition.map_or(0, Edition::digit);
            let changes = Changes {
                mti: Mti::from_packed(0x0420 | u16::from(edition) << 12),
                replaced: values.get(..count).unwrap_or(&[]),
                ..Changes::default()
            };
            let header = |out: &mut Vec<u8>| encode::template_header(to, out);
            path.there.carry(&message, to, header, &changes, &mut self.scratch, out).is_ok()
        };
        self.refusal_index = Some(index);
        written
    }
}

/// The values of a reversal that differ from its original's.
struct Texts {
    stan: [u8; 12],
    stan_digits: usize,
    date: [u8; 10],
    amount: [u8; 12],
    approval: [u8; 6],
    original: [u8; 42],
}

impl Texts {
    const fn new() -> Self {
        Self {
            stan: [0; 12],
            stan_digits: 0,
            date: [0; 10],
            amount: [0; 12],
            approval: [0; 6],
            original: [0; 42],
        }
    }

    fn fill(
        &mut self,
        now: Now,
        original: &Original,
        kept: &Message<'_>,
        to: &Dialect,
        stan: u32,
    ) -> ([(u8, &[u8]); 5], usize) {
        self.stan_digits = usize::from(to.field(11).units).min(12);
        let written = sound::stan_digits(to.field(11), stan, &mut self.stan).is_some();
        self.date = now.wall.civil().de7();
        self.approval = original.approval.unwrap_or_default();
        if let Some(part) = original.part {
            digits::write_ascii_number(part, &mut self.amount);
        }
        self.original = original_data(kept, original.stan, to);
        let stan = self.stan.get(..self.stan_digits).unwrap_or(&[]);
        let values: [(u8, &[u8], bool); 5] = [
            (4, &self.amount, original.part.is_some()),
            (7, &self.date, true),
            (11, stan, written),
            (38, &self.approval, original.approval.is_some()),
            (90, &self.original, true),
        ];
        let mut count = 0;
        let mut there: [(u8, &[u8]); 5] = [(0, &[]); 5];
        for (element, value, _) in
            values.into_iter().filter(|(element, _, said)| *said && to.has(*element))
        {
            there[count] = (element, value);
            count += 1;
        }
        (there, count)
    }
}

/// DE 90: MTI 4, STAN 6, DE 7 10, DE 32 and DE 33 right-justified in 11 each.
fn original_data(kept: &Message<'_>, stan: u32, to: &Dialect) -> [u8; 42] {
    let mut data = [b'0'; 42];
    let mti = match to.spec.edition {
        Some(edition) => crate::iso8583::transcode::mti_in_edition(kept.mti(), edition.digit()),
        None => kept.mti(),
    };
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
