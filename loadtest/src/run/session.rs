//! One connection's requests in flight, and the judgement of its answers.
//!
//! An answer is matched by DE 11, 37 and 41 on the connection that asked, and then checked: MTI,
//! amount, response code. The table is a ring indexed by STAN; a STAN still in flight is
//! skipped, never overwritten, so a lost answer cannot be mistaken for a later one.

use crate::fate::Fate;
use crate::frame::{Form, number_of_bcd, walk};
use crate::message::{Asked, Fleet, RRN_BYTES, Requests};

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
    asked: Asked,
    state: State,
}

/// What is remembered of a request that something came of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Past {
    /// When it was to leave, in ns of the monotonic clock.
    pub(crate) intended_ns: u64,
    pub(crate) stan: u32,
    pub(crate) template: u16,
    pub(crate) rrn: [u8; RRN_BYTES],
}

/// What one answer is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Right and in time, with this DE 39.
    Right([u8; 2]),
    /// Right, after the time-out.
    Late,
    /// Not what was asked for.
    Wrong,
    /// To something that was answered before.
    Duplicated,
    /// To nothing that was asked on this connection.
    Unmatched,
    /// Nothing that can be read.
    Garbled,
}

impl Verdict {
    /// As lists of mistakes call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Verdict::Right(_) => "right",
            Verdict::Late => "late",
            Verdict::Wrong => "wrong",
            Verdict::Duplicated => "duplicated",
            Verdict::Unmatched => "unmatched",
            Verdict::Garbled => "garbled",
        }
    }
}

/// One answer, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    /// The request; None if there is none.
    pub(crate) past: Option<Past>,
    /// Whether the request was counted as lost before.
    pub(crate) was_lost: bool,
}

impl Judged {
    fn of(verdict: Verdict, past: Option<Past>) -> Judged {
        Judged { verdict, past, was_lost: false }
    }
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
    /// Codes in DE 39 that are right whatever the fate says; none are two zeros.
    pub(crate) also: [[u8; 2]; ALSO_MAX],
    /// After this long a request is lost and an answer late, in ns.
    pub(crate) timeout_ns: u64,
}

impl Session {
    /// A connection that carries this fleet, with room for about `in_flight` requests.
    pub(crate) fn new(fleet: Fleet, in_flight: usize) -> Session {
        let size = (in_flight * 2).clamp(RING_MIN, RING_MAX).next_power_of_two();
        let asked = Asked { rrn: [0; RRN_BYTES], amount: [0; 6], template: 0 };
        let free = Pending { intended_ns: 0, stan: 0, asked, state: State::Free };
        Session { fleet, ring: vec![free; size], next: 1, oldest: 1, outstanding: 0 }
    }

    /// Requests neither answered nor given up.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Appends the next request to `out`, and says of which template it is; None if no STAN is
    /// free.
    #[inline]
    pub(crate) fn issue(
        &mut self,
        requests: &mut Requests,
        out: &mut Vec<u8>,
        intended_ns: u64,
    ) -> Option<u16> {
        for _ in 0..SKIPS_MAX {
            let stan = self.next;
            self.next = following(stan);
            let index = self.index(stan);
            if self.ring[index].state != State::InFlight {
                let asked = requests.append(out, stan, self.fleet);
                self.ring[index] = Pending { intended_ns, stan, asked, state: State::InFlight };
                self.outstanding += 1;
                return Some(asked.template);
            }
        }
        None
    }

    /// Judges one answer.
    #[inline]
    pub(crate) fn settle(
        &mut self,
        answer: &[u8],
        now_ns: u64,
        terms: &Terms,
        requests: &Requests,
    ) -> Judged {
        let Some(answer) = Answer::read(answer, terms.form) else {
            return Judged::of(Verdict::Garbled, None);
        };
        let stan = number_of_bcd(answer.stan);
        let index = self.index(stan);
        let pending = &mut self.ring[index];
        if pending.stan != stan || pending.state == State::Free {
            return Judged::of(Verdict::Unmatched, None);
        }
        let asked = pending.asked;
        let same =
            *answer.rrn == asked.rrn && requests.is_terminal(answer.terminal, stan, self.fleet);
        let past = Some(pending.past());
        if pending.state == State::Settled {
            let verdict = if same { Verdict::Duplicated } else { Verdict::Unmatched };
            return Judged::of(verdict, past.filter(|_| same));
        }
        let was_lost = pending.state == State::Expired;
        if !was_lost {
            self.outstanding -= 1;
        }
        let right = same
            && answer.mti == requests.answer_mti(asked.template)
            && answer.amount == asked.amount
            && terms.expects(answer.code, &asked.rrn);
        let late = now_ns > pending.intended_ns + terms.timeout_ns;
        pending.state = State::Settled;
        let verdict = match (right, late) {
            (false, _) => Verdict::Wrong,
            (true, true) => Verdict::Late,
            (true, false) => Verdict::Right(answer.code),
        };
        Judged { verdict, past, was_lost }
    }

    /// Gives up requests older than the time-out, and tells of each. Looks at the oldest only: they
    /// were intended in the order of their STANs.
    pub(crate) fn expire(&mut self, now_ns: u64, timeout_ns: u64, mut lost: impl FnMut(Past)) {
        while self.oldest != self.next {
            let index = self.index(self.oldest);
            let pending = &mut self.ring[index];
            if pending.stan == self.oldest && pending.state == State::InFlight {
                if now_ns <= pending.intended_ns + timeout_ns {
                    return;
                }
                pending.state = State::Expired;
                self.outstanding -= 1;
                lost(pending.past());
            }
            self.oldest = following(self.oldest);
        }
    }

