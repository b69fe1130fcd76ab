//! Messages proven by comparison with a message proven before.
//!
//! A fleet sends few forms: the same elements with the same lengths, over and over, and only other
//! values. Of a message that was walked and found sound, a twin keeps what each byte may be: what
//! it was where it is form (lengths, EMV tags, fillers, separators), else a digit, packed digits
//! or printable, and where each element stands. A message whose bytes all are within these bounds
//! is sound too, and its elements stand where they stood: half an operation a byte, no walk, and
//! not even an index to fill in. What bounds cannot prove (other text classes, rare contents) is
//! proven run by run or element by element.
//!
//! A twin answers only yes: a message that fits none is walked by [`Dialect::decode_with_care`],
//! which says what is wrong. So a twin may refuse what the walk accepts, never the other way
//! round; the tests hold both against each other.

use std::num::NonZeroU64;
use std::ops::{Range, RangeInclusive};

use super::bitmap::Bitmap;
use super::composite::Composite;
use super::dialect::Dialect;
use super::digits;
use super::field::{Content, Field, Run};
use super::kept_form::KeptForm;
use super::span::{Span, Spans};
use super::spec::Side;
use super::tlv;

/// The forms one decoder has met lately, and the spans of the message it holds at present.
#[derive(Debug, Clone)]
pub(super) struct Twins {
    slots: Box<[Twin; TWINS_MAX]>,
    /// The spans of each slot's form. The last one is that of messages that fit none, and no form
    /// takes its slot.
    spans: Box<[Spans; TWINS_MAX]>,
    /// Which table speaks of the present message.
    current: usize,
    /// How many forms were numbered; `None` if they are not.
    numbered: Option<u64>,
}

/// A form, as long as its decoder knows it. Numbers are never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormId(NonZeroU64);

impl FormId {
    /// 1, 2, 3 and so on.
    #[inline]
    pub const fn number(self) -> u64 {
        self.0.get()
    }
}

/// What tells messages apart before a byte of their elements is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Key {
    /// Whose messages.
    pub(super) dialect: u64,
    /// Which elements.
    pub(super) words: [u64; 2],
    /// How long, header included.
    pub(super) bytes: usize,
    /// Where the elements begin: an empty second bitmap names none, and takes its place.
    pub(super) at: usize,
}

/// One form.
#[derive(Debug, Clone, Default)]
struct Twin {
    key: Key,
    id: Option<FormId>,
    ready: bool,
    /// How firmly the form sits: rises when a message fits, falls when one of its key does not.
    /// One stranger does not drive out a regular.
    weight: u8,
    /// Some element of the form holds EMV account data.
    accounts: bool,
    /// By block of the bytes behind the bitmaps, the last one being the last 32 bytes.
    blocks: Vec<Block>,
    /// Bytes whose low nibble is form while the high one is a digit, and that nibble.
    halves: Vec<(u16, u8)>,
    /// Elements of letters and digits that had digits alone when the form was met, and later had
    /// letters.
    loose: Bitmap,
    /// What no block proves.
    runs: Vec<(Run, u16, u16)>,
    /// Elements that are looked at by themselves.
    alone: Vec<u8>,
    kept: KeptForm,
}

/// What 32 bytes may be: each between two bounds, and its low nibble below a third. That says all
/// of a byte that is form, a digit, a pair of packed digits or printable, and it is what SIMD can
/// tell of 16 bytes in six operations; bits and words would need a pass for each kind.
#[derive(Debug, Clone, Copy)]
struct Block {
    least: [u8; BLOCK],
    /// How far above its least it may be.
    spread: [u8; BLOCK],
    low_most: [u8; BLOCK],
}

impl Default for Twins {
    fn default() -> Self {
        let spans = vec![NOWHERE; TWINS_MAX].into_boxed_slice();
        let spans = spans.try_into().expect("as many as there are slots");
        let slots = vec![Twin::default(); TWINS_MAX].into_boxed_slice();
        let slots = slots.try_into().expect("as many as there are slots");
        Self { slots, spans, current: SCRATCH, numbered: None }
    }
}

impl Twins {
    /// Forms are numbered from now on. The numbers of one decoder mean nothing to another.
    pub(super) fn number_forms(&mut self) {
        self.numbered = Some(0);
    }

    /// The form of the present message, if it fits one and forms are numbered.
    #[inline]
    pub(super) fn form(&self) -> Option<FormId> {
        // The slot of no form never gets a number.
        self.slots[self.current % TWINS_MAX].id
    }

    /// Where the elements of the present message stand.
    #[inline]
    pub(super) fn spans(&self) -> &Spans {
        &self.spans[self.current % TWINS_MAX]
    }

