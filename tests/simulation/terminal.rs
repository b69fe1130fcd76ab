//! Terminals, and the clients whose connections they share. They keep their protocol: who has no
//! answer in time, or no connection, takes back what it asked (0400, then 0401 until 0410).

mod advices;
mod refunds;

use std::collections::BTreeSet;

use crate::faults::Fault;
use crate::network::End;
use crate::wire::Message;
use crate::world::{MS, SECOND, US, What, World};
pub(crate) use refunds::Refunds;

/// A till, a shop's concentrator: up to two connections, made when needed.
#[derive(Debug, Default)]
pub(crate) struct Client {
    connections: [Option<usize>; 2],
}

/// What a terminal does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Begin,
    /// No answer came in time.
    TimeOut,
    /// It changes its mind, answered or not.
    TakeBack,
    /// The reversal was not answered.
    Again,
    /// Asks the same again: flagged as a repeat or not, on its own connection or the other.
    Repeat {
        flagged: bool,
        elsewhere: bool,
    },
    /// Asks something else under the same STAN.
    Conflict,
    /// Tells what was done, until that is taken over.
    Tell,
    /// The request arrives behind its own reversal.
    LateOriginal,
    /// Reverses its neighbour's.
    Foreign,
    /// Reverses its own with a wrong amount.
    WrongAmount,
    /// Sends an answer.
    Stray,
    Garbage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    Waiting,
    /// Tells what was done.
    Telling,
    /// Approved, and soon to be taken back.
    Holding,
    Reversing,
}

#[derive(Debug)]
pub(crate) struct Terminal {
    client: usize,
    id: String,
    merchant: String,
    stan: u32,
    /// STANs start anew after this many.
    stans: u32,
    plain_reversals: bool,
    /// What DE 90 would say of each of its transactions.
    named: BTreeSet<String>,
    stage: Stage,
    /// Grows with each transaction; what was planned for a former one is not done.
    pub(crate) serial: u32,
    request: Message,
    sent_on: Option<usize>,
    reversal: Message,
    attempts: u32,
    /// What it reverses with: all, or the part that was approved.
    approved: u64,
    /// What it pre-authorized last, and has not completed, and how much of it is held.
    open: Option<(Message, u64)>,
    /// What it sold last, and for how much.
    sold: Option<(Message, u64)>,
    pub(crate) left: u32,
}

impl Terminal {
    /// `stans`: its STANs start anew after this many.
    pub(crate) fn new(place: usize, client: usize, plain_reversals: bool, stans: u32) -> Self {
        Self {
            client,
            id: format!("TERM{place:04}"),
            merchant: format!("MERCHANT{client:07}"),
            stan: 0,
            stans,
            plain_reversals,
            named: BTreeSet::new(),
            stage: Stage::Idle,
            serial: 0,
            request: Message::default(),
            sent_on: None,
            reversal: Message::default(),
            attempts: 0,
            approved: 0,
            open: None,
            sold: None,
            left: 0,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.stage == Stage::Idle && self.left == 0
    }

    pub(crate) fn sale_number(&self) -> u64 {
        self.request.sale()
    }

    pub(crate) fn describe(&self) -> String {
        format!("{} is {:?} after {} reversals", self.id, self.stage, self.attempts)
    }

    fn next_stan(&mut self) -> u32 {
        self.stan = self.stan % self.stans + 1;
        self.stan
    }
}

/// The time in DE 7: terminals have their own clock, which does not step.
fn moment(now: u64) -> String {
    let second = now / SECOND;
    let (minute, hour) = (second / 60, second / 3600);
    format!("1122{:02}{:02}{:02}", hour % 24, minute % 60, second % 60)
}

impl World {
    pub(crate) fn acts(&mut self, place: usize, serial: u32, act: Act) {
        let terminal = &self.terminals[place];
        let (is_current, stage) = (terminal.serial == serial, terminal.stage);
        // A repeat of what was just answered, too.
        let is_last = is_current && stage != Stage::Reversing || terminal.serial == serial + 1;
        match act {
            Act::Begin if is_current && stage == Stage::Idle => self.begins(place),
            Act::TimeOut if is_current && stage == Stage::Waiting => self.takes_back(place),
            Act::TakeBack if is_current && stage != Stage::Reversing => self.takes_back(place),
            Act::Tell if is_current && stage == Stage::Telling => self.tells(place),
            Act::Again if is_current && stage == Stage::Reversing => self.reverses(place),
            Act::Repeat { flagged, elsewhere } if is_last && is_current => {
                let mut message = self.terminals[place].request.clone();
                message.mti |= u16::from(flagged);
                self.sends(place, elsewhere, &message);
            }
            Act::Conflict if is_current && self.oracle.has_read(terminal.request.sale()) => {
                let mut message = self.terminals[place].request.clone();
                let other = message.number(4) + 1;
                message.set(4, format!("{other:012}"));
                self.sends(place, false, &message);
            }
            Act::LateOriginal if is_current => {
                let message = self.terminals[place].request.clone();
                self.sends(place, true, &message);
            }
            Act::Foreign => self.reverses_anothers(place),
            Act::WrongAmount if is_current && stage == Stage::Waiting => {
                let mut message = self.reversal_of(place);
                let other = message.number(4) + 7;
                message.set(4, format!("{other:012}"));
                self.sends(place, false, &message);
            }
            Act::Stray => {
                let message = self.terminals[place].request.answer("00");
                self.sends(place, false, &message);
            }
            Act::Garbage => self.sends_garbage(place),
            _ => {}
        }
    }

