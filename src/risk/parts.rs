//! What the lock is made of. Its test puts other ones here, which try every order.

pub(super) use std::sync::atomic::{AtomicU64, Ordering, fence};

pub(super) use crossbeam::utils::Backoff;
