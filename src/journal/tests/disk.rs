//! A disk in memory that can lose power, fail and fill up.
//!
//! Each file has two planes: what reads see, and what the disk has. A power cut leaves, of every
//! sector that differs, the one or the other; and of the changes to names since they were synced,
//! the first few. After a failed sync the system believes that all is written, as Linux does.
//!
//! It needs nothing but the two traits, from the module above: another test may take the file in.

use std::any::Any;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
#[expect(clippy::disallowed_types, reason = "two threads write on the same disk")]
use std::sync::Mutex;
use std::sync::{Arc, MutexGuard};

use super::{File, Files};
use crate::base::map::mixed;

/// What goes wrong, and with which operation, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process ends within it, or the machine: nothing works after it.
    Stop(u64),
    /// The n-th sync of a file fails, and reports it once.
    Sync(u64),
    /// The n-th write fails after half of it.
    Write(u64),
}

/// A disk; clones are the same disk.
#[derive(Debug, Clone)]
#[expect(clippy::disallowed_types, reason = "two threads write on the same disk")]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default, Clone)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes since the names were synced.
    changes: Vec<Change>,
    fault: Option<Fault>,
    operations: u64,
    writes: u64,
    syncs: u64,
    is_stopped: bool,
    /// Room for files, in bytes.
    room: Option<u64>,
    /// A sync of a file after one of its syncs failed.
    synced_again: bool,
}

#[derive(Debug, Clone, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// The system believes that the planes agree here, up to the next write.
    believed: bool,
    has_failed: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Link(String, usize),
    Unlink(String),
}

const SECTOR: usize = 512;

impl Disk {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn fail(&self, fault: Fault) {
        let mut state = self.state();
        state.fault = Some(fault);
        (state.operations, state.writes, state.syncs) = (0, 0, 0);
    }

    /// Operations since the fault was set.
    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// From now on, all files together may have so many bytes.
    pub(crate) fn set_room(&self, bytes: Option<u64>) {
        self.state().room = bytes;
    }

    pub(crate) fn used(&self) -> u64 {
        self.state().used()
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.state().is_stopped
    }

    pub(crate) fn synced_again(&self) -> bool {
        self.state().synced_again
    }

    /// The process was killed: what the system has stays.
    pub(crate) fn restart(&self) {
        let mut state = self.state();
        state.fault = None;
        state.is_stopped = false;
        for inode in &mut state.inodes {
            inode.has_failed = false;
        }
    }

    /// The power was cut: `seed` decides what the disk has.
    pub(crate) fn power_cut(&self, seed: u64) {
        self.restart();
        let mut state = self.state();
        let mut dice = Dice(seed);
        let kept = dice.below(state.changes.len() as u64 + 1) as usize;
        let changes: Vec<Change> = state.changes.drain(..).collect();
        for change in changes.into_iter().take(kept) {
            apply(&mut state.durable_names, change);
        }
        state.names = state.durable_names.clone();
        for inode in &mut state.inodes {
            inode.tear(&mut dice);
        }
    }

    /// What the disk shows.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        let content =
            |(name, inode): (&String, &usize)| (name.clone(), state.inodes[*inode].live.clone());
        state.names.iter().map(content).collect()
    }

    /// A disk with these files, all durable.
    pub(crate) fn with(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let disk = Self::new();
        let mut state = disk.state();
        for (name, content) in files {
            let place = state.inodes.len();
            let (live, durable) = (content.clone(), content.clone());
            state.inodes.push(Inode { live, durable, ..Inode::default() });
            state.names.insert(name.clone(), place);
        }
        state.durable_names = state.names.clone();
        drop(state);
        disk
    }

    /// Another disk in the same state.
    #[expect(clippy::disallowed_types, reason = "two threads write on the same disk")]
    pub(crate) fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().clone())))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it has the disk")
    }

    /// Counts an operation that changes something; true if the process ends within it.
    fn count(&self, state: &mut State) -> io::Result<bool> {
        if state.is_stopped {
            return Err(io::Error::other("stopped"));
        }
        state.operations += 1;
        state.is_stopped = state.fault == Some(Fault::Stop(state.operations));
        Ok(state.is_stopped)
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.state();
        // It happened, but nobody was told.
        let stops = self.count(&mut state)?;
        apply(&mut state.names, change.clone());
        state.changes.push(change);
        if stops { Err(io::Error::other("stopped")) } else { Ok(()) }
    }

    fn handle(&self, inode: usize) -> Box<dyn File> {
        Box::new(Open { disk: self.clone(), inode })
    }
}

