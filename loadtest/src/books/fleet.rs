//! The terminals: they sell by the POS protocol, and insist until they know.
//!
//! A terminal asks over its connection (shared, as behind a concentrator) and waits for its own
//! timer, which is longer than the switch's deadline. If the time is up or the connection lost it
//! sends 0400, then 0401 until there is an 0410, whatever happens to connections meanwhile. So at
//! the end every terminal knows what became of every sale, and its word stands against the host's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::action::{Action, Manner, Side, Wake};
use super::dice::{Dice, Fault, Faults, OF_TERMINALS, drawn};
use super::ledger::{Breach, Name, Rule, name_of};
use super::message::Message;
use super::sale::{Outcome, Sale};
use crate::clock::Moment;

/// All terminals, and all their sales.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) sales: Vec<Sale>,
    by_name: BTreeMap<Name, usize>,
    pub(crate) breaches: Vec<Breach>,
    terminals: Vec<Terminal>,
    idle: VecDeque<usize>,
    /// Connections by slot; None while one is down.
    slots: Vec<Option<u64>>,
    /// Sales due while no terminal was idle on a connection that was up.
    pub(crate) unsent: u64,
    /// Sales that have not ended.
    open: BTreeSet<usize>,
    faults: Faults,
    dice: Dice,
    seed: u64,
    timer_ns: u64,
    pub(crate) healed: bool,
    /// Approvals seen, ever.
    pub(crate) approvals: u64,
}

#[derive(Clone, Copy, Debug)]
struct Terminal {
    stan: u32,
    slot: usize,
}

/// What a fleet is made of.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) terminals: usize,
    pub(crate) connections: usize,
    /// How long a terminal waits for an answer, in ns.
    pub(crate) timer_ns: u64,
    pub(crate) faults: Faults,
    pub(crate) seed: u64,
}

impl Fleet {
    /// Terminals without connections.
    pub(crate) fn new(terms: Terms) -> Fleet {
        let connections = terms.connections;
        let terminal = |number| Terminal { stan: 0, slot: number % connections };
        Fleet {
            sales: Vec::new(),
            by_name: BTreeMap::new(),
            breaches: Vec::new(),
            terminals: (0..terms.terminals).map(terminal).collect(),
            idle: (0..terms.terminals).collect(),
            slots: vec![None; connections],
            unsent: 0,
            open: BTreeSet::new(),
            faults: terms.faults,
            dice: Dice::new(terms.seed),
            seed: terms.seed,
            timer_ns: terms.timer_ns,
            healed: false,
            approvals: 0,
        }
    }

    /// Sales that have not ended.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// A slot is connected: terminals that were cut off go on.
    pub(crate) fn connected(&mut self, slot: usize, connection: u64) {
        self.slots[slot] = Some(connection);
    }

    /// A connection is gone: what waits for an answer on it is unknown, and is reversed.
    pub(crate) fn closed(&mut self, now_ns: u64, connection: u64, out: &mut Vec<Action>) {
        let Some(slot) = self.slots.iter().position(|open| *open == Some(connection)) else {
            return;
        };
        self.slots[slot] = None;
        out.push(Action::Connect { slot });
        let cut_off = |place: &usize| self.sales[*place].connection == connection;
        let places: Vec<usize> = self.open.iter().copied().filter(cut_off).collect();
        for place in places {
            self.sales[place].outcome = Outcome::Reversing;
            self.wake(place, now_ns + AGAIN_NS, out);
        }
    }

    /// Begins a sale, if a terminal can.
    pub(crate) fn sell(&mut self, now_ns: u64, wall_ns: u64, out: &mut Vec<Action>) {
        for _ in 0..self.idle.len().min(TRIES) {
            let Some(number) = self.idle.pop_front() else { break };
            let slot = self.terminals[number].slot;
            let Some(connection) = self.slots[slot] else {
                self.idle.push_back(number);
                continue;
            };
            let request = self.request(number, wall_ns);
            let sale = Sale::new(number, request);
            let place = self.sales.len();
            self.by_name.insert(sale.name.clone(), place);
            self.sales.push(sale);
            self.open.insert(place);
            return self.ask(now_ns, place, connection, out);
        }
        self.unsent += 1;
    }

