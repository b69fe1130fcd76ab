//! A stream has no seams: however bytes arrive, the messages are the same.

use std::time::Duration;

use crate::message::{Plain, answer_to, framed, sale};
use crate::rig::{AT_ONCE, Line, PATIENCE, approving, bounded, connected, ms, now, pause};
use crate::rig::{Host, Serve, approve};

#[test]
fn several_messages_in_one_segment() {
    let (serve, _host, mut partner) = connected(&[]);
    let mut pos = serve.call();
    let requests: Vec<Plain> = (1..=3).map(sale).collect();
    let segment: Vec<u8> = requests.iter().flat_map(|request| pos.frame(request)).collect();
    pos.send_bytes(&segment);
    let seen: Vec<Plain> = (0..3).map(|_| partner.receive()).collect();
    let answers: Vec<u8> =
        seen.iter().rev().flat_map(|request| partner.frame(&answer_to(request, "00"))).collect();
    partner.send_bytes(&answers);
    for request in requests.iter().rev() {
        pos.receive().answers(request, "00");
    }
    pos.hears_nothing(ms(100));
}

#[test]
fn one_message_in_as_many_segments_as_it_has_bytes() {
    let (serve, _host, mut partner) = connected(&[]);
    let mut pos = serve.call();
    let request = sale(1);
    dribble(&mut pos, &request);
    let seen = partner.receive();
    let answer = answer_to(&seen, "00").with(38, "A1B2C3");
    dribble(&mut partner, &answer);
    let heard = pos.receive();
    heard.answers(&request, "00");
    assert_eq!(heard.of(38), Some("A1B2C3"));
}

fn dribble(line: &mut Line, message: &Plain) {
    for byte in line.frame(message) {
        line.send_bytes(&[byte]);
        pause(ms(1));
    }
}

#[test]
fn cut_anywhere_between_two_messages() {
    let serve = approving(&[]);
    let mut pos = serve.call();
    let length = pos.frame(&sale(1)).len() * 2;
    for cut in 1..length {
        let (first, second) = (sale(2 * cut as u32), sale(2 * cut as u32 + 1));
        let stream = [pos.frame(&first), pos.frame(&second)].concat();
        pos.send_bytes(&stream[..cut]);
        pos.send_bytes(&stream[cut..]);
        pos.receive().answers(&first, "00");
        pos.receive().answers(&second, "00");
    }
}

#[test]
fn half_closed_and_still_answered() {
    let (serve, _host, mut partner) = connected(&[]);
    let mut pos = serve.call();
    let request = sale(1);
    pos.send(&request);
    pos.finish();
    let seen = partner.receive();
    pos.hears_nothing(ms(150));
    partner.send(&answer_to(&seen, "00"));
    pos.receive().answers(&request, "00");
    pos.ends_within(AT_ONCE);
    // Without a request there is nothing to wait for.
    let mut idle = serve.call();
    idle.finish();
    idle.ends_within(AT_ONCE);
}

#[test]
fn a_request_whose_terminal_is_gone_harms_nobody() {
    let (serve, _host, mut partner) = connected(&[]);
    let (mut pos, mut other) = (serve.call(), serve.call());
    pos.send(&sale(1));
    let seen = partner.receive();
    pos.reset();
    let request = sale(2);
    other.send(&request);
    let next = partner.receive();
    partner.send(&answer_to(&seen, "00"));
    other.hears_nothing(ms(100));
    partner.send(&answer_to(&next, "00"));
    other.receive().answers(&request, "00");
}

#[test]
fn a_frame_cut_by_the_end_is_never_forwarded() {
    let (serve, _host, mut partner) = connected(&[]);
    let frame = serve.call().frame(&sale(1));
    for cut in [1, 2, 7, 17, frame.len() - 1] {
        let mut pos = serve.call();
        pos.send_bytes(&frame[..cut]);
        pos.finish();
        pos.ends_within(AT_ONCE);
        let mut reset = serve.call();
        reset.send_bytes(&frame[..cut]);
        reset.reset();
    }
    let mut pos = serve.call();
    let request = sale(2);
    pos.send(&request);
    // The first the partner hears is the first whole one.
    let seen = partner.receive();
    assert_eq!(seen.of(37), request.of(37));
    partner.send(&answer_to(&seen, "00"));
    pos.receive().answers(&request, "00");
}

