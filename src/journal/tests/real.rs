//! On a real folder with a real fdatasync.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

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
    let scratch = Scratch::new("folder");
    let mut options = Options::new(1, key());
    (options.segment_bytes, options.reserve_bytes) = (1 << 16, 1 << 16);
    let mut count = 0;
    for _ in 0..3 {
        let files = Folder::at(&scratch.0.join("journal")).expect("a folder");
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
