//! A run while it lasts: a screen where there is a terminal, a bar or nothing where there is none.
//!
//! Drawing takes longer than a request may wait, so it is another thread's; the one that sends
//! hands over a few numbers now and then. The terminal keeps its signals: Ctrl-C ends the sending
//! as it does without a screen.

mod screen;

use std::io::{IsTerminal, stderr};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};

use self::screen::Screen;
use crate::report::Progress;
use crate::run::{Counts, Percentiles};

/// What is known before a run begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) title: String,
    pub(crate) target: String,
    /// The names of the phases.
    pub(crate) phases: Vec<String>,
    pub(crate) length: Duration,
}

/// Where a run has come to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moment {
    pub(crate) elapsed: Duration,
    /// Which phase runs; behind the last one, what is under way is waited for.
    pub(crate) phase: usize,
    pub(crate) counts: Counts,
    pub(crate) declined: u64,
    /// Of the last interval that is over.
    pub(crate) latency_us: Percentiles,
}

/// Whatever shows a run.
pub(crate) enum View {
    Bar(Progress),
    Screen(Show),
}

/// The thread that draws.
pub(crate) struct Show {
    moments: Option<Sender<Moment>>,
    thread: Option<JoinHandle<()>>,
}

impl View {
    /// A screen on standard error if that is wanted and a terminal, else a bar.
    pub(crate) fn new(plan: Plan, has_screen: bool) -> View {
        if !has_screen || !stderr().is_terminal() {
            return View::Bar(Progress::of_time(plan.length));
        }
        let length = plan.length;
        let (give, take) = channel();
        let drawn = thread::Builder::new().name("screen".into()).spawn(move || draw(plan, &take));
        match drawn {
            Ok(thread) => View::Screen(Show { moments: Some(give), thread: Some(thread) }),
            Err(_) => View::Bar(Progress::of_time(length)),
        }
    }

    /// Shows how far it is.
    pub(crate) fn show(&mut self, moment: Moment) {
        match self {
            View::Bar(bar) => bar.show(moment.elapsed, moment.counts.answered),
            View::Screen(show) => {
                if let Some(moments) = &show.moments {
                    // A terminal that went away takes its thread with it; the run goes on.
                    let _ = moments.send(moment);
                }
            }
        }
    }

    /// Gives the terminal back.
    pub(crate) fn finish(&mut self) {
        match self {
            View::Bar(bar) => bar.finish(),
            View::Screen(show) => show.end(),
        }
    }
}

impl Show {
    fn end(&mut self) {
        self.moments = None;
        if let Some(thread) = self.thread.take() {
            // Whatever it met, the terminal is as it was.
            let _ = thread.join();
        }
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        self.end();
    }
}

/// The life of the thread: a screen of its own, and the old one afterwards.
fn draw(plan: Plan, moments: &Receiver<Moment>) {
    let mut screen = Screen::new(plan);
    let terminal = execute!(stderr(), EnterAlternateScreen)
        .and_then(|()| Terminal::new(CrosstermBackend::new(stderr())));
    if let Ok(mut terminal) = terminal {
        // There is no cursor to look for on a screen that nobody writes on.
        let _ = terminal.hide_cursor();
        while let Ok(moment) = moments.recv() {
            screen.note(&moment);
            if terminal.draw(|frame| screen.draw(frame)).is_err() {
                break;
            }
        }
        let _ = terminal.show_cursor();
    }
    // Standard error may be gone by now.
    let _ = execute!(stderr(), LeaveAlternateScreen);
}
