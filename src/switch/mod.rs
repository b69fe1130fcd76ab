//! Floor 3: the transaction. `(now, event)` in, outbox out; no clock, no socket, no thread.
//!
//! A [`Switch`] belongs to one worker. Requests read top to bottom in [`request`] as questions:
//! is it sound, does it make sense, where does it go, can it go there now. [`response`] is the
//! way back, [`network`] speaks 0800, [`reply`] writes what the switch says itself. The decision
//! whether a request was answered or timed out is taken once, by [`pending::Pending::settle`].

mod accounts;
mod advice;
pub mod batch;
pub mod bug;
pub mod cause;
mod compose;
mod connections;
mod consult;
pub mod converted;
pub mod decision;
pub mod event;
pub mod fault;
mod fits;
mod form;
pub mod health;
pub mod index;
pub mod inquiry;
mod lane;
mod lookup;
mod matching;
pub mod network;
mod noted;
pub mod number;
pub mod older;
mod original;
pub mod outbox;
mod owed;
mod payer;
pub mod pending;
mod ready;
pub mod recent;
pub mod record;
pub mod recover;
mod reference;
mod refusal;
mod repeat;
pub mod repeats;
pub mod reply;
pub mod request;
pub mod response;
mod returns;
mod reversal;
pub mod risk;
pub mod saf;
pub mod session;
pub mod setup;
pub mod sound;
pub mod standin;
pub mod stats;
mod stood_in;
mod timeout;
mod told;
pub mod transaction;

use std::sync::Arc;

pub use decision::{Decision, Outcome};
pub use event::{Event, Storage};
pub use outbox::{CloseCause, Command, Outbox};
pub use setup::{LinkSetup, Role, Setup};
pub use stats::{Counter, Stats};

use crate::base::ids::{LinkId, SessionId};
use crate::base::limits;
use crate::base::time::{Instant, Now, Today};
use crate::iso8583::decode::Index;
use crate::iso8583::frame::Cut;
use crate::iso8583::kept::Kept;
use crate::routing::RouteTable;
use bug::Bug;
use fault::Fault;
use fits::Fits;
use lookup::{Looked, Waits};
use owed::Owed;
use pending::Pending;
use ready::Ready;
use recent::{Fate, Recent};
use recover::{Backlog, Lanes};
use returns::Returns;
use risk::Risk;
use session::{Sessions, State};
use setup::Path;
use stood_in::StandIns;
use transaction::{Transaction, Transactions};

/// The switch of one worker.
#[derive(Debug)]
pub struct Switch {
    setup: Arc<Setup>,
    paths: Vec<Option<Path>>,
    routes: Arc<RouteTable>,
    sessions: Sessions,
    /// By link: the pending ring of partners, nothing for acquirers.
    pending: Vec<Option<Pending>>,
    /// Our own partner sessions, for their echo deadlines: few, whatever the number of POS.
    partner_sessions: Vec<SessionId>,
    /// By link: the sessions a request may be sent on, and whose turn it is.
    ready: Vec<Ready>,
    /// By route: how many requests its weights have dealt out.
    dealt: Vec<u64>,
    transactions: Transactions,
    /// Lent to whoever compares an answer with a request that waits no more.
    spare: Option<Transaction>,
    /// What was asked lately.
    recent: Recent,
    returns: Returns,
    /// What waits until an older transaction was looked up.
    waits: Waits,
    /// By link: what is owed to partners, and how many of them are owed something.
    owed: Vec<Option<Box<Owed>>>,
    owed_links: usize,
    /// What a former life owed and no lane has yet.
    backlog: Backlog,
    /// Which of it is not owed by the worker whose STAN it has.
    lanes: Arc<Lanes>,
    /// Whether requests are wanted, if there are rules.
    risk: Option<Box<Risk>>,
    /// What was approved in the place of partners.
    stand_ins: StandIns,
    /// Transactions of this life so far.
    counted: u64,
    /// What can be put on record.
    storage: Storage,
    /// When the event that is being handled happened.
    now: Now,
    /// What answers and requests of known forms have in common.
    fits: Fits,
    /// Lent to each batch; put back at its end. The only one that numbers forms.
    index: Option<Box<Index>>,
    /// Lent to a request that goes on in the middle of a batch.
    consult_index: Option<Box<Index>>,
    /// Lent to a refusal, which may come in the middle of a batch.
    refusal_index: Option<Box<Index>>,
    scratch: Vec<u8>,
    /// Types of request met lately.
    types: sound::Types,
    /// What may be kept of the request under way.
    kept: Kept,
    stats: Stats,
    drain: Drain,
    today: Today,
}

/// What is the same for all messages of one read.
struct Batch<'a> {
    now: Now,
    today: Today,
    setup: &'a Setup,
    /// Each request sees one version of the routes: the one in force when its batch was read.
    routes: &'a RouteTable,
    session: SessionId,
    link_id: LinkId,
    link: &'a LinkSetup,
    /// What was looked up for it.
    looked: Looked,
}

