//! Who else was using the machine while it was measured.
//!
//! A compiler in the background can take nine tenths of a rate away, and nothing in the figures
//! would say so. The share of other programs and of the hypervisor is therefore part of every
//! comparison. It is a warning, not a correction.

use std::fs;

use serde::Serialize;

/// CPU time of the whole machine up to some moment, in clock ticks of 10 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    busy: u64,
    stolen: u64,
    total: u64,
}

/// Shares of the machine's CPU time that went elsewhere, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Elsewhere {
    /// To other programs of this machine.
    pub(crate) others: f64,
    /// To other guests of the same host.
    pub(crate) stolen: f64,
}

impl Usage {
    /// Up to now; None where the kernel does not tell.
    pub(crate) fn now() -> Option<Usage> {
        Usage::read(&fs::read_to_string("/proc/stat").ok()?)
    }

    fn read(stat: &str) -> Option<Usage> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let [user, nice, system, idle, waiting, irq, softirq, stolen, ..] = ticks[..] else {
            return None;
        };
        let busy = user + nice + system + irq + softirq;
        Some(Usage { busy, stolen, total: busy + stolen + idle + waiting })
    }

    /// What went elsewhere since `before`, if `own_ns` of CPU time were our own.
    pub(crate) fn elsewhere_since(&self, before: &Usage, own_ns: u64) -> Elsewhere {
        let total = self.total.saturating_sub(before.total).max(1) as f64;
        let busy = self.busy.saturating_sub(before.busy) as f64;
        let own = own_ns as f64 / TICK_NS;
        Elsewhere {
            others: ((busy - own) / total).max(0.0),
            stolen: self.stolen.saturating_sub(before.stolen) as f64 / total,
        }
    }
}

impl Elsewhere {
    /// Whether the figures measured meanwhile deserve doubt.
    pub(crate) fn is_much(&self) -> bool {
        self.others + self.stolen > DOUBTFUL
    }
}

const TICK_NS: f64 = 1e7;
const DOUBTFUL: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_ours_nor_idle_went_elsewhere() {
        let before = Usage::read("cpu  100 0 100 1000 0 0 0 10 0 0\ncpu0 1").unwrap();
        let after = Usage::read("cpu  130 0 120 1040 0 0 0 20 0 0\ncpu0 1").unwrap();
        // 50 ticks busy of 100, of which 30 were ours.
        let elsewhere = after.elsewhere_since(&before, 300_000_000);
        assert_eq!(elsewhere, Elsewhere { others: 0.2, stolen: 0.1 });
        assert!(elsewhere.is_much());
        assert_eq!(Usage::read("intr 1 2 3"), None);
    }
}