    /// A terminal's timer.
    pub(crate) fn timer(&mut self, now_ns: u64, place: usize, step: u32, out: &mut Vec<Action>) {
        let sale = &mut self.sales[place];
        if !sale.is_open() || sale.step != step {
            return;
        }
        let fault = self.fault(place);
        let sale = &mut self.sales[place];
        let waits = sale.outcome == Outcome::Asking && !sale.asked_again;
        if waits && matches!(fault, Some(Fault::Repeat | Fault::Identical)) {
            return self.repeat(now_ns, place, fault == Some(Fault::Repeat), out);
        }
        if waits && fault == Some(Fault::HangUp) {
            let connection = sale.connection;
            let side = Side::Acquirer;
            out.push(match drawn(self.seed, MANNERS, &sale.name.1) % 2 {
                0 => Action::Close { side, connection },
                _ => Action::Reset { side, connection },
            });
            return self.closed(now_ns, connection, out);
        }
        sale.outcome = Outcome::Reversing;
        self.reverse(now_ns, place, out);
    }

    /// An answer of the switch. True if it is the first to say that a sale is approved.
    pub(crate) fn message(&mut self, connection: u64, message: &Message) -> bool {
        let name = name_of(message);
        let Some(&place) = self.by_name.get(&name).filter(|_| message.is_answer()) else {
            let what = format!("{} to nothing that was asked", message.mti_text());
            self.breaches.push(Breach { name, rule: Rule::Misdirected, what });
            return false;
        };
        let sale = &mut self.sales[place];
        if !sale.answer(connection, message, &mut self.breaches) {
            return false;
        }
        self.open.remove(&place);
        self.idle.push_back(sale.terminal);
        let approved = matches!(sale.outcome, Outcome::Approved(_));
        self.approvals += u64::from(approved);
        approved
    }

    fn ask(&mut self, now_ns: u64, place: usize, connection: u64, out: &mut Vec<Action>) {
        let fault = self.fault(place);
        let sale = &mut self.sales[place];
        let request = sale.request.clone();
        sale.sent(connection, &request);
        send(connection, request, out);
        // A good answer takes less than a millisecond: some come first, some do not.
        let early_ns = drawn(self.seed, DELAYS, &sale.name.1) % 4 * 200_000;
        let delay_ns = if fault.is_some() { early_ns } else { self.timer_ns };
        self.wake(place, now_ns + delay_ns, out);
    }

    /// Asks again, with or without saying so, here or elsewhere.
    fn repeat(&mut self, now_ns: u64, place: usize, marked: bool, out: &mut Vec<Action>) {
        let token = &self.sales[place].name.1;
        let elsewhere = self.faults.choose(&[Fault::Elsewhere], self.seed, PLACES, token).is_some();
        let sale = &mut self.sales[place];
        let other = self.slots.iter().flatten().copied().find(|other| *other != sale.connection);
        let connection = other.filter(|_| elsewhere).unwrap_or(sale.connection);
        let mut request = sale.request.clone();
        request.mti |= u16::from(marked);
        sale.asked_again = true;
        sale.sent(connection, &request);
        send(connection, request, out);
        self.wake(place, now_ns + self.timer_ns, out);
    }

    fn reverse(&mut self, now_ns: u64, place: usize, out: &mut Vec<Action>) {
        let sale = &mut self.sales[place];
        let terminal = &mut self.terminals[sale.terminal];
        let Some(connection) = self.slots[terminal.slot] else {
            return self.wake(place, now_ns + AGAIN_NS, out);
        };
        let reversal = sale.reversal(|| next_stan(terminal));
        sale.sent(connection, &reversal);
        send(connection, reversal, out);
        self.wake(place, now_ns + self.timer_ns, out);
    }

    fn wake(&mut self, place: usize, at_ns: u64, out: &mut Vec<Action>) {
        let sale = &mut self.sales[place];
        sale.step += 1;
        out.push(Action::Wake { at_ns, wake: Wake::Terminal { sale: place, step: sale.step } });
    }

    fn fault(&self, place: usize) -> Option<Fault> {
        if self.healed {
            return None;
        }
        self.faults.choose(OF_TERMINALS, self.seed, TERMINALS, &self.sales[place].name.1)
    }

    /// A request that no other is like: its token is the seed and a count.
    fn request(&mut self, number: usize, wall_ns: u64) -> Message {
        let at = Moment::of(wall_ns / crate::clock::NS_PER_S);
        let stan = next_stan(&mut self.terminals[number]);
        let time = format!("{:02}{:02}{:02}", at.hour, at.minute, at.second);
        let date = format!("{:02}{:02}", at.month, at.day);
        let token = format!("{:04X}{:08}", self.seed & 0xFFFF, self.sales.len());
        let amount = 100 + self.dice.below(99_900);
        let mti = if self.dice.below(2) == 0 { 0x0100 } else { 0x0200 };
        Message::new(mti)
            .with(2, CARDS[self.dice.below(CARDS.len() as u64) as usize])
            .with(3, "000000")
            .with(4, format!("{amount:012}"))
            .with(7, format!("{date}{time}"))
            .with(11, stan)
            .with(12, time)
            .with(13, date)
            .with(14, "4912")
            .with(22, "051")
            .with(25, "00")
            .with(32, "061001")
            .with(37, token.clone())
            .with(41, format!("B{number:07}"))
            .with(42, format!("MERCHANT{:07}", number / 4))
            .with(49, "156")
            .with(63, format!("BOOKS {token}"))
    }
}

