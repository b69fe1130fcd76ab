//! Mail between workers: in order from one to another, and as chance will have it between pairs.

use std::collections::VecDeque;

use authswitch::switch::bug::Bug;
use authswitch::switch::outbox::Told;

use super::*;

/// What workers tell each other; the sender is told apart by its place.
#[derive(Debug)]
pub(crate) enum Mail {
    /// You may send through my session.
    Lend { session: SessionId, link: LinkId },
    /// You may not any more.
    Recall { session: SessionId },
    /// To be sent through your session.
    Frames { session: SessionId, bytes: Vec<u8> },
    /// A host's answers that came on my session for you.
    Relay { link: LinkId, bytes: Vec<u8> },
    /// Requests on my connection that you remember.
    Visit { session: SessionId, link: LinkId, bytes: Vec<u8> },
    /// Answers for your connection; where approvals end in them, and their numbers.
    Answers { session: SessionId, bytes: Vec<u8>, approvals: Vec<(usize, u64)> },
    /// What became of an approval of yours.
    Told(Told),
    /// The peer of my connection sends no more, or is gone.
    GuestEnds { session: SessionId, gone: bool },
    /// I have nothing more for your connection.
    GuestLeft { session: SessionId },
}

/// All mail of one life.
#[derive(Debug, Default)]
pub(super) struct Posts {
    pairs: BTreeMap<(usize, usize), Pair>,
    /// Mails posted and not taken.
    under_way: usize,
    since: u64,
}

#[derive(Debug, Default)]
struct Pair {
    mails: VecDeque<Mail>,
    last_at: u64,
}

impl Posts {
    /// Since when there was always some mail under way, if there is.
    pub(super) fn busy_since(&self) -> Option<u64> {
        (self.under_way > 0).then_some(self.since)
    }
}

impl World {
    pub(super) fn post(&mut self, from: usize, to: usize, mail: Mail) {
        let mut delay = self.dice.between(1, 80) * US;
        // The end of a connection may overtake what is mailed for it.
        let races = matches!(mail, Mail::Answers { .. }) && self.faults.is_on(Fault::GuestGone);
        if races || self.faults.strike(Fault::SlowMail, &mut self.dice) {
            delay = self.dice.between(1, 20_000) * US;
        }
        let (now, life) = (self.now, self.life);
        let Some(process) = &mut self.process else { return };
        let posts = &mut process.posts;
        if posts.under_way == 0 {
            posts.since = now;
        }
        posts.under_way += 1;
        let pair = posts.pairs.entry((from, to)).or_default();
        pair.last_at = pair.last_at.max(now + delay);
        pair.mails.push_back(mail);
        let at = pair.last_at;
        self.at(at, What::Mail(life, from, to));
    }

    /// A mail is there for its worker's next turn.
    pub(super) fn delivers(&mut self, from: usize, to: usize) {
        let Some(process) = &mut self.process else { return };
        let pair = process.posts.pairs.entry((from, to)).or_default();
        if let Some(mail) = pair.mails.pop_front() {
            self.input(to, Input::Mail(from, mail));
        }
    }

    /// What a worker read in its turn is done with.
    pub(super) fn has_read_mail(&mut self, mails: usize) {
        if let Some(process) = &mut self.process {
            process.posts.under_way -= mails;
        }
    }

    pub(super) fn reads_mail(&mut self, worker: usize, from: usize, mail: Mail) {
        match mail {
            Mail::Lend { session, link } => self.borrows(worker, (from, session), link),
            Mail::Recall { session } => self.returns_borrowed(worker, (from, session)),
            Mail::Frames { session, bytes } => {
                let lane = self.worker(worker).and_then(|worker| worker.outbox.lane(session));
                lane.into_iter().for_each(|lane| lane.extend_from_slice(&bytes));
            }
            Mail::Relay { link, bytes } => {
                self.feed(worker, Event::Relayed { link, bytes: &bytes });
            }
            Mail::Visit { session, link, bytes } => {
                self.receives_guest(worker, (from, session), link, &bytes);
            }
            Mail::Answers { session, bytes, approvals } => {
                self.answers_for(worker, (from, session), &bytes, &approvals);
            }
            Mail::Told(told) => {
                self.feed(worker, Event::Told(told));
            }
            Mail::GuestEnds { session, gone } => self.ends_guest(worker, (from, session), gone),
            Mail::GuestLeft { session } => self.misses_guest(worker, from, session),
        }
    }

    /// What arrived for other workers, and what became of their approvals.
    pub(super) fn posts_out(&mut self, worker: usize) {
        self.posts_relays(worker);
        while let Some((to, told)) = self.worker(worker).and_then(|w| w.outbox.next_told()) {
            self.post(worker, usize::from(to.0), Mail::Told(told));
        }
    }

    pub(super) fn posts_relays(&mut self, worker: usize) {
        while let Some(relay) = self.worker(worker).and_then(|w| w.outbox.next_relay()) {
            let (to, session, bytes) = (usize::from(relay.worker.0), relay.session, relay.bytes);
            let seat = self.worker(worker).and_then(|worker| worker.seats.at(session));
            let Some(Seat::Socket(id)) = seat else { continue };
            let link = self.connections[id].link();
            if matches!(self.connections[id].end, End::Client(..)) {
                self.connections[id].guest_of |= 1 << to;
                self.post(worker, to, Mail::Visit { session, link, bytes });
            } else {
                self.post(worker, to, Mail::Relay { link, bytes });
            }
        }
    }

    /// Mails what waits in the lane of a session whose socket is another worker's.
    pub(super) fn posts_lane(&mut self, worker: usize, session: SessionId) {
        let Some(seat) = self.worker(worker).and_then(|worker| worker.seats.at(session)) else {
            return;
        };
        let Seat::Mailbox { owner, theirs, is_guest, .. } = seat else { return };
        if self.faults.strike(Fault::MailboxFull, &mut self.dice) {
            let (at, life) = (self.now + MS, self.life);
            self.at(at, What::Alarm(life, worker));
            let Some(worker) = self.worker(worker) else { return };
            if !worker.unsent.contains(&session) {
                worker.unsent.push(session);
            }
            return;
        }
        let Some(of) = self.worker(worker) else { return };
        if is_guest {
            let (bytes, mut approvals) = of.outbox.take_marked(session);
            if bytes.is_empty() {
                return;
            }
            if self.has(Bug::MailedIsHanded) {
                for (_, number) in std::mem::take(&mut approvals) {
                    self.feed(worker, Event::Told(Told { number, handed: true }));
                }
            }
            self.post(worker, owner, Mail::Answers { session: theirs, bytes, approvals });
            if self.faults.is_on(Fault::GuestGone) {
                self.guest_goes((owner, theirs));
            }
        } else {
            let bytes = of.outbox.take(session);
            self.oracle.mails(&bytes);
            self.post(worker, owner, Mail::Frames { session: theirs, bytes });
        }
        self.closes_mailbox(worker, session);
    }

    /// What found a mailbox full.
    pub(super) fn posts_again(&mut self, worker: usize) {
        let Some(of) = self.worker(worker) else { return };
        for session in std::mem::take(&mut of.unsent) {
            let waits = self.worker(worker).map_or(0, |w| w.outbox.backlog_bytes(session)) > 0;
            if waits {
                self.posts_lane(worker, session);
            }
        }
    }
}
