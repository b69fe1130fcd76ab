//! Counters of one worker: plain numbers, owned by the worker, merged by whoever reads them.

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Counter {
    /// Whole frames read from acquirers.
    Requests,
    /// Requests forwarded to a partner.
    Forwarded,
    /// Answers of partners handed to acquirers.
    Answered,
    /// Requests declined by route or risk.
    Declined,
    /// Of these, by a rule on what is wanted.
    Unwanted,
    /// Requests answered or dropped because the message breaks its dialect.
    RequestsDamaged,
    /// Requests refused for what they say.
    RequestsRefused,
    /// Responses sent by acquirers.
    ResponsesFromAcquirers,
    /// Messages dropped without an answer.
    Dropped,
    /// Account data that contradicts itself.
    SecurityEvents,
    /// DE 7 more than a day off.
    ClockSkews,
    /// Requests that the partner did not answer in time.
    TimeOuts,
    /// Requests whose partner connection was lost.
    PartnersLost,
    /// Requests that found no partner up.
    PartnersDown,
    /// Requests shed because too much was in flight.
    Overloads,
    /// Requests refused while shutting down.
    RefusedDraining,
    /// Partner answers that came after the deadline.
    LateAnswers,
    /// Partner answers that came twice.
    DuplicateAnswers,
    /// Partner answers that match no request.
    UnmatchedAnswers,
    /// Partner answers that contradict their request (amount, currency, no DE 39).
    WrongAnswers,
    /// Partner messages that break their dialect.
    AnswersDamaged,
    /// Requests by partners, which are refused.
    PartnerRequests,
    /// Answers whose acquirer was gone.
    Undelivered,
    /// Network management messages answered.
    NetworkManagement,
    /// Network management messages dropped above the rate.
    EchoStorms,
    /// Zero-length keep-alives.
    KeepAlives,
    /// Frames handed to the worker that owns them.
    Relayed,
    /// Requests passed on to the worker that remembers them.
    Passed,
    /// Sessions opened.
    SessionsOpened,
    /// Sessions closed by us.
    SessionsClosed,
    /// TLS hellos on a plain port.
    TlsOnPlain,
    /// Connections closed for a broken stream.
    FramingErrors,
    /// Requests that were asked before: answered from memory, or waiting with the first.
    Repeats,
    /// Requests with the key of another one and other content.
    Conflicts,
    /// Reversals accepted from acquirers.
    AcquirerReversals,
    /// Reversals the switch owes a partner.
    ReversalsOwed,
    /// Of these, taken by the partner.
    ReversalsDone,
    /// Advices the switch owes a partner.
    AdvicesOwed,
    /// Of these, taken by the partner.
    AdvicesDone,
    /// Requests approved in the place of a partner.
    StoodIn,
    /// Reversals and advices a person must look at.
    Exceptions,
    /// Reversals that name no transaction of their terminal.
    UnknownOriginals,
    /// Refunds of more than was left of their originals.
    RefundsExceeding,
    /// Requests that no quote converts.
    Unquoted,
    /// Requests refused because they could not be put on record.
    NotRecorded,
    /// Requests that were given up before a byte of them had left.
    Withdrawn,
    /// Transactions that were looked up, because nobody remembered them.
    LookUps,
    /// Of these, found.
    FoundOlder,
    /// Requests refused because what they name could not be looked up.
    NotLookedUp,
    /// Times that a partner was left alone because it did not answer.
    LeftAlone,
    /// Partners asked what became of a request, copies included.
    Inquiries,
    /// Reversals that were not sent, because the partner said that it had not approved.
    NothingOwed,
    /// Requests that waited to hear whose code it is.
    Consults,
    /// Of these, those of which nothing was said that is of use.
    ConsultsUnsaid,
}

