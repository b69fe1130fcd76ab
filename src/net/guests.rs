//! Requests that another worker remembers, and the answers to them.
//!
//! A terminal that asks again on another connection may reach another worker than the first time.
//! Its request is passed on to the worker that remembers, which opens a guest: a session without a
//! socket, whose lane is mailed to the worker that owns the connection. There the answers go
//! behind its own. Whether the kernel took an approval is told back, because only who remembers a
//! sale can reverse it. Only repeats and reversals come this way, so nothing here is fast.

use std::sync::Arc;

use super::Core;
use super::mail::{Load, Mail};
use super::sessions::{Origin, Wire};
use super::worker::{Loss, Worker};
use crate::base::ids::{LinkId, SessionId, WorkerId};
use crate::switch::event::Event;
use crate::switch::outbox::{CloseCause, Told};

/// Where a passed request comes from.
#[derive(Debug)]
pub(super) struct Visit {
    /// The worker that owns the connection.
    pub(super) owner: WorkerId,
    /// Its handle of the connection.
    pub(super) session: SessionId,
    /// Whose connection it is.
    pub(super) link: LinkId,
    /// What waits for the connection.
    pub(super) load: Arc<Load>,
}

impl<C: Core> Worker<C> {
    /// Passes whole frames of one of our connections on.
    pub(super) fn pass(&mut self, to: WorkerId, id: SessionId, bytes: Vec<u8>) {
        let owner = self.parts.id;
        let Some(session) = self.sessions.at(id) else { return };
        session.guest_of |= 1 << to.0;
        let load = Arc::clone(session.load.get_or_insert_default());
        let visit = Visit { owner, session: id, link: session.link, load };
        self.post(to, Mail::Visit { visit, bytes });
    }

    /// Takes the request of a guest.
    pub(super) fn receive_guest(&mut self, visit: Visit, bytes: Vec<u8>) {
        let Visit { owner, session, link, load } = visit;
        let id = match self.guests.get(&(owner, session)) {
            Some(id) => *id,
            None => {
                let id = self.open(link, Wire::Mailbox { owner, session, load }, Origin::Shared);
                self.guests.insert((owner, session), id);
                id
            }
        };
        let now = self.now();
        let event = Event::Received { session: id, bytes: &bytes };
        let taken = self.core.handle(now, event, &mut self.outbox);
        debug_assert_eq!(taken, bytes.len(), "whole frames are passed on");
        self.send_home(owner, bytes);
    }

    /// Answers for one of our connections, from the worker that remembers.
    pub(super) fn answer_for(
        &mut self,
        from: WorkerId,
        id: SessionId,
        bytes: Vec<u8>,
        approvals: &[(usize, u64)],
    ) {
        self.outbox.append_for(from, id, &bytes, approvals);
        self.sent_for(from, id, bytes);
    }

    /// Mails the lane of a guest; what is approved in it is told back when the kernel has it.
    pub(super) fn post_answers(&mut self, owner: WorkerId, theirs: SessionId, id: SessionId) {
        let (bytes, approvals) = self.outbox.take_marked(id);
        if bytes.is_empty() {
            return self.outbox.give_back(bytes);
        }
        if let Some(Wire::Mailbox { load, .. }) = self.sessions.at(id).map(|s| &s.wire) {
            load.mail(bytes.len());
        }
        let from = self.parts.id;
        self.post(owner, Mail::Answers { from, session: theirs, bytes, approvals });
    }

    /// Tells other workers what became of their approvals.
    pub(super) fn post_told(&mut self) {
        while let Some((worker, told)) = self.outbox.next_told() {
            self.post(worker, Mail::Told { told });
        }
    }

    /// What became of an approval that we answered through another worker.
    pub(super) fn hear(&mut self, told: Told) {
        self.feed(Event::Told(told));
    }

    /// The peer of a connection sends no more, or is gone: its guests are to hear so.
    pub(super) fn tell_guests(&mut self, id: SessionId, gone: bool) {
        // What it asked last goes first.
        self.post_relays();
        let Some(session) = self.sessions.at(id) else { return };
        let guest_of = session.guest_of;
        let owner = self.parts.id;
        for worker in self.others().filter(|worker| guest_of >> worker.0 & 1 == 1) {
            self.post(worker, Mail::GuestEnds { owner, session: id, gone });
        }
    }

    /// The connection of a guest ends.
    pub(super) fn end_guest(&mut self, owner: WorkerId, theirs: SessionId, gone: bool) {
        match self.guests.get(&(owner, theirs)) {
            Some(id) if gone => self.lose(*id, Loss::Closed(CloseCause::Finished)),
            Some(id) => self.feed(Event::Ended { session: *id }),
            None => self.post(owner, Mail::GuestLeft { worker: self.parts.id, session: theirs }),
        }
    }

    /// If it was a guest that was lost, its owner waits for it no longer.
    pub(super) fn guest_left(&mut self, wire: &Wire) {
        let Wire::Mailbox { owner, session, .. } = *wire else { return };
        if self.guests.remove(&(owner, session)).is_some() {
            self.post(owner, Mail::GuestLeft { worker: self.parts.id, session });
        }
    }

    /// Another worker has nothing more for one of our connections.
    pub(super) fn miss_guest(&mut self, worker: WorkerId, id: SessionId) {
        if let Some(session) = self.sessions.at(id) {
            session.guest_of &= !(1 << worker.0);
            self.feed(Event::GuestLeft { session: id, worker });
        }
    }
}
