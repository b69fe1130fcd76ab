//! Mistakes that can be planted, to prove that the simulation finds them.
//!
//! Each breaks one rule at the place where it is kept. Without the feature `planted-bugs` there is
//! no way to plant one, and the question whether it is there is answered while compiling. Those of
//! the shell are planted in the shell of the simulation: this floor has none.

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A request leaves before its intent is durable.
    IntentUngated,
    /// A repeat is forwarded as if it were new.
    RepeatForwarded,
    /// What was refused is not remembered.
    RefusalForgotten,
    /// An answer is matched by its STAN alone.
    StanAlone,
    /// An answer with another amount is taken.
    AmountUnchecked,
    /// An approval leaves before it is durable.
    ApprovalUngated,
    /// An approval is handed over twice.
    AnsweredTwice,
    /// One approval in sixteen goes to another connection.
    AnswersCrossed,
    /// An approval behind a decline does not count.
    SecondAnswerIgnored,
    /// A decline behind an approval reverses it.
    DeclineReverses,
    /// An approval that was handed over is reversed.
    HandedReversed,
    /// An approval that was not handed over is not reversed.
    UnhandedStands,
    /// 0410 leaves before the obligation is durable.
    TakenBackUngated,
    /// Transactions are known by STAN and merchant, whatever the terminal.
    TerminalNotInKey,
    /// A reversal that came first does not stop its original.
    TakenBackForgotten,
    /// A reversal of another amount is taken.
    AnyReversalAmount,
    /// A partial approval is reversed as a whole.
    PartReversedWhole,
    /// After a reversal a repeat is approved.
    TakenBackApproved,
    /// A reversal is answered and not passed on.
    TakenBackNotOwed,
    /// What was not answered in time is not reversed.
    TimeOutStands,
    /// A decline that is taken back is no decline any more.
    DeclineNotKept,
    /// DE 90 names the STAN of the acquirer.
    AcquirersStan,
    /// Every copy is a 0420.
    AlwaysFirstCopy,
    /// A second copy differs from the first.
    CopiesDiffer,
    /// 0430 is matched by its STAN alone.
    AnyAnswerSettles,
    /// 25 is final.
    NotFoundIsDone,
    /// What was not found is done when its late window ends, without asking again.
    LateWindowUnasked,
    /// 30 is as good as 00.
    RejectedIsDone,
    /// 96 is as good as 00.
    TryAgainIsDone,
    /// An obligation is dropped after two copies.
    ThirdCopyDropped,
    /// A copy whose connection was lost is not sent again.
    LostNotResent,
    /// A reversal goes to the other partner.
    OtherPartner,
    /// A reversal leaves before it is durable.
    CopyUngated,
    /// An obligation is not put on record.
    DebtNotRecorded,
    /// A repeat of what is in flight is never answered.
    RepeatForgotten,
    /// A connection at its bound refuses whatever comes, asked before or not.
    RepeatDeclined,
    /// Other content under a known key is answered as a repeat.
    ConflictAnswered,
    /// A stored approval leaves before it is durable.
    MemoryUngated,
    /// A stored approval lacks DE 38.
    MemoryWithoutCode,
    /// Nothing is known again after a restart.
    PastForgotten,
    /// What was in doubt at a crash is not reversed.
    DoubtStands,
    /// Obligations end with the process.
    DebtForgotten,
    /// After a restart the first copy is a 0420 again.
    ResentAsFirst,
    /// Approvals are reversed at a restart.
    ApprovedReversed,
    /// Outcomes are not put on record.
    OutcomeNotRecorded,
    /// Intents are not put on record.
    IntentNotRecorded,
    /// A settled obligation is not put on record.
    DoneNotRecorded,
    /// A request leaves though it was given up.
    ForwardedLate,
    /// What was withdrawn is reversed all the same.
    WithdrawnReversed,
    /// What was given up counts as never sent.
    SentTakenForUnsent,
    /// After a failed write approvals leave unrecorded.
    ApprovedUnrecorded,
    /// On a full disk obligations are not put on record.
    FullDiskForgets,
    /// On a full disk new requests are taken.
    ReserveSpent,
    /// On a full disk "not found" is said and not put on record.
    NotFoundForgotten,
    /// A drain does not wait for what is in flight.
    DrainForgets,
    /// A drain takes what is owed for settled.
    DrainDropsDebts,
    /// Each restart owes again what was owed.
    OwedAgain,
    /// What is owed since a restart is not put on record.
    ResumedUnrecorded,
    /// 0130 or 0230 leaves before the advice is durable.
    AdviceUngated,
    /// What takes an advice back may overtake it.
    AdviceOvertaken,
    /// A completion goes by its route, wherever its original went.
    OriginalIgnored,
    /// What was approved in the partner's place is not told to it.
    StandInUntold,
    /// The advice goes before the reversal of what was sent.
    AdviceFirst,
    /// An approval in the partner's place leaves before it is durable.
    StandInUngated,
    /// The policy of the route is asked and not heeded.
    StandInUnlimited,
    /// What was approved in the partner's place is not counted again after a restart.
    StandInForgotten,
    /// Each worker knows again only what it was asked itself.
    IndexNotShared,
    /// A reversal of what another worker remembers is answered "not found".
    ElsewhereNotFound,
    /// An approval that another worker could not hand over is not reversed.
    UntakenNotHeard,
    /// All workers take their STANs from the same numbers.
    StansNotDivided,
    /// An answer that comes on another worker's connection is dropped.
    RelayDropped,
    /// After a restart nobody takes up what was a worker's that is no more.
    GoneWorkerForgotten,
    /// After a restart one worker only knows a terminal's STAN again.
    StanRestoredOnce,
    /// After a restart an advice and what takes it back may be owed by two workers.
    OrderedDebtsParted,
    /// Answers to what another worker took up go by their STAN.
    MovedAnswersByShare,
    /// A worker begins before all have taken up what the last life left.
    NoBarrier,
    /// What is mailed to another worker counts as handed over.
    MailedIsHanded,
    /// Answers of another worker go to who has the slot of their connection now.
    AnswersToNextTenant,
    /// What waits for a guest that is gone is not given up.
    GuestNotClosed,
    /// Bytes wait for a number that may be another worker's.
    WatermarkShared,
    /// A drain does not wait for mail.
    MailNotDrained,
    /// What is in flight counts for whatever route stands in its place in a new version.
    RouteByPlace,
    /// Refunds of a sale may be more than the sale.
    RefundsNotSummed,
    /// What was given back is not remembered again with its sale.
    RefundsForgotten,
    /// An advice may give back what it likes.
    AdviceNotSummed,
    /// A refund may go to another account than paid.
    RefundedToAnother,
    /// An inquiry leaves before the reversal it holds back is durable.
    InquiryUngated,
    /// The answer to an inquiry is matched by its STAN alone.
    AnyInquiryAnswer,
    /// Whatever is said to an inquiry and is not clear is a decline.
    UnclearIsDeclined,
    /// What an inquiry does not find is never taken back.
    UnfoundIsDeclined,
    /// Silence to an inquiry is a decline.
    InquirySilenceEnds,
    /// What is taken back while it is asked whose code it is goes on all the same.
    ConsultedTakenBack,
    /// Copies that waited to hear whose code it is are forgotten.
    ConsultForgetsCopies,
}

