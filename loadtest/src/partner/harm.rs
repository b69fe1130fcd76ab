//! What a fault does to the bytes of one answer.
//!
//! The answer stands alone at the end of a buffer, whole and right. Nothing is known here of when
//! that happens, nor of connections.

use super::fault::Harm;
use crate::frame::{Field, Form, LENGTH_BYTES, walk};

/// Harms the answer that begins at `begin`.
pub(super) fn plant(harm: Harm, form: Form, out: &mut Vec<u8>, begin: usize) {
    match harm {
        Harm::Wrong(de) => {
            if let Some(field) = field(form, &out[begin..], de) {
                let last = &mut out[begin + field.end - 1];
                // The next digit, in BCD as in ASCII: 9 becomes 0.
                *last = if *last & 0x0F == 9 { *last & 0xF0 } else { *last + 1 };
            }
        }
        Harm::Duplicate => out.extend_from_within(begin..),
        Harm::Malformed => {
            // Who has no amount has a STAN: both are packed digits.
            let answer = &out[begin..];
            if let Some(field) = field(form, answer, 4).or_else(|| field(form, answer, 11)) {
                out[begin + field.end - 1] |= 0x0F;
            }
        }
        Harm::BadLength => out[begin..][..LENGTH_BYTES].fill(0xFF),
        Harm::Silence => out.truncate(begin),
        Harm::HalfFrame => out.truncate(begin + (out.len() - begin) / 2),
        // Both are about more than one answer, or about time.
        Harm::Swapped | Harm::Late(_) => {}
    }
}

/// Lets two answers carry each other's STAN. False if one of them has none.
pub(super) fn swap(form: Form, one: &mut [u8], other: &mut [u8]) -> bool {
    match (field(form, one, STAN), field(form, other, STAN)) {
        (Some(here), Some(there)) => {
            one[here.start..here.end].swap_with_slice(&mut other[there.start..there.end]);
            true
        }
        _ => false,
    }
}

/// Where a field of a frame lies, if it is there.
pub(super) fn field(form: Form, frame: &[u8], wanted: u8) -> Option<Field> {
    let mut found = None;
    // The frame was just written whole.
    let _ = walk(frame, form, |field| {
        if field.de == wanted {
            found = Some(field);
        }
        field.de < wanted
    });
    found
}

const STAN: u8 = 11;

#[cfg(test)]
mod tests {
    use super::super::answer::{Rules, append};
    use super::*;
    use crate::fate::Fate;
    use crate::frame::whole;
    use crate::message::{Fleet, Requests};

    fn answer(stan: u32) -> Vec<u8> {
        let mut request = Vec::new();
        Requests::new(Form::Bare).append(&mut request, stan, Fleet::of(1));
        let mut out = Vec::new();
        append(&request, &Rules { form: Form::Bare, fate: Fate::default() }, &mut out);
        out
    }

    #[test]
    fn a_wrong_field_is_wrong_in_one_digit() {
        let good = answer(1);
        for de in [4, 11, 37, 39, 41] {
            let mut bad = good.clone();
            plant(Harm::Wrong(de), Form::Bare, &mut bad, 0);
            let unlike = good.iter().zip(&bad).filter(|(a, b)| a != b).count();
            assert_eq!((bad.len(), unlike), (good.len(), 1), "{de}");
        }
    }

    #[test]
    fn each_harm_leaves_what_stands_before_it() {
        let good = answer(1);
        let size = good.len();
        let harmed = |harm| {
            let mut out = [b"before".as_slice(), &good].concat();
            plant(harm, Form::Bare, &mut out, 6);
            assert_eq!(out[..6], *b"before");
            out.split_off(6)
        };
        assert_eq!(harmed(Harm::Duplicate).len(), 2 * size);
        assert_eq!(harmed(Harm::HalfFrame), good[..size / 2]);
        assert!(harmed(Harm::Silence).is_empty());
        assert_eq!(whole(&harmed(Harm::BadLength), 0), None);
        let amount = field(Form::Bare, &good, 4).unwrap();
        assert_eq!(harmed(Harm::Malformed)[amount.end - 1] & 0x0F, 0x0F);
    }

    #[test]
    fn a_swapped_pair_trades_nothing_but_the_stan() {
        let (good_one, good_other) = (answer(1), answer(2));
        let (mut one, mut other) = (good_one.clone(), good_other.clone());
        assert!(swap(Form::Bare, &mut one, &mut other));
        let stan = field(Form::Bare, &one, 11).unwrap();
        assert_eq!(one[stan.start..stan.end], good_other[stan.start..stan.end]);
        assert_eq!(other[stan.start..stan.end], good_one[stan.start..stan.end]);
        assert_eq!(one[stan.end..], good_one[stan.end..]);
    }
}
