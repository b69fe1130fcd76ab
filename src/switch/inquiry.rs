//! What became of a request that was not answered in time: its partner is asked.
//!
//! The acquirer has had its 91, so what is found out decides only what is owed. A reversal is owed
//! from the time-out on, on record, like any other; asking holds its first copy back for a few
//! seconds ([`Lane::hold_back`]) and changes nothing else. "Approved" lets it go at once. "Not
//! found" puts it aside for the late window, as a reversal's 25 does. "Declined" ends it, after
//! that window. Any other word is no answer. Silence, a lost connection and a crash need nobody to
//! notice them: the reversal is due when its time has come.
//!
//! An inquiry moves no money and is not put on record. It is 0100 (or 0200) with DE 3 = 31,
//! nothing in DE 4, DE 90 with the original as the partner knows it; each copy has a STAN of its
//! own, from those of what is owed, so that its answer finds the worker that asked.
//!
//! It is asked of partners of whose routes the configuration says that they know inquiries, that
//! are not left alone ([`super::health`]), and of so many requests at a time: more time-outs than
//! that are an outage, and a partner that comes back has better things to do.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::ids::LinkId;
use crate::base::limits::INQUIRIES_MAX;
use crate::base::map::Map;
use crate::base::time::{Instant, Now};
use crate::iso8583::dialect::Dialect;
use crate::iso8583::encode::StanBytes;
use crate::iso8583::frame::{self, Cut};
use crate::iso8583::message::Message;
use crate::iso8583::mti::Mti;

use super::bug::Bug;
use super::number::{self, Role};
use super::outbox::Outbox;
use super::owed::Owed;
use super::recent::Hearing;
use super::saf::{Finding, Lane};
use super::stats::Counter;
use super::{Batch, Switch};

/// How a partner is asked what became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// So often at most; 0 never.
    pub tries: u8,
    /// How long each waits for its answer; the next leaves then.
    pub every: Duration,
    /// 0200 instead of 0100.
    pub is_financial: bool,
    /// DE 39 that says: approved.
    pub approved: Vec<String>,
    /// DE 39 that says: there is none, or none yet.
    pub not_found: Vec<String>,
    /// DE 39 that says: declined, and nothing else; not of the inquiry itself.
    pub declined: Vec<String>,
}

impl Default for Inquiry {
    /// Two are six seconds, which few terminals wait for their own reversal. What declines by
    /// default can only be said of a payment: no funds, above a limit. 05 or 57 may be said of the
    /// inquiry, and to take back what was declined costs nothing.
    fn default() -> Self {
        let codes = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect();
        Self {
            tries: 2,
            every: Duration::from_secs(3),
            is_financial: false,
            approved: codes(&["00", "10", "11", "000", "002"]),
            not_found: codes(&["25", "914"]),
            declined: codes(&["51", "61", "65", "116", "121", "123"]),
        }
    }
}

impl Inquiry {
    /// What DE 39 says; `None` if it says nothing that can be relied on.
    fn finding(&self, code: &str) -> Option<Finding> {
        let is_of = |codes: &[String]| codes.iter().any(|other| other == code);
        if is_of(&self.approved) {
            Some(Finding::Approved)
        } else if is_of(&self.not_found) {
            Some(Finding::NotFound)
        } else {
            is_of(&self.declined).then_some(Finding::Declined)
        }
    }
}

/// What one worker has asked one partner.
#[derive(Debug, Default)]
pub(super) struct Inquiries {
    /// By the STAN of its last copy.
    asked: Map<u32, Asked>,
    /// When each copy has waited long enough, in order.
    due: VecDeque<(Instant, u32)>,
    spares: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Asked {
    /// The reversal that is held back.
    id: u64,
    message: Vec<u8>,
    tries_left: u8,
}

impl Inquiries {
    /// When the next has waited long enough.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.due.front().map(|(at, _)| *at)
    }

    fn spare(&mut self, mut message: Vec<u8>) {
        message.clear();
        self.spares.push(message);
    }

