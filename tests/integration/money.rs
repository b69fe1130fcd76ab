//! Money through real sockets: what nobody saw approved is taken back, on whichever worker.

use std::collections::BTreeSet;

use crate::message::{Plain, answer_to, sale};
use crate::rig::{Host, Line, Serve, connected, ms, now, pause, reaching};

/// The reversals of these sales, as they come; each names one of them.
fn reversals(partner: &mut Line, seen: &[Plain]) -> Vec<Plain> {
    let mut open: BTreeSet<String> = seen.iter().map(named).collect();
    let mut reversals = Vec::new();
    for _ in seen {
        let reversal = partner.receive();
        assert_eq!(reversal.mti, "0420", "{reversal:?}");
        let original = reversal.of(90).expect("DE 90");
        assert!(open.remove(original), "not asked, or twice: {reversal:?}");
        reversals.push(reversal);
    }
    reversals
}

/// How DE 90 names what the partner saw.
fn named(seen: &Plain) -> String {
    let of = |element| seen.of(element).expect("there");
    format!("{}{}{}{:022}", seen.mti, of(11), of(7), 0)
}

/// What was said last has been read. What is owed is sent at once on the next connection: nothing.
#[track_caller]
fn nothing_is_owed(host: &Host, partner: Line) {
    pause(ms(150));
    partner.reset();
    let mut again = host.accept();
    again.hears_nothing(ms(400));
}

#[test]
fn a_silent_partner_is_sent_the_reversal_until_it_takes_it() {
    let (serve, host, mut partner) = connected(&["--deadline", "400ms"]);
    partner.takes_reversals = false;
    let mut pos = serve.call();
    let request = sale(1);
    pos.send(&request);
    let seen = partner.receive();
    pos.receive().answers(&request, "91");
    let first = reversals(&mut partner, &[seen]).remove(0);
    for element in [2, 3, 4, 37, 41, 42, 49] {
        assert_eq!(first.of(element), request.of(element), "DE {element}");
    }
    let sent = now();
    let second = partner.receive();
    assert!((ms(5000)..ms(9000)).contains(&sent.elapsed()), "{:?}", sent.elapsed());
    assert_eq!(second, Plain { mti: "0421".into(), ..first.clone() });
    // It cannot now: it is asked again, sooner than one that says nothing.
    partner.send(&answer_to(&second, "91"));
    let third = partner.receive();
    assert_eq!(third, second);
    partner.send(&answer_to(&third, "00"));
    pos.hears_nothing(ms(50));
    nothing_is_owed(&host, partner);
}

#[test]
fn what_is_not_taken_is_sent_on_the_next_connection() {
    let (serve, host, mut partner) = connected(&["--deadline", "400ms"]);
    partner.takes_reversals = false;
    let mut pos = serve.call();
    pos.send(&sale(1));
    let seen = partner.receive();
    pos.receive().answers(&sale(1), "91");
    let first = reversals(&mut partner, &[seen]).remove(0);
    partner.reset();
    let mut again = host.accept();
    again.takes_reversals = false;
    let second = again.receive();
    assert_eq!(second, Plain { mti: "0421".into(), ..first });
    again.send(&answer_to(&second, "00"));
    nothing_is_owed(&host, again);
}

#[test]
fn an_approval_for_a_terminal_that_hung_up_is_reversed() {
    let (serve, host, mut partner) = connected(&["--deadline", "10s"]);
    partner.takes_reversals = false;
    let (mut pos, mut other) = (serve.call(), serve.call());
    for (stan, code) in [(1, "05"), (2, "00")] {
        pos.send(&sale(stan));
        let seen = partner.receive();
        pos.reset();
        pause(ms(100));
        partner.send(&answer_to(&seen, code).with(38, "A1B2C3"));
        if code == "00" {
            let reversal = reversals(&mut partner, &[seen]).remove(0);
            assert_eq!((reversal.of(4), reversal.of(38)), (sale(2).of(4), Some("A1B2C3")));
            partner.send(&answer_to(&reversal, "00"));
        } else {
            partner.hears_nothing(ms(100));
        }
        pos = serve.call();
    }
    other.hears_nothing(ms(10));
    nothing_is_owed(&host, partner);
}

#[test]
fn what_was_in_flight_on_a_lost_connection_is_reversed_on_the_next() {
    lost_in_flight(&["--deadline", "10s", "--workers", "1"]);
}

#[test]
fn what_two_workers_had_in_flight_is_reversed_on_the_next_connection() {
    lost_in_flight(&["--deadline", "10s", "--workers", "2"]);
}

fn lost_in_flight(options: &[&str]) {
    let (serve, host, mut partner) = connected(options);
    let mut lines = [reaching(&serve, &mut partner), reaching(&serve, &mut partner)];
    for stan in 1..=20 {
        lines[stan as usize % 2].send(&sale(stan));
    }
    let seen: Vec<Plain> = (0..20).map(|_| partner.receive()).collect();
    partner.reset();
    for stan in 1..=20 {
        lines[stan as usize % 2].receive().answers(&sale(stan), "91");
    }
    let mut again = host.accept();
    again.takes_reversals = false;
    for reversal in reversals(&mut again, &seen) {
        again.send(&answer_to(&reversal, "00"));
    }
    nothing_is_owed(&host, again);
}

