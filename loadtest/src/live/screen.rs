//! What the screen shows, from 80 columns on: phase, rate, percentiles, mistakes, and two lines
//! that tell how rate and p99 have been.
//!
//! It draws on whatever it is given. Numbers are of the last tenths of a second, but for the
//! counts, which are from the first message on.

use std::collections::VecDeque;
use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Gauge, Paragraph, Sparkline};

use super::{Moment, Plan};
use crate::report::grouped;

/// A screen with a memory as wide as itself.
pub(super) struct Screen {
    plan: Plan,
    last: Moment,
    rate_per_s: f64,
    rates: VecDeque<u64>,
    p99s_us: VecDeque<u64>,
}

impl Screen {
    pub(super) fn new(plan: Plan) -> Screen {
        let (rates, p99s_us) = (VecDeque::new(), VecDeque::new());
        Screen { plan, last: Moment::default(), rate_per_s: 0.0, rates, p99s_us }
    }

    /// Takes note of where the run is.
    pub(super) fn note(&mut self, moment: &Moment) {
        let seconds = moment.elapsed.saturating_sub(self.last.elapsed).as_secs_f64();
        if seconds > 0.0 {
            let answered = moment.counts.answered.saturating_sub(self.last.counts.answered);
            self.rate_per_s = answered as f64 / seconds;
            keep(&mut self.rates, self.rate_per_s.round() as u64);
            keep(&mut self.p99s_us, moment.latency_us.p99.round() as u64);
        }
        self.last = moment.clone();
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let [head, progress, figures, rates, p99s, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Length(5),
            Constraint::Fill(1),
            Constraint::Fill(1),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let title = Style::new().add_modifier(Modifier::BOLD);
        frame.render_widget(Line::styled(self.plan.title.as_str(), title), head);
        let target = Line::from(format!("to {}", self.plan.target)).right_aligned();
        let room = usize::from(head.width).saturating_sub(self.plan.title.chars().count());
        if target.width() < room {
            frame.render_widget(target, head);
        }
        self.draw_progress(frame, progress);
        frame.render_widget(self.figures(), figures);
        let rate = format!(" answers {}/s ", grouped(self.rate_per_s.round() as u64));
        spark(frame, rates, (rate, Color::Green), &self.rates);
        let p99 = format!(" p99 {} ", time(self.last.latency_us.p99));
        spark(frame, p99s, (p99, Color::Cyan), &self.p99s_us);
        let dim = Style::new().add_modifier(Modifier::DIM);
        let text = "Ctrl-C ends the sending; the report is written all the same";
        frame.render_widget(Line::styled(text, dim), foot);
    }

    fn draw_progress(&self, frame: &mut Frame<'_>, area: Rect) {
        let whole = self.plan.length.as_secs_f64().max(f64::MIN_POSITIVE);
        let share = (self.last.elapsed.as_secs_f64() / whole).clamp(0.0, 1.0);
        let count = self.plan.phases.len();
        let phase = match self.plan.phases.get(self.last.phase) {
            Some(name) => format!("{name} ({} of {count})", self.last.phase + 1),
            None => "waiting for what is under way".to_owned(),
        };
        let text = format!("{phase}, {} of {}", clock(self.last.elapsed), clock(self.plan.length));
        let style = Style::new().fg(Color::Blue).bg(Color::DarkGray);
        let label = Span::styled(text, Style::new().fg(Color::White));
        frame.render_widget(Gauge::default().ratio(share).gauge_style(style).label(label), area);
    }

    fn figures(&self) -> Paragraph<'_> {
        let Moment { counts, declined, latency_us, .. } = &self.last;
        let row = |cells: &[(&str, String)]| {
            let cell = |(name, value): &(&str, String)| format!("{name:<9}{value:>9}  ");
            cells.iter().map(cell).collect::<String>()
        };
        let count = |name, count: u64| (name, grouped(count));
        let wait = |name, us| (name, time(us));
        let sent = counts.sent.saturating_sub(counts.answered + counts.lost);
        let times = row(&[
            wait("p50", latency_us.p50),
            wait("p90", latency_us.p90),
            wait("p99", latency_us.p99),
            wait("max", latency_us.max),
        ]);
        let volume = row(&[
            count("sent", counts.sent),
            count("answered", counts.answered),
            count("declined", *declined),
            count("under way", sent),
        ]);
        let mistakes = counts.mistakes().map(|(name, number)| {
            let name = name.split(' ').next().unwrap_or(name);
            let style = match number {
                0 => Style::new().add_modifier(Modifier::DIM),
                _ => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
            };
            Span::styled(format!("{name} {}   ", grouped(number)), style)
        });
        let mistakes: Vec<Span<'_>> = mistakes.into_iter().collect();
        Paragraph::new(vec![Line::default(), volume.into(), times.into(), Line::from(mistakes)])
    }
}

