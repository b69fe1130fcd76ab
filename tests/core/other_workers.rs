//! A restart with another number of workers: STANs are shared out anew, and what must reach the
//! partner in an order still does.

use std::sync::Arc;
use std::time::Duration;

use authswitch::base::ids::WorkerId;
use authswitch::base::limits::STAN_MAX;
use authswitch::switch::index::TransactionIndex;
use authswitch::switch::pending::Share;
use authswitch::switch::recover::Recovery;
use authswitch::switch::{Counter, Outbox};

use crate::rig::{ACQUIRER, BUDGET, HOST, PARTNER, POS, Plain, Rig, answer_to, sale};

/// All workers of one life, each with a connection of its own to the partner.
struct Life {
    workers: Vec<Rig>,
}

impl Life {
    fn begins(count: u8, epoch: u32, key: u64, recovery: &Recovery) -> Self {
        let index = Arc::new(TransactionIndex::new(count, 1024));
        let worker = |worker| {
            let mut rig = Rig::closed("pos-bcd", "pos-bcd", |setup| {
                (setup.worker, setup.workers) = (WorkerId(worker), count);
                (setup.epoch, setup.key) = (epoch, key);
                setup.index = Some(Arc::clone(&index));
            });
            rig.outbox = Outbox::recorded(1);
            rig.switch.resume(rig.now, recovery, &mut rig.outbox);
            rig
        };
        let mut workers: Vec<Rig> = (0..count).map(worker).collect();
        for rig in &mut workers {
            rig.open(POS, ACQUIRER);
            rig.open(HOST, PARTNER);
        }
        Self { workers }
    }

    /// Everything on record is durable.
    fn store(&mut self, recovery: &mut Recovery) {
        for (worker, rig) in (0..).map(WorkerId).zip(&mut self.workers) {
            while let Some(batch) = rig.outbox.seal() {
                recovery.read_batch(worker, batch.number, &batch.clear, &batch.secret);
            }
            rig.outbox.durable(u64::MAX);
        }
    }

    /// What the partner has read, and of which worker.
    fn at_host(&mut self) -> Vec<(usize, Plain)> {
        let each = self.workers.iter_mut().enumerate();
        each.flat_map(|(worker, rig)| rig.at_host().into_iter().map(move |seen| (worker, seen)))
            .collect()
    }

    /// The partner takes it, on a connection of this worker; the worker whose it is hears of it.
    fn takes(&mut self, message: &Plain, reader: usize) {
        self.workers[reader].answer(message, "00");
        while let Some(relay) = self.workers[reader].outbox.next_relay() {
            assert_ne!(usize::from(relay.worker.0), reader, "nobody relays to itself");
            let answer = answer_to(message, "00");
            self.workers[usize::from(relay.worker.0)].relayed(&answer);
        }
    }

    fn count(&self, counter: Counter) -> u64 {
        self.workers.iter().map(|rig| rig.count(counter)).sum()
    }
}

/// A worker of so many whose numbers for what it owes are in two shares of others, and a key with
/// which it begins with the last of the first.
fn parted(then: u8, now: u8) -> impl Iterator<Item = (u8, u64)> {
    (0..then).flat_map(move |worker| {
        let share = Share::of(WorkerId(worker), then).owed();
        // The last but one: what nobody has a share in is behind it.
        let ends = (1..=u32::from(now)).map(move |of| of * (STAN_MAX / u32::from(now)));
        let both =
            ends.filter_map(move |end| Some((share.place_of(end)?, share.place_of(end + 1)?)));
        both.filter_map(move |(end, _)| Some((worker, u64::from(end.checked_sub(1)?))))
    })
}

/// An advice was told and not answered, so what comes behind it has not left.
fn told(worker: u8, then: u8, key: u64, behind: &Plain) -> (Plain, Recovery) {
    let mut recovery = Recovery::default();
    let mut life = Life::begins(then, 0, key, &Recovery::default());
    let place = usize::from(worker);
    life.workers[place].ask(POS, &sale(7).typed("0220"));
    life.store(&mut recovery);
    let [(_, told)] = <[_; 1]>::try_from(life.at_host()).expect("the advice");
    life.workers[place].ask(POS, behind);
    life.store(&mut recovery);
    assert_eq!(
        life.workers[place].at_pos().last().map(|told| told.code().to_owned()),
        Some("00".into())
    );
    assert!(life.at_host().is_empty(), "it waits for the advice");
    (told, recovery)
}

