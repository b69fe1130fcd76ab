//! Network management: sign-on, sign-off and echo, asked by either side.

use crate::message::{Plain, answer_to, management, sale};
use crate::rig::{Heard, Host, Line, PATIENCE, Serve, connected, ms, now, pause};

#[track_caller]
fn asked_and_answered(line: &mut Line, stan: u32, kind: &str, code: &str) {
    let request = management(stan, kind);
    let heard = line.ask(&request);
    assert_eq!((heard.mti.as_str(), heard.code()), ("0810", code), "{kind}: {heard:?}");
    for element in [7, 11, 70] {
        assert_eq!(heard.of(element), request.of(element), "DE {element} of {heard:?}");
    }
}

#[test]
fn a_terminal_is_answered_by_the_switch_itself() {
    let (serve, _host, mut partner) = connected(&[]);
    let mut pos = serve.call();
    for (stan, kind) in [(1, "301"), (2, "001"), (3, "301"), (4, "002")] {
        asked_and_answered(&mut pos, stan, kind, "00");
    }
    asked_and_answered(&mut pos, 5, "999", "12");
    partner.hears_nothing(ms(50));
}

#[test]
fn a_partner_is_answered_too() {
    let (serve, _host, mut partner) = connected(&[]);
    let mut pos = serve.call();
    asked_and_answered(&mut partner, 1, "301", "00");
    asked_and_answered(&mut partner, 2, "001", "00");
    asked_and_answered(&mut partner, 3, "999", "12");
    pos.hears_nothing(ms(50));
    let request = sale(1);
    pos.send(&request);
    let seen = partner.receive();
    partner.send(&answer_to(&seen, "00"));
    pos.receive().answers(&request, "00");
}

/// A partner that signs off wants no more requests until it signs on again.
#[test]
fn a_partner_that_signs_off_is_left_alone() {
    let (serve, _host, mut partner) = connected(&[]);
    let mut pos = serve.call();
    // What it has already been asked it may still answer.
    pos.send(&sale(1));
    let seen = partner.receive();
    asked_and_answered(&mut partner, 1, "002", "00");
    partner.send(&answer_to(&seen, "00"));
    pos.receive().answers(&sale(1), "00");
    pos.ask(&sale(2)).answers(&sale(2), "91");
    partner.hears_nothing(ms(50));
    asked_and_answered(&mut partner, 2, "001", "00");
    pos.send(&sale(3));
    let seen = partner.receive();
    partner.send(&answer_to(&seen, "00"));
    pos.receive().answers(&sale(3), "00");
}

#[test]
fn a_storm_of_echoes_is_not_answered_and_stops_no_sale() {
    let (serve, _host, mut partner) = connected(&[]);
    let mut pos = serve.call();
    for line in [&mut pos, &mut partner] {
        let storm = (1..=200).flat_map(|stan| line.frame(&management(stan, "301")));
        let storm: Vec<u8> = storm.collect();
        line.send_bytes(&storm);
    }
    let request = sale(1);
    pos.send(&request);
    // The sale may have overtaken the partner's own echoes.
    let (seen, echoes) = behind_echoes(&mut partner);
    assert!(echoes <= 40, "{echoes} of 200");
    partner.send(&answer_to(&seen, "00"));
    let (heard, echoes) = behind_echoes(&mut pos);
    assert!((1..=40).contains(&echoes), "{echoes} of 200");
    heard.answers(&request, "00");
}

/// The first message that is no answer to an echo, and how many of those came first.
fn behind_echoes(line: &mut Line) -> (Plain, u32) {
    let mut echoes = 0;
    loop {
        let heard = line.receive();
        if heard.mti != "0810" {
            return (heard, echoes);
        }
        assert_eq!(heard.code(), "00");
        echoes += 1;
    }
}

/// A switch that signs on, the session, and the request to sign on.
fn signing_on() -> (Serve, Host, Line, Plain) {
    let host = Host::new();
    let serve = Serve::start(host.address, &["--sign-on"]);
    let mut partner = host.accept();
    let request = partner.receive();
    assert_eq!((request.mti.as_str(), request.of(70)), ("0800", Some("001")));
    (serve, host, partner, request)
}

#[test]
fn nothing_is_forwarded_before_the_partner_has_signed_on() {
    let (serve, _host, mut partner, sign_on) = signing_on();
    let mut pos = serve.call();
    pos.ask(&sale(1)).answers(&sale(1), "91");
    partner.hears_nothing(ms(100));
    partner.send(&answer_to(&sign_on, "00"));
    let deadline = now() + PATIENCE;
    for stan in 2.. {
        pos.send(&sale(stan));
        if let Heard::Message(seen) = partner.hear(ms(200)) {
            assert_eq!(seen.mti, "0200");
            partner.send(&answer_to(&seen, "00"));
            pos.receive().answers(&sale(stan), "00");
            break;
        }
        pos.receive().answers(&sale(stan), "91");
        assert!(now() < deadline, "signed on and nothing is forwarded");
    }
}

#[test]
fn a_sign_on_that_is_refused_or_of_another_opens_nothing() {
    for wrong in [0, 1] {
        let (serve, _host, mut partner, sign_on) = signing_on();
        let answer = match wrong {
            0 => answer_to(&sign_on, "05"),
            _ => answer_to(&sign_on, "00").with(11, "918273"),
        };
        partner.send(&answer);
        pause(ms(50));
        let mut pos = serve.call();
        pos.ask(&sale(1)).answers(&sale(1), "91");
        if let Heard::Message(heard) = partner.hear(ms(50)) {
            assert_eq!(heard.mti, "0800");
        }
    }
}

#[test]
fn a_switch_that_leaves_signs_off() {
    let (mut serve, _host, mut partner, sign_on) = signing_on();
    partner.send(&answer_to(&sign_on, "00"));
    pause(ms(100));
    serve.signal("TERM");
    let request = partner.receive();
    assert_eq!((request.mti.as_str(), request.of(70)), ("0800", Some("002")));
    partner.send(&answer_to(&request, "00"));
    partner.ends_within(PATIENCE);
    assert_eq!(serve.ends().code(), Some(0));
}
