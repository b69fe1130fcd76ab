//! The rules, one test each. What holds for any order of events is in [`model`].

mod model;

use std::collections::VecDeque;
use std::time::Duration;

use super::wheel::TICK_NS;
use super::*;

const LATE_WINDOW: Duration = Duration::from_secs(60);

fn at(ms: u64) -> Instant {
    Instant::from_ns(ms * 1_000_000)
}

fn lane() -> Lane {
    let mut lane = Lane::new(Settings { late_window: LATE_WINDOW, ..Settings::default() });
    lane.connection_up(at(0));
    lane
}

fn obligation(id: u64, kind: Kind, transaction: u64, card: u64) -> Obligation {
    let message = id.to_be_bytes().to_vec();
    let not_before = Instant::default();
    let sent_before = false;
    let (late_until, noted) = (None, id);
    Obligation { id, kind, transaction, card, message, sent_before, not_before, late_until, noted }
}

/// By when the wheel lets something go that is due then.
fn ticked(due: Instant) -> Instant {
    Instant::from_ns(due.ns().next_multiple_of(TICK_NS))
}

/// A reversal on its own: nothing else of its transaction or card.
fn lone(id: u64) -> Obligation {
    obligation(id, Kind::Reversal, 1000 + id, 2000 + id)
}

/// Sends one: its place, id and whether it is a repeat.
fn sent(lane: &mut Lane, ms: u64) -> Option<(u32, u64, bool)> {
    lane.next(at(ms), 0).map(|copy| {
        assert_eq!(copy.message, copy.id.to_be_bytes());
        (copy.place, copy.id, copy.repeat)
    })
}

#[test]
fn a_reversal_never_overtakes_the_advice_it_reverses() {
    let mut lane = lane();
    lane.add(obligation(1, Kind::Advice, 7, 0));
    lane.add(obligation(2, Kind::Reversal, 7, 0));
    let (place, id, _) = sent(&mut lane, 0).expect("the advice");
    assert_eq!(id, 1);
    assert_eq!(sent(&mut lane, 10), None, "the reversal waits");
    lane.timed_out(place, 1, at(20));
    assert_eq!(sent(&mut lane, 30), None, "while the advice backs off, too");
    let (place, id, repeat) = sent(&mut lane, 1500).expect("the advice again");
    assert_eq!((id, repeat), (1, true));
    assert_eq!(lane.answered(place, 1, at(1510), Verdict::Final), Some(Settled::Done(1)));
    assert_eq!(sent(&mut lane, 1520).map(|copy| copy.1), Some(2));
}

#[test]
fn a_blocked_card_blocks_no_other() {
    let mut lane = lane();
    for id in 1..=1000 {
        lane.add(obligation(id, Kind::Advice, id, 5));
    }
    lane.add(lone(2000));
    assert_eq!(sent(&mut lane, 0).map(|copy| copy.1), Some(1));
    assert_eq!(sent(&mut lane, 10).map(|copy| copy.1), Some(2000));
    assert_eq!(sent(&mut lane, 20), None);
}

#[test]
fn the_first_copy_after_any_possible_one_is_a_repeat() {
    let mut lane = lane();
    lane.add(Obligation { sent_before: true, ..lone(1) });
    lane.add(lone(2));
    assert!(sent(&mut lane, 0).expect("1").2, "it may have left before the restart");
    let (place, id, repeat) = sent(&mut lane, 10).expect("2");
    assert_eq!((id, repeat), (2, false));
    lane.lost(place, 2, at(20));
    assert!(sent(&mut lane, 20).expect("2").2, "it may have arrived");
}

#[test]
fn never_dropped_by_age_or_count() {
    let mut lane = lane();
    lane.add(lone(1));
    let mut now = 0;
    for attempt in 1..=2000 {
        let deadline = lane.next_deadline().expect("it is not forgotten");
        now = (deadline.ns() / 1_000_000 + 1).max(now);
        let copy = lane.next(at(now), 0).expect("due");
        assert_eq!(copy.attempt, attempt);
        let place = copy.place;
        lane.timed_out(place, 1, at(now));
    }
    assert!(now > 1900 * 225_000, "five minutes apart in the end");
    assert_eq!(lane.oldest_age(at(now)), Some(Duration::from_millis(now)));
    assert_eq!(lane.len(), 1);
}

