//! Running a switch until it is told to stop: what is printed, signals, the drain, the counts.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::archive::Archive;
use super::closing::Office;
use super::reload::{Origin, Reload};
use super::snapshot::Snapshots;
use super::wiring::{Blueprint, Running};
use crate::journal::{Durability, Writer};
use crate::net::Notice;
use crate::switch::{CloseCause, Counter, Role, Stats, Storage};

/// Starts the switch, says where it listens, and returns when it has drained after SIGTERM or
/// SIGINT. A second signal ends it at once. Meanwhile routes are those of `origin`, read again on
/// SIGHUP and when its files change; on SIGUSR1 it is told what each rule did so far.
///
/// # Errors
///
/// If a listener cannot be bound or a thread cannot be started.
pub fn run(blueprint: Blueprint, about: &str, origin: Option<Origin>) -> io::Result<Finished> {
    let say = Voice::new()?;
    let (sender, notices) = sync_channel(NOTICES_MAX);
    let names: Vec<String> = blueprint.links.iter().map(|link| link.name.clone()).collect();
    let roles: Vec<Role> = blueprint.links.iter().map(|link| link.role).collect();
    say.line(about.into());
    print_plan(&say, &blueprint);
    let signals = Signals::watch()?;
    let running = blueprint.start(sender)?;
    let Running { shell, writer, mut office, mut archive, snapshots, report } = running;
    for line in report {
        say.line(line);
    }
    let reload = origin.map(|origin| Reload::start(origin, shell.publisher())).transpose()?;
    for address in shell.addresses() {
        say.line(format!("listening    {address}"));
    }
    say.line("ready".into());
    let mut draining = false;
    loop {
        if !draining && signals.stop_is_asked() {
            draining = true;
            say.line("draining     accepted requests are answered, then the switch exits".into());
            shell.drain();
        }
        if signals.reload_is_asked() {
            match &reload {
                Some(reload) => reload.ask(),
                None => {
                    say.line("routes       are not from a folder: nothing to read again".into())
                }
            }
        }
        if signals.counts_are_asked() {
            reload.iter().for_each(Reload::ask_counts);
        }
        reload.iter().flat_map(Reload::look).for_each(|line| say.line(line));
        let failure = writer.as_ref().and_then(Writer::failure);
        if let Some(failure) = failure {
            // What is not durable never leaves; whoever waits for it asks again, or takes it back.
            say.line(format!("FAILED       {failure}"));
            say.line("stopped      nothing is approved without its record".into());
            say.finish();
            return Ok(Finished::StorageFailed);
        }
        office.iter_mut().flat_map(Office::look).for_each(|line| say.line(line));
        archive.iter_mut().filter_map(Archive::look).for_each(|line| say.line(line));
        snapshots.iter().flat_map(Snapshots::look).for_each(|line| say.line(line));
        match notices.recv_timeout(SIGNAL_POLL) {
            Ok(notice) => print_notice(&say, &notice, &names, &roles),
            Err(RecvTimeoutError::Timeout) if !shell.is_running() => break,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    drain_notices(&say, &notices, &names, &roles);
    let mut stats = Stats::default();
    for worker in shell.join() {
        stats.merge(&worker);
    }
    print_stats(&say, &stats);
    reload.into_iter().flat_map(Reload::finish).for_each(|line| say.line(line));
    snapshots.into_iter().flat_map(Snapshots::finish).for_each(|line| say.line(line));
    if let Some(writer) = writer {
        writer.stop();
    }
    archive.into_iter().for_each(Archive::stop);
    say.finish();
    Ok(Finished::Drained)
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// As it was told to.
    Drained,
    /// Because nothing could be put on record any more.
    StorageFailed,
}

fn print_plan(say: &Voice, blueprint: &Blueprint) {
    let plan = &blueprint.plan;
    let durability = match blueprint.journal.as_ref().map(|journal| journal.durability) {
        None => "none (for the lab: nothing survives a crash)",
        Some(Durability::Process) => "process (survives a crash, not a power cut)",
        Some(Durability::Power) => "power (survives a power cut)",
    };
    say.line(format!("durability   {durability}"));
    say.line(format!("workers      {}", plan.workers));
    for link in &blueprint.links {
        let role = match link.role {
            Role::Acquirer => "acquirer",
            Role::Partner => "partner",
        };
        say.line(format!("{role:<12} {} ({})", link.name, link.dialect.name()));
    }
    for dial in &plan.dials {
        let name = blueprint.links.get(usize::from(dial.link.0)).map_or("", |link| &link.name);
        let plural = if dial.sessions == 1 { "" } else { "s" };
        say.line(format!(
            "calling      {name} at {}, {} session{plural}",
            dial.address, dial.sessions
        ));
    }
}

/// What the shell says about connections, one line each. The comings and goings of terminals are
/// not news; those of partners are.
fn print_notice(say: &Voice, notice: &Notice, names: &[String], roles: &[Role]) {
    let name = |link: crate::base::ids::LinkId| {
        names.get(usize::from(link.0)).map_or("unknown", String::as_str)
    };
    let is_partner =
        |link: crate::base::ids::LinkId| roles.get(usize::from(link.0)) == Some(&Role::Partner);
    match notice {
        Notice::Connected { link, .. } if is_partner(*link) => {
            say.line(format!("connected    {}", name(*link)));
        }
        Notice::Lost { link, error, .. } if is_partner(*link) => {
            say.line(format!("lost         {}: {error}", name(*link)));
        }
        Notice::Closed { link, cause, .. } if is_partner(*link) || is_news(*cause) => {
            say.line(format!("closed       {}: {}", name(*link), cause.text()));
        }
        Notice::Refused { link, peer } => {
            say.line(format!("refused      {} from {peer}: too many sessions", name(*link)));
        }
        Notice::AcceptFailed { link, error } => {
            say.line(format!("accepting    {} failed: {error}; trying again", name(*link)));
        }
        Notice::Unreachable { link, address, error, retry_ms } => {
            say.line(format!(
                "unreachable  {} at {address}: {error}; again in {retry_ms} ms",
                name(*link)
            ));
        }
        Notice::Storage { worker, storage } => {
            let what = match storage {
                Storage::Ready => "has room again: requests are taken",
                Storage::ObligationsOnly => "disk full: requests are refused, reversals are kept",
                Storage::Failed => "failed",
            };
            say.line(format!("journal      worker {}: {what}", worker.0));
        }
        Notice::Health { worker, link, is_asked } => {
            let (word, what) = match is_asked {
                false => ("left alone", "it does not answer; requests go elsewhere"),
                true => ("asked again", "it answers"),
            };
            say.line(format!("{word:<12} {} by worker {}: {what}", name(*link), worker.0));
        }
        Notice::MailDropped { worker } => {
            say.line(format!(
                "dropped      answers for worker {}: its mailbox stayed full",
                worker.0
            ));
        }
        Notice::Drained { worker, complete: false } => {
            say.line(format!("undrained    worker {} at its deadline", worker.0));
        }
        _ => {}
    }
}

/// Closings that tell of a peer that does not speak our language, or too slowly.
const fn is_news(cause: CloseCause) -> bool {
    !matches!(cause, CloseCause::Finished | CloseCause::Drained | CloseCause::Idle)
}

fn drain_notices(say: &Voice, notices: &Receiver<Notice>, names: &[String], roles: &[Role]) {
    while let Ok(notice) = notices.try_recv() {
        print_notice(say, &notice, names, roles);
    }
}

fn print_stats(say: &Voice, stats: &Stats) {
    say.line("counted".into());
    for counter in Counter::ALL {
        if stats.of(counter) > 0 {
            say.line(format!("  {:<26} {}", counter.name(), stats.of(counter)));
        }
    }
}

/// Standard output, written by a thread of its own: a reader that stalls or goes away, or a disk
/// that is full, holds up nobody and ends nothing. Lines beyond what it keeps are dropped.
struct Voice {
    lines: SyncSender<String>,
    thread: std::thread::JoinHandle<()>,
}

impl Voice {
    fn new() -> io::Result<Self> {
        let (lines, spoken) = sync_channel::<String>(LINES_MAX);
        let thread = std::thread::Builder::new().name("output".into()).spawn(move || {
            for line in spoken {
                // Nobody is left to be told that nobody listens.
                let _ = writeln!(io::stdout(), "{line}");
            }
        })?;
        Ok(Self { lines, thread })
    }

    fn line(&self, line: String) {
        let _ = self.lines.try_send(line);
    }

    /// Gives the last lines a moment to get out.
    fn finish(self) {
        drop(self.lines);
        let (done, waited) = sync_channel(1);
        let thread = self.thread;
        let joined = std::thread::Builder::new().spawn(move || {
            let _ = thread.join();
            let _ = done.send(());
        });
        if joined.is_ok() {
            let _ = waited.recv_timeout(LAST_WORDS);
        }
    }
}

/// SIGTERM and SIGINT, SIGHUP and SIGUSR1, seen by a thread of their own.
struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    counts: Arc<AtomicBool>,
}

impl Signals {
    fn watch() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let [stop, reload, counts] = [(); 3].map(|()| Arc::<AtomicBool>::default());
        let (stopped, hung_up) = (Arc::clone(&stop), Arc::clone(&reload));
        let counted = Arc::clone(&counts);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut terminate, mut interrupt, mut hang_up, mut user) = {
            let _inside = runtime.enter();
            let ends = [SignalKind::terminate(), SignalKind::interrupt()];
            let [terminate, interrupt] = ends.map(signal);
            let [hang_up, user] = [SignalKind::hangup(), SignalKind::user_defined1()].map(signal);
            (terminate?, interrupt?, hang_up?, user?)
        };
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async move {
                loop {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                        _ = user.recv() => {
                            counted.store(true, Ordering::Relaxed);
                            continue;
                        }
                        _ = hang_up.recv() => {
                            hung_up.store(true, Ordering::Relaxed);
                            continue;
                        }
                    }
                    if stopped.swap(true, Ordering::Relaxed) {
                        eprintln!("authswitch: second signal: exiting without draining");
                        std::process::exit(INTERRUPTED);
                    }
                }
            });
        })?;
        Ok(Self { stop, reload, counts })
    }

    fn stop_is_asked(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn counts_are_asked(&self) -> bool {
        self.counts.swap(false, Ordering::Relaxed)
    }

    fn reload_is_asked(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }
}

/// Exit code after a second signal: 128 + SIGINT, as shells have it.
const INTERRUPTED: i32 = 130;

/// How soon a signal is acted upon.
const SIGNAL_POLL: Duration = Duration::from_millis(20);

/// How long the last lines may take to get out.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Lines kept for a slow reader.
const LINES_MAX: usize = 1024;

/// Notices kept for a slow terminal.
const NOTICES_MAX: usize = 1024;
