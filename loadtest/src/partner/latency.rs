//! How long the partner takes: a distribution, and the answers that are waiting their time.
//!
//! One heap and one kernel timer serve all connections of a thread. The buffers of waiting
//! answers are used again, so that a steady load allocates nothing. The sequence of delays is
//! the same in every run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::str::FromStr;

use super::illness::Leave;
use crate::clock::NS_PER_S;

/// A distribution of delays: `0us`, `5ms`, `uniform:1ms-3ms`, `exp:5ms`, `normal:5ms,1ms` or
/// `log-normal:5ms,0.5`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Latency {
    /// Always this long, in ns; 0 answers within the batch.
    Constant(u64),
    /// Evenly between two bounds, in ns.
    Uniform(u64, u64),
    /// Exponential with this mean, in ns.
    Exponential(f64),
    /// Normal with this mean and standard deviation, in ns, cut off at 0.
    Normal(f64, f64),
    /// Log-normal with this median, in ns, and this deviation of the logarithm: most answers are
    /// near the median, a few take many times as long, as those of real hosts do.
    LogNormal(f64, f64),
}

impl FromStr for Latency {
    type Err = String;

    fn from_str(text: &str) -> Result<Latency, String> {
        let (kind, rest) = text.split_once(':').unwrap_or(("const", text));
        let two = |mark: char| match rest.split_once(mark) {
            Some((a, b)) => Ok((duration_ns(a)?, duration_ns(b)?)),
            None => Err(format!("'{rest}' is not two durations with '{mark}' between them")),
        };
        match kind {
            "const" => Ok(Latency::Constant(duration_ns(rest)?)),
            "exp" => Ok(Latency::Exponential(duration_ns(rest)? as f64)),
            "uniform" => match two('-')? {
                (low, high) if low <= high => Ok(Latency::Uniform(low, high)),
                _ => Err(format!("'{rest}': the first bound is above the second")),
            },
            "normal" => two(',').map(|(mean, sd)| Latency::Normal(mean as f64, sd as f64)),
            "log-normal" => match rest.split_once(',') {
                Some((median, sigma)) => match sigma.parse::<f64>() {
                    Ok(sigma) if (0.0..=5.0).contains(&sigma) => {
                        Ok(Latency::LogNormal(duration_ns(median)? as f64, sigma))
                    }
                    _ => Err(format!("'{sigma}' is not a deviation from 0 to 5")),
                },
                None => Err(format!("'{rest}' is not a duration and a deviation: 5ms,0.5")),
            },
            _ => Err(format!("'{kind}' is not const, uniform, exp, normal or log-normal")),
        }
    }
}

impl Latency {
    /// Whether every answer leaves with the batch that its request came in.
    pub(crate) fn is_zero(self) -> bool {
        self == Latency::Constant(0)
    }

    fn sample_ns(self, dice: &mut Dice) -> u64 {
        match self {
            Latency::Constant(ns) => ns,
            Latency::Uniform(low, high) => low + (dice.roll() * (high - low) as f64) as u64,
            Latency::Exponential(mean) => (-mean * (1.0 - dice.roll()).ln()) as u64,
            Latency::Normal(mean, deviation) => (mean + deviation * dice.normal()).max(0.0) as u64,
            Latency::LogNormal(median, sigma) => {
                (median * (sigma * dice.normal()).exp()).min(DURATION_NS_MAX) as u64
            }
        }
    }
}

/// A duration such as `300us`, `1.5s` or `2m`, in nanoseconds.
pub(crate) fn duration_ns(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is not a duration such as 300us, 5ms or 2s");
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let scale = match unit {
        "ns" => 1.0,
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 6e10,
        "" if number == "0" => 1.0,
        _ => return Err(wrong()),
    };
    match number.parse::<f64>() {
        Ok(value) if value >= 0.0 && value * scale <= DURATION_NS_MAX => {
            Ok((value * scale).round() as u64)
        }
        _ => Err(wrong()),
    }
}

/// Answers that wait for their time.
pub(crate) struct Delays {
    latency: Latency,
    dice: Dice,
    due: BinaryHeap<Reverse<(u64, usize)>>,
    waiting: Vec<Waiting>,
    free: Vec<usize>,
}

#[derive(Default)]
struct Waiting {
    connection: usize,
    answer: Vec<u8>,
    is_last: bool,
}

impl Delays {
    /// No answer waits yet.
    pub(crate) fn new(latency: Latency) -> Delays {
        let dice = Dice { state: 0x9E37_79B9_7F4A_7C15 };
        Delays { latency, dice, due: BinaryHeap::new(), waiting: Vec::new(), free: Vec::new() }
    }

