//! What is claimed, under which key, and what comes of it. Facts only: the window decides.

use crate::base::ids::{LinkId, WorkerId};
use crate::base::time::Instant;

/// By what a request is known again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TerminalKey {
    /// Keyed hash of link, DE 41, DE 42, DE 11 and class of MTI.
    pub hash: u64,
    /// DE 7, else DE 12; 0 if absent. A terminal that starts its STANs anew each day differs here.
    pub moment: u64,
    /// Keyed hash of what is asked: who pays, how much, in which currency, what for.
    pub fingerprint: u64,
}

/// A request that is about to be decided on.
#[derive(Debug, Clone, Copy)]
pub(in crate::switch) struct Claim {
    pub(in crate::switch) id: u64,
    pub(in crate::switch) key: TerminalKey,
    pub(in crate::switch) acquirer: LinkId,
    pub(in crate::switch) at: Instant,
}

/// Who knows a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::switch) enum Known {
    /// This worker does not, nor does another: it is remembered from now on under this number.
    New(u64),
    /// This worker, under this number.
    Here(u64),
    /// That worker.
    Elsewhere(WorkerId),
    /// There is no room to remember it.
    NoRoom,
}
