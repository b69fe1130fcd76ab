//! What one turn of one worker wants to be durable: bytes whose meaning only this floor knows.

/// The records of one turn of one worker. The journal stores it whole or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// 1, 2, 3 and so on, per worker; goes on where it stopped after a restart.
    pub number: u64,
    /// What anybody may read who may read the file.
    pub clear: Vec<u8>,
    /// What is stored encrypted only: account numbers and payment codes.
    pub secret: Vec<u8>,
    /// True for what must be stored even if the disk is full (reversals): it may use the reserve.
    pub urgent: bool,
}
