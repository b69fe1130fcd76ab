//! Hosts: they keep books, and are not always easy to work with.

use std::collections::{BTreeMap, BTreeSet};

use crate::faults::Fault;
use crate::wire::Message;
use crate::world::{MS, US, What, World};

/// By what a host knows a request again: MTI, STAN and DE 7 as it was sent.
type Key = String;

#[derive(Debug)]
pub(crate) struct Host {
    number: usize,
    pub(crate) connections: [Option<usize>; 2],
    books: BTreeMap<Key, Entry>,
    /// Reversals that came before what they reverse.
    overtakers: BTreeSet<Key>,
    /// Advices that it would not take.
    rejected: BTreeSet<Key>,
    jobs: BTreeMap<u64, Job>,
    next_job: u64,
    /// The answer before, to be mixed up with the next.
    held: Option<(usize, Message)>,
    last_reversal: Option<Message>,
    last_inquiry: Option<Message>,
}

#[derive(Debug)]
struct Entry {
    sale: u64,
    told: bool,
    approved: bool,
}

#[derive(Debug)]
enum Job {
    Decide(usize, Message),
    Reverse(usize, Message),
    Hear(usize, Message),
    Tell(usize, Message),
    Say(usize, Vec<u8>),
}

impl Host {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            number,
            connections: [None; 2],
            books: BTreeMap::new(),
            overtakers: BTreeSet::new(),
            rejected: BTreeSet::new(),
            jobs: BTreeMap::new(),
            next_job: 0,
            held: None,
            last_reversal: None,
            last_inquiry: None,
        }
    }
}

fn key(message: &Message) -> Key {
    // A repeat is named by the MTI of its original or by its own: both mean it.
    format!("{:03x}{}{}", message.mti >> 4, message.of(11), message.of(7))
}

/// The same of what it names in DE 90.
fn named(message: &Message) -> Key {
    let named = message.of(90);
    [named.get(..3), named.get(4..20)].map(Option::unwrap_or_default).concat()
}

impl World {
    fn plan_host(&mut self, host: usize, delay: u64, job: Job) {
        let number = self.hosts[host].next_job;
        self.hosts[host].next_job += 1;
        self.hosts[host].jobs.insert(number, job);
        self.at(self.now + delay, What::HostActs(host, number));
    }

    fn struck(&mut self, fault: Fault) -> bool {
        self.faults.strike(fault, &mut self.dice)
    }

    pub(crate) fn host_reads(&mut self, host: usize, id: usize, message: Message) {
        self.trace("reads", id, &message.encode());
        let mut delay = self.dice.between(300, 20_000) * US;
        match message.class() {
            _ if message.is_response() => {}
            8 => {
                let answer = message.answer("00").encode();
                self.plan_host(host, delay, Job::Say(id, answer));
            }
            4 => {
                if self.struck(Fault::ReversalLate) {
                    delay = self.dice.between(1000, 9000) * MS;
                }
                self.plan_host(host, delay, Job::Reverse(id, message));
            }
            _ if message.is_consult() => self.says_whose(host, id, delay, &message),
            _ if message.is_inquiry() => self.plan_host(host, delay, Job::Tell(id, message)),
            _ if message.is_advice() => {
                if self.struck(Fault::ReversalLate) {
                    delay = self.dice.between(1000, 9000) * MS;
                }
                self.plan_host(host, delay, Job::Hear(id, message));
            }
            _ => {
                self.oracle.host_reads(&message);
                if self.struck(Fault::Late) {
                    delay = match self.dice.below(3) {
                        // Around the deadline, or far behind it.
                        0 => self.dice.between(1490, 1510) * MS,
                        1 => self.dice.between(200, 2000) * MS,
                        _ => self.dice.between(1500, 9000) * MS,
                    };
                }
                self.plan_host(host, delay, Job::Decide(id, message));
                if self.struck(Fault::Asks) {
                    self.asks(host, id);
                }
            }
        }
    }

    /// A host asks what it has no business to ask, or echoes.
    fn asks(&mut self, host: usize, id: usize) {
        let mut message = Message::new(if self.dice.chance(500) { 0x0800 } else { 0x0200 });
        let stan = self.dice.between(1, 999_999);
        message.set(7, "1122101010").set(11, format!("{stan:06}"));
        if message.mti == 0x0800 {
            message.set(70, "301");
        } else {
            message.set(3, "000000").set(4, format!("{:012}", 77)).set(41, "TERM0000");
            message.set(37, format!("{stan:012}"));
        }
        let bytes = message.encode();
        self.plan_host(host, 0, Job::Say(id, bytes));
    }