    /// What is kept of messages of the present one's form, if it has one and DE 2 needs not be
    /// made from the track.
    #[inline]
    pub(super) fn kept(&self) -> Option<&KeptForm> {
        let twin = &self.slots[self.current % TWINS_MAX];
        (!twin.kept.bitmaps.is_empty()).then_some(&twin.kept)
    }

    /// The present message fits no form, and nothing is known of it yet.
    #[inline]
    pub(super) fn forget(&mut self) {
        self.current = SCRATCH;
        self.spans[SCRATCH] = NOWHERE;
    }

    /// The table to be filled in for a message that fits no form.
    #[inline]
    pub(super) fn scratch(&mut self) -> &mut Spans {
        debug_assert_eq!(self.current, SCRATCH, "forgotten first");
        &mut self.spans[SCRATCH]
    }

    /// Finds the form of `message`, whose elements begin at `at`, among those known. Says whether
    /// it holds EMV account data; `None` if it fits none.
    #[inline]
    pub(super) fn find(
        &mut self,
        dialect: &Dialect,
        message: &[u8],
        at: usize,
        key: Key,
    ) -> Option<bool> {
        let first = key.place();
        for place in [first, first ^ 1, first ^ 2, first ^ 3] {
            let twin = &mut self.slots[place % TWINS_MAX];
            if !twin.key.is(&key) || !twin.ready {
                continue;
            }
            let spans = &self.spans[place % TWINS_MAX];
            if let Some(accounts) = twin.fits(dialect, message, at, spans) {
                twin.weight = WEIGHT_MAX;
                self.current = place;
                return Some(accounts);
            }
        }
        None
    }

    /// Notes the form of the present message, which was just walked and found sound.
    #[inline(never)]
    pub(super) fn learn(&mut self, dialect: &Dialect, message: &[u8], at: usize, key: Key) {
        debug_assert_eq!(self.current, SCRATCH, "it was walked");
        let first = key.place();
        let places = [first, first ^ 1, first ^ 2, first ^ 3];
        let spans = self.spans[SCRATCH];
        for place in places {
            let twin = &mut self.slots[place];
            if twin.ready
                && twin.key == key
                && self.spans[place] == spans
                && twin.loosen(dialect, message, &spans)
            {
                return self.settle(place, dialect, message, at);
            }
        }
        // Where it was met before, else where what sits sits least firmly.
        let places = places.into_iter().filter(|place| *place != SCRATCH);
        let place = places.min_by_key(|place| {
            let twin = &self.slots[*place];
            (twin.ready || twin.key != key, twin.weight)
        });
        let Some(place) = place else { return };
        let twin = &mut self.slots[place];
        if twin.weight > 0 {
            twin.weight -= 1;
            return;
        }
        if twin.key != key {
            (twin.key, twin.ready, twin.id) = (key, false, None);
            twin.loose = Bitmap::default();
            return;
        }
        self.settle(place, dialect, message, at);
    }

    /// Works out the form of the present message at `place`.
    fn settle(&mut self, place: usize, dialect: &Dialect, message: &[u8], at: usize) {
        let (twin, spans) = (&mut self.slots[place], self.spans[SCRATCH]);
        twin.ready = twin.build(dialect, message, at, &spans);
        twin.id = None;
        if let (true, Some(numbered)) = (twin.ready, &mut self.numbered) {
            *numbered += 1;
            twin.id = NonZeroU64::new(*numbered).map(FormId);
        }
        // Two forms of one key would drive each other out for ever.
        twin.weight = WEIGHT_MAX;
        self.spans[place] = spans;
    }
}

impl Key {
    /// Equality without a branch: as a rule the first that is looked at is the right one.
    #[inline(always)]
    const fn is(&self, other: &Self) -> bool {
        let ([first, second], [primary, secondary]) = (self.words, other.words);
        let unlike = (first ^ primary) | (second ^ secondary) | (self.dialect ^ other.dialect);
        unlike | (self.bytes ^ other.bytes) as u64 | (self.at ^ other.at) as u64 == 0
    }

    #[inline]
    const fn place(&self) -> usize {
        let [primary, secondary] = self.words;
        let elements = primary ^ secondary.rotate_left(32);
        let mixed = elements ^ self.dialect ^ (self.bytes as u64).rotate_left(20);
        (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - TWINS_MAX.ilog2())) as usize
    }
}

