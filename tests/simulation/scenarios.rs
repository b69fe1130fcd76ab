//! Small worlds that crash at every step: one transaction, one thing that goes wrong, and a
//! process that ends at each point that it passes, in each manner; then again, at each pair of
//! points. What crashes during a recovery is among the pairs.
//!
//! `SIM_PAIRS` says how many points behind the first crash the second may come, at most, and
//! `SIM_VARIANTS` in how many variants of when what happens each scenario is played.

use std::ops::Range;

use authswitch::switch::Setup;

use crate::crash::{Crashes, Manner};
use crate::faults::{Fault, Faults};
use crate::oracle::Breach;
use crate::world::World;
use crate::{judged, knob, world};

/// What happens to the transaction, and what goes wrong.
pub(crate) const ALL: &[(&str, &[Fault])] = &[
    ("approved", &[]),
    ("declined", &[Fault::Decline]),
    ("approved in part", &[Fault::Partial]),
    ("taken back", &[Fault::Void]),
    ("a part taken back", &[Fault::Partial, Fault::Void]),
    ("taken back at once", &[Fault::EarlyReversal]),
    ("taken back before it was asked", &[Fault::LateOriginal]),
    ("taken back with another amount", &[Fault::WrongReversalAmount, Fault::Late]),
    ("not answered", &[Fault::Silent]),
    ("answered late", &[Fault::Late]),
    ("answered late and reversed late", &[Fault::Late, Fault::ReversalLate]),
    ("answered twice", &[Fault::Twice]),
    ("approved, then declined", &[Fault::ApproveThenDecline]),
    ("declined, then approved", &[Fault::DeclineThenApprove]),
    ("answered wrongly", &[Fault::WrongAmount]),
    ("answered unreadably", &[Fault::Damaged]),
    ("repeated", &[Fault::Repeat]),
    ("repeated elsewhere", &[Fault::RepeatElsewhere]),
    ("repeated and not answered", &[Fault::Repeat, Fault::Silent]),
    ("another under its STAN", &[Fault::Conflict]),
    ("the terminal hangs up", &[Fault::HangUp]),
    ("the terminal hangs up for good", &[Fault::HangUp, Fault::Abandon]),
    ("its half of the connection ends", &[Fault::PosFin]),
    ("the partner's half ends", &[Fault::HostFin]),
    ("a connection breaks", &[Fault::Reset]),
    ("a connection breaks in a frame", &[Fault::ResetInFrame]),
    ("a connection takes nothing", &[Fault::StopsReading]),
    ("the kernel takes little", &[Fault::ShortWrite, Fault::SlowLink]),
    ("0430 does not come", &[Fault::Silent, Fault::ReversalIgnored]),
    ("0430 with 96", &[Fault::Silent, Fault::ReversalTryAgain]),
    ("0430 with 30", &[Fault::Silent, Fault::ReversalRejected]),
    ("not answered, and found approved", &[Fault::Silent, Fault::InquiryMixedUp]),
    ("not answered, and found declined", &[Fault::Decline, Fault::Silent, Fault::InquiryMixedUp]),
    ("answered late, and asked about", &[Fault::Late, Fault::InquiryMixedUp]),
    ("not answered, and nor is the inquiry", &[Fault::Silent, Fault::InquiryIgnored]),
    ("not answered, and the inquiry is unclear", &[Fault::Silent, Fault::InquiryUnclear]),
    ("asked whose it is", &[Fault::ConsultUnclear]),
    ("asked whose it is in vain", &[Fault::ConsultIgnored]),
    ("taken back while it is asked whose it is", &[Fault::ConsultLate, Fault::EarlyReversal]),
    ("repeated while it is asked whose it is", &[Fault::ConsultLate, Fault::Repeat]),
    ("the disk is slow", &[Fault::SlowDisk]),
    ("the disk is slow, and it is taken back", &[Fault::SlowDisk, Fault::EarlyReversal]),
    ("the disk is full", &[Fault::DiskFull]),
    ("the disk is full, and it is taken back", &[Fault::DiskFull, Fault::LateOriginal]),
    ("the disk fails", &[Fault::DiskFails]),
    ("the process is told to end", &[Fault::Drain]),
    ("it is told to end while the partner is silent", &[Fault::Drain, Fault::Silent]),
];

