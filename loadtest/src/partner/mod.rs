//! The partner simulator: a host that answers as fast as the machine allows, or as slowly as
//! asked.
//!
//! It must never be the limit of a measurement, so an undelayed answer is written within the
//! batch its request came in. It is not a model of a bank: it keeps no accounts and answers from
//! the message alone, which is what lets the load generator foretell every answer.

mod answer;
mod fault;
mod freeze;
mod harm;
mod illness;
mod latency;
mod reversals;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::spawn_local;
use tokio::time::Sleep;

pub(crate) use self::answer::Rules;
pub(crate) use self::fault::Fault;
pub(crate) use self::freeze::Freeze;
pub(crate) use self::latency::{Latency, duration_ns};

pub(crate) use self::reversals::Count;

use self::illness::{Ending, Illness, Leave, State};
use self::latency::Delays;
use self::reversals::Reversals;
use crate::clock::{Alarm, now_ns};
use crate::failure::Failure;
use crate::net::{SCRATCH_BYTES, Sinks, Source, runtime};

/// What to simulate.
#[derive(Clone, Debug)]
pub(crate) struct Partner {
    pub(crate) listen: SocketAddr,
    pub(crate) rules: Rules,
    pub(crate) latency: Latency,
    pub(crate) threads: usize,
    pub(crate) counts_reversals: bool,
    pub(crate) faults: Vec<Fault>,
    /// Faults begin with a signal rather than at once.
    pub(crate) faults_on_hangup: bool,
    /// Now and then everything stands still.
    pub(crate) freeze: Option<Freeze>,
}

/// Answers until the process is ended. The calling thread accepts and deals connections out in
/// turn: the kernel's own sharing would leave threads idle when connections are few.
pub(crate) fn run(partner: Partner) -> Result<(), Failure> {
    let attempt = format!("listen on {}", partner.listen);
    let listener =
        TcpListener::bind(partner.listen).map_err(|error| Failure::of(&attempt, error))?;
    let address = listener.local_addr().map_err(|error| Failure::of(&attempt, error))?;
    let mut hosts = Vec::new();
    for _ in 0..partner.threads.max(1) {
        let (give, take) = unbounded_channel();
        thread::Builder::new()
            .name("partner".into())
            .spawn({
                let partner = partner.clone();
                move || host(&partner, take)
            })
            .map_err(|error| Failure::of("start a thread", error))?;
        hosts.push(give);
    }
    println!("partner listening on {address}");
    for host in hosts.iter().cycle() {
        let (stream, _) = listener.accept().map_err(|error| Failure::of("accept", error))?;
        if host.send(stream).is_err() {
            return Err(Failure::Run("a partner thread has stopped".into()));
        }
    }
    Ok(())
}

/// One thread of the partner.
struct Host {
    scratch: Vec<u8>,
    sinks: Sinks,
    rules: Rules,
    delays: Option<Delays>,
    releaser: Option<Waker>,
    reversals: Option<Reversals>,
    illness: Option<Illness>,
}

fn host(partner: &Partner, mut connections: UnboundedReceiver<TcpStream>) {
    let Partner { faults, latency, rules, .. } = partner;
    let zero_ns = (!partner.faults_on_hangup).then(now_ns);
    let has_delays = !latency.is_zero() || faults.iter().any(Fault::is_late);
    let host = Rc::new(RefCell::new(Host {
        scratch: vec![0; SCRATCH_BYTES],
        sinks: Sinks::default(),
        rules: *rules,
        delays: has_delays.then(|| Delays::new(*latency)),
        releaser: None,
        reversals: partner.counts_reversals.then(Reversals::default),
        illness: (!faults.is_empty()).then(|| Illness::new(faults, rules.form, zero_ns)),
    }));
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return eprintln!("loadtest: cannot start an event loop: {error}"),
    };
    runtime.block_on(async move {
        let flusher = host.clone();
        spawn_local(poll_fn(move |cx| flusher.borrow_mut().sinks.poll_flush(cx)));
        spawn_local(release(host.clone()));
        if let Some(freeze) = partner.freeze {
            spawn_local(freeze.keep());
        }
        if !faults.is_empty() {
            spawn_local(suffer(host.clone()));
        }
        while let Some(stream) = connections.recv().await {
            let refuses = |illness: &mut Illness| illness.refuses(now_ns());
            if host.borrow_mut().illness.as_mut().is_some_and(refuses) {
                continue;
            }
            let added = stream
                .set_nonblocking(true)
                .and_then(|()| tokio::net::TcpStream::from_std(stream))
                .and_then(|stream| host.borrow_mut().sinks.add(stream));
            match added {
                Ok((number, source)) => drop(spawn_local(answer_all(host.clone(), number, source))),
                Err(error) => eprintln!("loadtest: a connection was lost: {error}"),
            }
        }
    });
}