/// The advice goes first, and its answer is heard on whose connection it may come; then the other.
fn in_order(life: &mut Life, advice: &Plain, mti: &str, reader: usize) {
    let sent = life.at_host();
    let [(owner, again)] = <[_; 1]>::try_from(sent).expect("the advice, and nothing else");
    assert_eq!(again, advice.clone().typed("0221"), "what may have been sent keeps its STAN");
    life.takes(&again.typed("0220"), reader);
    life.store(&mut Recovery::default());
    let [(after, behind)] = <[_; 1]>::try_from(life.at_host()).expect("what waited for it");
    assert_eq!((&*behind.mti, after), (mti, owner));
    life.takes(&behind, reader);
    for rig in &mut life.workers {
        rig.wait(Duration::from_secs(900));
    }
    assert!(life.at_host().is_empty(), "both were taken");
    assert_eq!(life.count(Counter::UnmatchedAnswers), 0);
}

#[test]
fn nothing_overtakes_its_advice_whatever_the_number_of_workers() {
    let taken_back = sale(7).typed("0400").with(7, "1122050000");
    let of_its_card = sale(8).typed("0220").with(41, "TERM0002");
    let mut tried = 0;
    for (then, now) in [(1, 2), (1, 5), (1, 7), (2, 3), (2, 7), (3, 4), (3, 8), (4, 3), (7, 2)] {
        for (worker, key) in parted(then, now) {
            for (behind, mti) in [(&taken_back, "0420"), (&of_its_card, "0220")] {
                tried += 1;
                let (advice, mut recovery) = told(worker, then, key, behind);
                // Killed as soon as it has begun, and what it put on record is there or not.
                for (epoch, kept) in [(1, false), (2, true)] {
                    let mut life = Life::begins(now, epoch, key, &recovery);
                    let mut lost = Recovery::default();
                    life.store(if kept { &mut recovery } else { &mut lost });
                    assert_eq!(life.at_host().len(), 1, "{then}, now {now}: {behind:?}");
                }
                for (epoch, count, reader) in [(3, now, 0), (4, 3, 2), (5, then, then - 1)] {
                    let mut life = Life::begins(count, epoch, key, &recovery);
                    life.store(&mut Recovery::default());
                    in_order(&mut life, &advice, mti, usize::from(reader));
                }
            }
        }
    }

    assert!(tried >= 18, "{tried}");
}

/// The last STANs are in no share if there are several workers; whoever reads the answer knows.
#[test]
fn what_has_a_number_in_nobodys_share_is_settled_by_its_answer() {
    let key = u64::from(Share::of(WorkerId(0), 1).owed().place_of(STAN_MAX).expect("its own"));
    let mut recovery = Recovery::default();
    let mut life = Life::begins(1, 0, key - 1, &Recovery::default());
    life.workers[0].ask(POS, &sale(1));
    life.store(&mut recovery);
    assert_eq!(life.at_host().len(), 1);
    life.workers[0].wait(crate::rig::BUDGET);
    life.store(&mut recovery);
    let [(_, first)] = <[_; 1]>::try_from(life.at_host()).expect("its reversal");
    assert_eq!(first.of(11), Some("999999"));
    for reader in 0..2 {
        let mut life = Life::begins(2, 1, key, &recovery);
        life.store(&mut Recovery::default());
        life.workers.iter_mut().for_each(|rig| rig.wait(Duration::from_millis(10)));
        life.store(&mut Recovery::default());
        let [(_, again)] = <[_; 1]>::try_from(life.at_host()).expect("again");
        assert_eq!(again, first.clone().typed("0421"));
        life.takes(&first, reader);
        assert_eq!(life.count(Counter::ReversalsDone), 1, "read by {reader}");
    }
}

/// However many workers ask it, a partner is told of what is owed no faster.
#[test]
fn workers_share_the_rate_at_which_a_partner_is_told() {
    const OWED: usize = 1_500;
    let ms_with = |workers| {
        let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| setup.workers = workers);
        for stan in 1..=OWED as u32 {
            rig.ask(POS, &sale(stan));
        }
        assert_eq!(rig.at_host().len(), OWED);
        rig.wait(BUDGET);
        let mut told = 0;
        for ms in 1..10_000u64 {
            rig.wait(Duration::from_millis(1));
            let reversals = rig.at_host();
            reversals.iter().for_each(|reversal| rig.answer(reversal, "00"));
            told += reversals.len();
            if told == OWED {
                return ms;
            }
        }
        panic!("{told} of {OWED} were told");
    };
    let alone = ms_with(1);
    for workers in [2, 4] {
        let all = ms_with(workers);
        let times = all as f64 / alone as f64;
        let share = f64::from(workers);
        assert!((0.75 * share..1.25 * share).contains(&times), "{all} ms, alone {alone} ms");
    }
}
