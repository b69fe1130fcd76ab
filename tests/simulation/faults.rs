//! What may go wrong in a run. Each seed draws a subset: faults hide each other, so with all of
//! them on some bugs would never show.

use crate::dice::Dice;

/// Something that goes wrong. The order is that of the rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    // The network.
    SlowLink,
    Sliced,
    ShortWrite,
    ResetInFrame,
    Reset,
    PosFin,
    HostFin,
    StopsReading,
    // Terminals.
    Repeat,
    RepeatElsewhere,
    HangUp,
    Abandon,
    EarlyReversal,
    Void,
    ForeignReversal,
    WrongReversalAmount,
    Conflict,
    LateOriginal,
    StrayResponse,
    Garbage,
    // Hosts, about requests.
    Decline,
    Partial,
    Silent,
    Late,
    Twice,
    WrongAmount,
    WrongStan,
    WrongReference,
    WrongTerminal,
    NoCode,
    Swapped,
    ApproveThenDecline,
    DeclineThenApprove,
    Damaged,
    OtherConnection,
    Asks,
    // Hosts, about reversals.
    ReversalIgnored,
    ReversalLate,
    ReversalTryAgain,
    ReversalRejected,
    ReversalMixedUp,
    // The machine.
    SlowDisk,
    SlowTurn,
    ClockStep,
    Crash,
}

const COUNT: usize = Fault::Crash as usize + 1;

/// How often each happens, per thousand occasions.
#[derive(Debug)]
pub(crate) struct Faults {
    rates: [u32; COUNT],
    /// A reversal that overtakes its original is kept, and the original declined when it comes.
    pub(crate) hosts_keep_overtakers: bool,
    /// Terminals that give no DE 90 in their reversals but the STAN of the original.
    pub(crate) plain_reversals: bool,
    /// Partners demand a sign-on.
    pub(crate) sign_on: bool,
}

impl Faults {
    pub(crate) fn swarm(dice: &mut Dice) -> Self {
        let mut rates = [0; COUNT];
        let share = [0, 100, 300, 500][dice.below(4) as usize];
        for (fault, rate) in rates.iter_mut().enumerate() {
            let heavy = [10, 30, 100, 300][dice.below(4) as usize];
            let is_on = dice.chance(share);
            // What ends connections or the process ends everything else too if it is frequent.
            let rare = [Fault::ResetInFrame, Fault::Reset, Fault::PosFin, Fault::HostFin];
            let is_rare = rare.iter().any(|rare| *rare as usize == fault);
            let most = if is_rare { 30 } else { 300 };
            *rate = if is_on { heavy.min(most) } else { 0 };
        }
        rates[Fault::Crash as usize] = rates[Fault::Crash as usize].min(10);
        Self {
            rates,
            hosts_keep_overtakers: dice.chance(500),
            plain_reversals: dice.chance(300),
            sign_on: dice.chance(200),
        }
    }

    /// From now on nothing goes wrong.
    pub(crate) fn heal(&mut self) {
        self.rates = [0; COUNT];
    }

    /// Does it happen now?
    pub(crate) fn strike(&self, fault: Fault, dice: &mut Dice) -> bool {
        dice.chance(self.rates[fault as usize])
    }

    pub(crate) fn is_on(&self, fault: Fault) -> bool {
        self.rates[fault as usize] > 0
    }

    /// True if nothing at all goes wrong, apart from hosts that decline.
    pub(crate) fn none(&self) -> bool {
        let quiet = [Fault::Decline, Fault::Partial, Fault::Void];
        (0..COUNT).all(|fault| {
            self.rates[fault] == 0 || quiet.iter().any(|quiet| *quiet as usize == fault)
        })
    }
}
