//! New routes while the switch runs: read on SIGHUP and whenever the folder has changed.
//!
//! One thread of its own reads, checks and builds, however long that takes, and hands a finished
//! table to the workers; they take it between two turns, and wait for nobody. Either all of a
//! folder comes into force or nothing of it does: a mistake anywhere, or a change that needs a
//! restart, leaves the version in force as it is, and is told.
//!
//! Whoever writes the files may be in the middle of it. So a change is acted upon when the files
//! have been left alone for a moment, and what was read counts only if no file has changed
//! meanwhile. Why not inotify: it tells of every write and of no end of writing, of nothing at all
//! on some network file systems, and the moment of calm would be needed all the same. Asking for
//! the times of a few files costs microseconds a second.
//!
//! The former table is kept here until no worker has it, and freed here: a million rows take
//! milliseconds, which no worker has to spare.

mod fixed;
mod stamp;

pub use fixed::changes as fixed;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use super::config::{Config, Mistake};
use super::diff::Difference;
use crate::base::time::Instant;
use crate::net::{Clock, Publisher};
use crate::risk::Counted;
use stamp::Stamp;

/// A configuration, and where it can be read again.
#[derive(Debug)]
pub struct Origin {
    dir: PathBuf,
    stamp: Stamp,
    config: Config,
}

/// The thread that reloads, as seen by the one that prints.
#[derive(Debug)]
pub struct Reload {
    asks: SyncSender<Ask>,
    said: Receiver<String>,
}

/// What the thread is to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Read,
    Count,
}

impl Origin {
    /// Reads the configuration in `dir`.
    ///
    /// # Errors
    ///
    /// Every mistake of every file.
    pub fn load(dir: &Path) -> Result<Self, Vec<Mistake>> {
        // Taken first: what is written from here on is another version.
        let mut stamp = Stamp::of(dir, &[]);
        let mut config = Config::load(Some(dir))?;
        if !config.beside.is_empty() {
            // Only now it is known which files these are.
            stamp = Stamp::of(dir, &config.beside);
            config = Config::load(Some(dir))?;
        }
        Ok(Self { dir: dir.to_owned(), stamp, config })
    }

    /// What was read.
    pub const fn config(&self) -> &Config {
        &self.config
    }
}

impl Reload {
    /// Watches where `origin` was read, which is what the workers began with.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub fn start(origin: Origin, publisher: Publisher) -> io::Result<Self> {
        // A third request while two wait asks for the same.
        let (asks, asked) = sync_channel(2);
        let (say, said) = channel();
        let watch = Watch {
            dir: origin.dir,
            publisher,
            clock: Clock::start(),
            say,
            current: origin.config,
            taken: origin.stamp,
            changing: None,
            former: Vec::new(),
        };
        thread::Builder::new().name("reload".into()).spawn(move || watch.run(&asked))?;
        Ok(Self { asks, said })
    }

    /// Has the files read now, changed or not.
    pub fn ask(&self) {
        let _ = self.asks.try_send(Ask::Read);
    }

    /// Has it told what each rule did so far.
    pub fn ask_counts(&self) {
        let _ = self.asks.try_send(Ask::Count);
    }

    /// Ends the thread; what it has to say yet, and how often each rule spoke.
    pub fn finish(self) -> impl Iterator<Item = String> {
        drop(self.asks);
        self.said.into_iter()
    }

    /// What is to be told the operator.
    pub fn look(&self) -> impl Iterator<Item = String> {
        self.said.try_iter()
    }
}

/// The state of the thread.
struct Watch {
    dir: PathBuf,
    publisher: Publisher,
    clock: Clock,
    say: Sender<String>,
    /// What is in force.
    current: Config,
    /// The files as they were when they were read last, with or without success.
    taken: Stamp,
    /// The files as they were when looked at last, if that is something else, and how often they
    /// have been the same since.
    changing: Option<(Stamp, u32)>,
    /// What is in force no more, while some worker may have it.
    former: Vec<Config>,
}