    pub(crate) fn host_acts(&mut self, host: usize, job: u64) {
        match self.hosts[host].jobs.remove(&job) {
            Some(Job::Decide(id, message)) => self.decides(host, id, &message),
            Some(Job::Reverse(id, message)) => self.reverses_entry(host, id, &message),
            Some(Job::Hear(id, message)) => self.hears(host, id, &message),
            Some(Job::Tell(id, message)) => self.says_what_became(host, id, &message),
            Some(Job::Say(id, bytes)) if self.connections[id].alive => self.send(id, &bytes),
            Some(Job::Say(..)) | None => {}
        }
    }

    fn decides(&mut self, host: usize, id: usize, message: &Message) {
        let key = key(message);
        let overtaken = self.hosts[host].overtakers.contains(&key);
        let refuses = overtaken && self.faults.hosts_keep_overtakers;
        let approves = !refuses && !self.struck(Fault::Decline);
        let mut answer = message.answer(if approves { "00" } else { "05" });
        if approves {
            if self.struck(Fault::Partial) {
                let part = self.dice.between(1, message.number(4) - 1);
                answer.set(39, "10").set(4, format!("{part:012}"));
            }
            let approval = self.dice.below(1_000_000);
            answer.set(38, format!("{approval:06}"));
            self.oracle.books(&answer);
        } else {
            self.oracle.declines(message.sale());
        }
        let entry = Entry { sale: message.sale(), told: false, approved: approves };
        self.hosts[host].books.insert(key, entry);
        self.answers(host, id, answer, approves);
    }

    /// Says what was decided, or something else.
    fn answers(&mut self, host: usize, mut id: usize, answer: Message, approves: bool) {
        if self.struck(Fault::OtherConnection)
            && let Some(other) = self.hosts[host].connections.into_iter().flatten().next()
        {
            id = other;
        }
        if self.struck(Fault::Silent) {
            return;
        }
        if self.struck(Fault::Swapped) {
            // Two answers, each with the STAN of the other.
            match self.hosts[host].held.take() {
                None => self.hosts[host].held = Some((id, answer)),
                Some((other_id, mut other)) => {
                    let (mut one, stan) = (answer, other.of(11).to_owned());
                    other.set(11, one.of(11).to_owned());
                    one.set(11, stan);
                    self.say(host, id, &one);
                    self.say(host, other_id, &other);
                }
            }
            return;
        }
        if approves && self.struck(Fault::DeclineThenApprove) {
            let mut declined = answer.clone();
            declined.unset(38);
            declined.set(39, "05");
            self.oracle.contradicts(answer.sale());
            self.say(host, id, &declined);
            return self.say_later(host, id, &answer);
        }
        let answer_again = answer.clone();
        let spoiled = self.spoiled(answer);
        self.say(host, id, &spoiled);
        if self.struck(Fault::Twice) {
            self.say_later(host, id, &answer_again);
        }
        if approves && self.struck(Fault::ApproveThenDecline) {
            let mut declined = answer_again;
            declined.unset(38);
            declined.set(39, "05");
            self.oracle.contradicts(declined.sale());
            self.say_later(host, id, &declined);
        }
    }

    fn spoiled(&mut self, mut answer: Message) -> Message {
        if self.struck(Fault::WrongAmount) {
            // One more than a part could be what was asked; nobody asks as much as this.
            let other = answer.number(4) + 90_000;
            answer.set(4, format!("{other:012}")).set(39, "00");
        }
        if self.struck(Fault::WrongStan) {
            let other = answer.number(11) % 700_000 + 1;
            answer.set(11, format!("{other:06}"));
        }
        if self.struck(Fault::WrongReference) {
            let other = answer.number(37) + 1;
            answer.set(37, format!("{other:012}"));
        }
        if self.struck(Fault::WrongTerminal) {
            answer.set(41, "TERM0001");
        }
        if self.struck(Fault::NoCode) {
            answer.unset(39);
        }
        answer
    }

    fn say(&mut self, host: usize, id: usize, message: &Message) {
        let mut bytes = message.encode();
        if self.struck(Fault::Damaged) {
            let at = self.dice.between(9, bytes.len() as u64 - 1) as usize;
            bytes[at] = 0xEE;
        }
        self.plan_host(host, 0, Job::Say(id, bytes));
    }

