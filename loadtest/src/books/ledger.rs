//! The books of the host: what was approved, what was reversed, and what must not have come.
//!
//! Pure bookkeeping by the messages received; it sends nothing and knows no fault. A request
//! that comes twice as new is booked twice, as a simple host would do, because the double sale
//! is what the comparison has to find.

use std::collections::BTreeMap;

use super::message::Message;

/// What a transaction is called on both sides: terminal and RRN (the token).
pub(crate) type Name = (String, String);

/// The name of a message's transaction.
pub(crate) fn name_of(message: &Message) -> Name {
    (message.of(41).to_owned(), message.of(37).to_owned())
}

/// A rule that was broken, and by which transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) name: Name,
    pub(crate) rule: Rule,
    /// One sentence: what was seen.
    pub(crate) what: String,
}

/// The rules that are not about the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// The same request came to the host twice as new.
    ForwardedTwice,
    /// DE 90 does not name what the host received.
    WrongOriginal,
    /// DE 4 of a reversal is not what was approved.
    WrongReversalAmount,
    /// A reversal came twice as new, with another STAN, or changed.
    WrongRepeat,
    /// More answers than requests on a connection, or different ones.
    AnsweredTwice,
    /// An answer to somebody else, or that does not echo its request.
    Misdirected,
    /// An approval after the switch had said no, or had taken the reversal over.
    ApprovedTooLate,
}

/// One booked request.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: Name,
    /// In minor units; 0 if declined.
    pub(crate) approved: u64,
    /// In minor units.
    pub(crate) reversed: u64,
    /// What was answered, for repeats.
    pub(crate) answer: Message,
}

/// The books.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
    /// Entries by class and name.
    by_name: BTreeMap<(u16, Name), usize>,
    /// Entries by what DE 90 says of a request: MTI, STAN, DE 7, DE 32.
    by_origin: BTreeMap<String, usize>,
    /// Reversals seen, by their DE 90.
    reversals: BTreeMap<String, Reversal>,
    pub(crate) breaches: Vec<Breach>,
    /// Messages of class 4 received.
    pub(crate) reversals_received: u64,
}

#[derive(Debug)]
struct Reversal {
    stan: String,
    fields: BTreeMap<u8, String>,
    attempts: u32,
}

/// How a reversal stands after one more attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// Counts from 1.
    pub(crate) number: u32,
    /// The entry it reverses; None if the books have no such request.
    pub(crate) entry: Option<usize>,
}

impl Ledger {
    /// The entry of which this request is a marked repeat.
    pub(crate) fn known(&mut self, request: &Message) -> Option<usize> {
        let place = *self.by_name.get(&(request.class(), name_of(request)))?;
        if !request.is_repeat() {
            return None;
        }
        self.by_origin.insert(origin_of(request), place);
        Some(place)
    }

    /// Books a request with the answer it gets; approved if that says 00.
    pub(crate) fn book(&mut self, request: &Message, answer: Message) -> usize {
        let (name, place) = (name_of(request), self.entries.len());
        let approved = if answer.of(39) == "00" { request.number(4) } else { 0 };
        self.by_origin.insert(origin_of(request), place);
        if self.by_name.insert((request.class(), name.clone()), place).is_some() {
            let what = format!("{} STAN {} again", request.mti_text(), request.of(11));
            self.breach(&name, Rule::ForwardedTwice, what);
        }
        self.entries.push(Entry { name, approved, reversed: 0, answer });
        place
    }

    /// Books the amount of a request whose first answer was a decline.
    pub(crate) fn approve(&mut self, place: usize, amount: u64) {
        self.entries[place].approved = amount;
    }

