//! Messages proven by comparison with a message proven before.
//!
//! A fleet sends few forms: the same elements with the same lengths, over and over, and only other
//! values. Of a message that was walked and found sound, a twin keeps which nibbles its form is
//! made of (lengths, EMV tags, fillers, separators), which of the others must be decimal digits,
//! and where each element stands. A message whose form nibbles are the same and whose digits are
//! digits is sound too, and its elements stand where they stood: a few operations a word, no walk,
//! and not even an index to fill in. What words cannot prove (text classes, rare contents) is
//! proven run by run or element by element.
//!
//! A twin answers only yes: a message that fits none is walked by [`Dialect::decode_with_care`],
//! which says what is wrong. So a twin may refuse what the walk accepts, never the other way
//! round; the tests hold both against each other.

use std::ops::Range;

use super::bitmap::Bitmap;
use super::composite::Composite;
use super::dialect::Dialect;
use super::encode;
use super::field::{Content, Field, Run};
use super::mti::Mti;
use super::span::Span;
use super::spec::Side;
use super::tlv;

/// Where each element of a message stands, by its number; as many places as a byte has values, so
/// that none has to be checked.
pub(super) type Spans = [Span; 256];

/// The forms one decoder has met lately, and the spans of the message it holds at present.
#[derive(Debug, Clone)]
pub(super) struct Twins {
    slots: Vec<Twin>,
    /// The spans of each slot's form. The last one is that of messages that fit none, and no form
    /// takes its slot.
    spans: Box<[Spans; TWINS_MAX]>,
    /// Which table speaks of the present message.
    current: usize,
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
}

/// One form.
#[derive(Debug, Clone, Default)]
struct Twin {
    key: Key,
    ready: bool,
    /// How firmly the form sits: rises when a message fits, falls when one of its key does not.
    /// One stranger does not drive out a regular.
    weight: u8,
    /// Some element of the form holds EMV account data.
    accounts: bool,
    /// By block of the bytes behind the bitmaps, the last one being the last 32 bytes.
    blocks: Vec<Block>,
    /// Where words with printable text in them stand side by side.
    texts: Vec<Text>,
    /// What no block proves.
    runs: Vec<(Run, u16, u16)>,
    /// Elements that are looked at by themselves.
    alone: Vec<u8>,
    kept: KeptForm,
}

/// What is known of 32 bytes: the bits of the form, what they are, and the highest bit of each
/// nibble that must be a decimal digit. As large as that for the compiler to find that words can
/// be compared abreast.
#[derive(Debug, Clone, Copy, Default)]
struct Block {
    form: [u64; WORDS],
    value: [u64; WORDS],
    digits: [u64; WORDS],
}

/// Which bytes of some words must be printable ASCII.
#[derive(Debug, Clone)]
struct Text {
    /// Where the first word begins behind the bitmaps.
    at: u16,
    mask: Vec<u64>,
}

/// What of messages of one form is kept, worked out once.
#[derive(Debug, Clone, Default)]
pub(super) struct KeptForm {
    /// The bitmaps of what is kept, as they are written behind the MTI.
    pub(super) bitmaps: Vec<u8>,
    /// Where DE 2 stands, length and all.
    pub(super) pan: Range<usize>,
    /// Where the rest of it stands.
    pub(super) runs: Vec<Range<usize>>,
    /// How many bytes it takes, MTI and bitmaps included.
    pub(super) bytes: usize,
}

impl Default for Twins {
    fn default() -> Self {
        let spans = vec![NOWHERE; TWINS_MAX].into_boxed_slice();
        let spans = spans.try_into().expect("as many as there are slots");
        Self { slots: vec![Twin::default(); TWINS_MAX], spans, current: SCRATCH }
    }
}

impl Twins {
    /// Where the elements of the present message stand.
    #[inline]
    pub(super) fn spans(&self) -> &Spans {
        &self.spans[self.current % TWINS_MAX]
    }

