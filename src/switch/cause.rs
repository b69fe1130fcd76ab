//! Why the switch closes a connection of its own accord.

/// Why a session was closed by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCause {
    /// The stream cannot be trusted any more: a length that is no length.
    Framing,
    /// A TLS hello on a plain port.
    TlsOnPlain,
    /// Too many messages that could not be answered.
    Drops,
    /// A frame was not complete in time.
    FrameDeadline,
    /// The peer took no bytes in time, or its lane is full.
    WriteStall,
    /// Nothing was heard for too long.
    Idle,
    /// The peer ended its side and everything is answered.
    Finished,
    /// The peer did not answer sign-on or echo in time.
    NoEcho,
    /// Too many sessions.
    Capacity,
    /// The switch is shutting down.
    Drained,
}

impl CloseCause {
    /// Why, as a lower-case fragment.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Framing => "what came is no frame of its dialect",
            Self::TlsOnPlain => "a TLS hello on a plain port",
            Self::Drops => "too many messages that cannot be answered",
            Self::FrameDeadline => "a frame was not complete in time",
            Self::WriteStall => "it takes no bytes",
            Self::Idle => "nothing was heard for too long",
            Self::Finished => "it ended its side and everything is answered",
            Self::NoEcho => "sign-on or echo was not answered",
            Self::Capacity => "too many sessions",
            Self::Drained => "the switch is shutting down",
        }
    }
}
