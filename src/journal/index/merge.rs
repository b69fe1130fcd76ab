//! Runs of about one length become one, a bounded number of rows at a time.

use std::sync::Arc;

use super::IndexError;
use super::row::Row;
use super::run::{Draft, Extent, Run, Scan};
use crate::journal::files::Files;

/// Neighbouring runs on their way into one.
#[derive(Debug)]
pub(super) struct Merge {
    /// What comes of it.
    pub(super) extent: Extent,
    /// The next row of each run that has one.
    heads: Vec<Row>,
    scans: Vec<Scan>,
    last: Option<Row>,
    draft: Draft,
}

impl Merge {
    /// Begins with runs that follow each other, of which there are some.
    pub(super) fn new(files: &dyn Files, runs: &[Arc<Run>]) -> Result<Option<Self>, IndexError> {
        let (Some(oldest), Some(newest)) = (runs.first(), runs.last()) else { return Ok(None) };
        let (oldest, newest) = (oldest.extent, newest.extent);
        let extent = Extent { last: newest.last, covered: newest.covered, ..oldest };
        let draft = Draft::new(files, extent.name())?;
        let (mut heads, mut scans) = (Vec::new(), Vec::new());
        for run in runs {
            let mut scan = Scan::new(Arc::clone(run));
            if let Some(row) = scan.next(files)? {
                heads.push(row);
                scans.push(scan);
            }
        }
        Ok(Some(Self { extent, heads, scans, last: None, draft }))
    }

    /// Moves up to `rows` rows on, except those in segments before `oldest`; true at the end.
    pub(super) fn step(
        &mut self,
        files: &dyn Files,
        rows: usize,
        oldest: u64,
    ) -> Result<bool, IndexError> {
        for _ in 0..rows {
            let Some((at, row)) = least(&self.heads) else { return Ok(true) };
            match self.scans[at].next(files)? {
                Some(next) => self.heads[at] = next,
                None => {
                    self.heads.swap_remove(at);
                    self.scans.swap_remove(at);
                }
            }
            // What was read from the journal twice is in two of them.
            if row.segment() >= oldest && self.last != Some(row) {
                self.last = Some(row);
                self.draft.push(row)?;
            }
        }
        Ok(self.heads.is_empty())
    }

    /// The one run, durable.
    pub(super) fn finish(self, files: &dyn Files) -> Result<Run, IndexError> {
        self.draft.finish(files, self.extent)
    }
}

/// The least of a few rows, and where it stands.
fn least(rows: &[Row]) -> Option<(usize, Row)> {
    let (mut at, mut least) = (0, *rows.first()?);
    for (place, row) in rows.iter().enumerate().skip(1) {
        if *row < least {
            (at, least) = (place, *row);
        }
    }
    Some((at, least))
}
