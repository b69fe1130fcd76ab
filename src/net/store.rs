//! Where a worker's records go: the shell's side of whatever keeps them.
//!
//! The shell knows that bytes may have to wait for records, and nothing of files: what stores them
//! is handed in by the application.

use crate::switch::batch::Batch;
use crate::switch::event::Storage;

/// Stores the batches of one worker.
pub trait Store: std::fmt::Debug + Send {
    /// Takes a batch, or gives it back if it cannot take it now. Never waits.
    ///
    /// # Errors
    ///
    /// The batch, to be handed in again.
    fn hand_in(&mut self, batch: Batch) -> Result<(), Batch>;

    /// The highest number of a batch that is durable, all lower ones being durable too.
    fn durable(&self) -> u64;

    /// Emptied buffers of batches that were stored.
    fn spare(&mut self) -> Option<(Vec<u8>, Vec<u8>)>;

    /// What it takes at present.
    fn storage(&self) -> Storage;

    /// Batches up to this one are about to be removed for their age: what matters of them is to be
    /// handed in again, then [`Self::noted_again`] is to be told. Not asked again before.
    fn giving_up(&mut self) -> Option<u64>;

    /// What matters of the batches that [`Self::giving_up`] named last has been handed in again.
    fn noted_again(&mut self);

    /// Has `wake` called, on any thread, when one of the answers above has changed.
    fn on_progress(&mut self, wake: Box<dyn Fn() + Send>);
}
