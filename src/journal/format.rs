//! What a segment looks like on the disk: a header, then blocks, then zeros.
//!
//! A block is one group commit: it is written by one call and is sound as a whole or not at all.
//! So at most one block can be torn by a power cut, and a sound block behind a broken one always
//! means damage. Blocks start at multiples of 512 bytes: no write touches a sector in which
//! something durable stands.
//!
//! ```text
//! header    magic 8 | version 4 | CRC 4 | segment 8 | created at, s 8 | key id 8 | salt 32 | zeros
//! block     magic 4 | CRC 4 | payload bytes 4 | batches 2 | seal 1 | 0 1 | number 8 | segment 8 |
//!           oldest segment kept 8 | written at, s 8 | chain value of the block before 16
//! payload   per batch: worker 1 | urgent 1 | 0 2 | clear bytes 4 | secret bytes 4 | 0 4 | number 8
//!           all clear parts | all secret parts, encrypted | tag 16, if there is a secret part
//! ```
//!
//! All numbers are little-endian. The CRC-32C of a block starts from the salt of its segment, so a
//! message cannot carry bytes that look like a block, and it goes to the end of the last sector,
//! so there is no bit that may flip unseen. The chain value of a block is a hash of its header,
//! CRC and chain value of the block before included: a block that was duplicated, dropped, moved
//! or restored from an older copy breaks the chain.

use crate::base::time::Wall;
use crate::switch::batch::Batch;

use super::key::{KeyId, Seal, TAG_BYTES};

/// Blocks and the segment header start at multiples of this.
pub(super) const SECTOR_BYTES: usize = 512;

/// Where the first block of a segment stands.
pub(super) const HEADER_BYTES: usize = SECTOR_BYTES;

/// The header of a block.
pub(super) const BLOCK_HEADER_BYTES: usize = 64;

/// What a batch takes besides its parts.
pub(super) const ENTRY_BYTES: usize = 24;

/// What a block takes besides its batches, at most.
pub(super) const BLOCK_OVERHEAD_BYTES: usize = BLOCK_HEADER_BYTES + TAG_BYTES;

const SEGMENT_MAGIC: [u8; 8] = *b"AUTHJRNL";
const BLOCK_MAGIC: [u8; 4] = *b"BLK1";

/// The format written here.
pub(super) const VERSION: u32 = 1;

/// What stands at the front of a segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) segment: u64,
    pub(super) created: Wall,
    pub(super) key: KeyId,
    pub(super) salt: [u8; 32],
}

/// Why a segment header is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderError {
    Broken,
    Version(u32),
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.segment.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.created.unix_s().to_le_bytes());
        bytes[32..40].copy_from_slice(&self.key);
        bytes[40..72].copy_from_slice(&self.salt);
        let crc = crc32c::crc32c(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let mut header: [u8; HEADER_BYTES] = bytes
            .get(..HEADER_BYTES)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(HeaderError::Broken)?;
        let crc = u32_at(&header, 12);
        header[12..16].fill(0);
        if header[..8] != SEGMENT_MAGIC || crc32c::crc32c(&header) != crc {
            return Err(HeaderError::Broken);
        }
        if u32_at(&header, 8) != VERSION {
            return Err(HeaderError::Version(u32_at(&header, 8)));
        }
        Ok(Self {
            segment: u64_at(&header, 16),
            created: Wall::from_unix_s(u64_at(&header, 24)),
            key: array_at(&header, 32),
            salt: array_at(&header, 40),
        })
    }

    /// What the CRC of its blocks starts from.
    pub(super) fn crc_start(&self) -> u32 {
        crc32c::crc32c(&self.salt)
    }
}

/// The chain value of a block.
pub(super) type Chain = [u8; 16];

/// What the first block of a journal follows.
pub(super) const CHAIN_START: Chain = [0; 16];

/// What stands at the front of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHeader {
    /// The payload, without what fills the last sector.
    pub(super) payload_bytes: u32,
    pub(super) batches: u16,
    /// True for the last block of a segment that was left for the next one.
    pub(super) seals: bool,
    pub(super) number: u64,
    pub(super) segment: u64,
    /// Segments before this one have been given up.
    pub(super) oldest: u64,
    pub(super) written: Wall,
    pub(super) previous: Chain,
}

