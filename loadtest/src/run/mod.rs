//! The load generator: requests out, answers judged, one thread and no task per message.
//!
//! Open loop and closed loop differ only in what causes a request: the schedule, or an answer.
//! Everything else is shared: connections, matching, time-outs, the measured window. A run is
//! connect, warm up, measure, drain; the warm-up is judged but not timed.

mod open;
pub(crate) mod pace;
mod session;
mod tally;

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_local;

pub(crate) use self::session::Terms;
pub(crate) use self::tally::Outcome;
#[cfg(test)]
pub(crate) use self::tally::{Counts, Percentiles};

use self::session::Session;
use self::tally::Tally;
use crate::clock::{NS_PER_S, now_ns, wall_ns};
use crate::failure::Failure;
use crate::message::{Fleet, Requests};
use crate::net::{SCRATCH_BYTES, Sinks, Source, runtime};

/// What to send, where, for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) target: SocketAddr,
    pub(crate) load: Load,
    pub(crate) connections: usize,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    pub(crate) terms: Terms,
}

/// What causes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// An answer: so many requests are kept in flight on each connection.
    Closed {
        /// Requests in flight per connection.
        in_flight: usize,
    },
    /// The schedule, whatever happens: so many requests a second over all connections.
    Open {
        /// Requests per second.
        rate_per_s: u64,
    },
}

/// Where a run has come to, for those who watch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A tenth of a second has passed.
    Tick { elapsed: Duration, answered: u64 },
    /// The measured window begins.
    Begin,
    /// The measured window ends.
    End,
}

/// Runs the plan and tells `watch` about each stage.
pub(crate) fn measure(plan: &Plan, watch: &mut dyn FnMut(Stage)) -> Result<Outcome, Failure> {
    let runtime = runtime().map_err(|error| Failure::of("start an event loop", error))?;
    runtime.block_on(async {
        let of = |error| Failure::of("listen for signals", error);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(of)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(of)?;
        tokio::select! {
            outcome = stages(plan, watch) => outcome,
            _ = interrupt.recv() => Err(Failure::Run("interrupted".into())),
            _ = terminate.recv() => Err(Failure::Run("terminated".into())),
        }
    })
}

async fn stages(plan: &Plan, watch: &mut dyn FnMut(Stage)) -> Result<Outcome, Failure> {
    let desk = Rc::new(RefCell::new(Desk::new(plan)));
    let flusher = desk.clone();
    spawn_local(poll_fn(move |cx| flusher.borrow_mut().sinks.poll_flush(cx)));
    let attempt = format!("connect to {}", plan.target);
    for _ in 0..plan.connections {
        let of = |error| Failure::of(&attempt, error);
        let stream = TcpStream::connect(plan.target).await.map_err(of)?;
        let (number, source) = desk.borrow_mut().connect(stream).map_err(of)?;
        spawn_local(receive(desk.clone(), number, source));
    }
    desk.borrow_mut().sending = true;
    match plan.load {
        Load::Closed { .. } => desk.borrow_mut().refill_all(),
        Load::Open { rate_per_s } => {
            spawn_local(open::send(desk.clone(), rate_per_s));
        }
    }
    let begun_ns = now_ns();
    wait(&desk, begun_ns, plan.warm_up, watch).await;
    watch(Stage::Begin);
    desk.borrow_mut().tally.open_window(now_ns());
    wait(&desk, begun_ns, plan.warm_up + plan.duration, watch).await;
    desk.borrow_mut().tally.close_window(now_ns());
    watch(Stage::End);
    drain(&desk).await;
    let outcome = desk.borrow().tally.outcome();
    Ok(outcome)
}

/// Waits until `until` has passed since the beginning, or nothing is left to wait for.
async fn wait(desk: &RefCell<Desk>, begun_ns: u64, until: Duration, watch: &mut dyn FnMut(Stage)) {
    loop {
        let elapsed = Duration::from_nanos(now_ns() - begun_ns);
        let left = until.saturating_sub(elapsed);
        if left.is_zero() || desk.borrow().is_cut_off() {
            return;
        }
        tokio::time::sleep(left.min(TICK)).await;
        let answered = desk.borrow_mut().tick();
        watch(Stage::Tick { elapsed, answered });
    }
}

/// Sends nothing more, and waits for what is in flight until it must count as lost.
async fn drain(desk: &RefCell<Desk>) {
    desk.borrow_mut().sending = false;
    while desk.borrow().outstanding() > 0 && !desk.borrow().is_cut_off() {
        tokio::time::sleep(DRAIN_TICK).await;
        desk.borrow_mut().tick();
    }
    desk.borrow_mut().give_up();
}

