//! The load generator: requests out, answers judged, one thread and no task per message.
//!
//! Open loop and closed loop differ only in what causes a request: the schedule, or an answer.
//! Everything else is shared: connections, matching, time-outs, the measured window. A run is
//! connect, warm up, measure, drain; the warm-up is judged but not timed.

mod course;
mod open;
pub(crate) mod pace;
mod session;
mod tally;
mod timeline;

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_local;

pub(crate) use self::course::{Arrivals, Cause, Course, Phase, Shape};
pub(crate) use self::session::{ALSO_MAX, Terms};
pub(crate) use self::tally::{Cell, Counts, Mistake, Outcome, Percentiles, Tally};
pub(crate) use self::timeline::Point;

use self::pace::Pace;
use self::session::Session;
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
    let begun_ns = now_ns();
    let (tally, end) = follow(&Course::of(plan), &mut |event| {
        watch(match event {
            Event::Enter(0) => return ControlFlow::Continue(()),
            Event::Enter(_) => Stage::Begin,
            Event::Over => Stage::End,
            Event::Tick(tally) => {
                let elapsed = Duration::from_nanos(now_ns() - begun_ns);
                Stage::Tick { elapsed, answered: tally.counts.answered }
            }
        });
        ControlFlow::Continue(())
    })?;
    match end {
        End::Interrupted => Err(Failure::Run("interrupted".into())),
        End::Reached | End::Stopped => Ok(tally.outcome()),
    }
}

/// What happens in a course, for those who watch and may stop it.
pub(crate) enum Event<'t> {
    /// A phase begins.
    Enter(usize),
    /// A tenth of a second has passed.
    Tick(&'t Tally),
    /// Nothing more is sent.
    Over,
}

/// Why a course came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All its phases are over.
    Reached,
    /// Whoever watched wanted no more.
    Stopped,
    /// A signal came.
    Interrupted,
}

