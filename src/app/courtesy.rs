//! Letting others run in the middle of long work.
//!
//! Reading a million merchants keeps a core busy for most of a second. A thread of low priority
//! still keeps it for a few milliseconds at a time, and a worker that is woken meanwhile waits for
//! them. So whoever works through many rows offers the core to others after each handful; nobody
//! takes it where every core is free.

/// Counts rows, and offers the core now and then.
#[derive(Debug, Default)]
pub(super) struct Courtesy {
    rows: u32,
}

impl Courtesy {
    /// One more row.
    #[inline]
    pub(super) fn row(&mut self) {
        self.rows = self.rows.wrapping_add(1);
        if self.rows.is_multiple_of(ROWS) {
            std::thread::yield_now();
        }
    }
}

/// Rows between two offers: some tens of microseconds.
const ROWS: u32 = 128;
