//! Every bound of the switch, with its arithmetic. Configuration may lower them, never raise them.
//!
//! Over a bound the switch refuses or sheds (DE 39 = 91 or 96); it never grows.

use std::time::Duration;

/// Longest frame body accepted, bytes. POS and network messages stay below 2 KiB; 4 KiB leaves
/// room for DE 55 and private fields at their maximum.
pub const FRAME_BYTES_MAX: usize = 4096;

/// Longest frame body accepted from a partner and sent to an acquirer, bytes: an honest answer to
/// the longest request repeats it and adds DE 38, 39, 44, 54 and the like. Without that room one
/// acquirer's longest request would break the partner's stream for everybody.
pub const ANSWER_BYTES_MAX: usize = FRAME_BYTES_MAX + 1024;

/// Shortest frame body accepted, bytes: MTI 2 + bitmap 8 + one field of 2.
pub const FRAME_BYTES_MIN: usize = 12;

/// Data elements 2 to 192: three bitmaps of 64.
pub const ELEMENTS_MAX: usize = 192;

/// Worker threads.
pub const WORKERS_MAX: usize = 64;

/// Sessions of one worker. 50,000 idle POS connections on two workers fit twice over.
pub const SESSIONS_MAX: usize = 65_536;

/// STANs of a partner link: 000001 to 999999.
pub const STAN_MAX: u32 = 999_999;

/// Requests in flight per partner link and worker. Slots are a power of two so that a STAN finds
/// its slot by a mask; 65,536 in flight for 1.5 s is a rate of 43,000/s of a partner that never
/// answers, per worker.
pub const IN_FLIGHT_MAX: usize = 65_536;

/// Requests of one acquirer session in flight: a concentrator carries thousands of terminals.
pub const SESSION_IN_FLIGHT_MAX: u32 = 8192;

const _: () = assert!((SESSION_IN_FLIGHT_MAX as usize) < IN_FLIGHT_MAX);

/// Length of a segment of the journal, and of its reserve, in bytes: a minute at 1,000/s.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// Shortest segment: eight times what is recorded of one read.
pub const SEGMENT_BYTES_MIN: u64 = 4 << 20;

/// Longest segment: it is read into memory whole.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// Bytes waiting in one session's outbox before we stop reading from whoever fills it.
pub const OUTBOX_BYTES_MAX: usize = 1 << 20;

/// Bytes read from one session at once.
pub const READ_BYTES: usize = 256 * 1024;

/// Messages of an acquirer session in a row that could not be answered before it is closed.
pub const DROPS_MAX: u8 = 3;

/// Network management requests (0800) per second and session; more are dropped and counted.
pub const ECHO_RATE_MAX: u32 = 20;

/// Zero-length keep-alive frames per second and session, where a dialect allows them at all.
pub const KEEPALIVE_RATE_MAX: u32 = 1;

/// From the first byte of a frame to its last.
pub const FRAME_DEADLINE: Duration = Duration::from_secs(5);

/// A peer that takes no byte for this long is closed.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(5);

/// An acquirer session without a byte for this long is closed.
pub const IDLE_DEADLINE: Duration = Duration::from_secs(900);

/// Bytes in which one worker remembers what was asked lately, if not configured otherwise:
/// 131,072 transactions, a minute at 2,000/s.
pub const RECENT_BYTES: usize = 64 << 20;

/// As few of them as may be configured: 64 transactions.
pub const RECENT_BYTES_MIN: usize = 32 << 10;

/// The same where nothing is kept anyway (durability none): 16,384 transactions, in a table that
/// fits the nearest cache.
pub const RECENT_BYTES_UNKEPT: usize = 8 << 20;

/// Messages of one worker that wait until an older transaction was looked up: 4 MiB of frames at
/// most.
pub const LOOK_UPS_MAX: usize = 1024;

/// Refunds of one sale: each is looked up with it, in a fraction of a millisecond.
pub const REFUNDS_MAX: usize = 200;

/// How long such a message waits.
pub const LOOK_UP_DEADLINE: Duration = Duration::from_millis(500);

/// Requests of one worker about which one partner is asked at a time, before they are reversed.
/// Each takes a message of some 300 bytes; a time-out beyond them is reversed unasked.
pub const INQUIRIES_MAX: usize = 256;

