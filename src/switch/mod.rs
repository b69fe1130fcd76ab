//! Floor 3: the transaction. `(now, event)` in, outbox out.

pub mod event;
pub mod outbox;