    /// Nobody answers any more: what is held back is due.
    fn give_up(&mut self, lane: &mut Lane, now: Instant) {
        self.due.clear();
        let mut ids: Vec<u64> = self.asked.drain().map(|(_, asked)| asked.id).collect();
        // A map has no order of its own.
        ids.sort_unstable();
        ids.into_iter().for_each(|id| lane.let_go(id, now));
    }
}

impl Switch {
    /// The reversal of the transaction at `place`, which ran into its deadline, has just been
    /// owed: its partner is asked first, if that is of use.
    #[cold]
    pub(super) fn inquire(&mut self, now: Now, place: u32, outbox: &mut Outbox) {
        let setup = std::sync::Arc::clone(&self.setup);
        let Some(asked) = self.transactions.at(place) else { return };
        let (partner, route, number) = (asked.partner, asked.route, asked.number);
        let knows = self.routes.numbered(route).is_some_and(|route| route.capabilities.inquiry);
        let settings = setup.link(partner).map(|link| &link.inquiry);
        let Some(settings) = settings.filter(|settings| knows && settings.tries > 0) else {
            return;
        };
        let Some(past) = self.recent.past(number).copied() else { return };
        if past.told != Hearing::Asked || !self.is_sound(partner) {
            return;
        }
        let Some(mut owed) = self.take_owed(partner) else { return };
        if owed.inquiries.asked.len() < INQUIRIES_MAX {
            let mut message = owed.inquiries.spares.pop().unwrap_or_default();
            let mut kept = std::mem::take(&mut self.kept);
            kept.gather(self.recent.kept(number));
            let (original, way) = (self.original_as_past(&past), (&mut owed.scratch, &mut message));
            let written =
                original.zip(mti(settings.is_financial)).is_some_and(|(original, mti)| {
                    self.write_inquiry(now, &original, kept.bytes(), mti, way)
                });
            self.kept = kept;
            if written {
                let id = number::owed(past.id, Role::Reversal);
                let all = settings.every * u32::from(settings.tries);
                if owed.lane.hold_back(id, now.instant.after(all), now.instant) {
                    let asked = Asked { id, message, tries_left: settings.tries };
                    self.ask(now, partner, &mut owed, asked, outbox);
                }
            }
        }
        self.put_owed(partner, owed);
    }

    /// Sends a copy. If it cannot be sent, the reversal is.
    fn ask(
        &mut self,
        now: Now,
        partner: LinkId,
        owed: &mut Owed,
        mut asked: Asked,
        outbox: &mut Outbox,
    ) {
        let setup = std::sync::Arc::clone(&self.setup);
        let Some(link) = setup.link(partner) else { return };
        let stan = owed.number(|stan| self.lanes.has(partner, stan));
        let session = self.session_for(now, &setup, partner, None, outbox);
        let gated = !setup.has(Bug::InquiryUngated);
        let lane = session.and_then(|session| outbox.lane_gated(session, gated));
        let (Some(lane), true) = (lane, self.renumber(&link.dialect, stan, &mut asked.message))
        else {
            owed.lane.let_go(asked.id, now.instant);
            return owed.inquiries.spare(asked.message);
        };
        lane.extend_from_slice(&asked.message);
        self.stats.count(Counter::Inquiries);
        asked.tries_left = asked.tries_left.saturating_sub(1);
        owed.inquiries.due.push_back((now.instant.after(link.inquiry.every), stan));
        owed.inquiries.asked.insert(stan, asked);
    }

    /// Gives a framed message another STAN.
    fn renumber(&mut self, dialect: &Dialect, stan: u32, frame: &mut [u8]) -> bool {
        let Cut::Frame { start, .. } = frame::cut(&dialect.spec.framing, frame) else {
            return false;
        };
        let span = |message: &Message<'_>| message.index.span(11);
        let Some(span) = self.look_into(dialect, frame, span) else { return false };
        let at = start + usize::from(span.value)..start + usize::from(span.end);
        let ours = StanBytes::new(dialect.field(11), stan);
        match (frame.get_mut(at), &ours) {
            (Some(old), Some(ours)) if old.len() == ours.as_slice().len() => {
                old.copy_from_slice(ours.as_slice());
                true
            }
            _ => false,
        }
    }

