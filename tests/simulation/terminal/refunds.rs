//! Terminals that give money back: part of their last sale, again and again, as if nobody counted.

use crate::dice::{Dice, mixed};
use crate::wire::Message;
use crate::world::World;

/// Chance of its own: what else happens in a world does not hang on it.
#[derive(Debug)]
pub(crate) struct Refunds {
    dice: Dice,
    /// True in one world in four.
    is_on: bool,
}

impl Refunds {
    pub(crate) fn none() -> Self {
        Self { dice: Dice::new(0), is_on: false }
    }

    pub(crate) fn new(seed: u64) -> Self {
        Self { dice: Dice::new(mixed(mixed(seed))), is_on: seed % 4 == 3 }
    }
}

impl World {
    /// Makes a refund of the last sale of what the terminal has begun, if it likes to.
    pub(super) fn may_refund(&mut self, place: usize) -> bool {
        let terminal = &mut self.terminals[place];
        let Some((sold, amount)) = &terminal.sold else { return false };
        if !self.refunds.is_on || !self.refunds.dice.chance(500) {
            return false;
        }
        let part = self.refunds.dice.between(amount / 4, *amount).max(2);
        let (stan, moment) = (sold.of(11), sold.of(7));
        let named = format!("{:04x}{stan}{moment}{}", sold.mti, "0".repeat(22));
        let is_told = self.refunds.dice.chance(300);
        let is_to_another = self.refunds.dice.chance(100);
        let request = &mut terminal.request;
        request.mti = if is_told { 0x0220 } else { 0x0200 };
        request.set(2, sold.of(2)).set(3, "200000").set(4, format!("{part:012}")).set(90, named);
        if is_to_another {
            request.set(2, "4761340000009999");
        }
        if is_told {
            request.set(38, format!("T{:05}", request.number(37) % 100_000));
        }
        terminal.approved = part;
        terminal.named.insert(format!("{:04x}{}{}", request.mti, request.of(11), request.of(7)));
        self.oracle.begins_refund((request, part), sold, is_to_another);
        true
    }

    /// What the terminal asked is approved: it is a sale, unless it gave money back.
    pub(super) fn is_sold(&mut self, place: usize, answer: &Message) {
        let terminal = &mut self.terminals[place];
        if terminal.request.of(3) == "000000" {
            terminal.sold = Some((terminal.request.clone(), answer.number(4)));
        }
    }
}
