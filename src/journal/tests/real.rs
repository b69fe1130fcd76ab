//! On a real folder with a real fdatasync.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

/// A folder that goes away with its owner.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("journal-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).expect("a scratch folder");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn a_real_folder_is_written_read_and_locked() {
    write_read_and_lock("folder", |folder| folder);
}

#[test]
fn so_is_one_whose_files_are_written_past_the_cache() {
    write_read_and_lock("direct", Folder::direct);
}

/// A write or a read: where it begins, how long it is, and whether in whole sectors.
#[derive(Debug, Clone, Copy)]
struct Step {
    writes: bool,
    offset: u64,
    bytes: usize,
}

fn step() -> impl Strategy<Value = Step> {
    let whole = (any::<bool>(), 0_u64..200, 0_usize..150).prop_map(|(writes, offset, bytes)| {
        Step { writes, offset: offset * 512, bytes: bytes * 512 }
    });
    let any_place = (any::<bool>(), 0_u64..100_000, 0_usize..80_000)
        .prop_map(|(writes, offset, bytes)| Step { writes, offset, bytes });
    prop_oneof![3 => whole, 1 => any_place]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn past_the_cache_or_through_it_a_file_is_one(steps in prop::collection::vec(step(), 1..40)) {
        let scratch = Scratch::new("both-ways");
        let files = Folder::at(&scratch.0).expect("a folder").direct();
        let file = files.create("file").expect("a file");
        file.fill(1 << 16).expect("filled");
        let mut model = vec![0; 1 << 16];
        for (count, Step { writes, offset, bytes }) in steps.into_iter().enumerate() {
            let end = offset as usize + bytes;
            if writes && bytes > 0 {
                let text = vec![count as u8 + 1; bytes];
                file.write_all_at(offset, &text).expect("written");
                model.resize(model.len().max(end), 0);
                model[offset as usize..end].copy_from_slice(&text);
            } else {
                let mut text = vec![0xFF; bytes];
                let read = file.read_at(offset, &mut text).expect("read");
                let there = model.get(offset as usize..model.len().min(end)).unwrap_or(&[]);
                prop_assert_eq!(&text[..read], there);
            }
            prop_assert_eq!(file.length().expect("its length"), model.len() as u64);
        }
    }
}

fn write_read_and_lock(name: &str, opened: fn(Folder) -> Folder) {
    let scratch = Scratch::new(name);
    let mut options = Options::new(1, key());
    (options.segment_bytes, options.reserve_bytes) = (1 << 16, 1 << 16);
    let mut count = 0;
    for _ in 0..3 {
        let files = opened(Folder::at(&scratch.0.join("journal")).expect("a folder"));
        let mut found = 0;
        let recovery = recover(&options, &files, &mut |batch| {
            found += 1;
            assert_eq!(batch.clear, [found as u8; 900]);
            assert_eq!(batch.secret, b"4242424242424242");
        })
        .expect("sound");
        assert_eq!(found, count);
        let locked = recover(&options, &files, &mut |_| {}).expect_err("there is a writer");
        assert!(matches!(locked.damage, Damage::Locked), "{locked}");
        let (writer, mut desks) =
            start(&options, Arc::new(files.clone()), recovery, clock()).expect("started");
        for _ in 0..100 {
            count += 1;
            let (clear, secret) = (vec![count as u8; 900], b"4242424242424242".to_vec());
            let batch = Batch { number: count, clear, secret, urgent: false };
            desks[0].hand_in(batch).expect("taken");
        }
        wait("all of it", || desks[0].durable() == count);
        writer.stop();
        assert!(verify(&files, Some(&key())).damage.is_none());
    }
    for entry in std::fs::read_dir(scratch.0.join("journal")).expect("the folder") {
        let entry = entry.expect("a file");
        let mode = entry.metadata().expect("its mode").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{entry:?} is for its owner only");
        let bytes = std::fs::read(entry.path()).expect("readable");
        assert!(!bytes.windows(16).any(|bytes| bytes == b"4242424242424242"), "{entry:?}");
    }
}

#[test]
fn a_key_file_must_be_ours_alone() {
    let scratch = Scratch::new("key");
    let path = scratch.0.join("key");
    let write = |text: &str, mode: u32| {
        std::fs::write(&path, text).expect("written");
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, permissions).expect("its mode");
        Key::from_file(&path)
    };
    let good = "0123456789abcdef".repeat(4);
    assert_eq!(write(&good, 0o600).expect("a key").id(), key().id());
    for mode in [0o640, 0o604, 0o660, 0o601, 0o700, 0o622] {
        assert!(matches!(write(&good, mode), Err(KeyError::Open(found)) if found == mode));
    }
    for (text, line) in [("", 1), ("\n", 1), (&good[1..], 1), (&format!("{good}\nxyz\n"), 2)] {
        assert!(matches!(write(text, 0o600), Err(KeyError::Malformed(found)) if found == line));
    }
    assert!(matches!(Key::from_file(&scratch.0), Err(KeyError::NotAFile)));
    assert!(matches!(Key::from_file(&scratch.0.join("none")), Err(KeyError::Unreadable(_))));
    assert!(!format!("{:?}", key()).contains("0123456789abcdef"));
}
