//! Staying awake: an option for machines with a core to spare.
//!
//! Waking a sleeping core costs 17 us here for the one who wakes and 40 us for the one who is
//! woken. A worker that looks at its sockets for a while before it sleeps saves both. Yielding
//! does that: with nothing else to run, the runtime polls the sockets without waiting.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::Core;
use super::worker::Worker;

/// Keeps the worker from sleeping until nothing has happened for `spin`.
pub(super) async fn keep_awake<C: Core>(shared: Rc<RefCell<Worker<C>>>, spin: Duration) {
    let clock = shared.borrow().parts.clock;
    loop {
        let mut turns = shared.borrow().turns;
        let mut since = clock.now().instant;
        loop {
            tokio::task::yield_now().await;
            let now = clock.now().instant;
            let seen = std::mem::replace(&mut turns, shared.borrow().turns);
            if seen != turns {
                since = now;
            } else if now.since(since) > spin {
                break;
            }
        }
        wait_for_turn(&shared, turns).await;
    }
}

async fn wait_for_turn<C: Core>(shared: &Rc<RefCell<Worker<C>>>, turns: u64) {
    poll_fn(|cx| {
        let mut worker = shared.borrow_mut();
        if worker.turns != turns {
            return Poll::Ready(());
        }
        worker.spinner = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
}
