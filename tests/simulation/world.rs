//! A world: one switch of one to three workers with its shell, terminals, hosts, a disk and a
//! clock, all of them moved by one queue of events in virtual time.

#[path = "world/guests.rs"]
mod guests;
#[path = "world/life.rs"]
mod life;
#[path = "world/mail.rs"]
mod mail;
#[path = "world/sharing.rs"]
mod sharing;
#[path = "world/shell.rs"]
mod shell;
#[path = "world/versions.rs"]
mod versions;
#[path = "world/worker.rs"]
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use authswitch::app::dialect_file;
use authswitch::base::ids::{LinkId, SessionId, WorkerId};
use authswitch::base::time::{Instant, Now, Wall};
use authswitch::iso8583::dialect::Dialect;
use authswitch::routing::RouteTable;
use authswitch::switch::health::Breaker;
use authswitch::switch::inquiry::Inquiry;
use authswitch::switch::{
    CloseCause, Command, Event, LinkSetup, Outbox, Role, Setup, Storage, Switch,
};

use crate::crash::{Crashes, Point};
use crate::dice::{Dice, mixed};
use crate::disk::Disk;
use crate::faults::{Fault, Faults};
use crate::host::Host;
use crate::network::{Connection, End};
use crate::oracle::Oracle;
use crate::terminal::{Act, Client, Refunds, Terminal};
use mail::Mail;
use versions::Versions;
pub(crate) use versions::{CARD, CARD_COUNT, FLOOR, MERCHANT, MERCHANT_COUNT, TOTAL};
use worker::{Process, Seat};

pub(crate) const US: u64 = 1000;
pub(crate) const MS: u64 = 1000 * US;
pub(crate) const SECOND: u64 = 1000 * MS;

/// The switch answers within this.
pub(crate) const BUDGET: u64 = 1500 * MS;

/// After the faults everything must be quiet within this: the late window of a reversal that was
/// not found, and what comes before it.
const QUIET_BY: u64 = 3000 * SECOND;

/// Some worlds are so bad that nothing ever gets done in them: they heal by then.
const FAULTS_UNTIL: u64 = 600 * SECOND;

/// More steps than any world needs.
const STEPS_MAX: u64 = 200_000;

/// Something that will happen.
#[derive(Debug, Clone)]
pub(crate) enum What {
    ArrivesUp(usize),
    ArrivesDown(usize),
    /// The switch hears that the connection is gone.
    Gone(usize),
    HasRoom(usize),
    Stalled(usize, u64),
    ReadsOn(usize),
    /// A worker of the switch runs; in this life of the process.
    Turn(u32, usize),
    Alarm(u32, usize),
    /// It has taken up its part of what the last life left.
    Resumes(u32, usize),
    /// From a worker to another.
    Mail(u32, usize, usize),
    Synced(u32),
    SyncFails(u32),
    /// The process ends, for its disk has failed.
    Exits(u32),
    /// The disk has room again.
    HasSpace,
    Dial(usize, usize),
    Acts(usize, u32, Act),
    HostActs(usize, u64),
    /// Chance looks around.
    Tick,
    Restarts,
    /// The judge looks for those who wait in vain.
    Inspection,
}

/// What waits for a worker's next turn.
#[derive(Debug)]
pub(crate) enum Input {
    Opened(usize),
    Bytes(usize, Vec<u8>),
    Ended(usize),
    Lost(usize),
    Writable(usize),
    Durable(u64),
    /// Of this worker.
    Mail(usize, Mail),
    /// The process is told to end.
    Drain,
    Routes(Arc<RouteTable>),
}

pub(crate) struct World {
    pub(crate) now: u64,
    queue: BTreeMap<(u64, u64), What>,
    scheduled: u64,
    pub(crate) dice: Dice,
    pub(crate) faults: Faults,
    pub(crate) connections: Vec<Connection>,
    pub(crate) process: Option<Process>,
    setup: Setup,
    versions: Versions,
    pub(crate) refunds: Refunds,
    life: u32,
    pub(crate) disk: Disk,
    paused_until: u64,
    /// Set where points are counted.
    pub(crate) crashes: Option<Crashes>,
    pub(crate) clients: Vec<Client>,
    pub(crate) terminals: Vec<Terminal>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) oracle: Oracle,
    pub(crate) next_sale: u64,
    wall_step: i64,
    /// No host is there before.
    down_until: u64,
    undisturbed: bool,
    healed: bool,
    /// What a terminal does that is gone already is still to be suffered.
    heals_from: u64,
    /// Nor does it sell anew before what comes behind its own reversal has come.
    sells_from: u64,
    /// Transactions of each terminal after the faults.
    healed_sales: u32,
    /// Of all that happened.
    pub(crate) digest: u64,
    pub(crate) steps: u64,
    tells: bool,
}

