//! One sale as its terminal knows it: what was asked, over which connections, and how it ended.
//!
//! It holds the rules for a single answer: is it addressed right, does it echo the request, does
//! it contradict an earlier one. When to send what is the fleet's business.

use std::collections::BTreeMap;

use super::ledger::{Breach, Name, Rule, name_of, origin_of};
use super::message::Message;

/// A sale.
#[derive(Debug)]
pub(crate) struct Sale {
    pub(crate) terminal: usize,
    pub(crate) name: Name,
    pub(crate) request: Message,
    /// What undoes it, once that has been sent.
    pub(crate) reversal: Option<Message>,
    pub(crate) outcome: Outcome,
    /// Counts the steps of the protocol, so that a timer of an earlier step is void.
    pub(crate) step: u32,
    /// The connection of the last message.
    pub(crate) connection: u64,
    /// It has been repeated, with or without saying so.
    pub(crate) asked_again: bool,
    /// Requests and answers by connection and class.
    counts: BTreeMap<(u64, u16), Counts>,
    /// DE 39 and 38 of the first answer.
    answered: Option<(String, String)>,
    reversal_answered: Option<String>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    requests: u32,
    answers: u32,
}

/// What the shopper and the shop believe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Asked, not yet known.
    Asking,
    /// Approved, this much in minor units.
    Approved(u64),
    /// Not approved.
    Declined,
    /// Unknown; being reversed.
    Reversing,
    /// Was unknown, and the switch has taken the reversal over.
    Reversed,
}

impl Sale {
    /// A sale of which nothing has been sent.
    pub(crate) fn new(terminal: usize, request: Message) -> Sale {
        Sale {
            terminal,
            name: name_of(&request),
            request,
            reversal: None,
            outcome: Outcome::Asking,
            step: 0,
            connection: 0,
            asked_again: false,
            counts: BTreeMap::new(),
            answered: None,
            reversal_answered: None,
        }
    }

    /// Notes that `message` was sent.
    pub(crate) fn sent(&mut self, connection: u64, message: &Message) {
        self.connection = connection;
        self.counts.entry((connection, message.class())).or_default().requests += 1;
    }

    /// Whether its terminal is still busy with it.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.outcome, Outcome::Asking | Outcome::Reversing)
    }

    /// The amount the POS saw approved and did not undo, in minor units.
    pub(crate) fn seen(&self) -> u64 {
        match self.outcome {
            Outcome::Approved(amount) => amount,
            _ => 0,
        }
    }

    /// The message that undoes the sale: 0400 at first, 0401 afterwards, otherwise the same.
    pub(crate) fn reversal(&mut self, stan: impl FnOnce() -> String) -> Message {
        if let Some(reversal) = &mut self.reversal {
            reversal.mti |= 1;
            return reversal.clone();
        }
        let original = format!("{}{:011}", origin_of(&self.request), 0);
        let mut reversal = self.request.clone().with(11, stan()).with(90, original);
        reversal.mti = 0x0400;
        reversal.fields.remove(&63);
        self.reversal = Some(reversal.clone());
        reversal
    }

    /// Takes an answer; true if it ends the protocol of this sale.
    pub(crate) fn answer(
        &mut self,
        connection: u64,
        answer: &Message,
        breaches: &mut Vec<Breach>,
    ) -> bool {
        let mut breach = |rule, what| {
            breaches.push(Breach { name: self.name.clone(), rule, what });
        };
        let class = answer.class();
        let asked = if class == 4 { self.reversal.as_ref() } else { Some(&self.request) };
        let counts = self.counts.entry((connection, class)).or_default();
        let Some(asked) = asked.filter(|_| counts.requests > 0) else {
            breach(Rule::Misdirected, format!("{} was not asked there", answer.mti_text()));
            return false;
        };
        if let Some(de) = unechoed(asked, answer) {
            let (was, is) = (asked.of(de), answer.of(de));
            breach(Rule::Misdirected, format!("DE {de} is {is}, asked {was}"));
            return false;
        }
        counts.answers += 1;
        if counts.answers > counts.requests {
            breach(Rule::AnsweredTwice, format!("{} again", answer.mti_text()));
        }
        if class == 4 { self.undone(answer, breaches) } else { self.settle(answer, breaches) }
    }

    fn settle(&mut self, answer: &Message, breaches: &mut Vec<Breach>) -> bool {
        let mut breach = |rule, what| {
            breaches.push(Breach { name: self.name.clone(), rule, what });
        };
        let (code, approval) = (answer.of(39).to_owned(), answer.of(38).to_owned());
        let approved = matches!(code.as_str(), "00" | "10");
        if approved && self.outcome == Outcome::Reversed {
            breach(Rule::ApprovedTooLate, "after the 0410".into());
        }
        match &self.answered {
            Some((first, _)) if approved && !matches!(first.as_str(), "00" | "10") => {
                breach(Rule::ApprovedTooLate, format!("after DE 39 {first}"));
            }
            Some(first)
                if matches!(first.0.as_str(), "00" | "10")
                    && *first != (code.clone(), approval.clone()) =>
            {
                let what = format!("DE 39/38 {code}/{approval} after {}/{}", first.0, first.1);
                breach(Rule::AnsweredTwice, what);
            }
            Some(_) => {}
            None => self.answered = Some((code, approval)),
        }
        if self.outcome != Outcome::Asking {
            return false;
        }
        self.outcome =
            if approved { Outcome::Approved(answer.number(4)) } else { Outcome::Declined };
        true
    }

    /// Only 00 and 25 say that the reversal is the switch's business now.
    fn undone(&mut self, answer: &Message, breaches: &mut Vec<Breach>) -> bool {
        let code = answer.of(39);
        if !matches!(code, "00" | "25") {
            return false;
        }
        if let Some(first) = self.reversal_answered.as_ref().filter(|first| *first != code) {
            let what = format!("0410 {code} after {first}");
            breaches.push(Breach { name: self.name.clone(), rule: Rule::AnsweredTwice, what });
        }
        self.reversal_answered = Some(code.to_owned());
        let was_open = self.outcome == Outcome::Reversing;
        if was_open {
            self.outcome = Outcome::Reversed;
        }
        was_open
    }
}