impl Watch {
    fn run(mut self, asked: &Receiver<Ask>) {
        // Workers come first; on a busy machine a reload takes longer.
        let _ = rustix::process::nice(NICE);
        loop {
            let wait = if self.changing.is_some() { CALM_STEP } else { POLL };
            match asked.recv_timeout(wait) {
                Ok(Ask::Read) => self.reload(),
                Ok(Ask::Count) => self.say_rules(),
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) if self.current.rules.is_none() => return,
                Err(RecvTimeoutError::Disconnected) => return self.say_rules(),
            }
            self.former.retain(is_in_use);
        }
    }

    /// Reloads if the files have changed, and then were left alone.
    fn look(&mut self) {
        let stamp = Stamp::of(&self.dir, &self.current.beside);
        if stamp == self.taken {
            self.changing = None;
            return;
        }
        let calm = match self.changing.take() {
            Some((seen, calm)) if seen == stamp => calm + 1,
            _ => 0,
        };
        if calm < CALM_STEPS {
            self.changing = Some((stamp, calm));
        } else {
            self.reload();
        }
    }

    fn reload(&mut self) {
        let began = self.clock.now().instant;
        let before = Stamp::of(&self.dir, &self.current.beside);
        let loaded = Config::load(Some(&self.dir));
        let after = Stamp::of(&self.dir, &self.current.beside);
        if before != after {
            // Somebody is writing; it is read when that is over.
            self.changing = Some((after, 0));
            return;
        }
        (self.taken, self.changing) = (after, None);
        match loaded {
            Ok(config) => self.judge(config, began),
            Err(mistakes) => {
                let told = mistakes.iter().take(MISTAKES_TOLD).map(ToString::to_string);
                self.refuse(told.collect(), mistakes.len());
            }
        }
    }

    /// Puts into force what was read, if all of it can be.
    fn judge(&mut self, config: Config, began: Instant) {
        let changes = fixed(&self.current, &config);
        if !changes.is_empty() {
            let count = changes.len();
            let told = changes.into_iter().map(|change| format!("needs a restart: {change}"));
            self.refuse(told.collect(), count);
        } else if config.hash == self.current.hash {
            self.say(&format!(
                "routes       {} stays in force: the files say the same",
                self.version()
            ));
        } else {
            self.hand_over(config, began);
        }
    }

    fn hand_over(&mut self, mut config: Config, began: Instant) {
        // Nobody else has it yet.
        if let Some(routes) = Arc::get_mut(&mut config.routes) {
            routes.follow(&self.current.routes);
        }
        if let Some(rules) = config.rules.as_mut().and_then(Arc::get_mut)
            && let Some(former) = &self.current.rules
        {
            rules.follow(former);
        }
        let former = std::mem::replace(&mut self.current, config);
        self.publisher.publish(&self.current.routes, self.current.rules.as_ref());
        let pushed = self.clock.now().instant;
        let mut now = pushed;
        while is_in_use(&former) && now.since(pushed) < TAKEN_MAX {
            thread::park_timeout(TAKEN_STEP);
            now = self.clock.now().instant;
        }
        let (version, whole_ms) = (self.version(), now.since(began).as_millis());
        let summary = Difference::between(&former, &self.current).summary();
        self.say(&match is_in_use(&former) {
            false => format!("routes       {version} in force after {whole_ms} ms: {summary}"),
            true => {
                format!(
                    "routes       {version} handed over, not every worker has it yet: {summary}"
                )
            }
        });
        self.former.push(former);
        self.former.retain(is_in_use);
    }

    /// Says why nothing changes: `told` of `count` reasons.
    fn refuse(&self, told: Vec<String>, count: usize) {
        let version = self.version();
        let plural = if count == 1 { "" } else { "s" };
        self.say(&format!("refused      {version} stays in force: {count} reason{plural}"));
        let more = count - told.len().min(count);
        told.iter().for_each(|reason| self.say(&format!("refused      {reason}")));
        if more > 0 {
            self.say(&format!("refused      and {more} more: authswitch check tells them all"));
        }
    }

    /// What each rule on what is wanted did.
    fn say_rules(&self) {
        let Some(rules) = &self.current.rules else {
            return self.say("rules        there are none");
        };
        self.say("rules        looked at, spoke, would have spoken on trial");
        for (rule, counted) in rules.counted() {
            let Counted { looked, acted, on_trial } = counted;
            let (name, action) = (&rule.name, rule.action.name());
            self.say(&format!("  {name:<26} {looked:>10} {acted:>8} {on_trial:>8}  {action}"));
        }
        let (keys, capacity) = (rules.memory().len(), rules.memory().capacity());
        self.say(&format!("  {:<26} {keys:>10} of {capacity}", "keys remembered"));
        if rules.no_room() > 0 {
            self.say(&format!("  {:<26} {:>10}", "no room to count", rules.no_room()));
        }
    }

    fn version(&self) -> String {
        self.current.version()
    }

    fn say(&self, line: &str) {
        // Nobody listens any more when the switch is about to leave.
        let _ = self.say.send(line.to_owned());
    }
}

/// True if somebody beside its keeper has the table.
fn is_in_use(config: &Config) -> bool {
    Arc::strong_count(&config.routes) > 1
        || config.rules.as_ref().is_some_and(|rules| Arc::strong_count(rules) > 1)
}

/// How often files are looked at.
const POLL: Duration = Duration::from_secs(1);

/// How often files are looked at that have changed, and how often they must be the same then:
/// whoever copies a file pauses for less.
const CALM_STEP: Duration = Duration::from_millis(100);
const CALM_STEPS: u32 = 5;

/// How long it is waited for workers to take a table, and how often they are looked at. One that
/// does not take it stands still, or is held by a debugger.
const TAKEN_MAX: Duration = Duration::from_secs(2);
const TAKEN_STEP: Duration = Duration::from_millis(1);

/// Reasons that are told one by one.
const MISTAKES_TOLD: usize = 20;

/// How much the thread steps back behind workers: a tenth of a core is left to it.
const NICE: i32 = 10;
