//! One key alone, against lists of all that was let pass.

use super::*;
use proptest::prelude::*;

/// One window after the other, as in an entry.
fn windows() -> impl Strategy<Value = Vec<Window>> {
    let short = (1u64..5000, 1u64..12, any::<bool>());
    let long = (1u64..=WINDOW_MS_MAX, 1u64..12, any::<bool>());
    let one = prop_oneof![3 => short, 2 => long];
    prop::collection::vec(one, 1..=2).prop_map(|list| {
        let words = WORDS as u8 / list.len() as u8;
        let place = |(at, (ms, limit, sums)): (usize, (u64, u64, bool))| {
            let limit = if sums { limit * 10 } else { limit };
            Window::new(ms, limit, sums, at as u8 * words, words)
        };
        list.into_iter().enumerate().map(place).collect()
    })
}

proptest! {
    #[test]
    fn a_product_divides(by in 1u64..1 << 31, number in 0u64..1 << 41, near in 0u64..3) {
        for number in [number, (number / by * by + near).saturating_sub(1)] {
            prop_assert_eq!(Divisor::new(by).quotient(number), number / by);
        }
        prop_assert_eq!(Divisor::new(1).quotient(number), number);
    }

    #[test]
    fn a_ring_reaches_back_as_far_as_it_must(ms in 1u64..=WINDOW_MS_MAX, words in 3u8..7) {
        for sums in [false, true] {
            let window = Window::new(ms, 5, sums, 0, words);
            prop_assert!(window.cell_ms * (window.cells() - 1) >= ms);
        }
    }

    /// A time is kept in eight bits, never shorter and at most a third longer.
    #[test]
    fn a_span_is_no_shorter(ms in 0u64..4 * WINDOW_MS_MAX) {
        let kept = Span::of(ms).ms();
        prop_assert!(ms <= kept && kept <= ms + ms / 3, "{ms} as {kept}");
    }

    /// Against a list of all events: what fits the exact window and one cell more is taken,
    /// what does not fit the exact window never is.
    #[test]
    fn never_more_lenient_than_the_exact_window(
        windows in windows(),
        // Sometimes days go by between two events.
        pace in prop::sample::select(vec![1u64, 1, 1, 40_000, 600_000]),
        steps in prop::collection::vec((0u64..900, 1u64..30, 0u8..5), 1..120),
    ) {
        let mut entry = Entry::new(0, 1 << 30);
        let mut events: Vec<(u64, u64, u8)> = Vec::new();
        let mut now_ms = 0;
        let all = (1u8 << windows.len()) - 1;
        for (wait, amount, act) in steps {
            now_ms += wait * pace;
            if act == 0 && !events.is_empty() {
                let (at_ms, amount, into) = events.remove(amount as usize % events.len());
                entry.give_back(&windows, at_ms, into, amount);
                continue;
            }
            let take = Take { now_ms, amount, windows: all, acting: all, attempts: 0 };
            let took = entry.take(&windows, &take);
            for (place, window) in windows.iter().enumerate() {
                let within = |longest: u64| -> u64 {
                    let recent = events.iter().filter(|(at, ..)| now_ms - at < longest);
                    recent.map(|(_, amount, _)| window.weight(*amount)).sum()
                };
                let weight = window.weight(amount);
                let said_over = took.over >> place & 1 == 1;
                let exact_ms = window.cell_ms * (window.cells() - 1);
                if within(exact_ms) + weight > window.limit {
                    prop_assert!(said_over, "lenient at {now_ms}: {window:?}");
                }
                if within(window.longest_ms()) + weight <= window.limit {
                    prop_assert!(!said_over, "too strict at {now_ms}: {window:?}");
                }
            }
            prop_assert_eq!(took.into, if took.over == 0 { all } else { 0 });
            if took.into != 0 {
                events.push((now_ms, amount, took.into));
            }
        }
    }
}

#[test]
fn attempts_count_where_they_should() {
    let windows = [Window::new(1000, 1, false, 0, 3), Window::new(60_000, 100, false, 3, 3)];
    let mut entry = Entry::new(0, 60_000);
    let take = Take { now_ms: 5, amount: 7, windows: 0b11, acting: 0b11, attempts: 0b10 };
    assert_eq!(entry.take(&windows, &take), Took { over: 0, into: 0b11 });
    assert_eq!(entry.take(&windows, &take), Took { over: 0b01, into: 0b10 });
    assert_eq!(windows.map(|window| entry.total(&window)), [1, 2]);
    assert!(entry.is_at_limit(1005));
    assert!(!entry.is_at_limit(4000), "the window that was full is empty by then");
    entry.give_back(&windows, 5, 0b01, 7);
    assert_eq!(windows.map(|window| entry.total(&window)), [0, 2]);
}

#[test]
fn a_rule_that_only_watches_counts_what_goes_through() {
    let windows = [Window::new(1000, 1, false, 0, 6)];
    let mut entry = Entry::new(0, 1000);
    let take = Take { now_ms: 5, amount: 0, windows: 1, acting: 0, attempts: 0 };
    assert_eq!(entry.take(&windows, &take), Took { over: 0, into: 1 });
    assert_eq!(entry.take(&windows, &take), Took { over: 1, into: 1 });
}

#[test]
fn sums_saturate_and_never_come_back_from_there() {
    let windows = [Window::new(1000, u64::MAX - 1, true, 0, 6)];
    let mut entry = Entry::new(0, 1000);
    let mut take = Take { now_ms: 5, amount: u64::MAX, windows: 1, acting: 0, attempts: 0 };
    assert_eq!(entry.take(&windows, &take).over, 1);
    entry.give_back(&windows, 5, 1, u64::MAX);
    take.amount = 0;
    assert_eq!(entry.take(&windows, &take).over, 1);
}

#[test]
fn an_entry_is_over_when_its_last_event_is() {
    let entry = Entry::new(100_000, 60_000);
    assert!(!entry.is_over(164_000));
    assert!(entry.is_over(164_001));
}
