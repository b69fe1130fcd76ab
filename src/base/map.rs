//! The one hash map of the project: keyed at random, because its keys come from the network.
//!
//! foldhash costs a tenth of SipHash on 16-byte keys and is seeded per map, so nobody outside can
//! aim at one bucket. `std::collections::HashMap` with its own hasher is banned by clippy.toml.

/// A hash map whose hasher is fast and seeded at random.
#[expect(clippy::disallowed_types, reason = "the ban exists to lead here")]
pub type Map<K, V> = std::collections::HashMap<K, V, foldhash::quality::RandomState>;

/// The next number of splitmix64 behind `value`: each bit of the input moves each bit of the
/// output. Not a keyed hash.
pub const fn mixed(value: u64) -> u64 {
    let mut x = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number that nobody outside can guess, for keyed hashes of one process.
pub fn random() -> u64 {
    use std::hash::BuildHasher;
    foldhash::quality::RandomState::default().hash_one(0)
}