impl Bug {
    /// All of them, and what each does.
    #[cfg(feature = "planted-bugs")]
    pub const ALL: &[(Self, &str)] = &[
        (Self::IntentUngated, "a request leaves before its intent is durable"),
        (Self::RepeatForwarded, "a repeat is forwarded as if it were new"),
        (Self::RefusalForgotten, "what was refused is not remembered"),
        (Self::StanAlone, "an answer is matched by its STAN alone"),
        (Self::AmountUnchecked, "an answer with another amount is taken"),
        (Self::ApprovalUngated, "an approval leaves before it is durable"),
        (Self::AnsweredTwice, "an approval is handed over twice"),
        (Self::AnswersCrossed, "one approval in sixteen goes to another connection"),
        (Self::SecondAnswerIgnored, "an approval behind a decline does not count"),
        (Self::DeclineReverses, "a decline behind an approval reverses it"),
        (Self::HandedReversed, "an approval that was handed over is reversed"),
        (Self::UnhandedStands, "an approval that was not handed over is not reversed"),
        (Self::TakenBackUngated, "0410 leaves before the obligation is durable"),
        (
            Self::TerminalNotInKey,
            "transactions are known by STAN and merchant, whatever the terminal",
        ),
        (Self::TakenBackForgotten, "a reversal that came first does not stop its original"),
        (Self::AnyReversalAmount, "a reversal of another amount is taken"),
        (Self::PartReversedWhole, "a partial approval is reversed as a whole"),
        (Self::TakenBackApproved, "after a reversal a repeat is approved"),
        (Self::TakenBackNotOwed, "a reversal is answered and not passed on"),
        (Self::TimeOutStands, "what was not answered in time is not reversed"),
        (Self::DeclineNotKept, "a decline that is taken back is no decline any more"),
        (Self::AcquirersStan, "DE 90 names the STAN of the acquirer"),
        (Self::AlwaysFirstCopy, "every copy is a 0420"),
        (Self::CopiesDiffer, "a second copy differs from the first"),
        (Self::AnyAnswerSettles, "0430 is matched by its STAN alone"),
        (Self::NotFoundIsDone, "25 is final"),
        (
            Self::LateWindowUnasked,
            "what was not found is not asked again when its late window ends",
        ),
        (Self::RejectedIsDone, "30 is as good as 00"),
        (Self::TryAgainIsDone, "96 is as good as 00"),
        (Self::ThirdCopyDropped, "an obligation is dropped after two copies"),
        (Self::LostNotResent, "a copy whose connection was lost is not sent again"),
        (Self::OtherPartner, "a reversal goes to the other partner"),
        (Self::CopyUngated, "a reversal leaves before it is durable"),
        (Self::DebtNotRecorded, "an obligation is not put on record"),
        (Self::RepeatForgotten, "a repeat of what is in flight is never answered"),
        (Self::RepeatDeclined, "a connection at its bound refuses what was asked before, too"),
        (Self::ConflictAnswered, "other content under a known key is answered as a repeat"),
        (Self::MemoryUngated, "a stored approval leaves before it is durable"),
        (Self::MemoryWithoutCode, "a stored approval lacks DE 38"),
        (Self::PastForgotten, "nothing is known again after a restart"),
        (Self::DoubtStands, "what was in doubt at a crash is not reversed"),
        (Self::DebtForgotten, "obligations end with the process"),
        (Self::ResentAsFirst, "after a restart the first copy is a 0420 again"),
        (Self::ApprovedReversed, "approvals are reversed at a restart"),
        (Self::OutcomeNotRecorded, "outcomes are not put on record"),
        (Self::IntentNotRecorded, "intents are not put on record"),
        (Self::DoneNotRecorded, "a settled obligation is not put on record"),
        (Self::ForwardedLate, "a request leaves though it was given up"),
        (Self::WithdrawnReversed, "what was withdrawn is reversed all the same"),
        (Self::SentTakenForUnsent, "what was given up counts as never sent"),
        (Self::ApprovedUnrecorded, "after a failed write approvals leave unrecorded"),
        (Self::FullDiskForgets, "on a full disk obligations are not put on record"),
        (Self::ReserveSpent, "on a full disk new requests are taken"),
        (Self::NotFoundForgotten, "on a full disk \"not found\" is said and not put on record"),
        (Self::DrainForgets, "a drain does not wait for what is in flight"),
        (Self::DrainDropsDebts, "a drain takes what is owed for settled"),
        (Self::OwedAgain, "each restart owes again what was owed"),
        (Self::ResumedUnrecorded, "what is owed since a restart is not put on record"),
        (Self::AdviceUngated, "0130 or 0230 leaves before the advice is durable"),
        (Self::AdviceOvertaken, "what takes an advice back may overtake it"),
        (Self::OriginalIgnored, "a completion goes by its route, wherever its original went"),
        (Self::StandInUntold, "what was approved in a partner's place is not told"),
        (Self::AdviceFirst, "the advice goes before the reversal of what was sent"),
        (Self::StandInUngated, "an approval in a partner's place leaves before it is durable"),
        (Self::StandInUnlimited, "the policy of the route is asked and not heeded"),
        (Self::StandInForgotten, "limits begin anew at a restart"),
        (Self::IndexNotShared, "each worker knows again only what it was asked itself"),
        (
            Self::ElsewhereNotFound,
            "a reversal of what another worker remembers is answered \"not found\"",
        ),
        (
            Self::UntakenNotHeard,
            "an approval that another worker could not hand over is not reversed",
        ),
        (Self::StansNotDivided, "all workers take their STANs from the same numbers"),
        (Self::RelayDropped, "an answer that comes on another worker's connection is dropped"),
        (
            Self::GoneWorkerForgotten,
            "after a restart nobody takes up what was a worker's that is no more",
        ),
        (Self::StanRestoredOnce, "after a restart one worker only knows a terminal's STAN again"),
        (
            Self::OrderedDebtsParted,
            "after a restart an advice and what takes it back may be owed by two workers",
        ),
        (
            Self::MovedAnswersByShare,
            "answers to what another worker took up go to whose STAN they have",
        ),
        (Self::NoBarrier, "a worker begins before all have taken up what the last life left"),
        (Self::MailedIsHanded, "what is mailed to another worker counts as handed over"),
        (
            Self::AnswersToNextTenant,
            "answers of another worker go to who has the slot of their connection now",
        ),
        (Self::GuestNotClosed, "what waits for a guest that is gone is not given up"),
        (Self::WatermarkShared, "bytes wait for a number that may be another worker's"),
        (Self::MailNotDrained, "a drain does not wait for mail"),
        (
            Self::RouteByPlace,
            "what is in flight counts for the route in its place in a new version",
        ),
        (Self::RefundsNotSummed, "refunds of a sale may be more than the sale"),
        (Self::RefundsForgotten, "what was given back is not remembered again with its sale"),
        (Self::AdviceNotSummed, "an advice may give back what it likes"),
        (Self::RefundedToAnother, "a refund may go to another account than paid"),
        (Self::InquiryUngated, "an inquiry leaves before its reversal is durable"),
        (Self::AnyInquiryAnswer, "the answer to an inquiry is matched by its STAN alone"),
        (Self::UnclearIsDeclined, "whatever an inquiry hears that is not clear is a decline"),
        (Self::UnfoundIsDeclined, "what an inquiry does not find is never taken back"),
        (Self::InquirySilenceEnds, "silence to an inquiry is a decline"),
        (Self::ConsultedTakenBack, "what is taken back while its code is asked about goes on"),
        (Self::ConsultForgetsCopies, "copies of what its code is asked about are forgotten"),
    ];
}
