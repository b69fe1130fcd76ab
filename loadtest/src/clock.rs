//! Time: the monotonic clock, the wall clock for message dates, and a timer that is on time.
//!
//! This is the only place that reads a clock or waits, so that every duration in a report has
//! one origin. It is not an abstraction over time: the load test measures the real clock only.
//! The alarm is a kernel timer rather than the runtime's, because the runtime rounds to whole
//! milliseconds and an open loop at 20,000 messages a second has one due every 50 us.

use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// The monotonic clock, in nanoseconds.
pub(crate) fn now_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// The wall clock, in nanoseconds since 1970 (UTC).
pub(crate) fn wall_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Realtime))
}

/// Blocks the calling thread; for waiting on a child to start, never inside an event loop.
#[expect(clippy::disallowed_methods, reason = "no event loop runs while a child starts")]
pub(crate) fn pause(length: Duration) {
    std::thread::sleep(length);
}

/// A date and time of day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) year: u32,
    pub(crate) month: u32,
    pub(crate) day: u32,
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    pub(crate) second: u32,
}

impl Moment {
    /// The calendar date of `seconds` since 1970, by the era arithmetic of the proleptic
    /// Gregorian calendar (400 years are 146,097 days; the year is counted from March).
    pub(crate) fn of(seconds: u64) -> Moment {
        let days = seconds / 86_400 + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        Moment {
            year: year as u32,
            month: month as u32,
            day: (day_of_year - (153 * shifted + 2) / 5 + 1) as u32,
            hour: (seconds % 86_400 / 3_600) as u32,
            minute: (seconds % 3_600 / 60) as u32,
            second: (seconds % 60) as u32,
        }
    }
}

/// One kernel timer, set to an absolute time and polled from a task.
pub(crate) struct Alarm {
    timer: AsyncFd<OwnedFd>,
    due_ns: Option<u64>,
}

impl Alarm {
    /// Creates a timer that is not set. Needs a runtime.
    #[expect(
        deprecated,
        reason = "the replacement is an unsafe fn; an OwnedFd, never replaced, meets its condition"
    )]
    pub(crate) fn new() -> io::Result<Alarm> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Alarm { timer: AsyncFd::new(timer)?, due_ns: None })
    }

    /// Ready once `due_ns` has passed; sets the timer only if it is not already set to that time.
    pub(crate) fn poll_until(&mut self, cx: &mut Context<'_>, due_ns: u64) -> Poll<io::Result<()>> {
        loop {
            if now_ns() >= due_ns {
                return Poll::Ready(Ok(()));
            }
            if self.due_ns != Some(due_ns) {
                self.set(due_ns)?;
            }
            let mut guard = ready!(self.timer.poll_read_ready(cx))?;
            guard.clear_ready();
        }
    }

    /// An expired one-shot timer stays readable but raises no new edge, so its count need not be
    /// read: setting it again clears it.
    fn set(&mut self, due_ns: u64) -> io::Result<()> {
        let value = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: (due_ns / NS_PER_S) as i64,
                tv_nsec: (due_ns % NS_PER_S) as i64,
            },
        };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::ABSTIME, &value)?;
        self.due_ns = Some(due_ns);
        Ok(())
    }
}

fn nanoseconds(time: Timespec) -> u64 {
    time.tv_sec as u64 * NS_PER_S + time.tv_nsec as u64
}

/// Nanoseconds in a second.
pub(crate) const NS_PER_S: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_calendar_date() {
        let leap = Moment { year: 2024, month: 2, day: 29, hour: 23, minute: 59, second: 58 };
        assert_eq!(Moment::of(1_709_251_198), leap);
        let first = Moment { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
        assert_eq!(Moment::of(0), first);
    }

    #[test]
    fn the_monotonic_clock_advances() {
        let before = now_ns();
        pause(Duration::from_millis(1));
        assert!(now_ns() >= before + 1_000_000);
    }
}
