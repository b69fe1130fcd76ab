//! What is remembered of one key: a sliding window for each rule that asks about it, in one cache
//! line.
//!
//! A window is a ring of cells, each the count or the sum of one stretch of time. With `n` cells a
//! stretch is a `n - 1`th part of the window, rounded up, so that the oldest cell leaves when all
//! of it is too old, and never before: what is counted is what happened in the last window, and
//! perhaps in one stretch before it. So the error has a bound, and it is never on the lenient side.
//!
//! Why not the moments themselves: a key would cost as much as its limit, and whoever attacks sets
//! the price. Why not two counters with a weight: that guesses how the older half was spread.

/// What is remembered of a key: 56 bytes, so that it is a cache line together with its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Milliseconds of the newest event (40 bits), how long it matters in units of 64 seconds (16
    /// bits), and for how long a window that is full stays so, see [`Span`] (8 bits).
    head: u64,
    pub(super) words: [u64; WORDS],
}

const _: () = assert!(size_of::<(u64, Entry)>() == 64);

/// A ring of cells within the words of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Milliseconds of one cell.
    pub(super) cell_ms: u64,
    by_cell: Divisor,
    by_cells: Divisor,
    /// Its first word.
    pub(super) at: u8,
    /// How many words it has.
    pub(super) words: u8,
    /// How wide its cells are.
    pub(super) width: Width,
    /// Most that may be in it.
    pub(super) limit: u64,
    /// True if amounts are added up, false if each event counts for one.
    pub(super) sums: bool,
}

/// How wide the cells of a window are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// 16 bits, four to a word: counts up to [`NARROW_MAX`].
    Narrow,
    /// 64 bits: sums, and counts above that.
    Wide,
}

/// One event, as the windows of a key see it. Masks have a bit for each window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Take {
    /// When.
    pub(super) now_ms: u64,
    /// Minor units.
    pub(super) amount: u64,
    /// The windows it belongs in.
    pub(super) windows: u8,
    /// Of these, those whose rule declines.
    pub(super) acting: u8,
    /// Of these, those that count what is declined.
    pub(super) attempts: u8,
}

/// What came of a [`Take`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Took {
    /// The windows that have no room for it.
    pub(super) over: u8,
    /// The windows it was put in.
    pub(super) into: u8,
}

/// Words of an entry.
pub(super) const WORDS: usize = 6;

/// Most windows of one entry: a narrow one has at least two words.
pub(super) const WINDOWS_MAX: usize = 3;

/// Highest limit of a narrow window: below what a cell holds, which is not exceeded before the
/// limit is.
pub(super) const NARROW_MAX: u64 = 60_000;

/// Longest window: 31 days.
pub(super) const WINDOW_MS_MAX: u64 = 31 * 86_400_000;

impl Window {
    /// A window of at least `window_ms` over `words` words from `at` on.
    pub(super) fn new(window_ms: u64, limit: u64, sums: bool, at: u8, words: u8) -> Self {
        let width = Self::width(limit, sums);
        let cells = u64::from(words) * width.per_word();
        debug_assert!(cells >= 2 && usize::from(at + words) <= WORDS, "it fits");
        let cell_ms = window_ms.max(1).div_ceil(cells - 1);
        let (by_cell, by_cells) = (Divisor::new(cell_ms), Divisor::new(cells));
        Self { cell_ms, by_cell, by_cells, at, words, width, limit, sums }
    }

    /// How wide the cells for such a limit are.
    pub(super) const fn width(limit: u64, sums: bool) -> Width {
        if sums || limit > NARROW_MAX { Width::Wide } else { Width::Narrow }
    }

    /// Fewest words of such a window.
    pub(super) const fn words_min(limit: u64, sums: bool) -> u8 {
        match Self::width(limit, sums) {
            Width::Narrow => 2,
            Width::Wide => 3,
        }
    }

    /// The longest time that an event may count for.
    pub(super) const fn longest_ms(&self) -> u64 {
        self.cell_ms * self.cells()
    }

    /// True if its cells have 64 bits.
    pub(super) const fn is_wide(&self) -> bool {
        matches!(self.width, Width::Wide)
    }

    const fn cells(&self) -> u64 {
        self.words as u64 * self.width.per_word()
    }

    /// Its words.
    const fn range(&self) -> std::ops::Range<usize> {
        self.at as usize..self.at as usize + self.words as usize
    }