#[test]
fn not_found_closes_provisionally_and_a_late_approval_opens_again() {
    let mut lane = lane();
    lane.add(lone(1));
    let (place, ..) = sent(&mut lane, 0).expect("1");
    let until = at(10).after(LATE_WINDOW);
    let settled = lane.answered(place, 1, at(10), Verdict::NotFound);
    assert_eq!(settled, Some(Settled::Provisional(1, until)));
    assert_eq!((lane.len(), lane.provisional()), (0, 1));
    assert_eq!(lane.next_deadline(), Some(ticked(until)));
    assert!(lane.reopen(1, at(50)));
    assert_eq!((lane.len(), lane.provisional()), (1, 0));
    let (place, id, repeat) = sent(&mut lane, 50).expect("again, at once");
    assert_eq!((id, repeat), (1, true));
    assert_eq!(lane.answered(place, 1, at(60), Verdict::Final), Some(Settled::Done(1)));
    assert!(!lane.reopen(1, at(70)), "gone: there must be another");
}

/// An approval may have been lost with its connection: what is not heard proves nothing.
#[test]
fn not_found_is_final_if_it_is_said_again_once_the_late_window_has_passed() {
    for (verdict, settled) in [
        (Verdict::NotFound, Some(Settled::Done(1))),
        (Verdict::Final, Some(Settled::Done(1))),
        (Verdict::Rejected(30), Some(Settled::Exception(1, 30))),
        (Verdict::TryAgain, None),
    ] {
        let mut lane = lane();
        lane.add(lone(1));
        let (place, ..) = sent(&mut lane, 0).expect("1");
        lane.answered(place, 1, at(10), Verdict::NotFound);
        assert_eq!(sent(&mut lane, 60_009), None);
        assert_eq!((lane.len(), lane.provisional()), (0, 1));
        let by = ticked(at(60_010)).ns() / 1_000_000 + 1;
        let send = lane.next(at(by), 0).expect("it is asked again");
        assert_eq!((send.repeat, send.late_until), (true, Some(at(60_010))));
        assert_eq!((lane.len(), lane.provisional()), (1, 0));
        assert_eq!(lane.answered(place, 1, at(by), verdict), settled);
        assert_eq!(lane.is_empty(), settled.is_some());
    }
}

/// An answer to an old copy may wait in the partner for a connection, and come before the question.
#[test]
fn an_old_not_found_is_no_answer_to_what_was_not_asked_yet() {
    let mut lane = lane();
    lane.add(lone(1));
    let (place, ..) = sent(&mut lane, 0).expect("1");
    lane.answered(place, 1, at(10), Verdict::NotFound);
    lane.connection_lost(at(20));
    assert_eq!(sent(&mut lane, 70_000), None);
    assert_eq!((lane.len(), lane.provisional()), (1, 0), "its window is over");
    assert_eq!(lane.answered(place, 1, at(70_010), Verdict::NotFound), None);
    lane.connection_up(at(70_020));
    let (place, id, repeat) = sent(&mut lane, 75_000).expect("it is asked");
    assert_eq!((id, repeat), (1, true));
    assert_eq!(lane.answered(place, 1, at(75_010), Verdict::NotFound), Some(Settled::Done(1)));
}

