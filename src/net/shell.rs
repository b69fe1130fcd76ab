//! The shell as the application sees it: started from a plan, told to drain, joined.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::task::spawn_local;

use super::archive::Archive;
use super::clock::Clock;
use super::mail::Commons;
use super::notice::{Notice, Notices};
use super::store::Store;
use super::turn::Turns;
use super::worker::{Parts, Worker};
use super::{Core, accept, dial, socket, spin};
use crate::base::ids::{LinkId, WorkerId};
use crate::base::limits::{self, Bounds};
use crate::risk::Rules;
use crate::routing::RouteTable;
use crate::switch::decision::Decision;
use crate::switch::outbox::Outbox;

/// What is to run where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Worker threads, 1 to `limits::WORKERS_MAX`.
    pub workers: usize,
    /// Where acquirers call.
    pub listeners: Vec<Listen>,
    /// Partners to be called.
    pub dials: Vec<Dial>,
    /// How long a worker with nothing to do stays awake before it sleeps. Zero: not at all. Being
    /// woken costs more than most transactions, a core that never sleeps costs a core.
    pub spin: Duration,
    /// Whether each worker is bound to a core of its own.
    pub pin: bool,
    /// What may not be exceeded.
    pub bounds: Bounds,
    /// How long draining may take.
    pub drain_deadline: Duration,
    /// Where decisions go if the switch reports them. A full channel loses some.
    pub tap: Option<SyncSender<Decision>>,
}

/// A listener.
#[derive(Debug, Clone, Copy)]
pub struct Listen {
    /// Where. Port 0 lets the system choose; [`Shell::addresses`] tells.
    pub address: SocketAddr,
    /// Whose connections arrive here.
    pub link: LinkId,
}

/// A partner to be called.
#[derive(Debug, Clone, Copy)]
pub struct Dial {
    /// Where.
    pub address: SocketAddr,
    /// Which partner.
    pub link: LinkId,
    /// How many connections it is to have, over all workers.
    pub sessions: usize,
}

/// The running workers of a switch.
#[derive(Debug)]
pub struct Shell<S> {
    commons: Arc<Commons>,
    notices: Notices,
    addresses: Vec<SocketAddr>,
    threads: Vec<JoinHandle<S>>,
}

/// Hands routes and rules to workers.
#[derive(Debug)]
pub struct Publisher {
    commons: Arc<Commons>,
}

/// What a worker begins with.
#[derive(Debug)]
pub struct Make<C> {
    /// What it drives.
    pub core: C,
    /// What the core has to say already.
    pub outbox: Outbox,
    /// Where its records go, if they are kept.
    pub store: Option<Box<dyn Store>>,
    /// Who looks older transactions up, if anybody does.
    pub archive: Option<Box<dyn Archive>>,
}

impl<C> From<C> for Make<C> {
    /// A core whose records are not kept.
    fn from(core: C) -> Self {
        Self { core, outbox: Outbox::default(), store: None, archive: None }
    }
}

impl<S: Clone + Default + Send + 'static> Shell<S> {
    /// Binds the listeners and starts the workers; `make` is called once on each worker's thread.
    pub fn start<C, F>(plan: &Plan, make: F, notices: SyncSender<Notice>) -> io::Result<Self>
    where
        C: Core<Stats = S>,
        F: Fn(WorkerId) -> Make<C> + Send + Sync + 'static,
    {
        let workers = plan.workers.clamp(1, limits::WORKERS_MAX);
        let mut shell = Self {
            commons: Arc::new(Commons::new(workers)),
            notices: Notices::new(notices),
            addresses: Vec::new(),
            threads: Vec::new(),
        };
        let mut listeners = shell.bind(&plan.listeners)?;
        let (clock, make) = (Clock::start(), Arc::new(make));
        let (started, starts) = sync_channel(workers);
        for id in shell.commons.workers() {
            let parts = Parts {
                id,
                clock,
                commons: Arc::clone(&shell.commons),
                notices: shell.notices.clone(),
                bounds: plan.bounds.clone(),
                drain_deadline: plan.drain_deadline,
                tap: plan.tap.clone(),
            };
            let duty = Duty {
                // The first worker takes them all.
                listeners: std::mem::take(&mut listeners),
                dials: dials_of(id, workers, &plan.dials),
                spin: plan.spin,
                pin: plan.pin,
            };
            let (make, started) = (Arc::clone(&make), started.clone());
            let name = format!("worker-{}", id.0);
            let thread = std::thread::Builder::new()
                .name(name)
                // What only the beginning needs is not kept behind it.
                .spawn(move || work(parts, duty, move || make(id), &started))?;
            shell.threads.push(thread);
        }
        drop(started);
        for _ in 0..workers {
            let outcome = starts.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
            if let Err(error) = outcome {
                shell.drain();
                return Err(error);
            }
        }
        Ok(shell)
    }

    /// Where the listeners are, in the order of the plan.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Who hands route tables to the workers, for a thread of its own.
    pub fn publisher(&self) -> Publisher {
        Publisher { commons: Arc::clone(&self.commons) }
    }

    /// Has every worker finish what it accepted and leave.
    pub fn drain(&self) {
        for door in self.commons.doors() {
            door.draining.store(true, Ordering::Release);
            door.bell.notify_one();
        }
    }

    /// Notices lost because nobody read them in time.
    pub fn notices_dropped(&self) -> u64 {
        self.notices.dropped()
    }

    /// True until every worker has left.
    pub fn is_running(&self) -> bool {
        self.threads.iter().any(|thread| !thread.is_finished())
    }

    /// Waits until all workers have left and returns what each has counted.
    pub fn join(self) -> Vec<S> {
        let join = |thread: JoinHandle<S>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        self.threads.into_iter().map(join).collect()
    }

    fn bind(&mut self, listens: &[Listen]) -> io::Result<Vec<(TcpListener, LinkId)>> {
        let mut listeners = Vec::new();
        for listen in listens {
            let refused = |error: io::Error| {
                io::Error::new(error.kind(), format!("listening on {}: {error}", listen.address))
            };
            let listener = socket::listen(listen.address).map_err(refused)?;
            let (link, address) = (listen.link, listener.local_addr()?);
            self.notices.push(Notice::Listening { link, address });
            self.addresses.push(address);
            listeners.push((listener, link));
        }
        Ok(listeners)
    }
}

