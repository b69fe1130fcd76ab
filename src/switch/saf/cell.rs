//! Where an obligation is kept: a slab of cells, threaded by lists whose links are in the cells.
//!
//! A cell is on one queue at a time (ready, waiting, in flight, provisional) and at the same time
//! in the chains of its transaction and of its card and in the list by age. With the links inside
//! the cell, leaving any of them needs no search, and moving allocates nothing.

use crate::base::time::Instant;

use super::{Kind, Send};

/// No cell.
pub(super) const NONE: u32 = u32::MAX;

/// The lists a cell can be in at the same time.
pub(super) const QUEUE: usize = 0;
pub(super) const TRANSACTION: usize = 1;
pub(super) const CARD: usize = 2;
pub(super) const AGE: usize = 3;

/// One obligation and where it stands.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) id: u64,
    pub(super) kind: Kind,
    pub(super) transaction: u64,
    pub(super) card: u64,
    pub(super) message: Vec<u8>,
    pub(super) state: State,
    /// Counts obligations in the order they came: the order they are sent in.
    pub(super) number: u64,
    pub(super) added_at: Instant,
    /// Not before this is it sent. Of a copy under way: when it was.
    pub(super) due: Instant,
    /// The partner did not find it: when its late window ends. From then on it is asked again, and
    /// what it says of it is final.
    pub(super) late_until: Option<Instant>,
    /// It may have been sent, in this life or a former one.
    pub(super) may_be_sent: bool,
    /// The batch its last record is part of.
    pub(super) noted: u64,
    /// Copies sent in this life.
    pub(super) attempts: u32,
    /// Its original was approved late: "not found" is not true, or not true any more.
    pub(super) approved_late: bool,
    /// The partner says that it declined the original: there is nothing to send.
    pub(super) declined: bool,
    /// It was sent since its late window ended.
    pub(super) asked_again: bool,
    /// How often it was "not found" in spite of that.
    pub(super) not_found: u8,
    /// It was approved late and opened again: on the list of those, by age.
    pub(super) reopened: bool,
    links: [Link; 4],
}

/// Where an obligation stands, and thereby on which queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No obligation.
    Free,
    /// An older one of its transaction or card is unfinished: on no queue.
    Behind,
    /// May be sent.
    Ready,
    /// Waits for its time, in this slot of the wheel.
    Waiting(u16),
    /// A copy is under way.
    InFlight,
    /// The partner did not find it: waits for the end of its late window, in this slot of another
    /// wheel, and in no chain.
    Provisional(u16),
}

#[derive(Debug, Clone, Copy)]
struct Link {
    previous: u32,
    next: u32,
}

/// All cells of a lane.
#[derive(Debug, Default)]
pub(super) struct Cells {
    cells: Vec<Cell>,
    free: Vec<u32>,
}

impl Cells {
    /// A place for one more.
    pub(super) fn take(&mut self, cell: Cell) -> u32 {
        if let Some(place) = self.free.pop() {
            *self.of_mut(place) = cell;
            return place;
        }
        self.cells.push(cell);
        (self.cells.len() - 1) as u32
    }

    /// Frees a place; returns the buffer that was in it.
    pub(super) fn free(&mut self, place: u32) -> Vec<u8> {
        self.free.push(place);
        let cell = self.of_mut(place);
        cell.state = State::Free;
        std::mem::take(&mut cell.message)
    }

    /// The obligation `id`, if it is what lives at `place`.
    pub(super) fn at(&self, place: u32, id: u64) -> Option<&Cell> {
        let lives = |cell: &&Cell| cell.id == id && cell.state != State::Free;
        self.cells.get(place as usize).filter(lives)
    }