/// Shutting down, step by step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drain {
    /// Not.
    No,
    /// Accepted requests are being answered.
    Answering,
    /// Nothing is in flight.
    Done,
}

impl Switch {
    /// A switch without sessions.
    pub fn new(mut setup: Setup) -> Self {
        // Not to be kept behind the table that follows it.
        let routes = std::mem::take(&mut setup.routes);
        let risk = setup.rules.take().map(|rules| Box::new(Risk::new(rules)));
        let share = setup.share();
        // Without a record of the last life's numbers: anywhere but where it began.
        let anywhere = share.live().number((setup.key >> 8) as u32);
        let pending = setup
            .links
            .iter()
            .map(|link| {
                let live = share.live();
                (link.role == Role::Partner).then(|| {
                    let mut ring = Pending::new(live, link.in_flight_max);
                    ring.number_behind(anywhere);
                    ring
                })
            })
            .collect();
        let owed = setup.links.iter().map(|link| {
            (link.role == Role::Partner)
                .then(|| Box::new(Owed::new(share, setup.workers, setup.key)))
        });
        let owed = owed.collect();
        let ready = setup.links.iter().map(|_| Ready::default()).collect();
        let shared = setup.index.as_ref().filter(|_| !setup.has(Bug::IndexNotShared));
        let index = shared.map_or_else(|| setup.own_index(), Arc::clone);
        let mut switch = Self {
            paths: setup::paths(&setup.links),
            routes,
            sessions: Sessions::default(),
            pending,
            partner_sessions: Vec::new(),
            ready,
            dealt: Vec::new(),
            transactions: Transactions::default(),
            spare: Some(Transaction::vacant()),
            recent: Recent::new(setup.worker, index),
            returns: Returns::default(),
            waits: Waits::default(),
            owed,
            owed_links: 0,
            backlog: Backlog::default(),
            lanes: Arc::default(),
            risk,
            stand_ins: StandIns::default(),
            counted: 0,
            storage: Storage::default(),
            now: Now::default(),
            fits: Fits::default(),
            index: Some(Box::new(Index::numbering())),
            consult_index: Some(Box::default()),
            refusal_index: Some(Box::default()),
            scratch: Vec::new(),
            types: sound::Types::default(),
            kept: Kept::default(),
            stats: Stats::default(),
            drain: Drain::No,
            today: Today::default(),
            setup: Arc::new(setup),
        };
        switch.rest_partners();
        switch
    }

    /// Takes one event; what is to be done about it is in `outbox` afterwards. Returns how many
    /// of the received bytes were taken (whole frames), 0 for all other events.
    pub fn handle(&mut self, now: Now, event: Event<'_>, outbox: &mut Outbox) -> usize {
        self.now = now;
        if !outbox.handed.is_empty() {
            self.note_handed(outbox);
        }
        self.sweep_limits(now);
        let taken = match event {
            Event::Received { session, bytes } => self.received(now, session, bytes, outbox),
            Event::Relayed { link, bytes } => self.relayed(now, link, bytes, outbox),
            Event::Deadline => self.deadline(now, outbox),
            Event::Opened { session, link, shared } => {
                self.opened(now, session, link, shared, outbox)
            }
            Event::Ended { session } => self.ended(session, outbox),
            Event::Closed { session } => self.closed(now, session, outbox),
            Event::Told(told) => self.told(now, told, outbox),
            Event::GuestLeft { session, worker } => self.guest_left(session, worker, outbox),
            Event::Routes(routes) => {
                self.routes = routes;
                self.rest_partners();
                0
            }
            Event::Rules(rules) => {
                self.take_rules(rules);
                0
            }
            Event::Storage(storage) => self.stores(storage, outbox),
            Event::Looked(answer) => {
                self.looked(now, answer.ticket, answer.found, outbox);
                0
            }
            Event::Forgetting(batch) => {
                self.note_debts_again(now, batch, outbox);
                0
            }
            Event::Drain => {
                let forgets = self.setup.has(Bug::DrainForgets);
                self.drain = if forgets { Drain::Done } else { Drain::Answering };
                0
            }
            Event::Leave => {
                self.sign_off_partners(now, outbox);
                if self.setup.has(Bug::DrainDropsDebts) {
                    self.drop_debts(outbox);
                }
                0
            }
        };
        self.send_owed(now, outbox);
        let is_idle = self.transactions.live() == 0 && self.waits.is_empty();
        if self.drain == Drain::Answering && is_idle {
            self.drain = Drain::Done;
        }
        outbox.close_full_batch();
        self.check_invariants();
        taken
    }

    /// The earliest moment at which [`Event::Deadline`] must be fed.
    #[inline]
    pub fn next_deadline(&self) -> Option<Instant> {
        let requests = self.transactions.next_deadline();
        let sessions = self
            .sessions
            .next_deadline(self.setup.bounds.frame_deadline, self.setup.bounds.idle_deadline);
        let network = self.next_network_deadline();
        let (owed, waits) = (self.next_owed_deadline(), self.waits.next_deadline());
        [requests, sessions, network, owed, waits].into_iter().flatten().min()
    }

