//! What the switch owes its partners: reversals and advices, made, sent, and sent again until they
//! are taken.
//!
//! A reversal is made from what was kept of its original and names it as the partner saw it: the
//! STAN the partner was sent, DE 7, DE 32 and DE 33, in DE 90. An advice is made the same way. Each
//! keeps its own STAN and its bytes for ever; a later copy differs in the last digit of its MTI
//! only. Which copy is sent when is decided by the [`saf::Lane`] of the partner.

use std::collections::VecDeque;

use crate::base::codes::ResponseCode;
use crate::base::ids::{LinkId, SessionId};
use crate::base::limits::{self, SAF_ENTRIES_MAX};
use crate::base::map::Map;
use crate::base::time::{Instant, Now};
use crate::iso8583::dialect::Dialect;
use crate::iso8583::message::Message;

use super::bug::Bug;
use super::compose::{Advice, Original, body_of, mark_repeat};
use super::inquiry::Inquiries;
use super::noted::Lived;
use super::number::{self, Role};
use super::outbox::Outbox;
use super::pending::Share;
use super::recent::Hearing;
use super::saf::{Lane, Obligation, Settings, Settled, Verdict};
use super::stats::Counter;
use super::{Batch, Switch, repeat};

/// What is owed to one partner link by one worker.
#[derive(Debug)]
pub(super) struct Owed {
    pub(super) lane: Lane,
    share: Share,
    next: u32,
    /// The last copy of each that was sent, by STAN: an answer to it counts however late.
    sent: Map<u32, Copy>,
    /// When each copy is given up, in order.
    deadlines: VecDeque<(Instant, u32, u64)>,
    pub(super) scratch: Vec<u8>,
    /// The partner takes no more bytes: not looked at before.
    resume_at: Option<Instant>,
    pub(super) lived: Lived,
    pub(super) inquiries: Inquiries,
}

#[derive(Debug, Clone, Copy)]
struct Copy {
    place: u32,
    id: u64,
    session: SessionId,
    /// When it is given up; nothing once it was.
    due: Option<Instant>,
}

impl Owed {
    /// The lane of one of so many workers: a partner takes what all of them send together.
    pub(super) fn new(share: Share, workers: u8, key: u64) -> Self {
        let all = Settings { key, ..Settings::default() };
        let rate = all.rate.div_ceil(u32::from(workers.max(1)));
        Self {
            lane: Lane::new(Settings { rate, ..all }),
            share: share.owed(),
            next: key as u32,
            sent: Map::default(),
            deadlines: VecDeque::new(),
            scratch: Vec::new(),
            resume_at: None,
            lived: Lived::default(),
            inquiries: Inquiries::default(),
        }
    }

    /// The next STAN, if there is one that is not `taken`.
    pub(super) fn number(&mut self, taken: impl Fn(u32) -> bool) -> u32 {
        for _ in 1..self.share.count() {
            self.next = self.next.wrapping_add(1);
            if !taken(self.share.number(self.next)) {
                break;
            }
        }
        self.share.number(self.next)
    }

    /// Goes on numbering behind `stan`, if it is of this share.
    pub(super) fn number_behind(&mut self, stan: u32) {
        if let Some(place) = self.share.place_of(stan) {
            self.next = place;
        }
    }

    /// True if a copy with this STAN was sent and may still be answered.
    pub(super) fn waits_for(&self, stan: u32) -> bool {
        self.sent.contains_key(&stan)
    }

    /// When the next copy is to be sent or given up.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let given_up = self.deadlines.front().map(|(at, ..)| *at);
        let lane = self.lane.next_deadline().map(|at| self.resume_at.map_or(at, |by| at.max(by)));
        [given_up, lane, self.inquiries.next_deadline()].into_iter().flatten().min()
    }

    /// The copy that is given up at this moment, unless it was answered or sent again since.
    fn due(&mut self, at: Instant, stan: u32, id: u64) -> Option<&mut Copy> {
        self.sent.get_mut(&stan).filter(|copy| copy.id == id && copy.due == Some(at))
    }

    /// Notes a copy. The copies of what is not owed any more go when they are the most.
    fn note_sent(&mut self, stan: u32, copy: Copy) {
        let lane = &self.lane;
        if self.sent.len() > 2 * (lane.len() + lane.provisional()) + SENT_MIN {
            self.sent.retain(|_, copy| lane.message(copy.place, copy.id).is_some());
        }
        self.deadlines.extend(copy.due.map(|at| (at, stan, copy.id)));
        self.sent.insert(stan, copy);
    }
}

