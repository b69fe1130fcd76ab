//! The bytes of one session on their way out, some of which wait and some of which never leave.
//!
//! A lane is whole frames in order. What depends on a record waits behind a gate until the record
//! is durable. What is given up before the kernel has taken a byte of it is withdrawn: it stays
//! where it is and is stepped over, since nothing behind it may be moved while a writer looks at
//! it, and a disk that hangs gives up thousands in a row.

use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) generation: u32,
    pub(super) bytes: Vec<u8>,
    /// Bytes at the front of `bytes` that the kernel has taken, or that never leave.
    pub(super) written: usize,
    pub(super) dirty: bool,
    /// Bytes that wait for what was recorded with them: from where on, and for which batch.
    pub(super) gates: VecDeque<(usize, u64)>,
    /// Approvals in the lane: the byte behind each, counted as `written` is, and its number.
    pub(super) marks: VecDeque<(usize, u64)>,
    /// Bytes of this session that stood in front of `bytes` and are gone.
    pub(super) passed: u64,
    /// Frames that never leave, from where to where, in order: neighbours are one.
    pub(super) withdrawn: VecDeque<(usize, usize)>,
}

impl Lane {
    /// Up to where bytes may leave in one piece.
    #[inline]
    pub(super) fn released(&self) -> usize {
        let gate = self.gates.front().map_or(self.bytes.len(), |(from, _)| *from);
        self.withdrawn.front().map_or(gate, |(from, _)| gate.min(*from))
    }

    /// True if nothing is left to leave.
    #[inline]
    pub(super) fn is_spent(&self) -> bool {
        self.written >= self.bytes.len()
    }

    /// Makes the lane empty; returns what it held.
    #[inline]
    pub(super) fn restart(&mut self) -> Vec<u8> {
        debug_assert!(self.is_spent() && self.withdrawn.is_empty(), "nothing is left to leave");
        self.passed += self.bytes.len() as u64;
        self.written = 0;
        // Those left were passed with the frames they held.
        self.gates.clear();
        std::mem::take(&mut self.bytes)
    }

    /// Keeps a frame from leaving, if the kernel has taken no byte of it.
    pub(super) fn withdraw(&mut self, from: u64, count: usize) -> bool {
        let place = from.checked_sub(self.passed).and_then(|place| usize::try_from(place).ok());
        let Some(from) = place.filter(|place| *place >= self.written) else { return false };
        let to = from + count;
        if count == 0 || to > self.bytes.len() {
            return false;
        }
        debug_assert!(self.marks.is_empty(), "approvals are not withdrawn");
        let behind = self.withdrawn.partition_point(|(other, _)| *other < from);
        match behind.checked_sub(1).and_then(|before| self.withdrawn.get_mut(before)) {
            Some((_, end)) if *end == from => *end = to,
            _ => self.withdrawn.insert(behind, (from, to)),
        }
        self.skip_withdrawn();
        true
    }

    /// Steps over what never leaves.
    #[inline]
    pub(super) fn skip_withdrawn(&mut self) {
        while let Some(&(_, to)) = self.withdrawn.front().filter(|(from, _)| *from <= self.written)
        {
            self.written = to;
            self.withdrawn.pop_front();
        }
    }

    /// Takes all that may leave out, in exchange for an empty buffer.
    pub(super) fn take(&mut self, mut spare: Vec<u8>) -> Vec<u8> {
        let gate = self.gates.front().map_or(self.bytes.len(), |(from, _)| *from);
        if self.written == 0 && self.withdrawn.is_empty() && gate == self.bytes.len() {
            self.passed += gate as u64;
            return std::mem::replace(&mut self.bytes, spare);
        }
        while self.written < gate {
            let end = self.released();
            spare.extend_from_slice(self.bytes.get(self.written..end).unwrap_or(&[]));
            self.written = end;
            self.skip_withdrawn();
        }
        let gone = std::mem::take(&mut self.written);
        self.bytes.drain(..gone);
        self.passed += gone as u64;
        self.gates.iter_mut().for_each(|(from, _)| *from = from.saturating_sub(gone));
        self.marks.iter_mut().for_each(|(end, _)| *end = end.saturating_sub(gone));
        for (from, to) in &mut self.withdrawn {
            (*from, *to) = (*from - gone, *to - gone);
        }
        spare
    }

    /// The same, and where approvals end in it, which are not in the lane any more.
    pub(super) fn take_marked(&mut self, spare: Vec<u8>) -> (Vec<u8>, Vec<(usize, u64)>) {
        let gate = self.gates.front().map_or(self.bytes.len(), |(from, _)| *from);
        let from = self.written;
        debug_assert!(self.marks.is_empty() || self.withdrawn.is_empty(), "answers stay");
        let count = self.marks.partition_point(|(end, _)| *end <= gate);
        let marks = self.marks.drain(..count).map(|(end, number)| (end - from, number)).collect();
        (self.take(spare), marks)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::base::ids::SessionId;
    use crate::switch::Outbox;
    use crate::switch::record::Record;

    const SESSION: SessionId = SessionId { slot: 0, generation: 1 };

    #[derive(Debug, Clone)]
    enum Step {
        Append {
            count: u8,
            gated: bool,
        },
        Seal,
        Durable {
            back: u64,
        },
        Write {
            count: usize,
        },
        /// Counted from the first of which not all has left.
        Withdraw {
            nth: usize,
        },
        Take,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (1u8..9, any::<bool>()).prop_map(|(count, gated)| Step::Append { count, gated }),
            1 => Just(Step::Seal),
            1 => (0u64..3).prop_map(|back| Step::Durable { back }),
            2 => (1usize..9).prop_map(|count| Step::Write { count }),
            3 => (0usize..4).prop_map(|nth| Step::Withdraw { nth }),
            1 => Just(Step::Take),
        ];
        prop::collection::vec(step, 1..120)
    }

