//! The files of the index against a plain set, crashes, and every damaged byte.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::disk::{Dice, Fault};
use super::*;

/// Keys and places in the order in which they came, and how much of it the index should have.
struct Model {
    rows: Vec<(IndexKey, Place)>,
    oldest: u64,
}

/// So few that they gather; the real index takes 262,144.
const RUN_ROWS: usize = 40;

const START: Place = Place { segment: 1, offset: 0 };

impl Model {
    const fn new() -> Self {
        Self { rows: Vec::new(), oldest: 1 }
    }

    /// Some more rows, in blocks of three: scattered keys, such that count up, and such that come
    /// again and again.
    fn grow(&mut self, count: usize, dice: &mut Dice) {
        for _ in 0..count.next_multiple_of(3) {
            let number = self.rows.len() as u64;
            let hash = dice.below(u64::MAX);
            let (first, second) = match dice.below(4) {
                0 => (hash, dice.below(3)),
                1 => (number, u64::MAX),
                2 => (dice.below(4), 7),
                _ => (hash, u64::MAX),
            };
            let place = Place { segment: 1 + number / 51, offset: number % 51 / 3 * 512 };
            self.rows.push((key_of(first, second), place));
        }
    }

    /// Adds what the index does not cover.
    fn feed(&self, index: &mut Index) -> Result<(), IndexError> {
        self.feed_from(index, index.covered())
    }

    /// Adds all that stands in the segment where it ends, and behind.
    fn feed_again(&self, index: &mut Index) -> Result<(), IndexError> {
        let from = Place { offset: 0, ..index.covered() };
        index.read_again(from.segment);
        self.feed_from(index, from)
    }

    fn feed_from(&self, index: &mut Index, from: Place) -> Result<(), IndexError> {
        let from = self.rows.partition_point(|(_, place)| *place < from);
        for rows in self.rows[from..].chunks(9) {
            let (_, last) = rows[rows.len() - 1];
            index.add(rows, Place { offset: last.offset + 512, ..last })?;
        }
        Ok(())
    }

    /// Checks that everything up to `covered` is found that is not too old, and nothing else.
    fn check(&self, index: &mut Index, covered: Place) {
        let found = index.find_between(&[0; 16], &[0xFF; 16]).expect("readable");
        assert!(found.is_sorted() && !found.windows(2).any(|two| two[0] == two[1]));
        let found: BTreeSet<_> = found.into_iter().collect();
        let all: BTreeSet<_> = self.rows.iter().copied().collect();
        assert!(found.is_subset(&all), "something that was never added");
        for row in all.iter().filter(|(_, place)| *place < covered) {
            let is_there = found.contains(row);
            assert!(is_there || row.1.segment < self.oldest, "{row:?} is missing");
        }
    }

    /// Looks some keys up one by one.
    fn look_up(&self, index: &mut Index, dice: &mut Dice) {
        for _ in 0..10 {
            let key = match dice.below(self.rows.len() as u64 + 2) as usize {
                at if at < self.rows.len() => self.rows[at].0,
                _ => key_of(dice.below(u64::MAX), dice.below(3)),
            };
            let places: BTreeSet<Place> = index.find(&key).expect("readable").into_iter().collect();
            let of_key = self.rows.iter().filter(|row| row.0 == key).map(|row| row.1);
            let all: BTreeSet<Place> = of_key.filter(|place| *place < index.covered()).collect();
            assert!(places.is_subset(&all));
            assert!(all.difference(&places).all(|place| place.segment < self.oldest));
        }
    }
}

fn key_of(first: u64, second: u64) -> IndexKey {
    (u128::from(first) << 64 | u128::from(second)).to_be_bytes()
}

fn opened(disk: &Disk) -> Index {
    Index::open_in(Arc::new(disk.clone()), RUN_ROWS).expect("an index")
}

fn runs(disk: &Disk) -> usize {
    disk.files().keys().filter(|name| name.ends_with(".run")).count()
}

