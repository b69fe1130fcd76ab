//! A switch that keeps every rule, in virtual time, and the same switch with one bug.
//!
//! It shows two things about the rig: faults alone are never reported, and each kind of mistake
//! is. It is the shortest program that does what the POS protocol asks, with no thought of speed,
//! crashes or other dialects.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::action::{Action, Manner, Side, Wake};
use super::fleet::{Fleet, Terms};
use super::host::Host;
use super::ledger::{Name, name_of, origin_of};
use super::message::Message;
use super::verdict::{Verdict, compare};

/// What the switch does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    NeverReverses,
    ReversesHanded,
    ForgetsUndo,
    NewStanPerRepeat,
    RepeatsUnmarked,
    NamesOwnStan,
    ReversesLess,
    ForwardsRepeats,
    HandsLateApprovals,
    AnswersTwice,
    MatchesByStanOnly,
    GivesUpAt25,
}

/// Something that will happen.
#[derive(Debug)]
enum Item {
    ToSwitch(Side, u64, Message),
    FromSwitch(Side, u64, Message),
    Wake(Wake),
    Deadline(usize),
    Retry(usize),
}

#[derive(Debug)]
struct Transaction {
    request: Message,
    forwarded: Message,
    waiters: Vec<(u64, Message)>,
    /// The answer given, once there is one.
    answer: Option<Message>,
    approved_by_host: bool,
    undone: bool,
    reversal: Option<(Message, bool)>,
}

/// Switch, host, fleet, and what is under way between them.
struct World {
    now_ns: u64,
    bug: Bug,
    host: Host,
    fleet: Fleet,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    items: BTreeMap<u64, Item>,
    count: u64,
    open: BTreeSet<u64>,
    /// The connection between switch and host.
    line: u64,
    transactions: Vec<Transaction>,
    by_name: BTreeMap<(u16, Name), usize>,
    by_stan: BTreeMap<String, usize>,
    stan: u32,
}

/// Plays `faults` by `seed` with this bug: a sale every 2 ms for `sales` sales, then until rest.
fn play(bug: Bug, faults: &str, seed: u64, sales: u64) -> (Verdict, usize) {
    let faults: super::Faults = faults.parse().expect("a list of faults");
    let terms = Terms { terminals: 3_000, connections: 4, timer_ns: 3 * DEADLINE_NS, faults, seed };
    let mut world = World {
        now_ns: 0,
        bug,
        host: Host::new(terms.faults.clone(), seed, DEADLINE_NS),
        fleet: Fleet::new(terms),
        queue: BinaryHeap::new(),
        items: BTreeMap::new(),
        count: 0,
        open: BTreeSet::new(),
        line: 1,
        transactions: Vec::new(),
        by_name: BTreeMap::new(),
        by_stan: BTreeMap::new(),
        stan: 0,
    };
    world.act((0..4).map(|slot| Action::Connect { slot }).collect());
    for sale in 1..=sales {
        world.later(sale * 2_000_000, Item::Wake(Wake::Sale));
    }
    let end_ns = sales * 2_000_000 + 20 * DEADLINE_NS;
    while let Some(Reverse((at_ns, number))) = world.queue.pop() {
        if at_ns > end_ns {
            break;
        }
        world.now_ns = at_ns;
        let item = world.items.remove(&number).expect("each number has its item");
        world.step(item);
    }
    let breaches: Vec<_> = world.fleet.breaches.iter().chain(&world.host.ledger.breaches).collect();
    (compare(&world.fleet.sales, &world.host.ledger.entries, &breaches), world.fleet.open())
}

impl World {
    fn later(&mut self, at_ns: u64, item: Item) {
        self.count += 1;
        self.queue.push(Reverse((at_ns, self.count)));
        self.items.insert(self.count, item);
    }

    fn step(&mut self, item: Item) {
        let now_ns = self.now_ns;
        let mut out = Vec::new();
        match item {
            Item::ToSwitch(Side::Acquirer, connection, message) => self.asked(connection, &message),
            Item::ToSwitch(Side::Partner, line, message) if line == self.line => {
                self.answered(&message);
            }
            Item::FromSwitch(Side::Acquirer, connection, message) => {
                if self.open.contains(&connection) {
                    self.fleet.message(connection, &message);
                }
            }
            Item::FromSwitch(Side::Partner, line, message) if line == self.line => {
                self.host.message(now_ns, line, message, &mut out);
            }
            Item::ToSwitch(..) | Item::FromSwitch(..) => {}
            Item::Wake(Wake::Sale) => self.fleet.sell(now_ns, now_ns, &mut out),
            Item::Wake(Wake::Terminal { sale, step }) => {
                self.fleet.timer(now_ns, sale, step, &mut out);
            }
            Item::Wake(Wake::Connect { slot }) => {
                self.count += 1;
                self.open.insert(self.count);
                self.fleet.connected(slot, self.count);
            }
            Item::Wake(Wake::Answer { connection, message, manner }) => {
                out.push(Action::Send { side: Side::Partner, connection, message, manner });
            }
            Item::Wake(Wake::Book { connection, request }) => {
                if connection == self.line {
                    self.host.book(connection, &request, &mut out);
                }
            }
            Item::Wake(Wake::Kill { .. } | Wake::Freeze | Wake::Thaw) => {}
            Item::Deadline(place) => self.expired(place),
            Item::Retry(place) => self.retry(place),
        }
        self.act(out);
    }

