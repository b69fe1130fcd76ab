//! What records say of one older transaction, and how it is asked for.
//!
//! The window of [`super::recent`] holds seconds to minutes; records hold what their retention
//! allows. Here are both ends of the way between them: the keys under which an index on the disk
//! finds the records of a transaction again, and what is made of these records. Where they stand,
//! and how they are found, is none of the core's business. What is sent back was folded by whoever
//! looked, on a thread that may take its time.

use crate::base::codes::ResponseCode;
use crate::base::ids::WorkerId;
use crate::iso8583::kept::Kept;

use super::number::{self, Role};
use super::recent::{Fate, Hearing, Past, TerminalKey};
use super::record::{self, Outcome, Record, Weight};
use super::recover::Lanes;
use super::repeat::padded;

/// Which transaction is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sought {
    /// What its terminal key may hash to: the newest is meant.
    pub hashes: [Option<u64>; 4],
    /// Its date; see [`TerminalKey::moment`].
    pub moment: u64,
    /// How much the date must agree.
    pub dated: Dated,
}

/// How much the date of what is sought must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dated {
    /// To the second, or both have none.
    Exactly,
    /// If both have one: the newest that may be it.
    IfKnown,
}

/// A question to whoever keeps the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Under which the answer is expected.
    pub ticket: u64,
    /// What is sought.
    pub sought: Sought,
}

/// The answer.
#[derive(Debug)]
pub struct Answer {
    /// That of the question.
    pub ticket: u64,
    /// What was found.
    pub found: Found,
}

/// What became of a search.
#[derive(Debug)]
pub enum Found {
    /// This one.
    Older(Box<Older>),
    /// It is in no record that is kept.
    Nothing,
    /// Nobody can say at present.
    Unsaid,
}

/// A transaction as its records tell it.
#[derive(Debug)]
pub struct Older {
    pub(super) past: Past,
    pub(super) kept: Kept,
    /// What its answer, and its terminal, made of it.
    said: Fate,
    /// A reversal of what its partner was asked is owed, or was.
    is_undone: bool,
    /// What was given back of it, or taken of what it holds.
    pub(super) weights: Vec<Weight>,
}

impl Older {
    /// The newest in a batch that was asked under this hash and date.
    pub fn find(hash: u64, moment: u64, clear: &[u8], secret: &[u8]) -> Option<Self> {
        let is_it = |key: &TerminalKey| key.hash == hash && key.moment == moment;
        let mut found = None;
        for record in record::read(clear, secret) {
            match record {
                Record::Intent(intent) if is_it(&intent.key) => {
                    let mut kept = Kept::default();
                    kept.gather([intent.head, intent.pan, intent.tail]);
                    let mut past = Past::default();
                    (past.id, past.key, past.acquirer) = (intent.id, intent.key, intent.acquirer);
                    (past.partner, past.stan) = (Some(intent.partner), intent.stan);
                    past.amount = intent.amount;
                    // Until its records say more.
                    (past.fate, past.code) = (Fate::Unknown, padded(ResponseCode::INOPERATIVE));
                    found = Some(Self::new(past, kept));
                }
                Record::Refused(refused) if is_it(&refused.key) => {
                    let mut past = Past::default();
                    (past.id, past.key) = (refused.id, refused.key);
                    (past.acquirer, past.code) = (refused.acquirer, refused.code);
                    found = Some(Self::new(past, Kept::default()));
                }
                _ => {}
            }
        }
        found
    }

    /// Its identity.
    pub const fn id(&self) -> u64 {
        self.past.id
    }

    /// Reads what a batch says of it; batches come in the order in which they became durable.
    pub fn read(&mut self, clear: &[u8], secret: &[u8]) {
        let id = self.past.id;
        for record in record::read(clear, secret) {
            match record {
                Record::Outcome(outcome) if outcome.id == id => self.end(&outcome),
                Record::TakenBack(taken_back) if taken_back == id => self.said = Fate::Reversed,
                Record::Owed(owed) if number::transaction_of(owed.id) == id => {
                    match number::role_of(owed.id) {
                        Role::Reversal => self.is_undone = true,
                        // Its partner knows it by this from now on.
                        Role::Advice => {
                            (self.past.told, self.past.stan) = (Hearing::Advised, owed.stan);
                        }
                        // Its terminal's word, or that of the switch, is on record beside it.
                        Role::AdviceReversal => {}
                    }
                }
                Record::Weight(weight) if weight.of == id => self.weights.push(weight),
                _ => {}
            }
        }
        self.past.fate = match self.past.told {
            Hearing::Asked if self.is_undone => Fate::Reversed,
            // What was undone is what the partner was asked; then it was approved in its place.
            Hearing::Asked | Hearing::Advised => self.said,
        };
    }