    fn begins(&mut self, place: usize) {
        let sale = self.next_sale;
        self.next_sale += 1;
        let (amount, pan) = (self.dice.between(2, 90_000), self.dice.below(5));
        let mti = if self.dice.chance(500) { 0x0100 } else { 0x0200 };
        let canary = format!("c{:016x}", self.dice.next());
        let moment = moment(self.now);
        let terminal = &mut self.terminals[place];
        let mut stan = terminal.next_stan();
        // What it has taken back under this name, though it was another's, it cannot ask any more.
        while terminal.named.contains(&format!("{stan:06}{moment}")) {
            stan = terminal.next_stan();
        }
        let mut request = Message::new(mti);
        request.set(2, format!("476134000000{:04}", 19 + pan)).set(3, "000000");
        request.set(4, format!("{amount:012}")).set(7, moment).set(11, format!("{stan:06}"));
        request.set(22, "051").set(25, "00").set(37, format!("{sale:012}"));
        request.set(41, terminal.id.clone()).set(42, terminal.merchant.clone());
        request.set(48, canary).set(49, "156");
        terminal.left -= 1;
        terminal.serial += 1;
        terminal.stage = Stage::Waiting;
        terminal.request = request.clone();
        terminal.approved = amount;
        for mti in [mti, mti | 0x20, 0x0220] {
            terminal.named.insert(format!("{mti:04x}{stan:06}{}", request.of(7)));
        }
        if self.faults.advices && self.dice.chance(300) {
            return self.begins_telling(place);
        }
        if self.may_refund(place) {
            request = self.terminals[place].request.clone();
            if request.is_advice() {
                return self.tells(place);
            }
        } else {
            self.oracle.begins(sale, amount);
        }
        if self.strike(Fault::LateOriginal) {
            self.plans(place, (1, 3000), Act::LateOriginal);
            return self.takes_back(place);
        }
        let sent_on = self.sends(place, false, &request);
        self.terminals[place].sent_on = sent_on;
        self.plans(place, (2600, 4000), Act::TimeOut);
        self.plans_more(place);
    }

