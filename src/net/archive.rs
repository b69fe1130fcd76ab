//! Where a worker has older transactions looked up: the shell's side of whatever keeps them.
//!
//! A worker never waits for the disk. It leaves a question and is woken when the answer is there;
//! what the message that waits for it may do meanwhile, and until when, the core decides.

use crate::switch::older::{Answer, Question};

/// Looks transactions up for one worker, on a thread of its own.
pub trait Archive: std::fmt::Debug + Send {
    /// Takes a question, or gives it back if too many wait. Never waits.
    ///
    /// # Errors
    ///
    /// The question, which will not be answered.
    fn ask(&mut self, question: Question) -> Result<(), Question>;

    /// The next answer, if one is there.
    fn answer(&mut self) -> Option<Answer>;

    /// Has `wake` called, on any thread, when an answer is there.
    fn on_answer(&mut self, wake: Box<dyn Fn() + Send + Sync>);
}
