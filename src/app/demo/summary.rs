//! What became of all messages together, by route, and whether the switch counted the same.

use std::time::Duration;

use super::Act;
use super::fleet::Heard;
use crate::base::codes::ResponseCode;
use crate::routing::RouteTable;
use crate::switch::{Counter, Stats};

/// A row for each route, and one for what the switch answered itself.
#[derive(Debug)]
pub(super) struct Summary {
    /// In the order of the route table; the last is for requests without a route.
    pub(super) rows: Vec<Row>,
}

/// What became of the messages of one route.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// The route.
    pub(super) name: String,
    /// Messages sent.
    pub(super) sent: u64,
    /// Answered with an approval.
    pub(super) approved: u64,
    /// Answered with anything else.
    pub(super) declined: u64,
    /// Given up at the budget.
    pub(super) timed_out: u64,
    /// What the switch added to each message that did not time out, in microseconds.
    added_us: Vec<u128>,
}

impl Summary {
    /// Empty rows for `routes`.
    pub(super) fn new(routes: &RouteTable) -> Self {
        let names = routes.routes().iter().map(|route| route.name.clone());
        let names = names.chain(std::iter::once(UNROUTED.to_owned()));
        Self { rows: names.map(|name| Row { name, ..Row::default() }).collect() }
    }

    /// Counts one message.
    pub(super) fn add(&mut self, act: &Act) {
        let name = act.way.as_ref().map_or(UNROUTED, |way| &way.route);
        let Some(row) = self.rows.iter_mut().find(|row| row.name == name) else { return };
        row.sent += 1;
        match &act.trip.heard {
            Heard::Code(_) if act.timed_out() => {
                row.timed_out += 1;
                return;
            }
            Heard::Code(code) if ResponseCode::approves(code.as_bytes()) => row.approved += 1,
            _ => row.declined += 1,
        }
        row.added_us.push(act.added().as_micros());
        row.added_us.sort_unstable();
    }
}

impl Row {
    /// The median of what the switch added.
    pub(super) fn median(&self) -> Option<Duration> {
        self.added_us.get(self.added_us.len() / 2).map(duration)
    }

    /// The most that the switch added.
    pub(super) fn worst(&self) -> Option<Duration> {
        self.added_us.last().map(duration)
    }
}

fn duration(us: &u128) -> Duration {
    Duration::from_micros(u64::try_from(*us).unwrap_or(u64::MAX))
}

/// What the switch counted other than what `asked` messages were about, one of them no frame, one
/// damaged, and one answered too late.
pub(super) fn miscounts(stats: &Stats, asked: u64) -> Vec<String> {
    let ended = [
        Counter::Answered,
        Counter::Declined,
        Counter::RequestsDamaged,
        Counter::TimeOuts,
        // Until the partners are there.
        Counter::PartnersDown,
    ];
    let ended: u64 = ended.into_iter().map(|counter| stats.of(counter)).sum();
    let expected = [
        (Counter::Requests.name(), stats.of(Counter::Requests), asked - 1),
        ("requests that ended", ended, asked - 1),
        (Counter::RequestsDamaged.name(), stats.of(Counter::RequestsDamaged), 1),
        (Counter::FramingErrors.name(), stats.of(Counter::FramingErrors), 1),
        (Counter::TimeOuts.name(), stats.of(Counter::TimeOuts), 1),
        (Counter::LateAnswers.name(), stats.of(Counter::LateAnswers), 1),
        (Counter::UnmatchedAnswers.name(), stats.of(Counter::UnmatchedAnswers), 0),
    ];
    let wrong = expected.into_iter().filter(|(_, counted, wanted)| counted != wanted);
    wrong
        .map(|(name, counted, wanted)| format!("counted {counted} {name}, expected {wanted}"))
        .collect()
}

/// The row of requests that went nowhere.
const UNROUTED: &str = "(by the switch)";
