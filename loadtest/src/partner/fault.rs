//! Faults as they are written: what goes wrong, when, and for how long.
//!
//! `KIND WHEN [for LENGTH]`, as in `wrong-stan 0.1%`, `reset every 1000`, `stall at 10s for 2s` or
//! `flap every 5s for 1s`. A share is chosen by DE 37, so the same requests suffer in every run; a
//! count is of the answers of a thread; a time counts from the start of the partner. What a fault
//! does is not told here.

use std::str::FromStr;

use super::latency::duration_ns;
use crate::fate::Share;

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(super) kind: Kind,
    pub(super) when: When,
    /// How long it lasts, in ns; None is for once.
    pub(super) length_ns: Option<u64>,
}

/// What suffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An answer.
    Answer(Harm),
    /// A connection.
    Line(Trouble),
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Harm {
    /// The last digit of this field is the next one.
    Wrong(u8),
    /// It comes twice.
    Duplicate,
    /// A digit that is none.
    Malformed,
    /// It says that it is longer than anything that comes.
    BadLength,
    /// Two neighbours on a connection carry each other's STAN.
    Swapped,
    /// There is none.
    Silence,
    /// It comes later by so many ns.
    Late(u64),
    /// Half of it, and nothing more on this connection.
    HalfFrame,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is closed instead of an answer.
    Close,
    /// It is torn down: what is under way is thrown away.
    Reset,
    /// Nothing is read for a while.
    Stall,
    /// For a while a little is read now and then.
    SlowReader,
    /// It is closed as soon as it is accepted.
    AcceptClose,
    /// All are closed, and who comes meanwhile is, too.
    Flap,
}

/// When it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// To this share of the requests.
    Share(Share),
    /// To every n-th answer, or to every n-th connection that is accepted.
    Nth(u64),
    /// Once, so many ns after the beginning.
    At(u64),
    /// Again and again, every so many ns.
    Each(u64),
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Fault, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (name, when, length) = match words[..] {
            [name, ref when @ .., "for", length] => (name, when, Some(duration_ns(length)?)),
            [name, ref when @ ..] => (name, when, None),
            [] => return Err(format!("'' is not {FORM}")),
        };
        let when = match when {
            ["at", time] => When::At(duration_ns(time)?),
            ["every", count] if count.bytes().all(|byte| byte.is_ascii_digit()) => {
                When::Nth(count.parse().map_err(|_| format!("'{count}' is too many"))?)
            }
            ["every", time] => When::Each(duration_ns(time)?),
            [share] if share.ends_with('%') => When::Share(share.parse()?),
            _ => return Err(format!("'{text}' is not {FORM}")),
        };
        let fault = Fault { kind: kind(name)?, when, length_ns: length };
        match fault.objection() {
            Some(objection) => Err(format!("'{text}': {objection}")),
            None => Ok(fault),
        }
    }
}

impl Fault {
    /// What makes no sense about it.
    fn objection(&self) -> Option<&'static str> {
        let lasts =
            matches!(self.kind, Kind::Line(Trouble::Stall | Trouble::SlowReader | Trouble::Flap));
        let timed = self.is_timed();
        let accepts = self.kind == Kind::Line(Trouble::AcceptClose);
        match (self.when, self.length_ns) {
            (When::Nth(0) | When::Each(0), _) | (_, Some(0)) => Some("0 is not often, or long"),
            (When::Each(every), Some(length)) if length >= every => Some("it would never end"),
            (_, None) if lasts || accepts && timed => Some("it lasts a while: for how long?"),
            (_, Some(_)) if !lasts && !timed => Some("it lasts no time"),
            (When::Share(_), _) if accepts => Some("say of which connections: every N"),
            _ => None,
        }
    }

    /// Whether it makes answers wait.
    pub(super) fn is_late(&self) -> bool {
        matches!(self.kind, Kind::Answer(Harm::Late(_)))
    }

    /// Whether it comes by the clock.
    pub(super) fn is_timed(&self) -> bool {
        matches!(self.when, When::At(_) | When::Each(_))
    }

    /// Which of its turns is on so long after the beginning; None between them.
    pub(super) fn turn(&self, since_ns: u64) -> Option<u64> {
        let (turn, into_ns) = match self.when {
            When::At(at_ns) => (1, since_ns.checked_sub(at_ns)?),
            When::Each(every_ns) => (since_ns / every_ns, since_ns % every_ns),
            When::Share(_) | When::Nth(_) => return None,
        };
        (turn > 0 && self.length_ns.is_none_or(|length_ns| into_ns < length_ns)).then_some(turn)
    }

    /// When its next turn begins that begins after `since_ns`.
    pub(super) fn next_ns(&self, since_ns: u64) -> Option<u64> {
        match self.when {
            When::At(at_ns) => (at_ns > since_ns).then_some(at_ns),
            When::Each(every_ns) => Some((since_ns / every_ns + 1) * every_ns),
            When::Share(_) | When::Nth(_) => None,
        }
    }
}

