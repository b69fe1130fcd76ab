//! What memory has forgotten: looked up, and then as if it had been remembered all the time.

use std::time::Duration;

use authswitch::base::limits;
use authswitch::switch::older::{self, Answer, Dated, Found, Older, Question, Sought};
use authswitch::switch::{Counter, Event, Outbox, Setup};

use crate::money::one_reversal;
use crate::rig::{ACQUIRER, HOST, PARTNER, POS, POS_2, Plain, Rig, answer_to, sale};

/// A switch that remembers 64 transactions, and everything it ever put on record.
pub(crate) struct Site {
    pub(crate) rig: Rig,
    batches: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Site {
    fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut rig = Rig::closed("pos-bcd", "pos-bcd", |setup| {
            (setup.has_archive, setup.recent_bytes) = (true, 1);
            change(setup);
        });
        rig.outbox = Outbox::recorded(1);
        for (session, link) in [(POS, ACQUIRER), (HOST, PARTNER), (POS_2, ACQUIRER)] {
            rig.open(session, link);
        }
        Self { rig, batches: Vec::new() }
    }

    pub(crate) fn store(&mut self) {
        while let Some(batch) = self.rig.outbox.seal() {
            self.batches.push((batch.clear, batch.secret));
        }
        self.rig.outbox.durable(u64::MAX);
    }

    /// Sends, and returns what comes back once all is durable.
    pub(crate) fn ask(&mut self, message: &Plain) -> Vec<Plain> {
        self.rig.ask(POS, message);
        self.store();
        self.rig.at_pos()
    }

    pub(crate) fn sell(&mut self, stan: u32) {
        assert!(self.ask(&sale(stan)).is_empty());
        let seen = self.rig.at_host().pop().expect("forwarded");
        self.rig.say(&answer_to(&seen, "00").with(38, &format!("{stan:06}")));
        self.store();
        assert_eq!(self.rig.at_pos()[0].code(), "00");
    }

    /// A switch that has approved sale 1 and forgotten it.
    fn forgetful() -> Self {
        let mut site = Self::new();
        site.sell(1);
        site.forget();
        site
    }

    /// Other sales, until nothing before them is remembered.
    pub(crate) fn forget(&mut self) {
        (2..=200).for_each(|stan| self.sell(stan));
        assert!(self.rig.outbox.questions.is_empty(), "a first request asks nobody");
    }

    /// Looks in the records, one after the other; of those it does not read what no key leads to.
    pub(crate) fn search(&self, sought: &Sought) -> Found {
        let means = |moment| match sought.dated {
            Dated::Exactly => moment == sought.moment,
            Dated::IfKnown => moment == 0 || sought.moment == 0 || moment == sought.moment,
        };
        for hash in sought.hashes.into_iter().flatten() {
            let [first, last] = older::of_requests(hash);
            for (clear, secret) in self.batches.iter().rev() {
                let mut moment = None;
                older::keys(clear, secret, &mut |key| {
                    let is_it = (first..=last).contains(&key) && means(older::parts_of(&key).1);
                    moment = is_it.then(|| older::parts_of(&key).1).or(moment);
                });
                let found = moment.and_then(|moment| Older::find(hash, moment, clear, secret));
                let Some(mut found) = found else { continue };
                for (clear, secret) in self.batches_of(found.id()) {
                    found.read(clear, secret);
                }
                for weight in found.weights() {
                    for (clear, secret) in self.batches_of(weight) {
                        found.read_weight(weight, clear, secret);
                    }
                }
                return Found::Older(Box::new(found));
            }
        }
        Found::Nothing
    }

    /// Those that the key of what became of a transaction leads to.
    fn batches_of(&self, id: u64) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
        let its_key = older::of_transaction(id);
        let is_led_to = move |(clear, secret): &(&Vec<u8>, &Vec<u8>)| {
            let mut is_led_to = false;
            older::keys(clear, secret, &mut |key| is_led_to |= key == its_key);
            is_led_to
        };
        self.batches.iter().map(|(clear, secret)| (clear, secret)).filter(is_led_to)
    }

    /// Answers the one question there is; returns what its terminal hears.
    #[track_caller]
    pub(crate) fn look_up(&mut self) -> Vec<Plain> {
        let question = self.question();
        let found = self.search(&question.sought);
        self.answer(question.ticket, found)
    }

    /// The one question there is.
    #[track_caller]
    pub(crate) fn question(&mut self) -> Question {
        let questions = std::mem::take(&mut self.rig.outbox.questions);
        let [question] = questions[..] else { panic!("one question was due: {questions:?}") };
        question
    }

    pub(crate) fn answer(&mut self, ticket: u64, found: Found) -> Vec<Plain> {
        self.rig.feed(Event::Looked(Answer { ticket, found }));
        self.store();
        self.rig.at_pos()
    }

    pub(crate) fn host_saw_nothing(&mut self) {
        assert!(self.rig.at_host().is_empty());
    }
}

