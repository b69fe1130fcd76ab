//! Chance by seed: the same seed gives the same transactions and the same fates.
//!
//! The fate of a transaction is a function of seed and token alone, so it does not depend on what
//! else happens. The faults of a run are a list of shares, each with a default; where real time
//! enters (which request is in flight when a connection breaks) a run is not repeatable.

use std::str::FromStr;

/// Numbers by seed (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The sequence of this seed.
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.0)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A number that depends on `seed`, `salt` and every byte of `token`.
pub(crate) fn drawn(seed: u64, salt: u64, token: &str) -> u64 {
    token.bytes().fold(mixed(seed ^ mixed(salt)), |sum, byte| mixed(sum ^ u64::from(byte)))
}

fn mixed(mut value: u64) -> u64 {
    value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ value >> 31
}

/// What the host does to one transaction, one reversal, or a terminal to its own request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Booked, never answered.
    Silent,
    /// Booked at once, answered after the switch's deadline.
    Late,
    /// Booked and answered after the deadline: a reversal that comes before finds nothing (25).
    Overtaken,
    /// Answered twice.
    Twice,
    /// The answer has another amount.
    WrongAmount,
    /// The answer has another STAN.
    WrongStan,
    /// The answer has another RRN.
    WrongRrn,
    /// The answer has another terminal.
    WrongTerminal,
    /// Two answers exchange their STANs.
    Swapped,
    /// Declined, code 05.
    Decline,
    /// Approved, then declined.
    ApproveDecline,
    /// Declined, then approved and booked.
    DeclineApprove,
    /// Booked; the connection is reset with everything in flight.
    Reset,
    /// Booked; half the answer, then a reset.
    HalfFrame,
    /// Answered in two pieces, late but inside the deadline.
    Slow,
    /// A reversal is not answered, several times.
    ReversalSilent,
    /// A reversal is answered 96, once.
    ReversalRefused,
    /// The terminal repeats as x1.
    Repeat,
    /// The terminal sends the same bytes again.
    Identical,
    /// A repeat goes over another connection.
    Elsewhere,
    /// The terminal disconnects before the answer.
    HangUp,
    /// The terminal reverses without waiting for the answer.
    Cancel,
}

/// Shares of the faults that a run has, in parts per 10,000.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    shares: Vec<(Fault, u64)>,
}

impl Faults {
    /// The fault of this token among `group`, if it has one.
    pub(crate) fn choose(
        &self,
        group: &[Fault],
        seed: u64,
        salt: u64,
        token: &str,
    ) -> Option<Fault> {
        let mut place = drawn(seed, salt, token) % WHOLE;
        for (fault, share) in self.shares.iter().filter(|(fault, _)| group.contains(fault)) {
            if place < *share {
                return Some(*fault);
            }
            place -= share;
        }
        None
    }
}

impl FromStr for Faults {
    type Err = String;

    /// `all`, `none`, or a list of names, each with a percentage if not its own: `late,silent:2.5`.
    fn from_str(text: &str) -> Result<Faults, String> {
        let mut shares = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty() && *part != "none") {
            let (name, percent) = part.split_once(':').unwrap_or((part, ""));
            if name == "all" {
                shares.extend(NAMES.iter().map(|(_, fault, share)| (*fault, *share)));
                continue;
            }
            let known = NAMES.iter().find(|(known, ..)| *known == name);
            let Some((_, fault, share)) = known else {
                let names: Vec<&str> = NAMES.iter().map(|(known, ..)| *known).collect();
                return Err(format!("'{name}' is not all, none, {}", names.join(", ")));
            };
            let share = match percent {
                "" => *share,
                _ => match percent.parse::<f64>() {
                    Ok(value) if (0.0..=100.0).contains(&value) => (value * 100.0).round() as u64,
                    _ => return Err(format!("'{percent}' is not a percentage")),
                },
            };
            shares.retain(|(other, _)| other != fault);
            shares.push((*fault, share));
        }
        Ok(Faults { shares })
    }
}

/// What may happen to a request at the host.
pub(crate) const OF_REQUESTS: &[Fault] = &[
    Fault::Silent,
    Fault::Late,
    Fault::Overtaken,
    Fault::Twice,
    Fault::WrongAmount,
    Fault::WrongStan,
    Fault::WrongRrn,
    Fault::WrongTerminal,
    Fault::Swapped,
    Fault::Decline,
    Fault::ApproveDecline,
    Fault::DeclineApprove,
    Fault::Reset,
    Fault::HalfFrame,
    Fault::Slow,
];
/// What may happen to a reversal at the host.
pub(crate) const OF_REVERSALS: &[Fault] = &[Fault::ReversalSilent, Fault::ReversalRefused];
/// What a terminal may do to its own request.
pub(crate) const OF_TERMINALS: &[Fault] =
    &[Fault::Repeat, Fault::Identical, Fault::HangUp, Fault::Cancel];

const WHOLE: u64 = 10_000;

/// Names and default shares in parts per 10,000.
const NAMES: [(&str, Fault, u64); 22] = [
    ("silent", Fault::Silent, 100),
    ("late", Fault::Late, 100),
    ("overtaken", Fault::Overtaken, 50),
    ("twice", Fault::Twice, 100),
    ("wrong-amount", Fault::WrongAmount, 50),
    ("wrong-stan", Fault::WrongStan, 50),
    ("wrong-rrn", Fault::WrongRrn, 50),
    ("wrong-terminal", Fault::WrongTerminal, 50),
    ("swapped", Fault::Swapped, 100),
    ("decline", Fault::Decline, 500),
    ("approve-decline", Fault::ApproveDecline, 50),
    ("decline-approve", Fault::DeclineApprove, 50),
    ("reset", Fault::Reset, 20),
    ("half-frame", Fault::HalfFrame, 20),
    ("slow", Fault::Slow, 100),
    ("reversal-silent", Fault::ReversalSilent, 2_000),
    ("reversal-refused", Fault::ReversalRefused, 1_000),
    ("repeat", Fault::Repeat, 100),
    ("identical", Fault::Identical, 100),
    ("elsewhere", Fault::Elsewhere, 5_000),
    ("hang-up", Fault::HangUp, 30),
    ("cancel", Fault::Cancel, 50),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_the_share_it_says_and_the_same_each_time() {
        let faults: Faults = "late:3,silent".parse().unwrap();
        let fate = |n: u32| faults.choose(OF_REQUESTS, 7, 1, &format!("{n:012}"));
        let late = (0..100_000).filter(|n| fate(*n) == Some(Fault::Late)).count();
        let silent = (0..100_000).filter(|n| fate(*n) == Some(Fault::Silent)).count();
        assert!(
            (2_700..3_300).contains(&late) && (850..1_150).contains(&silent),
            "{late} {silent}"
        );
        assert!((0..1_000).all(|n| fate(n) == fate(n)));
    }

    #[test]
    fn lists_are_read() {
        assert!("none".parse::<Faults>().unwrap().shares.is_empty());
        assert_eq!("all".parse::<Faults>().unwrap().shares.len(), NAMES.len());
        let twice = "all,late:50".parse::<Faults>().unwrap();
        assert_eq!(twice.shares.last(), Some(&(Fault::Late, 5_000)));
        assert!("sloth".parse::<Faults>().is_err() && "late:x".parse::<Faults>().is_err());
    }
}
