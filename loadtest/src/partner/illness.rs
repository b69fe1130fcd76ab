//! The faults of one thread while they happen: what was counted, and how each connection fares.
//!
//! It decides and remembers; reading, writing and closing is left to the connections, which ask
//! how they are before each read. A host without faults has none of this.

use std::task::Waker;

use super::fault::{Fault, Harm, Kind, Trouble, When};
use super::harm;
use crate::fate::SALT_FAULT;
use crate::frame::Form;

/// What a thread suffers from.
pub(super) struct Illness {
    faults: Vec<Fault>,
    form: Form,
    /// When its time began, in ns; None before.
    zero_ns: Option<u64>,
    answers: u64,
    accepted: u64,
    /// The last turn of each fault that happens once in a turn.
    struck: Vec<u64>,
    lines: Vec<Line>,
    refused_until_ns: u64,
}

/// A connection.
#[derive(Default)]
struct Line {
    waker: Option<Waker>,
    ends: Option<Ending>,
    stalled_until_ns: u64,
    slow_until_ns: u64,
    /// An answer that waits for another to trade with.
    held: Vec<u8>,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// After what was written before.
    Close,
    /// At once.
    Reset,
}

/// How a connection fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Well,
    /// It reads nothing until then.
    Stalled(u64),
    /// It reads a little now and then.
    Slow,
    Ends(Ending),
}

/// How an answer leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Leave {
    /// Later than usual, by so many ns.
    pub(super) late_ns: u64,
    /// Nothing comes after it.
    pub(super) is_last: bool,
}

impl Illness {
    /// Nothing has happened yet; time counts from `zero_ns`, and nothing happens without it.
    pub(super) fn new(faults: &[Fault], form: Form, zero_ns: Option<u64>) -> Illness {
        Illness {
            faults: faults.to_vec(),
            form,
            zero_ns,
            answers: 0,
            accepted: 0,
            struck: vec![0; faults.len()],
            lines: Vec::new(),
            refused_until_ns: 0,
        }
    }

    /// Begins, or begins again.
    pub(super) fn begin(&mut self, now_ns: u64) {
        (self.zero_ns, self.answers, self.accepted) = (Some(now_ns), 0, 0);
        self.struck.fill(0);
    }

    /// Whether whoever calls is turned away.
    pub(super) fn refuses(&mut self, now_ns: u64) -> bool {
        let Some(zero_ns) = self.zero_ns else { return false };
        self.accepted += 1;
        let since_ns = now_ns.saturating_sub(zero_ns);
        now_ns < self.refused_until_ns
            || self.faults.iter().any(|fault| match (fault.kind, fault.when) {
                (Kind::Line(Trouble::AcceptClose), When::Nth(n)) => self.accepted.is_multiple_of(n),
                (Kind::Line(Trouble::AcceptClose | Trouble::Flap), _) => {
                    fault.turn(since_ns).is_some()
                }
                _ => false,
            })
    }

    /// How a connection fares; it is woken when that changes.
    pub(super) fn state(&mut self, number: usize, now_ns: u64, waker: &Waker) -> State {
        let line = self.line(number);
        line.waker = Some(waker.clone());
        if let Some(ending) = line.ends {
            State::Ends(ending)
        } else if now_ns < line.stalled_until_ns {
            State::Stalled(line.stalled_until_ns)
        } else if now_ns < line.slow_until_ns {
            State::Slow
        } else {
            State::Well
        }
    }