/// The next life goes on where the last was.
#[test]
fn a_late_window_of_a_former_life_ends_when_it_ends() {
    let mut lane = lane();
    for id in 1..=3 {
        // In another order than they were asked in.
        let late_until = Some(at(40_000 - 10_000 * id));
        lane.add(Obligation { sent_before: true, late_until, ..lone(id) });
    }
    lane.add(Obligation { card: 2001, ..lone(4) });
    assert_eq!((lane.len(), lane.provisional()), (1, 3));
    assert_eq!(sent(&mut lane, 0).map(|copy| copy.1), Some(4), "nothing stands before it");
    assert!(lane.reopen(1, at(1000)));
    assert_eq!(sent(&mut lane, 1000).map(|copy| copy.1), Some(1), "in front of its card");
    assert_eq!(sent(&mut lane, 9_999), None);
    for id in [3, 2] {
        let now = 40_100 - 10_000 * id;
        assert_eq!(sent(&mut lane, now).map(|copy| (copy.1, copy.2)), Some((id, true)));
    }
}

#[test]
fn an_approval_that_overtakes_the_not_found_keeps_it_open() {
    let mut lane = lane();
    lane.add(lone(1));
    let (place, ..) = sent(&mut lane, 0).expect("1");
    assert!(lane.reopen(1, at(5)), "it is open already");
    assert_eq!(lane.answered(place, 1, at(10), Verdict::NotFound), None);
    assert_eq!((lane.len(), lane.provisional()), (1, 0));
    for attempt in 2..=3 {
        let now = 10_000 * attempt;
        let (place, ..) = sent(&mut lane, now).expect("again");
        let settled = lane.answered(place, 1, at(now), Verdict::NotFound);
        let expected = (attempt == 3).then_some(Settled::Exception(1, 25));
        assert_eq!(settled, expected, "approved, and three times not found: for a person");
    }
}

#[test]
fn a_provisional_close_lets_go_who_stands_behind_and_reopening_goes_in_front() {
    let mut lane = lane();
    for id in 1..=3 {
        lane.add(obligation(id, Kind::Reversal, id, 5));
    }
    let (first, ..) = sent(&mut lane, 0).expect("1");
    lane.answered(first, 1, at(10), Verdict::NotFound);
    let (second, id, _) = sent(&mut lane, 20).expect("2");
    assert_eq!(id, 2);
    lane.answered(second, 2, at(30), Verdict::NotFound);
    // The third is ready; the older two come back in front of it, whichever comes back first.
    assert!(lane.reopen(2, at(40)) && lane.reopen(1, at(40)));
    for expected in 1..=3 {
        let (place, id, _) = sent(&mut lane, 50 + expected).expect("one of them");
        assert_eq!(id, expected);
        assert_eq!(sent(&mut lane, 50 + expected), None);
        lane.answered(place, id, at(60), Verdict::Final);
    }
}

#[test]
fn a_rejected_one_is_an_exception_and_blocks_nobody() {
    let mut lane = lane();
    lane.add(obligation(1, Kind::Advice, 7, 5));
    lane.add(obligation(2, Kind::Advice, 8, 5));
    let (place, ..) = sent(&mut lane, 0).expect("1");
    let settled = lane.answered(place, 1, at(10), Verdict::Rejected(30));
    assert_eq!(settled, Some(Settled::Exception(1, 30)));
    let (place, ..) = sent(&mut lane, 20).expect("2");
    let settled = lane.answered(place, 2, at(30), Verdict::NotFound);
    assert_eq!(settled, Some(Settled::Exception(2, 25)), "an advice has nothing to be found");
    assert_eq!((lane.stats().exceptions, lane.stats().done), (2, 0));
}

#[test]
fn an_answer_for_one_never_removes_another() {
    let mut lane = lane();
    lane.add(lone(1));
    let (place, ..) = sent(&mut lane, 0).expect("1");
    assert_eq!(lane.answered(place, 2, at(10), Verdict::Final), None);
    assert_eq!(lane.answered(place + 1, 1, at(10), Verdict::Final), None);
    assert_eq!(lane.answered(place, 1, at(10), Verdict::Final), Some(Settled::Done(1)));
    lane.add(lone(2));
    assert_eq!(lane.answered(place, 1, at(20), Verdict::Final), None, "its place has a new tenant");
    assert_eq!(lane.answered(place, 2, at(20), Verdict::Final), None, "it was never sent");
    assert_eq!(lane.len(), 1);
}