impl Switch {
    /// Owes the partner a reversal of `original`, of which `kept` was kept (without header).
    #[cold]
    pub(super) fn owe_reversal(
        &mut self,
        now: Now,
        original: &Original,
        kept: &[u8],
        outbox: &mut Outbox,
    ) {
        self.stats.count(Counter::ReversalsOwed);
        let mut partner = original.partner;
        if self.setup.has(Bug::OtherPartner) {
            partner.0 ^= 3;
        }
        let Some(mut owed) = self.take_owed(partner) else { return };
        let role = match original.told {
            Hearing::Asked => Role::Reversal,
            Hearing::Advised => Role::AdviceReversal,
        };
        let stan = owed.number(|stan| self.lanes.has(partner, stan));
        let mut message = owed.lane.buffer();
        if self.write_reversal(now, original, kept, stan, &mut owed.scratch, &mut message) {
            let id = number::owed(original.id, role);
            self.owe(now, &mut owed, id, (original.partner, stan, message), outbox);
            self.cancel_unsent(&mut owed, original.id, outbox);
        } else {
            self.stats.count(Counter::Exceptions);
            let id = number::owed(original.id, role);
            self.note_exception(id, ResponseCode::FORMAT_ERROR.number(), outbox);
        }
        self.put_owed(partner, owed);
    }

    /// Owes the partner the advice of the transaction `id`, of which `kept` was kept (without
    /// header). Returns its STAN; `None` if it cannot be written in the partner's dialect.
    #[cold]
    pub(super) fn owe_advice(
        &mut self,
        now: Now,
        id: u64,
        advice: &Advice,
        kept: &[u8],
        outbox: &mut Outbox,
    ) -> Option<u32> {
        let partner = advice.partner;
        let mut owed = self.take_owed(partner)?;
        let stan = owed.number(|stan| self.lanes.has(partner, stan));
        let mut message = owed.lane.buffer();
        let written = self.write_advice(advice, kept, stan, &mut owed.scratch, &mut message);
        if written {
            self.stats.count(Counter::AdvicesOwed);
            let id = number::owed(id, Role::Advice);
            self.owe(now, &mut owed, id, (partner, stan, message), outbox);
        }
        self.put_owed(partner, owed);
        written.then_some(stan)
    }

    /// Puts on record that the message is owed, and into its lane.
    fn owe(
        &mut self,
        now: Now,
        owed: &mut Owed,
        id: u64,
        (partner, stan, message): (LinkId, u32, Vec<u8>),
        outbox: &mut Outbox,
    ) {
        let obligation = self.obligation(now, partner, id, message, outbox);
        self.note_owed(&obligation, partner, stan, outbox);
        owed.lane.add(obligation);
    }

    /// The message of this number as its lane takes it: behind what is owed for the same
    /// transaction, and if it is about an advice, for the same card.
    pub(super) fn obligation(
        &mut self,
        now: Now,
        partner: LinkId,
        id: u64,
        message: Vec<u8>,
        outbox: &Outbox,
    ) -> Obligation {
        let role = number::role_of(id);
        let mut card = if role == Role::Reversal { 0 } else { self.card_of(partner, &message) };
        let mut transaction = number::transaction_of(id);
        if self.setup.has(Bug::AdviceOvertaken) {
            (transaction, card) = (0, 0);
        }
        Obligation {
            id,
            kind: role.kind(),
            transaction,
            card,
            message,
            sent_before: false,
            not_before: now.instant,
            late_until: None,
            noted: outbox.batch(),
        }
    }

