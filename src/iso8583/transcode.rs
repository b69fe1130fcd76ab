//! Carrying a message from one dialect to another, as a list compiled when links are paired.
//!
//! For each element the list says: copy the bytes, rewrite the value, or leave it out. What would
//! be left out or might not fit is reported when the configuration is loaded, not discovered in
//! traffic.

use super::bitmap::Bitmap;
use super::dialect::Dialect;
use super::encode::{self, THIRD_BITMAP_MARKER};
use super::error::Reason;
use super::field::{Content, Field};
use super::message::Message;
use super::mti::Mti;
use super::value::{self, Form};
use crate::base::limits;

/// The compiled list for one ordered pair of dialects.
#[derive(Debug)]
pub struct Transcoder {
    steps: Box<[Step; limits::ELEMENTS_MAX + 1]>,
    carried: Bitmap,
    /// What cannot be carried, or not always.
    pub losses: Vec<Loss>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Drop,
    Copy,
    /// The bytes are the same, but the target takes less: it looks at them first.
    CopyChecked,
    Rewrite,
}

/// Something that does not survive the way from one dialect to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The element.
    pub element: u8,
    /// True if it is always left out; false if only some values do not fit.
    pub always: bool,
    /// Why.
    pub why: String,
}

/// Why a message could not be carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TranscodeError {
    /// The element that does not fit; 0 if the whole is too long.
    pub element: u8,
    /// What is wrong with it.
    pub reason: Reason,
}

impl Transcoder {
    /// Compiles the way from `from` to `to`.
    pub fn compile(from: &Dialect, to: &Dialect) -> Self {
        let mut steps = Box::new([Step::Drop; limits::ELEMENTS_MAX + 1]);
        let (mut carried, mut losses) = (Bitmap::default(), Vec::new());
        for element in 2..=limits::ELEMENTS_MAX as u8 {
            if !from.has(element) {
                continue;
            }
            if !to.has(element) {
                let why = format!("{} has no DE {element}", to.name());
                losses.push(Loss { element, always: true, why });
                continue;
            }
            let (source, target) = (from.field(element), to.field(element));
            carried.insert(element);
            let step = match source.same_wire(target) {
                false => Step::Rewrite,
                true if source.content == target.content
                    && (target.inner == 0 || from.composite(element) == to.composite(element)) =>
                {
                    Step::Copy
                }
                true => Step::CopyChecked,
            };
            if let Some(slot) = steps.get_mut(usize::from(element)) {
                *slot = step;
            }
            let inner = to.composite(element);
            let structured = inner.is_some() && inner != from.composite(element);
            let structured = structured.then(|| "only its inner structure".to_owned());
            if let Some(why) = narrower(source, target).or(structured) {
                losses.push(Loss { element, always: false, why });
            }
        }
        Self { steps, carried, losses }
    }

    /// Appends `message` to `out` in the dialect `to`, framed, with `header` before the MTI,
    /// leaving out the elements in `without` and writing the neutral `replaced` values in place
    /// of (or beside) what was received.
    ///
    /// # Errors
    ///
    /// The element that does not fit; nothing is then appended.
    pub fn carry(
        &self,
        message: &Message<'_>,
        to: &Dialect,
        header: impl FnOnce(&mut Vec<u8>),
        changes: &Changes<'_>,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), TranscodeError> {
        let start = to.begin_frame(out);
        header(out);
        let result = self.carry_body(message, to, changes, scratch, out);
        if let Err(error) = result {
            out.truncate(start);
            return Err(error);
        }
        to.finish_frame(out, start).map_err(|_| TranscodeError { element: 0, reason: Reason::Size })
    }