    /// A frame as a list of frames would know it.
    #[derive(Debug)]
    struct Frame {
        place: u64,
        count: u32,
        /// The batch it waits for.
        batch: u64,
        withdrawn: bool,
    }

    /// The outbox, and beside it all frames that it was ever given.
    struct Twin {
        outbox: Outbox,
        frames: Vec<Frame>,
        /// The next batch, the last that is durable.
        batch: u64,
        durable: u64,
        /// Bytes that have left, each with the low bits of its frame's number.
        left: Vec<u8>,
    }

    impl Twin {
        fn new() -> Self {
            let mut outbox = Outbox::recorded(1);
            outbox.open(SESSION);
            Self { outbox, frames: Vec::new(), batch: 1, durable: 0, left: Vec::new() }
        }

        fn append(&mut self, count: u8, gated: bool) {
            let (place, number) = (self.outbox.end_of(SESSION), self.frames.len() as u8);
            let batch = if gated { self.batch } else { 0 };
            if gated {
                self.outbox.records.push(&Record::Handed(1));
            }
            let lane = self.outbox.lane_gated(SESSION, gated).expect("open");
            lane.extend_from_slice(&vec![number; usize::from(count)]);
            let frame = Frame { place, count: count.into(), batch, withdrawn: false };
            self.frames.push(frame);
        }

        fn seal(&mut self) {
            while let Some(batch) = self.outbox.seal() {
                assert_eq!(batch.number, self.batch);
                self.batch += 1;
            }
        }

        fn write(&mut self, count: usize) {
            let bytes = self.outbox.unwritten(SESSION);
            let bytes = bytes.get(..count.min(bytes.len())).unwrap_or(&[]).to_vec();
            self.outbox.wrote(SESSION, bytes.len());
            self.left.extend_from_slice(&bytes);
        }

        /// How many bytes of the frame have left.
        fn left_of(&self, number: usize) -> usize {
            self.left.iter().filter(|byte| **byte == number as u8).count()
        }

        fn first_that_stays(&self) -> usize {
            let whole = |(number, frame): &(usize, &Frame)| {
                frame.withdrawn || self.left_of(*number) == frame.count as usize
            };
            self.frames.iter().enumerate().take_while(whole).count()
        }

        fn check(&self) {
            let mut rest = self.left.as_slice();
            for (number, frame) in self.frames.iter().enumerate() {
                let count = self.left_of(number);
                let (bytes, behind) = rest.split_at(count);
                assert!(bytes.iter().all(|byte| *byte == number as u8), "in order");
                assert!(count == 0 || !frame.withdrawn, "what was withdrawn has left");
                assert!(count == 0 || frame.batch <= self.durable, "not before it is durable");
                assert!(behind.is_empty() || frame.withdrawn || count == frame.count as usize);
                rest = behind;
            }
        }
    }

    proptest! {
        /// Against a list of all frames.
        #[test]
        fn what_leaves_is_what_was_not_withdrawn(steps in steps()) {
            let mut twin = Twin::new();
            for step in steps {
                match step {
                    Step::Append { count, gated } => twin.append(count, gated),
                    Step::Seal => twin.seal(),
                    Step::Durable { back } => {
                        twin.durable = twin.durable.max((twin.batch - 1).saturating_sub(back));
                        twin.outbox.durable(twin.durable);
                    }
                    Step::Write { count } => twin.write(count),
                    Step::Withdraw { nth } => {
                        let nth = twin.first_that_stays() + nth;
                        if nth >= twin.frames.len() {
                            continue;
                        }
                        let begun = twin.left_of(nth) > 0;
                        let frame = &mut twin.frames[nth];
                        if !frame.withdrawn {
                            let (place, count) = (frame.place, frame.count);
                            frame.withdrawn = twin.outbox.withdraw(SESSION, place, count);
                            prop_assert_eq!(frame.withdrawn, !begun);
                        }
                    }
                    Step::Take => {
                        let bytes = twin.outbox.take(SESSION);
                        twin.left.extend_from_slice(&bytes);
                    }
                }
                twin.check();
            }
            twin.seal();
            twin.durable = twin.batch;
            twin.outbox.durable(u64::MAX);
            while twin.outbox.next_dirty().is_some() {
                while !twin.outbox.unwritten(SESSION).is_empty() {
                    twin.write(7);
                }
            }
            twin.check();
            prop_assert_eq!(twin.outbox.backlog_bytes(SESSION), 0);
            let stayed: u64 = twin
                .frames
                .iter()
                .filter(|frame| !frame.withdrawn)
                .map(|frame| u64::from(frame.count))
                .sum();
            prop_assert_eq!(twin.left.len() as u64, stayed, "all of the rest has left");
        }
    }
}