    /// An advice and what takes it back, neither of which was sent, need not be.
    fn cancel_unsent(&mut self, owed: &mut Owed, transaction: u64, outbox: &mut Outbox) {
        for id in owed.lane.cancel_unsent(transaction).into_iter().flatten() {
            self.settle_owed(Settled::Done(id), outbox);
        }
    }

    /// Sends what is owed and may be sent now.
    pub(super) fn send_owed(&mut self, now: Now, outbox: &mut Outbox) {
        if self.owed_links == 0 {
            return;
        }
        let mut still = 0;
        for link in 0..self.owed.len() {
            let link = LinkId(link as u16);
            let Some(mut owed) = self.take_owed(link) else { continue };
            self.give_copies_up(now, &mut owed);
            self.inquire_again(now, link, &mut owed, outbox);
            self.send_copies(now, link, &mut owed, outbox);
            while let Some(id) = owed.lane.ended() {
                self.settle_owed(Settled::Done(id), outbox);
            }
            still += usize::from(!owed.lane.is_settled());
            self.put_owed(link, owed);
        }
        self.owed_links = still;
    }

    /// When [`Self::send_owed`] or [`Self::hand_over_due`] has something to do.
    #[inline]
    pub(super) fn next_owed_deadline(&self) -> Option<Instant> {
        let owed = match self.owed_links {
            0 => None,
            _ => self.owed.iter().flatten().filter_map(|owed| owed.next_deadline()).min(),
        };
        [owed, self.backlog.next_deadline()].into_iter().flatten().min()
    }

    fn give_copies_up(&mut self, now: Now, owed: &mut Owed) {
        while let Some(&(at, stan, id)) = owed.deadlines.front() {
            let copy = owed.due(at, stan, id);
            if copy.is_some() && at > now.instant {
                break;
            }
            if let Some(copy) = copy {
                copy.due = None;
                let place = copy.place;
                owed.lane.timed_out(place, id, now.instant);
            }
            owed.deadlines.pop_front();
        }
    }

    fn send_copies(&mut self, now: Now, link: LinkId, owed: &mut Owed, outbox: &mut Outbox) {
        let setup = std::sync::Arc::clone(&self.setup);
        let Some(dialect) = setup.link(link).map(|link| &*link.dialect) else { return };
        owed.resume_at = None;
        loop {
            let Some(session) = self.session_for(now, &setup, link, None, outbox) else {
                owed.resume_at = Some(now.instant.after(RESUME));
                return;
            };
            let ring = self.pending.get(usize::from(link.0)).and_then(Option::as_ref);
            let live = ring.map_or(0, super::pending::Pending::waiting);
            let Some(send) = owed.lane.next(now.instant, live) else { return };
            let (place, id, late_until) = (send.place, send.id, send.late_until);
            let is_unasked = late_until.is_some() && setup.has(Bug::LateWindowUnasked);
            if is_unasked || send.attempt > 2 && setup.has(Bug::ThirdCopyDropped) {
                let said = owed.lane.answered(place, id, now.instant, Verdict::Final);
                said.filter(|_| is_unasked).into_iter().for_each(|s| self.settle_owed(s, outbox));
                continue;
            }
            let gated = !setup.has(Bug::CopyUngated);
            let Some(lane) = outbox.lane_gated(session, gated) else { return };
            let from = lane.len();
            lane.extend_from_slice(send.message);
            if send.repeat && setup.has(Bug::CopiesDiffer) {
                lane.last_mut().into_iter().for_each(|byte| *byte ^= 0x10);
            }
            if send.repeat && !setup.has(Bug::AlwaysFirstCopy) {
                mark_repeat(dialect, lane.get_mut(from..).unwrap_or(&mut []));
            }
            let stan = self.stan_of(dialect, owed.lane.message(place, id));
            let is_anothers = |copy: &Copy| copy.id != id && copy.due.is_some();
            let Some(stan) = stan.filter(|stan| !owed.sent.get(stan).is_some_and(is_anothers))
            else {
                // The numbers have come round: one of the two waits.
                lane.truncate(from);
                owed.lane.timed_out(place, id, now.instant);
                continue;
            };
            owed.note_copy(now, id, late_until, outbox);
            let due = Some(now.instant.after(limits::SAF_ANSWER_DEADLINE));
            owed.note_sent(stan, Copy { place, id, session, due });
        }
    }