    /// What is kept of messages of the present one's form, if it has one and DE 2 needs not be
    /// made from the track.
    #[inline]
    pub(super) fn kept(&self) -> Option<&KeptForm> {
        let twin = self.slots.get(self.current)?;
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
            let twin = self.slots.get_mut(place)?;
            if twin.key != key || !twin.ready {
                continue;
            }
            let spans = self.spans.get(place)?;
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
            (twin.key, twin.ready) = (key, false);
            return;
        }
        let spans = self.spans[SCRATCH];
        twin.ready = twin.build(dialect, message, at, &spans);
        // Two forms of one key would drive each other out for ever.
        twin.weight = WEIGHT_MAX;
        self.spans[place] = spans;
    }
}

impl Key {
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
        let mut bad = [0u64; WORDS];
        for (bytes, block) in body.as_chunks().0.iter().zip(blocks) {
            block.compare(bytes, &mut bad);
        }
        last.compare(body.last_chunk()?, &mut bad);
        let mut bad = bad.iter().fold(0, |all, bad| all | bad);
        for text in &self.texts {
            bad |= text.differs(body.get(usize::from(text.at)..)?);
        }
        if bad != 0 {
            return None;
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
        let nothing = || vec![0; bytes];
        let mut nibbles = Nibbles { form: nothing(), digits: nothing(), text: nothing() };
        for element in elements.iter() {
            let span = spans[usize::from(element)];
            nibbles.fix(usize::from(span.start) - at..usize::from(span.value) - at);
            let value = message.get(usize::from(span.value)..usize::from(span.end));
            let value = value.unwrap_or(&[]);
            let place = usize::from(span.value) - at;
            if !self.describe(dialect, dialect.field(element), span, value, &mut nibbles, place) {
                self.alone.push(element);
            }
        }
        let (form, digits) = (blocks(&nibbles.form), blocks(&nibbles.digits));
        let body = blocks(message.get(at..).unwrap_or(&[]));
        let parts = body.zip(form).zip(digits);
        self.blocks.clear();
        self.blocks.extend(parts.map(|((body, form), digits)| Block {
            form,
            value: std::array::from_fn(|word| body[word] & form[word]),
            digits: digits.map(|word| word & 0x8888_8888_8888_8888),
        }));
        self.texts = texts(&nibbles.text);
        self.kept = KeptForm::of(dialect, &elements, spans);
        true
    }

