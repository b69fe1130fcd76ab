//! Partner sessions used by workers that do not own the socket.
//!
//! Partners cap connections, so a link may have fewer than there are workers. The owner lends a
//! signed-on session to all other workers; a worker that has no session of its own of that link
//! opens a virtual one whose lane is mailed, whole, at the end of the turn. Answers come back by
//! the number of the worker in their STAN. No pending table is shared.
//!
//! A worker whose own sessions of a link are all down uses what is lent until it is recalled, so
//! one lost connection costs a detour and not the transactions of a worker.

use std::sync::Arc;

use super::Core;
use super::mail::{Load, Mail};
use super::notice::Notice;
use super::sessions::{Origin, Wire};
use super::worker::{Loss, Worker};
use crate::base::ids::{LinkId, SessionId, WorkerId};
use crate::switch::event::Event;
use crate::switch::outbox::CloseCause;

/// What other workers lend to this one, and what it has of its own.
#[derive(Debug, Default)]
pub(super) struct Offers {
    offers: Vec<Offer>,
    /// Connections of this worker, per link, that are up or about to be.
    own: Vec<(LinkId, usize)>,
}

#[derive(Debug)]
struct Offer {
    owner: WorkerId,
    /// The owner's handle.
    session: SessionId,
    link: LinkId,
    load: Arc<Load>,
    /// Our handle, if we use it.
    used_as: Option<SessionId>,
}

impl Offers {
    fn has_own(&self, link: LinkId) -> bool {
        self.own.iter().any(|(own, count)| *own == link && *count > 0)
    }

    fn at(&self, owner: WorkerId, session: SessionId) -> Option<usize> {
        self.offers.iter().position(|offer| offer.owner == owner && offer.session == session)
    }

    /// Our virtual session is gone.
    pub(super) fn returned(&mut self, session: SessionId) {
        for offer in &mut self.offers {
            if offer.used_as == Some(session) {
                offer.used_as = None;
            }
        }
    }
}

impl<C: Core> Worker<C> {
    /// A connection of our own to `link` is up or about to be (again).
    pub(super) fn expect_own(&mut self, link: LinkId) {
        match self.offers.own.iter_mut().find(|(own, _)| *own == link) {
            Some((_, count)) => *count += 1,
            None => self.offers.own.push((link, 1)),
        }
    }

    /// It is down: what others lend is used if it was the last.
    pub(super) fn miss_own(&mut self, link: LinkId) {
        if let Some((_, count)) = self.offers.own.iter_mut().find(|(own, _)| *own == link) {
            *count = count.saturating_sub(1);
        }
        self.use_offers(link);
    }

    /// Tells the other workers that they may send through `id`.
    pub(super) fn lend(&mut self, id: SessionId) {
        let Some(session) = self.sessions.at(id) else { return };
        if session.origin == Origin::Shared || std::mem::replace(&mut session.lent, true) {
            return;
        }
        // Lent again, it keeps its load: what was mailed before may still be under way.
        let load = Arc::clone(session.load.get_or_insert_default());
        let (owner, link) = (self.parts.id, session.link);
        for worker in self.others() {
            self.post(worker, Mail::Lend { owner, session: id, link, load: Arc::clone(&load) });
        }
    }

    /// Tells them that they may not any more.
    pub(super) fn recall(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.at(id)
            && !std::mem::take(&mut session.lent)
        {
            return;
        }
        for worker in self.others() {
            self.post(worker, Mail::Recall { owner: self.parts.id, session: id });
        }
    }

    /// Another worker lends us a session.
    pub(super) fn borrow(
        &mut self,
        owner: WorkerId,
        session: SessionId,
        link: LinkId,
        load: Arc<Load>,
    ) {
        self.offers.offers.push(Offer { owner, session, link, load, used_as: None });
        self.use_offers(link);
    }

    /// It wants it back, or has lost it.
    pub(super) fn return_borrowed(&mut self, owner: WorkerId, session: SessionId) {
        let Some(place) = self.offers.at(owner, session) else { return };
        let offer = self.offers.offers.swap_remove(place);
        if let Some(used_as) = offer.used_as {
            self.lose(used_as, Loss::Closed(CloseCause::Finished));
        }
    }

    fn use_offers(&mut self, link: LinkId) {
        if self.offers.has_own(link) {
            return;
        }
        for place in 0..self.offers.offers.len() {
            let offer = &self.offers.offers[place];
            if offer.link != link || offer.used_as.is_some() {
                continue;
            }
            let load = Arc::clone(&offer.load);
            let wire = Wire::Mailbox { owner: offer.owner, session: offer.session, load };
            let used_as = self.open(link, wire, Origin::Shared);
            self.offers.offers[place].used_as = Some(used_as);
        }
    }

    /// Mails the lane of a virtual session to the owner of its socket, unless too much waits there
    /// already: then it stays, and the core sees the backlog.
    pub(super) fn post_frames(&mut self, id: SessionId) {
        let Some(session) = self.sessions.at(id) else { return };
        let Wire::Mailbox { owner, session: theirs, ref load } = session.wire else { return };
        let full = load.bytes() >= self.parts.bounds.outbox_bytes / 2
            || !self.unposted[usize::from(owner.0)].is_empty()
            || self.parts.commons.door(owner).mail.is_full();
        if full {
            if !self.unsent.contains(&id) {
                self.unsent.push(id);
            }
            return self.retry_soon();
        }
        if self.guests.get(&(owner, theirs)) == Some(&id) {
            self.post_answers(owner, theirs, id);
        } else {
            let bytes = self.outbox.take(id);
            load.mail(bytes.len());
            self.post(owner, Mail::Frames { from: self.parts.id, session: theirs, bytes });
        }
        let closing = self.sessions.at(id).and_then(|session| session.closing);
        if let Some((cause, _)) = closing {
            self.close_written(id, cause);
        }
    }

