//! The partner's answer to one request, written straight into the connection's output.
//!
//! A real host echoes what identifies a transaction and drops what it must not send back (card
//! number, track, PIN, chip data). Fields are copied in runs as they lie in the request; nothing
//! is decoded but DE 37, which decides the fate of the request.

use crate::fate::{APPROVED, Fate};
use crate::frame::{BITMAP_BYTES, Field, Form, LENGTH_BYTES, MTI_BYTES, walk};

/// How this partner answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) form: Form,
    pub(crate) fate: Fate,
}

/// Appends the answer to `request`, or nothing: to a message that is itself an answer, to one
/// that cannot be read, and to one whose fate is silence.
#[inline]
pub(crate) fn append(request: &[u8], rules: &Rules, out: &mut Vec<u8>) {
    let begin = out.len();
    if write(request, rules, out).is_none() {
        out.truncate(begin);
    }
}

fn write(request: &[u8], rules: &Rules, out: &mut Vec<u8>) -> Option<()> {
    let begin = out.len();
    let mti_at = rules.form.mti_at();
    let fields_at = mti_at + MTI_BYTES + BITMAP_BYTES;
    let head = request.get(..fields_at)?;
    let function = head[mti_at + 1];
    if function & 0x10 != 0 {
        return None;
    }
    out.extend_from_slice(head);
    if rules.form == Form::Tpdu {
        let tpdu = &mut out[begin + LENGTH_BYTES..];
        [tpdu[1], tpdu[2], tpdu[3], tpdu[4]] = [tpdu[3], tpdu[4], tpdu[1], tpdu[2]];
    }
    // The answer to a repeat is the answer to its first: the repeat digit is cleared.
    out[begin + mti_at + 1] = (function & 0xFE) + 0x10;
    let mut draft = Draft { request, rules, begin, out, run: 0..0, present: 0, rrn: &[] };
    let secondary = request[mti_at + MTI_BYTES] & 0x80 != 0;
    if secondary {
        draft.out.extend_from_slice(&[0; BITMAP_BYTES]);
    }
    let authorization = head[mti_at] & 0x0F != 0x08;
    let mut decided = false;
    let mut silent = false;
    walk(request, rules.form, |field| {
        if field.de > 39 && !decided {
            decided = true;
            silent = draft.decide(authorization).is_none();
        }
        if ECHO & bit(field.de) != 0 {
            draft.copy(field);
        }
        !silent
    })?;
    if !decided {
        silent = draft.decide(authorization).is_none();
    }
    draft.flush();
    let present = draft.present;
    if silent {
        return None;
    }
    finish(out, begin, mti_at, present, secondary)
}

/// An answer in the making.
struct Draft<'a, 'o> {
    request: &'a [u8],
    rules: &'a Rules,
    begin: usize,
    out: &'o mut Vec<u8>,
    /// Fields of the request that lie side by side and are not yet copied.
    run: std::ops::Range<usize>,
    present: u128,
    rrn: &'a [u8],
}

impl Draft<'_, '_> {
    #[inline]
    fn copy(&mut self, field: Field) {
        if field.de == 37 {
            self.rrn = &self.request[field.start..field.end];
        }
        self.present |= bit(field.de);
        if field.start == self.run.end {
            self.run.end = field.end;
        } else {
            self.flush();
            self.run = field.start..field.end;
        }
    }

    #[inline]
    fn flush(&mut self) {
        self.out.extend_from_slice(&self.request[self.run.clone()]);
        self.run = 0..0;
    }

    /// Adds DE 38 to an approval, and DE 39. None if the request is never to be answered.
    #[inline]
    fn decide(&mut self, authorization: bool) -> Option<()> {
        debug_assert!(self.out.len() > self.begin, "the head is written first");
        self.flush();
        let code = if authorization { self.rules.fate.code(self.rrn)? } else { APPROVED };
        if authorization && code == APPROVED {
            // The approval code repeats the end of the RRN: unlike per request, yet predictable.
            self.present |= bit(38);
            self.out.extend_from_slice(self.rrn.last_chunk::<6>().unwrap_or(b"000000"));
        }
        self.present |= bit(39);
        self.out.extend_from_slice(&code);
        Some(())
    }
}