    /// True once everything accepted before [`Event::Drain`] is answered.
    pub fn is_drained(&self) -> bool {
        self.drain == Drain::Done
    }

    /// The counters.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Requests in flight.
    pub const fn in_flight(&self) -> usize {
        self.transactions.live()
    }

    /// The route table in force.
    pub fn routes(&self) -> &RouteTable {
        &self.routes
    }

    fn received(&mut self, now: Now, id: SessionId, bytes: &[u8], outbox: &mut Outbox) -> usize {
        let Some(session) = self.sessions.of_mut(id) else { return bytes.len() };
        if session.state == State::Closing {
            return bytes.len();
        }
        session.heard_at = now.instant;
        let link = session.link;
        let taken = self.read(now, (id, link), bytes, outbox);
        self.sessions.note_partial(id, taken < bytes.len(), taken > 0, now.instant);
        taken
    }

    fn read(
        &mut self,
        now: Now,
        (session, link_id): (SessionId, LinkId),
        bytes: &[u8],
        outbox: &mut Outbox,
    ) -> usize {
        let (setup, routes) = (Arc::clone(&self.setup), Arc::clone(&self.routes));
        let Some(link) = setup.link(link_id) else { return bytes.len() };
        if !self.today.is(now.wall) {
            self.today = Today::of(now.wall);
        }
        let today = self.today;
        let (setup, routes, looked) = (&*setup, &*routes, Looked::default());
        let batch = Batch { now, today, setup, routes, session, link_id, link, looked };
        let mut index = self.index.take().unwrap_or_default();
        let taken = self.frames(&batch, bytes, &mut index, outbox);
        self.index = Some(index);
        taken
    }

    /// Takes every whole frame at the front of `bytes`.
    fn frames(
        &mut self,
        batch: &Batch<'_>,
        bytes: &[u8],
        index: &mut Index,
        outbox: &mut Outbox,
    ) -> usize {
        let dialect = &batch.link.dialect;
        let longest = match batch.link.role {
            Role::Acquirer => limits::FRAME_BYTES_MAX,
            Role::Partner => limits::ANSWER_BYTES_MAX,
        };
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or(&[]);
            let goes_on = match dialect.cut_frame(rest, longest) {
                Cut::Frame { start, end, next } => {
                    at += next;
                    let message = rest.get(start..end).unwrap_or(&[]);
                    match batch.link.role {
                        Role::Acquirer => {
                            let framed = rest.get(..next).unwrap_or(&[]);
                            self.stats.count(Counter::Requests);
                            self.request(batch, message, framed, index, outbox)
                        }
                        Role::Partner => {
                            let framed = rest.get(..next).unwrap_or(&[]);
                            self.partner_message(batch, message, framed, index, outbox)
                        }
                    }
                }
                Cut::KeepAlive { next } => {
                    at += next;
                    self.keep_alive(batch, outbox)
                }
                Cut::Partial => return at,
                Cut::Broken(broken) => {
                    self.broken(batch.session, broken, outbox);
                    false
                }
            };
            if !goes_on {
                return bytes.len();
            }
        }
    }

    fn deadline(&mut self, now: Now, outbox: &mut Outbox) -> usize {
        while let Some(place) = self.transactions.due(now.instant) {
            self.give_up(now, place, Fault::TimedOut, outbox);
        }
        self.end_look_ups(now, outbox);
        let (frame, idle) = (self.setup.bounds.frame_deadline, self.setup.bounds.idle_deadline);
        while let Some(id) = self.sessions.overdue_frame(frame, now.instant) {
            self.close(id, CloseCause::FrameDeadline, outbox);
        }
        while let Some(id) = self.sessions.overdue_idle(idle, now.instant) {
            self.close(id, CloseCause::Idle, outbox);
        }
        self.network_deadlines(now, outbox);
        self.hand_over_due(now, outbox);
        0
    }

    /// The transaction has its answer, and so has everybody who waits for it.
    #[inline]
    fn end(&mut self, place: u32, outbox: &mut Outbox) {
        let Some(asked) = self.transactions.at_mut(place) else { return };
        let (session, was_repeated) = (asked.session, !asked.repeats.is_empty());
        if was_repeated {
            self.end_repeats(place, outbox);
        }
        self.transactions.remove(place);
        self.one_less(session, outbox);
    }

    /// A number no other transaction has or will have.
    #[inline]
    fn next_id(&mut self) -> u64 {
        self.counted += 1;
        number::transaction(self.setup.epoch, self.setup.worker.0, self.counted)
    }

    /// After every event, in debug builds: what must hold between the structures.
    fn check_invariants(&self) {
        if cfg!(debug_assertions) {
            let waiting: usize = self.pending.iter().flatten().map(Pending::waiting).sum();
            debug_assert_eq!(waiting, self.transactions.live(), "each STAN has its transaction");
            let is_up = |id| self.sessions.of(id).is_some_and(|session| session.state.is_up());
            let mut ready = self.ready.iter().flat_map(|ready| &ready.sessions);
            debug_assert!(ready.all(|id| is_up(*id)), "a ready session is up");
        }
    }
}