    /// All that live.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = (u32, &mut Cell)> {
        (0..).zip(&mut self.cells).filter(|(_, cell)| cell.state != State::Free)
    }

    pub(super) fn of(&self, place: u32) -> &Cell {
        &self.cells[place as usize]
    }

    pub(super) fn of_mut(&mut self, place: u32) -> &mut Cell {
        &mut self.cells[place as usize]
    }

    /// True if nothing stands before `place` in the chains it belongs to.
    pub(super) fn is_first(&self, place: u32) -> bool {
        let links = &self.of(place).links;
        links[TRANSACTION].previous == NONE && links[CARD].previous == NONE
    }

    /// What stands before `place` in a list it is in.
    pub(super) fn before<const LINE: usize>(&self, place: u32) -> u32 {
        self.of(place).links[LINE].previous
    }

    /// What stands behind `place` in a list it is in.
    pub(super) fn behind<const LINE: usize>(&self, place: u32) -> u32 {
        self.of(place).links[LINE].next
    }

    fn link<const LINE: usize>(&mut self, place: u32) -> &mut Link {
        &mut self.of_mut(place).links[LINE]
    }
}

impl Cell {
    /// A cell on no list.
    pub(super) fn new(id: u64, kind: Kind, transaction: u64, card: u64) -> Self {
        Self {
            id,
            kind,
            transaction,
            card,
            message: Vec::new(),
            state: State::Behind,
            number: 0,
            added_at: Instant::default(),
            due: Instant::default(),
            late_until: None,
            may_be_sent: false,
            noted: 0,
            attempts: 0,
            declined: false,
            asked_again: false,
            approved_late: false,
            not_found: 0,
            reopened: false,
            links: [Link { previous: NONE, next: NONE }; 4],
        }
    }

    /// What is sent of it, or put on record.
    pub(super) fn copy(&self, place: u32, repeat: bool) -> Send<'_> {
        let Self { id, kind, attempts: attempt, late_until, .. } = *self;
        Send { place, id, kind, repeat, message: &self.message, attempt, late_until }
    }
}

/// A list of cells by one of their links.
#[derive(Debug, Clone, Copy)]
pub(super) struct List<const LINE: usize> {
    head: u32,
    tail: u32,
}

impl<const LINE: usize> Default for List<LINE> {
    fn default() -> Self {
        Self { head: NONE, tail: NONE }
    }
}

impl<const LINE: usize> List<LINE> {
    /// The first, or [`NONE`].
    pub(super) const fn head(&self) -> u32 {
        self.head
    }

    /// The last, or [`NONE`].
    pub(super) const fn tail(&self) -> u32 {
        self.tail
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.head == NONE
    }

    pub(super) fn push_back(&mut self, cells: &mut Cells, place: u32) {
        self.insert_before(cells, place, NONE);
    }

    pub(super) fn push_front(&mut self, cells: &mut Cells, place: u32) {
        self.insert_before(cells, place, self.head);
    }

    /// Puts it where its age says. Walks past those that are older.
    pub(super) fn insert_by_age(&mut self, cells: &mut Cells, place: u32) {
        let number = cells.of(place).number;
        let mut next = self.head;
        while next != NONE && cells.of(next).number < number {
            next = cells.behind::<LINE>(next);
        }
        self.insert_before(cells, place, next);
    }

    pub(super) fn remove(&mut self, cells: &mut Cells, place: u32) {
        let Link { previous, next } = *cells.link::<LINE>(place);
        match previous {
            NONE => self.head = next,
            previous => cells.link::<LINE>(previous).next = next,
        }
        match next {
            NONE => self.tail = previous,
            next => cells.link::<LINE>(next).previous = previous,
        }
        *cells.link::<LINE>(place) = Link { previous: NONE, next: NONE };
    }

    fn insert_before(&mut self, cells: &mut Cells, place: u32, next: u32) {
        let previous = if next == NONE { self.tail } else { cells.before::<LINE>(next) };
        *cells.link::<LINE>(place) = Link { previous, next };
        match previous {
            NONE => self.head = place,
            previous => cells.link::<LINE>(previous).next = place,
        }
        match next {
            NONE => self.tail = place,
            next => cells.link::<LINE>(next).previous = place,
        }
    }
}

// What `limits::SAF_ENTRIES_MAX` counts with.
const _: () = assert!(size_of::<Cell>() <= 144);
