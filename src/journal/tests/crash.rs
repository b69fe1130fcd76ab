//! The process ends, the power goes, the disk fails: at every operation there is.

use super::*;
use disk::{Dice, Fault};

/// Per worker, the last batch that was reported durable.
type Told = [u64; 2];

/// Runs until `count` batches are stored or the journal fails.
fn run(disk: &Disk, options: &Options, count: u64) -> Told {
    let mut told = [0; 2];
    let Ok((writer, mut desks, _)) = open(disk, options) else { return told };
    for round in 0..count {
        let worker = (round % 2) as usize;
        told[worker] = desks[worker].durable();
        if !put(&mut desks[worker], worker as u8) {
            assert_eq!(desks[worker].state(), State::Failed);
            assert!(desks[worker].failure().is_some() && writer.failure().is_some());
        }
    }
    writer.stop();
    [desks[0].durable(), desks[1].durable()]
}

/// Checks that each worker's batches are a prefix of what it handed in, and long enough.
fn check(found: &[Stored], told: Told, what: &str) {
    for worker in 0..2 {
        let theirs: Vec<&Stored> = found.iter().filter(|stored| stored.0 == worker).collect();
        for (stored_at, number) in theirs.iter().zip(1..) {
            assert_eq!(**stored_at, stored(worker, &batch(worker, number)), "{what}");
        }
        assert!(theirs.len() as u64 >= told[usize::from(worker)], "{what}: {told:?} was told");
    }
}

fn sound(disk: &Disk, options: &Options, what: &str) -> Vec<Stored> {
    recovered(disk, options).unwrap_or_else(|halt| panic!("{what}: {halt}")).1
}

/// Stops a run at each of its operations, then each start after it at each of its own.
fn stop_everywhere(durability: Durability, end: impl Fn(&Disk, u64)) {
    let mut options = options();
    options.durability = durability;
    for at in 1.. {
        let disk = Disk::new();
        disk.fail(Fault::Stop(at));
        let told = run(&disk, &options, 24);
        if !disk.has_stopped() {
            assert!(at > 40, "{at} operations are not all");
            return;
        }
        end(&disk, at);
        let found = sound(&disk.fork(), &options, &format!("stopped at {at}"));
        check(&found, told, &format!("stopped at {at}"));
        for again in (1..).step_by(1 + at as usize % 3) {
            let what = format!("stopped at {at} and again at {again}");
            let disk = disk.fork();
            disk.fail(Fault::Stop(again));
            let opened = open(&disk, &options);
            if let Ok((writer, _, first)) = opened {
                assert_eq!(first, found, "{what}");
                writer.stop();
            }
            if !disk.has_stopped() {
                break;
            }
            end(&disk, again);
            assert_eq!(sound(&disk, &options, &what), found, "{what}");
        }
    }
}

#[test]
fn a_power_cut_loses_nothing_that_was_told() {
    stop_everywhere(Durability::Power, |disk, seed| disk.power_cut(seed));
    stop_everywhere(Durability::Power, |disk, seed| disk.power_cut(!seed));
}

#[test]
fn the_end_of_the_process_loses_nothing_that_was_told() {
    stop_everywhere(Durability::Process, |disk, _| disk.restart());
    stop_everywhere(Durability::Power, |disk, _| disk.restart());
}

#[test]
fn the_first_failed_operation_is_the_last() {
    let faults = (1..).map(Fault::Sync).take(30).chain((1..).map(Fault::Write).take(30));
    for fault in faults {
        let disk = Disk::new();
        let (writer, mut desks, _) = open(&disk, &options()).expect("an empty disk");
        // The second thread may be making a segment ready; that may fail as well.
        disk.fail(fault);
        let mut told = [0; 2];
        wait("a failure", || {
            for worker in 0..2 {
                if put(&mut desks[worker], worker as u8) {
                    told[worker] = desks[worker].durable();
                }
            }
            desks[0].state() == State::Failed
        });
        let failed_at = disk.operations();
        assert!(!put(&mut desks[0], 0) && !put(&mut desks[1], 1), "nothing is taken any more");
        let failure = desks[0].failure().expect("it says what failed").to_string();
        assert!(failure.contains("segment, offset ") && failure.contains("cannot"), "{failure}");
        writer.stop();
        assert_eq!([desks[0].durable(), desks[1].durable()], told, "{fault:?}");
        assert!(!disk.synced_again(), "{fault:?}");
        assert!(disk.operations() <= failed_at + 8, "only the second thread finished its order");

        // What a start reads, it keeps, though the system does not know that it is not written.
        disk.restart();
        let found = sound(&disk, &options(), "after a failure");
        check(&found, told, "after a failure");
        disk.power_cut(7);
        assert_eq!(sound(&disk, &options(), "after a power cut"), found, "{fault:?}");
    }
}

#[test]
fn many_runs_many_cuts() {
    let mut dice = Dice(1);
    let disk = Disk::new();
    let mut told = [0; 2];
    for run in 0..60 {
        disk.fail(Fault::Stop(1 + dice.below(60)));
        if let Ok((writer, mut desks, found)) = open(&disk, &options()) {
            check(&found, told, "a later run");
            for round in 0..20 {
                if !put(&mut desks[round % 2], (round % 2) as u8) {
                    break;
                }
            }
            writer.stop();
            told = [desks[0].durable(), desks[1].durable()];
        }
        if dice.below(2) == 0 { disk.power_cut(run) } else { disk.restart() }
    }
    check(&sound(&disk, &options(), "the last run"), told, "the last run");
    assert!(told[0] > 50, "something was stored: {told:?}");
}
