//! Batched input and output: one read takes all there is, one write sends all that is due.
//!
//! A `Source` reads into a buffer shared by all connections of the thread and keeps only the
//! torn end of a batch; a `Sink` collects frames until the batch is over. There is no task,
//! channel, timer or allocation per message, because calls are dear and bytes are free: a task
//! and a write per message cost ten times as much. Writers never wait for each other: what the
//! kernel does not take now goes out when the flush task is told that there is room.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

use crate::frame::{self, FRAME_BYTES_MAX};

/// A single-threaded runtime that asks for new events only after everything ready has run, so
/// that one flush serves all connections of a turn.
pub(crate) fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        .event_interval(TASKS_PER_TURN)
        .build_local(LocalOptions::default())
}

/// The reading side of a connection.
pub(crate) struct Source {
    stream: OwnedReadHalf,
    /// The beginning of a frame whose end has not arrived.
    torn: Vec<u8>,
}

impl Source {
    /// Reads once and shows every whole frame to `each`. Ready with the number of bytes read, 0
    /// at the end of the stream.
    ///
    /// `scratch` is lent for the call and must hold at least [`SCRATCH_BYTES`]; a read that does
    /// not fill it tells the runtime that the socket is empty, which saves the read that would
    /// have said so.
    #[inline]
    pub(crate) fn poll_frames(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        mut each: impl FnMut(&mut [u8]),
    ) -> Poll<io::Result<usize>> {
        let torn = self.torn.len();
        scratch[..torn].copy_from_slice(&self.torn);
        let mut room = ReadBuf::new(&mut scratch[torn..]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room))?;
        let read = room.filled().len();
        let filled = &mut scratch[..torn + read];
        let mut at = 0;
        while let Some(size) = frame::whole(filled, at) {
            each(&mut filled[at..at + size]);
            at += size;
        }
        self.torn.clear();
        self.torn.extend_from_slice(&filled[at..]);
        Poll::Ready(Ok(read))
    }

    /// The same, but reads no more than so many bytes.
    pub(crate) fn poll_few(
        &mut self,
        cx: &mut Context<'_>,
        (scratch, bytes): (&mut [u8], usize),
        each: impl FnMut(&mut [u8]),
    ) -> Poll<io::Result<usize>> {
        let most = self.torn.len().saturating_add(bytes).min(scratch.len());
        self.poll_frames(cx, &mut scratch[..most], each)
    }

    /// Throws away what is under way: the other side sees a reset once both halves are gone.
    pub(crate) fn reset(self, sinks: &mut Sinks, number: usize) -> io::Result<()> {
        SockRef::from(self.stream.as_ref()).set_linger(Some(Duration::ZERO))?;
        if let Some(sink) = sinks.list.get_mut(number).and_then(Option::take) {
            // Dropped as it is, it would say goodbye first.
            sink.stream.forget();
        }
        Ok(())
    }
}

/// The writing sides of all connections of a thread, by number. Numbers are never used twice, so
/// a late answer cannot reach the successor of its connection.
#[derive(Default)]
pub(crate) struct Sinks {
    list: Vec<Option<Sink>>,
    dirty: Vec<usize>,
    flusher: Option<Waker>,
    woken: bool,
}

struct Sink {
    stream: OwnedWriteHalf,
    bytes: Vec<u8>,
    written: usize,
    dirty: bool,
    is_closing: bool,
}

impl Sinks {
    /// Takes a connection over: its number, and its reading side.
    pub(crate) fn add(&mut self, stream: TcpStream) -> io::Result<(usize, Source)> {
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        let bytes = Vec::with_capacity(SINK_BYTES);
        let sink = Sink { stream: write, bytes, written: 0, dirty: false, is_closing: false };
        self.list.push(Some(sink));
        Ok((self.list.len() - 1, Source { stream: read, torn: Vec::new() }))
    }

    /// Closes the writing side.
    pub(crate) fn remove(&mut self, number: usize) {
        if let Some(sink) = self.list.get_mut(number) {
            *sink = None;
        }
    }

    /// Closes the writing side once everything before has been written; nothing is added to it.
    pub(crate) fn close(&mut self, number: usize) {
        // The flush that writes the rest also closes it.
        if self.buffer(number).is_some()
            && let Some(Some(sink)) = self.list.get_mut(number)
        {
            sink.is_closing = true;
        }
    }

    /// Where to append frames for a connection; they leave with the next flush. None if the
    /// connection has gone.
    #[inline]
    pub(crate) fn buffer(&mut self, number: usize) -> Option<&mut Vec<u8>> {
        let sink = self.list.get_mut(number)?.as_mut()?;
        if sink.is_closing {
            return None;
        }
        if !sink.dirty {
            sink.dirty = true;
            self.dirty.push(number);
            // The flush task is woken once per turn, by the first to write, and so runs after
            // all the connections that are ready in this turn.
            if !self.woken
                && let Some(flusher) = &self.flusher
            {
                self.woken = true;
                flusher.wake_by_ref();
            }
        }
        Some(&mut sink.bytes)
    }

    /// Writes once to every connection that has something to send. Never ready: it is the whole
    /// life of the flush task.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.flusher.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.flusher = Some(cx.waker().clone());
        }
        self.woken = false;
        let list = &mut self.list;
        self.dirty.retain(|&number| {
            let Some(Some(sink)) = list.get_mut(number) else { return false };
            match sink.poll_write(cx) {
                Poll::Pending => true,
                Poll::Ready(Ok(())) if !sink.is_closing => false,
                Poll::Ready(_) => {
                    list[number] = None;
                    false
                }
            }
        });
        Poll::Pending
    }
}

impl Sink {
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.bytes.len() {
            let rest = &self.bytes[self.written..];
            self.written += ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
        }
        self.bytes.clear();
        self.written = 0;
        self.dirty = false;
        Poll::Ready(Ok(()))
    }
}

/// Size of the buffer that all connections of a thread read into, in bytes.
pub(crate) const SCRATCH_BYTES: usize = 256 * 1024;
const TASKS_PER_TURN: u32 = 4_096;
const SINK_BYTES: usize = 16 * 1024;
const _: () = assert!(SCRATCH_BYTES > 2 * FRAME_BYTES_MAX, "a torn frame leaves room to read");
