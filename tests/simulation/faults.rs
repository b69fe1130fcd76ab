//! What may go wrong in a run. Each seed draws a subset: faults hide each other, so with all of
//! them on some bugs would never show.

use crate::dice::Dice;
use crate::world::{MS, SECOND, US};

macro_rules! faults {
    ($($name:ident,)*) => {
        /// Something that goes wrong. The order is that of the rates.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Fault {
            $($name,)*
        }

        impl Fault {
            pub(crate) const ALL: [Self; COUNT] = [$(Self::$name,)*];
        }
    };
}

faults! {
    // The network.
    SlowLink,
    Sliced,
    ShortWrite,
    ResetInFrame,
    Reset,
    PosFin,
    HostFin,
    // All hosts at once, and for a while.
    Outage,
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
    HostAway,
    HostHangsUp,
    // Between workers.
    SlowMail,
    MailboxFull,
    GuestGone,
    // The machine.
    SlowDisk,
    DiskFails,
    DiskFull,
    SlowTurn,
    Pause,
    ClockStep,
    Drain,
    Crash,
    // The operator.
    NewRoutes,
    // Hosts, about inquiries.
    InquiryIgnored,
    InquiryUnclear,
    InquiryMixedUp,
    // And about whose code it is.
    ConsultIgnored,
    ConsultUnclear,
    ConsultLate,
}

/// About inquiries.
const INQUIRIES: [Fault; 3] = [Fault::InquiryIgnored, Fault::InquiryUnclear, Fault::InquiryMixedUp];

/// About whose a card is.
const CONSULTS: [Fault; 3] = [Fault::ConsultIgnored, Fault::ConsultUnclear, Fault::ConsultLate];

/// How long the process stands still, at most.
pub(crate) const PAUSE_MAX: u64 = 20 * SECOND;

/// It is awake for so long between two pauses: no request lives through more than one of them.
pub(crate) const AWAKE_MIN: u64 = 10 * SECOND;

pub(crate) const COUNT: usize = Fault::ConsultLate as usize + 1;

/// What the worlds of a seed are made of; what came later is drawn apart, so that they stay as they
/// were.
const SWARMED: usize = Fault::NewRoutes as usize;

/// How often each happens, per thousand occasions.
#[derive(Debug)]
pub(crate) struct Faults {
    rates: [u32; COUNT],
    /// How often each has happened, and how often it may.
    struck: [u64; COUNT],
    most: u64,
    /// A reversal that overtakes its original is kept, and the original declined when it comes.
    pub(crate) hosts_keep_overtakers: bool,
    /// Terminals that give no DE 90 in their reversals but the STAN of the original.
    pub(crate) plain_reversals: bool,
    /// Partners demand a sign-on.
    pub(crate) sign_on: bool,
    /// The route has a stand-in policy.
    pub(crate) stand_in: bool,
    /// Terminals tell what they have done, too.
    pub(crate) advices: bool,
    /// Workers of the switch, and whether each life has another number of them.
    pub(crate) workers: u8,
    pub(crate) workers_vary: bool,
    /// Connections of each partner.
    pub(crate) sessions: usize,
    /// Partners can say what became of a request.
    pub(crate) inquires: bool,
    /// Cards may be of either of two networks, and the second host knows.
    pub(crate) consults: bool,
}

impl Faults {
    pub(crate) fn swarm(dice: &mut Dice) -> Self {
        let mut rates = [0; COUNT];
        let share = [0, 100, 300, 500][dice.below(4) as usize];
        for (fault, rate) in rates.iter_mut().enumerate().take(SWARMED) {
            let heavy = [10, 30, 100, 300][dice.below(4) as usize];
            let is_on = dice.chance(share);
            // What ends connections or the process ends everything else too if it is frequent.
            let rare =
                [Fault::ResetInFrame, Fault::Reset, Fault::PosFin, Fault::HostFin, Fault::Outage];
            let is_rare = rare.iter().any(|rare| *rare as usize == fault);
            let most = if is_rare { 30 } else { 300 };
            *rate = if is_on { heavy.min(most) } else { 0 };
        }
        for fault in [Fault::Crash, Fault::Drain, Fault::DiskFails, Fault::DiskFull, Fault::Pause] {
            rates[fault as usize] = rates[fault as usize].min(10);
        }
        Self {
            rates,
            struck: [0; COUNT],
            most: u64::MAX,
            hosts_keep_overtakers: dice.chance(500),
            plain_reversals: dice.chance(300),
            sign_on: dice.chance(200),
            stand_in: dice.chance(300),
            advices: dice.chance(300),
            workers: dice.between(1, 3) as u8,
            workers_vary: dice.chance(200),
            sessions: dice.between(1, 2) as usize,
            inquires: false,
            consults: false,
        }
    }

