//! Terminals that tell what they have done: sales made offline, completions, and now and then one
//! of more than was held.

use super::{Act, Stage};
use crate::faults::Fault;
use crate::wire::Message;
use crate::world::World;

impl World {
    /// What was begun is not asked but told: a sale made offline, or the completion of what was
    /// pre-authorized last.
    pub(super) fn begins_telling(&mut self, place: usize) {
        let terminal = &mut self.terminals[place];
        let request = &mut terminal.request;
        request.mti |= 0x20;
        request.set(38, format!("T{:05}", request.number(37) % 100_000));
        let open = terminal.open.take();
        if let Some((open, held)) = &open {
            let (stan, moment) = (open.of(11), open.of(7));
            // From a half to five quarters of what is held.
            let taken = held / 2 + request.number(4) % (held * 3 / 4).max(1) + 1;
            request.mti = 0x0220;
            request.set(2, open.of(2)).set(90, format!("0100{stan}{moment}{}", "0".repeat(22)));
            request.set(4, format!("{taken:012}"));
            terminal.approved = taken;
        }
        let (sale, amount) = (request.sale(), request.number(4));
        let completes = open.map(|(open, _)| open.sale());
        self.oracle.begins_advice(sale, amount, completes);
        self.tells(place);
    }

    /// Sends the advice, for the first time or again.
    pub(super) fn tells(&mut self, place: usize) {
        let elsewhere = self.dice.chance(300);
        let terminal = &mut self.terminals[place];
        if terminal.stage != Stage::Telling {
            (terminal.stage, terminal.attempts) = (Stage::Telling, 0);
        }
        let mut message = terminal.request.clone();
        message.mti |= u16::from(terminal.attempts > 0);
        terminal.attempts += 1;
        let patience = 1000 * u64::from(terminal.attempts.min(8));
        self.sends(place, elsewhere, &message);
        self.plans(place, (patience, patience + 2000), Act::Tell);
        if self.strike(Fault::Repeat) {
            self.plans(place, (0, 500), Act::Tell);
        }
    }

    /// Its advice is answered: taken over, refused for good, or to be told again.
    pub(super) fn is_heard(&mut self, place: usize, message: &Message) {
        match message.of(39) {
            "00" => {
                self.oracle.is_told(message.sale());
                self.holds_or_finishes(place);
            }
            "13" | "25" => self.is_finished(place),
            _ => {}
        }
    }
}