#[derive(Debug, Clone)]
enum Step {
    Grow(usize),
    Tend(usize),
    Keep,
    Forget(u64),
    Restart,
    PowerCut(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..150_usize).prop_map(Step::Grow),
        6 => (0..200_usize).prop_map(Step::Tend),
        1 => Just(Step::Keep),
        1 => (0..8_u64).prop_map(Step::Forget),
        1 => Just(Step::Restart),
        1 => any::<u64>().prop_map(Step::PowerCut),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_index_holds_what_a_set_holds(steps in steps(), seed in any::<u64>()) {
        let (disk, mut model, mut dice) = (Disk::new(), Model::new(), Dice(seed));
        let (mut index, mut kept) = (opened(&disk), START);
        for step in steps {
            match step {
                Step::Grow(count) => {
                    model.grow(count, &mut dice);
                    model.feed(&mut index).expect("added");
                }
                Step::Tend(rows) => index.tend(rows).expect("tended"),
                Step::Keep => {
                    index.keep().expect("kept");
                    kept = index.covered();
                }
                Step::Forget(back) => {
                    let newest = model.rows.last().map_or(1, |row| row.1.segment);
                    model.oldest = model.oldest.max(newest.saturating_sub(back));
                    index.forget_before(model.oldest).expect("removed");
                    prop_assert!(index.reaches_back_to(model.oldest));
                }
                Step::Restart | Step::PowerCut(_) => {
                    drop(index);
                    if let Step::PowerCut(seed) = step {
                        disk.power_cut(seed);
                    }
                    index = opened(&disk);
                    // Unless all of it was too old; and a segment may have been read again since.
                    let covered = index.covered().segment;
                    prop_assert!(covered >= kept.segment || index.count() == 0);
                    prop_assert!(index.reaches_back_to(model.oldest));
                    let covered = index.covered();
                    model.check(&mut index, covered);
                    model.feed_again(&mut index).expect("added");
                }
            }
            let covered = index.covered();
            model.check(&mut index, covered);
            if !model.rows.is_empty() {
                model.look_up(&mut index, &mut dice);
            }
        }
    }
}

/// Fills an index, has it tended and forget, and tells what it had kept by then.
fn life(disk: &Disk, model: &mut Model, kept: &mut Place) -> Result<(), IndexError> {
    let mut index = Index::open_in(Arc::new(disk.clone()), RUN_ROWS)?;
    let mut dice = Dice(5);
    for round in 0..14 {
        model.grow(RUN_ROWS - 1, &mut dice);
        model.feed(&mut index)?;
        index.keep()?;
        *kept = index.covered();
        index.tend(2 * RUN_ROWS)?;
        if round == 12 {
            model.oldest = 3;
            index.forget_before(3)?;
        }
    }
    Ok(())
}

#[test]
fn a_crash_at_any_moment_loses_nothing_that_was_kept() {
    let clean = Disk::new();
    life(&clean, &mut Model::new(), &mut START.clone()).expect("no fault");
    assert!(clean.files().contains_key("000000000001-000000000008.run"), "eight became one");
    for operation in 1..=clean.operations() {
        for seed in 0..4 {
            let (disk, mut model, mut kept) = (Disk::new(), Model::new(), START);
            disk.fail(Fault::Stop(operation));
            let ended = life(&disk, &mut model, &mut kept);
            assert!(ended.is_err() || operation == clean.operations());
            if seed == 0 {
                disk.restart()
            } else {
                disk.power_cut(seed)
            }
            let mut index = opened(&disk);
            assert!(index.covered() >= kept, "{operation}: {kept:?} was kept");
            assert!(!disk.files().keys().any(|name| name.ends_with(".new")));
            assert_eq!(disk.used(), index.bytes(), "{operation}: a file that is of no use");
            let covered = index.covered();
            model.check(&mut index, covered);
            model.feed_again(&mut index).expect("added");
            let covered = index.covered();
            model.check(&mut index, covered);
        }
    }
}

