//! The switch as its users run it: a process, sockets, peers that follow the rules or break them.
//!
//! What is expected here comes from what was promised about the switch, not from how it is built:
//! nothing but its command line and its ports is used. The codec of the library serves as pen and
//! glasses of the peers.

mod answers;
mod audit;
mod content;
mod crash;
mod crosstalk;
mod dialects;
mod disk;
mod drain;
mod frozen;
mod hostile;
mod journal;
mod links;
mod lost;
mod management;
mod message;
mod misconfigured;
mod money;
mod older;
mod refused;
mod reload;
mod rig;
mod slow;
mod stream;
mod usage;
mod versions;
mod wanted;