    /// Lets happen what happens to the answer at the end of `out`.
    pub(super) fn strike(
        &mut self,
        (number, now_ns): (usize, u64),
        out: &mut Vec<u8>,
        begin: usize,
    ) -> Leave {
        let mut leave = Leave::default();
        if out.len() == begin || self.zero_ns.is_none() {
            return leave;
        }
        let mut rrn = [0; 12];
        // Sign-on and echo have no DE 37, and suffer from nothing but what the clock says.
        let counts = harm::field(self.form, &out[begin..], 37).is_some_and(|field| {
            rrn.copy_from_slice(&out[begin + field.start..begin + field.end]);
            true
        });
        self.answers += u64::from(counts);
        self.settle_pair(number, out, begin);
        for place in 0..self.faults.len() {
            if !self.is_struck(place, counts.then_some(&rrn), now_ns) {
                continue;
            }
            match self.faults[place].kind {
                Kind::Answer(Harm::Late(ns)) => leave.late_ns += ns,
                Kind::Answer(Harm::Swapped) => {
                    let held = &mut self.line(number).held;
                    if held.is_empty() {
                        held.extend(out.drain(begin..));
                    }
                }
                Kind::Answer(harm) => {
                    harm::plant(harm, self.form, out, begin);
                    leave.is_last |= harm == Harm::HalfFrame;
                }
                Kind::Line(trouble) => {
                    self.befall(trouble, number, now_ns, self.faults[place].length_ns);
                    if !matches!(trouble, Trouble::Stall | Trouble::SlowReader) {
                        out.truncate(begin);
                    }
                }
            }
            if out.len() == begin {
                break;
            }
        }
        leave
    }

    /// An answer that waited to trade with the next does so, and follows it.
    fn settle_pair(&mut self, number: usize, out: &mut Vec<u8>, begin: usize) {
        let form = self.form;
        let held = &mut self.line(number).held;
        if !held.is_empty() && harm::swap(form, held, &mut out[begin..]) {
            out.append(held);
        }
    }

    fn is_struck(&mut self, place: usize, rrn: Option<&[u8; 12]>, now_ns: u64) -> bool {
        let fault = self.faults[place];
        match (fault.when, rrn) {
            _ if fault.kind == Kind::Line(Trouble::AcceptClose) => false,
            (When::Share(share), Some(rrn)) => share.takes(rrn, SALT_FAULT + place as u64),
            (When::Nth(n), Some(_)) => self.answers.is_multiple_of(n),
            (When::At(_) | When::Each(_), _) if matches!(fault.kind, Kind::Answer(_)) => {
                let since_ns = now_ns.saturating_sub(self.zero_ns.unwrap_or(now_ns));
                let Some(turn) = fault.turn(since_ns) else { return false };
                fault.length_ns.is_some() || std::mem::replace(&mut self.struck[place], turn) < turn
            }
            _ => false,
        }
    }

    /// What happens to a connection, or because of it.
    fn befall(&mut self, trouble: Trouble, number: usize, now_ns: u64, length_ns: Option<u64>) {
        let until_ns = now_ns + length_ns.unwrap_or(0);
        let line = self.line(number);
        match trouble {
            Trouble::Close => line.ends = Some(Ending::Close),
            Trouble::Reset => line.ends = Some(Ending::Reset),
            Trouble::Stall => line.stalled_until_ns = until_ns,
            Trouble::SlowReader => line.slow_until_ns = until_ns,
            Trouble::AcceptClose => {}
            Trouble::Flap => {
                self.refused_until_ns = until_ns;
                return self.all(|line| line.ends = Some(Ending::Close));
            }
        }
        if let Some(waker) = &line.waker {
            waker.wake_by_ref();
        }
    }

    fn all(&mut self, change: impl Fn(&mut Line)) {
        for line in &mut self.lines {
            change(line);
            if let Some(waker) = &line.waker {
                waker.wake_by_ref();
            }
        }
    }

    fn line(&mut self, number: usize) -> &mut Line {
        if self.lines.len() <= number {
            self.lines.resize_with(number + 1, Line::default);
        }
        &mut self.lines[number]
    }

    /// When something next happens to all connections; None if nothing ever will.
    pub(super) fn next_ns(&self, now_ns: u64) -> Option<u64> {
        let zero_ns = self.zero_ns?;
        let since_ns = now_ns.saturating_sub(zero_ns);
        let lines = self.faults.iter().filter(|fault| matches!(fault.kind, Kind::Line(_)));
        Some(zero_ns + lines.filter_map(|fault| fault.next_ns(since_ns)).min()?)
    }