    /// The number of the stretch of time in which `ms` lies.
    const fn tick(&self, ms: u64) -> u64 {
        self.by_cell.quotient(ms)
    }

    const fn weight(&self, amount: u64) -> u64 {
        if self.sums { amount } else { 1 }
    }
}

impl Width {
    const fn per_word(self) -> u64 {
        match self {
            Self::Narrow => 4,
            Self::Wide => 1,
        }
    }
}

impl Entry {
    /// An entry in which nothing has happened; what happens in it matters for `longest_ms`.
    pub(super) const fn new(now_ms: u64, longest_ms: u64) -> Self {
        let span = longest_ms.div_ceil(SPAN_MS);
        let span = if span > SPAN_MAX { SPAN_MAX } else { span };
        Self { head: (now_ms & MS_MAX) | span << MS_BITS, words: [0; WORDS] }
    }

    /// When something happened last.
    pub(super) const fn newest_ms(&self) -> u64 {
        self.head & MS_MAX
    }

    /// True if nothing that happened matters any more.
    pub(super) const fn is_over(&self, now_ms: u64) -> bool {
        let span = self.head >> MS_BITS & SPAN_MAX;
        now_ms > self.newest_ms() + span * SPAN_MS
    }

    /// True if a window is full, or said no to what was asked last: this entry may not be
    /// forgotten.
    pub(super) const fn is_at_limit(&self, now_ms: u64) -> bool {
        let full = Span((self.head >> FULL_AT) as u8);
        full.0 != 0 && now_ms <= self.newest_ms() + full.ms()
    }

    /// As it is kept.
    #[inline]
    pub(super) const fn words(&self) -> [u64; WORDS + 1] {
        let [a, b, c, d, e, f] = self.words;
        [self.head, a, b, c, d, e, f]
    }

    /// As it was kept.
    #[inline]
    pub(super) const fn from_words([head, words @ ..]: [u64; WORDS + 1]) -> Self {
        Self { head, words }
    }

    /// Puts the event in, if there is room for it in all windows that act.
    #[inline]
    pub(super) fn take(&mut self, windows: &[Window], take: &Take) -> Took {
        let now_ms = self.advance(windows, take.now_ms);
        let (mut over, mut full_ms) = (0, 0);
        let mut totals = [0; WINDOWS_MAX];
        for (place, (window, total)) in windows.iter().zip(&mut totals).enumerate() {
            *total = self.total(window);
            let after = total.saturating_add(window.weight(take.amount));
            over |= u8::from(after > window.limit) << place;
        }
        over &= take.windows;
        let into = match over & take.acting {
            0 => take.windows,
            _ => take.windows & take.attempts,
        };
        for (place, (window, mut total)) in windows.iter().zip(totals).enumerate() {
            if into >> place & 1 == 1 {
                self.add(window, window.tick(now_ms), window.weight(take.amount));
                total = total.saturating_add(window.weight(take.amount));
            }
            if over >> place & 1 == 1 || total >= window.limit && total > 0 {
                full_ms = full_ms.max(window.longest_ms());
            }
        }
        self.keep_for(full_ms);
        Took { over, into }
    }

    /// For so long this entry may not be forgotten.
    #[inline]
    pub(super) fn keep_for(&mut self, full_ms: u64) {
        // Most may be.
        let full = if full_ms == 0 { 0 } else { Span::of(full_ms).0 };
        self.head = self.head & !(0xFF << FULL_AT) | u64::from(full) << FULL_AT;
    }

    /// Takes out again what was put in at `at_ms`, as far as it still counts.
    pub(super) fn give_back(&mut self, windows: &[Window], at_ms: u64, into: u8, amount: u64) {
        let newest_ms = self.newest_ms();
        for (place, window) in windows.iter().enumerate() {
            let (tick, newest) = (window.tick(at_ms), window.tick(newest_ms));
            if into >> place & 1 == 1 && tick <= newest && newest - tick < window.cells() {
                self.subtract(window, tick, window.weight(amount));
            }
        }
    }

    /// What is in a window.
    #[inline]
    pub(super) fn total(&self, window: &Window) -> u64 {
        let words = self.words.get(window.range()).unwrap_or(&[]);
        match window.width {
            Width::Narrow => lanes(words),
            Width::Wide => words.iter().fold(0, |total: u64, word| total.saturating_add(*word)),
        }
    }