impl Twin {
    #[inline(always)]
    fn fits(&self, dialect: &Dialect, message: &[u8], at: usize, spans: &Spans) -> Option<bool> {
        let body = message.get(at..)?;
        let (last, blocks) = self.blocks.split_last()?;
        let mut bad = [0; BLOCK];
        for (bytes, block) in body.as_chunks().0.iter().zip(blocks) {
            block.compare(bytes, &mut bad);
        }
        last.compare(body.last_chunk()?, &mut bad);
        if bad != [0; BLOCK] {
            return None;
        }
        for &(place, nibble) in &self.halves {
            if body.get(usize::from(place))? & 15 != nibble {
                return None;
            }
        }
        for &(run, start, end) in &self.runs {
            if !run.holds(message.get(usize::from(start)..usize::from(end))?) {
                return None;
            }
        }
        let mut accounts = self.accounts;
        for &element in &self.alone {
            let field = dialect.field(element);
            let span = spans[usize::from(element)];
            let value = message.get(usize::from(span.value)..usize::from(span.end))?;
            field.check(value, span.units).ok()?;
            accounts |= field.inner != 0 && dialect.check_inner(field, value).ok()?;
        }
        Some(accounts)
    }

    /// False if messages of this form cannot be proven by comparison.
    fn build(&mut self, dialect: &Dialect, message: &[u8], at: usize, spans: &Spans) -> bool {
        self.runs.clear();
        self.alone.clear();
        self.accounts = false;
        let elements = Bitmap::from_words([self.key.words[0], self.key.words[1], 0]);
        let bytes = message.len().saturating_sub(at);
        if bytes < BLOCK || elements.iter().any(|element| !dialect.has(element)) {
            return false;
        }
        let body = message.get(at..).unwrap_or(&[]);
        let mut bounds = Bounds::of(body);
        for element in elements.iter() {
            let span = spans[usize::from(element)];
            bounds.fix(usize::from(span.start) - at..usize::from(span.value) - at);
            let value = message.get(usize::from(span.value)..usize::from(span.end));
            let value = value.unwrap_or(&[]);
            let place = usize::from(span.value) - at;
            let field = dialect.field(element);
            if field.run == Run::Alphanumeric
                && !self.loose.has(element)
                && digits::are_ascii_digits(value)
            {
                // Reference numbers: what were digits once are digits mostly.
                bounds.write(place..place + value.len(), Run::Digits);
            } else if !self.describe(dialect, field, span, value, &mut bounds, place) {
                self.alone.push(element);
            }
        }
        self.blocks.clear();
        self.blocks.extend(bounds.blocks());
        self.halves = bounds.halves;
        self.kept = KeptForm::of(dialect, &elements, spans);
        true
    }

    /// A message whose elements stand as those of this form do not fits it: notes which elements
    /// have letters now. False if none that was not noted before.
    fn loosen(&mut self, dialect: &Dialect, message: &[u8], spans: &Spans) -> bool {
        let elements = Bitmap::from_words([self.key.words[0], self.key.words[1], 0]);
        let mut is_new = false;
        for element in elements.iter().filter(|e| dialect.field(*e).run == Run::Alphanumeric) {
            let span = spans[usize::from(element)];
            let value = message.get(usize::from(span.value)..usize::from(span.end));
            if !self.loose.has(element) && !value.is_some_and(digits::are_ascii_digits) {
                self.loose.insert(element);
                is_new = true;
            }
        }
        is_new
    }

    /// Describes one element, whose value stands at `place` behind the bitmaps. False if it has to
    /// be looked at by itself.
    fn describe(
        &mut self,
        dialect: &Dialect,
        field: &Field,
        span: Span,
        value: &[u8],
        bounds: &mut Bounds<'_>,
        place: usize,
    ) -> bool {
        match (field.content, dialect.composite_of(field)) {
            (Content::Bytes, None | Some(Composite::Positional(_)))
            | (Content::Latin1 | Content::Gbk | Content::Ebcdic, None) => {}
            (Content::Bytes, Some(Composite::Ber(_))) => {
                let Some(accounts) = bounds.fix_objects(place, value) else { return false };
                self.accounts |= accounts;
            }
            (Content::Bcd | Content::TrackBcd, None) => {
                bounds.pack(place, value, field, span.units);
            }
            (_, None) if matches!(field.run, Run::Printable | Run::Digits) => {
                bounds.write(place..place + value.len(), field.run);
            }
            (_, None) if field.run != Run::Alone => match self.runs.last_mut() {
                Some((run, _, end)) if *run == field.run && *end == span.value => *end = span.end,
                _ => self.runs.push((field.run, span.value, span.end)),
            },
            _ => return false,
        }
        true
    }
}

/// What each byte behind the bitmaps may be; anything, to begin with.
struct Bounds<'a> {
    body: &'a [u8],
    least: Vec<u8>,
    spread: Vec<u8>,
    low_most: Vec<u8>,
    halves: Vec<(u16, u8)>,
}

