//! Segments of a journal, read by themselves: what was stored, in the order in which it was.
//!
//! Written from the description of the format, not from the code that writes it. A torn tail is
//! the end; anything else that is not as described ends the audit, because a journal that is not
//! sound proves nothing.

use std::fs;
use std::path::Path;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};

/// The parts of one batch: what stands in clear, and what was encrypted.
pub(super) type Parts = (Vec<u8>, Vec<u8>);

/// Reads all segments in `folder`; `keys` is the text of the key file.
///
/// # Errors
///
/// What is not as described, and where.
pub(super) fn read(folder: &Path, keys: &str) -> Result<Vec<Parts>, String> {
    let keys = keys.lines().map(str::trim).filter(|line| !line.is_empty()).map(digits);
    let keys: Vec<[u8; 32]> = keys.collect::<Option<_>>().ok_or("the key file holds no keys")?;
    let mut names = Vec::new();
    let wrong = |error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let name = entry.map_err(wrong)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".segment") {
            names.push(name);
        }
    }
    names.sort();
    let mut walk = Walk { keys, ..Walk::default() };
    for name in &names {
        let bytes = fs::read(folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
        walk.segment(&bytes).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(walk.found)
}

/// Segment after segment.
#[derive(Default)]
struct Walk {
    keys: Vec<[u8; 32]>,
    found: Vec<Parts>,
    /// Number and chain value of the block before.
    last: Option<(u64, [u8; 16])>,
    /// A segment that is not finished has no successor with blocks.
    has_ended: bool,
}

impl Walk {
    fn segment(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut header = bytes.get(..SECTOR).ok_or("no header")?.to_vec();
        let crc = u32_at(&header, 12)?;
        header.get_mut(12..16).ok_or("no header")?.fill(0);
        if !header.starts_with(b"AUTHJRNL") || crc32c::crc32c(&header) != crc {
            return Err("the header is damaged".to_owned());
        }
        if u32_at(&header, 8)? != 1 {
            return Err("a version that is not known here".to_owned());
        }
        let salt = header.get(40..72).ok_or("no salt")?;
        let start = crc32c::crc32c(salt);
        let cipher = self.cipher(header.get(32..40).ok_or("no key id")?, salt)?;
        let (mut at, mut is_finished) = (SECTOR, false);
        while let Some(block) = sound(bytes.get(at..).unwrap_or_default(), start) {
            if self.has_ended || is_finished {
                return Err(format!("offset {at}: a block behind the end"));
            }
            self.block(block, &cipher).map_err(|why| format!("offset {at}: {why}"))?;
            is_finished = block.get(14) == Some(&1);
            at += block.len();
        }
        let behind = (at..bytes.len()).step_by(SECTOR);
        let mut behind = behind.filter(|at| sound(&bytes[*at..], start).is_some());
        if let Some(hole) = behind.next() {
            return Err(format!("offset {at}: damaged, for a sound block follows at {hole}"));
        }
        self.has_ended = !is_finished;
        Ok(())
    }

    fn cipher(&self, id: &[u8], salt: &[u8]) -> Result<Aes256Gcm, String> {
        let name = |key: &&[u8; 32]| {
            blake3::derive_key("authswitch journal v1 key id", &key[..]).starts_with(id)
        };
        let key = self.keys.iter().find(name).ok_or("its key is not in the key file")?;
        let material = [&key[..], salt].concat();
        let own = blake3::derive_key("authswitch journal v1 segment key", &material);
        Ok(Aes256Gcm::new(&own.into()))
    }

    fn block(&mut self, block: &[u8], cipher: &Aes256Gcm) -> Result<(), String> {
        let (number, chain) = (u64_at(block, 16)?, block.get(48..64).ok_or("no chain value")?);
        if let Some((before, value)) = self.last
            && (number != before + 1 || chain != value)
        {
            return Err(format!("block {number} does not follow block {before}"));
        }
        let hash = blake3::hash(block.get(..BLOCK_HEADER).ok_or("no header")?);
        let value = hash.as_bytes().first_chunk().ok_or("a short hash")?;
        self.last = Some((number, *value));

        let count = u16_at(block, 12)?;
        let entries_end = BLOCK_HEADER + usize::from(count) * ENTRY;
        let entries = block.get(BLOCK_HEADER..entries_end).ok_or("too many batches")?;
        let lengths = entries
            .chunks_exact(ENTRY)
            .map(|entry| Ok((u32_at(entry, 4)? as usize, u32_at(entry, 8)? as usize)));
        let lengths: Vec<(usize, usize)> = lengths.collect::<Result<_, String>>()?;
        let clear_end = entries_end + lengths.iter().map(|(clear, _)| clear).sum::<usize>();
        let end = BLOCK_HEADER + u32_at(block, 8)? as usize;
        let mut clear = block.get(entries_end..clear_end).ok_or("clear parts too long")?;
        let sealed = block.get(clear_end..end).ok_or("secret parts too long")?;
        let mut secret = Vec::new();
        if let Some((text, tag)) = sealed.split_last_chunk::<16>() {
            secret.extend_from_slice(text);
            let mut bound = block.get(..entries_end).ok_or("too many batches")?.to_vec();
            bound.get_mut(4..8).ok_or("no header")?.fill(0);
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&number.to_le_bytes());
            let (nonce, tag) = (Nonce::from(nonce), Tag::from(*tag));
            cipher
                .decrypt_inout_detached(&nonce, &bound, secret.as_mut_slice().into(), &tag)
                .map_err(|_| "the secret part cannot be opened")?;
        }
        let mut secret = secret.as_slice();
        for (clear_bytes, secret_bytes) in lengths {
            let parts =
                clear.split_at_checked(clear_bytes).zip(secret.split_at_checked(secret_bytes));
            let ((own, rest), (own_secret, rest_secret)) = parts.ok_or("lengths do not add up")?;
            self.found.push((own.to_vec(), own_secret.to_vec()));
            (clear, secret) = (rest, rest_secret);
        }
        Ok(())
    }
}

/// The block at the front of `bytes`, to the end of its last sector, if its CRC is right.
fn sound(bytes: &[u8], crc_start: u32) -> Option<&[u8]> {
    if !bytes.starts_with(b"BLK1") {
        return None;
    }
    let payload = u32_at(bytes, 8).ok()? as usize;
    let block = bytes.get(..(BLOCK_HEADER + payload).next_multiple_of(SECTOR))?;
    let crc = crc32c::crc32c_append(crc_start, block.get(8..)?);
    (u32_at(block, 4) == Ok(crc)).then_some(block)
}

fn digits(line: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    let pairs = line.as_bytes().chunks_exact(2);
    if line.len() != 64 {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(key)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Result<u16, String> {
    Ok(u16::from_le_bytes(chunk(bytes, at)?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Result<u32, String> {
    Ok(u32::from_le_bytes(chunk(bytes, at)?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Result<u64, String> {
    Ok(u64::from_le_bytes(chunk(bytes, at)?))
}

pub(super) fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], String> {
    let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk());
    chunk.copied().ok_or_else(|| format!("{N} bytes are missing"))
}

const SECTOR: usize = 512;
const BLOCK_HEADER: usize = 64;
const ENTRY: usize = 24;
