//! Requests that leave on another worker's connection: they are sent as soon as they are in the
//! mail to it, and may never leave, or late.

use super::Oracle;
use crate::network::WRITE_DEADLINE;
use crate::wire::Message;
use crate::world::SECOND;

impl Oracle {
    /// A worker gives another one bytes for a host.
    pub(crate) fn mails(&mut self, mut bytes: &[u8]) {
        while let Ok(Some((message, count))) = Message::decode(bytes) {
            if !message.is_response() {
                self.mailed.insert(message.sale());
            }
            bytes = bytes.get(count..).unwrap_or(&[]);
        }
    }

    /// How long it may wait with the bytes of the other worker: until its connection is given up.
    pub(super) fn mailed_by(&self, number: u64) -> u64 {
        if self.mailed.contains(&number) { WRITE_DEADLINE + SECOND } else { 0 }
    }
}
