//! A low-latency authorization switch for binary ISO 8583 traffic.
//!
//! Acquirers ask whether a payment is approved; partner networks know. The switch stands between
//! them: it reads a request in one dialect of ISO 8583, decides which partner to ask, asks in the
//! partner's dialect, and returns exactly one answer before the deadline it promised.
//!
//! # The building
//!
//! ```text
//!  5  app        files, command line, wiring         whatever it needs
//!  4  net        sockets, worker threads, clock      tokio, socket2, crossbeam
//!     journal    what must survive, on the disk      rustix, crossbeam
//! --------------------------------------------------------- below: pure, synchronous, no time
//!  3  switch     (now, event) in, outbox out
//!  2  routing    facts in, a route or a decline out
//!     risk       the same facts in, a pass or a decline out
//!  1  iso8583    bytes to messages and back
//!  0  base       time, money, card data, codes, limits
//! ```
//!
//! A file imports from lower floors or from its own, and a test enforces it. Floors 0 to 3 have no
//! clock, no thread, no randomness, no socket and no file: time is a value that is handed in, and
//! what is to be done is written into an outbox. So the very same [`switch::Switch`] runs under
//! the shell, in tests that let hours pass in a moment, and in benchmarks.
//!
//! # Reading order
//!
//! 1. [`manual::life_of_a_message`]: one request from the first byte to its answer, with links
//!    into the code. [`manual::lexicon`] has the words.
//! 2. [`switch::Switch::handle`], the only way into the core, and [`switch::event::Event`], all
//!    that can happen to it. The request leg reads as a list of questions; the way back ends in
//!    the one decision of [`switch::pending::Pending::settle`].
//! 3. [`switch::fault::Fault`]: everything that can be wrong, whose fault it is, what happens. In
//!    prose: [`manual::failure_modes`].
//! 4. [`iso8583`]: [`iso8583::spec::Spec`] is what a dialect can say,
//!    [`iso8583::dialect::Dialect`] what is made of it, [`iso8583::decode`] the one pass over the
//!    bytes.
//! 5. [`routing::RouteTable::decide_at`]: two lookups and one array access. What it can be told
//!    of wallets that pay abroad: [`manual::corridors`].
//!    [`risk::Rules::decide`] asks behind it whether the request is wanted.
//! 6. [`net`]: how a turn gathers what is ready and writes once; [`net::Shell`] is its front door.
//! 7. [`app::config`] and [`app::dialect_file`]: how files become all of the above;
//!    [`app::reload`]: how they do so again while the switch runs.
//!
//! Every bound stands in [`base::limits`]; why it is what it is, in [`manual::limits`].
//!
//! # Three rules
//!
//! * **One owner decides, once.** A request is answered or timed out by whoever takes its slot in
//!   the pending ring first, on one thread. Nobody waits a little longer to be sure.
//! * **A STAN is a place, not a proof.** It says where to look; whether an answer belongs to a
//!   request is decided by the rest of the match key.
//! * **Nothing grows with traffic.** Memory follows sessions and requests in flight, which have
//!   bounds; after warm-up no message allocates.

pub mod app;
pub mod base;
pub mod iso8583;
pub mod journal;
pub mod net;
pub mod risk;
pub mod routing;
pub mod switch;

/// What does not belong to one module: the whole trip, what can go wrong, corridors, what is owed,
/// what is on record, the words, the bounds.
pub mod manual {
    #[doc = include_str!("manual/life_of_a_message.md")]
    pub mod life_of_a_message {}

    #[doc = include_str!("manual/failure_modes.md")]
    pub mod failure_modes {}

    #[doc = include_str!("manual/corridors.md")]
    pub mod corridors {}

    #[doc = include_str!("manual/saf.md")]
    pub mod saf {}

    #[doc = include_str!("manual/journal.md")]
    pub mod journal {}

    #[doc = include_str!("manual/lexicon.md")]
    pub mod lexicon {}

    #[doc = include_str!("manual/limits.md")]
    pub mod limits {}

    #[doc = include_str!("manual/audit.md")]
    pub mod audit {}

    #[doc = include_str!("manual/simulation.md")]
    pub mod simulation {}

    #[doc = include_str!("manual/planted_bugs.md")]
    pub mod planted_bugs {}
}