    /// Holds what `write` writes until its time has come. True if it is now the next to leave.
    /// `write` says whether it leaves otherwise than usual.
    pub(crate) fn hold(
        &mut self,
        now_ns: u64,
        connection: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Leave,
    ) -> bool {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.waiting.push(Waiting::default());
            self.waiting.len() - 1
        });
        let waiting = &mut self.waiting[slot];
        waiting.connection = connection;
        waiting.answer.clear();
        let leave = write(&mut waiting.answer);
        waiting.is_last = leave.is_last;
        if waiting.answer.is_empty() {
            self.free.push(slot);
            return false;
        }
        let next_ns = self.next_ns();
        let due_ns = now_ns + leave.late_ns + self.latency.sample_ns(&mut self.dice);
        self.due.push(Reverse((due_ns, slot)));
        next_ns.is_none_or(|next_ns| due_ns < next_ns)
    }

    /// When the next answer leaves.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        self.due.peek().map(|&Reverse((due_ns, _))| due_ns)
    }

    /// Hands every answer whose time has come to `send`, and whether it is the last of its
    /// connection.
    pub(crate) fn release(&mut self, now_ns: u64, mut send: impl FnMut(usize, &[u8], bool)) {
        while let Some(&Reverse((due_ns, slot))) = self.due.peek()
            && due_ns <= now_ns
        {
            self.due.pop();
            self.free.push(slot);
            let Waiting { connection, answer, is_last } = &self.waiting[slot];
            send(*connection, answer, *is_last);
        }
    }
}

/// A small generator (xorshift): delays need spread, not secrecy.
struct Dice {
    state: u64,
}

impl Dice {
    /// Evenly in 0..1.
    fn roll(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Of the normal distribution around 0 with deviation 1.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.roll()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.roll()).cos()
    }
}

/// An hour: a longer one is a slip of the pen.
const DURATION_NS_MAX: f64 = 3_600.0 * NS_PER_S as f64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_read_as_written() {
        let read = |text: &str| text.parse::<Latency>();
        assert_eq!(read("0"), Ok(Latency::Constant(0)));
        assert_eq!(read("1.5ms"), Ok(Latency::Constant(1_500_000)));
        assert_eq!(read("uniform:1ms-3ms"), Ok(Latency::Uniform(1_000_000, 3_000_000)));
        assert_eq!(read("exp:20us"), Ok(Latency::Exponential(20_000.0)));
        assert_eq!(read("normal:5ms,1ms"), Ok(Latency::Normal(5e6, 1e6)));
        assert_eq!(read("log-normal:2ms,0.5"), Ok(Latency::LogNormal(2e6, 0.5)));
        for wrong in ["log-normal:2ms", "log-normal:2ms,9", "log-normal:2ms,x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        for wrong in ["5", "ms", "-1ms", "uniform:3ms-1ms", "uniform:3ms", "pareto:1ms", "2h"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn samples_follow_their_distribution() {
        for latency in
            [Latency::Uniform(0, 2_000_000), Latency::Exponential(1e6), Latency::Normal(1e6, 1e5)]
        {
            let mut dice = Dice { state: 1 };
            let mean = (0..20_000).map(|_| latency.sample_ns(&mut dice)).sum::<u64>() / 20_000;
            assert!((970_000..1_030_000).contains(&mean), "{latency:?}: {mean}");
        }
    }

    #[test]
    fn a_log_normal_latency_has_its_median_and_a_long_tail() {
        let mut dice = Dice { state: 1 };
        let latency = Latency::LogNormal(1e6, 0.5);
        let mut samples: Vec<u64> = (0..20_000).map(|_| latency.sample_ns(&mut dice)).collect();
        samples.sort_unstable();
        assert!((970_000..1_030_000).contains(&samples[10_000]), "{}", samples[10_000]);
        // The 99th percentile of the standard normal is 2.326.
        let p99 = (0.5_f64 * 2.326).exp() * 1e6;
        let found = samples[19_800] as f64;
        assert!((found / p99 - 1.0).abs() < 0.1, "{found} for {p99}");
    }

    #[test]
    fn answers_leave_in_the_order_of_their_times() {
        let mut delays = Delays::new(Latency::Constant(10));
        let usual = |byte| {
            move |out: &mut Vec<u8>| {
                out.push(byte);
                Leave::default()
            }
        };
        assert!(delays.hold(5, 1, usual(b'a')));
        assert!(!delays.hold(7, 2, usual(b'b')));
        assert!(!delays.hold(7, 3, |_| Leave::default()));
        let mut sent = Vec::new();
        delays.release(15, |connection, answer, _| sent.push((connection, answer.to_vec())));
        assert_eq!(sent, [(1, b"a".to_vec())]);
        assert_eq!(delays.next_ns(), Some(17));
    }
}
