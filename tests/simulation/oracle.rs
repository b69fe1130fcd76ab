//! The judge: sees the bytes at the doors of the switch, the books of the hosts, what the
//! terminals saw, and what was durable when. It knows the rules, and nothing of the switch.
//!
//! The rules are named I1 to I46 as the design names them; what each says stands where it is
//! checked. The first breach ends a run.

mod advices;
mod disk;
mod end;
mod inquiries;
mod mailed;
mod refunds;

use std::collections::{BTreeMap, BTreeSet};

use crate::records::Records;
use crate::wire::Message;

/// A rule was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) rule: &'static str,
    /// DE 37, 0 if it is not about one transaction.
    pub(crate) sale: u64,
    pub(crate) what: String,
}

#[derive(Debug, Default)]
pub(crate) struct Oracle {
    sales: BTreeMap<u64, Sale>,
    /// Requests read and not answered, by connection.
    asked: BTreeMap<usize, Vec<Message>>,
    /// Reversals of what is another terminal's.
    forged: BTreeSet<u64>,
    pub(crate) records: Records,
    pub(crate) breach: Option<Breach>,
    /// Requests of this life that one worker gave another to send: to the first they are sent,
    /// though the kernel has not seen them.
    mailed: BTreeSet<u64>,
    /// How long behind its deadline a request may leave, because the switch itself is slow.
    pub(crate) late_by: u64,
    /// When a write or a sync has failed in this life.
    disk_failed_at: Option<u64>,
    /// Since when the switch knows that the disk takes nothing new, and whether some of it does.
    full_since: Option<u64>,
    is_full: bool,
    /// Until when what waits for the disk is not durable, and when the last life ended.
    slow_until: u64,
    ended_at: u64,
    pub(crate) now: u64,
    /// Which life of the process this is.
    life: u32,
    /// How long a request may take before it may not be sent any more.
    pub(crate) budget: u64,
}

/// All that is known of one transaction.
#[derive(Debug, Default)]
struct Sale {
    amount: u64,
    // At the terminal.
    saw: Option<u64>,
    asked_back: bool,
    // At the acquirers' door of the switch.
    original: Option<Message>,
    original_at: u64,
    original_life: u32,
    reversal_at: Option<u64>,
    /// The same; forgotten if the process ends before it says so.
    accepted_at: Option<u64>,
    told: bool,
    refused_at: Option<u64>,
    /// It was refused because the disk is full.
    unrecorded: bool,
    /// The disk was slow when it was refused: until then that is not durable.
    undurable_until: u64,
    approval: Option<[String; 3]>,
    approval_at: Option<u64>,
    /// When its reversal was answered with 00 first.
    taken_at: Option<u64>,
    // At the hosts' door.
    forwarded: Option<(usize, Message)>,
    /// When its first copy began to leave, and that copy.
    reversal: Option<(u64, Vec<u8>)>,
    // In the books of the hosts.
    booked: Option<[String; 3]>,
    declined: bool,
    net: u64,
    /// The host said no before.
    contradicted: bool,
    /// It was asked what became of it, and said: nothing.
    disowned: bool,
    advice: advices::Advice,
    refund: Option<refunds::RefundOf>,
    /// It gives back or takes more than there is, as far as its terminal knew, or to another.
    misfits: bool,
    /// The switch has read the approval, in the life in which it forwarded the request.
    approval_read: bool,
    answer: Message,
    life: u32,
}

impl Sale {
    fn is_approval_of_host(&self, said: &[String; 3]) -> bool {
        self.booked.as_ref() == Some(said)
    }

    /// True if `request` asks the same as the original.
    fn is_same(&self, request: &Message) -> bool {
        let original = self.original.as_ref();
        original
            .is_none_or(|original| [2, 3, 4, 49].iter().all(|e| original.of(*e) == request.of(*e)))
    }
}

/// What an approval says: DE 38, 39 and 4.
fn said(message: &Message) -> [String; 3] {
    [38, 39, 4].map(|element| message.of(element).to_owned())
}

impl Oracle {
    fn fail(&mut self, rule: &'static str, sale: u64, what: impl Into<String>) {
        if self.breach.is_none() {
            self.breach = Some(Breach { rule, sale, what: what.into() });
        }
    }

    fn check(&mut self, holds: bool, rule: &'static str, sale: u64, what: &str) {
        if !holds {
            self.fail(rule, sale, what);
        }
    }

    /// A terminal begins a transaction.
    pub(crate) fn begins(&mut self, sale: u64, amount: u64) {
        self.sales.insert(sale, Sale { amount, ..Sale::default() });
    }

    /// A terminal wants its transaction back.
    pub(crate) fn asks_back(&mut self, sale: u64) {
        if let Some(sale) = self.sales.get_mut(&sale) {
            sale.asked_back = true;
        }
    }