impl Counter {
    /// All of them, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Requests,
        Self::Forwarded,
        Self::Answered,
        Self::Declined,
        Self::Unwanted,
        Self::RequestsDamaged,
        Self::RequestsRefused,
        Self::ResponsesFromAcquirers,
        Self::Dropped,
        Self::SecurityEvents,
        Self::ClockSkews,
        Self::TimeOuts,
        Self::PartnersLost,
        Self::PartnersDown,
        Self::Overloads,
        Self::RefusedDraining,
        Self::LateAnswers,
        Self::DuplicateAnswers,
        Self::UnmatchedAnswers,
        Self::WrongAnswers,
        Self::AnswersDamaged,
        Self::PartnerRequests,
        Self::Undelivered,
        Self::NetworkManagement,
        Self::EchoStorms,
        Self::KeepAlives,
        Self::Relayed,
        Self::Passed,
        Self::SessionsOpened,
        Self::SessionsClosed,
        Self::TlsOnPlain,
        Self::FramingErrors,
        Self::Repeats,
        Self::Conflicts,
        Self::AcquirerReversals,
        Self::ReversalsOwed,
        Self::ReversalsDone,
        Self::AdvicesOwed,
        Self::AdvicesDone,
        Self::StoodIn,
        Self::Exceptions,
        Self::UnknownOriginals,
        Self::RefundsExceeding,
        Self::Unquoted,
        Self::NotRecorded,
        Self::Withdrawn,
        Self::LookUps,
        Self::FoundOlder,
        Self::NotLookedUp,
        Self::LeftAlone,
        Self::Inquiries,
        Self::NothingOwed,
        Self::Consults,
        Self::ConsultsUnsaid,
    ];

    const COUNT: usize = 54;

    /// A name for people and for exports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Forwarded => "forwarded",
            Self::Answered => "answered",
            Self::Declined => "declined",
            Self::Unwanted => "unwanted",
            Self::RequestsDamaged => "requests_damaged",
            Self::RequestsRefused => "requests_refused",
            Self::ResponsesFromAcquirers => "responses_from_acquirers",
            Self::Dropped => "dropped",
            Self::SecurityEvents => "security_events",
            Self::ClockSkews => "clock_skews",
            Self::TimeOuts => "time_outs",
            Self::PartnersLost => "partners_lost",
            Self::PartnersDown => "partners_down",
            Self::Overloads => "overloads",
            Self::RefusedDraining => "refused_draining",
            Self::LateAnswers => "late_answers",
            Self::DuplicateAnswers => "duplicate_answers",
            Self::UnmatchedAnswers => "unmatched_answers",
            Self::WrongAnswers => "wrong_answers",
            Self::AnswersDamaged => "answers_damaged",
            Self::PartnerRequests => "partner_requests",
            Self::Undelivered => "undelivered",
            Self::NetworkManagement => "network_management",
            Self::EchoStorms => "echo_storms",
            Self::KeepAlives => "keep_alives",
            Self::Relayed => "relayed",
            Self::Passed => "passed",
            Self::SessionsOpened => "sessions_opened",
            Self::SessionsClosed => "sessions_closed",
            Self::TlsOnPlain => "tls_on_plain",
            Self::FramingErrors => "framing_errors",
            Self::Repeats => "repeats",
            Self::Conflicts => "conflicts",
            Self::AcquirerReversals => "acquirer_reversals",
            Self::ReversalsOwed => "reversals_owed",
            Self::ReversalsDone => "reversals_done",
            Self::AdvicesOwed => "advices_owed",
            Self::AdvicesDone => "advices_done",
            Self::StoodIn => "stood_in",
            Self::Exceptions => "exceptions",
            Self::UnknownOriginals => "unknown_originals",
            Self::RefundsExceeding => "refunds_exceeding",
            Self::Unquoted => "unquoted",
            Self::NotRecorded => "not_recorded",
            Self::Withdrawn => "withdrawn",
            Self::LookUps => "look_ups",
            Self::FoundOlder => "found_older",
            Self::NotLookedUp => "not_looked_up",
            Self::LeftAlone => "left_alone",
            Self::Inquiries => "inquiries",
            Self::NothingOwed => "nothing_owed",
            Self::Consults => "consults",
            Self::ConsultsUnsaid => "consults_unsaid",
        }
    }
}

/// The counts of one worker, or of several merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    counts: [u64; Counter::COUNT],
}

impl Default for Stats {
    fn default() -> Self {
        Self { counts: [0; Counter::COUNT] }
    }
}

impl Stats {
    /// Adds one.
    #[inline]
    pub fn count(&mut self, counter: Counter) {
        self.counts[counter as usize] += 1;
    }

    /// The count.
    pub const fn of(&self, counter: Counter) -> u64 {
        self.counts[counter as usize]
    }

    /// Adds another worker's counts.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine += theirs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_each_counter_at_its_place() {
        for (place, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter as usize, place, "{}", counter.name());
        }
        let mut stats = Stats::default();
        stats.count(Counter::LateAnswers);
        let mut sum = stats.clone();
        sum.merge(&stats);
        assert_eq!(sum.of(Counter::LateAnswers), 2);
        assert_eq!(stats.of(Counter::LateAnswers), 1);
    }
}