    fn act(&mut self, actions: Vec<Action>) {
        let at_ns = self.now_ns + WAY_NS;
        for action in actions {
            match action {
                Action::Send { connection, manner: Manner::HalfThenReset, .. }
                | Action::Reset { side: Side::Partner, connection } => self.line_lost(connection),
                Action::Send { side, connection, message, .. } => {
                    self.later(at_ns, Item::ToSwitch(side, connection, message));
                }
                Action::Close { connection, .. } | Action::Reset { connection, .. } => {
                    self.open.remove(&connection);
                }
                Action::Connect { slot } => {
                    self.later(at_ns, Item::Wake(Wake::Connect { slot }));
                }
                Action::Wake { at_ns, wake } => self.later(at_ns, Item::Wake(wake)),
            }
        }
    }

    fn asked(&mut self, connection: u64, message: &Message) {
        let class = if message.class() == 4 { name_class(message) } else { message.class() };
        let known = self.by_name.get(&(class, name_of(message))).copied();
        match (message.class(), known) {
            (4, None) => self.tell(connection, message.answer("25")),
            (4, Some(place)) => {
                self.undo(place);
                self.tell(connection, message.answer("00"));
            }
            (_, Some(place)) if self.bug != Bug::ForwardsRepeats => {
                let transaction = &mut self.transactions[place];
                match &transaction.answer {
                    Some(_) if transaction.undone => self.tell(connection, message.answer("91")),
                    Some(answer) => {
                        let answer = answer.clone().with(11, message.of(11));
                        self.tell(connection, answer);
                    }
                    None => transaction.waiters.push((connection, message.clone())),
                }
            }
            _ => self.forward(connection, message),
        }
    }

    fn forward(&mut self, connection: u64, request: &Message) {
        self.stan += 1;
        let place = self.transactions.len();
        let forwarded = request.clone().with(11, format!("{:06}", self.stan));
        self.by_stan.insert(forwarded.of(11).to_owned(), place);
        self.by_name.insert((request.class(), name_of(request)), place);
        self.transactions.push(Transaction {
            request: request.clone(),
            forwarded: forwarded.clone(),
            waiters: vec![(connection, request.clone())],
            answer: None,
            approved_by_host: false,
            undone: false,
            reversal: None,
        });
        self.send(forwarded);
        self.later(self.now_ns + DEADLINE_NS, Item::Deadline(place));
    }

    fn answered(&mut self, message: &Message) {
        let Some(&place) = self.by_stan.get(message.of(11)) else { return };
        if message.class() == 4 {
            return self.reversed(place, message.of(39));
        }
        let transaction = &mut self.transactions[place];
        let same = |de: u8| transaction.forwarded.of(de) == message.of(de);
        if self.bug != Bug::MatchesByStanOnly && ![4, 37, 41].into_iter().all(same) {
            return;
        }
        let approves = message.of(39) == "00";
        let stan = transaction.request.of(11).to_owned();
        if transaction.answer.is_none() {
            transaction.approved_by_host = approves;
            let mut answer = message.clone().with(11, stan);
            answer.header = transaction.request.answer("00").header;
            let handed = self.settle(place, &answer);
            if approves && (!handed || self.bug == Bug::ReversesHanded) {
                self.reverse(place);
            }
        } else if approves && !transaction.approved_by_host {
            transaction.approved_by_host = true;
            if self.bug == Bug::HandsLateApprovals
                && let Some((connection, _)) = transaction.waiters.first()
            {
                let connection = *connection;
                return self.tell(connection, message.clone().with(11, stan));
            }
            if self.bug != Bug::GivesUpAt25 {
                self.reverse(place);
            }
        }
    }

    /// Gives an answer to all who wait; whether one of them can have it.
    fn settle(&mut self, place: usize, answer: &Message) -> bool {
        let transaction = &mut self.transactions[place];
        transaction.answer = Some(answer.clone());
        let mut handed = false;
        for (connection, _) in transaction.waiters.clone() {
            handed |= self.open.contains(&connection);
            self.tell(connection, answer.clone());
            if self.bug == Bug::AnswersTwice {
                self.tell(connection, answer.clone());
            }
        }
        handed
    }

    fn expired(&mut self, place: usize) {
        if self.transactions[place].answer.is_none() {
            let answer = self.transactions[place].request.answer("91");
            self.settle(place, &answer);
            self.reverse(place);
        }
    }

    fn undo(&mut self, place: usize) {
        let transaction = &mut self.transactions[place];
        let moved = transaction.answer.as_ref().is_none_or(|answer| answer.of(39) == "00");
        if !transaction.undone && moved && self.bug != Bug::ForgetsUndo {
            transaction.undone = true;
            if transaction.answer.is_none() {
                let answer = transaction.request.answer("91");
                self.settle(place, &answer);
            }
            self.reverse(place);
        }
    }

