//! What the judge knows of advices, and of what was approved in the place of a host.

use super::{Oracle, Sale, said};
use crate::wire::Message;
use crate::world;

/// All that is known of the advice of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Advice {
    /// Its terminal tells, and does not ask.
    is_told: bool,
    /// The pre-authorization that it completes.
    completes: Option<u64>,
    /// The first copy to a host.
    copy: Option<Copy>,
    /// The same of what takes it back.
    retraction: Option<Copy>,
    /// What a host has posted for it.
    pub(super) posted: u64,
    retracted: bool,
}

#[derive(Debug, Clone)]
struct Copy {
    at: u64,
    host: usize,
    message: Message,
    bytes: Vec<u8>,
}

/// What was approved in the place of hosts, in sum and count.
#[derive(Debug, Default)]
struct Spent {
    sum: u64,
    count: u32,
}

impl Oracle {
    /// A terminal begins to tell what it has done.
    pub(crate) fn begins_advice(&mut self, sale: u64, amount: u64, completes: Option<u64>) {
        let held = completes.and_then(|held| self.sales.get(&held)?.saw);
        let misfits = held.is_some_and(|held| amount > most_of(held));
        let advice = Advice { is_told: true, completes, ..Advice::default() };
        self.sales.insert(sale, Sale { amount, advice, misfits, ..Sale::default() });
    }

    /// A terminal hears that the switch owns its advice now.
    pub(crate) fn is_told(&mut self, number: u64) {
        if let Some(sale) = self.sales.get_mut(&number) {
            sale.saw = Some(sale.amount);
        }
    }

    /// An approval that is no host's is handed over: the answer to an advice, or the switch's own.
    pub(super) fn hands_own_approval(&mut self, message: &Message, empty_at: u64) {
        let (number, now) = (message.sale(), self.now);
        let said = said(message);
        let code = self.records.advices.get(&number).cloned();
        let Some(sale) = self.sales.get_mut(&number) else { return };
        let reversed = sale.accepted_at.is_some_and(|at| at < empty_at);
        let refused = sale.refused_at.is_some_and(|at| at < empty_at);
        let other = sale.approval.as_ref().is_some_and(|other| *other != said);
        let (is_told, amount) = (sale.advice.is_told, sale.amount);
        sale.approval = Some(said);
        sale.approval_at.get_or_insert(now);
        // An advice that was refused is told again, and may then be taken over.
        self.check(!reversed, "I7", number, "an approval after its reversal was accepted");
        self.check(!refused || is_told, "I8", number, "an approval after a refusal");
        self.check(!other, "I15", number, "two different approvals");
        if !is_told {
            let own = code.is_none_or(|code| code == message.of(38));
            self.check(own, "I9", number, "an approval with another DE 38 than its advice");
            self.check(message.number(4) == amount, "I9", number, "another amount than asked");
            self.within_limits(number);
        }
    }

    /// Nothing is approved in the place of a host above any limit. A run is shorter than a day.
    fn within_limits(&mut self, number: u64) {
        let original = |sale: &Sale, element: u8| {
            sale.original.as_ref().map_or("", |original| original.of(element)).to_owned()
        };
        let Some(this) = self.sales.get(&number) else { return };
        let (card, merchant) = (original(this, 2), original(this, 42));
        let (amount, has_pin) = (this.amount, !original(this, 52).is_empty());
        let (mut of_card, mut of_merchant) = (Spent::default(), Spent::default());
        let mut of_all = Spent::default();
        for stood_in in &self.records.stood_in {
            let handed = |sale: &&Sale| sale.approval.is_some();
            let Some(sale) = self.sales.get(stood_in).filter(handed) else { continue };
            of_all.add(sale.amount, true);
            of_card.add(sale.amount, original(sale, 2) == card);
            of_merchant.add(sale.amount, original(sale, 42) == merchant);
        }
        let card = of_card.sum <= world::CARD && of_card.count <= world::CARD_COUNT;
        let merchant =
            of_merchant.sum <= world::MERCHANT && of_merchant.count <= world::MERCHANT_COUNT;
        let floor = amount <= world::FLOOR && !has_pin;
        self.check(floor, "I37", number, "stood in against the policy");
        self.check(card, "I35", number, "stood in for a card above its limits");
        self.check(merchant, "I35", number, "stood in for a merchant above its limits");
        self.check(of_all.sum <= world::TOTAL, "I35", number, "stood in above the total");
    }