    /// Notes a reversal and what is wrong with it; nothing is reversed yet.
    pub(crate) fn note(&mut self, reversal: &Message) -> Attempt {
        self.reversals_received += 1;
        let original = reversal.of(90);
        let entry = original.get(..31).and_then(|origin| self.by_origin.get(origin)).copied();
        let name =
            entry.map_or_else(|| name_of(reversal), |place| self.entries[place].name.clone());
        match entry {
            None if self.knows(&name) => {
                let what = format!("{} DE 90 {original}", reversal.mti_text());
                self.breach(&name, Rule::WrongOriginal, what);
            }
            Some(place) => {
                let approved = self.entries[place].approved;
                if name_of(reversal) != name {
                    let what = format!("{} is of {:?}", reversal.mti_text(), name_of(reversal));
                    self.breach(&name, Rule::WrongOriginal, what);
                }
                if approved > 0 && reversal.number(4) != approved {
                    let what = format!("{} of {approved}", reversal.of(4));
                    self.breach(&name, Rule::WrongReversalAmount, what);
                }
            }
            None => {}
        }
        let number = self.note_repeat(reversal, &name);
        Attempt { number, entry }
    }

    /// True if a transaction of this name was ever booked. Asked of each reversal that finds
    /// nothing, and after a thousand kills those are a hundred thousand among half a million.
    fn knows(&self, name: &Name) -> bool {
        REQUESTS.into_iter().any(|class| self.by_name.contains_key(&(class, name.clone())))
    }

    fn note_repeat(&mut self, reversal: &Message, name: &Name) -> u32 {
        let stan = reversal.of(11).to_owned();
        let fields = reversal.fields.clone();
        let seen = self.reversals.entry(reversal.of(90).to_owned());
        let seen = seen.or_insert(Reversal { stan: stan.clone(), fields, attempts: 0 });
        seen.attempts += 1;
        let number = seen.attempts;
        let what = if number == 1 {
            None
        } else if seen.stan != stan {
            Some(format!("STAN {stan} after {}", seen.stan))
        } else if !reversal.is_repeat() {
            Some(format!("{} as attempt {number}", reversal.mti_text()))
        } else {
            let mut elements = seen.fields.keys().chain(reversal.fields.keys());
            let differs = elements.find(|de| seen.fields.get(de) != reversal.fields.get(de));
            differs.map(|de| format!("DE {de} changed in attempt {number}"))
        };
        if let Some(what) = what {
            self.breach(name, Rule::WrongRepeat, what);
        }
        number
    }

    /// Reverses an entry; doing it again changes nothing. DE 95 says what is to remain.
    pub(crate) fn reverse(&mut self, place: usize, reversal: &Message) {
        let entry = &mut self.entries[place];
        let remains = reversal.of(95).get(..12).and_then(|digits| digits.parse().ok());
        entry.reversed = entry.approved.saturating_sub(remains.unwrap_or(0));
    }

    fn breach(&mut self, name: &Name, rule: Rule, what: String) {
        self.breaches.push(Breach { name: name.clone(), rule, what });
    }
}

/// The classes of what is booked: authorizations, and financial messages.
const REQUESTS: [u16; 2] = [1, 2];