/// The first element that an answer should have echoed and did not.
fn unechoed(asked: &Message, answer: &Message) -> Option<u8> {
    let partial = answer.of(39) == "10";
    let echoed = [3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49].into_iter();
    let mut echoed = echoed.filter(|de| !(partial && *de == 4));
    echoed.find(|de| {
        let required = matches!(de, 4 | 11 | 37 | 41);
        let value = answer.of(*de);
        (required || !value.is_empty()) && value != asked.of(*de)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale() -> Sale {
        let fields = [(4, "000000001250"), (7, "1122021245"), (11, "000007"), (32, "12345")];
        let fields = fields.into_iter().chain([(37, "RRN000000001"), (41, "TERM0001")]);
        let request =
            fields.fold(Message::new(0x0100), |message, (de, value)| message.with(de, value));
        let mut sale = Sale::new(0, request.clone());
        sale.sent(3, &request);
        sale
    }

    fn told(sale: &mut Sale, connection: u64, answer: &Message) -> Vec<Rule> {
        let mut breaches = Vec::new();
        sale.answer(connection, answer, &mut breaches);
        breaches.into_iter().map(|breach| breach.rule).collect()
    }

    #[test]
    fn an_approval_is_seen_once() {
        let mut sale = sale();
        let answer = sale.request.answer("00");
        assert_eq!(told(&mut sale, 3, &answer), []);
        assert_eq!(sale.outcome, Outcome::Approved(1250));
        assert_eq!(told(&mut sale, 3, &answer), [Rule::AnsweredTwice]);
    }

    #[test]
    fn each_wrong_answer_is_named() {
        let answer = sale().request.answer("00");
        assert_eq!(told(&mut sale(), 4, &answer), [Rule::Misdirected]);
        for (de, value) in [(4, "000000001251"), (11, "000008"), (41, "TERM0002")] {
            let wrong = answer.clone().with(de, value);
            assert_eq!(told(&mut sale(), 3, &wrong), [Rule::Misdirected], "DE {de}");
        }
        let mut late = sale();
        let no = late.request.answer("91");
        told(&mut late, 3, &no);
        let request = late.request.clone();
        late.sent(3, &request);
        assert_eq!(told(&mut late, 3, &answer), [Rule::ApprovedTooLate]);
    }

    #[test]
    fn a_reversal_is_repeated_until_it_is_taken_over() {
        let mut sale = sale();
        sale.outcome = Outcome::Reversing;
        let first = sale.reversal(|| "000008".into());
        sale.sent(3, &first);
        assert_eq!(
            (first.mti, first.of(90)),
            (0x0400, "010000000711220212450000001234500000000000")
        );
        assert_eq!(told(&mut sale, 3, &first.answer("96")), []);
        assert_eq!(sale.outcome, Outcome::Reversing);
        let again = sale.reversal(|| unreachable!("the STAN stays"));
        assert_eq!((again.mti, &again.fields), (0x0401, &first.fields));
        sale.sent(3, &again);
        assert_eq!(told(&mut sale, 3, &first.answer("00")), []);
        assert_eq!((sale.outcome.clone(), sale.seen()), (Outcome::Reversed, 0));
        let late = sale.request.answer("00");
        assert_eq!(told(&mut sale, 3, &late), [Rule::ApprovedTooLate]);
    }
}