impl World {
    /// A world of a seed, with its own subset of faults.
    pub(crate) fn new(seed: u64, sales: u32, setup: &Setup, tells: bool) -> Self {
        let mut dice = Dice::new(seed);
        let mut faults = Faults::swarm(&mut dice);
        let mut versions = Versions::new(seed);
        faults.change_routes(&mut versions.dice);
        faults.inquire(&mut Dice::new(mixed(mixed(seed))));
        let key = dice.next();
        let mut world = Self::empty(faults, dice, setup, tells);
        (world.setup.key, world.versions) = (key, versions);
        world.refunds = Refunds::new(seed);
        if key.is_multiple_of(4) && !world.undisturbed {
            // Its clients ask for more than their connections may carry.
            world.setup.bounds.session_in_flight = 1;
        }
        if key % 3 == 1 {
            // A few silences in a row, and a partner is left alone for a while.
            let breaker = Breaker { failures: 2, pause: Duration::from_millis(700) };
            // In half of these worlds it is knocked for before it is asked again.
            let echo = (key % 2 == 1).then_some(Duration::from_secs(3));
            for link in &mut world.setup.links {
                (link.breaker, link.echo_interval) = (Some(breaker), echo);
            }
        }
        world.digest = seed;
        world.populate(sales);
        world.starts();
        world.at(2 * SECOND, What::Tick);
        world
    }

    /// A small world: one terminal, one transaction, these faults whenever they can strike, and
    /// crashes at these points.
    pub(crate) fn scripted(seed: u64, faults: Faults, setup: &Setup, crashes: Crashes) -> Self {
        let mut world = Self::empty(faults, Dice::new(seed), setup, false);
        world.setup.recent_bytes = 1 << 14;
        world.undisturbed &= crashes.planned.is_empty();
        world.crashes = Some(crashes);
        world.healed_sales = 1;
        world.clients.push(Client::default());
        world.terminals.push(Terminal::new(0, 0, false, 40));
        world.terminals[0].left = 1;
        world.hosts.extend([0, 1].map(Host::new));
        world.starts();
        let begins = world.now + 100 * MS;
        world.at(begins, What::Acts(0, 0, Act::Begin));
        // Chance looks in a little before it, or while it is under way.
        let looks = begins - 10 * MS + world.dice.between(0, 25_000) * US;
        world.at(looks, What::Tick);
        if world.faults.is_on(Fault::GuestGone) {
            world.heals_from = begins + 4 * SECOND;
        }
        if world.faults.is_on(Fault::LateOriginal) {
            world.sells_from = begins + 3 * SECOND;
        }
        world
    }

    fn empty(faults: Faults, dice: Dice, setup: &Setup, tells: bool) -> Self {
        let mut setup = setup.clone();
        for link in setup.links.iter_mut().skip(1) {
            link.sign_on = faults.sign_on;
        }
        if faults.stand_in || faults.inquires || faults.consults {
            setup.routes = Arc::new(versions::first(&faults));
        }
        let undisturbed = faults.none();
        let mut oracle = Oracle::default();
        (oracle.late_by, oracle.budget) = (faults.late_by(), BUDGET);
        Self {
            now: SECOND,
            queue: BTreeMap::new(),
            scheduled: 0,
            dice,
            faults,
            connections: Vec::new(),
            process: None,
            setup,
            versions: Versions::new(0),
            refunds: Refunds::none(),
            life: 0,
            disk: Disk::default(),
            paused_until: 0,
            crashes: None,
            clients: Vec::new(),
            terminals: Vec::new(),
            hosts: Vec::new(),
            oracle,
            next_sale: 700_000_000_001,
            wall_step: 0,
            down_until: 0,
            undisturbed,
            healed: false,
            heals_from: 0,
            sells_from: 0,
            healed_sales: 2,
            digest: 0,
            steps: 0,
            tells,
        }
    }

