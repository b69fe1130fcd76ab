//! The partner simulator: a host that answers as fast as the machine allows, or as slowly as
//! asked.
//!
//! It must never be the limit of a measurement, so an undelayed answer is written within the
//! batch its request came in. It is not a model of a bank: it keeps no accounts and answers from
//! the message alone, which is what lets the load generator foretell every answer.

mod answer;
mod freeze;
mod latency;
mod reversals;

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::task::{Poll, Waker, ready};
use std::thread;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::spawn_local;

pub(crate) use self::answer::{Fault, Rules};
pub(crate) use self::freeze::Freeze;
pub(crate) use self::latency::{Latency, duration_ns};

pub(crate) use self::reversals::Count;

use self::latency::Delays;
use self::reversals::Reversals;
use crate::clock::{Alarm, now_ns};
use crate::failure::Failure;
use crate::net::{SCRATCH_BYTES, Sinks, Source, runtime};

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Partner {
    pub(crate) listen: SocketAddr,
    pub(crate) rules: Rules,
    pub(crate) latency: Latency,
    pub(crate) threads: usize,
    pub(crate) counts_reversals: bool,
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
            .spawn(move || host(partner, take))
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
}

fn host(partner: Partner, mut connections: UnboundedReceiver<TcpStream>) {
    let host = Rc::new(RefCell::new(Host {
        scratch: vec![0; SCRATCH_BYTES],
        sinks: Sinks::default(),
        rules: partner.rules,
        delays: (!partner.latency.is_zero()).then(|| Delays::new(partner.latency)),
        releaser: None,
        reversals: partner.counts_reversals.then(Reversals::default),
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
        while let Some(stream) = connections.recv().await {
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
    poll_fn(|cx| {
        loop {
            let Host { scratch, sinks, rules, delays, releaser, reversals } =
                &mut *host.borrow_mut();
            let read = match delays {
                None => source.poll_frames(cx, scratch, |request| {
                    if let Some(reversals) = reversals {
                        reversals.note(request, rules.form);
                    }
                    if let Some(out) = sinks.buffer(number) {
                        answer::append(request, rules, out);
                    }
                }),
                Some(delays) => {
                    let now_ns = now_ns();
                    source.poll_frames(cx, scratch, |request| {
                        let write = |out: &mut Vec<u8>| answer::append(request, rules, out);
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
            if !matches!(ready!(read), Ok(1..)) {
                return Poll::Ready(());
            }
        }
    })
    .await;
    host.borrow_mut().sinks.remove(number);
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
            delays.release(now_ns(), |number, answer| {
                if let Some(out) = sinks.buffer(number) {
                    out.extend_from_slice(answer);
                }
            });
        }
        Poll::Pending
    })
    .await;
}