fn keep(values: &mut VecDeque<u64>, value: u64) {
    if values.len() == KEPT {
        values.pop_front();
    }
    values.push_back(value);
}

/// The newest values, as many as there are columns, the last one at the right.
fn spark(
    frame: &mut Frame<'_>,
    area: Rect,
    (title, colour): (String, Color),
    values: &VecDeque<u64>,
) {
    let most = values.iter().max().copied().unwrap_or(0);
    let width = usize::from(area.width.saturating_sub(2));
    let skipped = values.len().saturating_sub(width);
    let shown: Vec<u64> = values.iter().skip(skipped).copied().collect();
    let block = Block::bordered().title(title);
    let line = Sparkline::default().data(shown).max(most.max(1));
    frame.render_widget(line.style(Style::new().fg(colour)).block(block), area);
}

/// A latency with the unit that people would use.
fn time(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{us:.0} us"),
        us if us < 1e6 => format!("{:.2} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3_600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60),
    }
}

/// As many values as the widest terminal has columns.
const KEPT: usize = 512;

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::run::{Counts, Percentiles};

    /// Ten seconds of a run, at a terminal of this size.
    fn seen(width: u16, height: u16, lost: u64) -> Vec<String> {
        let phases = ["warm-up", "steady", "spike"].map(str::to_owned).to_vec();
        let title = "A sale with a spike".to_owned();
        let target = "127.0.0.1:7400".to_owned();
        let mut screen =
            Screen::new(Plan { title, target, phases, length: Duration::from_secs(90) });
        for tick in 1..=100_u64 {
            let answered = tick * tick * 100;
            let counts = Counts { sent: answered + 7, answered, lost, ..Counts::default() };
            let latency_us = Percentiles {
                p50: 812.0,
                p99: 1_000.0 * tick as f64,
                max: 2e6,
                ..Percentiles::default()
            };
            let elapsed = Duration::from_millis(tick * 100);
            screen.note(&Moment { elapsed, phase: 1, counts, declined: 3, latency_us });
        }
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..height).map(row).collect()
    }

    #[test]
    fn everything_fits_into_80_columns_and_120() {
        for width in [80, 120] {
            let seen = seen(width, 24, 0);
            let text = seen.join("\n");
            for word in [
                "A sale with a spike",
                "to 127.0.0.1:7400",
                "steady (2 of 3), 10.0 s of 1:30",
                "sent     1,000,007",
                "answered 1,000,000",
                "declined         3",
                "under way        7",
                "p50         812 us",
                "p99      100.00 ms",
                "max         2.00 s",
                "lost 0",
                "broken 0",
                "answers 199,000/s",
                "Ctrl-C",
            ] {
                assert!(text.contains(word), "{width}: {word}\n{text}");
            }
            // The last of a hundred values stands at the right, full; the first ones are gone
            // where there is no room, or are the lowest.
            let rates = seen.iter().position(|line| line.contains("answers 199")).unwrap();
            let right: Vec<char> = seen[rates + 1].chars().rev().collect();
            assert_eq!(right[0], '│', "{text}");
            assert!(seen[rates + 1].contains('█') || seen[rates + 1].contains('▇'), "{text}");
        }
    }

    #[test]
    fn a_small_terminal_is_no_reason_to_fall() {
        for (width, height) in [(1, 1), (20, 5), (80, 3), (300, 2)] {
            assert_eq!(seen(width, height, 2).len(), usize::from(height));
        }
        assert!(seen(80, 24, 2).join("\n").contains("lost 2"));
    }

    #[test]
    fn times_have_the_unit_that_people_would_use() {
        assert_eq!([time(812.4), time(1_500.0), time(2e6)], ["812 us", "1.50 ms", "2.00 s"]);
        let clocks = [1_500, 61_000, 3_723_000].map(|ms| clock(Duration::from_millis(ms)));
        assert_eq!(clocks, ["1.5 s", "1:01", "1:02:03"]);
    }
}
