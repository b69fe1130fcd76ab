//! The core alone: events in, bytes out, time by hand. No socket, no clock.

mod bad_input;
mod network;
mod rig;
mod way;