    /// Describes one element, whose value stands at `place` behind the bitmaps. False if it has to
    /// be looked at by itself.
    fn describe(
        &mut self,
        dialect: &Dialect,
        field: &Field,
        span: Span,
        value: &[u8],
        nibbles: &mut Nibbles,
        place: usize,
    ) -> bool {
        match (field.content, dialect.composite_of(field)) {
            (Content::Bytes, None | Some(Composite::Positional(_)))
            | (Content::Latin1 | Content::Gbk | Content::Ebcdic, None) => {}
            (Content::Bytes, Some(Composite::Ber(_))) => {
                let Some(accounts) = nibbles.fix_objects(place, value) else { return false };
                self.accounts |= accounts;
            }
            (Content::Bcd | Content::TrackBcd, None) => {
                nibbles.pack(place, value, field, span.units);
            }
            (_, None) if matches!(field.run, Run::Printable | Run::Digits) => {
                nibbles.write(place..place + value.len(), field.run);
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

impl KeptForm {
    fn of(dialect: &Dialect, elements: &Bitmap, spans: &Spans) -> Self {
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
        form
    }
}

/// The body of a message, nibble by nibble: what belongs to the form, what must be a digit; and by
/// byte what must be printable.
struct Nibbles {
    form: Vec<u8>,
    digits: Vec<u8>,
    text: Vec<u8>,
}

impl Nibbles {
    fn fix(&mut self, bytes: Range<usize>) {
        self.form.get_mut(bytes).unwrap_or(&mut []).fill(0xFF);
    }

    /// ASCII: of digits the high nibble is form.
    fn write(&mut self, bytes: Range<usize>, run: Run) {
        let fill = |of: &mut Vec<u8>, with| of.get_mut(bytes.clone()).unwrap_or(&mut []).fill(with);
        if run == Run::Digits {
            fill(&mut self.form, 0xF0);
            fill(&mut self.digits, 0x0F);
        } else {
            fill(&mut self.text, 0xFF);
        }
    }

    /// Packed digits: digits may change, everything else (filler, separator) is form.
    fn pack(&mut self, place: usize, value: &[u8], field: &Field, units: u16) {
        let filler = match field.side {
            _ if units.is_multiple_of(2) => None,
            Side::Left => Some(0),
            Side::Right => Some(value.len() * 2 - 1),
        };
        for nibble in 0..value.len() * 2 {
            let (byte, high) = (nibble / 2, nibble.is_multiple_of(2));
            let mask = if high { 0xF0 } else { 0x0F };
            let digit = if high { value[byte] >> 4 } else { value[byte] & 15 };
            let kind = match Some(nibble) == filler || digit > 9 {
                true => &mut self.form,
                false => &mut self.digits,
            };
            kind[place + byte] |= mask;
        }
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
    /// Adds the bits of `bytes` that contradict the form or are no decimal digits to `bad`.
    #[inline(always)]
    fn compare(&self, bytes: &[u8; BLOCK], bad: &mut [u64; WORDS]) {
        let words = words(bytes);
        for (place, bad) in bad.iter_mut().enumerate() {
            let word = words[place];
            let above_nine = word & (word << 1 | word << 2) & self.digits[place];
            *bad |= word & self.form[place] ^ self.value[place] | above_nine;
        }
    }
}

impl Text {
    /// Not zero if a byte that must be printable is not.
    #[inline]
    fn differs(&self, bytes: &[u8]) -> u64 {
        unprintable(bytes.as_chunks().0, &self.mask)
    }
}

/// Bits of bytes that `mask` wants to be printable and that are not.
#[inline(always)]
fn unprintable(bytes: &[[u8; 8]], mask: &[u64]) -> u64 {
    let mut bad = 0;
    for (bytes, mask) in bytes.iter().zip(mask) {
        let word = u64::from_le_bytes(*bytes) & mask;
        // 0x7F becomes 0x80 with one more; no byte that is sound carries into the next.
        let high = word | word.wrapping_add(mask & 0x0101_0101_0101_0101);
        // Below 0x20 both of these bits are clear.
        let low = !(word | word << 1) & 0x4040_4040_4040_4040;
        bad |= (high & 0x8080_8080_8080_8080 | low) & mask;
    }
    bad
}

#[inline(always)]
fn words(bytes: &[u8; BLOCK]) -> [u64; WORDS] {
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|place| u64::from_le_bytes(words[place]))
}

/// The bytes block by block: the whole ones, and the last 32 bytes as one more.
fn blocks(bytes: &[u8]) -> impl Iterator<Item = [u64; WORDS]> {
    bytes.as_chunks().0.iter().chain(bytes.last_chunk()).map(words)
}

/// The words in which a byte of `mask` is set, each byte in one of them.
fn texts(mask: &[u8]) -> Vec<Text> {
    let mut rest = mask.to_vec();
    let (whole, _) = rest.as_chunks_mut::<8>();
    whole.as_flattened_mut().fill(0);
    let last = rest.last_chunk().map(|mask| (rest.len() - 8, mask));
    let whole = mask.as_chunks().0.iter().enumerate().map(|(place, mask)| (place * 8, mask));
    let mut texts: Vec<Text> = Vec::new();
    for (at, mask) in whole.chain(last) {
        let mask = u64::from_le_bytes(*mask);
        match texts.last_mut() {
            _ if mask == 0 => {}
            Some(text) if usize::from(text.at) + text.mask.len() * 8 == at => text.mask.push(mask),
            _ => texts.push(Text { at: at as u16, mask: vec![mask] }),
        }
    }
    texts
}

/// Bytes of a [`Block`], and words.
const BLOCK: usize = 32;
const WORDS: usize = BLOCK / 8;

static NOWHERE: Spans = [Span { start: 0, value: 0, end: 0, units: 0 }; 256];

/// Forms kept, and one more: links times kinds of message times lengths. 256 KiB of spans, of which
/// a fleet's few forms touch little.
const TWINS_MAX: usize = 128;

/// The slot of no form.
const SCRATCH: usize = TWINS_MAX - 1;

/// How many messages that do not fit a form in use drives out.
const WEIGHT_MAX: u8 = 4;

const _: () = assert!(TWINS_MAX.is_power_of_two());
