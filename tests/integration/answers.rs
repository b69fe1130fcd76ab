//! Answers of a partner that are late, doubled or of nobody: none reaches a terminal.

use std::time::Duration;

use crate::message::{Plain, answer_to, bytes, probe, sale};
use crate::rig::{AT_ONCE, Line, Serve, bounded, connected, ms, now};
use crate::rig::{Heard, Host, PATIENCE};

const DEADLINE: [&str; 2] = ["--deadline", "400ms"];

#[test]
fn a_silent_partner_is_91_at_the_deadline_and_late_is_never() {
    let (serve, _host, mut partner) = connected(&DEADLINE);
    let mut pos = serve.call();
    let mut soonest = Duration::MAX;
    for stan in 1..=3 {
        let (request, asked) = (sale(stan), now());
        pos.ask(&request).answers(&request, "91");
        let took = asked.elapsed();
        assert!((ms(395)..ms(1000)).contains(&took), "{took:?}");
        soonest = soonest.min(took);
        let seen = partner.receive();
        partner.send(&answer_to(&seen, "00"));
        pos.hears_nothing(ms(100));
    }
    // One of three, since the machine may be busy with something else.
    assert!(soonest <= ms(460), "{soonest:?}");
    works(&mut pos, &mut partner, 4);
}

/// A sale goes through.
#[track_caller]
fn works(pos: &mut Line, partner: &mut Line, stan: u32) {
    let request = sale(stan);
    pos.send(&request);
    let seen = partner.receive();
    assert_eq!(seen.of(37), request.of(37));
    partner.send(&answer_to(&seen, "00"));
    pos.receive().answers(&request, "00");
}

#[test]
fn each_of_many_gets_its_time_out_once() {
    let (serve, _host, mut partner) = connected(&DEADLINE);
    let mut lines: Vec<Line> = (0..4).map(|_| serve.call()).collect();
    for (place, line) in lines.iter_mut().enumerate() {
        for stan in 1..=25 {
            line.send(&sale(stan + 100 * place as u32));
        }
    }
    for (place, line) in lines.iter_mut().enumerate() {
        for stan in 1..=25 {
            line.receive().answers(&sale(stan + 100 * place as u32), "91");
        }
        line.hears_nothing(ms(20));
    }
    works_after(&mut partner, &mut lines[0], 100);
}

/// Answers `late` old requests, then sees a new one through.
fn works_after(partner: &mut Line, pos: &mut Line, late: usize) {
    for _ in 0..late {
        let seen = partner.receive();
        partner.send(&answer_to(&seen, "00"));
    }
    works(pos, partner, 999);
}

#[test]
fn an_answer_is_what_the_partner_said() {
    let (serve, _host, mut partner) = connected(&[]);
    let mut pos = serve.call();
    for (stan, code) in (1..).zip(["00", "05", "51", "10", "91", "Z3"]) {
        let request = sale(stan).with(63, "private");
        pos.send(&request);
        let seen = partner.receive();
        for element in [2, 3, 4, 22, 25, 49, 63] {
            assert_eq!(seen.of(element), request.of(element), "DE {element}");
        }
        partner.send(&answer_to(&seen, code).with(38, "A1B2C3"));
        let heard = pos.receive();
        heard.answers(&request, code);
        assert_eq!(heard.of(38), Some("A1B2C3"));
        assert_eq!(heard.of(63), Some("private"));
    }
}

#[test]
fn a_second_answer_goes_nowhere() {
    let (serve, _host, mut partner) = connected(&[]);
    let (mut pos, mut other) = (serve.call(), serve.call());
    for (stan, (first, second)) in (1..).zip([("00", "00"), ("00", "05"), ("05", "00")]) {
        let request = sale(stan);
        pos.send(&request);
        let seen = partner.receive();
        partner.send(&answer_to(&seen, first));
        partner.send(&answer_to(&seen, second));
        pos.receive().answers(&request, first);
        pos.hears_nothing(ms(60));
    }
    other.hears_nothing(ms(10));
    works(&mut pos, &mut partner, 9);
}

/// An answer that is of no outstanding request is not taken for one; the right one still is.
#[test]
fn an_answer_that_fits_nothing_goes_nowhere() {
    let (serve, _host, mut partner) = connected(&[]);
    let (mut pos, mut other) = (serve.call(), serve.call());
    let wrong: [(u8, &str); 5] =
        [(11, "765432"), (11, "000000"), (37, "999999999999"), (41, "TERM0002"), (7, "0101010101")];
    for (stan, (element, value)) in (1..).zip(wrong) {
        let request = sale(stan);
        pos.send(&request);
        let seen = partner.receive();
        partner.send(&answer_to(&seen, "00").with(element, value));
        pos.hears_nothing(ms(60));
        partner.send(&answer_to(&seen, "05"));
        pos.receive().answers(&request, "05");
        pos.hears_nothing(ms(10));
    }
    other.hears_nothing(ms(10));
}

