//! Frames: where one message ends in a stream and the next begins.
//!
//! A length is all that holds a stream together. Once a length makes no sense nothing behind it
//! does, so [`Cut::Broken`] is final for the connection. The claimed length never allocates
//! anything: bytes are buffered only as they arrive.

use super::dialect::Dialect;
use super::spec::{FrameLength, Framing};
use crate::base::limits;

/// What stands at the front of the unread bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// A whole frame: its body from `start` to `end`; the next frame begins at `next`.
    Frame {
        /// First byte of the body.
        start: usize,
        /// First byte behind the body.
        end: usize,
        /// First byte of the next frame.
        next: usize,
    },
    /// A zero length where the dialect allows keep-alives.
    KeepAlive {
        /// First byte of the next frame.
        next: usize,
    },
    /// Less than a whole frame.
    Partial,
    /// No frame begins here.
    Broken(Broken),
}

/// Why no frame begins here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A length below the shortest message.
    TooShort,
    /// A length above what is accepted here.
    TooLong,
    /// A length that is not written as the dialect says, or constant bytes that are not there.
    Malformed,
    /// A TLS hello, on a port that is plain.
    TlsHello,
}

impl Framing {
    /// True for the commonest of all: two bytes, big-endian, counting the body, and nothing else.
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self.length, FrameLength::Binary)
            && self.size == 2
            && !self.counts_itself
            && self.before.len() | self.after.len() | self.trailer.len() == 0
    }
}

/// Looks at the front of `bytes`, with the bound of what partners send.
pub fn cut(framing: &Framing, bytes: &[u8]) -> Cut {
    cut_within(framing, bytes, limits::ANSWER_BYTES_MAX)
}

/// Looks at the front of `bytes`; bodies of more than `longest` bytes are not accepted.
pub fn cut_within(framing: &Framing, bytes: &[u8], longest: usize) -> Cut {
    cut_frame(framing, framing.is_plain(), bytes, longest)
}

impl Dialect {
    /// [`cut_within`], for the stream of this dialect.
    #[inline(always)]
    pub fn cut_frame(&self, bytes: &[u8], longest: usize) -> Cut {
        cut_frame(&self.spec.framing, self.plain_frames, bytes, longest)
    }

    /// [`begin`], for the stream of this dialect.
    #[inline(always)]
    pub(super) fn begin_frame(&self, out: &mut Vec<u8>) -> usize {
        if !self.plain_frames {
            return begin(&self.spec.framing, out);
        }
        let start = out.len();
        out.extend_from_slice(&[0, 0]);
        start
    }

    /// [`finish`], for the stream of this dialect.
    #[inline(always)]
    pub(super) fn finish_frame(&self, out: &mut Vec<u8>, start: usize) -> Result<(), Broken> {
        let body = out.len().wrapping_sub(start + 2);
        if self.plain_frames
            && body <= limits::ANSWER_BYTES_MAX
            && let Some([high, low, ..]) = out.get_mut(start..)
        {
            (*high, *low) = ((body >> 8) as u8, body as u8);
            return Ok(());
        }
        finish(&self.spec.framing, out, start)
    }
}

#[inline(always)]
fn cut_frame(framing: &Framing, is_plain: bool, bytes: &[u8], longest: usize) -> Cut {
    if is_plain {
        let [high, low, ..] = *bytes else { return Cut::Partial };
        let length = usize::from(high) << 8 | usize::from(low);
        if (limits::FRAME_BYTES_MIN..=longest).contains(&length) {
            let end = 2 + length;
            if bytes.len() < end {
                return Cut::Partial;
            }
            return Cut::Frame { start: 2, end, next: end };
        }
    }
    cut_any(framing, bytes, longest)
}