    /// Lets time pass up to `now_ms`: cells that are too old become new ones. A clock that went
    /// back stands still.
    #[inline]
    pub(super) fn advance(&mut self, windows: &[Window], now_ms: u64) -> u64 {
        let newest_ms = self.newest_ms();
        if now_ms <= newest_ms {
            return newest_ms;
        }
        for window in windows {
            let new = window.tick(now_ms);
            // Nothing to do for what comes soon after.
            if newest_ms >= new * window.cell_ms {
                continue;
            }
            let old = window.tick(newest_ms);
            if new - old >= window.cells() {
                self.words.get_mut(window.range()).unwrap_or(&mut []).fill(0);
                continue;
            }
            for tick in old + 1..=new {
                self.clear(window, tick);
            }
        }
        self.head = self.head & !MS_MAX | now_ms & MS_MAX;
        now_ms
    }

    fn clear(&mut self, window: &Window, tick: u64) {
        let (word, shift) = self.cell(window, tick);
        match window.width {
            Width::Narrow => *word &= !(CELL_MAX << shift),
            Width::Wide => *word = 0,
        }
    }

    #[inline]
    fn add(&mut self, window: &Window, tick: u64, weight: u64) {
        let (word, shift) = self.cell(window, tick);
        match window.width {
            Width::Narrow if *word >> shift & CELL_MAX < CELL_MAX => *word += 1 << shift,
            Width::Narrow => {}
            Width::Wide => *word = word.saturating_add(weight),
        }
    }

    /// What is too much to be counted is not counted back either.
    fn subtract(&mut self, window: &Window, tick: u64, weight: u64) {
        let (word, shift) = self.cell(window, tick);
        let cell = *word >> shift & CELL_MAX;
        match window.width {
            Width::Narrow if cell > 0 && cell < CELL_MAX => *word -= 1 << shift,
            Width::Narrow => {}
            Width::Wide if *word < u64::MAX => *word = word.saturating_sub(weight),
            Width::Wide => {}
        }
    }

    /// The word of a cell, and where in it the cell begins.
    #[inline]
    fn cell(&mut self, window: &Window, tick: u64) -> (&mut u64, u32) {
        let cell = tick - window.by_cells.quotient(tick) * window.cells();
        let per_word = window.width.per_word();
        let word = usize::from(window.at) + (cell / per_word) as usize;
        (&mut self.words[word % WORDS], (cell % per_word * 16) as u32)
    }
}

/// Divides by a number that is known long before: a product instead of a division.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Divisor {
    by: u64,
    inverse: u64,
}

impl Divisor {
    const fn new(by: u64) -> Self {
        Self { by, inverse: u64::MAX / by }
    }

    /// The product is the quotient, or one less.
    #[inline]
    const fn quotient(self, number: u64) -> u64 {
        let product = ((number as u128 * self.inverse as u128) >> 64) as u64;
        product + (number - product * self.by >= self.by) as u64
    }
}

/// A time in eight bits, never less than it is: three bits of it, and how far they are shifted.
#[derive(Debug, Clone, Copy)]
struct Span(u8);

impl Span {
    const fn of(ms: u64) -> Self {
        let shift = (u64::BITS - ms.leading_zeros()).saturating_sub(3);
        match ms.div_ceil(1 << shift) {
            // Rounded up to one bit more.
            8 => Self(((shift + 1) << 3 | 4) as u8),
            bits => Self((shift << 3) as u8 | bits as u8),
        }
    }

    const fn ms(self) -> u64 {
        (self.0 as u64 & 7) << (self.0 >> 3)
    }
}

/// The sum of the counts in these words, four in each; no more words than an entry has.
fn lanes(words: &[u64]) -> u64 {
    let pair = |word: &u64| (word & 0x0000_FFFF_0000_FFFF) + (word >> 16 & 0x0000_FFFF_0000_FFFF);
    let pairs: u64 = words.iter().map(pair).sum();
    (pairs & 0xFFFF_FFFF) + (pairs >> 32)
}

const MS_BITS: u32 = 40;
const MS_MAX: u64 = (1 << MS_BITS) - 1;
const SPAN_MS: u64 = 64_000;
const SPAN_MAX: u64 = 0xFFFF;
const FULL_AT: u32 = 56;
const CELL_MAX: u64 = 0xFFFF;

// The longest window of three cells, which may count for half as long again, can be said.
const _: () = assert!(WINDOW_MS_MAX * 3 / 2 / SPAN_MS < SPAN_MAX);

#[cfg(test)]
mod tests;