    fn populate(&mut self, sales: u32) {
        for number in 0..2 {
            self.hosts.push(Host::new(number));
        }
        let clients = self.dice.between(1, 3) as usize;
        for client in 0..clients {
            self.clients.push(Client::default());
            for _ in 0..self.dice.between(1, 4) {
                let place = self.terminals.len();
                let (plain, stans) = (self.faults.plain_reversals, self.faults.stans());
                self.terminals.push(Terminal::new(place, client, plain, stans));
            }
        }
        let each = (sales / self.terminals.len() as u32).max(2);
        for place in 0..self.terminals.len() {
            self.terminals[place].left = each;
            let at = self.now + self.dice.between(100, 400) * MS;
            self.at(at, What::Acts(place, 0, Act::Begin));
        }
    }

    /// Runs to the end, or to the first breach.
    pub(crate) fn run(&mut self) {
        let mut quiet_by = u64::MAX;
        while let Some(((at, _), what)) = self.queue.pop_first() {
            if at > quiet_by {
                break;
            }
            if self.steps > STEPS_MAX {
                return self.oracle.stuck(0, "it goes on for ever");
            }
            self.now = self.now.max(at);
            self.oracle.now = self.now;
            self.steps += 1;
            self.happens(what);
            if self.oracle.breach.is_some() {
                return;
            }
            let may_heal = self.now >= self.heals_from;
            if quiet_by == u64::MAX && may_heal && self.terminals.iter().all(Terminal::is_done) {
                if self.healed {
                    quiet_by = self.now + QUIET_BY;
                    self.at(self.now + 60 * SECOND, What::Inspection);
                } else {
                    self.heal();
                }
            }
        }
        if let Some(busy) = self.terminals.iter().find(|terminal| !terminal.is_done()) {
            self.oracle.stuck(busy.sale_number(), &busy.describe());
        }
        self.oracle.settle(self.undisturbed);
    }

    fn happens(&mut self, what: What) {
        match what {
            What::ArrivesUp(id) => self.arrives_up(id),
            What::ArrivesDown(id) => self.arrives_down(id),
            What::Gone(id) => self.input_of(id, Input::Lost(id)),
            What::HasRoom(id) => self.input_of(id, Input::Writable(id)),
            What::Stalled(id, since) => self.stalled(id, since),
            What::ReadsOn(id) => self.reads_on(id),
            What::Turn(life, worker) if life == self.life => self.turn(worker),
            What::Alarm(life, worker) if life == self.life => self.poke(worker),
            What::Resumes(life, worker) if life == self.life => self.resumes(worker),
            What::Mail(life, from, to) if life == self.life => self.delivers(from, to),
            What::Synced(life) if life == self.life => self.synced(),
            What::SyncFails(life) if life == self.life => self.sync_fails(),
            What::Exits(life) if life == self.life => self.crash_anyhow(),
            What::Turn(..) | What::Alarm(..) | What::Resumes(..) | What::Mail(..) => {}
            What::Synced(_) => {}
            What::SyncFails(_) | What::Exits(_) => {}
            What::HasSpace => self.disk_has_room(),
            What::Dial(host, place) => self.dial(host, place),
            What::Acts(terminal, serial, act) => self.acts(terminal, serial, act),
            What::HostActs(host, job) => self.host_acts(host, job),
            What::Tick => self.tick(),
            What::Restarts => self.starts(),
            What::Inspection => self.oracle.inspect(),
        }
    }

    pub(crate) fn at(&mut self, at: u64, what: What) {
        self.scheduled += 1;
        self.queue.insert((at, self.scheduled), what);
    }

    /// The same, unless the process is another by then.
    pub(crate) fn at_in_life(&mut self, delay: u64, what: fn(u32) -> What) {
        self.at(self.now + delay, what(self.life));
    }

