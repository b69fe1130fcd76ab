//! The end of a run: who waits in vain, and whether all books agree.

use super::Oracle;
use crate::wire::Message;

impl Oracle {
    /// The switch says that it has drained: whom it let in, and who is still there, has an answer.
    pub(crate) fn drains(&mut self, is_there: impl Fn(usize) -> bool) {
        // Who can put nothing on record any more says nothing.
        let speaks = self.disk_failed_at.is_none();
        let those = self.asked.iter().filter(|(id, _)| is_there(**id) && speaks);
        let waits = those.into_iter().find_map(|(_, asked)| asked.first());
        if let Some(number) = waits.map(Message::sale) {
            self.fail("I49", number, "a request is not answered when the switch has drained");
        }
    }

    /// Nothing goes wrong any more: whoever still waits for an answer waits in vain.
    pub(crate) fn inspect(&mut self) {
        // A copy may be left without an answer by design; here one that is of no use any more.
        let matters = |request: &&Message| {
            let sale = self.sales.get(&request.sale());
            request.mti & 1 == 0 || !sale.is_some_and(|sale| sale.asked_back && sale.told)
        };
        let first = |asked: &Vec<Message>| asked.iter().find(matters).cloned();
        let waits = self.asked.iter().find_map(|(id, asked)| Some((*id, first(asked)?)));
        if let Some((connection, request)) = waits {
            let what = format!("connection {connection} still waits: {request:?}");
            self.fail("I3", request.sale(), what);
        }
    }

    /// All is quiet: the books must agree. `undisturbed`: nothing went wrong in this run.
    pub(crate) fn settle(&mut self, undisturbed: bool) {
        let mut findings = Vec::new();
        for (&number, sale) in &self.sales {
            let seen = if sale.asked_back { 0 } else { sale.saw.unwrap_or(0) };
            let listed = self.records.exceptions.contains(&number);
            // The host said no, approves all the same, and never told.
            let unknowable = sale.contradicted && !sale.approval_read;
            // Handed over, or perhaps before a crash, and its terminal never asks: it may be seen.
            let life = if sale.forwarded.is_some() { sale.life } else { sale.original_life };
            let crashed = life != self.life && self.records.approved.contains(&number);
            let unasked = !sale.asked_back && (sale.approval.is_some() || crashed);
            let in_doubt = unknowable || sale.saw.is_none() && unasked;
            let held = sale.net + sale.advice.posted;
            if held != seen && !listed && !in_doubt {
                let what = format!("the terminal saw {seen}, the host holds {held}");
                findings.push(("I1", number, what));
            }
            let owed = self.records.owed.contains(&number);
            if owed && !listed && !self.records.done.contains(&number) {
                findings.push(("I21", number, "an obligation is never settled".into()));
            }
            if undisturbed && sale.saw.is_none() && !sale.declined && !sale.misfits {
                findings.push(("I4", number, "not approved, though nothing went wrong".into()));
            }
        }
        findings.extend(self.untold());
        findings.extend(self.given_back_twice());
        for (rule, number, what) in findings {
            self.fail(rule, number, what);
        }
    }
}
