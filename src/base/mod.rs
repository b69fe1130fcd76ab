//! Floor 0: what every other floor speaks with. Time, money, card data types, codes, limits.
//!
//! Nothing here knows bytes on a wire, sockets, routes or transactions, and nothing here reads a
//! clock: the shell reads it once per batch and passes [`time::Now`] down.

pub mod authorization;
pub mod codes;
pub mod ids;
pub mod limits;
pub mod map;
pub mod money;
pub mod pan;
pub mod rate;
pub mod tender;
pub mod time;
pub mod window;
pub mod zone;
