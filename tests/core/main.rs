//! The core alone: events in, bytes out, time by hand. No socket, no clock.

mod advices;
mod bad_input;
mod money;
mod network;
mod originals;
mod older;
mod restart;
mod retention;
mod rig;
mod stand_in;
mod taken_back;
mod way;
mod withdrawn;