    /// Refunds, voids and completions of it, as far as was read: what became of each is in batches
    /// of its own.
    pub fn weights(&self) -> Vec<u64> {
        self.weights.iter().map(|weight| weight.id).collect()
    }

    /// Reads what a batch says of one of those. What was declined or is undone weighs nothing;
    /// what is in doubt does.
    pub fn read_weight(&mut self, refund: u64, clear: &[u8], secret: &[u8]) {
        let is_over = record::read(clear, secret).any(|record| match record {
            Record::Outcome(outcome) => outcome.id == refund && !outcome.approved,
            Record::TakenBack(taken_back) => taken_back == refund,
            Record::Owed(owed) => {
                number::transaction_of(owed.id) == refund
                    && number::role_of(owed.id) != Role::Advice
            }
            _ => false,
        });
        if is_over {
            self.weights.retain(|weight| weight.id != refund);
        }
    }

    /// The worker in whose lane the advice of it stands or stood: what takes it back must not
    /// overtake it.
    pub(super) fn follows(&self, workers: u8, lanes: &Lanes) -> Option<WorkerId> {
        match self.past.told {
            Hearing::Asked => None,
            Hearing::Advised => lanes.owner(self.past.id, self.past.stan, workers),
        }
    }

    fn new(past: Past, kept: Kept) -> Self {
        Self { past, kept, said: past.fate, is_undone: false, weights: Vec::new() }
    }

    fn end(&mut self, outcome: &Outcome) {
        let past = &mut self.past;
        (past.code, past.approval, past.part) = (outcome.code, outcome.approval, outcome.part);
        // What is reversed stays so, whatever is said behind it.
        if self.said != Fate::Reversed {
            self.said = match outcome.approved {
                true => Fate::Approved { waiting: 0, handed: true },
                false => Fate::Declined,
            };
        }
    }
}

/// The keys of what stands in a batch.
pub fn keys(clear: &[u8], secret: &[u8], each: &mut dyn FnMut([u8; 16])) {
    for record in record::read(clear, secret) {
        match record {
            Record::Intent(intent) => each(of_request(intent.key.hash, intent.key.moment)),
            Record::Refused(refused) => each(of_request(refused.key.hash, refused.key.moment)),
            Record::Outcome(Outcome { id, .. }) | Record::TakenBack(id) => each(of_transaction(id)),
            Record::Owed(owed) => each(of_transaction(number::transaction_of(owed.id))),
            Record::Weight(weight) => each(of_transaction(weight.of)),
            _ => {}
        }
    }
}

/// The key under which a request is found.
pub const fn of_request(hash: u64, moment: u64) -> [u8; 16] {
    joined(hash, moment)
}

/// The first and the last key of requests with this hash, whatever their date.
pub const fn of_requests(hash: u64) -> [[u8; 16]; 2] {
    [joined(hash, 0), joined(hash, NO_MOMENT - 1)]
}

/// The key under which is found what became of a transaction.
pub const fn of_transaction(id: u64) -> [u8; 16] {
    joined(id, NO_MOMENT)
}

/// Hash and date in the key of a request.
pub const fn parts_of(key: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_be_bytes(*key);
    ((both >> 64) as u64, both as u64)
}

/// True if it is the key of a request.
pub const fn is_of_request(key: &[u8; 16]) -> bool {
    parts_of(key).1 != NO_MOMENT
}

const fn joined(first: u64, second: u64) -> [u8; 16] {
    ((first as u128) << 64 | second as u128).to_be_bytes()
}