#[test]
fn swapped_answers_cross_nothing() {
    let (serve, _host, mut partner) = connected(&DEADLINE);
    let mut lines = [serve.call(), serve.call()];
    let requests = [sale(1).with(41, "TERM0001"), sale(2).with(41, "TERM0002")];
    for (line, request) in lines.iter_mut().zip(&requests) {
        line.send(request);
    }
    let seen = [partner.receive(), partner.receive()];
    let stan = |of: &Plain| of.of(11).expect("a STAN").to_owned();
    partner.send(&answer_to(&seen[0], "00").with(11, &stan(&seen[1])));
    partner.send(&answer_to(&seen[1], "00").with(11, &stan(&seen[0])));
    for (line, request) in lines.iter_mut().zip(&requests) {
        line.receive().answers(request, "91");
        line.hears_nothing(ms(20));
    }
}

/// What contradicts its request is no approval; what follows is too late to make it one.
#[test]
fn an_answer_that_contradicts_its_request_is_no_approval() {
    let (serve, _host, mut partner) = connected(&DEADLINE);
    let mut pos = serve.call();
    type Change = fn(Plain) -> Plain;
    let wrong: [(&str, Change); 4] = [
        ("another amount", |answer| answer.with(4, "000000001249")),
        ("another currency", |answer| answer.with(49, "840")),
        ("no code", |answer| answer.without(39)),
        ("another class", |answer| Plain { mti: "0110".into(), ..answer }),
    ];
    for (stan, (what, change)) in (1..).zip(wrong) {
        let request = sale(stan);
        pos.send(&request);
        let seen = partner.receive();
        partner.send(&change(answer_to(&seen, "00")));
        let heard = pos.receive();
        assert!(["91", "96"].contains(&heard.code()), "{what}: {heard:?}");
        heard.answers(&request, heard.code());
        partner.send(&answer_to(&seen, "00"));
        pos.hears_nothing(ms(60));
    }
    works(&mut pos, &mut partner, 9);
}

/// Bytes from the partner that are no messages: its session ends, what was asked there is 91, and
/// the switch calls again.
#[test]
fn a_partner_out_of_step_is_cut_off_and_called_again() {
    for garbage in ["FFFF 0000", "0000", "1603 0102 0001", "4854 5450"] {
        let (serve, host, mut partner) = connected(&[]);
        let mut pos = serve.call();
        let (request, asked) = (sale(1), now());
        pos.send(&request);
        let _ = partner.receive();
        partner.send_bytes(&bytes(garbage));
        partner.ends_within(AT_ONCE);
        pos.receive().answers(&request, "91");
        assert!(asked.elapsed() < AT_ONCE, "{garbage}: {:?}", asked.elapsed());
        let mut again = host.accept();
        retry(&mut pos, &mut again);
    }
}

/// Asks until the partner hears it: the switch may not yet know that it is connected.
fn retry(pos: &mut Line, partner: &mut Line) {
    let deadline = now() + PATIENCE;
    while now() < deadline {
        let request = probe();
        pos.send(&request);
        if let Heard::Message(seen) = partner.hear(ms(200)) {
            partner.send(&answer_to(&seen, "00"));
            pos.receive().answers(&request, "00");
            return;
        }
        assert_eq!(pos.receive().code(), "91");
    }
    panic!("the partner is back and nothing is forwarded");
}

#[test]
fn a_damaged_answer_is_no_approval() {
    let (serve, _host, mut partner) = connected(&DEADLINE);
    let mut pos = serve.call();
    let request = sale(1);
    pos.send(&request);
    let seen = partner.receive();
    let mut frame = partner.frame(&answer_to(&seen, "00"));
    frame.extend_from_slice(&[0, 0]);
    frame[1] += 2;
    partner.send_bytes(&frame);
    pos.receive().answers(&request, "91");
    pos.hears_nothing(ms(60));
}

#[test]
fn a_partner_that_stops_in_the_middle_of_an_answer_is_given_up() {
    let host = Host::new();
    let folder = bounded("half-answer", host.address, "frame_deadline = \"500ms\"");
    let mut serve = Serve::with(&["--config", folder.0.to_str().expect("UTF-8")]);
    let mut partner = host.accept();
    serve.wait_for_line("connected");
    let mut pos = serve.call();
    let (request, asked) = (sale(1), now());
    pos.send(&request);
    let seen = partner.receive();
    let frame = partner.frame(&answer_to(&seen, "00"));
    partner.send_bytes(&frame[..20]);
    pos.receive().answers(&request, "91");
    assert!(asked.elapsed() < ms(1400), "{:?}", asked.elapsed());
    partner.ends_within(AT_ONCE);
    let mut again = host.accept();
    retry(&mut pos, &mut again);
}

#[test]
fn requests_of_a_partner_reach_no_terminal() {
    let (serve, _host, mut partner) = connected(&[]);
    let mut pos = serve.call();
    for mti in ["0200", "0100", "0400", "0220"] {
        partner.send(&Plain { mti: mti.into(), ..sale(1) });
        if let Heard::Message(heard) = partner.hear(ms(50)) {
            assert_ne!(heard.code(), "00");
        }
    }
    pos.hears_nothing(ms(50));
    works(&mut pos, &mut partner, 2);
}