/// From sending a copy of a reversal or advice to giving its answer up.
pub const SAF_ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// Nesting of BER-TLV templates (EMV uses two).
pub const TLV_DEPTH_MAX: u8 = 3;

/// Tags in one BER-TLV element.
pub const TLV_TAGS_MAX: u8 = 64;

/// Obligations (reversals, advices) that one store-and-forward lane keeps before its partner gets
/// no new request from this worker. At 12,000/s they are delivered in 22 s. One costs its cell
/// (144 bytes), its places in three tables (60) and its message (some 300 bytes, at most 4 KiB):
/// some 130 MiB per full lane. Whatever was in flight by then still finds room, at most twice
/// [`IN_FLIGHT_MAX`] more: obligations are never shed.
pub const SAF_ENTRIES_MAX: usize = 262_144;

/// From so many obligations on a lane takes no new advice from an acquirer: what is in flight needs
/// the rest. Twice [`SAF_ENTRIES_MAX`], so that advices are taken over long after requests are not
/// sent any more: 260 MiB per lane.
pub const SAF_ADVICES_MAX: usize = 2 * SAF_ENTRIES_MAX;

/// Copies in flight per store-and-forward lane: 10,000/s to a partner that takes 400 ms. A
/// sixteenth of [`IN_FLIGHT_MAX`], so live requests never find the ring filled by obligations.
pub const SAF_IN_FLIGHT_MAX: usize = 4096;

/// Message buffers that a lane keeps for use again: one per copy in flight. More were a backlog,
/// whose memory is given back.
pub const SAF_SPARES_MAX: usize = SAF_IN_FLIGHT_MAX;

/// Counters per stand-in policy and day: five per approval at most, 13,000 cards and merchants. Of
/// 40 bytes each, two days: 6 MiB. Without room there is no stand-in.
pub const STAND_IN_COUNTERS_MAX: usize = 65_536;

/// First and longest delay between two copies of an obligation, before jitter.
pub const SAF_BACKOFF_MIN: Duration = Duration::from_secs(1);
/// See [`SAF_BACKOFF_MIN`].
pub const SAF_BACKOFF_MAX: Duration = Duration::from_secs(300);

/// The bounds in force: those above, or what a configuration lowered them to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Acquirer sessions per worker.
    pub sessions: usize,
    /// Requests of one acquirer session in flight.
    pub session_in_flight: u32,
    /// Bytes waiting in one session's outbox.
    pub outbox_bytes: usize,
    /// Bytes in which one worker remembers what was asked lately.
    pub recent_bytes: usize,
    /// Network management requests per second and session.
    pub echo_rate: u32,
    /// From the first byte of a frame to its last.
    pub frame_deadline: Duration,
    /// A peer that takes no byte for this long is closed.
    pub write_deadline: Duration,
    /// An acquirer session without a byte for this long is closed.
    pub idle_deadline: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            sessions: SESSIONS_MAX,
            session_in_flight: SESSION_IN_FLIGHT_MAX,
            outbox_bytes: OUTBOX_BYTES_MAX,
            recent_bytes: RECENT_BYTES,
            echo_rate: ECHO_RATE_MAX,
            frame_deadline: FRAME_DEADLINE,
            write_deadline: WRITE_DEADLINE,
            idle_deadline: IDLE_DEADLINE,
        }
    }
}

const _: () = assert!(IN_FLIGHT_MAX.is_power_of_two());
// A slot must have left the late window of its last tenant when its STAN comes round again.
const _: () = assert!(IN_FLIGHT_MAX < STAN_MAX as usize);
const _: () = assert!(SAF_IN_FLIGHT_MAX <= IN_FLIGHT_MAX / 16);
const _: () = assert!(FRAME_BYTES_MIN < FRAME_BYTES_MAX);
// Spans are kept as 16-bit offsets.
const _: () = assert!(ANSWER_BYTES_MAX <= u16::MAX as usize);
// One read can hold at least one frame behind the rest of another.
const _: () = assert!(READ_BYTES >= 2 * (ANSWER_BYTES_MAX + 8));
const _: () = assert!(OUTBOX_BYTES_MAX >= READ_BYTES);