    /// A terminal takes an approval: the shopper leaves with the goods.
    pub(crate) fn saw(&mut self, number: u64, amount: u64) {
        let Some(sale) = self.sales.get_mut(&number) else { return };
        sale.saw = Some(amount);
        let net = sale.net;
        let stood_in = self.records.stood_in.contains(&number);
        self.check(
            net == amount || stood_in,
            "I2",
            number,
            "a terminal saw an approval the host does not hold",
        );
    }

    /// A whole request has reached the switch.
    pub(crate) fn read_request(&mut self, connection: usize, message: &Message) {
        if message.is_response() {
            return;
        }
        self.asked.entry(connection).or_default().push(message.clone());
        let (now, life, full) = (self.now, self.life, self.is_full);
        let Some(sale) = self.sales.get_mut(&message.sale()) else { return };
        if message.class() == 4 {
            let part = sale.booked.as_ref().and_then(|[.., amount]| amount.parse().ok());
            let amount = message.number(4);
            if amount == sale.amount || Some(amount) == part {
                sale.reversal_at.get_or_insert(now);
                if !full || sale.original.is_some() {
                    sale.accepted_at.get_or_insert(now);
                }
            }
        } else if sale.original.is_none() {
            sale.original = Some(message.clone());
            (sale.original_at, sale.original_life) = (now, life);
        }
    }

    /// A whole answer has reached the switch.
    pub(crate) fn read_answer(&mut self, message: &Message) {
        let life = self.life;
        if let Some(sale) = self.sales.get_mut(&message.sale())
            && message.approves()
            && message.class() != 4
        {
            let is_true = sale.answer.elements == message.elements;
            sale.approval_read |= is_true && sale.life == life;
        }
    }

    /// The kernel has taken the first byte of a frame to a terminal.
    pub(crate) fn begins_answer(&mut self, message: &Message) {
        let number = message.sale();
        if !self.sales.contains_key(&number) {
            return;
        }
        if message.class() == 4 {
            let intended = self.records.intents.contains(&number);
            let recorded = [&self.records.owed, &self.records.taken_back, &self.records.declined];
            let safe = recorded.iter().any(|kind| kind.contains(&number));
            let holds = message.of(39) != "00" || !intended || safe;
            self.check(holds, "I20", number, "0410 before the obligation is durable");
        } else if message.approves() {
            let durable = self.records.approved.contains(&number);
            let rule = if self.disk_failed_at.is_some() { "I46" } else { "I42" };
            self.check(durable, rule, number, "an approval leaves before it is durable");
        }
    }

    /// The kernel has taken the last byte of a frame to a terminal. `empty_at`: when nothing was
    /// waiting on this connection for the last time.
    pub(crate) fn hands(&mut self, connection: usize, message: &Message, empty_at: u64) {
        let number = message.sale();
        let asked = self.asked.entry(connection).or_default();
        let is_it = |asked: &Message| {
            asked.answer_mti() == message.mti
                && [7, 11, 37, 41].iter().all(|e| asked.of(*e) == message.of(*e))
        };
        let same_amount = |asked: &Message| is_it(asked) && asked.of(4) == message.of(4);
        let exact = asked.iter().position(same_amount);
        let Some(place) = exact.or_else(|| asked.iter().position(is_it)) else {
            return self.fail("I3", number, format!("nobody on {connection} asked: {message:?}"));
        };
        let request = asked.remove(place);
        let partial = message.of(39) == "10" || message.class() == 4;
        for element in [3, 4, 42, 48, 49] {
            let (asked, said) = (request.of(element), message.of(element));
            let same = said.is_empty() || asked == said || partial && element == 4;
            self.check(same, "I5", number, &format!("DE {element}: {asked} asked, {said} said"));
        }
        if message.class() == 4 {
            self.hands_reversal_answer(&request, message, empty_at);
        } else if message.approves() {
            self.hands_approval(message, empty_at);
        } else {
            self.hands_refusal(&request, message, empty_at);
        }
    }

    fn hands_approval(&mut self, message: &Message, empty_at: u64) {
        let (number, now) = (message.sale(), self.now);
        if message.mti & 0x20 != 0 || self.records.stood_in.contains(&number) {
            return self.hands_own_approval(message, empty_at);
        }
        let said = said(message);
        let Some(sale) = self.sales.get_mut(&number) else { return };
        let by_host = sale.is_approval_of_host(&said);
        let reversed = sale.accepted_at.is_some_and(|at| at < empty_at);
        let refused = sale.refused_at.is_some_and(|at| at < empty_at);
        let other = sale.approval.as_ref().is_some_and(|other| *other != said);
        let (net, asked) = (sale.net, sale.reversal_at.is_some());
        sale.approval = Some(said);
        sale.approval_at.get_or_insert(now);
        self.check(!reversed, "I7", number, "an approval after its reversal was accepted");
        self.check(!refused, "I8", number, "an approval after a refusal");
        self.check(by_host, "I9", number, "an approval the host did not give");
        self.check(!other, "I15", number, "two different approvals");
        self.check(net > 0 || asked, "I12", number, "an approval of what is reversed");
    }