/// Runs a course, phase by phase. A signal ends the sending; what is under way is still waited for,
/// unless there is another signal.
pub(crate) fn follow(
    course: &Course,
    watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<(Tally, End), Failure> {
    let runtime = runtime().map_err(|error| Failure::of("start an event loop", error))?;
    runtime.block_on(async {
        let of = |error| Failure::of("listen for signals", error);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(of)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(of)?;
        let desk = Rc::new(RefCell::new(Desk::new(course)));
        let mut played = std::pin::pin!(play(desk.clone(), course, watch));
        for _ in 0..2 {
            tokio::select! {
                played = &mut played => return played,
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            desk.borrow_mut().end = Some(End::Interrupted);
        }
        Err(Failure::Run("interrupted twice".into()))
    })
}

async fn play(
    desk: Rc<RefCell<Desk>>,
    course: &Course,
    watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<(Tally, End), Failure> {
    let flusher = desk.clone();
    spawn_local(poll_fn(move |cx| {
        let desk = &mut *flusher.borrow_mut();
        let flushed = desk.sinks.poll_flush(cx);
        desk.left();
        flushed
    }));
    let attempt = format!("connect to {}", course.target);
    for _ in 0..course.connections {
        let of = |error| Failure::of(&attempt, error);
        let stream = TcpStream::connect(course.target).await.map_err(of)?;
        let (number, source) = desk.borrow_mut().connect(stream).map_err(of)?;
        spawn_local(receive(desk.clone(), number, source));
        if desk.borrow().end.is_some() {
            break;
        }
    }
    let begun_ns = now_ns();
    desk.borrow_mut().begin(course, begun_ns);
    match course.cause {
        Cause::Answers { .. } => desk.borrow_mut().refill_all(),
        Cause::Schedule { arrivals, seed } => {
            let pace = Pace::new(begun_ns, &course.phases, arrivals, seed);
            spawn_local(open::send(desk.clone(), pace));
        }
    }
    let mut until = Duration::ZERO;
    for (number, phase) in course.phases.iter().enumerate() {
        until += phase.length;
        if watch(Event::Enter(number)).is_break() {
            desk.borrow_mut().stop();
        }
        desk.borrow_mut().tally.enter(number);
        wait(&desk, course, (begun_ns, until), watch).await;
        desk.borrow_mut().tally.leave(number, now_ns());
        if desk.borrow().end.is_some() || desk.borrow().has_sent(course) {
            break;
        }
    }
    desk.borrow_mut().tally.over();
    // Nothing can be done about who wants no more now.
    let _ = watch(Event::Over);
    drain(&desk).await;
    let desk = desk.borrow();
    Ok((desk.tally.clone(), desk.end.unwrap_or(End::Reached)))
}

/// Waits until `until` has passed since the beginning, or nothing is left to wait for.
async fn wait(
    desk: &RefCell<Desk>,
    course: &Course,
    (begun_ns, until): (u64, Duration),
    watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) {
    loop {
        let elapsed = Duration::from_nanos(now_ns() - begun_ns);
        let left = until.saturating_sub(elapsed);
        if left.is_zero() || desk.borrow().is_done(course) {
            return;
        }
        tokio::time::sleep(left.min(TICK)).await;
        desk.borrow_mut().tick();
        if watch(Event::Tick(&desk.borrow().tally)).is_break() {
            desk.borrow_mut().stop();
        }
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
                let judged = session.settle(answer, now_ns, terms, requests);
                let template = judged.past.map_or(0, |past| past.template);
                tally.judge(&judged, requests.dimensions(template), number, now_ns);
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
    desk.tally.broken(number, now_ns());
}

/// All that the tasks of a run share.
pub(crate) struct Desk {
    scratch: Vec<u8>,
    sinks: Sinks,
    sessions: Vec<Session>,
    requests: Requests,
    tally: Tally,
    terms: Terms,
    cause: Cause,
    room: usize,
    sending: bool,
    end: Option<End>,
    /// When what is not yet written was to leave, in ns.
    leaving_ns: Vec<u64>,
    /// Which fleet of terminals the first connection carries.
    first_fleet: usize,
}

impl Desk {
    fn new(course: &Course) -> Desk {
        let room = match course.cause {
            Cause::Answers { in_flight } => in_flight,
            // Whatever may be in flight before it counts as lost.
            Cause::Schedule { .. } => {
                let seconds = course.terms.timeout_ns / NS_PER_S + 1;
                (course.rate_max() * seconds as f64 / course.connections as f64) as usize + 16
            }
        };
        let requests = match &course.traffic {
            None => Requests::new(course.terms.form),
            Some((traffic, seed)) => Requests::mixed(course.terms.form, traffic, *seed),
        };
        Desk {
            scratch: vec![0; SCRATCH_BYTES],
            sinks: Sinks::default(),
            sessions: Vec::new(),
            requests,
            tally: Tally::new(course, now_ns()),
            terms: course.terms,
            cause: course.cause,
            room,
            sending: false,
            end: None,
            leaving_ns: Vec::with_capacity(LEAVING_MAX),
            first_fleet: FLEETS.fetch_add(course.connections, Ordering::Relaxed),
        }
    }

    /// True if nothing is left to wait for.
    fn is_done(&self, course: &Course) -> bool {
        self.is_cut_off() || self.end.is_some() || self.has_sent(course)
    }

    /// True if as many were sent as are to be sent.
    fn has_sent(&self, course: &Course) -> bool {
        course.messages.is_some_and(|messages| self.tally.counts.sent >= messages)
    }

    /// All connections are there: sending may begin.
    fn begin(&mut self, course: &Course, begun_ns: u64) {
        let broken = self.tally.counts.broken;
        self.tally = Tally::new(course, begun_ns);
        self.tally.counts.broken = broken;
        self.sending = true;
    }

    /// Whoever watches wants no more.
    fn stop(&mut self) {
        self.end.get_or_insert(End::Stopped);
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
        if let Some(template) = issued {
            self.tally.sent(intended_ns, self.requests.dimensions(template));
        }
        issued.is_some()
    }

    /// Sends one request that was due at this time.
    #[inline]
    fn issue_due(&mut self, number: usize, due_ns: u64) {
        if self.issue(number, due_ns) {
            self.leaving_ns.push(due_ns);
        } else {
            self.tally.unsent(due_ns);
        }
    }

    /// What was to leave has been written, as far as the other side takes it.
    #[inline]
    fn left(&mut self) {
        if !self.leaving_ns.is_empty() {
            let now_ns = now_ns();
            for &due_ns in &self.leaving_ns {
                self.tally.lag(due_ns, now_ns);
            }
            self.leaving_ns.clear();
        }
    }

    /// In a closed loop, puts a new request in the place of every one that is settled.
    #[inline]
    fn refill(&mut self, number: usize, now_ns: u64) {
        if let Cause::Answers { in_flight } = self.cause
            && self.sending
        {
            while self.sessions[number].outstanding() < in_flight && self.issue(number, now_ns) {}
        }
    }

    fn refill_all(&mut self) {
        let now_ns = now_ns();
        (0..self.sessions.len()).for_each(|number| self.refill(number, now_ns));
    }

    /// Time-outs and the date.
    fn tick(&mut self) {
        let now_ns = now_ns();
        self.expire(now_ns, self.terms.timeout_ns);
        if let Some(timeline) = &mut self.tally.timeline {
            timeline.close_before(now_ns);
        }
        self.requests.date(wall_ns());
        self.refill_all();
    }

    /// Counts everything still in flight as lost.
    fn give_up(&mut self) {
        self.expire(u64::MAX, 0);
    }

    fn expire(&mut self, limit_ns: u64, timeout_ns: u64) {
        let seen_ns = now_ns();
        let Desk { sessions, requests, tally, .. } = self;
        for (number, session) in sessions.iter_mut().enumerate() {
            session.expire(limit_ns, timeout_ns, |past| {
                tally.lost(past, requests.dimensions(past.template), number, seen_ns);
            });
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
/// Room made beforehand for what is written in one turn.
const LEAVING_MAX: usize = 1 << 16;
const DRAIN_TICK: Duration = Duration::from_millis(5);
