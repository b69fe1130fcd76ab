//! One connection's requests in flight, and the judgement of its answers.
//!
//! An answer is matched by DE 11, 37 and 41 on the connection that asked, and then checked: MTI,
//! amount, response code. The table is a ring indexed by STAN; a STAN still in flight is
//! skipped, never overwritten, so a lost answer cannot be mistaken for a later one.

use crate::fate::Fate;
use crate::frame::{Form, number_of_bcd, walk};
use crate::message::{Fleet, RRN_BYTES, Requests};
use crate::run::tally::Tally;

/// The requests of one connection.
pub(crate) struct Session {
    ring: Vec<Pending>,
    next: u32,
    /// Every STAN from here to `next` may be in flight; none before is.
    oldest: u32,
    outstanding: usize,
    fleet: Fleet,
}

#[derive(Clone, Copy)]
struct Pending {
    intended_ns: u64,
    stan: u32,
    rrn: [u8; RRN_BYTES],
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    InFlight,
    /// Counted as lost; an answer would make it late.
    Expired,
    Settled,
}

/// What every answer is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) form: Form,
    pub(crate) fate: Fate,
    /// After this long a request is lost and an answer late, in ns.
    pub(crate) timeout_ns: u64,
}

impl Session {
    /// A connection that carries this fleet, with room for about `in_flight` requests.
    pub(crate) fn new(fleet: Fleet, in_flight: usize) -> Session {
        let size = (in_flight * 2).clamp(RING_MIN, RING_MAX).next_power_of_two();
        let free = Pending { intended_ns: 0, stan: 0, rrn: [0; RRN_BYTES], state: State::Free };
        Session { fleet, ring: vec![free; size], next: 1, oldest: 1, outstanding: 0 }
    }

    /// Requests neither answered nor given up.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Appends the next request to `out`; false if no STAN is free.
    #[inline]
    pub(crate) fn issue(
        &mut self,
        requests: &mut Requests,
        out: &mut Vec<u8>,
        intended_ns: u64,
    ) -> bool {
        for _ in 0..SKIPS_MAX {
            let stan = self.next;
            self.next = following(stan);
            let index = self.index(stan);
            if self.ring[index].state != State::InFlight {
                let rrn = requests.append(out, stan, self.fleet);
                self.ring[index] = Pending { intended_ns, stan, rrn, state: State::InFlight };
                self.outstanding += 1;
                return true;
            }
        }
        false
    }

    /// Judges one answer and counts it.
    #[inline]
    pub(crate) fn settle(
        &mut self,
        answer: &[u8],
        now_ns: u64,
        terms: &Terms,
        requests: &Requests,
        tally: &mut Tally,
    ) {
        let counts = &mut tally.counts;
        let Some(answer) = Answer::read(answer, terms.form) else {
            counts.wrong += 1;
            return;
        };
        let stan = number_of_bcd(answer.stan);
        let index = self.index(stan);
        let pending = &mut self.ring[index];
        if pending.stan != stan || pending.state == State::Free {
            counts.unmatched += 1;
            return;
        }
        let same =
            *answer.rrn == pending.rrn && requests.is_terminal(answer.terminal, stan, self.fleet);
        if pending.state == State::Settled {
            *(if same { &mut counts.duplicated } else { &mut counts.unmatched }) += 1;
            return;
        }
        if pending.state == State::InFlight {
            self.outstanding -= 1;
        } else {
            counts.lost -= 1;
        }
        let expected = terms.fate.code(&pending.rrn);
        let right = same
            && answer.mti == ANSWER_MTI
            && answer.amount == [[0; 3], answer.stan].as_flattened()
            && expected == Some(answer.code);
        let late = now_ns > pending.intended_ns + terms.timeout_ns;
        pending.state = State::Settled;
        if !right {
            counts.wrong += 1;
        } else if late {
            counts.late += 1;
        } else {
            counts.answered += 1;
            let intended_ns = pending.intended_ns;
            tally.answer(answer.code, intended_ns, now_ns);
        }
    }

    /// Gives up requests older than the time-out. Looks at the oldest only: they were intended
    /// in the order of their STANs.
    pub(crate) fn expire(&mut self, now_ns: u64, timeout_ns: u64, tally: &mut Tally) {
        while self.oldest != self.next {
            let index = self.index(self.oldest);
            let pending = &mut self.ring[index];
            if pending.stan == self.oldest && pending.state == State::InFlight {
                if now_ns <= pending.intended_ns + timeout_ns {
                    return;
                }
                pending.state = State::Expired;
                self.outstanding -= 1;
                tally.counts.lost += 1;
            }
            self.oldest = following(self.oldest);
        }
    }

    #[inline]
    fn index(&self, stan: u32) -> usize {
        stan as usize & (self.ring.len() - 1)
    }
}

/// The fields of an answer that are held against its request.
struct Answer<'a> {
    mti: [u8; 2],
    amount: &'a [u8],
    stan: [u8; 3],
    rrn: &'a [u8],
    code: [u8; 2],
    terminal: &'a [u8],
}

