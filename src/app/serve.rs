//! Running a switch until it is told to stop: what is printed, signals, the drain, the counts.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::wiring::Blueprint;
use crate::net::Notice;
use crate::switch::{CloseCause, Counter, Role, Stats};

/// Starts the switch, says where it listens, and returns when it has drained after SIGTERM or
/// SIGINT. A second signal ends it at once.
///
/// # Errors
///
/// If a listener cannot be bound or a thread cannot be started.
pub fn run(blueprint: Blueprint, about: &str) -> io::Result<()> {
    let (sender, notices) = sync_channel(NOTICES_MAX);
    let names: Vec<String> = blueprint.links.iter().map(|link| link.name.clone()).collect();
    let roles: Vec<Role> = blueprint.links.iter().map(|link| link.role).collect();
    println!("{about}");
    print_plan(&blueprint);
    let signals = Signals::watch()?;
    let shell = blueprint.start(sender)?;
    for address in shell.addresses() {
        println!("listening    {address}");
    }
    println!("ready");
    let mut draining = false;
    loop {
        if !draining && signals.stop_is_asked() {
            draining = true;
            println!("draining     accepted requests are answered, then the switch exits");
            shell.drain();
        }
        match notices.recv_timeout(SIGNAL_POLL) {
            Ok(notice) => print_notice(&notice, &names, &roles),
            Err(RecvTimeoutError::Timeout) if !shell.is_running() => break,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    drain_notices(&notices, &names, &roles);
    let mut stats = Stats::default();
    for worker in shell.join() {
        stats.merge(&worker);
    }
    print_stats(&stats);
    Ok(())
}

fn print_plan(blueprint: &Blueprint) {
    let plan = &blueprint.plan;
    println!("durability   none (for the lab: nothing survives a crash)");
    println!("workers      {}", plan.workers);
    for link in &blueprint.links {
        let role = match link.role {
            Role::Acquirer => "acquirer",
            Role::Partner => "partner",
        };
        println!("{role:<12} {} ({})", link.name, link.dialect.name());
    }
    for dial in &plan.dials {
        let name = blueprint.links.get(usize::from(dial.link.0)).map_or("", |link| &link.name);
        let plural = if dial.sessions == 1 { "" } else { "s" };
        println!("calling      {name} at {}, {} session{plural}", dial.address, dial.sessions);
    }
}

/// What the shell says about connections, one line each. The comings and goings of terminals are
/// not news; those of partners are.
fn print_notice(notice: &Notice, names: &[String], roles: &[Role]) {
    let name = |link: crate::base::ids::LinkId| {
        names.get(usize::from(link.0)).map_or("unknown", String::as_str)
    };
    let is_partner =
        |link: crate::base::ids::LinkId| roles.get(usize::from(link.0)) == Some(&Role::Partner);
    match notice {
        Notice::Connected { link, .. } if is_partner(*link) => {
            println!("connected    {}", name(*link));
        }
        Notice::Lost { link, error, .. } if is_partner(*link) => {
            println!("lost         {}: {error}", name(*link));
        }
        Notice::Closed { link, cause, .. } if is_partner(*link) || is_news(*cause) => {
            println!("closed       {}: {}", name(*link), cause.text());
        }
        Notice::Refused { link, peer } => {
            println!("refused      {} from {peer}: too many sessions", name(*link));
        }
        Notice::AcceptFailed { link, error } => {
            println!("accepting    {} failed: {error}; trying again", name(*link));
        }
        Notice::Unreachable { link, address, error, retry_ms } => {
            println!("unreachable  {} at {address}: {error}; again in {retry_ms} ms", name(*link));
        }
        Notice::MailDropped { worker } => {
            println!("dropped      answers for worker {}: its mailbox stayed full", worker.0);
        }
        Notice::Drained { worker, complete: false } => {
            println!("undrained    worker {} at its deadline", worker.0);
        }
        _ => {}
    }
}

/// Closings that tell of a peer that does not speak our language, or too slowly.
const fn is_news(cause: CloseCause) -> bool {
    !matches!(cause, CloseCause::Finished | CloseCause::Drained | CloseCause::Idle)
}

fn drain_notices(notices: &Receiver<Notice>, names: &[String], roles: &[Role]) {
    while let Ok(notice) = notices.try_recv() {
        print_notice(&notice, names, roles);
    }
}

fn print_stats(stats: &Stats) {
    println!("counted");
    for counter in Counter::ALL {
        if stats.of(counter) > 0 {
            println!("  {:<26} {}", counter.name(), stats.of(counter));
        }
    }
}

/// SIGTERM and SIGINT, seen by a thread of their own.
struct Signals {
    asked: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Signals {
    fn watch() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let asked = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = std::sync::Arc::clone(&asked);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut terminate, mut interrupt) = {
            let _inside = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async move {
                loop {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                    }
                    if seen.swap(true, std::sync::atomic::Ordering::Relaxed) {
                        eprintln!("authswitch: second signal: exiting without draining");
                        std::process::exit(INTERRUPTED);
                    }
                }
            });
        })?;
        Ok(Self { asked })
    }

    fn stop_is_asked(&self) -> bool {
        self.asked.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// Exit code after a second signal: 128 + SIGINT, as shells have it.
const INTERRUPTED: i32 = 130;

/// How soon a signal is acted upon.
const SIGNAL_POLL: Duration = Duration::from_millis(20);

/// Notices kept for a slow terminal.
const NOTICES_MAX: usize = 1024;
