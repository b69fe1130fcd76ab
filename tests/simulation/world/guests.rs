//! Requests that another worker remembers: the connection's owner passes them on, the worker that
//! remembers opens a guest, a session whose lane is mailed to the owner.

use authswitch::switch::bug::Bug;

use super::*;

/// A session of another worker: whose, and its handle there.
pub(super) type Theirs = (usize, SessionId);

impl World {
    pub(super) fn receives_guest(
        &mut self,
        worker: usize,
        (owner, theirs): Theirs,
        link: LinkId,
        bytes: &[u8],
    ) {
        let Some(of) = self.worker(worker) else { return };
        let session = match of.seats.mailbox_of(owner, theirs) {
            Some(session) => session,
            None => self.opens_mailbox(worker, (owner, theirs), link, true),
        };
        self.feed(worker, Event::Received { session, bytes });
    }

    /// A session for one of another worker's.
    pub(super) fn opens_mailbox(
        &mut self,
        worker: usize,
        (owner, theirs): Theirs,
        link: LinkId,
        is_guest: bool,
    ) -> SessionId {
        let seat = Seat::Mailbox { owner, theirs, is_guest, is_closing: false };
        let of = self.worker(worker).expect("it is at work");
        let session = of.seats.take(seat);
        of.outbox.open(session);
        self.feed(worker, Event::Opened { session, link, shared: true });
        session
    }

    pub(super) fn answers_for(
        &mut self,
        worker: usize,
        (from, mut session): Theirs,
        bytes: &[u8],
        approvals: &[(usize, u64)],
    ) {
        let to_any = self.has(Bug::AnswersToNextTenant);
        let Some(of) = self.worker(worker) else { return };
        if to_any {
            session = of.seats.next_tenant(session);
        }
        of.outbox.append_for(WorkerId(from as u8), session, bytes, approvals);
    }

    /// The peer of a connection sends no more, or is gone: its guests are to hear so.
    pub(crate) fn tell_guests(&mut self, id: usize, gone: bool) {
        let Connection { worker, session, .. } = self.connections[id];
        // What it asked last goes first.
        self.posts_relays(worker);
        let guest_of = self.connections[id].guest_of;
        for other in (0..self.workers()).filter(|other| guest_of >> other & 1 == 1) {
            self.post(worker, other, Mail::GuestEnds { session, gone });
        }
    }

    pub(super) fn ends_guest(&mut self, worker: usize, (owner, theirs): Theirs, gone: bool) {
        let Some(of) = self.worker(worker) else { return };
        match of.seats.mailbox_of(owner, theirs) {
            Some(session) if gone => self.loses_mailbox(worker, session),
            Some(session) => drop(self.feed(worker, Event::Ended { session })),
            None => self.post(worker, owner, Mail::GuestLeft { session: theirs }),
        }
    }

    /// The core wants it closed: when its lane is mailed.
    pub(super) fn close_mailbox(&mut self, worker: usize, session: SessionId) {
        let Some(of) = self.worker(worker) else { return };
        if let Some(Seat::Mailbox { is_closing, .. }) = of.seats.at_mut(session) {
            *is_closing = true;
        }
        if of.outbox.backlog_bytes(session) == 0 {
            self.closes_mailbox(worker, session);
        }
    }

    pub(super) fn closes_mailbox(&mut self, worker: usize, session: SessionId) {
        let seat = self.worker(worker).and_then(|worker| worker.seats.at(session));
        if matches!(seat, Some(Seat::Mailbox { is_closing: true, .. })) {
            self.loses_mailbox(worker, session);
        }
    }

    pub(super) fn loses_mailbox(&mut self, worker: usize, session: SessionId) {
        let Some(of) = self.worker(worker) else { return };
        let Some(Seat::Mailbox { owner, theirs, is_guest, .. }) = of.seats.free(session) else {
            return;
        };
        for offer in &mut of.offers {
            offer.used_as = offer.used_as.filter(|used_as| *used_as != session);
        }
        if is_guest {
            self.post(worker, owner, Mail::GuestLeft { session: theirs });
            if self.has(Bug::GuestNotClosed) {
                return;
            }
        }
        self.feed(worker, Event::Closed { session });
        if let Some(of) = self.worker(worker) {
            of.outbox.close(session);
        }
    }

    /// Connections may break while another worker has something for them.
    pub(super) fn guests_go(&mut self, worker: usize) {
        if !self.faults.is_on(Fault::GuestGone) {
            return;
        }
        let Some(of) = self.worker(worker) else { return };
        let has_answers = |(session, seat)| match seat {
            Seat::Mailbox { owner, theirs, is_guest: true, .. } => {
                (of.outbox.backlog_bytes(session) > 0).then_some((owner, theirs))
            }
            _ => None,
        };
        let waiting: Vec<Theirs> = of.seats.all().filter_map(has_answers).collect();
        waiting.into_iter().for_each(|theirs| self.guest_goes(theirs));
    }

    /// As often as not: what waits for the disk may be in the mail when it does.
    pub(super) fn guest_goes(&mut self, (owner, theirs): Theirs) {
        let seat = self.worker(owner).and_then(|owner| owner.seats.at(theirs));
        if let Some(Seat::Socket(id)) = seat
            && self.connections[id].alive
            && self.dice.chance(500)
            && self.faults.strike(Fault::GuestGone, &mut self.dice)
        {
            self.reset(id);
        }
    }

    /// Another worker has nothing more for one of our connections.
    pub(super) fn misses_guest(&mut self, worker: usize, from: usize, session: SessionId) {
        let seat = self.worker(worker).and_then(|worker| worker.seats.at(session));
        if let Some(Seat::Socket(id)) = seat {
            self.connections[id].guest_of &= !(1 << from);
            self.feed(worker, Event::GuestLeft { session, worker: WorkerId(from as u8) });
        }
    }
}
