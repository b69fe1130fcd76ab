//! The core alone: events in, bytes out, time by hand. No socket, no clock.

mod advices;
mod bad_input;
mod codes;
mod consults;
mod copies;
mod forms;
mod health;
mod inquiries;
mod kinds;
mod limits;
mod long_ago;
mod money;
mod network;
mod not_found;
mod older;
mod originals;
mod other_workers;
mod restart;
mod retention;
mod rig;
mod stand_in;
mod taken_back;
mod transfers;
mod versions;
mod way;
mod withdrawn;
