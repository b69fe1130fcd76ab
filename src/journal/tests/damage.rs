//! Files that were cut, flipped, wiped, copied, swapped, lost or brought back.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::journal::format::{HEADER_BYTES, SECTOR_BYTES};

type Contents = BTreeMap<String, Vec<u8>>;

/// A block of a sound journal.
#[derive(Debug, Clone, Copy)]
struct Span {
    segment: u64,
    from: usize,
    to: usize,
    /// Batches up to its end.
    batches: usize,
}

/// A journal over several segments, and where its blocks are.
struct Sound {
    files: Contents,
    all: Vec<Stored>,
    spans: Vec<Span>,
}

impl Sound {
    fn new(count: u64) -> Self {
        let (disk, all) = journal(count);
        let mut scan = scan::Scan::new(&disk).expect("sound");
        let (mut spans, mut batches) = (Vec::new(), 0);
        while let Some(found) = scan.next().expect("sound") {
            let from = found.offset as usize;
            batches += usize::from(found.block.header.batches);
            let to = from + found.block.sound().bytes;
            spans.push(Span { segment: found.header.segment, from, to, batches });
        }
        assert!(spans.last().expect("blocks").segment >= 3, "there is an interior");
        Self { files: disk.files(), all, spans }
    }

    fn last(&self) -> Span {
        *self.spans.last().expect("blocks")
    }

    /// What is found after `change`.
    fn after(&self, change: impl FnOnce(&mut Contents)) -> Result<Vec<Stored>, Halt> {
        let mut files = self.files.clone();
        change(&mut files);
        recovered(&Disk::with(&files), &options()).map(|(_, found)| found)
    }
}

fn name(segment: u64) -> String {
    segment::name(segment)
}

fn file(files: &mut Contents, segment: u64) -> &mut Vec<u8> {
    files.get_mut(&name(segment)).expect("the segment")
}

#[test]
fn a_tail_cut_at_any_byte_leaves_a_prefix() {
    let sound = Sound::new(16);
    let last = sound.last().segment;
    for bytes in 0..sound.files[&name(last)].len() {
        let found = sound.after(|files| file(files, last).truncate(bytes));
        if bytes < HEADER_BYTES {
            assert!(matches!(found.expect_err("no header").damage, Damage::Header));
            continue;
        }
        let whole = sound.spans.iter().rfind(|span| span.segment < last || span.to <= bytes);
        let batches = whole.expect("earlier segments").batches;
        assert_eq!(found.expect("a torn tail"), sound.all[..batches], "cut at {bytes}");
    }
}

#[test]
fn an_interior_segment_cut_at_any_byte_halts() {
    let sound = Sound::new(16);
    let end = sound.spans.iter().rfind(|span| span.segment == 2).expect("a finished one").to;
    for bytes in 0..end {
        let halt = sound.after(|files| file(files, 2).truncate(bytes)).expect_err("a hole");
        assert_eq!(halt.file, name(2), "cut at {bytes}");
        assert!(halt.offset <= bytes as u64, "cut at {bytes}: {halt}");
    }
}

#[test]
fn every_flipped_bit_is_seen() {
    let sound = Sound::new(16);
    let last = sound.last();
    let before_last = last.batches - 1;
    for (segment, at) in (1..=last.segment).flat_map(|segment| {
        let bytes = sound.files[&name(segment)].len();
        (0..bytes).step_by(3).map(move |at| (segment, at))
    }) {
        let found = sound.after(|files| file(files, segment)[at] ^= 1 << (at % 8));
        if segment == last.segment && at >= last.from {
            // At the end of the journal, a block is as good as never finished.
            let batches = if at < last.to { before_last } else { last.batches };
            assert_eq!(found.expect("a torn tail"), sound.all[..batches], "{segment}:{at}");
            continue;
        }
        let halt = found.expect_err("a flipped bit");
        assert_eq!(halt.file, name(segment), "{segment}:{at}");
        let is_inside = |span: &&Span| span.segment == segment && span.from <= at && at < span.to;
        let from = sound.spans.iter().find(is_inside).map_or(halt.offset, |span| span.from as u64);
        assert_eq!(halt.offset, from, "{segment}:{at}");
        assert!(halt.to_string().contains("What to do: "), "{halt}");
    }
}

#[test]
fn zeros_are_not_the_end() {
    let sound = Sound::new(16);
    for (at, span) in sound.spans.iter().enumerate() {
        for later in &sound.spans[at..sound.spans.len() - 1] {
            if later.segment != span.segment {
                break;
            }
            let range = span.from..later.to;
            let found = sound.after(|files| file(files, span.segment)[range].fill(0));
            let halt = found.expect_err("a hole");
            assert_eq!((halt.file.as_str(), halt.offset), (&*name(span.segment), span.from as u64));
        }
        let rest = sound.after(|files| file(files, span.segment)[span.from..].fill(0));
        assert_eq!(rest.is_ok(), span.segment == sound.last().segment, "{span:?}");
    }
}

