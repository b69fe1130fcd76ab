//! The open loop: requests leave when the schedule says so.
//!
//! All that is due at a wake-up goes out in one batch, then the loop yields so that the batch is
//! written and answers are read. A generator that falls behind sends late, but the latency
//! still counts from the time on the schedule; by how much it was late is counted once the batch
//! is written, and says whether the generator could keep up.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use crate::clock::{Alarm, now_ns};
use crate::run::Desk;
use crate::run::pace::Pace;

/// Sends by the schedule over all connections in turn, until the run drains.
pub(crate) async fn send(desk: Rc<RefCell<Desk>>, mut pace: Pace) {
    let mut alarm = match Alarm::new() {
        Ok(alarm) => alarm,
        Err(error) => return eprintln!("loadtest: cannot create a timer: {error}"),
    };
    poll_fn(|cx| {
        let desk = &mut *desk.borrow_mut();
        if !desk.sending {
            return Poll::Ready(());
        }
        let now_ns = now_ns();
        let mut taken = 0;
        while taken < BATCH_MAX
            && let Some((number, due_ns)) = pace.take(now_ns)
        {
            taken += 1;
            let connection = number as usize % desk.sessions.len();
            desk.issue_due(connection, due_ns);
        }
        match alarm.poll_until(cx, pace.next_ns()) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => cx.waker().wake_by_ref(),
            Poll::Ready(Err(error)) => {
                eprintln!("loadtest: the timer failed: {error}");
                return Poll::Ready(());
            }
        }
        Poll::Pending
    })
    .await;
}

/// What was due while this process did not run leaves in batches, between which answers are read.
const BATCH_MAX: usize = 8_192;