fn cut_any(framing: &Framing, bytes: &[u8], longest: usize) -> Cut {
    if framing.length == FrameLength::None {
        return cut_at_trailer(framing, bytes, longest);
    }
    let size = usize::from(framing.size);
    let head = framing.before.len() + size;
    let seen = bytes.len().min(framing.before.len());
    if bytes.get(..seen) != framing.before.get(..seen) {
        return Cut::Broken(hello_or(bytes, Broken::Malformed));
    }
    let Some(length) = bytes.get(framing.before.len()..head) else { return Cut::Partial };
    let Some(mut length) = read_length(framing.length, length) else {
        return Cut::Broken(hello_or(bytes, Broken::Malformed));
    };
    if length == 0 && !framing.counts_itself {
        return if framing.keepalive {
            keep_alive(framing, bytes, head)
        } else {
            Cut::Broken(Broken::TooShort)
        };
    }
    if framing.counts_itself {
        let Some(rest) = length.checked_sub(size) else {
            return Cut::Broken(Broken::TooShort);
        };
        length = rest;
    }
    let Some(body) = length.checked_sub(framing.trailer.len()) else {
        return Cut::Broken(Broken::TooShort);
    };
    if body > longest {
        return Cut::Broken(hello_or(bytes, Broken::TooLong));
    }
    if body < limits::FRAME_BYTES_MIN {
        return Cut::Broken(Broken::TooShort);
    }
    let start = head + framing.after.len();
    let present = bytes.get(head..start.min(bytes.len())).unwrap_or(&[]);
    if !framing.after.starts_with(present) {
        return Cut::Broken(Broken::Malformed);
    }
    let (end, next) = (start + body, start + length);
    if bytes.len() < next {
        return Cut::Partial;
    }
    if bytes.get(end..next) != Some(&framing.trailer[..]) {
        return Cut::Broken(Broken::Malformed);
    }
    Cut::Frame { start, end, next }
}

fn keep_alive(framing: &Framing, bytes: &[u8], head: usize) -> Cut {
    let next = head + framing.after.len();
    if bytes.len() < next { Cut::Partial } else { Cut::KeepAlive { next } }
}

fn cut_at_trailer(framing: &Framing, bytes: &[u8], longest: usize) -> Cut {
    let trailer = &framing.trailer;
    let longest = longest + trailer.len();
    let window = bytes.get(..bytes.len().min(longest)).unwrap_or(bytes);
    match window.windows(trailer.len().max(1)).position(|at| at == &trailer[..]) {
        Some(end) if end < limits::FRAME_BYTES_MIN => Cut::Broken(Broken::TooShort),
        Some(end) => Cut::Frame { start: 0, end, next: end + trailer.len() },
        None if bytes.len() >= longest => Cut::Broken(hello_or(bytes, Broken::TooLong)),
        None => Cut::Partial,
    }
}

/// A TLS record of type handshake (22), version 3.x, deserves a counter of its own: somebody
/// pointed a TLS client at a plain port.
fn hello_or(bytes: &[u8], broken: Broken) -> Broken {
    if matches!(bytes, [0x16, 0x03, ..]) { Broken::TlsHello } else { broken }
}

fn read_length(kind: FrameLength, bytes: &[u8]) -> Option<usize> {
    let digits = |radix: u32| {
        bytes.iter().try_fold(0usize, |number, byte| {
            Some(number * radix as usize + char::from(*byte).to_digit(radix)? as usize)
        })
    };
    match kind {
        FrameLength::Binary => Some(bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b))),
        FrameLength::Bcd => super::digits::bcd_number(bytes).map(|number| number as usize),
        FrameLength::Ascii => digits(10),
        FrameLength::Hex => digits(16),
        FrameLength::None => None,
    }
}

/// Begins a frame at the end of `out`; returns where, for [`finish`].
pub fn begin(framing: &Framing, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&framing.before);
    out.resize(out.len() + usize::from(framing.size), 0);
    out.extend_from_slice(&framing.after);
    start
}

/// Ends the frame begun at `start`: writes its trailer and its length.
///
/// # Errors
///
/// [`Broken::TooLong`] if the body is longer than the framing can say or than the limit; the frame
/// is then taken out again.
pub fn finish(framing: &Framing, out: &mut Vec<u8>, start: usize) -> Result<(), Broken> {
    let size = usize::from(framing.size);
    let at = start + framing.before.len();
    let body = out.len() - (at + size + framing.after.len());
    if body > limits::ANSWER_BYTES_MAX {
        out.truncate(start);
        return Err(Broken::TooLong);
    }
    out.extend_from_slice(&framing.trailer);
    let own = if framing.counts_itself { size } else { 0 };
    let length = body + framing.trailer.len() + own;
    let Some(slot) = out.get_mut(at..at + size) else { return Ok(()) };
    if let (FrameLength::Binary, [high, low]) = (framing.length, &mut *slot) {
        (*high, *low) = ((length >> 8) as u8, length as u8);
        return Ok(());
    }
    write_length(framing.length, length, slot);
    Ok(())
}

