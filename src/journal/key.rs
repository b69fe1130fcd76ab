//! The key of the secret parts, and how they are sealed.
//!
//! AES-256-GCM breaks if two messages share key and nonce, so neither may ever come back: each
//! segment has a key of its own, derived from ours and a random salt in its header, and the nonce
//! is the number of the block. A torn block that is cut away leaves a number that is used again,
//! but in another segment, because a start never goes on in an old one.
//!
//! Not a vault: where the key file comes from is the operator's business. What is checked is that
//! nobody else on this machine can read it.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use zeroize::Zeroizing;

/// The keys that a journal may have been written with; the first one is written with now.
#[derive(Clone)]
pub struct Key {
    current: Master,
    older: Vec<Master>,
}

type Master = Zeroizing<[u8; 32]>;

/// Why there is no key.
#[derive(Debug)]
pub enum KeyError {
    /// The file cannot be read.
    Unreadable(io::Error),
    /// The path leads to something that is no file.
    NotAFile,
    /// Others may read or change it: its mode, which must be 0600 or stricter.
    Open(u32),
    /// It belongs to another user.
    Foreign,
    /// A line that is not 64 hexadecimal digits, counted from 1; or no line at all.
    Malformed(usize),
}

impl Key {
    /// Keys from a file, one per line in 64 hexadecimal digits: first the one to write with, then
    /// those that older segments were written with.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let mut file = std::fs::File::open(path).map_err(KeyError::Unreadable)?;
        let metadata = file.metadata().map_err(KeyError::Unreadable)?;
        if !metadata.is_file() {
            return Err(KeyError::NotAFile);
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & !0o600 != 0 {
            return Err(KeyError::Open(mode));
        }
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(KeyError::Foreign);
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(KeyError::Unreadable)?;
        Self::from_text(&text)
    }

    /// Keys as they stand in a file, or in a variable of the environment.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for (at, line) in text.lines().map(str::trim).enumerate() {
            if !line.is_empty() {
                keys.push(digits(line).ok_or(KeyError::Malformed(at + 1))?);
            }
        }
        if keys.is_empty() {
            return Err(KeyError::Malformed(1));
        }
        Ok(Self { current: keys.remove(0), older: keys })
    }

    /// Makes a key file that nobody else can read, with a key of the system's randomness.
    pub fn create(path: &Path) -> io::Result<()> {
        let mut bytes = Zeroizing::new([0; 32]);
        std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes[..])?;
        let mut text = Zeroizing::new(String::with_capacity(65));
        for byte in bytes.iter() {
            text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        }
        text.push('\n');
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// A secret for another purpose, the same for as long as the oldest key is kept.
    pub fn derived(&self, purpose: &'static str) -> u64 {
        let oldest = self.older.last().unwrap_or(&self.current);
        let [a, b, c, d, e, f, g, h, ..] = blake3::derive_key(purpose, &oldest[..]);
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// A name for `bytes` that does not give them away, the same for as long as the oldest key is
    /// kept: who lacks the key cannot try out account numbers on it.
    pub fn token(&self, bytes: &[u8]) -> u64 {
        let oldest = self.older.last().unwrap_or(&self.current);
        let key = Zeroizing::new(blake3::derive_key("authswitch journal v1 token", &oldest[..]));
        let [a, b, c, d, e, f, g, h, ..] = *blake3::keyed_hash(&key, bytes).as_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// What a segment header calls the key that is written with.
    pub(super) fn id(&self) -> KeyId {
        id_of(&self.current)
    }

    /// The seal of a segment that is written now.
    pub(super) fn seal(&self, salt: &[u8; 32]) -> Seal {
        Seal::new(&self.current, salt)
    }

    /// The seal of a segment that was written with the key `id`, if we have it.
    pub(super) fn seal_of(&self, id: KeyId, salt: &[u8; 32]) -> Option<Seal> {
        let mut keys = std::iter::once(&self.current).chain(&self.older);
        keys.find(|key| id_of(key) == id).map(|key| Seal::new(key, salt))
    }
}

/// A name for a key that does not give it away.
pub(super) type KeyId = [u8; 8];

/// Bytes by which a sealed text is longer.
pub(super) const TAG_BYTES: usize = 16;

/// Seals and opens the secrets of one segment.
pub(super) struct Seal {
    /// Boxed: a key schedule is large, and its owner moves between threads.
    cipher: Box<Aes256Gcm>,
}

impl Seal {
    fn new(key: &Master, salt: &[u8; 32]) -> Self {
        let mut material = Zeroizing::new([0; 64]);
        material[..32].copy_from_slice(&key[..]);
        material[32..].copy_from_slice(salt);
        let derived = blake3::derive_key("authswitch journal v1 segment key", &material[..]);
        let derived = Zeroizing::new(derived);
        Self { cipher: Box::new(Aes256Gcm::new(&(*derived).into())) }
    }

    /// Encrypts `text` in place; the tag goes behind it. Each `number` may be used once.
    pub(super) fn close(&self, number: u64, bound: &[u8], text: &mut [u8]) -> [u8; TAG_BYTES] {
        self.cipher
            .encrypt_inout_detached(&nonce(number), bound, text.into())
            .expect("a block is shorter than the 64 GiB that GCM can take")
            .into()
    }

    /// Decrypts `text` in place, or says that it is not what was sealed.
    #[must_use]
    pub(super) fn open(&self, number: u64, bound: &[u8], text: &mut [u8], tag: &[u8]) -> bool {
        let Ok(tag) = <[u8; TAG_BYTES]>::try_from(tag) else { return false };
        let tag = Tag::from(tag);
        self.cipher.decrypt_inout_detached(&nonce(number), bound, text.into(), &tag).is_ok()
    }
}

fn nonce(number: u64) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_le_bytes());
    nonce.into()
}

fn id_of(key: &Master) -> KeyId {
    let id = blake3::derive_key("authswitch journal v1 key id", &key[..]);
    [id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7]]
}

fn digits(line: &str) -> Option<Master> {
    let line = line.as_bytes();
    let mut key = Zeroizing::new([0; 32]);
    if line.len() != 2 * key.len() {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(line.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = (digit(0)? << 4 | digit(1)?) as u8;
    }
    Some(key)
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:02x?}, and {} older)", self.id(), self.older.len())
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "the key cannot be read: {error}"),
            Self::NotAFile => f.write_str("the key is no file"),
            Self::Open(mode) => write!(f, "mode {mode:04o} lets others in; chmod 0600 it"),
            Self::Foreign => f.write_str("the key belongs to another user; chown it"),
            Self::Malformed(line) => write!(f, "line {line}: not 64 hexadecimal digits"),
        }
    }
}

impl std::error::Error for KeyError {}