/// The front of DE 90 of a request: MTI 4, STAN 6, DE 7 10, DE 32 11.
pub(crate) fn origin_of(request: &Message) -> String {
    let [stan, sent, acquirer] = [11, 7, 32].map(|de| request.of(de));
    format!("{}{stan:0>6}{sent:0>10}{acquirer:0>11}", request.mti_text())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(mti: u16, stan: &str) -> Message {
        let fields = [(4, "000000001250"), (7, "1122021245"), (11, stan), (32, "12345")];
        let named = [(37, "RRN000000001"), (41, "TERM0001")];
        let fields = fields.into_iter().chain(named);
        fields.fold(Message::new(mti), |message, (de, value)| message.with(de, value))
    }

    fn reversal(mti: u16, of: &Message, stan: &str) -> Message {
        let mut reversal = request(mti, stan);
        reversal.fields.insert(90, format!("{}00000000000", origin_of(of)));
        reversal
    }

    fn booked(request: &Message) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.book(request, request.answer("00"));
        ledger
    }

    fn rules(ledger: &Ledger) -> Vec<Rule> {
        ledger.breaches.iter().map(|breach| breach.rule).collect()
    }

    #[test]
    fn a_reversal_and_its_repeats_reverse_once() {
        let sale = request(0x0100, "000007");
        let mut ledger = booked(&sale);
        for (mti, number) in [(0x0420, 1), (0x0421, 2), (0x0421, 3)] {
            let reversal = reversal(mti, &sale, "000008");
            assert_eq!(ledger.note(&reversal), Attempt { number, entry: Some(0) });
            ledger.reverse(0, &reversal);
        }
        assert_eq!((ledger.entries[0].approved, ledger.entries[0].reversed), (1250, 1250));
        assert_eq!(rules(&ledger), []);
    }

    #[test]
    fn each_wrong_reversal_is_named() {
        let sale = request(0x0100, "000007");
        let first = reversal(0x0420, &sale, "000008");
        let other = first.clone().with(90, "010000999911220212450000001234500000000000");
        let less = reversal(0x0420, &sale, "000008").with(4, "000000001249");
        for (wrong, rule) in [(other, Rule::WrongOriginal), (less, Rule::WrongReversalAmount)] {
            let mut ledger = booked(&sale);
            ledger.note(&wrong);
            assert_eq!(rules(&ledger), [rule]);
        }
        let again = [
            reversal(0x0420, &sale, "000008"),
            reversal(0x0421, &sale, "000009"),
            reversal(0x0421, &sale, "000008").with(25, "00"),
        ];
        for wrong in again {
            let mut ledger = booked(&sale);
            ledger.note(&first);
            ledger.note(&wrong);
            assert_eq!(rules(&ledger), [Rule::WrongRepeat], "{wrong:?}");
        }
    }

    #[test]
    fn a_reversal_of_what_never_arrived_finds_nothing_and_is_no_breach() {
        let mut ledger = Ledger::default();
        let lost = request(0x0100, "000007");
        let attempt = ledger.note(&reversal(0x0420, &lost, "000008"));
        assert_eq!((attempt.entry, rules(&ledger)), (None, vec![]));
    }

    /// A reversal that is not found asks for its name, whatever the class of what has it.
    #[test]
    fn a_wrong_original_is_named_for_each_class_of_request() {
        for mti in [0x0100, 0x0200] {
            let sale = request(mti, "000007");
            let mut ledger = booked(&sale);
            ledger.note(&reversal(0x0420, &request(mti, "000009"), "000008"));
            assert_eq!(rules(&ledger), [Rule::WrongOriginal], "{mti:04x}");
        }
    }

    /// Ten thousand that find nothing, in books of a hundred thousand: with a search through all
    /// of them each time that takes nine seconds, and the switch waits for its answers as long.
    #[test]
    fn what_finds_nothing_is_not_searched_for_everywhere() {
        let (mut ledger, sale) = (Ledger::default(), request(0x0100, "000007"));
        for number in 0..100_000 {
            let sale = sale.clone().with(37, format!("RRN{number:09}"));
            ledger.book(&sale, sale.answer("00"));
        }
        let begun_ns = crate::clock::now_ns();
        for number in 0..10_000 {
            let lost = request(0x0100, &format!("{:06}", 10_000 + number));
            let lost = lost.with(37, format!("LOST{number:08}"));
            let named = reversal(0x0420, &lost, "000008").with(37, lost.of(37).to_owned());
            assert_eq!(ledger.note(&named).entry, None);
        }
        assert_eq!(rules(&ledger), []);
        let took_ns = crate::clock::now_ns() - begun_ns;
        assert!(took_ns < 5_000_000_000, "{took_ns} ns");
    }

    #[test]
    fn new_twice_is_booked_twice_and_a_marked_repeat_is_known() {
        let sale = request(0x0100, "000007");
        let mut ledger = booked(&sale);
        assert_eq!(ledger.known(&request(0x0101, "000009")), Some(0));
        assert_eq!(ledger.known(&sale), None);
        ledger.book(&request(0x0100, "000010"), sale.answer("00"));
        assert_eq!((ledger.entries.len(), rules(&ledger)), (2, vec![Rule::ForwardedTwice]));
    }
}