impl BlockHeader {
    /// Everything but the CRC.
    fn encode(&self, bytes: &mut [u8]) {
        bytes[..4].copy_from_slice(&BLOCK_MAGIC);
        bytes[4..8].fill(0);
        bytes[8..12].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.batches.to_le_bytes());
        bytes[14] = u8::from(self.seals);
        bytes[15] = 0;
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.segment.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.oldest.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.written.unix_s().to_le_bytes());
        bytes[48..64].copy_from_slice(&self.previous);
    }
}

/// Room on the disk of a block with so many bytes of payload.
pub(super) const fn block_bytes(payload_bytes: usize) -> usize {
    (BLOCK_HEADER_BYTES + payload_bytes).next_multiple_of(SECTOR_BYTES)
}

/// Room in the payload of a batch.
pub(super) fn batch_bytes(batch: &Batch) -> usize {
    ENTRY_BYTES + batch.clear.len() + batch.secret.len()
}

/// Writes a block into `bytes` and returns its chain value. `header` needs no lengths yet.
pub(super) fn write_block(
    mut header: BlockHeader,
    batches: &[(u8, Batch)],
    seal: &Seal,
    crc_start: u32,
    bytes: &mut Vec<u8>,
) -> Chain {
    bytes.clear();
    bytes.resize(BLOCK_HEADER_BYTES, 0);
    for (worker, batch) in batches {
        bytes.extend([*worker, u8::from(batch.urgent), 0, 0]);
        bytes.extend((batch.clear.len() as u32).to_le_bytes());
        bytes.extend((batch.secret.len() as u32).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(batch.number.to_le_bytes());
    }
    let entries_end = bytes.len();
    batches.iter().for_each(|(_, batch)| bytes.extend_from_slice(&batch.clear));
    let secret_start = bytes.len();
    batches.iter().for_each(|(_, batch)| bytes.extend_from_slice(&batch.secret));
    let is_secret = bytes.len() > secret_start;
    let tag_bytes = if is_secret { TAG_BYTES } else { 0 };
    header.payload_bytes = (bytes.len() + tag_bytes - BLOCK_HEADER_BYTES) as u32;
    header.batches = batches.len() as u16;
    header.encode(bytes);
    if is_secret {
        let (front, secret) = bytes.split_at_mut(secret_start);
        let tag = seal.close(header.number, &front[..entries_end], secret);
        bytes.extend(tag);
    }
    bytes.resize(block_bytes(header.payload_bytes as usize), 0);
    let crc = crc32c::crc32c_append(crc_start, &bytes[8..]);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    chain_of(bytes)
}

/// A sound block: its CRC is right. Whether it stands where it belongs is not known here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) header: BlockHeader,
    pub(super) chain: Chain,
    /// All of it, to the end of its last sector.
    bytes: &'a [u8],
}

/// What is known of a sound block, apart from its bytes: they need not be checked again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sound {
    pub(super) header: BlockHeader,
    /// Room on the disk.
    pub(super) bytes: usize,
    chain: Chain,
}

impl Sound {
    /// The block again, given its bytes.
    pub(super) fn over(self, bytes: &[u8]) -> Block<'_> {
        debug_assert_eq!(bytes.len(), self.bytes, "these are not its bytes");
        Block { header: self.header, chain: self.chain, bytes }
    }
}

/// One batch of a block; the secret part is somewhere among all secret parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) worker: u8,
    pub(super) urgent: bool,
    pub(super) number: u64,
    pub(super) clear: &'a [u8],
    pub(super) secret: std::ops::Range<usize>,
}

impl<'a> Block<'a> {
    /// The sound block at the front of `bytes`.
    pub(super) fn at_front(bytes: &'a [u8], crc_start: u32) -> Option<Self> {
        let head = bytes.get(..BLOCK_HEADER_BYTES)?;
        if head[..4] != BLOCK_MAGIC {
            return None;
        }
        let payload_bytes = u32_at(head, 8);
        let bytes = bytes.get(..block_bytes(payload_bytes as usize))?;
        if crc32c::crc32c_append(crc_start, &bytes[8..]) != u32_at(head, 4) {
            return None;
        }
        let header = BlockHeader {
            payload_bytes,
            batches: u16::from_le_bytes(array_at(head, 12)),
            seals: head[14] != 0,
            number: u64_at(head, 16),
            segment: u64_at(head, 24),
            oldest: u64_at(head, 32),
            written: Wall::from_unix_s(u64_at(head, 40)),
            previous: array_at(head, 48),
        };
        Some(Self { header, chain: chain_of(bytes), bytes })
    }

