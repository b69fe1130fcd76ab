//! Connections to hosts that workers lend each other: a host may have fewer than there are workers.

use super::guests::Theirs;
use super::*;

/// What another worker lends.
#[derive(Debug)]
pub(super) struct Offer {
    theirs: Theirs,
    link: LinkId,
    /// Our handle, if we use it.
    pub(super) used_as: Option<SessionId>,
}

impl World {
    /// Whose the connection is: they are dealt out over hosts and workers.
    pub(super) fn dials_on(&self, host: usize, place: usize) -> usize {
        (host * self.faults.sessions + place) % self.workers().max(1)
    }

    /// A connection to a host is up or about to be.
    pub(super) fn expects(&mut self, host: usize, place: usize) {
        if let Some(process) = &mut self.process {
            process.expected.insert((host, place));
        }
    }

    /// It is down: what others lend is used if it was the last.
    pub(super) fn misses(&mut self, host: usize, place: usize) {
        let Some(process) = &mut self.process else { return };
        process.expected.remove(&(host, place));
        let worker = self.dials_on(host, place);
        self.uses_offers(worker, LinkId(1 + host as u16));
    }

    fn has_own(&self, worker: usize, link: LinkId) -> bool {
        let expected = self.process.as_ref().map(|process| &process.expected);
        expected.into_iter().flatten().any(|(host, place)| {
            LinkId(1 + *host as u16) == link && self.dials_on(*host, *place) == worker
        })
    }

    pub(super) fn shares(&mut self, worker: usize, session: SessionId, up: bool) {
        let seat = self.worker(worker).and_then(|worker| worker.seats.at(session));
        let Some(Seat::Socket(id)) = seat else { return };
        let link = self.connections[id].link();
        if std::mem::replace(&mut self.connections[id].lent, up) == up {
            return;
        }
        for other in (0..self.workers()).filter(|other| *other != worker) {
            self.post(
                worker,
                other,
                match up {
                    true => Mail::Lend { session, link },
                    false => Mail::Recall { session },
                },
            );
        }
    }

    pub(super) fn borrows(&mut self, worker: usize, theirs: Theirs, link: LinkId) {
        let Some(of) = self.worker(worker) else { return };
        of.offers.push(Offer { theirs, link, used_as: None });
        self.uses_offers(worker, link);
    }

    pub(super) fn returns_borrowed(&mut self, worker: usize, theirs: Theirs) {
        let Some(of) = self.worker(worker) else { return };
        let Some(place) = of.offers.iter().position(|offer| offer.theirs == theirs) else { return };
        if let Some(session) = of.offers.swap_remove(place).used_as {
            self.loses_mailbox(worker, session);
        }
    }

    fn uses_offers(&mut self, worker: usize, link: LinkId) {
        if self.has_own(worker, link) {
            return;
        }
        let count = self.worker(worker).map_or(0, |worker| worker.offers.len());
        for place in 0..count {
            let Some(of) = self.worker(worker) else { return };
            let Offer { theirs, link: of_link, used_as } = of.offers[place];
            if of_link != link || used_as.is_some() {
                continue;
            }
            let session = self.opens_mailbox(worker, theirs, link, false);
            if let Some(of) = self.worker(worker) {
                of.offers[place].used_as = Some(session);
            }
        }
    }
}
