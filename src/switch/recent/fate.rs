//! What became of a transaction, and how its partner hears of it.

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It waits for its partner, at this place.
    InFlight(u32),
    /// Approved. Copies of the approval that wait to be taken by the kernel, and whether one was.
    Approved {
        /// Not taken yet.
        waiting: u8,
        /// At least one was: the terminal may have seen it.
        handed: bool,
    },
    /// Declined, by the partner or by us.
    Declined,
    /// Nobody knows what the partner did; a reversal is owed.
    Unknown,
    /// Reversed.
    Reversed,
}

impl Fate {
    /// Of one that was claimed, and nothing was decided about it yet.
    pub(in crate::switch) const UNDECIDED: Self = Self::InFlight(u32::MAX);

    /// True while it may not be forgotten.
    pub(super) const fn is_needed(self) -> bool {
        matches!(self, Self::InFlight(_)) || matches!(self, Self::Approved { waiting: 1.., .. })
    }
}

/// How a partner hears of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// It is asked.
    Asked,
    /// It gets an advice: somebody else has approved.
    Advised,
}
