//! Whole frames that say the wrong thing: refused with the code of the table, never forwarded.

use crate::message::{Plain, answer_to, sale};
use crate::rig::{Heard, Line, connected, ms};

/// Checks that the request was refused with `code`, with what it said as far as it was understood.
#[track_caller]
fn refused(heard: &Plain, code: &str, what: &str) {
    assert_eq!(heard.code(), code, "{what}: {heard:?}");
    assert_eq!(heard.of(11), Some("000001"), "{what}: {heard:?}");
    assert_eq!(heard.of(41), Some("TERM0001"), "{what}: {heard:?}");
    for secret in [2, 14, 35, 52, 55] {
        assert_eq!(heard.of(secret), None, "{what}: {heard:?}");
    }
}

#[test]
fn values_that_make_no_sense_are_refused() {
    let (serve, _host, mut partner) = connected(&[]);
    let cases = [
        ("an amount of nothing", sale(1).with(4, "000000000000"), "13"),
        ("a processing code nobody knows", sale(1).with(3, "770000"), "12"),
        ("the 31st of February", sale(1).with(7, "0231256199"), "30"),
        ("a request with an answer code", sale(1).with(39, "00"), "30"),
        ("a currency that does not exist", sale(1).with(49, "158"), "30"),
        ("a track of another card", sale(1).with(35, "4761340000000027=2912345"), "30"),
        ("a track without separator", sale(1).with(35, "4761340000000019291212345"), "30"),
        ("chip data that ends too early", sale(1).with(55, "9F2608112233"), "30"),
        ("chip data of indefinite length", sale(1).with(55, "9F268000"), "30"),
        ("chip data longer than memory", sale(1).with(55, "9F2684FFFFFFFF"), "30"),
        ("chip data that nests for ever", sale(1).with(55, &nested(200)), "30"),
        ("chip data of another card", sale(1).with(55, "5A084761340000000027"), "30"),
        ("no amount", sale(1).without(4), "30"),
        ("no processing code", sale(1).without(3), "30"),
    ];
    for (what, message, code) in cases {
        let mut pos = serve.call();
        let heard = pos.ask(&message);
        refused(&heard, code, what);
        pos.hears_nothing(ms(10));
    }
    partner.hears_nothing(ms(50));
}

