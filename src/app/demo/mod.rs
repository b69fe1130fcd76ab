//! `authswitch demo`: the real switch on its default configuration, between simulated terminals
//! and simulated partner networks.
//!
//! Everything in the middle is what `serve` runs: sockets, workers, routes, deadlines. Only the
//! two ends are played, and the addresses are ports of the loopback that were free. It is no load
//! test: messages go one at a time, so that each line is about one message and nothing waits for
//! another. Every outcome is checked; a demonstration that may be wrong would show nothing.
//!
//! ```text
//!   terminals (fleet)  ->  the switch  ->  partner networks (partners)
//!          \___ round trip       \___ way (tap)     \___ time held
//! ```

mod fleet;
mod partners;
mod print;
mod summary;
mod traffic;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::config::Config;
use super::wiring::Blueprint;
use crate::iso8583::dialect::Dialect;
use crate::net::{Clock, Shell};
use crate::routing::RouteTable;
use crate::switch::decision::{Decision, Outcome};
use crate::switch::fault::Fault;
use crate::switch::{Role, Stats};
use fleet::{Heard, Terminal, Trip};
use partners::{Partners, Seen};
use print::Look;
use summary::Summary;
use traffic::{CASES, Case, Damage, Expected};

/// Plays the sample traffic and writes what becomes of it. True if all of it is as it must be.
///
/// # Errors
///
/// If nothing can be shown, one sentence on why; else what writing to `out` returned.
pub fn run(out: &mut impl Write, coloured: bool) -> io::Result<bool> {
    let look = Look { coloured };
    let mut stage = Stage::set()?;
    print::opening(out, look, &stage)?;
    stage.warm_up()?;
    let mut summary = Summary::new(&stage.routes);
    let mut mistakes = Vec::new();
    let mut already_seen = false;
    print::head(out, look)?;
    for (place, case) in CASES.iter().enumerate() {
        let act = stage.play(place, case)?;
        print::act(out, look, place + 1, case, &act, &stage)?;
        let wrong = mistake(case, &act);
        mistakes.extend(wrong.map(|wrong| format!("message {}: {wrong}", place + 1)));
        summary.add(&act);
        already_seen = act.seen.is_some();
    }
    mistakes.extend(stage.await_late_answer(already_seen));
    for place in first_of_each_route() {
        for _ in 0..SERIES {
            let case = &CASES[place].undisturbed();
            let act = stage.play(place, case)?;
            let wrong = mistake(case, &act);
            mistakes
                .extend(wrong.map(|wrong| format!("one more like message {}: {wrong}", place + 1)));
            summary.add(&act);
        }
    }
    let asked = u64::from(stage.serial);
    let stats = stage.clear();
    mistakes.extend(summary::miscounts(&stats, asked));
    print::closing(out, look, &summary, &stats)?;
    print::verdict(out, look, CASES.len(), &mistakes)?;
    Ok(mistakes.is_empty())
}

/// Everything that runs.
struct Stage {
    shell: Shell<Stats>,
    partners: Partners,
    terminals: Vec<Terminal>,
    decisions: Receiver<Decision>,
    clock: Clock,
    /// Names of the routes and networks.
    routes: Arc<RouteTable>,
    /// Names of the links, by their ids.
    links: Vec<String>,
    /// Dialects of the links, by their ids.
    dialects: Vec<Arc<Dialect>>,
    workers: usize,
    /// Messages sent so far.
    serial: u32,
}

/// One message, and all that was seen of it.
struct Act {
    /// At the terminal.
    trip: Trip,
    /// In the switch.
    way: Option<Way>,
    /// At the partner.
    seen: Option<Seen>,
    /// At its end.
    outcome: Option<Outcome>,
}

/// The way a request took.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    network: String,
    route: String,
    partner: String,
    dialect: String,
    budget: Duration,
}

