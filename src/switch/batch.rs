//! What one turn of a worker puts on record, as one piece.

/// Records of one turn of one worker.
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