/// A request that lost a byte is not one request fewer: those before it are answered.
#[test]
fn whole_frames_before_a_cut_one_are_answered() {
    let (serve, _host, mut partner) = connected(&[]);
    let mut pos = serve.call();
    let request = sale(1);
    let cut = [pos.frame(&request), pos.frame(&sale(2))[..40].to_vec()].concat();
    pos.send_bytes(&cut);
    pos.finish();
    let seen = partner.receive();
    partner.send(&answer_to(&seen, "00"));
    pos.receive().answers(&request, "00");
    pos.ends_within(AT_ONCE);
    partner.hears_nothing(ms(50));
}

#[test]
fn the_longest_frame_is_accepted_and_one_byte_more_is_not() {
    let serve = approving(&[]);
    let mut pos = serve.call();
    let filled = |last: usize| {
        let full = "x".repeat(999);
        let message =
            sale(1).with(60, &full).with(61, &full).with(62, &full).with(63, &"z".repeat(500));
        message.with(48, &"y".repeat(last))
    };
    let rest = 4096 - (framed(&pos.dialect, &filled(0)).len() - 2);
    let request = filled(rest);
    let frame = pos.frame(&request);
    assert_eq!(frame[..2], 4096_u16.to_be_bytes());
    pos.send_bytes(&frame);
    let heard = pos.receive();
    heard.answers(&request, "00");
    assert_eq!(heard.of(48), request.of(48));

    let longer = pos.frame(&filled(rest - 1)).split_off(2);
    let mut frame = 4097_u16.to_be_bytes().to_vec();
    frame.extend_from_slice(&longer);
    pos.send_bytes(&frame);
    pos.ends_within(AT_ONCE);
}

/// The default bound, not one that a test lowered: the one test that waits for it.
#[test]
fn a_frame_that_does_not_end_is_given_up_at_its_deadline() {
    let serve = approving(&[]);
    let (mut silent, mut dribbling, mut good) = (serve.call(), serve.call(), serve.call());
    let frame = good.frame(&sale(1));
    let start = now();
    silent.send_bytes(&frame[..20]);
    dribbling.send_bytes(&frame[..1]);
    let mut at = 1;
    while start.elapsed() < ms(4600) {
        let request = sale(at as u32 + 1);
        good.ask(&request).answers(&request, "00");
        dribbling.send_bytes(&frame[at..=at]);
        at += 1;
        pause(ms(200));
    }
    silent.hears_nothing(ms(1));
    dribbling.hears_nothing(ms(1));
    let left = |start: std::time::Instant| ms(6000).saturating_sub(start.elapsed());
    silent.ends_within(left(start));
    // A byte now and then buys no time.
    dribbling.ends_within(left(start).max(ms(1)));
    assert!(start.elapsed() >= ms(4900), "{:?}", start.elapsed());
    let request = sale(900);
    good.ask(&request).answers(&request, "00");
}

#[test]
fn many_slow_senders_cost_the_others_nothing() {
    let host = Host::new();
    let folder = bounded("slowloris", host.address, "frame_deadline = \"700ms\"");
    let mut serve = Serve::with(&["--config", folder.0.to_str().expect("UTF-8")]);
    host.answer(approve);
    serve.wait_for_line("connected");
    let mut good = serve.call();
    let frame = good.frame(&sale(1));
    let mut slow: Vec<Line> = (0..200).map(|_| serve.call()).collect();
    for line in &mut slow {
        line.send_bytes(&frame[..3]);
    }
    let mut slowest = Duration::ZERO;
    for stan in 1..=100 {
        let (request, asked) = (sale(stan), now());
        good.ask(&request).answers(&request, "00");
        slowest = slowest.max(asked.elapsed());
    }
    assert!(slowest < ms(500), "{slowest:?}");
    for line in &mut slow {
        line.ends_within(PATIENCE);
    }
    let request = sale(101);
    good.ask(&request).answers(&request, "00");
}