    /// Begins a reversal, or takes up one that had found nothing.
    fn reverse(&mut self, place: usize) {
        if self.bug == Bug::NeverReverses {
            return;
        }
        if let Some((_, done)) = &mut self.transactions[place].reversal {
            if std::mem::replace(done, false) {
                self.retry(place);
            }
            return;
        }
        self.stan += 1;
        let forwarded = &self.transactions[place].forwarded;
        let named = match self.bug {
            Bug::NamesOwnStan => &self.transactions[place].request,
            _ => forwarded,
        };
        let original = format!("{}{:011}", origin_of(named), 0);
        let mut reversal =
            forwarded.clone().with(11, format!("{:06}", self.stan)).with(90, original);
        reversal.mti = 0x0420;
        if self.bug == Bug::ReversesLess {
            reversal = reversal.with(4, "000000000001");
        }
        self.by_stan.insert(reversal.of(11).to_owned(), place);
        self.send(reversal.clone());
        self.transactions[place].reversal = Some((reversal, false));
        self.later(self.now_ns + RETRY_NS, Item::Retry(place));
    }

    fn retry(&mut self, place: usize) {
        let Some((reversal, false)) = &mut self.transactions[place].reversal else { return };
        if self.bug != Bug::RepeatsUnmarked {
            reversal.mti = 0x0421;
        }
        if self.bug == Bug::NewStanPerRepeat {
            self.stan += 1;
            *reversal = reversal.clone().with(11, format!("{:06}", self.stan));
            self.by_stan.insert(reversal.of(11).to_owned(), place);
        }
        let reversal = reversal.clone();
        self.send(reversal);
        self.later(self.now_ns + RETRY_NS, Item::Retry(place));
    }

    /// 25 says that there is nothing, unless there was or will be an approval.
    fn reversed(&mut self, place: usize, code: &str) {
        let transaction = &mut self.transactions[place];
        let finds_nothing = code == "25" && !transaction.approved_by_host;
        if let Some((_, done)) = &mut transaction.reversal {
            *done |= code == "00" || finds_nothing;
        }
    }

    fn line_lost(&mut self, line: u64) {
        if line == self.line {
            self.count += 1;
            self.line = self.count;
            (0..self.transactions.len()).for_each(|place| self.expired(place));
        }
    }

    fn tell(&mut self, connection: u64, message: Message) {
        self.later(self.now_ns + WAY_NS, Item::FromSwitch(Side::Acquirer, connection, message));
    }

    fn send(&mut self, message: Message) {
        self.later(self.now_ns + WAY_NS, Item::FromSwitch(Side::Partner, self.line, message));
    }
}

/// The class of the request that an 0400 names.
fn name_class(undo: &Message) -> u16 {
    undo.of(90).get(1..2).and_then(|digit| digit.parse().ok()).unwrap_or(0)
}

const DEADLINE_NS: u64 = 500_000_000;
const RETRY_NS: u64 = 200_000_000;
/// From one to the other.
const WAY_NS: u64 = 100_000;

#[test]
fn faults_alone_are_never_reported() {
    for seed in 1..=30 {
        let (verdict, open) = play(Bug::None, "all", seed, 500);
        assert_eq!(open, 0, "seed {seed}");
        assert!(verdict.findings.is_empty(), "seed {seed}: {:#?}", verdict.findings);
        assert!(verdict.approved > 300 && verdict.reversals > 5, "seed {seed}: {verdict:?}");
    }
}

#[test]
fn each_bug_is_reported() {
    for (bug, faults, word) in [
        (Bug::NeverReverses, "late:5", "lost"),
        (Bug::ReversesHanded, "none", "wrongful reversal"),
        (Bug::ForgetsUndo, "cancel:5,late:20", "lost"),
        (Bug::NewStanPerRepeat, "late:5,reversal-silent:50", "WrongRepeat"),
        (Bug::RepeatsUnmarked, "late:5,reversal-silent:50", "WrongRepeat"),
        (Bug::NamesOwnStan, "late:5", "WrongOriginal"),
        (Bug::ReversesLess, "late:5", "WrongReversalAmount"),
        (Bug::ForwardsRepeats, "identical:10,slow:10", "ForwardedTwice"),
        (Bug::HandsLateApprovals, "late:5", "ApprovedTooLate"),
        (Bug::AnswersTwice, "none", "AnsweredTwice"),
        (Bug::MatchesByStanOnly, "wrong-amount:5", "Misdirected"),
        (Bug::GivesUpAt25, "overtaken:5", "lost"),
    ] {
        let (verdict, _) = play(bug, faults, 3, 500);
        let named = verdict.findings.iter().any(|finding| finding.contains(word));
        assert!(named, "{bug:?}: {verdict:?}");
        let (clean, _) = play(Bug::None, faults, 3, 500);
        assert!(clean.findings.is_empty(), "{bug:?}: {:#?}", clean.findings);
    }
}
