//! SIGTERM: what was accepted is answered, then the process ends with 0.

use std::net::TcpStream;

use crate::message::{answer_to, sale};
use crate::rig::{AT_ONCE, Heard, Line, PATIENCE, Serve, connected, ms, now, pause, reaching};

/// Fifty requests on five connections, seen by the partner.
fn fifty(serve: &Serve, partner: &mut Line) -> (Vec<Line>, Vec<crate::message::Plain>) {
    let mut lines: Vec<Line> = (0..5).map(|_| reaching(serve, partner)).collect();
    for stan in 0..50 {
        lines[stan % 5].send(&sale(stan as u32 + 1));
    }
    let seen = (0..50).map(|_| partner.receive()).collect();
    (lines, seen)
}

#[test]
fn what_was_accepted_is_answered() {
    accepted_and_answered(&["--deadline", "10s"]);
}

#[test]
fn what_was_accepted_by_a_worker_that_shares_a_session_is_answered() {
    accepted_and_answered(&["--deadline", "10s", "--workers", "2"]);
}

fn accepted_and_answered(options: &[&str]) {
    let (mut serve, _host, mut partner) = connected(options);
    let (mut lines, seen) = fifty(&serve, &mut partner);
    serve.signal("TERM");
    serve.wait_for_line("draining");
    for request in seen.iter().rev() {
        partner.send(&answer_to(request, "00"));
    }
    for (place, line) in lines.iter_mut().enumerate() {
        for stan in (0..50).rev().filter(|stan| stan % 5 == place) {
            let request = sale(stan as u32 + 1);
            line.receive().answers(&request, "00");
        }
        line.ends_within(PATIENCE);
    }
    partner.ends_within(PATIENCE);
    assert_eq!(serve.ends().code(), Some(0));
}

#[test]
fn whoever_calls_during_the_drain_is_turned_away() {
    let (mut serve, _host, mut partner) = connected(&["--deadline", "10s"]);
    let (mut lines, seen) = fifty(&serve, &mut partner);
    serve.signal("TERM");
    serve.wait_for_line("draining");
    let deadline = now() + AT_ONCE;
    // What is printed first happens next.
    while TcpStream::connect(serve.address).is_ok() {
        assert!(now() < deadline, "still listening");
        pause(ms(5));
    }
    // New requests on old connections are refused or the connection is over; none is forwarded.
    let late = sale(900);
    lines[0].send(&late);
    if let Heard::Message(heard) = lines[0].hear(ms(200)) {
        heard.answers(&late, "91");
    }
    partner.hears_nothing(ms(50));
    for request in &seen {
        partner.send(&answer_to(request, "00"));
    }
    for line in &mut lines {
        for _ in 0..10 {
            assert_eq!(line.receive().code(), "00");
        }
    }
    assert_eq!(serve.ends().code(), Some(0));
}

#[test]
fn a_partner_that_stays_silent_is_waited_for_until_the_deadline() {
    let (mut serve, _host, mut partner) = connected(&["--deadline", "700ms"]);
    let (mut lines, _seen) = fifty(&serve, &mut partner);
    serve.signal("TERM");
    for (place, line) in lines.iter_mut().enumerate() {
        for stan in (0..50).filter(|stan| stan % 5 == place) {
            let request = sale(stan as u32 + 1);
            line.receive().answers(&request, "91");
        }
        line.ends_within(AT_ONCE);
    }
    assert_eq!(serve.ends().code(), Some(0));
}

#[test]
fn with_nothing_to_do_it_leaves_at_once() {
    for signal in ["TERM", "INT"] {
        let (mut serve, _host, mut partner) = connected(&[]);
        let mut idle = serve.call();
        let asked = now();
        serve.signal(signal);
        idle.ends_within(AT_ONCE);
        partner.ends_within(AT_ONCE);
        assert_eq!(serve.ends().code(), Some(0));
        assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
    }
}

#[test]
fn a_half_sent_request_does_not_hold_up_the_drain() {
    let (mut serve, _host, mut partner) = connected(&[]);
    let mut pos = serve.call();
    let frame = pos.frame(&sale(1));
    pos.send_bytes(&frame[..30]);
    serve.signal("TERM");
    assert_eq!(serve.ends().code(), Some(0));
    assert!(matches!(partner.hear(AT_ONCE), Heard::End));
}

#[test]
fn a_second_signal_ends_it_without_waiting() {
    let (mut serve, _host, mut partner) = connected(&["--deadline", "10s"]);
    let mut pos = serve.call();
    pos.send(&sale(1));
    let _ = partner.receive();
    serve.signal("TERM");
    serve.wait_for_line("draining");
    serve.signal("TERM");
    pos.ends_within(AT_ONCE);
}
