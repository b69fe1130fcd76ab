//! Message shapes seen before: the walk over them, worked out once.
//!
//! A fleet sends few shapes: the same elements over and over. For a bitmap that has been seen, all
//! that the general walk decides element by element is known beforehand: which elements of fixed
//! size stand side by side, where each of them stands within such a block, and which bytes of the
//! block obey which rule. What is left is one bounds check and a few word checks a block, one
//! addition an element, and the elements whose length is in the message.
//!
//! A plan answers only yes: a message it does not take is walked again by the general walk, which
//! says what is wrong. So a plan may refuse what that walk accepts (an F as filler), never the
//! other way round; the tests hold both against each other.

use super::bitmap::Bitmap;
use super::composite::Composite;
use super::dialect::Dialect;
use super::field::{Content, Field, Run, Shape};
use super::skeleton::Skeletons;
use super::span::Span;

/// The shapes one decoder has met lately.
#[derive(Debug, Clone)]
pub(super) struct Plans {
    slots: Vec<Plan>,
}

/// How messages with one bitmap are walked.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    /// Whose messages, and which elements.
    key: (u64, [u64; 2]),
    /// False until the shape has been met twice: one stranger does not drive out a regular.
    ready: bool,
    steps: Vec<Step>,
    marks: Vec<Mark>,
    checks: Vec<Check>,
}

/// A piece of a message.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Elements of fixed size, side by side.
    Block { bytes: u16, marks: u16, checks: u16 },
    /// One element that is looked at by itself.
    Single(u8),
}

/// Where an element stands, counted from the beginning of its block.
#[derive(Debug, Clone, Copy)]
struct Mark {
    element: u8,
    span: Span,
}

/// What holds of some bytes of a block.
#[derive(Debug, Clone, Copy)]
enum Check {
    Rule {
        run: Run,
        start: u16,
        end: u16,
    },
    /// The filler of an odd number of packed digits stands in the high nibble of this byte.
    High {
        at: u16,
        fillers: u16,
    },
    /// The same in the low nibble.
    Low {
        at: u16,
        fillers: u16,
    },
}

impl Default for Plans {
    fn default() -> Self {
        Self { slots: vec![Plan::default(); PLANS_MAX] }
    }
}

impl Plans {
    /// The plan for messages of `dialect` with the elements `words`, if the shape is known; notes
    /// the shape if it is not.
    #[inline]
    pub(super) fn of(&mut self, dialect: &Dialect, words: [u64; 2]) -> Option<&Plan> {
        let hash =
            (words[0] ^ words[1].rotate_left(32) ^ dialect.id).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let plan = self.slots.get_mut((hash >> 58) as usize % PLANS_MAX)?;
        let key = (dialect.id, words);
        if plan.key != key {
            plan.key = key;
            plan.ready = false;
            return None;
        }
        if !plan.ready {
            plan.build(dialect, words);
        }
        plan.ready.then_some(plan)
    }
}

impl Plan {
    /// Walks the elements of `message` from `at` on and notes in `spans` where they stand. `None`
    /// if the message is not sound, else whether it holds EMV account data.
    #[inline]
    pub(super) fn walk(
        &self,
        dialect: &Dialect,
        message: &[u8],
        mut at: usize,
        spans: &mut [Span],
        skeletons: &mut Skeletons,
    ) -> Option<bool> {
        let (mut marks, mut checks) = (self.marks.as_slice(), self.checks.as_slice());
        let mut accounts = false;
        for step in &self.steps {
            match *step {
                Step::Block { bytes, marks: marks_count, checks: checks_count } => {
                    let block = message.get(at..at.wrapping_add(usize::from(bytes)))?;
                    let (mine, rest) = marks.split_at_checked(usize::from(marks_count))?;
                    marks = rest;
                    for mark in mine {
                        *spans.get_mut(usize::from(mark.element))? = mark.span.moved(at as u16);
                    }
                    let (mine, rest) = checks.split_at_checked(usize::from(checks_count))?;
                    checks = rest;
                    if !mine.iter().all(|check| check.holds(block)) {
                        return None;
                    }
                    at = at.wrapping_add(usize::from(bytes));
                }
                Step::Single(element) => {
                    let field = dialect.fields.get(usize::from(element))?;
                    let span = single(message, at, field)?;
                    let value = message.get(usize::from(span.value)..usize::from(span.end))?;
                    field.check(value, span.units).ok()?;
                    accounts |= match dialect.composite_of(field) {
                        Some(Composite::Ber(rules)) if field.content == Content::Bytes => {
                            let key = dialect.id << 8 | u64::from(field.inner);
                            skeletons.check(value, rules, key).ok()?
                        }
                        Some(_) => dialect.check_inner(field, value).ok()?,
                        None => false,
                    };
                    *spans.get_mut(usize::from(element))? = span;
                    at = usize::from(span.end);
                }
            }
        }
        (at == message.len()).then_some(accounts)
    }