    /// These strike whenever they can, so many times each, and nothing else does.
    pub(crate) fn only(faults: &[Fault], most: u64, workers: u8) -> Self {
        let mut rates = [0; COUNT];
        faults.iter().for_each(|fault| rates[*fault as usize] = 1000);
        Self {
            rates,
            struck: [0; COUNT],
            most,
            hosts_keep_overtakers: false,
            plain_reversals: false,
            sign_on: false,
            stand_in: false,
            advices: false,
            workers,
            workers_vary: false,
            // With two workers each has one partner's only connection.
            sessions: if workers > 1 { 1 } else { 2 },
            inquires: faults.iter().any(|fault| INQUIRIES.contains(fault)),
            consults: faults.iter().any(|fault| CONSULTS.contains(fault)),
        }
    }

    /// After how many a terminal's STANs start anew: few, unless that makes its messages mean two
    /// things. A completion is not told apart from another one under its STAN of another day where
    /// a second worker remembers that.
    pub(crate) const fn stans(&self) -> u32 {
        let is_unclear = self.plain_reversals;
        if is_unclear { 999_999 } else { 40 }
    }

    /// How long behind its deadline a request may leave: from when a worker should look to when it
    /// does, at most.
    pub(crate) fn late_by(&self) -> u64 {
        let turn = if self.is_on(Fault::SlowTurn) { 401 * MS } else { 100 * US };
        let once = if self.is_on(Fault::Pause) { turn + PAUSE_MAX } else { turn };
        // The time to say whose it is ends late, too.
        if self.consults { 2 * once } else { once }
    }

    /// How often each has happened, in the order of [`Fault`].
    pub(crate) const fn struck(&self) -> &[u64; COUNT] {
        &self.struck
    }

    /// In some worlds the routes change, now and then or all the time.
    pub(crate) fn change_routes(&mut self, dice: &mut Dice) {
        self.rates[Fault::NewRoutes as usize] = [0, 0, 20, 200][dice.below(4) as usize];
    }

    /// In some worlds partners are asked what became of a request, in some whose a card is.
    pub(crate) fn inquire(&mut self, dice: &mut Dice) {
        self.inquires = dice.chance(400);
        for fault in INQUIRIES.into_iter().filter(|_| self.inquires) {
            self.rates[fault as usize] = [0, 100, 300][dice.below(3) as usize];
        }
        self.consults = dice.chance(300);
        for fault in CONSULTS.into_iter().filter(|_| self.consults) {
            self.rates[fault as usize] = [0, 100, 300][dice.below(3) as usize];
        }
    }

    /// From now on nothing goes wrong.
    pub(crate) fn heal(&mut self) {
        self.rates = [0; COUNT];
    }

    /// Does it happen now?
    pub(crate) fn strike(&mut self, fault: Fault, dice: &mut Dice) -> bool {
        let struck = &mut self.struck[fault as usize];
        // Most mail is about nothing.
        let is_left = *struck < self.most || fault == Fault::SlowMail;
        let strikes = is_left && dice.chance(self.rates[fault as usize]);
        *struck += u64::from(strikes);
        strikes
    }

    pub(crate) fn is_on(&self, fault: Fault) -> bool {
        self.rates[fault as usize] > 0
    }

    /// True if nothing at all goes wrong, apart from hosts that decline.
    pub(crate) fn none(&self) -> bool {
        let quiet = [Fault::Decline, Fault::Partial, Fault::Void, Fault::NewRoutes];
        (0..COUNT).all(|fault| {
            let is = |other: &Fault| *other as usize == fault;
            self.rates[fault] == 0 || quiet.iter().chain(&INQUIRIES).chain(&CONSULTS).any(is)
        })
    }
}