impl Stage {
    /// Starts the partners, the switch between, and connects a terminal for each message.
    fn set() -> io::Result<Self> {
        let clock = Clock::start();
        let mut config = Config::load(None).map_err(|mistakes| {
            let all: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            io::Error::other(format!("the built-in configuration is wrong: {}", all.join("; ")))
        })?;
        let dialects = config.partners.iter().map(|partner| Arc::clone(&partner.dialect)).collect();
        let partners = Partners::start(dialects, clock)?;
        for (partner, address) in config.partners.iter_mut().zip(&partners.addresses) {
            partner.connect = address.to_string();
        }
        for acquirer in &mut config.acquirers {
            acquirer.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        }
        let mut blueprint = Blueprint::from_config(&config).map_err(io::Error::other)?;
        let (tap, decisions) = sync_channel(DECISIONS_MAX);
        blueprint.plan.tap = Some(tap);
        blueprint.plan.workers = blueprint.plan.workers.min(WORKERS_MAX);
        blueprint.plan.drain_deadline = DRAIN_DEADLINE;
        let workers = blueprint.plan.workers;
        let routes = Arc::clone(&blueprint.routes);
        let links = blueprint.links.iter().map(|link| link.name.clone()).collect();
        let dialects: Vec<_> =
            blueprint.links.iter().map(|link| Arc::clone(&link.dialect)).collect();
        let pos = blueprint.links.iter().position(|link| link.role == Role::Acquirer);
        let pos = pos.and_then(|place| dialects.get(place)).map(Arc::clone);
        // What the shell says of connections is for operators; here each message tells.
        let (notices, _) = sync_channel(1);
        let running = blueprint.start(notices).map_err(trouble("the switch cannot start"))?;
        let shell = running.shell;
        let (Some(address), Some(pos)) = (shell.addresses().first().copied(), pos) else {
            return Err(io::Error::other("the built-in configuration has no acquirer"));
        };
        let terminals = (0..CASES.len())
            .map(|number| Terminal::connect(address, Arc::clone(&pos), clock, number + 1))
            .collect::<io::Result<_>>()?;
        let serial = 0;
        Ok(Self {
            shell,
            partners,
            terminals,
            decisions,
            clock,
            routes,
            links,
            dialects,
            workers,
            serial,
        })
    }

    /// Sends a few messages from each terminal, until the partners are signed on and neither the
    /// caches nor the allocator are cold.
    fn warm_up(&mut self) -> io::Result<()> {
        let by = self.clock.now().instant.after(READY_DEADLINE);
        for (place, case) in CASES.iter().enumerate() {
            if case.damage != Damage::None {
                continue;
            }
            let case = case.undisturbed();
            let mut done = 0;
            while done < WARM_UPS {
                let act = self.play(place, &case)?;
                if mistake(&case, &act).is_none() {
                    done += 1;
                } else if self.clock.now().instant > by {
                    let what = case.what;
                    let said = format!("no partner is ready for {what:?} within 5 s");
                    return Err(io::Error::other(said));
                } else {
                    pause();
                }
            }
        }
        Ok(())
    }

    /// Has the terminal at `place` send `case`, and collects what everybody saw of it.
    fn play(&mut self, place: usize, case: &Case) -> io::Result<Act> {
        self.serial += 1;
        self.partners.play(case.partner);
        while self.decisions.try_recv().is_ok() {}
        let trip = match self.terminals.get_mut(place) {
            Some(terminal) => terminal.ask(case, self.serial)?,
            None => return Err(io::Error::other("a message without a terminal")),
        };
        let mut act = Act { trip, way: None, seen: None, outcome: None };
        if matches!(act.trip.heard, Heard::Code(_)) {
            self.follow(&mut act);
        }
        while let Ok(seen) = self.partners.seen.try_recv() {
            if seen.rrn == fleet::rrn(self.serial) {
                act.seen = Some(seen);
            }
        }
        Ok(act)
    }

    /// Reads what the switch decided: where the request went, if anywhere, and how it ended.
    fn follow(&self, act: &mut Act) {
        while let Ok(decision) = self.decisions.recv_timeout(TAP_DEADLINE) {
            match decision.outcome {
                Outcome::Forwarded if decision.stan == u64::from(self.serial) => {
                    act.way = self.way(&decision);
                }
                Outcome::Forwarded => {}
                outcome => {
                    act.outcome = Some(outcome);
                    return;
                }
            }
        }
    }

    fn way(&self, decision: &Decision) -> Option<Way> {
        let route = self.routes.numbered(decision.route?)?;
        let partner = usize::from(decision.partner?.0);
        let network = decision.network.map_or("-", |id| self.routes.network_name(id));
        Some(Way {
            network: network.to_owned(),
            route: route.name.clone(),
            partner: self.links.get(partner)?.clone(),
            dialect: self.dialects.get(partner)?.name().to_owned(),
            budget: route.budget,
        })
    }