    /// Asks again where nothing that says anything came, and it is not too late.
    pub(super) fn inquire_again(
        &mut self,
        now: Now,
        partner: LinkId,
        owed: &mut Owed,
        outbox: &mut Outbox,
    ) {
        while let Some((_, stan)) = owed.inquiries.due.pop_front_if(|(at, _)| *at <= now.instant) {
            let Some(asked) = owed.inquiries.asked.remove(&stan) else { continue };
            if asked.tries_left > 0 && owed.lane.is_held(asked.id) {
                self.ask(now, partner, owed, asked, outbox);
            } else {
                if self.setup.has(Bug::InquirySilenceEnds) {
                    owed.lane.found(asked.id, now.instant, Finding::Declined);
                }
                owed.inquiries.spare(asked.message);
            }
        }
    }

    /// An answer to nothing that waits in the ring: to an inquiry, or to nothing at all.
    #[cold]
    pub(super) fn inquiry_answer(&mut self, batch: &Batch<'_>, message: &Message<'_>, stan: u32) {
        let Some(mut owed) = self.take_owed(batch.link_id) else { return };
        let asked = owed.inquiries.asked.get(&stan);
        let is_it = asked.is_some_and(|asked| self.answers_inquiry(batch, message, &asked.message));
        match owed.inquiries.asked.remove(&stan) {
            Some(asked) if is_it => {
                let finding = self.finding(batch, message);
                self.inquired(batch.now, &mut owed, (stan, asked), finding);
            }
            other => {
                owed.inquiries.asked.extend(other.map(|asked| (stan, asked)));
                self.stats.count(Counter::UnmatchedAnswers);
            }
        }
        self.put_owed(batch.link_id, owed);
    }

    /// What the answer to an inquiry says, if it says anything.
    fn finding(&self, batch: &Batch<'_>, message: &Message<'_>) -> Option<Finding> {
        let code = message.text::<3>(39).unwrap_or([b' '; 3]);
        let code = String::from_utf8_lossy(&code);
        match batch.link.inquiry.finding(code.trim_end()) {
            None if self.setup.has(Bug::UnclearIsDeclined) => Some(Finding::Declined),
            Some(Finding::NotFound) if self.setup.has(Bug::UnfoundIsDeclined) => {
                Some(Finding::Declined)
            }
            finding => finding,
        }
    }

    fn inquired(
        &mut self,
        now: Now,
        owed: &mut Owed,
        (stan, asked): (u32, Asked),
        finding: Option<Finding>,
    ) {
        match finding {
            // The next copy leaves when this one has had its time.
            None if asked.tries_left > 0 => {
                owed.inquiries.asked.insert(stan, asked);
                return;
            }
            None => owed.lane.let_go(asked.id, now.instant),
            Some(finding) => {
                if finding != Finding::Approved {
                    self.stats.count(Counter::NothingOwed);
                }
                owed.lane.found(asked.id, now.instant, finding);
            }
        }
        owed.inquiries.spare(asked.message);
    }

    /// The partner has no connection any more.
    pub(super) fn end_inquiries(&mut self, partner: LinkId, now: Instant) {
        let owed = self.owed.get_mut(usize::from(partner.0)).and_then(Option::as_mut);
        if let Some(Owed { inquiries, lane, .. }) = owed.map(|owed| &mut **owed) {
            inquiries.give_up(lane, now);
        }
    }
}

/// The MTI of an inquiry.
pub(super) const fn mti(is_financial: bool) -> Option<Mti> {
    Mti::from_packed(if is_financial { 0x0200 } else { 0x0100 })
}