/// The life of a connection.
async fn answer_all(host: Rc<RefCell<Host>>, number: usize, mut source: Source) {
    let mut nap: Option<Pin<Box<Sleep>>> = None;
    let ending = poll_fn(|cx| {
        loop {
            if let Some(sleep) = &mut nap {
                ready!(sleep.as_mut().poll(cx));
                nap = None;
            }
            let host = &mut *host.borrow_mut();
            let state = host.illness.as_mut().map(|it| it.state(number, now_ns(), cx.waker()));
            match state.unwrap_or(State::Well) {
                State::Ends(ending) => return Poll::Ready(Some(ending)),
                State::Stalled(until_ns) => {
                    nap = Some(sleep(until_ns.saturating_sub(now_ns())));
                    continue;
                }
                State::Slow => nap = Some(sleep(SLOW_READ_EVERY_NS)),
                State::Well => {}
            }
            let bytes = if nap.is_some() { SLOW_READ_BYTES } else { SCRATCH_BYTES };
            if !matches!(ready!(host.poll_answer(cx, number, (&mut source, bytes))), Ok(1..)) {
                return Poll::Ready(None);
            }
        }
    })
    .await;
    let sinks = &mut host.borrow_mut().sinks;
    match ending {
        Some(Ending::Close) => sinks.close(number),
        // It has gone already.
        Some(Ending::Reset) => drop(source.reset(sinks, number)),
        None => sinks.remove(number),
    }
}

fn sleep(length_ns: u64) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep(Duration::from_nanos(length_ns)))
}

impl Host {
    /// Reads once and answers everything that came.
    #[inline]
    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        number: usize,
        (source, bytes): (&mut Source, usize),
    ) -> Poll<io::Result<usize>> {
        let Host { scratch, sinks, rules, delays, releaser, reversals, illness } = self;
        let read = match delays {
            None => source.poll_few(cx, (scratch, bytes), |request| {
                if let Some(reversals) = reversals {
                    reversals.note(request, rules.form);
                }
                if let Some(out) = sinks.buffer(number)
                    && write(request, rules, illness, number, out).is_last
                {
                    sinks.close(number);
                }
            }),
            Some(delays) => {
                let now_ns = now_ns();
                source.poll_few(cx, (scratch, bytes), |request| {
                    let write = |out: &mut Vec<u8>| write(request, rules, illness, number, out);
                    if delays.hold(now_ns, number, write)
                        && let Some(releaser) = releaser
                    {
                        releaser.wake_by_ref();
                    }
                })
            }
        };
        if let Some(reversals) = reversals {
            reversals.tell();
        }
        read
    }
}

/// Writes the answer to a request, with what befalls it.
#[inline]
fn write(
    request: &[u8],
    rules: &Rules,
    illness: &mut Option<Illness>,
    number: usize,
    out: &mut Vec<u8>,
) -> Leave {
    let begin = out.len();
    answer::append(request, rules, out);
    match illness {
        None => Leave::default(),
        Some(illness) => illness.strike((number, now_ns()), out, begin),
    }
}

/// Lets happen what the clock says, from the beginning of the faults on.
async fn suffer(host: Rc<RefCell<Host>>) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => return eprintln!("loadtest: cannot listen for a signal: {error}"),
    };
    loop {
        let from_ns = now_ns();
        let next_ns = host.borrow().illness.as_ref().and_then(|it| it.next_ns(from_ns));
        let wait_ns = next_ns.map_or(u64::MAX / 4, |next_ns| next_ns - from_ns);
        let begins = tokio::select! {
            () = tokio::time::sleep(Duration::from_nanos(wait_ns)) => false,
            _ = hangup.recv() => true,
        };
        if let Some(illness) = &mut host.borrow_mut().illness {
            match begins {
                true => illness.begin(now_ns()),
                false => illness.befall_all(from_ns, now_ns()),
            }
        }
    }
}

/// Sends delayed answers when their time has come.
async fn release(host: Rc<RefCell<Host>>) {
    let mut alarm = match Alarm::new() {
        Ok(alarm) => alarm,
        Err(error) => return eprintln!("loadtest: cannot create a timer: {error}"),
    };
    poll_fn(|cx| {
        let Host { sinks, delays, releaser, .. } = &mut *host.borrow_mut();
        *releaser = Some(cx.waker().clone());
        let Some(delays) = delays else { return Poll::Ready(()) };
        while let Some(due_ns) = delays.next_ns() {
            if let Err(error) = ready!(alarm.poll_until(cx, due_ns)) {
                eprintln!("loadtest: the timer failed: {error}");
                return Poll::Ready(());
            }
            delays.release(now_ns(), |number, answer, is_last| {
                if let Some(out) = sinks.buffer(number) {
                    out.extend_from_slice(answer);
                }
                if is_last {
                    sinks.close(number);
                }
            });
        }
        Poll::Pending
    })
    .await;
}

/// A slow reader takes so much,
const SLOW_READ_BYTES: usize = 256;
/// and then waits for so long: 25 kB a second.
const SLOW_READ_EVERY_NS: u64 = 10_000_000;
