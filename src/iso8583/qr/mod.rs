//! EMVCo QR codes: what a merchant shows ([`merchant`]) and what a wallet shows ([`consumer`]).
//!
//! Both parsers work in place, allocate nothing, and say where a code is wrong. What they are not:
//! they do not decide whose code it is (see [`crate::routing::classify`]), and they know nothing of
//! the message that a code travelled in.

pub mod consumer;
pub mod merchant;

use std::fmt;

/// What is wrong with a code, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QrError {
    /// What is wrong.
    pub reason: QrReason,
    /// Where, in bytes from the beginning of the code, or of what it stands for in base64.
    pub at: usize,
}

/// What is wrong with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QrReason {
    /// Longer than any reader has to take.
    Long,
    /// It does not begin as such a code does.
    Start,
    /// Characters that cannot stand here.
    Character,
    /// A tag or length that is none, or a value that is longer than what is left.
    Length,
    /// A value with another form than its tag asks for.
    Value,
    /// A tag that comes twice, or not where it has to.
    Order,
    /// A tag that has to be there and is not.
    Missing,
    /// The checksum is another.
    Checksum,
}

impl QrError {
    const fn new(reason: QrReason, at: usize) -> Self {
        Self { reason, at }
    }
}

impl fmt::Display for QrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            QrReason::Long => "longer than any reader has to take",
            QrReason::Start => "does not begin like a code of this kind",
            QrReason::Character => "a character that cannot stand here",
            QrReason::Length => "no tag and length, or a value longer than what is left",
            QrReason::Value => "a value that its tag cannot have",
            QrReason::Order => "a tag twice or in the wrong place",
            QrReason::Missing => "a tag is missing",
            QrReason::Checksum => "the checksum is wrong",
        };
        write!(f, "{reason}, at byte {}", self.at)
    }
}