    fn carry_body(
        &self,
        message: &Message<'_>,
        to: &Dialect,
        changes: &Changes<'_>,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), TranscodeError> {
        let mut elements = message.present().and(&self.carried).without(&changes.without);
        for (element, _) in changes.replaced {
            elements.insert(*element);
        }
        encode::begin_body(to, out, changes.mti.unwrap_or(message.mti()), &elements);
        let third = elements.words()[2];
        let mut third_written = third == 0;
        for element in elements.iter() {
            if !third_written && element > THIRD_BITMAP_MARKER {
                out.extend_from_slice(&third.to_be_bytes());
                third_written = true;
            }
            let error = |reason| TranscodeError { element, reason };
            let target = to.field(element);
            if let Some((_, value)) = changes.replaced.iter().find(|(e, _)| *e == element) {
                value::write(target, value, out).map_err(error)?;
                continue;
            }
            match self.steps.get(usize::from(element)) {
                Some(Step::Copy) => out.extend_from_slice(message.raw(element).unwrap_or(&[])),
                Some(Step::CopyChecked) => {
                    let units = message.index.span(element).map_or(0, |span| span.units);
                    let body = message.value(element).unwrap_or(&[]);
                    target.check(body, units).map_err(error)?;
                    to.check_inner(target, body).map_err(error)?;
                    out.extend_from_slice(message.raw(element).unwrap_or(&[]));
                }
                _ => {
                    scratch.clear();
                    let units = message.index.span(element).map_or(0, |span| span.units);
                    let body = message.value(element).unwrap_or(&[]);
                    value::read(message.dialect.field(element), body, units, scratch);
                    value::fit(target, scratch).map_err(error)?;
                    let start = out.len();
                    value::write(target, scratch, out).map_err(error)?;
                    let length = if target.is_variable() { usize::from(target.size) } else { 0 };
                    let body = out.get(start + length..).unwrap_or(&[]);
                    to.check_inner(target, body).map_err(error)?;
                }
            }
        }
        Ok(())
    }
}

/// What the switch changes on the way.
#[derive(Debug, Default)]
pub struct Changes<'a> {
    /// The MTI written; `None` keeps the received one.
    pub mti: Option<Mti>,
    /// Elements left out.
    pub without: Bitmap,
    /// Elements written anew, in neutral form.
    pub replaced: &'a [(u8, &'a [u8])],
}

/// The MTI in the edition of the other side: only the first digit differs between editions.
pub fn mti_in_edition(mti: Mti, digit: u8) -> Mti {
    Mti::from_packed(mti.packed() & 0x0FFF | u16::from(digit) << 12).unwrap_or(mti)
}

fn narrower(source: &Field, target: &Field) -> Option<String> {
    let numeric = |field: &Field| field.content.is_numeric() || field.content == Content::TrackBcd;
    if value::form(source.content) != value::form(target.content) {
        return Some(
            "text on one side, bytes on the other: characters are carried as bytes".into(),
        );
    }
    if numeric(target) && !numeric(source) && !is_signed(source) {
        return Some("only digits can be carried".into());
    }
    if is_signed(source) != is_signed(target) {
        return Some("signed amount on one side only".into());
    }
    if source.units > target.units {
        return Some(format!("at most {} of {} can be carried", target.units, source.units));
    }
    if let Some(why) = fewer_characters(source.content, target.content) {
        return Some(why.to_owned());
    }
    let shorter = source.is_variable() || source.units < target.units;
    if shorter && !target.is_variable() && value::form(target.content) == Form::Bytes {
        return Some(format!("exactly {} bytes can be carried", target.units));
    }
    None
}

/// Texts of the same size may still differ in the characters they take.
fn fewer_characters(source: Content, target: Content) -> Option<&'static str> {
    let eight_bit = |content| matches!(content, Content::Ebcdic | Content::Latin1 | Content::Gbk);
    let is_digits = |content: Content| content.is_numeric() || content == Content::TrackBcd;
    match (source, target) {
        _ if source == target || value::form(target) == Form::Bytes => None,
        (Content::Gbk, _) | (_, Content::Gbk) if eight_bit(source) && eight_bit(target) => {
            Some("characters beyond ASCII are carried as other ones")
        }
        _ if eight_bit(target) => None,
        _ if eight_bit(source) => Some("only 7-bit characters can be carried"),
        (Content::Ascii, _) if !is_digits(target) => Some("only characters of its class"),
        (Content::Printable, Content::OfClass(_)) => Some("only characters of its class"),
        (Content::TrackBcd, _) if target.is_numeric() => Some("only digits can be carried"),
        (Content::OfClass(a), Content::OfClass(b)) if a & !b != 0 => {
            Some("only characters of its class")
        }
        _ => None,
    }
}

const fn is_signed(field: &Field) -> bool {
    matches!(field.content, Content::SignedAscii | Content::SignedBcd | Content::SignedEbcdic)
}
