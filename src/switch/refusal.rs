//! A request that is not taken: what its fault leads to.
//!
//! The last of the request leg. What is remembered of a refusal is [`super::repeat`]'s, and who
//! waits for a partner in vain is declined by [`super::timeout`].

use crate::base::codes::Edition;
use crate::base::ids::SessionId;
use crate::base::limits;
use crate::iso8583::message::Message;
use crate::iso8583::mti::Mti;
use crate::iso8583::transcode;

use super::decision::{self, Outcome};
use super::fault::{Effect, Fault};
use super::outbox::{CloseCause, Outbox};
use super::stats::Counter;
use super::{Batch, Switch, reply};

impl Switch {
    /// What a fault in a request leads to. False if the connection is to be read no further.
    #[cold]
    pub(super) fn refuse(
        &mut self,
        batch: &Batch<'_>,
        message: &Message<'_>,
        fault: Fault,
        outbox: &mut Outbox,
    ) -> bool {
        self.stats.count(fault.counter());
        if batch.setup.tap {
            let noted = decision::unrouted(batch.link_id, message, Outcome::Failed(fault));
            outbox.record(noted);
        }
        match fault.effect() {
            Effect::Reply(code) if is_answerable(message) => {
                let mti = answer_mti(message, batch.link.dialect.spec.edition);
                // The terminal asks no more, and what it takes back may be under way yet: whoever
                // says "not found" must not forget it.
                let gated = fault == Fault::UnknownOriginal;
                reply::write(message, mti, code, outbox.lane_gated(batch.session, gated));
                true
            }
            Effect::Reply(_) | Effect::Drop => self.dropped(batch.session, outbox),
            Effect::Ignore => true,
            Effect::Close(cause) => {
                self.close(batch.session, cause, outbox);
                false
            }
        }
    }

    /// A message that nothing safe can be said to. A peer that sends several of them does not
    /// speak our dialect.
    pub(super) fn dropped(&mut self, id: SessionId, outbox: &mut Outbox) -> bool {
        self.stats.count(Counter::Dropped);
        let Some(session) = self.sessions.of_mut(id) else { return false };
        session.drops += 1;
        if session.drops < limits::DROPS_MAX {
            return true;
        }
        self.close(id, CloseCause::Drops, outbox);
        false
    }
}

/// An answer can be matched by who asked: the STAN was read, and the terminal, unless the request
/// names none.
fn is_answerable(message: &Message<'_>) -> bool {
    let terminal_is_lost = message.index.named.has(41) && !message.has(41);
    message.has(11) && !terminal_is_lost && message.mti().response().is_some()
}

/// The answer's MTI, in the edition of the link whatever the request said.
fn answer_mti(message: &Message<'_>, edition: Option<Edition>) -> Mti {
    let mti = message.mti().response().unwrap_or_default();
    edition.map_or(mti, |edition| transcode::mti_in_edition(mti, edition.digit()))
}