    fn hands_refusal(&mut self, request: &Message, message: &Message, empty_at: u64) {
        let (number, now, full) = (message.sale(), self.now, self.is_full);
        let slow_until = self.slow_until;
        let Some(sale) = self.sales.get_mut(&number) else { return };
        if !sale.is_same(request) {
            let conflict = message.of(39) == "94";
            return self.check(conflict, "I16", number, "other content under a known key");
        }
        sale.refused_at.get_or_insert(now);
        sale.unrecorded |= full;
        if sale.undurable_until == 0 {
            sale.undurable_until = slow_until;
        }
        // Who is told can be told again: workers may pass copies to each other, which cross.
        let crosses = sale.is_told() && sale.approval_at.is_some_and(|at| at >= empty_at);
        let approved = sale.approval.is_some() && sale.reversal_at.is_none() && !crosses;
        self.check(!approved, "I15", number, "a refusal after an approval");
    }

    fn hands_reversal_answer(&mut self, request: &Message, message: &Message, empty_at: u64) {
        let (number, now) = (message.sale(), self.now);
        let says_yes = message.of(39) == "00";
        if says_yes && self.forged.contains(&number) {
            self.fail("I29", number, "a terminal reverses another's");
        }
        let Some(sale) = self.sales.get_mut(&number) else { return };
        let part = sale.booked.as_ref().and_then(|[.., amount]| amount.parse().ok());
        let right = request.number(4) == sale.amount || Some(request.number(4)) == part;
        if says_yes && !right && sale.forwarded.is_some() {
            self.fail("I29", number, "a reversal of another amount is accepted");
        }
        let Some(sale) = self.sales.get_mut(&number) else { return };
        let taken_at = sale.taken_at;
        let asks_again = message.of(39) == "96";
        sale.told = true;
        if asks_again && taken_at.is_none() {
            // Not taken on: it is asked again.
            sale.accepted_at = None;
        }
        if says_yes {
            sale.taken_at.get_or_insert(now);
        }
        // 96 asks it to come again: said before, it may be read behind the 00 of another copy.
        let holds = says_yes || taken_at.is_none_or(|at| asks_again && at >= empty_at) || !right;
        self.check(holds, "I28", number, "a reversal taken and then not");
    }

    /// The kernel has taken the first byte of a frame to a host.
    pub(crate) fn begins_request(
        &mut self,
        host: usize,
        message: &Message,
        bytes: &[u8],
        empty_at: u64,
    ) {
        if message.class() == 8 || message.is_response() {
            return;
        }
        if message.class() == 4 && message.of(90).as_bytes().get(2) == Some(&b'2') {
            return self.begins_retraction(message, (host, bytes), empty_at);
        }
        if message.class() == 4 {
            return self.begins_reversal(message, (host, bytes), empty_at);
        }
        if message.is_consult() {
            return self.begins_consult(host, message);
        }
        if message.is_inquiry() {
            return self.begins_inquiry(host, message);
        }
        if message.is_advice() {
            return self.begins_telling(message, (host, bytes), empty_at);
        }
        let number = message.sale();
        let intended = self.records.intents.contains(&number);
        let (now, life, full_since) = (self.now, self.life, self.full_since);
        let allowed = self.budget + self.late_by + self.mailed_by(number);
        // It was taken for sent before: then it is to be reversed.
        let reversed = self.mailed.contains(&number) && self.records.owed.contains(&number);
        let stood_in = self.records.stood_in.contains(&number) && !reversed;
        let Some(sale) = self.sales.get_mut(&number) else {
            return self.fail("I5", number, "a request nobody made");
        };
        let again = sale.forwarded.is_some();
        let taken_back = sale.accepted_at.is_some_and(|at| at < sale.original_at);
        let late = now - sale.original_at > allowed;
        let in_reserve = full_since.is_some_and(|since| sale.original_at > since);
        sale.forwarded = Some((host, message.clone()));
        sale.life = life;
        self.begins_refunding(host, message);
        self.check(!again, "I14", number, "a request is forwarded twice");
        self.check(!taken_back, "I27", number, "forwarded after it was taken back");
        self.check(!late, "I18", number, "forwarded after its deadline");
        self.check(!stood_in, "I39", number, "a request leaves behind an approval in its place");
        self.check(intended, "I42", number, "a request leaves before its intent is durable");
        self.check(!in_reserve, "I31", number, "a request is taken though the disk is full");
    }

