//! Where what a decision needs stands in requests of one form.
//!
//! A known form says where each element stands and how it is written. What is read of every
//! request (STAN, terminal, merchant, amount, date, account) is then read at a known place, and
//! what requests have in common is compared a word at a time, with no question asked of the
//! dialect. Like a twin this says only yes: an element that stands nowhere here is read as in any
//! other message. It judges nothing; that is [`super::sound`].
//!
//! A form never gets another meaning (its number is never used again), so what was worked out for
//! one holds for ever.

use crate::iso8583::decode::FormId;
use crate::iso8583::message::Message;

/// The forms met lately, of one decoder.
#[derive(Debug)]
pub(super) struct Forms {
    met: Box<[Form; FORMS_MAX]>,
}

/// One form.
#[derive(Debug, Clone, Copy, Default)]
struct Form {
    id: Option<FormId>,
    places: Places,
    windows: Option<[Window; TYPED.len()]>,
}

/// Where elements stand that are written as most are: even packed digits, or text as it is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Places {
    /// DE 11, six packed digits.
    pub(super) stan: Place<3>,
    /// DE 41.
    pub(super) terminal: Place<8>,
    /// DE 42.
    pub(super) merchant: Place<15>,
    /// DE 4, twelve packed digits.
    pub(super) amount: Place<6>,
    /// DE 7, ten packed digits.
    pub(super) moment: Place<5>,
    /// DE 2 of sixteen packed digits.
    pub(super) account: Place<8>,
    /// There is no DE 35.
    pub(super) is_without_track: bool,
}

/// Where `N` bytes stand in each message of a form. Nothing stands at 0, where the MTI or a header
/// is: that is nowhere.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place<const N: usize>(u16);

/// Eight bytes, and which of them belong to the element.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    at: u16,
    mask: u64,
}

/// The elements whose values many requests have in common.
pub(super) const TYPED: [u8; 5] = [3, 18, 22, 25, 49];

/// Their values, in the bytes they are written in.
pub(super) type Typed = [u64; TYPED.len()];

impl<const N: usize> Place<N> {
    /// The bytes there; `None` if this is nowhere.
    #[inline(always)]
    pub(super) fn read(self, bytes: &[u8]) -> Option<&[u8; N]> {
        if self.0 == 0 {
            return None;
        }
        bytes.get(usize::from(self.0)..)?.first_chunk()
    }

    fn of(at: Option<u16>) -> Self {
        Self(at.unwrap_or(0))
    }
}

impl Default for Forms {
    fn default() -> Self {
        Self { met: Box::new([Form::default(); FORMS_MAX]) }
    }
}

impl Forms {
    /// Where the elements of `message` stand; nowhere if it is of no known form.
    #[inline(always)]
    pub(super) fn places(&mut self, message: &Message<'_>) -> Places {
        let Some(id) = message.index.form() else { return Places::default() };
        let form = &mut self.met[id.number() as usize % FORMS_MAX];
        if form.id != Some(id) {
            *form = Form::of(id, message);
        }
        form.places
    }

    /// The form of `message` and what it says in the elements of [`TYPED`]; `None` if it is of no
    /// form that its places were asked of, or says more than a word in one of them.
    #[inline(always)]
    pub(super) fn typed(&self, message: &Message<'_>) -> Option<(FormId, Typed)> {
        let id = message.index.form()?;
        let form = &self.met[id.number() as usize % FORMS_MAX];
        let windows = form.windows.filter(|_| form.id == Some(id))?;
        let mut typed = [0; TYPED.len()];
        for (word, window) in typed.iter_mut().zip(windows) {
            let bytes = message.bytes.get(usize::from(window.at)..)?.first_chunk()?;
            *word = u64::from_le_bytes(*bytes) & window.mask;
        }
        Some((id, typed))
    }
}

impl Form {
    #[cold]
    fn of(id: FormId, message: &Message<'_>) -> Self {
        let mut windows = Some([Window::default(); TYPED.len()]);
        for (place, element) in TYPED.into_iter().enumerate() {
            let window = Window::of(message, element);
            windows = windows.zip(window).map(|(mut windows, window)| {
                windows[place] = window;
                windows
            });
        }
        let places = Places {
            stan: Place::of(message.place_of_digits(11, 6)),
            terminal: Place::of(message.place_of_text(41, 8)),
            merchant: Place::of(message.place_of_text(42, 15)),
            amount: Place::of(message.place_of_digits(4, 12)),
            moment: Place::of(message.place_of_digits(7, 10)),
            account: Place::of(message.place_of_digits(2, 16)),
            is_without_track: !message.has(35),
        };
        Self { id: Some(id), places, windows }
    }
}

impl Window {
    /// `None` if the value is longer than a word. What is absent is so in the whole form.
    fn of(message: &Message<'_>, element: u8) -> Option<Self> {
        let Some(span) = message.index.span(element) else { return Some(Self::default()) };
        let bytes = span.end - span.value;
        let last = u16::try_from(message.bytes.len().checked_sub(8)?).ok()?;
        let at = span.value.min(last);
        let ones = match bytes {
            0..=7 => (1u64 << (8 * bytes)) - 1,
            8 => u64::MAX,
            _ => return None,
        };
        // What begins in the last seven bytes of a message is at the end of its window.
        Some(Self { at, mask: ones.checked_shl(8 * u32::from(span.value - at)).unwrap_or(0) })
    }
}

/// Forms remembered at once.
const FORMS_MAX: usize = 128;

const _: () = assert!(FORMS_MAX.is_power_of_two());
