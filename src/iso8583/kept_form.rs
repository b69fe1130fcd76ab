//! Where what is kept of a message stands in all messages of one form. Says where, copies nothing:
//! that is [`super::kept`].

use std::ops::Range;

use super::bitmap::Bitmap;
use super::dialect::Dialect;
use super::encode;
use super::mti::Mti;
use super::span::Spans;

/// What of messages of one form is kept, worked out once.
#[derive(Debug, Clone, Default)]
pub(super) struct KeptForm {
    /// From the MTI on, what is kept in one piece but for its bitmaps; empty if the message has
    /// more of those, or something else stands behind them.
    pub(super) front: Range<usize>,
    /// The bitmaps of what is kept, as they are written behind the MTI.
    pub(super) bitmaps: Vec<u8>,
    /// Where DE 2 stands, length and all.
    pub(super) pan: Range<usize>,
    /// Where the rest of it stands.
    pub(super) runs: Vec<Range<usize>>,
    /// How many bytes it takes, MTI and bitmaps included.
    pub(super) bytes: usize,
}

impl KeptForm {
    pub(super) fn of(dialect: &Dialect, elements: &Bitmap, spans: &Spans) -> Self {
        let mut form = Self::default();
        if elements.has(35) && !elements.has(2) {
            return form;
        }
        let mut kept = elements.and(&dialect.kept);
        encode::begin_body(dialect, &mut form.bitmaps, Mti::default(), &kept);
        form.bitmaps.drain(..dialect.mti_bytes);
        let place = |element: u8| {
            let span = spans[usize::from(element)];
            usize::from(span.start)..usize::from(span.end)
        };
        if kept.has(2) {
            form.pan = place(2);
            kept.remove(2);
        }
        for next in kept.iter().map(place) {
            match form.runs.last_mut() {
                Some(run) if run.end == next.start => run.end = next.end,
                _ => form.runs.push(next),
            }
        }
        let runs = form.runs.iter().map(ExactSizeIterator::len).sum::<usize>();
        form.bytes = dialect.mti_bytes + form.bitmaps.len() + form.pan.len() + runs;
        form.find_front(dialect);
        form
    }

    fn find_front(&mut self, dialect: &Dialect) {
        let mti = dialect.header_bytes;
        let behind = mti + dialect.mti_bytes + self.bitmaps.len();
        let mut end = behind;
        if self.pan.start == behind {
            end = self.pan.end;
        } else if !self.pan.is_empty() {
            return;
        }
        if self.runs.first().is_some_and(|run| run.start == end) {
            end = self.runs.remove(0).end;
        }
        if end > behind {
            self.front = mti..end;
        }
    }
}
