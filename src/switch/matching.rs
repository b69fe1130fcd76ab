//! Is this the answer to that request?
//!
//! Everything that both have must agree, something beside the STAN must be there to agree on, and
//! an answer has a result. Two ways to the same judgement: element by element, which says what is
//! wrong, and by what is known of the two forms ([`super::fits`]), which is all that most answers
//! need. Nothing is changed here but what is remembered of forms; what follows from the judgement
//! is decided in [`super::response`].

use crate::base::codes::Edition;
use crate::base::ids::LinkId;
use crate::iso8583::digits;
use crate::iso8583::message::Message;
use crate::iso8583::transcode;

use super::bug::Bug;
use super::stats::Counter;
use super::transaction::Transaction;
use super::{Batch, Switch, fits};

impl Switch {
    /// True if both are of known forms, and the answer says what the request said.
    #[inline]
    pub(super) fn fits(&self, asked: &Transaction, message: &Message<'_>) -> bool {
        let (Some(request), Some(answer)) = (asked.form, message.index.form()) else {
            return false;
        };
        let mti = message.mti();
        let key = fits::Key { request, answer, mti };
        mti == asked.answer_mti && self.fits.agree(key, &asked.frame, message.bytes)
    }

    /// Compares element by element. What is sound teaches how the next of its form is compared.
    #[inline(never)]
    pub(super) fn compare(
        &mut self,
        batch: &Batch<'_>,
        place: u32,
        message: &Message<'_>,
        partial: bool,
    ) -> Result<(), Counter> {
        let unmatched = Err(Counter::UnmatchedAnswers);
        let Some(asked) = self.transactions.at_mut(place) else { return unmatched };
        let Some(request) = asked.form.take() else { return belongs(asked, message, partial) };
        let Some(acquirer) = batch.setup.link(asked.acquirer) else { return unmatched };
        let mut index = self.refusal_index.take().unwrap_or_default();
        let frame = std::mem::take(&mut asked.frame);
        let decoded = acquirer.dialect.decode(&frame, &mut index);
        debug_assert!(decoded.is_ok(), "what waits was sound");
        let dialect = &acquirer.dialect;
        let kept = Message { bytes: &frame, index: &index, dialect };
        asked.watch(&kept, batch.link.dialect.rules(kept.mti()));
        asked.frame = frame;
        let result = belongs(asked, message, partial);
        self.fits.missed();
        if let (Ok(()), false, Some(answer)) = (result, partial, message.index.form()) {
            let key = fits::Key { request, answer, mti: message.mti() };
            let kept = Message { bytes: &asked.frame, index: &index, dialect };
            let watched = asked.watched.iter().take(usize::from(asked.watched_count));
            self.fits.learn(key, watched.map(|watched| watched.element), &kept, message);
        }
        self.refusal_index = Some(index);
        result
    }

    /// Is this an answer to what was asked then, by what was kept of it?
    #[cold]
    pub(super) fn answers_past(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        number: u64,
        acquirer: LinkId,
    ) -> bool {
        let Some(acquirer) = batch.setup.link(acquirer) else { return false };
        let to = &*batch.link.dialect;
        let mut asked = self.spare.take().unwrap_or_else(Transaction::vacant);
        let answers = self.with_kept(number, &acquirer.dialect, |kept| {
            asked.watch(kept, to.rules(kept.mti()));
            asked.amount = kept.number(4);
            let edition = to.spec.edition.map_or(0, Edition::digit);
            let answer = kept.mti().response().unwrap_or_default();
            asked.answer_mti = transcode::mti_in_edition(answer, edition);
            belongs(&asked, message, is_partial(message)).is_ok()
        });
        self.spare = Some(asked);
        answers.unwrap_or(false)
    }

    /// The same of a copy of what is owed. Everything that both have must agree.
    pub(super) fn answers_copy(
        &mut self,
        batch: &Batch<'_>,
        answer: &Message<'_>,
        frame: Option<&[u8]>,
    ) -> bool {
        let any = self.setup.has(Bug::AnyAnswerSettles);
        let Some(frame) = frame else { return false };
        let answers = self.look_into(&batch.link.dialect, frame, |sent| {
            let is_it = any || names(sent, answer) && agree(sent, answer, &[2, 4, 32, 49]);
            Some(sent.mti().original().response() == Some(answer.mti()) && is_it)
        });
        answers.unwrap_or(false)
    }

    /// The same of an inquiry, whose answer may tell the amount of what was asked about.
    pub(super) fn answers_inquiry(
        &mut self,
        batch: &Batch<'_>,
        answer: &Message<'_>,
        frame: &[u8],
    ) -> bool {
        let any = self.setup.has(Bug::AnyInquiryAnswer);
        let answers = self.look_into(&batch.link.dialect, frame, |sent| {
            let is_it = any || names(sent, answer) && agree(sent, answer, &[2, 32]);
            Some(sent.mti().response() == Some(answer.mti()) && is_it)
        });
        answers.unwrap_or(false)
    }
}

/// True if the answer has something beside its STAN that names what was sent, and nothing that
/// names another.
fn names(sent: &Message<'_>, answer: &Message<'_>) -> bool {
    let is_in_both = |element: &u8| sent.has(*element) && answer.has(*element);
    NAMING.iter().any(is_in_both) && agree(sent, answer, &NAMING)
}

/// True if these elements are the same wherever both have them.
fn agree(sent: &Message<'_>, answer: &Message<'_>, elements: &[u8]) -> bool {
    elements.iter().all(|element| match (sent.raw(*element), answer.raw(*element)) {
        (Some(sent), Some(said)) => digits::are_same(sent, said),
        _ => true,
    })
}

/// True if a part of the amount was approved.
#[inline]
pub(super) fn is_partial(message: &Message<'_>) -> bool {
    message.text(39).is_some_and(|code| says_partial(&code))
}

/// The same of DE 39, space padded.
#[inline]
pub(super) const fn says_partial(code: &[u8; 3]) -> bool {
    matches!(code, b"10 " | b"002")
}

/// Is this the answer to that request? Everything that both have must agree, something beside the
/// STAN must be there to agree on, and an answer has a result.
#[inline]
fn belongs(transaction: &Transaction, message: &Message<'_>, partial: bool) -> Result<(), Counter> {
    if message.mti() != transaction.answer_mti {
        return Err(Counter::UnmatchedAnswers);
    }
    let watched = transaction.watched.get(..usize::from(transaction.watched_count));
    let matched = usize::from(transaction.matched_count);
    let mut agreed = matched == 0;
    for (place, watched) in watched.unwrap_or(&[]).iter().enumerate() {
        match transaction.agrees(watched, message) {
            Some(true) => agreed |= place < matched,
            Some(false) if place < matched => return Err(Counter::UnmatchedAnswers),
            Some(false) if watched.element == 4 && partial => {}
            Some(false) => return Err(Counter::WrongAnswers),
            None => {}
        }
    }
    if !agreed {
        return Err(Counter::UnmatchedAnswers);
    }
    if !message.has(39) {
        return Err(Counter::WrongAnswers);
    }
    match (message.has(4), transaction.amount) {
        (true, None) => Err(Counter::WrongAnswers),
        (true, Some(asked)) if partial && message.number(4).is_none_or(|part| part > asked) => {
            Err(Counter::WrongAnswers)
        }
        _ => Ok(()),
    }
}

/// What names a message beside its STAN: an answer to what is owed has one of these at least.
const NAMING: [u8; 5] = [7, 37, 41, 42, 90];
