//! Numbers of transactions, and of the messages that are owed for them.
//!
//! A transaction has one number for ever: the life of the installation, the worker, a count. What
//! is owed for it has the same number with two bits that say which of its messages is meant, so
//! that records of either lead to the other without being told.

use super::saf::Kind;
use crate::base::limits;

/// Bits that count within one life of a worker: three days at a million a second. Above them two
/// say what is owed, 6 which worker, 18 which life.
const COUNT_BITS: u32 = 38;
const ROLE_BITS: u32 = 2;
const WORKER_BITS: u32 = 6;
const ROLES: u64 = 3 << COUNT_BITS;

const _: () = assert!(limits::WORKERS_MAX <= 1 << WORKER_BITS);

/// Which of the messages that can be owed for one transaction, in the order in which they must
/// reach the partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes back what was asked.
    Reversal,
    /// Tells what was done without asking.
    Advice,
    /// Takes back what the advice tells.
    AdviceReversal,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Reversal, Self::Advice, Self::AdviceReversal];

    /// What the store-and-forward lane takes it for.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Advice => Kind::Advice,
            Self::Reversal | Self::AdviceReversal => Kind::Reversal,
        }
    }
}

/// The number of the `count`-th transaction of a worker in a life.
pub(super) const fn transaction(life: u32, worker: u8, count: u64) -> u64 {
    let whose = (life as u64) << WORKER_BITS | worker as u64;
    whose << (COUNT_BITS + ROLE_BITS) | count
}

/// The number of a message owed for `transaction`.
pub const fn owed(transaction: u64, role: Role) -> u64 {
    transaction | (role as u64) << COUNT_BITS
}

/// The transaction for which the message of this number is owed.
pub const fn transaction_of(owed: u64) -> u64 {
    owed & !ROLES
}

/// Which of its messages it is.
pub const fn role_of(owed: u64) -> Role {
    match (owed & ROLES) >> COUNT_BITS {
        0 => Role::Reversal,
        1 => Role::Advice,
        _ => Role::AdviceReversal,
    }
}

/// Which transaction of its worker and life it is.
pub(super) const fn count_of(number: u64) -> u64 {
    number & ((1 << COUNT_BITS) - 1)
}

/// The worker that gave a number.
pub(super) const fn worker_of(number: u64) -> u8 {
    (number >> (COUNT_BITS + ROLE_BITS)) as u8 & ((1 << WORKER_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_leads_to_its_transaction_and_back() {
        let transaction = transaction(70_000, 63, (1 << COUNT_BITS) - 1);
        let owed = Role::ALL.map(|role| owed(transaction, role));
        for (role, number) in Role::ALL.iter().zip(owed) {
            assert_eq!(worker_of(number), 63);
            assert_eq!((transaction_of(number), role_of(number)), (transaction, *role));
        }
        assert_eq!(owed[0], transaction, "a reversal has the number of what it takes back");
        assert!(owed[0] < owed[1] && owed[1] < owed[2], "three numbers");
    }
}