    /// The kernel has taken the first byte of an advice to a host.
    pub(super) fn begins_telling(
        &mut self,
        message: &Message,
        (host, bytes): (usize, &[u8]),
        empty_at: u64,
    ) {
        let (now, number) = (self.now, message.sale());
        let owed = self.records.advices.contains_key(&number);
        let Some(sale) = self.sales.get_mut(&number) else {
            return self.fail("I5", number, "an advice of nothing");
        };
        let is_taken_back = sale.reversal.is_some() || sale.disowned;
        let in_order = sale.forwarded.is_none() || is_taken_back;
        let copy = Copy::first(now, host, message, bytes);
        let earlier = sale.advice.copy.get_or_insert_with(|| copy.clone()).clone();
        let completes = sale.advice.completes;
        self.check(owed, "I20", number, "an advice leaves before it is durable");
        self.check(in_order, "I38", number, "an advice before the reversal of what was sent");
        self.repeats(number, &earlier, &copy, message, empty_at);
        self.completes(number, completes, host, message);
        self.begins_refunding(host, message);
    }

    /// A completion goes to who has the pre-authorization, and names it as it is known there.
    fn completes(&mut self, number: u64, completes: Option<u64>, host: usize, message: &Message) {
        let original = completes.and_then(|original| self.sales.get(&original));
        let Some((other, original)) = original.and_then(|sale| sale.forwarded.clone()) else {
            return;
        };
        if completes.is_some_and(|original| self.records.stood_in.contains(&original)) {
            return;
        }
        let named = format!("{:04x}{:0>6}{}", original.mti, original.of(11), original.of(7));
        let names = message.of(90).get(..20) == Some(&named);
        // Of what its terminal took back its partner decides.
        let hold = completes.and_then(|hold| self.sales.get(&hold));
        let is_held = hold.is_some_and(|hold| !hold.asked_back);
        let misfits = self.sales.get(&number).is_some_and(|sale| sale.misfits);
        let is_too_much = misfits && is_held;
        self.check(!is_too_much, "I1", number, "a completion takes more than was held");
        self.check(other == host, "I25", number, "a completion to another host");
        self.check(names, "I23", number, "DE 90 of a completion names something else");
    }

    /// The kernel has taken the first byte of what takes an advice back.
    pub(super) fn begins_retraction(
        &mut self,
        message: &Message,
        (host, bytes): (usize, &[u8]),
        empty_at: u64,
    ) {
        let (now, number) = (self.now, message.sale());
        let owed = self.records.retractions.contains(&number);
        let Some(sale) = self.sales.get_mut(&number) else {
            return self.fail("I5", number, "a reversal of no advice");
        };
        let own_will = sale.approval.is_some() && sale.reversal_at.is_none();
        let copy = Copy::first(now, host, message, bytes);
        let earlier = sale.advice.retraction.get_or_insert_with(|| copy.clone()).clone();
        let (advice, amount) = (sale.advice.copy.clone(), sale.amount);
        self.check(owed, "I20", number, "a reversal leaves before it is durable");
        self.check(!own_will, "I12", number, "what was handed over is taken back unasked");
        self.check(message.number(4) == amount, "I23", number, "a reversal of another amount");
        self.repeats(number, &earlier, &copy, message, empty_at);
        let Some(advice) = advice else {
            return self.fail("I39", number, "a reversal before the advice");
        };
        let (stan, moment) = (advice.message.of(11), advice.message.of(7));
        let named = format!("{:03x}{stan:0>6}{moment}", advice.message.mti >> 4);
        let name = message.of(90);
        let names = name.get(..3).zip(name.get(4..20)).map(|(mti, rest)| format!("{mti}{rest}"));
        self.check(names == Some(named), "I23", number, "DE 90 names something else");
        self.check(advice.host == host, "I25", number, "a reversal to another host");
    }