/// Writes the bitmaps and the length, now that they are known.
fn finish(
    out: &mut Vec<u8>,
    begin: usize,
    mti_at: usize,
    mut present: u128,
    secondary: bool,
) -> Option<()> {
    let bitmap_at = begin + mti_at + MTI_BYTES;
    if present as u64 != 0 {
        present |= bit(1);
        out[bitmap_at..][..2 * BITMAP_BYTES].copy_from_slice(&present.to_be_bytes());
    } else {
        if secondary {
            out.drain(bitmap_at + BITMAP_BYTES..bitmap_at + 2 * BITMAP_BYTES);
        }
        let first = (present >> 64) as u64;
        out[bitmap_at..][..BITMAP_BYTES].copy_from_slice(&first.to_be_bytes());
    }
    let size = u16::try_from(out.len() - begin - LENGTH_BYTES).ok()?;
    out[begin..][..LENGTH_BYTES].copy_from_slice(&size.to_be_bytes());
    Some(())
}

const fn bit(de: u8) -> u128 {
    1 << (128 - de as u32)
}

/// What a host sends back as it came.
const ECHO: u128 = bit(3)
    | bit(4)
    | bit(7)
    | bit(11)
    | bit(12)
    | bit(13)
    | bit(32)
    | bit(37)
    | bit(41)
    | bit(42)
    | bit(49)
    | bit(70)
    | bit(90);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::whole;
    use crate::message::{Fleet, Requests};

    fn rules(form: Form) -> Rules {
        Rules { form, fate: Fate::default() }
    }

    #[test]
    fn an_approval_echoes_what_identifies_the_request() {
        let mut request = Vec::new();
        Requests::new(Form::Tpdu).append(&mut request, 77, Fleet::of(1));
        let mut out = Vec::new();
        append(&request, &rules(Form::Tpdu), &mut out);
        assert_eq!(whole(&out, 0), Some(out.len()));
        assert_eq!(out[2..9], [0x60, 0x00, 0x00, 0x00, 0x03, 0x01, 0x10]);
        let mut seen = Vec::new();
        let end = walk(&out, Form::Tpdu, |field| {
            seen.push(field.de);
            true
        });
        assert_eq!(end, Some(()));
        assert_eq!(seen, [3, 4, 7, 11, 12, 13, 32, 37, 38, 39, 41, 42, 49]);
    }

    #[test]
    fn a_sign_on_is_answered_with_its_function() {
        let request = [
            0, 0, 0x08, 0x20, 0x82, 0x20, 0, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0, 0, 0, 0x11, 0x22,
            0x02, 0x23, 0x00, 0x00, 0x01, 0x23, 0x00, 0x01,
        ];
        let mut out = Vec::new();
        append(&request, &rules(Form::Bare), &mut out);
        let expected = [
            0, 30, 0x08, 0x30, 0x82, 0x20, 0, 0, 0x02, 0, 0, 0, 0x04, 0, 0, 0, 0, 0, 0, 0, 0x11,
            0x22, 0x02, 0x23, 0x00, 0x00, 0x01, 0x23, b'0', b'0', 0x00, 0x01,
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn an_answer_and_a_torn_message_get_no_answer() {
        let mut request = Vec::new();
        Requests::new(Form::Bare).append(&mut request, 1, Fleet::of(1));
        let mut out = b"before".to_vec();
        append(&request[..100], &rules(Form::Bare), &mut out);
        request[3] = 0x10;
        append(&request, &rules(Form::Bare), &mut out);
        assert_eq!(out, b"before");
    }
}