/// The connection belongs to one of them; the other's answers reach it by their STANs.
#[test]
fn each_of_two_workers_that_share_a_connection_gets_its_answers() {
    let (serve, host, mut partner) = connected(&["--deadline", "500ms", "--workers", "2"]);
    let mut lines: Vec<Line> = (0..16).map(|_| reaching(&serve, &mut partner)).collect();
    partner.takes_reversals = false;
    for (line, stan) in lines.iter_mut().zip(1..) {
        line.send(&sale(stan));
    }
    let seen: Vec<Plain> = lines.iter().map(|_| partner.receive()).collect();
    for (line, stan) in lines.iter_mut().zip(1..) {
        line.receive().answers(&sale(stan), "91");
    }
    let reversals = reversals(&mut partner, &seen);
    let of_the_second = |reversal: &&Plain| reversal.of(11) > Some("499999");
    let count = reversals.iter().filter(of_the_second).count();
    assert!((1..16).contains(&count), "{count} of 16 by the second worker");
    for reversal in reversals.iter().rev() {
        partner.send(&answer_to(reversal, "00"));
    }
    nothing_is_owed(&host, partner);
}

#[test]
fn a_repeat_on_the_next_connection_gets_the_same_answer() {
    let (serve, _host, mut partner) = connected(&["--workers", "1"]);
    let mut pos = serve.call();
    pos.send(&sale(1));
    let seen = partner.receive();
    partner.send(&answer_to(&seen, "00").with(38, "A1B2C3"));
    let first = pos.receive();
    pos.reset();
    let heard = serve.call().ask(&Plain { mti: "0201".into(), ..sale(1) });
    assert_eq!(heard, first);
    partner.hears_nothing(ms(50));
}

/// A terminal that waits no longer takes it back, and the late approval is not its any more.
#[test]
fn a_terminal_takes_back_what_is_in_flight() {
    let (serve, host, mut partner) = connected(&["--deadline", "10s", "--workers", "1"]);
    partner.takes_reversals = false;
    let mut pos = serve.call();
    pos.send(&sale(1));
    let seen = partner.receive();
    let asked = Plain { mti: "0400".into(), ..sale(1) }
        .with(11, "000002")
        .with(90, &format!("02000000011122021245{:022}", 0));
    pos.send(&asked);
    pos.receive().answers(&sale(1), "91");
    pos.receive().answers(&asked, "00");
    let reversal = reversals(&mut partner, std::slice::from_ref(&seen)).remove(0);
    partner.send(&answer_to(&seen, "00"));
    partner.send(&answer_to(&reversal, "00"));
    pos.hears_nothing(ms(100));
    nothing_is_owed(&host, partner);
}

/// Sixteen connections, on both of two workers, all of which reach the partner.
fn on_both_workers() -> (Serve, Host, Line, Vec<Line>) {
    let (serve, host, mut partner) = connected(&["--workers", "2"]);
    let lines = (0..16).map(|_| reaching(&serve, &mut partner)).collect();
    (serve, host, partner, lines)
}

#[test]
fn a_repeat_that_comes_to_another_worker_is_not_asked_twice() {
    let (_serve, _host, mut partner, mut lines) = on_both_workers();
    lines[0].send(&sale(1));
    let seen = partner.receive();
    partner.send(&answer_to(&seen, "00"));
    lines[0].receive().answers(&sale(1), "00");
    for line in &mut lines[1..] {
        line.send(&Plain { mti: "0201".into(), ..sale(1) });
        partner.hears_nothing(ms(30));
        assert_eq!(line.receive().code(), "00");
    }
}

#[test]
fn a_reversal_that_comes_to_another_worker_finds_its_original() {
    let (_serve, _host, mut partner, mut lines) = on_both_workers();
    partner.takes_reversals = false;
    lines[0].send(&sale(1));
    let seen = partner.receive();
    partner.send(&answer_to(&seen, "00"));
    lines[0].receive().answers(&sale(1), "00");
    let asked = Plain { mti: "0400".into(), ..sale(1) };
    for line in &mut lines[1..] {
        line.ask(&asked).answers(&asked, "00");
    }
    reversals(&mut partner, &[seen]);
    partner.hears_nothing(ms(50));
}

/// Its first connection is gone when it asks again, on all others: each hears the one answer, and
/// the approval is not reversed, since it was handed to somebody.
#[test]
fn repeats_on_other_workers_wait_for_the_answer_of_the_first() {
    let (_serve, host, mut partner, mut lines) = on_both_workers();
    lines[0].send(&sale(1));
    let seen = partner.receive();
    lines.remove(0).reset();
    pause(ms(100));
    // No more than wait for one answer.
    lines.truncate(8);
    for line in &mut lines {
        line.send(&Plain { mti: "0201".into(), ..sale(1) });
    }
    // The last two send no more, but read on.
    lines[6].finish();
    lines[7].finish();
    pause(ms(100));
    partner.send(&answer_to(&seen, "00"));
    for line in &mut lines {
        line.receive().answers(&sale(1), "00");
    }
    lines[6].ends_within(ms(1000));
    lines[7].ends_within(ms(1000));
    nothing_is_owed(&host, partner);
}

/// Nobody is there when the approval comes, neither on the worker that asked nor on another.
#[test]
fn an_approval_that_no_worker_can_hand_over_is_reversed() {
    let (_serve, host, mut partner, mut lines) = on_both_workers();
    partner.takes_reversals = false;
    lines[0].send(&sale(1));
    let seen = partner.receive();
    lines.truncate(8);
    for line in &mut lines[1..] {
        line.send(&Plain { mti: "0201".into(), ..sale(1) });
    }
    pause(ms(100));
    lines.drain(..).for_each(Line::reset);
    pause(ms(100));
    partner.send(&answer_to(&seen, "00"));
    let reversal = reversals(&mut partner, &[seen]).remove(0);
    partner.send(&answer_to(&reversal, "00"));
    nothing_is_owed(&host, partner);
}