    /// The silent partner answers after all, or, if the terminal was slow, has done so already.
    /// Nobody may hear of it.
    fn await_late_answer(&mut self, already_seen: bool) -> Option<String> {
        let rrn = fleet::rrn(self.serial);
        let seen = |seen: Seen| seen.rrn == rrn;
        if !already_seen && !self.partners.seen.recv_timeout(PARTNER_DEADLINE).is_ok_and(seen) {
            return Some("the silent partner never answered".to_owned());
        }
        let deaf = self.terminals.last_mut().is_some_and(|last| last.hears_nothing(LATE_WAIT));
        (!deaf).then(|| "the terminal heard of an answer that came too late".to_owned())
    }

    /// Hangs up, drains the switch, and returns what it counted.
    fn clear(self) -> Stats {
        drop(self.terminals);
        self.shell.drain();
        let mut stats = Stats::default();
        for worker in self.shell.join() {
            stats.merge(&worker);
        }
        self.partners.stop();
        stats
    }
}

impl Act {
    /// True if the switch kept its promise without the partner.
    fn timed_out(&self) -> bool {
        self.outcome == Some(Outcome::Failed(Fault::TimedOut))
    }

    /// What the switch added to the time the partner took, or to the budget it waited for it.
    fn added(&self) -> Duration {
        let elsewhere = match (&self.way, &self.seen) {
            (Some(way), _) if self.timed_out() => way.budget,
            (_, Some(seen)) => seen.held,
            _ => Duration::ZERO,
        };
        self.trip.took.saturating_sub(elsewhere)
    }
}

/// What is not as `case` expects it.
fn mistake(case: &Case, act: &Act) -> Option<String> {
    let wanted = case.code().map_or(Heard::Closed, |code| Heard::Code(code.to_owned()));
    if act.trip.heard != wanted {
        return Some(format!("expected {wanted}, got {}", act.trip.heard));
    }
    let wanted = match case.expected {
        Expected::Sent { network, route, partner, .. } => Some([network, route, partner]),
        _ => None,
    };
    let taken = act.way.as_ref().map(|way| [&*way.network, &*way.route, &*way.partner]);
    if taken != wanted {
        let shown = |way: Option<[&str; 3]>| way.map_or("nowhere".to_owned(), |w| w.join(" -> "));
        return Some(format!("expected to go {}, went {}", shown(wanted), shown(taken)));
    }
    let budget = act.way.as_ref().map_or(Duration::ZERO, |way| way.budget);
    if act.timed_out() && act.trip.took + TURN < budget {
        return Some("given up before its time".to_owned());
    }
    if wanted.is_some() && !act.timed_out() && act.seen.is_none() {
        return Some("answered, but the partner never saw it".to_owned());
    }
    None
}

/// The first message of each route.
fn first_of_each_route() -> Vec<usize> {
    let mut routes = Vec::new();
    let mut places = Vec::new();
    for (place, case) in CASES.iter().enumerate() {
        if let Expected::Sent { route, .. } = case.expected
            && !routes.contains(&route)
        {
            routes.push(route);
            places.push(place);
        }
    }
    places
}

/// Makes one sentence of an error of the operating system. Its kind is dropped: a socket that
/// breaks is not a reader of the output that went away.
fn trouble(what: &'static str) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::other(format!("{what}: {error}"))
}

#[expect(clippy::disallowed_methods, reason = "no worker: the stage waits for the partners")]
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

/// Partners have one or two connections each; more workers than that would only share them.
const WORKERS_MAX: usize = 2;

/// Messages of each terminal before the first that is shown.
const WARM_UPS: usize = 30;

/// Sales on each route behind those that are shown, so that a median means something.
const SERIES: usize = 100;

/// How long connecting and signing on may take.
const READY_DEADLINE: Duration = Duration::from_secs(5);

/// How long the switch may take to report a decision whose answer has arrived.
const TAP_DEADLINE: Duration = Duration::from_secs(2);

/// How long the partner that is too late may take beyond the time-out.
const PARTNER_DEADLINE: Duration = Duration::from_secs(2);

/// How much earlier than its arrival a request may count from: the switch reads its clock when a
/// turn begins, not for each message.
const TURN: Duration = Duration::from_millis(5);

/// How long to listen for an answer that must not come.
const LATE_WAIT: Duration = Duration::from_millis(100);

/// How long the switch may take to leave.
const DRAIN_DEADLINE: Duration = Duration::from_secs(2);

/// Decisions kept until they are read; a message makes two.
const DECISIONS_MAX: usize = 64;