    fn say_later(&mut self, host: usize, id: usize, message: &Message) {
        let delay = self.dice.between(0, 3000) * MS;
        self.plan_host(host, delay, Job::Say(id, message.encode()));
    }

    fn reverses_entry(&mut self, host: usize, id: usize, message: &Message) {
        let named = named(message);
        let mut code = "00";
        if self.struck(Fault::ReversalTryAgain) {
            code = "96";
        } else if self.struck(Fault::ReversalRejected) {
            code = "30";
        } else if let Some(entry) = self.hosts[host].books.get_mut(&named) {
            if std::mem::replace(&mut entry.approved, false) {
                match (entry.sale, entry.told) {
                    (sale, false) => self.oracle.reverses(sale),
                    (sale, true) => self.oracle.retracts(sale),
                }
            }
        } else {
            if named.as_bytes()[2] == b'2' && !self.hosts[host].rejected.contains(&named) {
                self.oracle.overtakes(message.sale());
            }
            self.hosts[host].overtakers.insert(named);
            code = "25";
        }
        if self.struck(Fault::ReversalIgnored) {
            return;
        }
        let mut answer = message.answer(code);
        if self.struck(Fault::ReversalMixedUp)
            && let Some(other) = self.hosts[host].last_reversal.replace(message.clone())
            && other.sale() != message.sale()
        {
            // The answer to another one, under this one's STAN.
            answer = other.answer("00");
            answer.set(11, message.of(11).to_owned());
        }
        self.say(host, id, &answer);
    }

    /// It is asked whether a card is its own.
    fn says_whose(&mut self, host: usize, id: usize, mut delay: u64, message: &Message) {
        let mut code = if self.dice.chance(500) { "00" } else { "14" };
        if self.struck(Fault::ConsultUnclear) {
            code = "96";
        }
        if self.struck(Fault::ConsultLate) {
            delay = self.dice.between(100, 2000) * MS;
        }
        if !self.struck(Fault::ConsultIgnored) {
            let answer = message.answer(code).encode();
            self.plan_host(host, delay, Job::Say(id, answer));
        }
    }

    /// It is asked what became of a request.
    fn says_what_became(&mut self, host: usize, id: usize, message: &Message) {
        let is_unclear = self.struck(Fault::InquiryUnclear);
        let code = match self.hosts[host].books.get(&named(message)) {
            _ if is_unclear => "96",
            // It may have it, and has not decided.
            None => "25",
            Some(entry) if entry.approved => "00",
            Some(_) => "05",
        };
        if self.struck(Fault::InquiryIgnored) {
            return;
        }
        let mut answer = message.answer(code);
        let other = self.hosts[host].last_inquiry.replace(message.clone());
        let other = other.filter(|other| other.sale() != message.sale());
        if let Some(other) = other.filter(|_| self.struck(Fault::InquiryMixedUp)) {
            // What is said of another, under this one's STAN.
            answer = other.answer("05");
            answer.set(11, message.of(11).to_owned());
        } else if matches!(code, "25" | "05") {
            self.oracle.disowns(message.sale());
        }
        self.say(host, id, &answer);
    }

    /// It is told what was done.
    fn hears(&mut self, host: usize, id: usize, message: &Message) {
        let key = key(message);
        let mut code = "00";
        if self.struck(Fault::ReversalTryAgain) {
            code = "96";
        } else if self.struck(Fault::ReversalRejected) {
            self.hosts[host].rejected.insert(key);
            code = "30";
        } else if let std::collections::btree_map::Entry::Vacant(entry) =
            self.hosts[host].books.entry(key)
        {
            entry.insert(Entry { sale: message.sale(), told: true, approved: true });
            self.oracle.posts(host, message);
        }
        if !self.struck(Fault::ReversalIgnored) {
            let mut answer = message.answer(code);
            answer.unset(38);
            self.say(host, id, &answer);
        }
    }

    pub(crate) fn host_lost(&mut self, host: usize, place: usize, id: usize) {
        if self.hosts[host].connections[place] == Some(id) {
            self.hosts[host].connections[place] = None;
        }
        let number = self.hosts[host].number;
        let pause = self.dice.between(50, 1500) * MS;
        self.at(self.now + pause, What::Dial(number, place));
    }
}