/// No date: those have ten decimal digits.
const NO_MOMENT: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::LinkId;
    use crate::switch::pending::Share;
    use crate::switch::record::{Intent, Owed, Records, Refused};
    use crate::switch::saf::Kind;

    const KEY: TerminalKey = TerminalKey { hash: 1, moment: 2, fingerprint: 3 };

    fn written(records: &[Record<'_>]) -> Records {
        let mut all = Records { on: true, ..Records::default() };
        records.iter().for_each(|record| all.push(record));
        all
    }

    fn intent(id: u64, key: TerminalKey) -> Record<'static> {
        let (acquirer, partner) = (LinkId(0), LinkId(1));
        Record::Intent(Intent {
            id,
            at_s: 5,
            acquirer,
            partner,
            stan: 42,
            key,
            amount: Some(100),
            head: b"head",
            tail: b"tail",
            pan: b"pan",
        })
    }

    fn outcome(id: u64, approved: bool) -> Record<'static> {
        let code = if approved { *b"00 " } else { *b"05 " };
        let approval = approved.then_some(*b"AUTH01");
        Record::Outcome(Outcome { id, approved, code, approval, part: None })
    }

    /// What records say of the transaction that was asked under [`KEY`].
    fn told(records: &[Record<'_>]) -> Option<Older> {
        let all = written(records);
        let mut older = Older::find(KEY.hash, KEY.moment, &all.clear, &all.secret)?;
        older.read(&all.clear, &all.secret);
        Some(older)
    }

    #[test]
    fn its_records_tell_what_became_of_it_and_no_other() {
        let (mine, other) = (intent(7, KEY), TerminalKey { moment: 9, ..KEY });
        let fate = |records: &[Record<'_>]| told(records).map(|older| older.past.fate);
        let approved = Some(Fate::Approved { waiting: 0, handed: true });
        let taken_back = Record::TakenBack(7);
        let (kind, message) = (Kind::Reversal, b"0420");
        let owed = Record::Owed(Owed { id: 7, partner: LinkId(1), stan: 9, kind, message });
        assert_eq!(fate(&[intent(8, other), outcome(8, true)]), None);
        assert_eq!(fate(&[intent(8, other), mine, outcome(8, true)]), Some(Fate::Unknown));
        assert_eq!(fate(&[mine, outcome(7, true), outcome(8, false)]), approved);
        assert_eq!(fate(&[mine, outcome(7, false)]), Some(Fate::Declined));
        assert_eq!(fate(&[mine, outcome(7, true), taken_back]), Some(Fate::Reversed));
        assert_eq!(fate(&[mine, owed, outcome(7, true)]), Some(Fate::Reversed));
        let older = told(&[intent(6, KEY), mine, outcome(7, true)]).expect("found");
        assert_eq!((older.id(), older.past.approval), (7, Some(*b"AUTH01")), "the newest");
        assert_eq!(older.kept.bytes(), b"headpantail");
        let code = *b"91 ";
        let refused = Refused { id: 7, acquirer: LinkId(0), key: KEY, code, rule: b"" };
        let older = told(&[Record::Refused(refused)]).expect("found");
        assert_eq!((older.past.fate, older.past.code), (Fate::Declined, code));
    }

    /// What was asked is undone, and then approved in the place of its partner: an approval, known
    /// to the partner by its advice, until its terminal or the switch takes it back.
    #[test]
    fn an_advice_makes_it_an_approval_whatever_was_undone_before() {
        let owed = |role: Role, stan: u32| {
            let (id, kind) = (number::owed(7, role), role.kind());
            Record::Owed(Owed { id, partner: LinkId(1), stan, kind, message: b"0220" })
        };
        let (undone, advice) = (owed(Role::Reversal, 9), owed(Role::Advice, 10));
        let (mine, approved) = (intent(7, KEY), outcome(7, true));
        let is_approved = Fate::Approved { waiting: 0, handed: true };
        for (records, fate) in [
            (vec![mine, advice, approved], is_approved),
            (vec![mine, undone, advice, approved], is_approved),
            // What is still owed is noted again, in any order.
            (vec![mine, undone, advice, approved, undone, advice], is_approved),
            (vec![mine, advice, approved, undone], is_approved),
            (vec![mine, undone, advice, approved, Record::TakenBack(7), advice], Fate::Reversed),
        ] {
            let past = told(&records).expect("found").past;
            assert_eq!((past.fate, past.told, past.stan), (fate, Hearing::Advised, 10));
        }
        let asked = told(&[mine, approved]).expect("found");
        assert_eq!((asked.past.told, asked.follows(4, &Lanes::default())), (Hearing::Asked, None));
        let told = told(&[mine, advice, approved]).expect("found");
        assert_eq!(told.follows(4, &Lanes::default()), Share::owner(10, 4));
    }

    #[test]
    fn each_record_that_matters_has_a_key_and_dates_stand_side_by_side() {
        let all = written(&[intent(7, KEY), outcome(7, true), Record::Handed(7), Record::Done(7)]);
        let mut found = Vec::new();
        keys(&all.clear, &all.secret, &mut |key| found.push(key));
        assert_eq!(found, [of_request(1, 2), of_transaction(7)]);
        for role in Role::ALL {
            let (id, kind) = (number::owed(7, role), role.kind());
            let owed = Owed { id, partner: LinkId(1), stan: 9, kind, message: b"0420" };
            let all = written(&[Record::Owed(owed)]);
            keys(&all.clear, &all.secret, &mut |key| assert_eq!(key, of_transaction(7)));
        }
        let [first, last] = of_requests(1);
        let within = first..=last;
        assert!(within.contains(&of_request(1, 0)) && within.contains(&of_request(1, 2)));
        assert!(!within.contains(&of_transaction(1)) && !within.contains(&of_request(2, 0)));
    }
}
