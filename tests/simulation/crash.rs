//! Crashes at every step: a world counts the points it passes, and ends its process at some.
//!
//! Between two points nothing happens that anybody outside could see, so a crash anywhere is a
//! crash at one of them.

use crate::disk::Kept;
use crate::world::World;

/// A point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// Before a batch is given to the disk, and behind.
    Append,
    Appended,
    /// Before what was given is durable, and behind.
    Barrier,
    Durable,
    /// Before bytes are given to the kernel, and behind.
    Send,
    Sent,
    /// Before deadlines are met, and behind.
    Timer,
    Met,
    /// The records of former lives were read.
    Recovered,
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manner {
    kept: Kept,
    /// True if the kernel outlives it: what was written is delivered.
    delivers: bool,
}

impl Manner {
    /// Killed before or behind the write of what waited; the power cut, likewise. A disk may keep
    /// what nobody waited for.
    pub(crate) const ALL: [Self; 4] = [
        Self { kept: Kept::Nothing, delivers: true },
        Self { kept: Kept::Everything, delivers: true },
        Self { kept: Kept::Nothing, delivers: false },
        Self { kept: Kept::Everything, delivers: false },
    ];
}

/// Where a world's process ends, by the count of points passed.
#[derive(Debug, Default)]
pub(crate) struct Crashes {
    /// Where to end it, the next one last.
    pub(crate) planned: Vec<(usize, Manner)>,
    /// What was passed.
    pub(crate) passed: Vec<Point>,
    /// How many were met by what was planned.
    pub(crate) met: usize,
}

impl World {
    /// A point is passed. True if the process has ended there.
    pub(crate) fn point(&mut self, point: Point) -> bool {
        let Some(crashes) = &mut self.crashes else { return false };
        // What is to be found is found before all is well again.
        if self.process.is_none() {
            return false;
        }
        crashes.passed.push(point);
        let place = crashes.passed.len() - 1;
        let Some((_, manner)) = crashes.planned.pop_if(|(at, _)| *at == place) else {
            return false;
        };
        crashes.met += 1;
        self.crash(manner.kept, manner.delivers);
        true
    }

    /// Killed, or the power is cut: memory is gone, and what was not durable perhaps.
    pub(crate) fn crash_anyhow(&mut self) {
        if self.process.is_some() {
            let kept = self.dice.below(self.disk.waiting() as u64 + 1);
            let delivers = self.dice.chance(500);
            self.crash(Kept::Some(kept as usize), delivers);
        }
    }
}
