//! Dialling: one task per partner connection, which keeps it up.
//!
//! Pauses between attempts double from 50 ms to 5 s and carry jitter, so that switches that lost a
//! partner together do not come back together. A connection counts as success only after it has
//! lived for a while: a partner that accepts and hangs up is not called without pause.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::connection::Connection;
use super::notice::Notice;
use super::sessions::{Origin, Wire};
use super::worker::{Phase, Worker};
use super::{Core, socket};
use crate::base::ids::LinkId;

/// Keeps one connection to a partner up until the worker drains.
pub(super) async fn keep_dialling<C: Core>(
    shared: Rc<RefCell<Worker<C>>>,
    link: LinkId,
    address: SocketAddr,
) {
    let clock = shared.borrow().parts.clock;
    let mut pause = Pause::new();
    let mut counted = true;
    shared.borrow_mut().expect_own(link);
    while shared.borrow().phase == Phase::Running {
        let outcome = connect(address).await;
        if shared.borrow().phase != Phase::Running {
            return;
        }
        let failure = match outcome {
            Ok(stream) => {
                let opened = clock.now().instant;
                talk(&shared, link, stream, counted).await;
                counted = true;
                pause.lived(clock.now().instant.since(opened));
                None
            }
            Err(error) => Some(error),
        };
        if std::mem::take(&mut counted) {
            shared.borrow_mut().miss_own(link);
        }
        let pause = pause.next();
        if let Some(error) = failure {
            let retry_ms = pause.as_millis() as u64;
            let notice = Notice::Unreachable { link, address, error, retry_ms };
            shared.borrow().parts.notices.push(notice);
        }
        tokio::time::sleep(pause).await;
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, ErrorKind> {
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address))
        .await
        .map_err(|_| ErrorKind::TimedOut)?
        .map_err(|error| error.kind())?;
    socket::tune(&stream).map_err(|error| error.kind())?;
    Ok(stream)
}

/// Runs an established connection to its end.
async fn talk<C: Core>(
    shared: &Rc<RefCell<Worker<C>>>,
    link: LinkId,
    stream: TcpStream,
    counted: bool,
) {
    let session = {
        let mut worker = shared.borrow_mut();
        if !counted {
            worker.expect_own(link);
        }
        worker.open(link, Wire::Socket(stream), Origin::Dialled)
    };
    Connection::new(Rc::clone(shared), session).await;
}

/// How long to wait before the next attempt.
#[derive(Debug)]
struct Pause {
    attempts: u32,
    random: RandomState,
    draws: u64,
}

impl Pause {
    fn new() -> Self {
        Self { attempts: 0, random: RandomState::new(), draws: 0 }
    }

    /// A connection was up for so long.
    fn lived(&mut self, life: Duration) {
        if life >= LIFE_MIN {
            self.attempts = 0;
        }
    }

    /// Between half and all of the doubled pause.
    fn next(&mut self) -> Duration {
        let whole = (PAUSE_MIN * (1 << self.attempts.min(10))).min(PAUSE_MAX);
        self.attempts = self.attempts.saturating_add(1);
        self.draws += 1;
        let random = self.random.hash_one(self.draws) % 1024;
        whole / 2 + whole / 2 * random as u32 / 1024
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A connection that lived shorter than this was no success.
const LIFE_MIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_start_again_after_a_life() {
        let mut pause = Pause::new();
        for whole in [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            let drawn = pause.next().as_millis();
            assert!((whole / 2..=whole).contains(&drawn), "{drawn} of {whole}");
        }
        pause.lived(Duration::from_millis(4999));
        assert!(pause.next() >= PAUSE_MAX / 2);
        pause.lived(LIFE_MIN);
        assert!(pause.next() <= PAUSE_MIN);
    }
}