    /// Frames from a worker that uses our session go behind our own.
    pub(super) fn send_for(&mut self, from: WorkerId, id: SessionId, bytes: Vec<u8>) {
        if let Some(lane) = self.outbox.lane(id) {
            lane.extend_from_slice(&bytes);
        }
        self.sent_for(from, id, bytes);
    }

    /// Frames of another worker are in the lane.
    pub(super) fn sent_for(&mut self, from: WorkerId, id: SessionId, bytes: Vec<u8>) {
        // Opens a turn, at whose end the lane is written.
        self.now();
        let queued = self.outbox.backlog_bytes(id);
        if let Some(load) = self.sessions.at(id).and_then(|session| session.load.as_ref()) {
            load.receive(bytes.len());
            load.queue(queued);
        }
        self.send_home(from, bytes);
    }

    /// Answers that arrived at another worker's socket, for requests of ours. A partner answers on
    /// which of its connections it likes, and late: whether that one is lent to us does not matter.
    pub(super) fn receive_for(&mut self, owner: WorkerId, link: LinkId, bytes: Vec<u8>) {
        let now = self.now();
        let event = Event::Relayed { link, bytes: &bytes };
        let taken = self.core.handle(now, event, &mut self.outbox);
        debug_assert_eq!(taken, bytes.len(), "whole frames are relayed");
        self.send_home(owner, bytes);
    }

    /// Mails what arrived here for others.
    pub(super) fn post_relays(&mut self) {
        while let Some(relay) = self.outbox.next_relay() {
            let worker = relay.worker;
            debug_assert_ne!(worker, self.parts.id, "nobody relays to itself");
            if self.unposted[usize::from(worker.0)].len() >= UNPOSTED_MAX {
                self.parts.notices.push(Notice::MailDropped { worker });
                self.outbox.give_back(relay.bytes);
                continue;
            }
            let (owner, bytes) = (self.parts.id, relay.bytes);
            match self.sessions.get(relay.session).map(|session| (session.origin, session.link)) {
                Some((Origin::Dialled, link)) => {
                    self.post(worker, Mail::Relay { owner, link, bytes });
                }
                Some(_) => self.pass(worker, relay.session, bytes),
                None => debug_assert!(false, "what is relayed is mailed before its session ends"),
            }
        }
    }

    /// Mails, in order; what finds the mailbox full is tried again.
    pub(super) fn post(&mut self, to: WorkerId, mail: Mail) {
        let unposted = &mut self.unposted[usize::from(to.0)];
        if unposted.is_empty() {
            if let Err(mail) = self.parts.commons.push(to, mail) {
                unposted.push_back(mail);
            }
        } else {
            unposted.push_back(mail);
        }
        self.rings |= 1 << to.0;
        if !self.unposted[usize::from(to.0)].is_empty() {
            self.retry_soon();
        }
        // Opens a turn, at whose end the bell is rung.
        self.now();
    }

    /// Mails what found a mailbox full.
    pub(super) fn post_again(&mut self) {
        self.retry_at = None;
        for worker in self.others() {
            let place = usize::from(worker.0);
            while let Some(mail) = self.unposted[place].pop_front() {
                self.rings |= 1 << worker.0;
                if let Err(mail) = self.parts.commons.push(worker, mail) {
                    self.unposted[place].push_front(mail);
                    self.retry_soon();
                    break;
                }
            }
        }
        for id in std::mem::take(&mut self.unsent) {
            if self.outbox.backlog_bytes(id) > 0 {
                self.post_frames(id);
            }
        }
    }

    fn retry_soon(&mut self) {
        let at = self.now().instant.after(RETRY);
        self.retry_at = Some(self.retry_at.map_or(at, |earliest| earliest.min(at)));
    }

    /// Rings the bells of those who were mailed to in this turn, and takes empty buffers in.
    pub(super) fn ring(&mut self) {
        let rings = std::mem::take(&mut self.rings);
        for worker in self.parts.commons.workers().filter(|worker| rings >> worker.0 & 1 == 1) {
            self.parts.commons.door(worker).bell.notify_one();
        }
        let door = self.parts.commons.door(self.parts.id);
        while !door.spent.is_empty()
            && let Some(bytes) = door.spent.pop()
        {
            self.outbox.give_back(bytes);
        }
    }

    /// Gives a read buffer back to the worker that filled it.
    pub(super) fn send_home(&self, worker: WorkerId, mut bytes: Vec<u8>) {
        bytes.clear();
        // A full queue means that it has enough of them.
        drop(self.parts.commons.door(worker).spent.push(bytes));
    }

    pub(super) fn others(&self) -> impl Iterator<Item = WorkerId> + use<C> {
        let (count, own) = (self.parts.commons.doors().len(), self.parts.id);
        (0..count).map(|place| WorkerId(place as u8)).filter(move |worker| *worker != own)
    }
}

/// Pause before a full mailbox is tried again.
const RETRY: std::time::Duration = std::time::Duration::from_millis(1);

/// Mails kept for a worker whose mailbox is full.
const UNPOSTED_MAX: usize = 1024;