    fn plans_more(&mut self, place: usize) {
        if self.strike(Fault::Repeat) {
            for _ in 0..self.dice.between(1, 3) {
                let flagged = self.dice.chance(600);
                self.plans(place, (0, 3000), Act::Repeat { flagged, elsewhere: false });
            }
        }
        if self.strike(Fault::RepeatElsewhere) {
            let flagged = self.dice.chance(600);
            self.plans(place, (0, 3000), Act::Repeat { flagged, elsewhere: true });
        }
        let occasions = [
            (Fault::EarlyReversal, 2000, Act::TakeBack),
            (Fault::Conflict, 2500, Act::Conflict),
            (Fault::ForeignReversal, 2000, Act::Foreign),
            (Fault::WrongReversalAmount, 2000, Act::WrongAmount),
            (Fault::StrayResponse, 2000, Act::Stray),
            (Fault::Garbage, 2000, Act::Garbage),
        ];
        for (fault, by, act) in occasions {
            if self.strike(fault) {
                self.plans(place, (0, by), act);
            }
        }
        if self.strike(Fault::HangUp)
            && let Some(id) = self.terminals[place].sent_on
        {
            self.reset(id);
        }
    }

    fn strike(&mut self, fault: Fault) -> bool {
        self.faults.strike(fault, &mut self.dice)
    }

    fn plans(&mut self, place: usize, (from, to): (u64, u64), act: Act) {
        // As often at once as at leisure.
        let to = if self.dice.chance(500) { to } else { from + (to - from) / 50 };
        let at = self.now + self.dice.between(from * MS, to * MS);
        let serial = self.terminals[place].serial;
        self.at(at, What::Acts(place, serial, act));
    }

    /// Sends on the terminal's own connection or the client's other; says on which.
    fn sends(&mut self, place: usize, elsewhere: bool, message: &Message) -> Option<usize> {
        let client = self.terminals[place].client;
        let which = (place + usize::from(elsewhere)) % 2;
        let id = match self.clients[client].connections[which] {
            Some(id) => id,
            None if self.listens() => {
                let id = self.connect(End::Client(client, which));
                self.clients[client].connections[which] = Some(id);
                id
            }
            None => return None,
        };
        self.send(id, &message.encode());
        Some(id)
    }

    fn sends_garbage(&mut self, place: usize) {
        let client = self.terminals[place].client;
        if let Some(id) = self.clients[client].connections[place % 2] {
            let length = self.dice.between(0, 30) as usize;
            let bytes: Vec<u8> = (0..length).map(|_| self.dice.next() as u8).collect();
            // What follows on this connection would be read as part of it.
            self.send(id, &[&[0, 0][..], &bytes].concat());
            self.reset(id);
        }
    }

    fn reversal_of(&mut self, place: usize) -> Message {
        let whole = self.dice.chance(500);
        let moment = moment(self.now);
        let terminal = &mut self.terminals[place];
        let request = terminal.request.clone();
        let mut reversal = Message { mti: 0x0400, ..request.clone() };
        for element in [22, 25, 48, 90] {
            reversal.unset(element);
        }
        reversal.set(7, moment);
        if !whole {
            reversal.set(4, format!("{:012}", terminal.approved));
        }
        if !terminal.plain_reversals {
            let (stan, moment) = (request.of(11), request.of(7));
            let named = format!("{:04x}{stan}{moment}{}", request.mti, "0".repeat(22));
            let own = terminal.next_stan();
            reversal.set(11, format!("{own:06}")).set(90, named);
        }
        reversal
    }

    fn takes_back(&mut self, place: usize) {
        let reversal = self.reversal_of(place);
        let terminal = &mut self.terminals[place];
        terminal.stage = Stage::Reversing;
        terminal.attempts = 0;
        terminal.reversal = reversal;
        let number = self.terminals[place].request.sale();
        self.oracle.asks_back(number);
        self.terminals[place].sold.take_if(|(sold, _)| sold.sale() == number);
        self.reverses(place);
    }

    /// Sends the reversal, for the first time or again.
    fn reverses(&mut self, place: usize) {
        let elsewhere = self.dice.chance(300);
        let terminal = &mut self.terminals[place];
        let mut message = terminal.reversal.clone();
        message.mti |= u16::from(terminal.attempts > 0);
        terminal.attempts += 1;
        let patience = 2000 * u64::from(terminal.attempts.min(8));
        self.sends(place, elsewhere, &message);
        self.plans(place, (patience, patience + 2000), Act::Again);
    }

