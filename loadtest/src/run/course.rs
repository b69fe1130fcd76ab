//! The course of a run: its phases, one after the other, and what causes requests in them.
//!
//! A course is plain data. Where it comes from (flags, a scenario file, another measurement) is not
//! known here, nor what is made of its outcome.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Load, Plan, Terms};
use crate::mix::Traffic;

/// What to send, where, for how long.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    pub(crate) target: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) terms: Terms,
    pub(crate) cause: Cause,
    pub(crate) phases: Vec<Phase>,
    /// It ends when so many were sent, before its phases are over.
    pub(crate) messages: Option<u64>,
    /// What requests are made of, and the seed that draws them.
    pub(crate) traffic: Option<(Traffic, u64)>,
    /// Length of the intervals in which figures are kept over time; none are kept without one.
    pub(crate) interval: Option<Duration>,
}

/// What causes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// An answer: so many requests are kept in flight on each connection.
    Answers { in_flight: usize },
    /// The schedule, whatever happens; the seed is that of Poisson arrivals.
    Schedule { arrivals: Arrivals, seed: u64 },
}

/// How requests follow each other in an open loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Arrivals {
    /// At equal distances.
    #[default]
    Constant,
    /// As independent people do: now and then many at once.
    Poisson,
}

/// A part of a course.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) length: Duration,
    /// Requests per second at its beginning and at its end; no meaning in a closed loop.
    pub(crate) rate: (f64, f64),
}

/// What a phase is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shape {
    /// Judged, but in no figure of latency.
    WarmUp,
    Ramp,
    Steps,
    Steady,
    Spike,
    Soak,
}

impl Phase {
    /// Whether its latencies are those of the run.
    pub(crate) fn is_measured(&self) -> bool {
        self.shape != Shape::WarmUp
    }
}

impl Course {
    /// Warm-up and one steady phase.
    pub(crate) fn of(plan: &Plan) -> Course {
        let (cause, rate) = match plan.load {
            Load::Closed { in_flight } => (Cause::Answers { in_flight }, 0.0),
            Load::Open { rate_per_s } => {
                (Cause::Schedule { arrivals: Arrivals::Constant, seed: 0 }, rate_per_s as f64)
            }
        };
        let phase = |name: &str, shape, length| {
            let name = name.to_owned();
            Phase { name, shape, length, rate: (rate, rate) }
        };
        Course {
            target: plan.target,
            connections: plan.connections,
            terms: plan.terms,
            cause,
            phases: vec![
                phase("warm-up", Shape::WarmUp, plan.warm_up),
                phase("steady", Shape::Steady, plan.duration),
            ],
            messages: None,
            traffic: None,
            interval: None,
        }
    }

    /// Requests of an open loop come like this.
    pub(crate) fn arrive(&mut self, how: Arrivals) {
        if let Cause::Schedule { arrivals, .. } = &mut self.cause {
            *arrivals = how;
        }
    }

    /// How long it sends.
    pub(crate) fn length(&self) -> Duration {
        self.phases.iter().map(|phase| phase.length).sum()
    }

    /// The highest rate of any phase, per second.
    pub(crate) fn rate_max(&self) -> f64 {
        self.phases.iter().map(|phase| phase.rate.0.max(phase.rate.1)).fold(0.0, f64::max)
    }
}
