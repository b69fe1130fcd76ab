//! The partner host: books every request, then answers it well or badly, as the seed says.
//!
//! A fault never changes what is booked, only what the switch gets to know: the difference
//! between the two is what the switch has to make good. It answers 042x and 040x alike, by DE 90.

use super::action::{Action, Manner, Side, Wake};
use super::dice::{Fault, Faults, OF_REQUESTS, OF_REVERSALS, drawn};
use super::ledger::Ledger;
use super::message::Message;

/// The host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) ledger: Ledger,
    faults: Faults,
    seed: u64,
    /// The switch's answer deadline in ns, which late answers miss.
    deadline_ns: u64,
    /// No more faults: everything is answered at once.
    pub(crate) healed: bool,
    /// An answer that waits for another one to exchange STANs with.
    held: Option<(u64, Message)>,
    /// When the last message of class 4 came.
    pub(crate) reversal_at_ns: u64,
}

impl Host {
    /// A host with empty books.
    pub(crate) fn new(faults: Faults, seed: u64, deadline_ns: u64) -> Host {
        let (ledger, held) = (Ledger::default(), None);
        Host { ledger, faults, seed, deadline_ns, healed: false, held, reversal_at_ns: 0 }
    }

    /// One message of the switch.
    pub(crate) fn message(
        &mut self,
        now_ns: u64,
        connection: u64,
        message: Message,
        out: &mut Vec<Action>,
    ) {
        if message.is_answer() {
            return;
        }
        match message.class() {
            1 | 2 => self.request(now_ns, connection, message, out),
            4 => self.reversal(now_ns, connection, &message, out),
            _ => send(connection, message.answer("00"), Manner::Whole, out),
        }
    }

    /// A request that was put aside is booked and answered.
    pub(crate) fn book(&mut self, connection: u64, request: &Message, out: &mut Vec<Action>) {
        let answer = approval(request);
        self.ledger.book(request, answer.clone());
        send(connection, answer, Manner::Whole, out);
    }

    fn request(&mut self, now_ns: u64, connection: u64, request: Message, out: &mut Vec<Action>) {
        if let Some(place) = self.ledger.known(&request) {
            // The stored answer, under the STAN of the repeat.
            let answer = self.ledger.entries[place].answer.clone().with(11, request.of(11));
            return send(connection, answer, Manner::Whole, out);
        }
        let fault = self.fault(OF_REQUESTS, REQUESTS, request.of(37));
        let late_ns = now_ns + self.deadline_ns + self.deadline_ns / 5;
        if fault == Some(Fault::Overtaken) {
            let wake = Wake::Book { connection, request };
            return out.push(Action::Wake { at_ns: late_ns, wake });
        }
        let declines = matches!(fault, Some(Fault::Decline | Fault::DeclineApprove));
        let answer = if declines { request.answer("05") } else { approval(&request) };
        let place = self.ledger.book(&request, answer.clone());
        let later = |at_ns, message, manner| {
            let wake = Wake::Answer { connection, message, manner };
            Action::Wake { at_ns, wake }
        };
        match fault {
            None | Some(Fault::Decline) => send(connection, answer, Manner::Whole, out),
            Some(Fault::Late) => out.push(later(late_ns, answer, Manner::Whole)),
            Some(Fault::Slow) => {
                let at_ns = now_ns + self.deadline_ns / 2;
                out.push(later(at_ns, answer, Manner::Pieces));
            }
            Some(Fault::Twice) => {
                send(connection, answer.clone(), Manner::Whole, out);
                send(connection, answer, Manner::Whole, out);
            }
            Some(Fault::ApproveDecline) => {
                send(connection, answer, Manner::Whole, out);
                send(connection, request.answer("05"), Manner::Whole, out);
            }
            Some(Fault::DeclineApprove) => {
                self.ledger.approve(place, request.number(4));
                // Were the approval lost with the connection and the decline not, nobody could know
                // of it: a decline is final.
                send(connection, answer, Manner::WithNext, out);
                send(connection, approval(&request), Manner::Whole, out);
            }
            Some(Fault::Swapped) => self.swap(connection, answer, out),
            Some(Fault::Reset) => {
                out.push(Action::Reset { side: Side::Partner, connection });
            }
            Some(Fault::HalfFrame) => send(connection, answer, Manner::HalfThenReset, out),
            Some(fault) => {
                if let Some(answer) = distorted(answer, fault) {
                    send(connection, answer, Manner::Whole, out);
                }
            }
        }
    }

    /// Holds the first answer until there is a second, and exchanges their STANs.
    fn swap(&mut self, connection: u64, answer: Message, out: &mut Vec<Action>) {
        let Some((other_connection, other)) = self.held.take() else {
            self.held = Some((connection, answer));
            return;
        };
        let (stan, other_stan) = (answer.of(11).to_owned(), other.of(11).to_owned());
        send(connection, answer.with(11, other_stan), Manner::Whole, out);
        send(other_connection, other.with(11, stan), Manner::Whole, out);
    }

    fn reversal(
        &mut self,
        now_ns: u64,
        connection: u64,
        reversal: &Message,
        out: &mut Vec<Action>,
    ) {
        self.reversal_at_ns = now_ns;
        let attempt = self.ledger.note(reversal);
        let token = match attempt.entry {
            Some(place) => self.ledger.entries[place].name.1.as_str(),
            None => reversal.of(90),
        };
        match self.fault(OF_REVERSALS, REVERSALS, token) {
            Some(Fault::ReversalSilent) if attempt.number <= SILENT_ATTEMPTS => {}
            Some(Fault::ReversalRefused) if attempt.number == 1 => {
                send(connection, reversal.answer("96"), Manner::Whole, out);
            }
            _ => {
                let code = match attempt.entry {
                    Some(place) => {
                        self.ledger.reverse(place, reversal);
                        "00"
                    }
                    None => "25",
                };
                send(connection, reversal.answer(code), Manner::Whole, out);
            }
        }
    }