pub(crate) fn repeat(stan: u32) -> Plain {
    sale(stan).typed("0201")
}

#[track_caller]
pub(crate) fn heard(told: &[Plain], mti: &str, code: &str) {
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].mti.as_str(), told[0].code()), (mti, code));
}

#[test]
fn a_forgotten_approval_is_approved_again_and_not_forwarded() {
    let mut site = Site::forgetful();
    assert!(site.ask(&repeat(1)).is_empty(), "it waits");
    let told = site.look_up();
    heard(&told, "0210", "00");
    assert_eq!(told[0].of(38), Some("000001"));
    // Remembered again, nobody is asked.
    heard(&site.ask(&repeat(1)), "0210", "00");
    assert!(site.rig.outbox.questions.is_empty());
    heard(&site.ask(&repeat(1).with(4, "000000009999")), "0210", "94");
    site.host_saw_nothing();
    assert_eq!(site.rig.count(Counter::FoundOlder), 1);
}

#[test]
fn a_forgotten_approval_is_taken_back_whatever_names_it() {
    let named = |stan: u32| {
        let original = format!("0200{stan:06}1122021245{:022}", 0);
        sale(stan).typed("0400").with(11, "009000").with(90, &original)
    };
    for asked in [sale(1).typed("0400"), sale(1).typed("0401"), named(1), named(1).typed("0420")] {
        let mut site = Site::forgetful();
        let stan = site.batches.len();
        assert!(site.ask(&asked).is_empty(), "it waits");
        let told = site.look_up();
        assert_eq!((told.len(), told[0].code()), (1, "00"), "{asked:?}");
        let reversal = one_reversal(&mut site.rig);
        assert_eq!(reversal.of(38), Some("000001"));
        assert!(site.batches.len() > stan, "it is on record");
        // Known to be reversed, and when that is forgotten too, looked up as such.
        heard(&site.ask(&repeat(1)), "0210", "91");
        site.rig.answer(&reversal, "00");
        (201..=400).for_each(|stan| site.sell(stan));
        assert!(site.ask(&repeat(1)).is_empty());
        heard(&site.look_up(), "0210", "91");
        site.host_saw_nothing();
    }
}

#[test]
fn what_was_never_asked_is_as_new_and_is_not_looked_up_twice() {
    let mut site = Site::forgetful();
    assert!(site.ask(&repeat(900)).is_empty());
    assert!(site.look_up().is_empty());
    let seen = site.rig.at_host().pop().expect("forwarded");
    assert_eq!(seen.mti, "0201");
    site.rig.answer(&seen, "00");
    site.store();
    heard(&site.rig.at_pos(), "0210", "00");
    assert!(site.ask(&sale(901).typed("0400")).is_empty());
    heard(&site.look_up(), "0410", "25");
    // Taken back in advance: should it come yet, it is not forwarded.
    heard(&site.ask(&sale(901)), "0210", "91");
    assert!(site.rig.outbox.questions.is_empty());
    site.host_saw_nothing();
}

/// Nobody can say, or says it too late: that is no licence to forward, nor is it "not found". A
/// repeat is told nothing: what it hears its original has heard, which may be approved.
#[test]
fn what_cannot_be_looked_up_is_not_forwarded_and_may_be_asked_again() {
    for (message, codes) in [(repeat(1), &[][..]), (sale(1).typed("0400"), &["96"])] {
        let mut site = Site::forgetful();
        let told = |told: Vec<Plain>| told.iter().map(|m| m.code().to_owned()).collect::<Vec<_>>();
        assert!(site.ask(&message).is_empty());
        let question = site.rig.outbox.questions.pop().expect("asked");
        assert_eq!(told(site.answer(question.ticket, Found::Unsaid)), codes);
        assert!(site.ask(&message).is_empty());
        let question = site.rig.outbox.questions.pop().expect("asked again");
        site.rig.wait(limits::LOOK_UP_DEADLINE - Duration::from_millis(1));
        assert!(site.rig.at_pos().is_empty(), "it has time");
        site.rig.wait(Duration::from_millis(1));
        assert_eq!(told(site.rig.at_pos()), codes);
        assert!(site.answer(question.ticket, Found::Nothing).is_empty(), "too late");
        site.host_saw_nothing();
        assert!(site.ask(&message).is_empty());
        assert_eq!(site.look_up()[0].code(), "00", "at last");
    }
}