fn apply(names: &mut BTreeMap<String, usize>, change: Change) {
    match change {
        Change::Link(name, inode) => {
            names.retain(|_, other| *other != inode);
            names.insert(name, inode);
        }
        Change::Unlink(name) => drop(names.remove(&name)),
    }
}

impl State {
    fn used(&self) -> u64 {
        self.names.values().map(|inode| self.inodes[*inode].live.len() as u64).sum()
    }
}

impl Inode {
    fn tear(&mut self, dice: &mut Dice) {
        let (mut torn, live) = (self.durable.clone(), &self.live);
        let longer = if dice.below(2) == 0 { live.len() } else { torn.len() };
        torn.resize(longer, 0);
        for (place, sector) in torn.chunks_mut(SECTOR).enumerate() {
            let from = place * SECTOR;
            let new = live.get(from..(from + sector.len()).min(live.len())).unwrap_or(&[]);
            if dice.below(2) == 0 {
                sector[..new.len()].copy_from_slice(new);
            }
        }
        self.live = torn.clone();
        self.durable = torn;
        self.believed = false;
    }
}

impl Files for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        let inode = self.state().names.get(name).copied();
        inode.map(|inode| self.handle(inode)).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let inode = {
            let mut state = self.state();
            state.inodes.push(Inode::default());
            state.inodes.len() - 1
        };
        self.change(Change::Link(name.to_owned(), inode))?;
        Ok(self.handle(inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let inode = self.state().names.get(from).copied().ok_or(ErrorKind::NotFound)?;
        self.change(Change::Link(to.to_owned(), inode))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(Change::Unlink(name.to_owned()))
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.state();
        if self.count(&mut state)? {
            return Err(io::Error::other("stopped"));
        }
        state.changes.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send + Sync>> {
        Ok(Box::new(()))
    }

    fn place(&self, name: &str) -> String {
        name.to_owned()
    }
}

#[derive(Debug)]
struct Open {
    disk: Disk,
    inode: usize,
}

impl File for Open {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.state().inodes[self.inode].live.len() as u64)
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.state();
        let live = state.inodes[self.inode].live.get(offset as usize..).unwrap_or(&[]);
        let count = live.len().min(bytes.len());
        bytes[..count].copy_from_slice(&live[..count]);
        Ok(count)
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let stops = self.disk.count(&mut state)?;
        state.writes += 1;
        let fails = state.fault == Some(Fault::Write(state.writes));
        let bytes = if stops || fails { &bytes[..bytes.len() / 2] } else { bytes };
        let inode = &mut state.inodes[self.inode];
        let end = offset as usize + bytes.len();
        inode.live.resize(inode.live.len().max(end), 0);
        inode.live[offset as usize..end].copy_from_slice(bytes);
        inode.believed = false;
        if stops || fails { Err(io::Error::other("written in part")) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        if self.disk.count(&mut state)? {
            return Err(io::Error::other("stopped"));
        }
        state.syncs += 1;
        let fails = state.fault == Some(Fault::Sync(state.syncs));
        state.synced_again |= state.inodes[self.inode].has_failed;
        let inode = &mut state.inodes[self.inode];
        if fails {
            (inode.believed, inode.has_failed) = (true, true);
            return Err(io::Error::other("not written"));
        }
        if !inode.believed {
            inode.durable = inode.live.clone();
        }
        Ok(())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        if self.disk.count(&mut state)? {
            return Err(io::Error::other("stopped"));
        }
        if state.room.is_some_and(|room| state.used() + bytes > room) {
            return Err(ErrorKind::StorageFull.into());
        }
        state.inodes[self.inode].live.resize(bytes as usize, 0);
        Ok(())
    }

    fn fill(&self, bytes: u64) -> io::Result<()> {
        self.write_all_at(0, &vec![0; bytes as usize])?;
        self.sync()
    }

    fn shorten(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        if self.disk.count(&mut state)? {
            return Err(io::Error::other("stopped"));
        }
        state.inodes[self.inode].live.resize(bytes as usize, 0);
        Ok(())
    }
}

/// Numbers that look random (SplitMix64).
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let number = mixed(self.0);
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        number % bound
    }
}