    fn build(&mut self, dialect: &Dialect, words: [u64; 2]) {
        self.steps.clear();
        self.marks.clear();
        self.checks.clear();
        let elements = Bitmap::from_words([words[0], words[1], 0]);
        if elements.is_empty() || elements.iter().any(|element| !dialect.has(element)) {
            return;
        }
        for element in elements.iter() {
            let field = dialect.field(element);
            if field.shape != Shape::Fixed || field.inner != 0 || !self.append(element, field) {
                self.steps.push(Step::Single(element));
            }
        }
        self.ready = true;
    }

    /// Appends an element of fixed size to the block at the end, or begins one. False if nothing
    /// but a look at the element itself can prove it.
    fn append(&mut self, element: u8, field: &Field) -> bool {
        if field.run == Run::Alone && field.content != Content::Bytes {
            return false;
        }
        if !matches!(self.steps.last(), Some(Step::Block { .. })) {
            self.steps.push(Step::Block { bytes: 0, marks: 0, checks: 0 });
        }
        let Some(Step::Block { bytes, marks, checks }) = self.steps.last_mut() else {
            return false;
        };
        let (start, end) = (*bytes, bytes.saturating_add(field.size));
        let span = Span { start, value: start, end, units: field.units };
        self.marks.push(Mark { element, span });
        (*bytes, *marks) = (end, *marks + 1);
        let grows = *checks > 0;
        match self.checks.last_mut().filter(|_| grows) {
            Some(Check::Rule { run, end: last, .. }) if *run == field.run && *last == start => {
                *last = end;
            }
            _ if field.run != Run::Alone => {
                self.checks.push(Check::Rule { run: field.run, start, end });
                *checks += 1;
            }
            _ => {}
        }
        if field.run == Run::Packed && field.units % 2 == 1 && end > start {
            let fillers = field.fillers;
            let check = match field.side {
                super::spec::Side::Left => Check::High { at: start, fillers },
                super::spec::Side::Right => Check::Low { at: end - 1, fillers },
            };
            // In front of the rule, so that the rule can go on growing.
            let place = self.checks.len() - 1;
            self.checks.insert(place, check);
            *checks += 1;
        }
        true
    }
}

impl Check {
    #[inline(always)]
    fn holds(&self, block: &[u8]) -> bool {
        match *self {
            Self::Rule { run, start, end } => block
                .get(usize::from(start)..usize::from(end))
                .is_some_and(|bytes| run.holds(bytes)),
            Self::High { at, fillers } => {
                block.get(usize::from(at)).is_some_and(|byte| fillers >> (byte >> 4) & 1 == 1)
            }
            Self::Low { at, fillers } => {
                block.get(usize::from(at)).is_some_and(|byte| fillers >> (byte & 15) & 1 == 1)
            }
        }
    }
}

/// Where an element that stands at `at` ends; `None` if it is too long or its length is damaged.
#[inline(always)]
fn single(message: &[u8], at: usize, field: &Field) -> Option<Span> {
    let (mut value, mut units, mut bytes) = (at, field.units, usize::from(field.size));
    if field.shape != Shape::Fixed {
        value = at.wrapping_add(bytes);
        let length = message.get(at..value)?;
        units = match (field.shape, length) {
            (Shape::LengthBcdEven, [one]) if one & 15 < 10 && *one < 0xA0 => {
                u16::from(one >> 4) * 10 + u16::from(one & 15)
            }
            (Shape::LengthBcd, [high, low]) if *high < 10 && low & 15 < 10 && *low < 0xA0 => {
                u16::from(*high) * 100 + u16::from(low >> 4) * 10 + u16::from(low & 15)
            }
            _ => field.length(length).ok()?,
        };
        if units > field.units || field.counts_bytes {
            return None;
        }
        bytes = usize::from(field.bytes_of(units));
    }
    let end = value.wrapping_add(bytes);
    if end > message.len() {
        return None;
    }
    Some(Span { start: at as u16, value: value as u16, end: end as u16, units })
}

/// Shapes kept. A power of two well above what one worker's links send.
const PLANS_MAX: usize = 64;

const _: () = assert!(PLANS_MAX.is_power_of_two() && PLANS_MAX <= 64);
