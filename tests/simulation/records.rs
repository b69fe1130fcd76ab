//! What the switch has made durable, read from its bytes alone: enough to judge the barriers.

use std::collections::{BTreeMap, BTreeSet};

use crate::wire::Message;

/// What is durable, by transaction (DE 37).
#[derive(Debug, Default)]
pub(crate) struct Records {
    sales: BTreeMap<u64, u64>,
    /// It was about to be sent to a partner.
    pub(crate) intents: BTreeSet<u64>,
    /// It was approved in the end.
    pub(crate) approved: BTreeSet<u64>,
    /// What was approved of it, if not all.
    pub(crate) parts: BTreeMap<u64, u64>,
    pub(crate) declined: BTreeSet<u64>,
    pub(crate) taken_back: BTreeSet<u64>,
    pub(crate) owed: BTreeSet<u64>,
    pub(crate) done: BTreeSet<u64>,
    /// An advice is owed, and its DE 38.
    pub(crate) advices: BTreeMap<u64, String>,
    pub(crate) advices_done: BTreeSet<u64>,
    /// What takes an advice back is owed.
    pub(crate) retractions: BTreeSet<u64>,
    pub(crate) retractions_done: BTreeSet<u64>,
    /// It was approved in the place of its partner.
    pub(crate) stood_in: BTreeSet<u64>,
    /// A person must look.
    pub(crate) exceptions: BTreeSet<u64>,
}

impl Records {
    /// One batch has become durable; `known` says whether a number is that of a transaction.
    pub(crate) fn read(&mut self, clear: &[u8], secret: &[u8], known: impl Fn(u64) -> bool) {
        let (mut rest, mut secret) = (clear, secret);
        while let [kind, low, high, behind @ ..] = rest {
            let (body, next) = behind.split_at(usize::from(u16::from_le_bytes([*low, *high])));
            rest = next;
            let id = u64_at(body, 0);
            match kind {
                1 => {
                    secret = &secret[usize::from(body[56])..];
                    if let Some(sale) = reference(&body[58..], &known) {
                        self.sales.insert(id, sale);
                        self.intents.insert(sale);
                    }
                }
                6 => {
                    let bytes = usize::from(u16::from_le_bytes([body[15], body[16]]));
                    let (message, others) = secret.split_at(bytes);
                    secret = others;
                    if let Ok(Some((message, _))) = Message::decode(message) {
                        self.owes(id, &message);
                    }
                }
                _ => self.of_known(*kind, id, body),
            }
        }
    }

    fn owes(&mut self, id: u64, message: &Message) {
        let sale = message.sale();
        self.sales.insert(id & !ROLES, sale);
        match role(id) {
            0 => {
                self.owed.insert(sale);
                self.done.remove(&sale);
            }
            1 => drop(self.advices.insert(sale, message.of(38).to_owned())),
            _ => drop(self.retractions.insert(sale)),
        }
    }

    fn of_known(&mut self, kind: u8, id: u64, body: &[u8]) {
        let Some(&sale) = self.sales.get(&(id & !ROLES)) else { return };
        match kind {
            2 => {
                let is_approved = body[8] & 1 == 1;
                let of = if is_approved { &mut self.approved } else { &mut self.declined };
                of.insert(sale);
                let part = Some(u64_at(body, 18)).filter(|part| *part != u64::MAX);
                self.parts.extend(part.map(|part| (sale, part)));
            }
            4 => drop(self.taken_back.insert(sale)),
            8 => {
                let of = [&mut self.done, &mut self.advices_done, &mut self.retractions_done];
                of.into_iter().nth(role(id)).map(|of| of.insert(sale));
            }
            10 => drop(self.stood_in.insert(sale)),
            9 => drop(self.exceptions.insert(sale)),
            _ => {}
        }
    }
}

/// In the number of what is owed for a transaction: a reversal of it, its advice, a reversal of
/// that.
const ROLES: u64 = 3 << 38;

fn role(id: u64) -> usize {
    ((id & ROLES) >> 38) as usize
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
    word.map_or(0, u64::from_le_bytes)
}

/// DE 37 stands in clear somewhere in what is kept: twelve digits that are a transaction's.
fn reference(kept: &[u8], known: impl Fn(u64) -> bool) -> Option<u64> {
    kept.windows(12).find_map(|window| {
        let text = std::str::from_utf8(window).ok()?;
        let number = text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse());
        number?.ok().filter(|number| known(*number))
    })
}