fn write_length(kind: FrameLength, mut length: usize, slot: &mut [u8]) {
    for byte in slot.iter_mut().rev() {
        let (value, radix) = match kind {
            FrameLength::Binary => (length as u8, 256),
            FrameLength::Bcd => ((length / 10 % 10 * 16 + length % 10) as u8, 100),
            FrameLength::Ascii => (b'0' + (length % 10) as u8, 10),
            FrameLength::Hex => (b"0123456789ABCDEF"[length % 16], 16),
            FrameLength::None => (0, 1),
        };
        *byte = value;
        length /= radix;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framings() -> Vec<Framing> {
        let base = Framing::default();
        vec![
            base.clone(),
            Framing { counts_itself: true, ..base.clone() },
            Framing { length: FrameLength::Bcd, ..base.clone() },
            Framing { length: FrameLength::Ascii, size: 4, ..base.clone() },
            Framing { length: FrameLength::Hex, size: 4, ..base.clone() },
            Framing { size: 3, ..base.clone() },
            Framing { size: 4, ..base.clone() },
            Framing { after: vec![0, 0], ..base.clone() },
            Framing { before: vec![0xD0, 0x4A], after: vec![0, 0], ..base.clone() },
            Framing { trailer: vec![3], ..base.clone() },
            Framing { length: FrameLength::None, size: 0, trailer: vec![3], ..base },
        ]
    }

    #[test]
    fn what_is_written_is_read_and_every_prefix_is_partial() {
        for framing in framings() {
            for length in [12, 13, 255, 256, 999, 4095, 4096] {
                let mut stream = Vec::new();
                let start = begin(&framing, &mut stream);
                stream.resize(stream.len() + length, 0x41);
                finish(&framing, &mut stream, start).expect("fits");
                let Cut::Frame { start, end, next } =
                    cut_within(&framing, &stream, limits::FRAME_BYTES_MAX)
                else {
                    panic!(
                        "{framing:?} {length}: {:?}",
                        cut_within(&framing, &stream, limits::FRAME_BYTES_MAX)
                    );
                };
                assert_eq!((end - start, next), (length, stream.len()));
                for cut_at in 0..stream.len() {
                    assert_eq!(
                        cut_within(&framing, &stream[..cut_at], limits::FRAME_BYTES_MAX),
                        Cut::Partial,
                        "{framing:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn lengths_that_make_no_sense_break_the_stream_at_once() {
        let plain = Framing::default();
        for (bytes, broken) in [
            (&[0, 0][..], Broken::TooShort),
            (&[0, 1], Broken::TooShort),
            (&[0, 11], Broken::TooShort),
            (&[0x10, 0x01], Broken::TooLong),
            (&[0xFF, 0xFF, 1, 2, 3], Broken::TooLong),
            (&[0x16, 0x03, 0x01], Broken::TlsHello),
            (b"GET / HTTP/1.1", Broken::TooLong),
            (b"SSH-2.0", Broken::TooLong),
            (b"0123", Broken::TooLong),
        ] {
            assert_eq!(
                cut_within(&plain, bytes, limits::FRAME_BYTES_MAX),
                Cut::Broken(broken),
                "{bytes:?}"
            );
        }
        let ascii = Framing { length: FrameLength::Ascii, size: 4, ..plain };
        assert_eq!(
            cut_within(&ascii, b"-003", limits::FRAME_BYTES_MAX),
            Cut::Broken(Broken::Malformed)
        );
        assert_eq!(cut_within(&ascii, b"01", limits::FRAME_BYTES_MAX), Cut::Partial);
    }

    #[test]
    fn a_zero_length_is_a_keep_alive_only_where_allowed() {
        let framing = Framing { keepalive: true, ..Framing::default() };
        assert_eq!(
            cut_within(&framing, &[0, 0, 0], limits::FRAME_BYTES_MAX),
            Cut::KeepAlive { next: 2 }
        );
        assert_eq!(
            cut_within(&Framing::default(), &[0, 0, 0], limits::FRAME_BYTES_MAX),
            Cut::Broken(Broken::TooShort)
        );
    }

    #[test]
    fn a_hex_length_of_65535_is_not_taken_modulo() {
        let framing = Framing { length: FrameLength::Hex, size: 4, ..Framing::default() };
        assert_eq!(
            cut_within(&framing, b"FFFF", limits::FRAME_BYTES_MAX),
            Cut::Broken(Broken::TooLong)
        );
        assert_eq!(cut_within(&framing, b"0fff", limits::FRAME_BYTES_MAX), Cut::Partial);
    }
}
