//! What a worker does for whoever keeps its records.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crossbeam::queue::ArrayQueue;

use super::cores::{Counts, Echo};
use super::*;
use crate::net::{Make, Store};
use crate::switch::batch::Batch;
use crate::switch::record::{self, Record};
use crate::switch::{Outbox, Storage};

/// What a worker said to its store.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    HandedIn { number: u64, names: Option<u64> },
    NotedAgain,
}

/// A store that wants batches up to 7 noted again, and takes nothing at first.
struct Forgetful {
    said: SyncSender<Said>,
    wants: Option<u64>,
    refusals: u32,
    durable: u64,
    wake: Option<Box<dyn Fn() + Send>>,
}

impl std::fmt::Debug for Forgetful {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Forgetful")
    }
}

impl Forgetful {
    fn made(refusals: u32) -> (Make<Echo>, Receiver<Said>) {
        let (said, heard) = sync_channel(16);
        let store = Self { said, wants: Some(7), refusals, durable: 0, wake: None };
        let (core, outbox) = (Echo::default(), Outbox::recorded(1));
        (Make { store: Some(Box::new(store)), outbox, ..Make::from(core) }, heard)
    }

    fn wake(&self) {
        self.wake.iter().for_each(|wake| wake());
    }
}

impl Store for Forgetful {
    fn hand_in(&mut self, batch: Batch) -> Result<(), Batch> {
        if self.refusals > 0 {
            self.refusals -= 1;
            self.wake();
            return Err(batch);
        }
        let named = record::read(&batch.clear, &batch.secret).find_map(|record| match record {
            Record::Handed(number) => Some(number),
            _ => None,
        });
        self.durable = batch.number;
        self.said.send(Said::HandedIn { number: batch.number, names: named }).expect("heard");
        self.wake();
        Ok(())
    }

    fn durable(&self) -> u64 {
        self.durable
    }

    fn spare(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        None
    }

    fn storage(&self) -> Storage {
        Storage::Ready
    }

    fn giving_up(&mut self) -> Option<u64> {
        self.wants.take()
    }

    fn noted_again(&mut self) {
        self.said.send(Said::NotedAgain).expect("heard");
    }

    fn on_progress(&mut self, wake: Box<dyn Fn() + Send>) {
        wake();
        self.wake = Some(wake);
    }
}

/// The core is asked once; the answer goes only when what it noted was taken.
#[test]
fn what_is_to_be_forgotten_is_noted_again_before_it_may_be() {
    for refusals in [0, 3] {
        let (made, heard) = Forgetful::made(refusals);
        let (sender, _notices) = sync_channel(100);
        let once = ArrayQueue::new(1);
        drop(once.push(made));
        let make = move |_| once.pop().expect("one worker");
        let shell: Shell<Counts> = Shell::start(&plan(1), make, sender).expect("starts");
        let hears = || heard.recv_timeout(PATIENCE).expect("it says something");
        assert_eq!(hears(), Said::HandedIn { number: 1, names: Some(7) });
        assert_eq!(hears(), Said::NotedAgain);
        shell.drain();
        shell.join();
        assert!(heard.try_recv().is_err(), "and nothing else");
    }
}