    /// What is known of it.
    pub(super) const fn sound(&self) -> Sound {
        Sound { header: self.header, bytes: self.bytes.len(), chain: self.chain }
    }

    /// Replaces `text` by all secret parts in a row, decrypted; nothing if they are not what was
    /// sealed, or if the lengths do not fit.
    pub(super) fn open(&self, seal: &Seal, text: &mut Vec<u8>) -> Option<()> {
        text.clear();
        let (entries_end, secret_start) = self.parts()?;
        let end = BLOCK_HEADER_BYTES + self.header.payload_bytes as usize;
        let sealed = self.bytes.get(secret_start..end)?;
        if sealed.is_empty() {
            return Some(());
        }
        let (closed, tag) = sealed.split_at(sealed.len().checked_sub(TAG_BYTES)?);
        text.extend_from_slice(closed);
        // The CRC was not known yet when it was sealed.
        let mut bound = self.bytes.get(..entries_end)?.to_vec();
        bound[4..8].fill(0);
        seal.open(self.header.number, &bound, text, tag).then_some(())
    }

    /// The batches of the block, or nothing if their lengths do not add up to that of the block.
    pub(super) fn entries(&self) -> Option<Vec<Entry<'a>>> {
        let (_, secret_start) = self.parts()?;
        let mut clear = BLOCK_HEADER_BYTES + usize::from(self.header.batches) * ENTRY_BYTES;
        let mut secret = 0;
        let mut entries = Vec::with_capacity(usize::from(self.header.batches));
        for head in self.heads()? {
            let (clear_bytes, secret_bytes) = (u32_at(head, 4) as usize, u32_at(head, 8) as usize);
            entries.push(Entry {
                worker: head[0],
                urgent: head[1] != 0,
                number: u64_at(head, 16),
                clear: self.bytes.get(clear..clear + clear_bytes)?,
                secret: secret..secret + secret_bytes,
            });
            clear += clear_bytes;
            secret += secret_bytes;
        }
        let tag_bytes = if secret > 0 { TAG_BYTES } else { 0 };
        let end = BLOCK_HEADER_BYTES + self.header.payload_bytes as usize;
        (secret_start + secret + tag_bytes == end).then_some(entries)
    }

    fn heads(&self) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
        let end = BLOCK_HEADER_BYTES + usize::from(self.header.batches) * ENTRY_BYTES;
        Some(self.bytes.get(BLOCK_HEADER_BYTES..end)?.chunks_exact(ENTRY_BYTES))
    }

    /// Where the entries end, and where the secret parts start.
    fn parts(&self) -> Option<(usize, usize)> {
        let clear_bytes: usize = self.heads()?.map(|head| u32_at(head, 4) as usize).sum();
        let entries_end = BLOCK_HEADER_BYTES + usize::from(self.header.batches) * ENTRY_BYTES;
        Some((entries_end, entries_end + clear_bytes))
    }
}

/// How long what may be a block at the front of `bytes` says that it is: a header at least. Nothing
/// if it is no block.
pub(super) fn length_at_front(bytes: &[u8]) -> Option<usize> {
    let Some(head) = bytes.get(..BLOCK_HEADER_BYTES) else { return Some(BLOCK_HEADER_BYTES) };
    (head[..4] == BLOCK_MAGIC).then(|| block_bytes(u32_at(head, 8) as usize))
}

/// Where something that is not zero stands. Most bytes of a journal that are looked at for that are
/// zero, millions of them: whole sectors are compared.
pub(super) fn not_zero(bytes: &[u8]) -> Option<usize> {
    let zeros = [0; SECTOR_BYTES];
    let mut sectors = bytes.chunks(SECTOR_BYTES);
    let sector = sectors.position(|sector| sector != &zeros[..sector.len()])?;
    let from = sector * SECTOR_BYTES;
    bytes[from..].iter().position(|byte| *byte != 0).map(|at| from + at)
}

fn chain_of(block: &[u8]) -> Chain {
    array_at(blake3::hash(&block[..BLOCK_HEADER_BYTES]).as_bytes(), 0)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// Fixed places in headers whose length was checked.
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a range of N bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_not_zero_is_found_wherever_it_stands(
            length in 0..4 * SECTOR_BYTES,
            set in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        ) {
            let mut bytes = vec![0; length];
            set.iter().filter(|_| length > 0).for_each(|at| bytes[at.index(length)] = 1);
            prop_assert_eq!(not_zero(&bytes), bytes.iter().position(|byte| *byte != 0));
        }
    }
}