    fn fault(&self, group: &[Fault], salt: u64, token: &str) -> Option<Fault> {
        if self.healed {
            return None;
        }
        self.faults.choose(group, self.seed, salt, token)
    }
}

fn send(connection: u64, message: Message, manner: Manner, out: &mut Vec<Action>) {
    out.push(Action::Send { side: Side::Partner, connection, message, manner });
}

/// An approval, with an approval code that follows from the transaction.
fn approval(request: &Message) -> Message {
    let code = drawn(0, APPROVALS, request.of(37)) % 1_000_000;
    request.answer("00").with(38, format!("{code:06}"))
}

/// The answer with one field wrong; None if it is not sent at all.
fn distorted(answer: Message, fault: Fault) -> Option<Message> {
    let raised = |de: u8| (answer.number(de) + 1) % if de == 11 { 1_000_000 } else { u64::MAX };
    let (de, value) = match fault {
        Fault::WrongAmount => (4, format!("{:012}", raised(4))),
        Fault::WrongStan => (11, format!("{:06}", raised(11).max(1))),
        Fault::WrongRrn => (37, answer.of(37).chars().rev().collect()),
        Fault::WrongTerminal => (41, answer.of(41).chars().rev().collect()),
        _ => return None,
    };
    Some(answer.with(de, value))
}

/// A silent host keeps silent about so many attempts of a reversal.
const SILENT_ATTEMPTS: u32 = 3;
const REQUESTS: u64 = 1;
const REVERSALS: u64 = 2;
const APPROVALS: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::ledger::origin_of;

    fn request(token: &str, stan: &str) -> Message {
        let fields = [(4, "000000001250"), (7, "1122021245"), (11, stan), (37, token)];
        let fields = fields.into_iter().chain([(41, "TERM0001")]);
        fields.fold(Message::new(0x0100), |message, (de, value)| message.with(de, value))
    }

    fn host(faults: &str) -> Host {
        Host::new(faults.parse().unwrap(), 1, 500_000_000)
    }

    /// What a host with this one fault does with one request.
    fn actions(host: &mut Host, request: Message) -> Vec<Action> {
        let mut out = Vec::new();
        host.message(1_000, 4, request, &mut out);
        out
    }

    fn sent(actions: &[Action]) -> Vec<(&str, &str)> {
        let mut sent = Vec::new();
        for action in actions {
            if let Action::Send { message, .. } = action {
                sent.push((message.of(39), message.of(4)));
            }
        }
        sent
    }

    #[test]
    fn faults_change_what_is_said_and_not_what_is_booked() {
        for (fault, codes, approved) in [
            ("none", &["00"][..], 1250),
            ("silent:100", &[], 1250),
            ("late:100", &[], 1250),
            ("overtaken:100", &[], 0),
            ("twice:100", &["00", "00"], 1250),
            ("approve-decline:100", &["00", "05"], 1250),
            ("decline-approve:100", &["05", "00"], 1250),
            ("decline:100", &["05"], 0),
            ("wrong-amount:100", &["00"], 1250),
            ("reset:100", &[], 1250),
            ("swapped:100", &[], 1250),
        ] {
            let mut host = host(fault);
            let actions = actions(&mut host, request("RRN000000001", "000007"));
            let said: Vec<&str> = sent(&actions).iter().map(|(code, _)| *code).collect();
            assert_eq!(said, codes, "{fault}");
            let booked: u64 = host.ledger.entries.iter().map(|entry| entry.approved).sum();
            assert_eq!(booked, approved, "{fault}");
        }
    }

    #[test]
    fn a_decline_leaves_with_the_approval_that_contradicts_it() {
        let actions = actions(&mut host("decline-approve:100"), request("RRN000000001", "000007"));
        let manners: Vec<Manner> = actions
            .iter()
            .map(|action| match action {
                Action::Send { manner, .. } => *manner,
                _ => panic!("{action:?}"),
            })
            .collect();
        assert_eq!(manners, [Manner::WithNext, Manner::Whole]);
    }

    #[test]
    fn a_reversal_that_overtakes_finds_nothing_and_its_repeat_finds_the_booking() {
        let mut host = host("overtaken:100");
        let sale = request("RRN000000001", "000007");
        assert!(sent(&actions(&mut host, sale.clone())).is_empty());
        let mut reversal = request("RRN000000001", "000008");
        reversal.mti = 0x0420;
        reversal.fields.insert(90, format!("{}00000000000", origin_of(&sale)));
        assert_eq!(sent(&actions(&mut host, reversal.clone()))[0].0, "25");
        let mut out = Vec::new();
        host.book(4, &sale, &mut out);
        assert_eq!(sent(&out)[0].0, "00");
        reversal.mti = 0x0421;
        assert_eq!(sent(&actions(&mut host, reversal))[0].0, "00");
        let entry = &host.ledger.entries[0];
        assert_eq!((entry.approved, entry.reversed), (1250, 1250));
        assert!(host.ledger.breaches.is_empty(), "{:?}", host.ledger.breaches);
    }

    #[test]
    fn a_swapped_pair_exchanges_stans() {
        let mut host = host("swapped:100");
        actions(&mut host, request("RRN000000001", "000007"));
        let out = actions(&mut host, request("RRN000000002", "000008"));
        let pairs: Vec<(&str, &str)> = out
            .iter()
            .map(|action| match action {
                Action::Send { message, .. } => (message.of(37), message.of(11)),
                _ => panic!("{action:?}"),
            })
            .collect();
        assert_eq!(pairs, [("RRN000000002", "000007"), ("RRN000000001", "000008")]);
    }
}