impl<'a> Answer<'a> {
    #[inline]
    fn read(frame: &'a [u8], form: Form) -> Option<Answer<'a>> {
        let mut answer = Answer {
            mti: *frame.get(form.mti_at()..)?.first_chunk()?,
            amount: &[],
            stan: [0; 3],
            rrn: &[],
            code: [0; 2],
            terminal: &[],
        };
        walk(frame, form, |field| {
            let value = &frame[field.start..field.end];
            match field.de {
                4 => answer.amount = value,
                11 => answer.stan.copy_from_slice(value),
                37 => answer.rrn = value,
                39 => answer.code.copy_from_slice(value),
                41 => answer.terminal = value,
                _ => {}
            }
            true
        })?;
        Some(answer)
    }
}

fn following(stan: u32) -> u32 {
    if stan == STAN_MAX { 1 } else { stan + 1 }
}

const STAN_MAX: u32 = 999_999;
const ANSWER_MTI: [u8; 2] = [0x01, 0x10];
const RING_MIN: usize = 32;
const RING_MAX: usize = 1 << 19;
/// STANs in flight that are skipped before a connection counts as full.
const SKIPS_MAX: usize = 64;
const _: () = assert!(RING_MAX < STAN_MAX as usize, "a STAN names one slot only");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tally::Counts;

    const TERMS: Terms = Terms { form: Form::Bare, fate: FATE, timeout_ns: 1_000 };
    const FATE: Fate = Fate {
        decline: crate::fate::Decline { share: crate::fate::Share::NONE, code: *b"05" },
        silence: crate::fate::Share::NONE,
    };

    struct Bench {
        session: Session,
        requests: Requests,
        tally: Tally,
    }

    impl Bench {
        fn new() -> Bench {
            let requests = Requests::new(Form::Bare);
            Bench { session: Session::new(Fleet::of(7), 4), requests, tally: Tally::new() }
        }

        /// Issues one request and returns its approval.
        fn issue(&mut self) -> Vec<u8> {
            let mut out = Vec::new();
            assert!(self.session.issue(&mut self.requests, &mut out, 100));
            let (mut amount, mut stan, mut rrn, mut terminal) = ([0; 6], [0; 3], [0; 12], [0; 8]);
            let read = walk(&out, Form::Bare, |field| {
                let value = &out[field.start..field.end];
                match field.de {
                    4 => amount.copy_from_slice(value),
                    11 => stan.copy_from_slice(value),
                    37 => rrn.copy_from_slice(value),
                    41 => terminal.copy_from_slice(value),
                    _ => {}
                }
                true
            });
            assert_eq!(read, Some(()));
            let mut answer = vec![0, 41, 0x01, 0x10, 0x10, 0x20, 0, 0, 0x0A, 0x80, 0, 0];
            answer.extend([&amount[..], &stan, &rrn, b"00", &terminal].concat());
            answer
        }

        fn settle(&mut self, answer: &[u8], now_ns: u64) -> Counts {
            let Bench { session, requests, tally } = self;
            session.settle(answer, now_ns, &TERMS, requests, tally);
            tally.counts
        }
    }

    #[test]
    fn a_right_answer_settles_its_request_once() {
        let mut bench = Bench::new();
        let answer = bench.issue();
        assert_eq!(bench.settle(&answer, 200), Counts { answered: 1, ..Counts::default() });
        assert_eq!(bench.session.outstanding(), 0);
        let counts = Counts { answered: 1, duplicated: 1, ..Counts::default() };
        assert_eq!(bench.settle(&answer, 300), counts);
    }

    #[test]
    fn any_wrong_field_makes_a_wrong_answer() {
        // MTI, amount, RRN, response code, terminal.
        for at in [3, 17, 32, 34, 35] {
            let mut bench = Bench::new();
            let mut answer = bench.issue();
            answer[at] ^= 1;
            let counts = Counts { wrong: 1, ..Counts::default() };
            assert_eq!(bench.settle(&answer, 200), counts, "byte {at}");
        }
    }

    #[test]
    fn an_answer_to_nothing_is_unmatched_and_a_torn_one_wrong() {
        let mut bench = Bench::new();
        let mut answer = bench.issue();
        answer[20] = 0x55;
        let counts = Counts { unmatched: 1, ..Counts::default() };
        assert_eq!(bench.settle(&answer, 200), counts);
        let counts = Counts { unmatched: 1, wrong: 1, ..Counts::default() };
        assert_eq!(bench.settle(&answer[..30], 200), counts);
        assert_eq!(bench.session.outstanding(), 1);
    }

    #[test]
    fn a_late_answer_is_late_and_not_lost() {
        let mut bench = Bench::new();
        let answer = bench.issue();
        bench.session.expire(1_100, 1_000, &mut bench.tally);
        assert_eq!(bench.tally.counts.lost, 0);
        bench.session.expire(1_101, 1_000, &mut bench.tally);
        assert_eq!((bench.tally.counts.lost, bench.session.outstanding()), (1, 0));
        let counts = Counts { late: 1, ..Counts::default() };
        assert_eq!(bench.settle(&answer, 1_200), counts);
    }

    #[test]
    fn a_stan_in_flight_is_not_given_again() {
        let mut bench = Bench::new();
        for _ in 0..RING_MIN {
            bench.issue();
        }
        let mut out = Vec::new();
        assert!(!bench.session.issue(&mut bench.requests, &mut out, 100));
        assert!(out.is_empty());
    }
}