impl<'a> Bounds<'a> {
    fn of(body: &'a [u8]) -> Self {
        let all = |with| vec![with; body.len()];
        Self { body, least: all(0), spread: all(0xFF), low_most: all(15), halves: Vec::new() }
    }

    /// Form: they are what they are.
    fn fix(&mut self, bytes: Range<usize>) {
        for place in bytes {
            let byte = self.body.get(place).copied().unwrap_or(0);
            self.bound(place, byte..=byte, 15);
        }
    }

    fn bound(&mut self, place: usize, of: RangeInclusive<u8>, low_most: u8) {
        debug_assert!(!of.is_empty(), "something fits");
        if let (Some(least), Some(spread), Some(low)) =
            (self.least.get_mut(place), self.spread.get_mut(place), self.low_most.get_mut(place))
        {
            (*least, *spread, *low) = (*of.start(), of.end().wrapping_sub(*of.start()), low_most);
        }
    }

    fn write(&mut self, bytes: Range<usize>, run: Run) {
        let of = if run == Run::Digits { b'0'..=b'9' } else { b' '..=b'~' };
        for place in bytes {
            self.bound(place, of.clone(), 15);
        }
    }

    /// Packed digits: digits may change, everything else (filler, separator) is form.
    fn pack(&mut self, place: usize, value: &[u8], field: &Field, units: u16) {
        let filler = match field.side {
            _ if units.is_multiple_of(2) => None,
            Side::Left => Some(0),
            Side::Right => Some(value.len() * 2 - 1),
        };
        for (at, byte) in value.iter().enumerate() {
            let (high, low) = (byte >> 4, byte & 15);
            let is_digit = |nibble, value| Some(nibble) != filler && value <= 9;
            match (is_digit(2 * at, high), is_digit(2 * at + 1, low)) {
                (true, true) => self.bound(place + at, 0..=0x99, 9),
                (false, true) => self.bound(place + at, high << 4..=high << 4 | 9, 9),
                (true, false) => {
                    self.bound(place + at, 0..=0x90 | low, low);
                    self.halves.push(((place + at) as u16, low));
                }
                (false, false) => self.bound(place + at, *byte..=*byte, 15),
            }
        }
    }

    /// Block by block: the whole ones, and the last 32 bytes as one more.
    fn blocks(&self) -> impl Iterator<Item = Block> {
        let (least, spread) = (chunks(&self.least), chunks(&self.spread));
        let bounds = least.zip(spread).zip(chunks(&self.low_most));
        bounds.map(|((least, spread), low_most)| Block { least, spread, low_most })
    }

    /// EMV data: tags and lengths are form. Says whether it holds account data; `None` for
    /// templates and fillers, which are left to the check.
    fn fix_objects(&mut self, place: usize, value: &[u8]) -> Option<bool> {
        let mut heads = Vec::new();
        let (mut from, mut accounts) = (0, false);
        while let Some(Ok(object)) = value.get(from..).and_then(tlv::next) {
            if object.is_constructed() || value.get(from) == Some(&0) {
                return None;
            }
            heads.push(from..from + object.size - object.value.len());
            accounts |= matches!(object.tag, 0x57 | 0x5A);
            from += object.size;
        }
        if from != value.len() {
            return None;
        }
        for head in heads {
            self.fix(place + head.start..place + head.end);
        }
        Some(accounts)
    }
}

impl Block {
    /// Marks in `bad` which of `bytes` are not what they may be.
    #[inline(always)]
    fn compare(&self, bytes: &[u8; BLOCK], bad: &mut [u8; BLOCK]) {
        for (place, bad) in bad.iter_mut().enumerate() {
            let byte = bytes[place];
            // What is below the least is far above it, counted around.
            *bad |= byte.wrapping_sub(self.least[place]).saturating_sub(self.spread[place])
                | (byte & 15).saturating_sub(self.low_most[place]);
        }
    }
}

/// The whole blocks of `bytes`, and its last 32 bytes as one more.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = [u8; BLOCK]> {
    bytes.as_chunks().0.iter().chain(bytes.last_chunk()).copied()
}

/// Bytes of a [`Block`].
const BLOCK: usize = 32;

static NOWHERE: Spans = [Span { start: 0, value: 0, end: 0, units: 0 }; 256];

/// Forms kept, and one more: links times kinds of message times lengths. 256 KiB of spans, of which
/// a fleet's few forms touch little.
const TWINS_MAX: usize = 128;

/// The slot of no form.
const SCRATCH: usize = TWINS_MAX - 1;

/// How many messages that do not fit a form in use drives out.
const WEIGHT_MAX: u8 = 4;

const _: () = assert!(TWINS_MAX.is_power_of_two());