#[test]
fn a_late_final_answer_counts() {
    let mut lane = lane();
    lane.add(lone(1));
    let (place, ..) = sent(&mut lane, 0).expect("1");
    lane.timed_out(place, 1, at(10));
    assert_eq!(lane.answered(place, 1, at(20), Verdict::TryAgain), None);
    assert_eq!(lane.answered(place, 1, at(30), Verdict::Final), Some(Settled::Done(1)));
    assert_eq!(sent(&mut lane, 5000), None, "it is not sent again");
}

#[test]
fn an_advice_and_its_reversal_vanish_together_while_neither_was_sent() {
    let mut lane = lane();
    lane.add(obligation(1, Kind::Reversal, 7, 5));
    lane.add(obligation(2, Kind::Advice, 7, 5));
    lane.add(obligation(3, Kind::Reversal, 7, 5));
    lane.add(obligation(4, Kind::Advice, 8, 5));
    assert_eq!(lane.cancel_unsent(7), Some([2, 3]), "the reversal of the original stays");
    assert_eq!(lane.cancel_unsent(7), None);
    assert_eq!(lane.cancel_unsent(0), None);
    let (place, id, _) = sent(&mut lane, 0).expect("1");
    assert_eq!(id, 1);
    lane.answered(place, 1, at(1), Verdict::Final);
    assert_eq!(sent(&mut lane, 10).map(|copy| copy.1), Some(4));
    assert_eq!(lane.len(), 1);
}

#[test]
fn what_may_have_been_sent_is_not_cancelled() {
    for sent_before in [false, true] {
        let mut lane = lane();
        lane.add(Obligation { sent_before, ..obligation(1, Kind::Advice, 7, 5) });
        lane.add(obligation(2, Kind::Reversal, 7, 5));
        if !sent_before {
            sent(&mut lane, 0).expect("1");
        }
        assert_eq!(lane.cancel_unsent(7), None);
    }
}

#[test]
fn a_settle_delay_is_kept_even_when_the_connection_comes_back() {
    let mut lane = lane();
    lane.add(Obligation { not_before: at(500), ..lone(1) });
    lane.add(lone(2));
    let (place, id, _) = sent(&mut lane, 0).expect("2");
    assert_eq!(id, 2);
    lane.timed_out(place, 2, at(10));
    lane.connection_lost(at(100));
    assert_eq!(lane.next_deadline(), None, "nothing to wait for");
    lane.connection_up(at(200));
    assert_eq!(sent(&mut lane, 200).map(|copy| copy.1), Some(2), "its back-off is over");
    assert_eq!(sent(&mut lane, 499), None);
    let deadline = lane.next_deadline().expect("1");
    assert!(deadline >= at(500) && deadline <= at(568));
    assert_eq!(lane.next(deadline, 0).map(|copy| copy.id), Some(1));
}

#[test]
fn a_returning_partner_is_asked_few_then_more() {
    let mut lane = lane();
    for id in 1..=10_000 {
        lane.add(lone(id));
    }
    let burst = |lane: &mut Lane, ms: u64| std::iter::from_fn(|| sent(lane, ms)).count();
    assert_eq!(burst(&mut lane, 100), 16);
    lane.connection_lost(at(200));
    lane.connection_up(at(300));
    let mut flight: Vec<_> = std::iter::from_fn(|| sent(&mut lane, 300)).collect();
    assert!(flight.iter().all(|copy| copy.2), "the unknown ones first, as repeats");
    assert_eq!(flight.iter().map(|copy| copy.1).collect::<Vec<_>>(), (1..=16).collect::<Vec<_>>());
    for (place, id, _) in flight.drain(..) {
        lane.answered(place, id, at(400), Verdict::Final);
    }
    assert_eq!(burst(&mut lane, 400), 32, "twice as many per round trip");
    assert_eq!(lane.in_flight(), 32);
}