    pub(super) fn stan_of(&mut self, dialect: &Dialect, frame: Option<&[u8]>) -> Option<u32> {
        self.look_into(dialect, frame?, |message| message.stan())
    }

    /// Keyed hash of the card that a framed message is about, 0 if it names none.
    pub(super) fn card_of(&mut self, partner: LinkId, frame: &[u8]) -> u64 {
        let setup = std::sync::Arc::clone(&self.setup);
        let Some(link) = setup.link(partner) else { return 0 };
        let pan = self.look_into(&link.dialect, frame, |message| message.pan());
        pan.map_or(0, |pan| repeat::hash_of_text(setup.key, pan.reveal()))
    }

    /// What `ask` finds in a framed message, if it is sound.
    pub(super) fn look_into<T>(
        &mut self,
        dialect: &Dialect,
        frame: &[u8],
        ask: impl FnOnce(&Message<'_>) -> Option<T>,
    ) -> Option<T> {
        let body = body_of(dialect, frame)?;
        let mut index = self.refusal_index.take().unwrap_or_default();
        let sound = dialect.decode(body, &mut index).is_ok();
        let message = Message { bytes: body, index: &index, dialect };
        let found = if sound { ask(&message) } else { None };
        self.refusal_index = Some(index);
        found
    }

    /// A partner's answer to a reversal or advice.
    #[cold]
    pub(super) fn owed_answer(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        stan: u32,
        outbox: &mut Outbox,
    ) {
        let Some(mut owed) = self.take_owed(batch.link_id) else { return };
        let copy = owed.sent.get(&stan).copied();
        let found = copy.filter(|copy| {
            self.answers_copy(batch, message, owed.lane.message(copy.place, copy.id))
        });
        let verdict = verdict(message).map(|verdict| self.settled_by(verdict));
        match (found, verdict) {
            (Some(copy), Some(verdict)) => {
                owed.sent.insert(stan, Copy { due: None, ..copy });
                let said = owed.lane.answered(copy.place, copy.id, batch.now.instant, verdict);
                if let Some(settled) = said {
                    match settled {
                        Settled::Provisional(id, until) => {
                            owed.note_copy(batch.now, id, Some(until), outbox);
                        }
                        _ => drop(owed.sent.remove(&stan)),
                    }
                    self.settle_owed(settled, outbox);
                }
            }
            _ => self.stats.count(Counter::UnmatchedAnswers),
        }
        self.put_owed(batch.link_id, owed);
    }

    /// What a verdict comes to.
    fn settled_by(&self, verdict: Verdict) -> Verdict {
        let is_done = match verdict {
            Verdict::NotFound => self.setup.has(Bug::NotFoundIsDone),
            Verdict::Rejected(_) => self.setup.has(Bug::RejectedIsDone),
            Verdict::TryAgain => self.setup.has(Bug::TryAgainIsDone),
            Verdict::Final => true,
        };
        if is_done { Verdict::Final } else { verdict }
    }

    fn settle_owed(&mut self, settled: Settled, outbox: &mut Outbox) {
        match settled {
            Settled::Done(id) => {
                self.stats.count(match number::role_of(id) {
                    Role::Advice => Counter::AdvicesDone,
                    Role::Reversal | Role::AdviceReversal => Counter::ReversalsDone,
                });
                self.note_done(id, outbox);
            }
            Settled::Provisional(..) => {}
            Settled::Exception(id, code) => {
                self.stats.count(Counter::Exceptions);
                self.note_exception(id, code, outbox);
            }
        }
    }

    /// A session of the partner is gone: what was sent on it may have arrived or not.
    pub(super) fn owed_session_lost(&mut self, link: LinkId, session: SessionId, now: Instant) {
        let Some(mut owed) = self.take_owed(link) else { return };
        let Owed { sent, lane, .. } = &mut *owed;
        let mut lost: Vec<(u64, u32)> = sent
            .values_mut()
            .filter(|copy| copy.session == session)
            .filter_map(|copy| copy.due.take().map(|_| (copy.id, copy.place)))
            .collect();
        // Each goes in front of the queue, so the newest first: and a map has no order of its own.
        lost.sort_unstable_by(|one, other| other.cmp(one));
        if self.setup.has(Bug::LostNotResent) {
            lost.clear();
        }
        for (id, place) in lost {
            lane.lost(place, id, now);
        }
        self.put_owed(link, owed);
    }

    /// No session of the partner carries messages any more.
    pub(super) fn owed_link_down(&mut self, link: LinkId) {
        self.end_inquiries(link, self.now.instant);
        if let Some(owed) = self.owed.get_mut(usize::from(link.0)).and_then(Option::as_mut) {
            owed.lane.connection_lost(self.now.instant);
        }
    }

    /// A planted mistake: what was sent counts as settled.
    #[cold]
    pub(super) fn drop_debts(&self, outbox: &mut Outbox) {
        for owed in self.owed.iter().flatten() {
            let mut ids: Vec<u64> = owed.sent.values().map(|copy| copy.id).collect();
            ids.sort_unstable();
            ids.into_iter().for_each(|id| self.note_done(id, outbox));
        }
    }

    /// True if no request should be sent to the partner that may end as one more debt.
    #[inline]
    pub(super) fn owes_too_much(&self, partner: LinkId) -> bool {
        let left = self.backlog.left(partner);
        let owed = || self.owed.get(usize::from(partner.0)).and_then(Option::as_ref);
        let has_room = |lane: &Lane| lane.len() + lane.provisional() + left < SAF_ENTRIES_MAX;
        (self.owed_links > 0 || left > 0) && owed().is_some_and(|owed| !has_room(&owed.lane))
    }

    /// How much is owed to the partner.
    pub(super) fn owes(&self, partner: LinkId) -> usize {
        let owed = self.owed.get(usize::from(partner.0)).and_then(Option::as_ref);
        owed.map_or(0, |owed| owed.lane.len()) + self.backlog.left(partner)
    }

    /// Takes the partner's debts out for a moment, so that the switch can be used beside them.
    pub(super) fn take_owed(&mut self, link: LinkId) -> Option<Box<Owed>> {
        self.owed.get_mut(usize::from(link.0))?.take()
    }

    pub(super) fn put_owed(&mut self, link: LinkId, owed: Box<Owed>) {
        self.owed_links = self.owed_links.max(usize::from(!owed.lane.is_settled()));
        if let Some(slot) = self.owed.get_mut(usize::from(link.0)) {
            *slot = Some(owed);
        }
    }
}

/// What DE 39 of an answer to a reversal means. 21 (nothing done) and 94 (had it before) are as
/// good as 00.
fn verdict(message: &Message<'_>) -> Option<Verdict> {
    let code = message.text::<3>(39)?;
    Some(match &code {
        b"25 " | b"914" => Verdict::NotFound,
        b"91 " | b"96 " | b"68 " | b"19 " | b"907" | b"909" | b"911" => Verdict::TryAgain,
        b"00 " | b"10 " | b"11 " | b"21 " | b"94 " | b"913" => Verdict::Final,
        [b'0' | b'4' | b'8', _, b'0'..=b'9'] => Verdict::Final,
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', _] => {
            Verdict::Rejected((tens - b'0') * 10 + (ones - b'0'))
        }
        _ => Verdict::Rejected(ResponseCode::MALFUNCTION.number()),
    })
}

/// So many copies are kept whether they are still owed or not.
const SENT_MIN: usize = 1024;

/// A partner that takes no bytes is looked at again after this long.
const RESUME: std::time::Duration = std::time::Duration::from_millis(20);