impl Publisher {
    /// Hands new routes and rules to every worker. A worker that has not taken the last one yet
    /// gets only this one. Whoever keeps a handle on a table until it is the only one left is who
    /// frees it: a worker only lets go.
    pub fn publish(&self, routes: &Arc<RouteTable>, rules: Option<&Arc<Rules>>) {
        for door in self.commons.doors() {
            drop(door.tables.force_push((Arc::clone(routes), rules.cloned())));
            door.bell.notify_one();
        }
    }
}

/// What a worker has to do from the start.
struct Duty {
    listeners: Vec<(TcpListener, LinkId)>,
    dials: Vec<(SocketAddr, LinkId)>,
    spin: Duration,
    pin: bool,
}

/// The connections that `worker` dials. Links take workers in turn and each begins where the one
/// before ended, so that links of one connection do not all end up on the first worker.
fn dials_of(worker: WorkerId, workers: usize, dials: &[Dial]) -> Vec<(SocketAddr, LinkId)> {
    let each =
        dials.iter().flat_map(|dial| std::iter::repeat_n((dial.address, dial.link), dial.sessions));
    each.skip(usize::from(worker.0)).step_by(workers).collect()
}

/// The life of a worker thread.
fn work<C: Core>(
    parts: Parts,
    duty: Duty,
    make: impl FnOnce() -> Make<C>,
    started: &SyncSender<io::Result<()>>,
) -> C::Stats {
    if duty.pin {
        pin(parts.id);
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            drop(started.send(Err(error)));
            return C::Stats::default();
        }
    };
    runtime.block_on(async {
        let shared = Rc::new(RefCell::new(Worker::new(parts, make())));
        let outcome = begin(&shared, duty);
        let failed = outcome.is_err();
        drop(started.send(outcome));
        if failed {
            return C::Stats::default();
        }
        // As a task it queues behind those that are ready; the future given to the runtime itself
        // would jump the queue.
        if let Err(error) = spawn_local(Turns::new(Rc::clone(&shared))).await
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
        shared.borrow().core.stats().clone()
    })
}

fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .build_local(LocalOptions::default())
}

fn begin<C: Core>(shared: &Rc<RefCell<Worker<C>>>, duty: Duty) -> io::Result<()> {
    for (listener, link) in duty.listeners {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let doorman = spawn_local(accept::keep_accepting(Rc::clone(shared), listener, link));
        shared.borrow_mut().doormen.push(doorman.abort_handle());
    }
    for (address, link) in duty.dials {
        spawn_local(dial::keep_dialling(Rc::clone(shared), link, address));
    }
    if !duty.spin.is_zero() {
        spawn_local(spin::keep_awake(Rc::clone(shared), duty.spin));
    }
    spawn_local(answer_bell(Rc::clone(shared)));
    Ok(())
}

/// Opens a turn whenever another thread wants something.
async fn answer_bell<C: Core>(shared: Rc<RefCell<Worker<C>>>) {
    let parts = shared.borrow().parts.clone();
    loop {
        parts.commons.door(parts.id).bell.notified().await;
        shared.borrow_mut().now();
    }
}

/// Binds this thread to a core, if the system lets it: without, it only runs a little less evenly.
fn pin(worker: WorkerId) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    let Some(core) = cores.nth(usize::from(worker.0)) else { return };
    let mut own = CpuSet::new();
    own.set(core);
    let _ = sched_setaffinity(None, &own);
}

/// Tasks run between two looks at the sockets while there are tasks to run. More than there are
/// busy connections as a rule, so that a turn is not cut in two.
const EVENT_INTERVAL: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_dealt_out_over_links_and_workers() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let dial = |link, sessions| Dial { address, link: LinkId(link), sessions };
        let dials = [dial(0, 3), dial(1, 1), dial(2, 1)];
        let links = |worker| -> Vec<u16> {
            let own = dials_of(WorkerId(worker), 2, &dials);
            own.into_iter().map(|(_, link)| link.0).collect()
        };
        assert_eq!((links(0), links(1)), (vec![0, 0, 2], vec![0, 1]));
    }
}