/// One in so many is never answered, and holds its place in the window until it is given up: how
/// many of the others are delivered in ten seconds.
fn delivered_beside_silence(one_in: u64) -> u64 {
    let mut lane = lane();
    (1..=120_000).for_each(|id| lane.add(lone(id)));
    let (mut silent, mut done) = (VecDeque::new(), 0);
    for ms in 0..10_000 {
        while let Some((_, place, id)) = silent.pop_front_if(|copy: &mut (u64, _, _)| copy.0 <= ms)
        {
            lane.timed_out(place, id, at(ms));
        }
        while let Some((place, id, _)) = sent(&mut lane, ms) {
            if id % one_in == 0 {
                silent.push_back((ms + 5000, place, id));
            } else {
                lane.answered(place, id, at(ms), Verdict::Final);
                done += 1;
            }
        }
    }
    done
}

/// What is not answered was sent before the window narrowed, most of it: that says nothing new.
#[test]
fn a_few_that_are_never_answered_do_not_hold_up_the_rest() {
    for (one_in, least) in [(100, 100_000), (20, 80_000), (5, 20_000), (2, 2000)] {
        let done = delivered_beside_silence(one_in);
        assert!(done >= least, "one in {one_in} is silent: {done} others in ten seconds");
    }
}

#[test]
fn live_traffic_goes_first_but_never_alone() {
    for (live, expected) in [(0, 1200), (2048, 600), (4096, 75), (1_000_000, 75)] {
        let mut lane = lane();
        for id in 1..=2000 {
            lane.add(lone(id));
        }
        let mut count = 0u64;
        for ms in 0..100 {
            while let Some((place, id)) = lane.next(at(ms), live).map(|copy| (copy.place, copy.id))
            {
                lane.answered(place, id, at(ms), Verdict::Final);
                count += 1;
            }
        }
        let ahead = 49;
        assert!((expected..=expected + ahead).contains(&count), "{live} live: {count} in 100 ms");
    }
}

#[test]
fn an_id_is_taken_once() {
    let mut lane = lane();
    lane.add(lone(1));
    lane.add(lone(1));
    assert_eq!((lane.len(), lane.stats().added), (1, 1));
}

#[test]
fn buffers_come_back() {
    let mut lane = lane();
    let mut message = lane.buffer();
    message.extend_from_slice(&1u64.to_be_bytes());
    let kept = message.as_ptr();
    lane.add(Obligation { message, ..lone(1) });
    let (place, ..) = sent(&mut lane, 0).expect("1");
    lane.answered(place, 1, at(1), Verdict::Final);
    let again = lane.buffer();
    assert!(again.is_empty() && again.as_ptr() == kept);
}

/// What is old is put on record again wherever it stands, once, and what is new is not.
#[test]
fn what_is_about_to_be_forgotten_is_noted_again() {
    let mut lane = lane();
    (1..=5).for_each(|id| lane.add(lone(id)));
    let noted = |lane: &mut Lane, up_to, in_batch| {
        let mut noted = Vec::new();
        lane.note_again(up_to, |send| {
            assert_eq!(send.message, lone(send.id).message);
            noted.push((send.id, send.repeat));
            in_batch
        });
        noted
    };
    for id in 1..=3 {
        let send = lane.next(at(1), 0).expect("one is ready");
        assert_eq!(send.id, id);
    }
    lane.answered(0, 1, at(2), Verdict::Final);
    lane.answered(1, 2, at(2), Verdict::NotFound);
    assert_eq!(noted(&mut lane, 0, 0), []);
    assert_eq!(noted(&mut lane, 4, 9), [(2, true), (3, true), (4, false)]);
    assert_eq!(noted(&mut lane, 4, 9), []);
    assert_eq!(noted(&mut lane, 8, 12), [(5, false)]);
    lane.add(Obligation { noted: 10, ..lone(6) });
    assert_eq!(noted(&mut lane, 9, 12), [(2, true), (3, true), (4, false)]);
    assert_eq!(noted(&mut lane, 11, 13), [(6, false)]);
}
