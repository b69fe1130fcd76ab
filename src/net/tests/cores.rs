//! Cores that are not a switch.

use std::time::Duration;

use super::{ACQUIRER, PARTNER};
use crate::base::ids::{SessionId, WorkerId};
use crate::base::time::{Instant, Now};
use crate::net::Core;
use crate::switch::event::Event;
use crate::switch::outbox::{CloseCause, Command, Outbox};
use crate::switch::record::Record;

/// What the cores here count.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub(super) opened: usize,
    pub(super) opened_shared: usize,
    pub(super) ended: usize,
    pub(super) closed: usize,
    pub(super) frames: usize,
    pub(super) bytes: usize,
    pub(super) relayed: usize,
    pub(super) routes: usize,
    /// How late each deadline was fed.
    pub(super) lateness: Vec<Duration>,
}

/// Answers every frame with itself. The body `alarm` is answered 20 ms later.
#[derive(Debug, Default)]
pub(super) struct Echo {
    counts: Counts,
    alarm: Option<(Instant, SessionId)>,
}

impl Core for Echo {
    type Stats = Counts;

    fn handle(&mut self, now: Now, event: Event<'_>, outbox: &mut Outbox) -> usize {
        match event {
            Event::Opened { .. } => self.counts.opened += 1,
            Event::Closed { .. } => self.counts.closed += 1,
            Event::Routes(_) => self.counts.routes += 1,
            Event::Rules(_) => {}
            Event::Storage(_) | Event::Looked(_) => {}
            Event::Forgetting(batch) => outbox.records.push(&Record::Handed(batch)),
            Event::Ended { session } => {
                self.counts.ended += 1;
                let cause = CloseCause::Finished;
                outbox.commands.push(Command::Close { session, cause });
            }
            Event::Relayed { bytes, .. } => return bytes.len(),
            Event::Deadline => {
                let (at, session) = self.alarm.take().expect("a deadline was set");
                assert!(now.instant >= at, "a deadline is never early");
                self.counts.lateness.push(now.instant.since(at));
                answer(outbox, session, b"alarm");
            }
            Event::Received { session, bytes } => {
                return each_frame(bytes, |body| {
                    self.counts.frames += 1;
                    self.counts.bytes += body.len();
                    if body == b"alarm" {
                        let at = now.instant.after(Duration::from_millis(20));
                        self.alarm = Some((at, session));
                    } else {
                        answer(outbox, session, body);
                    }
                });
            }
            Event::Drain | Event::Leave | Event::Told(_) | Event::GuestLeft { .. } => {}
        }
        0
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.alarm.map(|(at, _)| at)
    }

    fn is_drained(&self) -> bool {
        true
    }

    fn stats(&self) -> &Counts {
        &self.counts
    }
}

/// Forwards to a partner that echoes. In front of what an acquirer sent stands who asked: worker,
/// slot, generation.
#[derive(Debug)]
pub(super) struct Forward {
    id: WorkerId,
    partners: Vec<SessionId>,
    acquirers: Vec<SessionId>,
    waiting: usize,
    counts: Counts,
}

impl Forward {
    pub(super) fn new(id: WorkerId) -> Self {
        let counts = Counts::default();
        Self { id, partners: Vec::new(), acquirers: Vec::new(), waiting: 0, counts }
    }

    fn request(&mut self, session: SessionId, body: &[u8], outbox: &mut Outbox) {
        self.counts.frames += 1;
        let partner = self.partners.last().copied();
        let Some(partner) = partner else { return answer(outbox, session, b"91") };
        self.waiting += 1;
        let mut tagged = vec![self.id.0];
        tagged.extend(session.slot.to_be_bytes());
        tagged.extend(session.generation.to_be_bytes());
        tagged.extend(body);
        answer(outbox, partner, &tagged);
    }

    fn response(&mut self, session: Option<SessionId>, body: &[u8], outbox: &mut Outbox) {
        let (tag, rest) = body.split_at(9);
        let number = |at: usize| u32::from_be_bytes(tag[at..at + 4].try_into().expect("four"));
        if tag[0] == self.id.0 {
            self.waiting -= 1;
            answer(outbox, SessionId { slot: number(1), generation: number(5) }, rest);
        } else {
            let session = session.expect("nothing is relayed twice");
            self.counts.relayed += 1;
            outbox.relay(session, WorkerId(tag[0]), &super::frame(body));
        }
    }
}

impl Core for Forward {
    type Stats = Counts;

    fn handle(&mut self, _now: Now, event: Event<'_>, outbox: &mut Outbox) -> usize {
        match event {
            Event::Opened { session, link: ACQUIRER, .. } => {
                self.counts.opened += 1;
                self.acquirers.push(session);
            }
            Event::Opened { session, shared, .. } => {
                self.partners.push(session);
                self.counts.opened_shared += usize::from(shared);
                if !shared {
                    outbox.commands.push(Command::Share { session, up: true });
                }
            }
            Event::Closed { session } => {
                self.counts.closed += 1;
                self.partners.retain(|partner| *partner != session);
            }
            Event::Ended { session } => {
                let cause = CloseCause::Finished;
                outbox.commands.push(Command::Close { session, cause });
            }
            Event::Received { session, bytes } => {
                let from_partner = self.partners.contains(&session);
                return each_frame(bytes, |body| {
                    if from_partner {
                        self.response(Some(session), body, outbox);
                    } else {
                        self.request(session, body, outbox);
                    }
                });
            }
            Event::Relayed { bytes, .. } => {
                return each_frame(bytes, |body| self.response(None, body, outbox));
            }
            Event::Deadline
            | Event::Routes(_)
            | Event::Rules(_)
            | Event::Storage(_)
            | Event::Forgetting(_)
            | Event::Told(_)
            | Event::GuestLeft { .. }
            | Event::Looked(_)
            | Event::Drain
            | Event::Leave => {}
        }
        0
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn is_drained(&self) -> bool {
        self.waiting == 0
    }

    fn stats(&self) -> &Counts {
        &self.counts
    }
}

fn answer(outbox: &mut Outbox, session: SessionId, body: &[u8]) {
    if let Some(lane) = outbox.lane(session) {
        lane.extend_from_slice(&(body.len() as u16).to_be_bytes());
        lane.extend_from_slice(body);
    }
}

fn each_frame(bytes: &[u8], mut visit: impl FnMut(&[u8])) -> usize {
    let mut at = 0;
    while let Some(&length) = bytes[at..].first_chunk() {
        let end = at + 2 + usize::from(u16::from_be_bytes(length));
        let Some(body) = bytes.get(at + 2..end) else { break };
        visit(body);
        at = end;
    }
    at
}

const _: () = assert!(ACQUIRER.0 != PARTNER.0);
