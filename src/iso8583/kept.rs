//! What is kept of a request after it was forwarded: enough to reverse it, nothing that must not
//! be kept.
//!
//! It is a message again, without header, in the dialect the request came in: MTI, bitmaps, DE 2
//! first and the other elements behind it, copied run by run. So it is read back by the same
//! decoder, and the account number can be taken out of its middle to be stored elsewhere.

use std::ops::Range;

use super::bitmap::Bitmap;
use super::encode;
use super::kept_form::KeptForm;
use super::message::Message;
use super::value;

/// A request reduced to what may be kept. Its buffer is used again and again.
#[derive(Clone, Default)]
pub struct Kept {
    bytes: Vec<u8>,
    pan: Range<usize>,
}

impl Kept {
    /// Keeps what may be kept of `message`. An account number that is only in the track data
    /// becomes DE 2: it may be kept, the track may not.
    #[inline]
    pub fn fill(&mut self, message: &Message<'_>) {
        let Some(keeping) = Keeping::of(message) else { return self.fill_with_care(message) };
        self.bytes.clear();
        self.bytes.resize(keeping.bytes(), 0);
        keeping.write(&mut self.bytes);
        self.pan = keeping.pan();
    }

    /// The same, element by element: for forms not met before.
    pub fn fill_with_care(&mut self, message: &Message<'_>) {
        self.fill_elements(message, message.present().and(&message.dialect.kept));
    }

    /// Keeps what may be kept of an advice.
    pub fn fill_advice(&mut self, message: &Message<'_>) {
        self.fill_elements(message, message.present().and(&message.dialect.kept_of_advice));
    }

    fn fill_elements(&mut self, message: &Message<'_>, mut elements: Bitmap) {
        let dialect = message.dialect;
        let from_track = !elements.has(2) && message.has(35) && dialect.has(2);
        if from_track {
            elements.insert(2);
        }
        self.bytes.clear();
        encode::begin_body(dialect, &mut self.bytes, message.mti(), &elements);
        let start = self.bytes.len();
        if from_track {
            self.fill_from_track(message, &mut elements);
        } else if let Some(raw) = message.raw(2).filter(|_| elements.has(2)) {
            self.bytes.extend_from_slice(raw);
        }
        self.pan = start..self.bytes.len();
        elements.remove(2);
        let mut run: Range<usize> = 0..0;
        for element in elements.iter() {
            let Some(span) = message.index.span(element) else { continue };
            if run.end != usize::from(span.start) {
                self.bytes.extend_from_slice(message.bytes.get(run).unwrap_or(&[]));
                run = usize::from(span.start)..0;
            }
            run.end = usize::from(span.end);
        }
        self.bytes.extend_from_slice(message.bytes.get(run).unwrap_or(&[]));
    }

    #[cold]
    fn fill_from_track(&mut self, message: &Message<'_>, elements: &mut Bitmap) {
        let dialect = message.dialect;
        let written = message.pan().is_some_and(|pan| {
            value::write(dialect.field(2), pan.reveal(), &mut self.bytes).is_ok()
        });
        if !written {
            elements.remove(2);
            self.bytes.clear();
            encode::begin_body(dialect, &mut self.bytes, message.mti(), elements);
        }
    }

    /// Puts together what was stored apart: `clear` without the account number, which belongs
    /// behind its first `at` bytes.
    pub fn join(&mut self, clear: &[u8], at: usize, pan: &[u8]) {
        let (head, tail) = clear.split_at(at.min(clear.len()));
        self.gather([head, pan, tail]);
    }

    /// The same from its parts; see [`Self::parts`].
    pub fn gather(&mut self, parts: [&[u8]; 3]) {
        let [head, pan, _] = parts;
        self.bytes.clear();
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.pan = head.len()..head.len() + pan.len();
    }

    /// The message, from its MTI on.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the account number stands in it.
    pub fn pan(&self) -> Range<usize> {
        self.pan.clone()
    }

    /// What stands before the account number, the account number itself (DE 2 with its length),
    /// and what stands behind it.
    pub fn parts(&self) -> [&[u8]; 3] {
        let (front, tail) = self.bytes.split_at(self.pan.end.min(self.bytes.len()));
        let (head, pan) = front.split_at(self.pan.start.min(front.len()));
        [head, pan, tail]
    }
}

/// What may be kept of a message of a form met before, to be copied once, to where it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Keeping<'m> {
    message: &'m Message<'m>,
    form: &'m KeptForm,
}

impl<'m> Keeping<'m> {
    /// `None` if the form of the message is not known, or DE 2 is to be made from the track.
    #[inline]
    pub fn of(message: &'m Message<'m>) -> Option<Self> {
        Some(Self { message, form: message.index.kept()? })
    }

    /// How many bytes it takes.
    #[inline]
    pub const fn bytes(&self) -> usize {
        self.form.bytes
    }

    /// Where the account number stands in them; see [`Kept::pan`].
    #[inline]
    pub fn pan(&self) -> Range<usize> {
        let start = self.message.dialect.mti_bytes + self.form.bitmaps.len();
        start..start + self.form.pan.len()
    }

    /// Writes all of it to `out`, which has room for just that.
    #[inline]
    pub fn write(&self, out: &mut [u8]) {
        let Self { message, form } = self;
        debug_assert_eq!(out.len(), form.bytes, "room for just that");
        let dialect = message.dialect;
        let part = |place: &Range<usize>| message.bytes.get(place.clone()).unwrap_or(&[]);
        let mti = dialect.header_bytes..dialect.header_bytes + dialect.mti_bytes;
        let bitmaps = dialect.mti_bytes..dialect.mti_bytes + form.bitmaps.len();
        let mut rest = out;
        let mut put = |part: &[u8]| {
            let (room, behind) = std::mem::take(&mut rest).split_at_mut_checked(part.len())?;
            room.copy_from_slice(part);
            rest = behind;
            Some(room)
        };
        if form.front.is_empty() {
            for part in [part(&mti), &form.bitmaps, part(&form.pan)] {
                put(part);
            }
        } else if let Some(front) = put(part(&form.front))
            && let Some(room) = front.get_mut(bitmaps)
        {
            room.copy_from_slice(&form.bitmaps);
        }
        for run in &form.runs {
            put(part(run));
        }
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<kept, {} bytes>", self.bytes.len())
    }
}