fn kind(name: &str) -> Result<Kind, String> {
    if let Some(time) = name.strip_prefix("late=") {
        return Ok(Kind::Answer(Harm::Late(duration_ns(time)?)));
    }
    let known = KINDS.iter().find(|(known, _)| *known == name);
    known.map(|(_, kind)| *kind).ok_or_else(|| {
        let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
        format!("'{name}' is not a fault; use {} or late=TIME", names.join(", "))
    })
}

const FORM: &str = "KIND WHEN [for LENGTH], as in 'wrong-stan 0.1%', 'reset every 1000' or \
                    'stall at 10s for 2s'";

const KINDS: [(&str, Kind); 17] = [
    ("wrong-stan", Kind::Answer(Harm::Wrong(11))),
    ("wrong-rrn", Kind::Answer(Harm::Wrong(37))),
    ("wrong-amount", Kind::Answer(Harm::Wrong(4))),
    ("wrong-code", Kind::Answer(Harm::Wrong(39))),
    ("wrong-terminal", Kind::Answer(Harm::Wrong(41))),
    ("duplicate", Kind::Answer(Harm::Duplicate)),
    ("malformed", Kind::Answer(Harm::Malformed)),
    ("bad-length", Kind::Answer(Harm::BadLength)),
    ("swapped", Kind::Answer(Harm::Swapped)),
    ("silence", Kind::Answer(Harm::Silence)),
    ("half-frame", Kind::Answer(Harm::HalfFrame)),
    ("close", Kind::Line(Trouble::Close)),
    ("reset", Kind::Line(Trouble::Reset)),
    ("stall", Kind::Line(Trouble::Stall)),
    ("slow-reader", Kind::Line(Trouble::SlowReader)),
    ("accept-close", Kind::Line(Trouble::AcceptClose)),
    ("flap", Kind::Line(Trouble::Flap)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_as_written() {
        let read = |text: &str| text.parse::<Fault>();
        let stall = read("stall at 10s for 2s").unwrap();
        assert_eq!(stall.kind, Kind::Line(Trouble::Stall));
        assert_eq!((stall.when, stall.length_ns), (When::At(10_000_000_000), Some(2_000_000_000)));
        assert_eq!(read("reset every 1000").unwrap().when, When::Nth(1_000));
        assert_eq!(read("reset every 1s").unwrap().when, When::Each(1_000_000_000));
        assert_eq!(read("flap every 5s for 1s").unwrap().kind, Kind::Line(Trouble::Flap));
        assert_eq!(read("late=5ms 10%").unwrap().kind, Kind::Answer(Harm::Late(5_000_000)));
        assert!(read("silence at 1s for 1s").is_ok() && read("accept-close every 3").is_ok());
        for wrong in [
            "",
            "reset",
            "wrong-colour 1%",
            "reset 1",
            "reset every 0",
            "reset every 1000 for 1s",
            "stall at 10s",
            "stall every 1s for 1s",
            "accept-close 5%",
            "accept-close at 1s",
            "late 5%",
            "stall for 1s",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_fault_of_the_clock_has_its_turns() {
        let fault: Fault = "silence every 5s for 1s".parse().unwrap();
        let s = 1_000_000_000;
        let turns = [0, 5, 6, 11, 10].map(|at| fault.turn(at * s));
        assert_eq!(turns, [None, Some(1), None, None, Some(2)]);
        assert_eq!((fault.next_ns(0), fault.next_ns(5 * s)), (Some(5 * s), Some(10 * s)));
        let once: Fault = "reset at 2s".parse().unwrap();
        assert_eq!((once.next_ns(0), once.next_ns(2 * s)), (Some(2 * s), None));
        assert_eq!((once.turn(s), once.turn(9 * s)), (None, Some(1)));
    }
}