/// Templates in templates, each of the right length.
fn nested(depth: usize) -> String {
    let mut inner = Vec::new();
    for _ in 0..depth {
        let mut outer = vec![0x70];
        match inner.len() {
            short @ 0..=127 => outer.push(short as u8),
            long => outer.extend_from_slice(&[0x82, (long >> 8) as u8, long as u8]),
        }
        outer.extend_from_slice(&inner);
        inner = outer;
    }
    inner.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[test]
fn types_that_no_terminal_sends_are_refused() {
    let (serve, _host, mut partner) = connected(&[]);
    for (mti, code) in [("1200", "30"), ("0700", "12"), ("0900", "12"), ("0202", "12")] {
        let mut pos = serve.call();
        let mut frame = pos.frame(&sale(1));
        let digits = u16::from_str_radix(mti, 16).expect("digits");
        frame[7..9].copy_from_slice(&digits.to_be_bytes());
        pos.send_bytes(&frame);
        let heard = pos.receive();
        refused(&heard, code, mti);
        pos.hears_nothing(ms(10));
    }
    partner.hears_nothing(ms(50));
}

/// The frame of a sale with `change` made to its body, and its length made right again.
fn altered(line: &Line, message: &Plain, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = line.frame(message).split_off(2);
    change(&mut body);
    let mut frame = (body.len() as u16).to_be_bytes().to_vec();
    frame.extend_from_slice(&body);
    frame
}

/// Where the elements begin: behind TPDU, MTI and bitmap.
const FIELDS: usize = 5 + 2 + 8;

/// What is damaged behind DE 11 and DE 41 is answered; they are the last elements here.
#[test]
fn damage_behind_the_identity_of_a_request_is_answered_with_30() {
    let (serve, _host, mut partner) = connected(&[]);
    let pos = serve.call();
    let message = sale(1);
    let behind = message.clone().with(63, "0123456789");
    let set = |at: usize, bit: u8| move |body: &mut Vec<u8>| body[at] |= bit;
    let cases = [
        ("trailing bytes", altered(&pos, &message, |body| body.extend_from_slice(b"12"))),
        ("a bit without its element", altered(&pos, &message, set(14, 2))),
        ("an element cut short", altered(&pos, &behind, |body| body.truncate(body.len() - 3))),
        (
            "a length longer than the rest",
            altered(&pos, &behind, |body| {
                let at = body.len() - 12;
                body[at..at + 2].copy_from_slice(&[0x05, 0x00]);
            }),
        ),
        (
            "a length with a nibble that is no digit",
            altered(&pos, &behind, |body| {
                let at = body.len() - 12;
                body[at..at + 2].copy_from_slice(&[0x00, 0x1A]);
            }),
        ),
        (
            "a length of four digits where three may be",
            altered(&pos, &behind, |body| {
                let at = body.len() - 12;
                body[at..at + 2].copy_from_slice(&[0x10, 0x10]);
            }),
        ),
    ];
    for (what, frame) in cases {
        let mut pos = serve.call();
        pos.send_bytes(&frame);
        match pos.hear(ms(1000)) {
            Heard::Message(heard) => refused(&heard, "30", what),
            heard => panic!("{what}: {heard:?}"),
        }
        pos.hears_nothing(ms(10));
    }
    partner.hears_nothing(ms(50));
}

/// Damage before DE 11 or DE 41 leaves nothing to answer to, but nothing is forwarded either.
#[test]
fn damage_in_any_byte_is_never_approved_by_accident() {
    let (serve, _host, mut partner) = connected(&["--deadline", "60s"]);
    let length = serve.call().frame(&sale(1)).len();
    for at in 2..length {
        let mut frame = serve.call().frame(&sale(at as u32));
        frame[at] = 0xEF;
        let mut pos = serve.call();
        pos.send_bytes(&frame);
        pos.finish();
        match pos.hear(ms(300)) {
            Heard::Message(heard) => assert_ne!(heard.code(), "00", "byte {at}"),
            Heard::End => {}
            Heard::Nothing => {
                // Forwarded: then it was an address of the TPDU, or a byte that may be anything.
                let seen = partner.receive();
                let free = (3..7).contains(&at) || at > FIELDS;
                assert!(free, "byte {at}: {seen:?}");
                partner.send(&answer_to(&seen, "51"));
                assert_eq!(pos.receive().code(), "51", "byte {at}");
            }
        }
    }
}

#[test]
fn the_second_bitmap_may_be_empty() {
    let (serve, _host, mut partner) = connected(&[]);
    let mut pos = serve.call();
    let frame = altered(&pos, &sale(1), |body| {
        body[7] |= 0x80;
        body.splice(FIELDS..FIELDS, [0; 8]);
    });
    pos.send_bytes(&frame);
    let seen = partner.receive();
    partner.send(&answer_to(&seen, "00"));
    pos.receive().answers(&sale(1), "00");
}

#[test]
fn elements_behind_64_need_their_bitmap() {
    let (serve, _host, mut partner) = connected(&[]);
    let mut pos = serve.call();
    let frame = altered(&pos, &sale(1).with(70, "301"), |body| {
        body[7] &= 0x7F;
        body.drain(FIELDS..FIELDS + 8);
    });
    pos.send_bytes(&frame);
    refused(&pos.receive(), "30", "trailing elements");
    partner.hears_nothing(ms(50));
}

#[test]
fn a_refusal_does_not_hurt_what_follows_in_the_same_segment() {
    let (serve, _host, mut partner) = connected(&[]);
    let mut pos = serve.call();
    let bad = altered(&pos, &sale(1), |body| body.push(0));
    let stream = [bad, pos.frame(&sale(2))].concat();
    pos.send_bytes(&stream);
    refused(&pos.receive(), "30", "trailing byte");
    let seen = partner.receive();
    partner.send(&answer_to(&seen, "00"));
    pos.receive().answers(&sale(2), "00");
}

/// Repeats are processed like originals as long as nothing remembers the original.
#[test]
fn a_repeat_of_something_never_seen_is_processed() {
    let (serve, _host, mut partner) = connected(&[]);
    let mut pos = serve.call();
    let repeat = Plain { mti: "0201".into(), ..sale(1) };
    pos.send(&repeat);
    let seen = partner.receive();
    assert_eq!(seen.mti, "0201");
    partner.send(
        &Plain { mti: "0210".into(), ..answer_to(&sale(1), "00") }
            .with(11, seen.of(11).expect("a STAN")),
    );
    let heard = pos.receive();
    assert_eq!((heard.mti.as_str(), heard.code()), ("0210", "00"));
}
