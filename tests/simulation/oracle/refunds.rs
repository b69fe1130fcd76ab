//! What the judge knows of refunds: they go to who has the sale, name it as it is known there, and
//! are no more than it, all together.

use super::{Oracle, Sale};
use crate::wire::Message;

/// Of which sale, and whether its terminal would give it to another account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefundOf {
    sale: u64,
    is_to_another: bool,
}

impl Oracle {
    /// A terminal begins to give back what it sold.
    pub(crate) fn begins_refund(
        &mut self,
        (request, amount): (&Message, u64),
        sold: &Message,
        is_to_another: bool,
    ) {
        let sale = sold.sale();
        let given: u64 = self.refunds_of(sale).map(|(_, refund)| refund.amount).sum();
        let sold = self.sales.get(&sale).and_then(|sale| sale.saw).unwrap_or(0);
        let misfits = is_to_another || given + amount > sold;
        let refund = Some(RefundOf { sale, is_to_another });
        if request.is_advice() {
            self.begins_advice(request.sale(), amount, None);
        }
        let known = self.sales.entry(request.sale()).or_default();
        (known.amount, known.refund, known.misfits) = (amount, refund, misfits);
    }

    fn refunds_of(&self, sale: u64) -> impl Iterator<Item = (&u64, &Sale)> {
        let is_it = move |refund: &&RefundOf| refund.sale == sale;
        self.sales.iter().filter(move |(_, other)| other.refund.as_ref().filter(is_it).is_some())
    }

    /// A refund begins to leave.
    pub(super) fn begins_refunding(&mut self, host: usize, message: &Message) {
        let number = message.sale();
        let refund = self.sales.get(&number).and_then(|refund| refund.refund);
        let strays = refund.is_some_and(|refund| refund.is_to_another);
        self.check(!strays, "I29", number, "a refund to another account");
        let sale = refund.and_then(|refund| self.sales.get(&refund.sale));
        let Some((other, original)) = sale.and_then(|sale| sale.forwarded.clone()) else { return };
        let named = format!("{:04x}{:0>6}{}", original.mti, original.of(11), original.of(7));
        let names = message.of(90).get(..20) == Some(&named);
        let is_stood_in = refund.is_some_and(|of| self.records.stood_in.contains(&of.sale));
        self.check(other == host || is_stood_in, "I25", number, "a refund to another host");
        self.check(names || is_stood_in, "I23", number, "DE 90 of a refund names something else");
    }

    /// All is quiet: sales that were given back more than once over.
    pub(super) fn given_back_twice(&self) -> Vec<(&'static str, u64, String)> {
        let mut findings = Vec::new();
        for (&number, sale) in &self.sales {
            let counts = |(refund, other): &(&u64, &Sale)| {
                let unknowable = other.contradicted && !other.approval_read;
                !self.records.exceptions.contains(refund) && !unknowable
            };
            let given: u64 =
                self.refunds_of(number).filter(counts).map(|(_, refund)| refund.given()).sum();
            let sold = sale.saw.unwrap_or(0);
            if given > sold {
                findings.push(("I1", number, format!("sold for {sold}, given back: {given}")));
            }
        }
        findings
    }
}