    /// Something happened, for the digest and whoever watches.
    pub(crate) fn trace(&mut self, what: &str, id: usize, bytes: &[u8]) {
        let mut digest = mixed(self.digest ^ self.now ^ (id as u64) << 48 ^ what.len() as u64);
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
            digest = mixed(digest ^ word);
        }
        self.digest = digest;
        if self.tells {
            let end = self.connections.get(id).map(|connection| connection.end);
            let at = self.now as f64 / SECOND as f64;
            let mut rest = bytes;
            println!("{at:12.6} {what} {id} {end:?} {} bytes", bytes.len());
            while let Ok(Some((message, count))) = crate::wire::Message::decode(rest) {
                println!("{:20} {:04x} {:?}", "", message.mti, message.elements);
                rest = &rest[count..];
            }
        }
    }

    /// Chance looks around.
    fn tick(&mut self) {
        if self.healed {
            return;
        }
        if self.now > FAULTS_UNTIL {
            return self.heal();
        }
        let pause = self.dice.between(10, 60) * MS;
        self.at(self.now + pause, What::Tick);
        let alive = |world: &Self, host: bool| -> Vec<usize> {
            let is_one = |connection: &&Connection| {
                connection.alive && matches!(connection.end, End::Host(..)) == host
            };
            let all = world.connections.iter().enumerate();
            all.filter(|(_, connection)| is_one(connection)).map(|(id, _)| id).collect()
        };
        let (clients, hosts) = (alive(self, false), alive(self, true));
        let any = [clients.clone(), hosts.clone()].concat();
        if let Some(id) = self.strikes(Fault::Reset, &any) {
            self.reset(id);
        }
        if let Some(id) = self.strikes(Fault::StopsReading, &any) {
            self.stops_reading(id);
        }
        if let Some(id) = self.strikes(Fault::PosFin, &clients) {
            self.send_fin(id);
        }
        if let Some(id) = self.strikes(Fault::HostFin, &hosts) {
            self.send_fin(id);
        }
        if self.faults.strike(Fault::Outage, &mut self.dice) {
            self.down_until = self.now + self.dice.between(500, 6000) * MS;
            hosts.iter().for_each(|id| self.reset(*id));
        }
        if self.faults.strike(Fault::ClockStep, &mut self.dice) {
            self.wall_step = self.dice.between(0, 172_800) as i64 - 86_400;
        }
        if self.faults.strike(Fault::NewRoutes, &mut self.versions.dice) {
            self.publishes();
        }
        if self.faults.strike(Fault::DiskFull, &mut self.dice) {
            self.disk_fills();
        }
        if self.has_been_awake() && self.faults.strike(Fault::Pause, &mut self.dice) {
            self.pauses();
        }
        if self.faults.strike(Fault::Drain, &mut self.dice) {
            self.terminates();
        }
        if self.faults.strike(Fault::Crash, &mut self.dice) {
            self.crash_anyhow();
        }
    }

    fn strikes(&mut self, fault: Fault, among: &[usize]) -> Option<usize> {
        let strikes = !among.is_empty() && self.faults.strike(fault, &mut self.dice);
        strikes.then(|| among[self.dice.below(among.len() as u64) as usize])
    }

    fn heal(&mut self) {
        self.healed = true;
        self.trace("heal", 0, b"");
        self.faults.heal();
        for place in 0..self.terminals.len() {
            self.terminals[place].left = self.healed_sales;
            let from = self.now.max(self.sells_from);
            let at = from + self.dice.between(100, 3000) * MS;
            let serial = self.terminals[place].serial;
            self.at(at, What::Acts(place, serial, Act::Begin));
        }
        self.disk_has_room();
        for id in 0..self.connections.len() {
            self.reads_on(id);
        }
    }
}

/// One acquirer link and two partner links, all in pos-bcd; compiled once for all seeds.
/// Short enough that terminals are still about, long enough for what is late.
fn inquiry() -> Inquiry {
    let every = Duration::from_millis(900);
    Inquiry { every, declined: vec!["05".into()], ..Inquiry::default() }
}

pub(crate) fn setup() -> Setup {
    let spec = dialect_file::load("pos-bcd", None).expect("shipped dialects load");
    let dialect = Arc::new(Dialect::compile(spec));
    let link = |name: &str, role| LinkSetup {
        name: name.into(),
        role,
        dialect: Arc::clone(&dialect),
        in_flight_max: 256,
        inquiry: inquiry(),
        ..LinkSetup::default()
    };
    let budget = Duration::from_nanos(BUDGET);
    let routes = RouteTable::single(vec![LinkId(1), LinkId(2)], budget);
    Setup {
        links: vec![
            link("terminals", Role::Acquirer),
            link("first", Role::Partner),
            link("second", Role::Partner),
        ],
        recent_bytes: 1 << 20,
        ..Setup::new(Arc::new(routes))
    }
}
