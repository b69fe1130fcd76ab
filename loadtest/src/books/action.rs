//! What the two sides want done: they decide, the rig does it.
//!
//! Host and fleet have no socket and no clock; they take `(now, event)` and append to a list. So
//! their rules are tested without time, and one loop gives both transcripts one order.

use super::message::Message;

/// Which side of the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Terminals, which ask.
    Acquirer,
    /// The host, which is asked.
    Partner,
}

impl Side {
    /// Its name in transcripts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Acquirer => "acquirer",
            Side::Partner => "partner",
        }
    }
}

/// How bytes go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// At once.
    Whole,
    /// In one piece with the next message: a reset takes both or none.
    WithNext,
    /// In two pieces.
    Pieces,
    /// Half of them, then a reset: no complete message.
    HalfThenReset,
}

/// One thing to do.
#[derive(Debug)]
pub(crate) enum Action {
    /// Send a message.
    Send { side: Side, connection: u64, message: Message, manner: Manner },
    /// Close with FIN.
    Close { side: Side, connection: u64 },
    /// Close with RST.
    Reset { side: Side, connection: u64 },
    /// Open an acquirer connection for this slot.
    Connect { slot: usize },
    /// Come back later.
    Wake { at_ns: u64, wake: Wake },
}

/// Why one comes back.
#[derive(Debug)]
pub(crate) enum Wake {
    /// The host sends an answer.
    Answer {
        connection: u64,
        message: Message,
        manner: Manner,
    },
    /// The host books and answers a request it had put aside.
    Book {
        connection: u64,
        request: Message,
    },
    /// A terminal's timer; void if the sale has moved on to another step.
    Terminal {
        sale: usize,
        step: u32,
    },
    /// A slot tries to connect again.
    Connect {
        slot: usize,
    },
    /// The next sale is due.
    Sale,
    /// The switch is to be taken down; void if there is a later plan.
    Kill {
        plan: u64,
    },
    /// The switch is to be frozen, and later to go on.
    Freeze,
    Thaw,
}
