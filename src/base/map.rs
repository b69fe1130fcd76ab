//! The one hash map of the project: keyed at random, because its keys come from the network.
//!
//! foldhash costs a tenth of SipHash on 16-byte keys and is seeded per map, so nobody outside can
//! aim at one bucket. `std::collections::HashMap` with its own hasher is banned by clippy.toml.

/// A hash map whose hasher is fast and seeded at random.
#[expect(clippy::disallowed_types, reason = "the ban exists to lead here")]
pub type Map<K, V> = std::collections::HashMap<K, V, foldhash::quality::RandomState>;

/// A number that nobody outside can guess, for keyed hashes of one process.
pub fn random() -> u64 {
    use std::hash::BuildHasher;
    foldhash::quality::RandomState::default().hash_one(0)
}