    #[inline]
    fn index(&self, stan: u32) -> usize {
        stan as usize & (self.ring.len() - 1)
    }
}

impl Pending {
    #[inline]
    fn past(&self) -> Past {
        let Pending { intended_ns, stan, asked, .. } = *self;
        Past { intended_ns, stan, template: asked.template, rrn: asked.rrn }
    }
}

impl Terms {
    /// Nothing but what this fate says is right.
    pub(crate) fn new(form: Form, fate: Fate, timeout_ns: u64) -> Terms {
        Terms { form, fate, also: [[0; 2]; ALSO_MAX], timeout_ns }
    }

    /// Whether this DE 39 is right for the request with this DE 37.
    #[inline]
    pub(crate) fn expects(&self, code: [u8; 2], rrn: &[u8]) -> bool {
        self.fate.code(rrn) == Some(code) || (self.also.contains(&code) && code != [0; 2])
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
/// Codes that may be right besides the one that is.
pub(crate) const ALSO_MAX: usize = 8;
const RING_MIN: usize = 32;
const RING_MAX: usize = 1 << 19;
/// STANs in flight that are skipped before a connection counts as full.
const SKIPS_MAX: usize = 64;
const _: () = assert!(RING_MAX < STAN_MAX as usize, "a STAN names one slot only");

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms =
        Terms { form: Form::Bare, fate: FATE, also: [[0; 2]; ALSO_MAX], timeout_ns: 1_000 };
    const FATE: Fate = Fate {
        decline: crate::fate::Decline { share: crate::fate::Share::NONE, code: *b"05" },
        silence: crate::fate::Share::NONE,
    };

    struct Bench {
        session: Session,
        requests: Requests,
    }

    impl Bench {
        fn new() -> Bench {
            let requests = Requests::new(Form::Bare);
            Bench { session: Session::new(Fleet::of(7), 4), requests }
        }

        /// Issues one request and returns its approval.
        fn issue(&mut self) -> Vec<u8> {
            let mut out = Vec::new();
            assert!(self.session.issue(&mut self.requests, &mut out, 100).is_some());
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

        fn settle(&mut self, answer: &[u8], now_ns: u64) -> Verdict {
            self.judge(answer, now_ns, &TERMS).verdict
        }

        fn judge(&mut self, answer: &[u8], now_ns: u64, terms: &Terms) -> Judged {
            self.session.settle(answer, now_ns, terms, &self.requests)
        }
    }

    #[test]
    fn a_right_answer_settles_its_request_once() {
        let mut bench = Bench::new();
        let answer = bench.issue();
        assert_eq!(bench.settle(&answer, 200), Verdict::Right(*b"00"));
        assert_eq!(bench.session.outstanding(), 0);
        assert_eq!(bench.settle(&answer, 300), Verdict::Duplicated);
    }

    #[test]
    fn any_wrong_field_makes_a_wrong_answer() {
        // MTI, amount, RRN, response code, terminal.
        for at in [3, 17, 32, 34, 35] {
            let mut bench = Bench::new();
            let mut answer = bench.issue();
            answer[at] ^= 1;
            assert_eq!(bench.settle(&answer, 200), Verdict::Wrong, "byte {at}");
        }
    }

    #[test]
    fn a_code_may_be_right_besides_the_one_that_is() {
        let mut bench = Bench::new();
        let mut answer = bench.issue();
        answer[33..35].copy_from_slice(b"91");
        let mut terms = TERMS;
        terms.also[3] = *b"91";
        assert_eq!(bench.judge(&answer, 200, &terms).verdict, Verdict::Right(*b"91"));
        let mut bench = Bench::new();
        let mut answer = bench.issue();
        answer[33..35].copy_from_slice(&[0; 2]);
        assert_eq!(bench.judge(&answer, 200, &terms).verdict, Verdict::Wrong);
    }

    #[test]
    fn an_answer_to_nothing_is_unmatched_and_a_torn_one_garbled() {
        let mut bench = Bench::new();
        let mut answer = bench.issue();
        answer[20] = 0x55;
        assert_eq!(bench.settle(&answer, 200), Verdict::Unmatched);
        assert_eq!(bench.settle(&answer[..30], 200), Verdict::Garbled);
        assert_eq!(bench.session.outstanding(), 1);
    }

    #[test]
    fn a_late_answer_is_late_and_not_lost() {
        let mut bench = Bench::new();
        let answer = bench.issue();
        let mut lost = Vec::new();
        bench.session.expire(1_100, 1_000, |past| lost.push(past));
        assert_eq!(lost, []);
        bench.session.expire(1_101, 1_000, |past| lost.push(past));
        assert_eq!((lost.len(), lost[0].stan, bench.session.outstanding()), (1, 1, 0));
        let judged = bench.judge(&answer, 1_200, &TERMS);
        assert_eq!((judged.verdict, judged.was_lost), (Verdict::Late, true));
    }

    #[test]
    fn a_stan_in_flight_is_not_given_again() {
        let mut bench = Bench::new();
        for _ in 0..RING_MIN {
            bench.issue();
        }
        let mut out = Vec::new();
        assert!(bench.session.issue(&mut bench.requests, &mut out, 100).is_none());
        assert!(out.is_empty());
    }
}