fn next_stan(terminal: &mut Terminal) -> String {
    terminal.stan = terminal.stan % 999_999 + 1;
    format!("{:06}", terminal.stan)
}

fn send(connection: u64, message: Message, out: &mut Vec<Action>) {
    let side = Side::Acquirer;
    out.push(Action::Send { side, connection, message, manner: Manner::Whole });
}

/// Test cards.
const CARDS: [&str; 4] =
    ["4761340000000019", "6212345678901232", "5413330089010434", "6222020000000004"];
/// Idle terminals looked at for one whose connection is up.
const TRIES: usize = 64;
/// How soon a terminal without connection tries again.
const AGAIN_NS: u64 = 50_000_000;
const TERMINALS: u64 = 11;
const DELAYS: u64 = 12;
const PLACES: u64 = 13;
const MANNERS: u64 = 14;

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(faults: &str) -> Fleet {
        let faults = faults.parse().unwrap();
        let mut fleet =
            Fleet::new(Terms { terminals: 4, connections: 2, timer_ns: 1_000, faults, seed: 1 });
        fleet.connected(0, 10);
        fleet.connected(1, 11);
        fleet
    }

    fn sent(out: &[Action]) -> Vec<(u64, u16)> {
        let mut sent = Vec::new();
        for action in out {
            if let Action::Send { connection, message, .. } = action {
                sent.push((*connection, message.mti & 0xF0F));
            }
        }
        sent
    }

    /// Sells once at 0 and lets every timer go off until `until_ns`.
    fn run(fleet: &mut Fleet, until_ns: u64) -> Vec<Action> {
        let mut out = Vec::new();
        fleet.sell(0, 0, &mut out);
        let mut at = 0;
        while at < out.len() {
            if let Action::Wake { at_ns, wake: Wake::Terminal { sale, step } } = out[at]
                && at_ns <= until_ns
            {
                fleet.timer(at_ns, sale, step, &mut out);
            }
            at += 1;
        }
        out
    }

    #[test]
    fn a_terminal_without_an_answer_reverses_until_it_is_told() {
        let mut fleet = fleet("none");
        let out = run(&mut fleet, 2_000);
        let kinds: Vec<u16> = sent(&out).iter().map(|(_, mti)| mti & 0x401).collect();
        assert_eq!(kinds, [0, 0x400, 0x401]);
        let reversal = fleet.sales[0].reversal.clone().unwrap();
        fleet.message(10, &reversal.answer("00"));
        assert_eq!((fleet.open(), &fleet.sales[0].outcome), (0, &Outcome::Reversed));
        assert_eq!(fleet.breaches, []);
    }

    #[test]
    fn a_lost_connection_is_an_unknown_fate() {
        let mut fleet = fleet("none");
        let mut out = Vec::new();
        fleet.sell(0, 0, &mut out);
        fleet.closed(5, 10, &mut out);
        assert_eq!(fleet.sales[0].outcome, Outcome::Reversing);
        assert!(out.iter().any(|action| matches!(action, Action::Connect { slot: 0 })));
    }

    #[test]
    fn repeats_are_marked_or_not_and_go_where_the_seed_says() {
        for (faults, place, digit) in
            [("repeat:100", 10, 1), ("repeat:100,elsewhere:100", 11, 1), ("identical:100", 10, 0)]
        {
            let mut fleet = fleet(faults);
            fleet.timer_ns = 50_000_000;
            let out = run(&mut fleet, 20_000_000);
            let sent = sent(&out);
            let repeat = (place, sent[0].1 | digit);
            assert_eq!(sent[1..], [repeat], "{faults}");
        }
    }

    #[test]
    fn an_answer_to_nobody_is_a_breach() {
        let mut fleet = fleet("none");
        let stray = Message::new(0x0110).with(37, "X").with(41, "Y");
        assert!(!fleet.message(10, &stray));
        assert_eq!(fleet.breaches[0].rule, Rule::Misdirected);
    }
}