    fn reverses_anothers(&mut self, place: usize) {
        let other = self.dice.below(self.terminals.len() as u64) as usize;
        if other == place || self.terminals[other].plain_reversals {
            return;
        }
        let (sale, moment) = (self.next_sale, moment(self.now));
        self.next_sale += 1;
        let named = {
            let theirs = &self.terminals[other].request;
            format!("{:04x}{:0>6}{:0>10}", theirs.mti, theirs.of(11), theirs.of(7))
        };
        if named.starts_with("0000") || self.terminals[place].named.contains(&named) {
            return;
        }
        let mut message = self.terminals[other].request.clone();
        for element in [22, 25, 48] {
            message.unset(element);
        }
        let terminal = &mut self.terminals[place];
        let stan = terminal.next_stan();
        terminal.named.insert(named[4..].to_owned());
        message.mti = 0x0400;
        message.set(7, moment).set(11, format!("{stan:06}")).set(37, format!("{sale:012}"));
        message.set(41, terminal.id.clone()).set(42, terminal.merchant.clone());
        message.set(90, format!("{named}{}", "0".repeat(22)));
        self.oracle.forges(sale);
        self.sends(place, false, &message);
    }

    /// A message for one of the client's terminals.
    pub(crate) fn client_reads(&mut self, client: usize, id: usize, message: &Message) {
        self.trace("reads", id, &message.encode());
        let is_it =
            |terminal: &Terminal| terminal.client == client && terminal.id == message.of(41);
        let Some(place) = self.terminals.iter().position(is_it) else { return };
        let terminal = &self.terminals[place];
        let answers = |request: &Message| {
            request.answer_mti() == message.mti
                && [11, 37].iter().all(|e| request.of(*e) == message.of(*e))
        };
        match terminal.stage {
            Stage::Waiting if answers(&terminal.request) && message.of(39) != "94" => {
                self.is_answered(place, message);
            }
            Stage::Telling if answers(&terminal.request) => self.is_heard(place, message),
            Stage::Reversing
                if answers(&terminal.reversal)
                    && message.of(4) == terminal.reversal.of(4)
                    && matches!(message.of(39), "00" | "25") =>
            {
                self.is_finished(place);
            }
            _ => {}
        }
    }

    fn is_answered(&mut self, place: usize, message: &Message) {
        if !message.approves() {
            return self.is_finished(place);
        }
        let amount = message.number(4);
        self.oracle.saw(message.sale(), amount);
        self.terminals[place].approved = amount;
        self.is_sold(place, message);
        if message.mti == 0x0110 {
            self.terminals[place].open = Some((self.terminals[place].request.clone(), amount));
        }
        self.holds_or_finishes(place);
    }

    fn holds_or_finishes(&mut self, place: usize) {
        if self.strike(Fault::Void) {
            self.terminals[place].stage = Stage::Holding;
            self.terminals[place].open = None;
            return self.plans(place, (0, 3000), Act::TakeBack);
        }
        self.is_finished(place);
    }

    fn is_finished(&mut self, place: usize) {
        let pause = self.dice.between(5 * MS, 300 * MS) + self.dice.below(1000) * US;
        let terminal = &mut self.terminals[place];
        terminal.stage = Stage::Idle;
        if terminal.left > 0 {
            let serial = terminal.serial;
            self.at(self.now + pause, What::Acts(place, serial, Act::Begin));
        }
    }

    /// What a client asks from now on it asks on another connection.
    pub(crate) fn client_finishes(&mut self, client: usize, which: usize, id: usize) {
        if self.clients[client].connections[which] == Some(id) {
            self.clients[client].connections[which] = None;
        }
    }

    /// A connection of a client is gone: who waited on it knows that no answer will come.
    pub(crate) fn client_lost(&mut self, client: usize, which: usize, id: usize) {
        self.client_finishes(client, which, id);
        for place in 0..self.terminals.len() {
            let terminal = &self.terminals[place];
            if terminal.stage != Stage::Waiting || terminal.sent_on != Some(id) {
                continue;
            }
            if self.strike(Fault::Abandon) {
                // The till is switched off, or the shopper has left: nobody asks any more.
                self.is_finished(place);
            } else {
                self.plans(place, (1, 2000), Act::TakeBack);
            }
        }
    }
}