#[test]
fn who_hangs_up_while_it_waits_is_not_forwarded_and_who_listens_is_answered() {
    let mut site = Site::forgetful();
    site.rig.ask(POS_2, &repeat(901));
    let question = site.rig.outbox.questions.pop().expect("asked");
    site.rig.feed(Event::Closed { session: POS_2 });
    assert!(site.answer(question.ticket, Found::Nothing).is_empty());
    site.host_saw_nothing();

    assert!(site.ask(&repeat(1)).is_empty());
    site.rig.feed(Event::Ended { session: POS });
    site.rig.feed(Event::Drain);
    assert!(site.rig.closes().is_empty() && !site.rig.switch.is_drained(), "it waits");
    heard(&site.look_up(), "0210", "00");
    assert!(site.rig.switch.is_drained());
    assert_eq!(site.rig.closes(), [POS]);
}

/// Two copies wait: the first answer serves both.
#[test]
fn copies_that_wait_together_are_forwarded_once() {
    let mut site = Site::forgetful();
    assert!(site.ask(&repeat(900)).is_empty() && site.ask(&repeat(900)).is_empty());
    for question in std::mem::take(&mut site.rig.outbox.questions) {
        assert!(site.answer(question.ticket, Found::Nothing).is_empty());
    }
    let seen = site.rig.at_host();
    assert_eq!(seen.len(), 1, "{seen:?}");
    site.rig.answer(&seen[0], "00");
    site.store();
    assert_eq!(site.rig.at_pos().len(), 2);
}

/// What the first copy did, the second finds done, though it was looked up before.
#[test]
fn copies_of_a_reversal_that_wait_together_take_back_once() {
    let mut site = Site::forgetful();
    let taken_back = sale(1).typed("0400");
    assert!(
        site.ask(&taken_back).is_empty() && site.ask(&taken_back.clone().typed("0401")).is_empty()
    );
    let questions = std::mem::take(&mut site.rig.outbox.questions);
    let found: Vec<_> = questions.iter().map(|question| site.search(&question.sought)).collect();
    for (question, found) in questions.iter().zip(found) {
        heard(&site.answer(question.ticket, found), "0410", "00");
    }
    let reversal = one_reversal(&mut site.rig);
    site.rig.answer(&reversal, "00");
    site.rig.wait(Duration::from_secs(900));
    site.host_saw_nothing();
    assert_eq!(site.rig.count(Counter::ReversalsOwed), 1);
}

/// However slow the look-up is: the copy that comes behind its answer need not wait for another.
#[test]
fn what_is_found_too_late_is_there_for_the_next_copy() {
    for (message, mti) in [(repeat(1), "0210"), (sale(1).typed("0400"), "0410")] {
        let mut site = Site::forgetful();
        assert!(site.ask(&message).is_empty());
        let question = site.question();
        site.rig.wait(limits::LOOK_UP_DEADLINE);
        match mti {
            "0210" => assert!(site.rig.at_pos().is_empty(), "its original may be approved"),
            _ => heard(&site.rig.at_pos(), mti, "96"),
        }
        let found = site.search(&question.sought);
        assert!(site.answer(question.ticket, found).is_empty(), "it was answered");
        heard(&site.ask(&message), mti, "00");
        assert!(site.rig.outbox.questions.is_empty());
    }
}

#[test]
fn only_so_many_wait() {
    let mut site = Site::new();
    for stan in 1..=limits::LOOK_UPS_MAX as u32 {
        assert!(site.ask(&repeat(stan)).is_empty());
    }
    assert!(site.ask(&repeat(5000)).is_empty());
    assert_eq!(site.rig.outbox.questions.len(), limits::LOOK_UPS_MAX, "this one does not");
    site.host_saw_nothing();
}

/// After a restart the connections of a terminal are read in any order.
#[test]
fn a_repeat_that_is_read_before_its_original_declines_nothing() {
    let mut site = Site::new();
    assert!(site.ask(&repeat(1)).is_empty());
    let question = site.rig.outbox.questions.pop().expect("asked");
    assert!(site.answer(question.ticket, Found::Unsaid).is_empty());
    site.sell(1);
    heard(&site.ask(&repeat(1)), "0210", "00");
}