/// The same with two workers: who asks elsewhere asks the other one.
pub(crate) const TWO_WORKERS: &[(&str, &[Fault])] = &[
    ("approved by one of two workers", &[]),
    ("not answered to one of two workers", &[Fault::Silent]),
    ("repeated at another worker", &[Fault::RepeatElsewhere]),
    ("repeated at another worker and late", &[Fault::RepeatElsewhere, Fault::Late]),
    (
        "repeated at another worker, and gone there",
        &[Fault::HangUp, Fault::Abandon, Fault::Late, Fault::RepeatElsewhere, Fault::GuestGone],
    ),
    ("taken back, perhaps at another worker", &[Fault::Void]),
    ("taken back at once, mail is slow", &[Fault::EarlyReversal, Fault::SlowMail]),
    ("taken back at one worker and asked at the other", &[Fault::LateOriginal]),
    ("a connection breaks that another worker uses", &[Fault::Reset]),
    ("two workers are told to end", &[Fault::Drain, Fault::RepeatElsewhere, Fault::SlowMail]),
];

/// Where a rule was broken, after how many plays, and which.
pub(crate) type Finding = (String, u64, Breach);

/// A scenario, played with these crashes. What was passed, how many crashes came, the breach.
fn play(
    setup: &Setup,
    (faults, workers, seed): (&[Fault], u8, u64),
    planned: &[(usize, Manner)],
) -> (usize, usize, Option<Breach>) {
    let planned = planned.iter().rev().copied().collect();
    let crashes = Crashes { planned, ..Crashes::default() };
    let mut world = World::scripted(seed, Faults::only(faults, 2, workers), setup, crashes);
    let breach = judged(&mut world);
    let crashes = world.crashes.take().unwrap_or_default();
    (crashes.passed.len(), crashes.met, breach)
}

/// Plays all crashes of a scenario, one or two; says how many plays that were.
fn crash_everywhere(
    setup: &Setup,
    (name, faults, workers): (&str, &[Fault], u8),
    (seeds, behind_max): (Range<u64>, usize),
) -> Result<u64, Finding> {
    let mut plays = 0;
    for seed in seeds {
        let mut tried = |planned: &[(usize, Manner)]| {
            plays += 1;
            let (passed, met, breach) = play(setup, (faults, workers, seed), planned);
            match breach {
                Some(breach) => {
                    Err((format!("{name}, seed {seed}, crashes {planned:?}"), plays, breach))
                }
                None => {
                    assert_eq!(met, planned.len(), "{name}: {planned:?} was not met");
                    Ok(passed)
                }
            }
        };
        let points = tried(&[])?;
        for first in 0..points {
            for manner in Manner::ALL {
                let passed = tried(&[(first, manner)])?;
                let last = passed.min(first + 1 + behind_max);
                for second in first + 1..last {
                    // What the disk kept differs most; whether the kernel delivers, it did before.
                    for other in [Manner::ALL[0], Manner::ALL[3]] {
                        tried(&[(first, manner), (second, other)])?;
                    }
                }
            }
        }
    }
    Ok(plays)
}

/// Plays all scenarios; says how many plays there were, and what broke a rule.
pub(crate) fn crash_all(
    setup: &Setup,
    seeds: &Range<u64>,
    behind_max: usize,
) -> (u64, Vec<Finding>) {
    let half = |which: usize| {
        let one = ALL.iter().map(|(name, faults)| (*name, *faults, 1));
        let two = TWO_WORKERS.iter().map(|(name, faults)| (*name, *faults, 2));
        let mine = one.chain(two).enumerate().filter(|(place, _)| place % 2 == which);
        let mut plays = 0;
        let mut findings = Vec::new();
        for (_, scenario) in mine {
            match crash_everywhere(setup, scenario, (seeds.clone(), behind_max)) {
                Ok(count) => plays += count,
                Err(finding) => findings.push(finding),
            }
        }
        (plays, findings)
    };
    let halves = std::thread::scope(|scope| {
        let workers = [0, 1].map(|which| scope.spawn(move || half(which)));
        workers.map(|worker| worker.join().expect("it ends"))
    });
    let plays = halves.iter().map(|(plays, _)| plays).sum();
    (plays, halves.into_iter().flat_map(|(_, findings)| findings).collect())
}

#[test]
fn crashes_are_survived_anywhere() {
    let (first, seeds) = (knob("SIM_FIRST", 0), knob("SIM_VARIANTS", 1));
    let behind_max = knob("SIM_PAIRS", 1) as usize;
    let (plays, findings) = crash_all(&world::setup(), &(first..first + seeds), behind_max);
    println!("{plays} plays");
    let told = |(place, _, breach): &Finding| format!("{place}: {breach:?}");
    let findings: Vec<String> = findings.iter().map(told).collect();
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}
