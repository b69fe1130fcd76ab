//! What the judge knows of inquiries: they move no money, and may cost none.

use super::Oracle;
use crate::wire::Message;

impl Oracle {
    /// The kernel has taken the first byte of an inquiry to a host.
    pub(super) fn begins_inquiry(&mut self, host: usize, message: &Message) {
        let number = message.sale();
        let owed = self.records.owed.contains(&number);
        let Some(sale) = self.sales.get(&number) else {
            return self.fail("I5", number, "an inquiry about nothing");
        };
        let Some((other, original)) = sale.forwarded.clone() else {
            // What was mailed to the owner of a connection counts as sent.
            let is_mailed = self.mailed.contains(&number);
            return self.check(is_mailed, "I27", number, "an inquiry about what never left");
        };
        let named = format!("{:04x}{:0>6}{}", original.mti, original.of(11), original.of(7));
        let names = message.of(90).get(..20) == Some(&named);
        self.check(owed, "I20", number, "an inquiry leaves before its reversal is durable");
        self.check(message.number(4) == 0, "I23", number, "an inquiry about an amount");
        self.check(names, "I23", number, "DE 90 of an inquiry names something else");
        self.check(other == host, "I25", number, "an inquiry to another host");
    }

    /// The kernel has taken the first byte of the question whose a card is.
    pub(super) fn begins_consult(&mut self, host: usize, message: &Message) {
        let number = message.sale();
        let Some(sale) = self.sales.get(&number) else {
            return self.fail("I5", number, "a question about nothing");
        };
        let taken_back = sale.accepted_at.is_some_and(|at| at < sale.original_at);
        self.check(host == 1, "I5", number, "who does not know is asked");
        self.check(message.number(4) == 0, "I23", number, "a question about an amount");
        self.check(!taken_back, "I27", number, "a question about what was taken back");
    }

    /// A host says that it declined, or does not know, what it is asked about.
    pub(crate) fn disowns(&mut self, number: u64) {
        if let Some(sale) = self.sales.get_mut(&number) {
            sale.disowned = true;
        }
    }
}