    /// Lets happen to all connections what begins after `before_ns`, until now.
    pub(super) fn befall_all(&mut self, before_ns: u64, now_ns: u64) {
        let Some(zero_ns) = self.zero_ns else { return };
        let (before_ns, since_ns) = (before_ns.saturating_sub(zero_ns), now_ns - zero_ns);
        for fault in self.faults.clone() {
            let Kind::Line(trouble) = fault.kind else { continue };
            if fault.next_ns(before_ns).is_some_and(|next_ns| next_ns <= since_ns) {
                for number in 0..self.lines.len() {
                    self.befall(trouble, number, now_ns, fault.length_ns);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fate::Fate;
    use crate::message::{Fleet, Requests};
    use crate::partner::answer::{Rules, append};

    fn illness(faults: &[&str]) -> Illness {
        let faults: Vec<Fault> = faults.iter().map(|text| text.parse().unwrap()).collect();
        Illness::new(&faults, Form::Bare, Some(0))
    }

    fn answer(stan: u32) -> Vec<u8> {
        let mut request = Vec::new();
        Requests::new(Form::Bare).append(&mut request, stan, Fleet::of(1));
        let mut out = Vec::new();
        append(&request, &Rules { form: Form::Bare, fate: Fate::default() }, &mut out);
        out
    }

    #[test]
    fn every_third_answer_is_every_third() {
        let mut illness = illness(&["silence every 3"]);
        let sent: Vec<bool> = (1..=6)
            .map(|stan| {
                let mut out = answer(stan);
                illness.strike((0, 5), &mut out, 0);
                !out.is_empty()
            })
            .collect();
        assert_eq!(sent, [true, true, false, true, true, false]);
    }

    #[test]
    fn a_pair_is_sent_together_and_crossed() {
        let mut illness = illness(&["swapped every 2"]);
        let mut sizes = Vec::new();
        for stan in 1..=3 {
            let mut out = answer(stan);
            illness.strike((0, 5), &mut out, 0);
            sizes.push(out.len() / answer(1).len());
        }
        assert_eq!(sizes, [1, 0, 2]);
    }

    #[test]
    fn what_the_clock_says_happens_then_and_for_so_long() {
        let mut illness = illness(&["late=7ms at 1s for 1s", "malformed at 3s"]);
        let good = answer(1);
        let mut at = |ns| {
            let mut out = good.clone();
            let leave = illness.strike((0, ns), &mut out, 0);
            (leave.late_ns, out != good)
        };
        let s = 1_000_000_000;
        assert_eq!([at(0), at(s), at(2 * s)], [(0, false), (7_000_000, false), (0, false)]);
        // Once is once.
        assert_eq!([at(3 * s), at(3 * s + 1)], [(0, true), (0, false)]);
    }

    #[test]
    fn a_line_stalls_and_is_well_again() {
        let mut illness = illness(&["stall every 2s for 1s"]);
        let s = 1_000_000_000;
        assert_eq!(illness.state(0, 0, Waker::noop()), State::Well);
        assert_eq!(illness.next_ns(0), Some(2 * s));
        illness.befall_all(0, 2 * s);
        assert_eq!(illness.state(0, 2 * s, Waker::noop()), State::Stalled(3 * s));
        assert_eq!(illness.state(0, 3 * s, Waker::noop()), State::Well);
    }

    #[test]
    fn nothing_happens_before_it_begins() {
        let faults = ["silence 100%".parse().unwrap(), "flap at 0s for 1s".parse().unwrap()];
        let mut illness = Illness::new(&faults, Form::Bare, None);
        let mut out = answer(1);
        illness.strike((0, 5), &mut out, 0);
        assert!(!out.is_empty() && !illness.refuses(5));
        illness.begin(10);
        illness.strike((0, 15), &mut out, 0);
        assert!(out.is_empty() && illness.refuses(15));
    }
}