    /// A later copy is marked as one, and is otherwise the first.
    fn repeats(
        &mut self,
        number: u64,
        earlier: &Copy,
        copy: &Copy,
        message: &Message,
        empty_at: u64,
    ) {
        // A first copy that waits on one connection can be overtaken by a second on another.
        let marked = message.mti & 1 == 1 || empty_at <= earlier.at || copy.at == earlier.at;
        self.check(marked, "I22", number, "a second copy that is no repeat");
        let same = earlier.bytes == copy.bytes && earlier.host == copy.host;
        self.check(same, "I21", number, "a copy that differs from the first");
    }

    /// A host takes an advice, which it did not have.
    pub(crate) fn posts(&mut self, host: usize, message: &Message) {
        let number = message.sale();
        let Some(sale) = self.sales.get_mut(&number) else {
            return self.fail("I5", number, "a host was told what nobody did");
        };
        let twice = sale.advice.posted > 0 || sale.advice.retracted;
        sale.advice.posted = message.number(4);
        let is_told = sale.advice.is_told;
        let Some(original) = sale.original.clone() else { return };
        let said = sale.approval.as_ref().map(|[code, ..]| code.clone()).filter(|_| !is_told);
        let is_own = said.is_none_or(|code| code == message.of(38));
        self.check(!twice, "I36", number, "an advice is posted twice");
        self.check(is_own, "I36", number, "an advice with another DE 38 than the approval");
        let elements = [2, 3, 4, 7, 22, 25, 41, 42, 49];
        let also = [38_u8].into_iter().filter(|_| is_told);
        let altered = |element: &u8| original.of(*element) != message.of(*element);
        if let Some(element) = elements.into_iter().chain(also).find(altered) {
            self.fail("I36", number, format!("DE {element} of the advice to {host} is altered"));
        }
    }

    /// A host takes back what it was told.
    pub(crate) fn retracts(&mut self, number: u64) {
        if let Some(sale) = self.sales.get_mut(&number) {
            sale.advice.posted = 0;
            sale.advice.retracted = true;
        }
    }

    /// A host is to take back what it was never told.
    pub(crate) fn overtakes(&mut self, number: u64) {
        self.fail("I39", number, "a reversal reaches the host before its advice");
    }

    /// All is quiet: what is owed for advices is settled, and what was approved is told.
    pub(super) fn untold(&self) -> Vec<(&'static str, u64, String)> {
        let records = &self.records;
        let mut findings = Vec::new();
        for (&number, sale) in &self.sales {
            if records.exceptions.contains(&number) {
                continue;
            }
            let owed = records.advices.contains_key(&number);
            if owed && !records.advices_done.contains(&number) {
                findings.push(("I21", number, "an advice is never settled".into()));
            }
            let owed = records.retractions.contains(&number);
            if owed && !records.retractions_done.contains(&number) {
                findings.push(("I21", number, "a reversal is never settled".into()));
            }
            let stood_in = records.stood_in.contains(&number) && sale.saw.is_some();
            if stood_in && !sale.asked_back && sale.advice.posted != sale.amount {
                findings.push(("I36", number, "what was stood in for is not told".into()));
            }
        }
        findings
    }
}

/// What may be taken of what is held.
const fn most_of(held: u64) -> u64 {
    held * 115 / 100
}

impl Sale {
    /// What a host has given back for it, asked or told.
    pub(super) const fn given(&self) -> u64 {
        self.net + self.advice.posted
    }

    /// Its terminal tells, and does not ask.
    pub(super) const fn is_told(&self) -> bool {
        self.advice.is_told
    }
}

impl Copy {
    fn first(at: u64, host: usize, message: &Message, bytes: &[u8]) -> Self {
        let mut bytes = bytes.to_vec();
        bytes[8] &= 0xFE;
        Self { at, host, message: message.clone(), bytes }
    }
}

impl Spent {
    fn add(&mut self, amount: u64, counts: bool) {
        self.sum += if counts { amount } else { 0 };
        self.count += u32::from(counts);
    }
}
