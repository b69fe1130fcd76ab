//! Approvals that one worker remembers and another one hands over.
//!
//! A repeat may come to a worker that does not remember its original; the answer then leaves on a
//! connection of one worker, and what the kernel took of it matters to another. The mark behind
//! such an approval says whose it is. How it travels is the shell's.

use crate::base::ids::{SessionId, WorkerId};

use super::outbox::Outbox;

/// What became of an approval that a worker answered on another one's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Its number at the worker that remembers it.
    pub number: u64,
    /// The kernel has taken it whole.
    pub handed: bool,
}

impl Outbox {
    /// Shell: frames for `session` from the worker that remembers what they answer; approvals end
    /// behind these bytes of them, and have these numbers there.
    pub fn append_for(
        &mut self,
        worker: WorkerId,
        session: SessionId,
        bytes: &[u8],
        approvals: &[(usize, u64)],
    ) {
        let Some(lane) = self.lane(session) else {
            let lost = approvals.iter().map(|(_, number)| Told { number: *number, handed: false });
            return self.told.extend(lost.map(|told| (worker, told)));
        };
        let from = lane.len();
        lane.extend_from_slice(bytes);
        if let Some(lane) = self.lane_mut(session) {
            let mark = |number: u64| FOREIGN | u64::from(worker.0) << 56 | number;
            lane.marks.extend(approvals.iter().map(|(end, number)| (from + end, mark(*number))));
        }
    }

    /// Shell: what another worker is to hear of its approvals.
    pub fn next_told(&mut self) -> Option<(WorkerId, Told)> {
        self.told.pop()
    }

    /// Shell: takes what may leave of a session that answers for another worker: the bytes, where
    /// approvals end in them, and their numbers.
    pub fn take_marked(&mut self, session: SessionId) -> (Vec<u8>, Vec<(usize, u64)>) {
        let spare = self.spare();
        match self.lane_mut(session) {
            Some(lane) => lane.take_marked(spare),
            None => (spare, Vec::new()),
        }
    }
}

/// Whose approval a mark is of, and its number there, if it is not our own.
#[inline]
pub(super) const fn foreign(mark: u64) -> Option<(WorkerId, u64)> {
    if mark & FOREIGN == 0 {
        return None;
    }
    Some((WorkerId((mark >> 56) as u8 & 0x3F), mark & ((1 << 56) - 1)))
}

/// Set in marks of approvals that another worker remembers; behind it six bits for the worker.
const FOREIGN: u64 = 1 << 63;