/// The life of a connection.
async fn receive(desk: Rc<RefCell<Desk>>, number: usize, mut source: Source) {
    poll_fn(|cx| {
        loop {
            let desk = &mut *desk.borrow_mut();
            let Desk { scratch, sessions, requests, tally, terms, .. } = desk;
            let session = &mut sessions[number];
            // One reading of the clock for the batch, and only after the read that brought it.
            let mut batch_ns = None;
            let read = source.poll_frames(cx, scratch, |answer| {
                let now_ns = *batch_ns.get_or_insert_with(now_ns);
                session.settle(answer, now_ns, terms, requests, tally);
            });
            if !matches!(ready!(read), Ok(1..)) {
                return Poll::Ready(());
            }
            if let Some(now_ns) = batch_ns {
                desk.refill(number, now_ns);
            }
        }
    })
    .await;
    let mut desk = desk.borrow_mut();
    desk.sinks.remove(number);
    desk.tally.counts.broken += 1;
}

/// All that the tasks of a run share.
pub(crate) struct Desk {
    scratch: Vec<u8>,
    sinks: Sinks,
    sessions: Vec<Session>,
    requests: Requests,
    tally: Tally,
    terms: Terms,
    load: Load,
    room: usize,
    sending: bool,
    /// Which fleet of terminals the first connection carries.
    first_fleet: usize,
}

impl Desk {
    fn new(plan: &Plan) -> Desk {
        let room = match plan.load {
            Load::Closed { in_flight } => in_flight,
            // Whatever may be in flight before it counts as lost.
            Load::Open { rate_per_s } => {
                let seconds = plan.terms.timeout_ns / NS_PER_S + 1;
                (rate_per_s * seconds / plan.connections as u64) as usize
            }
        };
        Desk {
            scratch: vec![0; SCRATCH_BYTES],
            sinks: Sinks::default(),
            sessions: Vec::new(),
            requests: Requests::new(plan.terms.form),
            tally: Tally::new(),
            terms: plan.terms,
            load: plan.load,
            room,
            sending: false,
            first_fleet: FLEETS.fetch_add(plan.connections, Ordering::Relaxed),
        }
    }

    fn connect(&mut self, stream: TcpStream) -> std::io::Result<(usize, Source)> {
        let (number, source) = self.sinks.add(stream)?;
        let fleet = Fleet::of(self.first_fleet + self.sessions.len());
        self.sessions.push(Session::new(fleet, self.room));
        debug_assert_eq!(number + 1, self.sessions.len(), "a session for every connection");
        Ok((number, source))
    }

    /// Sends one request on a connection that still exists.
    #[inline]
    fn issue(&mut self, number: usize, intended_ns: u64) -> bool {
        let Some(out) = self.sinks.buffer(number) else { return false };
        let issued = self.sessions[number].issue(&mut self.requests, out, intended_ns);
        self.tally.counts.sent += u64::from(issued);
        issued
    }

    /// In a closed loop, puts a new request in the place of every one that is settled.
    #[inline]
    fn refill(&mut self, number: usize, now_ns: u64) {
        if let Load::Closed { in_flight } = self.load
            && self.sending
        {
            while self.sessions[number].outstanding() < in_flight && self.issue(number, now_ns) {}
        }
    }

    fn refill_all(&mut self) {
        let now_ns = now_ns();
        (0..self.sessions.len()).for_each(|number| self.refill(number, now_ns));
    }

    /// Time-outs and the date; returns the answers so far.
    fn tick(&mut self) -> u64 {
        let now_ns = now_ns();
        for session in &mut self.sessions {
            session.expire(now_ns, self.terms.timeout_ns, &mut self.tally);
        }
        self.requests.date(wall_ns());
        self.refill_all();
        self.tally.counts.answered
    }

    /// Counts everything still in flight as lost.
    fn give_up(&mut self) {
        for session in &mut self.sessions {
            session.expire(u64::MAX, 0, &mut self.tally);
        }
    }

    fn outstanding(&self) -> usize {
        self.sessions.iter().map(Session::outstanding).sum()
    }

    /// Whether no connection is left.
    fn is_cut_off(&self) -> bool {
        self.tally.counts.broken as usize == self.sessions.len()
    }
}

/// Fleets of terminals that runs of this process have used: a run that follows another within a
/// second must not look like its repeat.
static FLEETS: AtomicUsize = AtomicUsize::new(1);

const TICK: Duration = Duration::from_millis(100);
const DRAIN_TICK: Duration = Duration::from_millis(5);
