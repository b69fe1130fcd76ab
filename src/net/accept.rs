//! Accepting: one acceptor per listener, on worker 0, that assigns.
//!
//! Acquirers hold few, long-lived connections. Left to the kernel (`SO_REUSEPORT`), eight of them
//! leave one of four workers idle more than a third of the time; assigned to whoever has fewest,
//! they never do. Handing a socket over costs a few system calls, once per connection.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::connection::Connection;
use super::mail::Mail;
use super::notice::Notice;
use super::sessions::{Origin, Wire};
use super::worker::{Phase, Worker};
use super::{Core, socket};
use crate::base::ids::{LinkId, WorkerId};

/// Accepts for ever. A failure is waited out, never spun on and never the end.
pub(super) async fn keep_accepting<C: Core>(
    shared: Rc<RefCell<Worker<C>>>,
    listener: TcpListener,
    link: LinkId,
) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => assign(&mut shared.borrow_mut(), &shared, stream, link, peer),
            // It is gone again already: nothing is wrong on our side.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => {
                let error = error.kind();
                shared.borrow().parts.notices.push(Notice::AcceptFailed { link, error });
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Reads what other workers mailed.
pub(super) fn read_mail<C: Core>(worker: &mut Worker<C>, shared: &Rc<RefCell<Worker<C>>>) {
    // Not more than the mailbox holds, so that diligent writers cannot keep the turn open.
    for _ in 0..worker.door().mail.len() {
        let Some(mail) = worker.door().mail.pop() else { return };
        worker.mails_read += 1;
        match mail {
            Mail::Accepted { socket, link, peer } => {
                let stream = TcpStream::from_std(socket);
                admit(worker, shared, stream, link, peer);
            }
            Mail::Lend { owner, session, link, load } => worker.borrow(owner, session, link, load),
            Mail::Recall { owner, session } => worker.return_borrowed(owner, session),
            Mail::Frames { from, session, bytes } => worker.send_for(from, session, bytes),
            Mail::Relay { owner, link, bytes } => worker.receive_for(owner, link, bytes),
            Mail::Visit { visit, bytes } => worker.receive_guest(visit, bytes),
            Mail::Answers { from, session, bytes, approvals } => {
                worker.answer_for(from, session, bytes, &approvals);
            }
            Mail::Told { told } => worker.hear(told),
            Mail::GuestEnds { owner, session, gone } => worker.end_guest(owner, session, gone),
            Mail::GuestLeft { worker: from, session } => worker.miss_guest(from, session),
        }
    }
}

/// Gives a new connection to the worker that has fewest, or refuses it.
fn assign<C: Core>(
    worker: &mut Worker<C>,
    shared: &Rc<RefCell<Worker<C>>>,
    stream: TcpStream,
    link: LinkId,
    peer: SocketAddr,
) {
    let commons = &worker.parts.commons;
    let count = |id: &WorkerId| commons.door(*id).acquirers.load(Ordering::Relaxed);
    let Some(chosen) = commons.workers().min_by_key(count) else { return };
    if count(&chosen) >= worker.parts.bounds.sessions {
        return worker.parts.notices.push(Notice::Refused { link, peer });
    }
    let door = commons.door(chosen);
    door.acquirers.fetch_add(1, Ordering::Relaxed);
    if chosen == worker.parts.id {
        return admit(worker, shared, Ok(stream), link, peer);
    }
    let post = |socket| commons.push(chosen, Mail::Accepted { socket, link, peer }).is_ok();
    if stream.into_std().is_ok_and(post) {
        door.bell.notify_one();
    } else {
        door.acquirers.fetch_sub(1, Ordering::Relaxed);
        worker.parts.notices.push(Notice::Refused { link, peer });
    }
}

/// Takes on a connection that was assigned to this worker.
fn admit<C: Core>(
    worker: &mut Worker<C>,
    shared: &Rc<RefCell<Worker<C>>>,
    stream: io::Result<TcpStream>,
    link: LinkId,
    peer: SocketAddr,
) {
    match stream.and_then(tuned) {
        Ok(stream) if worker.phase == Phase::Running => {
            let session = worker.open(link, Wire::Socket(stream), Origin::Accepted);
            tokio::task::spawn_local(Connection::new(Rc::clone(shared), session));
        }
        _ => {
            worker.door().acquirers.fetch_sub(1, Ordering::Relaxed);
            worker.parts.notices.push(Notice::Refused { link, peer });
        }
    }
}

fn tuned(stream: TcpStream) -> io::Result<TcpStream> {
    socket::tune(&stream)?;
    Ok(stream)
}

/// Pause after a failure to accept. Out of file descriptors, accepting would fail a million times
/// a second.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