#[test]
fn blocks_in_the_wrong_place_halt() {
    let sound = Sound::new(16);
    let last = sound.last();
    for span in sound.spans.iter().filter(|span| span.segment == last.segment) {
        // The same block once more, behind the last one.
        let halt = sound
            .after(|files| {
                let bytes = file(files, span.segment);
                bytes.resize(bytes.len() + 4096, 0);
                bytes.copy_within(span.from..span.to, last.to);
            })
            .expect_err("a duplicate");
        assert!(matches!(halt.damage, Damage::Misplaced { .. }), "{halt}");
        assert_eq!(halt.offset, last.to as u64);
    }
    for pair in sound.spans.windows(2).filter(|pair| pair[1].to <= last.from) {
        if pair[0].segment != pair[1].segment {
            continue;
        }
        // Dropped: what follows moves up. Swapped: both are whole.
        let [first, second] = [pair[0], pair[1]];
        let dropped =
            sound.after(|files| drop(file(files, first.segment).drain(first.from..first.to)));
        assert_eq!(dropped.expect_err("dropped").offset, first.from as u64);
        let swapped = sound.after(|files| {
            file(files, first.segment)[first.from..second.to].rotate_left(first.to - first.from);
        });
        assert_eq!(swapped.expect_err("swapped").offset, first.from as u64);
    }
}

#[test]
fn segments_that_are_missing_or_swapped_halt() {
    let sound = Sound::new(16);
    let last = sound.last().segment;
    for segment in 1..=last {
        let halt = sound.after(|files| drop(files.remove(&name(segment)))).expect_err("missing");
        assert!(matches!(halt.damage, Damage::Missing), "{halt}");
        assert_eq!(halt.file, name(segment));
        let other = 1 + segment % last;
        let swapped = sound.after(|files| {
            let (one, two) = (files[&name(segment)].clone(), files[&name(other)].clone());
            files.extend([(name(segment), two), (name(other), one)]);
        });
        assert!(matches!(swapped.expect_err("swapped").damage, Damage::Misnamed { .. }));
    }
    let shorter = sound.after(|files| {
        drop(files.remove(&name(last)));
        drop(files.remove(&name(last + 1)));
    });
    assert!(matches!(shorter.expect_err("the end is missing").damage, Damage::Missing));
}

#[test]
fn an_old_or_foreign_segment_halts() {
    let sound = Sound::new(16);
    let other = Sound::new(16);
    for segment in 1..sound.last().segment {
        let foreign = other.files[&name(segment)].clone();
        let halt = sound
            .after(|files| drop(files.insert(name(segment), foreign)))
            .expect_err("another journal's segment");
        // The first segment is told by the one that follows it.
        assert!(halt.file == name(segment) || halt.file == name(segment + 1), "{halt}");
        // The segment as it was when half of it was written.
        let mut spans = sound.spans.iter().filter(|span| span.segment == segment);
        let half = spans.nth(2).expect("blocks").to;
        let halt = sound.after(|files| file(files, segment)[half..].fill(0)).expect_err("old");
        assert_eq!((halt.file, halt.offset), (name(segment), half as u64));
    }
}

#[test]
fn a_message_cannot_look_like_a_block() {
    let sound = Sound::new(2 * SECTOR_BYTES as u64 / 64);
    let span = sound.spans[3];
    let forged = sound.files[&name(span.segment)][span.from..span.to].to_vec();
    let disk = Disk::new();
    let (writer, mut desks, _) = open(&disk, &options()).expect("an empty disk");
    // Aligned with a sector, for each way in which it could be.
    let mut clear = vec![0; SECTOR_BYTES - 64 - 24];
    clear.extend(forged);
    desks[0].hand_in(Batch { number: 1, clear, ..Batch::default() }).expect("taken");
    wait("a batch", || desks[0].durable() == 1);
    writer.stop();
    let mut files = disk.files();
    file(&mut files, 1)[HEADER_BYTES + 20] ^= 1;
    let (recovery, found) = recovered(&Disk::with(&files), &options()).expect("a torn tail");
    assert!(found.is_empty() && recovery.cut.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_batches_come_back_and_any_cut_leaves_a_prefix(
        batches in prop::collection::vec((0..2_u8, 0..900_usize, 0..90_usize), 1..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let disk = Disk::new();
        let (writer, mut desks, _) = open(&disk, &options()).expect("an empty disk");
        let mut all = Vec::new();
        for (worker, clear, secret) in batches {
            let desk = &mut desks[usize::from(worker)];
            let number = desk.next_number();
            let (clear, secret) = (vec![number as u8; clear], vec![worker; secret]);
            let batch = Batch { number, clear, secret, urgent: false };
            all.push(stored(worker, &batch));
            desk.hand_in(batch).expect("taken");
        }
        writer.stop();
        let of = |found: &[Stored], worker| -> Vec<Stored> {
            found.iter().filter(|stored| stored.0 == worker).cloned().collect()
        };
        let (recovery, found) = recovered(&disk, &options()).expect("sound");
        for worker in 0..2 {
            prop_assert!(of(&found, worker) == of(&all, worker), "not what was handed in");
        }
        let mut files = disk.files();
        let last = recovery.next.end.expect("blocks").segment;
        let bytes = file(&mut files, last);
        bytes.truncate(HEADER_BYTES + cut.index(bytes.len() - HEADER_BYTES));
        let (_, left) = recovered(&Disk::with(&files), &options()).expect("a torn tail");
        prop_assert!(left[..] == found[..left.len()], "no prefix");
    }
}
