//! The window against a list that is searched in full.

use proptest::prelude::*;

use super::*;
use crate::base::ids::LinkId;

fn window(entries: usize) -> Recent {
    Recent::new(WorkerId(0), Arc::new(TransactionIndex::new(1, entries)))
}

fn claim(recent: &mut Recent, id: u64, hash: u64) -> Known {
    let key = TerminalKey { hash, moment: 1, fingerprint: 2 };
    let claim = Claim { id, key, acquirer: LinkId(0), at: Instant::from_ns(id) };
    recent.claim(claim, |other| other.key.hash == hash)
}

fn kept(bytes: &[u8]) -> Kept {
    let mut kept = Kept::default();
    let middle = bytes.len() / 2;
    kept.gather([&bytes[..middle], b"pan", &bytes[middle..]]);
    kept
}

fn known(recent: &mut Recent, id: u64, hash: u64) -> u64 {
    match claim(recent, id, hash) {
        Known::New(number) => number,
        other => panic!("{id} is new, not {other:?}"),
    }
}

/// A hash whose low and high bits are those of `id`, spread.
fn hash(id: u64) -> u64 {
    id.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[derive(Debug, Clone)]
enum Step {
    Ask { kept: u8 },
    Again { nth: usize },
    Decline { nth: usize },
    Approve { nth: usize },
    Hand { nth: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any::<u8>().prop_map(|kept| Step::Ask { kept }),
        1 => any::<usize>().prop_map(|nth| Step::Again { nth }),
        2 => any::<usize>().prop_map(|nth| Step::Decline { nth }),
        1 => any::<usize>().prop_map(|nth| Step::Approve { nth }),
        1 => any::<usize>().prop_map(|nth| Step::Hand { nth }),
    ];
    prop::collection::vec(step, 1..600)
}

/// What the model knows of one that is needed.
#[derive(Debug, Clone, Copy)]
struct Needed {
    id: u64,
    number: u64,
    kept: u8,
    approved: bool,
}

proptest! {
    /// 64 are remembered, up to some 40 are needed: they are never forgotten, and what was kept of
    /// them stays what it was.
    #[test]
    fn what_is_needed_is_never_forgotten(steps in steps()) {
        let mut recent = window(64);
        let mut needed: Vec<Needed> = Vec::new();
        let mut id = 0;
        for step in steps {
            match step {
                Step::Ask { kept: bytes } if needed.len() < 40 => {
                    id += 1;
                    let number = known(&mut recent, id, hash(id));
                    recent.keep(number, &kept(&vec![bytes; usize::from(bytes)]));
                    recent.past_mut(number).expect("new").id = id;
                    needed.push(Needed { id, number, kept: bytes, approved: false });
                }
                Step::Again { nth } if !needed.is_empty() => {
                    let one = needed[nth % needed.len()];
                    prop_assert_eq!(claim(&mut recent, 0, hash(one.id)), Known::Here(one.number));
                }
                Step::Decline { nth } | Step::Approve { nth } if !needed.is_empty() => {
                    let at = nth % needed.len();
                    if needed[at].approved {
                        continue;
                    }
                    let number = recent.end(needed[at].number);
                    let past = recent.past_mut(number).expect("needed");
                    prop_assert_eq!(past.id, needed[at].id);
                    if matches!(step, Step::Approve { .. }) {
                        past.fate = Fate::Approved { waiting: 1, handed: false };
                        needed[at] = Needed { number, approved: true, ..needed[at] };
                    } else {
                        past.fate = Fate::Declined;
                        needed.remove(at);
                    }
                    recent.settle(number);
                    // The newest again, so it is known yet.
                    prop_assert!(recent.past(number).is_some());
                }
                Step::Hand { nth } if !needed.is_empty() => {
                    let at = nth % needed.len();
                    if needed[at].approved {
                        let one = needed.remove(at);
                        prop_assert_eq!(recent.handed(one.number), Some(one.id));
                    }
                }
                _ => {}
            }
            for one in &needed {
                prop_assert_eq!(recent.past(one.number).map(|past| past.id), Some(one.id));
                prop_assert_eq!(recent.number_of(one.number as u32), Some(one.number));
                let expected = kept(&vec![one.kept; usize::from(one.kept)]);
                prop_assert_eq!(recent.kept(one.number), expected.parts());
            }
            prop_assert!(recent.len() <= 64);
        }
    }
}

#[test]
fn the_oldest_is_forgotten_first() {
    let mut recent = window(64);
    for id in 1..=1000 {
        let number = known(&mut recent, id, hash(id));
        recent.past_mut(number).expect("new").fate = Fate::Declined;
        recent.settle(number);
    }
    let is_known = |recent: &mut Recent, id| {
        recent.find(hash(id), 0, |past| past.key.hash == hash(id)).is_some()
    };
    let count = (1..=1000).filter(|id| is_known(&mut recent, *id)).count();
    assert!((56..=64).contains(&count), "{count} of the last 64 are known");
    assert!((1..=936).all(|id| !is_known(&mut recent, id)));
    assert_eq!(recent.covers(Instant::from_ns(1000)), Some(Duration::from_nanos(63)));
}

#[test]
fn what_came_to_nothing_can_be_asked_anew() {
    let mut recent = window(64);
    let first = known(&mut recent, 1, hash(1));
    recent.forget(first);
    let second = known(&mut recent, 2, hash(1));
    assert_ne!(first, second);
    assert_eq!(claim(&mut recent, 3, hash(1)), Known::Here(second));
}