/// A disk with a run of two pages and their root, and two more that are their root.
fn small() -> (Disk, Model) {
    let (disk, mut model) = (Disk::new(), Model::new());
    let mut index = Index::open_in(Arc::new(disk.clone()), 1000).expect("an index");
    for count in [180, 21, 21] {
        model.grow(count, &mut Dice(count as u64));
        model.feed(&mut index).expect("added");
        index.keep().expect("kept");
    }
    assert_eq!(disk.files().values().map(|bytes| bytes.len() / 4096).sum::<usize>(), 8);
    (disk, model)
}

/// What a damaged index says is right, or that it is damaged, or it begins anew.
fn check_damaged(files: &std::collections::BTreeMap<String, Vec<u8>>, model: &Model, what: &str) {
    let mut index = opened(&Disk::with(files));
    let found = index.find_between(&[0; 16], &[0xFF; 16]);
    let Ok(found) = found else {
        assert!(index.is_damaged());
        return;
    };
    let begins_anew = index.covered() == START || !index.reaches_back_to(1);
    let below = |row: &&(IndexKey, Place)| row.1 < index.covered();
    let all: BTreeSet<_> = model.rows.iter().filter(below).copied().collect();
    assert!(begins_anew || found.into_iter().collect::<BTreeSet<_>>() == all, "{what}");
}

#[test]
fn a_damaged_file_is_found_or_does_no_harm() {
    let (disk, model) = small();
    let sound = disk.files();
    check_damaged(&sound, &model, "sound");
    assert!(opened(&Disk::with(&sound)).count() > 210);
    for name in sound.keys() {
        let mut files = sound.clone();
        for at in 0..sound[name].len() {
            let bytes = files.get_mut(name).expect("a file");
            bytes[at] ^= 1 << (at % 8);
            check_damaged(&files, &model, &format!("{name}, byte {at}"));
            files.get_mut(name).expect("a file")[at] ^= 1 << (at % 8);
        }
        for length in (0..sound[name].len()).step_by(509).chain([20_000, 40_960]) {
            let mut files = sound.clone();
            files.get_mut(name).expect("a file").resize(length, 0);
            check_damaged(&files, &model, &format!("{name}, {length} bytes"));
        }
        let mut files = sound.clone();
        files.remove(name);
        check_damaged(&files, &model, &format!("{name} removed"));
        // A page in the place of another.
        let mut files = sound.clone();
        let first = sound[name][..4096].to_vec();
        files.get_mut(name).expect("a file")[4096..8192].copy_from_slice(&first);
        check_damaged(&files, &model, &format!("{name}, a page twice"));
    }
}

#[test]
fn many_rows_stand_in_few_files() {
    let (disk, mut model, mut dice) = (Disk::new(), Model::new(), Dice(1));
    let mut index = opened(&disk);
    let mut most = 0;
    for _ in 0..150 {
        model.grow(RUN_ROWS - 1, &mut dice);
        model.feed(&mut index).expect("added");
        index.tend(2 * RUN_ROWS).expect("tended");
        most = most.max(runs(&disk));
    }
    for _ in 0..100 {
        index.tend(100).expect("tended");
    }
    let covered = index.covered();
    model.check(&mut index, covered);
    assert!(most < 30, "{most} files at a time");
    assert!(runs(&disk) < 20 && index.bytes() < 6000 * 50, "{} bytes", index.bytes());
    // What is too old goes with its file, or with the next that is written.
    model.oldest = model.rows[model.rows.len() - 50].1.segment;
    index.forget_before(model.oldest).expect("removed");
    assert!(index.count() < 1000, "{} rows left", index.count());
    let covered = index.covered();
    model.check(&mut index, covered);
}

#[test]
fn a_place_that_cannot_be_is_refused() {
    let mut index = opened(&Disk::new());
    for place in [Place { segment: 1 << 34, offset: 0 }, Place { segment: 1, offset: 1 << 30 }] {
        let added = index.add(&[([1; 16], place)], place);
        assert!(matches!(added, Err(IndexError::Place(_))));
    }
    let place = Place { segment: (1 << 34) - 1, offset: (1 << 30) - 512 };
    index.add(&[([1; 16], place)], place).expect("added");
    assert_eq!(index.find(&[1; 16]).expect("readable"), [place]);
}