    fn begins_reversal(&mut self, message: &Message, (host, bytes): (usize, &[u8]), empty_at: u64) {
        let (now, life) = (self.now, self.life);
        let number = message.sale();
        let owed = self.records.owed.contains(&number);
        let part = self.records.parts.get(&number).copied();
        let Some(sale) = self.sales.get_mut(&number) else {
            return self.fail("I5", number, "a reversal of nothing");
        };
        let stood_in = self.records.stood_in.contains(&number);
        let own_will = sale.approval.is_some() && sale.reversal_at.is_none() && !stood_in;
        let mut first_copy = bytes.to_vec();
        first_copy[8] &= 0xFE;
        let earlier = sale.reversal.clone();
        sale.reversal.get_or_insert((now, first_copy.clone()));
        let amount = part.unwrap_or(sale.amount);
        let forwarded = sale.forwarded.clone();
        let is_mailed = self.mailed.contains(&number);
        let known_unsent = forwarded.is_none() && sale.original_life == life && !is_mailed;
        self.check(!known_unsent, "I27", number, "a reversal of what never left");
        self.check(owed, "I20", number, "a reversal leaves before it is durable");
        self.check(!own_will, "I12", number, "a handed approval is reversed unasked");
        self.check(message.number(4) == amount, "I23", number, "a reversal of another amount");
        if let Some((at, earlier)) = earlier {
            // A first copy that waits on one connection can be overtaken by a second on another.
            let is_second = empty_at > at;
            self.check(
                message.mti == 0x0421 || !is_second,
                "I22",
                number,
                "a second copy that is no repeat",
            );
            self.check(earlier == first_copy, "I21", number, "a copy that differs from the first");
        }
        if let Some((other, original)) = forwarded {
            let named = format!("{:04x}{:0>6}{}", original.mti, original.of(11), original.of(7));
            let names = message.of(90).get(..20) == Some(&named);
            self.check(other == host, "I25", number, "a reversal to another host");
            self.check(names, "I23", number, "DE 90 names something else");
        }
    }

    /// A host has read a request.
    pub(crate) fn host_reads(&mut self, message: &Message) {
        let number = message.sale();
        let Some(sale) = self.sales.get(&number) else {
            return self.fail("I5", number, "a host was asked what nobody asked");
        };
        let Some(original) = &sale.original else { return };
        let differs = [2, 3, 4, 7, 22, 25, 41, 42, 48, 49]
            .into_iter()
            .find(|element| original.of(*element) != message.of(*element));
        if let Some(element) = differs {
            self.fail("I19", number, format!("DE {element} is altered"));
        }
    }

    /// A host approves and books.
    pub(crate) fn books(&mut self, answer: &Message) {
        if let Some(sale) = self.sales.get_mut(&answer.sale()) {
            sale.net = answer.number(4);
            sale.booked = Some(said(answer));
            sale.answer = answer.clone();
        }
    }

    /// A host says no to what it has booked.
    pub(crate) fn contradicts(&mut self, number: u64) {
        if let Some(sale) = self.sales.get_mut(&number) {
            sale.contradicted = true;
        }
    }

    /// A host declines.
    pub(crate) fn declines(&mut self, number: u64) {
        if let Some(sale) = self.sales.get_mut(&number) {
            sale.declined = true;
        }
    }

    /// A host takes what it approved back.
    pub(crate) fn reverses(&mut self, number: u64) {
        let Some(sale) = self.sales.get_mut(&number) else { return };
        sale.net = 0;
        let stood_in = self.records.stood_in.contains(&number);
        let wrong = sale.saw.is_some() && !sale.asked_back && !stood_in;
        self.check(!wrong, "I2", number, "what a terminal saw approved is reversed");
    }

    /// What a batch recorded is durable.
    pub(crate) fn durable(&mut self, clear: &[u8], secret: &[u8]) {
        let sales = &self.sales;
        self.records.read(clear, secret, |number| sales.contains_key(&number));
    }

    /// A terminal that has lost its way never comes to an end.
    pub(crate) fn stuck(&mut self, sale: u64, what: &str) {
        self.fail("I52", sale, what);
    }

    /// The switch closes a connection though nothing went wrong.
    pub(crate) fn closes(&mut self, why: &str) {
        self.fail("I4", 0, why);
    }

    /// A terminal reverses what is not its own.
    pub(crate) fn forges(&mut self, sale: u64) {
        self.forged.insert(sale);
    }

    /// True if the switch of this life has read the request.
    pub(crate) fn has_read(&self, number: u64) -> bool {
        let sale = self.sales.get(&number);
        sale.is_some_and(|sale| sale.original.is_some() && sale.original_life == self.life)
    }

    /// A connection is gone, and with it whatever was asked on it.
    pub(crate) fn ends(&mut self, connection: usize) {
        self.asked.remove(&connection);
    }
}
